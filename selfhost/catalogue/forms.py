"""The form of the weights that a name states: its quantization, the program that loads it, and what
else was done to the files.

Publishers write it behind the model's own name, one word after another: `-AWQ`, `-MLX-4bit`,
`-qat-q4_0-gguf`, `-int4-AutoRound`, `-MTP-GGUF:UD-Q4_K_XL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..core.records import Record, pattern
from .quantization_names import MLX_MODES, canonical_packed, program_of_packed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .spec import ModelSpec

# names of GGUF types as llama.cpp writes them, `UD-` of unsloth and the `_L`, `_XL` of bartowski
# included
_GGUF_TYPE = (
    r"(?:ud-)?(?:i?q[1-8][-_.](?:0|1|k(?:[-_.](?:xxs|xs|s|m|l|xl|xxl))?|xxs|xs|s|m|nl)"
    r"|i?q[2-6](?:k[sml]?|xxs|xs|nl)|tq[12][-_.]0|bf16|fp?16|fp?32|mxfp4(?:[-_.]moe)?)"
)
_AT_END = pattern(rf"(?:^|[-_.:/@\s])({_GGUF_TYPE})$", re.IGNORECASE)
# llama.cpp's quantize takes the short forms for the medium mixes; Ollama calls F16 fp16
_OTHER_NAMES = {
    "Q3_K": "Q3_K_M",
    "Q4_K": "Q4_K_M",
    "Q5_K": "Q5_K_M",
    "FP16": "F16",
    "FP32": "F32",
    "MXFP4_MOE": "MXFP4",
}
_WIDE = frozenset({"F16", "BF16", "F32"})
# Ollama and some files leave out the only variant that there is
_BARE = {"q8": "Q8_0", "q6": "Q6_K"}
# and people the letter of the mix that most load
_SHORT = {"q4": "Q4_K_M", "q5": "Q5_K_M"}

# one word of a form, with the sign in front of it; compiled where needed
_WORD = (
    r"(?i)(?:^|[-_.:@\s])("
    rf"{_GGUF_TYPE}|gguf|ggml|safetensors|i1|imatrix|imat"
    r"|awq|gptq-[2348]b|gptq|gptqmodel|auto-?round|exl[23]|hqq|aqlm|eetq|marlin|bnb|nf4|unsloth|mlx|dwq|dq|qat"
    r"|onnx|openvino|llamafile|jangtq?|optiq|ud|mtp|cloud|oq[2-8]e?|q[4568]"
    r"|int[248]|mxfp4-q[48]|(?:nv|mx)?fp[48](?:mixed)?|nvfp4a16|dynamic|block|quantized|unquantized"
    r"|w[48]a(?:8|16)(?:-fp8)?|[2-8]-?bits?|gs?(?:32|64|128)|(?:32|64|128)g"
    r"|h[68]|scaled|e4m3fn?|e5m2|emaonly|pruned|\d(?:\.\d{1,2})?-?bpw)$"
)
# what holds the weights, or how they were found, says nothing about which weights they are
CONTAINERS = frozenset({
    "gguf", "ggml", "safetensors", "i1", "imatrix", "imat", "mtp", "ud", "llamafile",
})  # fmt: skip
_MOST_WORDS = 8

# files of formats that selfhost computes no size for
_UNSIZED = frozenset({
    "exl2", "exl3", "hqq", "aqlm", "eetq", "marlin", "onnx", "openvino", "jang", "jangtq",
    "optiq",
})  # fmt: skip
_WITH_MTP = (
    "Its files also hold the blocks for multi-token prediction, a few percent of the download."
)
# the cards of stduhpf/google-gemma-3-*-it-qat-q4_0-gguf-small: Google's files of Gemma 3 keep the
# table in F16, 1.0 GB for 0.72 (1B), 3.16 for 2.36 (4B) and 8.07 for 6.89 (12B), projectors apart
_TRAINED_FOR_IT = (
    "Its weights were trained further for 4 bits (QAT): same layers, other values. Published files"
    " may keep the table of words in 16 bits: those of Gemma 3 are 15 to 40 % larger than stated"
    " here, and need as much more memory."
)
QAT_AS_PUBLISHED = (
    "Its weights were trained further for 4 bits (QAT): same layers, other values. Google and"
    " Ollama publish them with the table of words in 16 bits, which is counted."
)
_MIXED = "Its publisher keeps some layers in more bits, so the download is larger than stated here."
_WITH_PROGRAM = (
    "A llamafile holds the program beside the weights, some hundred megabytes at most; this answer"
    " is for the weights alone."
)
_IN_THE_CLOUD = (
    "Ollama's cloud tags run on Ollama's servers and download nothing; this answer is for running"
    " the weights yourself."
)
# as many times as fast as one token a step, where Ollama drafts by itself: slow end, likely, fast
# end. 50.2 and 95.0 tokens/s of gemma4:12b-mlx on an M5 Max (ollama.com/blog, 2026-06-29); of six
# runs of four models on three Macs 2.0 to 2.8 times the likely pace
# (tests/truth/speed_public.json). The ends are those and a seventh beyond
DRAFTED_BY_OLLAMA = (1.75, 2.2, 3.2)
_MLX_OF_OLLAMA = (
    "Ollama's -mlx tags hold nvfp4 and keep some layers in more bits, so the download is larger"
    " than stated here. Since 0.31 Ollama drafts tokens for some of them by itself (Gemma 4, Qwen"
    f" 3.8): those decode {DRAFTED_BY_OLLAMA[0]:g} to {DRAFTED_BY_OLLAMA[2]:g} times as fast as"
    f" stated here, most likely {DRAFTED_BY_OLLAMA[1]:g} times."
)


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
    """

    written: str
    quantization: str | None = None
    runtime: str | None = None
    notes: tuple[str, ...] = ()
    is_sized: bool = True
    # only words of CONTAINERS: the name alone is no evidence of whose weights these are
    is_container: bool = False
    # trained for 4 bits, in the type of 4 bits that the trainer publishes
    is_qat: bool = False


