"""GPUs: which are there and what memory they have, from files; NVIDIA's driver alone is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core.records import Record
from ...core.tables import expression, shipped_table
from ...core.templates import fill
from ..record import FILL_IN, Accelerator
from .host import Facts, Host, whole

NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
PCI, DRM, WSL_DEVICE = "/sys/bus/pci/devices", "/sys/class/drm", "/dev/dxg"
_BOARD = "/proc/device-tree/model"
# classes of PCI: displays, and accelerators without one
_DISPLAYS = ("0x03", "0x1200")
_UNNAMED = "NVIDIA GPU"
_AMD_MASKS = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_MASK, _ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
# of NVML (nvml.h, nvmlReturn_t)
_NOT_SUPPORTED = 3
ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
_MAX_BYTES, _MIB = 2**50, 2**20
# why something is unread, and what to do about it
_Why = tuple[str, str]


class Cards(Record):
    """What was read of some GPUs, where, and why there may be others, or their memory is None."""

    cards: tuple[Accelerator, ...] = ()
    source: str = ""
    unread: _Why | None = None


def read_accelerators(host: Host, facts: Facts) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    by_system = {"linux": _read_linux, "windows": _read_windows}
    reads = by_system.get(host.system, _read_apple)(host, facts)
    cards = tuple(card for read in reads for card in read.cards)
    place = {"linux": PCI, "windows": "the registry"}.get(host.system)
    source = "; ".join(read.source for read in reads if read.source)
    blank = [
        read
        for read in reads
        if None in [card.memory_total_bytes for card in read.cards]
    ]
    unread = [read.unread for read in (blank if cards else reads) if read.unread]
    if cards or not unread:
        facts.put(
            ACCELERATORS, cards, source or f"{place}: no GPU of NVIDIA, AMD or Intel"
        )
    if None in [card.unified for card in cards]:
        facts.put(f"{ACCELERATORS}.unified", None, "", *_reason("unified"))
    if unread:
        reasons, remedies = zip(*unread, strict=True)
        remedy = "; ".join(dict.fromkeys(filter(None, remedies)))
        facts.put(
            MEMORY if cards else ACCELERATORS, None, "", "; ".join(reasons), remedy
        )


def _reason(*codes: object, **values: object) -> _Why:
    """By the first code that the table has."""
    table = shipped_table("firmware_names")["gpus_unread"]
    row = next(table[str(code)] for code in codes if str(code) in table)
    return fill(row["is"], values), row.get("remedy", FILL_IN)


def _read_linux(host: Host, facts: Facts) -> list[Cards]:
    folders, why = display_devices(host)
    reads = read_nvidia(host, len(folders.get(NVIDIA, ())))
    for maker, read in ((AMD, _amd_card), (INTEL, _intel_card)):
        if maker in folders:
            cards = {folder: read(host, folder, facts) for folder in folders[maker]}
            reads.append(_read_of_maker(host, facts, cards))
    if not reads and host.exists(WSL_DEVICE):
        return [Cards(unread=_reason("wsl"))]
    return [*reads, Cards(unread=(why, FILL_IN))] if why else reads


def display_devices(host: Host) -> tuple[dict[str, list[str]], str | None]:
    """The folders in sysfs of each maker's display devices, and why one may be there unseen."""
    folders: dict[str, list[str]] = {}
    slots, why = host.listdir(PCI), None
    # a board or small virtual machine without a PCI bus has /sys/bus all the same
    if PCI in host.why and (host.exists(PCI) or not host.listdir("/sys/bus")):
        why = f"{PCI} cannot be listed"
    for slot in slots:
        folder = f"{PCI}/{slot}"
        kind = host.read_text(f"{folder}/class").strip()
        vendor = host.read_text(f"{folder}/vendor").strip()
        if not kind or (kind.startswith(_DISPLAYS) and not vendor):
            why = host.why[f"{folder}/vendor" if kind else f"{folder}/class"]
        # bus 00 is an Intel processor's own graphics, which share RAM and speed nothing up here;
        # recorded trees may leave colons out
        elif kind.startswith(_DISPLAYS) and (vendor, slot.replace(":", "")[4:6]) != (
            INTEL,
            "00",
        ):
            folders.setdefault(vendor, []).append(folder)
    # where the bus does not show, the driver's own folders do
    for name in [] if folders else host.listdir(DRM):
        vendor = host.read_text(f"{DRM}/{name}/device/vendor").strip()
        if name.startswith("card") and vendor in (NVIDIA, AMD):
            folders.setdefault(vendor, []).append(f"{DRM}/{name}/device")
    return folders, why


