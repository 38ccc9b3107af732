"""How fast a processor reads its memory while a model decodes, where nobody read it here: of
memory that a record states; told by the name of the processor, of its chip or of the cards beside
it; or assumed, as counted types of clouds read it or as a computer of that class may.
"""

from __future__ import annotations

from ..core import units
from ..core.records import Record
from ..machine import cpus
from ..machine.record import FILLED_ASSUMED, RATE_ASSUMED, Machine
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
    named_processor,
    part_of_socket,
    sockets_of,
    threads_of,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..machine.cpus import Ends
    from ..machine.gpus import Computer

_GB = units.GB
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
# A figure that somebody states is mostly the peak of the memory. Processors reached 0.26 of it (M2
# Ultra, 24 cores) to 0.67 (Core i9-13900K), Apple's GPUs 0.53 to 0.80
STATED_SHARE = (0.3, 0.6, 1.0)
# What the caches keep from one token to the next, likely and at most, in their sizes: a Ryzen 7
# 7840HS with 24 MB of them decoded models of 190 to 400 MB as if 24 to 70 MB of each were not read
# from RAM. A core reads the third cache of its own die alone, the largest of which has 96 MB
_KEPT_SHARES, _LARGEST_CACHE = (1.0, 3.0), 96.0
# what memory of a laptop or desktop with graphics gives at most, which its graphics read: two
# channels of DDR3-1600 or one of DDR4-3200, and LPDDR5X-8533 on 128 bits
CLIENT_PEAKS = (25.6 * _GB, 136 * _GB)
# One core of a current server reads 42 GB/s (measured, Zen 5). Memory by arithmetic, transfers per
# second x 8 bytes x channels: two sockets of twelve DDR5-6400 channels 1,229, one socket 614;
# LPDDR5X-8533 on 128 bits 136; DDR3-1866 on four channels 60
_CORE_HIGH, _SOCKETS_HIGH, _SOCKET_HIGH, _CLIENT_HIGH, _OLD_HIGH = (
    50 * _GB,
    1229 * _GB,
    614 * _GB,
    CLIENT_PEAKS[1],
    60 * _GB,
)
# a fair share of a crowded cloud host leaves each core 2 (Xeon 8259CL: 2.7); programs that ignore
# NUMA nodes got 32 out of two Xeons (4 channels of DDR3 each) and 47 out of 192 cores (AmpereOne),
# both with cost other than memory in it
_SHARE_LOW, _SERVER_LOW = 2 * _GB, 40 * _GB
# one channel of DDR3-1600 is 12.8; without AVX2 a Core 2 Quad got 2.2 from its memory; four RISC-V
# cores (P550) 0.48
_CLIENT_LOW, _OLD_LOW, _RISC_V_LOW, _RISC_V_CORE_HIGH = 12 * _GB, int(2.5 * _GB), _GB // 2, 5 * _GB


class Bandwidth(Record):
    """Bytes per second that memory is read at, of which `BANDWIDTH_SHARE` reaches the weights: slow
    end, likely, fast end; `how` is a clause. `kept_bytes`: what the caches keep from one token to
    the next, likely and at the fast end; a measurement on the machine holds it already.
    """

    low: float
    likely: float
    high: float
    measured: bool
    how: str
    kept_bytes: tuple[float, float] = (0.0, 0.0)


def not_measured(ends: Ends, how: str, kept_bytes: tuple[float, float] = (0.0, 0.0)) -> Bandwidth:
    """Of these ends, slow end, likely, fast end; the rest as of `Bandwidth`."""
    low, likely, high = ends
    return Bandwidth(
        low=low, likely=likely, high=high, measured=False, how=how, kept_bytes=kept_bytes
    )


def rate(bytes_per_second: int) -> str:
    """`40.0 GB/s of memory bandwidth`."""
    return f"{units.decimal(bytes_per_second)}/s of memory bandwidth"


def assumed(machine: Machine) -> Bandwidth | None:
    """What nobody read: of a guest what counted ones of that kind read, else what the name of the
    processor, the chip or the cards beside it tells, else what its class may have. None where its
    cores are unread.
    """
    return (
        _of_guests(machine)
        or _named(machine)
        or _of_chip(machine)
        or _around_cards(machine)
        or _by_class(machine)
    )


