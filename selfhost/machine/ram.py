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
    mts, channels, sticks = (stated.get(name) for name in ("mts", "channels", "sticks"))
    is_stated = kind or mts or channels or sticks
    if not is_stated or machine.scope != "host" or _has_its_own(machine):
        return machine, None
    count, bits, rates = _channels_of(machine, channels)
    rate = _rate_of(kind, mts, rates, is_server=cpus.is_server(machine.cpu_model or ""))
    if not count or rate is None:
        note = f"{(kind or 'RAM').upper()} is left aside: it fits no such processor."
        return machine, note if kind or mts else None
    used = min(count, channels or count)
    if sticks and bits == 64:
        used = min(used, max(1, sticks // cpus.count_of(machine.cpu_model or "")))
    series = _series_of(machine)
    has_kinds = series is not None and series.slowest < series.fastest
    is_usual = used == count and rates is not None and rate == rates[1]
    # of two channels, one may be taken to be empty
    tells_both = count == 2 and (sticks or channels) is not None
    if is_usual and not (mts or tells_both or (kind and has_kinds)):
        return machine, None
    how = None if mts or kind else RATE_ASSUMED
    is_filled = channels or sticks or (kind or "").startswith("lp")
    if how is None and used == 2 and not is_filled:
        how = FILLED_ASSUMED
    bandwidth = used * bits // 8 * rate * units.MB
    what = f"{used} channel{'s' * (used > 1)} of {(kind or 'RAM').upper()}-{rate}"
    machine = machine.with_bandwidth(
        bandwidth,
        f"{what}, as its description says",
        how=how,
        assumed=tuple(fact for fact in machine.assumed if fact != _BANDWIDTH or not mts),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


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
