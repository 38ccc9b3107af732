"""GPUs: which are there and what memory they have. Those of AMD and Intel are read from the files
of Linux, Apple's by sysctl, those of Windows from its registry; NVIDIA's in `nvidia.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core import units
from ...core.records import Record
from ..platforms import platforms
from ..record import FILL_IN, Accelerator
from .firmware import Why, firmware_names, why_unread
from .host import Facts, Host
from .nvidia import Cards, read_nvidia
from .texts import whole

# makers, as PCI numbers them
_NVIDIA = "0x10de"
_AMD = "0x1002"
_INTEL = "0x8086"
_PCI = "/sys/bus/pci/devices"
_DRM = "/sys/class/drm"
_WSL_DEVICE = "/dev/dxg"
# classes of PCI: displays, and accelerators without one
_DISPLAYS = ("0x03", "0x1200")
_AMD_MASKS = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_CUDA_MASK = "CUDA_VISIBLE_DEVICES"
_FACT = "accelerators"
_MAX_BYTES = 2**50
_REGISTRY = "the registry"


def read_accelerators(host: Host, facts: Facts) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        reads = _read_linux(host, facts)
        place = _PCI
    elif host.system == "windows":
        reads = _read_windows(host)
        place = _REGISTRY
    else:
        reads = [_read_apple(host)]
        place = "sysctl"
    cards = tuple([card for read in reads for card in read.cards])
    # where there are cards, those without memory say why; else whatever may hide one
    silent = [read for read in reads if read.lacks_memory or not cards]
    whys = [read.unread for read in silent if read.unread is not None]
    if cards or not whys:
        sources = [read.source for read in reads if read.source]
        source = "; ".join(sources) or f"{place}: no GPU of NVIDIA, AMD or Intel"
        facts.put(_FACT, cards, source)
    if any(card.unified is None for card in cards):
        why = why_unread("unified")
        facts.put(f"{_FACT}.unified", None, "", why.reason, why.remedy)
    if whys:
        fact = f"{_FACT}.memory_total_bytes" if cards else _FACT
        reason = "; ".join([why.reason for why in whys])
        remedies = dict.fromkeys(why.remedy for why in whys if why.remedy)
        facts.put(fact, None, "", reason, "; ".join(remedies))


class Displays(Record):
    """The folders in sysfs of each maker's display devices, and why one may be there unseen."""

    folders: Mapping[str, list[str]]
    why: str | None


def _read_linux(host: Host, facts: Facts) -> list[Cards]:
    displays = _displays_on_bus(host)
    if not displays.folders:
        # where the bus does not show, the driver's own folders do
        displays = Displays(folders=_displays_of_drivers(host), why=displays.why)
    folders = displays.folders
    reads = read_nvidia(host, len(folders.get(_NVIDIA, ())))
    if _AMD in folders:
        cards = {folder: _amd_card(host, folder, facts) for folder in folders[_AMD]}
        reads.append(_cards_of_maker(host, facts, cards, "an AMD"))
    if _INTEL in folders:
        cards = {folder: _intel_card(host, folder) for folder in folders[_INTEL]}
        reads.append(_cards_of_maker(host, facts, cards, "an Intel"))
    if not reads and host.exists(_WSL_DEVICE):
        return [Cards(unread=why_unread("wsl"))]
    if displays.why is not None:
        reads.append(Cards(unread=Why(displays.why, FILL_IN)))
    return reads


def _displays_on_bus(host: Host) -> Displays:
    folders: dict[str, list[str]] = {}
    slots = host.listdir(_PCI)
    why = None
    # a board or small virtual machine without a PCI bus has /sys/bus all the same
    if _PCI in host.why and (host.exists(_PCI) or not host.listdir("/sys/bus")):
        why = f"{_PCI} cannot be listed"
    for slot in slots:
        folder = f"{_PCI}/{slot}"
        kind = host.read_text(f"{folder}/class").strip()
        vendor = host.read_text(f"{folder}/vendor").strip()
        if not kind:
            why = host.why[f"{folder}/class"]
        elif not kind.startswith(_DISPLAYS):
            continue
        elif not vendor:
            why = host.why[f"{folder}/vendor"]
        # bus 00 is an Intel processor's own graphics, which share RAM and speed nothing up here
        elif vendor != _INTEL or _bus_of(slot) != "00":
            folders.setdefault(vendor, []).append(folder)
    return Displays(folders=folders, why=why)


