"""The machines of an audit as its policy has them: too old records left out, and facts that classes
state put where records have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from ..core.errors import Faults, Problem
from ..core.records import Record
from ..machine.record import Machine
from .entries import Policy, StatedFact
from .fleet import Machines
from .record import listed
from .stated import filled
from .systems import resting
from .systems.facts import NOT_JUDGED

DAY_SECONDS = 86_400
# clocks of machines differ: a record that much ahead is none of the future
_AHEAD_SECONDS = 3_600


class Refit(Record):
    """Machines as the policy has them, what is wrong with others, and sentences for the report."""

    machines: Machines
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def refit(policy: Policy, machines: Sequence[Machine], now: str) -> Refit:
    """`now` is the time of the audit, as `read_at` of a record writes it."""
    fleet = machines if isinstance(machines, Machines) else Machines(machines)
    ages = {time: _age(time, now) for time in dict.fromkeys(fleet.times)}
    notes = _oldest(fleet, ages)
    refused = {time: why for time, age in ages.items() if (why := _too_old(policy, age, time))}
    problems = _refusals(policy, fleet, refused) if refused else ()
    fleet = _without(fleet, [time in refused for time in fleet.times])
    why_resting = [resting(labels) if labels else None for labels in fleet.labels]
    pairs = zip(fleet.names, why_resting, strict=True)
    if names := [f'"{name}" ({reason})' for name, reason in pairs if reason is not None]:
        judged = "" if policy.judges_resting else ", and the policy leaves them out"
        notes.append(f"machines that take no new work{judged}: {listed(names)}")
    if not policy.judges_resting:
        fleet = _without(fleet, [why is not None for why in why_resting])
    if any(each.facts for each in policy.classes):
        fleet, more = _with_facts(policy, fleet)
        notes += more
    return Refit(machines=fleet, problems=problems, notes=tuple(notes))


def _without(machines: Machines, is_left_out: Sequence[bool]) -> Machines:
    if not any(is_left_out):
        return machines
    return Machines(machines[number] for number, is_out in enumerate(is_left_out) if not is_out)


# ------------------------------------------------------------------ the age of records


def _age(time: str | None, now: str) -> float | None:
    """In seconds; None for a record that has no time, or a day that is in no calendar."""
    if time is None:
        return None
    try:
        return datetime.fromisoformat(now).timestamp() - datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def _too_old(policy: Policy, age: float | None, time: str | None) -> str | None:
    """Why a record of that age is not judged; None where it is."""
    most_seconds, day = policy.max_age_seconds, (time or "")[:10]
    if most_seconds is None:
        return None
    if age is None:
        return "its record does not say when it was read, and the policy sets a max_age"
    if age < -_AHEAD_SECONDS:
        return f"its record was read on {day}, which is in the future"
    if age > most_seconds:
        return (
            f"its record was read on {day}, {_duration(age)} ago, and the policy takes none older"
            f" than {_duration(most_seconds)}"
        )
    return None


def _refusals(
    policy: Policy, machines: Machines, refused: Mapping[str | None, str]
) -> tuple[Problem, ...]:
    """The faults of machines that `max_age` leaves unjudged."""
    line = policy.document().line(("max_age",))
    faults = [
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
    return tuple(Faults(policy.file, faults).problems)


def _oldest(machines: Machines, ages: Mapping[str | None, float | None]) -> list[str]:
    """The sentence on the oldest record, where it is a day old or more."""
    age, time = max(((age, time) for time, age in ages.items() if age and time), default=(0.0, ""))
    if age < DAY_SECONDS:
        return []
    name = machines.names[machines.times.index(time)]
    return [f'the oldest record is that of "{name}", read on {time[:10]}, {_duration(age)} ago']


def _duration(seconds: float) -> str:
    """`1 day`, `7 days`, `12 hours`."""
    sizes = ((DAY_SECONDS, "day"), (3600, "hour"), (60, "minute"))
    size, word = next((each for each in sizes if seconds >= each[0]), sizes[-1])
    number = int(seconds) // size
    return f"{number:,} {word}{'' if number == 1 else 's'}"


# ------------------------------------------------------------------ facts of classes


def _with_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, of each key that of the first class that states
    it; and a sentence for each fact that counts.
    """
    document = policy.document()
    sources = {}
    for index, each in enumerate(policy.classes):
        line = document.line(("class", index, "facts"))
        place = policy.file if line is None else f"{policy.file}:{line}"
        sources[each.name] = f"stated by the policy, {place} (class {each.name})"
    counts: Counter[tuple[str, str]] = Counter()
    changed = []
    for machine in machines:
        stated: dict[str, tuple[StatedFact, str]] = {}
        for each in policy.classes:
            if each.facts and each.holds(machine):
                stated = {fact.key: (fact, sources[each.name]) for fact in each.facts} | stated
        machine, keys = filled(machine, stated)
        counts.update((key, stated[key][1]) for key in keys)
        changed.append(machine)
    notes = []
    for each in policy.classes:
        source = sources[each.name]
        for fact in each.facts:
            if count := counts[fact.key, source]:
                number = "1 machine" if count == 1 else f"{count:,} machines"
                instead = ", in place of what was read" if fact.overrides else ""
                notes.append(f"{fact.key} of {number}: {fact.text}, {source}{instead}")
    return Machines(changed), notes
