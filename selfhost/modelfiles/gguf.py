"""A GGUF file, or the parts of one -> ModelSpec, from its header alone.

The layout is that of ggml's docs/gguf.md, read as strictly as llama.cpp's gguf.cpp does. The names
of keys, tensors and types are those of llama.cpp's gguf-py/gguf/constants.py and include/llama.h
(2026).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from struct import Struct, unpack_from

from ..catalogue.spec import (
    MAX_LAYERS,
    MAX_TENSOR_NAMES,
    QUANTIZATIONS,
    SIZE_OF,
    Architecture,
    Attention,
    FeedForward,
    FileTensors,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Recurrent,
    Safety,
    TensorGroup,
)
from ..core.records import Record
from ..needs.quantization import BLOCKS
from .naming import clean, grouped, identifier, license_of, listed, name_of, plamo2_rank, row_values
from .source import fail, open_file, read_some, refuse_other_kinds, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO, Any, NoReturn

    from ..catalogue.spec import LayerPart

MAGIC = b"GGUF"
# a header is mostly the vocabulary: 0.7 to 10 MB in published files. The limits bound what a
# hostile file can cost
MAX_HEADER_BYTES = 1 << 27
MAX_KEYS = 10_000
# of all parts of a file: the experts of a layer are one tensor, so that Kimi K2 has about 1,100
MAX_TENSORS = 100_000
MAX_PARTS = 10_000
# of all lists together: Gemma 4 has 262,144 tokens and 514,906 merges
MAX_STRINGS = 1 << 22
# the keys, texts and lists that are kept, and the names of tensors: published headers have 20 to
# 200 kB of each
MAX_KEPT_BYTES = 1 << 22
MAX_NAMES_BYTES = 1 << 24
# arrays as long as the model has layers are kept, longer ones (the vocabulary) only counted
MAX_KEPT = 2 * MAX_LAYERS
MAX_KEPT_TEXT = 1 << 12
_MAX_NAME = 1 << 16
_MAX_NUMBER = 1 << 40
# a thousand times what the largest model of 2026 has
_MAX_PARAMETERS = 10**16
_CHUNK = 1 << 20
_LENGTH = Struct("<Q").unpack_from
_PARTS = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.gguf)$", re.IGNORECASE | re.DOTALL)
_BLOCK = re.compile(r"((?:.*\.)?blk\.)(\d{1,6})(\..+)$", re.DOTALL)

# id of a value's type -> its bytes and struct format; 8 is a string, 9 an array
_VALUES: Mapping[int, tuple[int, str]] = {
    0: (1, "B"), 1: (1, "b"), 2: (2, "H"), 3: (2, "h"), 4: (4, "I"), 5: (4, "i"), 6: (4, "f"),
    7: (1, "?"), 10: (8, "Q"), 11: (8, "q"),
    12: (8, "d"),
}  # fmt: skip
_STRING, _ARRAY = 8, 9
# id of a tensor's type -> name, elements and bytes of a block (ggml.h, ggml-common.h)
_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32,
    22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256,
    66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256,
    110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1,
    8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
# ids of types that ggml.h has retired -> name, and the type that is left of it: the layouts are
# made of it while loading
_RETIRED: Mapping[int, tuple[str, str]] = {
    4: ("Q4_2", "Q4_0"), 5: ("Q4_3", "Q4_1"), 31: ("Q4_0_4_4", "Q4_0"), 32: ("Q4_0_4_8", "Q4_0"),
    33: ("Q4_0_8_8", "Q4_0"),
    36: ("IQ4_NL_4_4", "IQ4_NL"), 37: ("IQ4_NL_4_8", "IQ4_NL"), 38: ("IQ4_NL_8_8", "IQ4_NL"),
}  # fmt: skip
# general.file_type -> name of the quantization, and the type that most of its tensors have
_FILE_TYPES: Mapping[int, tuple[str, str]] = {
    0: ("F32", "F32"), 1: ("F16", "F16"), 2: ("Q4_0", "Q4_0"), 3: ("Q4_1", "Q4_1"), 7: ("Q8_0",
    "Q8_0"), 8: ("Q5_0", "Q5_0"),
    9: ("Q5_1", "Q5_1"), 10: ("Q2_K", "Q2_K"), 11: ("Q3_K_S", "Q3_K"), 12: ("Q3_K_M", "Q3_K"),
    13: ("Q3_K_L", "Q3_K"),
    14: ("Q4_K_S", "Q4_K"), 15: ("Q4_K_M", "Q4_K"), 16: ("Q5_K_S", "Q5_K"), 17: ("Q5_K_M", "Q5_K"),
    18: ("Q6_K", "Q6_K"),
    19: ("IQ2_XXS", "IQ2_XXS"), 20: ("IQ2_XS", "IQ2_XS"), 21: ("Q2_K_S", "Q2_K"), 22: ("IQ3_XS",
    "IQ3_S"), 23: ("IQ3_XXS", "IQ3_XXS"),
    24: ("IQ1_S", "IQ1_S"), 25: ("IQ4_NL", "IQ4_NL"), 26: ("IQ3_S", "IQ3_S"), 27: ("IQ3_M",
    "IQ3_S"), 28: ("IQ2_S", "IQ2_XS"),
    29: ("IQ2_M", "IQ2_S"), 30: ("IQ4_XS", "IQ4_XS"), 31: ("IQ1_M", "IQ1_M"), 32: ("BF16", "BF16"),
    36: ("TQ1_0", "TQ1_0"),
    37: ("TQ2_0", "TQ2_0"), 38: ("MXFP4_MOE", "MXFP4"), 39: ("NVFP4", "NVFP4"), 40: ("Q1_0",
    "Q1_0"), 41: ("Q2_0", "Q2_0"),
}  # fmt: skip
_GUESSED = 1024
# names, less .weight, of tensors that some architecture in llama.cpp's src/models takes where they
# are there and else does without
_OPTIONAL = re.compile(
    r"\.(?:bias|scale|input_scale)\Z|^(?:output\Z|output_norm_enc|cls|dense_|rope_|token_types|position_embd)|\*\.(?:nextn|indexer|exp_probs_b|attn_[qk]_norm"
    r"|attn_rot_embd|attn_norm_2|attn_sinks|attn_gate|attn_sub_norm|ffn_sub_norm|ffn_latent|layer_|time_mix|ssm_)"
)
# eight rows more than tokens, for pictures (modeling_mllama.py of transformers): Ollama's own
# engine alone runs it
_OTHER_TABLES = frozenset({"mllama"})
# what answers in numbers of sound (src/models/qwen3vl.cpp, n_vocab_out)
_OTHER_OUTPUTS = frozenset({"qwen3tts"})
# whose values are their keys where a layer has no attn_v (src/models/gemma4.cpp); all others are
# refused without it
_VALUES_FROM_KEYS = frozenset({"gemma4"})
# one of these in a block stands for several others: merged while converting, or apart in files of
# before 2025
_INSTEAD = ("attn_qkv", "attn_kv_b", "ffn_gate_up_exps", "ffn_down.0")
# tensors that have another name in some architectures (Hy3), or models of one (Grok 1 and 2)
_TWO_NAMES: Mapping[str, str] = {
    "blk.*.exp_probs_b.bias": "blk.*.exp_probs_b",
    "blk.*.layer_output_norm": "blk.*.post_ffw_norm",
}
# what llama-quantize writes instead of a type whose blocks of 256 do not divide the rows
_FALLBACKS: Mapping[str, str] = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL", "IQ3_S": "IQ4_NL",
    "IQ3_XXS": "IQ4_NL", "IQ2_S": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_XXS": "IQ4_NL",
    "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL",
}  # fmt: skip

# Every how many layers one keeps all tokens, where the header has a window and no pattern:
# llama.cpp's src/models, and the same in config.json of their publishers. 0: every layer has the
# window (the publishers' config.json; llama.cpp ignores it).
_FULL_EVERY: Mapping[str, int] = {
    "gemma2": 2, "gpt-oss": 2, "gemma3": 6, "gemma-embedding": 6, "gemma3n": 5, "cohere2": 4,
    "olmo2": 4, "exaone4": 4, "llama4": 4,
    "afmoe": 4, "laguna": 4, "smallthinker": 4, "deepseek2-ocr": 0, "llama": 0, "phi3": 0,
    "starcoder2": 0, "modern-bert": 3,
    "deepseek4": 0,
}  # fmt: skip
# of these, the architectures where it is the first of so many layers, not the last
# (load_swa_pattern with dense_first)
_FULL_FIRST = frozenset({"laguna", "modern-bert", "smallthinker"})
# windows that converters do not write: attention_chunk_size of Llama 4, sliding_window of EXAONE
# 4.0 32B in their config.json
_LLAMA4_WINDOW = 8192
_EXAONE4_WINDOW, _EXAONE4_LAYERS = 4096, 64
# Gemma 3n: layers that own a cache, num_hidden_layers - num_kv_shared_layers of both sizes in their
# config.json
_GEMMA3N_CACHE_LAYERS = 20
_RWKV7_RANKS = tuple(
    f"attention.{name}_lora_rank" for name in ("decay", "iclr", "value_residual_mix", "gate")
)
_STACKS = ("enc.blk.", "dec.blk.")
# arrays of which llama.cpp wants so many entries, or one for each block, no more and no less
# (src/llama-model-loader.cpp, get_key_or_arr)
_ROPE_SECTIONS = 4
_BY_BLOCK = (
    "attention.head_count", "attention.head_count_kv", "feed_forward_length",
    "expert_feed_forward_length", "expert_used_count",
    "attention.recurrent_layers",
)  # fmt: skip
# whose feed-forwards are gated in some models and not in others
_GATE_VARIES = frozenset({"t5", "t5encoder", "jina-bert-v2"})
_IMAGE_MODELS = frozenset(
    {
        "flux",
        "sd1",
        "sdxl",
        "sd3",
        "aura",
        "ltxv",
        "hyvid",
        "wan",
        "hidream",
        "cosmos",
        "lumina2",
        "qwen_image",
        "pig",
    }
)
# whose header may say one expert, and mean a dense feed-forward (src/llama-model.cpp, load_hparams)
_ONE_EXPERT = frozenset({"hunyuan-dense", "hunyuan_vl"})
# a size of a layer -> the key that states it
_KEYS_OF: Mapping[tuple[type, str], str] = {
    (FeedForward, "groups"): "expert_group_count",
    (FeedForward, "groups_used"): "expert_group_used_count",
    (Attention, "kv_heads"): "attention.head_count_kv",
    (Attention, "output_groups"): "attention.output_group_count",
    (Recurrent, "heads"): "ssm.time_step_rank",
    (Recurrent, "groups"): "ssm.group_count",
    (Recurrent, "key_length"): "wkv.head_size",
}
_DELTA = frozenset({"qwen35", "qwen35moe", "qwen3next"})


class Tensor(Record):
    """One entry of the tensor table; `shape` has the row length first, `bytes` is None for a
    type that is not known.
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


