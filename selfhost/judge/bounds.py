"""What a way of text is worth at best, told without judging it: a bound.

A `Candidate` is a type of a program with settings. `WayBounds.of` takes a candidate and the best
way so far, and returns the least rating that the candidate can have: by the least bytes that it
takes, by the bytes that it reads for a token, and by what it gives up for sure. Where a part is not
known, the bound has the best value. A candidate whose bound is no better need not be judged.
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import NamedTuple

from ..core.records import Record
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import Device, Needs, Size, Split, Terms, likely_bytes
from .checks.space import available_ram
from .devices import gpu_maker, lent_to_gpu, places, usable_cards
from .rating import (
    Merits,
    Rating,
    Runs,
    cost_of,
    cost_of_settings,
    has_waiting_users,
    runs_of,
)
from .record import MEMORY_CHECKS, MODEL_CHECKS, PACE_CHECKS, Judged, Question
from .settings import Situation, least_size_with, most_effect
from .table import FileRow
from .ways import Way, row_of

# the checks that another type or setting may pass, and those that play no part
_OPEN_CHECKS = frozenset((*MODEL_CHECKS, *MEMORY_CHECKS, *PACE_CHECKS, "disk"))
# the terms that a smaller type makes smaller
_WEIGHTS = ("weights", "repacked_weights")


class Candidate(NamedTuple):
    """A way of text that is not judged yet. `row`: the files of its type."""

    row: FileRow
    way: Way

    @property
    def order(self) -> float:
        """The place of the candidate: those that give up least come first. A smaller type gives up
        about a step.
        """
        return self.way.preference + cost_of_settings(self.way)


class WayBounds(Record):
    """The bounds of the ways of one program. `first` was judged in the program's usual type,
    without settings.
    """

    first: Judged
    machine: Machine

    def of(self, candidate: Candidate, merits: Merits) -> Rating:
        """The least rating that the candidate can have, told by the merits of a way that was
        judged.
        """
        known = merits.judged
        way = candidate.way
        # of a way that runs now and is fast, fewer bytes bring less pace than the bits are worth
        # (`_SIZE_STEPS`): there all of its bytes give the better bound
        share = 1.0
        is_settled = merits.runs is Runs.NOW and not merits.is_slow
        if way.is_larger or merits.unserved or not is_settled:
            share = self._size_share(candidate, known.question)
        effect = most_effect(way.settings, known.question)
        gain = effect * self._most_gain(candidate, known, share)
        merits = merits._replace(
            type=candidate.row.quantization or "",
            is_cramped=False,
            read_bytes=merits.read_bytes * share,
            cost_steps=self._cost_steps(candidate),
        )
        if _may_serve(known, gain, effect):
            merits = merits._replace(unserved=0)
        if gain == inf or merits.runs is not Runs.NOW:
            merits = merits._replace(runs=self._surest_runs(candidate, known))
        if gain == inf:
            return merits._replace(pace=inf, wait_seconds=None).rating
        if merits.pace is not None:
            merits = merits._replace(pace=gain * merits.pace)
        if way.is_larger or known.placement == "split":
            # a larger type may be one that the GPU multiplies faster, and where accelerators hold
            # a part there may be room for larger batches, in which a prompt is read
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
        """How surely the candidate can run, by its least bytes."""
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
            # caches play no part: users may wait
            weights_bytes = likely_bytes(self.first.placed.terms, "weights")
            least_bytes = weights_bytes * self._size_share(candidate, self._question)
        lent = lent_to_gpu(self.machine)
        has_bytes: float = self._card_bytes
        if lent is not None or not wants_gpu:
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

    def _most_gain(self, candidate: Candidate, known: Judged, share: float) -> float:
        """How many times the pace of the judged way the candidate may have, with that share of the
        weights; infinite where that is not known.
        """
        if runs_of(known) is Runs.NOT:
            return inf
        if has_waiting_users(known):
            # fewer bytes let more users be served at once
            return inf
        if not share or self._may_lie_better(candidate, known):
            return inf
        if _computes_users_in_ram(known):
            return inf
        # a larger type may be as fast, where little of the time is taken by reading weights
        gain = max(1.0, 1 / share)
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
        left as fast, and the rest is computed faster.
        """
        counted = known.question.needs
        assert counted is not None, "what is split is counted"
        taken_bytes = sum(term.bytes for term in counted.terms)
        least_bytes = self._least_size(candidate, self._needs.terms).likely
        layers_bytes = _layers_in_ram(known)
        left_bytes = layers_bytes - (taken_bytes - least_bytes)
        return layers_bytes / left_bytes if left_bytes > 0 else inf


def _may_serve(known: Judged, gain: float, effect: float) -> bool:
    """Whether a way so many times as fast may serve the stated pace and the longest wait, where
    options make text and prompts `effect` times as fast.
    """
    pace = known.users_pace
    wanted = known.workload.min_tokens_per_second
    if gain == inf or pace is None or wanted is None:
        return True
    if "wait" in known.deciding and effect <= 1 and known.placement != "split":
        # in the same place nothing shortens the wait
        return False
    return pace.high * gain >= wanted


def _computes_users_in_ram(judged: Judged) -> bool:
    """Whether a processor computes several users at once: there the pace of a type does not follow
    from its bytes.
    """
    if judged.workload.parallel == 1 or judged.placement != "host":
        return False
    return not judged.is_on_accelerators


def _layers_in_ram(judged: Judged) -> int:
    """The bytes of the layers that RAM holds of a split model."""
    terms = judged.placed.on_host.terms
    return sum(term.bytes for term in terms if term.split is Split.LAYERS)


def card_bytes(question: Question, machine: Machine) -> int:
    """The bytes that a program may take of all accelerators with memory of their own."""
    cards = usable_cards(question, machine)
    return sum(place.known_bytes for place in places(cards))
