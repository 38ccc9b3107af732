"""Devices on the PCI bus, and what people call them by the list that distributions carry."""

from __future__ import annotations

import re

from ...core.records import Record
from ..record import Accelerator
from .host import Host

PCI, DRM = "/sys/bus/pci/devices", "/sys/class/drm"
NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
MAX_NAMES_BYTES = 4 * 2**20
VERSION = "/proc/driver/nvidia/version"
WSL_DEVICE, _WSL_LIBRARY = "/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"


class Device(Record):
    """A display adapter or accelerator: its folder in sysfs, its place on the bus and its maker."""

    folder: str
    slot: str
    vendor: str


class Read(Record):
    """What was read of one maker's GPUs: the cards, where, and why the memory of some is None."""

    cards: tuple[Accelerator, ...]
    source: str
    reason: str | None = None
    remedy: str | None = None


def display_devices(host: Host) -> tuple[list[Device], str | None]:
    """Display adapters and accelerators, and why one could not be told, if so."""
    devices, why = [], None
    # a board or small virtual machine without a PCI bus has /sys/bus all the same
    if not host.exists(PCI) and not host.listdir("/sys/bus"):
        why = f"{PCI} cannot be listed"
    for slot in host.listdir(PCI):
        folder = f"{PCI}/{slot}"
        kind, vendor = host.read_word(f"{folder}/class"), host.read_word(f"{folder}/vendor")
        is_display = kind.startswith(("0x03", "0x1200"))
        if not kind and vendor in ("", NVIDIA, AMD):
            why = host.why(f"{folder}/class")
        elif is_display and not vendor:
            why = host.why(f"{folder}/vendor")
        elif is_display:
            devices.append(Device(folder=folder, slot=slot, vendor=vendor))
    for name in [] if devices else host.listdir(DRM):
        # where the bus does not show, the driver's own folders do
        folder = f"{DRM}/{name}/device"
        vendor = host.read_word(f"{folder}/vendor")
        if re.fullmatch(r"card\d+", name) and vendor:
            devices.append(Device(folder=folder, slot="", vendor=vendor))
    return devices, why


def name_on_bus(host: Host, folder: str, vendor: str) -> str | None:
    """The name of a device by its folder in sysfs; None where no list (of the packages hwdata and
    pciutils) is installed or has it.
    """
    device = host.read_word(f"{folder}/device")
    for path in ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids"):
        text = host.read_text(path, MAX_NAMES_BYTES) if device else None
        if text and (name := parse_pci_name(text, vendor, device)):
            return name
    return None


def parse_pci_name(text: str, vendor: str, device: str) -> str | None:
    """pci.ids -> what people call a device: `Arc B580` of `Battlemage G21 [Arc B580]`."""
    head = re.escape(vendor.removeprefix("0x"))
    block = re.search(rf"(?im)^{head} .*\n((?:[\t#].*\n|\n)*)", f"{text}\n")
    line = re.escape(device.removeprefix("0x"))
    title = re.search(rf"(?im)^\t{line} +(.*?)\s*$", block[1]) if block else None
    if title is None:
        return None
    bracket = re.search(r"\[([^\]]+)\]", title[1])
    return bracket[1] if bracket else title[1] or None


def driver_nodes(host: Host) -> list[str]:
    """The devices of NVIDIA GPUs, as `nvidia0`."""
    return [name for name in host.listdir("/dev") if re.fullmatch(r"nvidia\d+", name)]


def driver_present(host: Host) -> bool:
    """Whether files show a driver of NVIDIA that could answer."""
    if host.system == "windows":
        folder = host.env.get("SystemRoot") or r"C:\Windows"
        return host.exists(folder + r"\System32\nvml.dll")
    in_wsl = host.exists(WSL_DEVICE) and host.exists(_WSL_LIBRARY)
    return bool(driver_nodes(host)) or host.exists(VERSION) or in_wsl
