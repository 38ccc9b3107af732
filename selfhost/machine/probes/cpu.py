"""CPU: what it is called, its cores, how many of them this process may use, and its instruction
sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ...core.records import Unread
from ..record import MAX_WORD, normal_architecture
from .cgroups import NO_LIMIT, Groups, groups, parse_number
from .host import MAX_READ_BYTES, NATIVE, Found, Host, Mount, is_wsl1
from .procfs import parse_list, parse_status

MODEL, PHYSICAL, USABLE, SETS = (
    "cpu_model",
    "cpu_cores_physical",
    "cpu_cores_usable",
    "instruction_sets",
)
PERFORMANCE = "cpu_cores_performance"
UNALLOWED = "which CPUs this process may use is not known"
CPUINFO = "/proc/cpuinfo"
EMULATED = "emulated_on"
# what the kernel was built for, since Linux 6.1; no emulator of programs puts another word there
KERNELS_WORD = "/proc/sys/kernel/arch"
# 1,024 CPUs at about 2 KiB each
MAX_CPUINFO_BYTES = 4 * MAX_READ_BYTES

# what a 32-bit program system on a 64-bit kernel runs
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# what uname says under `setarch i386`, or linux32, and a 64-bit program proves wrong
_WIDE = {narrow: wide for wide, narrow in _NARROW.items()}

# processors whose kernels run each other's programs: by how their names begin
_FAMILIES = {
    "x86": "x86", "i686": "x86", "aarch64": "arm", "arm": "arm", "s390": "s390", "riscv": "riscv",
    "ppc": "ppc", "loongarch": "loongarch",
    "mips": "mips",
}  # fmt: skip
# how emulators of programs name themselves where they write /proc/cpuinfo: QEMU for RISC-V and
# 32-bit Arm (linux-user/*/target_proc.h), and Rosetta
_EMULATORS = (
    ("uarch", "qemu", "QEMU"),
    ("Hardware", "QEMU ", "QEMU"),
    ("model name", "VirtualApple", "aarch64"),
)

# MIDR implementer and part numbers, as util-linux sys-utils/lscpu-arm.c lists them
_ARM_PARTS = {
    "0x41": {
        "0xb76": "Arm ARM1176", "0xc07": "Arm Cortex-A7", "0xc08": "Arm Cortex-A8",
        "0xc09": "Arm Cortex-A9", "0xc0f": "Arm Cortex-A15",
        "0xd03": "Arm Cortex-A53", "0xd04": "Arm Cortex-A35", "0xd05": "Arm Cortex-A55",
        "0xd07": "Arm Cortex-A57",
        "0xd08": "Arm Cortex-A72", "0xd09": "Arm Cortex-A73", "0xd0a": "Arm Cortex-A75",
        "0xd0b": "Arm Cortex-A76",
        "0xd0c": "Arm Neoverse-N1", "0xd0d": "Arm Cortex-A77", "0xd40": "Arm Neoverse-V1",
        "0xd41": "Arm Cortex-A78",
        "0xd42": "Arm Cortex-A78AE", "0xd44": "Arm Cortex-X1", "0xd46": "Arm Cortex-A510",
        "0xd47": "Arm Cortex-A710",
        "0xd48": "Arm Cortex-X2", "0xd49": "Arm Neoverse-N2", "0xd4b": "Arm Cortex-A78C",
        "0xd4c": "Arm Cortex-X1C",
        "0xd4d": "Arm Cortex-A715", "0xd4e": "Arm Cortex-X3", "0xd4f": "Arm Neoverse-V2",
        "0xd80": "Arm Cortex-A520",
        "0xd81": "Arm Cortex-A720", "0xd82": "Arm Cortex-X4", "0xd83": "Arm Neoverse-V3AE",
        "0xd84": "Arm Neoverse-V3",
        "0xd85": "Arm Cortex-X925", "0xd87": "Arm Cortex-A725", "0xd8e": "Arm Neoverse-N3",
    },
    "0x46": {"0x001": "Fujitsu A64FX"},
    "0x48": {"0xd01": "HiSilicon TaiShan-v110"},
    "0x51": {"0x001": "Qualcomm Oryon"},
    "0x61": {
        "0x022": "Apple M1 (Icestorm)", "0x023": "Apple M1 (Firestorm)",
        "0x024": "Apple M1 Pro (Icestorm)",
        "0x025": "Apple M1 Pro (Firestorm)", "0x028": "Apple M1 Max (Icestorm)",
        "0x029": "Apple M1 Max (Firestorm)",
        "0x032": "Apple M2 (Blizzard)", "0x033": "Apple M2 (Avalanche)",
    },
    "0xc0": {"0xac3": "Ampere-1", "0xac4": "Ampere-1A"},
}  # fmt: skip

# macOS's names -> the Linux kernel's (arch/x86/include/asm/cpufeatures.h,
# arch/arm64/kernel/cpuinfo.c)
_MAC_X86 = {
    "avx1.0": "avx",
    "sse3": "pni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "sse4_1": "sse4_1",
    "avx512vnni": "avx512_vnni",
}
_MAC_ARM = {
    "hw.optional.arm.AdvSIMD": "asimd", "hw.optional.neon": "asimd",
    "hw.optional.neon_fp16": "asimdhp",
    "hw.optional.arm.FEAT_FP16": "asimdhp", "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_FHM": "asimdfhm",
    "hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_LSE": "atomics",
    "hw.optional.armv8_1_atomics": "atomics", "hw.optional.armv8_crc32": "crc32",
    "hw.optional.armv8_2_fhm": "asimdfhm",
    "hw.optional.arm.FEAT_SME": "sme", "hw.optional.arm.FEAT_SME2": "sme2",
}  # fmt: skip
# winnt.h, PF_…_AVAILABLE
_WINDOWS_X86 = {
    6: "sse",
    10: "sse2",
    13: "pni",
    36: "ssse3",
    37: "sse4_1",
    38: "sse4_2",
    39: "avx",
    40: "avx2",
    41: "avx512f",
}
_WINDOWS_ARM = {19: "asimd", 30: "aes", 31: "crc32", 34: "atomics", 43: "asimddp"}

# who makes virtual machines, as the firmware names itself
_VIRTUAL = (
    "qemu", "kvm", "vmware", "virtualbox", "innotek", "bochs", "xen", "parallels", "bhyve",
    "amazon ec2", "google compute", "openstack",
    "virtual machine", "apple virtualization", "droplet", "vserver", "alibaba cloud", "nutanix",
    "rhev", "ovirt", "cloud hypervisor",
    "firecracker", "kubevirt", "hyper-v", "dummy-virt", "riscv-virtio",
)  # fmt: skip
# device trees that only virtual machines have: QEMU, crosvm, Firecracker and Cloud Hypervisor on
# Arm; QEMU on RISC-V and POWER
_VIRTUAL_TREES = ("linux,dummy-virt", "riscv-virtio", "qemu,pseries")
# the kernel that gVisor says it is (its pkg/sentry/syscalls/linux/linux64.go)
_GVISOR = "#1 SMP Sun Jan 10 15:06:54 PST 2016"
DEVICE_TREE, SYSINFO = "/proc/device-tree", "/proc/sysinfo"
CONTAINER = (
    "docker",
    "kubepods",
    "containerd",
    "libpod",
    "crio",
    "/lxc",
    ".lxc",
    "lxc.payload",
    "garden",
    "buildkit",
    "nspawn",
)


def read_architecture(host: Host, facts: Found) -> None:
    """The processor's architecture, or of a 32-bit system on a 64-bit kernel that of the system."""
    word = host.machine()
    if host.system == "macos" and host.sysctl("hw.optional.arm64") == "1":
        translated = host.sysctl("sysctl.proc_translated") == "1"
        source = "sysctl hw.optional.arm64"
        facts.put(
            "architecture",
            "aarch64",
            source
            + "; this Python is an x86_64 one under Rosetta: install an arm64 one" * translated,
        )
        return
    if not word:
        facts.miss("architecture", "the system did not say what processor it has")
        return
    name = normal_architecture(word)
    if host.system == "linux" and host.pointer_bits() == 32 and name in _NARROW:
        facts.put(
            "architecture",
            _NARROW[name],
            f"uname, {name}; this Python, and so most likely the system, is a 32-bit one",
        )
    elif host.system == "linux" and host.pointer_bits() == 64 and name in _WIDE:
        facts.put(
            "architecture",
            _WIDE[name],
            f"this Python is a 64-bit one, though uname says {name} (setarch)",
        )
    else:
        facts.put(
            "architecture",
            name,
            "registry, PROCESSOR_ARCHITECTURE" if host.system == "windows" else "uname",
        )


