"""Frozen records with named fields, the check of a single value, and texts made printable.

- `Record` is the base of nearly every class of the program: its annotations are its fields.
- `fault_of` says what is wrong with one value, such as a field of a `Workload` or a key of a file.
  A `Notation` has the names of kinds of values in Python, TOML or JSON.
- `shown`, `shortened` and `brief` make typed text and text of files printable.

`Record` stands in for `dataclasses`: that module and one class of eight fields cost 16 ms and 0.65
ms of start-up (measured, Python 3.11), and `check` is a program people start many times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, KeysView, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from operator import itemgetter
from typing import (
    Any,
    ClassVar,
    NoReturn,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    dataclass_transform,
)

from .units import fault_of_date, nearest, parse_whole

Key = TypeVar("Key")
Value = TypeVar("Value")


def _refuse_change(*_: object, **__: object) -> NoReturn:
    """What stands for each method that would change a frozen mapping."""
    raise TypeError("a record's mapping is frozen; use replace() on the record")


class FrozenDict(dict[Key, Value]):
    """A mapping inside a record: read like a dict, never changed, hashable by its content."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = (
        update
    ) = _refuse_change

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[object, ...]:
        return FrozenDict, (dict(self),)


_NO_DEFAULT = object()
# the most choices that a message lists
_MOST_LISTED = 12


# the values of a record by field name
Values = dict[str, Any]


class Limits(TypedDict, total=False):
    """The bounds of a value, as `fault_of` and `TomlTable.get` take them."""

    minimum: float
    maximum: float
    choices: Sequence[str]
    lines: bool
    form: TextForm
    parse: Callable[[str], int]


class FileLimits(Limits, total=False):
    """The bounds of a value that a file states; whether it must state one, and what to write."""

    required: bool
    example: object


class FileKey:
    """The description of how a file states a field of a record, as `read_by` declares it.

    - `read`: reads the value from `(table, key, **limits)`; None: the field's annotation tells.
    - `name`: the key in the file; None: the field's own name.
    - `default`: used for a value that is missing or wrong.
    - `limits`: the limits of the value, with `required` where a missing key is a fault.
    """

    def __init__(
        self,
        read: Callable[..., object] | None,
        name: str | None,
        default: object,
        limits: FileLimits,
    ) -> None:
        self.read = read
        self.name = name
        self.default = default
        self.limits = limits


