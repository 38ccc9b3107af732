"""GPUs: which are there and what memory they have. Those of AMD and Intel are read from the files
of Linux, Apple's by sysctl, those of Windows from its registry; NVIDIA's in `nvidia.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from ...core import units
from ...core.records import Record
from ..platforms import platforms
from ..record import FILL_IN, Accelerator
from .firmware import AdapterMaker, Why, firmware_names, why_unread
from .host import Facts, Host
from .nvidia import Cards, read_nvidia
from .texts import parse_digits

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
# `gpu_metrics` begins with its size in two bytes and its revision in one: 2 or 3 of the graphics in
# a processor, 1 of a card (struct metrics_table_header in kgd_pp_interface.h of Linux)
_REVISIONS_INSIDE = (b"\2", b"\3")


def read_accelerators(host: Host, facts: Facts) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        found = _read_linux(host, facts)
        place = _PCI
    elif host.system == "windows":
        found = _read_windows(host)
        place = _REGISTRY
    else:
        found = [_read_apple(host)]
        place = "sysctl"
    cards = _cards_in(found)
    # of cards why their memory is unread; without any, why there may be some that do not show
    silent = [part for part in found if part.lacks_memory or not cards]
    whys = [part.unread for part in silent if part.unread is not None]
    if cards or not whys:
        sources = [part.source for part in found if part.source]
        source = "; ".join(sources) or f"{place}: no GPU of NVIDIA, AMD or Intel"
        facts.put(_FACT, tuple(cards), source)
    if any(card.unified is None for card in cards):
        why = why_unread("unified")
        facts.lack(f"{_FACT}.unified", why.reason, why.remedy)
    if whys:
        fact = f"{_FACT}.memory_total_bytes" if cards else _FACT
        reasons = [why.reason for why in whys]
        remedies = dict.fromkeys(why.remedy for why in whys if why.remedy)
        facts.lack(fact, "; ".join(reasons), "; ".join(remedies))


def _cards_in(found: Iterable[Cards]) -> list[Accelerator]:
    """All cards that were found in several places, in their order."""
    cards: list[Accelerator] = []
    for part in found:
        cards += part.cards
    return cards


class Displays(Record):
    """The folders in sysfs of each maker's display devices, and why one may be there unseen."""

    folders: Mapping[str, list[str]]
    why: str | None = None


class _Maker(Record):
    """A maker of GPUs whose drivers tell of them in files."""

    # as PCI has it
    number: str
    # with its article, for a sentence
    name: str
    # variables that hide some of its cards from programs
    masks: tuple[str, ...]
    # of the folder of a display device
    read_card: Callable[[Host, Facts, str], Accelerator]


def _read_linux(host: Host, facts: Facts) -> list[Cards]:
    """By the bus, else by the folders of drivers; NVIDIA's by its driver."""
    displays = _displays_on_bus(host)
    # where the bus does not show, the driver's own folders do
    folders = displays.folders or _displays_of_drivers(host)
    found = read_nvidia(host, len(folders.get(_NVIDIA, ())))
    for maker in _makers():
        if maker.number in folders:
            found.append(_cards_of_maker(host, facts, maker, folders[maker.number]))
    if not found and host.exists(_WSL_DEVICE):
        return [Cards(unread=why_unread("wsl"))]
    if displays.why is not None:
        found.append(Cards(unread=Why(reason=displays.why, remedy=FILL_IN)))
    return found


def _makers() -> Sequence[_Maker]:
    """The makers besides NVIDIA, in the order of the answer."""
    return (
        _Maker(number=_AMD, name="an AMD", masks=_AMD_MASKS, read_card=_amd_card),
        _Maker(number=_INTEL, name="an Intel", masks=(), read_card=_intel_card),
    )


def _displays_on_bus(host: Host) -> Displays:
    """The displays and accelerators that the bus of PCI shows."""
    folders: dict[str, list[str]] = {}
    slots = host.listdir(_PCI)
    why = _why_unlisted(host)
    for slot in slots:
        folder = f"{_PCI}/{slot}"
        kind = host.read_value(f"{folder}/class")
        vendor = host.read_value(f"{folder}/vendor")
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


