"""NVIDIA's GPUs: the driver's library is asked (`system.ask_nvml`); if it does not answer, files
show the number of GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from ...core.records import Record, Stated, Values, read_by
from ..platforms import platforms
from ..record import MAX_CORES, MAX_MEMORY_BYTES, Accelerator
from .firmware import Why, firmware_names, why_unread
from .host import Host
from .texts import parse_digits, parse_name

_BOARD = "/proc/device-tree/model"
_INFORMATION = "/proc/driver/nvidia/gpus"
# the line with a GPU's name
_MODEL = r"(?m)^Model:\s*(\S.*?)\s*$"
_UNNAMED = "NVIDIA GPU"
_MASK = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
# the file of a GPU in /dev, but not `nvidiactl`
_NODE = "nvidia[0-9]{1,20}"
# a code of NVML (nvml.h, nvmlReturn_t)
_NOT_SUPPORTED = 3
# Limits above any card, so that the rate stays one that a record may hold: a GPU's memory has at
# most 8,192 bits at up to 15 GHz
_MAX_BUS_BITS = 2**16
_MAX_CLOCK_MHZ = 100_000
# a field with bytes of memory
MEMORY = read_by(default=None, minimum=0, maximum=MAX_MEMORY_BYTES)


class Cards(Record):
    """The GPUs that a probe read, with the source.

    `unread` says why there may be others, or why the memory of one is None.
    """

    cards: Sequence[Accelerator] = ()
    source: str = ""
    unread: Why | None = None


def is_untold(card: Accelerator) -> bool:
    """Whether a GPU that may have memory of its own does not tell how much."""
    return card.memory_total_bytes is None and not card.unified


class NvmlPart(Stated):
    """The facts that NVML states about a GPU or an instance of MIG, as the keys of its JSON object.
    `part_of_bytes` is the memory of the whole GPU, for an instance; None for a GPU.
    """

    name: str | None = None
    memory_total_bytes: int | None = MEMORY
    memory_free_bytes: int | None = MEMORY
    part_of_bytes: int | None = MEMORY
    error: int | None = None
    bus_width_bits: int | None = read_by(default=None, minimum=0, maximum=_MAX_BUS_BITS)
    memory_clock_mhz: int | None = read_by(
        default=None, minimum=0, maximum=_MAX_CLOCK_MHZ
    )
    compute_capability: tuple[int, ...] = read_by(
        default=(), minimum=0, maximum=MAX_CORES
    )

    @classmethod
    def of(cls, values: Mapping[str, object]) -> NvmlPart:
        """Return the part of a JSON object. Keys of other versions are left out."""
        stated: Values = {}
        for name in cls._fields:
            value = values.get(name)
            if isinstance(value, list):
                value = tuple(value)
            if value is not None:
                stated[name] = value
        return cls(**stated)

    @property
    def peak_rate(self) -> int | None:
        """The peak bandwidth in bytes a second, at two transfers a clock; None where the driver
        does not tell.

        An instance of MIG has as many eighths of the channels as of the memory.
        """
        if not self.memory_clock_mhz or not self.bus_width_bits:
            return None
        transfers_per_second = 2 * self.memory_clock_mhz * 10**6
        rate = transfers_per_second * self.bus_width_bits // 8
        if self.part_of_bytes is None:
            return rate
        if self.part_of_bytes == 0:
            return None
        own_bytes = self.memory_total_bytes or 0
        eighths = round(8 * own_bytes / self.part_of_bytes)
        # no part is larger than its GPU
        channels = min(max(eighths, 1), 8)
        return rate * channels // 8

    def card(self, driver: str | None, *, is_arm: bool) -> Accelerator:
        """Return the part as an accelerator."""
        # the name identifies most chips that share the RAM
        card = _named_card(parse_name(self.name, _UNNAMED))
        is_bufferless = self.error == _NOT_SUPPORTED and not self.memory_total_bytes
        if is_arm and is_bufferless:
            # an Arm chip that reports no frame buffer shares the RAM too
            card = card.replace(unified=True)
        total = None
        free = None
        if self.memory_total_bytes and not card.unified:
            total = self.memory_total_bytes
            if self.memory_free_bytes is not None:
                free = min(self.memory_free_bytes, total)
        capability = ".".join(map(str, self.compute_capability))
        return card.replace(
            memory_total_bytes=total,
            memory_free_bytes=free,
            driver=driver,
            compute_capability=capability or None,
            memory_bandwidth_bytes_per_second=self.peak_rate,
        )


def _named_card(name: str) -> Accelerator:
    """The card of that name, whose memory is not known."""
    return Accelerator(
        vendor="nvidia",
        name=name,
        unified=firmware_names().is_unified(name),
    )


# by GPU: the parts that programs can use, which are the GPU itself or its instances
Gpus = Sequence[Sequence[NvmlPart]]


def read_nvidia(host: Host, devices: int) -> list[Cards]:
    """Return the NVIDIA GPUs that a program here may use; [] where there are none. `devices` is the
    number of NVIDIA GPUs that the bus shows.
    """
    board = _jetson_board(host)
    if board:
        card = Accelerator(vendor="nvidia", name=board, unified=True)
        return [Cards(cards=[card], source=_BOARD, unread=why_unread("bufferless"))]
    nodes = host.names("/dev", _NODE)
    if nodes:
        return [_cards_by_driver(host, len(nodes))]
    if any(map(host.exists, platforms().nvidia_drivers)):
        # a driver without device files, on a bus that shows no GPU, still serves one GPU
        return [_cards_by_driver(host, max(devices, 1))]
    if not devices:
        return []
    if host.env.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none"):
        return [Cards(source="NVIDIA_VISIBLE_DEVICES hands this container no GPU")]
    return [_cards_in_files(host, devices, why_unread("undriven"))]


def _jetson_board(host: Host) -> str:
    """The name that a Jetson gives itself; empty for another computer."""
    if host.architecture == "x86_64":
        return ""
    board = parse_name(host.read_text(_BOARD))
    # on carrier boards of other makers the board's name may not tell the chip (Linux,
    # arm/tegra.yaml)
    chips = host.read_bytes("/proc/device-tree/compatible")
    if b"nvidia,tegra" not in chips and "jetson" not in board.lower():
        return ""
    if firmware_names().is_unified(board):
        return board
    return f"NVIDIA Jetson ({board})"


def _cards_by_driver(host: Host, count: int) -> Cards:
    """The cards that the driver's library states; where the library says nothing, `count` cards."""
    answer: Mapping[str, Any] | None = host.ask("nvml")
    if not answer:
        return _cards_in_files(host, count, why_unread("unrecorded"))
    stated = answer.get("gpus")
    if isinstance(stated, list):
        gpus = []
        for parts in stated:
            gpus.append([NvmlPart.of(part) for part in parts])
        return _cards_of_answer(host, gpus, answer.get("driver"))
    if "why" in answer:
        unread = why_unread("asked", why=answer["why"])
    else:
        error = answer.get("error", "unknown")
        unread = why_unread(error, "unusable", error=error)
    return _cards_in_files(host, count, unread)


