"""What a processor's name tells of its memory and its cores: `specs/common/cpus.toml` and
`cpu_cores.toml`; and chips with their memory beside them, Apple's among them: `chips.toml`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache, partial
from math import hypot, inf, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core import units
from ..core.records import Record, Stated, read_by
from ..core.tables import TomlRow, shipped_record, shipped_table
from ..core.units import words_of

_table = partial(shipped_table, "cpus")

if TYPE_CHECKING:
    from typing import TypeVar

    _R = TypeVar("_R", bound=Record)

Ends = tuple[float, float, float]


class Rates(NamedTuple):
    """Bytes per second of a memory: of the slowest and fastest modules that a machine of its kind
    takes (`least`, `most`), of those that it may have, and of the usual ones.
    """

    least: float
    slowest: float
    usual: float
    fastest: float
    most: float


# what cores compute, by `vectors`, of a row that does not say more
CORE_OF = {
    "none": "avx",
    "sse": "avx",
    "avx2": "avx2",
    "avx512": "avx512",
    "arm": "arm",
}
# fewest and usual cores, as shares of those of the largest of a series of servers: a guess
_SHARES_OF_LARGEST = (0.125, 0.5)
# what stands for a sign in the shape of a model number; `?` is any
_LETTERS_OF = {"#": "0123456789", "+": "123456789"}
# makers as people type them, also before a bare number
MAKERS = ("amd", "intel")


def record_of(kind: type[_R], row: TomlRow, /, **values: Any) -> _R:
    """A record of the keys of a row that are its fields, and of `values`."""
    fields: dict[str, Any] = {}
    for key in kind._fields:
        if key in row:
            value = row[key]
            fields[key] = tuple(value) if isinstance(value, list) else value
    return kind(**fields | values)


def rates_of(memory: TomlRow, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """`channels`, and `bytes_per_second` with all of them filled: `slowest` and `fastest` of kinds
    of memory at their rates nearest to the usual one, which stands where no kinds are named.
    """
    channels = memory["channels"]
    bytes_per_transfer = channels * memory.get("bits", 64) / 8
    per_mts = bytes_per_transfer * units.MB
    least, usual, most = [per_mts * rate for rate in memory["mts"]]
    rates: list[float] = []
    for kind in kinds:
        slow, fast = _table()["ram"][kind]
        nearest = min(max(usual, slow * per_mts), fast * per_mts)
        rates.append(max(least, min(nearest, most)))
    rates = rates or [usual]
    every_rate = Rates(least, min(rates), usual, max(rates), most)
    return {"channels": channels, "bytes_per_second": every_rate}


def ram_rates(kind: str) -> tuple[int, int] | None:
    """The slowest and the fastest usual rate of a kind of RAM in MT/s; None for one not listed."""
    rates = _table()["ram"].get(kind)
    return None if rates is None else (rates[0], rates[1])


class Share(Record):
    """A row of `share`, of what memory and cores give together; `devices` it was seen on."""

    low: float
    likely: float
    high: float
    devices: int
    core_gb_per_s: float
    takes_either: bool = False

    def read_bytes_per_second(self, peak: float, cores: float | None) -> float:
        """Bytes per second at which so many cores (None: enough) read weights while a model
        decodes, of memory of that peak, by `of_peak` of cpus.toml: each bounds the other.
        """
        memory_rate: float = _table()["of_peak"] * peak
        if cores is None:
            return memory_rate
        cores_rate = self.core_gb_per_s * units.GB * cores
        return memory_rate / hypot(1, memory_rate / cores_rate)

    @property
    def source(self) -> str:
        """What it rests on, as the end of a clause."""
        return f"by runs on {self.devices} devices" if self.devices else "a guess"


def share_of(kind: str, most_mts: float = inf) -> Share:
    """How processors of a kind read their memory, the fastest of which has that rate."""
    for row in _table()["share"]:
        if row["kind"] == kind and most_mts <= row.get("up_to_mts", inf):
            return record_of(Share, row)
    raise KeyError(kind)


@lru_cache(maxsize=256)
def guests_with(
    core: str, *, is_amd: bool | None, cores: float
) -> tuple[Ends, int] | None:
    """Bytes per second that guests of clouds with so many cores of that kind, a row of `core`, read
    weights at, and how many instance types have about as many; None where none were counted. With
    `is_amd` None of any maker. Between two counts it holds both, below the first in proportion.
    """
    counts = _table()["guest_cores"]
    rows: list[TomlRow] = []
    for row in _table()["guest"]:
        is_of_maker = is_amd is None or row.get("amd", is_amd) == is_amd
        if core in row["core"] and is_of_maker:
            rows.append(row)
    if not rows or cores > counts[-1] * 2**0.5:
        return None
    above = min(bisect_left(counts, cores), len(counts) - 1)
    below = above if counts[above] <= cores else max(0, above - 1)
    lows: list[float] = []
    likely: list[float] = []
    highs: list[float] = []
    types = 0
    for row in rows:
        for place in (below, above):
            lows.append(row["low"][place])
            likely.append(row["likely"][place])
            highs.append(row["high"][place])
        types += max(row["types"][below], row["types"][above])
    part = units.GB * min(1.0, cores / counts[0])
    usual = part * prod(likely) ** (1 / len(likely))
    return (part * min(lows), usual, part * max(highs)), types


class Processor(Record):
    """A series of processors with one memory specification: a row of `cpu`.

    `bytes_per_second`: as of `rates_of`, of one socket. `cores` are 0 of a client, that has one
    socket; `core` and `ghz` None where only the GPU in it is known.
    """

    name: str
    channels: int
    bytes_per_second: Rates
    memory: str
    kind: str
    share: Share
    vectors: str
    cores: int = 0
    threads: int = 1
    bits: int = 64
    core: str | None = None
    ghz: float | None = None
    architecture: str | None = None
    memory_gib: int | None = None
    on_package_gib: int | None = None
    graphics: str | None = None


def class_of(name: str) -> TomlRow:
    """The row of `class` that a word of a processor's name tells; empty where none does."""
    words = words_of(name)
    for row in _table()["class"]:
        if not words.isdisjoint(row["words"]):
            found: TomlRow = row
            return found
    return {}


