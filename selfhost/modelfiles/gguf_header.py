"""The header of a GGUF file: its keys and its table of tensors. No weights are read.

The format, with all numbers little-endian (ggml's docs/gguf.md):

    magic           the letters "GGUF"
    version         uint32: 2 or 3
    tensor count    uint64
    key count       uint64
    keys            each a text, the id of a type (uint32), and a value of this type
    tensor table    for each tensor its name (a text), the number of dimensions (uint32), the
                    dimensions (uint64 each, the row length first), the id of a type (uint32), and
                    the offset of its data behind the header (uint64)
    data            behind the header, and behind each tensor, come zeros up to a multiple of
                    the key general.alignment, or of 32 without this key

    a text          its length in bytes (uint64), then so many bytes of UTF-8
    a list          the id of a type (uint32), a length (uint64), then so many values

What goes in: the path of a file, which may be hostile. What comes out: a `GgufHeader`. A file is
refused where llama.cpp's gguf.cpp refuses it, and where it costs more than the limits below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from struct import Struct, calcsize
from typing import IO, NamedTuple, NoReturn

from ..catalogue.architecture import MAX_LAYERS
from ..core.files import read_some
from ..core.records import Record
from ..needs.quantization import BLOCKS
from .source import (
    clean,
    open_file,
    readable,
    refuse,
    refuse_other_kinds,
)
from .tables import model_files

# The vocabulary is the largest part of a header: 0.7 to 10 MB in published files.
MAX_HEADER_BYTES = 1 << 27
# Kimi K2 has about 1,100 tensors, since one tensor holds all experts of a layer.
MAX_TENSORS = 100_000
# Models have fewer than 100 keys; converted image models have one key for each reshaped tensor.
_MAX_KEYS = 10_000
# Longer texts, such as a chat template, are skipped; a longer name is a fault.
_MAX_TEXT_BYTES = 1 << 12
# Lists with one entry for each layer are kept; the entries of longer lists are only counted.
_MAX_KEPT_ENTRIES = 2 * MAX_LAYERS
_MAX_KEPT_ENTRIES_IN_ALL = 1 << 20
# GGML_MAX_DIMS of ggml.h
_MAX_DIMENSIONS = 4
# a hundred times as many as the largest matrix of 2026
_MAX_ELEMENTS = 1 << 48
# powers of two
_ALIGNMENTS = frozenset(1 << bits for bits in range(21))
_READ_BYTES = 1 << 20

_UINT64 = Struct("<Q")
# The `struct` codes of the number types: 8-bit, 16-bit and 32-bit integers without and with a sign,
# float32, bool; then 64-bit integers and float64.
_NUMBERS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_TEXT = 8
_LIST = 9
# llama.cpp writes no block numbers with leading zeros.
_BLOCK = re.compile(r"(?s)((?:.*\.)?blk\.)(0|[1-9]\d{0,5})(\..+)$")
_ALIGNMENT = "general.alignment"


class TensorPlace(NamedTuple):
    """The place of a tensor: its name with `*` for the number of its block, and that number; -1
    outside the blocks.
    """

    name: str
    layer: int


class Tensor(Record):
    """An entry of the tensor table.

    `shape` has the row length first. The data of the tensor begin `offset` bytes after the header.
    `bytes` is None for a type whose size is not known.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    bytes: int | None

    @property
    def place(self) -> TensorPlace:
        """The place of the tensor in the model, found from its name."""
        block = _BLOCK.match(self.name)
        if block is None:
            return TensorPlace(self.name, -1)
        before, number, behind = block.groups()
        return TensorPlace(f"{before}*{behind}", int(number))


class GgufHeader(Record):
    """The header of a GGUF file.

    `counts` has the lengths of the values that were too long to keep. `used_bytes` is the size of
    the file without the bytes behind its last tensor, which belong to none.
    """

    file_bytes: int
    used_bytes: int
    values: Mapping[str, object]
    counts: Mapping[str, int]
    tensors: tuple[Tensor, ...]


class _TooLong(Record):
    """A stand-in for a value that is not kept: a long text (one entry) or a long list."""

    entries: int


def read_header(path: str) -> GgufHeader:
    """The header of one file. Raises `SpecError`; reads no weights."""
    stream, file_bytes, start = open_file(path)
    with stream, readable(path):
        if not start.startswith(b"GGUF"):
            refuse_other_kinds(path, start, file_bytes)
            refuse(path, "no-gguf")
        reader = _Reader(path, stream, file_bytes, start)
        reader.skip(len(b"GGUF"))
        version = reader.uint32()
        if version not in (2, 3):
            refuse(path, "version", version=version)
        tensor_count = reader.uint64()
        key_count = reader.uint64()
        if key_count > _MAX_KEYS or tensor_count > MAX_TENSORS:
            counts = f"{key_count:,} keys and {tensor_count:,} tensors"
            reader.damaged(f"it claims to have {counts}")
        return _read_rest(reader, key_count, tensor_count)


