"""What a user states is read against the rows of the model: a type under each of its names, and
errors that offer programs which take all of it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from selfhost import WorkloadError, check, plan

MACHINE = "A100 80GB, 128 GB of RAM"


@pytest.mark.parametrize(
    ("model", "names"),
    [
        # the type in which vLLM and Transformers quantize, by the name of its numbers
        pytest.param("mistral-7b", ("fp8", "float8_e4m3"), id="8 bits at load"),
        # DeepSeek published the weights in FP8, in blocks of 128 x 128
        pytest.param("deepseek-r1", ("fp8", "float8_e4m3_128x128"), id="published"),
        pytest.param("mistral-7b", ("awq", "AWQ-INT4"), id="packed"),
        pytest.param("mistral-7b", ("bf16", "bfloat16", "BF16"), id="16 bits"),
    ],
)
def test_two_names_of_one_type_answer_alike(model: str, names: tuple[str, ...]) -> None:
    """`--quant float8_e4m3` was refused where `--quant fp8` ran."""
    runtime = None if model == "mistral-7b" else "vllm"
    answers = set()
    for name in names:
        verdict = check(model, machine=MACHINE, quantization=name, runtime=runtime)
        answers.add((verdict.route, verdict.workload.runtime, verdict.quantization))
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("model", "stated", "offered"),
    [
        pytest.param(
            "mistral-7b",
            {"runtime": "vllm", "quantization": "Q4_K_M"},
            "llama.cpp",
            id="type",
        ),
        pytest.param(
            "mistral-7b",
            {"runtime": "mlx", "quantization": "fp8", "kv_cache_type": "fp8"},
            "vllm",
            id="type and cache",
        ),
        pytest.param(
            "mistral-7b",
            {"runtime": "vllm", "format": "gguf"},
            "llama.cpp",
            id="format",
        ),
        pytest.param(
            "mistral-7b", {"runtime": "llama.cpp", "parallel": 500}, "vllm", id="users"
        ),
        pytest.param(
            "mistral-7b",
            {
                "runtime": "transformers",
                "quantization": "fp8",
                "runtime_options": {"enforce-eager": "yes"},
            },
            "vllm",
            id="option",
        ),
    ],
)
def test_a_program_that_an_error_offers_takes_all_that_was_stated(
    model: str, stated: dict[str, Any], offered: str
) -> None:
    """A format and a cache were offered with programs that do not load the stated type."""
    with pytest.raises(WorkloadError) as refused:
        check(model, machine=MACHINE, **stated)
    for problem in refused.value.problems:
        remedy = problem.remedy or ""
        named = re.search(r"--runtime ([\w.-]+(?: or [\w.-]+)*)", remedy)
        assert named is not None, remedy
        ids = named[1].split(" or ")
        assert offered in ids
        for id in ids:
            verdict = check(model, machine=MACHINE, **{**stated, "runtime": id})
            assert verdict.workload.runtime == id


def test_options_that_say_the_opposite_are_refused() -> None:
    """The first of the two counted, silently."""
    options = {"kv-unified": "yes", "no-kv-unified": "yes"}
    with pytest.raises(WorkloadError, match="contradict each other"):
        check("qwen3-8b", machine=MACHINE, runtime="llama.cpp", runtime_options=options)


@pytest.mark.parametrize("model", ["gpt-oss-20b", "deepseek-v4-flash"])
def test_bits_that_no_program_of_the_machine_has_ask_for_the_type(model: str) -> None:
    """`--quant 4bit` of a model in MXFP4 was answered with MLX, which has no build for Linux."""
    with pytest.raises(WorkloadError, match="did you mean MXFP4"):
        check(model, machine="desktop-rtx4090-24gb", quantization="4bit")


@pytest.mark.parametrize(
    ("model", "machine", "quantization", "why", "remedy"),
    [
        pytest.param(
            "qwen3-8b",
            "desktop-rtx4090-24gb",
            "1bit",
            "MLX LM) has a build for linux-x86_64",
            "available: BF16, F16, Q8_0",
            id="mlx-on-linux",
        ),
        pytest.param(
            "gpt-oss-20b",
            "macbook-pro-m4-max-48gb",
            "fp8",
            "TensorRT-LLM) has a build for macos-aarch64",
            "available: MXFP4",
            id="cuda-on-a-mac",
        ),
    ],
)
def test_a_type_that_only_programs_without_a_build_have_is_an_error(
    model: str, machine: str, quantization: str, why: str, remedy: str
) -> None:
    """The answer named a program that does not exist for the machine, and an API."""
    with pytest.raises(WorkloadError) as refused:
        check(model, machine=machine, quantization=quantization)
    [problem] = refused.value.problems
    assert why in problem.message
    assert (problem.remedy or "").startswith(remedy)


def test_a_plan_judges_such_a_type_on_every_machine() -> None:
    answer = plan("qwen3-8b", quantization="1bit")
    by_name = {known.name: known for known in answer.machines}
    assert by_name["macbook-pro-m4-max-48gb"].can_run
    assert "runtime-no-build" in by_name["desktop-rtx4090-24gb"].codes


def test_an_error_offers_no_program_without_a_build() -> None:
    with pytest.raises(WorkloadError) as refused:
        check("qwen3-8b", machine="desktop-rtx4090-24gb", quantization="4bit")
    [problem] = refused.value.problems
    assert "vllm" in (problem.remedy or "")
    assert "mlx" not in (problem.remedy or "")


def test_bits_that_a_program_of_the_machine_has_are_its_type() -> None:
    verdict = check(
        "gpt-oss-20b", machine="macbook-pro-m4-max-48gb", quantization="4bit"
    )
    assert (verdict.runtime, verdict.quantization) == ("mlx", "4bit")
