"""Names of models in other scripts than Latin, and letters of one script among those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from unicodedata import normalize

# letters that look alike in both: Unicode's confusables.txt, the lower-case pairs of these scripts
_CYRILLIC, _LATIN = "асеіјорѕхуԁһѵԛԝк", "aceijopsxydhvqwk"
_TO_LATIN = str.maketrans(_CYRILLIC, _LATIN)
_TO_CYRILLIC = str.maketrans(_LATIN, _CYRILLIC)


def in_latin_letters(typed: str, spellings: Mapping[str, Sequence[str]]) -> str | None:
    """A name with each family's name as it is written in Latin letters: `千问3` is `qwen3`. None
    where letters of another script are left. `spellings` of other scripts by the Latin name.
    """
    text = normalize("NFKC", typed).lower()
    single_script = text.translate(_TO_LATIN)
    if single_script.isascii():
        return single_script
    pairs = [(other, latin) for latin, others in spellings.items() for other in others]
    # the longest first: 通义千问 holds 千问
    pairs.sort(key=lambda pair: (-len(pair[0]), pair))
    for other, latin in pairs:
        # `ламa`, whose last letter is Latin
        start = text.translate(_TO_CYRILLIC).find(other.translate(_TO_CYRILLIC))
        if start >= 0:
            text = f"{text[:start]}{latin}{text[start + len(other) :]}"
    return text if text.isascii() else None
