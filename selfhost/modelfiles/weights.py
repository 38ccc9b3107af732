"""A config.json, the files beside it and the headers of safetensors files -> a local model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..catalogue.published import SIZE_OF, PublishedFiles
from ..catalogue.quantization_names import QUANTIZATIONS
from ..catalogue.spec import ModelSpec, Parameters, Safety
from .config import read_config
from .local import LocalModel, beside, stored_notes
from .naming import identifier, name_of
from .safetensors import Weights, read_header, read_weights
from .source import shown
from .stored import Stored

# transformers makes a tokenizer of any of these (AutoTokenizer; VOCAB_FILES_NAMES of its classes)
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    "spiece.model", "sentencepiece.bpe.model", "tekken.json", "tiktoken.model",
)  # fmt: skip
# so small a share of the files may hold more than config.json describes: a tied matrix twice
_EXTRA_SHARE = 200


def read_lone_config(
    config: str, architectures: Mapping[str, Any], notes: tuple[str, ...] = ()
) -> LocalModel:
    """The model that a config.json describes; none of its weights are here. Raises `SpecError`."""
    described = read_config(config, architectures)
    stored = described.stored
    spec = described.spec.replace(quantized=stored.requantized)
    return LocalModel(
        spec=spec,
        format=stored.format,
        quantization=stored.name,
        files_here=False,
        notes=(*notes, *stored_notes(spec), *described.notes),
    )


def read_safetensors(
    path: str,
    files: tuple[str, ...],
    total_bytes: int | None,
    architectures: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> LocalModel:
    """The model in these files, and in the config.json beside them where there is one. `path` is
    what the user gave, `total_bytes` what the index of the files says. Raises `SpecError`.
    """
    config = beside(files[0], "config.json")
    missing = tuple(file for file in files if not os.path.exists(file))
    if config is not None and missing:
        # the config.json says what the model is
        described = read_lone_config(config, architectures, notes)
        return described.replace(
            spec=described.spec.replace(origin=path),
            missing=tuple(shown(os.path.basename(file)) for file in missing),
            # each is read as far as its header, so a file that was cut is refused
            size_bytes=sum(read_header(file)[0] for file in files if file not in missing),
            total_bytes=total_bytes,
        )
    weights = read_weights(path, files)
    if config is not None:
        spec, stored, more = _described(path, config, weights, architectures)
        notes += more
    else:
        spec, stored = _undescribed(path, weights), Stored(name=weights.dtype, quantized=False)
    quantization = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    unknown = _without(spec.unknown, "files", "tokenizer")
    files_known: tuple[PublishedFiles, ...] = ()
    if quantization is None:
        unknown["files"] = (
            f"{weights.size:,} bytes, of a type that has no name here: {weights.types}"
        )
    else:
        sizes = {quantization: weights.size}
        files_known = (
            PublishedFiles(format=stored.format, source=SIZE_OF + shown(path), bytes=sizes),
        )
    source = f"headers of the safetensors files of {shown(path)}"
    spec = spec.replace(
        files=files_known,
        quantized=stored.requantized,
        unknown=unknown,
        tokenizer=any(beside(files[0], name) for name in _TOKENIZERS),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={**spec.sources, "parameters": source, "safety": "format of the files"},
    )
    return LocalModel(
        spec=spec, format=stored.format, quantization=quantization, files_here=True, notes=notes
    )


def _without(unknown: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: why for key, why in unknown.items() if key not in keys}


def _undescribed(path: str, weights: Weights) -> ModelSpec:
    """The spec of weights without a config.json."""
    name = name_of(path)
    unknown = {
        "architecture": "no config.json lies beside the weights",
        "license.id": "the files do not say",
    }
    if weights.total is None:
        unknown["parameters.total"] = (
            "the weights are packed, so their number does not follow from the files"
        )
    return ModelSpec(
        id=identifier(name),
        name=name,
        parameters=Parameters(total=weights.total),
        unknown=unknown,
        origin=path,
    )


def _described(
    path: str, config: str, weights: Weights, architectures: Mapping[str, Any]
) -> tuple[ModelSpec, Stored, tuple[str, ...]]:
    """Spec, types and notes of weights with a config.json, which the files may contradict."""
    described = read_config(config, architectures)
    spec, stored = described.spec.replace(origin=path), described.stored
    if not weights.predict_more:
        # transformers leaves out the blocks that its classes do not have, so a copy that it saved
        # lacks them
        spec = spec.replace(parameters=spec.parameters.replace(mtp=None))
    spec, counted = _counted(spec, described.language_parameters, weights.total)
    notes = (*described.notes, *counted)
    unknown, architecture = dict(spec.unknown), spec.architecture
    if not stored.quantized:
        if stored.name not in (None, weights.dtype) and weights.dtype is not None:
            notes += (
                f"config.json says {stored.name}, and most of the weights are {weights.dtype}:"
                f" transformers loads them as {stored.name}",
            )
        stored = Stored(name=weights.dtype, quantized=False)
        if weights.dtype is None or weights.is_scaled:
            stored = Stored()
            unknown["architecture.matrix_dtype"] = (
                f"most of the weights are packed or scaled ({weights.types}), and config.json does"
                " not say how"
            )
    why = _contradiction(stored, weights, described.language_parameters)
    if why is not None:
        unknown = {key: text for key, text in unknown.items() if key[:13] != "architecture."}
        unknown["architecture"], architecture = why, None
    elif architecture is not None:
        dtype = architecture.dtype or (None if stored.quantized else weights.dtype)
        architecture = architecture.replace(
            dtype=dtype, matrix_dtype=stored.matrices, expert_dtype=stored.experts
        )
        unknown = unknown if dtype is None else _without(unknown, "architecture.dtype")
    return spec.replace(architecture=architecture, unknown=unknown), stored, notes


def _contradiction(stored: Stored, weights: Weights, language: int | None) -> str | None:
    """Why the files are not of the model that config.json describes; None where nothing says so.
    `language` are the parameters of the language model by config.json.

    transformers drops layers beyond those of the config, makes up those that are not there, and
    refuses tensors of other shapes.
    """
    if language and weights.total and language - weights.total > language // _EXTRA_SHARE:
        return (
            f"the files hold {weights.total:,} parameters, and config.json describes {language:,}"
        )
    if stored.quantized and stored.name is not None and weights.plain:
        said = f"the weights are said to be stored as {stored.name}"
        return f"{said}, and the files hold {weights.types} alone"
    return None


def _counted(
    spec: ModelSpec, language: int | None, held: int | None
) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the parameters that the files really hold, and notes.

    `language` is what follows from config.json for the language model alone, `held` what the
    files hold; None where it is not known.
    """
    if held is None:
        return spec, ()
    unknown, parameters = _without(spec.unknown, "parameters.total"), spec.parameters
    total = held - (parameters.mtp or 0)
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
    gap = total - parameters.total
    notes: tuple[str, ...] = ()
    if 0 < gap <= total // _EXTRA_SHARE:
        parameters = parameters.replace(extra_in_files=gap)
    elif gap:
        why = f"the files hold {held:,} parameters, and config.json describes {held - gap:,}"
        parameters = parameters.replace(total=held, active=None, mtp=None, difference=why)
        notes = (why,)
    return spec.replace(parameters=parameters, unknown=unknown), notes
