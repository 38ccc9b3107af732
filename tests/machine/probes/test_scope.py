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
    assert read_machine(build(flags | {"/.dockerenv": "x"})).scope == "vm"
    assert (
        read_machine(build(flags | {"/.dockerenv": "x", "/proc/self/mountinfo": ROOT_MOUNT})).scope
        == "vm"
    )
    assert read_machine(build(flags, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})).scope == "container"
    assert read_machine(build({}, release="6.6.87.2-microsoft-standard-WSL2")).scope == "vm"
    assert read_machine(build({})).scope is None
