"""How fast a machine's processor reads its memory while a model decodes, as a range: measured on it
or stated, else told by counted guests of clouds, the name of the processor or its chip, the cards
beside it, or its class.
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...machine import cpus, gpus
from ...machine.record import AT_LEAST, FILLED_ASSUMED, RATE_ASSUMED, Machine
from ..ranges import Range, scaled
from .engine import constant
from .processor import (
    ANY_APPLE,
    GUEST_SHARE,
    chip_in,
    chip_of,
    core_and_clock,
    has_sockets,
    has_whole_processor,
    is_amd,
    is_client,
    is_client_by_class,
    is_guest,
    is_server,
    kind_of,
    named_processor,
    on_apple_gpu,
    part_of_socket,
    sockets_of,
    threads_of,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ...machine.gpus import Computer

_GB = units.GB
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
# A figure that somebody states is mostly the peak of the memory. Processors reached 0.26 of it (M2
# Ultra, 24 cores) to 0.67 (Core i9-13900K), Apple's GPUs 0.53 to 0.80
_STATED_SHARE = (0.3, 0.6, 1.0)
# for each GB/s that one core was seen to read beside the others, which share it has of what a core
# of Zen 5 gets through (`DecodeKind.cores`), slow end, likely, fast end: 0.022 of a guest on
# Emerald Rapids that reads 13.7, 0.028 to 0.037 of the Zen 5 itself
_SHARE_OF_A_READ = (0.02, 0.024, 0.036)
# measured with at most 16 threads; all cores of a larger machine may read more
_MORE_CORES, _MEASURED_WITH_CORES = 1.6, 16
# what memory of a laptop or desktop with graphics gives at most, which its graphics read: two
# channels of DDR3-1600 or one of DDR4-3200, and LPDDR5X-8533 on 128 bits
CLIENT_PEAKS = (25.6 * _GB, 136 * _GB)
# One core of a current server reads 42 GB/s (measured, Zen 5)
_CORE_HIGH = 50 * _GB
# what several sockets read, beside what one gives: slow end, likely, and of each at the fast end.
# 18 runs on eight machines of two read 0.68 to 1.9 of what one is told, 0.93 at the median
# (tests/truth/speed_processors.json, speed_processors_later.json)
ACROSS_SOCKETS = (0.5, 0.93, 0.75)
# of a guess by class, beyond its ends
_CLASS_ENDS = (0.8, 1.2)


class Bandwidth(Record):
    """Bytes per second that memory is read at, of which `BANDWIDTH_SHARE` reaches the weights: slow
    end, likely, fast end; `how` is a clause.
    """

    low: float
    likely: float
    high: float
    measured: bool = False
    how: str

    @property
    def ends(self) -> Range:
        return self.low, self.likely, self.high


def _bandwidth(ends: Range, how: str, *, measured: bool = False) -> Bandwidth:
    low, likely, high = ends
    return Bandwidth(low=low, likely=likely, high=high, measured=measured, how=how)


# an audit asks the kinds of machine of a fleet again and again
@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """What memory bandwidth `machine` has to decode with; None where there is nothing to assume
    from: the number of cores was not read, or the processor is emulated.
    """
    if machine.emulated_on is not None:
        return None
    rate = machine.memory_bandwidth_bytes_per_second
    source = machine.sources.get(_BANDWIDTH, "")
    if rate is None:
        return _assumed(machine)
    if source.endswith(AT_LEAST):
        return _at_least(machine, rate)
    return _measured(machine, rate) if source.startswith("measured") else _stated(machine, rate)


def core_shares(machine: Machine, memory: Bandwidth) -> Range:
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
        for share, fastest in zip(_SHARE_OF_A_READ, cpus.decode_kind("zen").cores, strict=True)
    )
    return max(slow, least), max(likely, usual), max(fast, most)


def _rate(bytes_per_second: float) -> str:
    """`40.0 GB/s of memory bandwidth`."""
    return f"{units.decimal(int(bytes_per_second))}/s of memory bandwidth"


# ---------------------------------------------------------------- read, or stated


def _measured(machine: Machine, rate: int) -> Bandwidth:
    low, likely, high = (rate * share for share in kind_of(machine).memory)
    if (machine.cpu_cores_physical or 0) > _MEASURED_WITH_CORES:
        high *= _MORE_CORES
    how = f"{_rate(rate)}, measured"
    if is_guest(machine):
        how += "; its host may give it more or less at another time"
    shares = on_apple_gpu(machine) or any(card.unified for card in machine.accelerators or ())
    chip = chip_of(machine) if shares else None
    if chip is not None and chip[1] > high:
        high = float(chip[1])
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip[1])}/s"
    return _bandwidth((low, likely, high), how, measured=True)


def _at_least(machine: Machine, rate: int) -> Bandwidth:
    """What a busy machine showed is a lower bound: it raises what its name or class tells, and
    lowers none of it, so that nothing fails for it.
    """
    least, usual, most = (rate * share for share in kind_of(machine).memory)
    how = (
        f"at least {_rate(rate)}, read while the machine was busy: --measure narrows it when it is"
        " idle"
    )
    other = _assumed(machine)
    if other is None:
        return _bandwidth((least, most, most), how)
    ends = max(least, other.low), max(usual, other.likely), max(most, other.high)
    return _bandwidth(ends, how)


def _stated(machine: Machine, rate: int) -> Bandwidth:
    """Of memory whose peak somebody states, as a profile or a record does."""
    share, stated = _share_of_stated(machine), f"{_rate(rate)} (stated)"
    if share is not None:
        ends = _read_of_stated(machine, share, rate)
        return _bandwidth(ends, f"{stated}, of which {_part_read(share, ends, rate)}")
    how = f"{stated}; processors reach a third to all of it"
    cores = machine.cpu_cores_usable
    if cores is not None and chip_of(machine) is None and _CORE_HIGH * cores < rate:
        rate = int(_CORE_HIGH * cores)
        how = f"{stated}; {units.cores(cores)} can read at most {units.decimal(rate)}/s"
    return _bandwidth(scaled(_STATED_SHARE, rate), how)


def _share_of_stated(machine: Machine) -> cpus.Share | None:
    """How the processor reads memory whose peak is known; None where nothing tells its kind, and
    for a guest, which has a part of it.
    """
    chip, named, computer = chip_in(machine), named_processor(machine), _computer_of(machine)
    if is_guest(machine) or (chip is not None and chip.kind is None):
        return None
    if chip is not None and chip.kind is not None:
        return cpus.share_of(chip.kind)
    if named is not None:
        return named.share
    if computer is not None:
        return _share_of_kinds(computer)
    return cpus.share_of("client") if is_client(machine) else None


def _read_of_stated(machine: Machine, share: cpus.Share, rate: int) -> Range:
    """What is read of memory with that peak, of which the rate or what is filled may be assumed."""
    series, peak = named_processor(machine), _through_links(machine, rate)
    sockets = 1 if series is None else sockets_of(machine, series)
    cores = _cores_of_socket(machine, sockets)
    source = machine.sources.get(_BANDWIDTH, "")
    ends = _read(share, _Peaks.exactly(peak), cores)
    if series is not None and source.endswith(RATE_ASSUMED):
        ends = _read(series.share, _Peaks.of_series(series, peak / series.usual), cores)
    if series is not None and source.endswith(FILLED_ASSUMED) and _may_have_one_module(machine):
        ends = (_read(share, _Peaks.exactly(peak / 2), cores)[0], *ends[1:])
    return _across_sockets(ends, sockets)


# ---------------------------------------------------------------- by names


class _Peaks(Record):
    """Bytes per second that memory gives at most, with all channels filled: the least and the most
    that are sold, the slowest and the fastest of the kinds that are each as usual, and the likely
    one.
    """

    least: float
    slowest: float
    likely: float
    fastest: float
    most: float

    @classmethod
    def exactly(cls, peak: float) -> _Peaks:
        return cls(least=peak, slowest=peak, likely=peak, fastest=peak, most=peak)

    @classmethod
    def of_series(cls, series: cpus.Processor, part: float = 1.0) -> _Peaks:
        """Of such a part of its channels."""
        return cls(
            least=part * series.least,
            slowest=part * series.slowest,
            likely=part * _likely_peak(series),
            fastest=part * series.fastest,
            most=part * series.most,
        )


def _likely_peak(series: cpus.Processor) -> float:
    """Between the kinds of memory that it takes, where as many have one as the other."""
    return (series.slowest * series.usual) ** 0.5 if series.share.takes_either else series.usual


def _read(share: cpus.Share, peaks: _Peaks, cores: float | None) -> Range:
    """What so many cores read. Of memory and share one is usual where the other is not; what
    reaches the weights is no more than memory gives.
    """
    read = share.read_together
    low = min(share.low * read(peaks.slowest, cores), share.likely * read(peaks.least, cores))
    high = max(share.high * read(peaks.fastest, cores), share.likely * read(peaks.most, cores))
    return low, share.likely * read(peaks.likely, cores), min(high, peaks.most / BANDWIDTH_SHARE)


def _cores_of_socket(machine: Machine, sockets: int = 1) -> float | None:
    """`threads_of` each socket; None of a record that states no cores, whose memory alone bounds
    it.
    """
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    return threads_of(machine) / sockets


def _across_sockets(ends: Range, sockets: int) -> Range:
    """What programs read of so many, beside what one gives."""
    if sockets == 1:
        return ends
    slow, usual, fast_of_each = ACROSS_SOCKETS
    return ends[0] * slow, ends[1] * usual, ends[2] * fast_of_each * sockets


def _part_read(share: cpus.Share, ends: Range, peak: float) -> str:
    """A clause: which part of that peak reaches the weights."""
    return f"decoding gets about {units.percent(BANDWIDTH_SHARE * ends[1] / peak)}, {share.source}"


def _through_links(machine: Machine, rate: float) -> float:
    """What the cores can read of it, where a link of several of them bounds it."""
    chip = chip_in(machine)
    if chip is None or chip.link is None:
        return rate
    cores, gb_per_s = chip.link
    physical = machine.cpu_cores_physical or machine.cpu_cores_usable
    links = 1 if physical is None else max(1, -(-int(physical) // cores))
    return min(rate, links * gb_per_s * _GB)


def _assumed(machine: Machine) -> Bandwidth | None:
    """What nobody read: the first that tells."""
    return (
        _by_guests(machine)
        or _by_series(machine)
        or _by_chip(machine)
        or _around_cards(machine)
        or _by_class(machine)
    )


def _by_guests(machine: Machine) -> Bandwidth | None:
    """What virtual machines with as many such cores reached; None where it is none of those that
    were counted.
    """
    cores = machine.cpu_cores_usable
    if cores is None or not is_guest(machine) or not _is_on_server(machine):
        return None
    maker_known = cpus.maker_of(machine.cpu_model or "") is not None
    guests = cpus.guests_with(
        core_and_clock(machine)[0],
        is_amd=is_amd(machine) if maker_known else None,
        cores=threads_of(machine),
    )
    if guests is None:
        return None
    ends, types = guests
    low, high = (units.decimal(int(end)) for end in (ends[0], ends[2]))
    how = (
        f"{types} virtual machines of clouds with about as many such cores read {low}/s to {high}/s"
        " of memory; this one was not measured"
    )
    return _bandwidth(ends, how)


def _is_on_server(machine: Machine) -> bool:
    """Whether a guest runs on a server, as far as anything tells."""
    series = named_processor(machine)
    if series is not None:
        return series.kind == "server"
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    is_model = any(map(str.isdecimal, machine.cpu_model or ""))
    is_emulated_name = machine.scope == "vm" and machine.architecture == "x86_64"
    return is_server(machine) or (is_emulated_name and not is_model)


def _by_series(machine: Machine) -> Bandwidth | None:
    """What runs on processors of that name reached; None where the name does not tell."""
    series = named_processor(machine)
    if series is None:
        return None
    low, likely, high = _read_of_series(machine, series)
    if machine.cpu_cores_usable is not None:
        # a quota stops what is read as it stops what is computed
        high = min(high, _CORE_HIGH * machine.cpu_cores_usable)
    ends = low, likely, high
    how = (
        f"a processor of the series {series.name} reads up to"
        f" {units.decimal(int(series.usual))}/s with every memory channel filled;"
        f" {_part_read(series.share, ends, _likely_peak(series))}{_which_part(machine, series)};"
        f" {_what_narrows(machine)}"
    )
    return _bandwidth(ends, how)


def _read_of_series(machine: Machine, series: cpus.Processor) -> Range:
    """Bytes per second of its sockets, or of a guest's part of one."""
    peaks = _Peaks.of_series(series)
    if is_guest(machine) and not has_whole_processor(machine):
        cores = float(series.cores) if series.cores else _cores_of_socket(machine)
        low, likely, high = _read(series.share, peaks, cores)
        part = part_of_socket(machine, series)
        if part is None:
            return low * GUEST_SHARE, likely, high
        # neighbours leave more than the fair share and take some of what is free: 0.5 and 0.4 of a
        # socket got 0.71 and 0.63 of its pace
        return low * part**0.75, likely * part**0.5, high * part**0.25
    sockets = sockets_of(machine, series)
    cores = _cores_of_socket(machine, sockets)
    low, likely, high = _read(series.share, peaks, cores)
    if _may_have_one_module(machine):
        low = _read(series.share, _Peaks.of_series(series, 0.5), cores)[0]
    return _across_sockets((low, likely, high), sockets)


