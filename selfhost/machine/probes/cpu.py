"""CPU: what it is called, its cores, how many of them this process may use, and its instruction
sets; whether it is that of a container, a virtual machine or the computer itself; and how fast its
usable cores together read memory, measured.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, thread_time
from typing import NamedTuple

from ...core import units
from ...core.records import Unread
from ...core.tables import shipped_table
from ..record import BANDWIDTH, BRIEFLY, LEAST, MEASURED, Machine, normal_architecture
from .host import Facts, Host, reason_of, whole
from .memory import CGROUP, STATUS, VIRTUAL_KERNELS, parse_limit, read_groups

PHYSICAL, PERFORMANCE = "cpu_cores_physical", "cpu_cores_performance"
USABLE, SETS = "cpu_cores_usable", "instruction_sets"
CPUINFO, CPUS = "/proc/cpuinfo", "/sys/devices/system/cpu"
# what a 32-bit program system on a 64-bit kernel runs
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# by what programs are made for: a line of /proc/cpuinfo that another kind of processor has
_FOREIGN = {"x86_64": "CPU implementer", "i686": "CPU implementer", "aarch64": "flags"}
_DMI, _TREE = "/sys/class/dmi/id", "/proc/device-tree"
_FIRMWARE = (f"{_DMI}/sys_vendor", f"{_DMI}/product_name", f"{_TREE}/compatible", f"{_TREE}/model")
_REGISTRY = r"HARDWARE\DESCRIPTION\System"
_BIOS = (rf"{_REGISTRY}\BIOS\SystemManufacturer", rf"{_REGISTRY}\BIOS\SystemProductName")


def parse_cpuinfo(text: str) -> Mapping[str, Sequence[str]]:
    """/proc/cpuinfo: every key to its distinct values in order, over all CPUs."""
    values_of_key: dict[str, dict[str, None]] = {}
    for line in dict.fromkeys(text.splitlines()):
        key, colon, value = line.partition(":")
        if colon and value.strip():
            values_of_key.setdefault(key.strip(), {})[value.strip()] = None
    return {key: list(values) for key, values in values_of_key.items()}


def parse_list(text: str) -> frozenset[int]:
    """`0-3,8` -> the numbers; none of another shape, or a line that was cut off."""
    part = r"([0-9]{1,5})(?:-([0-9]{1,5}))?"
    pairs = re.findall(part, text) if re.fullmatch(rf"{part}(?:,{part})*\n", text) else []
    return frozenset(n for low, high in pairs for n in range(int(low), int(high or low) + 1))


def parse_model(text: str) -> str:
    """What the processor is called: its parts where an Arm kernel gives only numbers; or empty."""
    lines = parse_cpuinfo(text)
    if parts := lines.get("CPU part"):
        table = shipped_table("firmware_names")["arm_parts"]
        makers = [table.get(maker.lower(), {}) for maker in lines.get("CPU implementer", ())]
        names = dict.fromkeys(
            maker[part.lower()] for maker in makers for part in parts if part.lower() in maker
        )
        if names:
            board = lines.get("Model", [""])[0]
            return " + ".join(names) + (f" ({board})" if board else "")
    keys = ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware")
    return next((" ".join(lines[key][0].split()) for key in keys if key in lines), "")


def read_processor(host: Host, facts: Facts) -> None:
    """What programs here are made for, and what the processor is called."""
    kind, source = normal_architecture(host.machine) or None, "uname"
    if host.system == "windows":
        source, key = "registry, PROCESSOR_ARCHITECTURE", "ProcessorNameString"
        name = str(host.ask("registry", rf"{_REGISTRY}\CentralProcessor\0\{key}") or "")
        where, why = f"registry, {key}", f"registry, {key} does not say"
    elif host.system == "macos":
        where, why = "sysctl machdep.cpu.brand_string", "sysctl machdep.cpu.brand_string is empty"
        name = host.sysctl("machdep.cpu.brand_string")
        if host.sysctl("hw.optional.arm64") == "1":
            kind, source = "aarch64", "sysctl hw.optional.arm64"
            if host.sysctl("sysctl.proc_translated") == "1":
                source += "; this Python is an x86_64 one under Rosetta: install an arm64 one"
    else:
        name, where = parse_model(host.read_text(CPUINFO)), CPUINFO
        why = host.why[CPUINFO]
        if host.ask("pointer_bits") == 32 and kind in _NARROW:
            kind, source = _NARROW[kind], f"uname, {kind}; this Python is a 32-bit one"
    facts.put("architecture", kind, source, "the system did not say what processor it has")
    facts.put("cpu_model", name.strip() or None, where, why)


def parse_instruction_sets(text: str) -> tuple[str, ...] | None:
    """What every listed CPU can do, sorted; None where the kernel lists none (RISC-V, POWER)."""
    lines = parse_cpuinfo(text)
    lists = lines.get("flags") or lines.get("Features")
    if not lists:
        return None
    names = sorted(set.intersection(*(set(words.lower().split()) for words in lists)))
    return tuple(names) if all(map(str.isprintable, names)) else None


def read_instruction_sets(host: Host, facts: Facts) -> None:
    """What the kernel lets programs use of the processor, in the Linux kernel's words."""
    kind = facts.values.get("architecture", "")
    if host.system == "macos":
        _read_mac_sets(host, facts)
    elif host.system == "windows":
        _read_windows_sets(host, facts, is_arm=kind == "aarch64")
    elif _FOREIGN.get(kind) in parse_cpuinfo(host.read_text(CPUINFO)):
        # as in a container of another platform
        reason = f"programs for {kind} are emulated here: {CPUINFO} is of another processor"
        remedy = "take an image, or a Python, of the computer's own platform"
        facts.miss(SETS, reason, remedy)
    else:
        names = parse_instruction_sets(host.read_text(CPUINFO))
        facts.put(SETS, names, f"{CPUINFO}, what all CPUs have in common", host.why[CPUINFO])


