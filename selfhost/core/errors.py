"""What selfhost raises, and the one shape of a fault in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .records import Record


class Problem(Record):
    """One fault of one input: `file` as the user named it, `line` from 1, None where it is not
    certain, `key` as a dotted path (`architecture.attention[0].kv_heads`), `remedy` what to write
    or type instead. One that stands for others, only counted, has their number in `unlisted`.
    """

    file: str
    line: int | None = None
    key: str | None = None
    message: str
    remedy: str | None = None
    unlisted: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line or ''}".removesuffix(":")
        remedy = f" ({one_line(self.remedy)})" if self.remedy else ""
        return f"{': '.join(filter(None, (place, self.key, self.message)))}{remedy}"


def one_line(remedy: str) -> str:
    """A remedy of several ways, one in a line and padded to columns, as one sentence."""
    lines = [" ".join(line.split()) for line in remedy.split("\n")]
    return "; ".join(lines) if lines[1:] else remedy


# of one input; what is wrong beyond these is counted
MAX_PROBLEMS = 20


def first_problems(file: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MAX_PROBLEMS, and one of that file that counts the others."""
    every = [*problems]
    listed = [problem for problem in every if not problem.unlisted][:MAX_PROBLEMS]
    if more := sum(problem.unlisted or 1 for problem in every) - len(listed):
        faults = "1 more fault" if more == 1 else f"{more:,} more faults"
        listed.append(Problem(file=file, message=f"has {faults}, not listed", unlisted=more))
    return tuple(listed)


def _first_of_each_input(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MAX_PROBLEMS of each file or option, and one that counts its others."""
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        by_file.setdefault(problem.file, []).append(problem)
    listed: list[Problem] = []
    for file, of_file in by_file.items():
        listed += first_problems(file, of_file)
    return tuple(listed)


class SelfhostError(Exception):
    """Base of every error that selfhost raises on purpose.

    `message` is what is wrong, `remedy` what to type instead, or None; `nearest` are names that
    were perhaps meant, closest first. A function that finds them is called when they are first
    read.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        nearest: Iterable[str] | Callable[[], Iterable[str]] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy
        self._nearest = nearest if callable(nearest) else tuple(nearest)

    @property
    def nearest(self) -> tuple[str, ...]:
        if callable(self._nearest):
            self._nearest = tuple(self._nearest())
        return self._nearest

    def __reduce__(self) -> tuple[Any, ...]:
        # a process pool sends errors back pickled, and some take arguments without a default
        return Exception.__new__, (type(self), *self.args), self.__dict__


class UnknownModelError(SelfhostError, LookupError):
    """No model answers to the name; `nearest` are names that do, and its text names them."""

    def __str__(self) -> str:
        unsaid = self.unsaid
        return f"{self.message}. Did you mean: {', '.join(unsaid)}?" if unsaid else self.message

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The nearest names that the message does not have: `step3` in it is not `step`."""
        said = set(re.findall(r"[\w-]+(?:\.[\w-]+)*", self.message))
        return tuple(name for name in self.nearest if name not in said)


class NotAModelError(UnknownModelError):
    """The name is of a tool, a service or a family nobody can download: `kind` says which."""

    def __init__(self, message: str, *, kind: str, **more: Any) -> None:
        super().__init__(message, **more)
        self.kind = kind


class InputError(SelfhostError, ValueError):
    """An input with faults: the first MAX_PROBLEMS, and one last that counts any others."""

    def __init__(self, problems: Iterable[Problem] | str, **more: Any) -> None:
        self.problems = () if isinstance(problems, str) else _first_of_each_input(problems)
        text = problems if isinstance(problems, str) else "\n".join(map(str, self.problems))
        super().__init__(text, **more)


class UsageError(SelfhostError):
    """The command line makes no sense, or no report can be written where it says."""


class WrongTypeError(SelfhostError, TypeError):
    """An argument of a type that the function does not take."""


def expect_type(name: str, value: object, types: tuple[type, ...], remedy: str = "") -> None:
    """`WrongTypeError` for an argument of another type, which would else fail far from its call."""
    if not isinstance(value, types):
        wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in types)
        what = f"{name} must be {wanted}, not {type(value).__name__}"
        raise WrongTypeError(f"{what}; {remedy}" if remedy else what, remedy=remedy or None)


class SpecError(InputError):
    """A spec file cannot be used."""


class MachineFileError(InputError):
    """A machine record cannot be used."""


class PolicyError(InputError):
    """An audit policy cannot be used."""


class WorkloadError(InputError):
    """What was asked makes no sense: a context of 0, a runtime that does not exist."""

    @classmethod
    def of(
        cls, key: str, message: str, remedy: str | None, file: str = "workload"
    ) -> WorkloadError:
        """The error of one field of a `Workload`, or of an argument."""
        return cls([Problem(file=file, key=key, message=message, remedy=remedy)])