def _read_of_maker(host: Host, facts: Facts, every: Mapping[str, Accelerator]) -> Cards:
    """Those that a container was handed: its bus shows all of the host's."""
    cards, (folder, first) = tuple(every.values()), next(iter(every.items()))
    if facts.values.get("scope") == "container":
        nodes = set(host.listdir("/dev/dri"))
        cards = tuple(
            every[at] for at in every if nodes & set(host.listdir(f"{at}/drm"))
        )
    masks = [name for name in _AMD_MASKS if first.vendor == "amd" and name in host.env]
    is_shared = all(card.unified for card in cards if card.memory_total_bytes is None)
    code = "shares" if is_shared else "silent"
    if masks or not cards:
        code = "masked" if cards else "unhanded"
        blank = {"memory_total_bytes": None, "memory_free_bytes": None}
        cards = tuple(card.replace(**blank) for card in cards or every.values())
    maker = {"amd": "an AMD", "intel": "an Intel"}[first.vendor]
    unread = _reason(code, maker=maker, mask=" and ".join(masks))
    return Cards(
        cards=cards, source=PCI if folder.startswith(PCI) else DRM, unread=unread
    )


def _size(host: Host, path: str) -> int | None:
    word = host.read_text(path).strip()
    number = int(word, 16) if re.fullmatch(r"0x[0-9a-f]{1,16}", word) else whole(word)
    return number if number and number <= _MAX_BYTES else None


def _amd_card(host: Host, folder: str, facts: Facts) -> Accelerator:
    total = _size(host, f"{folder}/mem_info_vram_total")
    used = whole(host.read_text(f"{folder}/mem_info_vram_used").strip())
    unified: bool | None = None if total is None else False
    # metrics of a processor's own graphics are of revision 2 or 3, those of cards of revision 1, as
    # kgd_pp_interface.h of Linux has them
    if host.read_bytes(f"{folder}/gpu_metrics", 4)[2:3] in (b"\2", b"\3"):
        # runtimes take one of two pools: what the firmware took out of the RAM for it, or what it
        # may borrow of the RAM, that can be stated larger than the RAM is (96 GiB and 105 GiB of
        # 128: GpuZelenograd/memtest_vulkan#66)
        ram_bytes = facts.values.get("memory_total_bytes", _MAX_BYTES)
        borrowed = min(_size(host, f"{folder}/mem_info_gtt_total") or 0, ram_bytes)
        unified = (total or 0) <= borrowed
        if unified:
            total, used = borrowed or None, None
    number = host.read_text(f"{folder}/device").strip()
    revision = host.read_text(f"{folder}/revision").strip()
    row = rf"(?im)^{re.escape(number[2:])},\s*{re.escape(revision[2:])},\s*(\S.*?)\s*$"
    given = host.read_text(f"{folder}/product_name", 256).strip()
    name = (
        given
        or _name_in_list(host, "amd_names", number, row)
        or f"AMD GPU {number}".strip()
    )
    return Accelerator(
        vendor="amd",
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=max(0, total - used)
        if total is not None and used is not None
        else None,
        unified=unified,
    )


def _name_in_list(host: Host, lists: str, device: str, row: str) -> str | None:
    paths = shipped_table("platforms")[lists] if device else ()
    for path in paths:
        match = re.search(row, host.read_text(path))
        if match is not None:
            last_group = match.lastindex or 0
            return match[last_group]
    return None


def _intel_card(host: Host, folder: str, _: Facts) -> Accelerator:
    """As people call it: `Arc B580` of `Battlemage G21 [Arc B580]`."""
    device = host.read_text(f"{folder}/device").strip()
    title = rf"{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
    row = rf"(?im)^{INTEL[2:]} .*\n(?:[\t#].*\n|\n)*?\t{title}"
    # the driver i915 tells nothing of the memory
    tiles = [name for name in host.listdir(folder) if re.fullmatch(r"tile\d+", name)]
    sizes = [_size(host, f"{folder}/{name}/physical_vram_size_bytes") for name in tiles]
    return Accelerator(
        vendor="intel",
        name=f"Intel {_name_in_list(host, 'pci_names', device, row) or 'GPU'}",
        memory_total_bytes=sum(filter(None, sizes)) if sizes and all(sizes) else None,
        unified=False,
    )


