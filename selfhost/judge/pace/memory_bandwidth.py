"""How fast a machine's processor reads its memory while a model decodes, as a range: measured on it
or stated, else told by counted guests of clouds, the name of the processor or its chip, the cards
beside it, or its class.
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...machine import cpus, gpus
from ...machine.record import BRIEFLY, FILLED_ASSUMED, RATE_ASSUMED, Machine
from ..ranges import Range
from .processor import (
    ANY_APPLE,
    GUEST_SHARE,
    chip_in,
    chip_of,
    core_and_clock,
    has_all_of_it,
    has_sockets,
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


def _bandwidth(ends: Range, how: str, *, measured: bool = False) -> Bandwidth:
    low, likely, high = ends
    return Bandwidth(low=low, likely=likely, high=high, measured=measured, how=how)


# an audit asks the kinds of machine of a fleet in turn
@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """What memory bandwidth `machine` has to decode with; None where there is nothing to assume
    from: the number of cores was not read, or the processor is emulated.
    """
    if machine.emulated_on is not None:
        return None
    bytes_per_second = machine.memory_bandwidth_bytes_per_second
    if bytes_per_second is None:
        return _assumed(machine)
    if machine.memory_bandwidth_bound is not None:
        return _at_least(machine, bytes_per_second)
    if machine.is_bandwidth_measured:
        return _measured(machine, bytes_per_second)
    return _stated(machine, bytes_per_second)


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


def _measured(machine: Machine, bytes_per_second: int) -> Bandwidth:
    low, likely, high = (bytes_per_second * share for share in kind_of(machine).memory)
    if (machine.cpu_cores_physical or 0) > _MEASURED_WITH_CORES:
        high *= _MORE_CORES
    moment = " at present" if machine.memory_bandwidth_how == BRIEFLY else ""
    how = f"{_rate(bytes_per_second)}, measured{moment}"
    if is_guest(machine):
        how += "; its host may give it more or less at another time"
    shares = on_apple_gpu(machine) or any(card.unified for card in machine.accelerators or ())
    chip = chip_of(machine) if shares else None
    if chip is not None and chip[1] > high:
        high = float(chip[1])
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip[1])}/s"
    return _bandwidth((low, likely, high), how, measured=True)


def _at_least(machine: Machine, bytes_per_second: int) -> Bandwidth:
    """What a busy machine showed is a lower bound: it raises what its name or class tells, and
    lowers none of it, so that nothing fails for it.
    """
    least, usual, most = (bytes_per_second * share for share in kind_of(machine).memory)
    how = (
        f"at least {_rate(bytes_per_second)}, read while the machine was busy: --measure"
        " narrows it when it is idle"
    )
    other = _assumed(machine)
    if other is None:
        return _bandwidth((least, most, most), how)
    high = max(most, other.high)
    return _bandwidth((max(least, other.low), max(usual, other.likely), high), how)


def _stated(machine: Machine, bytes_per_second: int) -> Bandwidth:
    """Of memory whose peak somebody states, as a profile or a record does."""
    share, stated = _share_of_stated(machine), f"{_rate(bytes_per_second)} (stated)"
    if share is not None:
        ends = _read_of_stated(machine, share, bytes_per_second)
        return _bandwidth(ends, f"{stated}, of which {_gets(share, ends, bytes_per_second)}")
    how = f"{stated}; processors reach a third to all of it"
    cores = machine.cpu_cores_usable
    if cores is not None and chip_of(machine) is None and _CORE_HIGH * cores < bytes_per_second:
        bytes_per_second = int(_CORE_HIGH * cores)
        how = f"{stated}; {units.cores(cores)} can read at most {units.decimal(bytes_per_second)}/s"
    low, likely, high = (bytes_per_second * part for part in _STATED_SHARE)
    return _bandwidth((low, likely, high), how)


def _share_of_stated(machine: Machine) -> cpus.Share | None:
    """How the processor reads memory whose peak is known; None where nothing tells its kind, and
    for a guest, which has a part of it.
    """
    if is_guest(machine):
        return None
    chip = chip_in(machine)
    if chip is not None:
        return None if chip.kind is None else cpus.share_of(chip.kind)
    named = named_processor(machine)
    if named is not None:
        return named.share
    computer = _computer_of(machine)
    if computer is not None:
        return _share_of_kinds(computer)
    return cpus.share_of("client") if is_client(machine) else None


def _read_of_stated(machine: Machine, share: cpus.Share, bytes_per_second: int) -> Range:
    """What is read of memory with that peak, of which the rate or what is filled may be assumed."""
    series, peak = named_processor(machine), _through_links(machine, bytes_per_second)
    sockets = 1 if series is None else sockets_of(machine, series)
    cores = _cores_of_socket(machine, sockets)
    told = machine.memory_bandwidth_how
    ends = _read(share, _Peaks.exactly(peak), cores)
    if series is not None and told == RATE_ASSUMED:
        ends = _read_of_series(series, cores, peak / series.usual)
    if series is not None and told == FILLED_ASSUMED and _may_have_one_module(machine):
        ends = (_read(share, _Peaks.exactly(peak / 2), cores)[0], *ends[1:])
    return _across_sockets(ends, sockets)


def _assumed(machine: Machine) -> Bandwidth | None:
    """What nobody read: the first that tells."""
    return (
        _of_guests(machine)
        or _of_series(machine)
        or _of_chip(machine)
        or _around_cards(machine)
        or _by_class(machine)
    )


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


def _read(share: cpus.Share, peaks: _Peaks, cores: float | None) -> Range:
    """What so many cores read. Of memory and share one is usual where the other is not; what
    reaches the weights is no more than memory gives.
    """
    read = share.read_together
    low = min(share.low * read(peaks.slowest, cores), share.likely * read(peaks.least, cores))
    high = max(share.high * read(peaks.fastest, cores), share.likely * read(peaks.most, cores))
    return low, share.likely * read(peaks.likely, cores), min(high, peaks.most / BANDWIDTH_SHARE)


def _read_of_series(series: cpus.Processor, cores: float | None, part: float = 1.0) -> Range:
    """As `_read`, of memory on such a part of its channels."""
    peaks = _Peaks(
        least=part * series.least,
        slowest=part * series.slowest,
        likely=part * _likely_peak(series),
        fastest=part * series.fastest,
        most=part * series.most,
    )
    return _read(series.share, peaks, cores)


def _likely_peak(series: cpus.Processor) -> float:
    """Between the kinds of memory that it takes, where as many have one as the other."""
    return (series.slowest * series.usual) ** 0.5 if series.share.takes_either else series.usual


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


def _gets(share: cpus.Share, ends: Range, peak: float) -> str:
    """A clause: which part of that peak reaches the weights."""
    return f"decoding gets about {units.percent(BANDWIDTH_SHARE * ends[1] / peak)}, {share.source}"


def _through_links(machine: Machine, bytes_per_second: float) -> float:
    """What the cores can read of it, where a link of several of them bounds it."""
    chip = chip_in(machine)
    if chip is None or chip.link is None:
        return bytes_per_second
    cores, gb_per_s = chip.link
    physical = machine.cpu_cores_physical or machine.cpu_cores_usable
    links = 1 if physical is None else max(1, -(-int(physical) // cores))
    return min(bytes_per_second, links * gb_per_s * _GB)


def _of_chip(machine: Machine) -> Bandwidth | None:
    """What the cores read of memory that is soldered beside them; None where the chip's name does
    not tell, and for a guest.
    """
    chip = chip_in(machine)
    if chip is None or chip.kind is None or is_guest(machine):
        return None
    share, peak = cpus.share_of(chip.kind), chip.gb_per_s * _GB
    read = _through_links(machine, peak)
    bound = "" if read == peak else f", of which its cores can read {units.decimal(int(read))}/s"
    ends = _read(share, _Peaks.exactly(read), _cores_of_socket(machine))
    how = (
        f"{chip.name} has {_rate(peak)}{bound}; {_gets(share, ends, read)};"
        f" {_what_narrows(machine)}"
    )
    return _bandwidth(ends, how)


def _of_series(machine: Machine) -> Bandwidth | None:
    """What runs on processors of that name reached; None where the name does not tell."""
    series = named_processor(machine)
    if series is None:
        return None
    low, likely, high = _read_by(machine, series)
    if machine.cpu_cores_usable is not None:
        # a quota stops what is read as it stops what is computed
        high = min(high, _CORE_HIGH * machine.cpu_cores_usable)
    ends, of_kinds = (low, likely, high), ""
    if series.slowest < series.fastest:
        slowest, fastest = (units.decimal(int(peak)) for peak in (series.slowest, series.fastest))
        of_kinds = (
            f" ({slowest}/s to {fastest}/s by the kind of memory, which its name does not tell)"
        )
    how = (
        f"a processor of the series {series.name} reads up to"
        f" {units.decimal(int(series.usual))}/s with every memory channel filled{of_kinds};"
        f" {_gets(series.share, ends, _likely_peak(series))}"
        f"{_which_part(machine, series)}; {_what_narrows(machine)}"
    )
    return _bandwidth(ends, how)


def _read_by(machine: Machine, series: cpus.Processor) -> Range:
    """Bytes per second of its sockets, or of a guest's part of one."""
    if is_guest(machine) and not has_all_of_it(machine):
        cores = float(series.cores) if series.cores else _cores_of_socket(machine)
        low, likely, high = _read_of_series(series, cores)
        part = part_of_socket(machine, series)
        if part is None:
            return low * GUEST_SHARE, likely, high
        # neighbours leave more than the fair share and take some of what is free: 0.5 and 0.4 of a
        # socket got 0.71 and 0.63 of its pace
        return low * part**0.75, likely * part**0.5, high * part**0.25
    sockets = sockets_of(machine, series)
    of_socket = _cores_of_socket(machine, sockets)
    low, likely, high = _read_of_series(series, of_socket)
    if _may_have_one_module(machine):
        low = _read_of_series(series, of_socket, part=0.5)[0]
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
    if series.channels == 1:
        return ""
    if _may_have_one_module(machine):
        return "; the slow end is that of one module of RAM, on half the channels"
    return ", about half as much with half the channels"


