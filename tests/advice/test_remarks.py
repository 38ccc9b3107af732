"""Sentences of an answer on what was not counted."""

from __future__ import annotations

from selfhost import Workload, check
from selfhost.machine.profiles import load


def test_a_long_conversation_is_bounded_by_the_line_or_by_a_sentence() -> None:
    """A recurrent model's server keeps copies of each conversation: up to 32 of them
    (common/arg.cpp of llama.cpp, --ctx-checkpoints).
    """
    verdict = check("falcon-h1-7b-instruct", machine=load("desktop-rtx4090-24gb").machine)
    bounded = any("--ctx-checkpoints" in line for line in verdict.commands)
    assert bounded is not any("checkpoints of" in note for note in verdict.notes)


def test_training_says_what_to_install() -> None:
    workload = Workload(task="finetune")
    verdict = check("mistral-7b", workload, machine=load("desktop-rtx4090-24gb").machine)
    assert any("Install peft" in note for note in verdict.fine_print)
