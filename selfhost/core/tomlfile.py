"""One TOML file, read key by key: every fault becomes a `Problem` with its line, and reading goes
on.

`tomllib` parses the file and gives a position for syntax errors only. The line of a wrong value is
looked for where there is a fault to print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .errors import MAX_PROBLEMS, Problem
from .files import LARGE, Unreadable, read_file, shown
from .records import Record
from .spelling import nearest
from .toml_lines import lines_of, statements

Path = tuple[str | int, ...]
# what is wrong with a value, and what to write instead
Fault = tuple[str, str | None]

MAX_FILE_BYTES = 1 << 20
# `a.a.a.…`: tomllib's time grows with the square of the parts (7 s for 20,000)
MAX_KEY_PARTS = 64
# faults that are kept, so that the first ones of the file are shown and a program gets nearly all
_MOST_KEPT = 1_000
_EMPTY: Fault = ("is empty", None)
_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}")
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
# begins at the start of a word and never steps back, so that its time grows with the text alone
_KEY_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_ENDLESS_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KEY_PART}\.[ \t]*+){{{MAX_KEY_PARTS}}}")


def key_name(path: Path) -> str:
    """`("files", 0, "bytes")` -> `files[0].bytes`; a part that TOML wants in quotes has them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if _BARE.fullmatch(part) else f'"{shortened(part)}"'
            text += f".{quoted}" if text else quoted
    return text


