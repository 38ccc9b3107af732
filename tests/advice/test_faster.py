"""Settings of the same program that are clearly faster are named, with both figures."""

from __future__ import annotations

import re
import shlex

import pytest

from selfhost import Workload, check
from selfhost.judge.rating import STEP
from selfhost.judge.record import Verdict

DESKTOP = "desktop-rtx4090-24gb"


def faster(model: str, **asked: object) -> list[str]:
    """What the faster settings are called."""
    verdict: Verdict = check(model, machine=DESKTOP, **asked)  # type: ignore[arg-type]
    return [setting.what for setting in verdict.faster]


def test_a_block_that_drafts_is_offered_with_both_paces() -> None:
    verdict = check("qwen3.6-27b", machine=DESKTOP)
    (setting,) = verdict.faster
    assert setting.what == "the model's own draft block"
    options = "--runtime llama.cpp --quant Q5_K_M --draft mtp"
    command = f"selfhost check qwen3.6-27b {options} --machine {DESKTOP}"
    assert setting.command == command
    assert setting.prompt_tokens is None
    assert setting.unit == "tokens_per_second"
    assert setting.faster.likely >= STEP * setting.usual.likely
    # the command answers with the pace that it was offered for
    drafted = check("qwen3.6-27b", machine=DESKTOP, quantization="Q5_K_M", draft="mtp")
    assert drafted.decode_tokens_per_second == setting.faster


def test_a_shorter_wait_is_told_in_seconds() -> None:
    """The unit of both figures changed with the kind of setting, and nothing named it."""
    verdict = check(
        "qwen3-30b-a3b",
        machine="RTX 4090, 64 GB RAM",
        quantization="Q4_K_M",
        kv_cache_type="f16",
        context_tokens=98_304,
    )
    (setting,) = [s for s in verdict.faster if s.what.startswith("batches")]
    assert setting.unit == "seconds"
    assert setting.prompt_tokens == 20_000
    # the longest wait that the answer tells
    assert setting.usual == verdict.waits[-1].seconds


@pytest.mark.parametrize(
    ("model", "machine"),
    [
        pytest.param("glm-4.5-air", "8x h100", id="the program for many GPUs"),
        pytest.param("deepseek-r1t2-chimera", "8x B200", id="a type of it alone"),
        pytest.param("qwen3.6-27b", DESKTOP, id="the usual program"),
    ],
)
def test_the_command_asks_about_the_program_of_the_answer(
    model: str, machine: str
) -> None:
    """It stated the type, and with a type llama.cpp was taken: 70 tokens a second, not 195."""
    verdict = check(model, machine=machine)
    setting = verdict.faster[0]
    options = shlex.split(setting.command)
    stated = dict(zip(options[3::2], options[4::2], strict=True))
    asked = check(
        model,
        machine=machine,
        runtime=stated.get("--runtime"),
        quantization=stated["--quant"],
        draft=stated["--draft"],
    )
    assert asked.runtime == verdict.runtime
    assert asked.quantization == verdict.quantization
    assert asked.context_tokens == verdict.context_tokens
    assert asked.decode_tokens_per_second == setting.faster


def test_a_draft_that_was_published_for_the_model_is_named() -> None:
    (what,) = faster("gemma-4-31b-it")
    assert what == "gemma-4-31B-it-assistant, the draft that was published for it"


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        pytest.param("qwen3-8b", {}, id="no block"),
        pytest.param("qwen3.6-27b", {"draft": "mtp"}, id="stated already"),
        pytest.param("deepseek-v3.2", {}, id="does not run"),
        pytest.param("flux.1-schnell", {}, id="no text"),
        pytest.param("claude-opus-4.6", {}, id="closed"),
    ],
)
def test_nothing_is_offered_where_nothing_gains(
    model: str, asked: dict[str, object]
) -> None:
    assert faster(model, **asked) == []


# what the part of each layer on each GPU is called
PARTS = "each layer split over the GPUs (experimental, prompts may be slower)"


