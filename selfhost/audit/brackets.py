"""Entries of a policy that differ in context and lowest pace alone, judged by a few of them.

The more of either is asked, the less a machine does: no finding gets better, and none that has left
a code comes back to it. So what lies between two questions that get the same marks gets them too.
No figure of a finding falls and rises again either: memory is taken in steps of many tokens, and
between two contexts of one step only what is said of the context itself differs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from ..core.errors import SelfhostError, UnexplainedNameError
from ..machine.record import Machine
from ..verdict.findings import Finding, Mark, context_check
from ..verdict.record import Verdict
from .judged_entries import Judge

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..core.workload import Workload
    from ..verdict.record import Route
    from .policy import Wanted

    # an entry, with the workload that holds on the machine
    Asked = tuple[Wanted, Workload]
    # of a verdict the model's id, the route, what is loaded by what, and the marks of its findings
    Short = tuple[str, Route, tuple[str | None, ...], tuple[Mark, ...]]
    # that of an entry: None where it is refused, but for a name of which no more is said
    Answer = Short | UnexplainedNameError | None
    # the context and the lowest pace of a question, and its place
    Point = tuple[int, float, int]
    # points in their order, and the ends of their contexts
    Box = tuple[Sequence[Point], int, int]

# of the workload that was judged, what is loaded by what
JUDGED_AS = ("runtime", "format", "quantization")
_AMOUNTS = ("context_tokens", "min_tokens_per_second")


def families_of(
    questions: Sequence[Asked],
    places: Iterable[int] | None = None,
    amounts: tuple[str, ...] = _AMOUNTS,
) -> list[list[int]]:
    """The places of the questions, or those of them, by what else than these amounts is asked,
    models in order of their names.
    """
    families: dict[object, list[int]] = {}
    for place in range(len(questions)) if places is None else places:
        wanted, workload = questions[place]
        is_stated = [getattr(workload, name) is not None for name in amounts]
        key = wanted.name, wanted.members, wanted.require_runtime, *is_stated
        families.setdefault((key, workload.all_but(amounts)), []).append(place)
    return sorted(families.values(), key=lambda places: questions[places[0]][0].name)


def families_in_full(questions: Sequence[Asked], places: Iterable[int]) -> list[list[int]]:
    """As `families_of`, by what else than context alone: the figures of two paces differ. Each in
    the order of its contexts.
    """
    families = families_of(questions, places, ("context_tokens",))
    return [
        sorted(family, key=lambda place: questions[place][1].context_tokens or 0)
        for family in families
    ]


def by_brackets(
    families: Iterable[Sequence[int]],
    questions: Sequence[Asked],
    judge: Judge,
    machine: Machine,
    *,
    in_full: bool = False,
) -> list[Answer]:
    """The answer to each question of each family, in their order. With `in_full` the marks are the
    findings, and the families those of `families_in_full`.
    """
    kind = _FamilyInFull if in_full else _Family
    answers: list[Answer] = []
    for places in families:
        by_place = kind(places, questions, judge, machine).answers()
        answers += [by_place[place] for place in places]
    return answers


def judged_as(workload: Workload | None) -> tuple[str | None, ...]:
    """What of a workload that was judged is kept, in the order of JUDGED_AS."""
    return tuple([getattr(workload, name, None) for name in JUDGED_AS])


def _short(verdict: Verdict, marks: tuple[Mark, ...]) -> Short:
    return verdict.model.id, verdict.route, judged_as(verdict.workload), marks


class _Family:
    """One model on one machine."""

    def __init__(
        self, places: Sequence[int], questions: Sequence[Asked], judge: Judge, machine: Machine
    ) -> None:
        self._wanted, self._workload = questions[places[0]]
        self._judge, self._machine = judge, machine
        self._points: list[Point] = []
        for place in places:
            amounts = [getattr(questions[place][1], name) for name in _AMOUNTS]
            tokens, pace = (0 if amount is None else amount for amount in amounts)
            self._points.append((tokens, pace, place))
        self._known: dict[tuple[int, float], Answer] = {}

    def answers(self) -> dict[int, Answer]:
        """By place."""
        by_place: dict[int, Answer] = {}
        tokens = [point[0] for point in self._points]
        boxes: list[Box] = [(sorted(self._points), min(tokens), max(tokens))]
        while boxes:
            points, fewest, most = boxes.pop()
            paces = sorted({pace for _, pace, _ in points})
            least = self._answer(fewest, paces[0])
            if (
                isinstance(least, UnexplainedNameError)
                or (fewest, paces[0]) == (most, paces[-1])
                or (least is not None and self._is_same(least, self._answer(most, paces[-1])))
            ):
                by_place.update(
                    (place, least if tokens == fewest else self._at(least, tokens))
                    for tokens, _, place in points
                )
            elif len(paces) > 1:
                # another pace takes less to judge than another context
                middle = paces[len(paces) // 2]
                slower = [point for point in points if point[1] < middle]
                faster = [point for point in points if point[1] >= middle]
                boxes += [(slower, fewest, most), (faster, fewest, most)]
            else:
                boxes += _halves(points)
        return by_place

    def _answer(self, context_tokens: int, pace: float) -> Answer:
        key = context_tokens, pace
        if key not in self._known:
            amounts = dict(zip(_AMOUNTS, key, strict=True))
            stated = {
                name: amount
                for name, amount in amounts.items()
                if getattr(self._workload, name) is not None
            }
            try:
                verdict = self._judge(self._wanted, self._workload.replace(**stated), self._machine)
                self._known[key] = _short(verdict, self._marks(verdict))
            except SelfhostError as error:
                self._known[key] = error if isinstance(error, UnexplainedNameError) else None
        return self._known[key]

    def _marks(self, verdict: Verdict) -> tuple[Mark, ...]:
        """What is kept of the findings."""
        return tuple(
            [
                Mark(check=each.check, outcome=each.outcome, code=each.code)
                for each in verdict.findings
            ]
        )

    def _is_same(self, least: Short, most: Answer) -> bool:
        """Whether all between two questions get the answer to the first."""
        return least == most

    def _at(self, answer: Answer, context_tokens: int) -> Answer:
        """The answer, of another context for which it holds."""
        return answer


class _FamilyInFull(_Family):
    """One model on one machine, at one pace."""

    _last: Verdict

    def _marks(self, verdict: Verdict) -> tuple[Mark, ...]:
        self._last = verdict
        return verdict.findings

    def _is_same(self, least: Short, most: Answer) -> bool:
        if not isinstance(most, tuple) or least[:-1] != most[:-1]:
            return False
        (least_findings, others), (most_findings, others_of_most) = map(
            _parted, (least[-1], most[-1])
        )
        # where more than the model and the context decide, what is said between is not known
        return others == others_of_most and all(
            isinstance(mark, Finding)
            and isinstance(mark.needs, int)
            and mark == self._of_context(mark.needs)
            for mark in (*least_findings, *most_findings)
        )

    def _at(self, answer: Answer, context_tokens: int) -> Answer:
        if not isinstance(answer, tuple):
            return answer
        own = [
            (mark.check == "context" and self._of_context(context_tokens)) or mark
            for mark in answer[-1]
        ]
        return (*answer[:-1], tuple(own))

    def _of_context(self, context_tokens: int) -> Finding | None:
        model, workload = self._last.model, self._last.workload
        asked = workload.replace(context_tokens=context_tokens)
        return context_check(model, asked, context_asked=True)


def _parted(marks: Sequence[Mark]) -> tuple[list[Mark], list[Mark]]:
    """What is said of the context, and the rest."""
    of_context = [mark for mark in marks if mark.check == "context"]
    return of_context, [mark for mark in marks if mark.check != "context"]


def _halves(points: Sequence[Point]) -> list[Box]:
    """Points cut between two contexts."""
    tokens = sorted({point[0] for point in points})
    cut = bisect_left(points, (tokens[len(tokens) // 2],))
    parts = [part for part in (points[:cut], points[cut:]) if part]
    return [(part, part[0][0], part[-1][0]) for part in parts]
