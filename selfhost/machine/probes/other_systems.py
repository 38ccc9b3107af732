"""macOS and Windows, by psutil, `sysctl` and the registry: processor and instruction sets, cores,
memory, and whether this is a virtual machine. Of any other system psutil alone is asked.
"""

from __future__ import annotations

from ...core.tables import shipped_table
from .host import Facts, Host, firmware_scope, whole

_REGISTRY = r"HARDWARE\DESCRIPTION\System"
_BIOS = (
    rf"{_REGISTRY}\BIOS\SystemManufacturer",
    rf"{_REGISTRY}\BIOS\SystemProductName",
)
# instruction sets about which Windows has no number
_UNASKED = {"arm": ("i8mm", "bf16", "sve"), "x86": ("fma", "f16c", "bmi2")}


def read_processor(host: Host, facts: Facts) -> None:
    """What programs here are made for, the processor's name, and its instruction sets."""
    kind, source = host.architecture, "uname"
    name, where = (
        host.sysctl("machdep.cpu.brand_string"),
        "sysctl machdep.cpu.brand_string",
    )
    if host.system == "windows":
        source = "registry, PROCESSOR_ARCHITECTURE"
        where, key = "registry, ProcessorNameString", rf"{_REGISTRY}\CentralProcessor\0"
        name = str(host.ask("registry", rf"{key}\ProcessorNameString") or "")
        maker = "arm" if kind == "aarch64" else "x86"
        table = shipped_table("firmware_names")[f"windows_{maker}"]
        there = host.ask("processor_features") or ()
        names = tuple(
            sorted(word for number, word in table.items() if int(number) in there)
        )
        unread = "Windows did not say what the processor can do"
        facts.put(
            "instruction_sets", names or None, "IsProcessorFeaturePresent", unread
        )
        # not asked: their absence from the list does not say that they are missing
        for word in _UNASKED[maker] if names else ():
            unread = "Windows does not report it to programs"
            facts.put(f"instruction_sets.{word}", None, why=unread)
    else:
        _read_mac_sets(host, facts)
    if host.sysctl("hw.optional.arm64") == "1":
        kind, source = "aarch64", "sysctl hw.optional.arm64"
        if host.sysctl("sysctl.proc_translated") == "1":
            source += (
                "; this Python is an x86_64 one under Rosetta: install an arm64 one"
            )
    facts.put(
        "architecture", kind, source, "the system did not say what processor it has"
    )
    facts.put("cpu_model", name.strip() or None, where, f"{where} is empty")


def _read_mac_sets(host: Host, facts: Facts) -> None:
    tables = shipped_table("firmware_names")
    names = ("features", "extfeatures", "leaf7_features")
    basic, extended, leaf7 = (
        host.sysctl(f"machdep.cpu.{name}").lower().split() for name in names
    )
    arm = tables["mac_arm"].items()
    there = {linux for name, linux in arm if host.sysctl(f"hw.optional.{name}") == "1"}
    source = "sysctl hw.optional"
    # what has FMA has AVX2 too (Haswell), so that its list cannot be empty
    if not there and basic and extended and (leaf7 or "fma" not in basic):
        there = {
            tables["mac_x86"].get(word, word) for word in (*basic, *extended, *leaf7)
        }
        source = "sysctl machdep.cpu.features, leaf7_features"
    why = "sysctl names no instruction sets, or one of machdep.cpu's lists is empty"
    facts.put("instruction_sets", tuple(sorted(there)) or None, source, why)


def read_scope(host: Host, facts: Facts) -> None:
    """`vm` or `host`: of a Mac by its kernel, else by what firmware calls the computer."""
    stated, features = (
        host.sysctl("kern.hv_vmm_present"),
        host.sysctl("machdep.cpu.features"),
    )
    if not stated and features:
        scope = "vm" if "VMM" in features.split() else "host"
        facts.put("scope", scope, "sysctl machdep.cpu.features")
    elif stated in ("0", "1"):
        facts.put("scope", ("host", "vm")[int(stated)], "sysctl kern.hv_vmm_present")
    else:
        firmware_scope(
            facts,
            {f"registry, {key}": host.ask("registry", key) or "" for key in _BIOS},
        )


def read_memory(host: Host, facts: Facts) -> None:
    """By psutil, and macOS' size by its sysctl where that fails."""
    memory = host.ask("memory") or {}
    total = memory.get("total") or whole(host.sysctl("hw.memsize")) or None
    call = (
        "sysctl hw.memsize"
        if host.system == "macos"
        else "psutil.virtual_memory().total"
    )
    job = ": limits of a job object are not read" if host.system == "windows" else ""
    limit = total if host.system in ("macos", "windows") else None
    left = memory.get("available")
    left = None if left is None else min(left, total or left)
    facts.put("memory_total_bytes", total, call)
    facts.put("memory_limit_bytes", limit, f"the hardware's{job}")
    facts.put("memory_available_bytes", left, "psutil.virtual_memory().available")
    facts.put("swap_free_bytes", memory.get("swap_free"), "psutil.swap_memory().free")


def read_cores(host: Host, facts: Facts) -> None:
    """By psutil, or by macOS' sysctl, which alone tells of their kinds."""
    counts = host.ask("cores") or {}
    physical = counts.get("physical") or whole(host.sysctl("hw.physicalcpu"), 9) or None
    usable = counts.get("usable") or whole(host.sysctl("hw.logicalcpu"), 9)
    fast, source = (
        whole(host.sysctl("hw.perflevel0.physicalcpu")) or None,
        "sysctl hw.perflevel0",
    )
    if host.system == "macos" and not fast and host.sysctl("hw.optional.arm64") != "1":
        fast, source = physical, "an Intel Mac's cores are alike"
    tool = "psutil" if counts else "sysctl"
    facts.put("cpu_cores_physical", physical, f"{tool}, physical CPUs")
    facts.put(
        "cpu_cores_usable", float(usable) if usable else None, f"{tool}, logical CPUs"
    )
    facts.put("cpu_cores_performance", fast, source)