@lru_cache(maxsize=512)
def processor_of(name: str) -> Processor | None:
    """The series, else the generation, whose row fits a processor's name best; None for others."""
    words = words_of(name)
    rows = _best_rows(_table()["cpu"], words)
    rows = rows or _best_rows(_table()["generation"], words)
    if not rows:
        return None
    row = rows[0]
    memory = row.get("memory", "slots")
    vectors = row.get("vectors", "avx2")
    kind = row.get("kind")
    if kind is None:
        kind = "mobile" if _is_mobile(memory, words) else "client"
    share = share_of(kind, row["mts"][-1])
    if "core_gb_per_s" in row:
        share = share.replace(core_gb_per_s=row["core_gb_per_s"])
    return record_of(
        Processor,
        row,
        **rates_of(row, _kinds_of_memory(row, words)),
        memory=memory,
        kind=kind,
        share=share,
        vectors=vectors,
        core=row.get("core", CORE_OF[vectors]),
    )


def _is_mobile(memory: str, words: AbstractSet[str]) -> bool:
    """Whether it is for laptops, by where its memory sits or the letters behind its number."""
    if memory in ("either", "soldered"):
        return True
    return any(re.fullmatch(_table()["mobile"], word, re.ASCII) for word in words)


def _kinds_of_memory(row: TomlRow, words: AbstractSet[str]) -> Sequence[str]:
    """The kinds of memory that a row names for processors with such words."""
    kinds: Sequence[str] = row.get("kinds", ())
    for shape in row.get("kinds_of", ["*"]):
        if _fits_any(shape, words):
            return kinds
    return ()


def _best_rows(rows: Iterable[TomlRow], words: AbstractSet[str]) -> list[TomlRow]:
    """The rows that fit best: of the most words, then of the shape with the fewest signs."""
    best = (0, 0)
    matching: list[TomlRow] = []
    for row in rows:
        wanted = row.get("words", "").split()
        if not all(_has_one(words, choices.split("|")) for choices in wanted):
            continue
        if _has_one(words, row.get("without", "").split()):
            continue
        signs = 0
        if "models" in row:
            shapes = [shape for shape in row["models"] if _fits_any(shape, words)]
            if not shapes:
                continue
            signs = min(_count_signs(shape) for shape in shapes)
        rank = (len(wanted), -signs)
        if rank > best or not matching:
            best = rank
            matching = []
        if rank == best:
            matching.append(row)
    return matching


def _has_one(words: AbstractSet[str], choices: Iterable[str]) -> bool:
    return not words.isdisjoint(choices)


