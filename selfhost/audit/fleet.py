"""Many machines in little memory, and as a policy has them: too old records and machines out of
service left out, facts that classes state put where records have none.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..core.errors import Faults, Problem
from ..core.records import FrozenDict, Record
from ..core.tables import shipped_table
from ..core.units import binary
from ..machine.changes import filled_disks, own_sets, with_implied
from ..machine.record import MAX_TEXT, Machine
from .entries import Policy, Selector, StatedFact
from .record import listed
from .systems.facts import NOT_JUDGED

# the place of a number in a record: ("swap_free_bytes",) or ("disks", 0, "free_bytes")
Slot = tuple[str] | tuple[str, int, str]
Numbers = tuple[int, ...]

BANDWIDTH = "memory_bandwidth_bytes_per_second"
_SINGLE = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "memory_total_bytes",
    "swap_free_bytes",
    BANDWIDTH,
)
_LISTED = (
    ("disks", ("free_bytes", "total_bytes")),
    ("accelerators", ("memory_free_bytes",)),
)


def with_numbers(
    template: Machine, slots: Sequence[Slot], numbers: Numbers, **facts: Any
) -> Machine:
    """The machine of that kind with these numbers and facts."""
    lists: dict[str, list[Any]] = {}
    for slot, number in zip(slots, numbers, strict=True):
        if len(slot) == 1:
            facts[slot[0]] = number
            continue
        head, index, part = slot
        entries = lists.setdefault(head, list(getattr(template, head)))
        entries[index] = entries[index].replace(**{part: number})
    facts.update((head, tuple(entries)) for head, entries in lists.items())
    return template.with_checked(**facts)


def _numbers_of(machine: Machine) -> dict[Slot, int]:
    numbers: dict[Slot, int] = {(name,): getattr(machine, name) for name in _SINGLE}
    for head, parts in _LISTED:
        for index, entry in enumerate(getattr(machine, head) or ()):
            numbers |= {(head, index, part): getattr(entry, part) for part in parts}
    return {slot: number for slot, number in numbers.items() if number is not None}


class Machines(Sequence[Machine]):
    """The machines of a fleet in the order they were read; each is made when it is asked for.

    By number: `names`, `labels`, `times`, `kind_of` and `numbers`, in which machines of one kind
    differ. `kinds` have the first machine of each kind and the slots of its numbers.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds: list[tuple[Machine, tuple[Slot, ...]]] = []
        self.names: list[str] = []
        self.number_of: dict[str, int] = {}
        self.labels: list[Mapping[str, str]] = []
        self.times: list[str | None] = []
        self.kind_of = array("l")
        self.numbers: list[Numbers] = []
        self._by_shape: dict[object, int] = {}
        # many machines have the same labels
        self._labels: dict[Mapping[str, str], Mapping[str, str]] = {}
        for machine in machines:
            self.add(machine)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: Any) -> Any:
        template, slots = self.kinds[self.kind_of[number]]
        own = {"name": self.names[number], "labels": self.labels[number]}
        read_at = self.times[number]
        return with_numbers(template, slots, self.numbers[number], **own, read_at=read_at)

    def add(self, machine: Machine) -> None:
        """Keep a machine whose name is new."""
        numbers = _numbers_of(machine)
        slots = tuple(numbers)
        no_numbers = (0,) * len(slots)
        bare = with_numbers(machine, slots, no_numbers, name="", labels=FrozenDict(), read_at=None)
        kind = self._by_shape.setdefault((slots, bare), len(self.kinds))
        if kind == len(self.kinds):
            self.kinds.append((machine, slots))
        self.number_of[machine.name] = len(self.names)
        self.names.append(machine.name)
        self.labels.append(self._labels.setdefault(machine.labels, machine.labels))
        self.times.append(machine.read_at)
        self.kind_of.append(kind)
        self.numbers.append(tuple(numbers.values()))

    def truncate(self, count: int) -> None:
        """Forget all machines but so many of the first."""
        for name in self.names[count:]:
            del self.number_of[name]
        for column in (self.names, self.labels, self.times, self.kind_of, self.numbers):
            del column[count:]

    def without(self, is_left_out: Sequence[bool]) -> Machines:
        """The machines but those."""
        if not any(is_left_out):
            return self
        return Machines(self[number] for number, is_out in enumerate(is_left_out) if not is_out)


class Fleet(Record):
    """Machines with names that differ, and what could not be used. `down` are the faults of
    machines that their system calls down, `notes` sentences for the report.
    """

    machines: Machines
    problems: tuple[Problem, ...] = ()
    down: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


# ------------------------------------------------------------------ as the policy has them

_DAY_SECONDS = 86_400
# clocks of machines differ: a record that much ahead is none of the future
_AHEAD_SECONDS = 3_600


