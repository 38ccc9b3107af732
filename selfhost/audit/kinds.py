"""Every entry of a policy on every machine: few are judged one by one, of many the machines of one
kind together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..judge.checks import Outcome
from ..judge.record import Verdict
from .corners import key_of, parts_of, work_of
from .entries import Policy, Wanted
from .fleet import Kind, Machines
from .groups import Alike, Entry, Rows, shortfall
from .judged_entries import Judge
from .pool import Result, Task, judged
from .progress import Progress
from .record import Row
from .rows import Exceptions, row_of, unplaced_row

# judgements of one task: about half a second
_WORK_OF_TASK = 500.0


class Judging:
    """Judges the entries of a policy on machines, and keeps what each comes to."""

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        exceptions: Exceptions,
        progress: Progress,
    ) -> None:
        self._policy, self._machines, self._judge = policy, machines, judge
        self._exceptions, self._progress = exceptions, progress
        self._entries = [Entry(wanted, len(machines)) for wanted in policy.models]
        # entries that cannot be judged, and those that are for one of the machines
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        self._basis_of: list[str] = []
        # by entry: 1 for each machine that it is for, and the exceptions that concern a machine
        self._is_asked = [bytearray(len(machines)) for _ in self._entries]
        self._concerning: list[dict[int, tuple[int, ...]]] = [{} for _ in self._entries]

    def judge_all(self, *, is_alone: bool, is_small: bool) -> Rows:
        """Judge each machine by itself, or those of a kind together; then of machines alike the one
        that lacks most by itself.
        """
        for number in range(len(self._machines)):
            self._place(number)
        if is_alone:
            self._one_by_one()
        else:
            self._by_kind()
        for index in self.refused:
            self._entries[index].forget()
        rows = Rows(self._machines, self._entries, self._hardest, is_small=is_small)
        for alike in (alike for entry in self._entries for alike in entry.classes):
            self._exceptions.count(alike.exceptions, len(alike.machines))
        return rows

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
                entry.alike(tuple(map(str, row.reasons))).add(number, row)
                continue
            self._is_asked[wanted.index][number] = 1
            if numbers := self._exceptions.concerning(wanted.name, machine):
                self._concerning[wanted.index][number] = numbers

    # ------------------------------------------------------------------ one by one

    def _one_by_one(self) -> None:
        done, whole = 0, len(self._machines) * len(self._entries)
        for number in range(len(self._machines)):
            for entry in self._entries:
                self._progress.judge(done / whole, whole)
                done += 1
                index = entry.wanted.index
                if self._is_asked[index][number] and index not in self.refused:
                    try:
                        self._judge_alone(entry, number)
                    except SelfhostError as error:
                        self.refused[index] = error

    def _judge_alone(self, entry: Entry, number: int) -> None:
        verdict = self._verdict(entry.wanted, number)
        own = self._exceptions_for(entry.wanted, number, verdict)
        beside = tuple(
            [
                (each.check, each.code, each.outcome)
                for each in verdict.findings
                if each.outcome is not Outcome.PASS and not each.decides
            ]
        )
        row = self._row_of(entry.wanted, number, verdict, own)
        entry.alike((key_of(verdict), beside), own).add(number, row)

    def _exceptions_for(self, wanted: Wanted, number: int, verdict: Verdict) -> tuple[int, ...]:
        checks = {each.check for each in verdict.findings if each.decides}
        return self._exceptions.about(self._concerning[wanted.index].get(number, ()), checks)

    def _verdict(self, wanted: Wanted, number: int) -> Verdict:
        workload = wanted.under(self._basis_of[number])
        return self._judge(wanted, workload, self._machines[number])

    def _row_of(
        self, wanted: Wanted, number: int, verdict: Verdict, exceptions: tuple[int, ...]
    ) -> Row:
        covers = self._exceptions.covers(exceptions)
        return row_of(self._policy, wanted, self._machines.names[number], verdict, covers)

    # ------------------------------------------------------------------ by kind

    def _by_kind(self) -> None:
        self._refuse_unless_judged()
        batches: dict[tuple[int, str], list[int]] = {}
        for number, basis in enumerate(self._basis_of):
            batches.setdefault((self._machines.kind_of(number), basis), []).append(number)
        tasks = [
            task
            for (kind, basis), batch in batches.items()
            for task in self._tasks(self._machines.kinds[kind], basis, batch)
        ]
        whole, done = sum(task.work for task, _ in tasks), 0.0
        verdicts = len(self._machines) * len(self._entries)
        for place, results in judged([task for task, _ in tasks], self._judge):
            task, machines = tasks[place]
            for (wanted, _, _), result in zip(task.entries, results, strict=True):
                self._take(wanted, machines, result)
            done += task.work
            self._progress.judge(done / whole, verdicts)

    def _refuse_unless_judged(self) -> None:
        """An entry that cannot be judged on its first machine is judged on none."""
        for entry in self._entries:
            first = self._is_asked[entry.wanted.index].find(1)
            if first >= 0:
                try:
                    self._verdict(entry.wanted, first)
                except SelfhostError as error:
                    self.refused[entry.wanted.index] = error

    def _tasks(
        self, kind: Kind, basis: str, batch: Sequence[int]
    ) -> Iterator[tuple[Task, list[int]]]:
        """The work of one batch, in tasks of about the same size, with the machines of each."""
        rows = [self._machines.numbers_of(number) for number in batch]
        parts = parts_of(kind.slots, rows, range(len(rows)))
        chunk: list[int] = []
        work = 0.0
        for count, part in enumerate(parts, 1):
            chunk += [batch[place] for place in part]
            work += work_of(len(part)) * len(self._entries)
            if work > _WORK_OF_TASK or count == len(parts):
                yield self._task(kind, basis, chunk), chunk
                chunk, work = [], 0.0

    def _task(self, kind: Kind, basis: str, machines: list[int]) -> Task:
        entries = []
        for entry in self._entries:
            wanted, is_asked = entry.wanted, self._is_asked[entry.wanted.index]
            places = [place for place, number in enumerate(machines) if is_asked[number]]
            if places and wanted.index not in self.refused:
                entries.append((wanted, wanted.under(basis), places))
        return Task(
            template=kind.template,
            slots=kind.slots,
            rows=tuple([self._machines.numbers_of(number) for number in machines]),
            entries=tuple(entries),
        )

    def _take(self, wanted: Wanted, machines: Sequence[int], result: Result) -> None:
        if isinstance(result, SelfhostError):
            self.refused.setdefault(wanted.index, result)
            return
        entry, concerning = self._entries[wanted.index], self._concerning[wanted.index]
        for key, most, places in result:
            kind = self._machines.kind_of(machines[places[0]])
            checks = {check for check, _, _ in key[-1]}
            for number in map(machines.__getitem__, places):
                numbers = concerning.get(number, ())
                alike = entry.alike(key, self._exceptions.about(numbers, checks))
                alike.machines.append(number)
                alike.bounds[kind] = max(alike.bounds.get(kind, 0.0), most)

    # ------------------------------------------------------------------ the machine that lacks most

    def _hardest(self, entry: Entry, alike: Alike, machines: Sequence[int]) -> Row:
        """The row of the machine that lacks most, of several the first. Within a kind that is one
        of those with the least of some number.
        """
        if not alike.bounds:
            return max(map(alike.rows.__getitem__, machines), key=shortfall)
        if not any(alike.bounds.values()):
            return self._row(entry, alike, machines[0])
        by_kind: dict[int, list[int]] = {}
        for number in machines:
            by_kind.setdefault(self._machines.kind_of(number), []).append(number)
        best: Row | None = None
        rank = -1.0, 0
        for kind in sorted(by_kind, key=lambda kind: -alike.bounds[kind]):
            if alike.bounds[kind] < rank[0]:
                break
            for number in self._with_least(by_kind[kind]):
                row = self._row(entry, alike, number)
                if (own := (shortfall(row), -number)) > rank:
                    best, rank = row, own
        assert best is not None
        return best

    def _with_least(self, machines: Sequence[int]) -> set[int]:
        """Of machines of one kind the first with the least of each number."""
        columns = zip(*[self._machines.numbers_of(number) for number in machines], strict=True)
        return {machines[column.index(min(column))] for column in columns} or {machines[0]}

    def _row(self, entry: Entry, alike: Alike, number: int) -> Row:
        verdict = self._verdict(entry.wanted, number)
        return self._row_of(entry.wanted, number, verdict, alike.exceptions)
