"""The meaning of a name's ending for the files of a model: `-AWQ`, `-MTP-GGUF:UD-Q4_K_XL`,
`:8b-mlx`.

What goes in: a name, perhaps with the account of its repository. What comes out: each way to split
it into a base and a `Form`, which has the quantization of the files and the program that they are
made for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..core.records import Record, Stated
from ..core.tables import shipped_record
from .spec_values import QUANTIZATION_NAMES, gguf_name, scheme_of


class EndingWords(Stated):
    """`[endings]` of specs/common/quantizations.toml, which explains each key."""

    noted: tuple[str, ...]
    noted_without_program: tuple[str, ...]
    mlx: frozenset[str]
    mlx_tags: frozenset[str]
    mlx_mixed: frozenset[str]
    bits: str
    unpacked: frozenset[str]
    autoround: frozenset[str]


_ENDINGS = shipped_record(EndingWords, "quantizations", "endings")
_CONTAINERS = QUANTIZATION_NAMES.containers
_WIDE = ("F16", "BF16", "F32")
_OTHER_WORDS = "|".join(QUANTIZATION_NAMES.words)
_ANY_WORD = f"{QUANTIZATION_NAMES.gguf_type}|{_OTHER_WORDS}"
# one word of a form with the separator before it; compiled where needed
_WORD = rf"(?i)(?:^|[-_.:@\s(]+)({_ANY_WORD})\)?$"
# endings of the names of files whose name states the quantization
FILE_ENDINGS = (".gguf", ".llamafile")


class Form(Record):
    """The form of the weights that the end of a model's name states.

    `is_sized` is False where no size can be computed for the form. `notes` are keys of `[form]` in
    specs/common/quantizations.toml.
    """

    written: str = ""
    quantization: str | None = None
    runtime: str | None = None
    notes: tuple[str, ...] = ()
    is_sized: bool = True
    # only words for containers: such a name does not show who made the weights
    is_container: bool = False
    # whether the form ended with the ending of a file
    is_file: bool = False


class SplitName(Record):
    """A name split into its account (`owner`), its base, and the form of the files; `form` is None
    where no words were taken off.
    """

    owner: str
    base: str
    form: Form | None

    @property
    def account(self) -> str:
        """The owner in lower case, as accounts are compared."""
        return self.owner.lower()

    @property
    def with_owner(self) -> str:
        """The name without its form."""
        return f"{self.owner}/{self.base}" if self.owner else self.base

    @property
    def is_for_one_program(self) -> bool:
        """Whether the form is one that a single program loads."""
        return self.form is not None and self.form.runtime is not None


def splits(name: str) -> Iterator[SplitName]:
    """Yield the ways to take the words for a form off the end of a name, which may start with an
    owner.

    First no word is taken off, unless the name is a file's; then one word, two words, and so on.
    """
    owner, _, last_part = name.rpartition("/")
    is_tag = ":" in last_part
    is_file = last_part.lower().endswith(FILE_ENDINGS)
    base = last_part
    if not is_file:
        yield SplitName(owner=owner, base=base, form=None)
    # the words, in lower case
    words: list[str] = []
    while True:
        match = re.search(_WORD, base)
        if match is None or match.start() == 0:
            return
        base = base[: match.start()]
        word = match[1].lower()
        # the number of a part tells nothing about the form
        if "-of-" not in word:
            words.insert(0, word)
        form = _Ending(words, owner, is_tag=is_tag).form()
        written = last_part.removeprefix(base)
        written = written.strip("-_.:@ ()")
        form = form.replace(written=written, is_file=is_file)
        yield SplitName(owner=owner, base=base, form=form)


class _Ending:
    """The words at the end of a name, from which the form is read. `is_tag`: the words are in a tag
    of Ollama's library.
    """

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
        self.gguf_types = _gguf_types(words)
        # words that name neither a type nor a container
        self.others = set(words) - self.gguf_types.keys() - _CONTAINERS

    def form(self) -> Form:
        """The form of the weights that the words state, with the program that they name."""
        form = self._form_of_files()
        runtime = form.runtime
        for word in reversed(self.words):
            # the program of the first word that names one
            runtime = QUANTIZATION_NAMES.programs.get(word, runtime)
        noted = _ENDINGS.noted
        if runtime is None:
            noted += _ENDINGS.noted_without_program
        notes = [word for word in noted if word in self.words]
        return form.replace(runtime=runtime, notes=(*notes, *form.notes))

    def _has_one_of(self, known: frozenset[str]) -> bool:
        """Whether one of the words is one of these."""
        return not known.isdisjoint(self.words)

    def _form_of_files(self) -> Form:
        """The form that the words state for the files, without a program named by a word of its
        own.
        """
        if self._is_mlx():
            return self._mlx_form()
        types = self._narrow_gguf_types()
        if types:
            notes = ("several_types",) if len(types) > 1 else ()
            return Form(quantization=types[0], notes=notes)
        others = self.others - {"qat", "unquantized"}
        if others and "cloud" not in self.words:
            if "gguf" in self.words:
                # packed weights lie in safetensors; the size of a GGUF file of them is not told
                return Form(is_sized=False)
            return packed_form(self.words)
        quantization = self._type_as_trained()
        is_container = quantization is None and not self.others
        return Form(quantization=quantization, is_container=is_container)

    def _narrow_gguf_types(self) -> Sequence[str]:
        """The GGUF types of less than 16 bits; () where the files may be no GGUF."""
        types = []
        for type in self.gguf_types.values():
            if type not in _WIDE and type not in types:
                types.append(type)
        if types[:1] == ["MXFP4"] and self.others:
            # with other words MXFP4 may be the type of safetensors files
            return ()
        return types

    def _type_as_trained(self) -> str | None:
        """The type of weights that were not quantized afterwards; None where the words do not
        tell.
        """
        if "safetensors" in self.words or "unquantized" in self.words:
            # in files other than GGUF, the plain type only says that the weights are as published
            return None
        if self.others == {"qat"}:
            # Google's files of weights trained for 4 bits have this type
            return "Q4_0"
        for type in self.gguf_types.values():
            return type
        return None

    def _is_mlx(self) -> bool:
        """Whether files are named as MLX's own, or by bits alone where no account says whose."""
        if "mlx" in self.account.lower():
            return True
        if self._has_one_of(_ENDINGS.mlx):
            return True
        if self.is_tag:
            return self._has_one_of(_ENDINGS.mlx_tags)
        if self.account:
            return False
        # weights trained for 4 bits may be in MLX's format like any others
        others = set(self.words) - {"qat"}
        if len(others) != 1:
            return False
        bits = re.fullmatch("[2-8].*bit.*", others.pop())
        return bits is not None

    def _mlx_form(self) -> Form:
        """The form that the words state for files for MLX."""
        quantization = self._mlx_quantization()
        notes: tuple[str, ...] = ()
        if self._has_one_of(_ENDINGS.mlx_mixed):
            notes = ("mixed",)
        if quantization is None:
            if not self.is_tag:
                return Form(notes=notes, is_sized=False)
            quantization = "nvfp4"
            notes = ("mlx_of_ollama",)
        return Form(quantization=quantization, runtime="mlx", notes=notes)

    def _mlx_quantization(self) -> str | None:
        """The type that the words state, by its name or by its bits; None where they state none."""
        for word in self.words:
            quantization = QUANTIZATION_NAMES.mlx_words.get(word)
            if quantization is not None:
                return quantization
        spaced = " ".join(self.words)
        bits = re.search(_ENDINGS.bits, spaced)
        if bits is None:
            return None
        return f"{bits[1]}bit"