def _cpuinfo(host: Host) -> str | None:
    return host.read_text(CPUINFO, MAX_CPUINFO_BYTES)


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


def parse_architecture(text: str) -> str | None:
    """The processor that a kernel's /proc/cpuinfo describes, told by the lines that only that
    kind's has; None where none tells.
    """
    import re

    cpuinfo = parse_cpuinfo(text)
    isa, power = cpuinfo.get("isa", [""])[0], cpuinfo.get("cpu", [""])[0]
    if "flags" in cpuinfo and "cpu family" in cpuinfo:
        return "x86_64" if "lm" in cpuinfo["flags"][0].split() else "i686"
    if "CPU implementer" in cpuinfo:
        return (
            "aarch64" if cpuinfo.get("CPU architecture", [""])[0] in ("8", "AArch64") else "armv7l"
        )
    if cpuinfo.get("vendor_id") == ["IBM/S390"]:
        return "s390x"
    if re.match(r"rv(?:32|64)", isa):
        return f"riscv{isa[2:4]}"
    if power.startswith(("POWER", "PPC")) or "timebase" in cpuinfo:
        return "ppc64"
    return (
        "loongarch64" if any("loongarch64" in words for words in cpuinfo.get("ISA", ())) else None
    )


def _family(name: str) -> str | None:
    return next((family for start, family in _FAMILIES.items() if name.startswith(start)), None)


