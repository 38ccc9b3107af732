"""The values that specs may state: kinds of models, forms of ids, names of quantizations and the
layout of each. The meaning of a model name's ending is in `forms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..core.records import Record, Stated, TextForm
from ..core.tables import expression, row_names, shipped_record
from .name_table import NAME_TABLE

SCHEMA = 1
# the ending of the file beside `<id>.toml` that states the sources of facts
SOURCES_ENDING = ".sources.toml"
MODALITIES = ("text", "vision", "speech", "embedding", "image", "video", "music")
# modalities whose output is counted in tokens, generated one after another
GENERATING = ("text", "vision")
# modalities of pipelines: several models that run one after the other
PICTURES = ("image", "video")
# modalities served one request at a time; embedding and speech servers answer several at once
ONE_AT_A_TIME = ("image", "video", "music")
# the use of a model that continues text and follows no instructions
BASE = "base"
# the uses of models
USES = row_names("uses", "use")
# how much of the weights, code or data was published
OPENNESS = ("published", "partial", "closed", "unknown")
INPUTS = ("text", "image", "audio", "video", "document")
# the value of `tuned_from` for a model trained from random weights
SCRATCH = "scratch"


def _form(name: str) -> TextForm:
    """The form that texts of one kind must have, from the table of names."""
    pattern, message, *remedy = NAME_TABLE.form[name]
    return TextForm(
        pattern=pattern,
        message=message,
        remedy=remedy[0] if remedy else None,
    )


ID = _form("id")
REPOSITORY = _form("repository")
# the model that a model was tuned from: an id or a repository
ORIGIN = _form("origin")
ADDRESS = _form("address")
ALIAS = _form("alias")

FORMATS = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2", "pickle")
# formats in which a training program writes a model, as a whole folder: a program that loads such a
# repository loads such a folder too
TRAINED_FORMATS = ("safetensors", "pickle")
# types in which a model runs without conversion
PLAIN_DTYPES = ("bfloat16", "float16", "float32")
# the types in which CTranslate2 computes, whatever type the file has: the usual ones, then those
# that a user may ask for; best first
CTRANSLATE2_TYPES = (
    "float32", "float16", "int8", "bfloat16", "int8_float32", "int8_bfloat16", "int8_float16",
)  # fmt: skip
# the types that MLX's own converter makes, best first
MLX_QUANTIZATIONS = ("bf16", "fp16", "8bit", "6bit", "5bit", "4bit", "3bit", "2bit")


class QuantizationNames(Stated):
    """`[names]` of specs/common/quantizations.toml, which explains each key."""

    dtypes: tuple[str, ...]
    ggml: tuple[str, ...]
    packed: tuple[str, ...]
    mlx: tuple[str, ...]
    gguf_type: str
    words: tuple[str, ...]
    containers: frozenset[str]
    programs: Mapping[str, str]
    packed_for: Mapping[str, str]
    # the bits of a weight, and the number of weights that share a scale
    fixed: Mapping[str, tuple[int, ...]]
    mlx_modes: Mapping[str, tuple[int, ...]]
    mlx_words: Mapping[str, str]
    bare: Mapping[str, str]
    same: Mapping[str, tuple[str, ...]]
    loaded_as: Mapping[str, tuple[str, ...]]
    spelled: Mapping[str, str]


QUANTIZATION_NAMES = shipped_record(QuantizationNames, "quantizations", "names")
DTYPES = QUANTIZATION_NAMES.dtypes
# MLX modes with 8-bit scales and no bias: the bits of a weight, and the number of weights that
# share a scale
MLX_MODES = QUANTIZATION_NAMES.mlx_modes
# the names of a stored type in other formats
SAME_TYPES = QUANTIZATION_NAMES.same
# types made by others than the publisher; 4 bits in groups of 128 unless the name says otherwise
PACKED = QUANTIZATION_NAMES.packed
# types that llama-quantize makes, and publishers' mixes
_GGUF_TYPES = row_names("gguf_types", "quantization")
_GGUF_MIXES = row_names("gguf_types", "mixes")
# quantizations by format, as publishers name them
QUANTIZATIONS: Mapping[str, Sequence[str]] = {
    "gguf": (*_GGUF_TYPES, *_GGUF_MIXES, "MXFP4_MOE"),
    "ggml": QUANTIZATION_NAMES.ggml,
    "ctranslate2": CTRANSLATE2_TYPES,
    "safetensors": (*DTYPES, *PACKED),
    "pickle": DTYPES,
    "mlx": QUANTIZATION_NAMES.mlx,
}

# the prefix of the type of weights that were trained for this type; names of files and tags lack
# the prefix
TRAINED_FOR = "QAT-"

# matches names without separators, such as `q4km`
_UNSEPARATED = r"^(I?Q\d)(K|XXS|XS|NL)([SML]?)$"


# cached: one question asks about the same few names hundreds of times
@lru_cache(maxsize=1024)
def gguf_name(text: str) -> str:
    """A GGUF type, typed in any spelling, as llama.cpp writes it: `q4-k` and `q4km` are
    `Q4_K_M`.
    """
    name = text.strip().upper()
    prefix = ""
    for known in ("UD-", TRAINED_FOR):
        if name.startswith(known):
            prefix = known
            name = name.removeprefix(known)
            break
    name = re.sub("[-.]", "_", name)
    if "_" not in name:
        name = re.sub(_UNSEPARATED, r"\1_\2_\3", name)
    name = name.rstrip("_")
    spelled = QUANTIZATION_NAMES.spelled.get(name, name)
    return prefix + spelled


# the number of weights that share a scale unless the name states it: AutoAWQ, GPTQModel and
# compressed-tensors; MLX
_USUAL_GROUP = 128
_USUAL_BITS = 4
_USUAL_MLX_GROUP = 64


def account_of(repository: str | None) -> str:
    """The account that a repository belongs to; empty for None."""
    if repository is None:
        return ""
    return repository.partition("/")[0]


class Scheme(Record):
    """A quantized layout. `group`: the weights that share a scale; None: a whole row. `zeros`: zero
    points are kept.
    """

    name: str
    method: str
    bits: float
    group: int | None
    zeros: bool = False

    @property
    def step(self) -> int:
        """The number of weights whose multiple a row must have; 1 where a row has one scale."""
        return self.group or 1


@lru_cache(maxsize=512)
def scheme_of(text: str) -> Scheme | None:
    """The layout that the name of a quantization stands for, with the canonical name: `AWQ-INT4` ->
    `awq`, `bnb-4bit` -> `nf4`.

    None for a plain type, for a type of DTYPES that only the model's publisher makes, and for any
    other name.
    """
    # the name in lower case, words joined by dashes, bits written as `4bit`
    name = text.strip().lower()
    name = re.sub(r"[_\s.]+", "-", name)
    name = name.replace("actorder", "")
    name = name.strip("-")
    name = re.sub(r"\bint([2348])\b|\b([2348])-bit\b", r"\1\2bit", name)
    name = QUANTIZATION_NAMES.spelled.get(name, name)
    if name in QUANTIZATION_NAMES.fixed:
        bits, group = QUANTIZATION_NAMES.fixed[name]
        return Scheme(name=name, method=name, bits=bits, group=group or None)
    fractional = expression("quantizations", "exl3")
    match = fractional.fullmatch(name)
    if match is not None:
        return _exl3_scheme(match)
    packed = expression("quantizations", "packed")
    match = packed.fullmatch(name)
    if match is not None:
        return _packed_scheme(match)
    return None


def _exl3_scheme(match: re.Match[str]) -> Scheme:
    """The layout of a name that the expression `exl3` matches, with a fraction of bits on
    average.
    """
    bits = match["bits"].replace("-", ".")
    average = float(bits)
    name = "exl3"
    if average != _USUAL_BITS:
        name = f"exl3-{average:g}bpw"
    return Scheme(name=name, method="exl3", bits=average, group=None)


def _packed_scheme(match: re.Match[str]) -> Scheme | None:
    """The layout of a name that the expression `packed` matches; None where no program makes such a
    layout.
    """
    method = match["method"]
    zeros = match["zeros"]
    usual_bits = 8 if method == "w8a16" else _USUAL_BITS
    stated_bits = match["bits_before"] or match["bits_behind"]
    bits = int(stated_bits or usual_bits)
    # AutoAWQ packs only 4 bits, and always stores zero points
    if bits != usual_bits and method != "gptq":
        return None
    if zeros and method in ("awq", "gptq"):
        return None
    group = None
    if not match["channel"]:
        group = int(match["group"] or _USUAL_GROUP)
    name = method
    if bits != usual_bits:
        name += f"-{bits}bit"
    if group is None:
        name += "-channel"
    elif group != _USUAL_GROUP:
        name += f"-{group}g"
    name += zeros
    return Scheme(
        name=name,
        method=method,
        bits=bits,
        group=group,
        zeros=zeros != "",
    )


def mlx_scheme(name: str) -> Scheme | None:
    """The layout that a name of MLX's quantizations stands for: `4bit` has groups of 64, `4bit-32g`
    of 32. None for any other name.
    """
    if name in MLX_MODES:
        bits, group = MLX_MODES[name]
        return Scheme(name=name, method=name, bits=bits, group=group)
    stated = expression("quantizations", "mlx")
    match = stated.fullmatch(name)
    if match is None:
        return None
    bits = int(match["bits"])
    group = int(match["group"] or _USUAL_MLX_GROUP)
    return Scheme(name=name, method="mlx", bits=bits, group=group)
