"""A description of a machine while it is read: its tokens, and what the steps took of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from . import cpus
from .gpu_names import NamedCards
from .profiles import Profile, refusal
from .roles import roles
from .words import BREAK, SIZE, Token

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_LONGEST_NAME = 7
# a year, and a number that nobody counts with
_SAYS_NOTHING = re.compile(r"20[012]\d|\d{1,2}", re.ASCII)


class Description:
    """What a text tells of a machine; None and empty for what it does not.

    `is_line`: it names a line of computers with several processors. `chip` and `product`: rows of
    macs.toml and products.toml; `known`: the profiles of a board. `cards_at`: GPUs with the places
    of their names; `vram_gib`: of a GPU of which nothing else is told but perhaps `gpu_maker`.
    `numbers`: cores, threads, vcpus, mts, channels and sticks, by these words.
    """

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.system: str | None = None
        self.scope = "host"
        self.is_wsl = self.is_laptop = self.is_line = self.has_no_gpu = False
        self.chip: Mapping[str, Any] | None = None
        self.product: Mapping[str, Any] = {}
        self.known: list[Profile] = []
        self.processor: str | None = None
        self.cards_at: list[tuple[int, NamedCards]] = []
        self.vram_gib: float | None = None
        self.gpu_maker: str | None = None
        self.ram_gib: float | None = None
        self.ram_kind: str | None = None
        self.numbers: dict[str, int] = {}
        self.notes: list[str] = []

    @property
    def cards(self) -> list[NamedCards]:
        return [cards for _, cards in sorted(self.cards_at, key=lambda pair: pair[0])]

    @property
    def left(self) -> list[str]:
        """What nothing is known by and what is no filler."""
        idle = roles().idle | roles().gpu_idle | roles().computers | {*cpus.MAKERS, BREAK}
        free = (token.text for token in self.tokens if not token.by)
        return [word for word in free if word not in idle and not _SAYS_NOTHING.fullmatch(word)]

    def word(self, at: int) -> str:
        """The word at that place; empty where there is none."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def words(self, start: int, end: int) -> list[str]:
        return [token.text for token in self.tokens[max(0, start) : end]]

    def free(self, at: int) -> str:
        """The word at that place; empty where there is none, or a step has taken it."""
        return self.word(at) if self.word(at) and not self.tokens[at].by else ""

    def free_gib(self, at: int) -> float | None:
        """The size at that place, which no step has taken."""
        match = SIZE.fullmatch(self.free(at))
        return float(match[1]) if match and match[2] == "gb" else None

    def take(self, start: int, end: int, by: str) -> None:
        for token in self.tokens[start:end]:
            token.by = token.by or by

    def free_runs(self, longest: int = _LONGEST_NAME) -> Iterator[tuple[int, int]]:
        """Runs of tokens that no step has taken, the longest first."""
        free = [not token.by and token.text != BREAK for token in self.tokens]
        for length in range(min(longest, len(free)), 0, -1):
            for start in range(len(free) - length + 1):
                if all(free[start : start + length]):
                    yield start, start + length

    def can_be(self, word: str, readings: Sequence[str]) -> Exception:
        """The error for a word that has several readings."""
        text, both = self.text.lower(), " or ".join(readings)
        whole = ", ".join(f"--machine '{text.replace(word, each, 1)}'" for each in readings)
        return refusal("two_readings", self.text, readings, word=word, readings=both, whole=whole)