def read_emulation(host: Host, facts: Found) -> None:
    """What emulates the processor that programs here are made for: a container of another platform
    under qemu-user or Rosetta.

    The emulator answers uname with the word of the programs. The kernel's own word, and its
    /proc/cpuinfo unless the emulator writes that as well, tell the computer.
    """
    own = _family(normal_architecture(host.machine() or "")) if host.system == "linux" else None
    if own is None:
        return
    word = normal_architecture(host.read_text(KERNELS_WORD) or "")
    if _family(word) is not None and word.isprintable() and len(word) <= MAX_WORD:
        if _family(word) != own:
            facts.put(EMULATED, word, KERNELS_WORD)
        return
    text = _cpuinfo(host) or ""
    cpuinfo, architecture = parse_cpuinfo(text), parse_architecture(text)
    for key, start, name in _EMULATORS:
        if any(value.startswith(start) for value in cpuinfo.get(key, ())):
            facts.put(EMULATED, name, f"{CPUINFO}, {key}")
            return
    if architecture is not None and _family(architecture) != own:
        facts.put(EMULATED, architecture, f"{CPUINFO}, which is not one of {own}")


def _emulated(facts: Found) -> Unread | None:
    """Why nothing is known of a processor that is emulated, and what helps; None where none is."""
    beneath = facts.values.get(EMULATED)
    if beneath is None:
        return None
    own = facts.values.get("architecture", "another processor")
    return Unread(
        fact=EMULATED, reason=f"programs for {own} are emulated here, on {beneath}", remedy=NATIVE
    )


@lru_cache(maxsize=2)
def parse_instruction_sets(text: str) -> tuple[str, ...] | None:
    """The kernel's names of what every listed CPU can do, sorted.

    None for a processor family whose kernel lists none (RISC-V, POWER) and where the words are no
    names.
    """
    cpuinfo = parse_cpuinfo(text)
    lists = cpuinfo.get("flags") or cpuinfo.get("Features") or cpuinfo.get("features")
    if not lists:
        return None
    names = sorted(set.intersection(*(set(words.lower().split()) for words in lists)))
    return (
        tuple(names)
        if all(len(name) <= MAX_WORD and name.isprintable() for name in names)
        else None
    )


def parse_model(text: str) -> str | None:
    """What the processor is called; the parts by name where an Arm kernel gives only numbers."""
    cpuinfo = parse_cpuinfo(text)
    parts = dict.fromkeys(
        name
        for maker in cpuinfo.get("CPU implementer", ())
        for part in cpuinfo.get("CPU part", ())
        if (name := _ARM_PARTS.get(maker.lower(), {}).get(part.lower()))
    )
    if parts:
        board = cpuinfo.get("Model", [""])[0]
        names = " + ".join(parts)
        return f"{names} ({board})" if board else names
    for key in ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware", "machine"):
        # x86 virtual machines may be given an empty or made-up name; POWER has "cpu", x86 "cpu
        # family"
        if cpuinfo.get(key):
            return " ".join(cpuinfo[key][0].split())
    return None


