"""The memory and the cores of a processor, and chips that come with their memory, such as Apple's.

What goes in: the name of a processor, as a system or a person writes it. What comes out: the series
of the processor with its bandwidth (`ProcessorSeries`), its class (`CpuClass`), its cores
(`CoreCounts`), the chip (`Chip`), or None for a name that no row fits. The rows stand in cpus.toml,
cpu_cores.toml and chips.toml of specs/common/; the header of each table explains their keys.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from itertools import pairwise
from math import hypot, inf, prod
from typing import Any, NamedTuple, TypeVar

from ..core import units
from ..core.records import Record, Stated, read_by
from ..core.tables import shipped_record, unchecked_record
from ..core.units import words_of

# the words of a name, as `words_of` splits the name
Words = AbstractSet[str]
# the kind of core by `vectors`, for rows that state no more
CORE_OF = {
    "none": "avx",
    "sse": "avx",
    "avx2": "avx2",
    "avx512": "avx512",
    "amx": "amx",
    "arm": "arm",
}
# the fewest and the usual cores as shares of the largest processor in a series of servers: a guess
_FEWEST_SHARE = 0.125
_USUAL_SHARE = 0.5
# the characters that a sign stands for in the pattern of a model number; `?` stands for any
_LETTERS_OF = {"#": "0123456789", "+": "123456789"}
_SIGNS = "#+?*"
# makers as people type them, with or without a number after the name
MAKERS = ("amd", "intel")
# a name that consists of words only, as in a description
_TYPED_NAME = r"[a-z0-9.+]+( [a-z0-9.+]+)*"
# as in `2x` or `x2`
_COUNT = r"x[0-9]{1,2}|[0-9]{1,2}x"
# as in `8th`; then words with a number, as in `7800x3d`, `rk3588` or `v4`; then words that a hyphen
# may precede
_ORDINAL = r"[0-9]+(st|nd|rd|th)"
_NUMBER = r"[a-z]{0,3}[0-9]"
_LONG_NUMBER = r"[a-z]?[0-9][a-z0-9]+"


class NamedRow(Stated):
    """A row that is found by the words of a processor's name, and by shapes of the processor's
    number.

    Each of `words` must be in the name, of `a|b` one of the two. None of `without` may be.
    """

    words: str = ""
    without: str = ""
    models: tuple[str, ...] = ()

    def rank(self, words: Words) -> tuple[int, int] | None:
        """Return how well the row fits these words: by the number of the row's words, then by the
        shape with the fewest signs. None where the row does not fit.
        """
        wanted = self.words.split()
        for choices in wanted:
            if words.isdisjoint(choices.split("|")):
                return None
        if not words.isdisjoint(self.without.split()):
            return None
        if not self.models:
            return len(wanted), 0
        fitting = [shape for shape in self.models if _fits_any(shape, words)]
        if not fitting:
            return None
        signs = [sum(map(shape.count, _SIGNS)) for shape in fitting]
        return len(wanted), -min(signs)


class SeriesRow(NamedRow):
    """A row of `cpu` or `generation`."""

    name: str
    channels: int
    mts: tuple[int, ...]
    ghz: float | None
    source: str
    bits: int = 64
    kinds: tuple[str, ...] = ()
    kinds_of: tuple[str, ...] = ("*",)
    memory: str = "slots"
    kind: str | None = None
    vectors: str = "avx2"
    core: str | None = None
    core_gb_per_s: float | None = None
    sockets: int | None = None
    cores: int = 0
    threads: int = 1
    architecture: str | None = None
    system: str | None = None
    phone: bool = False
    memory_gib: int | None = None
    on_package_gib: int | None = None
    graphics: str | None = None

    def kind_of(self, words: Words) -> str:
        """The row of `share` for a processor with such words in its name."""
        if self.kind is not None:
            return self.kind
        # a processor for laptops is told by the place of its memory, or by the letters behind its
        # number
        if self.memory in ("either", "soldered"):
            return "mobile"
        shape = _table().mobile
        if any(re.fullmatch(shape, word, re.ASCII) for word in words):
            return "mobile"
        return "client"


class CpuClass(Stated):
    """A row of `class`. A processor without a row is of `UNKNOWN_CLASS`."""

    words: tuple[str, ...] = ()
    architecture: str = "x86_64"
    system: str = "linux"
    # the memory in most machines with such a processor; 0: not known
    memory_gib: int = 0
    most_gib: int | None = None
    least_gb_per_s: float | None = None
    most_gb_per_s: float | None = None
    least_vectors: str | None = None
    # a single count, or three: the fewest, the usual and the most
    cores: tuple[int, ...] = ()
    performance: tuple[int, ...] = ()
    threads: int = 1


UNKNOWN_CLASS = CpuClass()


class MemoryShare(Stated):
    """A row of `share`: the part of the peak bandwidth that memory and cores give together.
    `devices` is the number of devices on which the row rests.
    """

    kind: str
    low: float
    likely: float
    high: float
    devices: int
    core_gb_per_s: float
    up_to_mts: float = inf
    takes_either: bool = False

    def with_core(self, gb_per_s: float | None) -> MemoryShare:
        """Return the row for cores that read so much each; None means as the row says."""
        if gb_per_s is None:
            return self
        return self.replace(core_gb_per_s=gb_per_s)

    def read_bytes_per_second(self, peak: float, cores: float | None) -> float:
        """Return the bytes a second at which `cores` cores (None: enough) read weights while a
        model decodes.

        `peak` is the peak bandwidth of the memory. Memory, at `of_peak` of cpus.toml, and cores
        bound each other.
        """
        memory_rate = _table().of_peak * peak
        if cores is None:
            return memory_rate
        cores_rate = self.core_gb_per_s * units.GB * cores
        return memory_rate / hypot(1, memory_rate / cores_rate)

    @property
    def source(self) -> str:
        """The evidence for the figures, as the end of a clause."""
        if not self.devices:
            return "a guess"
        return f"by runs on {self.devices} devices"


class DecodeRow(Stated):
    """A row of `decode`: the comparison of a kind of processor with the processor that was
    measured.
    """

    kind: str
    memory: tuple[float, ...]
    cores: tuple[float, ...]


class Core(Stated):
    """A row of `core`. Each figure is a slow end, a likely value and a fast end, while all cores
    work.

    `attended_per_cycle`: the operations of attention to a prompt; None where they are computed as
    fast as other products.
    """

    name: str = read_by(name="core")
    prompt: tuple[float, ...]
    ghz: tuple[float, ...]
    source: str
    wide: bool = False
    float32: float = 1.0
    attended_per_cycle: tuple[float, ...] | None = None
    unpacks_gb_per_s: tuple[float, ...] = (inf, inf, inf)
    vectors: str | None = None


class _GuestRow(Stated):
    """A row of `guest`: the bandwidths that virtual machines read, a column for each count of
    `guest_cores`.
    """

    core: tuple[str, ...]
    low: tuple[float, ...]
    likely: tuple[float, ...]
    high: tuple[float, ...]
    types: tuple[int, ...]
    source: str
    # whether it counts guests of AMD's, or of other makers; None: of any
    amd: bool | None = None


class _NumberRow(Stated):
    """A row of `number`: the words before a number of that shape, and what must stand beside the
    number.
    """

    words: str
    shape: str
    beside: str = "nothing"


class _Brand(Stated):
    """A row of `brands`: a maker and a series, in small letters, and the words of its names."""

    brand: str
    words: tuple[str, ...]


class _Writing(Stated):
    """The table `[written]`: the ways in which makers write names."""

    brands: tuple[_Brand, ...]
    joined: frozenset[str]
    idle: frozenset[str]
    words: Mapping[str, str]
    changed: Mapping[str, str]

    def word(self, word: str) -> str:
        """A word of a name, in capital and small letters as its maker writes it."""
        if word in self.words:
            return self.words[word]
        if re.fullmatch(_ORDINAL, word):
            return word
        if re.match(_NUMBER, word):
            return word.upper()
        return word.capitalize()

    def sign_between(self, word: str, following: str) -> str:
        """The sign between two neighbouring words of a name: a hyphen before a model number where
        the maker writes one, else a space.
        """
        is_number = re.fullmatch(_LONG_NUMBER, following) is not None
        if word in self.joined and is_number and not re.fullmatch(_ORDINAL, following):
            return "-"
        return " "


class _CpuTable(Stated):
    """`specs/common/cpus.toml`."""

    of_peak: float
    mobile: str
    clock: tuple[float, ...]
    counts: Mapping[str, int]
    makers: Mapping[str, tuple[str, ...]]
    no_gpu_numbers: tuple[str, ...]
    beside_kind: tuple[str, ...]
    ram: Mapping[str, tuple[int, ...]]
    guest_cores: tuple[int, ...]
    share: tuple[MemoryShare, ...]
    decode: tuple[DecodeRow, ...]
    core: tuple[Core, ...]
    classes: tuple[CpuClass, ...] = read_by(name="class")
    generation: tuple[SeriesRow, ...]
    guest: tuple[_GuestRow, ...]
    number: tuple[_NumberRow, ...]
    cpu: tuple[SeriesRow, ...]
    written: _Writing
    sources: Mapping[str, str]


@cache
def _table() -> _CpuTable:
    return shipped_record(_CpuTable, "cpus")


def decode_rows() -> Sequence[DecodeRow]:
    """All rows of `decode`."""
    return _table().decode


class Rates(NamedTuple):
    """Memory bandwidths in bytes a second.

    `least` and `most` are those of the slowest and fastest modules that a machine of its kind
    takes, `slowest` and `fastest` those of the modules that it may have, `usual` those of the usual
    modules.
    """

    least: float
    slowest: float
    usual: float
    fastest: float
    most: float


class RamRow(Stated):
    """RAM of `channels` channels of `bits` bits each, all filled. `kinds` are its kinds, `mts` its
    rates in MT/s: the slowest, the usual and the fastest.
    """

    channels: int
    mts: tuple[int, ...]
    bits: int = 64
    kinds: tuple[str, ...] = ()

    @property
    def bytes_per_second(self) -> Rates:
        """The bandwidth of the memory in bytes a second, all channels filled.

        `slowest` and `fastest` are those of the `kinds`, each at its rate nearest to the usual one.
        Without `kinds` both are the usual rate.
        """
        least, usual, most = self.mts
        nearest = []
        for kind in self.kinds:
            slow, fast = _table().ram[kind]
            of_kind = max(slow, min(usual, fast))
            nearest.append(max(least, min(of_kind, most)))
        if not nearest:
            nearest.append(usual)
        bytes_per_mts = self.channels * self.bits / 8 * units.MB
        rates = (least, min(nearest), usual, max(nearest), most)
        return Rates(*[rate * bytes_per_mts for rate in rates])


def ram_rates() -> Mapping[str, Sequence[int]]:
    """Return the slowest and the fastest usual rate of each kind of RAM in MT/s."""
    return _table().ram


def share_of(kind: str, most_mts: float = inf) -> MemoryShare:
    """Return the row of `share` for a kind of processor whose fastest memory runs at `most_mts`.
    Each kind has a row of any rate.
    """
    rows = [row for row in _table().share if row.kind == kind]
    return next(row for row in rows if most_mts <= row.up_to_mts)


class GuestRates(Record):
    """The bytes a second at which virtual machines of clouds read weights. `types` is the number of
    instance types that were counted.
    """

    low: float
    likely: float
    high: float
    types: int


@lru_cache(maxsize=256)
def guests_with(
    core: str,
    *,
    is_amd: bool | None,
    cores: float,
) -> GuestRates | None:
    """Return the rates of guests with about `cores` cores of a kind, a row of `core`; `is_amd` None
    means any maker.

    Between two counts of `guest_cores` the range covers the rates of both; below the first count
    the rates shrink in proportion. None where no guest was counted.
    """
    table = _table()
    counts = table.guest_cores
    if cores > counts[-1] * 2**0.5:
        return None
    # the columns of the counts on both sides of this number; a single column where the number is in
    # the table, or outside of it
    first = bisect_right(counts, cores) - 1
    last = bisect_left(counts, cores)
    columns = slice(max(first, 0), last + 1)
    lows: list[float] = []
    likely: list[float] = []
    highs: list[float] = []
    types = 0
    for row in table.guest:
        if core not in row.core:
            continue
        if is_amd is not None and row.amd not in (None, is_amd):
            continue
        lows += row.low[columns]
        likely += row.likely[columns]
        highs += row.high[columns]
        types += max(row.types[columns])
    if not likely:
        return None
    geometric_mean = prod(likely) ** (1 / len(likely))
    scale = units.GB * min(1.0, cores / counts[0])
    return GuestRates(
        low=scale * min(lows),
        likely=scale * geometric_mean,
        high=scale * max(highs),
        types=types,
    )


class ProcessorSeries(SeriesRow):
    """A series of processors, for the processors of one name.

    `bytes_per_second` are those of one socket with all channels filled. `cores` is 0 for a client,
    which has one socket. `core` and `ghz` are None where only the GPU in the processor is known.
    """

    kind: str = ""
    bytes_per_second: Rates
    share: MemoryShare


def class_of(name: str) -> CpuClass:
    """The class that a word of a processor's name tells; `UNKNOWN_CLASS` where none does."""
    words = words_of(name)
    for row in _table().classes:
        if not words.isdisjoint(row.words):
            return row
    return UNKNOWN_CLASS


