"""Quotes for words of a POSIX shell: a printed command line that is typed again names the same
file, whatever characters the name of the file has.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from itertools import pairwise

from .units import says_any

# a CI service reads `::name` and `##[` as commands (`reports.layout.clean`)
_DOUBLED = ("::", "##")
# the three kinds of quotes in a shell; `shlex` does not know the first
_QUOTED = r"""(?s)\$'((?:\\.|[^'\\])*)'|'[^']*'|"(?:\\.|[^"\\])*\""""


def shell_word(text: str) -> str:
    r"""A text as one word of a shell.

    The bytes of a line break, of any other sign that no terminal shows, and of a sign that a CI
    service would obey are written as octal numbers, as bash, zsh and ksh read them (POSIX.1-2024,
    Shell Command Language, 2.2.4): `$'a\012b'` is the name of a file in two lines.
    """
    is_obeyed = says_any(text, _DOUBLED)
    if text.isprintable() and not is_obeyed:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\")
    escaped = escaped.replace("'", "\\'")
    written = ""
    for letter, following in pairwise(f"{escaped} "):
        # of two signs that are obeyed together, the first is written as a number
        is_first_of_two = letter + following in _DOUBLED
        if letter.isprintable() and not is_first_of_two:
            written += letter
        else:
            written += _in_octal(letter)
    return f"$'{written}'"


def _in_octal(letter: str) -> str:
    """A letter as the octal numbers of its bytes: three digits end by themselves."""
    numbers = [f"\\{byte:03o}" for byte in _bytes_of(letter)]
    return "".join(numbers)


def shell_line(words: Iterable[str]) -> str:
    """The words as one line of a shell."""
    return " ".join(map(shell_word, words))


def shell_words(line: str) -> list[str]:
    """The words of a line that was made of `shell_word`, and of other text that `shlex` reads."""
    readable = re.sub(_QUOTED, _without_escapes, line)
    return shlex.split(readable)


def _without_escapes(quoted: re.Match[str]) -> str:
    """A quoted word with quotes that `shlex` knows."""
    escaped = quoted[1]
    if escaped is None:
        return quoted[0]
    text = _unescaped(escaped)
    return shlex.quote(text)


def _unescaped(text: str) -> str:
    """A text with each `\\012` as the byte of that octal number, and each `\\'` as a quote."""
    letters = _bytes_of(text).decode("unicode_escape")
    # the codec takes each byte for a letter of Latin-1
    content = letters.encode("latin-1")
    return content.decode("utf-8", "surrogateescape")


def _bytes_of(text: str) -> bytes:
    """The bytes of a text, also of a file's name that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