def read_model(host: Host, facts: Found) -> None:
    """What the processor is called."""
    if host.system == "macos":
        name, source = host.sysctl("machdep.cpu.brand_string"), "sysctl machdep.cpu.brand_string"
    elif host.system == "windows":
        name = host.registry(
            r"HARDWARE\DESCRIPTION\System\CentralProcessor\0", "ProcessorNameString"
        )
        source = "registry, ProcessorNameString"
    else:
        text = _cpuinfo(host)
        name, source = parse_model(text) if text else None, CPUINFO
        emulated = _emulated(facts)
        if emulated is not None and _family(parse_architecture(text or "") or "") == _family(
            facts.values.get("architecture", "")
        ):
            facts.miss(
                MODEL, f"{emulated.reason}, and {CPUINFO} is the emulator's", emulated.remedy
            )
            return
        if emulated is not None:
            source += ": the computer's, which emulates another"
    if name and name.strip():
        facts.put(MODEL, host.clean(name.strip()), source)
    elif host.system == "linux" and _cpuinfo(host) is None:
        facts.miss(MODEL, host.why(CPUINFO))
    else:
        facts.miss(MODEL, f"{source} does not name the processor")


def read_instruction_sets(host: Host, facts: Found) -> None:
    """What the processor can do, as the kernel lets programs use it, in the Linux kernel's
    words.
    """
    emulated = _emulated(facts)
    if emulated is not None:
        facts.miss(SETS, emulated.reason, emulated.remedy)
    elif host.system == "macos":
        _mac_instruction_sets(host, facts)
    elif host.system == "windows":
        _windows_instruction_sets(host, facts)
    else:
        text = _cpuinfo(host)
        names = parse_instruction_sets(text) if text else None
        if names is not None:
            facts.put(SETS, names, f"{CPUINFO}, what all CPUs have in common")
        elif text is None:
            facts.miss(SETS, host.why(CPUINFO))
        else:
            facts.miss(
                SETS,
                f"{CPUINFO} lists no instruction sets for this kind of processor, or none that can"
                " be read",
            )


def _mac_instruction_sets(host: Host, facts: Found) -> None:
    lists = {
        name: (host.sysctl(f"machdep.cpu.{name}") or "").lower().split()
        for name in ("features", "leaf7_features", "extfeatures")
    }
    if any(lists.values()):
        # every 64-bit Mac has these; leaf7_features is missing where it would be empty, but what
        # has FMA has AVX2 too (Haswell)
        signs = {
            "features": "fpu",
            "extfeatures": "em64t",
            **({"leaf7_features": "avx2"} if "fma" in lists["features"] else {}),
        }
        lacking = next((name for name, sign in signs.items() if sign not in lists[name]), None)
        if lacking:
            facts.miss(
                SETS, f"sysctl machdep.cpu.{lacking} is not there or names no {signs[lacking]}"
            )
            return
        words = {word for words in lists.values() for word in words}
        facts.put(
            SETS,
            tuple(sorted({_MAC_X86.get(word, word) for word in words})),
            "sysctl machdep.cpu.features, leaf7_features",
        )
        return
    names = {linux for name, linux in _MAC_ARM.items() if host.sysctl(name) == "1"}
    if names:
        facts.put(SETS, tuple(sorted(names)), "sysctl hw.optional")
    else:
        facts.miss(SETS, "sysctl names no instruction sets")


def _windows_instruction_sets(host: Host, facts: Found) -> None:
    arm = normal_architecture(host.machine() or "") == "aarch64"
    table = _WINDOWS_ARM if arm else _WINDOWS_X86
    answers = {name: host.processor_feature(number) for number, name in table.items()}
    if any(answers.values()):
        facts.put(
            SETS,
            tuple(sorted(name for name, there in answers.items() if there)),
            "IsProcessorFeaturePresent",
        )
        # not requested: their absence from the list does not say that they are missing
        for name in ("i8mm", "bf16", "sve") if arm else ("fma", "f16c", "bmi2"):
            facts.miss(f"{SETS}.{name}", "Windows does not tell programs about it")
    else:
        facts.miss(SETS, "Windows did not say what the processor can do")


def _allowed(host: Host) -> tuple[frozenset[int], str] | None:
    """The CPUs this process may run on, and where that was read."""
    allowed = host.affinity()
    if allowed:
        return allowed, "sched_getaffinity"
    # the kernel's mask may name CPUs that are not there
    online = parse_list(host.read_text("/sys/devices/system/cpu/online") or "")
    listed = parse_list(
        parse_status(host.read_text("/proc/self/status") or "").get("Cpus_allowed_list", "")
    )
    if listed is None or online is None or not listed & online:
        return None
    return listed & online, "/proc/self/status, Cpus_allowed_list"


def parse_cpu_max(text: str) -> float | None:
    """cpu.max `200000 100000` -> 2.0 CPUs; inf for `max`; None for another shape."""
    words = text.split()
    if words[:1] == ["max"]:
        return float("inf")
    if (
        len(words) == 2
        and all(word.isdecimal() and word.isascii() and len(word) <= 15 for word in words)
        and int(words[0])
        and int(words[1])
    ):
        return int(words[0]) / int(words[1])
    return None


