"""CPU: what it is called, its cores, how many of them this process may use, and its instruction
sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ...core.tables import shipped_table
from ..record import MAX_WORD, normal_architecture
from .cgroups import NO_LIMIT, Groups, groups, parse_number
from .facts import Facts
from .host import MAX_READ_BYTES, NATIVE, Host
from .procfs import parse_list, parse_pairs, whole

MODEL, PHYSICAL, PERFORMANCE, USABLE, SETS, EMULATED = (
    "cpu_model",
    "cpu_cores_physical",
    "cpu_cores_performance",
    "cpu_cores_usable",
    "instruction_sets",
    "emulated_on",
)
CPUINFO, ONLINE = "/proc/cpuinfo", "/sys/devices/system/cpu/online"
# what the kernel was built for, since Linux 6.1; no emulator of programs puts another word there
_KERNELS_WORD = "/proc/sys/kernel/arch"
# 1,024 CPUs at about 2 KiB each
_MAX_CPUINFO_BYTES = 4 * MAX_READ_BYTES
# what a 32-bit program system on a 64-bit kernel runs
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# what uname says under `setarch i386`, and a 64-bit program proves wrong
_WIDE = {narrow: wide for wide, narrow in _NARROW.items()}
_FAMILIES = {"x86_64": "x86", "i686": "x86", "aarch64": "arm", "armv7l": "arm"}
_UNALLOWED = "which CPUs this process may use is not known"
_NO_CORES = "the kernel does not tell cores from threads"


def cpuinfo(host: Host) -> str:
    """The text of /proc/cpuinfo; empty where it cannot be read."""
    return host.read_text(CPUINFO, _MAX_CPUINFO_BYTES) or ""


# several probes read the same file
@lru_cache(maxsize=2)
def parse_cpuinfo(text: str) -> Mapping[str, Sequence[str]]:
    """/proc/cpuinfo: every key to its distinct values in order, over all CPUs."""
    values_of_key: dict[str, dict[str, None]] = {}
    for line in dict.fromkeys(text.splitlines()):
        key, colon, value = line.partition(":")
        if colon and value.strip():
            values_of_key.setdefault(key.strip(), {})[value.strip()] = None
    return {key: list(values) for key, values in values_of_key.items()}


def read_architecture(host: Host, facts: Facts) -> None:
    """The processor's architecture, or of a 32-bit system on a 64-bit kernel that of the system;
    and what emulates it.
    """
    fact, word = "architecture", host.machine()
    if host.system == "macos" and host.sysctl("hw.optional.arm64") == "1":
        rosetta = "; this Python is an x86_64 one under Rosetta: install an arm64 one"
        is_translated = host.sysctl("sysctl.proc_translated") == "1"
        facts.put(fact, "aarch64", f"sysctl hw.optional.arm64{rosetta if is_translated else ''}")
        return
    if not word:
        facts.miss(fact, "the system did not say what processor it has")
        return
    name = normal_architecture(word)
    bits = host.ask("pointer_bits") if host.system == "linux" else None
    if bits == 32 and name in _NARROW:
        facts.put(fact, _NARROW[name], f"uname, {name}; this Python is a 32-bit one")
    elif bits == 64 and name in _WIDE:
        facts.put(fact, _WIDE[name], f"this Python is a 64-bit one, though uname says {name}")
    else:
        registry = "registry, PROCESSOR_ARCHITECTURE"
        facts.put(fact, name, registry if host.system == "windows" else "uname")
    if host.system == "linux":
        _read_emulation(host, facts, _FAMILIES.get(name))


def _read_emulation(host: Host, facts: Facts, family: str | None) -> None:
    """What emulates the processor that programs here are made for, as in a container of another
    platform: uname answers with the programs' word, the kernel's own word and its /proc/cpuinfo
    tell the computer.
    """
    word = normal_architecture(host.read_text(_KERNELS_WORD) or "")
    beneath, source = word, _KERNELS_WORD
    if word not in _FAMILIES:
        lines = parse_cpuinfo(cpuinfo(host))
        kinds = {"flags": "x86_64", "CPU implementer": "aarch64"}
        beneath = next((name for key, name in kinds.items() if key in lines), "")
        source = CPUINFO
    if family is not None and _FAMILIES.get(beneath, family) != family:
        facts.put(EMULATED, beneath, source)


def parse_instruction_sets(text: str) -> tuple[str, ...] | None:
    """The kernel's names of what every listed CPU can do, sorted. None for a processor family whose
    kernel lists none (RISC-V, POWER) and where the words are no names.
    """
    lines = parse_cpuinfo(text)
    lists = lines.get("flags") or lines.get("Features")
    if not lists:
        return None
    names = sorted(set.intersection(*(set(words.lower().split()) for words in lists)))
    are_names = all(len(name) <= MAX_WORD and name.isprintable() for name in names)
    return tuple(names) if are_names else None


def parse_model(text: str) -> str | None:
    """What the processor is called; the parts by name where an Arm kernel gives only numbers."""
    lines = parse_cpuinfo(text)
    if "CPU part" in lines:
        table = shipped_table("firmware_names")["arm_parts"]
        names = dict.fromkeys(
            name
            for maker in lines.get("CPU implementer", ())
            for part in lines["CPU part"]
            if (name := table.get(maker.lower(), {}).get(part.lower()))
        )
        board = lines.get("Model", [""])[0]
        if names:
            return " + ".join(names) + (f" ({board})" if board else "")
    for key in ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware"):
        if key in lines:
            return " ".join(lines[key][0].split())
    return None


def read_model(host: Host, facts: Facts) -> None:
    """What the processor is called."""
    if host.system == "macos":
        name, source = host.sysctl("machdep.cpu.brand_string"), "sysctl machdep.cpu.brand_string"
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        name, source = host.registry(key, "ProcessorNameString"), "registry, ProcessorNameString"
    else:
        name, source = parse_model(cpuinfo(host)), CPUINFO
        if EMULATED in facts.values:
            source += ": the computer's, which emulates another"
    if name and name.strip():
        facts.put(MODEL, name.strip(), source)
    elif host.system == "linux" and not cpuinfo(host):
        facts.miss(MODEL, host.why(CPUINFO))
    else:
        facts.miss(MODEL, f"{source} does not name the processor")


def read_instruction_sets(host: Host, facts: Facts) -> None:
    """What the processor can do, as the kernel lets programs use it, in the Linux kernel's
    words.
    """
    if EMULATED in facts.values:
        kind = facts.values.get("architecture", "another processor")
        reason = f"programs for {kind} are emulated here, on {facts.values[EMULATED]}"
        facts.miss(SETS, reason, NATIVE)
    elif host.system == "macos":
        _mac_instruction_sets(host, facts)
    elif host.system == "windows":
        _windows_instruction_sets(host, facts)
    else:
        names = parse_instruction_sets(cpuinfo(host))
        if names is not None:
            facts.put(SETS, names, f"{CPUINFO}, what all CPUs have in common")
        elif not cpuinfo(host):
            facts.miss(SETS, host.why(CPUINFO))
        else:
            facts.miss(SETS, f"{CPUINFO} does not list the instruction sets of this processor")


def _mac_instruction_sets(host: Host, facts: Facts) -> None:
    lists = {
        name: (host.sysctl(f"machdep.cpu.{name}") or "").lower().split()
        for name in ("features", "leaf7_features", "extfeatures")
    }
    if not any(lists.values()):
        table = shipped_table("firmware_names")["mac_arm"]
        arm = {linux for name, linux in table.items() if host.sysctl(f"hw.optional.{name}") == "1"}
        if arm:
            facts.put(SETS, tuple(sorted(arm)), "sysctl hw.optional")
        else:
            facts.miss(SETS, "sysctl names no instruction sets")
        return
    # every 64-bit Mac has these; what has FMA has AVX2 too (Haswell), and its list cannot be empty
    signs = {"features": "fpu", "extfeatures": "em64t"}
    if "fma" in lists["features"]:
        signs["leaf7_features"] = "avx2"
    for name, sign in signs.items():
        if sign not in lists[name]:
            facts.miss(SETS, f"sysctl machdep.cpu.{name} is not there or names no {sign}")
            return
    names = shipped_table("firmware_names")["mac_x86"]
    words = {names.get(word, word) for words in lists.values() for word in words}
    facts.put(SETS, tuple(sorted(words)), "sysctl machdep.cpu.features, leaf7_features")


def _windows_instruction_sets(host: Host, facts: Facts) -> None:
    is_arm = normal_architecture(host.machine() or "") == "aarch64"
    table = shipped_table("firmware_names")["windows_arm" if is_arm else "windows_x86"]
    there = host.ask("processor_features") or ()
    names = sorted(name for number, name in table.items() if int(number) in there)
    if not names:
        facts.miss(SETS, "Windows did not say what the processor can do")
        return
    facts.put(SETS, tuple(names), "IsProcessorFeaturePresent")
    # not asked: their absence from the list does not say that they are missing
    for name in ("i8mm", "bf16", "sve") if is_arm else ("fma", "f16c", "bmi2"):
        facts.miss(f"{SETS}.{name}", "Windows does not tell programs about it")


# ------------------------------------------------------------------ cores


def parse_cpu_max(text: str) -> float | None:
    """cpu.max `200000 100000` -> 2.0 CPUs; inf for `max`; None for another shape."""
    words = text.split()
    if words[:1] == ["max"]:
        return float("inf")
    numbers = [whole(word, 15) for word in words]
    if len(numbers) == 2 and numbers[0] and numbers[1]:
        return numbers[0] / numbers[1]
    return None


def allowed_cpus(host: Host) -> tuple[frozenset[int], str] | None:
    """The CPUs this process may run on, and where that was read."""
    allowed = host.ask("affinity")
    if allowed:
        return frozenset(allowed), "sched_getaffinity"
    # the kernel's mask may name CPUs that are not there
    online = parse_list(host.read_text(ONLINE) or "")
    status = parse_pairs(host.read_text("/proc/self/status") or "")
    listed = parse_list(status.get("Cpus_allowed_list", ""))
    if not listed or not online or not listed & online:
        return None
    return listed & online, "/proc/self/status, Cpus_allowed_list"


def read_usable(host: Host, facts: Facts) -> None:
    """CPUs this process may use at once: affinity and the quota of every control group; may be
    a fraction.
    """
    if host.system != "linux":
        reason = "the system did not say how many CPUs it has"
        _count(host, facts, USABLE, "usable", "hw.logicalcpu", reason)
        return
    try:
        facts.put(USABLE, *_linux_usable(host))
    except ValueError as error:
        facts.miss(USABLE, str(error))


def _count(host: Host, facts: Facts, fact: str, kind: str, name: str, reason: str) -> None:
    """A number of cores where there is no /proc: of psutil's `kind`, or of macOS' sysctl `name`."""
    count = (host.ask("cores") or {}).get(kind) or whole(host.sysctl(name) or "", 9)
    source = f"sysctl {name}" if host.system == "macos" else f"psutil, {kind} CPUs"
    if count:
        facts.put(fact, float(count) if fact == USABLE else count, source)
    else:
        facts.miss(fact, reason)


def _linux_usable(host: Host) -> tuple[float, str]:
    """The CPUs, and where they were read. `ValueError` where they are not known."""
    allowed = allowed_cpus(host)
    if allowed is None:
        status = "/proc/self/status"
        raise ValueError(host.why(ONLINE if host.read_text(status) else status))
    cpus, source = allowed
    chain = groups(host, "cpu", ("cpu.max", "cpu.weight"))
    why = chain.why
    # what is mounted over a folder above hides the groups, which the list of mounts still names
    if chain.folders and not host.exists(chain.folders[-1]):
        why = f"the control groups at {chain.folders[-1]} cannot be seen from here"
    if why:
        raise ValueError(f"a limit may exist unseen: {why}")
    # files that exist together, so that one without the other is no answer
    file, sibling = (
        ("cpu.max", "cpu.weight")
        if chain.version == 2
        else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    )
    best, is_counted = float(len(cpus)), False
    for folder, name in zip(chain.folders, chain.names, strict=True):
        if host.missing(f"{folder}/{file}") and host.missing(f"{folder}/{sibling}"):
            # a kernel without quotas has no such file, nor has the top; a group without them has
            # none below it
            if (is_counted and folder != chain.folders[-1]) or _has_controller(host, chain, folder):
                raise ValueError(host.why(f"{folder}/{file}"))
            continue
        quota = _quota(host, chain.version, f"{folder}/{file}", f"{folder}/{sibling}")
        is_counted = True
        if quota < best:
            best = quota
            source = f"limited by control group {name}: {quota:g} of {len(cpus)} CPUs ({file})"
    return best, source


def _quota(host: Host, version: int, path: str, sibling: str) -> float:
    """The CPUs that the quota of one group is worth. `ValueError` where it cannot be read."""
    text, beside = host.read_text(path), host.read_text(sibling)
    if text is None:
        raise ValueError(host.why(path))
    if version == 2:
        # a number that does not end its line was cut off
        quota = parse_cpu_max(text) if text.endswith("\n") else None
    else:
        allowed_us, period_us = parse_number(text), parse_number(beside or "")
        if beside is None:
            raise ValueError(host.why(sibling))
        quota = None
        if allowed_us and period_us and period_us < NO_LIMIT:
            quota = float("inf") if allowed_us == NO_LIMIT else allowed_us / period_us
    if quota is None:
        raise ValueError(f"{path} is not a quota")
    return quota


def _has_controller(host: Host, chain: Groups, folder: str) -> bool:
    """Whether a version 2 group must have files of this controller: it lists it, and is not the top
    of the hierarchy itself, which has none of any controller.
    """
    listed = (host.read_text(f"{folder}/cgroup.controllers") or "").split()
    others = ("cgroup.type", "memory.max", "memory.current")
    return (
        chain.version == 2
        and "cpu" in listed
        and not all(host.missing(f"{folder}/{file}") for file in others)
    )


def _cores(host: Host, cpus: frozenset[int]) -> list[frozenset[int]]:
    """The hardware threads of each core among `cpus`; none where the kernel does not state them."""
    left, cores = set(cpus), []
    while left:
        folder = f"/sys/devices/system/cpu/cpu{min(left)}/topology"
        text = host.read_text(f"{folder}/thread_siblings_list") or ""
        # a list that does not end its line was cut off
        siblings = parse_list(text) if text.endswith("\n") else None
        if siblings is None or min(left) not in siblings:
            return []
        left -= siblings
        cores.append(siblings)
    return cores


def cache_bytes(host: Host) -> int | None:
    """The last-level caches of the CPUs this process may use, added up; None where the system
    does not say.
    """
    if host.system == "macos":
        names = ("hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize")
        return next(filter(None, (whole(host.sysctl(name) or "") for name in names)), None)
    sizes: dict[str, int] = {}
    for cpu in host.ask("affinity") or ():
        for index in (3, 2):
            folder = f"/sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
            size = (host.read_text(f"{folder}/size") or "").strip()
            number = whole(size[:-1], 9)
            if number and size[-1] in "KM":
                shared = host.read_text(f"{folder}/shared_cpu_list") or str(cpu)
                sizes[shared] = number << (10 if size[-1] == "K" else 20)
                break
    return sum(sizes.values()) or None


def read_cores(host: Host, facts: Facts) -> None:
    """Distinct cores among the CPUs this process may use, and those of the fastest kind; all of
    them where they are alike.
    """
    if host.system != "linux":
        reason = "the system does not tell cores from threads"
        _count(host, facts, PHYSICAL, "physical", "hw.physicalcpu", reason)
        (_mac_performance if host.system == "macos" else _windows_performance)(host, facts)
        return
    allowed = allowed_cpus(host)
    cores = _cores(host, allowed[0]) if allowed else []
    if not allowed or not cores:
        for fact in (PHYSICAL, PERFORMANCE):
            facts.miss(fact, _NO_CORES if allowed else _UNALLOWED)
        return
    cpus, source = allowed[0], "/sys/devices/system/cpu, distinct sets of sibling threads"
    online = parse_list(host.read_text(ONLINE) or "") or frozenset()
    narrowed = f"; only of the {len(cpus)} of {len(online)} CPUs that this process may use"
    facts.put(PHYSICAL, len(cores), source + (narrowed if cpus < online else ""))
    try:
        fastest, source = _fastest(host, cpus, cores)
        facts.put(PERFORMANCE, len(_cores(host, fastest or cpus)), source)
    except ValueError as error:
        facts.miss(PERFORMANCE, str(error))


def _fastest(
    host: Host, cpus: frozenset[int], cores: Sequence[frozenset[int]]
) -> tuple[frozenset[int], str]:
    """The CPUs of the fastest kind and where that was read. `ValueError` where it is not known."""
    # Intel's two kinds: both files, or neither
    paths = [f"/sys/devices/cpu_{kind}/cpus" for kind in ("core", "atom")]
    large, small = (parse_list(host.read_text(path) or "") for path in paths)
    parts = parse_parts(cpuinfo(host))
    if large is not None and small is not None:
        return large & cpus, paths[0]
    if large is not None or small is not None:
        raise ValueError(host.why(paths[0] if large is None else paths[1]))
    if len({parts.get(cpu) for cpu in cpus}) > 1:
        return _fastest_part(host, cpus, parts)
    # a kernel that does not name the kinds shows them by their threads: Intel's small cores have
    # one where the large have two
    most = max(map(len, cores))
    large = frozenset().union(*(core for core in cores if len(core) == most))
    return large & cpus, "/sys/devices/system/cpu, cores by their threads"


def _fastest_part(
    host: Host, cpus: frozenset[int], parts: Mapping[int, tuple[str, str]]
) -> tuple[frozenset[int], str]:
    """As `_fastest`, of Arm's kinds of core, by the capacity that the kernel gives each CPU."""
    capacities = {}
    for cpu in sorted(cpus):
        path = f"/sys/devices/system/cpu/cpu{cpu}/cpu_capacity"
        capacity = parse_number(host.read_text(path) or "")
        if capacity is None:
            raise ValueError(host.why(path))
        if cpu not in parts:
            raise ValueError(f"{CPUINFO} does not say of which kind each CPU is")
        capacities[cpu] = capacity
    best = parts[max(capacities, key=lambda cpu: capacities[cpu])]
    return frozenset(cpu for cpu in cpus if parts[cpu] == best), f"{CPUINFO}, CPU part"


