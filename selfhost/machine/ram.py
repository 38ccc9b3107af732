"""What a description of a machine states of its RAM beside the size: `32gb ddr5-6000`, `quad
channel`, `2x16gb`; and the memory bandwidth that follows of the processor's channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..core import units
from ..core.records import Record, pattern
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus, gpus
from .chips import soldered_chip
from .record import FILLED_ASSUMED, RATE_ASSUMED, Machine

_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_ANY_CASE = re.IGNORECASE | re.ASCII
_STICKS = pattern(
    r"(?<![\w.-])(?P<count>\d{1,2})\s*[x×*]\s*(?P<size>\d+)\s*gi?b"
    r"(?=\s*(?:of )?(?:lp)?(?:ddr|ram))",
    re.IGNORECASE,
)
_MODULE = r"(?:[1248]|12|16|24|32|48|64|96|128)"
_SIZE = rf"(?P<size>{_MODULE})\s*gi?b(?!\w)"
# modules that no word for RAM follows: `2x16gb`, `16gb+16gb`, and behind their sum `32gb (2x16gb)`;
# of a `yoga slim 7x 32gb` nobody fills seven
_MODULES = pattern(
    rf"(?:(?<![\w.])(?P<sum>\d{{1,4}})\s*gi?b\s*(?:of )?(?:ram\s*)?)?(?<![\w.])"
    rf"\(?(?P<count>[1-468]|1[0268]|24|32)\s*[x×*]\s*(?P<size>{_MODULE})(?:\s*gi?b)?(?!\w)\)?",
    re.IGNORECASE,
)
_ADDED = pattern(rf"(?<![\w.])(?P<first>{_MODULE})\s*(?:gi?b)?\s*\+\s*{_SIZE}", re.IGNORECASE)
_OF_SIZE = pattern(r"gi?b", re.IGNORECASE)
_ANY_SIZE = pattern(r"(?<![\w.])(?P<size>\d+)\s*gi?b(?!\w)", re.IGNORECASE)
# a laptop's 8gb+64gb are RAM and disk
_MOST_TIMES_AS_LARGE = 2
_MOST_WORDS_OF_A_GPU = 4
# 3600, 2133 and 6400 are rates; 3090 and 4070 GPUs
_RATE = r"(?:\d\d(?:00|33|66|67)|1\d{4})"
_UNIT = r"\s*(?:mhz|mt/s|mts)(?!\w)"
_KIND = pattern(
    rf"(?<!\w)(?P<kind>(?:lp)?ddr\dx?)l?(?:[ -]*@?[ ]*(?P<rate>\d{{3,5}}{_UNIT}|{_RATE}(?!\w))"
    r"|-(?P<joined>\d{4,5})(?!\w))?",
    _ANY_CASE,
)
_RATE_ALONE = pattern(rf"(?<![\w.])(?P<rate>\d{{4,5}}){_UNIT}", _ANY_CASE)
_CHANNELS = pattern(
    r"(?<!\w)(?P<count>single|dual|triple|quad|hexa|octa|six|eight|twelve|\d{1,2})[ -]*"
    r"(?:channels?|ch)(?!\w)",
    _ANY_CASE,
)
_COUNT_OF_WORD = {
    "single": 1, "one": 1, "dual": 2, "two": 2, "triple": 3, "quad": 4, "four": 4, "hexa": 6,
    "six": 6, "octa": 8, "eight": 8, "twelve": 12,
}  # fmt: skip
# `2 dimms`, and with their size `2 sticks of 16gb`
_COUNTED = pattern(
    r"(?<![\w.])(?P<count>\d{1,2}|one|two|four|eight)[ -]*(?:dimms?|sticks?|modules?)(?!\w)"
    r"(?: of (?P<size>\d+ *gi?b)(?!\w))?",
    _ANY_CASE,
)
_BRACKETS = pattern(r"\((?P<inside>[^()]*)\)")
# memory is sold for overclocking up to a third above the fastest of the table (DDR5-8400 beside
# 6400, DDR4-4800 beside 3600), and runs at no less than half of the slowest
_RATES_BESIDE = (0.5, 1.35)
# of a kind, whose usual rates the table has (assumed)
_NEAR = 1.2


class StatedRam(Record):
    """`text` without what stands in the others, but for the kind. `mts`: millions of transfers a
    second; `sticks`: how many modules. None for what is not stated.
    """

    text: str
    kind: str | None
    mts: int | None
    channels: int | None
    sticks: int | None

    @property
    def tells_filled(self) -> bool:
        """Whether it tells how many channels are filled: soldered memory (LPDDR) fills all."""
        is_soldered = self.kind is not None and self.kind.startswith("lp")
        return bool(self.channels or self.sticks or is_soldered)


def stated_ram(text: str) -> StatedRam:
    """What a description states of its RAM."""
    text = _COUNTED.sub(_as_product, _BRACKETS.sub(_without_brackets, text))
    text = _with_modules_told(text)
    sticks = _STICKS.search(text) or _COUNTED.search(text)
    text = _COUNTED.sub(" ", text)
    plain = _STICKS.sub(lambda each: f"{int(each['count']) * int(each['size'])}gb", text)
    kind, channels = _KIND.search(plain), _CHANNELS.search(plain)
    rate = (kind["rate"] or kind["joined"]) if kind else None
    if rate is None and (alone := _RATE_ALONE.search(plain)):
        rate = alone["rate"]
    plain = _KIND.sub(lambda each: each["kind"], plain)
    plain = " ".join(_CHANNELS.sub(" ", _RATE_ALONE.sub(" ", plain)).split())
    return StatedRam(
        text=plain,
        kind=kind["kind"].lower() if kind else None,
        mts=None if rate is None else int(re.match(r"\d+", rate)[0]),  # type: ignore[index]
        channels=None if channels is None else _count(channels["count"]),
        sticks=None if sticks is None else _count(sticks["count"]),
    )


def _as_product(modules: re.Match[str]) -> str:
    """`2x16gb` for `two sticks of 16gb`; as it is without a size."""
    return f"{_count(modules['count'])}x{modules['size']}" if modules["size"] else modules[0]


def _without_brackets(around: re.Match[str]) -> str:
    """What stands in brackets, where that is several facts of RAM: `(4 x 16 GB, dual-channel)`."""
    inside = around["inside"]
    is_of_ram = "," in inside and (_CHANNELS.search(inside) or _KIND.search(inside))
    return f" {inside.replace(',', ' ')} " if is_of_ram else around[0]


def _with_modules_told(text: str) -> str:
    """The text with `ram` behind modules that no word follows, and without their sum; as it is
    where a GPU in it is sold with that size.
    """
    added = _ADDED.search(text)
    if added is not None:
        first, second = int(added["first"]), int(added["size"])
        is_ram = max(first, second) <= _MOST_TIMES_AS_LARGE * min(first, second)
        around = (text[: added.start()], text[added.end() :])
        if is_ram and not _are_of_a_gpu(around, added["size"]):
            ram = f"2x{first}gb ram" if first == second else f"{first + second}gb ram"
            return f"{text[: added.start()]}{ram}{text[added.end() :]}"
        return text
    modules = _MODULES.search(text)
    if modules is None or (modules["sum"] is None and not _OF_SIZE.search(modules[0])):
        return text
    count, size = int(modules["count"]), int(modules["size"])
    before, behind = text[: modules.start()], text[modules.end() :]
    if modules["sum"] is not None and int(modules["sum"]) != count * size:
        # what stands before them is the memory of a card: `rtx 3060 12gb 2x16gb`
        if not _are_of_a_gpu([before], modules["sum"]) or _are_of_a_gpu([behind], modules["size"]):
            return text
        before = text[: modules.start("count")].rstrip("( ") + " "
    is_of_gpus = modules["sum"] is None and _are_of_a_gpu((before, behind), modules["size"])
    # where another size is that of the RAM: `2x 16gb v100 64gb`
    if is_of_gpus and _has_size_of_ram(f"{before} {behind}"):
        return text
    return f"{before}{count}x{size}gb ram{behind}"


def _has_size_of_ram(text: str) -> bool:
    """Whether it states a size that is not the memory of a card before it."""
    sizes = _ANY_SIZE.finditer(text)
    return any(not _are_of_a_gpu([text[: size.start()]], size["size"]) for size in sizes)


def _are_of_a_gpu(texts: Sequence[str], gib: str) -> bool:
    """Whether one of the texts names a GPU that is sold with so much memory."""
    from .gpu_names import UnknownGpuError, cards_named

    for words in map(str.split, texts):
        for start in range(len(words)):
            for end in range(start + 1, min(start + _MOST_WORDS_OF_A_GPU, len(words)) + 1):
                name = f"{' '.join(words[start:end])} {gib}GB"
                try:
                    cards = cards_named(name, listed_only=True, explains=False).accelerators
                except (UnknownGpuError, ValueError):
                    continue
                # one in a processor is sold with none: the 3 of `gen 3 1x16gb`
                if not all(card.unified for card in cards):
                    return True
    return False


def without_kind(text: str) -> str:
    """The text without a kind of RAM, which is in few machines' names."""
    return " ".join(_KIND.sub(" ", text).split())