def _fits_any(shape: str, words: AbstractSet[str]) -> bool:
    return any(_fits(shape, word) for word in words)


def _count_signs(shape: str) -> int:
    return sum(shape.count(sign) for sign in "#+?*")


def _fits(shape: str, word: str) -> bool:
    """Whether a word has the shape of a model number; its signs are those of the table."""
    start = shape.removesuffix("*")
    rest = word[len(start) :]
    if len(word) < len(start) or (rest and start == shape):
        return False
    if start.endswith("#") and rest[:1].isdecimal():
        return False
    pairs = zip(start, word, strict=False)
    return all(
        sign == "?" or letter in _LETTERS_OF.get(sign, sign) for sign, letter in pairs
    )


def maker_of(name: str) -> str | None:
    """AMD or Intel, by a word of a processor's name; None where none tells."""
    makers: Mapping[str, Sequence[str]] = _table()["makers"]
    for maker, its_words in makers.items():
        if _has_one(words_of(name), its_words):
            return maker
    return None


def names_of_number(number: str, *, beside_gpu: bool = False) -> tuple[str, ...]:
    """The series that a bare number can be of; `beside_gpu`: one that may be anything, too."""
    maker = None
    first, _, rest = number.partition(" ")
    if first in MAKERS:
        maker = maker_of(first)
        number = rest
    # what must stand beside a number; no GPU of Intel's has such a one: `intel 12400`
    meanings = {"maker": maker is not None, "gpu": beside_gpu or maker == "Intel"}
    meanings["nothing"] = not beside_gpu
    names: dict[str, str] = {}
    for row in _table()["number"]:
        match = re.fullmatch(row["shape"], number, re.ASCII)
        if match is None or not meanings[row.get("beside", "nothing")]:
            continue
        if maker is not None and maker != maker_of(row["words"]):
            continue
        name = f"{row['words']} {match.groupdict().get('number', match[0])}"
        series = processor_of(name)
        if series is not None:
            names.setdefault(series.name, name)
    return tuple(names.values())


def names_a_kind_alone(words: AbstractSet[str]) -> bool:
    """Whether words tell a kind of processor and nothing more, `core i9`; a maker is none."""
    beside = {*_table()["beside_kind"], *MAKERS}
    kind = frozenset(
        word for word in words if word not in beside and count_of(word) == 1
    )
    around = class_of(" ".join(kind or words - {*MAKERS}))
    return bool(around) and kind <= {*around["words"]}


def number_words() -> Mapping[str, int]:
    """The numbers that words mean: 2 of `dual`."""
    counts: Mapping[str, int] = _table()["counts"]
    return counts


def count_of(name: str) -> int:
    """How many processors a name tells, `dual xeon`; the `x6` of one with one socket are cores."""
    series = processor_of(name)
    if series is not None and series.kind != "server":
        return 1
    plain = name.lower().replace("×", "x")
    counts = [1]
    for before, behind in re.findall(
        r"(?<!\S)(?:x([0-9]{1,2})|([0-9]{1,2})x)(?!\S)", plain
    ):
        counts.append(int(before or behind))
    for word in plain.split():
        counts.append(int(_table()["counts"].get(word, 0)))
    return max(counts)


class Core(Record):
    """A row of `core`: each slow end, likely, fast end, while all of them work."""

    name: str
    prompt: Ends
    ghz: Ends
    wide: bool = False
    float32: float = 1.0
    unpacks_gb_per_s: Ends = (inf, inf, inf)
    vectors: str | None = None


def core_called(name: str, ghz: float | None) -> Core:
    """What the cores of that name compute, at the clock of a series where that is known."""
    row: TomlRow = next(row for row in _table()["core"] if row["core"] == name)
    clock = row["ghz"]
    if ghz is not None:
        clock = [share * ghz for share in _table()["clock"]]
    return record_of(Core, row, name=name, ghz=tuple(clock))


class Cores(Record):
    """How many cores a processor has, or several: the fewest, the usual count and the most, alike
    where its name tells the count. `physical` of every kind, `performance` of the fastest one with
    so many `threads` each; `usable` threads of the usual count, of which the slower cores have one.
    `are_known`: that count is listed.
    """

    physical: tuple[int, int, int]
    performance: tuple[int, int, int]
    threads: int
    usable: int
    are_known: bool


