"""A description of a machine as tokens: sizes, counts, rates and names in one spelling each; and
the GPUs that a virtual machine shows. The words and their roles are in `specs/common/words.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, lru_cache

from ..core.records import Record, pattern
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Means = str | Callable[[re.Match[str]], str]

BREAK = "|"
SIZE = re.compile(r"(\d+(?:\.\d+)?)(gb|tb)", re.ASCII)
MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
COUNT = re.compile(r"(\d{1,2})x|x(\d{1,2})", re.ASCII)
# `8cores`, `16threads`, `4vcpus`, `3200mts`, `2channels`, `2sticks`, and `8gen` of the 8th
NUMBERED = re.compile(r"(\d+)(cores|threads|vcpus|cpus|mts|channels|sticks|gen)", re.ASCII)

_SCRIPTS_WITHOUT_SPACES = pattern("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d[xl]?")


def words() -> Mapping[str, Any]:
    """The whole table. Raises `SpecError` where the installation lacks it."""
    return shipped_table("words")


@cache
def role(name: str) -> frozenset[str]:
    """The words of a role: idle, gpu_idle, left_out, forms, unsaid, cards, computers."""
    return frozenset(words()[name])


class VirtualGpu(Record):
    """What a virtual machine gets of an NVIDIA card, by the name of its vGPU profile.

    `card` is the whole name of that card, `share` the part of its memory. `takes_turns`: other
    virtual machines may compute on the card in between; an instance of MIG has processors of its
    own, `slices` of them. `draws_only`: its profile runs no CUDA.
    """

    card: str
    share: float
    slices: int | None
    draws_only: bool

    @property
    def takes_turns(self) -> bool:
        return self.slices is None and self.share < 1


# `GRID A100D-80C`, `NVIDIA A10-8Q`, `GRID A100-3-20C`; labels have hyphens for the spaces
_PROFILE = pattern(r"(?:NVIDIA|GRID)[ -](.+?)[ -](?:(\d)[ -])?(\d{1,3})([ABCQ])")
# makers' words before a board that no profile has
_VGPU = pattern(
    r"(?ai)(?:(?:nvidia|grid|tesla|quadro|vgpu)[\s-]+)*(?P<board>\S.*?)"
    r"(?P<profile>-(?:\d-)?\d{1,3}[abcq])"
)


@lru_cache(maxsize=1024)
def virtual_gpu(name: str) -> VirtualGpu | None:
    """The vGPU whose profile has that name; None for another GPU, and for a board that is not
    listed.
    """
    # most names end otherwise, and the pattern is compiled when it is asked
    match = _PROFILE.fullmatch(name) if name.endswith(("A", "B", "C", "Q")) else None
    row = None if match is None else board_called(match[1])
    if match is None or row is None or not 0 < int(match[3]) <= row["memory_gib"]:
        return None
    return VirtualGpu(
        card=row["name"],
        share=int(match[3]) / row["memory_gib"],
        slices=int(match[2]) if match[2] else None,
        draws_only=match[4] in shipped_table("gpus")["vgpu_drawing"],
    )


def card_of(name: str) -> str:
    """The name of the card that a vGPU is part of; any other name as it is."""
    virtual = virtual_gpu(name)
    return name if virtual is None else virtual.card


def board_called(name: str) -> Mapping[str, Any] | None:
    """The row of a board in names of vGPUs: its card and that one's GiB; None for an unlisted
    one.
    """
    plain = "".join(filter(str.isalnum, name.lower()))
    return next((row for row in shipped_table("gpus")["vgpu"] if row["board"] == plain), None)


def vgpu_typed(text: str) -> tuple[str, str] | None:
    """The board and the driver's name of the vGPU that a text is the name of, whether its board is
    listed or not; None for other texts.
    """
    match = _VGPU.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    return match["board"], f"NVIDIA {match['board'].upper()}{match['profile'].upper()}"


def is_vgpu(word: str) -> bool:
    """Whether a word is the name of a listed vGPU, whose hyphens tell it: `a40-48q`."""
    typed = vgpu_typed(word)
    return typed is not None and virtual_gpu(typed[1]) is not None


# ------------------------------------------------------------------ tokens


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


def is_kind_of_ram(word: str) -> bool:
    return _KIND_OF_RAM.fullmatch(word) is not None


def is_ram(word: str) -> bool:
    """Whether the word says that a size is that of RAM."""
    return word in words()["ram"] or is_kind_of_ram(word)


def tokens(text: str) -> list[Token]:
    """The tokens of a description, in order."""
    lines = f" {BREAK} ".join(unicodedata.normalize("NFKC", text).lower().splitlines())
    means, spoken = _spoken()
    plain = spoken.sub(lambda match: f" {means[match[0]]} ", lines.replace("\u0307", ""))
    for shape, put in _rewrites():
        plain = shape.sub(put, " ".join(plain.split()))
    plain = re.sub(r"[,;:/()+&|\[\]@\n\t\r!?]+", f" {BREAK} ", plain)
    same, out = words()["same"], list[str]()
    for piece in plain.split():
        # names of vGPUs stay whole
        is_whole = piece == BREAK or NUMBERED.fullmatch(piece) or is_vgpu(piece)
        parts = [piece] if is_whole else re.split(r"[^\w.]+|_", piece.strip(".'\""))
        for word in parts:
            out += same.get(word, word).split() if word.strip(".") else []
    return [Token(word) for word in out]


@lru_cache(1)
def _rewrites() -> tuple[tuple[re.Pattern[str], Means], ...]:
    return tuple(
        (re.compile(row["find"]), row.get("put") or _FUNCTIONS[row["by"]])
        for row in words()["rewrite"]
    )


@lru_cache(1)
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Words of other languages and what finds one, the longest first; behind a figure, too,
    `16ГБ`.
    """
    means = {word: row["means"] for row in words()["spoken"] for word in row["words"]}
    longest = sorted(means, key=len, reverse=True)
    joined = [re.escape(word) for word in longest if _SCRIPTS_WITHOUT_SPACES.search(word)]
    alone = [re.escape(word) for word in longest if not _SCRIPTS_WITHOUT_SPACES.search(word)]
    return means, re.compile("|".join([*joined, rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)"]))
