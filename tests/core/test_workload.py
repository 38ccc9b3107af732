"""What a changed `Workload` keeps, and the bounds of a prompt."""

from __future__ import annotations

from typing import Any, cast

import pytest

from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        pytest.param(
            {"purpose": "agent"},
            {"purpose": "documents"},
            Workload(purpose="documents"),
            id="another purpose",
        ),
        pytest.param(
            {"purpose": "agent"}, {"purpose": None}, Workload(), id="no purpose"
        ),
        pytest.param(
            {"purpose": "agent", "context_tokens": 8192},
            {"purpose": "documents"},
            Workload(purpose="documents", context_tokens=8192),
            id="a context that was stated",
        ),
        pytest.param(
            {"purpose": "agent"},
            {"purpose": "documents", "prompt_tokens": 100},
            Workload(purpose="documents", prompt_tokens=100),
            id="a prompt stated with it",
        ),
        pytest.param(
            {"purpose": "agent"},
            {"parallel": 2},
            Workload(purpose="agent", parallel=2),
            id="the same purpose",
        ),
    ],
)
def test_another_purpose_brings_its_own_values(
    before: dict[str, object], changes: dict[str, object], after: Workload
) -> None:
    workload = Workload(**before)  # type: ignore[arg-type]
    assert workload.replace(**changes) == after


def test_the_longest_prompt_asks_for_no_longer_context_than_there_may_be() -> None:
    longest = Workload(prompt_tokens=10**9)
    assert longest.tokens_with_prompt == 10**9
    assert Workload(context_tokens=longest.tokens_with_prompt).context_tokens


def test_a_name_of_an_option_is_text() -> None:
    """A number was no fault of the workload, and a TypeError of another function later on."""
    options = cast("dict[str, str]", {3: "1"})
    with pytest.raises(WorkloadError, match="runtime_options: each name must be a str"):
        Workload(runtime_options=options)


def test_a_dict_for_a_text_is_one_fault() -> None:
    """It was told a second time, as if the field took names."""
    with pytest.raises(WorkloadError) as refused:
        Workload(runtime={1: "vllm"})  # type: ignore[arg-type]
    (problem,) = refused.value.problems
    assert problem.message == "must be a string, not a dict"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"parallel": None}, "must be a whole number, not None", id="None"),
        pytest.param({"runtime": {}}, "must be a string, not a dict", id="a dict"),
        pytest.param({"license": True}, "must be a string, not True", id="True"),
        pytest.param({"private": []}, "must be True or False, not a list", id="a list"),
        pytest.param({"runtime_options": 1}, "must be a dict, not the", id="no dict"),
    ],
)
def test_kinds_are_those_of_python(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(WorkloadError, match=f": {told}"):
        Workload(**fields)
