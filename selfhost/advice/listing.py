"""Every model of a catalogue on one machine, best first: what `list` and `rank` show.

`judge_all` judges each. `first_rows` judges those that are shown and counts the others by
`verdict.bracket`, with the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace

from ..catalogue.index import Catalogue
from ..core import dates
from ..core.errors import SpecError, WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.bracket import OPEN, RUNS, at_context, may_bracket, outlook, paces_of_text
from ..verdict.defaults import follows_a_list, judge_for_machine, suit
from ..verdict.findings.speed import is_too_slow
from ..verdict.judging import judge, model_findings
from ..verdict.question import ask
from ..verdict.record import Answer, Judged, Outcome, Question, answer_for
from .api_route import meets, offers_for
from .compiled import Questions
from .ranking import (
    Counts,
    Standings,
    best_key,
    count_rows,
    day_of,
    list_key,
    reasons,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..verdict.findings import Finding
    from ..verdict.speed import Speed
    from .ranking import Key


class Listing(Record):
    """The models of a catalogue judged for one machine, best first.

    `counts` is of all that were asked for, `answers` may be the first of them. `why` says in a few
    words, by id, why a model stands where it does. `ruled_out` is how many of the catalogue are
    left out because their license or openness is not what was asked. `as_of` is the day of the
    catalogue: of its prices or of its newest model, whichever is later; None where it has neither.
    """

    answers: tuple[Answer, ...]
    counts: Counts
    why: Mapping[str, str]
    ruled_out: int = 0
    as_of: str | None = None


def judge_all(
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    *,
    today: str | None = None,
    ready: Questions | None = None,
    use: str | None = None,
    modality: str | None = None,
    ids: Collection[str] | None = None,
) -> Listing:
    """Every model of the catalogue on one machine, in the order of `advice.ranking` for that use
    and modality.

    Models that do not come as asked (another quantization, another runtime), and those whose
    license or openness is not what was asked, are left out. `ready` are the compiled questions,
    where they are open already. Only `ids` are judged, sorted, where they are given.
    """
    ready = ready or Questions.open(catalogue, workload, machine)
    day = today or dates.utc_today()
    return _judge_all(catalogue, workload, machine, ready, day, use=use, modality=modality, ids=ids)


def first_rows(
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    most: int,
    ready: Questions | None = None,
) -> Listing:
    """As `judge_all`, with as answers but the first `most` of those that run; where none does, all.

    The others are counted: where the machine has no accelerator without being judged one by one,
    else as their own defaults are judged.
    """
    ready = ready or Questions.open(catalogue, workload, machine)
    if ready is not None and ready.is_plain and may_bracket(machine, workload):
        counted = _bracketed(catalogue, workload, machine, ready)
    else:
        counted = _judged_by_default(catalogue, workload, machine, ready)
    if not counted.counts.running:
        return _judge_all(catalogue, workload, machine, ready, dates.utc_today())
    standings = Standings.of_catalogue(catalogue, None if ready is None else ready.standings)
    # each by a place that is no worse than its own; once it is the best that is left it is judged
    waiting: list[tuple[Key, Answer | None]] = [
        (list_key(answer, standings), answer) for answer in counted.answers if answer.can_run
    ]
    waiting += [
        (best_key(standings.of(id), id, is_slow=slow), None) for id, slow in counted.running.items()
    ]
    heapify(waiting)
    answers: list[Answer] = []
    paced: set[str] = set()
    while waiting and len(answers) < most:
        key, judged = waiting[0]
        id = str(key[-1])
        if judged is not None:
            answers.append(judged)
            heappop(waiting)
        elif id not in paced and (pace := counted.pace(id)) is not None:
            # its pace is known much sooner than all that is found of it
            slow = counted.running[id]
            place = best_key(standings.of(id), id, is_slow=slow, pace=pace)
            heapreplace(waiting, (place, None))
            paced.add(id)
        else:
            answer = counted.judged(id)
            heapreplace(waiting, (list_key(answer, standings), answer))
    return Listing(
        answers=tuple(answers),
        counts=counted.counts,
        why=_reasons(answers, standings),
        ruled_out=counted.ruled_out,
        as_of=_as_of(catalogue, ready),
    )


class _Counted(Record):
    """Models of which it is known how many run: `answers` are judged, of those in `running` it is
    known that they run, and whether too slowly. `judged` gives the answer of one of them, `pace`
    its pace alone, None where that takes as long to tell.
    """

    counts: Counts
    answers: Sequence[Answer]
    running: Mapping[str, bool]
    judged: Callable[[str], Answer]
    pace: Callable[[str], Speed | None]
    ruled_out: int = 0


# nothing better is asked for
_RUNS = RUNS, False


def _way(name: str) -> tuple[str, int]:
    """The id and the place of a way of `Questions.other_sketches`, by its name there."""
    id, _, place = name.rpartition(" ")
    return id, int(place)


def _bracketed(
    catalogue: Catalogue, workload: Workload, machine: Machine, ready: Questions
) -> _Counted:
    """By `verdict.bracket`, but for models whose files may be here or whose sketch lacks a part."""
    ids = catalogue.ids()
    left = outlook(ready.sketches, ready.program, machine, is_too_slow)
    # what takes too much by its own default may run in another type or program
    others = outlook(
        ready.other_sketches,
        ready.program,
        machine,
        is_too_slow,
        lambda name: left.get(_way(name)[0], _RUNS)[0] != RUNS,
    )
    for name in sorted(others, key=_way):
        id, _ = _way(name)
        if others[name][0] < left[id][0]:
            left[id] = others[name]
    tokens = workload.context_tokens
    if tokens is not None:
        longer = ready.longer_sketches(tokens)
        if_longer = {} if longer is None else outlook(longer, ready.program, machine, is_too_slow)
        there = {id for id, (worst, _) in if_longer.items() if worst == RUNS}
        left = at_context(left, tokens, ready.reaches, there.__contains__)
    whole = {id for id in ids if id not in left or ready.may_be_here(id)}
    left = {id: left[id] for id in ids if id not in whole}

    def judged(ids: Iterable[str]) -> list[Answer]:
        questions = _questions(catalogue, ids, workload, machine, ready)
        judgements = (
            judge_for_machine(question, workload, catalogue, machine) for question in questions
        )
        return [_local(question, judged) for question, judged in judgements]

    apart = judged(sorted(whole))
    counts = count_rows(apart)
    running = {id: slow for id, (worst, slow) in left.items() if worst == RUNS}
    return _Counted(
        counts=Counts(
            models=counts.models + len(left),
            running=counts.running + len(running),
            slow=counts.slow + sum(running.values()),
            unknown=counts.unknown + sum(worst == OPEN for worst, _ in left.values()),
        ),
        answers=apart,
        running=running,
        judged=lambda id: judged([id])[0],
        pace=paces_of_text(ready.sketches, ready.program, machine),
    )


def _judged_by_default(
    catalogue: Catalogue, workload: Workload, machine: Machine, ready: Questions | None
) -> _Counted:
    """By judging each as its own default, which runs where what suits the machine runs."""
    answers: list[Answer] = []
    to_suit: dict[str, tuple[Question, Judged]] = {}
    ruled_out = 0
    # a program that computes on several at once may be as fast as is wanted where the usual is not
    has_several = len(machine.accelerators or ()) > 1
    ids = catalogue.ids()
    running, beyond = _told_at_once(ids, workload, machine, ready, has_several=has_several)
    if running or beyond:
        ids = tuple([id for id in ids if id not in running and id not in beyond])
    for question in _questions(catalogue, ids, workload, machine, ready):
        spec, judged = question.spec, judge(question, machine)
        slow = is_too_slow(judged, question.workload.min_tokens_per_second)
        stays = not machine.accelerators or not judged.fits
        if follows_a_list(spec, workload) or (has_several and slow) or stays:
            suited, judged = suit(question, judged, workload, catalogue, machine)
            if judged.failed and _is_ruled_out(judged.findings):
                ruled_out += 1
            else:
                answers.append(_local(suited, judged))
        else:
            running[spec.id], to_suit[spec.id] = slow, (question, judged)
    counts = count_rows(answers)

    def answer(id: str) -> Answer:
        if id not in to_suit:
            question = next(_questions(catalogue, [id], workload, machine, ready))
            to_suit[id] = question, judge(question, machine)
        return _local(*suit(*to_suit[id], workload, catalogue, machine))

    return _Counted(
        counts=counts.replace(
            models=counts.models + len(running) + len(beyond),
            running=counts.running + len(running),
            slow=counts.slow + sum(running.values()),
        ),
        answers=answers,
        running=running,
        judged=answer,
        pace=lambda _: None,
        ruled_out=ruled_out,
    )


def _told_at_once(
    ids: Sequence[str],
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
    *,
    has_several: bool,
) -> tuple[dict[str, bool], set[str]]:
    """Models that the compiled questions alone tell to run, each with whether it is too slow, and
    those that were not trained for such a context. `has_several`: more than one accelerator.
    """
    if ready is None or not ready.is_plain or workload.prompt_tokens:
        return {}, set()
    whole = _held_whole(machine, ready)
    running = {id: whole[id] for id in ids if id in whole and not (whole[id] and has_several)}
    return running, ready.beyond(workload.context_tokens).intersection(ids)


def _held_whole(machine: Machine, ready: Questions) -> Mapping[str, bool]:
    """By id whether it is too slow, of models of text that surely run held whole by GPUs, and whose
    files are not here.
    """
    if not machine.accelerators:
        return {}
    from ..verdict.held_whole import running_whole

    groups = ready.held_whole
    running = running_whole(groups, ready.program, machine, is_too_slow)
    return {id: slow for id, slow in running.items() if not ready.may_be_here(id)}


def _judge_all(
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
    day: str,
    *,
    use: str | None = None,
    modality: str | None = None,
    ids: Collection[str] | None = None,
) -> Listing:
    wanted = catalogue.ids() if ids is None else ids
    judgements = [
        judge_for_machine(question, workload, catalogue, machine)
        for question in _questions(catalogue, wanted, workload, machine, ready)
    ]
    # whether a model may stand in for another is known from its own findings
    about = {
        **_findings_of_others(catalogue, wanted, workload, machine, ready),
        **{question.spec.id: judged.findings for question, judged in judgements},
    }
    met = {id: meets(findings) for id, findings in about.items()}
    answers = []
    for question, judged in judgements:
        if judged.failed and _is_ruled_out(judged.findings):
            continue
        offered: bool | None = False
        if judged.failed:
            own = met[question.spec.id]
            if ready is not None:
                offered = ready.offered(question.spec, own, met, workload, day)
            if ready is None or offered is None:
                offered = bool(offers_for(catalogue, question, judged, day, met))
        route = judged.route(bool(offered))
        answers.append(answer_for(question, judged, route))
    standings = Standings.of_catalogue(catalogue, None if ready is None else ready.standings)
    answers.sort(key=lambda answer: list_key(answer, standings, use=use, modality=modality))
    return Listing(
        answers=tuple(answers),
        counts=count_rows(answers),
        why=_reasons(answers, standings),
        ruled_out=sum(map(_is_ruled_out, about.values())),
        as_of=_as_of(catalogue, ready),
    )


def _findings_of_others(
    catalogue: Catalogue,
    ids: Collection[str],
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
) -> Mapping[str, Sequence[Finding]]:
    """By id what is found of the models beside `ids` themselves, where a license or openness was
    asked for, which may rule them out. Raises as `_questions`, where no model comes as asked.
    """
    asks_conditions = workload.license is not None or any(
        (workload.commercial, workload.modify, workload.auditable)
    )
    others = set(catalogue.ids()).difference(ids) if asks_conditions else ()
    if not others:
        return {}
    return {
        question.spec.id: model_findings(question)
        for question in _questions(catalogue, sorted(others), workload, machine, ready)
    }


def _questions(
    catalogue: Catalogue,
    ids: Iterable[str],
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
) -> Iterator[Question]:
    """What is asked of those of these models that come as asked, by their own defaults. The first
    refusal, of one of these where there is any, is raised where no model of the catalogue does.
    """
    none_comes = True
    refused: WorkloadError | None = None
    for question in _as_asked(catalogue, ids, workload, machine, ready):
        if isinstance(question, Question):
            none_comes = False
            yield question
        else:
            refused = refused or question
    if not none_comes:
        return
    for question in _as_asked(catalogue, catalogue.ids(), workload, machine, ready):
        if isinstance(question, Question):
            return
        refused = refused or question
    if refused is not None:
        raise refused


def _as_asked(
    catalogue: Catalogue,
    ids: Iterable[str],
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
) -> Iterator[Question | WorkloadError]:
    """Of each of these models the question, or why it does not come as asked; nothing of one whose
    spec is faulty.
    """
    for spec_id in ids:
        try:
            question = ready.question(spec_id, workload) if ready is not None else None
            if question is None:
                question = ask(catalogue.spec(spec_id), workload, catalogue, machine)
            yield question
        except SpecError:
            continue
        except WorkloadError as error:
            yield error


def refusals(
    catalogue: Catalogue, ids: Iterable[str], workload: Workload, machine: Machine
) -> Mapping[str, WorkloadError]:
    """By id why a model does not come as asked; nothing of those that do."""
    questions = {id: next(_as_asked(catalogue, [id], workload, machine, None), None) for id in ids}
    return {id: each for id, each in questions.items() if isinstance(each, WorkloadError)}


def _local(question: Question, judged: Judged) -> Answer:
    """Where nobody looks at what an API offers."""
    return answer_for(question, judged, judged.route(offered=False))


def _is_ruled_out(findings: Iterable[Finding]) -> bool:
    return any(
        finding.check in ("license", "openness") and finding.outcome is Outcome.FAIL
        for finding in findings
    )


def _reasons(answers: Iterable[Answer], standings: Standings) -> Mapping[str, str]:
    """By id why each that runs stands where it does."""
    return {
        answer.model.id: reasons(answer, standings.of(answer.model.id))
        for answer in answers
        if answer.can_run
    }


def _as_of(catalogue: Catalogue, ready: Questions | None) -> str | None:
    """The day of the catalogue, by the shipped models alone."""
    if ready is not None and not catalogue.has_own:
        return ready.as_of
    return day_of(
        catalogue,
        [
            outline.released
            for outline in catalogue.outlines()
            if not catalogue.has_own or catalogue.is_shipped(outline.id)
        ],
    )
