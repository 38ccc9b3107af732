"""CPU: what it is called, its cores, how many of them this process may use, and its instruction
sets; and whether it is that of a container, a virtual machine or the computer itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ...core.tables import shipped_table
from ..record import MAX_WORD, normal_architecture
from .host import MAX_READ_BYTES, NATIVE, Facts, Host, whole
from .memory import CGROUP, NO_LIMIT, STATUS, parse_number, read_groups

MODEL, PHYSICAL, PERFORMANCE, USABLE, SETS, EMULATED, SCOPE = (
    "cpu_model",
    "cpu_cores_physical",
    "cpu_cores_performance",
    "cpu_cores_usable",
    "instruction_sets",
    "emulated_on",
    "scope",
)
CPUINFO, CPUS = "/proc/cpuinfo", "/sys/devices/system/cpu"
# what the kernel was built for, since Linux 6.1; no emulator of programs puts another word there
_KERNELS_WORD = "/proc/sys/kernel/arch"
# what a 32-bit program system on a 64-bit kernel runs
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
_FAMILIES = {"x86_64": "x86", "i686": "x86", "aarch64": "arm", "armv7l": "arm"}
_TREE, _DMI = "/proc/device-tree", "/sys/class/dmi/id"
# words in the names of control groups that containers are put into
_CONTAINER_GROUPS = ("docker", "kubepods", "containerd", "libpod", "crio", "lxc", "nspawn")
_VIRTUAL_KERNELS = ("microsoft", "linuxkit", "orbstack")


def _cpuinfo(host: Host) -> str:
    """The text of /proc/cpuinfo; empty where it cannot be read."""
    # 1,024 CPUs have about 2 KiB each
    return host.read_text(CPUINFO, 4 * MAX_READ_BYTES) or ""


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


def parse_list(text: str) -> frozenset[int] | None:
    """`0-3,8` -> the numbers; None for another shape, or a line that was cut off."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        low, high = whole(first, 6), whole(last if dash else first, 6)
        if low is None or high is None or not low <= high < 65536 or not text.endswith("\n"):
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def read_architecture(host: Host, facts: Facts) -> None:
    """The processor's architecture, or of a 32-bit system on a 64-bit kernel that of the system;
    and what emulates it.
    """
    fact, word = "architecture", host.machine()
    if host.sysctl("hw.optional.arm64") == "1":
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
    else:
        registry = "registry, PROCESSOR_ARCHITECTURE"
        facts.put(fact, name, registry if host.system == "windows" else "uname")
    if host.system != "linux":
        return
    # what programs here are made for may be emulated, as in a container of another platform: uname
    # answers with the programs' word, the kernel's own word and /proc/cpuinfo tell the computer
    beneath, source = normal_architecture(host.read_word(_KERNELS_WORD)), _KERNELS_WORD
    if beneath not in _FAMILIES:
        lines, source = parse_cpuinfo(_cpuinfo(host)), CPUINFO
        kinds = {"flags": "x86_64", "CPU implementer": "aarch64"}
        beneath = next((kind for key, kind in kinds.items() if key in lines), "")
    family = _FAMILIES.get(name)
    if family is not None and _FAMILIES.get(beneath, family) != family:
        facts.put(EMULATED, beneath, source)


def parse_model(text: str) -> str:
    """What the processor is called; the parts by name where an Arm kernel gives only numbers; empty
    where nothing names it.
    """
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
    for key in ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware"):
        if key in lines:
            return " ".join(lines[key][0].split())
    return ""


def read_model(host: Host, facts: Facts) -> None:
    """What the processor is called."""
    if host.system == "macos":
        name, source = host.sysctl("machdep.cpu.brand_string"), "sysctl machdep.cpu.brand_string"
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        name, source = host.registry(key, "ProcessorNameString"), "registry, ProcessorNameString"
    else:
        name, source = parse_model(_cpuinfo(host)), CPUINFO
        if EMULATED in facts.values:
            source += ": the computer's, which emulates another"
    if name.strip():
        facts.put(MODEL, name.strip(), source)
    elif host.system == "linux" and not _cpuinfo(host):
        facts.miss(MODEL, host.why(CPUINFO))
    else:
        facts.miss(MODEL, f"{source} does not name the processor")


# ------------------------------------------------------------------ instruction sets


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


