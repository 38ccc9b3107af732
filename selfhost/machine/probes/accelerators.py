"""Accelerators: which are there and what memory they have, from files; NVIDIA's driver alone is
asked (`nvidia.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.records import pattern
from ..record import FILL_IN, Accelerator
from .facts import Facts
from .host import Host
from .pci import (
    AMD,
    INTEL,
    MAX_NAMES_BYTES,
    NVIDIA,
    PCI,
    WSL_DEVICE,
    Read,
    display_devices,
    driver_present,
    masked,
    name_on_bus,
)
from .procfs import whole

ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
DRM, KFD = "/sys/class/drm", "/sys/class/kfd/kfd/topology/nodes"
# names of AMD's cards by device and revision, of libdrm
_AMD_NAMES = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")
# where a container's programs reach a GPU: for Vulkan, SYCL and ROCm; for ROCm alone
_RENDER_NODES, _ROCM_NODE = "/dev/dri", "/dev/kfd"
_NAME_IT = (
    "run selfhost in Windows, which can tell; or name the GPU: "
    + "add `--gpu NAME` to `selfhost check`"
)
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


def _read_linux(host: Host, facts: Facts) -> None:
    devices, why = display_devices(host)
    nodes = None
    if facts.values.get("scope") == "container":
        # its bus shows every card of the host; it was handed some of them
        names = host.listdir(_RENDER_NODES)
        nodes = frozenset(name for name in names if name.startswith("renderD"))
    parts = [
        _read_nvidia(host, [slot for slot, vendor in devices if vendor == NVIDIA]),
        _read_amd(host, facts, sum(vendor == AMD for _, vendor in devices), nodes),
        _read_intel(host, [slot for slot, vendor in devices if vendor == INTEL], nodes),
    ]
    if not any(parts) and host.exists(WSL_DEVICE):
        reason = f"WSL 2 hands on the GPU of Windows as {WSL_DEVICE}, which does not tell whose it"
        facts.miss(ACCELERATORS, f"{reason} is nor its memory", _NAME_IT)
    else:
        _put(facts, parts, why, f"{PCI}: no GPU of NVIDIA, AMD or Intel")


def _read_nvidia(host: Host, slots: Sequence[str]) -> Read | None:
    """None where no file shows one: most computers have none."""
    is_board = host.system == "linux" and host.exists("/proc/device-tree/model")
    if not slots and not is_board and not driver_present(host):
        return None
    from .nvidia import read_nvidia

    return read_nvidia(host, slots)


def _put(facts: Facts, parts: Sequence[Read | None], why: str | None, none: str) -> None:
    read = [part for part in parts if part is not None]
    cards = tuple(card for part in read for card in part.cards)
    if why and not cards:
        facts.miss(ACCELERATORS, why, FILL_IN)
        return
    facts.put(ACCELERATORS, cards, "; ".join(part.source for part in read) or none)
    _miss_memory(facts, read)
    if any(card.unified is None for card in cards):
        reason = "neither name nor driver tell whether the GPU shares the machine's RAM"
        facts.miss(f"{ACCELERATORS}.unified", reason, FILL_IN)


def _miss_memory(facts: Facts, read: Sequence[Read]) -> None:
    blank = [
        part
        for part in read
        if part.reason and any(card.memory_total_bytes is None for card in part.cards)
    ]
    if blank:
        remedies = dict.fromkeys(part.remedy for part in blank if part.remedy)
        reasons = "; ".join(part.reason or "" for part in blank)
        facts.miss(MEMORY, reasons, "; ".join(remedies) or None)


def _is_handed(host: Host, folder: str, nodes: frozenset[str] | None) -> bool:
    """Whether programs here reach the card with that folder in sysfs."""
    own = {name for name in host.listdir(f"{folder}/drm") if name.startswith("renderD")}
    return nodes is None or not nodes.isdisjoint(own or nodes)


def _not_handed(maker: str, cards: Sequence[Accelerator], source: str, devices: str) -> Read:
    blank = tuple(card.replace(memory_total_bytes=None, memory_free_bytes=None) for card in cards)
    reason = f"{maker} GPU is there, but not handed to this container"
    remedy = f"start the container with `{devices}`"
    return Read(cards=blank, source=source, reason=reason, remedy=remedy)


def _size(host: Host, path: str) -> int | None:
    """A size in decimal or with 0x; None where it is not there or no size."""
    word = host.read_word(path)
    number = int(word, 16) if re.fullmatch(r"0x[0-9a-f]{1,16}", word) else whole(word)
    return number if number and number <= _MAX_BYTES else None


# ------------------------------------------------------------------ AMD


def parse_properties(text: str) -> dict[str, int]:
    """`name number` lines of a KFD node."""
    pairs = (line.split() for line in text.splitlines())
    numbers = {pair[0]: whole(pair[1], 24) for pair in pairs if len(pair) == 2}
    return {name: number for name, number in numbers.items() if number is not None}


def parse_amd_names(text: str, device: str, revision: str) -> str | None:
    """amdgpu.ids of libdrm -> the name of a card by its PCI device and revision, both as
    `0x744c`.
    """
    wanted = [device.removeprefix("0x").lower(), revision.removeprefix("0x").lower()]
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",", 2)]
        if len(fields) == 3 and [field.lower() for field in fields[:2]] == wanted:
            return fields[2] or None
    return None


def gfx_name(version: int) -> str | None:
    """KFD's gfx_target_version, decimal pairs -> the name compilers use: 110000 is gfx1100,
    90010 gfx90a.
    """
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None


def _read_amd(host: Host, facts: Facts, count: int, nodes: frozenset[str] | None) -> Read | None:
    """`count`: the devices of AMD on the bus."""
    seen = _amd_cards(host, facts.values.get("memory_total_bytes"))
    cards = [card for card, folder in seen if _is_handed(host, folder, nodes)]
    if seen and nodes is not None:
        if not cards:
            devices = f"--device {_ROCM_NODE} --device {_RENDER_NODES}"
            return _not_handed("an AMD", [card for card, _ in seen], DRM, devices)
        # a driver has no card that another container was handed
        count = len(cards)
    # ROCm's own variable hides first, then HIP's counts the rest
    left = masked(cards, host.env.get("ROCR_VISIBLE_DEVICES"))
    visible = masked(left, host.env.get("HIP_VISIBLE_DEVICES"))
    selected = ", as ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES select"
    source = DRM if len(visible) == len(cards) else DRM + selected
    visible += (Accelerator(vendor="amd", name="AMD GPU"),) * (count - len(cards))
    if not cards and not visible:
        return None
    reason = "an AMD GPU has no mem_info_vram_total: its driver amdgpu is not loaded"
    if cards and all(card.unified for card in visible if card.memory_total_bytes is None):
        reason = _SHARES
    return Read(cards=visible, source=source, reason=reason, remedy=FILL_IN)


def _amd_cards(host: Host, ram_bytes: int | None) -> list[tuple[Accelerator, str]]:
    """Each card with a driver and its folder, in the order of ROCm."""
    nodes: dict[str, tuple[int, int]] = {}
    for name in host.listdir(KFD):
        values = parse_properties(host.read_text(f"{KFD}/{name}/properties") or "")
        at, domain = values.get("location_id", 0), values.get("domain", 0)
        if name.isdecimal() and values.get("simd_count"):
            slot = f"{domain:04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}"
            nodes[slot] = int(name), values.get("gfx_target_version", 0)
    cards: list[tuple[int, Accelerator, str]] = []
    for name in host.listdir(DRM):
        folder = f"{DRM}/{name}/device"
        if not re.fullmatch(r"card\d+", name) or host.read_word(f"{folder}/vendor") != AMD:
            continue
        uevent = host.read_text(f"{folder}/uevent") or ""
        slot_line = re.search(r"(?m)^PCI_SLOT_NAME=(\S+)$", uevent)
        slot = slot_line[1].lower() if slot_line else ""
        number, version = nodes.get(slot, (len(nodes) + len(cards), 0))
        cards.append((number, _amd_card(host, folder, version, ram_bytes), folder))
    return [(card, folder) for _, card, folder in sorted(cards, key=lambda entry: entry[0])]


def _amd_card(host: Host, folder: str, version: int, ram_bytes: int | None) -> Accelerator:
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
        compute_capability=gfx_name(version),
    )


def _amd_name(host: Host, folder: str) -> str:
    """As its driver gives it, else as libdrm's list has it, else by its number."""
    name = (host.read_text(f"{folder}/product_name", 256) or "").strip()
    device, revision = (host.read_word(f"{folder}/{file}") for file in ("device", "revision"))
    texts = (host.read_text(path, MAX_NAMES_BYTES) or "" for path in _AMD_NAMES)
    listed = (parse_amd_names(text, device, revision) for text in texts)
    return name or next(filter(None, listed), None) or f"AMD GPU {device}".strip()


