"""The contract's rows `weights`, `license` and `openness`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from judge.small import BIG, CLOSED, MACHINE, SPEC, WORK, cell_tests, found, question, spec, work
from selfhost.catalogue.spec import License, Openness, Safety, StatedNeeds
from selfhost.judge.checks import Finding
from selfhost.judge.judging import judge
from selfhost.judge.record import Route, verdict_on

# (outcome, code) -> the situation of that cell of `license`
LICENSE: Mapping[tuple[str, str], Callable[[], Finding]] = {
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


test_cell_of_license, test_every_code_of_license = cell_tests("license", LICENSE)


# the tag of the repository says which license it is, nobody read what it allows
TAG = "the repository's tag; its terms from general knowledge"
# nobody confirms which license it is
GUESS = "typed from general knowledge"


@pytest.mark.parametrize(
    ("own", "source", "asked", "code"),
    [
        ("LicenseRef-X", TAG, {"commercial": True}, "license-assumed"),
        ("LicenseRef-X", TAG, {"license": "LicenseRef-X"}, "license-allows"),
        ("LicenseRef-X", TAG, {"license": "MIT"}, "license-not-accepted"),
        ("Apache-2.0", GUESS, {"commercial": True}, "license-assumed"),
        ("Apache-2.0", GUESS, {"license": "Apache-2.0"}, "license-assumed"),
        ("Apache-2.0", GUESS, {"license": "MIT"}, "license-unconfirmed"),
        ("Apache-2.0", "a card", {"license": "MIT", "commercial": True}, "license-not-accepted"),
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


# (outcome, code) -> the situation of that cell of `openness`
OPENNESS: Mapping[tuple[str, str], Callable[[], Finding]] = {
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


test_cell_of_openness, test_every_code_of_openness = cell_tests("openness", OPENNESS)


# read from a config.json, without weights beside it
LONE_CONFIG = SPEC.replace(openness=Openness(), gated=None, origin="m/config.json")

# (outcome, code) -> the situation of that cell of `weights`
WEIGHTS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "weights-published"): lambda: found("weights"),
    ("pass", "weights-here"): lambda: found("weights", question(local_files=True)),
    ("pass", "weights-stated"): lambda: found(
        "weights",
        spec(openness=Openness(), architecture=None, needs=StatedNeeds(low_bytes=1, high_bytes=2)),
    ),
    ("warn", "weights-gated"): lambda: found("weights", spec(gated=True)),
    ("warn", "weights-unsafe"): lambda: found("weights", spec(safety=Safety(formats=("pickle",)))),
    ("warn", "weights-partial"): lambda: found(
        "weights", spec(openness=Openness(weights="partial"))
    ),
    ("warn", "weights-yours"): lambda: found("weights", question(spec=LONE_CONFIG)),
    ("unknown", "weights-not-known"): lambda: found("weights", spec(openness=Openness())),
    ("fail", "weights-closed"): lambda: found("weights", question(spec=CLOSED, needs=None)),
}


test_cell_of_weights, test_every_code_of_weights = cell_tests("weights", WEIGHTS)


def test_the_weights_of_a_lone_config_are_the_users_to_get() -> None:
    """It warns and no more: the route is of the other findings, and where to download nobody knows."""
    result = judge(question(spec=LONE_CONFIG), MACHINE)
    assert result.route(offered=False) is Route.LOCAL
    assert judge(BIG.replace(spec=LONE_CONFIG), MACHINE).route(offered=False) is Route.NEITHER
    answer = verdict_on(result, MACHINE, asked="m", offered=False)
    assert answer.can_download is None
    assert (
        found("weights", question(spec=LONE_CONFIG.replace(origin="m.toml"))).outcome == "unknown"
    )