def _what_narrows(machine: Machine) -> str:
    """How to have a narrower range: what was named cannot be measured here."""
    if machine.planning and not machine.is_this_one:
        from ...machine.ram import what_to_state

        fact = what_to_state(machine)
        if fact is not None:
            return f"{fact} for a narrower range"
    return "--measure narrows it"


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
    computer, which = _computer_of(machine), " with such a GPU"
    if computer is None and "cpu_model" in machine.assumed and is_client_by_class(machine):
        computer, which = gpus.unnamed_computer(), ""
    if computer is None:
        return None
    share, usual = _share_of_kinds(computer), computer.usual
    # it may be slow in both: little is known of it
    peaks = _Peaks.exactly(usual).replace(
        least=computer.least, slowest=computer.least, most=computer.most
    )
    ends = _read(share, peaks, _cores_of_socket(machine))
    how = (
        f"a guess: {computer.name}{which} has {units.decimal(int(computer.least))}/s to"
        f" {units.decimal(int(computer.most))}/s of memory bandwidth, of which"
        f" {_gets(share, ends, usual)}"
    )
    return _bandwidth(ends, how)


def _of_guests(machine: Machine) -> Bandwidth | None:
    """What virtual machines with as many such cores reached; None where it is none of those that
    were counted.
    """
    if machine.cpu_cores_usable is None or not _is_counted_guest(machine):
        return None
    maker_known = cpus.maker_of(machine.cpu_model or "") is not None
    guests = cpus.guests_with(
        core_and_clock(machine)[0],
        is_amd=is_amd(machine) if maker_known else None,
        cores=threads_of(machine),
    )
    if guests is None:
        return None
    (low, likely, high), types = guests
    how = (
        f"{types} virtual machines of clouds with about as many such cores read"
        f" {units.decimal(int(low))}/s to {units.decimal(int(high))}/s of memory; this one was not"
        " measured"
    )
    return _bandwidth((low, likely, high), how)


