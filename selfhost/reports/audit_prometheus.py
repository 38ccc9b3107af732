"""An audit as Prometheus' text format 0.0.4, for the textfile collector of node_exporter.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format". Labels
hold what the policy says and never a figure or a machine's name, so that a series lasts from run to
run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .. import __version__
from ..audit.record import Audit, Result, Row, Use
from .audit_rows import shortened

_MOST_OF_A_LABEL = 200
# labels and value
_Sample = tuple[Mapping[str, str], int | float]
# name, what it says, samples
_Metric = tuple[str, str, list[_Sample]]


def render(audit: Audit, now: float) -> str:
    """Return the whole page; `now` is the time of the run in seconds since 1970."""
    when: list[_Sample] = [({}, round(now, 3))]
    stamp = ("last_run_timestamp_seconds", "When the audit ran, in seconds since 1970", when)
    lines: list[str] = []
    for name, help_, samples in (*_of_models(audit), *_totals(audit), stamp):
        name = f"selfhost_audit_{name}"
        if samples:
            lines += [f"# HELP {name} {help_}.", f"# TYPE {name} gauge"]
        lines += [f"{name}{_braced(labels)} {value}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _of_models(audit: Audit) -> Iterator[_Metric]:
    counts: list[_Sample] = []
    shortfalls: dict[str, list[_Sample]] = {"memory": [], "disk": []}
    for wanted in audit.policy.models:
        pairs = [
            (group.count, row)
            for group in audit.groups
            for row in group.rows
            if row.wanted.index == wanted.index
        ]
        machines = " ".join(map(str, wanted.machines)) or "all"
        labels = {"model": wanted.label, "machines": machines}
        for result in Result:
            number = sum(count for count, row in pairs if row.result is result)
            counts.append(({**labels, "result": result}, number))
        for check, samples in shortfalls.items():
            short = _shortfall([row for _, row in pairs], check)
            if short is not None:
                samples.append((labels, short))
    yield "machines", "Machines on which a model of the policy has that result", counts
    for check, samples in shortfalls.items():
        help_ = f"What the worst machine lacks of {check}, 0 for nothing; absent where unknown"
        yield f"{check}_shortfall_bytes", help_, samples


def _totals(audit: Audit) -> Iterator[_Metric]:
    yield "info", "The version of selfhost", [({"version": __version__}, 1)]
    results: list[_Sample] = [({"result": each}, audit.count(each)) for each in Result]
    yield "verdicts", "Verdicts by result, a machine and a model each", results
    yield "machines_judged", "Machines that were judged", [({}, audit.machines)]
    faults = "Faults of the policy or of machine records: not all could be judged"
    yield "problems", faults, [({}, len(audit.problems))]
    uses = [each.use for each in audit.exceptions]
    states: list[_Sample] = [({"use": use}, uses.count(use)) for use in Use]
    yield "exceptions", "Exceptions of the policy by what became of them", states
    ends = [each.exemption.expires for each in audit.exceptions if each.use is not Use.EXPIRED]
    first = "When the first exception in force ends; absent where there is none"
    expiry: list[_Sample] = [({}, _midnight(min(ends)))] if ends else []
    yield "next_expiry_timestamp_seconds", first, expiry
    codes = "0 the policy holds, 1 it is broken, 2 not all could be judged, 3 unknown"
    yield "exit_code", codes, [({}, audit.exit_code)]


def _shortfall(rows: list[Row], check: str) -> float | None:
    """The largest in bytes; None where no machine's is known."""
    findings = [finding for row in rows for finding in row.findings if finding.check == check]
    shorts = [finding.short for finding in findings if finding.unit == "bytes"]
    return max((short for short in shorts if short is not None), default=None)


def _midnight(day: str) -> int:
    """00:00 UTC of `YYYY-MM-DD` in seconds since 1970."""
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def _braced(labels: Mapping[str, str]) -> str:
    pairs = []
    for name, value in labels.items():
        shown = shortened(value, _MOST_OF_A_LABEL, raw=True).replace("\\", "\\\\")
        shown = shown.replace("\n", "\\n").replace('"', '\\"')
        pairs.append(f'{name}="{shown}"')
    return f"{{{','.join(pairs)}}}" if pairs else ""
