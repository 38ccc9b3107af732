"""`rank(top=N)` and `list --top N` judge the models that they show, and little more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfhost.advice.listing import Lister
from selfhost.api import rank
from selfhost.cli.main import main
from selfhost.core.errors import SelfhostError

MACHINE = "RTX 4090"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the models that were judged."""
    ids: list[str] = []
    judge = Lister._found_answer

    def counted(self: Lister, id: str) -> Any:
        ids.append(id)
        return judge(self, id)

    monkeypatch.setattr(Lister, "_found_answer", counted)
    return ids


def test_the_first_of_a_use_are_those_of_all(judged: list[str]) -> None:
    every = rank(machine=MACHINE, use="code")
    judged.clear()
    first = rank(machine=MACHINE, use="code", top=7)
    assert [row.model.id for row in first.models] == [
        row.model.id for row in every.models[:7]
    ]
    assert len(judged) < len(every.models) / 2
    assert first.counts.is_estimate
    assert not every.counts.is_estimate


def test_models_that_do_not_run_are_among_the_first() -> None:
    """A program that asks for seven gets seven, as far as there are so many."""
    first = rank(machine="raspberry pi 4 4gb", use="code", top=90)
    assert len(first.models) == 90
    assert not all(row.can_run for row in first.models)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--top", "4", "--json"), id="JSON"),
        pytest.param(("--top", "4", "--format", "html"), id="a page"),
        pytest.param(("--top", "4"), id="text"),
        pytest.param(("qwen", "--top", "4", "--json"), id="of a search, JSON"),
        pytest.param(("qwen", "--top", "4"), id="of a search, text"),
    ],
)
def test_a_list_judges_what_it_shows(
    words: tuple[str, ...], judged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *words, "--machine", MACHINE]) == 0
    written = capsys.readouterr().out
    assert 4 <= len(set(judged)) == len(judged) <= 40
    if "--json" in words:
        assert len(json.loads(written)["models"]) == 4


@pytest.mark.parametrize(
    "option", ["--sort speed", "--max-size 5GB", "--max-size 0GB", "--route api"]
)
def test_another_order_or_a_filter_needs_all(
    option: str, judged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Which are the first is known only then."""
    words = [
        "list",
        "gpt2",
        "--top",
        "2",
        *option.split(),
        "--json",
        "--machine",
        MACHINE,
    ]
    main(words)
    capsys.readouterr()
    assert {"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"} <= {*judged}


@pytest.mark.parametrize("top", [0, -1, 2.5, True, "3"])
def test_a_number_that_makes_no_sense_is_refused(top: Any) -> None:
    with pytest.raises(SelfhostError, match="top"):
        rank(machine=MACHINE, top=top)
