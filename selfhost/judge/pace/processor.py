"""What a machine's processor is, as far as decoding needs it: its series or chip by name, the kind
that its instruction sets make it, its sockets, and the threads that a program starts.

`memory_bandwidth` says how fast it reads, `speed` where the figures were measured.
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.spelling import words_of
from ...machine import cpus
from ...machine.chips import (
    AppleChip,
    Chip,
    apple_chip,
    apple_chips,
    apple_variant,
    most_gb_per_s_of_apple,
    soldered_chip,
)
from ...machine.record import Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ..ranges import Range

_GB = units.GB


# the cores of an M1
_APPLE_LOW = 25 * _GB
# the peak of an M1: an Apple chip whose name does not tell its peak is taken for no slower one
_LEAST_APPLE_PEAK = 68.25 * _GB
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


def named_processor(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it; None where neither tells,
    and for a chip with its memory beside it (`chip_of`).
    """
    if machine.emulated_on is not None or chip_of(machine) is not None:
        return None
    named = None if machine.cpu_model is None else cpus.processor_of(machine.cpu_model)
    if named is not None:
        return named
    inside = (
        cpus.processor_with(device.name) for device in machine.accelerators or () if device.unified
    )
    return next(filter(None, inside), None)


def has_all_of_it(machine: Machine) -> bool:
    """Whether every thread of its processor is its own: WSL, or a container without a limit."""
    own, usable = cpus.cores_of(machine.cpu_model or ""), machine.cpu_cores_usable
    return own is not None and own.are_known and usable is not None and usable >= own.usable


