"""A description of a machine as words: sizes, counts, rates and names in one spelling each.
The words and their roles are in `specs/common/words.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from ..core.errors import SelfhostError
from ..core.records import shortened
from ..core.tables import shipped_table

Means = str | Callable[[re.Match[str]], str]

BREAK = "|"
SIZE = re.compile(r"(\d+(?:\.\d+)?)(gb|tb)(ram|vram|disk|)", re.ASCII)
MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d[xl]?", re.ASCII)
COUNT = re.compile(r"(\d{1,2})x|x(\d{1,2})", re.ASCII)
# `8cores`, `16threads`, `4vcpus`, `3200mts`, `2channels`, `2sticks`, and `8gen` of the 8th
NUMBERED = re.compile(r"(\d+)(cores|threads|vcpus|cpus|mts|channels|sticks|gen)", re.ASCII)

_SCRIPTS_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

word_table = partial(shipped_table, "words")


class UnknownMachineError(SelfhostError, LookupError):
    """No profile answers to the name. `nearest` are names that do, closest first."""


class UnknownGpuError(SelfhostError, LookupError):
    """No GPU that is sold as a card answers to the name. `nearest` are names that do."""


class PartOfMachineError(UnknownGpuError):
    """The name is that of a GPU whose memory is its machine's RAM, so that it comes with one."""


_ERRORS: Mapping[str, type[SelfhostError]] = {
    "machine": UnknownMachineError,
    "gpu": UnknownGpuError,
    "part": PartOfMachineError,
}


def refusal(code: str, text: str, nearest: Iterable[str] = (), **values: object) -> SelfhostError:
    """The error for what was typed, by its code in `refused` of words.toml, whose templates have
    these values.
    """
    row, plain = word_table()["refused"][code], shortened(text)
    values |= {"text": repr(plain), "plain": plain}
    error, remedy = _ERRORS[row.get("error", "machine")], row["remedy"].format(**values)
    return error(row["is"].format(**values), nearest=list(nearest), remedy=remedy)


@cache
def role(name: str) -> frozenset[str]:
    """The words of a role, which is a key of the table: `idle`, `cards`, `macs`."""
    return frozenset(word_table()[name])


@cache
def shape(name: str) -> re.Pattern[str]:
    """The regular expression of that name in the table."""
    return re.compile(word_table()["shape"][name], re.ASCII)


@cache
def kinds_of_words() -> Mapping[str, str]:
    """By a word what it says of a whole machine: systems, containers, guests, laptops, lines,
    phones, chips or clusters.
    """
    kinds = ("clusters", "chips", "phones", "lines", "laptops", "guests", "containers", "systems")
    return {word: kind for kind in kinds for word in role(kind)}


_FUNCTIONS: Mapping[str, Callable[[re.Match[str]], str]] = {
    # `2` for `dual` before channels, sticks and cores
    "count": lambda match: str(word_table()["counts"].get(match[1], match[0])),
    "times": lambda match: f" {word_table()['counts'][match[1]]}x ",
    "kib": lambda match: f"{int(match[1]) // 1024}mb",
    "mib": lambda match: f" {int(match[1]) / 1024:.3g}gb ",
    # `2x16gb` for `32gb (2x16)`; as it is where that is not the sum
    "modules": lambda match: (
        f" {match[2]}x{match[3]}gb " if int(match[1]) == int(match[2]) * int(match[3]) else match[0]
    ),
}


def tokens(text: str) -> list[str]:
    """The words of a description in one spelling each, in order, with BREAK between its parts."""
    lines = f" {BREAK} ".join(unicodedata.normalize("NFKC", text).lower().splitlines())
    means, spoken = _spoken()
    plain = spoken.sub(lambda match: f" {means[match[0]]} ", lines.replace("\u0307", ""))
    for shape, put in shapes("rewrite"):
        plain = shape.sub(put, " ".join(plain.split()))
    plain = re.sub(r"[,;:/()+&|\[\]@\n\t\r!?]+", f" {BREAK} ", plain)
    same, out = word_table()["same"], list[str]()
    for piece in plain.split():
        is_whole = piece == BREAK or NUMBERED.fullmatch(piece)
        parts = [piece] if is_whole else re.split(r"[^\w.]+|_", piece.strip(".'\""))
        for word in parts:
            out += same.get(word, word).split() if word.strip(".") else []
    return out


@cache
def shapes(name: str) -> tuple[tuple[re.Pattern[str], Means], ...]:
    """What regular expressions of the table find, and what stands for it."""
    return tuple(
        (re.compile(row["find"]), row["put"] if "put" in row else _FUNCTIONS[row["by"]])
        for row in word_table()[name]
    )


@cache
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Words of other languages and what finds one, the longest first: `16ГБ`."""
    means = {word: row["means"] for row in word_table()["spoken"] for word in row["words"]}
    longest = sorted(means, key=len, reverse=True)
    joined = [re.escape(word) for word in longest if _SCRIPTS_WITHOUT_SPACES.search(word)]
    alone = [re.escape(word) for word in longest if not _SCRIPTS_WITHOUT_SPACES.search(word)]
    return means, re.compile("|".join([*joined, rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)"]))