def stated(machine: Machine, bytes_per_second: int) -> Bandwidth:
    """Of memory whose peak somebody states, as a profile or a record does."""
    series, share = named_processor(machine), _share_of_stated(machine)
    kept_bytes = (0.0, 0.0) if series is None else _kept(series.cache_mb)
    if share is not None:
        # the ends hold the cores already
        ends = _read_of_stated(machine, share, series, bytes_per_second)
        how = f"{rate(bytes_per_second)} (stated), of which {_gets(share, ends, bytes_per_second)}"
        return not_measured(ends, how, kept_bytes)
    how = f"{rate(bytes_per_second)} (stated); processors reach a third to all of it"
    cores = machine.cpu_cores_usable
    if cores is not None and chip_of(machine) is None and _CORE_HIGH * cores < bytes_per_second:
        of_cores = int(_CORE_HIGH * cores)
        how = (
            f"{rate(bytes_per_second)} (stated); {units.cores(cores)} can read at most"
            f" {units.decimal(of_cores)}/s"
        )
        bytes_per_second = of_cores
    low, likely, high = (bytes_per_second * part for part in STATED_SHARE)
    return not_measured((low, likely, high), how, kept_bytes)


def _read_of_stated(
    machine: Machine, share: cpus.Share, series: cpus.Processor | None, bytes_per_second: int
) -> Ends:
    """As `_read_of`, of memory with that peak."""
    peak = _through_links(machine, bytes_per_second)
    sockets = 1 if series is None else sockets_of(machine, series)
    cores = _cores_of_socket_that_read(machine, sockets)
    source = machine.sources.get(_BANDWIDTH, "")
    is_rate_open = source.endswith(RATE_ASSUMED)
    if series is not None and is_rate_open:
        # which part of its channels is filled is stated
        ends = _read_of(share, _peaks_of(series, part=peak / series.usual), cores)
    else:
        ends = _read_of_peak(share, peak, cores)
    is_filled_open = source.endswith(FILLED_ASSUMED)
    if series is not None and is_filled_open and _may_have_one_module(machine, series):
        ends = (_read_of_peak(share, peak / 2, cores)[0], *ends[1:])
    return _across_sockets(ends, sockets)


class _Peaks(Record):
    """Bytes per second that memory gives at most, with all channels filled: the least and the most
    that are sold, the usual figure; the slowest and the fastest of the kinds of memory that are
    each as usual; what a computer likely has of which nothing more is told.
    """

    least: float
    slowest: float
    likely: float
    usual: float
    fastest: float
    most: float


def _read_of(share: cpus.Share, peaks: _Peaks, cores: float | None) -> Ends:
    """As `Bandwidth`, read by so many cores. Of memory and share one is usual where the other is
    not; what reaches the weights is no more than memory gives.
    """
    together = share.read_together
    return (
        min(
            share.low * together(peaks.slowest, cores),
            share.likely * together(peaks.least, cores),
        ),
        share.likely * together(peaks.likely, cores),
        min(
            max(
                share.high * together(peaks.fastest, cores),
                share.likely * together(peaks.most, cores),
            ),
            peaks.most / BANDWIDTH_SHARE,
        ),
    )


def _read_of_peak(share: cpus.Share, peak: float, cores: float | None) -> Ends:
    """As `_read_of`, of memory that is known."""
    peaks = _Peaks(least=peak, slowest=peak, likely=peak, usual=peak, fastest=peak, most=peak)
    return _read_of(share, peaks, cores)


def _cores_of_socket_that_read(machine: Machine, sockets: int = 1) -> float | None:
    """`threads_of` each socket; None of a record that states no cores, whose memory alone bounds
    it.
    """
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    return threads_of(machine) / sockets


def _gets(share: cpus.Share, ends: Ends, peak: float) -> str:
    """A clause: which part of that peak reaches the weights."""
    return f"decoding gets about {units.percent(BANDWIDTH_SHARE * ends[1] / peak)}, {share.source}"


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
        return _share_of_kinds(computer.kinds)
    return cpus.share_of("client") if is_client(machine) else None


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
    share = cpus.share_of(chip.kind)
    peak = chip.gb_per_s * _GB
    read = _through_links(machine, peak)
    bound = "" if read == peak else f", of which its cores can read {units.decimal(int(read))}/s"
    ends = _read_of_peak(share, read, _cores_of_socket_that_read(machine))
    how = (
        f"{chip.name} has {rate(int(peak))}{bound}; {_gets(share, ends, read)};"
        f" {_what_narrows(machine)}"
    )
    return not_measured(ends, how, _kept(chip.cache_mb))


