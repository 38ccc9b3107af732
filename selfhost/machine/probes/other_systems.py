"""macOS and Windows, read with psutil, `sysctl` and the registry: processor, instruction sets,
cores and memory. On any other system only psutil is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from .firmware import firmware_names
from .host import Facts, Host
from .texts import parse_digits, parse_name

_PROCESSOR_NAME = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0\ProcessorNameString"
# instruction sets for which Windows has no number
_UNASKED_OF_ARM = ("i8mm", "bf16", "sve")
_UNASKED_OF_X86 = ("fma", "f16c", "bmi2")


def read_processor(host: Host, facts: Facts) -> None:
    """Read the architecture that programs here are made for, the processor's name, and its
    instruction sets.
    """
    kind = host.architecture
    if host.system == "windows":
        source = "registry, PROCESSOR_ARCHITECTURE"
        name_source = "registry, ProcessorNameString"
        name: str = host.ask("registry", _PROCESSOR_NAME) or ""
        _read_windows_sets(host, facts)
    else:
        source = "uname"
        name_source = "sysctl machdep.cpu.brand_string"
        name = host.sysctl("machdep.cpu.brand_string")
        _read_mac_sets(host, facts)
    if _is_apple_silicon(host):
        kind = "aarch64"
        source = "sysctl hw.optional.arm64"
        if host.sysctl("sysctl.proc_translated") == "1":
            source += (
                "; this Python is an x86_64 one under Rosetta: install an arm64 one"
            )
    facts.put(
        "architecture",
        kind,
        source,
        why="the system did not say what processor it has",
    )
    name = parse_name(name)
    facts.put("cpu_model", name or None, name_source, f"{name_source} is empty")


def _is_apple_silicon(host: Host) -> bool:
    """Whether this is a Mac with an Apple chip, also under Rosetta."""
    return host.sysctl("hw.optional.arm64") == "1"


def _read_windows_sets(host: Host, facts: Facts) -> None:
    """Read the instruction sets on Windows, by the numbers of the processor's features."""
    table = firmware_names().windows_x86
    unasked = _UNASKED_OF_X86
    if host.architecture == "aarch64":
        table = firmware_names().windows_arm
        unasked = _UNASKED_OF_ARM
    numbers = host.ask("processor_features") or ()
    names = [name for number, name in table.items() if int(number) in numbers]
    if not names:
        facts.lack("instruction_sets", "Windows did not say what the processor can do")
        return
    facts.put("instruction_sets", tuple(sorted(names)), "IsProcessorFeaturePresent")
    # a set missing from this list may still be in the processor
    for name in unasked:
        facts.lack(f"instruction_sets.{name}", "Windows does not report it to programs")


def _read_mac_sets(host: Host, facts: Facts) -> None:
    """Read the instruction sets of a Mac: on Arm by the values of `hw.optional`, on x86 by lists of
    features.
    """
    names = set()
    for name, linux_name in firmware_names().mac_arm.items():
        if host.sysctl(f"hw.optional.{name}") == "1":
            names.add(linux_name)
    source = "sysctl hw.optional"
    if not names:
        names = _mac_x86_sets(host)
        source = "sysctl machdep.cpu.features, leaf7_features"
    if names:
        facts.put("instruction_sets", tuple(sorted(names)), source)
    else:
        facts.lack(
            "instruction_sets",
            "sysctl names no instruction sets, or one of machdep.cpu's lists is empty",
        )


def _mac_x86_sets(host: Host) -> set[str]:
    """The instruction sets of an Intel Mac, as Linux calls them; none where a list is empty that
    cannot be.
    """
    basic = _mac_features(host, "features")
    extended = _mac_features(host, "extfeatures")
    leaf7 = _mac_features(host, "leaf7_features")
    if not basic or not extended:
        return set()
    # a processor with FMA also has AVX2 (Haswell), so that an empty list means a failed read
    if "fma" in basic and not leaf7:
        return set()
    table = firmware_names().mac_x86
    return {table.get(word, word) for word in basic + extended + leaf7}


def _mac_features(host: Host, name: str) -> list[str]:
    """The words of one of the feature lists of an Intel Mac's processor."""
    return host.sysctl(f"machdep.cpu.{name}").lower().split()


def read_memory(host: Host, facts: Facts) -> None:
    """Read the memory by psutil, and where that fails the total size on macOS by sysctl."""
    memory: Mapping[str, int | None] = host.ask("memory") or {}
    total = memory.get("total") or _stated_number(host, "hw.memsize")
    available = memory.get("available")
    if available is not None and total is not None:
        available = min(available, total)
    source = "psutil.virtual_memory().total"
    limit_source = "the hardware's"
    limit = None
    if host.system == "macos":
        source = "sysctl hw.memsize"
        limit = total
    elif host.system == "windows":
        limit_source += ": limits of a job object are not read"
        limit = total
    facts.put("memory_total_bytes", total, source)
    facts.put("memory_limit_bytes", limit, limit_source)
    source = "psutil.virtual_memory().available"
    facts.put("memory_available_bytes", available, source)
    swap = memory.get("swap_free")
    facts.put("swap_free_bytes", swap, "psutil.swap_memory().free")


def read_cores(host: Host, facts: Facts) -> None:
    """Read the cores by psutil, or by macOS' sysctl, which alone tells the kinds of cores."""
    counts: Mapping[str, int | None] = host.ask("cores") or {}
    tool = "psutil" if counts else "sysctl"
    physical = counts.get("physical") or _stated_number(host, "hw.physicalcpu", 9)
    facts.put("cpu_cores_physical", physical, f"{tool}, physical CPUs")
    count = counts.get("usable") or _stated_number(host, "hw.logicalcpu", 9)
    usable = None if count is None else float(count)
    facts.put("cpu_cores_usable", usable, f"{tool}, logical CPUs")
    fast = _stated_number(host, "hw.perflevel0.physicalcpu")
    source = "sysctl hw.perflevel0"
    is_intel_mac = host.system == "macos" and not _is_apple_silicon(host)
    if fast is None and is_intel_mac:
        fast = physical
        source = "an Intel Mac's cores are alike"
    facts.put("cpu_cores_performance", fast, source)


def _stated_number(
    host: Host,
    name: str,
    digits: int = 20,
) -> int | None:
    """The number above 0 that a kernel value of macOS states; None where it states none."""
    number = parse_digits(host.sysctl(name), digits)
    return None if number == 0 else number