def _is_counted_guest(machine: Machine) -> bool:
    """Whether it is a guest on a server, as far as anything tells."""
    if not is_guest(machine):
        return False
    series = named_processor(machine)
    if series is not None:
        return series.kind == "server"
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    is_model = any(map(str.isdecimal, machine.cpu_model or ""))
    is_emulated_name = machine.scope == "vm" and machine.architecture == "x86_64"
    return is_server(machine) or (is_emulated_name and not is_model)


def _by_class(machine: Machine) -> Bandwidth | None:
    """What a machine of its class may read; None where its cores are unread."""
    chip = chip_of(machine)
    guess = chip if chip is not None else _class_of(machine)
    if guess is None:
        return None
    low, high, what = guess
    beyond_low, beyond_high = _CLASS_ENDS
    # no run reads more than a memory gives whose peak is known
    most = high if chip is not None and what != ANY_APPLE else high * beyond_high
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


class _Class(Record):
    """What a machine of a class reads, GB/s: the least for each core and in all, the most alike."""

    least_of_core: float
    least: float
    most_of_core: float
    most: float
    what: str


# By arithmetic, transfers per second x 8 bytes x channels: two sockets of twelve DDR5-6400 channels
# 1,229, one socket 614; LPDDR5X-8533 on 128 bits 136; DDR3-1866 on four channels 60; a channel of
# DDR3-1600 12.8. A fair share of a crowded cloud host leaves each core 2 (Xeon 8259CL: 2.7); a Core
# 2 Quad got 2.2; a Raspberry Pi 3 has 3.6 at most (LPDDR2-900 on 32 bits); four RISC-V cores 0.48
_CLASSES = {
    "server": _Class(least_of_core=2, least=40, most_of_core=50, most=1229, what="a server"),
    "guest": _Class(least_of_core=2, least=40, most_of_core=50, most=614, what="a guest"),
    "old": _Class(least_of_core=2.5, least=2.5, most_of_core=50, most=60, what="an old computer"),
    "x86_64": _Class(
        least_of_core=12, least=12, most_of_core=50, most=1229, what="a computer of this kind"
    ),
    "arm": _Class(least_of_core=2, least=2, most_of_core=50, most=136, what="a board or laptop"),
    "riscv64": _Class(
        least_of_core=0.5, least=0.5, most_of_core=5, most=1229, what="a RISC-V board"
    ),
    "other": _Class(
        least_of_core=0.5, least=0.5, most_of_core=50, most=1229, what="a computer of this kind"
    ),
}


