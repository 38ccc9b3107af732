"""The choice of a way: the loop that judges one way of a question after another.

`best_way` takes what was judged in the model's own defaults, and returns the judgement of the best
way on the machine by the one order of `rating`. Of the ways of a program the one of the best bound
(`bounds`) is judged next, until no bound is better than the best way so far.

Stated values, files on this machine and downloaded files are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import inf
from operator import attrgetter

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_CONTEXT_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from .bounds import Bounded, Candidate, WayBounds, card_bytes
from .judging import first_layout_with_room, judge
from .pace.decode_step import step_of
from .question import asked_again, recounted
from .rating import (
    RunPlace,
    amounts_on_accelerators,
    is_a_step_faster,
    merits_of,
    place_of,
    rating_of,
    runs_as_well,
)
from .reasons import with_reason
from .record import MODEL_CHECKS, PACE_CHECKS, Judged, Question
from .settings import SETTINGS, RunSetting, Situation
from .table import names_of_type, program_row
from .ways import (
    Way,
    has_picture_ways,
    is_preferred,
    larger_types,
    picture_ways,
    row_of,
    servers,
    training_ways,
    usual_and_smaller,
    way_by_tag,
    way_of,
)

# chats grow to this length and programs that write code need it: a guess between the 4,096 tokens
# that Ollama sets below 24 GiB and the 32,768 from 24 GiB on (docs/context-length.mdx@948f6933)
_GROWN_CONTEXT_TOKENS = 16_384

# the parts of the memory that no smaller type makes known
_ALIKE_FACTS = frozenset(("memory.compute", "memory.kv_cache"))


def best_way(
    usual: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> Judged:
    """The judgement of the best way on the machine. `usual` is the judgement in the model's own
    defaults.
    """
    question = usual.question
    if question.needs is None or question.runtime is None:
        return usual
    in_way = question.replace(way=Way(runtime=question.runtime))
    usual = usual.replace(question=in_way)
    choice = _Choice(usual=usual, catalogue=catalogue, machine=machine)
    return with_reason(choice.best(), usual, machine)


def best_under(
    question: Question,
    stated: Workload,
    catalogue: Catalogue,
    machine: Machine,
) -> Judged | None:
    """The judgement of the best way of the same model under another stated workload; None where the
    program refuses that workload.
    """
    other = asked_again(question, stated, catalogue, machine)
    if other is None:
        return None
    return best_way(judge(other, machine), catalogue, machine)


def in_way(
    question: Question,
    way: Way,
    catalogue: Catalogue,
    machine: Machine,
) -> Question | None:
    """The question about the same model in that way; None where the program refuses it."""
    other = asked_again(question, way.under(question.stated), catalogue, machine)
    if other is None or other.needs is None:
        return None
    return other.replace(
        stated=question.stated,
        way=way,
        requires_runtime=question.requires_runtime,
    )


def neighbours(
    judged: Judged, machine: Machine
) -> Iterator[tuple[RunSetting, Workload]]:
    """Yield each setting that what was judged may gain by, with the workload that asks for it."""
    workload = judged.question.asked
    situation = Situation(judged=judged, machine=machine)
    for setting in SETTINGS:
        if setting.may_help(situation):
            asked = setting.asked(situation, workload)
            if asked is not None:
                yield setting, asked


class _Choice(Record):
    """A choice among the ways of one question. `usual` is the way in the model's own defaults."""

    usual: Judged
    catalogue: Catalogue
    machine: Machine

    @property
    def question(self) -> Question:
        """The question in the model's own defaults."""
        return self.usual.question

    @property
    def runtime(self) -> RuntimeSpec:
        """The program of the usual way."""
        return way_of(self.question).runtime

    def best(self) -> Judged:
        """The judgement of the best way."""
        question = self.question
        if has_picture_ways(question):
            is_in_ram = place_of(self.usual, any_disk=True) is RunPlace.RAM
            ways = picture_ways(question, self.catalogue, is_in_ram=is_in_ram)
            return self._best_placed(ways)
        if question.stated.task == "finetune":
            return self._best_placed(training_ways(question))
        return self._best_of_programs()

    def _judged(self, way: Way) -> Judged | None:
        """The judgement of a way; None where the program refuses it."""
        question = in_way(self.question, way, self.catalogue, self.machine)
        return None if question is None else judge(question, self.machine)

    def _better(
        self,
        best: Judged,
        other: Judged | None,
    ) -> Judged:
        """The better of two judgements; the first of equal ones."""
        if other is None or rating_of(other) >= rating_of(best):
            return best
        return other

    # -------------------------------------------------------------- pictures and training

    def _best_placed(self, ways: Sequence[Way]) -> Judged:
        """The best of ways that are compared by their place: the first in its turn that runs in the
        best place that the machine has, else the one that is nearest to it.
        """
        best_place = RunPlace.RAM
        turn_of = attrgetter("preference")
        if self.machine.accelerators:
            best_place = RunPlace.ACCELERATORS
            turn_of = attrgetter("turn")
        found = []
        for way in sorted(ways, key=turn_of):
            if way.is_plain:
                # judged already
                question = self.question.replace(way=way)
                judged: Judged | None = self.usual.replace(question=question)
            else:
                judged = self._judged(way)
            if judged is None:
                continue
            if place_of(judged) <= best_place:
                return judged
            found.append(judged)
        return min(found, key=rating_of)

    # -------------------------------------------------------------- text: the programs

    def _best_of_programs(self) -> Judged:
        """The best way of text: in the program that suits so many accelerators, else in the usual
        one, then where it does not suit all users in the others that serve many.
        """
        preferred = self._preferred_server
        is_other = preferred is not None
        way = Way(runtime=self.runtime, is_other=is_other)
        usual = self.usual.replace(question=self.question.replace(way=way))
        best = usual
        if preferred is not None:
            other = self._best_in(preferred, is_other=False)
            # the preferred program wins a tie
            if other is not None:
                best = self._better(other, usual)
        if best is usual:
            best = self._best_in_program(usual)
        if self._may_suit_servers():
            for runtime in self._servers:
                if runtime is not preferred:
                    other = self._best_in(runtime, is_other=True)
                    if self._is_worth_another_program(best, other):
                        best = self._better(best, other)
        taken = way_of(best.question)
        if taken.runtime is not self.runtime or taken.settings:
            return best
        by_tag = way_by_tag(best.question, self.catalogue)
        if by_tag is None:
            return best
        return self._better(best, self._judged(by_tag))

    @cached_property
    def _servers(self) -> Sequence[RuntimeSpec]:
        """The programs beside the usual one that serve many requests."""
        return servers(self.question, self.catalogue)

    @cached_property
    def _preferred_server(self) -> RuntimeSpec | None:
        """The first program that suits so many accelerators better than the usual one; None for
        none.
        """
        if self.question.spec.writes_text:
            for runtime in self._servers:
                if is_preferred(runtime, self.machine):
                    return runtime
        return None

    def _best_in(
        self,
        runtime: RuntimeSpec,
        *,
        is_other: bool,
    ) -> Judged | None:
        """The best way in another program; None where the program refuses the model, loads another
        type than the stated one, or is not installed where the usual program is.
        """
        first = self._judged(Way(runtime=runtime, is_other=is_other))
        if first is None or first.memory is None:
            return None
        typed = self.question.stated.quantization
        if typed is not None:
            names = names_of_type(self.usual.quantization)
            names |= names_of_type(need.canonical_quantization(typed))
            if first.quantization not in names:
                return None
        is_installed = self.usual.fits and self.usual.has("runtime-present")
        if is_installed and not first.has("runtime-present"):
            return None
        return self._best_in_program(first)

    def _may_suit_servers(self) -> bool:
        """Whether the programs that serve many requests are worth judging. The machine has
        accelerators, and there are several users, or the usual program does not suit the user or
        does not take the type by itself. For one user who stated no type, the pace alone may be at
        fault.
        """
        if not self.machine.accelerators:
            return False
        stated = self.question.stated
        if stated.parallel > 1:
            return True
        if self._does_usual_suit:
            return False
        if stated.quantization is not None:
            return True
        return self.usual.deciding.issubset(PACE_CHECKS)

    def _is_worth_another_program(self, best: Judged, other: Judged | None) -> bool:
        """Whether another program may be taken. Where the usual one suits, more bits alone are no
        reason to install another: it must run as surely, and its users must feel the gain of pace.
        """
        if not self._does_usual_suit:
            return True
        if other is None or not runs_as_well(other, best):
            return False
        return is_a_step_faster(other, best)

    @cached_property
    def _does_usual_suit(self) -> bool:
        """Whether the usual program suits the users, and takes the type by itself."""
        return self._usual_suits_users and self._is_own_type

    @property
    def _is_own_type(self) -> bool:
        """Whether the usual program takes the type by itself, here or on another machine."""
        if self.question.stated.quantization is None:
            return True
        row = program_row(self.question.spec, self.runtime)
        return self.usual.quantization in (*row.types_in_turn, *row.types_on_gpus)

    @property
    def _usual_suits_users(self) -> bool:
        """Whether in the usual way each user likely gets text as fast as people read, and a model
        for several users is not split between accelerators and RAM. One user may have a pace that
        is not known: the program limits that of a small model.
        """
        usual = self.usual
        if not usual.fits:
            return False
        users = usual.question.workload.parallel
        pace = usual.users_pace
        if pace is None:
            return users == 1
        if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
            return False
        return users == 1 or usual.placement != "split"

    # -------------------------------------------------------------- text: types and settings

    def _best_in_program(self, first: Judged) -> Judged:
        """The best way in the program of `first`, which is judged in the program's usual type.

        The candidate of the best bound is judged next, until no bound is better than the best way.
        Each judged way tells closer bounds.
        """
        if _is_alike_in_every_way(first):
            return first
        bounds = WayBounds(first=first, machine=self.machine)
        best = merits_of(first)
        left = []
        for candidate in candidates(first, self.machine):
            left.append(Bounded(bounds.bound_of(candidate, best), candidate))
        while left:
            nearest = min(left, key=attrgetter("bound"))
            if nearest.bound >= best.rating:
                break
            left.remove(nearest)
            judged = self._judged(nearest.candidate.way)
            if judged is None:
                continue
            tried = merits_of(judged)
            if tried.rating < best.rating and _leaves_room_to_grow(
                judged, self.machine
            ):
                best = tried
            left = [bounds.closer(bounded, tried) for bounded in left]
        return best.judged