def _gguf_types(words: Sequence[str]) -> dict[str, str]:
    """The GGUF types among the words, by the word."""
    types = {}
    for word in words:
        if re.fullmatch(QUANTIZATION_NAMES.gguf_type, word, re.IGNORECASE):
            types[word] = gguf_name(word)
        elif word in QUANTIZATION_NAMES.bare:
            types[word] = QUANTIZATION_NAMES.bare[word]
    return types


def packed_form(words: Sequence[str]) -> Form:
    """Weights for vLLM or transformers: `AWQ`, `GPTQ-Int8`, `bnb-4bit`, `int4-AutoRound`.

    Not sized where the words name no such layout: `4bit` alone does not say how bits are packed.
    """
    ignored = _ENDINGS.unpacked | _CONTAINERS
    stated = [word for word in words if word not in ignored]
    if not _ENDINGS.autoround.isdisjoint(stated):
        # AutoRound packs weights in GPTQ's layout
        widths = [word for word in stated if word.startswith("int")]
        stated = ["gptq", *widths[:1]]
    packing = "-".join(stated)
    scheme = scheme_of(packing)
    if scheme is None:
        return Form(is_sized=False)
    runtime = QUANTIZATION_NAMES.packed_for.get(scheme.method, "vllm")
    return Form(quantization=scheme.name, runtime=runtime)
