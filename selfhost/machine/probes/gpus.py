"""GPUs: which are there and what memory they have, from files; NVIDIA's driver alone is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.records import Record, pattern
from ...core.tables import shipped_table
from ..record import FILL_IN, Accelerator, normal_architecture
from .host import Facts, Host, whole

PCI, NVIDIA = "/sys/bus/pci/devices", "0x10de"
WSL_DEVICE, _WSL_LIBRARY = "/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"
VERSION, _BOARD = "/proc/driver/nvidia/version", "/proc/device-tree/model"
# names of devices, of the packages hwdata and pciutils
_PCI_NAMES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")
MAX_NAMES_BYTES = 4 * 2**20
# the device of a GPU of NVIDIA
_NODE = re.compile(r"nvidia\d+").fullmatch
_UNNAMED = "NVIDIA GPU"
# the chips that have no memory of their own: Grace Blackwell of the DGX Spark, and Jetson boards
# (Thor's Blackwell too)
_UNIFIED_CHIP = pattern(r"(?i)\b(GB10|Orin|Xavier|Thor|Tegra|Jetson)\b")
_MASK = "CUDA_VISIBLE_DEVICES"
# of NVML (nvml.h, nvmlReturn_t)
_NOT_SUPPORTED = 3
ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
DRM = "/sys/class/drm"
AMD, INTEL = "0x1002", "0x8086"
# names of AMD's cards by device and revision, of libdrm
_AMD_NAMES = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")
# variables of ROCm and HIP that hide cards
_AMD_MASKS = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_MAX_BYTES, _MIB = 2**50, 2**20


class Read(Record):
    """What was read of one maker's GPUs: the cards, where, and why the memory of some is None."""

    cards: tuple[Accelerator, ...]
    source: str
    unread: tuple[str, str | None] | None = None


def read_accelerators(host: Host, facts: Facts) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        _read_linux(host, facts)
    elif host.system == "windows":
        _read_windows(host, facts)
    elif host.system == "macos" and host.sysctl("hw.optional.arm64") == "1":
        _read_apple(host, facts)
    else:
        facts.miss(ACCELERATORS, *_said("system", system=host.system))


def _put(facts: Facts, parts: Sequence[Read | None], why: str | None, none: str) -> None:
    reads = list(filter(None, parts))
    cards = tuple(card for read in reads for card in read.cards)
    if why and not cards:
        facts.miss(ACCELERATORS, why, FILL_IN)
        return
    facts.put(ACCELERATORS, cards, "; ".join(read.source for read in reads) or none)
    if any(card.unified is None for card in cards):
        facts.miss(f"{ACCELERATORS}.unified", *_said("unified"))
    blank = [read for read in reads if any(c.memory_total_bytes is None for c in read.cards)]
    if unread := list(filter(None, (read.unread for read in blank))):
        reasons, remedies = zip(*unread, strict=True)
        remedy = "; ".join(dict.fromkeys(filter(None, remedies)))
        facts.miss(MEMORY, "; ".join(reasons), remedy or None)


def _said(*codes: object, **values: object) -> tuple[str, str | None]:
    """Why something is unread and what to do, by the first code that the table has."""
    table = shipped_table("firmware_names")["gpus_unread"]
    row = next(table[str(code)] for code in codes if str(code) in table)
    return row["is"].format(**values), row.get("remedy", FILL_IN) or None


# ------------------------------------------------------------------ Linux


def _read_linux(host: Host, facts: Facts) -> None:
    makers, why = display_devices(host)
    of_maker = {
        maker: [folder for folder, own in makers.items() if own == maker]
        for maker in (NVIDIA, AMD, INTEL)
    }
    parts = [read_nvidia(host, of_maker[NVIDIA])]
    if of_maker[AMD]:
        ram_bytes = facts.values.get("memory_total_bytes")
        cards = {folder: _amd_card(host, folder, ram_bytes) for folder in of_maker[AMD]}
        parts.append(_read_handed(host, facts, cards))
    # bus 00 is the processor's own graphics, which shares RAM and speeds nothing up here; recorded
    # trees may leave colons out
    buses = {at: at.removeprefix(f"{PCI}/").replace(":", "")[4:6] for at in of_maker[INTEL]}
    if intel := [at for at in buses if at.startswith(PCI) and buses[at] not in ("00", "")]:
        cards = {folder: _intel_card(host, folder) for folder in intel}
        parts.append(_read_handed(host, facts, cards))
    if any(parts) or not host.exists(WSL_DEVICE):
        _put(facts, parts, why, f"{PCI}: no GPU of NVIDIA, AMD or Intel")
    else:
        facts.miss(ACCELERATORS, *_said("wsl"))


