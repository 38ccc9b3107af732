"""How far a long answer is: a line on standard error, where that is a terminal.

    with Progress("judging models") as tell:
        listing = lister.all(ids, tell)

Layers below the command line get `tell` as a plain function, and call it with how many are done
and of how many, None where that is not known. Nothing is drawn in the first second; the line is
gone once the block is left. A pipe sees nothing, and loads no `rich`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Self

from ..core.templates import fill

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

# a shorter answer needs no progress line
SECONDS_BEFORE = 1.0
# the shortest time between two redraws of a terminal
_SECONDS_BETWEEN = 0.1
# the shortest time between two lines in a job's log
SECONDS_BETWEEN_LINES = 2.0


def is_shown() -> bool:
    """Whether standard error is a terminal on which a line can be drawn and taken away."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb"


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()

    def __call__(self, done: float, total: float | None = None) -> None:
        """Draw that `done` is done, of `total` where that is known."""
        if not self._is_shown:
            return
        now = self._clock()
        if now < self._next_time:
            return
        self._next_time = now + _SECONDS_BETWEEN
        if self._bar is None:
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
