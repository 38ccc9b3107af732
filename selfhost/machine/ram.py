"""The memory bandwidth that follows of a processor's channels and of what is stated of the RAM:
`32gb ddr5-6000`, `quad channel`, `2x16gb`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core import units
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


def with_ram(
    machine: Machine, kind: str | None, stated: Mapping[str, int]
) -> tuple[Machine, str | None]:
    """The machine with the bandwidth that its RAM has as a text states it, its kind and the numbers
    `mts`, `channels` and `sticks`, and a note on it; the same and None where nothing is stated that
    is not assumed anyway, or the chip's memory is known.
    """
    mts, channels = stated.get("mts"), stated.get("channels")
    if machine.scope != "host" or _has_its_own(machine):
        return machine, None
    count, bits, rates = _channels_of(machine, channels)
    rate = _rate_of(kind, mts, rates, is_server=cpus.is_server(machine.cpu_model or ""))
    name = (kind or "RAM").upper()
    if not count or rate is None:
        note = f"{name} is left aside: it fits no such processor."
        return machine, note if kind or mts else None
    used = _channels_used(machine, stated, count, bits)
    is_usual = used == count and rates is not None and rate == rates[1]
    if is_usual and not _tells_more(machine, kind, stated, count):
        return machine, None
    bandwidth = used * bits // 8 * rate * units.MB
    what = f"{used} channel{'s' * (used > 1)} of {name}-{rate}"
    machine = machine.with_bandwidth(
        bandwidth,
        f"{what}, as its description says",
        how=_how_known(kind, stated, used),
        assumed=tuple(fact for fact in machine.assumed if fact != _BANDWIDTH or not mts),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _channels_used(machine: Machine, stated: Mapping[str, int], count: int, bits: int) -> int:
    """Of so many channels of a processor those that have a module, as far as it is stated."""
    used = min(count, stated.get("channels", count))
    if "sticks" in stated and bits == 64:
        return min(used, max(1, stated["sticks"] // cpus.count_of(machine.cpu_model or "")))
    return used


def _tells_more(
    machine: Machine, kind: str | None, stated: Mapping[str, int], channels: int
) -> bool:
    """Whether what is stated leaves less open than the usual rate, on all channels, does."""
    series = _series_of(machine)
    # of two channels, one may be taken to be empty
    tells_both = channels == 2 and ("sticks" in stated or "channels" in stated)
    return "mts" in stated or tells_both or bool(kind and series and series.has_kinds)


def _how_known(kind: str | None, stated: Mapping[str, int], used_channels: int) -> str | None:
    """What of it is assumed: one of `record.HOWS`."""
    if not kind and "mts" not in stated:
        return RATE_ASSUMED
    tells_filled = "sticks" in stated or "channels" in stated or (kind or "").startswith("lp")
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


def _channels_of(
    machine: Machine, stated: int | None
) -> tuple[int, int, tuple[int, int, int] | None]:
    """How many, how wide, and their slowest, usual and fastest rate: those of the series, else as
    many as stated, else those of the class or of the computer that its cards sit in; 0 where
    nothing tells them, and None for rates of which the class alone is known.
    """
    series = _series_of(machine)
    is_named = machine.cpu_model is not None or stated is not None
    memory = series or (None if is_named else gpus.computer_of(machine))
    if memory is None:
        around = cpus.class_of(machine.cpu_model or "")
        return stated or (around and around.channels) or 0, 64, None
    bits = series.bits if series else 64
    slowest, usual, fastest = (
        round(rate * 8 / bits / memory.channels / units.MB)
        for rate in (memory.least, memory.usual, memory.most)
    )
    return memory.channels, bits, (slowest, usual, fastest)


def _rate_of(
    kind: str | None, stated: int | None, rates: tuple[int, int, int] | None, *, is_server: bool
) -> int | None:
    """The rate that is stated, of servers no more than the processor takes; else of the kind the
    one nearest to what is usual, the slowest where only the class is known. None where the
    processor takes no such memory.
    """
    rates_of_kind = {row["kind"]: row["mts"] for row in shipped_table("cpus")["ram"]}.get(kind)
    if rates is None:
        return stated or (rates_of_kind and rates_of_kind[0])
    slowest, usual, fastest = rates
    low, high = rates_of_kind or rates[::2]
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600
    if not (low <= _NEAR * fastest and slowest <= _NEAR * high):
        return None
    if stated is None:
        return max(slowest, min(max(low, min(usual, high)), fastest))
    if is_server:
        return min(stated, fastest)
    least, most = _RATES_BESIDE
    return stated if least * slowest <= stated <= most * fastest else None


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
