"""How fast a model would go on GPUs: several with memory of their own, the rest in RAM, or one that
shares the RAM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core import units
from ..core.records import Record
from ..machine.record import Machine
from .memory_bandwidth import bandwidth
from .speed import (
    NO_REST,
    LaidOut,
    PaceRange,
    PromptCopies,
    SharedGpu,
    Speed,
    by_llama,
    gpu_prompt,
    in_context,
    processor_prompt,
    processor_seconds,
)
from .step import Step
from .told_bandwidth import Bandwidth

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .experts import Left
    from .graphics import Gpu

# a layer more where Python hands what it computes from one GPU to the next, with a hook before
# each: slow end, likely, fast end. 72B on two A100 took 29 and 30 ms longer than on one of twice
# the memory (tests/truth/speed_transformers.json, rows `fitted`), in rows `kept` 37 to 51
_HANDED_ON_SECONDS = (0.0007, 0.0004, 0.0001)


def _left_in_ram(step: Step, share: float) -> Left | None:
    """As `experts.left_in_ram`, loaded only for a mixture that is split."""
    from .experts import left_in_ram

    return left_in_ram(step, share)


def with_accelerators(machine: Machine, step: Step, context: float, way: LaidOut) -> Speed:
    """Accelerators one after the other, then the layers in RAM, or the experts. For a prompt what
    lies there crosses to the accelerators.
    """
    offloaded = way.offloaded or {}
    parts = shares_and_gpus(machine, offloaded)
    if isinstance(parts, Speed):
        return parts
    rest = max(0.0, 1 - sum(offloaded.values()))
    memory = bandwidth(machine) if rest > NO_REST else None
    if rest > NO_REST and memory is None:
        return Speed(
            how=(
                "part of it runs in RAM, and neither the memory bandwidth nor the number of"
                " cores could be read"
            ),
        )
    is_apart = memory is not None and way.experts_apart
    split = _Split(
        machine=machine,
        parts=tuple(parts),
        memory=memory,
        experts_apart=is_apart and _left_in_ram(step, 1 - rest) is not None,
        in_ram=rest,
        filled=0.0 if memory is None else way.filled,
    )
    decode = _decode_pace(split.seconds(step))
    return Speed.of_decoding(
        decode, lambda: _whole_speed(split, step, context, way.in_ram_bytes, decode)
    )


def _whole_speed(
    split: _Split,
    step: Step,
    context: float,
    in_ram_bytes: tuple[int, float],
    decode: PaceRange,
) -> Speed:
    """The pace with what it rests on, and that of prompts."""
    chat = in_context(step, context, split.seconds)
    prompt, copies, crossing = split.prompt(step, in_ram_bytes, 1 / decode.likely)
    gpus_used = [gpu for _, gpu in split.parts]
    by_rules = _by_llama(step, gpus_used, split.memory is not None)
    return Speed(
        decode=decode,
        prompt=prompt,
        prompt_copies=copies,
        how=split.how(step) + chat.how + crossing + by_rules,
        full_context_tokens_per_second=chat.full_tokens_per_second,
    )


def _copies(
    machine: Machine,
    step: Step,
    computed: PaceRange,
    held: Mapping[str, float],
    in_ram: float,
    in_ram_bytes: tuple[int, float],
) -> tuple[PromptCopies, str]:
    """What crosses for a prompt to the accelerators of these names, which compute it at that pace,
    and on what that rests. For a few tokens the processor computes the share `in_ram` itself.
    """
    from .prompt_copies import copied_per_second, copies_of, how_copied

    rates = copied_per_second(held, has_experts=step.has_experts)
    how = how_copied(in_ram_bytes[0], rates, has_experts=step.has_experts)
    copies = copies_of(computed, *in_ram_bytes, rates)
    on_processor = processor_prompt(step, machine)
    if on_processor is None:
        return copies, how
    low, likely, high = (
        1 / (in_ram * beside + (1 - in_ram) * on_devices)
        for beside, on_devices in zip(on_processor.seconds, computed.seconds, strict=True)
    )
    return copies.replace(in_place=PaceRange(low=low, likely=likely, high=high)), how


def _decode_pace(seconds: Sequence[float]) -> PaceRange:
    """Tokens a second from the seconds a token takes: slow end, likely, fast end."""
    slow, likely, fast = (1 / taken for taken in seconds)
    return PaceRange(low=min(slow, likely), likely=likely, high=max(likely, fast))


class _Split(Record):
    """Accelerators with their shares of the weights, and the RAM that has the rest, the share
    `in_ram`; of that `filled` lies on them too at the fast end.
    """

    machine: Machine
    parts: tuple[tuple[float, Gpu], ...]
    memory: Bandwidth | None
    experts_apart: bool
    in_ram: float
    filled: float

    def seconds(self, step: Step) -> list[float]:
        """Slow end, likely, fast end."""
        taken = self._seconds(step, self.in_ram)
        if self.filled:
            taken[2] = min(taken[2], self._seconds(step, self._least_in_ram)[2])
        return taken

    @property
    def _least_in_ram(self) -> float:
        return self.in_ram * (1 - self.filled)

    def _seconds(self, step: Step, in_ram: float) -> list[float]:
        """Slow end, likely, fast end where such a share of all lies in RAM, and the accelerators
        have theirs of the others.
        """
        more = (1 - in_ram) / sum(share for share, _ in self.parts)
        held = [(share * more, gpu) for share, gpu in self.parts]
        left = _left_in_ram(step, 1 - in_ram) if self.experts_apart else None
        if self.memory is not None and left is not None:
            return _with_experts_in_ram(self.machine, self.memory, step, held, left)
        of_parts = [(share, gpu.seconds(step)) for share, gpu in held]
        if self.memory is not None:
            slow, likely, fast = processor_seconds(self.machine, self.memory, step)
            of_parts.append((in_ram, (slow, likely, fast)))
        by_layers = [sum(share * own[end] for share, own in of_parts) for end in range(3)]
        if step.launched_layers is None or len(self.parts) == 1:
            return by_layers
        return [
            taken + step.layers * each
            for taken, each in zip(by_layers, _HANDED_ON_SECONDS, strict=True)
        ]

    def prompt(
        self, step: Step, in_ram_bytes: tuple[int, float], step_seconds: float
    ) -> tuple[PaceRange | None, PromptCopies | None, str]:
        """How fast a prompt is read, what of that crosses to the accelerators, and why so much.
        `step_seconds` are the likely ones of a step.
        """
        held: dict[str, float] = {}
        for share, gpu in self.parts:
            held[gpu.name] = held.get(gpu.name, 0.0) + share / (1 - self.in_ram)
        computed = gpu_prompt(step, held)
        if computed is None or self.memory is None:
            return computed, None, ""
        left = self._left(step)
        beside = self.in_ram if left is None else left.of_read
        copies, how = _copies(self.machine, step, computed, held, beside, in_ram_bytes)
        if left is not None:
            copies = copies.replace(experts_share=self._experts_share(step, left, step_seconds))
        return copies.pace, copies, how

    def _experts_share(self, step: Step, left: Left, step_seconds: float) -> float | None:
        """Of that time of a step, what reading experts takes; None where none are in RAM."""
        if self.memory is None or not left.layers:
            return None
        from .experts import expert_parameters, parts_of, time_share

        _, in_ram = parts_of(step, left)
        beside = processor_seconds(self.machine, self.memory, in_ram)[1]
        layers = expert_parameters(step)[2]
        return time_share(left, layers, beside, step_seconds)

    def _left(self, step: Step) -> Left | None:
        """The experts in RAM, where they lie apart."""
        return _left_in_ram(step, 1 - self.in_ram) if self.experts_apart else None

    def how(self, step: Step) -> str:
        """What the pace rests on."""
        how = self._how(step)
        if not self.filled:
            return how
        return (
            f"{how}; at the fast end with {units.percent(1 - self._least_in_ram)} there, where"
            " somebody fills the card to the last byte"
        )

    def _how(self, step: Step) -> str:
        left = self._left(step)
        gpus_used = [gpu for _, gpu in self.parts]
        how = " and ".join(units.counted([_rated_gpu(gpu) for gpu in gpus_used]))
        if self.memory is not None and left is not None:
            return (
                f"on {how}, the experts of {left.layers:.0f} layers in RAM (whole layers, as -ngl"
                f" leaves them there, are slower): {self.memory.how}"
            )
        if self.memory is not None:
            return f"{units.percent(1 - self.in_ram)} on {how}, the rest in RAM: {self.memory.how}"
        return (
            f"on {how}; {_how_read(step, gpus_used)}{_how_launched(step, gpus_used)}"
            f"{_lost_on_host(gpus_used)}"
        )


def _by_llama(step: Step, gpus_used: Sequence[Gpu], on_processor: bool) -> str:
    """As `by_llama`, with what the program's own runs on such GPUs reached where some were seen."""
    seen = [gpu.own_pace(step.foreign) for gpu in gpus_used]
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
        return ", beside the time to launch each operation"
    layers = [gpu.pace.layer_seconds for gpu in gpus_used]
    least, most = min(each[-1] for each in layers), max(each[0] for each in layers)
    return (
        ", unless Python takes longer to launch the operations: in published runs"
        f" {1e3 * least:g} to {1e3 * most:g} ms a dense layer in 16 bits{_handed_on(gpus_used)}"
    )


