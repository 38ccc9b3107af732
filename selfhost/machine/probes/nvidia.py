"""NVIDIA GPUs: how many files show, and what the driver's library says of them where a driver
is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.records import Record, pattern
from ..record import FILL_IN, Accelerator, normal_architecture
from .host import Host
from .pci import NVIDIA, PCI, VERSION, Device, Read, driver_nodes, driver_present, name_on_bus
from .procfs import whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_UNNAMED = "NVIDIA GPU"
# the chips that have no memory of their own: Grace Blackwell of the DGX Spark, and Jetson boards
# (Thor's Blackwell too)
_UNIFIED_CHIP = pattern(r"(?i)\b(GB10|Orin|Xavier|Thor|Tegra|Jetson)\b")
_SHARES = "the GPU shares the machine's RAM and has none of its own"
_NOT_SUPPORTED = 3
_LOOK = "see whether `nvidia-smi` answers, and restart the machine if it does not"
# NVML's error numbers (nvml.h, nvmlReturn_t) that people meet -> why, and what to do about it
_ERRORS: Mapping[int | None, tuple[str, str]] = {
    4: (
        "this account may not ask the NVIDIA driver",
        "run it as an account that may open /dev/nvidiactl and /dev/nvidia0",
    ),
    9: (
        "the NVIDIA driver is installed, but not loaded",
        "load it with `modprobe nvidia`, or restart the machine",
    ),
    12: (
        "the NVIDIA driver's library, libnvidia-ml, was not found",
        "install the driver's libraries; for a container set"
        " NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ),
    15: ("a GPU no longer answers its driver (it fell off the bus)", "restart the machine"),
    18: (
        "the NVIDIA driver and its library are of different versions, as after an update",
        "restart the machine",
    ),
}


class _Gpu(Record):
    """One GPU or MIG instance as NVML describes it. `parent` is the number of the GPU itself, or
    of the one an instance is a part of; `uuids` are its own and the parent's.
    """

    card: Accelerator
    uuids: tuple[str, str]
    parent: int
    refused: int | None


def parse_driver(text: str) -> str | None:
    """/proc/driver/nvidia/version -> `590.48.01`."""
    match = re.search(r"Kernel Module[^\n]*?\s(\d+\.\d+(?:\.\d+)*)\s", text)
    return match[1] if match else None


def read_nvidia(host: Host, devices: Sequence[Device]) -> Read | None:
    """The NVIDIA GPUs that a program here may use. `devices`: those on the PCI bus. None where
    there are none.
    """
    board = _jetson_board(host)
    if board is not None:
        driver = parse_driver(host.read_text(VERSION) or "")
        card = Accelerator(vendor="nvidia", name=board, unified=True, driver=driver)
        return Read(cards=(card,), source="/proc/device-tree/model", reason=_SHARES)
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
    nodes = driver_nodes(host)
    source = PCI if devices else VERSION
    source = "/dev/nvidia*" if nodes else source
    cards = _cards_in_files(host, devices, len(nodes) or len(devices) or 1)
    reason, remedy = _why_silent(answer)
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def _jetson_board(host: Host) -> str | None:
    """What a Jetson's firmware calls its board; None of another computer."""
    board = (host.read_text("/proc/device-tree/model") or "").strip(" \n\0")
    try:
        # on carriers of other makers the board's name need not tell (Linux, arm/tegra.yaml)
        is_jetson = b"nvidia,tegra" in host.read_bytes("/proc/device-tree/compatible", 4096)
    except (OSError, ValueError):
        is_jetson = False
    if not is_jetson and "jetson" not in board.lower():
        return None
    return board if _UNIFIED_CHIP.search(board) else f"NVIDIA Jetson ({board})"


