"""TOML files read key by key, and the tables that come with the program (`specs/common/`).

What goes in: a file's path, content or values, and the record classes that describe its tables.
What comes out: records, and the faults of the file.

A `Document` is a parsed file, a `TomlTable` one table of it. Each value is asked for by its key and
its bounds; a wrong value becomes a `Problem` with its line, and reading goes on, so that a person
sees all faults at once.

A file of `specs/common/` is read in one of these ways:

- `shipped_table` returns its values as they stand, unchecked.
- `shipped_record` returns the file, or one section of it, as a record, with each value checked.
- `shipped_rows` returns one record for each table in a section of the file, with each value
  checked, and `shipped_texts` returns each text in a section.
- `large_record` returns the file as a record without a check, because a test checks it; each value
  is checked if another catalogue is used.
- `unchecked_table` and `unchecked_row` return the file, or one row of it, as a record without a
  check; `unchecked_record` makes a record of values that were read before.
- `row_names` returns the names of its rows alone.
- `expression`, `sentences` and `refusal` return what the texts in it make.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from .errors import (
    MAX_PROBLEMS,
    KeyPath,
    Problem,
    SelfhostError,
    SpecError,
    unlisted_problem,
)
from .files import Unreadable, read_file, text_of, too_large
from .records import TOML, Notation, Record, Stated, fault_of, shortened, shown
from .stored import Store, other_catalogue, shipped_store, store_of
from .templates import fill
from .units import is_slip, nearest

AnyRecord = TypeVar("AnyRecord", bound=Record)
FoundRemedy = Callable[[], str | None]
# the text to write instead, a function that finds the text, or None
Remedy = str | FoundRemedy | None
# a table of a file, or a row of a shipped file; the header of that file explains each key
TomlRow = Mapping[str, Any]
# bounds of a value, in the form of the arguments of `TomlTable.get` and `fault_of`
Limits = Mapping[str, Any]
# the place of a value in a list (a number) or in a table (a key)
_Key = TypeVar("_Key", int, str)

# 30,000 exceptions of a policy, each with a reason and an owner, take 5 to 6 MB
MAX_FILE_BYTES = 6 << 20
# in `a.a.a.…`, tomllib's time grows with the square of the number of parts (7 s for 20,000)
MAX_KEY_PARTS = 64
# far more words, names or selectors than any real list has
MAX_LISTED = 10_000
# starts at the beginning of a word and never backtracks, so that the time grows in proportion to
# the text
_ENDLESS_KEY = (
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{{MAX_KEY_PARTS}}}"
)


# `_with_text_dates` changes nothing in a file without a date or time
_DATE_OR_TIME = r"[0-9]-[0-9]{2}-[0-9]|[0-9]:[0-9]"


class _Fault(NamedTuple):
    """A noted fault of the value at `path`, or of a value that is missing there."""

    path: KeyPath
    message: str
    remedy: Remedy


class ListedProblems(NamedTuple):
    """The first problems of a file, and the number of remedies that were looked for."""

    problems: tuple[Problem, ...]
    guesses: int


class Document:
    """A parsed file and the problems found in it so far.

    - `values`: empty where the text is no TOML; the syntax error is then the only problem.
      Dates are text.
    - `text`: None for values that were not read from a TOML file (the stored form of one, JSON,
      a `Workload`). Their problems have a line only where the TOML file `file` exists.
    - `is_checked`: every value is known to be right, as in a package, whose values were checked
      before it was built; `TomlTable.get` then checks nothing.
    - `notation`: the notation in which a person wrote the values, also where their stored form
      is read.
    """

    def __init__(
        self,
        file: str,
        values: TomlRow,
        text: str | None = None,
        *,
        is_checked: bool = False,
        notation: Notation = TOML,
    ) -> None:
        self.file = file
        self.values = values
        self.text = text
        self.is_checked = is_checked
        self.notation = notation
        # the whole file as one table
        self.root = TomlTable(self, (), values)
        # the records that were read from the file, each with its place
        self.records: list[tuple[KeyPath, Record]] = []
        # files beside this one, by the key whose values they state: `sources`
        self.files_beside: dict[str, Document] = {}
        self._faults: list[_Fault] = []
        self._unusable: Unreadable | None = None
        self._lines: Mapping[KeyPath, int] = {}

    @classmethod
    def read(cls, path: str, content: bytes | None = None) -> Document:
        """The document of the file at `path`, or of its content. Never raises: a text that is no
        TOML becomes a problem.
        """
        try:
            if content is None:
                content = read_file(path, MAX_FILE_BYTES)
            elif len(content) > MAX_FILE_BYTES:
                raise too_large(MAX_FILE_BYTES)
            text = text_of(content).replace("\r\n", "\n")
            return cls(shown(path), _parsed(text), text)
        except Unreadable as error:
            document = cls(shown(path), {})
            document._unusable = error
            return document

    def add(
        self,
        path: KeyPath,
        message: str,
        remedy: Remedy = None,
    ) -> None:
        """Note a fault of the value at `path`, or that the value is missing. A remedy that takes
        long to find is given as a function, which is called where the fault is listed.
        """
        self._faults.append(_Fault(path, message, remedy))

    @property
    def ok(self) -> bool:
        """Whether no fault was found so far."""
        return not self._faults and self._unusable is None

    @property
    def faulty_tables(self) -> frozenset[KeyPath]:
        """The places of the tables in lists, such as `("model", 0)`, in which a fault was found."""
        return frozenset(fault.path[:2] for fault in self._faults)

    def has_faults(self, *tables: str) -> bool:
        """Whether a fault was found in one of these tables."""
        faulty = {fault.path[0] for fault in self._faults if fault.path}
        return not faulty.isdisjoint(tables)

    def did_you_mean(
        self,
        word: str,
        choices: Sequence[str],
        otherwise: str | None,
        form: str = "{name}",
    ) -> FoundRemedy:
        """The remedy that names the choice most likely meant, written in the template `form`; or
        `otherwise`.
        """

        def remedy() -> str | None:
            guess = nearest(word, choices)
            if guess is None:
                return otherwise
            return f"did you mean {fill(form, {'name': guess})}?"

        return remedy

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first faults so far in the order of their lines, and a count of the others."""
        return self.listed(MAX_PROBLEMS).problems

    def listed(self, most_guesses: int) -> ListedProblems:
        """The `problems`. Remedies that take long to find are looked for in at most `most_guesses`
        faults.
        """
        if self._unusable is not None:
            return ListedProblems((self._unusable.problem(self.file),), 0)
        faults = self._faults_by_line()
        problems = []
        guesses = 0
        for problem, remedy in faults[:MAX_PROBLEMS]:
            found = None if callable(remedy) else remedy
            if callable(remedy) and guesses < most_guesses:
                guesses += 1
                found = remedy()
            problems.append(problem.replace(remedy=found))
        unlisted = len(faults) - len(problems)
        if unlisted:
            problems.append(unlisted_problem(self.file, unlisted))
        return ListedProblems(tuple(problems), guesses)

    def _faults_by_line(self) -> list[tuple[Problem, Remedy]]:
        """The faults without their remedies, and the remedies, sorted by line: first the faults of
        this file, then those of files beside it.
        """
        placed = [
            (self._problem(fault.path, fault.message), fault.remedy)
            for fault in self._faults
        ]
        # sorting is stable: faults on one line keep their order
        placed.sort(key=lambda fault: (fault[0].file != self.file, fault[0].line or 0))
        return placed

    def _problem(self, path: KeyPath, message: str) -> Problem:
        """The problem of the value at `path`, with the file and the line of the value: the file is
        the document's own file, or one of the `files_beside`.
        """
        if len(path) > 1 and path[0] in self.files_beside:
            return self.files_beside[str(path[0])]._problem(path[1:], message)
        return Problem(
            file=self.file,
            line=self.line(path),
            key=key_name(path) or None,
            message=message,
        )

    def line(self, path: KeyPath) -> int | None:
        """The line of the value at `path`, else of the nearest table around it. None where that is
        the whole file, and where there is no TOML file, as in a package.
        """
        is_of_toml = self.file.endswith(".toml")
        if self.text is None and is_of_toml and os.path.isfile(self.file):
            # a checkout's file was read in its stored form: the line is found in its text
            self.text = Document.read(self.file).text
        if self.text is not None and not self._lines:
            # imported only where there is a fault
            from .toml_lines import lines_of

            self._lines = lines_of(self.text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


def _parsed(text: str) -> dict[str, Any]:
    """The values of a TOML text, with dates as text. Raises `Unreadable`."""
    import tomllib

    if text.count(".") > MAX_KEY_PARTS and re.search(_ENDLESS_KEY, text):
        raise Unreadable(f"has a key of more than {MAX_KEY_PARTS} parts")
    try:
        values = tomllib.loads(text)
        if re.search(_DATE_OR_TIME, text):
            values = {key: _with_text_dates(part) for key, part in values.items()}
    except tomllib.TOMLDecodeError as error:
        # imported only where there is a fault
        from .toml_lines import syntax_fault

        raise syntax_fault(str(error), text) from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError:  # int() has a limit of its own
        raise Unreadable("has a number of more than 4,300 digits") from None
    return values


def _with_text_dates(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_text_dates(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_text_dates(part) for part in value]
    in_iso_format = getattr(value, "isoformat", None)
    if in_iso_format is not None:
        return in_iso_format()
    return value


def key_name(path: KeyPath) -> str:
    """`("files", 0, "bytes")` -> `files[0].bytes`; a part that TOML wants in quotes has them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch("[A-Za-z0-9_-]{1,60}", part):
            text += f".{part}"
        else:
            text += f'."{shortened(part)}"'
    return text.removeprefix(".")


# the annotation of a list of tables in `TomlTable.get`
TABLES = "tuple[TomlTable, ...]"

# the types that a file states directly; a list or table of these types has another annotation
_PLAIN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
# the values that replace a missing or wrong list or table; any other value is replaced by None
_EMPTY: Mapping[str, object] = {
    "tuple": (),
    "frozenset": frozenset(),
    "Mapping": {},
}


class _Annotation(Record):
    """The parts of an annotation, such as `Mapping[str, int] | None`.

    - `outer`: `Mapping`, the name before the brackets.
    - `inner`: `int`, the annotation of each value inside; empty without brackets.
    - `type_in_file`: `dict`, the type that a right value has in a file.
    - `empty`: `{}`, what stands for a value that is missing or wrong.
    - `may_be_none`: whether the annotation allows None, too.
    """

    outer: str
    inner: str
    type_in_file: type
    empty: object
    may_be_none: bool


@cache
def _read_annotation(annotation: str) -> _Annotation:
    without_none = annotation.removesuffix(" | None")
    outer, _, inner = without_none.removesuffix("]").partition("[")
    type_in_file = list if outer in ("tuple", "frozenset") else dict
    return _Annotation(
        outer=outer,
        inner=inner.removesuffix(", ...").removeprefix("str, "),
        type_in_file=_PLAIN.get(outer, type_in_file),
        empty=_EMPTY.get(outer),
        may_be_none=without_none != annotation,
    )


class _Reader(NamedTuple):
    """A reader of one value of a document, with everything inside it. Faults are noted in the
    document.

    `kind` is the class of the records in the value; `limits` are those of `fault_of`, for each
    text, number and truth value inside.
    """

    document: Document
    kind: type[Record]
    limits: Limits

    def read(
        self,
        path: KeyPath,
        value: Any,
        annotation: _Annotation,
    ) -> object:
        """The value as the record has it; None, or an empty list or table, for a wrong value."""
        if annotation.outer == "Any":
            return value
        is_checked = self.document.is_checked
        if not is_checked and not self._is_right(path, value, annotation.type_in_file):
            return annotation.empty
        match annotation.outer:
            case "str" if "lines" in self.limits:
                return " ".join(value.split())
            case "str" | "int" | "bool":
                return value
            case "float":
                # a file may state a whole number
                return float(value)
            case "tuple":
                return self._entries(path, value, annotation.inner)
            case "frozenset":
                return frozenset(self._entries(path, value, annotation.inner))
            case "Mapping":
                return dict(self._read_each(path, value.items(), annotation.inner))
            case "TomlTable":
                return TomlTable(self.document, path, value)
        # any other annotation is the name of a record
        return TomlTable(self.document, path, value).as_record(self.kind)

    def _is_right(
        self,
        path: KeyPath,
        value: object,
        kind: type,
    ) -> bool:
        """Whether a value has that type and is within the limits. A fault is noted."""
        fault = fault_of(value, kind, notation=self.document.notation, **self.limits)
        if fault is None:
            return True
        remedy: Remedy = fault.remedy
        if kind is str and isinstance(value, str) and "choices" in self.limits:
            choices = self.limits["choices"]
            remedy = self.document.did_you_mean(value, choices, None, '"{name}"')
        self.document.add(path, fault.message, remedy)
        return False

    def _entries(
        self,
        path: KeyPath,
        values: Sequence[object],
        annotation: str,
    ) -> tuple[object, ...]:
        """The right values of a list; () for a list that is too long."""
        if len(values) > MAX_LISTED and annotation in _PLAIN:
            message = f"lists {len(values):,} values; at most {MAX_LISTED:,} are read"
            self.document.add(path, message)
            return ()
        is_on_one_line = annotation == "str" and "lines" not in self.limits
        # a document that was checked before is not checked again: a package has lists of thousands
        # of words
        if self.document.is_checked and is_on_one_line:
            return tuple(values)
        entries = self._read_each(path, enumerate(values), annotation)
        return tuple([entry for _, entry in entries])

    def _read_each(
        self,
        path: KeyPath,
        values: Iterable[tuple[_Key, object]],
        annotation: str,
    ) -> Iterator[tuple[_Key, object]]:
        """Yield the right values of a list or table, each after its place or key."""
        wanted = _read_annotation(annotation)
        for key, value in values:
            entry = self.read((*path, key), value, wanted)
            if entry is not None:
                yield key, entry


class TomlTable:
    """A table of a `Document`, whose values are read key by key.

    A wrong value becomes a problem of the document, and nothing is raised. `close()` adds a problem
    for every key that was not read.
    """

    def __init__(
        self,
        document: Document,
        path: KeyPath,
        values: TomlRow,
    ) -> None:
        self.document = document
        self.path = path
        self.values = values
        # a dict as an ordered set
        self._known: dict[str, None] = {}

    @property
    def known_keys(self) -> frozenset[str]:
        """The keys that were read so far."""
        return frozenset(self._known)

    def problem(
        self,
        key: str | None,
        message: str,
        remedy: Remedy = None,
    ) -> None:
        """Note a fault of `key`, or of the whole table."""
        path = (*self.path, key) if key else self.path
        self.document.add(path, message, remedy)

    def get(
        self,
        key: str,
        annotation: str,
        *,
        kind: type[Record] = Record,
        required: bool = False,
        example: object = None,
        **limits: Any,
    ) -> Any:
        """The value of the key, as a record's field with that annotation has it.

        The annotation is one of these, perhaps with ` | None`:

        - `str`, `int`, `float` or `bool`, within the `limits` that `fault_of` takes
        - `Any`: the value as it stands, unchecked
        - `TomlTable`, or the name of a record, whose class is `kind`
        - `tuple[X, ...]`, `frozenset[X]` or `Mapping[str, X]`, where X is one of the above

        A key that is missing gives None, or an empty tuple, frozenset or dict. With `required` it
        is noted, and `example` is what to write. A value that is wrong is noted and gives the same;
        a wrong one in a list or table is noted and left out. None, which JSON and a `Workload` may
        state, is wrong unless the annotation allows it.
        """
        self._known[key] = None
        wanted = _read_annotation(annotation)
        if key in self.values:
            value = self.values[key]
            if value is None and wanted.may_be_none:
                return wanted.empty
            reader = _Reader(self.document, kind, limits)
            return reader.read((*self.path, key), value, wanted)
        if required:
            remedy = _how_to_state(key, annotation, example, limits)
            self.problem(key, "is missing", remedy)
        return wanted.empty

    def fields(self, kind: type[Record]) -> dict[str, Any]:
        """The values of the fields that a file states (`read_by`), by their names in the record.
        The default stands for one that is missing or wrong, None for a required one.
        """
        values = {}
        for field, file_key in kind._keys.items():
            key = file_key.name or field
            value = None
            # only keys that are present or required are read: most of the 140 keys of a runtime are
            # missing
            if key in self.values or "required" in file_key.limits:
                if file_key.read is not None:
                    value = file_key.read(self, key, **file_key.limits)
                else:
                    limits = limits_of(kind, field)
                    value = self.get(key, kind._annotations[field], **limits)
            values[field] = file_key.default if value is None else value
            self._known[key] = None
        return values

    def as_record(self, kind: type[AnyRecord]) -> AnyRecord:
        """The table as a record. Each key that is not one of its fields is noted. Where the
        document has faults, a required field may be None against its type.
        """
        record = kind(**self.fields(kind))
        self.close()
        self.document.records.append((self.path, record))
        return record

    def _unknown_keys(self) -> list[str]:
        """The keys that were not read so far."""
        return [key for key in self.values if key not in self._known]

    def close(self, elsewhere: Mapping[str, str] = {}) -> None:
        """Add a problem for every key that was not read. `elsewhere` has the remedies for some of
        these keys.
        """
        known = tuple(self._known)
        otherwise = f"known here: {', '.join(known)}"
        for key in self._unknown_keys():
            remedy: Remedy = elsewhere.get(key)
            if remedy is None:
                remedy = self.document.did_you_mean(key, known, otherwise)
            self.problem(key, "is not a known key", remedy)

    def note_slips(self) -> None:
        """Note every key that is one letter off a known key. Other unknown keys are ignored,
        because a later version may know them.
        """
        for key in self._unknown_keys():
            for known in self._known:
                if is_slip(key, known):
                    self.problem(key, "is not a known key", f"did you mean {known}?")


@cache
def _innermost(annotation: str) -> str:
    """`Slot` of `tuple[Slot, ...]` and of `Slot | None`."""
    wanted = _read_annotation(annotation)
    if wanted.inner:
        return _innermost(wanted.inner)
    return wanted.outer


@cache
def limits_of(kind: type[Record], field: str) -> Limits:
    """The limits of a field's value in a file: the limits that `read_by` declares, and as `kind`
    the record class that the field's annotation names. A field that a function of its own reads has
    no `kind`.
    """
    file_key = kind._keys[field]
    limits = file_key.limits
    if file_key.read is not None:
        return limits
    name = _innermost(kind._annotations[field])
    if name.islower():
        # a text, a number or a truth value needs no further limits: most of 500 fields in a check
        # are such values
        return limits
    for base in kind.__mro__:
        if field in vars(base).get("__annotations__", ()):
            part = vars(sys.modules[base.__module__]).get(name)
            if isinstance(part, type) and issubclass(part, Record):
                return {**limits, "kind": part}
            break
    return limits


def _how_to_state(
    key: str,
    annotation: str,
    example: object,
    limits: Limits,
) -> str | None:
    """The remedy for a key that is missing."""
    if example:
        written = f'"{example}"' if annotation == "str" else example
        return f"write {key} = {written}"
    if "choices" in limits:
        choices = ", ".join(limits["choices"])
        return f"one of {choices}"
    return None


def shipped_table(name: str, folder: str = "") -> TomlRow:
    """The values of `specs/common/<name>.toml`, or of that file in another folder of specs, read
    once. Raises `SpecError` where it is missing or no TOML.
    """
    store = store_of(folder) if folder else shipped_store()
    return _common_table(store, name).values


@cache
def _common_table(store: Store, name: str) -> Document:
    return stored_table(store, f"common/{name}")


def _shipped_document(name: str) -> Document:
    """The table `specs/common/<name>.toml`, so far without a fault."""
    table = _common_table(shipped_store(), name)
    return Document(table.file, table.values, is_checked=table.is_checked)


def shipped_record(
    kind: type[AnyRecord],
    name: str,
    section: str = "",
) -> AnyRecord:
    """The table `specs/common/<name>.toml`, or one section of it, as a record, read once. Raises
    `SpecError` with each fault of it.
    """
    record = _shipped_record(kind, name, section)
    assert isinstance(record, kind)
    return record


@cache
def _shipped_record(
    kind: type[Record],
    name: str,
    section: str,
) -> Record:
    document = _shipped_document(name)
    table = document.root
    if section:
        table = TomlTable(document, (section,), document.values[section])
    record = table.as_record(kind)
    if not document.ok:
        raise SpecError(document.problems)
    return record


def shipped_rows(
    kind: type[AnyRecord],
    name: str,
    section: str,
) -> Mapping[str | int, AnyRecord]:
    """The tables in a section of `specs/common/<name>.toml` as records, by their keys, or by their
    places in a list. Raises `SpecError` with each fault of the section.
    """
    document = _shipped_document(name)
    tables = document.values[section]
    by_key = tables if isinstance(tables, dict) else dict(enumerate(tables))
    rows = {}
    for key, values in by_key.items():
        rows[key] = TomlTable(document, (section, key), values).as_record(kind)
    if not document.ok:
        raise SpecError(document.problems)
    return rows


def large_record(kind: type[AnyRecord], name: str) -> AnyRecord:
    """The table `specs/common/<name>.toml` as a record.

    The values of the built-in catalogue are not checked. The values of another catalogue are, which
    takes twenty times as long. Raises `SpecError` with each fault.
    """
    if other_catalogue() is None:
        return unchecked_table(kind, name)
    return shipped_record(kind, name)


def unchecked_table(kind: type[AnyRecord], name: str) -> AnyRecord:
    """The table `specs/common/<name>.toml` as a record, without a check of its values."""
    return unchecked_record(kind, _shipped_document(name).values)


def unchecked_record(kind: type[AnyRecord], values: TomlRow) -> AnyRecord:
    """A shipped table, or a row of one, as a record with the values as they stand: lists as tuples,
    and tables as records where the field's annotation names one, also those in a `Mapping`.

    A row takes 5 microseconds, and 100 where each value is checked: for large tables a test does
    that (tests/machine/test_tables.py). `KeyError` names a key that is no field.
    """
    fields = _fields_by_key(kind)
    by_field = {}
    for key, value in values.items():
        field = fields[key]
        by_field[field.name] = value
        # only lists and tables are converted: most values are texts and numbers, and one table has
        # thousands
        if isinstance(value, (list, dict)):
            by_field[field.name] = field.unchecked(value)
    return kind(**by_field)


class _UncheckedField(Record):
    """A field of a record that is made without a check.

    - `name`: the name of the field.
    - `part`: the class of the records inside the value; None where the value holds no records.
    - `is_by_name`: the value is a table that holds such a record, or a list, under each name.
    """

    name: str
    part: type[Record] | None
    is_by_name: bool

    def unchecked(self, value: object) -> object:
        """The value as the field has it: lists as tuples, and tables of `part` as records."""
        if self.is_by_name and isinstance(value, dict):
            return {name: self._part(row) for name, row in value.items()}
        return self._part(value)

    def _part(self, value: object) -> object:
        if isinstance(value, list):
            return self._entries(value)
        if self.part is None or not isinstance(value, dict):
            return value
        return unchecked_record(self.part, value)

    def _entries(self, values: list[object]) -> tuple[object, ...]:
        entries = []
        for value in values:
            # a call for each of thousands of numbers would double the time
            if isinstance(value, (list, dict)):
                entries.append(self._part(value))
            else:
                entries.append(value)
        return tuple(entries)


@cache
def _fields_by_key(kind: type[Record]) -> Mapping[str, _UncheckedField]:
    """The fields of a record by their keys in a file."""
    fields = {}
    for name, file_key in kind._keys.items():
        part = limits_of(kind, name).get("kind")
        wanted = _read_annotation(kind._annotations[name])
        holds_parts = part is not None or wanted.inner.startswith("tuple")
        is_by_name = holds_parts and wanted.outer == "Mapping"
        key = file_key.name or name
        fields[key] = _UncheckedField(name=name, part=part, is_by_name=is_by_name)
    return fields


def row_names(name: str, section: str = "") -> tuple[str, ...]:
    """The names of the rows of `specs/common/<name>.toml`, or of a section of it: for rows that are
    read one at a time or by another package.
    """
    rows = _shipped_document(name).values
    return tuple(rows[section] if section else rows)


def unchecked_row(
    kind: type[AnyRecord],
    name: str,
    row: str,
    **values: object,
) -> AnyRecord:
    """The row of that name as a record with the values as they stand, and with `values`, which the
    row does not state.
    """
    stated = _shipped_document(name).values[row]
    return unchecked_record(kind, {**values, **stated})


@cache
def shipped_texts(name: str, section: str) -> Mapping[str, str]:
    """The texts in a section of `specs/common/<name>.toml`, by their keys, each on one line. Raises
    `SpecError` with each fault of the section.
    """
    document = _shipped_document(name)
    texts: Mapping[str, str] = document.root.get(
        section, "Mapping[str, str]", lines=True
    )
    if not document.ok:
        raise SpecError(document.problems)
    return texts


@cache
def expression(name: str, key: str) -> re.Pattern[str]:
    """The regular expression of that key of a table."""
    return re.compile(shipped_texts(name, "expressions")[key])


def sentences(
    name: str,
    section: str,
    holds: Mapping[str, object],
    **figures: object,
) -> tuple[str, ...]:
    """The sentences of a section of a table whose condition in `holds` is true, filled with the
    figures.
    """
    templates = shipped_texts(name, section)
    filled = []
    for key, is_true in holds.items():
        if is_true:
            filled.append(fill(templates[key], figures))
    return tuple(filled)


class _Refusal(Stated):
    """The templates of an error in a table: the message and the remedy."""

    message: str
    remedy: str


def refusal(
    name: str,
    key: str,
    **figures: object,
) -> SelfhostError:
    """The error of that key of a table's `refusal`, filled with the figures."""
    words = shipped_rows(_Refusal, name, "refusal")[key]
    message = fill(words.message, figures)
    remedy = fill(words.remedy, figures)
    return SelfhostError(message, remedy=remedy or None)


def stored_table(store: Store, name: str) -> Document:
    """The table of that name, such as `runtimes/ollama`. Raises `SpecError` where it is missing or
    no TOML.
    """
    path = os.path.join(store.folder, *f"{name}.toml".split("/"))

    def parse() -> TomlRow:
        document = Document.read(path)
        if not document.ok:
            raise SpecError(document.problems)
        return document.values

    return Document(path, store.value(name, parse), is_checked=store.is_package)