def _read_mac_sets(host: Host, facts: Facts) -> None:
    tables = shipped_table("firmware_names")
    names = ("features", "extfeatures", "leaf7_features")
    basic, extended, leaf7 = (host.sysctl(f"machdep.cpu.{name}").lower().split() for name in names)
    arm = tables["mac_arm"].items()
    there = {linux for name, linux in arm if host.sysctl(f"hw.optional.{name}") == "1"}
    source = "sysctl hw.optional"
    # what has FMA has AVX2 too (Haswell), so that its list cannot be empty
    if not there and basic and extended and (leaf7 or "fma" not in basic):
        there = {tables["mac_x86"].get(word, word) for word in (*basic, *extended, *leaf7)}
        source = "sysctl machdep.cpu.features, leaf7_features"
    why = "sysctl names no instruction sets, or one of machdep.cpu's lists is empty"
    facts.put(SETS, tuple(sorted(there)) or None, source, why)


def _read_windows_sets(host: Host, facts: Facts, *, is_arm: bool) -> None:
    table = shipped_table("firmware_names")["windows_arm" if is_arm else "windows_x86"]
    there = host.ask("processor_features") or ()
    names = tuple(sorted(name for number, name in table.items() if int(number) in there))
    unread = "Windows did not say what the processor can do"
    facts.put(SETS, names or None, "IsProcessorFeaturePresent", unread)
    # not asked: their absence from the list does not say that they are missing
    unasked = ("i8mm", "bf16", "sve") if is_arm else ("fma", "f16c", "bmi2")
    for name in unasked if names else ():
        facts.miss(f"{SETS}.{name}", "Windows does not tell programs about it")


def read_cores(host: Host, facts: Facts) -> None:
    """Cores that this process may use, those of the fastest kind, and CPUs that it has at once."""
    if host.system != "linux":
        _read_other_cores(host, facts)
        return
    online = parse_list(host.read_text(f"{CPUS}/online"))
    cpus, source = frozenset[int](host.ask("affinity") or ()), "sched_getaffinity"
    if not cpus:
        # the kernel's mask may name CPUs that are not there
        mask = parse_cpuinfo(host.read_text(STATUS)).get("Cpus_allowed_list", [""])[0]
        cpus, source = parse_list(f"{mask}\n") & online, f"{STATUS}, Cpus_allowed_list"
    _read_usable(host, facts, cpus, source)
    cores, left = list[frozenset[int]](), set(cpus)
    while left:
        path = f"{CPUS}/cpu{min(left)}/topology/thread_siblings_list"
        cores.append(parse_list(host.read_text(path)))
        left = left - cores[-1] if min(left) in cores[-1] else set()
    if not cores or not cores[-1]:
        for fact in (PHYSICAL, PERFORMANCE):
            facts.miss(fact, "the kernel does not tell cores from threads, or which may be used")
        return
    source = f"{CPUS}, distinct sets of sibling threads among CPUs that this process may use"
    facts.put(PHYSICAL, len(cores), source)
    try:
        fastest, source = _fastest(host, cpus, cores)
        facts.put(PERFORMANCE, sum(bool(core & (fastest or cpus)) for core in cores), source)
    except ValueError as error:
        facts.miss(PERFORMANCE, str(error))


