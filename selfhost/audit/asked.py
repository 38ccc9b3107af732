"""What a question about pace is answered by each kind of machine, and at which bandwidths.

A pace depends on a machine's kind and on the bandwidth of its memory, and on no other number in
which machines of one kind differ: a `Kind`'s stand-in has none but these. So the rules of pace are
asked once for each kind and each end of its bandwidths, however many machines there are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import ge, le

from ..machine.record import Machine
from .population import (
    BANDWIDTH,
    TOTAL,
    DiffersError,
    Kind,
    Population,
    Span,
    lowest,
    members,
    without,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # of a kind the bandwidths from which on an answer holds, ascending, each with that answer and
    # what of it counts
    Steps = tuple[list[int], list[tuple[Any, Any]]]
    # see `Machine.answer`
    Strength = tuple[Any, tuple[float, ...]]

# answers of kinds, and questions, that are kept: beyond, all are forgotten together. A question
# holds sets of machines
_MOST_STEPS = 6_000
_MOST_QUESTIONS = 400


class _Bounds:
    """The strengths at which an answer was given."""

    def __init__(self) -> None:
        self._by_word: dict[Any, list[tuple[tuple[float, ...], Steps]]] = {}

    def add(self, strength: Strength | None, steps: Steps) -> None:
        """The kind of that strength has that answer."""
        if strength is not None:
            word, numbers = strength
            # the first bandwidth of one kind is none of another
            self._by_word.setdefault(word, []).append((numbers, ([0], steps[1])))

    def below(self, strength: Strength | None) -> Steps | None:
        """The answer of one that is nowhere stronger; None where there is none."""
        return self._first(strength, le)

    def above(self, strength: Strength | None) -> Steps | None:
        """The answer of one that is nowhere weaker; None where there is none."""
        return self._first(strength, ge)

    def _first(
        self, strength: Strength | None, compare: Callable[[float, float], bool]
    ) -> Steps | None:
        if strength is None:
            return None
        word, own = strength
        for numbers, steps in self._by_word.get(word, ()):
            if all(map(compare, numbers, own)):
                return steps
        return None


class _Shared:
    """Answers that questions share: of machines of one strength the burdens with which they gave
    them, none of which is within another.
    """

    def __init__(self) -> None:
        self._by_machine: dict[Any, list[tuple[tuple[float, ...], Steps]]] = {}

    def add(self, machine: Any, burdens: tuple[float, ...], steps: Steps) -> None:
        """Machines of that strength have that answer with so much, and with less."""
        earlier = self._by_machine.get(machine, ())
        kept = [each for each in earlier if not all(map(le, each[0], burdens))]
        self._by_machine[machine] = [*kept, (burdens, ([0], steps[1]))]

    def of(self, machine: Any, burdens: tuple[float, ...]) -> Steps | None:
        """What machines of that strength answer with so much; None where that is not known."""
        for most, steps in self._by_machine.get(machine, ()):
            if all(map(le, burdens, most)):
                return steps
        return None


class Question:
    """What is asked of machines: see `Machine.answer`."""

    __slots__ = ("alike", "ask", "best", "burden", "key", "lacking", "strength", "worst")

    def __init__(
        self,
        ask: Callable[[Machine], Any],
        key: Callable[[Machine], tuple[bool, Any]],
        alike: Callable[[Any], Any],
        best: Callable[[Any], bool],
        strength: Callable[[Machine], Any] | None,
        worst: Callable[[Any], bool] | None,
        lacking: Callable[[Any], float | None] | None,
        burden: Callable[[], Any] | None,
    ) -> None:
        self.ask, self.key, self.alike, self.best = ask, key, alike, best
        self.strength, self.worst, self.lacking, self.burden = strength, worst, lacking, burden


class Answers:
    """The answers of all questions so far, which models that take as long as others share."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.by_key: dict[Any, Asked] = {}
        self.steps: dict[Any, Steps] = {}
        # the best answers and the worst, which other questions may share
        self.best, self.worst = _Shared(), _Shared()

    def of(self, question: Question, machine: Machine) -> Asked:
        """The answers to one question; `machine` is who asks it first."""
        if len(self.steps) > _MOST_STEPS or len(self.by_key) > _MOST_QUESTIONS:
            self.by_key.clear()
            self.steps.clear()
        own = question.key(machine)
        asked = self.by_key.get(own)
        if asked is None:
            asked = self.by_key[own] = Asked(self, question)
        return asked


