"""An earlier audit, and what a row changed to since.

What goes in: the rows of `selfhost audit --format jsonl`, a million of them at most. What comes
out: a `Baseline`, by which `change_of` says of a row of today's audit whether it is new, fixed or
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, NamedTuple

from ..core.errors import InputError
from ..core.files import Unreadable, open_file, parse_json, too_large
from ..core.records import Record
from .record_text import text_lines
from .rows import Result, Row

# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = tuple(result.value for result in Result)
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"
_BAD = (Result.FAIL, Result.UNKNOWN)
# hears how many rows were read, and of how many, which is not known
Tell = Callable[[float, float | None], None]


class Earlier(NamedTuple):
    """A row's result in an earlier audit, and which checks failed."""

    result: Result
    failed: frozenset[str]


class Baseline(Record):
    """An earlier audit: by label and machine what was said."""

    file: str
    rows: Mapping[str, dict[str, Earlier]]

    def earlier(self, row: Row) -> Earlier | None:
        """What the earlier audit said of a row; None where it lacks it."""
        return self.rows.get(row.wanted.label, {}).get(row.machine)


class _EarlierRow(NamedTuple):
    """A line of an earlier audit."""

    machine: str
    label: str
    earlier: Earlier


class _Reader:
    """Reads the lines of an earlier audit. `line` is the last that was read, 0 for none."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self.line = 0
        self.rows: dict[str, dict[str, Earlier]] = {}
        # of a million rows few say something else of their machines
        self._alike: dict[Earlier, Earlier] = {}

    def read(self, stream: IO[bytes]) -> None:
        """Read all lines. Raises `Unreadable`."""
        for self.line, text in text_lines(stream):
            if self._tell is not None:
                self._tell(self.line, None)
            row = _row_of(parse_json(text))
            if row is not None:
                earlier = self._alike.setdefault(row.earlier, row.earlier)
                self.rows.setdefault(row.label, {})[row.machine] = earlier
        if not self.rows:
            raise Unreadable("holds no row of an audit" if self.line else "is empty")


def read_baseline(path: str, tell: Tell | None = None) -> Baseline:
    """The earlier audit in a file; `tell` hears how many rows were read. `InputError` has file and
    line.
    """
    reader = _Reader(tell)
    try:
        stream, size = open_file(path, input_allowed=True)
        with stream:
            if size is not None and size > MAX_BASELINE_BYTES:
                raise too_large(MAX_BASELINE_BYTES)
            reader.read(stream)
    except Unreadable as error:
        problem = error.problem(path, _WRITE_IT).replace(line=reader.line or None)
        raise InputError([problem]) from None
    return Baseline(file=path, rows=reader.rows)


def _row_of(value: object) -> _EarlierRow | None:
    """What a line says; None for one of a problem. Raises `Unreadable`."""
    if not isinstance(value, dict) or "schema" in value:
        raise Unreadable(
            "is not a row of an audit: JSON Lines have one object on each line"
        )
    if value.get("problem") is not None:
        return None
    machine = value.get("machine")
    label = value.get("label")
    if not isinstance(machine, str) or not isinstance(label, str):
        raise Unreadable("is not a row of an audit: machine and label must be names")
    result = value.get("result")
    failed = value.get("failed")
    if result not in _RESULTS or not isinstance(failed, list):
        reason = f"result must be one of {', '.join(_RESULTS)}"
        raise Unreadable(f"is not a row of an audit: {reason}")
    return _EarlierRow(
        machine, label, Earlier(Result(result), frozenset(map(str, failed)))
    )


def change_of(row: Row, baseline: Baseline) -> str | None:
    """`new`, `fixed` or `changed` since the baseline; what that lacks counts as a pass."""
    earlier = baseline.earlier(row)
    if earlier is None:
        return "new" if row.result in _BAD else None
    if earlier == (row.result, frozenset(row.failed)):
        return None
    if row.result not in _BAD:
        return "fixed" if earlier.result in _BAD else "changed"
    return "new" if _is_worse(row, earlier) else "changed"


def _is_worse(row: Row, earlier: Earlier) -> bool:
    """Whether a bad row was good, or fails now, or fails more checks."""
    if earlier.result not in _BAD:
        return True
    if row.result is not Result.FAIL:
        return False
    return earlier.result is not Result.FAIL or not earlier.failed.issuperset(
        row.failed
    )