class Document:
    """A parsed file and the problems found in it so far.

    `values` is empty when the text is no TOML; the syntax error is then the only problem. `text` is
    None for values of an installed package: their problems have no line, their dates are strings.
    """

    def __init__(self, file: str, values: Mapping[str, Any], text: str | None = None) -> None:
        self.file = file
        self.values = values
        self.text = text
        self._faults: list[tuple[Path, bool, str, str | None]] = []
        self._more = 0
        self._syntax: Problem | None = None
        self._lines: Mapping[Path, int] = {}

    @classmethod
    def _unusable(
        cls, file: str, message: str, remedy: str | None = None, line: int | None = None
    ) -> Document:
        document = cls(file, {})
        document._syntax = Problem(file=file, line=line, message=message, remedy=remedy)
        return document

    @classmethod
    def read(cls, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> Document:
        """The file at `path`, of at most that size. Never raises: a file that cannot be read is a
        problem of the document. Waits for no pipe.
        """
        file = shown(path)
        try:
            content = read_file(path, max_bytes)
        except Unreadable as error:
            if error.kind != LARGE:
                return cls._unusable(file, error.reason, error.remedy)
            content = b"#" * (max_bytes + 1)
        return cls.parse(file, content, max_bytes=max_bytes)

    @classmethod
    def parse(cls, file: str, content: bytes, *, max_bytes: int = MAX_FILE_BYTES) -> Document:
        """Never raises: bad encoding and bad syntax are problems of the document."""
        import tomllib

        if len(content) > max_bytes:
            small = "a spec or policy is a small text file"
            return cls._unusable(file, f"larger than {max_bytes:,} bytes", small)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return cls._unusable(file, "UTF-16 text", "save the file as UTF-8")
        if b"\0" in content:
            remedy = "give TOML; a model file is judged by `selfhost check FILE`"
            return cls._unusable(file, "not a text file", remedy)
        try:
            text = content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            return cls._unusable(file, "not UTF-8 text", "save the file as UTF-8", line)
        if not text.strip():
            return cls._unusable(file, "is empty")
        if text.count(".") > MAX_KEY_PARTS and _ENDLESS_KEY.search(text):
            return cls._unusable(file, f"has a key of more than {MAX_KEY_PARTS} parts")
        try:
            return cls(file, tomllib.loads(text), text)
        except tomllib.TOMLDecodeError as error:
            first, message, instead = _syntax_fault(str(error), text)
            return cls._unusable(file, f"not valid TOML: {message}", instead, first)
        except RecursionError:
            return cls._unusable(file, "nested too deeply")
        except ValueError:  # int() has a limit of its own
            return cls._unusable(file, "has a number of more than 4,300 digits")

    @property
    def root(self) -> Table:
        """The whole file as one table. Make it once: each `Table` keeps which keys were asked
        for.
        """
        return Table(self, (), self.values)

    def add(
        self, path: Path, message: str, remedy: str | None = None, *, absent: bool = False
    ) -> None:
        """Note a fault of the value at `path`; `absent`: the key is missing, so its table's
        line is the one to show.
        """
        if len(self._faults) < _MOST_KEPT:
            self._faults.append((path, absent, message, remedy))
        else:
            self._more += 1

    @property
    def ok(self) -> bool:
        """True while no fault was found."""
        return not self._faults and self._syntax is None

    def has_faults(self, *tables: str) -> bool:
        """Whether a fault was found in one of these tables, or the file is no TOML."""
        return self._syntax is not None or any(
            path[0] in tables for path, *_ in self._faults if path
        )

    def guess(self, word: str, choices: Sequence[str]) -> str | None:
        """`nearest`, while there is room for its answer: a file with a hundred thousand faults
        must not take minutes.
        """
        return nearest(word, choices) if len(self._faults) < _MOST_KEPT else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first `MAX_PROBLEMS` faults so far, in the order of their lines, and a count of the
        others; those of the whole file first.
        """
        return self._listed(MAX_PROBLEMS)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """As `problems`, with a thousand at most."""
        return self._listed(_MOST_KEPT)

    def _listed(self, most: int) -> tuple[Problem, ...]:
        problems = [] if self._syntax is None else [self._syntax]
        for path, absent, message, remedy in self._faults:
            line, key = self.line(path[:-1] if absent else path), key_name(path) or None
            problems.append(
                Problem(file=self.file, line=line, key=key, message=message, remedy=remedy)
            )
        problems.sort(key=lambda problem: problem.line or 0)
        more = self._more + max(0, len(problems) - most)
        unlisted = (Problem.of_unlisted(self.file, more),) if more else ()
        return (*problems[:most], *unlisted)

    def line(self, path: Path) -> int | None:
        """The line of what stands at `path`, or of what it stands in, counted from 1; None for the
        whole file and for an installed package.
        """
        if self.text is not None and not self._lines:
            self._lines = lines_of(self.text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


class Table:
    """One table: typed getters that note a problem and return None where the value is missing or
    wrong.

    A getter with `required=True` also notes a missing key. `close()` notes every key that nobody
    asked for.
    """

    def __init__(self, document: Document, path: Path, values: Mapping[str, Any]) -> None:
        self.document = document
        self.path = path
        self.values = values
        # as a set that keeps its order
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str | None, message: str, remedy: str | None = None) -> None:
        """Note a fault of `key`, or of the whole table."""
        absent = bool(key) and key not in self.values
        path = (*self.path, key) if key else self.path
        self.document.add(path, message, remedy, absent=absent)

    def value(self, key: str, required: bool = False, remedy: str | None = None) -> Any:
        """The raw value, None where the key is missing, with `remedy` what to write then. The
        caller checks it.
        """
        self._known[key] = None
        if key not in self.values and required:
            self.problem(key, "is missing", remedy)
        return self.values.get(key)

    def _checked(
        self,
        key: str,
        fault_of: Callable[[Any], Fault | None],
        required: bool = False,
        remedy: str | None = None,
    ) -> Any:
        value = self.value(key, required, remedy)
        fault = None if value is None else fault_of(value)
        if fault is not None:
            self.problem(key, *fault)
        return value if fault is None else None

    def _text_fault(self, value: object, choices: Sequence[str] | None = None) -> Fault | None:
        if not isinstance(value, str):
            return f"must be a string, not {kind_of(value)}", 'write it in quotes: "…"'
        if choices is not None and value not in choices:
            guess = self.document.guess(value, choices)
            remedy = f'did you mean "{guess}"?' if guess else None
            return f'"{shortened(value)}" is not one of {", ".join(choices)}', remedy
        if not value.strip() and choices is None:
            return _EMPTY
        if not value.isprintable():
            message = f'"{shortened(value)}" has a line break or a control character'
            return message, "write it on one line"
        return None

    def string(
        self,
        key: str,
        *,
        required: bool = False,
        choices: Sequence[str] | None = None,
        empty: bool = False,
        example: str | None = None,
    ) -> str | None:
        """A string on one line, one of `choices` if given, not blank unless `empty`. `example` is
        what to write where it is missing.
        """
        remedy = f'write {key} = "{example}"' if example else None
        remedy = f"one of {', '.join(choices)}" if choices else remedy

        def fault_of(value: object) -> Fault | None:
            fault = None if value == "" and empty else self._text_fault(value, choices)
            without = "leave the key out where the value is not known"
            return ("is empty", remedy if required else without) if fault == _EMPTY else fault

        text: str | None = self._checked(key, fault_of, required, remedy)
        return text

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A sentence for people: line breaks and runs of blanks become one blank."""
        text: str | None = self._checked(
            key, lambda value: self._text_fault(_on_one_line(value)), required
        )
        return None if text is None else _on_one_line(text)

    def integer(
        self,
        key: str,
        *,
        required: bool = False,
        minimum: int = 0,
        maximum: int = 10**18,
        example: int | None = None,
    ) -> int | None:
        """A whole number within the bounds. True and 1.0 are none. `example` is what to write where
        it is missing.
        """
        remedy = f"write {key} = {example}" if example else None
        number: int | None = self._checked(
            key, lambda value: _integer_fault(value, minimum, maximum), required, remedy
        )
        return number

    def number(
        self, key: str, *, required: bool = False, minimum: float = 0.0, maximum: float = 1e18
    ) -> float | None:
        """A number, whole or not, within the bounds; never nan."""

        def fault_of(value: Any) -> Fault | None:
            if type(value) not in (int, float):
                return f"must be a number, not {kind_of(value)}", None
            bounds = f"must be between {minimum:g} and {maximum:g}, not {_digits(value)}"
            return None if minimum <= value <= maximum else (bounds, None)

        number = self._checked(key, fault_of, required)
        return None if number is None else float(number)

    def boolean(self, key: str, *, required: bool = False) -> bool | None:
        """true or false."""
        value: bool | None = self._checked(key, _kind_fault(bool, "true or false"), required)
        return value

    def date(self, key: str, *, required: bool = False, partial: bool = False) -> str | None:
        """A TOML date -> `YYYY-MM-DD`; with `partial` also the strings `"2024"` and `"2024-05"`. A
        package has every date as a string.
        """
        is_stored = self.document.text is None

        def fault_of(value: Any) -> Fault | None:
            if isinstance(value, str):
                is_less = partial and value.count("-") < 2
                is_day = bool(_DATE.fullmatch(value)) and (is_stored or is_less)
            else:
                is_day = hasattr(value, "year") and not hasattr(value, "hour")
            if is_day:
                return None
            day = str(value)[:10]
            day = day if day.count("-") == 2 and _DATE.fullmatch(day) else "YYYY-MM-DD"
            less = ', or "2024" where only the year is known' if partial else ""
            message = f"must be a date, not {kind_of(value)}"
            return message, f"write {key} = {day}, without quotes and time{less}"

        remedy = f"write {key} = YYYY-MM-DD, without quotes"
        value = self._checked(key, fault_of, required, remedy)
        return None if value is None else str(value)

    def _elements(
        self, key: str, required: bool, fault_of: Callable[[Any], Fault | None]
    ) -> Iterator[tuple[int, Any]]:
        """The right elements of a list, with their places; what is wrong with others is noted."""
        is_list = _kind_fault(list, "a list", f"write {key_name((key,))} = [ … ]")
        for index, value in enumerate(self._checked(key, is_list, required) or ()):
            fault = fault_of(value)
            if fault is None:
                yield index, value
            else:
                self.document.add((*self.path, key, index), *fault)

    def strings(
        self, key: str, *, required: bool = False, choices: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """A list of strings, each on one line; a wrong element is noted and left out."""
        elements = self._elements(key, required, lambda value: self._text_fault(value, choices))
        return tuple([value for _, value in elements])

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of sentences."""
        elements = self._elements(key, False, lambda value: self._text_fault(_on_one_line(value)))
        return tuple([_on_one_line(value) for _, value in elements])

    def integers(
        self, key: str, *, required: bool = False, minimum: int = 0, maximum: int = 10**18
    ) -> tuple[int, ...]:
        """A list of whole numbers within the bounds; a wrong element is noted and left out."""
        elements = self._elements(
            key, required, lambda value: _integer_fault(value, minimum, maximum)
        )
        return tuple([value for _, value in elements])

    def table(self, key: str, *, required: bool = False) -> Table | None:
        """A table, None where it is missing or no table."""
        path = (*self.path, key)
        in_list = any(isinstance(part, int) for part in path)
        header = f"{key_name((key,))} = {{ … }}" if in_list else f"[{key_name(path)}]"
        value = self._checked(key, _kind_fault(dict, "a table", f"write {header}"), required)
        return None if value is None else Table(self.document, path, value)

    def tables(self, key: str, *, required: bool = False) -> tuple[Table, ...]:
        """An array of tables, `[[key]]` or `key = [{…}]`; a wrong element is noted and left out."""
        elements = self._elements(key, required, _kind_fault(dict, "a table"))
        return tuple(
            [Table(self.document, (*self.path, key, index), value) for index, value in elements]
        )

    def mapping(
        self, key: str, *, of: Callable[..., Any], required: bool = False, **limits: Any
    ) -> dict[str, Any]:
        """A table with free keys, each read by a getter with its limits; wrong ones are noted and
        left out.
        """
        table = self.table(key, required=required)
        values = {} if table is None else {name: of(table, name, **limits) for name in table.values}
        return {name: value for name, value in values.items() if value is not None}

    def fields(self, kind: type[Record]) -> dict[str, Any]:
        """The values of the fields whose class says by `read_by()` how a file states them, in the
        order of the class. The default stands for a value that is missing or wrong; None for a
        required one.
        """
        values: dict[str, Any] = {}
        for field, stated in kind._keys.items():
            key = stated.name or field
            values[field] = stated.default
            if key in self.values or stated.is_required or stated.limits.get("required"):
                value = stated.read(self, key, **stated.limits)
                values[field] = stated.default if value is None else value
            # as are most of the 140 of a runtime
            self._known[key] = None
        return values

    def record(
        self, key: str, *, kind: type[Record], check: Callable[..., None] | None = None
    ) -> Any:
        """A table that states the fields of `kind` and nothing else, None where it is missing or
        no table. `check` gets the table and the values, and notes what no field can tell alone.
        """
        table = self.table(key)
        return None if table is None else table.as_record(kind, check)

    def records(
        self,
        key: str,
        *,
        kind: type[Record],
        check: Callable[..., None] | None = None,
        required: bool = False,
    ) -> tuple[Any, ...]:
        """An array of such tables."""
        return tuple([each.as_record(kind, check) for each in self.tables(key, required=required)])

    def as_record(self, kind: type[Record], check: Callable[..., None] | None = None) -> Any:
        """The table as a record; see `record`."""
        values = self.fields(kind)
        self.close()
        if check is not None:
            check(self, values)
        return kind(**values)

    def keys(self) -> Iterator[str]:
        """The keys in the order of the file, for tables whose keys are free."""
        return iter(self.values)

    def close(self, elsewhere: Mapping[str, str] | None = None) -> bool:
        """Note every key that no getter asked for, with the one that was probably meant. True
        if there was none. `elsewhere`: by the keys of other tables what to do about them.
        """
        unknown = [key for key in self.values if key not in self._known]
        for key in unknown:
            guess = self.document.guess(key, tuple(self._known))
            remedy = f"did you mean {guess}?" if guess else f"known here: {', '.join(self._known)}"
            self.problem(key, "is not a known key", (elsewhere or {}).get(key, remedy))
        return not unknown


def _on_one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _kind_fault(
    kind: type, words: str, remedy: str | None = None
) -> Callable[[object], Fault | None]:
    """What finds a value that is not of that kind."""
    return lambda value: (
        None if isinstance(value, kind) else (f"must be {words}, not {kind_of(value)}", remedy)
    )


def _integer_fault(value: object, minimum: int, maximum: int) -> Fault | None:
    if not isinstance(value, int) or isinstance(value, bool):
        # written as text or with a point: `"7"`, `"4,096"`, `7e9`
        digits = re.sub(r"[,_ ]|\.0*$", "", value if isinstance(value, str) else "")
        if isinstance(value, float) and value.is_integer() and abs(value) < 10**18:
            digits = str(int(value))
        is_number = digits.isdecimal() and digits.isascii() and len(digits) <= 18
        remedy = f"write {int(digits):_}" if is_number else None
        return f"must be a whole number, not {kind_of(value)}", remedy
    if value < minimum:
        return f"must be at least {minimum:,}, not {_digits(value)}", None
    if value > maximum:
        return f"must be at most {maximum:,}, not {_digits(value)}", None
    return None


def kind_of(value: object) -> str:
    """What a value is, in words for a message: `the string "4k"`, `a table`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{shortened(value)}"'
    if isinstance(value, int | float):
        return f"the number {_digits(value)}"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    # a date or a time
    return str(value)


def _digits(value: int | float) -> str:
    """A number for a message. Python refuses to print whole numbers of more than 4,300 digits."""
    if not isinstance(value, int):
        return str(value)
    return f"{value:,}" if -(10**30) < value < 10**30 else "one of more than 30 digits"


def shortened(text: str) -> str:
    """Text of a file as a message may show it: no control characters, no thousand letters."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 60 else clean[:57] + "…"


def _syntax_fault(message: str, text: str) -> tuple[int | None, str, str | None]:
    """tomllib's `… (at line 3, column 5)` -> the line, the message, and a remedy."""
    head, _, tail = message.rpartition(" (at ")
    digits = tail.removeprefix("line ").split(",")[0]
    line = int(digits) if digits.isdecimal() else text.count("\n") + 1
    # a value may span many lines
    statement = [each for each in statements(text) if each[0][1] <= line][-1:]
    first = statement[0][0][1] if statement else line
    if not digits.isdecimal():
        remedy = "close it with the bracket or quote it began with"
        return first, "what begins here does not end", remedy
    if head.startswith(("Cannot overwrite", "Cannot declare")):
        name = "".join(token for token, _ in statement[0]).partition("=")[0]
        return first, f"{shortened(name)} is there already", "write it once"
    if head.endswith("'\\n'"):
        return line, "a string does not end on its line", "close it with the quote it began with"
    remedies = {
        "Invalid value": "text stands in quotes; numbers, dates, true and false do not",
        "Invalid date or datetime": "write YYYY-MM-DD, for example 2023-05-13",
    }
    return line, head, remedies.get(head)
