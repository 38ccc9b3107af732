"""`selfhost.verify/1`: a prediction held against a run, fit for a bug report. It holds no name, no
path and no address: a model of the catalogue by its id, another by its shape.
"""

from __future__ import annotations

from .. import __version__
from ..advice.verify.comparison import Comparison, Difference
from ..advice.verify.layout import experts_in_ram
from ..machine.record import Machine, bound_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def verification(comparison: Comparison) -> dict[str, Any]:
    """The whole record."""
    return {
        "schema": "selfhost.verify/1",
        "selfhost_version": __version__,
        "outcome": comparison.outcome,
        "closeness": comparison.closeness,
        "exit_code": comparison.exit_code,
        "model": _model(comparison),
        "run": _run(comparison),
        "machine": _machine(comparison.verdict.machine),
        "placement": comparison.verdict.needs.placement if comparison.verdict.needs else None,
        "differences": [_difference(row) for row in comparison.differences],
        "speed_how": comparison.verdict.speed.how if comparison.verdict.speed else None,
        "notes": list(comparison.notes),
    }


def _model(comparison: Comparison) -> dict[str, Any]:
    """Of a file that is nobody else's the shape alone: its name may be its owner's."""
    verdict = comparison.verdict
    spec, architecture = verdict.model, verdict.model.architecture
    return {
        "id": spec.id if comparison.is_public else None,
        "known_by": comparison.by,
        "architecture": architecture.row if architecture else None,
        "layers": architecture.layers if architecture else None,
        "embedding_length": architecture.embedding_length if architecture else None,
        "vocabulary": architecture.vocabulary if architecture else None,
        "parameters_total": spec.parameters_total,
        "parameters_active": spec.parameters_active,
        "runtime": verdict.workload.runtime,
        "quantization": verdict.workload.quantization,
    }


def _run(comparison: Comparison) -> dict[str, Any]:
    run = comparison.run
    return {
        "tool": run.tool,
        "version": run.version,
        "context_tokens": run.context_tokens,
        "parallel": run.parallel,
        "kv_cache_type": run.kv_cache_type,
        "threads": run.threads,
        "on_processor": run.on_processor,
        "gpu_layers": run.gpu_layers,
        "experts_in_ram": experts_in_ram(run, comparison.verdict.model),
    }


def _machine(machine: Machine) -> dict[str, Any]:
    return {
        "system": machine.system,
        "architecture": machine.architecture,
        "scope": machine.scope,
        "cpu_model": machine.cpu_model,
        "cpu_cores_usable": machine.cpu_cores_usable,
        "cpu_cores_physical": machine.cpu_cores_physical,
        "instruction_sets": (
            None if machine.instruction_sets is None else list(machine.instruction_sets)
        ),
        "memory_total_bytes": machine.memory_total_bytes,
        "memory_bandwidth_bytes_per_second": machine.memory_bandwidth_bytes_per_second,
        "memory_bandwidth_bound": bound_of(
            machine.sources.get("memory_bandwidth_bytes_per_second", "")
        ),
        "accelerators": (
            None
            if machine.accelerators is None
            else [
                {
                    "vendor": device.vendor,
                    "name": device.name,
                    "memory_total_bytes": device.memory_total_bytes,
                    "unified": device.unified,
                }
                for device in machine.accelerators
            ]
        ),
    }


def _difference(row: Difference) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "term": row.term,
        "where": row.where,
        "unit": row.unit,
        "predicted": (
            None
            if row.low is None or row.likely is None or row.high is None
            else {
                "low": _rounded(row.low),
                "likely": _rounded(row.likely),
                "high": _rounded(row.high),
            }
        ),
        "seen": None if row.seen is None else _rounded(row.seen),
        "difference": None if row.difference is None else round(row.difference, 4),
        "inside": row.inside,
        "close": row.is_close,
        "why": row.why,
        "tokens": row.tokens,
        "depth_tokens": row.depth_tokens,
        "sequences": row.sequences,
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 3)
