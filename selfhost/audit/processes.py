"""Work shared by several processes: reading the records of a fleet, and judging its machines.

What goes in: tasks that can be pickled, and the function that does them. What comes out: the
results, in the order of the tasks.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import SelfhostError

if TYPE_CHECKING:
    from concurrent.futures import Future

Work = TypeVar("Work")
Result = TypeVar("Result")

# more processes gain nothing
_MOST_PROCESSES = 32
# tasks handed out for each process: enough to keep it busy, and few enough to keep in memory
_WAITING_FOR_EACH = 3


def usable_processors() -> int:
    """Return the number of processors that this process may use, at most 32.

    The number is 1 in a process of another pool, such as a worker of Dask, which may start no
    processes.
    """
    # a worker of a pool has this module loaded
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.current_process().daemon:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    # macOS and Windows do not have this function
    usable = os.cpu_count() if affinity is None else len(affinity(0))
    return min(usable or 1, _MOST_PROCESSES)


def in_order(
    work: Iterable[Work],
    do: Callable[[Work], Result],
    processes: int,
) -> Iterator[Result]:
    """Yield the result of each piece of work, done by so many processes. Each process has its own
    copy of `do`, which may cache values. Work is taken only as fast as it is done. Raises the
    errors of `do`, and `SelfhostError` where the system ends a process.
    """
    # imported here: most audits are small
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(do,))
    waiting: deque[Future[Result]] = deque()
    try:
        for piece in work:
            waiting.append(pool.submit(_do_piece, piece))
            if len(waiting) >= processes * _WAITING_FOR_EACH:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise SelfhostError(
            "the system ended a process of this audit, perhaps for lack of memory",
            remedy="name fewer machines at a time",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# in a process of a pool, the function that does each piece of work; else empty
_work_of_process: list[Callable[..., Any]] = []


def _begin(do: Callable[..., object]) -> None:
    """Make a new process ready for work."""
    import signal

    # an interrupt is meant for the parent process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work_of_process[:] = [do]


def _do_piece(piece: object) -> Any:
    """The result of one piece of work, in a process of a pool."""
    return _work_of_process[0](piece)
