"""The day and the time, where an answer depends on them."""

from __future__ import annotations


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%d", gmtime())


def utc_now() -> str:
    """The time in UTC, as a record of a machine writes it: `YYYY-MM-DDTHH:MM:SSZ`."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
