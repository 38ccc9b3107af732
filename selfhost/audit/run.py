"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, and all faults; and
what changed since an earlier audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from ..core.errors import InputError, Problem, SelfhostError, first_problems
from ..core.files import Unreadable, read_file, text_of
from ..core.json_text import parse
from ..core.records import Record
from ..core.tables import shipped_table
from ..machine.changes import filled_disks, own_sets, with_implied
from ..machine.record import Machine
from .fleet_judge import FleetJudge, Judge
from .judging import entries_of_others, entry_problems
from .machines import RECORD_IT, Fleet, Machines
from .policy import FACT_KEYS, MachineClass, Policy
from .rows import Audit, Exceptions, Result, Row, Since, listed
from .systems.facts import NOT_JUDGED

# a row is judged where one of them was held against the machine
_SIZES = frozenset(("memory", "disk"))


def run_audit(
    policy: Policy,
    fleet: Fleet,
    judge: Judge,
    *,
    today: str,
    progress: Progress | None = None,
    baseline: Baseline | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it.

    `judge` takes the policy's entry, the basis of memory and the machine; a `SelfhostError` of it
    becomes a problem at the policy's line. Of many machines it is called in other processes, and
    must be one that can be pickled. `today` is `YYYY-MM-DD` in UTC. With a baseline the audit holds
    what changed since. Raises `SelfhostError` where it takes too long.
    """
    machines, notes, problems = _in_service(policy, fleet)
    machines, stated = _with_facts(policy, machines)
    notes = [*fleet.notes, *_oldest(machines, today), *notes, *stated]
    exceptions = Exceptions(policy, today)
    judging = FleetJudge(policy, machines, judge, exceptions)
    judging.judge_all((progress or Progress(lambda _line: None)).judged)
    count = len(machines)
    if not count and not problems:
        message = "there is no machine to judge"
        problems.append(Problem(file=policy.file, message=message, remedy=RECORD_IT))
    problems += entry_problems(policy, count, judging.refused, judging.placed)
    others = [
        f"{wanted.name} ({' '.join(map(str, wanted.machines))})"
        for wanted in entries_of_others(policy, count, judging.placed)
    ]
    if others:
        notes.append(f"not asked of this machine, which is of another class: {listed(others)}")
    audit = Audit(
        policy=policy,
        today=today,
        names=machines.names,
        groups=tuple(judging.groups()),
        exceptions=exceptions.uses(),
        problems=tuple(problems),
        notes=tuple(notes),
    )
    audit = _with_blindness(audit)
    return audit if baseline is None else _since(audit, baseline, fleet, judging)


def _with_blindness(audit: Audit) -> Audit:
    """The audit; nothing judged is never green, whatever the policy lets pass."""
    rows = [group.row for group in audit.groups]
    if audit.exit_code != 0 or any(row.result is not Result.UNKNOWN for row in rows):
        return audit
    if any(row.verdict is not None and not {*row.undecided} >= _SIZES for row in rows):
        return audit
    nothing = Problem(
        file=audit.policy.file,
        message="nothing was judged: of no machine the memory or the disk was read",
        remedy=RECORD_IT,
    )
    return audit.replace(problems=(nothing,))


# ------------------------------------------------------------------ machines as the policy has them


def _in_service(policy: Policy, fleet: Fleet) -> tuple[Machines, list[str], list[Problem]]:
    """The machines that are judged, a note on those at rest, and what could not be used."""
    machines, problems = fleet.machines, [*fleet.problems]
    is_skipped = policy.out_of_service == "skip"
    reasons = [_why_resting(labels) for labels in machines.labels]
    pairs = [(name, why) for name, why in zip(machines.names, reasons, strict=True) if why]
    if is_skipped:
        pairs += [each.message.partition(NOT_JUDGED)[::2] for each in fleet.down]
        machines = Machines(each for each, why in zip(machines, reasons, strict=True) if not why)
    elif fleet.down:
        problems += first_problems(fleet.down[0].file, fleet.down)
    resting = [f'"{name}" ({why})' for name, why in pairs]
    left_out = ", and the policy leaves them out" if is_skipped else ""
    note = f"machines that take no new work{left_out}: {listed(resting)}"
    return machines, [note] if resting else [], problems


def _why_resting(labels: Mapping[str, str]) -> str:
    """Why a machine that runs takes no new work, in its system's words; empty where it does."""
    states = [text for key, text in labels.items() if key.endswith(".state")]
    resting = shipped_table("systems")["resting"] if states else ()
    return ", ".join(word for text in states for word in text.lower().split(",") if word in resting)


def _oldest(machines: Machines, today: str) -> list[str]:
    """The sentence on the oldest record, where it is of another day than today (UTC)."""
    days: list[tuple[str, str]] = []
    for name, time in zip(machines.names, machines.times, strict=True):
        with suppress(ValueError, OverflowError):
            day = datetime.fromisoformat(time or "").astimezone(UTC).date().isoformat()
            days.append((day, name))
    day, name = min(days, default=(today, ""), key=lambda pair: pair[0])
    return [f'the oldest record is that of "{name}", read on {day}'] if day < today else []


def _with_facts(policy: Policy, machines: Machines) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, and a sentence for each that counts."""
    document = policy.document()
    classes: list[tuple[MachineClass, str]] = []
    for index, each in enumerate(policy.classes):
        line = document.line(("class", index, "facts"))
        source = f"stated by the policy, {policy.file}:{line} (class {each.name})"
        classes += [(each, source)] if each.facts else []
    if not classes:
        return machines, []
    counts: Counter[tuple[str, str]] = Counter()
    changed = Machines()
    for machine in machines:
        stated: dict[str, tuple[str, Any, str]] = {}
        for each, source in classes:
            if each.holds(machine):
                for key, (text, value) in each.facts.items():
                    stated.setdefault(key, (text, value, source))
        for key, (text, value, source) in stated.items():
            if values := _filled(machine, key, value):
                sources = {**machine.sources, **dict.fromkeys(values, source)}
                assumed = [name for name in machine.assumed if name.partition(".")[0] not in values]
                machine = machine.replace(**values, sources=sources, assumed=tuple(assumed))
                counts[key, f"{text}, {source}"] += 1
        changed.add(machine)
    machines_of = {1: "1 machine"}
    return changed, [
        f"{key} of {machines_of.get(count, f'{count:,} machines')}: {said}"
        for (key, said), count in counts.items()
    ]


def _filled(machine: Machine, key: str, value: Any) -> dict[str, Any]:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    fact, _ = FACT_KEYS[key]
    read = getattr(machine, fact)
    is_read = read is not None and fact not in machine.assumed
    if key == "instruction_sets":
        # a class may hold machines of several architectures: each gets those of its own
        names = own_sets(value, machine.architecture)
        if is_read:
            # beside sets that were read those that are not known to be absent
            unread = {each.fact for each in machine.unread}
            names = tuple(name for name in names if f"{fact}.{name}" in unread)
            return {fact: (*read, *names)} if names else {}
        return {fact: with_implied(names, machine.architecture)} if names else {}
    if is_read:
        return {}
    if key == "bandwidth":
        return {fact: value[0], "memory_bandwidth_how": None, "memory_bandwidth_bound": None}
    return {fact: filled_disks(machine.disks, value) if key == "disk" else value}


# ------------------------------------------------------------------ how long it takes

SECONDS_BETWEEN = 2.0
# a longer job is refused, unless it was asked for all the same
MOST_SECONDS = 15 * 60
# by what was done in so many seconds it is told how long the rest takes, for so much of the job
_LEAST_SECONDS = 5.0
_WATCHED_PART = 0.2


class Progress:
    """Says how far an audit is: nothing in its first two seconds, then a line every two.

    `say` takes a line without its end; `clock` gives seconds. `is_bounded`: a job that would take
    longer than MOST_SECONDS is refused.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
        *,
        is_bounded: bool = False,
    ) -> None:
        self._say, self._clock, self._is_bounded = say, clock, is_bounded
        self._next = clock() + SECONDS_BETWEEN
        # when the first things were judged, for which much is read once, and what part they were
        self._begun: tuple[float, float] | None = None

    def judged(self, part: float, verdicts: int) -> None:
        """That part of so many verdicts is given. Raises `SelfhostError`."""
        now = self._clock()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN
            self._say(f"judged {int(part * verdicts):,} of {verdicts:,} verdicts")
        if self._begun is None:
            self._begun = (now, part)
        elif self._is_bounded and part < _WATCHED_PART:
            seconds, done = now - self._begun[0], part - self._begun[1]
            if seconds >= _LEAST_SECONDS and done and seconds / done > MOST_SECONDS:
                raise SelfhostError(
                    f"the audit would take about {seconds / done / 60:,.0f} minutes",
                    remedy="name fewer models in the policy or fewer machines, or write --yes to"
                    " have all of them judged",
                )


