"""The contract's row `openness`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from judge.small import CLOSED, SPEC, WORK, cell_tests, found, question, work
from selfhost.catalogue.spec import Openness  # fmt: skip
from selfhost.judge.checks import Finding

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "openness-open"): lambda: found("openness", work(modify=True)),
    ("warn", "openness-assumed"): lambda: found(
        "openness",
        question(
            spec=SPEC.replace(sources={"license": "general knowledge"}),
            workload=WORK.replace(modify=True),
        ),
    ),
    ("warn", "openness-partly"): lambda: found(
        "openness",
        question(
            spec=SPEC.replace(
                openness=Openness(weights="published", training_data="partial", paper="published")
            ),
            workload=WORK.replace(auditable=True),
        ),
    ),
    ("unknown", "openness-not-known"): lambda: found("openness", work(auditable=True)),
    ("fail", "openness-closed"): lambda: found(
        "openness", question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True))
    ),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("openness", CELLS)
