"""Records: frozen values with named fields, what a value may be wherever it was given (a field of
a `Workload`, a key of a file), and why a fact is not known.

`Record` stands in for `dataclasses`: that module and one class of eight fields cost 16 ms and
0.65 ms of start-up (measured, Python 3.11), and `check` is a program people start many times.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, Self, dataclass_transform

from .units import fault_of_date, nearest, parse_whole


class FrozenDict(dict):  # type: ignore[type-arg]
    """A mapping inside a record: read like a dict, never changed, hashable by its content."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("a record's mapping is frozen; use replace() on the record")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


_NO_DEFAULT = object()


# how a file states a field, as `read_by` declares it
FileKey = namedtuple("FileKey", ("read", "name", "default", "limits"))


def read_by(
    read: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    default: Any = _NO_DEFAULT,
    **limits: Any,
) -> Any:
    """Declare a field that a file states too: `slots: int = read_by(minimum=1)`. It is read by
    `read(table, name, **limits)`, else by its annotation; `name` is its key there where that is
    another. Without a default it must be stated.
    """
    if default is _NO_DEFAULT:
        default, limits["required"] = None, True
    return FileKey(read, name, default, limits)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(read_by,))
class _RecordType(type):
    """Turns the annotations of a class body into fields and its assignments into defaults."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]
    # how a file states them, of the fields that say so
    _keys: dict[str, FileKey]
    # the annotation of each field, as it is written
    _kinds: dict[str, str]
    # fields in which a dict may be given
    _mappings: tuple[str, ...]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _RecordType:
        base: Any = bases[0] if bases else None
        parts = ("_kinds", "_defaults", "_keys")
        kinds, defaults, keys = (dict(getattr(base, part, ())) for part in parts)
        stated = body.get("__annotations__", {})
        for field in (field for field in stated if field[0] != "_"):
            kinds[field] = str(stated[field])
            value = body.pop(field, _NO_DEFAULT)
            if getattr(base, "_is_stated", False) and type(value) is not FileKey:
                value = read_by(default=value)
            if type(value) is FileKey:
                keys[field] = value
                value = _NO_DEFAULT if "required" in value.limits else value.default
            if value is not _NO_DEFAULT:
                defaults[field] = FrozenDict(value) if type(value) is dict else value
        body.update(_kinds=kinds, _fields=tuple(kinds), _defaults=defaults, _keys=keys)
        body["_mappings"] = tuple([field for field, kind in kinds.items() if "Mapping" in kind])
        return super().__new__(cls, name, bases, body)

    @property
    def __signature__(cls) -> Any:
        """The fields with their defaults, for `help()` and editors."""
        from inspect import Parameter, Signature

        kind, defaults = Parameter.KEYWORD_ONLY, dict.fromkeys(cls._fields, Parameter.empty)
        defaults |= cls._defaults
        stated = [(name, defaults[name], cls._kinds[name]) for name in cls._fields]
        return Signature([Parameter(n, kind, default=d, annotation=a) for n, d, a in stated])


class Record(metaclass=_RecordType):
    """A frozen value with named fields: the annotations of a subclass, whose assignments are their
    defaults. A dict in a field that is a Mapping becomes a `FrozenDict`. All arguments are
    keywords. `TypeError` names a missing or unknown field, `AttributeError` an attempt to assign.
    """

    # what an unknown field raises
    _unknown_field: ClassVar[type[TypeError]] = TypeError

    def __init__(self, **values: Any) -> None:
        kind = type(self)
        if len(values) < len(kind._fields):
            values = {**kind._defaults, **values}
        if values.keys() != kind._kinds.keys():
            raise kind._fault_of_names(values)
        for name in kind._mappings:
            if type(values[name]) is dict:
                values[name] = FrozenDict(values[name])
        # all fields at once: thousands of records are made in one run
        object.__setattr__(self, "__dict__", kind._completed(values))
        self._check()

    @classmethod
    def _completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of all fields, with those filled in that follow from the others.

        A subclass overrides it; it is called once, before the record is frozen.
        """
        return values

    def _check(self) -> None:
        """Raise where the values make no sense together; a subclass overrides it."""

    @classmethod
    def _fault_of_names(cls, values: Mapping[str, Any]) -> TypeError:
        """Return the error that names the field that is missing, or the one that is unknown."""
        for name in cls._fields:
            if name not in values:
                return TypeError(f"{cls.__name__} needs {name}")
        name = min(values.keys() - cls._kinds.keys())
        near = nearest(name, cls._fields)
        if near is None:
            # `quant` for `quantization`
            near = next((field for field in cls._fields if field.startswith(name)), None)
        meant = f": did you mean {near}?" if near else ""
        return cls._unknown_field(f"{cls.__name__} has no {name}{meant}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(other) is not type(self):
            return NotImplemented
        return self is other or self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return self._content_hash

    @cached_property
    def _content_hash(self) -> int:
        # records are keys of caches, and large ones take long to hash
        return hash((type(self), *self.__getstate__().values()))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self)._fields)
        return f"{type(self).__name__}({inner})"

    def __getstate__(self) -> dict[str, Any]:
        # without what was computed once and kept beside the fields
        return {name: getattr(self, name) for name in type(self)._fields}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**self.__getstate__(), **changes})


