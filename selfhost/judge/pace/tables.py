"""How the figures of `specs/common/pace.toml` are read, and those for text, in typed records.

The file says what each figure is and which runs it rests on. `job`, `work` and `media` have the
records of other work. Three values in a row are read by what they count: as a `Range` (the lowest
first), as `Seconds` or as an `Amount` (the slow end first).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, cached_property
from math import inf
from typing import Any, TypeVar

from ...core.errors import SpecError
from ...core.records import Record, Stated, read_by
from ...core.stored import shipped_store
from ...core.tables import TomlTable, stored_table
from ...machine import cpus, gpus
from .ranges import Amount, Range, Seconds

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Bounds(Record):
    """The least and the most."""

    least: float
    most: float


class Fall(Record):
    """What one of many cores does less: `(cores / of so many) ** power` beyond `cores`."""

    cores: float
    power: float

    def share(self, cores: float) -> float:
        """What each of so many cores computes, beside one of few."""
        return float(min(1.0, (self.cores / cores) ** self.power))


class ByVectors(Record):
    """What a core computes on vectors of 512 bits, and on narrower ones."""

    wide: float
    narrow: float

    def on(self, *, is_wide: bool) -> float:
        """The figure of cores that have vectors of 512 bits, or of others."""
        return self.wide if is_wide else self.narrow


class Attending(Record):
    """Seconds of one core: for each head with a row of the context, and for each number of it."""

    row_seconds: float
    number_seconds: float


class SocketShares(Record):
    """What several sockets read: two as shares of what one gives, and of each at the fast end."""

    slow: float
    likely: float
    fast_of_each: float


def numbers(kind: type, **options: Any) -> Any:
    """Declare a field of as many numbers in a row as `kind` has; one number stands for all."""
    return read_by(_read_numbers, kind=kind, **options)


def numbers_by_name(kind: type, **options: Any) -> Any:
    """Declare a field that is a table of such rows."""
    return read_by(_read_numbers_by_name, kind=kind, **options)


def _read_numbers(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
    value = table.get(key, "Any", **limits)
    return None if value is None else _row_of_numbers(table, key, value, kind)


def _read_numbers_by_name(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
    values = table.get(key, "Mapping[str, Any]", **limits)
    rows = {}
    for name, value in values.items():
        rows[name] = _row_of_numbers(table, key, value, kind)
    return rows


def _row_of_numbers(table: TomlTable, key: str, value: Any, kind: Any) -> Any:
    """The row as a value of that kind; None, and a problem of the table, where it is another."""
    fields = kind._fields
    row = value if isinstance(value, list) else [float(value)] * len(fields)
    are_numbers = all(isinstance(number, int | float) for number in row)
    if not are_numbers or len(row) != len(fields):
        table.problem(key, f"must be a list of {len(fields)} numbers")
        return None
    return kind(**dict(zip(fields, row, strict=True)))


def _words(table: TomlTable, key: str, **limits: Any) -> tuple[str, ...]:
    """Read one word, or several."""
    if isinstance(table.values.get(key), str):
        return (table.get(key, "str", **limits),)
    words: tuple[str, ...] = table.get(key, "tuple[str, ...]", **limits)
    return words


def _are_as_wanted(*wanted: tuple[object, object]) -> bool:
    """Whether each second value is the first, where that is not None."""
    return all(want is None or value == want for want, value in wanted)


class DeviceFacts(Record):
    """What rows ask of a GPU. `flops_of_cycle`: of one of NVIDIA's multiprocessors."""

    vendor: str
    generation: str | None
    unified: bool
    integrated: bool
    less_power: bool
    hbm: bool
    neural: bool
    flops_of_cycle: float
    capability: str | None


