"""`python -m selfhost`, and where the command `selfhost` begins."""

from __future__ import annotations

import sys


def start() -> None:
    """Run the command line and end the process with its exit code.

    `main` lets no error out. While it is being loaded, an interrupt or a lack of memory ends
    without a traceback; any other error is a bug, and has one. The codes are those of `judge`,
    which may not be loaded yet.
    """
    try:
        from .cli.main import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    except MemoryError:
        code = 2
        if sys.stderr is not None:
            sys.stderr.write("error: not enough memory to answer\n")
    except Exception:
        code = 70
        sys.excepthook(*sys.exc_info())
    sys.exit(code)


if __name__ == "__main__":
    start()
