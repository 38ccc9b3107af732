"""What `machine` says: facts that were read, and gaps."""

from __future__ import annotations

import re

import pytest

from helpers import report_samples as samples
from helpers.screens import drawn
from selfhost import check
from selfhost.core.records import Unread
from selfhost.machine.named import named
from selfhost.machine.record import Machine
from selfhost.reports.layout import Blocks, plain
from selfhost.reports.machine_text import machine_document


def _words(shown: str) -> str:
    return " ".join(shown.split())


def _shown(blocks: Blocks, width: int | None) -> str:
    """As a pipe has it without a width, else as a terminal of that width."""
    return plain(blocks) if width is None else drawn(blocks, width)


@pytest.mark.parametrize("width", [None, 80, 20])
def test_a_machine_shows_facts_and_gaps(width: int | None) -> None:
    """Every value that was read; with `-v` every one that was not, with reason and remedy.

    Unread is never shown as zero.
    """
    first = _words(_shown(machine_document(samples.WORKSTATION), width))
    shown = _words(_shown(machine_document(samples.WORKSTATION, verbose=True), width))
    for part in (
        "22.9 GiB",
        "23.5 GiB",
        "2 cores",
        "RTX 4090",
        "181 GB free",
        "site=lab",
    ):
        assert part in first or width == 20
    # what decides most is told on the first screen, the rest counted
    assert "permission denied" in first
    assert re.search(r"\d more: -v", first)
    for entry in samples.WORKSTATION.unread:
        assert entry.reason in shown
        assert entry.remedy is None or entry.remedy in shown
    unread = Machine(unread=(Unread(fact="memory_total_bytes", reason="no /proc"),))
    assert "no /proc" in plain(machine_document(unread, verbose=True))
    for verbose in (False, True):
        nothing = plain(machine_document(unread, verbose=verbose))
        assert "0 bytes" not in nothing
        assert "Not read" in nothing


def test_a_machine_has_one_name_above_its_facts_and_in_a_sentence() -> None:
    deck = named("steam deck")[0]
    assert plain(machine_document(deck)).startswith("steam-deck-16gb: linux, ")
    verdict = check("llama-3.3-70b", machine=deck)
    assert "does not run on steam-deck-16gb" in verdict.summary
