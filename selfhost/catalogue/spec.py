"""ModelSpec: one model's published weights; `schemas/spec-1.json` says what each key means."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.links import exists
from ..core.records import (
    DATE,
    Record,
    ShownRecord,
    Stated,
    Values,
    read_by,
    shortened,
    shown,
)
from ..core.tables import (
    Document,
    TomlRow,
    TomlTable,
    row_names,
    shipped_record,
)
from .architecture import Architecture, Sized, read_architecture
from .spec_values import (
    ADDRESS,
    ALIAS,
    FORMATS,
    GENERATING,
    ID,
    INPUTS,
    MODALITIES,
    OPENNESS,
    ORIGIN,
    PLAIN_DTYPES,
    REPOSITORY,
    SCHEMA,
    SOURCES_ENDING,
    USES,
    account_of,
    gguf_name,
)

ANSWERS = ("yes", "no", "conditional")
# the smallest file size that is accepted
_LEAST_BYTES = 1000

# kinds of fields in a file: an optional count, a required count, a sentence
_COUNT = read_by(minimum=1, default=None)
_REQUIRED_COUNT = read_by(minimum=1)
_SIZES_BY_NAME = read_by(minimum=1, default={})
_BYTES = read_by(minimum=_LEAST_BYTES, default=None)
_SENTENCE = read_by(lines=True, default=None)
_SENTENCES = read_by(lines=True, default=())
_TEXTS_BY_KEY = read_by(lines=True, default={})
_SOURCE = read_by(lines=True)
_REPOSITORY = read_by(form=REPOSITORY, default=None)
_REQUIRED_REPOSITORY = read_by(form=REPOSITORY)
_MODEL = read_by(form=ID, default=None)
_MODELS = read_by(form=ID, default=())
_DATE = read_by(form=DATE, default=None)
_ANSWER = read_by(choices=ANSWERS, default=None)
_PUBLISHED = read_by(choices=OPENNESS, default="unknown")
_PLAIN_DTYPE = read_by(choices=PLAIN_DTYPES, default=None)
_STATED_OR_NONE = read_by(default=None)
_FLAG = read_by(default=False)


class Sound(Stated):
    """The work of making, or transcribing, a minute of sound."""

    tokens_per_second: float | None = None
    step_parameters: int | None = _COUNT
    step_layers: int | None = _COUNT
    operations_per_second: float | None = None
    card_seconds_low: float | None = None
    card_seconds_high: float | None = None
    processor_seconds_low: float | None = None
    processor_seconds_high: float | None = None


class Denoising(Stated):
    """The work of making one picture, or one clip of video, of the model's own size."""

    steps: int = _REQUIRED_COUNT
    passes: int = _REQUIRED_COUNT
    step_operations: int = _REQUIRED_COUNT
    decode_operations: int = _REQUIRED_COUNT
    blocks: int | None = _COUNT
    step_parameters: int | None = _COUNT
    frames: int | None = _COUNT
    height: int | None = _COUNT
    width: int | None = _COUNT

    @property
    def operations(self) -> float:
        """The number of operations of all steps and of decoding."""
        of_steps = self.steps * self.passes * self.step_operations
        return float(of_steps + self.decode_operations)


# the suffix of an architecture's row where the model's file does not show all tensors
INCOMPLETE = " (incomplete)"
# the beginning of the source of a size that was read from a local file; the path follows
SIZE_OF = "size of "


class PublishedFiles(Record):
    """The files of one publisher, with their stated sizes. `named`: somebody typed the file's name,
    or Ollama's tag of it, so the file is published, wherever that is. `typed`: somebody typed the
    repository, so these files are meant and no other publisher's.
    """

    format: str = read_by(choices=FORMATS)
    source: str = _SOURCE
    repository: str | None = _REPOSITORY
    bytes: Mapping[str, int] = _SIZES_BY_NAME
    unsized: tuple[str, ...] = read_by(default=())
    names: Mapping[str, str] = read_by(default={})
    listed: bool = read_by(default=True)
    named: bool = False
    typed: bool = False

    @property
    def quantizations(self) -> tuple[str, ...]:
        """The quantizations of all files in the repository, whether their size is stated or not."""
        return (*self.bytes, *self.unsized)

    @property
    def owner(self) -> str:
        """The account that publishes the files, in lower case; "" where not known."""
        return account_of(self.repository).lower()

    def holds(self, quantization: str) -> bool:
        """Whether the repository holds a file of that quantization, however its name is spelt."""
        return gguf_name(quantization) in map(gguf_name, self.quantizations)


