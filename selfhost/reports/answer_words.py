"""The answer in words: whether a model runs on a machine, how well, and why not.

A `Verdict` goes in, short texts come out, which every screen shares. `words.py` has the words for
the machine, the judged settings and the pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING

from ..core import units
from ..judge.checks import CHECKS, WORDS, check_of
from ..judge.checks.speed import LONG_WAIT_SECONDS, is_slow, is_too_slow
from ..judge.pace import IMAGE
from ..judge.pace.words import reader_words
from ..judge.record import TIGHT_CODES, Finding, Outcome, Route, Verdict
from .labels import LABELS
from .layout import Paragraph, Span, clean, line, strong
from .words import HERE, place_words

if TYPE_CHECKING:
    from ..advice.api_route import Shutdown


# in the order of their rows; checks without a row come last, in the order of the JSON
_ORDER = sorted(CHECKS, key=lambda check: WORDS.checks[check].row or inf)
_TOO_LITTLE = "too little "
# an answer on openness as a person reads it
OPENNESS_WORDS = {
    "yes": Span("yes", Outcome.PASS),
    "partly": Span("partly", Outcome.WARN),
    "no": Span("no", Outcome.FAIL),
    "unknown": Span("not known", Outcome.UNKNOWN),
}
# of a bad thing a `no` is good news
_OF_BAD_THINGS = {
    "yes": Span("yes", Outcome.FAIL),
    "no": Span("no", Outcome.PASS),
}


# the sign of a model that runs, but not well
ATTENTION = "!"
# the answer where a limit on a GPU that shares the RAM has to be raised
ONCE_RAISED = "RUNS ONCE A LIMIT IS RAISED"
_TOO_SLOW_FOR_LOAD = "RUNS, TOO SLOW FOR THE LOAD"
_LIKELY_TOO_SLOW_FOR_LOAD = "RUNS, LIKELY TOO SLOW FOR THE LOAD"
_SLOWLY = "RUNS SLOWLY"
_LONG_WAIT = "RUNS, LONG WAIT"
_SLOW_WHEN_FULL = "RUNS, SLOW WHEN FULL"
_PACE_NOT_KNOWN = "RUNS, PACE NOT KNOWN"
_ON_CPU = "RUNS ON THE CPU"
_LIKELY = "LIKELY RUNS"
_PARTLY_OPEN = "RUNS, ONLY PARTLY OPEN"
_HOURS = "RUNS, TAKES HOURS"
# headlines of models that run, but not well, with how they run: behind a count, and below a list
_NOT_WELL = {
    _TOO_SLOW_FOR_LOAD: "too slow for the load",
    _LIKELY_TOO_SLOW_FOR_LOAD: "likely too slow for the load",
    _SLOWLY: "slowly",
    _LONG_WAIT: "after a long wait",
    _SLOW_WHEN_FULL: "slow once the context is full",
    _HOURS: "for an hour or more",
    _PACE_NOT_KNOWN: "at a pace that is not known",
    _ON_CPU: "on the CPU",
    ONCE_RAISED: "once a limit is raised",
    _LIKELY: "with little memory to spare",
    _PARTLY_OPEN: "only partly as open as asked",
}
# a training that takes longer is told in the headline
_WEEK_SECONDS = 7 * units.DAY_SECONDS


def openness_word(name: str, answer: str) -> Span:
    """The answer of that name on openness or permissions, as a person reads it."""
    word = OPENNESS_WORDS[answer]
    if name == "superseded":
        return _OF_BAD_THINGS.get(answer, word)
    return word


def answer_line(verdict: Verdict) -> Paragraph:
    """The line with the answer, the name of the model and, where the model does not run, the
    reason.
    """
    before = "whether " if _is_undecided(verdict) else ""
    name = strong(verdict.model.name)
    return line(answer_cell(verdict), "  ", before, name, _behind_name(verdict))


def _is_undecided(verdict: Verdict) -> bool:
    """Whether nobody can tell if the model runs, although its weights are published."""
    is_closed = verdict.model.closed or verdict.shutdown is not None
    return verdict.route is Route.UNKNOWN and not is_closed


def _behind_name(verdict: Verdict) -> str:
    """The words behind the model's name in the first line; empty for a model that runs on this
    machine.
    """
    place = place_words(verdict.machine)
    if verdict.shutdown is not None:
        return f" is closed, and {shutdown_words(verdict.shutdown)}"
    if verdict.can_run:
        where = "" if place == HERE else f" {place}"
        return where + _long_wait(verdict)
    if verdict.model.closed:
        return f" is closed: {_why_closed(verdict)}"
    if verdict.route is Route.UNKNOWN:
        return f" runs {place}: {causes(verdict)}"
    if is_ruled_out(verdict):
        return f": {causes(verdict)}"
    return f" does not run {place}: {causes(verdict)}"


def _long_wait(verdict: Verdict) -> str:
    """`: 43 minutes to the first word`; empty where the wait is not long or not known."""
    wait = verdict.first_word_seconds
    if wait is None or not verdict.has("wait-long"):
        return ""
    return f": {units.duration(wait.likely)} to the first word"


def _why_closed(verdict: Verdict) -> str:
    """The first reason in the spec why the model is closed."""
    available = verdict.model.availability
    if available is None:
        return WORDS.checks["weights"].why_not
    first, _, _ = available.why.partition("; ")
    return first


def shutdown_words(shutdown: Shutdown) -> str:
    """`OpenAI shuts it down on 2026-12-11; its successor is gpt-5.6-sol`."""
    words = f"{shutdown.provider} shuts it down on {shutdown.day}"
    if shutdown.successor is None:
        return words
    if shutdown.successor_is_judged:
        return f"{words}; next is {shutdown.successor} (selfhost's choice, not the publisher's)"
    return f"{words}; its successor is {shutdown.successor}"


def answer_cell(answer: Verdict) -> Span:
    """The sign of the answer and its headline, such as `✓ RUNS HERE`."""
    sign = LABELS.routes[answer.route].sign
    if not answer.can_run:
        return Span(f"{sign} {_refusal(answer)}", answer.route)
    reservation = reservation_of(answer)
    if reservation:
        return Span(f"{ATTENTION} {reservation}", Outcome.WARN)
    return Span(f"{sign} {_route_words(answer)}", answer.route)


def _route_words(answer: Verdict) -> str:
    """The headline of the route: `RUNS HERE`, or `RUNS` for another machine."""
    words = LABELS.routes[answer.route]
    if place_words(answer.machine) == HERE:
        return words.here
    return words.elsewhere


def _refusal(answer: Verdict) -> str:
    """The headline of a model that does not run, or of which nobody can tell."""
    if is_ruled_out(answer):
        return "RULED OUT"
    needless = _options_in_the_way(answer)
    if needless:
        return f"ONLY WITHOUT {' AND '.join(needless)}"
    smaller = type_that_runs(answer)
    if smaller:
        return f"ONLY IN {smaller} OR SMALLER"
    if answer.model.closed and answer.route is Route.NEITHER:
        # an API may have an offer that the catalogue does not know
        return "CANNOT RUN HERE" if answer.workload.private else "NO OFFER KNOWN"
    return _route_words(answer)


def _options_in_the_way(answer: Verdict) -> list[str]:
    """The user's options of the program without which the same files run; empty where none is in
    the way.
    """
    if answer.route not in (Route.API, Route.NEITHER) or not answer.of_same_model:
        return []
    first = answer.of_same_model[0]
    if first.quantization != answer.quantization:
        return []
    left = first.workload.runtime_options
    return [name for name in answer.workload.runtime_options if name not in left]


def type_that_runs(answer: Verdict) -> str:
    """The smaller quantization in which the model runs where its usual ones do not. Empty where no
    quantization runs fast enough, or where the user asked for a quantization.
    """
    if answer.question.stated.quantization is not None:
        return ""
    if answer.route not in (Route.API, Route.NEITHER):
        return ""
    if answer.cluster is not None:
        # what runs instead runs on one of the machines, perhaps in the same type
        return ""
    if not answer.of_same_model:
        return ""
    first = answer.of_same_model[0]
    if first.runtime != answer.runtime or is_too_slow(first):
        return ""
    if first.context_tokens != answer.context_tokens:
        return ""
    if first.workload.parallel != answer.workload.parallel:
        # for fewer users it may run in a larger type
        return ""
    if first.quantization == answer.quantization:
        return ""
    return first.quantization or ""


def reservation_of(answer: Verdict) -> str:
    """The headline of a model that runs, but not well, by the gravest reason; empty for a model
    that runs well.
    """
    reservation = _reservation_by_work(answer)
    if reservation:
        return reservation
    if answer.monthly_cost is not None:
        here = answer.monthly_cost.here
        if here is not None and here.keeps_up is False:
            return _TOO_SLOW_FOR_LOAD
        if here is not None and here.likely_falls_behind:
            return _LIKELY_TOO_SLOW_FOR_LOAD
    if _lacks_pace_of_work(answer):
        return _PACE_NOT_KNOWN
    if is_slow(answer) and not _is_soon_done(answer):
        return _SLOWLY
    if _trains_on_cpu(answer):
        return _ON_CPU
    if answer.waits_for_setting:
        return ONCE_RAISED
    if answer.has(*TIGHT_CODES):
        return _LIKELY
    if answer.has("speed-when-full"):
        return _SLOW_WHEN_FULL
    return ""


def _is_soon_done(answer: Verdict) -> bool:
    """Whether a picture, slow beside one of a GPU, comes before its user does something else."""
    speed = answer.speed
    if speed is None or speed.work is None or speed.unit != IMAGE:
        return False
    return speed.work.likely <= LONG_WAIT_SECONDS


def _lacks_pace_of_work(answer: Verdict) -> bool:
    """Whether no pace is known of work other than text."""
    pace = answer.finding("speed")
    if pace is None or pace.unit == "tokens_per_second":
        return False
    if pace.code == "speed-not-known":
        return True
    # slower than on a GPU that holds all of the model, and nothing tells by how much
    return pace.code == "speed-picture" and pace.has is None


def _reservation_by_work(answer: Verdict) -> str:
    """The headline of a model that runs but is less open than asked for, or takes long, such as
    `RUNS, TAKES 23 DAYS`; else empty.
    """
    if answer.has("openness-partly"):
        return _PARTLY_OPEN
    if answer.has("speed-hours"):
        return _HOURS
    if answer.has("wait-long"):
        return _LONG_WAIT
    if answer.speed is None or answer.speed.dataset_seconds is None:
        return ""
    seconds = answer.speed.dataset_seconds.likely
    if seconds <= _WEEK_SECONDS:
        return ""
    return f"RUNS, TAKES {units.duration(seconds).upper()}"


def _trains_on_cpu(answer: Verdict) -> bool:
    """Whether the model is trained, and no accelerator does the training."""
    card = answer.finding("accelerator")
    if answer.workload.task != "finetune" or card is None:
        return False
    return card.code == "accelerator-not-needed" and card.outcome is Outcome.WARN


def limit_words(answer: Verdict) -> str:
    """The sentence on a limit that must be raised before the model runs as judged, and on the time
    until then; empty where there is no such limit.
    """
    card = answer.finding("accelerator")
    if not answer.can_run or not answer.waits_for_setting:
        return ""
    if card is None or not card.remedy:
        return ""
    until = "a part may run on the CPU, more slowly"
    if answer.workload.format == "mlx":
        until = "it may fail"
    return f"First {card.remedy}. Until then {until}."


def is_ruled_out(answer: Verdict) -> bool:
    """Whether the model fails only on stated conditions: on its license or its openness."""
    failed = set(answer.failed)
    return bool(failed) and failed <= {"license", "openness"}


def count_words(answers: Sequence[Verdict], unjudged: int = 0) -> str:
    """The sentence on how many of the models run, how many of them do so badly, and how many have
    no answer.
    """
    running = [answer for answer in answers if answer.can_run]
    number = len(running)
    verb = "runs" if number == 1 else "run"
    place = place_words(answers[0].machine)
    words = f"{number} of {len(answers) + unjudged} models {verb} {place}"
    reservations = [reservation_of(answer) for answer in running]
    for reservation, how in _NOT_WELL.items():
        count = reservations.count(reservation)
        if count == number > 0:
            words += f", but {how}"
        elif count:
            words += f", {count} of them {how}"
    if unjudged:
        words += f"; {unjudged} could not be judged"
    return f"{words}."


def how_they_run(answers: Iterable[Verdict]) -> list[str]:
    """How those of the models run that do not run well, each manner once."""
    found = {reservation_of(answer) for answer in answers if answer.can_run}
    return [how for reservation, how in _NOT_WELL.items() if reservation in found]


def causes(answer: Verdict) -> str:
    """Why the model does not run, or why nobody can tell; empty for a model that runs."""
    if answer.can_run:
        return ""
    if answer.route is Route.UNKNOWN:
        return "; ".join(
            undecided_words(finding for finding in ordered(answer) if finding.decides)
        )
    failed = with_outcome(answer.findings, Outcome.FAIL)
    if answer.model.closed:
        # a model without weights has no license to name
        failed = [finding for finding in failed if finding.check != "license"]
    why = failed_words(finding.code for finding in failed)
    runtime = answer.question.runtime
    if answer.question.stated.runtime and runtime is not None:
        # the sentence names the program that the user stated
        no_runtime = WORDS.checks["runtime"].why_not
        why = why.replace(no_runtime, f"{runtime.name} does not load it")
    return why


def undecided_words(findings: Iterable[Finding]) -> list[str]:
    """The reasons why nobody can tell: `disk, GPU not known` for facts that were not read, and
    other words for known facts that are too close to call, such as `likely too slow`.
    """
    unread = []
    too_close = []
    for finding in findings:
        if finding.code in WORDS.why_open:
            too_close.append(WORDS.why_open[finding.code])
        else:
            unread.append(WORDS.checks[finding.check].title)
    if unread:
        too_close.insert(0, f"{', '.join(unread)} not known")
    return too_close


def failed_words(codes: Iterable[str]) -> str:
    """The reasons why a model fails, from reason codes alone. Each code begins with the name of its
    check.
    """
    left = sorted(set(codes))
    left.sort(key=lambda code: _ORDER.index(check_of(code)))
    if "runtime-no-build" in left and "cpu-no-build" in left:
        # a system without a build says enough: the processor is a part of the system
        left.remove("cpu-no-build")
    too_little = []
    others = []
    for code in left:
        reason = WORDS.why_not.get(code) or WORDS.checks[check_of(code)].why_not
        if reason.startswith(_TOO_LITTLE):
            too_little.append(reason.removeprefix(_TOO_LITTLE))
        else:
            others.append(reason)
    if too_little:
        others.insert(0, _TOO_LITTLE + " and ".join(too_little))
    return ", ".join(others)


def with_outcome(findings: Iterable[Finding], outcome: str) -> list[Finding]:
    """Those of the findings that have the outcome."""
    return [finding for finding in findings if finding.outcome == outcome]


def ordered(verdict: Verdict) -> list[Finding]:
    """The findings of a verdict, in the order in which the screen shows the rows of their
    checks.
    """
    return sorted(verdict.findings, key=lambda finding: _ORDER.index(finding.check))


def is_assumption(finding: Finding, verdict: Verdict) -> bool:
    """Whether the finding warns of an assumption about a simulated machine. `planned_words` makes
    the sentence for such assumptions.
    """
    warns = finding.outcome is Outcome.WARN
    return warns and verdict.machine.planning and finding.code.endswith("-assumed")


def summary(verdict: Verdict) -> str:
    """`RUNS HERE: Mistral 7B Instruct v0.3, about 12 tokens/s, faster than you read`."""
    cell, *about = answer_line(verdict).parts
    # without the sign before it
    _, _, label = cell.partition(" ")
    told = clean("".join(about))
    answer = " ".join(told.split())
    text = f"{label}: {answer}"
    speed = verdict.speed
    if not verdict.can_run or speed is None:
        return text
    if speed.judged is not None and speed.each_of > 1:
        text = f"{text}, about {units.speed(speed.judged.likely)} each"
    elif speed.decode is not None:
        text = f"{text}, {reader_words(speed.decode)}"
    wait = verdict.first_word_seconds
    if wait is None or verdict.has("wait-long"):
        return text
    return f"{text}, the first word after {units.duration(wait.likely)}"
