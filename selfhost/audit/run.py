"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.errors import (
    Problem,
    SelfhostError,
)
from ..machine.record import Machine
from .exceptions import Exceptions
from .fleet import Machines
from .groups import grouped
from .judged_entries import (
    Judge,
    asked_to_no_effect,
    entries_of_others,
    entry_problems,
    not_asked_here,
)
from .machines import RECORD_IT
from .policy import Place, Policy, Wanted
from .record import Audit, Result, Row
from .refit import refit
from .rows import row_of, unplaced_row
from .verdicts import verdicts_on

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .brackets import Asked
    from .bulk import FleetJudge
    from .progress import Progress
    from .verdicts import Extent, Marked

# fewer verdicts are given one by one
LEAST_AT_ONCE = 500
# on fewer, what is alike takes longer to find than to judge twice
LEAST_MACHINES = 3


def run_audit(
    policy: Policy,
    machines: Sequence[Machine],
    judge: Judge,
    *,
    today: str,
    problems: Iterable[Problem] = (),
    notes: Iterable[str] = (),
    progress: Progress | None = None,
    at_once: FleetJudge | None = None,
    now: str | None = None,
    in_full: Extent = "all",
) -> Audit:
    """Judge each model on each machine that the policy names for it: machines in the order given,
    models in the policy's.

    `judge` takes the policy's entry, the workload and the machine; a `SelfhostError` of it (an
    unknown model, a quantization nobody makes) becomes a problem at the policy's line. `today` is
    `YYYY-MM-DD` in UTC, else `ValueError`. `problems` are those of records left out of `machines`,
    `notes` sentences about what was read.
    Machines have different names. `progress` is told how far it is. `at_once` gives the same
    verdicts for many machines at once; where it is given, `machines` of a fleet are judged by it.
    `now` is the time (UTC, `YYYY-MM-DDThh:mm:ssZ`) that the age of records is told at; None: the
    end of that day. `in_full` says which rows' findings are worked out now, as `verdicts_on` does;
    those of the others are when somebody reads them.
    """
    from datetime import date

    today = date.fromisoformat(today).isoformat()
    fitted = refit(policy, machines, now or f"{today}T23:59:59Z")
    machines, of_records = fitted.machines, (*problems, *fitted.problems)
    is_large = len(machines) * len(policy.models) >= LEAST_AT_ONCE
    is_large = is_large and len(machines) >= LEAST_MACHINES
    if at_once is not None and is_large and type(machines) is Machines:
        from .large import large_audit

        audit = large_audit(policy, machines, judge, at_once, today, of_records, progress, in_full)
        all_notes = (*notes, *fitted.notes, *asked_to_no_effect(audit.groups))
        return _with_blindness(audit.replace(notes=all_notes) if all_notes else audit)
    exceptions = Exceptions(policy.exceptions, today)
    if len(machines) > 1 and in_full == "few":
        # of machines that fare alike the one that lacks most is told of
        in_full = "failing"
    judging = _Judging(policy, judge, exceptions, len(machines), progress, in_full=in_full)
    by_machine = [judging.rows_on(number, machine) for number, machine in enumerate(machines)]
    own_problems = [*judging.problems(len(machines))]
    if not machines and not of_records:
        nothing = Problem(
            file=policy.file, message="there is no machine to judge", remedy=RECORD_IT
        )
        own_problems.insert(0, nothing)
    groups = grouped(by_machine)
    return _with_blindness(
        Audit(
            policy=policy,
            today=today,
            machines=len(machines),
            rows=tuple(row for rows in by_machine for row in rows),
            groups=groups,
            exceptions=exceptions.uses(),
            problems=(*of_records, *own_problems),
            notes=(
                *notes,
                *fitted.notes,
                *judging.notes(len(machines)),
                *asked_to_no_effect(groups),
            ),
        )
    )


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


class _Judging:
    """Judges machine after machine, and keeps which entries of the policy selected none of them
    or were refused.
    """

    def __init__(
        self,
        policy: Policy,
        judge: Judge,
        exceptions: Exceptions,
        machines: int,
        progress: Progress | None,
        *,
        in_full: Extent,
    ) -> None:
        self._policy = policy
        self._in_full = in_full
        self._judge = judge
        self._exceptions = exceptions
        self._machines = machines
        self._progress = progress
        self._refused: dict[int, tuple[Wanted, SelfhostError]] = {}
        self._placed: set[int] = set()

    def rows_on(self, number: int, machine: Machine) -> tuple[Row, ...]:
        """The rows of one machine, in the order of the policy's models; `number` counts from 0."""
        place = Place(self._policy, machine)
        entries: list[tuple[Wanted, object]] = []
        # entries may differ in severity or in machines alone
        questions: dict[object, Asked] = {}
        for wanted in self._policy.models:
            selected = place.selects(wanted.machines)
            if selected is not False:
                self._placed.add(wanted.index)
            if selected is False or wanted.index in self._refused:
                continue
            key: object = None
            if selected:
                workload = place.workload(wanted)
                key = wanted.name, wanted.members, wanted.require_runtime, workload
                questions.setdefault(key, (wanted, workload))
            entries.append((wanted, key))
        verdicts = self._verdicts(number, machine, questions)
        rows: list[Row] = []
        exceptions = self._exceptions.at(machine, place)
        for wanted, key in entries:
            answer = verdicts.get(key)
            if answer is None:
                rows.append(unplaced_row(self._policy, wanted, machine))
            elif isinstance(answer, SelfhostError):
                self._refused[wanted.index] = (wanted, answer)
            else:
                rows.append(row_of(self._policy, wanted, machine, *answer, exceptions))
        exceptions.count()
        return tuple(rows)

    def _verdicts(
        self, number: int, machine: Machine, questions: Mapping[object, Asked]
    ) -> dict[object, Marked | SelfhostError]:
        """By the keys of the questions."""

        def tell(place: int) -> None:
            if self._progress is not None:
                self._progress.judge(number, self._machines, place, len(questions))

        judged = verdicts_on(
            machine, list(questions.values()), self._judge, tell, in_full=self._in_full
        )
        return dict(zip(questions, judged, strict=True))

    def problems(self, machines: int) -> Iterator[Problem]:
        """What is wrong with the entries; `machines` is how many were judged."""
        return entry_problems(self._policy, machines, self._refused, self._placed)

    def notes(self, machines: int) -> tuple[str, ...]:
        """Which entries are for other machines, where one was judged."""
        return not_asked_here(entries_of_others(self._policy, machines, self._placed))