class Asked:
    """The answers of the kinds to one question."""

    def __init__(self, answers: Answers, question: Question) -> None:
        self._answers, self._question = answers, question
        burden: Any = None if question.burden is None else question.burden()
        # the word of what is asked, and its numbers; turned round they are those of the worst
        self._word: Any = None if burden is None else burden[0]
        self._burdens: tuple[float, ...] = () if burden is None else burden[1]
        self._turned = tuple([-each for each in self._burdens])
        # until an answer of one kind was seen to depend on it
        self._reads_bandwidth = False
        # kinds of machine that have an answer from here
        self.answered = 0
        # kinds that were asked; by what counts of an answer the kinds that give it, and of those
        # the machines that give another one
        self._known = 0
        self._kinds: dict[Any, int] = {}
        self._others: dict[Any, int] = {}
        # kinds that have the best answer throughout, and the worst, by how strong they are
        self._best = _Bounds()
        self._worst = _Bounds()
        # of kinds with the least of their bandwidths
        self._strengths: dict[tuple[int, Span | None], Strength | None] = {}

    def answer_of(
        self, number: int, bandwidth: int | None, totals: Span | None = None
    ) -> tuple[Any, Any]:
        """What a machine of that kind answers, with as much memory as `totals`, and what of it
        counts. Raises `DiffersError` where that is not the same of all such machines.
        """
        starts, answers = self._steps_of(number, totals)
        if bandwidth is None:
            return answers[0]
        return answers[max(0, bisect_right(starts, bandwidth) - 1)]

    def bounds_of(self, number: int, bandwidth: int | None, totals: Span) -> list[int]:
        """The bandwidths between which that answer holds: from the one, and below the other."""
        starts, _ = self._steps_of(number, totals)
        if bandwidth is None:
            return []
        place = bisect_right(starts, bandwidth)
        return starts[max(0, place - 1) : place + 1]

    def alike(self, said: Any, kinds: int) -> tuple[int, int]:
        """Of those kinds, the ones that say so, and among their machines those that do not."""
        new = kinds & ~self._known
        if new & (new - 1):
            for number in self._from_the_middle(members(new)):
                self._learn(number)
        elif new:
            self._learn(lowest(new))
        self._known |= kinds
        return self._kinds.get(said, 0), self._others.get(said, 0)

    def short_of(self, number: int) -> float | None:
        """What a machine lacks of the pace that is asked for; None where it lacks no amount."""
        kind_number, _ = self._answers.population.kind_of(number)
        kind = self._answers.population.kinds[kind_number]
        bandwidth = (
            self._answers.population.bandwidth_of(number) if BANDWIDTH in kind.columns else None
        )
        totals = None
        if len(kind.totals) > 1:
            totals = (self._answers.population.value_of(number, TOTAL),) * 2
        finding = self._question.ask(kind.asked(bandwidth, totals))[1]
        return None if finding is None else finding.short

    def hardest_hit(self, bits: int) -> tuple[float, int]:
        """The most that a machine of a set lacks of the pace, and one that lacks as much: the first
        of its kind. Kinds that are nowhere weaker than another lack no more, and are not asked.
        """
        population = self._answers.population
        slowest = population.slowest_of_kinds(bits, self.answered)
        weakest = _Bounds()
        hit: list[tuple[float, int]] = []
        for strength, number in self._by_strength(slowest):
            if weakest.below(strength) is None:
                hit.append((-(self.short_of(number) or 0.0), number))
                weakest.add(strength, ([], []))
        short, first = min(hit)
        return -short, first

    def _by_strength(self, numbers: Iterable[int]) -> list[tuple[Strength | None, int]]:
        """Machines, the weakest first."""
        population = self._answers.population
        strengths: list[tuple[Strength, int]] = []
        unknown: list[tuple[Strength | None, int]] = []
        for number in numbers:
            kind = population.kinds[population.kind_of(number)[0]]
            has_bandwidth = BANDWIDTH in kind.columns
            bandwidth = population.bandwidth_of(number) if has_bandwidth else None
            try:
                strength = self._strength_of(kind.asked(bandwidth))
            except DiffersError:
                strength = None
            if strength is None:
                unknown.append((None, number))
            else:
                strengths.append((strength, number))
        return [*unknown, *sorted(strengths)]

    def _learn(self, number: int) -> None:
        population = self._answers.population
        kind = population.kinds[number]
        try:
            starts, answers = self._steps_of(number, None)
        except DiffersError:
            # each of its machines is asked by itself
            return
        if len(answers) == 1:
            said = answers[0][1]
            self._kinds[said] = self._kinds.get(said, 0) | 1 << number
            return
        cut = population.cut(((BANDWIDTH, 1),))
        for said in dict.fromkeys(said for _, said in answers):
            own = 0
            for place, (_, each) in enumerate(answers):
                if each == said:
                    own |= cut.at_least(starts[place])
                    if place + 1 < len(starts):
                        own = without(own, cut.at_least(starts[place + 1]))
            self._kinds[said] = self._kinds.get(said, 0) | 1 << number
            self._others[said] = self._others.get(said, 0) | without(kind.bits, own)

    def _steps_of(self, number: int, totals: Span | None) -> Steps:
        kind = self._answers.population.kinds[number]
        at_any = kind.asked(kind.slowest, totals)
        is_whole, own = self._question.key(at_any)
        key = own if is_whole else (number, totals, own)
        steps = self._answers.steps.get(key)
        if steps is None:
            steps = self._answers.steps[key] = self._asked(kind, at_any, is_whole, totals)
        return steps

    def _weakest_of(self, kind: Kind, totals: Span | None) -> Strength | None:
        key = kind.number, totals
        if key not in self._strengths:
            self._strengths[key] = self._strength_of(kind.asked(kind.slowest, totals))
        return self._strengths[key]

    def _asked(self, kind: Kind, at_any: Machine, is_whole: bool, totals: Span | None) -> Steps:
        question, weakest = self._question, self._weakest_of(kind, totals)
        steps = self._shared_best(weakest) or self._best.below(weakest)
        if steps is not None:
            return steps
        strongest = weakest
        is_wide = not is_whole and kind.bandwidths is not None and len(kind.bandwidths) > 1
        if is_wide and kind.bandwidths is not None:
            strongest = self._strength_of(kind.asked(kind.bandwidths[-1], totals))
        steps = self._shared_worst(strongest) or self._worst.above(strongest)
        if steps is not None:
            return steps
        if is_whole:
            answer = question.ask(at_any)
            steps = [0], [(answer, question.alike(answer))]
        else:
            steps = self._ask_along(kind, totals)
        if len(steps[1]) == 1:
            self._remember(steps, weakest, strongest)
        return steps

    def _remember(self, steps: Steps, weakest: Strength | None, strongest: Strength | None) -> None:
        """Keep the one answer that all of a kind have, for whoever is stronger or weaker."""
        question, answer = self._question, steps[1][0][0]
        if question.best(answer):
            self._best.add(weakest, steps)
            if self._word is not None and weakest is not None:
                self._answers.best.add((self._word, weakest), self._burdens, steps)
        elif question.worst is not None and question.worst(answer):
            self._worst.add(strongest, steps)
            if self._word is not None and strongest is not None:
                self._answers.worst.add((self._word, strongest), self._turned, steps)

    def _shared_best(self, weakest: Strength | None) -> Steps | None:
        """The best answer, where a question that asks no less has it of a machine as strong."""
        if self._word is None or weakest is None:
            return None
        return self._answers.best.of((self._word, weakest), self._burdens)

    def _shared_worst(self, strongest: Strength | None) -> Steps | None:
        """The worst answer, where a question that asks no more has it of a machine as strong."""
        if self._word is None or strongest is None:
            return None
        return self._answers.worst.of((self._word, strongest), self._turned)

    def _strength_of(self, machine: Machine) -> Strength | None:
        return None if self._question.strength is None else self._question.strength(machine)

    def _from_the_middle(self, numbers: Iterable[int]) -> Sequence[int]:
        """Kinds in an order in which few of them have to be asked: the one of middle strength,
        those of the halves, and so on; those of which no strength is known first.
        """
        kinds = self._answers.population.kinds
        if self._question.strength is None:
            return list(numbers)
        unknown: list[int] = []
        ranked: list[tuple[Strength, int]] = []
        for number in numbers:
            try:
                strength = self._weakest_of(kinds[number], None)
            except DiffersError:
                strength = None
            if strength is None:
                unknown.append(number)
            else:
                ranked.append((strength, number))
        ranked.sort()
        order, parts = unknown, [(0, len(ranked))]
        for start, stop in parts:
            if start < stop:
                middle = (start + stop) // 2
                order.append(ranked[middle][1])
                parts += [(start, middle), (middle + 1, stop)]
        return order

    def _ask_along(self, kind: Kind, totals: Span | None) -> Steps:
        """Where the answer changes along the bandwidth: more of it makes no pace slower, so that
        where two have the same answer, all between have it.
        """

        def at(bandwidth: int | None) -> tuple[Any, Any]:
            answer = self._question.ask(kind.asked(bandwidth, totals))
            return answer, self._question.alike(answer)

        if kind.bandwidths is None:
            return [0], [at(None)]
        if not self._reads_bandwidth:
            try:
                return [0], [at(None)]
            except DiffersError:
                self._reads_bandwidth = True
        bandwidths = kind.bandwidths
        answers, starts = [at(bandwidths[0])], [bandwidths[0]]
        if self._question.best(answers[0][0]):
            return starts, answers
        last = at(bandwidths[-1])
        place = 0
        while answers[-1][1] != last[1]:
            low, high, beyond = place, len(bandwidths) - 1, last
            tries = Tried(low, high, self._guess(bandwidths, low, answers[-1][0], last[0]))
            while high - low > 1:
                middle = tries.next(low, high)
                answer = at(bandwidths[middle])
                if answer[1] == answers[-1][1]:
                    low = middle
                else:
                    high, beyond = middle, answer
            starts.append(bandwidths[high])
            answers.append(beyond)
            place = high
        return starts, answers

    def _guess(self, bandwidths: Sequence[int], low: int, slow: Any, fast: Any) -> int | None:
        """About where answers are no more the worst, between the one at the place `low` and the
        one at the most bandwidth; None where nothing tells.
        """
        lacking = self._question.lacking
        if lacking is None:
            return None
        ends = lacking(slow), lacking(fast)
        if ends[0] is None or ends[1] is None or ends[0] <= 0 or ends[1] >= 0:
            return None
        # linear in the time of a byte
        share = ends[0] / (ends[0] - ends[1])
        first, last = 1 / bandwidths[low], 1 / bandwidths[-1]
        return bisect_right(bandwidths, 1 / (first + share * (last - first)))


class Tried:
    """Places between two: from a guess on in steps that double, then by halves."""

    def __init__(self, low: int, high: int, guess: int | None) -> None:
        self._ends, self._guess, self._step = (low, high), guess, 1

    def next(self, low: int, high: int) -> int:
        """A place between these, which are what is left."""
        if self._guess is None:
            return (low + high) // 2
        first, last = self._ends
        if (low, high) == (first, last):
            place = self._guess
        elif low == first:
            place = high - self._step
        elif high == last:
            place = low + self._step
        else:
            return (low + high) // 2
        if (low, high) != (first, last):
            self._step *= 2
        return min(max(place, low + 1), high - 1)
