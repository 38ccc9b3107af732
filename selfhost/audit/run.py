"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.errors import Problem, SelfhostError
from ..machine.record import Machine
from ..verdict.record import Verdict
from .alike import Alike, Entry, Report
from .entries import Place, Policy
from .exceptions import Exceptions
from .fleet import Machines
from .groups import shortfall, signature
from .judged_entries import (
    Judge,
    asked_to_no_effect,
    entries_of_others,
    entry_problems,
    not_asked_here,
)
from .machines import RECORD_IT
from .progress import Progress
from .record import Audit, Result, Row
from .refit import refit
from .rows import row_of, unplaced_row

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .kinds import ByKind

# up to so many verdicts each is given by itself; beyond, machines that differ in a few numbers are
# taken together
MOST_ALONE = 5_000
# fewer machines have nothing to be taken together
LEAST_TOGETHER = 3


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
    """Judge each model on each machine that the policy names for it: machines in the order given,
    models in the policy's.

    `judge` takes the policy's entry, the workload and the machine; a `SelfhostError` of it (an
    unknown model, a quantization nobody makes) becomes a problem at the policy's line. Of many
    machines it may be called in other processes, and must be one that can be pickled. `today` is
    `YYYY-MM-DD` in UTC, else `ValueError`. `problems` are those of records left out of `machines`,
    `notes` sentences about what was read. Machines have different names. `progress` is told how
    far it is; raises `TooLongError` as it does. `now` is the time (UTC, `YYYY-MM-DDThh:mm:ssZ`)
    that the age of records is told at; None: the end of that day.
    """
    from datetime import date

    today = date.fromisoformat(today).isoformat()
    fitted = refit(policy, machines, now or f"{today}T23:59:59Z")
    fleet = fitted.machines
    of_records = (*problems, *fitted.problems)
    exceptions = Exceptions(policy.exceptions, today)
    progress = progress or Progress(lambda _line: None)
    is_small = len(fleet) * len(policy.models) <= MOST_ALONE or len(fleet) < LEAST_TOGETHER
    judging: _Alone | ByKind
    if is_small:
        judging = _Alone(policy, fleet, judge, exceptions, progress)
    else:
        from .kinds import ByKind

        judging = ByKind(policy, fleet, judge, exceptions, progress)
    judging.run()
    report = Report(policy, fleet, judging.entries, judging.hardest)
    groups = report.groups(is_small=is_small)
    own_problems = [*entry_problems(policy, len(fleet), judging.refused, judging.placed)]
    if not len(fleet) and not of_records:
        message = "there is no machine to judge"
        nothing = Problem(file=policy.file, message=message, remedy=RECORD_IT)
        own_problems.insert(0, nothing)
    audit = Audit(
        policy=policy,
        today=today,
        machines=len(fleet),
        rows=judging.rows,
        groups=groups,
        exceptions=exceptions.uses(),
        problems=(*of_records, *own_problems),
        notes=(
            *notes,
            *fitted.notes,
            *not_asked_here(entries_of_others(policy, len(fleet), judging.placed)),
            *asked_to_no_effect(groups),
        ),
        tallied=report.tally(),
        judge_again=judging.judge_again,
    )
    return _with_blindness(audit)


# a row is judged where one of them was held against the machine
_SIZES = frozenset(("memory", "disk"))


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


class _Alone:
    """Judges every entry on every machine by itself."""

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        exceptions: Exceptions,
        progress: Progress,
    ) -> None:
        self._policy, self._machines, self._judge = policy, machines, judge
        self._exceptions, self._progress = exceptions, progress
        self.entries = [Entry(wanted, len(machines)) for wanted in policy.models]
        # entries that cannot be judged, and those that are for one of the machines
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        self._rows: dict[tuple[int, int], Row] = {}

    def judge_again(self, row: Row) -> Row:
        """Every row has the figures of its own machine."""
        return row

    @property
    def rows(self) -> tuple[Row, ...]:
        """Machine after machine."""
        return tuple(self._rows.values())

    def run(self) -> None:
        """Judge all."""
        for number, machine in enumerate(self._machines):
            self._judge_on(number, machine)
        for entry in self.entries:
            entry.settle()
            for alike in entry.classes:
                alike.row = self.hardest(entry, alike, alike.machines)

    def hardest(self, entry: Entry, alike: Alike, machines: Sequence[int]) -> Row:
        """The row of the machine that lacks most, of several the first."""
        rows = [self._rows[number, entry.wanted.index] for number in machines]
        return max(rows, key=shortfall)

    def _judge_on(self, number: int, machine: Machine) -> None:
        place = Place(self._policy, machine)
        # entries may differ in severity or in machines alone
        verdicts: dict[object, Verdict] = {}
        for entry in self.entries:
            wanted = entry.wanted
            if len(self._machines) > 1:
                self._progress.judge(number, len(self._machines), "machines")
            else:
                self._progress.judge(wanted.index, len(self.entries), "models")
            selected = place.selects(wanted.machines)
            if selected is False:
                continue
            self.placed.add(wanted.index)
            if wanted.index in self.refused:
                continue
            if selected is None:
                row = unplaced_row(self._policy, wanted, machine)
            else:
                workload = place.workload(wanted)
                key = wanted.name, wanted.members, wanted.require_runtime, workload
                try:
                    if key not in verdicts:
                        verdicts[key] = self._judge(wanted, workload, machine)
                except SelfhostError as error:
                    self.refused[wanted.index] = error
                    continue
                row = self._row(entry, machine, place, verdicts[key])
            self._rows[number, wanted.index] = row
            entry.alike(signature(row)).machines.append(number)

    def _row(self, entry: Entry, machine: Machine, place: Place, verdict: Verdict) -> Row:
        numbers = self._exceptions.concerning(entry.wanted.name, machine, place)
        checks = [each.check for each in verdict.findings if each.decides]
        covers = self._exceptions.cover(numbers, checks, 1)
        return row_of(self._policy, entry.wanted, machine.name, verdict, covers)
