"""How fast a GPU decodes: reading the weights and the context, and launching the operations.

A step takes the weights at a share of the memory's peak, or at what the multiprocessors unpack
where that is less; each operation of the graph a moment; a filled context a share of the peak. The
constants are rows of `specs/common/gpus.toml` (`pace`), fitted on published runs.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from ..core import units
from ..core.records import Record
from ..machine import gpus
from ..machine.chips import AppleChip
from ..machine.record import Accelerator
from ..machine.virtual_gpus import virtual_gpu
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .ranges import Range

# a program, or on those GPUs one, of which no run was seen: a guess
_FOREIGN_SLOW, _FOREIGN_FAST = 0.5, 1.7
# the weights are read at no more than this of the peak: the highest of dense models was 0.89
_MOST_OF_PEAK = 0.95


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
    """A GPU as far as decoding needs it. `unpacks_per_second`: bytes of packed weights that it
    unpacks, of those whose scales are packed too and of the others; None where no such bound is
    known. `few_bits_per_second`: weights of two and three bits that it unpacks, of those with bits
    in planes and of those that are looked up; None as there. `unpacks_by_program`: the bounds are
    those of the measured program's kernels, and not of others. `host`: what it loses beside its
    processor.
    """

    name: str
    peak: Peak
    pace: gpus.Pace
    unpacks_per_second: tuple[float, float] | None = None
    few_bits_per_second: tuple[float, float] | None = None
    unpacks_by_program: bool = False
    host: gpus.HostShares | None = None

    def beside(self, architecture: str | None, vendor: str) -> Gpu:
        """The same card of that maker beside a processor of that architecture."""
        host = gpus.host_shares(vendor, architecture)
        return self if host is None else self.replace(host=host)

    @cached_property
    def _ends_of_replay(self) -> tuple[float, float]:
        """The ends of the pace of a program that replays a graph, as shares of the likely one."""
        slow, fast = self.pace.slow, self.pace.fast
        if self.pace.replay.devices:
            return slow, fast
        return min(slow, _FOREIGN_SLOW), max(fast, _FOREIGN_FAST)

    def own_pace(self, program: str | None) -> gpus.OwnPace | None:
        """What that program reaches on such GPUs; None where no run of it was seen."""
        return next((own for own in self.pace.programs if own.program == program), None)

    def _ends_of(self, program: str | None) -> tuple[float, float, float]:
        """What a program with kernels of its own, or one that is not named, reaches of the likely
        pace: slow end, likely, fast end.
        """
        own, pace = self.own_pace(program), self.pace
        if own is None:
            return min(pace.slow, _FOREIGN_SLOW), 1.0, max(pace.fast, _FOREIGN_FAST)
        return own.slow, own.likely, own.fast

    @cached_property
    def _on_host(self) -> tuple[float, float, float]:
        host = self.host
        return (1.0, 1.0, 1.0) if host is None else (host.slow, host.likely, host.fast)

    def reads_per_second(self, peak: float, *, foreign: bool = False) -> tuple[float, float]:
        """Bytes of packed weights per second with that peak, of those whose scales are packed too
        and of the others: bound by the memory or by unpacking. `foreign`: by another program.
        """
        by_memory = peak * self.pace.share
        if self.unpacks_per_second is None or (foreign and self.unpacks_by_program):
            return by_memory, by_memory
        nested, other = self.unpacks_per_second
        return min(by_memory, nested), min(by_memory, other)

    def share_of_peak(self, step: Step) -> float:
        """Of the likely peak of its memory, what it reads most packed weights of a step at."""
        peak, few_bit_bytes = self.peak.likely, self._few_bit_bytes(step)
        if 2 * few_bit_bytes > step.packed_bytes:
            by_unpacking = few_bit_bytes / self._few_bit_seconds(step) / peak
            return min(self.pace.share, by_unpacking)
        return self.reads_per_second(peak, foreign=step.foreign is not None)[0] / peak

    def _few_bit_bytes(self, step: Step) -> int:
        """Those that are bound by how many weights it unpacks, not by bytes."""
        is_bound = self.few_bits_per_second is not None
        return 0 if not is_bound or self._has_own_kernels(step) else step.few_bit_bytes

    def _has_own_kernels(self, step: Step) -> bool:
        """Whether the bounds on unpacking are those of another program's kernels."""
        return step.foreign is not None and self.unpacks_by_program

    def _few_bit_seconds(self, step: Step) -> float:
        """What unpacking weights of two and three bits takes."""
        in_planes, looked_up = self.few_bits_per_second or (float("inf"),) * 2
        return step.weights_in_planes / in_planes + step.weights_looked_up / looked_up

    def _seconds(self, peak: float, step: Step, operations: int, share: float) -> float:
        packed, nested = step.packed_bytes, step.nested_bytes
        nested_rate, other_rate = self.reads_per_second(peak, foreign=step.foreign is not None)
        few_bit_bytes = self._few_bit_bytes(step)
        read = (nested - few_bit_bytes) / nested_rate + (packed - nested) / other_rate
        if few_bit_bytes:
            by_memory = few_bit_bytes / (peak * self.pace.share)
            read += max(by_memory, self._few_bit_seconds(step))
        read += (step.weights_bytes - packed) / (peak * self.pace.share)
        read += step.cache_bytes / (peak * self.pace.cache_share)
        return share * read + operations * self.pace.operation_seconds

    def _more_of_plain(self, step: Step) -> float:
        """Seconds more at the slow end for weights in 16 bits, where a program has no kernel for
        them.
        """
        pace = self.pace
        read = (step.weights_bytes - step.packed_bytes) / (self.peak.slow * pace.share)
        return read * (1 / pace.plain_slow - 1 / pace.slow)

    def _replayed(self, step: Step, share: float, sums: list[float]) -> list[float]:
        """As `seconds_of_part`, of a program that replays a graph of its own."""
        peaks = self.peak.slow, self.peak.likely, self.peak.fast
        (slow, fast), replay = self._ends_of_replay, self.pace.replay
        beside = replay.step_seconds + step.layers * replay.layer_seconds
        return [
            (self._seconds(peak, step, 0, share) + beside) / end + summed
            for peak, end, summed in zip(peaks, (slow, 1, fast), sums, strict=True)
        ]

    def _launched_from_python(self, step: Step, layers: Range, share: float) -> list[float]:
        """Seconds to read a share of every layer while Python launches them, the longer of the two:
        slow end, likely, fast end. How many layers a type of weights takes as long as and how fast
        the processor launches one have nothing to do with each other.
        """
        from .ranges import product

        peak, pace = self.peak, self.pace
        read = [
            self._seconds(rate, step, 0, share) / end
            for rate, end in zip(
                (peak.slow, peak.likely, peak.fast), (pace.slow, 1, pace.fast), strict=True
            )
        ]
        launched = product(layers, pace.layer_seconds)
        return [max(ends) for ends in zip(read, launched, strict=True)]

    def seconds(self, step: Step) -> tuple[float, float, float]:
        """Of one step: slow end, likely, fast end."""
        return self.seconds_of_part(step, 1.0, summed=False)

    def seconds_of_part(
        self, step: Step, share: float, *, summed: bool = True
    ) -> tuple[float, float, float]:
        """Of a `share` of every layer, and of adding its parts up: slow end, likely, fast end."""
        layers = step.layers if summed else 0
        sums = [layers * each for each in self.pace.sum_seconds]
        if step.launched_layers is not None:
            ends = self._launched_from_python(step, step.launched_layers, share)
        elif step.replays and step.layers:
            ends = self._replayed(step, share, sums)
        else:
            ends = self._launched_as_graph(step, share, sums)
        slow, likely, fast = (taken / part for taken, part in zip(ends, self._on_host, strict=True))
        # no run reads faster than the memory gives
        least = share * step.weights_bytes / (self.peak.fast * _MOST_OF_PEAK)
        return slow, likely, max(fast, least)

    def _launched_as_graph(self, step: Step, share: float, sums: list[float]) -> list[float]:
        """As `seconds_of_part`, of a program that launches the graph of the step itself."""
        most, likely_operations, fewest = step.operation_counts
        slow = self._seconds(self.peak.slow, step, most, share) / self.pace.slow + sums[0]
        slow += share * self._more_of_plain(step)
        likely = self._seconds(self.peak.likely, step, likely_operations, share) + sums[1]
        fast = self._seconds(self.peak.fast, step, fewest, share) / self.pace.fast + sums[2]
        if step.is_vague:
            ends = self._ends_of(None if step.lacks_layers else step.foreign)
            slow *= self.pace.slow / ends[0]
            likely /= ends[1]
            fast *= self.pace.fast / ends[2]
        return [slow, likely, fast]


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
    pace, cycles = pace_of_device(device, chip)
    unpacks_per_second = few_bits_per_second = None
    if chip is not None and chip.unpacked_gb_per_s is not None:
        nested, other = chip.unpacked_gb_per_s
        unpacks_per_second = nested * units.GB, other * units.GB
    if cycles is not None and pace.unpacked_per_cycle is not None:
        unpacks_per_second = (cycles * pace.unpacked_per_cycle,) * 2
    if cycles is not None and pace.weights_per_cycle is not None:
        in_planes, looked_up = pace.weights_per_cycle
        few_bits_per_second = cycles * in_planes, cycles * looked_up
    return Gpu(
        name=device.name,
        peak=peak,
        pace=pace,
        unpacks_per_second=unpacks_per_second,
        few_bits_per_second=few_bits_per_second,
        unpacks_by_program=chip is None,
    )


def pace_of_device(device: Accelerator, chip: AppleChip | None) -> tuple[gpus.Pace, float | None]:
    """How a GPU, part of that chip, computes, and its cycles per second where its kernels depend on
    them.
    """
    pace, cycles = _pace_of(
        device.vendor.lower(),
        device.name,
        bool(device.unified),
        device.compute_capability,
        chip is not None and chip.joined_dies > 1,
    )
    return pace, cycles if chip is None else chip.gpu_cycles_per_second


# the cards of a fleet have few names
@lru_cache(maxsize=4096)
def _pace_of(
    vendor: str, name: str, unified: bool, capability: str | None, joined: bool
) -> tuple[gpus.Pace, float | None]:
    """As `pace_of_device`; `joined`: it spans several dies."""
    pace = gpus.pace_of(
        vendor,
        unified,
        capability or gpus.capability_by_name(name),
        gpus.has_hbm(name),
        gpus.generation_of(name),
        joined,
    )
    if pace.unpacked_per_cycle is None and pace.weights_per_cycle is None:
        return pace, None
    return pace, gpus.cycles_per_second(name)


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
