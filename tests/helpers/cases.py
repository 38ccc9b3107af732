"""Names of cases: ids of tests, and the one that a law over a whole catalogue failed for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def case_id(value: object) -> str:
    """The `id` of a value that has one, else the beginning of its text.

    A text with an address of memory differs between two runs: its type stands for it.
    """
    named = getattr(value, "id", None)
    if named:
        return str(named)
    text = str(value)[:80]
    if " at 0x" in text:
        return type(value).__name__
    return text


@contextmanager
def case(name: object) -> Iterator[None]:
    """A failure inside says for which case of a long loop it is."""
    try:
        yield
    except Exception as error:
        error.add_note(f"case: {name}")
        raise
