"""ModelSpec: one model's published weights; `specs/README.md` says what each key means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core.records import DATE, Record, Stated, read_by, shortened, shown
from ..core.tables import Document, TomlTable, shipped_table
from . import spec_values
from .architecture import Architecture, Sized, read_architecture
from .spec_values import FORMATS, PLAIN_DTYPES

ANSWERS = ("yes", "no", "conditional")
# no model is so small
_LEAST_BYTES = 1000


class Sound(Stated):
    """What making, or writing down, a minute of sound takes."""

    tokens_per_second: float | None = None
    step_parameters: int | None = read_by(minimum=1, default=None)
    step_layers: int | None = read_by(minimum=1, default=None)
    operations_per_second: float | None = None
    card_seconds_low: float | None = None
    card_seconds_high: float | None = None
    processor_seconds_low: float | None = None
    processor_seconds_high: float | None = None


class Denoising(Stated):
    """How a model makes one picture, or one clip of video, of its own size."""

    steps: int = read_by(minimum=1)
    passes: int = read_by(minimum=1)
    step_operations: int = read_by(minimum=1)
    decode_operations: int = read_by(minimum=1)
    blocks: int | None = read_by(minimum=1, default=None)
    step_parameters: int | None = read_by(minimum=1, default=None)
    frames: int | None = read_by(minimum=1, default=None)
    height: int | None = read_by(minimum=1, default=None)
    width: int | None = read_by(minimum=1, default=None)

    @property
    def operations(self) -> float:
        """Of all steps, and of decoding."""
        return float(
            self.steps * self.passes * self.step_operations + self.decode_operations
        )


# behind the name of an architecture's row where a model's file does not tell all tensors
INCOMPLETE = " (incomplete)"
# how the source of a size begins that was read of a file on this disk; its path follows
SIZE_OF = "size of "


class PublishedFiles(Record):
    """Sizes that one publisher states. `named`: somebody typed the file's name, or Ollama's tag
    of it, so that it is published, wherever that is.
    """

    format: str = read_by(choices=FORMATS)
    source: str = read_by(lines=True)
    repository: str | None = read_by(form=spec_values.REPOSITORY, default=None)
    bytes: Mapping[str, int] = read_by(minimum=1, default={})
    unsized: tuple[str, ...] = read_by(default=())
    names: Mapping[str, str] = read_by(default={})
    listed: bool = read_by(default=True)
    named: bool = False

    @property
    def quantizations(self) -> tuple[str, ...]:
        """All that lie there, of stated size or not."""
        return (*self.bytes, *self.unsized)


class PublishedDraft(Stated):
    """A small model that was trained to draft for this one alone. It reads the keys and values that
    this one cached, and keeps none of its own. `parameters`: of all its tensors. `gguf_bytes`: its
    Q8_0 file, which lies in `gguf_repository` beside files of the model.
    """

    repository: str = read_by(form=spec_values.REPOSITORY)
    parameters: int = read_by(minimum=1)
    gguf_repository: str = read_by(form=spec_values.REPOSITORY)
    gguf_bytes: int = read_by(minimum=_LEAST_BYTES)
    source: str = read_by(lines=True)

    @property
    def name(self) -> str:
        """What people call it: its repository without the publisher."""
        return self.repository.partition("/")[2]


class Quantized(Stated):
    """How weights are stored that others quantized; `quantization` is None without a name here."""

    format: str = read_by(choices=("safetensors", "mlx"))
    quantization: str | None = None


class FileTensors(Record):
    """Tensors of one file that are alike, `count` of them, together `bytes`: a block's number in
    their name is `*`. `extra`: of blocks that predict more than one token.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    count: int
    bytes: int
    extra: bool = False


class License(Stated):
    """SPDX expression or `LicenseRef-…`, and what it allows, each one of ANSWERS."""

    id: str | None = None
    url: str | None = read_by(form=spec_values.ADDRESS, default=None)
    commercial_use: str | None = read_by(choices=ANSWERS, default=None)
    modification: str | None = read_by(choices=ANSWERS, default=None)
    redistribution: str | None = read_by(choices=ANSWERS, default=None)
    conditions: tuple[str, ...] = read_by(lines=True, default=())
    duties: tuple[str, ...] = read_by(lines=True, default=())


