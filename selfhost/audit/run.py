"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from ..core.errors import Problem, SelfhostError
from .entries import Policy
from .fleet import Fleet, Pseudonyms, fitted
from .judge_fleet import FleetJudge, Judge
from .judging import entries_of_others, entry_problems, not_asked_here
from .machines import RECORD_IT
from .record import Audit, Exceptions, Result

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
    pseudonyms: Pseudonyms | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it.

    `judge` takes the policy's entry, the basis of memory and the machine; a `SelfhostError` of it
    becomes a problem at the policy's line. Of many machines it is called in other processes, and
    must be one that can be pickled. `today` is `YYYY-MM-DD` in UTC. `now` is the time (UTC,
    `YYYY-MM-DDThh:mm:ssZ`) that the age of records is told at; None: the end of that day. Raises
    `TooLongError` as `progress` does. With `pseudonyms` no name of a machine is in the answer.
    """
    fleet = fitted(policy, fleet, now or f"{today}T23:59:59Z")
    machines = fleet.machines
    exceptions = Exceptions(policy, today)
    progress = progress or Progress(lambda _line: None)
    judging = FleetJudge(policy, machines, judge, exceptions, progress.judge)
    shown = policy if pseudonyms is None else pseudonyms.policy(policy)
    if pseudonyms is not None:
        judging.hide(pseudonyms, shown)
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
    uses = exceptions.uses()
    if pseudonyms is not None:
        problems, notes = list(map(pseudonyms.problem, problems)), list(map(pseudonyms.text, notes))
        pairs = zip(uses, shown.exceptions, strict=True)
        uses = tuple(use.replace(exemption=exemption) for use, exemption in pairs)
    audit = Audit(
        policy=shown,
        today=today,
        machines=count,
        rows=rows,
        tally=rows.tally(),
        groups=tuple(rows.groups()),
        exceptions=uses,
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
        if self._is_due(self._clock()) and records:
            self._say(f"read {records:,} machine records so far")

    def judge(self, part: float, verdicts: int) -> None:
        """That part of so many verdicts is given. Raises `TooLongError`."""
        now = self._clock()
        if self._is_due(now):
            self._say(f"judged {int(part * verdicts):,} of {verdicts:,} verdicts")
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

    def _is_due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + SECONDS_BETWEEN
        return True
