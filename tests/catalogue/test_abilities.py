"""Abilities: what ships is what the scores give when they are fitted again, and what a reader is
told of them holds.
"""

from __future__ import annotations

from math import exp, log

import pytest

from boards.abilities import fits
from boards.fit import Point, fit_points, points
from helpers.paths import SPEC_FILES
from selfhost.catalogue.abilities import (
    Abilities,
    AbilitiesTable,
    Ability,
    abilities,
    abilities_table,
    years,
)
from selfhost.catalogue.index import Catalogue, Outline
from selfhost.catalogue.scores import scores_of
from selfhost.core.tables import shipped_record

IDS = set(SPEC_FILES)
USES = ("chat", "code")
# what is written has two digits
ROUNDING = 0.0051
DAY = "2026-09"


def of_use(use: str) -> Abilities:
    found = abilities(use)
    assert found is not None
    return found


def test_each_value_is_what_its_field_says() -> None:
    assert shipped_record(AbilitiesTable, "abilities") == abilities_table()


def test_the_fit_gives_what_ships() -> None:
    """Whoever changes a score, a board, or the size or date of a model fits again."""
    again = fits(Catalogue.open())
    assert again.keys() == abilities_table().use.keys()
    for use, fitted in again.items():
        shipped = of_use(use)
        assert shipped.models.keys() == fitted.estimates.keys(), (
            "python tools/measured.py --fit"
        )
        assert shipped.per_size == pytest.approx(fitted.trend.per_size, abs=1e-4)
        assert shipped.per_year == pytest.approx(fitted.trend.per_year, abs=1e-4)
        for id, estimate in fitted.estimates.items():
            assert shipped.models[id].ability == pytest.approx(
                estimate.ability, abs=ROUNDING
            ), id
            assert shipped.models[id].error == pytest.approx(
                estimate.error, abs=ROUNDING
            ), id


@pytest.mark.parametrize("use", USES)
def test_a_measured_model_is_one_that_others_measured(use: str) -> None:
    """No row is invented: for each there is a score by somebody other than its maker."""
    for id, ability in of_use(use).models.items():
        assert id in IDS
        assert ability.is_measured
        independent = [
            row for row in scores_of(id) if row.is_independent and use in row.board.uses
        ]
        titles = {row.board.title for row in independent if row.board.fitted}
        assert 1 <= ability.boards <= len(titles)
        assert 1 <= ability.sources <= ability.boards
        assert ability.newest in {row.date for row in independent}


@pytest.mark.parametrize("use", USES)
def test_larger_and_newer_models_are_expected_to_be_abler(use: str) -> None:
    """And a size halves in 2 to 5 months: 3.5 by the densing law (arXiv:2412.04315)."""
    found = of_use(use)
    small = found.expected(8_000_000_000, None, "2025-06")
    large = found.expected(70_000_000_000, None, "2025-06")
    newer = found.expected(8_000_000_000, None, "2026-06")
    assert small is not None
    assert large is not None
    assert newer is not None
    assert small.ability < large.ability
    assert small.ability < newer.ability
    assert not small.is_measured
    assert 2 < found.halving_months < 5


def test_nothing_is_expected_of_a_model_of_unknown_size_or_age() -> None:
    chat = of_use("chat")
    assert chat.expected(None, None, "2026-01") is None
    assert chat.expected(8_000_000_000, None, None) is None


def test_a_mixture_counts_between_its_active_and_all_its_parameters() -> None:
    chat = of_use("chat")
    mixture = chat.expected(30_000_000_000, 3_000_000_000, DAY)
    assert mixture is not None
    # 0.7 of the logarithm is that of all parameters
    dense = chat.expected(round(exp(0.7 * log(30e9) + 0.3 * log(3e9))), None, DAY)
    assert dense is not None
    assert dense.ability == pytest.approx(mixture.ability)


def test_an_older_model_equals_a_smaller_one_of_today() -> None:
    chat = of_use("chat")
    old = chat.expected(8_000_000_000, None, "2025-09")
    assert old is not None
    halvings = 12 / chat.halving_months
    small = chat.expected(round(8e9 / 2**halvings), None, DAY)
    assert small is not None
    assert small.ability == pytest.approx(old.ability)


