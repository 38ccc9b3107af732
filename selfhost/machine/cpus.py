"""What a processor's name tells of its memory and its cores: `specs/common/cpus.toml` and
`cpu_cores.toml`; and chips with their memory beside them, Apple's among them: `chips.toml`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache, partial
from math import hypot, inf, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core import units
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
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
    own = {key: row[key] for key in kind._fields if key in row}
    lists = {key: tuple(value) for key, value in own.items() if isinstance(value, list)}
    return kind(**own | lists | values)


def rates_of(memory: TomlRow, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """`channels`, and `bytes_per_second` with all of them filled: `slowest` and `fastest` of kinds
    of memory at their rates nearest to the usual one, which stands where no kinds are named.
    """
    per_rate = memory["channels"] * memory.get("bits", 64) / 8 * units.MB
    least, usual, most = (per_rate * rate for rate in memory["mts"])
    rates = [
        max(least, min(max(usual, slow * per_rate), fast * per_rate, most))
        for slow, fast in map(_table()["ram"].__getitem__, kinds)
    ] or [usual]
    every_rate = Rates(least, min(rates), usual, max(rates), most)
    return {"channels": memory["channels"], "bytes_per_second": every_rate}


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
        cores = inf if cores is None else cores
        return memory_rate / hypot(
            1, memory_rate / (self.core_gb_per_s * units.GB * cores)
        )

    @property
    def source(self) -> str:
        """What it rests on, as the end of a clause."""
        return f"by runs on {self.devices} devices" if self.devices else "a guess"


def share_of(kind: str, most_mts: float = inf) -> Share:
    """How processors of a kind read their memory, the fastest of which has that rate."""
    rows = (row for row in _table()["share"] if row["kind"] == kind)
    return record_of(
        Share, next(row for row in rows if most_mts <= row.get("up_to_mts", inf))
    )


@lru_cache(maxsize=256)
def guests_with(
    core: str, *, is_amd: bool | None, cores: float
) -> tuple[Ends, int] | None:
    """Bytes per second that guests of clouds with so many cores of that kind, a row of `core`, read
    weights at, and how many instance types have about as many; None where none were counted. With
    `is_amd` None of any maker. Between two counts it holds both, below the first in proportion.
    """
    counts = _table()["guest_cores"]
    rows = [
        row
        for row in _table()["guest"]
        if core in row["core"] and (is_amd is None or row.get("amd", is_amd) == is_amd)
    ]
    if not rows or cores > counts[-1] * 2**0.5:
        return None
    above = min(bisect_left(counts, cores), len(counts) - 1)
    near = (above if counts[above] <= cores else max(0, above - 1), above)
    likely = [row["likely"][at] for row in rows for at in near]
    part = units.GB * min(1.0, cores / counts[0])
    low = part * min(row["low"][at] for row in rows for at in near)
    high = part * max(row["high"][at] for row in rows for at in near)
    usual = part * prod(likely) ** (1 / len(likely))
    return (low, usual, high), sum(max(row["types"][at] for at in near) for row in rows)


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
    return next(
        (row for row in _table()["class"] if not words.isdisjoint(row["words"])), {}
    )


@lru_cache(maxsize=512)
def processor_of(name: str) -> Processor | None:
    """The series, else the generation, whose row fits a processor's name best; None for others."""
    words = words_of(name)
    rows = _best_rows(_table()["cpu"], words) or _best_rows(
        _table()["generation"], words
    )
    if not rows:
        return None
    row = rows[0]
    memory, vectors = row.get("memory", "slots"), row.get("vectors", "avx2")
    matches = (
        _fits(shape, word) for shape in row.get("kinds_of", ["*"]) for word in words
    )
    kinds = row.get("kinds", ()) if any(matches) else ()
    # one for laptops, by where its memory sits or the letters behind its number
    is_mobile = memory in ("either", "soldered")
    is_mobile |= any(re.fullmatch(_table()["mobile"], word, re.ASCII) for word in words)
    kind = row.get("kind", "mobile" if is_mobile else "client")
    share = share_of(kind, row["mts"][-1])
    share = share.replace(core_gb_per_s=row.get("core_gb_per_s", share.core_gb_per_s))
    return record_of(
        Processor,
        row,
        **rates_of(row, kinds),
        memory=memory,
        kind=kind,
        share=share,
        vectors=vectors,
        core=row.get("core", CORE_OF[vectors]),
    )


