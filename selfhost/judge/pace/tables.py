"""The figures of `specs/common/pace.toml` for text, in typed records. That file says what each
figure is and which runs it rests on; `work_tables` has those of other work.

Three values in a row are read by what they count: as a `Range` (the lowest first), as `Seconds` or
as an `Amount` (the slow end first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from math import inf
from typing import Any, TypeVar

from ...core.errors import SpecError
from ...core.records import Record, Stated, read_by
from ...core.stored import shipped_store
from ...core.tables import TomlTable, stored_table
from ...machine import gpus
from .ranges import Amount, Range, Seconds

R = TypeVar("R", bound=Record)


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


def read_numbers(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
    """Read as many numbers as the record `kind` has; None where the table has others."""
    return _row_of_numbers(table, key, table.get(key, "Any", **limits), kind)


def _row_of_numbers(table: TomlTable, key: str, value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if hasattr(kind, "of") and isinstance(value, int | float):
        return kind.of(value)
    count = len(kind._fields)
    if _is_row_of(value, count):
        return kind(**dict(zip(kind._fields, value, strict=True)))
    table.problem(key, f"must be a list of {count} numbers")
    return None


def _is_row_of(value: object, count: int) -> bool:
    """Whether a value is a list of so many numbers."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    return len(value) == count and all(isinstance(part, int | float) for part in value)


