"""safetensors files -> how many weights of which type they hold, and their size, from their headers
alone.

The layout: 8 bytes with the header's length, the header as JSON (name -> dtype, shape,
data_offsets), the data (huggingface/safetensors README, "Format"). What is damaged is what the
reader of safetensors 0.8.0 refuses (safetensors/src/tensor.rs, read_metadata and validate): tensors
in the order of their offsets follow each other without a hole from the first byte of the data to
the last of the file, each as long as its shape in its dtype; the header has 100 MB at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from math import prod
from struct import unpack

from ..core.records import Record, pattern
from .naming import clean, listed, numbered_files
from .source import (
    cut_short,
    damaged,
    fail,
    open_file,
    parse_json,
    read_json,
    read_some,
    refuse_other_kinds,
    shown,
    status_of,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

MAX_HEADER_BYTES = 100_000_000
# Of one file: the shards of DeepSeek V3 and Kimi K2 have 1,000 to 2,500 each; a LoRA adapter of
# every expert of Kimi K2 would have 60 layers x 384 experts x 3 matrices x 2 = 138,240. An entry
# takes 120 to 200 bytes.
MAX_TENSORS = 200_000
MAX_READ_HEADER_BYTES = 50_000_000
# an entry with a shape of six dimensions: {, two [, four :, and 11 commas
_SIGNS_PER_TENSOR = 14
# Of all files of a model: Kimi K3 has 92 layers x 896 experts x 3 matrices, each with its scales:
# 494,592. An index names each of them (DeepSeek V3: 91,991 in 8.9 MB; models of 1,000 billion
# parameters: 20 MB)
MAX_TENSORS_IN_ALL = 750_000
MAX_INDEX_BYTES = 1 << 26
MAX_SHARDS = 10_000
INDEX_ENDING = ".safetensors.index.json"
# how the names of files begin that lie beside a model's weights and are none of them
_NOT_THE_MODEL = ("adapter_model", "consolidated", "training_args", "optimizer", "mmproj")

# every dtype of safetensors 0.8.0 -> its bits
BITS: Mapping[str, int] = {
    "BF16": 16, "F16": 16, "F32": 32, "F64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I64": 64, "I32": 32,
    "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64,
}  # fmt: skip
# those that weights are published in, in the words of DTYPES
_DTYPES: Mapping[str, str] = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F8_E4M3": "float8_e4m3",
    "I8": "int8",
}
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})
# numbers of a header are unsigned and of 64 bits, and so are products of a shape
_LIMIT = 1 << 64
_SPEC_OF_IT = "give a spec of the model: `selfhost check FILE.toml`"
_IN_SHARDS = f"give the model in several files (shards), or {_SPEC_OF_IT[5:]}"
_FIELDS = ("dtype", "shape", "data_offsets")
# Tensors of the language model's layers, under the prefixes that classes of transformers write.
# Those of encoders have others.
_IN_LAYER = pattern(
    r"(?:(?:model\.|language_model\.|model\.language_model\.|language_model\.model\.|gpt_neox\."
    r"|backbone\.|model\.decoder\.|decoder\.|transformer\.encoder\.)?layers|(?:transformer\.)?h"
    r"|transformer\.blocks|(?:bert\.|roberta\.)?encoder\.layer)\.(\d{1,6})\."
)
# beside weights in FP8, as DeepSeek, compressed-tensors, ModelOpt, FBGEMM and Mistral write them
_SCALE = pattern(r"(?:weight_scale(?:_inv)?|\.scale_weight|qscale_weight)\Z")
_PREDICTS_MORE = pattern(r"(?:^|\.)(?:mtp(?:_layers|_block)?|eh_proj|nextn)\.")
# a tensor's dtype and shape, outputs first as in PyTorch
Tensors = dict[str, tuple[str, list[int]]]


class Weights(Record):
    """The weights of one model: `size` of all files in bytes, and elements by dtype.

    `layers` are the numbers of the language model's layers, without those that predict more tokens
    (`predict_more`: there are tensors of such). `is_scaled`: there are scales of weights.
    """

    size: int
    elements: Mapping[str, int]
    layers: frozenset[int] = frozenset()
    predict_more: bool = False
    is_scaled: bool = False

    @property
    def total(self) -> int | None:
        """Parameters; None where some are packed or scaled, so that elements are no parameters."""
        counted = _PLAIN if self.is_scaled else _PLAIN | {"F8_E4M3"}
        return sum(self.elements.values()) if self.elements.keys() <= counted else None

    @property
    def plain(self) -> bool:
        """No tensor is of a type that quantized weights are stored in."""
        return self.elements.keys() <= _PLAIN

    @property
    def dtype(self) -> str | None:
        """The type of most elements, in the words of DTYPES; None for packed ones."""
        return _DTYPES.get(max(self.elements, key=lambda name: self.elements[name], default=""))


# ------------------------------------------------------------------------------ one header


def read_header(path: str) -> tuple[int, Tensors]:
    """Size of one file in bytes, and its tensors. Raises `SpecError`; reads no weights."""
    size, length, content = _header_bytes(path)
    header = parse_json(
        path,
        content,
        what="safetensors header",
        made_of=_object,
        max_signs=MAX_TENSORS * _SIGNS_PER_TENSOR,
        instead=_IN_SHARDS,
    )
    if not isinstance(header, dict):
        damaged(path, "its header is no table of tensors")
    about = header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        fault = f"lists {len(header):,} tensors, and at most {MAX_TENSORS:,} of one file are read"
        fail(path, fault, _IN_SHARDS)
    words = about.values() if isinstance(about, dict) else ()
    if not (about is None or isinstance(about, dict)) or any(
        type(word) is not str for word in words
    ):
        damaged(path, "__metadata__ of its header is no table of words")
    tensors: Tensors = {}
    places = []
    for name, entry in header.items():
        dtype, shape, begin, end = _entry(path, name, entry)
        tensors[name] = dtype, shape
        places.append((begin, end, name))
    _refuse_holes(path, size - 8 - length, sorted(places))
    return size, tensors


def _header_bytes(path: str) -> tuple[int, int, bytes]:
    """Size of a file in bytes, the length of its header, and the header."""
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
        refuse_other_kinds(path, start, size)
        if start.startswith(b"GGUF"):
            fault = "is a GGUF file with the name of a safetensors file"
            fail(path, fault, "give it the ending .gguf")
        if size < 10:
            cut_short(path, f"it has {size:,} bytes")
        (length,) = unpack("<Q", start[:8])
        if length > MAX_HEADER_BYTES or start[8:].lstrip(b" \t\r\n")[:1] != b"{":
            text = ": it begins as JSON does" if start.lstrip()[:1] in (b"{", b"[") else ""
            remedy = "give the model's safetensors or GGUF files as they were published"
            fail(path, f"is not a safetensors file{text}", remedy)
        if length > MAX_READ_HEADER_BYTES:
            most = f"and at most {MAX_READ_HEADER_BYTES:,} are read"
            fail(path, f"has a header of {length:,} bytes, {most}", _IN_SHARDS)
        if 8 + length > size:
            cut_short(path, f"{8 + length - size:,} bytes of its header are missing")
        header = (start[8:] + read_some(path, stream, max(0, length - len(start) + 8)))[:length]
    if len(header) < length:
        remedy = "wait until nothing writes to it any more"
        fail(path, "became shorter while it was read", remedy)
    return size, length, header


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of equal names the last counts, as for the reader of safetensors; its own keys may not stand
    twice and have no usable value then.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        own = ("__metadata__", *_FIELDS)
        values.update((key, False) for key in own if keys.count(key) > 1)
    return values


def _entry(path: str, name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """Dtype and shape of a tensor, and where its bytes begin and end in the data."""
    values = entry if isinstance(entry, dict) else {}
    fields: list[Any] = [values.get(field) for field in _FIELDS]
    dtype, shape, offsets = fields
    if not (isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets)) or (
        len(offsets) != 2
    ):
        damaged(path, f'the tensor "{clean(name)}" has no usable dtype, shape and data_offsets')
    if dtype not in BITS:
        fault = (
            f'has the tensor "{clean(name)}" in {clean(dtype)}, a type that safetensors does not'
        )
        remedy = f"take files of the model that safetensors reads; it has {', '.join(BITS)}"
        fail(path, f"{fault} have", remedy)
    begin, end = offsets
    # the product of all but an empty dimension must have room, too
    has_room = prod(shape[: shape.index(0)] if 0 in shape else shape) * BITS[dtype] < _LIMIT
    if not has_room or prod(shape) * BITS[dtype] != 8 * (end - begin):
        damaged(path, f'the tensor "{clean(name)}" does not have the size of its shape')
    return dtype, shape, begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(length) is int and 0 <= length < _LIMIT for length in value
    )


def _refuse_holes(path: str, data_bytes: int, places: list[tuple[int, int, str]]) -> None:
    """Raise `SpecError` unless the tensors, in order, fill the data from the first byte to the
    last. `places` has the begin, the end and the name of each.
    """
    reached = 0
    for begin, end, name in places:
        if begin < reached:
            damaged(path, f'the tensor "{clean(name)}" overlaps another')
        if begin > reached:
            hole = f'{begin - reached:,} bytes before the tensor "{clean(name)}"'
            damaged(path, f"{hole} belong to none")
        reached = end
    if reached > data_bytes:
        cut_short(path, f"{reached - data_bytes:,} bytes are missing at its end")
    if reached < data_bytes:
        damaged(path, f"{data_bytes - reached:,} bytes at its end belong to no tensor")


# ------------------------------------------------------------------- the files of one model


def read_weights(named: str, paths: tuple[str, ...]) -> Weights:
    """All files of one model; `named` is what the user gave. Raises `SpecError`, also where some
    of the files are not there.
    """
    missing = [shown(os.path.basename(path)) for path in paths if not os.path.exists(path)]
    if missing:
        files = f"{len(paths):,} files, and {len(missing):,} of them are not there"
        fault = f"has its weights in {files}: {listed(missing)}"
        fail(named, fault, "download the missing files")
    elements: dict[str, int] = {}
    layers: set[int] = set()
    predicting: set[int] = set()
    size_bytes, count, predict_more = 0, 0, False
    is_scaled = False
    for path in paths:
        status_of(path)
        size, tensors = read_header(path)
        size_bytes, count = size_bytes + size, count + len(tensors)
        if count > MAX_TENSORS_IN_ALL:
            fail(named, f"has more than {MAX_TENSORS_IN_ALL:,} tensors in its files", _SPEC_OF_IT)
        for name, (dtype, shape) in tensors.items():
            elements[dtype] = elements.get(dtype, 0) + prod(shape)
            predict_more = predict_more or bool(_PREDICTS_MORE.search(name))
            is_scaled = is_scaled or bool(_SCALE.search(name))
            if inside := _IN_LAYER.match(name):
                (predicting if "eh_proj." in name else layers).add(int(inside[1]))
    if not elements:
        fail(named, "holds no weights", "give the model's safetensors files")
    return Weights(
        size=size_bytes,
        elements=elements,
        layers=frozenset(layers - predicting),
        predict_more=predict_more,
        is_scaled=is_scaled,
    )


def is_of_model(name: str) -> bool:
    """The name of a file is none of those that only lie beside a model's weights."""
    return not name.startswith(_NOT_THE_MODEL)


