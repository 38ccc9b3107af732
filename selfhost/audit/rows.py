"""Findings and exceptions -> what one row says of the policy, and what became of each exception."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from ..judge.checks import Outcome
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from .entries import Exemption, FailOn, OnUnknown, Policy, Severity, Wanted
from .record import ExemptionUse, Reason, Result, Row, Use


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
