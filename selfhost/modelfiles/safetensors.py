"""safetensors files -> how many weights of which type they hold, and their size, from their headers alone.

The layout: 8 bytes with the header's length, the header as JSON (name -> dtype, shape, data_offsets), the data
(huggingface/safetensors README, "Format"; the limit of 100 MB is that of its own reader).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import prod
from struct import unpack

from ..facts import Record
from .naming import clean, listed
from .source import fail, open_file, parse_json, read_json, read_some, refuse_other_kinds, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 1_000_000
# the index of a model of 1,000 billion parameters has 20 MB
MAX_INDEX_BYTES = 1 << 26
MAX_SHARDS = 10_000
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.safetensors)$", re.IGNORECASE | re.DOTALL)

# dtype -> bits, and its name in the words of DTYPES (None: no type that weights are published in)
_TYPES: Mapping[str, tuple[int, str | None]] = {
    "BF16": (16, "bfloat16"), "F16": (16, "float16"), "F32": (32, "float32"), "F64": (64, None), "F8_E4M3": (8, "float8_e4m3"),
    "F8_E5M2": (8, None), "F8_E8M0": (8, None), "I64": (64, None), "I32": (32, None), "I16": (16, None), "I8": (8, "int8"),
    "U64": (64, None), "U32": (32, None), "U16": (16, None), "U8": (8, None), "BOOL": (8, None), "F4": (4, None), "C64": (64, None),
    "F6_E2M3": (6, None), "F6_E3M2": (6, None),
}  # fmt: skip
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})
# a weight in one of these has the shape of its matrix
_TRUE_SHAPES = _PLAIN | {"F8_E4M3"}
# tensors of the language model's layers, under the prefixes that classes of transformers write; those of encoders have others
_IN_LAYER = re.compile(
    r"(?:(?:model\.|language_model\.|model\.language_model\.|language_model\.model\.|gpt_neox\.|backbone\.|model\.decoder\.|decoder\."
    r"|transformer\.encoder\.)?layers|(?:transformer\.)?h|transformer\.blocks|(?:bert\.|roberta\.)?encoder\.layer)\.(\d{1,6})\.(.+)\Z",
    re.DOTALL,
)
# of which the shape follows from a config.json, outputs first, whatever the class; eh_proj marks a block that predicts more tokens
_COMPARED = re.compile(
    r"self_attn\.(?:[kv]_proj|qkv_proj|kv_a_proj_with_mqa)\.weight|mlp\.(?:up|down)_proj\.weight"
    r"|(?:self_attention|attention)\.query_key_value\.weight|eh_proj\.weight"
)


class Weights(Record):
    """The weights of one model: `size` of all files in bytes, and elements by dtype.

    `layers`: by number of a layer, name and shape of those of its tensors that a config.json tells the shape of, unless they are packed.
    """

    files: tuple[str, ...]
    size: int
    elements: Mapping[str, int]
    layers: Mapping[int, Mapping[str, tuple[int, ...]]] = {}

    @property
    def total(self) -> int | None:
        """Parameters; None where some are packed, so that elements are no parameters."""
        if set(self.elements) <= _PLAIN:
            return sum(self.elements.values())
        return None

    @property
    def data_bytes(self) -> int:
        """What the tensors take without the headers."""
        return sum((count * _TYPES[name][0] + 7) // 8 for name, count in self.elements.items() if name in _TYPES)

    @property
    def dtype(self) -> str | None:
        """The type of most elements, in the words of DTYPES; None for packed ones."""
        most = max(self.elements, key=lambda name: self.elements[name], default="")
        return _TYPES[most][1] if most in _TYPES else None


def read_file(path: str) -> tuple[int, dict[str, int]]:
    """Size of one file, and its elements by dtype. Raises `SpecError`; reads no weights."""
    size, room, header = _header(path)
    return size, _elements(path, room, header)


def _layers(header: Any, found: dict[int, dict[str, tuple[int, ...]]]) -> None:
    """Add what `Weights.layers` has of one file, which `_elements` has read."""
    for name, entry in header.items():
        inside = _IN_LAYER.match(name)
        if inside is not None:
            layer = found.setdefault(int(inside[1]), {})
            if entry["dtype"] in _TRUE_SHAPES and _COMPARED.fullmatch(inside[2]):
                layer[clean(name)] = tuple(entry["shape"])


def read_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors by name, of a file that `read_file` has read: outputs first, as PyTorch has them."""
    _, _, header = _header(path)
    return {clean(name): tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def _header(path: str) -> tuple[int, int, Any]:
    """Size of a file, the bytes behind its header, and the header's values."""
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
        refuse_other_kinds(path, start, size)
        if start.startswith(b"GGUF"):
            fail(path, "is a GGUF file with the name of a safetensors file", "give it the ending .gguf")
        if size < 10:
            fail(path, f"is cut short: it has {size:,} bytes", "the download did not finish: start it again")
        (length,) = unpack("<Q", start[:8])
        if length > MAX_HEADER_BYTES or start[8:9] != b"{":
            fail(path, "is not a safetensors file", "give the model's safetensors or GGUF files as they were published")
        if 8 + length > size:
            fail(
                path, f"is cut short: {8 + length - size:,} bytes of its header are missing", "the download did not finish: start it again"
            )
        header = (start[8:] + read_some(path, stream, max(0, length - len(start) + 8)))[:length]
        if len(header) < length:
            fail(path, "became shorter while it was read", "wait until nothing writes to it any more")
    return size, size - 8 - length, parse_json(path, header, what="safetensors header")


def _elements(path: str, room: int, header: Any) -> dict[str, int]:
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        fail(path, "is damaged: its header is no table of tensors", "download it again")
    found: dict[str, int] = {}
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        values = entry if isinstance(entry, dict) else {}
        dtype: Any = values.get("dtype")
        shape: Any = values.get("shape")
        offsets: Any = values.get("data_offsets")
        if not (_sizes(shape) and _sizes(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1] and isinstance(dtype, str)):
            fail(path, f'is damaged: the tensor "{clean(name)}" has no usable dtype, shape and data_offsets', "download it again")
        count = prod(shape)
        known = _TYPES.get(dtype)
        if known is not None and (count * known[0] + 7) // 8 != offsets[1] - offsets[0]:
            fail(path, f'is damaged: the tensor "{clean(name)}" does not have the size of its shape', "download it again")
        label = clean(dtype)
        found[label] = found.get(label, 0) + count
        end = max(end, offsets[1])
    if end > room:
        fail(path, f"is cut short: {end - room:,} bytes are missing at its end", "the download did not finish: start it again")
    if not found:
        fail(path, "holds no weights", "give the model's safetensors files")
    return found


def _sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= 8
        and all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 48 for item in value)
    )


