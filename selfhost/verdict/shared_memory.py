"""A GPU that shares the RAM: how much of it the system lends, and how many layers that holds."""

from __future__ import annotations

from collections.abc import Sequence

from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine
from ..needs.records import Needs, Term
from .on_devices import BY_LAYER
from .speed import WHOLLY

# of the RAM, what the drivers of AMD's lend the GPU: half (Linux: drivers/gpu/drm/ttm/ttm_device.c
# and superm1/amd-debug-tools, docs/amd-ttm.md; Windows: shared GPU memory), up to all of it where
# ttm.pages_limit or the firmware gives more
_AMD_SHARE = (0.5, 1.0)


def shared_limits(device: Accelerator, machine: Machine) -> tuple[int, int] | None:
    """Bytes of the RAM that macOS (`chips.metal_share`) or Linux's driver for AMD lets a GPU use
    that shares it, least and most; None where nothing tells. Equal where it was read or set.
    """
    if device.memory_total_bytes is not None:
        return device.memory_total_bytes, device.memory_total_bytes
    if device.vendor == "amd":
        total = machine.memory_total_bytes
        return None if machine.system != "linux" or total is None else _amd_limits(total)
    total = machine.memory_total_bytes
    return None if total is None or _metal(machine) is None else _metal_limits(total)


def is_surely_lent(device: Accelerator, machine: Machine, size_bytes: int) -> bool | None:
    """Whether the system surely lets a GPU that shares the RAM use so much of it; None where
    nothing tells.
    """
    total = machine.memory_total_bytes
    if device.vendor == "amd" and device.memory_total_bytes is None:
        if machine.system != "linux" or total is None:
            return None
        return round(size_bytes / _AMD_SHARE[0]) <= total
    limits = shared_limits(device, machine)
    return None if limits is None else size_bytes <= limits[0]


def can_be_raised(device: Accelerator, machine: Machine, size_bytes: int) -> bool:
    """Whether a line to type lets a GPU that shares the RAM use so much of it, where the machine
    has as much: on macOS, and on Linux with AMD's.
    """
    total = machine.memory_total_bytes
    has_line = is_metal(device) or (device.vendor == "amd" and machine.system == "linux")
    return has_line and total is not None and size_bytes <= total


def _metal_limits(total_bytes: int) -> tuple[int, int]:
    """Of so much RAM, what macOS lets the GPU use, least and most."""
    least, most = metal_share(total_bytes)
    return int(total_bytes * least), int(total_bytes * most)


def _amd_limits(total_bytes: int) -> tuple[int, int]:
    """Of so much RAM, what the drivers of AMD's lend the GPU, least and most."""
    least, most = _AMD_SHARE
    return int(total_bytes * least), int(total_bytes * most)


def _metal(machine: Machine) -> Accelerator | None:
    """The GPU of a Mac, which shares the RAM."""
    return next(filter(is_metal, machine.accelerators or ()), None)


def _amd(machine: Machine) -> Accelerator | None:
    """A GPU by AMD that shares the RAM."""
    cards = machine.accelerators or ()
    return next((card for card in cards if card.unified and card.vendor == "amd"), None)


def is_metal(card: Accelerator) -> bool:
    """Whether it is the GPU of a Mac that shares the RAM."""
    return bool(card.unified) and card.vendor == "apple"


def share_on_shared(
    needs: Needs, machine: Machine, layers: int | None
) -> tuple[float, float, float]:
    """Of the layers, what a GPU that shares the RAM is let to hold: slow end, likely, fast end. 1
    wherever nothing limits it.

    The rest of a runtime that shares layers out is computed by the processor, as llama.cpp's fitter
    does; whole layers move. Where a line raises the limit, which is printed before the command, the
    slow end alone is without it.
    """
    shared = _metal(machine) or _amd(machine)
    if needs.memory is None or not layers or shared is None:
        return WHOLLY
    of_ram = machine.memory_total_bytes
    limit_bytes = shared.memory_total_bytes
    host = [term for term in needs.memory.terms if term.where == "host"]
    is_raised = can_be_raised(shared, machine, sum([term.high_bytes for term in host]))

    def within(limits: tuple[int, int]) -> tuple[float, float, float]:
        slow, likely, fast = _shares_within(host, layers, limits)
        return (slow, 1.0, 1.0) if is_raised else (slow, likely, fast)

    if limit_bytes is not None:
        return within((limit_bytes, limit_bytes))
    limits_of = _metal_limits if is_metal(shared) else _amd_limits
    return WHOLLY if of_ram is None else within(limits_of(of_ram))


def _shares_within(
    host: Sequence[Term], layers: int, limits: tuple[int, int]
) -> tuple[float, float, float]:
    """As `share_on_shared`, with the least and the most that the GPU may use."""

    def share(end: str, limit: int, times: int = 1) -> float:
        over = times * sum([getattr(term, end) for term in host]) - limit
        if over <= 0:
            return 1.0
        moving = sum(getattr(term, end) for term in host if term.name in BY_LAYER)
        if not moving:
            return 1.0
        return max(0, int(layers * (1 - over / (times * moving)))) / layers

    least, most = limits
    slow, likely, fast = (
        share("high_bytes", least),
        # against the middle of the two
        share("bytes", least + most, 2),
        share("low_bytes", most),
    )
    return min(slow, likely), likely, max(likely, fast)
