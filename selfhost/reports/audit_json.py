"""An audit for programs: `selfhost.audit/1`, and its rows as JSON lines. The keys do not depend
on the options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import __version__
from ..audit.entries import Policy, Wanted
from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Since, Use
from ..core.errors import Problem
from ..core.records import remembered
from ..verdict.findings import Finding
from .audit_words import exception_remedy
from .json import Recurring, fault_record, finding_record

SCHEMA = "selfhost.audit/1"


def render(audit: Audit) -> dict[str, Any]:
    """Plain dicts and lists, ready for `json.dumps`."""
    document = _document(audit)
    return {
        key: list(value) if isinstance(value, Iterator) else value
        for key, value in document.items()
    }


def _document(audit: Audit) -> dict[str, Any]:
    """As `render`; what has an entry for each row comes one by one."""
    return {
        "schema": SCHEMA,
        "selfhost_version": __version__,
        "policy": _policy(audit.policy),
        "today": audit.today,
        "machines": audit.machines,
        "classes": [
            {"name": group.name, "count": group.count, "names": list(group.names)}
            for group in audit.groups
        ],
        "verdicts": (_verdict(group, row) for group in audit.groups for row in group.rows),
        "exceptions": {
            use.value: [_exception(each) for each in audit.exceptions if each.use is use]
            for use in Use
        },
        "results": {result.value: audit.count(result) for result in Result},
        "baseline": _since(audit.since),
        "notes": list(audit.notes),
        "problems": [fault_record(each) for each in audit.problems],
        "outcome": audit.outcome.value,
        "exit_code": audit.exit_code,
    }


def pieces(audit: Audit) -> Iterator[str]:
    """The document as text."""
    from .json import pieces as in_pieces

    return in_pieces(_document(audit))


def jsonl(audit: Audit) -> str:
    """One line per machine and model, in the audit's order, then one per exception that has ended;
    where nothing was judged, one per problem.
    """
    return "".join(lines(audit))


def lines(audit: Audit) -> Iterator[str]:
    """As `jsonl`, line by line: of a large fleet all of them together do not fit in memory."""
    import json

    for row in rows(audit):
        yield json.dumps(row, ensure_ascii=True) + "\n"


def rows(audit: Audit) -> Iterator[dict[str, Any]]:
    """What each line says."""
    has_rows = False
    for row in audit.rows:
        has_rows = True
        yield _line(row)
    yield from (_line_of_exception(use) for use in audit.exceptions if use.use is Use.EXPIRED)
    for problem in () if has_rows else audit.problems:
        yield _line_of_problem(problem)


def _since(since: Since | None) -> dict[str, Any] | None:
    if since is None:
        return None
    return {
        "file": since.file,
        "new": since.new,
        "fixed": since.fixed,
        "changed": since.changed,
        "unchanged": since.unchanged,
        "notes": list(since.notes),
    }


def _line(row: Row) -> dict[str, Any]:
    return {
        "machine": row.machine,
        "asked": row.wanted.name,
        "label": row.wanted.label,
        "model": None if row.verdict is None else row.verdict.model.id,
        **_judged_as(row),
        "route": row.route.value,
        "failed": list(row.failed),
        "excepted": [check for check, _ in row.excepted],
        "result": row.result.value,
        "severity": row.wanted.severity.value,
        "change": None if row.change is None else row.change.value,
        "problem": None,
        "exception": None,
    }


def _judged_as(row: Row) -> dict[str, str | None]:
    """What would be loaded by what; None of several models at once, and where that is not known."""
    workload = None if row.verdict is None else row.verdict.workload
    return {
        "runtime": None if workload is None else workload.runtime,
        "format": None if workload is None else workload.format,
        "quantization": None if workload is None else workload.quantization,
    }


# a line that is of no machine has the same keys
_OF_NO_MACHINE: Mapping[str, Any] = {
    "machine": None,
    "asked": None,
    "label": None,
    "model": None,
    "runtime": None,
    "format": None,
    "quantization": None,
    "route": None,
    "failed": [],
    "excepted": [],
    "result": None,
    "severity": None,
    "change": None,
    "problem": None,
    "exception": None,
}


def _line_of_problem(problem: Problem) -> dict[str, Any]:
    """What kept the audit from judging all."""
    return {**_OF_NO_MACHINE, "result": Result.UNKNOWN.value, "problem": fault_record(problem)}


def _line_of_exception(use: ExemptionUse) -> dict[str, Any]:
    """An exception that has ended, and what to do about it."""
    about = {"use": use.use.value, **_exception(use), "remedy": exception_remedy(use)}
    return {**_OF_NO_MACHINE, "asked": use.exemption.model, "exception": about}


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "file": policy.file,
        "fail_on": policy.fail_on.value,
        "on_unknown": policy.on_unknown.value,
        "max_age_seconds": policy.max_age_seconds,
        "needs": {
            "private": policy.needs.private,
            "commercial": policy.needs.commercial,
            "modify": policy.needs.modify,
            "auditable": policy.needs.auditable,
            "license": policy.needs.license,
        },
        "models": [_wanted(wanted) for wanted in policy.models],
    }


def _wanted(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "label": wanted.label,
        "context_tokens": wanted.asked.context_tokens,
        "quantization": wanted.asked.quantization,
        "runtime": wanted.asked.runtime,
        "min_tokens_per_second": wanted.asked.min_tokens_per_second,
        "parallel": wanted.asked.parallel,
        "kv_cache_type": wanted.asked.kv_cache_type,
        "audio_seconds": wanted.asked.audio_seconds,
        "draft": wanted.asked.draft,
        "adapter": wanted.asked.adapter,
        "machines": list(map(str, wanted.machines)),
        "severity": wanted.severity.value,
        "require_runtime": wanted.require_runtime,
        "members": [member.name for member in wanted.members],
    }


def _verdict(group: MachineGroup, row: Row) -> dict[str, Any]:
    """`findings` and `reasons` are those of `example`, the machine of the class with the
    largest shortfall.
    """
    return {
        "class": group.name,
        "example": row.machine,
        "asked": row.wanted.name,
        "label": row.wanted.label,
        "model": None if row.verdict is None else row.verdict.model.id,
        **_judged_as(row),
        "severity": row.wanted.severity.value,
        "route": row.route.value,
        "result": row.result.value,
        "exit_code": row.exit_code,
        "change": None if row.change is None else row.change.value,
        "failed": list(row.failed),
        "unknown": list(row.undecided),
        "excepted": [{"rule": check, "expires": each.expires} for check, each in row.excepted],
        "reasons": [
            {"check": each.check, "reason": each.text, "remedy": each.remedy}
            for each in row.reasons
        ],
        "findings": list(map(_finding, row.findings)),
    }


# entries and machines that differ in one figure share the other findings
@remembered(4_096)
def _finding(finding: Finding) -> Recurring:
    return Recurring(finding_record(finding))


def _exception(use: ExemptionUse) -> dict[str, Any]:
    each = use.exemption
    return {
        "model": each.model,
        "rule": each.rule,
        "machines": list(map(str, each.machines)),
        "reason": each.reason,
        "owner": each.owner,
        "expires": each.expires,
        "rows": use.rows,
        "concerned": use.concerned,
    }
