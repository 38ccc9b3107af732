"""What accelerators can give, and which of them a program computes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from ..core.tables import shipped_table
from ..core.units import GIB
from ..machine import gpus
from ..machine.cpus import metal_share
from ..machine.record import Accelerator, Machine
from ..needs.case import Case
from ..needs.records import Device, Needs, Split

# llama.cpp's fitter leaves so much of each device free (0c1e5709, common/common.h line 483)
DEVICE_MARGIN_BYTES = 1 * GIB
# vLLM takes so many hundredths of each device and fails where that is not enough (vllm 0.33.0,
# vllm/config/cache.py lines 215-223)
_GPU_ONLY_PERCENT = 92
# of its RAM a system leaves a GPU: 101 of a DGX Spark's 121.7 GiB (public reports, 2026-11)
LEFT_PERCENT = 82
# from here on, but for an A100 and a GB10, it works on four times as much at once, by
# get_batch_defaults of vllm/engine/arg_utils.py
LARGE_DEVICE_BYTES = 70 * GIB
# by maker of a GPU that shares the RAM: what the system lends it, least and most, the system on
# which a line lends it all (None: any), and that line. The drivers of AMD's lend half (Linux:
# drivers/gpu/drm/ttm/ttm_device.c and superm1/amd-debug-tools, docs/amd-ttm.md; Windows: shared GPU
# memory), up to all of it where ttm.pages_limit, in pages of 4 KiB, or the firmware gives more
_LENDING: Mapping[str, tuple[Callable[[int], tuple[float, float]], str | None, str]] = {
    "apple": (metal_share, None, "sudo sysctl iogpu.wired_limit_mb={mib}"),
    "amd": (
        lambda _: (0.5, 1.0),
        "linux",
        "echo options ttm pages_limit={pages} | sudo tee /etc/modprobe.d/ttm.conf",
    ),
}


class Place(Record):
    """One accelerator with memory of its own, by its number, and what it can give; None: unread."""

    index: int
    room_bytes: int | None = None

    @property
    def where(self) -> str:
        """The name of the place in a term."""
        return f"accelerator:{self.index}"


def index_of(where: str) -> int:
    """The number of an accelerator in the machine's list, from the name of its place in a term."""
    return int(where.partition(":")[2])


def places(accelerators: Sequence[Accelerator] | None) -> tuple[Place, ...]:
    """The accelerators that are no part of the RAM, in the machine's order; of instances of
    NVIDIA's MIG, of which a program gets one (MIG user guide), the largest alone.
    """
    every = [
        Place(
            index=index, room_bytes=room_of(device) if device.unified is False else None
        )
        for index, device in enumerate(accelerators or ())
        if device.unified is not True
    ]
    largest = roomiest(every)
    if accelerators and any(accelerators[place.index].is_part for place in every):
        return (largest,) if largest is not None else tuple(every[:1])
    return tuple(every)


def roomiest(candidates: Sequence[Place]) -> Place | None:
    """The accelerator with most room; None where none has any."""
    largest = max(candidates, key=lambda place: place.room_bytes or 0, default=None)
    return largest if largest is not None and largest.room_bytes else None