def offered(model: str, machine: str, **asked: object) -> list[str]:
    """What the faster settings are called on that machine in llama.cpp."""
    verdict = check(model, machine=machine, runtime="llama.cpp", **asked)  # type: ignore[arg-type]
    return [setting.what for setting in verdict.faster]


def test_parts_of_layers_are_offered_on_two_equal_gpus() -> None:
    verdict = check("llama-3.3-70b", machine="2x RTX 3090", runtime="llama.cpp")
    (setting,) = verdict.faster
    assert setting.what == PARTS
    assert "--runtime-option sm=tensor" in setting.command
    assert setting.faster.likely >= STEP * setting.usual.likely
    asked = check(
        "llama-3.3-70b",
        machine="2x RTX 3090",
        runtime="llama.cpp",
        quantization="Q4_K_M",
        runtime_options={"sm": "tensor"},
    )
    assert asked.decode_tokens_per_second == setting.faster


@pytest.mark.parametrize(
    ("model", "machine", "asked"),
    [
        pytest.param("qwen3-32b", "RTX 3090", {}, id="one GPU"),
        pytest.param("qwen3-32b", "4x RTX 3090", {}, id="four, measured both ways"),
        pytest.param("qwen3-32b", "RTX 3090 + RTX 4090", {}, id="two that differ"),
        pytest.param("qwen3-32b", "2x RX 7900 XTX", {}, id="two measured AMD cards"),
        pytest.param("qwen3-30b-a3b", "2x RTX 3090", {}, id="a mixture"),
        pytest.param("olmo-2-13b", "2x RTX 3060 12GB", {}, id="refused"),
        pytest.param("qwen3-4b", "2x RTX 3090", {}, id="faster than any that gained"),
        pytest.param(
            "qwen3-32b",
            "2x RTX 3090",
            {"runtime_options": {"sm": "layer"}},
            id="layers asked for",
        ),
        pytest.param(
            "qwen3-32b",
            "2x RTX 3090",
            {"runtime_options": {"ts": "2,1"}},
            id="proportions asked for",
        ),
    ],
)
def test_parts_of_layers_are_not_offered_elsewhere(
    model: str, machine: str, asked: dict[str, object]
) -> None:
    assert PARTS not in offered(model, machine, **asked)


@pytest.mark.parametrize(
    ("machine", "runtime", "option", "line"),
    [
        pytest.param(
            "8x B200",
            "vllm",
            "tensor-parallel-size",
            "--tensor-parallel-size 8",
            id="vLLM",
        ),
        pytest.param("8x B200", "sglang", "tp", "--tp 8", id="SGLang"),
    ],
)
def test_idle_gpus_are_offered_where_one_holds_the_model(
    machine: str,
    runtime: str,
    option: str,
    line: str,
) -> None:
    """One of eight GPUs was taken at 37 tokens/s, and nothing told that all eight make 87."""
    verdict = check("llama-3.3-70b", machine=machine, runtime=runtime)
    (setting,) = verdict.faster
    assert setting.what == "each layer split over 8 GPUs"
    assert f"--runtime {runtime}" in setting.command
    assert f"--runtime-option {option}=8" in setting.command
    assert setting.prompt_tokens is None
    assert setting.faster.likely >= STEP * setting.usual.likely
    asked = check(
        "llama-3.3-70b",
        machine=machine,
        runtime=runtime,
        quantization=verdict.quantization,
        runtime_options={option: "8"},
    )
    assert asked.decode_tokens_per_second == setting.faster
    assert asked.faster == ()
    (serving,) = (text for text in asked.commands if line in text)
    assert serving.count(line) == 1


def test_idle_gpus_are_offered_with_the_program_that_takes_the_option() -> None:
    """Where no program is stated, the usual one has no such option."""
    verdict = check("llama-3.3-70b", machine="8x B200")
    (setting,) = verdict.faster
    assert "--runtime-option tensor-parallel-size=8" in setting.command
    again = check(
        "llama-3.3-70b",
        machine="8x B200",
        quantization=verdict.quantization,
        runtime_options={"tensor-parallel-size": "8"},
    )
    assert again.runtime == verdict.runtime == "vllm"
    assert again.users_pace == setting.faster


