"""Every entry of a policy on every machine: few are judged one by one, of many the machines of one
kind together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..judge.checks import CHECKS
from ..judge.record import Verdict
from ..machine.record import Machine
from .corners import Sorted, parts_of, work_of
from .entries import Policy, Wanted
from .fleet import Kind, Machines
from .groups import Alike, Entry, LightRows, shortfall, signature
from .judged_entries import Judge
from .pool import Task, judged
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
        self.entries = [Entry(wanted, len(machines)) for wanted in policy.models]
        # entries that cannot be judged, and those that are for one of the machines
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        # the machines by kind and basis of memory
        self._batches: dict[tuple[int, str], list[int]] = {}
        self._basis_of: list[str] = []
        # by entry: 1 for each machine that it is for, the rows of machines of which that is not
        # known, and the exceptions that concern a machine
        self._is_asked = [bytearray(len(machines)) for _ in self.entries]
        self._unplaced: list[dict[int, Row]] = [{} for _ in self.entries]
        self._concerning: list[dict[int, tuple[int, ...]]] = [{} for _ in self.entries]
        self._rows: dict[tuple[int, int], Row] = {}
        # those of the last machine: entries may differ in severity or in machines alone
        self._verdicts: dict[object, Verdict] = {}
        self._last: tuple[int, Machine] | None = None

    def by_machine(self) -> tuple[Row, ...]:
        """Judge each machine by itself; its rows follow each other."""
        for number in range(len(self._machines)):
            self._place(number)
            for entry in self.entries:
                if len(self._machines) > 1:
                    self._progress.judge(number, len(self._machines), "machines")
                else:
                    self._progress.judge(entry.wanted.index, len(self.entries), "models")
                row = self._row_alone(entry.wanted, number)
                if row is not None:
                    self._rows[number, entry.wanted.index] = row
                    alike = entry.alike(signature(row))
                    alike.machines.append(number)
                    alike.row = max(alike.row or row, row, key=shortfall)
        for entry in self.entries:
            entry.settle()
        return tuple(self._rows.values())

    def _row_alone(self, wanted: Wanted, number: int) -> Row | None:
        """None where the entry is not for that machine, or cannot be judged."""
        if number in self._unplaced[wanted.index]:
            return self._unplaced[wanted.index][number]
        if not self._is_asked[wanted.index][number] or wanted.index in self.refused:
            return None
        try:
            return self._judged(wanted, number, 1)
        except SelfhostError as error:
            self.refused[wanted.index] = error
            return None

    def by_kind(self) -> LightRows:
        """Judge kinds of machine; of machines alike the one that lacks most by itself."""
        for number in range(len(self._machines)):
            self._place(number)
        for entry in self.entries:
            self._refuse_unless_judged(entry.wanted)
        tasks = [
            task
            for (kind, basis), batch in self._batches.items()
            for task in self._tasks(self._machines.kinds[kind], basis, batch)
        ]
        whole = sum(task.work for task, _ in tasks)
        done = 0.0
        for number, results in judged([task for task, _ in tasks], self._judge):
            task, machines = tasks[number]
            for (wanted, _, _), result in zip(task.entries, results, strict=True):
                self._take(wanted, machines, result)
            done += task.work
            verdicts = len(self._machines) * len(self.entries)
            self._progress.judge(int(verdicts * done / whole), verdicts, "verdicts", done / whole)
        for entry in self.entries:
            self._settle(entry)
        return LightRows(self._machines, self.entries)

    # ------------------------------------------------------------------ what is to be judged

    def _place(self, number: int) -> None:
        """Find which entries are for a machine, and under which basis of memory."""
        machine = self._machines[number]
        basis = self._policy.memory_basis(machine)
        for entry in self.entries:
            wanted = entry.wanted
            selected = self._policy.selects(wanted.machines, machine)
            if selected is False:
                continue
            self.placed.add(wanted.index)
            if selected is None:
                self._unplaced[wanted.index][number] = unplaced_row(self._policy, wanted, machine)
                continue
            self._is_asked[wanted.index][number] = 1
            if wanted.name in self._exceptions.models:
                numbers = self._exceptions.concerning(wanted.name, machine)
                self._concerning[wanted.index][number] = numbers
        self._basis_of.append(basis)
        self._batches.setdefault((self._machines.kind_of(number), basis), []).append(number)

    def _refuse_unless_judged(self, wanted: Wanted) -> None:
        """An entry that cannot be judged on its first machine is judged on none."""
        first = self._is_asked[wanted.index].find(1)
        if first >= 0:
            try:
                self._verdict(wanted, first)
            except SelfhostError as error:
                self.refused[wanted.index] = error

    def _tasks(
        self, kind: Kind, basis: str, batch: Sequence[int]
    ) -> Iterator[tuple[Task, list[int]]]:
        """The work of one batch, in tasks of about the same size, with the machines of each."""
        rows = [self._machines.numbers_of(number) for number in batch]
        parts = parts_of(kind.slots, rows, range(len(rows)))
        chunk: list[int] = []
        work = 0.0
        for number, part in enumerate(parts, 1):
            chunk += [batch[place] for place in part]
            work += work_of(len(part)) * len(self.entries)
            if work > _WORK_OF_TASK or number == len(parts):
                yield from self._tasks_of(kind, basis, chunk)
                chunk, work = [], 0.0

    def _tasks_of(
        self, kind: Kind, basis: str, machines: list[int]
    ) -> Iterator[tuple[Task, list[int]]]:
        entries = []
        for entry in self.entries:
            wanted, is_asked = entry.wanted, self._is_asked[entry.wanted.index]
            places = [place for place, number in enumerate(machines) if is_asked[number]]
            if places and wanted.index not in self.refused:
                entries.append((wanted, wanted.under(basis), places))
        most = max(1, int(_WORK_OF_TASK / work_of(len(machines))))
        rows = tuple([self._machines.numbers_of(number) for number in machines])
        for start in range(0, len(entries), most):
            task = Task(
                template=kind.template,
                slots=kind.slots,
                rows=rows,
                entries=tuple(entries[start : start + most]),
            )
            yield task, machines

    # ------------------------------------------------------------------ what it comes to

    def _take(self, wanted: Wanted, machines: Sequence[int], result: list[Sorted] | None) -> None:
        """Keep what one entry comes to on the machines of a task."""
        entry, is_asked = self.entries[wanted.index], self._is_asked[wanted.index]
        if result is None:
            self._refuse(wanted, [number for number in machines if is_asked[number]])
            return
        concerning = self._concerning[wanted.index]
        for key, most, places in result:
            numbers = [machines[place] for place in places]
            kind = self._machines.kind_of(numbers[0])
            by_exceptions: dict[tuple[int, ...], list[int]] = {(): numbers}
            if concerning:
                by_exceptions = {}
                checks = {check for check, _, _ in key[-1]}
                for number in numbers:
                    own = self._exceptions.about(concerning.get(number, ()), checks)
                    by_exceptions.setdefault(own, []).append(number)
            for own, numbers in by_exceptions.items():
                alike = entry.alike((key, own))
                alike.exceptions = own
                alike.machines.extend(numbers)
                alike.bounds[kind] = max(alike.bounds.get(kind, 0.0), most)

    def _refuse(self, wanted: Wanted, machines: Sequence[int]) -> None:
        """Say why an entry cannot be judged on one of these machines."""
        for number in machines:
            try:
                self._verdict(wanted, number)
            except SelfhostError as error:
                self.refused.setdefault(wanted.index, error)
                return

    def _settle(self, entry: Entry) -> None:
        """Everything of one entry was judged."""
        for number, row in self._unplaced[entry.wanted.index].items():
            self._rows[number, entry.wanted.index] = row
            entry.alike(signature(row)).machines.append(number)
        entry.settle(keeps=entry.wanted.index not in self.refused)
        for alike in entry.classes:
            if alike.row is None:
                self._exceptions.cover(alike.exceptions, CHECKS, len(alike.machines))
                alike.row = self.hardest(entry, alike, alike.machines)

    def hardest(self, entry: Entry, alike: Alike, machines: Sequence[int]) -> Row:
        """The row of the machine that lacks most, of several the first. Within a kind that is one
        of those with the least of some number.
        """
        if not alike.bounds:
            rows = [self._rows[number, entry.wanted.index] for number in machines]
            return max(rows, key=shortfall)
        if alike.row is not None and len(machines) == len(alike.machines):
            return alike.row
        if not any(alike.bounds.values()):
            return self._row(entry, machines[0])
        by_kind: dict[int, list[int]] = {}
        for number in machines:
            by_kind.setdefault(self._machines.kind_of(number), []).append(number)
        best: Row | None = None
        most = -1.0
        first = 0
        for kind in sorted(by_kind, key=lambda kind: -alike.bounds[kind]):
            if alike.bounds[kind] < most:
                break
            for number in self._with_least(by_kind[kind]):
                row = self._row(entry, number)
                if (shortfall(row), -number) > (most, -first):
                    best, most, first = row, shortfall(row), number
        assert best is not None
        return best

    def _with_least(self, machines: Sequence[int]) -> list[int]:
        """Of machines of one kind the first with the least of each number."""
        columns = zip(*[self._machines.numbers_of(number) for number in machines], strict=True)
        least = {machines[column.index(min(column))] for column in columns}
        return sorted(least) or [machines[0]]

    def _verdict(self, wanted: Wanted, number: int) -> Verdict:
        workload = wanted.under(self._basis_of[number])
        key = wanted.name, wanted.members, wanted.require_runtime, workload
        if self._last is None or self._last[0] != number:
            self._last = number, self._machines[number]
            self._verdicts.clear()
        if key not in self._verdicts:
            self._verdicts[key] = self._judge(wanted, workload, self._last[1])
        return self._verdicts[key]

    def _judged(self, wanted: Wanted, number: int, rows: int) -> Row:
        """The row of a machine, which counts so many rows for the exceptions that cover it."""
        verdict = self._verdict(wanted, number)
        checks = [each.check for each in verdict.findings if each.decides]
        numbers = self._concerning[wanted.index].get(number, ())
        covers = self._exceptions.cover(numbers, checks, rows)
        return row_of(self._policy, wanted, self._machines.names[number], verdict, covers)

    def _row(self, entry: Entry, number: int) -> Row:
        """The row of a machine that was sorted, judged by itself."""
        key = number, entry.wanted.index
        if key not in self._rows:
            self._rows[key] = self._judged(entry.wanted, number, 0)
        return self._rows[key]

    def judge_again(self, row: Row) -> Row:
        """The row with the figures of its own machine."""
        if row.verdict is None or row.verdict.machine.name == row.machine:
            return row
        number = self._machines.number_of[row.machine]
        own = self._row(self.entries[row.wanted.index], number)
        return own.replace(change=row.change, exit_code=row.exit_code)
