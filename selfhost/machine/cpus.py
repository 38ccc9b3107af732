"""What memory a processor has, by its name: `specs/common/cpus.toml`; `cpu_cores.toml` its cores.

Each file is read when a processor, or its cores, are looked up, once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from math import hypot, inf, prod

from ..core import units
from ..core.records import Record
from ..core.spelling import words_of
from ..core.tables import shipped_table
from .chips import record_of
from .words import words as word_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .gpus import SharedMemory
    from .record import Machine


# names without a number tell a series only where they have one of these words; the file is not read
# for others, such as those that virtual machines show (`Intel Xeon Processor`)
_WITHOUT_NUMBER = frozenset(("altra", "axion", "ii", "phenom", "snapdragon", "turion"))
# what cores compute, by `vectors`, of a row that does not say more
CORE_OF = {"none": "avx", "sse": "avx", "avx2": "avx2", "avx512": "avx512", "arm": "arm"}

# of the cores of the largest of a series of servers, the fewest and the usual count: a guess
_OF_LARGEST = (0.125, 0.5)
# of several kinds of memory these are between
_MEANS = ("likely", "core_gb_per_s")
_SEVERAL = frozenset("2345678")
# words of processors' names that tell their maker
_AMD_WORDS = frozenset(("amd", "epyc", "ryzen", "threadripper"))
_INTEL_WORDS = frozenset(("intel", "xeon", "core", "i3", "i5", "i7", "i9", "celeron", "pentium"))
# who makes them all, as people type it before a bare number
MAKERS = ("amd", "intel")


class Share(Record):
    """Of what memory and cores give together, what decoding was seen to read: slow end, likely,
    fast end; on how many devices it was seen. `core_gb_per_s`: what each core reads at most.
    `takes_either`: of those that may have a slower kind of memory than usual as many have it.
    """

    low: float
    likely: float
    high: float
    devices: int
    core_gb_per_s: float
    takes_either: bool = False

    def read_together(self, peak: float, cores: float | None) -> float:
        """Bytes per second at which so many cores read weights while a model decodes, of memory of
        that peak: what either gives bounds the other. None: cores enough.

        Source: `of_peak` in specs/common/cpus.toml.
        """
        of_memory: float = _table()["of_peak"] * peak
        if cores is None:
            return of_memory
        return of_memory / hypot(1, of_memory / (self.core_gb_per_s * units.GB * cores))

    @property
    def source(self) -> str:
        """What it rests on, as the end of a clause."""
        return f"by runs on {self.devices} devices" if self.devices else "a guess"


class Core(Record):
    """What one core computes while all of them work: operations a cycle on prompts, and its clock
    in GHz; each slow end, likely, fast end. `wide`: on vectors of 512 bits. `float32`: of what
    PyTorch reaches in 32 bits on other cores, beside their prompts, what it reaches on these.
    `unpacks_bytes_per_second`: the most of packed weights that it gets through in decoding.
    `vectors`: as of `Processor`, of cores whose series may have others; None: as the series.
    """

    prompt: tuple[float, float, float]
    ghz: tuple[float, float, float]
    wide: bool = False
    float32: float = 1.0
    unpacks_bytes_per_second: tuple[float, float, float] = (inf, inf, inf)
    vectors: str | None = None


class Processor(Record):
    """A series of processors with one memory specification: a row of the table.

    `least`, `usual` and `most` are bytes per second of one socket with every channel filled, with
    the slowest, the usual and the fastest memory. `cores` of the largest socket and `threads` of
    each; 0 of a client, that has one socket. `kind`: a row of `share`.
    `vectors`: avx512, avx2, none, sse, arm or neon. `bits`: how wide one
    channel is.
    `slowest` and `fastest`: as `usual`, of the slower and of the faster of the kinds of memory that
    it takes, DDR4 and DDR5, where its name does not tell which; else `usual`.
    `core` is what its cores compute (`core_called`), `ghz` their clock with all of them at work,
    in the middle of the series; None where only the GPU in it is known.
    `architecture` and `memory_gib`: as of `ProcessorClass`, None where its class tells them;
    `on_package_gib`: RAM that is part of the processor, None where the machine around it has it.
    `graphics`: the largest GPU inside, where it reads prompts faster than the cores.
    """

    name: str
    channels: int
    least: float
    usual: float
    most: float
    memory: str
    kind: str
    share: Share
    vectors: str
    slowest: float
    fastest: float
    cores: int = 0
    threads: int = 1
    bits: int = 64
    core: str | None = None
    ghz: float | None = None
    architecture: str | None = None
    memory_gib: int | None = None
    on_package_gib: int | None = None
    graphics: str | None = None

    @property
    def has_two_slots(self) -> bool:
        """Whether it takes modules, on two channels."""
        return (self.channels, self.bits) == (2, 64) and self.memory != "soldered"

    @property
    def has_kinds(self) -> bool:
        """Whether its name does not tell which kind of memory it has."""
        return self.slowest < self.fastest

    @property
    def has_one_rate(self) -> bool:
        """Whether memory of one rate is soldered beside it."""
        return self.memory == "soldered" and self.least == self.most

    @property
    def is_a_generation(self) -> bool:
        """Whether it is of any kind of a generation, of which no number is told."""
        return "|" in self.kind

    @property
    def lacks_avx2(self) -> bool:
        """Whether its cores, of x86, compute with AVX at most."""
        return self.vectors in ("none", "sse")

    def may_have_one_module(self, memory_bytes: int | None) -> bool:
        """Whether so much RAM may be one module on one of its two channels: of a laptop or small
        computer. None: any size.
        """
        is_little = memory_bytes is None or memory_bytes <= _table()["one_module_gib"] * units.GIB
        return self.has_two_slots and is_little and "mobile" in self.kind.split("|")


class Cores(Record):
    """How many cores a processor has, or several: the fewest, the usual count and the most, alike
    where its name tells the count. `physical` of every kind, `performance` of the fastest one with
    so many `threads` each.
    """

    physical: tuple[int, int, int]
    performance: tuple[int, int, int]
    threads: int

    @property
    def are_known(self) -> bool:
        return self.physical[0] == self.physical[2]

    @property
    def usable(self) -> int:
        """The threads of the usual count: the slower cores have one each."""
        return self.physical[1] + self.performance[1] * (self.threads - 1)

    def times(self, count: int) -> Cores:
        """Those of so many processors."""
        least, usual, most = self.physical
        fast_least, fast_usual, fast_most = self.performance
        return self.replace(
            physical=(least * count, usual * count, most * count),
            performance=(fast_least * count, fast_usual * count, fast_most * count),
        )


class ProcessorClass(Record):
    """What processors are whose series has no row, and what most machines with one have: GiB of
    RAM, and a system; `most_gib` is the most that a machine with one takes. `words`: one of them is
    in the name. `channels` of 64 bits; None where they differ. `most_gb_per_s`: the peak of the
    fastest of a class that is no longer made, else None; `least_gb_per_s` that of the slowest.
    `kind`: `server`, else None.
    `least_vectors`: where some have AVX2 and many less, as `vectors` of those; else None.
    """

    words: frozenset[str]
    architecture: str
    system: str
    memory_gib: int
    most_gib: int
    cores: Cores
    kind: str | None = None
    channels: int | None = None
    most_gb_per_s: float | None = None
    least_gb_per_s: float | None = None
    least_vectors: str | None = None


def class_of(name: str) -> ProcessorClass | None:
    """The class that a word of a processor's name tells; None where none does."""
    words = words_of(name)
    rows = (row for row in _table()["class"] if not words.isdisjoint(row["words"]))
    row = next(rows, None)
    if row is None:
        return None
    around: ProcessorClass = record_of(
        ProcessorClass, row, words=frozenset(row["words"]), cores=_cores(row, 1)
    )
    return around


