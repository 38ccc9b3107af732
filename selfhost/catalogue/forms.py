"""What the end of a name says of the weights: their quantization, the program that loads them, and
what else was done to the files.

Publishers write it behind the model's own name, one word after another: `-AWQ`, `-MLX-4bit`,
`-qat-q4_0-gguf`, `-int4-AutoRound`, `-MTP-GGUF:UD-Q4_K_XL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..core.records import Record, pattern
from .quantization_names import GGUF_TYPE, MLX_MODES, canonical_packed, gguf_name, program_of_packed

_WIDE = frozenset({"F16", "BF16", "F32"})
# Ollama and some files leave out the only variant that there is
_BARE = {"q8": "Q8_0", "q6": "Q6_K"}
# and people the letter of the mix that most load
_SHORT = {"q4": "Q4_K_M", "q5": "Q5_K_M"}

# one word of a form, with the sign in front of it; compiled where needed
_WORD = (
    r"(?i)(?:^|[-_.:@\s(]+)("
    rf"{GGUF_TYPE}|gguf|ggml|safetensors|i1|imatrix|imat|\d{{5}}-of-\d{{5}}"
    r"|awq|gptq-[2348]b|gptq|gptqmodel|auto-?round|exl[23]|hqq|aqlm|eetq|marlin|bnb|nf4|unsloth|mlx|dwq|dq|qat"
    r"|onnx|openvino|llamafile|jangtq?|optiq|ud|mtp|cloud|oq[2-8]e?|q[4568]"
    r"|int[248]|mxfp4-q[48]|(?:nv|mx)?fp[48](?:mixed)?|nvfp4a16|dynamic|block|quantized|unquantized"
    r"|w[48]a(?:8|16)(?:-fp8)?|[2-8]-?bits?|gs?(?:32|64|128)|(?:32|64|128)g"
    r"|h[68]|scaled|e4m3fn?|e5m2|emaonly|pruned|\d(?:\.\d{1,2})?-?bpw)\)?$"
)
_PART = pattern(r"\d{5}-of-\d{5}")
# what holds the weights, or how they were made, says nothing about which weights they are
_CONTAINERS = frozenset({
    "gguf", "ggml", "safetensors", "i1", "imatrix", "imat", "mtp", "ud", "llamafile",
})  # fmt: skip
_MOST_WORDS = 8
# files of formats that selfhost computes no size for
_UNSIZED = frozenset({
    "exl2", "exl3", "hqq", "aqlm", "eetq", "marlin", "onnx", "openvino", "jang", "jangtq",
    "optiq",
})  # fmt: skip

# words that say something of the files that is told in a note of `[form]` in
# specs/common/quantizations.toml
_NOTED = ("mtp", "qat", "llamafile", "cloud")
# modes and types as MLX and Ollama write them, and what they are called here
_MLX_NAMES = {
    **{mode: mode for mode in MLX_MODES},
    "mxfp4-q8": "MXFP4-Q8",
    "mxfp4-q4": "mxfp4",
    "bf16": "bf16",
    "fp16": "fp16",
    "f16": "fp16",
}


class Form(Record):
    """What the end of a name says. `written` are its words as typed; `quantization` and `runtime`
    are None where it states none; `is_sized` is False where no size can be computed for it.
    `notes` are keys of `[form]` in specs/common/quantizations.toml.
    """

    written: str
    quantization: str | None = None
    runtime: str | None = None
    notes: tuple[str, ...] = ()
    is_sized: bool = True
    # only words for containers: the name alone is no evidence of whose weights these are
    is_container: bool = False
    # trained for 4 bits, in the type of 4 bits that the trainer publishes
    is_qat: bool = False
    # the end of a file's name
    is_file: bool = False


def splits(name: str, account: str = "") -> Iterator[tuple[str, Form]]:
    """Each way to read the end of a name as a form, the shortest end first: what stands before
    it, and the form. `account` is that of the repository, if one was named.
    """
    base = name
    words: tuple[str, ...] = ()
    for _ in range(_MOST_WORDS):
        match = re.search(_WORD, base)
        if match is None or not match.start():
            return
        base = base[: match.start()]
        if not _PART.fullmatch(match[1]):
            words = (match[1].lower(), *words)
        form = _form(words, name[len(base) :].strip("-_.:@ ()"), account, ":" in name)
        yield base, form.replace(is_file=name.lower().endswith((".gguf", ".llamafile")))


def _form(words: Sequence[str], written: str, account: str, is_tag: bool) -> Form:
    """What the words at the end of a name state together. `is_tag`: they are Ollama's."""
    kinds = set(words)
    notes = tuple(word for word in _NOTED if word in kinds)
    if _is_mlx(words, account, is_tag):
        return _of_mlx(words, written, notes, is_tag=is_tag)
    usual = None if account else _SHORT.get(" ".join(words))
    if usual is not None:
        return Form(written=written, quantization=usual, notes=("usual",))
    types = {word: type for word in words if (type := _gguf_type(word))}
    others = kinds - types.keys() - _CONTAINERS
    narrow = next((type for type in types.values() if type not in _WIDE), None)
    # other files have MXFP4, too
    if narrow is not None and not (narrow == "MXFP4" and others):
        is_qat = "qat" in kinds and narrow == "Q4_0"
        return Form(written=written, quantization=narrow, notes=notes, is_qat=is_qat)
    return _without_narrow_type(words, written, notes, list(types.values()), others)


