"""What a machine's processor is, as far as its pace needs it: its series or chip by name, the kind
that its instruction sets make it, its sockets, the threads that a program starts and what these
compute; and how fast it reads its memory while a model decodes, as a range: measured or stated,
else told by counted guests of clouds, by names, by the cards beside it, or by its class.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...core.tables import shipped_table
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import BRIEFLY, FILLED_ASSUMED, RATE_ASSUMED, Machine
from .speed import SAME, Range, constant, longest

_GB = units.GB
ANY_APPLE = "an Apple chip"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86


class Memory(Record):
    """What a chip, or a class of machines, reads of its memory: bytes per second."""

    low: int
    high: int
    called: str


def named_processor(machine: Machine) -> cpus.Processor | None:
    """The series of its processor; None where no name tells it and for a chip (`chip_memory`)."""
    return None if chip_memory(machine) is not None else gpus.series_in(machine)


def _sockets_of(machine: Machine, series: cpus.Processor) -> int:
    """By the cores that are listed of its name, else of the largest; 1 where they are not known."""
    physical, cores = machine.cpu_cores_physical, series.cores
    if not cores or physical is None:
        return 1
    name = machine.cpu_model or ""
    listed = cpus.cores_of(name)
    if listed is not None and listed.are_known:
        cores = listed.physical[1] // cpus.count_of(name)
    return max(1, -(-physical // cores))


def is_guest(machine: Machine) -> bool:
    """Whether other machines may share its processor."""
    return machine.scope in ("vm", "container")


def _has_some_threads(machine: Machine) -> bool:
    """A guest with some threads of its processor, unlike WSL or a container without a limit."""
    own, usable = cpus.cores_of(machine.cpu_model or ""), machine.cpu_cores_usable
    has_all = own is not None and own.are_known and usable is not None and usable >= own.usable
    return is_guest(machine) and not has_all


def is_server(machine: Machine) -> bool:
    """Whether a word of its processor's name is one of servers."""
    return not words_of(machine.cpu_model or "").isdisjoint(constant("server_words"))


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    is_x86 = machine.architecture in (None, "x86_64")
    return is_x86 and not (is_server(machine) or is_guest(machine))


def is_on_apple_gpu(machine: Machine) -> bool:
    """Whether it is a Mac whose GPU programs use; nobody measured how its cores read prompts."""
    return machine.system == "macos" and machine.architecture == "aarch64"


def chip_memory(machine: Machine) -> Memory | None:
    """Of a chip with its memory soldered beside it; None where it is none."""
    words, figures = words_of(machine.cpu_model or ""), constant("reading")
    chip, usable = chip_of(words), machine.cpu_cores_usable
    if chip is None:
        if "apple" not in words and not is_on_apple_gpu(machine):
            return None
        low, high, name = figures["any_apple_low"], figures["any_apple"][2], ANY_APPLE
    else:
        low, high, name = chip.least_gb_per_s, chip.gb_per_s, chip.name
        few, cores = chip.smaller.get("cores"), machine.cpu_cores_physical or usable
        # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
        if few and (is_guest(machine) or cores is None or cores <= few):
            low = chip.smaller["least_gb_per_s"]
            if cores == few and not is_guest(machine):
                high, name = chip.smaller["gb_per_s"], f"{name} with {few} cores"
        name += ", by its cores or its GPU" * bool(chip.mac)
    low *= figures["guest_share"] if is_guest(machine) else 1.0
    return Memory(low=int(low * _GB), high=int(high * _GB), called=name)


@lru_cache(maxsize=4096)
def kind_of(machine: Machine) -> tuple[Range, Range]:
    """Memory and cores beside those of the processor measured on, by a row of `decode`."""
    core, sets = core_of(machine).name, machine.instruction_sets or ()
    series, name = named_processor(machine), constant("kind")[core]
    if core == "unread":
        name = next(
            (kind for key, kind in constant("kind_of_assumed_sets").items() if key in sets), name
        )
    elif core == "avx":
        has_avx = "avx" in sets or "avx2" in sets if series is None else series.vectors != "sse"
        name = name if has_avx else "sse"
    if name in ("avx2", "avx512") and _has_some_threads(machine):
        name = f"{name}_shared"
    elif series is not None and series.kind == "mobile" and name in ("avx2", "avx512", "zen"):
        name = f"{name}_mobile"
    row = next(each for each in shipped_table("cpus")["decode"] if each["kind"] == name)
    return Range(*row["memory"]), Range(*row["cores"])