def _named(machine: Machine) -> Bandwidth | None:
    """What runs on processors of that name reached; None where the name does not tell."""
    processor = named_processor(machine)
    if processor is None:
        return None
    ends = _of_machine(machine, processor)
    cores = machine.cpu_cores_usable
    if cores is not None:
        # a quota stops what is read as it stops what is computed
        ends = (ends[0], ends[1], min(ends[2], _CORE_HIGH * cores))
    of_kinds = ""
    if processor.slowest < processor.fastest:
        slowest, fastest = (int(rate) for rate in (processor.slowest, processor.fastest))
        of_kinds = (
            f" ({units.decimal(slowest)}/s to {units.decimal(fastest)}/s by the kind of memory,"
            " which its name does not tell)"
        )
    how = (
        f"a processor of the series {processor.name} reads up to"
        f" {units.decimal(int(processor.usual))}/s with every memory channel filled{of_kinds};"
        f" {_gets(processor.share, ends, _peaks_of(processor).likely)}"
        f"{_which_part(machine, processor)}; {_what_narrows(machine)}"
    )
    return not_measured(ends, how, _kept(processor.cache_mb))


def _what_narrows(machine: Machine) -> str:
    """How to have a narrower range: what was named cannot be measured here."""
    if machine.planning and not machine.is_this_one:
        from ..machine.ram import what_to_state

        fact = what_to_state(machine)
        if fact is not None:
            return f"{fact} for a narrower range"
    return "--measure narrows it"


def _computer_of(machine: Machine) -> Computer | None:
    """The kind of computer, by its cards; None where it may be a server or a guest."""
    if not is_client_by_class(machine) or machine.emulated_on is not None:
        return None
    from ..machine.gpus import computer_of

    return computer_of(machine)


def _share_of_kinds(kinds: tuple[str, ...]) -> cpus.Share:
    """Of cores that may be of any of those kinds."""
    return cpus.joint_share([share for kind in kinds for share in cpus.shares_of(kind)])


def _around_cards(machine: Machine) -> Bandwidth | None:
    """What a computer with such cards reads, or one whose processor is assumed; None where its
    cards do not tell.
    """
    computer, which = _computer_of(machine), " with such a GPU"
    if computer is None and "cpu_model" in machine.assumed and is_client_by_class(machine):
        from ..machine.gpus import unnamed_computer

        computer, which = unnamed_computer(), ""
    if computer is None:
        return None
    share = _share_of_kinds(computer.kinds)
    usual = computer.usual
    # it may be slow in both: little is known of it
    peaks = _Peaks(
        least=computer.least,
        slowest=computer.least,
        likely=usual,
        usual=usual,
        fastest=usual,
        most=computer.most,
    )
    low, likely, high = _read_of(share, peaks, _cores_of_socket_that_read(machine))
    how = (
        f"a guess: {computer.name}{which} has {units.decimal(int(computer.least))}/s to"
        f" {units.decimal(int(computer.most))}/s of memory bandwidth, of which"
        f" {_gets(share, (low, likely, high), usual)}"
    )
    return not_measured((low, likely, high), how)


def _kept(cache_mb: float) -> tuple[float, float]:
    """Bytes that stay in the caches, likely and at most."""
    likely, most = (
        min(share * cache_mb, max(cache_mb, _LARGEST_CACHE)) * units.MB for share in _KEPT_SHARES
    )
    return likely, most


# what several sockets read, beside what one gives: slow end, likely, and of each at the fast end.
# 18 runs on eight machines of two, from X5670 to EPYC 9654, some with --numa distribute, read 0.68
# to 1.9 of what one is told, 0.93 at the median (tests/truth/speed_processors.json,
# speed_processors_later.json). Threads of both that read weights which lie beside one, or cold, got
# half of what one socket gave alone (two Xeon 5218, mozilla-ai/llamafile#765) or both did once they
# were warm (ggml-org/llama.cpp#27986, #11744: 0.49 and 0.56), and 0.7 (two Xeon 4514Y,
# ggml-org/llama.cpp@11b753e7; two Xeon E5-2690 v4 and E5-2698B v3)
ACROSS_SOCKETS = (0.5, 0.93, 0.75)


