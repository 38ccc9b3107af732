"""Many models x many machines x a policy -> Audit: rows in a fixed order, what each means for
the policy, and the exit code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from io import BytesIO

from ..core.errors import (
    MAX_PROBLEMS,
    Faults,
    InputError,
    MachineFileError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from ..core.reading import Budget, Unreadable, open_input, read_records, too_large
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import MAX_FILE_BYTES, Machine, machine_of
from ..verdict.findings import Finding, Outcome
from ..verdict.record import Route, Verdict, exit_code
from .policy import Exemption, FailOn, Fault, OnUnknown, Place, Policy, Severity, Wanted

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO

    from .progress import Progress

Judge = Callable[[str, Workload, Machine], Verdict]

# one recorded machine is about 4 kB; larger fleets are audited in parts
MAX_FLEET_BYTES = 1 << 26
MAX_MACHINES = 10_000
# a recorded machine has 290 to 360 of them; of all records together, for all are kept
MAX_FLEET_SIGNS = 4_200_000
NAMES_SHOWN = 5
# until the name of its file can be given to it
_UNNAMED = "that machine"
_RECORD_IT = "record a machine with `selfhost machine --format json --name NAME`"


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


class Row(Record):
    """One model on one machine.

    `verdict` is None where it is not known whether the policy asks for the model there. `failed`
    and `undecided` are the names of findings that no exception covers, `excepted` those one does,
    each with it. `reasons` decided the row: for a pass there are none. `exit_code` is this row's
    part in the audit's: 0, 1 or 3, after `fail_on`, `on_unknown` and severity.
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