# of the layers by `-b`, of the output matrix by `-hb`, 6 unless told otherwise: doc/convert.md of
# turboderp/exllamav2, convert.py of turboderp-org/exllamav3; the table of words stays in 16 bits
_BITS_OF_LAYERS = pattern(r"(\d(?:\.\d{1,2})?)-?bpw", re.IGNORECASE)
_BITS_OF_HEAD = pattern(r"(?:^|[-_.])h([68])(?![a-z0-9])", re.IGNORECASE)
_USUAL_BITS, _USUAL_BITS_OF_HEAD = (4.0, 6.0), 6


def exllama_sizes(written: str, spec: ModelSpec) -> tuple[tuple[float, int], ...]:
    """Bits a weight and bytes of the files in EXL2 or EXL3, of the bits that the name states or of
    usual ones; empty for any other format, and where the model's layers are not known.
    """
    model, total = spec.architecture, spec.parameters.total
    if "exl" not in written.lower() or model is None or total is None:
        return ()
    if not model.vocabulary or not model.embedding_length:
        return ()
    table, encoders = model.vocabulary * model.embedding_length, spec.parameters.encoders or 0
    layers = total - encoders - table * (1 if model.tied_embeddings else 2)
    stated, head = _BITS_OF_LAYERS.search(written), _BITS_OF_HEAD.search(written)
    head_bits = int(head[1]) if head else _USUAL_BITS_OF_HEAD
    return tuple(
        (bits, round(2 * (table + encoders) + (table * head_bits + layers * bits) / 8))
        for bits in ((float(stated[1]),) if stated else _USUAL_BITS)
    )


# the component that makes the picture or clip, alone in a file for ComfyUI or with all others
_MAKES_IT = ("transformer", "unet")
# of one weight in FP8; small parts stay in 16 bits, within 2 % of the whole
_IN_FP8 = pattern(r"(?:^|[-_.])(?:fp8(?:mixed)?|float8)(?![a-z0-9])", re.IGNORECASE)


