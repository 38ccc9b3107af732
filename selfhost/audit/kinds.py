"""The audit of a large fleet: machines that differ in a few numbers are judged together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..core.workload import Workload
from ..verdict.record import Verdict
from .alike import Alike, Entry, LightRows
from .corners import parts_of, work_of
from .entries import Place, Policy, Wanted
from .exceptions import Exceptions
from .fleet import Machines
from .groups import shortfall
from .judged_entries import Judge
from .pool import Task, judged
from .progress import Progress
from .record import Row
from .rows import row_of, unplaced_row

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .corners import Sorted
    from .fleet import Numbers

# judgements of one task: about half a second
_WORK_OF_TASK = 500.0


class _Batch:
    """Machines of one kind under one basis of memory; those with the same numbers are one row."""

    def __init__(self) -> None:
        self.place_of: dict[Numbers, int] = {}
        self.members: list[list[int]] = []

    def add(self, machine: int, numbers: Numbers) -> None:
        """Keep one machine more."""
        place = self.place_of.setdefault(numbers, len(self.members))
        if place == len(self.members):
            self.members.append([])
        self.members[place].append(machine)


class ByKind:
    """Judges entries on kinds of machine; each machine's row is known by what decides, and of those
    alike the one that lacks most is judged by itself.
    """

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
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        self.rows = LightRows(machines, self.entries)
        # of each machine its batch, by kind and basis
        self._batches: dict[tuple[int, str], _Batch] = {}
        self._batch_of: list[tuple[int, str]] = []
        # by entry: 1 for each machine that it is for, and the exceptions that concern it there
        self._is_asked = [bytearray(len(machines)) for _ in self.entries]
        self._concerning: list[dict[int, tuple[int, ...]]] = [{} for _ in self.entries]
        self._rows: dict[tuple[int, int], Row] = {}

    def run(self) -> None:
        """Judge all."""
        for number in range(len(self._machines)):
            self._place(number)
        for entry in self.entries:
            self._refuse_unless_judged(entry.wanted)
        tasks = [task for key, batch in self._batches.items() for task in self._tasks(key, batch)]
        whole = sum(task.work for task, _ in tasks)
        done = 0.0
        for number, results in judged([task for task, _ in tasks], self._judge):
            task, members = tasks[number]
            for (wanted, _, _), result in zip(task.entries, results, strict=True):
                self._take(wanted, members, result)
            done += task.work
            self._tell(done / whole)
        for entry in self.entries:
            self._settle(entry)

    def _tell(self, part: float) -> None:
        verdicts = len(self._machines) * len(self.entries)
        self._progress.judge(int(part * verdicts), verdicts, "verdicts", part)

    # ------------------------------------------------------------------ what is to be judged

    def _place(self, number: int) -> None:
        """Find which entries are for a machine, and under which basis of memory."""
        machine = self._machines[number]
        place = Place(self._policy, machine)
        for entry in self.entries:
            wanted = entry.wanted
            selected = place.selects(wanted.machines)
            if selected is False:
                continue
            self.placed.add(wanted.index)
            if selected is None:
                row = unplaced_row(self._policy, wanted, machine)
                alike = entry.alike(tuple(reason.text for reason in row.reasons))
                alike.row = alike.row or row
                alike.machines.append(number)
                continue
            self._is_asked[wanted.index][number] = 1
            if wanted.name in self._exceptions.models:
                numbers = self._exceptions.concerning(wanted.name, machine, place)
                self._concerning[wanted.index][number] = numbers
        key = self._machines.kind_of(number), place.memory_basis
        batch = self._batches.setdefault(key, _Batch())
        self._batch_of.append(key)
        batch.add(number, self._machines.numbers_of(number))

    def _refuse_unless_judged(self, wanted: Wanted) -> None:
        """An entry that cannot be judged on its first machine is judged on none."""
        first = self._is_asked[wanted.index].find(1)
        if first >= 0:
            try:
                self._verdict(wanted, first)
            except SelfhostError as error:
                self.refused[wanted.index] = error

    def _tasks(self, key: tuple[int, str], batch: _Batch) -> list[tuple[Task, list[list[int]]]]:
        """The work of one batch, in tasks of about the same size, with the machines of each row."""
        rows = list(batch.place_of)
        parts = parts_of(self._machines.kinds[key[0]].slots, rows, range(len(rows)))
        tasks: list[tuple[Task, list[list[int]]]] = []
        chunk: list[int] = []
        work = 0.0
        for part in parts:
            chunk += part
            work += work_of(len(part)) * len(self.entries)
            if work > _WORK_OF_TASK:
                tasks += self._tasks_of(key, batch, rows, chunk)
                chunk, work = [], 0.0
        return [*tasks, *self._tasks_of(key, batch, rows, chunk)]

    def _tasks_of(
        self, key: tuple[int, str], batch: _Batch, rows: Sequence[Numbers], chunk: Sequence[int]
    ) -> Iterator[tuple[Task, list[list[int]]]]:
        """The work of some rows of a batch."""
        kind = self._machines.kinds[key[0]]
        members = [batch.members[place] for place in chunk]
        entries = []
        for entry in self.entries:
            wanted, is_asked = entry.wanted, self._is_asked[entry.wanted.index]
            places = [
                place
                for place, own in enumerate(members)
                if any([is_asked[number] for number in own])  # noqa: C419 - quicker for so few
            ]
            if places and wanted.index not in self.refused:
                entries.append((wanted, self._workload(wanted, key[1]), places))
        most = max(1, int(_WORK_OF_TASK / work_of(len(chunk))))
        for start in range(0, len(entries), most):
            task = Task(
                template=kind.template,
                slots=kind.slots,
                rows=tuple([rows[place] for place in chunk]),
                entries=tuple(entries[start : start + most]),
            )
            yield task, members

    def _workload(self, wanted: Wanted, basis: str) -> Workload:
        if wanted.asked.memory_basis == basis:
            return wanted.asked
        return wanted.asked.replace(memory_basis=basis)

    # ------------------------------------------------------------------ what it comes to

    def _take(
        self, wanted: Wanted, members: Sequence[Sequence[int]], result: list[Sorted] | None
    ) -> None:
        """Keep what one entry comes to on the machines of a task."""
        entry, is_asked = self.entries[wanted.index], self._is_asked[wanted.index]
        if result is None:
            self._refuse(wanted, [number for own in members for number in own if is_asked[number]])
            return
        concerning = self._concerning[wanted.index]
        for key, most, places in result:
            numbers = [number for place in places for number in members[place] if is_asked[number]]
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
        entry.settle(keeps=entry.wanted.index not in self.refused)
        for key, alike in entry.items():
            if alike.row is None:
                (decided, numbers) = key
                checks = [check for check, _, _ in decided[-1]]
                self._exceptions.cover(numbers, checks, len(alike.machines))
                alike.row = self.hardest(entry, alike, alike.machines)

    def hardest(self, entry: Entry, alike: Alike, machines: Sequence[int]) -> Row:
        """The row of the machine that lacks most, of several the first. Within a kind that is one
        of those with the least of some number.
        """
        if alike.row is not None:
            if alike.row.verdict is None or not alike.row.reasons:
                return alike.row.replace(machine=self._machines.names[machines[0]])
            if len(machines) == len(alike.machines):
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
        _, basis = self._batch_of[number]
        return self._judge(wanted, self._workload(wanted, basis), self._machines[number])

    def _row(self, entry: Entry, number: int) -> Row:
        """The row of a machine that was sorted, judged by itself."""
        key = number, entry.wanted.index
        if key not in self._rows:
            verdict = self._verdict(entry.wanted, number)
            checks = [each.check for each in verdict.findings if each.decides]
            numbers = self._concerning[entry.wanted.index].get(number, ())
            covers = self._exceptions.cover(numbers, checks, 0)
            name = self._machines.names[number]
            self._rows[key] = row_of(self._policy, entry.wanted, name, verdict, covers)
        return self._rows[key]

    def judge_again(self, row: Row) -> Row:
        """The row with the figures of its own machine."""
        if row.verdict is None or row.verdict.machine.name == row.machine:
            return row
        number = self._machines.number_of[row.machine]
        own = self._row(self.entries[row.wanted.index], number)
        return own.replace(change=row.change, exit_code=row.exit_code)