def _peaks_of(processor: cpus.Processor, part: float = 1.0) -> _Peaks:
    """Of memory on such a part of its channels."""
    is_between = processor.share.takes_either
    likely = (processor.slowest * processor.usual) ** 0.5 if is_between else processor.usual
    return _Peaks(
        least=part * processor.least,
        slowest=part * processor.slowest,
        likely=part * likely,
        usual=part * processor.usual,
        fastest=part * processor.fastest,
        most=part * processor.most,
    )


def _may_have_one_module(machine: Machine, processor: cpus.Processor) -> bool:
    """Whether half of its channels may be empty: of a computer whose RAM is little, or not told."""
    if is_guest(machine) or machine.memory_total_bytes is None:
        return False
    is_assumed = machine.assumes("memory_total_bytes")
    return processor.may_have_one_module(None if is_assumed else machine.memory_total_bytes)


def _of_machine(machine: Machine, processor: cpus.Processor) -> Ends:
    """Bytes per second, slow end, likely, fast end: of its sockets, or of a guest's part of one."""
    if is_guest(machine) and not has_all_of_it(machine):
        return _of_part(machine, processor)
    sockets = sockets_of(machine, processor)
    of_socket = _cores_of_socket_that_read(machine, sockets)
    low, likely, high = _read_of(processor.share, _peaks_of(processor), of_socket)
    if _may_have_one_module(machine, processor):
        low = _read_of(processor.share, _peaks_of(processor, part=0.5), of_socket)[0]
    return _across_sockets((low, likely, high), sockets)


def _across_sockets(ends: Ends, sockets: int) -> Ends:
    """What programs read of so many, beside what one gives."""
    if sockets == 1:
        return ends
    slow, usual, fast_of_each = ACROSS_SOCKETS
    return ends[0] * slow, ends[1] * usual, ends[2] * fast_of_each * sockets


def _of_part(machine: Machine, processor: cpus.Processor) -> Ends:
    """As `_of_machine`, of a guest with some of its cores."""
    of_socket = float(processor.cores) if processor.cores else _cores_of_socket_that_read(machine)
    low, likely, high = _read_of(processor.share, _peaks_of(processor), of_socket)
    part = part_of_socket(machine, processor)
    if part is None:
        return low * GUEST_SHARE, likely, high
    # neighbours leave more than the fair share and take some of what is free: 0.5 and 0.4 of a
    # socket got 0.71 and 0.63 of its pace
    return low * part**0.75, likely * part**0.5, high * part**0.25


def _which_part(machine: Machine, processor: cpus.Processor) -> str:
    """What the pace is told of, where it is not one processor for itself."""
    part = part_of_socket(machine, processor) if is_guest(machine) else None
    if part is not None and part < 1:
        return f", and this guest has {units.cores(machine.cpu_cores_usable or 0)} of it"
    if has_sockets(machine):
        return ", and programs that ignore NUMA nodes get one socket's"
    if processor.channels == 1:
        return ""
    if _may_have_one_module(machine, processor):
        return "; the slow end is that of one module of RAM, on half the channels"
    return ", about half as much with half the channels"


def _of_guests(machine: Machine) -> Bandwidth | None:
    """What virtual machines with as many such cores reached; None where it is none of those that
    were counted.
    """
    guests = _guests_like(machine)
    if guests is None:
        return None
    (low, likely, high), types = guests
    how = (
        f"{types} virtual machines of clouds with about as many such cores read"
        f" {units.decimal(int(low))}/s to {units.decimal(int(high))}/s of memory; this one was not"
        " measured"
    )
    return not_measured((low, likely, high), how)


def _guests_like(machine: Machine) -> tuple[Ends, int] | None:
    """Those with such cores and about as many, as `cpus.guests_with`; None for no guest, and for
    one on a laptop or desktop, whose processor's name tells more.
    """
    if not is_guest(machine) or machine.cpu_cores_usable is None:
        return None
    series = named_processor(machine)
    if series is not None:
        is_counted = series.kind == "server"
    else:
        # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
        is_model = any(map(str.isdecimal, machine.cpu_model or ""))
        is_emulated_name = machine.scope == "vm" and machine.architecture == "x86_64"
        is_counted = is_server(machine) or (is_emulated_name and not is_model)
    if not is_counted:
        return None
    maker_known = cpus.maker_of(machine.cpu_model or "") is not None
    return cpus.guests_with(
        core_and_clock(machine)[0],
        is_amd=is_amd(machine) if maker_known else None,
        cores=threads_of(machine),
    )


