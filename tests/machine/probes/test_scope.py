"""Architecture, emulators, and what the machine is: metal, virtual, a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.recordings import GIB, ROOT_MOUNT, text_of
from selfhost import Outcome, Route, check
from selfhost.machine.changes import apply
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.host import RecordedHost


@pytest.mark.parametrize("word", ["x86_64", "aarch64", "armv7l"])
def test_an_emulated_processor_is_not_judged(build: Callable[..., RecordedHost], word: str) -> None:
    """Neither what it can do nor its pace is known, also where a runtime needs no instruction set there, and planning assumes none."""
    other = "arm-graviton2-neoverse-n1" if word == "x86_64" else "x86-zen5"
    real = text_of(f"cpuinfo/{other}.txt")
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


OVERLAY = ROOT_MOUNT.replace("ext4 /dev/sda1", "overlay overlay")
IN_IMAGE = {"/.dockerenv": "x"}


@pytest.mark.parametrize(
    ("flags", "files", "env", "facts", "scope"),
    [
        ("fpu sse2 hypervisor", {}, {}, {}, "vm"),
        ("fpu sse2", {}, {}, {}, "host"),
        ("fpu sse2 hypervisor", {**IN_IMAGE, "/proc/self/mountinfo": OVERLAY}, {}, {}, "container"),
        # an image's leftover marker in a virtual machine is no container
        ("fpu sse2 hypervisor", {**IN_IMAGE, "/proc/self/mountinfo": ROOT_MOUNT}, {}, {}, "vm"),
        ("fpu sse2 hypervisor", {}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, "container"),
        ("", {}, {}, {"release": "6.6.87.2-microsoft-standard-WSL2"}, "vm"),
        ("", {}, {}, {}, None),
    ],
)
def test_scope(
    build: Callable[..., RecordedHost],
    flags: str,
    files: dict[str, str],
    env: dict[str, str],
    facts: dict[str, str],
    scope: str | None,
) -> None:
    """Container before virtual machine before the computer itself."""
    cpuinfo = {"/proc/cpuinfo": f"flags : {flags}\n"} if flags else {}
    assert read_machine(build(cpuinfo | files, env, **facts)).scope == scope