@lru_cache(maxsize=512)
def series_called(name: str) -> ProcessorSeries | None:
    """Return the series, else the generation, whose row fits a processor's name best; None where no
    row fits.
    """
    words = words_of(name)
    row = _best_row(_table().cpu, words)
    if row is None:
        row = _best_row(_table().generation, words)
    if row is None:
        return None
    kind = row.kind_of(words)
    share = share_of(kind, row.mts[-1]).with_core(row.core_gb_per_s)
    ram = RamRow(channels=row.channels, mts=row.mts, bits=row.bits)
    if any(_fits_any(shape, words) for shape in row.kinds_of):
        ram = ram.replace(kinds=row.kinds)
    values = {
        **row.__getstate__(),
        "kind": kind,
        "core": row.core or CORE_OF[row.vectors],
        "bytes_per_second": ram.bytes_per_second,
        "share": share,
    }
    return ProcessorSeries(**values)


_Row = TypeVar("_Row", bound=NamedRow)


def _best_row(rows: Iterable[_Row], words: Words) -> _Row | None:
    """The row that fits best; the first where several fit alike."""
    best = None
    best_rank = (-1, 0)
    for row in rows:
        rank = row.rank(words)
        if rank is not None and rank > best_rank:
            best = row
            best_rank = rank
    return best


