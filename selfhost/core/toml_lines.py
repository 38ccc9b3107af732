"""Where keys and values of a TOML text stand. Loaded where a fault is shown, after `tomllib` has
parsed the text or said what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Path = tuple[str | int, ...]
# a token and its line
Statement = list[tuple[str, int]]

_TOKEN = re.compile(
    r"""
    \#[^\n]*
    | \"{3} (?:\\.|[^\\])*? (?:\"{3,5}|\Z) | '{3} .*? (?:'{3,5}|\Z)
    | "(?:\\.|[^"\\\n])*" | '[^'\n]*'
    | [\n\[\]{}=,.]
    | [^\s\[\]{}=,.\#"']+ | ["']
    """,
    re.DOTALL | re.VERBOSE,
)


def statements(text: str) -> Iterator[Statement]:
    """Yield the tokens of each header and each `key = value`, without comments and line ends."""
    statement: Statement = []
    depth, line, end = 0, 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", end, match.start())
        token, end = match[0], match.start()
        if token == "\n" and depth <= 0:
            if statement:
                yield statement
            statement, depth = [], 0
        elif token[0] not in "\n#":
            depth += (token in "[{") - (token in "]}")
            statement.append((token, line))
    if statement:
        yield statement


def lines_of(text: str) -> dict[Path, int]:
    """The line of each table, key and element of a list, counted from 1. What stands deeper in a
    list or in an inline table has none of its own.
    """
    lines: dict[Path, int] = {}
    last_elements: dict[Path, int] = {}
    table: Path = ()
    for statement in statements(text):
        tokens = [token for token, _ in statement]
        line = statement[0][1]
        if tokens[0] == "[":
            table = _header(tokens, last_elements)
            lines[table] = line
            path, above = table, 0
        else:
            end = tokens.index("=") if "=" in tokens else len(tokens)
            path, above = (*table, *_keys(tokens[:end])), len(table)
            lines[path] = line
            _note_elements(statement[end + 1 :], path, lines)
        for size in range(above + 1, len(path)):
            lines.setdefault(path[:size], line)
    return lines


def _header(tokens: Sequence[str], last_elements: dict[Path, int]) -> Path:
    """The path of `[a.b]` or `[[a.b]]`; counts the elements of the latter."""
    keys = _keys(tokens)
    path: Path = ()
    for place, key in enumerate(keys, 1):
        path = (*path, key)
        if place == len(keys) and tokens[1:2] == ["["]:
            last_elements[path] = last_elements.get(path, -1) + 1
        if path in last_elements:
            path = (*path, last_elements[path])
    return path


def _note_elements(value: Statement, path: Path, lines: dict[Path, int]) -> None:
    if not value or value[0][0] != "[":
        return
    depth = count = 0
    for token, line in value:
        if depth == 1 and token not in "],":
            lines.setdefault((*path, count), line)
        depth += (token in "[{") - (token in "]}")
        count += depth == 1 and token == ","


def _keys(tokens: Sequence[str]) -> list[str]:
    return [token[1:-1] if token[0] in "\"'" else token for token in tokens if token not in ".[]"]
