"""Records, and what it means that a fact is not known.

Every value object of the project is a `Record`: frozen, keyword-only, compared by value. `Record`
stands in for `dataclasses` because that module and one class of eight fields cost 16 ms and 0.65 ms
of start-up (measured, Python 3.11), and `check` is a program people start many times.
"""

from __future__ import annotations

# of `operator`, which loads another module for it
from _operator import attrgetter

# type checkers take this name as true; at run time `typing` costs more than all else here
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from re import Pattern
    from typing import Any, Self, TypeVar, dataclass_transform

    Make = TypeVar("Make", bound=Callable[..., Any])
else:

    def dataclass_transform(**_):
        return lambda kind: kind


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


_set = object.__setattr__

# stands for a default that was not given
_NONE_GIVEN = object()


class FileKey:
    """How a file states a field: `read(table, name, **limits)` gives its value, None where there is
    none. `read_by()` makes it.
    """

    __slots__ = ("default", "is_required", "limits", "name", "read")

    def __init__(
        self, read: Callable[..., Any], name: str | None, limits: dict[str, Any], default: Any
    ) -> None:
        self.read, self.name, self.limits = read, name, limits
        self.is_required = default is _NONE_GIVEN
        self.default = None if default is _NONE_GIVEN else default


def read_by(
    read: Callable[..., Any], *, name: str | None = None, default: Any = _NONE_GIVEN, **limits: Any
) -> Any:
    """The value of a field in a class body that a file states too: `slots: int =
    read_by(Table.integer, minimum=1, default=0)`.

    `name` is the key in the file where that is not the field's. `default` is the default of the
    field; the other keywords go to `read`. `Table.fields` reads all such fields of a record.
    """
    return FileKey(read, name, limits, default)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(read_by,))
class _RecordType(type):
    """Turns the annotations of a class body into fields and its assignments into defaults."""

    _fields: tuple[str, ...]
    _names: Set[str]
    _defaults: dict[str, Any]
    # how a file states them, of the fields that say so
    _keys: dict[str, FileKey]
    # fields in which a dict may be given
    _mappings: tuple[str, ...]
    # some values of them make no sense: `_check`
    _is_checked: bool
    # the values of a record in the order of its fields
    _values: Callable[[Any], tuple[Any, ...]]
    # some of its records may lack fields until these are asked for: `_await_fields`
    _awaits_fields: bool

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _RecordType:
        fields: dict[str, None] = {}
        defaults: dict[str, Any] = {}
        keys: dict[str, FileKey] = {}
        mappings: dict[str, None] = {}
        is_checked = bool(bases) and "_check" in body
        for base in bases:
            if isinstance(base, _RecordType):
                is_checked = is_checked or base._is_checked
                # most have the one base that states none
                if base._fields:
                    fields.update(dict.fromkeys(base._fields))
                    defaults.update(base._defaults)
                    keys.update(base._keys)
                    mappings.update(dict.fromkeys(base._mappings))
        for field, annotation in body.get("__annotations__", {}).items():
            if field[0] == "_":
                continue
            fields[field] = None
            if "Mapping" in str(annotation):
                mappings[field] = None
            if field not in body:
                continue
            value = body.pop(field)
            if type(value) is FileKey:
                keys[field] = value
                if value.is_required:
                    continue
                value = value.default
            defaults[field] = FrozenDict(value) if type(value) is dict else value
        # in the body: to set each on the class takes longer
        body.update(
            _fields=tuple(fields),
            _names=fields.keys(),
            _defaults=defaults,
            _keys=keys,
            _mappings=tuple(mappings),
            _is_checked=is_checked,
            _awaits_fields=False,
            # of one name attrgetter gives no tuple
            _values=(
                attrgetter(*fields)
                if len(fields) > 1
                else lambda record: tuple([getattr(record, name) for name in fields])
            ),
        )
        return super().__new__(cls, name, bases, body)

    def _await_fields(cls) -> None:
        """From now on a field that a record of this class lacks is worked out when asked for.

        Other classes must not pay for it, and a `__getattr__` would slow down every field of all
        records by some ten times: what a record holds goes before this on its class.
        """
        for name in cls._names:
            type.__setattr__(cls, name, _Missing(name))
        cls._awaits_fields = True


