"""The folders out of which no link leads.

A model that an agent names may lie beside links that somebody made to mislead it, and its files
name others: the next part, the shards of an index. So the one function that opens files
(`files.open_ordinary`) asks here first. What goes in: the folders that the user allows, for the
time of a call. What comes out: whether a path leads out of them. Without such folders no path does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

# empty except while a call of an agent is answered
_folders: ContextVar[Sequence[str]] = ContextVar("_folders", default=())


@contextmanager
def kept_in(folders: Sequence[str]) -> Iterator[None]:
    """Let no link lead out of these folders."""
    token = _folders.set(folders)
    try:
        yield
    finally:
        _folders.reset(token)


def leads_out(path: str) -> bool:
    """Whether a path is written as one in the folders of `kept_in`, and a link leads elsewhere."""
    folders = _folders.get()
    return is_written_in(path, folders) and not lies_in(path, folders)


def exists(path: str) -> bool:
    """Whether a file is there. Of a link that leads out the answer is yes, whatever lies behind:
    nothing is told of the place outside, and who opens the file is told that the link leads out.
    """
    return leads_out(path) or os.path.exists(path)


def lies_in(path: str, folders: Sequence[str]) -> bool:
    """Whether a path leads into one of the folders, as it is written and behind all links."""
    # nothing is asked of the disk before the written path lies there
    if not is_written_in(path, folders):
        return False
    return _is_below_one(os.path.realpath(path), map(os.path.realpath, folders))


def is_written_in(path: str, folders: Sequence[str]) -> bool:
    """Whether a path lies in one of the folders as it is written. A folder may be written with its
    links or without them.
    """
    if not folders:
        # nothing is asked of the disk, whose working directory may be gone
        return False
    if "\0" in path:
        return False
    written = os.path.abspath(path)
    spellings = [*folders, *map(os.path.realpath, folders)]
    return _is_below_one(written, spellings)


def _is_below_one(path: str, folders: Iterable[str]) -> bool:
    """Whether a full path is one of the folders, or lies below one of them."""
    # the path and the folders end in a separator, so that `/data` does not hold `/database`
    path = os.path.join(os.path.normcase(path), "")
    for folder in folders:
        start = os.path.join(os.path.normcase(folder), "")
        if path.startswith(start):
            return True
    return False
