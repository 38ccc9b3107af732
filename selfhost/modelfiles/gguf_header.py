"""The bytes of a GGUF header -> its values and its tensor table; no weights are read.

The layout is that of ggml's docs/gguf.md. It is read as strictly as llama.cpp's gguf.cpp does.
Names and ids of types are those of ggml.h and ggml-common.h (2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from struct import Struct, calcsize, unpack_from
from typing import IO, Any, NoReturn

from ..catalogue.architecture import MAX_LAYERS
from ..core.files import read_some
from ..core.records import Record
from ..needs.quantization import BLOCKS
from . import source

# Limits bound what a hostile file can cost. The vocabulary is most of a header: 0.7 to 10 MB in
# published files. Kimi K2 has about 1,100 tensors, as the experts of a layer are one.
MAX_HEADER_BYTES = 1 << 27
MAX_TENSORS = 100_000
_MAX_KEYS = 10_000
_MAX_NAME = 1 << 12
# arrays with an entry for each layer are kept; longer ones (the vocabulary) are only counted
_MAX_KEPT = 2 * MAX_LAYERS
_MAX_KEPT_IN_ALL = 1 << 20
_CHUNK = 1 << 20
_LENGTH = Struct("<Q").unpack_from

# id of a value's type -> its struct format
_VALUES: Mapping[int, str] = {**dict(enumerate("BbHhIif?")), 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# a number with a leading zero is none of llama.cpp's
_BLOCK = re.compile(r"(?s)((?:.*\.)?blk\.)(0|[1-9]\d{0,5})(\..+)$")


class Tensor(Record):
    """One entry of the tensor table.

    `shape` has the row length first. `bytes` is None for a type whose size is not known.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int | None

    @property
    def place(self) -> tuple[str, int]:
        """Its name with `*` for the number of its block, and that number; -1 outside the blocks."""
        block = _BLOCK.match(self.name)
        return (f"{block[1]}*{block[3]}", int(block[2])) if block else (self.name, -1)


class Header(Record):
    """What a file says of itself. `counts` has the lengths of arrays that were not kept;
    `unused_bytes` lie behind the last tensor and its padding, 0 where its size is not known.
    """

    file_bytes: int
    unused_bytes: int
    values: Mapping[str, Any]
    counts: Mapping[str, int]
    tensors: tuple[Tensor, ...]


class _Reader:
    """Reads a header's bytes in order. It raises `SpecError` and `Unreadable`."""

    def __init__(
        self, path: str, stream: IO[bytes], file_bytes: int, read: bytes
    ) -> None:
        self.path, self.stream, self.file_bytes, self.content = (
            path,
            stream,
            file_bytes,
            read,
        )
        self.place = self.kept = 0

    def damaged(self, what: str) -> NoReturn:
        source.refuse(self.path, "damaged", what=what)

    def skip(self, count: int) -> None:
        """Go on by that many bytes; all up to there are read."""
        end = self.place = self.place + count
        if end > self.file_bytes:
            what = f"it has {self.file_bytes:,} bytes and ends inside its header"
            source.refuse(self.path, "cut-short", what=what)
        if end > MAX_HEADER_BYTES:
            self.damaged(f"it has a header of more than {MAX_HEADER_BYTES:,} bytes")
        if (missing := end - len(self.content)) > 0:
            # as much again as there is, so that a long header is copied a few times only
            self.content += read_some(
                self.stream, max(missing, _CHUNK, len(self.content))
            )
        if end > len(self.content):
            source.refuse(self.path, "shorter")

    def values(self, form: str) -> tuple[Any, ...]:
        begin, form = self.place, f"<{form}"
        self.skip(calcsize(form))
        return unpack_from(form, self.content, begin)

    def text(self, what: str | None = None) -> str | None:
        """The next text; of one that is too long for a name None, or the fault of `what` it is."""
        (length,) = self.values("Q")
        begin = self.place
        if length > _MAX_NAME and what:
            self.damaged(f"a {what} of {length:,} bytes")
        self.skip(length)
        text = self.content[begin : self.place] if length <= _MAX_NAME else None
        return text.decode("utf-8", "replace") if text is not None else None


def read_header(path: str) -> Header:
    """The header of one file. Raises `SpecError`; reads no weights."""
    stream, size, start = source.open_file(path)
    with stream, source.readable(path):
        version = int.from_bytes(start[4:8], "little") if len(start) >= 8 else 3
        if not start.startswith(b"GGUF"):
            source.refuse_other_kinds(path, start, size)
            source.refuse(path, "no-gguf")
        if version not in (2, 3):
            source.refuse(path, "version", version=version)
        reader = _Reader(path, stream, size, start)
        reader.skip(8)
        tensor_count, key_count = reader.values("QQ")
        if key_count > _MAX_KEYS or tensor_count > MAX_TENSORS:
            reader.damaged(
                f"it claims to have {key_count:,} keys and {tensor_count:,} tensors"
            )
        values: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for _ in range(key_count):
            key = reader.text("key") or ""
            if key in values or key in counts:
                reader.damaged(f'the key "{source.clean(key)}" occurs twice')
            value, length = _value(reader, key)
            if value is None:
                counts[key] = length
            else:
                values[key] = value
        tensors, unused = _tensors(
            reader, tensor_count, values.get("general.alignment", 32)
        )
        return Header(
            file_bytes=size,
            unused_bytes=unused,
            values=values,
            counts=counts,
            tensors=tensors,
        )


