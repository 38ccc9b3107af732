"""The memory that accelerators can give, and the accelerators on which a program computes.

`usable_bytes_of` says how much of one accelerator a program may take, and `lent_to_gpu` how much
RAM a GPU that shares the RAM may use. `may_compute_on` and `computes_on_shared` compare a GPU with
the builds of a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import KernelRule
from ..core.records import Record, Stated
from ..core.tables import shipped_rows
from ..core.units import GIB, MIB
from ..core.workload import Workload
from ..machine import gpus
from ..machine.cpus import metal_share
from ..machine.record import Accelerator, Machine
from ..needs.case import Case
from ..needs.records import Device

if TYPE_CHECKING:
    from .record import Question

# the bytes of each device that llama.cpp's fitter leaves free (0c1e5709, common/common.h line 483)
DEVICE_MARGIN_BYTES = 1 * GIB
# the CUDA context, which no need counts: 609 to 708 MiB for llama.cpp on an H100 (gpu_rest_bytes of
# tests/truth/llamacpp_gpu_ram.json)
_CONTEXT_BYTES = 708 * MIB
# the hundredths of each device's memory that vLLM takes; it fails where these are not enough (vllm
# 0.33.0, vllm/config/cache.py lines 215-223)
_GPU_ONLY_PERCENT = 92
# the hundredths of the RAM that a system leaves to a GPU that shares it: 101 of a DGX Spark's 121.7
# GiB (public reports, 2026-11)
LEFT_PERCENT = 82
# the device size from which vLLM reads four times as many tokens at once, except on an A100 and a
# GB10: get_batch_defaults of vllm/engine/arg_utils.py
LARGE_DEVICE_BYTES = 70 * GIB


class _Lending(Stated):
    """A row of `[lending]` in `specs/common/system_memory.toml`: how a system lends RAM to the GPUs
    of a maker.
    """

    line: str
    system: str | None = None
    share: tuple[float, ...] = ()
    owner_decides: bool = False


# keys: the makers of GPUs that share the RAM
_LENDING = shipped_rows(_Lending, "system_memory", "lending")


class End(IntEnum):
    """An end of a `Size` that is compared with the memory that there is: `size[End.MOST]`."""

    LEAST = 0
    LIKELY = 1
    MOST = 2


class Place(Record):
    """An accelerator with memory of its own, by its number.

    `usable_bytes` are the bytes that a program may take of the `card`; None where its memory was
    not read. Without a `card` nothing was read of the accelerator.
    """

    index: int
    card: Accelerator | None = None
    usable_bytes: int | None = None

    @property
    def maker(self) -> str:
        """The maker of the accelerator, in the words of `Accelerator.vendor`."""
        return gpus.UNKNOWN if self.card is None else self.card.vendor

    @property
    def known_bytes(self) -> int:
        """The usable bytes; 0 where the memory was not read."""
        return self.usable_bytes or 0

    @property
    def where(self) -> str:
        """The name of the place in a term."""
        return f"accelerator:{self.index}"


def index_of(where: str) -> int:
    """The number of an accelerator in the machine's list, from the name of its place in a term."""
    return int(where.partition(":")[2])


def places(accelerators: Sequence[Accelerator] | None) -> tuple[Place, ...]:
    """The accelerators that are not known to share the RAM, in the machine's order.

    Of several NVIDIA MIG instances only the largest counts, because a program gets one of them (MIG
    user guide).
    """
    if accelerators is None:
        return ()
    found = []
    has_instances = False
    for index, card in enumerate(accelerators):
        if card.unified:
            continue
        usable = None
        if card.unified is False:
            usable = usable_bytes_of(card)
        found.append(Place(index=index, card=card, usable_bytes=usable))
        if card.is_part:
            has_instances = True
    if has_instances:
        return (largest_place(found) or found[0],)
    return tuple(found)


def largest_place(candidates: Sequence[Place]) -> Place | None:
    """The accelerator with the most usable bytes; None where none has any."""
    usable = [place for place in candidates if place.known_bytes]
    return max(usable, key=lambda place: place.known_bytes, default=None)


