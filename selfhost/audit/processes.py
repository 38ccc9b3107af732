"""Work shared by several processes: reading the records of a fleet, and judging its machines.

What goes in: tasks that can be pickled, and the function that does them. What comes out: the
results, in the order of the tasks.

An audit opens no socket and writes no file of its own. So this module chooses how a process begins
(`_start_method`): by itself, Python 3.14 would ask a server of its own over a socket in a temporary
folder. Two pipes join a worker to this process. The queues and pools of the standard library have
locks besides, which are files in shared memory where a system has those at all. What starts and
ends processes is imported only where more than one is used.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from ..core.errors import SelfhostError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Work = TypeVar("Work")
Result = TypeVar("Result")

# macOS and Windows start a new interpreter: libraries of macOS have threads, which a copy of a
# process lacks, and Windows makes no copies
_COPIES_PROCESSES = sys.platform not in ("darwin", "win32")
# more processes gain nothing
_MOST_PROCESSES = 32
# tasks handed out for each process: enough to keep it busy, and few enough to keep in memory
_WAITING_FOR_EACH = 3


def usable_processors() -> int:
    """Return the number of processors that this process may use, at most 32."""
    affinity = getattr(os, "sched_getaffinity", None)
    # macOS and Windows do not have this function
    usable = os.cpu_count() if affinity is None else len(affinity(0))
    return min(usable or 1, _MOST_PROCESSES)


def in_order(
    work: Iterable[Work],
    do: Callable[[Work], Result],
    processes: int,
) -> Iterator[Result]:
    """Yield the result of each piece of work, done by up to so many workers. Each worker has its
    own copy of `do`, which may cache values. Work is taken only as fast as it is done.

    This process does the work itself where it may start no other, or the system refuses to.

    Raises the errors of `do`, and `SelfhostError` where the system ends a worker.
    """
    team = _Team(do, processes)
    if not team.add_worker():
        yield from map(do, work)
        return
    waiting: deque[_Piece[Result]] = deque()
    try:
        for piece in work:
            waiting.append(team.begin(piece))
            if len(waiting) >= processes * _WAITING_FOR_EACH:
                yield team.result(waiting.popleft())
        while waiting:
            yield team.result(waiting.popleft())
    finally:
        team.end()


# --------------------------------------------------------------------------- starting workers


def _start_method() -> str | None:
    """The name by which `multiprocessing` knows how this process may start others; None where it
    may start none.

    A copy of this process (`fork`) begins at once and shares its memory, but is safe only while
    this process has one thread: a lock that another thread holds would stay locked in the copy. A
    new interpreter (`spawn`) is safe, but takes a third of a second and memory of its own.
    """
    # imported here: most audits are small
    import multiprocessing

    # Python refuses it to a worker of another pool, such as one of Dask
    if multiprocessing.current_process().daemon:
        return None
    if not _COPIES_PROCESSES:
        return "spawn"
    return "fork" if _threads() == 1 else None


def _threads() -> int | None:
    """The number of threads of this process, also of those that are not Python's; None where the
    system does not tell.
    """
    import psutil

    try:
        return psutil.Process().num_threads()
    except psutil.Error:
        return None


@contextmanager
def _deaf_to_interrupts(start_method: str) -> Iterator[None]:
    """Have a process that is started meanwhile hear of no interrupt while it begins. An interrupt
    is meant for this process, which hears of it afterwards.
    """
    import signal

    # Windows has no such mask
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    if start_method != "fork":
        from multiprocessing import resource_tracker

        # a helper of Python's, which Python would start with the first interpreter, and unmask
        # interrupts then
        resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(Generic[Work, Result]):
    """A process that does one piece of work after another."""

    def __init__(self, start_method: str, do: Callable[[Work], Result]) -> None:
        """Start the process. Raises `OSError` where the system refuses to."""
        import multiprocessing

        # a type checker knows only the contexts whose names are written out
        context: Any = multiprocessing.get_context(start_method)
        pieces, self._pieces = context.Pipe(duplex=False)
        self.replies: Connection[object, _Reply[Result]]
        self.replies, replies = context.Pipe(duplex=False)
        # a copy of this process has these ends, too, and closes them: a pipe ends once no process
        # holds its other end
        of_first = (self._pieces, self.replies) if start_method == "fork" else ()
        self._process = context.Process(
            target=_work, args=(do, pieces, replies, of_first), daemon=True
        )
        with _deaf_to_interrupts(start_method):
            self._process.start()
        # the worker alone holds these: once it has ended, so has each pipe
        pieces.close()
        replies.close()

    def send(self, piece: Work) -> None:
        """Hand over a piece of work. Raises `OSError` where the process has ended."""
        self._pieces.send(piece)

    def reply(self) -> _Reply[Result]:
        """Wait for the reply. Raises `EOFError` or `OSError` where the process has ended."""
        reply: _Reply[Result] = self.replies.recv()
        return reply

    def end(self) -> None:
        """End the process, whatever it does: it holds nothing that is to be kept."""
        # a polite signal would meet the handlers that a copy has from this process
        self._process.kill()
        self._process.join()
        self._pieces.close()
        self.replies.close()


class _Reply(NamedTuple, Generic[Result]):
    """What became of a piece of work: a result, or the error that was raised."""

    result: Result | None = None
    error: Exception | None = None


def _work(
    do: Callable[[Work], Result],
    pieces: Connection[object, Work],
    replies: Connection[_Reply[Result], object],
    of_first: Iterable[Connection[object, object]],
) -> None:
    """Do each piece of work that comes, in a process of its own, until the first process ends.
    `of_first` are the ends of pipes that belong to the first process.
    """
    import signal
    import traceback

    for pipe in of_first:
        pipe.close()
    # an interrupt is meant for the first process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            piece = pieces.recv()
        except (EOFError, OSError):
            # the first process ended, perhaps in the midst of a message
            return
        try:
            reply = _Reply(result=do(piece))
        except SelfhostError as error:
            reply = _Reply(error=error)
        except Exception as error:
            # a bug; its traceback does not travel by itself
            error.add_note(traceback.format_exc())
            reply = _Reply(error=error)
        try:
            replies.send(reply)
        except BrokenPipeError:
            return


# --------------------------------------------------------------------------- sharing the work


class _Piece(Generic[Result]):
    """A piece of work that a worker was handed, and the reply once it is there."""

    def __init__(self, worker: _Worker[Any, Result]) -> None:
        self.worker = worker
        self.reply: _Reply[Result] | None = None


class _Team(Generic[Work, Result]):
    """Up to `most` workers, which are started as they are needed.

    A worker has one piece of work at a time. So it always reads what it is sent, and never waits
    for this process while this process waits for it.
    """

    def __init__(self, do: Callable[[Work], Result], most: int) -> None:
        self._do = do
        self._most = most
        self._start_method = _start_method()
        self._workers: list[_Worker[Work, Result]] = []
        self._idle: list[_Worker[Work, Result]] = []
        self._begun: list[_Piece[Result]] = []

    def add_worker(self) -> bool:
        """Start one more worker. False where there are enough, or no more can be started."""
        if self._start_method is None or len(self._workers) >= self._most:
            return False
        try:
            worker = _Worker(self._start_method, self._do)
        except OSError:
            # a container may limit the number of processes: those that there are do the work
            self._most = len(self._workers)
            return False
        self._workers.append(worker)
        self._idle.append(worker)
        return True

    def begin(self, piece: Work) -> _Piece[Result]:
        """Hand the piece to an idle worker, and wait for one where there is none."""
        while not self._idle and not self.add_worker():
            self._take_replies()
        worker = self._idle.pop()
        try:
            worker.send(piece)
        except OSError as error:
            raise _ended() from error
        begun = _Piece(worker)
        self._begun.append(begun)
        return begun

    def result(self, piece: _Piece[Result]) -> Result:
        """Wait for the result of the piece. Raises its error."""
        while piece.reply is None:
            self._take_replies()
        if piece.reply.error is not None:
            raise piece.reply.error
        return cast("Result", piece.reply.result)

    def _take_replies(self) -> None:
        """Wait for a reply, and take all that are there. Their workers are idle then."""
        from multiprocessing.connection import wait

        ready = wait([piece.worker.replies for piece in self._begun])
        unfinished = []
        for piece in self._begun:
            if piece.worker.replies not in ready:
                unfinished.append(piece)
                continue
            try:
                piece.reply = piece.worker.reply()
            except (EOFError, OSError) as error:
                raise _ended() from error
            self._idle.append(piece.worker)
        self._begun = unfinished

    def end(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()


def _ended() -> SelfhostError:
    """The error of an audit of which a worker has ended."""
    return SelfhostError(
        "the system ended a process of this audit, perhaps for lack of memory",
        remedy="name fewer machines at a time",
    )
