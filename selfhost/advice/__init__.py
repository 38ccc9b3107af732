"""Advice: what is to be done about what was judged."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.records import Record
from ..judge.record import report_module


class Report(Record):
    """An answer that a program may show."""

    # the functions of `reports` that give its JSON and its table
    _as_json: ClassVar[tuple[str, str]]
    _as_table: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The object that its command prints with `--format json`, as a dict."""
        module, function = self._as_json
        document: dict[str, Any] = getattr(report_module(module), function)(self)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: a table."""
        table: str = getattr(report_module("notebook"), self._as_table)(self)
        return table