def read_instruction_sets(host: Host, facts: Facts) -> None:
    """What the processor can do, as the kernel lets programs use it, in the Linux kernel's
    words.
    """
    if EMULATED in facts.values:
        kind = facts.values.get("architecture", "another processor")
        reason = f"programs for {kind} are emulated here, on {facts.values[EMULATED]}"
        facts.miss(SETS, reason, NATIVE)
    elif host.system == "macos":
        _read_mac_sets(host, facts)
    elif host.system == "windows":
        _read_windows_sets(host, facts)
    elif (names := parse_instruction_sets(_cpuinfo(host))) is not None:
        facts.put(SETS, names, f"{CPUINFO}, what all CPUs have in common")
    else:
        unlisted = f"{CPUINFO} does not list the instruction sets of this processor"
        facts.miss(SETS, unlisted if _cpuinfo(host) else host.why(CPUINFO))


def _read_mac_sets(host: Host, facts: Facts) -> None:
    tables = shipped_table("firmware_names")
    names = ("features", "extfeatures", "leaf7_features")
    basic, extended, leaf7 = (host.sysctl(f"machdep.cpu.{name}").lower().split() for name in names)
    arm = tables["mac_arm"].items()
    there = {linux for name, linux in arm if host.sysctl(f"hw.optional.{name}") == "1"}
    if there:
        facts.put(SETS, tuple(sorted(there)), "sysctl hw.optional")
    # what has FMA has AVX2 too (Haswell), so that its list cannot be empty
    elif not basic or not extended or ("fma" in basic and not leaf7):
        facts.miss(SETS, "sysctl names no instruction sets, or one of machdep.cpu's lists is empty")
    else:
        words = {tables["mac_x86"].get(word, word) for word in (*basic, *extended, *leaf7)}
        facts.put(SETS, tuple(sorted(words)), "sysctl machdep.cpu.features, leaf7_features")


def _read_windows_sets(host: Host, facts: Facts) -> None:
    is_arm = normal_architecture(host.machine()) == "aarch64"
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


# ------------------------------------------------------------------ CPUs that may be used


def parse_cpu_max(text: str) -> float | None:
    """cpu.max `200000 100000` -> 2.0 CPUs; inf for `max`; None for another shape, and for a line
    that was cut off.
    """
    words = text.split() if text.endswith("\n") else []
    if words[:1] == ["max"]:
        return float("inf")
    numbers = [whole(word, 15) for word in words]
    return numbers[0] / numbers[1] if len(numbers) == 2 and numbers[0] and numbers[1] else None


def _online(host: Host) -> frozenset[int]:
    return parse_list(host.read_text(f"{CPUS}/online") or "") or frozenset()


def _allowed_cpus(host: Host) -> tuple[frozenset[int], str]:
    """The CPUs this process may run on, and where that was read; none where that is not known."""
    if allowed := host.ask("affinity"):
        return frozenset(allowed), "sched_getaffinity"
    # the kernel's mask may name CPUs that are not there
    lines = parse_cpuinfo(host.read_text(STATUS) or "").get("Cpus_allowed_list", [""])
    cpus = parse_list(f"{lines[0]}\n") or frozenset()
    return cpus & _online(host), f"{STATUS}, Cpus_allowed_list"


def read_usable(host: Host, facts: Facts) -> None:
    """CPUs this process may use at once: affinity and the quota of every control group; may be
    a fraction.
    """
    if host.system != "linux":
        reason = "the system did not say how many CPUs it has"
        _put_count(host, facts, USABLE, "usable", "hw.logicalcpu", reason)
        return
    cpus, source = _allowed_cpus(host)
    if not cpus:
        facts.miss(USABLE, host.why(f"{CPUS}/online" if host.read_text(STATUS) else STATUS))
        return
    groups = read_groups(host, "cpu")
    if groups.why:
        facts.miss(USABLE, f"a limit may exist unseen: {groups.why}")
        return
    best = float(len(cpus))
    for folder, name in groups.levels:
        quota, file = _quota(host, groups.version, folder)
        if quota is None:
            why = f"{file} is not a quota" if host.read_text(file) else host.why(file)
            facts.miss(USABLE, why)
            return
        if quota < best:
            short = file.rpartition("/")[2]
            best = quota
            source = f"limited by control group {name}: {quota:g} of {len(cpus)} CPUs ({short})"
    facts.put(USABLE, best, source)


def _quota(host: Host, version: int, folder: str) -> tuple[float | None, str]:
    """The CPUs that the quota of one group is worth, and its file; None where it cannot be read."""
    if version == 2:
        file = f"{folder}/cpu.max"
        return parse_cpu_max(host.read_text(file) or ""), file
    files = f"{folder}/cpu.cfs_quota_us", f"{folder}/cpu.cfs_period_us"
    quota, period = (parse_number(host.read_text(file) or "") for file in files)
    if not quota or not period:
        return None, files[1 if quota else 0]
    return (float("inf") if quota == NO_LIMIT else quota / period), files[0]


