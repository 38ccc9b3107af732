"""How fast a model is trained: tokens a second, bound by arithmetic."""

from __future__ import annotations

from ...core.records import Record
from ...core.units import TRAINED
from ...machine.gpus import basis_of_share, share_of
from ...machine.record import Accelerator, Machine
from ..ranges import Range, added, inverse, longer, product
from .compute import SAME, WITHOUT_BFLOAT16, Power, has_bfloat16, unpaced
from .graphics import device_bandwidth, pace_of_device
from .speed import PaceRange, SecondsRange, Speed

# of what a processor computes on prompts: a guess around what PyTorch reaches there of pictures and
# sound (`compute.in_pytorch`), half of it at the slow end
_PROCESSOR_SHARES = (0.15, 0.4, 0.72)
# operations a token and a parameter: forward 2, backward 2 for the activations and 2 for the
# weights, which LoRA leaves as they are; activations that are computed again take 2 more
# (Korthikanti et al. 2022, arXiv:2205.05198, section 5)
_FORWARD, _BACKWARD, _WEIGHTS, _AGAIN = 2, 2, 2, 2
# as many times as long as launching a layer of a model that writes takes each pass over a layer
# with adapters from Python: 256 tokens of Qwen 7B and 14B on an A100 and 845 of Llama 3.2 3B on an
# L40S, 1.2 to 1.4 ms a pass, of which some is computing (tests/truth/speed_training.json)
_WITH_ADAPTERS = (1.0, 1.4, 1.8)
# weights in 4 bits are unpacked with every pass: half a byte is read and two are written and read
# again, at that share of the peak of the memory: 0.27 of Mistral 7B in bitsandbytes, 0.27 and 0.2
# of Qwen 7B and 14B in GPTQ, all on an A100 (same file). The ends are guesses
_UNPACKED_BYTES, _UNPACKING_SHARES = 4.5, (0.12, 0.25, 0.5)
# and as many times as long where a program casts what lies between to 32 bits: 1.25 of the same
# Mistral 7B without and with that; most that was seen lie between 1 and 1.1
_QUANTIZED = (1.0, 1.08, 1.35)
# bytes that AdamW moves a step for each weight that is trained: 14 to 28 by arithmetic, 54 of Llama
# 3.2 3B on an L40S, whose operations are launched one by one (same file)
_OPTIMIZER_BYTES = (20.0, 50.0, 100.0)
# on several devices, as many times as long because weights are gathered for every layer: a guess
_TOGETHER = (1.0, 1.25, 2.0)


class TrainingWork(Record):
    """What one step of training computes. `parameters`: those that a token meets;
    `all_parameters`: all that are kept. `step_tokens`: of the sequences that one device takes at
    once. `trained_layers`: on how many of the last `layers` the trainer puts adapters by default,
    and keeps activations; None for one that adapts them all, each layer launched from Python.
    """

    method: str
    parameters: int
    all_parameters: int
    layers: int
    step_tokens: int
    checkpointing: bool
    trained_layers: int | None = None

    @property
    def adapted_layers(self) -> int:
        """How many of the last layers have adapters, beyond which nothing is computed backward."""
        adapts_some = self.trained_layers is not None and self.method != "full"
        return min(self.layers, self.trained_layers or self.layers) if adapts_some else self.layers

    @property
    def computes_again(self) -> bool:
        """Whether activations are computed again for the backward pass."""
        return self.checkpointing and self.trained_layers is None

    @property
    def operations_a_token(self) -> float:
        """Multiplications and additions for one token that is trained on."""
        backward = _BACKWARD * (self.adapted_layers / self.layers if self.layers else 1.0)
        each = _FORWARD + backward
        each += _WEIGHTS if self.method == "full" else 0
        each += _AGAIN if self.computes_again else 0
        return each * self.parameters


def pace_of_training(
    machine: Machine,
    power: Power | None,
    work: TrainingWork | None,
    *,
    devices: int,
    dataset_tokens: int | None = None,
) -> Speed:
    """Tokens trained on in a second, and how long `dataset_tokens` take. `devices`: how many
    compute side by side.
    """
    if work is None:
        return unpaced("the number of parameters that a token meets is not known", TRAINED)
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", TRAINED)
    tokens = float(work.step_tokens * devices)
    taken = _seconds_of_step(machine, power, work, tokens, devices)
    low, likely, high = inverse(product(taken, (1 / tokens,) * 3))
    how = f"on {power.how}; {work.operations_a_token / 1e9:,.0f} × 10^9 operations a token"
    if work.computes_again:
        how += ", activations computed again"
    if work.adapted_layers < work.layers:
        how += f", adapters on the last {work.adapted_layers} of {work.layers} layers"
    if power.device is not None:
        how += f"; {basis_of_share('training', power.device.name)}"
    dataset = None
    if dataset_tokens is not None:
        dataset = SecondsRange(
            low=dataset_tokens / high, likely=dataset_tokens / likely, high=dataset_tokens / low
        )
    pace = PaceRange(low=low, likely=likely, high=high)
    return Speed(work=pace, unit=TRAINED, how=how, dataset_seconds=dataset)


def _seconds_of_step(
    machine: Machine, power: Power, work: TrainingWork, tokens: float, devices: int
) -> Range:
    """Of one step of so many tokens: least, likely, most."""
    device = power.device
    shares = _PROCESSOR_SHARES if device is None else share_of("training", device.name)
    lacks_type = device is not None and not has_bfloat16(machine, power)
    computing = product(
        power.seconds(work.operations_a_token * tokens, shares),
        _QUANTIZED if work.method == "qlora" else SAME,
        _TOGETHER if devices > 1 else SAME,
        WITHOUT_BFLOAT16 if lacks_type else SAME,
    )
    return computing if device is None else _beside_computing(device, work, computing)


def _beside_computing(device: Accelerator, work: TrainingWork, computing: Range) -> Range:
    """With what a step takes on an accelerator that does not grow with its tokens: unpacking the
    weights, launching the layers, where that takes longer than all they compute, and the optimizer.
    """
    bytes_per_second = device_bandwidth(device)
    if work.method == "qlora" and bytes_per_second is not None:
        uses = 3 if work.computes_again else 2
        unpacked = work.all_parameters * _UNPACKED_BYTES * uses / bytes_per_second
        computing = added(computing, product((unpacked,) * 3, inverse(_UNPACKING_SHARES)))
    if work.trained_layers is None:
        slow, usual, fast = pace_of_device(device).python_layer_seconds
        each = product((fast, usual, slow), SAME if work.method == "full" else _WITH_ADAPTERS)
        # forward once, backward as long as two, and forward again
        passes = 4 if work.computes_again else 3
        launching = product(each, (float(max(1, work.layers * passes)),) * 3)
        computing = longer(computing, launching)
    if work.method == "full" and bytes_per_second is not None:
        moved = work.all_parameters / bytes_per_second
        computing = added(computing, product((moved,) * 3, _OPTIMIZER_BYTES))
    return computing