@lru_cache(maxsize=4096)
def core_of(machine: Machine) -> cpus.Core:
    """What its cores compute, at the clock that the processor's name tells."""
    series, sets = named_processor(machine), machine.instruction_sets
    for named in (chip_of(words_of(machine.cpu_model or "")), series):
        if named is not None and named.core is not None:
            return cpus.core_called(named.core, named.ghz)
    by_series = sets is None and series is not None
    core = cpus.CORE_OF[series.vectors] if by_series and series else _core_by_sets(machine, sets)
    return cpus.core_called(core, None)


def _core_by_sets(machine: Machine, sets: tuple[str, ...] | None) -> str:
    cores = constant("core_of_sets").get(machine.architecture or "x86_64")
    if cores is None:
        return "scalar"
    if is_on_apple_gpu(machine):
        return "apple"
    if sets is None or machine.assumes("instruction_sets"):
        # what is assumed is the least
        return "from_avx2" if "avx2" in (sets or ()) else "unread"
    if "avx512f" in sets and cpus.maker_of(machine.cpu_model or "") == "AMD":
        # of AMD's, those from Zen 5 on have AVX-VNNI beside AVX-512
        return "zen5" if "avx_vnni" in sets else "zen4"
    other = "avx" if "avx2" in cores else "neon"
    return next((core for name, core in cores.items() if name in sets), other)


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Cores that work at once: one thread per physical core of the fastest kind, as llama.cpp has
    it, no more than the program takes by default; a range where the name alone tells of how many.
    """
    physical = machine.cpu_cores_performance or machine.cpu_cores_physical
    counted = [count for count in (machine.cpu_cores_usable, physical) if count is not None]
    # 4 of a record that states a bandwidth and no cores; the slow end of an unread processor
    # covers fewer
    counts: tuple[float, ...] = (min(counted, default=4.0),) * 3
    if machine.scope == "host" and machine.assumes("cpu_cores_usable"):
        cores = gpus.cores_in(machine)
        counts = counts if cores is None else cores.performance
    most = (runtime and runtime.default_threads) or inf
    least, usual, largest = (float(min(count, most)) for count in counts)
    return Range(least, usual, largest)


def share_of_many(cores: float) -> float:
    """What each of so many cores computes, beside one of few."""
    few, fall = constant("read_prompt")["cores_fall"]
    return min(1.0, float((few / cores) ** fall))


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Operations a second on a prompt, weights of Q4_K, of all cores that the program uses."""
    core, series = core_of(machine), named_processor(machine)
    less = share_of_many(machine.cpu_cores_physical or machine.cpu_cores_usable or 1)
    less /= 1 if series is None else _sockets_of(machine, series)
    rate = SAME * core.prompt * core.ghz * 1e9 * (less, 1.0, 1.0)
    if machine.scope == "vm" and machine.architecture == "x86_64":
        # clouds rent threads, two of a core
        rate *= (constant("read_prompt")["thread_of_core"], 1.0, 1.0)
    least, usual, most = threads_range(machine, runtime)
    return rate * usual * (least / usual, 1.0, most / usual)


class Bandwidth(Record):
    """Bytes per second that memory is read at, of which `BANDWIDTH_SHARE` reaches the weights."""

    ends: Range
    measured: bool = False
    how: str


@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """Measured or stated, else told by counted guests, names or the class; None: no cores."""
    rate = machine.memory_bandwidth_bytes_per_second
    if rate is None:
        return (
            _bandwidth_of_guests(machine) or _by_name(machine, None) or _bandwidth_of_class(machine)
        )
    if machine.memory_bandwidth_bound is not None:
        # read while busy: it raises what name or class tell, and lowers nothing
        low, _, high = ends = kind_of(machine)[0] * rate
        other = bandwidth(machine.replace(memory_bandwidth_bytes_per_second=None))
        ends = longest(ends, Range(low, high, high) if other is None else other.ends)
        how = "read while the machine was busy: --measure narrows it when it is idle"
        return Bandwidth(ends=ends, how=f"at least {_rate(rate)}, {how}")
    if machine.is_bandwidth_measured:
        return _measured_bandwidth(machine, rate)
    by_name = _by_name(machine, rate)
    if by_name is not None:
        return by_name
    how = f"{_rate(rate)} (stated); processors reach a third to all of it"
    return Bandwidth(ends=constant("reading")["stated_share"] * rate, how=how)