def emptied(devices: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """The same accelerators with nothing else running on them."""
    return tuple(idle(device) for device in devices)


def basis_on(machine: Machine, workload: Workload) -> str:
    """The memory that counts, as in `Workload.memory_basis`. A machine that is only planned has no
    memory free now.
    """
    if workload.memory_basis == "default" and machine.planning:
        return "total"
    return workload.memory_basis


def idle(device: Accelerator) -> Accelerator:
    """The device without the memory that other processes take; the device unchanged where they take
    none.
    """
    size = idle_bytes(device)
    free = device.memory_free_bytes
    if size is None or free is None or free >= size:
        return device
    return device.replace(memory_free_bytes=None)


def idle_bytes(device: Accelerator) -> int | None:
    """The bytes of a device's memory that programs see while none runs: all but the driver's share.

    None where the memory was not read. The stated memory of a MIG instance leaves out the driver's
    share already.
    """
    total = device.memory_total_bytes
    if total is None or device.is_part:
        return total
    return total - gpus.kept_by_driver_bytes(device.vendor, total)


def _reserve_bytes(vendor: str, total_bytes: int) -> int:
    """The bytes of a named card that no model may take: the margin that llama.cpp leaves free, or
    more.

    The reserve is larger where the driver's share and the CUDA context together exceed that margin.
    """
    kept = gpus.kept_by_driver_bytes(vendor, total_bytes)
    return max(DEVICE_MARGIN_BYTES, kept + _CONTEXT_BYTES)


def smallest_total_bytes(vendor: str, usable_bytes: int) -> int:
    """The memory of the maker's smallest card that gives a program `usable_bytes`."""
    total = usable_bytes
    while True:
        given = total - _reserve_bytes(vendor, total)
        if given >= usable_bytes:
            return total
        # a larger card never gives more than the bytes that were added
        total += usable_bytes - given


def percent_of(case: Case | None) -> float:
    """The percentage of each device's memory that a runtime takes if it runs on accelerators
    alone.
    """
    share = None if case is None else case.settings.get("memory_share")
    return _GPU_ONLY_PERCENT if share is None else round(100 * float(share), 6)


# cached: each layout of each way asks it about the same few devices
@lru_cache(maxsize=256)
def usable_bytes_of(device: Accelerator, percent: float | None = None) -> int | None:
    """The bytes that a program may take of a device now: the given percentage, or all but the
    margin that llama.cpp leaves free.

    That margin holds the CUDA context and, with PyTorch, up to 0.9 GiB of reserved memory. For a
    named card the margin holds the driver's share too. None where the memory was not read.
    """
    if percent is not None:
        return _share_of(device, percent)
    free = device.memory_free_bytes
    if free is not None:
        return max(0, free - DEVICE_MARGIN_BYTES)
    total = device.memory_total_bytes
    if total is None:
        return None
    maker = "" if device.is_part else device.vendor
    return max(0, total - _reserve_bytes(maker, total))


def _share_of(device: Accelerator, percent: float) -> int | None:
    """The given percentage of a device's memory, as far as that memory is free; None where the
    memory was not read.
    """
    total = device.memory_total_bytes
    if total is None:
        return None
    free = device.memory_free_bytes
    if free is None:
        free = idle_bytes(device)
    share = int(total * percent // 100)
    return share if free is None else min(share, free)


def _is_large(card: Accelerator) -> bool:
    """Whether vLLM computes many tokens at once on the card."""
    total = card.memory_total_bytes
    if total is None or total < LARGE_DEVICE_BYTES:
        return False
    small = gpus.small_devices()
    if gpus.capability_of(card) in small.capabilities:
        return False
    name = card.name.lower()
    return not any(word in name for word in small.words)


def device_of(
    card: Accelerator | None,
    devices: int,
    percent: float,
) -> Device:
    """The device record of a card, for counting the needs of a runtime that takes a share of each
    device.
    """
    if card is None:
        return Device(devices=devices)
    return Device(
        devices=devices,
        is_large=_is_large(card),
        total_bytes=card.memory_total_bytes,
        free_bytes=card.memory_free_bytes,
        usable_bytes=usable_bytes_of(card, percent),
    )


def group_by_maker(candidates: Sequence[Place]) -> list[list[Place]]:
    """The places of known memory, grouped by maker, because a build of PyTorch uses the GPUs of one
    maker. The first maker comes last.
    """
    groups = dict[str, list[Place]]()
    for place in candidates:
        if place.usable_bytes is not None:
            groups.setdefault(place.maker, []).append(place)
    return list(reversed(groups.values()))


# ------------------------------------------------------------------ GPUs that a program uses


def has_capability(device: Accelerator, least: str | None) -> bool | None:
    """Whether the device has the least compute capability; None where that is not known.

    True where no capability is asked for, and for devices of all makers but NVIDIA.
    """
    if least is None:
        return True
    if device.vendor != "nvidia":
        return True
    return gpus.reaches_capability(gpus.capability_of(device), least)


def is_built_for(
    device: Accelerator,
    patterns: Sequence[str],
    vendor: str = "amd",
) -> bool | None:
    """Whether a GPU of that maker matches the patterns of product names and instruction sets.

    None for a GPU of another maker, for no patterns, and for an AMD GPU whose name and instruction
    set tell no product.
    """
    if not patterns:
        return None
    if device.vendor != vendor:
        return None
    capability = device.compute_capability or ""
    name = f"{device.name} {capability}".lower()
    pattern = "|".join(patterns)
    if re.search(rf"\b(?:{pattern})\b", name):
        return True
    if vendor != "amd" or capability:
        return False
    return False if _tells_product(device.name) else None


def _tells_product(name: str) -> bool:
    """Whether the name of a GPU has a number that is no device id."""
    if "0x" in name:
        return False
    return any(map(str.isdecimal, name))


def least_capability(runtime: RuntimeSpec, device: Accelerator) -> str | None:
    """The compute capability that the runtime's builds require of the GPU; None where they require
    none.
    """
    if device.unified:
        return runtime.gpus.shared_compute_capability
    return runtime.gpus.compute_capability


def amd_gpus(runtime: RuntimeSpec) -> tuple[str, ...]:
    """The patterns of AMD GPUs that the runtime's builds compute on, including GPUs that run under
    another name.
    """
    patterns = list(runtime.gpus.amd_gpus)
    for renamed in runtime.gpus.amd_as.values():
        patterns += renamed
    return tuple(patterns)


def may_compute_on(
    runtime: RuntimeSpec,
    device: Accelerator,
    rules: Iterable[KernelRule] = (),
) -> bool:
    """Whether some build of the runtime may compute on the GPU, also under kernel rules; False
    where every build is known not to.
    """
    demands = [least_capability(runtime, device)]
    for rule in rules:
        demands.append(rule.compute_capability)
    for least in demands:
        if has_capability(device, least) is False:
            return False
    # without patterns the answer is not known, and the device is not ruled out
    return is_built_for(device, amd_gpus(runtime)) is not False


def computes_on_shared(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether the runtime's builds compute on a GPU that shares the RAM."""
    vendor = device.vendor.lower()
    if vendor not in runtime.gpus.sharing_vendors:
        return False
    if not may_compute_on(runtime, device):
        return False
    patterns = runtime.gpus.sharing.get(vendor, ())
    return is_built_for(device, patterns, vendor) is not False


def gpu_maker(machine: Machine, runtime: RuntimeSpec | None) -> str:
    """The maker of the GPUs that compute the model; "" for none. A maker whose GPUs run ggml's CUDA
    code comes first.
    """
    if runtime is None:
        return ""
    vendors = []
    for card in machine.cards:
        computes = computes_on_shared if card.unified else may_compute_on
        if computes(runtime, card):
            vendors.append(card.vendor)
    for vendor in vendors:
        if vendor in runtime.gpus.cuda_attention:
            return vendor
    return vendors[0] if vendors else ""


def usable_cards(
    question: Question, machine: Machine
) -> tuple[Accelerator, ...] | None:
    """The accelerators of the machine as the question's program can use them.

    Accelerators of a machine that is only planned count as idle. Accelerators that no build of the
    program uses have no memory; of accelerators with memory of their own nor have those after the
    first `most_cards`.
    """
    cards = machine.accelerators
    runtime = question.program
    if not cards:
        return cards
    if basis_on(machine, question.workload) == "total":
        cards = emptied(cards)
    if runtime.gpus.required:
        return cards
    left = question.most_cards or len(cards)
    if machine.platform in runtime.gpus.unused_systems:
        # no build of the program for the system uses a GPU
        left = 0
    usable = []
    for card in cards:
        if card.unified is not False:
            usable.append(card)
        elif left and may_compute_on(runtime, card):
            left -= 1
            usable.append(card)
        else:
            usable.append(card.replace(memory_total_bytes=0, memory_free_bytes=0))
    return tuple(usable)


def named_cards(question: Question, machine: Machine) -> list[int] | None:
    """The numbers of the accelerators that a runtime option names, in its order; None where no
    option names a device.

    The first device alone may be any accelerator of its makers. Others are numbered as the machine
    lists the accelerators of these makers.
    """
    devices = question.named_devices
    if devices is None:
        return None
    of_makers = []
    for number, card in enumerate(machine.cards):
        if question.may_be_device(card.vendor):
            of_makers.append(number)
    if question.names_first_device:
        return of_makers
    named = []
    for device in devices:
        if device.number < len(of_makers):
            named.append(of_makers[device.number])
    return named


# ------------------------------------------------------------------ GPUs that share the RAM


class SharedMemory(Record):
    """The RAM that the system lends to an Apple or AMD GPU without memory of its own: the least and
    the most bytes.

    The command `line` raises the limit to `raised_bytes`, which is 0 where no such line exists.
    `owner_decides`: settings that are not read, and that take a restart, decide what is lent.
    """

    device: Accelerator
    least_bytes: int
    most_bytes: int
    raised_bytes: int
    line: str
    owner_decides: bool


def lent_to_gpu(machine: Machine) -> SharedMemory | None:
    """The RAM that the system lends to the first Apple or AMD GPU that shares the RAM.

    None without such a GPU, and where the size of the RAM is not known.
    """
    total = machine.memory_total_bytes
    if total is None:
        return None
    for device in machine.cards:
        if device.unified and device.vendor in _LENDING:
            return _lent(device, total, machine.system)
    return None


def _lent(
    device: Accelerator,
    total: int,
    system: str | None,
) -> SharedMemory:
    """The memory that the system lends to the device, of `total` bytes of RAM."""
    lending = _LENDING[device.vendor]
    raised = total if lending.system in (None, system) else 0
    limit = device.memory_total_bytes
    if limit is not None:
        least = limit
        most = limit
    else:
        least_share, most_share = lending.share or metal_share(total)
        least = int(total * least_share)
        most = int(total * most_share)
    return SharedMemory(
        device=device,
        least_bytes=least,
        most_bytes=most,
        raised_bytes=raised,
        line=lending.line,
        owner_decides=lending.owner_decides,
    )