def fitted(policy: Policy, fleet: Fleet, now: str) -> Fleet:
    """The machines that are judged, with the facts of their classes. `now` is the time of the
    audit, as `read_at` of a record writes it.
    """
    machines = fleet.machines
    ages = {time: _age_seconds(time, now) for time in dict.fromkeys(machines.times)}
    notes = [*fleet.notes, *_oldest(machines, ages)]
    refused = {time: why for time, age in ages.items() if (why := _too_old(policy, time, age))}
    line = policy.document().line(("max_age",)) if refused else None
    old = [
        Problem(
            file=policy.file,
            line=line,
            key="max_age",
            message=f"{name}{NOT_JUDGED}{refused[time]}",
            remedy="record it again, or raise max_age",
        )
        for name, time in zip(machines.names, machines.times, strict=True)
        if time in refused
    ]
    machines = machines.without([time in refused for time in machines.times])
    reasons = [_why_resting(labels) for labels in machines.labels]
    resting = [(name, why) for name, why in zip(machines.names, reasons, strict=True) if why]
    if policy.skips_resting:
        resting += [each.message.partition(NOT_JUDGED)[::2] for each in fleet.down]
        machines = machines.without([why is not None for why in reasons])
    notes += _resting_note(policy, resting)
    if any(each.facts for each in policy.classes):
        machines, more = _with_facts(policy, machines)
        notes += more
    down = () if policy.skips_resting else fleet.down
    of_down = Faults(down[0].file if down else "", down)
    problems = (*fleet.problems, *of_down.problems, *Faults(policy.file, old).problems)
    return Fleet(machines=machines, problems=problems, notes=tuple(notes))


def _resting_note(policy: Policy, resting: Sequence[tuple[str, str]]) -> list[str]:
    left_out = ", and the policy leaves them out" if policy.skips_resting else ""
    names = listed([f'"{name}" ({why})' for name, why in resting])
    return [f"machines that take no new work{left_out}: {names}"] if resting else []


def _why_resting(labels: Mapping[str, str]) -> str | None:
    """Why a machine that runs takes no new work, in its system's words; None where it does."""
    resting_words = shipped_table("systems")["resting"] if labels else ()
    for key, value in labels.items():
        if key.endswith(".state"):
            words = (word.rstrip("*~#!%$@^-") for word in value.replace("+", ",").split(","))
            if why := [word for word in words if word in resting_words]:
                return ", ".join(why)
    return None


def _age_seconds(time: str | None, now: str) -> float | None:
    """None for a record that has no time, or a day that is in no calendar."""
    try:
        read_at = datetime.fromisoformat(time or "")
        return datetime.fromisoformat(now).timestamp() - read_at.timestamp()
    except (ValueError, OverflowError):
        return None


def _too_old(policy: Policy, time: str | None, age: float | None) -> str | None:
    """Why a record of that age is not judged; None where it is."""
    most_seconds, day = policy.max_age_seconds, (time or "")[:10]
    if most_seconds is None:
        return None
    if age is None:
        return "its record does not say when it was read, and the policy sets a max_age"
    if age < -_AHEAD_SECONDS:
        return f"its record was read on {day}, which is in the future"
    if age <= most_seconds:
        return None
    bound = f"the policy takes none older than {_duration(most_seconds)}"
    return f"its record was read on {day}, {_duration(age)} ago, and {bound}"


def _oldest(machines: Machines, ages: Mapping[str | None, float | None]) -> list[str]:
    """The sentence on the oldest record, where it is a day old or more."""
    age, time = max(((age, time) for time, age in ages.items() if age and time), default=(0.0, ""))
    if age < _DAY_SECONDS:
        return []
    name = machines.names[machines.times.index(time)]
    return [f'the oldest record is that of "{name}", read on {time[:10]}, {_duration(age)} ago']


def _duration(seconds: float) -> str:
    """`1 day`, `7 days`, `12 hours`."""
    sizes = ((_DAY_SECONDS, "day"), (3600, "hour"), (60, "minute"))
    size, word = next((each for each in sizes if seconds >= each[0]), sizes[-1])
    number = int(seconds) // size
    return f"{number:,} {word}{'' if number == 1 else 's'}"


# ------------------------------------------------------------------ facts of classes

# the fact of each key of a class, in the order in which they are put; `reserve` is memory that the
# policy keeps back
_FACTS = {
    "architecture": "architecture",
    "system": "system",
    "memory": "memory_total_bytes",
    "bandwidth": BANDWIDTH,
    "gpu": "accelerators",
    "disk": "disks",
    "reserve": "memory_limit_bytes",
    "cores": "cpu_cores_usable",
    "instruction_sets": "instruction_sets",
}