class PublishedDraft(Stated):
    """A small model that was trained to draft for one other model alone.

    The draft reads the keys and values that the other model cached, and keeps none of its own.
    `parameters`: of all its tensors. `gguf_bytes`: the size of its Q8_0 file, which lies in
    `gguf_repository` beside files of the other model.
    """

    repository: str = _REQUIRED_REPOSITORY
    parameters: int = _REQUIRED_COUNT
    gguf_repository: str = _REQUIRED_REPOSITORY
    gguf_bytes: int = read_by(minimum=_LEAST_BYTES)
    source: str = _SOURCE

    @property
    def name(self) -> str:
        """The usual name of the draft: its repository without the publisher."""
        return self.repository.partition("/")[2]


# uses of embedding models whose input is a picture: the text beside it is a caption
_PICTURE_USES = ("image-encoder", "image-text-matching")


class Quantized(Stated):
    """The quantization in which others stored the weights; `quantization` is None where it has no
    name here.
    """

    format: str = read_by(choices=("safetensors", "mlx"))
    quantization: str | None = None


class FileTensors(Record):
    """Equal tensors of one file: `count` of them, with `bytes` together. In their name `*` stands
    for the number of a block. `extra`: tensors of multi-token-prediction blocks.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    count: int
    bytes: int
    extra: bool = False


class License(Stated):
    """A license: an SPDX expression or `LicenseRef-…`, and whether it allows commercial use,
    modification and redistribution, each one of ANSWERS.
    """

    id: str | None = None
    url: str | None = read_by(form=ADDRESS, default=None)
    commercial_use: str | None = _ANSWER
    modification: str | None = _ANSWER
    redistribution: str | None = _ANSWER
    conditions: tuple[str, ...] = _SENTENCES
    duties: tuple[str, ...] = _SENTENCES


class Openness(Stated):
    """The openness of each part of a model: published, partial, closed or unknown, as OPENNESS
    lists them.
    """

    weights: str = _PUBLISHED
    inference_code: str = _PUBLISHED
    training_code: str = _PUBLISHED
    training_data: str = _PUBLISHED
    paper: str = _PUBLISHED


class Parameters(Sized):
    """The numbers of parameters in the published weights: tied matrices count once, and
    multi-token-prediction blocks do not count.

    - `active`: the parameters that one token uses.
    - `mtp`: the parameters of the multi-token-prediction blocks.
    - `extra_in_files`: parameters of local files that config.json does not describe.
    - `difference`: why the count of local files is not the count that config.json tells.
    """

    related = "active at_most total, encoders at_most total"
    total: int | None = _COUNT
    active: int | None = _COUNT
    encoders: int | None = _COUNT
    projector_bytes: int | None = _COUNT
    encoder_type: str | None = _STATED_OR_NONE
    mtp: int | None = _COUNT
    extra_in_files: int | None = _COUNT
    difference: str | None = _SENTENCE

    @property
    def in_encoders(self) -> int:
        """The known parameters of encoders; 0 where there are none, or where nobody tells."""
        return self.encoders or 0

    @property
    def in_blocks(self) -> int:
        """The known parameters of multi-token-prediction blocks; 0 without such blocks."""
        return self.mtp or 0


class StatedWay(Sized):
    """The stated GPU memory of a pipeline in one type, with its components or layers moved to the
    GPU in turn.
    """

    related = "low_bytes at_most high_bytes"
    quantization: str = read_by()
    low_bytes: int = _REQUIRED_COUNT
    high_bytes: int = _REQUIRED_COUNT
    height: int | None = _COUNT
    width: int | None = _COUNT
    frames: int | None = _COUNT
    is_tiled: bool = _FLAG
    is_chunked: bool = _FLAG
    offload: str = read_by(choices=("model", "sequential"), default="model")
    source: str = _SOURCE


class StatedNeeds(Sized):
    """The memory and disk space that somebody states for a model; `ways` are the ways of offloading
    its components. `high_size`: width, height and frames for which `high_bytes` are stated, where
    these are not the model's own.
    """

    related = "low_bytes at_most high_bytes"
    low_bytes: int | None = _BYTES
    high_bytes: int | None = _BYTES
    high_size: tuple[int, ...] = read_by(minimum=1, default=())
    dtype: str | None = _PLAIN_DTYPE
    disk_bytes: int | None = _BYTES
    instruction_sets: tuple[str, ...] = read_by(default=())
    source: str | None = _SENTENCE
    ways: tuple[StatedWay, ...] = read_by(default=())
    heard_seconds: int | None = _COUNT
    second_bytes: int | None = _COUNT
    squared_second_bytes: int | None = _COUNT
    longest_seconds: int | None = _COUNT


class Upkeep(Stated):
    """Whether the model is still current, or superseded by another."""

    current: bool | None = None
    superseded_by: str | None = _MODEL
    note: str | None = _SENTENCE


class Safety(Stated):
    """The file formats of the weights, and whether loading them runs remote code.

    `remote_code` is about the publisher's files (`trust_remote_code`); None: not known. A GGUF or
    ggml file of the same model holds no code: `runs_code` (`judge/checks/model.py`) answers for a
    question.
    """

    formats: tuple[str, ...] = read_by(choices=FORMATS, default=())
    remote_code: bool | None = None


class Availability(Stated):
    """The facts on a closed model: why there are no weights, who serves it, and the nearest
    alternatives.
    """

    why: str = _SOURCE
    provider: str
    retired: str | None = _DATE
    successor: str | None = _MODEL
    free_tier: str | None = _SENTENCE
    fine_tuning: str | None = _SENTENCE
    api: bool = True
    open_alternatives: tuple[str, ...] = _MODELS

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences that say why there are no weights, and what else a reader should know of the
        model.
        """
        clauses = self.why.split("; ")
        if self.retired:
            clauses.append(f"{self.provider} retired it on {self.retired}")
        if not self.api:
            clauses.append(f"{self.provider} offers no public API for it")
        return tuple(self._sentence(clause) for clause in clauses)

    def _sentence(self, clause: str) -> str:
        """The clause with a capital and a full stop; a provider's name stays as it is, `xAI`."""
        if clause.startswith(self.provider):
            return f"{clause}."
        return f"{clause[:1].upper()}{clause[1:]}."


