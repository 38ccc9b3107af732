"""How fast a model would go on GPUs: several with memory of their own, the rest in RAM, or one that
shares the RAM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...core import units
from ...core.records import Record
from ...machine import gpus
from ...machine.record import Machine
from ..placement.experts import (
    CROSSING_SECONDS,
    SLOWER,
    Left,
    expert_parameters,
    left_in_ram,
    time_share,
)
from ..placement.experts import parts_of as parts_with_experts
from ..ranges import Range, added
from .graphics import Gpu, gpu_of
from .memory_bandwidth import Bandwidth, bandwidth
from .prompt_copies import copied_per_second, copies_of, how_copied
from .speed import (
    NO_REST,
    LaidOut,
    PaceRange,
    PromptCopies,
    SharedGpu,
    Speed,
    by_llama,
    decoding,
    gpu_prompt,
    processor_prompt,
    processor_seconds,
)
from .step import Step

# a layer more where Python hands what it computes from one GPU to the next, with a hook before
# each: slow end, likely, fast end. 72B on two A100 took 29 and 30 ms longer than on one of twice
# the memory (tests/truth/speed_transformers.json, rows `fitted`), in rows `kept` 37 to 51
_HANDED_ON_SECONDS = (0.0007, 0.0004, 0.0001)
# after attention and after the feed-forward network each accelerator has a part of every number of
# a token, in 16 bits (Megatron-LM, arXiv 1909.08053, section 3)
_SUMS_OF_LAYER, _SUMMED_NUMBER_BYTES = 2, 2
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"


class Part(Record):
    """A GPU and the share of the model that it holds."""

    share: float
    gpu: Gpu


def parts_of(machine: Machine, offloaded: Mapping[int, float]) -> list[Part] | str:
    """The accelerators that hold a share; a clause where the pace of one is not known."""
    devices, parts = machine.accelerators or (), []
    for number, share in offloaded.items():
        gpu = gpu_of(devices[number]) if number < len(devices) else None
        if gpu is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return f"the memory bandwidth of {name} is not known"
        host = gpus.host_shares(devices[number].vendor.lower(), machine.architecture)
        parts.append(Part(share=share, gpu=gpu if host is None else gpu.replace(host=host)))
    return parts


def with_accelerators(machine: Machine, step: Step, context: float, way: LaidOut) -> Speed:
    """Accelerators one after the other, then the layers in RAM, or the experts. For a prompt what
    lies there crosses to the accelerators.
    """
    offloaded = way.offloaded or {}
    parts = parts_of(machine, offloaded)
    if isinstance(parts, str):
        return Speed(how=parts)
    rest = max(0.0, 1 - sum(offloaded.values()))
    memory = bandwidth(machine) if rest > NO_REST else None
    if rest > NO_REST and memory is None:
        return Speed(how=f"part of it runs in RAM, and {_NO_MEMORY_RATE}")
    is_apart = memory is not None and way.experts_apart
    split = _Split(
        machine=machine,
        parts=tuple(parts),
        memory=memory,
        experts_apart=is_apart and left_in_ram(step, 1 - rest) is not None,
        in_ram=rest,
        filled=0.0 if memory is None else way.filled,
    )
    speed = decoding(step, context, split.seconds, split.how(step))
    if speed.decode is None:
        return speed
    prompt, copies, crossing = split.prompt(step, way.in_ram_bytes, 1 / speed.decode.likely)
    how = speed.how + crossing + _by_llama(step, parts, memory is not None)
    return speed.replace(prompt=prompt, prompt_copies=copies, how=how)


class _Split(Record):
    """Accelerators with their shares of the weights, and the RAM that has the rest, the share
    `in_ram`; of that `filled` lies on them too at the fast end.
    """

    machine: Machine
    parts: tuple[Part, ...]
    memory: Bandwidth | None
    experts_apart: bool
    in_ram: float
    filled: float

    def seconds(self, step: Step) -> Range:
        """Slow end, likely, fast end."""
        slow, likely, fast = self._seconds(step, self.in_ram)
        if self.filled:
            fast = min(fast, self._seconds(step, self.in_ram * (1 - self.filled))[2])
        return slow, likely, fast

    def _seconds(self, step: Step, in_ram: float) -> Range:
        """As `seconds`, where such a share of all lies in RAM, and the accelerators have theirs of
        the others.
        """
        held = sum(part.share for part in self.parts)
        shares = [(1 - in_ram) * part.share / held for part in self.parts]
        left = left_in_ram(step, 1 - in_ram) if self.experts_apart else None
        if self.memory is not None and left is not None:
            return self._with_experts_in_ram(self.memory, step, left)
        taken = _in_turn(step, self.parts, shares)
        if self.memory is not None:
            beside = processor_seconds(self.machine, self.memory, step)
            taken = added(taken, _scaled(beside, in_ram))
        if step.launched_layers is None or len(self.parts) == 1:
            return taken
        return added(taken, _scaled(_HANDED_ON_SECONDS, step.layers))

    def _with_experts_in_ram(self, memory: Bandwidth, step: Step, left: Left) -> Range:
        """GPUs take every layer one after the other, each its part of them; between two of them the
        processor computes the experts that lie in RAM.
        """
        on_devices, in_ram = parts_with_experts(step, left)
        held = sum(part.share for part in self.parts)
        # `SLOWER`, of the whole step, holds what experts take longer
        beside = processor_seconds(self.machine, memory, in_ram, experts_slow=1.0)
        slow, likely, fast = added(
            _in_turn(on_devices, self.parts, [part.share / held for part in self.parts]),
            beside,
            _scaled(CROSSING_SECONDS, left.layers),
        )
        return slow * SLOWER, likely, fast

    def _left(self, step: Step) -> Left | None:
        """The experts in RAM, where they lie apart."""
        return left_in_ram(step, 1 - self.in_ram) if self.experts_apart else None

    def prompt(
        self, step: Step, in_ram_bytes: tuple[int, float], step_seconds: float
    ) -> tuple[PaceRange | None, PromptCopies | None, str]:
        """How fast a prompt is read, what of that crosses to the accelerators, and why so much.
        `step_seconds` are the likely ones of a step.
        """
        held: dict[str, float] = {}
        for part in self.parts:
            share = part.share / (1 - self.in_ram)
            held[part.gpu.name] = held.get(part.gpu.name, 0.0) + share
        computed = gpu_prompt(step, held)
        if computed is None or self.memory is None:
            return computed, None, ""
        left = self._left(step)
        rates = copied_per_second(held, has_experts=step.has_experts)
        how = how_copied(in_ram_bytes[0], rates, has_experts=step.has_experts)
        copies = copies_of(computed, *in_ram_bytes, rates)
        # a few tokens are computed where their weights lie
        on_cores = processor_prompt(step, self.machine)
        if on_cores is not None:
            in_ram = self.in_ram if left is None else left.of_read
            in_place = _beside(1 - in_ram, computed, on_cores)
            copies = copies.replace(in_place=in_place)
        if left is not None and left.layers:
            _, experts = parts_with_experts(step, left)
            beside = processor_seconds(self.machine, self.memory, experts)[1]
            layers = expert_parameters(step)[2]
            copies = copies.replace(experts_share=time_share(left, layers, beside, step_seconds))
        return copies.pace, copies, how

    def how(self, step: Step) -> str:
        """What the pace rests on."""
        left = self._left(step)
        named = _named(self.parts)
        if self.memory is None:
            devices = [part.gpu for part in self.parts]
            return (
                f"on {named}; {_how_read(step, devices)}{_how_launched(step, devices)}"
                f"{_lost_on_host(devices)}"
            )
        if left is not None:
            how = (
                f"on {named}, the experts of {left.layers:.0f} layers in RAM (whole layers, as -ngl"
                f" leaves them there, are slower): {self.memory.how}"
            )
        else:
            how = f"{units.percent(1 - self.in_ram)} on {named}, the rest in RAM: {self.memory.how}"
        if not self.filled:
            return how
        return (
            f"{how}; at the fast end with"
            f" {units.percent(1 - self.in_ram * (1 - self.filled))} there, where"
            " somebody fills the card to the last byte"
        )


def _in_turn(step: Step, parts: Sequence[Part], shares: Sequence[float]) -> Range:
    """Of GPUs that each compute such a share of the layers."""
    each = (
        _scaled(part.gpu.seconds(step), share) for part, share in zip(parts, shares, strict=True)
    )
    return added(*each)


def _scaled(ends: Range, factor: float) -> Range:
    slow, likely, fast = ends
    return slow * factor, likely * factor, fast * factor


def _beside(share: float, on_gpus: PaceRange, on_cores: PaceRange) -> PaceRange:
    """A prompt of which GPUs read that share of the layers, and the processor the others."""
    taken = added(_scaled(on_gpus.seconds, share), _scaled(on_cores.seconds, 1 - share))
    return PaceRange.of_seconds(taken)


def tensor_parallel(
    machine: Machine, step: Step, context: float, shares: Mapping[int, float]
) -> Speed:
    """Several accelerators that read their parts of each layer at the same time and then add up:
    the slowest of them sets the pace.
    """
    parts = parts_of(machine, shares)
    if isinstance(parts, str):
        return Speed(how=parts)

    def seconds(at: Step) -> Range:
        each = [
            added(part.gpu.seconds(at, part.share), _scaled(part.gpu.pace.sum_seconds, at.layers))
            for part in parts
        ]
        return max(a[0] for a in each), max(a[1] for a in each), max(a[2] for a in each)

    how = (
        f"on {_named(parts)}, each of which reads its part of every layer at the same time"
        f"{_how_summed([part.gpu for part in parts])}"
    )
    speed = decoding(step, context, seconds, how)
    return speed.replace(prompt=_prompt_at_once(step, parts))


def _prompt_at_once(step: Step, parts: Sequence[Part]) -> PaceRange | None:
    """A prompt where each computes its part of every layer: the slowest of them, and adding up."""
    computed = [(part.share, gpu_prompt(step, {part.gpu.name: 1.0})) for part in parts]
    rates = [_scaled(prompt.seconds, share) for share, prompt in computed if prompt is not None]
    if step.architecture is None or len(rates) < len(parts):
        return None
    numbers = _SUMS_OF_LAYER * step.layers * step.architecture.embedding_length
    # in a ring each sends all of it but its own part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
    sent_bytes = _SUMMED_NUMBER_BYTES * numbers * 2 * (len(parts) - 1) / len(parts)
    slow, likely, fast = (
        max(each[end] for each in rates)
        + sent_bytes / min(part.gpu.pace.summed_per_second[end] for part in parts)
        for end in range(3)
    )
    return PaceRange.of_seconds((slow, likely, fast))


def on_shared_gpu(
    machine: Machine, shared: SharedGpu, step: Step, context: float, held: Range
) -> Speed:
    """Read from RAM by the GPU, but for the layers beyond what it is let to hold: those are the
    processor's, one after the other.
    """
    memory = None if min(held) >= 1 else bandwidth(machine)
    if min(held) < 1 and memory is None:
        return Speed(how=f"part of it runs on the processor, and {_NO_MEMORY_RATE}")

    def seconds(at: Step) -> Range:
        taken = shared.gpu.seconds(at)
        if memory is None:
            return taken
        beside = processor_seconds(machine, memory, at)
        slow, likely, fast = (
            share * own + (1 - share) * other
            for share, own, other in zip(held, taken, beside, strict=True)
        )
        return slow, likely, fast

    how = (
        f"on {shared.name}, which shares the RAM ({_rate(shared.gpu)} at most);"
        f" {_how_read(step, [shared.gpu])}{_how_launched(step, [shared.gpu])}"
    )
    if memory is not None:
        part = units.percent_range(held[0], held[2])
        how = f"{part} of the layers {how}, the rest on the processor: {memory.how}"
    speed = decoding(step, context, seconds, how)
    prompt = gpu_prompt(step, {shared.gpu.name: 1.0})
    if prompt is not None and memory is not None:
        on_cores = processor_prompt(step, machine)
        prompt = None if on_cores is None else _beside(held[1], prompt, on_cores)
    parts = [Part(share=1.0, gpu=shared.gpu)]
    how = speed.how + _by_llama(step, parts, memory is not None)
    return speed.replace(prompt=prompt, how=how)


def _by_llama(step: Step, parts: Sequence[Part], on_processor: bool) -> str:
    """As `by_llama`, with what the program's own runs on such GPUs reached where some were seen."""
    seen = [part.gpu.own_pace(step.foreign) for part in parts]
    own = next((each for each in seen if each is not None), None)
    if on_processor or step.lacks_layers or own is None or None in seen:
        return by_llama(step, on_processor)
    return (
        f"; by the rules of llama.cpp, of whose likely pace {own.runs} published runs of"
        f" {own.program} on such GPUs had {units.percent_range(own.slow, own.fast)}"
    )