def _why_silent(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Why the library stated nothing, and what to do about it."""
    number = answer.get("error")
    if isinstance(answer.get("why"), str):
        return f"an NVIDIA GPU's memory is known to its driver, and {answer['why']}", _LOOK
    if not answer:
        return "a recorded tree does not hold what the NVIDIA driver's library says", FILL_IN
    gave = f"error {number}" if type(number) is int else "no usable answer"
    other = f"the NVIDIA driver's library gave {gave}", _LOOK
    return _ERRORS.get(number, other) if type(number) is int else other


def _cards_in_files(host: Host, devices: Sequence[Device], count: int) -> tuple[Accelerator, ...]:
    """So many cards with the names that files give: the library did not answer."""
    driver = parse_driver(host.read_text(VERSION) or "")
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
    return tuple(
        Accelerator(
            vendor="nvidia",
            name=name,
            driver=driver,
            unified=None if name == _UNNAMED and not is_pc else bool(_UNIFIED_CHIP.search(name)),
        )
        for name in names[:count]
    )


# ------------------------------------------------------------------ what the library says


def _visible(host: Host, answer: Mapping[str, Any]) -> Read:
    driver, cuda = answer.get("driver"), answer.get("cuda")
    # in MIG mode the instances of a GPU stand in its place, for nothing runs on the whole of it
    gpus = [
        _gpu(host, part, device, number, driver)
        for number, device in enumerate(answer["devices"])
        for part in (device["instances"] if device.get("mig") else [device])
    ]
    # NVML writes version 13.1 as 13010
    version = f", CUDA {cuda // 1000}.{cuda % 1000 // 10}" if cuda else ""
    source = f"NVML: driver {driver or 'of unknown version'}{version}"
    mask = host.env.get("CUDA_VISIBLE_DEVICES")
    chosen: Sequence[_Gpu] | None = gpus
    if mask is not None:
        source += ", as CUDA_VISIBLE_DEVICES selects"
        by_bus = host.env.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        chosen = select(gpus, len(answer["devices"]), mask, by_bus=by_bus)
    if mask is not None and chosen is None:
        count = len({word.strip() for word in mask.split(",")})
        card = Accelerator(vendor="nvidia", name=_UNNAMED, driver=driver, unified=False)
        return Read(
            cards=(card,) * count,
            source=source,
            reason="CUDA_VISIBLE_DEVICES selects by number, and CUDA numbers unlike GPUs from the"
            " fastest on, as only CUDA itself can tell",
            remedy="set CUDA_DEVICE_ORDER=PCI_BUS_ID, or select by UUID",
        )
    return _read_of(chosen or (), source)


def _read_of(gpus: Sequence[_Gpu], source: str) -> Read:
    blank = [gpu for gpu in gpus if gpu.card.memory_total_bytes is None]
    # one that may have memory of its own says more than one that has none
    untold = next((gpu for gpu in blank if not gpu.card.unified), None)
    reason: str | None = _SHARES if blank else None
    remedy: str | None = None
    if untold is not None:
        silent = ("the NVIDIA driver does not tell this GPU's memory", _LOOK)
        reason, remedy = _ERRORS.get(untold.refused, silent)
    cards = tuple(gpu.card for gpu in gpus)
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def _gpu(
    host: Host, part: Mapping[str, Any], device: Mapping[str, Any], number: int, driver: str | None
) -> _Gpu:
    """`part` of a `device`, which is the device itself outside of MIG mode."""
    name = part.get("name") or device.get("name") or _UNNAMED
    if part is not device and not re.search(r"\bMIG\b", name):
        name += " MIG"
    total, free = part.get("memory_total_bytes") or None, part.get("memory_free_bytes")
    refusals = part.get("refused") or {}
    refused = refusals.get("memory", refusals.get("handle"))
    # an Arm chip that says it has no frame buffer shares the RAM; the name identifies most of them
    is_arm = normal_architecture(host.machine() or "") == "aarch64"
    unified = bool(_UNIFIED_CHIP.search(name)) or (
        total is None and refused == _NOT_SUPPORTED and is_arm
    )
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
    uuids = str(part.get("uuid")).lower(), str(device.get("uuid")).lower()
    return _Gpu(card=card, uuids=uuids, parent=number, refused=refused)


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


def select(gpus: Sequence[_Gpu], count: int, mask: str, *, by_bus: bool) -> list[_Gpu] | None:
    """What CUDA_VISIBLE_DEVICES leaves of `count` GPUs, in its order. The first word that names
    none, or one again, ends it.

    Words are numbers, or the beginning of one UUID alone (CUDA C++ Programming Guide, environment
    variables). None where numbers were given and which GPU has which is not known: by default CUDA
    puts the fastest first, `by_bus` is CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    kinds = {(gpu.card.name, gpu.card.memory_total_bytes) for gpu in gpus}
    words = [word.strip().lower() for word in mask.split(",")]
    numbers = [whole(word, 5) for word in words]
    if not by_bus and count > 1 and len(kinds) > 1 and not set(range(count)).isdisjoint(numbers):
        return None
    chosen: list[_Gpu] = []
    for word, number in zip(words, numbers, strict=True):
        named = _named(gpus, word, number)
        # a GPU in MIG mode without instances is one that nothing can use
        is_empty = not named and number in range(count)
        if not is_empty and all(any(gpu is other for other in chosen) for gpu in named):
            break
        chosen += named
    return chosen


def _named(gpus: Sequence[_Gpu], word: str, number: int | None) -> list[_Gpu]:
    """The GPU, or the instances of it, of that number, or those whose UUID begins with `word`; none
    where it is not one UUID alone.
    """
    if number is not None:
        return [gpu for gpu in gpus if gpu.parent == number]
    # the first of `uuids` is that of an instance, the other of the GPU it is on
    at = {"mig-": 0, "gpu-": 1}.get(word[:4])
    named = [gpu for gpu in gpus if at is not None and gpu.uuids[at].startswith(word)]
    return named if len({gpu.uuids[at or 0] for gpu in named}) == 1 else []
