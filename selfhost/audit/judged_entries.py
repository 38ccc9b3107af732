"""What judges the entries of a policy, and what is wrong with those that cannot be judged."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from ..core.errors import (
    MAX_PROBLEMS,
    Faults,
    InputError,
    PolicyError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from ..core.tomlfile import Document
from ..judge.record import Verdict
from ..machine.record import Machine
from .entries import MAX_POLICY_BYTES, Fault, Policy, Wanted
from .policy import read_policy
from .record import listed

# gives the verdict of one entry, under the basis of memory that holds there, on one machine
Judge = Callable[[Wanted, str, Machine], Verdict]
# raises `SelfhostError` for an entry that can be judged on no machine
Ask = Callable[[Wanted], None]
_NAME_A_FILE = "name a file by its path from the folder in which the audit runs"


def problems_of(path: str, ask: Ask) -> tuple[Problem, ...]:
    """Every fault that would keep an audit with this policy from an answer on any machine.

    Models that do not exist, and quantizations or runtimes that a model is not made for, are
    faults; a model that some machine cannot run is none, and neither are expired exceptions. Raises
    `InputError` for a file that cannot be read.
    """
    try:
        policy = read_policy(Document.read(path, max_bytes=MAX_POLICY_BYTES))
    except PolicyError as error:
        return error.problems
    refused: dict[int, SelfhostError] = {}
    for wanted in policy.models:
        try:
            ask(wanted)
        except SelfhostError as error:
            refused[wanted.index] = error
    return tuple(entry_problems(policy, 0, refused, ()))


def entry_problems(
    policy: Policy, machines: int, refused: Mapping[int, SelfhostError], placed: Container[int]
) -> Iterator[Problem]:
    """What is wrong with the entries of a policy that so many machines were held against: those
    that were refused, and those that are for no machine, which are not among `placed`.
    """
    files = [
        problem
        for error in refused.values()
        if isinstance(error, InputError) and not isinstance(error, WorkloadError)
        for problem in error.problems
        if not _is_of_whole(problem)
    ]
    yield from Faults(policy.file, dict.fromkeys(files)).problems
    faults = [*_refusals(policy, refused)]
    if machines:
        others = entries_of_others(policy, machines, placed)
        faults += [
            _selecting_none(wanted, machines)
            for wanted in _placed_nowhere(policy, placed)
            if wanted not in others
        ]
    if faults:
        yield from policy.problems(faults)


def _placed_nowhere(policy: Policy, placed: Container[int]) -> list[Wanted]:
    return [wanted for wanted in policy.models if wanted.index not in placed]


def entries_of_others(policy: Policy, machines: int, placed: Container[int]) -> list[Wanted]:
    """The entries for classes to which the one machine that is judged does not belong: where a
    fleet's policy is held against one of its machines they are no fault, as long as another entry
    is judged there. That a class exists was seen when the policy was read.
    """
    nowhere = _placed_nowhere(policy, placed)
    if machines != 1 or len(nowhere) == len(policy.models):
        return []
    return [wanted for wanted in nowhere if any(each.kind == "class" for each in wanted.machines)]


def not_asked_here(entries: Sequence[Wanted]) -> tuple[str, ...]:
    """The sentence of the report on entries that are for other machines."""
    names = [f"{wanted.name} ({' '.join(map(str, wanted.machines))})" for wanted in entries]
    said = f"not asked of this machine, which is of another class: {listed(names)}"
    return (said,) if names else ()


def _is_of_whole(problem: Problem) -> bool:
    """Whether a file cannot be used at all: the place to look is the policy's line."""
    return problem.line is None and problem.key is None


def _refusals(policy: Policy, refused: Mapping[int, SelfhostError]) -> Iterator[Fault]:
    for place, (index, error) in enumerate(refused.items()):
        if not isinstance(error, InputError) or not error.problems:
            remedy = error.remedy
            # to find near names takes far longer than all else: only for what will be listed
            if place < MAX_PROBLEMS and isinstance(error, UnknownModelError) and error.nearest:
                remedy = f'did you mean "{error.nearest[0]}"?'
            yield index, "name", error.message, remedy
            continue
        for problem in error.problems:
            if isinstance(error, WorkloadError):
                yield index, problem.key or "name", problem.message, problem.remedy
            elif _is_of_whole(problem):
                remedy = problem.remedy or _NAME_A_FILE
                yield index, "name", f"{problem.file} {problem.message}", remedy


def _selecting_none(wanted: Wanted, machines: int) -> Fault:
    message = "does not select the machine"
    if machines > 1:
        message = f"selects none of the {machines:,} machines"
    remedy = "widen the selectors, add labels or a name to the machine's record, or remove it"
    return wanted.index, "machines", message, remedy