def _handed_on(gpus_used: Sequence[Gpu]) -> str:
    if len(gpus_used) < 2:
        return ""
    most, _, least = _HANDED_ON_SECONDS
    return f", and {1e3 * least:g} to {1e3 * most:g} ms more to hand it on between GPUs"


def _lost_on_host(gpus_used: Iterable[Gpu]) -> str:
    """What the processor beside them leaves of the pace, as a clause."""
    for host in (gpu.host for gpu in gpus_used):
        if host is not None:
            return (
                f"; beside a processor that is no x86-64 {host.devices} such cards reached"
                f" {units.percent_range(host.slow, host.fast)} of that pace"
            )
    return ""


def _with_experts_in_ram(
    machine: Machine,
    memory: Bandwidth,
    step: Step,
    parts: list[tuple[float, Gpu]],
    left: Left,
) -> list[float]:
    """GPUs take every layer one after the other, each its part of them; between two of them the
    processor computes the experts that lie in RAM. Slow end, likely, fast end.
    """
    from .experts import CROSSING_SECONDS, SLOWER, parts_of

    on_devices, in_ram = parts_of(step, left)
    held = sum(share for share, _ in parts)
    # `SLOWER`, of the whole step, holds what experts take longer
    beside = processor_seconds(machine, memory, in_ram, experts_slow=1.0)
    of_devices = [(share / held, gpu.seconds(on_devices)) for share, gpu in parts]
    slow, likely, fast = (
        sum(share * own[end] for share, own in of_devices)
        + beside[end]
        + left.layers * CROSSING_SECONDS[end]
        for end in range(3)
    )
    return [slow * SLOWER, likely, fast]