def sockets_of(machine: Machine, processor: cpus.Processor) -> int:
    """How many processors of that series its physical cores are; 1 where they are not known."""
    if not processor.cores or machine.cpu_cores_physical is None:
        return 1
    return max(1, -(-machine.cpu_cores_physical // _cores_of_socket(machine, processor)))


def has_sockets(machine: Machine) -> bool:
    """Whether its cores are surely those of several processors."""
    series = named_processor(machine)
    return series is not None and not is_guest(machine) and sockets_of(machine, series) > 1


def _cores_of_socket(machine: Machine, processor: cpus.Processor) -> int:
    """As the name says (`64-Core`), else as its number is listed, else those of the largest of the
    series.
    """
    name = machine.cpu_model or ""
    said = [
        word[: -len("-core")] for word in name.lower().split() if word.endswith(("-core", "-cores"))
    ]
    if said and said[0].isdecimal() and int(said[0]):
        return int(said[0])
    listed = cpus.cores_of(name)
    if listed is not None and listed.are_known:
        return listed.physical[1] // cpus.count_of(name)
    return processor.cores


def part_of_socket(machine: Machine, processor: cpus.Processor) -> float | None:
    """Which share of a socket's threads a guest has; None where that is not known."""
    if not processor.cores or machine.cpu_cores_usable is None:
        return None
    return min(1.0, machine.cpu_cores_usable / (processor.cores * processor.threads))


def is_server(machine: Machine) -> bool:
    return bool(_words(machine) & _SERVER_WORDS)


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    is_x86 = machine.architecture in (None, "x86_64")
    return is_x86 and not (is_server(machine) or is_guest(machine))


def _words(machine: Machine) -> frozenset[str]:
    return words_of(machine.cpu_model or "")


def is_amd(machine: Machine) -> bool:
    """Whether the processor's name says that AMD made it."""
    return cpus.maker_of(machine.cpu_model or "") == "AMD"


def chip_in(machine: Machine) -> Chip | None:
    """The chip with its memory soldered beside it; None where its name means none."""
    return soldered_chip(_words(machine))


def is_guest(machine: Machine) -> bool:
    return machine.scope in ("vm", "container")


def chip_of(machine: Machine) -> tuple[int, int, str] | None:
    """Bytes per second that a chip gives whose name tells it, low and high, and the chip as a
    clause; None for any other processor.
    """
    words = _words(machine)
    if "apple" in words or on_apple_gpu(machine):
        return _apple(
            words, is_guest(machine), machine.cpu_cores_physical or machine.cpu_cores_usable
        )
    chip = soldered_chip(words)
    if chip is None:
        return None
    share = GUEST_SHARE if is_guest(machine) else 1
    least = int(chip.least_gb_per_s * share * _GB)
    return least, int(chip.gb_per_s * _GB), chip.name


def is_client(machine: Machine) -> bool:
    """By words of its processor's name; by its one maker's where none tells a server: `amd a8`."""
    words = _words(machine)
    is_of_maker = len(words.intersection(cpus.MAKERS)) == 1 and not is_server(machine)
    return is_of_maker or not words.isdisjoint(_CLIENT_WORDS)


def _apple_words(words: frozenset[str]) -> tuple[str, str]:
    """The chip and its variant, as `("m1", "max")`; empty where the words do not say."""
    chips = {chip for chip, _ in apple_chips()}
    chip = next((word for word in words if word in chips), "")
    return chip, next((word for word in ("ultra", "max", "pro") if word in words), "")


def apple_chip_in(machine: Machine) -> AppleChip | None:
    """The Apple chip that the machine has; None where its words do not say."""
    return apple_chip(*_apple_words(_words(machine)))


def any_apple_peaks(machine: Machine) -> Range:
    """Bytes per second that the memory of an Apple chip may give whose name is in no table: by its
    variant, where that is named.
    """
    return _apple_peaks(_words(machine))


def _apple_peaks(words: frozenset[str]) -> Range:
    variant = apple_variant(words)
    if variant is None:
        most = most_gb_per_s_of_apple() * _GB
        return _LEAST_APPLE_PEAK, (_LEAST_APPLE_PEAK * most) ** 0.5, most
    return (
        variant.slowest_gb_per_s * _GB,
        variant.newest_gb_per_s * _GB,
        variant.fastest_gb_per_s * _GB,
    )


def _apple(words: frozenset[str], guest: bool, cores: float | None) -> tuple[int, int, str]:
    chip, variant = _apple_words(words)
    row = apple_chip(chip, variant)
    if row is None:
        sibling = apple_variant(words)
        low = (
            _APPLE_LOW if sibling is None else sibling.slowest_gb_per_s * sibling.least_share * _GB
        )
        least = low * GUEST_SHARE if guest else low
        return int(least), int(_apple_peaks(words)[2]), ANY_APPLE
    name = " ".join(filter(None, ("Apple", chip.upper(), variant.capitalize())))
    lowest = peak = row.gb_per_s
    if row.smaller is not None:
        smaller_cores, smaller_peak = row.smaller
        # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
        if guest or cores is None or cores < smaller_cores:
            lowest = smaller_peak
        elif cores == smaller_cores:
            lowest = peak = smaller_peak
            name = f"{name} with {smaller_cores} cores"
    least = lowest * row.least_share * (GUEST_SHARE if guest else 1)
    return int(least * _GB), int(peak * _GB), f"{name}, by its cores or its GPU"


def on_apple_gpu(machine: Machine) -> bool:
    """The runtime would use the GPU, and how fast that reads prompts was not measured."""
    return machine.system == "macos" and machine.architecture == "aarch64"


@lru_cache(maxsize=4096)
def kind_of(machine: Machine) -> cpus.DecodeKind:
    """How it compares in decoding with the processor measured on: a row of `decode`."""
    name = _kind_of_whole_cores(machine)
    shares_cores = is_guest(machine) and not has_all_of_it(machine)
    if shares_cores and name == "avx512" and not is_amd(machine):
        name = "avx512_shared"
    elif shares_cores and name == "avx2":
        name = "avx2_shared"
    return cpus.decode_kind(name)


def _kind_of_whole_cores(machine: Machine) -> str:
    sets = machine.instruction_sets
    if machine.architecture not in ("x86_64", "aarch64", None):
        return "scalar"
    is_assumed = machine.assumes("instruction_sets")
    by_name = _kind_by_name(machine) if sets is None or is_assumed else None
    if by_name is not None:
        return by_name
    if sets is None:
        is_mac = machine.architecture == "aarch64" and machine.system == "macos"
        return "arm" if is_mac else "unread"
    if is_assumed:
        # the least of x86-64-v3, which bounds the slow end, of a class of which many have less, and
        # of Armv8.0, which few still have
        return next((kind for name, kind in _BY_ASSUMED_SETS if name in sets), "unread")
    if machine.architecture == "aarch64":
        return "arm" if "asimddp" in sets else "old"
    if "avx512_bf16" in sets and is_amd(machine):
        return "zen"
    return next((kind for name, kind in _BY_SETS if name in sets), "sse")


# of x86-64, the first that a processor has decides
_BY_SETS = (("avx512f", "avx512"), ("avx2", "avx2"), ("avx", "old"))
_BY_ASSUMED_SETS = (
    ("avx2", "from_avx2"),
    ("avx", "from_avx"),
    ("sse4_2", "from_sse"),
    ("asimddp", "arm"),
)
# of a record that names the processor and no instruction sets: `vectors` of its row
_BY_VECTORS = {"none": "old", "neon": "old"}


def _kind_by_name(machine: Machine) -> str | None:
    chip, series = chip_in(machine), named_processor(machine)
    cores = [named.core for named in (chip, series) if named is not None and named.core is not None]
    of_cores = (cpus.core_called(core, None).vectors for core in cores)
    vectors = next(filter(None, of_cores), None if series is None else series.vectors)
    if vectors == "avx512" and is_amd(machine):
        return "zen"
    return None if vectors is None else _BY_VECTORS.get(vectors, vectors)


def threads_of(machine: Machine, runtime: RuntimeSpec | None = None) -> float:
    """Cores that work at once: runtimes take one thread per physical core of the fastest kind
    (llama.cpp: common_cpu_get_num_math), but no more than they take by default.
    """
    usable, physical = (
        machine.cpu_cores_usable,
        machine.cpu_cores_performance or machine.cpu_cores_physical,
    )
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
    threads = threads_of(machine, runtime)
    cores = None
    if machine.scope == "host" and machine.assumes("cpu_cores_usable"):
        cores = cpus.cores_in(machine)
    if cores is None:
        return threads, threads, threads
    most = None if runtime is None else runtime.default_threads
    least, usual, largest = (float(min(count, most or count)) for count in cores.performance)
    return least, usual, largest


@lru_cache(maxsize=4096)
def core_of(machine: Machine) -> cpus.Core:
    """What its cores compute."""
    return cpus.core_called(*core_and_clock(machine))


def core_and_clock(machine: Machine) -> tuple[str, float | None]:
    """The row of `core`, and the clock in GHz where the processor's name tells it."""
    chip = chip_in(machine)
    if chip is not None and chip.core is not None:
        return chip.core, chip.ghz
    series = named_processor(machine)
    if series is not None and series.core is not None:
        return series.core, series.ghz
    if machine.instruction_sets is None and series is not None:
        return cpus.core_of_vectors(series.vectors), None
    return _by_instruction_sets(machine), None


def _by_instruction_sets(machine: Machine) -> str:
    sets = machine.instruction_sets
    if machine.architecture not in ("x86_64", "aarch64", None):
        return "scalar"
    if machine.architecture == "aarch64" and machine.system == "macos":
        return "apple"
    if sets is None:
        return "unread"
    if machine.assumes("instruction_sets"):
        # what is assumed is the least
        return "from_avx2" if "avx2" in sets else "unread"
    if machine.architecture == "aarch64":
        return next((core for name, core in _CORES_OF_ARM if name in sets), "neon")
    if "avx512f" in sets and is_amd(machine):
        # of AMD's, those from Zen 5 on have AVX-VNNI beside AVX-512
        return "zen5" if "avx_vnni" in sets else "zen4"
    return next((core for name, core in _CORES_OF_X86 if name in sets), "avx")


# the first that a processor has decides
_CORES_OF_ARM = (("i8mm", "i8mm"), ("asimddp", "arm"))
_CORES_OF_X86 = (
    ("amx_tile", "amx"),
    ("avx512_bf16", "amx"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
)
