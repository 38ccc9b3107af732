"""Asks the engine of canirunllm 0.1.4: pip install canirunllm==0.1.4

    VENV/bin/python benchmarks/peers/ask_canirunllm.py

Given: the model of its own list where it has it in that quantization, else one of public facts; memory,
cores and names of the machine. Not given: bandwidths and windows, for which it has no field.
"""

from __future__ import annotations

from canirunllm.compatibility.engine import check_compatibility
from canirunllm.compatibility.requirements import estimate_memory_requirement
from canirunllm.models.hardware import (
    CPUInfo,
    DiskInfo,
    GPUInfo,
    HardwareProfile,
    MemoryInfo,
    OSInfo,
)
from canirunllm.models.model import ModelSpec
from canirunllm.performance.prediction import predict_performance
from canirunllm.registry.models import get_known_models

import board
from board import GIB, Answer, Machine, MemoryQuestion, SpeedQuestion

NOT_KNOWN = "quantization or model not known"
# names of its own for types that it does not list
NAMES = {
    "MXFP4": "Q4",
    "Q6_K": "Q6",
    "Q4_0": "Q4",
    "IQ4_XS": "Q4",
    "IQ4_NL": "Q4",
    "Q2_K": "",
}
LISTED = {(model.family, model.quantization): model for model in get_known_models()}


def model_of(
    id: str,
    quantization: str,
    context: int,
) -> ModelSpec | None:
    """The model; None where neither its list nor public facts make one."""
    model = board.models()[id]
    plain = board.PLAIN.get(quantization, quantization)
    listed = LISTED.get((model.names.get("canirunllm"), plain))
    name = NAMES.get(plain, plain)
    if listed is None and not (name and model.layers):
        return None
    return ModelSpec(
        name=id,
        family=id,
        parameters=int(listed.parameters if listed else model.parameters),
        architecture=model.architecture,
        quantization=listed.quantization if listed else name,
        context_length=context,
        runtime="llama.cpp",
        num_layers=(listed.num_layers if listed else None) or model.layers,
        num_kv_heads=(listed.num_kv_heads if listed else None) or model.kv_heads,
        head_dim=(listed.head_dim if listed else None) or model.head_dim,
    )


def profile_of(machine: Machine) -> HardwareProfile:
    gpus = []
    if machine.kind != "cpu":
        memory_bytes = int(machine.memory_gib * GIB)
        gpus.append(GPUInfo(machine.name, memory_bytes, 0, memory_bytes, 0.0))
    ram_bytes = int(machine.ram_gib * GIB)
    return HardwareProfile(
        cpu=CPUInfo(
            machine.processor, "x86_64", machine.cores, machine.cores * 2, 4000.0
        ),
        memory=MemoryInfo(ram_bytes, int(ram_bytes * 0.9), int(ram_bytes * 0.1), 10.0),
        os=OSInfo("Linux", "6", "", "x86_64"),
        gpus=gpus,
        disk=DiskInfo(2 * 10**12, 2 * 10**12, 0),
    )


def ask_memory(question: MemoryQuestion) -> Answer:
    model = model_of(question.model, question.quantization, question.context)
    if model is None:
        return Answer(id=question.id, why=NOT_KNOWN)
    need = estimate_memory_requirement(model)
    verdict = check_compatibility(profile_of(board.gpu_of(question)), model)
    return Answer(
        id=question.id,
        fits=verdict.memory_strategy == "SINGLE_GPU",
        weights=need.weight_memory_bytes,
        kv=need.kv_cache_bytes,
        total=need.total_required_bytes,
    )


def ask_speed(question: SpeedQuestion) -> Answer:
    model = model_of(question.model, question.quantization, 4096)
    if model is None:
        return Answer(id=question.id, why=NOT_KNOWN)
    verdict = check_compatibility(profile_of(board.machine_of(question)), model)
    rate = predict_performance(model, verdict).generation_speed
    if not rate:
        return Answer(id=question.id, why="it says that it cannot run")
    # it states a range alone; its middle is the geometric one
    likely = (rate.low * rate.high) ** 0.5
    return Answer(id=question.id, tps=likely, low=rate.low, high=rate.high)


if __name__ == "__main__":
    board.ask("canirunllm", ask_memory, ask_speed)
