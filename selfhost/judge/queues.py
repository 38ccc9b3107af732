"""Users who wait for their turn, because memory does not hold all of them at once.

`most_at_once` finds the layout of the most users that have room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, isqrt

from ..needs.records import CACHES, Term, likely_bytes
from .record import Judged

# memory may grow in steps: after so many tries that leave more than half of the numbers, the middle
# by ratio is tried
_MOST_SHORT_STEPS = 2
# the check of the memory in which the caches lie, by the place of a model that lies in one
_CHECK_OF_CACHES = {"accelerator": "accelerator", "host": "memory"}


def most_at_once(
    of_users: Callable[[int], Judged],
    users: int,
    all_at_once: Judged | None = None,
    least_growth: float = 0,
) -> Judged | None:
    """Return the layout of the most users that have room as surely as one has, of fewer than
    `users`; None where not even one has room, or all have as surely.

    `of_users` gives the layout of a number of users. `all_at_once` is that of all; None where they
    surely lack room. `least_growth` are the bytes by which memory grows at least with each user; 0
    where that is not known. One or two layouts tell how memory grows. So a search among a million
    users needs about as many layouts as one among ten.
    """
    most = of_users(1)
    checks_of_one = most.deciding

    def has_room(layout: Judged) -> bool:
        return not layout.failed and layout.deciding <= checks_of_one

    if not has_room(most):
        return None
    if all_at_once is not None and has_room(all_at_once):
        return None
    held = 1
    too_many = users
    other = all_at_once
    short_steps = 0
    while too_many - held > 1:
        if 0 <= _left_bytes(most) < least_growth:
            break
        by_growth = _users_by_growth(most, other)
        takes_middle = short_steps == _MOST_SHORT_STEPS
        if takes_middle or not held <= by_growth < too_many:
            tried = isqrt(held * too_many)
        else:
            tried = int(by_growth)
        tried = max(held + 1, tried)
        span = too_many - held
        layout = of_users(tried)
        uses_same_cards = _use_same_cards(most, layout)
        if has_room(layout):
            other = most
            most = layout
            held = tried
        else:
            too_many = tried
            if uses_same_cards:
                other = layout
        is_halved = too_many - held <= span // 2
        if takes_middle or is_halved or not uses_same_cards:
            short_steps = 0
        else:
            short_steps += 1
    return most


def cache_bytes(terms: Iterable[Term]) -> int:
    """The likely bytes of the caches and states of all users."""
    return likely_bytes(terms, *CACHES)


def _users_by_growth(layout: Judged, other: Judged | None) -> float:
    """The number of users that have room where those of the layout lie; infinite where nothing
    tells that. This is an estimate: between two layouts on the same accelerators memory is taken to
    grow evenly, and with one layout each user is taken to add the caches of one user.
    """
    users = layout.workload.parallel
    left_bytes = _left_bytes(layout)
    growth: float = 0
    if other is not None and _use_same_cards(layout, other):
        grown_bytes = left_bytes - _left_bytes(other)
        growth = grown_bytes / (other.workload.parallel - users)
    elif layout.needs is not None:
        growth = cache_bytes(layout.needs.terms) / users
    if left_bytes == inf or not 0 < growth < inf:
        return inf
    return users + left_bytes // growth


def _use_same_cards(layout: Judged, other: Judged) -> bool:
    """Whether two layouts use the same accelerators, whole or split, or both use none. Layouts of
    several machines have findings alone, and count as such.
    """
    return _places_of(layout) == _places_of(other)


def _places_of(layout: Judged) -> set[str]:
    """The accelerators on which a part lies."""
    if layout.needs is None:
        return set()
    return {term.where for term in layout.needs.on_cards.terms}


def _left_bytes(layout: Judged) -> float:
    """The bytes that are left where the caches of the users lie; below 0 where memory lacks some,
    infinite where that is not known. A GPU that shares the RAM may be given more of it.
    """
    compared = layout.memory_amounts
    check = _CHECK_OF_CACHES.get(layout.placement or "")
    if check is not None:
        finding = layout.finding(check)
        if finding is not None and finding.amounts is not None:
            compared = [finding.amounts]
    return min((amounts.left for amounts in compared), default=inf)
