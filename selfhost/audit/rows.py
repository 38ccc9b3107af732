"""The answer of an audit: rows, groups of machines that fare alike, the fate of exceptions; and
what the policy says of a verdict.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from ..core.errors import Problem
from ..core.records import Record
from ..judge.checks import Finding, Outcome
from ..judge.record import Route, Verdict, exit_code
from ..machine.record import Machine
from .policy import Exemption, Policy, Wanted

NAMES_SHOWN = 5


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


class Result(StrEnum):
    """What one row says of the policy; `excepted`: exceptions in force cover what failed."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    EXCEPTED = "excepted"


class Reason(Record):
    """One thing that decided a row."""

    check: str | None
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.check}: {self.reason}" if self.check else self.reason


class Row(Record):
    """One model on one machine.

    `verdict`: None where it is not known whether the policy asks for the model there, else that of
    a machine that fares alike and lacks most. `failed` and `undecided` are checks that no exception
    covers. `exit_code` is this row's part in the audit's. `change`: `new`, `fixed` or `changed`.
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
        """The verdict's route; unknown where there is no verdict."""
        return Route.UNKNOWN if self.verdict is None else self.verdict.route

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The verdict's findings; () where there is no verdict."""
        return () if self.verdict is None else self.verdict.findings


class Group(Record):
    """Machines that fare alike under an entry of the policy, `numbers` their places in the audit's;
    `row` is that of the machine with the largest shortfall.
    """

    row: Row
    numbers: Sequence[int]
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many machines."""
        return len(self.numbers)

    @property
    def name(self) -> str:
        """`edge-01`, or `edge-01 and 9 more`."""
        return (
            self.names[0]
            if self.count == 1
            else f"{self.names[0]} and {self.count - 1:,} more"
        )


class Use(StrEnum):
    """What became of an exception."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class ExemptionUse(Record):
    """`rows`: how many it covers, or would had it not ended; `concerned`: it is for a machine."""

    exemption: Exemption
    use: Use
    rows: int
    concerned: bool


class Since(Record):
    """An audit against an earlier one: how many rows became what."""

    file: str
    new: int
    fixed: int
    changed: int
    unchanged: int


class Audit(Record):
    """The answer of `today` (`YYYY-MM-DD`, UTC) for the machines of these `names`.

    With `since`, `groups` hold only what changed. With `problems`, faults of the policy or of
    records that showed only here, the exit code is 2. `notes` say what the answer rests on.
    """

    policy: Policy
    today: str
    names: Sequence[str] = ()
    groups: tuple[Group, ...] = ()
    exceptions: tuple[ExemptionUse, ...] = ()
    problems: tuple[Problem, ...] = ()
    since: Since | None = None
    notes: tuple[str, ...] = ()

    @property
    def machines(self) -> int:
        """How many machines were judged."""
        return len(self.names)

    @property
    def rows(self) -> Iterator[Row]:
        """A row for each model of each machine in turn, made when it is asked for."""
        columns = [array("l", [0]) * len(self.names) for _ in self.policy.models]
        for place, group in enumerate(self.groups, 1):
            for number in group.numbers:
                columns[group.row.wanted.index][number] = place
        for number, name in enumerate(self.names):
            for column in columns:
                if place := column[number]:
                    row = self.groups[place - 1].row
                    yield row if row.machine == name else row.replace(machine=name)

    @property
    def exit_code(self) -> int:
        """0 the policy holds, 1 it is broken, 2 not all could be judged, 3 something is unknown."""
        routes = {0: Route.LOCAL, 1: Route.NEITHER, 3: Route.UNKNOWN}
        judged = [routes[group.row.exit_code] for group in self.groups]
        if self.since is not None and self.since.unchanged:
            judged.append(Route.LOCAL)
        return exit_code(judged, no_answer=bool(self.problems))

    @property
    def outcome(self) -> Result:
        """`pass`, `fail` or `unknown`; a fail stays one where other things were not judged."""
        if any(group.row.exit_code == 1 for group in self.groups):
            return Result.FAIL
        return Result.PASS if self.exit_code == 0 else Result.UNKNOWN

    def count(self, result: Result) -> int:
        """How many verdicts have that result."""
        return sum(group.count for group in self.groups if group.row.result is result)


