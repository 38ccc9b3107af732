"""The verdict on a machine for one entry of a policy.

Models are judged in their own defaults, so that a policy means the same on every machine; pictures
and video are judged in the first type and program that run on the machine, as in `check`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ..advice.api_route import offers_for
from ..advice.several import verdict_together
from ..advice.understood import understand
from ..catalogue.index import Catalogue
from ..catalogue.names import is_path
from ..catalogue.searching import resolve
from ..core.errors import SelfhostError, UnknownModelError
from ..judge.choice import best_way
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import Judged, Question, Verdict
from ..judge.ways import has_picture_ways
from ..machine.record import Machine
from ..needs.quantization import LAYOUTS
from .policy import Wanted

_Sets = tuple[str, ...] | None


class PolicyJudge:
    """A function that gives the verdict of a policy's entry on a machine, without commands and
    alternatives.

    Questions and offers take longer than a judgement, so they are kept: a fleet asks 10,000 times.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue = catalogue
        self._today = today
        self._questions: dict[tuple[Wanted, _Sets, str], Question] = {}
        # keys: everything that the offers of a model depend on
        self._offered: dict[object, bool] = {}

    def __reduce__(self) -> tuple[object, ...]:
        # a pickle has no cached answers
        return PolicyJudge, (self._catalogue, self._today)

    def __call__(
        self,
        wanted: Wanted,
        basis: str,
        machine: Machine,
    ) -> Verdict:
        """Return the verdict of an entry on a machine. Raises `SelfhostError` for an entry that can
        be judged on no machine.
        """
        if wanted.members:
            names = []
            questions = []
            for member in wanted.members:
                names.append(member.name)
                questions.append(self._judged(member, basis, machine).question)
            are_offered = partial(self._are_offered, questions)
            return verdict_together(names, questions, machine, are_offered)
        judged = self._judged(wanted, basis, machine)
        is_offered = self._are_offered([judged.question], judged)
        return Verdict.conclude(judged, machine, asked=wanted.name, offered=is_offered)

    def fault_of_name(self, name: str) -> SelfhostError | None:
        """Return the error where a name means no model; None where it means one, or is the path of
        a file.
        """
        if is_path(name):
            return None
        try:
            resolve(name, self._catalogue)
        except UnknownModelError as error:
            return error
        except SelfhostError:
            # an error in a spec, which is reported where the model is judged
            return None
        return None

    def refusal(self, wanted: Wanted) -> SelfhostError | None:
        """Return the error where an entry can be judged on no machine; else None."""
        try:
            self(wanted, "default", Machine())
        except SelfhostError as error:
            return error
        return None

    def _judged(
        self,
        wanted: Wanted,
        basis: str,
        machine: Machine,
    ) -> Judged:
        """The judgement of a model under the model's own defaults."""
        asked = wanted.asked.replace(memory_basis=basis)
        model = wanted.replace(asked=asked)
        question = self._question(model, machine)
        if wanted.joined > 1:
            return _judged_joined(question, machine, wanted)
        judged = judge(question, machine)
        if has_picture_ways(judged.question):
            return best_way(judged, self._catalogue, machine)
        return judged

    def _question(self, model: Wanted, machine: Machine) -> Question:
        """The question that an entry asks about its model on a machine.

        Without model files on the machine, the question depends only on the layout of weights and
        on the builds of programs there, and is kept for other machines.
        """
        if machine.models_present or machine.is_this_one:
            return self._ask(model, machine)
        sets = _deciding_sets(machine)
        key = (model, sets, machine.platform)
        question = self._questions.get(key)
        if question is None:
            bare = Machine(
                system=machine.system,
                architecture=machine.architecture,
                instruction_sets=sets,
                accelerators=(),
                models_present=(),
            )
            question = self._ask(model, bare)
            self._questions[key] = question
        return question

    def _ask(self, model: Wanted, machine: Machine) -> Question:
        """The question that an entry asks about its model, with every default filled in."""
        meaning = understand(self._catalogue, model.name, model.asked)
        meaning = meaning.for_machine(self._catalogue, machine)
        question = meaning.question(self._catalogue, machine)
        return question.replace(requires_runtime=model.require_runtime)

    def _are_offered(self, questions: Iterable[Question], judged: Judged) -> bool:
        """Whether APIs offer all of these models, each under its question. False for models that
        run on the machine, of which nobody asks.
        """
        if not judged.failed:
            return False
        for question in questions:
            key = (question.spec, question.workload, question.context_asked)
            is_offered = self._offered.get(key)
            if is_offered is None:
                asked = judged.replace(question=question)
                offers = offers_for(self._catalogue, asked, self._today)
                is_offered = bool(offers)
                self._offered[key] = is_offered
            if not is_offered:
                return False
        return True


def _judged_joined(question: Question, machine: Machine, wanted: Wanted) -> Judged:
    """The judgement on as many such machines together as the entry joins, in the program and the
    type of the question: the first way to divide the model that runs, else the first.
    """
    # imported here: few policies join machines
    from ..judge.clusters import judge_on_cluster
    from ..machine.clusters import cluster_of

    cluster = cluster_of([machine] * wanted.joined, wanted.link)
    ways = judge_on_cluster(question, cluster)
    for way in ways:
        if way.judged.fits:
            return way.judged
    return ways[0].judged


def _deciding_sets(machine: Machine) -> _Sets:
    """The instruction sets of a machine that decide the layout of weights there; None where the
    machine's sets are unread.
    """
    if shared_gpu_of(machine, is_used=True) is not None:
        return ()
    if machine.instruction_sets is None:
        return None
    for name in LAYOUTS:
        if name in machine.instruction_sets:
            # the first set in the list that the machine has decides
            return (name,)
    return ()
