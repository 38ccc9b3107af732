"""How far a long answer is: a line on standard error, where that is a terminal.

    with Progress("judging models") as tell:
        listing = lister.all(ids, tell)

Layers below the command line get `tell` as a plain function, and call it with how many are done
and of how many, None where that is not known. Nothing is drawn in the first second; the line is
gone once the block is left. A pipe sees nothing of it, and loads no `rich`.

A command that takes longer than two seconds and has drawn no such line says once that it is at
work, on a terminal and elsewhere (`LongWork`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Timer
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from ..core.templates import fill
from .output import call_before_writing, is_of_terminal, prepare_to_write

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

# a shorter answer needs no progress line
SECONDS_BEFORE = 1.0
# the shortest time between two redraws of a terminal
_SECONDS_BETWEEN = 0.1
# the shortest time between two lines in a job's log
SECONDS_BETWEEN_LINES = 2.0
# a command that takes longer says that it is at work
SECONDS_BEFORE_NOTE = 2.0
# moves to the begin of a terminal's line and empties it (ECMA-48)
_ERASE_LINE = "\r\x1b[2K"


def is_shown() -> bool:
    """Whether standard error is a terminal on which a line can be drawn and taken away."""
    return is_of_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"


class Progress:
    """A line on standard error that says how much is done, drawn when it is called.

    `are_bytes`: the numbers are bytes, shown as megabytes. `clock` gives seconds. No thread draws,
    so that a process may be forked meanwhile.
    """

    def __init__(
        self,
        description: str,
        *,
        are_bytes: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._description = description
        self._are_bytes = are_bytes
        self._clock = clock
        self._is_shown = is_shown()
        self._next_time = clock() + SECONDS_BEFORE
        self._bar: Bar | None = None
        self._done = 0.0
        self._total: float | None = None

    def __enter__(self) -> Self:
        Progress._latest = self
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()
        Progress._latest = None

    # the progress that is told now
    _latest: ClassVar[Progress | None] = None

    @classmethod
    def latest_words(cls) -> str:
        """How far the work is that is told now: `judging models: 12 of 300`; "" where nothing is
        told, or nothing is counted.
        """
        progress = cls._latest
        if progress is None or not progress._total or progress._are_bytes:
            return ""
        done = int(progress._done)
        return f"{progress._description}: {done:,} of {int(progress._total):,}"

    @classmethod
    def is_drawn(cls) -> bool:
        """Whether a line is on the terminal now."""
        return cls._latest is not None and cls._latest._bar is not None

    def __call__(self, done: float, total: float | None = None) -> None:
        """Draw that `done` is done, of `total` where that is known."""
        self._done = done
        self._total = total
        if not self._is_shown:
            return
        now = self._clock()
        if now < self._next_time:
            return
        self._next_time = now + _SECONDS_BETWEEN
        if self._bar is None:
            prepare_to_write()
            self._bar = _started_bar(
                self._description, total, are_bytes=self._are_bytes
            )
        self._bar.update(
            self._bar.task_ids[0], completed=done, total=total, refresh=True
        )

    def hide(self) -> None:
        """Remove the line before other text is written. The next call may draw it anew."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Waiting(Protocol):
    """What calls a function once, after some seconds: a `threading.Timer`."""

    daemon: bool

    def start(self) -> None:
        """Begin to wait."""

    def cancel(self) -> None:
        """Call nothing any more."""


class LongWork:
    """A note on standard error that a command is still at work, where it takes longer than two
    seconds. On a terminal the note is taken away before the answer is written.

        with LongWork():
            code = module.run(words)

    `timer` makes what waits; `write` takes the text.
    """

    def __init__(
        self,
        *,
        timer: Callable[[float, Callable[[], None]], Waiting] = Timer,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._timer = timer(SECONDS_BEFORE_NOTE, self._tell)
        # a command that has ended waits for nobody
        self._timer.daemon = True
        self._write = write or _to_error
        self._is_over = False
        self._is_on_terminal = False
        # the note comes from another thread than the answer
        self._lock = Lock()

    def __enter__(self) -> Self:
        # a browser starts no thread: nothing is told there
        with suppress(RuntimeError):
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.end()

    def _tell(self) -> None:
        with self._lock:
            if self._is_over or Progress.is_drawn():
                return
            words = Progress.latest_words() or "working out the answer"
            note = f"note: still at work ({words})"
            if is_shown():
                self._is_on_terminal = True
                call_before_writing(self.end)
                self._write(note)
            else:
                self._write(f"{note}\n")

    def end(self) -> None:
        """Say nothing any more, and take away what a terminal shows."""
        with self._lock:
            self._is_over = True
            if self._is_on_terminal:
                self._is_on_terminal = False
                self._write(_ERASE_LINE)


def _to_error(text: str) -> None:
    """Write to standard error at once. A standard error that takes nothing is no error."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Lines:
    """A writer of a line every two seconds, for the log of a job that has no terminal.

    `form` is a template with `done` and `total`; `clock` gives seconds.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        form: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._write = write
        self._form = form
        self._clock = clock
        self._next_time = clock() + SECONDS_BETWEEN_LINES

    def __call__(self, done: float, total: float | None = None) -> None:
        """Write that `done` of `total` is done, at most every two seconds."""
        now = self._clock()
        if now < self._next_time:
            return
        self._next_time = now + SECONDS_BETWEEN_LINES
        figures = {"done": int(done), "total": int(total or 0)}
        self._write(fill(self._form, figures))


def _started_bar(
    description: str,
    total: float | None,
    *,
    are_bytes: bool,
) -> Bar:
    """A bar on standard error that vanishes when it is stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    counter = DownloadColumn() if are_bytes else MofNCompleteColumn(separator=" of ")
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        counter,
        console=Console(file=sys.stderr),
        auto_refresh=False,
        transient=True,
        # output written meanwhile keeps its own stream
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task(description, total=total)
    bar.start()
    return bar
