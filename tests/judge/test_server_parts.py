"""The option of servers that says over how many GPUs each layer is split."""

from __future__ import annotations

import pytest

from judge.small import finding_of
from selfhost import Route, Verdict, Workload, WorkloadError, check, plan
from selfhost.needs.records import likely_bytes

VLLM = "tensor-parallel-size"


def judged(
    parts: str,
    machine: str = "4x H200",
    model: str = "llama-3.1-8b",
) -> Verdict:
    return check(
        model,
        machine=machine,
        runtime="vllm",
        quantization="bfloat16",
        runtime_options={VLLM: parts},
    )


def places_of(verdict: Verdict) -> set[str]:
    """The accelerators on which the model lies."""
    assert verdict.needs is not None
    return {term.where for term in verdict.needs.terms} - {"host"}


@pytest.mark.parametrize("parts", ["1", "2", "4"])
def test_the_model_lies_on_as_many_gpus_as_stated(parts: str) -> None:
    verdict = judged(parts)
    assert verdict.route is Route.LOCAL
    assert len(places_of(verdict)) == int(parts)
    assert f"--tensor-parallel-size {parts}" in " ".join(verdict.commands)


def test_one_gpu_that_is_too_small_is_judged_as_stated() -> None:
    """70 billion weights of 16 bits are 141 GB, which no GPU of 141 GB holds with the rest."""
    assert judged("4", model="llama-3.3-70b").route is Route.LOCAL
    verdict = judged("1", model="llama-3.3-70b")
    assert not verdict.can_run
    assert places_of(verdict) == {"accelerator:0"}


@pytest.mark.parametrize(
    ("machine", "model", "words"),
    [
        pytest.param(
            "2x H200", "llama-3.1-8b", "needs 8 GPUs of one maker", id="too few GPUs"
        ),
        pytest.param(
            "dgx spark", "llama-3.1-8b", "needs 8 GPUs of one maker", id="a shared GPU"
        ),
        # 28 heads: vllm/config/model.py refuses a number that does not divide them
        pytest.param("8x H200", "qwen2.5-7b", "does not divide", id="heads left over"),
    ],
)
def test_parts_that_no_gpu_takes_are_refused(
    machine: str,
    model: str,
    words: str,
) -> None:
    verdict = judged("8", machine, model)
    found = finding_of(verdict, "accelerator")
    assert found.code == "accelerator-missing"
    assert words in found.reason
    assert "smaller number of parts" in (found.remedy or "")
    assert not verdict.can_run


def test_without_any_gpu_the_missing_gpu_is_told() -> None:
    found = finding_of(judged("2", "ryzen 9 64gb ram"), "accelerator")
    assert "needs a GPU" in found.reason


@pytest.mark.parametrize("typed", ["0", "3", "16", "-1", "two", "8.0"])
def test_other_numbers_are_refused(typed: str) -> None:
    with pytest.raises(WorkloadError, match="takes one of 1, 2, 4, 8"):
        judged(typed)


def test_a_plan_refuses_several_parts() -> None:
    """The least machine of a plan has one GPU, and was named for eight."""
    with pytest.raises(WorkloadError, match="has one GPU"):
        plan("llama-3.3-70b", runtime="vllm", runtime_options={VLLM: "8"})
    least = plan("llama-3.1-8b", runtime="vllm", runtime_options={VLLM: "1"}).least
    assert least is not None


