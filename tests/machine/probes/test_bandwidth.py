"""Measuring the memory bandwidth: what disturbs a measurement makes it doubtful or none, never a wrong figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.core.records import Unread
from selfhost.machine.probes import bandwidth
from selfhost.machine.probes.activity import Activity
from selfhost.machine.probes.bandwidth import Measured
from selfhost.machine.probes.host import Host
from selfhost.machine.probes.plan import FACT, Plan, cache_bytes, doubts_of, plan_for
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.traces import Trace, rate
from selfhost.machine.reader import Machine
from selfhost.verdict import memory_bandwidth

MIB, GIB = 2**20, 2**30
QUIET = "some avg10=1.91 avg60=1.60 avg300=9.24 total=114563752\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


class Files(Host):
    """A live machine of which only these files are there."""

    def __init__(
        self,
        files: Mapping[str, str],
        cpus: int = 2,
        system: str = "linux",
        sysctl: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(system=system)
        self.files, self.cpus, self.values = files, cpus, sysctl or {}

    def _read_text(self, path: str, limit: int = 0) -> str | None:
        return self.files.get(path)

    def listdir(
        self, path: str, is_wanted: Callable[[str], bool] | None = None
    ) -> list[str] | None:
        inside = {
            name[len(path) + 1 :].split("/")[0]
            for name in self.files
            if name.startswith(path + "/")
        }
        return sorted(inside) or None

    def affinity(self) -> frozenset[int] | None:
        return frozenset(range(self.cpus)) if self.system == "linux" else None

    def sysctl(self, name: str) -> str | None:
        return self.values.get(name)


def caches(cpus: int, size: str, shared: int, siblings: int = 1) -> dict[str, str]:
    """Each `shared` CPUs have one third-level cache, each `siblings` one core."""
    files = {"/proc/pressure/cpu": QUIET}
    for cpu in range(cpus):
        folder = f"/sys/devices/system/cpu/cpu{cpu}"
        first, core = cpu // shared * shared, cpu // siblings * siblings
        files[f"{folder}/topology/thread_siblings_list"] = f"{core}-{core + siblings - 1}\n"
        for index, (level, kib) in enumerate((("1", "32K"), ("2", "1024K"), ("3", size))):
            files[f"{folder}/cache/index{index}/level"] = f"{level}\n"
            files[f"{folder}/cache/index{index}/size"] = f"{kib}\n"
            files[f"{folder}/cache/index{index}/shared_cpu_list"] = (
                f"{first}-{first + shared - 1}\n" if level == "3" else f"{cpu}\n"
            )
    return files


def machine(**changes: Any) -> Machine:
    facts: dict[str, Any] = {
        "cpu_cores_usable": 2.0,
        "cpu_cores_physical": 2,
        "memory_available_bytes": 16 * GIB,
    }
    return Machine(**{**facts, **changes})


def plan(**changes: Any) -> Plan:
    return Plan(**{"threads": 2, "cpus": (0, 1), "buffer_bytes": 256 * MIB, **changes})


def steady(
    gigabytes: float,
    *,
    began: float = 0.0,
    seconds: float = 0.2,
    share: float = 1.0,
    chunk: int = 4 * MIB,
) -> Trace:
    """A thread that reads evenly."""
    each = chunk / (gigabytes * 1e9)
    count = int(seconds / each)
    return Trace(
        began=began,
        done=tuple(began + each * (step + 1) for step in range(count)),
        chunk_bytes=chunk,
        cpu_share=share,
        memory_bytes=2**27,
    )


def both(gigabytes: float, **changes: Any) -> list[Trace]:
    return [steady(gigabytes, **changes), steady(gigabytes, began=0.001, **changes)]


# ------------------------------------------------------------------ the figure


@given(st.floats(1, 200), st.floats(1, 200))
def test_threads_that_run_together_add_up(one: float, other: float) -> None:
    """Two threads reading evenly at the same time give the sum of their rates."""
    found = rate([steady(one), steady(other, began=0.003)])
    assert found == pytest.approx((one + other) * 1e9, rel=0.02)


def test_a_pause_does_not_lower_the_figure() -> None:
    """The figure is that of undisturbed windows: a stall in the middle leaves it as it was."""
    even = steady(20)
    stalled = even.replace(done=tuple(moment + 0.02 * (moment > 0.1) for moment in even.done))
    assert rate([stalled]) == pytest.approx(20e9, rel=0.05)


def test_threads_that_other_programs_interrupt_show_what_they_read_at_once() -> None:
    """Each has a processor for 4 ms of 12, in turns that overlap for 2: the sum of what both read then, not of what each
    read over the whole time.
    """

    def interrupted(offset: float) -> Trace:
        chunk = MIB / 10e9
        done, now = [], offset
        while now < 0.3:
            done.append(now := now + chunk)
            if (now - offset) % 0.012 > 0.004:
                now += 0.008
        return Trace(
            began=offset, done=tuple(done), chunk_bytes=MIB, cpu_share=0.33, memory_bytes=2**27
        )

    assert rate([interrupted(0.0), interrupted(0.002)]) == pytest.approx(20e9, rel=0.1)
    assert rate([interrupted(0.0), interrupted(0.006)]) is None


def test_threads_one_after_the_other_give_no_figure() -> None:
    """Rates of threads that did not run together are never added up."""
    assert rate([steady(20), steady(20, began=0.2)]) is None
    assert rate([]) is None
    assert rate([steady(20), steady(20).replace(done=())]) is None
    found = bandwidth.judged(plan(), steady(20), [[steady(20), steady(20, began=0.2)]] * 2, both(1))
    assert isinstance(found, Measured)
    assert (found.is_least, found.confidence) == (True, "low")
    assert found.bytes_per_second == pytest.approx(20e9, rel=0.02)
    assert any("same time" in note for note in found.notes)
    never = steady(20).replace(done=())
    assert isinstance(bandwidth.judged(plan(), never, [[never, never]], both(1)), Unread)


def test_a_quiet_machine_gives_high_confidence() -> None:
    """Undisturbed threads: their sum, the single thread beside it, nothing to note."""
    found = bandwidth.judged(plan(), steady(30), [both(20), both(22)], both(18))
    assert isinstance(found, Measured)
    assert found.bytes_per_second == pytest.approx(44e9, rel=0.02)
    assert found.single_thread_bytes_per_second == pytest.approx(30e9, rel=0.02)
    assert (found.confidence, found.threads, found.notes) == ("high", 2, ())
    assert "2 threads reading 256 MiB" in found.source
    assert found.source.startswith("measured")


def test_two_threads_on_one_processor_give_low_confidence() -> None:
    """A thread that had half a processor shows that something else ran there, and the reason says so."""
    found = bandwidth.judged(plan(), steady(30), [both(15, share=0.5)] * 2, both(15, share=0.5))
    assert isinstance(found, Measured)
    assert found.confidence == "low"
    assert "50 %" in found.notes[0]


def test_the_undisturbed_attempt_counts() -> None:
    """One disturbed attempt of two is forgotten, also where it read more: it retries once."""
    for order in (1, -1):
        found = bandwidth.judged(
            plan(), steady(20), [both(30, share=0.6), both(20)][::order], both(15)
        )
        assert isinstance(found, Measured)
        assert found.confidence == "high"
        assert found.bytes_per_second == pytest.approx(40e9, rel=0.02)


def test_a_bandwidth_that_changes_is_doubtful() -> None:
    """Two undisturbed attempts far apart: a neighbour shares the memory, and neither figure can be promised."""
    found = bandwidth.judged(plan(), steady(20), [both(18), both(32)], both(15))
    assert isinstance(found, Measured)
    assert (found.confidence, found.is_least) == ("low", True)
    assert found.bytes_per_second == pytest.approx(36e9, rel=0.02)
    assert "36.0 GB/s and 64.0 GB/s" in found.notes[0] or "35.9 GB/s" in found.notes[0]


def test_a_bandwidth_that_changes_a_little_is_its_middle() -> None:
    """The pace allows for a quarter less and a third more, which holds both figures."""
    found = bandwidth.judged(plan(), steady(20), [both(16), both(25)], both(15))
    assert isinstance(found, Measured)
    assert (found.confidence, found.is_least) == ("high", False)
    assert found.bytes_per_second == pytest.approx(40e9, rel=0.02)
    assert "it changes" in found.source


def test_threads_on_every_processor_do_not_make_a_busy_machine_quiet() -> None:
    """What they read at once while other programs wait is used, as a lower bound and never with high confidence."""
    waiting = ("other programs wait for the processors 72 % of the time",)
    for share, busy in ((0.3, waiting), (1.0, waiting), (0.3, ())):
        loaded = plan(busy=busy, cpus=tuple(range(2)))
        result = bandwidth.judged(loaded, steady(20), [both(20, share=share)] * 2, both(15))
        assert isinstance(result, Measured)
        assert (result.is_least, result.confidence) == (True, "low"), (share, busy)
        assert result.bytes_per_second == pytest.approx(40e9, rel=0.02)
        assert bandwidth.apply(machine(), result).memory_bandwidth_bytes_per_second is not None


def test_together_less_than_alone_is_doubtful() -> None:
    """Threads that read less together than one alone were held up by something."""
    found = bandwidth.judged(plan(), steady(30), [both(10)] * 2, both(10))
    assert isinstance(found, Measured)
    assert found.confidence == "low"


def test_a_slow_search_is_replaced_by_the_copy() -> None:
    """Where memchr has no vector instructions (musl) it measures itself: the copy, that moves more, is taken."""
    found = bandwidth.judged(plan(), steady(4), [both(4)] * 2, both(20))
    assert isinstance(found, Measured)
    assert found.bytes_per_second == pytest.approx(40e9, rel=0.02)
    assert any("copying" in note for note in found.notes)
    near = steady(4, chunk=MIB)
    found = bandwidth.judged(plan(), steady(4), [both(4)] * 2, both(20), near)
    assert isinstance(found, Measured)
    assert found.bytes_per_second == pytest.approx(40e9, rel=0.02)


def test_a_search_that_memory_holds_up_is_not_replaced() -> None:
    """On Granite Rapids a copy moves 1.33 times what memchr reads, and llama.cpp gets no more than memchr: what the caches
    hold is searched much faster, so the search is not what is slow.
    """
    near = steady(60, chunk=MIB)
    found = bandwidth.judged(plan(), steady(10.5), [both(10.5)] * 2, both(14.2), near)
    assert isinstance(found, Measured)
    assert found.bytes_per_second == pytest.approx(21e9, rel=0.02)


# ------------------------------------------------------------------ the plan


@pytest.mark.parametrize(
    ("busy_seconds", "filled_bytes", "confidence", "is_taken"),
    [
        (0.4, 256 * MIB, "high", True),
        (1.4, 256 * MIB, "low", True),
        # of what was wanted beyond the caches, only a part could be filled in time
        (0.4, 96 * MIB, "low", False),
    ],
)
def test_what_others_used_meanwhile_decides_the_confidence(
    monkeypatch: pytest.MonkeyPatch,
    busy_seconds: float,
    filled_bytes: int,
    confidence: str,
    is_taken: bool,
) -> None:
    """The whole path on a machine that is quiet, or has one of its two processors taken while nobody waits."""
    before = Activity(at_seconds=0.0, own_seconds=3.0, processors=2, busy_seconds=100.0)
    after = before.replace(at_seconds=1.0, own_seconds=3.2, busy_seconds=100.0 + busy_seconds)
    readings = iter([before, after])
    monkeypatch.setattr(bandwidth, "read_activity", lambda _host: next(readings))
    monkeypatch.setattr(
        bandwidth,
        "_run",
        lambda _plan: (steady(30), [both(20)] * 2, both(18), steady(60), filled_bytes),
    )
    found = bandwidth.measure(machine(), Files(caches(2, "32768K", 2)))
    assert isinstance(found, Measured)
    assert found.confidence == confidence
    assert found.buffer_bytes == filled_bytes
    filled = bandwidth.apply(machine(), found)
    if not is_taken:
        assert filled.memory_bandwidth_bytes_per_second is None
        return
    assert filled.memory_bandwidth_bytes_per_second == found.bytes_per_second
    memory = memory_bandwidth.bandwidth(filled.replace(architecture="x86_64", scope="vm"))
    assert memory is not None
    assert memory.measured == (confidence == "high")


def test_the_buffer_is_beyond_the_caches() -> None:
    """At least 128 MiB and four times all last-level caches, but no more than an eighth of the free memory."""
    small = plan_for(machine(), Files(caches(2, "32768K", 2)))
    assert isinstance(small, Plan)
    assert small.buffer_bytes >= 256 * MIB
    large = plan_for(
        machine(cpu_cores_usable=16.0, cpu_cores_physical=16, memory_available_bytes=256 * GIB),
        Files(caches(16, "98304K", 8), 16),
    )
    assert isinstance(large, Plan)
    assert large.buffer_bytes >= 4 * 2 * 96 * MIB
    tight = plan_for(machine(memory_available_bytes=800 * MIB), Files(caches(2, "32768K", 2)))
    assert isinstance(tight, Plan)
    assert tight.buffer_bytes <= 100 * MIB
    assert "small next to the caches" in tight.doubts[0]


def test_memory_that_came_too_slowly_is_not_said_to_lack() -> None:
    """With GiB free a buffer is small because the host of a virtual machine was slow to give it."""
    (slow,) = doubts_of(116 * MIB, 32 * MIB, 256 * MIB)
    assert "116 MiB of 256 MiB" in slow
    assert "free memory is needed" not in slow
    assert "free memory is needed" in doubts_of(100 * MIB, 32 * MIB, 100 * MIB)[0]
    assert doubts_of(128 * MIB, 32 * MIB, 256 * MIB) == ()


def test_what_the_figure_needs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the buffer is not: a second is what `--measure` may take."""
    asked = []

    class Slow:
        def fill(self, _address: int, size: int, deadline: float, clock: Any) -> int:
            asked.append((size, deadline - clock()))
            return 40 if len(asked) == 1 else size

    monkeypatch.setattr(bandwidth, "Filler", Slow)
    assert bandwidth._filled(0, 256, 128) == 128
    assert [size for size, _ in asked] == [256, 88]
    assert asked[1][1] > asked[0][1]


