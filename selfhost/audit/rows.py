"""The answer of an audit: rows, groups of machines with equal results, and the state of exceptions.

What goes in: a verdict, the entry of the policy that asked for it, and the exceptions for it. What
comes out: an `AuditRow`, which has the result of the verdict under the policy. Machines whose rows
differ in nothing but the machine's name are one `MachineGroup`; all groups make the `Audit`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

from ..core.errors import Problem
from ..core.records import Record
from ..judge.checks import Finding, Outcome
from ..judge.record import Route, Verdict, exit_code
from ..machine.record import Machine
from .policy import Exemption, Policy, Wanted

NAMES_SHOWN = 5
# the routes that the exit codes of rows stand for
_ROUTE_OF_EXIT_CODE = {0: Route.LOCAL, 1: Route.NEITHER, 3: Route.UNKNOWN}


# exceptions by their numbers in the policy
ExceptionNumbers = tuple[int, ...]


class Result(StrEnum):
    """The result of a row under the policy; `excepted`: exceptions in force cover what failed."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    EXCEPTED = "excepted"


class Reason(Record):
    """A finding or an unread fact that decided a row."""

    check: str | None
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.check}: {self.reason}" if self.check else self.reason


class AuditRow(Record):
    """The result of one model on one machine.

    `verdict` is the verdict on the machine that lacks most of all machines that fare alike; None
    where it is not known whether the policy asks for the model on the machine. `failed` and
    `undecided` are checks that no exception covers. `exit_code` is this row's part in the exit code
    of the audit. `change`: `new`, `fixed` or `changed`.
    """

    machine: str
    wanted: Wanted
    verdict: Verdict | None
    result: Result
    exit_code: int
    failed: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    excepted: tuple[tuple[str, Exemption], ...] = ()
    reasons: tuple[Reason, ...] = ()
    change: str | None = None

    @property
    def route(self) -> Route:
        """The route of the verdict; unknown where there is no verdict."""
        return Route.UNKNOWN if self.verdict is None else self.verdict.route

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the verdict; () where there is no verdict."""
        return () if self.verdict is None else self.verdict.findings


class MachineGroup(Record):
    """Machines that fare alike under an entry of the policy. `numbers` are their places in the
    audit; `row` is the row of the machine with the largest shortfall. Unless `warns_alike`, what
    warns on that machine may not warn on the others.
    """

    row: AuditRow
    numbers: Sequence[int]
    names: tuple[str, ...]
    warns_alike: bool = True

    @property
    def count(self) -> int:
        """The number of machines in the group."""
        return len(self.numbers)

    @property
    def name(self) -> str:
        """The name of the group: `edge-01`, or `edge-01 and 9 more`."""
        if self.count == 1:
            return self.names[0]
        return f"{self.names[0]} and {self.count - 1:,} more"


# takes a group and the place of one of its machines; returns the row of that machine
RowOn = Callable[[MachineGroup, int], AuditRow]


class ExemptionState(StrEnum):
    """The state of an exception after the audit."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class ExemptionUse(Record):
    """The use of an exception. `rows` is the number of rows that it covers, or would cover if it
    had not ended. `concerned`: the exception selects a machine on which its model is judged.
    """

    exemption: Exemption
    use: ExemptionState
    rows: int
    concerned: bool


class Since(Record):
    """The comparison of an audit with an earlier one: the number of rows for each change."""

    file: str
    new: int
    fixed: int
    changed: int
    unchanged: int


