"""What the cores of a processor compute in a second: by its name, else by its instruction sets.

The figures are the rows of `core` in specs/common/cpus.toml.
"""

from __future__ import annotations

from ..core.caching import lru_cache
from ..machine import cpus
from ..machine.record import Machine
from .processor import chip_in, is_amd, named_processor, sockets_of, threads_range
from .ranges import Range, product

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec

# what a thread of a core computes that works for two: a guest of a server may be given such threads
# as if each were a core, and then do 0.5 to 0.6 of its work. On three hosts 2 vCPUs read prompts
# 1.9 to 2.0 times as fast as one, as cores do, so that it counts less
_THREAD_OF_A_CORE = 0.7
# beyond so many, cores wait for each other and clock lower: of 32 on a Grace each reached 0.71 of
# what one of 4 did (ggml-org/llama.cpp#27491). Programs that ignore NUMA nodes may get no more from
# two sockets than from one
SCALE_WELL, FALL = 16, 0.4


@lru_cache(maxsize=4096)
def core_rate(machine: Machine) -> Range:
    """Operations a second of one core on a prompt, weights of Q4_K: slow end, likely, fast end."""
    core = core_of(machine)
    less = [_together(machine)]
    if _may_have_threads_for_cores(machine):
        less.append(_THREAD_OF_A_CORE)
    return product(core.prompt, core.ghz, (1e9, 1e9, 1e9), *((least, 1.0, 1.0) for least in less))


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """As `core_rate`, of all cores that the program uses."""
    least, usual, most = threads_range(machine, runtime)
    return product(core_rate(machine), (usual, usual, usual), (least / usual, 1.0, most / usual))


@lru_cache(maxsize=4096)
def core_of(machine: Machine) -> cpus.Core:
    """What its cores compute."""
    return cpus.core_called(*core_and_clock(machine))


def _together(machine: Machine) -> float:
    """What is left of each core's pace where many of them work, at the least."""
    count = machine.cpu_cores_physical or machine.cpu_cores_usable or 1
    series = named_processor(machine)
    sockets = 1 if series is None else sockets_of(machine, series)
    share: float = (SCALE_WELL / count) ** FALL
    return min(1.0, share) / sockets


def _may_have_threads_for_cores(machine: Machine) -> bool:
    """A guest on x86-64 that sees one thread on each core: clouds rent threads, two of a core."""
    return (
        machine.scope == "vm"
        and machine.architecture == "x86_64"
        and machine.cpu_cores_physical is not None
        and machine.cpu_cores_usable == machine.cpu_cores_physical
    )


@lru_cache(maxsize=4096)
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
    if sets is None:
        return (
            "i8mm" if machine.architecture == "aarch64" and machine.system == "macos" else "unread"
        )
    if machine.assumes("instruction_sets"):
        # what is assumed is the least
        return "from_avx2" if "avx2" in sets else "unread"
    if machine.architecture == "aarch64":
        return next((core for name, core in _ARM if name in sets), "neon")
    if "avx512f" in sets and is_amd(machine):
        # of AMD's, those from Zen 5 on have AVX-VNNI beside AVX-512
        return "zen5" if "avx_vnni" in sets else "zen4"
    return next((core for name, core in _X86 if name in sets), "avx")


# the first that a processor has decides
_ARM = (("i8mm", "i8mm"), ("asimddp", "arm"))
_X86 = (("amx_tile", "amx"), ("avx512_bf16", "amx"), ("avx512f", "avx512"), ("avx2", "avx2"))
