"""From a Hugging Face `config.json` to a `ModelSpec`: the shape of a model, without its weights.

What goes in: the path of the file. What comes out: a `LocalModel`. `config_keys` has the meaning of
its keys, `config_weights` the storage of its weights, `config_layers` its layers. If a key that
matters to the cache or to the weights is not understood, that part of the spec stays empty, and
`unknown` says why.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture
from ..catalogue.spec import ModelSpec, Parameters, Quantized, Safety
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.records import shown
from ..needs.tensors import (
    UNKNOWN_ROW,
    architectures,
    block_tensors,
    count_parameters,
    parameter_counts,
    row_of,
)
from .config_keys import MAX_CONFIG_BYTES, TABLES, Keys
from .config_layers import architecture_of, deepstack_layers
from .config_weights import Stored, stored_of
from .sizes import MAX_NUMBER, Unclear
from .source import (
    MAX_PARAMETERS,
    JsonKind,
    JsonValues,
    LocalModel,
    Notes,
    clean,
    read_json,
    reason,
    refuse,
    sibling,
    spec_of,
    table_of,
)
from .tables import model_files

_CONFIG = JsonKind(what="config.json", most_bytes=MAX_CONFIG_BYTES)
# the file in which NVIDIA's exporter writes what other quantizers write into config.json
_EXPORTED = JsonKind(what="hf_quant_config.json", most_bytes=MAX_CONFIG_BYTES)
# the sizes on which the size of a model depends most
_SIZES = ("width", "layers", "heads", "length", "vocabulary")
# types in which publishers store weights
_PUBLISHED = ("float8", "mxfp4", "ternary")


def read_config(path: str) -> LocalModel:
    """The model that a config.json describes, without its weights. Raises `SpecError`."""
    keys = Keys(path, _values_of(path))
    stored = stored_of(keys)
    if stored.why is not None:
        keys.unknown["architecture.matrix_dtype"] = stored.why
    architecture = None
    try:
        architecture = architecture_of(keys, stored)
    except Unclear as why:
        keys.unknown["architecture"] = str(keys.all_faults(why))
    language = _parameters(keys, architecture)
    counts = language
    hears = isinstance(keys.outer.get("audio_config"), dict)
    if keys.sees or hears:
        text_width = architecture.embedding_length if architecture else 0
        counts = _with_encoders(keys, language, text_width)
    if counts.total is None:
        keys.unknown.setdefault(
            "parameters.total", "it does not follow from config.json alone"
        )
    return LocalModel(
        spec=_spec(keys, stored, architecture, counts),
        format=stored.format,
        quantization=stored.name,
        notes=_notes(keys, stored, counts),
        is_quantized=stored.quantized,
        language_parameters=language.total,
    )


def _notes(
    keys: Keys,
    stored: Stored,
    counts: Parameters,
) -> Notes:
    """The sentences about odd weights, about sizes that the file leaves out, and about estimated
    encoders.
    """
    notes = []
    left_out = _sizes_of_class(keys)
    if left_out:
        notes.append(reason("class-defaults", sizes=left_out))
    if stored.note is not None:
        notes.append(stored.note)
    if counts.encoders:
        notes.append(reason("encoders", millions=round(counts.encoders / 1e6)))
    return tuple(notes)


def _sizes_of_class(keys: Keys) -> list[str]:
    """The sizes that the file leaves out and transformers fills in: `hidden_size 4096`."""
    sizes = []
    for size in _SIZES:
        name = keys.stated(size)
        value = keys.values.get(name)
        if value is not None and name not in keys.written:
            sizes.append(f"{name} {value}")
    return sizes


def _values_of(path: str) -> object:
    """The values of the file, with the quantization that NVIDIA's exporter wrote beside it."""
    values = read_json(path, _CONFIG)
    exported = sibling(path, _EXPORTED.what)
    if exported is None or not isinstance(values, dict):
        return values
    if values.get("quantization_config"):
        return values
    export = table_of(read_json(exported, _EXPORTED))
    stated = table_of(export.get("quantization"))
    quantization = {"quant_method": "modelopt", **stated}
    return {**values, "quantization_config": quantization}