class Audit(Record):
    """The result of an audit on the day `today` (`YYYY-MM-DD`, UTC), for the machines with these
    `names`.

    - With `since`, `groups` holds only what changed.
    - `problems` are faults of the policy or of records that showed only here. With them the exit
      code is 2.
    - `record_problems` are the problems that records have. A person is told
      `grouped_record_problems` instead, as in `Fleet`.
    - `notes` say what the result rests on.
    - `row_on` makes the row of one machine of a group; None where nothing was judged.
    """

    policy: Policy
    today: str
    names: Sequence[str] = ()
    groups: tuple[MachineGroup, ...] = ()
    exceptions: tuple[ExemptionUse, ...] = ()
    problems: tuple[Problem, ...] = ()
    record_problems: tuple[Problem, ...] = ()
    grouped_record_problems: tuple[Problem, ...] = ()
    since: Since | None = None
    notes: tuple[str, ...] = ()
    row_on: RowOn | None = None

    @property
    def machines(self) -> int:
        """The number of machines that were judged."""
        return len(self.names)

    @property
    def rows(self) -> Iterator[AuditRow]:
        """Yield the row of each model on each machine in turn. A row is made when it is asked
        for.
        """
        # the groups are in the order of the entries
        groups_by_machine: list[list[MachineGroup]] = [[] for _ in self.names]
        for group in self.groups:
            for number in group.numbers:
                groups_by_machine[number].append(group)
        for name, groups in zip(self.names, groups_by_machine, strict=True):
            for group in groups:
                yield group.row.replace(machine=name)

    @property
    def grouped_problems(self) -> tuple[Problem, ...]:
        """The problems as a person is told them: problems of records with one reason are one."""
        others = []
        for problem in self.problems:
            if problem not in self.record_problems:
                others.append(problem)
        return (*self.grouped_record_problems, *others)

    @property
    def faults(self) -> int:
        """The number of faults that the problems tell or count."""
        return sum(problem.faults for problem in self.problems)

    @property
    def exit_code(self) -> int:
        """The exit code: 0 the policy holds, 1 it is broken, 2 not everything could be judged, 3
        something is unknown.
        """
        routes = []
        for group in self.groups:
            routes.append(_ROUTE_OF_EXIT_CODE[group.row.exit_code])
        if self.since is not None and self.since.unchanged:
            routes.append(Route.LOCAL)
        return exit_code(routes, no_answer=bool(self.problems))

    @property
    def outcome(self) -> Result:
        """The outcome: `pass`, `fail` or `unknown`. A fail stays a fail where other entries were
        not judged.
        """
        if 1 in [group.row.exit_code for group in self.groups]:
            return Result.FAIL
        return Result.PASS if self.exit_code == 0 else Result.UNKNOWN

    def count(self, result: Result) -> int:
        """Return the number of verdicts with that result."""
        count = 0
        for group in self.groups:
            if group.row.result is result:
                count += group.count
        return count


def row_of(
    policy: Policy,
    wanted: Wanted,
    machine: str,
    verdict: Verdict,
    covers: Mapping[str, Exemption],
) -> AuditRow:
    """Return the row of a verdict under the policy; `covers` are the exceptions in force, by their
    checks.
    """
    failed = {}
    undecided = {}
    excepted = []
    for finding in verdict.findings:
        if verdict.route is Route.LOCAL or not finding.decides:
            continue
        check = finding.check
        reason = Reason(check=check, reason=finding.reason, remedy=finding.remedy)
        if check in covers:
            excepted.append((check, covers[check]))
        elif finding.outcome is Outcome.FAIL:
            failed[check] = reason
        else:
            undecided[check] = reason
    result = Result.PASS
    if failed:
        result = Result.FAIL
    elif undecided:
        result = Result.UNKNOWN
    elif excepted:
        result = Result.EXCEPTED
    return AuditRow(
        machine=machine,
        wanted=wanted,
        verdict=verdict,
        result=result,
        exit_code=_exit_code_of(policy, wanted, result),
        failed=tuple(failed),
        undecided=tuple(undecided),
        excepted=tuple(excepted),
        reasons=(*failed.values(), *undecided.values()),
    )


