"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults; and
what changed since an earlier audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from ..core.errors import Faults, InputError, Problem, SelfhostError
from ..core.files import Unreadable, read_file, text_of
from ..core.json_text import Decoder
from ..core.records import Record
from .entries import Policy
from .fleet import Fleet, fitted
from .judge_fleet import FleetJudge, Judge, Rows
from .judging import entries_of_others, entry_problems, not_asked_here
from .machines import RECORD_IT
from .record import Audit, Change, Exceptions, Result, Row, Since
from .systems.facts import NOT_JUDGED

# up to so many verdicts each is given by itself; beyond, machines that differ in a few numbers are
# taken together
MOST_ALONE = 5_000
# fewer machines have nothing to be taken together
LEAST_TOGETHER = 3
# a row is judged where one of them was held against the machine
_SIZES = frozenset(("memory", "disk"))


def run_audit(
    policy: Policy,
    fleet: Fleet,
    judge: Judge,
    *,
    today: str,
    progress: Progress | None = None,
    now: str | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it.

    `judge` takes the policy's entry, the basis of memory and the machine; a `SelfhostError` of it
    becomes a problem at the policy's line. Of many machines it is called in other processes, and
    must be one that can be pickled. `today` is `YYYY-MM-DD` in UTC. `now` is the time (UTC,
    `YYYY-MM-DDThh:mm:ssZ`) that the age of records is told at; None: the end of that day. Raises
    `TooLongError` as `progress` does.
    """
    fleet = fitted(policy, fleet, now or f"{today}T23:59:59Z")
    machines = fleet.machines
    exceptions = Exceptions(policy, today)
    progress = progress or Progress(lambda _line: None)
    judging = FleetJudge(policy, machines, judge, exceptions, progress.judge)
    count = len(machines)
    are_alone = count < LEAST_TOGETHER or count * len(policy.models) <= MOST_ALONE
    rows = judging.judge_all(are_alone=are_alone)
    problems = [*fleet.problems]
    if not count and not problems:
        message = "there is no machine to judge"
        problems.append(Problem(file=policy.file, message=message, remedy=RECORD_IT))
    problems += entry_problems(policy, count, judging.refused, judging.placed)
    others = entries_of_others(policy, count, judging.placed)
    notes = [*fleet.notes, *not_asked_here(others)]
    audit = Audit(
        policy=policy,
        today=today,
        machines=count,
        rows=rows,
        tally=rows.tally(),
        groups=tuple(rows.groups()),
        exceptions=exceptions.uses(),
        problems=tuple(problems),
        notes=tuple(notes),
    )
    return _with_blindness(audit)


def _with_blindness(audit: Audit) -> Audit:
    """The audit, with a problem where a policy that lets unknown pass would be green though neither
    memory nor disk of any machine was read: nothing judged is never green.
    """
    if audit.exit_code != 0 or set(audit.tally.results) != {Result.UNKNOWN}:
        return audit
    rows = (row for group in audit.groups for row in group.rows)
    if any(row.verdict is not None and not {*row.undecided} >= _SIZES for row in rows):
        return audit
    nothing = Problem(
        file=audit.policy.file,
        message="nothing was judged: of no machine the memory or the disk was read",
        remedy=RECORD_IT,
    )
    return audit.replace(problems=(nothing,))


# ------------------------------------------------------------------ how long it takes

SECONDS_BETWEEN = 2.0
# a longer job is refused, unless it was asked for all the same
MOST_SECONDS = 15 * 60
# by what was done in so many seconds it is told how long the rest takes, for so much of the job
_LEAST_SECONDS = 5.0
_WATCHED_PART = 0.2


class TooLongError(SelfhostError):
    """An audit that would take longer than anybody waits who did not ask for it."""


class Progress:
    """Says how far an audit is: nothing in its first two seconds, then a line every two.

    `say` takes a line without its end; `clock` gives seconds. `is_bounded`: a job that would take
    longer than MOST_SECONDS is refused.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
        *,
        is_bounded: bool = False,
    ) -> None:
        self._say, self._clock, self._is_bounded = say, clock, is_bounded
        self._next = clock() + SECONDS_BETWEEN
        # when the first things were judged, for which much is read once, and what part they were
        self._begun: tuple[float, float] | None = None

    def read(self, records: int) -> None:
        """So many machine records are read."""
        self._tell(self._clock(), f"read {records:,} machine records so far")

    def judge(self, part: float, verdicts: int) -> None:
        """That part of so many verdicts is given. Raises `TooLongError`."""
        now = self._clock()
        self._tell(now, f"judged {int(part * verdicts):,} of {verdicts:,} verdicts")
        if self._begun is None:
            self._begun = (now, part) if part else None
        elif self._is_bounded and part < _WATCHED_PART:
            seconds, done = now - self._begun[0], part - self._begun[1]
            if seconds >= _LEAST_SECONDS and done and seconds / done > MOST_SECONDS:
                raise TooLongError(
                    f"the audit would take about {seconds / done / 60:,.0f} minutes",
                    remedy="name fewer models in the policy or fewer machines, or write --yes to"
                    " have all of them judged",
                )

    def _tell(self, now: float, line: str) -> None:
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN
            self._say(line)


