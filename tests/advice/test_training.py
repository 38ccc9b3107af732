"""The line that trains a model is one that its trainer takes, and asks for what was judged."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from helpers.paths import TESTS
from selfhost import Verdict, Workload, check
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load
from selfhost.reports.words import answer_cell


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


@pytest.mark.parametrize(
    ("model", "asked", "machine", "is_shortened"),
    [
        # weights in 16 bits take 16 of 24 GB; the examples take the rest
        (
            "llama-3.1-8b",
            {"finetune_method": "lora", "context_tokens": 32_768},
            "rtx 4090 256gb",
            True,
        ),
        # weights in 16 bits alone take 64 GB, and 2 cards have 48
        ("qwen3-32b", {"finetune_method": "lora", "parallel": 4}, "2x rtx 3090 256gb", False),
        ("llama-3.3-70b", {"finetune_method": "full"}, "rtx 4090 2tb", False),
    ],
)
def test_a_processor_that_trains_beside_a_gpu_is_no_plain_yes(
    model: str, asked: dict[str, Any], machine: str, is_shortened: bool
) -> None:
    """Each context that is proposed instead does fit the cards; where nothing would, nothing is proposed."""
    workload = Workload(task="finetune", **asked)
    verdict = check(model, workload, machine=machine)
    finding = verdict.finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-not-needed"
    assert answer_cell(verdict, here=False).text != "✓ RUNS"
    # Unsloth, which most people would take for adapters on such a card, is named and not judged
    assert ("Unsloth" in (finding.remedy or "")) is (asked["finetune_method"] == "lora")
    proposed = re.findall(r"--context (\d+)", finding.remedy or "")
    assert bool(proposed) is is_shortened
    for tokens in proposed:
        shorter = check(model, workload.replace(context_tokens=int(tokens)), machine=machine)
        assert shorter.needs is not None
        assert (shorter.can_run, shorter.needs.placement) == (True, "accelerator")


def test_a_model_that_no_accelerator_holds_alone_is_trained_in_parts() -> None:
    """Without a configuration of FSDP each process holds a whole copy, which runs out of memory: trl's own file of it, a process for each GPU
    that was counted."""
    asked = {"task": "finetune", "context_tokens": 2048}
    whole = on("server-8x-h100", "llama-3.1-8b-instruct", finetune_method="full", **asked)
    used = {term.where for term in whole.needs.memory.terms} - {"host"}  # type: ignore[union-attr]
    words = whole.commands[0].split()
    assert words[words.index("--accelerate_config") + 1] == "fsdp2"
    assert words[words.index("--num_processes") + 1] == str(len(used))
    assert len(used) > 1

    alone = on("server-8x-h100", "llama-3.1-8b-instruct", finetune_method="lora", **asked)
    assert "--accelerate_config" not in alone.commands[0]