def row_of(
    policy: Policy,
    wanted: Wanted,
    machine: str,
    verdict: Verdict,
    covers: Mapping[str, Exemption],
) -> Row:
    """What the policy says of a verdict; `covers` are the exceptions in force, by their checks."""
    is_local = verdict.route is Route.LOCAL
    deciding = [each for each in verdict.findings if each.decides and not is_local]
    left = [each for each in deciding if each.check not in covers]
    failed = [each for each in left if each.outcome is Outcome.FAIL]
    undecided = [each for each in left if each.outcome is not Outcome.FAIL]
    result = Result.EXCEPTED if deciding else Result.PASS
    if left:
        result = Result.FAIL if failed else Result.UNKNOWN
    return Row(
        machine=machine,
        wanted=wanted,
        verdict=verdict,
        result=result,
        exit_code=_exit_code_of(policy, wanted, result),
        failed=tuple(each.check for each in failed),
        undecided=tuple(each.check for each in undecided),
        excepted=tuple(
            (each.check, covers[each.check]) for each in deciding if each not in left
        ),
        reasons=tuple(
            Reason(check=each.check, reason=each.reason, remedy=each.remedy)
            for each in (*failed, *undecided)
        ),
    )


def unplaced_row(policy: Policy, wanted: Wanted, machine: Machine) -> Row:
    """The row of a machine of which a fact is unread that the policy's class asks for."""
    names = [each.pattern for each in wanted.machines if each.kind == "class"]
    by_name = policy.classes_by_name
    classes = [by_name[name] for name in names if name in by_name]
    reasons = [
        Reason(
            check=None,
            reason=f"may be of class {each.name}: {why.fact} was not read ({why.reason})",
            remedy=why.remedy,
        )
        for each in classes
        if each.holds(machine) is None
        for why in map(machine.why_unread, each.unread(machine))
    ]
    return Row(
        machine=machine.name,
        wanted=wanted,
        verdict=None,
        result=Result.UNKNOWN,
        exit_code=_exit_code_of(policy, wanted, Result.UNKNOWN),
        reasons=tuple(reasons),
    )


def _exit_code_of(policy: Policy, wanted: Wanted, result: Result) -> int:
    """0, 1 or 3. An unknown never counts for more than a fail: knowing less turns no job red."""
    severity, counts_as = wanted.severity, policy.on_unknown
    is_unknown = result is Result.UNKNOWN
    if result in (Result.PASS, Result.EXCEPTED) or (
        is_unknown and counts_as == "ignore"
    ):
        return 0
    if is_unknown and counts_as == "warning":
        severity = "warning"
    if policy.fail_on == "never" or (
        policy.fail_on == "error" and severity == "warning"
    ):
        return 0
    return 3 if is_unknown and counts_as == "unknown" else 1


class Exemptions:
    """The policy's exceptions, and how many rows each covers, or would if it were in force."""

    def __init__(self, policy: Policy, today: str) -> None:
        self._policy, self._today = policy, today
        self._rows: Counter[int] = Counter()
        self._concerned: set[int] = set()
        self._by_model: dict[str, list[Exemption]] = {}
        for each in policy.exceptions:
            self._by_model.setdefault(each.model, []).append(each)

    def concerning(self, model: str, machine: Machine) -> tuple[int, ...]:
        """The numbers of those for a model that is judged on the machine, in the policy's order."""
        stated = self._by_model.get(model, ())
        numbers = [
            each.index
            for each in stated
            if self._policy.selects(each.machines, machine)
        ]
        self._concerned.update(numbers)
        return tuple(numbers)

    def covers(self, numbers: Sequence[int]) -> dict[str, Exemption]:
        """Of exceptions with these numbers the first in force for each check."""
        # the last that is put stays
        stated = map(self._policy.exceptions.__getitem__, reversed(numbers))
        return {each.rule: each for each in stated if self._today < each.expires}

    def count(self, numbers: Sequence[int], rows: int) -> None:
        """Count rows that need these exceptions; the first in force covers them."""
        covering = {each.index for each in self.covers(numbers).values()}
        for number in numbers:
            if (
                number in covering
                or self._today >= self._policy.exceptions[number].expires
            ):
                self._rows[number] += rows

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        uses = []
        for each in self._policy.exceptions:
            rows, is_concerned = self._rows[each.index], each.index in self._concerned
            use = Use.USED if rows else Use.UNUSED
            use = Use.EXPIRED if self._today >= each.expires else use
            uses.append(
                ExemptionUse(exemption=each, use=use, rows=rows, concerned=is_concerned)
            )
        return tuple(uses)