def _may_have_one_module(machine: Machine) -> bool:
    """Whether half of its channels may be empty: of a computer whose RAM is little, or not told."""
    series = named_processor(machine)
    if series is None or is_guest(machine) or machine.memory_total_bytes is None:
        return False
    is_assumed = machine.assumes("memory_total_bytes")
    return series.may_have_one_module(None if is_assumed else machine.memory_total_bytes)


def _which_part(machine: Machine, series: cpus.Processor) -> str:
    """What the pace is told of, where it is not one processor for itself."""
    part = part_of_socket(machine, series) if is_guest(machine) else None
    if part is not None and part < 1:
        return f", and this guest has {units.cores(machine.cpu_cores_usable or 0)} of it"
    if has_sockets(machine):
        return ", and programs that ignore NUMA nodes get one socket's"
    return "" if series.channels == 1 else ", about half as much with half the channels"


def _what_narrows(machine: Machine) -> str:
    """How to have a narrower range: what was named cannot be measured here."""
    from ...machine.ram import what_to_state

    is_elsewhere = machine.planning and not machine.is_this_one
    fact = what_to_state(machine) if is_elsewhere else None
    return "--measure narrows it" if fact is None else f"{fact} for a narrower range"


def _by_chip(machine: Machine) -> Bandwidth | None:
    """What the cores read of memory that is soldered beside them; None where the chip's name does
    not tell, and for a guest.
    """
    chip = chip_in(machine)
    if chip is None or chip.kind is None or is_guest(machine):
        return None
    share, peak = cpus.share_of(chip.kind), chip.gb_per_s * _GB
    read = _through_links(machine, peak)
    ends = _read(share, _Peaks.exactly(read), _cores_of_socket(machine))
    bound = "" if read == peak else f", of which its cores can read {units.decimal(int(read))}/s"
    how = f"{chip.name} has {_rate(peak)}{bound}; {_part_read(share, ends, read)}"
    return _bandwidth(ends, f"{how}; {_what_narrows(machine)}")


