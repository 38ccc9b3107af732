"""Words of a POSIX shell: what is typed names the same file, whatever its name holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

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
        escaped = escaped.replace(sign, _in_octal(sign[0]) + sign[1])
        # of three in a row two are left
        escaped = escaped.replace(sign, _in_octal(sign[0]) + sign[1])
    signs = (sign if sign.isprintable() else _in_octal(sign) for sign in escaped)
    return f"$'{''.join(signs)}'"


def shell_line(words: Sequence[str]) -> str:
    """The words as one line of a shell."""
    return " ".join(map(shell_word, words))


def shell_words(line: str) -> list[str]:
    """The words of a line that was made of `shell_word`, and of other text that `shlex` reads."""

    def without_escapes(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return shlex.quote(_unescaped(match[1]))

    return shlex.split(re.sub(_QUOTED, without_escapes, line, flags=re.DOTALL))


def _in_octal(sign: str) -> str:
    # three digits end by themselves, whatever follows
    return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))


def _unescaped(text: str) -> str:
    def byte(match: re.Match[bytes]) -> bytes:
        digits = match[1]
        return bytes([int(digits, 8)]) if digits.isdigit() else digits

    plain = re.sub(rb"\\([0-7]{3}|.)", byte, text.encode("utf-8", "surrogateescape"))
    return plain.decode("utf-8", "surrogateescape")