class DeviceRow(Stated):
    """What a row asks of a GPU; () and None: any. `devices`: on how many it rests."""

    vendors: tuple[str, ...] = read_by(_words, name="vendor", default=())
    generations: tuple[str, ...] = read_by(_words, name="generation", default=())
    hosts: tuple[str, ...] = read_by(_words, name="host", default=())
    unified: bool | None = None
    integrated: bool | None = None
    less_power: bool | None = None
    hbm: bool | None = None
    neural: bool | None = None
    program: str | None = None
    work: str | None = None
    least_capability: str | None = None
    most_flops: float = inf
    devices: int = read_by()
    source: str | None = None

    def fits(
        self,
        facts: DeviceFacts,
        *,
        program: str = "",
        host: str | None = None,
        work: str = "",
    ) -> bool:
        """Whether the row holds for that GPU, that program and that work."""
        if self.vendors and facts.vendor not in self.vendors:
            return False
        if self.generations and facts.generation not in self.generations:
            return False
        if self.hosts and host not in self.hosts:
            return False
        # peaks and clocks are rounded
        if facts.flops_of_cycle > 1.01 * self.most_flops:
            return False
        if not _are_as_wanted(
            (self.unified, facts.unified),
            (self.integrated, facts.integrated),
            (self.less_power, facts.less_power),
            (self.hbm, facts.hbm),
            (self.neural, facts.neural),
            (self.program, program),
            (self.work, work),
        ):
            return False
        return bool(gpus.reaches_capability(facts.capability, self.least_capability))

    @property
    def basis(self) -> str:
        """What the row rests on, as a clause."""
        if self.devices < 3:
            return "a guess: published runs of fewer than three such GPUs were found"
        return f"fitted on published runs of {self.devices} GPUs"


class DecodingRow(DeviceRow):
    """How GPUs decode. `slow` and `fast` are shares of the likely pace; the context is read at
    `context_share` of the peak of the memory, weights at `share`.
    """

    called: str = read_by()
    share: float = read_by()
    context_share: float | None = None
    unpacked_per_cycle: float = inf
    layer_us: Amount = numbers(Amount)
    large_layer: Amount | None = numbers(Amount, default=None)
    half_layers: bool = False
    few_bits: Range = numbers(Range, default=Range(1.0, 1.0, 1.0))
    slow: float = read_by()
    fast: float = read_by()
    runs: int = read_by()

    @property
    def context_times(self) -> float:
        """How many times as long a byte of the context takes to read as one of the weights."""
        if self.context_share is None:
            return 1.0
        return self.share / self.context_share


class SumRow(DeviceRow):
    """What several GPUs take to add up the parts of a layer."""

    sum_us: Amount = numbers(Amount)
    sum_gb_per_s: Range = numbers(Range, name="sum_gb_s")


class ShareRow(DeviceRow):
    """What share of its peak of arithmetic a GPU reaches.

    Of prompts too: `experts`: on those of mixtures, where a program was measured so; `per_cycle`:
    operations of a multiprocessor in a cycle on packed weights; `plain`: the share on weights in 16
    bits, where it is another; `attended`: of the rate of matrices, that of attention.
    """

    share: Range = numbers(Range)
    experts: Range | None = numbers(Range, default=None)
    per_cycle: Range | None = numbers(Range, default=None)
    plain: Range | None = numbers(Range, default=None)
    attended: Range | None = numbers(Range, default=None)


class SharedGpuMakers(Stated):
    """Makers of GPUs that share the RAM and are used, in lower case."""

    measured_program: tuple[str, ...] = read_by()
    any_program: tuple[str, ...] = read_by()


class CoreRow(Stated):
    """What the cores of a processor are, by what it has; () and None: any."""

    architecture: str | None = None
    system: str | None = None
    maker: str | None = None
    assumed: bool | None = None
    sets: tuple[str, ...] = ()
    core: str = read_by()
    kind: str | None = None

    def fits(
        self,
        *,
        architecture: str,
        system: str | None,
        maker: str | None,
        sets: Collection[str],
        is_assumed: bool,
    ) -> bool:
        """Whether the row holds for such a processor; `is_assumed`: its sets are."""
        if not set(self.sets).issubset(sets):
            return False
        return _are_as_wanted(
            (self.architecture, architecture),
            (self.system, system),
            (self.maker, maker),
            (self.assumed, is_assumed),
        )


class TypeRow(Stated):
    """What a core does with weights of a stored type; None: that was not measured."""

    unpack: float = 1.0
    gb_per_s: float = read_by(name="gb_s")
    unpack_gb_per_s: float | None = read_by(name="unpack_gb_s", default=None)
    prompt: ByVectors | None = numbers(ByVectors, default=None)
    rows: ByVectors | None = numbers(ByVectors, default=None)


