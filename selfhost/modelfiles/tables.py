"""`model_files.toml` and `architectures.toml` of specs/common as typed records: the contents of
model files, the sentences about them, and the facts that llama.cpp states. The comments of the
files explain their keys.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec_rules import LayerKeys, SpecRule
from ..core.records import Stated
from ..core.tables import shipped_record


class OtherFile(Stated):
    """The message and the remedy for a file that is not a model."""

    message: str
    remedy: str


class FileByStart(OtherFile):
    """The message and the remedy for files that begin with one of these byte sequences, in
    hexadecimal digits.
    """

    begins: tuple[str, ...]


class FileByEnding(OtherFile):
    """The message and the remedy for files whose names have an ending; "" stands for every name."""

    ending: str = ""


class StateRule(Stated):
    """The rule by which the header of a GGUF file states a recurrent state.

    - `tensors`: the tensors by which a layer is known to keep the state.
    - `keys`: the key of each size.
    - `ranks`: the keys of the ranks of small matrices.
    """

    tensors: tuple[str, ...]
    keys: Mapping[str, str]
    ranks: tuple[str, ...] = ()


class GgufTable(Stated):
    """The names and numbers of GGUF files. Ids of types are texts, because TOML has no other keys.

    `retired`: by id, the name of the type and its replacement. `blocks`: the elements and the bytes
    of one block.
    """

    not_a_model: Mapping[str, OtherFile]
    types: Mapping[str, str]
    blocks: Mapping[str, tuple[int, ...]]
    retired: Mapping[str, tuple[str, ...]]
    file_types: Mapping[str, str]
    fallbacks: Mapping[str, str]
    required: tuple[str, ...]
    tokenizers: tuple[str, ...]
    rotates_whole_heads: tuple[str, ...]
    attending: Mapping[str, tuple[str, ...]]
    indexing: tuple[str, ...]
    compressed: Mapping[str, str]
    latent: Mapping[str, str]
    latent_heads: Mapping[str, str]
    indexer: Mapping[str, str]
    other_states: tuple[str, ...]
    optional: tuple[str, ...]
    instead: tuple[str, ...]
    two_names: Mapping[str, str]
    states: Mapping[str, StateRule]


class SafetensorsTable(Stated):
    """The names of safetensors files.

    - `bits`: the bits of each dtype.
    - `dtypes`: the dtypes in the words of a spec.
    - `not_the_model`: the beginnings of names of files that are not the model's weights.
    """

    bits: Mapping[str, int]
    dtypes: Mapping[str, str]
    not_the_model: tuple[str, ...]


class LayoutRule(Stated):
    """The key of a `quantization_config` that tells the layout, and the layout by its value."""

    key: str
    names: Mapping[str, str]


class QuantizationTable(Stated):
    """The contents that a `quantization_config` may have."""

    left_out: tuple[str, ...]
    own_types: tuple[str, ...]
    of_linear: Mapping[str, str]
    auto_round_packing: Mapping[str, str]
    experts_alone: str
    outside_blocks: str
    layouts: Mapping[str, LayoutRule]


class ModelFilesTable(Stated):
    """The whole file. The texts of `faults` and `spec_faults` are a message and its remedy."""

    schema: int
    as_of: str
    # `catalogue.spec_rules` applies the next two tables
    spec_rules: tuple[SpecRule, ...]
    layer_keys: LayerKeys
    licenses: tuple[str, ...]
    torch_types: Mapping[str, str]
    tokenizers: tuple[str, ...]
    # `cli.inputs` protects files with these endings or names in the folder of a model
    stored_endings: tuple[str, ...]
    stored_names: tuple[str, ...]
    faults: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, str]
    spec_faults: Mapping[str, tuple[str, ...]]
    spec_bases: Mapping[str, tuple[str, ...]]
    never_stated: Mapping[str, str]
    undescribed: Mapping[str, str]
    not_a_model: tuple[FileByStart, ...]
    named: tuple[FileByEnding, ...]
    gguf: GgufTable
    safetensors: SafetensorsTable
    quantization_config: QuantizationTable


def model_files() -> ModelFilesTable:
    """The table. Raises `SpecError` with each fault of the file."""
    return shipped_record(ModelFilesTable, "model_files")