def processor_of(name: str) -> Processor | None:
    """The series that a processor's name means; None for one without a row."""
    words = words_of(name)
    if not any(map(str.isdecimal, name)) and _WITHOUT_NUMBER.isdisjoint(words):
        return None
    return _processor(words)


def cores_of(name: str) -> Cores | None:
    """The cores of all processors that the name tells: as the table lists its number, else of its
    series, of servers as the largest has, else of its class; None where no word tells one.
    """
    series, around, own = processor_of(name), class_of(name), None
    if series is not None:
        rows = _best(shipped_table("cpu_cores").get(series.name, ()), words_of(name))
        if rows:
            own = _cores(rows[0], series.threads)
        elif series.cores:
            least, usual = (max(1, round(share * series.cores)) for share in _OF_LARGEST)
            ends = (least, usual, series.cores)
            own = Cores(physical=ends, performance=ends, threads=series.threads)
    if own is None and around is not None:
        own = around.cores
    return None if own is None else own.times(count_of(name))


def cores_in(machine: Machine) -> Cores | None:
    """As `cores_of` the name of its processor; without one as many as the computer around its cards
    has, or as processors of the maker have whose GPU shares the RAM.
    """
    if machine.cpu_model:
        return cores_of(machine.cpu_model)
    if not machine.accelerators:
        return None
    from .gpus import computer_of

    if all(card.unified for card in machine.accelerators):
        around_gpu = class_of(machine.accelerators[0].vendor)
        return None if around_gpu is None else around_gpu.cores
    around = computer_of(machine)
    if around is None:
        return None
    return Cores(physical=around.cores, performance=around.cores, threads=2)


