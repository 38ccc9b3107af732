"""One TOML file, read key by key: every fault becomes a `Problem` with its line, and reading goes
on.

`tomllib` parses the file and gives a position for syntax errors only. The line of a wrong value is
looked for where there is a fault to print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .errors import Problem, first_problems
from .files import Unreadable, read_file, text_of, too_large
from .records import Record, fault_of, kind_of, shortened, shown
from .spelling import did_you_mean

Path = tuple[str | int, ...]

# 30,000 exceptions of a policy, each with a reason and an owner, take 5 to 6 MB
MAX_FILE_BYTES = 6 << 20
# `a.a.a.…`: tomllib's time grows with the square of the parts (7 s for 20,000)
MAX_KEY_PARTS = 64
# faults of a file for which names are guessed: of a hundred thousand it would take minutes
_MOST_GUESSED = 1_000
_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}")
# begins at the start of a word and never steps back, so that its time grows with the text alone
_KEY_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_ENDLESS_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KEY_PART}\.[ \t]*+){{{MAX_KEY_PARTS}}}")


class Document:
    """A parsed file and the problems found in it so far. `values` is empty when the text is no
    TOML; the syntax error is then the only problem. `text` is None for values of no TOML file
    (an installed package, JSON, a `Workload`): their problems have no line, their dates are text.
    """

    def __init__(
        self,
        file: str,
        values: Mapping[str, Any],
        text: str | None = None,
        unusable: Unreadable | None = None,
    ) -> None:
        self.file, self.values, self.text = file, values, text
        # the whole file as one table
        self.root = Table(self, (), values)
        # path, whether the key is missing, message and remedy
        self._faults: list[tuple[Path, bool, str, str | None]] = []
        self._unusable = unusable
        self._lines: Mapping[Path, int] = {}
        # by the key that it states: a file beside this one
        self.parts: dict[str, Document] = {}

    @classmethod
    def read(cls, path: str) -> Document:
        """The file at `path`; that it cannot be read is a problem of it."""
        try:
            return cls.parse(shown(path), read_file(path, MAX_FILE_BYTES))
        except Unreadable as error:
            return cls(shown(path), {}, unusable=error)

    @classmethod
    def parse(cls, file: str, content: bytes) -> Document:
        """Never raises: bad encoding and bad syntax are problems of the document."""
        import tomllib

        text = ""
        try:
            if len(content) > MAX_FILE_BYTES:
                raise too_large(MAX_FILE_BYTES)
            text = text_of(content).replace("\r\n", "\n")
            if text.count(".") > MAX_KEY_PARTS and _ENDLESS_KEY.search(text):
                raise Unreadable(f"has a key of more than {MAX_KEY_PARTS} parts")
            return cls(file, tomllib.loads(text), text)
        except Unreadable as error:
            fault = error
        except tomllib.TOMLDecodeError as error:
            fault = _syntax_fault(str(error), text)
        except RecursionError:
            fault = Unreadable("is nested too deeply")
        except ValueError:  # int() has a limit of its own
            fault = Unreadable("has a number of more than 4,300 digits")
        return cls(file, {}, unusable=fault)

    def add(
        self, path: Path, message: str, remedy: str | None = None, *, absent: bool = False
    ) -> None:
        """Note a fault of the value at `path`; `absent`: its line is that of the table it lacks."""
        self._faults.append((path, absent, message, remedy))

    def take(self, key: str, part: Document) -> None:
        """Let what another file states stand under `key`; faults in it name that file."""
        self.root.values = self.values = {**self.values, key: part.values}
        self.parts[key] = part

    @property
    def ok(self) -> bool:
        """True while no fault was found."""
        files = (self, *self.parts.values())
        return not self._faults and all(file._unusable is None for file in files)

    def has_faults(self, *tables: str) -> bool:
        """Whether a fault was found in one of these tables, or the file is no TOML."""
        faulty = {path[0] for path, *_ in self._faults if path}
        return self._unusable is not None or not faulty.isdisjoint(tables)

    def did_you_mean(
        self, word: str, choices: Sequence[str], otherwise: str | None, form: str = "{}"
    ) -> str | None:
        """As `spelling.did_you_mean`, while few faults were found."""
        if len(self._faults) >= _MOST_GUESSED:
            return otherwise
        return did_you_mean(word, choices, otherwise, form)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first faults so far in the order of their lines, and a count of the others."""
        return first_problems(self.file, self.all_problems)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Every fault so far, in the order of their lines."""
        for file in (self, *self.parts.values()):
            if file._unusable is not None:
                return (file._unusable.problem(file.file),)
        lined: list[tuple[bool, int, Problem]] = []
        for path, absent, message, remedy in self._faults:
            file = self.parts.get(str(path[0]), self) if len(path) > 1 else self
            path = path if file is self else path[1:]
            line, key = file.line(path[:-1] if absent else path), key_name(path) or None
            problem = Problem(file=file.file, line=line, key=key, message=message, remedy=remedy)
            lined.append((file is not self, line or 0, problem))
        lined.sort(key=lambda entry: entry[:2])
        return tuple([problem for *_, problem in lined])

    def line(self, path: Path) -> int | None:
        """The line of what stands at `path` or around it; None for the file and of a package."""
        if self.text is not None and not self._lines:
            self._lines = _lines_of(self.text, self.values)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


class Table:
    """One table: getters that note a problem and return None, of lists what is right in them, where
    the value is missing or wrong. What it may be is said as `fault_of` takes it; `required`: a
    missing key is noted too. `close()` notes every key that nobody asked for.
    """

    def __init__(self, document: Document, path: Path, values: Mapping[str, Any]) -> None:
        self.document, self.path, self.values = document, path, values
        # as a set that keeps its order
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str | None, message: str, remedy: str | None = None) -> None:
        """Note a fault of `key`, or of the whole table."""
        absent = bool(key) and key not in self.values
        path = (*self.path, key) if key else self.path
        self.document.add(path, message, remedy, absent=absent)

    def get(
        self,
        key: str,
        annotation: str,
        *,
        required: bool = False,
        example: object = None,
        **limits: Any,
    ) -> Any:
        """The value of a field with that annotation: text, a number, a `Table`, `Any`, several of
        one, or a record of the `kind` in `limits`; `example` is what to write if it is missing.
        """
        self._known[key] = None
        if (value := self.values.get(key)) is not None:
            return self._right((*self.path, key), value, annotation.removesuffix(" | None"), limits)
        if required and key not in self.values:
            remedy = f"one of {', '.join(limits['choices'])}" if "choices" in limits else None
            if example:
                quote = '"' if annotation == "str" else ""
                remedy = f"write {key} = {quote}{example}{quote}"
            self.problem(key, "is missing", remedy)
        return _EMPTY.get(annotation.partition("[")[0])

    def _right(self, path: Path, value: Any, annotation: str, limits: Mapping[str, Any]) -> Any:
        """What is right of a value; what is wrong in it is noted."""
        if annotation == "Any":
            return value
        outer, _, inner = annotation.removesuffix("]").partition("[")
        if outer in _PLAIN:
            return self._plain(path, value, _PLAIN[outer], limits)
        kind = list if outer == "tuple" else dict
        if fault := fault_of(value, kind):
            self.document.add(path, *fault)
            return _EMPTY.get(outer)
        if outer not in _EMPTY:
            table = Table(self.document, path, value)
            return table if outer == "Table" else table.as_record(**limits)
        pairs = value.items() if kind is dict else enumerate(value)
        inner = inner.removesuffix(", ...").removeprefix("str, ")
        parts = {name: self._right((*path, name), part, inner, limits) for name, part in pairs}
        right = {name: part for name, part in parts.items() if part is not None}
        return right if kind is dict else tuple(right.values())

    def _plain(self, path: Path, value: Any, kind: type, limits: Mapping[str, Any]) -> Any:
        if fault := fault_of(value, kind, **limits):
            message, remedy = fault
            if isinstance(value, str) and "choices" in limits:
                remedy = self.document.did_you_mean(value, limits["choices"], None, '"{}"')
            self.document.add(path, message, remedy)
            return None
        value = " ".join(value.split()) if limits.get("lines") else value
        return float(value) if kind is float else value

    def date(self, key: str, *, required: bool = False, partial: bool = False) -> str | None:
        """A TOML date -> `YYYY-MM-DD`; with `partial` also the strings `"2024"` and `"2024-05"`."""
        value = self.get(key, "Any", required=required, example="YYYY-MM-DD, without quotes")
        if value is None:
            return None
        text, is_stored = str(value), self.document.text is None
        is_day = hasattr(value, "year")
        if isinstance(value, str):
            is_day = is_stored or (partial and text.count("-") < 2)
        if is_day and _DATE.fullmatch(text):
            return text
        day = text[:10] if _DATE.fullmatch(text[:10]) and text.count("-") == 2 else "YYYY-MM-DD"
        less = ', or "2024" where only the year is known' if partial else ""
        remedy = f"write {day}, without quotes and time{less}"
        self.problem(key, f"must be a date, not {kind_of(value)}", remedy)
        return None

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

    def as_record(
        self, kind: type[Record], check: Callable[[Table, dict[str, Any]], None] | None = None
    ) -> Any:
        """The table as a record; `check` gets table and values, for what no field tells alone."""
        values = self.fields(kind)
        self.close()
        if check is not None:
            check(self, values)
        record = kind(**values)
        # of a record of sizes that do not go together
        for fault in getattr(record, "misfits", tuple)():
            self.problem(*fault)
        return record

    def close(self, elsewhere: Mapping[str, str] = {}) -> bool:
        """Note every key that nobody asked for; `elsewhere`: what to do, by others' keys."""
        unknown = [key for key in self.values if key not in self._known]
        for key in unknown:
            known = tuple(self._known)
            remedy = self.document.did_you_mean(key, known, f"known here: {', '.join(known)}")
            self.problem(key, "is not a known key", elsewhere.get(key, remedy))
        return not unknown