def _value(reader: _Reader, key: str) -> tuple[Any, int]:
    """The next value, and how long it is; None in its place where it is too long to keep."""
    (kind,) = reader.values("I")
    if kind in _VALUES:
        return reader.values(_VALUES[kind])[0], 1
    if kind == _STRING:
        return reader.text(), 1
    if kind != _ARRAY:
        reader.damaged(f'"{source.clean(key)}" has a value of the unknown type {kind}')
    inner, length = reader.values("I") + reader.values("Q")
    if inner == _STRING:
        # the vocabulary is such an array, and most of what a header needs
        begin, left = reader.place, length
        reader.skip(8 * left)
        reader.place = begin
        while left:
            content, place, last = reader.content, reader.place, len(reader.content) - 8
            while left and place <= last:
                place += 8 + _LENGTH(content, place)[0]
                left -= 1
            reader.place = place
            reader.skip(8 if left else 0)
            reader.place = place
        return None, length
    if inner not in _VALUES:
        reader.damaged(
            f'"{source.clean(key)}" is a list of lists, or of values of an unknown type'
        )
    if length > _MAX_KEPT:
        reader.skip(calcsize(f"<{_VALUES[inner]}") * length)
        return None, length
    reader.kept += length
    if reader.kept > _MAX_KEPT_IN_ALL:
        reader.damaged("its lists are larger than those of any model")
    return list(reader.values(f"{length}{_VALUES[inner]}")), length


def _tensors(
    reader: _Reader, count: int, alignment: Any
) -> tuple[tuple[Tensor, ...], int]:
    """The entries of the table, and how many bytes lie behind the data of all."""
    if (
        type(alignment) is not int
        or not 1 <= alignment <= 1 << 20
        or alignment & (alignment - 1)
    ):
        reader.damaged("general.alignment is not a power of two")
    tensors: dict[str, Tensor] = {}
    # None behind a tensor of unknown size: the next one begins where the header says
    end: int | None = 0
    data_bytes = 0
    for _ in range(count):
        tensor, offset = _tensor(reader)
        what = f'the tensor "{source.clean(tensor.name)}"'
        if tensor.name in tensors:
            reader.damaged(f"{what} occurs twice")
        if end is not None and offset != end:
            reader.damaged(
                f"{what} begins {offset:,} bytes after the header, not {end:,}"
            )
        # the data of each tensor begin at a multiple
        end = (
            None
            if tensor.bytes is None
            else -(-(offset + tensor.bytes) // alignment) * alignment
        )
        data_bytes = max(data_bytes, offset + (tensor.bytes or 1))
        tensors[tensor.name] = tensor
    header_bytes = -(-reader.place // alignment) * alignment
    whole = header_bytes + data_bytes if tensors else 0
    if whole > reader.file_bytes:
        missing = f"{whole - reader.file_bytes:,} of its {whole:,} bytes are missing"
        source.refuse(reader.path, "cut-short", what=missing)
    is_end_known = bool(tensors) and end is not None
    unused = (
        max(0, reader.file_bytes - header_bytes - (end or 0)) if is_end_known else 0
    )
    return tuple(tensors.values()), unused


def _tensor(reader: _Reader) -> tuple[Tensor, int]:
    """The next entry, and how many bytes behind the header its data begin."""
    name = reader.text("tensor's name") or ""
    what = f'the tensor "{source.clean(name)}"'
    (dimensions,) = reader.values("I")
    if dimensions > 4:
        reader.damaged(f"{what} has {dimensions:,} dimensions")
    shape = reader.values(f"{dimensions}Q") or (1,)
    if min(shape) < 1 or prod(shape) >= 1 << 48:
        reader.damaged(f"{what} has the shape {' × '.join(map(str, shape))}")
    type_id, offset = reader.values("IQ")
    names = source.TEXTS["gguf"]
    if str(type_id) in names["retired"]:
        old, left = names["retired"][str(type_id)]
        why = (
            ": it is brought into that layout while loading"
            if old.count("_") > 1
            else ""
        )
        source.refuse(reader.path, "retired", what=what, old=old, left=left, why=why)
    type = names["types"].get(str(type_id), f"type {type_id}")
    elements, size = BLOCKS.get(type) or names["blocks"].get(type, (1, 0))
    if shape[0] % elements:
        reader.damaged(f"rows of {shape[0]:,} in {what} cannot be {type}")
    bytes = prod(shape) // elements * size or None
    return Tensor(name=name, shape=shape, type=type, bytes=bytes), offset
