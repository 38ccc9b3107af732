"""Where keys and values of a TOML text stand. Loaded where a fault is shown, after `tomllib` has
parsed the text or said what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .tomlfile import Path

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


class Statement(Record):
    """`key = value` or a header: its first line, counted from 1, its dotted keys, and whether it
    ends before the text does.
    """

    line: int
    keys: tuple[str, ...]
    is_header: bool
    is_complete: bool = True


class Lines:
    """The line of each table, key and list element, counted from 1, and the statements."""

    def __init__(self, text: str) -> None:
        self.statements: list[Statement] = []
        self._at: dict[Path, int] = {}
        self._line = 1
        self._elements: dict[Path, int] = {}
        self._tokens = self._numbered(text)
        self._table: Path = ()
        for token in self._tokens:
            if token == "[":
                self._header()
            elif token != "\n":
                self._statement(token)

    def of(self, path: Path) -> int | None:
        """The line of what stands at `path`; None for the whole file and for what is not there."""
        return self._at.get(path)

    def _numbered(self, text: str) -> Iterator[str]:
        """The tokens without comments. `_line` is the line on which the last of them begins."""
        end = 0
        for match in _TOKEN.finditer(text):
            self._line += text.count("\n", end, match.start())
            end = match.start()
            if not match[0].startswith("#"):
                yield match[0]

    def _keys(self, token: str, ends: str) -> tuple[str, ...]:
        """The dotted keys from `token` on, up to a token of `ends`."""
        keys = []
        while token not in ends:
            if token not in ".[":
                keys.append(_unquoted(token))
            token = next(self._tokens, "\n")
        return tuple(keys)

    def _note(self, path: Path, table: Path, line: int) -> None:
        """`a.b.c` stands there, and so do `a` and `a.b` unless they were there before."""
        self._at[path] = line
        for size in range(len(table) + 1, len(path)):
            self._at.setdefault(path[:size], line)

    def _header(self) -> None:
        line, first = self._line, next(self._tokens, "\n")
        keys = self._keys(first, "]\n")
        self.statements.append(Statement(line=line, keys=keys, is_header=True))
        if first == "[":
            next(self._tokens, "")
        path: Path = ()
        for place, key in enumerate(keys, 1):
            path = (*path, key)
            if first == "[" and place == len(keys):
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path = (*path, self._elements[path])
        self._table = path
        self._note(path, (), line)

    def _statement(self, token: str) -> None:
        line = self._line
        keys = self._keys(token, "=\n")
        path = (*self._table, *keys)
        self._note(path, self._table, line)
        is_complete = self._value(path)
        self.statements.append(
            Statement(line=line, keys=keys, is_header=False, is_complete=is_complete)
        )

    def _value(self, path: Path) -> bool:
        """Note what is inside lists and inline tables up to the end of the statement; False where
        the text ends before that.
        """
        # the list or table that is open, and how many elements of a list went before
        open_paths: list[tuple[Path, int | None]] = []
        token = ""
        has_lone_quote = False
        for token in self._tokens:
            has_lone_quote = has_lone_quote or token in ("'", '"')
            if token == "\n":
                if not open_paths:
                    return not has_lone_quote
                continue
            if token in "]}":
                if open_paths:
                    open_paths.pop()
                continue
            if open_paths and token == ",":
                path, count = open_paths[-1]
                open_paths[-1] = path, None if count is None else count + 1
                continue
            path = self._inner(token, path, open_paths)
            if token in "[{":
                open_paths.append((path, 0 if token == "[" else None))
        return not open_paths and not _is_open(token)

    def _inner(self, token: str, path: Path, open_paths: list[tuple[Path, int | None]]) -> Path:
        """The path of the value that begins with this token, noted with its line."""
        if not open_paths:
            return path
        container, count = open_paths[-1]
        if count is not None:
            self._at.setdefault((*container, count), self._line)
            return (*container, count)
        if len(path) > len(container):
            # a value of the table, whose key was noted
            return path
        line = self._line
        path = (*container, *self._keys(token, "=\n"))
        self._note(path, container, line)
        return path


def _is_open(token: str) -> bool:
    """Whether a text of several lines has no end."""
    return token[:3] in ('"""', "'''") and (len(token) < 6 or token[-3:] != token[:3])


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    if "\\" not in key or key[0] == "'":
        return key[1:-1]
    import tomllib

    try:
        return next(iter(tomllib.loads(f"{key} = 0")))
    except ValueError:
        return key
