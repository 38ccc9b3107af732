"""Architecture, emulators, and what the machine is: metal, virtual, a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.each import each
from helpers.recordings import GIB, ROOT_MOUNT, lawful, part, text_of, word_of
from selfhost import Outcome, Route, check
from selfhost.machine.changes import apply
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.recorded import RecordedHost


@pytest.mark.parametrize(
    ("word", "bits", "name"),
    [
        ("x86_64", 64, "x86_64"),
        ("AMD64", 64, "x86_64"),
        ("arm64", 64, "aarch64"),
        ("aarch64", 32, "armv7l"),
        ("x86_64", 32, "i686"),
        ("armv7l", 32, "armv7l"),
        ("i686", 64, "x86_64"),
        ("armv8l", 64, "aarch64"),
        ("riscv64", 64, "riscv64"),
    ],
)
def test_architecture(build: Callable[..., RecordedHost], word: str, bits: int, name: str) -> None:
    """One name per architecture; a 32-bit system on a 64-bit kernel runs 32-bit programs, a 64-bit program under `setarch i386` its own."""
    assert read_machine(build({}, machine=word, pointer_bits=bits)).architecture == name


LOONGSON = "processor\t: 0\nCPU Family\t: Loongson-64bit\nISA\t\t: loongarch32 loongarch64\nFeatures\t: cpucfg lam ual fpu\n"


KERNELS = {
    f"{word_of(name)} {name}": text_of(name)
    for name in part("cpuinfo")
    if not text_of(name).startswith(("# ", "Arch")) and "riscv" not in name
}


def family(word: str) -> str:
    return "arm" if word.startswith(("arm", "aarch")) else "x86"


@each("recording", sorted(KERNELS))
@each(
    "word",
    ["x86_64", "i686", "aarch64", "armv7l", "armv8l"],
)
def test_programs_of_another_processor_are_emulated(
    build: Callable[..., RecordedHost], word: str, recording: str
) -> None:
    """A container of another platform : uname says what the programs are for, /proc/cpuinfo what the computer is.

    32-bit programs on a 64-bit kernel, and `setarch`, change the word and not the kind of processor.
    """
    bits = 32 if word.startswith(("i", "arm")) else 64
    machine = read_machine(
        build({"/proc/cpuinfo": KERNELS[recording]}, machine=word, pointer_bits=bits)
    )
    lawful(machine)
    real = recording.split(" ")[0]
    if family(word) == family(real):
        assert machine.emulated_on is None
    else:
        assert family(machine.emulated_on or "") == family(real)
        assert machine.instruction_sets is None
        assert "emulated" in machine.why_unread("instruction_sets").reason
        assert "own platform" in (machine.why_unread("instruction_sets").remedy or "")
        assert machine.cpu_model is None or "emulates" in machine.sources["cpu_model"]


@pytest.mark.parametrize(
    ("word", "kernel", "beneath"),
    [
        ("aarch64", "x86_64", "x86_64"),
        ("x86_64", "aarch64", "aarch64"),
        ("x86_64", "x86_64", None),
        ("i686", "x86_64", None),
        ("armv7l", "aarch64", None),
        ("sparc64", "sparc64", None),
    ],
)
def test_the_kernels_own_word_tells_an_emulator(
    build: Callable[..., RecordedHost], word: str, kernel: str, beneath: str | None
) -> None:
    """An emulator may write /proc/cpuinfo itself; /proc/sys/kernel/arch (Linux 6.1) it does not touch."""
    machine = read_machine(build({"/proc/sys/kernel/arch": f"{kernel}\n"}, machine=word))
    lawful(machine)
    assert machine.emulated_on == beneath


def test_a_kernels_word_that_nobody_can_print_says_nothing(
    build: Callable[..., RecordedHost],
) -> None:
    """A spoilt file is no fact: /proc/cpuinfo decides, as where the kernel is older."""
    cpuinfo = {"/proc/cpuinfo": KERNELS["x86_64 cpuinfo/x86-zen5.txt"]}
    for word in ("aarch64\x01", "aarch64" * 99):
        machine = read_machine(build({**cpuinfo, "/proc/sys/kernel/arch": word}, machine="x86_64"))
        lawful(machine)
        assert machine.emulated_on is None


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


def test_android_is_read_as_linux(build: Callable[..., RecordedHost]) -> None:
    """Python 3.13 and later call it `android` (PEP 738)."""
    machine = read_machine(build({"/proc/meminfo": "MemTotal: 8388608 kB\n"}, system="android", machine="aarch64"))  # fmt: skip
    assert (machine.system, machine.memory_total_bytes) == ("linux", 8 * GIB)