def shares_and_gpus(
    machine: Machine, offloaded: Mapping[int, float]
) -> list[tuple[float, Gpu]] | Speed:
    """The share of each accelerator and how it decodes; no pace where that of one is not known."""
    from .graphics import gpu_of

    devices = machine.accelerators or ()
    parts: list[tuple[float, Gpu]] = []
    for number, share in offloaded.items():
        gpu = gpu_of(devices[number]) if number < len(devices) else None
        if gpu is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return Speed(how=f"the memory bandwidth of {name} is not known")
        vendor = devices[number].vendor.lower()
        parts.append((share, gpu.beside(machine.architecture, vendor)))
    return parts


def tensor_parallel(
    machine: Machine, step: Step, context: float, shares: Mapping[int, float]
) -> Speed:
    """Several accelerators that read their parts of each layer at the same time and then add up:
    the slowest of them sets the pace.
    """
    parts = shares_and_gpus(machine, shares)
    if isinstance(parts, Speed):
        return parts

    def seconds(at: Step) -> list[float]:
        """Slow end, likely, fast end."""
        of_parts = [gpu.seconds_of_part(at, share) for share, gpu in parts]
        return [max(own[end] for own in of_parts) for end in range(3)]

    decode = _decode_pace(seconds(step))

    def whole() -> Speed:
        names = " and ".join(units.counted([_rated_gpu(gpu) for _, gpu in parts]))
        how = f"on {names}, each of which reads its part of every layer at the same time"
        chat = in_context(step, context, seconds)
        how += _how_summed([gpu for _, gpu in parts]) + chat.how
        return Speed(
            decode=decode,
            prompt=_prompt_at_once(step, parts),
            how=how,
            full_context_tokens_per_second=chat.full_tokens_per_second,
        )

    return Speed.of_decoding(decode, whole)


# after attention and after the feed-forward network each accelerator has a part of every number of
# a token, in 16 bits (Megatron-LM, arXiv 1909.08053, section 3)
_SUMS_OF_LAYER, _SUMMED_NUMBER_BYTES = 2, 2


def _prompt_at_once(step: Step, parts: Sequence[tuple[float, Gpu]]) -> PaceRange | None:
    """A prompt where each computes its part of every layer: the slowest of them, and adding up."""
    computed = [(share, gpu_prompt(step, {gpu.name: 1.0})) for share, gpu in parts]
    rates = [(share, prompt) for share, prompt in computed if prompt is not None]
    if step.architecture is None or len(rates) < len(parts):
        return None
    numbers = _SUMS_OF_LAYER * step.layers * step.architecture.embedding_length
    # in a ring each sends all of it but its own part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
    sent_bytes = _SUMMED_NUMBER_BYTES * numbers * 2 * (len(parts) - 1) / len(parts)
    slow, likely, fast = (
        max(share * prompt.seconds[end] for share, prompt in rates)
        + sent_bytes / min(gpu.pace.summed_per_second[end] for _, gpu in parts)
        for end in range(3)
    )
    return PaceRange(low=1 / slow, likely=1 / likely, high=1 / fast)


