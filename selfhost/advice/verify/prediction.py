"""The pace that is predicted for a judged model at any depth of its context."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ... import needs as need
from ...catalogue.spec import RuntimeSpec
from ...judge.pace.pacing import laid_out, predict
from ...judge.pace.speed import Speed
from ...judge.pace.step import WITH_A_GATE
from ...judge.record import Verdict
from ...needs.tensors import row_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .layout import Layout


def speed_at(
    verdict: Verdict,
    runtime: RuntimeSpec | None,
    rows: Mapping[str, Any],
    layout: Layout | None = None,
) -> Callable[[int | None], Speed | None]:
    """Tokens in the context -> the pace, laid out as judged, or so; None stands for a short chat.
    The function gives None where a pace makes no sense or the needs are not known.

    `rows`: those of `common/architectures.toml`.
    """
    needs, workload, spec = verdict.needs, verdict.workload, verdict.model
    if needs is None or runtime is None or verdict.speed is None or verdict.speed.decode is None:
        return lambda _depth_tokens: None
    architecture = spec.architecture
    row = row_of(architecture, rows) if architecture is not None else None
    read_bytes = need.decode_bytes_by_type(
        spec, runtime, workload.format or "", workload.quantization or "", rows
    )
    way = laid_out(needs, verdict.machine, runtime, architecture, workload)
    if layout is not None and layout.share is not None:
        terms = needs.memory.terms if needs.memory is not None else ()
        weights = sum(term.bytes for term in terms if term.name == "weights")
        way = way.replace(
            offloaded={0: layout.share},
            in_ram_bytes=(int(weights * (1 - layout.share)), 0.0),
            experts_apart=layout.experts_apart,
            filled=0.0,
        )

    def at(depth_tokens: int | None) -> Speed | None:
        return predict(
            verdict.machine,
            architecture,
            read_bytes,
            way,
            expert_matrices=WITH_A_GATE if row is None else row.expert_matrices,
            depth_tokens=depth_tokens,
            runtime=runtime,
        )

    return at
