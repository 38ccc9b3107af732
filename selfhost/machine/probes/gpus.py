"""The GPUs of the machine and their memory. GPUs of AMD and Intel are read from files of Linux,
Apple's with sysctl, GPUs under Windows from the registry; `nvidia.py` reads NVIDIA's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ...core import units
from ...core.records import Record
from ..platforms import platforms
from ..record import Accelerator
from .firmware import AdapterMaker, Why, firmware_names, why_unread
from .host import Facts, Host
from .nvidia import Cards, is_untold, read_nvidia
from .texts import parse_digits, parse_name

# PCI numbers of makers
_NVIDIA = "0x10de"
_AMD = "0x1002"
_INTEL = "0x8086"
_PCI = "/sys/bus/pci/devices"
_DRM = "/sys/class/drm"
_WSL_DEVICE = "/dev/dxg"
# PCI classes: displays, and accelerators without a display
_DISPLAYS = ("0x03", "0x1200")
_CUDA_MASK = "CUDA_VISIBLE_DEVICES"
_FACT = "accelerators"
# the most digits of a memory size, decimal and hexadecimal: no GPU has a petabyte
_SIZE_DIGITS = 15
_HEXADECIMAL_SIZE = "0x[0-9a-f]{1,12}"
_REGISTRY = "the registry"
# `gpu_metrics` begins with its size (two bytes) and its revision (one byte): 2 or 3 for graphics in
# a processor, 1 for a card (struct metrics_table_header in kgd_pp_interface.h of Linux)
_REVISIONS_INSIDE = (b"\2", b"\3")


def read_accelerators(host: Host, facts: Facts) -> None:
    """Read the GPUs that a runtime could use; () where the system shows none."""
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
    unread = _joined_reasons(found)
    if cards or unread is None:
        sources = [part.source for part in found if part.source]
        source = "; ".join(sources) or f"{place}: no GPU of NVIDIA, AMD or Intel"
        facts.put(_FACT, tuple(cards), source)
    if any(card.unified is None for card in cards):
        why = why_unread("unified")
        facts.lack(f"{_FACT}.unified", why.reason, why.remedy)
    if unread is not None:
        fact = f"{_FACT}.memory_total_bytes" if cards else _FACT
        facts.lack(fact, unread.reason, unread.remedy)


def _joined_reasons(found: Sequence[Cards]) -> Why | None:
    """The reasons why the memory of some cards is unread; where no card was found, why cards may be
    there unseen. None where neither is so.
    """
    has_cards = any(part.cards for part in found)
    whys = []
    for part in found:
        memories = [card.memory_total_bytes for card in part.cards]
        if part.unread is not None and (None in memories or not has_cards):
            whys.append(part.unread)
    if not whys:
        return None
    # reasons may have the same remedy
    remedies = dict.fromkeys(why.remedy for why in whys if why.remedy)
    return Why(reason="; ".join(why.reason for why in whys), remedy="; ".join(remedies))


def _cards_in(found: Iterable[Cards]) -> list[Accelerator]:
    """All cards that several probes found, in their order."""
    return list(chain.from_iterable(part.cards for part in found))


class _Displays(Record):
    """The folders in sysfs of each maker's display devices, and the reason why a device may be
    there unseen.
    """

    folders: Mapping[str, list[str]]
    why: str | None


class _Device(Record):
    """A display device whose maker's drivers describe it in files."""

    host: Host
    facts: Facts
    # the device's folder in sysfs
    folder: str

    # the maker's PCI number, and the maker's name with an article for sentences
    number = ""
    maker = ""
    # environment variables that hide some of the maker's cards from programs
    masks = tuple[str, ...]()

    def card(self) -> Accelerator:
        """Return the GPU of the device."""
        raise NotImplementedError

    def value(self, file: str) -> str:
        """Return the name or number in one of the device's files; empty where the device has no
        such file.
        """
        return parse_name(self.host.read_value(f"{self.folder}/{file}"))

    def size(self, file: str) -> int | None:
        """Return the bytes in one of the device's files, decimal or hexadecimal. None for 0, and
        for a number that no GPU has.
        """
        word = self.value(file)
        if re.fullmatch(_HEXADECIMAL_SIZE, word):
            return int(word, 16) or None
        return parse_digits(word, _SIZE_DIGITS) or None

    def first_match(self, pattern: str, lists: Iterable[str]) -> re.Match[str] | None:
        """The first match of the pattern in the files at the paths `lists`, read in order. None
        where no file has a match.
        """
        for path in lists:
            match = re.search(pattern, self.host.read_text(path))
            if match is not None:
                return match
        return None


