"""Other models that run on a machine in place of one that was judged there.

`Proposals` takes what was judged. `best` lists models of the catalogue that do the same work, in
the order of `list`. `why` says of one of them why it is proposed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from math import inf

from ..catalogue.index import Catalogue, Outline
from ..catalogue.names import loaded_by_family
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec_values import GENERATING
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks.runtime import runtime_check
from ..judge.checks.speed import lacks_pace
from ..judge.question import asked_again
from ..judge.rating import serves
from ..judge.record import MACHINELESS_CHECKS, Judged, Question, Verdict
from ..machine.record import Machine
from .listing import Lister
from .ranking import Standings

# where the machine does not rule the model out, a proposal may be up to this many times as large
# (assumed: models of 7 and 8 billion parameters are one class)
_ALIKE_IN_SIZE = 1.25
# of so many models one may be better known than the first
_MOST_SOUGHT = 20
# where none of so many models runs, a search of all takes seconds and finds next to nothing: of 363
# searches for answers that do not run, one found its first model later
_MOST_IN_VAIN = 60
# what a machine does not tell, so that no model surely runs on it
_UNREAD = ("memory-unread", "disk-unread")
# kinds of model that do the work of a kind: a model that sees answers text, too
_AS_GOOD_AS = {"text": GENERATING}


class Proposals(Record):
    """The search for other models in place of the model of `judged`, which was asked for by the
    name `typed_name`.
    """

    judged: Judged
    typed_name: str
    catalogue: Catalogue
    machine: Machine

    def best(self, most: int) -> list[Verdict]:
        """The best `most` models that run here fast enough: those of the same main use, then
        others; of both in the stated program, then in another. The last is one that the spec names,
        if none before is. No models where the machine does not tell what every model needs.
        """
        if self.judged.has(*_UNREAD):
            return []
        listers = self._listers()
        alike, others = self._candidates()
        found: list[Verdict] = []
        for ids in (alike, others):
            left = set(ids)
            for lister in listers:
                wanted = most - len(found)
                found += self._running(lister, left, wanted)
                left.difference_update(row.model.id for row in found)
        named = set(self.named)
        if not found or any(row.model.id in named for row in found):
            return found
        # models of the same main use have the named ones among them
        last = self._running(listers[0], named.intersection(alike), 1)
        before = found[: most - len(last)]
        return before + last

    def _listers(self) -> list[Lister]:
        """The lists to look in, the one in the stated program first."""
        standings = Standings.load(self.catalogue, None).preferring(self.named)
        listers = []
        for workload in self._workloads():
            lister = Lister(self.catalogue, workload, self.machine, standings=standings)
            listers.append(lister)
        return listers

    def _running(
        self,
        lister: Lister,
        ids: set[str],
        most: int,
    ) -> list[Verdict]:
        """The first `most` of these models that run fast enough; last those of which too little is
        known.
        """
        if not most:
            return []
        try:
            rows = lister.first(most, ids, most_in_vain=_MOST_IN_VAIN).models
            better = self._better_of(rows)
            if len(better) < len(rows) or any(map(_is_doubtful, better)):
                sought = lister.first(_MOST_SOUGHT, ids, most_in_vain=_MOST_IN_VAIN)
                better = self._better_of(sought.models)
        except WorkloadError:
            # no model takes the stated options
            return []
        return better[:most]

    def _better_of(self, rows: Iterable[Verdict]) -> list[Verdict]:
        """The rows that run fast enough; last those of which too little is known."""
        return sorted(filter(self._is_better, rows), key=_is_doubtful)

    def _is_better(self, row: Verdict) -> bool:
        """Whether the model runs fast enough; in place of one that runs, slowly, whether it takes
        less than half of the time.
        """
        if not serves(row):
            return False
        if not self.judged.fits:
            return True
        return _seconds(row) < _seconds(self.judged) / 2

    def why(self, row: Verdict) -> str:
        """Why a model is proposed: `closest match, from 2026-08, fits the GPU`."""
        asked = self.judged.question
        runtime = row.question.runtime
        parts = []
        if row.model.id == self._loaded_by_tag:
            parts.append(f"the file that Ollama loads as {self.typed_name}")
        elif row.model.id in self.named:
            parts.append("closest match")
        elif row.model.family == asked.spec.family:
            parts.append("same family")
        if row.why:
            parts.append(row.why)
        if runtime is not None and asked.stated.runtime not in (None, runtime.id):
            parts.append(f"with {runtime.name}")
        return ", ".join(parts)

    # ------------------------------------------------------------------ the program

    def _workloads(self) -> Iterator[Workload]:
        """Yield what other models are asked for: the stated workload without the fields that only
        one model or one program offers, in the stated program, then in any. A program that surely
        runs no such model here is left out, and none is asked for twice.
        """
        stated = self.judged.question.stated
        plain = stated.replace(format=None, quantization=None, draft=None)
        seen = set()
        for runtime in dict.fromkeys((stated.runtime, None)):
            workload = plain.replace(runtime=runtime)
            program = self._program(workload)
            if program is None:
                # any program will do
                yield workload
                continue
            if program.id in seen:
                continue
            seen.add(program.id)
            if not self._is_useless(program, workload):
                yield workload

    def _program(self, workload: Workload) -> RuntimeSpec | None:
        """The stated program, or the only one that takes the stated options; None for neither."""
        if workload.runtime is not None:
            # a closed model was asked about in no program
            return self.catalogue.runtime(workload.runtime.strip().lower())
        asked = self.judged.question
        question = asked_again(asked, workload, self.catalogue, self.machine)
        if question is None or not question.runtime_follows:
            return None
        return question.runtime

    def _is_useless(self, program: RuntimeSpec, workload: Workload) -> bool:
        """Whether the program surely runs no model of this kind here."""
        is_of_other_kinds = set(program.modalities).isdisjoint(self._modalities)
        if is_of_other_kinds and not program.text_part:
            return True
        if program.gpus.required and self.machine.accelerators == ():
            return True
        judged = self.judged.question
        if program == judged.runtime and self.judged.has("accelerator-unread"):
            return True
        parts = judged.stated_parts or 0
        if parts > len(self.machine.own_memory_cards):
            # no model is divided over more GPUs than there are
            return True
        question = Question(spec=self.judged.model, workload=workload, runtime=program)
        return runtime_check(question, self.machine).code == "runtime-no-build"

    # ------------------------------------------------------------------ candidates

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The id of the other model that Ollama loads by the typed name of a family, and the ids
        that the spec names as nearest to its model, or as its successor.
        """
        spec = self.judged.model
        named = []
        if self._loaded_by_tag is not None:
            named.append(self._loaded_by_tag)
        if spec.availability is not None:
            named += spec.availability.open_alternatives
        if spec.upkeep.superseded_by is not None:
            named.append(spec.upkeep.superseded_by)
        return self.catalogue.current_first(named)

    @cached_property
    def _loaded_by_tag(self) -> str | None:
        return loaded_by_family(self.typed_name, self.catalogue)

    @property
    def _modalities(self) -> tuple[str, ...]:
        """The kinds of model that do the same work."""
        modality = self.judged.model.modality
        return _AS_GOOD_AS.get(modality, (modality,))

    def _candidates(self) -> tuple[list[str], list[str]]:
        """The ids of the open models that do the same work: those of the same main use, with those
        that the spec names, and the others.
        """
        alike = []
        others: list[str] = []
        standings = Standings.load(self.catalogue, None)
        for outline in self.catalogue.outlines.values():
            if not self._is_of_kind(outline):
                continue
            likeness = standings.likeness(self.judged.model.uses, outline)
            if outline.id in self.named:
                alike.append(outline.id)
            elif likeness.does_work and self._is_small_enough(outline):
                group = alike if likeness.is_alike else others
                group.append(outline.id)
        return alike, others

    def _is_small_enough(self, outline: Outline) -> bool:
        """Whether the model is smaller; where the machine does not rule the model out, whether it
        is of one class with it.
        """
        most = self.judged.model.parameters.total or inf
        if self.judged.deciding.issubset(MACHINELESS_CHECKS):
            most *= _ALIKE_IN_SIZE
        return (outline.parameters_total or inf) <= most - 1

    def _is_of_kind(self, outline: Outline) -> bool:
        """Whether the outline is of another open model that does the wanted work."""
        asked = self.judged.question
        if outline.closed:
            return False
        if outline.id == asked.spec.id:
            return False
        if outline.modality not in self._modalities:
            return False
        wanted_use = asked.stated.wanted_use
        return wanted_use is None or outline.has_use(wanted_use)


def _seconds(judged: Judged) -> float:
    """The likely time of a token or of a piece of other work; infinite where it is not known."""
    speed = judged.speed
    if speed is None:
        return inf
    if speed.work is not None and speed.unit.startswith("seconds"):
        return speed.work.likely
    rate = speed.judged or speed.work
    return inf if rate is None else 1 / rate.likely


def _is_doubtful(row: Verdict) -> bool:
    """Whether the model may not meet the question: its pace or its context was not measured."""
    return lacks_pace(row) or row.has("context-unmeasured")
