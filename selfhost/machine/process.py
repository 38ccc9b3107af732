"""What the system tells of one running process."""

from __future__ import annotations

from ..core.records import Record


class Process(Record):
    """Bytes of memory by kind. `words` is its command line; `anonymous_bytes` are its own pages,
    with those shared with others; `file_bytes` pages of files, of which `model_bytes` are of
    `model_file`, the largest mapped file that holds a model. None: none is mapped.
    """

    words: tuple[str, ...]
    anonymous_bytes: int
    file_bytes: int
    swapped_bytes: int = 0
    model_file: str | None = None
    model_bytes: int = 0
