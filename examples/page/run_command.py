"""Runs one command line of selfhost in this process. The page's worker loads this file into Pyodide;
`build_page.py` prepares the first answer with it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout


def run_command(words: Iterable[str]) -> tuple[str, str, int]:
    """What the command writes to standard output and to standard error, and its exit code."""
    from selfhost.cli.main import main

    output = io.StringIO()
    errors = io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        exit_code = main(list(words))
    return output.getvalue(), errors.getvalue(), exit_code
