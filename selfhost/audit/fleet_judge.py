"""Every entry of a policy on every machine: the machines of one kind together, shared by processes.

No finding gets better when a machine has less memory, disk or bandwidth. So where a machine made of
the worst of each number of several and one made of the best have the same deciding findings, all
between have them; else the machines are split in two. What is free of an accelerator decides where
layers lie, and with that what the RAM must hold: machines that differ in it are never taken
together. A few machines are judged one by one.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from math import log2
from time import monotonic

from ..core.errors import SelfhostError
from ..core.records import Record
from ..judge.record import Verdict
from ..machine.record import BANDWIDTH, Machine
from .machines import Machines, Numbers, Slot, with_numbers
from .policy import Policy, Wanted
from .rows import Exemptions, Group, Row, row_of, unplaced_row

# hears how much is done, and of how much
Tell = Callable[[float, float], None]
# gives the verdict of one entry, under the basis of memory that holds there, on one machine
Judge = Callable[[Wanted, str, Machine], Verdict]
# why a model's name means none; None of every other
NameCheck = Callable[[str], SelfhostError | None]
# what decides of a verdict: the route, what is loaded by what, and the check, outcome and code
# of each deciding finding
Key = tuple[str, str | None, str | None, str | None, tuple[tuple[str, str, str], ...]]
# what decides, the most that a machine lacks, minus the number of that machine, and all numbers
Sorted = tuple[Key, float, int, list[int]]
Outcomes = list[Sorted] | SelfhostError

# judgements of one task: about half a second
_WORK_OF_TASK = 500.0
# questions of one task: a policy may have tens of thousands
_MOST_QUESTIONS = 250
# up to so many machines are judged one by one
_FEW = 4
# a policy with more questions that cannot be judged is judged no further
MOST_REFUSED = 1_000
# the numbers that a check rests on, by the first word of their slots
_RESTS_ON = {"disk": "disks", "speed": BANDWIDTH}
# by the first word of a slot, which of them it is; memory all others
_KINDS = {name: name for name in _RESTS_ON.values()}


class Alike:
    """Machines that fare alike under one entry; `hardest`: the most that one lacks, and which."""

    def __init__(
        self, wanted: Wanted, exceptions: tuple[int, ...] = (), row: Row | None = None
    ) -> None:
        self.wanted, self.exceptions, self.row = wanted, exceptions, row
        self.numbers = array("l")
        self.hardest: tuple[float, int] | None = None


# an entry of the policy that asks a question: its index, and the exceptions on the machine
Asking = tuple[int, tuple[int, ...]]


class FleetJudge:
    """Judges a policy's entries: `placed` are for a machine, `refused` could not be judged. Entries
    that ask the same are judged once. `is_cut_off`: so many were refused that others were not
    looked at.
    """

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        exceptions: Exemptions,
        check_name: NameCheck | None = None,
    ) -> None:
        self._policy, self._machines, self._judge = policy, machines, judge
        self._exceptions = exceptions
        self._check_name = check_name
        self.refused: dict[int, SelfhostError] = {}
        self.is_cut_off = False
        self.placed: set[int] = set()
        # by entry the first that asks the same
        first_by_question: dict[object, int] = {}
        self._first = [
            first_by_question.setdefault(wanted.question, wanted.index)
            for wanted in policy.models
        ]
        self._alike: dict[tuple[int, object, tuple[int, ...]], Alike] = {}
        # by question and machine, for entries that ask the same
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        # numbers of machines by kind, basis of memory, and entries with the exceptions there
        self._batches: dict[tuple[int, str, tuple[Asking, ...]], list[int]] = {}
        for number, machine in enumerate(machines):
            entries = []
            for wanted in policy.models:
                selected = policy.selects(wanted.machines, machine)
                if selected is False:
                    continue
                self.placed.add(wanted.index)
                if selected is None:
                    row = unplaced_row(policy, wanted, machine)
                    alike = wanted.index, row.reasons, ()
                    unplaced = self._alike.setdefault(alike, Alike(wanted, row=row))
                    unplaced.numbers.append(number)
                else:
                    entries.append(
                        (wanted.index, exceptions.concerning(wanted.name, machine))
                    )
            key = machines.kind_of[number], policy.memory_basis(machine), tuple(entries)
            self._batches.setdefault(key, []).append(number)

    def judge_all(self, tell: Tell) -> None:
        """Judge each entry where it is asked for; `tell` hears how many verdicts are given, and of
        how many.
        """
        self._refuse_unknown_names()
        if self.is_cut_off:
            self._alike.clear()
            return
        tasks = [*self._tasks()]
        whole, done = sum(task.work for task in tasks), 0.0
        verdicts, rules = (
            len(self._machines) * len(self._policy.models),
            self._policy.exceptions,
        )
        refused: set[int] = set()
        for task, results in _task_results(tasks, self._judge):
            for (wanted, asking), result in zip(task.entries, results, strict=True):
                if isinstance(result, SelfhostError):
                    refused.add(wanted.index)
                    for index, _ in asking:
                        self.refused.setdefault(index, result)
                    continue
                for key, lacks, hardest, numbers in result:
                    checks = {check for check, _, _ in key[-1]}
                    for index, concerning in asking:
                        own = tuple(
                            [each for each in concerning if rules[each].rule in checks]
                        )
                        alike = self._alike.setdefault(
                            (index, key, own), Alike(self._policy.models[index], own)
                        )
                        alike.numbers.extend(numbers)
                        alike.hardest = max(
                            alike.hardest or (lacks, hardest), (lacks, hardest)
                        )
            done += task.work
            tell(done / whole * verdicts, verdicts)
            if len(refused) > MOST_REFUSED and done < whole:
                self.is_cut_off = True
                # what was judged so far is no answer
                self._alike.clear()
                return
        judged = self._alike.items()
        self._alike = {
            place: alike for place, alike in judged if place[0] not in self.refused
        }
        for alike in self._alike.values():
            self._exceptions.count(alike.exceptions, len(alike.numbers))

    def _refuse_unknown_names(self) -> None:
        """Refuse the entries whose names mean no model, in this process: others would each read the
        catalogue for them.
        """
        if self._check_name is None:
            return
        asked: set[int] = set()
        for _, _, entries in self._batches:
            asked.update(index for index, _ in entries)
        errors: dict[str, SelfhostError | None] = {}
        refused_questions: set[int] = set()
        for index in sorted(asked):
            wanted = self._policy.models[index]
            for member in wanted.members or (wanted,):
                if member.name not in errors:
                    errors[member.name] = self._check_name(member.name)
                error = errors[member.name]
                if error is not None:
                    self.refused[index] = error
                    refused_questions.add(self._first[index])
                    break
            if len(refused_questions) > MOST_REFUSED:
                self.is_cut_off = True
                return

    def _tasks(self) -> Iterator[Task]:
        """The work of all batches, in tasks of about the same size."""
        for (kind, basis, entries), batch in self._batches.items():
            template, slots = self._machines.kinds[kind]
            asking: dict[int, list[Asking]] = {}
            for index, concerning in entries:
                if index in self.refused:
                    continue
                asking.setdefault(self._first[index], []).append((index, concerning))
            questions = [
                (self._policy.models[first], same) for first, same in asking.items()
            ]
            parts = _parts(slots, self._machines.numbers, batch)
            for start in range(0, len(questions), _MOST_QUESTIONS):
                asked = tuple(questions[start : start + _MOST_QUESTIONS])
                for rows, work in self._shares(parts, asked):
                    yield Task(
                        template=template,
                        slots=slots,
                        basis=basis,
                        rows=rows,
                        entries=asked,
                        work=work,
                    )

    def _shares(
        self,
        parts: Sequence[Sequence[int]],
        asked: Sequence[tuple[Wanted, list[Asking]]],
    ) -> Iterator[tuple[dict[int, Numbers], float]]:
        """The machines of these parts with their numbers, as many as make the work of a task."""
        rows: dict[int, Numbers] = {}
        work = 0.0
        for part in parts:
            rows |= {number: self._machines.numbers[number] for number in part}
            one_by_one = len(part)
            halving = 1 + 3 * log2(len(part))
            work += sum(
                one_by_one if wanted.members else halving for wanted, _ in asked
            )
            if work > _WORK_OF_TASK:
                yield rows, work
                rows, work = {}, 0.0
        if rows:
            yield rows, work

    def groups(
        self, change_of: Callable[[Row], str | None] | None = None
    ) -> Iterator[Group]:
        """The machines that fare alike, entry after entry; with `change_of` those that changed."""
        names = self._machines.names
        self._verdicts.clear()
        for alike in sorted(
            self._alike.values(),
            key=lambda each: (each.wanted.index, min(each.numbers)),
        ):
            hardest = -alike.hardest[1] if alike.hardest else min(alike.numbers)
            row = alike.row or self._row(alike, hardest)
            parts: dict[str | None, list[int]] = {}
            for number in sorted(alike.numbers):
                change = change_of and change_of(row.replace(machine=names[number]))
                if change is not None or change_of is None:
                    parts.setdefault(change, []).append(number)
            for change, numbers in parts.items():
                if hardest not in numbers and alike.hardest:
                    row = self._row(alike, numbers[0])
                exit_code = row.exit_code if change in (None, "new") else 0
                yield Group(
                    row=row.replace(change=change, exit_code=exit_code),
                    numbers=array("l", numbers),
                    names=tuple([names[number] for number in numbers]),
                )

    def _row(self, alike: Alike, number: int) -> Row:
        machine = self._machines[number]
        asked = self._first[alike.wanted.index], number
        verdict = self._verdicts.get(asked)
        if verdict is None:
            verdict = self._judge(
                alike.wanted, self._policy.memory_basis(machine), machine
            )
            self._verdicts[asked] = verdict
        covers = self._exceptions.covers(alike.exceptions)
        return row_of(self._policy, alike.wanted, machine.name, verdict, covers)


class Task(Record):
    """Machines of one kind, and entries of the policy that ask different things, each with all that
    ask the same.
    """

    template: Machine
    slots: tuple[Slot, ...]
    basis: str
    rows: dict[int, Numbers]
    entries: tuple[tuple[Wanted, list[Asking]], ...]
    # about how many judgements it takes
    work: float

    def results(self, judge: Judge | None = None) -> list[Outcomes]:
        """What each entry comes to; a process of a pool has its own judge."""
        judge, results = judge or _judges[0], list[Outcomes]()
        parts = _parts(self.slots, self.rows, [*self.rows])
        for wanted, _ in self.entries:
            boxes = []
            for part in parts:
                # what lies on which accelerator beside other models follows no order of the
                # machines' numbers
                is_alone = len(part) <= _FEW or bool(wanted.members)
                boxes += [[number] for number in part] if is_alone else [part]
            try:
                results.append(
                    self._grouped(boxes, cache(partial(self._decide, wanted, judge)))
                )
            except SelfhostError as error:
                results.append(error)
        return results

    def _decide(self, wanted: Wanted, judge: Judge, row: Numbers) -> tuple[Key, float]:
        verdict = judge(
            wanted, self.basis, with_numbers(self.template, self.slots, row)
        )
        loaded, deciding = (
            verdict.workload,
            [each for each in verdict.findings if each.decides],
        )
        parts = tuple((each.check, each.outcome.value, each.code) for each in deciding)
        key = verdict.route, loaded.runtime, loaded.format, loaded.quantization, parts
        return key, max((each.short or 0.0 for each in deciding), default=0.0)

    def _grouped(
        self, boxes: list[list[int]], decide: Callable[[Numbers], tuple[Key, float]]
    ) -> list[Sorted]:
        """The machines in these boxes, by what decides there. A box whose ends differ is halved
        along the numbers on which the difference rests, and of which it has most.
        """
        by_key: dict[Key, list[int]] = {}
        lacking: dict[Key, float] = {}
        while boxes:
            box = boxes.pop()
            columns = list(zip(*[self.rows[number] for number in box], strict=True))
            worst, lacks = decide(tuple(map(min, columns)))
            best, _ = decide(tuple(map(max, columns)))
            if worst == best:
                by_key.setdefault(worst, []).extend(box)
                lacking[worst] = max(lacks, lacking.get(worst, 0.0))
                continue
            checks = {check for check, _, _ in set(worst[-1]) ^ set(best[-1])}
            wanted = {_RESTS_ON.get(check, "memory") for check in checks}
            ranks: list[tuple[bool, bool, bool]] = []
            for (name, *_), numbers in zip(self.slots, columns, strict=True):
                differs, kind = len({*numbers}) > 1, _KINDS.get(name, "memory")
                # of memory the limit decides most often
                is_first = name in ("memory_limit_bytes", *_KINDS)
                ranks.append((differs and kind in wanted, differs, is_first))
            column = columns[ranks.index(max(ranks))]
            values = sorted(column)
            middle = next(
                value for value in values[len(values) // 2 :] if value > values[0]
            )
            smaller, larger = list[int](), list[int]()
            for number, value in zip(box, column, strict=True):
                half = larger if value >= middle else smaller
                half.append(number)
            boxes += (smaller, larger)
        results = []
        for key, group in by_key.items():
            hardest = [min(group)]
            if lacking[key]:
                # one of those with the least of a number lacks most
                columns = list(
                    zip(*[self.rows[number] for number in group], strict=True)
                )
                hardest += [group[column.index(min(column))] for column in columns]
            ranked = [(decide(self.rows[number])[1], -number) for number in hardest]
            results.append((key, *max(ranked), group))
        return results


def _parts(
    slots: Sequence[Slot],
    rows: Sequence[Numbers] | dict[int, Numbers],
    numbers: Sequence[int],
) -> list[list[int]]:
    """The machines in parts that have the same free memory of every accelerator."""
    cards = [at for at, slot in enumerate(slots) if slot[0] == "accelerators"]
    parts: dict[Numbers, list[int]] = {}
    for number in numbers:
        parts.setdefault(tuple([rows[number][at] for at in cards]), []).append(number)
    return [parts[free] for free in sorted(parts)]


# what judges in this process, one of a pool
_judges: list[Judge] = []


def _task_results(
    tasks: Sequence[Task], judge: Judge
) -> Iterator[tuple[Task, list[Outcomes]]]:
    """Each task with what its entries come to."""
    usable = getattr(os, "sched_getaffinity", None)
    # more than 32 gain nothing
    processes = min(len(tasks), 32, len(usable(0)) if usable else os.cpu_count() or 1)
    if processes < 2 or sum(task.work for task in tasks) < _WORK_OF_TASK:
        yield from ((task, task.results(judge)) for task in tasks)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(processes, initializer=_start_process, initargs=(judge,))
    try:
        yield from zip(tasks, pool.map(Task.results, tasks), strict=True)
    except BrokenProcessPool as error:
        raise SelfhostError(
            "the system ended a process of this audit, perhaps for lack of memory",
            remedy="name fewer machines at a time",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_process(judge: Judge) -> None:
    import signal

    # an interrupt is for the process that began this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _judges[:] = [judge]


# a longer job is refused, unless it was asked for all the same
MOST_SECONDS = 15 * 60
# what was done in so many seconds says how long all of it takes, within the first part of the job
_LEAST_SECONDS = 5.0
_WATCHED_PART = 0.2


class TimeLimit:
    """Refuses a job that would take too long, by the pace of its first seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        # when the first things were judged, for which much is read once, and what part they were
        self._begun: tuple[float, float] | None = None

    def __call__(self, done: float, total: float) -> None:
        """So many of all verdicts are given. Raises `SelfhostError`."""
        now, part = self._clock(), done / total
        if self._begun is None:
            self._begun = (now, part)
            return
        seconds = now - self._begun[0]
        done_meanwhile = part - self._begun[1]
        if part >= _WATCHED_PART or seconds < _LEAST_SECONDS or not done_meanwhile:
            return
        needed_seconds = seconds / done_meanwhile
        if needed_seconds > MOST_SECONDS:
            raise SelfhostError(
                f"the audit would take about {needed_seconds / 60:,.0f} minutes",
                remedy="name fewer models in the policy or fewer machines, or add --yes to judge"
                " all of them",
            )
