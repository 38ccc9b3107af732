"""TOML files, read key by key: every fault becomes a `Problem` with its line, and reading goes on;
and the tables that come with the program, `specs/`, with the sentences in them.

`tomllib` parses a file and gives a position for syntax errors only. The line of a wrong value is
looked for where there is a fault to print.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from .errors import MAX_PROBLEMS, Problem, SelfhostError, SpecError, first_problems
from .files import Unreadable, read_file, text_of, too_large
from .records import Record, fault_of, shortened, shown
from .stored import Store, shipped_store, store_of
from .templates import fill
from .units import is_slip, nearest

# where a value stands in a file: `("files", 0, "bytes")` is `bytes` of the first table of `files`
KeyPath = tuple[str | int, ...]
# what to write instead, or what finds it
Remedy = str | None | Callable[[], str | None]
# the file, the line, the place in it, what is wrong, what to write instead
_Fault = tuple[str, int | None, KeyPath, str, Remedy]

# 30,000 exceptions of a policy, each with a reason and an owner, take 5 to 6 MB
MAX_FILE_BYTES = 6 << 20
# `a.a.a.…`: tomllib's time grows with the square of the parts (7 s for 20,000)
MAX_KEY_PARTS = 64
# far above the words, names and selectors that any list of a file has
MAX_LISTED = 10_000
# begins at the start of a word and never steps back, so that its time grows with the text alone
_ENDLESS_KEY = (
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{{MAX_KEY_PARTS}}}"
)


# a file without any has no value that `_with_text_dates` would change
_DATE_OR_TIME = r"[0-9]-[0-9]{2}-[0-9]|[0-9]:[0-9]"


class Document:
    """A parsed file and the problems found in it so far. `values` is empty when the text is no
    TOML; the syntax error is then the only problem. Dates are text. `text` is None for values that
    were not read of a TOML file (the stored form of one, JSON, a `Workload`). Their problems have a
    line only where the TOML file `file` is there.
    """

    def __init__(self, file: str, values: Mapping[str, Any], text: str | None = None) -> None:
        self.file, self.values, self.text = file, values, text
        # the whole file as one table
        self.root = TomlTable(self, (), values)
        self._faults: list[tuple[KeyPath, str, Remedy]] = []
        self._unusable: Unreadable | None = None
        self._lines: Mapping[KeyPath, int] = {}
        # what was read of it, each with its place
        self.records: list[tuple[KeyPath, Record]] = []
        # by the key that it states: a file beside this one
        self.parts: dict[str, Document] = {}

    @classmethod
    def read(cls, path: str, content: bytes | None = None) -> Document:
        """The file at `path`, or its content. Never raises: what is no TOML has a problem."""
        import tomllib

        text = ""
        try:
            content = read_file(path, MAX_FILE_BYTES) if content is None else content
            if len(content) > MAX_FILE_BYTES:
                raise too_large(MAX_FILE_BYTES)
            text = text_of(content).replace("\r\n", "\n")
            if text.count(".") > MAX_KEY_PARTS and re.search(_ENDLESS_KEY, text):
                raise Unreadable(f"has a key of more than {MAX_KEY_PARTS} parts")
            values = tomllib.loads(text)
            if re.search(_DATE_OR_TIME, text):
                values = _with_text_dates(values)
            return cls(shown(path), values, text)
        except Unreadable as error:
            fault = error
        except tomllib.TOMLDecodeError as error:
            fault = _syntax_fault(str(error), text)
        except RecursionError:
            fault = Unreadable("is nested too deeply")
        except ValueError:  # int() has a limit of its own
            fault = Unreadable("has a number of more than 4,300 digits")
        document = cls(shown(path), {})
        document._unusable = fault
        return document

    def add(self, path: KeyPath, message: str, remedy: Remedy = None) -> None:
        """Note a fault of the value at `path`, or that it is missing there. A remedy that takes
        long to find is given as a function, which is called where the fault is listed.
        """
        self._faults.append((path, message, remedy))

    @property
    def ok(self) -> bool:
        """True while no fault was found."""
        return not self._faults and self._unusable is None

    def has_faults(self, *tables: str) -> bool:
        """Whether a fault was found in one of these tables."""
        return any(path[0] in tables for path, *_ in self._faults if path)

    def did_you_mean(
        self, word: str, choices: Sequence[str], otherwise: str | None, form: str = "{name}"
    ) -> Callable[[], str | None]:
        """The remedy that names the choice most likely meant, or `otherwise`."""

        def remedy() -> str | None:
            guess = nearest(word, choices)
            return f"did you mean {fill(form, {'name': guess})}?" if guess else otherwise

        return remedy

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first faults so far in the order of their lines, and a count of the others."""
        if self._unusable is not None:
            return (self._unusable.problem(self.file),)
        problems = [_problem(fault) for fault in self._faults_by_line()[: MAX_PROBLEMS + 1]]
        others = len(self._faults) - MAX_PROBLEMS
        if others > 1:
            problems[-1] = problems[-1].replace(unlisted=others)
        return first_problems(self.file, problems)

    def all_problems(self, most_guesses: int) -> tuple[Problem, ...]:
        """Every fault so far, in the order of their lines. Remedies that take long to find are
        looked for in at most so many of them.
        """
        if self._unusable is not None:
            return (self._unusable.problem(self.file),)
        problems: list[Problem] = []
        for file, line, path, message, remedy in self._faults_by_line():
            if callable(remedy):
                if most_guesses <= 0:
                    remedy = None
                most_guesses -= 1
            problems.append(_problem((file, line, path, message, remedy)))
        return tuple(problems)

    @property
    def count_of_guesses(self) -> int:
        """How many faults so far have a remedy that takes long to find."""
        return sum(callable(remedy) for *_, remedy in self._faults)

    def _faults_by_line(self) -> list[_Fault]:
        faults: list[_Fault] = []
        for path, message, remedy in self._faults:
            file = self.parts.get(str(path[0]), self) if len(path) > 1 else self
            path = path if file is self else path[1:]
            faults.append((file.file, file.line(path), path, message, remedy))
        # of a file beside this one behind those of its own
        faults.sort(key=lambda fault: (fault[0] != self.file, fault[1] or 0))
        return faults

    def line(self, path: KeyPath) -> int | None:
        """The line of what stands at `path` or around it; None for the file and of a package."""
        if self.text is None and self.file.endswith(".toml") and os.path.isfile(self.file):
            # the stored form of a checkout's file: its text tells the line
            self.text = Document.read(self.file).text
        if self.text is not None and not self._lines:
            self._lines = _lines_of(self.text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


class TomlTable:
    """One table: getters that note a problem and return None, of lists what is right in them, where
    the value is missing or wrong. What it may be is said as `fault_of` takes it; `required`: a
    missing key is noted too. `close()` notes every key that nobody asked for.
    """

    def __init__(self, document: Document, path: KeyPath, values: Mapping[str, Any]) -> None:
        self.document, self.path, self.values = document, path, values
        # a set that keeps its order
        self._known: dict[str, None] = {}

    def problem(self, key: str | None, message: str, remedy: Remedy = None) -> None:
        """Note a fault of `key`, or of the whole table."""
        self.document.add((*self.path, key) if key else self.path, message, remedy)

    def get(
        self,
        key: str,
        annotation: str,
        *,
        required: bool = False,
        example: object = None,
        **limits: Any,
    ) -> Any:
        """The value of a field with that annotation: text, a number, a `TomlTable`, `Any`, several
        of one, or a record of the `kind` in `limits`; `example` is what to write if it is missing.
        """
        self._known[key] = None
        value, kind = self.values.get(key), annotation.removesuffix(" | None")
        if value is not None or (kind == annotation and key in self.values):
            return self._right((*self.path, key), value, kind, limits)
        if required and key not in self.values:
            remedy = f"one of {', '.join(limits['choices'])}" if "choices" in limits else None
            if example:
                quote = '"' if annotation == "str" else ""
                remedy = f"write {key} = {quote}{example}{quote}"
            self.problem(key, "is missing", remedy)
        return _EMPTY.get(kind.partition("[")[0])

    def _right(self, path: KeyPath, value: Any, annotation: str, limits: Mapping[str, Any]) -> Any:
        outer, inner, kind, is_plain = _parts_of(annotation)
        if outer == "Any":
            return value
        if fault := fault_of(value, kind, **(limits if is_plain else {})):
            message = fault[0]
            remedy: Remedy = fault[1]
            if is_plain and isinstance(value, str) and "choices" in limits:
                remedy = self.document.did_you_mean(value, limits["choices"], None, '"{name}"')
            self.document.add(path, message, remedy)
            return _EMPTY.get(outer)
        if is_plain:
            return " ".join(value.split()) if limits.get("lines") else kind(value)
        if outer not in _EMPTY:
            table = TomlTable(self.document, path, value)
            return table if outer == "TomlTable" else table.as_record(**limits)
        is_of_plain_values = outer == "tuple" and _parts_of(inner)[3]
        if is_of_plain_values and len(value) > MAX_LISTED:
            message = f"lists {len(value):,} values, and at most {MAX_LISTED:,} are read"
            self.document.add(path, message)
            return ()
        pairs = value.items() if kind is dict else enumerate(value)
        parts = {name: self._right((*path, name), part, inner, limits) for name, part in pairs}
        right = {name: part for name, part in parts.items() if part is not None}
        return right if kind is dict else tuple(right.values())

    def fields(self, kind: type[Record]) -> dict[str, Any]:
        """The values of the fields that a file states (`read_by`). The default stands for one that
        is missing or wrong, None for a required one.
        """
        values: dict[str, Any] = {}
        for field, stated in kind._keys.items():
            key, limits = stated.name or field, stated.limits
            values[field] = stated.default
            if key in self.values or "required" in limits:
                if stated.read is not None:
                    value = stated.read(self, key, **limits)
                else:
                    value = self.get(key, kind._kinds[field], **limits)
                values[field] = stated.default if value is None else value
            # also where it is missing, as most of the 140 keys of a runtime are
            self._known[key] = None
        return values

    def as_record(self, kind: type[Record]) -> Any:
        """The table as a record."""
        record = kind(**self.fields(kind))
        self.close()
        self.document.records.append((self.path, record))
        return record

    def close(self, elsewhere: Mapping[str, str] = {}) -> None:
        """Note every key that nobody asked for; `elsewhere`: what to do, by others' keys."""
        known = tuple(self._known)
        for key in (key for key in self.values if key not in self._known):
            remedy = self.document.did_you_mean(key, known, f"known here: {', '.join(known)}")
            self.problem(key, "is not a known key", elsewhere.get(key, remedy))

    def note_slips(self) -> None:
        """Note every key that is one letter off a known one; others that are unknown are ignored,
        for a later version may know them.
        """
        for key in self.values.keys() - self._known.keys():
            for known in self._known:
                if is_slip(key, known):
                    self.problem(key, "is not a known key", f"did you mean {known}?")


TABLES = "tuple[TomlTable, ...]"
# of what is no table or record
_KINDS: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "tuple": list}
# what stands for several that are missing or wrong
_EMPTY: Mapping[str, Any] = {"tuple": (), "Mapping": {}}


