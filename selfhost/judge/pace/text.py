"""The pace of text where it is placed: on the processor, on GPUs one after the other or at once, on
a GPU that shares the RAM, with layers or experts in RAM; of a step, and of reading a prompt.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what
reads a weight in RAM to a device that `offload_op` says wants it, which those of CUDA, HIP, Vulkan
and SYCL do from 32 tokens on. What lies between such products, as attention, goes along.

Of a mixture that a GPU does not hold its fitter (common/fit.cpp, `common_params_fit_impl`, steps 3
and 4) leaves experts of some layers to the RAM, where the processor computes them; attention and
what all tokens share lie on the GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import hypot

from ...catalogue.architecture import Architecture
from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine import gpus
from ...machine.record import Machine
from ...needs.quantization import BLOCKS
from ...needs.records import Needs
from ..placement.devices import share_on_shared
from ..record import Question
from .engine import (
    MEASURED,
    SHORT_CHAT_TOKENS,
    Gpu,
    Step,
    efficiency,
    gpu_of,
    shared_gpu_of,
    uses_shared_gpu,
    width_of,
)
from .processor import (
    BANDWIDTH_SHARE,
    Bandwidth,
    bandwidth,
    core_of,
    cores_rate,
    kind_of,
    on_apple_gpu,
    threads_range,
)
from .speed import (
    NOTHING,
    SAME,
    PaceRange,
    Range,
    Speed,
    constant,
    ends_of,
    longest,
    shares_of,
    weights_by_place,
)

# of a share, what rounding leaves
_NO_REST = 1e-6
# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
_LEAST_READ_BYTES = 1 << 20
# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"
# tokens of a prompt that llama.cpp computes at once (common/common.h, n_ubatch)
BATCH_TOKENS = 512
# of the weights of all experts that are used, by how many those of a type may differ to be theirs
_AS_MANY = 0.02


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    `offloaded`: number of an accelerator -> share of the layers that lie on it; the rest is in RAM,
    `in_ram_bytes` of the weights, which cross for each `batch_tokens` of a prompt; 0: the prompt is
    computed where the weights lie. `at_once`: each of several has a part of every layer, instead of
    whole layers. `experts_apart`: of a mixture, experts are left to the RAM instead of whole
    layers. `on_shared`: share of the layers that a GPU which shares the RAM computes.
    """

    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: int = 0
    batch_tokens: int = BATCH_TOKENS
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = SAME


def laid_out(question: Question, placed: Needs, machine: Machine) -> LaidOut:
    """How the program of the question computes what is placed so."""
    program, architecture, case = question.runtime, question.spec.architecture, placed.case
    splits = program is None or program.splits_layers
    layers = architecture.layers if splits and architecture else None
    is_split, batch_tokens = placed.placement == "split", BATCH_TOKENS
    if case is not None and architecture is not None and case.format == "gguf":
        batch_tokens = case.room.batch
    return LaidOut(
        runtime=program,
        context_tokens=question.workload.context_tokens,
        offloaded=shares_of(placed) if placed.placement != "host" else None,
        in_ram_bytes=weights_by_place(placed).get("host", 0) if is_split else 0,
        batch_tokens=batch_tokens,
        at_once=program is not None and bool(program.tensor_parallel_option),
        experts_apart=_leaves_experts(program, question.workload.runtime_options),
        on_shared=Range(*share_on_shared(placed, machine, layers)) * _share_stated(question),
    )


def _share_stated(question: Question) -> float:
    """Of the layers, what -ngl gives a GPU that shares the RAM; the output matrix counts as one."""
    program, architecture = question.runtime, question.spec.architecture
    number = program and program.setting("gpu_layers", question.workload.runtime_options)
    if architecture is None or not number:
        return 1.0
    return min(1.0, int(number) / (architecture.layers + 1))


def _leaves_experts(program: RuntimeSpec | None, options: Mapping[str, str]) -> bool:
    """Not where it is told how many layers a GPU has, experts and all."""
    if program is None or not program.leaves_experts:
        return False
    has_layers = program.setting("gpu_layers", options) is not None
    return not has_layers or program.setting("cpu_expert_layers", options) is not None