def count_of(name: str) -> int:
    """How many processors a word says that there are: `dual xeon`, `2x epyc 7763`, `epyc 7763 x2`;
    1 without one. Of a series that has one socket such a number counts cores: `phenom ii x6`.
    """
    series = processor_of(name)
    if series is not None and series.kind != "server":
        return 1
    counts = word_table()["counts"]
    said = (
        int(word.strip("x")) if _is_count(word) else counts.get(word, 0)
        for word in name.lower().replace("×", "x").split()
    )
    return max((1, *said))


def _is_count(word: str) -> bool:
    """Whether it is a number of up to eight processors, `2x` or `x2`."""
    return len(word) == 2 and "x" in word and word.strip("x") in _SEVERAL


def _cores(row: Mapping[str, Any], threads: int) -> Cores:
    """Those of a row, `threads` of each where it does not say."""
    physical = _ends(row["cores"])
    performance = _ends(row["performance"]) if "performance" in row else physical
    return Cores(physical=physical, performance=performance, threads=row.get("threads", threads))


def _ends(count: int | Sequence[int]) -> tuple[int, int, int]:
    """The fewest, the usual and the most of a figure that is one count or these three."""
    least, usual, most = (count,) * 3 if isinstance(count, int) else count
    return least, usual, most


def names_of_number(number: str, *, beside_gpu: bool = False) -> tuple[str, ...]:
    """A bare model number with its maker's words, `core i7 12700k`; several where it is that of a
    processor of several series, none where it is of none that is listed. Its maker's name may
    stand before it, `intel 14900k`. `beside_gpu`: also one that alone may be anything, `5600`.
    """
    import re

    table, maker, rows = _table(), number.partition(" ")[0], []
    if maker in MAKERS:
        number = number.partition(" ")[2]
        rows += table["number_behind_maker"]
    # no GPU of Intel's has such a number: `intel 12400`
    rows += table["number_beside_gpu"] if beside_gpu or maker == "intel" else []
    rows += [] if beside_gpu else table["number"]
    names: dict[str, str] = {}
    for row in rows:
        match = re.fullmatch(row["shape"], number, re.ASCII)
        is_of_maker = maker not in MAKERS or (maker_of(row["words"]) or "").lower() == maker
        if match is not None and is_of_maker:
            name = f"{row['words']} {match.groupdict().get('number', match[0])}"
            series = processor_of(name)
            if series is not None:
                names.setdefault(series.name, name)
    return tuple(names.values())


def maker_of(name: str) -> str | None:
    """AMD or Intel, by a word of a processor's name; None where none tells."""
    words = words_of(name)
    if not words.isdisjoint(_AMD_WORDS):
        return "AMD"
    return None if words.isdisjoint(_INTEL_WORDS) else "Intel"


