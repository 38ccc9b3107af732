"""The pace of text where it is placed: on the processor, on GPUs one after the other or at once, on
a GPU that shares the RAM, with layers or experts in RAM; of a step, and of reading a prompt.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what
reads a weight in RAM to a device that `offload_op` says wants it, which those of CUDA, HIP, Vulkan
and SYCL do from 32 tokens on. What lies between such products, as attention, goes along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...catalogue.architecture import Architecture
from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...machine import gpus
from ...machine.record import Machine
from ...needs.records import Needs
from .engine import MEASURED, SHORT_CHAT_TOKENS, Step, constant, efficiency, ends_of
from .graphics import Gpu, gpu_of, shared_gpu_of, uses_shared_gpu
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
    PromptCopies,
    Range,
    Speed,
    added,
    inverse,
    longer,
    ordered,
    product,
    scaled,
    shares_of,
    weights_by_place,
)

# a GPU and the share of the layers that it computes
_Parts = Sequence[tuple[float, Gpu]]
# of a share, what rounding leaves
_NO_REST = 1e-6
# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
_LEAST_READ_BYTES = 1 << 20
# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"
# after attention and after the feed-forward network each accelerator has a part of every number of
# a token, in 16 bits (Megatron-LM, arXiv 1909.08053, section 3)
_SUMS_OF_LAYER, _SUMMED_NUMBER_BYTES = 2, 2


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    `runtime`: the program, None for the one that was measured; `context_tokens`: for how many there
    is room. `offloaded`: number of an accelerator in the machine's list -> share of the layers that
    lie on it (`shares_of`); the rest is in RAM, `in_ram_bytes` of the weights. `at_once`: each of
    several has a part of every layer, instead of whole layers. `experts_apart`: of a mixture that a
    GPU does not hold, experts are left to the RAM instead of whole layers. `on_shared`: share of
    the layers that a GPU which shares the RAM computes (`shared_memory.share_on_shared`).
    """

    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: int = 0
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = SAME


def laid_out(
    placed: Needs,
    machine: Machine,
    program: RuntimeSpec | None,
    architecture: Architecture | None,
    context_tokens: int | None,
) -> LaidOut:
    """How that program computes what is placed so; None: one that shares layers out."""
    on_shared = SAME
    if any(card.unified for card in machine.accelerators or ()):
        from ..placement.devices import share_on_shared

        splits = architecture is not None and (program is None or program.splits_layers)
        layers = architecture.layers if splits and architecture is not None else None
        on_shared = share_on_shared(placed, machine, layers)
    is_split = placed.placement == "split"
    return LaidOut(
        runtime=program,
        context_tokens=context_tokens,
        offloaded=shares_of(placed) if placed.placement != "host" else None,
        in_ram_bytes=weights_by_place(placed).get("host", 0) if is_split else 0,
        at_once=program is not None and bool(program.tensor_parallel_option),
        experts_apart=program is not None and program.leaves_experts,
        on_shared=on_shared,
    )


# ---------------------------------------------------------------- a step


