"""What a policy asks of one machine -> verdicts: thousands of entries are shared out over the
processors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain

from ..catalogue.spec import ModelSpec
from ..core.errors import SelfhostError, UnexplainedNameError
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.findings import Finding, Mark
from ..verdict.record import Route, Verdict
from .brackets import JUDGED_AS, by_brackets, families_in_full, families_of
from .judged_entries import Judge
from .workers import in_shares

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Literal, TypeVar

    from .brackets import Answer, Asked, Short

    T = TypeVar("T")
    # of how many of many verdicts the findings are read: "failing" of those that are not `local`
    Extent = Literal["all", "failing", "few"]
    # a verdict, and the marks of its findings
    Marked = tuple[Verdict, tuple[Mark, ...]]
    # the values of marks, and of each verdict what is kept of it, with the places of its marks;
    # as `brackets.Answer` where the entry was refused
    Kept = tuple[str, Route, tuple[str | None, ...], tuple[int, ...]]
    Packed = tuple[list[tuple[Any, ...]], list[Kept | UnexplainedNameError | None]]

# fewer questions take less time than another process does
_LEAST_TO_SHARE = 500
# questions of one model, and families of them, that one process is given at a time
_AT_ONCE = 64
_FAMILIES_AT_ONCE = 16


def verdicts_on(
    machine: Machine,
    questions: Sequence[Asked],
    judge: Judge,
    tell: Callable[[int], None],
    *,
    in_full: Extent,
) -> list[Marked | SelfhostError]:
    """The verdict of each question on the machine, or why it is refused. `tell` is told the place
    of the one that is judged next.

    Of many questions a verdict has the model's id, the route and, where it is `in_full`, the
    findings: for the rest the question is judged once more, when somebody reads it. A question that
    is not in full and lies between two that get the same marks is not judged before that.
    """

    judging = _Judging(machine, questions, judge)
    if len(questions) < _LEAST_TO_SHARE:
        answers = []
        for place in range(len(questions)):
            tell(place)
            answers.append(judging.answer(place))
        return answers
    # what is read for the first question the other processes find read
    judging.alone(0)
    everywhere = range(len(questions))
    if in_full == "all":
        by_place = judging.in_full(everywhere, tell)
    else:
        by_place = judging.in_brackets(tell)
    if in_full == "failing":
        failing = [place for place in everywhere if _fails(by_place[place])]
        by_place |= judging.in_full(failing, tell)
    return [by_place[place] for place in everywhere]


def _fails(answer: Marked | SelfhostError) -> bool:
    return not isinstance(answer, SelfhostError) and answer[0].route is not Route.LOCAL


class _Judging:
    """Questions on one machine."""

    def __init__(self, machine: Machine, questions: Sequence[Asked], judge: Judge) -> None:
        self._machine, self._questions, self._judge = machine, questions, judge

    def alone(self, place: int) -> Verdict | SelfhostError:
        """One question, judged."""
        try:
            return self._judge(*self._questions[place], self._machine)
        except SelfhostError as error:
            return error

    def answer(self, place: int, short: Short | None = None) -> Marked | SelfhostError:
        """One answer, of which `short` is known."""
        if short is not None:
            return unpacked(short, lambda: _sure(self.alone(place))), short[-1]
        verdict = self.alone(place)
        return verdict if isinstance(verdict, SelfhostError) else (verdict, verdict.findings)

    def in_full(
        self, places: Iterable[int], tell: Callable[[int], None]
    ) -> dict[int, Marked | SelfhostError]:
        """By place, the answers with their findings."""
        # what a process has learned of a model serves the model's other entries
        order = list(chain.from_iterable(families_in_full(self._questions, places)))
        parts = [families_in_full(self._questions, share) for share in _batches(order, _AT_ONCE)]
        return self._shared_out(
            [list(chain(*families)) for families in parts],
            lambda number: by_brackets(
                parts[number], self._questions, self._judge, self._machine, in_full=True
            ),
            Finding,
            tell,
        )

    def in_brackets(self, tell: Callable[[int], None]) -> dict[int, Marked | SelfhostError]:
        """By place, the answers to all questions, with marks alone."""
        families = _batches(families_of(self._questions), _FAMILIES_AT_ONCE)
        return self._shared_out(
            [list(chain(*group)) for group in families],
            lambda number: by_brackets(
                families[number], self._questions, self._judge, self._machine
            ),
            Mark,
            tell,
        )

    def _shared_out(
        self,
        shares: Sequence[Sequence[int]],
        work: Callable[[int], Sequence[Answer]],
        kind: type[Mark],
        tell: Callable[[int], None],
    ) -> dict[int, Marked | SelfhostError]:
        """The answers by place, whichever process has given them. `work` gives those of a share,
        with marks of that kind.
        """
        starts = [0, *accumulate(map(len, shares))]
        judged = in_shares(
            len(shares),
            lambda number: _packed(work(number)),
            lambda number: tell(starts[number]),
        )
        by_place: dict[int, Marked | SelfhostError] = {}
        for places, (values, packed) in zip(shares, judged, strict=True):
            marks = [kind.partly(dict(zip(kind._fields, each, strict=True))) for each in values]
            for place, each in zip(places, packed, strict=True):
                if isinstance(each, UnexplainedNameError):
                    by_place[place] = each
                elif each is None:
                    # other errors are no thing to send from one process to another
                    by_place[place] = self.answer(place)
                else:
                    own = tuple([marks[number] for number in each[-1]])
                    by_place[place] = self.answer(place, (*each[:-1], own))
        return by_place


def _batches(values: Sequence[T], most: int) -> list[Sequence[T]]:
    return [values[start : start + most] for start in range(0, len(values), most)]


def _packed(answers: Sequence[Answer]) -> Packed:
    """Answers as one process can send them to another, after the marks that they share."""
    numbers: dict[tuple[Any, ...], int] = {}
    # answers share most of their marks
    number_by_id: dict[int, int] = {}
    packed: list[Kept | UnexplainedNameError | None] = []
    for answer in answers:
        if answer is None or isinstance(answer, UnexplainedNameError):
            packed.append(answer)
            continue
        for mark in answer[-1]:
            if id(mark) not in number_by_id:
                values = type(mark)._values(mark)
                number_by_id[id(mark)] = numbers.setdefault(values, len(numbers))
        packed.append((*answer[:-1], tuple([number_by_id[id(mark)] for mark in answer[-1]])))
    return list(numbers), packed


def _sure(verdict: Verdict | SelfhostError) -> Verdict:
    """Of a question that was answered before."""
    if isinstance(verdict, SelfhostError):
        raise verdict
    return verdict


def unpacked(short: Short, whole: Callable[[], Verdict]) -> Verdict:
    """A verdict of which no more is known than that, unless somebody reads more: then `whole()`."""
    model_id, route, judged_as, marks = short
    fields: dict[str, Any] = {
        "model": ModelSpec.partly({"id": model_id}, lambda: whole().model),
        "route": route,
        "workload": Workload.partly(
            dict(zip(JUDGED_AS, judged_as, strict=True)), lambda: whole().workload
        ),
    }
    if marks and isinstance(marks[0], Finding):
        fields["findings"] = marks
    return Verdict.partly(fields, whole)