def _how_launched(step: Step, gpus_used: Sequence[Gpu]) -> str:
    """What a step on those GPUs takes beside reading the weights, as a clause."""
    if step.replays:
        longest = max((gpu.pace.replay for gpu in gpus_used), key=lambda each: each.layer_seconds)
        how = (
            f", beside {1e3 * longest.step_seconds:g} ms a step"
            f" and {1e3 * longest.layer_seconds:g} ms a layer"
        )
        return how if longest.devices else f"{how}, a guess: {step.foreign} was not seen on such"
    if step.launched_layers is None:
        return ", beside the time to launch each layer"
    layers = [gpu.pace.python_layer_seconds for gpu in gpus_used]
    least, most = min(each[-1] for each in layers), max(each[0] for each in layers)
    how = (
        ", unless Python takes longer to launch the operations: in published runs"
        f" {1e3 * least:g} to {1e3 * most:g} ms a dense layer in 16 bits"
    )
    if len(gpus_used) < 2:
        return how
    most, _, least = _HANDED_ON_SECONDS
    return f"{how}, and {1e3 * least:g} to {1e3 * most:g} ms more to hand it on between GPUs"


def _lost_on_host(gpus_used: Iterable[Gpu]) -> str:
    """What the processor beside them leaves of the pace, as a clause."""
    host = next((gpu.host for gpu in gpus_used if gpu.host is not None), None)
    if host is None:
        return ""
    return (
        f"; beside a processor that is no x86-64 {host.devices} such cards reached"
        f" {units.percent_range(host.slow, host.fast)} of that pace"
    )