def _mac_performance(host: Host, facts: Facts) -> None:
    fast, physical = (
        whole(host.sysctl("hw.perflevel0.physicalcpu") or ""),
        facts.values.get(PHYSICAL),
    )
    if fast:
        facts.put(PERFORMANCE, fast, "sysctl hw.perflevel0.physicalcpu")
    elif physical is not None and host.sysctl("hw.optional.arm64") != "1":
        facts.put(PERFORMANCE, physical, "an Intel Mac's cores are alike")
    else:
        facts.miss(PERFORMANCE, "sysctl has no hw.perflevel0.physicalcpu")


def _windows_performance(host: Host, facts: Facts) -> None:
    kinds = parse_efficiency_classes(bytes.fromhex(host.ask("processor_information") or ""))
    if kinds:
        source = "GetLogicalProcessorInformationEx, EfficiencyClass"
        facts.put(PERFORMANCE, kinds.count(max(kinds)), source)
    else:
        facts.miss(PERFORMANCE, "the system did not say of which kind its cores are")


def parse_efficiency_classes(raw: bytes) -> tuple[int, ...]:
    """Each core's EfficiencyClass, the fastest highest, in
    SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX of RelationProcessorCore (winnt.h).
    """
    classes, at = [], 0
    while at + 10 <= len(raw):
        size = int.from_bytes(raw[at + 4 : at + 8], "little")
        if size < 10:
            break
        if int.from_bytes(raw[at : at + 4], "little") == 0:
            classes.append(raw[at + 9])
        at += size
    return tuple(classes)


def parse_parts(text: str) -> dict[int, tuple[str, str]]:
    """/proc/cpuinfo of Arm: CPU number to (implementer, part), which is the kind of core; CPUs
    without both are left out.
    """
    pair_of_cpu = {}
    for block in text.split("\n\n"):
        values = parse_pairs(block)
        number = whole(values.get("processor", ""), 6)
        if number is not None and {"CPU implementer", "CPU part"} <= values.keys():
            pair_of_cpu[number] = values["CPU implementer"], values["CPU part"]
    return pair_of_cpu