def _read_usable(host: Host, facts: Facts, cpus: frozenset[int], source: str) -> None:
    if not cpus:
        facts.miss(USABLE, host.why[f"{CPUS}/online" if host.read_text(STATUS) else STATUS])
        return
    least = float(len(cpus))
    try:
        version, levels = read_groups(host, "cpu")
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
        for folder, group in levels:
            text = "".join(host.read_text(f"{folder}/{name}") for name in names)
            words = text.split() if text.endswith("\n") else []
            quota, period = (*(parse_limit(f"{word}\n") for word in words), None, None)[:2]
            if not quota or not period:
                raise ValueError(host.why[f"{folder}/{names[-1] if quota else names[0]}"])
            if quota / period < least:
                least = quota / period
                share = f"{least:g} of {len(cpus)} CPUs ({names[0]})"
                source = f"limited by control group {group}: {share}"
        facts.put(USABLE, least, source)
    except ValueError as error:
        facts.miss(USABLE, f"a limit may exist unseen: {error}")


def _fastest(
    host: Host, cpus: frozenset[int], cores: Sequence[frozenset[int]]
) -> tuple[frozenset[int], str]:
    """The CPUs of the fastest kind and where that was read. `ValueError` where it is not known."""
    # Intel's two kinds: both files, or neither
    paths = [f"/sys/devices/cpu_{kind}/cpus" for kind in ("core", "atom")]
    if any(map(host.exists, paths)):
        large, small = (parse_list(host.read_text(path)) for path in paths)
        if not large or not small:
            raise ValueError(host.why[paths[1] if large else paths[0]])
        return large & cpus, paths[0]
    if len(parse_cpuinfo(host.read_text(CPUINFO)).get("CPU part", ())) > 1:
        # a capacity differs a little by clock within a kind (997 to 1024 and 718 to 731 on a DGX
        # Spark)
        texts = {cpu: host.read_text(f"{CPUS}/cpu{cpu}/cpu_capacity") for cpu in cpus}
        numbers = {cpu: parse_limit(text) or 0 for cpu, text in texts.items()}
        if not all(numbers.values()):
            raise ValueError(f"{CPUS}: not every CPU states its cpu_capacity")
        least = 0.9 * max(numbers.values())
        return frozenset(cpu for cpu in cpus if numbers[cpu] >= least), f"{CPUS}, cpu_capacity"
    # a kernel that does not name the kinds shows them by their threads: Intel's small cores have
    # one where the large have two
    threads = max(map(len, cores))
    large = frozenset().union(*(core for core in cores if len(core) == threads))
    return large & cpus, f"{CPUS}, cores by their threads"


def _read_other_cores(host: Host, facts: Facts) -> None:
    """Where there is no /proc: by psutil, or by macOS' sysctl, which alone tells of their kinds."""
    counts, unread = host.ask("cores") or {}, "the system does not state it"
    physical = counts.get("physical") or whole(host.sysctl("hw.physicalcpu"), 9) or None
    usable = counts.get("usable") or whole(host.sysctl("hw.logicalcpu"), 9)
    fast, source = whole(host.sysctl("hw.perflevel0.physicalcpu")) or None, "sysctl hw.perflevel0"
    if host.system == "macos" and not fast and host.sysctl("hw.optional.arm64") != "1":
        fast, source = physical, "an Intel Mac's cores are alike"
    tool = "psutil" if counts else "sysctl"
    facts.put(PHYSICAL, physical, f"{tool}, physical CPUs", unread)
    facts.put(USABLE, float(usable) if usable else None, f"{tool}, logical CPUs", unread)
    facts.put(PERFORMANCE, fast, source, unread)