def _by_class(machine: Machine) -> Bandwidth | None:
    """What a machine of its class may read; None where its cores are unread."""
    assumed = assumed_bandwidth(machine)
    if assumed is None:
        return None
    low, high, what = assumed
    chip = chip_of(machine)
    # the rules add an error of their own, but no run reads more than a memory gives whose peak is
    # known
    most = high if chip is not None and what != ANY_APPLE else high * 1.2
    how = (
        f"a guess: {units.decimal(low)}/s to {units.decimal(high)}/s of memory bandwidth ({what}),"
        " not measured"
    )
    ends = (low * 0.8, _usual_of_class(machine) or (low * high) ** 0.5, most)
    if is_server(machine) and not is_guest(machine) and cpus.count_of(machine.cpu_model or "") > 1:
        slow, usual, _ = ACROSS_SOCKETS
        ends = ends[0] * slow, ends[1] * usual, most
    return not_measured(ends, how)


def _usual_of_class(machine: Machine) -> float | None:
    """What most machines of its class read; None for a guest, and where its class does not tell."""
    usual = None if is_guest(machine) else cpus.usual_of_class(machine.cpu_model or "")
    if usual is None:
        return None
    gb_per_s, share = usual
    return _read_of_peak(share, gb_per_s * _GB, _cores_of_socket_that_read(machine))[1]


def assumed_bandwidth(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a machine of this class may have, low and high, and the class as a
    clause; None where its cores are unread.
    """
    chip = chip_of(machine)
    if chip is not None:
        return chip
    cores = machine.cpu_cores_usable
    if cores is None:
        return None
    # a quota stops what is read as it stops what is computed
    high = _CORE_HIGH * cores
    count = units.cores(cores)
    if is_server(machine) or is_guest(machine):
        return _no_more_than_class(machine, _of_server_or_guest(machine, cores))
    if machine.architecture == "x86_64":
        return _no_more_than_class(machine, _of_x86(machine, cores))
    if machine.architecture in ("aarch64", "armv7l", "armv6l"):
        # a Raspberry Pi 3 has 3.6 GB/s at most (LPDDR2-900 on 32 bits), a Snapdragon X Elite 135
        # (LPDDR5X-8448 on 128)
        return 2 * _GB, int(min(high, _CLIENT_HIGH)), f"{count} of a board or laptop"
    if machine.architecture == "riscv64":
        return _RISC_V_LOW, int(_RISC_V_CORE_HIGH * cores), f"{count} of a RISC-V board"
    return (
        _RISC_V_LOW,
        int(min(high, _SOCKETS_HIGH)),
        f"{count} of a computer of this kind",
    )


def _no_more_than_class(machine: Machine, guess: tuple[int, int, str]) -> tuple[int, int, str]:
    """The guess, with no more at the slow end than the slowest of the class has, and of one that is
    no longer made no more than its fastest.
    """
    least, most = cpus.ends_of_class(machine.cpu_model or "")
    low, high, what = guess
    if most is not None:
        high, what = min(high, int(most * _GB)), f"{what}, of a series that is no longer made"
    slowest = least or most
    return low if slowest is None else min(low, int(slowest * _GB)), high, what


def _of_server_or_guest(machine: Machine, cores: float) -> tuple[int, int, str]:
    where = "a virtual machine" if machine.scope == "vm" else "a container"
    if not is_guest(machine):
        where = "a server"
    most = _CLIENT_HIGH if is_client(machine) else _SOCKET_HIGH
    if is_server(machine):
        most = _SOCKETS_HIGH
    return (
        int(min(_SHARE_LOW * cores, _SERVER_LOW)),
        int(min(_CORE_HIGH * cores, most)),
        f"{units.cores(cores)} of {where}",
    )


def _of_x86(machine: Machine, cores: float) -> tuple[int, int, str]:
    sets, high = machine.instruction_sets, _CORE_HIGH * cores
    if sets is not None and "avx2" not in sets:
        return (
            int(min(_OLD_LOW, _OLD_LOW * cores)),
            int(min(high, _OLD_HIGH)),
            "an old computer",
        )
    # a name that says neither, such as that of a machine file, may be a server's
    most = _CLIENT_HIGH if is_client(machine) else _SOCKETS_HIGH
    least = _CLIENT_LOW if sets is not None else _OLD_LOW
    return (
        int(min(least, least * cores)),
        int(min(high, most)),
        f"{units.cores(cores)} of a computer of this kind",
    )