def unplaced_row(
    policy: Policy,
    wanted: Wanted,
    machine: Machine,
) -> AuditRow:
    """Return the row of a machine with an unread fact that decides whether the entry is for the
    machine.
    """
    reasons = []
    for selector in wanted.machines:
        if selector.kind != "class":
            continue
        machine_class = policy.classes_by_name[selector.pattern]
        if machine_class.holds(machine) is not None:
            continue
        for fact in machine_class.unread(machine):
            why = machine.why_unread(fact)
            unread = f"{why.fact} was not read ({why.reason})"
            text = f"may be of class {machine_class.name}: {unread}"
            reason = Reason(check=None, reason=text, remedy=why.remedy)
            reasons.append(reason)
    return AuditRow(
        machine=machine.name,
        wanted=wanted,
        verdict=None,
        result=Result.UNKNOWN,
        exit_code=_exit_code_of(policy, wanted, Result.UNKNOWN),
        reasons=tuple(reasons),
    )


def _exit_code_of(
    policy: Policy,
    wanted: Wanted,
    result: Result,
) -> int:
    """The exit code of a row: 0, 1 or 3. An unknown result never counts for more than a fail would,
    so that a missing fact turns no job red.
    """
    if result in (Result.PASS, Result.EXCEPTED):
        return 0
    severity = wanted.severity
    is_unknown = result is Result.UNKNOWN
    if is_unknown and policy.on_unknown == "ignore":
        return 0
    if is_unknown and policy.on_unknown == "warning":
        severity = "warning"
    if policy.fail_on == "never":
        return 0
    if policy.fail_on == "error" and severity == "warning":
        return 0
    return 3 if is_unknown and policy.on_unknown == "unknown" else 1


class Exemptions:
    """The policy's exceptions, with the number of rows that each covers, or would cover if it were
    in force.

    `today` is `YYYY-MM-DD` in UTC. An exception is known by its number in the policy.
    """

    def __init__(self, policy: Policy, today: str) -> None:
        self._policy = policy
        self._today = today
        self._rows: Counter[int] = Counter()
        self._concerned: set[int] = set()
        self._by_model = defaultdict(list)
        for exemption in self._policy.exceptions:
            self._by_model[exemption.model].append(exemption)

    def _is_expired(self, exemption: Exemption) -> bool:
        """Whether an exception is no longer in force today."""
        return self._today >= exemption.expires

    def concerning(self, model: str, machine: Machine) -> ExceptionNumbers:
        """Return the exceptions for a model on the machine where it is judged, in the policy's
        order.
        """
        numbers = []
        for exemption in self._by_model.get(model, ()):
            if self._policy.selects(exemption.machines, machine):
                numbers.append(exemption.index)
        self._concerned.update(numbers)
        return tuple(numbers)

    def of_checks(
        self, numbers: ExceptionNumbers, checks: set[str]
    ) -> ExceptionNumbers:
        """Return the exceptions among `numbers` that are for one of the checks."""
        kept = []
        for number in numbers:
            if self._policy.exceptions[number].rule in checks:
                kept.append(number)
        return tuple(kept)

    def covers(self, numbers: ExceptionNumbers) -> dict[str, Exemption]:
        """Return the first exception in force among `numbers` for each check."""
        covering: dict[str, Exemption] = {}
        for number in numbers:
            exemption = self._policy.exceptions[number]
            if not self._is_expired(exemption):
                covering.setdefault(exemption.rule, exemption)
        return covering

    def count(self, numbers: ExceptionNumbers, rows: int) -> None:
        """Count rows that need these exceptions. For each check, the rows count for the first
        exception in force; where none is in force, for all that have ended.
        """
        covering = self.covers(numbers)
        for number in numbers:
            exemption = self._policy.exceptions[number]
            if covering.get(exemption.rule, exemption) is exemption:
                self._rows[number] += rows

    def uses(self) -> tuple[ExemptionUse, ...]:
        """Return the use of each exception, in the policy's order."""
        uses = []
        for exemption in self._policy.exceptions:
            rows = self._rows[exemption.index]
            use = ExemptionState.USED if rows else ExemptionState.UNUSED
            if self._is_expired(exemption):
                use = ExemptionState.EXPIRED
            uses.append(
                ExemptionUse(
                    exemption=exemption,
                    use=use,
                    rows=rows,
                    concerned=exemption.index in self._concerned,
                )
            )
        return tuple(uses)
