"""The pace of text where it is placed: on the processor, on GPUs one after the other or at once, on
a GPU that shares the RAM, with layers or experts in RAM.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core import units
from ...core.records import Record
from ...machine.record import Machine
from .engine import (
    Engine,
    Range,
    Step,
    added,
    constant,
    efficiency,
    ends_of,
    longer,
    parameters_met,
    scaled,
    seconds,
)
from .memory_bandwidth import BANDWIDTH_SHARE, Bandwidth, bandwidth, core_shares
from .processor import core_of, cores_rate, on_apple_gpu, threads_range
from .speed import (
    LEAST_READ_BYTES,
    NO_REST,
    SHORT_CHAT_TOKENS,
    LaidOut,
    PaceRange,
    PromptCopies,
    Speed,
    shared_gpu,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .graphics import Gpu

# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"


def why_unpaced(machine: Machine, read_bytes: int) -> str | None:
    """Why no pace can be told, whatever computes it; None where one can."""
    if read_bytes <= 0:
        return "how many bytes each token reads is not known"
    if read_bytes < LEAST_READ_BYTES:
        return "the program, not the weights, limits the speed of a model this small"
    if machine.emulated_on is not None:
        return f"programs are emulated on {machine.emulated_on}, and how fast is not known"
    return None


def processor_engine(machine: Machine, memory: Bandwidth) -> Engine:
    """The processor with all cores that a program uses."""
    threads, shares = threads_range(machine), core_shares(machine, memory)
    unpacks = core_of(machine).unpacks_bytes_per_second
    is_number_by_number = "avx512_fp16" in (machine.instruction_sets or ())
    figures, cores, unpacked, layers = constant("processor"), [], [], []
    waits, layer = figures["thread_seconds"], figures["layer_core_seconds"]
    for count, share, rate, waiting in zip(threads, shares, unpacks, waits, strict=True):
        cores.append(count * share)
        unpacked.append(count * rate)
        layers.append(layer / cores[-1] + figures["meeting_seconds"] + waiting * count)
    return Engine(
        how=memory.how,
        bandwidth=scaled(memory.ends, BANDWIDTH_SHARE),
        unpacks=(unpacked[0], unpacked[1], unpacked[2]),
        cores=(cores[0], cores[1], cores[2]),
        attending=(constant("attending_slow") if is_number_by_number else 1.0, 1.0, 1.0),
        layer_seconds=(layers[0], layers[1], layers[2]),
    )


def processor_seconds(machine: Machine, memory: Bandwidth, step: Step) -> Range:
    """Of one token that the processor reads from RAM: slow end, likely, fast end."""
    slow, likely, fast = seconds(step.work, processor_engine(machine, memory))
    if step.has_experts and not memory.measured:
        slow *= constant("processor")["experts_slow"]
    return slow, likely, fast


def seconds_on_processor(machine: Machine, step: Step) -> Range | None:
    """As `processor_seconds`, no end nearer than the likely one; None where nothing tells its
    bandwidth.
    """
    memory = bandwidth(machine)
    if memory is None:
        return None
    slow, likely, fast = processor_seconds(machine, memory, step)
    return max(slow, likely), likely, min(likely, fast)


def processor_prompt(step: Step, machine: Machine) -> PaceRange | None:
    """A prompt of some hundred tokens, on the processor; None: its operations are not known."""
    operations, rows = 0.0, constant("type")
    column = 0 if core_of(machine).wide else 1
    for name, count in parameters_met(step).items():
        shares = rows.get(name, {}).get("prompt", rows["F16"]["prompt"])
        is_expert = step.has_experts and name != "MXFP4"
        share = constant("read_prompt")["experts_on_cores"] if is_expert else 1.0
        operations += 2 * count / (shares[column] * share)
    if operations <= 0:
        return None
    return PaceRange.of(scaled(cores_rate(machine), 1 / operations))


class Placed(Record):
    """GPUs with their shares of what all of them hold, and the RAM that has the rest, `in_ram` of
    the layers (slow end, likely, fast end), or of a mixture the experts of it.
    """

    machine: Machine
    gpus: tuple[tuple[float, Gpu], ...]
    in_ram: Range = (0.0, 0.0, 0.0)
    memory: Bandwidth | None = None
    experts_apart: bool = False
    at_once: bool = False

    def seconds(self, step: Step) -> Range:
        """Of one token: slow end, likely, fast end."""
        if self.at_once:
            return longer(*(self._with_sums(step, share, gpu) for share, gpu in self.gpus))
        slow, likely, fast = self.in_ram
        taken = self._seconds(step, likely)
        if slow == likely == fast:
            return taken
        return self._seconds(step, slow)[0], taken[1], min(taken[2], self._seconds(step, fast)[2])

    def _with_sums(self, step: Step, share: float, gpu: Gpu) -> Range:
        """What a GPU takes for its part of every layer, and for adding up the parts."""
        slow, likely, fast = efficiency("together", gpu.device)["sum_us"]
        sums = scaled((slow, likely, fast), 1e-6 * step.layers)
        return added(gpu.seconds(step, share), sums)

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
        if step.launched_layers is None or len(self.gpus) == 1:
            return taken
        return added(taken, scaled(ends_of("processor", "handed_on_seconds"), step.layers))

    def _on_gpus(self, step: Step) -> Range:
        return added(*(scaled(gpu.seconds(step), share) for share, gpu in self.gpus))

    def prompt(
        self, step: Step, in_ram_bytes: tuple[int, float]
    ) -> tuple[PaceRange | None, PromptCopies | None, str]:
        """How fast a prompt is read, what of that crosses to the accelerators, and why so much."""
        from .prompt_copies import (
            copied_per_second,
            copies_of,
            gpu_prompt,
            how_copied,
            prompt_at_once,
        )

        if self.at_once:
            return prompt_at_once(step, self.gpus), None, ""
        computed, rest = gpu_prompt(step, self.gpus), self.in_ram[1]
        if computed is None or self.memory is None:
            return computed, None, ""
        on_cores = processor_prompt(step, self.machine)
        in_place = None if on_cores is None else _beside(1 - rest, computed, on_cores)
        if self.gpus[0][1].device.unified:
            return in_place, None, ""
        names = dict.fromkeys(gpu.name for _, gpu in self.gpus)
        rates = copied_per_second(names, has_experts=step.has_experts)
        copies = copies_of(computed, *in_ram_bytes, rates).replace(in_place=in_place)
        return copies.pace, copies, how_copied(in_ram_bytes[0], rates)

    def how(self, step: Step) -> str:
        """What the pace rests on, as a clause."""
        counted = units.counted([gpu.engine(step).how for _, gpu in self.gpus])
        how = f"on {' and '.join(counted)}"
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


def _beside(share: float, on_gpus: PaceRange, on_cores: PaceRange) -> PaceRange:
    """A prompt of which GPUs read that share of the layers, and the processor the others."""
    taken = added(scaled(on_gpus.seconds, share), scaled(on_cores.seconds, 1 - share))
    return PaceRange.of_seconds(taken)


def predict_step(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    reason = why_unpaced(machine, step.weights_bytes)
    if reason is not None:
        return Speed(how=reason)
    context = max(way.context_tokens or 0, step.depth_tokens)
    placed: Placed | str | None = None
    if way.offloaded:
        placed = _on_accelerators(machine, step, way, way.offloaded)
    else:
        placed = _on_shared_gpu(machine, way)
    if placed is None:
        return _on_processor(machine, step, context, way)
    if isinstance(placed, str):
        return Speed(how=placed)
    taken = placed.seconds(step)
    prompt, copies, crossing = placed.prompt(step, way.in_ram_bytes)
    full = _full_context(step, context, taken, placed.seconds(step.at(context)))
    how = f"{placed.how(step)}{_in_context(step)}{crossing}"
    return Speed(
        decode=PaceRange.of_seconds(taken),
        prompt=prompt,
        prompt_copies=copies,
        full_context_tokens_per_second=full,
        how=how + _by_rules_of_others(step, placed),
    )


def _on_accelerators(
    machine: Machine, step: Step, way: LaidOut, offloaded: Mapping[int, float]
) -> Placed | str:
    """Those that hold a share; a clause where the pace of one is not known."""
    from ..placement.experts import left_in_ram
    from .graphics import gpu_of

    devices, parts = machine.accelerators or (), []
    held = sum(offloaded.values())
    for number, share in offloaded.items():
        gpu = gpu_of(devices[number], machine.architecture) if number < len(devices) else None
        if gpu is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return f"the memory bandwidth of {name} is not known"
        parts.append((share / held, gpu))
    if way.at_once and len(parts) > 1:
        return Placed(machine=machine, gpus=tuple(parts), at_once=True)
    rest = max(0.0, 1 - held)
    if rest <= NO_REST:
        return Placed(machine=machine, gpus=tuple(parts))
    memory = bandwidth(machine)
    if memory is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return Placed(
        machine=machine,
        gpus=tuple(parts),
        in_ram=(rest, rest, rest * (1 - way.filled)),
        memory=memory,
        experts_apart=way.experts_apart and left_in_ram(step, held) is not None,
    )


def _on_shared_gpu(machine: Machine, way: LaidOut) -> Placed | str | None:
    """A GPU that shares the RAM, but for the layers beyond what it is let to hold: those are the
    processor's, one after the other. None where the program does not surely use it.
    """
    shared, (slow, likely, fast) = shared_gpu(machine, way.runtime), way.on_shared
    if shared is None or not shared.used:
        return None
    memory = None if min(way.on_shared) >= 1 else bandwidth(machine)
    if min(way.on_shared) < 1 and memory is None:
        return f"part of it runs on the processor, and {_NO_MEMORY_RATE}"
    in_ram = 1 - slow, 1 - likely, 1 - fast
    return Placed(machine=machine, gpus=((1.0, shared.gpu),), in_ram=in_ram, memory=memory)


def _on_processor(machine: Machine, step: Step, context: float, way: LaidOut) -> Speed:
    """Read from RAM by the processor; a GPU beside it may be used instead."""
    memory, shared = bandwidth(machine), shared_gpu(machine, way.runtime)
    if memory is None:
        return Speed(how=_NO_MEMORY_RATE)
    own = processor_seconds(machine, memory, step)
    slow, likely, fast = own
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow *= constant("processor")["vague_slow"]
    prompt = None if step.foreign or on_apple_gpu(machine) else processor_prompt(step, machine)
    how = f"{memory.how}{_in_context(step)}"
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.gpu.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
        from .prompt_copies import gpu_prompt

        beside = gpu_prompt(step, [(1.0, shared.gpu)])
        if prompt is not None:
            prompt = None if beside is None else prompt.replace(high=max(prompt.high, beside.high))
        how += f"; up to the speed of {shared.gpu.name}, if it is used"
    decode = PaceRange.of_seconds((slow, likely, fast))
    if prompt is not None:
        # a prompt can be read one token at a time
        low, usual, high = map(max, prompt.ends, decode.ends)
        prompt = PaceRange(low=low, likely=usual, high=high)
    full = processor_seconds(machine, memory, step.at(context))
    return Speed(
        decode=decode,
        prompt=prompt,
        full_context_tokens_per_second=_full_context(step, context, own, full),
        how=how + _by_rules_of_others(step, None),
    )


def _full_context(step: Step, context: float, own: Range, full: Range) -> float | None:
    """The likely pace once the context is full, where that is slower than a chat by a tenth."""
    is_deep = step.architecture is not None and step.depth_tokens and context
    return 1 / full[1] if is_deep and 1 / full[1] < _ABOUT_AS_FAST / own[1] else None


def _in_context(step: Step) -> str:
    """How much of the context is in use, as a clause."""
    if step.architecture is None:
        return "; with an empty context, because the model's layers are not known"
    if not step.depth_tokens:
        return ""
    tokens = units.tokens(int(step.depth_tokens))
    is_short = step.depth_tokens <= SHORT_CHAT_TOKENS
    return f"; in a chat of {tokens}" if is_short else f"; with {tokens} in the context"


def _by_rules_of_others(step: Step, placed: Placed | None) -> str:
    """That the rules are another program's, as a clause."""
    rows = (
        [efficiency("decode", gpu.device, step.program) for _, gpu in placed.gpus] if placed else []
    )
    is_seen = placed is not None and placed.memory is None and all("program" in row for row in rows)
    if not step.foreign or is_seen:
        return ""
    return f"; by the rules of llama.cpp, because {step.foreign} was not measured"
