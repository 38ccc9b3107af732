"""Every format is one module with a sample, and each sample is read by its own module."""

from __future__ import annotations

import pytest

from helpers.each import each
from helpers.paths import DATA
from selfhost.advice.verify import formats
from selfhost.core.files import Unreadable

SAMPLES = sorted((DATA / "logs").glob("*.txt"))


def test_each_format_has_a_sample() -> None:
    """A sample is named after its module, a hyphen and what it shows."""
    assert {path.name.partition("-")[0] for path in SAMPLES} == set(formats.NAMES)


@each("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_read_by_its_module(path) -> None:  # type: ignore[no-untyped-def]
    """And by none that is asked before it."""
    from importlib import import_module

    text = path.read_text("utf-8")
    module = import_module(f"selfhost.advice.verify.formats.{path.name.partition('-')[0]}")
    run = formats.run_of(text)
    assert run is not None
    assert run.holds_figures
    assert run == module.read(text)


def test_colours_of_a_terminal_hide_nothing() -> None:
    """llama.cpp's `--log-colors on`, as a terminal shows it: a code before each line and `ESC[0m` behind it."""
    for path in SAMPLES:
        text = path.read_text("utf-8")
        coloured = "".join(f"\x1b[1;34m{line}\x1b[0m\n" for line in text.splitlines())
        assert formats.run_of(coloured) == formats.run_of(text), path.name


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
        "longer answer",
    ),
}


@pytest.mark.parametrize(("text", "instead"), OUTPUTS.values(), ids=OUTPUTS)
def test_what_holds_no_figure_says_what_does(text: str, instead: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        formats.run_of(text)
    assert instead in (refusal.value.remedy or "")


def test_any_other_text_is_none() -> None:
    assert formats.run_of("nothing of a run\n") is None