def display_devices(host: Host) -> tuple[dict[str, str], str | None]:
    """The makers of display adapters and accelerators by their folders in sysfs, and why one could
    not be told, if so.
    """
    makers: dict[str, str] = {}
    why = None
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
            makers[folder] = vendor
    for name in [] if makers else host.listdir(DRM):
        # where the bus does not show, the driver's own folders do
        vendor = host.read_word(f"{DRM}/{name}/device/vendor")
        if re.fullmatch(r"card\d+", name) and vendor:
            makers[f"{DRM}/{name}/device"] = vendor
    return makers, why


def _read_handed(host: Host, facts: Facts, every: Mapping[str, Accelerator]) -> Read:
    """Which of `every` card a container was handed: its bus shows all of the host's."""
    cards = tuple(every.values())
    is_amd = cards[0].vendor == "amd"
    if facts.values.get("scope") == "container":
        nodes = set(host.listdir("/dev/dri"))
        pairs = every.items()
        cards = tuple(card for at, card in pairs if nodes & set(host.listdir(f"{at}/drm")))
    mask, code = next((name for name in _AMD_MASKS if is_amd and name in host.env), None), "silent"
    if not cards:
        code = "unhanded"
    elif mask:
        code = "masked"
    elif all(card.unified for card in cards if card.memory_total_bytes is None):
        code = "shares"
    if mask or not cards:
        blank = {"memory_total_bytes": None, "memory_free_bytes": None}
        cards = tuple(card.replace(**blank) for card in cards or every.values())
    source = PCI if next(iter(every)).startswith(PCI) else DRM
    unread = _said(code, maker="an AMD" if is_amd else "an Intel", mask=mask)
    return Read(cards=cards, source=source, unread=unread)


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
    number, revision = (host.read_word(f"{folder}/{file}") for file in ("device", "revision"))
    row = rf"(?im)^{re.escape(number[2:])},\s*{re.escape(revision[2:])},\s*(\S.*?)\s*$"
    texts = (host.read_text(path, MAX_NAMES_BYTES) or "" for path in _AMD_NAMES if number)
    listed = re.search(row, "\n".join(texts))
    given = (host.read_text(f"{folder}/product_name", 256) or "").strip()
    return given or (listed[1] if listed else f"AMD GPU {number}".strip())


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
        name=f"Intel {_name_on_bus(host, folder, INTEL) or 'GPU'}",
        memory_total_bytes=sum(filter(None, sizes)) if sizes and all(sizes) else None,
        unified=False,
    )


def _name_on_bus(host: Host, folder: str, vendor: str) -> str | None:
    """What people call a device: `Arc B580` of `Battlemage G21 [Arc B580]`; None: not listed."""
    device = host.read_word(f"{folder}/device")
    for text in (host.read_text(path, MAX_NAMES_BYTES) for path in _PCI_NAMES if device):
        block = re.search(rf"(?im)^{vendor[2:]} .*\n((?:[\t#].*\n|\n)*)", f"{text or ''}\n")
        row = rf"(?im)^\t{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
        if title := re.search(row, block[1] if block else ""):
            return title[1] or title[2] or None
    return None


# ------------------------------------------------------------------ Apple and Windows


def _read_apple(host: Host, facts: Facts) -> None:
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    limit = (whole(host.sysctl("iogpu.wired_limit_mb")) or 0) * _MIB
    total = limit if 0 < limit <= _MAX_BYTES else None
    card = Accelerator(vendor="apple", name=name, unified=True, memory_total_bytes=total)
    facts.put(ACCELERATORS, (card,), "sysctl hw.optional.arm64")
    if total is None:
        facts.miss(MEMORY, *_said("metal"))
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
        unread = _said("shares" if is_shared else "registry")
        source = "the registry's display adapters"
        others = Read(cards=tuple(listed), source=source, unread=unread)
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


# ------------------------------------------------------------------ NVIDIA: what files say