def processor_seconds(machine: Machine, memory: Bandwidth, step: Step) -> Range:
    """Of one token that the processor reads from RAM, with all cores that the program uses: each
    waits for the slower one, memory or the cores that get through what it gives.
    """
    rows, figures = constant("type"), constant("processor")
    packed_bytes, (cached_bytes, attending) = sum(step.packed.values()), step.context()
    core_seconds = sum(
        size / (rows.get(name, rows["F16"])["gb_s"] * 1e9) for name, size in step.read_bytes.items()
    )
    # what cores unpack while memory waits
    waited = sum(
        size / (rows[name]["unpack_gb_s"] * 1e9)
        for name, size in step.packed.items()
        if "unpack_gb_s" in rows.get(name, {})
    )
    taken = []
    for rate, threads, share, unpacks, waits in zip(
        memory.ends * BANDWIDTH_SHARE,
        threads_range(machine),
        kind_of(machine)[1],
        core_of(machine).unpacks_bytes_per_second,
        figures["thread_seconds"],
        strict=True,
    ):
        cores = threads * share
        read = (step.weights_bytes - packed_bytes) / rate + waited / cores
        read += max(packed_bytes / rate, packed_bytes / (threads * unpacks))
        read = max(read, core_seconds / cores) + max(cached_bytes / rate, attending / cores)
        layer = figures["layer_core_seconds"] / cores + figures["meeting_seconds"]
        taken.append(read + step.layers * (layer + threads * waits))
    if step.has_experts and not memory.measured:
        taken[0] *= figures["experts_slow"]
    return Range(*taken)


def seconds_on_processor(machine: Machine, step: Step) -> Range | None:
    """As `processor_seconds`, no end nearer than the likely one; None where nothing tells its
    bandwidth.
    """
    memory = bandwidth(machine)
    return None if memory is None else processor_seconds(machine, memory, step).ordered()