# ------------------------------------------------------------------ the ways of text in a program


def candidates(first: Judged, machine: Machine) -> list[Candidate]:
    """The larger types, the usual one and the smaller ones of the program of `first`, each with
    each set of settings; `first` is judged in the usual type, without settings.
    """
    usual_row = row_of(first.question)
    typed = [*_larger_types(first, machine), *usual_and_smaller(first.question)]
    with_settings = _ways_with_settings(first, machine)
    found = []
    for of_type in typed:
        name = of_type.quantization
        row = usual_row.replace(quantization=name)
        workload = first.workload.replace(quantization=name)
        step = step_of(usual_row.spec, usual_row.runtime, workload)
        for settled in with_settings:
            if name == first.quantization and not settled.settings:
                # judged already
                continue
            way = settled.replace(quantization=name, most_share=of_type.most_share)
            found.append(Candidate(row, way, step))
    return found


def _larger_types(first: Judged, machine: Machine) -> Sequence[Way]:
    """The ways in larger types whose files alone leave room, where accelerators hold all of the
    usual one, and that is not too slow already.
    """
    amounts = amounts_on_accelerators(first)
    if amounts is None or not first.deciding.isdisjoint(PACE_CHECKS):
        return []
    room_bytes = max(amounts.has, card_bytes(first.question, machine))
    return list(larger_types(first.question, room_bytes))