def _license(root: TomlTable, key: str) -> License | None:
    """The license that a spec states: a table of its own, or the id of a row of
    specs/common/licenses.toml.
    """
    id = root.values.get(key)
    if not isinstance(id, str):
        terms: License | None = root.get(key, "License", kind=License)
        return terms
    known = row_names("licenses")
    if id in known:
        row = shipped_record(License, "licenses", id)
        return row.replace(id=id)
    remedy = root.document.did_you_mean(
        id, known, "state what it allows in [license]", '"{name}"'
    )
    root.problem(
        key, f'"{shortened(id)}" has no row in specs/common/licenses.toml', remedy
    )
    return None


def _embedding(root: TomlTable, key: str) -> int | None:
    """The length of the vectors that an embedding model makes, the only key of its table."""
    table: TomlTable | None = root.get(key, "TomlTable")
    if table is None:
        return None
    length: int | None = table.get("length", "int", required=True, minimum=1)
    table.close()
    return length


# seconds of the recording with which the needs were measured (tests/truth/kinds.json), unless a
# spec states another
HEARD_SECONDS = 30


def _needs(root: TomlTable, key: str) -> StatedNeeds | None:
    """The stated needs. The key `memory_bytes` stands for equal `low_bytes` and `high_bytes`."""
    table: TomlTable | None = root.get(key, "TomlTable")
    if table is None:
        return None
    memory = table.get("memory_bytes", "int", minimum=_LEAST_BYTES)
    needs = table.as_record(StatedNeeds)
    if memory is None:
        return needs
    return needs.replace(low_bytes=memory, high_bytes=memory)


