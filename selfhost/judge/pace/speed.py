"""What a pace is, and where and by what a model is computed: the records that a verdict holds, how
a model lies on a machine, and the GPU that shares the RAM.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core import units
from ...core.records import Record
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import is_built_for, reaches
from .engine import Range, added_apart, scaled
from .memory_bandwidth import CLIENT_PEAKS, bandwidth
from .processor import (
    ANY_APPLE,
    any_apple_peaks,
    chip_of,
    is_client_by_class,
    is_guest,
    named_processor,
    on_apple_gpu,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from .graphics import Gpu, Peak

# of a Mac of which no accelerator was read
_APPLE_GPU = Accelerator(vendor="apple", name="its GPU", unified=True)
# what people compare with: a question and the answer to it
SHORT_CHAT_TOKENS = 256
# of a share, what rounding leaves
NO_REST = 1e-6
# the program whose runs were measured: its rules hold for those that compute with its code
MEASURED = "llama.cpp"
# the makers of GPUs beside the RAM that its builds use
_SHARED_MAKERS = ("apple", "nvidia", "amd")
# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
LEAST_READ_BYTES = 1 << 20
# of a GPU that shares the RAM and is let to hold every layer: slow end, likely, fast end
WHOLLY = 1.0, 1.0, 1.0


class PaceRange(Record):
    """Tokens per second: the slow end, the likely figure, the fast end. Of other work its unit:
    the lowest number, the likely one, the highest.
    """

    low: float
    likely: float
    high: float

    @property
    def ends(self) -> Range:
        """All three, the slow end first."""
        return self.low, self.likely, self.high

    @property
    def seconds(self) -> Range:
        """Of one token: slow end, likely, fast end."""
        return 1 / self.low, 1 / self.likely, 1 / self.high

    @classmethod
    def of(cls, ends: Range) -> PaceRange:
        low, likely, high = ends
        return cls(low=low, likely=likely, high=high)

    @classmethod
    def of_seconds(cls, seconds: Range) -> PaceRange:
        """From the seconds of a token, slow end, likely, fast end: no end nearer than the likely
        one.
        """
        slow, likely, fast = (1 / taken for taken in seconds)
        return cls(low=min(slow, likely), likely=likely, high=max(likely, fast))

    def shared_by(self, number: int) -> PaceRange:
        """What each of so many gets of it."""
        return PaceRange.of(scaled(self.ends, 1 / number))


class SecondsRange(Record):
    """Seconds: the least, the likely and the most."""

    low: float
    likely: float
    high: float


class PromptCopies(Record):
    """A prompt where a GPU lacks room for all weights: those in RAM cross to it for each
    `batch_tokens` of the prompt in `seconds` (slow end, likely, fast end), and `computed` is the
    pace beside that. With them crosses the cache of layers that lie there, each token before the
    batch in `token_seconds`. `in_place`: the pace of a few tokens at once, which are computed where
    the weights lie; None: not known.
    """

    computed: PaceRange
    in_place: PaceRange | None = None
    seconds: Range
    token_seconds: Range
    batch_tokens: int

    def seconds_for(self, tokens: int) -> Range:
        """What crossing takes for so many tokens: slow end, likely, fast end."""
        batches = -(-tokens // self.batch_tokens)
        slow, likely, fast = (
            batches * (weights + tokens / 2 * cached)
            for weights, cached in zip(self.seconds, self.token_seconds, strict=True)
        )
        return slow, likely, fast

    @property
    def pace(self) -> PaceRange:
        """Tokens per second of a long prompt."""
        crossing = scaled(self.seconds, 1 / self.batch_tokens)
        return PaceRange.of_seconds(added_apart(self.computed.seconds, crossing))


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands.

    `decode` and `prompt` are of text, in tokens per second; what turns documents into vectors has a
    `prompt` alone: the tokens that it reads. `work` is the pace of other work in
    `unit`; None for text, and where nothing tells it.

    `first_token_seconds` is the time to the answer's first token, for the prompt that was
    asked about; `dataset_seconds` the time to train on the tokens that were asked about;
    `parallel_total` the pace of all sequences together, where several were asked for; `each_of`:
    a minimum is stated, and wanted of each of so many sequences at once;
    `audio_seconds` the length of the recording that was asked about. None: not asked, or not known.
    `full_context_tokens_per_second` is the likely pace once the context is full, where that is less
    than nine tenths of `decode`, which is of a chat, or behind the prompt that was asked about.
    `undrafted_tokens_per_second` is the likely pace of `decode` without the draft that it counts.
    `prompt_copies`: what `prompt` is made of where weights cross to a GPU for it.
    `clip`: frames, width and height of what is made, where that is a video; `frames_per_second`, at
    which it is played.
    """

    decode: PaceRange | None = None
    prompt: PaceRange | None = None
    work: PaceRange | None = None
    unit: str = "tokens_per_second"
    how: str
    prompt_copies: PromptCopies | None = None
    first_token_seconds: SecondsRange | None = None
    dataset_seconds: SecondsRange | None = None
    parallel_total: PaceRange | None = None
    each_of: int = 1
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> PaceRange | None:
        """Of text the pace that the wanted one is held against: of one sequence alone, or of each
        of several; None where that is not known.
        """
        if self.each_of == 1:
            return self.decode
        total = self.parallel_total
        return None if total is None else total.shared_by(self.each_of)


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    `runtime`: the program, None for the one that was measured; `context_tokens`: for how many there
    is room. `offloaded`: number of an accelerator in the machine's list -> share of the layers that
    lie on it (`shares_of`); the rest is in RAM, `in_ram_bytes` of the weights, and of the cache of
    one token. `at_once`: each of several has a part of every layer, instead of whole layers.
    `experts_apart`: of a mixture that a GPU does not hold, experts are left to the RAM instead of
    whole layers. `on_shared`: share of the layers that a GPU which shares the RAM computes, slow
    end, likely, fast end (`shared_memory.share_on_shared`). `filled`: of what `offloaded` leaves in
    RAM, the share that the devices hold at the fast end (`on_devices.share_if_filled`).
    """

    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: tuple[int, float] = (0, 0.0)
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = WHOLLY
    filled: float = 0.0


def depth_of_chat(context_tokens: int | None, prompt_tokens: int | None = None) -> float:
    """Tokens in the context that a pace stands for: the prompt that was stated, or the short chat
    that people compare with where that is longer.
    """
    return max(min(SHORT_CHAT_TOKENS, (context_tokens or 0) / 2), prompt_tokens or 0)


def foreign_to_rules(runtime: RuntimeSpec | None) -> str | None:
    """The runtime's id, where it computes with other code than was measured."""
    return None if runtime is None or runtime.computes_with == MEASURED else runtime.id


