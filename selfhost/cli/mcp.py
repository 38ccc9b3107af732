"""`selfhost mcp`: tools for agents, over the Model Context Protocol.

An agent starts the command and talks to it over standard input and output: before it downloads a
model, it asks whether the model runs here. `mcp_server` serves the agent with the official SDK, the
extra `mcp`, over the lines of `mcp_lines`. `mcp_tools` has the tools, `mcp_worker` the process in
which they work, and `mcp_files` the files that an agent may name.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..core.errors import SelfhostError, UsageError
from ..core.files import forget_inputs
from ..judge import INTERRUPTED
from . import interrupts
from .mcp_files import allowed_folders
from .output import write
from .parser import Options


class McpOptions(Options):
    """The options of `mcp`: the folders whose files an agent may name as models."""

    allow: Sequence[str] = ()


def run(words: Sequence[str]) -> int:
    """Answer one agent until it closes standard input, or its end of standard output; returns 0."""
    options = McpOptions.read("mcp", words)
    folders = allowed_folders(options.allow or ())
    with _ended_by_ctrl_c():
        _serve(folders)
    return 0


def _serve(folders: Sequence[str]) -> None:
    """Serve one agent. Raises `SelfhostError` where there is no SDK, or no agent."""
    if sys.stdin is None or sys.stdout is None:
        message = "mcp needs standard input and standard output"
        raise UsageError(message, remedy="let the agent start it")
    try:
        from .mcp_server import serve
    except ImportError:
        raise SelfhostError(
            "`selfhost mcp` needs version 2 of the official MCP SDK",
            remedy='install it beside selfhost: pip install "mcp>=2"',
        ) from None
    if sys.stdin.isatty():
        write(
            "selfhost mcp waits for an agent on standard input (Ctrl-C ends it)\n",
            to_error=True,
        )
    # the server runs as long as the agent: a list of input files would grow without end
    forget_inputs()
    serve(folders)


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the program at once, whatever it does. An exception in its place would come in
    the midst of anything: compiled modules that are being loaded report a fault of their own, tasks
    fail one after the other, and a thread that writes to an agent that does not read is waited for.
    There is nothing to tidy up: no file is written, and the process that works ends with its input.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not interrupts.raises_error():
        # whoever started the program has decided what Ctrl-C does
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