def _read_apple(host: Host, _: Facts) -> list[Cards]:
    """Of a Mac; an Intel one's, and those of another system, are not looked for."""
    if host.sysctl("hw.optional.arm64") != "1":
        return [Cards(unread=_reason("system", system=host.system))]
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    source = "sysctl hw.optional.arm64"
    total = None
    limit_mib = whole(host.sysctl("iogpu.wired_limit_mb"))
    # 0 is Apple's own limit
    if limit_mib and limit_mib * _MIB <= _MAX_BYTES:
        total = limit_mib * _MIB
        source += ", iogpu.wired_limit_mb"
    card = Accelerator(
        vendor="apple", name=name, unified=True, memory_total_bytes=total
    )
    return [Cards(cards=(card,), source=source, unread=_reason("metal"))]


def _read_windows(host: Host, _: Facts) -> list[Cards]:
    """NVIDIA's by its driver; by the registry the rest, and NVIDIA's where the driver is silent."""
    nvidia, adapters = read_nvidia(host, 0), host.ask("display_adapters")
    if adapters is None:
        why = "the registry's list of display adapters could not be read", FILL_IN
        return [*nvidia, Cards(unread=why)]
    cards = tuple(card for card in map(parse_adapter, adapters) if card is not None)
    if _MASK in host.env or any(
        card.memory_total_bytes for read in nvidia for card in read.cards
    ):
        cards = tuple(card for card in cards if card.vendor != "nvidia")
    elif any(card.vendor == "nvidia" for card in cards):
        nvidia = []
    is_shared = all(card.unified for card in cards if card.memory_total_bytes is None)
    unread = _reason("shares" if is_shared else "registry")
    listed = Cards(cards=cards, source="the registry's display adapters", unread=unread)
    return [*nvidia, listed] if cards else nvidia


def parse_adapter(adapter: Mapping[str, Any]) -> Accelerator | None:
    """The card of a display adapter; None for graphics of Intel's processors and other makers."""
    code, name = str(adapter.get("id")).lower(), str(adapter.get("name") or "").strip()
    rows = shipped_table("firmware_names")["windows_gpus"]
    row = next((rows[number] for number in rows if number in code), None)
    is_card = row is not None and re.search(row["cards"], name) is not None
    if row is None or (row["vendor"] == "intel" and not is_card):
        return None
    size = adapter.get("memory")
    return Accelerator(
        vendor=row["vendor"],
        name=name or f"{row['vendor']} GPU",
        memory_total_bytes=size if is_card and size and size <= _MAX_BYTES else None,
        unified=not is_card,
    )