def shards_of(path: str) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or every shard of its set, there or not."""
    name = os.path.basename(path)
    found = _SHARD.match(name)
    if found is None or not 1 <= int(found[3]) <= MAX_SHARDS:
        return (path,)
    folder = path[: len(path) - len(name)]
    return tuple(f"{folder}{found[1]}-{number:05d}-of-{found[3]}{found[4]}" for number in range(1, int(found[3]) + 1))


def shards_in(index: str) -> tuple[str, ...]:
    """The files that an index names, beside it. Raises `SpecError`."""
    values = read_json(index, MAX_INDEX_BYTES, what="safetensors index")
    places = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        fail(index, "is no index of safetensors files: it has no weight_map", "download it again")
    names = sorted(set(places.values()))
    if len(names) > MAX_SHARDS or any(os.path.basename(name) != name or name in ("", ".", "..") for name in names):
        fail(index, "is damaged: it names files outside its folder", "download it again")
    folder = index[: len(index) - len(os.path.basename(index))]
    return tuple(folder + name for name in names)


def total_in(index: str) -> int | None:
    """`total_size` of an index: bytes of all tensors, headers left out; None where it does not say. Raises `SpecError`."""
    values = read_json(index, MAX_INDEX_BYTES, what="safetensors index")
    metadata = values.get("metadata") if isinstance(values, dict) else None
    size = metadata.get("total_size") if isinstance(metadata, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 60 else None


def read_weights(named: str, paths: tuple[str, ...]) -> Weights:
    """All files of one model. Raises `SpecError` that names those that are not there; `named` is what the user gave."""
    missing = [os.path.basename(path) for path in paths if not os.path.exists(path)]
    if missing:
        names = listed(map(shown, missing))
        fail(
            named,
            f"has its weights in {len(paths):,} files, and {len(missing):,} of them are not there: {names}",
            "download the missing files",
        )
    elements: dict[str, int] = {}
    layers: dict[int, dict[str, tuple[int, ...]]] = {}
    total = 0
    for path in paths:
        status_of(path)
        size, room, header = _header(path)
        found = _elements(path, room, header)
        _layers(header, layers)
        total += size
        for dtype, count in found.items():
            elements[dtype] = elements.get(dtype, 0) + count
    return Weights(files=paths, size=total, elements=elements, layers=layers)