def _count(
    host: Host, facts: Found, fact: str, kind: str, name: str, source: str, otherwise: str
) -> None:
    """A number of cores where there is no /proc: of psutil's `kind`, or of macOS' sysctl `name`."""
    count = (host.other_cores() or {}).get(kind)
    if count is None:
        word = host.sysctl(name) or ""
        count = int(word) if word.isdecimal() and len(word) <= 9 else None
    if count:
        facts.put(
            fact,
            float(count) if fact == USABLE else count,
            source if host.system == "windows" else f"sysctl {name}",
        )
    else:
        facts.miss(fact, otherwise)


def read_usable(host: Host, facts: Found) -> None:
    """CPUs this process may use at once: affinity and the quota of every control group; may be
    a fraction.
    """
    if host.system != "linux":
        _count(
            host,
            facts,
            USABLE,
            "usable",
            "hw.logicalcpu",
            "process affinity",
            "the system did not say how many CPUs it has",
        )
        return
    try:
        facts.put(USABLE, *_linux_usable(host))
    except ValueError as error:
        facts.miss(USABLE, str(error))


def _linux_usable(host: Host) -> tuple[float, str]:
    """The CPUs, and where they were read. `ValueError` where they are not known."""
    allowed = _allowed(host)
    if allowed is None:
        status, online = "/proc/self/status", "/sys/devices/system/cpu/online"
        raise ValueError(host.why(online if host.read_text(status) else status))
    cpus, source = allowed
    chain = groups(host, "cpu", ("cpu.max", "cpu.weight"))
    if chain.why:
        raise ValueError(f"a limit may exist unseen: {chain.why}")
    # what is mounted over a folder above hides the groups, which the list of mounts still names
    if chain.folders and not host.exists(chain.folders[-1]):
        raise ValueError(
            f"a limit may exist unseen: the control groups at {chain.folders[-1]} cannot be seen"
            " from here"
        )
    # files that exist together, so that one without the other is no answer
    file, sibling = ("cpu.max", "cpu.weight") if chain.version == 2 else _QUOTA_FILES
    best, counted = float(len(cpus)), False
    for folder, name in zip(chain.folders, chain.names, strict=True):
        quota, wrong = _quota_of(host, chain.version, f"{folder}/{file}", f"{folder}/{sibling}")
        if quota is None:
            # a kernel without quotas has no such file, nor has the top; a group without them has
            # none below it
            below_quota = counted and folder != chain.folders[-1]
            if (
                not host.missing(f"{folder}/{file}")
                or host.read_text(f"{folder}/{sibling}") is not None
                or below_quota
                or _has_controller(host, chain, folder)
            ):
                raise ValueError(wrong)
            continue
        counted = True
        if quota < best:
            best = quota
            source = f"limited by control group {name}: {quota:g} of {len(cpus)} CPUs ({file})"
    return best, source


def _quota_of(host: Host, version: int, path: str, sibling: str) -> tuple[float | None, str]:
    """The CPUs that the quota of one group is worth; None with what is wrong with its files."""
    text, period = host.read_text(path), host.read_text(sibling)
    if not text:
        return None, host.why(path)
    wrong = f"{path} is not a quota"
    if version == 2:
        # a number that does not end its line was cut off
        return parse_cpu_max(text) if text.endswith("\n") else None, wrong
    allowed_us = parse_number(text) if version == 1 else None
    if not allowed_us:
        return None, wrong
    period_us = parse_number(period or "") or NO_LIMIT
    if period_us >= NO_LIMIT:
        return None, f"{sibling} is not a period" if period else host.why(sibling)
    return float("inf") if allowed_us == NO_LIMIT else allowed_us / period_us, wrong


def _has_controller(host: Host, chain: Groups, folder: str) -> bool:
    """Whether a version 2 group must have files of this controller: it lists it, and is not the top
    of the hierarchy itself.

    That one has none of any controller (Documentation/admin-guide/cgroup-v2.rst); the top that a
    container sees has them.
    """
    listed = (host.read_text(f"{folder}/cgroup.controllers") or "").split()
    own = ("cgroup.type", "memory.max", "memory.current")
    return (
        chain.version == 2
        and "cpu" in listed
        and not all(host.missing(f"{folder}/{file}") for file in own)
    )


