"""What the cores of a processor compute in a second: by its name, else by its instruction sets.

The figures are the rows of `core` in specs/common/cpus.toml.
"""

from __future__ import annotations

from functools import lru_cache

from ...machine.record import Machine
from ..ranges import Range, product
from .processor import core_of, named_processor, sockets_of, threads_range

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

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
