"""What computes on a machine, and how fast: its processor, by its name, its instruction sets or its
class, with the threads that a program starts; how fast that reads the memory while a model decodes,
measured or stated, else told by counted guests of clouds, by names, by the cards beside it or by
its class; and each GPU, by its driver, its name, its class or the RAM that it shares.

The rates are a device's peaks, times what runs on its kind were seen to reach
(`specs/common/pace.toml`).
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.tables import TomlRow, shipped_table
from ...core.units import words_of
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import BRIEFLY, FILLED_ASSUMED, RATE_ASSUMED, Accelerator, Machine
from ..devices import computes_on_shared, reaches
from . import PLAIN_TYPES, SAME, Range, Step, constant, longest

_GB = units.GB
ANY_APPLE = "an Apple chip"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
_LESS_POWER = frozenset(("laptop", "mobile", "q"))


class Memory(Record):
    """What a chip, or a class of machines, reads of its memory: bytes per second."""

    low: int
    high: int
    called: str


class Processor(Record):
    """The processor of a machine.

    `chip`: what it reads where its memory is soldered beside it; `series`: of others, None where no
    name tells it. `memory_share` and `core_share`: beside the processor measured on, by a row of
    `decode` in `specs/common/cpus.toml`. `is_server`: by a word of its name.

    A guest may have some threads of a processor that others share, unlike WSL or a container
    without a limit (`has_some_threads`). `is_mac`: the GPU of an Apple chip that programs use;
    nobody measured how its cores read prompts.
    """

    is_guest: bool
    is_server: bool
    is_mac: bool
    has_some_threads: bool
    sockets: int
    chip: Memory | None
    series: cpus.Processor | None
    core: cpus.Core
    memory_share: Range
    core_share: Range


@lru_cache(maxsize=4096)
def processor_of(machine: Machine) -> Processor:
    """By its name, else by what its instruction sets tell."""
    name, usable = machine.cpu_model or "", machine.cpu_cores_usable
    words, is_guest = words_of(name), machine.scope in ("vm", "container")
    is_mac = machine.system == "macos" and machine.architecture == "aarch64"
    chip, own = chip_of(words), cpus.cores_of(name) if is_guest else None
    is_apple = is_mac or "apple" in words
    memory = _chip_memory(machine, chip, is_guest=is_guest) if chip or is_apple else None
    series = None if memory is not None else gpus.series_in(machine)
    has_all = own is not None and own.are_known and usable is not None and usable >= own.usable
    core, kind = _core_of(machine, chip or series)
    has_some_threads = is_guest and not has_all
    # of a kind without such a row its own
    kinds = []
    if has_some_threads:
        kinds.append(f"{kind}_shared")
    if series is not None and series.kind == "mobile":
        kinds.append(f"{kind}_mobile")
    rows = {row["kind"]: row for row in shipped_table("cpus")["decode"]}
    row = next(rows[name] for name in (*kinds, kind) if name in rows)
    return Processor(
        is_guest=is_guest,
        is_server=not words.isdisjoint(constant("server_words")),
        is_mac=is_mac,
        has_some_threads=has_some_threads,
        sockets=_sockets_of(machine, series),
        chip=memory,
        series=series,
        core=core,
        memory_share=Range(*row["memory"]),
        core_share=Range(*row["cores"]),
    )


def _chip_memory(machine: Machine, chip: cpus.Chip | None, *, is_guest: bool) -> Memory:
    """Of a chip with its memory soldered beside it; None: one of Apple's."""
    figures = constant("reading")
    if chip is None:
        low, high, name = figures["any_apple_low"], figures["any_apple"][2], ANY_APPLE
    else:
        low, high, name = chip.least_gb_per_s, chip.gb_per_s, chip.name
        few = chip.smaller.get("cores")
        cores = machine.cpu_cores_physical or machine.cpu_cores_usable
        # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
        if few and (is_guest or cores is None or cores <= few):
            low = chip.smaller["least_gb_per_s"]
            if cores == few and not is_guest:
                high, name = chip.smaller["gb_per_s"], f"{name} with {few} cores"
        if chip.mac:
            name += ", by its cores or its GPU"
    low *= figures["guest_share"] if is_guest else 1.0
    return Memory(low=int(low * _GB), high=int(high * _GB), called=name)