def _put_count(host: Host, facts: Facts, fact: str, kind: str, name: str, reason: str) -> None:
    """A number of cores where there is no /proc: of psutil's `kind`, or of macOS' sysctl `name`."""
    count = (host.ask("cores") or {}).get(kind) or whole(host.sysctl(name), 9)
    source = f"sysctl {name}" if host.system == "macos" else f"psutil, {kind} CPUs"
    if count:
        facts.put(fact, float(count) if fact == USABLE else count, source)
    else:
        facts.miss(fact, reason)


def cache_bytes(host: Host) -> int | None:
    """The last-level caches of the CPUs this process may use, added up; None where the system
    does not say.
    """
    sizes: dict[str, int] = {}
    for cpu in host.ask("affinity") or ():
        for index in (3, 2):
            folder = f"{CPUS}/cpu{cpu}/cache/index{index}"
            number = whole(host.read_word(f"{folder}/size").removesuffix("k"), 9)
            if number:
                sizes[host.read_word(f"{folder}/shared_cpu_list") or str(cpu)] = number << 10
                break
    return sum(sizes.values()) or None


# ------------------------------------------------------------------ cores


def read_cores(host: Host, facts: Facts) -> None:
    """Distinct cores among the CPUs this process may use, and those of the fastest kind; all of
    them where they are alike.
    """
    if host.system != "linux":
        reason = "the system does not tell cores from threads"
        _put_count(host, facts, PHYSICAL, "physical", "hw.physicalcpu", reason)
        (_read_mac_kinds if host.system == "macos" else _read_windows_kinds)(host, facts)
        return
    cpus, _ = _allowed_cpus(host)
    cores = _cores(host, cpus)
    if not cores:
        reason = "the kernel does not tell cores from threads"
        for fact in (PHYSICAL, PERFORMANCE):
            facts.miss(fact, reason if cpus else "which CPUs this process may use is not known")
        return
    online = _online(host)
    narrowed = f"; only of the {len(cpus)} of {len(online)} CPUs that this process may use"
    source = f"{CPUS}, distinct sets of sibling threads"
    facts.put(PHYSICAL, len(cores), source + (narrowed if cpus < online else ""))
    try:
        fastest, source = _fastest(host, cpus, cores)
        facts.put(PERFORMANCE, len(_cores(host, fastest or cpus)), source)
    except ValueError as error:
        facts.miss(PERFORMANCE, str(error))


def _cores(host: Host, cpus: frozenset[int]) -> list[frozenset[int]]:
    """The hardware threads of each core among `cpus`; none where the kernel does not state them."""
    left, cores = set(cpus), []
    while left:
        path = f"{CPUS}/cpu{min(left)}/topology/thread_siblings_list"
        siblings = parse_list(host.read_text(path) or "")
        if siblings is None or min(left) not in siblings:
            return []
        left -= siblings
        cores.append(siblings)
    return cores


def _fastest(
    host: Host, cpus: frozenset[int], cores: Sequence[frozenset[int]]
) -> tuple[frozenset[int], str]:
    """The CPUs of the fastest kind and where that was read. `ValueError` where it is not known."""
    # Intel's two kinds: both files, or neither
    paths = [f"/sys/devices/cpu_{kind}/cpus" for kind in ("core", "atom")]
    if any(map(host.exists, paths)):
        large, small = (parse_list(host.read_text(path) or "") for path in paths)
        if large is None or small is None:
            raise ValueError(host.why(paths[0] if large is None else paths[1]))
        return large & cpus, paths[0]
    if len(parse_cpuinfo(_cpuinfo(host)).get("CPU part", ())) > 1:
        # a capacity differs a little by clock within a kind (997 to 1024 and 718 to 731 on a DGX
        # Spark)
        capacities: dict[int, int] = {}
        for cpu in sorted(cpus):
            path = f"{CPUS}/cpu{cpu}/cpu_capacity"
            capacity = parse_number(host.read_text(path) or "")
            if capacity is None:
                raise ValueError(host.why(path))
            capacities[cpu] = capacity
        least = 0.9 * max(capacities.values())
        fast = frozenset(cpu for cpu, capacity in capacities.items() if capacity >= least)
        return fast, f"{CPUS}, cpu_capacity"
    # a kernel that does not name the kinds shows them by their threads: Intel's small cores have
    # one where the large have two
    threads = max(map(len, cores))
    large = frozenset().union(*(core for core in cores if len(core) == threads))
    return large & cpus, f"{CPUS}, cores by their threads"


