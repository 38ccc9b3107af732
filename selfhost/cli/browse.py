"""`selfhost browse`: an interactive list of models, with the answer of `check` beside it.

`run` reads the command line and starts the screen, which Textual draws (the extra `tui`). The
contents come from `browse_rows`, which judges as `list` and `check` do; `browse_screen` draws it,
and `browse_table` the table. Only this command loads the three.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from ..core.errors import UsageError
from ..judge import BUG
from .asked import measured_where_unknown, one_machine, workload_of
from .browse_rows import BrowseOptions
from .output import is_of_terminal, note_faulty_specs

_SECONDS_OF_A_TURN = 0.001


def run(words: Sequence[str]) -> int:
    """Show the screen until the user quits. Return the exit code 0.

    Raises `UsageError` where Textual or a terminal is missing, and for an option or a machine that
    makes no sense, because the screen would hide these messages.
    """
    options = BrowseOptions.read("browse", words)
    _refuse_without_textual()
    _refuse_without_terminal()
    workload_of(options)
    machine = measured_where_unknown(options, one_machine(options))
    if options.no_color:
        # Textual reads this environment variable
        os.environ["NO_COLOR"] = "1"
    # the judging thread gives way to the screen after this time, instead of 5 ms: measured on a
    # busy machine, half of the screen's waits fell below 10 ms (20 before)
    sys.setswitchinterval(_SECONDS_OF_A_TURN)
    from .browse_screen import Browser

    browser = Browser(options, machine)
    fault = browser.run()
    if fault is not None:
        raise fault
    note_faulty_specs(browser.rows.catalogue)
    return BUG if browser.return_code else 0


def _refuse_without_textual() -> None:
    """Raise `UsageError` where the library that draws the screen is not installed."""
    if find_spec("textual") is None:
        raise UsageError(
            "browse needs Textual",
            remedy='install it beside selfhost: pip install "textual>=8"',
        )


def _refuse_without_terminal() -> None:
    """Raise `UsageError` where nobody can see the screen, or type."""
    # Textual reads keys from standard input and draws on standard error
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not is_of_terminal(stream):
            raise UsageError(
                "browse needs a terminal for its screen and for its keys",
                remedy="selfhost list writes the same models to a pipe or a file",
            )
