"""Every entry of a policy on every machine: few are judged one by one, of many the machines of one
kind together, shared by processes.

No finding gets better when a machine has less memory, disk or bandwidth. So where a machine made of
the worst of each number of several and one made of the best have the same deciding findings, all
between have them; else the machines are split in two. What is free of an accelerator decides where
layers lie, and with that what the RAM must hold: machines that differ in it are never taken
together.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby
from math import log2

from ..core.errors import SelfhostError
from ..core.records import Record
from ..judge.checks import Outcome
from ..judge.record import Verdict
from ..machine.record import Machine
from .entries import Policy, Wanted
from .fleet import BANDWIDTH, Machines, Numbers, Slot, with_numbers
from .record import (
    NAMES_SHOWN,
    Change,
    Exceptions,
    MachineGroup,
    Result,
    Row,
    Tally,
    row_of,
    unplaced_row,
)

# gives the verdict of one entry, under the basis of memory that holds there, on one machine
Judge = Callable[[Wanted, str, Machine], Verdict]
# is told the part that is done of so many verdicts
Tell = Callable[[float, int], None]

# judgements of one task: about half a second
_WORK_OF_TASK = 500.0
# the numbers that a check rests on, by the first word of their slots
_RESTS_ON = {"disk": "disks", "speed": BANDWIDTH}

# what decides of a verdict: the route, what is loaded by what, and the check, outcome and code
# of each deciding finding
Key = tuple[str, str | None, str | None, str | None, tuple[tuple[str, str, str], ...]]
# an entry, the numbers of the exceptions that concern these machines, and the places of their rows
Asked = tuple[Wanted, tuple[int, ...], Sequence[int]]
# what the machine that lacks most lacks, the place of its row, and the places of all
Sorted = tuple[Key, float, int, "array[int]"]
# what one entry of a task comes to
Outcomes = list[Sorted] | SelfhostError


class Alike:
    """Machines with the same result for the same reasons under one entry of the policy. `row` is
    that of the one that lacks most, `rows` have those of machines that were judged by themselves,
    by number, and `exceptions` are the numbers of those for what decides there.

    `hardest`: of machines judged together what the one that lacks most lacks, and its number less
    than zero.
    """

    def __init__(self, exceptions: tuple[int, ...]) -> None:
        self.exceptions = exceptions
        self.count = 0
        self.rows: dict[int, Row] = {}
        self.row: Row | None = None
        self.hardest: tuple[float, int] | None = None

    def hold(self, row: Row, number: int | None = None) -> None:
        """Keep the row, of the machine with that number."""
        if number is not None:
            self.rows[number] = row
        if self.row is None or row.shortfall > self.row.shortfall:
            self.row = row


class Entry:
    """The machines that one entry of the policy is for, by what decides. `class_of` has of each
    machine the number of its class from 1, and 0 where the entry is not for it.
    """

    def __init__(self, wanted: Wanted, machines: int) -> None:
        self.wanted = wanted
        self.classes: list[Alike] = []
        self.class_of = array("l", [0]) * machines
        self._by_key: dict[object, int] = {}

    def alike(self, number: int, key: object, exceptions: tuple[int, ...] = ()) -> Alike:
        """The machines with that key, with this one among them."""
        place = self._by_key.setdefault((key, exceptions), len(self.classes))
        if place == len(self.classes):
            self.classes.append(Alike(exceptions))
        self.class_of[number] = place + 1
        self.classes[place].count += 1
        return self.classes[place]


class Rows:
    """Every row of an audit, machine after machine. That of a machine that was not judged by itself
    has the verdict of one that fares alike and lacks most.

    `are_alone`: each was judged by itself, so that groups can hold all models together.
    """

    def __init__(self, names: Sequence[str], entries: Sequence[Entry], *, are_alone: bool) -> None:
        self._names, self._entries, self._are_alone = names, entries, are_alone

    def _row(self, entry: Entry, number: int) -> Row | None:
        if not (place := entry.class_of[number]):
            return None
        alike, name = entry.classes[place - 1], self._names[number]
        row = alike.rows.get(number, alike.row)
        assert row is not None
        return row if row.machine == name else row.replace(machine=name)

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self._names)):
            for entry in self._entries:
                if (row := self._row(entry, number)) is not None:
                    yield row

    def tally(self) -> Tally:
        """What all rows come to."""
        results: dict[str, int] = {}
        codes = set()
        for alike in (alike for entry in self._entries for alike in entry.classes):
            assert alike.row is not None
            results[alike.row.result] = results.get(alike.row.result, 0) + alike.count
            codes.add(alike.row.exit_code)
        return Tally(results=results, codes=frozenset(codes))

    def changed(self, change_of: Callable[[Row], Change | None]) -> Rows:
        """Those rows alone of which that tells a change, with it. What is not newly wrong breaks
        nothing.
        """
        entries = []
        for entry in self._entries:
            kept = Entry(entry.wanted, len(self._names))
            for number, place in enumerate(entry.class_of):
                row = self._row(entry, number)
                if row is not None and (change := change_of(row)):
                    exit_code = row.exit_code if change is Change.NEW else 0
                    row = row.replace(change=change, exit_code=exit_code)
                    own = kept.alike(number, (place, change))
                    own.hold(row, number if self._are_alone else None)
            entries.append(kept)
        return Rows(self._names, entries, are_alone=self._are_alone)

    def groups(self) -> Iterator[MachineGroup]:
        """Machines that fare alike under all models; of a large fleet, under each, whatever else
        than the checks that decide differs.
        """
        if self._are_alone:
            keys = zip(*[entry.class_of for entry in self._entries], strict=True)
            yield from self._groups(self._entries, keys)
            return
        for entry in self._entries:
            rows = [alike.row for alike in entry.classes if alike.row is not None]
            key_of_place = [None, *map(_deciding, rows)]
            yield from self._groups([entry], (key_of_place[place] for place in entry.class_of))

    def _groups(self, entries: Sequence[Entry], keys: Iterable[object]) -> Iterator[MachineGroup]:
        """The machines with one key, with the row of each entry that lacks most."""
        by_key: dict[object, list[int]] = {}
        for number, key in enumerate(keys):
            by_key.setdefault(key, []).append(number)
        for machines in by_key.values():
            hardest = [self._hardest(entry, machines) for entry in entries]
            rows = tuple([row for row in hardest if row is not None])
            if rows:
                is_passing = all(row.result is Result.PASS for row in rows)
                shown = machines[: NAMES_SHOWN if is_passing else None]
                names = tuple([self._names[number] for number in shown])
                yield MachineGroup(names=names, count=len(machines), rows=rows)

    def _hardest(self, entry: Entry, machines: Sequence[int]) -> Row | None:
        if self._are_alone:
            rows = [self._row(entry, number) for number in machines]
        else:
            # each of a class has the row of the one that lacks most
            places = dict.fromkeys(entry.class_of[number] for number in machines)
            rows = [entry.classes[place - 1].row for place in places if place]
        own = [row for row in rows if row is not None]
        return max(own, key=lambda row: row.shortfall, default=None)


def _deciding(row: Row) -> object:
    excepted = tuple([(check, each.index) for check, each in row.excepted])
    texts = () if row.verdict is not None else tuple(map(str, row.reasons))
    return row.result, row.failed, row.undecided, excepted, row.change, texts


# ------------------------------------------------------------------ judging


class FleetJudge:
    """Judges the entries of a policy on machines, and keeps what each comes to. `tell` hears how
    much is done.
    """

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        exceptions: Exceptions,
        tell: Tell,
    ) -> None:
        self._policy, self._machines, self._judge = policy, machines, judge
        self._exceptions, self._tell = exceptions, tell
        self._entries = [Entry(wanted, len(machines)) for wanted in policy.models]
        # entries that cannot be judged, and those that are for one of the machines
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        self._basis_of: list[str] = []
        # by entry: of each machine that it is for the place in `_concerning`, from 1
        self._asked = [array("l", entry.class_of) for entry in self._entries]
        # the numbers of exceptions that concern a machine
        self._concerning: dict[tuple[int, ...], int] = {}
        for number in range(len(machines)):
            self._place(number)

    def _place(self, number: int) -> None:
        machine = self._machines[number]
        self._basis_of.append(self._policy.memory_basis(machine))
        for entry in self._entries:
            wanted = entry.wanted
            selected = self._policy.selects(wanted.machines, machine)
            if selected is False:
                continue
            self.placed.add(wanted.index)
            if selected is None:
                row = unplaced_row(self._policy, wanted, machine)
                entry.alike(number, tuple(map(str, row.reasons))).hold(row, number)
                continue
            numbers = self._exceptions.concerning(wanted.name, machine)
            place = self._concerning.setdefault(numbers, len(self._concerning) + 1)
            self._asked[wanted.index][number] = place

    def judge_all(self, *, are_alone: bool) -> Rows:
        """Judge each machine by itself, or those of a kind together; then of machines alike the one
        that lacks most by itself.
        """
        if are_alone:
            self._one_by_one()
        else:
            self._by_kind()
        for index in self.refused:
            self._entries[index] = Entry(self._entries[index].wanted, len(self._machines))
        for entry in self._entries:
            for alike in entry.classes:
                self._exceptions.count(alike.exceptions, alike.count)
                if alike.hardest is not None:
                    number = -alike.hardest[1]
                    verdict = self._verdict(entry.wanted, number)
                    alike.hold(self._row_of(entry.wanted, number, verdict, alike.exceptions))
        return Rows(self._machines.names, self._entries, are_alone=are_alone)

    def _verdict(self, wanted: Wanted, number: int) -> Verdict:
        return self._judge(wanted, self._basis_of[number], self._machines[number])

    def _row_of(
        self, wanted: Wanted, number: int, verdict: Verdict, exceptions: tuple[int, ...]
    ) -> Row:
        covers = self._exceptions.covers(exceptions)
        return row_of(self._policy, wanted, self._machines.names[number], verdict, covers)

    def _one_by_one(self) -> None:
        done, whole = 0, len(self._machines) * len(self._entries)
        concerning = list(self._concerning)
        for number in range(len(self._machines)):
            for entry in self._entries:
                self._tell(done / whole, whole)
                done += 1
                index = entry.wanted.index
                place = self._asked[index][number]
                if place and index not in self.refused:
                    try:
                        self._judge_alone(entry, number, concerning[place - 1])
                    except SelfhostError as error:
                        self.refused[index] = error

    def _judge_alone(self, entry: Entry, number: int, concerning: tuple[int, ...]) -> None:
        verdict = self._verdict(entry.wanted, number)
        key = key_of(verdict)
        own = self._exceptions.about(concerning, {check for check, _, _ in key[-1]})
        beside = tuple(
            (each.check, each.code, each.outcome)
            for each in verdict.findings
            if each.outcome is not Outcome.PASS and not each.decides
        )
        row = self._row_of(entry.wanted, number, verdict, own)
        entry.alike(number, (key, beside), own).hold(row, number)

    # ------------------------------------------------------------------ by kind

    def _by_kind(self) -> None:
        batches: dict[tuple[int, str], list[int]] = {}
        for number, basis in enumerate(self._basis_of):
            batches.setdefault((self._machines.kind_of[number], basis), []).append(number)
        tasks = [
            task
            for (kind, basis), batch in batches.items()
            for task in self._tasks(kind, basis, batch)
        ]
        whole, done = sum(task.work for task in tasks), 0.0
        verdicts = len(self._machines) * len(self._entries)
        for task, results in _judged(tasks, self._judge):
            for question, result in zip(task.entries, results, strict=True):
                self._take(question, task.machines, result)
            done += task.work
            self._tell(done / whole, verdicts)

    def _tasks(self, kind: int, basis: str, batch: Sequence[int]) -> Iterator[Task]:
        """The work of one batch, in tasks of about the same size."""
        template, slots = self._machines.kinds[kind]
        parts = _parts(slots, self._machines.numbers, batch)
        machines: list[int] = []
        work = 0.0
        for count, part in enumerate(parts, 1):
            machines += part
            work += _work(len(part)) * len(self._entries)
            if work <= _WORK_OF_TASK and count < len(parts):
                continue
            rows = tuple([self._machines.numbers[number] for number in machines])
            yield Task(
                template=template,
                slots=slots,
                basis=basis,
                machines=tuple(machines),
                rows=rows,
                entries=tuple(self._entries_of(machines)),
            )
            machines, work = [], 0.0

    def _entries_of(self, machines: Sequence[int]) -> Iterator[Asked]:
        """The entries for these machines, apart for those that the same exceptions concern."""
        concerning = list(self._concerning)
        for entry, numbers in zip(self._entries, self._asked, strict=True):
            places: dict[int, list[int]] = {}
            for place, number in enumerate(machines):
                places.setdefault(numbers[number], []).append(place)
            for number, own in places.items():
                if number:
                    yield entry.wanted, concerning[number - 1], own

    def _take(self, question: Asked, machines: Sequence[int], result: Outcomes) -> None:
        wanted, concerning, _ = question
        if isinstance(result, SelfhostError):
            self.refused.setdefault(wanted.index, result)
            return
        for key, lacking, hardest, places in result:
            own = self._exceptions.about(concerning, {check for check, _, _ in key[-1]})
            for place in places:
                alike = self._entries[wanted.index].alike(machines[place], key, own)
            rank = lacking, -machines[hardest]
            alike.hardest = max(alike.hardest or rank, rank)


def key_of(verdict: Verdict) -> Key:
    """What decides of a verdict."""
    loaded = verdict.workload
    deciding = tuple(
        (each.check, each.outcome.value, each.code) for each in verdict.findings if each.decides
    )
    return verdict.route, loaded.runtime, loaded.format, loaded.quantization, deciding


# ------------------------------------------------------------------ machines of one kind


class Task(Record):
    """Machines of one kind to be judged for entries of the policy under one basis of memory, with
    their numbers.
    """

    template: Machine
    slots: tuple[Slot, ...]
    basis: str
    machines: tuple[int, ...]
    rows: tuple[Numbers, ...]
    entries: tuple[Asked, ...]

    @property
    def work(self) -> float:
        """About how many judgements it takes."""
        sizes = [(wanted, len(places)) for wanted, _, places in self.entries]
        return sum(size if wanted.members else _work(size) for wanted, size in sizes)

    def results(self, judge: Judge) -> list[Outcomes]:
        """What each entry comes to."""
        results: list[Outcomes] = []
        for wanted, _, places in self.entries:
            # what lies on which accelerator beside other models follows no order of the machines'
            # numbers
            alone = [[place] for place in places]
            boxes = alone if wanted.members else _parts(self.slots, self.rows, places)
            decide = cache(partial(self._decide, wanted, judge))
            try:
                results.append(self._sorted(boxes, decide))
            except SelfhostError as error:
                results.append(error)
        return results

    def _decide(self, wanted: Wanted, judge: Judge, row: Numbers) -> tuple[Key, float]:
        verdict = judge(wanted, self.basis, with_numbers(self.template, self.slots, row))
        lacks = [each.short or 0.0 for each in verdict.findings if each.decides]
        return key_of(verdict), max(lacks, default=0.0)

    def _sorted(
        self, boxes: list[list[int]], decide: Callable[[Numbers], tuple[Key, float]]
    ) -> list[Sorted]:
        """The places in these boxes, by what decides there."""
        by_key: dict[Key, array[int]] = {}
        lacks: dict[Key, float] = {}
        while boxes:
            box = boxes.pop()
            columns = list(zip(*[self.rows[place] for place in box], strict=True))
            worst, lacking = decide(tuple(map(min, columns)))
            best, _ = decide(tuple(map(max, columns)))
            if worst == best:
                by_key.setdefault(worst, array("l")).extend(box)
                lacks[worst] = max(lacks.get(worst, 0.0), lacking)
            else:
                checks = {check for check, _, _ in set(worst[-1]) ^ set(best[-1])}
                boxes += self._halves(box, {_RESTS_ON.get(check, "memory") for check in checks})
        results = []
        for key, places in by_key.items():
            candidates = self._with_least(places) if lacks[key] else [min(places)]
            most, place = max((decide(self.rows[place])[1], -place) for place in candidates)
            results.append((key, most, -place, places))
        return results

    def _with_least(self, places: Sequence[int]) -> list[int]:
        """The first with the least of each number: one of them lacks most."""
        columns = zip(*[self.rows[place] for place in places], strict=True)
        return list({places[column.index(min(column))] for column in columns}) or [min(places)]

    def _halves(self, box: list[int], wanted: set[str]) -> tuple[list[int], list[int]]:
        """The box in two, along the numbers that are wanted and of which it has most."""

        def rank(at: int) -> tuple[bool, bool, bool]:
            name = self.slots[at][0]
            differs = len({self.rows[place][at] for place in box}) > 1
            is_wanted = (name if name in _RESTS_ON.values() else "memory") in wanted
            # of memory the limit decides most often
            is_first = name in ("memory_limit_bytes", *_RESTS_ON.values())
            return is_wanted and differs, differs, is_first

        at = max(range(len(self.slots)), key=rank)
        numbers = sorted(self.rows[place][at] for place in box)
        middle = next(number for number in numbers[len(numbers) // 2 :] if number > numbers[0])
        below = [place for place in box if self.rows[place][at] < middle]
        return below, [place for place in box if self.rows[place][at] >= middle]


def _parts(
    slots: Sequence[Slot], rows: Sequence[Numbers], places: Sequence[int]
) -> list[list[int]]:
    """The places in parts whose rows have the same free memory of every accelerator."""
    cards = [at for at, slot in enumerate(slots) if slot[0] == "accelerators"]

    def free(place: int) -> Numbers:
        return tuple([rows[place][at] for at in cards])

    return [list(part) for _, part in groupby(sorted(places, key=free), free)]


def _work(count: int) -> float:
    """About how many judgements so many rows of a part take."""
    return 1 + 3 * log2(max(1, count))


# ------------------------------------------------------------------ processes


def _judged(tasks: Sequence[Task], judge: Judge) -> Iterator[tuple[Task, list[Outcomes]]]:
    """Each task with what its entries come to, in whatever order they are done."""
    processes = min(len(tasks), _processors())
    if processes < 2:
        for task in tasks:
            yield task, task.results(judge)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(judge,))
    try:
        waiting = {pool.submit(_results, task): task for task in tasks}
        for future in as_completed(waiting):
            yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise SelfhostError(
            "a process of this audit was ended from outside, perhaps for lack of memory",
            remedy="name fewer machines at a time",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _processors() -> int:
    """How many this process may use; more processes than 32 gain nothing."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(32, len(usable(0)) if usable else os.cpu_count() or 1)


# what judges in this process, one of a pool
_judges: list[Judge] = []


def _begin(judge: Judge) -> None:
    import signal

    # an interrupt is for the process that began this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _judges[:] = [judge]


def _results(task: Task) -> list[Outcomes]:
    return task.results(_judges[0])