# ------------------------------------------------------------------ since an earlier audit

# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = {result.value: result for result in Result}
_BAD = (Result.FAIL, Result.UNKNOWN)
# a name in it is as long as a person gives one
_MAX_NAME = 10_000
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"
# by machine and label what became of it, and the findings that failed
_Earlier = Mapping[tuple[str, str], tuple[Result, frozenset[str]]]


class Baseline(Record):
    """What an earlier audit said: by machine and label, each row's result and failed findings."""

    file: str
    rows: _Earlier


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file and line."""
    rows: dict[tuple[str, str], tuple[Result, frozenset[str]]] = {}
    faults = Faults(path)
    number = 0
    try:
        for line in text_of(read_file(path, MAX_BASELINE_BYTES, input_allowed=True)).splitlines():
            number += 1
            rows.update(_row(line))
    except Unreadable as error:
        remedy = error.remedy or _WRITE_IT
        faults.append(Problem(file=path, line=number or None, message=error.reason, remedy=remedy))
    if not faults and not rows:
        message = "holds no row of an audit"
        faults.append(Problem(file=path, message=message, remedy=_WRITE_IT))
    if faults:
        raise InputError(faults.problems)
    return Baseline(file=path, rows=rows)


def _row(line: str) -> _Earlier:
    """The row of a line, none of one that is of no machine. Raises `Unreadable`."""
    row = Decoder().parse(line)
    if not isinstance(row, dict) or "schema" in row:
        raise Unreadable("is no row of an audit: JSON Lines have one object a line")
    if row.get("problem") is not None or row.get("exception") is not None:
        return {}
    names, failed = [row.get("machine"), row.get("label")], row.get("failed")
    if not all(isinstance(name, str) and 0 < len(name) <= _MAX_NAME for name in names):
        raise Unreadable("is no row of an audit: machine and label must be names")
    if row.get("result") not in [*_RESULTS] or not isinstance(failed, list):
        raise Unreadable(f"is no row of an audit: result is none of {', '.join(_RESULTS)}")
    return {(row["machine"], row["label"]): (_RESULTS[row["result"]], frozenset(map(str, failed)))}


def since(audit: Audit, baseline: Baseline, names: Iterable[str]) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0.

    `names` are the machines that were judged. One that the baseline names and that is not among
    them is a problem: nobody can say how it fares.
    """
    judged = {*names, *(problem.message.partition(NOT_JUDGED)[0] for problem in audit.problems)}
    message = f"{NOT_JUDGED}it is in the baseline, and not here any more"
    remedy = "bring its record back; if the machine is gone for good, write the baseline anew"
    gone = [
        Problem(file=baseline.file, message=f"{name}{message}", remedy=remedy)
        for name in dict.fromkeys(machine for machine, _ in baseline.rows)
        if name not in judged
    ]
    assert isinstance(audit.rows, Rows)
    rows = audit.rows.changed(lambda row: change_of(row, baseline))
    counts = Counter(row.change for row in rows)
    return audit.replace(
        rows=rows,
        tally=rows.tally(),
        groups=tuple(rows.groups()),
        since=Since(
            file=baseline.file,
            new=counts[Change.NEW],
            fixed=counts[Change.FIXED],
            changed=counts[Change.CHANGED],
            unchanged=sum(audit.tally.results.values()) - counts.total(),
        ),
        problems=(*audit.problems, *Faults(baseline.file, gone).problems),
    )


def change_of(row: Row, baseline: Baseline) -> Change | None:
    """What became of a row since the baseline; None where nothing did. A row that the baseline does
    not have is new where it fails or is unknown, else unchanged.
    """
    earlier, failed = baseline.rows.get((row.machine, row.wanted.label), (Result.PASS, frozenset()))
    is_bad = row.result in _BAD
    is_known = (row.machine, row.wanted.label) in baseline.rows
    if (earlier, failed) == (row.result, frozenset(row.failed)) or not (is_known or is_bad):
        return None
    if not is_bad:
        return Change.FIXED if earlier in _BAD else Change.CHANGED
    is_worse = earlier not in _BAD
    if row.result is Result.FAIL:
        is_worse = earlier is not Result.FAIL or not failed.issuperset(row.failed)
    return Change.NEW if is_worse else Change.CHANGED