# ------------------------------------------------------------------ since an earlier audit

# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = tuple(result.value for result in Result)
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"


class Baseline(Record):
    """What an earlier audit said: by machine and label each row's result, and the findings that
    failed.
    """

    file: str
    rows: Mapping[tuple[str, str], tuple[Result, frozenset[str]]]


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file and line."""
    rows: dict[tuple[str, str], tuple[Result, frozenset[str]]] = {}
    number = 0
    try:
        for line in text_of(read_file(path, MAX_BASELINE_BYTES, input_allowed=True)).splitlines():
            number += 1
            row = parse(line)
            if not isinstance(row, dict) or "schema" in row:
                raise Unreadable("is no row of an audit: JSON Lines have one object a line")
            if row.get("problem") is None:
                machine, label, result, failed = _checked(row)
                rows[machine, label] = result, failed
        if not rows:
            raise Unreadable("holds no row of an audit")
    except Unreadable as error:
        problem = error.problem(path, _WRITE_IT).replace(line=number or None)
        raise InputError([problem]) from None
    return Baseline(file=path, rows=rows)


def _checked(row: Mapping[str, Any]) -> tuple[str, str, Result, frozenset[str]]:
    """Machine, label, result and what failed. Raises `Unreadable`."""
    machine, label, result, failed = map(row.get, ("machine", "label", "result", "failed"))
    if not (isinstance(machine, str) and isinstance(label, str)):
        raise Unreadable("is no row of an audit: machine and label must be names")
    if result not in _RESULTS or not isinstance(failed, list):
        raise Unreadable(f"is no row of an audit: result is none of {', '.join(_RESULTS)}")
    return machine, label, Result(result), frozenset(map(str, failed))


def _since(audit: Audit, baseline: Baseline, fleet: Fleet, judging: FleetJudge) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0. A machine of the baseline that was not read is a problem.
    """
    faulty = {each.message.partition(NOT_JUDGED)[0] for each in (*audit.problems, *fleet.down)}
    seen = faulty.union(fleet.machines.names)
    message = f"{NOT_JUDGED}it is in the baseline, and not here any more"
    remedy = "bring its record back; if the machine is gone for good, write the baseline anew"
    gone = [
        Problem(file=baseline.file, message=f"{name}{message}", remedy=remedy)
        for name in dict.fromkeys(machine for machine, _ in baseline.rows)
        if name not in seen
    ]
    groups = tuple(judging.groups(lambda row: change_of(row, baseline)))
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.row.change or ""] += group.count
    changes = {change: counts[change] for change in ("new", "fixed", "changed")}
    unchanged = sum(group.count for group in audit.groups) - counts.total()
    return audit.replace(
        groups=groups,
        since=Since(file=baseline.file, unchanged=unchanged, **changes),
        problems=(*audit.problems, *first_problems(baseline.file, gone)),
    )


def change_of(row: Row, baseline: Baseline) -> str | None:
    """What became of a row since the baseline, where one that it lacks counts as a pass: `new` (it
    fails, or is unknown, and did not or was not; also where more findings fail), `fixed` (it failed
    or was unknown, and passes) or `changed`.
    """
    earlier, failed = baseline.rows.get((row.machine, row.wanted.label), (None, frozenset()))
    bad = (Result.FAIL, Result.UNKNOWN)
    if (earlier, failed) == (row.result, frozenset(row.failed)):
        return None
    if row.result not in bad:
        fixed = "fixed" if earlier in bad else "changed"
        return None if earlier is None else fixed
    fails_more = row.result is Result.FAIL and (
        earlier is not Result.FAIL or not failed.issuperset(row.failed)
    )
    return "new" if fails_more or earlier not in bad else "changed"
