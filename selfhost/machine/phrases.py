"""A description of a machine as words, which are claimed by the things that they name, so that no
word means two things.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..core.errors import SelfhostError
from ..core.records import Record
from .cpus import MAKERS
from .quantities import Quantity, count_in, is_size, quantity_in
from .words import BREAK, bad_name, tokens, vocabulary

_LONGEST_NAME = 9


class WordRun(Record):
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

    The place of a word is its number, counted from 0. `free` has the words that nothing has
    claimed, by their places: at first every word but the breaks between parts. `is_of_gpus`: the
    text must name GPUs and nothing else.
    """

    def __init__(self, text: str, *, is_of_gpus: bool = False) -> None:
        self.text = text
        self.is_of_gpus = is_of_gpus
        self.words = tokens(text)
        self.free: dict[int, str] = {}
        for at, word in enumerate(self.words):
            if word != BREAK:
                self.free[at] = word

    def error(
        self,
        code: str,
        nearest: Iterable[str] = (),
        **values: object,
    ) -> SelfhostError:
        """The error for the text, as `words.bad_name` makes it."""
        return bad_name(code, self.text, nearest, **values)

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
        """The word at that place; empty where there is none, or where it is claimed."""
        return self.free.get(at, "")

    def quantities(self) -> Iterator[tuple[int, Quantity]]:
        """Yield the sizes, counts and numbers among the free words, with their places."""
        for at, word in list(self.free.items()):
            quantity = quantity_in(word)
            if quantity is not None:
                yield at, quantity

    def run(self, start: int, end: int) -> WordRun:
        """Return the words from the place `start` to the place before `end`."""
        words = self.words[start:end]
        return WordRun(start=start, end=end, words=words)

    def runs(self, longest: int = _LONGEST_NAME) -> Iterator[WordRun]:
        """Yield the runs of words that stand side by side, the longest first. All words of a run
        are free when it is yielded.
        """
        count = len(self.words)
        longest = min(longest, count)
        for length in range(longest, 0, -1):
            last_start = count - length
            for start in range(last_start + 1):
                run = self.run(start, start + length)
                if self.free.keys() >= set(run.places):
                    yield run

    def size_at(self, at: int) -> Quantity | None:
        """The size in GB at that place; None where no free word states one there."""
        size = quantity_in(self.free_word(at))
        if size is not None and size.is_size and size.unit == "gb":
            return size
        return None

    def with_fillers(self, run: WordRun) -> WordRun:
        """Return the run with the fillers around it, such as `geforce`, beyond which its size or
        its count may stand. A filler that is claimed belongs to another thing where it stands
        behind the run; before the run it may be the run's maker.
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

    def _place_of_count(self, run: WordRun) -> int | None:
        """The place of the count beside the run, of `2x` before the run, or of `x2` behind the run
        or its size; None where there is none. One other word may stand between, such as the break
        in `rtx 3090 (x2)`.
        """
        end = run.end
        # a claimed size behind the run is the run's own
        while end not in self.free and is_size(self.word(end)):
            end += 1
        run_with_size = self.run(run.start, end)
        around = self.with_fillers(run_with_size)
        places = (
            around.start - 1,
            around.end,
            around.end + 1,
        )
        for at in places:
            count = count_in(self.free_word(at))
            if count is not None and self._is_count_of(around, at):
                return at
        return None

    def count_of(self, run: WordRun) -> int:
        """Return the count beside the run; 1 where there is none."""
        at = self._place_of_count(run)
        if at is None:
            return 1
        count = count_in(self.word(at))
        return 1 if count is None else count

    def claim_count(self, run: WordRun) -> int:
        """Claim the count beside the run and return it; 1 where there is none."""
        count = self.count_of(run)
        at = self._place_of_count(run)
        if at is not None:
            self.claim(at)
        return count

    def _is_count_of(self, run: WordRun, at: int) -> bool:
        """Whether a count at that place counts the things that the run names: `2x` before the run,
        `x2` behind it, and `2x` behind it at the end of a part. In `epyc 7742 2x 3090` the count
        belongs to the name that follows.
        """
        is_before = at < run.start
        if self.word(at).startswith("x"):
            return not is_before
        return is_before or self.word(at + 1) in ("", BREAK)
