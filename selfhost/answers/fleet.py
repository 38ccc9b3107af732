"""The models of a policy, asked of all machines of a fleet at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from ..advice.api_route import longest_served, meets, offers_for
from ..catalogue.index import Catalogue
from ..catalogue.paths import is_path
from ..core.errors import SelfhostError, UnknownModelError
from ..core.workload import Workload
from ..machine.reader import Machine
from ..needs.repack import KINDS, kind_for, kind_of
from ..verdict.defaults import from_a_list
from ..verdict.judging import judge, judge_at_pace
from ..verdict.question import asked_for_amounts, needs_under
from ..verdict.record import Judged, Question, Route, Verdict, answer_for
from ..verdict.speed import instruction_sets_for_layout
from ..verdict.ways import FirstOfList
from .together import Beside
from .understood import Understood, has_ways, of_name, question_of, understand

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def _wishes(workload: Workload) -> object:
    """What is asked of who may serve a model, and of its license and openness."""
    return (
        workload.private, workload.license, workload.commercial, workload.modify,
        workload.auditable,
    )  # fmt: skip


# names without a model that are explained, of a policy: as many as its faults are listed for a
# program to read
_MOST_EXPLAINED = 1_000
# questions that are kept for entries that differ in amounts alone
_MOST_ASKED = 4_096
# models whose questions are kept: what is judged of many machines, then of single ones
_MOST_DISTINCT = 64


class _Asked:
    """A question that was asked of a machine, what was found, and what gives the route of that."""

    __slots__ = ("judged", "machine", "question", "route")

    def __init__(
        self, machine: Machine, question: Question, judged: Judged, route: Callable[[Judged], Route]
    ) -> None:
        self.machine, self.question, self.judged, self.route = machine, question, judged, route


class _Distinct:
    """What is asked of one model, the same object where the same is asked."""

    def __init__(
        self,
        ask: Callable[[Machine], Question],
        catalogue: Catalogue,
    ) -> None:
        self.ask, self._catalogue = ask, catalogue
        self._questions: list[Question] = []
        self._of_kind: dict[str, Question] = {}

    def shared(self, question: Question) -> Question:
        """The same one that was asked before, where there is one."""
        for earlier in self._questions:
            if earlier == question:
                return earlier
        self._questions.append(question)
        return question

    def of_machine(self, machine: Machine) -> Question:
        """That of any machine."""
        if machine.models_present or machine.is_this_one:
            return self.ask(machine)
        return self.of_kind(kind_of(instruction_sets_for_layout(machine)))

    def of_kind(self, kind: str) -> Question:
        """That of a machine without models which lays weights out so, by the names of
        `needs.repack`: of what is asked, only what the model takes follows from that.
        """
        if self._questions:
            kind = kind_for(self._questions[0].workload.format, kind)
        if kind not in self._of_kind:
            self._of_kind[kind] = self._laid_out_by(kind)
        return self._of_kind[kind]

    def _laid_out_by(self, kind: str) -> Question:
        machine = Machine(instruction_sets=KINDS[kind], accelerators=(), models_present=())
        if not self._questions:
            return self.shared(self.ask(machine))
        first = self._questions[0]
        if first.needs is None:
            return first
        needs = needs_under(first, first.workload, self._catalogue, machine)
        return self.shared(first.replace(needs=needs))


class FleetJudge:
    """Judges the models of a policy on all machines of a fleet at once, by the models' own
    defaults and without alternatives: each question is asked once for all machines that it does
    not depend on. Pictures and video are judged in the first type and program that run on each
    machine, as `check` does.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue = catalogue
        self._today = today
        # whether a model meets the license and openness asked for, by what was asked
        self._met: dict[object, dict[str, bool]] = {}
        # the longest context found to be served, and the shortest found not to be
        self._served: dict[object, tuple[int, float]] = {}
        # of the machines that were asked about last
        self._layouts: tuple[tuple[Machine, ...], list[str]] = (), []
        # a policy may state thousands of entries that differ in an amount alone
        self._meanings: dict[object, Understood | UnknownModelError] = {}
        self._unknown = 0
        self._asked: dict[object, _Asked] = {}
        # what is asked of a model, by the workload and whether its program is required
        self._distinct: dict[object, _Distinct] = {}

    def verdict(self, model: Beside, machine: Machine) -> Verdict:
        """What `check_with` finds of one model on one machine, and its route: without offers,
        commands and notes. Raises as `check`.
        """
        understood = self._meaning_of(model)
        alone = self._asked_alone(understood, model, machine)
        answer = answer_for(alone.question, alone.judged, alone.route(alone.judged))
        return Verdict(**vars(answer), asked=understood.asked, machine=machine)

    def verdict_for(
        self, model: Beside, question: Question, route: Route, machine: Machine
    ) -> Verdict:
        """As `verdict`, where it is known already what the machine is asked, and the route."""
        answer = answer_for(question, judge(question, machine), route)
        return Verdict(**vars(answer), asked=self._meaning_of(model).asked, machine=machine)

    def _meaning_of(self, model: Beside) -> Understood:
        """As `understand`; a name is looked up once, whatever amounts it is asked with."""
        named, workload = model.model, model.workload
        if not isinstance(named, str) or is_path(named):
            return understand(self._catalogue, named, workload)
        key = named, workload.quantization, workload.runtime, workload.task
        meaning = self._meanings.get(key)
        if isinstance(meaning, UnknownModelError):
            raise meaning.with_traceback(None)
        if meaning is None:
            explains = self._unknown < _MOST_EXPLAINED
            try:
                meaning = of_name(self._catalogue, named, workload, explains=explains)
            except UnknownModelError as error:
                self._unknown += 1
                self._meanings[key] = error
                raise
            self._meanings[key] = meaning
            return meaning
        own = meaning.workload
        if (own.quantization, own.runtime) != (workload.quantization, workload.runtime):
            workload = workload.replace(quantization=own.quantization, runtime=own.runtime)
        return meaning.replace(workload=workload)

    def _asked_alone(self, understood: Understood, model: Beside, machine: Machine) -> _Asked:
        """One question on one machine, by the model's own defaults, and what is found. Of earlier
        ones that differ in context or pace alone, all that does not depend on these is taken.
        """
        workload = understood.workload
        context, pace = workload.context_tokens, workload.min_tokens_per_second
        others = workload.all_but(("context_tokens", "min_tokens_per_second"))
        own = understood.spec.id, understood.asked, model.requires_runtime
        family = *own, context is None, pace is None, others
        alike = self._asked.get((*family, context))
        if alike is not None and alike.machine is machine:
            question = asked_for_amounts(alike.question, context, pace, self._catalogue)
            if question is not None:
                judged = judge_at_pace(question, alike.judged, machine) or judge(question, machine)
                return _Asked(machine, question, judged, alike.route)
        earlier = self._asked.get(family)
        question, is_of_machine = self._question_alone(understood, model, machine, earlier)
        judged = judge(question, machine)
        alone = _Asked(machine, question, judged, self.routes([model], [question]))
        if not is_of_machine:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            self._asked[family] = self._asked[*family, context] = alone
        return alone

    def _question_alone(
        self, understood: Understood, model: Beside, machine: Machine, earlier: _Asked | None
    ) -> tuple[Question, bool]:
        """The question, and whether its type or its program are those of the machine."""
        workload = understood.workload
        if earlier is not None and earlier.machine is machine:
            question = asked_for_amounts(
                earlier.question,
                workload.context_tokens,
                workload.min_tokens_per_second,
                self._catalogue,
            )
            if question is not None:
                return question, False
        question = self._distinct_of(understood, model.requires_runtime).of_machine(machine)
        if not has_ways(understood, question):
            return question, False
        return from_a_list(question, workload, self._catalogue, machine), True

    def suited(self, model: Beside, question: Question, machine: Machine) -> FirstOfList | None:
        """What asks about a model whose type and program follow the machine; None where `question`
        stands for every machine. `machine` is one of those that `questions` gave the question for.
        """
        understood = self._meaning_of(model)
        if not has_ways(understood, question):
            return None
        return FirstOfList(question, understood.workload, self._catalogue, machine)

    def likeness(self, model: Beside) -> tuple[int, str]:
        """Models with the same may well take the same: their parameters and modality; 0 and "" of
        what is no name of a model.
        """
        if not isinstance(model.model, str) or is_path(model.model):
            return 0, ""
        outline = self._catalogue.outline(model.model)
        if outline is not None:
            return outline.parameters_total or 0, outline.modality
        try:
            spec = of_name(self._catalogue, model.model, model.workload, explains=False).spec
        except SelfhostError:
            return 0, ""
        return spec.parameters.total or 0, spec.modality

    def questions(
        self, models: Sequence[Beside], machines: Sequence[Machine]
    ) -> list[list[Question]]:
        """Of each model what is asked of each machine, the same object where the same is asked.
        Raises as `check`, for the first model that is wrong.
        """
        # every name is looked up before anything is worked out
        understood = [self._meaning_of(each) for each in models]
        return [
            self._of_model(meant, each.requires_runtime, machines)
            for each, meant in zip(models, understood, strict=True)
        ]

    def _distinct_of(self, understood: Understood, requires_runtime: bool) -> _Distinct:
        def ask(machine: Machine) -> Question:
            question = question_of(self._catalogue, understood, machine, follows_machine=False)
            return question.replace(requires_runtime=True) if requires_runtime else question

        key = understood.spec.id, understood.asked, understood.workload, requires_runtime
        distinct = self._distinct.get(key)
        if distinct is None:
            if len(self._distinct) >= _MOST_DISTINCT:
                self._distinct.clear()
            distinct = _Distinct(ask, self._catalogue)
            self._distinct[key] = distinct
        return distinct

    def _of_model(
        self, understood: Understood, requires_runtime: bool, machines: Sequence[Machine]
    ) -> list[Question]:
        distinct = self._distinct_of(understood, requires_runtime)
        of_files: dict[Any, Question] = {}
        questions = []
        for machine, kind in zip(machines, self._kinds_of(machines), strict=True):
            question = distinct.of_kind(kind)
            if machine.models_present:
                places = tuple((disk.purpose, disk.path) for disk in machine.disks or ())
                key = (kind, machine.models_present, places)
                if key not in of_files:
                    own = distinct.ask(machine)
                    # other ways than the question's may be here in part
                    if has_ways(understood, own):
                        of_files[key] = own
                    else:
                        of_files[key] = question if own.here is None else distinct.shared(own)
                question = of_files[key]
            questions.append(question)
        return questions

    def _kinds_of(self, machines: Sequence[Machine]) -> list[str]:
        """How each machine's processor has the weights laid out, by the names of `needs.repack`."""
        # the same objects as before compare in no time
        in_order = tuple(machines)
        if self._layouts[0] != in_order:
            kinds = [kind_of(instruction_sets_for_layout(machine)) for machine in in_order]
            self._layouts = in_order, kinds
        return self._layouts[1]

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
                    self._is_offered(each.workload, question, judged, is_met=is_met)
                    for each, question in zip(models, questions, strict=True)
                )
            return judged.route(by_own[is_met])

        return route

    def _is_offered(
        self, asked: Workload, question: Question, judged: Judged, *, is_met: bool
    ) -> bool:
        """Whether an API is offered for a model that fails here. What serves a context serves a
        shorter one, so that few contexts of one model are looked up.
        """
        spec, workload, wishes = question.spec, question.workload, _wishes(asked)
        tokens = workload.context_tokens if question.context_asked else None
        context = -1 if tokens is None else tokens
        key = spec.id, spec.origin, wishes, workload.task, is_met
        longest, too_long = self._served.get(key, (-2, inf))
        if longest < context < too_long:
            met = self._met.setdefault(wishes, {})
            if offers := offers_for(self._catalogue, question, judged, self._today, met):
                longest = max(context, longest_served(spec, offers, self._catalogue))
            else:
                too_long = context
            self._served[key] = longest, too_long
        return context <= longest
