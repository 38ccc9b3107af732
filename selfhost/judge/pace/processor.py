"""What a machine's processor is, as far as its pace needs it: its series or chip by name, the kind
that its instruction sets make it, its sockets, the threads that a program starts, and what these
compute. `memory_bandwidth` says how fast they read.
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.spelling import words_of
from ...machine import cpus
from ...machine.chips import (
    Chip,
    apple_chip,
    apple_chips,
    apple_variant,
    most_gb_per_s_of_apple,
    soldered_chip,
)
from ...machine.record import Machine
from .engine import Range, constant, product

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

_GB = units.GB
# the peak of an M1: an Apple chip whose name does not tell its peak is taken for no slower one; its
# cores read some of it
_LEAST_APPLE_PEAK, _APPLE_LOW = 68.25 * _GB, 25 * _GB
ANY_APPLE = "an Apple chip"
# a virtual machine has some of the cores and mostly no GPU
GUEST_SHARE = 0.4
_SERVER_WORDS = frozenset((
    "xeon", "epyc", "threadripper", "opteron", "neoverse", "ampere", "altra", "a64fx", "taishan",
    "power8", "power9", "power10",
))  # fmt: skip
_CLIENT_WORDS = frozenset((
    "core", "i3", "i5", "i7", "i9", "ryzen", "celeron", "pentium", "athlon", "atom",
    "n95", "n97", "n100", "n150", "n200", "n305", "snapdragon",
))  # fmt: skip
# what a thread of a core computes that works for two, as guests of clouds have: 0.5 to 1 of it
_THREAD_OF_A_CORE = 0.7
# beyond so many, cores wait for each other and clock lower: of 32 on a Grace each reached 0.71 of
# what one of 4 did (ggml-org/llama.cpp#27491)
SCALE_WELL, FALL = 16, 0.4


# ---------------------------------------------------------------- by name


def _words(machine: Machine) -> frozenset[str]:
    return words_of(machine.cpu_model or "")


def named_processor(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it; None where neither tells,
    and for a chip with its memory beside it (`chip_of`).
    """
    if machine.emulated_on is not None or chip_of(machine) is not None:
        return None
    named = None if machine.cpu_model is None else cpus.processor_of(machine.cpu_model)
    inside = (
        cpus.processor_with(device.name) for device in machine.accelerators or () if device.unified
    )
    return named or next(filter(None, inside), None)