class Openness(Stated):
    """What was published, each one of OPENNESS."""

    weights: str = read_by(choices=spec_values.OPENNESS, default="unknown")
    inference_code: str = read_by(choices=spec_values.OPENNESS, default="unknown")
    training_code: str = read_by(choices=spec_values.OPENNESS, default="unknown")
    training_data: str = read_by(choices=spec_values.OPENNESS, default="unknown")
    paper: str = read_by(choices=spec_values.OPENNESS, default="unknown")


class Parameters(Sized):
    """Counts in the published checkpoint: tied matrices once, without multi-token-prediction."""

    related = "active at_most total, encoders at_most total"
    total: int | None = read_by(minimum=1, default=None)
    active: int | None = read_by(minimum=1, default=None)
    encoders: int | None = read_by(minimum=1, default=None)
    projector_bytes: int | None = read_by(minimum=1, default=None)
    encoder_type: str | None = read_by(default=None)
    mtp: int | None = read_by(minimum=1, default=None)
    extra_in_files: int | None = read_by(minimum=1, default=None)
    difference: str | None = read_by(lines=True, default=None)


class StatedWay(Sized):
    """What a pipeline takes of a GPU in one type, with its components or layers moved there."""

    related = "low_bytes at_most high_bytes"
    quantization: str = read_by()
    low_bytes: int = read_by(minimum=1)
    high_bytes: int = read_by(minimum=1)
    height: int | None = read_by(minimum=1, default=None)
    width: int | None = read_by(minimum=1, default=None)
    frames: int | None = read_by(minimum=1, default=None)
    is_tiled: bool = read_by(default=False)
    is_chunked: bool = read_by(default=False)
    offload: str = read_by(choices=("model", "sequential"), default="model")
    source: str = read_by(lines=True)


class StatedNeeds(Sized):
    """What somebody states a model takes; `ways` are those that offload the components."""

    related = "low_bytes at_most high_bytes"
    low_bytes: int | None = read_by(minimum=_LEAST_BYTES, default=None)
    high_bytes: int | None = read_by(minimum=_LEAST_BYTES, default=None)
    dtype: str | None = read_by(choices=PLAIN_DTYPES, default=None)
    disk_bytes: int | None = read_by(minimum=_LEAST_BYTES, default=None)
    instruction_sets: tuple[str, ...] = read_by(default=())
    source: str | None = read_by(lines=True, default=None)
    ways: tuple[StatedWay, ...] = read_by(kind=StatedWay, default=())
    heard_seconds: int | None = read_by(minimum=1, default=None)
    second_bytes: int | None = read_by(minimum=1, default=None)
    squared_second_bytes: int | None = read_by(minimum=1, default=None)
    longest_seconds: int | None = read_by(minimum=1, default=None)


class Upkeep(Stated):
    """Whether the model is still the one to take."""

    current: bool | None = None
    superseded_by: str | None = read_by(form=spec_values.ID, default=None)
    note: str | None = read_by(lines=True, default=None)


class Safety(Stated):
    """Which file formats the weights come in, and whether loading runs remote code."""

    formats: tuple[str, ...] = read_by(choices=FORMATS, default=())
    remote_code: bool | None = None


class Availability(Stated):
    """A closed model: why there are no weights, who serves it, and what is nearest."""

    why: str = read_by(lines=True)
    provider: str
    retired: str | None = read_by(form=DATE, default=None)
    successor: str | None = read_by(form=spec_values.ID, default=None)
    free_tier: str | None = read_by(lines=True, default=None)
    fine_tuning: str | None = read_by(lines=True, default=None)
    api: bool = True
    open_alternatives: tuple[str, ...] = read_by(form=spec_values.ID, default=())

    @property
    def sentences(self) -> tuple[str, ...]:
        """Why there are no weights, and what else a reader should know of it."""
        clauses = self.why.split("; ")
        if self.retired:
            clauses.append(f"{self.provider} retired it on {self.retired}")
        if not self.api:
            clauses.append(f"{self.provider} offers no public API for it")
        return tuple(f"{clause[:1].upper()}{clause[1:]}." for clause in clauses)


