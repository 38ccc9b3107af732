"""safetensors files -> ModelSpec: their size and the types of their weights, from headers alone,
with what the config.json beside them says.

The layout: 8 bytes with the header's length, the header as JSON (name -> dtype, shape,
data_offsets), the data (huggingface/safetensors README, "Format"). A file is damaged where the
reader of safetensors 0.8.0 refuses it (safetensors/src/tensor.rs, read_metadata and validate): each
tensor is as long as its shape in its dtype, and all together fill the data.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from struct import unpack
from typing import Any

from ..catalogue.spec import (
    SIZE_OF,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Quantized,
    Safety,
)
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.files import MAX_PARTS, read_some
from ..core.records import Record, shown
from . import source
from .config import read_config
from .source import TEXTS, LocalModel, clean, parse_json, reason, refuse

MAX_HEADER_BYTES = 100_000_000
# of one file: a LoRA adapter of every expert of Kimi K2 would have 138,240; an entry takes 120 to
# 200 bytes
MAX_TENSORS = 200_000
MAX_READ_HEADER_BYTES = 50_000_000
# an entry with a shape of six dimensions: {, two [, four :, and 11 commas
_SIGNS_PER_TENSOR = 14
# an index names every tensor of a model (Kimi K3: 494,592) with a colon and a comma
MAX_INDEX_BYTES = 1 << 26
_MAX_INDEX_SIGNS = 1_500_000

CONFIG = "config.json"
INDEX_ENDING = ".safetensors.index.json"
# so small a share of the files may hold more than config.json describes: a tied matrix twice
_EXTRA_SHARE = 200
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})
_IN_SHARDS = "give the model in several files (shards), or a spec of it: `selfhost check FILE.toml`"
# beside weights in FP8, as DeepSeek, compressed-tensors, ModelOpt, FBGEMM and Mistral write them
_SCALE = re.compile(r"(?:weight_scale(?:_inv)?|\.scale_weight|qscale_weight)\Z")
_PREDICTS_MORE = re.compile(r"(?:^|\.)(?:mtp(?:_layers|_block)?|eh_proj|nextn)\.")


class Weights(Record):
    """The weights of one model: the bytes of all files, and their types.

    `predict_more`: there are tensors of layers that predict more tokens; `is_scaled`: there are
    scales of weights; `total`: parameters, None where some are packed or scaled; `dtype`: the type
    of most elements, in the words of DTYPES, None for packed ones.
    """

    size_bytes: int
    types: str
    predict_more: bool
    is_scaled: bool
    total: int | None
    dtype: str | None


def read_lone_config(config: str, notes: tuple[str, ...] = ()) -> LocalModel:
    """The model that a config.json describes; none of its weights are here."""
    described = read_config(config)
    notes = (*notes, *stored_notes(described.spec), *described.notes)
    return described.replace(notes=notes)


def stored_notes(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the weights are stored in another type than they are judged in."""
    own, architecture = spec.quantized, spec.architecture
    if own is not None:
        name = own.quantization
        how = f"as {name}" if name else "in a quantization that selfhost does not know"
        return (reason("requantized", how=how),)
    narrow = architecture.matrix_dtype if architecture is not None else None
    is_narrow = narrow is not None and narrow.startswith("float8")
    return (reason("narrow", type=narrow),) if is_narrow else ()


def read_weights(
    path: str,
    files: tuple[str, ...],
    total_bytes: int | None,
    notes: tuple[str, ...] = (),
) -> LocalModel:
    """The model in these files, and in the config.json beside them where there is one. `path` is
    what the user gave, `total_bytes` what the index of the files says.
    """
    config = source.beside(files[0], CONFIG)
    missing = tuple(file for file in files if not os.path.exists(file))
    if config is not None and missing:
        # the config.json says what the model is
        lone = read_lone_config(config, notes)
        # each is read as far as its header, so a file that was cut is refused
        here = [read_header(file)[0] for file in files if file not in missing]
        return lone.replace(
            spec=lone.spec.replace(origin=path),
            missing=tuple(shown(os.path.basename(file)) for file in missing),
            size_bytes=sum(here),
            total_bytes=total_bytes,
        )
    weights = _weights_in(path, files)
    if config is not None:
        model = read_config(config)
    else:
        # _with_weights knows the parameters where the weights are not packed
        spec = source.spec_of(path, unknown=dict(TEXTS["undescribed"]))
        model = LocalModel(spec=spec, quantization=weights.dtype)
    spec, headers = model.spec, f"headers of the safetensors files of {shown(path)}"
    spec = spec.replace(
        unknown={
            key: why
            for key, why in spec.unknown.items()
            if key not in ("files", "tokenizer")
        },
        tokenizer=any(source.beside(files[0], name) for name in TEXTS["tokenizers"]),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={
            **spec.sources,
            "parameters": headers,
            "safety": "format of the files",
        },
        origin=path,
    )
    notes = (*notes, *model.notes)
    return _with_weights(
        model.replace(spec=spec, files_here=True, notes=notes), weights
    )


