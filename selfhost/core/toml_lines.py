"""Where the statements of a TOML text stand, and what each of them states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .tomlfile import Path

# a statement longer than this gets no line: finding its end would cost more than it helps
MAX_STATEMENT_LINES = 300
# what finding lines may parse again, in characters: about a second's worth
MAX_PARSED_AGAIN = 2_000_000


class Parser:
    """`tomllib` for parts of a text, until they add up to MAX_PARSED_AGAIN characters."""

    def __init__(self) -> None:
        self.left = MAX_PARSED_AGAIN

    def __call__(self, part: str) -> dict[str, Any] | None:
        """None where `part` is no TOML, or nothing more may be parsed."""
        import tomllib

        self.left -= len(part) + 20
        if self.left < 0:
            return None
        try:
            return tomllib.loads(part)
        except (ValueError, RecursionError):
            return None


class Statement(Record):
    """`key = value` or a header, from line `first` to `last`, counted from 1, with its dotted
    `keys` as written.

    `keys` is None where the text ends before the statement does. `parsed` is the statement as a
    file of its own.
    """

    first: int
    last: int
    keys: tuple[str, ...] | None
    is_header: bool
    parsed: Mapping[str, Any]


def statements(text: str, loads: Parser) -> Iterator[Statement]:
    """The statements in order, up to the first one whose end was not found."""
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        line = lines[start].strip()
        if not line or line.startswith("#"):
            start += 1
            continue
        parsed: dict[str, Any] | None = None
        end = start
        while parsed is None and end < min(len(lines), start + MAX_STATEMENT_LINES):
            end += 1
            parsed = loads("\n".join(lines[start:end]))
        is_header = line.startswith("[")
        keys = None
        if parsed is not None:
            keys = _chain(parsed) if is_header else _keys_before(lines[start], loads)
        if loads.left < 0 or (keys is None and (parsed is not None or end < len(lines))):
            return
        yield Statement(
            first=start + 1, last=end, keys=keys, is_header=is_header, parsed=parsed or {}
        )
        start = end


def _keys_before(line: str, loads: Parser) -> tuple[str, ...] | None:
    """The dotted keys of `a."b=c".d = …`: what stands before the first `=` that makes a
    statement with any value.
    """
    at = line.find("=")
    while at >= 0 and loads.left >= 0:
        parsed = loads(line[: at + 1] + "0")
        if parsed is not None:
            return _chain(parsed)
        at = line.find("=", at + 1)
    return None


def _chain(parsed: Mapping[str, Any]) -> tuple[str, ...]:
    """`{"a": {"b": 0}}` -> `("a", "b")`."""
    keys: list[str] = []
    inner: Any = parsed
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        keys.append(key)
    return tuple(keys)


class Lines:
    """Where each table, key and element of a list stands, as far as that is certain."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self._at: dict[Path, int] = {}
        # what stands on one line as a whole: all that is inside is there too
        self._whole: set[Path] = set()
        loads = Parser()
        lines = text.split("\n")
        counters: dict[Path, int] = {}
        table: Path = ()
        for statement in statements(text, loads):
            if statement.keys is None:
                return
            if statement.is_header:
                table = self._header(statement.keys, statement.parsed, values, counters)
                self._at[table] = statement.first
                self._imply(table, 0, statement.first)
            else:
                path = (*table, *statement.keys)
                self._at[path] = statement.first
                self._imply(path, len(table), statement.first)
                if statement.first == statement.last:
                    self._whole.add(path)
                else:
                    self._elements(path, statement, lines, loads)

    def of(self, path: Path) -> int | None:
        """The line of what stands at `path`, None where it is not certain."""
        line = self._at.get(path)
        while line is None and path:
            path = path[:-1]
            if path in self._at:
                return self._at[path] if path in self._whole else None
        return line

    def _imply(self, path: Path, start: int, line: int) -> None:
        """`a.b.c` makes `a` and `a.b` too, unless they were there."""
        for size in range(start + 1, len(path)):
            self._at.setdefault(path[:size], line)

    @staticmethod
    def _header(
        keys: tuple[str, ...],
        parsed: Mapping[str, Any],
        values: Mapping[str, Any],
        counters: dict[Path, int],
    ) -> Path:
        """`[a.b]` or `[[a.b]]` as a path into the whole file: lists get the index they have
        reached.
        """
        path: Path = ()
        at: Any = values
        inner: Any = parsed
        for key in keys:
            path = (*path, key)
            at = at.get(key) if isinstance(at, dict) else None
            inner = inner[key]
            if isinstance(inner, list):
                counters[path] = counters.get(path, -1) + 1
            if isinstance(at, list) and path in counters:
                index = counters[path]
                path = (*path, index)
                at = at[index] if index < len(at) else None
        return path

    def _elements(self, path: Path, statement: Statement, lines: list[str], loads: Parser) -> None:
        """Lines of the elements of `key = [` … `]` over several lines: closing the list early
        shows how many are complete.
        """
        assert statement.keys is not None

        def count(part: Any) -> int | None:
            for key in statement.keys or ():
                part = part.get(key) if isinstance(part, dict) else None
            return len(part) if isinstance(part, list) else None

        if count(statement.parsed) is None:
            return
        complete: int | None = 0
        for line in range(statement.first, statement.last + 1):
            text = "\n".join(lines[statement.first - 1 : line])
            now = count(loads(text if line == statement.last else text + "\n]"))
            if now is not None and complete is not None:
                for index in range(complete, now):
                    self._at[(*path, index)] = line
                    self._whole.add((*path, index))
            complete = now