def read_scope(host: Host, facts: Facts) -> None:
    """`container`, `vm` or `host`: by the first sign of each."""
    group, root = host.read_text(CGROUP), host.mount_of("/")
    is_layered = root is not None and root.filesystem not in ("ext4", "xfs")
    names = ("container", "KUBERNETES_SERVICE_HOST")
    signs = {f"variable {name}": name in host.env for name in names}
    # the file is still there after a virtual machine was made from a container's image
    signs["/.dockerenv"] = is_layered and host.exists("/.dockerenv")
    signs |= {path: host.exists(path) for path in ("/run/.containerenv", "/run/systemd/container")}
    signs[CGROUP] = any(word in group for word in shipped_table("platforms")["container_groups"])
    sign = next((sign for sign, shows in signs.items() if shows), None)
    if host.system == "linux" and sign:
        facts.put("scope", "container", sign)
        return
    is_guest, source = _guest_sign(host)
    scope = {True: "vm", False: "host", None: None}[is_guest]
    facts.put("scope", scope, source, "nothing tells whether this is a virtual machine")


def _guest_sign(host: Host) -> tuple[bool | None, str]:
    """Whether this is a virtual machine, None where nothing tells, and what does."""
    if host.system == "macos":
        stated, features = host.sysctl("kern.hv_vmm_present"), host.sysctl("machdep.cpu.features")
        if not stated and features:
            return "VMM" in features.split(), "sysctl machdep.cpu.features"
        return {"0": False, "1": True}.get(stated), "sysctl kern.hv_vmm_present"
    if host.system == "windows":
        return _by_firmware({f"registry, {key}": host.ask("registry", key) or "" for key in _BIOS})
    flags = parse_instruction_sets(host.read_text(CPUINFO)) or ()
    if any(word in host.release for word in VIRTUAL_KERNELS):
        return True, "kernel release"
    if "hypervisor" in flags or "sse2" in flags:
        # x86 kernels always show the flag to a guest
        is_guest = "hypervisor" in flags
        return is_guest, f"{CPUINFO}, {'' if is_guest else 'no '}flag hypervisor"
    if host.exists(f"{_TREE}/hypervisor"):
        return True, f"{_TREE}/hypervisor"
    return _by_firmware({path: host.read_word(path) for path in _FIRMWARE})


def _by_firmware(words: Mapping[str, str]) -> tuple[bool | None, str]:
    text = " ".join(words.values()).strip().lower()
    virtual = shipped_table("firmware_names")["virtual_firmware"]
    is_guest = ".metal" not in text and any(word in text for word in virtual)
    return is_guest if text else None, " and ".join(path for path in words if words[path])


# how fast memory that no cache holds is read, by the C library's memchr: that of a C probe within
# 20 % on AMD's Zen 4 and 5, and 0.7 of it on Granite Rapids, where llama.cpp got what memchr tells
_CHUNK_BYTES = 2 * units.MIB
# how much is read: so many times the caches, or those that are usual where the system tells none
_TIMES_CACHES, _USUAL_CACHE_BYTES = 4, 64 * units.MIB
_LEAST_BYTES, _MOST_BYTES = 64 * units.MIB, 4 * units.GIB
# what filling and reading may take, with care and within 60 ms
_CAREFUL_SECONDS, _BRIEF_SECONDS = (2.0, 0.4), (0.028, 0.012)
# of its processor, what an undisturbed thread gets; more threads than so many add nothing
_LEAST_CPU_SHARE, _MAX_THREADS = 0.95, 16


class Trace(NamedTuple):
    """When a thread began and was done with each chunk, its share of a processor, and the bytes
    that it read over and over.
    """

    seconds: list[float]
    cpu_share: float
    area_bytes: int


def with_measured(machine: Machine, *, brief: bool = False, host: Host | None = None) -> Machine:
    """`machine`, which must be this computer, with its bandwidth, or with why it has none."""
    try:
        figure, source, is_busy = measure(machine, host or Host(), brief=brief)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        remedy = "run with --measure when the machine is idle, or give it in a machine file"
        why = Unread(fact=BANDWIDTH, reason=f"not measured: {reason_of(error)}", remedy=remedy)
        without = machine.stated({BANDWIDTH: None}, "no bandwidth")
        return without.replace(measured_in_vain=not brief, unread=(why, *without.unread))
    how, bound = BRIEFLY if brief else MEASURED, LEAST if is_busy else None
    facts = {BANDWIDTH: figure, "memory_bandwidth_how": how, "memory_bandwidth_bound": bound}
    return machine.stated(facts, source).replace(measured_in_vain=False)


