"""Whether this is a container, a virtual machine or the computer itself."""

from __future__ import annotations

from .cpu import CPUINFO, cpuinfo, parse_instruction_sets
from .facts import Facts
from .host import Host

_TREE, _DMI = "/proc/device-tree", "/sys/class/dmi/id"
# device trees that only virtual machines have: QEMU, crosvm, Firecracker and Cloud Hypervisor
_VIRTUAL_TREES = ("linux,dummy-virt", "riscv-virtio", "qemu,pseries")
# words in the names of control groups that containers are put into
_CONTAINER_GROUPS = ("docker", "kubepods", "containerd", "libpod", "crio", "/lxc", ".lxc",
                     "lxc.payload", "garden", "buildkit", "nspawn")  # fmt: skip
_RELEASES = {"microsoft": "WSL2", "linuxkit": "Docker Desktop", "orbstack": "OrbStack"}
_UNTOLD = "nothing tells whether this is a virtual machine"


def read_scope(host: Host, facts: Facts) -> None:
    """`container`, `vm` or `host`."""
    if host.system == "macos":
        is_guest = host.sysctl("kern.hv_vmm_present")
        features = host.sysctl("machdep.cpu.features").split()
        if is_guest in ("0", "1"):
            scope = "vm" if is_guest == "1" else "host"
            facts.put("scope", scope, "sysctl kern.hv_vmm_present")
        elif features:
            facts.put("scope", "vm" if "VMM" in features else "host", "sysctl machdep.cpu.features")
        else:
            facts.miss("scope", "sysctl has no kern.hv_vmm_present")
    elif host.system == "windows":
        key = r"HARDWARE\DESCRIPTION\System\BIOS"
        words = (host.registry(key, name) for name in ("SystemManufacturer", "SystemProductName"))
        _by_firmware(facts, " ".join(words), "registry, SystemProductName")
    elif host.system != "linux":
        facts.miss("scope", _UNTOLD)
    elif sign := _container_sign(host):
        facts.put("scope", "container", sign)
    elif host.exists("/.dockerenv") and not host.mounts():
        why = host.why("/proc/self/mountinfo")
        facts.miss("scope", f"a virtual machine's image may have a /.dockerenv too, and {why}")
    else:
        _read_linux(host, facts)


def _container_sign(host: Host) -> str | None:
    """What shows that Linux runs in a container here; None where nothing does."""
    group = host.read_text("/proc/self/cgroup") or ""
    root = host.mount_of("/")
    # an image's /.dockerenv is still there after a virtual machine was made from it
    is_disk = root is not None and root.root == "/" and root.filesystem in ("ext4", "xfs", "ext3")
    signs = (
        ("variable container", "container" in host.env),
        ("variable KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_HOST" in host.env),
        ("/.dockerenv", host.exists("/.dockerenv") and root is not None and not is_disk),
        ("/run/.containerenv", host.exists("/run/.containerenv")),
        ("/run/systemd/container", host.exists("/run/systemd/container")),
        ("/proc/self/cgroup", any(word in group for word in _CONTAINER_GROUPS)),
        ("/proc/self/mountinfo, lxcfs", any(m.filesystem == "fuse.lxcfs" for m in host.mounts())),
    )
    return next((sign for sign, shows in signs if shows), None)


def _read_linux(host: Host, facts: Facts) -> None:
    release = host.release()
    title = next((title for word, title in _RELEASES.items() if word in release), None)
    flags = parse_instruction_sets(cpuinfo(host)) or ()
    # the first domain of Xen drives the hardware itself
    is_xen_host = "control_d" in host.read_word("/proc/xen/capabilities")
    signs = (
        (f"kernel release: {title}", title is not None),
        (f"{CPUINFO}, flag hypervisor", "hypervisor" in flags),
        ("/sys/hypervisor", host.exists("/sys/hypervisor/type") and not is_xen_host),
        (f"{_TREE}/hypervisor", host.exists(f"{_TREE}/hypervisor")),
        (f"{_TREE}/compatible", host.read_word(f"{_TREE}/compatible") in _VIRTUAL_TREES),
    )
    sign = next((sign for sign, shows in signs if shows), None)
    words = (host.read_text(f"{_DMI}/{name}") for name in ("sys_vendor", "product_name"))
    if sign is not None:
        facts.put("scope", "vm", sign)
    elif "sse2" in flags:
        # x86 kernels always show the flag to a guest
        facts.put("scope", "host", f"{CPUINFO}, no flag hypervisor")
    elif firmware := " ".join(filter(None, words)):
        _by_firmware(facts, firmware, f"{_DMI}/sys_vendor and product_name")
    else:
        _by_firmware(facts, host.read_text(f"{_TREE}/model") or "", f"{_TREE}/model")


def _by_firmware(facts: Facts, firmware: str, source: str) -> None:
    if not firmware.strip():
        facts.miss("scope", _UNTOLD)
        return
    from ...core.tables import shipped_table

    words = shipped_table("firmware_names")["virtual_firmware"]
    is_guest = any(word in firmware.lower() for word in words) and ".metal" not in firmware
    facts.put("scope", "vm" if is_guest else "host", source)