def _ways_with_settings(first: Judged, machine: Machine) -> list[Way]:
    """The way of `first` with each set of the settings that may help and may be taken without
    being asked for.
    """
    stated = first.question.stated
    situation = Situation(judged=first, machine=machine)
    ways = [way_of(first.question)]
    for setting, _ in neighbours(first, machine):
        if not setting.is_taken:
            continue
        for way in list(ways):
            asked = setting.asked(situation, way.under(stated))
            # two settings may exclude one another
            if asked is not None:
                settings = (*way.settings, setting)
                ways.append(way.with_workload(asked, settings))
    return ways


def _leaves_room_to_grow(judged: Judged, machine: Machine) -> bool:
    """Whether accelerators hold the model with a longer context too; True for a type that is no
    larger than the usual one, and where the user stated a context, or a prompt that needs one as
    long.
    """
    question = judged.question
    if not way_of(question).is_larger:
        return True
    if question.stated.context_tokens is not None:
        return True
    trained_tokens = question.trained_tokens or DEFAULT_CONTEXT_TOKENS
    tokens = min(trained_tokens, _GROWN_CONTEXT_TOKENS)
    if (judged.workload.context_tokens or 0) >= tokens:
        return True
    longer = judged.workload.replace(context_tokens=tokens)
    layout = first_layout_with_room(recounted(question, longer, machine), machine)
    return amounts_on_accelerators(layout) is not None


