"""The choice of a way: the loop that judges one way of a question after another.

`best_way` takes what was judged in the model's own defaults, and returns the judgement of the best
way on the machine by the one order of `rating`. It judges the preferred ways first, leaves out ways
whose memory cannot help, and ends once no way that is left can be better.

Stated values, files on this machine and downloaded files are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import combinations
from math import inf
from operator import attrgetter
from typing import NamedTuple

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_CONTEXT_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import Device, Needs, Split, Term, Terms, likely_bytes
from .checks import phrase
from .checks.space import AvailableRam, available_ram
from .devices import (
    SharedMemory,
    gpu_maker,
    index_of,
    lent_to_gpu,
    places,
    usable_cards,
)
from .judging import judge, layout_for
from .pace.words import likely_words
from .question import asked_again
from .queues import most_in_total
from .rating import (
    STEP,
    RunPlace,
    Runs,
    has_waiting_users,
    is_slower_than_reading,
    lies_better,
    place_of,
    rating_of,
    runs_of,
    share_of_gpu_memory,
    steps_between,
)
from .record import MEMORY_CHECKS, MODEL_CHECKS, PACE_CHECKS, Judged, Question
from .settings import SETTINGS, RunSetting, Situation, least_bytes_with
from .table import USUAL, names_of_type, program_row
from .ways import (
    Way,
    is_preferred,
    larger_types,
    picture_ways,
    servers,
    takes_first_of_list,
    training_ways,
    usual_and_smaller,
    way_by_tag,
)

# chats grow to this length and programs that write code need it: a guess between the 4,096 tokens
# that Ollama sets below 24 GiB and the 32,768 from 24 GiB on (docs/context-length.mdx@948f6933)
_GROWN_CONTEXT_TOKENS = 16_384
# servers take types of at least half the bytes
_HALF = 2
# no type and no setting of a program is so many times as fast as its usual way, where memory holds
# some users at once
_MOST_GAIN = 16
# how people write the methods of training
METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


def best_way(
    usual: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> Judged:
    """The judgement of the best way on the machine. `usual` is the judgement in the model's own
    defaults.
    """
    runtime = usual.question.runtime
    if usual.question.needs is None or runtime is None:
        return usual
    choice = _Choice.of(usual, runtime, catalogue, machine)
    return choice.with_reason(choice.best())


def most_pace(
    usual: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> float:
    """The most tokens per second that each of several users likely gets in any way, told by the
    judgement in the model's own defaults alone; infinite where that does not tell.
    """
    runtime = usual.question.runtime
    if usual.question.needs is None or runtime is None:
        return inf
    choice = _Choice.of(usual, runtime, catalogue, machine)
    if choice.takes_other_programs:
        return inf
    question = usual.question
    sizes = [_least_weights_bytes(question, way) for way in usual_and_smaller(question)]
    total = most_in_total(usual, machine, sizes, _card_bytes(question, machine))
    return inf if total is None else total / question.workload.parallel


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


class _Trial(NamedTuple):
    """A type of a program with settings, to be tried: `in_type` is the way in the type alone.

    - `order`: the trials that give up least come first.
    - `setting_steps`: what the settings cost.
    """

    order: float
    setting_steps: float
    in_type: Way
    settings: tuple[RunSetting, ...]


class _Choice(Record):
    """A choice among the ways of one question. `usual` is the way in the model's own defaults."""

    usual: Judged
    runtime: RuntimeSpec
    catalogue: Catalogue
    machine: Machine

    @classmethod
    def of(
        cls,
        usual: Judged,
        runtime: RuntimeSpec,
        catalogue: Catalogue,
        machine: Machine,
    ) -> _Choice:
        """The choice among the ways of what was judged in the model's own defaults."""
        question = usual.question.replace(way=Way(runtime=runtime))
        return cls(
            usual=usual.replace(question=question),
            runtime=runtime,
            catalogue=catalogue,
            machine=machine,
        )

    @property
    def question(self) -> Question:
        """The question in the model's own defaults."""
        return self.usual.question

    def best(self) -> Judged:
        """The judgement of the best way."""
        question = self.question
        if takes_first_of_list(question):
            is_in_ram = place_of(self.usual, any_disk=True) is RunPlace.RAM
            ways = picture_ways(question, self.catalogue, is_in_ram=is_in_ram)
            return self._best_placed(ways)
        if question.stated.task == "finetune":
            return self._best_placed(list(training_ways(question)))
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
        """The better of two judgements; the first of equal ones. That no limit has to be raised
        counts nothing for a file that somebody has to make.
        """
        if other is None:
            return best
        rating = rating_of(other)
        if _is_made_for_a_limit(other.question, best):
            rating = rating._replace(runs=max(rating.runs, runs_of(best)))
        return other if rating < rating_of(best) else best

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
        # the plain way is judged already
        plain = next(way for way in ways if way.is_plain)
        best = self.usual.replace(question=self.question.replace(way=plain))
        for way in sorted(ways, key=turn_of):
            is_next = turn_of(best.question.way) <= turn_of(way)
            if is_next and place_of(best) <= best_place:
                return best
            if not way.is_plain:
                best = self._better(best, self._judged(way))
        return best

    # -------------------------------------------------------------- text: the programs

    def _best_of_programs(self) -> Judged:
        """The best way of text: in the programs that suit so many accelerators, then in the usual
        one, then where it does not suit all users in the others that serve many.
        """
        preferred = self._preferred_servers()
        first = self.usual
        if preferred:
            way = Way(runtime=self.runtime, is_other=True)
            first = first.replace(question=self.question.replace(way=way))
        best = first
        for runtime in preferred:
            other = self._best_in(runtime, is_other=False)
            # a preferred server wins a tie
            if other is not None and self._better(other, best) is other:
                best = other
        if best is first:
            best = self._best_in_program(best)
        if self._may_suit_servers():
            for runtime in self._servers:
                if runtime not in preferred:
                    best = self._better(best, self._best_in(runtime, is_other=True))
        taken = best.question.way
        assert taken is not None, "each judged question has a way"
        if taken.runtime is not self.runtime or taken.settings:
            return best
        by_tag = way_by_tag(best.question, self.catalogue)
        if by_tag is None:
            return best
        by_tag = by_tag.replace(most_share=taken.most_share)
        return self._better(best, self._judged(by_tag))

    @cached_property
    def _servers(self) -> Sequence[RuntimeSpec]:
        """The programs beside the usual one that serve many requests."""
        return servers(self.question, self.catalogue)

    @property
    def takes_other_programs(self) -> bool:
        """Whether another program than the usual one may be taken."""
        return bool(self._servers)

    def _preferred_servers(self) -> list[RuntimeSpec]:
        """The programs that suit so many accelerators better than the usual one."""
        if not self.question.spec.writes_text or not places(self.machine.accelerators):
            return []
        return [
            runtime for runtime in self._servers if is_preferred(runtime, self.machine)
        ]

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
        is_present = first.has("runtime-present")
        if self.usual.has("runtime-present") and not is_present and self.usual.fits:
            return None
        return self._best_in_program(first)

    def _may_suit_servers(self) -> bool:
        """Whether a program that serves many requests may be better than the usual one: where that
        is only too slow, or memory does not hold all of several users at once, or does not run the
        stated type, or would not take that type by itself.
        """
        if not self.machine.accelerators:
            return False
        if self._usual_suits_users and self._is_own_type:
            return False
        stated = self.question.stated
        if stated.parallel > 1 or stated.quantization is not None:
            return True
        return self.usual.deciding.issubset(PACE_CHECKS)

    @property
    def _is_own_type(self) -> bool:
        """Whether the usual program takes the type by itself, here or on another machine."""
        if self.question.stated.quantization is None:
            return True
        row = program_row(self.question.spec, self.runtime)
        return self.usual.quantization in (*row.types_in_turn, *row.types_on_gpus)

    @property
    def _usual_suits_users(self) -> bool:
        """Whether in the usual way each user likely gets text as fast as people read, and of
        several users the caches of all lie on the accelerators. One user may have a pace that is
        not known: the program limits that of a small model.
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
        """The best way in the program of `first`, which is judged in the program's usual type."""
        larger = self._in_larger_type(first)
        if larger is not None:
            return larger
        if self._is_settled(first) or self._is_hopeless(first):
            return first
        return self._best_smaller_or_lighter(first)

    def _in_larger_type(self, first: Judged) -> Judged | None:
        """The way in the largest type that is better than the usual one, and leaves room for a
        longer context; None for no such type, and where the usual one is too slow already.
        """
        if share_of_gpu_memory(first) is None or not first.model.writes_text:
            return None
        if not first.deciding.isdisjoint(PACE_CHECKS):
            return None
        for way in self._larger_types(first):
            judged = self._judged(way)
            if judged is None or self._better(first, judged) is first:
                continue
            if self._holds_longer_context(judged):
                # each later type keeps fewer bits, and is faster by its size alone
                return judged
        return None

    def _best_smaller_or_lighter(self, first: Judged) -> Judged:
        """The best of the usual type, the smaller ones, and the settings that may help."""
        best = first
        by_type = {first.quantization: self._unplaced(first.question)}
        for trial in self._smaller_and_lighter(first):
            quantization = trial.in_type.quantization
            unplaced = by_type.get(quantization)
            may_be_faster = _may_be_faster(trial, best, unplaced)
            if self._is_in_best_place(best) and not may_be_faster:
                continue
            if not (
                may_be_faster
                or unplaced is None
                or unplaced.may_gain(best, trial.settings)
            ):
                # what the settings can save is not enough
                continue
            question = self._tried(trial, first)
            if question is None:
                continue
            if _is_made_for_a_limit(question, best) and not may_be_faster:
                continue
            if not trial.settings:
                by_type[quantization] = self._unplaced(question)
            best = self._better(best, judge(question, self.machine))
            if self._is_settled(best):
                break
        return best

    def _unplaced(self, question: Question) -> _Unplaced | None:
        """The question with its memory; None where that is not known."""
        needs = question.needs
        if needs is None or needs.memory is None:
            return None
        return _Unplaced(question=question, needs=needs, machine=self.machine)

    def _larger_types(self, first: Judged) -> Iterator[Way]:
        """Yield the types larger than the usual one whose files alone leave room."""
        finding = first.finding("accelerator")
        room_bytes = _card_bytes(first.question, self.machine)
        if finding is not None and isinstance(finding.has, int):
            room_bytes = max(room_bytes, finding.has)
        for way in larger_types(first.question):
            assert way.most_share is not None, "a larger type has a share"
            weights_bytes = _least_weights_bytes(first.question, way)
            if weights_bytes > way.most_share * room_bytes:
                continue
            yield way

    def _holds_longer_context(self, judged: Judged) -> bool:
        """Whether accelerators hold the model with a longer context too; True where the user stated
        a context, or a prompt that needs one as long.
        """
        question = judged.question
        if question.stated.context_tokens is not None:
            return True
        trained_tokens = question.trained_tokens or DEFAULT_CONTEXT_TOKENS
        tokens = min(trained_tokens, _GROWN_CONTEXT_TOKENS)
        if (judged.workload.context_tokens or 0) >= tokens:
            return True
        longer = question.asked.replace(context_tokens=tokens)
        grown = asked_again(question, longer, self.catalogue, self.machine)
        if grown is None or grown.needs is None:
            return False
        return bool(share_of_gpu_memory(layout_for(grown, self.machine)))

    def _lighter(self, first: Judged) -> list[RunSetting]:
        """The settings that may help and may be taken without being asked for."""
        lighter = []
        for setting, _ in neighbours(first, self.machine):
            if setting.is_taken:
                lighter.append(setting)
        return lighter

    def _smaller_and_lighter(self, first: Judged) -> list[_Trial]:
        """The same and the smaller types, with each set of the settings that may help, those first
        that give up least.
        """
        lighter = self._lighter(first)
        sets: list[tuple[RunSetting, ...]] = []
        for size in range(len(lighter) + 1):
            sets += combinations(lighter, size)
        way = first.question.way
        assert way is not None, "each judged question has a way"
        trials = []
        for place, in_type in enumerate(usual_and_smaller(first.question)):
            plain = in_type.replace(is_other=way.is_other)
            for settings in sets:
                if place == 0 and not settings:
                    # judged already
                    continue
                setting_steps = sum(setting.cost_steps for setting in settings)
                # a smaller type gives up about a step
                order = place + setting_steps
                trials.append(_Trial(order, setting_steps, plain, settings))
        trials.sort(key=attrgetter("order"))
        return trials

    def _tried(self, trial: _Trial, first: Judged) -> Question | None:
        """The question about the model in that type and with these settings; None where two of the
        settings exclude one another, or the program refuses them.
        """
        workload = first.question.stated
        situation = Situation(judged=first, machine=self.machine)
        for setting in trial.settings:
            asked = setting.asked(situation, workload)
            if asked is None:
                return None
            workload = asked
        way = trial.in_type.with_workload(workload, trial.settings)
        return in_way(self.question, way, self.catalogue, self.machine)

    def _is_settled(self, best: Judged) -> bool:
        """Whether no smaller type and no setting can be better: the model lies in the best place of
        the machine as it is.
        """
        if _is_a_step_below_reading(best) or _computes_users_in_ram(best):
            # a smaller type may be as fast as people read, or compute faster
            return False
        return self._is_in_best_place(best)

    def _is_in_best_place(self, best: Judged) -> bool:
        """Whether the model lies in the best place of the machine, as surely as can be."""
        if not best.fits:
            return False
        if runs_of(best) is not Runs.NOW or has_waiting_users(best):
            return False
        if not self.machine.accelerators:
            return True
        if best.placement == "split" or best.has("accelerator-tight"):
            return False
        return best.is_on_accelerators and best.offload is None

    def _is_hopeless(self, first: Judged) -> bool:
        """Whether no smaller type and no setting can make the model run."""
        if first.fits:
            return False
        if not first.deciding.isdisjoint(MODEL_CHECKS):
            return True
        if first.deciding.isdisjoint((*MEMORY_CHECKS, *PACE_CHECKS, "disk")):
            return True
        if self._is_far_too_slow(first):
            return True
        if first.memory is None:
            return False
        if first.question.wants_gpu:
            # caches play no part: users may wait
            weights = likely_bytes(first.placed.terms, "weights")
            return weights / _HALF > _card_bytes(first.question, self.machine)
        lacking_bytes = first.lacking_bytes()
        if lacking_bytes == inf:
            return False
        return lacking_bytes > self._most_saved(first)

    def _most_saved(self, first: Judged) -> float:
        """The most bytes that the smallest type and all settings save together, and the range of
        the need.
        """
        assert first.memory is not None, "what lacks bytes is counted"
        terms = first.placed.terms
        weights_bytes = likely_bytes(terms, "weights", "repacked_weights")
        smaller_bytes = weights_bytes - _smallest_weights_bytes(first.question)
        least_bytes = least_bytes_with(self._lighter(first), terms)
        return first.memory.high_bytes - least_bytes + smaller_bytes

    def _is_far_too_slow(self, first: Judged) -> bool:
        """Whether no type and no setting makes a way fast enough, of which memory is enough."""
        pace = first.users_pace
        wanted = first.workload.min_tokens_per_second
        if pace is None or not wanted:
            return False
        return pace.high * _MOST_GAIN < wanted

    # -------------------------------------------------------------- the reason

    def with_reason(self, best: Judged) -> Judged:
        """The judgement, with the sentence why its way was taken."""
        why = self._why(best)
        if why is None:
            return best
        return best.replace(question=best.question.replace(chosen=why))

    def _why(self, best: Judged) -> str | None:
        """The sentence that tells the user why the way was taken; None where no sentence is
        needed.
        """
        usual = self.usual
        way = best.question.way
        if way is None or best.question.asked == usual.question.asked:
            return self._why_published(best)
        if best.workload.task == "finetune":
            return self._why_trained(best)
        if takes_first_of_list(usual.question):
            return self._why_picture(best)
        sentences = []
        if best.workload.runtime != usual.workload.runtime:
            sentences.append(self._why_program(best))
        elif best.quantization != usual.quantization:
            sentences.append(self._why_type(best))
        if way.settings:
            sentences.append(self._why_settings(best, way))
        return " ".join(sentences)

    def _why_published(self, best: Judged) -> str | None:
        """The sentence that nobody publishes the model's usual type; None where somebody does, or
        where no sentence is needed.
        """
        question = best.question
        if not question.in_turn or question.here is not None or not best.fits:
            return None
        if question.is_usual_type:
            return None
        return self._phrased("published", best, usual=question.usual_type)

    def _why_program(self, best: Judged) -> str:
        runtime = best.question.runtime
        assert runtime is not None, "a way has a program"
        if runtime.id == USUAL.library:
            return self._phrased(
                "tag",
                best,
                program=runtime.name,
                usual_program=self.runtime.name,
                model=best.model.name,
                runtime=self.runtime.id,
                type=best.quantization,
            )
        bits = need.loaded_bits(runtime, best.model, best.workload)
        return self._phrased(
            "many",
            best,
            program=runtime.name,
            usual_program=self.runtime.name,
            runtime=self.runtime.id,
            refused=not self.usual.fits,
            type=f"{bits} bits" if bits is not None else best.quantization or "",
        )

    def _why_type(self, best: Judged) -> str:
        way = best.question.way
        if way is not None and way.most_share is not None:
            return self._phrased("more-bits", best)
        first = self.usual.quantization
        if not self.usual.fits:
            return self._phrased("smaller", best, first=first)
        once = self._once(best)
        if once is not None:
            return self._phrased("surer-type", best, first=first, once=once)
        moved = lies_better(best, self.usual)
        before = likely_words(self.usual.users_pace)
        if moved:
            # the better place says why, unless the usual type is faster elsewhere
            before = _faster_pace(self.usual, best)
        return self._phrased(
            "faster-type",
            best,
            moved=moved,
            before=before,
            pace=likely_words(best.users_pace),
        )

    def _why_settings(
        self,
        best: Judged,
        way: Way,
    ) -> str:
        situation = Situation(judged=best, machine=self.machine)
        words = [setting.what(situation) for setting in way.settings]
        refused = not self.usual.fits
        once = self._once(best)
        return self._phrased(
            "settings",
            best,
            what=" and ".join(words),
            refused=refused,
            once=once,
            gains=not refused and once is None,
            before=likely_words(self.usual.users_pace),
            pace=likely_words(best.users_pace),
        )

    def _once(self, best: Judged) -> str | None:
        """What has to be done before the usual way runs, in words; None where the best way waits
        for as much.
        """
        if not self.usual.fits or runs_of(best) >= runs_of(self.usual):
            return None
        if self.usual.waits_for_setting:
            return phrase("once/raised")
        return phrase("once/closed")

    def _why_trained(self, best: Judged) -> str:
        usual = self.usual.workload
        taken = best.workload
        before = METHODS[str(usual.finetune_method)]
        after = METHODS[str(taken.finetune_method)]
        options = f"--method {usual.finetune_method}"
        if taken.context_tokens != usual.context_tokens:
            before += f" with {usual.context_tokens:,} tokens"
            after += f" with {taken.context_tokens:,} tokens"
            options += f" --context {usual.context_tokens}"
        return self._phrased(
            "trained",
            best,
            before=before,
            after=after,
            options=options,
            lacks=place_of(best) is RunPlace.NOWHERE,
        )

    def _why_picture(self, best: Judged) -> str:
        runtime = best.question.runtime or self.runtime
        return self._phrased(
            "picture",
            best,
            program=runtime.name,
            runtime=self.runtime.id,
            fits="fits" if best.offload is None else "fits a part at a time, on",
            lacks=place_of(best) is RunPlace.NOWHERE,
        )

    def _phrased(
        self,
        key: str,
        best: Judged,
        **figures: object,
    ) -> str:
        """The sentence `chosen/{key}` of `common/findings.toml`, filled with `figures` and with
        the figures that most of these sentences have.
        """
        shared: dict[str, object] = {
            "taken": best.quantization,
            "usual": self.usual.quantization,
            "where": _accelerator_names(best, self.machine),
            "faster": _faster_pace(self.usual, best),
        }
        return phrase(f"chosen/{key}", **{**shared, **figures})


