"""Models whose pace for several users is not known are no way out where others are too slow."""

from __future__ import annotations

from helpers.paths import RECORDS
from selfhost import Machine, check, rank

# 23.5 GiB, two cores, no GPU
VM = Machine.from_file(RECORDS / "vm-24gib.json")
USERS = 12


def test_a_proposal_for_several_users_has_a_pace() -> None:
    """mistral-7b was too slow for 30 users on two cores; first among what `runs here instead` was a
    model in Transformers, which serves one request after another and has no pace for several.
    """
    verdict = check(
        "mistral-small", machine=VM, parallel=USERS, min_tokens_per_second=4
    )
    assert verdict.finding("speed").outcome == "fail"  # type: ignore[union-attr]
    assert verdict.alternatives
    for other in verdict.alternatives:
        pace = other.judged_tokens_per_second
        assert pace is not None, other.id
        assert pace.likely >= 4


def test_a_list_for_several_users_begins_with_models_of_a_known_pace() -> None:
    """The first four rows had a dash."""
    rows = rank(machine=VM, parallel=USERS, top=12).models
    assert all(row.speed is not None and row.speed.judged is not None for row in rows)
