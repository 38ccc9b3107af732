"""The facts of a GPU by its name: `specs/common/gpus.toml`, whose header explains each key. The
table is read once, when the first GPU is looked up: a machine without GPUs does not load it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

from ..core import units
from ..core.records import Stated, read_by
from ..core.tables import shipped_record
from ..core.units import words_of
from . import cpus
from .record import Accelerator, Machine
from .words import vocabulary

# the maker of a GPU whose name does not tell it
UNKNOWN = "unknown"
# the number of slices into which MIG divides a GPU whose row states none
_USUAL_SLICES = 7
# a virtual GPU of an NVIDIA card, `GRID T4-8Q`: no name tells its speed
_VGPU = r"(?:NVIDIA|GRID)[ -].+-\d{1,3}[ABCQ]"
# an instance of MIG; `1c.` marks the part of an instance on which one program computes
_MIG = r"(?P<gpu>.+?) MIG (?:(?P<used>\d)c\.)?(?P<slices>\d)g\..*"
# 16-bit operations of one core of Apple's GPUs in a cycle, consistent with `apple_tflops` of the
# table: without and with matrix units
_FLOPS_OF_CORE = 256
_FLOPS_OF_MATRIX_CORE = 1024
# threads for each core of the computer around a card
_THREADS_OF_COMPUTER = 2


class IntegratedMemory(cpus.RamRow):
    """The RAM that a GPU in a processor reads; `kind` and `vectors` as of a row of `cpu`."""

    kind: str = "unnamed"
    vectors: str = "avx2"


class PeakRate(Stated):
    """The peak bandwidth of a GPU's memory in GB/s, and the key of its source."""

    gb_per_s: float
    source: str


class OtherMemory(PeakRate):
    """The memory of a card that has the same name and another size."""

    memory_gib: float


class DriverMemory(Stated):
    """The memory in MiB that the driver reports of a card sold with `sold_gb`."""

    sold_gb: float
    mib: int


class GpuRow(Stated):
    """A row of `gpu`: a GPU as it is sold, and the words that name it."""

    name: str
    words: str
    source: str
    also: str = ""
    called: tuple[str, ...] = ()
    memory_gib: tuple[float, ...] = ()
    usual_gib: float | None = None
    usual_form: bool = False
    unified: bool = False
    integrated: IntegratedMemory | None = None
    numberless: bool = False
    devices: int = 1
    gb_per_s: float | None = None
    other: tuple[OtherMemory, ...] = ()
    prompt_tflops: float | None = None
    tflops: float | None = None
    pcie: str | None = None
    processors: int | None = None
    boost_ghz: float | None = None
    mig_slices: int | None = None
    generation: str | None = None
    host: str | None = None
    kernel_driver: str | None = None
    driver: tuple[DriverMemory, ...] = ()

    @cached_property
    def word_set(self) -> frozenset[str]:
        """The words that a name of the GPU must have."""
        return frozenset(self.words.split())

    def peak_with(self, gib: float | None) -> PeakRate | None:
        """Return the peak bandwidth of the GPU with `gib` of memory; None where the row does not
        tell a bandwidth.
        """
        if self.gb_per_s is None:
            return None
        for other in self.other:
            if other.memory_gib == gib:
                return other
        return PeakRate(gb_per_s=self.gb_per_s, source=self.source)

    @cached_property
    def named(self) -> frozenset[str]:
        """All words that a name of the card may have: those of the driver's name, the maker, and
        the words that people add.
        """
        vendor = vendor_of(self.name)
        former_makers = vocabulary().former.get(vendor, ())
        texts = [self.name, self.words, self.also, vendor, *former_makers]
        return words_of(" ".join(texts))

    @cached_property
    def nicknames(self) -> Sequence[frozenset[str]]:
        """The words of each other name of the card. Such a name counts only as a whole."""
        idle = vocabulary().gpu_idle
        return [words_of(name) - idle for name in self.called]

    @property
    def label(self) -> str:
        """The name without the words that people leave unsaid."""
        unsaid = vocabulary().unsaid
        said = []
        for word in self.name.split():
            if word.lower() not in unsaid:
                said.append(word)
        return " ".join(said) or self.name

    def label_with(self, memory_gib: float) -> str:
        """Return the label with a memory size, unless the label names that size already."""
        size = f"{memory_gib:g}"
        if re.search(rf"\b{size} ?GB\b", self.label):
            return self.label
        return f"{self.label} {size} GB"

    @property
    def telling(self) -> frozenset[str]:
        """The words that must be said to mean this GPU and no other form of it."""
        return self.word_set - vocabulary().left_out

    def can_be(self, typed: frozenset[str]) -> bool:
        """Whether these words name this GPU, or several GPUs of which this is one."""
        if typed in self.nicknames:
            return True
        needed = self.telling - vocabulary().forms
        return needed <= typed <= self.named