def measure(machine: Machine, host: Host, *, brief: bool) -> tuple[int, str, bool]:
    """Bytes per second, how measured, and whether others had a part; `ValueError`: no use."""
    usable, free = machine.cpu_cores_usable or 0, machine.memory_available_bytes or 0
    others = _count_other_programs(host)
    refusals = {
        "the machine is a recorded one": not host.live,
        "processors or free memory were not read": not (usable and free),
        f"a quota of {units.cores(usable)} interrupts every measurement": usable < 1,
        "other programs keep the processors busy": brief and others >= usable,
    }
    if reason := next((reason for reason, holds in refusals.items() if holds), None):
        raise ValueError(reason)
    count = min(int(usable), machine.cpu_cores_physical or 1, _MAX_THREADS)
    wanted_bytes = max(_LEAST_BYTES, _TIMES_CACHES * (cache_bytes(host) or _USUAL_CACHE_BYTES))
    part_bytes = min(wanted_bytes, free // 8, _MOST_BYTES) // count
    traces = _run(count, part_bytes, *(_BRIEF_SECONDS if brief else _CAREFUL_SECONDS))
    filled_bytes = sum(trace.area_bytes for trace in traces)
    if filled_bytes < wanted_bytes // 2:
        size = units.binary(filled_bytes)
        raise ValueError(f"of {size}, which was had, caches may hold too much")
    is_busy = bool(others) or min(trace.cpu_share for trace in traces) < _LEAST_CPU_SHARE
    source = f"measured{' at present' * brief}: {count} thread{'s' * (count > 1)} reading"
    source += f" {units.binary(filled_bytes)}{'; busy, so a lower bound' * is_busy}"
    return int(joint_rate(traces)), source, is_busy


def cache_bytes(host: Host) -> int | None:
    """The last-level caches of the CPUs this process may use; None where the system is silent."""
    sizes: dict[str, int] = {}
    for cpu in host.ask("affinity") or ():
        for index in (3, 2):
            folder = f"{CPUS}/cpu{cpu}/cache/index{index}"
            number = whole(host.read_word(f"{folder}/size").removesuffix("k"), 9)
            if number:
                sizes[host.read_word(f"{folder}/shared_cpu_list") or str(cpu)] = number << 10
                break
    return sum(sizes.values()) or None


def _count_other_programs(host: Host) -> int:
    """Those that run now; 0 where the system does not say."""
    running = re.match(r"(?:\S+ ){3}(\d{1,9})/", host.read_text("/proc/loadavg"))
    return max(0, int(running[1]) - 1) if running else 0


def joint_rate(traces: Sequence[Trace]) -> float:
    """Bytes per second of all threads together, while all ran; `ValueError` where never."""
    start = max(trace.seconds[0] for trace in traces)
    end = min(trace.seconds[-1] for trace in traces)
    chunks = sum(start < moment <= end for trace in traces for moment in trace.seconds)
    if end <= start or not chunks:
        raise ValueError("the threads did not run at the same time")
    return chunks * _CHUNK_BYTES / (end - start)


def _run(count: int, part_bytes: int, fill_seconds: float, read_seconds: float) -> list[Trace]:
    """One trace of each thread. Raises what the first one raised."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    wait = Barrier(count, timeout=10).wait
    with ThreadPoolExecutor(count) as pool:
        running = [
            pool.submit(_read, part_bytes, fill_seconds, read_seconds, wait) for _ in range(count)
        ]
        return [each.result() for each in running]


def _read(
    part_bytes: int, fill_seconds: float, read_seconds: float, wait: Callable[[], object]
) -> Trace:
    """Fills memory until the time is up, waits for the others, and reads it over and over."""
    import ctypes
    import mmap

    with mmap.mmap(-1, max(part_bytes, 2 * _CHUNK_BYTES)) as area:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            area.madvise(mmap.MADV_HUGEPAGE)
        view = (ctypes.c_char * len(area)).from_buffer(area)
        address, filled, until = ctypes.addressof(view), 0, perf_counter() + fill_seconds
        # the area cannot be closed while something points into it
        del view
        while filled + _CHUNK_BYTES <= len(area) and (filled == 0 or perf_counter() < until):
            ctypes.memset(address + filled, 1, _CHUNK_BYTES)
            filled += _CHUNK_BYTES
        memchr = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memchr
        memchr.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        wait()
        used, done = thread_time(), [perf_counter()]
        while done[-1] < done[0] + read_seconds or len(done) < 4:
            # a byte that is not there
            memchr(address + len(done) * _CHUNK_BYTES % filled, 2, _CHUNK_BYTES)
            done.append(perf_counter())
        return Trace(done, (thread_time() - used) / (done[-1] - done[0]), filled)
