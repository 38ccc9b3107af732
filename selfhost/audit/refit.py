"""The machines of an audit as its policy has them: too old records left out, and facts that classes
state put where records have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ..core.errors import Faults, Problem
from ..core.records import Record
from ..core.tomlfile import Document
from ..machine.record import Machine
from .entries import MAX_POLICY_BYTES, Policy, StatedFact
from .fleet import Machines
from .groups import NAMES_SHOWN
from .stated import filled, sources_of
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
    fleet, problems, notes = _dated(policy, fleet, now)
    fleet, resting_notes = _serving(policy, fleet)
    filling = _Filling(policy)
    if filling.classes:
        fleet = Machines(map(filling.filled, fleet))
    return Refit(
        machines=fleet, problems=problems, notes=(*notes, *resting_notes, *filling.notes())
    )


def _some(machines: Machines, kept: Sequence[int]) -> Machines:
    """The machines of those numbers."""
    return Machines(machines[number] for number in kept)


# ------------------------------------------------------------------ the age of records


def _dated(
    policy: Policy, machines: Machines, now: str
) -> tuple[Machines, tuple[Problem, ...], tuple[str, ...]]:
    """The machines whose records the policy takes, by their age; problems of others, and notes."""
    names, times = machines.names, machines.times
    ages = _ages(times, now)
    ahead = {time for time, age in ages.items() if age is not None and age < -_AHEAD_SECONDS}
    aged = {time: age for time, age in ages.items() if age is not None and time not in ahead}
    oldest: tuple[float, str, str] | None = None
    if aged:
        time = max(aged, key=aged.__getitem__)
        oldest = aged[time], names[times.index(time)], time or ""
    dated_ahead = [
        (name, time or "") for name, time in zip(names, times, strict=True) if time in ahead
    ]
    refused = {
        time: why
        for time, age in ages.items()
        if (why := _too_old(policy.max_age_seconds, age, time)) is not None
    }
    unjudged = [
        (name, refused[time]) for name, time in zip(names, times, strict=True) if time in refused
    ]
    if unjudged:
        kept = [number for number, time in enumerate(times) if time not in refused]
        machines = _some(machines, kept)
    return machines, _by_their_age(policy, unjudged), tuple(_of_ages(oldest, dated_ahead))


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


def _serving(policy: Policy, machines: Machines) -> tuple[Machines, tuple[str, ...]]:
    """The machines that the policy has judged, and a sentence on those that take no new work."""
    kept: list[int] = []
    out: list[str] = []
    for number, (name, labels) in enumerate(zip(machines.names, machines.labels, strict=True)):
        why = resting(labels) if labels else None
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


# ------------------------------------------------------------------ facts of classes


class _Filling:
    """The facts of a policy while machines get them."""

    def __init__(self, policy: Policy) -> None:
        self.classes = [each for each in policy.classes if each.facts]
        self._sources = _sources(policy) if self.classes else {}
        # on how many machines each fact counts, by key and source
        self._counts: dict[tuple[str, str], int] = {}

    def filled(self, machine: Machine) -> Machine:
        """The machine with the facts: of each key that of the first class that states it."""
        stated: dict[str, tuple[StatedFact, str]] = {}
        for each in self.classes:
            if each.holds(machine) is True:
                for fact in each.facts:
                    stated.setdefault(fact.key, (fact, self._sources[each.name][fact.key]))
        changed, used = filled(machine, stated)
        for key in used:
            own = key, stated[key][1]
            self._counts[own] = self._counts.get(own, 0) + 1
        return changed

    def notes(self) -> Iterator[str]:
        """A sentence for each fact that counts."""
        for each in self.classes:
            for fact in each.facts:
                source = self._sources[each.name][fact.key]
                count = self._counts.get((fact.key, source), 0)
                if count:
                    machines = "1 machine" if count == 1 else f"{count:,} machines"
                    instead = ", in place of what was read" if fact.overrides else ""
                    yield f"{fact.key} of {machines}: {fact.text}, {source}{instead}"


def _sources(policy: Policy) -> Mapping[str, Mapping[str, str]]:
    """By class what records say of the source of each of its facts: the line in the policy."""
    document = Document.parse(policy.file, policy.text.encode(), max_bytes=MAX_POLICY_BYTES)
    sources = {}
    for index, each in enumerate(policy.classes):
        if each.facts:
            line = document.line(("class", index, "facts"))
            place = policy.file if line is None else f"{policy.file}:{line}"
            sources[each.name] = sources_of(each.facts, each.name, place)
    return sources
