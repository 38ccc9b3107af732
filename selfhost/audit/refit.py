"""The machines of an audit as its policy has them: too old records left out, and facts that classes
state put where records have none. A fleet is gone through by its shapes, not machine by machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ..core.errors import Faults, Problem
from ..core.tomlfile import Document
from ..machine.record import Machine
from .entries import MAX_POLICY_BYTES, MachineClass, Policy, StatedFact
from .fleet import Machines, number_at, slots_of
from .groups import NAMES_SHOWN
from .stated import filled, memory_with, sources_of
from .systems import NOT_JUDGED, resting

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .fleet import Shape
    from .lines import Slot
    from .stated import Stated

DAY_SECONDS = 86_400
# clocks of machines differ: a record that much ahead is none of the future
_AHEAD_SECONDS = 3_600
_MEMORY = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")


class Refit:
    """Machines as the policy has them, what is wrong with others, and sentences for the report."""

    def __init__(
        self,
        machines: Sequence[Machine],
        problems: tuple[Problem, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.machines, self.problems, self.notes = machines, problems, notes


def refit(policy: Policy, machines: Sequence[Machine], now: str) -> Refit:
    """`now` is the time of the audit, as `read_at` of a record writes it."""
    dated = _dated(policy, machines, now)
    serving, notes = _serving(policy, dated.machines)
    dated = Refit(serving, dated.problems, (*dated.notes, *notes))
    stating = [each for each in policy.classes if each.facts]
    if not stating:
        return dated
    document = Document.parse(policy.file, policy.text.encode(), max_bytes=MAX_POLICY_BYTES)
    filling = _Filling(policy, stating, document)
    filled_machines = filling.all(dated.machines)
    return Refit(filled_machines, dated.problems, (*dated.notes, *filling.notes()))


# ------------------------------------------------------------------ the age of records


def _dated(policy: Policy, machines: Sequence[Machine], now: str) -> Refit:
    """The machines whose records the policy takes, by their age."""
    names, times = _times(machines)
    ages = _ages(times, now)
    ahead = {time for time, age in ages.items() if age is not None and age < -_AHEAD_SECONDS}
    aged = {time: age for time, age in ages.items() if age is not None and time not in ahead}
    oldest: tuple[float, str, str] | None = None
    if aged:
        time = max(aged, key=aged.__getitem__)
        oldest = aged[time], names[times.index(time)], time or ""
    by_name = list(zip(names, times, strict=True))
    dated_ahead = [(name, time or "") for name, time in by_name if time in ahead] if ahead else []
    refused = {
        time: why
        for time, age in ages.items()
        if (why := _too_old(policy.max_age_seconds, age, time)) is not None
    }
    unjudged: list[tuple[str, str]] = []
    if refused:
        unjudged = [(name, refused[time]) for name, time in by_name if time in refused]
        kept = [number for number, time in enumerate(times) if time not in refused]
        machines = _some(machines, kept)
    return Refit(machines, _by_their_age(policy, unjudged), tuple(_of_ages(oldest, dated_ahead)))


def _by_their_age(policy: Policy, unjudged: Sequence[tuple[str, str]]) -> tuple[Problem, ...]:
    """The faults of machines, by name and reason, that `max_age` leaves unjudged."""
    faults = Faults(policy.file)
    line = _line_of_age(policy) if unjudged else None
    for name, why in unjudged:
        faults.append(
            Problem(
                file=policy.file,
                line=line,
                key="max_age",
                message=f"{name}{NOT_JUDGED}{why}",
                remedy="record it again, or raise max_age",
            )
        )
    return tuple(faults.problems)


def _times(machines: Sequence[Machine]) -> tuple[Sequence[str], Sequence[str | None]]:
    """Names, and when each record was read."""
    if isinstance(machines, Machines):
        _, names, _, times, _, _ = machines.packed()
        return names, times
    return [machine.name for machine in machines], [machine.read_at for machine in machines]


def _ages(times: Sequence[str | None], now: str) -> dict[str | None, float | None]:
    """By each time, in their order, the seconds since then; None where that is not known."""
    at = _seconds(now) or 0.0
    read = {time: None if time is None else _seconds(time) for time in dict.fromkeys(times)}
    return {time: None if since is None else at - since for time, since in read.items()}


def _seconds(time: str) -> float | None:
    """Since 1970; None for a day that is in no calendar, which a record may state."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def _line_of_age(policy: Policy) -> int | None:
    content = policy.text.encode()
    return Document.parse(policy.file, content, max_bytes=MAX_POLICY_BYTES).line(("max_age",))