def _row_of_class(machine: Machine) -> _Class:
    sets = machine.instruction_sets
    if is_server(machine) or is_guest(machine):
        return _CLASSES["server" if is_server(machine) else "guest"]
    if machine.architecture in ("aarch64", "armv7l", "armv6l"):
        return _CLASSES["arm"]
    if machine.architecture == "x86_64" and sets is not None and "avx2" not in sets:
        return _CLASSES["old"]
    return _CLASSES.get(machine.architecture or "", _CLASSES["other"])


def _class_of(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a machine of this class may have, low and high, and the class as a
    clause; None where its cores are unread.
    """
    cores, sets = machine.cpu_cores_usable, machine.instruction_sets
    if cores is None:
        return None
    row = _row_of_class(machine)
    least, most = row.least, row.most
    if sets is None and row is _CLASSES["x86_64"]:
        least = _CLASSES["old"].least
    if row.what != "a server" and is_client(machine):
        most = min(most, CLIENT_PEAKS[1] / _GB)
    low = min(row.least_of_core * cores, least)
    high = min(row.most_of_core * cores, most)
    what = row.what
    if what == "a guest":
        what = "a virtual machine" if machine.scope == "vm" else "a container"
    return _no_more_than_class(machine, low, high, f"{units.cores(cores)} of {what}")


def _no_more_than_class(
    machine: Machine, low: float, high: float, what: str
) -> tuple[int, int, str]:
    """The guess, with no more at the slow end than the slowest of the class has, and of one that is
    no longer made no more than its fastest.
    """
    least, most = cpus.ends_of_class(machine.cpu_model or "")
    if most is not None:
        high, what = min(high, most), f"{what}, of a series that is no longer made"
    slowest = least or most
    return int((low if slowest is None else min(low, slowest)) * _GB), int(high * _GB), what
