"""Safetensors files and the config.json beside them -> a local model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..catalogue.spec import QUANTIZATIONS, SIZE_OF, ModelSpec, Parameters, PublishedFiles, Safety
from .contradictions import why_not_described
from .described import read_described
from .local import LocalModel, quantized_of, stored_notes
from .naming import identifier, name_of
from .safetensors import Weights, indexes_in, read_file, read_weights, total_in
from .source import names_in, shown
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


def _without(unknown: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: why for key, why in unknown.items() if key not in keys}


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
    why = why_not_described(spec.architecture, stored, weights, architectures)
    if why is not None:
        unknown = {
            key: text for key, text in spec.unknown.items() if not key.startswith("architecture.")
        }
        spec = spec.replace(architecture=None, unknown={**unknown, "architecture": why})
    spec, types, typed = _typed(spec, stored, weights)
    spec = _with_types(spec, stored, types, weights)
    return spec, types, (*described.notes, *counted, *typed)


def _typed(
    spec: ModelSpec, stored: Stored, weights: Weights
) -> tuple[ModelSpec, Stored, tuple[str, ...]]:
    """Spec, types and notes by what most of the weights are, where they are not quantized."""
    if stored.quantized:
        return spec, stored, ()
    if weights.dtype is None:
        types = ", ".join(sorted(weights.elements))
        why = f"most of the weights are packed ({types}), and config.json does not say how"
        spec = spec.replace(unknown={**spec.unknown, "architecture.matrix_dtype": why})
        return spec, Stored(name=None), ()
    if stored.name == weights.dtype:
        return spec, stored, ()
    notes: tuple[str, ...] = ()
    if stored.name is not None:
        notes = (
            f"config.json says {stored.name}, and most of the weights are {weights.dtype}:"
            f" transformers loads them as {stored.name}",
        )
    return spec, Stored(name=weights.dtype, quantized=False), notes


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
        dtype=dtype,
        matrix_dtype=types.matrices,
        expert_dtype=types.experts,
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
        size_bytes=sum(read_file(file)[0] for file in files if file not in missing),
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
    unknown = _without(spec.unknown, "parameters.total")
    parameters = spec.parameters
    total -= parameters.mtp or 0
    sees = parameters.encoders is not None or "parameters.encoders" in unknown
    if parameters.total is None or (sees and language is not None and total > language):
        if language is not None and total > language:
            unknown.pop("parameters.encoders", None)
        parameters = _with_encoders(parameters, language, total)
        return spec.replace(parameters=parameters, unknown=unknown), ()
    gap = total - parameters.total
    if gap == 0:
        return spec.replace(unknown=unknown), ()
    if 0 < gap <= total // _EXTRA_SHARE:
        return spec.replace(parameters=parameters.replace(extra_in_files=gap), unknown=unknown), ()
    total += parameters.mtp or 0
    why = (
        f"the files hold {total:,} parameters, and config.json describes"
        f" {parameters.total + (parameters.mtp or 0):,}"
    )
    parameters = parameters.replace(total=total, active=None, mtp=None, difference=why)
    return spec.replace(parameters=parameters, unknown=unknown), (why,)


def _with_encoders(parameters: Parameters, language: int | None, total: int) -> Parameters:
    """The counts with the total of the files: what is more than the language model are encoders."""
    active = parameters.active
    if active is not None and parameters.total is not None:
        active += total - parameters.total
    parameters = parameters.replace(total=total, active=active)
    if language is None or total <= language:
        return parameters
    encoders = total - language
    return parameters.replace(encoders=encoders, projector_bytes=2 * encoders)
