"""A description of a machine as words. Matchers claim them, one after the other, so that no word
means two things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import NamedTuple

from .cpus import MAKERS
from .words import BREAK, SIZE, count_in, is_size, tokens, vocabulary

_LONGEST_NAME = 9


class WordRun(NamedTuple):
    """Words that stand side by side, from the place `start` to the place before `end`."""

    start: int
    end: int
    words: Sequence[str]

    @property
    def places(self) -> range:
        """The places of the run's words."""
        return range(self.start, self.end)

    @property
    def name(self) -> str:
        """The words of the run in one text."""
        return " ".join(self.words)


class Phrase:
    """The words of a text in order.

    The place of a word is its number, counted from 0. `free` has the words that no matcher has
    claimed, by their places: at first every word but the breaks between parts. `is_of_gpus`: the
    text must name GPUs and nothing else.
    """

    def __init__(self, text: str, *, is_of_gpus: bool = False) -> None:
        self.text = text
        self.is_of_gpus = is_of_gpus
        self.words = tokens(text)
        self.free = {at: word for at, word in enumerate(self.words) if word != BREAK}

    def copy(self) -> Phrase:
        """Return a copy, in which words can be claimed on trial."""
        other = copy(self)
        other.free = dict(self.free)
        return other

    def claim(self, *places: int) -> None:
        """Claim the words at these places."""
        for at in places:
            self.free.pop(at, None)

    @property
    def free_words(self) -> Sequence[str]:
        """The words that are free, in order."""
        return list(self.free.values())

    def says(self, words: frozenset[str]) -> bool:
        """Whether the text has one of these words, claimed or not."""
        return not words.isdisjoint(self.words)

    def has_free(self, words: frozenset[str]) -> bool:
        """Whether one of these words is free."""
        return not words.isdisjoint(self.free.values())

    def word(self, at: int) -> str:
        """The word at that place, claimed or not; empty where there is none."""
        if 0 <= at < len(self.words):
            return self.words[at]
        return ""

    def free_word(self, at: int) -> str:
        """The word at that place; empty where there is none, or a matcher has claimed it."""
        return self.free.get(at, "")

    def run(self, start: int, end: int) -> WordRun:
        """Return the words from the place `start` to the place before `end`."""
        return WordRun(start, end, self.words[start:end])

    def runs(self, longest: int = _LONGEST_NAME) -> Iterator[WordRun]:
        """Yield the runs of words that stand side by side, the longest first. All words of a run
        are free when it is yielded.
        """
        count = len(self.words)
        for length in range(min(longest, count), 0, -1):
            for start in range(count - length + 1):
                run = self.run(start, start + length)
                if all(at in self.free for at in run.places):
                    yield run

    def memory_gib(self, at: int) -> float:
        """Return the size in GiB that the word at that place states, as `16gb` does; 0 where the
        word states no size in GB, or is claimed.
        """
        size = SIZE.fullmatch(self.free_word(at))
        if size is None or size[2] != "gb":
            return 0.0
        return float(size[1])

    def with_fillers(self, run: WordRun) -> WordRun:
        """Return the run with the fillers around it, such as `geforce`, beyond which its size or
        its count may stand. A claimed filler behind the run ends it.
        """
        # behind `with` and `vram` a size follows
        fillers = vocabulary().gpu_idle.union(MAKERS) - {"with", "vram"}
        start = run.start
        end = run.end
        while self.word(start - 1) in fillers:
            start -= 1
        while self.free_word(end) in fillers:
            end += 1
        return self.run(start, end)

    def claim_count(self, run: WordRun) -> int:
        """Claim the count beside the run, `2x` before the run, or `x2` behind the run or its size,
        and return it; 1 where there is none. One other word may stand between, such as the break in
        `rtx 3090 (x2)`.
        """
        end = run.end
        # a claimed size behind the run is the run's own
        while end not in self.free and is_size(self.word(end)):
            end += 1
        around = self.with_fillers(self.run(run.start, end))
        for at in (around.start - 1, around.end, around.end + 1):
            number = count_in(self.free_word(at))
            if number is not None and self._is_count_of(around, at):
                self.claim(at)
                return number
        return 1

    def _is_count_of(self, run: WordRun, at: int) -> bool:
        """Whether a count at that place counts the things that the run names: `2x` before the run,
        `x2` behind it, and `2x` behind it at the end of a part. In `epyc 7742 2x 3090` the count
        belongs to the name that follows.
        """
        is_before = at < run.start
        if self.word(at).startswith("x"):
            return not is_before
        return is_before or self.word(at + 1) in ("", BREAK)