class _Unplaced(Record):
    """A question of a way whose memory is counted, but not placed on the machine yet."""

    question: Question
    needs: Needs
    machine: Machine

    @cached_property
    def _card_bytes(self) -> int:
        return _card_bytes(self.question, self.machine)

    @cached_property
    def _terms_on_cards(self) -> Terms:
        """The memory on accelerators that hold all of the model."""
        question = self.question
        device = Device(maker=gpu_maker(self.machine, question.runtime))
        return needs_on(self.needs, question.case, device).on_cards.terms

    def may_gain(self, best: Judged, settings: Sequence[RunSetting]) -> bool:
        """Whether the way with these settings beside may lie in a better place than the best so
        far, or more surely in as good a place, by its bytes alone.
        """
        question = self.question
        if question.wants_gpu:
            return True
        if self._card_bytes:
            on_cards_bytes = least_bytes_with(settings, self._terms_on_cards)
            if on_cards_bytes <= self._card_bytes:
                return True
        in_ram_bytes = least_bytes_with(settings, self.needs.terms)
        lent = lent_to_gpu(self.machine)
        if lent is not None and in_ram_bytes <= lent.most_bytes:
            return self._may_be_surer(best, settings, lent)
        if best.fits:
            return self._may_fit_now(best, settings)
        ram_bytes = self._ram.ceiling_bytes
        if ram_bytes is None:
            return True
        if in_ram_bytes > ram_bytes + self._card_bytes:
            return False
        return self._may_be_surer(best, settings, lent)

    def saved_bytes(self, settings: Sequence[RunSetting]) -> float:
        """The most bytes that these settings beside save."""
        with_bytes = least_bytes_with(settings, self.needs.terms, end="bytes")
        return self._likely_bytes - with_bytes

    def smaller_than(self, best: Judged) -> int:
        """The bytes by which the memory is smaller than that of the best so far."""
        needs = best.question.needs
        assert needs is not None, "what is split is counted"
        return sum(term.bytes for term in needs.terms) - self._likely_bytes

    @cached_property
    def _likely_bytes(self) -> int:
        return sum(term.bytes for term in self.needs.terms)

    @property
    def _ram(self) -> AvailableRam:
        return available_ram(self.machine, self.question.workload)

    def _may_fit_now(self, best: Judged, settings: Sequence[RunSetting]) -> bool:
        """Whether the best so far fits in RAM only once other programs are closed, and the way with
        these settings may fit as they are.
        """
        free_bytes = self._ram.free_bytes
        if free_bytes is None or not best.has("memory-not-now"):
            return False
        most_bytes = least_bytes_with(settings, self.needs.terms, end="high_bytes")
        return most_bytes <= free_bytes + self._card_bytes

    def _may_be_surer(
        self,
        best: Judged,
        settings: Sequence[RunSetting],
        lent: SharedMemory | None,
    ) -> bool:
        """Whether the way with these settings may run more surely than the best so far, where
        settings do not make that faster; True where they may.

        RAM computes as fast with a setting as without; so does a GPU that may get all of the RAM
        that the model takes.
        """
        if self._card_bytes or has_waiting_users(best) or best.memory is None:
            return True
        if lent is not None and best.memory.high_bytes > lent.raised_bytes:
            return True
        limit_bytes: int | None = None
        runs = runs_of(best)
        if runs is Runs.PERHAPS:
            limit_bytes = self._ram.ceiling_bytes
        elif runs is Runs.ONCE_CHANGED and best.waits_for_setting and lent is not None:
            limit_bytes = lent.least_bytes
        if limit_bytes is None:
            return True
        most_bytes = least_bytes_with(settings, self.needs.terms, end="high_bytes")
        return most_bytes <= limit_bytes