def _fits_any(shape: str, words: Words) -> bool:
    return any(_fits(shape, word) for word in words)


def _fits(shape: str, word: str) -> bool:
    """Whether a word has the shape of a model number: `#` is any digit, `+` any digit but 0, `?`
    any sign.

    A `*` at the end is any rest, but no digit behind `#`.
    """
    start = shape.removesuffix("*")
    rest = word[len(start) :]
    if len(word) < len(start):
        return False
    if rest and start == shape:
        return False
    if start.endswith("#") and rest[:1].isdecimal():
        return False
    for sign, letter in zip(start, word, strict=False):
        if sign != "?" and letter not in _LETTERS_OF.get(sign, sign):
            return False
    return True


def is_server(name: str) -> bool:
    """Whether the processor of that name is of a series of servers."""
    series = series_called(name)
    return series is not None and series.kind == "server"


def has_one_socket(name: str) -> bool:
    """Whether a machine holds only one processor of that name, whose series is no server's."""
    series = series_called(name)
    return series is not None and series.kind != "server"


def maker_of(name: str) -> str | None:
    """Return AMD or Intel by a word of a processor's name; None where no word tells."""
    words = words_of(name)
    for maker, its_words in _table().makers.items():
        if not words.isdisjoint(its_words):
            return maker
    return None