def read_nvidia(host: Host, devices: int) -> list[Cards]:
    """The NVIDIA GPUs that a program here may use, of which so many are on the bus."""
    if board := "" if host.architecture == "x86_64" else _jetson_board(host):
        card = Accelerator(vendor="nvidia", name=board, unified=True)
        return [Cards(cards=(card,), source=_BOARD, unread=_reason("bufferless"))]
    nodes = [
        n
        for n in host.listdir("/dev")
        if n[:6] == "nvidia" and whole(n[6:]) is not None
    ]
    if not nodes and not any(
        map(host.exists, shipped_table("platforms")["nvidia_drivers"])
    ):
        if not devices:
            return []
        if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
            return [Cards(source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")]
        return [_read_files(host, devices, _reason("undriven"))]
    answer = host.ask("nvml") or {"error": "unrecorded"}
    if isinstance(answer.get("gpus"), list):
        return [_read_answer(host, answer)]
    error = answer.get("error", "unknown")
    unread = _reason(error, "unusable", error=error)
    if "why" in answer:
        unread = _reason("asked", why=answer["why"])
    return [_read_files(host, len(nodes) or devices or 1, unread)]


def _read_files(host: Host, count: int, unread: _Why) -> Cards:
    """As many cards as files show, by the names that they give: the library did not answer."""
    folder = "/proc/driver/nvidia/gpus"
    texts = [
        host.read_text(f"{folder}/{slot}/information") for slot in host.listdir(folder)
    ]
    names = re.findall(r"(?m)^Model:\s*(\S.*?)\s*$", "\n".join(texts))
    if len(names) != count:
        names = [names[0] if len(set(names)) == 1 else _UNNAMED] * count
    # NVIDIA's chips that share RAM are Arm ones: elsewhere a card without a name has its own memory
    is_pc, chips = (
        host.architecture == "x86_64",
        expression("firmware_names", "unified_chips"),
    )
    shares = [bool(chips.search(n)) if is_pc or n != _UNNAMED else None for n in names]
    cards = tuple(
        Accelerator(vendor="nvidia", name=name, unified=unified)
        for name, unified in zip(names, shares, strict=True)
    )
    return Cards(cards=cards, source=f"/dev/nvidia* and {PCI}", unread=unread)


def _jetson_board(host: Host) -> str:
    board = host.read_text(_BOARD).strip(" \n\0")
    # on carriers of other makers the board's name need not tell (Linux, arm/tegra.yaml)
    is_jetson = b"nvidia,tegra" in host.read_bytes("/proc/device-tree/compatible", 4096)
    if not is_jetson and "jetson" not in board.lower():
        return ""
    is_named = expression("firmware_names", "unified_chips").search(board)
    return board if is_named else f"NVIDIA Jetson ({board})"


def _read_answer(host: Host, answer: Mapping[str, Any]) -> Cards:
    is_arm, driver = host.architecture == "aarch64", answer.get("driver")
    gpus, mask = answer["gpus"], host.env.get(_MASK)
    source = f"NVML: driver {driver or 'of unknown version'}"
    numbers: list[int] | None = [*range(len(gpus))]
    if mask is not None:
        source += f", as {_MASK} selects"
        numbers = _selected(mask, gpus, is_by_bus=host.env.get(_ORDER) == "PCI_BUS_ID")
    if numbers is None:
        card = Accelerator(vendor="nvidia", name=_UNNAMED, unified=False)
        cards = (card,) * len({*str(mask).split(",")})
        return Cards(cards=cards, source=source, unread=_reason("uuid", mask=_MASK))
    parts = [part for number in numbers for part in gpus[number]]
    cards = tuple(parse_gpu(part, driver, is_arm=is_arm) for part in parts)
    # of those without memory one that may have its own says more than one that has none
    errors = [
        part.get("error")
        for part, card in zip(parts, cards, strict=True)
        if not (card.memory_total_bytes or card.unified)
    ]
    unread = _reason(*errors[:1], "untold" if errors else "bufferless")
    return Cards(cards=cards, source=source, unread=unread if cards else None)


def _selected(mask: str, gpus: list[list[Any]], *, is_by_bus: bool) -> list[int] | None:
    """What CUDA_VISIBLE_DEVICES leaves; None of UUIDs and of unlike GPUs, the fastest first."""
    numbers: list[int] = []
    for word in (word.strip() for word in mask.split(",")):
        number = whole(word, 5)
        if word.lower().startswith(("gpu-", "mig-")):
            return None
        # a word that is no number, or one again, ends it (CUDA C++ Programming Guide)
        if number is None or number in numbers or number >= len(gpus):
            break
        numbers.append(number)
    kinds = {
        (part.get("name"), part.get("memory_total_bytes"))
        for gpu in gpus
        for part in gpu
    }
    is_guess = len(kinds) > 1 and len(gpus) > 1 and not is_by_bus
    return None if numbers and is_guess else numbers


def parse_gpu(
    part: Mapping[str, Any], driver: str | None, *, is_arm: bool
) -> Accelerator:
    """What NVML says of a GPU or of an instance of one."""
    name, error = part.get("name") or _UNNAMED, part.get("error")
    if "part_of_bytes" in part and "MIG" not in name.split():
        name += " MIG"
    size, free = part.get("memory_total_bytes") or None, part.get("memory_free_bytes")
    # an Arm chip that says it has no frame buffer shares the RAM; the name identifies most of them
    is_bufferless = not size and error == _NOT_SUPPORTED and is_arm
    is_named = expression("firmware_names", "unified_chips").search(name) is not None
    if unified := is_bufferless or is_named:
        size = free = None
    return Accelerator(
        vendor="nvidia",
        name=name,
        memory_total_bytes=size,
        memory_free_bytes=min(free, size) if free is not None and size else None,
        unified=unified,
        driver=driver,
        compute_capability=".".join(map(str, part.get("compute_capability") or ()))
        or None,
        memory_bandwidth_bytes_per_second=_peak_rate(part),
    )


def _peak_rate(part: Mapping[str, Any]) -> int | None:
    """Two transfers a clock; an instance of MIG has the same part of channels as of memory."""
    names = ("memory_clock_mhz", "bus_width_bits", "memory_total_bytes")
    clock_mhz, width_bits, size = (part.get(name) or 0 for name in names)
    whole_bytes = part.get("part_of_bytes", size)
    if not (clock_mhz and width_bits) or (not whole_bytes and "part_of_bytes" in part):
        return None
    # no part is larger than the whole
    eighths = min(8, max(1, round(8 * size / whole_bytes))) if whole_bytes else 8
    return int(2 * 10**6 * clock_mhz * width_bits // 8 * eighths // 8)
