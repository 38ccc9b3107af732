"""`python -m selfhost`, and where the command `selfhost` begins."""

from __future__ import annotations

import gc
import os
import sys

from .core import LACK_OF_MEMORY, MEMORY_ERRORS, MEMORY_REMEDY

_INTERRUPTED = 130


def start() -> None:
    """Run the command line and end the process with its exit code.

    `main` lets no error out. While it is being loaded, an interrupt or a lack of memory ends
    without a traceback; any other error is a bug, and has one. The codes are those of `judge`,
    which may not be loaded yet.
    """
    try:
        if sys.argv[1:] in (["--version"], ["-V"]) and _print_version():
            sys.exit(0)
        import signal

        # modules that are being loaded can make another error of an interrupt; nothing was written
        # yet
        handler = signal.getsignal(signal.SIGINT)
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        from .cli import interrupts
        from .cli.main import main

        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, handler)
            interrupts.remember()
        code = main()
        # all is answered: what comes now would be told by a traceback
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except MEMORY_ERRORS:
        code = 2
        if sys.stderr is not None:
            sys.stderr.write(f"error: {LACK_OF_MEMORY}\n  {MEMORY_REMEDY}\n")
    except Exception as error:
        code = 70
        sys.excepthook(type(error), error, error.__traceback__)
    # the system takes all memory back; without this line, Python looks for garbage in all that was
    # made, which is a fifteenth of the time of a check
    gc.freeze()
    sys.exit(code)


def _print_version() -> bool:
    """Print the version before anything else is loaded, which takes as long as Python's own start.
    False where standard output takes nothing, another distribution has replaced `__init__.py`, that
    of the specs is refused, or there are no specs: `main` then says so.
    """
    package = sys.modules["selfhost"]
    if sys.stdout is None or "can_run" not in getattr(package, "__all__", ()):
        return False
    from .core.answering import refused_distribution, version_line

    try:
        if refused_distribution() is not None:
            return False
        sys.stdout.write(version_line())
        sys.stdout.flush()
    except (OSError, ValueError):
        # a `SpecError` of an installation without specs is a `ValueError`
        return False
    return True


if __name__ == "__main__":
    start()
