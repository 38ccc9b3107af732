"""Whether files and folders of the installed package are still those of which a build compiled
something.

An edit counts at once, whatever size and time of its content it leaves. To read all of more than
a thousand files takes 8 ms, to ask for their times 2: so they are read only where one has changed
since the package was installed, or where nothing tells. An edit is missed only in a package that
was copied afterwards without the times of its files (`cp -r`), until that is installed again.
"""

from __future__ import annotations

import os
import sys

from .parts import PACKAGE_FOLDER

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    # folders, and the names of files below each, with `/`
    Files = Sequence[tuple[str, Sequence[str]]]


def contents_of(files: Files) -> int:
    """One number of the names and contents; a file that cannot be read is none of them."""
    from binascii import crc32

    checksum = 0
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    for folder, names in files:
        # a thousand small files: half the time of a file object, and a third of `os.path.join`
        start = os.path.join(folder, "")
        for name in names:
            try:
                number = os.open(start + name, flags)
                try:
                    content = part = os.read(number, 1 << 16)
                    while len(part) == 1 << 16:
                        part = os.read(number, 1 << 16)
                        content += part
                finally:
                    os.close(number)
            except (OSError, ValueError):
                continue
            before = f"{name} {len(content)} ".encode("utf-8", "backslashreplace")
            checksum = crc32(content, crc32(before, checksum))
    return checksum


def sizes_of(files: Files) -> int:
    """One number of the names and sizes."""
    return _sizes(files, None) or 0


def sizes_if_as_installed(files: Files) -> int | None:
    """The same of files that nobody has changed since the package was installed; None where
    somebody has, or where that is not told.
    """
    record = _record_of_installer()
    return None if record is None else _sizes(files, record)


def are_as_installed(paths: Sequence[str]) -> bool:
    """Whether nobody has changed these files since the package was installed, or added a file to
    these folders or taken one away; False where that is not told.
    """
    start = os.path.join(PACKAGE_FOLDER, "")
    record = _record_of_installer() if all(path.startswith(start) for path in paths) else None
    try:
        return record is not None and not any(_is_later(os.stat(path), record) for path in paths)
    except (OSError, ValueError):
        return False


def _is_later(status: os.stat_result, record: os.stat_result) -> bool:
    """The time of the last change of a file cannot be set; in a copy of the whole package it is
    that of the copy, and the time of its content tells, where the copy kept it.
    """
    return status.st_ctime_ns > record.st_ctime_ns or status.st_mtime_ns > record.st_mtime_ns


def _sizes(files: Files, record: os.stat_result | None) -> int | None:
    from binascii import crc32

    words = []
    for folder, names in files:
        start = os.path.join(folder, "")
        for name in names:
            try:
                status = os.stat(start + name)
            except (OSError, ValueError):
                continue
            if record is not None and _is_later(status, record):
                return None
            words.append(f"{name} {status.st_size}\n")
    return crc32("".join(words).encode("utf-8", "backslashreplace"))


def _record_of_installer() -> os.stat_result | None:
    """Of the file that an installer writes when all others are there, as it lists them; None
    without one, and on Windows, which tells when a file was made instead of when it changed.
    """
    from .. import __version__

    folder = f"selfhost_check-{__version__}.dist-info"
    try:
        record = os.stat(os.path.join(os.path.dirname(PACKAGE_FOLDER), folder, "RECORD"))
    except OSError:
        return None
    return None if sys.platform == "win32" else record
