"""What specs may state: kinds of models, forms of ids, names of quantizations and the layout that
each stands for. What the end of a model's name says of its files is in `forms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..core.records import Record, Stated, TextForm
from ..core.tables import expression, row_names, shipped_record
from .name_table import NAME_TABLE

SCHEMA = 1
# of the file beside `<id>.toml` that says where its facts come from
SOURCES_ENDING = ".sources.toml"
MODALITIES = ("text", "vision", "speech", "embedding", "image", "video", "music")
# those whose work is counted in tokens one after another
GENERATING = ("text", "vision")
# those whose parts come one after the other, each a model of its own
PICTURES = ("image", "video")
# those that make one thing after another; a server of vectors, or of what it hears, answers several
ONE_AT_A_TIME = ("image", "video", "music")
# the use of a model that continues text and follows no instructions
BASE = "base"
# what a model may be for
USES = row_names("uses", "use")
# of the weights, the code or the data, what was published
OPENNESS = ("published", "partial", "closed", "unknown")
INPUTS = ("text", "image", "audio", "video", "document")
# the word of `tuned_from` for a model whose training began with random weights
SCRATCH = "scratch"


def _form(name: str) -> TextForm:
    """What a text of that kind must look like, by the table of names."""
    return TextForm(*NAME_TABLE.form[name])


ID = _form("id")
REPOSITORY = _form("repository")
# of what a model was tuned: an id or a repository
ORIGIN = _form("origin")
ADDRESS = _form("address")
ALIAS = _form("alias")

FORMATS = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2", "pickle")
# a folder as it was trained: what loads a repository of these takes a folder in its place
CHECKPOINTS = ("safetensors", "pickle")
# types that a model runs in as they are
PLAIN_DTYPES = ("bfloat16", "float16", "float32")
# what CTranslate2 computes in, whatever the file has; what MLX's own converter makes; best first
CTRANSLATE2_TYPES = ("float32", "float16", "int8")
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
    # bits of a weight, weights of one scale
    fixed: Mapping[str, tuple[int, ...]]
    mlx_modes: Mapping[str, tuple[int, ...]]
    mlx_words: Mapping[str, str]
    bare: Mapping[str, str]
    same: Mapping[str, tuple[str, ...]]
    spelled: Mapping[str, str]


QUANTIZATION_NAMES = shipped_record(QuantizationNames, "quantizations", "names")
DTYPES = QUANTIZATION_NAMES.dtypes
# modes of MLX that have a scale of 8 bits and no bias: bits of a weight, weights of one scale
MLX_MODES = QUANTIZATION_NAMES.mlx_modes
# what other formats call a stored type
SAME_TYPES = QUANTIZATION_NAMES.same
# what others than the publisher make; 4 bits in groups of 128 where the name does not say
PACKED = QUANTIZATION_NAMES.packed
# what llama-quantize makes, and mixes of publishers
_GGUF_TYPES = row_names("gguf_types", "quantization")
_GGUF_MIXES = row_names("gguf_types", "mixes")
# those of other formats as publishers name them
QUANTIZATIONS: Mapping[str, Sequence[str]] = {
    "gguf": (*_GGUF_TYPES, *_GGUF_MIXES, "MXFP4_MOE"),
    "ggml": QUANTIZATION_NAMES.ggml,
    "ctranslate2": CTRANSLATE2_TYPES,
    "safetensors": (*DTYPES, *PACKED),
    "pickle": DTYPES,
    "mlx": QUANTIZATION_NAMES.mlx,
}

# before the type of weights that were trained for it; names of files and tags have the type alone
TRAINED_FOR = "QAT-"

# `q4km`: a name without the signs between its parts
_UNSEPARATED = r"^(I?Q\d)(K|XXS|XS|NL)([SML]?)$"


def gguf_name(text: str) -> str:
    """A GGUF type in any spelling, as llama.cpp writes it: `q4-k` and `q4km` are `Q4_K_M`."""
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


# weights of one scale where a name does not say: AutoAWQ, GPTQModel, compressed-tensors; MLX
_USUAL_GROUP = 128
_USUAL_MLX_GROUP = 64


class Scheme(Record):
    """One quantized layout; `group`: weights per scale, None: the row; `zeros` are kept or not."""

    name: str
    method: str
    bits: int
    group: int | None
    zeros: bool = False


@lru_cache(maxsize=512)
def scheme_of(text: str) -> Scheme | None:
    """What a name stands for, with its canonical name: `AWQ-INT4` -> `awq`, `bnb-4bit` -> `nf4`.
    None for a plain type, one of DTYPES that nobody makes of others' weights, and any other name.
    """
    # in lower case, its words joined by dashes, with bits as `4bit`
    name = text.strip().lower()
    name = re.sub(r"[_\s.]+", "-", name)
    name = name.replace("actorder", "")
    name = name.strip("-")
    name = re.sub(r"\bint([2348])\b|\b([2348])-bit\b", r"\1\2bit", name)
    name = QUANTIZATION_NAMES.spelled.get(name, name)
    if name in QUANTIZATION_NAMES.fixed:
        bits, group = QUANTIZATION_NAMES.fixed[name]
        return Scheme(name=name, method=name, bits=bits, group=group or None)
    packed = expression("quantizations", "packed")
    match = packed.fullmatch(name)
    return None if match is None else _packed_scheme(match)


def _packed_scheme(match: re.Match[str]) -> Scheme | None:
    """The layout of a name that the expression `packed` matches; None where nothing makes it."""
    method = match["method"]
    zeros = match["zeros"]
    usual_bits = 8 if method == "w8a16" else 4
    stated_bits = match["bits_before"] or match["bits_behind"]
    bits = int(stated_bits or usual_bits)
    # AutoAWQ packs 4 bits alone, and zero points always lie beside
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
    """The same for names of MLX repositories: `4bit` has groups of 64, `4bit-32g` of 32."""
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
