"""The contract's row `weights`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from judge.small import BIG, CLOSED, MACHINE, SPEC, cell_tests, found, question, spec
from selfhost.catalogue.spec import Openness, Safety, StatedNeeds
from selfhost.judge.checks import Finding
from selfhost.judge.judging import judge
from selfhost.judge.record import Route, verdict_on

# read from a config.json, without weights beside it
LONE_CONFIG = SPEC.replace(openness=Openness(), gated=None, origin="m/config.json")

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
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


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("weights", CELLS)


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
