"""Models by words, as `list` searches: which hold them all, and what was meant where none does.
Words and phrases for uses and modalities are `[kinds]` of specs/common/uses.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..core.records import pattern
from ..core.spelling import all_near, canonical
from ..core.tables import shipped_table
from .index import Catalogue
from .pasted import in_latin_letters
from .spec import ModelSpec
from .spec_values import MODALITIES, USES

_SIZE = pattern(r"\d+(?:\.\d+)?[bm]")
# the size of 0.8b is no 8b, that of 30b-a3b no 3b, that of 8x7b no 7b
_WHOLE_SIZE = r"(?<![\d.])(?<!\d[bx]-a)(?<!\dx){}(?![\da-z])"
_LETTERS = pattern(r"[a-z]{3,}")
# of a word and the name that a slip made it of, as `fuxl` and `flux`; far names share less, as
# `foobarbaz` and `fara` do
_SLIP = 0.75
_MOST_WORDS = 8


def _kinds() -> Mapping[str, str]:
    kinds: Mapping[str, str] = shipped_table("uses")["kinds"]
    return kinds


def words_typed(words: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The words as they are compared: lower case, in Latin letters where it is known how a family
    is written there (`千问 14b` is `qwen 14b`), and the name of a use for a phrase that means it
    (`text to speech`, `text-to-speech`). White space alone is no word.
    """
    latin = [in_latin_letters(word, catalogue) or word for word in words]
    text = " ".join(" ".join(latin).lower().split())
    for phrase, use in _kinds().items():
        if " " in phrase:
            text = re.sub(rf"(?<!\S){phrase.replace(' ', '[ -]')}(?!\S)", use, text)
    return tuple(text.split())


def use_in(words: Sequence[str]) -> str | None:
    """The use that words alone name, each its own word or all of one: `code`, `speech
    recognition`. None where they name none, or several.
    """
    typed = [part for word in words for part in kind_meant(word).split("-")]
    named = [use for use in USES if set(use.split("-")) <= set(typed)]
    return named[0] if len(named) == 1 else None


def modality_in(words: Sequence[str]) -> str | None:
    """The modality that one of these words means by itself: `image`, `pictures`. None where none
    does, or several do.
    """
    named = {kind_meant(word) for word in words} & set(MODALITIES)
    return min(named) if len(named) == 1 else None


def kind_meant(word: str) -> str:
    """The use or modality that a word means, in the singular or the plural: `code` of `coding`,
    `embedding` of `embeddings`. The word in lower case where it means none.
    """
    word = word.lower()
    for reading in (word, word.removesuffix("s")):
        kind = _kinds().get(reading, reading)
        if kind in USES or kind in MODALITIES:
            return kind
    return word


def holds_words(model: ModelSpec, words: Sequence[str]) -> bool:
    """Whether the model's names, its maker or its kind hold every word. A size is whole: `8b` is
    not in `0.8b`. Words of signs alone are in no name.
    """
    names = [model.id, model.name, model.family or "", *model.aliases]
    maker = f"-{canonical(model.developer or '')}"
    kinds = {model.modality, *(part for use in model.uses or () for part in use.split("-"))}
    return any(map(canonical, words)) and all(
        kinds.issuperset(kind_meant(word).split("-"))
        or f"-{canonical(word)}" in maker
        or _in_names(word, names)
        for word in words
    )


def _in_names(word: str, names: Iterable[str]) -> bool:
    if _SIZE.fullmatch(word) is None:
        part = canonical(word)
        return any(part in canonical(name) for name in names)
    whole = re.compile(_WHOLE_SIZE.format(re.escape(word)))
    return any(whole.search(name.lower().replace(" ", "-")) for name in names)


def meant(words: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Searches that find a model, where these words find none: with slips of the fingers mended,
    else by each of the words that is in some model's name.
    """
    own_names = [(outline.id, outline.family or "") for outline in catalogue.outlines()]
    runs = sorted({run for names in own_names for name in names for run in _LETTERS.findall(name)})
    words = words[:_MOST_WORDS]
    held = [word for word in words if any(_in_names(word, names) for names in own_names)]
    mended = [word if word in held else _mended(word, runs) for word in words]
    for names in own_names if mended != list(words) else ():
        if all(_in_names(word, names) for word in mended):
            return (" ".join(mended),)
    return tuple(dict.fromkeys(held))


def _mended(word: str, runs: Sequence[str]) -> str:
    """The word with its letters as they most likely were meant."""
    letters = _LETTERS.match(word)
    run = letters[0] if letters is not None else word
    near = all_near(run, runs, most=1, likeness=_SLIP)
    return near[0] + word[len(run) :] if near else word