class Read(Record):
    """What `read_gguf` found; `notes` are sentences for the user."""

    spec: ModelSpec
    quantization: str | None
    notes: tuple[str, ...]


# ------------------------------------------------------------------ the header


class _Stream:
    """The header's bytes in order. Everything it raises is a `SpecError`."""

    def __init__(self, path: str, stream: IO[bytes], size: int) -> None:
        self.path, self.stream, self.size = path, stream, size
        self.buffer = b""
        self.place = 0
        self.start = 0
        self.strings_left = MAX_STRINGS
        self.left = {"keys and values": MAX_KEPT_BYTES, "names of tensors": MAX_NAMES_BYTES}

    @property
    def position(self) -> int:
        return self.start + self.place

    def fill(self, count: int) -> None:
        """Have `count` bytes from the current place in the buffer."""
        here = self.position
        if here + count > self.size:
            fail(
                self.path, f"is cut short: it has {self.size:,} bytes and ends inside its header",
                "the download did not finish: download it again",
            )  # fmt: skip
        if here + count > MAX_HEADER_BYTES:
            fail(
                self.path,
                f"has a header of more than {MAX_HEADER_BYTES:,} bytes, which no model has",
                "the file is damaged: download it again",
            )
        rest = self.buffer[self.place :] if self.place <= len(self.buffer) else b""
        if not rest:
            try:
                self.stream.seek(here)
            except OSError as error:
                fail(self.path, f"cannot be read: {error.strerror}")
        self.buffer = rest + read_some(self.path, self.stream, max(count - len(rest), _CHUNK))
        self.start, self.place = here, 0
        if len(self.buffer) < count:
            fail(
                self.path,
                "became shorter while it was read",
                "wait until nothing writes to it any more",
            )

    def take(self, count: int) -> bytes:
        if self.place + count > len(self.buffer):
            self.fill(count)
        content = self.buffer[self.place : self.place + count]
        self.place += count
        return content

    def number(self, bytes: int, form: str) -> Any:
        if self.place + bytes > len(self.buffer):
            self.fill(bytes)
        (value,) = unpack_from("<" + form, self.buffer, self.place)
        self.place += bytes
        return value

    def skip(self, count: int) -> None:
        """Over `count` bytes, without reading those beyond the buffer."""
        self.place += count
        if self.place > len(self.buffer):
            self.fill(0)

    def keep(self, count: int, what: str) -> None:
        """Count what stays in memory: one of 5 bytes may take 64."""
        self.left[what] -= count
        if self.left[what] < 0:
            fail(
                self.path, f"is damaged: its {what} take more than any model's", "download it again"
            )

    def text(self, limit: int, what: str, kept: str) -> str:
        length = self.number(8, "Q")
        if length > limit:
            fail(self.path, f"is damaged: a {what} of {length:,} bytes", "download it again")
        self.keep(length, kept)
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Over an array of strings. The vocabulary is one: this loop takes most of the time
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


def read_header(path: str) -> Header:
    """The header of one file. Raises `SpecError`; reads no weights."""
    stream, size = open_file(path)
    with stream:
        source = _Stream(path, stream, size)
        start = read_some(path, stream, min(size, 4096))
        source.buffer = start
        if start.startswith(MAGIC[::-1]):
            # what gguf_convert_endian.py writes in front since 2026
            _refuse_big_endian(path)
        if not start.startswith(MAGIC):
            refuse_other_kinds(path, start, size)
            fail(
                path,
                "is not a GGUF file: it does not begin with the letters GGUF",
                "give the model's GGUF file as it was published",
            )
        return _header(source)


def _refuse_big_endian(path: str) -> NoReturn:
    fail(
        path,
        "is a big-endian GGUF file, which llama.cpp loads on big-endian systems (s390x) alone, and"
        " which this selfhost does not read",
        "ask for the model by its name; elsewhere download the little-endian file, or convert it"
        " with llama.cpp's gguf_convert_endian.py",
    )


def _header(source: _Stream) -> Header:
    path = source.path
    source.take(4)
    version = source.number(4, "I")
    if version & 0xFFFF == 0:
        _refuse_big_endian(path)
    if version == 1:
        fail(
            path,
            "is GGUF of version 1, which llama.cpp no longer reads",
            "download the model's newer GGUF file",
        )
    if version not in (2, 3):
        fail(
            path,
            f"is GGUF of version {version}, and this selfhost reads versions 2 and 3",
            "update selfhost, or download the file again",
        )
    tensor_count, key_count = source.number(8, "Q"), source.number(8, "Q")
    if key_count > MAX_KEYS:
        fail(path, f"is damaged: it claims to have {key_count:,} keys", "download it again")
    if tensor_count > MAX_TENSORS:
        fail(path, f"is damaged: it claims to have {tensor_count:,} tensors", "download it again")
    values: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for _ in range(key_count):
        key = source.text(_MAX_NAME, "key", "keys and values")
        if key in values or key in counts:
            fail(
                path, f'is damaged: the key "{clean(key)}" stands in it twice', "download it again"
            )
        _value(source, key, values, counts)
    alignment = values.get("general.alignment", 32)
    if (
        isinstance(alignment, bool)
        or not isinstance(alignment, int)
        or not 1 <= alignment <= 1 << 20
        or alignment & (alignment - 1)
    ):
        fail(path, "is damaged: general.alignment is no power of two", "download it again")
    return _table(source, tensor_count, alignment, values, counts)


