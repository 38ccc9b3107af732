"""TOML files read key by key, and the tables that come with the program (`specs/common/`).

What goes in: a file's path, content or values, and the record classes that describe its tables.
What comes out: records, and the faults of the file.

A `Document` is a parsed file, a `TomlTable` one table of it. The types of a record are the rules
for a table: the annotation of a field, and the limits that `read_by` declares. A document is read
in one of two ways:

- A file that a person wrote is checked. Each value is asked for by its key and its limits; a wrong
  value becomes a `Problem` with its line, and reading goes on, so that a person sees all faults at
  once.
- A file of the built-in catalogue is trusted, because tests check it: its values are taken as they
  stand, which takes a twentieth of the time.

`shipped_record`, `shipped_rows` and `shipped_texts` return tables of `specs/common/`, and
`row_names` the names of the rows of one. `program_record` returns a table of words that belong to
the program, whatever catalogue answers. `expression`, `sentences` and `refusal` return what the
texts in a table make.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, Unpack

from .errors import (
    MAX_PROBLEMS,
    KeyPath,
    Problem,
    SelfhostError,
    SpecError,
    unlisted_problem,
)
from .files import Unreadable, read_file, text_of, too_large
from .records import (
    TOML,
    FileKey,
    Limits,
    Notation,
    Record,
    Stated,
    Values,
    fault_of,
    shortened,
    shown,
)
from .stored import Store, answering_store, built_in_store, store_of
from .templates import fill
from .units import is_slip, nearest

AnyRecord = TypeVar("AnyRecord", bound=Record)
# of an entry: the key in a table, or the place in a list
EntryKey = TypeVar("EntryKey", str, int)
FoundRemedy = Callable[[], str | None]
# the text to write instead, a function that finds the text, or None
Remedy = str | FoundRemedy | None
# a table of a file, or a row of a shipped file; the header of that file explains each key
TomlRow = Mapping[str, Any]

# 30,000 exceptions of a policy, each with a reason and an owner, take 5 to 6 MB
MAX_FILE_BYTES = 6 << 20
# in `a.a.a.…`, tomllib's time grows with the square of the number of parts (7 s for 20,000)
MAX_KEY_PARTS = 64
# far more words, names or selectors than any real list has
MAX_LISTED = 10_000
# a key of more parts. It starts at the beginning of a word and never backtracks, so that the time
# grows in proportion to the text
_ENDLESS_KEY = (
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{{MAX_KEY_PARTS}}}"
)
# `_with_text_dates` changes nothing in a file without a date or time
_DATE_OR_TIME = r"[0-9]-[0-9]{2}-[0-9]|[0-9]:[0-9]"


class _Fault(Record):
    """A noted fault of the value at `path`, or of a value that is missing there."""

    path: KeyPath
    message: str
    remedy: Remedy


class ListedProblems(Record):
    """The first problems of a file, and the number of remedies that were looked for."""

    problems: tuple[Problem, ...]
    guesses: int


class Document:
    """A parsed file and the problems found in it so far.

    - `values`: empty where the text is no TOML; the syntax error is then the only problem.
      Dates are text.
    - `text`: None for values that were not read from a TOML file (the stored form of one, JSON,
      a `Workload`). Their problems have a line only where the TOML file `file` exists.
    - `is_trusted`: every value is known to be right, as in the built-in catalogue; nothing is
      checked.
    - `notation`: the notation in which a person wrote the values, also where their stored form
      is read.
    """

    def __init__(
        self,
        file: str,
        values: TomlRow,
        text: str | None = None,
        *,
        is_trusted: bool = False,
        notation: Notation = TOML,
    ) -> None:
        self.file = file
        self.values = values
        self.text = text
        self.is_trusted = is_trusted
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
        fault = _Fault(path=path, message=message, remedy=remedy)
        self._faults.append(fault)

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
            problem = self._unusable.problem(self.file)
            return ListedProblems(problems=(problem,), guesses=0)
        faults = self._faults_by_line()
        problems = []
        guesses = 0
        for problem, remedy in faults[:MAX_PROBLEMS]:
            found = None
            if not callable(remedy):
                found = remedy
            elif guesses < most_guesses:
                guesses += 1
                found = remedy()
            problems.append(problem.replace(remedy=found))
        unlisted = len(faults) - len(problems)
        if unlisted:
            problems.append(unlisted_problem(self.file, unlisted))
        return ListedProblems(problems=tuple(problems), guesses=guesses)

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


def _parsed(text: str) -> TomlRow:
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
    """The value with text in place of each date and time, also inside lists and tables."""
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

# the types that a file states directly
_PLAIN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
# the types of lists
_LISTS = ("tuple", "frozenset")
# the values that replace a missing or wrong list or table; any other value is replaced by None
_EMPTY: Mapping[str, object] = {
    "tuple": (),
    "frozenset": frozenset(),
    "Mapping": {},
}


class Shape(Record):
    """The type of a value, as an annotation says it: `Mapping[str, int] | None`.

    - `outer`: `Mapping`, the name before the brackets; `Record` for the name of a record.
    - `inner`: the shape of each value inside; None for a value that is no list or mapping.
    - `kind`: the class of the records in the value; None where it holds none.
    - `type_in_file`: `dict`, the type that a right value has in a file.
    - `empty`: `{}`, what stands for a value that is missing or wrong.
    - `may_be_none`: whether the annotation allows None, too.
    - `is_as_stated`: whether a right value is the same in the file and in the record.
    """

    outer: str
    inner: Shape | None
    kind: type[Record] | None
    type_in_file: type
    empty: object
    may_be_none: bool
    is_as_stated: bool

    @property
    def innermost(self) -> str:
        """The name of the values inside all lists and mappings."""
        return self.outer if self.inner is None else self.inner.innermost

    def trusted(self, document: Document, value: Any) -> object:
        """A value that is known to be right, as the record has it."""
        if self.is_as_stated:
            return value
        match self.outer:
            case "str":
                return " ".join(value.split())
            case "float":
                # a file may state a whole number
                return float(value)
            case "tuple":
                return tuple(self._trusted_entries(document, value))
            case "frozenset":
                return frozenset(self._trusted_entries(document, value))
            case "Mapping":
                entries = self._trusted_entries(document, value.values())
                return dict(zip(value, entries, strict=True))
        return self._table(document, (), value)

    def _trusted_entries(
        self,
        document: Document,
        values: Iterable[object],
    ) -> Iterable[object]:
        """The values of a list or table that are known to be right, as the record has them."""
        entry = self.inner
        assert entry is not None
        # a call for each of thousands of words would double the time
        if entry.is_as_stated:
            return values
        return [entry.trusted(document, value) for value in values]

    def checked(
        self,
        document: Document,
        path: KeyPath,
        value: Any,
        limits: Limits,
    ) -> object:
        """A value as the record has it; None, or an empty list or table, for a wrong one. Each
        fault is noted in the document. `limits` are those of `fault_of`, for each text, number and
        truth value inside.
        """
        if self.outer == "Any":
            return value
        if not self._is_right(document, path, value, limits):
            return self.empty
        match self.outer:
            case "tuple":
                return tuple(self._checked_list(document, path, value, limits))
            case "frozenset":
                return frozenset(self._checked_list(document, path, value, limits))
            case "Mapping":
                return self._checked_entries(document, path, value, limits)
            case "TomlTable" | "Record":
                return self._table(document, path, value)
        return self.trusted(document, value)

    def _is_right(
        self,
        document: Document,
        path: KeyPath,
        value: object,
        limits: Limits,
    ) -> bool:
        """Whether a value has the type and is within the limits. A fault is noted."""
        kind = self.type_in_file
        fault = fault_of(value, kind, notation=document.notation, **limits)
        if fault is None:
            return True
        remedy: Remedy = fault.remedy
        if kind is str and isinstance(value, str) and "choices" in limits:
            remedy = document.did_you_mean(value, limits["choices"], None, '"{name}"')
        document.add(path, fault.message, remedy)
        return False

    def _checked_list(
        self,
        document: Document,
        path: KeyPath,
        values: Sequence[object],
        limits: Limits,
    ) -> Collection[object]:
        """The right values of a list; none of a list that is too long."""
        if len(values) > MAX_LISTED and self.innermost in _PLAIN:
            message = f"lists {len(values):,} values; at most {MAX_LISTED:,} are read"
            document.add(path, message)
            return ()
        by_place = dict(enumerate(values))
        return self._checked_entries(document, path, by_place, limits).values()

    def _checked_entries(
        self,
        document: Document,
        path: KeyPath,
        values: Mapping[EntryKey, object],
        limits: Limits,
    ) -> dict[EntryKey, object]:
        """The right values of a list or table, by their places or keys."""
        assert self.inner is not None
        entries = {}
        for key, value in values.items():
            entry = self.inner.checked(document, (*path, key), value, limits)
            if entry is not None:
                entries[key] = entry
        return entries

    def _table(
        self,
        document: Document,
        path: KeyPath,
        values: TomlRow,
    ) -> TomlTable | Record:
        """A table of the file, as a record where the annotation names one."""
        table = TomlTable(document, path, values)
        if self.kind is None:
            return table
        return table.as_record(self.kind)


@cache
def shape_of(
    annotation: str,
    kind: type[Record] | None = None,
    *,
    joins_lines: bool = False,
) -> Shape:
    """The shape that an annotation says. `kind` is the record class that the annotation names;
    without it such a name, and that of a union, stands for a value that is not checked.
    """
    without_none = annotation.removesuffix(" | None")
    outer, _, inside = without_none.removesuffix("]").partition("[")
    inner = None
    is_as_stated = False
    if outer == "Mapping":
        _, _, entry = inside.partition(", ")
        inner = shape_of(entry, kind, joins_lines=joins_lines)
        is_as_stated = inner.is_as_stated
    elif outer in _LISTS:
        entry, _, _ = inside.rpartition(", ")
        inner = shape_of(entry or inside, kind, joins_lines=joins_lines)
    elif outer == "str":
        is_as_stated = not joins_lines
    elif outer in ("int", "bool"):
        is_as_stated = True
    elif outer not in ("float", "TomlTable"):
        outer = "Any" if kind is None else "Record"
        is_as_stated = kind is None
    return Shape(
        outer=outer,
        inner=inner,
        kind=kind if outer != "TomlTable" else None,
        type_in_file=_PLAIN.get(outer, list if outer in _LISTS else dict),
        empty=_EMPTY.get(outer),
        may_be_none=without_none != annotation,
        is_as_stated=is_as_stated,
    )


class FileField(Record):
    """A field of a record that a file states: its name, its key in the file, the shape of its
    value, and what `read_by` declares of it.

    `is_required`: whether a table without the key has a fault.
    """

    name: str
    key: str
    shape: Shape
    stated: FileKey
    is_required: bool


@cache
def file_fields(kind: type[Record]) -> dict[str, FileField]:
    """The fields of a record that a file states, by their keys there."""
    fields = {}
    for name, stated in kind._keys.items():
        annotation = kind._annotations[name]
        joins_lines = "lines" in stated.limits
        shape = shape_of(annotation, joins_lines=joins_lines)
        if shape.innermost == "Any":
            # the annotation may name a record, whose class takes longer to find
            kind_of_value = _kind_named(kind, name, annotation)
            shape = shape_of(annotation, kind_of_value, joins_lines=joins_lines)
        key = stated.name or name
        fields[key] = FileField(
            name=name,
            key=key,
            shape=shape,
            stated=stated,
            is_required="required" in stated.limits,
        )
    return fields


def _kind_named(
    kind: type[Record],
    field: str,
    annotation: str,
) -> type[Record] | None:
    """The record class that the annotation of a field names; None where it names none. The name
    means what it means in the module of the class that declares the field.
    """
    for word in re.findall(r"\w+", annotation):
        for base in kind.__mro__:
            if field in vars(base).get("__annotations__", ()):
                named = vars(sys.modules[base.__module__]).get(word)
                if isinstance(named, type) and issubclass(named, Record):
                    return named
    return None


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
        self._known: dict[str, object] = {}

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
        kind: type[Record] | None = None,
        required: bool = False,
        example: object = None,
        **limits: Unpack[Limits],
    ) -> Any:
        """The value of the key, as a record's field with that annotation has it.

        The annotation is one of these, perhaps with ` | None`:

        - `str`, `int`, `float` or `bool`, within the `limits` that `fault_of` takes: a number is at
          least 0 unless they say otherwise
        - `Any`: the value as it stands, unchecked
        - `TomlTable`, or the name of a record, whose class is `kind`
        - `tuple[X, ...]`, `frozenset[X]` or `Mapping[str, X]`, where X is one of the above

        A key that is missing gives None, or an empty tuple, frozenset or dict. With `required` it
        is noted, and `example` is what to write. A value that is wrong is noted and gives the same;
        a wrong one in a list or table is noted and left out. None, which JSON and a `Workload` may
        state, is wrong unless the annotation allows it.
        """
        shape = shape_of(annotation, kind, joins_lines="lines" in limits)
        return self._get(key, shape, required=required, example=example, **limits)

    def _get(
        self,
        key: str,
        shape: Shape,
        *,
        required: bool = False,
        example: object = None,
        **limits: Unpack[Limits],
    ) -> object:
        """The value of the key by its shape, as `get` describes."""
        self._known[key] = None
        if key not in self.values:
            if required:
                self._note_missing(key, shape, example, limits)
            return shape.empty
        value = self.values[key]
        if value is None and shape.may_be_none:
            return shape.empty
        if self.document.is_trusted:
            return shape.trusted(self.document, value)
        return shape.checked(self.document, (*self.path, key), value, limits)

    def _note_missing(
        self,
        key: str,
        shape: Shape,
        example: object,
        limits: Limits,
    ) -> None:
        """Note that a key is missing. The remedy is to write `example`."""
        remedy = None
        if example:
            written = f'"{example}"' if shape.outer == "str" else example
            remedy = f"write {key} = {written}"
        elif "choices" in limits:
            choices = ", ".join(limits["choices"])
            remedy = f"one of {choices}"
        self.problem(key, "is missing", remedy)

    def fields(self, kind: type[Record]) -> Values:
        """The values of the fields that a file states (`read_by`), by their names in the record.
        The default stands for one that is missing, and for a wrong one that is no list or table;
        None stands for a required one.
        """
        values = {}
        is_trusted = self.document.is_trusted
        fields = file_fields(kind)
        self._known |= fields
        for key, field in fields.items():
            value = None
            # only keys that are present or required are read: most of the 140 keys of a runtime are
            # missing
            if key in self.values or field.is_required:
                stated = field.stated
                if stated.read is not None:
                    value = stated.read(self, key, **stated.limits)
                elif not is_trusted:
                    value = self._get(key, field.shape, **stated.limits)
                elif field.shape.is_as_stated:
                    # without a call: a large table has thousands of such values
                    value = self.values[key]
                else:
                    value = field.shape.trusted(self.document, self.values[key])
            values[field.name] = field.stated.default if value is None else value
        return values

    def as_record(self, kind: type[AnyRecord]) -> AnyRecord:
        """The table as a record. Each key that is not one of its fields is noted. Where the
        document has faults, a required field may be None against its type.
        """
        record = kind(**self.fields(kind))
        if not self.document.is_trusted:
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


def shipped_table(name: str, folder: str = "") -> TomlRow:
    """The values of `specs/common/<name>.toml`, or of that file in another folder of specs, read
    once. Raises `SpecError` where it is missing or no TOML.
    """
    store = store_of(folder) if folder else answering_store()
    return _common_table(store, name).values


@cache
def _common_table(store: Store, name: str) -> Document:
    """The table `common/<name>` of a store, read once."""
    return stored_table(store, f"common/{name}")


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

    return Document(path, store.value(name, parse), is_trusted=store.is_trusted)


def _shipped_document(name: str) -> Document:
    """The table `specs/common/<name>.toml`, so far without a fault."""
    table = _common_table(answering_store(), name)
    return Document(table.file, table.values, is_trusted=table.is_trusted)


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
    """The record of `shipped_record`, read once."""
    document = _shipped_document(name)
    table = document.root
    if section:
        table = TomlTable(document, (section,), document.values[section])
    record = table.as_record(kind)
    _refuse_faults(document)
    return record


def _refuse_faults(document: Document) -> None:
    """Raise `SpecError` where the document has a fault."""
    if not document.ok:
        raise SpecError(document.problems)


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
    _refuse_faults(document)
    return rows


@cache
def shipped_texts(name: str, section: str) -> Mapping[str, str]:
    """The texts in a section of `specs/common/<name>.toml`, by their keys, each on one line. Raises
    `SpecError` with each fault of the section.
    """
    document = _shipped_document(name)
    texts: Mapping[str, str] = document.root.get(
        section, "Mapping[str, str]", lines=True
    )
    _refuse_faults(document)
    return texts


def row_names(name: str, section: str = "") -> tuple[str, ...]:
    """The names of the rows of `specs/common/<name>.toml`, or of a section of it: for rows that are
    read one at a time or by another package.
    """
    rows = _shipped_document(name).values
    return tuple(rows[section] if section else rows)


def program_record(kind: type[AnyRecord], name: str) -> AnyRecord:
    """The table `specs/common/<name>.toml` of the built-in catalogue as a record: words of the
    program, which no other catalogue replaces.
    """
    values = _common_table(built_in_store(), name).values
    return unchecked_record(kind, values)


def unchecked_record(kind: type[AnyRecord], values: TomlRow) -> AnyRecord:
    """Values that are known to be right as a record: those of a row that is read alone."""
    document = Document("", values, is_trusted=True)
    return document.root.as_record(kind)


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
