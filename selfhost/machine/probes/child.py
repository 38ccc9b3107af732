"""One child process, for what may hang or crash: a driver's library. The only place that starts
one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

TYPE_CHECKING = False

if TYPE_CHECKING:
    import subprocess
    from typing import Any


class ChildError(Exception):
    """The child gave no answer; the text says why, as the end of a sentence."""


def ask(program: str, words: Sequence[str], *, seconds: float, limit_bytes: int) -> bytes:
    """What the Python program in the file `program` prints, at most `limit_bytes`. `ChildError` for
    any other end.

    It runs with this interpreter, isolated from the folder, variables and packages of the caller,
    and writes no byte code. It is killed after `seconds`, and not waited for: a process that waits
    inside a driver ends only when the driver lets it.
    """
    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(program):
        raise ChildError("this program runs without a Python interpreter of its own")
    child = _start(os.path.abspath(sys.executable), program, words)
    text, ended = _read_out(child, seconds=seconds, limit_bytes=limit_bytes)
    if len(text) > limit_bytes:
        raise ChildError(f"its answer is longer than {limit_bytes:,} bytes")
    if ended != [0]:
        raise ChildError(f"the process that asked it ended {_ending(ended)}")
    return text


def _start(python: str, program: str, words: Sequence[str]) -> subprocess.Popen[bytes]:
    import subprocess

    # CREATE_NO_WINDOW
    quiet: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
    try:
        return subprocess.Popen(
            [python, "-I", "-S", "-B", program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.dirname(python),
            **quiet,
        )
    except (OSError, ValueError) as error:
        raise ChildError(
            f"no process could be started ({getattr(error, 'strerror', None) or error})"
        ) from None


def _read_out(
    child: subprocess.Popen[bytes], *, seconds: float, limit_bytes: int
) -> tuple[bytes, list[int]]:
    """What it prints, cut off after one byte more than `limit_bytes`, and its exit status, none
    where it was not seen. `ChildError` where it does not end in time.
    """
    import _thread

    done = _thread.allocate_lock()
    done.acquire()
    parts: list[bytes] = []
    ended: list[int] = []

    def read() -> None:
        # in a thread of its own: Windows cannot wait for a pipe with a deadline, and a stuck child
        # keeps its end open
        pipe, left = child.stdout, limit_bytes + 1
        try:
            while (
                pipe is not None and left > 0 and (part := os.read(pipe.fileno(), min(left, 65536)))
            ):
                parts.append(part)
                left -= len(part)
            if left <= 0:
                child.kill()
            ended.append(child.wait())
        except OSError:
            pass
        finally:
            done.release()
            if pipe is not None:
                pipe.close()

    answered = False
    try:
        _thread.start_new_thread(read, ())
        answered = done.acquire(timeout=seconds)
    finally:
        if not answered:
            # the thread reaps it, whenever that is
            child.kill()
    if not answered:
        raise ChildError(f"it gave no answer within {seconds:g} seconds")
    return b"".join(parts), ended


def _ending(statuses: Sequence[int]) -> str:
    """How a process ended, by its exit status; a signal is a negative one."""
    if not statuses:
        return "unseen"
    status = statuses[0]
    return f"by signal {-status}" if status < 0 else f"with status {status}"