def _with_weights(model: LocalModel, weights: Weights) -> LocalModel:
    """What a config.json says, mended by its weights; where these contradict it, no layers."""
    spec, notes, name = model.spec, model.notes, model.quantization
    unknown, architecture, quantized = (
        dict(spec.unknown),
        spec.architecture,
        spec.quantized,
    )
    parameters = _with_counted(model, unknown, weights)
    notes += tuple(filter(None, [parameters.difference]))
    dtype = None if model.is_quantized or weights.is_scaled else weights.dtype
    if dtype is not None:
        if name not in (None, dtype):
            notes += (reason("other-type", said=name, held=dtype),)
        name = dtype
    elif not model.is_quantized:
        unknown["architecture.matrix_dtype"] = reason("packed", types=weights.types)
        quantized, name = Quantized(format="safetensors"), None
    if why := _contradiction(model, weights):
        unknown = {
            key: text for key, text in unknown.items() if key[:13] != "architecture."
        }
        unknown["architecture"], architecture = why, None
    elif architecture is not None and (published := architecture.dtype or dtype):
        architecture = architecture.replace(dtype=published)
        unknown.pop("architecture.dtype", None)
    files: tuple[PublishedFiles, ...] = ()
    if name in QUANTIZATIONS[model.format]:
        sizes = {name: weights.size_bytes}
        origin = SIZE_OF + shown(spec.origin)
        files = (PublishedFiles(format=model.format, source=origin, bytes=sizes),)
    else:
        name = None
        unknown["files"] = reason(
            "unnamed-type", size=weights.size_bytes, types=weights.types
        )
    spec = spec.replace(
        architecture=architecture,
        files=files,
        unknown=unknown,
        parameters=parameters,
        quantized=quantized,
    )
    return model.replace(spec=spec, quantization=name, notes=notes)


def _contradiction(model: LocalModel, weights: Weights) -> str | None:
    """Why the files are not of the model that config.json describes."""
    language, held = model.language_parameters, weights.total
    if language and held and language - held > language // _EXTRA_SHARE:
        return reason("other-parameters", held=held, described=language)
    # of no type that quantized weights are stored in
    is_plain = _PLAIN.issuperset(weights.types.split(", "))
    is_other = model.is_quantized and model.quantization is not None and is_plain
    return (
        reason("plain", name=model.quantization, types=weights.types)
        if is_other
        else None
    )


def _with_counted(
    model: LocalModel, unknown: dict[str, str], weights: Weights
) -> Parameters:
    """The parameters with those that the files hold, which are `unknown` no more."""
    parameters, held, language = (
        model.spec.parameters,
        weights.total,
        model.language_parameters,
    )
    if not weights.predict_more:
        # transformers leaves out the blocks that its classes do not have, so a copy that it saved
        # lacks them
        parameters = parameters.replace(mtp=None)
    if held is None:
        return parameters
    unknown.pop("parameters.total", None)
    total, active = held - (parameters.mtp or 0), parameters.active
    encoders = total - language if language is not None else 0
    sees = parameters.encoders is not None or "parameters.encoders" in unknown
    gap = total - (parameters.total or 0)
    if parameters.total is None or (sees and encoders > 0):
        if active is not None and parameters.total is not None:
            active += gap
        parameters = parameters.replace(total=total, active=active)
        if encoders <= 0:
            return parameters
        unknown.pop("parameters.encoders", None)
        return parameters.replace(encoders=encoders, projector_bytes=2 * encoders)
    if 0 <= gap <= total // _EXTRA_SHARE:
        return parameters.replace(extra_in_files=gap or None)
    why = reason("other-parameters", held=held, described=held - gap)
    unknown["parameters.active"] = why
    return parameters.replace(total=held, active=None, mtp=None, difference=why)


def _weights_in(named: str, paths: tuple[str, ...]) -> Weights:
    """All files of one model; `named` is what the user gave."""
    source.refuse_missing(named, "files", paths)
    elements: Counter[str] = Counter()
    size_bytes, names = 0, set[str]()
    for path in paths:
        size, tensors = read_header(path)
        size_bytes += size
        names |= tensors.keys()
        for dtype, count in tensors.values():
            elements[dtype] += count
    if not elements:
        refuse(named, "no-weights")
    is_scaled = any(map(_SCALE.search, names))
    counted = _PLAIN if is_scaled else _PLAIN | {"F8_E4M3"}
    return Weights(
        size_bytes=size_bytes,
        types=", ".join(sorted(elements)),
        predict_more=any(map(_PREDICTS_MORE.search, names)),
        is_scaled=is_scaled,
        total=sum(elements.values()) if elements.keys() <= counted else None,
        dtype=TEXTS["safetensors"]["dtypes"].get(
            max(elements, key=elements.__getitem__)
        ),
    )


