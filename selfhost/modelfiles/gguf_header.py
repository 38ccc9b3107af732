"""The bytes of a GGUF header -> its values and its tensor table; no weights are read.

The layout is that of ggml's docs/gguf.md. It is read as strictly as llama.cpp's gguf.cpp does.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from struct import Struct, unpack_from

from ..catalogue.spec import MAX_LAYERS
from ..core.records import Record
from .gguf_types import RETIRED, RETIRED_LAYOUTS, TYPES
from .naming import clean
from .source import cut_short, damaged, fail, open_file, read_some, refuse_other_kinds

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO, Any, NoReturn

_MAGIC = b"GGUF"
# The vocabulary is most of a header: 0.7 to 10 MB in published files. The limits bound what a
# hostile file can cost.
MAX_HEADER_BYTES = 1 << 27
_MAX_KEYS = 10_000
# In all parts of a file: the experts of a layer are one tensor, so Kimi K2 has about 1,100.
MAX_TENSORS = 100_000
# In all lists together: Gemma 4 has 262,144 tokens and 514,906 merges.
_MAX_STRINGS = 1 << 22
# What is kept in memory: keys, texts and lists, and names of tensors. Published headers have 20
# to 200 kB of each.
_MAX_KEPT_BYTES = 1 << 22
_MAX_NAMES_BYTES = 1 << 24
# Arrays with an entry for each layer are kept. Longer ones (the vocabulary) are only counted.
MAX_KEPT = 2 * MAX_LAYERS
_MAX_KEPT_TEXT = 1 << 12
_MAX_NAME = 1 << 16
_CHUNK = 1 << 20
_LENGTH = Struct("<Q").unpack_from

# id of a value's type -> its bytes and struct format
_VALUES: Mapping[int, tuple[int, str]] = {
    0: (1, "B"), 1: (1, "b"), 2: (2, "H"), 3: (2, "h"), 4: (4, "I"), 5: (4, "i"), 6: (4, "f"),
    7: (1, "?"), 10: (8, "Q"), 11: (8, "q"), 12: (8, "d"),
}  # fmt: skip
_STRING, _ARRAY = 8, 9


class Tensor(Record):
    """One entry of the tensor table.

    `shape` has the row length first. `bytes` is None for a type whose size is not known.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int | None


class Header(Record):
    """What a file says of itself. `counts` has the lengths of arrays that were not kept."""

    path: str
    size: int
    values: Mapping[str, Any]
    counts: Mapping[str, int]
    tensors: tuple[Tensor, ...]


