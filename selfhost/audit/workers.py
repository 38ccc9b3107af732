"""Work that processes share, one for each processor, each of which takes the next piece when it has
done one: the results are in the order of the work, however many there are.

The other processes are copies of this one, made by `fork`, so that what was read is shared and not
sent. Where there is no `fork`, or one processor alone, all of it is done here.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

# fewer pieces of work are not worth a process
LEAST_TO_SHARE = 16
MOST_PROCESSES = 8
# pieces are taken by numbers of so many bytes, as many as the smallest pipe holds; beyond, each
# number stands for several pieces
_NUMBER_BYTES = 4
_MOST_NUMBERS = 1024


def in_shares(
    count: int,
    work: Callable[[int], T],
    tell: Callable[[int], None] = lambda _place: None,
    processes: int | None = None,
) -> list[T]:
    """`work` of 0, 1, … up to `count`, which must not depend on one another. `tell` is told how
    far it is.

    A process that fails takes none of the results with it: its share is then done here, where what
    was wrong shows.
    """
    if processes is None:
        processes = processors() if count >= LEAST_TO_SHARE else 1
    results: dict[int, T] = {}
    pieces = _Pieces(count) if processes > 1 else range(count)
    helpers = [_Helper(pieces, work) for _ in range(1, processes)]
    try:
        for place in pieces:
            tell(place)
            results[place] = work(place)
        for helper in helpers:
            results.update(helper.results())
    finally:
        for helper in helpers:
            helper.stop()
    for place in range(count):
        if place not in results:
            tell(place)
            results[place] = work(place)
    return [results[place] for place in range(count)]


def processors() -> int:
    """How many this process may use, at most MOST_PROCESSES; 1 where no other process can be
    made.
    """
    if not hasattr(os, "fork") or sys.platform == "darwin":
        # libraries of macOS do not survive a fork
        return 1
    import threading

    if threading.active_count() > 1:
        # a lock that another thread holds would be held for ever in the copy
        return 1
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(count, MOST_PROCESSES)


class _Pieces:
    """The places of the work, each for the process that comes to it first."""

    def __init__(self, count: int) -> None:
        self._count, self._numbers = count, min(count, _MOST_NUMBERS)
        self._reading, writing = os.pipe()
        for number in range(self._numbers):
            os.write(writing, number.to_bytes(_NUMBER_BYTES, "little"))
        # once all are taken a process reads the end
        os.close(writing)

    def __iter__(self) -> Iterator[int]:
        with os.fdopen(self._reading, "rb", buffering=0) as stream:
            while number := stream.read(_NUMBER_BYTES):
                yield from range(int.from_bytes(number, "little"), self._count, self._numbers)


class _Helper:
    """Another process that does a share of the work."""

    def __init__(self, pieces: Iterable[int], work: Callable[[int], T]) -> None:
        self._ended = False
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _do_and_exit(writing, pieces, work)
        os.close(writing)

    def results(self) -> dict[int, T]:
        """By their places; {} where the process did not come to its end."""
        with os.fdopen(self._reading, "rb") as stream:
            self._reading = -1
            content = stream.read()
        self._ended = True
        _, status = os.waitpid(self._process, 0)
        if status != 0:
            return {}
        by_place: dict[int, T] = pickle.loads(content)
        return by_place

    def stop(self) -> None:
        """End the process, if it has not ended."""
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1
        if not self._ended:
            import signal

            self._ended = True
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def _do_and_exit(writing: int, places: Iterable[int], work: Callable[[int], T]) -> None:
    """Never returns: what this process was about before is the other's."""
    code = 1
    try:
        results = {place: work(place) for place in places}
        with os.fdopen(writing, "wb") as stream:
            pickle.dump(results, stream, pickle.HIGHEST_PROTOCOL)
        code = 0
    except BaseException:
        code = 1
    finally:
        os._exit(code)
