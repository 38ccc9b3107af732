"""Records, and what it means that a fact is not known.

Every value object of the project is a `Record`: frozen, slotted, keyword-only, compared by value. `Record` stands in for
`dataclasses` because that module and one class of eight fields cost 16 ms and 0.65 ms of start-up (measured, Python 3.11),
and `check` is a program people start many times.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take this name as true; at run time `typing` costs more than all else here

if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda kind: kind


_NO_DEFAULT: Any = object()


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
    """Turns the annotations of a class body into slots and its assignments into defaults."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _RecordType:
        fields: list[str] = []
        defaults: dict[str, Any] = {}
        for base in bases:
            fields.extend(getattr(base, "_fields", ()))
            defaults.update(getattr(base, "_defaults", {}))
        own = [key for key in body.get("__annotations__", {}) if not key.startswith("_")]
        for key in own:
            if key in body:
                defaults[key] = body.pop(key)
        body["__slots__"] = tuple(key for key in own if key not in fields)
        fields.extend(body["__slots__"])
        if not bases:
            body["__slots__"] = ("_hash",)
        made = super().__new__(cls, name, bases, body)
        made._fields = tuple(fields)
        made._defaults = defaults
        return made


class Record(metaclass=_RecordType):
    """A frozen value with named fields.

    Subclasses annotate their fields; a value assigned in the class body is the default. A dict becomes a `FrozenDict`.
    All arguments are keywords. `TypeError` names a missing or unknown field, `AttributeError` an attempt to assign.
    """

    _fields: tuple[str, ...] = ()
    _defaults: dict[str, Any] = {}

    def __init__(self, **values: Any) -> None:
        kind = type(self)
        put = object.__setattr__
        defaults = kind._defaults
        taken = 0
        for name in kind._fields:
            if name in values:
                value = values[name]
                taken += 1
            else:
                value = defaults.get(name, _NO_DEFAULT)
                if value is _NO_DEFAULT:
                    raise TypeError(f"{kind.__name__} needs {name}")
            put(self, name, FrozenDict(value) if type(value) is dict else value)
        if taken != len(values):
            unknown = sorted(set(values) - set(kind._fields))
            raise TypeError(f"{kind.__name__} has no {', '.join(unknown)}")
        self._check()

    def _check(self) -> None:
        """Overridden where some values make no sense; raises then."""

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
        try:
            return self._hash  # type: ignore[attr-defined, no-any-return]
        except AttributeError:
            value = hash((type(self), *(getattr(self, name) for name in type(self)._fields)))
            object.__setattr__(self, "_hash", value)
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
