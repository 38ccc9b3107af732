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
    sockets_of,
    threads_of,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_GB = units.GB
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


def _bandwidth(ends: Range, how: str, *, measured: bool = False) -> Bandwidth:
    low, likely, high = ends
    return Bandwidth(low=low, likely=likely, high=high, measured=measured, how=how)


def _rate(bytes_per_second: float) -> str:
    """`40.0 GB/s of memory bandwidth`."""
    return f"{units.decimal(int(bytes_per_second))}/s of memory bandwidth"


# ---------------------------------------------------------------- read, or stated


def _measured(machine: Machine, rate: int) -> Bandwidth:
    low, likely, high = scaled(kind_of(machine)[0], rate)
    how = f"{_rate(rate)}, measured{' at present' * (machine.memory_bandwidth_how == BRIEFLY)}"
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
    low, likely, high = scaled(kind_of(machine)[0], rate)
    other = _assumed(machine)
    others = (low, high, high) if other is None else other.ends
    ends = max(low, others[0]), max(likely, others[1]), max(high, others[2])
    return _bandwidth(
        ends,
        f"at least {_rate(rate)}, read while the machine was busy: --measure narrows it when it is"
        " idle",
    )


def _stated(machine: Machine, rate: int) -> Bandwidth:
    """Of memory whose peak somebody states, as a profile or a record does; of that the rate or what
    is filled may be assumed.
    """
    stated, cores = f"{_rate(rate)} (stated)", machine.cpu_cores_usable
    memory = None if is_guest(machine) else _memory_of(machine)
    if memory is None:
        how = f"{stated}; processors reach a third to all of it"
        most = rate if cores is None else constant("reading")["core_high"] * cores
        if chip_of(machine) is None and most < rate:
            rate = int(most)
            how = f"{stated}; {units.cores(cores or 1)} can read at most {units.decimal(rate)}/s"
        return _bandwidth(scaled(ends_of("reading", "stated_share"), rate), how)
    series, told = named_processor(machine), machine.memory_bandwidth_how
    if series is not None and told == RATE_ASSUMED:
        memory = memory.part(rate / series.usual)
    else:
        memory = memory.replace(peaks=(float(rate),) * 5)
    low, likely, high = memory.read(machine)
    if told == FILLED_ASSUMED and _may_have_one_module(machine):
        low = memory.part(0.5).read(machine)[0]
    return _bandwidth((low, likely, high), f"{stated}{memory.share_read(likely)}")


# ---------------------------------------------------------------- by names


class _Memory(Record):
    """Memory that a name tells, and how cores read it. `peaks`: bytes per second that it gives at
    most, with all channels filled: the least that is sold, the slowest of the kinds that are each
    as usual, the likely one, the fastest of these kinds, and the most that is sold; as much of each
    of the `sockets`. `called`: what it is of.
    """

    called: str
    share: cpus.Share
    peaks: tuple[float, float, float, float, float]
    sockets: int = 1

    def part(self, part: float) -> _Memory:
        """Such a part of its channels."""
        least, slowest, likely, fastest, most = (part * peak for peak in self.peaks)
        return self.replace(peaks=(least, slowest, likely, fastest, most))

    def read(self, machine: Machine) -> Range:
        """What the machine's cores read of it. Of memory and share one is usual where the other is
        not; what reaches the weights is no more than memory gives.
        """
        share, cores, sockets = self.share, None, self.sockets
        if machine.cpu_cores_usable is not None or machine.cpu_cores_physical is not None:
            cores = threads_of(machine) / sockets
        read = [share.read_together(peak, cores) for peak in self.peaks]
        low = min(share.low * read[1], share.likely * read[0])
        high = max(share.high * read[3], share.likely * read[4])
        high = min(high, self.peaks[4] / BANDWIDTH_SHARE)
        if sockets == 1:
            return low, share.likely * read[2], high
        slow, usual, fast_of_each = ends_of("reading", "across_sockets")
        return low * slow, share.likely * read[2] * usual, high * fast_of_each * sockets

    def share_read(self, likely: float) -> str:
        """A clause: which part of that peak reaches the weights."""
        part = units.percent(BANDWIDTH_SHARE * likely / (self.peaks[2] * self.sockets))
        return f", of which decoding gets about {part}, {self.share.source}"


