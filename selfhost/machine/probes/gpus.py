"""GPUs: which are there and what memory they have, from files; NVIDIA's driver alone is asked
(`nvidia.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.records import pattern
from ..record import FILL_IN, Accelerator
from .host import Facts, Host, whole
from .nvidia import (
    MAX_NAMES_BYTES,
    NVIDIA,
    PCI,
    WSL_DEVICE,
    Device,
    Read,
    name_on_bus,
    read_nvidia,
)

ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
DRM = "/sys/class/drm"
AMD, INTEL = "0x1002", "0x8086"
# names of AMD's cards by device and revision, of libdrm
_AMD_NAMES = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")
# variables of ROCm and HIP that hide cards
_AMD_MASKS = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_SHARES = "the GPU shares the machine's RAM"
_MAX_BYTES, _MIB = 2**50, 2**20


def read_accelerators(host: Host, facts: Facts) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        _read_linux(host, facts)
    elif host.system == "windows":
        _read_windows(host, facts)
    elif host.system == "macos" and host.sysctl("hw.optional.arm64") == "1":
        _read_apple(host, facts)
    else:
        reason = f"GPUs are not looked for on this kind of {host.system} machine by this version"
        facts.miss(ACCELERATORS, reason, FILL_IN)


def _put(facts: Facts, parts: Sequence[Read | None], why: str | None, none: str) -> None:
    reads = list(filter(None, parts))
    cards = tuple(card for read in reads for card in read.cards)
    if why and not cards:
        facts.miss(ACCELERATORS, why, FILL_IN)
        return
    facts.put(ACCELERATORS, cards, "; ".join(read.source for read in reads) or none)
    if any(card.unified is None for card in cards):
        reason = "neither name nor driver tell whether the GPU shares the machine's RAM"
        facts.miss(f"{ACCELERATORS}.unified", reason, FILL_IN)
    blank = [read for read in reads if any(c.memory_total_bytes is None for c in read.cards)]
    if reasons := [read.reason for read in blank if read.reason]:
        remedies = dict.fromkeys(read.remedy for read in blank if read.remedy)
        facts.miss(MEMORY, "; ".join(reasons), "; ".join(remedies) or None)


# ------------------------------------------------------------------ Linux


def _read_linux(host: Host, facts: Facts) -> None:
    devices, why = display_devices(host)
    parts = [read_nvidia(host, [device for device in devices if device.vendor == NVIDIA])]
    if amd := [device for device in devices if device.vendor == AMD]:
        ram_bytes = facts.values.get("memory_total_bytes")
        cards = [_amd_card(host, device.folder, ram_bytes) for device in amd]
        parts.append(_read_handed(host, facts, amd, cards))
    # bus 00 is the processor's own graphics, which shares RAM and speeds nothing up here; recorded
    # trees may leave colons out
    intel = [device for device in devices if device.vendor == INTEL]
    intel = [device for device in intel if device.slot.replace(":", "")[4:6] not in ("00", "")]
    if intel:
        cards = [_intel_card(host, device.folder) for device in intel]
        parts.append(_read_handed(host, facts, intel, cards))
    if any(parts) or not host.exists(WSL_DEVICE):
        _put(facts, parts, why, f"{PCI}: no GPU of NVIDIA, AMD or Intel")
        return
    reason = f"WSL 2 hands on the GPU of Windows as {WSL_DEVICE}, which does not tell whose it is"
    remedy = "run selfhost in Windows, which can tell; or name the GPU: add `--gpu NAME` to"
    facts.miss(ACCELERATORS, f"{reason} nor its memory", f"{remedy} `selfhost check`")


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
        vendor = host.read_word(f"{DRM}/{name}/device/vendor")
        if re.fullmatch(r"card\d+", name) and vendor:
            devices.append(Device(folder=f"{DRM}/{name}/device", slot="", vendor=vendor))
    return devices, why


def _read_handed(
    host: Host, facts: Facts, devices: Sequence[Device], every: Sequence[Accelerator]
) -> Read:
    """Which of `every` card of AMD or Intel a program here may use: the bus of a container shows
    those of the host, of which it was handed some render nodes.
    """
    is_amd, cards = devices[0].vendor == AMD, tuple(every)
    if facts.values.get("scope") == "container":
        nodes = set(host.listdir("/dev/dri"))
        pairs = zip(devices, every, strict=True)
        cards = tuple(c for at, c in pairs if nodes & set(host.listdir(f"{at.folder}/drm")))
    maker, remedy = "an AMD" if is_amd else "an Intel", FILL_IN
    reason = f"{maker} GPU's driver does not tell its memory in files"
    mask = next((name for name in _AMD_MASKS if is_amd and name in host.env), None)
    if not cards:
        reason = f"{maker} GPU is there, but not handed to this container"
        remedy = "start the container with `--device /dev/kfd --device /dev/dri`"
    elif mask:
        reason = f"which AMD GPUs {mask} selects is not read"
    elif all(card.unified for card in cards if card.memory_total_bytes is None):
        reason = _SHARES
    if mask or not cards:
        blank = {"memory_total_bytes": None, "memory_free_bytes": None}
        cards = tuple(card.replace(**blank) for card in cards or every)
    source = PCI if devices[0].slot else DRM
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def _size(host: Host, path: str) -> int | None:
    """A size in decimal or with 0x; None where it is not there or no size."""
    word = host.read_word(path)
    number = int(word, 16) if re.fullmatch(r"0x[0-9a-f]{1,16}", word) else whole(word)
    return number if number and number <= _MAX_BYTES else None


def _amd_card(host: Host, folder: str, ram_bytes: int | None) -> Accelerator:
    total = _size(host, f"{folder}/mem_info_vram_total")
    used = whole(host.read_word(f"{folder}/mem_info_vram_used"))
    unified: bool | None = None if total is None else False
    try:
        # metrics of a processor's own graphics are of revision 2 or 3, those of cards 1
        # (Linux, kgd_pp_interface.h)
        is_chip = host.read_bytes(f"{folder}/gpu_metrics", 4)[2:3] in (b"\2", b"\3")
    except (OSError, ValueError):
        is_chip = False
    if is_chip:
        # runtimes take one of two pools: what the firmware took out of the RAM for it, or what it
        # may borrow of the RAM, that can be stated larger than the RAM is (96 GiB and 105 GiB of
        # 128: GpuZelenograd/memtest_vulkan#66)
        borrowed = min(_size(host, f"{folder}/mem_info_gtt_total") or 0, ram_bytes or 2**60)
        unified = (total or 0) <= borrowed
        if unified:
            total, used = borrowed or None, None
    return Accelerator(
        vendor="amd",
        name=_amd_name(host, folder),
        memory_total_bytes=total,
        memory_free_bytes=max(0, total - used) if total is not None and used is not None else None,
        unified=unified,
    )


def _amd_name(host: Host, folder: str) -> str:
    """As its driver gives it, else as libdrm's list has it, else by its number."""
    if name := (host.read_text(f"{folder}/product_name", 256) or "").strip():
        return name
    number, revision = (host.read_word(f"{folder}/{file}") for file in ("device", "revision"))
    row = rf"(?im)^{re.escape(number[2:])},\s*{re.escape(revision[2:])},\s*(\S.*?)\s*$"
    texts = (host.read_text(path, MAX_NAMES_BYTES) or "" for path in _AMD_NAMES if number)
    match = re.search(row, "\n".join(texts))
    return match[1] if match else f"AMD GPU {number}".strip()


