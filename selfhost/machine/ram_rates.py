"""The bandwidth that a stated kind of RAM, rate, channels or modules mean: `DDR4-3200`, `2x16GB`.

What goes in: a machine without a bandwidth of its own, and the memory that its description states.
What comes out: the machine with the bandwidth, and a note.
"""

from __future__ import annotations

from ..core import units
from . import cpus, gpus
from .memory import StatedMemory
from .profiles import NotedMachine
from .record import BANDWIDTH, FILLED_ASSUMED, RATE_ASSUMED, FactValues, Machine
from .words import ignored_note

# memory for overclocking is sold up to a third faster than the fastest in the table (DDR5-8400
# against 6400, DDR4-4800 against 3600), and memory runs at half of the slowest at least
_LEAST_OF_SLOWEST = 0.5
_MOST_OF_FASTEST = 1.35
# the most that the rate of memory and the rate of the processor may differ: DDR3 of 1600 MT/s fits
# a processor for 1866, and DDR5 of 4800 fits no processor for DDR4 of 3600 (assumed)
_LARGEST_GAP = 1.2
# what has the channels and rates of RAM: a processor, else the computer around the cards
_RamSlots = cpus.ProcessorSeries | gpus.Computer


def with_ram_rate(machine: Machine, memory: StatedMemory) -> NotedMachine:
    """The machine with the bandwidth that a stated kind of RAM, rate or number of modules means,
    and a note on the bandwidth.
    """
    numbers = memory.numbers
    kind = memory.ram_kind or ""
    mts = numbers.get("mts")
    if not kind and numbers.keys().isdisjoint(("mts", "channels", "sticks")):
        return NotedMachine(machine, None)
    if machine.scope != "host" or machine.memory_bandwidth_bytes_per_second is not None:
        return NotedMachine(machine, None)
    slots = gpus.series_in(machine) or gpus.computer_of(machine)
    rate = None
    if slots is not None:
        rate = _rate_mts(slots, kind, mts)
    if slots is None or rate is None:
        # the channels of the processor are not known, or it takes no such memory
        return NotedMachine(
            machine, ignored_note("does not count here", [_ram_name(kind, mts)])
        )
    processors = cpus.processors_named(machine.cpu_model or "")
    channels = min(slots.channels, numbers.get("channels", slots.channels))
    if "sticks" in numbers and slots.bits == 64:
        channels = min(channels, max(1, numbers["sticks"] // processors))
    bandwidth = channels * slots.bits // 8 * rate * units.MB
    ram = f"{units.plural(channels, 'channel')} of {_ram_name(kind, rate)}"
    facts: FactValues = {
        BANDWIDTH: bandwidth,
        "memory_bandwidth_how": _how_known(slots, memory, channels),
    }
    # the rate of a kind of memory is a guess
    is_guess = BANDWIDTH in machine.assumed and mts is None
    machine = machine.stated(facts, f"{ram}, as its description says")
    if is_guess:
        machine = machine.replace(assumed=(BANDWIDTH, *machine.assumed))
    note = f"Its memory: {ram}, {units.decimal(bandwidth)}/s at most."
    stated = numbers.get("channels", 0)
    # makers count the channels of soldered memory in other widths
    if stated > slots.channels * processors and not kind.startswith("lp"):
        note += f" {ignored_note('does not count here', [f'{stated} channels'])}"
    return NotedMachine(machine, note)


def _ram_name(kind: str, mts: int | None) -> str:
    """The kind of RAM with its rate: `DDR4-3200`; `RAM at 3,200 MT/s` where the kind is not
    stated.
    """
    name = kind.upper() or "RAM"
    if mts is None:
        return name
    if kind:
        return f"{name}-{mts}"
    return f"{name} at {mts:,} MT/s"


def _rate_mts(
    slots: _RamSlots,
    kind: str,
    mts: int | None,
) -> int | None:
    """The stated rate in MT/s, else the rate of the kind. None where the rate or the kind does not
    fit the processor.

    A processor that is not named has any memory: its kind has the fastest rate, which most modules
    have.
    """
    if slots.memory == "bus":
        return None
    slowest, usual, fastest = slots.mts
    low, high = cpus.ram_rates().get(kind, (slowest, fastest))
    if isinstance(slots, gpus.Computer):
        return mts or (high if kind else usual)
    if low > _LARGEST_GAP * fastest or slowest > _LARGEST_GAP * high:
        return None
    if mts is None:
        rate_of_kind = max(low, min(usual, high))
        return max(slowest, min(rate_of_kind, fastest))
    if not _LEAST_OF_SLOWEST * slowest <= mts <= _MOST_OF_FASTEST * fastest:
        return None
    return min(mts, fastest) if slots.kind == "server" else mts


def _how_known(
    slots: _RamSlots,
    memory: StatedMemory,
    channels: int,
) -> str | None:
    """How the bandwidth is known: with an assumed rate, or with channels that are assumed to be
    filled. None where the description states all of it.
    """
    kind = memory.ram_kind or ""
    rates = slots.bytes_per_second
    takes_kinds = rates.slowest < rates.fastest or isinstance(slots, gpus.Computer)
    if "mts" not in memory.numbers and not (kind and takes_kinds):
        return RATE_ASSUMED
    # with two channels, one may be empty
    if channels != 2 or kind.startswith("lp"):
        return None
    if memory.numbers.keys().isdisjoint(("sticks", "channels")):
        return FILLED_ASSUMED
    return None