class _Placed(Record):
    """GPUs with their shares of what all of them hold, and `in_ram` of the layers, or experts."""

    machine: Machine
    gpus: tuple[tuple[float, Gpu], ...]
    in_ram: Range = NOTHING
    memory: Bandwidth | None = None
    experts_apart: bool = False
    at_once: bool = False

    def seconds(self, step: Step) -> Range:
        """Of one token."""
        if self.at_once:
            # its part of every layer, and adding up the parts
            parts = []
            for share, gpu in self.gpus:
                sums = efficiency("together", gpu.device)["sum_us"] * (1e-6 * step.layers)
                parts.append(gpu.seconds(step, share) + sums)
            return longest(*parts)
        slow, likely, fast = (self._seconds(step, in_ram) for in_ram in self.in_ram)
        return Range(slow[0], likely[1], min(likely[2], fast[2]))

    def _seconds(self, step: Step, in_ram: float) -> Range:
        if self.memory is None:
            return self._on_gpus(step)
        apart = experts_in_ram(step, 1 - in_ram) if self.experts_apart else None
        if apart is None:
            beside = processor_seconds(self.machine, self.memory, step)
            return self._on_gpus(step) * (1 - in_ram) + beside * in_ram
        figures = constant("split")
        beside = processor_seconds(self.machine, self.memory, apart.experts)
        crossing = figures["crossing_seconds"] * apart.layers
        slow, likely, fast = self._on_gpus(apart.rest) + beside + crossing
        # of the whole step, it holds what experts take longer
        return Range(slow * figures["slower"], likely, fast)

    def _on_gpus(self, step: Step) -> Range:
        return sum((gpu.seconds(step) * share for share, gpu in self.gpus), NOTHING)

    def prompt(self, step: Step, way: LaidOut) -> tuple[PaceRange | None, Range]:
        """How fast a prompt is read, and in what time weights cross to the accelerators for each
        batch of it. What another program than the one measured does with weights in RAM was not
        seen.
        """
        computed = [_gpu_prompt(step, gpu) for _, gpu in self.gpus]
        taken = [
            each * share
            for each, (share, _) in zip(computed, self.gpus, strict=True)
            if each is not None
        ]
        if len(taken) < len(self.gpus) or (self.memory is not None and step.foreign is not None):
            return None, NOTHING
        on_gpus = sum(taken, NOTHING)
        if self.at_once:
            # after attention and after the feed-forward network each has a part of every number, in
            # 16 bits (Megatron-LM, arXiv 1909.08053, section 3), and sends all of it but its own
            # part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
            links = [efficiency("together", gpu.device)["sum_gb_s"] for _, gpu in self.gpus]
            width = 0 if step.architecture is None else step.architecture.embedding_length
            summed_gb = 8 * step.layers * width * (len(taken) - 1) / len(taken) / 1e9
            sums = longest(*(summed_gb / gb_per_s for gb_per_s in links))
            on_gpus = longest(*taken) + sums
        if self.memory is None:
            return PaceRange.of_seconds(on_gpus), NOTHING
        if self.gpus[0][1].device.unified or not way.batch_tokens:
            on_cores, rest = processor_prompt(step, self.machine), self.in_ram[1]
            if on_cores is None:
                return None, NOTHING
            return PaceRange.of_seconds(on_gpus * (1 - rest) + on_cores.seconds * rest), NOTHING
        names = dict.fromkeys(gpu.device.name for _, gpu in self.gpus)
        rates = _copied_per_second(names, has_experts=step.has_experts)
        crossing = way.in_ram_bytes / rates
        # independent parts: the ends add up as squares
        each = crossing * (1 / way.batch_tokens)
        slow, fast = (hypot(on_gpus[end] - on_gpus[1], each[end] - each[1]) for end in (0, 2))
        likely = on_gpus.likely + each.likely
        return PaceRange.of_seconds(Range(likely + slow, likely, likely - fast)), crossing

    def how(self, step: Step) -> str:
        """What the pace rests on, as a clause."""
        how = f"on {' and '.join(units.counted([gpu.how(step) for _, gpu in self.gpus]))}"
        if self.gpus[0][1].device.unified:
            how += ", which shares the RAM"
        if self.at_once:
            return f"{how}, each of which reads its part of every layer at the same time"
        if self.memory is None:
            return how
        apart = experts_in_ram(step, 1 - self.in_ram[1]) if self.experts_apart else None
        if apart is not None:
            return f"{how}, the experts of {apart.layers:.0f} layers in RAM: {self.memory.how}"
        held = units.between(units.percent, 1 - self.in_ram[0], 1 - self.in_ram[2])
        return f"{held} of the layers {how}, the rest in RAM: {self.memory.how}"


class Apart(Record):
    """A step that is computed in two places: the processor has the `experts` of so many `layers`,
    the devices have the `rest`.
    """

    experts: Step
    rest: Step
    layers: float


def experts_in_ram(step: Step, on_devices: float) -> Apart | None:
    """The step where devices hold that share of all weights; None where the model has no experts,
    or devices do not hold what all tokens share.

    A type that has as many weights as the experts is theirs, as MXFP4 in gpt-oss; else they are of
    every type like the whole.
    """
    experts, used, layers = expert_parameters(step.architecture, step.expert_matrices)
    counts = {name: _parameters(name, size) for name, size in step.read_bytes.items()}
    read = sum(counts.values())
    held = on_devices * (read - used + experts) - (read - used)
    if not experts or read <= used or held < 0:
        return None
    share = 1 - min(1.0, held / experts)
    own = [name for name, count in counts.items() if abs(count - used) <= _AS_MANY * used][:1]
    of_read = share if own else share * used / read
    in_ram = {name: int(of_read * step.read_bytes[name]) for name in own or step.read_bytes}
    rest = {name: size - in_ram.get(name, 0) for name, size in step.read_bytes.items()}
    return Apart(
        experts=Step(architecture=None, read_bytes=FrozenDict(in_ram), foreign=step.foreign),
        rest=step.replace(read_bytes=FrozenDict(rest)),
        layers=share * layers,
    )


def _parameters(name: str, size: int) -> float:
    """Weights that so many bytes of a type hold; of one that is not known as in 16 bits."""
    values, block_bytes = BLOCKS.get(name, (1, 2))
    return size * values / block_bytes


