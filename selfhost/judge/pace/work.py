"""How fast work goes that is not counted in generated tokens: documents, training, and by modules
of their own pictures and sound. All of it is operations over what computes them, with what is read
and launched beside that.

A GPU is told by its peak, of which each kind of work reaches a share; a processor by what llama.cpp
computes on prompts, of which other programs reach a share too. Ranges of seconds begin with the
slow end.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.spec import Architecture, ModelSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...core.units import TRAINED
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import computes_on_shared, runs_on
from .engine import (
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
from .speed import MEASURED, PaceRange, SecondsRange, Speed, shared_gpu_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ..record import Question

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


class Power(Record):
    """What computes the work: operations per second, slow end, likely, fast end. Of a GPU the peak
    in 16 bits, of a processor what its cores compute on prompts.

    `device` is None for the processor, of which `threads` work; `number` of such devices. `how`
    names it, in words.
    """

    peak: Range
    device: Accelerator | None = None
    threads: float = 0.0
    number: int = 1
    how: str

    def engine(self, share: Range, layer_seconds: Range = NOTHING) -> Engine:
        """Where the work reaches that share, while layers are launched beside it."""
        slow, likely, fast = share
        reached = product(self.peak, (min(slow, likely), likely, max(likely, fast)))
        return Engine(how=self.how, throughput=reached, layer_seconds=layer_seconds, overlaps=True)

    def seconds(self, operations: float, share: Range) -> Range:
        """Of so many operations, where the work reaches that share."""
        return seconds(Work(operations=operations), self.engine(share))


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
    chip = chip_of(machine) if rate is None and device.unified and on_apple_gpu(machine) else None
    if chip is not None:
        rate = float(chip[1])
    if rate is None:
        return None
    ends = scaled(ends_of("work", "operations_a_byte"), rate)
    how = f"{device.name} ({_tflops(ends[0])} to {_tflops(ends[2])}, a guess by class)"
    return Power(peak=ends, device=device, how=how)


def _tflops(rate: float) -> str:
    """`71 TFLOPS`."""
    return f"{rate / 1e12:.3g} TFLOPS"


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


def has_bfloat16(machine: Machine, power: Power) -> bool:
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
    if gpu is None:
        return None
    slow, likely, fast = gpu.seconds(step)
    return max(slow, likely), likely, min(likely, fast)


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


def pace_of_documents(
    machine: Machine,
    power: Power | None,
    spec: ModelSpec,
    *,
    quantization: str,
    runtime: RuntimeSpec | None,
    document_tokens: int = DOCUMENT_TOKENS,
) -> Speed:
    """Documents of 512 tokens a second, one after the other; pictures of a model whose operations
    for one are known, and whose layers nobody wrote down.
    """
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", DOCUMENTS)
    counted = _document_work(spec, power, runtime, quantization, document_tokens)
    if counted is None:
        return unpaced("the shape of the model is not known", DOCUMENTS)
    work, tokens, met, layer_seconds = counted
    share = product(_share_of_documents(machine, power, runtime, quantization), met)
    engine = power.engine(share, layer_seconds).replace(overlaps=False)
    pace, is_text = PaceRange.of_seconds(seconds(work, engine)), tokens is not None
    what = f"{tokens} tokens" if is_text else "one picture"
    basis = ""
    if power.device is not None:
        row = basis_of_share(_kind_of_documents(runtime), power.device)
        basis = f"; documents at a part of this: {row}"
    return Speed(
        work=pace,
        prompt=None if tokens is None else PaceRange.of(scaled(pace.ends, tokens)),
        unit=DOCUMENTS if is_text else PICTURES_READ,
        how=f"on {power.how}; {work.operations / 1e9:,.0f} × 10^9 operations for {what}{basis}",
    )


def _document_work(
    spec: ModelSpec,
    power: Power,
    runtime: RuntimeSpec | None,
    quantization: str,
    document_tokens: int,
) -> tuple[Work, int | None, Range, Range] | None:
    """Of one document: the work, its tokens (None: it is a picture), the rate beside what all
    parameters would have, and the seconds of a layer. None of a model of unknown shape.
    """
    architecture, parameters, device = spec.architecture, spec.parameters.active, power.device
    layer_seconds = NOTHING if device is None else layer_from_python(device)
    if architecture is not None and parameters is not None:
        tokens = min(document_tokens, architecture.context_tokens or document_tokens)
        operations, layers = document_operations(architecture, parameters, tokens), NOTHING
        if device is not None:
            is_measured = runtime is not None and runtime.computes_with == MEASURED
            layers = scaled(SAME, architecture.layers / (1 if is_measured else _BATCH))
            layer_seconds = scaled(SAME, efficiency("decode", device)["layer_us"] / 1e6)
        return Work(operations=operations, layers=layers), tokens, SAME, layer_seconds
    layers = launched_layers(None, runtime, quantization, parameters) or NOTHING
    if spec.picture_operations is not None:
        work = Work(operations=float(spec.picture_operations), layers=layers)
        return work, None, SAME, layer_seconds
    if parameters is None or parameters < _LEAST_PARAMETERS:
        return None
    work = Work(operations=2.0 * parameters * document_tokens, layers=layers)
    return work, document_tokens, inverse(ends_of("documents", "met")), layer_seconds


def _share_of_documents(
    machine: Machine, power: Power, runtime: RuntimeSpec | None, quantization: str
) -> Range:
    """Of what the machine computes, what a program reaches on documents."""
    if power.device is None:
        return shares_on_cores(machine, runtime, quantization)
    work = _kind_of_documents(runtime)
    share = product(share_of_peak(work, power.device), ends_of("documents", work))
    if work == "prompt" or quantization != "float32":
        return share
    slow, likely, fast = constant("work")["longer"]["float32"]
    return product(share, inverse((slow, likely, fast)))


def _kind_of_documents(runtime: RuntimeSpec | None) -> str:
    """The work of `share` that documents are like: llama.cpp reads them as prompts."""
    return "prompt" if runtime is not None and runtime.computes_with == MEASURED else "picture"


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
        more = (_WEIGHTS if self.method == "full" else 0) + (_AGAIN if self.computes_again else 0)
        return (_FORWARD + backward + more) * self.parameters


def training_of(question: Question, placed: Needs, machine: Machine, power: Power | None) -> Speed:
    """Tokens trained on in a second, and how long the stated tokens take."""
    spec, workload, runtime = question.spec, question.workload, question.runtime
    trained_layers = runtime.trainer_layers if runtime is not None else None
    if placed.memory is None and trained_layers is None:
        why = "where it would be trained is not known, because its memory need is not"
        return unpaced(why, TRAINED)
    if spec.parameters.active is None:
        return unpaced("the number of parameters that a token meets is not known", TRAINED)
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", TRAINED)
    work = TrainingWork(
        method=workload.finetune_method or "lora",
        parameters=spec.parameters.active,
        all_parameters=spec.parameters.total or spec.parameters.active,
        layers=spec.architecture.layers if spec.architecture is not None else 0,
        step_tokens=(workload.context_tokens or _LEAST_TOKENS) * workload.parallel,
        checkpointing=bool(workload.checkpointing),
        trained_layers=trained_layers,
    )
    return pace_of_training(machine, power, work, workload.dataset_tokens)


def pace_of_training(
    machine: Machine, power: Power, work: TrainingWork, dataset_tokens: int | None = None
) -> Speed:
    """Tokens trained on in a second, and how long `dataset_tokens` take."""
    tokens = float(work.step_tokens * power.number)
    pace = PaceRange.of_seconds(
        scaled(_seconds_of_training(machine, power, work, tokens), 1 / tokens)
    )
    how = f"on {power.how}; {work.operations_a_token / 1e9:,.0f} × 10^9 operations a token"
    if work.computes_again:
        how += ", activations computed again"
    if work.adapted_layers < work.layers:
        how += f", adapters on the last {work.adapted_layers} of {work.layers} layers"
    if power.device is not None:
        how += f"; {basis_of_share('training', power.device)}"
    dataset = None
    if dataset_tokens is not None:
        slow, likely, fast = scaled(pace.seconds, dataset_tokens)
        dataset = SecondsRange(low=fast, likely=likely, high=slow)
    return Speed(work=pace, unit=TRAINED, how=how, dataset_seconds=dataset)


def _seconds_of_training(
    machine: Machine, power: Power, work: TrainingWork, tokens: float
) -> Range:
    """Of one step of so many tokens; on a GPU with what does not grow with them: unpacking the
    weights, launching the layers, where that takes longer than all they compute, and the optimizer.
    """
    device = power.device
    share = ends_of("training", "on_cores")
    if device is not None:
        share = share_of_peak("training", device)
    lacks_type = device is not None and not has_bfloat16(machine, power)
    taken = product(
        power.seconds(work.operations_a_token * tokens, share),
        ends_of("training", "quantized") if work.method == "qlora" else SAME,
        ends_of("training", "together") if power.number > 1 else SAME,
        ends_of("work", "without_bfloat16") if lacks_type else SAME,
    )
    if device is None:
        return taken
    rate = device_bandwidth(device)
    if work.method == "qlora" and rate is not None:
        uses = 3 if work.computes_again else 2
        unpacked = work.all_parameters * _UNPACKED_BYTES * uses / rate
        taken = added(taken, scaled(inverse(ends_of("training", "unpacking")), unpacked))
    if work.trained_layers is None:
        more = SAME if work.method == "full" else ends_of("training", "with_adapters")
        # forward once, backward as long as two, and forward again
        passes = max(1, work.layers * (4 if work.computes_again else 3))
        taken = longer(taken, scaled(product(layer_from_python(device), more), passes))
    if work.method == "full" and rate is not None:
        moved = scaled(ends_of("training", "optimizer_bytes"), work.all_parameters / rate)
        taken = added(taken, moved)
    return taken
