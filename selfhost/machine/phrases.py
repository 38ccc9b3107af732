"""A description of a machine as words. Matchers claim them, one after the other, so that no word
means two things.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..core.records import Record
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


class Found(Record):
    """The result of a matcher, with the places of the words that the matcher claims."""

    places: Collection[int] = ()


class Count(Found):
    """The number of things that a name means, which `2x` or `x2` states; 1 where no word does."""

    number: int = 1


class Phrase(NamedTuple):
    """The words of a text in order.

    The place of a word is its number, counted from 0. `free` has the words that no matcher has
    claimed, by their places. `is_of_gpus`: the text must name GPUs and nothing else.
    """

    text: str
    words: Sequence[str]
    free: Mapping[int, str]
    is_of_gpus: bool = False

    @classmethod
    def of(cls, text: str, *, is_of_gpus: bool = False) -> Phrase:
        """Return the phrase of a text. Every word is free but the breaks between parts."""
        words = tokens(text)
        free = {at: word for at, word in enumerate(words) if word != BREAK}
        return cls(text, words, free, is_of_gpus)

    def without(self, places: Collection[int]) -> Phrase:
        """Return the phrase in which the words at these places are claimed, too."""
        free = {at: word for at, word in self.free.items() if at not in places}
        return self._replace(free=free)

    def after(self, found: Found | None) -> Phrase:
        """Return the phrase in which the words of `found` are claimed; the phrase itself for
        None.
        """
        if found is None:
            return self
        return self.without(found.places)

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

    def is_free(self, run: WordRun) -> bool:
        """Whether no word of the run is claimed."""
        return all(at in self.free for at in run.places)

    def runs(self, longest: int = _LONGEST_NAME) -> Iterator[WordRun]:
        """Yield the runs of free words that stand side by side, the longest first."""
        count = len(self.words)
        for length in range(min(longest, count), 0, -1):
            for start in range(count - length + 1):
                run = self.run(start, start + length)
                if self.is_free(run):
                    yield run

    def memory_gib(self, at: int) -> float:
        """Return the size in GiB that the word at that place states, as `16gb` does; 0 where the
        word states no size in GB, or is claimed.
        """
        size = SIZE.fullmatch(self.free_word(at))
        if size is None or size[2] != "gb":
            return 0.0
        return float(size[1])

    @property
    def has_memory(self) -> bool:
        """Whether a size in GB is among the free words."""
        return any(map(self.memory_gib, self.free))

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

    def count_beside(self, run: WordRun) -> Count:
        """Return the count beside the run: `2x` before the run, or `x2` behind the run or its size.
        One other word may stand between, such as the break in `rtx 3090 (x2)`.
        """
        end = run.end
        # a claimed size behind the run is the run's own
        while end not in self.free and is_size(self.word(end)):
            end += 1
        around = self.with_fillers(self.run(run.start, end))
        for at in (around.start - 1, around.end, around.end + 1):
            number = count_in(self.free_word(at))
            if number is not None and self._is_count_of(around, at):
                return Count(number=number, places=(at,))
        return Count()

    def _is_count_of(self, run: WordRun, at: int) -> bool:
        """Whether a count at that place counts the things that the run names: `2x` before the run,
        `x2` behind it, and `2x` behind it at the end of a part. In `epyc 7742 2x 3090` the count
        belongs to the name that follows.
        """
        is_before = at < run.start
        if self.word(at).startswith("x"):
            return not is_before
        return is_before or self.word(at + 1) in ("", BREAK)
