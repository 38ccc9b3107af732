"""Verdicts and exceptions -> rows, counts and groups of a report, and the fate of exceptions."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from ..judge.checks import Outcome
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from .entries import Exemption, FailOn, OnUnknown, Policy, Severity, Wanted
from .fleet import Machines
from .record import (
    NAMES_SHOWN,
    Change,
    ExemptionUse,
    MachineGroup,
    Reason,
    Result,
    Row,
    Tally,
    Use,
)

# names that a group of machines has on which something fails or is not known
MOST_NAMES = 1_000
# rows of groups that a report by class can hold; where groups of machines that fare alike under
# every model would have more, machines are grouped by one model each
MOST_ROWS = 5_000
# models up to which the machines of a large fleet are grouped under all of them
MOST_TOGETHER = 24


def row_of(
    policy: Policy,
    wanted: Wanted,
    machine: str,
    verdict: Verdict,
    covers: Mapping[str, Exemption],
) -> Row:
    """What the policy says of a verdict; `covers` are the exceptions in force, by their checks."""
    is_local = verdict.route is Route.LOCAL
    deciding = [] if is_local else [each for each in verdict.findings if each.decides]
    excepted = [(each.check, covers[each.check]) for each in deciding if each.check in covers]
    left = [each for each in deciding if each.check not in covers]
    failed = [each for each in left if each.outcome is Outcome.FAIL]
    undecided = [each for each in left if each.outcome is not Outcome.FAIL]
    result = Result.PASS
    if not is_local:
        result = _result(verdict.route, failed, undecided, excepted)
    reasons = tuple(
        Reason(check=each.check, text=each.reason, remedy=each.remedy, short=each.short)
        for each in (*failed, *undecided)
    )
    if not reasons and result in (Result.FAIL, Result.UNKNOWN):
        reasons = (Reason(check=None, text=f"the route is {verdict.route}"),)
    return Row(
        machine=machine,
        wanted=wanted,
        verdict=verdict,
        result=result,
        exit_code=weight(policy, wanted, result),
        failed=tuple(each.check for each in failed),
        undecided=tuple(each.check for each in undecided),
        excepted=tuple(excepted),
        reasons=reasons,
    )


def _result(
    route: Route, failed: Sequence[object], undecided: Sequence[object], excepted: Sequence[object]
) -> Result:
    """What a row comes to whose model does not run, or may not."""
    if failed:
        return Result.FAIL
    if undecided:
        return Result.UNKNOWN
    if excepted:
        return Result.EXCEPTED
    return Result.UNKNOWN if route is Route.UNKNOWN else Result.FAIL


def unplaced_row(policy: Policy, wanted: Wanted, machine: Machine) -> Row:
    """The policy's class asks for a fact that was not read, so nobody can say whether the model
    is wanted here.
    """
    reasons = []
    for selector in wanted.machines:
        each = policy.class_by_name.get(selector.pattern) if selector.kind == "class" else None
        if each is not None and each.holds(machine) is None:
            for fact in each.unread(machine):
                why = machine.why_unread(fact)
                reasons.append(
                    Reason(
                        check=None,
                        text=f"may be of class {each.name}: {fact} was not read ({why.reason})",
                        remedy=why.remedy,
                    )
                )
    return Row(
        machine=machine.name,
        wanted=wanted,
        verdict=None,
        result=Result.UNKNOWN,
        exit_code=weight(policy, wanted, Result.UNKNOWN),
        reasons=tuple(reasons),
    )


def weight(policy: Policy, wanted: Wanted, result: Result) -> int:
    """The part of a row in the exit code: 0, 1 or 3. An unknown never counts for more than a fail
    of the same model: knowing less must not turn a job red.
    """
    if result in (Result.PASS, Result.EXCEPTED):
        return 0
    severity = wanted.severity
    if result is Result.UNKNOWN:
        if policy.on_unknown is OnUnknown.IGNORE:
            return 0
        if policy.on_unknown is OnUnknown.WARNING:
            severity = Severity.WARNING
    if policy.fail_on is FailOn.NEVER or (
        policy.fail_on is FailOn.ERROR and severity is Severity.WARNING
    ):
        return 0
    return 3 if result is Result.UNKNOWN and policy.on_unknown is OnUnknown.UNKNOWN else 1


class Exceptions:
    """The policy's exceptions, and how many rows each covers, or would if it were in force.

    They are found by the model's name and, where a selector gives it without a glob, by the
    machine's: a policy may state thousands.
    """

    def __init__(self, policy: Policy, today: str) -> None:
        self._policy, self._today = policy, today
        self._exemptions = exemptions = policy.exceptions
        self._rows = [0] * len(exemptions)
        self._concerned: set[int] = set()
        self._by_host: dict[tuple[str, str], list[int]] = {}
        self._by_model: dict[str, list[int]] = {}
        for number, each in enumerate(exemptions):
            if each.machines and all(selector.names_one_host for selector in each.machines):
                for host in {selector.pattern for selector in each.machines}:
                    self._by_host.setdefault((each.model, host), []).append(number)
            else:
                self._by_model.setdefault(each.model, []).append(number)

    def concerning(self, model: str, machine: Machine) -> tuple[int, ...]:
        """The numbers of those for a model that is judged on the machine, in the policy's order."""
        numbers = [
            number
            for number in self._by_model.get(model, ())
            if self._policy.selects(self._exemptions[number].machines, machine)
        ]
        numbers += self._by_host.get((model, machine.name), ())
        self._concerned.update(numbers)
        return tuple(sorted(numbers))

    def about(self, numbers: Sequence[int], checks: Container[str]) -> tuple[int, ...]:
        """Those of these exceptions that are for one of the checks."""
        return tuple([number for number in numbers if self._exemptions[number].rule in checks])

    def covers(self, numbers: Sequence[int]) -> dict[str, Exemption]:
        """Of exceptions with these numbers the first in force for each check."""
        covers: dict[str, Exemption] = {}
        for each in map(self._exemptions.__getitem__, numbers):
            if each.holds_on(self._today):
                covers.setdefault(each.rule, each)
        return covers

    def count(self, numbers: Sequence[int], rows: int) -> None:
        """Note that so many rows need these exceptions: one that has ended would cover them, and
        one behind another in force covers nothing.
        """
        covering = {each.index for each in self.covers(numbers).values()}
        for number in numbers:
            each = self._exemptions[number]
            if each.index in covering or not each.holds_on(self._today):
                self._rows[number] += rows

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        uses = []
        for number, (each, rows) in enumerate(zip(self._exemptions, self._rows, strict=True)):
            use = Use.USED if rows else Use.UNUSED
            if not each.holds_on(self._today):
                use = Use.EXPIRED
            is_concerned = number in self._concerned
            uses.append(ExemptionUse(exemption=each, use=use, rows=rows, concerned=is_concerned))
        return tuple(uses)


