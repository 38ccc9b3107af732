"""What a policy asks of a machine -> a verdict: of one model, or of several side by side; and what
is wrong with entries that cannot be judged.

Models are judged in their own defaults, so that a policy means the same on every machine; pictures
and video in the first type and program that run there, as `check` does.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from functools import lru_cache

from ..advice.api_route import meets, offers_for
from ..advice.several import verdict_together
from ..advice.understood import question_of, understand
from ..catalogue.index import Catalogue
from ..core.errors import (
    MAX_PROBLEMS,
    InputError,
    PolicyError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from ..core.tomlfile import Document
from ..core.workload import Workload
from ..judge.defaults import in_own_defaults
from ..judge.pace.engine import instruction_sets_for_layout
from ..judge.record import Judged, Question, Verdict
from ..machine.record import Machine
from ..needs.quantization import KINDS, kind_of
from .policy import MAX_POLICY_BYTES, Fault, Policy, Wanted, read_policy

# questions that are kept; a policy may state thousands of entries
_MOST_KEPT = 4_096


class PolicyJudge:
    """Gives the verdict of an entry of a policy on a machine, without commands and alternatives.

    `today` is `YYYY-MM-DD` in UTC, on which offers end. Of 100,000 machines each model is asked for
    some 10,000 times: questions and offers, which take longer than a judgement, are kept.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue, self._today = catalogue, today
        self._usual_question = lru_cache(_MOST_KEPT)(self._new_question)
        # whether an API offers what was asked
        self._offered: dict[object, bool] = {}

    def __reduce__(self) -> tuple[object, ...]:
        # what was kept stays in this process
        return PolicyJudge, (self._catalogue, self._today)

    def __call__(self, wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        """Raises `SelfhostError` for an entry that can be judged on no machine."""
        models = [
            each.replace(asked=each.asked.replace(memory_basis=basis))
            for each in wanted.members or (wanted,)
        ]
        questions = [self._question(each, machine) for each in models]
        all_judged = [in_own_defaults(each, self._catalogue, machine) for each in questions]
        questions = [judged.question for judged in all_judged]

        def are_offered(judged: Judged) -> bool:
            pairs = zip(models, questions, strict=True)
            return all(self._is_offered(each.asked, about, judged) for each, about in pairs)

        if wanted.members:
            names = [each.name for each in wanted.members]
            return verdict_together(names, questions, machine, are_offered)
        (judged,) = all_judged
        is_offered = bool(judged.failed) and are_offered(judged)
        return Verdict.on(judged, machine, asked=wanted.name, offered=is_offered)

    def _question(self, model: Wanted, machine: Machine) -> Question:
        """The question; without model files only how weights are laid out here counts."""
        if machine.models_present or machine.is_this_one:
            return self._new_question(model, machine)
        sets = KINDS[kind_of(instruction_sets_for_layout(machine))]
        like = Machine(instruction_sets=sets, accelerators=(), models_present=())
        return self._usual_question(model, like)

    def _new_question(self, model: Wanted, machine: Machine) -> Question:
        meaning = understand(self._catalogue, model.name, model.asked)
        question = question_of(self._catalogue, meaning, machine)
        return question.replace(requires_runtime=model.require_runtime)

    def _is_offered(self, wanted: Workload, question: Question, judged: Judged) -> bool:
        spec, workload = question.spec, question.workload
        rights = wanted.commercial, wanted.modify, wanted.auditable
        wishes = wanted.private, wanted.license, *rights
        tokens = workload.context_tokens if question.context_asked else None
        # of what is found only that of the model itself counts
        key = spec.id, spec.origin, wishes, workload.task, meets(judged.findings), tokens
        if key not in self._offered:
            offers = offers_for(self._catalogue, judged.replace(question=question), self._today)
            self._offered[key] = bool(offers)
        return self._offered[key]


# ------------------------------------------------------------------ faults of entries

_NAME_A_FILE = "name a file by its path from the folder in which the audit runs"


def problems_of(path: str, judge: PolicyJudge) -> tuple[Problem, ...]:
    """Every fault that would keep an audit with this policy from an answer on any machine."""
    try:
        policy = read_policy(Document.read(path, max_bytes=MAX_POLICY_BYTES))
    except PolicyError as error:
        return error.problems
    refused: dict[int, SelfhostError] = {}
    for wanted in policy.models:
        try:
            judge(wanted, "default", Machine())
        except SelfhostError as error:
            refused[wanted.index] = error
    return tuple(entry_problems(policy, 0, refused, ()))


def entry_problems(
    policy: Policy, machines: int, refused: Mapping[int, SelfhostError], placed: Container[int]
) -> Iterator[Problem]:
    """What is wrong with entries that were refused, or are for none of so many machines."""
    # to find near names takes far longer than all else: only for what will be listed
    faults = [
        fault
        for place, (index, error) in enumerate(refused.items())
        for fault in _faults_of(index, error, is_listed=place < MAX_PROBLEMS)
    ]
    others = entries_of_others(policy, machines, placed)
    message = f"selects none of the {machines:,} machines"
    message = "does not select the machine" if machines == 1 else message
    remedy = "widen the selectors, add labels or a name to the machine's record, or remove it"
    faults += [
        (wanted.index, "machines", message, remedy)
        for wanted in policy.models
        if machines and wanted.index not in placed and wanted not in others
    ]
    if faults:
        yield from policy.problems(faults)


def entries_of_others(policy: Policy, machines: int, placed: Container[int]) -> list[Wanted]:
    """The entries for classes to which the one machine that is judged does not belong: where a
    fleet's policy is held against one of its machines they are no fault, as long as another entry
    is judged there. That a class exists was seen when the policy was read.
    """
    nowhere = [wanted for wanted in policy.models if wanted.index not in placed]
    if machines != 1 or len(nowhere) == len(policy.models):
        return []
    return [wanted for wanted in nowhere if any(each.kind == "class" for each in wanted.machines)]


def _faults_of(index: int, error: SelfhostError, *, is_listed: bool) -> Iterator[Fault]:
    if not isinstance(error, InputError) or not error.problems:
        remedy = error.remedy
        if is_listed and isinstance(error, UnknownModelError) and error.nearest:
            remedy = f'did you mean "{error.nearest[0]}"?'
        yield index, "name", error.message, remedy
        return
    for problem in error.problems:
        if isinstance(error, WorkloadError):
            yield index, problem.key or "name", problem.message, problem.remedy
        else:
            # of a file that the entry names
            text = str(problem.replace(remedy=None))
            yield index, "name", text, problem.remedy or _NAME_A_FILE
