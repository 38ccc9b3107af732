"""Accelerators: which are there, from files alone. NVIDIA's memory is known to its driver library only, so it stays unread here."""

from __future__ import annotations

import re

from ..machine import Accelerator, normal_architecture
from .host import FILL_IN, Found, Host

ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
PCI = "/sys/bus/pci/devices"
NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
UNNAMED = "NVIDIA GPU"
UNIFIED = f"{ACCELERATORS}.unified"


def parse_driver(text: str) -> str | None:
    """/proc/driver/nvidia/version -> `590.48.01`."""
    match = re.search(r"Kernel Module[^\n]*?\s(\d+\.\d+(?:\.\d+)*)\s", text)
    return match[1] if match else None


def parse_information(text: str) -> str | None:
    """/proc/driver/nvidia/gpus/*/information -> the model's name."""
    match = re.search(r"^Model:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def _word(host: Host, path: str) -> str | None:
    text = host.read_text(path, 256)
    return text.strip().lower() if text else None


def _display_devices(host: Host) -> tuple[list[tuple[str, str]], str | None]:
    """(slot, vendor) of PCI display adapters and accelerators, and why one could not be told, if so."""
    names = host.listdir(PCI)
    if names is None:
        # a board or small virtual machine without a PCI bus has /sys/bus all the same
        return [], None if host.listdir("/sys/bus") is not None else f"{PCI} cannot be listed"
    found, why = [], None
    for slot in names:
        kind, vendor = _word(host, f"{PCI}/{slot}/class"), _word(host, f"{PCI}/{slot}/vendor")
        if kind is None and vendor in (None, NVIDIA, AMD):
            why = host.why(f"{PCI}/{slot}/class")
        elif kind is not None and kind.startswith(("0x03", "0x1200")):
            if vendor is None:
                why = host.why(f"{PCI}/{slot}/vendor")
            else:
                found.append((slot, vendor))
    return found, why


def read_accelerators(host: Host, found: Found) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        _linux(host, found)
    elif host.system == "macos" and (host.sysctl("hw.optional.arm64") == "1"):
        name = host.clean((host.sysctl("machdep.cpu.brand_string") or "").strip() or "Apple silicon")
        found.put(ACCELERATORS, (Accelerator(vendor="apple", name=name, unified=True),), "sysctl hw.optional.arm64")
        found.miss(MEMORY, "the GPU shares the machine's RAM; how much of it Metal may use is not read by this version")
    else:
        found.miss(ACCELERATORS, f"GPUs are not looked for on this kind of {host.system} machine by this version", FILL_IN)


def _linux(host: Host, found: Found) -> None:
    devices, why = _display_devices(host)
    cards: list[Accelerator] = []
    sources: list[str] = []
    reasons: list[str] = []
    for part in (_nvidia(host, devices), _amd(host, devices), _intel(devices)):
        if part:
            cards.extend(part[0])
            sources.append(part[1])
            if any(card.memory_total_bytes is None for card in part[0]):
                reasons.append(part[2])
    if why and not cards:
        found.miss(ACCELERATORS, why, FILL_IN)
        return
    found.put(ACCELERATORS, tuple(cards), "; ".join(sources) or f"{PCI}: no GPU of NVIDIA, AMD or Intel")
    if reasons:
        found.miss(MEMORY, "; ".join(reasons), FILL_IN)
    if any(card.unified is None for card in cards):
        found.miss(UNIFIED, "whether the GPU shares the machine's RAM is told by its name or its driver, and neither was read", FILL_IN)


def _nvidia(host: Host, devices: list[tuple[str, str]]) -> tuple[list[Accelerator], str, str] | None:
    slots = [slot for slot, vendor in devices if vendor == NVIDIA]
    nodes = host.listdir("/dev", r"nvidia\d+$") or []
    version = host.read_text("/proc/driver/nvidia/version")
    driver = parse_driver(version) if version else None
    board = (host.read_text("/proc/device-tree/model") or "").strip(" \n\0")
    wsl = host.exists("/dev/dxg") and host.exists("/usr/lib/wsl/lib/libnvidia-ml.so.1")
    if "jetson" in board.lower():
        card = Accelerator(vendor="nvidia", name=host.clean(board), unified=True, driver=driver)
        return [card], "/proc/device-tree/model", "the GPU shares the machine's RAM and has none of its own"
    names = [parse_information(host.read_text(f"/proc/driver/nvidia/gpus/{slot}/information") or "") for slot in slots]
    seen = [name for name in names if name]
    # a container is handed device nodes, while the bus shows it every card of the host
    count = len(nodes) or len(slots) or int(wsl or version is not None)
    if not count:
        return None
    if not nodes and not wsl:
        reason = "an NVIDIA GPU is there, but no driver for it, or it was not handed to this container"
    else:
        reason = "an NVIDIA GPU's memory is known to its driver library only, which this version does not ask"
    cards = []
    for index in range(count):
        name = seen[index] if len(seen) >= count else seen[0] if len(set(seen)) == 1 else UNNAMED
        # NVIDIA's chips that share RAM, Tegra and GB10, are Arm ones: elsewhere a card without a name has memory of its own
        own = name != UNNAMED or normal_architecture(host.machine() or "") == "x86_64"
        unified = True if re.search(r"\bGB10\b", name) else False if own else None
        cards.append(Accelerator(vendor="nvidia", name=host.clean(name), driver=driver, unified=unified))
    source = "/dev/nvidia*" if nodes else PCI if slots else "/dev/dxg" if wsl else "/proc/driver/nvidia/version"
    return cards, source, reason


def _size(host: Host, path: str) -> int | None:
    word = _word(host, path)
    return int(word) if word and word.isdecimal() and word.isascii() and 0 < int(word) <= 2**50 else None


def _amd(host: Host, devices: list[tuple[str, str]]) -> tuple[list[Accelerator], str, str] | None:
    cards = []
    for name in host.listdir("/sys/class/drm", r"card\d+$") or ():
        folder = f"/sys/class/drm/{name}/device"
        if _word(host, f"{folder}/vendor") != AMD:
            continue
        total, used = _size(host, f"{folder}/mem_info_vram_total"), _size(host, f"{folder}/mem_info_vram_used")
        title = _word(host, f"{folder}/product_name") or f"AMD GPU {_word(host, f'{folder}/device') or ''}".strip()
        free = max(0, total - used) if total is not None and used is not None else None
        # a processor's own graphics too has this memory to itself: the firmware takes it out of the RAM
        own = None if total is None else False
        cards.append(Accelerator(vendor="amd", name=host.clean(title), memory_total_bytes=total, memory_free_bytes=free, unified=own))
    count = sum(vendor == AMD for _, vendor in devices)
    cards.extend(Accelerator(vendor="amd", name="AMD GPU") for _ in range(count - len(cards)))
    return (cards, "/sys/class/drm", "an AMD GPU has no mem_info_vram_total: its driver amdgpu is not loaded") if cards else None


def _intel(devices: list[tuple[str, str]]) -> tuple[list[Accelerator], str, str] | None:
    # bus 00 is the processor's own graphics, which shares RAM and speeds nothing up here
    slots = [slot for slot, vendor in devices if vendor == INTEL and not re.match(r"[0-9a-f]{4}:00:", slot)]
    cards = [Accelerator(vendor="intel", name="Intel GPU", unified=False) for _ in slots]
    return (cards, PCI, "an Intel GPU's memory is not read by this version") if cards else None
