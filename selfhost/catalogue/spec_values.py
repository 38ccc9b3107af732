"""What specs may state: kinds of models, forms of ids, names of quantizations and the layout of
each; and what the end of a model's name says of its files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ..core.records import Record, TextForm
from ..core.tables import TomlRow, expression, shipped_table

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
USES = tuple(shipped_table("uses")["use"])
# of the weights, the code or the data, what was published
OPENNESS = ("published", "partial", "closed", "unknown")
INPUTS = ("text", "image", "audio", "video", "document")
# the word of `tuned_from` for a model whose training began with random weights
SCRATCH = "scratch"
_FORMS = shipped_table("names")["form"]
# what an id, a repository, either of these, an address and an alias must look like
ID, REPOSITORY, ORIGIN, ADDRESS, ALIAS = (
    TextForm(*_FORMS[name])
    for name in ("id", "repository", "origin", "address", "alias")
)
FORMATS = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2", "pickle")
# a folder as it was trained: what loads a repository of these takes a folder in its place
CHECKPOINTS = ("safetensors", "pickle")
# types that a model runs in as they are
PLAIN_DTYPES = ("bfloat16", "float16", "float32")
# what CTranslate2 computes in, whatever the file has; what MLX's own converter makes; best first
CTRANSLATE2_TYPES = ("float32", "float16", "int8")
MLX_QUANTIZATIONS = ("bf16", "fp16", "8bit", "6bit", "5bit", "4bit", "3bit", "2bit")
_NAMES: TomlRow = shipped_table("quantizations")["names"]
DTYPES = tuple(_NAMES["dtypes"])
_GGUF: TomlRow = shipped_table("gguf_types")
# modes of MLX that have a scale of 8 bits and no bias: bits of a weight, weights of one scale
MLX_MODES = {mode: (bits, group) for mode, (bits, group) in _NAMES["mlx_modes"].items()}
# what other formats call a stored type
SAME_TYPES: Mapping[str, Sequence[str]] = _NAMES["same"]
# what others than the publisher make; 4 bits in groups of 128 where the name does not say
PACKED = tuple(_NAMES["packed"])
# gguf: what llama-quantize makes, and mixes of publishers; the others as publishers name them
QUANTIZATIONS: Mapping[str, tuple[str, ...]] = {
    "gguf": (*_GGUF["quantization"], *_GGUF["mixes"], "MXFP4_MOE"),
    "ggml": tuple(_NAMES["ggml"]),
    "ctranslate2": CTRANSLATE2_TYPES,
    "safetensors": (*DTYPES, *PACKED),
    "pickle": DTYPES,
    "mlx": tuple(_NAMES["mlx"]),
}

# before the type of weights that were trained for it; names of files and tags have the type alone
TRAINED_FOR = "QAT-"

# names of GGUF types as llama.cpp writes them, and as people do; a pattern
GGUF_TYPE: str = _NAMES["gguf_type"]


def gguf_name(text: str) -> str:
    """A GGUF type in any spelling, as llama.cpp writes it: `q4-k` and `q4km` are `Q4_K_M`."""
    name = text.strip().upper()
    prefix = ""
    for known in ("UD-", TRAINED_FOR):
        if name.startswith(known):
            prefix = known
            name = name.removeprefix(known)
            break
    name = name.replace("-", "_").replace(".", "_")
    if "_" not in name:
        # the signs left out: q4km
        name = re.sub(r"^(I?Q\d)(K|XXS|XS|NL)([SML]?)$", r"\1_\2_\3", name)
    name = name.rstrip("_")
    return f"{prefix}{_NAMES['spelled'].get(name, name)}"


# weights of one scale where a name does not say: AutoAWQ, GPTQModel, compressed-tensors
_USUAL_GROUP = 128


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
    name = re.sub(r"[_\s.]+", "-", text.strip().lower())
    name = name.replace("actorder", "").strip("-")
    name = re.sub(r"\bint([2348])\b|\b([2348])-bit\b", r"\1\2bit", name)
    name = _NAMES["spelled"].get(name, name)
    if name in _NAMES["fixed"]:
        bits, group = _NAMES["fixed"][name]
        return Scheme(name=name, method=name, bits=bits, group=group or None)
    match = expression("quantizations", "packed").fullmatch(name)
    if match is None:
        return None
    first, method, second, size, channel, zeros = match.groups()
    usual_bits = 8 if method == "w8a16" else 4
    bits = int(first or second or usual_bits)
    # AutoAWQ packs 4 bits alone, and zero points always lie beside
    if bits != usual_bits and method != "gptq":
        return None
    if zeros and method in ("awq", "gptq"):
        return None
    name = method
    if bits != usual_bits:
        name += f"-{bits}bit"
    group = None
    if channel:
        name += "-channel"
    else:
        group = int(size or _USUAL_GROUP)
        if group != _USUAL_GROUP:
            name += f"-{group}g"
    name += zeros
    return Scheme(name=name, method=method, bits=bits, group=group, zeros=bool(zeros))


def mlx_scheme(name: str) -> Scheme | None:
    """The same for names of MLX repositories: `4bit` has groups of 64, `4bit-32g` of 32."""
    if name in MLX_MODES:
        bits, group = MLX_MODES[name]
        return Scheme(name=name, method=name, bits=bits, group=group)
    match = expression("quantizations", "mlx").fullmatch(name)
    if match is None:
        return None
    bits = int(match[1])
    group = int(match[2] or 64)
    return Scheme(name=name, method="mlx", bits=bits, group=group)


_WIDE = frozenset({"F16", "BF16", "F32"})
# one word of a form, with the sign in front of it; compiled where needed
_WORD = rf"(?i)(?:^|[-_.:@\s(]+)({GGUF_TYPE}|{'|'.join(_NAMES['words'])})\)?$"
# what holds the weights, or how they were made, says nothing about which weights they are
_CONTAINERS = frozenset(_NAMES["containers"])
_MOST_WORDS = 8
# of the name of a file that has its quantization in it
FILE_ENDINGS = (".gguf", ".llamafile")
# words that have a note of `[form]` in specs/common/quantizations.toml
_NOTED = ("mtp", "qat", "llamafile", "cloud")
_NOTED_WITHOUT_PROGRAM = ("q4", "q5")
# words of files that MLX alone has, and those that Ollama's tags have for such files
_MLX_WORDS = frozenset({"mlx", "dwq", "mxfp4-q4", "mxfp4-q8"})
_MLX_TAG_WORDS = frozenset({"mxfp8", "nvfp4"})
# words of files of MLX that have layers in several types
_MLX_MIXED = frozenset({"ud", "dq", "optiq", "mxfp4-q4"})


class Form(Record):
    """What the end of a name says of the weights; `is_sized` is False where no size can be computed
    for it. `notes` are keys of `[form]` in specs/common/quantizations.toml.
    """

    written: str = ""
    quantization: str | None = None
    runtime: str | None = None
    notes: tuple[str, ...] = ()
    is_sized: bool = True
    # only words for containers: the name alone is no evidence of whose weights these are
    is_container: bool = False
    # the end of a file's name
    is_file: bool = False


def splits(name: str, account: str = "") -> Iterator[tuple[str, Form]]:
    """Each way to read the end of a name as a form (`-AWQ`, `-MTP-GGUF:UD-Q4_K_XL`), the shortest
    end first: what stands before it, and the form. `account` is that of the repository, if any.
    """
    base = name
    words: tuple[str, ...] = ()
    for _ in range(_MOST_WORDS):
        match = re.search(_WORD, base)
        if match is None or not match.start():
            return
        base = base[: match.start()]
        word = match[1].lower()
        if "-of-" not in word:
            words = (word, *words)
        form = _form(words, account, is_tag=":" in name)
        program = _program_named(words) or form.runtime
        noted: tuple[str, ...] = _NOTED
        if program is None:
            noted = (*_NOTED, *_NOTED_WITHOUT_PROGRAM)
        notes = [word for word in noted if word in words]
        form = form.replace(
            written=name[len(base) :].strip("-_.:@ ()"),
            runtime=program,
            notes=(*notes, *form.notes),
            is_file=name.lower().endswith(FILE_ENDINGS),
        )
        yield base, form


def _program_named(words: Sequence[str]) -> str | None:
    """The program of the first word that names one."""
    for word in words:
        if word in _NAMES["programs"]:
            return str(_NAMES["programs"][word])
    return None


def _form(words: Sequence[str], account: str, *, is_tag: bool) -> Form:
    """What the words at the end of a name say of the weights."""
    mlx = _mlx_form(words, account, is_tag=is_tag)
    if mlx is not None:
        return mlx
    types: dict[str, str] = {}
    for word in words:
        if re.fullmatch(GGUF_TYPE, word, re.IGNORECASE):
            types[word] = gguf_name(word)
        elif word in _NAMES["bare"]:
            types[word] = _NAMES["bare"][word]
    others = set(words) - types.keys() - _CONTAINERS
    narrow = [type for type in types.values() if type not in _WIDE]
    # other files have MXFP4, too
    if narrow and not (narrow[0] == "MXFP4" and others):
        return Form(quantization=narrow[0])
    is_cloud = "cloud" in words
    if others - {"qat", "unquantized"} and not is_cloud:
        return _packed_form(words)
    # as they were trained
    stated = next(iter(types.values()), None)
    if others == {"qat"}:
        # the files that Google publishes of weights trained for 4 bits are of this type
        stated = "Q4_0"
    if "safetensors" in words or "unquantized" in words:
        # of other files than GGUF the plain type says only that they are as published
        stated = None
    is_container = not (stated or others or is_cloud)
    return Form(quantization=stated, is_container=is_container)


def _mlx_form(words: Sequence[str], account: str, *, is_tag: bool) -> Form | None:
    """Of what is named as MLX's own, or by bits alone where no account says whose; else None."""
    if not _is_mlx(words, account, is_tag=is_tag):
        return None
    notes: tuple[str, ...] = ()
    if any(word in _MLX_MIXED or word.startswith("oq") for word in words):
        notes = ("mixed",)
    quantization = _mlx_quantization(words)
    if quantization is None and is_tag:
        return Form(quantization="nvfp4", runtime="mlx", notes=("mlx_of_ollama",))
    if quantization is None:
        return Form(notes=notes, is_sized=False)
    return Form(quantization=quantization, runtime="mlx", notes=notes)


