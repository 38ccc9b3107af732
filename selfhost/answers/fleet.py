"""The models of a policy, asked of all machines of a fleet at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..advice.api_route import meets, offers_for
from ..catalogue.index import Catalogue
from ..core.workload import Workload
from ..machine.reader import Machine
from ..needs.repack import KINDS, kind_of
from ..verdict.record import Judged, Question, Route
from ..verdict.speed import instruction_sets_for_layout
from .together import Beside
from .understood import Understood, question_of, understand

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class FleetJudge:
    """Judges the models of a policy on all machines of a fleet at once, by the models' own
    defaults and without alternatives: each question is asked once for all machines that it does
    not depend on.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue = catalogue
        self._today = today
        # whether a model meets the license and openness asked for, by what was asked
        self._met: dict[Workload, dict[str, bool]] = {}
        self._layouts: dict[int, list[str]] = {}

    def questions(
        self, models: Sequence[Beside], machines: Sequence[Machine]
    ) -> list[list[Question]]:
        """Of each model what is asked of each machine, the same object where the same is asked.
        Raises as `check`, for the first model that is wrong.
        """
        # every name is looked up before anything is worked out
        understood = [understand(self._catalogue, each.model, each.workload) for each in models]
        return [
            self._of_model(meant, each.requires_runtime, machines)
            for each, meant in zip(models, understood, strict=True)
        ]

    def _of_model(
        self, understood: Understood, requires_runtime: bool, machines: Sequence[Machine]
    ) -> list[Question]:
        distinct: list[Question] = []

        def question_on(machine: Machine) -> Question:
            question = question_of(self._catalogue, understood, machine, follows_machine=False)
            if requires_runtime:
                question = question.replace(requires_runtime=True)
            for earlier in distinct:
                if earlier == question:
                    return earlier
            distinct.append(question)
            return question

        of_kind: dict[str, Question] = {}
        of_files: dict[Any, Question] = {}
        asked = []
        for machine, kind in zip(machines, self._kinds_of(machines), strict=True):
            if kind not in of_kind:
                # of a machine without models only this decides what is asked
                of_kind[kind] = question_on(
                    Machine(instruction_sets=KINDS[kind], accelerators=(), models_present=())
                )
            question = of_kind[kind]
            if machine.models_present:
                places = tuple((disk.purpose, disk.path) for disk in machine.disks or ())
                key = (kind, machine.models_present, places)
                if key not in of_files:
                    own = question_on(machine)
                    of_files[key] = question if own.here is None else own
                question = of_files[key]
            asked.append(question)
        return asked

    def _kinds_of(self, machines: Sequence[Machine]) -> list[str]:
        """How each machine's processor has the weights laid out, by the names of `needs.repack`."""
        kinds = self._layouts.get(id(machines))
        if kinds is None:
            kinds = [kind_of(instruction_sets_for_layout(machine)) for machine in machines]
            self._layouts[id(machines)] = kinds
        return kinds

    def routes(
        self, models: Sequence[Beside], questions: Sequence[Question]
    ) -> Callable[[Judged], Route]:
        """The route by what is found for the questions, which are asked of these models."""
        # what is offered depends on what is found of the model itself, and of nothing else
        by_own: dict[bool, bool] = {}

        def route(judged: Judged) -> Route:
            if not judged.failed:
                return judged.route(offered=False)
            is_met = meets(judged.findings)
            if is_met not in by_own:
                by_own[is_met] = all(
                    offers_for(
                        self._catalogue,
                        question,
                        judged,
                        self._today,
                        self._met.setdefault(each.workload, {}),
                    )
                    for each, question in zip(models, questions, strict=True)
                )
            return judged.route(by_own[is_met])

        return route