def _bus_of(slot: str) -> str:
    """The number of the bus in `0000:03:00.0`, from which a recorded tree may leave colons out."""
    return slot.replace(":", "")[4:6]


def _displays_of_drivers(host: Host) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for name in host.listdir(_DRM):
        folder = f"{_DRM}/{name}/device"
        vendor = host.read_text(f"{folder}/vendor").strip()
        if name.startswith("card") and vendor in (_NVIDIA, _AMD):
            folders.setdefault(vendor, []).append(folder)
    return folders


def _cards_of_maker(
    host: Host, facts: Facts, by_folder: Mapping[str, Accelerator], maker: str
) -> Cards:
    """The cards that a container was handed: its bus shows all of the host's."""
    every = list(by_folder.values())
    cards = every
    if facts.values.get("scope") == "container":
        nodes = host.listdir("/dev/dri")
        cards = []
        for folder, card in by_folder.items():
            if not set(nodes).isdisjoint(host.listdir(f"{folder}/drm")):
                cards.append(card)
    masks: list[str] = []
    if every[0].vendor == "amd":
        masks = [name for name in _AMD_MASKS if name in host.env]
    if not cards:
        unread = why_unread("unhanded", maker=maker)
        cards = [_without_memory(card) for card in every]
    elif masks:
        unread = why_unread("masked", mask=" and ".join(masks))
        cards = [_without_memory(card) for card in cards]
    else:
        unread = _why_without_memory(cards, "silent", maker)
    source = _PCI if next(iter(by_folder)).startswith(_PCI) else _DRM
    return Cards(cards=tuple(cards), source=source, unread=unread)


def _without_memory(card: Accelerator) -> Accelerator:
    return card.replace(memory_total_bytes=None, memory_free_bytes=None)


def _why_without_memory(cards: list[Accelerator], code: str, maker: str = "") -> Why:
    """Why those without memory have none: they share the RAM, or else `code`."""
    blank = [card for card in cards if card.memory_total_bytes is None]
    is_shared = all(card.unified for card in blank)
    return why_unread("shares" if is_shared else code, maker=maker)


def _read_size(host: Host, path: str) -> int | None:
    """A number of bytes, decimal or hexadecimal; None where it is 0, or none that a GPU has."""
    word = host.read_text(path).strip()
    is_hexadecimal = re.fullmatch(r"0x[0-9a-f]{1,16}", word) is not None
    number = int(word, 16) if is_hexadecimal else whole(word)
    return number if number and number <= _MAX_BYTES else None


def _amd_card(host: Host, folder: str, facts: Facts) -> Accelerator:
    total = _read_size(host, f"{folder}/mem_info_vram_total")
    used = whole(host.read_text(f"{folder}/mem_info_vram_used").strip())
    unified: bool | None = None if total is None else False
    # metrics of a processor's own graphics are of revision 2 or 3, those of cards of revision 1, as
    # kgd_pp_interface.h of Linux has them
    if host.read_bytes(f"{folder}/gpu_metrics", 4)[2:3] in (b"\2", b"\3"):
        # runtimes take one of two pools: what the firmware took out of the RAM for it, or what it
        # may borrow of the RAM, that can be stated larger than the RAM is (96 GiB and 105 GiB of
        # 128: GpuZelenograd/memtest_vulkan#66)
        ram_bytes = facts.values.get("memory_total_bytes", _MAX_BYTES)
        lent_bytes = _read_size(host, f"{folder}/mem_info_gtt_total") or 0
        borrowed = min(lent_bytes, ram_bytes)
        unified = (total or 0) <= borrowed
        if unified:
            total = borrowed or None
            used = None
    free = None
    if total is not None and used is not None:
        free = max(0, total - used)
    return Accelerator(
        vendor="amd",
        name=_amd_name(host, folder),
        memory_total_bytes=total,
        memory_free_bytes=free,
        unified=unified,
    )