def _read_mac_kinds(host: Host, facts: Facts) -> None:
    name = "hw.perflevel0.physicalcpu"
    fast = whole(host.sysctl(name))
    if fast:
        facts.put(PERFORMANCE, fast, f"sysctl {name}")
    elif PHYSICAL in facts.values and host.sysctl("hw.optional.arm64") != "1":
        facts.put(PERFORMANCE, facts.values[PHYSICAL], "an Intel Mac's cores are alike")
    else:
        facts.miss(PERFORMANCE, f"sysctl has no {name}")


def _read_windows_kinds(host: Host, facts: Facts) -> None:
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
    while at + 10 <= len(raw) and (size := int.from_bytes(raw[at + 4 : at + 8], "little")) >= 10:
        if int.from_bytes(raw[at : at + 4], "little") == 0:
            classes.append(raw[at + 9])
        at += size
    return tuple(classes)


# ------------------------------------------------------------------ container, virtual or not


def read_scope(host: Host, facts: Facts) -> None:
    """`container`, `vm` or `host`: by the first sign of each."""
    sign: str | None
    if host.system == "macos":
        sign = "sysctl kern.hv_vmm_present"
        is_guest = host.sysctl("kern.hv_vmm_present")
        if not is_guest and (features := host.sysctl("machdep.cpu.features").split()):
            is_guest, sign = str(int("VMM" in features)), "sysctl machdep.cpu.features"
        if is_guest in ("0", "1"):
            facts.put(SCOPE, "vm" if is_guest == "1" else "host", sign)
        else:
            facts.miss(SCOPE, "sysctl has no kern.hv_vmm_present")
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\BIOS"
        words = (host.registry(key, name) for name in ("SystemManufacturer", "SystemProductName"))
        _read_firmware(facts, " ".join(words), "registry, SystemProductName")
    elif sign := _container_sign(host):
        facts.put(SCOPE, "container", sign)
    else:
        _read_linux_scope(host, facts)


def _container_sign(host: Host) -> str | None:
    """What shows that Linux runs in a container here; None where nothing does."""
    group = host.read_text(CGROUP) or ""
    root = host.mount_of("/")
    is_layered = root is not None and root.filesystem not in ("ext4", "xfs")
    signs = {
        "variable container": "container" in host.env,
        "variable KUBERNETES_SERVICE_HOST": "KUBERNETES_SERVICE_HOST" in host.env,
        # the file is still there after a virtual machine was made from a container's image
        "/.dockerenv": host.exists("/.dockerenv") and is_layered,
        "/run/.containerenv": host.exists("/run/.containerenv"),
        "/run/systemd/container": host.exists("/run/systemd/container"),
        CGROUP: any(word in group for word in _CONTAINER_GROUPS),
    }
    return next((sign for sign, shows in signs.items() if shows), None)


def _read_linux_scope(host: Host, facts: Facts) -> None:
    flags = parse_instruction_sets(_cpuinfo(host)) or ()
    if any(word in host.release() for word in _VIRTUAL_KERNELS):
        facts.put(SCOPE, "vm", "kernel release")
    elif "hypervisor" in flags or "sse2" in flags:
        # x86 kernels always show the flag to a guest
        is_guest = "hypervisor" in flags
        kind, shown = ("vm", "flag hypervisor") if is_guest else ("host", "no flag hypervisor")
        facts.put(SCOPE, kind, f"{CPUINFO}, {shown}")
    elif host.exists(f"{_TREE}/hypervisor"):
        facts.put(SCOPE, "vm", f"{_TREE}/hypervisor")
    else:
        paths = [f"{_DMI}/sys_vendor", f"{_DMI}/product_name", f"{_TREE}/compatible"]
        paths += [f"{_TREE}/model"]
        words = {path: word for path in paths if (word := host.read_word(path))}
        _read_firmware(facts, " ".join(words.values()), " and ".join(words))


def _read_firmware(facts: Facts, words: str, source: str) -> None:
    if not words.strip():
        facts.miss(SCOPE, "nothing tells whether this is a virtual machine")
        return
    virtual = shipped_table("firmware_names")["virtual_firmware"]
    is_guest = any(word in words.lower() for word in virtual) and ".metal" not in words.lower()
    facts.put(SCOPE, "vm" if is_guest else "host", source)
