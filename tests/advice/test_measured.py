"""What others measured of a model, in answers and lists."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest

from selfhost import check, compare, rank
from selfhost.advice.filters import ids_passing
from selfhost.advice.listing import Lister
from selfhost.advice.measured import (
    ESTIMATED,
    MEASURED,
    are_alike,
    better_than,
    quality_of_model,
    rows_of,
)
from selfhost.catalogue.abilities import abilities, abilities_table
from selfhost.catalogue.index import open_catalogue
from selfhost.cli.main import main
from selfhost.core.workload import Workload
from selfhost.machine.named import named
from selfhost.reports.layout import plain
from selfhost.reports.list_text import list_document

MACHINE = "rtx 3090 64gb"
# measured at code by OpenHands, Arena and others; by nobody
MEASURED_AT_CODE = "qwen3-coder-next"
UNMEASURED = "phi-4"


def test_a_measured_model_says_how_often_and_like_which() -> None:
    """In JSON: the use, the number of boards, the newest day, models that are not told apart."""
    verdict = check(MEASURED_AT_CODE, machine=MACHINE)
    quality = json.loads(json.dumps(verdict.to_json()))["quality"]
    assert quality["use"] == "code"
    assert quality["basis"] == MEASURED
    assert quality["boards"] >= 3
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", quality["newest"])
    assert 0 < len(quality["alike"]) <= 5
    assert MEASURED_AT_CODE not in quality["alike"]
    # what the type costs stands there as before
    assert quality["quantization"] == verdict.quantization
    assert "rows" not in quality


def test_a_model_that_nobody_measured_says_so() -> None:
    quality = check(UNMEASURED, machine=MACHINE).to_json()["quality"]
    assert quality["basis"] == ESTIMATED
    assert (quality["boards"], quality["newest"], quality["alike"]) == (0, None, [])


def test_a_list_has_the_column_and_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """`--wide` tells boards, or that size and age tell alone."""
    words = ["list", "--use", "code", "--machine", MACHINE, "--top", "20"]
    assert main([*words, "--wide"]) == 0
    out = capsys.readouterr().out
    assert " measured " in out
    assert "by size and age" in out
    assert re.search(r"\d boards", out)
    for row in rank(machine=MACHINE, use="code", top=5).to_json()["models"]:
        assert set(row["quality"]) == {"use", "basis", "boards", "newest", "alike"}
        assert row["quality"]["use"] == "code"


def test_show_has_every_score_and_makers_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With setting, date and source; HumanEval was public before the model."""
    words = ["show", "qwen2.5-coder-32b-instruct", "--machine", MACHINE]
    assert main(words) == 0
    out = capsys.readouterr().out
    others, _, maker = out.partition("Its maker says")
    assert "Measured by others" in others
    assert re.search(r"HumanEval\+ +87\.2 %", others)
    assert "edit format" in others
    assert "(run)" in others
    assert "questions public since 2021-07" in others
    assert maker
    main([*words, "--json"])
    rows = json.loads(capsys.readouterr().out)["quality"]["rows"]
    assert {row["is_claim"] for row in rows} == {True, False}
    for row in rows:
        assert row["source"]
        assert row["date"]
        assert not (row["is_claim"] and row["in_order"])


def test_check_names_boards_and_models_about_alike() -> None:
    text = " ".join(str(check(MEASURED_AT_CODE, machine=MACHINE)._repr_html_()).split())
    assert "scores by others for code:" in text
    assert "about alike here:" in text


@pytest.mark.parametrize(
    ("model", "other", "better"),
    [
        pytest.param("gemma-2-27b-it", UNMEASURED, None, id="one unmeasured"),
        pytest.param("llama-3.1-405b-instruct", "chatglm3-6b", True, id="far apart"),
        pytest.param("chatglm3-6b", "llama-3.1-405b-instruct", False, id="other way"),
    ],
)
def test_better_is_said_only_where_boards_tell_models_apart(
    model: str, other: str, better: bool | None
) -> None:
    catalogue = open_catalogue()
    pair = (catalogue.spec(model), catalogue.spec(other))
    assert better_than(*pair) is better
    assert not are_alike(*pair)


def test_compare_says_better_beyond_the_interval_alone() -> None:
    """Of every pair that was measured it is one or the other, and both orders agree."""
    catalogue = open_catalogue()
    table = abilities("chat")
    assert table is not None
    ids = [id for id in table.models if not catalogue.outlines[id].closed][:12]
    specs = [
        catalogue.spec(id) for id in ids if catalogue.outlines[id].uses[:1] != ("code",)
    ]
    for model in specs:
        for other in specs:
            if model.id == other.id:
                continue
            verdict = better_than(model, other)
            assert are_alike(model, other) is (verdict is None)
            if verdict is not None:
                assert better_than(other, model) is not verdict
    shown = compare(["llama-3.1-8b-instruct", "qwen2.5-72b-instruct"], machine=MACHINE)
    assert "by what others measured" in shown._repr_html_()


def test_no_score_of_ours_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """An ability has no unit, and means something only beside another."""
    table = abilities("code")
    assert table is not None
    ability = table.models[MEASURED_AT_CODE]
    for words in (["check", "-v"], ["show", "-v"], ["check", "--json"]):
        main([words[0], MEASURED_AT_CODE, *words[1:], "--machine", MACHINE])
        out = capsys.readouterr().out
        assert f" {ability.ability:g} " not in out
        assert '"ability"' not in out


def test_scores_of_another_kind_of_model_are_shown_too() -> None:
    """Of speech: the share of wrong words, where less is better; the order does not rest on it."""
    spec = open_catalogue().spec("whisper-large-v3")
    assert quality_of_model(spec).basis == ESTIMATED
    assert any("Open ASR" in row.board for row in rows_of(spec))


@pytest.mark.parametrize(
    ("days_later", "is_told"),
    [pytest.param(0, False, id="new"), pytest.param(91, True, id="old")],
)
def test_old_data_say_their_day(days_later: int, is_told: bool) -> None:
    """Boards that are older than 90 days: their order may have changed since."""
    catalogue = open_catalogue()
    ids = ids_passing(catalogue, use="code")
    listing = Lister(catalogue, Workload(), named(MACHINE)[0], use="code").first(3, ids)
    as_of = abilities_table().as_of
    today = date.fromisoformat(as_of) + timedelta(days=days_later)
    text = plain(list_document(listing, today=today.isoformat()))
    assert (f"; boards of {as_of}." in text) is is_told
