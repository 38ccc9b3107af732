"""What a pace is, as verdicts hold it; the arithmetic of ranges: slow end, likely figure, fast end,
of seconds as of rates; and the figures of `specs/common/pace.toml`.
"""

from __future__ import annotations

from math import exp, log, prod, sqrt
from typing import Any

from ...core.records import Record
from ...core.tables import shipped_table
from ...needs.records import Needs

Range = tuple[float, float, float]
NOTHING: Range = (0.0, 0.0, 0.0)
SAME: Range = (1.0, 1.0, 1.0)


def constant(name: str) -> Any:
    """A figure, or a table, of `specs/common/pace.toml`."""
    return shipped_table("pace")[name]


def ends_of(table: str, name: str) -> Range:
    """A range of `specs/common/pace.toml`."""
    slow, likely, fast = constant(table)[name]
    return slow, likely, fast


def product(*ranges: Range) -> Range:
    """Of independent factors: the ends add up as squares, in logarithms."""
    likely = prod(each[1] for each in ranges)
    slow, fast = (sqrt(sum(log(each[end] / each[1]) ** 2 for each in ranges)) for end in (0, 2))
    rises = all(each[0] <= each[2] for each in ranges)
    return likely * exp(-slow if rises else slow), likely, likely * exp(fast if rises else -fast)


def scaled(each: Range, factor: float) -> Range:
    """The same as many times."""
    return each[0] * factor, each[1] * factor, each[2] * factor


def added(*ranges: Range) -> Range:
    """Of parts that come one after the other."""
    slow, likely, fast = map(sum, zip(*ranges, strict=True))
    return slow, likely, fast


def added_apart(*seconds: Range) -> Range:
    """Of independent parts: the ends add up as squares."""
    likely = sum(each[1] for each in seconds)
    slow, fast = (sqrt(sum((each[end] - each[1]) ** 2 for each in seconds)) for end in (0, 2))
    return likely + slow, likely, likely - fast


def longer(*ranges: Range) -> Range:
    """Of parts that go on at the same time: the one that takes longest, end by end."""
    slow, likely, fast = map(max, zip(*ranges, strict=True))
    return slow, likely, fast


def inverse(each: Range) -> Range:
    """Seconds of a rate, and the other way round: a slow end stays the slow end."""
    return 1 / each[0], 1 / each[1], 1 / each[2]


def ordered(seconds: Range) -> Range:
    """Seconds of which no end is nearer than the likely figure."""
    slow, likely, fast = seconds
    return max(slow, likely), likely, min(likely, fast)


class PaceRange(Record):
    """Tokens per second from the slow end to the fast one; of other work its unit, from the
    lowest.
    """

    low: float
    likely: float
    high: float

    @property
    def ends(self) -> Range:
        """All three, the slow end first."""
        return self.low, self.likely, self.high

    @property
    def seconds(self) -> Range:
        """Of one token: slow end, likely, fast end."""
        return inverse(self.ends)

    @classmethod
    def of(cls, ends: Range) -> PaceRange:
        low, likely, high = ends
        return cls(low=low, likely=likely, high=high)

    @classmethod
    def of_seconds(cls, seconds: Range) -> PaceRange:
        """From the seconds of a token: no end nearer than the likely one."""
        return cls.of(inverse(ordered(seconds)))

    @classmethod
    def taking(cls, seconds: Range) -> PaceRange:
        """Seconds themselves, the least first."""
        return cls.of(ordered(seconds)[::-1])


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands.

    `decode` and `prompt` are of text, in tokens per second, `work` of other work in `unit`; None:
    not asked, or not known.

    - `first_token_seconds`: for the prompt that was asked about; `dataset_seconds`: to train on the
      tokens that were.
    - `parallel_total`: all sequences together; `each_of`: a minimum is wanted of each of so many.
    - `full_context_tokens_per_second`: once the context is full, where that is less than nine
      tenths of `decode`; `undrafted_tokens_per_second`: without the draft that `decode` counts.
    - `crossing_seconds`: of weights in RAM that cross to a GPU for each 512 tokens of a prompt.
    - `clip`: frames, width and height of a video that is made, played at `frames_per_second`.
    """

    decode: PaceRange | None = None
    prompt: PaceRange | None = None
    work: PaceRange | None = None
    unit: str = "tokens_per_second"
    how: str
    crossing_seconds: float = 0.0
    first_token_seconds: PaceRange | None = None
    dataset_seconds: PaceRange | None = None
    parallel_total: PaceRange | None = None
    each_of: int = 1
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> PaceRange | None:
        """What the wanted pace is held against: of one sequence alone, or of each of several."""
        total = self.parallel_total
        if self.each_of == 1 or total is None:
            return self.decode if self.each_of == 1 else None
        return PaceRange.of(scaled(total.ends, 1 / self.each_of))


def shares_of(needs: Needs) -> dict[int, float]:
    """Number of an accelerator -> share of the weights on it; {} for a model in RAM."""
    held = weights_by_place(needs)
    total = sum(held.values())
    return {
        int(where.partition(":")[2]): size / total
        for where, size in held.items()
        if total and where.startswith("accelerator:")
    }


def weights_by_place(needs: Needs) -> dict[str, int]:
    """Bytes of weights by where `needs`, as placed, puts them."""
    held: dict[str, int] = {}
    for term in needs.terms:
        # what a processor reads in a layout of its own stands apart, and not in `weights` as well
        if term.name in ("weights", "repacked_weights"):
            held[term.where] = held.get(term.where, 0) + term.bytes
    return held
