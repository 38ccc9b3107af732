"""An audit for programs: `selfhost.audit/1`, and its rows as JSON lines.

The keys do not depend on the options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..audit.entries import Policy, Wanted
from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from .audit_rows import exception_fate
from .json import pieces as pieces_of
from .json import record, titled


def pieces(audit: Audit) -> Iterator[str]:
    """Yield the document as text; the verdicts come one by one."""
    document = titled(
        "audit/1",
        policy=_policy(audit.policy),
        today=audit.today,
        machines=audit.machines,
        classes=[record(group, "name count names") for group in audit.groups],
        verdicts=(_verdict(group, row) for group, row in audit.pairs()),
        exceptions={
            use.value: [_exception(each) for each in audit.exceptions if each.use is use]
            for use in Use
        },
        results={result.value: audit.count(result) for result in Result},
        baseline=audit.since and record(audit.since, "file new fixed changed unchanged"),
        notes=list(audit.notes),
        problems=record(audit.problems),
        outcome=audit.outcome.value,
        exit_code=audit.exit_code,
    )
    return pieces_of(document)


# a line that is of no machine has the same keys
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("machine", "asked", "label", "model", "runtime", "format", "quantization")),
    **dict.fromkeys(("route", "failed", "excepted", "result", "severity", "change")),
    **dict.fromkeys(("problem", "exception")),
    "failed": [],
    "excepted": [],
}


def lines(audit: Audit) -> Iterator[str]:
    """Yield a line per machine and model, then one per exception that has ended; where nothing was
    judged, a line per problem.
    """
    import json

    is_judged = False
    for row in audit.rows:
        is_judged = True
        yield json.dumps(_EMPTY | _line(row)) + "\n"
    for use in audit.exceptions:
        if use.use is Use.EXPIRED:
            ended = {"use": use.use.value, **_exception(use), "remedy": exception_fate(use)[1]}
            yield json.dumps(_EMPTY | {"asked": use.exemption.model, "exception": ended}) + "\n"
    for problem in () if is_judged else audit.problems:
        fault = {"result": Result.UNKNOWN.value, "problem": record(problem)}
        yield json.dumps(_EMPTY | fault) + "\n"


def _line(row: Row) -> dict[str, Any]:
    return {
        "machine": row.machine,
        "asked": row.wanted.name,
        "label": row.wanted.label,
        **_judged_as(row),
        "route": row.route.value,
        "failed": list(row.failed),
        "excepted": [check for check, _ in row.excepted],
        "result": row.result.value,
        "severity": row.wanted.severity.value,
        "change": None if row.change is None else row.change.value,
    }


def _judged_as(row: Row) -> dict[str, str | None]:
    """What would be loaded by what; None of several models at once, and where it is not known."""
    if row.verdict is None:
        return dict.fromkeys(("model", "runtime", "format", "quantization"))
    workload: dict[str, str | None] = record(row.verdict.workload, "runtime format quantization")
    return {"model": row.verdict.model.id, **workload}


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        **record(policy, "file fail_on on_unknown max_age_seconds"),
        "needs": record(policy.needs, "private commercial modify auditable license"),
        "models": [_wanted(wanted) for wanted in policy.models],
    }


def _wanted(wanted: Wanted) -> dict[str, Any]:
    asked_keys = (
        "context_tokens quantization runtime min_tokens_per_second parallel kv_cache_type"
        " audio_seconds draft"
    )
    return {
        **record(wanted, "name label severity require_runtime"),
        **record(wanted.asked, asked_keys),
        "machines": list(map(str, wanted.machines)),
        "members": [member.name for member in wanted.members],
    }


def _verdict(group: MachineGroup, row: Row) -> dict[str, Any]:
    """Findings and reasons of `example`, the machine of the class with the largest shortfall."""
    return {
        "class": group.name,
        "example": row.machine,
        "asked": row.wanted.name,
        "label": row.wanted.label,
        **_judged_as(row),
        "severity": row.wanted.severity.value,
        **record(row, "route result exit_code change failed findings"),
        "unknown": list(row.undecided),
        "excepted": [{"rule": check, "expires": each.expires} for check, each in row.excepted],
        "reasons": [
            {"check": each.check, "reason": each.text, "remedy": each.remedy}
            for each in row.reasons
        ],
    }


def _exception(use: ExemptionUse) -> dict[str, Any]:
    each = use.exemption
    return {
        **record(each, "model rule reason owner expires"),
        "machines": list(map(str, each.machines)),
        "rows": use.rows,
        "concerned": use.concerned,
    }
