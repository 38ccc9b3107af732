"""What the end of a model's name says of its files: `-AWQ`, `-MTP-GGUF:UD-Q4_K_XL`, `:8b-mlx`.

What goes in: a name, perhaps with the account of its repository. What comes out: each way to split
it into a base and a `Form`, which tells the quantization and the program that the files are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..core.records import Record
from .spec_values import QUANTIZATION_NAMES, gguf_name, scheme_of

_WIDE = frozenset({"F16", "BF16", "F32"})
_ANY_WORD = "|".join((QUANTIZATION_NAMES.gguf_type, *QUANTIZATION_NAMES.words))
# one word of a form, with the sign in front of it; compiled where needed
_WORD = rf"(?i)(?:^|[-_.:@\s(]+)({_ANY_WORD})\)?$"
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
# bits of a weight, among words that are joined by spaces
_BITS = r"(?:^| )(?:q|int|oq)?([2-8])(?:-?bits?|e)?(?: |$)"
# words that say nothing of how weights are packed
_NO_PACKING = frozenset({"unsloth", "quantized"}) | QUANTIZATION_NAMES.containers
_AUTOROUND = frozenset({"autoround", "auto-round"})


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


class SplitName(Record):
    """A name in parts: the account, what stands before the words for the form of its files, and the
    form; None where no words are taken off.
    """

    owner: str
    base: str
    form: Form | None

    @property
    def account(self) -> str:
        """The owner as accounts are compared."""
        return self.owner.lower()

    @property
    def with_owner(self) -> str:
        """The name without its form."""
        return f"{self.owner}/{self.base}" if self.owner else self.base


def splits(name: str) -> Iterator[SplitName]:
    """Each way to take the words for a form off a name, which may have an owner in front: none of
    them, unless it is a file's, then one, two, and so on.
    """
    owner, _, last_part = name.rpartition("/")
    is_tag = ":" in last_part
    is_file = last_part.lower().endswith(FILE_ENDINGS)
    base = last_part
    if not is_file:
        yield SplitName(owner=owner, base=base, form=None)
    # in small letters
    words: list[str] = []
    while True:
        match = re.search(_WORD, base)
        if match is None or match.start() == 0:
            return
        base = base[: match.start()]
        word = match[1].lower()
        # the number of a part says nothing
        if "-of-" not in word:
            words.insert(0, word)
        form = _Ending(words, owner, is_tag=is_tag).form()
        written = last_part[len(base) :].strip("-_.:@ ()")
        form = form.replace(written=written, is_file=is_file)
        yield SplitName(owner=owner, base=base, form=form)


class _Ending:
    """The words at the end of a name. `is_tag`: they stand in a tag of Ollama's library."""

    def __init__(
        self,
        words: Sequence[str],
        account: str,
        *,
        is_tag: bool,
    ) -> None:
        self.words = words
        self.account = account
        self.is_tag = is_tag
        # the GGUF types among the words, and words that name neither a type nor a container
        self.types = _gguf_types(words)
        self.others = {*words} - self.types.keys() - QUANTIZATION_NAMES.containers

    def form(self) -> Form:
        """What the words say of the weights."""
        form = self._form_of_files()
        runtime = self._program_named() or form.runtime
        noted: Sequence[str] = _NOTED
        if runtime is None:
            noted = (*_NOTED, *_NOTED_WITHOUT_PROGRAM)
        notes = [word for word in noted if word in self.words]
        return form.replace(runtime=runtime, notes=(*notes, *form.notes))

    def _program_named(self) -> str | None:
        """The program of the first word that names one."""
        for word in self.words:
            if word in QUANTIZATION_NAMES.programs:
                return QUANTIZATION_NAMES.programs[word]
        return None

    def _form_of_files(self) -> Form:
        """What the words say of the files themselves."""
        if self._is_mlx():
            return self._mlx_form()
        narrow = [type for type in self.types.values() if type not in _WIDE]
        # MXFP4 beside other words may be that of safetensors files
        if narrow and (narrow[0] != "MXFP4" or not self.others):
            return Form(quantization=narrow[0])
        if "cloud" not in self.words and self.others - {"qat", "unquantized"}:
            return _packed_form(self.words)
        stated = self._type_as_trained()
        is_container = stated is None and not self.others
        return Form(quantization=stated, is_container=is_container)

    def _type_as_trained(self) -> str | None:
        """The type of weights as they were trained; None where the words do not tell."""
        if "safetensors" in self.words or "unquantized" in self.words:
            # of other files than GGUF the plain type says only that they are as published
            return None
        if self.others == {"qat"}:
            # the files that Google publishes of weights trained for 4 bits are of this type
            return "Q4_0"
        return next(iter(self.types.values()), None)

    def _is_mlx(self) -> bool:
        """Whether files are named as MLX's own, or by bits alone where no account says whose."""
        if "mlx" in self.account.lower():
            return True
        if not _MLX_WORDS.isdisjoint(self.words):
            return True
        if self.is_tag:
            return not _MLX_TAG_WORDS.isdisjoint(self.words)
        if self.account:
            return False
        # trained for 4 bits, the weights are MLX's as others are
        others = set(self.words) - {"qat"}
        if len(others) != 1:
            return False
        return re.fullmatch("[2-8].*bit.*", others.pop()) is not None

    def _mlx_form(self) -> Form:
        """What the words say of files for MLX."""
        quantization = self._mlx_quantization()
        if quantization is None and self.is_tag:
            of_ollama = ("mlx_of_ollama",)
            return Form(quantization="nvfp4", runtime="mlx", notes=of_ollama)
        notes: tuple[str, ...] = ()
        if any(map(_is_mlx_mix, self.words)):
            notes = ("mixed",)
        if quantization is None:
            return Form(notes=notes, is_sized=False)
        return Form(quantization=quantization, runtime="mlx", notes=notes)

    def _mlx_quantization(self) -> str | None:
        """The type that the words state, by its name or by its bits; None where they state none."""
        for word in self.words:
            if word in QUANTIZATION_NAMES.mlx_words:
                return QUANTIZATION_NAMES.mlx_words[word]
        stated = re.search(_BITS, " ".join(self.words))
        return None if stated is None else f"{stated[1]}bit"