def _read_rest(
    reader: _Reader,
    key_count: int,
    tensor_count: int,
) -> GgufHeader:
    """Read the keys and the tensor table."""
    values = {}
    counts = {}
    for _ in range(key_count):
        key = reader.name("key")
        if key in values or key in counts:
            reader.damaged(f'the key "{clean(key)}" occurs twice')
        value = _read_value(reader, key)
        if isinstance(value, _TooLong):
            counts[key] = value.entries
        else:
            values[key] = value
    alignment = values.get(_ALIGNMENT, 32)
    # bool is a separate type in GGUF, but an int in Python
    if type(alignment) is not int or alignment not in _ALIGNMENTS:
        reader.damaged(f"{_ALIGNMENT} is not a power of two")
    tensors = _read_tensors(reader, tensor_count, alignment)
    return GgufHeader(
        file_bytes=reader.file_bytes,
        used_bytes=_used_bytes(reader, tensors, alignment),
        values=values,
        counts=counts,
        tensors=tensors,
    )


class _Reader:
    """A reader of the bytes of a header, in order. Lengths that the header states are checked
    against the size of the file before anything is read. Raises `SpecError` and `Unreadable`.
    """

    def __init__(
        self,
        path: str,
        stream: IO[bytes],
        file_bytes: int,
        start: bytes,
    ) -> None:
        self.path = path
        self.file_bytes = file_bytes
        # the entries of lists kept so far
        self.kept_entries = 0
        # the position of the next value
        self.place = 0
        self._stream = stream
        # the bytes of the file read so far
        self._content = start

    def damaged(self, what: str) -> NoReturn:
        """Raise the `SpecError` of a damaged file."""
        refuse(self.path, "damaged", what=what)

    def skip(self, count: int) -> None:
        """Skip `count` bytes, which must be there."""
        self._need(count)
        self.place += count

    def _need(self, count: int) -> None:
        """Read until `count` more bytes are in memory. Raises where the file ends before them, or
        where they exceed the longest header that is read.
        """
        end = self.place + count
        if end > self.file_bytes:
            refuse(
                self.path,
                "cut-short",
                what=f"it has {self.file_bytes:,} bytes and ends inside its header",
            )
        if end > MAX_HEADER_BYTES:
            self.damaged(f"it has a header of more than {MAX_HEADER_BYTES:,} bytes")
        missing = end - len(self._content)
        if missing <= 0:
            return
        # reads at least as much as was read before, so that a long header is copied only a few
        # times
        wanted = max(missing, _READ_BYTES, len(self._content))
        self._content += read_some(self._stream, wanted)
        if end > len(self._content):
            refuse(self.path, "shorter")

    def uint32(self) -> int:
        """Read the next number of 32 bits."""
        return int.from_bytes(self._bytes(4), "little")

    def uint64(self) -> int:
        """Read the next number of 64 bits."""
        return int.from_bytes(self._bytes(8), "little")

    def _bytes(self, count: int) -> bytes:
        begin = self.place
        self.skip(count)
        return self._content[begin : self.place]

    def numbers(self, type_id: int, count: int) -> list[int | float]:
        """Read the next `count` numbers of a type of `_NUMBERS`."""
        form = Struct(f"<{count}{_NUMBERS[type_id]}")
        return list(form.unpack(self._bytes(form.size)))

    def text(self) -> str | None:
        """Read the next text; None for a text that is too long to keep."""
        length = self.uint64()
        if length > _MAX_TEXT_BYTES:
            self.skip(length)
            return None
        return self._bytes(length).decode("utf-8", "replace")

    def name(self, what: str) -> str:
        """Read the next text, which is a name; `what` says of what. A text longer than any name is
        a fault.
        """
        name = self.text()
        if name is None:
            self.damaged(f"a {what} of more than {_MAX_TEXT_BYTES:,} bytes")
        return name

    def skip_texts(self, count: int) -> None:
        """Skip the next `count` texts. The vocabulary is such a list, and most of a header."""
        # each text begins with a length of 8 bytes, so that the bytes left bound the count that the
        # file claims
        self._need(8 * count)
        while count:
            count -= self._skip_texts_in_memory(count)
            if count:
                self._need(8)
        # the last text must be complete too
        self._need(0)

    def _skip_texts_in_memory(self, count: int) -> int:
        """Skip those of the next `count` texts whose lengths are in memory, and return how many
        texts were skipped.

        The place is then after the last of them, which may not be in memory yet, nor even in the
        file.
        """
        content = self._content
        place = self.place
        last = len(content) - 8
        length_at = _UINT64.unpack_from
        left = count
        while left and place <= last:
            place += 8 + length_at(content, place)[0]
            left -= 1
        self.place = place
        return count - left


def _read_value(reader: _Reader, key: str) -> object:
    """Read the value of that key: a number, a text or a list of numbers, or a `_TooLong` in its
    place.
    """
    type_id = reader.uint32()
    if type_id in _NUMBERS:
        return reader.numbers(type_id, 1)[0]
    if type_id == _TEXT:
        text = reader.text()
        return _TooLong(entries=1) if text is None else text
    if type_id != _LIST:
        fault = f"has a value of the unknown type {type_id}"
        reader.damaged(f'"{clean(key)}" {fault}')
    return _read_list(reader, key)


