"""What is said where there is no memory left to say it: nothing is imported here."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

_MESSAGE = "not enough memory to answer"
_REMEDY = (
    "close other programs, or raise the limit on this process (`ulimit -v`, the container's);"
    " `--machine FILE` answers elsewhere"
)


def wants_json(words: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, told from its words alone."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    return any(
        word in ("--json", "--format=json") or (word == "--format" and value == "json")
        for word, value in pairs
    )


def is_lack_of_memory(error: Exception) -> bool:
    """Whether the error is one, or says that the system has none (ENOMEM, 12 on every system), or
    in the loader's words that no room is left for a library (glibc 2.36, elf/dl-load.c), or is what
    CPython raises where it lost its own `MemoryError` (3.11, Python/ceval.c).
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == 12):
        return True
    said = str(error)
    if isinstance(error, SystemError):
        return said == "error return without exception set"
    return isinstance(error, ImportError) and any(
        words in said for words in ("failed to map segment", "annot allocate memory")
    )


def no_memory(words: Sequence[str], code: int) -> None:
    """Say to standard error, in the form that the command line `words` asks for, that there was
    too little memory for an answer.
    """
    import sys

    if sys.stderr is None:
        return
    text = f"error: {_MESSAGE}\n  {_REMEDY}\n"
    if wants_json(words):
        from .. import __version__

        text = (
            f'{{"schema": "selfhost.error/1", "selfhost_version": "{__version__}", "error":'
            f' "MemoryError", "message": "{_MESSAGE}", "kind": null, "nearest": [], "problems": [],'
            f' "remedy": "{_REMEDY}", "exit_code": {code}}}\n'
        )
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
