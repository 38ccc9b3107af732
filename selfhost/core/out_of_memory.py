"""Say that there was too little memory. Nothing else of the package is imported here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .. import __version__


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether the system had too little memory: ENOMEM, a library that the loader found no room for
    (glibc 2.36, elf/dl-load.c), or what CPython raises where it lost its own `MemoryError` (3.11,
    Python/ceval.c).
    """
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == 12)
        or (isinstance(error, SystemError) and text == "error return without exception set")
        or (
            isinstance(error, ImportError)
            and ("failed to map segment" in text or "annot allocate memory" in text)
        )
    )


def wants_json(words: Sequence[str]) -> bool:
    """Whether the words of a command line ask for JSON."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    return any(
        word in ("--json", "--format=json") or (word, value) == ("--format", "json")
        for word, value in pairs
    )


def complain_of_memory(words: Sequence[str], code: int) -> None:
    """Say on standard error that there was too little memory, in the form that `words` ask for.

    Nothing is imported and little is allocated.
    """
    message = "not enough memory to answer"
    remedy = "close other programs, or raise the limit on this process (ulimit -v, the container's)"
    text = f"error: {message}\n  {remedy}\n"
    if wants_json(words):
        text = (
            f'{{"schema": "selfhost.error/1", "selfhost_version": "{__version__}", "error":'
            f' "MemoryError", "message": "{message}", "kind": null, "nearest": [], "problems": [],'
            f' "remedy": "{remedy}", "exit_code": {code}}}\n'
        )
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        pass
