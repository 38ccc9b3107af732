"""Quotes for words of a POSIX shell: a printed command line that is typed again names the same
file, whatever characters the name of the file has.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

# a sign before its like: a CI service reads `::name` and `##[` as commands (`reports.layout.clean`)
_DOUBLED = r"([:#])(?=\1)"
# the three kinds of quotes in a shell; `shlex` does not know the first
_QUOTED = r"""\$'((?:\\.|[^'\\])*)'|'[^']*'|"(?:\\.|[^"\\])*\""""


def shell_word(text: str) -> str:
    r"""A text as one word of a shell.

    The bytes of a line break, of any other sign that no terminal shows, and of a sign that a CI
    service would obey are written as octal numbers, as bash, zsh and ksh read them (POSIX.1-2024,
    Shell Command Language, 2.2.4): `$'a\012b'` is the name of a file in two lines.
    """
    if text.isprintable() and not re.search(_DOUBLED, text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    escaped = re.sub(_DOUBLED, lambda sign: _in_octal(sign[0]), escaped)
    written = ""
    for letter in escaped:
        written += letter if letter.isprintable() else _in_octal(letter)
    return f"$'{written}'"


def shell_line(words: Iterable[str]) -> str:
    """The words as one line of a shell."""
    return " ".join(map(shell_word, words))


def shell_words(line: str) -> list[str]:
    """The words of a line that was made of `shell_word`, and of other text that `shlex` reads."""
    readable = re.sub(_QUOTED, _without_escapes, line, flags=re.DOTALL)
    return shlex.split(readable)


def _without_escapes(quoted: re.Match[str]) -> str:
    """A quoted word with quotes that `shlex` knows."""
    escaped = quoted[1]
    if escaped is None:
        return quoted[0]
    return shlex.quote(_unescaped(escaped))


def _in_octal(letter: str) -> str:
    """A letter as the octal numbers of its bytes: three digits end by themselves."""
    return "".join(f"\\{byte:03o}" for byte in _bytes_of(letter))


def _unescaped(text: str) -> str:
    """A text with each `\\012` as the byte of that octal number, and each `\\'` as a quote."""
    # the codec takes each byte for a letter of Latin-1
    plain = _bytes_of(text).decode("unicode_escape").encode("latin-1")
    return plain.decode("utf-8", "surrogateescape")


def _bytes_of(text: str) -> bytes:
    """The bytes of a text, also of a file's name that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