# ------------------------------------------------------------------ Intel


def _read_intel(host: Host, devices: Sequence[str], nodes: frozenset[str] | None) -> Read | None:
    # bus 00 is the processor's own graphics, which shares RAM and speeds nothing up here; recorded
    # trees may leave colons out
    slots = [slot for slot in devices if slot.replace(":", "")[4:6] != "00"]
    if not slots:
        return None
    handed = [slot for slot in slots if _is_handed(host, f"{PCI}/{slot}", nodes)]
    cards = [
        Accelerator(
            vendor="intel",
            name=f"Intel {name_on_bus(host, slot, INTEL) or 'GPU'}",
            memory_total_bytes=_intel_memory(host, f"{PCI}/{slot}"),
            unified=False,
        )
        for slot in handed or slots
    ]
    if not handed:
        return _not_handed("an Intel", cards, PCI, f"--device {_RENDER_NODES}")
    reason = "an Intel GPU's driver does not tell its memory in files"
    return Read(cards=tuple(cards), source=PCI, reason=reason, remedy=FILL_IN)


def _intel_memory(host: Host, folder: str) -> int | None:
    """xe tells of each tile, i915 of the card in some versions (AlexsJones/llmfit#733)."""
    tiles = [name for name in host.listdir(folder) if re.fullmatch(r"tile\d+", name)]
    sizes = [_size(host, f"{folder}/{name}/physical_vram_size_bytes") or 0 for name in tiles]
    if sizes and all(sizes):
        return sum(sizes)
    cards = (name for name in host.listdir(f"{folder}/drm") if name.startswith("card"))
    return next((_size(host, f"{folder}/drm/{name}/lmem_total_bytes") for name in cards), None)


# ------------------------------------------------------------------ Apple and Windows


def _read_apple(host: Host, facts: Facts) -> None:
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    limit = (whole(host.sysctl("iogpu.wired_limit_mb")) or 0) * _MIB
    total = limit if 0 < limit <= _MAX_BYTES else None
    card = Accelerator(vendor="apple", name=name, unified=True, memory_total_bytes=total)
    facts.put(ACCELERATORS, (card,), "sysctl hw.optional.arm64")
    if total is None:
        facts.miss(
            MEMORY,
            f"{_SHARES}, and only Metal tells how much of it the GPU may use: by default two thirds"
            " to five sixths",
            "`sudo sysctl iogpu.wired_limit_mb=N` sets it",
        )
    else:
        facts.note(MEMORY, "sysctl iogpu.wired_limit_mb")


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
    nvidia = _read_nvidia(host, ())
    adapters = host.ask("display_adapters")
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
