"""Words of a POSIX shell: a line that is printed names the same file when it is typed, whatever
the name holds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

# what a CI service takes for a command: `::name` and `##[` (see `reports.layout.clean`)
_OBEYED = ("::", "##")
# the three ways of a shell to quote, of which the first is not known to `shlex`
_QUOTED = r"""\$'((?:\\.|[^'\\])*)'|'[^']*'|"(?:\\.|[^"\\])*\""""


def shell_word(text: str) -> str:
    r"""A text as one word of a shell.

    A line break, or another sign that no terminal shows as it is, is written as bash, zsh and ksh
    read it (POSIX.1-2024, Shell Command Language, 2.2.4): `$'a\012b'` names a file of two lines.
    """
    if text.isprintable() and not any(sign in text for sign in _OBEYED):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    for sign in _OBEYED:
        with_octal = _in_octal(sign[0]) + sign[1]
        escaped = escaped.replace(sign, with_octal)
        # of three signs in a row two are left
        escaped = escaped.replace(sign, with_octal)
    letters = [
        letter if letter.isprintable() else _in_octal(letter) for letter in escaped
    ]
    return f"$'{''.join(letters)}'"


def shell_line(words: Iterable[str]) -> str:
    """The words as one line of a shell."""
    return " ".join(shell_word(word) for word in words)


def shell_words(line: str) -> list[str]:
    """The words of a line that was made of `shell_word`, and of other text that `shlex` reads."""
    return shlex.split(re.sub(_QUOTED, _without_escapes, line, flags=re.DOTALL))


def _without_escapes(quoted: re.Match[str]) -> str:
    """A quoted word as `shlex` reads it."""
    inner = quoted[1]
    return quoted[0] if inner is None else shlex.quote(_unescaped(inner))


def _in_octal(letter: str) -> str:
    # three digits end by themselves, whatever follows
    return "".join(
        f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape")
    )


def _unescaped(text: str) -> str:
    """A text with each `\\012` as the byte of that octal number, and each `\\x` as x."""
    plain = re.sub(
        rb"\\([0-7]{3}|.)", _escaped_byte, text.encode("utf-8", "surrogateescape")
    )
    return plain.decode("utf-8", "surrogateescape")


def _escaped_byte(escape: re.Match[bytes]) -> bytes:
    digits = escape[1]
    return bytes([int(digits, 8)]) if digits.isdigit() else digits
