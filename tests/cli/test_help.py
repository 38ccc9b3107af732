"""The help screens fit the terminal they are read on."""

from __future__ import annotations

import pytest

from selfhost.cli import COMMANDS
from selfhost.cli.main import main


@pytest.mark.parametrize(
    "words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_no_line_is_wider_than_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A colon alone stood on a line of its own."""
    assert main(words) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []
