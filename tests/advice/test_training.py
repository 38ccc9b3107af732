"""The line that trains a model is one that its trainer takes, and asks for what was judged."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from helpers.paths import TESTS
from selfhost import Verdict, Workload, check
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load


def on(name: str, spec_id: str, **workload: Any) -> Verdict:
    return check(spec_id, Workload(**workload), machine=load(name).machine)


def test_training_comes_with_the_trainer_and_its_line() -> None:
    """TRL loads float32 unless told, twice what is judged, and refuses a CPU unless told to take it."""
    trained = {"task": "finetune", "context_tokens": 2048}
    lora = on("laptop-ddr4-16gb", "qwen3-0.6b", **trained)
    assert "pip install trl peft" in lora.setup
    words = lora.commands[0].split()
    assert words[:4] == ["trl", "sft", "--model_name_or_path", "Qwen/Qwen3-0.6B"]
    assert words[words.index("--dtype") + 1] == "bfloat16"
    assert words[words.index("--max_length") + 1] == "2048"
    assert words[words.index("--lora_r") + 1] == str(lora.workload.lora_rank or 16)
    assert "--use_cpu" in words

    way = {**trained, "finetune_method": "qlora", "optimizer": "adamw_8bit", "checkpointing": False}
    qlora = on("desktop-rtx4090-24gb", "qwen3-0.6b", **way)
    assert "pip install trl peft bitsandbytes" in qlora.setup
    words = qlora.commands[0].split()
    assert "--use_cpu" not in words
    for option in ("--load_in_4bit", "--no_gradient_checkpointing", "adamw_8bit"):
        assert option in words
    listed = tomllib.loads((TESTS / "advice" / "flags.toml").read_text(encoding="utf-8"))
    flags_of_trl = listed["trl"]
    for verdict in (lora, qlora):
        flags = {word for word in verdict.commands[0].split() if word.startswith("--")}
        assert flags <= set(flags_of_trl["flags"])


def test_no_command_of_a_trainer_of_writers_stands_by_an_embedder() -> None:
    """SFTTrainer trains causal language models: an embedder, a ranker and an encoder have trainers of their own."""
    for spec_id in ("bge-m3", "bert-base-uncased", "bge-reranker-v2-m3", "qwen3-embedding-0.6b"):
        verdict = on("desktop-rtx4090-24gb", spec_id, task="finetune")
        assert verdict.can_run
        assert verdict.commands == ()
        assert len(verdict.setup) == 1
        assert "sentence-transformers" in verdict.setup[0]
        assert verdict.setup[0].startswith("# ")


FULL = Workload(task="finetune", finetune_method="full")


@pytest.mark.parametrize("context_tokens", [1024, 4096])
def test_cards_that_may_share_a_training_are_not_left_to_the_cpu(context_tokens: int) -> None:
    """8 B parameters by AdamW take 8 bytes each where all is kept in 16 bits, 16 with a copy in 32 (arXiv 1910.02054): 60 and 120 GiB of states,
    and four cards of 40 GiB share them. 160 GB of RAM hold it too, a few tokens a second."""
    asked = FULL.replace(context_tokens=context_tokens)
    verdict = check("llama-3.1-8b", asked, machine="4x a100")
    finding = verdict.finding("accelerator")
    assert finding is not None
    assert (verdict.exit_code, finding.code) == (3, "accelerator-close")
    assert "4 × " in finding.reason
    # each of 40 GiB, one kept free
    assert "156 GiB are there" in finding.reason
    assert verdict.commands == ()
    small = check("llama-3.1-8b", asked, machine=apply(machine_named("4x a100"), ["memory=64GiB"]))
    about = small.finding("accelerator")
    assert about is not None
    assert about.code == "accelerator-close"
    assert "CPU" not in about.reason