# ------------------------------------------------------------------ rows and groups


def shortfall(row: Row) -> float:
    """The largest amount that the row's machine lacks, in whatever unit it is."""
    return max((reason.short or 0 for reason in row.reasons), default=0)


class Alike:
    """Machines with the same result for the same reasons, as numbers in the fleet.

    `rows` are those of machines that were judged by themselves, by number; of the others `bounds`
    says, by kind, the most that one of them may lack. `exceptions` are the numbers of those for
    what decides there. `row` is that of the machine that lacks most.
    """

    def __init__(self, exceptions: tuple[int, ...] = (), change: Change | None = None) -> None:
        self.machines = array("l")
        self.rows: dict[int, Row] = {}
        self.bounds: dict[int, float] = {}
        self.exceptions, self.change = exceptions, change
        self.row: Row | None = None

    def add(self, number: int, row: Row) -> None:
        """A machine that was judged by itself."""
        self.machines.append(number)
        self.rows[number] = row
        if self.row is None or shortfall(row) > shortfall(self.row):
            self.row = row


class Entry:
    """What one entry of the policy comes to: the machines that it is for, by what decides."""

    def __init__(self, wanted: Wanted, machines: int) -> None:
        self.wanted = wanted
        self.by_key: dict[object, Alike] = {}
        # of each machine the number of its class from 1; 0 where the entry is not for it
        self.class_of = array("l", bytes(array("l").itemsize * machines))

    @property
    def classes(self) -> list[Alike]:
        """By the numbers in `class_of`, less 1."""
        return list(self.by_key.values())

    def alike(
        self, key: object, exceptions: tuple[int, ...] = (), change: Change | None = None
    ) -> Alike:
        """The machines with that key so far."""
        return self.by_key.setdefault((key, exceptions, change), Alike(exceptions, change))

    def settle(self) -> None:
        """All machines are there: put them in order."""
        for number, alike in enumerate(self.classes, 1):
            alike.machines = array("l", sorted(alike.machines))
            for machine in alike.machines:
                self.class_of[machine] = number


# gives the row of the machine that lacks most, of some machines of a class
Hardest = Callable[[Entry, Alike, Sequence[int]], Row]