def test_the_caches_are_those_of_the_cpus_in_use() -> None:
    """Each shared cache counts once; without a third level the second counts; nothing known is None, not zero."""
    assert cache_bytes(Files(caches(16, "32768K", 8), 16)) == 64 * MIB
    assert cache_bytes(Files(caches(16, "32768K", 8), 8)) == 32 * MIB
    two = {name: text for name, text in caches(4, "32768K", 4).items() if "index2" not in name}
    assert cache_bytes(Files(two, 4)) == 4 * MIB
    assert cache_bytes(Files({})) is None
    assert cache_bytes(Files({}, system="windows")) is None
    assert (
        cache_bytes(Files({}, system="macos", sysctl={"hw.perflevel0.l2cachesize": "12582912"}))
        == 12 * MIB
    )
    unknown = plan_for(machine(), Files({"/proc/pressure/cpu": QUIET}))
    assert isinstance(unknown, Plan)
    assert "not known" in unknown.notes[0]


def test_one_thread_a_core_pinned() -> None:
    """As many threads as cores that are there and allowed, at most 16, each on a core of its own."""
    smt = plan_for(
        machine(cpu_cores_usable=8.0, cpu_cores_physical=4),
        Files(caches(8, "32768K", 8, siblings=2), 8),
    )
    assert isinstance(smt, Plan)
    assert (smt.threads, smt.cpus) == (4, (0, 2, 4, 6))
    server = plan_for(
        machine(cpu_cores_usable=128.0, cpu_cores_physical=64, memory_available_bytes=256 * GIB),
        Files(caches(128, "32768K", 8, siblings=2), 128),
    )
    assert isinstance(server, Plan)
    assert server.threads == 16
    assert any("16 of 64 cores" in note for note in server.notes)
    quota = plan_for(machine(cpu_cores_usable=1.5), Files(caches(2, "32768K", 2)))
    assert isinstance(quota, Plan)
    assert quota.threads == 1
    mac = plan_for(machine(cpu_cores_usable=8.0, cpu_cores_physical=8), Files({}, system="macos"))
    assert isinstance(mac, Plan)
    assert (mac.threads, mac.cpus) == (8, ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpu_cores_usable": 0.5}, "quota of 0.5 cores"),
        ({"cpu_cores_usable": None}, "processors"),
        ({"memory_available_bytes": None}, "memory is free"),
        ({"memory_available_bytes": 256 * MIB}, "too little"),
    ],
)
def test_where_it_could_only_mislead_it_does_not_measure(
    changes: dict[str, Any], reason: str
) -> None:
    """Less than one CPU, unknown cores, no room: unread with the reason, and nothing is run."""
    found = bandwidth.measure(machine(**changes), Files(caches(2, "32768K", 2)))
    assert isinstance(found, Unread)
    assert reason in found.reason
    assert found.remedy


