"""What selfhost raises, and the one shape of a fault in a file."""

from __future__ import annotations

from collections.abc import Iterable

from .facts import Record


class Problem(Record):
    """One fault of one input.

    `file` is as the user named it, `line` counts from 1 and is None where it is not certain, `key` is the dotted path
    (`architecture.attention[0].kv_heads`), `remedy` is what to write or type instead.
    """

    file: str
    line: int | None = None
    key: str | None = None
    message: str
    remedy: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f"{place}: {self.key}: " if self.key else f"{place}: "
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{where}{self.message}{tail}"


class SelfhostError(Exception):
    """Base of every error that selfhost raises on purpose.

    `remedy` is what to type instead, or None; `nearest` are names that were perhaps meant, closest first.
    """

    def __init__(self, message: str, *, remedy: str | None = None, nearest: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.nearest = tuple(nearest)


class UnknownModelError(SelfhostError, LookupError):
    """No model answers to the name. `nearest` are the names that do; it may be empty."""


class NotAModelError(UnknownModelError):
    """The name is known, but of a tool, a service or a family nobody can download: `kind` says of what."""

    def __init__(self, message: str, *, kind: str, nearest: Iterable[str] = (), remedy: str | None = None) -> None:
        super().__init__(message, nearest=nearest, remedy=remedy)
        self.kind = kind


class InputError(SelfhostError, ValueError):
    """An input with faults; `problems` holds every one that was found."""

    def __init__(self, problems: Iterable[Problem] | str, *, remedy: str | None = None, nearest: Iterable[str] = ()) -> None:
        found = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, found)), remedy=remedy, nearest=nearest)
        self.problems = found


class SpecError(InputError):
    """A spec file cannot be used."""


class MachineFileError(InputError):
    """A machine record cannot be used."""


class PolicyError(InputError):
    """An audit policy cannot be used."""


class WorkloadError(InputError):
    """What was asked makes no sense: a context of 0, a quantization nobody makes, a runtime that does not exist."""
