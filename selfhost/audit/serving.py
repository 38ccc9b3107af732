"""The machines of a fleet in the form in which a policy judges them.

What goes in: the machines that were read. What comes out: the machines that serve models, with the
facts that the policy states for their classes, and notes on machines out of service, old records
and stated facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core import units
from ..core.errors import Problem, first_problems
from ..core.records import Record
from ..machine.changes import filled_disks
from ..machine.instruction_sets import possible_sets, with_implied
from ..machine.record import FactValues, Machine
from .answers import systems_table
from .drafts import NOT_JUDGED
from .kinds import Machines
from .machines import Fleet
from .policy import FACT_KEYS, Policy, StatedFact


class Serving(Record):
    """The machines to judge, with notes on machines that are not judged or take no new work, and
    faults of machines that are down.
    """

    machines: Machines
    notes: list[str]
    problems: list[Problem]


def serving_machines(policy: Policy, fleet: Fleet) -> Serving:
    """Return the machines of a fleet that a policy judges: all machines, or, if the policy leaves
    others out, the machines that take new work.
    """
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
    notes = [f"{note}: {units.listed(resting)}"] if resting else []
    return Serving(machines=machines, notes=notes, problems=problems)


def _why_resting(labels: Mapping[str, str]) -> str:
    """The words of a machine's labels that say that the machine takes no new work; empty where
    there are none.
    """
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
    """The time in UTC when a machine was recorded, and the machine's name."""

    time: datetime
    name: str

    @property
    def day(self) -> str:
        return self.time.date().isoformat()


def notes_of_days(machines: Machines, today: str) -> list[str]:
    """Return a note where the oldest record is of an earlier day than today (UTC), and a note on
    records of a later day.
    """
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
        notes.append(
            f'"{newest.name}" was recorded on {newest.day}, which is after today:'
            " check that machine's clock"
        )
    return notes


def _moments(machines: Machines) -> list[_Moment]:
    """The moments of all records whose time can be written in UTC."""
    moments = []
    for machine in machines.kept:
        try:
            time = datetime.fromisoformat(machine.read_at or "").astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        moments.append(_Moment(time, machine.name))
    return moments


# ------------------------------------------------------------------------------------ stated facts


def with_stated_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """Return the machines with the facts that their classes state, and a note for each fact that
    was used.
    """
    if not any(machine_class.facts for machine_class in policy.classes):
        return machines, []
    # the number of machines that got a fact, by the key, the text and the source of the fact
    counts: Counter[tuple[str, str, str]] = Counter()
    completed = Machines()
    for machine in machines:
        changed = machine
        for key, fact in _stated_facts(policy, machine).items():
            values = _missing_facts(changed, key, fact.value)
            if values:
                changed = changed.stated(values, fact.source)
                counts[key, fact.text, fact.source] += 1
        completed.add(changed)
    notes = []
    for (key, text, source), count in counts.items():
        number = units.plural(count, "machine")
        notes.append(f"{key} of {number}: {text}, {source}")
    return completed, notes


def _stated_facts(policy: Policy, machine: Machine) -> dict[str, StatedFact]:
    """The facts that classes state of a machine, by their keys. The first of several classes
    counts.
    """
    stated: dict[str, StatedFact] = {}
    for machine_class in policy.classes:
        if machine_class.facts and machine_class.holds(machine):
            for key, fact in machine_class.facts.items():
                stated.setdefault(key, fact)
    return stated


def _missing_facts(
    machine: Machine,
    key: str,
    value: Any,
) -> FactValues:
    """The facts that a stated fact adds to a machine; {} where the machine has them already."""
    fact = FACT_KEYS[key].fact
    is_read = getattr(machine, fact) is not None and fact not in machine.assumed
    if key == "instruction_sets":
        # a class may hold machines of several architectures: each gets only the sets of its
        # architecture
        names = possible_sets(value, machine.architecture)
        sets = with_implied(names, machine.architecture)
        if is_read:
            # a record may leave single sets unread: only these can be added
            unread = {entry.fact for entry in machine.unread}
            names = tuple(
                [name for name in names if f"instruction_sets.{name}" in unread]
            )
            sets = (machine.instruction_sets or ()) + names
        return {fact: sets} if names else {}
    if is_read:
        return {}
    if key == "bandwidth":
        stated: FactValues = value.facts
        return stated
    if key == "disk":
        value = filled_disks(machine.disks, value)
    return {fact: value}
