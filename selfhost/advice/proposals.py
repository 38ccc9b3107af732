"""Other models that run on a machine in place of one that was judged there.

`Proposals` takes what was judged. `best` judges models of the catalogue, the most promising first,
and returns the few that are worth most. `why` says of one of them why it is proposed. `fit` judges
any model in place of the judged one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import inf
from typing import NamedTuple

from .. import needs as need
from ..catalogue.index import Catalogue, Outline
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks.model import is_partly_open, terms_checks
from ..judge.checks.runtime import runtime_check
from ..judge.checks.speed import is_slow_work, is_too_slow, lacks_pace
from ..judge.choice import best_way, follows_a_list
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.record import MACHINELESS_CHECKS, Judged, Question
from ..machine.record import Machine
from .ranking import (
    FACTORS,
    BestCase,
    Standings,
    best_case,
    reasons,
    share_on,
)

# where the machine does not rule the model out, a proposal may be up to this many times as large
# (assumed: models of 7 and 8 billion parameters are one class)
_ALIKE_IN_SIZE = 1.25
# a spec names the nearest model first: each later model is worth so much less
_LESS_FOR_LATER = 1e-6
# kinds of model that do the work of a kind: a model that sees answers text, too
_AS_GOOD_AS = {"text": GENERATING}


class _Rank(NamedTuple):
    """The rank of a proposal among the others; the smaller rank is the better one."""

    is_for_other_work: bool
    is_less_open: bool = False
    is_doubtful: bool = False
    is_in_other_program: bool = False
    minus_worth: float = 0


class _Candidate(NamedTuple):
    """A model of the catalogue that may be proposed, with the best rank that it may get once it is
    judged.
    """

    best_rank: _Rank
    id: str


class _Proposal(Record):
    """A judged candidate that runs here, with its rank."""

    rank: _Rank
    judged: Judged


class Proposals(Record):
    """The search for other models in place of the model of `judged`."""

    judged: Judged
    catalogue: Catalogue
    machine: Machine

    def best(self, most: int) -> list[Judged]:
        """The best `most` models that run here fast enough. Candidates are judged until no
        candidate left can be worth more.
        """
        # the best first
        found: list[_Proposal] = []
        for candidate in self._candidates():
            rank = candidate.best_rank._replace(
                is_in_other_program=self._is_program_useless
            )
            worst = found[-1].rank if len(found) == most else None
            if worst is not None and rank > worst:
                break
            # a faulty spec file yields no spec
            for spec in self.catalogue.specs([candidate.id]):
                proposal = self._proposal(candidate, spec, worst)
                if proposal is not None:
                    found.append(proposal)
            found.sort(key=lambda listed: listed.rank)
            del found[most:]
        return [self.as_checked(proposal.judged) for proposal in found]

    def why(self, judged: Judged) -> str:
        """Why a model is proposed: `closest match, from 2026-08, fits the GPU`."""
        asked = self.judged.question
        spec = judged.model
        runtime = judged.question.runtime
        parts = []
        if spec.id in self.named:
            parts.append("closest match")
        elif spec.family == asked.spec.family:
            parts.append("same family")
        standing = Standings.load(self.catalogue, None).by_id[spec.id]
        why_good = reasons(judged, standing)
        if why_good:
            parts.append(why_good)
        asked_id = asked.stated.runtime
        if runtime is not None and asked_id not in (None, runtime.id):
            parts.append(f"with {runtime.name}")
        return ", ".join(parts)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The ids that the spec names as nearest to its model, or as its successor."""
        spec = self.judged.model
        named: list[str] = []
        if spec.availability is not None:
            named += spec.availability.open_alternatives
        if spec.upkeep.superseded_by is not None:
            named.append(spec.upkeep.superseded_by)
        return self.catalogue.current_first(named)

    # ------------------------------------------------------------------ judging one

    @cached_property
    def _plain(self) -> Workload:
        """The stated workload without the fields that only one model or one runtime offers."""
        stated = self.judged.question.stated
        return stated.replace(runtime=None, format=None, quantization=None, draft=None)

    def _proposal(
        self,
        candidate: _Candidate,
        spec: ModelSpec,
        worst: _Rank | None,
    ) -> _Proposal | None:
        """The candidate as it runs here, with the stated program or else with another; None where
        the candidate does not run, or ranks behind `worst`.
        """
        terms = list(terms_checks(spec, self._plain))
        if any(finding.decides for finding in terms):
            return None
        can_load = self._may_load(spec)
        rank = candidate.best_rank._replace(
            is_less_open=any(map(is_partly_open, terms)),
            is_in_other_program=not can_load,
        )
        if worst is not None and rank > worst:
            # later candidates may still be fully open, or run with the stated program
            return None
        asked_runtime = self.judged.question.stated.runtime
        judged = None
        if can_load:
            judged = self.fit(spec, self._plain.replace(runtime=asked_runtime))
        is_in_other_program = judged is None and asked_runtime is not None
        if is_in_other_program:
            judged = self.fit(spec, self._plain, other_than=asked_runtime)
        if judged is None or is_too_slow(judged):
            return None
        rank = rank._replace(
            is_doubtful=_is_doubtful(judged),
            is_in_other_program=is_in_other_program,
            minus_worth=rank.minus_worth * share_on(judged),
        )
        return _Proposal(rank=rank, judged=judged)

    def fit(
        self,
        spec: ModelSpec,
        workload: Workload,
        *,
        other_than: str | None = None,
    ) -> Judged | None:
        """The model judged with its defaults; None where the model does not run here, and where it
        would run in the program `other_than`.

        A stated type of KV cache that the program does not have is dropped.
        """
        try:
            question = ask(spec, workload, self.catalogue, self.machine)
        except WorkloadError:
            if workload.kv_cache_type is None:
                return None
            workload = workload.replace(kv_cache_type=None)
            return self.fit(spec, workload, other_than=other_than)
        if other_than is not None and question.workload.runtime == other_than:
            return None
        is_in_turn = follows_a_list(spec, workload)
        if not is_in_turn and runtime_check(question, self.machine).decides:
            # many models load in servers alone, which some systems lack: no layer is placed in vain
            return None
        judged = judge(question, self.machine)
        if is_in_turn or not judged.fits:
            judged = best_way(judged, self.catalogue, self.machine)
        return judged if judged.fits else None

    def as_checked(self, judged: Judged) -> Judged:
        """A judgement of `fit`, completed with the defaults that suit the machine, so that it
        equals that of `check`.
        """
        if judged.question.way is not None:
            return judged
        return best_way(judged, self.catalogue, self.machine)

    # ------------------------------------------------------------------ the program

    @cached_property
    def _program(self) -> RuntimeSpec | None:
        """The stated program, or the one that has the stated options; None where the user stated
        neither, and for fine-tuning.
        """
        stated = self.judged.question.stated
        if stated.task != "generate":
            return None
        if stated.runtime is not None:
            return self.catalogue.runtime(stated.runtime.strip().lower())
        return self.judged.question.runtime if stated.runtime_options else None

    def _may_load(self, spec: ModelSpec) -> bool:
        """Whether the stated program may load the model; True where no program was stated."""
        if self._program is None:
            return True
        if self._is_program_useless:
            return False
        return need.why_not_loaded(spec, self._program) is None

    @cached_property
    def _is_program_useless(self) -> bool:
        """Whether the stated program surely runs no model of this kind here."""
        program = self._program
        if program is None:
            return False
        if not self._serves_kind(program):
            return True
        if program.gpus.required and self.machine.accelerators == ():
            return True
        question = Question(
            spec=self.judged.model, workload=self._plain, runtime=program
        )
        return runtime_check(question, self.machine).code == "runtime-no-build"

    def _serves_kind(self, program: RuntimeSpec) -> bool:
        """Whether the program runs models that do the same work, or the text part of such
        models.
        """
        if program.text_part:
            return True
        return any(kind in program.modalities for kind in self._modalities)

    # ------------------------------------------------------------------ candidates

    @property
    def _modalities(self) -> tuple[str, ...]:
        """The kinds of model that do the same work."""
        modality = self.judged.model.modality
        return _AS_GOOD_AS.get(modality, (modality,))

    def _candidates(self) -> list[_Candidate]:
        """The open models that may do the same work here, the most promising first."""
        bounds = best_case(self.machine, self._plain)
        candidates: list[_Candidate] = []
        for outline in self.catalogue.outlines.values():
            if self._is_of_kind(outline):
                candidates += self._as_candidate(outline, bounds)
        return sorted(candidates)

    def _is_of_kind(self, outline: Outline) -> bool:
        """Whether the outline is of another open model that does the wanted work."""
        if outline.closed:
            return False
        if outline.modality not in self._modalities:
            return False
        asked = self.judged.question
        if outline.id == asked.spec.id:
            return False
        wanted_use = asked.stated.wanted_use
        return wanted_use is None or outline.has_use(wanted_use)

    def _as_candidate(self, outline: Outline, bounds: BestCase) -> Iterator[_Candidate]:
        """Yield the model as a candidate, unless it is surely too slow. A model that the spec does
        not name is no candidate if it is larger, surely has no room, or does other work.
        """
        wanted = self.judged.workload.min_tokens_per_second or 0
        if bounds.tokens_per_second(outline) < wanted:
            return
        standings = Standings.load(self.catalogue, None)
        worth = standings.by_id[outline.id].worth
        has_same_use = True
        if outline.id in self.named:
            place = self.named.index(outline.id)
            worth *= FACTORS.named * (1 - _LESS_FOR_LATER * place)
        else:
            likeness = standings.likeness(self.judged.model.uses, outline)
            has_same_use = likeness.is_alike
            if not likeness.does_work:
                return
            if not bounds.has_room(outline):
                return
            if (outline.parameters_total or inf) > self._most_parameters:
                return
        rank = _Rank(is_for_other_work=not has_same_use, minus_worth=-worth)
        yield _Candidate(rank, outline.id)

    @cached_property
    def _most_parameters(self) -> float:
        """The most parameters that a proposal may have: fewer than the judged model has, or a few
        more where the machine does not rule the model out; infinite where the number is not known.
        """
        total = self.judged.model.parameters.total or inf
        if self.judged.deciding.issubset(MACHINELESS_CHECKS):
            return _ALIKE_IN_SIZE * total - 1
        return total - 1


def _is_doubtful(judged: Judged) -> bool:
    """Whether the model may not meet the question: it is slow, or its pace or context was not
    measured.
    """
    if is_slow_work(judged):
        return True
    if lacks_pace(judged):
        return True
    return judged.has("context-unmeasured")
