"""Plain values as YAML 1.2. Every string is written as JSON writes it, which YAML reads the same,
so that no text can be taken for a number, a date, an anchor or a comment.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def dumps(value: Mapping[str, Any]) -> str:
    """A mapping of mappings, lists, strings, whole numbers and truth values, in its own order."""
    return "".join(f"{text}\n" for text in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{_scalar(key)}:", inner)
    else:
        for inner in value:
            first, *rest = _lines(inner) if _is_nested(inner) else [_scalar(inner)]
            yield f"- {first}"
            yield from (f"  {text}" for text in rest)


def _entry(key: str, value: Any) -> Iterator[str]:
    if not _is_nested(value):
        yield f"{key} {_scalar(value)}"
        return
    yield key
    yield from (f"  {text}" for text in _lines(value))


def _is_nested(value: Any) -> bool:
    """A mapping or list with something in it; an empty one stands on its key's line."""
    return isinstance(value, Mapping | list | tuple) and bool(value)


def _scalar(value: Any) -> str:
    import json

    if isinstance(value, str) and _is_word(value):
        return value
    return json.dumps(value)


def _is_word(text: str) -> bool:
    """A name that YAML reads as itself: it begins with a letter, and has marks inside alone."""
    plain = text.translate(_INSIDE)
    return (
        text.isascii()
        and plain.isalnum()
        and text[0].isalpha()
        and text[-1].isalnum()
        and text.lower() not in _NO_WORDS
    )


_INSIDE = str.maketrans("", "", "-./_")
# YAML 1.1 reads these as truth values or nothing
_NO_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
