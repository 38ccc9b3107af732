"""The processor of a Linux machine, read from files of its kernel: the architecture that programs
here are built for, the name and the instruction sets, and the cores that this process may use.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...core.records import Record
from .control_groups import read_cpu_quotas
from .host import CPUINFO, CPUS, STATUS, Facts, Host
from .texts import parse_cpuinfo, parse_cpus, parse_limit

_USABLE = "cpu_cores_usable"
_PHYSICAL = "cpu_cores_physical"
_PERFORMANCE = "cpu_cores_performance"
# the architecture of a 32-bit Python, by the architecture of its 64-bit kernel
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# by the architecture that programs are built for: a line of /proc/cpuinfo that only another kind of
# processor has
_FOREIGN = {
    "x86_64": "\nCPU implementer",
    "i686": "\nCPU implementer",
    "aarch64": "\nflags",
}
# the most characters of all names of instruction sets together; recorded machines have up to 1,255
_MOST_LETTERS_OF_SETS = 10_000
# Intel's two kinds of cores: the kernel has both files, or neither
_LARGE_CPUS = "/sys/devices/cpu_core/cpus"
_SMALL_CPUS = "/sys/devices/cpu_atom/cpus"
# the share of the highest capacity from which a core counts as fast: within a kind, the clock
# varies the capacity a little (997 to 1024 and 718 to 731 on a DGX Spark)
_LEAST_CAPACITY_OF_FASTEST = 0.9


def read_processor(host: Host, facts: Facts) -> None:
    """Read the architecture that programs here are made for, the processor's name, and its
    instruction sets.
    """
    architecture = host.architecture
    source = "uname"
    if host.ask("pointer_bits") == 32 and architecture in _NARROW:
        architecture = _NARROW[architecture]
        source = f"uname, {architecture}; this Python is a 32-bit one"
    facts.put(
        "architecture",
        architecture,
        source,
        why="the system did not say what processor it has",
    )
    text = host.read_text(CPUINFO)
    info = parse_cpuinfo(text)
    facts.put("cpu_model", info.name or None, CPUINFO, host.why[CPUINFO])
    sets = info.instruction_sets
    # a container built for another platform shows such a line
    if architecture in _FOREIGN and _FOREIGN[architecture] in f"\n{text}":
        facts.lack(
            "instruction_sets",
            f"programs for {architecture} are emulated here: {CPUINFO} is another processor's",
            remedy="use an image, or a Python, for the computer's own platform",
        )
    elif len(" ".join(sets or ())) > _MOST_LETTERS_OF_SETS:
        facts.lack("instruction_sets", f"{CPUINFO} lists more than any processor has")
    else:
        source = f"{CPUINFO}, what all CPUs have in common"
        facts.put("instruction_sets", sets, source, host.why[CPUINFO])


class _Cpus(Record):
    """Some CPUs by their numbers, and the source of the numbers."""

    numbers: frozenset[int]
    source: str


def read_cores(host: Host, facts: Facts) -> None:
    """Read the cores that this process may use, the cores of the fastest kind, and the CPUs that
    the process has at once.
    """
    allowed = _allowed_cpus(host)
    _read_usable(host, facts, allowed)
    cores = _threads_by_core(host, allowed.numbers)
    if not cores:
        why = "the kernel does not say which threads share a core, or which may be used"
        facts.lack(_PHYSICAL, why)
        facts.lack(_PERFORMANCE, why)
        return
    facts.put(
        _PHYSICAL,
        len(cores),
        source=f"{CPUS}, distinct sets of sibling threads among CPUs that this process may use",
    )
    try:
        fastest = _fastest_cpus(host, allowed.numbers, cores)
    except ValueError as error:
        facts.lack(_PERFORMANCE, str(error))
        return
    # if the process may use only small cores, these are its fastest
    numbers = (fastest.numbers & allowed.numbers) or allowed.numbers
    fast_cores = [core for core in cores if core & numbers]
    facts.put(_PERFORMANCE, len(fast_cores), fastest.source)


def _allowed_cpus(host: Host) -> _Cpus:
    """The CPUs that this process may use; none where the system does not say."""
    affinity = frozenset[int](host.ask("affinity") or ())
    if affinity:
        return _Cpus(numbers=affinity, source="sched_getaffinity")
    rest = host.read_text(STATUS).partition("Cpus_allowed_list:")[2]
    mask = rest.partition("\n")[0]
    allowed = parse_cpus(f"{mask.strip()}\n")
    online = parse_cpus(host.read_text(f"{CPUS}/online"))
    # the kernel's mask may name CPUs that do not exist
    numbers = allowed & online
    return _Cpus(numbers=numbers, source=f"{STATUS}, Cpus_allowed_list")


def _read_usable(
    host: Host,
    facts: Facts,
    allowed: _Cpus,
) -> None:
    """Read the CPUs that this process has at once: the allowed CPUs, or the least quota of a
    group.
    """
    count = len(allowed.numbers)
    if count == 0:
        silent = f"{CPUS}/online" if host.read_text(STATUS) else STATUS
        facts.lack(_USABLE, host.why[silent])
        return
    try:
        quotas = list(read_cpu_quotas(host))
    except ValueError as error:
        facts.lack(_USABLE, f"a limit may exist unseen: {error}")
        return
    least = min(quotas, key=lambda quota: quota.cpus, default=None)
    if least is None or least.cpus >= count:
        facts.put(_USABLE, float(count), allowed.source)
    else:
        share = f"{least.cpus:g} of {count} CPUs ({least.file})"
        facts.put(
            _USABLE, least.cpus, f"limited by control group {least.group}: {share}"
        )


def _threads_by_core(host: Host, cpus: Collection[int]) -> list[frozenset[int]]:
    """The CPUs of each core that has one of `cpus`; empty where the kernel does not say."""
    cores = []
    left = set(cpus)
    while left:
        cpu = min(left)
        path = f"{CPUS}/cpu{cpu}/topology/thread_siblings_list"
        threads = parse_cpus(host.read_text(path))
        if cpu not in threads:
            return []
        cores.append(threads)
        left -= threads
    return cores


def _fastest_cpus(
    host: Host,
    cpus: Collection[int],
    cores: Sequence[frozenset[int]],
) -> _Cpus:
    """The CPUs of the fastest kind, some of which this process may not use. `ValueError` where the
    kinds are not known.
    """
    if host.exists(_LARGE_CPUS) or host.exists(_SMALL_CPUS):
        for path in (_LARGE_CPUS, _SMALL_CPUS):
            if not parse_cpus(host.read_text(path)):
                raise ValueError(host.why[path])
        return _Cpus(
            numbers=parse_cpus(host.read_text(_LARGE_CPUS)), source=_LARGE_CPUS
        )
    lines = host.read_text(CPUINFO).splitlines()
    arm_parts = {line for line in lines if line.startswith("CPU part")}
    if len(arm_parts) > 1:
        return _cpus_of_most_capacity(host, cpus)
    return _cpus_of_most_threads(cores)


def _cpus_of_most_threads(cores: Sequence[frozenset[int]]) -> _Cpus:
    """The CPUs of the cores with most threads, where the kernel does not name the kinds: Intel's
    small cores have one thread where the large have two.
    """
    most = max(map(len, cores))
    large = [core for core in cores if len(core) == most]
    numbers = frozenset[int]().union(*large)
    return _Cpus(numbers=numbers, source=f"{CPUS}, cores by their threads")


def _cpus_of_most_capacity(host: Host, cpus: Collection[int]) -> _Cpus:
    """The CPUs whose capacity is near the highest, as Arm kernels state it. `ValueError` where a
    CPU states none.
    """
    capacities = {}
    for cpu in cpus:
        capacity = parse_limit(host.read_text(f"{CPUS}/cpu{cpu}/cpu_capacity"))
        if not capacity:
            raise ValueError(f"{CPUS}: not every CPU states its cpu_capacity")
        capacities[cpu] = capacity
    least = _LEAST_CAPACITY_OF_FASTEST * max(capacities.values())
    fastest = [cpu for cpu in cpus if capacities[cpu] >= least]
    return _Cpus(numbers=frozenset(fastest), source=f"{CPUS}, cpu_capacity")