def _without_narrow_type(
    words: Sequence[str],
    written: str,
    notes: tuple[str, ...],
    types: Sequence[str],
    others: set[str],
) -> Form:
    """A form of words that name no type of a few bits of GGUF files."""
    if _UNSIZED.intersection(words) or any(word.endswith("bpw") for word in words):
        return Form(written=written, is_sized=False)
    if others and others <= {"qat", "unquantized"}:
        # the files that Google publishes of such weights are of this type
        stated = None if "unquantized" in words else "Q4_0"
        return Form(written=written, quantization=stated, notes=notes, is_qat=stated is not None)
    if others and "cloud" not in words:
        return _packed(words, written, notes)
    # of other files than GGUF the plain type says only that they are as published
    wide = None if "safetensors" in words else next(iter(types), None)
    is_container = wide is None and "cloud" not in words
    return Form(written=written, quantization=wide, notes=notes, is_container=is_container)


def _gguf_type(word: str) -> str | None:
    is_type = re.fullmatch(GGUF_TYPE, word, re.IGNORECASE)
    return gguf_name(word) if is_type else _BARE.get(word)


def _is_mlx(words: Sequence[str], account: str, is_tag: bool) -> bool:
    """Whether a form is named as MLX's own, or by bits alone where no account says whose."""
    kinds = set(words)
    if kinds & {"mlx", "dwq", "mxfp4-q4", "mxfp4-q8"} or "mlx" in account.lower():
        return True
    if is_tag:
        return bool(kinds & {"mxfp8", "nvfp4"})
    # trained for 4 bits, the weights are MLX's as others are
    rest = kinds - {"qat"}
    return not account and len(rest) == 1 and re.fullmatch(r"[2-8]-?bit", min(rest)) is not None


def _of_mlx(words: Sequence[str], written: str, notes: tuple[str, ...], *, is_tag: bool) -> Form:
    """A conversion for MLX: `4bit`, `MLX-8bit`, `UD-MLX-4bit`, Ollama's `mlx` and `mxfp8`."""
    mixed = {"ud", "dq", "optiq", "mxfp4-q4"}
    if any(word in mixed or word.startswith("oq") for word in words):
        notes = (*notes, "mixed")
    quantization = next((_MLX_NAMES[word] for word in words if word in _MLX_NAMES), None)
    if quantization is None:
        stated = re.search(r"(?:^| )(?:q|int|oq)?([2-8])(?:-?bits?|e)?(?: |$)", " ".join(words))
        quantization = f"{stated[1]}bit" if stated else None
    if quantization is None and is_tag:
        quantization, notes = "nvfp4", (*notes, "mlx_of_ollama")
    return Form(
        written=written,
        quantization=quantization,
        runtime="mlx" if quantization else None,
        notes=notes,
        is_sized=quantization is not None,
    )


def _packed(words: Sequence[str], written: str, notes: tuple[str, ...]) -> Form:
    """Weights for vLLM or transformers: `AWQ`, `GPTQ-Int8`, `bnb-4bit`, `int4-AutoRound`."""
    stated = [word for word in words if word not in ("unsloth", "quantized", *_CONTAINERS)]
    if any(re.fullmatch(r"auto-?round", word) for word in stated):
        # packs 4 bits in groups of 128 unless told, in the layout of GPTQ
        bits = next((word[3:] for word in stated if re.fullmatch(r"int[248]", word)), "4")
        stated = ["gptq", f"int{bits}"]
    packed = canonical_packed("-".join(stated))
    if packed is None:
        return Form(written=written, is_sized=False)
    program = program_of_packed(packed)
    return Form(written=written, quantization=packed, runtime=program, notes=notes)
