"""The answers of the running system that are not in files, by name: a recorded tree has the same
names in its facts.json. Answers are JSON values: bytes are hexadecimal. This is the only module
that starts a process, for the one call that may hang or crash: NVIDIA's library. Each answer
imports the library that it alone needs: a recorded tree needs none.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subprocess import Popen

_UNAME = os.uname() if hasattr(os, "uname") else None
_ADAPTER_VALUES = {
    "id": "MatchingDeviceId",
    "name": "DriverDesc",
    "memory": "HardwareInformation.qwMemorySize",
}
# a driver that is not kept loaded initializes each of eight GPUs, a second or more each; busy GPUs
# took over two seconds (NordicHPC/sonar#92)
NVML_SECONDS = 10.0
# a constant of Windows's processthreadsapi.h
_CREATE_NO_WINDOW = 0x08000000


def _sysctl(name: str) -> str:
    """The value of macOS' kernel as text; empty where there is none of that name."""
    import ctypes

    ask = ctypes.CDLL(None).sysctlbyname
    size = ctypes.c_size_t(65536)
    buffer = ctypes.create_string_buffer(size.value)
    # no new value is set
    new_size = ctypes.c_size_t(0)
    error = ask(name.encode(), buffer, ctypes.byref(size), None, new_size)
    if error:
        return ""
    return _kernel_text(buffer.raw[: size.value])


def _kernel_text(raw: bytes) -> str:
    """The text of a kernel value, which is a text or a number; empty for other bytes."""
    # texts end with a zero byte and contain no other; integers have 4 or 8 bytes
    text = raw[:-1]
    is_printable = all(32 <= byte < 127 for byte in text)
    if text and is_printable and raw.endswith(b"\0"):
        return text.decode("ascii")
    if len(raw) in (4, 8):
        return str(int.from_bytes(raw, sys.byteorder))
    return ""


def _registry_value(key: str, value: str) -> Any:
    """A value of a key of Windows' registry; None where there is none."""
    try:
        # only Windows has this module and its attributes
        import winreg

        tool: Any = winreg
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, key) as opened:
            return tool.QueryValueEx(opened, value)[0]
    except (ImportError, OSError):
        return None


def _display_adapters() -> list[dict[str, object]] | None:
    """The `id` (PCI), `name` and `memory` of the display adapters that are present; None where they
    are unread.
    """
    adapters = []
    for key in _adapter_keys():
        adapter = {}
        for name, value in _ADAPTER_VALUES.items():
            adapter[name] = _registry_value(key, value)
        if any(adapter.values()):
            adapters.append(adapter)
    return adapters or None


def _adapter_keys() -> Iterable[str]:
    """The key in Windows' registry of one output of each display adapter."""
    keys: dict[str, str] = {}
    for number in range(64):
        value = rf"\Device\Video{number}"
        path = _registry_value(r"HARDWARE\DEVICEMAP\VIDEO", value) or ""
        # the path without `\REGISTRY\MACHINE`
        steps = str(path).split("\\")[3:]
        if steps:
            adapter = "\\".join(steps[:-1])
            keys.setdefault(adapter.lower(), "\\".join(steps))
    return keys.values()


def _processor_features() -> list[int]:
    """The numbers of the features that the processor has, on Windows: those of winnt.h
    (PF_…_AVAILABLE).
    """
    import ctypes

    is_there = ctypes.__dict__["windll"].kernel32.IsProcessorFeaturePresent
    return [number for number in range(64) if is_there(number)]


def _space(folder: str) -> dict[str, int]:
    """The bytes of the volume that holds a folder. `OSError` where the volume cannot be asked."""
    if os.name == "nt":
        import psutil

        usage = psutil.disk_usage(folder)
        return {"free_bytes": usage.free, "total_bytes": usage.total}
    volume = os.statvfs(folder)
    # f_bavail, not f_bfree: blocks reserved for root are of no use to an ordinary account
    return {
        "free_bytes": volume.f_bavail * volume.f_frsize,
        "total_bytes": volume.f_blocks * volume.f_frsize,
    }


def _writable(folder: str) -> bool | None:
    """Whether this account may store files in a folder; None where the system does not tell."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    # on Windows os.access only checks the read-only mark, not the permissions
    if os.name == "nt":
        return None
    return True


def _affinity() -> list[int] | None:
    """The numbers of the CPUs that this process may use; None where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))


def _memory() -> dict[str, int]:
    """The bytes of the whole memory, of the available memory and of free swap."""
    import psutil

    memory = psutil.virtual_memory()
    return {
        "total": memory.total,
        "available": memory.available,
        "swap_free": psutil.swap_memory().free,
    }


def _cores() -> dict[str, int | None]:
    """The physical cores, and the CPUs that this process may use."""
    import psutil

    if sys.platform == "win32":
        usable = len(psutil.Process().cpu_affinity() or ())
    else:
        usable = psutil.cpu_count(logical=True)
    return {"physical": psutil.cpu_count(logical=False), "usable": usable}


def _mounts() -> dict[str, str]:
    """The names of file systems by mount point."""
    try:
        import psutil

        parts = psutil.disk_partitions(all=sys.platform != "win32")
    # psutil does not exist in a browser
    except (ImportError, OSError):
        return {}
    return {part.mountpoint: part.fstype for part in parts}


def ask_nvml() -> dict[str, object]:
    """Return the output of `nvml.py`, or `why` there is none.

    The child runs isolated from the caller's folder, variables and packages. After NVML_SECONDS it
    is killed, and not waited for.
    """
    import subprocess

    folder = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(folder, "nvml.py")
    is_frozen = getattr(sys, "frozen", False)
    if is_frozen or not sys.executable or not os.path.isfile(program):
        return {"why": "this program runs without a Python interpreter of its own"}
    python = os.path.abspath(sys.executable)
    flags = _CREATE_NO_WINDOW if sys.platform == "win32" else 0
    try:
        child = subprocess.Popen(
            [python, "-I", "-S", "-B", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.dirname(python),
            creationflags=flags,
        )
    except OSError as error:
        return {"why": f"no process could be started ({error})"}
    return _answer_of(child)


def _answer_of(child: Popen[bytes]) -> dict[str, object]:
    """The JSON object that the child prints within NVML_SECONDS, or `why` there is none."""
    import json
    import subprocess
    import threading

    try:
        text, _ = child.communicate(timeout=NVML_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        # reaped when the driver lets the process end
        threading.Thread(target=child.communicate, daemon=True).start()
        return {"why": f"it gave no answer within {NVML_SECONDS:g} seconds"}
    status = child.returncode
    if status:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return {"why": f"the process that asked it ended {how}"}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {"why": "its answer could not be understood"}


ANSWERS: dict[str, Callable[..., Any]] = {
    "affinity": _affinity,
    "cores": _cores,
    "cwd": os.getcwd,
    "display_adapters": _display_adapters,
    "hostname": lambda: getattr(_UNAME, "nodename", None),
    "machine": lambda: getattr(_UNAME, "machine", None),
    "memory": _memory,
    "mounts": _mounts,
    "nvml": ask_nvml,
    "pointer_bits": lambda: 64 if sys.maxsize > 2**32 else 32,
    "processor_features": _processor_features,
    "python_path": lambda: [folder for folder in sys.path if folder],
    "read_at": lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    "registry": lambda path: _registry_value(*path.rsplit("\\", 1)),
    "space": _space,
    "sysctl": _sysctl,
    "writable": _writable,
}
