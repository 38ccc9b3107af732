"""What the name of a GPU tells: `specs/common/gpus.toml`, which explains each key.

The file is read when a GPU is looked up, once. A machine without one does not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ..core import units
from ..core.records import Record, pattern
from ..core.spelling import words_of
from ..core.tables import shipped_table
from .chips import apple_chip_of, record_of
from .words import card_of, role, virtual_gpu
from .words import words as word_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .record import Machine

    Ends = tuple[float, float, float]

# the maker of a GPU whose name tells none
UNKNOWN = "unknown"


class Card(Record):
    """A GPU as it is sold: a row of the table.

    `words` tell it from others; `named` are all words of its driver's name, its maker and what
    people say beside them; `called` are other names as a whole. `memory_gib` are the sizes that it
    is sold with, smallest first; of a card with several GPUs (`devices`) those of one. `usual_gib`
    is the one that a name without a size means, None for the smallest. A `unified` one has none:
    it is part of a machine. An `integrated` one is part of a processor, and its memory is whatever
    RAM the machine has.
    """

    name: str
    words: frozenset[str]
    named: frozenset[str]
    called: tuple[frozenset[str], ...]
    memory_gib: tuple[float, ...] = ()
    usual_gib: float | None = None
    unified: bool = False
    devices: int = 1
    integrated: bool = False

    @property
    def label(self) -> str:
        """The name without the words that people leave unsaid."""
        said = [word for word in self.name.split() if word.lower() not in role("unsaid")]
        return " ".join(said) or self.name


class SharedMemory(Record):
    """The memory of the processors that have a GPU in them: its name, the channels of so many
    `bits`, and bytes per second with all of them filled, with the slowest, the usual and the
    fastest memory. `vectors` is what the cores beside it compute with, `kind` how they read the
    memory, `kinds` names the kinds of memory where its name does not tell which of them it is.
    """

    name: str
    channels: int
    least: float
    usual: float
    most: float
    vectors: str = "avx2"
    kind: str = "unnamed"
    bits: int = 64
    kinds: tuple[str, ...] = ()


class Computer(Record):
    """What kind of computer a card sits in: a row of `computer`. Bytes per second as of
    `SharedMemory`; `kinds`: how its cores may read it; `cores`: the fewest, the usual count and the
    most.
    """

    name: str
    channels: int
    least: float
    usual: float
    most: float
    kinds: tuple[str, ...]
    cores: tuple[int, int, int]


# ------------------------------------------------------------------ rows


def fact_of(name: str, key: str) -> Any:
    """The value of that key in the row that means the GPU, of those that have the key; None where
    none does.
    """
    row = _best(name, _rows(key))
    return None if row is None else row[key]


def _best(name: str, rows: Iterable[tuple[frozenset[str], dict[str, Any]]]) -> Any:
    """The row with the most words of `name`; None where none has the same variant."""
    same, telling = word_table()["same"], variants()
    words = frozenset(same.get(word, word) for word in words_of(card_of(name)))
    matching = [row for row in rows if row[0] <= words and row[0] & telling == words & telling]
    return max(matching, key=lambda row: len(row[0]))[1] if matching else None


@lru_cache(maxsize=16)
def _rows(key: str) -> tuple[tuple[frozenset[str], dict[str, Any]], ...]:
    """The GPUs that have this key, by their words."""
    return tuple((frozenset(row["words"].split()), row) for row in _table()["gpu"] if key in row)


def _version(text: str | None) -> tuple[int, ...]:
    """NVIDIA's numbers; () for what others write, and for none."""
    parts = (text or "").split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def _says(name: str, patterns: Sequence[str]) -> bool:
    """Whether a whole word of a GPU's name, or several, are of one of these patterns."""
    import re

    return re.search(rf"\b(?:{'|'.join(patterns)})\b", name.lower().replace("-", " ")) is not None


@lru_cache(1)
def cards() -> tuple[Card, ...]:
    """Every GPU of the table."""
    idle, former = role("gpu_idle"), word_table()["former"]
    all_cards = []
    for row in _table()["gpu"]:
        vendor = vendor_of(row["name"])
        named = [row["name"], row["words"], row.get("also", ""), vendor, *former.get(vendor, ())]
        all_cards.append(
            record_of(
                Card,
                row,
                words=frozenset(row["words"].split()),
                named=words_of(" ".join(named)),
                called=tuple(words_of(name) - idle for name in row.get("called", ())),
                integrated="integrated" in row,
            )
        )
    return tuple(all_cards)


@lru_cache(1)
def variants() -> frozenset[str]:
    """Words that make another GPU of one: `ti`, `laptop`."""
    return frozenset(_table()["variants"])


# ------------------------------------------------------------------ memory


