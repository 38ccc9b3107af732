"""`python -m selfhost`, and where the command `selfhost` begins: nothing heavy is imported before an interrupt is minded."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> int:
    """Run the command line; an interrupt while it is still loading ends as quietly as a later one."""
    try:
        import gc

        # short-lived, and nearly all that is made is needed to the end: looking for garbage took a fifth of the time of `list`
        gc.set_threshold(200_000)
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


def start() -> NoReturn:
    """The whole process: it ends with the command's exit code, at once.

    What is in memory goes with the process: to take it apart first, object by object, took as long as to judge a hundred models.
    """
    import os
    import sys

    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - contextlib would be loaded for this alone
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(code)


if __name__ == "__main__":
    start()
