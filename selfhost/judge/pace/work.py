"""How fast work goes that is not counted in generated tokens: documents, training, and by modules
of their own pictures and sound. All of it is operations over what computes them, with what is read
and launched beside that.

A GPU is told by its peak, of which each kind of work reaches a share; a processor by what llama.cpp
computes on prompts, of which other programs reach a share too.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Architecture
from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...core.units import TRAINED
from ...core.workload import Workload
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import computes_on_shared, runs_on
from .engine import (
    MEASURED,
    NOTHING,
    SAME,
    Engine,
    Range,
    Step,
    Work,
    added,
    basis_of_share,
    constant,
    efficiency,
    ends_of,
    inverse,
    launched_layers,
    longer,
    ordered,
    product,
    scaled,
    seconds,
    share_of_peak,
)
from .graphics import device_bandwidth, gpu_of, layer_from_python
from .placed import seconds_on_processor
from .processor import (
    FALL,
    SCALE_WELL,
    chip_of,
    core_of,
    cores_rate,
    is_guest,
    on_apple_gpu,
    threads_of,
)
from .speed import PaceRange, SecondsRange, Speed, shared_gpu_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

DOCUMENTS, PICTURES_READ = "documents_per_second", "pictures_per_second"
DOCUMENT_TOKENS = 512
# documents that sentence-transformers computes at once (encode, batch_size), for which operations
# are launched once; others wait for as many requests or more
_BATCH = 32
# of a model with fewer parameters a table of words may be all
_LEAST_PARAMETERS = 20_000_000
# a sequence that is trained on, where no length was resolved: that of trl (1,024)
_LEAST_TOKENS = 1024
# operations a token and a parameter of training: forward 2, backward 2 for the activations and 2
# for the weights, which LoRA leaves as they are; activations that are computed again take 2 more
# (Korthikanti et al. 2022, arXiv:2205.05198, section 5)
_FORWARD, _BACKWARD, _WEIGHTS, _AGAIN = 2, 2, 2, 2
# of each weight in 4 bits half a byte is read and two are written and read again
_UNPACKED_BYTES = 4.5
# Metal and CUDA use the GPU that shares the RAM; of other makers the program's builds decide
_SHARED_VENDORS = ("apple", "nvidia")
_LEAST_WITH_BFLOAT16 = "8.0"
NOTHING_TELLS = "nothing tells how fast what it runs on computes"


class Power(Record):
    """What computes the work: operations per second. Of a GPU the peak in 16 bits, of a processor
    what its cores compute on prompts.

    `device` is None for the processor, of which `threads` work; `number` of such devices. `how`
    names it, in words.
    """

    peak: Range
    device: Accelerator | None = None
    threads: float = 0.0
    number: int = 1
    how: str

    def seconds(self, operations: float, share: Range) -> Range:
        """Of so many operations, where the work reaches that share."""
        slow, likely, fast = share
        reached = product(self.peak, (min(slow, likely), likely, max(likely, fast)))
        return seconds(Work(operations=operations), Engine(throughput=reached))


class Job(Record):
    """What is asked of a model that does no text: where, by which program, in which type."""

    machine: Machine
    power: Power | None
    spec: ModelSpec
    placed: Needs
    runtime: RuntimeSpec | None
    quantization: str = ""


def power_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str | None
) -> Power | None:
    """What computes the work, laid out like that; None where nothing tells how fast it is."""
    if machine.emulated_on is not None:
        return None
    devices = _devices_of(machine, placed, runtime, quantization)
    if not devices:
        if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
            return None
        threads, rate = threads_of(machine, runtime), cores_rate(machine, runtime)
        how = f"{units.cores(threads)} of the processor (about {_tflops(rate[1])})"
        return Power(peak=rate, threads=threads, how=how)
    powers = [power for device in devices if (power := _of_gpu(device, machine)) is not None]
    if len(powers) < len(devices):
        return None
    how = " and ".join(dict.fromkeys(power.how for power in powers))
    peak = added(*(power.peak for power in powers))
    return powers[0].replace(peak=peak, how=how, number=len(powers))


def _devices_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str | None
) -> Sequence[Accelerator]:
    """The accelerators that compute it; () where the processor does."""
    owned = machine.accelerators or ()
    places = dict.fromkeys(term.where for term in placed.memory.terms) if placed.memory else {}
    numbers = [
        int(number)
        for place, _, number in (where.partition(":") for where in places)
        if place == "accelerator" and number.isdecimal()
    ]
    there = [owned[number] for number in numbers if number < len(owned)]
    if there or placed.placement != "host":
        return there
    if is_guest(machine) or (runtime is not None and runtime.cpu_only):
        return ()
    sharing = [device for device in owned if device.unified]
    return [device for device in sharing if _computes(device, runtime, quantization)][:1]


def _computes(device: Accelerator, runtime: RuntimeSpec | None, quantization: str | None) -> bool:
    """Whether the program has kernels of that type for a GPU that shares the RAM."""
    vendor = device.vendor.lower()
    if runtime is None:
        return vendor in _SHARED_VENDORS
    rule = runtime.rule_of(quantization)
    has_kernels = rule is None or not rule.vendors or vendor in rule.vendors
    is_used = vendor in _SHARED_VENDORS or computes_on_shared(runtime, device)
    return has_kernels and is_used and runs_on(runtime, device)


def _of_gpu(device: Accelerator, machine: Machine) -> Power | None:
    """Peak of a GPU: of its name, of the Apple chip that it is part of, else by its class."""
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    peak = gpus.peak_flops(device.name, capability)
    if peak is None and device.vendor.lower() == "apple":
        peak = gpus.peak_flops(machine.cpu_model or "", None)
    if peak is not None:
        how = f"{device.name} ({_tflops(peak)} at most)"
        return Power(peak=(peak, peak, peak), device=device, how=how)
    rate = device_bandwidth(device)
    if rate is None and device.unified and on_apple_gpu(machine):
        chip = chip_of(machine)
        rate = None if chip is None else float(chip[1])
    if rate is None:
        return None
    ends = scaled(ends_of("work", "operations_a_byte"), rate)
    how = f"{device.name} ({_tflops(ends[0])} to {_tflops(ends[2])}, a guess by class)"
    return Power(peak=ends, device=device, how=how)


def _tflops(rate: float) -> str:
    """`71 TFLOPS`."""
    return f"{rate / 1e12:.3g} TFLOPS"


# ---------------------------------------------------------------- what programs reach


def shares_on_cores(machine: Machine, runtime: RuntimeSpec | None, quantization: str) -> Range:
    """Of what a processor computes on prompts, what a program reaches with weights of that type."""
    if runtime is None or not (runtime.multiplies_rows or runtime.computes_with == MEASURED):
        return in_pytorch(machine, runtime, quantization)
    key, ends = ("rows", "rows") if runtime.multiplies_rows else ("prompt", "blocks")
    rows = constant("type")
    names = [name for name, row in rows.items() if quantization.startswith(name) and key in row]
    wide, narrow = rows[names[0]][key] if names else rows["F16"][key]
    return scaled(ends_of("work", ends), wide if core_of(machine).wide else narrow)


def in_pytorch(
    machine: Machine, runtime: RuntimeSpec | None = None, quantization: str = "float32"
) -> Range:
    """Of what a processor computes on prompts, what PyTorch reaches with weights of that type."""
    cores, sets = threads_of(machine, runtime), machine.instruction_sets or ()
    less = core_of(machine).float32 * min(1.0, float((SCALE_WELL / cores) ** FALL))
    share, gains = scaled(ends_of("work", "in_pytorch"), less), constant("work")["in_bfloat16"]
    gain = next((tuple(gains[name]) for name in gains if name in sets), None)
    return share if quantization != "bfloat16" or gain is None else product(share, gain)


def longer_by_type(machine: Machine, power: Power, quantization: str) -> Range:
    """As many times as long as with 16 bits that the hardware computes with."""
    factors = constant("work")["longer"]
    lacks_type = quantization == "bfloat16" and not _has_bfloat16(machine, power)
    name = "without_bfloat16" if lacks_type else quantization
    slow, likely, fast = factors.get(name, SAME) if power.device or lacks_type else SAME
    return slow, likely, fast


def _has_bfloat16(machine: Machine, power: Power) -> bool:
    """Whether it computes with bfloat16 in hardware; True where that is not known of a GPU."""
    if power.device is None:
        sets = machine.instruction_sets or ()
        return any(name in sets for name in ("avx512_bf16", "amx_bf16", "bf16"))
    capability = power.device.compute_capability or gpus.capability_by_name(power.device.name)
    return gpus.reaches_capability(capability, _LEAST_WITH_BFLOAT16) is not False


def unpaced(why: str, unit: str) -> Speed:
    """No pace, and why."""
    return Speed(unit=unit, how=why)


def time_range(taken: Range) -> PaceRange:
    """Seconds as a verdict has them, the least first."""
    slow, likely, fast = taken
    return PaceRange(low=fast, likely=likely, high=slow)


def token_seconds(machine: Machine, power: Power, step: Step) -> Range | None:
    """Of one token, as llama.cpp reads it; None where no bandwidth is known."""
    if power.device is None:
        return seconds_on_processor(machine, step)
    gpu = shared_gpu_of(machine) if power.device.unified else gpu_of(power.device)
    return None if gpu is None else ordered(gpu.seconds(step))


def seconds_of_step(machine: Machine, power: Power, parameters: int) -> Range | None:
    """Of a step that reads so many parameters: in 16 bits on a GPU, in 32 on a processor; None
    where no bandwidth is known.
    """
    read, way = {"BF16": 2 * parameters}, "step_on_card"
    if power.device is None:
        read, way = {"F32": 4 * parameters}, "step_on_cores"
    token = token_seconds(machine, power, Step(architecture=None, read_bytes=FrozenDict(read)))
    return None if token is None else product(ends_of("work", way), token)


# ---------------------------------------------------------------- documents


def pace_of_documents(job: Job, document_tokens: int = DOCUMENT_TOKENS) -> Speed:
    """Documents of 512 tokens a second, one after the other; pictures of a model whose operations
    for one are known, and whose layers nobody wrote down.
    """
    power, runtime = job.power, job.runtime
    if power is None:
        return unpaced(NOTHING_TELLS, DOCUMENTS)
    is_measured = runtime is not None and runtime.computes_with == MEASURED
    counted = _document_work(job, power, document_tokens, is_measured=is_measured)
    if counted is None:
        return unpaced("the shape of the model is not known", DOCUMENTS)
    operations, tokens, launched = counted
    what, basis = "one picture" if tokens is None else f"{tokens} tokens", ""
    share = shares_on_cores(job.machine, runtime, job.quantization)
    if power.device is not None:
        # llama.cpp reads them as prompts
        kind = "prompt" if is_measured else "picture"
        share = product(share_of_peak(kind, power.device), ends_of("documents", kind))
        basis = f"; documents at a part of this: {basis_of_share(kind, power.device)}"
        if not is_measured:
            share = product(share, inverse(longer_by_type(job.machine, power, job.quantization)))
    taken = product(power.seconds(1.0, share), operations)
    pace = PaceRange.of_seconds(added(taken, launched))
    return Speed(
        work=pace,
        prompt=None if tokens is None else PaceRange.of(scaled(pace.ends, tokens)),
        unit=PICTURES_READ if tokens is None else DOCUMENTS,
        how=f"on {power.how}; {operations[1] / 1e9:,.0f} × 10^9 operations for {what}{basis}",
    )


def _document_work(
    job: Job, power: Power, document_tokens: int, *, is_measured: bool
) -> tuple[Range, int | None, Range] | None:
    """Of one document: the operations, its tokens (None: it is a picture), and the seconds that
    launching takes. None of a model of unknown shape.
    """
    spec, device = job.spec, power.device
    architecture, parameters = spec.architecture, spec.parameters.active
    layer = NOTHING if device is None else layer_from_python(device)
    if architecture is not None and parameters is not None:
        tokens = min(document_tokens, architecture.context_tokens or document_tokens)
        launched = scaled(layer, architecture.layers / _BATCH)
        if device is not None and is_measured:
            layer_us = efficiency("decode", device)["layer_us"]
            launched = scaled(SAME, architecture.layers * layer_us / 1e6)
        return scaled(SAME, document_operations(architecture, parameters, tokens)), tokens, launched
    layers = launched_layers(None, job.runtime, job.quantization, parameters) or NOTHING
    launched = NOTHING if device is None or not layers[1] else product(layers, layer)
    if spec.picture_operations is not None:
        return scaled(SAME, spec.picture_operations), None, launched
    if parameters is None or parameters < _LEAST_PARAMETERS:
        return None
    operations = scaled(ends_of("documents", "met"), 2.0 * parameters * document_tokens)
    return operations, document_tokens, launched


def document_operations(architecture: Architecture, parameters: int, tokens: int) -> float:
    """Two for each parameter that a token meets, and attention of all tokens to all."""
    tables = (architecture.vocabulary or 0) + (architecture.positions or 0)
    met = max(0, parameters - tables * architecture.embedding_length)
    attention = sum(
        2 * tokens * group.heads * (group.key_length + group.value_length) * len(group.layers)
        for group in architecture.attention
    )
    return float(tokens * (2 * met + attention))


# ---------------------------------------------------------------- training


class _Training(Record):
    """What one step of training computes. `parameters`: those that a token meets; `adapted` of the
    last of its `layers` have adapters, beyond which nothing is computed backward; `again`:
    activations are computed anew for the backward pass; `tokens` of all devices.
    """

    method: str
    parameters: int
    all_parameters: int
    layers: int
    adapted: int
    again: bool
    tokens: float

    @property
    def operations_a_token(self) -> float:
        """Multiplications and additions for one token that is trained on."""
        backward = _BACKWARD * (self.adapted / self.layers if self.layers else 1.0)
        more = (_WEIGHTS if self.method == "full" else 0) + (_AGAIN if self.again else 0)
        return (_FORWARD + backward + more) * self.parameters

    @property
    def how(self) -> str:
        """What is computed, as a clause."""
        again = ", activations computed again" if self.again else ""
        if self.adapted < self.layers:
            again += f", adapters on the last {self.adapted} of {self.layers} layers"
        return f"{self.operations_a_token / 1e9:,.0f} × 10^9 operations a token{again}"


def pace_of_training(job: Job, workload: Workload) -> Speed:
    """Tokens trained on in a second, and how long the stated tokens take."""
    power, trained_layers = job.power, job.runtime.trainer_layers if job.runtime else None
    if job.placed.memory is None and trained_layers is None:
        why = "where it would be trained is not known, because its memory need is not"
        return unpaced(why, TRAINED)
    if job.spec.parameters.active is None:
        return unpaced("the number of parameters that a token meets is not known", TRAINED)
    if power is None:
        return unpaced(NOTHING_TELLS, TRAINED)
    training = _training(job, workload, trained_layers, job.spec.parameters.active, power.number)
    taken = _seconds_of_training(job.machine, power, training, is_python=trained_layers is None)
    how = f"on {power.how}; {training.how}"
    if power.device is not None:
        how += f"; {basis_of_share('training', power.device)}"
    pace, dataset = PaceRange.of_seconds(scaled(taken, 1 / training.tokens)), None
    if workload.dataset_tokens is not None:
        dataset = SecondsRange.of(scaled(pace.seconds, workload.dataset_tokens))
    return Speed(work=pace, unit=TRAINED, how=how, dataset_seconds=dataset)


def _training(
    job: Job, workload: Workload, trained_layers: int | None, parameters: int, devices: int
) -> _Training:
    """`trained_layers`: on how many of the last layers the trainer puts adapters, and keeps their
    activations; None for one that adapts them all.
    """
    architecture, method = job.spec.architecture, workload.finetune_method or "lora"
    layers = 0 if architecture is None else architecture.layers
    adapts_some = trained_layers is not None and method != "full"
    tokens = (workload.context_tokens or _LEAST_TOKENS) * workload.parallel * devices
    return _Training(
        method=method,
        parameters=parameters,
        all_parameters=job.spec.parameters.total or parameters,
        layers=layers,
        adapted=min(layers, trained_layers or layers) if adapts_some else layers,
        again=bool(workload.checkpointing) and trained_layers is None,
        tokens=float(tokens),
    )


def _seconds_of_training(
    machine: Machine, power: Power, training: _Training, *, is_python: bool
) -> Range:
    """Of one step: what it computes, on a GPU no less than launching the layers, and unpacking
    weights in 4 bits.
    """
    device, share = power.device, ends_of("training", "on_cores")
    if device is not None:
        share = share_of_peak("training", device)
    taken = power.seconds(training.operations_a_token * training.tokens, share)
    if power.number > 1:
        taken = product(taken, ends_of("training", "together"))
    if device is None:
        return taken
    taken = product(taken, longer_by_type(machine, power, "bfloat16"))
    rate = device_bandwidth(device)
    if training.method == "qlora" and rate is not None:
        moved = training.all_parameters * _UNPACKED_BYTES * (3 if training.again else 2)
        taken = added(taken, scaled(inverse(ends_of("training", "unpacking")), moved / rate))
    if is_python:
        # forward once, backward as long as two, and forward again
        passes = max(1, training.layers * (4 if training.again else 3))
        taken = longer(taken, scaled(layer_from_python(device), passes))
    return taken
