"""Asks llamafit 0.1.1: pip install llamafit==0.1.1

    python benchmarks/peers/ask_llamafit.py PATH/llamafit

Given: the machine as a profile (memory, bandwidths, TFLOP/s), the model by the name of its catalogue,
without vision. Not given: models that are not among its 62. For a speed the nearest quantization that its
catalogue lists stands in. It answers offline.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import board
from board import Answer, Machine, MemoryQuestion, SpeedQuestion

PROGRAM = "llamafit"
NOT_LISTED = "not in its catalogue"
BACKENDS = {"nvidia": "cuda", "amd": "hip", "apple": "metal", "intel": "sycl"}
# parts of the names of its lines
WEIGHTS = ("weights", "embedding", "output-head", "experts")
# sizes that it lists of no model of the board
NO_SIZES = ("Q2_K", "IQ4_XS", "bf16")
# it may choose a cache of 8 bits, which keeps 17 bytes where 16 bits keep 32
Q8_CACHE_IN_F16 = 32 / 17


def answer_to(
    machine: Machine,
    name: str,
    quantization: str,
    context: int,
) -> dict[str, Any]:
    """What it prints as JSON; its complaint under `error`."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "board.json"
        profile.write_text(json.dumps(profile_of(machine)), encoding="utf-8")
        words = ["--json", "--profile", str(profile), "plan", name, "--no-vision"]
        words += ["--quant", quantization, "--context", str(context)]
        done = subprocess.run(
            [sys.argv[1], *words], capture_output=True, text=True, check=False
        )
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"error": (done.stdout + done.stderr)[-300:]}
    return document


def profile_of(machine: Machine) -> dict[str, Any]:
    is_arm = machine.kind == "unified" and machine.vendor != "amd"
    gpus: list[dict[str, Any]] = []
    if machine.kind == "gpu":
        card: dict[str, Any] = {"vendor": machine.vendor, "name": machine.name}
        card["vram_total"] = f"{machine.memory_gib}GiB"
        card["bandwidth_gbps"] = float(machine.gb_per_s)
        if machine.tflops is not None:
            card["compute_tflops_fp16"] = float(machine.tflops)
        gpus.append(card)
    elif machine.kind != "cpu":
        maker = "Apple " if machine.vendor == "apple" else ""
        bandwidth = float(machine.gb_per_s)
        name = f"{maker}{machine.name}"
        gpus.append(
            {"vendor": machine.vendor, "name": name, "bandwidth_gbps": bandwidth}
        )
    backends = [BACKENDS[machine.vendor]] if gpus and machine.vendor else []
    return {
        "schema_version": 1,
        "name": "board",
        "provenance": "stated",
        "os": "macos" if machine.vendor == "apple" else "linux",
        "os_version": "1",
        "arch": "arm64" if is_arm else "x86_64",
        "cpu": {
            "model": machine.processor,
            "physical_cores": machine.cores,
            "isa": ["avx2"],
        },
        "memory": {
            "total": f"{machine.ram_gib}GiB",
            "available": f"{int(machine.ram_gib * 0.9)}GiB",
            "bandwidth_gbps": float(machine.ram_gb_per_s),
            "bandwidth_source": "estimated",
        },
        "gpus": gpus,
        "unified_memory": machine.kind in ("unified", "igpu"),
        "backends": [*backends, "cpu"],
    }


def ask_memory(question: MemoryQuestion) -> Answer:
    name = board.models()[question.model].names.get(PROGRAM)
    if name is None:
        return Answer(id=question.id, why=NOT_LISTED)
    document = answer_to(
        board.gpu_of(question), name, question.quantization, question.context
    )
    if "placement" not in document:
        return Answer(
            id=question.id, why="its catalogue has no such quantization of the model"
        )
    placement = document["placement"]
    lines = placement["budget"]["lines"]
    has_context = placement["context"] == question.context
    kv = None
    if has_context:
        factor = Q8_CACHE_IN_F16 if placement["kv_type"] == "q8_0" else 1
        kv = round(_sum(lines, ["kv"]) * factor)
    fits = placement["mode"] == "gpu" and placement["budget"]["verdict"] != "too-tight"
    return Answer(
        id=question.id,
        fits=fits and has_context,
        weights=_sum(lines, WEIGHTS),
        kv=kv,
        state=_sum(lines, ["recurrent"]) or None,
        total=placement["budget"]["vram_required"]
        + placement["budget"]["ram_required"],
    )


def _sum(lines: Iterable[dict[str, Any]], parts: Iterable[str]) -> int:
    """The bytes of the lines whose name has one of the parts."""
    total = 0
    for line in lines:
        if any(part in line["component"] for part in parts):
            total += line["bytes"]
    return total


def ask_speed(question: SpeedQuestion) -> Answer:
    name = board.models()[question.model].names.get(PROGRAM)
    if name is None:
        return Answer(id=question.id, why=NOT_LISTED)
    if question.quantization in NO_SIZES:
        return Answer(id=question.id, why="no such size in its catalogue")
    machine = board.machine_of(question)
    nearest = "Q8_0" if question.quantization in ("Q8_0", "8bit") else "Q4_K_M"
    document: dict[str, Any] = {}
    for quantization in (question.quantization, nearest, "UD-Q4_K_XL"):
        document = answer_to(
            machine, name, quantization, max(1024, question.depth + 256)
        )
        if "quantisation" not in str(document.get("error")):
            break
    speed = document.get("speed") or {}
    if not speed.get("gen_tps"):
        return Answer(
            id=question.id, why="its catalogue has no such quantization of the model"
        )
    return Answer(id=question.id, tps=speed["gen_tps"])


if __name__ == "__main__":
    board.ask(PROGRAM, ask_memory, ask_speed)