def _is_mlx_mix(word: str) -> bool:
    return word in _MLX_MIXED or word.startswith("oq")


def _gguf_types(words: Sequence[str]) -> dict[str, str]:
    """The GGUF types among the words, by the word."""
    pattern = re.compile(QUANTIZATION_NAMES.gguf_type, re.IGNORECASE)
    types: dict[str, str] = {}
    for word in words:
        if pattern.fullmatch(word):
            types[word] = gguf_name(word)
        elif word in QUANTIZATION_NAMES.bare:
            types[word] = QUANTIZATION_NAMES.bare[word]
    return types


def _packed_form(words: Sequence[str]) -> Form:
    """Weights for vLLM or transformers: `AWQ`, `GPTQ-Int8`, `bnb-4bit`, `int4-AutoRound`.

    Not sized where the words name no such layout: `4bit` alone does not say how bits are packed.
    """
    stated = [word for word in words if word not in _NO_PACKING]
    if not _AUTOROUND.isdisjoint(stated):
        # packs 4 bits in groups of 128 unless told, in the layout of GPTQ
        width = "int4"
        for word in reversed(stated):
            if word.startswith("int"):
                width = word
        stated = ["gptq", width]
    scheme = scheme_of("-".join(stated))
    if scheme is None:
        return Form(is_sized=False)
    # bitsandbytes makes its types for transformers, the others are laid out for vLLM's kernels
    runtime = "transformers" if scheme.name.startswith("nf4") else "vllm"
    return Form(quantization=scheme.name, runtime=runtime)