def names_a_kind_alone(words: Set[str]) -> bool:
    """Whether words of a processor's name tell its kind and nothing more, `core i9`, `xeon gold`; a
    maker is none.
    """
    beside = {*_table()["beside_kind"], *word_table()["counts"], *MAKERS}
    kind = frozenset(word for word in words if word not in beside and not _is_count(word))
    around = class_of(" ".join(kind or words - {*MAKERS}))
    return around is not None and kind <= around.words


def is_server(name: str) -> bool:
    """Whether the series is one of servers."""
    series = processor_of(name)
    return series is not None and series.kind == "server"


def processor_with(graphics: str) -> Processor | None:
    """What is known of a processor by the name of the GPU in it; None for any other GPU."""
    from .gpus import shared_memory

    memory = shared_memory(graphics)
    if memory is None:
        return None
    slowest, fastest = _of_kinds(memory.kinds, memory)
    own = {key: getattr(memory, key) for key in ("channels", "least", "usual", "most", "bits")}
    return Processor(
        **own,
        name=f"those with {memory.name}",
        memory="either",
        kind=memory.kind,
        share=share_of(memory.kind),
        vectors=memory.vectors,
        slowest=slowest,
        fastest=fastest,
    )


def _best(rows: Iterable[Mapping[str, Any]], words: Set[str]) -> list[Mapping[str, Any]]:
    """The rows that fit these words best: the ones with the most words, of these the ones whose
    shape has the fewest signs that stand for others; none where none does. No name has two.
    """
    ranked = [(rank, row) for row in rows if (rank := _rank(row, words)) is not None]
    best = max((rank for rank, _ in ranked), default=None)
    return [row for rank, row in ranked if rank == best]


def _rank(row: Mapping[str, Any], words: Set[str]) -> tuple[int, int] | None:
    """How many words of the row the name has, and minus the signs of its best shape; None where
    the row does not fit.
    """
    wanted = row.get("words", "").split()
    if not all(any(word in words for word in each.split("|")) for each in wanted):
        return None
    if not words.isdisjoint(row.get("without", "").split()):
        return None
    shapes = row.get("models")
    if shapes is None:
        return len(wanted), 0
    signs = [
        sum(shape.count(sign) for sign in "#+?*")
        for shape in shapes
        if any(_fits(word, shape) for word in words)
    ]
    return (len(wanted), -min(signs)) if signs else None


def _fits(word: str, shape: str) -> bool:
    """Whether a word is of a shape; the header of the table explains its signs."""
    if shape.endswith("*"):
        shape = shape[:-1]
        rest = word[len(shape) :]
        if shape.endswith("#") and rest[:1].isdecimal():
            # a longer number is another one
            return False
        word = word[: len(shape)]
    return len(word) == len(shape) and all(
        sign == "?"
        or (
            letter.isdecimal() and (sign == "#" or letter != "0")
            if sign in "#+"
            else sign == letter
        )
        for letter, sign in zip(word, shape, strict=True)
    )


@lru_cache(maxsize=512)
def _processor(words: frozenset[str]) -> Processor | None:
    """The series of the row that fits best, of which no number is told of a whole generation."""
    from .gpus import SharedMemory, channels_and_rates

    rows = _best(_table()["cpu"], words) or _best(_table()["generation"], words)
    if not rows:
        return None
    row = rows[0]
    memory_sits, vectors = row.get("memory", "slots"), row.get("vectors", "avx2")
    rates = channels_and_rates(row)
    shapes = row.get("kinds_of")
    is_one_of_them = shapes is None or any(_fits(word, shape) for word in words for shape in shapes)
    kinds = row.get("kinds", ()) if is_one_of_them else ()
    slowest, fastest = _of_kinds(
        kinds, SharedMemory(name=row["name"], **rates, bits=row.get("bits", 64))
    )
    kind = row.get("kind") or _kind_of_client(memory_sits, words)
    share = share_of(kind, row["mts"][-1])
    if "core_gb_per_s" in row:
        share = share.replace(core_gb_per_s=row["core_gb_per_s"])
    series: Processor = record_of(
        Processor,
        row,
        **rates,
        memory=memory_sits,
        kind=kind,
        share=share,
        vectors=vectors,
        slowest=slowest,
        fastest=fastest,
        core=row.get("core", CORE_OF[vectors]),
    )
    return series


