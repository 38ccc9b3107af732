"""A GPU that shares the RAM: how much of it the system lends, and how many layers that holds."""

from __future__ import annotations

from collections.abc import Sequence

from ...machine.cpus import metal_share
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs, Split, Term
from ..pace.speed import SAME

# of the RAM, what the drivers of AMD's lend the GPU: half (Linux: drivers/gpu/drm/ttm/ttm_device.c
# and superm1/amd-debug-tools, docs/amd-ttm.md; Windows: shared GPU memory), up to all of it where
# ttm.pages_limit or the firmware gives more
_AMD_SHARE = (0.5, 1.0)


def shared_limits(device: Accelerator, machine: Machine) -> tuple[int, int] | None:
    """Bytes of the RAM that macOS (`cpus.metal_share`) or Linux's driver for AMD lets a GPU use
    that shares it, least and most; None where nothing tells. Equal where it was read or set.
    """
    has_mac = any(map(is_metal, machine.accelerators or ()))
    lends = machine.system == "linux" if device.vendor == "amd" else has_mac
    is_read = device.memory_total_bytes is not None
    return _lent(device, machine) if is_read or lends else None


def _lent(device: Accelerator, machine: Machine) -> tuple[int, int] | None:
    """As `shared_limits`, whatever system lends it."""
    if device.memory_total_bytes is not None:
        return device.memory_total_bytes, device.memory_total_bytes
    total = machine.memory_total_bytes
    if total is None:
        return None
    least, most = _AMD_SHARE if device.vendor == "amd" else metal_share(total)
    return int(total * least), int(total * most)


def can_be_raised(device: Accelerator, machine: Machine, size_bytes: int) -> bool:
    """Whether a line to type lets a GPU that shares the RAM use so much of it, where the machine
    has as much: on macOS, and on Linux with AMD's.
    """
    total = machine.memory_total_bytes
    has_line = is_metal(device) or (device.vendor == "amd" and machine.system == "linux")
    return has_line and total is not None and size_bytes <= total


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
    cards = [card for card in machine.accelerators or () if card.unified]
    shared = next((card for card in cards if is_metal(card) or card.vendor == "amd"), None)
    if needs.memory is None or not layers or shared is None:
        return SAME
    limits = _lent(shared, machine)
    if limits is None:
        return SAME
    least, most = limits
    host = [term for term in needs.memory.terms if term.where == "host"]
    slow, likely, fast = (
        _share_within(host, end, layers, limit)
        for end, limit in (
            ("high_bytes", least),
            ("bytes", (least + most) / 2),
            ("low_bytes", most),
        )
    )
    slow, fast = min(slow, likely), max(likely, fast)
    is_raised = can_be_raised(shared, machine, sum(term.high_bytes for term in host))
    return (slow, 1.0, 1.0) if is_raised else (slow, likely, fast)


def _share_within(host: Sequence[Term], end: str, layers: int, limit: float) -> float:
    """Of so many layers, what fits beside what does not move. `end`: which bytes of a term."""
    over = sum(getattr(term, end) for term in host) - limit
    moving = sum(getattr(term, end) for term in host if term.split is Split.LAYERS)
    if over <= 0 or not moving:
        return 1.0
    return max(0, int(layers * (1 - over / moving))) / layers