class _Missing:
    """A field on the class of records known in part: asked of one that lacks it, it completes the
    record, which then is as any other.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: Record | None, owner: type[Record]) -> Any:
        if record is None:
            return self
        own = record.__dict__
        rest = own.get("_rest")
        # another thread may be as far, or done
        if rest is not None:
            whole = rest()
            for name in owner._fields:
                if name not in own:
                    own[name] = getattr(whole, name)
            own.pop("_rest", None)
        if self._name not in own:
            raise AttributeError(f"{owner.__name__} has no {self._name}")
        return own[self._name]


class Record(metaclass=_RecordType):
    """A frozen value with named fields.

    Subclasses annotate their fields; a value assigned in the class body is the default. A dict in a
    field that is a Mapping becomes a `FrozenDict`. All arguments are keywords. `TypeError` names a
    missing or unknown field, `AttributeError` an attempt to assign.
    """

    _fields: tuple[str, ...] = ()
    _names: Set[str] = frozenset()
    _defaults: dict[str, Any] = {}
    _keys: dict[str, FileKey] = {}
    _is_checked = False

    def __init__(self, **values: Any) -> None:
        kind = type(self)
        if len(values) < len(kind._names):
            values = {**kind._defaults, **values}
        if values.keys() != kind._names:
            missing = next(
                (
                    name
                    for name in kind._fields
                    if name not in values and name not in kind._defaults
                ),
                None,
            )
            unknown = sorted(values.keys() - kind._names)
            if missing:
                raise TypeError(f"{kind.__name__} needs {missing}")
            raise kind._without(unknown)
        for name in kind._mappings:
            if type(values[name]) is dict:
                values[name] = FrozenDict(values[name])
        # all fields at once, and not copied: thousands of records are made in one run
        _set(self, "__dict__", values)
        if kind._is_checked:
            self._check()

    @classmethod
    def _without(cls, names: list[str]) -> TypeError:
        """The error of a record that was given fields which it has not."""
        return TypeError(f"{cls.__name__} has no {', '.join(names)}")

    def _check(self) -> None:
        """Overridden where some values make no sense; raises then."""

    @classmethod
    def partly(cls, values: dict[str, Any], rest: Callable[[], Self] | None = None) -> Self:
        """A record of which some fields are known; the first that is asked for beyond them is
        taken, as are all, from `rest()`.

        Without `rest` those are the defaults. Nothing is checked: the values must be those of a
        record that was. `values` is the record's from then on.
        """
        if rest is None:
            values = {**cls._defaults, **values}
        else:
            values["_rest"] = rest
            if not cls._awaits_fields:
                cls._await_fields()
        record = object.__new__(cls)
        _set(record, "__dict__", values)
        return record

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(other) is not type(self):
            return NotImplemented
        if self is other:
            return True
        mine, yours = self.__dict__.get("_hash"), other.__dict__.get("_hash")
        if mine is not None and yours is not None and mine != yours:
            return False
        values = type(self)._values
        return bool(values(self) == values(other))

    def __hash__(self) -> int:
        # records are keys of caches, and large ones take long to hash
        value: int | None = self.__dict__.get("_hash")
        if value is None:
            value = hash((type(self), type(self)._values(self)))
            self.__dict__["_hash"] = value
        return value

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self)._fields)
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            {name: getattr(self, name) for name in type(self)._fields},
        )

    def all_but(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        """The values of the other fields, in the order of the class."""
        return tuple([getattr(self, name) for name in type(self)._fields if name not in names])

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; of a record that is known in part no more is asked
        for.
        """
        kind: Any = type(self)
        own = self.__dict__
        if "_rest" in own:
            present = {name: own[name] for name in kind._fields if name in own} | changes
            plain = not kind._is_checked and not any(
                [type(value) is dict for value in changes.values()]  # noqa: C419
            )
            if plain and len(present) < len(kind._fields) and present.keys() <= kind._names:
                copied: Self = kind.partly(
                    present,
                    lambda: kind(**{name: getattr(self, name) for name in kind._fields} | changes),
                )
                return copied
        if "_rest" not in own and len(own) == len(kind._fields):
            values = {**own, **changes}
        else:
            # beside the fields what was worked out of them is kept there
            values = dict(zip(kind._fields, kind._values(self), strict=True)) | changes
        if kind._is_checked or kind._mappings or len(values) > len(kind._fields):
            whole: Self = kind(**values)
            return whole
        copy: Self = object.__new__(kind)
        _set(copy, "__dict__", values)
        return copy


def _rebuild(kind: type[Record], values: dict[str, Any]) -> Record:
    return kind(**values)


class _IsLarge(dict[type, bool]):
    """Whether values of a type are the same only where they are one object."""

    def __missing__(self, kind: type) -> bool:
        is_large = self[kind] = issubclass(kind, Record) or kind.__hash__ is None
        return is_large


def remembered(most: int) -> Callable[[Make], Make]:
    """As `lru_cache`, of at most `most` calls, for functions of records. Records, and what has no
    hash, as a dict, are the same only where they are one object: to hash a large record takes
    longer than most of what is made of it.
    """

    is_large = _IsLarge()

    def decorate(make: Any) -> Any:
        kept: dict[tuple[Any, ...], tuple[Any, tuple[Any, ...]]] = {}

        def call(*arguments: Any) -> Any:
            key = tuple([id(each) if is_large[type(each)] else each for each in arguments])
            entry = kept.get(key)
            if entry is None:
                if len(kept) >= most:
                    # at once, which no other thread comes between
                    kept.clear()
                # with the arguments, whose ids nothing else may get meanwhile
                entry = kept[key] = make(*arguments), arguments
            return entry[0]

        return call

    return decorate


class _Pattern:
    """Stands in for a pattern; what of it is asked for is kept, and found at once from then on."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        import re

        attribute = self.__dict__[name] = getattr(re.compile(self._text, self._flags), name)
        return attribute


def pattern(text: str, flags: int = 0) -> Pattern[str]:
    """As `re.compile`, compiled when it is first asked: of all the patterns of the project one
    run needs a few.
    """
    lazy: Any = _Pattern(text, flags)
    typed: Pattern[str] = lazy
    return typed


def literal(text: str) -> str:
    """As `re.escape`: a pattern that matches this text alone."""
    return "".join([sign if sign.isalnum() or sign == "_" else f"\\{sign}" for sign in text])


class Unread(Record):
    """Why a value is None: the fact's name, the reason, and what a person can do about it
    (None: nothing).
    """

    fact: str
    reason: str
    remedy: str | None = None