def rated(**models: Ability) -> Abilities:
    """Abilities of these models alone."""
    return of_use("chat").replace(models=models)


def test_models_are_alike_until_they_differ_by_more_than_their_errors() -> None:
    near = Ability(ability=1.1, error=0.3, boards=2, sources=1)
    nearer = Ability(ability=0.95, error=0.3, boards=2, sources=1)
    far = Ability(ability=3.0, error=0.3, boards=2, sources=1)
    own = Ability(ability=1.0, error=0.3, boards=9, sources=4)
    chat = rated(own=own, near=near, nearer=nearer, far=far)
    assert not chat.apart(own, near)
    assert chat.apart(own, far)
    assert chat.apart(far, own)
    assert chat.alike(
        "own", ["far", "own", "near", "nobody-measured-it", "nearer"]
    ) == (
        "nearer",
        "near",
    )
    assert chat.alike("nobody-measured-it", ["own"]) == ()


def test_of_agents_too_little_is_measured() -> None:
    assert abilities("agent") is None


def test_a_year_alone_counts_to_its_middle() -> None:
    assert years("2024") == 24.5
    assert years("2024-07") == pytest.approx(24 + 6.5 / 12)


# ------------------------------------------------------------------ the fit


def outline(id: str, parameters: int | None, released: str) -> Outline:
    """The outline of an open model, or of a closed one where the parameters are not known."""
    return Outline(
        id=id,
        family=None,
        modality="text",
        uses=("chat",),
        closed=parameters is None,
        parameters_total=parameters,
        parameters_active=None,
        parameters_read=None,
        released=released,
        superseded_by=None,
        aliases=(),
        next=None,
        next_is_judged=False,
        purpose="general",
        tuned_from=None,
    )


def point(model: str, board: str, value: float, weight: float = 1.0) -> Point:
    return Point(model, board, board, f"source of {board}", value, weight, "2026-01-01")


def test_the_fit_finds_abilities_of_boards_of_two_years_without_a_model_in_common() -> (
    None
):
    """Values made of size and date alone come out in that order, though the later board is harder
    so that its values are lower.
    """
    sizes = (1, 3, 9, 27, 81)
    outlines = {}
    chosen = []
    for year, easier in ((2024, 3.0), (2025, 0.0)):
        for month in (1, 7):
            for size in sizes:
                id = f"{size}b-{year}-{month}"
                outlines[id] = outline(id, size * 10**9, f"{year}-{month:02}")
                truth = 0.3 * log(size) + 0.8 * (year - 2024 + month / 12)
                chosen.append(point(id, f"board of {year}", truth + easier))
    found = fit_points(chosen, outlines)
    assert 12 * log(2) * found.trend.per_size / found.trend.per_year == pytest.approx(
        12 * log(2) * 0.3 / 0.8, rel=0.02
    )
    older = found.estimates["81b-2024-7"].ability
    newer = found.estimates["81b-2025-7"].ability
    assert newer > older
    assert found.estimates["3b-2025-1"].ability < found.estimates["27b-2025-1"].ability


def test_a_model_that_does_better_than_its_size_comes_out_above_it() -> None:
    outlines = {}
    chosen = []
    for place, size in enumerate((1, 2, 4, 8, 16, 32, 64)):
        id = f"{size}b"
        outlines[id] = outline(id, size * 10**9, f"2025-0{1 + place % 3}")
        better = 1.5 if id == "8b" else 0.0
        for board in ("one", "two", "three"):
            chosen.append(point(id, board, 0.3 * log(size) + better))
    found = fit_points(chosen, outlines)
    assert found.estimates["8b"].ability > found.estimates["16b"].ability
    # one score says less than three
    less = [row for row in chosen if row.model != "8b" or row.board == "one"]
    weaker = fit_points(less, outlines)
    assert weaker.estimates["8b"].error > found.estimates["8b"].error


def test_makers_scores_are_no_points() -> None:
    catalogue = Catalogue.open()
    id = "qwen3-235b-a22b"
    rows = scores_of(id)
    assert any(not row.is_independent for row in rows)
    used = points("chat", {id: rows}, catalogue.outlines)
    # of one model alone no board has enough models
    assert used == []