_QUOTA_FILES = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def _cores(host: Host, cpus: frozenset[int]) -> tuple[list[frozenset[int]], str] | None:
    """The hardware threads of each core among `cpus`, and where that was read; None where the
    kernel does not state it.
    """
    left, cores = set(cpus), []
    while left:
        first = min(left)
        folder = f"/sys/devices/system/cpu/cpu{first}/topology"
        text = host.read_text(f"{folder}/thread_siblings_list") or host.read_text(
            f"{folder}/core_cpus_list"
        )
        # a list that does not end its line was cut off
        siblings = parse_list(text) if text and text.endswith("\n") else None
        if siblings is None or first not in siblings:
            break
        left -= siblings
        cores.append(siblings)
    if not left:
        return cores, "/sys/devices/system/cpu, distinct sets of sibling threads"
    pairs = parse_core_ids(_cpuinfo(host) or "")
    if not cpus <= pairs.keys():
        return None
    return [
        frozenset(cpu for cpu in pairs if pairs[cpu] == core)
        for core in {pairs[cpu] for cpu in cpus}
    ], f"{CPUINFO}, distinct core ids"


def read_physical(host: Host, facts: Found) -> None:
    """Distinct cores among the CPUs this process may use: two hardware threads of one core
    count once.
    """
    if host.system != "linux":
        _count(
            host,
            facts,
            PHYSICAL,
            "physical",
            "hw.physicalcpu",
            "psutil.cpu_count",
            "the system does not tell cores from threads",
        )
        return
    allowed = _allowed(host)
    cores = _cores(host, allowed[0]) if allowed else None
    if cores and allowed:
        online = parse_list(host.read_text("/sys/devices/system/cpu/online") or "") or frozenset()
        narrowed = (
            f"; only of the {len(allowed[0])} of {len(online)} CPUs that this process may use"
            if allowed[0] < online
            else ""
        )
        facts.put(PHYSICAL, len(cores[0]), cores[1] + narrowed)
    else:
        facts.miss(
            PHYSICAL, "the kernel does not tell cores from threads" if allowed else UNALLOWED
        )


def read_performance(host: Host, facts: Found) -> None:
    """Cores of the fastest kind among those this process may use; all of them where they are
    alike. Needs the physical cores.
    """
    if host.system == "macos":
        _mac_performance(host, facts)
    elif host.system == "windows":
        kinds = parse_efficiency_classes(host.processor_information() or b"")
        if kinds:
            facts.put(
                PERFORMANCE,
                sum(kind == max(kinds) for kind in kinds),
                "GetLogicalProcessorInformationEx, EfficiencyClass",
            )
        else:
            facts.miss(PERFORMANCE, "Windows did not say of which kind its cores are")
    else:
        _linux_performance(host, facts)


def _mac_performance(host: Host, facts: Found) -> None:
    levels, physical = host.sysctl("hw.perflevel0.physicalcpu") or "", facts.values.get(PHYSICAL)
    if levels.isdecimal() and int(levels):
        facts.put(PERFORMANCE, int(levels), "sysctl hw.perflevel0.physicalcpu")
    elif physical is not None and host.sysctl("hw.optional.arm64") != "1":
        facts.put(PERFORMANCE, physical, "an Intel Mac's cores are alike")
    else:
        facts.miss(PERFORMANCE, "sysctl has no hw.perflevel0.physicalcpu")


_NOT_TOLD = "the kernel does not tell cores from threads"


def _linux_performance(host: Host, facts: Found) -> None:
    allowed = _allowed(host)
    if allowed is None:
        facts.miss(PERFORMANCE, UNALLOWED)
        return
    cpus = allowed[0]
    whole = _cores(host, cpus)
    if whole is None:
        facts.miss(PERFORMANCE, _NOT_TOLD)
        return
    fastest = _fastest(host, cpus, *whole)
    if isinstance(fastest, str):
        facts.miss(PERFORMANCE, fastest)
        return
    fast, source = fastest
    cores = _cores(host, fast or cpus)
    if cores:
        facts.put(PERFORMANCE, len(cores[0]), source)
    else:
        facts.miss(PERFORMANCE, _NOT_TOLD)


def _fastest(
    host: Host, cpus: frozenset[int], cores: Iterable[frozenset[int]], source: str
) -> tuple[frozenset[int], str] | str:
    """The CPUs of the fastest kind and where that was read; a text says why it is not known.

    `cores` are the threads of each core, as `source` has them.
    """
    # Intel's two kinds: both files, or neither
    kinds = [f"/sys/devices/cpu_{kind}/cpus" for kind in ("core", "atom")]
    core, atom = (parse_list(host.read_text(path) or "") for path in kinds)
    parts = parse_parts(_cpuinfo(host) or "")
    if core is not None and atom is not None:
        return core & cpus, kinds[0]
    if core is not None or atom is not None:
        return host.why(kinds[0] if core is None else kinds[1])
    if len({parts.get(cpu) for cpu in cpus}) > 1:
        return _fastest_part(host, cpus, parts)
    # a kernel that does not name the kinds shows them by their threads: Intel's small cores have
    # one where the large have two
    listed = list(cores)
    most = max(len(threads) for threads in listed)
    largest = (threads for threads in listed if len(threads) == most)
    return frozenset().union(*largest) & cpus, source


