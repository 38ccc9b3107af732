"""The contract's rows `weights`, `license` and `openness`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from typing import Any

import pytest

from judge.small import (
    BIG,
    CLOSED,
    MACHINE,
    SPEC,
    WORK,
    Cells,
    at,
    cell_tests,
    found,
    question,
    spec,
    work,
)
from selfhost.catalogue.spec import License, Openness, Safety, StatedNeeds
from selfhost.judge.judging import judge
from selfhost.judge.record import Question, Route, Verdict

# nobody confirms what is said of a license
UNCONFIRMED = {"license": "general knowledge"}


def under(
    license: License | None, sources: dict[str, str] | None = None, /, **asked: Any
) -> Question:
    """The model under that license, asked about with these wishes."""
    own = SPEC.replace(license=license, sources=SPEC.sources if sources is None else sources)
    return question(spec=own, workload=WORK.replace(**asked))


def own(id: str = "LicenseRef-X", use: str = "yes", *conditions: str) -> License:
    return License(id=id, commercial_use=use, conditions=conditions)


LICENSE: Cells = {
    ("pass", "license-allows"): at(work(commercial=True)),
    ("warn", "license-conditional"): at(
        under(own("LicenseRef-X", "conditional", "under 700 million users"))
    ),
    ("warn", "license-assumed"): at(under(own(), UNCONFIRMED, commercial=True)),
    ("unknown", "license-not-known"): at(under(None, commercial=True)),
    ("unknown", "license-unconfirmed"): at(under(own(use="no"), UNCONFIRMED, commercial=True)),
    ("fail", "license-not-accepted"): at(work(license="MIT")),
    ("fail", "license-forbids"): at(under(own("CC-BY-NC-4.0", "no"), commercial=True)),
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
    license = License(id=own, commercial_use="yes")
    judged = found("license", under(license, {"license": source}, **asked))
    assert judged.code == code
    assert ("(general knowledge, not confirmed)" in judged.reason) is (
        code in ("license-assumed", "license-unconfirmed")
    )
    assert judged.remedy or code == "license-allows"


PARTLY = Openness(weights="published", training_data="partial", paper="published")
OPENNESS: Cells = {
    ("pass", "openness-open"): at(work(modify=True)),
    ("warn", "openness-assumed"): at(under(SPEC.license, UNCONFIRMED, modify=True)),
    ("warn", "openness-partly"): at(
        question(spec=SPEC.replace(openness=PARTLY), workload=WORK.replace(auditable=True))
    ),
    ("unknown", "openness-not-known"): at(work(auditable=True)),
    ("fail", "openness-closed"): at(
        question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True))
    ),
}


test_cell_of_openness, test_every_code_of_openness = cell_tests("openness", OPENNESS)


# read from a config.json, without weights beside it
LONE_CONFIG = SPEC.replace(openness=Openness(), gated=None, origin="m/config.json")

WEIGHTS: Cells = {
    ("pass", "weights-published"): at(),
    ("pass", "weights-here"): at(question(local_files=True)),
    ("pass", "weights-stated"): at(
        spec(openness=Openness(), architecture=None, needs=StatedNeeds(low_bytes=1, high_bytes=2))
    ),
    ("warn", "weights-gated"): at(spec(gated=True)),
    ("warn", "weights-unsafe"): at(spec(safety=Safety(formats=("pickle",)))),
    ("warn", "weights-partial"): at(spec(openness=Openness(weights="partial"))),
    ("warn", "weights-yours"): at(question(spec=LONE_CONFIG)),
    ("unknown", "weights-not-known"): at(spec(openness=Openness())),
    ("fail", "weights-closed"): at(question(spec=CLOSED, needs=None)),
}


test_cell_of_weights, test_every_code_of_weights = cell_tests("weights", WEIGHTS)


def test_the_weights_of_a_lone_config_are_the_users_to_get() -> None:
    """It warns and no more: the route is of the other findings, and where to download nobody knows."""
    result = judge(question(spec=LONE_CONFIG), MACHINE)
    assert result.route_if(offered=False) is Route.LOCAL
    assert judge(BIG.replace(spec=LONE_CONFIG), MACHINE).route_if(offered=False) is Route.NEITHER
    answer = Verdict.on(result, MACHINE, asked="m", offered=False)
    assert answer.can_download is None
    assert (
        found("weights", question(spec=LONE_CONFIG.replace(origin="m.toml"))).outcome == "unknown"
    )
