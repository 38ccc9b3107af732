"""How names are compared, and which one a slip most likely meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_PARTS = re.compile(r"[0-9]+|[^0-9\s_.:/()\[\]-]+")
# longer words are no typing slip, and comparing them takes time
MAX_GUESSED_LETTERS = 60


# names of models, of which there are a few thousand, are asked about again and again
@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The form in which names are compared: `Llama3.1:8B` and `llama-3.1-8b` are both
    `llama-3-1-8-b`.

    Separators (`-`, `_`, `.`, `:`, `/`, brackets, white space, any dash of Unicode) are one and the
    same, and one stands between every letter and digit. Digits never merge across a separator:
    `opt-13b` and `opt-1.3b` differ. Full-width forms are folded and invisible characters dropped,
    as they are when a name is pasted from a web page.
    """
    if not text.isascii():
        from unicodedata import category, normalize

        letters = normalize("NFKC", normalize("NFKC", text).lower()).replace("\N{MINUS SIGN}", "-")
        kinds = {letter: category(letter) for letter in letters}
        kept = (letter for letter in letters if kinds[letter] != "Cf")
        text = "".join("-" if kinds[letter] == "Pd" else letter for letter in kept)
    return "-".join(_PARTS.findall(text.lower()))


def words_of(name: str) -> frozenset[str]:
    """The words of a name in lower case, without what stands between them."""
    return frozenset(re.findall(r"[^\W_]+", name.lower()))


def is_slip(word: str, choice: str) -> bool:
    """Whether one letter more, less or other, or two swapped, makes one of the other."""
    letters = enumerate(zip(word, choice, strict=False))
    same = next((at for at, (one, other) in letters if one != other), min(len(word), len(choice)))
    typed, meant = word[same:], choice[same:]
    is_swapped = typed[:2] == meant[1::-1] and typed[2:] == meant[2:]
    is_other = typed[1:] in (meant, meant[1:]) or typed == meant[1:]
    return word != choice and (is_swapped or is_other)


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that a typing slip most likely meant, or None."""
    return next(iter(all_near(word, choices, most=1)), None)


def did_you_mean(
    word: str, choices: Sequence[str], otherwise: str | None, form: str = "{}"
) -> str | None:
    """The remedy that names, in a form of its own, the choice most likely meant, or `otherwise`."""
    guess = nearest(word, choices)
    return f"did you mean {form.format(guess)}?" if guess else otherwise


def all_near(word: str, choices: Sequence[str], *, most: int = 3) -> list[str]:
    """The choices that a typing slip may have meant, the likeliest first, as `difflib` tells."""
    if len(word) > MAX_GUESSED_LETTERS:
        return []
    from difflib import get_close_matches

    lower = {choice.lower(): choice for choice in choices}
    matches = get_close_matches(word.lower(), list(lower), n=most)
    return [lower[match] for match in matches]
