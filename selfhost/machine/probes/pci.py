"""Devices on the PCI bus, and what people call them by the list that distributions carry."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core.records import Record
from ..record import Accelerator
from .host import Host

PCI = "/sys/bus/pci/devices"
NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
# of the packages hwdata and pciutils
_LISTS = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")
MAX_NAMES_BYTES = 4 * 2**20
VERSION = "/proc/driver/nvidia/version"
WSL_DEVICE, _WSL_LIBRARY = "/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"


class Read(Record):
    """What was read of one vendor's GPUs: the cards, where, and why the memory of some is None."""

    cards: tuple[Accelerator, ...]
    source: str
    reason: str | None = None
    remedy: str | None = None


def display_devices(host: Host) -> tuple[list[tuple[str, str]], str | None]:
    """(slot, vendor) of display adapters and accelerators, and why one could not be told, if so."""
    devices, why = [], None
    # a board or small virtual machine without a PCI bus has /sys/bus all the same
    if not host.exists(PCI) and not host.listdir("/sys/bus"):
        why = f"{PCI} cannot be listed"
    for slot in host.listdir(PCI):
        kind, vendor = host.read_word(f"{PCI}/{slot}/class"), host.read_word(f"{PCI}/{slot}/vendor")
        is_display = kind.startswith(("0x03", "0x1200"))
        if not kind and vendor in ("", NVIDIA, AMD):
            why = host.why(f"{PCI}/{slot}/class")
        elif is_display and not vendor:
            why = host.why(f"{PCI}/{slot}/vendor")
        elif is_display:
            devices.append((slot, vendor))
    return devices, why


def name_on_bus(host: Host, slot: str, vendor: str) -> str | None:
    """The name of the device in a slot; None where no list is installed or has it."""
    device = host.read_word(f"{PCI}/{slot}/device")
    texts = (host.read_text(path, MAX_NAMES_BYTES) or "" for path in _LISTS if device)
    return next(filter(None, (parse_pci_name(text, vendor, device) for text in texts)), None)


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


def masked(cards: Sequence[Accelerator], mask: str | None) -> tuple[Accelerator, ...]:
    """What a mask of numbers leaves, in its order; all of them without one. The first word that is
    no number of one ends the list.
    """
    if not mask:
        return tuple(cards)
    chosen: list[int] = []
    for word in mask.split(","):
        number = int(word) if re.fullmatch(r"\s*[0-9]{1,4}\s*", word) else len(cards)
        if number >= len(cards) or number in chosen:
            break
        chosen.append(number)
    return tuple(cards[number] for number in chosen)


def driver_nodes(host: Host) -> list[str]:
    """The devices of NVIDIA GPUs, as `nvidia0`."""
    return [name for name in host.listdir("/dev") if re.fullmatch(r"nvidia\d+", name)]


def driver_present(host: Host) -> bool:
    """Whether files show a driver that could answer."""
    if host.system == "windows":
        folder = host.env.get("SystemRoot") or r"C:\Windows"
        return host.exists(folder + r"\System32\nvml.dll")
    in_wsl = host.exists(WSL_DEVICE) and host.exists(_WSL_LIBRARY)
    return bool(driver_nodes(host)) or host.exists(VERSION) or in_wsl
