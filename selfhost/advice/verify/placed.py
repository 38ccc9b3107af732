"""The pace at any depth of the context, and what a run left in RAM beside its GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import needs as need
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...judge.pace.engine import WITH_A_GATE, Step
from ...judge.pace.placed import laid_out, predict
from ...judge.pace.speed import Speed
from ...judge.placement.experts import layers_with_experts
from ...judge.record import Verdict
from ...needs.tensors import row_of
from .run import HOST, Run

# of the weights that are predicted on the accelerators: rounding, and tables that a program keeps
# beside (assumed)
_LEAST_SHARE = 0.9


def part_in_ram(run: Run, verdict: Verdict) -> str | None:
    """What of the model the run had in RAM beside its GPU; None where all lay on a GPU, or none, as
    far as its options and its buffers tell.
    """
    needs, architecture = verdict.needs, verdict.model.architecture
    if needs is None or needs.memory is None or architecture is None:
        return None
    if run.on_processor or needs.placement == HOST:
        return None
    layers, experts = architecture.layers, experts_in_ram(run, verdict.model)
    if run.gpu_layers is not None and run.gpu_layers < layers:
        return f"{layers - run.gpu_layers} of {layers} layers"
    if experts:
        return f"the experts of {experts} of {layers} layers"
    predicted = [term for term in needs.memory.terms if term.name == "weights"]
    least = sum(term.low_bytes for term in predicted if term.where != HOST)
    weights = [part for part in run.memory if part.term == "weights"]
    held = sum(part.bytes for part in weights if part.where != HOST)
    return "a part of its weights" if 0 < held < _LEAST_SHARE * least else None


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
    way = laid_out(needs, verdict.machine, runtime, architecture, workload.context_tokens)
    matrices = WITH_A_GATE if row is None else row.expert_matrices
    step = Step.of_program(
        runtime,
        architecture,
        read_bytes,
        context_tokens=workload.context_tokens,
        expert_matrices=matrices,
    )
    return lambda depth_tokens: predict(
        verdict.machine, step if depth_tokens is None else step.at(depth_tokens), way
    )