class _AmdDevice(_Device):
    """An AMD card, or the AMD GPU in a processor."""

    number = _AMD
    maker = "an AMD"
    masks = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")

    def card(self) -> Accelerator:
        """The accelerator, by the files of AMD's driver."""
        total = self.size("mem_info_vram_total")
        used = parse_digits(self.value("mem_info_vram_used"))
        unified = None if total is None else False
        metrics = self.host.read_bytes(f"{self.folder}/gpu_metrics")
        if metrics[2:3] in _REVISIONS_INSIDE:
            # runtimes use one of two pools: the RAM that the firmware reserved for the GPU, or the
            # RAM that the GPU may borrow. The stated size of the second pool can exceed the RAM (96
            # GiB and 105 GiB of 128: GpuZelenograd/memtest_vulkan#66)
            borrowed = self.size("mem_info_gtt_total") or 0
            ram_bytes: int = self.facts.values.get("memory_total_bytes", borrowed)
            borrowed = min(borrowed, ram_bytes)
            unified = (total or 0) <= borrowed
            if unified:
                total = borrowed or None
                used = None
        free = None
        if total is not None and used is not None:
            free = max(0, total - used)
        return Accelerator(
            vendor="amd",
            name=self.name(),
            memory_total_bytes=total,
            memory_free_bytes=free,
            unified=unified,
        )

    def name(self) -> str:
        """The name that the board gives itself, else the name in libdrm's list for the device and
        revision.
        """
        given = self.value("product_name")
        if given:
            return given
        device = self.value("device")
        if not device:
            return "AMD GPU"
        revision = self.value("revision")
        numbers = rf"{re.escape(device[2:])},\s*{re.escape(revision[2:])}"
        match = self.first_match(
            rf"(?im)^{numbers},\s*(\S.*?)\s*$", platforms().amd_names
        )
        if match is None:
            return f"AMD GPU {device}"
        return parse_name(match[1])


class _IntelDevice(_Device):
    """An Intel card."""

    number = _INTEL
    maker = "an Intel"

    def card(self) -> Accelerator:
        """The accelerator, by the files of Intel's driver."""
        return Accelerator(
            vendor="intel",
            name=self.name(),
            memory_total_bytes=self.memory_bytes(),
            unified=False,
        )

    def memory_bytes(self) -> int | None:
        """Return the sum of the card's tiles, as the driver xe states them.

        None where the size of a tile is unread, and with the driver i915, which lists no tiles.
        """
        total = 0
        for tile in self.host.names(self.folder, r"tile\d+"):
            size = self.size(f"{tile}/physical_vram_size_bytes")
            if size is None:
                return None
            total += size
        return total or None

    def name(self) -> str:
        """The name that people use: `Intel Arc B580` of `Battlemage G21 [Arc B580]`."""
        device = self.value("device")
        if not device:
            return "Intel GPU"
        # the name in brackets, or else the whole title
        title = rf"{re.escape(device[2:])} +(?:.*?\[([^\]]+)\]|(.*?)\s*$)"
        match = self.first_match(
            rf"(?im)^{_INTEL[2:]} .*\n(?:[\t#].*\n|\n)*?\t{title}",
            platforms().pci_names,
        )
        if match is None:
            return "Intel GPU"
        name = parse_name(match[1] or match[2], "GPU")
        return f"Intel {name}"


def _read_linux(host: Host, facts: Facts) -> list[Cards]:
    """The GPUs of a Linux machine: AMD's and Intel's by the PCI bus, else by the folders of
    drivers; NVIDIA's by its driver.
    """
    displays = _displays_on_bus(host)
    # where the bus is not visible, the drivers' folders show the devices
    folders = displays.folders or _displays_of_drivers(host)
    nvidia = folders.get(_NVIDIA, ())
    found = read_nvidia(host, len(nvidia))
    for kind in (_AmdDevice, _IntelDevice):
        devices = []
        for folder in folders.get(kind.number, ()):
            devices.append(kind(host=host, facts=facts, folder=folder))
        if devices:
            found.append(_cards_of_maker(devices))
    if not found and host.exists(_WSL_DEVICE):
        return [Cards(unread=why_unread("wsl"))]
    if displays.why is not None:
        found.append(Cards(unread=Why(reason=displays.why)))
    return found


def _displays_on_bus(host: Host) -> _Displays:
    """The displays and accelerators that the PCI bus shows."""
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
        # bus 00 holds the graphics inside an Intel processor, which share the RAM and speed nothing
        # up here
        elif vendor != _INTEL or ":00:" not in slot:
            folders.setdefault(vendor, []).append(folder)
    return _Displays(folders=folders, why=why)


def _why_unlisted(host: Host) -> str | None:
    """The reason why the bus could not be listed; None where it could, or where there is no bus."""
    if _PCI not in host.why:
        return None
    # /sys/bus exists on boards and small virtual machines without a PCI bus too
    if host.listdir("/sys/bus") and not host.exists(_PCI):
        return None
    return f"{_PCI} cannot be listed"


def _displays_of_drivers(host: Host) -> dict[str, list[str]]:
    """The folders of display devices whose drivers made one, by maker. Makers whose GPUs sit on
    boards are among them.
    """
    folders: dict[str, list[str]] = {}
    for name in host.names(_DRM, "card.*"):
        folder = f"{_DRM}/{name}/device"
        vendor = host.read_value(f"{folder}/vendor")
        if vendor in (_NVIDIA, _AMD):
            folders.setdefault(vendor, []).append(folder)
    return folders


