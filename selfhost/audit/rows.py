"""A verdict and the exceptions -> what one row says of the policy."""

from __future__ import annotations

from ..machine.record import Machine
from ..verdict.findings import Finding, Outcome
from ..verdict.record import Route, Verdict
from .exceptions import ExceptionsHere
from .policy import Exemption, FailOn, OnUnknown, Policy, Severity, Wanted
from .record import Reason, Result, Row


def row_of(
    policy: Policy, wanted: Wanted, machine: Machine, verdict: Verdict, exceptions: ExceptionsHere
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
        if not fails and not finding.leaves_open:
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
        exit_code=_weight(policy, wanted, Result.UNKNOWN),
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
