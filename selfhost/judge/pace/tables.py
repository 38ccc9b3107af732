"""The tables of `specs/common/pace.toml` on which the pace of text rests.

The file says what each figure is and which runs it rests on. `figures` has the kinds of numbers.
`job`, `work` and `media` have the tables of other work.

`pace_tables` returns the tables:

    pace_tables().decoding        # the rows that tell how GPUs decode
    pace_tables().step.attending  # a figure of one step
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, cached_property
from math import inf
from typing import TypeVar

from ...core.errors import SpecError
from ...core.records import FrozenDict, Record, Stated, read_by
from ...core.stored import answering_store
from ...core.tables import TomlTable, stored_table
from ...machine import cpus, gpus
from .figures import (
    Attending,
    Bounds,
    ByVectors,
    CoreScaling,
    Figures,
    SocketShares,
)
from .ranges import Amount, Range, Seconds

R = TypeVar("R", bound=Record)

# a row that rests on fewer devices is a guess
FEWEST_DEVICES = 3
# the name of all types of one to three bits, among the types of a row
FEW_BITS = "few_bits"
# peaks and clocks are rounded
_ROUNDING = 1.01


# ------------------------------------------------------------------ rows for GPUs


class DeviceFacts(Record):
    """The facts of a GPU that rows ask for.

    `flops_of_cycle`: the operations of one NVIDIA multiprocessor in a cycle; infinite where they
    are not known, so that no row with `most_flops` fits.
    """

    vendor: str
    generation: str | None
    unified: bool
    integrated: bool
    less_power: bool
    hbm: bool
    neural: bool
    flops_of_cycle: float
    capability: str | None


class HostComputer(Record):
    """The computer around a GPU: its system, the architecture of its processor, and whether it is a
    virtual machine; None where they do not matter.
    """

    system: str | None = None
    architecture: str | None = None
    is_vm: bool | None = None


UNTOLD_COMPUTER = HostComputer()


def _words(table: TomlTable, key: str) -> tuple[str, ...]:
    """Read one word, or several words."""
    if isinstance(table.values.get(key), str):
        return (table.get(key, "str"),)
    words: tuple[str, ...] = table.get(key, "tuple[str, ...]")
    return words


class DeviceRow(Figures):
    """A row of the file with its conditions on a GPU. The values () and None admit any GPU.

    `devices`: the number of devices on which the row rests.
    """

    vendors: tuple[str, ...] = read_by(_words, name="vendor", default=())
    generations: tuple[str, ...] = read_by(_words, name="generation", default=())
    backend: str | None = None
    systems: tuple[str, ...] = read_by(_words, name="system", default=())
    hosts: tuple[str, ...] = read_by(_words, name="host", default=())
    vm: bool | None = None
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
        backend: str | None = None,
        computer: HostComputer = UNTOLD_COMPUTER,
        work: str = "",
    ) -> bool:
        """Whether the row holds for the GPU, the runtime, the computer and the kind of work."""
        if self.vendors and facts.vendor not in self.vendors:
            return False
        if self.generations and facts.generation not in self.generations:
            return False
        if self.systems and computer.system not in self.systems:
            return False
        if self.hosts and computer.architecture not in self.hosts:
            return False
        if facts.flops_of_cycle > _ROUNDING * self.most_flops:
            return False
        if not gpus.reaches_capability(facts.capability, self.least_capability):
            return False
        return _are_as_wanted(
            (self.vm, computer.is_vm),
            (self.unified, facts.unified),
            (self.integrated, facts.integrated),
            (self.less_power, facts.less_power),
            (self.hbm, facts.hbm),
            (self.neural, facts.neural),
            (self.program, program),
            (self.backend, backend),
            (self.work, work),
        )

    @property
    def basis(self) -> str:
        """The clause that says what the row rests on."""
        if self.devices < FEWEST_DEVICES:
            return "a guess: published runs of fewer than three such GPUs were found"
        return f"fitted on published runs of {self.devices} GPUs"


def _are_as_wanted(*wanted: tuple[object, object]) -> bool:
    """Whether in each pair the second value equals the first, where the first is not None."""
    return all(want is None or value == want for want, value in wanted)


class DecodingRow(DeviceRow):
    """A row of `decode`, which tells how GPUs decode.

    - `share_of_memory`: the share of the peak of the memory at which weights and context are read;
      in the file `share`.
    - `types`: the rates at which weights of some types are read, as shares of that of others, by
      the name of the type; `FEW_BITS` stands for types of one to three bits.
    - `unpacked_per_cycle`: the bytes of packed weights that a multiprocessor unpacks in a cycle.
    - `multiplied_from`: the compute capability from which matrix units multiply weights of a type
      as they are, by its name: nobody unpacks them there.
    - `tile_tokens`: the tokens in whose time matrix units multiply a single token; None where
      reading always takes longer.
    - `layer_us`: what launching a layer takes. `large_layer`: the factor of a layer with experts.
    - `half_layers`: a layer that does half of the work of others is launched as half a layer.
    - `token`: the factor by which a token takes longer than a token of a long prompt, where several
      are computed at once; `token_experts`: the same of a mixture. None: as `TokenFactors` has it.
    - `slow`, `fast`: the ends of the pace as shares of the likely pace.
    """

    called: str
    share_of_memory: float = read_by(name="share")
    types: Mapping[str, Range] = FrozenDict()
    unpacked_per_cycle: float = inf
    multiplied_from: Mapping[str, str] = FrozenDict()
    tile_tokens: Amount | None = None
    layer_us: Amount
    large_layer: Amount | None = None
    half_layers: bool = False
    token: Amount | None = None
    token_experts: Amount | None = None
    slow: float
    fast: float
    runs: int


class SumRow(DeviceRow):
    """The time in which several GPUs add up the parts of a layer, for `least_parts` GPUs or more: a
    row of `together`.

    `link_gb_per_s` is the bandwidth of the card's link for which `sum_gb_per_s` holds; None for
    GPUs that have links of their own.
    """

    least_parts: int = 1
    sum_us: Amount
    sum_gb_per_s: Range = read_by(name="sum_gb_s")
    link_gb_per_s: float | None = read_by(name="link_gb_s", default=None)


class StagedRow(DeviceRow):
    """The bytes a second at which weights in RAM cross to a GPU that does not read them there."""

    per_second: Range


class ShareRow(DeviceRow):
    """A row of `share`: the share of its peak of arithmetic that a GPU reaches.

    Further figures hold for prompts:

    - `experts`: the share on prompts of mixtures, where a runtime was measured so.
    - `per_cycle`: the operations of a multiprocessor in a cycle on packed weights.
    - `plain`: the share on weights in 16 bits, where it differs.
    - `attended`: the rate of attention, as a share of the rate of matrices.
    - `expert_share`: the rate of experts' matrices beside their tiles, as a share of the rate of
      matrices; in the file `expert_matrices`.
    - `in_fp8`: the factor by which matrices in FP8 are faster than in 16 bits, where the runtime
      multiplies in FP8.
    - `in_fp4`: the same of checkpoints in NVFP4.
    """

    share: Range
    experts: Range | None = None
    per_cycle: Range | None = None
    plain: Range | None = None
    attended: Range | None = None
    expert_share: Range = read_by(name="expert_matrices", default=Range.of(1))
    expert_tile_tokens: Amount | None = None
    in_fp8: Range = Range.of(1)
    in_fp4: Range = Range.of(1)
    batch_tokens: int | None = None
    launched_seconds: Seconds | None = None


class SharedGpuMakers(Stated):
    """The makers of GPUs that share the RAM and are used, in lower case."""

    measured_program: tuple[str, ...]
    any_program: tuple[str, ...]


# ------------------------------------------------------------------ rows for processors


class CoreRow(Stated):
    """A row that names the cores of a processor by the processor's facts. The values () and None
    admit any processor.
    """

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
        """Whether the row holds for the processor. `is_assumed`: the processor's instruction sets
        are assumed.
        """
        if not set(self.sets).issubset(sets):
            return False
        return _are_as_wanted(
            (self.architecture, architecture),
            (self.system, system),
            (self.maker, maker),
            (self.assumed, is_assumed),
        )


class TypeRow(Figures):
    """The figures of computing with weights of a stored type; None where a figure was not measured.

    `experts_only`: files have the type for experts alone, on which `prompt` was measured.
    `prompt_on_arm`: the figure in place of `prompt`, on Arm cores with the dot product.
    """

    unpack: float = 1.0
    gb_per_s: float = read_by(name="gb_s")
    unpack_gb_per_s: float | None = read_by(name="unpack_gb_s", default=None)
    prompt: ByVectors | None = None
    experts_only: bool = False
    prompt_on_arm: float | None = None
    rows: ByVectors | None = None


class ClassMemory(Figures):
    """The GB/s that machines of a class read, for each core and in all."""

    called: str
    gb_per_s_of_core: Bounds = read_by(name="core")
    gb_per_s: Bounds = read_by(name="all")


class DecodingShares(Record):
    """The rates at which a kind of processor reads memory and computes, as shares of the measured
    processor's rates.
    """

    memory: Range
    cores: Range


# ------------------------------------------------------------------ tables


class SmallModels(Figures):
    """Models so small that launching a step takes about as long as reading their weights.

    - `parameters`: they read fewer parameters a token.
    - `ends`: the factors of the slow and the fast end of their pace.
    """

    parameters: int
    ends: Bounds


class GeneralFigures(Figures):
    """The figures that stand in the file outside of any table.

    - `unseen`: the ends of a pace that nobody measured, as shares of the pace.
    - `small`: the models whose pace on GPUs has wider ends.
    - `large_layer`: the factor by which a layer with experts takes longer to launch.
      `streams_layer`: the factor of a layer with several residual streams in llama.cpp.
    - `measured_prompt`: the share of its measured rate on short prompts that a GPU reaches.
    - `most_of_peak`: the largest share of a GPU's bandwidth that was seen.
    - `server_words`: the words in a processor's name that mark a server.
    - `kinds`: the kind of decoding of each kind of core.
    """

    unseen: Bounds
    small: SmallModels
    large_layer: Amount
    streams_layer: Amount
    measured_prompt: Range
    most_of_peak: float
    server_words: tuple[str, ...]
    kinds: Mapping[str, str] = read_by(name="kind")


class TokenFactors(Figures):
    """The factors by which a token takes longer than a token of a long prompt, where several are
    computed at once.

    `gpu_experts`: of a mixture whose experts compute full tiles of the prompt.
    `gpu_experts_of_draft`: the same of a draft's tokens, beside a prompt in batches of the usual
    length.
    """

    processor: Amount
    split_experts: Amount
    gpu: Amount
    gpu_experts: Amount
    gpu_experts_of_draft: Amount


class BatchFigures(Figures):
    """The figures of several sequences at once, and of attention to a prompt.

    How evenly tokens choose experts: `preferred` of several texts, `evenness` of one text, and
    `evenness_by_architecture` the same by architecture, where a prompt leaves experts out on a
    GPU. `sequence_seconds`: what a runtime that replays a graph takes for each sequence of a step,
    and `sequence_seconds_by_architecture` the same by architecture, where messages differ.
    `gathered`: the factor by which llama.cpp takes longer to read an expert for `gathered_tokens`
    sequences. `word_seconds`: what its server takes for each word among which it chooses a token.
    """

    preferred: Amount
    evenness: Amount
    evenness_by_architecture: Mapping[str, Amount]
    attended_on_processor: Range
    attended_on_gpu: Range
    sequence_seconds: Seconds
    sequence_seconds_by_architecture: Mapping[str, Seconds]
    gathered: Amount
    gathered_tokens: int
    gathered_from_gb_per_s: float
    word_seconds: Seconds


class SplitFigures(Figures):
    """The figures of layers whose experts lie in RAM."""

    crossing_seconds: Seconds
    beside_seconds: Seconds
    slower: float


class DraftFigures(Figures):
    """The share of proposed tokens that a model accepts where it accepted those before; the factor
    by which a draft takes longer than computed; and the share of the time of a step where nothing
    tells what the draft reads.
    """

    own_block: Range
    draft_model: Range
    slower: Amount
    unknown_share: float


class StepFigures(Figures):
    """The figures of one step of decoding."""

    attending: Attending = read_by(name="attending_seconds")
    state_number_seconds: float
    expert: float
    unpacked_experts: Amount
    layers_of_7b: float
    layers_grow: float
    layers_ends: Amount


class ProcessorFigures(Figures):
    """The time that a layer takes on a processor beside its weights."""

    layer_core_seconds: float
    meeting_seconds: float
    thread_seconds: Seconds
    experts_layer: Amount


class PromptFigures(Figures):
    """The figures of reading prompts: on cores, on GPUs, and with weights that are copied over a
    link.
    """

    reached_on_cores: Range
    experts_on_cores: Range
    thread_of_core: float
    small_core: Range
    cores_fall: CoreScaling
    launched_seconds: Seconds
    expert_tile_tokens: Amount
    most_of_link: float
    share_of_link: float
    any_link: Range


class ReadingFigures(Figures):
    """The figures of how fast processors read their memory."""

    stated_share: Range
    class_ends: Bounds
    any_apple: Range
    any_apple_low: float
    guest_share: float
    client_peaks: Range
    unknown_modules: Range
    most_of_one_module_gib: float
    across_sockets: SocketShares


# ------------------------------------------------------------------ the file


def _table(key: str, kind: type[R]) -> cached_property[R]:
    """Return an attribute that holds the table of that key as a record."""
    return cached_property(lambda tables: tables.record(key, kind))


def _rows(key: str, kind: type[R]) -> cached_property[tuple[R, ...]]:
    """Return an attribute that holds the rows of that key, each as a record."""
    return cached_property(lambda tables: tables.rows(key, kind))


def _by_name(key: str, kind: type[R]) -> cached_property[Mapping[str, R]]:
    """Return an attribute that holds the tables in the table of that key, each as a record."""
    return cached_property(lambda tables: tables.by_name(key, kind))


class PaceTables:
    """The tables of `specs/common/pace.toml`, on which the pace of text rests.

    Each attribute is read when it is first asked for, because one check needs few of them. A fault
    in the file raises `SpecError` then.
    """

    shared_gpu = _table("shared_gpu", SharedGpuMakers)
    cores = _rows("core", CoreRow)
    decoding = _rows("decode", DecodingRow)
    together = _rows("together", SumRow)
    staged = _rows("staged", StagedRow)
    shares = _rows("share", ShareRow)
    token = _table("token", TokenFactors)
    batch = _table("batch", BatchFigures)
    split = _table("split", SplitFigures)
    draft = _table("draft", DraftFigures)
    step = _table("step", StepFigures)
    processor = _table("processor", ProcessorFigures)
    prompt = _table("read_prompt", PromptFigures)
    reading = _table("reading", ReadingFigures)
    types = _by_name("type", TypeRow)
    memory = _by_name("memory", ClassMemory)

    def __init__(self) -> None:
        self._root = stored_table(answering_store(), "common/pace").root

    def record(self, key: str, kind: type[R]) -> R:
        """Return the table of that key as a record."""
        record: R = self._root.get(key, kind.__name__, required=True, kind=kind)
        self._refuse_faults()
        return record

    def rows(self, key: str, kind: type[R]) -> tuple[R, ...]:
        """Return the rows of that key as records."""
        annotation = f"tuple[{kind.__name__}, ...]"
        rows: tuple[R, ...] = self._root.get(key, annotation, required=True, kind=kind)
        self._refuse_faults()
        return rows

    def by_name(self, key: str, kind: type[R]) -> Mapping[str, R]:
        """Return the tables in the table of that key as records, by their names."""
        annotation = f"Mapping[str, {kind.__name__}]"
        named: Mapping[str, R] = self._root.get(
            key, annotation, required=True, kind=kind
        )
        self._refuse_faults()
        return named

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
        """The figures that stand outside of any table."""
        values = self._root.fields(GeneralFigures)
        self._refuse_faults()
        return GeneralFigures(**values)

    def type_called(self, name: str) -> TypeRow:
        """Return the row of a stored type. A type without a row counts as F16."""
        return self.types.get(name, self.types["F16"])

    def prompt_share(self, type_name: str) -> ByVectors:
        """The rate at which a core computes a prompt with weights of the type, as a share of the
        rate with Q4_K.
        """
        share = self.type_called(type_name).prompt or self.type_called("F16").prompt
        assert share is not None, "F16 states its share"
        return share


@cache
def decoding_shares() -> Mapping[str, DecodingShares]:
    """The shares that processors reach in decoding, by their kind."""
    shares = {}
    for row in cpus.decode_rows():
        memory = Range(*row.memory)
        cores = Range(*row.cores)
        shares[row.kind] = DecodingShares(memory=memory, cores=cores)
    return shares


@cache
def pace_tables() -> PaceTables:
    """Return the tables. Raises `SpecError` where the file is missing."""
    return PaceTables()
