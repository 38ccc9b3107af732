"""A description of a machine as tokens: sizes, counts, rates and names in one spelling each.

The words and their roles are in `specs/common/words.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache

from .roles import words

TYPE_CHECKING = False

if TYPE_CHECKING:
    Means = str | Callable[[re.Match[str]], str]

BREAK = "|"
SIZE = re.compile(r"(\d+(?:\.\d+)?)(gb|tb)", re.ASCII)
MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
COUNT = re.compile(r"(\d{1,2})x|x(\d{1,2})", re.ASCII)
# `8cores`, `16threads`, `4vcpus`, `3200mts`, `2channels`, `2sticks`, and `8gen` of the 8th
NUMBERED = re.compile(r"(\d+)(cores|threads|vcpus|cpus|mts|channels|sticks|gen)", re.ASCII)

_SCRIPTS_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _count(match: re.Match[str]) -> str:
    """`2` for `dual` before channels, sticks and cores; any other word as it is."""
    return str(words()["counts"].get(match[1], match[0]))


def _modules_of_sum(match: re.Match[str]) -> str:
    """`2x16gb` for `32gb (2x16)`; as it is where that is not the sum."""
    total, count, size = (int(number) for number in match.groups())
    return f" {count}x{size}gb " if total == count * size else match[0]


_FUNCTIONS: Mapping[str, Callable[[re.Match[str]], str]] = {
    "count": _count,
    "kib": lambda match: f"{int(match[1]) // 1024}mb",
    "mib": lambda match: f" {int(match[1]) / 1024:.3g}gb ",
    "modules": _modules_of_sum,
}


class Token:
    """A word of a description; `by` is the step that took it, empty while nobody has."""

    __slots__ = ("by", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.by = ""

    def __repr__(self) -> str:
        return f"{self.text}<{self.by}>"


def is_kind_of_ram(word: str) -> bool:
    return re.fullmatch(r"(?:lp)?ddr\d[xl]?", word) is not None


def is_ram(word: str) -> bool:
    """Whether the word says that a size is that of RAM."""
    return word in words()["ram"] or is_kind_of_ram(word)


def tokens(text: str) -> list[Token]:
    """The tokens of a description, in order."""
    lines = f" {BREAK} ".join(unicodedata.normalize("NFKC", text).lower().splitlines())
    plain = " ".join(in_english(lines).split())
    for pattern, means in _rewrites():
        plain, count = pattern.subn(means, plain)
        plain = " ".join(plain.split()) if count else plain
    plain = re.sub(r"[,;:/()+&|\[\]@\n\t\r!?]+", f" {BREAK} ", plain)
    same = words()["same"]
    out = []
    for piece in plain.split():
        if piece == BREAK:
            out.append(BREAK)
            continue
        for word in _pieces(piece):
            out += same.get(word, word).split()
    return [Token(word) for word in out]


def _pieces(piece: str) -> list[str]:
    """The words of what stands between spaces; names of vGPUs and of cloud types stay whole."""
    from .virtual_gpus import is_vgpu

    if is_vgpu(piece) or NUMBERED.fullmatch(piece):
        return [piece]
    return [word for word in re.split(r"[^\w.]+|_", piece.strip(".'\"")) if word.strip(".")]


@lru_cache(1)
def _rewrites() -> tuple[tuple[re.Pattern[str], Means], ...]:
    return tuple(
        (re.compile(row["find"]), row.get("put") or _FUNCTIONS[row["by"]])
        for row in words()["rewrite"]
    )


def in_english(text: str) -> str:
    """The text, in small letters, with the words that the tables have for those of other
    languages.
    """
    plain = text.replace("\u0307", "")
    if plain.isascii():
        return _spoken_ascii()[1].sub(lambda match: f" {_spoken_ascii()[0][match[0]]} ", plain)
    means, pattern = _spoken()
    return pattern.sub(lambda match: f" {means[match[0]]} ", plain)


@lru_cache(1)
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    return _pattern_of({w: row["means"] for row in words()["spoken"] for w in row["words"]})


@lru_cache(1)
def _spoken_ascii() -> tuple[Mapping[str, str], re.Pattern[str]]:
    rows = words()["spoken"]
    return _pattern_of({w: row["means"] for row in rows for w in row["words"] if w.isascii()})


def _pattern_of(means: Mapping[str, str]) -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Words and what finds one, the longest first; behind a figure, too, `16ГБ`."""
    longest = sorted(means, key=len, reverse=True)
    joined = [re.escape(word) for word in longest if _SCRIPTS_WITHOUT_SPACES.search(word)]
    alone = [re.escape(word) for word in longest if not _SCRIPTS_WITHOUT_SPACES.search(word)]
    return means, re.compile("|".join([*joined, rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)"]))
