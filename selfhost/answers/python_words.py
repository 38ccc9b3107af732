"""Answers and errors for a program: their sentences name arguments of the Python functions."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_

from ..core.errors import InputError, Problem, SelfhostError
from ..core.records import Record
from ..core.saying import in_python

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Value = TypeVar("Value")

# the fields that hold sentences, or records that do
_SAYING = {
    "Answer": ("needs", "speed", "findings"),
    "Comparison": ("models",),
    "Compared": ("verdict",),
    "ContainerSize": ("needs", "growths", "notes"),
    "Finding": ("reason", "remedy"),
    "Growth": ("why",),
    "Known": ("findings", "speed"),
    "LocalCost": ("unknown", "watts_source"),
    "Machine": ("sources", "unread"),
    "MonthlyCost": ("here", "instead", "meets_unknown", "reason"),
    "Needs": ("unknown",),
    "Plan": ("needs", "reasons", "machines", "notes"),
    "ProposedCost": ("here", "risks"),
    "Ranked": ("why",),
    "Ranking": ("machine", "models", "notes"),
    "Speed": ("how",),
    "Unread": ("reason", "remedy"),
    "Verdict": (
        "needs", "speed", "findings", "machine", "alternatives", "monthly_cost", "advice",
        "understood_as", "notes", "fine_print",
    ),
    "Alternative": ("why",),
}  # fmt: skip


def answer_in_python(value: Value) -> Value:
    """The answer in the words of Python; the same object where nothing changes."""
    reworded: Value = _reworded(value)
    return reworded


def _reworded(value: Any) -> Any:
    if isinstance(value, str):
        return in_python(value)
    if isinstance(value, tuple):
        parts = tuple(map(_reworded, value))
        return value if all(map(is_, parts, value)) else parts
    if isinstance(value, Mapping):
        entries = {key: _reworded(each) for key, each in value.items()}
        return value if all(map(is_, entries.values(), value.values())) else entries
    if isinstance(value, Record):
        kind: Any = type(value)
        saying = _SAYING.get(kind.__name__, ())
        rest = vars(value).get("_rest")
        if rest is not None:
            # what nobody has asked for yet is worked out, and reworded, once somebody does
            own = vars(value)
            present = {name: own[name] for name in kind._fields if name in own}
            for name in present.keys() & saying:
                present[name] = _reworded(present[name])
            return kind.partly(present, lambda: _completed(rest))
        fields = {name: getattr(value, name) for name in saying}
        words = {name: _reworded(each) for name, each in fields.items()}
        changed = {name: each for name, each in words.items() if each is not fields[name]}
        return value.replace(**changed) if changed else value
    return value


def _completed(rest: Callable[[], Value]) -> Value:
    """What is worked out late, and the error that this may raise, in the words of Python."""
    try:
        return answer_in_python(rest())
    except SelfhostError as error:
        error_in_python(error)
        raise


def error_in_python(error: SelfhostError) -> None:
    """Reword that error in place; one that names no argument stays as it is."""
    error.message = in_python(error.message)
    error.remedy = None if error.remedy is None else in_python(error.remedy)
    if isinstance(error, InputError) and error.problems:
        error.problems, error.all_problems = (
            tuple(map(_problem, problems)) for problems in (error.problems, error.all_problems)
        )
        error.message = "\n".join(map(str, error.problems))
    error.args = (error.message, *error.args[1:])


def _problem(problem: Problem) -> Problem:
    return problem.replace(
        message=in_python(problem.message),
        remedy=None if problem.remedy is None else in_python(problem.remedy),
    )