def fp8_sizes(written: str, spec: ModelSpec) -> tuple[int, ...]:
    """Bytes of a file in FP8 of a model that is made of components: of what makes the picture
    alone, and with all components; empty for any other form, and where they are not known.

    flux1-dev-fp8.safetensors has 11.9 GB at Kijai/flux-fp8 and 17.2 at Comfy-Org/flux1-dev.
    """
    components = spec.components or {}
    own = next((components[name] for name in _MAKES_IT if name in components), None)
    if own is None or not _IN_FP8.search(written):
        return ()
    return own, sum(components.values())


def judged_as_fp8(size_bytes: int, quantization: str) -> str:
    """That a file of FP8 is judged as one of that GGUF type; `size_bytes` are those of the file."""
    from ..core.units import decimal

    return (
        f"A file in FP8 has {decimal(size_bytes)}, a byte for each weight, and ComfyUI loads it."
        f" Judged as {quantization}, which takes 6 % more."
    )


def gguf_name(text: str) -> str:
    """A GGUF type in any spelling, as llama.cpp writes it: `q4-k` is `Q4_K_M`."""
    prefix, name = ("UD-", text[3:]) if text.lower().startswith("ud-") else ("", text)
    name = re.sub(r"[-.]", "_", name.upper())
    # the signs left out: q4km
    name = re.sub(r"^(I?Q\d)(K|XXS|XS|NL)([SML]?)$", r"\1_\2_\3", name).rstrip("_")
    return prefix + _OTHER_NAMES.get(name, name)


def stated_at_end(name: str) -> tuple[str, str] | None:
    """A name without the GGUF type at its end, and that type; None where none stands there."""
    match = _AT_END.search(name)
    return (name[: match.start()], gguf_name(match[1])) if match else None


def published_file(name: str) -> tuple[str, str] | None:
    """The model and the quantization that the name of a published GGUF file states, as
    `Qwen3-4B-Q4_K_M.gguf`; None for any other name and where a folder is named too.
    """
    if not name.lower().endswith(".gguf") or "/" in name or "\\" in name:
        return None
    for base, form in splits(re.sub(r"-\d{5}-of-\d{5}$", "", name[:-5])):
        if form.quantization is not None and form.runtime is None:
            # i1: made with an importance matrix
            return re.sub(r"[-.](?:i1|imatrix)$", "", base), form.quantization
    return None


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
        words = (match[1].lower(), *words)
        base = base[: match.start()]
        yield base, _form(words, name[len(base) :].lstrip("-_.:@ "), account, ":" in name)


def _form(words: tuple[str, ...], written: str, account: str, is_tag: bool) -> Form:
    """What the words at the end of a name state together. `is_tag`: they are Ollama's."""
    kinds, notes = set(words), _notes(set(words))
    if _is_mlx(words, account, is_tag):
        return _of_mlx(words, written, notes, is_tag=is_tag)
    types = {word: _gguf_type(word) for word in words}
    meant = None if account else _SHORT.get(" ".join(words))
    if meant is not None:
        note = f"{written} is judged as {meant}, which most people load."
        return Form(written=written, quantization=meant, notes=(note,))
    narrow = _narrow_type(types)
    if narrow is not None:
        is_qat = "qat" in kinds and narrow == "Q4_0"
        return Form(written=written, quantization=narrow, notes=notes, is_qat=is_qat)
    if kinds & _UNSIZED or any(word.endswith("bpw") for word in words):
        return Form(written=written, is_sized=False)
    if "cloud" in kinds or not _others(types):
        wide = _wide_type(types)
        is_container = wide is None and "cloud" not in kinds
        return Form(written=written, quantization=wide, notes=notes, is_container=is_container)
    if _others(types) <= {"qat", "unquantized"}:
        # the files that Google publishes of such weights are of this type
        stated = None if "unquantized" in kinds else "Q4_0"
        return Form(written=written, quantization=stated, notes=notes, is_qat=stated is not None)
    return _packed(words, written, notes)


