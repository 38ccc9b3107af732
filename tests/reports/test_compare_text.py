"""What `compare` says: models side by side."""

from __future__ import annotations

import re

from helpers.paths import RECORDS
from selfhost import Machine, check, compare
from selfhost.advice.several import comparison
from selfhost.judge.record import Verdict
from selfhost.machine.named import named
from selfhost.reports.compare_text import compare_document
from selfhost.reports.layout import plain

LAPTOP = "8gb windows laptop"
VM = Machine.from_file(RECORDS / "vm-24gib.json")


def lines_comparing(verdicts: list[Verdict]) -> list[str]:
    """The lines that `compare` prints of these verdicts."""
    return plain(compare_document(comparison(verdicts))).splitlines()


def titles_of(lines: list[str]) -> list[str]:
    """The titles of the rows, which stand in the first 16 columns."""
    titles = []
    for line in lines:
        if line[:1].strip():
            titles.append(line[:16].strip())
    return titles


def cells_of(lines: list[str], title: str) -> list[str]:
    """The cells of the one row with this title, a cell a model; an empty last one is left out."""
    (row,) = [line for line in lines if line.startswith(title)]
    return re.split("  +", row)[1:]


def test_rows_of_a_comparison_stand_in_one_order() -> None:
    """`commercial use` was the last row, below `current`, where a closed model came first."""
    closed = check("gpt-4o", machine=LAPTOP)
    open_one = check("gpt-oss-20b", machine=LAPTOP)
    closed_first = titles_of(lines_comparing([closed, open_one]))
    closed_last = titles_of(lines_comparing([open_one, closed]))

    start = closed_first.index("judged as")
    end = closed_first.index("superseded") + 1
    rows = closed_first[start:end]
    start_of_other = closed_last.index("judged as")
    assert rows == closed_last[start_of_other : start_of_other + len(rows)]
    place_of_license = closed_first.index("license")
    assert closed_first[place_of_license + 1] == "commercial use"


def test_compare_shows_the_context_and_the_price_alone() -> None:
    """Of what does not run it had the full context, of pictures a sentence in a cell."""
    models = ("qwen3.5-9b", "qwen3.5-4b", "bge-m3", "sdxl")
    lines = lines_comparing([check(model, machine=LAPTOP) for model in models])
    too_large, small, embedding = cells_of(lines, "context up to")
    assert too_large == "-"
    assert small != "-"
    # its own, which its model card states
    assert embedding == "8,192"
    price = re.compile(r"\$[\d.]+ per image *$")
    assert any(price.search(line) for line in lines), lines


def test_a_comparison_says_which_model_the_gpu_holds() -> None:
    """~114 tokens/s beside ~14, and nothing said that a part of the second lies in the RAM.

    43 GB do not fit a card of 12 GiB, 4.4 do.
    """
    machine = named("desktop-rtx3060-12gb, 64 GB of RAM")[0]
    small = check("mistral-7b", machine=machine, min_tokens_per_second=0)
    large = check("llama-3.3-70b", machine=machine, min_tokens_per_second=0)
    rows = [line.split() for line in lines_comparing([small, large])]
    assert ["in", "GPU", "GPU+RAM"] in rows


def test_a_comparison_without_a_gpu_has_no_place() -> None:
    """A row that says RAM of each model says nothing."""
    verdicts = [check("mistral-7b", machine=VM), check("phi-4", machine=VM)]
    assert "in" not in titles_of(lines_comparing(verdicts))


def test_a_comparison_on_a_mac_has_its_models_on_the_gpu() -> None:
    """Each model was "in RAM", and `check` and `plan` said that the GPU holds it."""
    machine = named("macbook air m2 16gb")[0]
    verdicts = [
        check("mistral-7b", machine=machine),
        check("qwen3-8b", machine=machine),
    ]
    rows = [line.split() for line in lines_comparing(verdicts)]
    assert ["in", "GPU", "GPU"] in rows


def test_the_prices_of_a_comparison_have_their_day() -> None:
    """A price without a day is not worth much: prices of APIs change every few months."""
    verdicts = [check("mistral-7b", machine=VM), check("phi-4", machine=VM)]
    lines = lines_comparing(verdicts)
    (told,) = [line.split() for line in lines if line.startswith("listed ")]
    assert told[1:] == [verdict.api_offers[0].as_of for verdict in verdicts]


def test_a_note_on_one_of_several_models_names_the_model() -> None:
    """A note that another model's prices stand in says whose."""
    alone = check("gpt-4", machine=LAPTOP)
    note = next(note for note in alone.notes if "successor" in note)
    compared = compare(["gpt-oss-20b", "gpt-4"], machine=LAPTOP)
    text = plain(compare_document(compared))
    assert f"gpt-4: {note}" in " ".join(text.split())