def read_numbers_by_name(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
    """Read a table of such rows of numbers."""
    values = table.get(key, "Mapping[str, Any]", **limits)
    return {
        name: _row_of_numbers(table, key, value, kind) for name, value in values.items()
    }


def _words(table: TomlTable, key: str, **limits: Any) -> tuple[str, ...]:
    """Read one word, or several."""
    if isinstance(table.values.get(key), str):
        return (table.get(key, "str", **limits),)
    words: tuple[str, ...] = table.get(key, "tuple[str, ...]", **limits)
    return words


def range_by(**options: Any) -> Any:
    return read_by(read_numbers, kind=Range, **options)


def seconds_by(**options: Any) -> Any:
    return read_by(read_numbers, kind=Seconds, **options)


def amount_by(**options: Any) -> Any:
    return read_by(read_numbers, kind=Amount, **options)


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
        for asked, fact in (
            (self.vendors, facts.vendor),
            (self.generations, facts.generation),
            (self.hosts, host),
        ):
            if asked and fact not in asked:
                return False
        for wanted, value in (
            (self.unified, facts.unified),
            (self.integrated, facts.integrated),
            (self.less_power, facts.less_power),
            (self.hbm, facts.hbm),
            (self.neural, facts.neural),
            (self.program, program),
            (self.work, work),
        ):
            if wanted is not None and wanted != value:
                return False
        # peaks and clocks are rounded
        if facts.flops_of_cycle > 1.01 * self.most_flops:
            return False
        return bool(gpus.reaches_capability(facts.capability, self.least_capability))

    @property
    def basis(self) -> str:
        """What the row rests on, as a clause."""
        if self.devices < 3:
            return "a guess: published runs of fewer than three such GPUs were found"
        return f"fitted on published runs of {self.devices} GPUs"


class DecodingRow(DeviceRow):
    """How GPUs decode. `slow` and `fast` are shares of the likely pace."""

    called: str = read_by()
    share: float = read_by()
    unpacked_per_cycle: float = inf
    layer_us: Amount = amount_by()
    large_layer: Amount | None = amount_by(default=None)
    half_layers: bool = False
    few_bits: Range = range_by(default=Range(1.0, 1.0, 1.0))
    slow: float = read_by()
    fast: float = read_by()
    runs: int = read_by()


class SumRow(DeviceRow):
    """What several GPUs take to add up the parts of a layer."""

    sum_us: Amount = amount_by()
    sum_gb_per_s: Range = range_by(name="sum_gb_s")


class ShareRow(DeviceRow):
    """What share of its peak of arithmetic a GPU reaches; `experts`: on prompts of mixtures."""

    share: Range = range_by()
    experts: Range | None = range_by(default=None)


class MeasuredShares(Stated):
    """What share of its measured pace of short prompts a GPU reaches."""

    share: Range = range_by()
    experts: Range = range_by()


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


class TypeRow(Stated):
    """What a core does with weights of a stored type; None: that was not measured."""

    unpack: float = 1.0
    gb_per_s: float = read_by(name="gb_s")
    unpack_gb_per_s: float | None = read_by(name="unpack_gb_s", default=None)
    prompt: ByVectors | None = read_by(read_numbers, kind=ByVectors, default=None)
    rows: ByVectors | None = read_by(read_numbers, kind=ByVectors, default=None)


class BatchFactors(Stated):
    """How many times as long a token takes as one of a long prompt, where several are computed."""

    processor: Amount = amount_by()
    gpu: Amount = amount_by()
    gpu_experts: Amount = amount_by()
    graph: Amount = amount_by()
    graph_experts: Amount = amount_by()


class ClassMemory(Stated):
    """GB/s that machines of a class read, for each core and in all."""

    called: str = read_by()
    gb_per_s_of_core: Bounds = read_by(read_numbers, kind=Bounds, name="core")
    gb_per_s: Bounds = read_by(read_numbers, kind=Bounds, name="all")


class BatchFigures(Stated):
    """Of several sequences at once, and of attention to a prompt."""

    preferred: Amount = amount_by()
    attended_on_processor: Range = range_by()
    attended_on_gpu: Range = range_by()
    sequence_seconds: Seconds = seconds_by()


class SplitFigures(Stated):
    """Of layers whose experts lie in RAM."""

    crossing_seconds: Seconds = seconds_by()
    slower: float = read_by()


class DraftFigures(Stated):
    """The gain of a pace with a draft."""

    own_block: Range = range_by()
    draft_model: Range = range_by()


class StepFigures(Stated):
    """Of one step of decoding."""

    attending: Attending = read_by(
        read_numbers, kind=Attending, name="attending_seconds"
    )
    expert: float = read_by()
    layers_of_7b: float = read_by()
    layers_grow: float = read_by()
    layers_ends: Amount = amount_by()


class ProcessorFigures(Stated):
    """What a layer takes on a processor beside its weights."""

    layer_core_seconds: float = read_by()
    meeting_seconds: float = read_by()
    thread_seconds: Seconds = seconds_by()
    experts_slow: float = read_by()


class PromptFigures(Stated):
    """How prompts are read: on cores, on GPUs, and with weights that cross a link."""

    reached_on_cores: Range = range_by()
    experts_on_cores: Range = range_by()
    thread_of_core: float = read_by()
    cores_fall: Fall = read_by(read_numbers, kind=Fall)
    launched_seconds: Seconds = seconds_by()
    most_of_link: float = read_by()
    share_of_link: Range = range_by()
    any_link: Range = range_by()


class ReadingFigures(Stated):
    """How fast processors read their memory."""

    stated_share: Range = range_by()
    class_ends: Bounds = read_by(read_numbers, kind=Bounds)
    any_apple: Range = range_by()
    any_apple_low: float = read_by()
    guest_share: float = read_by()
    client_peaks: Range = range_by()
    unknown_modules: Range = range_by()
    across_sockets: SocketShares = read_by(read_numbers, kind=SocketShares)


class PaceFile:
    """The file. A table is read, and checked, when it is first asked for: one check needs few of
    them. A fault raises `SpecError` then.
    """

    def __init__(self) -> None:
        self._root = stored_table(shipped_store(), "common/pace").root

    @property
    def read_keys(self) -> frozenset[str]:
        """The keys of the file that were asked for so far."""
        return self._root.known_keys

    def _checked(self, value: Any) -> Any:
        document = self._root.document
        if not document.ok:
            raise SpecError(document.problems)
        return value

    def _record(self, key: str, kind: type[R]) -> R:
        value = self._root.get(key, kind.__name__, required=True, kind=kind)
        record: R = self._checked(value)
        return record

    def _rows(self, key: str, kind: type[R]) -> tuple[R, ...]:
        annotation = f"tuple[{kind.__name__}, ...]"
        value = self._root.get(key, annotation, required=True, kind=kind)
        rows: tuple[R, ...] = self._checked(value)
        return rows

    def _records_by_name(self, key: str, kind: type[R]) -> Mapping[str, R]:
        annotation = f"Mapping[str, {kind.__name__}]"
        value = self._root.get(key, annotation, required=True, kind=kind)
        records: Mapping[str, R] = self._checked(value)
        return records

    def _plain(self, key: str, annotation: str) -> Any:
        return self._checked(self._root.get(key, annotation, required=True))


class PaceTables(PaceFile):
    """The tables that the pace of text rests on."""

    def __init__(self) -> None:
        super().__init__()
        self._type_rows: dict[str, TypeRow] = {}

    @cached_property
    def unseen(self) -> Bounds:
        """The ends of a pace that nobody measured, as shares of it."""
        bounds = read_numbers(self._root, "unseen", Bounds, required=True)
        checked: Bounds = self._checked(bounds)
        return checked

    @cached_property
    def large_layer(self) -> Amount:
        """How many times as long a layer with experts takes to launch."""
        amount = read_numbers(self._root, "large_layer", Amount, required=True)
        checked: Amount = self._checked(amount)
        return checked

    @cached_property
    def most_of_peak(self) -> float:
        """The most that was seen of a GPU's bandwidth, as a share."""
        return float(self._plain("most_of_peak", "float"))

    @cached_property
    def server_words(self) -> tuple[str, ...]:
        """The words by which the name of a processor tells one of a server."""
        return tuple(self._plain("server_words", "tuple[str, ...]"))

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """What kind of machine each kind of core stands in."""
        return dict(self._plain("kind", "Mapping[str, str]"))

    @cached_property
    def shared_gpu(self) -> SharedGpuMakers:
        return self._record("shared_gpu", SharedGpuMakers)

    @cached_property
    def cores(self) -> tuple[CoreRow, ...]:
        return self._rows("core", CoreRow)

    @cached_property
    def decoding(self) -> tuple[DecodingRow, ...]:
        return self._rows("decode", DecodingRow)

    @cached_property
    def together(self) -> tuple[SumRow, ...]:
        return self._rows("together", SumRow)

    @cached_property
    def shares(self) -> tuple[ShareRow, ...]:
        return self._rows("share", ShareRow)

    @cached_property
    def measured_prompt(self) -> MeasuredShares:
        return self._record("measured_prompt", MeasuredShares)

    @cached_property
    def token(self) -> BatchFactors:
        return self._record("token", BatchFactors)

    @cached_property
    def memory(self) -> Mapping[str, ClassMemory]:
        """By the class of a machine."""
        return self._records_by_name("memory", ClassMemory)

    @cached_property
    def batch(self) -> BatchFigures:
        return self._record("batch", BatchFigures)

    @cached_property
    def split(self) -> SplitFigures:
        return self._record("split", SplitFigures)

    @cached_property
    def draft(self) -> DraftFigures:
        return self._record("draft", DraftFigures)

    @cached_property
    def step(self) -> StepFigures:
        return self._record("step", StepFigures)

    @cached_property
    def processor(self) -> ProcessorFigures:
        return self._record("processor", ProcessorFigures)

    @cached_property
    def prompt(self) -> PromptFigures:
        return self._record("read_prompt", PromptFigures)

    @cached_property
    def reading(self) -> ReadingFigures:
        return self._record("reading", ReadingFigures)

    @cached_property
    def _type_tables(self) -> Mapping[str, TomlTable]:
        return dict(self._plain("type", "Mapping[str, TomlTable]"))

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
            self._type_rows[name] = self._checked(row)
        return self._type_rows[name]

    def prompt_share(self, type_name: str) -> ByVectors:
        """What a core computes of a prompt with weights of that type, beside Q4_K."""
        share = self.type_called(type_name).prompt or self.type_called("F16").prompt
        assert share is not None, "F16 states its share"
        return share


@cache
def pace_tables() -> PaceTables:
    """The tables. Raises `SpecError` where the file is missing."""
    return PaceTables()
