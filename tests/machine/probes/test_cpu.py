"""Processors: models, instruction sets and cores of two kinds; measuring the memory bandwidth,
where what disturbs makes it a lower bound or none, never a wrong figure.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.recordings import PARTS, Build, lawful, part, recorded, text_of
from selfhost.judge.pace.reading import bandwidth as judged
from selfhost.machine.probes import bandwidth
from selfhost.machine.probes.bandwidth import Trace, joint_rate
from selfhost.machine.probes.texts import parse_cpuinfo
from selfhost.machine.reader import read_machine
from selfhost.machine.record import BANDWIDTH, Machine


@pytest.mark.parametrize("name", part("cpuinfo"), ids=case_id)
def test_recorded_instruction_sets(name: str) -> None:
    """45 processors: what each must and must not show; kernels without a list give None."""
    found = parse_cpuinfo(text_of(name)).instruction_sets
    if "riscv" in name:
        assert found is None
        return
    assert found
    for flag, there in PARTS[name].get("expect", {}).items():
        assert (flag in found) == there, flag
    assert parse_cpuinfo(text_of(name)).name


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
    ids=case_id,
)
def test_recorded_models(name: str, model: str) -> None:
    """Arm kernels give part numbers: people know the names."""
    assert model in parse_cpuinfo(text_of(f"cpuinfo/{name}")).name


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"model name\t: {'Xeon ' * 300}\n", id="words"),
        pytest.param(f"model name\t: {'Xeon-' * 300}\n", id="one-word"),
        pytest.param(
            "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
            + "".join([f"Model\t: board {number}\n" for number in range(300)]),
            id="boards",
        ),
    ],
)
def test_a_name_that_is_too_long_is_cut(text: str, build: Build) -> None:
    """A container may have any text in its /proc/cpuinfo."""
    name = read_machine(build({"/proc/cpuinfo": text})).cpu_model
    assert name is not None
    assert name.startswith(("Xeon", "Arm Cortex-A76 (board 0)"))
    assert len(name) == 200
    assert name.endswith("…")


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(" ".join([f"avx{number}" for number in range(5000)]), id="many"),
        pytest.param("avx2 " + "long-" * 5000, id="long"),
    ],
)
def test_a_list_of_sets_that_is_too_long_is_unread(flags: str, build: Build) -> None:
    """A part of it would be a list of another processor."""
    machine = read_machine(build({"/proc/cpuinfo": f"flags\t: {flags}\n"}))
    lawful(machine)
    assert machine.instruction_sets is None
    reason = machine.why_unread("instruction_sets").reason
    assert reason == "/proc/cpuinfo lists more than any processor has"


def test_cores_of_a_hybrid_processor(build: Build) -> None:
    """Six cores of two threads and eight of one: 14 cores, of which a process bound to two threads
    of one core has one.

    The large ones are those that the kernel names, or that have two threads where others have one.
    """
    files = recorded("linux-desktop-alder-lake")
    kinds = {
        "/sys/devices/cpu_core/cpus": "0-11\n",
        "/sys/devices/cpu_atom/cpus": "12-19\n",
    }
    for extra in ({}, kinds):
        machine = read_machine(build(files | extra, affinity=list(range(20))))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (14, 6)
        machine = read_machine(build(files | extra, affinity=[2, 3]))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (1, 1)
        # bound to small ones: the fastest there are
        assert (
            read_machine(
                build(files | extra, affinity=[12, 13, 14])
            ).cpu_cores_performance
            == 3
        )
    for name in ("cpu_core", "cpu_atom"):
        alone = {f"/sys/devices/{name}/cpus": "0-11\n"}
        half = read_machine(build(files | alone, affinity=list(range(20))))
        assert half.cpu_cores_performance is None
        assert "does not exist" in half.why_unread("cpu_cores_performance").reason


def test_cores_of_two_kinds_on_arm(build: Build) -> None:
    """DGX Spark: ten Cortex-X925 and ten Cortex-A725, in two clusters of different clocks
    (cpu_capacity 997 to 1024, 718 and 731).
    """
    files = recorded("linux-dgx-spark-gb10")
    everyone = list(range(20))
    siblings = {
        f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu}\n"
        for cpu in everyone
    }
    machine = read_machine(build(files | siblings, affinity=everyone))
    assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (20, 10)
    assert (
        read_machine(build(files | siblings, affinity=[0, 1, 2])).cpu_cores_performance
        == 3
    )
    del files["/sys/devices/system/cpu/cpu7/cpu_capacity"]
    assert (
        read_machine(build(files | siblings, affinity=everyone)).cpu_cores_performance
        is None
    )


MIB = 2**20
GB = 10**9
HERE = Machine(
    name="here", is_this_one=True, scope="host", memory_total_bytes=2**34, memory_limit_bytes=2**34,
    memory_available_bytes=2**33, cpu_cores_usable=2, cpu_cores_physical=2,
)  # fmt: skip


def trace(rate: float, share: float = 1.0) -> Trace:
    """One thread that reads so many bytes a second."""
    step = bandwidth._CHUNK_BYTES / rate
    return Trace(
        seconds=[at * step for at in range(int(0.1 / step) + 2)],
        cpu_share=share,
        area_bytes=256 * MIB,
    )


@given(st.floats(5e9, 60e9), st.floats(5e9, 60e9))
def test_threads_that_run_together_add_up(one: float, other: float) -> None:
    """Whatever each reads, the figure is the sum."""
    assert joint_rate([trace(one), trace(other)]) == pytest.approx(
        one + other, rel=0.02
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpu_cores_usable": 0.5}, "interrupts"),
        ({"memory_available_bytes": None}, "were not read"),
        ({"memory_available_bytes": 64 * MIB}, "caches may hold"),
    ],
)
def test_where_it_could_only_mislead_it_does_not_measure(
    changes: dict[str, object], reason: str
) -> None:
    """Less than a processor, too little memory: a reason, not a figure."""
    machine = bandwidth.with_measured(HERE.replace(**changes))
    assert machine.memory_bandwidth_bytes_per_second is None
    assert reason in machine.why_unread(BANDWIDTH).reason
    assert machine.measured_in_vain


@pytest.mark.parametrize(
    ("share", "others", "bound"),
    [(1.0, 0, None), (0.5, 0, "least"), (1.0, 1, "least"), (1.0, None, "least")],
)
def test_a_busy_machine_gives_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch, share: float, others: int | None, bound: str | None
) -> None:
    """A thread that was interrupted, or another program that runs beside it: more may be there."""
    # whatever caches the machine of the tests has
    monkeypatch.setattr(bandwidth, "cache_bytes", lambda _: 64 * MIB)
    monkeypatch.setattr(bandwidth, "_read", lambda *_, **__: trace(20e9, share))
    monkeypatch.setattr(bandwidth, "_count_other_programs", lambda _: others)
    for is_at_present in (False, True):
        machine = bandwidth.with_measured(HERE, brief=is_at_present)
        assert machine.memory_bandwidth_bytes_per_second == pytest.approx(
            40e9, rel=0.02
        )
        how = "measured-briefly" if is_at_present else "measured"
        assert (machine.memory_bandwidth_how, machine.memory_bandwidth_bound) == (
            how,
            bound,
        )
        assert "measured" in machine.sources[BANDWIDTH]
        told = judged(machine)
        untold = judged(HERE)
        assert told is not None
        assert not is_at_present or untold is None or told.ends.high >= untold.ends.high
        assert (", measured" in told.how) is (bound is None)
        assert ("at present" in told.how) is (is_at_present and bound is None)
        assert ("at least" in told.how) is (bound is not None)


def test_this_machine_is_measured_or_says_why_not() -> None:
    """A figure of a machine that exists, and both ways within a factor of four; else a reason."""
    machine = Machine.read()
    careful = bandwidth.with_measured(machine)
    brief = bandwidth.with_measured(machine, brief=True)
    rates = [read.memory_bandwidth_bytes_per_second or 0 for read in (careful, brief)]
    for read, rate in zip((careful, brief), rates, strict=True):
        assert (rate == 0) == any(entry.fact == BANDWIDTH for entry in read.unread)
        assert rate == 0 or GB < rate < 4000 * GB
    assert not all(rates) or 0.25 < rates[0] / rates[1] < 4
