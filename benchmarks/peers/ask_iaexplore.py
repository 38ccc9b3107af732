"""Asks iaexplore-llm-profiler 1.0.0: pip install iaexplore-llm-profiler==1.0.0

    VENV/bin/python benchmarks/peers/ask_iaexplore.py

Its function takes a model and a GPU as facts. Given: parameters, layers and heads; memory and bandwidth of the
GPU. Not given: windows and recurrent states, for which it has no field, and machines without a GPU.
"""

from __future__ import annotations

from typing import Any

from iaexplore_llm_profiler.core import profile_inference
from iaexplore_llm_profiler.data import QUANTIZATION_BITS

import board
from board import GIB, Answer, Machine, MemoryQuestion, SpeedQuestion

# the nearest type that it lists
NAMES = {"MXFP4": "Q4_K_M", "IQ4_NL": "IQ4_XS"}


def profile(
    id: str,
    quantization: str,
    context: int,
    machine: Machine,
) -> Any:
    """What it says; None for a model or a type that it cannot be told."""
    model = board.models()[id]
    plain = board.PLAIN.get(quantization, quantization)
    name = NAMES.get(plain, plain)
    if not model.layers or name not in QUANTIZATION_BITS:
        return None
    active = model.active_parameters
    facts = {
        "id": id,
        "name": id,
        "architecture": "dense" if active is None else "moe",
        "total_params_b": model.parameters / 1e9,
        "active_params_b": (active or model.parameters) / 1e9,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
    }
    gpu = {
        "id": machine.name,
        "name": machine.name,
        "category": "discrete_gpu",
        "vram_gb": machine.memory_gib,
        "bandwidth_gb_s": machine.gb_per_s,
    }
    return profile_inference(facts, gpu, name, context)


def ask_memory(question: MemoryQuestion) -> Answer:
    card = board.gpu_of(question)
    said = profile(question.model, question.quantization, question.context, card)
    if said is None:
        return Answer(id=question.id, why="not known")
    return Answer(
        id=question.id,
        fits=said.fits_in_vram,
        weights=round(said.vram_weights_gb * GIB),
        kv=round(said.vram_kv_gb * GIB),
        total=round(said.vram_total_required_gb * GIB),
    )


def ask_speed(question: SpeedQuestion) -> Answer:
    machine = board.machine_of(question)
    if machine.kind == "cpu":
        return Answer(id=question.id, why="no processor")
    said = profile(question.model, question.quantization, 512, machine)
    if said is None:
        return Answer(id=question.id, why="not known")
    return Answer(id=question.id, tps=said.estimated_tps)


if __name__ == "__main__":
    board.ask("iaexplore-llm-profiler", ask_memory, ask_speed)
