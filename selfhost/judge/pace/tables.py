"""The figures of `specs/common/pace.toml`, read once into typed records. That file says what each
figure is and which runs it rests on.

Three values in a row are read by what they count: as a `Range` (the lowest first), as `Seconds` or
as an `Amount` (the slow end first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import inf
from typing import Any, NamedTuple

from ...core.errors import SpecError
from ...core.records import Record, Stated, read_by
from ...core.stored import shipped_store
from ...core.tables import TomlTable, stored_table
from ...machine import gpus
from .ranges import Amount, Range, Seconds


class Bounds(NamedTuple):
    """The least and the most."""

    least: float
    most: float


class Fall(NamedTuple):
    """What one of many cores does less: `(cores / of so many) ** power` beyond `cores`."""

    cores: float
    power: float

    def share(self, cores: float) -> float:
        """What each of so many cores computes, beside one of few."""
        return float(min(1.0, (self.cores / cores) ** self.power))


class ByVectors(NamedTuple):
    """What a core computes on vectors of 512 bits, and on narrower ones."""

    wide: float
    narrow: float

    def on(self, *, is_wide: bool) -> float:
        """The figure of cores that have vectors of 512 bits, or of others."""
        return self.wide if is_wide else self.narrow


class Attending(NamedTuple):
    """Seconds of one core: for each head with a row of the context, and for each number of it."""

    row_seconds: float
    number_seconds: float


class SocketShares(NamedTuple):
    """What several sockets read: two as shares of what one gives, and of each at the fast end."""

    slow: float
    likely: float
    fast_of_each: float


def _numbers(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
    """Read as many numbers as the named tuple `kind` has; None where the table has others."""
    return _row_of_numbers(table, key, table.get(key, "Any", **limits), kind)


def _row_of_numbers(table: TomlTable, key: str, value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if hasattr(kind, "of") and isinstance(value, int | float):
        return kind.of(value)
    count = len(kind._fields)
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if (
        is_list
        and len(value) == count
        and all(isinstance(part, int | float) for part in value)
    ):
        return kind._make(value)
    table.problem(key, f"must be a list of {count} numbers")
    return None


def _numbers_by_name(table: TomlTable, key: str, kind: Any, **limits: Any) -> Any:
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


def _range(**options: Any) -> Any:
    return read_by(_numbers, kind=Range, **options)


def _seconds(**options: Any) -> Any:
    return read_by(_numbers, kind=Seconds, **options)


def _amount(**options: Any) -> Any:
    return read_by(_numbers, kind=Amount, **options)


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
    layer_us: Amount = _amount()
    large_layer: Amount | None = _amount(default=None)
    half_layers: bool = False
    few_bits: Range = _range(default=Range(1.0, 1.0, 1.0))
    slow: float = read_by()
    fast: float = read_by()
    runs: int = read_by()


class SumRow(DeviceRow):
    """What several GPUs take to add up the parts of a layer."""

    sum_us: Amount = _amount()
    sum_gb_per_s: Range = _range(name="sum_gb_s")


class ShareRow(DeviceRow):
    """What share of its peak of arithmetic a GPU reaches; `experts`: on prompts of mixtures."""

    share: Range = _range()
    experts: Range | None = _range(default=None)


class MeasuredShares(Stated):
    """What share of its measured pace of short prompts a GPU reaches."""

    share: Range = _range()
    experts: Range = _range()


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
    prompt: ByVectors | None = read_by(_numbers, kind=ByVectors, default=None)
    rows: ByVectors | None = read_by(_numbers, kind=ByVectors, default=None)


class BatchFactors(Stated):
    """How many times as long a token takes as one of a long prompt, where several are computed."""

    processor: Amount = _amount()
    gpu: Amount = _amount()
    gpu_experts: Amount = _amount()
    graph: Amount = _amount()
    graph_experts: Amount = _amount()


class ClassMemory(Stated):
    """GB/s that machines of a class read, for each core and in all."""

    called: str = read_by()
    gb_per_s_of_core: Bounds = read_by(_numbers, kind=Bounds, name="core")
    gb_per_s: Bounds = read_by(_numbers, kind=Bounds, name="all")


class WorkFigures(Stated):
    """Factors of work that is not counted in generated tokens."""

    in_pytorch: Range = _range()
    in_bfloat16: Mapping[str, Range] = read_by(_numbers_by_name, kind=Range)
    rows: Range = _range()
    blocks: Range = _range()
    longer: Mapping[str, Amount] = read_by(_numbers_by_name, kind=Amount)
    step_on_card: Amount = _amount()
    step_on_cores: Amount = _amount()


class DocumentFigures(Stated):
    """Of documents that are turned into vectors."""

    prompt: Range = _range()
    picture: Range = _range()
    met: Amount = _amount()
    least_parameters: int = read_by()
    batch: int = read_by()


class PictureFigures(Stated):
    """Of pictures and clips; `moved_gb_seconds` by how parts move to the GPU."""

    block_seconds: Seconds = _seconds()
    fewest_blocks: int = read_by()
    decoder: Range = _range()
    beside: Seconds = _seconds()
    moved_gb_seconds: Mapping[str, Seconds] = read_by(
        _numbers_by_name, kind=Seconds, name="moved_gb"
    )


class TrainingFigures(Stated):
    """Of training."""

    unpacking: Range = _range()
    unpacked_bytes: float = read_by()
    adapted_layer: Amount = _amount()


class SharesByBits(Stated):
    """What an encoder reaches in 8 bits and in 32."""

    bits_8: Range = _range()
    bits_32: Range = _range()


class SoundFigures(Stated):
    """Of speech and music."""

    wide: SharesByBits = read_by(kind=SharesByBits)
    narrow: SharesByBits = read_by(kind=SharesByBits)
    tokens: Amount = _amount()
    windows: Amount = _amount()
    beams: Amount = _amount()
    beams_on_cores: Amount = _amount()
    beams_by_rows: Amount = _amount()
    beside: Seconds = _seconds()
    beside_gpu: Seconds = _seconds()
    voice_layer: Seconds = _seconds()


class BatchFigures(Stated):
    """Of several sequences at once, and of attention to a prompt."""

    preferred: Amount = _amount()
    attended_on_processor: Range = _range()
    attended_on_gpu: Range = _range()
    sequence_seconds: Seconds = _seconds()


class SplitFigures(Stated):
    """Of layers whose experts lie in RAM."""

    crossing_seconds: Seconds = _seconds()
    slower: float = read_by()


class DraftFigures(Stated):
    """The gain of a pace with a draft."""

    own_block: Range = _range()
    draft_model: Range = _range()


class StepFigures(Stated):
    """Of one step of decoding."""

    attending: Attending = read_by(_numbers, kind=Attending, name="attending_seconds")
    expert: float = read_by()
    layers_of_7b: float = read_by()
    layers_grow: float = read_by()
    layers_ends: Amount = _amount()


class ProcessorFigures(Stated):
    """What a layer takes on a processor beside its weights."""

    layer_core_seconds: float = read_by()
    meeting_seconds: float = read_by()
    thread_seconds: Seconds = _seconds()
    experts_slow: float = read_by()


class PromptFigures(Stated):
    """How prompts are read: on cores, on GPUs, and with weights that cross a link."""

    reached_on_cores: Range = _range()
    experts_on_cores: Range = _range()
    thread_of_core: float = read_by()
    cores_fall: Fall = read_by(_numbers, kind=Fall)
    launched_seconds: Seconds = _seconds()
    most_of_link: float = read_by()
    share_of_link: Range = _range()
    any_link: Range = _range()


class ReadingFigures(Stated):
    """How fast processors read their memory."""

    stated_share: Range = _range()
    class_ends: Bounds = read_by(_numbers, kind=Bounds)
    any_apple: Range = _range()
    any_apple_low: float = read_by()
    guest_share: float = read_by()
    client_peaks: Range = _range()
    unknown_modules: Range = _range()
    across_sockets: SocketShares = read_by(_numbers, kind=SocketShares)


class PaceTables(Stated):
    """The whole file."""

    schema: int = read_by()
    unseen: Bounds = read_by(_numbers, kind=Bounds)
    most_of_peak: float = read_by()
    large_layer: Amount = _amount()
    shared_gpu: SharedGpuMakers = read_by(kind=SharedGpuMakers)
    server_words: tuple[str, ...] = read_by()
    cores: tuple[CoreRow, ...] = read_by(kind=CoreRow, name="core")
    decoding: tuple[DecodingRow, ...] = read_by(kind=DecodingRow, name="decode")
    together: tuple[SumRow, ...] = read_by(kind=SumRow)
    shares: tuple[ShareRow, ...] = read_by(kind=ShareRow, name="share")
    measured_prompt: MeasuredShares = read_by(kind=MeasuredShares)
    types: Mapping[str, TypeRow] = read_by(kind=TypeRow, name="type")
    kinds: Mapping[str, str] = read_by(name="kind")
    token: BatchFactors = read_by(kind=BatchFactors)
    memory: Mapping[str, ClassMemory] = read_by(kind=ClassMemory)
    work: WorkFigures = read_by(kind=WorkFigures)
    documents: DocumentFigures = read_by(kind=DocumentFigures)
    pictures: PictureFigures = read_by(kind=PictureFigures)
    training: TrainingFigures = read_by(kind=TrainingFigures)
    sound: SoundFigures = read_by(kind=SoundFigures)
    batch: BatchFigures = read_by(kind=BatchFigures)
    split: SplitFigures = read_by(kind=SplitFigures)
    draft: DraftFigures = read_by(kind=DraftFigures)
    step: StepFigures = read_by(kind=StepFigures)
    processor: ProcessorFigures = read_by(kind=ProcessorFigures)
    prompt: PromptFigures = read_by(kind=PromptFigures, name="read_prompt")
    reading: ReadingFigures = read_by(kind=ReadingFigures)
    sources: Mapping[str, str] = read_by()

    def type_called(self, name: str) -> TypeRow:
        """The row of a stored type; one without a row counts as F16."""
        return self.types.get(name, self.types["F16"])

    def prompt_share(self, type_name: str) -> ByVectors:
        """What a core computes of a prompt with weights of that type, beside Q4_K."""
        share = self.type_called(type_name).prompt or self.types["F16"].prompt
        assert share is not None, "F16 states its share"
        return share


@cache
def pace_tables() -> PaceTables:
    """The figures, each checked. Raises `SpecError` where the file has others."""
    document = stored_table(shipped_store(), "common/pace")
    tables: PaceTables = document.root.as_record(PaceTables)
    if not document.ok:
        raise SpecError(document.problems)
    return tables
