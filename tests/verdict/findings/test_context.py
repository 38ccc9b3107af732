"""The contract's row `context`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from selfhost.verdict.findings import Finding, Outcome
from verdict.small import (
    SPEC,
    T5,
    WORK,
    arch,
    codes_of,
    found,
    holds_cell,
    question,
    work,
)

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "context-trained"): lambda: found("context"),
    ("warn", "context-scaled"): lambda: found(
        "context",
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
            context_asked=True,
        ),
    ),
    ("warn", "context-untrained"): lambda: found(
        "context",
        question(rewriting=T5, workload=WORK.replace(context_tokens=65537), context_asked=True),
    ),
    ("unknown", "context-not-known"): lambda: found(
        "context",
        question(spec=SPEC.replace(architecture=arch(context_tokens=None)), context_asked=True),
    ),
    ("fail", "context-too-long"): lambda: found("context", work(context_tokens=65536)),
}


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_cell(cell: tuple[str, str]) -> None:
    """Each situation gives the outcome of its cell."""
    holds_cell(CELLS[cell](), "context", *cell)


def test_every_cell_and_every_code_is_walked() -> None:
    """The list of reason codes is closed: the table reaches each of this check, and all outcomes."""
    assert {code for _, code in CELLS} == codes_of("context")
    assert {outcome for outcome, _ in CELLS} == set(Outcome)