def names_of_number(number: str, *, beside_gpu: bool = False) -> tuple[str, ...]:
    """Return the names of processors that a bare number can mean, one for each series.

    Without `beside_gpu`, a number that no GPU has. With `beside_gpu`, which says that a GPU is
    named already, a number that a GPU could have. Behind its maker's name it may count in both.
    """
    maker = None
    first, _, rest = number.partition(" ")
    if first in MAKERS:
        maker = maker_of(first)
        number = rest
    # whether the thing is there that a row wants beside its number
    is_there = {
        "maker": maker is not None,
        "gpu": beside_gpu or maker in _table().no_gpu_numbers,
        "nothing": not beside_gpu,
    }
    names: dict[str, str] = {}
    for row in _table().number:
        if not is_there[row.beside] or maker not in (None, maker_of(row.words)):
            continue
        match = re.fullmatch(row.shape, number, re.ASCII)
        if match is None:
            continue
        groups = match.groupdict()
        name = f"{row.words} {groups.get('number', number)}"
        series = series_called(name)
        if series is not None:
            names.setdefault(series.name, name)
    return tuple(names.values())


def names_a_kind_alone(words: Words) -> bool:
    """Whether words tell a kind of processor and nothing more: `core i9`, `dual xeon gold`. A
    maker's name alone, `intel`, is no kind.
    """
    words = words - {*MAKERS}
    telling = set()
    for word in words - {*_table().beside_kind}:
        # `dual` and `2x` count processors, and tell no kind
        if processors_named(word) == 1:
            telling.add(word)
    # `xeon gold` consists only of words that accompany a name; of these `xeon` tells a class
    kind = class_of(" ".join(telling or words))
    if kind is UNKNOWN_CLASS:
        return False
    return telling.issubset(kind.words)


