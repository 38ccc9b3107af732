"""What people call a device on the PCI bus, by the list of names that distributions carry."""

from __future__ import annotations

import re

from .host import MAX_NAMES_BYTES, PCI, Host

# of the packages hwdata and pciutils
_LISTS = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")


def name_on_bus(host: Host, slot: str, vendor: str) -> str | None:
    """The name of the device in a slot; None where no list is installed or has it."""
    device = host.read_word(f"{PCI}/{slot}/device")
    if not device:
        return None
    for path in _LISTS:
        name = parse_pci_name(host.read_text(path, MAX_NAMES_BYTES) or "", vendor, device)
        if name:
            return name
    return None


def parse_pci_name(text: str, vendor: str, device: str) -> str | None:
    """pci.ids -> what people call a device: `Arc B580` of `Battlemage G21 [Arc B580]`."""
    inside = False
    head, own = (
        vendor.removeprefix("0x").lower() + " ",
        "\t" + device.removeprefix("0x").lower() + " ",
    )
    for line in text.splitlines():
        if not line.startswith(("\t", "#")):
            if inside:
                break
            inside = line.lower().startswith(head)
        elif inside and line.lower().startswith(own):
            title = line[len(own) :].strip()
            bracket = re.search(r"\[([^\]]+)\]", title)
            return bracket[1] if bracket else title or None
    return None