class Stated(Record):
    """A record of which a file states every field, each as `read_by` would declare it."""

    _is_stated: ClassVar[bool] = True


class Unread(Record):
    """Why a value is None, and what a person can do about it (None: nothing)."""

    fact: str
    reason: str
    remedy: str | None = None


Fault = tuple[str, str | None]
# What a text must match, what is wrong with another as a clause that follows it, and a remedy.
# What the expression names `date` must be a date of the calendar too.
Form = tuple[str, str, str | None]

DATE: Form = (
    r"(?a)(?P<date>\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?)",
    "is no date",
    "write YYYY-MM-DD, or as much of it as is known",
)
DAY: Form = (
    r"(?a)(?P<date>\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))",
    "is no day",
    "write YYYY-MM-DD",
)

_ANY: Form = ("(?s).*", "", None)
_KINDS: dict[type, tuple[str, str | None]] = {
    str: ("a string", 'write it in quotes: "…"'),
    int: ("a whole number", None),
    float: ("a number", None),
    bool: ("true or false", None),
    list: ("a list", "write [ … ]"),
    dict: ("a table", "write { … }"),
}


# the longest text of a file; a report may print it whole
MAX_TEXT = 10_000


def fault_of(
    value: Any,
    kind: type,
    *,
    minimum: float = 0,
    maximum: float = 10**18,
    choices: Sequence[str] = (),
    lines: bool = False,
    form: Form = _ANY,
    parse: Callable[[str], int] = parse_whole,
) -> Fault | None:
    """What is wrong with a value of that kind and what to write instead; None where it is right. A
    number lies within the bounds, and nan does not; whole numbers are numbers, true is none. A
    string is one of `choices` if given, else not blank, on one line unless `lines`, of a `form` and
    of at most MAX_TEXT characters.
    """
    given: type = type(value)
    if given is not kind and (kind, given) != (float, int):
        name, remedy = _KINDS[kind]
        if kind is int:
            with suppress(ValueError):
                # `"4,096"`, `7e9`
                remedy = f"write {parse(str(value).removesuffix('.0')):_}"
        return f"must be {name}, not {kind_of(value)}", remedy
    if kind in (int, float) and not minimum <= value <= maximum:
        word, end = ("least", minimum) if value < minimum else ("most", maximum)
        return f"must be at {word} {_digits(end).removesuffix('.0')}, not {_digits(value)}", None
    if kind is not str or value in choices:
        return None
    if choices:
        form = ("", f"is not one of {', '.join(choices)}", None)
    elif not value.strip():
        return "is empty", None
    elif not (" ".join(value.split()) if lines else value).isprintable():
        form = ("", "has a line break or a control character", "write it on one line")
    elif match := re.fullmatch(form[0], value):
        date = match.groupdict().get("date")
        why = fault_of_date(date) if date else None
        if why:
            return f'"{shortened(value)}" is no date of the calendar', why
        if len(value) > MAX_TEXT:
            return f"is longer than {MAX_TEXT:,} characters", "write a shorter text"
        return None
    return f'"{shortened(value)}" {form[1]}', form[2]


def kind_of(value: object) -> str:
    """What a value is, in words for a message: `the string "4k"`, `a table`."""
    if isinstance(value, str):
        return f'the string "{shortened(value)}"'
    if type(value) in (int, float):
        return f"the number {_digits(value)}"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def _digits(value: Any) -> str:
    """A number for a message. Python refuses to print whole numbers of more than 4,300 digits."""
    if not isinstance(value, int):
        return str(value)
    return f"{value:,}" if -(10**30) < value < 10**30 else "one of more than 30 digits"


def shown(text: str) -> str:
    """A path or other text as it was given, fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def shown_path(path: str, most: int = 200) -> str:
    """A path fit for a terminal, its middle left out where it is long: its ends tell most."""
    text = shown(path[:most] + path[-most:] if len(path) > 2 * most else path)
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


# the longest word and the longest sentence that are printed whole
_LONG_WORD, _LONG_SENTENCE = 200, 1_000


def brief(sentence: str) -> str:
    """A sentence for a report of faults, its longest words and a long middle left out: what was
    typed, or stands in a file, may have any length.
    """
    if len(sentence) <= _LONG_WORD:
        return sentence
    words = re.sub(
        rf"\S{{{_LONG_WORD},}}", lambda match: f"{match[0][:60]}…{match[0][-20:]}", sentence
    )
    return words if len(words) <= _LONG_SENTENCE else f"{words[:600]}…{words[-300:]}"


def brief_lines(text: str) -> str:
    """Each line of a text, as `brief` has it."""
    return "\n".join(map(brief, text.split("\n")))


def shortened(text: str, most: int = 60) -> str:
    """Text of others as a message quotes it: on one line, and in part where it is long."""
    clean = shown(" ".join(text[: 4 * most].split()))
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
