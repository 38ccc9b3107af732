"""An audit as Prometheus' text format 0.0.4, for the textfile collector of node_exporter.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format". Labels
hold what the policy says and never a figure or a machine's name, so that a series lasts from run to
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .. import __version__
from ..audit.entries import Wanted
from ..audit.record import Audit, MachineGroup, Result, Row, Use
from .audit_words import shortened

_MOST_OF_A_LABEL = 200
_Sample = tuple[Mapping[str, str], int | float]
# its name, what it says, its samples
_Metric = tuple[str, str, list[_Sample]]
# those rows of a class of machines that are of one entry of the policy
_Pairs = Iterable[tuple[MachineGroup, Row]]


def render(audit: Audit, now: float) -> str:
    """The whole page; `now` is the time of the run in seconds since 1970."""
    rows: dict[int, list[tuple[MachineGroup, Row]]] = {
        each.index: [] for each in audit.policy.models
    }
    for group in audit.groups:
        for row in group.rows:
            rows[row.wanted.index].append((group, row))
    wanted = [(_labels(each), rows[each.index]) for each in audit.policy.models]
    metrics = (*_of_models(wanted), *_totals(audit), _last_run(now))
    return "".join(line for metric in metrics for line in _lines(*metric))


def _of_models(
    wanted: list[tuple[dict[str, str], list[tuple[MachineGroup, Row]]]],
) -> list[_Metric]:
    counts: list[_Sample] = [
        ({**labels, "result": result}, _machines(pairs, result))
        for labels, pairs in wanted
        for result in Result
    ]
    metrics = [("machines", "Machines on which a model of the policy has that result", counts)]
    for check in ("memory", "disk"):
        shortfalls = ((labels, _shortfall(pairs, check)) for labels, pairs in wanted)
        help = f"What the worst machine lacks of {check}, 0 for nothing; absent where unknown"
        samples: list[_Sample] = [
            (labels, short) for labels, short in shortfalls if short is not None
        ]
        metrics.append((f"{check}_shortfall_bytes", help, samples))
    return metrics


def _last_run(now: float) -> _Metric:
    return (
        "last_run_timestamp_seconds",
        "When the audit ran, in seconds since 1970",
        [({}, round(now, 3))],
    )


def _totals(audit: Audit) -> Iterator[_Metric]:
    yield "info", "The version of selfhost", [({"version": __version__}, 1)]
    yield (
        "verdicts",
        "Verdicts by result, a machine and a model each",
        [({"result": result}, audit.count(result)) for result in Result],
    )
    yield "machines_judged", "Machines that were judged", [({}, audit.machines)]
    yield (
        "problems",
        "Faults of the policy or of machine records: not all could be judged",
        [({}, len(audit.problems))],
    )
    uses = [each.use for each in audit.exceptions]
    yield (
        "exceptions",
        "Exceptions of the policy by what became of them",
        [({"use": use}, uses.count(use)) for use in Use],
    )
    ends = [each.exemption.expires for each in audit.exceptions if each.use is not Use.EXPIRED]
    yield (
        "next_expiry_timestamp_seconds",
        "When the first exception in force ends; absent where there is none",
        [({}, _midnight(min(ends)))] if ends else [],
    )
    yield (
        "exit_code",
        "0 the policy holds, 1 it is broken, 2 not all could be judged, 3 unknown",
        [({}, audit.exit_code)],
    )


def _lines(name: str, help: str, samples: Iterable[_Sample]) -> Iterator[str]:
    """Nothing where there is no sample."""
    lines = [f"selfhost_audit_{name}{_braced(labels)} {value}\n" for labels, value in samples]
    if lines:
        yield f"# HELP selfhost_audit_{name} {help}.\n# TYPE selfhost_audit_{name} gauge\n"
        yield from lines


def _labels(wanted: Wanted) -> dict[str, str]:
    """The entry of the policy, and which machines it names."""
    machines = " ".join(map(str, wanted.machines)) or "all"
    return {"model": wanted.label, "machines": machines}


def _machines(pairs: _Pairs, result: Result) -> int:
    return sum(group.count for group, row in pairs if row.result is result)


def _shortfall(pairs: _Pairs, check: str) -> int | float | None:
    """The largest in bytes; None where no machine's is known."""
    return max(
        (
            finding.short
            for _, row in pairs
            for finding in row.findings
            if finding.check == check and finding.unit == "bytes" and finding.short is not None
        ),
        default=None,
    )


def _midnight(day: str) -> int:
    """00:00 UTC of `YYYY-MM-DD` in seconds since 1970."""
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def _braced(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    shown = shortened(text, _MOST_OF_A_LABEL, raw=True)
    return shown.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