def _computer_of(machine: Machine) -> Computer | None:
    """The kind of computer, by its cards; None where it may be a server or a guest."""
    if not is_client_by_class(machine) or machine.emulated_on is not None:
        return None
    return gpus.computer_of(machine)


def _share_of_kinds(computer: Computer) -> cpus.Share:
    """Of cores that may be of any of its kinds."""
    return cpus.joint_share([share for kind in computer.kinds for share in cpus.shares_of(kind)])


def _around_cards(machine: Machine) -> Bandwidth | None:
    """What a computer with such cards reads, or one whose processor is assumed; None where its
    cards do not tell.
    """
    computer = _computer_of(machine)
    if computer is None and "cpu_model" in machine.assumed and is_client_by_class(machine):
        computer = gpus.unnamed_computer()
    if computer is None:
        return None
    # it may be slow in both: little is known of it
    peaks = _Peaks.exactly(computer.usual).replace(
        least=computer.least, slowest=computer.least, most=computer.most
    )
    share = _share_of_kinds(computer)
    ends = _read(share, peaks, _cores_of_socket(machine))
    low, high = (units.decimal(int(end)) for end in (computer.least, computer.most))
    how = (
        f"a guess: {computer.name} like this has {low}/s to {high}/s of memory bandwidth, of which"
        f" {_part_read(share, ends, computer.usual)}"
    )
    return _bandwidth(ends, how)