class Audit(Record):
    """The answer. `machines` counts those judged, `today` (`YYYY-MM-DD`, UTC) is the day that
    exceptions were held against.

    `problems` are faults of the policy or of machine records that showed only here: with any of
    them the exit code is 2.
    """

    policy: Policy
    today: str
    machines: int
    rows: tuple[Row, ...]
    groups: tuple[MachineGroup, ...]
    exceptions: tuple[ExemptionUse, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 the policy holds, 1 it is broken, 2 not all could be judged or nothing was, 3
        nothing is 1 but something is unknown.
        """
        routes = {0: Route.LOCAL, 1: Route.NEITHER, 3: Route.UNKNOWN}
        return exit_code(
            (routes[row.exit_code] for row in self.rows), no_answer=bool(self.problems)
        )

    @property
    def outcome(self) -> Result:
        """`pass`, `fail` or `unknown`. What fails stays a fail where other things could not be
        judged.
        """
        if any(row.exit_code == 1 for row in self.rows):
            return Result.FAIL
        return Result.PASS if self.exit_code == 0 else Result.UNKNOWN

    def count(self, result: Result) -> int:
        """How many rows have that result."""
        return sum(row.result is result for row in self.rows)


class Fleet(Record):
    """Recorded machines with names that differ, and every record that cannot be used."""

    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...]


def run_audit(
    policy: Policy,
    machines: Sequence[Machine],
    judge: Judge,
    *,
    today: str,
    problems: Iterable[Problem] = (),
    progress: Progress | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it: machines in the order given,
    models in the policy's.

    `judge` takes the model's name, the workload and the machine; a `SelfhostError` of it (an
    unknown model, a quantization nobody makes) becomes a problem at the policy's line. `today` is
    `YYYY-MM-DD` in UTC, else `ValueError`. `problems` are those of records left out of `machines`.
    Machines have different names. `progress` is told how far it is.
    """
    from datetime import date

    today = date.fromisoformat(today).isoformat()
    found: list[Problem] = []
    given = tuple(problems)
    if not machines and not given:
        found.append(
            Problem(file=policy.file, message="there is no machine to judge", remedy=_RECORD_IT)
        )
    refused: dict[int, tuple[Wanted, SelfhostError]] = {}
    placed: set[int] = set()
    exceptions = _Exceptions(policy.exceptions, today)
    rows: list[Row] = []
    by_machine: list[tuple[Row, ...]] = []
    for number, machine in enumerate(machines):
        mine: list[Row] = []
        place = Place(policy, machine)
        excepted = exceptions.at(machine, place)
        for wanted in policy.models:
            if progress is not None:
                progress.judge(number, len(machines), wanted.index, len(policy.models))
            selected = place.selects(wanted.machines)
            if selected is not False:
                placed.add(wanted.index)
            if selected is False or wanted.index in refused:
                continue
            if selected is None:
                mine.append(_unplaced(policy, wanted, machine))
                continue
            try:
                verdict = judge(wanted.name, place.workload(wanted), machine)
            except SelfhostError as error:
                refused[wanted.index] = (wanted, error)
                continue
            mine.append(_row(policy, wanted, machine, verdict, excepted))
        excepted.count()
        by_machine.append(tuple(mine))
        rows.extend(mine)
    found += Faults(policy.file, _of_other_files(refused.values())).problems
    unplaced = (
        [wanted for wanted in policy.models if wanted.index not in placed] if machines else []
    )
    if faults := [*_refusals(refused.values()), *_selecting_none(unplaced, len(machines))]:
        found += policy.problems(faults)
    return Audit(
        policy=policy,
        today=today,
        machines=len(machines),
        rows=tuple(rows),
        groups=_grouped(by_machine),
        exceptions=exceptions.uses(),
        problems=(*given, *found),
    )


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def load_machines(
    path: str, *, stdin: bytes | None = None, progress: Progress | None = None
) -> Fleet:
    """Recorded machines from a file (one record, a list of them, or one per line), every `*.json`
    and `*.jsonl` of a folder, or `-`.

    `-` reads standard input, or the bytes `stdin` instead. Nothing raises: what cannot be used is
    in `problems`, at most MAX_PROBLEMS of them and a count of the rest. A record without a name of
    its own takes its file's name, and its line's number where the file holds several.
    `progress` is told how far it is.
    """
    fleet = _Gathering("standard input" if path == "-" else path, progress)
    if path == "-" and stdin is not None:
        fleet.add_stream("standard input", BytesIO(stdin))
    elif path == "-":
        fleet.add_file("/dev/stdin", "standard input")
    elif os.path.isdir(path):
        for name in _records_in(path, fleet):
            fleet.add_file(os.path.join(path, name))
    else:
        fleet.add_file(path)
    return Fleet(machines=tuple(fleet.machines.values()), problems=fleet.faults.problems)


def _records_in(folder: str, fleet: _Gathering) -> list[str]:
    """The names of the files of records in a folder, sorted; what is wrong with it becomes a
    problem of the fleet.
    """
    try:
        names = sorted(
            name
            for name in os.listdir(folder)
            if name.endswith((".json", ".jsonl")) and not name.startswith(".")
        )
    except OSError as error:
        fleet.faults.append(
            Problem(file=folder, message=f"cannot be read: {error.strerror or error}")
        )
        return []
    if "facts.json" in names and os.path.isfile(os.path.join(folder, "env.json")):
        remedy = (
            f"make a record of it: `selfhost machine --root {folder} --format json > machine.json`,"
            " then name machine.json"
        )
        fleet.faults.append(
            Problem(
                file=folder, message="is a recorded tree, not a folder of records", remedy=remedy
            )
        )
        return []
    if not names:
        fleet.faults.append(
            Problem(file=folder, message="the folder holds no *.json file", remedy=_RECORD_IT)
        )
    return names


class _Gathering:
    """The machines read so far by name, and what is wrong with others: of all files together,
    for their memory adds up.
    """

    def __init__(self, file: str, progress: Progress | None = None) -> None:
        self.progress = progress
        self.machines: dict[str, Machine] = {}
        self.origins: dict[str, str] = {}
        self.faults = Faults(file)
        self.read = 0
        self.budget = Budget(MAX_FLEET_SIGNS)

    def add_file(self, path: str, shown: str | None = None) -> None:
        """The records of one file, which problems call `shown`."""
        file = shown or path
        try:
            stream, size = open_input(path)
            with stream:
                if size is not None and size > MAX_FLEET_BYTES:
                    raise too_large(MAX_FLEET_BYTES)
                self.add_stream(file, stream)
        except Unreadable as error:
            self.faults.append(
                Problem(file=file, message=error.reason, remedy=error.remedy or _RECORD_IT)
            )

    def add_stream(self, file: str, stream: IO[bytes]) -> None:
        """The records of one stream: none of them where the whole is no list of records, or
        more than an audit takes.
        """
        before = self.budget.signs_left
        held: list[tuple[int | None, int, Machine]] = []
        faults = Faults(file)
        count = 0
        try:
            for entry in read_records(
                stream,
                max_bytes=MAX_FLEET_BYTES,
                max_record_bytes=MAX_FILE_BYTES,
                budget=self.budget,
            ):
                if self.progress is not None:
                    self.progress.read(self.read + count)
                if entry.fault is not None:
                    remedy = entry.fault.remedy or _RECORD_IT
                    faults.append(
                        Problem(
                            file=file, line=entry.line, message=entry.fault.reason, remedy=remedy
                        )
                    )
                    continue
                count += 1
                if self.read + count > MAX_MACHINES:
                    raise Unreadable(
                        f"makes more than {MAX_MACHINES:,} machines: audit them in parts"
                    )
                try:
                    held.append(
                        (
                            entry.line,
                            count,
                            machine_of(
                                entry.value,
                                file,
                                entry.doubled,
                                entry.more_doubled,
                                unnamed=_UNNAMED,
                            ),
                        )
                    )
                except MachineFileError as error:
                    faults.extend(error, line=entry.line)
            if not count and not faults:
                raise Unreadable("holds no machine")
        except Unreadable as error:
            self.budget.signs_left = before
            self.faults.append(
                Problem(
                    file=file,
                    line=error.line,
                    message=error.reason,
                    remedy=error.remedy or _RECORD_IT,
                )
            )
            return
        self.read += len(held)
        self.faults.join(faults)
        stem = os.path.splitext(os.path.basename(file))[0]
        for line, place, machine in held:
            if machine.name == _UNNAMED:
                machine = machine.replace(name=stem if count == 1 else f"{stem}:{line or place}")
            self._add(file, line, machine)

    def _add(self, file: str, line: int | None, machine: Machine) -> None:
        if machine.name not in self.machines:
            self.machines[machine.name] = machine
            self.origins[machine.name] = file if line is None else f"{file}:{line}"
            return
        message = (
            f'"{machine.name}" is also the name of the machine in {self.origins[machine.name]}'
        )
        remedy = "give each its own: `selfhost machine --name NAME`"
        self.faults.append(
            Problem(file=file, line=line, key="name", message=message, remedy=remedy)
        )


def _of_other_files(refused: Iterable[tuple[Wanted, SelfhostError]]) -> list[Problem]:
    """Faults of other files than the policy, such as a spec that one of its models names; each
    once.
    """
    others = (
        error.problems
        for _, error in refused
        if isinstance(error, InputError) and not isinstance(error, WorkloadError)
    )
    return list(dict.fromkeys(problem for problems in others for problem in problems))


def _refusals(refused: Iterable[tuple[Wanted, SelfhostError]]) -> Iterator[Fault]:
    """Why no verdict can be given for an entry, on any machine."""
    for place, (wanted, error) in enumerate(refused):
        if isinstance(error, WorkloadError) and error.problems:
            yield from (
                (wanted.index, each.key or "name", each.message, each.remedy)
                for each in error.problems
            )
        elif not isinstance(error, InputError) or not error.problems:
            remedy = error.remedy
            # to find near names takes far longer than all else: only for what will be listed
            if place < MAX_PROBLEMS and isinstance(error, UnknownModelError) and error.nearest:
                remedy = f'did you mean "{error.nearest[0]}"?'
            yield wanted.index, "name", error.message, remedy


def _selecting_none(unplaced: Iterable[Wanted], machines: int) -> Iterator[Fault]:
    message = (
        f"selects none of the {machines:,} machines"
        if machines > 1
        else "does not select the machine"
    )
    remedy = (
        "widen the selectors, add labels or a name to the machine's record, or remove the entry"
    )
    return ((wanted.index, "machines", message, remedy) for wanted in unplaced)


class _Exceptions:
    """The policy's exceptions, and what became of each.

    They are found by the model's name and, where a selector gives it without a glob, by the
    machine's: a policy may state thousands, and thousands of models and machines ask.
    """

    def __init__(self, exemptions: Sequence[Exemption], today: str) -> None:
        self.exemptions = exemptions
        self.today = today
        self.rows = [0] * len(exemptions)
        self.concerned = [False] * len(exemptions)
        self._by_host: dict[tuple[str, str], list[int]] = {}
        self._by_model: dict[str, list[int]] = {}
        for number, each in enumerate(exemptions):
            hosts = {selector.pattern for selector in each.machines if selector.names_one_host}
            if each.machines and all(selector.names_one_host for selector in each.machines):
                for host in hosts:
                    self._by_host.setdefault((each.model, host), []).append(number)
            else:
                self._by_model.setdefault(each.model, []).append(number)

    def at(self, machine: Machine, place: Place) -> _ExceptionsHere:
        """Those of one machine."""
        return _ExceptionsHere(self, machine, place)

    def of(self, model: str, machine: Machine, place: Place) -> list[int]:
        """The numbers of those that are for the model on that machine, in the policy's order."""
        selected = [
            number
            for number in self._by_model.get(model, ())
            if place.selects(self.exemptions[number].machines)
        ]
        return sorted((*selected, *self._by_host.get((model, machine.name), ())))

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        together = zip(self.exemptions, self.rows, self.concerned, strict=True)
        return tuple(_use(each, rows, concerned, self.today) for each, rows, concerned in together)


class _ExceptionsHere:
    """The exceptions for the models of one machine, and how many of its rows each finding's
    cover.
    """

    def __init__(self, exceptions: _Exceptions, machine: Machine, place: Place) -> None:
        self._all = exceptions
        self._machine = machine
        self._place = place
        self._by_rule: dict[str, dict[str, list[int]]] = {}
        self._asked: dict[tuple[str, str], int] = {}

    def expect(self, model: str) -> None:
        """The model was judged there: its exceptions are concerned."""
        if model in self._by_rule:
            return
        by_rule = self._by_rule[model] = {}
        for number in self._all.of(model, self._machine, self._place):
            self._all.concerned[number] = True
            by_rule.setdefault(self._all.exemptions[number].rule, []).append(number)

    def cover(self, model: str, rule: str) -> Exemption | None:
        """The first in force for that finding of the model; `count` counts the row for each
        that covers it, or would.
        """
        numbers = self._by_rule[model].get(rule)
        if numbers is None:
            return None
        self._asked[model, rule] = self._asked.get((model, rule), 0) + 1
        exemptions = (self._all.exemptions[number] for number in numbers)
        return next((each for each in exemptions if each.holds_on(self._all.today)), None)

    def count(self) -> None:
        """All rows of the machine are there. An exception behind another in force covers
        nothing.
        """
        for (model, rule), rows in self._asked.items():
            is_covered = False
            for number in self._by_rule[model][rule]:
                in_force = self._all.exemptions[number].holds_on(self._all.today)
                if not in_force or not is_covered:
                    self._all.rows[number] += rows
                is_covered = is_covered or in_force


def _unplaced(policy: Policy, wanted: Wanted, machine: Machine) -> Row:
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
        exit_code=_weight(policy, wanted, Result.UNKNOWN),
        reasons=tuple(reasons),
    )


