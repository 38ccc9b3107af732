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


def ask_nvml() -> Mapping[str, Any]:
    """What `nvml.py` prints, or `why` it says nothing.

    It runs with this interpreter, isolated from the folder, variables and packages of the caller,
    and writes no byte code. It is killed after NVML_SECONDS, and not waited for: a process that
    waits inside a driver ends only when the driver lets it.
    """
    import json
    import subprocess
    import threading

    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nvml.py")
    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(program):
        return {"why": "this program runs without a Python interpreter of its own"}
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
        return {"why": f"no process could be started ({error})"}
    try:
        text = child.communicate(timeout=NVML_SECONDS)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        # reaped whenever the driver lets it end
        threading.Thread(target=child.communicate, daemon=True).start()
        return {"why": f"it gave no answer within {NVML_SECONDS:g} seconds"}
    if status := child.returncode:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return {"why": f"the process that asked it ended {how}"}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {"why": "its answer could not be understood"}