@cache
def _parts_of(annotation: str) -> tuple[str, str, type, bool]:
    """`Mapping[str, int]` -> `Mapping`, `int`, the type of the value, and whether it is no table
    and no list.
    """
    outer, _, inner = annotation.removesuffix("]").partition("[")
    kind = _KINDS.get(outer, dict)
    inner = inner.removesuffix(", ...").removeprefix("str, ")
    return outer, inner, kind, kind not in (list, dict)


def _problem(fault: _Fault) -> Problem:
    file, line, path, message, remedy = fault
    return Problem(
        file=file,
        line=line,
        key=key_name(path) or None,
        message=message,
        remedy=remedy() if callable(remedy) else remedy,
    )


def key_name(path: KeyPath) -> str:
    """`("files", 0, "bytes")` -> `files[0].bytes`; a part that TOML wants in quotes has them."""
    text = ""
    for part in path:
        is_bare = isinstance(part, int) or re.fullmatch("[A-Za-z0-9_-]{1,60}", part)
        name = part if is_bare else f'"{shortened(str(part))}"'
        text += f"[{name}]" if isinstance(part, int) else f".{name}"
    return text.removeprefix(".")


def _with_text_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_text_dates(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_text_dates(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _syntax_fault(message: str, text: str) -> Unreadable:
    head, _, place = message.rpartition(" (at ")
    at = re.match("line ([0-9]+)", place)
    line = int(at[1]) if at else text.count("\n") + 1
    # a value may span many lines
    begun = [(first, statement) for first, statement, _ in _statements(text) if first <= line]
    first, statement = begun[-1] if begun else (1, "")
    remedy = None
    if at is None:
        line, head = first, "what begins here does not end"
        remedy = "close it with the bracket or quote it began with"
    elif head.startswith(("Cannot overwrite", "Cannot declare")):
        line, head = first, f"{shortened(statement.partition('=')[0])} is there already"
        remedy = "write it once"
    elif head.endswith("'\\n'"):
        head, remedy = "a string does not end on its line", "close it with the quote it began with"
    elif head.startswith("Invalid value"):
        remedy = "text stands in quotes; numbers, dates, true and false do not"
    elif head.startswith("Invalid date"):
        remedy = "write YYYY-MM-DD, for example 2023-05-13"
    return Unreadable(f"not valid TOML: {head}", remedy, line=line)


# What may hold the end of a line, or a bracket that opens nothing, before these. Strings are taken
# by runs that never step back: by characters one of 5 MB took 400 MB.
_SIGN = (
    r"""(?s)\"{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)"""
    r"""|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'(?:[^'\n]*'|[^']*\Z)|#[^\n]*|[][{}\n]"""
)


# a line that is a whole statement, or blank: of 100,000 lines most are
_PLAIN_LINE = (
    r"""[ \t]*((?:\[\[[A-Za-z0-9_-]+\]\]|"""
    r"""[A-Za-z0-9_-]+[ \t]*=[ \t]*(?:"[^"\\\n]*"|[A-Za-z0-9_.+-]+))?)[ \t]*\n"""
)


def _statements(text: str) -> Iterator[tuple[int, str, list[int]]]:
    """The first line and the text of each header and key, and the lines of what it lists."""
    text += "\n"
    plain_line = re.compile(_PLAIN_LINE)
    line, start = 1, 0
    while start < len(text):
        plain = plain_line.match(text, start)
        if plain is not None:
            if plain[1]:
                yield line, plain[1], []
            line, start = line + 1, plain.end()
            continue
        end, rows = _end_of_statement(text, start, line)
        statement = text[start:end].strip()
        if statement and statement[0] != "#":
            yield line, statement, rows
        line, start = line + text.count("\n", start, end), end


def _end_of_statement(text: str, start: int, line: int) -> tuple[int, list[int]]:
    """Where the statement ends that begins at `start`, in that line, and the lines of its rows."""
    depth = 0
    rows: list[int] = []
    for sign in re.compile(_SIGN).finditer(text, start):
        if depth == 1 and sign[0][0] in "\"'[{":
            rows.append(line)
        if sign[0] in "[{":
            depth += 1
        elif sign[0] in "]}":
            depth = max(0, depth - 1)
        line += sign[0].count("\n")
        if sign[0] == "\n" and not depth:
            return sign.end(), rows
    return len(text), rows


_PLAIN_KEY = r"([A-Za-z0-9_-]+)[ \t]*="
_PLAIN_HEADER = r"\[\[([A-Za-z0-9_-]+)\]\]"


def _lines_of(text: str) -> dict[KeyPath, int]:
    """The line of each table, each key, and each row of a list where every row has one."""
    import tomllib

    lines: dict[KeyPath, int] = {}
    # how many there were of each list of tables
    counts: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for line, statement, rows in _statements(text):
        is_header = statement[0] == "["
        # most statements are `[[name]]` and `key = value` on one line, whose parts have no other
        # line, and there may be 100,000 of them
        value: Any
        plain = re.match(_PLAIN_KEY, statement)
        if plain is not None and "\n" not in statement:
            value = {plain[1]: None}
        elif plain := re.fullmatch(_PLAIN_HEADER, statement):
            value = {plain[1]: [{}]}
        else:
            value = tomllib.loads(statement)
        path = () if is_header else table
        while isinstance(value, dict) and len(value) == 1:
            ((key, value),) = value.items()
            path = (*path, key)
            lines.setdefault(path, line)
            counts[path] += is_header and value == [{}]
            if is_header and counts[path]:
                path = (*path, counts[path] - 1)
        lines[path] = line
        table = path if is_header else table
        if isinstance(value, list) and len(rows) == len(value):
            lines.update(((*path, index), row) for index, row in enumerate(rows))
    return lines


def shipped_table(name: str, folder: str = "") -> Mapping[str, Any]:
    """The whole of `specs/common/<name>`. Raises `SpecError` where it is missing or no TOML."""
    store = store_of(folder) if folder else shipped_store()
    return _table_of(store, name)


@cache
def _table_of(store: Store, name: str) -> Mapping[str, Any]:
    return stored_table(store, f"common/{name}").values


@cache
def expression(name: str, key: str) -> re.Pattern[str]:
    """The regular expression of that key of a table."""
    return re.compile(shipped_table(name)["expressions"][key])


def sentences(
    name: str, section: str, holds: Mapping[str, object], **figures: Any
) -> tuple[str, ...]:
    """Those of that section of a table whose condition holds, filled with the figures."""
    templates = shipped_table(name)[section]
    return tuple([fill(templates[key], figures) for key, value in holds.items() if value])


def refusal(name: str, key: str, **figures: Any) -> SelfhostError:
    """The error of that key of a table's `refusal`, filled with the figures."""
    words = shipped_table(name)["refusal"][key]
    message, remedy = (fill(words[part], figures) for part in ("message", "remedy"))
    return SelfhostError(message, remedy=remedy or None)


def stored_table(store: Store, name: str) -> Document:
    """The table of that name, such as `runtimes/ollama`. Raises `SpecError` where it is missing or
    no TOML.
    """
    path = os.path.join(store.folder, *f"{name}.toml".split("/"))

    def parse() -> Mapping[str, Any]:
        document = Document.read(path)
        if not document.ok:
            raise SpecError(document.problems)
        return document.values

    return Document(path, store.value(name, parse))