def peak_gb_per_s(name: str, memory_bytes: int | None = None) -> float | None:
    """Peak of a GPU's memory, by the name its driver gives; None for one without a row.

    With `memory_bytes` a card that is sold with two memories has the peak of its own. A vGPU has
    its card's; one of MIG as large a part of the channels as of the memory.
    """
    virtual = virtual_gpu(name)
    if virtual is not None:
        whole: float | None = fact_of(virtual.card, "gb_per_s")
        return whole if whole is None or virtual.slices is None else whole * virtual.share
    other = other_memory(name, round((memory_bytes or 0) / units.GIB))
    peak: float | None = other["gb_per_s"] if other else fact_of(name, "gb_per_s")
    return peak


def other_memory(name: str, memory_gib: float) -> Mapping[str, Any] | None:
    """What the table has of a card whose memory of that size is another than its usual one."""
    others = (other for other in fact_of(name, "other") or () if other["memory_gib"] == memory_gib)
    return next(others, None)


@lru_cache(maxsize=256)
def peaks_with_memory(vendor: str, memory_bytes: int) -> tuple[float, float] | None:
    """The least and the most GB/s of the cards that a maker sells with that much memory, of
    `unknown` those of any maker; None where the table has none.
    """
    sold_gib = memory_bytes / units.GIB
    peaks = [
        row["gb_per_s"]
        for row in _table()["gpu"]
        if "gb_per_s" in row
        and not row.get("unified")
        and vendor in (UNKNOWN, vendor_of(row["name"]))
        and any(abs(size - sold_gib) < 0.1 * size for size in row.get("memory_gib", ()))
    ]
    return (min(peaks), max(peaks)) if peaks else None


def driver_memory_bytes(name: str, sold_gb: float) -> int:
    """What the driver reports of a card's memory, by its whole name and what it is sold with; for a
    card of which that is not known, what it is sold with.
    """
    for row in _table()["gpu"]:
        for driver in row.get("driver", ()) if row["name"] == name else ():
            if driver["sold_gb"] == sold_gb:
                return int(driver["mib"]) * units.MIB
    return round(sold_gb * units.GIB)


def link_bytes_per_second(name: str) -> float | None:
    """What the link of a GPU to the RAM carries each way at most; None where it is not known."""
    link: str | None = fact_of(_whole_and_share(name)[0], "pcie")
    if link is None:
        return None
    version, _, lanes = link.partition(" x")
    return float(_table()["pcie_lane"][version]) * 1e9 * int(lanes)


def channels_and_rates(memory: Mapping[str, Any]) -> dict[str, Any]:
    """`channels`, and what memory gives in bytes per second with all of them of so many `bits` (64
    where left out) filled, at each of the three rates in `mts`, millions of transfers a second:
    `least`, `usual` and `most`. Fields of `SharedMemory`, `Computer` and `cpus.Processor`.
    """
    bytes_at_once = memory["channels"] * memory.get("bits", 64) / 8
    least, usual, most = (bytes_at_once * rate * units.MB for rate in memory["mts"])
    return {"channels": memory["channels"], "least": least, "usual": usual, "most": most}


@lru_cache(maxsize=256)
def shared_memory(name: str) -> SharedMemory | None:
    """What the name of a processor's own GPU tells of the memory beside it; None for others."""
    has_number = any(any(map(str.isdecimal, word)) for word in words_of(name))
    rows = [row for row in _rows("name") if not (has_number and row[1].get("numberless"))]
    row = _best(name, rows) or {}
    memory = row.get("integrated")
    if memory is None:
        return None
    shared: SharedMemory = record_of(
        SharedMemory, memory, name=row["name"], **channels_and_rates(memory)
    )
    return shared


# ------------------------------------------------------------------ computers


def unnamed_computer() -> Computer:
    """The laptop or desktop of which neither the processor nor a card is told."""
    return _computer(_table()["unnamed"])


def _computer(row: Mapping[str, Any]) -> Computer:
    computer: Computer = record_of(Computer, row, **channels_and_rates(row))
    return computer


def computer_of(machine: Machine) -> Computer | None:
    """The computer that its cards tell; None where these cards, so many of them or so much RAM may
    be a server's.
    """
    cards = tuple(card.name for card in machine.accelerators or () if not card.unified)
    memory_gib = (machine.memory_total_bytes or 0) / units.GIB
    rows = (row for row in _rows_around(cards) if memory_gib <= row["memory_gib"])
    row = next(rows, None)
    return None if row is None else _computer(row)


@lru_cache(1024)
def _rows_around(cards: tuple[str, ...]) -> Sequence[Mapping[str, Any]]:
    """The rows of computers that have so many cards of those names."""
    names = [fact_of(card, "name") or card for card in cards]
    return [
        row
        for row in _table()["computer"]
        if 0 < len(names) <= row["cards"] and all(_says(name, row["names"]) for name in names)
    ]


# ------------------------------------------------------------------ computing


@lru_cache(maxsize=256)
def cycles_per_second(name: str) -> float | None:
    """Cycles that all multiprocessors of an NVIDIA GPU, or of an instance of its MIG, together have
    in a second at the boost clock; None where they are not known.
    """
    whole, share = _whole_and_share(name)
    count, ghz = fact_of(whole, "processors"), fact_of(whole, "boost_ghz")
    return None if count is None or ghz is None else count * ghz * 1e9 * share


