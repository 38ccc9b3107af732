"""Asks the library of whichllm 0.5.21: pip install whichllm==0.5.21 'typer<0.16'

    VENV/bin/python benchmarks/peers/ask_whichllm.py

The program reads its models from a hub, so that offline only what it computes with is asked. Given: the
parameters, window and context of the model as the hub states them, the true size of the GGUF file (for a
speed: parameters times the bits of the type), the GPU by name with the bandwidth that every program is
given. Not given: the hub.
"""

from __future__ import annotations

from whichllm.engine.compatibility import check_compatibility
from whichllm.engine.performance import (
    estimate_speed_uncertainty,
    estimate_tok_per_sec,
)
from whichllm.engine.vram import estimate_kv_cache, estimate_vram
from whichllm.hardware.gpu_simulator import create_synthetic_gpu
from whichllm.hardware.types import GPUInfo, HardwareInfo
from whichllm.models.sliding_window import _resolve_sliding_window
from whichllm.models.types import GGUFVariant, ModelInfo

import board
from board import GIB, Answer, MemoryQuestion, SpeedQuestion

# bits of a weight in whole files, for the size of a file that a report does not tell
BITS = {
    "Q4_K_M": 4.89, "Q8_0": 8.5, "Q6_K": 6.56, "Q4_0": 4.55, "MXFP4": 4.63, "Q2_K": 3.4, "IQ4_XS": 4.3,
    "UD-Q4_K_XL": 5.1, "UD-Q4_K_M": 4.9, "UD-IQ4_NL": 4.6, "4bit": 4.5, "8bit": 8.5, "bf16": 16.0,
}  # fmt: skip


def model_of(id: str) -> ModelInfo:
    model = board.models()[id]
    stated = {"model_type": model.architecture}
    config = {**stated, "sliding_window": model.window} if model.window else stated
    window, share = _resolve_sliding_window(
        config, model.repository, model.architecture
    )
    return ModelInfo(
        id=model.repository,
        family_id=id,
        name=model.repository.partition("/")[2],
        parameter_count=model.parameters,
        parameter_count_active=model.active_parameters,
        architecture=model.architecture,
        is_moe=model.active_parameters is not None,
        context_length=model.context,
        sliding_window=window,
        sliding_window_global_ratio=share,
    )


def file_of(quantization: str, size_bytes: float) -> GGUFVariant:
    return GGUFVariant(
        "m.gguf", board.PLAIN.get(quantization, quantization), int(size_bytes)
    )


def gpu_called(name: str, memory_gib: float) -> GPUInfo:
    """The GPU that it knows by name, else one with that memory. Raises what it raises."""
    try:
        return create_synthetic_gpu(name)
    except Exception:
        return create_synthetic_gpu(name, memory_gib)


def ask_memory(question: MemoryQuestion) -> Answer:
    model = model_of(question.model)
    file = file_of(question.quantization, question.weights)
    hardware = HardwareInfo(
        gpus=[gpu_called(question.gpu, question.gpu_gib)],
        cpu_cores=8,
        has_avx2=True,
        ram_bytes=question.ram_gib * GIB,
        disk_free_bytes=2 * 10**12,
    )
    verdict = check_compatibility(model, file, hardware, question.context)
    return Answer(
        id=question.id,
        fits=verdict.fit_type == "full_gpu" and verdict.can_run,
        weights=question.weights,
        kv=round(estimate_kv_cache(model, question.context)),
        total=round(estimate_vram(model, file, question.context)),
    )


def ask_speed(question: SpeedQuestion) -> Answer:
    machine = board.machine_of(question)
    model = model_of(question.model)
    parameters = board.models()[question.model].parameters
    file = file_of(question.quantization, parameters * BITS[question.quantization] / 8)
    gpu = None
    fit = "cpu_only"
    if machine.kind != "cpu":
        gpu = gpu_called(machine.name, machine.memory_gib)
        gpu.memory_bandwidth_gbps = machine.gb_per_s
        if machine.kind != "gpu":
            gpu.vendor = machine.vendor
        fit = "full_gpu"
    rate = estimate_tok_per_sec(model, file, gpu, fit)
    if not rate:
        return Answer(id=question.id, why="no speed")
    _, ends, _ = estimate_speed_uncertainty(model, file, gpu, fit, rate)
    return Answer(id=question.id, tps=rate, low=ends[0], high=ends[1])


if __name__ == "__main__":
    board.ask("whichllm", ask_memory, ask_speed)