def _row(
    policy: Policy, wanted: Wanted, machine: Machine, verdict: Verdict, exceptions: _ExceptionsHere
) -> Row:
    exceptions.expect(wanted.name)
    if verdict.route is Route.LOCAL:
        return Row(
            machine=machine.name, wanted=wanted, verdict=verdict, result=Result.PASS, exit_code=0
        )
    failed: list[Finding] = []
    undecided: list[Finding] = []
    excepted: list[tuple[str, Exemption]] = []
    for finding in verdict.findings:
        fails = finding.outcome is Outcome.FAIL
        # an unknown speed never decides
        if not fails and (finding.outcome is not Outcome.UNKNOWN or finding.check == "speed"):
            continue
        cover = exceptions.cover(wanted.name, finding.check)
        if cover is not None:
            excepted.append((finding.check, cover))
        elif fails:
            failed.append(finding)
        else:
            undecided.append(finding)
    reasons = [_reason(finding) for finding in (*failed, *undecided)]
    if failed:
        result = Result.FAIL
    elif undecided:
        result = Result.UNKNOWN
    elif excepted:
        result = Result.EXCEPTED
    else:
        result = Result.UNKNOWN if verdict.route is Route.UNKNOWN else Result.FAIL
        reasons.append(Reason(check=None, text=f"the route is {verdict.route}"))
    return Row(
        machine=machine.name,
        wanted=wanted,
        verdict=verdict,
        result=result,
        exit_code=_weight(policy, wanted, result),
        failed=tuple(finding.check for finding in failed),
        undecided=tuple(finding.check for finding in undecided),
        excepted=tuple(excepted),
        reasons=tuple(reasons),
    )


