"""`python -m selfhost`, and where the command `selfhost` begins."""

from __future__ import annotations

import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn


def start() -> NoReturn:
    """Run the command line and end the process with its exit code.

    An interrupt, or a lack of memory while the program is being loaded, ends without a traceback.
    Any other error that nobody caught is a bug.
    """
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 70
    sys.exit(code)


def _run() -> int:
    try:
        from .cli.main import main

        return main()
    except (MemoryError, ImportError, OSError, SystemError) as error:
        from .core.out_of_memory import is_lack_of_memory

        if not is_lack_of_memory(error):
            raise
    from .core.out_of_memory import complain_of_memory

    complain_of_memory(sys.argv[1:], 2)
    return 2


if __name__ == "__main__":
    start()