def test_idle_gpus_explain_what_one_user_more_gains() -> None:
    """The 26th user of llama-3.3-70b gets 2.2 times the pace of 24, for whom one GPU is enough."""
    usual = check("llama-3.3-70b", machine="8x B200", runtime="vllm", parallel=24)
    more = check("llama-3.3-70b", machine="8x B200", runtime="vllm", parallel=26)
    (setting,) = usual.faster
    assert more.users_pace is not None
    assert setting.faster.likely == pytest.approx(more.users_pace.likely, rel=0.05)
    assert more.faster == ()


@pytest.mark.parametrize(
    ("machine", "asked"),
    [
        pytest.param("B200", {}, id="one GPU"),
        pytest.param("B200 + H200", {}, id="two that differ"),
        pytest.param(
            "8x B200",
            {"runtime_options": {"tensor-parallel-size": "1"}},
            id="one asked for",
        ),
        pytest.param("8x B200", {"min_tokens_per_second": 60}, id="all are used"),
    ],
)
def test_idle_gpus_are_not_offered_elsewhere(
    machine: str, asked: dict[str, object]
) -> None:
    verdict = check("llama-3.3-70b", machine=machine, runtime="vllm", **asked)  # type: ignore[arg-type]
    assert verdict.can_run
    assert verdict.faster == ()


@pytest.mark.parametrize(
    ("model", "machine", "stated", "name"),
    [
        # vLLM's own log: "You can also reduce the max_num_seqs as needed to decrease memory usage"
        # (worker-vllm#40); graphs of two sizes in place of 51 (vllm/config/vllm.py)
        pytest.param(
            "qwen2.5-32b", "RTX 3090, 64GB RAM", {}, "max-num-seqs", id="one-gpu"
        ),
        pytest.param(
            "mistral-small-24b",
            "2x RTX 3060, 64GB RAM",
            {},
            "max-num-seqs",
            id="two-gpus",
        ),
        # vllm-project/vllm#3872, #17327
        pytest.param(
            "qwen2.5-32b",
            "RTX 3090, 64GB RAM",
            {"max-num-seqs": "256"},
            "enforce-eager",
            id="sequences-stated",
        ),
    ],
)
def test_the_mode_that_surely_fits_is_told_with_the_paces(
    model: str, machine: str, stated: dict[str, str], name: str
) -> None:
    """With all CUDA graphs the likely need fits and the most does not. Those for one sequence are
    as fast; without graphs it is slower. A smaller cache would leave room.
    """
    asked = Workload(
        runtime="vllm",
        quantization="awq",
        runtime_options=stated,
        kv_cache_type="f16",
    )
    verdict = check(model, asked, machine=machine)
    assert verdict.has("accelerator-tight")
    (note,) = (note for note in verdict.notes if "surely fits" in note)
    (option,) = re.findall(r"`--runtime-option (\S+)=(\S+)`", note)
    assert option[0] == name
    surer = check(
        model, asked.replace(runtime_options=stated | dict([option])), machine=machine
    )
    assert surer.fits
    assert not surer.has("accelerator-tight")
    assert surer.users_pace is not None
    assert verdict.users_pace is not None
    told = [f"{surer.users_pace.likely:.0f}"]
    if name == "enforce-eager":
        assert surer.users_pace.likely < verdict.users_pace.likely
        told.append(f"{verdict.users_pace.likely:.0f}")
    else:
        assert surer.users_pace.likely == verdict.users_pace.likely
    assert re.findall(r"(\d+) tokens/s", note) == told
    # nothing is told of a need that surely fits
    roomy = check(model, asked, machine="server-a100-80gb")
    assert not [note for note in roomy.notes if "surely fits" in note]