def _core_of(machine: Machine, named: cpus.Chip | cpus.Processor | None) -> tuple[cpus.Core, str]:
    """What its cores compute, at the clock that the processor's name tells, and how they decode: a
    kind of `decode`.
    """
    core = kind = clock_ghz = None
    sets, vectors = machine.instruction_sets, getattr(named, "vectors", None)
    if named is not None:
        core, clock_ghz = named.core, named.ghz
    if core is None and vectors is not None and sets is None:
        core = cpus.CORE_OF[vectors]
    if core is None:
        facts = {
            "architecture": machine.architecture or "x86_64",
            "system": machine.system,
            "maker": cpus.maker_of(machine.cpu_model or ""),
            "assumed": sets is None or "instruction_sets" in machine.assumed,
        }
        row = next(
            row
            for row in constant("core")
            if {*row.get("sets", ())} <= {*(sets or ())}
            and all(facts[key] == row[key] for key in facts.keys() & row.keys())
        )
        core, kind = row["core"], row.get("kind")
    elif (core, vectors) == ("avx", "sse"):
        kind = "sse"
    return cpus.core_called(core, clock_ghz), kind or constant("kind", core)


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Cores that work at once: one thread per physical core of the fastest kind, as llama.cpp has
    it, no more than the program takes by default; a range where the name alone tells of how many.
    """
    physical = machine.cpu_cores_performance or machine.cpu_cores_physical
    counted = [count for count in (machine.cpu_cores_usable, physical) if count is not None]
    # 4 of a record that states a bandwidth and no cores; the slow end of an unread processor
    # covers fewer
    counts: tuple[float, ...] = (min(counted, default=4.0),) * 3
    if machine.scope == "host" and "cpu_cores_usable" in machine.assumed:
        cores = gpus.cores_in(machine)
        counts = counts if cores is None else cores.performance
    most = (runtime and runtime.default_threads) or inf
    return Range(*(float(min(count, most)) for count in counts))


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Operations a second on a prompt, weights of Q4_K, of all cores that the program uses."""
    processor = processor_of(machine)
    # each of many cores computes less than one of few
    few, fall = constant("read_prompt", "cores_fall")
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable or 1
    less = min(1.0, (few / cores) ** fall) / processor.sockets
    rate = SAME * processor.core.prompt * processor.core.ghz * 1e9 * Range(less, 1.0, 1.0)
    if machine.scope == "vm" and machine.architecture == "x86_64":
        # clouds rent threads, two of a core
        rate *= Range(constant("read_prompt", "thread_of_core"), 1.0, 1.0)
    least, usual, most = threads_range(machine, runtime)
    rate *= usual
    return rate * Range(least / usual, 1.0, most / usual)