def emptied(devices: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """The same accelerators with nothing else running on them."""
    return tuple(
        device.replace(memory_free_bytes=None)
        if device.memory_total_bytes is not None
        else device
        for device in devices
    )


def percent_of(case: Case | None) -> float:
    """Hundredths of each device that a program which runs on these alone takes."""
    share = None if case is None else case.settings.get("memory_share")
    return _GPU_ONLY_PERCENT if share is None else round(100 * float(share), 6)


def room_of(device: Accelerator, percent: float | None = None) -> int | None:
    """What a program may take of it now: that share, or all but what llama.cpp leaves free."""
    total, free = device.memory_total_bytes, device.memory_free_bytes
    size = total if free is None else free
    if percent is None:
        return None if size is None else max(0, size - DEVICE_MARGIN_BYTES)
    return (
        None
        if total is None or size is None
        else min(int(total * percent // 100), size)
    )


def device_of(
    card: Accelerator | None, devices: int, percent: float, *, is_lean: bool = False
) -> Device:
    """The accelerator as far as the need of a program that takes its share of it depends on it."""
    if card is None:
        return Device(devices=devices, is_lean=is_lean)
    # those that vLLM counts among the small ones whatever their memory
    small, name = shipped_table("gpus")["small"], card.name.lower()
    is_small = gpus.capability_of(card) in small["capabilities"]
    is_small |= any(word in name for word in small["words"])
    return Device(
        devices=devices,
        is_large=not is_small and (card.memory_total_bytes or 0) >= LARGE_DEVICE_BYTES,
        is_lean=is_lean,
        total_bytes=card.memory_total_bytes,
        free_bytes=card.memory_free_bytes,
        room_bytes=room_of(card, percent),
    )


def group_by_maker(candidates: Sequence[Place], machine: Machine) -> list[list[Place]]:
    """Those of known room by maker, as a build of PyTorch uses them; the first's last."""
    owned, groups = machine.accelerators or (), dict[str, list[Place]]()
    for place in candidates:
        if place.room_bytes is not None:
            groups.setdefault(owned[place.index].vendor, []).append(place)
    return [*groups.values()][::-1]


def reaches(device: Accelerator, least: str | None) -> bool | None:
    """Whether it has that compute capability, or none is asked of it, as of all but NVIDIA's; None
    where that is not known.
    """
    if device.vendor != "nvidia" or least is None:
        return True
    return gpus.reaches_capability(gpus.capability_of(device), least)


def is_built_for(
    device: Accelerator, patterns: Sequence[str], vendor: str = "amd"
) -> bool | None:
    """Whether a GPU of that maker's is among the patterns of names and of instruction sets; None of
    another maker's, without a list, and where neither is known of one of AMD's.
    """
    if device.vendor != vendor or not patterns:
        return None
    name = f"{device.name} {device.compute_capability or ''}".lower()
    if re.search(rf"\b(?:{'|'.join(patterns)})\b", name):
        return True
    is_named = vendor != "amd" or (
        any(map(str.isdecimal, device.name)) and "0x" not in device.name
    )
    return False if device.compute_capability or is_named else None


def least_capability(runtime: RuntimeSpec, device: Accelerator) -> str | None:
    """The compute capability that its builds ask of such a GPU; None where they ask for none."""
    return (
        runtime.gpus.shared_compute_capability
        if device.unified
        else runtime.gpus.compute_capability
    )


def runs_on(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """False where every build of the program is known not to compute on such a GPU."""
    if reaches(device, least_capability(runtime, device)) is False:
        return False
    patterns = amd_gpus(runtime)
    return not patterns or is_built_for(device, patterns) is not False


def gpu_maker(machine: Machine, runtime: RuntimeSpec | None) -> str:
    """The maker of the GPUs that compute a model, that of ggml's CUDA code first; "" for none."""
    if runtime is None:
        return ""
    vendors = []
    for card in machine.accelerators or ():
        computes = computes_on_shared if card.unified else runs_on
        if computes(runtime, card):
            vendors.append(card.vendor)
    for vendor in vendors:
        if vendor in runtime.gpus.cuda_attention:
            return vendor
    return vendors[0] if vendors else ""


def amd_gpus(runtime: RuntimeSpec) -> tuple[str, ...]:
    """Patterns of the GPUs of AMD's that its builds compute on, some of them under another name."""
    renamed = (
        pattern for patterns in runtime.gpus.amd_as.values() for pattern in patterns
    )
    return (*runtime.gpus.amd_gpus, *renamed)


def computes_on_shared(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether the program's builds compute on that GPU, which shares the RAM."""
    vendor = device.vendor.lower()
    is_built = (
        is_built_for(device, runtime.gpus.sharing.get(vendor, ()), vendor) is not False
    )
    return (
        vendor in runtime.gpus.sharing_vendors and is_built and runs_on(runtime, device)
    )


class Lent(Record):
    """What the system lets a GPU of Apple's or AMD's that shares the RAM use of it, least and most;
    the `line` to type lets it use up to `raised_bytes`, 0 where there is none.
    """

    device: Accelerator
    least_bytes: int
    most_bytes: int
    raised_bytes: int
    line: str


def lent_to_gpu(machine: Machine) -> Lent | None:
    """None without such a GPU, and where nothing tells how much."""
    cards = [card for card in machine.accelerators or () if card.unified]
    device = next((card for card in cards if card.vendor in _LENDING), None)
    total = machine.memory_total_bytes
    if device is None or total is None:
        return None
    shares, system, line = _LENDING[device.vendor]
    least, most = (int(total * share) for share in shares(total))
    if device.memory_total_bytes is not None:
        least = most = device.memory_total_bytes
    raised = total if system in (None, machine.system) else 0
    return Lent(
        device=device,
        least_bytes=least,
        most_bytes=most,
        raised_bytes=raised,
        line=line,
    )


def share_on_shared(
    needs: Needs, machine: Machine, layers: int | None
) -> tuple[float, float, float]:
    """Of the layers, what a GPU that shares the RAM is let to hold: slow end, likely, fast end;
    where a printed line raises the limit, the slow end alone is without it.
    """
    lent, ends = lent_to_gpu(machine), list[float]()
    if needs.memory is None or not layers or lent is None:
        return 1.0, 1.0, 1.0
    host = [term for term in needs.memory.terms if term.where == "host"]
    least, most = lent.least_bytes, lent.most_bytes
    for end, limit in (
        ("high_bytes", least),
        ("bytes", (least + most) / 2),
        ("low_bytes", most),
    ):
        # what fits beside what does not move
        over = sum(getattr(term, end) for term in host) - limit
        moving = sum(getattr(term, end) for term in host if term.split is Split.LAYERS)
        is_whole = over <= 0 or not moving
        ends.append(
            1.0 if is_whole else max(0, int(layers * (1 - over / moving))) / layers
        )
    slow, likely, fast = ends
    if sum(term.high_bytes for term in host) <= lent.raised_bytes:
        likely = fast = 1.0
    return min(slow, likely), likely, max(likely, fast)
