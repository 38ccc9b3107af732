"""The only loop over candidates: `choose` takes the first candidate that is good, or else the best
by rank.

A `Candidate` is a complete question with the rule by which it is chosen. `judge.defaults` lists the
candidates, the best first. Each rule says when a candidate is good, how the candidate ranks if none
is good, and which sentence tells the user why it was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from math import inf
from typing import Any

from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from .checks import phrase
from .devices import index_of
from .judging import judge
from .question import asked_again
from .record import MEMORY_CHECKS, MODEL_CHECKS, Judged, Question

# the least is the best; candidates of one list have ranks of one length
Rank = tuple[float, ...]


class Search(Record):
    """A search for the best candidate: the judgement in the usual defaults, and everything needed
    to ask with other options.

    `runtime` is the runtime of the usual judgement.
    """

    usual: Judged
    runtime: RuntimeSpec
    catalogue: Catalogue
    machine: Machine

    @property
    def question(self) -> Question:
        """The question in the usual defaults."""
        return self.usual.question

    def with_other_defaults(self, workload: Workload) -> Question | None:
        """The question with the defaults of that workload; None where the runtime refuses it."""
        return with_other_defaults(
            self.question, workload, self.catalogue, self.machine
        )

    def candidate(
        self,
        kind: type[Candidate],
        workload: Workload | None,
        **facts: Any,
    ) -> Iterator[Candidate]:
        """Yield one candidate of the given kind under that workload, or none where the runtime
        refuses the workload.

        A `workload` of None stands for the usual defaults. `facts` are further fields of the
        candidate.
        """
        question: Question | None = self.question
        if workload is not None:
            question = self.with_other_defaults(workload)
        if question is not None:
            yield kind(search=self, question=question, **facts)


def with_other_defaults(
    question: Question,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
) -> Question | None:
    """The question with other defaults: `workload` has a type, a runtime, a method or shorter
    examples that the user did not state, and the stated workload stays that of `question`. None
    where the runtime refuses the workload.
    """
    other = asked_again(question, workload, catalogue, machine)
    if other is None or other.needs is None:
        return None
    return other.replace(
        stated=question.stated, requires_runtime=question.requires_runtime
    )


# ------------------------------------------------------------------ the choice


class Candidate(Record):
    """A question, and the rule by which the search takes it. Each subclass is one rule."""

    search: Search
    question: Question

    def is_good(self, judged: Judged) -> bool:
        """Whether the search takes the candidate at once, without judging any later candidate."""
        raise NotImplementedError

    def rank(self, judged: Judged) -> Rank | None:  # noqa: ARG002
        """The rank of the candidate among those that the search may take where no candidate is
        good; None for a candidate that is taken only where it is good.
        """
        return None

    def why(self, judged: Judged) -> str | None:
        """The sentence that tells the user why the candidate was taken; None where no sentence is
        needed.
        """
        raise NotImplementedError

    def phrased(
        self,
        key: str,
        judged: Judged,
        **figures: object,
    ) -> str:
        """The sentence `chosen/{key}` of `common/findings.toml`, filled with `figures` and with
        the figures that most of these sentences have.
        """
        shared: dict[str, object] = {
            "taken": judged.quantization,
            "usual": self.search.usual.quantization,
            "where": _accelerator_names(judged, self.search.machine),
            "faster": _faster_pace(self.search.usual, judged),
        }
        return phrase(f"chosen/{key}", **{**shared, **figures})


def choose(candidates: Iterable[Candidate], machine: Machine) -> Judged:
    """The judgement of the first good candidate, else of the candidate with the least rank; of
    equal ranks the first wins.
    """
    best: tuple[Rank, Candidate, Judged] | None = None
    for candidate in candidates:
        # the usual defaults are judged already
        judged = candidate.search.usual
        if candidate.question is not judged.question:
            judged = judge(candidate.question, machine)
        if candidate.is_good(judged):
            return _with_reason(candidate, judged)
        rank = candidate.rank(judged)
        if rank is None:
            continue
        if best is None or rank < best[0]:
            best = rank, candidate, judged
    # the usual defaults are among the candidates, and ranked
    assert best is not None
    _, taken, judged = best
    return _with_reason(taken, judged)


def _with_reason(candidate: Candidate, judged: Judged) -> Judged:
    """The judgement, with the sentence why the candidate was taken."""
    why = candidate.why(judged)
    if why is None:
        return judged
    return judged.replace(question=judged.question.replace(chosen=why))


def _accelerator_names(judged: Judged, machine: Machine) -> str:
    """The names of the accelerators that hold the model, or "the RAM"."""
    # a layout may lie on an accelerator that was not read
    if not machine.cards:
        return "the RAM"
    if not judged.is_on_accelerators and not judged.offload:
        return "the RAM"
    names = []
    for where in dict.fromkeys(term.where for term in judged.placed.on_cards.terms):
        names.append(machine.cards[index_of(where)].name)
    return " and ".join(units.counted(names)) or "the RAM"


def _faster_pace(usual: Judged, judged: Judged) -> str | None:
    """The pace of the usual default where that is faster than the candidate's; None elsewhere."""
    pace = usual.users_pace
    other = judged.users_pace
    if pace is None or other is None or other.likely >= pace.likely:
        return None
    return units.speed(pace.likely)


# ------------------------------------------------------------------ the place


class RunPlace(IntEnum):
    """The places where a candidate runs, the best first.

    `BY_PARTS` and `BY_LAYERS` are places on an accelerator that the parts of the model, or its
    layers, enter in turn.
    """

    ACCELERATORS = 0
    ACCELERATORS_TIGHT = 1
    BY_PARTS = 2
    BY_LAYERS = 3
    RAM = 4
    NOWHERE = 5


_PLACES_BY_OFFLOAD = {
    None: RunPlace.RAM,
    "model": RunPlace.BY_PARTS,
    "sequential": RunPlace.BY_LAYERS,
}


def place_of(judged: Judged, *, any_disk: bool = False) -> RunPlace:
    """The place where a judged candidate runs.

    Checks of the model itself are ignored, because all candidates share the model.
    With `any_disk`, a disk that is too small does not keep the candidate from running.
    """
    ignored = MODEL_CHECKS
    if any_disk:
        ignored += ("disk",)
    if not judged.deciding.issubset(ignored):
        return RunPlace.NOWHERE
    if judged.has("accelerator-tight"):
        return RunPlace.ACCELERATORS_TIGHT
    if judged.is_on_accelerators:
        return RunPlace.ACCELERATORS
    return _PLACES_BY_OFFLOAD[judged.offload]


class PlacedCandidate(Candidate):
    """A candidate that is ranked by the place where it runs: pictures, video and training."""

    def is_good(self, judged: Judged) -> bool:
        """Whether the candidate runs in the best place that the machine has."""
        if self.search.machine.accelerators:
            return place_of(judged) is RunPlace.ACCELERATORS
        return place_of(judged) <= RunPlace.RAM

    def rank(self, judged: Judged) -> Rank:
        """The rank by three figures: the place where the candidate runs, the place if the disk had
        room, and the bytes of memory that it lacks.
        """
        lacking_bytes: float = 0
        failed = [check for check in judged.failed if check != "disk"]
        if failed:
            lacking_bytes = inf
            if all(check in MEMORY_CHECKS for check in failed):
                lacking_bytes = judged.lacking_bytes()
        return place_of(judged), place_of(judged, any_disk=True), lacking_bytes
