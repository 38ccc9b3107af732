"""One child process, for what may hang or crash: a driver's library. The only place that starts
one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a driver that nothing keeps loaded starts each of eight GPUs anew, a second or more each; busy
# ones took over two (NordicHPC/sonar#92)
NVML_SECONDS = 10.0


class ChildError(Exception):
    """The child gave no answer; the text says why, as the end of a sentence."""


def ask_nvml() -> Mapping[str, Any]:
    """What `nvml.py` prints, or `why` it says nothing."""
    import json

    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nvml.py")
    try:
        answer = json.loads(ask(program, seconds=NVML_SECONDS))
    except ChildError as error:
        return {"why": str(error)}
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {"why": "its answer could not be understood"}


def ask(program: str, *, seconds: float) -> bytes:
    """What the Python program in the file `program` prints. `ChildError` for any other end.

    It runs with this interpreter, isolated from the folder, variables and packages of the caller,
    and writes no byte code. It is killed after `seconds`, and not waited for: a process that waits
    inside a driver ends only when the driver lets it.
    """
    import subprocess
    import threading

    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(program):
        raise ChildError("this program runs without a Python interpreter of its own")
    python = os.path.abspath(sys.executable)
    # CREATE_NO_WINDOW
    quiet: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
    try:
        child = subprocess.Popen(
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
    try:
        text: bytes = child.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        raise ChildError(f"it gave no answer within {seconds:g} seconds") from None
    finally:
        if child.returncode is None:
            child.kill()
            # reaped whenever the driver lets it end
            threading.Thread(target=child.communicate, daemon=True).start()
    if child.returncode:
        status = child.returncode
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise ChildError(f"the process that asked it ended {how}")
    return text
