"""How fast a machine's processor reads its memory while a model decodes, as a range: measured
here, else as `told_bandwidth` has it.

`speed` says where the figures were measured.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, hypot, log

from ..core import units
from ..core.saying import MEASURE
from ..machine.record import AT_LEAST, Machine, was_at_present
from .processor import FASTEST_CORES, chip_of, is_guest, kind_of, on_apple_gpu, threads_of
from .told_bandwidth import Bandwidth, assumed, not_measured, rate, stated

_GB = units.GB
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# for each GB/s that one core was seen to read beside the others, which share it has of what a core
# of Zen 5 gets through (`ProcessorKind.cores`), slow end, likely, fast end: 0.022 of a guest on
# Emerald Rapids that reads 13.7, 0.028 to 0.037 of the Zen 5 itself
_SHARE_OF_A_READ = (0.02, 0.024, 0.036)
# measured with at most 16 threads; all cores of a larger machine may read more
MORE_CORES = 1.6
MEASURED_WITH_CORES = 16


# an audit asks the kinds of machine of a fleet in turn
@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """What memory bandwidth `machine` has to decode with: measured, stated in its record, shown by
    the chip's name, or assumed.

    None when there is nothing to assume from: the number of cores was not read, or the processor is
    emulated.
    """
    if machine.emulated_on is not None:
        return None
    bytes_per_second = machine.memory_bandwidth_bytes_per_second
    if bytes_per_second is None:
        return assumed(machine)
    source = machine.sources.get(_BANDWIDTH, "")
    if source.endswith(AT_LEAST):
        return _at_least(machine, bytes_per_second)
    if was_at_present(source):
        return _at_present(machine, bytes_per_second)
    if source.startswith("measured"):
        return _measured(machine, bytes_per_second)
    return stated(machine, bytes_per_second)


def core_shares(machine: Machine, memory: Bandwidth) -> tuple[float, float, float]:
    """Of what a core of the processor measured on gets through while a model decodes, what one of
    these does: slow end, likely, fast end. A core that reads much gets through much.
    """
    slow, likely, fast = kind_of(machine).cores
    read = machine.memory_bandwidth_bytes_per_second
    if not memory.measured or read is None:
        return slow, likely, fast
    core_gb_per_s = read / threads_of(machine) / _GB
    # no more than a core of Zen 5, of which its own runs say so
    least, usual, most = (
        min(share * core_gb_per_s, fastest)
        for share, fastest in zip(_SHARE_OF_A_READ, FASTEST_CORES, strict=True)
    )
    return max(slow, least), max(likely, usual), max(fast, most)


def _measured(machine: Machine, bytes_per_second: int) -> Bandwidth:
    low, likely, high = kind_of(machine).memory
    more = MORE_CORES if (machine.cpu_cores_physical or 0) > MEASURED_WITH_CORES else 1.0
    how = f"{rate(bytes_per_second)}, measured{_just_then(machine)}"
    fast = bytes_per_second * high * more
    chip = chip_of(machine) if _shares_memory_with_gpu(machine) else None
    if chip is not None and chip[1] > fast:
        fast = float(chip[1])
        how = f"{how} on the CPU cores; its GPU may use up to {units.decimal(chip[1])}/s"
    return Bandwidth(
        low=bytes_per_second * low,
        likely=bytes_per_second * likely,
        high=fast,
        measured=True,
        how=how,
    )


# what a C program read over what was measured in a moment, 0.9 to 1.2 in nine of ten: 87 times by
# two virtual processors (EPYC) whose memory gave 35 to 69 GB/s, most of them beside other programs,
# ahead of which they ran. Of 19 pairs on Granite Rapids 1.00 to 1.10
_MOMENT_ENDS = (0.9, 1.2)


def _moment_ends(machine: Machine) -> tuple[float, float]:
    """What the ends are of a figure of a moment: how far it is off has nothing to do with how much
    of its memory a program uses.
    """
    low, _, high = kind_of(machine).memory
    least, most = _MOMENT_ENDS
    return exp(-hypot(log(low), log(least))), exp(hypot(log(high), log(most)))


def _at_present(machine: Machine, bytes_per_second: int) -> Bandwidth:
    """Of a quiet machine, past its caches."""
    low, high = _moment_ends(machine)
    return Bandwidth(
        low=bytes_per_second * low,
        likely=bytes_per_second * kind_of(machine).memory[1],
        high=bytes_per_second * high,
        measured=True,
        how=f"{rate(bytes_per_second)} at present{_just_then(machine)}",
    )


def _just_then(machine: Machine) -> str:
    """A clause on a figure of a guest: two processors of a host (EPYC) read 37 or 67 GB/s, for some
    seconds or minutes each.
    """
    return "; its host may give it more or less at another time" if is_guest(machine) else ""


def _at_least(machine: Machine, bytes_per_second: int) -> Bandwidth:
    """What a busy machine showed is a lower bound: it raises what its name or class tells, and
    lowers none of it, so that nothing fails for it.
    """
    low, high = _moment_ends(machine)
    least, most = bytes_per_second * low, bytes_per_second * high
    how = (
        f"at least {rate(bytes_per_second)}, read while the machine was busy: {MEASURE}"
        " narrows it when it is idle"
    )
    unmeasured = assumed(machine)
    if unmeasured is None:
        return not_measured((least, most, most), how)
    from .ranges import within

    high = max(most, unmeasured.high)
    ends = within((unmeasured.low, unmeasured.likely, high), least, high)
    return Bandwidth(
        low=ends[0],
        likely=max(bytes_per_second * kind_of(machine).memory[1], ends[1]),
        high=ends[2],
        measured=False,
        how=how,
        kept_bytes=unmeasured.kept_bytes,
    )


def _shares_memory_with_gpu(machine: Machine) -> bool:
    return on_apple_gpu(machine) or any(device.unified for device in machine.accelerators or ())
