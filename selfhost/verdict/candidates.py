"""Ways to run one model on one machine, each judged, and which of them is the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..catalogue.index import Catalogue
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.units import counted
from ..core.workload import Workload
from ..machine.record import Machine
from .devices import index_of, room_of
from .findings import Finding
from .judging import judge
from .present import NO_FILES, NamedFiles
from .question import ask
from .record import Judged, Question
from .shared_memory import is_metal, shared_limits
from .speed import uses_shared_gpu

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.spec import ModelSpec

# where a candidate runs, the best place first
ON_ACCELERATORS, _TIGHT, BY_PARTS, _BY_LAYERS, _IN_RAM, NOWHERE = range(6)
_PLACES = {None: _IN_RAM, "model": BY_PARTS, "sequential": _BY_LAYERS}
# what the model itself fails on, it fails on in every type and program
_OF_THE_MODEL = ("weights", "license", "openness", "context")


class Candidate(Record):
    """One way to run the model, judged on a machine."""

    question: Question
    judged: Judged

    @property
    def place(self) -> int:
        """Where it runs."""
        return self._place(self.judged.findings)

    @property
    def place_with_disk(self) -> int:
        """Where it would run if the disk had room."""
        return self._place(self._without_disk.findings)

    @property
    def lacking_bytes(self) -> float:
        """The memory that it lacks if the disk had room: 0 where it may fit, infinite where no
        memory would mend it.
        """
        judged = self._without_disk
        lacking = judged.lacking_bytes if judged.failed else 0
        return float("inf") if lacking is None else lacking

    @property
    def offload(self) -> str | None:
        """How its parts come to an accelerator in turn; None where they do not."""
        return self.judged.needs.offload if self.judged.needs is not None else None

    @property
    def is_on_accelerators(self) -> bool:
        """Accelerators hold all of it that can lie there: in memory of their own, or in RAM that
        they share.
        """
        if self.judged.needs is not None and self.judged.needs.placement == "accelerator":
            return True
        return self.has("accelerator-fits")

    def has(self, code: str) -> bool:
        """Whether one of the findings has that code."""
        return any(finding.code == code for finding in self.judged.findings)

    def is_whole(self, machine: Machine, share: float = 1.0) -> bool:
        """Accelerators compute all of it, and it takes at most that share of their memory."""
        needs, runtime = self.judged.needs, self.question.runtime
        if needs is None or needs.memory is None or not self.is_on_accelerators:
            return False
        cards = machine.accelerators or ()
        if needs.placement == "accelerator":
            gpu_only = runtime is not None and runtime.gpu_only
            terms = [term for term in needs.memory.terms if term.where != "host"]
            used = dict.fromkeys(index_of(term.where) for term in terms)
            rooms = [room_of(cards[index], gpu_only=gpu_only) for index in used]
            taken_bytes = sum(term.high_bytes for term in terms)
            return None not in rooms and taken_bytes <= share * sum(filter(None, rooms))
        if not uses_shared_gpu(machine, runtime):
            return False
        # of AMD's nobody knows what its owner let it use
        limits = shared_limits(cards[0], machine) if is_metal(cards[0]) else None
        return limits is not None and needs.memory.high_bytes <= share * limits[0]

    def where(self, machine: Machine) -> str:
        """The accelerators that hold it, or a part of it, equal ones counted; the RAM where none
        does.
        """
        if not self.is_on_accelerators and self.offload is None:
            return "the RAM"
        memory = self.judged.needs.memory if self.judged.needs is not None else None
        cards = machine.accelerators or ()
        places = dict.fromkeys(term.where for term in memory.terms) if memory else {}
        numbers = [index_of(place) for place in places if place != "host"] or [0]
        return " and ".join(counted([cards[number].name for number in numbers]))

    @property
    def _without_disk(self) -> Judged:
        findings = [finding for finding in self.judged.findings if finding.check != "disk"]
        return self.judged.replace(findings=tuple(findings))

    def _place(self, findings: Iterable[Finding]) -> int:
        if any(each.decides for each in findings if each.check not in _OF_THE_MODEL):
            return NOWHERE
        if self.has("accelerator-tight"):
            return _TIGHT
        return ON_ACCELERATORS if self.is_on_accelerators else _PLACES[self.offload]


def best_place(own: Candidate, others: Iterable[Candidate], *, own_first: bool) -> Candidate:
    """The first candidate in the best place: all of it on accelerators, parts that come to one in
    turn, the RAM. Where none runs, the disk is taken to have room; where none runs then, it is
    the one that lacks least memory.

    `own_first`: the default is tried before the others. In RAM it always is.
    """
    if own_first and own.place == ON_ACCELERATORS:
        return own
    tried = []
    for other in others:
        tried.append(other)
        if other.place == ON_ACCELERATORS:
            break
    is_first = own_first or own.place_with_disk == _IN_RAM
    in_order = [own, *tried] if is_first else [*tried, own]
    best = min(in_order, key=lambda each: (each.place, each.place_with_disk))
    if best.place_with_disk != NOWHERE:
        return best
    # more memory may not be what the default needs
    is_mended = own.lacking_bytes != float("inf")
    return min([own, *tried], key=lambda each: each.lacking_bytes) if is_mended else own


class Asking(Record):
    """A question in its usual defaults, judged, and all that it takes to ask it with others.

    `workload` is what was asked, before defaults were filled in.
    """

    own: Candidate
    workload: Workload
    catalogue: Catalogue
    machine: Machine
    files: NamedFiles = NO_FILES

    @property
    def spec(self) -> ModelSpec:
        return self.own.question.spec

    def candidates(self, changes: Iterable[Mapping[str, Any]]) -> Iterator[Candidate]:
        """What was asked with each of these changes; without those that the program refuses."""
        workloads = (self.workload.replace(**change) for change in changes)
        for question in asked_with(
            self.own.question, workloads, self.catalogue, self.machine, self.files
        ):
            yield Candidate(question=question, judged=judge(question, self.machine))


def asked_with(
    question: Question,
    workloads: Iterable[Workload],
    catalogue: Catalogue,
    machine: Machine,
    files: NamedFiles = NO_FILES,
) -> Iterator[Question]:
    """The question under each of these workloads; without those that the program refuses."""
    for workload in workloads:
        try:
            other = ask(question.spec, workload, catalogue, machine, files)
        except WorkloadError:
            continue
        if other.needs is not None:
            yield other.replace(requires_runtime=question.requires_runtime)
