"""The contract's row `openness`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from judge.small import CLOSED, SPEC, WORK, cell_tests, found, question, work
from selfhost.catalogue.spec import License, Openness  # fmt: skip
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


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("no", "openness-closed"),
        ("yes", "openness-open"),
        ("conditional", "openness-partly"),
        (None, "openness-not-known"),
    ],
)
def test_modification(answer: str | None, code: str) -> None:
    """Each answer of the license has its finding where modification was asked for."""
    asked = question(
        spec=SPEC.replace(license=License(id="MIT", modification=answer)),
        workload=WORK.replace(modify=True),
    )
    assert found("openness", asked).code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("closed", "openness-closed"),
        ("partial", "openness-partly"),
        ("unknown", "openness-not-known"),
    ],
)
def test_without_the_training_data_nothing_can_be_audited(data: str, code: str) -> None:
    """The training data decides, even where code and paper are out."""
    opened = Openness(
        weights="published", training_data=data, training_code="published", paper="published"
    )
    assert (
        found(
            "openness",
            question(spec=SPEC.replace(openness=opened), workload=WORK.replace(auditable=True)),
        ).code
        == code
    )
