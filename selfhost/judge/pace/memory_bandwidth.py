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
from .engine import Range, constant, ends_of, scaled
from .processor import (
    ANY_APPLE,
    GUEST_SHARE,
    chip_in,
    chip_of,
    core_and_clock,
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

_GB = units.GB
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
# what memory of a laptop or desktop with graphics gives at most, which its graphics read: two
# channels of DDR3-1600 or one of DDR4-3200, and LPDDR5X-8533 on 128 bits
CLIENT_PEAKS = (25.6 * _GB, 136 * _GB)


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
    if rate is None:
        return _assumed(machine)
    if machine.memory_bandwidth_bound is not None:
        return _at_least(machine, rate)
    return _measured(machine, rate) if machine.is_bandwidth_measured else _stated(machine, rate)


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
        for share, fastest in zip(
            ends_of("reading", "share_of_a_read"), cpus.decode_kind("zen").cores, strict=True
        )
    )
    return max(slow, least), max(likely, usual), max(fast, most)


def _rate(bytes_per_second: float) -> str:
    """`40.0 GB/s of memory bandwidth`."""
    return f"{units.decimal(int(bytes_per_second))}/s of memory bandwidth"


# ---------------------------------------------------------------- read, or stated


def _measured(machine: Machine, rate: int) -> Bandwidth:
    low, likely, high = scaled(kind_of(machine).memory, rate)
    if (machine.cpu_cores_physical or 0) > constant("reading")["measured_with_cores"]:
        high *= constant("reading")["more_cores"]
    moment = " at present" if machine.memory_bandwidth_how == BRIEFLY else ""
    how = f"{_rate(rate)}, measured{moment}"
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
    least, usual, most = scaled(kind_of(machine).memory, rate)
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
    """Of memory whose peak somebody states, as a profile or a record does; of that the rate or what
    is filled may be assumed.
    """
    stated = f"{_rate(rate)} (stated)"
    memory = None if is_guest(machine) else _memory_of(machine)
    if memory is None:
        how, cores = f"{stated}; processors reach a third to all of it", machine.cpu_cores_usable
        most = rate if cores is None else constant("reading")["core_high"] * cores
        if cores is not None and chip_of(machine) is None and most < rate:
            rate = int(most)
            how = f"{stated}; {units.cores(cores)} can read at most {units.decimal(rate)}/s"
        return _bandwidth(scaled(ends_of("reading", "stated_share"), rate), how)
    series, peak = named_processor(machine), _through_links(machine, rate)
    told = machine.memory_bandwidth_how
    if series is None or told != RATE_ASSUMED:
        memory = memory.replace(least=peak, slowest=peak, likely=peak, fastest=peak, most=peak)
    else:
        memory = memory.part(peak / series.usual)
    low, likely, high = memory.read(_cores(machine, memory.sockets))
    if told == FILLED_ASSUMED and _may_have_one_module(machine):
        low = memory.part(0.5).read(_cores(machine, memory.sockets))[0]
    return _bandwidth((low, likely, high), f"{stated}{memory.share_read(likely)}")


# ---------------------------------------------------------------- by names


class _Memory(Record):
    """Bytes per second that memory gives at most, with all channels filled: the least and the most
    that are sold, the slowest and the fastest of the kinds that are each as usual, and the likely
    one; how cores read it, and of how many `sockets` each has as much. `called`: what it is of.
    """

    called: str
    share: cpus.Share
    least: float
    slowest: float
    likely: float
    fastest: float
    most: float
    sockets: int = 1

    def part(self, part: float) -> _Memory:
        """Such a part of its channels."""
        return self.replace(
            least=part * self.least,
            slowest=part * self.slowest,
            likely=part * self.likely,
            fastest=part * self.fastest,
            most=part * self.most,
        )

    def read(self, cores: float | None) -> Range:
        """What so many cores of each socket read. Of memory and share one is usual where the other
        is not; what reaches the weights is no more than memory gives.
        """
        share, read = self.share, self.share.read_together
        low = min(share.low * read(self.slowest, cores), share.likely * read(self.least, cores))
        high = max(share.high * read(self.fastest, cores), share.likely * read(self.most, cores))
        likely, high = (
            share.likely * read(self.likely, cores),
            min(high, self.most / BANDWIDTH_SHARE),
        )
        if self.sockets == 1:
            return low, likely, high
        slow, usual, fast_of_each = ends_of("reading", "across_sockets")
        return low * slow, likely * usual, high * fast_of_each * self.sockets

    def share_read(self, likely: float) -> str:
        """A clause: which part of that peak reaches the weights."""
        part = units.percent(BANDWIDTH_SHARE * likely / (self.likely * self.sockets))
        return f", of which decoding gets about {part}, {self.share.source}"


def _exactly(peak: float, share: cpus.Share, called: str) -> _Memory:
    return _Memory(
        called=called, share=share, least=peak, slowest=peak, likely=peak, fastest=peak, most=peak
    )


