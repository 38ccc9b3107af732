"""What judges the entries of a policy, and what is wrong with those that cannot be judged."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from ..core.errors import (
    MAX_PROBLEMS,
    Faults,
    InputError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from ..core.saying import in_policy
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.record import Verdict
from .groups import NAMES_SHOWN
from .policy import Fault, Policy, Wanted
from .record import MachineGroup

# gives the verdict of one entry, under the workload that holds there, on one machine
Judge = Callable[[Wanted, Workload, Machine], Verdict]


def entry_problems(
    policy: Policy,
    machines: int,
    refused_by_index: Mapping[int, SelfhostError],
    placed: Container[int],
) -> Iterator[Problem]:
    """What is wrong with the entries of a policy that so many machines were held against: those
    that were refused, and those that are for no machine, which are not among `placed`.
    """
    refused = [(policy.models[index], error) for index, error in refused_by_index.items()]
    yield from Faults(policy.file, _of_other_files(refused)).problems
    others = {wanted.index for wanted in entries_of_others(policy, machines, placed)}
    unplaced = [
        wanted
        for wanted in policy.models
        if machines and wanted.index not in placed and wanted.index not in others
    ]
    if faults := [*_refusals(refused), *_selecting_none(unplaced, machines)]:
        yield from policy.problems(faults)


def entries_of_others(policy: Policy, machines: int, placed: Container[int]) -> list[Wanted]:
    """The entries for classes to which the one machine that is judged does not belong: where a
    fleet's policy is held against one of its machines they are no fault, as long as another entry
    is judged there. That a class exists was seen when the policy was read, so that none is a
    misspelt name, as that of a host may be.
    """
    if machines != 1 or not any(wanted.index in placed for wanted in policy.models):
        return []
    return [
        wanted
        for wanted in policy.models
        if wanted.index not in placed
        and any(selector.kind == "class" for selector in wanted.machines)
    ]


def not_asked_here(entries: Sequence[Wanted]) -> tuple[str, ...]:
    """The sentence of the report on entries that are for other machines."""
    if not entries:
        return ()
    named = [
        f"{wanted.name} ({' '.join(map(str, wanted.machines))})" for wanted in entries[:NAMES_SHOWN]
    ]
    more = [f"{len(entries) - len(named):,} more"] if len(entries) > len(named) else []
    listed = ", ".join((*named, *more))
    return (f"not asked of this machine, which is of another class: {listed}",)


def asked_to_no_effect(groups: Iterable[MachineGroup]) -> tuple[str, ...]:
    """Sentences on what entries ask of tokens, of models that write none: a pace in tokens per
    second holds nothing of them.
    """
    from ..answers.verdicts import without_tokens

    rows = [row for group in groups for row in group.rows if row.verdict is not None]
    # of an entry one row tells its model
    by_index = {row.wanted.index: row for row in rows if not row.wanted.members}
    sentences: dict[str, None] = {}
    for _, row in sorted(by_index.items()):
        if row.verdict is not None:
            said = without_tokens(row.wanted.asked, row.verdict.model)
            sentences.update(dict.fromkeys(map(in_policy, said)))
    listed = [*sentences][:NAMES_SHOWN]
    others = len(sentences) - len(listed)
    return (*listed, f"the same of {others:,} more") if others else tuple(listed)


def _of_other_files(refused: Iterable[tuple[Wanted, SelfhostError]]) -> list[Problem]:
    """Faults at a place of other files than the policy, such as a spec that one of its models
    names; each once.
    """
    others = (
        error.problems
        for _, error in refused
        if isinstance(error, InputError) and not isinstance(error, WorkloadError)
    )
    return list(
        dict.fromkeys(
            problem for problems in others for problem in problems if not _is_of_whole(problem)
        )
    )


def _is_of_whole(problem: Problem) -> bool:
    """Whether a file cannot be used at all: the place to look is the policy's line."""
    return problem.line is None and problem.key is None


def _refusals(refused: Iterable[tuple[Wanted, SelfhostError]]) -> Iterator[Fault]:
    """Why no verdict can be given for an entry, on any machine."""
    for place, (wanted, error) in enumerate(refused):
        if isinstance(error, WorkloadError) and error.problems:
            yield from (_of_workload(wanted, each) for each in error.problems)
        elif isinstance(error, InputError) and error.problems:
            yield from (_of_file(wanted, each) for each in error.problems if _is_of_whole(each))
        else:
            remedy = error.remedy
            # to find near names takes far longer than all else: only for what will be listed
            if place < MAX_PROBLEMS and isinstance(error, UnknownModelError) and error.nearest:
                remedy = f'did you mean "{error.nearest[0]}"?'
            yield wanted.index, "name", in_policy(error.message), remedy and in_policy(remedy)


def _of_workload(wanted: Wanted, problem: Problem) -> Fault:
    remedy = problem.remedy and in_policy(problem.remedy)
    return wanted.index, problem.key or "name", in_policy(problem.message), remedy


_NAME_A_FILE = "name a file by its path from the folder in which the audit runs"


def _of_file(wanted: Wanted, problem: Problem) -> Fault:
    key = "adapter" if problem.file == wanted.asked.adapter else "name"
    return wanted.index, key, f"{problem.file} {problem.message}", problem.remedy or _NAME_A_FILE


def _selecting_none(unplaced: Iterable[Wanted], machines: int) -> Iterator[Fault]:
    message = (
        f"selects none of the {machines:,} machines"
        if machines > 1
        else "does not select the machine"
    )
    remedy = (
        "widen the selectors, add labels or a name to the machine's record, or remove the entry"
    )
    return ((wanted.index, "machines", message, remedy) for wanted in unplaced)