def _is_made_for_a_limit(question: Question, best: Judged) -> bool:
    """Whether the file would have to be made, while the best so far is published and waits for a
    limit alone: raising a limit is less work than making a file of one in 16 bits. Another program
    may run without the limit.
    """
    if question.runtime != best.question.runtime:
        return False
    if not (best.fits and best.waits_for_setting):
        return False
    return question.is_unlisted and not best.question.is_unlisted


def _may_be_faster(trial: _Trial, best: Judged, unplaced: _Unplaced | None) -> bool:
    """Whether the trial may be faster in the same place. `unplaced`: what was asked in the type
    alone.

    A smaller type leaves more of a split model on the accelerators, computes several users faster
    on a processor, or brings text that is hardly slower than people read up to their pace.
    """
    if best.placement == "split" and trial.settings:
        return _may_pay(trial, best, unplaced)
    if trial.settings:
        return False
    if best.placement == "split" or _computes_users_in_ram(best):
        return True
    pace = best.users_pace
    if pace is None or not _is_a_step_below_reading(best):
        return False
    smaller_bytes = _least_weights_bytes(best.question, trial.in_type)
    if not smaller_bytes:
        return True
    faster = pace.likely * likely_bytes(best.placed.terms, "weights") / smaller_bytes
    return not units.is_slower(faster, READING_TOKENS_PER_SECOND)


