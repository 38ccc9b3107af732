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
    is_terminal = stream is not None and stream.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb"


def stated_columns() -> int | None:
    """Return the width that COLUMNS states; None for 0 and for what is no number, as shutil reads
    it.
    """
    return _stated("COLUMNS")


def columns() -> int:
    """Return the width of standard output."""
    size = _size_of(sys.stdout)
    return stated_columns() or (size[0] if size else 0) or _USUAL_COLUMNS


def help_width() -> int:
    """Return the columns of what `--help` prints."""
    return max(40, min(100, columns()))


def screen() -> tuple[int, int] | None:
    """Return the columns and lines of the terminal that standard output is; None where it is
    none.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    size = _size_of(sys.stdout)
    lines = _stated("LINES") or (size[1] if size else 0)
    return (columns(), lines) if lines > 0 else None


def in_width(text: str, stream: TextIO) -> str:
    """Break lines between words on a terminal, and where COLUMNS states a width; they go on further
    in.
    """
    size = _size_of(stream) if stream.isatty() else None
    width = stated_columns() or (size[0] if size else 0)
    if width < _NARROWEST:
        return text
    from .texts import filled

    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        first, *others = filled(line, width - indent - 2)
        lines += [" " * indent + first, *(" " * (indent + 2) + other for other in others)]
    return "".join(f"{line}\n" for line in lines)


def _stated(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) or None if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _size_of(stream: TextIO | None) -> os.terminal_size | None:
    try:
        return os.get_terminal_size(stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return None
