"""The errors that selfhost raises, and `Problem`: one fault of one file, option or argument.

Every error is a `SelfhostError` with a message and, if there is one, a remedy. An `InputError`
carries one `Problem` for each fault of an input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .records import Record

# the place of a value in a file: `("files", 0, "bytes")` is the key `bytes` of the first table of
# `files`
KeyPath = tuple[str | int, ...]
# names, or a function that finds the names where this takes long
Names = Iterable[str] | Callable[[], Iterable[str]]


class Problem(Record):
    """A fault of an input.

    - `file`: the name of the file as the user gave it.
    - `line`: counted from 1; None where it is not certain.
    - `key`: a dotted path (`architecture.attention[0].kv_heads`).
    - `remedy`: the text to write or type instead.
    - `unlisted`: in a problem that stands for faults which are only counted, the number of
      these.
    - `alike`: in a problem that is told for several faults with the same reason, the number of
      the others.
    """

    file: str
    line: int | None = None
    key: str | None = None
    message: str
    remedy: str | None = None
    unlisted: int = 0
    alike: int = 0

    @property
    def faults(self) -> int:
        """The number of faults that the problem tells or counts."""
        return self.unlisted or 1 + self.alike

    def __str__(self) -> str:
        """`my.toml:3: files[0].bytes: is missing (write bytes = 7)`."""
        text = self.file if self.line is None else f"{self.file}:{self.line}"
        if self.key:
            text += f": {self.key}"
        if self.message:
            text += f": {self.message}"
        if self.remedy:
            text += f" ({one_line(self.remedy)})"
        return text.removeprefix(": ")


def one_line(remedy: str) -> str:
    """A remedy of several lines, padded to columns, as one sentence."""
    if "\n" not in remedy:
        return remedy
    lines = [" ".join(line.split()) for line in remedy.split("\n")]
    return "; ".join(lines)


# the most faults of one input that are listed; further ones are counted
MAX_PROBLEMS = 20


def first_problems(file: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MAX_PROBLEMS problems, and one more of `file` that counts the others."""
    listed: list[Problem] = []
    unlisted = 0
    for problem in problems:
        if not problem.unlisted and len(listed) < MAX_PROBLEMS:
            listed.append(problem)
        else:
            unlisted += problem.faults
    if unlisted:
        listed.append(unlisted_problem(file, unlisted))
    return tuple(listed)


def unlisted_problem(file: str, unlisted: int) -> Problem:
    """The problem of `file` that counts faults which are not listed."""
    faults = "1 more fault" if unlisted == 1 else f"{unlisted:,} more faults"
    message = f"has {faults}, not listed"
    return Problem(file=file, message=message, unlisted=unlisted)


def _first_of_each_input(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MAX_PROBLEMS problems of each file or option, each followed by one that counts the
    others.
    """
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        by_file.setdefault(problem.file, []).append(problem)
    listed: list[Problem] = []
    for file, problems_of_file in by_file.items():
        listed += first_problems(file, problems_of_file)
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
        nearest: Names = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self._nearest = nearest if callable(nearest) else tuple(nearest)

    @property
    def nearest(self) -> tuple[str, ...]:
        """Names that were perhaps meant, the closest first."""
        if callable(self._nearest):
            self._nearest = tuple(self._nearest())
        return self._nearest

    def __reduce__(self) -> tuple[object, ...]:
        # a process pool pickles errors, and some errors take arguments without a default
        return Exception.__new__, (type(self), *self.args), self.__dict__


class UnknownModelError(SelfhostError, LookupError):
    """No model answers to the name; `nearest` are names that do, and its text names them.

    >>> try:
    ...     check("mistrl-7b")
    ... except UnknownModelError as error:
    ...     print(error.nearest[0])
    mistral:7b
    """

    def __str__(self) -> str:
        if not self.unsaid:
            return self.message
        names = ", ".join(self.unsaid)
        return f"{self.message}. Did you mean: {names}?"

    @property
    def unsaid(self) -> tuple[str, ...]:
        """The nearest names that the message does not mention yet: `step3` in it is not `step`."""
        said = set(re.findall(r"[\w-]+(?:\.[\w-]+)*", self.message))
        return tuple(name for name in self.nearest if name not in said)


class NotAModelError(UnknownModelError):
    """The name is of a tool, a service, a maker or a family nobody can download: `kind` says which.
    `maker`: the typed name, if a maker of models has that name.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        maker: str | None = None,
        remedy: str | None = None,
        nearest: Names = (),
    ) -> None:
        super().__init__(message, remedy=remedy, nearest=nearest)
        self.kind = kind
        self.maker = maker


class InputError(SelfhostError, ValueError):
    """An input with faults: the first MAX_PROBLEMS of each file, and one last that counts any
    others; or a sentence in their place, without `problems`. A person is told `grouped` instead,
    where faults of one reason are one problem; without these, the problems themselves.
    """

    def __init__(
        self,
        problems: Iterable[Problem] | str,
        *,
        grouped: Iterable[Problem] = (),
        remedy: str | None = None,
        nearest: Names = (),
    ) -> None:
        self.problems: tuple[Problem, ...] = ()
        if isinstance(problems, str):
            message = problems
        else:
            self.problems = _first_of_each_input(problems)
            message = "\n".join(str(problem) for problem in self.problems)
        self.grouped = _first_of_each_input(grouped) or self.problems
        super().__init__(message, remedy=remedy, nearest=nearest)


class UsageError(SelfhostError):
    """The command line makes no sense, or no report can be written where it says."""


class WrongTypeError(SelfhostError, TypeError):
    """An argument of a type that the function does not take."""


def expect_type(
    name: str,
    value: object,
    types: tuple[type, ...],
    remedy: str = "",
) -> None:
    """Raise `WrongTypeError` for an argument of another type: later it would fail elsewhere."""
    if isinstance(value, types):
        return
    names = ["None" if kind is type(None) else kind.__name__ for kind in types]
    wanted = " or ".join(names)
    given = "None" if value is None else type(value).__name__
    message = f"{name} must be {wanted}, not {given}"
    if remedy:
        raise WrongTypeError(f"{message}; {remedy}", remedy=remedy)
    raise WrongTypeError(message)


class SpecError(InputError):
    """A spec file cannot be used."""


class MachineFileError(InputError):
    """A machine record cannot be used."""


class PolicyError(InputError):
    """An audit policy cannot be used."""


class WorkloadError(InputError):
    """A request makes no sense: a context of 0, a runtime that does not exist."""

    @classmethod
    def of(
        cls,
        key: str,
        message: str,
        remedy: str | None,
        file: str = "workload",
    ) -> WorkloadError:
        """The error of one field of a `Workload`, or of an argument."""
        problem = Problem(file=file, key=key, message=message, remedy=remedy)
        return cls([problem])