def _too_old(most_seconds: int | None, age: float | None, time: str | None) -> str | None:
    """Why a record of that age is not judged; None where it is."""
    if most_seconds is None:
        return None
    if age is None:
        return "its record does not say when it was read, and the policy sets a max_age"
    if age < -_AHEAD_SECONDS:
        return f"its record was read on {_day(time)}, which is in the future"
    if age > most_seconds:
        return (
            f"its record was read on {_day(time)}, {_ago(age)}, and the policy takes none older"
            f" than {_long(most_seconds)}"
        )
    return None


def _of_ages(
    oldest: tuple[float, str, str] | None, ahead: Sequence[tuple[str, str]]
) -> Iterator[str]:
    """Sentences on records that are a day old or more, and on such as are dated in the future."""
    if oldest is not None and oldest[0] >= DAY_SECONDS:
        age, name, time = oldest
        yield f'the oldest record is that of "{name}", read on {_day(time)}, {_ago(age)}'
    if ahead:
        name, time = ahead[0]
        more = f" and {len(ahead) - 1:,} more" if len(ahead) > 1 else ""
        yield f'dated in the future: the record of "{name}" ({_day(time)}){more}'


def _day(time: str | None) -> str:
    return (time or "")[:10]


def _ago(seconds: float) -> str:
    return f"{_long(int(seconds))} ago"


def _long(seconds: int) -> str:
    """`1 day`, `7 days`, `12 hours`."""
    size, word = (DAY_SECONDS, "day") if seconds >= DAY_SECONDS else (3600, "hour")
    if seconds < 3600:
        size, word = 60, "minute"
    number = seconds // size
    return f"{number:,} {word}{'' if number == 1 else 's'}"


# ------------------------------------------------------------------ what takes no new work


def _serving(
    policy: Policy, machines: Sequence[Machine]
) -> tuple[Sequence[Machine], tuple[str, ...]]:
    """The machines that the policy has judged, and a sentence on those that take no new work."""
    of_labels: dict[int, str | None] = {}
    kept: list[int] = []
    out: list[str] = []
    for number, (name, labels) in enumerate(_labels(machines)):
        # labels of a fleet are kept once
        if id(labels) not in of_labels:
            of_labels[id(labels)] = resting(labels)
        why = of_labels[id(labels)]
        if why is None:
            kept.append(number)
        else:
            out.append(f'"{name}" ({why})')
    if not out:
        return machines, ()
    shown = ", ".join(out[:NAMES_SHOWN])
    more = f" and {len(out) - NAMES_SHOWN:,} more" if len(out) > NAMES_SHOWN else ""
    take = "1 machine takes" if len(out) == 1 else f"{len(out):,} machines take"
    judged = "" if policy.judges_resting else ", and the policy leaves them out"
    if len(out) == 1:
        judged = judged.replace("them", "it")
    note = f"{take} no new work{judged}: {shown}{more}"
    return (machines if policy.judges_resting else _some(machines, kept)), (note,)