def number_words() -> Mapping[str, int]:
    """Return the numbers that words mean: 2 for `dual`."""
    return _table().counts


def processors_named(name: str) -> int:
    """Return how many processors a name tells: 2 for `dual xeon`. The `x6` of a processor with one
    socket is a number of cores.
    """
    if has_one_socket(name):
        return 1
    counts = [1]
    plain = name.lower().replace("×", "x")
    for word in plain.split():
        if re.fullmatch(_COUNT, word):
            number = word.strip("x")
            counts.append(int(number))
        counts.append(number_words().get(word, 0))
    return max(counts)


def written_name(name: str) -> str:
    """Return a processor's name as its maker's lists write it, with the count of several in front:
    `2x AMD EPYC 7742` for `2x epyc 7742`.

    Only a name in small letters, as a description gives it, is changed. Programs look up the name
    as it was.
    """
    if re.fullmatch(_TYPED_NAME, name) is None:
        return name
    writing = _table().written
    typed = name.split()
    count = processors_named(name)
    if count > 1:
        # without `2x`, `x2` and `dual`
        number = rf"{_COUNT}|{'|'.join(number_words())}"
        typed = [word for word in typed if not re.fullmatch(number, word)]
    words = []
    for row in writing.brands:
        if not set(typed).isdisjoint(row.words):
            words = row.brand.split()
            break
    for word in typed:
        if word not in words and word not in writing.idle:
            words.append(word)
    if not words:
        return name
    text = writing.word(words[0])
    for word, following in pairwise(words):
        text += writing.sign_between(word, following) + writing.word(following)
    for wrong, right in writing.changed.items():
        text = text.replace(wrong, right)
    return f"{count}x {text}" if count > 1 else text


def core_called(name: str, ghz: float | None) -> Core:
    """The row of `core` with that name. Its clock is that of the series, `ghz`, where the series
    states one.
    """
    table = _table()
    core = next(row for row in table.core if row.name == name)
    if ghz is None:
        return core
    clocks = [share * ghz for share in table.clock]
    return core.replace(ghz=tuple(clocks))


class CountRow(NamedRow):
    """A row of cpu_cores.toml. `cores` is one count, or the fewest, the usual and the most; so is
    `performance` for the fastest kind of core (empty: all cores).

    `threads` is for each core; None means the threads of the series.
    """

    cores: tuple[int, ...]
    performance: tuple[int, ...] = ()
    threads: int | None = None


class _CountTable(Stated):
    """`specs/common/cpu_cores.toml`."""

    # rows by the name of a series; a row is read as `CountRow` on demand
    series: Mapping[str, Any]


@cache
def _count_table() -> _CountTable:
    return shipped_record(_CountTable, "cpu_cores")