def _count(word: str) -> int:
    return _COUNT_OF_WORD.get(word.lower()) or int(word)


_NO_FASTER = (
    "The rate and channels of its RAM are left aside: the processor reads it over a front-side bus."
)


BOTH_FILLED = (
    "Both of its memory channels are taken to be filled: with one stick of RAM ('1x16gb') it writes"
    " text about half as fast."
)


def with_ram(machine: Machine, ram: StatedRam) -> tuple[Machine, str | None]:
    """The machine with the memory bandwidth that its RAM has as stated, and a note on it; the same
    and None where nothing is stated that is not assumed anyway, or the chip's memory is known.
    """
    is_stated = ram.kind or ram.mts or ram.channels or ram.sticks
    if not is_stated or machine.scope != "host" or _has_its_own(machine):
        return machine, _NO_FASTER if is_stated and _is_behind_bus(machine) else None
    channels = _channels_of(machine, ram.channels)
    if channels is None:
        why = "how many memory channels the processor has is not known"
        remedy = "Name the processor, or say 'dual channel'."
        written = _written(ram.kind, ram.mts)
        return machine, f"{written} is left aside: {why}. {remedy}" if ram.mts else None
    mts = _rate_of(ram, channels)
    if mts is None:
        written = _written(ram.kind, ram.mts)
        who = machine.cpu_model or "a computer with such a GPU"
        return machine, f"{written} is left aside: {who} takes no such memory."
    used = _filled(machine, ram, channels)
    if _is_assumed_anyway(ram, channels, used, mts):
        return machine, None
    return _with_bandwidth(machine, ram, used * channels.bits // 8 * mts * units.MB, used, mts)


def _filled(machine: Machine, ram: StatedRam, channels: _Channels) -> int:
    """How many channels of one socket; sticks are told of the whole machine."""
    counts = [channels.count, ram.channels]
    if ram.sticks and channels.bits == 64:
        counts.append(max(1, ram.sticks // cpus.count_of(machine.cpu_model or "")))
    return min(filter(None, counts))


def _is_assumed_anyway(ram: StatedRam, channels: _Channels, used: int, mts: int) -> bool:
    """Whether a machine of which nothing is said of the RAM is judged with the same."""
    tells_kind = ram.kind is not None and channels.has_kinds
    is_usual = (used, mts) == (channels.count, channels.usual_mts)
    # of two channels, one may be taken to be empty
    tells_both = channels.count == 2 and (ram.sticks or ram.channels) is not None
    return ram.mts is None and is_usual and not tells_kind and not tells_both


def _with_bandwidth(
    machine: Machine, ram: StatedRam, bandwidth: int, used: int, mts: int
) -> tuple[Machine, str]:
    count = "1 channel" if used == 1 else f"{used} channels"
    rate = "" if ram.mts else f", {RATE_ASSUMED}"
    what = f"{count} of {_written(ram.kind, mts)}{rate}"
    source = f"{what}, as its description says" if ram.mts or ram.kind else what
    if (ram.mts or ram.kind) and used == 2 and not ram.tells_filled:
        source += FILLED_ASSUMED
    machine = machine.replace(
        memory_bandwidth_bytes_per_second=bandwidth,
        sources={**machine.sources, _BANDWIDTH: source},
        assumed=tuple(fact for fact in machine.assumed if fact != _BANDWIDTH or not ram.mts),
        unread=tuple(each for each in machine.unread if each.fact != _BANDWIDTH),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def may_have_one_stick(machine: Machine, ram: StatedRam) -> bool:
    """Whether it is a computer without a card whose processor has two channels for sticks, and
    nobody says how many are filled.
    """
    series = _series_of(machine)
    if ram.tells_filled:
        return False
    if machine.scope != "host" or series is None or _has_its_own(machine) or machine.accelerators:
        return False
    return series.has_two_slots and set(series.kind.split("|")) <= {"client", "mobile"}


def _is_behind_bus(machine: Machine) -> bool:
    """Whether its processor reads memory over a front-side bus, which no memory makes faster."""
    series = cpus.processor_of(machine.cpu_model or "")
    return series is not None and series.memory == "bus"


def _has_its_own(machine: Machine) -> bool:
    """Whether its memory is sold with its chip, behind a bus, or known and of no series that is
    listed.
    """
    if soldered_chip(words_of(machine.cpu_model or "")) is not None:
        return True
    if _is_behind_bus(machine):
        return True
    if machine.memory_bandwidth_bytes_per_second is None:
        return False
    series = _series_of(machine)
    return series is None or series.memory == "soldered"


def _written(kind: str | None, mts: int | None) -> str:
    """`LPDDR5x-7500`, `DDR4`, or `RAM at 3600 MT/s`."""
    if kind is None:
        return f"RAM at {mts} MT/s"
    name = kind.upper().removesuffix("X") + "X" * kind.endswith("x")
    return name if mts is None else f"{name}-{mts}"


def are_channels_known(machine: Machine) -> bool:
    """Whether a stated rate of its RAM tells its memory bandwidth."""
    return not _has_its_own(machine) and _channels_of(machine, None) is not None


def usual_ram(machine: Machine, *, in_modules: bool = False) -> str:
    """The kind and rate of RAM that its processor usually has, or has in modules, as `stated_ram`
    reads them: `ddr5-5200`. Where nothing tells it, a common one.
    """
    channels = _channels_of(machine, None)
    usual_mts = channels.usual_mts if channels is not None else None
    if usual_mts is None:
        return "ddr4-3200"

    def distance(kind: str) -> float:
        slowest, fastest = _rates_of_kind()[kind]
        return max(slowest / usual_mts, usual_mts / fastest, 1)

    series = _series_of(machine)
    takes_modules_alone = in_modules or (series is not None and series.memory == "slots")
    kinds = [
        kind for kind in _rates_of_kind() if not (takes_modules_alone and kind.startswith("lp"))
    ]
    # of kinds that have the rate alike, modules come before what is soldered
    return f"{min(kinds, key=distance)}-{usual_mts}"


def usual_modules(machine: Machine) -> str:
    """Two modules of half its RAM, as `stated_ram` reads them: `2x8gb`; empty where it has none, or
    they do not come in that size.
    """
    series, size = _series_of(machine), machine.memory_total_bytes
    if series is None or size is None or not series.may_have_one_module(size):
        return ""
    half = round(size / 2 / units.GIB)
    return f"2x{half}gb" if half in (2, 4, 8) else ""


class _Channels(Record):
    """The memory channels of a processor, each so many bits wide, and its slowest, usual and
    fastest rate; None where only its class is known. `has_kinds`: its name does not tell which kind
    of memory it has.
    """

    count: int
    bits: int
    mts: tuple[int, int, int] | None
    is_server: bool = False
    has_kinds: bool = False

    @property
    def usual_mts(self) -> int | None:
        return None if self.mts is None else self.mts[1]


def _channels_of(machine: Machine, stated: int | None) -> _Channels | None:
    """Those of the series, else as many as stated, else those of the class or of the computer that
    its cards sit in; None where nothing tells them.
    """
    name = machine.cpu_model or ""
    inside = (cpus.processor_with(card.name) for card in machine.accelerators or () if card.unified)
    series = cpus.processor_of(name) or next(filter(None, inside), None)
    if series is not None:
        return _Channels(
            count=series.channels,
            bits=series.bits,
            mts=_rates_of(series, series.channels * series.bits),
            is_server=series.kind == "server",
            has_kinds=series.slowest < series.fastest,
        )
    computer = None if name or stated is not None else gpus.computer_of(machine)
    if computer is not None:
        rates = _rates_of(computer, computer.channels * 64)
        return _Channels(count=computer.channels, bits=64, mts=rates)
    around = cpus.class_of(machine.cpu_model or "")
    count = stated or (around and around.channels)
    return _Channels(count=count, bits=64, mts=None) if count else None


def _rates_of(memory: cpus.Processor | gpus.Computer, bits: int) -> tuple[int, int, int]:
    """Its slowest, usual and fastest rate, on so many bits at once."""
    slowest, usual, fastest = (
        round(rate * 8 / bits / units.MB) for rate in (memory.least, memory.usual, memory.most)
    )
    return slowest, usual, fastest


def _series_of(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    inside = (cpus.processor_with(card.name) for card in machine.accelerators or () if card.unified)
    return cpus.processor_of(machine.cpu_model or "") or next(filter(None, inside), None)


def _rate_of(ram: StatedRam, channels: _Channels) -> int | None:
    """The rate that is stated, of servers no more than the processor takes; else of the kind the
    one nearest to what is usual, the slowest where only the class is known. None where the
    processor takes no such memory.
    """
    kind = None if ram.kind is None else _rates_of_kind().get(ram.kind)
    if channels.mts is None:
        return ram.mts or (None if kind is None else kind[0])
    slowest, usual, fastest = channels.mts
    if kind is not None and not _are_near(kind, (slowest, fastest)):
        return None
    if ram.mts is not None and channels.is_server:
        return min(ram.mts, fastest)
    nearest = usual if kind is None else max(kind[0], min(usual, kind[1]))
    mts = ram.mts or nearest
    least, most = _RATES_BESIDE
    if not least * slowest <= mts <= most * fastest:
        return None
    # of a kind alone the processor takes no other rates than its own
    return ram.mts or max(slowest, min(mts, fastest))


def _are_near(kind: Sequence[int], taken: tuple[int, int]) -> bool:
    """Whether memory of a kind has a rate that a processor takes, or nearly so: DDR3 of 1600 MT/s
    beside 1866, and no DDR5 of 4800 beside DDR4 of 3600.
    """
    return kind[0] <= _NEAR * taken[1] and taken[0] <= _NEAR * kind[1]


@lru_cache(1)
def _rates_of_kind() -> Mapping[str, Sequence[int]]:
    """Of each kind of memory the slowest and the fastest rate that most machines have."""
    return {row["kind"]: row["mts"] for row in shipped_table("cpus")["ram"]}
