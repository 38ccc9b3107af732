"""What a policy asks of one machine -> verdicts: thousands of entries are shared out over the
processors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..catalogue.spec import ModelSpec
from ..core.errors import SelfhostError
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.findings import Finding
from ..verdict.record import Route, Verdict
from .judged_entries import Judge
from .policy import Wanted
from .workers import in_shares, processors

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # an entry, with the workload that holds on the machine
    Asked = tuple[Wanted, Workload]
    # of a verdict the model's id, the route, and its findings by their place in a list; None where
    # the entry was refused
    Packed = tuple[str, Route, tuple[int, ...]] | None

# fewer questions take less time than another process does
_LEAST_TO_SHARE = 500
# questions of one model that one process is given at a time
_AT_ONCE = 64


def verdicts_on(
    machine: Machine, questions: Sequence[Asked], judge: Judge, tell: Callable[[int], None]
) -> list[Verdict | SelfhostError]:
    """The verdict of each question on the machine, or why it is refused. `tell` is told the place
    of the one that is judged next.

    Of many questions a verdict has the model's id, the route and the findings: for the rest the
    question is judged once more, when somebody reads it.
    """

    def alone(place: int) -> Verdict | SelfhostError:
        try:
            return judge(*questions[place], machine)
        except SelfhostError as error:
            return error

    if len(questions) < _LEAST_TO_SHARE or processors() == 1:
        verdicts = []
        for place in range(len(questions)):
            tell(place)
            verdicts.append(alone(place))
        return verdicts
    # what a process has learned of a model serves the model's other entries
    order = sorted(range(len(questions)), key=lambda place: questions[place][0].name)
    shares = [order[start : start + _AT_ONCE] for start in range(0, len(order), _AT_ONCE)]
    judged = in_shares(
        len(shares),
        lambda number: _packed([alone(place) for place in shares[number]]),
        lambda number: tell(number * _AT_ONCE),
    )
    by_place: dict[int, Verdict | SelfhostError] = {}
    for places, (findings, packed) in zip(shares, judged, strict=True):
        shared = [
            Finding.partly(dict(zip(Finding._fields, values, strict=True))) for values in findings
        ]
        for place, each in zip(places, packed, strict=True):
            # an error is no thing to send from one process to another
            by_place[place] = (
                alone(place)
                if each is None
                else _unpacked(each, shared, lambda place=place: judge(*questions[place], machine))  # type: ignore[misc]
            )
    return [by_place[place] for place in range(len(questions))]


def _packed(
    verdicts: Sequence[Verdict | SelfhostError],
) -> tuple[list[tuple[Any, ...]], list[Packed]]:
    """Verdicts as one process can send them to another, after the findings that they share."""
    numbers: dict[tuple[Any, ...], int] = {}
    packed: list[Packed] = []
    for verdict in verdicts:
        if isinstance(verdict, SelfhostError):
            packed.append(None)
            continue
        values = [type(finding)._values(finding) for finding in verdict.findings]
        own = tuple([numbers.setdefault(each, len(numbers)) for each in values])
        packed.append((verdict.model.id, verdict.route, own))
    return list(numbers), packed


def _unpacked(
    packed: tuple[str, Route, tuple[int, ...]],
    findings: Sequence[Finding],
    whole: Callable[[], Verdict],
) -> Verdict:
    model_id, route, own = packed
    return Verdict.partly(
        {
            "model": ModelSpec.partly({"id": model_id}, lambda: whole().model),
            "route": route,
            "findings": tuple([findings[number] for number in own]),
        },
        whole,
    )
