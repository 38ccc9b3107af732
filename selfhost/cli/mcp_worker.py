"""The process in which the tools of `selfhost mcp` work, as the server sees it.

A tool takes a tenth of a second, a list of all models several. The server must hear its agent
meanwhile, and the work for a call that the agent takes back must end. Nothing ends a thread of
Python from outside, and no function here would look every few models whether it is still wanted; a
process can be ended at any moment. So there is one process for work. It is started when it is first
needed, as a new program: to fork a program that runs threads is not safe. It keeps its tables
between calls and takes one call at a time, which bounds memory and processors, however many calls
wait. A call that is taken back ends it, and the next call starts another.

The two talk over pipes: a line of JSON for a call, a line for its answer (`mcp_answers`). The
process ends with its input, so none is left behind, however the server ends. No socket is opened.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..core.errors import SelfhostError
from ..core.records import FrozenDict, Record

if TYPE_CHECKING:
    from subprocess import Popen

# the hidden command that works out answers, which `selfhost --help` does not list
COMMAND = "_answer"
# the folders in which the server finds modules come first, and nothing of the folder it stands in
_PROGRAM = f"""\
import sys
sys.path[:] = sys.argv[1:]
sys.argv[1:] = [{COMMAND!r}]
from selfhost.__main__ import start
start()"""
_CREATE_NO_WINDOW = 0x08000000
_CREATE_NEW_PROCESS_GROUP = 0x00000200


class Answer(Record):
    """The answer to a call: the text and the object of a tool, or the sentence of an error."""

    text: str
    content: Mapping[str, Any] = FrozenDict()
    is_error: bool = False


class Call:
    """A call of a tool: the line that states it, and whether the agent has taken it back."""

    def __init__(
        self,
        tool: str,
        arguments: Mapping[str, object],
        folders: Sequence[str],
    ) -> None:
        stated = {"tool": tool, "arguments": arguments, "folders": folders}
        self.line = json.dumps(stated).encode() + b"\n"
        self.is_taken_back = False


class Worker:
    """The process that works out answers, from its first call on.

    One thread at a time may ask. Any thread may take a call back, or end the process.
    """

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        # the call that the process is working out
        self._call: Call | None = None
        self._lock = threading.Lock()

    def ask(self, call: Call) -> Answer:
        """Return the answer to a call. Raises `SelfhostError` where the process cannot be started
        or ends without an answer, as it does when the call is taken back.
        """
        with self._lock:
            if call.is_taken_back:
                raise _ended(None)
            process = self._started()
            self._call = call
        line = _exchange(process, call.line)
        with self._lock:
            # the next call may have begun where this one was taken back
            if self._call is call:
                self._call = None
        if line.endswith(b"\n") and not call.is_taken_back:
            return Answer(**json.loads(line))
        self._end(process)
        raise _ended(process)

    def take_back(self, call: Call) -> None:
        """End the work for a call, if it has begun or not."""
        with self._lock:
            call.is_taken_back = True
            process = self._process
            if self._call is not call or process is None:
                return
            # the next call starts another process; the thread that asked ends with this one
            self._process = None
            process.kill()

    def end(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            process = self._process
        if process is not None:
            self._end(process)

    def _started(self) -> Popen[bytes]:
        """The process, started where there is none that runs."""
        if self._process is None or self._process.poll() is not None:
            self._process = _start()
        return self._process

    def _end(self, process: Popen[bytes]) -> None:
        """End a process, and let go of its pipes."""
        with self._lock:
            if self._process is process:
                self._process = None
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                # what was not written yet is of no use
                with suppress(OSError):
                    stream.close()


def _start() -> Popen[bytes]:
    """Start the process. Raises `SelfhostError`."""
    import subprocess

    if getattr(sys, "frozen", False) or not sys.executable:
        why = "this program runs without a Python interpreter of its own"
        raise SelfhostError(f"no answer can be worked out: {why}")
    flags = 0
    if sys.platform == "win32":
        flags = _CREATE_NO_WINDOW | _CREATE_NEW_PROCESS_GROUP
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=flags,
            # Ctrl-C on a terminal goes to the server alone, which ends this process
            start_new_session=True,
        )
    except OSError as error:
        remedy = "close other programs, and ask again"
        message = f"no process could be started to work out answers ({error})"
        raise SelfhostError(message, remedy=remedy) from None


def _exchange(process: Popen[bytes], line: bytes) -> bytes:
    """The line that the process answers to a line; no whole line where it has ended."""
    if process.stdin is None or process.stdout is None:
        return b""
    try:
        process.stdin.write(line)
        process.stdin.flush()
        return process.stdout.readline()
    except (OSError, ValueError):
        # the process, or one of its pipes, has been closed meanwhile
        return b""


def _ended(process: Popen[bytes] | None) -> SelfhostError:
    """The error for a process that ended without an answer."""
    status = None if process is None else process.returncode
    how = "" if status is None else f" (status {status})"
    return SelfhostError(
        f"the process that works out answers ended without one{how}",
        remedy="ask again; where memory ends, ask for less at once",
    )