def _may_pay(trial: _Trial, best: Judged, unplaced: _Unplaced | None) -> bool:
    """Whether the settings of the trial may bring a split model more pace than they cost, or up to
    the pace of people who read. The type alone is no better than the best so far.

    Settings that cost no more than a step leave room for larger batches too, which read a stated
    prompt faster.
    """
    if trial.setting_steps <= 1 and best.first_word_seconds is not None:
        return True
    pace = best.users_pace
    if unplaced is None or pace is None:
        return True
    saved_bytes = unplaced.saved_bytes(trial.settings)
    layers_bytes = _layers_in_ram(best)
    least_bytes = layers_bytes - saved_bytes - unplaced.smaller_than(best)
    if least_bytes <= 0:
        return True
    # RAM computes the layers that are left as fast, and the rest is computed faster
    fastest = pace.likely * layers_bytes / least_bytes
    if is_slower_than_reading(best) and not units.is_slower(
        fastest, READING_TOKENS_PER_SECOND
    ):
        return True
    return steps_between(least_bytes, least_bytes + saved_bytes) > trial.setting_steps


def _layers_in_ram(judged: Judged) -> int:
    """The bytes of the layers that RAM holds of a split model."""
    terms = judged.placed.on_host.terms
    return sum(term.bytes for term in terms if term.split is Split.LAYERS)


