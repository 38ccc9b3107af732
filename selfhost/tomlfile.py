"""One TOML file, read key by key: every fault becomes a `Problem` with its line, and reading goes on.

`tomllib` gives a position for syntax errors only. For a wrong value the line is found afterwards, and only if there is a
fault to print, by letting `tomllib` itself say where each statement ends: no grammar of our own, so no wrong line. Where a
line is not certain it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import Problem

Path = tuple[str | int, ...]

MAX_FILE_BYTES = 1 << 20
# a statement longer than this gets no line: finding its end would cost more than it helps
MAX_STATEMENT_LINES = 300


def key_name(path: Path) -> str:
    """`("files", 0, "bytes")` -> `files[0].bytes`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that a typing slip most likely meant, or None."""
    from difflib import get_close_matches

    lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


class Document:
    """A parsed file and the problems found in it so far.

    `values` is empty when the text is no TOML; the syntax error is then the first problem. `text` is None for values that
    were compiled earlier: their problems have no line.
    """

    def __init__(self, file: str, values: Mapping[str, Any], text: str | None = None) -> None:
        self.file = file
        self.values = values
        self.text = text
        self._found: list[tuple[Path, bool, str, str | None]] = []
        self._syntax: Problem | None = None
        self._lines: dict[Path, int] | None = None

    @classmethod
    def parse(cls, file: str, content: bytes) -> Document:
        """Never raises: bad encoding and bad syntax are problems of the document."""
        import tomllib

        def broken(line: int | None, message: str, remedy: str | None = None) -> Document:
            document = cls(file, {})
            document._syntax = Problem(file=file, line=line, message=message, remedy=remedy)
            return document

        if len(content) > MAX_FILE_BYTES:
            return broken(None, f"larger than {MAX_FILE_BYTES:,} bytes", "a spec or policy is a small text file")
        if b"\0" in content[:4096]:
            return broken(None, "not a text file", "give a TOML file; a model file is judged by `selfhost check FILE`")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return broken(content.count(b"\n", 0, error.start) + 1, "not UTF-8 text", "save the file as UTF-8")
        text = text.replace("\r\n", "\n")
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message, line = _syntax_message(str(error), text)
            return broken(line, f"not valid TOML: {message}")
        except RecursionError:
            return broken(None, "nested too deeply")
        return cls(file, values, text)

    @property
    def root(self) -> Table:
        """The whole file as one table. Make it once: each `Table` keeps which keys were asked for."""
        return Table(self, (), self.values)

    def add(self, path: Path, message: str, remedy: str | None = None, *, absent: bool = False) -> None:
        """Note a fault of the value at `path`; `absent`: the key is missing, so its table's line is the one to show."""
        self._found.append((path, absent, message, remedy))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All faults so far, in the order of their lines."""
        if self._syntax:
            return (self._syntax,)
        made = [
            Problem(
                file=self.file, line=self._line(path[:-1] if absent else path), key=key_name(path) or None, message=message, remedy=remedy
            )
            for path, absent, message, remedy in self._found
        ]
        return tuple(sorted(made, key=lambda problem: problem.line or 0))

    def _line(self, path: Path) -> int | None:
        if self.text is None:
            return None
        if self._lines is None:
            self._lines = _locate(self.text, self.values)
        # a value inside an inline table that spans one line has the line of the table
        while path:
            if path in self._lines:
                line = self._lines[path]
                return line if line > 0 else None
            path = path[:-1]
        return None


class Table:
    """One table: typed getters that note a problem and return None where the value is missing or wrong.

    A getter with `required=True` also notes a missing key. `close()` notes every key that nobody asked for.
    """

    def __init__(self, document: Document, path: Path, values: Mapping[str, Any]) -> None:
        self.document = document
        self.path = path
        self.values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str | None, message: str, remedy: str | None = None) -> None:
        """Note a fault of `key`, or of the whole table."""
        self.document.add((*self.path, key) if key else self.path, message, remedy, absent=bool(key) and key not in self.values)

    def _get(self, key: str, required: bool) -> Any:
        self._known.append(key)
        if key not in self.values:
            if required:
                self.problem(key, "is missing")
            return None
        return self.values[key]

    def string(self, key: str, *, required: bool = False, choices: Sequence[str] | None = None, empty: bool = False) -> str | None:
        """A string, one of `choices` if given, not blank unless `empty`."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(key, f"must be a string, not {_kind(value)}", f'write {key} = "…"')
            return None
        if choices is not None and value not in choices:
            guess = nearest(value, choices)
            self.problem(key, f'"{_short(value)}" is not one of {", ".join(choices)}', f'did you mean "{guess}"?' if guess else None)
            return None
        if not value.strip() and not empty:
            self.problem(key, "is empty", "leave the key out where the value is not known")
            return None
        return value

    def integer(self, key: str, *, required: bool = False, minimum: int = 0, maximum: int = 10**18) -> int | None:
        """A whole number within the bounds. True and 1.0 are none."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.problem(key, f"must be a whole number, not {_kind(value)}")
            return None
        if not minimum <= value <= maximum:
            self.problem(
                key,
                f"must be at least {minimum:,}, not {value:,}"
                if value < minimum
                else f"must be at most {maximum:,}, not {_short(str(value))}",
            )
            return None
        return value

    def number(self, key: str, *, required: bool = False, minimum: float = 0.0, maximum: float = 1e18) -> float | None:
        """A number, whole or not, within the bounds; never nan."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.problem(key, f"must be a number, not {_kind(value)}")
            return None
        if not minimum <= value <= maximum:
            self.problem(key, f"must be between {minimum:g} and {maximum:g}, not {_short(str(value))}")
            return None
        return float(value)

    def boolean(self, key: str, *, required: bool = False) -> bool | None:
        """true or false."""
        value = self._get(key, required)
        if value is None or isinstance(value, bool):
            return value
        self.problem(key, f"must be true or false, not {_kind(value)}")
        return None

    def date(self, key: str, *, required: bool = False, partial: bool = False) -> str | None:
        """A TOML date -> `YYYY-MM-DD`; with `partial` also the strings `"2024"` and `"2024-05"`."""
        value = self._get(key, required)
        if value is None:
            return None
        parts = str(value).split("-")
        if hasattr(value, "isoformat") and hasattr(value, "year") and not hasattr(value, "hour"):
            return str(value)
        if isinstance(value, str) and (self.document.text is None or (partial and len(parts) < 3)):
            ok = [len(part) for part in parts] in ([4], [4, 2], [4, 2, 2]) and all(part.isdecimal() for part in parts)
            if ok and (len(parts) < 2 or 1 <= int(parts[1]) <= 12):
                return value
        self.problem(key, f"must be a date, not {_kind(value)}", f"write {key} = 2024-05-22, without quotes")
        return None

    def strings(self, key: str, *, required: bool = False, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of strings; a wrong element is noted and left out."""
        kept: list[str] = []
        for index, value in enumerate(self._list(key, required)):
            if not isinstance(value, str) or not value.strip():
                self.document.add(
                    (*self.path, key, index), f"must be a string, not {_kind(value)}" if not isinstance(value, str) else "is empty"
                )
            elif choices is not None and value not in choices:
                guess = nearest(value, choices)
                self.document.add(
                    (*self.path, key, index),
                    f'"{_short(value)}" is not one of {", ".join(choices)}',
                    f'did you mean "{guess}"?' if guess else None,
                )
            else:
                kept.append(value)
        return tuple(kept)

    def integers(self, key: str, *, required: bool = False, minimum: int = 0) -> tuple[int, ...]:
        """A list of whole numbers; a wrong element is noted and left out."""
        kept: list[int] = []
        for index, value in enumerate(self._list(key, required)):
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                self.document.add((*self.path, key, index), f"must be a whole number of at least {minimum}, not {_kind(value)}")
            else:
                kept.append(value)
        return tuple(kept)

    def value(self, key: str) -> Any:
        """The raw value, for keys that may have several types; the caller checks it."""
        return self._get(key, False)

    def table(self, key: str, *, required: bool = False) -> Table | None:
        """A table, None where it is missing or no table."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem(key, f"must be a table, not {_kind(value)}", f"write [{key_name((*self.path, key))}]")
            return None
        return Table(self.document, (*self.path, key), value)

    def tables(self, key: str, *, required: bool = False) -> tuple[Table, ...]:
        """An array of tables, `[[key]]` or `key = [{…}]`; a wrong element is noted and left out."""
        kept: list[Table] = []
        for index, value in enumerate(self._list(key, required)):
            if not isinstance(value, dict):
                self.document.add((*self.path, key, index), f"must be a table, not {_kind(value)}")
            else:
                kept.append(Table(self.document, (*self.path, key, index), value))
        return tuple(kept)

    def keys(self) -> Iterator[str]:
        """The keys in the order of the file, for tables whose keys are free."""
        return iter(self.values)

    def close(self) -> None:
        """Note every key that no getter asked for, with the one that was probably meant."""
        for key in self.values:
            if key not in self._known:
                guess = nearest(key, self._known)
                self.problem(key, "is not a known key", f"did you mean {guess}?" if guess else f"known here: {', '.join(self._known)}")

    def _list(self, key: str, required: bool) -> list[Any]:
        value = self._get(key, required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(key, f"must be a list, not {_kind(value)}", f"write {key} = [ … ]")
            return []
        return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{_short(value)}"'
    if isinstance(value, int | float):
        return f"the number {_short(str(value))}"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"the date {value}" if hasattr(value, "isoformat") else f"{value!r}"


def _short(text: str) -> str:
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 60 else clean[:57] + "…"


def _syntax_message(message: str, text: str) -> tuple[str, int | None]:
    """tomllib's `… (at line 3, column 5)` -> the message alone, and the line."""
    head, found, tail = message.rpartition(" (at ")
    if not found:
        return message, None
    if tail.startswith("line "):
        digits = tail[5:].split(",")[0]
        return head, int(digits) if digits.isdecimal() else None
    if tail.startswith("end of document"):
        return head + " at the end of the file", max(1, text.rstrip("\n").count("\n") + 1)
    return message, None


def _locate(text: str, values: Mapping[str, Any]) -> dict[Path, int]:
    """Line of every table header, key and element of a list of tables; 0 where it is not certain."""
    import tomllib

    def loads(part: str) -> dict[str, Any] | None:
        try:
            return tomllib.loads(part)
        except (tomllib.TOMLDecodeError, RecursionError):
            return None

    lines = text.split("\n")
    found: dict[Path, int] = {}
    counters: dict[Path, int] = {}
    header: Path = ()
    start = 0
    while start < len(lines):
        if not lines[start].strip() or lines[start].lstrip().startswith("#"):
            start += 1
            continue
        end, statement = start, None
        while end < len(lines) and end - start < MAX_STATEMENT_LINES:
            end += 1
            statement = loads("\n".join(lines[start:end]))
            if statement is not None:
                break
        if statement is None:
            return found
        if lines[start].lstrip().startswith("["):
            header = _header_path(statement, values, counters)
            found.setdefault(header, start + 1)
            for size in range(1, len(header)):
                found.setdefault(header[:size], start + 1)
        else:
            _mark(statement, header, start + 1, found, certain=end - start == 1)
            if end - start > 1:
                _mark_elements(lines[start:end], statement, header, start + 1, found, loads)
        start = end
    return found


def _header_path(statement: dict[str, Any], values: Mapping[str, Any], counters: dict[Path, int]) -> Path:
    """`[a.b]` or `[[a.b]]`, parsed alone, as a path into the whole file: lists get the index they have reached."""
    path: Path = ()
    inner: Any = statement
    at: Any = values
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        path = (*path, key)
        at = at[key] if isinstance(at, Mapping) and key in at else None
        if isinstance(inner, list):  # the last key of [[…]]: one element more, and its own lists begin anew
            counters[path] = counters.get(path, -1) + 1
            for other in [known for known in counters if len(known) > len(path) and known[: len(path)] == path]:
                del counters[other]
            return (*path, counters[path])
        if isinstance(at, list) and path in counters:
            index = counters[path]
            path = (*path, index)
            at = at[index] if index < len(at) else None
    return path


def _mark(part: Any, path: Path, line: int, found: dict[Path, int], *, certain: bool) -> None:
    """The key itself always has the statement's line; what is inside only where the statement is one line long."""
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        found.setdefault((*path, key), line)
        if isinstance(value, dict):
            _mark(value, (*path, key), line, found, certain=certain)
        elif isinstance(value, list) and not certain:
            for index in range(len(value)):
                found.setdefault((*path, key, index), 0)


def _mark_elements(lines: list[str], statement: dict[str, Any], path: Path, line: int, found: dict[Path, int], loads: Any) -> None:
    """Lines of the elements of `key = [` … `]` over several lines: closing the list early shows how many are complete."""
    inner: Any = statement
    while isinstance(inner, dict) and len(inner) == 1:
        key, inner = next(iter(inner.items()))
        path = (*path, key)
    if not isinstance(inner, list):
        return
    complete: int | None = None
    for size in range(1, len(lines) + 1):
        whole = size == len(lines)
        part = loads("\n".join(lines[:size]) + ("" if whole else "\n]"))
        while isinstance(part, dict) and len(part) == 1:
            part = next(iter(part.values()))
        now = len(part) if isinstance(part, list) else None
        if now is not None and complete is not None:
            for index in range(complete, now):
                found[(*path, index)] = line + size - 1
        elif now is not None and size == 1:
            for index in range(now):
                found[(*path, index)] = line
        complete = now