class Rows:
    """Every row of an audit, machine after machine. That of a machine that was not judged by itself
    has the verdict of one that fares alike and lacks most.
    """

    def __init__(
        self, machines: Machines, entries: Sequence[Entry], hardest: Hardest, *, is_small: bool
    ) -> None:
        self._machines, self._entries = machines, entries
        self._hardest, self._is_small = hardest, is_small
        for entry in entries:
            entry.settle()
            for alike in entry.classes:
                if alike.row is None:
                    alike.row = self._worst(entry, alike, alike.machines)

    def _worst(self, entry: Entry, alike: Alike, machines: Sequence[int]) -> Row:
        if alike.row is not None and len(machines) == len(alike.machines):
            return alike.row
        row = self._hardest(entry, alike, machines)
        if alike.change is None:
            return row
        # what is not newly wrong breaks nothing
        exit_code = row.exit_code if alike.change is Change.NEW else 0
        return row.replace(change=alike.change, exit_code=exit_code)

    def _classes(self) -> Iterator[tuple[Entry, Alike, Row]]:
        for entry in self._entries:
            for alike in entry.classes:
                assert alike.row is not None
                yield entry, alike, alike.row

    def __iter__(self) -> Iterator[Row]:
        columns = [(entry.class_of, entry.classes) for entry in self._entries]
        for number, name in enumerate(self._machines.names):
            for class_of, classes in columns:
                if class_of[number]:
                    alike = classes[class_of[number] - 1]
                    row = alike.rows.get(number, alike.row)
                    assert row is not None
                    yield row if row.machine == name else row.replace(machine=name)

    def tally(self) -> Tally:
        """What all rows come to."""
        results: dict[str, int] = {}
        codes = set()
        for _, alike, row in self._classes():
            results[row.result] = results.get(row.result, 0) + len(alike.machines)
            codes.add(row.exit_code)
        return Tally(results=results, codes=frozenset(codes))

    def changed(self, change_of: Callable[[Row], Change | None]) -> Rows:
        """Those rows alone of which that tells a change, with it."""
        entries = []
        for entry in self._entries:
            kept, classes = Entry(entry.wanted, len(self._machines)), entry.classes
            for number, name in enumerate(self._machines.names):
                if not entry.class_of[number]:
                    continue
                alike = classes[entry.class_of[number] - 1]
                assert alike.row is not None
                change = change_of(alike.row.replace(machine=name))
                if change is not None:
                    own = kept.alike(entry.class_of[number], alike.exceptions, change)
                    own.machines.append(number)
                    own.bounds = alike.bounds
                    if (row := alike.rows.get(number)) is not None:
                        exit_code = row.exit_code if change is Change.NEW else 0
                        own.rows[number] = row.replace(change=change, exit_code=exit_code)
            entries.append(kept)
        return Rows(self._machines, entries, self._hardest, is_small=self._is_small)

    # ------------------------------------------------------------------ groups of machines

    def groups(self) -> tuple[MachineGroup, ...]:
        """Machines that fare alike under all models, or else under each."""
        if self._is_small or len(self._entries) <= MOST_TOGETHER:
            by_key: dict[tuple[int, ...], array[int]] = {}
            columns = [entry.class_of for entry in self._entries]
            for number, key in enumerate(zip(*columns, strict=True)):
                by_key.setdefault(key, array("l")).append(number)
            if self._is_small or sum(len(key) - key.count(0) for key in by_key) <= MOST_ROWS:
                return tuple(self._joint(key, own) for key, own in by_key.items() if any(key))
        return tuple(self._by_model())

    def _joint(self, key: tuple[int, ...], machines: Sequence[int]) -> MachineGroup:
        rows = [
            self._worst(entry, entry.classes[number - 1], machines)
            for entry, number in zip(self._entries, key, strict=True)
            if number
        ]
        return self._group(machines, rows)

    def _by_model(self) -> Iterator[MachineGroup]:
        """Under each model, whatever else than the checks that decide differs."""
        for entry in self._entries:
            merged: dict[object, list[Alike]] = {}
            for alike in entry.classes:
                row = alike.row
                assert row is not None
                excepted = tuple([(check, each.index) for check, each in row.excepted])
                texts = () if row.verdict is not None else tuple(map(str, row.reasons))
                key = row.result, row.failed, row.undecided, excepted, row.change, texts
                merged.setdefault(key, []).append(alike)
            groups = []
            for own in merged.values():
                machines = sorted([number for alike in own for number in alike.machines])
                rows = [alike.row for alike in own if alike.row is not None]
                groups.append((machines, max(rows, key=shortfall)))
            for machines, row in sorted(groups, key=lambda pair: pair[0][0]):
                yield self._group(machines, [row])

    def _group(self, machines: Sequence[int], rows: Sequence[Row]) -> MachineGroup:
        is_passing = all(row.result is Result.PASS for row in rows)
        shown = machines[: NAMES_SHOWN if is_passing else MOST_NAMES]
        names = tuple([self._machines.names[number] for number in shown])
        return MachineGroup(names=names, count=len(machines), rows=tuple(rows))
