"""`selfhost.verify/1`: a prediction held against a run, fit for a bug report.

It holds no name, no path and no address: a model of the catalogue by its id, another by its shape.
"""

from __future__ import annotations

from ..advice.verify.comparison import Comparison, Difference
from ..advice.verify.layout import experts_in_ram
from ..machine.record import Machine
from .json import record, titled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def verification(comparison: Comparison) -> dict[str, Any]:
    """Return the whole record."""
    verdict = comparison.verdict
    run_keys = "tool version context_tokens parallel kv_cache_type threads on_processor gpu_layers"
    return titled(
        "verify/1",
        **record(comparison, "outcome closeness exit_code notes"),
        model=_model(comparison),
        run={
            **record(comparison.run, run_keys),
            "experts_in_ram": experts_in_ram(comparison.run, verdict.model),
        },
        machine=_machine(verdict.machine),
        placement=verdict.needs.placement if verdict.needs else None,
        differences=[_difference(row) for row in comparison.differences],
        speed_how=verdict.speed.how if verdict.speed else None,
    )


def _model(comparison: Comparison) -> dict[str, Any]:
    """Of a file that is nobody else's the shape alone: its name may be its owner's."""
    spec, inside = comparison.verdict.model, comparison.verdict.model.architecture
    return {
        "id": spec.id if comparison.is_public else None,
        "known_by": comparison.by,
        "architecture": inside.row if inside else None,
        "layers": inside.layers if inside else None,
        "embedding_length": inside.embedding_length if inside else None,
        "vocabulary": inside.vocabulary if inside else None,
        **record(spec, "parameters_total parameters_active"),
        **record(comparison.verdict.workload, "runtime quantization"),
    }


def _machine(machine: Machine) -> dict[str, Any]:
    keys = (
        "system architecture scope cpu_model cpu_cores_usable cpu_cores_physical instruction_sets"
        " memory_total_bytes memory_bandwidth_bytes_per_second"
    )
    cards = machine.accelerators
    card_keys = "vendor name memory_total_bytes unified"
    return {
        **record(machine, keys),
        "memory_bandwidth_bound": machine.memory_bandwidth_bound,
        "accelerators": None if cards is None else [record(card, card_keys) for card in cards],
    }


def _difference(row: Difference) -> dict[str, Any]:
    ends = {"low": row.low, "likely": row.likely, "high": row.high}
    rounded = {key: _rounded(end) for key, end in ends.items()}
    return {
        **record(row, "subject term where unit inside why tokens depth_tokens sequences"),
        "predicted": None if None in rounded.values() else rounded,
        "seen": _rounded(row.seen),
        "difference": None if row.difference is None else round(row.difference, 4),
        "close": row.is_close,
    }


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, 3)
