"""The table of GPUs: every row is whole, names its source, and is found by its own words."""

import subprocess
import sys
import tomllib
from typing import Any

import pytest

from helpers.paths import COMMON
from selfhost.machine import gpus

TABLE: dict[str, Any] = tomllib.loads((COMMON / "gpus.toml").read_text(encoding="utf-8"))
KEYS = {
    "gpu": {"words", "gb_per_s", "source", "other", "prompt_tflops", "watts", "driver"},
    "generation": {"capability", "names", "hbm"},
    "maker": {"id", "words"},
    "chip": {"name", "words", "gb_per_s", "least_gb_per_s", "source"},
    "apple": {"chip", "variant", "gb_per_s", "least_share", "smaller", "source"},
}


@pytest.mark.parametrize("table", KEYS)
def test_a_row_has_no_other_keys_and_names_a_source(table: str) -> None:
    for row in TABLE[table]:
        assert row.keys() <= KEYS[table], row
        figures = [row, *(row[key] for key in ("other", "smaller") if key in row)]
        if table in ("gpu", "chip", "apple"):
            assert all(figure["source"] in TABLE["sources"] for figure in figures), row


@pytest.mark.parametrize("row", TABLE["gpu"], ids=lambda row: row["words"])
def test_a_gpu_is_found_by_its_own_words(row: dict[str, Any]) -> None:
    """No row hides another, whatever order they stand in. A row without a figure has that of the
    row with fewer of its words, as a workstation's card has the power of the server's.
    """
    words = row["words"]
    assert words == " ".join(words.lower().split())
    if "prompt_tflops" in row:
        assert gpus.prompt_tflops(words) == row["prompt_tflops"]
    if "watts" in row:
        assert gpus.board_watts(words) == tuple(row["watts"])
    if "gb_per_s" in row:
        assert gpus.peak_gb_per_s(words) == row["gb_per_s"]
        assert 50 < row["gb_per_s"] < 20_000
    if "driver" in row:
        driver = row["driver"]
        assert set(words.split()) <= gpus.words_of(driver["name"])
        assert gpus.driver_memory_mib(driver["name"], driver["sold_gb"]) == driver["mib"]
        # as sold in GB or GiB, less what the card keeps for itself
        assert 0.92 < driver["mib"] / (driver["sold_gb"] * 1024) <= 1.0


@pytest.mark.parametrize("row", TABLE["chip"], ids=lambda row: row["name"])
def test_a_chip_is_found_though_names_without_its_words_are_not_looked_up(
    row: dict[str, Any],
) -> None:
    chip = gpus.soldered_chip(frozenset(row["words"].split()))
    assert chip is not None
    assert chip.name == row["name"]
    assert 0 < chip.least_gb_per_s < chip.gb_per_s


def test_the_table_is_not_read_for_a_processor_that_is_not_in_it() -> None:
    code = (
        "import sys; from selfhost.machine import gpus;"
        "gpus.soldered_chip(frozenset(('intel', 'xeon'))); print('tomllib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