_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
TABLES = "tuple[Table, ...]"
_PLAIN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
# what stands for several that are missing or wrong
_EMPTY: Mapping[str, Any] = {"tuple": (), "Mapping": {}}


def key_name(path: Path) -> str:
    """`("files", 0, "bytes")` -> `files[0].bytes`; a part that TOML wants in quotes has them."""
    text = ""
    for part in path:
        is_bare = isinstance(part, int) or _BARE.fullmatch(part)
        name = part if is_bare else f'"{shortened(str(part))}"'
        text += f"[{name}]" if isinstance(part, int) else f".{name}"
    return text.removeprefix(".")


def _syntax_fault(message: str, text: str) -> Unreadable:
    """tomllib's `… (at line 3, column 5)` as the line, the message, and a remedy."""
    head, _, tail = message.rpartition(" (at ")
    digits = tail.removeprefix("line ").split(",")[0]
    line = int(digits) if digits.isdecimal() else text.count("\n") + 1
    # a value may span many lines
    before = [(1, ""), *(pair for pair in _statements(text) if pair[0] <= line and pair[1] != "{")]
    first, name = before[-1]
    if not digits.isdecimal():
        head, line = "what begins here does not end", first
        remedy = "close it with the bracket or quote it began with"
    elif head.startswith(("Cannot overwrite", "Cannot declare")):
        head, line, remedy = f"{shortened(name)} is there already", first, "write it once"
    elif head.endswith("'\\n'"):
        head, remedy = "a string does not end on its line", "close it with the quote it began with"
    else:
        remedy = _SYNTAX_REMEDIES.get(head, "")
    return Unreadable(f"not valid TOML: {head}", remedy or None, line=line)


