"""The machines of an audit as its policy has them: too old records left out, and facts that classes
state put where records have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ..core.errors import Faults, Problem
from ..core.records import Record
from ..core.tomlfile import Document
from ..machine.record import Machine
from .entries import MAX_POLICY_BYTES, Policy, StatedFact
from .fleet import Machines
from .groups import NAMES_SHOWN
from .stated import filled
from .systems import NOT_JUDGED, resting

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
    ages = _ages(fleet.times, now)
    notes = [*_of_ages(fleet, ages)]
    refused = {time: why for time, age in ages.items() if (why := _too_old(policy, age, time))}
    problems = _of_refused(policy, fleet, refused) if refused else ()
    fleet = _without(fleet, [time in refused for time in fleet.times])
    why_out = [resting(labels) if labels else None for labels in fleet.labels]
    notes += _of_resting(policy, fleet, why_out)
    if not policy.judges_resting:
        fleet = _without(fleet, [why is not None for why in why_out])
    facts = _Facts(policy)
    if facts.classes:
        fleet = Machines(map(facts.fill, fleet))
    return Refit(machines=fleet, problems=problems, notes=(*notes, *facts.notes()))


def _without(machines: Machines, is_left_out: Sequence[bool]) -> Machines:
    if not any(is_left_out):
        return machines
    return Machines(machines[number] for number, is_out in enumerate(is_left_out) if not is_out)


# ------------------------------------------------------------------ the age of records


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


def _too_old(policy: Policy, age: float | None, time: str | None) -> str | None:
    """Why a record of that age is not judged; None where it is."""
    most_seconds = policy.max_age_seconds
    if most_seconds is None:
        return None
    if age is None:
        return "its record does not say when it was read, and the policy sets a max_age"
    if age < -_AHEAD_SECONDS:
        return f"its record was read on {_day(time)}, which is in the future"
    if age > most_seconds:
        return (
            f"its record was read on {_day(time)}, {_long(int(age))} ago, and the policy takes none"
            f" older than {_long(most_seconds)}"
        )
    return None


def _of_refused(
    policy: Policy, machines: Machines, refused: Mapping[str | None, str]
) -> tuple[Problem, ...]:
    """The faults of machines that `max_age` leaves unjudged."""
    document = Document.parse(policy.file, policy.text.encode(), max_bytes=MAX_POLICY_BYTES)
    line = document.line(("max_age",))
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


def _of_ages(machines: Machines, ages: Mapping[str | None, float | None]) -> Iterator[str]:
    """Sentences on records that are a day old or more, and on such as are dated in the future."""
    known = {time: age for time, age in ages.items() if age is not None}
    past = {time: age for time, age in known.items() if age >= -_AHEAD_SECONDS}
    oldest = max(past, key=past.__getitem__, default=None)
    if oldest is not None and past[oldest] >= DAY_SECONDS:
        name = machines.names[machines.times.index(oldest)]
        ago = f"{_long(int(past[oldest]))} ago"
        yield f'the oldest record is that of "{name}", read on {_day(oldest)}, {ago}'
    if len(past) < len(known):
        pairs = zip(machines.names, machines.times, strict=True)
        ahead = [(name, time) for name, time in pairs if time in known and time not in past]
        name, time = ahead[0]
        more = f" and {len(ahead) - 1:,} more" if len(ahead) > 1 else ""
        yield f'dated in the future: the record of "{name}" ({_day(time)}){more}'


def _day(time: str | None) -> str:
    return (time or "")[:10]


def _long(seconds: int) -> str:
    """`1 day`, `7 days`, `12 hours`."""
    sizes = ((DAY_SECONDS, "day"), (3600, "hour"), (60, "minute"))
    size, word = next((each for each in sizes if seconds >= each[0]), sizes[-1])
    number = seconds // size
    return f"{number:,} {word}{'' if number == 1 else 's'}"


# ------------------------------------------------------------------ what takes no new work


def _of_resting(policy: Policy, machines: Machines, why_out: Sequence[str | None]) -> list[str]:
    """A sentence on the machines that take no new work."""
    pairs = zip(machines.names, why_out, strict=True)
    out = [f'"{name}" ({why})' for name, why in pairs if why is not None]
    if not out:
        return []
    more = f" and {len(out) - NAMES_SHOWN:,} more" if len(out) > NAMES_SHOWN else ""
    one, many = ("1 machine takes", "it"), (f"{len(out):,} machines take", "them")
    take, them = one if len(out) == 1 else many
    judged = "" if policy.judges_resting else f", and the policy leaves {them} out"
    return [f"{take} no new work{judged}: {', '.join(out[:NAMES_SHOWN])}{more}"]


# ------------------------------------------------------------------ facts of classes


class _Facts:
    """The facts that classes of a policy state, and on how many machines each counts."""

    def __init__(self, policy: Policy) -> None:
        self.classes = [each for each in policy.classes if each.facts]
        self._sources: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        if self.classes:
            document = Document.parse(policy.file, policy.text.encode(), max_bytes=MAX_POLICY_BYTES)
            for index, each in enumerate(policy.classes):
                line = document.line(("class", index, "facts"))
                place = policy.file if line is None else f"{policy.file}:{line}"
                self._sources[each.name] = f"stated by the policy, {place} (class {each.name})"

    def fill(self, machine: Machine) -> Machine:
        """The machine with the facts: of each key that of the first class that states it."""
        stated: dict[str, tuple[StatedFact, str]] = {}
        for each in self.classes:
            if each.holds(machine) is True:
                for fact in each.facts:
                    stated.setdefault(fact.key, (fact, self._sources[each.name]))
        changed, used = filled(machine, stated)
        self._counts.update((key, stated[key][1]) for key in used)
        return changed

    def notes(self) -> Iterator[str]:
        """A sentence for each fact that counts."""
        for each in self.classes:
            source = self._sources[each.name]
            for fact in each.facts:
                if count := self._counts[fact.key, source]:
                    machines = "1 machine" if count == 1 else f"{count:,} machines"
                    instead = ", in place of what was read" if fact.overrides else ""
                    yield f"{fact.key} of {machines}: {fact.text}, {source}{instead}"