def _how_summed(gpus_used: Sequence[Gpu]) -> str:
    """What adding up the tokens of a prompt, or of many sequences, rests on, as a clause."""
    rates = [gpu.pace.summed_per_second for gpu in gpus_used]
    least, most = min(each[0] for each in rates), min(each[2] for each in rates)
    ends = f"{units.decimal(int(least))}/s to {units.decimal(int(most))}/s"
    return f"; of a prompt and of many sequences they add up their parts at {ends}, a guess"


def _named(parts: Iterable[Part]) -> str:
    """Each GPU with the peak of its memory."""
    rated = [
        f"{part.gpu.name} ({_rate(part.gpu)}{' at most' if part.gpu.peak.how is None else ''})"
        for part in parts
    ]
    return " and ".join(units.counted(rated))


def _rate(gpu: Gpu) -> str:
    """The peak of its memory; both ends and why where it is not known exactly."""
    peak = gpu.peak
    if peak.how is None:
        return f"{units.decimal(int(peak.likely))}/s"
    return f"{units.decimal(int(peak.slow))}/s to {units.decimal(int(peak.fast))}/s, {peak.how}"


def _how_read(step: Step, gpus_used: Sequence[Gpu]) -> str:
    """At which share of the peak of their memory the GPUs read weights, and what that rests on."""
    shares = [gpu.packed_per_second(gpu.peak.likely, step) / gpu.peak.likely for gpu in gpus_used]
    is_unpacking = any(share < gpu.pace.share for share, gpu in zip(shares, gpus_used, strict=True))
    bound = ", no more than its cores unpack at their clock" if is_unpacking else ""
    pace = min((gpu.pace for gpu in gpus_used), key=lambda pace: pace.devices)
    basis = f"a guess: no published run of {pace.called} was fitted"
    if pace.devices:
        devices = "one GPU" if pace.devices == 1 else f"{pace.devices} GPUs"
        basis = f"fitted on published runs of {devices}: {pace.called}"
    ends = units.percent_range(min(shares), max(shares))
    return f"weights are read at {ends} of that{bound} ({basis})"