def _why_unlisted(host: Host) -> str | None:
    """Why the bus could not be listed; None where it was, or there is none."""
    # a board or small virtual machine without a PCI bus has /sys/bus all the same
    if _PCI in host.why and (host.exists(_PCI) or not host.listdir("/sys/bus")):
        return f"{_PCI} cannot be listed"
    return None


def _bus_of(slot: str) -> str:
    """The number of the bus in `0000:03:00.0`, from which a recorded tree may leave colons out."""
    return slot.replace(":", "")[4:6]


def _displays_of_drivers(host: Host) -> dict[str, list[str]]:
    """Those whose drivers made a folder, of makers that sit in boards, too."""
    folders: dict[str, list[str]] = {}
    for name in host.listdir(_DRM):
        folder = f"{_DRM}/{name}/device"
        vendor = host.read_value(f"{folder}/vendor")
        if name.startswith("card") and vendor in (_NVIDIA, _AMD):
            folders.setdefault(vendor, []).append(folder)
    return folders


def _cards_of_maker(
    host: Host, facts: Facts, maker: _Maker, folders: Sequence[str]
) -> Cards:
    """The cards in these folders that a program may use: in a container the bus shows all of the
    computer's, and files in /dev/dri those that it was handed.
    """
    cards = [maker.read_card(host, facts, folder) for folder in folders]
    handed = cards
    if facts.values.get("scope") == "container":
        nodes = set(host.listdir("/dev/dri"))
        handed = []
        for folder, card in zip(folders, cards, strict=True):
            if not nodes.isdisjoint(host.listdir(f"{folder}/drm")):
                handed.append(card)
    masks = [name for name in maker.masks if name in host.env]
    if not handed:
        unread = why_unread("unhanded", maker=maker.name)
        handed = [_without_memory(card) for card in cards]
    elif masks:
        unread = why_unread("masked", mask=" and ".join(masks))
        handed = [_without_memory(card) for card in handed]
    else:
        unread = _why_without_memory(handed, "silent", maker.name)
    source = _PCI if folders[0].startswith(_PCI) else _DRM
    return Cards(cards=tuple(handed), source=source, unread=unread)


def _without_memory(card: Accelerator) -> Accelerator:
    """The card with its memory unread: a program may not get all of it."""
    return card.replace(memory_total_bytes=None, memory_free_bytes=None)


def _why_without_memory(
    cards: Iterable[Accelerator], code: str, maker: str = ""
) -> Why:
    """Why those without memory have none: they share the RAM, or else `code`."""
    for card in cards:
        if card.memory_total_bytes is None and not card.unified:
            return why_unread(code, maker=maker)
    return why_unread("shares")


def _read_size(host: Host, path: str) -> int | None:
    """A number of bytes, decimal or hexadecimal; None where it is 0, or none that a GPU has."""
    word = host.read_value(path)
    number = parse_digits(word)
    if re.fullmatch(r"0x[0-9a-f]{1,16}", word):
        number = int(word, 16)
    return number if number and number <= _MAX_BYTES else None


def _amd_card(host: Host, facts: Facts, folder: str) -> Accelerator:
    """A card of AMD's, or the GPU in a processor, by the files of its driver."""
    total = _read_size(host, f"{folder}/mem_info_vram_total")
    used = parse_digits(host.read_value(f"{folder}/mem_info_vram_used"))
    unified: bool | None = None if total is None else False
    metrics = host.read_bytes(f"{folder}/gpu_metrics", 4)
    if metrics[2:3] in _REVISIONS_INSIDE:
        # runtimes take one of two pools: what the firmware took out of the RAM for it, or what it
        # may borrow of the RAM
        borrowed = _borrowed_bytes(host, facts, folder)
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


def _borrowed_bytes(host: Host, facts: Facts, folder: str) -> int:
    """How much of the RAM a GPU may borrow; 0 where its driver does not say. It can be stated
    larger than the RAM is (96 GiB and 105 GiB of 128: GpuZelenograd/memtest_vulkan#66).
    """
    ram_bytes: int = facts.values.get("memory_total_bytes", _MAX_BYTES)
    return min(_read_size(host, f"{folder}/mem_info_gtt_total") or 0, ram_bytes)


