"""Whether a bare number before a part's name counts the parts, `server with 8 h100`, or is of the
product's name before it: a screen, `omen 16 rtx 4060`, or a generation, `gen 8 xeon`.
"""

from __future__ import annotations

import re

from ..core.tables import shipped_table
from . import cpus
from .typed import sizes_gib, with_plain_sizes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# inches of laptops' screens
_SCREENS = range(13, 19)
# `r740`, `z840`, `dl380`: laptops' names have fewer, `x1`, `p16`
_LEAST_DIGITS_OF_A_MODEL = 3
# `laptop 2 3090`: no line of laptops is called so alone
_LAPTOP_ALONE = (["laptop"], ["notebook"])
_MOST_CARDS_OF_A_LAPTOP = 2
# `xeon e5 2690 v2`
_MOST_WORDS_OF_A_PROCESSOR = 4
# `128gb, 2 xeon e5-2670`
_SEPARATOR = re.compile(r"[,+&]")
_SOME_SERVER_PROCESSORS = re.compile(
    r"(?<![\w.])([2-8]) ?(x?) ?(?:amd |intel )?(?=(?:xeon|epyc|opteron)s?\b)", re.IGNORECASE
)


def with_counts(
    words: Sequence[str], *, in_laptop: bool, names_a_part: Callable[[str], bool]
) -> list[str]:
    """The words with `2x` for a bare number that counts the part behind it, also with an `x` of its
    own, `4 x l40s`.
    """
    words = list(words)
    for at in reversed(range(1, len(words) - 1)):
        if words[at] == "x" and words[at - 1].isdecimal() and names_a_part(words[at + 1]):
            words[at - 1 : at + 1] = [f"{words[at - 1]}x"]
    return [
        f"{word}x"
        if word.isdecimal()
        and len(word) < 3
        and at + 1 < len(words)
        and counts(int(word), words[:at], in_laptop=in_laptop)
        and names_a_part(words[at + 1])
        else word
        for at, word in enumerate(words)
    ]


def with_counted_processors(text: str) -> str:
    """The text with `2x` before a server's processors that a number before them counts: `2 xeon
    gold 6226r`, but not `gen 8 xeon`.
    """

    def counted(match: re.Match[str]) -> str:
        before = _SEPARATOR.sub(" and ", text[: match.start()]).lower().split()
        return f"{match[1]}x " if match[2] or counts(int(match[1]), before) else match[0]

    return _SOME_SERVER_PROCESSORS.sub(counted, text)


def counts(number: int, before: Sequence[str], *, in_laptop: bool = False) -> bool:
    """Whether a bare number behind these words tells how many there are of what follows: at the
    start, behind a size, a word such as `with`, a processor, or a model that is no laptop's.
    """
    if not before:
        return True
    last = before[-1]
    table = shipped_table("products")["counted"]
    if last in table["joined"]:
        return True
    if list(before) in _LAPTOP_ALONE:
        return number == _MOST_CARDS_OF_A_LAPTOP
    if in_laptop or number in _SCREENS:
        return False
    return (
        last in table["behind"]
        or bool(sizes_gib(with_plain_sizes(last)))
        or _has_its_number(before)
    )


def _has_its_number(before: Sequence[str]) -> bool:
    """Whether the last word has the number of a processor, `i9`, `epyc 9354`, or of a model: a
    number behind is not that of the name before it, as of `ryzen 9`.
    """
    last = before[-1]
    digits = sum(map(str.isdecimal, last))
    if digits >= _LEAST_DIGITS_OF_A_MODEL and not last.isdecimal():
        return True
    names = (" ".join(before[-count:]) for count in range(1, _MOST_WORDS_OF_A_PROCESSOR + 1))
    if any(cpus.processor_of(name) is not None for name in names):
        return True
    return digits > 0 and cpus.class_of(last) is not None
