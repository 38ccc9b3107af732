"""What a question about pace is answered by each kind of machine, and at which bandwidths.

A pace depends on a machine's kind and on the bandwidth of its memory, and on no other number in
which machines of one kind differ: a `Kind`'s stand-in has none but these. So the rules of pace are
asked once for each kind and each end of its bandwidths, however many machines there are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from ..machine.record import Machine
from .population import BANDWIDTH, DiffersError, Kind, Population, lowest, members

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # of a kind the bandwidths from which on an answer holds, ascending, each with that answer and
    # what of it counts
    Steps = tuple[list[int], list[tuple[Any, Any]]]

# answers of kinds, and questions, that are kept: beyond, all are forgotten together. A question
# holds sets of machines
_MOST_STEPS = 30_000
_MOST_QUESTIONS = 2_000


class Question:
    """What is asked of machines: see `Machine.answer`."""

    __slots__ = ("alike", "ask", "best", "key")

    def __init__(
        self,
        ask: Callable[[Machine], Any],
        key: Callable[[Machine], tuple[bool, Any]],
        alike: Callable[[Any], Any],
        best: Callable[[Any], bool],
    ) -> None:
        self.ask, self.key, self.alike, self.best = ask, key, alike, best


class Answers:
    """The answers of all questions so far, which models that take as long as others share."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.by_key: dict[Any, Asked] = {}
        self.steps: dict[Any, Steps] = {}

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
        # until an answer of one kind was seen to depend on it
        self._reads_bandwidth = False
        # kinds that were asked; by what counts of an answer the kinds that give it, and of those
        # the machines that give another one
        self._known = 0
        self._kinds: dict[Any, int] = {}
        self._others: dict[Any, int] = {}

    def answer_of(
        self, number: int, bandwidth: int | None, total: int | None = None
    ) -> tuple[Any, Any]:
        """What a machine of that kind answers, and what of it counts. Without a total this raises
        `DiffersError` where it depends on that, and machines of the kind differ in it.
        """
        starts, answers = self._steps_of(number, total)
        if bandwidth is None:
            return answers[0]
        return answers[max(0, bisect_right(starts, bandwidth) - 1)]

    def bounds_of(self, number: int, bandwidth: int | None, total: int | None) -> list[int]:
        """The bandwidths between which that answer holds: from the one, and below the other."""
        starts, _ = self._steps_of(number, total)
        if bandwidth is None:
            return []
        place = bisect_right(starts, bandwidth)
        return starts[max(0, place - 1) : place + 1]

    def alike(self, said: Any, kinds: int) -> tuple[int, int]:
        """Of those kinds, the ones that say so, and among their machines those that do not."""
        for number in members(kinds & ~self._known):
            self._learn(number)
        self._known |= kinds
        return self._kinds.get(said, 0), self._others.get(said, 0)

    def short_of(self, number: int) -> float:
        """What a machine lacks of the pace that is asked for."""
        kind_number, _ = self._answers.population.kind_of(number)
        kind = self._answers.population.kinds[kind_number]
        bandwidth = (
            self._answers.population.bandwidth_of(number) if BANDWIDTH in kind.columns else None
        )
        total = None
        if kind.varies_in_total:
            total = self._answers.population.value_of(number, ("memory_total_bytes",))
        finding = self._question.ask(kind.asked(bandwidth, total))[1]
        return 0.0 if finding is None else finding.short or 0.0

    def hardest_hit(self, bits: int) -> tuple[float, int]:
        """The most that a machine of a set lacks of the pace, and the first that lacks as much."""
        population = self._answers.population
        hit: list[tuple[float, int]] = []
        for number, kind in enumerate(population.kinds):
            common = kind.bits & bits
            if common:
                slowest = lowest(common)
                if BANDWIDTH in kind.columns:
                    slowest = population.slowest_of(number, common)
                hit.append((-self.short_of(slowest), slowest))
        short, first = min(hit)
        return -short, first

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
                        own &= ~cut.at_least(starts[place + 1])
            self._kinds[said] = self._kinds.get(said, 0) | 1 << number
            self._others[said] = self._others.get(said, 0) | kind.bits & ~own

    def _steps_of(self, number: int, total: int | None) -> Steps:
        kind = self._answers.population.kinds[number]
        at_any = kind.asked(kind.slowest, total)
        is_whole, own = self._question.key(at_any)
        key = own if is_whole else (number, total, own)
        steps = self._answers.steps.get(key)
        if steps is None:
            if is_whole:
                answer = self._question.ask(at_any)
                steps = [0], [(answer, self._question.alike(answer))]
            else:
                steps = self._ask_along(kind, total)
            self._answers.steps[key] = steps
        return steps

    def _ask_along(self, kind: Kind, total: int | None) -> Steps:
        """Where the answer changes along the bandwidth: more of it makes no pace slower, so that
        where two have the same answer, all between have it.
        """

        def at(bandwidth: int | None) -> tuple[Any, Any]:
            answer = self._question.ask(kind.asked(bandwidth, total))
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
            while high - low > 1:
                middle = (low + high) // 2
                tried = at(bandwidths[middle])
                if tried[1] == answers[-1][1]:
                    low = middle
                else:
                    high, beyond = middle, tried
            starts.append(bandwidths[high])
            answers.append(beyond)
            place = high
        return starts, answers