def _memory_of(machine: Machine) -> _Memory | None:
    """That of the chip, the series, or the computer around its cards; None where nothing tells."""
    chip, series, computer = chip_in(machine), named_processor(machine), None
    if chip is not None:
        peaks = (chip.gb_per_s * _GB,) * 5
        if chip.kind is None:
            return None
        return _Memory(called=chip.name, share=cpus.share_of(chip.kind), peaks=peaks)
    if series is not None:
        # between the kinds of memory that it takes, where as many have one as the other
        two_kinds = (series.slowest * series.usual) ** 0.5
        likely = two_kinds if series.share.takes_either else series.usual
        return _Memory(
            called=f"a processor of the series {series.name}",
            share=series.share,
            peaks=(series.least, series.slowest, likely, series.fastest, series.most),
            sockets=sockets_of(machine, series),
        )
    if is_client_by_class(machine):
        computer = gpus.computer_of(machine)
        if computer is None and "cpu_model" in machine.assumed:
            computer = gpus.unnamed_computer()
    if computer is not None:
        # it may be slow in both: little is known of it
        least, usual, most = computer.least, computer.usual, computer.most
        return _Memory(
            called=f"a guess: {computer.name} like this",
            share=cpus.share_of("|".join(computer.kinds), None),
            peaks=(least, least, usual, usual, most),
        )
    if machine.memory_bandwidth_bytes_per_second is not None and is_client(machine):
        return _Memory(called="a computer", share=cpus.share_of("client"), peaks=(1.0,) * 5)
    return None


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
    memory, series, cores = _memory_of(machine), named_processor(machine), machine.cpu_cores_usable
    if memory is None or (is_guest(machine) and series is None):
        return None
    if series is not None and is_guest(machine) and not has_whole_processor(machine):
        low, likely, high = _read_by_guest(machine, series, memory.replace(sockets=1))
    else:
        low, likely, high = memory.read(machine)
        if _may_have_one_module(machine):
            low = memory.part(0.5).read(machine)[0]
    if series is not None and cores is not None:
        # a quota stops what is read as it stops what is computed
        high = min(high, constant("reading")["core_high"] * cores)
    how = f"{memory.called} reads up to {_rate(memory.peaks[2])}{memory.share_read(likely)}"
    if memory.sockets > 1:
        how += ", and programs that ignore NUMA nodes get one socket's"
    elif series is not None and series.channels > 1 and not is_guest(machine):
        how += ", about half as much with half the channels"
    return _bandwidth((low, likely, high), f"{how}; {_what_narrows(machine)}")


def _read_by_guest(machine: Machine, series: cpus.Processor, memory: _Memory) -> Range:
    """What a guest reads that has a part of a socket: neighbours leave more than the fair share and
    take some of what is free.
    """
    cores = machine.cpu_cores_usable
    if not series.cores or cores is None:
        low, likely, high = memory.read(machine)
        return low * GUEST_SHARE, likely, high
    part = min(1.0, cores / (series.cores * series.threads))
    low, likely, high = memory.read(
        machine.replace(cpu_cores_usable=float(series.cores), cpu_cores_physical=None)
    )
    return low * part**0.75, likely * part**0.5, high * part**0.25


def _may_have_one_module(machine: Machine) -> bool:
    """Whether half of its channels may be empty: of a computer whose RAM is little, or not told."""
    series, size = named_processor(machine), machine.memory_total_bytes
    if series is None or is_guest(machine) or size is None:
        return False
    return series.may_have_one_module(None if machine.assumes("memory_total_bytes") else size)


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
    low, high, what = chip or _class_of(machine) or (0, 0, "")
    if not what:
        return None
    beyond_low, beyond_high = constant("reading")["class_ends"]
    # no run reads more than a memory gives whose peak is known
    most = high if chip is not None and what != ANY_APPLE else high * beyond_high
    how = (
        f"a guess: {units.decimal(low)}/s to {units.decimal(high)}/s of memory bandwidth ({what}),"
        " not measured"
    )
    slow, usual = low * beyond_low, (low * high) ** 0.5
    if is_server(machine) and not is_guest(machine) and cpus.count_of(machine.cpu_model or "") > 1:
        slowest_share, usual_share, _ = ends_of("reading", "across_sockets")
        slow, usual = slow * slowest_share, usual * usual_share
    return _bandwidth((slow, usual, most), how)


def _class_of(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a machine of this class may have, low and high, and the class as a
    clause; None where its cores are unread.
    """
    cores, rows = machine.cpu_cores_usable, constant("memory")
    if cores is None:
        return None
    row = rows[_row_of_class(machine, rows)]
    (least_of_core, most_of_core), (least, most) = row["core"], row["all"]
    if machine.instruction_sets is None and row is rows["x86_64"]:
        least = rows["old"]["all"][0]
    if row is not rows["server"] and is_client(machine):
        most = min(most, CLIENT_PEAKS[1] / _GB)
    low, high = min(least_of_core * cores, least), min(most_of_core * cores, most)
    what = f"{units.cores(cores)} of {row['called']}"
    around = cpus.class_of(machine.cpu_model or "")
    fastest = around and around.most_gb_per_s
    slowest = around and around.least_gb_per_s
    if fastest is not None:
        high, what = min(high, fastest), f"{what}, of a series that is no longer made"
    slowest = slowest or fastest
    return int((low if slowest is None else min(low, slowest)) * _GB), int(high * _GB), what


def _row_of_class(machine: Machine, rows: Any) -> str:
    """The row of `memory` in `specs/common/pace.toml`."""
    architecture, sets = machine.architecture or "", machine.instruction_sets
    if is_server(machine):
        return "server"
    if is_guest(machine):
        return machine.scope or ""
    if architecture in ("aarch64", "armv7l", "armv6l"):
        return "arm"
    if architecture == "x86_64" and sets is not None and "avx2" not in sets:
        return "old"
    return architecture if architecture in rows else "other"
