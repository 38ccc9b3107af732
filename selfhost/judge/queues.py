"""The most tokens per second that a program gives users who wait for their turn: a bound.

What goes in: a way of several users in a program on accelerators alone, judged in the model's usual
type. What comes out: what all users together get at most in any type and with any setting, so that
a list need not look for the best way of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..core.records import Record
from ..machine.record import Machine
from ..needs.records import likely_bytes
from .pace import Speed
from .pace.rates import gpu_of
from .pace.tables import pace_tables
from .record import MEMORY_CHECKS, Judged

# a smaller type of the weights, and of the cache, takes half the bytes and half the time at least
_HALF = 2
_SMALLER = 1 / _HALF


class QueueBound(NamedTuple):
    """What users who wait for their turn get at most: the tokens per second of all together, and
    how many are served at once.
    """

    per_second: float
    at_once: float


class _SharedStep(Record):
    """A step of decoding that users share, at its fastest: a smaller type shortens `one_seconds` by
    its share of the weights, and nothing else shortens either time.

    - `weights_bytes`: of the usual type. `user_bytes`: the memory of each user.
    - `one_seconds`: the time with one user. `next_seconds`: what each other user adds.
    """

    weights_bytes: int
    user_bytes: float
    one_seconds: float
    next_seconds: float

    def most(self, size: int, room_bytes: float) -> QueueBound:
        """The most that users get in a type of that size, as many as have room at once; nothing
        where the weights have none.
        """
        if size > room_bytes:
            return QueueBound(0.0, 0.0)
        share = min(1.0, size / self.weights_bytes)
        at_once = max(1.0, (room_bytes - size) / self.user_bytes)
        seconds = share * self.one_seconds
        # no further user takes longer than the first
        seconds += (at_once - 1) * min(self.next_seconds, seconds)
        return QueueBound(at_once / seconds, at_once)


def most_in_total(
    first: Judged,
    machine: Machine,
    sizes: Sequence[int],
    room_bytes: float,
) -> float | None:
    """The most tokens per second that all users together likely get in types whose weights have at
    least these `sizes`, on accelerators with `room_bytes`. None where `first` does not tell.
    """
    step = _shared_step(first, machine, _SMALLER)
    if step is None or not min(sizes):
        return None
    return max(step.most(size, room_bytes).per_second for size in sizes)


def most_in_type(
    first: Judged,
    machine: Machine,
    size: int,
    room_bytes: float,
    cache_share: float,
) -> QueueBound | None:
    """The most that users likely get in a type whose weights have at least that size, with that
    share of the cache of `first`. None where `first` does not tell.
    """
    step = _shared_step(first, machine, cache_share)
    if step is None or not size:
        return None
    return step.most(size, room_bytes)


def _shared_step(
    first: Judged, machine: Machine, cache_share: float
) -> _SharedStep | None:
    """The step of a program on accelerators alone; None where `first` does not tell."""
    if not first.question.wants_gpu:
        return None
    speed = first.speed
    if speed is not None and speed.waiting:
        at_once = speed.each_of - speed.waiting
        step = _step_of_waiting(first, speed, at_once, cache_share)
    else:
        step = _fastest_step(first, machine, cache_share)
    if step is None or not step.weights_bytes or not step.user_bytes:
        return None
    return step


def _step_of_waiting(
    first: Judged, speed: Speed, users: int, cache_share: float
) -> _SharedStep | None:
    """The step where memory holds so many users at once; None where their pace is not known.

    Of what another user adds, computing and reading the cache may take half as long, and serving as
    long as before. Another user of a mixture may read no further experts.
    """
    if speed.decode is None or speed.parallel_total is None:
        return None
    one_seconds = 1 / speed.decode.likely
    all_seconds = users / speed.parallel_total.likely
    next_seconds = (all_seconds - one_seconds) / max(1, users - 1)
    serving_seconds = min(_serving_seconds(first), next_seconds)
    if first.model.is_dense:
        next_seconds = (next_seconds + serving_seconds) / _HALF
    else:
        one_seconds = (all_seconds - (users - 1) * serving_seconds) / _HALF
        next_seconds = serving_seconds
    return _SharedStep(
        weights_bytes=likely_bytes(first.placed.terms, "weights"),
        user_bytes=_user_bytes(first, users, cache_share),
        one_seconds=one_seconds,
        next_seconds=next_seconds,
    )


def _fastest_step(
    first: Judged, machine: Machine, cache_share: float
) -> _SharedStep | None:
    """The step where memory does not hold even one user in the usual type: the accelerators read
    the weights together, at their peaks.
    """
    step = first.question.step
    if step is None or first.deciding.isdisjoint(MEMORY_CHECKS):
        return None
    bytes_per_second = 0.0
    for card in machine.own_memory_cards:
        gpu = gpu_of(card)
        if gpu is None:
            return None
        bytes_per_second += gpu.peak_bandwidth.high
    if not bytes_per_second:
        return None
    return _SharedStep(
        weights_bytes=likely_bytes(first.placed.terms, "weights"),
        user_bytes=_user_bytes(first, first.workload.parallel, cache_share),
        one_seconds=step.weights_bytes / bytes_per_second,
        next_seconds=_serving_seconds(first),
    )


def _user_bytes(first: Judged, users: int, cache_share: float) -> float:
    """The least memory of each user: that share of the cache, and the states."""
    terms = first.placed.terms
    cache_bytes = likely_bytes(terms, "kv_cache") * cache_share
    return (cache_bytes + likely_bytes(terms, "recurrent_state")) / users


def _serving_seconds(first: Judged) -> float:
    """The likely seconds that the program takes for each sequence of a step beside the model."""
    step = first.question.step
    if step is None or not step.replays:
        return 0.0
    return pace_tables().batch.sequence_seconds.likely
