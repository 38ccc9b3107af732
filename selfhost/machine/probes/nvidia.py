"""NVIDIA GPUs: how many files show, and what the driver's library says of them where a driver
is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.records import Record, pattern
from ...core.tables import shipped_table
from ..record import FILL_IN, Accelerator, normal_architecture
from .host import Host, whole

PCI, NVIDIA = "/sys/bus/pci/devices", "0x10de"
WSL_DEVICE, _WSL_LIBRARY = "/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"
VERSION, _BOARD = "/proc/driver/nvidia/version", "/proc/device-tree/model"
# names of devices, of the packages hwdata and pciutils
_PCI_NAMES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")
MAX_NAMES_BYTES = 4 * 2**20
_UNNAMED = "NVIDIA GPU"
# the chips that have no memory of their own: Grace Blackwell of the DGX Spark, and Jetson boards
# (Thor's Blackwell too)
_UNIFIED_CHIP = pattern(r"(?i)\b(GB10|Orin|Xavier|Thor|Tegra|Jetson)\b")
_SHARES = "the GPU shares the machine's RAM and has none of its own"
_MASK = "CUDA_VISIBLE_DEVICES"
# of NVML (nvml.h, nvmlReturn_t)
_NOT_SUPPORTED = 3
_LOOK = "see whether `nvidia-smi` answers, and restart the machine if it does not"


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


def name_on_bus(host: Host, folder: str, vendor: str) -> str | None:
    """What people call a device, by its folder in sysfs: `Arc B580` of `Battlemage G21 [Arc B580]`;
    None where no list of names is installed or has it.
    """
    device = host.read_word(f"{folder}/device")
    for text in (host.read_text(path, MAX_NAMES_BYTES) for path in _PCI_NAMES if device):
        block = re.search(rf"(?im)^{vendor[2:]} .*\n((?:[\t#].*\n|\n)*)", f"{text or ''}\n")
        row = rf"(?im)^\t{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
        if title := re.search(row, block[1] if block else ""):
            return title[1] or title[2] or None
    return None


# ------------------------------------------------------------------ what files say


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


def read_nvidia(host: Host, devices: Sequence[Device]) -> Read | None:
    """The NVIDIA GPUs that a program here may use; None where neither bus nor files show one."""
    if board := _jetson_board(host):
        card = Accelerator(vendor="nvidia", name=board, unified=True, driver=_driver(host))
        return Read(cards=(card,), source=_BOARD, reason=_SHARES)
    if not driver_present(host):
        if not devices:
            return None
        if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
            return Read(cards=(), source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")
        reason = "an NVIDIA GPU is there, but no driver for it, or this container was not handed it"
        remedy = "install its driver; start a container with `--gpus all`"
        cards = _cards_in_files(host, devices, len(devices))
        return Read(cards=cards, source=PCI, reason=reason, remedy=remedy)
    answer = host.ask("nvml") or {}
    if answer.get("error") is None and isinstance(answer.get("devices"), list):
        return _visible(host, answer)
    if isinstance(answer.get("why"), str):
        reason, remedy = (
            f"an NVIDIA GPU's memory is known to its driver, and {answer['why']}",
            _LOOK,
        )
    elif not answer:
        reason = "a recorded tree does not hold what the NVIDIA driver's library says"
        remedy = FILL_IN
    else:
        error = answer.get("error")
        silent = f"the NVIDIA driver's library gave no usable answer (error {error})"
        reason, remedy = _refusal(error, silent)
    nodes, source = driver_nodes(host), PCI if devices else VERSION
    source = "/dev/nvidia*" if nodes else source
    cards = _cards_in_files(host, devices, len(nodes) or len(devices) or 1)
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def _refusal(error: object, otherwise: str) -> tuple[str, str]:
    """Why, and what to do about it, by NVML's number of an error that people meet."""
    row = shipped_table("firmware_names")["nvml_errors"].get(str(error), {})
    return row.get("is", otherwise), row.get("remedy", _LOOK)


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


def _cards_in_files(host: Host, devices: Sequence[Device], count: int) -> tuple[Accelerator, ...]:
    """So many cards with the names that files give: the library did not answer."""
    names = []
    for device in devices:
        text = host.read_text(f"/proc/driver/nvidia/gpus/{device.slot}/information") or ""
        stated = re.search(r"(?m)^Model:\s*(\S.*?)\s*$", text)
        listed = name_on_bus(host, device.folder, NVIDIA)
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


# ------------------------------------------------------------------ what the library says

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
    chosen = selected(mask, len(gpus))
    kinds = {(card.name, card.memory_total_bytes) for parts in gpus for card, _ in parts}
    is_ordered = len(gpus) < 2 or host.env.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if chosen is not None and (not chosen or len(kinds) < 2 or is_ordered):
        return _read_of([told for number in chosen for told in gpus[number]], source)
    reason = f"{_MASK} selects by UUID, or by numbers that CUDA gives unlike GPUs from the fastest"
    reason += " on, as only CUDA itself can tell"
    remedy = "set CUDA_DEVICE_ORDER=PCI_BUS_ID, and select by number as `nvidia-smi` lists"
    card = Accelerator(vendor="nvidia", name=_UNNAMED, unified=False)
    cards = (card,) * len(set(mask.split(",")))
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def selected(mask: str, count: int) -> list[int] | None:
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
    reason: str | None = _SHARES if blank else None
    remedy: str | None = None
    if blank and not blank[0][0].unified:
        reason, remedy = _refusal(blank[0][1], "the NVIDIA driver does not tell this GPU's memory")
    return Read(cards=tuple(card for card, _ in told), source=source, reason=reason, remedy=remedy)


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
