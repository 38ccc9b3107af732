"""What `compare` says: models side by side."""

from __future__ import annotations

import re

from helpers.paths import RECORDS
from selfhost import Machine, check, compare
from selfhost.advice.several import comparison
from selfhost.machine.named import named
from selfhost.reports.compare_text import compare_document
from selfhost.reports.layout import plain

LAPTOP = "8gb windows laptop"
VM = Machine.from_file(RECORDS / "vm-24gib.json")


def test_rows_of_a_comparison_stand_in_one_order() -> None:
    """`commercial use` was the last row, below `current`, where a closed model came first."""
    models = ["gpt-4o", "gpt-oss-20b"]
    tables = []
    for order in (models, models[::-1]):
        compared = comparison([check(model, machine=LAPTOP) for model in order])
        tables.append(plain(compare_document(compared)).splitlines())
    titles = [
        [row[:16].strip() for row in table if row[:1].strip()] for table in tables
    ]
    start = titles[0].index("judged as")
    end = titles[0].index("current") + 1
    assert (
        titles[0][start:end] == titles[1][titles[1].index("judged as") :][: end - start]
    )
    assert titles[0].index("license") + 1 == titles[0].index("commercial use")


def test_compare_shows_the_context_and_the_price_alone() -> None:
    """Of what does not run it had the full context, of pictures a sentence in a cell."""
    verdicts = [
        check(model, machine=LAPTOP)
        for model in ("qwen3.5-9b", "qwen3.5-4b", "bge-m3", "sdxl")
    ]
    lines = plain(compare_document(comparison(verdicts))).splitlines()
    (context,) = [
        re.split("  +", line) for line in lines if line.startswith("context up to")
    ]
    # of an embedding model its own
    assert (context[1], context[3]) == ("-", "8,192")
    assert context[2] != "-"
    assert any(re.search(r"\$[\d.]+ per image *$", line) for line in lines), lines


def test_a_comparison_says_which_model_the_gpu_holds() -> None:
    """~114 tokens/s beside ~14, and nothing said that a part of the second lies in the RAM.

    43 GB do not fit a card of 12 GiB, 4.4 do.
    """
    machine = named("desktop-rtx3060-12gb, 64 GB of RAM")[0]
    models = ("mistral-7b", "llama-3.3-70b")
    compared = comparison(
        [check(model, machine=machine, min_tokens_per_second=0) for model in models]
    )
    rows = [line.split() for line in plain(compare_document(compared)).splitlines()]
    assert ["in", "GPU", "GPU+RAM"] in rows


def test_a_comparison_without_a_gpu_has_no_place() -> None:
    """A row that says RAM of each model says nothing."""
    compared = comparison(
        [check(model, machine=VM) for model in ("mistral-7b", "phi-4")]
    )
    titles = [
        line.split("  ")[0] for line in plain(compare_document(compared)).splitlines()
    ]
    assert "in" not in titles


def test_a_comparison_on_a_mac_has_its_models_on_the_gpu() -> None:
    """Each model was "in RAM", and `check` and `plan` said that the GPU holds it."""
    machine = named("macbook air m2 16gb")[0]
    models = ("mistral-7b", "qwen3-8b")
    compared = comparison([check(model, machine=machine) for model in models])
    rows = [line.split() for line in plain(compare_document(compared)).splitlines()]
    assert ["in", "GPU", "GPU"] in rows


def test_the_prices_of_a_comparison_have_their_day() -> None:
    """A price without a day is not worth much: prices of APIs change every few months."""
    verdicts = [check(model, machine=VM) for model in ("mistral-7b", "phi-4")]
    days = {verdict.api_offers[0].as_of for verdict in verdicts}
    shown = plain(compare_document(comparison(verdicts))).splitlines()
    (told,) = [line for line in shown if "prices were listed" in line]
    assert all(day in told for day in days)


def test_a_note_on_one_of_several_models_names_the_model() -> None:
    """`compare gpt-oss-20b gemma3:12b` said that long conversations may need 9.38 GiB more, and not
    with which of the models.
    """
    machine = "macbook air m4 24gb"
    compared = compare(["gpt-oss-20b", "gemma3:12b"], machine=machine)
    together = plain(compare_document(compared))
    note = next(n for n in check("gemma3:12b", machine=machine).notes if "Long" in n)
    assert f"gemma-3-12b-it: {note}" in " ".join(together.split())
