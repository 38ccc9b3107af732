"""The number of tokens that a draft proposes at once, as an option of the program states it."""

from __future__ import annotations

import pytest

from judge.small import memory_of, speed_of
from selfhost import Verdict, Workload, WorkloadError, check

# by program: its option, and what its line says of five tokens
PROGRAMS = [
    # common/arg.cpp of llama.cpp
    pytest.param(
        "llama.cpp",
        "spec-draft-n-max",
        "--spec-draft-n-max 5 --spec-type draft-mtp",
        id="llama.cpp",
    ),
    # recipes.vllm.ai/zai-org/GLM-5.2
    pytest.param(
        "vllm",
        "num_speculative_tokens",
        "--speculative-config.method mtp --speculative-config.num_speculative_tokens 5",
        id="vllm",
    ),
    # docs.sglang.io, speculative decoding: as many drafted as steps, where each proposes one
    pytest.param(
        "sglang",
        "speculative-num-steps",
        "--speculative-num-steps 5 --speculative-eagle-topk 1",
        id="sglang",
    ),
    # docs/modelfile.mdx of ollama/ollama
    pytest.param("ollama", "draft_num_predict", "draft_num_predict 5", id="ollama"),
]


def drafted(runtime: str, **options: str) -> Verdict:
    asked = Workload(runtime=runtime, draft="mtp", runtime_options=options)
    return check("qwen3.8-27b", asked, machine="server-8x-h100")


@pytest.mark.parametrize(("runtime", "option", "words"), PROGRAMS)
def test_the_line_and_the_answer_state_the_number_once(
    runtime: str, option: str, words: str
) -> None:
    verdict = drafted(runtime, **{option: "5"})
    line = verdict.commands[-1]
    assert words in line
    assert line.count(words.split()[0]) == 1 or runtime == "vllm"
    assert line.count(" 5") == 1
    assert "a draft of 5 tokens at a time" in speed_of(verdict).how


@pytest.mark.parametrize(
    ("runtime", "option", "usual"),
    [
        # n_max of common/common.h
        pytest.param("llama.cpp", "spec-draft-n-max", "3", id="llama.cpp"),
        # what its printed line has
        pytest.param("vllm", "num_speculative_tokens", "3", id="vllm"),
        # auto_choose_speculative_params
        pytest.param("sglang", "speculative-num-steps", "3", id="sglang"),
        # docs/modelfile.mdx
        pytest.param("ollama", "draft_num_predict", "4", id="ollama"),
    ],
)
def test_the_usual_number_is_that_of_the_program(
    runtime: str, option: str, usual: str
) -> None:
    stated = drafted(runtime, **{option: usual})
    unstated = drafted(runtime)
    assert stated.speed == unstated.speed
    assert stated.needs == unstated.needs


def test_a_number_without_a_draft_is_refused() -> None:
    asked = Workload(runtime="vllm", runtime_options={"num_speculative_tokens": "5"})
    with pytest.raises(WorkloadError, match="no draft is asked for"):
        check("qwen3.8-27b", asked, machine="server-8x-h100")


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_a_number_that_no_program_drafts_is_refused(number: str) -> None:
    with pytest.raises(WorkloadError, match="from 1 to 64"):
        drafted("llama.cpp", **{"spec-draft-n-max": number})


def test_a_state_is_kept_for_each_drafted_token() -> None:
    """`n_rs_seq` of llama.cpp: a copy of the recurrent states for each token to roll back to."""
    held = []
    for number in ("2", "5"):
        terms = memory_of(drafted("llama.cpp", **{"spec-draft-n-max": number})).terms
        held.append(sum(t.bytes for t in terms if t.name == "recurrent_state"))
    assert held[1] == held[0] * 6 / 3


def test_a_step_gives_no_more_tokens_than_are_proposed_and_one() -> None:
    """One token at once cannot more than double the pace, whatever the text."""
    speed = speed_of(drafted("vllm", num_speculative_tokens="1"))
    assert speed.decode is not None
    assert speed.undrafted_tokens_per_second is not None
    assert speed.decode.likely < 2 * speed.undrafted_tokens_per_second


def test_many_tokens_slow_a_mixture_that_two_make_faster() -> None:
    """Qwen3.6 35B-A3B in vLLM on a Radeon 8060S: 1.26 times as fast with two tokens, 1.09 with six
    (kyuz0/amd-strix-halo-vllm-toolboxes#53).
    """
    paces = []
    for number in ("2", "6"):
        asked = Workload(
            runtime="vllm",
            draft="mtp",
            context_tokens=8192,
            runtime_options={"num_speculative_tokens": number},
        )
        verdict = check(
            "cyankiwi/Qwen3.6-35B-A3B-AWQ-4bit", asked, machine="strix-halo-128gb"
        )
        paces.append(speed_of(verdict).decode)
    assert paces[0] is not None
    assert paces[1] is not None
    assert paces[0].likely > paces[1].likely