def _of_kinds(kinds: Sequence[str], memory: SharedMemory) -> tuple[float, float]:
    """`slowest` and `fastest` of a processor with such memory: with each of the kinds at its rate
    that is nearest to the usual one; the usual figure twice where none are named.
    """
    per_rate = memory.channels * memory.bits / 8 * units.MB
    rates_of_kind = {row["kind"]: row["mts"] for row in _table()["ram"]}
    rates = []
    for slow, fast in map(rates_of_kind.__getitem__, kinds):
        nearest = min(max(memory.usual, slow * per_rate), fast * per_rate)
        rates.append(max(memory.least, min(nearest, memory.most)))
    return min(rates, default=memory.usual), max(rates, default=memory.usual)


def _kind_of_client(memory_sits: str, words: Iterable[str]) -> str:
    """`mobile` of a processor for laptops, by where its memory sits or the letters behind its
    number.
    """
    has_letters = any(
        word.endswith(letters) and word.removesuffix(letters).isdecimal()
        for word in words
        for letters in _table()["mobile_letters"]
    )
    return "mobile" if has_letters or memory_sits in ("either", "soldered") else "client"


def core_called(name: str, ghz: float | None) -> Core:
    """What the cores of that name compute, at the clock of a series where that is known."""
    row = next(each for each in _table()["core"] if each["core"] == name)
    clock = row["ghz"] if ghz is None else [share * ghz for share in _table()["clock"]]
    unpacks = row.get("unpacks_gb_per_s", (inf, inf, inf))
    core: Core = record_of(
        Core,
        row,
        ghz=tuple(clock),
        unpacks_bytes_per_second=tuple(rate * units.GB for rate in unpacks),
    )
    return core


Ends = tuple[float, float, float]


def decode_ends(kind: str) -> tuple[Ends, Ends]:
    """How processors of that kind decode beside the one that was measured: their use of a measured
    bandwidth, and their cores, each slow end, likely, fast end.
    """
    row = next(each for each in _table()["decode"] if each["kind"] == kind)
    return tuple(row["memory"]), tuple(row["cores"])


def share_of(kinds: str, most_mts: float | None = inf) -> Share:
    """How processors of a kind read their memory, of several, `client|mobile`, as any of them may;
    of a series whose fastest memory has `most_mts` millions of transfers a second, None of any.
    """
    rows = [row for kind in kinds.split("|") for row in _rows_of_share(kind, most_mts)]
    if len(rows) == 1:
        share: Share = record_of(Share, rows[0])
        return share
    mean = {key: prod(row[key] for row in rows) ** (1 / len(rows)) for key in _MEANS}
    return Share(
        **mean,
        low=min(row["low"] for row in rows),
        high=max(row["high"] for row in rows),
        devices=sum(row["devices"] for row in rows),
    )


def _rows_of_share(kind: str, most_mts: float | None) -> list[Mapping[str, Any]]:
    """The rows of a kind, that of the fastest memory last; of a rate the first that reaches it."""
    rows = [row for row in _table()["share"] if row["kind"] == kind]
    if most_mts is None:
        return rows
    return [next(row for row in rows if most_mts <= row.get("up_to_mts", most_mts))]


@lru_cache(maxsize=256)
def guests_with(core: str, *, is_amd: bool | None, cores: float) -> tuple[Ends, int] | None:
    """Bytes per second that guests of clouds with so many cores of that kind, a row of `core`, read
    weights at, and how many instance types have about as many; None where none were counted.
    `is_amd` None: of any maker. Between two counts from the low of either to the high of either;
    below the first in proportion.

    The few cores of a guest read less than the socket gives: each keeps so many reads in flight and
    no more, and those of one die share what its link carries.
    """
    table = _table()
    counts = table["guest_cores"]
    rows = [
        row
        for row in table["guest"]
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


def _table() -> Mapping[str, Any]:
    """The whole file. Raises `SpecError` where the installation lacks it."""
    return shipped_table("cpus")