def _card_bytes(question: Question, machine: Machine) -> int:
    """The bytes that a program may take of all accelerators with memory of their own."""
    cards = usable_cards(
        machine, question.runtime, question.workload, question.most_cards
    )
    return sum(place.known_bytes for place in places(cards))


def _is_a_step_below_reading(judged: Judged) -> bool:
    """Whether text likely comes more slowly than people read, but less than a step more slowly."""
    pace = judged.users_pace
    if pace is None or not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return False
    return pace.likely * STEP >= READING_TOKENS_PER_SECOND


def _computes_users_in_ram(judged: Judged) -> bool:
    """Whether a processor computes several users at once: there the pace of a type does not follow
    from its bytes.
    """
    if judged.workload.parallel == 1 or judged.placement != "host":
        return False
    return not judged.is_on_accelerators


def _smallest_weights_bytes(question: Question) -> int:
    """The bytes of the weights in the smallest type to try; 0 where a size is not known."""
    ways = usual_and_smaller(question)
    return min(_least_weights_bytes(question, way) for way in ways)


def _least_weights_bytes(question: Question, in_type: Way) -> int:
    """The least bytes of the weights in the type of a way; 0 where their size is not known."""
    format = question.workload.format or ""
    size = need.weights_files(question.spec, format, in_type.quantization or "")
    return size.low_bytes if isinstance(size, Term) else 0


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
    """The pace of the usual way where that is faster than the best; None elsewhere."""
    pace = usual.users_pace
    other = judged.users_pace
    if pace is None or other is None or other.likely >= pace.likely:
        return None
    return units.speed(pace.likely)


