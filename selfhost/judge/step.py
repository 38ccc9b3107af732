"""One step of decoding: the bytes that are read for one token, the depth in the context, and the
program that launches the layers.

`step_of` takes the model, the program and the complete workload. `judge.pace` turns the step into
seconds on a machine.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import QuantizationRule
from ..catalogue.spec import ModelSpec
from ..core.records import FrozenDict
from ..core.workload import Workload
from .pace.decode_step import GATED_MATRICES, MEASURED_PROGRAM, SHORT_CHAT_TOKENS, Step
from .pace.ranges import Amount
from .pace.tables import pace_tables

# bytes of a parameter, by the type of the weights
_TYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# the fewest, usual and most hundredths of the layers that are launched for a token, where the rule
# of the type states none
_ALL_LAUNCHED = (100, 100, 100)
# the matrices of an expert without a gate: up and down
_UNGATED_MATRICES = 2


def step_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
) -> Step | None:
    """Return one step of decoding behind the stated prompt, or in a short chat where that is
    longer.

    The step reads no bytes where the bytes are not known. None where a pace makes no sense.
    """
    if not spec.writes_text or workload.task != "generate":
        return None
    step = _step_of_model(spec, workload)
    if runtime is None:
        return step
    type = workload.quantization or ""
    rule = runtime.rule_of(type)
    read_bytes = need.decode_bytes_by_type(spec, runtime, workload.format or "", type)
    shares = need.read_shares(spec, workload.format or "", type)
    launched_layers: Amount | None = None
    if runtime.pace.launches_layers:
        launched_layers = _launched_layers(spec, rule)
        read_bytes = read_bytes or _bytes_by_parameters(spec)
    return step.replace(
        read_bytes=FrozenDict(read_bytes),
        by_recipe=Amount(shares.most, 1.0, shares.least),
        unpacks_experts=rule is not None and rule.unpacks_experts,
        replays=runtime.pace.replays_graphs,
        other_program=None if runtime.library == MEASURED_PROGRAM else runtime.id,
        launched_layers=launched_layers,
        backend=_stated_backend(runtime, workload),
        backend_on_intel=runtime.pace.backend_on_intel,
    )


def _stated_backend(runtime: RuntimeSpec, workload: Workload) -> str | None:
    """The backend of the device that an option states, such as "SYCL" of "SYCL0"; None without
    one.
    """
    device = runtime.settings_of(workload.runtime_options).get("device")
    return None if device is None else device.rstrip("0123456789")


def _step_of_model(spec: ModelSpec, workload: Workload) -> Step:
    """The step without the facts that depend on a runtime."""
    architecture = spec.architecture
    prompt_tokens = workload.prompt_tokens or 0
    chat_tokens = min(SHORT_CHAT_TOKENS, (workload.context_tokens or 0) / 2)
    layers = 0
    has_experts = False
    expert_matrices = GATED_MATRICES
    if architecture is not None:
        layers = architecture.layers
        has_experts = architecture.has_experts
        if need.row_of(architecture).gate == "none":
            expert_matrices = _UNGATED_MATRICES
    return Step(
        architecture=architecture,
        layers=layers,
        has_experts=has_experts,
        read_bytes=FrozenDict(),
        parameters=spec.parameters.active,
        expert_matrices=expert_matrices,
        depth_tokens=max(chat_tokens, prompt_tokens),
        prompt_tokens=prompt_tokens,
        # a cache quantized in blocks counts as 16 bits: unpacking takes time too
        cached_number_bytes=1 if workload.kv_cache_type == "fp8" else 2,
    )


def _launched_layers(spec: ModelSpec, rule: QuantizationRule | None) -> Amount | None:
    """The layers that Python launches for one token: the slow end, the likely number, the fast.

    For a model whose layers are not known they are estimated from the number of parameters; None
    where that is not known either.
    """
    figures = pace_tables().step
    model = spec.architecture
    if model is None:
        parameters = spec.parameters.active
        if not parameters:
            return None
        layers = figures.layers_of_7b * (parameters / 7e9) ** figures.layers_grow
        launched: Amount = figures.layers_ends * layers
        return launched
    fewest, usual, most = _ALL_LAUNCHED if rule is None else rule.launched_percent
    # slow end: the experts are launched one after the other
    experts = 0
    for part in model.feed_forward:
        if part.experts:
            experts += len(part.layers) * part.experts
    slow_layers = model.layers + figures.expert * experts
    return Amount(
        slow_layers * most / 100,
        model.layers * usual / 100,
        model.layers * fewest / 100,
    )


def _bytes_by_parameters(spec: ModelSpec) -> dict[str, int]:
    """The bytes that one token reads of a model whose layers are not known, by type, estimated from
    the number of parameters; {} for other models.
    """
    parameters = spec.parameters.active
    if spec.architecture is not None or not parameters:
        return {}
    type = "bfloat16"
    if spec.needs is not None and spec.needs.dtype:
        type = spec.needs.dtype
    return {type: parameters * _TYPE_BYTES.get(type, 2)}
