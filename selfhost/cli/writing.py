"""Reports on their way to files: each file is replaced by a complete new one or stays as it is.

All reports of a run are written, beside the files that they will replace, before the first file is
replaced. What a path is for a report is told in `targets.py`; which files a run reads, in
`inputs.py` and `core.files`.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO, Self

from ..core.errors import UsageError
from ..core.files import inputs_opened
from ..core.records import shown_path
from . import AT_END
from .targets import (
    DescriptorTarget,
    FileTarget,
    PipeTarget,
    Target,
    refused,
    target_of,
    unwritable,
)

# a text, perhaps in pieces
Text = str | Iterable[str]

_BINARY = getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
# neither waits for the reader of a pipe nor makes a terminal this process's own
_AS_IT_STANDS = (
    os.O_WRONLY | _BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
)
# what file systems say that cannot synchronize a file; any other error tells of a lost report
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

# The descriptors of the pipes that were opened before anything was computed, by their paths: to
# close one in between would be the end of the report to whoever reads it.
_open_pipes: dict[str, int] = {}


def write_reports(reports: Sequence[tuple[str, Text]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced. A file keeps
    its mode and owner, a link to it stays a link. Raises `UsageError`, also for a file that this
    run has read.
    """
    targets = [target_of(path) for path, _ in reports]
    for target in targets:
        _refuse_input(target)
    with _NewFiles() as new_files:
        for target, (_, text) in zip(targets, reports, strict=True):
            try:
                if isinstance(target, FileTarget):
                    new_files.write(target, text)
                else:
                    _write_directly(target, text)
            except OSError as error:
                raise unwritable(target.path, error) from None
        new_files.put_in_place()


def _refuse_input(target: Target) -> None:
    if target.id is None:
        return
    read_as = inputs_opened().get(target.id)
    if read_as is not None:
        raise input_refused(target.path, read_as)


def input_refused(path: str, read_as: str) -> UsageError:
    """The error for a report to a file that this run reads, by the path that it was read by."""
    reason = "this run reads it"
    if read_as != path:
        reason += f", as {shown_path(read_as)}"
    return refused(path, reason, "name another file for the report")


def open_pipes(targets: Sequence[Target]) -> None:
    """Open the pipes among the targets, before anything is computed. Raises `UsageError` for a pipe
    that nobody reads.
    """
    for target in targets:
        if isinstance(target, PipeTarget):
            AT_END.callback(_close_pipes)
            _open_pipes[target.path] = _opened(target.path)


def _close_pipes() -> None:
    """Close the pipes that were opened for reports which then were not written."""
    while _open_pipes:
        _, number = _open_pipes.popitem()
        os.close(number)


def _opened(path: str) -> int:
    """The descriptor of a pipe or a device. Raises `UsageError` for a pipe that nobody reads."""
    try:
        number = os.open(path, _AS_IT_STANDS)
        if os.name == "posix":
            os.set_blocking(number, True)
    except OSError as error:
        if error.errno == errno.ENXIO:
            remedy = "start the program that reads it first, or name a file"
            raise refused(path, "no program reads from this pipe", remedy) from None
        raise unwritable(path, error) from None
    return number


def _write_directly(target: Target, text: Text) -> None:
    """Write to an open descriptor, a pipe or a device, behind what was printed so far."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with os.fdopen(_descriptor_for(target), "wb") as file:
        _write_text(file, text)


def _descriptor_for(target: Target) -> int:
    """A descriptor that leads to the target, to be closed behind the report."""
    if isinstance(target, DescriptorTarget):
        # a copy keeps the position of the descriptor, and that it appends
        return os.dup(target.number)
    if target.path in _open_pipes:
        return _open_pipes.pop(target.path)
    return _opened(target.path)


def _write_text(file: IO[bytes], text: Text) -> None:
    pieces = [text] if isinstance(text, str) else text
    for piece in pieces:
        content = piece.replace("\n", os.linesep)
        file.write(content.encode("utf-8", "replace"))


class _NewFiles:
    """Complete files beside those that they will replace. Those that are not put in place are
    removed at the end, whatever ends it: an error, Ctrl-C, SIGTERM or SIGHUP.
    """

    def __init__(self) -> None:
        # by the path of the new file: the one that it replaces
        self._places: dict[str, str] = {}
        self._signals: list[int] = []

    def __enter__(self) -> Self:
        # loaded where a file is written, and nowhere else
        import signal

        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # where somebody else handles it, or nohup ignores it, that stays
            if number is None or signal.getsignal(number) is not signal.SIG_DFL:
                continue
            try:
                signal.signal(number, self._end)
            except ValueError:
                # only the main thread may: then a signal ends the process as it did
                return self
            self._signals.append(number)
        return self

    def _end(self, number: int, _frame: object) -> None:
        """Remove the files, and end as the signal ends a process without a handler."""
        import signal

        self._remove()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def write(self, target: FileTarget, text: Text) -> None:
        """Write a new file for the target to the disk, with the mode and the owner of the old one
        where this account may and the file system can keep them.
        """
        folder = os.path.dirname(target.place)
        path = os.path.join(folder, f".selfhost-{os.urandom(6).hex()}.tmp")
        self._places[path] = target.place
        mode = 0o666 if target.mode is None else target.mode
        number = os.open(path, _NEW_FILE, mode)
        with os.fdopen(number, "wb") as file:
            _keep_owner_and_mode(path, target)
            _write_text(file, text)
            file.flush()
            _synchronize(file)

    def put_in_place(self) -> None:
        """Replace each file by its new one."""
        for path, place in list(self._places.items()):
            try:
                os.replace(path, place)
            except OSError as error:
                raise unwritable(place, error) from None
            del self._places[path]

    def _remove(self) -> None:
        for path in self._places:
            if os.path.exists(path):
                os.unlink(path)

    def __exit__(self, *_: object) -> None:
        self._remove()
        import signal

        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)


def _keep_owner_and_mode(path: str, target: FileTarget) -> None:
    """Give a new file the owner and the mode of the one that it replaces, as far as possible."""
    if target.owner is None or target.mode is None:
        return
    status = os.stat(path)
    owner = (status.st_uid, status.st_gid)
    if owner != target.owner and hasattr(os, "chown"):
        _give_to(path, *target.owner)
    # some file systems have no modes
    with suppress(OSError):
        os.chmod(path, target.mode)


def _give_to(path: str, user: int, group: int) -> None:
    try:
        os.chown(path, user, group)
    except OSError:
        # an ordinary account may give a file to another group of its own
        with suppress(OSError):
            os.chown(path, -1, group)


def _synchronize(file: IO[bytes]) -> None:
    """Some file systems say only when a file is synchronized that there is no room."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
