"""NVIDIA's GPUs: its driver's library is asked (`system.ask_nvml`); where it does not answer, files
show how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..platforms import platforms
from ..record import Accelerator
from .firmware import firmware_names
from .gpu_cards import Cards, Why, why_unread
from .host import Host
from .texts import whole

_BOARD = "/proc/device-tree/model"
_INFORMATION = "/proc/driver/nvidia/gpus"
_UNNAMED = "NVIDIA GPU"
_MASK = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
# of NVML (nvml.h, nvmlReturn_t)
_NOT_SUPPORTED = 3
# what NVML says of a GPU, or of an instance of one: the keys of `recorded.RecordedGpu`
Part = Mapping[str, Any]


def read_nvidia(host: Host, devices: int) -> list[Cards]:
    """The NVIDIA GPUs that a program here may use, of which so many are on the bus."""
    board = "" if host.architecture == "x86_64" else _jetson_board(host)
    if board:
        card = Accelerator(vendor="nvidia", name=board, unified=True)
        return [Cards(cards=(card,), source=_BOARD, unread=why_unread("bufferless"))]
    nodes = _count_nodes(host)
    if not nodes and not any(map(host.exists, platforms().nvidia_drivers)):
        return _cards_without_driver(host, devices)
    answer = host.ask("nvml") or {"error": "unrecorded"}
    if isinstance(answer.get("gpus"), list):
        return [_cards_of_answer(host, answer)]
    error = answer.get("error", "unknown")
    unread = why_unread(error, "unusable", error=error)
    if "why" in answer:
        unread = why_unread("asked", why=answer["why"])
    return [_cards_in_files(host, nodes or devices or 1, unread)]


def _count_nodes(host: Host) -> int:
    """How many files of GPUs are in /dev: `nvidia0`, and not `nvidiactl`."""
    count = 0
    for name in host.listdir("/dev"):
        is_gpu = name.startswith("nvidia") and whole(name[6:]) is not None
        count += 1 if is_gpu else 0
    return count


def _cards_without_driver(host: Host, devices: int) -> list[Cards]:
    if not devices:
        return []
    if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
        return [Cards(source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")]
    return [_cards_in_files(host, devices, why_unread("undriven"))]


def _cards_in_files(host: Host, count: int, unread: Why) -> Cards:
    """As many cards as files show, by the names that they give: the library did not answer."""
    names: list[str] = []
    for slot in host.listdir(_INFORMATION):
        text = host.read_text(f"{_INFORMATION}/{slot}/information")
        names += re.findall(r"(?m)^Model:\s*(\S.*?)\s*$", text)
    if len(names) != count:
        name = names[0] if len(set(names)) == 1 else _UNNAMED
        names = [name] * count
    cards: list[Accelerator] = []
    for name in names:
        unified: bool | None = firmware_names().is_unified(name)
        # NVIDIA's chips that share RAM are Arm ones: elsewhere a card without a name has its own
        # memory
        if name == _UNNAMED and host.architecture != "x86_64":
            unified = None
        cards.append(Accelerator(vendor="nvidia", name=name, unified=unified))
    source = "/dev/nvidia* and /sys/bus/pci/devices"
    return Cards(cards=tuple(cards), source=source, unread=unread)


def _jetson_board(host: Host) -> str:
    """What a Jetson calls itself; empty for another computer."""
    board = host.read_text(_BOARD).strip(" \n\0")
    # on carriers of other makers the board's name need not tell (Linux, arm/tegra.yaml)
    is_jetson = b"nvidia,tegra" in host.read_bytes("/proc/device-tree/compatible", 4096)
    if not is_jetson and "jetson" not in board.lower():
        return ""
    return board if firmware_names().is_unified(board) else f"NVIDIA Jetson ({board})"


def _cards_of_answer(host: Host, answer: Mapping[str, Any]) -> Cards:
    """The cards of what the library said, as CUDA_VISIBLE_DEVICES selects."""
    driver: str | None = answer.get("driver")
    gpus: Sequence[Sequence[Part]] = answer["gpus"]
    source = f"NVML: driver {driver or 'of unknown version'}"
    mask = host.env.get(_MASK)
    if mask is not None:
        source += f", as {_MASK} selects"
        is_by_bus = host.env.get(_ORDER) == "PCI_BUS_ID"
        numbers = _selected(mask, gpus, is_by_bus=is_by_bus)
        if numbers is None:
            count = len({*mask.split(",")})
            card = Accelerator(vendor="nvidia", name=_UNNAMED, unified=False)
            unread = why_unread("uuid", mask=_MASK)
            return Cards(cards=(card,) * count, source=source, unread=unread)
        gpus = [gpus[number] for number in numbers]
    parts = [part for gpu in gpus for part in gpu]
    if not parts:
        return Cards(source=source)
    is_arm = host.architecture == "aarch64"
    cards = [_card_of(part, driver, is_arm=is_arm) for part in parts]
    return Cards(cards=tuple(cards), source=source, unread=_why_of_parts(parts, cards))


def _why_of_parts(parts: Sequence[Part], cards: Sequence[Accelerator]) -> Why:
    """Why memory is unread, if it is. Of those without memory one that may have its own says more
    than one that has none.
    """
    for part, card in zip(parts, cards, strict=True):
        if not card.memory_total_bytes and not card.unified:
            return why_unread(part.get("error"), "untold")
    return why_unread("bufferless")


def _selected(
    mask: str, gpus: Sequence[Sequence[Part]], *, is_by_bus: bool
) -> list[int] | None:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves; None where only CUDA can tell: of UUIDs, and of
    unlike GPUs, which it numbers from the fastest on.
    """
    numbers: list[int] = []
    for word in mask.split(","):
        if word.strip().lower().startswith(("gpu-", "mig-")):
            return None
        number = whole(word.strip(), 5)
        # a word that is no number, or one again, ends it (CUDA C++ Programming Guide)
        if number is None or number in numbers or number >= len(gpus):
            break
        numbers.append(number)
    if is_by_bus or not numbers or len(gpus) < 2:
        return numbers
    kinds: set[tuple[object, object]] = set()
    for gpu in gpus:
        for part in gpu:
            kinds.add((part.get("name"), part.get("memory_total_bytes")))
    return numbers if len(kinds) < 2 else None