def _value(source: _Stream, key: str, values: dict[str, Any], counts: dict[str, int]) -> None:
    kind = source.number(4, "I")
    if kind in _VALUES:
        values[key] = source.number(*_VALUES[kind])
    elif kind == _STRING:
        length = source.number(8, "Q")
        if length > MAX_KEPT_TEXT:
            source.skip(length)
            counts[key] = length
        else:
            source.keep(length, "keys and values")
            values[key] = source.take(length).decode("utf-8", "replace")
    elif kind == _ARRAY:
        inner, length = source.number(4, "I"), source.number(8, "Q")
        if inner == _STRING:
            if length > source.strings_left:
                fail(
                    source.path,
                    f'is damaged: "{clean(key)}" claims to list {length:,} texts',
                    "download it again",
                )
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
            fail(
                source.path,
                f'is damaged: "{clean(key)}" is a list of lists, or of values of an unknown type',
                "download it again",
            )
    else:
        fail(
            source.path,
            f'is damaged: "{clean(key)}" has a value of the unknown type {kind}',
            "download it again",
        )


def _table(
    source: _Stream, count: int, alignment: int, values: dict[str, Any], counts: dict[str, int]
) -> Header:
    path = source.path
    entries: list[tuple[str, tuple[int, ...], int, int]] = []
    names: set[str] = set()
    for _ in range(count):
        name = source.text(_MAX_NAME, "tensor's name", "names of tensors")
        if name in names:
            fail(
                path,
                f'is damaged: the tensor "{clean(name)}" stands in it twice',
                "download it again",
            )
        names.add(name)
        dimensions = source.number(4, "I")
        if dimensions > 4:
            fail(
                path,
                f'is damaged: the tensor "{clean(name)}" has {dimensions:,} dimensions',
                "download it again",
            )
        shape = unpack_from(f"<{dimensions}Q", source.take(8 * dimensions)) or (1,)
        if min(shape) < 1 or prod(shape) >= 1 << 48:
            fail(
                path,
                f'is damaged: the tensor "{clean(name)}" has the shape'
                f" {' × '.join(map(str, shape))}",
                "download it again",
            )
        type_id, offset = source.number(4, "I"), source.number(8, "Q")
        if type_id in _RETIRED:
            old, left = _RETIRED[type_id]
            fail(
                path,
                    f'stores the tensor "{clean(name)}" as {old}, which llama.cpp no longer loads',
                f"download the model in {left}" + (": it is brought into that layout while loading" if type_id > 5 else ""),  # noqa: E501
            )  # fmt: skip
        entries.append((name, shape, type_id, offset))
    first = -(-source.position // alignment) * alignment
    tensors: list[Tensor] = []
    end, sure = 0, True
    for name, shape, type_id, offset in entries:
        type, elements, block = _TYPES.get(type_id, (f"type {type_id}", 0, 0))
        if sure and offset != end:
            fail(
                path,
                f'is damaged: the tensor "{clean(name)}" begins {offset:,} bytes after the header,'
                f" not {end:,}",
                "download it again",
            )
        size = None
        if elements:
            if shape[0] % elements:
                fail(
                    path,
                    f'is damaged: rows of {shape[0]:,} in the tensor "{clean(name)}" cannot be'
                    f" {type}",
                    "download it again",
                )
            size = prod(shape) // elements * block
        # after a tensor of a type that is not known, the next one begins where the header says
        sure = size is not None
        end = offset + -(-(size or 0) // alignment) * alignment
        last = first + offset + (size or 1)
        if last > source.size:
            continue
        tensors.append(Tensor(name=name, shape=shape, type=type, bytes=size))
    if len(tensors) < len(entries):
        whole = first + max(offset + _size(shape, type_id) for _, shape, type_id, offset in entries)
        fail(
            path, f"is cut short: {whole - source.size:,} of its {whole:,} bytes are missing",
            "the download did not finish: start it again",
        )  # fmt: skip
    return Header(path=path, size=source.size, values=values, counts=counts, tensors=tuple(tensors))


def _size(shape: tuple[int, ...], type_id: int) -> int:
    _, elements, block = _TYPES.get(type_id, ("", 0, 0))
    return prod(shape) // elements * block if elements else 1


# ------------------------------------------------------------------ the parts of a split file


def parts_of(path: str) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or every part of a split
    file, there or not.
    """
    name = os.path.basename(path)
    match = _PARTS.match(name)
    if match is None or int(match[3]) < 1:
        return (path,)
    folder = path[: len(path) - len(name)]
    return tuple(
        f"{folder}{match[1]}-{number:05d}-of-{match[3]}{match[4]}"
        for number in range(1, int(match[3]) + 1)
    )


def read_gguf(path: str, architectures: Mapping[str, Any]) -> Read:
    """The model in a GGUF file, or in the split file that it is a part of. Raises `SpecError`."""
    paths = parts_of(path)
    if len(paths) > MAX_PARTS:
        fail(
            path,
            f"is one part of {len(paths):,}, and at most {MAX_PARTS:,} are read",
            "give the model in fewer, larger parts",
        )
    # what was named is read first: its own faults come before those of its siblings
    given = read_header(path)
    split = given.values.get("split.count", 0)
    if isinstance(split, int) and split > 1 and len(paths) != split:
        fail(
            path, f"is one part of {split:,}, and its name does not say which",
            f"name the parts as they were published: …-00001-of-{split:05d}.gguf",
        )  # fmt: skip
    if len(paths) > 1:
        _all_there(path, paths)
    headers, count = [], 0
    for part in paths:
        headers.append(given if part == path else read_header(part))
        count += len(headers[-1].tensors)
        if count > MAX_TENSORS:
            fail(
                path,
                f"is damaged: its parts have more than {MAX_TENSORS:,} tensors",
                "download it again",
            )
    first = headers[0]
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    promised = first.values.get("split.tensors.count")
    if len(paths) > 1 and isinstance(promised, int) and promised != len(tensors):
        fail(
            path,
            f"has {len(tensors):,} tensors in its {len(paths):,} parts, not {promised:,}",
            "parts of two models are mixed: download them again",
        )
    if len({tensor.name for tensor in tensors}) < len(tensors):
        fail(
            path,
            "has a tensor that stands in two of its parts",
            "parts of two models are mixed: download them again",
        )
    return _Model(
        path, first, tensors, sum(header.size for header in headers), len(paths), architectures
    ).read()


def _all_there(path: str, paths: Sequence[str]) -> None:
    missing = [os.path.basename(part) for part in paths if not os.path.exists(part)]
    if missing:
        names = listed(map(shown, missing))
        fail(
            path,
            f"is split into {len(paths):,} parts, and {len(missing):,} of them are not in its"
            f" folder: {names}",
            "download the missing parts",
        )
    for part in paths:
        status_of(part)


# ------------------------------------------------------------------ what the header means


class _Unclear(Exception):
    """The header does not tell how the model remembers; the text says why."""


class _Refused(_Unclear):
    """Every llama.cpp that knows the architecture stops at this file."""


class _Model:
    def __init__(
        self,
        path: str,
        header: Header,
        tensors: tuple[Tensor, ...],
        size: int,
        parts: int,
        architectures: Mapping[str, Any],
    ) -> None:
        self.path, self.header, self.tensors, self.size, self.parts = (
            path,
            header,
            tensors,
            size,
            parts,
        )
        self.architectures = architectures
        self.values = header.values
        self.notes: list[str] = []
        self.unknown: dict[str, str] = {}
        self.refused: str | None = None
        name = self.values.get("general.architecture")
        if not isinstance(name, str) or not name.strip():
            self.damaged("general.architecture is missing")
        self.name = clean(name)
        self.shapes = {tensor.name: tensor.shape for tensor in tensors}
        # T5 has two stacks of blocks of the same widths
        stacked = [name for name in self.shapes if name.startswith(_STACKS)]
        self.shapes |= {
            name[4:].replace("attn_o.", "attn_output."): self.shapes[name] for name in stacked
        }

    def damaged(self, what: str) -> None:
        fail(
            self.path,
            f"cannot be used: {what}",
            "the file is damaged, or was not made by llama.cpp's converter: download it again",
        )

    # -------- values of keys

    def number(self, key: str) -> int | None:
        """A whole number of at least 0; None where the key is missing."""
        value = self.values.get(f"{self.name}.{key}")
        if value is None:
            return None
        if (
            isinstance(value, list)
            and key in _BY_BLOCK
            and all(type(item) is int for item in value)
        ):
            if len(set(value)) > 1:
                raise _Unclear(
                    f"{self.name}.{key} is another number in each block, which this selfhost does"
                    " not follow"
                )
            value = value[0] if value else 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MAX_NUMBER:
            self.damaged(f"{self.name}.{key} is no whole number")
        return int(value)

    def needed(self, key: str) -> int:
        value = self.number(key)
        if not value:
            raise _Unclear(
                f"the header has no {self.name}.{key}"
                if value is None
                else f"{self.name}.{key} is 0"
            )
        return value

    def required(self, key: str) -> int:
        """The number at a key without which llama.cpp loads no model, whatever its architecture
        (src/llama-model.cpp, load_hparams).
        """
        value = self.number(key)
        if value is None:
            self.damaged(f"its header has no {self.name}.{key}")
        return value or 0

    def per_layer(self, key: str, layers: int) -> list[int] | None:
        """One number for each layer; None where the key is missing. One number is that of all
        layers.
        """
        value = self.values.get(f"{self.name}.{key}")
        if not isinstance(value, list):
            of_all_layers = self.number(key)
            return None if of_all_layers is None else [of_all_layers] * layers
        if len(value) < layers or not all(
            isinstance(item, int) and 0 <= item < _MAX_NUMBER for item in value
        ):
            self.damaged(
                f"{self.name}.{key} does not list one number for each of the {layers:,} layers"
            )
        return [int(item) for item in value[:layers]]

    # -------- the whole

    def read(self) -> Read:
        self.refuse_what_is_no_model()
        quantization = self.quantization()
        architecture = self.known_architecture()
        total, active = self.parameters(architecture)
        name = clean(self.values.get("general.name")) or name_of(self.path)
        terms = license_of(
            self.values.get("general.license"),
            self.values.get("general.license.link"),
            self.unknown,
        )
        if terms is None:
            self.unknown["license.id"] = "the header does not say"
        what = f"header of {shown(self.path)}" + (
            f" and its other {self.parts - 1:,} parts" if self.parts > 1 else ""
        )
        stored = sum(
            prod(tensor.shape) for tensor in self.tensors if self.layer_of(tensor) >= self.layers
        )
        row = row_values(self.architectures, self.name)
        embeds = self.is_encoder() and not (row and row.get("diffusion"))
        spec = ModelSpec(
            id=identifier(name),
            name=name,
            modality=self.modality(embeds),
            license=terms,
            parameters=Parameters(total=total, active=active, mtp=stored or None),
            architecture=architecture,
            files=(
                PublishedFiles(
                    format="gguf",
                    source=SIZE_OF + shown(self.path),
                    bytes={quantization: self.size},
                ),
            ),
            safety=Safety(formats=("gguf",), remote_code=False),
            sources={
                "architecture": what,
                "parameters": f"tensor table, {what}",
                "license": what,
                "safety": "a GGUF file holds no code",
            },
            unknown=self.unknown,
            tensors=self.loaded(),
            refused=self.refused,
            tokenizer=True,
            origin=self.path,
        )
        return Read(spec=spec, quantization=quantization, notes=tuple(self.notes))

    def refuse_what_is_no_model(self) -> None:
        kind = clean(self.values.get("general.type")).lower()
        if kind == "adapter":
            fail(self.path, "is a LoRA adapter, not a model", "give the model that it changes")
        if kind == "imatrix" or self.name == "imatrix":
            fail(
                self.path, "is an importance matrix, not a model", "give the model's own GGUF file"
            )
        if kind == "mmproj" or self.name in ("clip", "mmproj"):
            fail(
                self.path,
                "is the projector of a vision or audio model, not the model itself",
                "give the model's other GGUF file",
            )
        if not self.tensors:
            fail(
                self.path,
                "holds no weights, only a header",
                "give the model's GGUF file, not its vocabulary",
            )

    def known_architecture(self) -> Architecture | None:
        """None where the header does not tell; `unknown` then says why."""
        self.layers = MAX_LAYERS
        if self.name in _IMAGE_MODELS:
            self.unknown["architecture"] = (
                f"{self.name} is an image model: its layers are not those of a language model"
            )
            return None
        try:
            return self.architecture()
        except _Unclear as why:
            self.unknown["architecture"] = str(why)
            if isinstance(why, _Refused):
                self.refused = f"llama.cpp refuses this file: {why}."
            return None

    def refuse_other_counts(self, blocks: int) -> None:
        """llama.cpp stops at an array of another length than the number of blocks, those that
        predict more tokens among them.
        """
        for key in (*_BY_BLOCK, "attention.compress_ratios"):
            name = f"{self.name}.{key}"
            value = self.values.get(name)
            number = len(value) if isinstance(value, list) else self.header.counts.get(name, blocks)
            # of compression ratios there may be more (src/models/deepseek4.cpp)
            if number < blocks or (number > blocks and key in _BY_BLOCK):
                self.damaged(f"{name} lists {number:,} numbers, and there are {blocks:,} blocks")
        sections = self.values.get(f"{self.name}.rope.dimension_sections")
        if isinstance(sections, list) and len(sections) != _ROPE_SECTIONS:
            raise _Unclear(
                f"{self.name}.rope.dimension_sections lists {len(sections):,} numbers: llama.cpp"
                f" wants {_ROPE_SECTIONS} and refuses the file, and Ollama writes such ones for an"
                " engine of its own"
            )

    def refuse_missing_blocks(self, blocks: int) -> None:
        """llama.cpp looks for the tensors of every block, and refuses a file that has more tensors
        than it asked for (src/llama-model-loader.cpp, done_getting_tensors); Nemotron NAS alone has
        empty blocks, whose heads its header counts as 0.
        """
        there = {self.layer_of(tensor) for tensor in self.tensors}
        if max(there) >= blocks:
            self.damaged(
                f"it has a block {max(there):,}, and says that it has {blocks:,} blocks, counted"
                " from 0"
            )
        heads = self.per_layer("attention.head_count", self.layers)
        missing = [
            layer
            for layer in range(self.layers)
            if layer not in there and (heads is None or heads[layer])
        ]
        if missing:
            self.damaged(
                f"it has no tensor of block {listed(map(str, missing))}, and says that it has"
                f" {self.layers:,} blocks"
            )

    def modality(self, embeds: bool) -> str:
        if self.name in _IMAGE_MODELS:
            return "image"
        return "embedding" if embeds or self.number("pooling_type") else "text"

    def refuse_missing_parts(self, state: Mapping[str, Sequence[Recurrent | None]]) -> None:
        """A block lacks its attention only where the header counts no heads of it or it keeps a
        state, and its feed-forward only where the header gives it no length (src/models of the
        hybrid architectures and of Nemotron NAS).
        """
        heads = self.per_layer("attention.head_count", self.layers) or [0] * self.layers
        kv_heads = self.per_layer("attention.head_count_kv", self.layers) or heads
        lengths = self.per_layer("feed_forward_length", self.layers) or [0] * self.layers
        if not any(lengths):
            lengths = [self.number("expert_feed_forward_length") or 0] * self.layers
        below = {
            name[: name.rfind(part)]
            for part in (".ffn_down", ".channel_mix_value")
            for name in self.shapes
            if part in name
        }
        for layer in range(self.layers):
            keeps = any(by_layer[layer] is not None for by_layer in state.values()) or self.has(
                layer, "cross_attn_q_proj.weight"
            )
            if heads[layer] and kv_heads[layer] and not keeps and not self.attends(layer, state):
                self.damaged(
                    f"it has no tensor blk.{layer}.attn_q.weight, and its header gives that block"
                    f" {heads[layer]:,} heads"
                )
            if lengths[layer] and f"blk.{layer}" not in below:
                self.damaged(
                    f"it has no tensor blk.{layer}.ffn_down.weight, and its header gives that block"
                    f" a length of {lengths[layer]:,}"
                )

    def refuse_other_lengths(self) -> None:
        """llama.cpp makes the matrices of a dense feed-forward as long as the header says,
        those of the first Qwen half of that.
        """
        lengths = self.per_layer("feed_forward_length", self.layers) or [0] * self.layers
        for layer, length in enumerate(lengths):
            stored = self.shapes.get(f"blk.{layer}.ffn_down.weight")
            if not length or stored is None or self.has(layer, "ffn_down_exps.weight"):
                continue
            wanted = length // 2 if self.name == "qwen" else length
            if stored[0] != wanted:
                self.damaged(
                    f"its tensor blk.{layer}.ffn_down.weight is {stored[0]:,} wide, and its header"
                    f" makes it {wanted:,}"
                )

    def refuse_other_experts(self) -> None:
        """llama.cpp wants as many experts in each tensor as the header says, and no more used
        than there are.
        """
        experts, used = self.number("expert_count") or 0, self.number("expert_used_count") or 0
        if experts == 1 and self.name in _ONE_EXPERT:
            return
        stored = {
            shape[2]
            for name, shape in self.shapes.items()
            if name.endswith("ffn_down_exps.weight") and len(shape) == 3
        }
        if used > experts or (stored and stored != {experts}):
            there = f", and its tensors hold {max(stored):,}" if stored else ""
            self.damaged(f"its header says {experts:,} experts, {used:,} of them used{there}")
        if experts and not any("_exps." in name or ".ffn_down.0." in name for name in self.shapes):
            self.damaged(f"its header says {experts:,} experts, and it has no tensor of any")

    def refuse_other_tokens(self) -> None:
        """llama.cpp makes the table of tokens and the matrix of the output as long as the
        tokenizer, that of the kind "none" as the header says (src/llama-vocab.cpp, load).
        """
        tokens, counted = self.header.counts.get("tokenizer.ggml.tokens"), "its tokenizer has"
        if self.values.get("tokenizer.ggml.model") in ("no_vocab", "none"):
            tokens, counted = self.number("vocab_size"), "its header says"
        for name, others in (
            ("token_embd.weight", _OTHER_TABLES),
            ("output.weight", _OTHER_OUTPUTS),
        ):
            shape = self.shapes.get(name, ())
            if (
                len(shape) == 2
                and tokens is not None
                and self.name not in others
                and shape[1] != tokens
            ):
                raise _Refused(
                    f"its tensor {name} has {shape[1]:,} rows, and {counted} {tokens:,} tokens"
                )

    def loaded(self) -> tuple[FileTensors, ...]:
        """What llama.cpp loads, alike tensors together; () where one has a type whose size is
        not known.
        """
        bytes_by_tensor: dict[tuple[str, tuple[int, ...], str, bool], list[int]] = {}
        for tensor in self.tensors:
            if tensor.bytes is None or tensor.type not in BLOCKS:
                return ()
            name, layer = tensor.name, self.layer_of(tensor)
            if layer >= 0:
                name = _BLOCK.sub(r"\1*\3", name)
            bytes_by_tensor.setdefault(
                (clean(name), tensor.shape, tensor.type, layer >= self.layers), []
            ).append(tensor.bytes)
        return tuple(
            FileTensors(
                name=name, shape=shape, type=type, count=len(sizes), bytes=sum(sizes), extra=extra
            )
            for (name, shape, type, extra), sizes in bytes_by_tensor.items()
        )

    def layer_of(self, tensor: Tensor) -> int:
        """-1 for a tensor outside the blocks."""
        match = _BLOCK.match(tensor.name)
        return int(match[2]) if match else -1

    def is_encoder(self) -> bool:
        row = row_values(self.architectures, self.name)
        return (
            bool(row.get("encoder"))
            if row is not None
            else self.values.get(f"{self.name}.attention.causal") is False
        )

    def architecture(self) -> Architecture:
        blocks = self.required("block_count")
        more = self.number("nextn_predict_layers") or 0
        if not 0 < blocks <= MAX_LAYERS or more >= blocks:
            self.damaged(f"{blocks:,} layers, {more:,} of them for multi-token prediction")
        self.layers = layers = blocks - more
        width = self.required("embedding_length")
        context = self.required("context_length")
        row = row_values(self.architectures, self.name)
        encoder = self.is_encoder()
        embeds = encoder and not (row and row.get("diffusion"))
        if row is None and encoder:
            raise _Unclear(
                f"{self.name} attends both ways (attention.causal is false), and this selfhost has"
                " no row for it"
            )
        encoder_prefixes = ("a.", "v.") if row is not None else ("enc.", "dec.", "a.", "v.")
        if any(name.startswith(encoder_prefixes) for name in self.shapes):
            raise _Unclear(
                f"{self.name} has an encoder beside its decoder, and what it keeps of the text it"
                " read is not in the header"
            )
        strange = next((tensor for tensor in self.tensors if tensor.bytes is None), None)
        if strange is not None:
            raise _Unclear(
                f'the tensor "{clean(strange.name)}" is of {strange.type}, which no llama.cpp up to'
                " 2026 loads"
            )
        self.refuse_other_counts(blocks)
        self.refuse_missing_blocks(blocks)
        self.refuse_other_experts()
        self.refuse_other_lengths()
        state = self.recurrent()
        if row is not None:
            self.refuse_missing_parts(state)
            self.refuse_other_tokens()
        attention = self.attention(state)
        if not attention and not state:
            raise _Unclear(
                f"no layer of {self.name} has attention or a recurrent state that this selfhost"
                " knows"
            )
        vocabulary = (
            self.shapes.get("token_embd.weight", (0, 0))[-1]
            or self.header.counts.get("tokenizer.ggml.tokens")
            or None
        )
        heads = max((group.heads for group in attention if group is not None), default=None)
        positions = self.shapes.get("position_embd.weight")
        types = self.shapes.get("token_types.weight")
        token_types = None
        if types:
            token_types = types[1] if len(types) > 1 else 1
        rows = positions[-1] if positions and len(positions) > 1 else None
        shared = self.number("attention.shared_kv_layers") or 0
        if self.name == "gemma3n" and self.values.get("gemma3n.attention.shared_kv_layers") is None:
            shared = max(0, layers - _GEMMA3N_CACHE_LAYERS)
        if shared >= layers:
            self.damaged(f"all {layers:,} layers read the cache of an earlier one")
        feed_forward = self.feed_forward(width)
        states = [part for parts in state.values() for part in parts]
        self.refuse_misfits(dict.fromkeys((*attention, *states, *feed_forward)), width)
        # Nanbeige runs through its layers several times, each time with a cache of their own
        # (src/models/nanbeige.cpp)
        loops = (self.name == "nanbeige" and self.number("num_loops")) or 1
        if layers * loops > MAX_LAYERS:
            self.damaged(f"{loops:,} runs through {layers:,} layers")
        model = Architecture(
            row=self.name,
            runs_in_gguf=True,
            layers=layers * loops,
            embedding_length=width,
            heads=heads,
            vocabulary=vocabulary,
            context_tokens=context or None,
            tied_embeddings="output.weight" not in self.shapes and not embeds,
            output_matrix=not embeds,
            attention=grouped(attention * loops),
            recurrent=tuple(group for by_layer in state.values() for group in grouped(by_layer)),
            feed_forward=grouped(feed_forward * loops),
            # the converter drops the two rows of XLM-RoBERTa's position table that no token uses
            positions=rows + 2 if rows and token_types == 1 else rows,
            token_types=token_types,
            cache_layers=layers - shared if shared else None,
            stored_layers=layers if loops > 1 else None,
            per_layer_embedding_length=self.number("embedding_length_per_layer_input") or None,
            altup_inputs=self.number("altup.num_inputs")
            or self.number("hyper_connection.count")
            or None,
            deepstack_layers=min(self.number("n_deepstack_layers") or 0, layers) or None,
            mtp_layers=more or None,
        )
        for key, message, _ in model.misfits():
            raise _Unclear(f"{self.name}: {key} {message}")
        if model.context_tokens is None:
            self.unknown["architecture.context_tokens"] = (
                f"the header says {self.name}.context_length = 0"
            )
        self.unknown["architecture.dtype"] = (
            "a GGUF file does not say in which type the weights were published"
        )
        return self.as_stored(
            model if row is None else model.replace(**self.departures(row, model)), row
        )

    def refuse_misfits(self, parts: Iterable[LayerPart | None], width: int) -> None:
        """Raises for a size that does not divide what it should, under the name that it has in
        the header.
        """
        for part in parts:
            for key, message, _ in () if part is None else part.misfits(width):
                own = _KEYS_OF.get((type(part), key), key)
                raise _Unclear(f"{self.name}.{own} {message}")

    # -------- layers

    def has(self, layer: int, *names: str) -> bool:
        return any(f"blk.{layer}.{name}" in self.shapes for name in names)

    def recurrent(self) -> dict[str, list[Recurrent | None]]:
        """By kind, the state of each layer; layers and kinds as the tensors show them, sizes as
        the keys say.
        """
        by_kind: dict[str, list[Recurrent | None]] = {}
        for layer in range(self.layers):
            kind = self.recurrent_kind(layer)
            if kind is not None:
                by_kind.setdefault(kind, [None] * self.layers)[layer] = self.state(kind, layer)
        return by_kind

    def recurrent_kind(self, layer: int) -> str | None:
        if self.has(layer, "shortconv.conv.weight"):
            return "convolution"
        if self.has(layer, "ssm_conv1d_q.weight"):
            return "kda"
        if self.name == "minimax-01" and self.has(layer, "attn_norm_2.weight"):
            return "lightning"
        if self.has(layer, "ssm_conv1d.weight"):
            if self.name in _DELTA or self.has(layer, "ssm_alpha.weight", "ssm_ba.weight"):
                return "delta"
            if self.has(layer, "ssm_x.weight"):
                return "mamba"
            if self.has(layer, "ssm_in.weight"):
                return "mamba2"
        if self.has(layer, "time_mix_a1.weight"):
            return "rwkv7" if self.has(layer, "channel_mix_key.weight") else "qrwkv7"
        if self.has(layer, "time_mix_lerp_x.weight", "time_mix_lerp_fused.weight"):
            return "rwkv6" if self.has(layer, "channel_mix_key.weight") else "qrwkv6"
        prefix = f"blk.{layer}."
        if any(
            self.has(layer, name)
            for name in (
                "ssm_a",
                "ssm_in.weight",
                "time_mix_w1.weight",
                "time_mix_key.weight",
                "time_mix_lerp_x.weight",
            )
        ):
            raise _Unclear(
                f"the recurrent layers of {self.name} (tensors such as {prefix}{self.odd(prefix)})"
                " are of an unknown kind"
            )
        return None

    def odd(self, prefix: str) -> str:
        return next(
            (
                clean(name[len(prefix) :])
                for name in self.shapes
                if name.startswith((prefix + "ssm", prefix + "time_mix"))
            ),
            "…",
        )

    def state(self, kind: str, layer: int) -> Recurrent:
        if kind == "convolution":
            return Recurrent(kind=kind, layers=(), convolution=self.needed("shortconv.l_cache"))
        if "rwkv" in kind:
            sixth = kind.endswith("6")
            keys = ("time_mix_extra_dim", "time_decay_extra_dim") if sixth else _RWKV7_RANKS
            return Recurrent(
                kind=kind,
                layers=(),
                key_heads=self.needed("attention.head_count_kv") if kind == "qrwkv6" else None,
                key_length=self.needed("wkv.head_size"),
                ranks=tuple(self.number(key) or 0 for key in keys),
            )
        if kind == "lightning":
            return Recurrent(
                kind=kind,
                layers=(),
                heads=self.needed("attention.head_count"),
                key_length=self.needed("attention.key_length"),
            )
        taps = self.needed("ssm.conv_kernel")
        if kind == "kda":
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=taps,
                heads=self.needed("attention.head_count"),
                key_length=self.needed("kda.head_dim"),
            )
        inner, size, rank = (
            self.needed("ssm.inner_size"),
            self.needed("ssm.state_size"),
            self.needed("ssm.time_step_rank"),
        )
        if kind == "mamba":
            heads = rank if self.name == "plamo2" else None
            if heads:
                rank = plamo2_rank(self.needed("embedding_length"))
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=taps,
                inner_length=inner,
                state_length=size,
                time_step_rank=rank,
                heads=heads,
            )
        groups = self.needed("ssm.group_count")
        if kind == "mamba2":
            norm = None if self.has(layer, "ssm_norm.weight") else False
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=taps,
                inner_length=inner,
                state_length=size,
                heads=rank,
                groups=groups,
                norm=norm,
            )
        if inner % rank:
            raise _Unclear(f"{self.name}.ssm.inner_size is no multiple of ssm.time_step_rank")
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=taps,
            key_heads=groups,
            heads=rank,
            key_length=size,
            value_length=inner // rank,
        )

    def attends(self, layer: int, state: Mapping[str, Sequence[Recurrent | None]]) -> bool:
        def keeps(kind: str) -> bool:
            return kind in state and state[kind][layer] is not None

        if keeps("kda") or keeps("lightning"):
            return False
        if keeps("delta"):
            return self.has(layer, "attn_k.weight", "attn_q.weight")
        return self.has(
            layer,
            "attn_k.weight",
            "attn_q.weight",
            "attn_qkv.weight",
            "attn_kv_a_mqa.weight",
            "attn_q_a.weight",
        )

    def attention(self, state: Mapping[str, Sequence[Recurrent | None]]) -> list[Attention | None]:
        layers = self.layers
        attending = [layer for layer in range(layers) if self.attends(layer, state)]
        if not attending:
            return []
        heads = self.per_layer("attention.head_count", layers)
        if heads is None or max(heads) < 1:
            raise _Unclear(f"the header has no {self.name}.attention.head_count")
        kv_heads = self.per_layer("attention.head_count_kv", layers) or heads
        window, slides = self.window()
        by_layer: list[Attention | None] = [None] * layers
        for layer in attending:
            by_layer[layer] = self.attention_of(
                layer,
                heads[layer] or max(heads),
                kv_heads[layer],
                window if slides[layer] else None,
            )
        return by_layer

    def attention_of(self, layer: int, heads: int, kv_heads: int, window: int | None) -> Attention:
        width = self.needed("embedding_length")
        key = self.number("attention.key_length") or width // heads
        value = self.number("attention.value_length") or width // heads
        latent = self.number("attention.kv_lora_rank")
        if latent and self.number("attention.key_length_mla"):
            return self.latent(layer, latent, heads, window)
        ratios = self.per_layer("attention.compress_ratios", self.layers)
        if ratios is not None:
            return self.compressed(layer, heads, ratios[layer], window)
        unpacked = latent if self.has(layer, "attn_kv_b.weight") else None
        rope = self.needed("rope.dimension_count") if unpacked else None
        if rope is not None and rope >= key:
            raise _Unclear(f"{self.name}.rope.dimension_count is not below attention.key_length")
        if not 1 <= kv_heads <= heads or heads % kv_heads:
            raise _Unclear(
                f"{self.name}.attention.head_count_kv is {kv_heads:,} for layer {layer}, which"
                f" attends with {heads:,} heads"
            )
        if not key or not value:
            raise _Unclear(
                f"{self.name} has {heads:,} heads and a width of {width:,}, which leaves no room"
                " for a key"
            )
        if window is not None:
            key = self.number("attention.key_length_swa") or key
            value = self.number("attention.value_length_swa") or value
        stored = self.shapes.get(f"blk.{layer}.attn_k.weight")
        if stored is not None and prod(stored[1:]) != kv_heads * key:
            raise _Unclear(
                f"blk.{layer}.attn_k.weight holds {prod(stored[1:]):,} numbers a token, and the"
                f" keys of {self.name} {kv_heads:,} × {key:,}"
            )
        lacks_values = self.name in _VALUES_FROM_KEYS and not self.has(layer, "attn_v.weight")
        indexer_heads, indexer_length = self.indexer(layer)
        return Attention(
            kind="full" if window is None else "sliding",
            layers=(),
            heads=heads,
            kv_heads=kv_heads,
            key_length=key,
            value_length=value,
            window_tokens=window,
            values_from_keys=lacks_values,
            latent_length=unpacked,
            query_latent_length=(
                (self.number("attention.q_lora_rank") or None) if unpacked else None
            ),
            rope_length=rope,
            indexer_heads=indexer_heads,
            indexer_length=indexer_length,
        )

    def latent(self, layer: int, latent: int, heads: int, window: int | None) -> Attention:
        """Layers with a window may be of other sizes than the rest."""
        keys = "key_length_mla", "value_length_mla"
        if window is not None and self.number("attention.kv_lora_rank_swa"):
            latent, keys = (
                self.needed("attention.kv_lora_rank_swa"),
                ("key_length_mla_swa", "value_length_mla_swa"),
            )
        rope, whole, value = (
            self.needed("rope.dimension_count"),
            *(self.needed(f"attention.{key}") for key in keys),
        )
        if rope >= whole:
            raise _Unclear(f"{self.name}.rope.dimension_count is not below attention.{keys[0]}")
        indexer_heads, indexer_length = self.indexer(layer)
        return Attention(
            kind="latent",
            layers=(),
            heads=heads,
            kv_heads=heads,
            key_length=whole - rope,
            value_length=value,
            window_tokens=window,
            latent_length=latent,
            query_latent_length=self.number("attention.q_lora_rank") or None,
            rope_length=rope,
            indexer_heads=indexer_heads,
            indexer_length=indexer_length,
        )

    def compressed(self, layer: int, heads: int, ratio: int, window: int | None) -> Attention:
        indexer_heads, indexer_length = self.indexer(layer)
        key = self.needed("attention.key_length")
        return Attention(
            kind="compressed",
            layers=(),
            heads=heads,
            kv_heads=1,
            key_length=key,
            value_length=key,
            window_tokens=window or self.needed("attention.sliding_window"),
            query_latent_length=self.needed("attention.q_lora_rank"),
            indexer_heads=indexer_heads,
            indexer_length=indexer_length,
            indexer_rows=self.needed("attention.indexer.top_k") if indexer_heads else None,
            compression=ratio or None,
            output_groups=self.needed("attention.output_group_count"),
            output_latent_length=self.needed("attention.output_lora_rank"),
        )

    def indexer(self, layer: int) -> tuple[int | None, int | None]:
        """Heads and key length of the sparse indexer of that layer; other layers share an
        earlier one's choice, or look at everything.
        """
        if not self.has(
            layer, "indexer.attn_k.weight", "indexer.k_proj.weight", "indexer_compressor_kv.weight"
        ):
            return None, None
        return self.needed("attention.indexer.head_count"), self.needed(
            "attention.indexer.key_length"
        )

    def window(self) -> tuple[int | None, list[bool]]:
        """The window in tokens, and which layers it is of."""
        layers = self.layers
        none = [False] * layers
        window = self.number("attention.sliding_window") or self.number("attention.chunk_size") or 0
        if not window and self.name == "llama4":
            window = _LLAMA4_WINDOW
        if not window and self.name == "exaone4" and layers == _EXAONE4_LAYERS:
            window = _EXAONE4_WINDOW
        # a window that no text can fill is none
        if not window or window >= (self.number("context_length") or _MAX_NUMBER):
            return None, none
        name = f"{self.name}.attention.sliding_window_pattern"
        pattern = self.values.get(name)
        listed_layers = (
            len(pattern) if isinstance(pattern, list) else self.header.counts.get(name, layers)
        )
        if not layers <= listed_layers <= layers + (self.number("nextn_predict_layers") or 0):
            # get_key_or_arr of earlier releases; get_arr of 0c1e570, into an array of zeros
            raise _Unclear(
                f"{name} lists {listed_layers:,} layers, and there are {layers:,}: releases of"
                " llama.cpp refuse such a file, or take the others for layers without a window"
            )
        if isinstance(pattern, list):
            flags = self.per_layer("attention.sliding_window_pattern", layers) or []
            return window, [bool(item) for item in flags]
        every = self.number("attention.sliding_window_pattern")
        if every is None:
            every = _FULL_EVERY.get(self.name)
        if every is None:
            raise _Unclear(
                f"{self.name} has a window of {window:,} tokens, and the header does not say in"
                " which layers"
            )
        full = 0 if self.name in _FULL_FIRST else (every or 1) - 1
        return window, [every == 0 or layer % every != full for layer in range(layers)]

    def feed_forward(self, width: int) -> list[FeedForward | None]:
        used = self.number("expert_used_count")
        groups = self.number("expert_group_count") or 0
        by_layer: list[FeedForward | None] = []
        for layer in range(self.layers):
            experts = self.shapes.get(f"blk.{layer}.ffn_down_exps.weight")
            dense = self.shapes.get(f"blk.{layer}.ffn_down.weight")
            shared = self.shapes.get(f"blk.{layer}.ffn_down_shexp.weight")
            if experts is not None and len(experts) == 3 and used:
                length, inner, number = experts
                by_layer.append(
                    FeedForward(
                        layers=(),
                        length=length,
                        experts=number,
                        used=min(used, number),
                        shared_length=shared[0] if shared else None,
                        latent_length=inner if inner != width else None,
                        router_bias=self.has(layer, "exp_probs_b.bias", "exp_probs_b"),
                        beside_dense=dense[0] if dense else None,
                        groups=groups if groups > 1 else None,
                        groups_used=self.needed("expert_group_used_count") if groups > 1 else None,
                    )
                )
            elif dense is None and self.has(layer, "channel_mix_key.weight"):
                by_layer.append(
                    FeedForward(
                        layers=(), length=self.shapes[f"blk.{layer}.channel_mix_key.weight"][-1]
                    )
                )
            elif dense is not None:
                by_layer.append(FeedForward(layers=(), length=dense[0]))
            elif f"blk.{layer}.ffn_down.0.weight" in self.shapes and used:
                # before April 2024 every expert was a tensor of its own
                number = sum(
                    f"blk.{layer}.ffn_down.{expert}.weight" in self.shapes
                    for expert in range(MAX_KEPT)
                )
                length = self.shapes[f"blk.{layer}.ffn_down.0.weight"][0]
                by_layer.append(
                    FeedForward(layers=(), length=length, experts=number, used=min(used, number))
                )
            else:
                by_layer.append(None)
        return by_layer

    # -------- what its row says, and where it departs from it

    def departures(self, row: Mapping[str, Any], model: Architecture) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        bias = any(name.endswith(("attn_q.bias", "attn_qkv.bias")) for name in self.shapes)
        if model.attention and bias != bool(row.get("attention_bias")):
            changes["attention_bias"] = bias
        norm = self.query_key_norm(model)
        if norm is not None and norm != (row.get("query_key_norm") or "none"):
            changes["query_key_norm"] = norm
        if not model.recurrent and any(name.endswith("attn_norm_2.weight") for name in self.shapes):
            changes["parallel_norms"] = 2
        factors = self.rope_factors()
        if factors is not None and factors != row.get("rope_factors"):
            changes["rope_factors"] = factors
        if self.values.get("chameleon.swin_norm") is True:
            changes["also"] = ("norms_after",)
        up, down = (self.shapes.get(f"blk.0.ffn_{part}.weight") for part in ("up", "down"))
        if self.name in _GATE_VARIES and up is not None and down is not None:
            if self.has(0, "ffn_gate.weight"):
                gate = "split"
            else:
                gate = "fused" if up[-1] == 2 * down[0] else "none"
            if gate != row.get("gate", "split"):
                changes["gate"] = gate
        return changes

    def rope_factors(self) -> str | None:
        """The kind of the tensors that scale its rotary positions; None where it has none."""
        if "rope_freqs.weight" in self.shapes:
            return "freqs"
        return "long_short" if "rope_factors_long.weight" in self.shapes else None

    def query_key_norm(self, model: Architecture) -> str | None:
        """None where no layer has plain attention, so that the question makes no sense."""
        for group in model.attention:
            if group.kind != "latent":
                shape = self.shapes.get(f"blk.{group.layers[0]}.attn_q_norm.weight")
                if shape is None:
                    return "none"
                if len(shape) > 1 and shape[1] > 1:
                    return "per_head"
                return "head" if shape[0] == group.key_length else "full"
        return None

    def as_stored(self, model: Architecture, row: Mapping[str, Any] | None) -> Architecture:
        """With the file's own tensor table, unless the row already gives it."""
        if row is not None:
            from ..needs.tensors import gguf_tensors, row_of

            model_row = row_of(model, self.architectures)
            if model_row is None:
                raise _Unclear(f"its layers lack a part that every {self.name} model has")
            expected = _by_place(gguf_tensors(model, model_row))
            actual = _by_place(self.groups(model))
            if expected == actual:
                return model
            self.refuse_other_tensors(expected, actual)
            odd = [place for place, _ in expected.items() ^ actual.items()]
            names = listed(sorted({clean(_numbered(place)) for place in odd}), 3)
            self.notes.append(
                f"its tensors are not quite those of other {self.name} models ({names}); counted as"
                " they stand in the file"
            )
        else:
            self.notes.append(
                f"{self.name} is not an architecture that this selfhost knows; its tensors are"
                " counted as they stand in the file"
            )
            self.unknown["architecture.attention"] = (
                f"{self.name} is not an architecture that this selfhost knows, and perhaps none"
                " that llama.cpp loads"
            )
            model = model.replace(attention=(), recurrent=())
        groups = self.groups(model)
        if len({group.name for group in groups}) > MAX_TENSOR_NAMES:
            raise _Unclear(f"the tensors of {self.name} have more than {MAX_TENSOR_NAMES:,} names")
        return model.replace(tensors=groups)

    def refuse_other_tensors(
        self,
        expected: Mapping[tuple[str, int], tuple[int, ...]],
        actual: Mapping[tuple[str, int], tuple[int, ...]],
    ) -> None:
        """Raise `_Refused` at a tensor that llama.cpp would not find or would find in another
        shape, `_Unclear` at one that it would not ask for.

        It refuses all three (src/llama-model-loader.cpp: check_tensor_dims, done_getting_tensors),
        the last as long as no release learns of the tensor. Blocks that predict more tokens are
        left out.
        """
        merged = {
            layer
            for name, layer in actual.keys() - expected.keys()
            if name.removeprefix("blk.*.") in _INSTEAD
        }
        for name, layer in sorted(expected.keys() | actual.keys()):
            needed, there = expected.get((name, layer)), actual.get((name, layer))
            if needed == there or layer >= self.layers or layer in merged or _OPTIONAL.search(name):
                continue
            what = clean(_numbered((name, layer)))
            if there is None:
                raise _Refused(f"it has no tensor {what}, which {self.name} models have")
            shape = " × ".join(f"{size:,}" for size in there) or "1"
            if needed is None:
                raise _Unclear(
                    f"the file has a tensor {what} ({shape}), which no llama.cpp known here loads"
                    f" with {self.name} models"
                )
            raise _Refused(
                f"its tensor {what} is {shape}, and the header makes it"
                f" {' × '.join(f'{size:,}' for size in needed) or '1'}"
            )

    def groups(self, model: Architecture) -> tuple[TensorGroup, ...]:
        limit = model.layers + (model.mtp_layers or 0)
        layers_by_tensor: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for tensor in self.tensors:
            block = _BLOCK.match(tensor.name)
            inside = (
                block is not None
                and int(block[2]) < limit
                and block[2] == str(int(block[2]))
                and "*" not in tensor.name
            )
            name = (
                f"{block[1]}*{block[3]}"
                if block is not None and inside
                else tensor.name.replace("*", "?")
            )
            layers_by_tensor.setdefault((clean(name), tensor.shape), []).append(
                int(block[2]) if block is not None and inside else -1
            )
        return tuple(
            TensorGroup(
                name=name, layers=() if numbers == [-1] else tuple(sorted(numbers)), shape=shape
            )
            for (name, shape), numbers in layers_by_tensor.items()
            if numbers == [-1] or -1 not in numbers
        )

    def parameters(self, architecture: Architecture | None) -> tuple[int | None, int | None]:
        """Total and per token, without what only a GGUF file has."""
        total = inactive = 0
        try:
            used = self.number("expert_used_count")
        except _Unclear:
            used = None
        for tensor in self.tensors:
            if (
                tensor.name.startswith(("rope_freqs.", "rope_factors_"))
                or self.layer_of(tensor) >= self.layers
            ):
                continue
            count = prod(tensor.shape)
            total += count
            if "exps." in tensor.name and len(tensor.shape) > 1:
                inactive += (
                    count
                    // tensor.shape[-1]
                    * max(0, tensor.shape[-1] - (used if used is not None else tensor.shape[-1]))
                )
        if architecture is not None and not architecture.tensors:
            from ..needs.tensors import checkpoint_tensors, row_of
            from ..needs.tensors import count as elements

            row = row_of(architecture, self.architectures)
            if row is not None:
                published = elements(checkpoint_tensors(architecture, row))
                total, inactive = published, min(inactive, published - 1)
        if total > _MAX_PARAMETERS:
            self.damaged(f"{total:.1e} parameters")
        return total or None, max(1, total - inactive) if total else None

    # -------- quantization

    def quantization(self) -> str:
        by_type: dict[str, int] = {}
        for tensor in self.tensors:
            if len(tensor.shape) > 1:
                by_type[tensor.type] = by_type.get(tensor.type, 0) + prod(tensor.shape)
        most = max(by_type, key=lambda type: by_type[type], default="F32")
        stated = self.values.get("general.file_type")
        file_type = (
            _FILE_TYPES.get(stated & ~_GUESSED)
            if isinstance(stated, int) and not isinstance(stated, bool)
            else None
        )
        if file_type is not None:
            name, base = file_type
            if base not in by_type and _FALLBACKS.get(base) not in by_type:
                seen = listed(sorted(by_type, key=lambda type: -by_type[type]), 3)
                actual = self.mix(most)
                self.notes.append(
                    f"its header says {name}, and none of its tensors is {base}: they are {seen};"
                    f" taken for {actual}"
                )
                return actual
            self.note_own_mix(name)
            return name
        if stated is not None:
            self.notes.append(
                f"general.file_type is {stated!r:.40}, which this selfhost does not know; named by"
                " its tensors"
            )
        return self.mix(most)

    def note_own_mix(self, name: str) -> None:
        match = re.search(r"(?i)[-._](UD-(?:I?Q\d\w*))", os.path.basename(self.path))
        if match:
            self.notes.append(
                f"its name says {clean(match[1]).upper()}, its publisher's own mix; its header"
                f" {name}"
            )

    def mix(self, most: str) -> str:
        """The quantization that a file mostly of this type is: K types come in mixes that
        differ in attn_v and ffn_down.
        """
        if most not in ("Q3_K", "Q4_K", "Q5_K"):
            named = next((name for name, base in _FILE_TYPES.values() if base == most), most)
            return named if named in QUANTIZATIONS["gguf"] else most
        down = {tensor.type for tensor in self.tensors if "ffn_down" in tensor.name} | {
            tensor.type
            for tensor in self.tensors
            if "attn_v.weight" in tensor.name or "attn_qkv.weight" in tensor.name
        }
        if most == "Q3_K" and down <= {"Q3_K", "F32"}:
            ending = "S"
        elif most == "Q3_K":
            ending = "M" if "Q4_K" in down else "L"
        else:
            ending = "M" if "Q6_K" in down else "S"
        return f"{most}_{ending}"


def _by_place(groups: Iterable[TensorGroup]) -> dict[tuple[str, int], tuple[int, ...]]:
    """Shape by name and layer. Dimensions of 1 say nothing, and how a norm is folded changes no
    size.
    """
    shapes: dict[tuple[str, int], tuple[int, ...]] = {}
    for group in groups:
        name = group.name.removesuffix(".weight")
        name = _TWO_NAMES.get(name, name)
        shape = (
            (prod(group.shape),)
            if name.endswith("norm")
            else tuple(size for size in group.shape if size != 1)
        )
        for layer in group.layers or (-1,):
            shapes[name, layer] = shape
    return shapes


def _numbered(place: tuple[str, int]) -> str:
    name, layer = place
    return name.replace("*", str(layer)) if layer >= 0 else name