def _fastest_part(
    host: Host, cpus: frozenset[int], parts: Mapping[int, tuple[str, str]]
) -> tuple[frozenset[int], str] | str:
    """As `_fastest`, of Arm's kinds of core, by the capacity that the kernel gives each CPU."""
    paths = {cpu: f"/sys/devices/system/cpu/cpu{cpu}/cpu_capacity" for cpu in sorted(cpus)}
    sizes = {cpu: parse_number(host.read_text(path) or "") for cpu, path in paths.items()}
    lost = [cpu for cpu, size in sizes.items() if size is None]
    if lost:
        return host.why(paths[lost[0]])
    if not cpus <= parts.keys():
        return f"{CPUINFO} does not say of which kind each CPU is"
    best = parts[max(cpus, key=lambda cpu: sizes[cpu] or 0)]
    fast = frozenset(cpu for cpu in cpus if parts[cpu] == best)
    return fast, f"{CPUINFO}, CPU part, by cpu_capacity"


def parse_parts(text: str) -> dict[int, tuple[str, str]]:
    """/proc/cpuinfo of Arm: CPU number to (implementer, part), which is the kind of core; CPUs
    without both are left out.
    """
    return _by_cpu(text, "CPU implementer", "CPU part")


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


def parse_core_ids(text: str) -> dict[int, tuple[str, str]]:
    """/proc/cpuinfo of x86: CPU number to (package, core); CPUs without both are left out."""
    return _by_cpu(text, "physical id", "core id")


def _by_cpu(text: str, first: str, second: str) -> dict[int, tuple[str, str]]:
    pair_of_cpu = {}
    for block in text.split("\n\n"):
        values = {
            key.strip(): value.strip()
            for key, colon, value in (line.partition(":") for line in block.splitlines())
            if colon
        }
        number = values.get("processor", "")
        if number.isdecimal() and len(number) <= 6 and first in values and second in values:
            pair_of_cpu[int(number)] = (values[first], values[second])
    return pair_of_cpu


def _whole_disk_root(host: Host) -> bool:
    """The root folder is a disk of its own: an image's /.dockerenv is still there after a
    virtual machine was made from it.
    """
    mount = host.mount_of("/")
    return (
        mount is not None
        and mount.root == "/"
        and mount.filesystem in ("ext3", "ext4", "xfs", "f2fs")
    )


def _hypervisor(host: Host) -> str | None:
    """Where it shows that a hypervisor runs this system, beside x86's flag and the firmware's
    names; None where it does not show.

    What systemd's detect_vm looks at (src/basic/virt.c).
    """
    import re

    # the first domain of Xen drives the hardware itself
    if host.exists("/sys/hypervisor/type") and "control_d" not in (
        host.read_text("/proc/xen/capabilities") or ""
    ):
        return "/sys/hypervisor"
    if host.exists(f"{DEVICE_TREE}/hypervisor"):
        return f"{DEVICE_TREE}/hypervisor"
    tree = f"{DEVICE_TREE}/compatible"
    if (host.read_text(tree) or "").strip("\0\n ") in _VIRTUAL_TREES:
        return tree
    if host.listdir(DEVICE_TREE, lambda name: "fw-cfg" in name):
        return f"{DEVICE_TREE}: QEMU's fw-cfg"
    # a logical partition of POWER has no hypervisor node
    if host.exists(f"{DEVICE_TREE}/ibm,partition-name") and host.exists(
        f"{DEVICE_TREE}/hmc-managed?"
    ):
        return f"{DEVICE_TREE}/ibm,partition-name"
    if re.search(r"(?m)^VM00 Control Program:", host.read_text(SYSINFO) or ""):
        return f"{SYSINFO}, VM00 Control Program"
    if "User Mode Linux" in parse_cpuinfo(_cpuinfo(host) or "").get("vendor_id", ()):
        return f"{CPUINFO}, vendor_id"
    return None