def _spec(
    keys: Keys,
    stored: Stored,
    architecture: Architecture | None,
    counts: Parameters,
) -> ModelSpec:
    """The spec of the model that the keys describe, with these counts of parameters."""
    file = shown(keys.path)
    sources = {"architecture": file}
    if counts.total or counts.mtp:
        sources["parameters"] = "sum over the architecture"
    if counts.encoders:
        sources |= {
            "parameters.encoders": "estimated from the widths and layers of config.json",
            "parameters.projector_bytes": "2 bytes for each parameter of the encoders",
            "parameters.encoder_type": file,
        }
    safety = Safety()
    # the classes that are part of transformers need no code of the model's repository
    may_need_code = keys.type.own_code or not keys.in_gguf
    if may_need_code and isinstance(keys.outer.get("auto_map"), dict):
        safety = Safety(remote_code=True)
        sources["safety"] = f"auto_map in {file}"
    modality = "vision" if keys.sees else "text"
    if architecture is not None and not architecture.output_matrix:
        # a model without an output matrix makes vectors
        modality = "embedding"
    return spec_of(
        keys.path,
        modality=modality,
        parameters=counts,
        architecture=architecture,
        quantized=_quantized_by_others(stored),
        safety=safety,
        sources=sources,
        unknown={**keys.unknown, **model_files().never_stated},
    )


def _quantized_by_others(stored: Stored) -> Quantized | None:
    """The quantization in which others stored the weights; None for weights as they were
    published.
    """
    if not stored.quantized:
        return None
    # a narrow type in which models are published and which converters can read
    name = stored.name or ""
    if stored.format != "mlx" and name.startswith(_PUBLISHED):
        return None
    if name not in QUANTIZATIONS[stored.format]:
        return Quantized(format=stored.format)
    return Quantized(format=stored.format, quantization=name)


def _parameters(keys: Keys, architecture: Architecture | None) -> Parameters:
    """The parameters of the language model; no counts where the layers are not known."""
    if architecture is None or "parameters.total" in keys.unknown:
        return Parameters()
    if row_of(architecture) is UNKNOWN_ROW:
        return Parameters()
    counts = parameter_counts(architecture)
    predicting = 0
    if keys.outer_type.mtp_layers is not None:
        predicting = count_parameters(block_tensors(architecture))
    total = counts.total + predicting
    if total > MAX_PARAMETERS:
        refuse(keys.path, "parameters", total=f"{total:.1e}")
    return Parameters(
        total=counts.total,
        active=max(1, counts.active),
        mtp=predicting or None,
    )


def _with_encoders(
    keys: Keys,
    counts: Parameters,
    text_width: int,
) -> Parameters:
    """The parameter counts of the language model, with an estimate for its encoders. `text_width`:
    the width of the language model; 0 where it is not known.
    """
    parts = []
    encoders = 0
    for name in TABLES.encoders["parts"]:
        part = keys.outer.get(name)
        if isinstance(part, dict):
            parts.append(part)
            encoders += encoder_parameters(part, text_width)
    if not 0 < encoders <= MAX_PARAMETERS:
        keys.unknown["parameters.encoders"] = reason("encoder-size")
        return counts.replace(total=None, active=None)
    counts = counts.replace(
        encoders=encoders,
        projector_bytes=2 * encoders,
        encoder_type=_encoder_type(keys.outer_kind, parts[0]),
    )
    if counts.total is None or counts.active is None:
        return counts
    return counts.replace(
        total=counts.total + encoders,
        active=counts.active + encoders,
    )


def _encoder_type(model_type: str, part: JsonValues) -> str:
    """The type of the first encoder, as `[[encoder]]` of architectures.toml names it."""
    own_type = clean(part.get("model_type")).lower()
    width = _size(part, "width")
    by_width = f"{model_type} {width}"
    by_type = f"{model_type} {own_type} {width}"
    measured = set()
    for row in architectures().encoder:
        measured.update(row.get("types", ()))
    if by_width in measured and by_type not in measured:
        return by_width
    return by_type


def encoder_parameters(part: JsonValues, text_width: int) -> int:
    """An estimate of an encoder's parameters, including two matrices that turn merged patches into
    embeddings of the text model.
    """
    width = _size(part, "width")
    inner = _size(part, "length") or 4 * width
    matrices = 2
    if part.get("hidden_act") in ("silu", "swish"):
        matrices = 3
    attention = 4 * width * width
    feed_forward = matrices * width * inner
    layers = _size(part, "layers")
    # the encoder merges a square of this many patches on a side into one
    side = max(1, _size(part, "merged"))
    merged = width * side * side
    joiner = merged * (merged + text_width)
    joiners = 1 + deepstack_layers(part)
    return layers * (attention + feed_forward) + joiners * joiner


def _size(part: JsonValues, size: str) -> int:
    """The whole number under the first of a size's names that has one; 0 where none has."""
    for name in TABLES.encoders[size]:
        value = part.get(name)
        if type(value) is int and 0 < value < MAX_NUMBER:
            return value
    return 0