def _memory_of(machine: Machine) -> _Memory | None:
    """That of the chip, the series, or the computer around its cards; None where nothing tells."""
    chip, series, computer = chip_in(machine), named_processor(machine), None
    if chip is not None:
        if chip.kind is None:
            return None
        peak = _through_links(machine, chip.gb_per_s * _GB)
        return _exactly(peak, cpus.share_of(chip.kind), chip.name)
    if series is not None:
        # between the kinds of memory that it takes, where as many have one as the other
        two_kinds = (series.slowest * series.usual) ** 0.5
        return _Memory(
            called=f"a processor of the series {series.name}",
            share=series.share,
            least=series.least,
            slowest=series.slowest,
            likely=two_kinds if series.share.takes_either else series.usual,
            fastest=series.fastest,
            most=series.most,
            sockets=sockets_of(machine, series),
        )
    if is_client_by_class(machine) and machine.emulated_on is None:
        computer = gpus.computer_of(machine)
    if computer is None and is_client_by_class(machine) and "cpu_model" in machine.assumed:
        computer = gpus.unnamed_computer()
    if computer is not None:
        shares = [share for kind in computer.kinds for share in cpus.shares_of(kind)]
        memory = _exactly(
            computer.usual, cpus.joint_share(shares), f"a guess: {computer.name} like this"
        )
        # it may be slow in both: little is known of it
        least = computer.least
        return memory.replace(least=least, slowest=least, most=computer.most)
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if is_stated and is_client(machine):
        return _exactly(1.0, cpus.share_of("client"), "a laptop or desktop")
    return None


def _cores(machine: Machine, sockets: int = 1) -> float | None:
    """`threads_of` each socket; None of a record that states no cores, whose memory alone bounds
    it.
    """
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    return threads_of(machine) / sockets


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
    """What nobody read: counted guests, the name or the cards, the class."""
    return _by_guests(machine) or _by_memory(machine) or _by_class(machine)


def _by_guests(machine: Machine) -> Bandwidth | None:
    """What virtual machines with as many such cores reached; None where it is none of those that
    were counted.
    """
    if machine.cpu_cores_usable is None or not is_guest(machine) or not _is_on_server(machine):
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


def _by_memory(machine: Machine) -> Bandwidth | None:
    """What runs with that memory reached; None where no name tells it."""
    memory, series = _memory_of(machine), named_processor(machine)
    if memory is None or (is_guest(machine) and series is None):
        return None
    if series is not None and is_guest(machine) and not has_whole_processor(machine):
        low, likely, high = _read_by_guest(machine, series, memory)
    else:
        low, likely, high = memory.read(_cores(machine, memory.sockets))
        if _may_have_one_module(machine):
            low = memory.part(0.5).read(_cores(machine, memory.sockets))[0]
    if series is not None and machine.cpu_cores_usable is not None:
        # a quota stops what is read as it stops what is computed
        high = min(high, constant("reading")["core_high"] * machine.cpu_cores_usable)
    how = f"{memory.called} reads up to {_rate(memory.likely)}{memory.share_read(likely)}"
    if memory.sockets > 1:
        how += ", and programs that ignore NUMA nodes get one socket's"
    elif series is not None and series.channels > 1 and not is_guest(machine):
        how += ", about half as much with half the channels"
    return _bandwidth((low, likely, high), f"{how}; {_what_narrows(machine)}")


def _read_by_guest(machine: Machine, series: cpus.Processor, memory: _Memory) -> Range:
    """What a guest reads that has a part of a socket."""
    cores = float(series.cores) if series.cores else _cores(machine)
    low, likely, high = memory.replace(sockets=1).read(cores)
    part = part_of_socket(machine, series)
    if part is None:
        return low * GUEST_SHARE, likely, high
    # neighbours leave more than the fair share and take some of what is free: 0.5 and 0.4 of a
    # socket got 0.71 and 0.63 of its pace
    return low * part**0.75, likely * part**0.5, high * part**0.25


def _may_have_one_module(machine: Machine) -> bool:
    """Whether half of its channels may be empty: of a computer whose RAM is little, or not told."""
    series = named_processor(machine)
    if series is None or is_guest(machine) or machine.memory_total_bytes is None:
        return False
    is_assumed = machine.assumes("memory_total_bytes")
    return series.may_have_one_module(None if is_assumed else machine.memory_total_bytes)


def _what_narrows(machine: Machine) -> str:
    """How to have a narrower range: what was named cannot be measured here."""
    from ...machine.ram import what_to_state

    is_elsewhere = machine.planning and not machine.is_this_one
    fact = what_to_state(machine) if is_elsewhere else None
    return "--measure narrows it" if fact is None else f"{fact} for a narrower range"


# ---------------------------------------------------------------- by class


def _by_class(machine: Machine) -> Bandwidth | None:
    """What a machine of its class may read; None where its cores are unread."""
    chip = chip_of(machine)
    guess = chip or _class_of(machine)
    if guess is None:
        return None
    low, high, what = guess
    beyond_low, beyond_high = constant("reading")["class_ends"]
    # no run reads more than a memory gives whose peak is known
    most = high if chip is not None and what != ANY_APPLE else high * beyond_high
    how = (
        f"a guess: {units.decimal(low)}/s to {units.decimal(high)}/s of memory bandwidth ({what}),"
        " not measured"
    )
    slow, usual = low * beyond_low, (low * high) ** 0.5
    known = None if is_guest(machine) else cpus.usual_of_class(machine.cpu_model or "")
    if known is not None:
        gb_per_s, share = known
        usual = share.likely * share.read_together(gb_per_s * _GB, _cores(machine))
    if is_server(machine) and not is_guest(machine) and cpus.count_of(machine.cpu_model or "") > 1:
        slowest_share, usual_share, _ = ends_of("reading", "across_sockets")
        slow, usual = slow * slowest_share, usual * usual_share
    return _bandwidth((slow, usual, most), how)


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
