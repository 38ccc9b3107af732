"""`benchmarks/accuracy.py` writes the tables of docs/accuracy.md, and nothing else of the page."""

from __future__ import annotations

import sys

import pytest

from helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import accuracy
import paces

TABLES = [
    pytest.param(subject, name, id=name)
    for subject, tables in accuracy.SUBJECTS.items()
    for name in tables
]


@pytest.mark.parametrize(("subject", "name"), TABLES)
def test_each_table_has_its_place_in_the_page(subject: str, name: str) -> None:
    """Whoever runs `--write` finds the table where the page speaks of it."""
    page = accuracy.page_of(subject).read_text(encoding="utf-8")
    written = accuracy.with_table(page, subject, name, "| figures of today |")
    assert written.count("| figures of today |") == 1
    # what stands outside of the marks is as it was
    before, _, after = written.partition("| figures of today |")
    assert page.startswith(before.rstrip())
    assert page.endswith(after.lstrip())
    kept = page[len(before) : len(page) - len(after)]
    assert kept.lstrip().startswith(("| ", "- ")), f"{name} has no lines in the page"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks of memory"):
        accuracy.with_table("# A page\n", "memory", "memory", "| 1 |")


def scored(measured: float, low: float, likely: float, high: float) -> paces.Scored:
    return paces.Scored("decode", "a card", "a model", measured, low, likely, high)


def test_a_line_counts_what_it_says() -> None:
    """Three runs: one inside and 10 % off, one at the likely figure, one above its range."""
    found = [
        scored(10, low=8, likely=11, high=16),
        scored(20, low=10, likely=20, high=40),
        scored(50, low=10, likely=25, high=40),
    ]
    line = paces.Summary.of(found)
    assert (line.runs, line.devices) == (3, 1)
    assert line.error == pytest.approx(0.1)
    assert line.inside == pytest.approx(2 / 3)
    assert line.width == 4
    assert line.bias == 1