class PossibleCount(NamedTuple):
    """The fewest, the usual count and the most, which are alike where the count is known."""

    fewest: int
    usual: int
    most: int

    @classmethod
    def of(cls, stated: Sequence[int]) -> PossibleCount:
        """The counts of a row, which states one count or all three."""
        return cls(stated[0], stated[len(stated) // 2], stated[-1])

    def times(self, number: int) -> PossibleCount:
        """Each count multiplied by a number."""
        return PossibleCount(*[count * number for count in self])


class CoreCounts(Record):
    """The cores of a processor, or of several.

    `physical` counts all cores, `performance` those of the fastest kind, each of which has
    `threads` threads.
    """

    physical: PossibleCount
    performance: PossibleCount
    threads: int

    @property
    def usable(self) -> int:
        """The threads of the usual count of cores. The slower cores have one thread each."""
        return self.physical.usual + self.performance.usual * (self.threads - 1)

    @property
    def are_known(self) -> bool:
        """Whether the name tells the count."""
        return self.physical.fewest == self.physical.most

    def times(self, processors: int) -> CoreCounts:
        """Return the cores of `processors` such processors."""
        return self.replace(
            physical=self.physical.times(processors),
            performance=self.performance.times(processors),
        )


def cores_of(name: str) -> CoreCounts | None:
    """The cores of all processors that a name tells: by the number in it, else by its series of
    servers, else by its class. None where no class is known.
    """
    cores = _cores_of_one(name)
    if cores is None:
        return None
    return cores.times(processors_named(name))


def _cores_of_one(name: str) -> CoreCounts | None:
    """The cores of one processor of that name."""
    series = series_called(name)
    if series is None:
        return cores_of_class(class_of(name))
    stated = _count_table().series.get(series.name, ())
    rows = [unchecked_record(CountRow, values) for values in stated]
    row = _best_row(rows, words_of(name))
    if row is not None:
        threads = row.threads or series.threads
        return cores_from(row.cores, row.performance, threads=threads)
    most = series.cores
    if most == 0:
        return cores_of_class(class_of(name))
    fewest = max(1, round(_FEWEST_SHARE * most))
    usual = max(1, round(_USUAL_SHARE * most))
    return cores_from((fewest, usual, most), threads=series.threads)


def cores_of_class(about: CpuClass) -> CoreCounts | None:
    """The cores of a processor of a class; None where no class is known."""
    if about is UNKNOWN_CLASS:
        return None
    return cores_from(about.cores, about.performance, threads=about.threads)


def cores_from(
    cores: Sequence[int],
    performance: Sequence[int] = (),
    *,
    threads: int,
) -> CoreCounts:
    """Return the cores of a processor by the counts of a row."""
    return CoreCounts(
        physical=PossibleCount.of(cores),
        performance=PossibleCount.of(performance or cores),
        threads=threads,
    )


class SmallerChip(Stated):
    """The form of a chip with fewer cores and less bandwidth."""

    cores: int
    gb_per_s: float
    least_gb_per_s: float
    source: str


class SoldMac(Stated):
    """The Macs that are sold with a chip. The first of `gib` is the RAM of the cheapest Mac. The
    sizes `smaller_gib` come only with the form of the chip that has `smaller_cores`. `sold_as` has
    the names of the Macs, each with the years by which Apple tells its models apart.
    """

    sold_as: Mapping[str, tuple[int, ...]]
    gib: tuple[float, ...]
    cores: int
    smaller_gib: tuple[float, ...] = ()
    smaller_cores: int = 0


class Chip(NamedRow):
    """A chip with its memory beside it, a row of `chip`."""

    name: str
    gb_per_s: float
    least_gb_per_s: float
    source: str
    gpu: str | None = None
    memory_gib: int | None = None
    kind: str | None = None
    core: str | None = None
    core_gb_per_s: float | None = None
    ghz: float | None = None
    tflops: float | None = None
    neural: bool = False
    smaller: SmallerChip | None = None
    mac: SoldMac | None = None

    @property
    def share(self) -> MemoryShare | None:
        """How its cores read its memory; None where `kind` does not tell."""
        if self.kind is None:
            return None
        return share_of(self.kind).with_core(self.core_gb_per_s)


class _MetalShare(Stated):
    """The least and the largest share of the RAM that the GPU of a Mac with at most `up_to_gib` of
    RAM may use.
    """

    share: tuple[float, ...]
    up_to_gib: float = inf


class _ChipTable(Stated):
    """`specs/common/chips.toml`."""

    schema: int
    chip: tuple[Chip, ...]
    metal: tuple[_MetalShare, ...]
    sources: Mapping[str, str]


@cache
def _chip_table() -> _ChipTable:
    return shipped_record(_ChipTable, "chips")


@cache
def mac_chips() -> Mapping[Chip, SoldMac]:
    """Apple's chips, with the Macs that have them."""
    macs = {}
    for chip in _chip_table().chip:
        if chip.mac is not None:
            macs[chip] = chip.mac
    return macs


@lru_cache(maxsize=512)
def chip_of(words: frozenset[str]) -> Chip | None:
    """Return the chip that the words of a processor's or a GPU's name mean; None where they mean no
    chip.
    """
    return _best_row(_chip_table().chip, words)


def metal_share(ram_bytes: int) -> tuple[float, float]:
    """Return the least and the largest share of a Mac's RAM that macOS lets the GPU use, unless
    somebody changed the setting.
    """
    rows = _chip_table().metal
    # the last row is of any RAM
    row = next(row for row in rows if ram_bytes <= row.up_to_gib * units.GIB)
    least, most = row.share
    return least, most