def _license(root: TomlTable, key: str, kind: type[License]) -> License | None:
    """A table of its own, or the id of a row of specs/common/licenses.toml."""
    id = root.values.get(key)
    if not isinstance(id, str):
        terms: License | None = root.get(key, "License", kind=kind)
        return terms
    rows = shipped_table("licenses")
    if id not in rows:
        otherwise = "state what it allows in [license]"
        remedy = root.document.did_you_mean(id, tuple(rows), otherwise, '"{name}"')
        message = f'"{shortened(id)}" has no row in specs/common/licenses.toml'
        root.problem(key, message, remedy)
        return None
    row = {"id": id, "conditions": (), "duties": (), **rows[id]}
    row["conditions"] = tuple(row["conditions"])
    row["duties"] = tuple(row["duties"])
    return kind(**row)


def _embedding(root: TomlTable, key: str) -> int | None:
    table = root.get(key, "TomlTable")
    if table is None:
        return None
    length: int | None = table.get("length", "int", required=True, minimum=1)
    table.close()
    return length


# the recording that needs were measured with where a spec names none (tests/truth/kinds.json)
HEARD_SECONDS = 30


def _needs(root: TomlTable, key: str, kind: type[StatedNeeds]) -> StatedNeeds | None:
    table: TomlTable | None = root.get(key, "TomlTable")
    if table is None:
        return None
    memory = table.get("memory_bytes", "int", minimum=_LEAST_BYTES)
    needs: StatedNeeds = table.as_record(kind)
    if memory is None:
        return needs
    return needs.replace(low_bytes=memory, high_bytes=memory)


class ModelSpec(Record):
    """One set of published weights (or one closed model), as its spec file states it.

    `origin` is the file it was read from; `overrides` the shipped file that it replaces, if any.
    `tensors` are those of the very GGUF file that it was read from, which no spec file lists, and
    `refused` is the sentence why no program loads that file.
    """

    id: str = read_by(form=spec_values.ID)
    name: str = read_by()
    family: str | None = read_by(default=None)
    developer: str | None = read_by(default=None)
    released: str | None = read_by(form=DATE, default=None)
    modality: str = read_by(choices=spec_values.MODALITIES, default="text")
    uses: tuple[str, ...] | None = read_by(choices=spec_values.USES, default=None)
    inputs: tuple[str, ...] | None = read_by(choices=spec_values.INPUTS, default=None)
    tuned_from: str | None = read_by(form=spec_values.ORIGIN, default=None)
    runtimes: tuple[str, ...] = read_by(form=spec_values.ID, default=())
    aliases: tuple[str, ...] = read_by(form=spec_values.ALIAS, default=())
    repository: str | None = read_by(form=spec_values.REPOSITORY, default=None)
    gated: bool | None = read_by(default=None)
    tokenizer: bool | None = read_by(default=None)
    license: License | None = read_by(_license, kind=License, default=None)
    openness: Openness = read_by(kind=Openness, default=Openness())
    parameters: Parameters = read_by(kind=Parameters, default=Parameters())
    architecture: Architecture | None = read_by(
        read_architecture, kind=Architecture, default=None
    )
    components: Mapping[str, int] = read_by(minimum=1, default={})
    components_dtype: str | None = read_by(choices=PLAIN_DTYPES, default=None)
    native_pixels: int | None = read_by(minimum=1, default=None)
    frames_per_second: int | None = read_by(minimum=1, default=None)
    denoising: Denoising | None = read_by(kind=Denoising, default=None)
    sound: Sound | None = read_by(kind=Sound, default=None)
    embedding_length: int | None = read_by(_embedding, name="embedding", default=None)
    picture_operations: int | None = read_by(minimum=1, default=None)
    files: tuple[PublishedFiles, ...] = read_by(kind=PublishedFiles, default=())
    # by a name of Ollama's library, where the file is not what llama-quantize makes
    tag_bytes: Mapping[str, int] = read_by(minimum=1, default={})
    quantized: Quantized | None = read_by(kind=Quantized, default=None)
    draft: PublishedDraft | None = read_by(kind=PublishedDraft, default=None)
    # a text for each table or key of a spec that it names
    sources: Mapping[str, str] = read_by(lines=True, default={})
    unknown: Mapping[str, str] = read_by(lines=True, default={})
    needs: StatedNeeds | None = read_by(_needs, kind=StatedNeeds, default=None)
    upkeep: Upkeep = read_by(kind=Upkeep, default=Upkeep())
    safety: Safety = read_by(kind=Safety, default=Safety())
    availability: Availability | None = read_by(kind=Availability, default=None)
    tensors: tuple[FileTensors, ...] = ()
    refused: str | None = None
    origin: str = ""
    overrides: str | None = None

    @property
    def library_tag(self) -> str | None:
        """The first name that Ollama's library has for it; None where the spec states none."""
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
        """In whole or in part; None where it is not known."""
        if self.openness.weights == "unknown":
            return None
        return not self.closed

    @property
    def lone_config(self) -> str | None:
        """The config.json, without its weights, that it was read from or made of; else None."""
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
        """All of them; None where not known."""
        return self.parameters.total

    @property
    def parameters_active(self) -> int | None:
        """Those that one token takes; None where not known."""
        return self.parameters.active

    def repository_of(self, format: str | None, quantization: str | None) -> str | None:
        """Where files of that quantization lie; None where this catalogue knows of none."""
        files = self.files_of(format, quantization)
        if files is None:
            return None
        return files.repository

    @property
    def conversions_page(self) -> str:
        """Where Hugging Face lists what was made of the published weights; "" where not known."""
        if not self.repository:
            return ""
        page = "https://huggingface.co/models?other=base_model:quantized:"
        return f"{page}{self.repository}"

    def files_of(
        self, format: str | None, quantization: str | None
    ) -> PublishedFiles | None:
        """The first that hold that quantization; listed ones, then those of a typed name."""
        wanted = (quantization or "").lower()
        holding = []
        for files in self.files:
            names = [name.lower() for name in files.quantizations]
            if files.format == format and wanted in names:
                holding.append(files)
        # of two listings the first stands
        return min(holding, key=_rank_of_files, default=None)