def _amd_name(host: Host, folder: str) -> str:
    """As the board calls itself, else as libdrm lists it by device and revision."""
    given = host.read_text(f"{folder}/product_name", 256).strip()
    if given:
        return given
    device = host.read_text(f"{folder}/device").strip()
    revision = host.read_text(f"{folder}/revision").strip()
    if device:
        numbers = rf"{re.escape(device[2:])},\s*{re.escape(revision[2:])}"
        for path in platforms().amd_names:
            line = rf"(?im)^{numbers},\s*(\S.*?)\s*$"
            match = re.search(line, host.read_text(path))
            if match is not None:
                return match[1]
    return f"AMD GPU {device}".strip()


def _intel_card(host: Host, folder: str) -> Accelerator:
    # the driver i915 tells nothing of the memory
    sizes: list[int | None] = []
    for name in host.listdir(folder):
        if re.fullmatch(r"tile\d+", name):
            path = f"{folder}/{name}/physical_vram_size_bytes"
            sizes.append(_read_size(host, path))
    known = [size for size in sizes if size is not None]
    is_known = len(known) == len(sizes)
    return Accelerator(
        vendor="intel",
        name=f"Intel {_intel_name(host, folder) or 'GPU'}",
        memory_total_bytes=sum(known) or None if is_known else None,
        unified=False,
    )


def _intel_name(host: Host, folder: str) -> str | None:
    """As people call it: `Arc B580` of `Battlemage G21 [Arc B580]`; None where no list has it."""
    device = host.read_text(f"{folder}/device").strip()
    if not device:
        return None
    title = rf"{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
    row = rf"(?im)^{_INTEL[2:]} .*\n(?:[\t#].*\n|\n)*?\t{title}"
    for path in platforms().pci_names:
        match = re.search(row, host.read_text(path))
        if match is not None:
            # in brackets, else the whole title
            return match[1] or match[2]
    return None


def _read_apple(host: Host) -> Cards:
    """The GPU of a Mac with Apple's chip; those of an Intel one, and of another system, are not
    looked for.
    """
    if host.sysctl("hw.optional.arm64") != "1":
        return Cards(unread=why_unread("system", system=host.system))
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    source = "sysctl hw.optional.arm64"
    limit_bytes = None
    limit_mib = whole(host.sysctl("iogpu.wired_limit_mb"))
    # 0 is Apple's own limit
    if limit_mib and limit_mib * units.MIB <= _MAX_BYTES:
        limit_bytes = limit_mib * units.MIB
        source += ", iogpu.wired_limit_mb"
    card = Accelerator(
        vendor="apple", name=name, unified=True, memory_total_bytes=limit_bytes
    )
    return Cards(cards=(card,), source=source, unread=why_unread("metal"))


def _read_windows(host: Host) -> list[Cards]:
    """NVIDIA's by its driver; by the registry the rest, and NVIDIA's where the driver is silent."""
    nvidia = read_nvidia(host, 0)
    adapters = host.ask("display_adapters")
    if adapters is None:
        why = Why("the registry's list of display adapters could not be read", FILL_IN)
        return [*nvidia, Cards(unread=why)]
    cards: list[Accelerator] = []
    for adapter in adapters:
        card = parse_adapter(adapter)
        if card is not None:
            cards.append(card)
    others = [card for card in cards if card.vendor != "nvidia"]
    if _CUDA_MASK in host.env or _has_memory(nvidia):
        cards = others
    elif len(others) < len(cards):
        # the registry has NVIDIA's, too
        nvidia = []
    if not cards:
        return nvidia
    unread = _why_without_memory(cards, "registry")
    source = "the registry's display adapters"
    return [*nvidia, Cards(cards=tuple(cards), source=source, unread=unread)]


def _has_memory(reads: list[Cards]) -> bool:
    cards = [card for read in reads for card in read.cards]
    return any(card.memory_total_bytes for card in cards)


def parse_adapter(adapter: Mapping[str, Any]) -> Accelerator | None:
    """The card of a display adapter; None for graphics of Intel's processors and other makers."""
    code = str(adapter.get("id")).lower()
    name = str(adapter.get("name") or "").strip()
    makers = firmware_names().windows_gpus
    maker = next((makers[number] for number in makers if number in code), None)
    if maker is None:
        return None
    is_card = maker.is_card(name)
    if maker.vendor == "intel" and not is_card:
        return None
    size = adapter.get("memory")
    if not is_card or not size or size > _MAX_BYTES:
        size = None
    return Accelerator(
        vendor=maker.vendor,
        name=name or f"{maker.vendor} GPU",
        memory_total_bytes=size,
        unified=not is_card,
    )
