"""The lines of keys and tables in the text of a TOML file. `tomllib` tells the place of syntax
errors only, so that this module finds the lines once there is a fault to print.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .errors import KeyPath
from .files import Unreadable
from .records import Record, shortened

# What may contain a line break, or a bracket that opens nothing, in front of the sign. Strings are
# matched by runs that never backtrack: matched by characters, a string of 5 MB took 400 MB.
_SIGN = (
    r"""(?s)\"{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)"""
    r"""|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'(?:[^'\n]*'|[^']*\Z)|#[^\n]*|[][{}\n]"""
)


class _Statement(Record):
    """A header of a table, or a key with its value."""

    # the number of the first line, from 1
    line: int
    text: str
    # the first line of each text, list and table in the statement's list; numbers, true and false
    # have none
    rows: list[int]


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line of each table and each key, but for keys of tables in braces; and the line of each
    value in a list that stands on several lines and holds texts, lists and tables alone.

    >>> lines_of('[[job]]\\nnames = [\\n"a",\\n"b"]')[("job", 0, "names", 1)]
    4
    """
    import tomllib

    lines: dict[KeyPath, int] = {}
    # the number of tables so far in each list of tables
    counts: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for statement in _statements(text):
        line = statement.line
        is_header = statement.text[0] == "["
        path = () if is_header else table
        value: object = tomllib.loads(statement.text)
        # `[a.b]` and `a.b = 1` are nested tables of one key each
        while isinstance(value, dict) and len(value) == 1:
            ((key, value),) = value.items()
            path = (*path, key)
            lines.setdefault(path, line)
            if is_header:
                # `[[a]]` begins the next table of a list, `[a.b]` belongs to the last table
                if value == [{}]:
                    counts[path] += 1
                if counts[path]:
                    path = (*path, counts[path] - 1)
        lines[path] = line
        if is_header:
            table = path
        elif isinstance(value, list) and len(statement.rows) == len(value):
            for index, row in enumerate(statement.rows):
                lines[*path, index] = row
    return lines


def syntax_fault(message: str, text: str) -> Unreadable:
    """The `Unreadable` for a syntax error of `tomllib` in a text, with a remedy where one is known.
    The message of `tomllib` ends in `(at line 3, column 5)` or `(at end of document)`.
    """
    reason, _, place = message.rpartition(" (at ")
    at = re.match("line ([0-9]+)", place)
    if at is None:
        begun = _statement_at(text, text.count("\n") + 1)
        reason = "not valid TOML: the value that begins here does not end"
        return Unreadable(
            reason, "close it with the bracket or quote it began with", line=begun.line
        )
    line = int(at[1])
    remedy = None
    if reason.startswith(("Cannot overwrite", "Cannot declare")):
        # tomllib reports the end of a value that may span many lines
        statement = _statement_at(text, line)
        line = statement.line
        reason = f"{shortened(statement.text.partition('=')[0])} is written twice"
        remedy = "write it once"
    elif reason.endswith("'\\n'"):
        reason = "a string does not end on its line"
        remedy = "close it with the quote it began with"
    elif reason.startswith("Invalid value"):
        remedy = "put text in quotes, but not numbers, dates, true and false"
    elif reason.startswith("Invalid date"):
        remedy = "write YYYY-MM-DD, for example 2023-05-13"
    return Unreadable(f"not valid TOML: {reason}", remedy, line=line)


def _statement_at(text: str, line: int) -> _Statement:
    """The last statement that begins in that line or before it."""
    last = _Statement(line=1, text="", rows=[])
    for statement in _statements(text):
        if statement.line > line:
            break
        last = statement
    return last


def _statements(text: str) -> Iterator[_Statement]:
    """Yield the headers and keys in their order, without comments."""
    text += "\n"
    line = 1
    start = 0
    while start < len(text):
        end, rows = _end_of_statement(text, start, line)
        statement = text[start:end].strip()
        if statement and statement[0] != "#":
            yield _Statement(line=line, text=statement, rows=rows)
        line += text.count("\n", start, end)
        start = end


def _end_of_statement(
    text: str,
    start: int,
    line: int,
) -> tuple[int, list[int]]:
    """The end of the statement that begins at `start` in line `line`, and the lines of the
    statement's rows.
    """
    depth = 0
    rows = []
    for sign in re.compile(_SIGN).finditer(text, start):
        if depth == 1 and sign[0][0] in "\"'[{":
            rows.append(line)
        if sign[0] in "[{":
            depth += 1
        elif sign[0] in "]}":
            depth = max(0, depth - 1)
        line += sign[0].count("\n")
        if sign[0] == "\n" and depth == 0:
            return sign.end(), rows
    return len(text), rows