def _narrow_type(types: Mapping[str, str | None]) -> str | None:
    """The first type of GGUF files among the words that is no plain one; MXFP4, which other files
    have too, only where no word of another kind stands beside it.
    """
    narrow = next((name for name in types.values() if name and name not in _WIDE), None)
    return None if narrow == "MXFP4" and _others(types) else narrow


def _wide_type(types: Mapping[str, str | None]) -> str | None:
    """The first type of GGUF files; of others the plain type says only that they are as
    published.
    """
    if "safetensors" in types:
        return None
    return next((name for name in types.values() if name), None)


def _gguf_type(word: str) -> str | None:
    return gguf_name(word) if re.fullmatch(_GGUF_TYPE, word, re.IGNORECASE) else _BARE.get(word)


def _others(types: Mapping[str, str | None]) -> set[str]:
    """The words that neither name a GGUF type nor what holds the weights."""
    return {word for word, name in types.items() if name is None} - CONTAINERS


def _notes(kinds: set[str]) -> tuple[str, ...]:
    said = (
        (_WITH_MTP, "mtp" in kinds),
        (_TRAINED_FOR_IT, "qat" in kinds),
        (_WITH_PROGRAM, "llamafile" in kinds),
        (_IN_THE_CLOUD, "cloud" in kinds),
    )
    return tuple(note for note, holds in said if holds)


def _is_mlx(words: tuple[str, ...], account: str, is_tag: bool) -> bool:
    """Named as MLX's own, or by bits alone where no account says whose bits these are."""
    kinds = set(words)
    if kinds & {"mlx", "dwq", "mxfp4-q4", "mxfp4-q8"} or "mlx" in account.lower():
        return True
    if is_tag:
        return bool(kinds & {"mxfp8", "nvfp4"})
    # trained for 4 bits, the weights are MLX's as others are
    own = kinds - {"qat"}
    return not account and len(own) == 1 and re.fullmatch(r"[2-8]-?bit", min(own)) is not None


def _of_mlx(words: tuple[str, ...], written: str, notes: tuple[str, ...], *, is_tag: bool) -> Form:
    """A conversion for MLX: `4bit`, `MLX-8bit`, `UD-MLX-4bit`, Ollama's `mlx` and `mxfp8`."""
    mixed = {"ud", "dq", "optiq", "mxfp4-q4"}
    if any(word in mixed or word.startswith("oq") for word in words):
        notes = (*notes, _MIXED)
    quantization = next((_MLX_NAMES[word] for word in words if word in _MLX_NAMES), None)
    if quantization is None:
        stated = re.search(r"(?:^| )(?:q|int|oq)?([2-8])(?:-?bits?|e)?(?: |$)", " ".join(words))
        quantization = f"{stated[1]}bit" if stated else None
    if quantization is None and is_tag:
        quantization, notes = "nvfp4", (*notes, _MLX_OF_OLLAMA)
    return Form(
        written=written,
        quantization=quantization,
        runtime="mlx" if quantization else None,
        notes=notes,
        is_sized=quantization is not None,
    )


def _packed(words: tuple[str, ...], written: str, notes: tuple[str, ...]) -> Form:
    """Weights for vLLM or transformers: `AWQ`, `GPTQ-Int8`, `bnb-4bit`, `int4-AutoRound`."""
    own = [word for word in words if word not in ("unsloth", "quantized", *CONTAINERS)]
    if any(re.fullmatch(r"auto-?round", word) for word in own):
        # packs 4 bits in groups of 128 unless told, in the layout of GPTQ
        bits = next((word[3:] for word in own if re.fullmatch(r"int[248]", word)), "4")
        own = ["gptq", f"int{bits}"]
    packed = canonical_packed("-".join(own))
    if packed is None:
        return Form(written=written, is_sized=False)
    program = program_of_packed(packed)
    return Form(written=written, quantization=packed, runtime=program, notes=notes)
