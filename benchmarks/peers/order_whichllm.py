"""Asks the library of whichllm 0.5.21 in which order it proposes models on an RTX 3090 with 64 GiB.

    python benchmarks/order_score.py --facts FACTS
    VENV/bin/python benchmarks/peers/order_whichllm.py FACTS

FACTS has a JSON line for each open model of text: repository, parameters, context. Given: these, and
the GPU by its name. Not given: the hub, from which it takes models, files and downloads, and the
addresses of its score tables: offline it takes the tables that it ships. Prints the line for
`orders.jsonl`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from whichllm.engine.ranker import rank_models
from whichllm.hardware.gpu_simulator import create_synthetic_gpu
from whichllm.hardware.types import HardwareInfo
from whichllm.models.benchmark_fetch import fetch_benchmark_scores
from whichllm.models.types import ModelInfo

GIB = 2**30


def main() -> None:
    logging.disable()
    ids = {}
    models = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        repository = row["repository"]
        ids[repository] = row["id"]
        model = ModelInfo(
            id=repository,
            # else it shows one model of each family
            family_id=repository,
            name=repository.partition("/")[2],
            parameter_count=row["parameters"],
            parameter_count_active=row["active"],
            is_moe=row["active"] is not None,
            context_length=row["context"],
        )
        models.append(model)
    hardware = HardwareInfo(
        gpus=[create_synthetic_gpu("RTX 3090")],
        cpu_cores=8,
        has_avx2=True,
        ram_bytes=64 * GIB,
        disk_free_bytes=2 * 10**12,
    )
    scores = asyncio.run(fetch_benchmark_scores())
    ranked = rank_models(models, hardware, top_n=len(models), benchmark_scores=scores)
    found = [ids[row.model.id] for row in ranked]
    print(
        json.dumps(
            {
                "program": "whichllm 0.5.21",
                "machine": "desktop-rtx3090-24gb",
                "models": found,
            }
        )
    )


if __name__ == "__main__":
    main()