def sockets_of(machine: Machine, processor: cpus.Processor) -> int:
    """How many processors of that series its physical cores are, by the cores that the name states
    (`64-Core`), else that are listed, else of the largest; 1 where they are not known.
    """
    physical, name = machine.cpu_cores_physical, machine.cpu_model or ""
    if not processor.cores or physical is None:
        return 1
    cores, listed = processor.cores, cpus.cores_of(name)
    if listed is not None and listed.are_known:
        cores = listed.physical[1] // cpus.count_of(name)
    for word in name.lower().split():
        count, _, rest = word.partition("-")
        if rest in ("core", "cores") and count.isdecimal() and int(count):
            cores = int(count)
    return max(1, -(-physical // cores))


def is_guest(machine: Machine) -> bool:
    """Whether other machines may share its processor."""
    return machine.scope in ("vm", "container")


def has_whole_processor(machine: Machine) -> bool:
    """Whether every thread of its processor is its own: WSL, or a container without a limit."""
    own, usable = cpus.cores_of(machine.cpu_model or ""), machine.cpu_cores_usable
    return own is not None and own.are_known and usable is not None and usable >= own.usable


def is_server(machine: Machine) -> bool:
    """By words of its processor's name."""
    return not _SERVER_WORDS.isdisjoint(_words(machine))


def is_client(machine: Machine) -> bool:
    """By words of its processor's name; by its one maker's where none tells a server: `amd a8`."""
    words = _words(machine)
    is_of_maker = len(words.intersection(cpus.MAKERS)) == 1 and not is_server(machine)
    return is_of_maker or not words.isdisjoint(_CLIENT_WORDS)


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    is_x86 = machine.architecture in (None, "x86_64")
    return is_x86 and not (is_server(machine) or is_guest(machine))


def is_amd(machine: Machine) -> bool:
    """Whether the processor's name says that AMD made it."""
    return cpus.maker_of(machine.cpu_model or "") == "AMD"


def on_apple_gpu(machine: Machine) -> bool:
    """The runtime would use the GPU, and how fast the cores read prompts was not measured."""
    return machine.system == "macos" and machine.architecture == "aarch64"


def chip_in(machine: Machine) -> Chip | None:
    """The chip with its memory soldered beside it; None where its name means none."""
    return soldered_chip(_words(machine))


def chip_of(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a chip gives whose name tells it, low and high, and the chip as a
    clause; None for any other processor.
    """
    words = _words(machine)
    if "apple" in words or on_apple_gpu(machine):
        low, high, name = _apple(machine, words)
    else:
        chip = soldered_chip(words)
        if chip is None:
            return None
        low, high, name = chip.least_gb_per_s * _GB, chip.gb_per_s * _GB, chip.name
    return int(low * GUEST_SHARE if is_guest(machine) else low), int(high), name


def _apple(machine: Machine, words: frozenset[str]) -> tuple[float, float, str]:
    """What decoding gets of an Apple chip at least, its peak, and what it is called."""
    chip = next((name for name, _ in apple_chips() if name in words), "")
    variant = next((word for word in ("ultra", "max", "pro") if word in words), "")
    row, sibling = apple_chip(chip, variant), apple_variant(words)
    if row is None:
        least = sibling and sibling.slowest_gb_per_s * sibling.least_share * _GB
        return least or _APPLE_LOW, any_apple_peaks(machine)[2], ANY_APPLE
    name = " ".join(filter(None, ("Apple", chip.upper(), variant.capitalize())))
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable
    lowest = peak = row.gb_per_s
    if row.smaller is not None:
        smaller_cores, smaller_peak = row.smaller
        # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
        if is_guest(machine) or cores is None or cores < smaller_cores:
            lowest = smaller_peak
        elif cores == smaller_cores:
            lowest = peak = smaller_peak
            name = f"{name} with {smaller_cores} cores"
    return lowest * row.least_share * _GB, peak * _GB, f"{name}, by its cores or its GPU"


def any_apple_peaks(machine: Machine) -> Range:
    """Bytes per second that the memory of an Apple chip may give whose name is in no table: by its
    variant, where that is named.
    """
    variant = apple_variant(_words(machine))
    if variant is None:
        most = most_gb_per_s_of_apple() * _GB
        return _LEAST_APPLE_PEAK, (_LEAST_APPLE_PEAK * most) ** 0.5, most
    slowest, newest = variant.slowest_gb_per_s, variant.newest_gb_per_s
    return slowest * _GB, newest * _GB, variant.fastest_gb_per_s * _GB


# ---------------------------------------------------------------- by what its cores are

_AVX = frozenset(("avx", "avx2"))
# of cores that are not told, by sets that are taken from a class of which many have less
_OF_ASSUMED_SETS = (("avx", "from_avx"), ("sse4_2", "from_sse"), ("asimddp", "arm"))
# the row of `core` in cpus.toml by instruction sets: the first that a processor has decides
_CORES_OF_ARM = (("i8mm", "i8mm"), ("asimddp", "arm"))
_CORES_OF_X86 = (
    ("amx_tile", "amx"),
    ("avx512_bf16", "amx"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
)


@lru_cache(maxsize=4096)
def kind_of(machine: Machine) -> tuple[Range, Range]:
    """How it compares in decoding with the processor measured on: a row of `decode`."""
    core, sets = core_and_clock(machine)[0], machine.instruction_sets or ()
    series, name = named_processor(machine), constant("kind")[core]
    if core == "unread":
        name = next((kind for key, kind in _OF_ASSUMED_SETS if key in sets), name)
    elif core == "avx":
        has_avx = series.vectors != "sse" if series is not None else bool(_AVX.intersection(sets))
        name = name if has_avx else "sse"
    is_shared = name == "avx2" or (name == "avx512" and not is_amd(machine))
    if is_shared and is_guest(machine) and not has_whole_processor(machine):
        name = f"{name}_shared"
    return cpus.decode_ends(name)


@lru_cache(maxsize=4096)
def core_of(machine: Machine) -> cpus.Core:
    """What its cores compute."""
    return cpus.core_called(*core_and_clock(machine))


def core_and_clock(machine: Machine) -> tuple[str, float | None]:
    """The row of `core`, and the clock in GHz where the processor's name tells it."""
    series = named_processor(machine)
    for named in (chip_in(machine), series):
        if named is not None and named.core is not None:
            return named.core, named.ghz
    if machine.instruction_sets is None and series is not None:
        return cpus.CORE_OF[series.vectors], None
    return _core_by_sets(machine), None


def _core_by_sets(machine: Machine) -> str:
    sets, architecture = machine.instruction_sets, machine.architecture
    if architecture not in ("x86_64", "aarch64", None):
        return "scalar"
    if on_apple_gpu(machine):
        return "apple"
    if sets is None:
        return "unread"
    if machine.assumes("instruction_sets"):
        # what is assumed is the least
        return "from_avx2" if "avx2" in sets else "unread"
    if architecture == "aarch64":
        return next((core for name, core in _CORES_OF_ARM if name in sets), "neon")
    if "avx512f" in sets and is_amd(machine):
        # of AMD's, those from Zen 5 on have AVX-VNNI beside AVX-512
        return "zen5" if "avx_vnni" in sets else "zen4"
    return next((core for name, core in _CORES_OF_X86 if name in sets), "avx")


# ---------------------------------------------------------------- threads


def threads_of(machine: Machine, runtime: RuntimeSpec | None = None) -> float:
    """Cores that work at once: runtimes take one thread per physical core of the fastest kind
    (llama.cpp: common_cpu_get_num_math), but no more than they take by default.
    """
    physical = machine.cpu_cores_performance or machine.cpu_cores_physical
    usable = machine.cpu_cores_usable
    if usable is None and physical is None:
        # of a record that states a bandwidth and no cores; the slow end of an unread processor
        # covers fewer
        return 4.0
    most = None if runtime is None else runtime.default_threads
    return min(value for value in (usable, physical, most) if value is not None)


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """As `threads_of`: the fewest, the usual count and the most where the processor's name alone
    tells of how many, else three times the same.
    """
    threads, cores = threads_of(machine, runtime), None
    if machine.scope == "host" and machine.assumes("cpu_cores_usable"):
        cores = cpus.cores_in(machine)
    if cores is None:
        return threads, threads, threads
    most = None if runtime is None else runtime.default_threads
    least, usual, largest = (float(min(count, most or count)) for count in cores.performance)
    return least, usual, largest


@lru_cache(maxsize=4096)
def core_rate(machine: Machine) -> Range:
    """Operations a second of one core on a prompt, weights of Q4_K."""
    core, series = core_of(machine), named_processor(machine)
    count = machine.cpu_cores_physical or machine.cpu_cores_usable or 1
    sockets = 1 if series is None else sockets_of(machine, series)
    less = [min(1.0, float((SCALE_WELL / count) ** FALL)) / sockets]
    # clouds rent threads, two of a core, and a guest on x86-64 may see one on each
    sees_cores = machine.cpu_cores_usable == machine.cpu_cores_physical is not None
    if machine.scope == "vm" and machine.architecture == "x86_64" and sees_cores:
        less.append(_THREAD_OF_A_CORE)
    return product(core.prompt, core.ghz, (1e9, 1e9, 1e9), *((least, 1.0, 1.0) for least in less))


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """As `core_rate`, of all cores that the program uses."""
    least, usual, most = threads_range(machine, runtime)
    return product(core_rate(machine), (usual, usual, usual), (least / usual, 1.0, most / usual))
