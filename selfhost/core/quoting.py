"""Quotes for words of a POSIX shell: a printed command line names the same file when it is typed,
whatever characters the name holds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

# texts that a CI service reads as a command: `::name` and `##[` (see `reports.layout.clean`)
_OBEYED = ("::", "##")
# the three kinds of quotes in a shell; `shlex` does not know the first
_QUOTED = r"""\$'((?:\\.|[^'\\])*)'|'[^']*'|"(?:\\.|[^"\\])*\""""
_ESCAPE = rb"\\([0-7]{3}|.)"


def shell_word(text: str) -> str:
    r"""A text as one word of a shell.

    A line break, or another sign that no terminal shows as it is, is written as bash, zsh and ksh
    read it (POSIX.1-2024, Shell Command Language, 2.2.4): `$'a\012b'` names a file of two lines.
    """
    is_obeyed = any(sign in text for sign in _OBEYED)
    if text.isprintable() and not is_obeyed:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    for sign in _OBEYED:
        with_octal = _in_octal(sign[0]) + sign[1]
        escaped = escaped.replace(sign, with_octal)
        # of `:::` the first replacement leaves `::`
        escaped = escaped.replace(sign, with_octal)
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
    """A quoted word as `shlex` reads it."""
    escaped = quoted[1]
    if escaped is None:
        return quoted[0]
    return shlex.quote(_unescaped(escaped))


def _in_octal(letter: str) -> str:
    """A letter as the octal numbers of its bytes: three digits end by themselves."""
    return "".join(f"\\{byte:03o}" for byte in _bytes_of(letter))


def _unescaped(text: str) -> str:
    """A text with each `\\012` as the byte of that octal number, and each `\\x` as x."""
    plain = re.sub(_ESCAPE, _escaped_byte, _bytes_of(text))
    return plain.decode("utf-8", "surrogateescape")


def _escaped_byte(escape: re.Match[bytes]) -> bytes:
    digits = escape[1]
    if digits.isdigit():
        return bytes([int(digits, 8)])
    return digits


def _bytes_of(text: str) -> bytes:
    """The bytes of a text, also of a file's name that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
