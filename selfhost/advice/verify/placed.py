"""The pace at any depth of the context, and what a run left in RAM beside its GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import needs as need
from ...catalogue.spec import ModelSpec, RuntimeSpec
from ...judge.pace.engine import WITH_A_GATE
from ...judge.pace.pacing import laid_out, predict
from ...judge.pace.speed import Speed, shares_of
from ...judge.placement.experts import layers_with_experts, share_beside_experts
from ...judge.record import Verdict
from ...needs.tensors import row_of
from .run import HOST, Run

# by how much of all weights those on the accelerators may be other than predicted: rounding, and
# tables that a program keeps beside (assumed)
_UNLIKE_SHARE = 0.1


def part_in_ram(run: Run, verdict: Verdict, rows: Mapping[str, Any]) -> str | None:
    """What of the model the run had in RAM beside its GPU where that is predicted otherwise; None
    where it is not, as far as the options and buffers of the run tell. `rows`: those of
    `common/architectures.toml`.
    """
    needs, architecture = verdict.needs, verdict.model.architecture
    if needs is None or needs.memory is None or run.on_processor or architecture is None:
        return None
    layers, experts = architecture.layers, experts_in_ram(run, verdict.model)
    on_card = layers if run.gpu_layers is None else run.gpu_layers
    share, words = 1.0, ""
    if on_card < layers:
        share, words = on_card / (layers + 1), f"{layers - on_card} of {layers} layers"
    if experts:
        row = row_of(architecture, rows)
        matrices = 0 if row is None else row.expert_matrices
        share *= share_beside_experts(verdict.model, matrices, experts) or 0.0
        words = f"the experts of {experts} of {layers} layers"
    if words:
        predicted = sum(shares_of(needs).values())
        return words if abs(share - predicted) > _UNLIKE_SHARE else None
    terms = [term for term in needs.memory.terms if term.name == "weights" and term.where != HOST]
    held = [part.bytes for part in run.memory if part.term == "weights" and part.where != HOST]
    least = (1 - _UNLIKE_SHARE) * sum(term.low_bytes for term in terms)
    return "a part of its weights" if held and sum(held) < least else None


def experts_in_ram(run: Run, spec: ModelSpec) -> int | None:
    """Of how many layers the experts lay in RAM: of the first layers that were named, those that
    have experts; None where the run does not tell.
    """
    if not run.experts_in_ram:
        return None
    layers = layers_with_experts(spec.architecture)
    return sum(number < run.experts_in_ram for number in layers) or None


def speed_at(
    verdict: Verdict, runtime: RuntimeSpec | None, rows: Mapping[str, Any]
) -> Callable[[int | None], Speed | None]:
    """Tokens in the context -> the pace, laid out as judged; None stands for a short chat.
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
    matrices = WITH_A_GATE if row is None else row.expert_matrices
    return lambda depth_tokens: predict(
        verdict.machine,
        architecture,
        read_bytes,
        way,
        expert_matrices=matrices,
        depth_tokens=depth_tokens,
        runtime=runtime,
    )
