"""Is the model open in the respects that were asked for?"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.spec import ModelSpec
from ...core.workload import Workload
from .record import Finding, Outcome, finding

OPEN_PURPOSES = ("modification", "audit")
_BY_ANSWER = {
    "yes": (Outcome.PASS, "openness-open"),
    "partly": (Outcome.WARN, "openness-partly"),
    "unknown": (Outcome.UNKNOWN, "openness-not-known"),
    "no": (Outcome.FAIL, "openness-closed"),
}
# where no source confirms the answer
_BY_ASSUMED_ANSWER = {
    **_BY_ANSWER,
    "yes": (Outcome.WARN, "openness-assumed"),
    "no": (Outcome.UNKNOWN, "openness-not-known"),
}


def openness_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """Open in the respects that were asked for? None where nothing was asked. The worst of the
    respects decides.
    """
    return worst_of([open_for(spec, purpose) for purpose in open_purposes(workload)])


def open_purposes(workload: Workload) -> tuple[str, ...]:
    """What a model was asked to be open for, of OPEN_PURPOSES."""
    wanted = zip(OPEN_PURPOSES, (workload.modify, workload.auditable), strict=True)
    return tuple(purpose for purpose, is_wanted in wanted if is_wanted)


def open_for(spec: ModelSpec, purpose: str) -> Finding:
    """Open enough for one of OPEN_PURPOSES? Of what no source confirms a yes is a `warn` and a
    no is `unknown`.
    """
    from ...catalogue import openness

    is_audit = purpose == "audit"
    row = openness.auditable(spec) if is_audit else openness.permission(spec, "modification")
    outcome, code = (_BY_ASSUMED_ANSWER if row.assumed else _BY_ANSWER)[row.answer]
    return finding(
        outcome,
        code,
        needs=purpose,
        has=", ".join(f"{part.name} {part.answer}" for part in row.parts or (row,)),
        purpose=purpose.capitalize(),
        why=row.why,
        guess=row.assumed,
        stated_in="openness" if is_audit else "license",
        option="--auditable" if is_audit else "--modify",
    )


def worst_of(findings: Sequence[Finding]) -> Finding | None:
    """Findings of `open_for` as one; None of none."""
    if len(findings) < 2:
        return findings[0] if findings else None
    worst = max(findings, key=lambda finding: finding.severity)
    return worst.replace(
        needs=", ".join(str(finding.needs) for finding in findings),
        has="; ".join(str(finding.has) for finding in findings),
        reason=" ".join(finding.reason for finding in findings),
    )