def test_a_recorded_machine_is_not_measured(tmp_path: Any) -> None:
    """A tree says nothing about this computer's memory, and the other way round."""
    (tmp_path / "proc").mkdir()
    found = bandwidth.measure(machine(), RecordedHost(str(tmp_path)))
    assert isinstance(found, Unread)
    assert "recorded" in found.reason


# ------------------------------------------------------------------ on a machine


def test_a_trusted_figure_stands_in_the_record() -> None:
    """The figure with its source, no reason why it is unread, all else as it was, and the same after writing and reading."""
    before = machine(
        name="edge-1",
        unread=(Unread(fact=FACT, reason="not measured"), Unread(fact="scope", reason="no")),
        sources={"cpu_cores_usable": "given"},
    )
    result = Measured(
        bytes_per_second=54 * 10**9,
        single_thread_bytes_per_second=36 * 10**9,
        threads=2,
        buffer_bytes=256 * MIB,
        confidence="high",
    )
    after = bandwidth.apply(before, result)
    assert after.memory_bandwidth_bytes_per_second == 54 * 10**9
    assert after.sources == {"cpu_cores_usable": "given", FACT: result.source}
    assert FACT not in {entry.fact for entry in after.unread}
    assert after.why_unread("scope").reason == "no"
    same = {
        "memory_bandwidth_bytes_per_second": None,
        "sources": before.sources,
        "unread": before.unread,
    }
    assert after.replace(**same) == before
    again = Machine.from_json(after.to_json())
    assert again.memory_bandwidth_bytes_per_second == 54 * 10**9
    assert again.sources[FACT] == result.source


