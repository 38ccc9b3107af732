"""What a GPU gives: the peak of its memory, by its driver, its name or its class, and the engine
that programs make of it (`decode` of `specs/common/pace.toml`).
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...machine import gpus
from ...machine.chips import apple_chip_of
from ...machine.record import Accelerator
from ...machine.words import virtual_gpu
from .engine import SAME, Engine, Range, Step, basis_of, constant, efficiency, scaled, seconds


class Gpu(Record):
    """A GPU as far as decoding needs it: bytes per second of its memory, and where a guess of them
    is from, None where it is no guess. `host`: the architecture of the processor beside it.
    """

    device: Accelerator
    peak: Range
    guessed: str | None = None
    host: str | None = None

    def engine(self, step: Step) -> Engine:
        """What the program of that step makes of it."""
        row = efficiency("decode", self.device, step.program, self.host)
        slow, fast, layer = row["slow"], row["fast"], row["layer_us"]
        if step.architecture is None or (step.foreign and "program" not in row):
            unseen_slow, unseen_fast = constant("unseen")
            slow, fast = min(slow, unseen_slow), max(fast, unseen_fast)
        ends = (slow, 1.0, fast)
        is_python = isinstance(layer, list)
        layers = layer if is_python else [layer / end for end in ends]
        chip = apple_chip_of(words_of(self.device.name))
        cycles = gpus.cycles_per_second(self.device.name)
        cycles = cycles if chip is None else chip.gpu_cycles_per_second
        engine = Engine(
            bandwidth=_times(scaled(self.peak, row["share"]), ends),
            layer_seconds=scaled((layers[0], layers[1], layers[2]), 1e-6),
            overlaps=is_python,
            most_bandwidth=constant("most_of_peak") * self.peak[2],
        )
        if step.foreign or cycles is None or "unpacked_per_cycle" not in row:
            return engine
        return engine.replace(unpacks=scaled(ends, row["unpacked_per_cycle"] * cycles))

    def how(self, step: Step) -> str:
        """What the pace on it rests on, as a clause."""
        row = efficiency("decode", self.device, step.program, self.host)
        rate = f"{units.decimal(int(self.peak[2]))}/s at most"
        if self.guessed is not None:
            ends = [f"{units.decimal(int(end))}/s" for end in (self.peak[0], self.peak[2])]
            rate = f"{' to '.join(ends)}, {self.guessed}"
        return (
            f"{self.device.name} ({rate}); weights are read at {units.percent(row['share'])} of"
            f" that ({basis_of(row)}: {row['called']})"
        )

    def seconds(self, step: Step, share: float = 1.0) -> Range:
        """Of one step, or of a share of every layer."""
        return seconds(step.work(on_gpu=True), self.engine(step), share)


def _times(each: Range, other: Range) -> Range:
    return each[0] * other[0], each[1] * other[1], each[2] * other[2]


def layer_from_python(device: Accelerator) -> Range:
    """Seconds that launching one layer from Python takes."""
    slow, likely, fast = efficiency("decode", device, "python")["layer_us"]
    return scaled((slow, likely, fast), 1e-6)


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """What is known of an accelerator's pace; None where neither its name nor its memory tells
    how fast it reads. A vGPU reads from what it has when as many others as fit on its card compute
    all the time to what the card has.
    """
    rate, virtual = device_bandwidth(device), virtual_gpu(device.name)
    if rate is None:
        return _by_class(device, host)
    if virtual is None or not virtual.takes_turns:
        return Gpu(device=device, peak=scaled(SAME, rate), host=host)
    how = f"a guess: other virtual machines may take turns on its {virtual.card}"
    peak = between(rate * virtual.share, rate)
    return Gpu(device=device, peak=peak, guessed=how, host=host)


def between(slow: float, fast: float) -> Range:
    """A rate of which only the ends are known."""
    return slow, (slow * fast) ** 0.5, fast


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second of an accelerator's memory: as its driver tells, else by its name;
    None where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = gpus.peak_gb_per_s(device.name, None if total is None else int(total))
    return None if peak is None else peak * units.GB


def _by_class(device: Accelerator, host: str | None) -> Gpu | None:
    """From the least to the most of its maker's cards with as much memory; of all makers' where
    its maker is not known.
    """
    if device.unified or not device.memory_total_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(device.memory_total_bytes))
    if ends is None:
        return None
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    how = f"a guess by {makers} cards with {round(device.memory_total_bytes / units.GIB)} GiB"
    peak = between(ends[0] * units.GB, ends[1] * units.GB)
    return Gpu(device=device, peak=peak, guessed=how, host=host)
