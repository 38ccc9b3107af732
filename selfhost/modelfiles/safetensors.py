"""From safetensors files to a `ModelSpec`: the facts of the config.json beside them, corrected by
the headers of the files.

What goes in: the paths of the files of one model. What comes out: a `LocalModel` with the size of
the files, the type of the weights and the number of parameters. Where the files contradict the
config.json, the spec has no layers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ..catalogue.spec import (
    SIZE_OF,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Quantized,
    Safety,
)
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.links import exists
from ..core.records import Record, shown
from .config import read_config
from .safetensors_header import Shards, read_header
from .source import (
    LocalModel,
    Notes,
    missing_names,
    read_each,
    reason,
    refuse,
    sibling,
    spec_of,
)
from .tables import model_files

CONFIG = "config.json"
INDEX_ENDING = ".safetensors.index.json"
# 1/200: the share of the files that may exceed the description in config.json, such as a tied
# matrix stored twice
_EXTRA_DIVISOR = 200
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})
# the scales beside weights in FP8, as DeepSeek, compressed-tensors, ModelOpt, FBGEMM and Mistral
# name them
_SCALE = re.compile(r"(?:weight_scale(?:_inv)?|\.scale_weight|qscale_weight)\Z")
_PREDICTS_MORE = re.compile(r"(?:^|\.)(?:mtp(?:_layers|_block)?|eh_proj|nextn)\.")


class Weights(Record):
    """The weights of one model.

    - `size_bytes`: the bytes of all files; `types`: their types.
    - `predict_more`: some tensors belong to multi-token-prediction layers.
    - `is_scaled`: some tensors are scales of weights.
    - `total`: the number of parameters; None where some are packed or scaled.
    - `dtype`: the type of most elements, in the words of DTYPES; None for packed ones.
    """

    size_bytes: int
    types: tuple[str, ...]
    predict_more: bool
    is_scaled: bool
    total: int | None
    dtype: str | None


def read_lone_config(config: str, notes: Notes = ()) -> LocalModel:
    """The model that a config.json describes; none of its weights are here."""
    described = read_config(config)
    all_notes = (*notes, *stored_notes(described.spec), *described.notes)
    return described.replace(notes=all_notes)


def stored_notes(spec: ModelSpec) -> Notes:
    """A sentence for weights that are stored in another type than they are judged in; () for
    others.
    """
    if spec.quantized is not None:
        name = spec.quantized.quantization
        how = f"as {name}" if name else "in a quantization that selfhost does not know"
        return (reason("requantized", how=how),)
    if spec.architecture is None:
        return ()
    type = spec.architecture.matrix_dtype
    if type is not None and type.startswith("float8"):
        return (reason("narrow", type=type),)
    return ()


def weight_files_ending(names: Iterable[str], *endings: str) -> list[str]:
    """The names that have one of these endings and belong to files of a model's weights."""
    others = model_files().safetensors.not_the_model
    return [
        name
        for name in names
        if name.lower().endswith(endings) and not name.startswith(others)
    ]


def read_weights(
    path: str,
    shards: Shards,
    notes: Notes = (),
) -> LocalModel:
    """The model that the files hold, described by the config.json beside the files where there is
    one. `path` is the path that the user gave.
    """
    files = shards.files
    config = sibling(files[0], CONFIG)
    if config is not None:
        missing = missing_names(files)
        if missing:
            present = tuple(filter(exists, files))
            headers = read_each(path, "files", present, read_header)
            size_bytes = sum(header.file_bytes for header in headers)
            model = read_lone_config(config, notes)
            return model.replace(
                spec=model.spec.replace(origin=path),
                missing=missing,
                size_bytes=size_bytes,
                total_bytes=shards.total_bytes,
            )
    weights = _weights_in(path, files)
    if config is not None:
        model = read_config(config)
    else:
        # `_with_weights` counts the parameters unless the weights are packed
        spec = spec_of(path, unknown=model_files().undescribed)
        model = LocalModel(spec=spec, quantization=weights.dtype)
    here = model.replace(
        spec=_with_files_here(model.spec, path, files[0]),
        files_here=True,
        notes=(*notes, *model.notes),
    )
    return _with_weights(here, weights)


def _with_files_here(
    spec: ModelSpec,
    path: str,
    file: str,
) -> ModelSpec:
    """The spec with the facts that follow from the folder of the model's first `file`."""
    sources = {
        **spec.sources,
        "parameters": f"headers of the safetensors files of {shown(path)}",
        "safety": "format of the files",
    }
    return spec.replace(
        tokenizer=any(sibling(file, name) for name in model_files().tokenizers),
        safety=Safety(
            formats=("safetensors",),
            remote_code=spec.safety.remote_code,
        ),
        sources=sources,
        origin=path,
    )


def _weights_in(named: str, paths: tuple[str, ...]) -> Weights:
    """The weights in all files of one model. `named` is the path that the user gave. Raises
    `SpecError`.
    """
    elements: Counter[str] = Counter()
    size_bytes = 0
    names: set[str] = set()
    for header in read_each(named, "files", paths, read_header):
        size_bytes += header.file_bytes
        names |= header.tensors.keys()
        for tensor in header.tensors.values():
            elements[tensor.dtype] += tensor.elements
    if not elements:
        refuse(named, "no-weights")
    is_scaled = any(map(_SCALE.search, names))
    counted = _PLAIN if is_scaled else _PLAIN | {"F8_E4M3"}
    [(usual, _)] = elements.most_common(1)
    return Weights(
        size_bytes=size_bytes,
        types=tuple(sorted(elements)),
        predict_more=any(map(_PREDICTS_MORE.search, names)),
        is_scaled=is_scaled,
        total=elements.total() if elements.keys() <= counted else None,
        dtype=model_files().safetensors.dtypes.get(usual),
    )


