"""Advice: what is to be done about what was judged."""

from __future__ import annotations

from ..core import Any
from ..core.records import Record
from ..judge.record import report_module


class Report(Record):
    """An answer that a program may show."""

    def to_json(self) -> dict[str, Any]:
        """The object that its command prints with `--format json`, as a dict."""
        document: dict[str, Any] = report_module("json").record(self)
        return document

    def __repr__(self) -> str:
        """One line; `Record.__repr__` gives every field."""
        return f"<{type(self).__name__}: to_json() gives its figures>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table."""
        table: str = report_module("markup").notebook(self)
        return table
