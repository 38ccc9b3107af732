"""The machines of a fleet as a policy judges them.

What goes in: the machines that were read. What comes out: those that serve, with the facts that
the policy states for their classes, and notes on machines at rest, old records and stated facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core import units
from ..core.errors import Problem, first_problems
from ..machine.changes import filled_disks
from ..machine.instruction_sets import possible_sets, with_implied
from ..machine.record import FactValues, Machine
from .answers import systems_table
from .drafts import NOT_JUDGED
from .kinds import Machines
from .machines import Fleet
from .policy import FACT_KEYS, MachineClass, Policy
from .rows import listed


class Serving(NamedTuple):
    """The machines to judge, notes on those that are not judged or take no new work, and faults of
    those that are down.
    """

    machines: Machines
    notes: list[str]
    problems: list[Problem]


def serving_machines(policy: Policy, fleet: Fleet) -> Serving:
    """The machines of a fleet that a policy judges: where it says so, all that take new work."""
    is_skipped = policy.out_of_service == "skip"
    machines = fleet.machines
    reasons = [_why_resting(machine.labels) for machine in machines.kept]
    resting = []
    for name, reason in zip(machines.names, reasons, strict=True):
        if reason:
            resting.append(f'"{name}" ({reason})')
    problems = list(fleet.problems)
    note = "machines that accept no new work"
    if is_skipped:
        for problem in fleet.down:
            name, _, reason = problem.message.partition(NOT_JUDGED)
            resting.append(f'"{name}" ({reason})')
        machines = _without(machines, reasons)
        note = f"{note}, and the policy leaves them out"
    elif fleet.down:
        problems += first_problems(fleet.down[0].file, fleet.down)
    notes = [f"{note}: {listed(resting)}"] if resting else []
    return Serving(machines, notes, problems)


def _why_resting(labels: Mapping[str, str]) -> str:
    """The words of a machine's labels that say that it takes no new work; empty for none."""
    resting_words = systems_table().resting
    found = []
    for key, text in labels.items():
        if key.endswith(".state"):
            words = text.lower().split(",")
            found += [word for word in words if word in resting_words]
    return ", ".join(found)


def _without(machines: Machines, reasons: Iterable[str]) -> Machines:
    """The machines without those that have a reason."""
    kept = Machines()
    for machine, reason in zip(machines, reasons, strict=True):
        if not reason:
            kept.add(machine)
    return kept


# ------------------------------------------------------------------------------------------- days


class _Moment(NamedTuple):
    """When a machine was recorded, in UTC."""

    time: datetime
    name: str

    @property
    def day(self) -> str:
        return self.time.date().isoformat()


def notes_of_days(machines: Machines, today: str) -> list[str]:
    """Where the oldest record is of another day than today (UTC), and which are of a later one."""
    moments = _moments(machines)
    if not moments:
        return []
    notes = []
    oldest = min(moments)
    if oldest.day < today:
        notes.append(
            f'the oldest record is that of "{oldest.name}", read on {oldest.day}'
        )
    newest = max(moments)
    if newest.day > today:
        others = sum(moment.day > today for moment in moments) - 1
        also = ""
        if others:
            also = f" (and {units.plural(others, 'more record')} of a later day)"
        notes.append(
            f'"{newest.name}" was recorded on {newest.day}, which is after today{also}:'
            " check that machine's clock"
        )
    return notes


def _moments(machines: Machines) -> list[_Moment]:
    """The moments of all records that have one that is a moment in UTC."""
    moments = []
    for machine in machines.kept:
        try:
            time = datetime.fromisoformat(machine.read_at or "").astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        moments.append(_Moment(time, machine.name))
    return moments


# ------------------------------------------------------------------------------------ stated facts


class _StatingClass(NamedTuple):
    """A class of the policy that states facts, and the source of these in a record."""

    machine_class: MachineClass
    source: str


class _FactOfClass(NamedTuple):
    """A fact that a class states: how it is written, its value and its source."""

    text: str
    value: Any
    source: str


def with_stated_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, and a sentence for each that counts."""
    classes = _stating_classes(policy)
    if not classes:
        return machines, []
    # by key, text and source
    counts: Counter[tuple[str, str, str]] = Counter()
    completed = Machines()
    for machine in machines:
        changed = machine
        for key, stated in _stated_for(machine, classes).items():
            values = _missing_facts(changed, key, stated.value)
            if values:
                changed = changed.stated(values, stated.source)
                counts[key, stated.text, stated.source] += 1
        completed.add(changed)
    notes = []
    for (key, text, source), count in counts.items():
        number = units.plural(count, "machine")
        notes.append(f"{key} of {number}: {text}, {source}")
    return completed, notes


def _stating_classes(policy: Policy) -> list[_StatingClass]:
    """The classes that state facts, in the policy's order."""
    classes = []
    document = policy.document()
    for index, machine_class in enumerate(policy.classes):
        if machine_class.facts:
            line = document.line(("class", index, "facts"))
            place = f"{policy.file}:{line} (class {machine_class.name})"
            source = f"stated by the policy, {place}"
            classes.append(_StatingClass(machine_class, source))
    return classes


def _stated_for(
    machine: Machine, classes: Iterable[_StatingClass]
) -> dict[str, _FactOfClass]:
    """What the classes of a machine state, by key: the first of several counts."""
    stated: dict[str, _FactOfClass] = {}
    for machine_class, source in classes:
        if machine_class.holds(machine):
            for key, (text, value) in machine_class.facts.items():
                stated.setdefault(key, _FactOfClass(text, value, source))
    return stated


def _missing_facts(
    machine: Machine,
    key: str,
    value: Any,
) -> FactValues:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    fact, _ = FACT_KEYS[key]
    is_read = getattr(machine, fact) is not None and fact not in machine.assumed
    if key == "instruction_sets":
        return _missing_sets(machine, value, is_read=is_read)
    if is_read:
        return {}
    if key == "bandwidth":
        return {
            fact: value.bytes_per_second,
            "memory_bandwidth_how": None,
            "memory_bandwidth_bound": None,
        }
    if key == "disk":
        value = filled_disks(machine.disks, value)
    return {fact: value}


def _missing_sets(
    machine: Machine,
    stated: tuple[str, ...],
    *,
    is_read: bool,
) -> FactValues:
    """The instruction sets of a machine with those that its class states."""
    # a class may hold machines of several architectures: each gets those of its own
    names = possible_sets(stated, machine.architecture)
    sets: Iterable[str] = with_implied(names, machine.architecture)
    if is_read:
        # only those that may be there, too, although they were not read
        unread = {entry.fact for entry in machine.unread}
        names = tuple([name for name in names if f"instruction_sets.{name}" in unread])
        sets = (*(machine.instruction_sets or ()), *names)
    return {"instruction_sets": tuple(sets)} if names else {}