def read_header(path: str) -> tuple[int, Mapping[str, tuple[str, int]]]:
    """Size of one file in bytes, and each tensor's dtype and elements; reads no weights."""
    stream, size, start = source.open_file(path)
    with stream, source.readable(path):
        source.refuse_other_kinds(path, start, size)
        if start.startswith(b"GGUF"):
            refuse(path, "misnamed")
        if size < 10:
            refuse(path, "cut-short", what=f"it has {size:,} bytes")
        (length,) = unpack("<Q", start[:8])
        if length > MAX_HEADER_BYTES or start[8:].lstrip(b" \t\r\n")[:1] != b"{":
            is_json = start.lstrip()[:1] in (b"{", b"[")
            refuse(
                path,
                "no-safetensors",
                text=": it begins as JSON does" if is_json else "",
            )
        if length > MAX_READ_HEADER_BYTES:
            refuse(path, "long-header", length=length, most=MAX_READ_HEADER_BYTES)
        if (missing := 8 + length - size) > 0:
            refuse(
                path, "cut-short", what=f"{missing:,} bytes of its header are missing"
            )
        content = (start[8:] + read_some(stream, max(0, length - len(start) + 8)))[
            :length
        ]
    bounds: Any = {"max_signs": MAX_TENSORS * _SIGNS_PER_TENSOR, "remedy": _IN_SHARDS}
    header = parse_json(path, content, what="file", **bounds)
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        refuse(path, "tensors", count=len(header), most=MAX_TENSORS)
    tensors, rest = {}, size - 8 - len(content)
    for name, entry in header.items():
        dtype, elements, tensor_bytes = _entry(path, name, entry)
        tensors[name] = dtype, elements
        rest -= tensor_bytes
    if rest < 0:
        refuse(path, "cut-short", what=f"{-rest:,} bytes are missing at its end")
    if rest:
        refuse(path, "damaged", what=f"{rest:,} bytes belong to no tensor")
    return size, tensors


def _entry(path: str, name: str, entry: object) -> tuple[str, int, int]:
    """Dtype, elements and bytes of a tensor."""
    bits: Mapping[str, int] = TEXTS["safetensors"]["bits"]
    values: Any = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (
        values.get(key) for key in ("dtype", "shape", "data_offsets")
    )
    # numbers of a header are unsigned and of 64 bits
    is_usable = isinstance(dtype, str) and all(
        isinstance(sizes, list)
        and all(type(each) is int and 0 <= each < 1 << 64 for each in sizes)
        for sizes in (shape, offsets)
    )
    what = f'the tensor "{clean(name)}"'
    if not is_usable or len(offsets) != 2:
        refuse(
            path, "damaged", what=f"{what} has no usable dtype, shape and data_offsets"
        )
    if dtype not in bits:
        refuse(
            path, "dtype", name=clean(name), dtype=clean(dtype), types=", ".join(bits)
        )
    tensor_bytes = offsets[1] - offsets[0]
    if prod(shape) * bits[dtype] != 8 * tensor_bytes:
        refuse(path, "damaged", what=f"{what} does not have the size of its shape")
    return dtype, prod(shape), tensor_bytes


def weight_files_ending(
    names: Iterable[str], ending: str | tuple[str, ...]
) -> list[str]:
    """Those of the names that end so and are files of a model's weights."""
    others = tuple(TEXTS["safetensors"]["not_the_model"])
    return [
        each
        for each in names
        if each.lower().endswith(ending) and not each.startswith(others)
    ]


def shards_in(index: str) -> tuple[tuple[str, ...], int | None]:
    """The files that an index names, beside it, and the bytes of all their tensors if it says."""
    bounds = {"max_signs": _MAX_INDEX_SIGNS, "remedy": _IN_SHARDS}
    values = source.read_json(
        index, MAX_INDEX_BYTES, what="safetensors index", **bounds
    )
    table = values if isinstance(values, dict) else {}
    places, metadata = (
        part if isinstance(part, dict) else {}
        for part in (table.get("weight_map"), table.get("metadata"))
    )
    names = sorted({str(name) for name in places.values()})
    if not names:
        refuse(index, "no-index")
    is_outside = any(
        os.path.basename(name) != name or name in ("", ".", "..") for name in names
    )
    if len(names) > MAX_PARTS or is_outside:
        refuse(index, "damaged", what="it names files outside its folder")
    folder, total = (
        index[: len(index) - len(os.path.basename(index))],
        metadata.get("total_size"),
    )
    is_usable = type(total) is int and 0 < total < 1 << 60
    return tuple(folder + name for name in names), total if is_usable else None
