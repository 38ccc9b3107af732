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
from ..core.units import duration
from ..machine.changes import filled_disks, own_sets, with_implied
from ..machine.record import Machine
from .entries import MachineClass, Policy, StatedFact
from .policy import FACT_KEYS
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
    bound = f"the policy takes none older than {duration(most_seconds)}"
    return f"its record was read on {day}, {duration(age)} ago, and {bound}"


def _oldest(machines: Machines, ages: Mapping[str | None, float | None]) -> list[str]:
    """The sentence on the oldest record, where it is a day old or more."""
    age, time = max(((age, time) for time, age in ages.items() if age and time), default=(0.0, ""))
    if age < _DAY_SECONDS:
        return []
    name = machines.names[machines.times.index(time)]
    return [f'the oldest record is that of "{name}", read on {time[:10]}, {duration(age)} ago']


# ------------------------------------------------------------------ facts of classes


def _with_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, of each key that of the first class that states
    it; and a sentence for each fact that counts.
    """
    document = policy.document()
    counts: Counter[str] = Counter()
    facts: list[tuple[MachineClass, StatedFact, str]] = []
    for index, each in enumerate(policy.classes):
        line = document.line(("class", index, "facts"))
        place = policy.file if line is None else f"{policy.file}:{line}"
        source = f"stated by the policy, {place} (class {each.name})"
        facts += [(each, fact, source) for fact in each.facts]
    changed = Machines()
    for machine in machines:
        own = [(fact, source) for each, fact, source in facts if each.holds(machine)]
        for key, (name, _) in FACT_KEYS.items():
            stated = next((pair for pair in own if pair[0].key == key), None)
            if stated is None:
                continue
            if values := _values(machine, name, stated[0].value):
                machine = _with_values(machine, values, stated[1])
                counts[f"{key}: {stated[0].text}, {stated[1]}"] += 1
        changed.add(machine)
    notes = []
    for said, count in counts.items():
        key, _, rest = said.partition(": ")
        notes.append(f"{key} of {'1 machine' if count == 1 else f'{count:,} machines'}: {rest}")
    return changed, notes


def _with_values(machine: Machine, values: Mapping[str, Any], source: str) -> Machine:
    sources = {**machine.sources, **dict.fromkeys(values, source)}
    assumed = tuple(name for name in machine.assumed if name.partition(".")[0] not in values)
    return machine.replace(**values, sources=sources, assumed=assumed)


def _values(machine: Machine, fact: str, value: Any) -> dict[str, Any]:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    read = getattr(machine, fact)
    if read is not None and fact not in machine.assumed:
        # beside sets that were read those that are not known to be absent
        names = own_sets(value, machine.architecture) if fact == "instruction_sets" else ()
        unread = {each.fact for each in machine.unread}
        added = [name for name in names if f"{fact}.{name}" in unread]
        return {fact: (*read, *added)} if added else {}
    match fact:
        case "memory_total_bytes":
            limit = machine.memory_limit_bytes
            return {fact: value, "memory_limit_bytes": min(value, limit or value)}
        case "instruction_sets":
            # a class may hold machines of several architectures: each gets those of its own
            names = own_sets(value, machine.architecture)
            is_of_others = value and not names
            return {} if is_of_others else {fact: with_implied(names, machine.architecture)}
        case "disks":
            return {fact: filled_disks(machine.disks, value)}
        case "memory_bandwidth_bytes_per_second":
            how = {"memory_bandwidth_how": None, "memory_bandwidth_bound": None}
            return {fact: value[0], **how}
    return {fact: value}


# ------------------------------------------------------------------ pseudonyms

# of a pseudonym in letters, of which 100,000 collide once in 10^5 runs
_LETTERS = 12


def anonymous(fleet: Fleet, files: Iterable[str]) -> Fleet:
    """The fleet with machines that are called by a hash of their names, under a key that is made
    anew for each run and kept nowhere; no text has such a name, or that of one of the files.
    """
    from hashlib import blake2b

    key = os.urandom(32)

    def pseudonym(name: str) -> str:
        digest = blake2b(name.encode("utf-8", "surrogatepass"), key=key, digest_size=16)
        return f"machine-{digest.hexdigest()[:_LETTERS]}"

    secrets = {*fleet.machines.names, *files}
    secrets |= {each.message.partition(NOT_JUDGED)[0] for each in (*fleet.problems, *fleet.down)}
    longest_first = sorted(secrets, key=len, reverse=True)

    def hidden(text: str | None) -> str | None:
        for name in longest_first if text else ():
            if text and name in text:
                text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", pseudonym(name), text)
        return text

    def nameless(problem: Problem) -> Problem:
        texts = {key: hidden(getattr(problem, key)) for key in ("file", "message", "remedy")}
        return problem.replace(**texts)

    fleet.machines.names = list(map(pseudonym, fleet.machines.names))
    return fleet.replace(
        problems=tuple(map(nameless, fleet.problems)),
        down=tuple(map(nameless, fleet.down)),
        notes=tuple(hidden(note) or "" for note in fleet.notes),
    )