def _reason(finding: Finding) -> Reason:
    return Reason(
        check=finding.check, text=finding.reason, remedy=finding.remedy, short=finding.short
    )


def _weight(policy: Policy, wanted: Wanted, result: Result) -> int:
    """0, 1 or 3. An unknown never counts for more than a fail of the same model: knowing less
    must not turn a job red.
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


def _use(exemption: Exemption, rows: int, concerned: bool, today: str) -> ExemptionUse:
    use = Use.EXPIRED if not exemption.holds_on(today) else Use.USED if rows else Use.UNUSED
    return ExemptionUse(exemption=exemption, use=use, rows=rows, concerned=concerned)


def _grouped(by_machine: Iterable[tuple[Row, ...]]) -> tuple[MachineGroup, ...]:
    """In the order of each group's first machine. A machine that no model is wanted on is in
    none.
    """
    alike: dict[object, list[tuple[Row, ...]]] = {}
    for rows in by_machine:
        if rows:
            alike.setdefault(tuple(map(_signature, rows)), []).append(rows)
    return tuple(
        MachineGroup(
            names=tuple(rows[0].machine for rows in members[:NAMES_SHOWN]),
            count=len(members),
            rows=tuple(max(column, key=_shortfall) for column in zip(*members, strict=True)),
        )
        for members in alike.values()
    )


def _signature(row: Row) -> object:
    """What makes two rows alike: all but the figures."""
    told = tuple(
        (each.check, each.code, each.outcome)
        for each in row.findings
        if each.outcome is not Outcome.PASS
    )
    untold = tuple(reason.text for reason in row.reasons if reason.check is None)
    return (
        row.wanted.index,
        row.result,
        row.route,
        told,
        untold,
        tuple((check, each.index) for check, each in row.excepted),
    )


def _shortfall(row: Row) -> float:
    return max((reason.short or 0 for reason in row.reasons), default=0)