def _cards_of_maker(devices: Sequence[_Device]) -> Cards:
    """The cards of one maker that a program may use.

    If a container was handed no card of the maker, all of the maker's cards are listed, without
    their memory.
    """
    first = devices[0]
    handed = devices
    if first.facts.values.get("scope") == "container":
        handed = _handed_to_container(devices)
    cards = [device.card() for device in handed or devices]
    masks = [name for name in first.masks if name in first.host.env]
    if not handed:
        unread = why_unread("unhanded", maker=first.maker)
    elif masks:
        unread = why_unread("masked", mask=" and ".join(masks))
    else:
        unread = _why_without_memory(cards, "silent", first.maker)
    if masks or not handed:
        # a program may not get all of the card
        cards = [
            card.replace(memory_total_bytes=None, memory_free_bytes=None)
            for card in cards
        ]
    source = _PCI if first.folder.startswith(_PCI) else _DRM
    return Cards(cards=cards, source=source, unread=unread)


def _handed_to_container(devices: Sequence[_Device]) -> Sequence[_Device]:
    """The devices that the container of this program was handed: those with a file in /dev/dri. The
    bus shows all devices of the computer.
    """
    host = devices[0].host
    files = set(host.listdir("/dev/dri"))
    handed = []
    for device in devices:
        if not files.isdisjoint(host.listdir(f"{device.folder}/drm")):
            handed.append(device)
    return handed


def _why_without_memory(
    cards: Iterable[Accelerator],
    code: str,
    maker: str = "",
) -> Why:
    """The reason why cards have no memory stated: `code` where one may have memory of its own, else
    that they share the RAM.
    """
    if any(map(is_untold, cards)):
        return why_unread(code, maker=maker)
    return why_unread("shares")


def _read_apple(host: Host) -> Cards:
    """The GPU of a Mac with an Apple chip; for an Intel Mac, and for another system, the reason why
    no GPU was looked for.
    """
    if host.sysctl("hw.optional.arm64") != "1":
        return Cards(unread=why_unread("system", system=host.system))
    name = parse_name(host.sysctl("machdep.cpu.brand_string"), "Apple silicon")
    source = "sysctl hw.optional.arm64"
    limit_bytes = None
    limit_mib = parse_digits(host.sysctl("iogpu.wired_limit_mb"), 9)
    # 0 stands for Apple's default limit
    if limit_mib:
        limit_bytes = limit_mib * units.MIB
        source += ", iogpu.wired_limit_mb"
    card = Accelerator(
        vendor="apple",
        name=name,
        memory_total_bytes=limit_bytes,
        unified=True,
    )
    return Cards(
        cards=[card],
        source=source,
        unread=why_unread("metal"),
    )


def _read_windows(host: Host) -> list[Cards]:
    """The GPUs of a Windows machine: NVIDIA's by its driver, the others by the registry. The
    registry also gives NVIDIA's where the driver is silent.
    """
    nvidia = read_nvidia(host, 0)
    adapters = host.ask("display_adapters")
    if adapters is None:
        unread = Why(reason="the registry's list of display adapters could not be read")
        return [*nvidia, Cards(unread=unread)]
    cards = [card for card in map(parse_adapter, adapters) if card is not None]
    asked = firmware_names().asked_makers
    others = [card for card in cards if card.vendor not in asked]
    has_memory = any(card.memory_total_bytes for card in _cards_in(nvidia))
    if has_memory or _CUDA_MASK in host.env:
        cards = others
    elif others != cards:
        # NVIDIA's driver does not answer, but the registry lists its cards
        nvidia = []
    if not cards:
        return nvidia
    unread = _why_without_memory(cards, "registry")
    return [
        *nvidia,
        Cards(cards=cards, source="the registry's display adapters", unread=unread),
    ]


def parse_adapter(adapter: Mapping[str, object]) -> Accelerator | None:
    """Return the GPU of a display adapter; None for graphics of Intel's processors and for other
    makers.
    """
    maker = _maker_of(str(adapter.get("id")))
    if maker is None:
        return None
    name = parse_name(str(adapter.get("name") or ""))
    is_card = maker.is_card(name)
    if maker.cards_alone and not is_card:
        return None
    memory_bytes = None
    size = adapter.get("memory")
    if is_card and isinstance(size, int):
        memory_bytes = size or None
    return Accelerator(
        vendor=maker.vendor,
        name=name or f"{maker.vendor} GPU",
        memory_total_bytes=memory_bytes,
        unified=not is_card,
    )


def _maker_of(code: str) -> AdapterMaker | None:
    """The maker whose PCI number the code of an adapter contains; None for another maker."""
    for number, maker in firmware_names().windows_gpus.items():
        if number in code.lower():
            return maker
    return None