class DecodingShares(Record):
    """What a kind of processor reads and computes, beside the one measured on."""

    memory: Range
    cores: Range


class BatchFactors(Stated):
    """How many times as long a token takes as one of a long prompt, where several are computed."""

    processor: Amount = numbers(Amount)
    gpu: Amount = numbers(Amount)
    gpu_experts: Amount = numbers(Amount)
    graph: Amount = numbers(Amount)
    graph_experts: Amount = numbers(Amount)


class ClassMemory(Stated):
    """GB/s that machines of a class read, for each core and in all."""

    called: str = read_by()
    gb_per_s_of_core: Bounds = numbers(Bounds, name="core")
    gb_per_s: Bounds = numbers(Bounds, name="all")


class BatchFigures(Stated):
    """Of several sequences at once, and of attention to a prompt."""

    preferred: Amount = numbers(Amount)
    attended_on_processor: Range = numbers(Range)
    attended_on_gpu: Range = numbers(Range)
    sequence_seconds: Seconds = numbers(Seconds)


class SplitFigures(Stated):
    """Of layers whose experts lie in RAM."""

    crossing_seconds: Seconds = numbers(Seconds)
    slower: float = read_by()


class DraftFigures(Stated):
    """The gain of a pace with a draft."""

    own_block: Range = numbers(Range)
    draft_model: Range = numbers(Range)


class StepFigures(Stated):
    """Of one step of decoding."""

    attending: Attending = numbers(Attending, name="attending_seconds")
    expert: float = read_by()
    layers_of_7b: float = read_by()
    layers_grow: float = read_by()
    layers_ends: Amount = numbers(Amount)


class ProcessorFigures(Stated):
    """What a layer takes on a processor beside its weights."""

    layer_core_seconds: float = read_by()
    meeting_seconds: float = read_by()
    thread_seconds: Seconds = numbers(Seconds)
    experts_slow: float = read_by()


class PromptFigures(Stated):
    """How prompts are read: on cores, on GPUs, and with weights that cross a link."""

    reached_on_cores: Range = numbers(Range)
    experts_on_cores: Range = numbers(Range)
    thread_of_core: float = read_by()
    cores_fall: Fall = numbers(Fall)
    launched_seconds: Seconds = numbers(Seconds)
    expert_tile_tokens: Amount = numbers(Amount)
    batch_of_graph: int = read_by()
    most_of_link: float = read_by()
    share_of_link: Range = numbers(Range)
    any_link: Range = numbers(Range)


class ReadingFigures(Stated):
    """How fast processors read their memory."""

    stated_share: Range = numbers(Range)
    class_ends: Bounds = numbers(Bounds)
    any_apple: Range = numbers(Range)
    any_apple_low: float = read_by()
    guest_share: float = read_by()
    client_peaks: Range = numbers(Range)
    unknown_modules: Range = numbers(Range)
    across_sockets: SocketShares = numbers(SocketShares)


class PaceFile:
    """A file of `specs/common/`. Each attribute of a subclass is a table of it, which is read, and
    checked, when it is first asked for: one check needs few of them. A fault raises `SpecError`
    then.
    """

    file = "pace"

    def __init__(self) -> None:
        self._root = stored_table(shipped_store(), f"common/{self.file}").root

    @property
    def read_keys(self) -> frozenset[str]:
        """The keys of the file that were asked for so far."""
        return self._root.known_keys

    def value(self, key: str, annotation: str, **limits: Any) -> Any:
        """The value of a key, as a field with that annotation has it."""
        value = self._root.get(key, annotation, required=True, **limits)
        return self.without_faults(value)

    def record(self, key: str, kind: type[R]) -> R:
        """The table of that key."""
        record: R = self.value(key, kind.__name__, kind=kind)
        return record

    def records(self, key: str, kind: type[R]) -> tuple[R, ...]:
        """The rows of that key."""
        annotation = f"tuple[{kind.__name__}, ...]"
        records: tuple[R, ...] = self.value(key, annotation, kind=kind)
        return records

    def row_of_numbers(self, key: str, kind: type[T]) -> T:
        """As many numbers in a row as that kind has."""
        row: T = _read_numbers(self._root, key, kind, required=True)
        return self.without_faults(row)

    def without_faults(self, value: T) -> T:
        """The value, where no fault was found in the file so far."""
        document = self._root.document
        if not document.ok:
            raise SpecError(document.problems)
        return value


