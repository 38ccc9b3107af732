"""How fast a GPU decodes: reading weights and context at a share of the memory's peak, or unpacking
the weights where that takes longer, and launching each layer.

The constants are rows of `specs/common/gpus.toml` (`pace`), fitted on published runs.
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...machine import gpus
from ...machine.chips import AppleChip
from ...machine.record import Accelerator
from ...machine.virtual_gpus import virtual_gpu
from ..ranges import Range, product
from .step import Step

# the ends of a program of which no run was seen on such GPUs, as shares of the likely pace: a guess
_FOREIGN = gpus.OwnPace(program="", slow=0.5, likely=1.0, fast=1.7, runs=0)
# weights are read at no more than this of the peak: the highest of dense models was 0.89
_MOST_OF_PEAK = 0.95
# layers with experts, or that attend to sound too, launch about twice the operations: 30 to 34,
# where dense ones launch 17
_LARGE_LAYER = 1.8


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


class Gpu(Record):
    """A GPU as far as decoding needs it. `unpacks_per_second`: bytes of packed weights,
    `few_bits_per_second`: weights in one to three bits, in planes and looked up, None where no such
    bound is known; `host`: what it loses beside its processor.
    """

    name: str
    peak: Peak
    pace: gpus.Pace
    unpacks_per_second: float | None = None
    few_bits_per_second: tuple[float, float] | None = None
    host: gpus.HostShares | None = None

    def own_pace(self, program: str | None) -> gpus.OwnPace | None:
        """What that program reaches on such GPUs; None where no run of it was seen."""
        return next((own for own in self.pace.programs if own.program == program), None)

    def packed_per_second(self, peak: float, step: Step) -> float:
        """Bytes of packed weights read with that peak: bound by the memory or by unpacking them,
        which other programs do with kernels of their own.
        """
        by_memory = peak * self.pace.share
        if self.unpacks_per_second is None or step.foreign is not None:
            return by_memory
        return min(by_memory, self.unpacks_per_second)

    def seconds(self, step: Step, share: float = 1.0) -> Range:
        """Of one step, or of a share of every layer: slow end, likely, fast end."""
        peaks = self.peak.slow, self.peak.likely, self.peak.fast
        slow, usual, fast = self._ends(step)
        parts = slow, usual, fast
        read = [share * self._read_seconds(peak, step) for peak in peaks]
        if step.launched_layers is not None:
            launched = product(step.launched_layers, self.pace.python_layer_seconds)
            taken = [max(a / part, b) for a, b, part in zip(read, launched, parts, strict=True)]
        else:
            launching = self._launched_seconds(step)
            taken = [(each + launching) / part for each, part in zip(read, parts, strict=True)]
        if self.host is not None:
            shares = self.host.slow, self.host.likely, self.host.fast
            taken = [each / left for each, left in zip(taken, shares, strict=True)]
        # no run reads faster than the memory gives
        least = share * step.weights_bytes / (self.peak.fast * _MOST_OF_PEAK)
        return taken[0], taken[1], max(taken[2], least)

    def _read_seconds(self, peak: float, step: Step) -> float:
        by_memory = peak * self.pace.share
        few, in_planes, looked_up = step.few_bits
        taken = (step.packed_bytes - few) / self.packed_per_second(peak, step)
        taken += (step.weights_bytes - step.packed_bytes + step.cache_bytes) / by_memory
        if self.few_bits_per_second is None or step.foreign is not None:
            return taken + few / by_memory
        planes_rate, looked_up_rate = self.few_bits_per_second
        unpacking = in_planes / planes_rate + looked_up / looked_up_rate
        return taken + max(few / by_memory, unpacking)

    def _launched_seconds(self, step: Step) -> float:
        """What launching the layers takes, as a graph of the program's own or one by one."""
        if step.replays and step.layers:
            replay = self.pace.replay
            return replay.step_seconds + step.layers * replay.layer_seconds
        each = self.pace.layer_seconds * (_LARGE_LAYER if step.has_large_layers else 1.0)
        return step.layers * each

    def _ends(self, step: Step) -> Range:
        """What is reached of the likely pace: wider for a program or a model that is known less."""
        pace = self.pace
        usual = pace.slow, 1.0, pace.fast
        replays = step.replays and step.layers
        is_seen = bool(pace.replay.devices) if replays else not step.is_vague
        if is_seen or step.launched_layers is not None:
            return usual
        own = None if step.lacks_layers or replays else self.own_pace(step.foreign)
        if own is not None:
            return own.slow, own.likely, own.fast
        return min(pace.slow, _FOREIGN.slow), 1.0, max(pace.fast, _FOREIGN.fast)


# an audit asks the cards of a fleet's kinds in turn
@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator) -> Gpu | None:
    """What is known of an accelerator's pace; None where neither its name nor its memory tells
    how fast it reads.
    """
    bytes_per_second = device_bandwidth(device)
    if bytes_per_second is None:
        peak = _peak_by_class(device)
    else:
        peak = _in_turns(device.name, bytes_per_second) or Peak.exactly(bytes_per_second)
    return None if peak is None else gpu_with(device, peak)


def _in_turns(name: str, bytes_per_second: float) -> Peak | None:
    """What a vGPU has of a memory that gives so much, from when as many others as fit on its card
    compute all the time to when none does; None of any other GPU.
    """
    virtual = virtual_gpu(name)
    if virtual is None or not virtual.takes_turns:
        return None
    least = bytes_per_second * virtual.share
    return Peak(
        slow=least,
        likely=(least * bytes_per_second) ** 0.5,
        fast=bytes_per_second,
        how=f"a guess: other virtual machines may take turns on its {virtual.card}",
    )


def gpu_with(device: Accelerator, peak: Peak, chip: AppleChip | None = None) -> Gpu:
    """The same with a peak that is known otherwise, and the Apple chip that it is part of."""
    pace = pace_of_device(device)
    unpacks = few_bits = None
    cycles = gpus.cycles_per_second(device.name) if chip is None else chip.gpu_cycles_per_second
    if chip is not None and chip.unpacked_gb_per_s is not None:
        unpacks = chip.unpacked_gb_per_s[0] * units.GB
    elif cycles is not None and pace.unpacked_per_cycle is not None:
        unpacks = cycles * pace.unpacked_per_cycle
    if cycles is not None and pace.weights_per_cycle is not None:
        planes, looked_up = pace.weights_per_cycle
        few_bits = cycles * planes, cycles * looked_up
    return Gpu(
        name=device.name,
        peak=peak,
        pace=pace,
        unpacks_per_second=unpacks,
        few_bits_per_second=few_bits,
    )


@lru_cache(maxsize=4096)
def pace_of_device(device: Accelerator) -> gpus.Pace:
    """How GPUs of its kind compute."""
    return gpus.pace_of(
        device.vendor.lower(),
        bool(device.unified),
        device.compute_capability or gpus.capability_by_name(device.name),
        gpus.has_hbm(device.name),
        gpus.generation_of(device.name),
    )


_peak_gb_per_s = lru_cache(maxsize=1024)(gpus.peak_gb_per_s)


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second of an accelerator's memory: as its driver tells, else by its name;
    None where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = _peak_gb_per_s(device.name, None if total is None else int(total))
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
    low, high = (end * units.GB for end in ends)
    gib = round(device.memory_total_bytes / units.GIB)
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    return Peak(
        slow=low,
        likely=(low * high) ** 0.5,
        fast=high,
        how=f"a guess by {makers} cards with {gib} GiB",
    )
