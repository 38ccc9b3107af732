"""Several models side by side on one machine become one verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.workload import Workload
from ..judge.defaults import in_usual_type, suited_by_list
from ..judge.record import Judged, Question, Verdict
from ..machine.record import Machine
from .api_route import offers_for
from .understood import Understood, has_ways, judged_for, question_of, understand

# between the names of models that run side by side
TOGETHER = " + "


class Beside(Record):
    """One of several models that are to run side by side, as `check_with` takes it."""

    model: str | os.PathLike[str] | ModelSpec
    workload: Workload
    requires_runtime: bool = False


def check_together_with(
    catalogue: Catalogue,
    models: Sequence[Beside],
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
) -> Verdict:
    """One verdict for several models at once on one machine: see `judge.together`.

    Its model's id and name join theirs, its needs are the sums, its `speed` is None and its
    `workload` states the basis of memory alone. Without `follows_machine` each is judged in its own
    defaults, but pictures and video in what the machine takes of them alone. The route is `api`
    where an API serves each of them. Raises as `check` does, for the first model that is wrong.
    """
    # every name is looked up before anything is worked out
    suiting = machine if follows_machine else None
    understood = [understand(catalogue, each.model, each.workload, suiting) for each in models]
    questions = [
        _question(catalogue, meant, machine, each.requires_runtime, follows_machine=follows_machine)
        for each, meant in zip(models, understood, strict=True)
    ]
    day = today or units.utc_today()
    return verdict_together(
        [meant.asked for meant in understood],
        questions,
        machine,
        lambda judged: all(offers_for(catalogue, each, judged, day) for each in questions),
    )


def _question(
    catalogue: Catalogue,
    meant: Understood,
    machine: Machine,
    requires_runtime: bool,
    *,
    follows_machine: bool,
) -> Question:
    # a program that must be installed already may decide which type and program are taken
    question = question_of(catalogue, meant, machine, requires_runtime=requires_runtime)
    if question.in_turn:
        # the least memory leaves most to the others
        return in_usual_type(question, meant.workload, catalogue, machine)
    if follows_machine:
        return judged_for(catalogue, meant, machine, requires_runtime=requires_runtime).question
    if has_ways(meant, question):
        return suited_by_list(question, meant.workload, catalogue, machine).question
    return question


def verdict_together(
    names: Sequence[str],
    questions: Sequence[Question],
    machine: Machine,
    are_offered: Callable[[Judged], bool],
) -> Verdict:
    """The verdict on questions about several models, which are called so. `are_offered` says of
    what fails whether an API serves each of them.
    """
    from ..judge.together import judge_together

    judged = judge_together(questions, names, machine)
    specs = [question.spec for question in questions]
    return Verdict(
        asked=TOGETHER.join(names),
        model=ModelSpec(
            id=TOGETHER.join(spec.id for spec in specs),
            name=TOGETHER.join(spec.name for spec in specs),
        ),
        workload=Workload().replace(memory_basis=questions[0].workload.memory_basis),
        machine=machine,
        route=judged.route(judged.failed and are_offered(judged)),
        needs=judged.needs,
        speed=None,
        findings=judged.findings,
    )