# ---------------------------------------------------------------- by class


def _by_class(machine: Machine) -> Bandwidth | None:
    """What a machine of its class may read; None where its cores are unread."""
    guess = chip_of(machine) or _class_of(machine)
    if guess is None:
        return None
    low, high, what = guess
    beyond_low, beyond_high = _CLASS_ENDS
    # no run reads more than a memory gives whose peak is known
    is_known = chip_of(machine) is not None and what != ANY_APPLE
    most = high if is_known else high * beyond_high
    how = (
        f"a guess: {units.decimal(low)}/s to {units.decimal(high)}/s of memory bandwidth ({what}),"
        " not measured"
    )
    ends = (low * beyond_low, _usual_of_class(machine) or (low * high) ** 0.5, most)
    if is_server(machine) and not is_guest(machine) and cpus.count_of(machine.cpu_model or "") > 1:
        slow, usual, _ = ACROSS_SOCKETS
        ends = ends[0] * slow, ends[1] * usual, most
    return _bandwidth(ends, how)


def _usual_of_class(machine: Machine) -> float | None:
    """What most machines of its class read; None for a guest, and where its class does not tell."""
    usual = None if is_guest(machine) else cpus.usual_of_class(machine.cpu_model or "")
    if usual is None:
        return None
    gb_per_s, share = usual
    return share.likely * share.read_together(gb_per_s * _GB, _cores_of_socket(machine))


