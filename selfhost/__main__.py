"""`python -m selfhost`, and where the command `selfhost` begins: nothing heavy is imported
before an interrupt is minded.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn


def main() -> int:
    """Run the command line; an interrupt or a lack of memory while it is still loading ends as
    quietly as a later one.
    """
    try:
        import gc
        import sys

        # short-lived, and nearly all that is made is needed to the end: looking for garbage took a
        # fifth of the time of `list`
        gc.set_threshold(200_000)
        from .core.importing import speed_up_imports

        speed_up_imports()
        from .cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return 130
    except (MemoryError, ImportError, SystemError) as error:
        from .core.lastwords import is_lack_of_memory

        # said below, where what was being loaded is let go
        if not is_lack_of_memory(error):
            raise
    import sys

    from .core.lastwords import no_memory

    no_memory(sys.argv[1:], 2)
    return 2


def start() -> NoReturn:
    """The whole process: it ends with the command's exit code, at once.

    What is in memory goes with the process: to take it apart first, object by object, took as long
    as to judge a hundred models. Who watches the process, as coverage and profilers do, is let
    finish. An interrupt at any moment is 130, without a traceback. An error that nobody caught is a
    bug, 70: what cannot be imported, or any under SELFHOST_DEBUG.
    """
    code = 130
    try:
        import os
        import sys

        sys.unraisablehook = _not_raised
        code = main()
        for stream in (sys.stdout, sys.stderr):
            try:  # noqa: SIM105 - contextlib would be loaded for this alone
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = 70
        from .core.lastwords import is_lack_of_memory, no_memory

        # Python may lack the memory to call the function that handles it
        if is_lack_of_memory(error):
            code = 2
            no_memory(sys.argv[1:], code)
        else:
            # the process ends below, before Python would say it
            sys.excepthook(*sys.exc_info())
    finally:
        _leave_nothing()
        if _is_watched():
            sys.exit(code)
        os._exit(code)


def _is_watched() -> bool:
    """Whether a tracer, a profiler or a debugger is at work."""
    import sys

    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    # of Python 3.12 and newer, with six places for tools
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(map(monitoring.get_tool, range(6)))


def _leave_nothing() -> None:
    import sys

    if writing := sys.modules.get(f"{__package__}.core.writing"):
        writing.remove_temporary_files()


def _not_raised(event: Any) -> None:
    """An interrupt that came while Python cleared something away is not passed on: it ends the
    process here.
    """
    import os
    import sys

    if issubclass(event.exc_type, KeyboardInterrupt):
        _leave_nothing()
        os._exit(130)
    sys.__unraisablehook__(event)


if __name__ == "__main__":
    start()
