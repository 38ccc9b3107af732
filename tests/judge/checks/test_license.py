"""The contract's row `license`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from judge.small import SPEC, WORK, cell_tests, found, question, spec, work
from selfhost.catalogue.spec import License  # fmt: skip
from selfhost.judge.checks import Finding

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "license-allows"): lambda: found("license", work(commercial=True)),
    ("warn", "license-conditional"): lambda: found(
        "license",
        spec(
            license=License(
                id="LicenseRef-X",
                commercial_use="conditional",
                conditions=("under 700 million users",),
            )
        ),
    ),
    ("warn", "license-assumed"): lambda: found(
        "license",
        question(
            spec=SPEC.replace(
                license=License(id="LicenseRef-X", commercial_use="yes"),
                sources={"license": "general knowledge"},
            ),
            workload=WORK.replace(commercial=True),
        ),
    ),
    ("unknown", "license-not-known"): lambda: found(
        "license", question(spec=SPEC.replace(license=None), workload=WORK.replace(commercial=True))
    ),
    ("unknown", "license-unconfirmed"): lambda: found(
        "license",
        question(
            spec=SPEC.replace(
                license=License(id="LicenseRef-X", commercial_use="no"),
                sources={"license": "general knowledge"},
            ),
            workload=WORK.replace(commercial=True),
        ),
    ),
    ("fail", "license-not-accepted"): lambda: found("license", work(license="MIT")),
    ("fail", "license-forbids"): lambda: found(
        "license",
        question(
            spec=SPEC.replace(license=License(id="CC-BY-NC-4.0", commercial_use="no")),
            workload=WORK.replace(commercial=True),
        ),
    ),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("license", CELLS)


@pytest.mark.parametrize(
    ("own", "source", "asked", "code"),
    [
        # the tag of the repository says which license it is, nobody read what it allows
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"commercial": True},
            "license-assumed",
        ),
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"license": "LicenseRef-X"},
            "license-allows",
        ),
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"license": "MIT"},
            "license-not-accepted",
        ),
        # nobody confirms which license it is
        ("Apache-2.0", "typed from general knowledge", {"commercial": True}, "license-assumed"),
        (
            "Apache-2.0",
            "typed from general knowledge",
            {"license": "Apache-2.0"},
            "license-assumed",
        ),
        ("Apache-2.0", "typed from general knowledge", {"license": "MIT"}, "license-unconfirmed"),
        (
            "Apache-2.0",
            "the model card",
            {"license": "MIT", "commercial": True},
            "license-not-accepted",
        ),
    ],
)
def test_what_only_general_knowledge_says_of_a_license_neither_passes_nor_fails(
    own: str, source: str, asked: dict[str, Any], code: str
) -> None:
    """As with openness: `pass` and `fail` are for what a source confirms; a guess is visible as one, and says what would settle it."""
    spec = SPEC.replace(license=License(id=own, commercial_use="yes"), sources={"license": source})
    judged = found("license", question(spec=spec, workload=WORK.replace(**asked)))
    assert judged.code == code
    assert ("(general knowledge, not confirmed)" in judged.reason) is (
        code in ("license-assumed", "license-unconfirmed")
    )
    assert judged.remedy or code == "license-allows"
