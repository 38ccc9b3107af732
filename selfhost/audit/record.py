"""The answer of an audit: rows, groups of machines that fare alike, the fate of exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from ..core.errors import Problem
from ..core.records import Record
from ..judge.checks import Finding
from ..judge.record import Route, Verdict, exit_code
from .entries import Exemption, Policy, Wanted

NAMES_SHOWN = 5


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


class Result(StrEnum):
    """What one row says of the policy. `excepted`: everything that failed is covered by
    exceptions in force.
    """

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    EXCEPTED = "excepted"


class Reason(Record):
    """One thing that decided a row. `check` is the finding's name, None where there was none;
    `short` what is missing, in its unit.
    """

    check: str | None
    text: str
    remedy: str | None = None
    short: float | None = None

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" if self.check else self.text


class Change(StrEnum):
    """What became of a row since the baseline. `new`: it fails, or is unknown, and did not or was
    not; also where more findings fail. `fixed`: it failed or was unknown, and passes.
    """

    NEW = "new"
    FIXED = "fixed"
    CHANGED = "changed"


class Since(Record):
    """An audit against an earlier one: how many rows became what."""

    file: str
    new: int
    fixed: int
    changed: int
    unchanged: int


class Row(Record):
    """One model on one machine.

    `verdict` is None where it is not known whether the policy asks for the model there. In the rows
    of a large fleet, and in their reasons, it is that of a machine that fares alike and lacks most.
    `failed` and `undecided` are the names of findings that
    no exception covers, `excepted` those one does, each with it. `reasons` decided the row: for a
    pass there are none. `exit_code` is this row's part in the audit's: 0, 1 or 3, after `fail_on`,
    `on_unknown` and severity. `change` is None where no baseline was given.
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
    change: Change | None = None

    @property
    def route(self) -> Route:
        """The verdict's route; unknown where there is no verdict."""
        return Route.UNKNOWN if self.verdict is None else self.verdict.route

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The verdict's findings; () where there is no verdict."""
        return () if self.verdict is None else self.verdict.findings


class MachineGroup(Record):
    """Machines that fare alike: the same results for the same reasons.

    `names` are the first ones; `rows` has one row per model, that of the machine with the largest
    shortfall.
    """

    names: tuple[str, ...]
    count: int
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """`edge-01`, or `edge-01 and 9 more`."""
        return self.names[0] if self.count == 1 else f"{self.names[0]} and {self.count - 1:,} more"


class Use(StrEnum):
    """What became of an exception."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class ExemptionUse(Record):
    """`rows`: how many it covered; for an expired one, how many it would have covered.
    `concerned`: a machine of it was judged.
    """

    exemption: Exemption
    use: Use
    rows: int
    concerned: bool


class Tally(Record):
    """How many rows have which result, and the parts that they have in the exit code."""

    results: Mapping[str, int] = {}
    codes: frozenset[int] = frozenset()


class Audit(Record):
    """The answer. `machines` counts those judged, `today` (`YYYY-MM-DD`, UTC) is the day that
    exceptions were held against.

    `rows` has one row for each machine and model, machines in the order given; it is no tuple, but
    makes each when it is come to. `tally` is what they come to. `groups` are the machines that fare
    alike: under all models together, or, where that would be thousands of groups, under one model
    each. With `since`, `rows` and `groups` hold only what changed.
    `problems` are faults of the policy or of machine records that showed only here: with any of
    them the exit code is 2. `notes` say what the answer rests on: facts that the policy states, and
    records that are old.
    """

    policy: Policy
    today: str
    machines: int
    rows: Iterable[Row] = ()
    tally: Tally = Tally()
    groups: tuple[MachineGroup, ...] = ()
    exceptions: tuple[ExemptionUse, ...] = ()
    problems: tuple[Problem, ...] = ()
    since: Since | None = None
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 the policy holds, 1 it is broken, 2 not all could be judged or nothing was, 3
        nothing is 1 but something is unknown.
        """
        routes = {0: Route.LOCAL, 1: Route.NEITHER, 3: Route.UNKNOWN}
        judged = [routes[code] for code in self.tally.codes]
        if self.since is not None and self.since.unchanged:
            judged.append(Route.LOCAL)
        return exit_code(judged, no_answer=bool(self.problems))

    @property
    def outcome(self) -> Result:
        """`pass`, `fail` or `unknown`. What fails stays a fail where other things could not be
        judged.
        """
        if 1 in self.tally.codes:
            return Result.FAIL
        return Result.PASS if self.exit_code == 0 else Result.UNKNOWN

    def pairs(self) -> Iterator[tuple[MachineGroup, Row]]:
        """Each group of machines with each row of it."""
        return ((group, row) for group in self.groups for row in group.rows)

    def count(self, result: Result) -> int:
        """How many rows have that result."""
        return self.tally.results.get(result, 0)
