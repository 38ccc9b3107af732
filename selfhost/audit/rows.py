"""Findings and exceptions -> what one row says of the policy, and what became of each exception."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from ..judge.checks import Finding, Outcome
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
    deciding = [each for each in verdict.findings if each.decides]
    if verdict.route is Route.LOCAL:
        deciding = []
    excepted = [(each.check, covers[each.check]) for each in deciding if each.check in covers]
    left = [each for each in deciding if each.check not in covers]
    failed = [each for each in left if each.outcome is Outcome.FAIL]
    undecided = [each for each in left if each.outcome is not Outcome.FAIL]
    result = _result(verdict.route, failed, undecided, excepted)
    reasons = tuple(map(_reason, (*failed, *undecided)))
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
    route: Route,
    failed: Sequence[Finding],
    undecided: Sequence[Finding],
    excepted: Sequence[object],
) -> Result:
    if route is Route.LOCAL:
        return Result.PASS
    if failed:
        return Result.FAIL
    if undecided:
        return Result.UNKNOWN
    if excepted:
        return Result.EXCEPTED
    return Result.UNKNOWN if route is Route.UNKNOWN else Result.FAIL


def _reason(finding: Finding) -> Reason:
    return Reason(
        check=finding.check,
        text=finding.reason,
        remedy=finding.remedy,
        short=finding.short,
    )


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
        self.models = {each.model for each in exemptions}
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

    def cover(
        self, numbers: Sequence[int], checks: Container[str], rows: int
    ) -> dict[str, Exemption]:
        """Of exceptions with these numbers the first in force for each of the checks. Counts so
        many rows for each that covers one; one behind another in force covers nothing.
        """
        covers: dict[str, Exemption] = {}
        for number in numbers:
            each = self._exemptions[number]
            if each.rule not in checks:
                continue
            if not each.holds_on(self._today):
                self._rows[number] += rows
            elif each.rule not in covers:
                self._rows[number] += rows
                covers[each.rule] = each
        return covers

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        return tuple(
            ExemptionUse(
                exemption=each,
                use=self._use(each, rows),
                rows=rows,
                concerned=number in self._concerned,
            )
            for number, (each, rows) in enumerate(zip(self._exemptions, self._rows, strict=True))
        )

    def _use(self, exemption: Exemption, rows: int) -> Use:
        if not exemption.holds_on(self._today):
            return Use.EXPIRED
        return Use.USED if rows else Use.UNUSED
