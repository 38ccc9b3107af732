"""Asks selfhost, by its command line and without a network.

    python benchmarks/peers/ask_selfhost.py             # or score.py --ask selfhost

Given: the model, the machine and the GPU by the names that a person types; quantization, context and
runtime as asked. Not given: sizes, layers or bandwidths, which its catalogue has. Its own folder of
specs answers (SELFHOST_SPECS unset), and 2 TB of disk are stated, for the disk is not in question.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import board
from board import Answer, MemoryQuestion, SpeedQuestion

PROGRAM = "selfhost"
# a machine of a question of memory has this processor
COMPUTER = "ryzen 7 7700 {ram_gib}gb"


def answer_to(*words: str) -> dict[str, Any]:
    """The JSON of a check; that of its error where it gives no answer."""
    environment = {**os.environ, "SELFHOST_SPECS": ""}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "selfhost",
            "check",
            *words,
            "--min-speed",
            "0",
            "--format",
            "json",
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    document: dict[str, Any] = json.loads(done.stdout or done.stderr)
    return document


def without_answer(id: str, document: dict[str, Any]) -> Answer:
    return Answer(
        id=id, why=document.get("message") or document.get("summary") or "no figure"
    )


def ask_memory(question: MemoryQuestion) -> Answer:
    name = board.models()[question.model].names[PROGRAM]
    computer = COMPUTER.format(ram_gib=question.ram_gib)
    document = answer_to(
        *(name, "--quant", question.quantization, "--context", str(question.context)),
        *("--runtime", "llama.cpp", "--machine", computer, "--gpu", question.gpu),
        *("--set", "disk=2TB"),
    )
    needs = document.get("needs") or {}
    terms = (needs.get("memory") or {}).get("terms") or needs.get("known_terms")
    if not terms:
        return without_answer(question.id, document)
    by_name: dict[str, int] = {}
    for term in terms:
        by_name[term["name"]] = by_name.get(term["name"], 0) + term["bytes"]
    codes = [
        row["code"] for row in document["findings"] if row["check"] == "accelerator"
    ]
    is_partly = any("partly" in code for code in codes)
    return Answer(
        id=question.id,
        fits=needs.get("placement") == "accelerator" and not is_partly,
        weights=needs["download_bytes"] - by_name.get("projector", 0),
        kv=by_name.get("kv_cache", 0),
        state=by_name.get("recurrent_state") or None,
        total=sum(by_name.values()),
    )


def ask_speed(question: SpeedQuestion) -> Answer:
    words = [
        question.typed,
        "--runtime",
        question.runtime,
        "--machine",
        question.machine,
    ]
    words += ["--context", str(max(256, question.depth + 256))]
    if question.typed_quantization and question.runtime != "ollama":
        words += ["--quant", question.typed_quantization]
    if question.depth > 200:
        words += ["--prompt", str(question.depth)]
    if question.gpu is not None:
        words += ["--gpu", question.gpu]
    document = answer_to(*words)
    rates = (document.get("speed") or {}).get("decode")
    if not rates:
        return without_answer(question.id, document)
    return Answer(
        id=question.id, tps=rates["likely"], low=rates["low"], high=rates["high"]
    )


def main() -> None:
    board.ask(PROGRAM, ask_memory, ask_speed)


if __name__ == "__main__":
    main()