# ------------------------------------------------------------------ where no machine is known


def workload_where_users_wait(
    question: Question, catalogue: Catalogue
) -> Workload | None:
    """The stated workload of several users in the first program that lets users wait; None where
    the user stated the program, or no such program loads the stated type.
    """
    stated = question.stated
    if stated.parallel == 1 or stated.runtime is not None:
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
    """The stated workload in the type and runtime that take the least memory without an
    accelerator.
    """
    stated = question.stated
    ways: Sequence[Way] = ()
    if question.in_turn:
        ways = usual_and_smaller(question)
    elif takes_first_of_list(question):
        ways = picture_ways(question, catalogue, is_in_ram=False)
    candidates = []
    for way in ways:
        other = in_way(question, way, catalogue, Machine(accelerators=()))
        if other is None or other.wants_gpu:
            continue
        # if the file of the usual type is published, the file of the smaller type must be published
        # too
        if question.making_bytes or not other.making_bytes:
            candidates.append(other)
    if not candidates:
        return stated
    taken = min(candidates, key=_ram_bytes).workload
    return stated.replace(runtime=taken.runtime, quantization=taken.quantization)


def _ram_bytes(question: Question) -> float:
    """The bytes of RAM that the question takes; infinite where that is not known."""
    needs = question.needs
    if needs is None or needs.memory is None:
        return inf
    return needs.on_host.high_bytes or inf
