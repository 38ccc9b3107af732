"""What the user's terminal and environment state: colour and width."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TextIO

# in less there is no use in breaking lines
_NARROWEST = 20
_USUAL_COLUMNS = 80


def wants_color(stream: TextIO | None, *, no_color: bool) -> bool:
    """Whether a stream gets colour. NO_COLOR and --no-color forbid it (no-color.org), FORCE_COLOR
    asks for it where there is no terminal, as in the log of a CI job (force-color.org); either
    counts unless it is empty, and FORCE_COLOR unless it is 0.
    """
    if no_color or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def stated(name: str) -> int:
    """Return what COLUMNS or LINES states; 0 for what is no number."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def columns() -> int:
    """Return the width of standard output."""
    return stated("COLUMNS") or _size_of(sys.stdout)[0] or _USUAL_COLUMNS


def screen() -> tuple[int, int] | None:
    """Return the columns and lines of the terminal that standard output is; None where it is
    none.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    lines = stated("LINES") or _size_of(sys.stdout)[1]
    return (columns(), lines) if lines > 0 else None


def in_width(text: str, stream: TextIO) -> str:
    """Break lines between words on a terminal, and where COLUMNS states a width; they go on further
    in.
    """
    width = stated("COLUMNS") or (_size_of(stream)[0] if stream.isatty() else 0)
    if width < _NARROWEST or all(len(line) <= width for line in text.splitlines()):
        return text
    from textwrap import TextWrapper

    wrapper = TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        wrapper.initial_indent, wrapper.subsequent_indent = indent, f"{indent}  "
        lines += wrapper.wrap(line.strip()) or [""]
    return "".join(f"{line}\n" for line in lines)


def _size_of(stream: TextIO | None) -> tuple[int, int]:
    try:
        return os.get_terminal_size(stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return 0, 0
