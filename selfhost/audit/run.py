"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.errors import Problem
from ..machine.record import Machine
from .entries import Policy
from .judge_fleet import FleetJudge
from .judged_entries import (
    Judge,
    entries_of_others,
    entry_problems,
    not_asked_here,
)
from .machines import RECORD_IT
from .progress import Progress
from .record import Audit, Result
from .refit import refit
from .rows import Exceptions

# up to so many verdicts each is given by itself; beyond, machines that differ in a few numbers are
# taken together
MOST_ALONE = 5_000
# fewer machines have nothing to be taken together
LEAST_TOGETHER = 3
# a row is judged where one of them was held against the machine
_SIZES = frozenset(("memory", "disk"))


def run_audit(
    policy: Policy,
    machines: Sequence[Machine],
    judge: Judge,
    *,
    today: str,
    problems: Iterable[Problem] = (),
    notes: Iterable[str] = (),
    progress: Progress | None = None,
    now: str | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it.

    `judge` takes the policy's entry, the workload and the machine; a `SelfhostError` of it becomes
    a problem at the policy's line. Of many machines it is called in other processes, and must be
    one that can be pickled. `today` is `YYYY-MM-DD` in UTC, else `ValueError`. `problems` are those
    of records left out of `machines`, whose names differ, and `notes` sentences about what was
    read. Raises `TooLongError` as `progress` does. `now` is the time (UTC, `YYYY-MM-DDThh:mm:ssZ`)
    that the age of records is told at; None: the end of that day.
    """
    from datetime import date

    today = date.fromisoformat(today).isoformat()
    fitted = refit(policy, machines, now or f"{today}T23:59:59Z")
    fleet = fitted.machines
    of_records = (*problems, *fitted.problems)
    exceptions = Exceptions(policy, today)
    silent = Progress(lambda _line: None)
    judging = FleetJudge(policy, fleet, judge, exceptions, progress or silent)
    are_alone = len(fleet) < LEAST_TOGETHER or len(fleet) * len(policy.models) <= MOST_ALONE
    rows = judging.judge_all(are_alone=are_alone)
    groups = rows.groups()
    of_entries = entry_problems(policy, len(fleet), judging.refused, judging.placed)
    if not len(fleet) and not of_records:
        message = "there is no machine to judge"
        of_records = (Problem(file=policy.file, message=message, remedy=RECORD_IT),)
    others = entries_of_others(policy, len(fleet), judging.placed)
    audit = Audit(
        policy=policy,
        today=today,
        machines=len(fleet),
        rows=rows,
        tally=rows.tally(),
        groups=groups,
        exceptions=exceptions.uses(),
        problems=(*of_records, *of_entries),
        notes=(*notes, *fitted.notes, *not_asked_here(others)),
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