def _cards_in_files(
    host: Host,
    count: int,
    unread: Why,
) -> Cards:
    """`count` cards by the names that files give them, for a library that did not answer."""
    names = _names_in_files(host)
    if len(names) != count:
        name = names[0] if len(set(names)) == 1 else _UNNAMED
        names = [name] * count
    cards = []
    for name in names:
        card = _named_card(name)
        # only Arm chips of NVIDIA share the RAM: on other architectures a card without a name has
        # its own memory
        if name == _UNNAMED and host.architecture != "x86_64":
            card = card.replace(unified=None)
        cards.append(card)
    return Cards(
        cards=cards,
        source="/dev/nvidia* and /sys/bus/pci/devices",
        unread=unread,
    )


def _names_in_files(host: Host) -> list[str]:
    """The names in the files of NVIDIA's driver, a file for each GPU."""
    names: list[str] = []
    for slot in host.listdir(_INFORMATION):
        text = host.read_text(f"{_INFORMATION}/{slot}/information")
        names += map(parse_name, re.findall(_MODEL, text))
    return names


def _cards_of_answer(
    host: Host,
    gpus: Gpus,
    driver: str | None,
) -> Cards:
    """The cards of the library's answer, as CUDA_VISIBLE_DEVICES selects."""
    source = f"NVML: driver {driver or 'of unknown version'}"
    mask = host.env.get(_MASK)
    if mask is not None:
        source += f", as {_MASK} selects"
        is_by_bus = host.env.get(_ORDER) == "PCI_BUS_ID"
        selected = _selected(mask, gpus, is_by_bus=is_by_bus)
        if selected is None:
            count = len(set(mask.split(",")))
            cards = [_named_card(_UNNAMED)] * count
            return Cards(
                cards=cards, source=source, unread=why_unread("uuid", mask=_MASK)
            )
        gpus = selected
    parts = list(chain.from_iterable(gpus))
    if not parts:
        return Cards(source=source)
    is_arm = host.architecture == "aarch64"
    cards = [part.card(driver, is_arm=is_arm) for part in parts]
    return Cards(cards=cards, source=source, unread=_why_memory_is_unread(parts, cards))


def _why_memory_is_unread(
    parts: Iterable[NvmlPart],
    cards: Iterable[Accelerator],
) -> Why:
    """The reason why these parts, which are these cards, state no memory: the reason of the first
    card that may have its own memory, else that the cards share the RAM.
    """
    for part, card in zip(parts, cards, strict=True):
        if is_untold(card):
            return why_unread(part.error, "untold")
    return why_unread("bufferless")


def _selected(
    mask: str,
    gpus: Gpus,
    *,
    is_by_bus: bool,
) -> Gpus | None:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves.

    None where only CUDA can tell: for UUIDs, and for unlike GPUs, which CUDA numbers from the
    fastest on unless `is_by_bus`.
    """
    selected = {}
    for word in mask.split(","):
        plain = word.strip()
        if plain.lower().startswith(("gpu-", "mig-")):
            return None
        number = parse_digits(plain, 5)
        # a word that is no number, or a repeated number, ends the list (CUDA C++ Programming Guide)
        if number is None or number in selected or number >= len(gpus):
            break
        selected[number] = gpus[number]
    parts = chain.from_iterable(gpus)
    kinds = {(part.name, part.memory_total_bytes) for part in parts}
    if selected and not is_by_bus and len(gpus) > 1 and len(kinds) > 1:
        return None
    return list(selected.values())