def _amd_name(host: Host, folder: str) -> str:
    """As the board calls itself, else as libdrm lists it by device and revision."""
    given = host.read_value(f"{folder}/product_name", 256)
    if given:
        return given
    device = host.read_value(f"{folder}/device")
    revision = host.read_value(f"{folder}/revision")
    if not device:
        return "AMD GPU"
    numbers = rf"{re.escape(device[2:])},\s*{re.escape(revision[2:])}"
    line = rf"(?im)^{numbers},\s*(\S.*?)\s*$"
    match = _first_match(host, line, platforms().amd_names)
    return f"AMD GPU {device}" if match is None else match[1]


def _first_match(
    host: Host, pattern: str, lists: Iterable[str]
) -> re.Match[str] | None:
    """Where the first of these files that has it matches; None where none does."""
    for path in lists:
        match = re.search(pattern, host.read_text(path))
        if match is not None:
            return match
    return None


def _intel_card(host: Host, _: Facts, folder: str) -> Accelerator:
    """A card of Intel's. Its memory is the sum of its tiles, as the driver xe states them; it is
    unread where one tile's is, and with the driver i915, which lists no tiles.
    """
    total: int | None = 0
    for name in host.listdir(folder):
        if not re.fullmatch(r"tile\d+", name):
            continue
        size = _read_size(host, f"{folder}/{name}/physical_vram_size_bytes")
        if size is None or total is None:
            total = None
        else:
            total += size
    return Accelerator(
        vendor="intel",
        name=f"Intel {_intel_name(host, folder) or 'GPU'}",
        memory_total_bytes=total or None,
        unified=False,
    )


def _intel_name(host: Host, folder: str) -> str | None:
    """As people call it: `Arc B580` of `Battlemage G21 [Arc B580]`; None where no list has it."""
    device = host.read_value(f"{folder}/device")
    if not device:
        return None
    # in brackets, else the whole title
    title = rf"{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
    row = rf"(?im)^{_INTEL[2:]} .*\n(?:[\t#].*\n|\n)*?\t{title}"
    match = _first_match(host, row, platforms().pci_names)
    return None if match is None else match[1] or match[2]


def _read_apple(host: Host) -> Cards:
    """The GPU of a Mac with Apple's chip; those of an Intel one, and of another system, are not
    looked for.
    """
    if host.sysctl("hw.optional.arm64") != "1":
        return Cards(unread=why_unread("system", system=host.system))
    name = host.sysctl("machdep.cpu.brand_string").strip() or "Apple silicon"
    source = "sysctl hw.optional.arm64"
    limit_bytes = None
    limit_mib = parse_digits(host.sysctl("iogpu.wired_limit_mb"))
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
        reason = "the registry's list of display adapters could not be read"
        why = Why(reason=reason, remedy=FILL_IN)
        return [*nvidia, Cards(unread=why)]
    cards = list(filter(None, map(parse_adapter, adapters)))
    others = [card for card in cards if card.vendor != "nvidia"]
    if _CUDA_MASK in host.env or _has_memory(nvidia):
        cards = others
    elif others != cards:
        # NVIDIA's driver is silent, but the registry lists its cards
        nvidia = []
    if not cards:
        return nvidia
    unread = _why_without_memory(cards, "registry")
    source = "the registry's display adapters"
    return [*nvidia, Cards(cards=tuple(cards), source=source, unread=unread)]


def _has_memory(found: Iterable[Cards]) -> bool:
    """Whether the memory of one of the cards was read."""
    return any(card.memory_total_bytes for card in _cards_in(found))


def parse_adapter(adapter: Mapping[str, object]) -> Accelerator | None:
    """The card of a display adapter; None for graphics of Intel's processors and other makers."""
    name = str(adapter.get("name") or "").strip()
    maker = _maker_of_adapter(str(adapter.get("id")).lower())
    if maker is None:
        return None
    is_card = maker.is_card(name)
    if maker.vendor == "intel" and not is_card:
        return None
    memory_bytes = None
    size = adapter.get("memory")
    if is_card and isinstance(size, int) and 0 < size <= _MAX_BYTES:
        memory_bytes = size
    return Accelerator(
        vendor=maker.vendor,
        name=name or f"{maker.vendor} GPU",
        memory_total_bytes=memory_bytes,
        unified=not is_card,
    )


def _maker_of_adapter(code: str) -> AdapterMaker | None:
    """The maker whose number stands in an adapter's code, as PCI has it; None of others."""
    for number, maker in firmware_names().windows_gpus.items():
        if number in code:
            return maker
    return None
