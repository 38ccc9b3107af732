"""One child process, for what may hang or crash: a driver's library. The only place that starts
one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    import subprocess
    from typing import Any

# a driver that nothing keeps loaded starts each of eight GPUs anew, a second or more each; busy
# ones took over two (NordicHPC/sonar#92)
NVML_SECONDS = 10.0
_NVML_BYTES = 2**20


class ChildError(Exception):
    """The child gave no answer; the text says why, as the end of a sentence."""


def ask_nvml() -> Mapping[str, Any]:
    """What `nvml.py` prints, or `why` it says nothing."""
    import json

    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nvml.py")
    try:
        answer = json.loads(ask(program, seconds=NVML_SECONDS, limit_bytes=_NVML_BYTES))
    except ChildError as error:
        return {"why": str(error)}
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {"why": "its answer could not be understood"}


def ask(program: str, *, seconds: float, limit_bytes: int) -> bytes:
    """What the Python program in the file `program` prints, at most `limit_bytes`. `ChildError` for
    any other end.

    It runs with this interpreter, isolated from the folder, variables and packages of the caller,
    and writes no byte code. It is killed after `seconds`, and not waited for: a process that waits
    inside a driver ends only when the driver lets it.
    """
    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(program):
        raise ChildError("this program runs without a Python interpreter of its own")
    child = _start(os.path.abspath(sys.executable), program)
    text, status = _read_out(child, seconds=seconds, limit_bytes=limit_bytes)
    if len(text) > limit_bytes:
        raise ChildError(f"its answer is longer than {limit_bytes:,} bytes")
    if status != 0:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise ChildError(f"the process that asked it ended {how}")
    return text


def _start(python: str, program: str) -> subprocess.Popen[bytes]:
    import subprocess

    # CREATE_NO_WINDOW
    quiet: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
    try:
        return subprocess.Popen(
            [python, "-I", "-S", "-B", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.dirname(python),
            **quiet,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ChildError(f"no process could be started ({reason})") from None


def _read_out(
    child: subprocess.Popen[bytes], *, seconds: float, limit_bytes: int
) -> tuple[bytes, int]:
    """What it prints, cut off after one byte more than `limit_bytes`, and its exit status.
    `ChildError` where it does not end in time.
    """
    import threading

    parts: list[bytes] = []
    statuses: list[int] = []

    def read() -> None:
        # in a thread of its own: Windows cannot wait for a pipe with a deadline, and a stuck child
        # keeps its end open
        assert child.stdout is not None
        left = limit_bytes + 1
        with child.stdout as pipe:
            while left > 0 and (part := os.read(pipe.fileno(), min(left, 65536))):
                parts.append(part)
                left -= len(part)
        if left <= 0:
            child.kill()
        statuses.append(child.wait())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        if thread.is_alive():
            # the thread reaps it, whenever that is
            child.kill()
    if not statuses:
        raise ChildError(f"it gave no answer within {seconds:g} seconds")
    return b"".join(parts), statuses[0]