class ModelSpec(ShownRecord):
    """A set of published weights (or a closed model), as its spec file states it.

    - `origin`: the file that the spec was read from.
    - `overrides`: the shipped file that it replaces, if any.
    - `tensors`: the tensors of the very GGUF file that the spec was read from; no spec file
      lists them.
    - `refused`: the sentence why no program loads that file.
    """

    id: str = read_by(form=ID)
    name: str = read_by()
    family: str | None = _STATED_OR_NONE
    developer: str | None = _STATED_OR_NONE
    released: str | None = _DATE
    modality: str = read_by(choices=MODALITIES, default="text")
    uses: tuple[str, ...] | None = read_by(choices=USES, default=None)
    inputs: tuple[str, ...] | None = read_by(choices=INPUTS, default=None)
    tuned_from: str | None = read_by(form=ORIGIN, default=None)
    runtimes: tuple[str, ...] = _MODELS
    aliases: tuple[str, ...] = read_by(form=ALIAS, default=())
    library_systems: tuple[str, ...] = read_by(default=())
    repository: str | None = _REPOSITORY
    gated: bool | None = _STATED_OR_NONE
    tokenizer: bool | None = _STATED_OR_NONE
    license: License | None = read_by(_license, default=None)
    openness: Openness = read_by(default=Openness())
    parameters: Parameters = read_by(default=Parameters())
    architecture: Architecture | None = read_by(read_architecture, default=None)
    components: Mapping[str, int] = _SIZES_BY_NAME
    components_dtype: str | None = _PLAIN_DTYPE
    native_pixels: int | None = _COUNT
    frames_per_second: int | None = _COUNT
    denoising: Denoising | None = read_by(default=None)
    sound: Sound | None = read_by(default=None)
    embedding_length: int | None = read_by(_embedding, name="embedding", default=None)
    picture_operations: int | None = _COUNT
    files: tuple[PublishedFiles, ...] = read_by(default=())
    # keys: names in Ollama's library whose file was not made with llama-quantize's recipe
    tag_bytes: Mapping[str, int] = _SIZES_BY_NAME
    quantized: Quantized | None = read_by(default=None)
    draft: PublishedDraft | None = read_by(default=None)
    # the source of each table or key of a spec
    sources: Mapping[str, str] = _TEXTS_BY_KEY
    unknown: Mapping[str, str] = _TEXTS_BY_KEY
    needs: StatedNeeds | None = read_by(_needs, default=None)
    upkeep: Upkeep = read_by(default=Upkeep())
    safety: Safety = read_by(default=Safety())
    availability: Availability | None = read_by(default=None)
    tensors: tuple[FileTensors, ...] = ()
    refused: str | None = None
    origin: str = ""
    overrides: str | None = None

    @property
    def library_tag(self) -> str | None:
        """The first tag that the spec states for the model in Ollama's library; None where it
        states none, or where the library has the model for some systems alone.
        """
        if self.library_systems:
            return None
        for alias in self.aliases:
            if ":" in alias:
                return alias
        return None

    @property
    def closed(self) -> bool:
        """True for a model whose weights were never published."""
        return self.openness.weights == "closed"

    @property
    def weights_published(self) -> bool | None:
        """Whether the weights were published, in whole or in part; None where not known."""
        if self.openness.weights == "unknown":
            return None
        return not self.closed

    @property
    def lone_config(self) -> str | None:
        """The path of the config.json without weights from which the spec was read or made; None
        for any other spec.
        """
        if self.openness.weights != "unknown":
            return None
        path = self.origin
        if path.endswith(".toml") and not self.files:
            path = self.sources.get("architecture") or path
        if path.endswith(".json") and "://" not in path:
            return path
        return None

    @property
    def parameters_total(self) -> int | None:
        """The number of all parameters; None where not known."""
        return self.parameters.total

    @property
    def parameters_active(self) -> int | None:
        """The number of parameters that one token uses; None where not known."""
        return self.parameters.active

    @property
    def writes_text(self) -> bool:
        """Whether the model writes text, from text alone or from pictures too."""
        return self.modality in GENERATING

    @property
    def states_needs_only(self) -> bool:
        """Whether the spec states what the model takes, and nothing from which needs are
        counted: no layers, no components and no files.
        """
        if self.needs is None or self.architecture is not None:
            return False
        return not self.files and not self.components

    @property
    def has_repository(self) -> bool:
        """Whether a repository is known that has files of the model."""
        if self.repository:
            return True
        return any(files.repository for files in self.files)

    @property
    def reads_context(self) -> bool:
        """Whether a context applies to the model: to models that write text, to embedding models
        of text, and to models that read a text beside a recording.
        """
        if self.modality == "speech":
            # speech recognition takes text as a prompt beside the recording; speech synthesis only
            # reads text aloud
            if self.main_use == "speech-synthesis":
                return False
            return {"audio", "text"}.issubset(self.inputs or ())
        if self.modality == "embedding":
            return self.main_use not in _PICTURE_USES
        return self.writes_text

    @property
    def is_dense(self) -> bool:
        """Whether the layers of the model are known, and none has experts."""
        model = self.architecture
        if model is None or not model.feed_forward:
            return False
        return not model.has_experts

    @property
    def main_use(self) -> str:
        """The first use that the spec states; "" where it states none."""
        return self.uses[0] if self.uses else ""

    def has_use(self, use: str) -> bool:
        """Whether a source states the use; False where no source states any."""
        return self.uses is not None and use in self.uses

    def is_makers(self, files: PublishedFiles) -> bool:
        """Whether the files are in an account of the model's own publisher."""
        account = account_of(self.repository)
        return files.owner != "" and files.owner == account.lower()

    def repository_of(self, format: str | None, quantization: str | None) -> str | None:
        """The repository of the files of a quantization; None where this catalogue knows of
        none.
        """
        files = self.files_of(format, quantization)
        return None if files is None else files.repository

    @property
    def conversions_page(self) -> str:
        """The page of Hugging Face that lists conversions of the published weights; "" where not
        known.
        """
        if not self.repository:
            return ""
        page = "https://huggingface.co/models?other=base_model:quantized:"
        return f"{page}{self.repository}"

    def files_of(
        self,
        format: str | None,
        quantization: str | None,
    ) -> PublishedFiles | None:
        """The first files that hold that quantization: files of a typed repository come before
        listed files, these before files whose name was typed, and these before all others. None
        where no files hold it.
        """
        wanted = quantization or ""
        holding = []
        for files in self.files:
            if files.format == format and files.holds(wanted):
                holding.append(files)
        # `min` keeps the first of two listings
        return min(holding, key=_rank_of_files, default=None)


