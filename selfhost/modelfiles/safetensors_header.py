"""The header of a safetensors file, and the index of a model in several files. No weights are read.

The format (huggingface/safetensors README, "Format"):

    length      uint64, little-endian: the bytes of the header
    header      a JSON object: for each tensor its dtype, its shape, and the begin and the end of
                its data behind the header (data_offsets); "__metadata__" has texts
    data        those of all tensors, without a gap

An index, `*.safetensors.index.json`, is a JSON object: `weight_map` names the file of each tensor,
`metadata.total_size` the bytes of all tensors.

What goes in: the path of a file, which may be hostile. What comes out: a `SafetensorsHeader` or the
`Shards`. A file is damaged where the reader of safetensors 0.8.0 refuses it
(safetensors/src/tensor.rs, read_metadata and validate): each tensor is as long as its shape in its
dtype, and they follow each other without a gap and fill the data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import prod

from ..core.files import MAX_PARTS, read_some
from ..core.records import Record
from .source import (
    JsonKind,
    OpenedFile,
    clean,
    open_file,
    parse_json,
    read_json,
    readable,
    refuse,
    refuse_other_kinds,
    table_of,
)
from .tables import model_files

# the limit of safetensors itself
MAX_HEADER_BYTES = 100_000_000
# An entry takes 120 to 200 bytes. A LoRA adapter of every expert of Kimi K2 in one file would have
# 138,240 entries.
MAX_READ_HEADER_BYTES = 50_000_000
MAX_TENSORS = 200_000
# an entry with a shape of six dimensions: {, two [, four :, and 11 commas
_SIGNS_PER_TENSOR = 14
# an index names every tensor of a model (Kimi K3: 494,592) with a colon and a comma each
MAX_INDEX_BYTES = 1 << 26
_IN_SHARDS = "give the model in several files (shards), or a spec of it: `selfhost check FILE.toml`"
_HEADER = JsonKind(
    what="file", signs=MAX_TENSORS * _SIGNS_PER_TENSOR, remedy=_IN_SHARDS
)
_INDEX = JsonKind(
    what="safetensors index",
    most_bytes=MAX_INDEX_BYTES,
    signs=1_500_000,
    remedy=_IN_SHARDS,
)

_LENGTH_BYTES = 8
_MAX_UINT64 = 2**64 - 1
# the numbers of a shape, which has at most 64 in PyTorch, and the two offsets of its data
_MAX_SIZES = 66
# more bytes than any model has
_MOST_BYTES = 1 << 60
_BLANKS = b" \t\r\n"


class StoredTensor(Record):
    """A tensor of a safetensors file: its dtype in safetensors' words, its number of elements,
    their bytes, and the place where these begin behind the header.
    """

    dtype: str
    elements: int
    bytes: int
    begin: int


class SafetensorsHeader(Record):
    """The size of a file, and its tensors by their names."""

    file_bytes: int
    tensors: Mapping[str, StoredTensor]


class Shards(Record):
    """The files that an index names, and the bytes of all their tensors; None where the index does
    not say.
    """

    files: tuple[str, ...]
    total_bytes: int | None = None


def read_header(path: str) -> SafetensorsHeader:
    """The header of one file. Raises `SpecError`; reads no weights."""
    opened = open_file(path)
    with opened.stream, readable(path):
        length = _header_length(path, opened)
        content = opened.start[_LENGTH_BYTES:]
        content += read_some(opened.stream, length - len(content))
        content = content[:length]
    entries = parse_json(path, content, _HEADER)
    # only JSON that begins with a brace is parsed
    assert isinstance(entries, dict)
    texts = entries.pop("__metadata__", None)
    if not _are_texts(texts):
        refuse(path, "damaged", what="its __metadata__ is not a table of texts")
    if len(entries) > MAX_TENSORS:
        refuse(path, "tensors", count=len(entries), most=MAX_TENSORS)
    tensors = {}
    for name, entry in entries.items():
        tensors[name] = _tensor(path, name, entry)
    unused_bytes = opened.size - _LENGTH_BYTES - length - _end_of_data(path, tensors)
    if unused_bytes < 0:
        refuse(
            path, "cut-short", what=f"{-unused_bytes:,} bytes are missing at its end"
        )
    if unused_bytes:
        refuse(path, "damaged", what=f"{unused_bytes:,} bytes belong to no tensor")
    return SafetensorsHeader(file_bytes=opened.size, tensors=tensors)


def _are_texts(value: object) -> bool:
    """Whether `__metadata__` is what the reader takes: a table of texts, or null."""
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    return all(isinstance(text, str) for text in value.values())


def _end_of_data(path: str, tensors: Mapping[str, StoredTensor]) -> int:
    """The bytes of all tensors. Raises `SpecError` where one does not begin where the tensor before
    it ends.
    """
    end = 0
    in_order = sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].bytes))
    for name, tensor in in_order:
        if tensor.begin != end:
            where = f"{tensor.begin:,} bytes after the header, not {end:,}"
            what = f'the tensor "{clean(name)}" begins {where}'
            refuse(path, "damaged", what=what)
        end += tensor.bytes
    return end


def _header_length(path: str, opened: OpenedFile) -> int:
    """The bytes of the JSON, all of which lie in the file. Raises `SpecError`."""
    start = opened.start
    refuse_other_kinds(path, start, opened.size)
    if start.startswith(b"GGUF"):
        refuse(path, "misnamed")
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    header = start[_LENGTH_BYTES:].lstrip(_BLANKS)
    if length > MAX_HEADER_BYTES or not header.startswith(b"{"):
        refuse(path, "no-safetensors", is_json=start.lstrip().startswith((b"{", b"[")))
    if length > MAX_READ_HEADER_BYTES:
        refuse(path, "long-header", length=length, most=MAX_READ_HEADER_BYTES)
    missing = _LENGTH_BYTES + length - opened.size
    if missing > 0:
        refuse(path, "cut-short", what=f"{missing:,} bytes of its header are missing")
    return length


def _tensor(
    path: str,
    name: str,
    entry: object,
) -> StoredTensor:
    """The tensor of an entry. Raises `SpecError`."""
    called = f'the tensor "{clean(name)}"'
    match entry:
        case {
            "dtype": str(dtype),
            "shape": [*shape],
            "data_offsets": [begin, end],
        } if _are_sizes([*shape, begin, end]):
            pass
        case _:
            refuse(
                path,
                "damaged",
                what=f"{called} has no usable dtype, shape and data_offsets",
            )
    bits = model_files().safetensors.bits
    if dtype not in bits:
        refuse(
            path,
            "dtype",
            name=clean(name),
            dtype=clean(dtype),
            types=bits,
        )
    elements = prod(shape)
    bytes = end - begin
    if elements * bits[dtype] != 8 * bytes:
        refuse(path, "damaged", what=f"{called} does not have the size of its shape")
    return StoredTensor(dtype=dtype, elements=elements, bytes=bytes, begin=begin)


def _are_sizes(values: Sequence[object]) -> bool:
    """Whether these are unsigned numbers of 64 bits, and not so many that a hostile shape takes
    minutes to multiply.
    """
    if len(values) > _MAX_SIZES:
        return False
    for value in values:
        if type(value) is not int:
            return False
        if not 0 <= value <= _MAX_UINT64:
            return False
    return True


def shards_in(index: str) -> Shards:
    """The files that an index names, beside it. Raises `SpecError` for names elsewhere."""
    table = table_of(read_json(index, _INDEX))
    places = table_of(table.get("weight_map"))
    names = sorted(set(map(str, places.values())))
    if not names:
        refuse(index, "no-index")
    if len(names) > MAX_PARTS:
        refuse(index, "damaged", what=f"it names {len(names):,} files")
    folder = os.path.dirname(index)
    files = []
    for name in names:
        if name in ("", ".", "..") or name != os.path.basename(name):
            refuse(index, "damaged", what="it names files outside its folder")
        files.append(os.path.join(folder, name))
    total = table_of(table.get("metadata")).get("total_size")
    if type(total) is not int or not 0 < total < _MOST_BYTES:
        total = None
    return Shards(files=tuple(files), total_bytes=total)
