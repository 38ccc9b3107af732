"""The most tokens per second that a program gives users who wait for their turn: a bound.

What goes in: a way of several users in a program on accelerators alone, judged in the model's usual
type. What comes out: what all users together get at most in any type and with any setting, so that
a list of models for very many users need not look for the best way of each.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..needs.records import likely_bytes
from .record import Judged

# a smaller type of the cache takes half the bytes, and half the time to read, at least
_SMALLER_CACHE = 0.5


def most_in_total(
    first: Judged, sizes: Sequence[int], room_bytes: float
) -> float | None:
    """The most tokens per second that all users together likely get in types whose weights have at
    least these `sizes` in bytes, on accelerators with `room_bytes`.

    None where `first` serves nobody, or all users at once.
    """
    speed = first.speed
    if speed is None or not speed.waiting:
        return None
    if speed.decode is None or speed.parallel_total is None:
        return None
    terms = first.placed.terms
    weights_bytes = likely_bytes(terms, "weights")
    users = speed.each_of - speed.waiting
    cache_bytes = likely_bytes(terms, "kv_cache") * _SMALLER_CACHE
    user_bytes = (cache_bytes + likely_bytes(terms, "recurrent_state")) / users
    if not weights_bytes or not user_bytes or not min(sizes):
        return None
    # a step of decoding that computes one token for each of these users
    step_seconds = users / speed.parallel_total.likely
    next_seconds = 0.0
    if first.model.is_dense:
        # another user of a mixture may read no further experts
        next_seconds = step_seconds - 1 / speed.decode.likely
        next_seconds *= _SMALLER_CACHE / max(1, users - 1)
    totals = []
    for size in sizes:
        at_once = max(1.0, (room_bytes - size) / user_bytes)
        seconds = step_seconds * min(_SMALLER_CACHE, size / weights_bytes)
        seconds += max(0.0, at_once - users) * next_seconds
        totals.append(at_once / seconds)
    return max(totals)
