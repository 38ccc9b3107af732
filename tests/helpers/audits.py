"""Audits to render: made policies and machines, judged by a table of what each model comes to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers import report_samples as samples
from selfhost.audit import run
from selfhost.audit.baseline import Baseline
from selfhost.audit.kinds import Machines
from selfhost.audit.machines import Fleet
from selfhost.audit.policy import Wanted, read_policy
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.rows import Audit
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import Problem
from selfhost.core.tables import Document
from selfhost.core.workload import Workload
from selfhost.judge.checks import CHECKS, Finding, Outcome, StatedWords
from selfhost.judge.record import Question, Route, Verdict
from selfhost.machine.record import Machine
from selfhost.reports.audit_formats import FORMATS

TODAY = "2026-11-20"
GIB = 2**30
# (model, machine) -> check -> outcome; (model, "*") holds for all machines
Table = Mapping[tuple[str, str], Mapping[str, Outcome]]


def finding(check: str, outcome: Outcome, said: str = "", number: int = 0) -> Finding:
    """With figures in bytes for memory and disk: the larger the number, the more is missing."""
    is_bad = outcome in (Outcome.FAIL, Outcome.UNKNOWN)
    plain = Finding(
        check=check,
        outcome=outcome,
        code=samples.PLAIN_CODES[check],
        words=StatedWords(
            reason=said or f"the {check} is {outcome}",
            remedy=f"mend the {check}" if is_bad else None,
        ),
    )
    if check not in ("memory", "disk") or outcome is Outcome.UNKNOWN:
        return plain
    has = (16 - number % 8) * GIB
    needs = 5 * GIB
    if outcome is Outcome.FAIL:
        needs = has + (number % 8 + 1) * GIB
    short = max(0, needs - has)
    return plain.replace(unit="bytes", needs=needs, has=has, short=short)


def verdict_of(
    asked: str,
    workload: Workload,
    machine: Machine,
    route: Route,
    findings: tuple[Finding, ...],
) -> Verdict:
    """Of a model of which nothing is known but its name, `NAME-id`."""
    return Verdict(
        asked=asked,
        question=Question(
            spec=ModelSpec(id=f"{asked}-id", name=asked), workload=workload
        ),
        machine=machine,
        route=route,
        findings=findings,
    )


def route_of(findings: Sequence[Finding]) -> Route:
    """Local, unless a finding fails or one that decides is unknown."""
    if any(finding.outcome is Outcome.FAIL for finding in findings):
        return Route.NEITHER
    if any(finding.decides for finding in findings):
        return Route.UNKNOWN
    return Route.LOCAL


@dataclass(frozen=True)
class JudgeByTable:
    """A judge that looks up what it finds, by the model and the processor of the machine. A process
    that is not a copy of this one is sent it.
    """

    rows: Table
    # by the processor, which tells how much is missing
    numbers: Mapping[str, int]
    said: str

    def __call__(self, wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        asked = wanted.name
        name = machine.cpu_model or ""
        outcomes = self.rows.get((asked, name)) or self.rows.get((asked, "*")) or {}
        number = self.numbers.get(name, 0)
        findings = []
        for check in CHECKS:
            outcome = outcomes.get(check, Outcome.PASS)
            reason = self.said if check in outcomes else ""
            findings.append(finding(check, outcome, reason, number))
        workload = wanted.asked.replace(memory_basis=basis)
        route = route_of(findings)
        return verdict_of(asked, workload, machine, route, tuple(findings))


def audit(
    text: str,
    names: Sequence[str | Machine] = ("m1",),
    table: Table | None = None,
    *,
    said: str = "",
    problems: Sequence[Problem] = (),
    today: str = TODAY,
    file: str = "audit.toml",
    baseline: Baseline | None = None,
) -> Audit:
    """`names` are those of the machines, or machines; `said` is the reason of every finding that
    does not pass.
    """
    policy = read_policy(Document.read(file, ("schema = 1\n" + text).encode()))
    machines = []
    for name in names:
        machine = Machine(name=name) if isinstance(name, str) else name
        # each of a kind of its own, by which the judge knows it
        machines.append(machine.replace(cpu_model=machine.name))
    numbers = {machine.name: number for number, machine in enumerate(machines)}
    judge = JudgeByTable(table or {}, numbers, said)
    fleet = Fleet(machines=Machines(machines), problems=tuple(problems))
    return run.run_audit(policy, fleet, judge, today=today, baseline=baseline)


def judged(text: str, *machines: Machine, fleet: Fleet | None = None) -> Audit:
    """The audit of these machines against a policy by the judge itself."""
    policy = read_policy(Document.read("audit.toml", ("schema = 1\n" + text).encode()))
    of = fleet or Fleet(machines=Machines(machines))
    judge = PolicyJudge(open_catalogue(), TODAY)
    return run.run_audit(policy, of, judge, today=TODAY)


def render(name: str, made: Audit) -> str:
    """The audit in that format."""
    text = FORMATS[name].render(made)
    return text if isinstance(text, str) else "".join(text)


def quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's too, but for halves of surrogate pairs."""
    return json.dumps(text, ensure_ascii=False)


def model(name: str, **more: str) -> str:
    """A `[[model]]` with further keys as TOML."""
    lines = ["[[model]]", f"name = {quoted(name)}"]
    lines += [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def exception(name: str, **more: str) -> str:
    """An `[[exception]]` for the model's memory until March 2027, unless keys say otherwise."""
    keys = {
        "rule": '"memory"',
        "reason": '"kits come"',
        "owner": '"infra@example.com"',
        "expires": "2027-03-31",
        **more,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f"[[exception]]\nmodel = {quoted(name)}\n{lines}"


def as_json(made: Audit) -> Any:
    """The JSON report of an audit."""
    return json.loads(render("json", made))


def as_lines(made: Audit) -> str:
    """The rows of an audit as JSON Lines."""
    return render("jsonl", made)