def _row_of_class(machine: Machine) -> Any:
    """The row of `memory` in `specs/common/pace.toml`."""
    sets, rows = machine.instruction_sets, constant("memory")
    if is_server(machine):
        return rows["server"]
    if is_guest(machine):
        return rows[machine.scope]
    if machine.architecture in ("aarch64", "armv7l", "armv6l"):
        return rows["arm"]
    if machine.architecture == "x86_64" and sets is not None and "avx2" not in sets:
        return rows["old"]
    return rows.get(machine.architecture or "", rows["other"])


def _class_of(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a machine of this class may have, low and high, and the class as a
    clause; None where its cores are unread.
    """
    cores, rows = machine.cpu_cores_usable, constant("memory")
    if cores is None:
        return None
    row = _row_of_class(machine)
    (least_of_core, most_of_core), (least, most) = row["core"], row["all"]
    if machine.instruction_sets is None and row is rows["x86_64"]:
        least = rows["old"]["all"][0]
    if row is not rows["server"] and is_client(machine):
        most = min(most, CLIENT_PEAKS[1] / _GB)
    low, high = min(least_of_core * cores, least), min(most_of_core * cores, most)
    what = f"{units.cores(cores)} of {row['called']}"
    slowest, fastest = cpus.ends_of_class(machine.cpu_model or "")
    if fastest is not None:
        high, what = min(high, fastest), f"{what}, of a series that is no longer made"
    slowest = slowest or fastest
    return int((low if slowest is None else min(low, slowest)) * _GB), int(high * _GB), what