def test_a_doubtful_figure_is_a_reason_not_a_value() -> None:
    """Low confidence leaves the fact None, also where a figure stood before; the reason holds the figure and what disturbed it."""
    before = machine(memory_bandwidth_bytes_per_second=1, sources={FACT: "measured: before"})
    doubtful = Measured(
        bytes_per_second=21 * 10**9,
        single_thread_bytes_per_second=10**10,
        threads=2,
        buffer_bytes=256 * MIB,
        confidence="low",
        notes=("other programs wait for the processors 72 % of the time",),
    )
    after = bandwidth.apply(before, doubtful)
    assert after.memory_bandwidth_bytes_per_second is None
    assert FACT not in after.sources
    why = after.why_unread(FACT)
    assert "21.0 GB/s with low confidence" in why.reason
    assert "72 %" in why.reason
    assert "idle" in (why.remedy or "")


def test_this_machine_is_measured_or_says_why_not() -> None:
    """For real: a figure no memory contradicts or a reason, the threads' pins gone, and nothing left running."""
    import threading

    allowed, running = Host().affinity(), threading.active_count()
    found = bandwidth.measure(Machine.read())
    assert Host().affinity() == allowed
    for _ in range(100):
        if threading.active_count() <= running:
            break
        sleep(0.01)
    assert threading.active_count() <= running
    if isinstance(found, Measured):
        assert 10**8 < found.single_thread_bytes_per_second < 10**12
        assert 10**8 < found.bytes_per_second < 10**13
        assert found.confidence in ("high", "low")
        assert found.confidence == "high" or found.notes
    else:
        assert found.fact == FACT
        assert found.reason


def test_without_memchr_the_copy_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library that cannot be opened leaves the copy that ctypes brings along."""
    import ctypes

    def missing(*_: Any, **__: Any) -> Any:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    search, copy = bandwidth._tools()
    assert search is None
    area = ctypes.create_string_buffer(b"\1" * MIB + b"\2" * MIB, 2 * MIB)
    assert copy(ctypes.addressof(area), 2 * MIB, 0) == 2 * MIB
    # what was moved is the second half over the first
    assert area.raw == b"\2" * (2 * MIB)


def test_a_failure_in_a_thread_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory or threads that cannot be had end in a reason, not in a traceback or a wait."""

    def refuse(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(bandwidth, "_thread", refuse)
    found = bandwidth.measure(machine(), Files(caches(2, "32768K", 2)))
    assert isinstance(found, Unread)
    assert "failed" in found.reason


def test_what_measuring_needs_is_loaded_only_then() -> None:
    """Neither ctypes nor threading nor mmap is loaded with the module: `check` does not measure."""
    import subprocess
    import sys

    code = "import sys, selfhost.machine.probes.bandwidth\nprint(sorted({'ctypes', 'threading', 'mmap'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
