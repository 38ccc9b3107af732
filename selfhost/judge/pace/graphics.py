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
from ...machine.roles import virtual_gpu
from .engine import SAME, Engine, Range, Step, basis_of, constant, efficiency, scaled, seconds

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Peak(Record):
    """Bytes per second of a GPU's memory: slow end, likely, fast end. `how` says where a guess is
    from, None where it is no guess.
    """

    slow: float
    likely: float
    fast: float
    how: str | None = None

    @classmethod
    def exactly(cls, bytes_per_second: float) -> Peak:
        """One that is known."""
        return cls(slow=bytes_per_second, likely=bytes_per_second, fast=bytes_per_second)

    @classmethod
    def between(cls, slow: float, fast: float, how: str) -> Peak:
        """One of which only the ends are known."""
        return cls(slow=slow, likely=(slow * fast) ** 0.5, fast=fast, how=how)

    @property
    def text(self) -> str:
        """`936 GB/s at most`; both ends and why where it is not known exactly."""
        rate = units.decimal(int(self.fast))
        if self.how is None:
            return f"{rate}/s at most"
        return f"{units.decimal(int(self.slow))}/s to {rate}/s, {self.how}"


class Gpu(Record):
    """A GPU as far as decoding needs it. `host`: the architecture of the processor beside it."""

    device: Accelerator
    peak: Peak
    host: str | None = None

    @property
    def name(self) -> str:
        return self.device.name

    def engine(self, step: Step) -> Engine:
        """What the program of that step makes of it."""
        row = efficiency("decode", self.device, step.program, self.host)
        peak, (slow, fast) = self.peak, (row["slow"], row["fast"])
        launching = row["layer_us"]
        is_python = isinstance(launching, list)
        if step.architecture is None or (step.foreign and "program" not in row):
            slow, fast = min(slow, constant("unseen")[0]), max(fast, constant("unseen")[1])
        layer = (launching,) * 3 if not is_python else tuple(each for each in launching)
        most = constant("most_of_peak")
        engine = Engine(
            how=(
                f"{self.name} ({peak.text}); weights are read at {units.percent(row['share'])} of"
                f" that ({basis_of(row)}: {row['called']})"
            ),
            bandwidth=scaled((peak.slow, peak.likely, peak.fast), row["share"]),
            step_seconds=scaled(SAME, row.get("step_us", 0.0) / 1e6),
            overlaps=is_python,
            most_bandwidth=most * peak.fast,
        )
        if not step.foreign:
            engine = self._with_unpacking(engine, row)
        if is_python:
            return engine.widened(slow, fast).replace(layer_seconds=scaled(_ends(layer), 1e-6))
        return engine.replace(layer_seconds=scaled(_ends(layer), 1e-6)).widened(slow, fast)

    def _with_unpacking(self, engine: Engine, row: Mapping[str, Any]) -> Engine:
        """With what llama.cpp's kernels unpack of packed weights at most, where such a bound was
        seen.
        """
        chip = apple_chip_of(words_of(self.name))
        cycles = gpus.cycles_per_second(self.name)
        if chip is not None:
            cycles = chip.gpu_cycles_per_second
            if chip.unpacked_gb_per_s is not None:
                engine = engine.replace(unpacks=scaled(SAME, chip.unpacked_gb_per_s[0] * units.GB))
        if cycles is not None and "unpacked_per_cycle" in row:
            engine = engine.replace(unpacks=scaled(SAME, row["unpacked_per_cycle"] * cycles))
        if cycles is not None and "few_per_cycle" in row:
            engine = engine.replace(few_unpacks=scaled(SAME, row["few_per_cycle"] * cycles))
        return engine

    def seconds(self, step: Step, share: float = 1.0) -> Range:
        """Of one step, or of a share of every layer: slow end, likely, fast end."""
        return seconds(step.gpu_work, self.engine(step), share)

    @property
    def more_token(self) -> float:
        """Of a step, what each token more of it takes at least."""
        return float(efficiency("decode", self.device).get("more_token", 0.0))


def _ends(each: tuple[float, ...]) -> Range:
    slow, likely, fast = each
    return slow, likely, fast


def layer_from_python(device: Accelerator) -> Range:
    """Seconds that launching one layer from Python takes: slow end, likely, fast end."""
    return scaled(_ends(tuple(efficiency("decode", device, "python")["layer_us"])), 1e-6)


# an audit asks the cards of a fleet's kinds again and again
@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """What is known of an accelerator's pace; None where neither its name nor its memory tells
    how fast it reads.
    """
    rate = device_bandwidth(device)
    peak = _peak_by_class(device) if rate is None else _peak_of_name(device.name, rate)
    return None if peak is None else Gpu(device=device, peak=peak, host=host)


def _peak_of_name(name: str, rate: float) -> Peak:
    """Of a vGPU from when as many others as fit on its card compute all the time to when none does;
    of any other GPU what its memory gives.
    """
    virtual = virtual_gpu(name)
    if virtual is None or not virtual.takes_turns:
        return Peak.exactly(rate)
    how = f"a guess: other virtual machines may take turns on its {virtual.card}"
    return Peak.between(rate * virtual.share, rate, how)


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second of an accelerator's memory: as its driver tells, else by its name;
    None where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = gpus.peak_gb_per_s(device.name, None if total is None else int(total))
    return None if peak is None else peak * units.GB


def _peak_by_class(device: Accelerator) -> Peak | None:
    """From the least to the most of its maker's cards with as much memory; of all makers' where
    its maker is not known.
    """
    if device.unified or not device.memory_total_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(device.memory_total_bytes))
    if ends is None:
        return None
    gib = round(device.memory_total_bytes / units.GIB)
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    how = f"a guess by {makers} cards with {gib} GiB"
    return Peak.between(ends[0] * units.GB, ends[1] * units.GB, how)
