"""The judging of many kinds of machine, shared by processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..core.records import Record
from ..core.workload import Workload
from ..judge.record import Verdict
from ..machine.record import Machine
from .corners import Sorted, parts_of, sort_out, work_of
from .entries import Wanted
from .fleet import Numbers, Slot, with_numbers
from .judged_entries import Judge

# what one entry of a task comes to
Result = list[Sorted] | SelfhostError


class Task(Record):
    """Machines of one kind to be judged for entries of the policy. `entries` have the workload and
    the places of the rows that the entry is for.
    """

    template: Machine
    slots: tuple[Slot, ...]
    rows: tuple[Numbers, ...]
    entries: tuple[tuple[Wanted, Workload, Sequence[int]], ...]

    @property
    def work(self) -> float:
        """About how many judgements it takes."""
        return sum(
            len(places) if wanted.members else work_of(len(places))
            for wanted, _, places in self.entries
        )

    def done(self, judge: Judge) -> list[Result]:
        """What each entry comes to."""
        return [self._sorted(*entry, judge) for entry in self.entries]

    def _sorted(
        self, wanted: Wanted, workload: Workload, places: Sequence[int], judge: Judge
    ) -> Result:
        def decide(numbers: Numbers) -> Verdict:
            return judge(wanted, workload, with_numbers(self.template, self.slots, numbers))

        # what lies on which accelerator beside other models follows no order of the machines'
        # numbers
        alone = [[place] for place in places]
        parts = alone if wanted.members else parts_of(self.slots, self.rows, places)
        try:
            return sort_out(self.slots, self.rows, parts, decide)
        except SelfhostError as error:
            return error


def judged(tasks: Sequence[Task], judge: Judge) -> Iterator[tuple[int, list[Result]]]:
    """The place of each task with what its entries come to, in whatever order they are done."""
    processes = min(len(tasks), _processors())
    if processes < 2:
        for place, task in enumerate(tasks):
            yield place, task.done(judge)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(judge,))
    try:
        waiting = {pool.submit(_work, task): place for place, task in enumerate(tasks)}
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
    if hasattr(os, "sched_getaffinity"):
        return min(32, len(os.sched_getaffinity(0)))
    return min(32, os.cpu_count() or 1)


# what judges in this process, one of a pool
_judges: list[Judge] = []


def _begin(judge: Judge) -> None:
    import signal

    # an interrupt is for the process that began this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _judges[:] = [judge]


def _work(task: Task) -> list[Result]:
    return task.done(_judges[0])
