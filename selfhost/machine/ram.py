"""The memory bandwidth that follows of a processor's channels and of what is stated of the RAM:
`32gb ddr5-6000`, `quad channel`, `2x16gb`.
"""

from __future__ import annotations

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
    mts = None if channels is None else _rate_of(ram, channels)
    if channels is None or mts is None:
        return machine, _left_aside(ram)
    used = min(channels.count, ram.channels or channels.count)
    if ram.sticks and channels.bits == 64:
        used = min(used, max(1, ram.sticks // cpus.count_of(machine.cpu_model or "")))
    if _is_assumed_anyway(ram, channels, used, mts):
        return machine, None
    bandwidth = used * channels.bits // 8 * mts * units.MB
    what = f"{used} channel{'s' * (used > 1)} of {(ram.kind or 'RAM').upper()}-{mts}"
    machine = machine.with_bandwidth(
        bandwidth,
        f"{what}, as its description says",
        how=_how_known(ram, used),
        assumed=tuple(fact for fact in machine.assumed if fact != _BANDWIDTH or not ram.mts),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _left_aside(ram: StatedRam) -> str | None:
    """The note on RAM that the processor does not take; None where only its modules are told."""
    if ram.kind is None and ram.mts is None:
        return None
    name = ram.kind or "RAM"
    name += f" at {ram.mts} MT/s" if ram.mts else ""
    return f"{name} is left aside: it fits no such processor."


def _is_assumed_anyway(ram: StatedRam, channels: _Channels, used: int, mts: int) -> bool:
    """Whether a machine of which nothing is said of the RAM is judged with the same."""
    is_usual = used == channels.count and channels.mts is not None and mts == channels.mts[1]
    # of two channels, one may be taken to be empty
    tells_both = channels.count == 2 and (ram.sticks or ram.channels) is not None
    return is_usual and not (ram.mts or tells_both or (ram.kind and channels.has_kinds))


def _how_known(ram: StatedRam, used_channels: int) -> str | None:
    """What of it is assumed: one of `record.HOWS`."""
    if not ram.mts and not ram.kind:
        return RATE_ASSUMED
    tells_filled = ram.channels or ram.sticks or (ram.kind or "").startswith("lp")
    return FILLED_ASSUMED if used_channels == 2 and not tells_filled else None


def _series_of(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    inside = (cpus.processor_with(card.name) for card in machine.accelerators or () if card.unified)
    return cpus.processor_of(machine.cpu_model or "") or next(filter(None, inside), None)


def _has_its_own(machine: Machine) -> bool:
    """Whether its memory is sold with its chip, behind a front-side bus, or known and of no series
    that is listed.
    """
    series = _series_of(machine)
    if soldered_chip(words_of(machine.cpu_model or "")) or (series and series.memory == "bus"):
        return True
    is_soldered = series is None or series.memory == "soldered"
    return machine.memory_bandwidth_bytes_per_second is not None and is_soldered


def _channels_of(machine: Machine, stated: int | None) -> _Channels | None:
    """Those of the series, else as many as stated, else those of the class or of the computer that
    its cards sit in; None where nothing tells them.
    """
    series = _series_of(machine)
    is_named = machine.cpu_model is not None or stated is not None
    memory = series or (None if is_named else gpus.computer_of(machine))
    if memory is None:
        around = cpus.class_of(machine.cpu_model or "")
        count = stated or (around and around.channels)
        return _Channels(count=count) if count else None
    bits = series.bits if series else 64
    slowest, usual, fastest = (
        round(rate * 8 / bits / memory.channels / units.MB)
        for rate in (memory.least, memory.usual, memory.most)
    )
    return _Channels(
        count=memory.channels,
        bits=bits,
        mts=(slowest, usual, fastest),
        is_server=series is not None and series.kind == "server",
        has_kinds=series is not None and series.slowest < series.fastest,
    )


def _rate_of(ram: StatedRam, channels: _Channels) -> int | None:
    """The rate that is stated, of servers no more than the processor takes; else of the kind the
    one nearest to what is usual, the slowest where only the class is known. None where the
    processor takes no such memory.
    """
    kinds = {row["kind"]: row["mts"] for row in shipped_table("cpus")["ram"]}
    kind = kinds.get(ram.kind or "")
    if channels.mts is None:
        return ram.mts or (kind and kind[0])
    slowest, usual, fastest = channels.mts
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600
    if kind is not None and not (kind[0] <= _NEAR * fastest and slowest <= _NEAR * kind[1]):
        return None
    if ram.mts is None:
        mts = usual if kind is None else max(kind[0], min(usual, kind[1]))
        return max(slowest, min(mts, fastest))
    if channels.is_server:
        return min(ram.mts, fastest)
    least, most = _RATES_BESIDE
    return ram.mts if least * slowest <= ram.mts <= most * fastest else None


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
        return "name its processor (--machine '… i7-12700h')"
    if _has_its_own(machine) or (series and (series.lacks_avx2 or series.has_one_rate)):
        return None
    return "state the bandwidth of its RAM (--set bandwidth=…GB/s)"
