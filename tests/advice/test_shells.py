"""A shell takes a line as it was meant."""

from __future__ import annotations

import pytest

from selfhost.advice.file_lines import line_of_a_file
from selfhost.catalogue.opened import open_catalogue


@pytest.mark.parametrize(
    ("system", "quoted"),
    [("linux", """'it'"'"'s (mine) $1.gguf'"""), ("windows", "'it''s (mine) $1.gguf'")],
)
def test_a_path_is_one_word_to_the_shell(system: str, quoted: str) -> None:
    """A POSIX shell closes the quotes for a quote of the name, PowerShell doubles it."""
    llamacpp, is_windows = open_catalogue().runtime("llama.cpp"), system == "windows"
    line = line_of_a_file(llamacpp, "it's (mine) $1.gguf", None, is_windows=is_windows)
    assert f"-m {quoted} -c" in line
    line = line_of_a_file(llamacpp, "~/models/plain.gguf", None, is_windows=is_windows)
    assert "-m ~/models/plain.gguf -c" in line