@pytest.mark.parametrize(
    ("program", "parts", "experts"),
    [
        pytest.param(
            "vllm",
            {"tensor-parallel-size": "4"},
            {"enable-expert-parallel": "yes"},
            id="vLLM",
        ),
        pytest.param("sglang", {"tp": "4"}, {"ep-size": "4"}, id="SGLang"),
    ],
)
def test_whole_experts_take_as_much_and_their_pace_is_a_guess(
    program: str, parts: dict[str, str], experts: dict[str, str]
) -> None:
    """The experts are divided among all GPUs either way (vllm-project/vllm#30615). With them whole
    two H100 wrote 1.18 times as fast (kaito-project/kaito#2305), and eight H200 read prompts in
    1.18 of the time (vllm-project/vllm#28887).
    """
    stated = Workload(runtime=program, quantization="fp8", parallel=4)
    before = check(
        "qwen3-30b-a3b",
        stated.replace(runtime_options=parts),
        machine="8x H100 SXM",
    )
    whole = check(
        "qwen3-30b-a3b",
        stated.replace(runtime_options={**parts, **experts}),
        machine="8x H100 SXM",
    )
    assert before.needs is not None
    assert whole.needs is not None
    assert whole.needs.terms == before.needs.terms
    assert before.speed is not None
    assert whole.speed is not None
    assert before.speed.judged is not None
    assert whole.speed.judged is not None
    assert whole.speed.judged.low < before.speed.judged.low
    assert whole.speed.judged.high > before.speed.judged.high
    assert "a guess" in whole.speed.how
    name = next(iter(experts))
    assert any(f"--{name}" in line for line in whole.commands)


def test_a_dense_model_has_no_experts_to_keep_whole() -> None:
    options = {"tensor-parallel-size": "4", "enable-expert-parallel": "yes"}
    workload = Workload(runtime="vllm", runtime_options=options)
    with pytest.raises(WorkloadError, match="no experts"):
        check("qwen3-32b", workload, machine="8x H100 SXM")


@pytest.mark.parametrize(
    ("machine", "quantization", "ram_bytes"),
    [
        # vllm-project/vllm#53908: 84 tokens/s on one RTX PRO 6000 with the table in RAM
        pytest.param(
            "1x RTX PRO 6000 Blackwell, 256GB ram", "nvfp4", 51.2e9, id="one card"
        ),
        # vllm-project/recipes#870: about 51 GB of RAM for the table beside four RTX 5090
        pytest.param("4x RTX 5090, 128GB ram", "nvfp4", 51.2e9, id="four cards"),
    ],
)
def test_tables_of_ngrams_lie_in_ram_where_gpus_lack_room(
    machine: str, quantization: str, ram_bytes: float
) -> None:
    verdict = check(
        "qwen3.8-flash-next",
        machine=machine,
        runtime="vllm",
        quantization=quantization,
        min_tokens_per_second=0,
    )
    assert verdict.route is Route.LOCAL
    assert any("VLLM_PLE_CPU_OFFLOAD=1 vllm serve" in line for line in verdict.commands)
    assert verdict.needs is not None
    tables = likely_bytes(verdict.needs.on_host.terms, "embeddings")
    assert tables == pytest.approx(ram_bytes, rel=0.02)


def test_tables_of_ngrams_lie_on_the_gpus_where_they_have_room() -> None:
    """Eight H100 hold 23.41 GiB of weights each, tables among them, where the files have 172.76 GiB
    (a public report of 2026-09-02 on Qwen3.8 Flash Next in FP8).
    """
    verdict = check(
        "qwen3.8-flash-next",
        machine="8x H100 SXM",
        runtime="vllm",
        quantization="fp8",
        runtime_options={VLLM: "8"},
    )
    assert not any("OFFLOAD" in line for line in verdict.commands)
    assert verdict.needs is not None
    weights = likely_bytes(verdict.needs.on_cards.terms, "weights") / 8
    assert weights == pytest.approx(23.41 * 2**30, rel=0.1)


def test_the_variable_of_an_option_stands_before_the_command() -> None:
    verdict = check(
        "qwen3.8-flash-next",
        machine="4x H100 SXM",
        runtime="vllm",
        quantization="fp8",
        runtime_options={VLLM: "4", "ple-cpu-offload": "yes"},
    )
    (line,) = [line for line in verdict.commands if "vllm serve" in line]
    assert line.startswith("VLLM_PLE_CPU_OFFLOAD=1 ")


def test_a_model_without_ngrams_has_no_tables_to_move() -> None:
    options = {"ple-cpu-offload": "yes"}
    workload = Workload(runtime="vllm", runtime_options=options)
    with pytest.raises(WorkloadError, match="no tables of n-grams"):
        check("qwen3-32b", workload, machine="8x H100 SXM")
