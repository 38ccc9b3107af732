"""How the figures of `specs/common/pace.toml` are read, and those for text, in typed records.

The file says what each figure is and which runs it rests on. `job`, `work` and `media` have the
records of other work. Three values in a row are read by what they count: as a `Range` (the lowest
first), as `Seconds` or as an `Amount` (the slow end first).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, cached_property, partial
from math import inf
from typing import TypeVar

from ...core.errors import SpecError
from ...core.records import FileKey, Record, Stated, read_by
from ...core.stored import shipped_store
from ...core.tables import TomlTable, stored_table
from ...machine import cpus, gpus
from .ranges import Amount, Range, Seconds

R = TypeVar("R", bound=Record)


# ------------------------------------------------------------------ numbers in a row


class Bounds(Record):
    """The least and the most."""

    least: float
    most: float


class Fall(Record):
    """What one of many cores does less: `(cores / of so many) ** power` beyond `cores`. The power
    is `most` at the slow end and `least` at the fast end.
    """

    cores: float
    most: float
    likely: float
    least: float

    def share(self, cores: float) -> Range:
        """What each of so many cores computes, beside one of few."""
        of_one = min(1.0, self.cores / cores)
        return Range(of_one**self.most, of_one**self.likely, of_one**self.least)


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


# what stands in the file as numbers in a row, or as one number for all of them
_Row = Range | Seconds | Amount | Bounds | Fall | ByVectors | Attending | SocketShares
_ROWS: Mapping[str, type[_Row]] = {
    "Range": Range,
    "Seconds": Seconds,
    "Amount": Amount,
    "Bounds": Bounds,
    "Fall": Fall,
    "ByVectors": ByVectors,
    "Attending": Attending,
    "SocketShares": SocketShares,
}


class Figures(Stated):
    """A table of the file. A field that is a `Range`, or one of the other kinds above, is read from
    numbers in a row; a mapping of such kinds is read from a table of such rows.
    """

    def __init_subclass__(cls) -> None:
        for field, stated in cls._keys.items():
            if stated.read is None:
                _read_rows_of(stated, cls._kinds[field])


def _read_rows_of(stated: FileKey, annotation: str) -> None:
    """Let a field with that annotation be read from numbers in a row, if it holds such."""
    name = annotation.removesuffix(" | None")
    kind = _ROWS.get(name)
    if kind is not None:
        stated.read = partial(_read_row, kind)
        return
    of_each = name.removeprefix("Mapping[str, ").removesuffix("]")
    kind = _ROWS.get(of_each)
    if kind is not None:
        stated.read = partial(_read_rows_by_name, kind)


def _read_row(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    *,
    required: bool = False,
) -> _Row | None:
    value: object = table.get(key, "Any", required=required)
    if value is None:
        return None
    return _row_of(kind, table, key, value)


def _read_rows_by_name(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    *,
    required: bool = False,
) -> Mapping[str, _Row | None]:
    values: Mapping[str, object] = table.get(
        key, "Mapping[str, Any]", required=required
    )
    rows = {}
    for name, value in values.items():
        rows[name] = _row_of(kind, table, key, value)
    return rows


def _row_of(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    value: object,
) -> _Row | None:
    """The row as a value of that kind; None, and a problem of the table, where it is another."""
    names = kind._fields
    row = value if isinstance(value, list) else [value] * len(names)
    numbers = [float(number) for number in row if isinstance(number, int | float)]
    if len(numbers) != len(row) or len(row) != len(names):
        table.problem(key, f"must be an array of {len(names)} numbers")
        return None
    by_name = dict(zip(names, numbers, strict=True))
    return kind(**by_name)


# ------------------------------------------------------------------ rows for GPUs


def _words(table: TomlTable, key: str) -> tuple[str, ...]:
    """Read one word, or several."""
    if isinstance(table.values.get(key), str):
        return (table.get(key, "str"),)
    words: tuple[str, ...] = table.get(key, "tuple[str, ...]")
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


class DeviceRow(Figures):
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
    devices: int
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

    called: str
    share: float
    context_share: float | None = None
    unpacked_per_cycle: float = inf
    layer_us: Amount
    large_layer: Amount | None = None
    half_layers: bool = False
    few_bits: Range = Range.of(1)
    slow: float
    fast: float
    runs: int

    @property
    def context_times(self) -> float:
        """How many times as long a byte of the context takes to read as one of the weights."""
        if self.context_share is None:
            return 1.0
        return self.share / self.context_share


class SumRow(DeviceRow):
    """What several GPUs take to add up the parts of a layer, `least_parts` of them or more.
    `link_gb_per_s`: what the link of a card carries for which `sum_gb_per_s` holds; None: they have
    links of their own.
    """

    least_parts: int = 1
    sum_us: Amount
    sum_gb_per_s: Range = read_by(name="sum_gb_s")
    link_gb_per_s: float | None = read_by(name="link_gb_s", default=None)


class ShareRow(DeviceRow):
    """What share of its peak of arithmetic a GPU reaches.

    Of prompts too: `experts`: on those of mixtures, where a program was measured so; `per_cycle`:
    operations of a multiprocessor in a cycle on packed weights; `plain`: the share on weights in 16
    bits, where it is another; `attended`: of the rate of matrices, that of attention;
    `expert_matrices`: of the same, that of experts' matrices beside their tiles, which are of so
    many tokens (`expert_tile_tokens`; None: as in llama.cpp on most GPUs); `in_fp8`: as many times
    as fast as in 16 bits matrices are in FP8, where the program multiplies them so; `batch_tokens`:
    of a prompt that the program computes at once, None: as its options say; `launched_seconds`: of
    each layer of such a batch, beside what it computes; None: as in llama.cpp, and in other
    programs none, because `share` holds it.
    """

    share: Range
    experts: Range | None = None
    per_cycle: Range | None = None
    plain: Range | None = None
    attended: Range | None = None
    expert_matrices: Range = Range.of(1)
    expert_tile_tokens: Amount | None = None
    in_fp8: Range = Range.of(1)
    batch_tokens: int | None = None
    launched_seconds: Seconds | None = None


class SharedGpuMakers(Stated):
    """Makers of GPUs that share the RAM and are used, in lower case."""

    measured_program: tuple[str, ...]
    any_program: tuple[str, ...]


# ------------------------------------------------------------------ rows for processors


class CoreRow(Stated):
    """What the cores of a processor are, by what it has; () and None: any."""

    architecture: str | None = None
    system: str | None = None
    maker: str | None = None
    assumed: bool | None = None
    sets: tuple[str, ...] = ()
    core: str
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


class TypeRow(Figures):
    """What a core does with weights of a stored type; None: that was not measured.

    `prompt_of_experts`: `prompt` was measured on experts; `prompt_on_arm`: instead of `prompt`, on
    Arm cores with the dot product.
    """

    unpack: float = 1.0
    gb_per_s: float = read_by(name="gb_s")
    unpack_gb_per_s: float | None = read_by(name="unpack_gb_s", default=None)
    prompt: ByVectors | None = None
    prompt_of_experts: bool = False
    prompt_on_arm: float | None = None
    rows: ByVectors | None = None


class ClassMemory(Figures):
    """GB/s that machines of a class read, for each core and in all."""

    called: str
    gb_per_s_of_core: Bounds = read_by(name="core")
    gb_per_s: Bounds = read_by(name="all")


class DecodingShares(Record):
    """What a kind of processor reads and computes, beside the one measured on."""

    memory: Range
    cores: Range


# ------------------------------------------------------------------ tables


class GeneralFigures(Figures):
    """What stands in the file outside of any table.

    - `unseen`: the ends of a pace that nobody measured, as shares of it.
    - `large_layer`: how many times as long a layer with experts takes to launch.
    - `measured_prompt`: what share of its measured pace of short prompts a GPU reaches.
    - `most_of_peak`: the most that was seen of a GPU's bandwidth, as a share.
    - `server_words`: words by which the name of a processor tells one of a server.
    - `kinds`: how each kind of core decodes.
    """

    unseen: Bounds
    large_layer: Amount
    measured_prompt: Range
    most_of_peak: float
    server_words: tuple[str, ...]
    kinds: Mapping[str, str] = read_by(name="kind")


class BatchFactors(Figures):
    """How many times as long a token takes as one of a long prompt, where several are computed."""

    processor: Amount
    gpu: Amount
    gpu_experts: Amount
    graph: Amount
    graph_experts: Amount


class BatchFigures(Figures):
    """Of several sequences at once, and of attention to a prompt."""

    preferred: Amount
    evenness: Amount
    attended_on_processor: Range
    attended_on_gpu: Range
    sequence_seconds: Seconds


class SplitFigures(Figures):
    """Of layers whose experts lie in RAM."""

    crossing_seconds: Seconds
    slower: float


class DraftFigures(Figures):
    """The gain of a pace with a draft."""

    own_block: Range
    draft_model: Range


class StepFigures(Figures):
    """Of one step of decoding."""

    attending: Attending = read_by(name="attending_seconds")
    expert: float
    layers_of_7b: float
    layers_grow: float
    layers_ends: Amount


class ProcessorFigures(Figures):
    """What a layer takes on a processor beside its weights."""

    layer_core_seconds: float
    meeting_seconds: float
    thread_seconds: Seconds
    experts_slow: float


class PromptFigures(Figures):
    """How prompts are read: on cores, on GPUs, and with weights that cross a link."""

    reached_on_cores: Range
    experts_on_cores: Range
    thread_of_core: float
    small_core: Range
    cores_fall: Fall
    launched_seconds: Seconds
    expert_tile_tokens: Amount
    most_of_link: float
    share_of_link: float
    staged_per_second: Range
    any_link: Range


class ReadingFigures(Figures):
    """How fast processors read their memory."""

    stated_share: Range
    class_ends: Bounds
    any_apple: Range
    any_apple_low: float
    guest_share: float
    client_peaks: Range
    unknown_modules: Range
    across_sockets: SocketShares


# ------------------------------------------------------------------ the file


def _table(key: str, kind: type[R]) -> cached_property[R]:
    """An attribute: the table of that key as a record."""
    return cached_property(lambda tables: tables.record(key, kind))


def _rows(key: str, kind: type[R]) -> cached_property[tuple[R, ...]]:
    """An attribute: the rows of that key, each as a record."""
    return cached_property(lambda tables: tables.records(key, kind))


class PaceTables:
    """`specs/common/pace.toml`. Its attributes are what the pace of text rests on. Each is read
    when it is first asked for, because one check needs few; a fault raises `SpecError` then.
    """

    shared_gpu = _table("shared_gpu", SharedGpuMakers)
    cores = _rows("core", CoreRow)
    decoding = _rows("decode", DecodingRow)
    together = _rows("together", SumRow)
    shares = _rows("share", ShareRow)
    token = _table("token", BatchFactors)
    batch = _table("batch", BatchFigures)
    split = _table("split", SplitFigures)
    draft = _table("draft", DraftFigures)
    step = _table("step", StepFigures)
    processor = _table("processor", ProcessorFigures)
    prompt = _table("read_prompt", PromptFigures)
    reading = _table("reading", ReadingFigures)

    def __init__(self) -> None:
        self._root = stored_table(shipped_store(), "common/pace").root
        self._type_rows: dict[str, TypeRow] = {}

    def record(self, key: str, kind: type[R]) -> R:
        """The table of that key."""
        record: R = self._root.get(key, kind.__name__, required=True, kind=kind)
        self._refuse_faults()
        return record

    def records(self, key: str, kind: type[R]) -> tuple[R, ...]:
        """The rows of that key."""
        annotation = f"tuple[{kind.__name__}, ...]"
        rows: tuple[R, ...] = self._root.get(key, annotation, required=True, kind=kind)
        self._refuse_faults()
        return rows

    def _refuse_faults(self) -> None:
        """Raise `SpecError` where a fault was found in the file so far."""
        document = self._root.document
        if not document.ok:
            raise SpecError(document.problems)

    @property
    def read_keys(self) -> frozenset[str]:
        """The keys of the file that were asked for so far."""
        return self._root.known_keys

    @cached_property
    def general(self) -> GeneralFigures:
        """What stands outside of any table."""
        values = self._root.fields(GeneralFigures)
        self._refuse_faults()
        return GeneralFigures(**values)

    @cached_property
    def memory(self) -> Mapping[str, ClassMemory]:
        """By the class of a machine."""
        rows: dict[str, ClassMemory] = {}
        for name, table in self._tables("memory").items():
            rows[name] = table.as_record(ClassMemory)
        self._refuse_faults()
        return rows

    def _tables(self, key: str) -> Mapping[str, TomlTable]:
        """The tables in the table of that key."""
        tables: Mapping[str, TomlTable] = self._root.get(key, "Mapping[str, TomlTable]")
        return tables

    @cached_property
    def _type_tables(self) -> Mapping[str, TomlTable]:
        return self._tables("type")

    @property
    def types(self) -> Mapping[str, TypeRow]:
        """The row of each stored type that has one."""
        return {name: self.type_called(name) for name in self._type_tables}

    def type_called(self, name: str) -> TypeRow:
        """The row of a stored type; one without a row counts as F16."""
        if name not in self._type_tables:
            name = "F16"
        if name not in self._type_rows:
            self._type_rows[name] = self._type_tables[name].as_record(TypeRow)
            self._refuse_faults()
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
