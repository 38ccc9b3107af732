"""`selfhost.verify/1`: a prediction held against a run, fit for a bug report.

It holds no name, no path and no address: a model of the catalogue by its id, another by its shape.
"""

from __future__ import annotations

from typing import Any

from ..advice.verify.comparison import Comparison, Difference, experts_in_ram
from .json import record, titled


def verification(comparison: Comparison) -> dict[str, Any]:
    """Return the whole record."""
    verdict, run, machine = comparison.verdict, comparison.run, comparison.verdict.machine
    spec, inside, cards = verdict.model, verdict.model.architecture, machine.accelerators
    run_keys = "tool version context_tokens parallel kv_cache_type threads on_processor gpu_layers"
    machine_keys = (
        "system architecture scope cpu_model cpu_cores_usable cpu_cores_physical instruction_sets"
        " memory_total_bytes memory_bandwidth_bytes_per_second"
    )
    card_keys = "vendor name memory_total_bytes unified"
    return titled(
        "verify/1",
        **record(comparison, "outcome exit_code notes"),
        # of a file that is nobody else's the shape alone: its name may be its owner's
        model={
            "id": spec.id if comparison.is_public else None,
            "known_by": comparison.by,
            "architecture": inside.row if inside else None,
            "layers": inside.layers if inside else None,
            "embedding_length": inside.embedding_length if inside else None,
            "vocabulary": inside.vocabulary if inside else None,
            **record(spec, "parameters_total parameters_active"),
            **record(verdict.workload, "runtime quantization"),
        },
        run={**record(run, run_keys), "experts_in_ram": experts_in_ram(run, spec)},
        machine={
            **record(machine, machine_keys),
            "memory_bandwidth_bound": machine.memory_bandwidth_bound,
            "accelerators": None if cards is None else [record(card, card_keys) for card in cards],
        },
        placement=verdict.needs.placement if verdict.needs else None,
        differences=[_difference(row) for row in comparison.differences],
        speed_how=verdict.speed.how if verdict.speed else None,
    )


def _difference(row: Difference) -> dict[str, Any]:
    ends = {"low": row.low, "likely": row.likely, "high": row.high}
    rounded = {key: round(end, 3) for key, end in ends.items() if end is not None}
    return {
        **record(row, "subject term where unit inside why tokens depth_tokens sequences"),
        "predicted": rounded if len(rounded) == len(ends) else None,
        "seen": round(row.seen, 3),
        "difference": None if row.difference is None else round(row.difference, 4),
    }