def _rank_of_files(files: PublishedFiles) -> int:
    """A rank of how well the place of files is known, the lower the better: a typed repository, a
    listing, a typed name, neither.
    """
    if files.typed:
        return 0
    if files.listed and files.repository:
        return 1
    return 2 if files.named else 3


# reading the file of a spec


def read_spec_file(path: str) -> Document:
    """The document of a spec file, with the sources in `<id>.sources.toml` beside it."""
    document = Document.read(path)
    sources_path = path.removesuffix(".toml") + SOURCES_ENDING
    if not document.ok or not exists(sources_path):
        return document
    if "sources" in document.values:
        document.add(
            ("sources",),
            f"is stated here and in {shown(sources_path)}",
            "keep one of them",
        )
        return document
    sources = Document.read(sources_path)
    if not sources.ok:
        return sources
    document.files_beside["sources"] = sources
    document.values = {**document.values, "sources": sources.values}
    document.root.values = document.values
    return document


def stated_spec(document: Document, origin: str) -> ModelSpec | None:
    """The spec that `document` states; where the document has faults, only the right values. None
    where it is no TOML or of another schema.
    """
    root = document.root
    if not document.ok:
        return None
    schema = root.get("schema", "int")
    if schema not in (None, SCHEMA):
        known = SCHEMA
        root.problem(
            "schema",
            f"is {schema:,}, but this selfhost reads schema {known} only",
            "update selfhost, or write the file in schema 1",
        )
        return None
    values = root.fields(ModelSpec)
    root.close()
    # values that follow from other values of the file
    values["parameters"] = _all_parameters(values)
    values["openness"] = _openness(values, root.values)
    if "tokenizer" in values["unknown"]:
        values["tokenizer"] = None
    elif values["tokenizer"] is None:
        # whoever publishes a model publishes a tokenizer with it
        values["tokenizer"] = True
    return ModelSpec(**values, origin=origin)


def _all_parameters(values: Values) -> Parameters:
    """The parameter counts of a spec. A dense model uses all its parameters."""
    counts: Parameters = values["parameters"]
    model: Architecture | None = values["architecture"]
    if counts.active is not None or "parameters.active" in values["unknown"]:
        return counts
    if model is None or not model.feed_forward or model.has_experts:
        return counts
    return counts.replace(active=counts.total)


def _openness(values: Values, stated: TomlRow) -> Openness:
    """The openness of a model's parts. A repository counts as published weights, unless the file
    says otherwise.
    """
    openness: Openness = values["openness"]
    table = stated.get("openness")
    states_weights = isinstance(table, dict) and "weights" in table
    if states_weights or not values["repository"]:
        return openness
    return openness.replace(weights="published")