def cores_of(name: str) -> Cores | None:
    """The cores of all processors that a name tells, by number, series or class."""
    series = processor_of(name)
    count = count_of(name)
    if series is None:
        around = class_of(name)
        return cores_from(around, 1, count) if around else None
    rows = _best_rows(shipped_table("cpu_cores").get(series.name, ()), words_of(name))
    if rows:
        return cores_from(rows[0], series.threads, count)
    if series.cores:
        fewest, usual = _SHARES_OF_LARGEST
        least = max(1, round(fewest * series.cores))
        half = max(1, round(usual * series.cores))
        largest = {"cores": (least, half, series.cores)}
        return cores_from(largest, series.threads, count)
    around = class_of(name)
    return cores_from(around, 1, count) if around else None


def cores_from(row: TomlRow, threads: int, count: int = 1) -> Cores:
    """Those of so many processors of a row: one count, or the fewest, the usual and the most."""
    threads = row.get("threads", threads)
    physical = _counts_of(row["cores"], count)
    performance = _counts_of(row.get("performance", row["cores"]), count)
    return Cores(
        physical=physical,
        performance=performance,
        threads=threads,
        usable=physical[1] + performance[1] * (threads - 1),
        are_known=physical[0] == physical[2],
    )


def _counts_of(cores: int | Sequence[int], processors: int) -> tuple[int, int, int]:
    """The fewest, the usual count and the most of so many processors; alike of one number."""
    if isinstance(cores, int):
        return (processors * cores,) * 3
    fewest, usual, most = cores
    return processors * fewest, processors * usual, processors * most


class SmallerChip(Record):
    """The form of a chip with fewer cores and less bandwidth."""

    cores: int
    gb_per_s: float
    least_gb_per_s: float


class SoldMac(Record):
    """The Macs with a chip. The first of `gib` is that of the cheapest; the sizes `smaller_gib`
    come only with the form of `smaller_cores`.
    """

    sold_as: tuple[str, ...]
    gib: tuple[float, ...]
    cores: int
    smaller_gib: tuple[float, ...] = ()
    smaller_cores: int = 0


class Chip(Record):
    """A chip with its memory beside it, a row of `chip`. `words` are those of its name."""

    name: str
    words: str
    gb_per_s: float
    least_gb_per_s: float
    gpu: str | None = None
    memory_gib: int | None = None
    kind: str | None = None
    core: str | None = None
    ghz: float | None = None
    tflops: float | None = None
    neural: bool = False
    smaller: SmallerChip | None = None
    mac: SoldMac | None = None


class _MetalShare(Stated):
    """What the GPU of a Mac with at most so much RAM may use of it, least and most."""

    share: tuple[float, ...]
    up_to_gib: float = inf


class _ChipTable(Stated):
    """`specs/common/chips.toml`, whose header explains each key."""

    schema: int
    # each is read as a `Chip` where it is the one that was meant
    chip: tuple[Any, ...]
    metal: tuple[_MetalShare, ...] = read_by(kind=_MetalShare)
    sources: Mapping[str, str]


def _chip(row: TomlRow) -> Chip:
    smaller = row.get("smaller")
    mac = row.get("mac")
    return record_of(
        Chip,
        row,
        smaller=None if smaller is None else record_of(SmallerChip, smaller),
        mac=None if mac is None else record_of(SoldMac, mac),
    )


@cache
def mac_chips() -> Mapping[Chip, SoldMac]:
    """Apple's chips, with the Macs that have them."""
    chips = map(_chip, shipped_record(_ChipTable, "chips").chip)
    return {chip: chip.mac for chip in chips if chip.mac is not None}


@lru_cache(maxsize=512)
def chip_of(words: frozenset[str]) -> Chip | None:
    """The chip that the words of a processor's or a GPU's name mean; None for others."""
    rows = _best_rows(shipped_record(_ChipTable, "chips").chip, words)
    return _chip(rows[0]) if rows else None


def metal_share(ram_bytes: int) -> tuple[float, float]:
    """Of a Mac's RAM, what macOS lets the GPU use unless somebody set it, least and most."""
    for row in shipped_record(_ChipTable, "chips").metal:
        if ram_bytes <= row.up_to_gib * units.GIB:
            least, most = row.share
            return least, most
    raise AssertionError("the last row of `metal` is of any RAM")


def is_server(name: str) -> bool:
    """Whether the processor of that name is of a series of servers."""
    series = processor_of(name)
    return series is not None and series.kind == "server"
