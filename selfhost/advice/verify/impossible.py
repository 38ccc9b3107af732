"""Paces that no run has: whatever the machine, each step reads the weights, and each token of a
prompt is computed with all that it meets.
"""

from __future__ import annotations

from ...core import units
from ...judge.record import Verdict
from ...machine.gpus import fastest
from .run import SeenPace

# as many of the fastest GPU of the table as a server has, which share one model out: none is faster
_GPUS = 8


def why_impossible(seen: SeenPace, verdict: Verdict) -> str | None:
    """Why nothing runs the model at that pace; None where something may."""
    pace, active = seen.tokens_per_second, verdict.model.parameters.active
    bytes_per_second, operations_per_second = fastest()
    if pace is None or not active:
        return None
    if seen.kind == "prompt":
        if 2 * active * pace <= _GPUS * operations_per_second:
            return None
        rate = f"compute {2 * active * pace / 1e12:,.0f} TFLOPS"
        most = f"{_GPUS * operations_per_second / 1e12:,.0f}"
    else:
        read = _read_bytes(verdict) * pace / seen.sequences
        if read <= _GPUS * bytes_per_second:
            return None
        rate = f"read {units.decimal(int(read))} of weights a second"
        most = units.decimal(int(_GPUS * bytes_per_second))
    return (
        f"the figure cannot be right: at that pace the run would {rate}, and {_GPUS} of the fastest"
        f" GPU known here have {most} together"
    )


def _read_bytes(verdict: Verdict) -> float:
    """Of the weights, what a token of one sequence reads."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    parameters = verdict.model.parameters
    terms = () if memory is None else memory.terms
    # what a processor reads in a layout of its own stands apart
    held = sum(term.low_bytes for term in terms if term.name in ("weights", "repacked_weights"))
    return held * min(1.0, (parameters.active or 0) / (parameters.total or 1))
