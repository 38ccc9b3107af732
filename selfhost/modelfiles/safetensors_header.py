"""The header of a safetensors file, and the index of a model in several files. No weights are read.

The format (huggingface/safetensors README, "Format"):

    length      uint64, little-endian: the bytes of the header
    header      a JSON object: for each tensor its dtype, its shape, and the begin and the end of
                its data behind the header (data_offsets); "__metadata__" has texts
    data        those of all tensors, without a gap

An index, `*.safetensors.index.json`, is a JSON object: `weight_map` names the file of each tensor,
`metadata.total_size` the bytes of all tensors.

What goes in: the path of a file, which may be hostile. What comes out: a `Header` or the `Shards`.
A file is damaged where the reader of safetensors 0.8.0 refuses it (safetensors/src/tensor.rs,
read_metadata and validate): each tensor is as long as its shape in its dtype, and all together
fill the data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from ..core.files import MAX_PARTS, read_some
from ..core.records import Record
from . import source
from .source import JsonLimit, OpenedFile, clean, refuse
from .tables import model_files

# what safetensors itself takes
MAX_HEADER_BYTES = 100_000_000
# An entry takes 120 to 200 bytes. A LoRA adapter of every expert of Kimi K2 in one file would have
# 138,240.
MAX_READ_HEADER_BYTES = 50_000_000
MAX_TENSORS = 200_000
# an entry with a shape of six dimensions: {, two [, four :, and 11 commas
_SIGNS_PER_TENSOR = 14
# an index names every tensor of a model (Kimi K3: 494,592) with a colon and a comma
MAX_INDEX_BYTES = 1 << 26
_MAX_INDEX_SIGNS = 1_500_000
_IN_SHARDS = "give the model in several files (shards), or a spec of it: `selfhost check FILE.toml`"
_HEADER_LIMIT = JsonLimit(signs=MAX_TENSORS * _SIGNS_PER_TENSOR, remedy=_IN_SHARDS)
_INDEX_LIMIT = JsonLimit(signs=_MAX_INDEX_SIGNS, remedy=_IN_SHARDS)

_LENGTH_BYTES = 8
_MAX_UINT64 = 2**64 - 1
# More elements than this fit no data_offsets, whatever their dtype: the narrowest has 4 bits.
_MAX_ELEMENTS = 2 * 2**64
# no model has as many
_MOST_BYTES = 1 << 60
_BLANKS = b" \t\r\n"


class StoredTensor(Record):
    """One tensor of a file: its dtype as safetensors names it, its elements, and their bytes."""

    dtype: str
    elements: int
    bytes: int


class Header(NamedTuple):
    """The size of a file, and its tensors by their names."""

    file_bytes: int
    tensors: Mapping[str, StoredTensor]


class Shards(Record):
    """The files that an index names, and the bytes of all their tensors; None where it does not
    say.
    """

    files: tuple[str, ...]
    total_bytes: int | None


def read_header(path: str) -> Header:
    """The header of one file. Raises `SpecError`; reads no weights."""
    opened = source.open_file(path)
    with opened.stream, source.readable(path):
        length = _header_length(path, opened)
        content = opened.start[_LENGTH_BYTES:]
        content += read_some(opened.stream, length - len(content))
        content = content[:length]
    entries = source.parse_json(path, content, what="file", limit=_HEADER_LIMIT)
    # JSON that begins with a brace
    assert isinstance(entries, dict)
    entries.pop("__metadata__", None)
    if len(entries) > MAX_TENSORS:
        refuse(path, "tensors", count=len(entries), most=MAX_TENSORS)
    bits = model_files().safetensors.bits
    tensors = {}
    unused_bytes = opened.size - _LENGTH_BYTES - len(content)
    for name, entry in entries.items():
        tensor = _tensor(path, name, entry, bits)
        tensors[name] = tensor
        unused_bytes -= tensor.bytes
    if unused_bytes < 0:
        what = f"{-unused_bytes:,} bytes are missing at its end"
        refuse(path, "cut-short", what=what)
    if unused_bytes:
        refuse(path, "damaged", what=f"{unused_bytes:,} bytes belong to no tensor")
    return Header(opened.size, tensors)


def _header_length(path: str, opened: OpenedFile) -> int:
    """The bytes of the JSON, all of which lie in the file. Raises `SpecError`."""
    start = opened.start
    source.refuse_other_kinds(path, start, opened.size)
    if start.startswith(b"GGUF"):
        refuse(path, "misnamed")
    # no shorter file holds a length and two braces
    if opened.size < _LENGTH_BYTES + 2:
        refuse(path, "cut-short", what=f"it has {opened.size:,} bytes")
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    is_object = start[_LENGTH_BYTES:].lstrip(_BLANKS).startswith(b"{")
    if length > MAX_HEADER_BYTES or not is_object:
        text = ""
        if start.lstrip().startswith((b"{", b"[")):
            text = ": it begins as JSON does"
        refuse(path, "no-safetensors", text=text)
    if length > MAX_READ_HEADER_BYTES:
        refuse(path, "long-header", length=length, most=MAX_READ_HEADER_BYTES)
    missing = _LENGTH_BYTES + length - opened.size
    if missing > 0:
        what = f"{missing:,} bytes of its header are missing"
        refuse(path, "cut-short", what=what)
    return length


def _tensor(
    path: str, name: str, entry: object, bits: Mapping[str, int]
) -> StoredTensor:
    """The tensor of an entry; `bits` has those of each dtype. Raises `SpecError`."""
    values = source.table_of(entry)
    dtype = values.get("dtype")
    shape = values.get("shape")
    offsets = values.get("data_offsets")
    if not (isinstance(dtype, str) and _are_sizes(shape) and _are_pair(offsets)):
        what = f'the tensor "{clean(name)}" has no usable dtype, shape and data_offsets'
        refuse(path, "damaged", what=what)
    if dtype not in bits:
        types = ", ".join(bits)
        refuse(path, "dtype", name=clean(name), dtype=clean(dtype), types=types)
    begin, end = offsets
    elements = _elements(shape)
    if elements * bits[dtype] != 8 * (end - begin):
        what = f'the tensor "{clean(name)}" does not have the size of its shape'
        refuse(path, "damaged", what=what)
    return StoredTensor(dtype=dtype, elements=elements, bytes=end - begin)


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    """Whether a value is a list of unsigned numbers of 64 bits, as those of a header are."""
    if not isinstance(value, list):
        return False
    return all(type(size) is int and 0 <= size <= _MAX_UINT64 for size in value)


def _are_pair(value: object) -> TypeGuard[list[int]]:
    return _are_sizes(value) and len(value) == 2


def _elements(shape: list[int]) -> int:
    """The product of the sizes. It is not counted on where no file can hold as many: a hostile
    shape may list a million sizes.
    """
    if 0 in shape:
        return 0
    elements = 1
    for size in shape:
        elements *= size
        if elements > _MAX_ELEMENTS:
            break
    return elements


def shards_in(index: str) -> Shards:
    """The files that an index names, beside it. Raises `SpecError` for names elsewhere."""
    values = source.read_json(
        index, MAX_INDEX_BYTES, what="safetensors index", limit=_INDEX_LIMIT
    )
    table = source.table_of(values)
    places = source.table_of(table.get("weight_map"))
    names = sorted(set(map(str, places.values())))
    if not names:
        refuse(index, "no-index")
    if len(names) > MAX_PARTS or not all(map(_is_in_folder, names)):
        refuse(index, "damaged", what="it names files outside its folder")
    folder = source.folder_of(index)
    files = [folder + name for name in names]
    total = source.table_of(table.get("metadata")).get("total_size")
    if type(total) is not int or not 0 < total < _MOST_BYTES:
        return Shards(files=tuple(files), total_bytes=None)
    return Shards(files=tuple(files), total_bytes=total)


def _is_in_folder(name: str) -> bool:
    """Whether a name of an index is one of a file beside it."""
    if name in ("", ".", ".."):
        return False
    return os.path.basename(name) == name
