"""Asks llmfit 1.1.17, a Rust program: pip install llmfit==1.1.17

    python benchmarks/peers/ask_llmfit.py PATH/llmfit

Given: the name that its catalogue has for the model, quantization, context; of a machine of a speed
question memory, bandwidths and TFLOP/s, as a profile. Not given: two models that its catalogue lacks.
It answers offline.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import board
from board import GIB, Answer, Machine, MemoryQuestion, SpeedQuestion

PROGRAM = "llmfit"
MLX = {"4bit": "mlx-4bit", "8bit": "mlx-8bit", "bf16": "BF16"}


def answer_to(*words: str) -> dict[str, Any]:
    """What it prints as JSON; its complaint under `error`."""
    done = subprocess.run(
        [sys.argv[1], "--json", *words], capture_output=True, text=True, check=False
    )
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"error": (done.stdout + done.stderr).strip()}
    return document


def without_answer(id: str, document: dict[str, Any]) -> Answer:
    complaint = str(document.get("error", "no figure"))
    return Answer(id=id, why=complaint.rpartition("Error: ")[2][:120])


def ask_memory(question: MemoryQuestion) -> Answer:
    name = board.models()[question.model].names.get(PROGRAM)
    if name is None:
        return Answer(id=question.id, why="not in its catalogue")
    document = answer_to(
        *(
            "--memory",
            f"{question.gpu_gib}G",
            "--ram",
            f"{question.ram_gib}G",
            "--cpu-cores",
            "8",
        ),
        *(
            "plan",
            name,
            "--context",
            str(question.context),
            "--quant",
            question.quantization,
        ),
    )
    if "minimum" not in document:
        return without_answer(question.id, document)
    levels = {path["path"]: path.get("fit_level") for path in document["run_paths"]}
    mode = document["current"]["run_mode"].lower()
    fits = levels.get("gpu") not in (None, "TooTight") and mode in ("gpu", "moeoffload")
    return Answer(
        id=question.id,
        fits=fits,
        weights=round(document["disk_size_gb"] * GIB),
        kv=round(document["kv_alternatives"][0]["kv_cache_gb"] * GIB),
        total=round(document["minimum"]["vram_gb"] * GIB),
    )


def profile_of(machine: Machine) -> dict[str, Any]:
    """The machine as it reads one; the name of a profile is that of its file."""
    hardware: dict[str, Any] = {
        "total_ram_gb": float(machine.ram_gib),
        "unified_memory": machine.kind in ("unified", "igpu"),
        "ddr_bandwidth_gbps": float(machine.ram_gb_per_s),
    }
    if machine.kind != "cpu":
        hardware["gpu_memory_bandwidth_gbps"] = float(machine.gb_per_s)
    if machine.tflops is not None:
        hardware["gpu_compute_tflops_fp16"] = float(machine.tflops)
    return {"schema_version": 1, "name": "board", "hardware": hardware}


def ask_speed(question: SpeedQuestion) -> Answer:
    name = board.models()[question.model].names.get(PROGRAM)
    if name is None:
        return Answer(id=question.id, why="not in its catalogue")
    machine = board.machine_of(question)
    quantization = question.quantization
    if question.runtime == "mlx":
        quantization = MLX[quantization]
    context = str(max(512, question.depth + 256))
    document: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "board.json"
        profile.write_text(json.dumps(profile_of(machine)), encoding="utf-8")
        for word in (quantization, board.PLAIN.get(quantization, quantization)):
            document = answer_to(
                *(
                    "--profile",
                    str(profile),
                    "plan",
                    name,
                    "--context",
                    context,
                    "--quant",
                    word,
                )
            )
            if "run_paths" in document:
                break
    if "run_paths" not in document:
        return without_answer(question.id, document)
    wanted = "cpu_only" if machine.kind == "cpu" else "gpu"
    for path in document["run_paths"]:
        if path["path"] == wanted and path["estimated_tps"]:
            return Answer(id=question.id, tps=path["estimated_tps"])
    return Answer(id=question.id, why="no speed")


if __name__ == "__main__":
    board.ask(PROGRAM, ask_memory, ask_speed)
