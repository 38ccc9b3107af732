"""The pace of one step of text where it is placed: on the processor, on GPUs one after the other or
at once, on a GPU that shares the RAM, with layers or experts in RAM.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.architecture import Architecture
from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...machine.record import Machine
from ...needs.records import Needs
from .engine import (
    MEASURED,
    NOTHING,
    SHORT_CHAT_TOKENS,
    Engine,
    Range,
    Step,
    added,
    constant,
    efficiency,
    longer,
    ordered,
    scaled,
    seconds,
)
from .graphics import Gpu, gpu_of
from .memory_bandwidth import BANDWIDTH_SHARE, Bandwidth, bandwidth
from .processor import core_of, kind_of, on_apple_gpu, threads_range
from .prompts import at_once, copied_per_second, gpu_prompt, processor_prompt
from .speed import (
    WHOLLY,
    PaceRange,
    PromptCopies,
    Speed,
    shared_gpu_of,
    shares_of,
    uses_shared_gpu,
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
    on_shared: Range = WHOLLY


def laid_out(
    placed: Needs,
    machine: Machine,
    program: RuntimeSpec | None,
    architecture: Architecture | None,
    context_tokens: int | None,
) -> LaidOut:
    """How that program computes what is placed so; None: one that shares layers out."""
    on_shared, in_ram_bytes = WHOLLY, 0
    if any(card.unified for card in machine.accelerators or ()):
        from ..placement.shared_memory import share_on_shared

        splits = architecture is not None and (program is None or program.splits_layers)
        layers = architecture.layers if splits and architecture is not None else None
        on_shared = share_on_shared(placed, machine, layers)
    if placed.placement == "split":
        in_ram_bytes = weights_by_place(placed).get("host", 0)
    return LaidOut(
        runtime=program,
        context_tokens=context_tokens,
        offloaded=shares_of(placed) if placed.placement != "host" else None,
        in_ram_bytes=in_ram_bytes,
        at_once=program is not None and bool(program.tensor_parallel_option),
        experts_apart=program is not None and program.leaves_experts,
        on_shared=on_shared,
    )


# ---------------------------------------------------------------- the processor


def processor_seconds(machine: Machine, memory: Bandwidth, step: Step) -> Range:
    """Of one token that the processor reads from RAM, with all cores that the program uses."""
    threads, shares = threads_range(machine), kind_of(machine)[1]
    unpacks, figures = core_of(machine).unpacks_bytes_per_second, constant("processor")
    cores = threads[0] * shares[0], threads[1] * shares[1], threads[2] * shares[2]
    waiting = [
        count * waits for count, waits in zip(threads, figures["thread_seconds"], strict=True)
    ]
    layer, meeting = figures["layer_core_seconds"], figures["meeting_seconds"]
    layers = [layer / each + meeting + waits for each, waits in zip(cores, waiting, strict=True)]
    engine = Engine(
        bandwidth=scaled(memory.ends, BANDWIDTH_SHARE),
        unpacks=(threads[0] * unpacks[0], threads[1] * unpacks[1], threads[2] * unpacks[2]),
        cores=cores,
        layer_seconds=(layers[0], layers[1], layers[2]),
    )
    slow, likely, fast = seconds(step.work(on_gpu=False), engine)
    if step.has_experts and not memory.measured:
        slow *= figures["experts_slow"]
    return slow, likely, fast


def seconds_on_processor(machine: Machine, step: Step) -> Range | None:
    """As `processor_seconds`, no end nearer than the likely one; None where nothing tells its
    bandwidth.
    """
    memory = bandwidth(machine)
    return None if memory is None else ordered(processor_seconds(machine, memory, step))


# ---------------------------------------------------------------- GPUs


class Placed(Record):
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
            return longer(*(_with_sums(step, share, gpu) for share, gpu in self.gpus))
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

    def prompt(
        self, step: Step, in_ram_bytes: int
    ) -> tuple[PaceRange | None, PromptCopies | None, str]:
        """How fast a prompt is read, what of that crosses to the accelerators, and why so much."""
        if self.at_once:
            return at_once(step, self.gpus), None, ""
        computed, rest = gpu_prompt(step, self.gpus), self.in_ram[1]
        if computed is None or self.memory is None:
            return computed, None, ""
        on_cores, in_place = processor_prompt(step, self.machine), None
        if on_cores is not None:
            taken = scaled(computed.seconds, 1 - rest), scaled(on_cores.seconds, rest)
            in_place = PaceRange.of_seconds(added(*taken))
        if self.gpus[0][1].device.unified:
            return in_place, None, ""
        names = dict.fromkeys(gpu.device.name for _, gpu in self.gpus)
        rates = copied_per_second(names, has_experts=step.has_experts)
        tokens = constant("read_prompt")["batch_tokens"]
        copies = PromptCopies(
            computed=computed,
            in_place=in_place,
            seconds=(in_ram_bytes / rates[0], in_ram_bytes / rates[1], in_ram_bytes / rates[2]),
            batch_tokens=tokens,
        )
        slow, fast = (units.decimal(int(rate)) for rate in (rates[0], rates[2]))
        how = (
            f"; for each {units.tokens(tokens)} of a prompt {units.decimal(in_ram_bytes)} of"
            f" weights cross to the GPU, at {slow}/s to {fast}/s"
        )
        return copies.pace, copies, how

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


def _with_sums(step: Step, share: float, gpu: Gpu) -> Range:
    """What a GPU takes for its part of every layer, and for adding up the parts."""
    slow, likely, fast = efficiency("together", gpu.device)["sum_us"]
    sums = scaled((slow, likely, fast), 1e-6 * step.layers)
    return added(gpu.seconds(step, share), sums)


# ---------------------------------------------------------------- the pace


def predict(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    if step.weights_bytes <= 0:
        return Speed(how="how many bytes each token reads is not known")
    if step.weights_bytes < _LEAST_READ_BYTES:
        how = "the program, not the weights, limits the speed of a model this small"
        return Speed(how=how)
    if machine.emulated_on is not None:
        return Speed(
            how=f"programs are emulated on {machine.emulated_on}, and how fast is not known"
        )
    context = max(way.context_tokens or 0, step.depth_tokens)
    placed: Placed | str | None = None
    if way.offloaded:
        placed = _on_accelerators(machine, step, way, way.offloaded)
    elif uses_shared_gpu(machine, way.runtime):
        placed = _on_shared_gpu(machine, way)
    if placed is None:
        return _on_processor(machine, step, context, way)
    if isinstance(placed, str):
        return Speed(how=placed)
    taken = placed.seconds(step)
    prompt, copies, crossing = placed.prompt(step, way.in_ram_bytes)
    rows = [efficiency("decode", gpu.device, step.program) for _, gpu in placed.gpus]
    is_seen = placed.memory is None and all("program" in row for row in rows)
    return Speed(
        decode=PaceRange.of_seconds(taken),
        prompt=prompt,
        prompt_copies=copies,
        full_context_tokens_per_second=_full_context(step, taken, placed.seconds(step.at(context))),
        how=f"{placed.how(step)}{_conditions(step, is_seen=is_seen)}{crossing}",
    )


def _on_accelerators(
    machine: Machine, step: Step, way: LaidOut, offloaded: Mapping[int, float]
) -> Placed | str:
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
        return Placed(machine=machine, gpus=tuple(parts), at_once=is_at_once)
    memory = bandwidth(machine)
    if memory is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return Placed(
        machine=machine,
        gpus=tuple(parts),
        in_ram=(rest, rest, rest),
        memory=memory,
        experts_apart=way.experts_apart and left_in_ram(step, held) is not None,
    )


def _on_shared_gpu(machine: Machine, way: LaidOut) -> Placed | str | None:
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
    return Placed(machine=machine, gpus=((1.0, gpu),), in_ram=in_ram, memory=memory)


def _on_processor(machine: Machine, step: Step, context: float, way: LaidOut) -> Speed:
    """Read from RAM by the processor; a GPU beside it may be used instead."""
    memory, shared = bandwidth(machine), shared_gpu_of(machine, way.runtime)
    if memory is None:
        return Speed(how=_NO_MEMORY_RATE)
    own = slow, likely, fast = processor_seconds(machine, memory, step)
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow /= constant("unseen")[0]
    prompt = None if step.foreign or on_apple_gpu(machine) else processor_prompt(step, machine)
    how = f"{memory.how}{_conditions(step, is_seen=False)}"
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
        beside = gpu_prompt(step, [(1.0, shared)])
        if prompt is not None:
            prompt = None if beside is None else prompt.replace(high=max(prompt.high, beside.high))
        how += f"; up to the speed of {shared.device.name}, if it is used"
    decode = PaceRange.of_seconds((slow, likely, fast))
    if prompt is not None:
        # a prompt can be read one token at a time
        low, usual, high = map(max, prompt.ends, decode.ends)
        prompt = PaceRange(low=low, likely=usual, high=high)

    full = _full_context(step, own, processor_seconds(machine, memory, step.at(context)))
    return Speed(decode=decode, prompt=prompt, full_context_tokens_per_second=full, how=how)


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