def table(key: str, kind: type[R]) -> cached_property[R]:
    """An attribute: the table of that key as a record."""
    return cached_property(lambda file: file.record(key, kind))


def rows(key: str, kind: type[R]) -> cached_property[tuple[R, ...]]:
    """An attribute: the rows of that key, each as a record."""
    return cached_property(lambda file: file.records(key, kind))


def _row_of(key: str, kind: type[T]) -> cached_property[T]:
    """An attribute: as many numbers as that kind has."""
    return cached_property(lambda file: file.row_of_numbers(key, kind))


class PaceTables(PaceFile):
    """The tables that the pace of text rests on."""

    # the ends of a pace that nobody measured, as shares of it
    unseen = _row_of("unseen", Bounds)
    # how many times as long a layer with experts takes to launch
    large_layer = _row_of("large_layer", Amount)
    shared_gpu = table("shared_gpu", SharedGpuMakers)
    cores = rows("core", CoreRow)
    decoding = rows("decode", DecodingRow)
    together = rows("together", SumRow)
    shares = rows("share", ShareRow)
    # what share of its measured pace of short prompts a GPU reaches
    measured_prompt = _row_of("measured_prompt", Range)
    token = table("token", BatchFactors)
    batch = table("batch", BatchFigures)
    split = table("split", SplitFigures)
    draft = table("draft", DraftFigures)
    step = table("step", StepFigures)
    processor = table("processor", ProcessorFigures)
    prompt = table("read_prompt", PromptFigures)
    reading = table("reading", ReadingFigures)

    def __init__(self) -> None:
        super().__init__()
        self._type_rows: dict[str, TypeRow] = {}

    @cached_property
    def most_of_peak(self) -> float:
        """The most that was seen of a GPU's bandwidth, as a share."""
        return float(self.value("most_of_peak", "float"))

    @cached_property
    def server_words(self) -> tuple[str, ...]:
        """The words by which the name of a processor tells one of a server."""
        return tuple(self.value("server_words", "tuple[str, ...]"))

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """What kind of machine each kind of core stands in."""
        return dict(self.value("kind", "Mapping[str, str]"))

    @cached_property
    def memory(self) -> Mapping[str, ClassMemory]:
        """By the class of a machine."""
        annotation = "Mapping[str, ClassMemory]"
        return dict(self.value("memory", annotation, kind=ClassMemory))

    @cached_property
    def _type_tables(self) -> Mapping[str, TomlTable]:
        return dict(self.value("type", "Mapping[str, TomlTable]"))

    @property
    def types(self) -> Mapping[str, TypeRow]:
        """The row of each stored type that has one."""
        return {name: self.type_called(name) for name in self._type_tables}

    def type_called(self, name: str) -> TypeRow:
        """The row of a stored type; one without a row counts as F16."""
        if name not in self._type_tables:
            name = "F16"
        if name not in self._type_rows:
            row = self._type_tables[name].as_record(TypeRow)
            self._type_rows[name] = self.without_faults(row)
        return self._type_rows[name]

    def prompt_share(self, type_name: str) -> ByVectors:
        """What a core computes of a prompt with weights of that type, beside Q4_K."""
        share = self.type_called(type_name).prompt or self.type_called("F16").prompt
        assert share is not None, "F16 states its share"
        return share


@cache
def decoding_shares() -> Mapping[str, DecodingShares]:
    """How processors decode, by their kind."""
    shares = {}
    for row in cpus.decode_rows():
        memory = Range(*row.memory)
        cores = Range(*row.cores)
        shares[row.kind] = DecodingShares(memory=memory, cores=cores)
    return shares


@cache
def pace_tables() -> PaceTables:
    """The tables. Raises `SpecError` where the file is missing."""
    return PaceTables()