def expert_parameters(architecture: Architecture | None, matrices: int) -> tuple[float, float, int]:
    """Parameters of all routed experts, of those that a token uses, and layers that have some."""
    experts = used = 0.0
    layers = 0
    for group in architecture.feed_forward if architecture is not None else ():
        if group.experts and architecture is not None:
            width = group.latent_length or architecture.embedding_length
            each = matrices * width * group.length * len(group.layers)
            experts += group.experts * each
            used += (group.used or 1) * each
            layers += len(group.layers)
    return experts, used, layers


def processor_prompt(step: Step, machine: Machine) -> PaceRange | None:
    """What its weights compute and attention; None: its operations are not known."""
    operations, rows = 0.0, constant("type")
    column = 0 if core_of(machine).wide else 1
    slow, usual, fast = ends_of("read_prompt", "experts_on_cores")
    for name, count in step.parameters_met().items():
        share = rows.get(name, {}).get("prompt", rows["F16"]["prompt"])[column]
        is_expert = step.has_experts and name != "MXFP4"
        operations += 2 * count / share / (usual if is_expert else 1.0)
    if operations <= 0:
        return None
    dense = rate = cores_rate(machine) * ends_of("read_prompt", "reached_on_cores")
    if step.has_experts:
        rate *= (slow / usual, 1.0, fast / usual)
    attended = _attended(step, dense, "attended_on_processor")
    return PaceRange.of_seconds(operations / rate + attended)


def _attended(step: Step, rate: Range, where: str) -> Range:
    """Seconds of attention for a token of the prompt, half of which stands before a token on
    average.
    """
    tokens, operations = step.prompt_tokens / 2, 0.0
    for group in step.attention:
        window = None if group.compression else group.window_tokens
        limits = [limit for limit in (group.indexer_rows, window) if limit]
        reached = min([tokens / (group.compression or 1), *limits])
        operations += 2 * len(group.layers) * group.heads * width_of(group) * reached
    return operations / (rate * ends_of("batch", where))


def _gpu_prompt(step: Step, gpu: Gpu) -> Range | None:
    """Seconds of a token of a prompt on a GPU; None where nothing tells how fast it computes."""
    operations, device = 2 * sum(step.parameters_met().values()), gpu.device
    row = efficiency("share", device, step.foreign or "", work="prompt")
    measured = None if "program" in row else gpus.fact_of(device.name, "prompt_tflops")
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    if measured is not None:
        row, peak = constant("measured_prompt"), measured * 1e12
    if operations <= 0 or peak is None:
        return None
    kind = "experts" if step.has_experts else "share"
    computed: Range = operations / (row[kind] * peak)
    computed += _attended(step, row["share"] * peak, "attended_on_gpu")
    if "program" in row:
        # the shares of other programs hold what launching takes
        return computed
    slow, usual, fast = ends_of("read_prompt", "launched_seconds")
    launched = Range(usual if step.has_experts else slow, usual, fast)
    return computed + launched * (step.layers / BATCH_TOKENS)


def _copied_per_second(names: Iterable[str], *, has_experts: bool) -> Range:
    """Of weights that cross to these GPUs one after the other, no faster than the link carries."""
    most, links = constant("read_prompt")["most_of_link"], []
    for name in names:
        link = gpus.link_bytes_per_second(name)
        ends = ends_of("read_prompt", "any_link")
        links.append(ends if link is None else SAME * min(link, most))
    slow, likely, fast = map(min, zip(*links, strict=True))
    shares = ends_of("read_prompt", "share_of_link")
    return Range(slow * shares[0], likely * shares[1], fast * (shares[2] if has_experts else 1.0))