def read_by(
    read: Callable[..., object] | None = None,
    *,
    name: str | None = None,
    default: object = _NO_DEFAULT,
    **limits: Unpack[FileLimits],
) -> Any:
    """Declare a field that a file states too: `slots: int = read_by(minimum=1)`.

    Without a default the file must state the field. The other arguments are those of a `FileKey`.
    """
    if default is _NO_DEFAULT:
        return FileKey(read, name, None, {**limits, "required": True})
    return FileKey(read, name, default, limits)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(read_by,)
)
class _RecordType(type):
    """The type of record classes. It collects the fields of a class after those of its first base.

    As in a `NamedTuple`, the names below have an underscore, and a name that begins with one is no
    field.
    """

    _fields: tuple[str, ...]
    # defaults of the fields that need no argument
    _defaults: Values
    # the keys of the fields that a file may state
    _keys: dict[str, FileKey]
    # the annotation of each field, as source text
    _annotations: dict[str, str]
    # the names of the fields, to compare with those of arguments
    _names: KeysView[str]
    # the fields whose dict is frozen
    _mappings: tuple[str, ...]
    # takes a dict of all values by name, returns the values in the order of the fields
    _in_order: itemgetter[object]
    # whether values are stored unchanged: no mapping is frozen, and neither `_completed` nor
    # `_check` is overridden
    _is_plain: bool

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        body: Values,
    ) -> _RecordType:
        base = bases[0] if bases else None
        annotations: dict[str, str] = dict(getattr(base, "_annotations", ()))
        defaults: Values = dict(getattr(base, "_defaults", ()))
        keys: dict[str, FileKey] = dict(getattr(base, "_keys", ()))
        is_stated = getattr(base, "_is_stated", False)
        for field, annotation in body.get("__annotations__", {}).items():
            if field[0] == "_":
                continue
            # the annotation is text, because the module begins with `from __future__ import
            # annotations`
            annotations[field] = annotation
            assigned = body.pop(field, _NO_DEFAULT)
            if is_stated and type(assigned) is not FileKey:
                assigned = read_by(default=assigned)
            if type(assigned) is FileKey:
                keys[field] = assigned
            default = _default_of(assigned)
            if default is not _NO_DEFAULT:
                defaults[field] = default
        mappings = []
        for field, annotation in annotations.items():
            # a mapping may be annotated with an alias such as TomlRow
            has_frozen_default = type(defaults.get(field)) is FrozenDict
            if has_frozen_default or annotation.startswith("Mapping"):
                mappings.append(field)
        body["_annotations"] = annotations
        body["_names"] = annotations.keys()
        body["_fields"] = tuple(annotations)
        body["_defaults"] = defaults
        body["_keys"] = keys
        body["_mappings"] = tuple(mappings)
        body["_in_order"] = itemgetter(*annotations) if annotations else tuple
        body["_is_plain"] = not mappings and not _has_rules(base, body)
        return super().__new__(cls, name, bases, body)

    @property
    def __signature__(cls) -> object:
        """The fields with their defaults, for `help()` and editors."""
        from inspect import Parameter, Signature

        parameters = []
        for name, annotation in cls._annotations.items():
            default = cls._defaults.get(name, Parameter.empty)
            parameter = Parameter(
                name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            parameters.append(parameter)
        return Signature(parameters)


def _has_rules(base: type | None, body: Values) -> bool:
    """Whether a class with that body completes or checks its values. `Record` itself does
    neither.
    """
    if base is None:
        return False
    if "_completed" in body or "_check" in body:
        return True
    return not getattr(base, "_is_plain", True)


def _default_of(assigned: object) -> object:
    """The default of a field with that assigned value; _NO_DEFAULT where an argument must give the
    value.
    """
    default = assigned
    if isinstance(assigned, FileKey):
        if "required" in assigned.limits:
            return _NO_DEFAULT
        default = assigned.default
    if type(default) is dict:
        return FrozenDict(default)
    return default


class Record(metaclass=_RecordType):
    """A frozen value with named fields. They are the annotations of a subclass, in a module that
    begins with `from __future__ import annotations`; what is assigned beside an annotation is the
    default.

    All arguments are keywords, and of any type: only names are checked, unless `_check` looks at
    values. A dict in a field that is a Mapping becomes a `FrozenDict`. Records with equal fields
    are equal, and hashable where every value is. `TypeError` names a missing or unknown field,
    `AttributeError` an attempt to assign.

    A subclass may override two methods: `_completed` fills in values before the record is frozen,
    and `_check` raises where they make no sense together. `replace` calls both again.
    """

    # the error that an unknown field raises
    _unknown_field: ClassVar[type[TypeError]] = TypeError

    def __init__(self, **values: object) -> None:
        kind = type(self)
        if values.keys() != kind._names:
            values = {**kind._defaults, **values}
            if values.keys() != kind._names:
                raise kind._fault_of_names(values)
        # one run makes thousands of records, most of them plain
        if kind._is_plain:
            object.__setattr__(self, "__dict__", values)
        else:
            self._freeze(values)

    def _freeze(self, values: Values) -> None:
        """Take the values of all fields, freeze mappings, complete and check the values."""
        object.__setattr__(self, "__dict__", type(self)._frozen(values))
        self._check()

    @classmethod
    def _frozen(cls, values: Values) -> Values:
        """The values of all fields with frozen mappings, and completed."""
        for name in cls._mappings:
            if type(values[name]) is dict:
                values[name] = FrozenDict(values[name])
        return cls._completed(values)

    @classmethod
    def _completed(cls, values: Values) -> Values:
        """Return the values of all fields, with the missing ones filled in that follow from the
        others.
        """
        return values

    def _check(self) -> None:
        """Raise where the values make no sense together."""

    @classmethod
    def _fault_of_names(cls, values: Values) -> TypeError:
        """Return the error that names a missing field, or an unknown one."""
        for name in cls._fields:
            if name not in values:
                return TypeError(f"{cls.__name__} needs {name}")
        name = min(values.keys() - cls._annotations.keys())
        near = nearest(name, cls._fields)
        for field in cls._fields:
            # as in `quantization` for `quant`
            if near is None and field.startswith(name):
                near = field
        meant = f": did you mean {near}?" if near else ""
        return cls._unknown_field(f"{cls.__name__} has no {name}{meant}")

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__name__
        raise AttributeError(f"{kind} is frozen; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Record) or type(other) is not type(self):
            return NotImplemented
        in_order = type(self)._in_order
        are_equal: bool = in_order(self.__dict__) == in_order(other.__dict__)
        return are_equal

    def __hash__(self) -> int:
        return self._content_hash

    @cached_property
    def _content_hash(self) -> int:
        # cached: records are keys of caches, and hashing a large record takes long
        kind = type(self)
        return hash((kind, kind._in_order(self.__dict__)))

    def __repr__(self) -> str:
        fields = [f"{name}={value!r}" for name, value in self.__getstate__().items()]
        kind = type(self).__name__
        listed = ", ".join(fields)
        return f"{kind}({listed})"

    def __getstate__(self) -> Values:
        """Return the values by field, without cached results."""
        values = self.__dict__
        return {name: values[name] for name in type(self)._fields}

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed; the record itself where each is as it was."""
        kind = type(self)
        if not changes.keys() <= kind._names:
            raise kind._fault_of_names({**self.__getstate__(), **changes})
        values = self.__dict__
        # a loop, for a generator takes as long as all the rest
        for name, value in changes.items():
            if values[name] is not value:
                break
        else:
            return self
        if len(values) > len(kind._fields):
            # leaves out the values of cached properties
            values = self.__getstate__()
        values = {**values, **changes}
        copy = kind.__new__(kind)
        if kind._is_plain:
            object.__setattr__(copy, "__dict__", values)
        else:
            copy._freeze(values)
        return copy


class ShownRecord(Record):
    """A record that people may look at: by `print`, by `rich.print` and in a notebook. The reports
    show it.
    """

    def __str__(self) -> str:
        """Return the text that the command of this answer prints into a pipe."""
        return reports().text(self)

    def __rich__(self) -> object:
        """Return the drawing that the command of this answer shows on a terminal:
        `rich.print(answer)`.
        """
        return reports().drawn(self)

    def _repr_html_(self) -> str:
        """Return the table in HTML that a notebook shows."""
        return reports().notebook(self)


class Reports(Protocol):
    """What shows records: the module `reports.answers`."""

    def text(self, answer: ShownRecord) -> str:
        """Return the text that the command of this answer prints into a pipe."""
        raise NotImplementedError

    def drawn(self, answer: ShownRecord) -> object:
        """Return the drawing for a terminal."""
        raise NotImplementedError

    def notebook(self, answer: ShownRecord) -> str:
        """Return the HTML for a notebook."""
        raise NotImplementedError

    def as_json(self, answer: ShownRecord) -> dict[str, Any]:
        """Return the object that the command of this answer prints with `--format json`."""
        raise NotImplementedError

    def keys(self, kind: str) -> tuple[str, ...]:
        """Return the keys of the JSON of a class of answers; none where they are its fields."""
        raise NotImplementedError

    def summary(self, answer: ShownRecord) -> str:
        """Return the answer in one line of plain text."""
        raise NotImplementedError


def reports() -> Reports:
    """Return what shows records. A record is shown long after it was made, so the door of the
    package, which knows every package, loads the reports when the first record is shown.
    """
    from .. import load_reports

    loaded: Reports = load_reports()
    return loaded


class Stated(Record):
    """A record of which a file states every field, each as `read_by` would declare it."""

    _is_stated = True


class Unread(Record):
    """A fact whose value is None, with the reason, and a remedy for a person (None: nothing
    helps).
    """

    fact: str
    reason: str
    remedy: str | None = None


class Fault(Record):
    """A fault of a value: a clause to put after the value's name, and the text to write instead."""

    message: str
    remedy: str | None = None


class TextForm(Record):
    """The form of texts of one kind, and the fault of a text with another form.

    The whole text must match `pattern`; a group of the pattern with the name `date` must also be a
    date of the calendar. `message` is the fault as a clause to put after the text.
    """

    pattern: str
    message: str
    remedy: str | None = None


DATE = TextForm(
    pattern=r"(?a)(?P<date>\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?)",
    message="is not a date",
    remedy="write YYYY-MM-DD, or as much of it as is known",
)
DAY = TextForm(
    pattern=r"(?a)(?P<date>\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))",
    message="is not a date",
    remedy="write YYYY-MM-DD",
)


class Notation(Record):
    """The words for values in the messages of one notation, such as TOML or JSON.

    - `none`, `true`, `false`: no value, and the two truth values.
    - `array`, `table`: values in order, and values by their keys.
    - `thousands`: the separator allowed in whole numbers; "" for none.
    """

    none: str
    true: str
    false: str
    array: str
    table: str
    thousands: str = "_"

    def name_of(self, kind: type) -> str:
        """The name of values of a type; for `bool` the names of both values."""
        if kind is list:
            return self.array
        if kind is dict:
            return self.table
        if kind is bool:
            return f"{self.true} or {self.false}"
        return _KINDS[kind]


# RFC 8259
JSON = Notation(
    none="null",
    true="true",
    false="false",
    array="an array",
    table="an object",
    thousands="",
)
# toml.io/en/v1.0.0; TOML has no null
TOML = Notation(
    none="nothing",
    true="true",
    false="false",
    array="an array",
    table="a table",
)
PYTHON = Notation(
    none="None",
    true="True",
    false="False",
    array="a list",
    table="a dict",
)

# the kinds that every notation names alike
_KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
}
# how every notation writes some kinds
_HOW_TO_WRITE: Mapping[type, str] = {
    str: 'write it in quotes: "…"',
    list: "write [ … ]",
    dict: "write { … }",
}


# the longest text of a file: a report may print the text whole
MAX_TEXT = 10_000


def fault_of(
    value: object,
    kind: type,
    *,
    minimum: float = 0,
    maximum: float = 10**18,
    choices: Sequence[str] = (),
    lines: bool = False,
    form: TextForm | None = None,
    parse: Callable[[str], int] = parse_whole,
    notation: Notation = PYTHON,
) -> Fault | None:
    """The fault of a value that should have the type `kind`; None where the value is right.

    A number must lie within the bounds, which nan never does; a whole number also counts as a
    number, true does not. A string must be one of `choices` if given. Otherwise a string must not
    be blank, must be on one line unless `lines`, must have the form `form`, and may have at most
    MAX_TEXT characters. `parse` reads a whole number that was given as a string, for the remedy.
    `notation` is the notation that the value was written in.
    """
    fault = _fault_of_kind(value, kind, parse, notation)
    if fault is not None:
        return fault
    if isinstance(value, str):
        return _fault_of_text(value, choices, form, lines=lines)
    if not isinstance(value, int | float):
        return None
    if value < minimum:
        return Fault(
            message=f"must be at least {_bound(minimum)}, not {_digits(value)}"
        )
    # `not value <= maximum` refuses nan too; `value > maximum` would let nan pass
    if not value <= maximum:
        return Fault(message=f"must be at most {_bound(maximum)}, not {_digits(value)}")
    return None


def _fault_of_kind(
    value: object,
    kind: type,
    parse: Callable[[str], int],
    notation: Notation,
) -> Fault | None:
    """The fault of a value with another type than `kind`; None where the type is right. A whole
    number also counts as a number.
    """
    given: type = type(value)
    is_whole_for_float = kind is float and given is int
    if given is kind or is_whole_for_float:
        return None
    remedy = _HOW_TO_WRITE.get(kind)
    if kind is int:
        with suppress(ValueError):
            # as in `"4,096"` or `7e9`
            number = parse(str(value).removesuffix(".0"))
            remedy = f"write {number:{notation.thousands}}"
    name = notation.name_of(kind)
    return Fault(
        message=f"must be {name}, not {kind_of(value, notation)}", remedy=remedy
    )


def _fault_of_text(
    text: str,
    choices: Sequence[str],
    form: TextForm | None,
    *,
    lines: bool,
) -> Fault | None:
    """The fault of a text; None where the text is right."""
    if choices:
        if text in choices:
            return None
        listed = listed_choices(choices)
        return Fault(message=f'"{shortened(text)}" is not one of {listed}')
    if not text.strip():
        return Fault(message="is empty")
    on_one_line = " ".join(text.split()) if lines else text
    if not on_one_line.isprintable():
        message = f'"{shortened(text)}" has a line break or a control character'
        return Fault(message=message, remedy="write it on one line")
    if form is not None:
        match = re.fullmatch(form.pattern, text)
        if match is None:
            return Fault(
                message=f'"{shortened(text)}" {form.message}', remedy=form.remedy
            )
        date = match.groupdict().get("date")
        why = fault_of_date(date) if date else None
        if why is not None:
            return Fault(
                message=f'"{shortened(text)}" is not a date of the calendar', remedy=why
            )
    if len(text) > MAX_TEXT:
        return Fault(
            message=f"is longer than {MAX_TEXT:,} characters",
            remedy="write a shorter text",
        )
    return None


def kind_of(value: object, notation: Notation) -> str:
    """A value in words for a message: `the string "4k"`, in JSON `null` or `an object`."""
    if value is None:
        return notation.none
    if isinstance(value, str):
        return f'the string "{shortened(value)}"'
    if isinstance(value, bool):
        return notation.true if value else notation.false
    if isinstance(value, int | float):
        return f"the number {_digits(value)}"
    if isinstance(value, dict):
        return notation.table
    if isinstance(value, list):
        return notation.array
    return f"a value of the type {type(value).__name__}"


def _bound(number: float) -> str:
    return _digits(number).removesuffix(".0")


def _digits(number: float) -> str:
    """The digits of a number for a message. Python refuses to print whole numbers of more than
    4,300 digits, so very long ones are described.
    """
    if not isinstance(number, int):
        return str(number)
    if -(10**30) < number < 10**30:
        return f"{number:,}"
    return "one of more than 30 digits"


def shown(text: str) -> str:
    """A path or other text as it was given, fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


# the longest word or path that is printed whole
_LONG_WORD = 200
_LONG_SENTENCE = 1_000


def shown_path(path: str) -> str:
    """A path fit for a terminal, its middle left out where it is long: its ends tell most."""
    return brief(shown(path))


def brief(sentence: str) -> str:
    """A sentence shortened for a report of faults: its longest words and a long middle are left
    out, because typed text and text of files may have any length.
    """
    if len(sentence) <= _LONG_WORD:
        return sentence
    words = re.sub(rf"\S{{{_LONG_WORD},}}", _without_middle, sentence)
    if len(words) <= _LONG_SENTENCE:
        return words
    return f"{words[:600]}…{words[-300:]}"


def _without_middle(word: re.Match[str]) -> str:
    """The beginning and the end of a long word."""
    return f"{word[0][:60]}…{word[0][-20:]}"


def brief_lines(text: str) -> str:
    """The text with each of its lines shortened by `brief`."""
    return "\n".join(map(brief, text.split("\n")))


def listed_choices(choices: Sequence[str]) -> str:
    """The choices as a message lists them: the first of very many."""
    listed = list(choices[:_MOST_LISTED])
    if len(choices) > _MOST_LISTED:
        listed.append("…")
    return ", ".join(listed)


def shortened(text: str, most: int = 60) -> str:
    """A foreign text as a message quotes it: on one line, and cut where it is long."""
    on_one_line = " ".join(text[: 4 * most].split())
    clean = shown(on_one_line)
    if len(clean) <= most:
        return clean
    return f"{clean[: most - 1]}…"
