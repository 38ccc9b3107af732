"""A config.json, the files beside it and the headers of safetensors files -> a local model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

from ..catalogue.spec import (
    MAX_BEAMS,
    QUANTIZATIONS,
    SIZE_OF,
    Architecture,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Safety,
)
from ..needs.tensors import checkpoint_tensors, row_of
from .config import ConfigRead, read_config
from .config_keys import MAX_CONFIG_BYTES, short
from .local import LocalModel, beside, quantized_of, stored_notes
from .naming import identifier, listed, name_of
from .safetensors import Weights, indexes_in, read_header, read_weights, total_in
from .source import names_in, read_json, shown
from .stored import Stored, cache_type, stored_by

# transformers makes a tokenizer of any of these (AutoTokenizer; VOCAB_FILES_NAMES of its classes)
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    "spiece.model", "sentencepiece.bpe.model", "tekken.json", "tiktoken.model",
)  # fmt: skip
# so small a share of the files may hold more than config.json describes: a tied matrix twice
_EXTRA_SHARE = 200
_GENERATION = "generation_config.json"
_QUANTIZATION = "hf_quant_config.json"


# ------------------------------------------------- a config.json and what lies beside it


def read_described(config: str, architectures: Mapping[str, Any]) -> ConfigRead:
    """What a config.json says, together with the files beside it. Raises `SpecError`."""
    described = read_config(config, architectures)
    spec = _with_beams(described.spec, config, architectures)
    quantization = None if described.stored.quantized else beside(config, _QUANTIZATION)
    if quantization is None:
        return described.replace(spec=spec)
    spec, stored = _with_quantization(spec, quantization)
    return described.replace(spec=spec, stored=stored)


def _with_beams(spec: ModelSpec, config: str, architectures: Mapping[str, Any]) -> ModelSpec:
    """The spec with the beams that generation_config.json asks for, of a model that reads with an
    encoder.
    """
    path, model = beside(config, _GENERATION), spec.architecture
    row = row_of(model, architectures) if model is not None else None
    if path is None or model is None or row is None or not row.rewrites:
        return spec
    values = read_json(path, MAX_CONFIG_BYTES, what=_GENERATION)
    beams = values.get("num_beams", 1) if isinstance(values, dict) else None
    if type(beams) is int and 1 <= beams <= MAX_BEAMS:
        return spec.replace(architecture=model.replace(beams=beams))
    says = f"says num_beams = {short(beams)}" if isinstance(values, dict) else "is no object"
    unclear = f"{_GENERATION} {says}, so what is kept of each beam is not known"
    model = model.replace(tensors=checkpoint_tensors(model, row), attention=(), recurrent=())
    return _unknown(spec.replace(architecture=model), "architecture.attention", unclear)


def _with_quantization(spec: ModelSpec, path: str) -> tuple[ModelSpec, Stored]:
    """Spec and types with what hf_quant_config.json says of weights and cache, which NVIDIA's
    exporter writes.
    """
    values = read_json(path, MAX_CONFIG_BYTES, what=_QUANTIZATION)
    part = values.get("quantization") if isinstance(values, dict) else None
    quantization = {"quant_method": "modelopt", **(part if isinstance(part, dict) else {})}
    stored, architecture = stored_by(quantization), spec.architecture
    if stored.why is not None:
        why = f"{_QUANTIZATION}: {stored.why}, so the size of the weights is not known"
        spec = _unknown(spec, "architecture.matrix_dtype", why)
    if architecture is None:
        return spec, stored
    latent = any(group.kind == "latent" for group in architecture.attention)
    architecture = architecture.replace(
        matrix_dtype=stored.matrices,
        expert_dtype=stored.experts,
        cache_dtype=cache_type(quantization, latent=latent),
        quantizer="modelopt" if stored.name is not None else None,
    )
    return spec.replace(architecture=architecture), stored


def read_lone_config(
    config: str, architectures: Mapping[str, Any], notes: tuple[str, ...] = ()
) -> LocalModel:
    """The model that a config.json describes; none of its weights are here. Raises `SpecError`."""
    described = read_described(config, architectures)
    stored = described.stored
    spec = described.spec.replace(quantized=quantized_of(stored))
    return LocalModel(
        spec=spec,
        format=stored.format,
        quantization=stored.name,
        files_here=False,
        notes=(*notes, *stored_notes(spec), *described.notes),
    )


def _unknown(spec: ModelSpec, key: str, why: str) -> ModelSpec:
    return spec.replace(unknown={**spec.unknown, key: why})


def _without(unknown: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: why for key, why in unknown.items() if key not in keys}


# ------------------------------------------------------------------------- with its weights


def read_safetensors(
    path: str,
    files: Iterable[str],
    config: str | None,
    architectures: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> LocalModel:
    """The model in these files. `path` is what the user gave, `config` the config.json beside the
    files, None where there is none. Raises `SpecError`.
    """
    files = tuple(files)
    missing = tuple(file for file in files if not os.path.exists(file))
    if config is not None and missing:
        return _in_part(path, files, missing, config, architectures, notes)
    weights = read_weights(path, files)
    if config is None:
        spec, stored = _undescribed(path, weights)
    else:
        spec, stored, more = _described(path, config, weights, architectures)
        notes += more
    quantization = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    unknown = _without(spec.unknown, "files", "tokenizer")
    files_known: tuple[PublishedFiles, ...] = ()
    if quantization is None:
        types = ", ".join(sorted(weights.elements))
        unknown["files"] = f"{weights.size:,} bytes, of a type that has no name here: {types}"
    else:
        sizes = {quantization: weights.size}
        files_known = (
            PublishedFiles(format=stored.format, source=SIZE_OF + shown(path), bytes=sizes),
        )
    folder = os.path.dirname(files[0])
    source = f"headers of the safetensors files of {shown(path)}"
    spec = spec.replace(
        files=files_known,
        quantized=quantized_of(stored),
        unknown=unknown,
        tokenizer=any(os.path.exists(os.path.join(folder, name)) for name in _TOKENIZERS),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={**spec.sources, "parameters": source, "safety": "format of the files"},
    )
    return LocalModel(
        spec=spec, format=stored.format, quantization=quantization, files_here=True, notes=notes
    )


def _undescribed(path: str, weights: Weights) -> tuple[ModelSpec, Stored]:
    """The spec of weights without a config.json, and the type of most of them."""
    name = name_of(path)
    unknown = {
        "architecture": "no config.json lies beside the weights",
        "license.id": "the files do not say",
    }
    if weights.total is None:
        unknown["parameters.total"] = (
            "the weights are packed, so their number does not follow from the files"
        )
    spec = ModelSpec(
        id=identifier(name),
        name=name,
        parameters=Parameters(total=weights.total),
        unknown=unknown,
        origin=path,
    )
    return spec, Stored(name=weights.dtype, quantized=False)


def _described(
    path: str, config: str, weights: Weights, architectures: Mapping[str, Any]
) -> tuple[ModelSpec, Stored, tuple[str, ...]]:
    """Spec, types and notes of weights with a config.json, which the files may contradict."""
    described = read_described(config, architectures)
    spec, stored = described.spec.replace(origin=path), described.stored
    if not weights.predict_more:
        # transformers leaves out the blocks that its classes do not have, so a copy that it saved
        # lacks them
        spec = spec.replace(parameters=spec.parameters.replace(mtp=None))
    spec, counted = _counted(spec, described.language_parameters, weights.total)
    why = _contradiction(spec.architecture, stored, weights, described.language_parameters)
    if why is not None:
        unknown = {
            key: text for key, text in spec.unknown.items() if not key.startswith("architecture.")
        }
        spec = spec.replace(architecture=None, unknown={**unknown, "architecture": why})
    if stored.quantized:
        return _with_types(spec, stored, stored, weights), stored, (*described.notes, *counted)
    types = Stored(name=weights.dtype, quantized=False)
    notes = (*described.notes, *counted)
    if weights.dtype is None:
        held, types = ", ".join(sorted(weights.elements)), Stored(name=None)
        why = f"most of the weights are packed ({held}), and config.json does not say how"
        spec = _unknown(spec, "architecture.matrix_dtype", why)
    elif stored.name not in (None, weights.dtype):
        notes += (
            f"config.json says {stored.name}, and most of the weights are {weights.dtype}:"
            f" transformers loads them as {stored.name}",
        )
    return _with_types(spec, stored, types, weights), types, notes


def _contradiction(
    architecture: Architecture | None, stored: Stored, weights: Weights, language: int | None
) -> str | None:
    """Why the files are not of the model that config.json describes; None where nothing says so.
    `language` are the parameters of the language model by config.json.

    transformers drops layers beyond those of the config, makes up those that are not there, and
    refuses tensors of other shapes.
    """
    if architecture is not None and weights.layers:
        why = _contradicted_layers(architecture, weights.layers)
        if why is not None:
            return why
    if language and weights.total and language - weights.total > language // _EXTRA_SHARE:
        return (
            f"the files hold {weights.total:,} parameters, and config.json describes {language:,}"
        )
    if stored.quantized:
        if stored.name is None or not weights.plain:
            return None
        types = ", ".join(sorted(weights.elements))
        said = f"the weights are said to be stored as {stored.name}"
        return f"{said}, and the files hold {types} alone"
    return _unusable_fp8(architecture, weights) if weights.dtype == "float8_e4m3" else None


def _contradicted_layers(architecture: Architecture, present: Set[int]) -> str | None:
    """Which layer of config.json the files lack, or have beyond it; None where they agree."""
    limit = architecture.stored_layers or architecture.layers
    groups = [part.layers for part in architecture.attention]
    groups += [part.layers for part in architecture.recurrent]
    groups += [part.layers for part in architecture.feed_forward]
    busy = {layer for layers in groups for layer in layers if layer < limit}
    if missing := sorted(busy - present):
        numbers = listed(map(str, missing))
        return (
            f"the files have no tensor of layer {numbers}, and config.json says"
            f" {architecture.layers:,} layers"
        )
    last = max(present)
    if last >= architecture.layers + (architecture.mtp_layers or 0):
        return (
            f"the files have a layer {last:,}, and config.json says {architecture.layers:,}"
            " layers, counted from 0"
        )
    return None


def _unusable_fp8(architecture: Architecture | None, weights: Weights) -> str | None:
    """Why transformers cannot widen weights in FP8; None where it can.

    It makes the config's type of them and leaves scales aside. It has no type where neither config
    nor files state a wider one.
    """
    if weights.scale is not None:
        return (
            f"the files hold {weights.scale}, a scale of weights in FP8, and config.json has no"
            " quantization_config to apply it by"
        )
    untyped = architecture is not None and architecture.dtype is None
    if untyped and len(weights.plain_dtypes) != 1:
        return (
            "most of the weights are in FP8, and config.json does not say which type they are made"
            " into"
        )
    return None


def _with_types(spec: ModelSpec, stated: Stored, types: Stored, weights: Weights) -> ModelSpec:
    """The spec with the types of the files. `stated` is what config.json says of them."""
    if spec.architecture is None:
        return spec
    dtype = spec.architecture.dtype
    if dtype is None and not types.quantized:
        # transformers makes weights in FP8 into the wider type of the others
        widened = not stated.quantized and weights.dtype == "float8_e4m3" and weights.plain_dtypes
        dtype = weights.plain_dtypes[0] if widened else weights.dtype
    architecture = spec.architecture.replace(
        dtype=dtype, matrix_dtype=types.matrices, expert_dtype=types.experts
    )
    unknown = spec.unknown if dtype is None else _without(spec.unknown, "architecture.dtype")
    return spec.replace(architecture=architecture, unknown=unknown)


def _in_part(
    path: str,
    files: tuple[str, ...],
    missing: tuple[str, ...],
    config: str,
    architectures: Mapping[str, Any],
    notes: tuple[str, ...],
) -> LocalModel:
    """Sharded weights of which some are not there. The config.json says what the model is, the
    index how large it is.
    """
    described = read_lone_config(config, architectures, notes)
    folder = os.path.dirname(config) or os.curdir
    index = next(iter(indexes_in(names_in(folder))), None)
    return described.replace(
        spec=described.spec.replace(origin=path),
        missing=tuple(shown(os.path.basename(file)) for file in missing),
        # each is read as far as its header, so a file that was cut is refused
        size_bytes=sum(read_header(file)[0] for file in files if file not in missing),
        total_bytes=total_in(os.path.join(folder, index)) if index else None,
    )


def _counted(
    spec: ModelSpec, language: int | None, total: int | None
) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the parameters that the files really hold, and notes.

    `language` is what follows from config.json for the language model alone, `total` what the
    files hold; None where it is not known.
    """
    if total is None:
        return spec, ()
    unknown, parameters = _without(spec.unknown, "parameters.total"), spec.parameters
    mtp = parameters.mtp or 0
    total -= mtp
    encoders = total - language if language is not None else 0
    sees = parameters.encoders is not None or "parameters.encoders" in unknown
    if parameters.total is None or (sees and encoders > 0):
        active = parameters.active
        if active is not None and parameters.total is not None:
            active += total - parameters.total
        parameters = parameters.replace(total=total, active=active)
        if encoders > 0:
            unknown.pop("parameters.encoders", None)
            parameters = parameters.replace(encoders=encoders, projector_bytes=2 * encoders)
        return spec.replace(parameters=parameters, unknown=unknown), ()
    described = parameters.total + mtp
    gap = total + mtp - described
    if 0 < gap <= total // _EXTRA_SHARE:
        parameters = parameters.replace(extra_in_files=gap)
    if not gap or parameters.extra_in_files:
        return spec.replace(parameters=parameters, unknown=unknown), ()
    total += mtp
    why = f"the files hold {total:,} parameters, and config.json describes {described:,}"
    parameters = parameters.replace(total=total, active=None, mtp=None, difference=why)
    return spec.replace(parameters=parameters, unknown=unknown), (why,)
