"""Records, and what it means that a fact is not known.

Every value object of the project is a `Record`: frozen, keyword-only, compared by value. `Record` stands in for
`dataclasses` because that module and one class of eight fields cost 16 ms and 0.65 ms of start-up (measured, Python 3.11),
and `check` is a program people start many times.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take this name as true; at run time `typing` costs more than all else here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self, dataclass_transform
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


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _RecordType(type):
    """Turns the annotations of a class body into fields and its assignments into defaults."""

    _fields: tuple[str, ...]
    _names: frozenset[str]
    _defaults: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _RecordType:
        fields: dict[str, None] = {}
        defaults: dict[str, Any] = {}
        for base in bases:
            fields.update(dict.fromkeys(getattr(base, "_fields", ())))
            defaults.update(getattr(base, "_defaults", {}))
        for key in body.get("__annotations__", {}):
            if not key.startswith("_"):
                fields[key] = None
                if key in body:
                    defaults[key] = body.pop(key)
        made = super().__new__(cls, name, bases, body)
        made._fields, made._names, made._defaults = tuple(fields), frozenset(fields), defaults
        return made


class Record(metaclass=_RecordType):
    """A frozen value with named fields.

    Subclasses annotate their fields; a value assigned in the class body is the default. A dict becomes a `FrozenDict`.
    All arguments are keywords. `TypeError` names a missing or unknown field, `AttributeError` an attempt to assign.
    """

    _fields: tuple[str, ...] = ()
    _names: frozenset[str] = frozenset()
    _defaults: dict[str, Any] = {}

    def __init__(self, **values: Any) -> None:
        kind = type(self)
        if values.keys() != kind._names:
            values = {**kind._defaults, **values}
            if values.keys() != kind._names:
                missing = next((name for name in kind._fields if name not in values), None)
                unknown = sorted(values.keys() - kind._names)
                raise TypeError(f"{kind.__name__} needs {missing}" if missing else f"{kind.__name__} has no {', '.join(unknown)}")
        if dict in map(type, values.values()):
            values = {name: FrozenDict(value) if type(value) is dict else value for name, value in values.items()}
        # all fields at once: thousands of records are made in one run
        self.__dict__.update(values)
        self._check()

    def _check(self) -> None:
        """Overridden where some values make no sense; raises then."""

    @classmethod
    def partly(cls, values: Mapping[str, Any], rest: Callable[[], Self] | None = None) -> Self:
        """A record of which some fields are known; the first that is asked for beyond them is taken, as are all, from `rest()`.

        Without `rest` those are the defaults. Nothing is checked: the values must be those of a record that was.
        """
        made = object.__new__(cls)
        made.__dict__.update(values, _rest=rest)
        return made

    if not TYPE_CHECKING:  # else every attribute would seem to be there

        def __getattr__(self, name: str) -> Any:
            # reached only for what has no value yet
            kind = type(self)
            if name not in kind._names:
                raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
            rest = self._rest
            whole = rest and rest()
            for field in kind._fields:
                if field not in self.__dict__:
                    value = getattr(whole, field) if rest else kind._defaults[field]
                    self.__dict__[field] = FrozenDict(value) if type(value) is dict else value
            return self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self)._fields)

    def __hash__(self) -> int:
        # records are keys of caches, and large ones take long to hash
        value: int | None = self.__dict__.get("_hash")
        if value is None:
            value = hash((type(self), *(getattr(self, name) for name in type(self)._fields)))
            self.__dict__["_hash"] = value
        return value

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self)._fields)
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {name: getattr(self, name) for name in type(self)._fields})

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{name: getattr(self, name) for name in type(self)._fields} | changes)


def _rebuild(kind: type[Record], values: dict[str, Any]) -> Record:
    return kind(**values)


class Unread(Record):
    """Why a value is None: the fact's name, the reason, and what a person can do about it (None: nothing)."""

    fact: str
    reason: str
    remedy: str | None = None