def _intel_card(host: Host, folder: str) -> Accelerator:
    """xe tells of each tile, i915 of the card in some versions (AlexsJones/llmfit#733)."""
    tiles = [name for name in host.listdir(folder) if re.fullmatch(r"tile\d+", name)]
    paths = [f"{folder}/{name}/physical_vram_size_bytes" for name in tiles]
    if not paths:
        cards = [name for name in host.listdir(f"{folder}/drm") if name.startswith("card")]
        paths = [f"{folder}/drm/{name}/lmem_total_bytes" for name in cards]
    sizes = [_size(host, path) for path in paths]
    return Accelerator(
        vendor="intel",
        name=f"Intel {name_on_bus(host, folder, INTEL) or 'GPU'}",
        memory_total_bytes=sum(filter(None, sizes)) if sizes and all(sizes) else None,
        unified=False,
    )


# ------------------------------------------------------------------ Apple and Windows


def _read_apple(host: Host, facts: Facts) -> None:
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    limit = (whole(host.sysctl("iogpu.wired_limit_mb")) or 0) * _MIB
    total = limit if 0 < limit <= _MAX_BYTES else None
    card = Accelerator(vendor="apple", name=name, unified=True, memory_total_bytes=total)
    facts.put(ACCELERATORS, (card,), "sysctl hw.optional.arm64")
    if total is None:
        reason = f"{_SHARES}, and only Metal tells how much of it the GPU may use: by default two"
        reason += " thirds to five sixths"
        facts.miss(MEMORY, reason, "`sudo sysctl iogpu.wired_limit_mb=N` sets it")
    else:
        facts.sources[MEMORY] = "sysctl iogpu.wired_limit_mb"


