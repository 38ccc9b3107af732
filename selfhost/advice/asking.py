"""What to type so that `check` gives an answer that was shown.

A default depends on the rest of a command: the program of many GPUs is taken only where no type is
stated, and a larger type only for one user. So an option that is added to a command may change the
program or the type. `workload_to_type` takes what is to be typed and the question that was judged,
and names the program and the type where `check` would take others.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue
from ..core.workload import Workload
from ..judge.choice import best_way
from ..judge.judging import judge
from ..judge.question import asked_again
from ..judge.record import Question
from ..machine.record import Machine


def workload_to_type(
    typed: Workload,
    wanted: Question,
    catalogue: Catalogue,
    machine: Machine,
) -> Workload:
    """The workload `typed`, with as few of the type and the program of `wanted` added as make
    `check` take the program, the type and the context of `wanted`.
    """
    for workload in _from_the_shortest(typed, wanted.workload):
        if _leads_to(wanted, workload, catalogue, machine):
            return workload
    return typed


def _from_the_shortest(typed: Workload, wanted: Workload) -> Iterator[Workload]:
    """Yield what might be typed, the shortest first."""
    yield typed
    with_type = typed.replace(quantization=wanted.quantization)
    with_program = typed.replace(runtime=wanted.runtime)
    if with_type != typed:
        yield with_type
    if with_program != typed:
        yield with_program
        yield with_program.replace(quantization=wanted.quantization)


def _leads_to(
    wanted: Question,
    typed: Workload,
    catalogue: Catalogue,
    machine: Machine,
) -> bool:
    """Whether `check` takes the program, the type and the context of `wanted`."""
    question = asked_again(wanted, typed, catalogue, machine)
    if question is None:
        return False
    judged = best_way(judge(question, machine), catalogue, machine)
    return _what_runs(judged.workload) == _what_runs(wanted.workload)


def _what_runs(workload: Workload) -> tuple[str | None, str | None, int | None]:
    """The program, the type and the context."""
    return workload.runtime, workload.quantization, workload.context_tokens