def processor_seconds(machine: Machine, memory: Bandwidth, step: Step) -> Range:
    """Of one token that the processor reads from RAM, with all cores that the program uses: each
    waits for the slower one, memory or the cores that get through what it gives.
    """
    rows, figures, packed = constant("type"), constant("processor"), step.packed
    packed_bytes, (cached_bytes, attending) = sum(packed.values()), step.context()
    core_seconds = sum(
        size / (rows.get(name, rows["F16"])["gb_s"] * 1e9) for name, size in step.read_bytes.items()
    )
    # what cores unpack while memory waits
    waited = sum(
        size / (rows[name]["unpack_gb_s"] * 1e9)
        for name, size in packed.items()
        if "unpack_gb_s" in rows.get(name, {})
    )
    taken = []
    for rate, threads, share, unpacks, waits in zip(
        scaled(memory.ends, BANDWIDTH_SHARE),
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
    return taken[0], taken[1], taken[2]


def seconds_on_processor(machine: Machine, step: Step) -> Range | None:
    """As `processor_seconds`, no end nearer than the likely one; None where nothing tells its
    bandwidth.
    """
    memory = bandwidth(machine)
    return None if memory is None else ordered(processor_seconds(machine, memory, step))


class _Placed(Record):
    """GPUs with their shares of what all of them hold, and the RAM that has the rest, `in_ram` of
    the layers, or of a mixture the experts of it.
    """

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
            return longer(
                *(
                    added(
                        gpu.seconds(step, share),
                        scaled(efficiency("together", gpu.device)["sum_us"], 1e-6 * step.layers),
                    )
                    for share, gpu in self.gpus
                )
            )
        slow, likely, fast = (self._seconds(step, in_ram) for in_ram in self.in_ram)
        return slow[0], likely[1], min(likely[2], fast[2])

    def _seconds(self, step: Step, in_ram: float) -> Range:
        from ..placement.experts import CROSSING_SECONDS, SLOWER, left_in_ram, parts_of

        left = left_in_ram(step, 1 - in_ram) if self.experts_apart else None
        if left is not None and self.memory is not None:
            on_gpus, experts = parts_of(step, left)
            # `SLOWER`, of the whole step, holds what experts take longer
            beside = processor_seconds(self.machine, self.memory, experts)
            crossing = scaled(CROSSING_SECONDS, left.layers)
            slow, likely, fast = added(self._on_gpus(on_gpus), beside, crossing)
            return slow * SLOWER, likely, fast
        taken = scaled(self._on_gpus(step), 1 - in_ram)
        if self.memory is not None:
            beside = processor_seconds(self.machine, self.memory, step)
            taken = added(taken, scaled(beside, in_ram))
        return taken

    def _on_gpus(self, step: Step) -> Range:
        return added(*(scaled(gpu.seconds(step), share) for share, gpu in self.gpus))

    def prompt(self, step: Step, in_ram_bytes: int) -> tuple[PaceRange | None, PromptCopies | None]:
        """How fast a prompt is read, and what of that crosses to the accelerators."""
        if self.at_once:
            return _prompt_at_once(step, self.gpus), None
        computed, rest = _gpu_prompt(step, self.gpus), self.in_ram[1]
        if computed is None or self.memory is None:
            return computed, None
        on_cores, in_place = processor_prompt(step, self.machine), None
        if on_cores is not None:
            taken = scaled(computed.seconds, 1 - rest), scaled(on_cores.seconds, rest)
            in_place = PaceRange.of_seconds(added(*taken))
        if self.gpus[0][1].device.unified:
            return in_place, None
        names = dict.fromkeys(gpu.device.name for _, gpu in self.gpus)
        rates = _copied_per_second(names, has_experts=step.has_experts)
        copies = PromptCopies(
            computed=computed,
            in_place=in_place,
            seconds=scaled(inverse(rates), in_ram_bytes),
            batch_tokens=constant("read_prompt")["batch_tokens"],
        )
        return copies.pace, copies

    def how(self, step: Step) -> str:
        """What the pace rests on, as a clause."""
        how = f"on {' and '.join(units.counted([gpu.how(step) for _, gpu in self.gpus]))}"
        if self.gpus[0][1].device.unified:
            how += ", which shares the RAM"
        if self.at_once:
            return f"{how}, each of which reads its part of every layer at the same time"
        if self.memory is None:
            return how
        from ..placement.experts import left_in_ram

        left = left_in_ram(step, 1 - self.in_ram[1]) if self.experts_apart else None
        if left is not None:
            return f"{how}, the experts of {left.layers:.0f} layers in RAM: {self.memory.how}"
        held = units.percent_range(1 - self.in_ram[0], 1 - self.in_ram[2])
        return f"{held} of the layers {how}, the rest in RAM: {self.memory.how}"


# ---------------------------------------------------------------- a prompt


def processor_prompt(step: Step, machine: Machine) -> PaceRange | None:
    """A prompt, on the processor: what its weights compute and attention to what stands before;
    None: its operations are not known.
    """
    operations, rows = 0.0, constant("type")
    column = 0 if core_of(machine).wide else 1
    slow, usual, fast = ends_of("read_prompt", "experts_on_cores")
    for name, count in step.parameters_met().items():
        share = rows.get(name, {}).get("prompt", rows["F16"]["prompt"])[column]
        is_expert = step.has_experts and name != "MXFP4"
        operations += 2 * count / share / (usual if is_expert else 1.0)
    if operations <= 0:
        return None
    dense = rate = product(cores_rate(machine), ends_of("read_prompt", "reached_on_cores"))
    if step.has_experts:
        rate = product(rate, (slow / usual, 1.0, fast / usual))
    attended = _attended(step, dense, "attended_on_processor")
    return PaceRange.of_seconds(added(scaled(inverse(rate), operations), attended))


def _attended(step: Step, rate: Range, where: str) -> Range:
    """Seconds of attention for a token of the prompt, at a share of the rate of dense matrices."""
    return scaled(inverse(product(rate, ends_of("batch", where))), step.attended_operations())


def _gpu_prompt(step: Step, parts: _Parts) -> PaceRange | None:
    """A prompt, on GPUs that compute those shares of all layers one after the other. None where
    nothing tells how fast one computes, or how the program does on it.
    """
    operations, program = 2 * sum(step.parameters_met().values()), step.foreign or ""
    # the shares of other programs hold what launching takes, those of mixtures the most of it
    slow, usual, fast = NOTHING if program else ends_of("read_prompt", "launched_seconds")
    per_token = step.layers / constant("read_prompt")["batch_tokens"]
    launched = scaled((usual if step.has_experts else slow, usual, fast), per_token)
    taken = []
    for share, gpu in parts:
        row = efficiency("share", gpu.device, program, work="prompt")
        dense, rate = _arithmetic(gpu, program), _arithmetic(gpu, program, step.has_experts)
        if dense is None or rate is None or (program and "program" not in row) or operations <= 0:
            return None
        attended = _attended(step, dense, "attended_on_gpu")
        computed = added(scaled(inverse(rate), operations), attended, launched)
        taken.append(scaled(computed, share))
    return PaceRange.of_seconds(added(*taken))


def _arithmetic(gpu: Gpu, program: str, has_experts: bool = False) -> Range | None:
    """Operations a second that prompts reach on a GPU: as its runs had them, else of its peak;
    None where neither is known.
    """
    device, kind = gpu.device, "experts" if has_experts else "dense"
    measured = gpus.fact_of(device.name, "prompt_tflops")
    if not program and measured is not None:
        return scaled(constant("measured_prompt")[kind], measured * 1e12)
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    if peak is None:
        return None
    row = efficiency("share", device, program, work="prompt")
    return scaled(row["experts" if has_experts else "share"], peak)


def _prompt_at_once(step: Step, parts: _Parts) -> PaceRange | None:
    """A prompt where each computes its part of every layer: the slowest of them, and adding up."""
    prompts = [(share, _gpu_prompt(step, [(1.0, gpu)])) for share, gpu in parts]
    computed = [scaled(prompt.seconds, share) for share, prompt in prompts if prompt is not None]
    if step.architecture is None or len(computed) < len(parts):
        return None
    numbers = _SUMS_OF_LAYER * step.layers * step.architecture.embedding_length
    # in a ring each sends all of it but its own part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
    sent_bytes = _SUMMED_NUMBER_BYTES * numbers * 2 * (len(parts) - 1) / len(parts)
    sums = [
        scaled(inverse(efficiency("together", gpu.device)["sum_gb_s"]), sent_bytes / 1e9)
        for _, gpu in parts
    ]
    return PaceRange.of_seconds(added(longer(*computed), longer(*sums)))


def _copied_per_second(names: Iterable[str], *, has_experts: bool) -> Range:
    """Bytes per second of weights that cross to the GPUs of these names, one after the other.
    Without experts all of them cross, no faster than the link carries.
    """
    most, links = constant("read_prompt")["most_of_link"], []
    for name in names:
        link = gpus.link_bytes_per_second(name)
        ends = ends_of("read_prompt", "any_link")
        links.append(ends if link is None else scaled(SAME, min(link, most)))
    slow, likely, fast = map(min, zip(*links, strict=True))
    shares = ends_of("read_prompt", "share_of_link")
    return slow * shares[0], likely * shares[1], fast * (shares[2] if has_experts else 1.0)


# ---------------------------------------------------------------- the pace


def predict(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    if step.weights_bytes <= 0:
        return Speed(how="how many bytes each token reads is not known")
    if step.weights_bytes < _LEAST_READ_BYTES:
        how = "the program, not the weights, limits the speed of a model this small"
        return Speed(how=how)
    placed: _Placed | str | None = None
    if way.offloaded:
        placed = _on_accelerators(machine, step, way, way.offloaded)
    elif uses_shared_gpu(machine, way.runtime):
        placed = _on_shared_gpu(machine, way)
    if placed is None:
        return _on_processor(machine, step, way)
    if isinstance(placed, str):
        return Speed(how=placed)
    taken, full = placed.seconds(step), placed.seconds(_at_full_context(step, way))
    prompt, copies = placed.prompt(step, way.in_ram_bytes)
    rows = [efficiency("decode", gpu.device, step.program) for _, gpu in placed.gpus]
    is_seen = placed.memory is None and all("program" in row for row in rows)
    how = f"{placed.how(step)}{_conditions(step, is_seen=is_seen)}"
    if copies is not None:
        size, batch = units.decimal(way.in_ram_bytes), units.tokens(copies.batch_tokens)
        how += f"; for each {batch} of a prompt {size} of weights cross to the GPU"
    return Speed(
        decode=PaceRange.of_seconds(taken),
        prompt=prompt,
        prompt_copies=copies,
        full_context_tokens_per_second=_full_context(step, taken, full),
        how=how,
    )


def _on_accelerators(
    machine: Machine, step: Step, way: LaidOut, offloaded: Mapping[int, float]
) -> _Placed | str:
    """Those that hold a share; a clause where the pace of one is not known."""
    from ..placement.experts import left_in_ram

    devices, parts = machine.accelerators or (), []
    held = sum(offloaded.values())
    for number, share in offloaded.items():
        gpu = gpu_of(devices[number], machine.architecture) if number < len(devices) else None
        if gpu is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return f"the memory bandwidth of {name} is not known"
        parts.append((share / held, gpu))
    rest, is_at_once = max(0.0, 1 - held), way.at_once and len(parts) > 1
    if is_at_once or rest <= _NO_REST:
        return _Placed(machine=machine, gpus=tuple(parts), at_once=is_at_once)
    memory = bandwidth(machine)
    if memory is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return _Placed(
        machine=machine,
        gpus=tuple(parts),
        in_ram=(rest, rest, rest),
        memory=memory,
        experts_apart=way.experts_apart and left_in_ram(step, held) is not None,
    )


def _on_shared_gpu(machine: Machine, way: LaidOut) -> _Placed | str | None:
    """A GPU that shares the RAM, but for the layers beyond what it is let to hold: those are the
    processor's, one after the other.
    """
    gpu, (slow, likely, fast) = shared_gpu_of(machine, way.runtime), way.on_shared
    if gpu is None:
        return None
    memory = None if min(way.on_shared) >= 1 else bandwidth(machine)
    if min(way.on_shared) < 1 and memory is None:
        return f"part of it runs on the processor, and {_NO_MEMORY_RATE}"
    in_ram = 1 - slow, 1 - likely, 1 - fast
    return _Placed(machine=machine, gpus=((1.0, gpu),), in_ram=in_ram, memory=memory)


def _on_processor(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """Read from RAM by the processor; a GPU beside it may be used instead."""
    memory, shared = bandwidth(machine), shared_gpu_of(machine, way.runtime)
    if memory is None:
        return Speed(how=_NO_MEMORY_RATE)
    own = slow, likely, fast = processor_seconds(machine, memory, step)
    full = processor_seconds(machine, memory, _at_full_context(step, way))
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow /= constant("unseen")[0]
    prompt = None if step.foreign or on_apple_gpu(machine) else processor_prompt(step, machine)
    how = f"{memory.how}{_conditions(step, is_seen=False)}"
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
        beside = _gpu_prompt(step, [(1.0, shared)])
        if prompt is not None:
            prompt = None if beside is None else prompt.replace(high=max(prompt.high, beside.high))
        how += f"; up to the speed of {shared.device.name}, if it is used"
    decode = PaceRange.of_seconds((slow, likely, fast))
    if prompt is not None:
        # a prompt can be read one token at a time
        low, usual, high = map(max, prompt.ends, decode.ends)
        prompt = PaceRange(low=low, likely=usual, high=high)
    full_pace = _full_context(step, own, full)
    return Speed(decode=decode, prompt=prompt, full_context_tokens_per_second=full_pace, how=how)


def _at_full_context(step: Step, way: LaidOut) -> Step:
    return step.at(max(way.context_tokens or 0, step.depth_tokens))


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
