"""Tags of Ollama's library that its MLX engine computes, and its drafts."""

from __future__ import annotations

import pytest

from selfhost import Workload, check

MAC = "mac mini m4 pro 48gb"


@pytest.mark.parametrize(
    ("tag", "listed_bytes"),
    [
        # sizes as Ollama's library lists them (auditomatic/ollama-models-registry@31464bb)
        pytest.param("qwen3.8:27b-mlx", 18_000_000_000, id="mlx"),
        pytest.param("qwen3.6:27b-nvfp4", 19_000_000_000, id="nvfp4"),
        pytest.param("gemma4:12b-mxfp8", 13_000_000_000, id="mxfp8"),
    ],
)
@pytest.mark.parametrize("runtime", ["ollama", None])
def test_a_tag_of_its_mlx_engine_runs_in_ollama(
    tag: str, listed_bytes: int, runtime: str | None
) -> None:
    """AlexsJones/llmfit#903: qwen3.8:27b-mlx ran in Ollama on an M4 Pro; it was refused as bad
    usage, not available in nvfp4 for Ollama.
    """
    verdict = check(tag, Workload(runtime=runtime), machine=MAC)
    assert verdict.route == "local"
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == listed_bytes
    assert f"ollama run {tag}" in verdict.commands


def test_ollama_drafts_with_the_block_of_the_model() -> None:
    """docs/modelfile.mdx of ollama/ollama: embedded MTP tensors draft where draft_num_predict is
    set; ollama/ollama#18541 runs qwen3.8:27b so.
    """
    plain = check("qwen3.8:27b", Workload(runtime="ollama"), machine="dgx spark")
    drafting = check(
        "qwen3.8:27b", Workload(runtime="ollama", draft="mtp"), machine="dgx spark"
    )
    assert drafting.route == "local"
    assert "draft_num_predict" in drafting.commands[-1]
    assert drafting.speed is not None
    assert plain.speed is not None
    assert drafting.speed.decode is not None
    assert plain.speed.decode is not None
    assert drafting.speed.decode.likely > plain.speed.decode.likely


def test_a_stated_draft_does_not_change_the_program() -> None:
    verdict = check("qwen3.8:27b-mlx", Workload(runtime="vllm"), machine="dgx spark")
    assert verdict.workload.runtime == "vllm"


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        # Ollama's library lists glm-ocr:latest as 2.2 GB, the same file as glm-ocr:bf16, and
        # deepseek-ocr:latest as 6.7 GB, as deepseek-ocr:3b-bf16
        pytest.param("glm-ocr", "BF16", id="glm-ocr"),
        pytest.param("glm-ocr:q8_0", "Q8_0", id="glm-ocr in 8 bits"),
        pytest.param("deepseek-ocr", "BF16", id="deepseek-ocr"),
        pytest.param("gemma2", "Q4_0", id="gemma2"),
    ],
)
def test_a_name_without_a_tag_is_its_latest_in_ollama(
    name: str, quantization: str
) -> None:
    verdict = check(name, Workload(runtime="ollama"), machine="RTX 3060 12GB, 64GB RAM")
    assert verdict.route == "local"
    assert verdict.workload.quantization == quantization


def test_a_tag_for_macs_alone_is_offered_there_alone() -> None:
    """Ollama's library has Qwen3.8 Flash Next for its MLX engine alone, of 104 GB
    (ollama/ollama#18078).
    """
    tag = "qwen3.8-flash-next:125b-mlx"
    on_mac = check(tag, machine="mac studio m3 ultra 256gb")
    assert on_mac.route == "local"
    assert on_mac.needs is not None
    assert on_mac.needs.download_bytes == 104_000_000_000
    assert f"ollama run {tag}" in on_mac.commands
    plain = check("qwen3.8-flash-next", machine="strix-halo-128gb")
    assert plain.route == "local"
    assert not any("ollama" in command for command in plain.commands)


@pytest.mark.parametrize(
    ("tag", "type", "line"),
    [
        # Unsloth publishes UD-Q4_K_XL (noonghunna/club-3090#1133), nobody known Q4_K_M
        pytest.param(
            "qwen3.8-flash-next:125b-mlx",
            "UD-Q4_K_XL",
            "unsloth/Qwen3.8-Flash-Next-GGUF:UD-Q4_K_XL",
            id="for Macs alone",
        ),
        # a model's first tag is Q4_K_M in Ollama's library, for every system
        pytest.param(
            "qwen3.8:27b-mlx",
            "Q4_K_M",
            "ollama run qwen3.8:27b",
            id="also for others",
        ),
    ],
)
def test_a_tag_for_macs_is_judged_elsewhere_as_the_usual_file(
    tag: str, type: str, line: str
) -> None:
    verdict = check(tag, machine="RTX 5090, 128GB RAM, linux")
    assert verdict.quantization == type
    assert line in verdict.commands[-1]
    notes = " ".join(verdict.understood_as)
    assert "for a Mac with an Apple chip" in notes
    # what the tag's own files hold says nothing of these
    assert "nvfp4" not in notes


def test_the_package_of_the_line_is_installed() -> None:
    """mlx-lm has no module for Qwen3.8 Flash Next, mlx-vlm has."""
    verdict = check(
        "qwen3.8-flash-next", machine="mac studio m3 ultra 256gb", runtime="mlx"
    )
    assert any(command.startswith("mlx_vlm.generate") for command in verdict.commands)
    assert "pip install mlx-lm mlx-vlm" in verdict.setup
