"""A verdict and the exceptions -> what one row says of the policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..machine.record import Machine
from ..verdict.findings import Finding, Mark, Outcome
from ..verdict.record import Route, Verdict
from .exceptions import ExceptionsHere
from .policy import Exemption, FailOn, OnUnknown, Policy, Severity, Wanted
from .record import Reason, Result, Row

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def row_of(
    policy: Policy,
    wanted: Wanted,
    machine: Machine,
    verdict: Verdict,
    marks: tuple[Mark, ...],
    exceptions: ExceptionsHere,
) -> Row:
    """What the policy says of a verdict, of whose findings `marks` are."""
    exceptions.expect(wanted.name)
    return weighed(
        policy,
        wanted,
        marks,
        verdict.route,
        lambda check: exceptions.cover(wanted.name, check),
    ).row(machine.name, verdict, marks)


class Weighed:
    """What findings mean for one entry of the policy: a row, but for the machine and the words."""

    __slots__ = ("excepted", "exit_code", "failed", "result", "route", "undecided", "wanted")

    def __init__(
        self,
        wanted: Wanted,
        route: Route,
        failed: list[Mark],
        undecided: list[Mark],
        excepted: list[tuple[str, Exemption]],
    ) -> None:
        self.wanted, self.route = wanted, route
        self.failed, self.undecided, self.excepted = failed, undecided, excepted
        self.exit_code = 0
        if route is Route.LOCAL:
            self.result = Result.PASS
        elif failed:
            self.result = Result.FAIL
        elif undecided:
            self.result = Result.UNKNOWN
        elif excepted:
            self.result = Result.EXCEPTED
        else:
            self.result = Result.UNKNOWN if route is Route.UNKNOWN else Result.FAIL

    def row(self, machine: str, verdict: Verdict, marks: tuple[Mark, ...]) -> Row:
        """The row of a machine with that verdict. Its reasons are worded when they are read."""
        fields = {
            **self.fields(), "machine": machine, "verdict": verdict, "marks": marks, "change": None
        }  # fmt: skip
        decided = [mark.check for mark in (*self.failed, *self.undecided)]
        if decided:
            return Row.partly(
                {**fields}, lambda: Row(**fields, reasons=_reasons(verdict.findings, decided))
            )
        if self.result in (Result.FAIL, Result.UNKNOWN):
            fields["reasons"] = (Reason(check=None, text=f"the route is {self.route}"),)
        return Row.partly(fields)

    def fields(self) -> dict[str, Any]:
        """The fields of a row that are the same for all machines with these findings."""
        return {
            "wanted": self.wanted,
            "result": self.result,
            "exit_code": self.exit_code,
            "failed": tuple(finding.check for finding in self.failed),
            "undecided": tuple(finding.check for finding in self.undecided),
            "excepted": tuple(self.excepted),
        }


def weighed(
    policy: Policy,
    wanted: Wanted,
    findings: Sequence[Mark],
    route: Route,
    cover: Callable[[str], Exemption | None],
) -> Weighed:
    """`cover` gives the exception in force for a check that fails or is open."""
    failed: list[Mark] = []
    undecided: list[Mark] = []
    excepted: list[tuple[str, Exemption]] = []
    for finding in findings if route is not Route.LOCAL else ():
        fails = finding.outcome is Outcome.FAIL
        if not fails and not finding.leaves_open:
            continue
        exemption = cover(finding.check)
        if exemption is not None:
            excepted.append((finding.check, exemption))
        elif fails:
            failed.append(finding)
        else:
            undecided.append(finding)
    answer = Weighed(wanted, route, failed, undecided, excepted)
    answer.exit_code = weight(policy, wanted, answer.result)
    return answer


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


def _reasons(findings: Sequence[Finding], decided: Sequence[str]) -> tuple[Reason, ...]:
    by_check = {each.check: each for each in findings}
    return tuple(
        Reason(
            check=check,
            text=each.reason,
            remedy=each.remedy,
            short=each.short,
        )
        for check in decided
        for each in (by_check[check],)
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
