"""Models side by side: in one quantization, with the cost and the wait that were asked for."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from selfhost import Load, Workload, check, compare
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.reports.check_text import check_document
from selfhost.reports.compare_text import compare_document
from selfhost.reports.layout import plain


@pytest.mark.parametrize(
    ("model", "place"),
    [
        # macOS lets a GPU use 48 of 64 GiB: the headline raises that, and the pace is the GPU's
        pytest.param("gpt-oss-120b", "GPU", id="once a limit is raised"),
        pytest.param("gpt-oss-20b", "GPU", id="within the limit"),
    ],
)
def test_a_model_is_in_the_memory_whose_pace_is_told(model: str, place: str) -> None:
    compared = compare([model, "qwen3-8b"], machine="macbook-pro-m3-max-64gb")
    (row,) = (
        line
        for line in plain(compare_document(compared)).splitlines()
        if line[:3] == "in "
    )
    assert row.split()[1] == place


def types(*models: str, machine: str = "rtx 4090", **fields: Any) -> list[str | None]:
    compared = compare(models, machine=machine, **fields)
    return [each.verdict.quantization for each in compared.models]


@pytest.mark.parametrize(
    ("models", "fields", "expected"),
    [
        # an Ollama tag is one file, which says the type for the other too
        pytest.param(("qwen3:8b", "mistral-7b"), {}, ["Q4_K_M", "Q4_K_M"], id="a tag"),
        pytest.param(("gpt2", "phi-4"), {}, ["Q6_K", "Q6_K"], id="the larger decides"),
        # of gpt-oss no other type is published
        pytest.param(
            ("gpt-oss-20b", "qwen3:8b", "mistral-7b"),
            {},
            ["MXFP4", "Q4_K_M", "Q4_K_M"],
            id="MXFP4",
        ),
        pytest.param(
            ("qwen3-8b", "mistral-7b"),
            {"quantization": "Q5_K_M"},
            ["Q5_K_M", "Q5_K_M"],
            id="asked",
        ),
        pytest.param(
            ("gpt-4o", "mistral-7b"), {}, [None, "Q8_0"], id="beside a closed one"
        ),
    ],
)
def test_models_are_compared_in_one_type_where_one_will_do(
    models: tuple[str, ...], fields: dict[str, Any], expected: list[str | None]
) -> None:
    """Mistral in Q8_0 looked a third slower than Qwen3 in Q4_K_M, with twice the bits."""
    assert types(*models, **fields) == expected


def test_a_model_still_runs_in_the_comparison_that_runs_alone() -> None:
    """The type of a tag may be too large for another model."""
    machine = "desktop-i3-8gb-no-gpu"
    assert check("llama-3.1-8b", machine=machine).can_run
    for each in compare(["qwen3:0.6b", "llama-3.1-8b"], machine=machine).models:
        assert each.verdict.can_run


def test_types_that_differ_are_named() -> None:
    shown = plain(
        compare_document(compare(["gpt-oss-20b", "mistral-7b"], machine="rtx 4090"))
    )
    assert "Not in one quantization" in shown
    assert "gpt-oss-20b in MXFP4" in shown
    alike = plain(
        compare_document(compare(["qwen3:8b", "mistral-7b"], machine="rtx 4090"))
    )
    assert "Not in one quantization" not in alike


def test_the_cost_and_the_wait_have_rows_where_they_were_asked_for() -> None:
    """The month by API is that of `check`; the wait is the time to the first word of the stated
    prompt.
    """
    asked = Workload(prompt_tokens=3_000, load=Load.parse("2M:500k"))
    compared = compare(["qwen3-8b", "mistral-7b"], asked, machine="rtx 4060")
    lines = plain(compare_document(compared)).splitlines()
    for name in ("a month by API", "work a day", "first word"):
        (row,) = [line for line in lines if line.startswith(name)]
        assert " - " not in row
    plainly = plain(
        compare_document(compare(["qwen3-8b", "mistral-7b"], machine="rtx 4060"))
    )
    assert "first word" not in plainly
    assert "a month by API" not in plainly


def test_a_load_that_likely_takes_more_than_a_day_is_in_the_headline() -> None:
    """`52 hours of work a day` stood far below a bare RUNS where the fast end may just do."""
    asked = Workload(load=Load.parse("14M:3500k"))
    verdict = check("qwen3-8b", asked, machine="rtx 3060")
    assert verdict.monthly_cost is not None
    here = verdict.monthly_cost.here
    assert here is not None
    assert here.likely_falls_behind
    assert here.keeps_up is None
    headline = plain(check_document([verdict])).splitlines()[0]
    assert "RUNS, LIKELY TOO SLOW FOR THE LOAD" in headline


def test_what_is_too_slow_for_the_load_does_not_count_as_running_well() -> None:
    """`2 of 3 models run here` stood over two columns RUNS, TOO SLOW FOR THE LOAD."""
    asked = Workload(load=Load.parse("20M:5M"))
    compared = compare(["qwen3-8b", "mistral-7b"], asked, machine="rtx 4060")
    head = plain(compare_document(compared)).splitlines()[0]
    assert head.startswith("2 of 2 models run on ")
    assert head.endswith(", but too slow for the load.")


def test_a_context_says_whether_the_memory_or_the_training_limits_it() -> None:
    """Llama 3.1 8B was trained for 131,072 tokens; 8 GB hold a part of them."""
    for machine, limit in (
        ("rtx 4060", "what fits"),
        ("server-a100-80gb", "as trained"),
    ):
        shown = plain(
            compare_document(compare(["llama-3.1-8b", "qwen3-8b"], machine=machine))
        )
        (row,) = [
            line for line in shown.splitlines() if line.startswith("context up to")
        ]
        assert limit in row
    assert "131,072 (as trained)" in shown


def test_why_a_model_is_not_current_is_said() -> None:
    """`current: partly` stood alone."""
    shown = plain(
        compare_document(compare(["mistral-7b", "qwen3-8b"], machine="rtx 4060"))
    )
    assert "mistral-7b-instruct-v0.3: Ministral 3 8B (2025-12) is newer" in shown


WISHES: list[dict[str, Any]] = [
    {},
    {"parallel": 8},
    {"parallel": 1000},
    {"context_tokens": 32_768},
    {"quantization": "Q4_K_M"},
    {"min_tokens_per_second": 20.0},
    {"prompt_tokens": 8000, "max_wait_seconds": 30.0},
]
MACHINES = [
    "rtx 4090",
    "macbook air m2 16gb",
    "4x rtx 3090 128gb ram",
    "laptop-ddr4-16gb",
]


@pytest.mark.parametrize("seed", range(28))
def test_each_row_says_what_check_says(seed: int) -> None:
    """A row is the answer of `check`, untold or in the type and program that the row names."""
    chance = Random(seed)
    outlines = open_catalogue().outlines.values()
    writing = [outline.id for outline in outlines if outline.modality == "text"]
    machine = MACHINES[seed % len(MACHINES)]
    wish = WISHES[seed % len(WISHES)]
    models = []
    for model in chance.sample(writing, 3):
        # a model that is not available as wished is an error of both
        with suppress(WorkloadError):
            check(model, machine=machine, **wish)
            models.append(model)
    for row in compare(models, machine=machine, **wish).models:
        shown = row.verdict
        alone = check(shown.model.id, machine=machine, **wish)
        if shown.workload != alone.workload:
            named = {"runtime": shown.runtime, "quantization": shown.quantization}
            alone = check(shown.model.id, machine=machine, **{**wish, **named})
        assert shown.workload == alone.workload
        assert shown.route is alone.route
        assert shown.users_pace == alone.users_pace
        assert shown.memory_high_bytes == alone.memory_high_bytes