def indexes_in(names: Iterable[str]) -> list[str]:
    """Those of the names that are the index of a model's shards."""
    return [name for name in names if name.lower().endswith(INDEX_ENDING) and is_of_model(name)]


def weights_in(names: Iterable[str]) -> list[str]:
    """Those of the names that are safetensors files of a model."""
    return [name for name in names if name.lower().endswith(".safetensors") and is_of_model(name)]


def shards_of(path: str) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or every shard of its set,
    there or not.
    """
    return numbered_files(path, MAX_SHARDS)


def shards_in(index: str) -> tuple[str, ...]:
    """The files that an index names, beside it. Raises `SpecError`."""
    places = _index(index).get("weight_map")
    names = list(places.values()) if isinstance(places, dict) else []
    if not names or not all(isinstance(name, str) for name in names):
        fail(index, "is no index of safetensors files: it has no weight_map", "download it again")
    names = sorted(set(names))
    if len(names) > MAX_SHARDS or any(
        os.path.basename(name) != name or name in ("", ".", "..") for name in names
    ):
        damaged(index, "it names files outside its folder")
    folder = index[: len(index) - len(os.path.basename(index))]
    return tuple(folder + name for name in names)


def total_in(index: str) -> int | None:
    """`total_size` of an index: bytes of all tensors without headers; None where it has none.
    Raises `SpecError`.
    """
    metadata = _index(index).get("metadata")
    size = metadata.get("total_size") if isinstance(metadata, dict) else None
    return size if type(size) is int and 0 < size < 1 << 60 else None


def _index(path: str) -> Mapping[str, Any]:
    values = read_json(
        path,
        MAX_INDEX_BYTES,
        what="safetensors index",
        # a colon and a comma for each tensor, and a thousand for what else it says
        max_signs=2 * MAX_TENSORS_IN_ALL + 1000,
        instead=_SPEC_OF_IT,
    )
    return values if isinstance(values, dict) else {}