def shares_of(needs: Needs) -> dict[int, float]:
    """Number of an accelerator -> share of the weights that `needs`, as placed, puts on it; {}
    for a model in RAM.
    """
    held = weights_by_place(needs)
    total = sum(held.values())
    return {
        int(number): size / total
        for where, size in held.items()
        for place, _, number in [where.partition(":")]
        if total and place == "accelerator" and number.isdecimal()
    }


def weights_by_place(needs: Needs) -> dict[str, int]:
    """Bytes of weights by where `needs`, as placed, puts them."""
    held: dict[str, int] = {}
    for term in needs.memory.terms if needs.memory else ():
        # what a processor reads in a layout of its own stands apart, and not in `weights` as well
        if term.name in ("weights", "repacked_weights"):
            held[term.where] = held.get(term.where, 0) + term.bytes
    return held


# ---------------------------------------------------------------- the GPU that shares the RAM


class SharedGpu(Record):
    """A GPU that reads the RAM, and whether the runtime uses it for sure."""

    gpu: Gpu
    used: bool


def shared_gpu(machine: Machine, runtime: RuntimeSpec | None = None) -> SharedGpu | None:
    """The GPU beside the RAM, and whether the program (None: the one that was measured) computes on
    it without being told to; None where there is none that its builds know, or nothing tells how
    fast the memory is.
    """
    device = next((each for each in machine.accelerators or () if each.unified), None)
    if device is None and not (machine.accelerators is None and on_apple_gpu(machine)):
        return None
    least = None if runtime is None else runtime.least_of(shares_ram=True)
    if device is not None and least is not None and reaches(device, least) is False:
        return None
    peak = _shared_peak(machine, device)
    if peak is None:
        return None
    from .graphics import Gpu

    used = device is not None and not is_guest(machine) and _is_used(device, runtime)
    return SharedGpu(gpu=Gpu(device=device or _APPLE_GPU, peak=peak), used=used)


