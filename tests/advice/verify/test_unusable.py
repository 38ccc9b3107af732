"""Outputs that hold nothing to compare are refused by what they are, with what to give instead."""

from __future__ import annotations

import pytest

from selfhost.advice.verify.formats import run_of
from selfhost.core.files import Unreadable

# first lines of what the programs print; those with a number are published
OUTPUTS = {
    "vllm-project/vllm#18566": (
        "============ Serving Benchmark Result ============\nSuccessful requests: 1000\n",
        "--max-concurrency 1",
    ),
    "ollama ps": (
        "NAME          ID              SIZE      PROCESSOR    CONTEXT    UNTIL\n"
        "gemma3:12b    f4031aab637d    11 GB     100% GPU     4096       4 minutes from now\n",
        "ollama run MODEL --verbose",
    ),
    "nvidia-smi": (
        "| NVIDIA-SMI 555.58.02              Driver Version: 555.58.02      CUDA Version: 12.5 |\n",
        "-lv 4",
    ),
    "a decimal comma": ("eval rate:            24,61 tokens/s\n", "LC_ALL=C"),
    "sgl-project/sglang#938": (
        "Decode batch. #running-req: 1010, #token: 55006, gen throughput (token/s): 1397.13\n",
        "one answer of a minute",
    ),
    "/metrics of an idle server": (
        "llamacpp:tokens_predicted_total 0\nllamacpp:tokens_predicted_seconds_total 0\n",
        "its log",
    ),
    "/props": ('{"default_generation_settings": {"n_ctx": 4096}, "total_slots": 1}', "its log"),
    "whisper.cpp": ("whisper_print_timings:   encode time =  8582.63 ms\n", "selfhost check"),
    "ollama/ollama#10140": (
        "2025/04/06 00:02:02 routes.go:1186: INFO server config env=x\n",
        "run a model",
    ),
    "an OpenAI-compatible answer": (
        '{"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 25}}',
        "/api/v0/chat/completions",
    ),
    "open-webui/open-webui#4625": (
        '{"model":"llama3.1:latest","message":{"content":" for"},"done":false} Chat.svelte:862\n',
        "whole stream",
    ),
    "lmstudio-ai/lmstudio-bug-tracker#258": (
        "2024-12-19 16:08:12  [INFO] \n[LM STUDIO SERVER] Client disconnected. Stopping..\n",
        "lms log stream --stats",
    ),
    "LostRuins/koboldcpp#972": (
        "CtxLimit: 3768/4096, Process:0.44s (442.0ms/T = 2.26T/s), Generate:0.00s (3.0ms/T"
        " = 333.33T/s), Total:0.45s (2.25T/s)\n",
        "longer one",
    ),
}


@pytest.mark.parametrize(("text", "instead"), OUTPUTS.values(), ids=OUTPUTS)
def test_what_holds_no_figure_says_what_does(text: str, instead: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        run_of(text)
    assert instead in (refusal.value.remedy or "")


def test_any_other_text_is_none() -> None:
    assert run_of("nothing of a run\n") is None
