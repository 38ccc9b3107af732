"""The scores of models, and the boards that they are from: what ships is whole and says its source,
and what it says of a model is what the source says.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from helpers.paths import COMMON, ROOT, SPEC_FILES
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.scores import (
    ELO,
    PERCENT,
    Board,
    BoardsTable,
    Score,
    boards,
    measured_ids,
    scores_in,
    scores_of,
)
from selfhost.core.errors import SpecError
from selfhost.core.stored import Store
from selfhost.core.tables import shipped_record

IDS = set(SPEC_FILES)
# licenses under which facts may be carried on with their source named
OPEN_LICENSES = {
    "MIT",
    "MPL-2.0",
    "Apache-2.0",
    "GPL-3.0",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
}


@cache
def everything() -> dict[str, tuple[Score, ...]]:
    """The scores of all models."""
    return {id: scores_of(id) for id in measured_ids()}


def test_each_value_of_a_board_is_what_its_field_says() -> None:
    assert shipped_record(BoardsTable, "boards") == boards()


def test_each_board_has_a_source_that_states_its_license_and_commit() -> None:
    """A score is told with its source, so a board without one would be an invention."""
    table = boards()
    used = {board.source for board in table.board.values()}
    assert used == table.source.keys()
    for source in table.source.values():
        assert source.license in OPEN_LICENSES
        assert re.fullmatch("[0-9a-f]{40}", source.commit)
        assert source.repository.split("/")[-1]
        license_name = source.license.removesuffix("-1.0").replace("CC-BY", "CC BY")
        assert license_name.split("-")[0].split(" ")[0] in source.attribution


def test_only_independent_boards_are_in_a_fit() -> None:
    table = boards()
    fitted = [board for board in table.board.values() if board.fitted]
    assert fitted
    assert all(table.source[board.source].independent for board in fitted)


def test_a_day_since_when_questions_are_public_has_a_source() -> None:
    for board in boards().board.values():
        assert bool(board.public_since) == bool(board.public_source)


@pytest.mark.parametrize(
    ("released", "was_public"),
    [
        pytest.param("2024-12-26", True, id="a model of later"),
        pytest.param("2021-06-30", False, id="a model of the month before"),
        pytest.param("2021", False, id="a year alone may be before"),
        pytest.param("2022", True, id="a later year"),
        pytest.param(None, False, id="nobody knows when"),
    ],
)
def test_questions_are_old_for_models_of_later_days(
    released: str | None, was_public: bool
) -> None:
    """HumanEval is public since July 2021 (arXiv 2107.03374)."""
    board = boards().board["evalplus-humaneval-plus"]
    assert board.was_public(released) is was_public


def test_each_score_is_of_a_model_of_the_catalogue() -> None:
    assert set(measured_ids()) <= IDS
    assert list(measured_ids()) == sorted(measured_ids())


def test_a_hosted_product_has_no_score() -> None:
    """AlpacaEval's `claude` is claude-v1 of 2023 (models_configs/claude of tatsu-lab/alpaca_eval);
    the product of that name runs its maker's newest models.
    """
    products = {
        spec.id
        for spec in Catalogue.open().specs()
        if spec.availability is not None
        and spec.availability.why.startswith("a hosted product")
    }
    assert "claude" in products
    assert products.isdisjoint(measured_ids())


def test_each_score_is_within_its_unit_and_dated() -> None:
    for rows in everything().values():
        for row in rows:
            assert row.name
            assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", row.date)
            assert row.date <= row.source.as_of
            if row.board.unit == ELO:
                assert 500 < row.score < 2000
            elif row.source.independent:
                assert row.board.unit == PERCENT
                # a correlation may be below 0
                assert -5 <= row.score <= 100


def test_what_a_maker_states_is_apart_and_cites_its_page() -> None:
    """A maker's figure is not independent, and in no fit."""
    stated: Counter[str] = Counter()
    for rows in everything().values():
        for row in rows:
            if row.source.title == "LLM Stats":
                assert not row.is_independent
                assert not row.board.fitted
                assert row.cites.startswith("http")
                stated[row.source.title] += 1
    assert stated["LLM Stats"] > 1000


@pytest.mark.parametrize(
    ("id", "board", "setting", "score"),
    [
        # Aider-AI/aider@5dc9490b, polyglot_leaderboard.yml: Qwen2.5-Coder-32B-Instruct, whole
        pytest.param(
            "qwen2.5-coder-32b-instruct",
            "Aider polyglot",
            "edit format whole",
            16.4,
            id="aider",
        ),
        # oolong-tea-2026/arena-ai-leaderboards@a2694df6, data/2026-04-19/text.json
        pytest.param("gemini-3.1-pro-preview", "Arena text", "", 1492, id="arena"),
        # OpenHands/openhands-index-results@3015ac61, results/DeepSeek-V3.2-Reasoner/scores.json
        pytest.param(
            "deepseek-v3.2",
            "OpenHands, SWE-bench Verified",
            "reasoner",
            71.6,
            id="openhands",
        ),
        # WildEval/ZeroEval@8c1485ed, result_dirs/summary_full.md: Llama-3.1-405B-Inst
        pytest.param(
            "llama-3.1-405b-instruct", "ZeroEval, GSM8K", "", 95.98, id="zeroeval"
        ),
    ],
)
def test_a_score_is_what_its_source_says(
    id: str, board: str, setting: str, score: float
) -> None:
    found = [
        row.score
        for row in scores_of(id)
        if (row.board.title, row.setting) == (board, setting)
    ]
    assert score in found


def test_a_model_that_nobody_measured_has_no_score() -> None:
    assert scores_of("no-such-model") == ()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{}\nnot json\n", id="no JSON"),
        pytest.param('{}\n{"scores": []}\n', id="a line without a model"),
    ],
)
def test_a_damaged_file_is_told_with_a_remedy(content: str, tmp_path: Path) -> None:
    common = tmp_path / "common"
    common.mkdir()
    (common / "scores.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match="is no file of scores"):
        scores_in(Store(str(tmp_path)))


def test_the_file_has_one_line_for_each_model() -> None:
    lines = (COMMON / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    models = [json.loads(line)["model"] for line in lines[1:]]
    assert len(models) == len(set(models))


def board_of(title: str) -> Board:
    """The board of that title."""
    return next(board for board in boards().board.values() if board.title == title)


def test_fewer_wrong_words_are_better() -> None:
    assert board_of("Open ASR, short English").lower_is_better
    assert not board_of("Aider polyglot").lower_is_better


def test_the_page_on_accuracy_names_each_source_with_its_license() -> None:
    """Licenses ask for attribution; `boards.toml`, which has it too, ships with the wheel."""
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    for source in boards().source.values():
        (row,) = [
            line for line in page.splitlines() if f"[{source.repository}]" in line
        ]
        assert source.title in row
        assert source.license in row
        assert source.as_of in row
