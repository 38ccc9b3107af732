"""What a way of text is worth at best, told without judging it: a bound.

A `Candidate` is a type of a program with settings. `WayBounds.bound_of` takes a candidate and the
merits of a judged way, and returns the least rating that the candidate can have: by the least bytes
that it takes, by the bytes that it reads for a token, and by what it gives up for sure. Where a
part is not known, the bound has the best value. A candidate whose bound is no better than the best
way need not be judged.
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import NamedTuple

from ..core import units
from ..core.records import Record
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import Device, Needs, Size, Split, Terms, likely_bytes
from .checks.space import available_ram
from .devices import gpu_maker, lent_to_gpu, places, usable_cards
from .pace.decode_step import Step
from .rating import (
    Merits,
    Rating,
    Runs,
    cost_of,
    has_waiting_users,
    read_bytes_of,
    runs_of,
)
from .record import MEMORY_CHECKS, MODEL_CHECKS, PACE_CHECKS, Judged, Question
from .settings import (
    Situation,
    least_share_of_weights,
    least_size_with,
    most_effect,
)
from .table import FileRow
from .ways import Way, row_of, way_of

# the checks that another type or setting may pass. The checks of the model and of the disk are
# among them: what fails these fails in every type, and the memory alone tells the types apart
_OPEN_CHECKS = frozenset((*MODEL_CHECKS, *MEMORY_CHECKS, *PACE_CHECKS, "disk"))
# the terms that a smaller type makes smaller
_WEIGHTS = ("weights", "repacked_weights")


class Candidate(NamedTuple):
    """A way of text that is not judged yet. `row`: the files of its type. `step`: a step of
    decoding in that type; None where it is not known.
    """

    row: FileRow
    way: Way
    step: Step | None


class Bounded(NamedTuple):
    """A candidate with the least rating that it can have."""

    bound: Rating
    candidate: Candidate


def tells_of(judged: Judged, candidate: Candidate) -> bool:
    """Whether a judged way tells a bound of the candidate: one of the same type, with no setting
    that the candidate lacks. Without such a setting the candidate may be faster.
    """
    if judged.quantization != candidate.row.quantization:
        return False
    settings = way_of(judged.question).settings
    return all(setting in candidate.way.settings for setting in settings)


class WayBounds(Record):
    """The bounds of the ways of one program. `first` was judged in the program's usual type,
    without settings.
    """

    first: Judged
    machine: Machine

    def closer(self, bounded: Bounded, known: Merits) -> Bounded:
        """The candidate with the closer bound, told by a way that was judged too."""
        candidate = bounded.candidate
        if not tells_of(known.judged, candidate):
            return bounded
        bound = self.bound_of(candidate, known)
        return bounded._replace(bound=max(bound, bounded.bound))

    def bound_of(self, candidate: Candidate, merits: Merits) -> Rating:
        """The least rating that the candidate can have, told by the merits of `first` or of a way
        that `tells_of` the candidate.
        """
        known = merits.judged
        way = candidate.way
        effect = most_effect(way.settings, known.question)
        gain = effect * self._most_gain(candidate, known)
        merits = merits._replace(
            type=candidate.row.quantization or "",
            is_cramped=False,
            read_bytes=read_bytes_of(candidate.step, candidate.row),
            cost_steps=self._cost_steps(candidate),
            settings=len(way.settings),
            download_bytes=0,
        )
        reads_alike = _reads_prompts_alike(candidate, known)
        if _may_serve(known, gain, shortens_wait=effect > 1 or not reads_alike):
            merits = merits._replace(unserved=0)
        if gain == inf or merits.runs is not Runs.NOW:
            merits = merits._replace(runs=self._surest_runs(candidate, known))
        if gain == inf:
            return merits._replace(pace=inf, wait_seconds=None).rating
        if merits.pace is not None:
            merits = merits._replace(pace=gain * merits.pace)
        if not reads_alike:
            merits = merits._replace(wait_seconds=None)
        elif merits.wait_seconds is not None:
            merits = merits._replace(wait_seconds=merits.wait_seconds / effect)
        return merits.rating

    def _cost_steps(self, candidate: Candidate) -> float:
        """What the candidate gives up for sure. A file that lies on the machine costs nothing."""
        may_be_here = bool(self.machine.models_present)
        is_unlisted = candidate.row.is_unlisted and not may_be_here
        return cost_of(candidate.way, is_unlisted=is_unlisted)

    @property
    def _question(self) -> Question:
        return self.first.question

    @property
    def _needs(self) -> Needs:
        """The memory of the usual type, before it is placed."""
        assert self._question.needs is not None, "what is bounded is counted"
        return self._question.needs

    # -------------------------------------------------------------- memory

    def _surest_runs(self, candidate: Candidate, known: Judged) -> Runs:
        """How surely the candidate can run, by its least bytes. For a program that needs a GPU
        these are the weights alone: users may wait, and what else it takes depends on how many do
        not.
        """
        if not self.first.deciding <= _OPEN_CHECKS:
            # every type fails alike
            return runs_of(self.first)
        if self._needs.memory is None:
            return Runs.NOW
        wants_gpu = self._question.wants_gpu
        if not wants_gpu and self._may_lie_on_cards(candidate):
            return Runs.NOW
        size = self._least_size(candidate, self._needs.terms)
        least_bytes: float = size.least
        if wants_gpu:
            weights_bytes = likely_bytes(self.first.placed.terms, "weights")
            least_bytes = weights_bytes * self._size_share(candidate, self._question)
            least_bytes *= least_share_of_weights(candidate.way.settings)
        lent = lent_to_gpu(self.machine)
        has_bytes: float = self._card_bytes
        shares_ram = any(card.unified for card in self.machine.cards)
        if shares_ram or not wants_gpu:
            ram = available_ram(self.machine, self._question.workload).ceiling_bytes
            has_bytes += inf if ram is None else ram
        if least_bytes > has_bytes:
            return Runs.NOT
        if lent is None or not known.waits_for_setting:
            return Runs.NOW
        return Runs.ONCE_CHANGED if size.most > lent.least_bytes else Runs.NOW

    def _may_lie_on_cards(self, candidate: Candidate) -> bool:
        """Whether accelerators with memory of their own may hold all of the candidate."""
        if not self._card_bytes:
            return False
        size = self._least_size(candidate, self._terms_on_cards)
        return size.least <= self._card_bytes

    def _least_size(self, candidate: Candidate, terms: Terms) -> Size:
        """The least bytes that the candidate takes of terms of the usual type."""
        shares = dict.fromkeys(_WEIGHTS, self._size_share(candidate, self._question))
        return least_size_with(candidate.way.settings, terms, shares)

    @cached_property
    def _card_bytes(self) -> int:
        return card_bytes(self._question, self.machine)

    @cached_property
    def _terms_on_cards(self) -> Terms:
        """The memory of the usual type on accelerators that hold all of it."""
        question = self._question
        device = Device(maker=gpu_maker(self.machine, question.runtime))
        return needs_on(self._needs, question.case, device).on_cards.terms

    def _size_share(self, candidate: Candidate, question: Question) -> float:
        """The size of the candidate's weights, as a share of those of a question; 0 where a size is
        not known.
        """
        row = row_of(question)
        if candidate.row.quantization == row.quantization:
            return 1.0
        return candidate.row.least_bytes / row.least_bytes if row.least_bytes else 0.0

    # -------------------------------------------------------------- pace

    def _most_gain(self, candidate: Candidate, known: Judged) -> float:
        """How many times the pace of the judged way the candidate may have; infinite where that is
        not known.
        """
        if runs_of(known) is Runs.NOT:
            return inf
        if has_waiting_users(known):
            # fewer bytes let more users be served at once
            return inf
        if self._may_lie_better(candidate, known) or _computes_users_in_ram(known):
            return inf
        step = known.question.step
        if step is None or candidate.step is None or not candidate.step.weights_bytes:
            return inf
        # a larger type may be as fast, where little of the time is taken by reading weights
        gain = max(1.0, step.weights_bytes / candidate.step.weights_bytes)
        if known.placement == "split":
            gain = max(gain, self._gain_of_split(candidate, known))
        situation = Situation(judged=known, machine=self.machine)
        for setting in candidate.way.settings:
            gain *= setting.most_gain(situation)
        return gain

    def _may_lie_better(self, candidate: Candidate, known: Judged) -> bool:
        """Whether the candidate may lie in a better place than the judged way."""
        if known.placement == "split":
            return self._may_lie_on_cards(candidate)
        if known.is_on_accelerators and known.offload is None:
            return False
        if self._question.wants_gpu or self._card_bytes:
            return True
        lent = lent_to_gpu(self.machine)
        if lent is None:
            return False
        # a GPU that may get all of the RAM that the model takes is as fast
        return known.memory is None or known.memory.high_bytes > lent.raised_bytes

    def _gain_of_split(self, candidate: Candidate, known: Judged) -> float:
        """The gain where accelerators hold a part of the model: RAM computes the layers that are
        left as fast, and the rest is computed faster. Accelerators hold whole layers, so that one
        more may find room than the saved bytes tell.
        """
        counted = known.question.needs
        assert counted is not None, "what is split is counted"
        taken_bytes = sum(term.bytes for term in counted.terms)
        least_bytes = self._least_size(candidate, self._needs.terms).likely
        layers_bytes = _layers_bytes(known.placed.on_host.terms)
        one_layer_bytes = 0.0
        step = known.question.step
        if step is not None and step.layers:
            one_layer_bytes = _layers_bytes(counted.terms) / step.layers
        saved_bytes = taken_bytes - least_bytes + one_layer_bytes
        left_bytes = layers_bytes - saved_bytes
        return layers_bytes / left_bytes if left_bytes > 0 else inf


def _reads_prompts_alike(candidate: Candidate, known: Judged) -> bool:
    """Whether the candidate reads a prompt no faster than the judged way in the same place, beside
    what options of its settings change.
    """
    if known.placement == "split":
        # accelerators that hold a part may have room for larger batches
        return False
    if candidate.row.quantization == known.quantization:
        return True
    if not known.is_on_accelerators:
        # a processor unpacks each type at a pace of its own
        return False
    step = candidate.step
    if step is None or step.is_in_fp8 or step.is_in_fp4:
        # the GPU may multiply the type as it is, faster than in 16 bits
        return False
    return not candidate.way.is_larger


def _may_serve(known: Judged, gain: float, *, shortens_wait: bool) -> bool:
    """Whether a way so many times as fast may serve the stated pace and the longest wait."""
    pace = known.users_pace
    wanted = known.workload.min_tokens_per_second
    if gain == inf or pace is None or wanted is None:
        return True
    if "wait" in known.deciding and not shortens_wait:
        return False
    return not units.is_slower(pace.high * gain, wanted)


def _computes_users_in_ram(judged: Judged) -> bool:
    """Whether a processor computes several users at once: there the pace of a type does not follow
    from its bytes.
    """
    if judged.workload.parallel == 1 or judged.placement != "host":
        return False
    return not judged.is_on_accelerators


def _layers_bytes(terms: Terms) -> int:
    """The bytes of the layers among the terms."""
    return sum(term.bytes for term in terms if term.split is Split.LAYERS)


def card_bytes(question: Question, machine: Machine) -> int:
    """The bytes that a program may take of all accelerators with memory of their own."""
    cards = usable_cards(question, machine)
    return sum(place.known_bytes for place in places(cards))
