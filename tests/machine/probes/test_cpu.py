"""Processors: models, instruction sets and cores of two kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers.each import each
from helpers.recordings import PARTS, part, recorded, text_of
from selfhost.machine.probes import cpu, read_machine
from selfhost.machine.probes.host import RecordedHost


@each("name", part("cpuinfo"))
def test_recorded_instruction_sets(name: str) -> None:
    """45 processors: what each must and must not show; kernels without a list give None."""
    found = cpu.parse_instruction_sets(text_of(name))
    if "riscv" in name:
        assert found is None
        return
    assert found
    for flag, there in PARTS[name].get("expect", {}).items():
        assert (flag in found) == there, flag
    assert cpu.parse_model(text_of(name))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("x86-zen5.txt", "AMD Ryzen 9 9950X"),
        ("arm-graviton2-neoverse-n1.txt", "Arm Neoverse-N1"),
        ("arm-dgx-spark-gb10.txt", "Arm Cortex-X925"),
        ("arm-snapdragon-x-elite.txt", "Qualcomm Oryon"),
        ("arm-raspberrypi4-v8-pios.txt", "Raspberry Pi 4 Model B"),
        ("riscv-spacemit-k1.txt", "Spacemit(R) X60"),
    ],
)
def test_recorded_models(name: str, model: str) -> None:
    """Arm kernels give part numbers: people know the names."""
    assert model in (cpu.parse_model(text_of(f"cpuinfo/{name}")) or "")


def test_cores_of_a_hybrid_processor(build: Callable[..., RecordedHost]) -> None:
    """Six cores of two threads and eight of one: 14 cores, of which a process bound to two threads of one core has one.

    The large ones are those that the kernel names, or that have two threads where others have one.
    """
    files = recorded("linux-desktop-alder-lake")
    for extra in (
        {},
        {"/sys/devices/cpu_core/cpus": "0-11\n", "/sys/devices/cpu_atom/cpus": "12-19\n"},
    ):
        machine = read_machine(build(files | extra, affinity=list(range(20))))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (14, 6)
        machine = read_machine(build(files | extra, affinity=[2, 3]))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (1, 1)
        # bound to small ones: the fastest there are
        assert read_machine(build(files | extra, affinity=[12, 13, 14])).cpu_cores_performance == 3
    for name in ("cpu_core", "cpu_atom"):
        half = read_machine(
            build(files | {f"/sys/devices/{name}/cpus": "0-11\n"}, affinity=list(range(20)))
        )
        assert half.cpu_cores_performance is None
        assert "is not there" in half.why_unread("cpu_cores_performance").reason


def test_cores_of_two_kinds_on_arm(build: Callable[..., RecordedHost]) -> None:
    """DGX Spark: ten Cortex-X925 and ten Cortex-A725, in two clusters of different clocks (cpu_capacity 997 to 1024, 718 and 731)."""
    files = recorded("linux-dgx-spark-gb10")
    everyone = list(range(20))
    siblings = {
        f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu}\n"
        for cpu in everyone
    }
    machine = read_machine(build(files | siblings, affinity=everyone))
    assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (20, 10)
    assert read_machine(build(files | siblings, affinity=[0, 1, 2])).cpu_cores_performance == 3
    del files["/sys/devices/system/cpu/cpu7/cpu_capacity"]
    assert read_machine(build(files | siblings, affinity=everyone)).cpu_cores_performance is None
