"""Dates that the calendar has, wherever a file states one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.machines import machine_with
from helpers.paths import RECORDS
from selfhost import Machine, MachineFileError, Workload, check
from selfhost.audit.policy import read_policy
from selfhost.core.errors import PolicyError
from selfhost.core.records import DATE, DAY, fault_of
from selfhost.core.tables import Document
from selfhost.core.units import duration, fault_of_date
from selfhost.modelfiles.specfiles import check_spec_files
from selfhost.reports.answer_words import answer_line

RECORD = RECORDS / "vm-24gib.json"


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(1, 31))
def test_a_day_is_right_where_the_calendar_has_it(
    year: int, month: int, day: int
) -> None:
    """As Python's own calendar says."""
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        exists = bool(date.fromisoformat(text))
    except ValueError:
        exists = False
    assert (fault_of(text, str, form=DAY) is None) == exists
    assert (fault_of(text, str, form=DATE) is None) == exists


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("2026-02-30", "February 2026 has 28 days", id="30 February"),
        pytest.param(
            "2100-02-29", "February 2100 has 28 days", id="no leap day in 2100"
        ),
        pytest.param("2026-11-31", "November 2026 has 30 days", id="31 November"),
        pytest.param("0000-01-01", "there is no year 0", id="year 0"),
        pytest.param("2000-02-29", None, id="leap day of 2000"),
        pytest.param("2026-02", None, id="a month"),
        pytest.param("2026", None, id="a year"),
    ],
)
def test_why_the_calendar_has_no_such_date(text: str, why: str | None) -> None:
    """The remedy tells the length of the month."""
    assert fault_of_date(text) == why


def test_a_record_of_a_day_that_does_not_exist_is_refused() -> None:
    """Its time would be read as none."""
    record = Machine.from_file(RECORD).to_json() | {"read_at": "2026-02-30T12:00:00Z"}
    with pytest.raises(MachineFileError) as caught:
        Machine.from_json(record)
    (problem,) = caught.value.problems
    assert (problem.key, problem.remedy) == ("read_at", "February 2026 has 28 days")


def test_an_exception_that_ends_on_no_day_is_refused(tmp_path: Path) -> None:
    """A policy, whose exception would never end."""
    path = tmp_path / "p.toml"
    path.write_text(
        'schema = 1\n[[model]]\nname = "gpt2"\n[[exception]]\nmodel = "gpt2"\nrule = "memory"\n'
        'reason = "r"\nowner = "o"\nexpires = "2027-02-29"\n'
    )
    with pytest.raises(PolicyError, match="February 2027 has 28 days"):
        read_policy(Document.read(str(path)))


def test_a_model_released_on_no_day_is_refused(tmp_path: Path) -> None:
    """A spec, by its line."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        'schema = 1\nid = "tiny"\nname = "Tiny"\nreleased = "2025-06-31"\n'
        '[needs]\nmemory_bytes = 1_000_000\ndisk_bytes = 1_000_000\nsource = "made up"\n'
    )
    problems, _ = check_spec_files([str(path)], ())
    assert [(problem.line, problem.remedy) for problem in problems] == [
        (4, "June 2025 has 30 days")
    ]


@pytest.mark.parametrize(
    ("read_at", "is_told"),
    [
        pytest.param("2099-01-01T00:00:00Z", True, id="2099"),
        pytest.param("2001-01-01T00:00:00Z", False, id="2001"),
        pytest.param(None, False, id="not stated"),
    ],
)
def test_a_check_on_a_record_of_the_future_says_so(
    read_at: str | None, *, is_told: bool
) -> None:
    """A note names the day and what to look at."""
    machine = Machine.from_file(RECORD).replace(read_at=read_at)
    notes = [note for note in check("gpt2", machine=machine).notes if "clock" in note]
    assert bool(notes) == is_told
    assert all("2099-01-01, which is after today" in note for note in notes)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        pytest.param(6, "6 days", id="days"),
        pytest.param(729, "729 days", id="below two years"),
        pytest.param(730, "2 years", id="two years"),
        pytest.param(534_099, "1,463 years", id="centuries"),
    ],
)
def test_years_are_told_as_years(days: int, words: str) -> None:
    """534,099 days say nothing to anybody."""
    assert duration(days * 86_400) == words


@pytest.mark.parametrize(
    ("tokens", "unit"),
    [
        pytest.param(1_000_000_000, "DAYS", id="days"),
        pytest.param(10_000_000_000, "DAYS", id="many days"),
        pytest.param(1_000_000_000_000, "YEARS", id="years"),
    ],
)
def test_the_headline_of_a_long_training_tells_how_long(tokens: int, unit: str) -> None:
    """A training of centuries is not one of weeks: some 628 tokens a second (arXiv:2509.12229)."""
    cards = machine_with("NVIDIA GeForce RTX 4060", 8).accelerators
    machine = Machine.from_file(RECORD).replace(accelerators=cards)
    asked = Workload(
        task="finetune",
        finetune_method="lora",
        context_tokens=1024,
        dataset_tokens=tokens,
    )
    verdict = check("qwen2.5-1.5b-instruct", asked, machine=machine)
    assert verdict.speed is not None
    assert verdict.speed.dataset_seconds is not None
    answer = "".join(answer_line(verdict).parts)
    long = duration(verdict.speed.dataset_seconds.likely).upper()
    assert long.endswith(f" {unit}")
    assert f"RUNS, TAKES {long}" in answer