def _with_weights(model: LocalModel, weights: Weights) -> LocalModel:
    """The model that config.json describes, corrected by the weights in its files. Where the
    weights contradict config.json, the model has no layers.
    """
    spec = model.spec
    unknown = dict(spec.unknown)
    notes = list(model.notes)
    parameters = _counted_parameters(model, weights)
    if parameters.difference is not None:
        notes.append(parameters.difference)
        unknown["parameters.active"] = parameters.difference
    # the type of all weights
    dtype = None
    if not model.is_quantized and not weights.is_scaled:
        dtype = weights.dtype
    quantization = model.quantization
    quantized = spec.quantized
    if dtype is not None:
        if quantization not in (None, dtype):
            notes.append(reason("other-type", said=quantization, held=dtype))
        quantization = dtype
    elif not model.is_quantized:
        why = reason("packed", types=weights.types)
        unknown["architecture.matrix_dtype"] = why
        quantized = Quantized(format="safetensors")
        quantization = None
    architecture = spec.architecture
    contradiction = _contradiction(model, weights)
    if contradiction is not None:
        for fact in list(unknown):
            if fact.startswith("architecture."):
                del unknown[fact]
        unknown["architecture"] = contradiction
        architecture = None
    elif architecture is not None and architecture.dtype is None:
        architecture = architecture.replace(dtype=dtype)
    # the files are listed only for a quantization that a spec can name
    if quantization not in QUANTIZATIONS[model.format]:
        quantization = None
        unknown["files"] = reason(
            "unnamed-type", size=weights.size_bytes, types=weights.types
        )
    corrected = spec.replace(
        architecture=architecture,
        files=_published_files(model, quantization, weights.size_bytes),
        unknown=unknown,
        parameters=parameters,
        quantized=quantized,
    )
    return model.replace(
        spec=_without_known_facts(corrected),
        quantization=quantization,
        notes=tuple(notes),
    )


def _without_known_facts(spec: ModelSpec) -> ModelSpec:
    """The spec without reasons in `unknown` for facts that the spec states by now."""
    model = spec.architecture
    known = {
        "files": spec.files or None,
        "tokenizer": spec.tokenizer,
        "parameters.total": spec.parameters.total,
        "parameters.encoders": spec.parameters.encoders,
        "architecture.dtype": None if model is None else model.dtype,
    }
    unknown = dict(spec.unknown)
    for fact, value in known.items():
        if value is not None:
            unknown.pop(fact, None)
    return spec.replace(unknown=unknown)


def _published_files(
    model: LocalModel,
    quantization: str | None,
    size_bytes: int,
) -> tuple[PublishedFiles, ...]:
    """The size of the model's files in this quantization; () for None, a quantization without a
    name.
    """
    if quantization is None:
        return ()
    published = PublishedFiles(
        format=model.format,
        source=SIZE_OF + shown(model.spec.origin),
        bytes={quantization: size_bytes},
    )
    return (published,)


def _contradiction(model: LocalModel, weights: Weights) -> str | None:
    """The reason why the files do not belong to the model that config.json describes; None where
    they may.
    """
    described = model.language_parameters
    stored = weights.total
    if described and stored:
        missing = described - stored
        if missing > described // _EXTRA_DIVISOR:
            return reason("other-parameters", held=stored, described=described)
    name = model.quantization
    if not model.is_quantized or name is None:
        return None
    # quantized weights always include another type
    if _PLAIN.issuperset(weights.types):
        return reason("plain", name=name, types=weights.types)
    return None


def _counted_parameters(model: LocalModel, weights: Weights) -> Parameters:
    """The parameter counts that config.json tells, corrected by the number of parameters in the
    files.
    """
    parameters = model.spec.parameters
    if not weights.predict_more:
        # transformers leaves out blocks that its classes lack, so that a copy saved by transformers
        # has no such blocks
        parameters = parameters.replace(mtp=None)
    stored = weights.total
    if stored is None:
        return parameters
    total = stored - parameters.in_blocks
    described = parameters.total
    encoders = 0
    if model.language_parameters is not None:
        encoders = total - model.language_parameters
    if described is None:
        parameters = parameters.replace(total=total)
        return _with_encoders(parameters, encoders)
    undescribed = total - described
    unknown = model.spec.unknown
    has_encoders = parameters.encoders is not None or "parameters.encoders" in unknown
    if has_encoders and encoders > 0:
        active = parameters.active
        if active is not None:
            active += undescribed
        parameters = parameters.replace(total=total, active=active)
        return _with_encoders(parameters, encoders)
    if 0 <= undescribed <= total // _EXTRA_DIVISOR:
        return parameters.replace(extra_in_files=undescribed or None)
    why = reason("other-parameters", held=stored, described=stored - undescribed)
    return parameters.replace(total=stored, active=None, mtp=None, difference=why)


def _with_encoders(parameters: Parameters, encoders: int) -> Parameters:
    """The parameter counts with `encoders` parameters of encoders, if there are any."""
    if encoders <= 0:
        return parameters
    return parameters.replace(encoders=encoders, projector_bytes=2 * encoders)
