"""The day, where an answer depends on it."""

from __future__ import annotations


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%d", gmtime())