def _measured_bandwidth(machine: Machine, rate: int) -> Bandwidth:
    low, likely, high = kind_of(machine)[0] * rate
    how = f"{_rate(rate)}, measured{' at present' * (machine.memory_bandwidth_how == BRIEFLY)}"
    if is_guest(machine):
        how += "; its host may give it more or less at another time"
    if machine.memory_bandwidth_how == BRIEFLY:
        # what ran beside it for that moment lowers it: the fast end is no lower than without
        other = bandwidth(machine.replace(memory_bandwidth_bytes_per_second=None))
        high = max(high, high if other is None else other.ends.fast)
    shares = is_on_apple_gpu(machine) or any(card.unified for card in machine.accelerators or ())
    chip = chip_memory(machine) if shares else None
    if chip is not None and chip.high > high:
        high = float(chip.high)
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip.high)}/s"
    return Bandwidth(ends=Range(low, likely, high), how=how, measured=True)


def _rate(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s of memory bandwidth`."""
    rates = [f"{units.decimal(int(rate))}/s" for rate in bytes_per_second]
    return f"{' to '.join(rates)} of memory bandwidth"


class _Named(Record):
    """What a name tells of a memory: how cores read it, and bytes per second of each socket with
    all channels filled: the least sold, the slowest usual kind, the likely, the fastest usual, the
    most sold.
    """

    called: str
    share: cpus.Share
    peaks: tuple[float, ...]
    sockets: int = 1


def _named_memory(machine: Machine, rate: int | None) -> _Named | None:
    """By the chip, the series or the computer around its cards."""
    chip, series = chip_of(words_of(machine.cpu_model or "")), named_processor(machine)
    if is_guest(machine) and (series is None or rate is not None):
        return None
    if chip is not None:
        if not chip.kind:
            return None
        peaks = (chip.gb_per_s * _GB,) * 5
        return _Named(called=chip.name, share=cpus.share_of(chip.kind), peaks=peaks)
    if series is not None:
        # between the kinds of memory that it takes, where as many have one as the other
        two_kinds = (series.slowest * series.usual) ** 0.5
        likely = two_kinds if series.share.takes_either else series.usual
        return _Named(
            called=f"a processor of the series {series.name}",
            share=series.share,
            peaks=(series.least, series.slowest, likely, series.fastest, series.most),
            sockets=1 if _has_some_threads(machine) else _sockets_of(machine, series),
        )
    computer = gpus.computer_of(machine) if is_client_by_class(machine) else None
    if computer is None:
        return None
    # it may be slow in both: little is known of it
    least, usual, most = (computer[end] for end in ("least", "usual", "most"))
    return _Named(
        called=f"a guess: {computer['name']} like this",
        share=cpus.share_of(computer["kind"]),
        peaks=(least, least, usual, usual, most),
    )


def _by_name(machine: Machine, rate: int | None) -> Bandwidth | None:
    """Of the peak that somebody states, else of the usual one; None where no name tells it."""
    memory, series, cores = _named_memory(machine, rate), named_processor(machine), None
    if memory is None:
        return None
    share, peaks, sockets = memory.share, memory.peaks, memory.sockets
    how = f"{memory.called} reads up to {_rate(peaks[2])}"
    if rate is not None:
        is_assumed = series is not None and machine.memory_bandwidth_how == RATE_ASSUMED
        # every kind's peak in the proportion of the usual one's
        scale = rate / series.usual if series is not None and is_assumed else 0.0
        peaks, how = tuple(scale * peak or rate for peak in peaks), f"{_rate(rate)} (stated)"
    if machine.cpu_cores_usable is not None or machine.cpu_cores_physical is not None:
        cores = threads_range(machine).likely / sockets
    # memory or share is usual where the other is not; no more reaches the weights than memory gives
    read = [share.read_bytes_per_second(peak, cores) for peak in peaks]
    slow, usual, fast = constant("reading")["across_sockets"] if sockets > 1 else SAME
    low = min(share.low * read[1], share.likely * read[0]) * slow
    likely = share.likely * read[2] * usual
    high = min(max(share.high * read[3], share.likely * read[4]), peaks[4] / BANDWIDTH_SHARE)
    part = units.percent(BANDWIDTH_SHARE * likely / (peaks[2] * sockets))
    if _has_some_threads(machine):
        # its neighbours have the rest
        low *= constant("reading")["guest_share"]
    elif _modules_are_unknown(machine):
        slow, usual, _ = constant("reading")["unknown_modules"]
        low, likely = low * slow, likely * usual
    how += f", of which decoding gets about {part}, {share.source}"
    return Bandwidth(ends=Range(low, likely, high * fast * sockets), how=how)


def _bandwidth_of_guests(machine: Machine) -> Bandwidth | None:
    """None where it is none of the guests that were counted, which run on servers."""
    series, name = named_processor(machine), machine.cpu_model or ""
    maker = cpus.maker_of(name)
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    is_emulated = machine.scope == "vm" and machine.architecture == "x86_64"
    is_emulated = is_emulated and not any(map(str.isdecimal, name))
    on_server = is_server(machine) or is_emulated if series is None else series.kind == "server"
    if machine.cpu_cores_usable is None or not (on_server and is_guest(machine)):
        return None
    guests = cpus.guests_with(
        core_of(machine).name,
        is_amd=None if maker is None else maker == "AMD",
        cores=threads_range(machine).likely,
    )
    if guests is None:
        return None
    ends, types = guests
    clouds = f"{types} virtual machines of clouds with about as many such cores"
    how = f"{clouds} have {_rate(ends[0], ends[2])}; this one was not measured"
    return Bandwidth(ends=Range(*ends), how=how)


def _modules_are_unknown(machine: Machine) -> bool:
    """Whether a laptop with slots may have one module for its two channels, or slow ones."""
    series = named_processor(machine)
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if is_guest(machine) or (is_stated and machine.memory_bandwidth_how != FILLED_ASSUMED):
        return False
    if series is None:
        # a machine whose processor nothing tells may be a laptop
        return "cpu_model" in machine.assumed
    has_two_slots = (series.channels, series.bits) == (2, 64) and series.memory != "soldered"
    return has_two_slots and "mobile" in series.kind.split("|")


def _bandwidth_of_class(machine: Machine) -> Bandwidth | None:
    """What a machine of its class may read, by its chip or its cores; None: both unread."""
    chip, cores = chip_memory(machine), machine.cpu_cores_usable
    memory = chip if chip is not None or cores is None else _class_memory(machine, cores)
    if memory is None:
        return None
    beyond_low, beyond_high = constant("reading")["class_ends"]
    # no run reads more than a memory gives whose peak is known
    is_known = chip is not None and chip.called != ANY_APPLE
    most = memory.high * (1 if is_known else beyond_high)
    how = f"a guess: {_rate(memory.low, memory.high)} ({memory.called}), not measured"
    ends = Range(memory.low * beyond_low, (memory.low * memory.high) ** 0.5, float(most))
    if not is_guest(machine) and cpus.count_of(machine.cpu_model or "") > 1:
        slow, usual, _ = constant("reading")["across_sockets"]
        ends = Range(ends.slow * slow, ends.likely * usual, ends.fast)
    return Bandwidth(ends=ends, how=how)


def _class_memory(machine: Machine, cores: float) -> Memory:
    """What a machine of its class with so many cores may have."""
    name, rows, sets = machine.cpu_model or "", constant("memory"), machine.instruction_sets
    around, kind = cpus.class_of(name), machine.architecture
    if is_server(machine):
        kind = "server"
    elif is_guest(machine):
        kind = machine.scope
    elif kind == "x86_64" and sets is not None and "avx2" not in sets:
        kind = "old"
    row = rows.get(kind, rows["other"])
    (least_of_core, most_of_core), (least, most) = row["core"], row["all"]
    if kind == "x86_64":
        least = rows["old"]["all"][0] if sets is None else least
        most = constant("reading")["client_peaks"][2] if name else most
    low, high = min(least_of_core * cores, least), min(most_of_core * cores, most)
    what = f"{units.cores(cores)} of {row['called']}"
    slowest = around.get("least_gb_per_s") or around.get("most_gb_per_s")
    if "most_gb_per_s" in around:
        most = around["most_gb_per_s"]
        high, what = min(high, most), f"{what}, of a series that is no longer made"
    low = min(low, slowest or low)
    return Memory(low=int(low * _GB), high=int(high * _GB), called=what)