def _is_mlx(words: Sequence[str], account: str, *, is_tag: bool) -> bool:
    kinds = set(words)
    if kinds & _MLX_WORDS or "mlx" in account.lower():
        return True
    if is_tag:
        return bool(kinds & _MLX_TAG_WORDS)
    if account:
        return False
    # trained for 4 bits, the weights are MLX's as others are
    bits = kinds - {"qat"}
    return len(bits) == 1 and re.fullmatch("[2-8].*bit.*", bits.pop()) is not None


def _mlx_quantization(words: Sequence[str]) -> str | None:
    """The type that the words state, by its name or by its bits; None where they state none."""
    types = _NAMES["mlx_words"]
    for word in words:
        if word in types:
            return str(types[word])
    bits = r"(?:^| )(?:q|int|oq)?([2-8])(?:-?bits?|e)?(?: |$)"
    stated = re.search(bits, " ".join(words))
    if stated is None:
        return None
    return f"{stated[1]}bit"


def _packed_form(words: Sequence[str]) -> Form:
    """Weights for vLLM or transformers: `AWQ`, `GPTQ-Int8`, `bnb-4bit`, `int4-AutoRound`."""
    silent = ("unsloth", "quantized", *_CONTAINERS)
    stated = [word for word in words if word not in silent]
    if "autoround" in stated or "auto-round" in stated:
        # packs 4 bits in groups of 128 unless told, in the layout of GPTQ
        widths = [word for word in stated if word.startswith("int")]
        stated = ["gptq", *(widths or ["int4"])[:1]]
    scheme = scheme_of("-".join(stated))
    if scheme is None:
        return Form(is_sized=False)
    # bitsandbytes makes its types for transformers, the others are laid out for vLLM's kernels
    runtime = "transformers" if scheme.name.startswith("nf4") else "vllm"
    return Form(quantization=scheme.name, runtime=runtime)