def read_scope(host: Host, facts: Found) -> None:
    """Whether this is a container, a virtual machine or the computer itself."""
    if host.system == "macos":
        _macos_scope(host, facts)
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\BIOS"
        words = (host.registry(key, name) for name in ("SystemManufacturer", "SystemProductName"))
        source = "registry, SystemManufacturer and SystemProductName"
        _scope_by_firmware(facts, " ".join(filter(None, words)), source)
    elif host.system != "linux":
        _machine_scope(host, facts)
    elif (sign := _container_sign(host)) is not None:
        facts.put("scope", "container", sign)
    elif host.exists("/.dockerenv") and not host.mounts():
        facts.miss(
            "scope",
            "there is a /.dockerenv, which a virtual machine's image may have too, and"
            f" {host.why('/proc/self/mountinfo')}",
        )
    else:
        _machine_scope(host, facts)


def _container_sign(host: Host) -> str | None:
    """What shows that Linux runs in a container here; None where nothing does."""
    marked = host.exists("/.dockerenv")
    group = host.read_text("/proc/self/cgroup") or ""
    # all of them are looked at, so that a recorded machine holds each
    signs = (
        ("variable container", "container" in host.env),
        ("variable KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_HOST" in host.env),
        ("/.dockerenv", marked and bool(host.mounts()) and not _whole_disk_root(host)),
        ("/run/.containerenv", host.exists("/run/.containerenv")),
        # systemd inside writes it, whoever made the container
        ("/run/systemd/container", host.exists("/run/systemd/container")),
        ("/proc/self/cgroup", any(word in group for word in CONTAINER)),
        ("/proc/self/mountinfo, lxcfs", any(_is_lxcfs(mount) for mount in host.mounts())),
        ("/proc/version: gVisor", _GVISOR in (host.read_text("/proc/version") or "")),
    )
    return next((sign for sign, shows in signs if shows), None)


def _is_lxcfs(mount: Mount) -> bool:
    return mount.filesystem == "fuse.lxcfs" and mount.point == "/proc/meminfo"


def _macos_scope(host: Host, facts: Found) -> None:
    answer = host.sysctl("kern.hv_vmm_present")
    features = host.sysctl("machdep.cpu.features")
    if answer in ("0", "1"):
        facts.put("scope", "vm" if answer == "1" else "host", "sysctl kern.hv_vmm_present")
    elif features:
        scope = "vm" if "VMM" in features.split() else "host"
        facts.put("scope", scope, "sysctl machdep.cpu.features")
    else:
        facts.miss("scope", "sysctl has no kern.hv_vmm_present")


_RELEASES = (("microsoft", "WSL2"), ("linuxkit", "Docker Desktop"), ("orbstack", "OrbStack"))


def _machine_scope(host: Host, facts: Found) -> None:
    """A virtual machine or the computer itself, outside a container."""
    if is_wsl1(host):
        facts.miss(
            "scope", "WSL 1 shows Windows' own machine, and not whether that is a virtual one"
        )
        return
    release = host.release().lower()
    for word, title in _RELEASES:
        if word in release:
            facts.put("scope", "vm", f"kernel release: {title}")
            return
    names = parse_instruction_sets(_cpuinfo(host) or "") or ()
    if "hypervisor" in names:
        facts.put("scope", "vm", f"{CPUINFO}, flag hypervisor")
        return
    beneath = _hypervisor(host)
    if beneath:
        facts.put("scope", "vm", beneath)
        return
    firmware, source = _firmware(host, names)
    if "amazon ec2" in firmware.lower() and ".metal" in firmware:
        facts.put("scope", "host", source)
    else:
        _scope_by_firmware(facts, firmware, source)


def _firmware(host: Host, flags: Sequence[str]) -> tuple[str, str]:
    """What the firmware calls the computer, and where that was read; empty where unknown."""
    folder = "/sys/class/dmi/id"
    words = (host.read_text(f"{folder}/{name}") for name in ("sys_vendor", "product_name"))
    if firmware := " ".join(filter(None, words)):
        return firmware, f"{folder}/sys_vendor and product_name"
    if "sse2" in flags:
        # x86 kernels always show the flag to a guest
        return "x86", f"{CPUINFO}, no flag hypervisor"
    if model := host.read_text(f"{DEVICE_TREE}/model"):
        return model, f"{DEVICE_TREE}/model"
    # the firmware of a mainframe: an LPAR of the machine itself, for no guest's lines stand in it
    return host.read_text(SYSINFO) or "", f"{SYSINFO}, no VM00"


def _scope_by_firmware(facts: Found, firmware: str, source: str) -> None:
    if not firmware:
        facts.miss("scope", "nothing tells whether this is a virtual machine")
        return
    guest = any(word in firmware.lower() for word in _VIRTUAL)
    facts.put("scope", "vm" if guest else "host", source)
