"""Words for a shell: the shell itself gives back what was quoted."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selfhost.core.quoting import shell_line, shell_word, shell_words

# every sign but the null, which no file has in its name, and half a sign
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HARD = [
    "a\nb.gguf", "a\\\nb", "\x1b[31m", "\u202e", "\U000e0001é", "it's\n$HOME", "\\012\n",
    "::error", ":::::", "###[", "'\n'", "",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_reads_what_was_quoted() -> None:
    script = f'printf "%s\\0" {shell_line(HARD)}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == HARD


@given(st.lists(NAMES))
@example(HARD)
@example([" $'x", "\n"])
def test_a_line_is_read_back(words: list[str]) -> None:
    assert shell_words(shell_line(words)) == words


@given(NAMES)
@example(":::::")
@example("##[error]")
def test_a_word_is_printed_as_it_is_typed(name: str) -> None:
    """No sign that a terminal obeys or hides, and nothing that a CI service takes for a command."""
    word = shell_word(name)
    assert word.isprintable()
    assert not any(sign in word for sign in ("::", "##["))


@pytest.mark.parametrize("name", ["mistral-7b", "a b", "it's", "$HOME"])
def test_plain_words_are_quoted_as_ever(name: str) -> None:
    """Also for shells that know no `$'…'`, such as dash."""
    assert shell_word(name) == shlex.quote(name)
