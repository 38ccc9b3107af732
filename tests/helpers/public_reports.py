"""What other people reported (tests/truth/public_reports.json), and what the program answers to
it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from helpers.paths import TRUTH
from judge.small import memory_of
from selfhost import Verdict, Workload, check
from selfhost.core.errors import UnknownModelError


class Recipe(NamedTuple):
    """A model, the precisions that its recipe has, and a machine that it was run on."""

    model: str
    precisions: list[str]
    machine: str


class Ends(NamedTuple):
    """The range that an answer gives for a figure; None where it has none."""

    low: float | None
    high: float | None


_FILE = json.loads((TRUTH / "public_reports.json").read_text(encoding="utf-8"))
REPORTS: list[dict[str, Any]] = _FILE["reports"]
RECIPES = [
    Recipe(row["model"], row["precisions"], machine)
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
    workload = Workload(**report["workload"])
    verdict = check(report["model"], workload, machine=report.get("machine"))
    figure = report["figure"]
    seen = report["seen"]
    if figure == "runs":
        return "right" if verdict.can_run is seen else "wrong"
    if figure == "placement":
        placement = verdict.needs.placement if verdict.needs else None
        return "right" if placement == seen else "wrong"
    low, high = ends(verdict, figure)
    if low is None or high is None:
        return "doubtful"
    within = report.get("within", 0.0)
    if not low * (1 - within) <= seen <= high * (1 + within):
        return "wrong"
    return "right" if high <= _TELLING * low else "doubtful"


def ends(verdict: Verdict, figure: str) -> Ends:
    """The range that the answer gives for a figure."""
    if figure == "download_bytes":
        return download_ends(verdict)
    if figure in ("gpu_bytes", "gpu_buffer_bytes"):
        terms = [term for term in memory_of(verdict).terms if term.where != "host"]
        if figure == "gpu_buffer_bytes":
            terms = [term for term in terms if term.name == "compute"]
        low = sum(term.low_bytes for term in terms)
        return Ends(low, sum(term.high_bytes for term in terms))
    pace = getattr(verdict.speed, figure) if verdict.speed else None
    return Ends(pace.low, pace.high) if pace else Ends(None, None)


def download_ends(verdict: Verdict) -> Ends:
    """The bytes to download, whose range has no width where they are known."""
    if verdict.needs is None:
        return Ends(None, None)
    if verdict.needs.download_range:
        return Ends(*verdict.needs.download_range)
    size = verdict.needs.download_bytes
    return Ends(size, size)


def recipe_judged(model: str, precisions: list[str], machine: str) -> str:
    """As `judged`, of a model that somebody verified on that machine in one of the precisions."""
    routes = set()
    quantizations = [_QUANTIZATIONS.get(precision) for precision in precisions]
    for quantization in (None, *quantizations):
        for runtime in ("vllm", "vllm-omni", None):
            try:
                workload = Workload(runtime=runtime, quantization=quantization)
                routes.add(check(model, workload, machine=machine).route)
            except (UnknownModelError, ValueError):
                continue
            if "local" in routes:
                return "right"
    return "doubtful" if "unknown" in routes or not routes else "wrong"
