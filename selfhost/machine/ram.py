"""The memory bandwidth that follows of a processor's channels and of what is stated of the RAM:
`32gb ddr5-6000`, `quad channel`, `2x16gb`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import units
from ..core.records import Record
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus, gpus
from .chips import soldered_chip
from .record import FILLED_ASSUMED, RATE_ASSUMED, Machine

_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# memory is sold for overclocking up to a third above the fastest of the table (DDR5-8400 beside
# 6400, DDR4-4800 beside 3600), and runs at no less than half of the slowest
_RATES_BESIDE = (0.5, 1.35)
# of a kind, whose usual rates the table has (assumed)
_NEAR = 1.2


class StatedRam(Record):
    """What a text states of the RAM beside its size; None for what it does not. `mts`: millions of
    transfers a second; `sticks`: how many modules.
    """

    kind: str | None = None
    mts: int | None = None
    channels: int | None = None
    sticks: int | None = None

    @property
    def name(self) -> str:
        """`LPDDR5X-7500`, `DDR4`, or `RAM at 3600 MT/s`."""
        if self.kind is None:
            return f"RAM at {self.mts} MT/s"
        return self.kind.upper() if self.mts is None else f"{self.kind.upper()}-{self.mts}"


class _Channels(Record):
    """Memory channels, each so many bits wide, and their slowest, usual and fastest rate; None
    where only the class of the processor is known. `has_kinds`: its name does not tell which kind
    of memory it has.
    """

    count: int
    bits: int = 64
    mts: tuple[int, int, int] | None = None
    is_server: bool = False
    has_kinds: bool = False


def with_ram(machine: Machine, ram: StatedRam) -> tuple[Machine, str | None]:
    """The machine with the bandwidth that its RAM has as stated, and a note on it; the same and
    None where nothing is stated that is not assumed anyway, or the chip's memory is known.
    """
    if ram == StatedRam() or machine.scope != "host" or _has_its_own(machine):
        return machine, None
    channels = _channels_of(machine, ram.channels)
    if channels is None:
        why = "left aside: how many memory channels the processor has is not known"
        return machine, f"{ram.name} is {why}." if ram.mts else None
    mts = _rate_of(ram, channels)
    if mts is None:
        who = machine.cpu_model or "a computer with such a GPU"
        return machine, f"{ram.name} is left aside: {who} takes no such memory."
    used = _used_channels(ram, channels, cpus.count_of(machine.cpu_model or ""))
    if _is_assumed_anyway(ram, channels, used, mts):
        return machine, None
    bandwidth = used * channels.bits // 8 * mts * units.MB
    what = f"{used} channel{'s' * (used > 1)} of {ram.replace(mts=mts).name}"
    what += "" if ram.mts else f", {RATE_ASSUMED}"
    machine = machine.replace(
        memory_bandwidth_bytes_per_second=bandwidth,
        sources={**machine.sources, _BANDWIDTH: what + _source_of(ram, used)},
        assumed=tuple(fact for fact in machine.assumed if fact != _BANDWIDTH or not ram.mts),
        unread=tuple(each for each in machine.unread if each.fact != _BANDWIDTH),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _used_channels(ram: StatedRam, channels: _Channels, processors: int) -> int:
    """How many channels of one processor have memory."""
    used = min(channels.count, ram.channels or channels.count)
    if ram.sticks and channels.bits == 64:
        used = min(used, max(1, ram.sticks // processors))
    return used


def _source_of(ram: StatedRam, used_channels: int) -> str:
    """Who tells the kind or the rate, and that both channels are taken to be filled."""
    if not ram.mts and not ram.kind:
        return ""
    tells_filled = ram.channels or ram.sticks or (ram.kind or "").startswith("lp")
    is_assumed = used_channels == 2 and not tells_filled
    return ", as its description says" + (FILLED_ASSUMED if is_assumed else "")


def _is_assumed_anyway(ram: StatedRam, channels: _Channels, used: int, mts: int) -> bool:
    """Whether a machine of which nothing is said of the RAM is judged with the same."""
    tells_kind = ram.kind is not None and channels.has_kinds
    is_usual = used == channels.count and channels.mts is not None and mts == channels.mts[1]
    # of two channels, one may be taken to be empty
    tells_both = channels.count == 2 and (ram.sticks or ram.channels) is not None
    return ram.mts is None and is_usual and not tells_kind and not tells_both


def _series_of(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    inside = (cpus.processor_with(card.name) for card in machine.accelerators or () if card.unified)
    return cpus.processor_of(machine.cpu_model or "") or next(filter(None, inside), None)


def _has_its_own(machine: Machine) -> bool:
    """Whether its memory is sold with its chip, behind a front-side bus, or known and of no series
    that is listed.
    """
    named = cpus.processor_of(machine.cpu_model or "")
    if soldered_chip(words_of(machine.cpu_model or "")) or (named and named.memory == "bus"):
        return True
    series = _series_of(machine)
    is_soldered = series is None or series.memory == "soldered"
    return machine.memory_bandwidth_bytes_per_second is not None and is_soldered


def _channels_of(machine: Machine, stated: int | None) -> _Channels | None:
    """Those of the series, else as many as stated, else those of the class or of the computer that
    its cards sit in; None where nothing tells them.
    """
    series = _series_of(machine)
    if series is not None:
        return _Channels(
            count=series.channels,
            bits=series.bits,
            mts=_rates_of(series, series.channels * series.bits),
            is_server=series.kind == "server",
            has_kinds=series.slowest < series.fastest,
        )
    computer = None if machine.cpu_model or stated is not None else gpus.computer_of(machine)
    if computer is not None:
        rates = _rates_of(computer, computer.channels * 64)
        return _Channels(count=computer.channels, mts=rates)
    around = cpus.class_of(machine.cpu_model or "")
    count = stated or (around and around.channels)
    return _Channels(count=count) if count else None


def _rates_of(memory: cpus.Processor | gpus.Computer, bits: int) -> tuple[int, int, int]:
    """Its slowest, usual and fastest rate, on so many bits at once."""
    slowest, usual, fastest = (
        round(rate * 8 / bits / units.MB) for rate in (memory.least, memory.usual, memory.most)
    )
    return slowest, usual, fastest


def _rate_of(ram: StatedRam, channels: _Channels) -> int | None:
    """The rate that is stated, of servers no more than the processor takes; else of the kind the
    one nearest to what is usual, the slowest where only the class is known. None where the
    processor takes no such memory.
    """
    kind = None if ram.kind is None else _rates_of_kind().get(ram.kind)
    if channels.mts is None:
        return ram.mts or (None if kind is None else kind[0])
    slowest, usual, fastest = channels.mts
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600
    if kind is not None and not (kind[0] <= _NEAR * fastest and slowest <= _NEAR * kind[1]):
        return None
    if ram.mts is not None and channels.is_server:
        return min(ram.mts, fastest)
    mts = ram.mts or (usual if kind is None else max(kind[0], min(usual, kind[1])))
    least, most = _RATES_BESIDE
    if not least * slowest <= mts <= most * fastest:
        return None
    # of a kind alone the processor takes no other rates than its own
    return ram.mts or max(slowest, min(mts, fastest))


def _rates_of_kind() -> Mapping[str, Sequence[int]]:
    """Of each kind of memory the slowest and the fastest rate that most machines have."""
    return {row["kind"]: row["mts"] for row in shipped_table("cpus")["ram"]}


def what_to_state(machine: Machine) -> str | None:
    """What beside the words that a machine was described with tells most of its bandwidth, as
    something to do; None where it was not described in words, or nothing is left to tell.
    """
    name = machine.cpu_model or ""
    is_described = machine.sources.get("memory_total_bytes", "").startswith('"')
    if machine.scope != "host" or not is_described:
        return None
    series = _series_of(machine)
    if name and (series is None or series.is_a_generation):
        return f"name its processor (--machine '… {cpus.example_of(name)}')"
    channels = _channels_of(machine, None)
    if _has_its_own(machine) or channels is None:
        return None
    if series is not None and (series.lacks_avx2 or series.has_one_rate or cpus.count_of(name) > 1):
        return None
    kind = _kind_and_rate(channels, "slots" if series is None else series.memory)
    return f"state the rate of its RAM (--machine '… {kind}')"


def _kind_and_rate(channels: _Channels, memory_sits: str) -> str:
    """The RAM that a processor with such channels usually has, as a description states it:
    `ddr5-5200`. Where nothing tells it, a common one.
    """
    if channels.mts is None:
        return "ddr4-3200"
    usual, rates = channels.mts[1], _rates_of_kind()

    def distance(kind: str) -> float:
        slowest, fastest = rates[kind]
        return max(slowest / usual, usual / fastest, 1)

    # of kinds that have the rate alike, modules come before what is soldered
    kinds = [kind for kind in rates if memory_sits != "slots" or not kind.startswith("lp")]
    return f"{min(kinds, key=distance)}-{usual}"
