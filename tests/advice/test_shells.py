"""A shell takes a line as it was meant."""

from __future__ import annotations

import pytest

from selfhost.advice.shells import in_shell


@pytest.mark.parametrize(
    ("system", "quoted"),
    [("linux", """'it'"'"'s (mine) $1.gguf'"""), ("windows", "'it''s (mine) $1.gguf'")],
)
def test_a_path_is_one_word_to_the_shell(system: str, quoted: str) -> None:
    """A POSIX shell closes the quotes for a quote of the name, PowerShell doubles it."""
    is_windows = system == "windows"
    assert in_shell("it's (mine) $1.gguf", is_windows=is_windows) == quoted
    assert in_shell("~/models/plain.gguf", is_windows=is_windows) == "~/models/plain.gguf"