class _Generation(Stated):
    """The GPUs of one compute capability. `hbm` has the words of the names of GPUs with HBM."""

    capability: str
    names: tuple[str, ...]
    hbm: tuple[str, ...] = ()


class _Unserved(Stated):
    """Accelerators on which no build judged here computes."""

    words: tuple[str, ...]
    clause: str = read_by(name="is")


class SmallDevices(Stated):
    """Devices that vLLM counts among the small ones, whatever their memory."""

    words: tuple[str, ...]
    capabilities: tuple[str, ...]


class _MatrixRow(Stated):
    """The 16-bit operations of one multiprocessor in a cycle. Without `names` the row is for every
    GPU of the capability.
    """

    capability: str
    flops: int
    names: tuple[str, ...] = ()


class Maker(Stated):
    """A maker of GPUs, and words of the GPUs' names. `only_gpus`: a description that names only the
    maker means a GPU; `nvidia 16gb` does, and `amd 16gb` does not.
    """

    id: str = UNKNOWN
    words: tuple[str, ...] = ()
    written: str = ""
    only_gpus: bool = False


class Computer(cpus.RamRow):
    """The kind of computer in which cards are used, or a computer of which nothing is known.

    `kind` is a row of `share` in cpus.toml, and `memory` as of a row of `cpu`. `cores` are the
    fewest, the usual count and the most. `cards` is the most cards, with names that match `names`,
    and `memory_gib` the most RAM.
    """

    name: str
    kind: str
    cores: tuple[int, ...]
    memory: str = "slots"
    names: tuple[str, ...] = ()
    cards: int = 0
    memory_gib: int = 0

    def takes(self, cards: Sequence[str], memory_gib: float) -> bool:
        """Whether such a computer can have all these cards, one at least, and that much RAM."""
        if not 1 <= len(cards) <= self.cards or memory_gib > self.memory_gib:
            return False
        return all(_has_words(name, self.names) for name in cards)


class KeptMemory(Stated):
    """The MiB that a driver keeps of a card that it reports `total` MiB of: the least, the likely
    and the most seen.
    """

    total: int
    least: int
    likely: int
    most: int


# the start of the table: of a card without memory a driver keeps nothing
_NO_CARD = KeptMemory(total=0, least=0, likely=0, most=0)


class _DriverKeeps(Stated):
    """The makers whose drivers keep memory of a card, and the kept memory by size, the smallest
    card first.
    """

    makers: tuple[str, ...]
    sizes: tuple[KeptMemory, ...]


class _GpuTable(Stated):
    """`specs/common/gpus.toml`."""

    schema: int
    same: Mapping[str, str]
    variants: tuple[str, ...]
    gpu: tuple[GpuRow, ...]
    generation: tuple[_Generation, ...]
    unserved: tuple[_Unserved, ...]
    small: SmallDevices
    matrix: tuple[_MatrixRow, ...]
    maker: tuple[Maker, ...]
    computer: tuple[Computer, ...]
    unnamed: Computer
    pcie_lane: Mapping[str, float]
    driver_keeps: _DriverKeeps
    sources: Mapping[str, str]


@cache
def _table() -> _GpuTable:
    return shipped_record(_GpuTable, "gpus")


def every_card() -> Sequence[GpuRow]:
    """All GPUs of the table."""
    return _table().gpu


def source_called(key: str) -> str:
    """The full text of a source, by the key in a row's `source`."""
    return _table().sources[key]


def small_devices() -> SmallDevices:
    """The devices that vLLM counts among the small ones."""
    return _table().small


@lru_cache(maxsize=256)
def _rows_called(name: str) -> Sequence[GpuRow]:
    """The rows whose words are all in the name, those with the most words first."""
    if re.fullmatch(_VGPU, name):
        return ()
    table = _table()
    words = frozenset(table.same.get(word, word) for word in words_of(name))
    has_number = re.search(r"\d", name) is not None
    # words that name another GPU, such as `ti` and `laptop`
    variants = words.intersection(table.variants)
    matching = []
    for row in every_card():
        if row.numberless and has_number:
            continue
        if variants <= row.word_set <= words:
            matching.append(row)
    matching.sort(key=lambda row: -len(row.word_set))
    return matching


@lru_cache(maxsize=256)
def facts_of(name: str) -> GpuRow:
    """Return the facts of a GPU from all rows whose words are in its name. `name` is the whole name
    that the GPU's driver gives.

    Each fact is from the row with the most words that states the fact. The facts are empty where no
    row fits.
    """
    empty = {"name": "", "words": "", "source": "", **GpuRow._defaults}
    facts = dict(empty)
    # the row with the most words comes last and overrides the others
    for row in reversed(_rows_called(name)):
        for key, default in empty.items():
            value = getattr(row, key)
            if value != default:
                facts[key] = value
    return GpuRow(**facts)


def peak_rate_of(name: str, memory_gib: float | None) -> PeakRate | None:
    """Return the peak memory bandwidth of a GPU by its name, with the source.

    `memory_gib` chooses between the sizes of a GPU that is sold with several. None where no row
    tells the bandwidth.
    """
    for row in _rows_called(name):
        peak = row.peak_with(memory_gib)
        if peak is not None:
            return peak
    return None


def gb_per_s_of(name: str, memory_gib: float | None = None) -> float | None:
    """Return the peak memory bandwidth of a GPU in GB/s, as `peak_rate_of` does, without the
    source.
    """
    peak = peak_rate_of(name, memory_gib)
    return None if peak is None else peak.gb_per_s