class _Stream:
    """The header's bytes in order. Everything it raises is a `SpecError`."""

    def __init__(self, path: str, stream: IO[bytes], size: int, start: bytes) -> None:
        """`start` holds the first bytes, which were read already."""
        self.path, self.stream, self.size = path, stream, size
        self.buffer = start
        self.place = 0
        self.start = 0
        self.strings_left = _MAX_STRINGS
        self.left = {"keys and values": _MAX_KEPT_BYTES, "names of tensors": _MAX_NAMES_BYTES}

    @property
    def position(self) -> int:
        return self.start + self.place

    def fill(self, count: int) -> None:
        """Have `count` bytes from the current place in the buffer."""
        here = self.position
        if here + count > self.size:
            cut_short(self.path, f"it has {self.size:,} bytes and ends inside its header")
        if here + count > MAX_HEADER_BYTES:
            damaged(self.path, f"it has a header of more than {MAX_HEADER_BYTES:,} bytes")
        rest = self.buffer[self.place :] if self.place <= len(self.buffer) else b""
        if not rest:
            try:
                self.stream.seek(here)
            except OSError as error:
                fail(self.path, f"cannot be read: {error.strerror}")
        self.buffer = rest + read_some(self.path, self.stream, max(count - len(rest), _CHUNK))
        self.start, self.place = here, 0
        if len(self.buffer) < count:
            remedy = "wait until nothing writes to it any more"
            fail(self.path, "became shorter while it was read", remedy)

    def take(self, count: int) -> bytes:
        if self.place + count > len(self.buffer):
            self.fill(count)
        content = self.buffer[self.place : self.place + count]
        self.place += count
        return content

    def number(self, bytes: int, form: str) -> Any:
        """One number of so many bytes in a format of `struct`."""
        return unpack_from("<" + form, self.take(bytes))[0]

    def skip(self, count: int) -> None:
        """Go over `count` bytes without reading those beyond the buffer."""
        self.place += count
        if self.place > len(self.buffer):
            self.fill(0)

    def keep(self, count: int, what: str) -> None:
        """Count what stays in memory. A text of 5 bytes may take 64."""
        self.left[what] -= count
        if self.left[what] < 0:
            damaged(self.path, f"its {what} take more than any model's")

    def text(self, limit: int, what: str, kept: str) -> str:
        length = self.number(8, "Q")
        if length > limit:
            damaged(self.path, f"a {what} of {length:,} bytes")
        self.keep(length, kept)
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Go over an array of strings. The vocabulary is one, so this loop takes most of the time
        that a header needs.
        """
        self.strings_left -= count
        while count:
            buffer, place, end = self.buffer, self.place, len(self.buffer) - 8
            while count and place <= end:
                place += 8 + _LENGTH(buffer, place)[0]
                count -= 1
            self.place = place
            if count:
                self.fill(8)


def read_header(path: str, *, alone: bool = False) -> Header:
    """The header of one file. Raises `SpecError`; reads no weights.

    `alone`: the file may end behind its header, as where only its first bytes were fetched; `size`
    is that of the whole file then, without what some writers put behind the last tensor.
    """
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
        if start.startswith(_MAGIC[::-1]):
            # gguf_convert_endian.py writes this in front since 2026
            _refuse_big_endian(path)
        if not start.startswith(_MAGIC):
            refuse_other_kinds(path, start, size)
            fault = "is not a GGUF file: it does not begin with the letters GGUF"
            fail(path, fault, "give the model's GGUF file as it was published")
        return _header(_Stream(path, stream, size, start), alone=alone)


def _refuse_big_endian(path: str) -> NoReturn:
    fail(
        path,
        "is a big-endian GGUF file, which llama.cpp loads on big-endian systems (s390x) alone",
        "ask for the model by its name; elsewhere download the little-endian file, or convert it"
        " with llama.cpp's gguf_convert_endian.py",
    )


def _header(source: _Stream, *, alone: bool) -> Header:
    path = source.path
    source.take(len(_MAGIC))
    version = source.number(4, "I")
    if version & 0xFFFF == 0:
        _refuse_big_endian(path)
    if version not in (2, 3):
        fault = f"is GGUF of version {version}, and versions 2 and 3 are read"
        fail(path, fault, "download the model's newer GGUF file, or update selfhost")
    tensor_count, key_count = source.number(8, "Q"), source.number(8, "Q")
    if key_count > _MAX_KEYS or tensor_count > MAX_TENSORS:
        damaged(path, f"it claims to have {key_count:,} keys and {tensor_count:,} tensors")
    values: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for _ in range(key_count):
        key = source.text(_MAX_NAME, "key", "keys and values")
        if key in values or key in counts:
            damaged(path, f'the key "{clean(key)}" stands in it twice')
        _value(source, key, values, counts)
    alignment = values.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        damaged(path, "general.alignment is no power of two")
    tensors, whole = _tensors(source, tensor_count, alignment)
    if whole > source.size and not alone:
        cut_short(path, f"{whole - source.size:,} of its {whole:,} bytes are missing")
    size = max(whole, source.size)
    return Header(path=path, size=size, values=values, counts=counts, tensors=tensors)


def _value(source: _Stream, key: str, values: dict[str, Any], counts: dict[str, int]) -> None:
    """Add the next value to `values`, or only its length to `counts` where it is too long."""
    kind = source.number(4, "I")
    if kind in _VALUES:
        values[key] = source.number(*_VALUES[kind])
    elif kind == _STRING:
        length = source.number(8, "Q")
        if length > _MAX_KEPT_TEXT:
            source.skip(length)
            counts[key] = length
        else:
            source.keep(length, "keys and values")
            values[key] = source.take(length).decode("utf-8", "replace")
    elif kind == _ARRAY:
        _array(source, key, values, counts)
    else:
        damaged(source.path, f'"{clean(key)}" has a value of the unknown type {kind}')


def _array(source: _Stream, key: str, values: dict[str, Any], counts: dict[str, int]) -> None:
    inner, length = source.number(4, "I"), source.number(8, "Q")
    if inner == _STRING:
        if length > source.strings_left:
            damaged(source.path, f'"{clean(key)}" claims to list {length:,} texts')
        source.skip_strings(length)
        counts[key] = length
    elif inner in _VALUES:
        size, form = _VALUES[inner]
        if length <= MAX_KEPT:
            # a number takes up to 40 bytes in a list, however few it has in the file
            source.keep(8 * length, "keys and values")
            values[key] = list(unpack_from(f"<{length}{form}", source.take(size * length)))
        else:
            source.skip(size * length)
            counts[key] = length
    else:
        damaged(source.path, f'"{clean(key)}" is a list of lists, or of values of an unknown type')


# -------------------------------------------------------------------------- the tensor table


def _tensors(source: _Stream, count: int, alignment: int) -> tuple[tuple[Tensor, ...], int]:
    """The tensors, each where the one before it ends, and how many bytes a file has that holds
    them all.
    """
    entries: dict[str, tuple[Tensor, int]] = {}
    # None behind a tensor of unknown size: the next one begins where the header says
    end: int | None = 0
    for _ in range(count):
        tensor, offset = _tensor(source)
        if tensor.name in entries:
            damaged(source.path, f'the tensor "{clean(tensor.name)}" stands in it twice')
        if end is not None and offset != end:
            begins = f"begins {offset:,} bytes after the header, not {end:,}"
            damaged(source.path, f'the tensor "{clean(tensor.name)}" {begins}')
        end = None if tensor.bytes is None else offset + _aligned(tensor.bytes, alignment)
        entries[tensor.name] = tensor, offset
    first = _aligned(source.position, alignment)
    ends = (offset + (tensor.bytes or 1) for tensor, offset in entries.values())
    return tuple(tensor for tensor, _ in entries.values()), max(map(first.__add__, ends), default=0)


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _tensor(source: _Stream) -> tuple[Tensor, int]:
    """The next entry, and how many bytes behind the header its data begin."""
    path = source.path
    name = source.text(_MAX_NAME, "tensor's name", "names of tensors")
    dimensions = source.number(4, "I")
    if dimensions > 4:
        damaged(path, f'the tensor "{clean(name)}" has {dimensions:,} dimensions')
    shape = unpack_from(f"<{dimensions}Q", source.take(8 * dimensions)) or (1,)
    if min(shape) < 1 or prod(shape) >= 1 << 48:
        sizes = " × ".join(map(str, shape))
        damaged(path, f'the tensor "{clean(name)}" has the shape {sizes}')
    type_id, offset = source.number(4, "I"), source.number(8, "Q")
    if type_id in RETIRED:
        old, left = RETIRED[type_id]
        why = ": it is brought into that layout while loading" if type_id in RETIRED_LAYOUTS else ""
        fault = f'stores the tensor "{clean(name)}" as {old}, which llama.cpp no longer loads'
        fail(path, fault, f"download the model in {left}{why}")
    block = TYPES.get(type_id)
    if block is None:
        return Tensor(name=name, shape=shape, type=f"type {type_id}", bytes=None), offset
    type, elements, size = block
    if shape[0] % elements:
        damaged(path, f'rows of {shape[0]:,} in the tensor "{clean(name)}" cannot be {type}')
    return Tensor(name=name, shape=shape, type=type, bytes=prod(shape) // elements * size), offset
