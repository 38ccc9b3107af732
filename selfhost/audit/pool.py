"""The judging of many kinds of machine, shared by processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..core.records import Record
from ..core.workload import Workload
from ..judge.record import Verdict
from ..machine.record import Machine
from .corners import Key, Sorted, parts_of, sort_out, work_of
from .entries import Wanted
from .fleet import Numbers, Slot, with_numbers
from .judged_entries import Judge


class Task(Record):
    """Machines of one kind with the same free memory of accelerators, to be judged for entries of
    the policy. `entries` have the workload and the places of the rows that the entry is for.
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


def judged(tasks: Sequence[Task], judge: Judge) -> Iterator[tuple[int, list[list[Sorted] | None]]]:
    """The place of each task with what its entries come to, in whatever order they are done."""
    processes = min(len(tasks), _processors())
    if processes < 2:
        for place, task in enumerate(tasks):
            yield place, _done(task, judge)
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


def _work(task: Task) -> list[list[Sorted] | None]:
    return _done(task, _judges[0])


def _done(task: Task, judge: Judge) -> list[list[Sorted] | None]:
    return [_sorted(task, *entry, judge) for entry in task.entries]


def _sorted(
    task: Task, wanted: Wanted, workload: Workload, places: Sequence[int], judge: Judge
) -> list[Sorted] | None:
    """None where the entry cannot be judged: the error is no thing to send to another process."""

    def decide(numbers: Numbers) -> tuple[Key, Verdict]:
        machine = with_numbers(task.template, task.slots, numbers)
        verdict = judge(wanted, workload, machine)
        return key_of(verdict), verdict

    # what lies on which accelerator beside other models follows no order of the machines' numbers
    alone = [[place] for place in places]
    parts = alone if wanted.members else parts_of(task.slots, task.rows, places)
    try:
        return sort_out(task.slots, task.rows, parts, decide, lacking)
    except SelfhostError:
        return None


def key_of(verdict: Verdict) -> Key:
    """What decides of a verdict."""
    loaded = verdict.workload
    deciding = [
        (each.check, each.outcome.value, each.code) for each in verdict.findings if each.decides
    ]
    return verdict.route, loaded.runtime, loaded.format, loaded.quantization, tuple(deciding)


def lacking(key: Key, verdict: Verdict) -> float:
    """The largest amount that a machine with that verdict lacks, in whatever unit it is."""
    checks = [check for check, _, _ in key[-1]]
    return max(
        (each.short or 0.0 for each in verdict.findings if each.check in checks), default=0.0
    )
