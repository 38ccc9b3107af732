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
import re
from collections.abc import Iterable, Mapping
from struct import unpack

from ..core.records import Record
from .naming import clean, listed
from .source import (
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
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.safetensors)$", re.IGNORECASE | re.DOTALL)

# every dtype of safetensors 0.8.0 -> bits, and its name in the words of DTYPES, None where weights
# are not published in it
_TYPES: Mapping[str, tuple[int, str | None]] = {
    "BF16": (16, "bfloat16"), "F16": (16, "float16"), "F32": (32, "float32"), "F64": (64, None),
    "F8_E4M3": (8, "float8_e4m3"),
    "F8_E5M2": (8, None), "F8_E4M3FNUZ": (8, None), "F8_E5M2FNUZ": (8, None), "F8_E8M0": (8, None),
    "F6_E2M3": (6, None),
    "F6_E3M2": (6, None), "F4": (4, None), "I64": (64, None), "I32": (32, None), "I16": (16, None),
    "I8": (8, "int8"),
    "U64": (64, None), "U32": (32, None), "U16": (16, None), "U8": (8, None), "BOOL": (8, None),
    "C64": (64, None),
}  # fmt: skip
# numbers of a header are unsigned and of 64 bits, and so are products of a shape
_LIMIT = 1 << 64
_SPEC_OF_IT = "give a spec of the model: `selfhost check FILE.toml`"
_IN_SHARDS = f"give the model in several files (shards), or {_SPEC_OF_IT[5:]}"
_FIELDS = ("dtype", "shape", "data_offsets")
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})
# a weight in one of these has the shape of its matrix
_TRUE_SHAPES = _PLAIN | {"F8_E4M3"}
# the table of tokens, under the names that classes of transformers write
_TOKENS = re.compile(
    r"(?:(?:language_model\.)?model\.|(?:model\.)?language_model\.|model\.decoder\.|decoder\.|transformer\.|gpt_neox\.|backbone\.|bert\.|roberta\.)?"
    r"(?:embed_tokens|tok_embeddings|wte|embed_in|shared|(?:embeddings\.)?word_embeddings)\.weight"
)
# the output matrix, for which a class that shares the table has a place too
_OUTPUT = re.compile(r"(?:(?:model\.)?language_model\.)?lm_head\.weight|embed_out\.weight")
# Tensors of the language model's layers, under the prefixes that classes of transformers write.
# Those of encoders have others.
_IN_LAYER = re.compile(
    r"(?:(?:model\.|language_model\.|model\.language_model\.|language_model\.model\.|gpt_neox\.|backbone\.|model\.decoder\.|decoder\."
    r"|transformer\.encoder\.)?layers|(?:transformer\.)?h|transformer\.blocks|(?:bert\.|roberta\.)?encoder\.layer)\.(\d{1,6})\.(.+)\Z",
    re.DOTALL,
)
# Those whose shape follows from a config.json whatever the class, outputs first. eh_proj marks a
# block that predicts more tokens.
_COMPARED = re.compile(
    r"self_attn\.(?:[kv]_proj|qkv_proj|kv_a_proj_with_mqa)\.weight|mlp\.(?:up|down)_proj\.weight"
    r"|(?:self_attention|attention)\.query_key_value\.weight|eh_proj\.weight"
)
# beside weights in FP8, as DeepSeek, compressed-tensors, ModelOpt, FBGEMM and Mistral write them
_SCALE = re.compile(r"(?:weight_scale(?:_inv)?|\.scale_weight|qscale_weight)\Z")
_PREDICTS_MORE = re.compile(r"(?:^|\.)(?:mtp(?:_layers|_block)?|eh_proj|nextn)\.")