def _with_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, of each key that of the first class that states
    it; and a sentence for each fact that counts.
    """
    document = policy.document()
    sources = []
    for index, each in enumerate(policy.classes):
        line = document.line(("class", index, "facts"))
        place = policy.file if line is None else f"{policy.file}:{line}"
        sources.append(f"stated by the policy, {place} (class {each.name})")
    counts: Counter[tuple[str, str]] = Counter()
    changed = Machines()
    for machine in machines:
        stated: dict[str, tuple[StatedFact, str]] = {}
        for each, source in zip(policy.classes, sources, strict=True):
            if each.facts and each.holds(machine):
                stated = {fact.key: (fact, source) for fact in each.facts} | stated
        machine, keys = _filled(machine, stated)
        counts.update((key, stated[key][1]) for key in keys)
        changed.add(machine)
    notes = []
    for each, source in zip(policy.classes, sources, strict=True):
        for fact in each.facts:
            if count := counts[fact.key, source]:
                number = "1 machine" if count == 1 else f"{count:,} machines"
                instead = ", in place of what was read" if fact.overrides else ""
                notes.append(f"{fact.key} of {number}: {fact.text}, {source}{instead}")
    return changed, notes


def _filled(
    machine: Machine, stated: Mapping[str, tuple[StatedFact, str]]
) -> tuple[Machine, list[str]]:
    """The machine with the facts that it lacks, which are no longer assumed, and the keys of those
    that count for it. `stated` has by key the fact and the policy's line.
    """
    used = []
    for key, fact in _FACTS.items():
        if key not in stated:
            continue
        each, source = stated[key]
        is_open = getattr(machine, fact) is None or fact in machine.assumed or each.overrides
        values = _values(machine, each) if is_open or key == "reserve" else {}
        if key == "instruction_sets" and not is_open:
            values = _unread_sets(machine, each.value)
        if not values:
            continue
        if key == "reserve":
            before = machine.sources.get(fact, "the memory in all")
            source = f"{before}; less {binary(each.value)} that is kept back, {source}"
        sources = {**machine.sources, **dict.fromkeys(values, source[:MAX_TEXT])}
        assumed = tuple(name for name in machine.assumed if name.partition(".")[0] not in values)
        machine = machine.replace(**values, sources=sources, assumed=assumed)
        used.append(key)
    return machine, used


def _unread_sets(machine: Machine, names: tuple[str, ...]) -> dict[str, Any]:
    """Beside sets that were read those that are not known to be absent."""
    unread = {entry.fact for entry in machine.unread}
    own = own_sets(names, machine.architecture)
    added = [name for name in own if f"instruction_sets.{name}" in unread]
    return {"instruction_sets": (*(machine.instruction_sets or ()), *added)} if added else {}


def _values(machine: Machine, stated: StatedFact) -> dict[str, Any]:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    fact, value = _FACTS[stated.key], stated.value
    limit, free = machine.memory_limit_bytes, machine.memory_available_bytes
    match stated.key:
        case "memory":
            is_lower = not stated.overrides and limit is not None and limit < value
            values = {fact: value, "memory_limit_bytes": limit if is_lower else value}
            return values | ({"memory_available_bytes": None} if stated.overrides else {})
        case "reserve":
            # the limit is that much lower, whatever was read of it
            most = machine.memory_total_bytes if limit is None else limit
            if most is None:
                return {}
            limit = max(0, most - value)
            lower_free = {} if free is None else {"memory_available_bytes": min(free, limit)}
            return {fact: limit} | lower_free
        case "instruction_sets":
            # a class may hold machines of several architectures: each gets those of its own
            names = own_sets(value, machine.architecture)
            is_of_others = value and not names
            return {} if is_of_others else {fact: with_implied(names, machine.architecture)}
        case "disk":
            return {fact: filled_disks(machine.disks, value)}
        case "bandwidth":
            how = {"memory_bandwidth_how": None, "memory_bandwidth_bound": None}
            return {fact: value[0], **how}
    return {fact: value}


# ------------------------------------------------------------------ pseudonyms

# of a pseudonym in letters, of which 100,000 collide once in 10^5 runs
_LETTERS = 12


class Pseudonyms:
    """`--anonymize`: each machine is called by a hash of its name, under a key that is made anew
    for each run and kept nowhere. `names` are those of machines and files that no text may hold.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(set(names), key=len, reverse=True)
        self._key = os.urandom(32)

    def of(self, name: str) -> str:
        """The pseudonym of a machine, of a file or of a glob of hosts."""
        from hashlib import blake2b

        digest = blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16)
        return f"machine-{digest.hexdigest()[:_LETTERS]}"

    def policy(self, policy: Policy) -> Policy:
        """The policy as reports show it: it selects no machines any more."""
        models = [
            each.replace(label=self.text(each.label), machines=self._selectors(each.machines))
            for each in policy.models
        ]
        exceptions = [
            each.replace(machines=self._selectors(each.machines)) for each in policy.exceptions
        ]
        return policy.replace(models=tuple(models), exceptions=tuple(exceptions))

    def _selectors(self, selectors: Sequence[Selector]) -> tuple[Selector, ...]:
        return tuple(
            each.replace(pattern=self.of(each.pattern)) if each.kind == "host" else each
            for each in selectors
        )

    def text(self, text: str) -> str:
        """A text without names of machines and files, the longer before those in them."""
        text = re.sub(r"(?<=host:)\S+", lambda match: self.of(match[0]), text)
        for name in self._names:
            if name in text:
                whole = rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)"
                text = re.sub(whole, self.of(name), text)
        return text

    def problem(self, problem: Problem) -> Problem:
        """The problem without the names."""
        name, mark, why = problem.message.partition(NOT_JUDGED)
        message = f"{self.of(name)}{mark}{self.text(why)}" if mark else self.text(problem.message)
        remedy = problem.remedy and self.text(problem.remedy)
        return problem.replace(file=self.text(problem.file), message=message, remedy=remedy)