def _rank_of_files(files: PublishedFiles) -> int:
    """The lower, the better is it known where the files lie: a listing, a typed name, neither."""
    if files.listed and files.repository:
        return 0
    return 1 if files.named else 2


def read_spec_file(path: str) -> Document:
    """The file of a spec, with `<id>.sources.toml` beside it."""
    document = Document.read(path)
    sources_path = path.removesuffix(".toml") + spec_values.SOURCES_ENDING
    if not document.ok or not os.path.exists(sources_path):
        return document
    if "sources" in document.values:
        message = f"is stated here and in {shown(sources_path)}"
        document.add(("sources",), message, "keep one of them")
        return document
    sources = Document.read(sources_path)
    if not sources.ok:
        return sources
    document.parts["sources"] = sources
    document.values = {**document.values, "sources": sources.values}
    document.root.values = document.values
    return document


def stated_spec(document: Document, origin: str) -> ModelSpec | None:
    """The spec that `document` states; where that has faults, what is right in it. None where it is
    no TOML or of another schema.
    """
    root = document.root
    if not document.ok:
        return None
    number = root.get("schema", "int")
    if number not in (None, spec_values.SCHEMA):
        schema = spec_values.SCHEMA
        message = f"is {number:,}, but this selfhost reads schema {schema} only"
        remedy = "update selfhost, or write the file in schema 1"
        root.problem("schema", message, remedy)
        return None
    values = root.fields(ModelSpec)
    root.close()
    _fill_in(values, root.values)
    return ModelSpec(**values, origin=origin)


def _fill_in(values: dict[str, Any], stated: Mapping[str, Any]) -> None:
    """Fill in what a file does not repeat. `stated`: what the file has."""
    # a dense model uses all its parameters
    counts = values["parameters"]
    model = values["architecture"]
    is_dense = model is not None and model.feed_forward and not model.has_experts
    is_untold = "parameters.active" in values["unknown"]
    if is_dense and counts.active is None and not is_untold:
        values["parameters"] = counts.replace(active=counts.total)
    # a repository holds weights
    openness = stated.get("openness")
    states_weights = isinstance(openness, dict) and "weights" in openness
    if values["repository"] and not states_weights:
        values["openness"] = values["openness"].replace(weights="published")
    # whoever publishes a model publishes a tokenizer with it
    if "tokenizer" in values["unknown"]:
        values["tokenizer"] = None
    elif values["tokenizer"] is None:
        values["tokenizer"] = True