def _has_words(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the regular expressions matches whole words of a name."""
    pattern = "|".join(patterns)
    words = name.lower().replace("-", " ")
    return re.search(rf"\b(?:{pattern})\b", words) is not None


@lru_cache(maxsize=256)
def peaks_with_memory(vendor: str, memory_bytes: int) -> tuple[float, float] | None:
    """The least and the most GB/s of a maker's cards with that much memory."""
    memory_gib = memory_bytes / units.GIB
    peaks = []
    for row in every_card():
        if row.gb_per_s is None:
            continue
        # a size may differ by up to a tenth
        has_size = any(abs(size - memory_gib) < 0.1 * size for size in row.memory_gib)
        if has_size and vendor in (UNKNOWN, vendor_of(row.name)):
            peaks.append(row.gb_per_s)
    if not peaks:
        return None
    return min(peaks), max(peaks)


def driver_memory_bytes(name: str, sold_gb: float) -> int:
    """Return the memory in bytes that the driver reports of a card, by the card's whole name and
    the size it is sold with.

    Without a row for that size, the sold size counts as GiB.
    """
    for row in every_card():
        if row.name != name:
            continue
        for driver in row.driver:
            if driver.sold_gb == sold_gb:
                return driver.mib * units.MIB
    return round(sold_gb * units.GIB)


def kept_by_driver_bytes(vendor: str, total_bytes: int) -> int:
    """Return the bytes of a card's memory that the driver of its maker likely keeps before any
    program runs.

    Between two sizes of the table the bytes grow in proportion; above the largest size they stay
    the same. Return 0 for a maker of whom nothing is known.
    """
    keeps = _table().driver_keeps
    if vendor not in keeps.makers:
        return 0
    total_mib = total_bytes / units.MIB
    smaller = _NO_CARD
    for larger in keeps.sizes:
        if total_mib < larger.total:
            share = (total_mib - smaller.total) / (larger.total - smaller.total)
            likely = smaller.likely + share * (larger.likely - smaller.likely)
            return round(likely * units.MIB)
        smaller = larger
    return smaller.likely * units.MIB


class _GpuShare(NamedTuple):
    """The facts of a GPU, and the share of the GPU that programs get: less than 1 for an instance
    of MIG.
    """

    facts: GpuRow
    share: float


def _share_of(name: str) -> _GpuShare:
    """The GPU of that name, or the share that the named instance of MIG has of its GPU."""
    match = re.fullmatch(_MIG, name)
    if match is None:
        return _GpuShare(facts_of(name), 1.0)
    facts = facts_of(match["gpu"])
    used = int(match["used"] or match["slices"])
    slices = facts.mig_slices or _USUAL_SLICES
    return _GpuShare(facts, min(1.0, used / slices))


def link_bytes_per_second(name: str) -> float | None:
    """Return the peak bytes a second that the PCIe link between a GPU and the RAM carries each way;
    None where the link is not known.
    """
    link = _share_of(name).facts.pcie
    if link is None:
        return None
    version, _, lanes = link.partition(" x")
    return _table().pcie_lane[version] * 1e9 * int(lanes)


@lru_cache(maxsize=256)
def cycles_per_second(name: str) -> float | None:
    """Return the cycles a second of all multiprocessors of an NVIDIA GPU together at the boost
    clock, or of all cores of an Apple GPU by its peak.

    None where the table does not tell.
    """
    chip = cpus.chip_of(words_of(name))
    if chip is not None and chip.tflops is not None:
        flops = _FLOPS_OF_CORE
        if chip.neural:
            flops = _FLOPS_OF_MATRIX_CORE
        return chip.tflops * 1e12 / flops
    facts, share = _share_of(name)
    if facts.processors is None or facts.boost_ghz is None:
        return None
    return facts.processors * facts.boost_ghz * 1e9 * share


def peak_flops(name: str, capability: str | None) -> float | None:
    """Return the peak of a GPU's 16-bit arithmetic in operations a second; of an Apple chip with
    its largest GPU. None where it is not known.
    """
    cycles = cycles_per_second(name)
    flops = _flops_of_processor(name, capability)
    if cycles is not None and flops is not None:
        return cycles * flops
    facts, share = _share_of(name)
    tflops = facts.tflops
    if tflops is None:
        chip = cpus.chip_of(words_of(name))
        if chip is not None:
            tflops = chip.tflops
    if tflops is None:
        return None
    return tflops * 1e12 * share


def _flops_of_processor(name: str, capability: str | None) -> int | None:
    """The 16-bit operations of one NVIDIA multiprocessor in a cycle; None where they are not
    known.
    """
    for row in _table().matrix:
        if row.capability == capability and _has_words(name, row.names):
            return row.flops
    return None


def series_in(machine: Machine) -> cpus.ProcessorSeries | None:
    """Return the series of a machine's processor, by the processor's name or by the GPU inside it.
    None where neither tells.
    """
    series = cpus.series_called(machine.cpu_name)
    if series is not None:
        return series
    for card in machine.cards:
        series = _series_around(card.name)
        if card.unified and series is not None:
            return series
    return None


def _series_around(gpu: str) -> cpus.ProcessorSeries | None:
    """The series of processors that contain a GPU of that name, with the memory known for the GPU.

    None where the GPU is not inside a processor, or where the name may mean a card.
    """
    facts = facts_of(gpu)
    memory = facts.integrated
    if memory is None:
        return None
    # `facts` of a name that fits two GPUs mix the memory of one with the name of the other
    if facts_of(facts.name).integrated is not memory:
        return None
    return cpus.ProcessorSeries(
        name=f"those with {facts.name}",
        channels=memory.channels,
        mts=memory.mts,
        ghz=None,
        source=facts.source,
        bits=memory.bits,
        bytes_per_second=memory.bytes_per_second,
        memory="either",
        kind=memory.kind,
        share=cpus.share_of(memory.kind),
        vectors=memory.vectors,
    )


def computer_of(machine: Machine) -> Computer | None:
    """Return the kind of computer that a machine's cards tell; None where the cards may be a
    server's.
    """
    names = []
    for card in machine.own_memory_cards:
        facts = facts_of(card.name)
        names.append(facts.name or card.name)
    memory_gib = (machine.memory_total_bytes or 0) / units.GIB
    for row in _table().computer:
        if row.takes(names, memory_gib):
            return row
    if "cpu_model" in machine.assumed:
        return _table().unnamed
    return None


def cores_in(machine: Machine) -> cpus.CoreCounts | None:
    """Return the cores of a machine by its processor's name, else by the computer around its cards
    or its GPU. None where nothing tells.
    """
    if machine.cpu_model:
        return cpus.cores_of(machine.cpu_model)
    cards = machine.cards
    if not cards:
        return None
    if all(card.unified for card in cards):
        cpu_class = cpus.class_of(cards[0].vendor)
        return cpus.cores_of_class(cpu_class)
    around = computer_of(machine)
    if around is None:
        return None
    return cpus.cores_from(around.cores, threads=_THREADS_OF_COMPUTER)


@lru_cache(maxsize=1024)
def capability_by_name(name: str) -> str | None:
    """Return the compute capability of an NVIDIA GPU by the name that the GPU reports; None for
    other GPUs.
    """
    if re.fullmatch(_VGPU, name):
        # some virtual GPUs only draw
        return None
    for row in _table().generation:
        if _has_words(name, row.names):
            return row.capability
    return None


def capability_of(card: Accelerator) -> str | None:
    """Return the compute capability of a GPU, as it was read, else by the GPU's name; None where
    neither tells.
    """
    if card.compute_capability is not None:
        return card.compute_capability
    if card.vendor.lower() not in ("nvidia", UNKNOWN):
        return None
    return capability_by_name(card.name)


def reaches_capability(capability: str | None, least: str | None) -> bool | None:
    """Whether a compute capability is at least `least`; None where the capability is not known."""
    if least is None:
        return True
    if capability is None:
        return None
    numbers = capability.split(".")
    # other makers' capabilities are no numbers
    if not all(map(str.isdecimal, numbers)):
        return False
    needed = list(map(int, least.split(".")))
    return list(map(int, numbers)) >= needed


def has_hbm(name: str) -> bool:
    """Whether an NVIDIA GPU of that name has HBM."""
    words = words_of(name)
    names = chain.from_iterable(row.hbm for row in _table().generation)
    return any(words_of(hbm) <= words for hbm in names)


def why_unserved(name: str) -> str | None:
    """Return a clause that says what an accelerator is on which no build judged here computes; None
    for any other accelerator.
    """
    for row in _table().unserved:
        if _has_words(name, row.words):
            return row.clause
    return None


@lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """Return nvidia, amd, intel or qualcomm by the words of a GPU's name; `unknown` where no word
    tells.
    """
    words = words_of(name)
    for maker in _table().maker:
        if not words.isdisjoint(maker.words):
            return maker.id
    return UNKNOWN


def maker_called(id: str | None) -> Maker:
    """Return the maker of that id; one of whom nothing is known for an unknown id and for None."""
    for maker in _table().maker:
        if maker.id == id:
            return maker
    return Maker()