def _how_summed(gpus_used: Sequence[Gpu]) -> str:
    """What adding up the tokens of a prompt, or of many sequences, rests on, as a clause."""
    rates = [gpu.pace.summed_per_second for gpu in gpus_used]
    least, most = min(each[0] for each in rates), min(each[2] for each in rates)
    ends = f"{units.decimal(int(least))}/s to {units.decimal(int(most))}/s"
    return f"; of a prompt and of many sequences they add up their parts at {ends}, a guess"


def _rated_gpu(gpu: Gpu) -> str:
    """Its name and the peak of its memory."""
    at_most = " at most" if gpu.peak.how is None else ""
    return f"{gpu.name} ({_rate(gpu)}{at_most})"


def _rate(gpu: Gpu) -> str:
    """The peak of its memory; both ends and why where it is not known exactly."""
    peak = gpu.peak
    if peak.how is None:
        return f"{units.decimal(int(peak.likely))}/s"
    return f"{units.decimal(int(peak.slow))}/s to {units.decimal(int(peak.fast))}/s, {peak.how}"


def on_shared_gpu(
    machine: Machine,
    shared: SharedGpu,
    step: Step,
    context: float,
    held: tuple[float, float, float],
) -> Speed:
    """Read from RAM by the GPU, but for the layers beyond what it is let to hold: those are the
    processor's, one after the other.
    """
    memory = None if min(held) >= 1 else bandwidth(machine)
    if min(held) < 1 and memory is None:
        return Speed(
            how=(
                "part of it runs on the processor, and neither the memory bandwidth nor the number"
                " of cores could be read"
            ),
        )

    def seconds(at: Step) -> list[float]:
        """Slow end, likely, fast end."""
        taken = list(shared.gpu.seconds(at))
        if memory is not None:
            beside = processor_seconds(machine, memory, at)
            taken = [
                share * own + (1 - share) * other
                for share, own, other in zip(held, taken, beside, strict=True)
            ]
        return taken

    decode = _decode_pace(seconds(step))

    def whole_speed() -> Speed:
        how = _how_on_shared(shared, memory, held, step)
        chat = in_context(step, context, seconds)
        how += chat.how
        prompt = gpu_prompt(step, {shared.gpu.name: 1.0})
        if prompt is not None and memory is not None:
            prompt = _prompt_beside_cores(prompt, processor_prompt(step, machine), held)
        return Speed(
            decode=decode,
            prompt=prompt,
            how=how + _by_llama(step, [shared.gpu], memory is not None),
            full_context_tokens_per_second=chat.full_tokens_per_second,
        )

    return Speed.of_decoding(decode, whole_speed)


def _prompt_beside_cores(
    on_gpu: PaceRange, on_cores: PaceRange | None, held: tuple[float, float, float]
) -> PaceRange | None:
    """A prompt of which the GPU reads that share of the layers (slow end, likely, fast end) and the
    processor the others; None where nothing tells how fast that does.
    """
    if on_cores is None:
        return None
    slow, likely, fast = (
        share * own + (1 - share) * other
        for share, own, other in zip(held, on_gpu.seconds, on_cores.seconds, strict=True)
    )
    return PaceRange(low=1 / slow, likely=1 / likely, high=1 / fast)


def _how_read(step: Step, gpus_used: Sequence[Gpu]) -> str:
    """At which share of the peak of their memory the GPUs read weights, and what that rests on."""
    shares = [gpu.share_of_peak(step) for gpu in gpus_used]
    is_unpacking = any(share < gpu.pace.share for share, gpu in zip(shares, gpus_used, strict=True))
    bound = ", no more than its cores unpack at their clock" if is_unpacking else ""
    return (
        f"weights are read at {units.percent_range(min(shares), max(shares))} of that{bound}"
        f" ({_published(gpus_used)})"
    )


def _published(gpus_used: Iterable[Gpu]) -> str:
    """What the constants rest on, by the kind of GPU with the fewest devices behind it."""
    pace = min((gpu.pace for gpu in gpus_used), key=lambda pace: pace.devices)
    if pace.devices == 0:
        return f"a guess: no published run of {pace.called} was fitted"
    devices = "one GPU" if pace.devices == 1 else f"{pace.devices} GPUs"
    return f"fitted on published runs of {devices}: {pace.called}"


def _how_on_shared(
    shared: SharedGpu, memory: Bandwidth | None, held: tuple[float, float, float], step: Step
) -> str:
    """What the pace on a GPU that shares the RAM rests on."""
    how = (
        f"on {shared.name}, which shares the RAM ({_rate(shared.gpu)} at most);"
        f" {_how_read(step, [shared.gpu])}{_how_launched(step, [shared.gpu])}"
    )
    if memory is None:
        return how
    part = units.percent_range(held[0], held[2])
    return f"{part} of the layers {how}, the rest on the processor: {memory.how}"
