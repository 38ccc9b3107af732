"""Training on several accelerators that share weights, gradients and optimizer out."""

from __future__ import annotations

from collections.abc import Iterator

from ...machine.record import Machine
from ...needs.records import SHARED_OUT, MemoryNeed, Needs, Term, share_of
from .devices import TIGHT, Place, of_one_maker, places
from .on_devices import SIZES, placed_as, processes


def sharded(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    gathered: Term,
    end: str = "high_bytes",
) -> Iterator[Needs]:
    """Training on the fewest accelerators that hold it, on the most where only the least need is
    sure to fit: weights, gradients and optimizer in equal parts (ZeRO, arXiv 1910.02054, section
    5), the rest whole on each, and a process in RAM for each. `end`: of the range of what it needs;
    where they hold the likely need the most is near to it.
    """
    beside = [term for term in memory.terms if term.name not in SHARED_OUT and not term.is_program]

    def holders(end: str, room_times: float = 1.0) -> Iterator[list[Place]]:
        whole_bytes = sum(getattr(term, end) for term in (*beside, gathered))
        return _groups_that_hold(memory, machine, whole_bytes, end, room_times)

    if end == "low_bytes":
        chosen = max(holders(end), key=len, default=[])
    else:
        chosen = next(holders(end), [])
    if chosen and end == "bytes":
        # those that hold the likely need may lack much of the most
        near = next(holders("high_bytes", TIGHT), [])
        chosen = max(chosen, near, key=len) if near else []
    if not chosen:
        return
    terms: list[Term] = []
    for term in (*memory.terms, gathered):
        if term.is_program:
            terms.append(processes(term, len(chosen)))
        elif term.name in SHARED_OUT:
            terms += [
                _equal_part(term, place, index, len(chosen)) for index, place in enumerate(chosen)
            ]
        else:
            terms += [term.replace(where=place.where) for place in chosen]
    yield placed_as(needs, "accelerator", terms)


def _groups_that_hold(
    memory: MemoryNeed, machine: Machine, whole_bytes: int, end: str, room_times: float = 1.0
) -> Iterator[list[Place]]:
    """Accelerators, largest first, that hold training in parts, with so many bytes on each beside
    its part: the fewest, then a group of each larger number. `end`: of the range of what is shared
    out; `room_times`: of what each can give.
    """
    owned = machine.accelerators or ()
    sized = [
        (place, place.room_bytes)
        for place in places(machine)
        if place.room_bytes is not None and not owned[place.index].is_part
    ]
    sized.sort(key=lambda item: -item[1])
    alike = of_one_maker(sized, machine)
    shared = sum(getattr(term, end) for term in memory.terms if term.name in SHARED_OUT)
    for number in range(2, len(sized) + 1):
        part_bytes = -(-shared // number) + whole_bytes
        for group in reversed(alike):
            if len(group) >= number and part_bytes <= room_times * group[number - 1][1]:
                yield [place for place, _ in group[:number]]
                break


def devices_for_parts(needs: Needs, machine: Machine) -> int:
    """The fewest accelerators that may hold weights, gradients and optimizer of a training in equal
    parts, whatever lies beside these; 0 where they surely do not.
    """
    if needs.memory is None:
        return 0
    return len(next(_groups_that_hold(needs.memory, machine, 0, "low_bytes"), ()))


def _equal_part(term: Term, place: Place, index: int, number: int) -> Term:
    """What the device of that index holds of a term that `number` devices share."""
    part = {name: (getattr(term, name) + index) // number for name in SIZES}
    if term.name == "gradients":
        # what activations let go stays whole on each device, however few gradients it keeps
        part["low_bytes"] = max(0, part["bytes"] - (term.bytes - term.low_bytes))
    line = share_of(f"1/{number} of the devices", term.arithmetic)
    return term.replace(where=place.where, arithmetic=line, **part)
