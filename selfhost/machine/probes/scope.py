"""Whether this is a container, a virtual machine or the computer itself."""

from __future__ import annotations

from ...core.tables import shipped_table
from .cpu import CPUINFO, cpuinfo, parse_instruction_sets
from .facts import Facts
from .host import Host

_TREE, _DMI = "/proc/device-tree", "/sys/class/dmi/id"
# words in the names of control groups that containers are put into
_CONTAINER_GROUPS = ("docker", "kubepods", "containerd", "libpod", "crio", "lxc", "nspawn")
_VIRTUAL_KERNELS = ("microsoft", "linuxkit", "orbstack")


def read_scope(host: Host, facts: Facts) -> None:
    """`container`, `vm` or `host`: by the first sign of each."""
    if host.system == "macos":
        name = "kern.hv_vmm_present"
        is_guest = host.sysctl(name)
        if not is_guest and (features := host.sysctl("machdep.cpu.features").split()):
            is_guest, name = str(int("VMM" in features)), "machdep.cpu.features"
        if is_guest in ("0", "1"):
            facts.put("scope", "vm" if is_guest == "1" else "host", f"sysctl {name}")
        else:
            facts.miss("scope", "sysctl has no kern.hv_vmm_present")
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\BIOS"
        words = (host.registry(key, name) for name in ("SystemManufacturer", "SystemProductName"))
        _read_firmware(facts, " ".join(words), "registry, SystemProductName")
    elif sign := _container_sign(host):
        facts.put("scope", "container", sign)
    else:
        _read_linux(host, facts)


def _container_sign(host: Host) -> str | None:
    """What shows that Linux runs in a container here; None where nothing does."""
    group = host.read_text("/proc/self/cgroup") or ""
    root = host.mount_of("/")
    is_layered = root is not None and root.filesystem not in ("ext4", "xfs")
    signs = {
        "variable container": "container" in host.env,
        "variable KUBERNETES_SERVICE_HOST": "KUBERNETES_SERVICE_HOST" in host.env,
        # the file is still there after a virtual machine was made from a container's image
        "/.dockerenv": host.exists("/.dockerenv") and is_layered,
        "/run/.containerenv": host.exists("/run/.containerenv"),
        "/run/systemd/container": host.exists("/run/systemd/container"),
        "/proc/self/cgroup": any(word in group for word in _CONTAINER_GROUPS),
    }
    return next((sign for sign, shows in signs.items() if shows), None)


def _read_linux(host: Host, facts: Facts) -> None:
    flags = parse_instruction_sets(cpuinfo(host)) or ()
    if any(word in host.release() for word in _VIRTUAL_KERNELS):
        facts.put("scope", "vm", "kernel release")
    elif "hypervisor" in flags or "sse2" in flags:
        # x86 kernels always show the flag to a guest
        is_guest = "hypervisor" in flags
        shown = "flag hypervisor" if is_guest else "no flag hypervisor"
        facts.put("scope", "vm" if is_guest else "host", f"{CPUINFO}, {shown}")
    elif host.exists(f"{_TREE}/hypervisor"):
        facts.put("scope", "vm", f"{_TREE}/hypervisor")
    else:
        paths = [f"{_DMI}/sys_vendor", f"{_DMI}/product_name", f"{_TREE}/compatible"]
        paths += [f"{_TREE}/model"]
        words = {path: word for path in paths if (word := host.read_word(path))}
        _read_firmware(facts, " ".join(words.values()), " and ".join(words))


def _read_firmware(facts: Facts, words: str, source: str) -> None:
    if not words.strip():
        facts.miss("scope", "nothing tells whether this is a virtual machine")
        return
    virtual = shipped_table("firmware_names")["virtual_firmware"]
    is_guest = any(word in words.lower() for word in virtual) and ".metal" not in words.lower()
    facts.put("scope", "vm" if is_guest else "host", source)
