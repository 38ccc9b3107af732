"""What a pace is, as verdicts hold it; where a model's weights lie; and the GPU that shares the
RAM, with whether a program computes on it.
"""

from __future__ import annotations

from ...core import units
from ...core.records import Record
from ...machine.cpus import Processor
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import is_built_for, reaches
from .engine import SAME, Range, added_apart, ordered, scaled
from .graphics import Gpu, between, device_bandwidth
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

# of a Mac of which no accelerator was read
_APPLE_GPU = Accelerator(vendor="apple", name="its GPU", unified=True)
# the makers of GPUs beside the RAM that builds of the program measured use
_SHARED_MAKERS = ("apple", "nvidia", "amd")
# of a GPU that shares the RAM and is let to hold every layer
WHOLLY = SAME


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
        """From the seconds of a token: no end nearer than the likely one."""
        slow, likely, fast = ordered(seconds)
        return cls(low=1 / slow, likely=1 / likely, high=1 / fast)


class SecondsRange(Record):
    """Seconds: the least, the likely and the most."""

    low: float
    likely: float
    high: float

    @classmethod
    def of(cls, seconds: Range) -> SecondsRange:
        """From the slow end, the likely figure and the fast end."""
        slow, likely, fast = ordered(seconds)
        return cls(low=fast, likely=likely, high=slow)


class PromptCopies(Record):
    """A prompt where a GPU lacks room for all weights: those in RAM cross to it for each
    `batch_tokens` of the prompt in `seconds` (slow end, likely, fast end), and `computed` is the
    pace beside that. `in_place`: the pace of a few tokens at once, which are computed where the
    weights lie; None: not known.
    """

    computed: PaceRange
    in_place: PaceRange | None = None
    seconds: Range
    batch_tokens: int

    def seconds_for(self, tokens: int) -> Range:
        """What crossing takes for so many tokens: a part of a batch takes as long as a whole."""
        return scaled(self.seconds, -(-tokens // self.batch_tokens))

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
        total = self.parallel_total
        if self.each_of == 1 or total is None:
            return self.decode if self.each_of == 1 else None
        return PaceRange.of(scaled(total.ends, 1 / self.each_of))


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


def shared_gpu_of(machine: Machine, runtime: RuntimeSpec | None = None) -> Gpu | None:
    """The GPU that shares the RAM, as far as decoding needs it; None where there is none that the
    program's builds know (None: those of the one that was measured), or nothing tells how fast the
    memory is.
    """
    device = next((each for each in machine.accelerators or () if each.unified), None)
    if device is None and not (machine.accelerators is None and on_apple_gpu(machine)):
        return None
    least = None if runtime is None else runtime.least_of(shares_ram=True)
    if device is not None and least is not None and reaches(device, least) is False:
        return None
    return _with_peak(machine, device or _APPLE_GPU)


def uses_shared_gpu(machine: Machine, runtime: RuntimeSpec | None) -> bool:
    """Whether a model in RAM is surely computed by a GPU that shares it, without being told to."""
    gpu = shared_gpu_of(machine, runtime)
    if gpu is None or gpu.device is _APPLE_GPU or is_guest(machine):
        return False
    makers = _SHARED_MAKERS if runtime is None else runtime.on_shared_gpu
    amd = () if runtime is None else runtime.amd_shared_gpus
    return gpu.device.vendor.lower() in makers and is_built_for(gpu.device, amd) is not False


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays the weights out anew for the processor; none where a GPU
    that shares the RAM reads them as they are.
    """
    return () if uses_shared_gpu(machine, None) else machine.instruction_sets


def _with_peak(machine: Machine, device: Accelerator) -> Gpu | None:
    """The GPU with what it may read of the RAM; None where nothing tells."""
    own, chip = device_bandwidth(device), chip_of(machine)
    rate = machine.memory_bandwidth_bytes_per_second
    if own is None and (rate is None or machine.memory_bandwidth_how == RATE_ASSUMED):
        named = named_processor(machine)
        if named is not None:
            return _of_series(device, named, rate)
    exact = own or (None if machine.is_bandwidth_measured else rate)
    if exact is None and chip is not None and chip[2] != ANY_APPLE:
        exact = chip[1]
    if exact is not None:
        return Gpu(device=device, peak=scaled(SAME, exact))
    guess = any_apple_peaks(machine) if chip is not None else _unnamed_peak(machine)
    if guess is None:
        return None
    # what cores measure is no more than the GPU can read
    slow, likely, fast = (max(rate or 0, end) for end in guess)
    return Gpu(device=device, peak=(slow, likely, fast), guessed="a guess: not measured")


def _of_series(device: Accelerator, series: Processor, rate: float | None) -> Gpu:
    """With the memory of the processor around it, all channels filled or as `rate` says."""
    filled = 1.0 if rate is None else rate / series.usual
    channels = "every channel" if filled == 1 else f"{units.percent(filled)} of its channels"
    most = max((series.usual * series.most) ** 0.5, series.fastest)
    return Gpu(
        device=device,
        peak=scaled((series.slowest, series.usual, most), filled),
        guessed=f"the memory of {series.name} with {channels} filled",
    )


def _unnamed_peak(machine: Machine) -> Range | None:
    """Of memory that no name tells: the class of the machine, or what its cores read."""
    if machine.memory_bandwidth_bytes_per_second is None and is_client_by_class(machine):
        return between(*CLIENT_PEAKS)
    memory = bandwidth(machine)
    return None if memory is None else memory.ends