def predict(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    if step.weights_bytes <= 0:
        return Speed(how="how many bytes each token reads is not known")
    if step.weights_bytes < _LEAST_READ_BYTES:
        how = "the program, not the weights, limits the speed of a model this small"
        return Speed(how=how)
    placed, at_full = _placed(machine, step, way), max(way.context_tokens or 0, step.depth_tokens)
    if placed is None:
        return _on_processor(machine, step, way, step.at(at_full))
    if isinstance(placed, str):
        return Speed(how=placed)
    taken, full = placed.seconds(step), placed.seconds(step.at(at_full))
    prompt, crossing = placed.prompt(step, way)
    is_seen = placed.memory is None and all("program" in gpu.row(step) for _, gpu in placed.gpus)
    how = f"{placed.how(step)}{_conditions(step, is_seen=is_seen)}"
    if crossing[1]:
        size, batch = units.decimal(way.in_ram_bytes), units.tokens(way.batch_tokens)
        how += f"; for each {batch} of a prompt {size} of weights cross to the GPU"
    return Speed(
        decode=PaceRange.of_seconds(taken),
        prompt=prompt,
        crossing_seconds=crossing[1],
        full_context_tokens_per_second=_full_context(step, taken, full),
        how=how,
    )


def _placed(machine: Machine, step: Step, way: LaidOut) -> _Placed | str | None:
    """The GPUs that compute it, with the RAM; None: the processor does; a clause where the pace of
    one is not known.
    """
    devices, parts = machine.accelerators or (), list[tuple[float, Gpu]]()
    if not way.offloaded:
        shared = shared_gpu_of(machine, way.runtime)
        if shared is None or not uses_shared_gpu(machine, way.runtime):
            return None
        parts, held = [(1.0, shared)], way.on_shared
    else:
        total = sum(way.offloaded.values())
        held = SAME * min(1.0, total)
        for number, share in way.offloaded.items():
            known = number < len(devices)
            gpu = gpu_of(devices[number], machine.architecture) if known else None
            if gpu is None:
                name = devices[number].name if known else "the accelerator"
                return f"the memory bandwidth of {name} is not known"
            parts.append((share / total, gpu))
    at_once = way.at_once and len(parts) > 1
    if at_once or min(held) >= 1 - _NO_REST:
        return _Placed(machine=machine, gpus=tuple(parts), at_once=at_once)
    memory = bandwidth(machine)
    if memory is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return _Placed(
        machine=machine,
        gpus=tuple(parts),
        in_ram=Range(*(1 - each for each in held)),
        memory=memory,
        experts_apart=bool(way.offloaded) and way.experts_apart,
    )


def _on_processor(machine: Machine, step: Step, way: LaidOut, at_full: Step) -> Speed:
    """A GPU beside it may be used instead. `at_full`: the step once the context is full."""
    memory, shared = bandwidth(machine), shared_gpu_of(machine, way.runtime)
    if memory is None:
        return Speed(how=_NO_MEMORY_RATE)
    own = slow, likely, fast = processor_seconds(machine, memory, step)
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow /= constant("unseen")[0]
    prompt = None if on_apple_gpu(machine) else processor_prompt(step, machine)
    how = f"{memory.how}{_conditions(step, is_seen=False)}"
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
        beside = _gpu_prompt(step, shared)
        if prompt is not None:
            high = 0.0 if beside is None else 1 / beside[2]
            prompt = None if beside is None else prompt.replace(high=max(prompt.high, high))
        how += f"; up to the speed of {shared.device.name}, if it is used"
    decode = PaceRange.of_seconds(Range(slow, likely, fast))
    if prompt is not None:
        # a prompt can be read one token at a time
        prompt = PaceRange.of(longest(prompt.ends, decode.ends))
    full_pace = _full_context(step, own, processor_seconds(machine, memory, at_full))
    return Speed(decode=decode, prompt=prompt, full_context_tokens_per_second=full_pace, how=how)


def _full_context(step: Step, own: Range, full: Range) -> float | None:
    """The likely pace once the context is full, where that is slower than a chat by a tenth."""
    is_deep = step.architecture is not None and step.depth_tokens
    return 1 / full[1] if is_deep and 1 / full[1] < _ABOUT_AS_FAST / own[1] else None


def _conditions(step: Step, *, is_seen: bool) -> str:
    """How much of the context is in use, and that the rules are another program's, as a clause."""
    tokens, how = units.tokens(int(step.depth_tokens)), ""
    if step.architecture is None:
        how = "; with an empty context, because the model's layers are not known"
    elif step.depth_tokens:
        is_short = step.depth_tokens <= SHORT_CHAT_TOKENS
        how = f"; in a chat of {tokens}" if is_short else f"; with {tokens} in the context"
    if step.foreign and not is_seen:
        how += f"; by the rules of {MEASURED}, because {step.foreign} was not measured"
    return how
