"""What other people reported (tests/truth/public_reports.json), and what the program answers to
it.
"""

from __future__ import annotations

import json
from typing import Any

from helpers.paths import TRUTH
from judge.small import memory_of
from selfhost import Verdict, Workload, check
from selfhost.core.errors import UnknownModelError

_FILE = json.loads((TRUTH / "public_reports.json").read_text(encoding="utf-8"))
REPORTS: list[dict[str, Any]] = _FILE["reports"]
# a model, the precisions that its recipe has, and a machine that it was run on
RECIPES: list[tuple[str, list[str], str]] = [
    (row["model"], row["precisions"], machine)
    for row in _FILE["vllm_recipes"]["verified"]
    for machine in row["machines"]
]
# a range wider than this confirms little
_TELLING = 3.0
_QUANTIZATIONS = {"fp8": "fp8", "nvfp4": "nvfp4", "fp4": "nvfp4", "mxfp4": "mxfp4"}


def judged(report: dict[str, Any]) -> str:
    """`right` where the answer holds what was reported, `doubtful` where it is open or wide, else
    `wrong`.
    """
    verdict = check(
        report["model"], Workload(**report["workload"]), machine=report.get("machine")
    )
    figure = report["figure"]
    seen = report["seen"]
    if figure == "runs":
        return "right" if verdict.can_run is seen else "wrong"
    if figure == "placement":
        return "right" if verdict.needs and verdict.needs.placement == seen else "wrong"
    low, high = ends(verdict, figure)
    if low is None or high is None:
        return "doubtful"
    within = report.get("within", 0.0)
    if not low * (1 - within) <= seen <= high * (1 + within):
        return "wrong"
    return "right" if high <= _TELLING * low else "doubtful"


def ends(verdict: Verdict, figure: str) -> tuple[float | None, float | None]:
    """The range that the answer gives for a figure; None where it has none."""
    if figure == "download_bytes":
        size = verdict.needs.download_bytes if verdict.needs else None
        low, high = (verdict.needs and verdict.needs.download_range) or (size, size)
        return low, high
    if figure in ("gpu_bytes", "gpu_buffer_bytes"):
        terms = [term for term in memory_of(verdict).terms if term.where != "host"]
        if figure == "gpu_buffer_bytes":
            terms = [term for term in terms if term.name == "compute"]
        return sum(term.low_bytes for term in terms), sum(
            term.high_bytes for term in terms
        )
    pace = getattr(verdict.speed, figure) if verdict.speed else None
    return (pace.low, pace.high) if pace else (None, None)


def recipe_judged(model: str, precisions: list[str], machine: str) -> str:
    """As `judged`, of a model that somebody verified on that machine in one of the precisions."""
    routes = set()
    for quantization in (None, *(_QUANTIZATIONS.get(each) for each in precisions)):
        for runtime in ("vllm", "vllm-omni", None):
            try:
                workload = Workload(runtime=runtime, quantization=quantization)
                routes.add(check(model, workload, machine=machine).route)
            except (UnknownModelError, ValueError):
                continue
            if "local" in routes:
                return "right"
    return "doubtful" if "unknown" in routes or not routes else "wrong"