def _sockets_of(machine: Machine, series: cpus.Processor | None) -> int:
    """By the cores that are listed of its name, else of the largest; 1 where they are not known."""
    physical = machine.cpu_cores_physical
    if series is None or not series.cores or physical is None:
        return 1
    cores, name = series.cores, machine.cpu_model or ""
    listed = cpus.cores_of(name)
    if listed is not None and listed.are_known:
        cores = listed.physical[1] // cpus.count_of(name)
    return max(1, -(-physical // cores))


class Bandwidth(Record):
    """Bytes per second that memory is read at, of which `BANDWIDTH_SHARE` reaches the weights."""

    ends: Range
    measured: bool = False
    how: str


@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """Measured or stated, else told by counted guests, names or the class; None: no cores."""
    rate = machine.memory_bandwidth_bytes_per_second
    is_read = machine.is_bandwidth_measured or machine.memory_bandwidth_bound is not None
    if rate is not None and is_read:
        return _measured_bandwidth(machine, rate)
    own = _bandwidth_of_guests(machine) or _by_name(machine, rate)
    if own is not None:
        return own
    if rate is not None:
        how = f"{_rate(rate)} (stated); processors reach a third of it to all of it"
        return Bandwidth(ends=constant("reading", "stated_share") * rate, how=how)
    processor, cores = processor_of(machine), machine.cpu_cores_usable
    chip = processor.chip
    memory = chip if chip is not None or cores is None else _class_memory(machine, cores)
    if memory is None:
        return None
    beyond_low, beyond_high = constant("reading", "class_ends")
    # no run reads more than a memory gives whose peak is known
    most = memory.high * (1 if chip is not None and chip.called != ANY_APPLE else beyond_high)
    how = f"a guess: {_rate(memory.low, memory.high)} ({memory.called}), not measured"
    ends = Range(memory.low * beyond_low, (memory.low * memory.high) ** 0.5, float(most))
    if not processor.is_guest and cpus.count_of(machine.cpu_model or "") > 1:
        slow, usual, _ = constant("reading", "across_sockets")
        ends = Range(ends.low * slow, ends.likely * usual, ends.high)
    return Bandwidth(ends=ends, how=how)


def _measured_bandwidth(machine: Machine, rate: int) -> Bandwidth:
    processor, is_bound = processor_of(machine), machine.memory_bandwidth_bound is not None
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    low, likely, high = processor.memory_share * rate
    # what is known without that
    unmeasured = Range(low, high, high)
    if is_bound or is_brief:
        other = bandwidth(machine.replace(memory_bandwidth_bytes_per_second=None))
        unmeasured = unmeasured if other is None else other.ends
    if is_bound:
        # read while busy: it raises what name or class tell, and lowers nothing
        how = "read while the machine was busy; for a narrower range, use --measure when it is idle"
        ends = longest(Range(low, likely, high), unmeasured)
        return Bandwidth(ends=ends, how=f"at least {_rate(rate)}, {how}")
    how = f"{_rate(rate)}, measured"
    if is_brief:
        how += " at present"
    if processor.is_guest:
        how += "; its host may give it more or less at another time"
    # what ran beside it for a moment lowers it: the fast end is no lower than without
    high, chip = max(high, unmeasured.high), processor.chip
    shares = processor.is_mac or any(card.unified for card in machine.accelerators or ())
    if chip is not None and shares and chip.high > high:
        high = float(chip.high)
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip.high)}/s"
    return Bandwidth(ends=Range(low, likely, high), how=how, measured=True)