def _is_alike_in_every_way(judged: Judged) -> bool:
    """Whether what rules a way out, or leaves open whether it runs, is the same in every type and
    with every setting of its program.
    """
    if not judged.deciding.isdisjoint(MODEL_CHECKS):
        return True
    if judged.has("accelerator-missing"):
        # there are no such accelerators, whatever memory they would need
        return True
    if not judged.has("memory-need-not-known"):
        return False
    unknown_facts = {why.fact for why in judged.placed.unknown}
    return not _ALIKE_FACTS.isdisjoint(unknown_facts)


# ------------------------------------------------------------------ where no machine is known


def workload_where_users_wait(
    question: Question, catalogue: Catalogue
) -> Workload | None:
    """The stated workload of several users in the first program that lets users wait; None where
    the user stated the program, or no such program loads the stated type.
    """
    stated = question.stated
    if stated.parallel == 1:
        return None
    if stated.quantization is None or question.lets_users_wait:
        return None
    for runtime in servers(question, catalogue):
        row = program_row(question.spec, runtime)
        if not runtime.takes(stated) or not row.takes(stated):
            continue
        if row.type_called(stated.quantization) == question.workload.quantization:
            return stated.replace(runtime=runtime.id)
    return None


def smallest_of_list(question: Question, catalogue: Catalogue) -> Workload:
    """The stated workload in the type and runtime that take the least memory: without an
    accelerator, unless the runtime requires one.
    """
    stated = question.stated
    ways: Sequence[Way] = ()
    if question.in_turn or question.program.gpus.required:
        ways = usual_and_smaller(question)
    elif has_picture_ways(question):
        ways = picture_ways(question, catalogue, is_in_ram=False)
    smaller = []
    wants_gpu = question.program.gpus.required
    for way in ways:
        other = in_way(question, way, catalogue, Machine(accelerators=()))
        if other is None or other.wants_gpu != wants_gpu:
            continue
        # if the file of the usual type is published, the file of the smaller type must be published
        # too
        if question.making_bytes or not other.making_bytes:
            smaller.append(other)
    if not smaller:
        return stated
    taken = min(smaller, key=_ram_bytes).workload
    return stated.replace(runtime=taken.runtime, quantization=taken.quantization)


def _ram_bytes(question: Question) -> float:
    """The bytes of RAM that the question takes; infinite where that is not known."""
    needs = question.needs
    if needs is None or needs.memory is None:
        return inf
    return needs.on_host.high_bytes or inf