# by the maker's number: its name, and the names of cards; others are graphics of a processor
_WINDOWS = {
    "ven_10de": ("nvidia", pattern("")),
    "ven_1002": (
        "amd",
        pattern(
            r"(?i)\bRX\b|\bPro\s+(W|V|VII|R\d)|\bVII\b|\bInstinct\b|\bVega (56|64|Frontier)\b"
            r"|\bFirePro\b"
        ),
    ),
    "ven_8086": ("intel", pattern(r"(?i)\bArc\b.*\b[AB]\d{2,3}M?\b|\bData Center GPU\b")),
}


def _read_windows(host: Host, facts: Facts) -> None:
    """By NVIDIA's driver, and by the registry the rest; there is the memory of NVIDIA's cards where
    the driver does not answer. Graphics of processors share the RAM: AMD's are named, Intel's speed
    nothing up.
    """
    nvidia, adapters = read_nvidia(host, []), host.ask("display_adapters")
    why = "the registry's list of display adapters could not be read" if adapters is None else None
    listed = [card for card in map(_windows_card, adapters or ()) if card is not None]
    is_told = nvidia is not None and any(card.memory_total_bytes for card in nvidia.cards)
    if is_told or "CUDA_VISIBLE_DEVICES" in host.env:
        listed = [card for card in listed if card.vendor != "nvidia"]
    elif any(card.vendor == "nvidia" for card in listed):
        nvidia = None
    others = None
    if listed:
        is_shared = all(card.unified for card in listed if card.memory_total_bytes is None)
        reason = _SHARES if is_shared else "the registry does not state the memory of a GPU"
        source = "the registry's display adapters"
        others = Read(cards=tuple(listed), source=source, reason=reason, remedy=FILL_IN)
    _put(facts, [nvidia, others], why, "the registry: no GPU of NVIDIA, AMD or Intel")


def _windows_card(adapter: Mapping[str, object]) -> Accelerator | None:
    """The card of one display adapter; None for graphics of Intel's processors and other makers."""
    code, name = str(adapter.get("id") or "").lower(), str(adapter.get("name") or "").strip()
    vendor, names = next((_WINDOWS[mark] for mark in _WINDOWS if mark in code), ("", None))
    is_card = names is not None and names.search(name) is not None
    if not vendor or (vendor == "intel" and not is_card):
        return None
    size = adapter.get("memory")
    is_size = is_card and type(size) is int and 0 < size <= _MAX_BYTES
    return Accelerator(
        vendor=vendor,
        name=name or f"{vendor} GPU",
        memory_total_bytes=size if is_size else None,  # type: ignore[arg-type]
        unified=not is_card,
    )