def _rate(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s of memory bandwidth`."""
    rates = [f"{units.decimal(int(rate))}/s" for rate in bytes_per_second]
    return f"{' to '.join(rates)} of memory bandwidth"


def _named_memory(
    machine: Machine, rate: int | None
) -> tuple[str, cpus.Share, tuple[float, ...]] | None:
    """What chip, series or the computer around its cards tell of a memory: its name, how cores read
    it, and bytes per second of each socket with all channels filled: the least sold, the slowest
    usual kind, the likely, the fastest usual, the most sold.
    """
    processor, chip = processor_of(machine), chip_of(words_of(machine.cpu_model or ""))
    series = processor.series
    if processor.is_guest and (series is None or rate is not None):
        return None
    if chip is not None:
        if not chip.kind:
            return None
        return chip.name, cpus.share_of(chip.kind), (chip.gb_per_s * _GB,) * 5
    if series is not None:
        # between the kinds of memory that it takes, where as many have one as the other
        least, slowest, usual, fastest, most = series.bytes_per_second
        likely = (slowest * usual) ** 0.5 if series.share.takes_either else usual
        peaks = least, slowest, likely, fastest, most
        return f"a processor of the series {series.name}", series.share, peaks
    computer = gpus.computer_of(machine) if is_client_by_class(machine) else None
    if computer is None:
        return None
    # it may be slow in both: little is known of it
    least, usual, most = computer["bytes_per_second"][::2]
    called, share = f"a guess: {computer['name']} like this", cpus.share_of(computer["kind"])
    return called, share, (least, least, usual, usual, most)


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    processor, is_x86 = processor_of(machine), machine.architecture in (None, "x86_64")
    return is_x86 and not (processor.is_server or processor.is_guest)


def _by_name(machine: Machine, rate: int | None) -> Bandwidth | None:
    """Of the peak that somebody states, else of the usual one; None where no name tells it."""
    memory, processor, cores = _named_memory(machine, rate), processor_of(machine), None
    if memory is None:
        return None
    (called, share, peaks), series = memory, processor.series
    sockets = 1 if processor.has_some_threads else processor.sockets
    how = f"{called} reads up to {_rate(peaks[2])}"
    if rate is not None:
        is_assumed = series is not None and machine.memory_bandwidth_how == RATE_ASSUMED
        # every kind's peak in the proportion of the usual one's
        scale = rate / series.bytes_per_second.usual if series is not None and is_assumed else 0.0
        peaks, how = tuple(scale * peak or rate for peak in peaks), f"{_rate(rate)} (stated)"
    if machine.cpu_cores_usable is not None or machine.cpu_cores_physical is not None:
        cores = threads_range(machine).likely / sockets
    # memory or share is usual where the other is not; no more reaches the weights than memory gives
    read = [share.read_bytes_per_second(peak, cores) for peak in peaks]
    slow, usual, fast = constant("reading", "across_sockets") if sockets > 1 else SAME
    low = min(share.low * read[1], share.likely * read[0]) * slow
    likely = share.likely * read[2] * usual
    high = min(max(share.high * read[3], share.likely * read[4]), peaks[4] / BANDWIDTH_SHARE)
    part = units.percent(BANDWIDTH_SHARE * likely / (peaks[2] * sockets))
    if processor.has_some_threads:
        # its neighbours have the rest
        low *= constant("reading", "guest_share")
    elif _modules_are_unknown(machine):
        slow, usual, _ = constant("reading", "unknown_modules")
        low, likely = low * slow, likely * usual
    how += f", of which decoding gets about {part}, {share.source}"
    return Bandwidth(ends=Range(low, likely, high * fast * sockets), how=how)


def _bandwidth_of_guests(machine: Machine) -> Bandwidth | None:
    """None where a rate is known, or it is none of the guests that were counted, on servers."""
    processor, name = processor_of(machine), machine.cpu_model or ""
    series, maker = processor.series, cpus.maker_of(name)
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    is_emulated = machine.scope == "vm" and machine.architecture == "x86_64"
    is_emulated = is_emulated and not any(map(str.isdecimal, name))
    on_server = processor.is_server or is_emulated if series is None else series.kind == "server"
    is_counted = on_server and processor.is_guest and machine.cpu_cores_usable is not None
    if machine.memory_bandwidth_bytes_per_second is not None or not is_counted:
        return None
    guests = cpus.guests_with(
        processor.core.name,
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
    processor = processor_of(machine)
    series, is_stated = processor.series, machine.memory_bandwidth_bytes_per_second is not None
    if processor.is_guest or (is_stated and machine.memory_bandwidth_how != FILLED_ASSUMED):
        return False
    if series is None:
        # a machine whose processor nothing tells may be a laptop
        return "cpu_model" in machine.assumed
    has_two_slots = (series.channels, series.bits) == (2, 64) and series.memory != "soldered"
    return has_two_slots and "mobile" in series.kind.split("|")


def _class_memory(machine: Machine, cores: float) -> Memory:
    """What a machine of its class with so many cores may have."""
    name, rows, sets = machine.cpu_model or "", constant("memory"), machine.instruction_sets
    around, kind, processor = cpus.class_of(name), machine.architecture, processor_of(machine)
    if processor.is_server:
        kind = "server"
    elif processor.is_guest:
        kind = machine.scope
    elif kind == "x86_64" and sets is not None and "avx2" not in sets:
        kind = "old"
    row = rows.get(kind, rows["other"])
    (least_of_core, most_of_core), (least, most) = row["core"], row["all"]
    if kind == "x86_64":
        least = rows["old"]["all"][0] if sets is None else least
        most = constant("reading", "client_peaks").high if name else most
    low, high = min(least_of_core * cores, least), min(most_of_core * cores, most)
    what = f"{units.cores(cores)} of {row['called']}"
    slowest = around.get("least_gb_per_s") or around.get("most_gb_per_s")
    if "most_gb_per_s" in around:
        most = around["most_gb_per_s"]
        high, what = min(high, most), f"{what}, of a series that is no longer made"
    low = min(low, slowest or low)
    return Memory(low=int(low * _GB), high=int(high * _GB), called=what)


@lru_cache(maxsize=4096)
def efficiency(
    table: str, device: Accelerator, program: str = "", host: str | None = None, work: str = ""
) -> TomlRow:
    """The first row of a table of `specs/common/pace.toml` that fits a device."""
    name, words = device.name, words_of(device.name)
    capability, chip = gpus.capability_of(device), chip_of(words)
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    flops_of_cycle = peak / cycles if peak is not None and cycles is not None else inf
    facts = {
        "vendor": device.vendor.lower(),
        "unified": bool(device.unified),
        "integrated": bool(device.unified) and gpus.fact_of(name, "integrated") is not None,
        "less_power": not _LESS_POWER.isdisjoint(words),
        "hbm": gpus.has_hbm(name),
        "generation": gpus.fact_of(name, "generation"),
        "neural": chip is not None and chip.neural,
        "host": host,
        "program": program,
        "work": work,
    }
    for row in constant(table):
        fits = all(
            facts[key] == row[key] or (isinstance(row[key], list) and facts[key] in row[key])
            for key in facts.keys() & row.keys()
        )
        is_recent = fits and gpus.reaches_capability(capability, row.get("least_capability"))
        if is_recent and flops_of_cycle <= 1.01 * row.get("most_flops", inf):
            fitting: TomlRow = row
            return fitting
    raise LookupError(f"{table} has no row for all other GPUs")


def basis_of(row: TomlRow) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if devices < 3:
        return "a guess: published runs of fewer than three such GPUs were found"
    return f"fitted on published runs of {devices} GPUs"


def layer_from_python(device: Accelerator) -> Range:
    """Seconds that launching one layer from Python takes."""
    return Range(*efficiency("decode", device, "python")["layer_us"]) * 1e-6


class Gpu(Record):
    """Bytes per second of its memory, and where a guess is from; `host`: the processor's kind."""

    device: Accelerator
    peak_bandwidth: Range
    guessed: str | None = None
    host: str | None = None

    def row(self, step: Step) -> TomlRow:
        """What such GPUs reach with the step's program."""
        return efficiency("decode", self.device, step.program, self.host)

    def seconds(self, step: Step, share: float = 1.0, *, is_whole: bool = True) -> Range:
        """Of one step, or of a share of every layer: reading or unpacking, and launching.

        Not `is_whole`: a part lies in RAM, and the ends of that step hold how launches differ.
        """
        row, rows, weights_bytes = self.row(step), constant("type"), sum(step.read_bytes.values())
        ends = row["slow"], 1.0, row["fast"]
        if step.architecture is None or (step.foreign and "program" not in row):
            slow, fast = constant("unseen")
            ends = min(ends[0], slow), 1.0, max(ends[2], fast)
        # where llama.cpp's kernels set a limit
        cycles = gpus.cycles_per_second(self.device.name)
        per_cycle = inf if step.foreign else row.get("unpacked_per_cycle", inf)
        packed = {each: size for each, size in step.read_bytes.items() if each not in PLAIN_TYPES}
        counted = [size * rows.get(each, {}).get("unpack", 1) for each, size in packed.items()]
        unpacking = 0.0 if cycles is None else sum(counted) / (per_cycle * cycles)
        packed_bytes = sum(packed.values())
        read_bytes = weights_bytes - packed_bytes + step.context()[0]
        least = share * weights_bytes / (constant("most_of_peak") * self.peak_bandwidth[2])
        if step.launched_layers is not None:
            launching = step.launched_layers * layer_from_python(self.device)
        else:
            hears = getattr(step.architecture, "audio", None) is not None
            is_large = (hears or step.has_experts) and step.program != "graph"
            layers = step.blocks_in_layers() if row.get("half_layers") else step.layers
            launching = SAME * (layers * row["layer_us"] * 1e-6)
            if is_large:
                usual = constant("large_layer")
                launching *= Range(*row.get("large_layer", usual)) if is_whole else usual
        few_bits = Range(*row.get("few_bits", SAME))
        few_bytes = 0 if step.foreign else _bytes_in_few_bits(step)
        taken = []
        for end, peak, launched, few in zip(
            ends, self.peak_bandwidth, launching, few_bits, strict=True
        ):
            rate = peak * row["share"]
            read_packed = (packed_bytes - few_bytes) / rate + few_bytes / (few * rate)
            computed = share * (max(read_packed, unpacking) + read_bytes / rate) / end
            # Python launches while the GPU computes
            is_beside = step.launched_layers is not None
            computed = max(computed, launched) if is_beside else computed + launched / end
            taken.append(max(computed, least))
        return Range(*taken)

    def how(self, step: Step) -> str:
        """What the pace on it rests on, as a clause."""
        row = self.row(step)
        rate = f"{units.decimal(int(self.peak_bandwidth[2]))}/s at most"
        if self.guessed is not None:
            ends = [
                f"{units.decimal(int(end))}/s"
                for end in (self.peak_bandwidth[0], self.peak_bandwidth[2])
            ]
            rate = f"{' to '.join(ends)}, {self.guessed}"
        return (
            f"{self.device.name} ({rate}); weights are read at {units.percent(row['share'])} of"
            f" that ({basis_of(row)}: {row['called']})"
        )


def _bytes_in_few_bits(step: Step) -> int:
    """Weights in types of one to three bits, which kernels unpack with more work a byte."""
    rows = constant("type")
    return sum(
        size for name, size in step.read_bytes.items() if rows.get(name, {}).get("unpack", 1) > 1
    )


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """By its name, else between its maker's cards with as much memory; None where neither tells."""
    rate = device_bandwidth(device)
    if rate is not None:
        return Gpu(device=device, peak_bandwidth=SAME * rate, host=host)
    if device.unified or not device.memory_total_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(device.memory_total_bytes))
    if ends is None:
        return None
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    how = f"a guess by {makers} cards with {round(device.memory_total_bytes / units.GIB)} GiB"
    slow, fast = ends
    peak = Range(slow, (slow * fast) ** 0.5, fast) * units.GB
    return Gpu(device=device, peak_bandwidth=peak, guessed=how, host=host)


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second: as its driver tells, else by its name; None where neither does."""
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = gpus.fact_of(device.name, "gb_per_s", total and round(total / units.GIB))
    return None if peak is None else peak * units.GB


def shared_gpu_of(
    machine: Machine, runtime: RuntimeSpec | None = None, *, is_used: bool = False
) -> Gpu | None:
    """The GPU that shares the RAM; None without one that the builds know, of a known bandwidth, or
    `is_used`: that surely computes a model in RAM without being told to.
    """
    device = next((each for each in machine.accelerators or () if each.unified), None)
    if machine.accelerators is None and processor_of(machine).is_mac:
        device = Accelerator(vendor="apple", name="its GPU", unified=True)
    least = None if runtime is None else runtime.shared_compute_capability
    if device is None or reaches(device, least) is False:
        return None
    if is_used:
        is_usual = device.vendor.lower() in constant("shared_gpu", "measured_program")
        is_used = is_usual if runtime is None else computes_on_shared(runtime, device)
        # one that was not read, or that of a guest, may lie out of the program's reach
        if machine.accelerators is None or processor_of(machine).is_guest or not is_used:
            return None
    own = device_bandwidth(device)
    peak, guessed = (SAME * own, None) if own is not None else _peak_of_ram(machine)
    return peak and Gpu(device=device, peak_bandwidth=peak, guessed=guessed)


def _peak_of_ram(machine: Machine) -> tuple[Range | None, str | None]:
    """As stated or told by processor or chip, else a guess by class or cores, and its source."""
    rate = machine.memory_bandwidth_bytes_per_second
    series, chip = processor_of(machine).series, processor_of(machine).chip
    if series is not None and (rate is None or machine.memory_bandwidth_how == RATE_ASSUMED):
        # all channels filled, or as its assumed rate says
        _, slowest, usual, fastest, most = series.bytes_per_second
        filled = 1.0 if rate is None else rate / usual
        channels = "every channel" if filled == 1 else f"{units.percent(filled)} of its channels"
        most = max((usual * most) ** 0.5, fastest)
        guessed = f"the memory of {series.name} with {channels} filled"
        return Range(slowest, usual, most) * filled, guessed
    if rate is not None and not machine.is_bandwidth_measured:
        return SAME * rate, None
    if chip is not None and chip.called != ANY_APPLE:
        return SAME * chip.high, None
    memory = bandwidth(machine)
    if chip is not None:
        ends = constant("reading", "any_apple") * units.GB
    elif rate is None and is_client_by_class(machine):
        ends = constant("reading", "client_peaks") * units.GB
    elif memory is not None:
        ends = memory.ends
    else:
        return None, None
    if rate is not None:
        ends = longest(ends, SAME * rate)
    return ends, "a guess: not measured"