_SYNTAX_REMEDIES = {
    "Invalid value": "text stands in quotes; numbers, dates, true and false do not",
    "Invalid date or datetime": "write YYYY-MM-DD, for example 2023-05-13",
}
_NAME = rf"(?:{_KEY_PART}\.?[ \t]*+)+"
# a value alone on its line is a row of a list, as is what begins with a bracket
_ROW = r"""(?P<row>\{|(?:"[^"\n]*+"|'[^'\n]*+'|[\w.+-]++)(?=[ \t]*,?[ \t]*(?:#|$)))"""
_STATEMENT = re.compile(rf"[ \t]*(\[\[?[ \t]*{_NAME}\]\]?(?=[ \t]*(?:#|$))|{_NAME}(?==)|{_ROW})")
_NEXT_TABLE = re.compile(r"\}[ \t]*,[ \t]*\{")


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header, each key and, as `{`, each row of a list of many lines, with its line."""
    quote = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not quote and (match := _STATEMENT.match(line)):
            more = len(_NEXT_TABLE.findall(line)) if match[1] == "{" else 0
            yield from [(number, "{" if match["row"] else match[1].strip())] * (1 + more)
        for sign in ('"""', "'''"):
            if quote in ("", sign) and line.count(sign) % 2:
                quote = "" if quote else sign


def _lines_of(text: str, values: Mapping[str, Any]) -> dict[Path, int]:
    """The line of each table and each key, which is that of what else stands in its value; of the
    rows of a list where as many were seen as it has.
    """
    lines: dict[Path, int] = {}
    # of each list of tables, the number of its last one
    last: dict[Path, int] = {}
    table: Path = ()
    path: Path = ()
    for number, name in _statements(text):
        if name == "{":
            last[path] = last.get(path, -1) + 1
            lines[(*path, last[path])] = number
            continue
        is_header, parts = name[0] == "[", re.findall(_KEY_PART, name)
        path = () if is_header else table
        for place, part in enumerate(parts, 1):
            path = (*path, part.strip(" \t\"'"))
            lines.setdefault(path, number)
            if name[:2] == "[[" and place == len(parts):
                last[path] = last.get(path, -1) + 1
            if is_header and path in last:
                path = (*path, last[path])
        lines[path] = number
        table = path if is_header else table
    for path, number in last.items():
        rows = _value_at(values, path)
        if not isinstance(rows, list) or len(rows) != number + 1:
            lines = {
                at: line for at, line in lines.items() if at[: len(path)] != path or at == path
            }
    return lines


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        places = range(len(value)) if isinstance(value, list) else ()
        value = value[part] if part in (value if isinstance(value, dict) else places) else None
    return value
