"""NVIDIA GPUs: how many files show, and what the driver's library says of them where a driver
is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...core.records import Record
from ...core.saying import FILL_IN
from ..record import MAX_MEMORY_BYTES, Accelerator, normal_architecture
from .host import PCI, Host, Read
from .nvidia_files import GPUS, VERSION, WSL_DEVICE, driver_present, is_node, jetson_board

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

UNNAMED = "NVIDIA GPU"
_VENDOR = "0x10de"
# the chips that have no memory of their own: Grace Blackwell of the DGX Spark, and Jetson boards
# (Thor's Blackwell too)
_UNIFIED_CHIP = r"(?i)\b(GB10|Orin|Xavier|Thor|Tegra|Jetson)\b"
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
        (
            "install the driver's libraries; for a container set"
            " NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        ),
    ),
    15: ("a GPU no longer answers its driver (it fell off the bus)", "restart the machine"),
    18: (
        "the NVIDIA driver and its library are of different versions, as after an update",
        "restart the machine",
    ),
}


class _Gpu(Record):
    """One GPU or MIG instance as NVML describes it. `parent` is the number of the GPU itself, or
    of the one an instance is a part of.
    """

    card: Accelerator
    uuid: str | None
    parent: int
    parent_uuid: str | None
    refused: int | None


def parse_driver(text: str) -> str | None:
    """/proc/driver/nvidia/version -> `590.48.01`."""
    import re

    match = re.search(r"Kernel Module[^\n]*?\s(\d+\.\d+(?:\.\d+)*)\s", text)
    return match[1] if match else None


def parse_information(text: str) -> str | None:
    """/proc/driver/nvidia/gpus/*/information -> the model's name."""
    import re

    match = re.search(r"^Model:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def memory_bandwidth(clock_mhz: int, bus_width_bits: int) -> int:
    """Peak bytes per second of memory that transfers twice a clock, as NVML counts clocks
    (NVIDIA's deviceQuery does this sum).
    """
    return 2 * clock_mhz * 1_000_000 * bus_width_bits // 8


def read_nvidia(host: Host, slots: Sequence[str]) -> Read | None:
    """The NVIDIA GPUs that a program here may use. `slots`: those on the PCI bus. None where
    there are none.
    """
    if (board := jetson_board(host)) is not None:
        version = host.read_text(VERSION)
        driver = parse_driver(version) if version else None
        card = Accelerator(vendor="nvidia", name=host.clean(board), unified=True, driver=driver)
        return Read(cards=(card,), source="/proc/device-tree/model", reason=_SHARES, remedy=None)
    if not driver_present(host):
        return _without_driver(host, slots)
    answer = host.nvml()
    if (
        answer is None
        or answer.get("error") is not None
        or not isinstance(answer.get("devices"), list)
    ):
        return _from_files(host, slots, answer or {})
    return _visible(host, answer)


def _without_driver(host: Host, slots: Sequence[str]) -> Read | None:
    if not slots:
        return None
    if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
        return Read(cards=(), source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")
    reason = "an NVIDIA GPU is there, but no driver for it, or it was not handed to this container"
    return _unread(
        host,
        slots,
        len(slots),
        PCI,
        reason,
        "install its driver; start a container with `--gpus all`",
    )


def _from_files(host: Host, slots: Sequence[str], answer: Mapping[str, Any]) -> Read:
    """How many there are, and names where files give them: the library did not answer."""
    nodes = host.listdir("/dev", is_node) or []
    reason, remedy = _why_silent(answer)
    source = _seen_in(host, nodes, slots)
    return _unread(host, slots, len(nodes) or len(slots) or 1, source, reason, remedy)


def _why_silent(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Why the library stated nothing, and what to do about it."""
    error = answer.get("error")
    number = error if isinstance(error, int) and not isinstance(error, bool) else None
    if isinstance(answer.get("why"), str):
        reason = f"an NVIDIA GPU's memory is known to its driver, and {answer['why']}"
        return reason, answer["remedy"] if isinstance(answer.get("remedy"), str) else _LOOK
    if number in _ERRORS:
        return _ERRORS[number]
    if not answer:
        return "a recorded tree does not hold what the NVIDIA driver's library says", FILL_IN
    gave = f"error {number}" if number else "no usable answer"
    return f"the NVIDIA driver's library gave {gave}", _LOOK


def _seen_in(host: Host, nodes: Sequence[str], slots: Sequence[str]) -> str:
    """Where the GPUs show without the library."""
    if host.system == "windows":
        return "nvml.dll"
    # a container is handed device nodes, while the bus shows it every card of the host
    if nodes:
        return "/dev/nvidia*"
    if slots:
        return PCI
    return WSL_DEVICE if host.exists(WSL_DEVICE) else VERSION


def _unread(
    host: Host, slots: Sequence[str], count: int, source: str, reason: str, remedy: str
) -> Read:
    import re

    version = host.read_text(VERSION)
    driver = parse_driver(version) if version else None
    names = [_name_in(host, slot) for slot in slots]
    seen = [name for name in names if name]
    cards = []
    if len(seen) < count:
        seen = [seen[0] if len(set(seen)) == 1 else UNNAMED] * count
    for name in seen[:count]:
        # NVIDIA's chips that share RAM are Arm ones: elsewhere a card without a name has memory of
        # its own
        own = name != UNNAMED or normal_architecture(host.machine() or "") == "x86_64"
        unified = False if own else None
        if re.search(_UNIFIED_CHIP, name):
            unified = True
        cards.append(
            Accelerator(vendor="nvidia", name=host.clean(name), driver=driver, unified=unified)
        )
    return Read(cards=tuple(cards), source=source, reason=reason, remedy=remedy)


def _name_in(host: Host, slot: str) -> str | None:
    """The name by the driver's files, else by the list of the bus's devices."""
    name = parse_information(host.read_text(f"{GPUS}/{slot}/information") or "")
    if name is not None:
        return name
    # a driver that answers names its cards by itself
    from .pci_names import name_on_bus

    listed = name_on_bus(host, slot, _VENDOR)
    return f"NVIDIA {listed}" if listed is not None else None


# ------------------------------------------------------------------ what the library says


def _visible(host: Host, answer: Mapping[str, Any]) -> Read:
    driver = _text(answer.get("driver"), host)
    gpus = list(_gpus(host, answer["devices"], driver))
    cuda = _whole(answer.get("cuda"), 1, 10**6)
    # NVML writes version 13.1 as 13010
    version = f", CUDA {cuda // 1000}.{cuda % 1000 // 10}" if cuda else ""
    library = "nvidia-ml-py" if answer.get("library") == "nvidia-ml-py" else "NVML"
    source = f"{library}: driver {driver or 'of unknown version'}{version}"
    chosen: Sequence[_Gpu] | None = gpus
    mask = host.env.get("CUDA_VISIBLE_DEVICES")
    if mask is not None:
        source += ", as CUDA_VISIBLE_DEVICES selects"
        chosen = select(
            gpus,
            len(answer["devices"]),
            mask,
            by_bus=host.env.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID",
        )
    if chosen is None:
        wanted = len({word.strip() for word in (mask or "").split(",")})
        cards = tuple(
            Accelerator(vendor="nvidia", name=UNNAMED, driver=driver, unified=False)
            for _ in range(wanted)
        )
        reason = (
            "CUDA_VISIBLE_DEVICES selects by number, and CUDA numbers unlike GPUs from the fastest"
            " on, as only CUDA itself can tell"
        )
        return Read(
            cards=cards,
            source=source,
            reason=reason,
            remedy="set CUDA_DEVICE_ORDER=PCI_BUS_ID, or select by UUID",
        )
    cards = tuple(gpu.card for gpu in chosen)
    blank = [gpu for gpu in chosen if gpu.card.memory_total_bytes is None]
    if not blank:
        return Read(cards=cards, source=source)
    # one that may have memory of its own says more than one that has none
    untold = next((gpu for gpu in blank if not gpu.card.unified), None)
    if untold is None:
        return Read(cards=cards, source=source, reason=_SHARES, remedy=None)
    reason, remedy = _ERRORS.get(
        untold.refused, ("the NVIDIA driver does not tell this GPU's memory", _LOOK)
    )
    return Read(cards=cards, source=source, reason=reason, remedy=remedy)


def _gpus(host: Host, devices: Sequence[Any], driver: str | None) -> Iterator[_Gpu]:
    """Every GPU in the driver's order; in MIG mode its instances in its place, for nothing runs
    on the whole of it then.
    """
    for number, device in enumerate(devices):
        if not isinstance(device, Mapping):
            continue
        capability = _capability(device.get("compute_capability"))
        clock, width = (
            _whole(device.get("memory_clock_mhz"), 1, 10**6),
            _whole(device.get("bus_width_bits"), 1, 10**6),
        )
        bandwidth = memory_bandwidth(clock, width) if clock and width else None
        if device.get("mig") is not True:
            yield _gpu(host, device, device, number, driver, capability, bandwidth)
            continue
        parts = device.get("instances")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                share = _share_of(bandwidth, part, device)
                yield _gpu(host, part, device, number, driver, capability, share)


def _capability(pair: object) -> str | None:
    """`[9, 0]` -> `9.0`; None for anything else."""
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    major, minor = (_whole(value, 0, 1000) for value in pair)
    return f"{major}.{minor}" if major is not None and minor is not None else None


def _share_of(
    bandwidth: int | None, part: Mapping[str, Any], device: Mapping[str, Any]
) -> int | None:
    """An instance has its eighths of the memory and as many of its channels (NVIDIA's MIG user
    guide).
    """
    total, whole = _size(part.get("memory_total_bytes")), _size(device.get("memory_total_bytes"))
    if not bandwidth or not total or not whole:
        return None
    return bandwidth * max(1, round(8 * total / whole)) // 8


def _gpu(
    host: Host,
    device: Mapping[str, Any],
    parent: Mapping[str, Any],
    number: int,
    driver: str | None,
    capability: str | None,
    bandwidth: int | None,
) -> _Gpu:
    import re

    name = _text(device.get("name"), host) or _text(parent.get("name"), host) or UNNAMED
    if device is not parent and not re.search(r"\bMIG\b", name):
        name += " MIG"
    total, free = _size(device.get("memory_total_bytes")), _size(device.get("memory_free_bytes"), 0)
    refusals = device.get("refused")
    refused = (
        _whole(refusals.get("memory", refusals.get("handle")), 0, 10**6)
        if isinstance(refusals, Mapping)
        else None
    )
    # an Arm chip that says it has no frame buffer shares the RAM; the name identifies most of them
    unified = bool(re.search(_UNIFIED_CHIP, name)) or (
        total is None
        and refused == _NOT_SUPPORTED
        and normal_architecture(host.machine() or "") == "aarch64"
    )
    if unified:
        total = free = None
    card = Accelerator(
        vendor="nvidia",
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=min(free, total) if free is not None and total is not None else None,
        unified=unified,
        driver=driver,
        compute_capability=capability,
        memory_bandwidth_bytes_per_second=bandwidth,
    )
    own, whole = (
        uuid if isinstance(uuid, str) else None for uuid in (device.get("uuid"), parent.get("uuid"))
    )
    return _Gpu(card=card, uuid=own, parent=number, parent_uuid=whole, refused=refused)


def select(gpus: Sequence[_Gpu], count: int, mask: str, *, by_bus: bool) -> list[_Gpu] | None:
    """What CUDA_VISIBLE_DEVICES leaves of `count` GPUs, in its order. The first word that names
    none, or one again, ends it.

    Words are numbers, or the beginning of one UUID alone (CUDA C++ Programming Guide, environment
    variables). None where numbers were given and which GPU has which is not known: by default CUDA
    puts the fastest first, `by_bus` is CUDA_DEVICE_ORDER=PCI_BUS_ID. Numbers that name every GPU
    need no order.
    """
    kinds = {(gpu.card.name, gpu.card.memory_total_bytes) for gpu in gpus}
    is_order_known = by_bus or count == 1 or len(kinds) <= 1
    words = list(map(str.strip, mask.split(",")))
    if not is_order_known and _names_all(words[:count], count):
        return list(gpus)
    chosen: list[_Gpu] = []
    for word in words:
        is_number = word.isdecimal() and word.isascii()
        meant = _by_number(gpus, word, count) if is_number else _by_uuid(gpus, word)
        if is_number and meant is not None and not is_order_known:
            return None
        if not meant or any(gpu in chosen for gpu in meant):
            break
        chosen += meant
    return chosen


def _names_all(words: Sequence[str], count: int) -> bool:
    """Whether these are the numbers of all GPUs, in whatever order."""
    return {word.lstrip("0") or "0" for word in words if word} == set(map(str, range(count)))


def _by_number(gpus: Sequence[_Gpu], word: str, count: int) -> list[_Gpu] | None:
    """The GPU, or the instances of it, that has this number; None for a number past `count`."""
    index = int(word) if len(word) < 6 else count
    return [gpu for gpu in gpus if gpu.parent == index] if index < count else None


def _by_uuid(gpus: Sequence[_Gpu], word: str) -> list[_Gpu]:
    """The GPUs or instances whose UUID begins with `word`; none where it is not one UUID alone."""
    if not word.startswith(("GPU-", "MIG-")):
        return []
    uuids = [gpu.parent_uuid if word.startswith("GPU-") else gpu.uuid for gpu in gpus]
    named = {uuid for uuid in uuids if (uuid or "").lower().startswith(word.lower())}
    return [gpu for gpu, uuid in zip(gpus, uuids, strict=True) if len(named) == 1 and uuid in named]


def _whole(value: object, least: int, most: int) -> int | None:
    return value if type(value) is int and least <= value <= most else None


def _size(value: object, least: int = 1) -> int | None:
    return _whole(value, least, MAX_MEMORY_BYTES)


def _text(value: object, host: Host) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return host.clean(text)[:200] if text else None
