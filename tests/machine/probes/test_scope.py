"""Architecture, emulators, and what the machine is: metal, virtual, a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.recordings import GIB, ROOT_MOUNT, part, text_of, word_of
from selfhost import Outcome, Route, check
from selfhost.machine.changes import apply
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.recorded import RecordedHost

KERNELS = {
    f"{word_of(name)} {name}": text_of(name)
    for name in part("cpuinfo")
    if not text_of(name).startswith(("# ", "Arch")) and "riscv" not in name
}


@pytest.mark.parametrize("word", ["x86_64", "aarch64", "armv7l"])
def test_an_emulated_processor_is_not_judged(build: Callable[..., RecordedHost], word: str) -> None:
    """Neither what it can do nor its pace is known, also where a runtime needs no instruction set there, and planning assumes none."""
    real = KERNELS[
        "aarch64 cpuinfo/arm-graviton2-neoverse-n1.txt"
        if word == "x86_64"
        else "x86_64 cpuinfo/x86-zen5.txt"
    ]
    machine = read_machine(
        build({"/proc/cpuinfo": real, "/sys/devices/system/cpu/online": "0-3\n"}, machine=word)
    )
    machine = machine.replace(
        memory_total_bytes=64 * GIB,
        memory_limit_bytes=64 * GIB,
        memory_available_bytes=60 * GIB,
        cpu_cores_usable=16,
    )
    for asked in (machine, apply(machine, ["memory=64GiB"])):
        verdict = check("mistral-7b", machine=asked)
        found = {finding.check: finding for finding in verdict.findings}
        assert verdict.route is not Route.LOCAL
        assert found["speed"].outcome is Outcome.UNKNOWN
        if found["runtime"].outcome is not Outcome.FAIL:
            assert found["cpu"].outcome is Outcome.UNKNOWN
            assert verdict.route is Route.UNKNOWN
    # another processor is asked about
    assert apply(machine, ["architecture=ppc64le"]).emulated_on is None


def test_rosetta(tmp_path: Path) -> None:
    """An x86_64 Python on Apple silicon says x86_64: the computer is an arm64 one (Comfy-Org/comfy-cli#568)."""
    (tmp_path / "facts.json").write_text('{"system": "macos", "machine": "x86_64"}')
    (tmp_path / "sysctl.txt").write_text("hw.optional.arm64: 1\nsysctl.proc_translated: 1\n")
    machine = read_machine(RecordedHost(str(tmp_path)))
    assert machine.architecture == "aarch64"
    assert "Rosetta" in machine.sources["architecture"]


def test_scope(build: Callable[..., RecordedHost]) -> None:
    """Container before virtual machine before the computer itself; an image's leftover marker in a virtual machine is no container."""
    flags = {"/proc/cpuinfo": "flags : fpu sse2 hypervisor\n"}
    assert read_machine(build(flags)).scope == "vm"
    assert read_machine(build({"/proc/cpuinfo": "flags : fpu sse2\n"})).scope == "host"
    overlay = ROOT_MOUNT.replace("ext4 /dev/sda1", "overlay overlay")
    assert (
        read_machine(build(flags | {"/.dockerenv": "x", "/proc/self/mountinfo": overlay})).scope
        == "container"
    )
    assert read_machine(build(flags | {"/.dockerenv": "x"})).scope is None
    assert (
        read_machine(build(flags | {"/.dockerenv": "x", "/proc/self/mountinfo": ROOT_MOUNT})).scope
        == "vm"
    )
    assert read_machine(build(flags, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})).scope == "container"
    assert read_machine(build({}, release="6.6.87.2-microsoft-standard-WSL2")).scope == "vm"
    assert read_machine(build({})).scope is None


TREE = "/proc/device-tree"


DMI = "/sys/class/dmi/id"


@pytest.mark.parametrize(
    ("machine", "files", "scope"),
    [
        # QEMU's virt without firmware, crosvm, Firecracker, Cloud Hypervisor
        (
            "aarch64",
            {f"{TREE}/compatible": "linux,dummy-virt\0", f"{TREE}/model": "linux,dummy-virt\0"},
            "vm",
        ),
        ("aarch64", {f"{TREE}/compatible": "linux,dummy-virt\0"}, "vm"),
        ("aarch64", {f"{TREE}/model": "linux,dummy-virt\0"}, "vm"),
        (
            "aarch64",
            {
                f"{TREE}/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
                f"{TREE}/model": "Raspberry Pi 4\0",
            },
            "host",
        ),
        (
            "riscv64",
            {f"{TREE}/compatible": "riscv-virtio\0", f"{TREE}/model": "riscv-virtio,qemu\0"},
            "vm",
        ),
        (
            "riscv64",
            {f"{TREE}/compatible": "starfive,jh7110\0", f"{TREE}/model": "StarFive VisionFive 2\0"},
            "host",
        ),
        ("ppc64le", {f"{TREE}/hypervisor/compatible": "linux,kvm\0"}, "vm"),
        ("ppc64le", {f"{TREE}/compatible": "qemu,pseries\0"}, "vm"),
        ("ppc64le", {f"{TREE}/model": "8335-GTH\0"}, "host"),
        # the first domain of Xen drives the hardware itself
        (
            "x86_64",
            {
                "/sys/hypervisor/type": "xen\n",
                "/proc/xen/capabilities": "control_d\n",
                f"{DMI}/sys_vendor": "Dell Inc.\n",
            },
            "host",
        ),
        ("x86_64", {"/sys/hypervisor/type": "xen\n", "/proc/xen/capabilities": "\n"}, "vm"),
        (
            "aarch64",
            {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "c7g.metal\n"},
            "host",
        ),
        (
            "aarch64",
            {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "c7g.xlarge\n"},
            "vm",
        ),
    ],
)
def test_scope_where_no_flag_tells_it(
    build: Callable[..., RecordedHost], machine: str, files: dict[str, str], scope: str
) -> None:
    """Virtual machines of processors that have no flag for it show as systemd-detect-virt finds them (systemd, src/basic/virt.c)."""
    host = build(files, machine=machine)
    assert read_machine(host).scope == scope
