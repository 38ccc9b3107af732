"""Findings and exceptions -> what one row says of the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..machine.record import Machine
from ..verdict.findings import Finding, Outcome
from ..verdict.record import Route, Verdict
from .entries import Exemption, FailOn, OnUnknown, Policy, Severity, Wanted
from .record import Reason, Result, Row


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
