"""Whether NVIDIA's driver is there, or the computer is one of its boards: what files show."""

from __future__ import annotations

from .host import Host

VERSION, GPUS = "/proc/driver/nvidia/version", "/proc/driver/nvidia/gpus"
WSL_DEVICE, WSL_LIBRARY = "/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"
# of boards whose name need not tell
_CHIPS = {
    "nvidia,tegra186": "TX2",
    "nvidia,tegra194": "Xavier",
    "nvidia,tegra234": "Orin",
    "nvidia,tegra264": "Thor",
}


def is_node(name: str) -> bool:
    """The device of a GPU, as `nvidia0`."""
    return name.startswith("nvidia") and name[len("nvidia") :].isdecimal()


def driver_present(host: Host) -> bool:
    """Whether files show a driver that could answer."""
    if host.system == "windows":
        folder = host.env.get("SystemRoot") or r"C:\Windows"
        return host.exists(folder + r"\System32\nvml.dll")
    nodes = bool(host.listdir("/dev", is_node))
    return nodes or host.exists(VERSION) or (host.exists(WSL_DEVICE) and host.exists(WSL_LIBRARY))


def jetson_board(host: Host) -> str | None:
    """What a Jetson's firmware calls its board; None of another computer. On carriers of other
    makers, and of some releases, the name has no "Jetson": the chip is told by `compatible`
    (devicetree bindings of Linux, arm/tegra.yaml).
    """
    board = (host.read_text("/proc/device-tree/model") or "").strip(" \n\0")
    if "jetson" in board.lower():
        return board
    try:
        names = host.read_bytes("/proc/device-tree/compatible", 4096).decode("ascii", "replace")
    except (OSError, ValueError):
        return None
    chip = next((_CHIPS[name] for name in names.split("\0") if name in _CHIPS), None)
    if chip is None:
        return None
    return board if chip.lower() in board.lower() else f"NVIDIA Jetson {chip} ({board})"
