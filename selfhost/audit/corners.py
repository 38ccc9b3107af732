"""Machines of one kind, sorted by what decides: judged at the worst and the best of their numbers.

No finding gets better when a machine has less memory, disk or bandwidth. So where a machine made of
the worst of each number and one made of the best have the same deciding findings, all between have
them; else the machines are split in two. What is free of an accelerator decides where layers lie,
and with that what the RAM must hold: machines that differ in it are never taken together.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import groupby
from math import log2

from ..judge.record import Verdict
from .fleet import BANDWIDTH, Numbers, Slot

# what decides of a verdict: the route, what is loaded by what, and the check, outcome and code
# of each deciding finding
Key = tuple[str, str | None, str | None, str | None, tuple[tuple[str, str, str], ...]]
# the most that one of these machines may lack, and the places of their rows
Sorted = tuple[Key, float, "array[int]"]

# the numbers that a check rests on, by the first word of their slots
_RESTS_ON = {"disk": "disks", "speed": BANDWIDTH}


def parts_of(
    slots: Sequence[Slot], rows: Sequence[Numbers], places: Sequence[int]
) -> list[list[int]]:
    """The places in parts whose rows have the same free memory of every accelerator."""
    cards = [at for at, slot in enumerate(slots) if slot[0] == "accelerators"]

    def free(place: int) -> Numbers:
        return tuple([rows[place][at] for at in cards])

    return [list(part) for _, part in groupby(sorted(places, key=free), free)]


def work_of(count: int) -> float:
    """About how many judgements so many rows of a part take."""
    return 1 + 3 * log2(max(1, count))


def key_of(verdict: Verdict) -> Key:
    """What decides of a verdict."""
    loaded = verdict.workload
    deciding = [
        (each.check, each.outcome.value, each.code) for each in verdict.findings if each.decides
    ]
    return verdict.route, loaded.runtime, loaded.format, loaded.quantization, tuple(deciding)


def sort_out(
    slots: Sequence[Slot],
    rows: Sequence[Numbers],
    parts: Sequence[list[int]],
    judged: Callable[[Numbers], Verdict],
) -> list[Sorted]:
    """The places of the rows, by what decides there."""
    by_key: dict[Key, tuple[float, array[int]]] = {}
    by_row: dict[Numbers, tuple[Key, float]] = {}

    def decided(row: Numbers) -> tuple[Key, float]:
        """What decides, and the largest amount that is lacking, in whatever unit it is."""
        if row not in by_row:
            verdict = judged(row)
            lacks = [each.short or 0.0 for each in verdict.findings if each.decides]
            by_row[row] = key_of(verdict), max(lacks, default=0.0)
        return by_row[row]

    boxes = list(parts)
    while boxes:
        box = boxes.pop()
        columns = list(zip(*[rows[place] for place in box], strict=True))
        worst, lacking = decided(tuple(map(min, columns)))
        best, _ = decided(tuple(map(max, columns)))
        if worst == best:
            most, alike = by_key.setdefault(worst, (0.0, array("l")))
            alike.extend(box)
            by_key[worst] = max(most, lacking), alike
        else:
            checks = {check for check, _, _ in set(worst[-1]) ^ set(best[-1])}
            wanted = {_RESTS_ON.get(check, "memory") for check in checks}
            boxes += _halves(slots, rows, box, wanted)
    return [(key, most, alike) for key, (most, alike) in by_key.items()]


def _halves(
    slots: Sequence[Slot], rows: Sequence[Numbers], box: list[int], wanted: set[str]
) -> tuple[list[int], list[int]]:
    """The box in two, along the numbers that are wanted and of which it has most."""

    def rank(at: int) -> tuple[bool, bool, bool]:
        name = slots[at][0]
        differs = len({rows[place][at] for place in box}) > 1
        is_wanted = (name if name in _RESTS_ON.values() else "memory") in wanted
        # of memory the limit decides most often
        return is_wanted and differs, differs, name in ("memory_limit_bytes", "disks", BANDWIDTH)

    at = max(range(len(slots)), key=rank)
    numbers = sorted(rows[place][at] for place in box)
    middle = next(number for number in numbers[len(numbers) // 2 :] if number > numbers[0])
    below = [place for place in box if rows[place][at] < middle]
    return below, [place for place in box if rows[place][at] >= middle]
