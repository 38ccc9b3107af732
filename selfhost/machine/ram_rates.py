"""The bandwidth that a stated kind of RAM, rate, channels or modules mean: `DDR4-3200`, `2x16GB`.

What goes in: a machine without a bandwidth of its own, and the memory that its description states.
What comes out: the machine with the bandwidth, and a note.
"""

from __future__ import annotations

from ..core import units
from ..core.records import Record
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


class _StatedRam(Record):
    """What a description says of the RAM: its kind, `ddr4`, its rate, its channels and its modules;
    "" or None where it does not say so.
    """

    kind: str
    mts: int | None
    channels: int | None
    modules: int | None

    @classmethod
    def of(cls, memory: StatedMemory) -> _StatedRam:
        """The RAM of that memory."""
        numbers = memory.numbers
        return cls(
            kind=memory.ram_kind or "",
            mts=numbers.get("mts"),
            channels=numbers.get("channels"),
            modules=numbers.get("sticks"),
        )

    @property
    def is_said(self) -> bool:
        """Whether the description says anything of it."""
        numbers = (self.mts, self.channels, self.modules)
        return bool(self.kind) or any(number is not None for number in numbers)

    @property
    def is_soldered(self) -> bool:
        """Whether it is memory of little power, which is soldered. Makers count its channels in
        other widths.
        """
        return self.kind.startswith("lp")

    def name(self, mts: int | None) -> str:
        """The kind with that rate: `DDR4-3200`; `RAM at 3,200 MT/s` where the kind is not
        stated.
        """
        if mts is None:
            return self.kind.upper() or "RAM"
        if self.kind:
            return f"{self.kind.upper()}-{mts}"
        return f"RAM at {mts:,} MT/s"


def with_ram_rate(machine: Machine, memory: StatedMemory) -> NotedMachine:
    """The machine with the bandwidth that a stated kind of RAM, rate or number of modules means,
    and a note on the bandwidth.
    """
    ram = _StatedRam.of(memory)
    if not ram.is_said or machine.scope != "host":
        return NotedMachine(machine, None)
    if machine.memory_bandwidth_bytes_per_second is not None:
        return NotedMachine(machine, None)
    slots = gpus.series_in(machine) or gpus.computer_of(machine)
    rate_mts = None
    if slots is not None:
        rate_mts = _rate_mts(slots, ram)
    if slots is None or rate_mts is None:
        # the channels of the processor are not known, or it takes no such memory
        return NotedMachine(machine, _not_counted(ram.name(ram.mts)))
    processors = cpus.processors_named(machine.cpu_name)
    channels = _channels(slots, ram, processors)
    bandwidth = channels * slots.bits // 8 * rate_mts * units.MB
    told = f"{units.plural(channels, 'channel')} of {ram.name(rate_mts)}"
    note = f"Its memory: {told}, {units.decimal(bandwidth)}/s at most."
    if _are_too_many(slots, ram, processors):
        note += f" {_not_counted(f'{ram.channels} channels')}"
    facts: FactValues = {
        BANDWIDTH: bandwidth,
        "memory_bandwidth_how": _how_known(slots, ram, channels),
    }
    # the rate of a kind of memory is a guess
    is_guess = BANDWIDTH in machine.assumed and ram.mts is None
    machine = machine.stated(facts, f"{told}, as its description says")
    if is_guess:
        machine = machine.replace(assumed=(BANDWIDTH, *machine.assumed))
    return NotedMachine(machine, note)


def _not_counted(what: str) -> str:
    """The sentence that something of the description does not count."""
    return ignored_note("does not count here", [what])


def _rate_mts(slots: _RamSlots, ram: _StatedRam) -> int | None:
    """The stated rate in MT/s, else the rate of the kind. None where the rate or the kind does not
    fit the processor.
    """
    if slots.memory == "bus":
        return None
    if isinstance(slots, gpus.Computer):
        return ram.mts or _rate_in_any_computer(slots, ram)
    slowest, _, fastest = slots.mts
    low, high = cpus.ram_rates().get(ram.kind, (slowest, fastest))
    if low > _LARGEST_GAP * fastest or slowest > _LARGEST_GAP * high:
        return None
    if ram.mts is None:
        return _rate_of_kind(slots, low, high)
    if not _LEAST_OF_SLOWEST * slowest <= ram.mts <= _MOST_OF_FASTEST * fastest:
        return None
    if slots.kind == "server":
        return min(ram.mts, fastest)
    return ram.mts


def _rate_in_any_computer(computer: gpus.Computer, ram: _StatedRam) -> int:
    """The rate in MT/s beside a processor that is not named, which may take any memory: the fastest
    of the kind, which most modules have, else the usual one.
    """
    if not ram.kind:
        return computer.mts[1]
    _, fastest = cpus.ram_rates()[ram.kind]
    return fastest


def _rate_of_kind(
    slots: _RamSlots,
    low: int,
    high: int,
) -> int:
    """The usual rate of the processor, within the rates of the kind, and then within its own."""
    slowest, usual, fastest = slots.mts
    rate_of_kind = max(low, min(usual, high))
    return max(slowest, min(rate_of_kind, fastest))


def _channels(
    slots: _RamSlots,
    ram: _StatedRam,
    processors: int,
) -> int:
    """The channels of a processor that are filled: as stated, and no more than each of the
    processors has modules.
    """
    channels = slots.channels
    if ram.channels is not None:
        channels = min(channels, ram.channels)
    if ram.modules is not None and slots.bits == 64:
        channels = min(channels, max(1, ram.modules // processors))
    return channels


def _are_too_many(
    slots: _RamSlots,
    ram: _StatedRam,
    processors: int,
) -> bool:
    """Whether the description states more channels than the processors have."""
    if ram.channels is None or ram.is_soldered:
        return False
    return ram.channels > slots.channels * processors


def _how_known(
    slots: _RamSlots,
    ram: _StatedRam,
    channels: int,
) -> str | None:
    """How the bandwidth is known: with an assumed rate, or with channels that are assumed to be
    filled. None where the description states all of it.
    """
    if ram.mts is None and not _tells_the_rate(slots, ram):
        return RATE_ASSUMED
    # with two channels, one may be empty
    if channels != 2 or ram.is_soldered:
        return None
    if ram.modules is None and ram.channels is None:
        return FILLED_ASSUMED
    return None


def _tells_the_rate(slots: _RamSlots, ram: _StatedRam) -> bool:
    """Whether the kind tells the rate: the computer could have another kind, of another rate."""
    if not ram.kind:
        return False
    rates = slots.bytes_per_second
    return rates.slowest < rates.fastest or isinstance(slots, gpus.Computer)