def _labels(machines: Sequence[Machine]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Names and labels."""
    if isinstance(machines, Machines):
        _, names, labels, _, _, _ = machines.packed()
        return zip(names, labels, strict=True)
    return ((machine.name, machine.labels) for machine in machines)


# ------------------------------------------------------------------ facts of classes


class _Seen:
    """What classes look at of one machine."""

    __slots__ = ("architecture", "labels", "memory_total_bytes")

    def __init__(
        self, labels: Mapping[str, str], architecture: str | None, total: int | None
    ) -> None:
        self.labels, self.architecture, self.memory_total_bytes = labels, architecture, total


class _Filling:
    """The facts of a policy while machines get them."""

    def __init__(self, policy: Policy, stating: Sequence[MachineClass], document: Document) -> None:
        self._classes = stating
        self._document = document
        self._policy = policy
        self._by_classes: dict[tuple[int, ...], Stated] = {}
        # on how many machines each fact counts, by key and source
        self._counts: dict[tuple[str, str], int] = {}
        self._sources: dict[str, Mapping[str, str]] = {}

    def all(self, machines: Sequence[Machine]) -> Sequence[Machine]:
        """The machines with the facts."""
        if isinstance(machines, Machines):
            return self._fleet(machines)
        kept = []
        for machine in machines:
            stated = self._stated(self._classes_of(machine))
            changed, used = filled(machine, stated)
            self._count(stated, used, 1)
            kept.append(changed)
        return tuple(kept)

    def notes(self) -> Iterator[str]:
        """A sentence for each fact that counts."""
        for each in self._classes:
            for fact in each.facts:
                source = self._sources_of(each)[fact.key]
                count = self._counts.get((fact.key, source), 0)
                if count:
                    machines = "1 machine" if count == 1 else f"{count:,} machines"
                    instead = ", in place of what was read" if fact.overrides else ""
                    yield f"{fact.key} of {machines}: {fact.text}, {source}{instead}"

    def _sources_of(self, each: MachineClass) -> Mapping[str, str]:
        """What records say of the facts of a class: with its line, which takes time to find."""
        if each.name not in self._sources:
            index = next(
                place for place, own in enumerate(self._policy.classes) if own.name == each.name
            )
            line = self._document.line(("class", index, "facts"))
            file = self._policy.file
            place = file if line is None else f"{file}:{line}"
            self._sources[each.name] = sources_of(each.facts, each.name, place)
        return self._sources[each.name]

    def _classes_of(self, machine: Any) -> tuple[int, ...]:
        return tuple(
            place for place, each in enumerate(self._classes) if each.holds(machine) is True
        )

    def _stated(self, classes: tuple[int, ...]) -> Stated:
        """Of each key the fact of the first class that states it."""
        stated = self._by_classes.get(classes)
        if stated is None:
            by_key: dict[str, tuple[StatedFact, str]] = {}
            for place in classes:
                sources = self._sources_of(self._classes[place])
                for fact in self._classes[place].facts:
                    by_key.setdefault(fact.key, (fact, sources[fact.key]))
            stated = self._by_classes[classes] = by_key
        return stated

    def _count(self, stated: Stated, used: Sequence[str], machines: int) -> None:
        for key in used:
            own = key, stated[key][1]
            self._counts[own] = self._counts.get(own, 0) + machines

    def _fleet(self, machines: Machines) -> Machines:
        groups: dict[object, _Group] = {}
        for (shape, classes), numbers in self._by_shape(machines).items():
            stated = self._stated(classes)
            first, used = filled(machines[numbers[0]], stated)
            self._count(stated, used, len(numbers))
            counting = {key: stated[key] for key in used}
            key = shape, tuple((word, source) for word, (_, source) in counting.items())
            group = groups.get(key)
            if group is None:
                groups[key] = _Group(machines.shapes[shape], first, counting, numbers)
            else:
                group.numbers = sorted((*group.numbers, *numbers))
        return _joined(machines, list(groups.values()))

    def _by_shape(self, machines: Machines) -> dict[tuple[int, tuple[int, ...]], list[int]]:
        """The numbers of the machines by their shape and their classes."""
        looks_at_total = any(each.memory_total for each in self._classes)
        classes_by_key: dict[object, tuple[int, ...]] = {}
        by_shape: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for number, shape_number in enumerate(machines.shape_numbers):
            shape = machines.shapes[shape_number]
            labels = machines.labels_of(number)
            total = _total(shape, machines.place_of(number)) if looks_at_total else None
            key = shape_number, id(labels), total
            classes = classes_by_key.get(key)
            if classes is None:
                if not looks_at_total:
                    total = shape.template.memory_total_bytes
                seen = _Seen(labels, shape.template.architecture, total)
                classes = classes_by_key[key] = self._classes_of(seen)
            by_shape.setdefault((shape_number, classes), []).append(number)
        return by_shape


def _total(shape: Shape, place: int) -> int | None:
    slot = ("memory_total_bytes",)
    if slot in shape.slots:
        total: int = shape.columns[shape.slots.index(slot)][place]
        return total
    return shape.template.memory_total_bytes


class _Group:
    """Machines of one shape that get the same facts; `first` is the first of them, with these."""

    __slots__ = ("facts", "first", "numbers", "shape")

    def __init__(self, shape: Shape, first: Machine, facts: Stated, numbers: list[int]) -> None:
        self.shape, self.first, self.facts, self.numbers = shape, first, facts, numbers

    def columns(self, places: Sequence[int]) -> tuple[array[int], ...]:
        """The numbers of its machines, which stand at those places of the shape's own columns."""
        own = dict(zip(self.shape.slots, self.shape.columns, strict=True))
        slots = [slot for slot in slots_of(self.first) if number_at(self.first, slot) < 1 << 62]
        if not self.facts:
            return tuple(array("q", [own[slot][place] for place in places]) for slot in slots)
        return tuple(self._column(slot, own, places) for slot in slots)

    def _column(
        self, slot: Slot, own: Mapping[Slot, array[int]], places: Sequence[int]
    ) -> array[int]:
        if slot[0] in _MEMORY:
            columns = [own.get((fact,)) for fact in _MEMORY]
            wanted = _MEMORY.index(slot[0])
            sizes = (
                memory_with(
                    tuple(None if column is None else column[place] for column in columns),  # type: ignore[arg-type]
                    self.facts,
                )[wanted]
                for place in places
            )
            return array("q", [size or 0 for size in sizes])
        column = own.get(slot)
        value = number_at(self.first, slot)
        if column is None or self._replaces(slot):
            return array("q", [value]) * len(places)
        least = 0
        if slot[0] == "disks" and "disk" in self.facts:
            # a volume is no smaller than what is free on it
            is_stated = (*slot[:2], "free_bytes") not in own or self._replaces(slot[:1])
            least = self.facts["disk"][0].value if is_stated else 0
        return array("q", [max(column[place], least) for place in places])

    def _replaces(self, slot: Slot) -> bool:
        """Whether the policy replaces that number of all its machines."""
        key = {"disks": "disk", "accelerators": "gpu", _BANDWIDTH: "bandwidth"}.get(slot[0])
        is_replaced = key is not None and key in self.facts and self.facts[key][0].overrides
        return is_replaced and slot[-1] != "total_bytes"


_BANDWIDTH = "memory_bandwidth_bytes_per_second"


def _joined(machines: Machines, groups: Sequence[_Group]) -> Machines:
    """A fleet of the machines in these groups, in the order they had."""
    _, names, labels, times, _, _ = machines.packed()
    chosen = sorted(number for group in groups for number in group.numbers)
    # of a machine of the old fleet its number in the new one
    number_of = {number: place for place, number in enumerate(chosen)}
    shape_numbers, places = array("l", bytes(8 * len(chosen))), array("l", bytes(8 * len(chosen)))
    shapes = []
    for number, group in enumerate(groups):
        for place, old in enumerate(group.numbers):
            shape_numbers[number_of[old]], places[number_of[old]] = number, place
        members = array("l", [number_of[old] for old in group.numbers])
        columns = group.columns([machines.place_of(old) for old in group.numbers])
        shapes.append((group.first, members, columns))
    fleet = Machines()
    is_joined = fleet.join((
        shapes,
        [names[old] for old in chosen],
        [labels[old] for old in chosen],
        [times[old] for old in chosen],
        shape_numbers,
        places,
    ))  # fmt: skip
    assert is_joined
    return fleet


def _some(machines: Sequence[Machine], kept: Sequence[int]) -> Sequence[Machine]:
    """The machines of those numbers."""
    if not isinstance(machines, Machines):
        return tuple(machines[number] for number in kept)
    by_shape: dict[int, list[int]] = {}
    for number in kept:
        by_shape.setdefault(machines.shape_numbers[number], []).append(number)
    groups = [
        _Group(machines.shapes[shape], machines[numbers[0]], {}, numbers)
        for shape, numbers in by_shape.items()
    ]
    return _joined(machines, groups)