def _read_list(reader: _Reader, key: str) -> object:
    """Read the list of that key, or a `_TooLong` in its place. Lists of texts are never kept."""
    type_id = reader.uint32()
    length = reader.uint64()
    if type_id == _TEXT:
        reader.skip_texts(length)
        return _TooLong(entries=length)
    if type_id not in _NUMBERS:
        fault = "is a list of lists, or of values of an unknown type"
        reader.damaged(f'"{clean(key)}" {fault}')
    if length > _MAX_KEPT_ENTRIES:
        reader.skip(length * calcsize(f"<{_NUMBERS[type_id]}"))
        return _TooLong(entries=length)
    reader.kept_entries += length
    if reader.kept_entries > _MAX_KEPT_ENTRIES_IN_ALL:
        reader.damaged("its lists are larger than those of any model")
    return reader.numbers(type_id, length)


def _padded(count: int, alignment: int) -> int:
    """The next multiple of the alignment."""
    return -(-count // alignment) * alignment


def _read_tensors(
    reader: _Reader,
    count: int,
    alignment: int,
) -> tuple[Tensor, ...]:
    """Read the entries of the tensor table. The data of each tensor must begin where those before
    it end.
    """
    tensors = {}
    # None after a tensor of unknown size: the next tensor begins where the header says
    end: int | None = 0
    for _ in range(count):
        tensor = _read_tensor(reader)
        if tensor.name in tensors:
            reader.damaged(f"{_called(tensor.name)} occurs twice")
        if end is not None and tensor.offset != end:
            where = f"{tensor.offset:,} bytes after the header, not {end:,}"
            reader.damaged(f"{_called(tensor.name)} begins {where}")
        end = None
        if tensor.bytes is not None:
            end = _padded(tensor.offset + tensor.bytes, alignment)
        tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _read_tensor(reader: _Reader) -> Tensor:
    """Read the next entry of the tensor table."""
    table = model_files().gguf
    name = reader.name("tensor's name")
    shape = _read_shape(reader, name)
    type_id = str(reader.uint32())
    offset = reader.uint64()
    if type_id in table.retired:
        old, instead = table.retired[type_id]
        refuse(reader.path, "retired", what=_called(name), old=old, left=instead)
    type = table.types.get(type_id, f"type {type_id}")
    try:
        bytes = _bytes_of(shape, type)
    except ValueError:
        reader.damaged(f"rows of {shape[0]:,} in {_called(name)} cannot be {type}")
    return Tensor(name=name, shape=shape, type=type, offset=offset, bytes=bytes)


def _bytes_of(shape: tuple[int, ...], type: str) -> int | None:
    """The bytes of a tensor; None for a type whose size is not known. `ValueError` where a row is
    not a whole number of blocks.
    """
    block = BLOCKS.get(type) or model_files().gguf.blocks.get(type)
    if block is None:
        return None
    elements, block_bytes = block
    if shape[0] % elements:
        raise ValueError(type)
    return prod(shape) // elements * block_bytes


def _read_shape(reader: _Reader, name: str) -> tuple[int, ...]:
    """Read the dimensions of the tensor with that name; one dimension of 1 where it has none."""
    dimensions = reader.uint32()
    if dimensions > _MAX_DIMENSIONS:
        reader.damaged(f"{_called(name)} has {dimensions:,} dimensions")
    shape = [reader.uint64() for _ in range(dimensions)] or [1]
    if 0 in shape or prod(shape) >= _MAX_ELEMENTS:
        sizes = " × ".join(map(str, shape))
        reader.damaged(f"{_called(name)} has the shape {sizes}")
    return tuple(shape)


def _called(name: str) -> str:
    """The tensor of that name, as a message calls it."""
    return f'the tensor "{clean(name)}"'


def _used_bytes(
    reader: _Reader,
    tensors: tuple[Tensor, ...],
    alignment: int,
) -> int:
    """The size of the file without the bytes behind its last tensor and the padding of that; the
    whole size where the size of a tensor is not known. The reader must stand at the end of the
    header.

    Raises `SpecError` for a file that ends before its tensors.
    """
    if not tensors:
        return reader.file_bytes
    # a tensor of unknown size has at least one byte
    data_bytes = max(tensor.offset + (tensor.bytes or 1) for tensor in tensors)
    needed_bytes = _padded(reader.place, alignment) + data_bytes
    missing_bytes = needed_bytes - reader.file_bytes
    if missing_bytes > 0:
        refuse(
            reader.path,
            "cut-short",
            what=f"{missing_bytes:,} of its {needed_bytes:,} bytes are missing",
        )
    if any(tensor.bytes is None for tensor in tensors):
        return reader.file_bytes
    return min(_padded(needed_bytes, alignment), reader.file_bytes)