def _card_of(part: Part, driver: str | None, *, is_arm: bool) -> Accelerator:
    """What NVML says of a GPU or of an instance of one."""
    name = part.get("name") or _UNNAMED
    if "part_of_bytes" in part and "MIG" not in name.split():
        name += " MIG"
    total = part.get("memory_total_bytes") or None
    free = part.get("memory_free_bytes")
    # an Arm chip that says it has no frame buffer shares the RAM; the name identifies most of them
    is_bufferless = is_arm and not total and part.get("error") == _NOT_SUPPORTED
    unified = is_bufferless or firmware_names().is_unified(name)
    if unified:
        total = None
    if total is None or free is None:
        free = None
    else:
        free = min(free, total)
    capability = ".".join(map(str, part.get("compute_capability") or ()))
    return Accelerator(
        vendor="nvidia",
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=free,
        unified=unified,
        driver=driver,
        compute_capability=capability or None,
        memory_bandwidth_bytes_per_second=_peak_rate(part),
    )


def _peak_rate(part: Part) -> int | None:
    """Bytes per second of two transfers a clock; None where the driver does not tell. An instance
    of MIG has as many eighths of the channels as of the memory.
    """
    clock_mhz = part.get("memory_clock_mhz") or 0
    width_bits = part.get("bus_width_bits") or 0
    if not clock_mhz or not width_bits:
        return None
    gpu_rate: int = 2 * 10**6 * clock_mhz * width_bits // 8
    if "part_of_bytes" not in part:
        return gpu_rate
    gpu_bytes: int | None = part["part_of_bytes"]
    if not gpu_bytes:
        return None
    part_bytes: int = part.get("memory_total_bytes") or 0
    # no part is larger than the whole
    eighths: int = min(8, max(1, round(8 * part_bytes / gpu_bytes)))
    return gpu_rate * eighths // 8