class Weights(Record):
    """The weights of one model: `size` of all files in bytes, and elements by dtype.

    `layers` has, by a layer's number, names and shapes of those tensors whose shape a config.json
    states, unless they are packed. `predict_more`: there are tensors of a block that predicts more
    tokens. `scale` is the first tensor of scales, None where there is none. `tokens` has name and
    rows of the token table, `output` those of the output matrix; None where no tensor has such a
    name or where it is packed.
    """

    files: tuple[str, ...]
    size: int
    elements: Mapping[str, int]
    layers: Mapping[int, Mapping[str, tuple[int, ...]]] = {}
    predict_more: bool = False
    scale: str | None = None
    tokens: tuple[str, int] | None = None
    output: tuple[str, int] | None = None

    @property
    def total(self) -> int | None:
        """Parameters; None where some are packed or scaled, so that elements are no parameters."""
        if set(self.elements) <= (_PLAIN if self.scale else _TRUE_SHAPES):
            return sum(self.elements.values())
        return None

    @property
    def plain(self) -> bool:
        """No tensor is of a type that quantized weights are stored in."""
        return set(self.elements) <= _PLAIN

    @property
    def data_bytes(self) -> int:
        """What the tensors take without the headers."""
        return sum((count * _TYPES[name][0] + 7) // 8 for name, count in self.elements.items())

    @property
    def plain_dtypes(self) -> tuple[str, ...]:
        """Those that transformers takes for the model's where config.json states none:
        get_state_dict_dtype of modeling_utils.py.
        """
        return tuple(
            sorted(name for held in self.elements if held in _PLAIN and (name := _TYPES[held][1]))
        )

    @property
    def dtype(self) -> str | None:
        """The type of most elements, in the words of DTYPES; None for packed ones."""
        most = max(self.elements, key=lambda name: self.elements[name], default="")
        return _TYPES[most][1] if most else None


def read_file(path: str) -> tuple[int, dict[str, int]]:
    """Size of one file, and its elements by dtype. Raises `SpecError`; reads no weights."""
    size, data_bytes, header = _header(path)
    return size, _elements(path, data_bytes, header)


def _layers(header: Any, shapes: dict[int, dict[str, tuple[int, ...]]]) -> None:
    """Add what `Weights.layers` has of one file. `_elements` has read the header."""
    for name, entry in header.items():
        inside = _IN_LAYER.match(name)
        if inside is not None:
            layer = shapes.setdefault(int(inside[1]), {})
            if entry["dtype"] in _TRUE_SHAPES and _COMPARED.fullmatch(inside[2]):
                layer[clean(name)] = tuple(entry["shape"])


def read_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors by name, outputs first as in PyTorch. `read_file` has read the
    file.
    """
    _, _, header = _header(path)
    return {
        clean(name): tuple(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _header(path: str) -> tuple[int, int, Any]:
    """Size of a file in bytes, bytes behind its header, and the header's values."""
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
        refuse_other_kinds(path, start, size)
        if start.startswith(b"GGUF"):
            fail(
                path,
                "is a GGUF file with the name of a safetensors file",
                "give it the ending .gguf",
            )
        if size < 10:
            fail(
                path,
                f"is cut short: it has {size:,} bytes",
                "the download did not finish: start it again",
            )
        (length,) = unpack("<Q", start[:8])
        if length > MAX_HEADER_BYTES or start[8:].lstrip(b" \t\r\n")[:1] != b"{":
            text = ": it begins as JSON does" if start.lstrip()[:1] in (b"{", b"[") else ""
            fail(
                path,
                f"is not a safetensors file{text}",
                "give the model's safetensors or GGUF files as they were published",
            )
        if length > MAX_READ_HEADER_BYTES:
            fail(
                path,
                f"has a header of {length:,} bytes, and at most {MAX_READ_HEADER_BYTES:,} are read",
                _IN_SHARDS,
            )
        if 8 + length > size:
            fail(
                path,
                f"is cut short: {8 + length - size:,} bytes of its header are missing",
                "the download did not finish: start it again",
            )
        header = (start[8:] + read_some(path, stream, max(0, length - len(start) + 8)))[:length]
        if len(header) < length:
            fail(
                path, "became shorter while it was read", "wait until nothing writes to it any more"
            )
    return size, size - 8 - length, _values(path, header)


def _values(path: str, header: bytes) -> Any:
    limit = MAX_TENSORS * _SIGNS_PER_TENSOR
    return parse_json(
        path,
        header,
        what="safetensors header",
        made_of=_object,
        max_signs=limit,
        instead=_IN_SHARDS,
    )


class _Twice(dict[str, object]):
    """An object of a header in which a key stands more than once. The reader of safetensors takes
    the last, but refuses `keys_twice`.
    """

    keys_twice: frozenset[str] = frozenset()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    keys = [key for key, _ in pairs]
    twice = _Twice(values)
    twice.keys_twice = frozenset(key for key in ("__metadata__", *_FIELDS) if keys.count(key) > 1)
    return twice


def _twice(values: object, keys: tuple[str, ...]) -> str | None:
    return (
        next((key for key in keys if key in values.keys_twice), None)
        if isinstance(values, _Twice)
        else None
    )


def _elements(path: str, data_bytes: int, header: Any) -> dict[str, int]:
    """Elements by dtype. Raises `SpecError` where the tensors do not fill the data exactly."""
    _refuse_no_table(path, header)
    counts: dict[str, int] = {}
    places: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, count, begin, end = _tensor(path, name, entry)
        counts[dtype] = counts.get(dtype, 0) + count
        places.append((begin, end, name))
    _refuse_holes(path, data_bytes, sorted(places))
    return counts


def _refuse_no_table(path: str, header: Any) -> None:
    if not isinstance(header, dict):
        fail(path, "is damaged: its header is no table of tensors", "download it again")
    if len(header) > MAX_TENSORS + 1:
        fail(
            path,
            f"lists {len(header):,} tensors, and at most {MAX_TENSORS:,} of one file are read",
            _IN_SHARDS,
        )
    about = header.get("__metadata__")
    words = about is None or (
        isinstance(about, dict) and all(isinstance(value, str) for value in about.values())
    )
    if not words or _twice(header, ("__metadata__",)):
        fail(
            path, "is damaged: __metadata__ of its header is no table of words", "download it again"
        )


def _refuse_holes(path: str, data_bytes: int, places: list[tuple[int, int, str]]) -> None:
    """Raise `SpecError` unless the tensors, in order, fill the data from the first byte to the
    last. `places` has the begin, the end and the name of each.
    """
    reached = 0
    for begin, end, name in places:
        if begin < reached:
            fail(
                path,
                f'is damaged: the tensor "{clean(name)}" overlaps another',
                "download it again",
            )
        if begin > reached:
            fail(
                path,
                f'is damaged: {begin - reached:,} bytes before the tensor "{clean(name)}" belong to'
                " none",
                "download it again",
            )
        reached = end
    if reached > data_bytes:
        fail(
            path,
            f"is cut short: {reached - data_bytes:,} bytes are missing at its end",
            "the download did not finish: start it again",
        )
    if reached < data_bytes:
        fail(
            path,
            f"is damaged: {data_bytes - reached:,} bytes at its end belong to no tensor",
            "download it again",
        )


def _tensor(path: str, name: str, entry: Any) -> tuple[str, int, int, int]:
    """Dtype of a tensor, its elements, and where its bytes begin and end in the data."""
    values = entry if isinstance(entry, dict) else {}
    dtype: Any = values.get("dtype")
    shape: Any = values.get("shape")
    offsets: Any = values.get("data_offsets")
    if not (
        isinstance(dtype, str) and _sizes(shape) and _sizes(offsets) and len(offsets) == 2
    ) or _twice(values, _FIELDS):
        fail(
            path,
            f'is damaged: the tensor "{clean(name)}" has no usable dtype, shape and data_offsets',
            "download it again",
        )
    if dtype not in _TYPES:
        remedy = f"take files of the model that safetensors reads; it has {', '.join(_TYPES)}"
        fail(
            path,
            f'has the tensor "{clean(name)}" in {clean(dtype)}, a type that safetensors does not'
            " have",
            remedy,
        )
    count, bits = 1, _TYPES[dtype][0]
    for size in shape:
        count *= size
        if count >= _LIMIT:
            break
    if count * bits >= _LIMIT or count * bits != 8 * (offsets[1] - offsets[0]):
        fail(
            path,
            f'is damaged: the tensor "{clean(name)}" does not have the size of its shape',
            "download it again",
        )
    return dtype, count, offsets[0], offsets[1]


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(length) is int and 0 <= length < _LIMIT for length in value
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
    name = os.path.basename(path)
    match = _SHARD.match(name)
    if match is None or not 1 <= int(match[3]) <= MAX_SHARDS:
        return (path,)
    folder = path[: len(path) - len(name)]
    return tuple(
        f"{folder}{match[1]}-{number:05d}-of-{match[3]}{match[4]}"
        for number in range(1, int(match[3]) + 1)
    )


def _index(path: str) -> Any:
    # a colon and a comma for each tensor, and a thousand for what else it says
    return read_json(
        path,
        MAX_INDEX_BYTES,
        what="safetensors index",
        max_signs=2 * MAX_TENSORS_IN_ALL + 1000,
        instead=_SPEC_OF_IT,
    )


def shards_in(index: str) -> tuple[str, ...]:
    """The files that an index names, beside it. Raises `SpecError`."""
    values = _index(index)
    places = values.get("weight_map") if isinstance(values, dict) else None
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        fail(index, "is no index of safetensors files: it has no weight_map", "download it again")
    names = sorted(set(places.values()))
    if len(names) > MAX_SHARDS or any(
        os.path.basename(name) != name or name in ("", ".", "..") for name in names
    ):
        fail(index, "is damaged: it names files outside its folder", "download it again")
    folder = index[: len(index) - len(os.path.basename(index))]
    return tuple(folder + name for name in names)


def total_in(index: str) -> int | None:
    """`total_size` of an index: bytes of all tensors without headers; None where it has none.
    Raises `SpecError`.
    """
    values = _index(index)
    metadata = values.get("metadata") if isinstance(values, dict) else None
    size = metadata.get("total_size") if isinstance(metadata, dict) else None
    return (
        size
        if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 60
        else None
    )


def read_weights(named: str, paths: tuple[str, ...]) -> Weights:
    """All files of one model; `named` is what the user gave. Raises `SpecError`, also where some
    of the files are not there.
    """
    _refuse_missing_files(named, paths)
    elements: dict[str, int] = {}
    layers: dict[int, dict[str, tuple[int, ...]]] = {}
    size_bytes, tensors, predict_more = 0, 0, False
    scale: str | None = None
    rows: dict[re.Pattern[str], tuple[str, int]] = {}
    for path in paths:
        status_of(path)
        size, data_bytes, header = _header(path)
        tensors += len(header) if isinstance(header, dict) else 0
        if tensors > MAX_TENSORS_IN_ALL:
            fail(named, f"has more than {MAX_TENSORS_IN_ALL:,} tensors in its files", _SPEC_OF_IT)
        for dtype, count in _elements(path, data_bytes, header).items():
            elements[dtype] = elements.get(dtype, 0) + count
        _layers(header, layers)
        rows |= _rows(header)
        predict_more = predict_more or any(_PREDICTS_MORE.search(name) for name in header)
        scale = scale or next((clean(name) for name in header if _SCALE.search(name)), None)
        size_bytes += size
        # one header at a time: the largest take 200 MB
        del header
    if not elements:
        fail(named, "holds no weights", "give the model's safetensors files")
    return Weights(
        files=paths,
        size=size_bytes,
        elements=elements,
        layers=layers,
        predict_more=predict_more,
        scale=scale,
        tokens=rows.get(_TOKENS),
        output=rows.get(_OUTPUT),
    )


def _refuse_missing_files(named: str, paths: tuple[str, ...]) -> None:
    missing = [os.path.basename(path) for path in paths if not os.path.exists(path)]
    if missing:
        names = listed(map(shown, missing))
        fail(
            named,
            f"has its weights in {len(paths):,} files, and {len(missing):,} of them are not there:"
            f" {names}",
            "download the missing files",
        )


def _rows(header: Any) -> dict[re.Pattern[str], tuple[str, int]]:
    """Name and rows of the token table and of the output matrix, by the pattern of their names;
    those that are packed are left out.
    """
    return {
        pattern: (clean(name), entry["shape"][0])
        for name, entry in header.items()
        for pattern in (_TOKENS, _OUTPUT)
        if pattern.fullmatch(name) and entry["dtype"] in _TRUE_SHAPES and len(entry["shape"]) == 2
    }
