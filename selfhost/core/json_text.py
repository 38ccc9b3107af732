"""JSON that nobody vouches for; what it may hold is counted before it is parsed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .files import LARGE, Unreadable

# deeper is nobody's record; Python's own limit differs from version to version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 128 << 20
_BLANKS = " \t\r\n"


def parse(
    text: str,
    *,
    max_signs: int = MAX_SIGNS,
    constant: Callable[[str], Any] | None = None,
    remedy: str = "give the file as its program wrote it",
) -> Any:
    """The value of a text; `constant` makes what stands for NaN and Infinity, which are refused
    without it. Raises `Unreadable`, with `remedy` for more than `max_signs`.
    """
    import json

    if sys.getsizeof(text) > MAX_TEXT_BYTES:
        raise Unreadable(f"takes more than {MAX_TEXT_BYTES >> 20} MiB as text", kind=LARGE)
    count = sum(map(text.count, "[{,:"))
    if count > max_signs:
        reason = f"holds about {count:,} values, and at most {max_signs:,} are read"
        raise Unreadable(reason, remedy, kind=LARGE)

    def refused(word: str) -> Any:
        reason = f"holds {word}, which is no number in JSON"
        raise Unreadable(reason, "write null where a value is not known")

    try:
        value = json.loads(text, parse_constant=constant or refused)
    except json.JSONDecodeError as error:
        reason, instead = error.msg.removesuffix(" at"), ""
        is_cut_off = text.strip(_BLANKS) and not text[error.pos :].strip(_BLANKS)
        if is_cut_off or reason.startswith("Unterminated string"):
            reason = "it ends too early"
            instead = "it may have been cut off while it was written: write it anew"
        raise Unreadable(f"is not JSON: {reason}", instead or None, line=error.lineno) from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError:
        raise Unreadable("holds a number of thousands of digits") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        raise Unreadable("is nested too deeply")
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [part.values() if isinstance(part, dict) else part for part in level]
        level = [below for part in inner for below in part if isinstance(below, list | dict)]
    return bool(level)
