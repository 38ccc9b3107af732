"""Every model of a catalogue on one machine, best first: what `list` and `rank` show.

`judge_all` judges each. `first_rows` judges those that are shown and counts the others by
`verdict.bracket`, with the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace

from ..catalogue.index import Catalogue
from ..catalogue.offers import day_by_header
from ..core import dates
from ..core.errors import SpecError, WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.bracket import OPEN, RUNS, may_bracket, outlook
from ..verdict.defaults import follows_a_list, judge_for_machine
from ..verdict.question import ask
from ..verdict.record import Answer, Judged, Outcome, Question, Route
from .api_route import meets, offers_for
from .compiled import Questions
from .ranking import (
    Counts,
    Standings,
    best_key,
    count_rows,
    has_accelerator,
    is_too_slow,
    list_key,
    newest_day,
    reasons,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .ranking import Key


class Listing(Record):
    """The models of a catalogue judged for one machine, best first.

    `counts` is of all that were asked for, `answers` may be the first of them. `why` says in a few
    words, by id, why a model stands where it does. `ruled_out` is how many are left out because
    their license or openness is not what was asked. `as_of` is the day of the catalogue: of its
    prices or of its newest model, whichever is later; None where it has neither.
    """

    answers: tuple[Answer, ...]
    counts: Counts
    why: Mapping[str, str]
    ruled_out: int = 0
    as_of: str | None = None


def judge_all(
    catalogue: Catalogue, workload: Workload, machine: Machine, *, today: str | None = None
) -> Listing:
    """Every model of the catalogue on one machine, in the order of `advice.ranking`.

    Models that do not come as asked (another quantization, another runtime), and those whose
    license or openness is not what was asked, are left out.
    """
    ready = Questions.open(catalogue, workload, machine)
    return _judge_all(catalogue, workload, machine, ready, today or dates.utc_today())


def first_rows(catalogue: Catalogue, workload: Workload, machine: Machine, most: int) -> Listing:
    """As `judge_all`; where the other models can be counted without being judged one by one, the
    answers are the first `most` of those that run.
    """
    ready = Questions.open(catalogue, workload, machine)
    if ready is None or not ready.is_plain or not may_bracket(machine, workload):
        return _judge_all(catalogue, workload, machine, ready, dates.utc_today())
    ids = catalogue.ids()
    whole = {id for id in ids if ready.sketches.get(id) is None or ready.may_be_here(id)}
    sketches = {id: ready.sketches[id] for id in ids if id not in whole}
    left = outlook(sketches, ready.program, machine, is_too_slow)
    standings, beside = Standings(catalogue, ready.standings), has_accelerator(machine)

    def judged(ids: Iterable[str]) -> list[Answer]:
        return [
            _answer(question, judgement, judgement.route(offered=False))
            for question, judgement in _judgements(catalogue, ids, workload, machine, ready)
        ]

    apart = judged(sorted(whole))
    counts = count_rows(apart)
    runs = {id: slow for id, (worst, slow) in left.items() if worst == RUNS}
    if not runs:
        return _judge_all(catalogue, workload, machine, ready, dates.utc_today())
    # each by a place that is no worse than its own; once it is the best that is left it is judged
    waiting: list[tuple[Key, Answer | None]] = [
        (list_key(answer, standings, beside=beside), answer) for answer in apart if answer.can_run
    ]
    waiting += [(best_key(standings.of(id), id, is_slow=slow), None) for id, slow in runs.items()]
    heapify(waiting)
    answers: list[Answer] = []
    while waiting and len(answers) < most:
        key, known = waiting[0]
        if known is None:
            (answer,) = judged([str(key[-1])])
            heapreplace(waiting, (list_key(answer, standings, beside=beside), answer))
        else:
            answers.append(known)
            heappop(waiting)
    return Listing(
        answers=tuple(answers),
        counts=Counts(
            models=counts.models + len(left),
            running=counts.running + len(runs),
            slow=counts.slow + sum(runs.values()),
            unknown=counts.unknown + sum(worst == OPEN for worst, _ in left.values()),
        ),
        why=_reasons(answers, standings),
        as_of=_day_of(catalogue, [ready.newest]),
    )


def _judge_all(
    catalogue: Catalogue, workload: Workload, machine: Machine, ready: Questions | None, day: str
) -> Listing:
    if ready is None:
        catalogue.expect_all()
    judgements = _judgements(catalogue, catalogue.ids(), workload, machine, ready)
    # whether a model may stand in for another is known from its own findings
    met = {question.spec.id: meets(judged.findings) for question, judged in judgements}
    answers = []
    for question, judged in judgements:
        if judged.failed and _is_ruled_out(judged):
            continue
        offered: bool | None = False
        if judged.failed:
            own = met[question.spec.id]
            if ready is not None:
                offered = ready.offered(question.spec, own, met, workload, day)
            if ready is None or offered is None:
                offered = bool(offers_for(catalogue, question, judged, day, met))
        answers.append(_answer(question, judged, judged.route(bool(offered))))
    standings = Standings(catalogue, None if ready is None else ready.standings)
    beside = has_accelerator(machine)
    answers.sort(key=lambda answer: list_key(answer, standings, beside=beside))
    return Listing(
        answers=tuple(answers),
        counts=count_rows(answers),
        why=_reasons(answers, standings),
        ruled_out=len(judgements) - len(answers),
        as_of=_day_of(catalogue, _days(catalogue, judgements)),
    )


def _judgements(
    catalogue: Catalogue,
    ids: Iterable[str],
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
) -> list[tuple[Question, Judged]]:
    """Those of these models that come as asked, judged. The first refusal is raised where none
    does.
    """
    judgements: list[tuple[Question, Judged]] = []
    refused: WorkloadError | None = None
    for spec_id in ids:
        try:
            question = ready.question(spec_id, workload) if ready is not None else None
            # what follows the machine is asked of the whole spec
            if question is None or (
                machine.accelerators and follows_a_list(question.spec, workload)
            ):
                question = ask(catalogue.spec(spec_id), workload, catalogue, machine)
            judgements.append(judge_for_machine(question, workload, catalogue, machine))
        except SpecError:
            continue
        except WorkloadError as error:
            refused = refused or error
    if not judgements and refused is not None:
        raise refused
    return judgements


def _answer(question: Question, judged: Judged, route: Route) -> Answer:
    return Answer(
        model=question.spec,
        workload=question.workload,
        route=route,
        needs=judged.needs,
        speed=judged.speed,
        findings=judged.findings,
        here=question.here,
    )


def _is_ruled_out(judged: Judged) -> bool:
    return any(
        finding.check in ("license", "openness") and finding.outcome is Outcome.FAIL
        for finding in judged.findings
    )


def _reasons(answers: Iterable[Answer], standings: Standings) -> Mapping[str, str]:
    """By id why each that runs stands where it does."""
    return {
        answer.model.id: reasons(answer, standings.of(answer.model.id))
        for answer in answers
        if answer.can_run
    }


def _days(
    catalogue: Catalogue, judgements: Iterable[tuple[Question, Judged]]
) -> Iterator[str | None]:
    """On which the shipped models came out."""
    for question, _ in judgements:
        if not catalogue.has_own or catalogue.is_shipped(question.spec.id):
            yield question.spec.released


def _day_of(catalogue: Catalogue, days: Iterable[str | None]) -> str | None:
    """The latest of those days and the one that the shipped prices carry."""
    return newest_day((*days, day_by_header(catalogue.offers_path)))
