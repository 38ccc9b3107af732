"""What a tokenizer adds to an answer of transformers, against what it did: `truth/tokenizers.json`, its source inside."""

from __future__ import annotations

import json
from typing import Any

from helpers import torch_truth as torch
from helpers.paths import TRUTH
from selfhost.catalogue.spec import Architecture
from selfhost.needs import tokenizers
from selfhost.needs.records import Span
from selfhost.needs.tensors import ArchitectureRow
from selfhost.needs.torch import memory as torch_memory

MEASURED: dict[str, Any] = json.loads((TRUTH / "tokenizers.json").read_text(encoding="utf-8"))
# what the rows of Gemma and Qwen state
MERGES = {"gemma-4": 2, "qwen2": 1}


def added(run: dict[str, Any]) -> int:
    """By how much the peak of the answer was higher than without a tokenizer."""
    (plain,) = (
        one
        for one in MEASURED["runs"]
        if one["model"] == "none" and one["prompt_tokens"] == run["prompt_tokens"]
    )
    return int(
        run["stages"]["last_token"]["peak_bytes"] - plain["stages"]["last_token"]["peak_bytes"]
    )


def told(run: dict[str, Any]) -> Span:
    held = MEASURED["models"][run["model"]]
    architecture = Architecture(
        row="llama",
        runs_in_gguf=True,
        layers=12,
        embedding_length=1024,
        vocabulary=held["tokens"] + held["added"],
    )
    prompt = torch_memory.prompt_bytes(
        *torch.model("llama-1024"), run["prompt_tokens"], 1, 2, wide_results=True
    )
    return tokenizers.by_transformers(
        architecture,
        ArchitectureRow(name=architecture.row, token_merges=MERGES.get(run["model"], 0)),
        prompt.low_bytes,
        prompt.low_bytes,
    )


def test_what_tokenizers_add_lies_inside() -> None:
    """Of 36 runs, by nine published vocabularies, loaded before or after the model, with a short and a long prompt."""
    runs = [run for run in MEASURED["runs"] if run["model"] != "none"]
    assert len(runs) == 36
    inside = [run for run in runs if told(run).low_bytes <= added(run) <= told(run).high_bytes]
    outside = [run["name"] for run in runs if run not in inside]
    assert len(inside) >= 0.95 * len(runs), outside