# `1c.` of an instance of several slices is the part of it that one program computes on
_INSTANCE = pattern(r"(.+?) MIG (?:(\d)c\.)?(\d)g\..*")
_USUAL_SLICES = 7


def _whole_and_share(name: str) -> tuple[str, float]:
    """The GPU of which an instance of MIG is a part, and its share of the multiprocessors; the GPU
    itself and 1 for another name. Source: `mig_slices` in gpus.toml.
    """
    match, virtual = _INSTANCE.fullmatch(name), virtual_gpu(name)
    if match is not None:
        whole, count = match[1], int(match[2] or match[3])
    elif virtual is not None and virtual.slices is not None:
        whole, count = virtual.card, virtual.slices
    else:
        return name, 1.0
    return whole, min(1.0, count / (fact_of(whole, "mig_slices") or _USUAL_SLICES))


def peak_flops(name: str, capability: str | None) -> float | None:
    """Peak of a GPU's 16-bit arithmetic, operations a second; of an Apple chip with its largest
    GPU. None where it is not known.
    """
    cycles, each = cycles_per_second(name), _matrix_flops(name, capability)
    if cycles is not None and each is not None:
        return cycles * each
    whole, share = _whole_and_share(name)
    tflops: float | None = fact_of(whole, "tflops")
    if tflops is None and (chip := apple_chip_of(words_of(name))) is not None:
        tflops = chip.tflops
    return None if tflops is None else tflops * 1e12 * share


def _matrix_flops(name: str, capability: str | None) -> float | None:
    """What one multiprocessor of NVIDIA's does in a cycle, by `matrix`; None for other GPUs."""
    for row in _table()["matrix"]:
        is_named = "names" not in row or _says(name, row["names"])
        if is_named and row["capability"] == capability:
            return float(row["flops"])
    return None


def fastest() -> tuple[float, float]:
    """The most bytes that the memory of a GPU of the table gives a second, and the most operations
    that one computes in 16 bits.
    """
    rows = _table()["gpu"]
    flops = [peak_flops(row["name"], capability_by_name(row["name"])) or 0.0 for row in rows]
    return max(row.get("gb_per_s", 0) for row in rows) * units.GB, max(flops)


# ------------------------------------------------------------------ kinds


@lru_cache(maxsize=1024)
def capability_by_name(name: str) -> str | None:
    """The compute capability of an NVIDIA GPU by the name it reports; None for a name that is
    not known.
    """
    for row in _table()["generation"]:
        if _says(card_of(name), row["names"]):
            capability: str = row["capability"]
            return capability
    return None


def reaches_capability(capability: str | None, least: str | None) -> bool | None:
    """Whether an NVIDIA GPU of that compute capability reaches the least one that is needed, None
    for no need; None where its own is not known.
    """
    if least is None:
        return True
    return None if capability is None else _version(capability) >= _version(least)


def works_on_few_tokens(name: str, capability: str | None) -> bool:
    """Whether vLLM counts a GPU of that name, or of that compute capability, among the small ones
    whatever its memory.
    """
    plain = name.lower()
    return any(
        row["word"] in plain if "word" in row else row["capability"] == capability
        for row in _table()["small"]
    )


def has_hbm(name: str) -> bool:
    """Whether an NVIDIA GPU of that name has HBM."""
    words = words_of(card_of(name))
    return any(
        words_of(called) <= words for row in _table()["generation"] for called in row.get("hbm", ())
    )


def shares_ram(name: str) -> bool:
    """Whether the table has the GPU of that name as one whose memory is the machine's RAM."""
    row = _best(name, _rows("name"))
    return row is not None and bool(row.get("unified"))


def why_unserved(name: str) -> str | None:
    """What an accelerator is that no build judged here computes on, as a clause; else None."""
    clauses = (row["is"] for row in _table()["unserved"] if _says(name, row["words"]))
    return next(clauses, None)


def maker_of(words: frozenset[str]) -> str | None:
    """nvidia, amd, intel or qualcomm by the words of a GPU's name; None where they do not say."""
    makers = (row["id"] for row in _table()["maker"] if not words.isdisjoint(row["words"]))
    return next(makers, None)


@lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """nvidia, amd, intel or qualcomm by the words of a GPU's name; `unknown` where none says."""
    import re

    return maker_of(frozenset(re.split(r"[^a-z0-9]+", name.lower()))) or UNKNOWN


def are_alike(name: str, other: str) -> bool:
    """Whether two drivers' names are of one GPU: of one row of the table, or of the same words
    where neither has one.
    """
    rows = [fact_of(each, "name") for each in (name, other)]
    return words_of(name) == words_of(other) if rows == [None, None] else rows[0] == rows[1]


def source_of(fact: str) -> str:
    """Where the figures of a key of the rows are from: `memory`, `watts`, `driver`, `runs`."""
    source: str = _table()["sources"][fact]
    return source


def _table() -> Mapping[str, Any]:
    """The whole file. Raises `SpecError` where the installation lacks it."""
    return shipped_table("gpus")