def _is_used(device: Accelerator, runtime: RuntimeSpec | None) -> bool:
    """Whether the program's builds compute on that GPU without being told to."""
    makers = _SHARED_MAKERS if runtime is None else runtime.on_shared_gpu
    amd = () if runtime is None else runtime.amd_shared_gpus
    return device.vendor.lower() in makers and is_built_for(device, amd) is not False


def shared_gpu_of(machine: Machine) -> Gpu | None:
    """The GPU that shares the RAM, as far as decoding needs it; None where there is none, or
    nothing tells how fast the memory is.
    """
    shared = shared_gpu(machine)
    return None if shared is None else shared.gpu


def uses_shared_gpu(machine: Machine, runtime: RuntimeSpec | None) -> bool:
    """Whether a model in RAM is computed by a GPU that shares it; None: by the program measured."""
    shared = shared_gpu(machine, runtime)
    return shared is not None and shared.used


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays the weights out anew for the processor; none where a GPU
    that shares the RAM reads them as they are.
    """
    return () if uses_shared_gpu(machine, None) else machine.instruction_sets


def _shared_peak(machine: Machine, device: Accelerator | None) -> Peak | None:
    """What the GPU beside the RAM may read of it; None where nothing tells."""
    from .graphics import Peak, device_bandwidth

    own = device_bandwidth(device) if device is not None else None
    rate = machine.memory_bandwidth_bytes_per_second
    is_rate_open = rate is None or machine.memory_bandwidth_how == RATE_ASSUMED
    chip = chip_of(machine)
    named = named_processor(machine) if chip is None and is_rate_open and own is None else None
    if named is not None:
        filled = 1.0 if rate is None else rate / named.usual
        channels = "every channel" if filled == 1 else f"{units.percent(filled)} of its channels"
        return Peak(
            slow=filled * named.slowest,
            likely=filled * named.usual,
            fast=filled * max((named.usual * named.most) ** 0.5, named.fastest),
            how=f"the memory of {named.name} with {channels} filled",
        )
    if own is None and not machine.is_bandwidth_measured:
        own = rate
    if own is not None:
        return Peak.exactly(own)
    if chip is None:
        return _unnamed_peak(machine)
    if chip[2] != ANY_APPLE:
        return Peak.exactly(chip[1])
    # what cores measure is no more than the GPU can read
    slow, likely, fast = any_apple_peaks(machine)
    least = max(rate or 0, slow)
    most = max(least, fast)
    return Peak(slow=least, likely=max(least, min(likely, most)), fast=most, how="not measured")


def _unnamed_peak(machine: Machine) -> Peak | None:
    """Of memory that no name tells: what was measured, or the class of the machine."""
    from .graphics import Peak

    if machine.memory_bandwidth_bytes_per_second is None and is_client_by_class(machine):
        return Peak.between(*CLIENT_PEAKS, "a guess: the memory of a laptop or desktop")
    memory = bandwidth(machine)
    if memory is None:
        return None
    return Peak(slow=memory.low, likely=memory.likely, fast=memory.high, how="not measured")
