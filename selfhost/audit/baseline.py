"""An earlier audit, and the changes of rows since then.

What goes in: the rows of `selfhost audit --format jsonl`, a million of them at most. What comes
out: a `Baseline`, whose `change_of` says of a row of today's audit whether it is new, fixed or
changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core.errors import InputError
from ..core.files import Unreadable, open_file, parse_json, too_large
from ..core.records import Record
from .record_text import Tell, text_lines
from .rows import AuditRow, Result

# a row takes about 200 bytes: room for a million rows
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = tuple(result.value for result in Result)
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"


class RowResult(Record):
    """The result of a row, and the checks that failed."""

    result: Result
    failed: frozenset[str]

    @property
    def is_bad(self) -> bool:
        """Whether the row failed, or its result was not known."""
        return self.result in (Result.FAIL, Result.UNKNOWN)

    def fails_more_than(self, other: RowResult) -> bool:
        """Whether the row fails where the other did not, or fails a check that the other passed."""
        if self.result is not Result.FAIL:
            return False
        if other.result is not Result.FAIL:
            return True
        return not self.failed.issubset(other.failed)


# results by label and machine
Rows = dict[str, dict[str, RowResult]]


class Baseline(Record):
    """An earlier audit. `rows` has its results by label and machine."""

    file: str
    rows: Mapping[str, dict[str, RowResult]]

    def change_of(self, row: AuditRow) -> str | None:
        """How a row changed: `new` where it is bad or worse than before, `fixed` where it was bad,
        else `changed`; None where nothing changed. A row that the baseline lacks counts as passed.
        """
        by_machine = self.rows.get(row.wanted.label, {})
        earlier = by_machine.get(row.machine)
        now = RowResult(result=row.result, failed=frozenset(row.failed))
        if earlier is None:
            return "new" if now.is_bad else None
        if now == earlier:
            return None
        if not now.is_bad:
            return "fixed" if earlier.is_bad else "changed"
        if not earlier.is_bad or now.fails_more_than(earlier):
            return "new"
        return "changed"


# equal rows are kept once: among a million rows few differ in more than the machine
_row_result = lru_cache(maxsize=1_000)(RowResult)


def _add(rows: Rows, row: Mapping[str, object]) -> None:
    """Keep the result in a row. Raises `Unreadable` for an object that is no row."""
    machine = row.get("machine")
    label = row.get("label")
    if not isinstance(machine, str) or not isinstance(label, str):
        raise _not_a_row("machine and label must be names")
    result = row.get("result")
    checks = row.get("failed")
    if result not in _RESULTS or not isinstance(checks, list):
        raise _not_a_row(f"result must be one of {', '.join(_RESULTS)}")
    failed = frozenset(map(str, checks))
    rows.setdefault(label, {})[machine] = _row_result(
        result=Result(result), failed=failed
    )


def _not_a_row(reason: str) -> Unreadable:
    """The fault of a line that holds no row of an audit."""
    return Unreadable(f"is not a row of an audit: {reason}")


def read_baseline(path: str, tell: Tell | None = None) -> Baseline:
    """Return the earlier audit in a file. `tell` hears how many rows were read. `InputError` has
    the file and the line.
    """
    rows: Rows = {}
    # the number of the last line read
    line = 0
    try:
        stream, size = open_file(path, input_allowed=True)
        with stream:
            if size is not None and size > MAX_BASELINE_BYTES:
                raise too_large(MAX_BASELINE_BYTES)
            for line, text in text_lines(stream):
                if tell is not None:
                    tell(line, None)
                row = parse_json(text)
                if not isinstance(row, dict) or "schema" in row:
                    raise _not_a_row("JSON Lines have one object on each line")
                # a line that reports a problem tells nothing about a machine
                if row.get("problem") is None:
                    _add(rows, row)
        if not rows:
            raise Unreadable("holds no row of an audit" if line else "is empty")
    except Unreadable as error:
        problem = error.problem(path, _WRITE_IT)
        raise InputError([problem.replace(line=line or None)]) from None
    return Baseline(file=path, rows=rows)