def driver_present(host: Host) -> bool:
    """Whether files show a driver of NVIDIA that could answer."""
    if host.system == "windows":
        folder = host.env.get("SystemRoot") or r"C:\Windows"
        return host.exists(folder + r"\System32\nvml.dll")
    in_wsl = host.exists(WSL_DEVICE) and host.exists(_WSL_LIBRARY)
    return any(map(_NODE, host.listdir("/dev"))) or host.exists(VERSION) or in_wsl


def read_nvidia(host: Host, devices: Sequence[str]) -> Read | None:
    """The NVIDIA GPUs that a program here may use; None where neither bus nor files show one."""
    if board := _jetson_board(host):
        card = Accelerator(vendor="nvidia", name=board, unified=True, driver=_driver(host))
        return Read(cards=(card,), source=_BOARD, unread=_said("bufferless"))
    if not driver_present(host):
        if not devices:
            return None
        if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
            return Read(cards=(), source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")
        cards = _cards_in_files(host, devices, len(devices))
        return Read(cards=cards, source=PCI, unread=_said("undriven"))
    answer = host.ask("nvml") or {}
    if answer.get("error") is None and isinstance(answer.get("devices"), list):
        return _visible(host, answer)
    error = answer.get("error")
    unread = _said(error, "unusable", error=error)
    if isinstance(answer.get("why"), str) or not answer:
        unread = _said("asked" if answer else "unrecorded", why=answer.get("why"))
    nodes, source = [*filter(_NODE, host.listdir("/dev"))], PCI if devices else VERSION
    source = "/dev/nvidia*" if nodes else source
    cards = _cards_in_files(host, devices, len(nodes) or len(devices) or 1)
    return Read(cards=cards, source=source, unread=unread)


def _driver(host: Host) -> str | None:
    """The driver's version, `590.48.01`."""
    text = host.read_text(VERSION) or ""
    match = re.search(r"Kernel Module[^\n]*?\s(\d+\.\d+(?:\.\d+)*)\s", text)
    return match[1] if match else None


def _jetson_board(host: Host) -> str | None:
    """What a Jetson's firmware calls its board; None of another computer."""
    board = (host.read_text(_BOARD) or "").strip(" \n\0")
    try:
        # on carriers of other makers the board's name need not tell (Linux, arm/tegra.yaml)
        is_jetson = b"nvidia,tegra" in host.read_bytes("/proc/device-tree/compatible", 4096)
    except (OSError, ValueError):
        is_jetson = False
    if not is_jetson and "jetson" not in board.lower():
        return None
    return board if _UNIFIED_CHIP.search(board) else f"NVIDIA Jetson ({board})"


def _cards_in_files(host: Host, devices: Sequence[str], count: int) -> tuple[Accelerator, ...]:
    """So many cards with the names that files give: the library did not answer."""
    names = []
    for folder in devices:
        slot = folder.rpartition("/")[2]
        text = host.read_text(f"/proc/driver/nvidia/gpus/{slot}/information") or ""
        stated = re.search(r"(?m)^Model:\s*(\S.*?)\s*$", text)
        listed = _name_on_bus(host, folder, NVIDIA)
        name = f"NVIDIA {listed}" if listed else _UNNAMED
        names.append(stated[1] if stated else name)
    if len(names) < count:
        names = [names[0] if len(set(names)) == 1 else _UNNAMED] * count
    # NVIDIA's chips that share RAM are Arm ones: elsewhere a card without a name has memory of
    # its own
    is_pc = normal_architecture(host.machine() or "") == "x86_64"
    card = Accelerator(vendor="nvidia", name=_UNNAMED, driver=_driver(host))
    return tuple(
        card.replace(
            name=name,
            unified=None if name == _UNNAMED and not is_pc else bool(_UNIFIED_CHIP.search(name)),
        )
        for name in names[:count]
    )


# ------------------------------------------------------------------ NVIDIA: what the library says

# a GPU or a part of it, and the number of the error that hides its memory
_Told = tuple[Accelerator, int | None]


def _visible(host: Host, answer: Mapping[str, Any]) -> Read:
    """The GPUs of an answer that CUDA_VISIBLE_DEVICES leaves."""
    driver, cuda = answer.get("driver"), answer.get("cuda") or 0
    is_arm = normal_architecture(host.machine() or "") == "aarch64"
    # in MIG mode its instances stand in a GPU's place, for nothing runs on the whole of it
    gpus = [
        [
            _card(part, device, driver, is_arm=is_arm)
            for part in (device["instances"] if device.get("mig") else [device])
        ]
        for device in answer["devices"]
    ]
    # NVML writes version 13.1 as 13010
    version = f", CUDA {cuda // 1000}.{cuda % 1000 // 10}" * bool(cuda)
    source = f"NVML: driver {driver or 'of unknown version'}{version}"
    mask = host.env.get(_MASK)
    if mask is None:
        return _read_of([told for parts in gpus for told in parts], source)
    return _masked(host, mask, gpus, f"{source}, as {_MASK} selects")


def _masked(host: Host, mask: str, gpus: Sequence[Sequence[_Told]], source: str) -> Read:
    chosen = _selected(mask, len(gpus))
    kinds = {(card.name, card.memory_total_bytes) for parts in gpus for card, _ in parts}
    is_ordered = len(gpus) < 2 or host.env.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if chosen is not None and (not chosen or len(kinds) < 2 or is_ordered):
        return _read_of([told for number in chosen for told in gpus[number]], source)
    card = Accelerator(vendor="nvidia", name=_UNNAMED, unified=False)
    cards = (card,) * len(set(mask.split(",")))
    return Read(cards=cards, source=source, unread=_said("uuid", mask=_MASK))


def _selected(mask: str, count: int) -> list[int] | None:
    """The numbers that CUDA_VISIBLE_DEVICES leaves of `count` GPUs, in its order: the first word
    that is none, or one again, ends it (CUDA C++ Programming Guide, environment variables). None
    where it selects by UUID.
    """
    chosen: list[int] = []
    for word in (word.strip() for word in mask.split(",")):
        number = whole(word, 5)
        if word.lower().startswith(("gpu-", "mig-")):
            return None
        if number is None or number in chosen or number >= count:
            break
        chosen.append(number)
    return chosen


def _read_of(told: Sequence[_Told], source: str) -> Read:
    # one that may have memory of its own says more than one that has none
    blank = [each for each in told if each[0].memory_total_bytes is None]
    blank.sort(key=lambda each: bool(each[0].unified))
    unread = _said("bufferless") if blank else None
    if blank and not blank[0][0].unified:
        unread = _said(blank[0][1], "untold")
    return Read(cards=tuple(card for card, _ in told), source=source, unread=unread)


def _card(
    part: Mapping[str, Any], device: Mapping[str, Any], driver: str | None, *, is_arm: bool
) -> _Told:
    """A device, or an instance of it."""
    name = part.get("name") or device.get("name") or _UNNAMED
    if part is not device and not re.search(r"\bMIG\b", name):
        name += " MIG"
    total, free = part.get("memory_total_bytes") or None, part.get("memory_free_bytes")
    refusals = part.get("refused") or {}
    refused = refusals.get("memory", refusals.get("handle"))
    # an Arm chip that says it has no frame buffer shares the RAM; the name identifies most of them
    is_bufferless = total is None and refused == _NOT_SUPPORTED and is_arm
    unified = is_bufferless or bool(_UNIFIED_CHIP.search(name))
    if unified:
        total = free = None
    capability = device.get("compute_capability")
    card = Accelerator(
        vendor="nvidia",
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=min(free, total) if free is not None and total is not None else None,
        unified=unified,
        driver=driver,
        compute_capability=".".join(map(str, capability)) if capability else None,
        memory_bandwidth_bytes_per_second=_bandwidth(part, device),
    )
    return card, refused


def _bandwidth(part: Mapping[str, Any], device: Mapping[str, Any]) -> int | None:
    """Peak bytes per second of memory that transfers twice a clock, as NVML counts clocks
    (NVIDIA's deviceQuery does this sum). An instance has its eighths of the memory and as many of
    its channels (NVIDIA's MIG user guide).
    """
    clock_mhz, width_bits = device.get("memory_clock_mhz"), device.get("bus_width_bits")
    own, total = (each.get("memory_total_bytes") or 0 for each in (part, device))
    if not clock_mhz or not width_bits or (part is not device and not (own and total)):
        return None
    eighths = 8 if part is device else max(1, round(8 * own / total))
    return int(2 * clock_mhz * 1_000_000 * width_bits // 8 * eighths // 8)
