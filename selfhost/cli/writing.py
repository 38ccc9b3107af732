"""Writes reports to files: each file is replaced by a complete new one or stays as it is.

No report replaces a file that the run reads. Two places see to it:

1. Before anything is computed, `inputs.refuse_targets` refuses the files that the command line
   names as inputs.
2. Before anything is written, `write_reports` refuses the files that the run has read, which
   `core.files` has listed.

`write_reports` then writes all reports to temporary files, each in the folder of the file that it
will replace, and renames them once all are complete. `targets.py` tells what a path leads to.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO

from ..core.errors import UsageError
from ..core.files import inputs_opened
from ..core.records import shown_path
from .targets import (
    DescriptorTarget,
    FileTarget,
    Target,
    refused,
    target_of,
    unwritable,
)

# a text, whole or in pieces
Text = str | Iterable[str]

_BINARY = getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
# opening neither waits for a pipe's reader nor makes a terminal this process's own
_PIPE_OR_DEVICE = (
    os.O_WRONLY | _BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
)
# error numbers of file systems that cannot synchronize a file; any other error means that the
# report was lost
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def write_reports(reports: Sequence[tuple[str, Text]]) -> None:
    """Write each (path, text). All are on the disk before the first file is replaced.

    A file keeps its mode and owner, and a link to it stays a link. Raises `UsageError` for a path
    that cannot take a report, and for a file that this run has read.
    """
    targets = [target_of(path) for path, _ in reports]
    inputs = inputs_opened()
    for target in targets:
        if target.id is not None and target.id in inputs:
            raise input_refused(target.path, inputs[target.id])
    # the final path of each new file that is not in place yet, by its temporary path
    unfinished: dict[str, str] = {}
    try:
        for target, (_, text) in zip(targets, reports, strict=True):
            _write(target, text, unfinished)
        for path, place in list(unfinished.items()):
            try:
                os.replace(path, place)
            except OSError as error:
                raise unwritable(place, error) from None
            del unfinished[path]
    finally:
        for path in unfinished:
            with suppress(OSError):
                os.unlink(path)


def _write(target: Target, text: Text, unfinished: dict[str, str]) -> None:
    """Write a report to its target, or to a new file for it, which `unfinished` gets."""
    try:
        if isinstance(target, FileTarget):
            _write_new_file(target, text, unfinished)
        else:
            _write_directly(target, text)
    except OSError as error:
        raise unwritable(target.path, error) from None


def input_refused(path: str, read_as: str) -> UsageError:
    """The error for a report to a file that this run reads, by the path that it was read by."""
    reason = "this run reads it"
    if read_as != path:
        reason += f", as {shown_path(read_as)}"
    return refused(path, reason, "name another file for the report")


def _write_new_file(
    target: FileTarget,
    text: Text,
    unfinished: dict[str, str],
) -> None:
    """Write a new, temporary file for the target to the disk, with the mode and the owner of the
    old one where this account may and the file system can keep them. `unfinished` gets its path,
    with the path that it will have in the end.
    """
    folder = os.path.dirname(target.place)
    path = os.path.join(folder, f".selfhost-{os.urandom(6).hex()}.tmp")
    unfinished[path] = target.place
    mode = 0o666
    if target.replaced is not None:
        mode = stat.S_IMODE(target.replaced.st_mode) & 0o777
    descriptor = os.open(path, _NEW_FILE, mode)
    with os.fdopen(descriptor, "wb") as file:
        if target.replaced is not None:
            _keep_owner_and_mode(path, target.replaced, mode)
        _write_text(file, text)
        file.flush()
        _synchronize(file)


def _keep_owner_and_mode(
    path: str,
    replaced: os.stat_result,
    mode: int,
) -> None:
    """Give a new file the owner and the mode of the one that it replaces, as far as possible."""
    if hasattr(os, "chown"):
        # an ordinary account may give a file to another group that it belongs to, and to no user
        for user, group in ((-1, replaced.st_gid), (replaced.st_uid, -1)):
            with suppress(OSError):
                os.chown(path, user, group)
    # some file systems have no modes
    with suppress(OSError):
        os.chmod(path, mode)


def _synchronize(file: IO[bytes]) -> None:
    """Write the file through to the disk: some file systems report a full disk only then."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _write_directly(target: Target, text: Text) -> None:
    """Write to an open descriptor, a pipe or a device, after what was printed so far."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if isinstance(target, DescriptorTarget):
        # unlike a newly opened file, a copy shares the position and the append mode
        descriptor = os.dup(target.number)
    else:
        descriptor = _opened(target.path)
    with os.fdopen(descriptor, "wb") as file:
        _write_text(file, text)


def _opened(path: str) -> int:
    """The descriptor of a pipe or a device. Raises `UsageError` for a pipe that nobody reads."""
    try:
        descriptor = os.open(path, _PIPE_OR_DEVICE)
        if os.name == "posix":
            os.set_blocking(descriptor, True)
    except OSError as error:
        if error.errno == errno.ENXIO:
            remedy = "start the program that reads it first, or name a file"
            raise refused(path, "no program reads from this pipe", remedy) from None
        raise unwritable(path, error) from None
    return descriptor


def _write_text(file: IO[bytes], text: Text) -> None:
    pieces = [text] if isinstance(text, str) else text
    for piece in pieces:
        content = piece.replace("\n", os.linesep)
        file.write(content.encode("utf-8", "replace"))