def _best_rows(rows: Iterable[TomlRow], words: AbstractSet[str]) -> list[TomlRow]:
    """The rows that fit best: of the most words, then of the shape with the fewest signs."""
    best, matching = (0, 0), list[TomlRow]()
    for row in rows:
        wanted = row.get("words", "").split()
        has_all = all(not words.isdisjoint(each.split("|")) for each in wanted)
        if not has_all or not words.isdisjoint(row.get("without", "").split()):
            continue
        signs = [
            sum(shape.count(sign) for sign in "#+?*")
            for shape in row.get("models", ())
            if any(_fits(shape, word) for word in words)
        ]
        if signs or "models" not in row:
            rank = len(wanted), -min(signs, default=0)
            if rank > best or not matching:
                best, matching = rank, []
            matching += [row] if rank == best else []
    return matching


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
    words = words_of(name)
    makers: Mapping[str, Sequence[str]] = _table()["makers"]
    return next(
        (maker for maker in makers if not words.isdisjoint(makers[maker])), None
    )


def names_of_number(number: str, *, beside_gpu: bool = False) -> tuple[str, ...]:
    """The series that a bare number can be of; `beside_gpu`: one that may be anything, too."""
    first, _, rest = number.partition(" ")
    maker, number = (maker_of(first), rest) if first in MAKERS else (None, number)
    # no GPU of Intel's has such a number: `intel 12400`
    beside = {
        "maker": maker,
        "gpu": beside_gpu or maker == "Intel",
        "nothing": not beside_gpu,
    }
    names: dict[str, str] = {}
    for row in _table()["number"]:
        match = re.fullmatch(row["shape"], number, re.ASCII)
        is_meant = beside[row.get("beside", "nothing")] and maker in (
            None,
            maker_of(row["words"]),
        )
        if match is not None and is_meant:
            name = f"{row['words']} {match.groupdict().get('number', match[0])}"
            if (series := processor_of(name)) is not None:
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


def count_of(name: str) -> int:
    """How many processors a name tells, `dual xeon`; the `x6` of one with one socket are cores."""
    series = processor_of(name)
    if series is not None and series.kind != "server":
        return 1
    plain, counts = name.lower().replace("×", "x"), _table()["counts"]
    numbers = re.findall(r"(?<!\S)(?:x([0-9]{1,2})|([0-9]{1,2})x)(?!\S)", plain)
    written = (int(before or behind) for before, behind in numbers)
    return max((1, *written, *(int(counts.get(word, 0)) for word in plain.split())))


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
    row = next(each for each in _table()["core"] if each["core"] == name)
    clock = row["ghz"] if ghz is None else [share * ghz for share in _table()["clock"]]
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
    series, around, count = processor_of(name), class_of(name), count_of(name)
    if series is not None:
        rows = _best_rows(
            shipped_table("cpu_cores").get(series.name, ()), words_of(name)
        )
        if rows:
            return cores_from(rows[0], series.threads, count)
        if series.cores:
            least, usual = (
                max(1, round(share * series.cores)) for share in _SHARES_OF_LARGEST
            )
            return cores_from(
                {"cores": (least, usual, series.cores)}, series.threads, count
            )
    return cores_from(around, 1, count) if around else None


def cores_from(row: TomlRow, threads: int, count: int = 1) -> Cores:
    """Those of so many processors of a row: one count, or the fewest, the usual and the most."""
    counts, threads = row["cores"], row.get("threads", threads)
    physical, performance = (
        (count * each,) * 3
        if isinstance(each, int)
        else tuple(count * number for number in each)
        for each in (counts, row.get("performance", counts))
    )
    return Cores(
        physical=physical,
        performance=performance,
        threads=threads,
        usable=physical[1] + performance[1] * (threads - 1),
        are_known=physical[0] == physical[2],
    )


class Chip(Record):
    """A chip with its memory beside it, a row of `chip`; `smaller` one has fewer cores."""

    name: str
    gb_per_s: float
    least_gb_per_s: float
    gpu: str | None = None
    memory_gib: int | None = None
    kind: str | None = None
    core: str | None = None
    ghz: float | None = None
    tflops: float | None = None
    neural: bool = False
    smaller: TomlRow = {}
    mac: TomlRow = {}


@lru_cache(maxsize=512)
def chip_of(words: frozenset[str]) -> Chip | None:
    """The chip that the words of a processor's or a GPU's name mean; None for others."""
    rows = _best_rows(shipped_table("chips")["chip"], words)
    return record_of(Chip, rows[0]) if rows else None


def metal_share(ram_bytes: int) -> tuple[float, float]:
    """Of a Mac's RAM, what macOS lets the GPU use unless somebody set it, least and most."""
    least, most = next(
        row["share"]
        for row in shipped_table("chips")["metal"]
        if ram_bytes <= row.get("up_to_gib", ram_bytes) * units.GIB
    )
    return least, most
