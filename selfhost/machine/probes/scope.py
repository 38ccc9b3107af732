"""Whether this is a container, a virtual machine or the computer itself, decided by the first sign
found.
"""

from __future__ import annotations

from ...core.records import Record
from ...core.units import says_any
from ..platforms import platforms
from .control_groups import CGROUP
from .firmware import firmware_names
from .host import CPUINFO, Facts, Host

_DMI = "/sys/class/dmi/id"
_TREE = "/proc/device-tree"
_BIOS = r"HARDWARE\DESCRIPTION\System\BIOS"
# the places where firmware names the computer: files on Linux, and keys of the Windows registry
_FIRMWARE_FILES = (
    f"{_DMI}/sys_vendor",
    f"{_DMI}/product_name",
    f"{_TREE}/compatible",
    f"{_TREE}/model",
)
_FIRMWARE_KEYS = (rf"{_BIOS}\SystemManufacturer", rf"{_BIOS}\SystemProductName")
# file systems of a computer's own root; a container's root is layered
_PLAIN_ROOTS = ("ext4", "xfs")


class _Sign(Record):
    """The kind of machine (`container`, `vm`, `host`), and the place that shows it."""

    scope: str
    source: str


def read_scope(host: Host, facts: Facts) -> None:
    """Read the kind of machine, `container`, `vm` or `host`: by the first sign, else by the
    firmware's names.
    """
    if host.system == "linux":
        sign = _linux_sign(host)
    else:
        sign = _mac_sign(host)
    if sign is None:
        sign = _firmware_sign(host)
    if sign is None:
        facts.lack("scope", "the system does not say whether this is a virtual machine")
    else:
        facts.put("scope", sign.scope, sign.source)


def _linux_sign(host: Host) -> _Sign | None:
    """The first sign of the kind of machine on Linux; None where only the firmware may tell."""
    container = _container_sign(host)
    if container is not None:
        return _Sign(scope="container", source=container)
    if says_any(host.release, platforms().virtual_kernels):
        return _Sign(scope="vm", source="kernel release")
    flags = host.read_text(CPUINFO).split()
    if "hypervisor" in flags:
        return _Sign(scope="vm", source=f"{CPUINFO}, flag hypervisor")
    # x86 kernels always show this flag to a guest
    if "sse2" in flags:
        return _Sign(scope="host", source=f"{CPUINFO}, no flag hypervisor")
    if host.exists(f"{_TREE}/hypervisor"):
        return _Sign(scope="vm", source=f"{_TREE}/hypervisor")
    return None


def _container_sign(host: Host) -> str | None:
    """The place that shows that this is a container; None where no place does."""
    for variable in ("container", "KUBERNETES_SERVICE_HOST"):
        if variable in host.env:
            return f"variable {variable}"
    root = host.mount_of("/")
    is_layered = root is not None and root.filesystem not in _PLAIN_ROOTS
    # the file is also present in a virtual machine made from a container's image
    if is_layered and host.exists("/.dockerenv"):
        return "/.dockerenv"
    for file in ("/run/.containerenv", "/run/systemd/container"):
        if host.exists(file):
            return file
    group = host.read_text(CGROUP)
    if says_any(group, platforms().container_groups):
        return CGROUP
    return None


def _mac_sign(host: Host) -> _Sign | None:
    """The kind of machine by the kernel of macOS 11 and later; None on another system."""
    stated = host.sysctl("kern.hv_vmm_present")
    if stated not in ("0", "1"):
        return None
    return _Sign(
        scope="vm" if stated == "1" else "host", source="sysctl kern.hv_vmm_present"
    )


def _firmware_sign(host: Host) -> _Sign | None:
    """The kind of machine by the name that the firmware gives the computer; None where the firmware
    states no name.
    """
    names = _names_by_firmware(host)
    if not names:
        return None
    text = " ".join(names.values()).lower()
    words = firmware_names().virtual_firmware
    scope = "host"
    # `c5.metal` of Amazon EC2 is a whole computer
    if ".metal" not in text and says_any(text, words):
        scope = "vm"
    return _Sign(scope=scope, source=" and ".join(names))


def _names_by_firmware(host: Host) -> dict[str, str]:
    """The names that the firmware gives the computer, by the file or key that states each."""
    names = {}
    if host.system == "linux":
        for path in _FIRMWARE_FILES:
            names[path] = host.read_value(path)
    else:
        for key in _FIRMWARE_KEYS:
            names[f"registry, {key}"] = host.ask("registry", key) or ""
    return {place: name for place, name in names.items() if name}
