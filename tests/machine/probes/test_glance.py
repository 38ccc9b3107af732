"""The glance at the memory bandwidth: what it says of itself, and what the pace makes of it."""

from __future__ import annotations

import _thread
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.each import each
from selfhost.cli import main as cli
from selfhost.core import units
from selfhost.core.records import Unread
from selfhost.machine import reader
from selfhost.machine.probes import glance, glance_threads, pages
from selfhost.machine.probes.activity import Activity
from selfhost.machine.probes.host import Host
from selfhost.machine.probes.plan import FACT, Plan
from selfhost.machine.probes.traces import Trace
from selfhost.machine.reader import Machine
from selfhost.machine.record import LATE, PURPOSES, Disk, was_busy
from selfhost.verdict.judging import judge
from selfhost.verdict.memory_bandwidth import bandwidth
from selfhost.verdict.record import Route
from verdict.small import MACHINE, WORK, question

RECORDED = Path(__file__).parent / "glances.json"
GB = 10**9
QUIET = glance.Glance(bytes_per_second=44 * GB, threads=2, quiet=True)
BUSY = QUIET.replace(quiet=False)
HERE = Machine(
    system="linux",
    architecture="x86_64",
    scope="vm",
    cpu_model="Intel(R) Xeon(R) Processor",
    cpu_cores_physical=2,
    cpu_cores_usable=2.0,
    instruction_sets=("amx_tile", "avx2", "avx512_bf16", "avx512f"),
)


def seen(result: glance.Glance) -> Machine:
    return glance.recorded(HERE, result)


def test_it_reads_as_fast_as_some_memory_does_or_says_why_not() -> None:
    """On this machine: a figure between a Raspberry Pi's and a server's, or a reason."""
    result = glance.glance(Machine.read())
    if isinstance(result, Unread):
        assert (result.fact, bool(result.reason)) == (FACT, True)
    else:
        assert GB < result.bytes_per_second < 2000 * GB
        assert result.source.startswith("glanced at: ")


def test_without_free_memory_it_reads_nothing() -> None:
    """What was not read, or is too little, is no ground for a figure; the record says why there is none."""
    for free in (None, 64 * 2**20):
        machine = HERE.replace(memory_available_bytes=free)
        reason = glance.glance(machine)
        assert isinstance(reason, Unread)
        seen_machine = glance.with_glance(machine)
        assert reason in seen_machine.unread
        assert seen_machine.memory_bandwidth_bytes_per_second is None


@pytest.mark.parametrize("beside", [True, False])
def test_a_glance_leaves_no_thread_and_no_memory_behind(
    beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is ended or dropped, and also where some threads of it fail: what failed is told."""
    threads = _count()
    machine = Machine.read()
    for step in (glance.Glancing.end, glance.Glancing.drop, glance.Glancing.seen):
        step(glance.begin(machine, beside=beside))
    # nobody holds it: an error came between
    glance.begin(machine, beside=beside)
    assert _settles(threads)
    starts = itertools.count()

    def second_fails(work: Callable[..., object], arguments: tuple[object, ...]) -> int:
        if next(starts) % 2:
            raise RuntimeError("can't start new thread")
        return _thread.start_new_thread(work, arguments)

    monkeypatch.setattr(glance_threads, "start_new_thread", second_fails)
    result = glance.begin(machine, beside=beside).end()
    if isinstance(result, glance.Glance) and result.failure:
        assert not result.is_whole
        assert result.failure in result.source
    assert _settles(threads)


def _count() -> int:
    return _thread._count()


def _settles(threads: int) -> bool:
    """Whether no more threads than those are left after a while."""
    until = perf_counter() + 20
    while _count() > threads and perf_counter() < until:
        sleep(0.01)
    return _count() <= threads


def test_a_quiet_glance_narrows_the_pace() -> None:
    """The likely figure is what decoding uses in a guest of what was seen, 0.88 of it, and the range spans about a factor of two."""
    memory, guess = bandwidth(seen(QUIET)), bandwidth(HERE)
    assert memory is not None
    assert guess is not None
    assert memory.likely == pytest.approx(0.88 * 44 * GB)
    assert memory.high < 2.2 * memory.low
    assert guess.high / guess.low > 1.2 * memory.high / memory.low


def test_a_busy_glance_is_a_lower_bound() -> None:
    """More may be there: the fast end stays that of the machine's class, so that nothing fails
    for it.
    """
    memory, guess = bandwidth(seen(BUSY)), bandwidth(HERE)
    assert memory is not None
    assert guess is not None
    assert memory.low >= 0.6 * 44 * GB
    assert memory.high >= guess.high
    assert "busy" in memory.how


@pytest.mark.parametrize("caches", [32, 480])
def test_slow_memory_is_not_put_down_to_other_programs(caches: int) -> None:
    """A guest whose host gives it memory late fills a thread's part in no time: what the other read bounds the pace from below, and no other program is blamed."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    late = LATE
    result = glance.judged(plan, caches * 2**20, [_steady(10.5)], [], late)
    assert isinstance(result, glance.Glance)
    assert (result.quiet, result.is_whole) == (True, False)
    assert not was_busy(result.source)
    assert late in result.source
    memory, guess = bandwidth(seen(result)), bandwidth(HERE)
    assert memory is not None
    assert guess is not None
    # of one core that was alone: two read twice as much at most; if not from a cache
    assert memory.high == guess.high if caches == 480 else memory.high < 32 * GB
    assert "busy" not in memory.how
    # the same beside a program that was seen to run is its doing
    beside = glance.judged(plan.replace(busy=("1",)), caches * 2**20, [_steady(10.5)], [], late)
    assert isinstance(beside, glance.Glance)
    assert was_busy(beside.source)


def test_own_threads_that_still_fill_are_no_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/loadavg counts every thread that runs, /proc/pressure/cpu every one that waits: those of the glance with them."""
    running = Activity(at_seconds=0.0, own_seconds=0.0, processors=2, running=1, waited_seconds=1.0)
    before: list[Activity] = []

    def none_beside(first: Activity, _: Activity) -> tuple[str, ...]:
        before.append(first)
        return ()

    class StillFilling:
        filling, failure = 1, ""
        seen_beside = ((1.0, 0.0), (1.003, 0.003))

        def wait(self) -> None: ...
        def drop(self) -> None: ...
        def read(self, _look: object) -> list[object]:
            # who fills had its processor for half of the time
            return [(_steady(10.5), None), (_steady(10.5).replace(cpu_share=0.5), None)]

    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    monkeypatch.setattr(glance, "read_activity", lambda _: running)
    monkeypatch.setattr(glance, "disturbances", none_beside)
    filling = glance_threads.Filling(HERE, Host(), plan, StillFilling())  # type: ignore[arg-type]
    told = glance.Glancing(filling).end()
    assert before[0].running == 0
    assert before[0].waited_seconds is None
    assert isinstance(told, glance.Glance)
    assert not was_busy(told.source)
    # it is a lower bound all the same
    assert not told.is_whole


@pytest.mark.parametrize(("waited", "is_busy"), [(0.0, False), (0.002, True)])
def test_threads_that_start_disturb_nobody(
    waited: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On two processors of a Xeon starting and waiting for the threads was a third of a glance in half of 20 quiet
    runs: what counts is what a thread that reads saw itself.
    """
    around = [
        Activity(at_seconds=at, own_seconds=at, processors=2, waited_seconds=at / 3, running=0)
        for at in (1.0, 1.006)
    ]

    class Read:
        filling, failure = 0, ""
        seen_beside = ((1.002, 0.5), (1.005, 0.5 + waited))

        def wait(self) -> None: ...
        def drop(self) -> None: ...
        def read(self, _look: object) -> list[object]:
            return [(_steady(10.5), None)] * 2

    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    monkeypatch.setattr(glance, "read_activity", lambda _: around.pop(0))
    filling = glance_threads.Filling(HERE, Host(), plan, Read())  # type: ignore[arg-type]
    seen_at_once = glance.Glancing(filling).end()
    assert isinstance(seen_at_once, glance.Glance)
    assert seen_at_once.quiet is not is_busy


@pytest.mark.parametrize(("running", "is_quiet"), [([1, 0], True), ([1, 1], False)])
def test_threads_that_have_just_filled_are_no_other_programs(
    running: list[int], is_quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as running until they are gone: of 40 glances in a row 13 were busy with nothing else on the machine."""
    looks = [
        Activity(at_seconds=at / 1000, own_seconds=0.0, processors=2, running=count)
        for at, count in enumerate((*running, 0))
    ]

    class Filled:
        filling, failure, seen_beside = 0, "", ()

        def wait(self) -> None: ...
        def drop(self) -> None: ...
        def read(self, _look: object) -> list[object]:
            return [(_steady(10.5), None)] * 2

    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    monkeypatch.setattr(glance, "read_activity", lambda _: looks.pop(0))
    filling = glance_threads.Filling(HERE, Host(), plan, Filled())  # type: ignore[arg-type]
    told = glance.Glancing(filling).end()
    assert isinstance(told, glance.Glance)
    assert told.quiet is is_quiet


@pytest.mark.parametrize("gigabytes", [12, 24, 44, 150])
def test_what_the_caches_may_have_given_is_an_upper_bound(gigabytes: int) -> None:
    """The pace is below what was seen, and no more than machines like it have; a bound between their ends takes the likely figure down."""
    bound = QUIET.replace(may_be_cached=True, bytes_per_second=gigabytes * GB)
    memory, guess = bandwidth(seen(bound)), bandwidth(HERE)
    assert memory is not None
    assert guess is not None
    assert memory.low < memory.likely < min(gigabytes * GB, memory.high)
    assert memory.high <= max(guess.high, guess.low)
    assert memory.likely <= guess.likely or gigabytes == 150
    assert "at most" in memory.how


def _steady(gigabytes: float, milliseconds: float = 7, mebibytes: int = 64) -> Trace:
    each = 2**20 / (gigabytes * 1e9)
    count = int(milliseconds / 1000 / each)
    done = tuple(each * (step + 1) for step in range(count))
    return Trace(
        began=0.0, done=done, chunk_bytes=2**20, cpu_share=1.0, memory_bytes=mebibytes * 2**20
    )


def _uneven(median: float, slowest: float, mebibytes: int) -> Trace:
    """Four chunks of five come at the median's pace, the fifth as slowly as that."""
    each = [2**20 / (1e9 * (median if step % 5 else slowest)) for step in range(60)]
    done = tuple(itertools.accumulate(each))
    return _steady(median, mebibytes=mebibytes).replace(done=done)


def test_a_busy_glance_that_the_caches_may_have_answered_still_raises_the_slow_end() -> None:
    """Memory gives a fifth of what a cache does, or more, and the fast end stays that of the class."""
    busy_glance = BUSY.replace(bytes_per_second=150 * GB)
    both = busy_glance.replace(may_be_cached=True)
    memory, busy, guess = bandwidth(seen(both)), bandwidth(seen(busy_glance)), bandwidth(HERE)
    assert memory is not None
    assert busy is not None
    assert guess is not None
    assert guess.low < memory.low < busy.low / 2
    assert memory.high >= guess.high
    assert "busy" in memory.how


def test_what_was_read_until_the_deadline_is_a_lower_bound() -> None:
    """A thread that another program held up had no time to read its caches."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    reads = [_steady(10.5), _steady(10.5).replace(cpu_share=0.0)]
    for caches, may_be_cached in ((32, False), (480, True)):
        result = glance.judged(plan, caches * 2**20, reads, [])
        assert isinstance(result, glance.Glance)
        assert not result.quiet
        assert result.may_be_cached == may_be_cached
        assert result.source.endswith("so a lower bound")


def test_what_a_busy_machine_reads_as_fast_as_its_caches_is_told() -> None:
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27, busy=("the load is 3.1",))
    result = glance.judged(plan, 480 * 2**20, [_steady(10.5)] * 2, [_steady(11.0)] * 2)
    assert isinstance(result, glance.Glance)
    assert (result.quiet, result.may_be_cached) == (False, True)
    assert "which the caches may have answered" in result.source
    # memory gives 0.23 of a cache's rate (EPYC) to 0.4 (Granite Rapids): what is recorded is a bound
    assert result.known_bytes_per_second < 0.23 * result.bytes_per_second
    assert was_busy(result.source)


@pytest.mark.parametrize("busy", [(), ("the load is 3.1",)])
@pytest.mark.parametrize("caches", [32 * 2**20, 480 * 2**20])
def test_a_record_holds_the_figure_that_its_pace_is_told_of(
    busy: tuple[str, ...], caches: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the record later sees the same figure, and is told the same pace."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27, busy=busy)
    result = glance.judged(plan, caches, [_steady(10.5)] * 2, [_steady(11.0)] * 2)
    assert isinstance(result, glance.Glance)
    written = glance.recorded(Machine(cpu_model="AMD EPYC", cpu_cores_usable=2.0), result)
    read = Machine.from_json(written.to_json())
    assert bandwidth(read) == bandwidth(written)
    rate = units.decimal(read.memory_bandwidth_bytes_per_second or 0)
    pace = bandwidth(read)
    assert pace is not None
    assert f"{rate}/s" in pace.how
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(written.to_json()))
    assert cli.main(["machine", "--machine", str(file)]) == 0
    bounds = {(False, True): "at most ", (True, False): "at least ", (True, True): "at least "}
    bound = bounds.get((bool(busy), result.may_be_cached), "")
    assert f"reads {bound}{rate}/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("again", "caches", "may_be_cached"),
    [
        # the two cores of a guest on a host with 480 MiB of cache (measured, Granite Rapids)
        (25.7, 480 * 2**20, False),
        # as fast as what surely lies in the cache: nothing tells which it was
        (11.0, 480 * 2**20, True),
        # more was read than any cache holds
        (11.0, 32 * 2**20, False),
    ],
)
def test_what_is_read_again_tells_memory_from_cache(
    again: float, caches: int, may_be_cached: bool
) -> None:
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    result = glance.judged(plan, caches, [_steady(10.5)] * 2, [_steady(again)] * 2)
    assert isinstance(result, glance.Glance)
    assert result.may_be_cached == may_be_cached
    assert result.bytes_per_second == pytest.approx(21 * GB, rel=0.02)


def test_memory_read_over_and_over_counts_once() -> None:
    """A thread whose 8 MiB were filled in time reads them many times, from the cache; and what two read says nothing of a third whose own cache holds all of its part."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    for mebibytes, may_be_cached in (((8, 8), True), ((32, 32), False), ((64, 8), True)):
        reads = [_steady(20, mebibytes=count) for count in mebibytes]
        result = glance.judged(plan, 32 * 2**20, reads, [])
        assert isinstance(result, glance.Glance)
        assert result.may_be_cached == may_be_cached


def test_a_guest_may_have_more_cache_than_it_is_told() -> None:
    """An emulator tells of 16 MiB by default, whatever the host has: what is as fast as what was just read is no figure of memory."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    for again, may_be_cached in ((11.0, True), (25.7, False)):
        reads, cached = [_steady(10.5, mebibytes=16)] * 2, [_steady(again)] * 2
        for is_guest in (True, False):
            result = glance.judged(plan, 16 * 2**20, reads, cached, is_guest=is_guest)
            assert isinstance(result, glance.Glance)
            assert result.may_be_cached == (may_be_cached and is_guest)


@pytest.mark.parametrize(
    ("mebibytes", "again", "may_be_cached"),
    [
        # it was just filled, and is as fast as what was just read
        (8, 11.0, True),
        # that is much faster, so that this came from behind whatever is there
        (8, 25.0, False),
        # beyond the 48 MiB of the largest last cache of a Mac (M1 Max)
        (64, 11.0, False),
    ],
)
def test_a_cache_that_nothing_tells_of_may_answer(
    mebibytes: int, again: float, may_be_cached: bool
) -> None:
    """A container without /sys, and a chip whose second level is the last that it tells of, as those of phones and Macs."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    reads, cached = [_steady(10.5, mebibytes=mebibytes)] * 2, [_steady(again)] * 2
    for caches in (0, 2 * 2**20):
        result = glance.judged(plan, caches, reads, cached, is_told=False)
        assert isinstance(result, glance.Glance)
        assert result.may_be_cached == may_be_cached


@pytest.mark.parametrize(("count", "may_be_cached"), [(16, False), (8, False), (7, True)])
def test_what_few_threads_read_again_tells_little_of_a_cache_that_all_share(
    count: int, may_be_cached: bool
) -> None:
    """The others came too late to it, and left the cache to these."""
    plan = Plan(threads=16, cpus=tuple(range(16)), buffer_bytes=2**27)
    reads, cached = [_steady(8, mebibytes=8)] * 16, [_steady(30)] * count
    result = glance.judged(plan, 480 * 2**20, reads, cached)
    assert isinstance(result, glance.Glance)
    assert result.may_be_cached == may_be_cached


def test_a_thread_that_a_shared_cache_gives_more_does_not_speak_for_all() -> None:
    """Of what 16 read again one came three times as fast: 8 GB/s of memory are much less than its, and not than theirs."""
    plan = Plan(threads=16, cpus=tuple(range(16)), buffer_bytes=2**27)
    reads, cached = [_steady(8, mebibytes=8)] * 16, [_steady(30), *[_steady(10)] * 15]
    result = glance.judged(plan, 480 * 2**20, reads, cached)
    assert isinstance(result, glance.Glance)
    assert result.may_be_cached


def test_what_comes_in_part_from_a_cache_is_an_upper_bound() -> None:
    """Two virtual processors, EPYC, 32 MiB of cache told: of 18 MiB a thread a median chunk came at 40 GB/s and the slowest tenth at 26, where memory gave 19 (measured); of 40 MiB each all came at 20."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    cached = [_steady(60)] * 2
    for speeds, mebibytes, may_be_cached in (((40, 26), 18, True), ((20, 19), 40, False)):
        reads = [_uneven(*speeds, mebibytes=mebibytes)] * 2
        result = glance.judged(plan, 32 * 2**20, reads, cached, is_guest=True)
        assert isinstance(result, glance.Glance)
        assert (result.quiet, result.may_be_cached) == (True, may_be_cached)
        # the slowest tenth may have been disturbed: it came at 24 GB/s where memory gave 37 (measured)
        assert result.bytes_per_second == pytest.approx(
            (80 if may_be_cached else 40) * GB, rel=0.02
        )
        assert result.source.endswith("an upper bound" if may_be_cached else "quiet")


def _recorded(paces: list[float], mebibytes: int) -> Trace:
    """The chunks of 1 MiB that a thread read, at so many GB/s each."""
    done = tuple(itertools.accumulate(2**20 / (1e9 * pace) for pace in paces))
    return _steady(1, mebibytes=mebibytes).replace(done=done)


@pytest.mark.parametrize(
    ("key", "caches", "amiss"),
    [
        # 9 MiB of each thread, less than is waited for, came at half of what was measured later
        ("glances", 32, [0.5]),
        ("xeon_glances", 260, []),
        # the host's memory was changing its pace
        ("small_glances", 32, [0.7]),
    ],
)
def test_recorded_glances_tell_the_memory(key: str, caches: int, amiss: list[float]) -> None:
    """What is read for the first time came from memory in each of them, and what is read again mostly from the caches: the figure is what another program measured."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    figures = []
    for recorded in json.loads(RECORDED.read_text())[key]:
        sizes = recorded["mebibytes"]
        # no thread reads its part again, as those did that were recorded first
        first = [paces[:size] for paces, size in zip(recorded["reads"], sizes, strict=False)]
        reads, again = (
            [_recorded(*each) for each in zip(traces, sizes, strict=False)]
            for traces in (first, recorded["again"])
        )
        result = glance.judged(plan, caches * 2**20, reads, again, is_guest=True)
        assert isinstance(result, glance.Glance)
        assert not result.may_be_cached
        figures.append(result.bytes_per_second / GB / recorded["memory_gb_per_second"])
    # the memory is told in whole GB/s
    assert [round(each, 1) for each in figures if not 0.8 <= round(each, 1) <= 1.2] == amiss
    assert len(figures) > 10


def test_what_was_read_as_fast_as_half_of_the_cache_may_be_the_caches() -> None:
    """As evenly and not much slower than the cache: nothing tells which it was."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    plain, cached = [_steady(19, mebibytes=16)] * 2, [_steady(25)] * 2
    result = glance.judged(plan, 260 * 2**20, plain, cached, is_guest=True)
    assert isinstance(result, glance.Glance)
    assert result.may_be_cached


def test_a_moment_of_a_short_reading_is_no_other_program() -> None:
    """A tick of the clock took 0.05 ms of 0.6 (measured, EPYC), which is 8 % of it."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    reads = [_recorded([20.0] * 12, 12)] * 2
    for lost, quiet in ((0.08, True), (0.4, False)):
        held_up = [trace.replace(cpu_share=1 - lost) for trace in reads]
        result = glance.judged(plan, 32 * 2**20, held_up, [_steady(90)] * 2, is_guest=True)
        assert isinstance(result, glance.Glance)
        assert result.quiet is quiet


def test_a_thread_that_was_not_done_in_time_is_held_up() -> None:
    """Four fast chunks and then nothing until the deadline: what they took is no moment, but all that is told of it."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27)
    reads = [_recorded([45.0] * 12, 12), _recorded([45.0] * 4, 12).replace(cpu_share=0.0)]
    result = glance.judged(plan, 32 * 2**20, reads, [_steady(150)], is_guest=True)
    assert isinstance(result, glance.Glance)
    assert not result.quiet
    assert result.is_held_up


def test_a_look_at_the_system_leaves_nobody_to_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 0.1 ms, of a reading of 0.4: who looks does so before anybody reads, and after the others have come."""
    # nobody is late, however busy the machine
    monkeypatch.setattr(glance_threads, "READ_SECONDS", 60)
    run = glance_threads._Run(3)
    order: list[str] = []

    def look() -> tuple[float, float | None]:
        order.append("look")
        sleep(0.0005)
        return 1.0, None

    def reader(number: int) -> None:
        run.meet(number, None)
        order.append("read")
        run.give(number, None)

    for number in (1, 2):
        _thread.start_new_thread(reader, (number,))
    assert run.meet(0, look) == (1.0, None)
    run.give(0, None)
    assert run.wait() == []
    assert order[0] == "look"
    assert order.count("read") == 2


@pytest.mark.parametrize(
    ("level", "caches", "threads"),
    [(3, 32, 2), (3, 32, 16), (3, 36, 5), (3, 480, 2), (2, 12, 4), (0, 0, 4), (4, 128, 4)],
)
def test_what_is_filled_leaves_the_caches(level: int, caches: int, threads: int) -> None:
    """Twice the caches that are told, up to a bound; and enough for one that is not told, as behind the second level of a Mac (96 MiB in an M1 Ultra)."""
    each = glance_threads.bytes_per_thread(level, caches * 2**20, threads)
    assert each % (2 * 2**20) == 0
    assert each >= glance_threads.LEAST_FILLED
    assert each == glance_threads.MOST_PER_THREAD or each * threads >= 2 * caches * 2**20
    if level < 3:
        assert each * threads >= 2 * 96 * 2**20


@pytest.mark.parametrize(
    # what 8 MiB took: backed, backed at the first touch, and too short for the clock
    ("milliseconds", "mebibytes"),
    [(0.8, 8), (17.0, 2), (2.4, 4), (0.0, 8)],
)
def test_slow_memory_is_filled_in_small_chunks(milliseconds: float, mebibytes: int) -> None:
    """A thread looks at the clock a few times in 20 ms, whatever the memory takes."""
    pace = milliseconds / 1000 / (8 * 2**20)
    assert glance_threads.next_chunk_bytes(pace) == mebibytes * 2**20


@each("cpus", [(0,), (0, 1), (0, 1, 2, 3), (None, None, None)])
@each("own_cpu", [0, 1, 7, None])
@each("beside", [True, False])
def test_each_part_is_filled_once(
    cpus: tuple[int | None, ...], own_cpu: int | None, beside: bool
) -> None:
    """One that two threads fill, or one thread twice, takes the time of the others; the caller's processor is left to it."""
    parts = []
    for cpu in cpus:
        part = object.__new__(glance_threads._Part)
        part.cpu = cpu
        parts.append(part)
    shares = glance_threads.shared_out(parts, own_cpu if beside else None, beside=beside)
    assert sorted(id(part) for share in shares for part in share) == sorted(map(id, parts))
    if beside and len(parts) > 1:
        assert own_cpu is None or own_cpu not in {share[0].cpu for share in shares}
        if own_cpu is None:
            assert len(shares) < len(parts)


def test_no_chunk_is_begun_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest whose host is slow to give memory: 4.2 ms for 2 MiB. Who reads is not held up by who still fills."""
    now = 0.0

    def write(_: int, count: int) -> None:
        nonlocal now
        now += 0.0042 * count / (2 * 2**20)

    class StandIn:
        size, cpu, filled, address = 64 * 2**20, None, 0, 0

        def leave(self) -> None: ...

    parts = object.__new__(glance_threads.Parts)
    part = StandIn()
    monkeypatch.setattr(glance_threads, "perf_counter", lambda: now)
    monkeypatch.setattr(glance_threads, "thread_time", lambda: now)
    for name, value in {
        "_filler": type(
            "Slow",
            (),
            {
                "write": staticmethod(write),
                "populate": staticmethod(write),
                "ask_for_small_pages": staticmethod(lambda *_: None),
            },
        ),
        "_mutex": _thread.allocate_lock(),
        "_filled": _thread.allocate_lock(),
        "_dropped": False,
        "_in_small_pages": False,
        "enough_small_bytes": glance_threads.ENOUGH_SMALL_BYTES,
        "_is_awaited": True,
        "_last": 0.010,
        "_enough": part.size,
        "filling": 2,
        "failure": "",
    }.items():
        monkeypatch.setattr(parts, name, value, raising=False)
    monkeypatch.setattr(parts, "_parts", [part], raising=False)
    parts._fill([part])  # type: ignore[list-item]
    assert parts.failure == ""
    assert 0 < part.filled < part.size
    assert now <= 0.010 + glance_threads.PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("is_awaited", "mebibytes"),
    # as much as the caller has time for; and once it waits, what it needs
    [(False, 22), (True, 12)],
)
def test_a_guest_whose_host_is_slow_to_give_memory_goes_on_in_small_pages(
    is_awaited: bool, mebibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Huge pages take 2.1 ms a MiB there, small ones 0.4 (measured, EPYC): two parts of 22 MiB are filled where huge pages would fill two of 5, and the budget is kept."""
    used = 0.0
    small_from: dict[int, int] = {}

    def take(milliseconds: float) -> Callable[[int, int], None]:
        def fill(_: int, count: int) -> None:
            nonlocal used
            used += milliseconds / 1000 * count / 2**20

        return fill

    class StandIn:
        size, cpu, filled = 64 * 2**20, None, 0

        def __init__(self, address: int) -> None:
            self.address = address

        def leave(self) -> None: ...

    filler = {
        "write": staticmethod(take(2.1)),
        "populate": staticmethod(take(0.4)),
        "ask_for_small_pages": staticmethod(small_from.__setitem__),
    }
    parts = object.__new__(glance_threads.Parts)
    share = [StandIn(0), StandIn(2**30)]
    monkeypatch.setattr(glance_threads, "perf_counter", lambda: used)
    monkeypatch.setattr(glance_threads, "thread_time", lambda: used)
    for name, value in {
        "_filler": type("LateHuge", (), filler),
        "_mutex": _thread.allocate_lock(),
        "_filled": _thread.allocate_lock(),
        "_dropped": False,
        "_in_small_pages": False,
        "enough_small_bytes": glance_threads.ENOUGH_SMALL_BYTES,
        "_is_awaited": is_awaited,
        "_last": 1.0,
        "_enough": 64 * 2**20,
        "_parts": share,
        "filling": 2,
        "failure": "",
    }.items():
        monkeypatch.setattr(parts, name, value, raising=False)
    parts._fill(share)  # type: ignore[arg-type]
    assert parts.failure == ""
    assert used <= glance_threads.FILL_SECONDS + 0.001
    assert mebibytes <= min(part.filled for part in share) / 2**20 < mebibytes + 4
    # what was filled already stays as it is
    assert small_from == {2 * 2**20: 62 * 2**20, 2**30: 64 * 2**20}


@pytest.mark.parametrize(
    ("order", "gives_back"),
    # what Linux 6.18 says with a balloon that takes free pages, and 6.2 where none does; none of this
    # kernel; a block larger than the largest of Linux 5.14, its default
    [("9\n", True), ("4294967295\n", False), (None, False), ("11\n", False), ("?", False)],
)
def test_a_guest_whose_host_takes_free_memory_back_begins_in_small_pages(
    order: str | None, gives_back: bool, tmp_path: Path
) -> None:
    """The first 2 MiB in a huge page took a fifth of the time there."""
    file = tmp_path / "sys/module/page_reporting/parameters/page_reporting_order"
    file.parent.mkdir(parents=True)
    if order is not None:
        file.write_text(order)

    class Rooted(Host):
        def real(self, path: str) -> str:
            return f"{tmp_path}{path}"

    assert glance_threads.gives_free_memory_back(Rooted(system="linux")) is gives_back
    assert not glance_threads.gives_free_memory_back(Rooted(system="macos"))


@pytest.mark.parametrize(
    ("level", "beside", "mebibytes"),
    # a cache that nothing tells of may hold more, and what is read at once is still in the caches
    [(3, True, 12), (2, True, 64), (0, True, 64), (3, False, 64)],
)
def test_little_is_enough_where_the_caches_are_told_and_time_has_passed(
    level: int, beside: bool, mebibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(threads=2, cpus=(), buffer_bytes=2**27)
    monkeypatch.setattr(glance_threads, "plan_for", lambda _machine, _host: plan)
    monkeypatch.setattr(glance_threads, "last_caches", lambda _: (level, 32 * 2**20))
    machine = HERE.replace(memory_available_bytes=2**34)
    filling = glance_threads.filling_of(machine, Host(system="linux"), beside=beside)
    assert filling.parts is not None
    assert filling.parts.enough_small_bytes == mebibytes * 2**20
    filling.drop()


@pytest.mark.parametrize("in_small_pages", [True, False])
def test_small_pages_are_asked_for_before_the_first_is_filled(
    in_small_pages: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for kind in ("huge", "small"):
        monkeypatch.setattr(
            pages.Filler,
            f"ask_for_{kind}_pages",
            lambda _filler, _address, _size, kind=kind: asked.append(kind),
        )
    plan = Plan(threads=2, cpus=(), buffer_bytes=2**24)
    parts = glance_threads.parts_for(plan, 2**23, beside=False, in_small_pages=in_small_pages)
    parts.wait()
    parts.drop()
    assert asked[:2] == ["small" if in_small_pages else "huge"] * 2


@pytest.mark.parametrize(
    ("chunk_seconds", "least", "most"),
    [
        # fast memory is read for 3 ms
        (0.0001, 29, 31),
        # a core that reads 1.5 GB/s goes on to eight chunks, from which an interrupted one can be told
        (0.0007, 8, 8),
        # and no longer than may be waited for
        (0.003, 3, 4),
    ],
)
def test_a_slow_core_reads_until_its_chunks_tell_something(
    chunk_seconds: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = object.__new__(glance_threads.Parts)
    now = [100.0]

    def search(_address: int, _letter: int, _size: int) -> None:
        now[0] += chunk_seconds

    monkeypatch.setattr(parts, "_search", search, raising=False)
    monkeypatch.setattr(glance_threads, "perf_counter", lambda: now[0])
    monkeypatch.setattr(glance_threads, "thread_time", lambda: now[0])
    run = glance_threads._Run(1)
    chunks = len(parts._run_over(0, 64 * 2**20, run, 0).done)
    assert least <= chunks <= most
    # a cache may answer what is read again
    small = parts._run_over(0, 8 * 2**20, glance_threads._Run(1), 0)
    assert len(small.done) == min(8, chunks)


def test_each_pass_but_the_first_tells_what_the_cache_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One interruption of a single pass of 8 MiB would make the cache look as slow as memory."""
    parts = object.__new__(glance_threads.Parts)
    read: list[tuple[int, int]] = []

    def search(address: int, _: int, size: int) -> None:
        read.append((address, size))

    monkeypatch.setattr(parts, "_search", search, raising=False)
    trace = parts._run_again(1000)
    size = glance_threads._AGAIN_BYTES
    assert sum(count for _, count in read) == glance_threads._AGAIN_TIMES * size
    assert len(trace.done) * trace.chunk_bytes == (glance_threads._AGAIN_TIMES - 1) * size
    assert {address for address, _ in read} <= set(range(1000, 1000 + size, trace.chunk_bytes))


@pytest.mark.parametrize(
    ("busy", "share", "quiet"),
    # a hundredth of 7 ms is a moment that no program takes, a tenth is none
    [
        ((), 1.0, True),
        ((), 0.99, True),
        (("the load is 10",), 1.0, False),
        ((), 0.9, False),
        ((), 0.4, False),
    ],
)
def test_it_is_quiet_only_where_the_load_and_the_threads_say_so(
    busy: tuple[str, ...], share: float, quiet: bool
) -> None:
    """Also with a thread on each processor that there is."""
    plan = Plan(threads=2, cpus=(0, 1), buffer_bytes=2**27, busy=busy)
    reads = [_steady(10.5).replace(cpu_share=share)] * 2
    result = glance.judged(plan, 32 * 2**20, reads, [_steady(25)] * 2)
    assert isinstance(result, glance.Glance)
    assert result.quiet == quiet
    assert result.source.endswith(", quiet") == quiet


@given(
    glanced=st.floats(0.2, 400),
    cpu_model=st.sampled_from(
        (None, "Intel(R) Xeon(R) Processor", "AMD Ryzen 7 7840HS", "Apple M2", "AMD EPYC 9B14")
    ),
    scope=st.sampled_from(("host", "vm")),
    size=st.floats(0.2, 60),
    wanted=st.floats(0.5, 40),
    stated=st.booleans(),
)
def test_a_busy_glance_turns_no_route(
    glanced: float, cpu_model: str | None, scope: str, size: float, wanted: float, stated: bool
) -> None:
    """The answer is that without a glance, unless it saw more than the machine was taken to have."""
    plain = MACHINE.replace(cpu_model=cpu_model, scope=scope)
    glimpsed = plain.replace(
        memory_bandwidth_bytes_per_second=int(glanced * GB), sources={FACT: BUSY.source}
    )
    asked = question(
        workload=WORK.replace(min_tokens_per_second=wanted),
        read_bytes={"Q4_K": int(size * GB)},
        speed_stated=stated,
    )
    without, beside = (judge(asked, machine).route(offered=True) for machine in (plain, glimpsed))
    if without is not beside:
        # it saw more than the class was taken to have
        memory, guess = bandwidth(glimpsed), bandwidth(plain)
        assert memory is not None
        assert guess is not None
        assert memory.likely > guess.likely
        better = {Route.UNKNOWN: {Route.LOCAL}, Route.API: {Route.UNKNOWN, Route.LOCAL}}
        assert beside in better.get(without, set())


@pytest.mark.parametrize(
    ("model", "options", "glances"),
    [
        ("mistral-7b", (), 1),
        ("mistral-7b", ("--no-measure",), 0),
        # nobody can download it: the pace of what runs in its place is told
        ("gpt-4o", (), 1),
    ],
)
def test_check_glances_once_unless_told_not_to(
    model: str,
    options: tuple[str, ...],
    glances: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The record in JSON says how the figure was got."""
    calls: list[glance.Glancing] = []

    class StandIn(glance.Glancing):
        def end(self) -> glance.Glance:
            calls.append(self)
            return QUIET

    def read(**_: object) -> Machine:
        return HERE.replace(
            is_this_one=True, memory_limit_bytes=16 * 2**30, memory_available_bytes=15 * 2**30
        )

    unread = Unread(fact=FACT, reason="a stand-in")
    monkeypatch.setattr(
        reader,
        "begin_glance",
        lambda machine: StandIn(glance_threads.Filling(machine, Host(), unread)),
    )
    monkeypatch.setattr(reader, "read", read)
    cli.main(["check", model, "--format", "json", *options])
    assert len(calls) == glances
    assert ("glanced at" in capsys.readouterr().out) == bool(glances)


@pytest.mark.parametrize(
    ("seen_state", "words"),
    [
        (
            BUSY.replace(bytes_per_second=5 * GB),
            "other programs kept the memory busy: run with --measure when they are quiet",
        ),
        (
            BUSY.replace(bytes_per_second=5 * GB, is_held_up=True),
            "the host of this virtual machine held it up: run with --measure",
        ),
        (
            Unread(fact=FACT, reason=f"the glance failed: {LATE}", remedy="run with --measure"),
            "the host of this virtual machine was slow to give memory: run with --measure",
        ),
    ],
)
def test_a_wide_range_says_what_kept_it_wide(
    seen_state: glance.Glance | Unread,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Other programs are blamed only where some ran. The processor is of no class that was counted."""
    monkeypatch.setattr(glance.Glancing, "end", lambda _: seen_state)
    monkeypatch.setattr(
        reader,
        "begin_glance",
        lambda machine: glance.Glancing(
            glance_threads.Filling(machine, Host(), Unread(fact=FACT, reason="a stand-in"))
        ),
    )
    unknown = HERE.replace(
        cpu_model=None,
        instruction_sets=("avx",),
        is_this_one=True,
        disks=tuple(
            Disk(purpose=purpose, path="~", free_bytes=2**40, writable=True) for purpose in PURPOSES
        ),
        memory_limit_bytes=16 * 2**30,
        memory_available_bytes=15 * 2**30,
    )
    monkeypatch.setattr(reader, "read", lambda **_: unknown)
    cli.main(["check", "mistral-7b"])
    assert words in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("scope", "is_said"), [("vm", True), ("host", False)])
def test_a_pace_in_a_virtual_machine_is_that_of_the_moment(
    scope: str,
    is_said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two processors of one host read 37 or 67 GB/s, for some seconds or minutes each."""
    monkeypatch.setattr(glance.Glancing, "end", lambda _: QUIET)
    unread = Unread(fact=FACT, reason="a stand-in")
    monkeypatch.setattr(
        reader,
        "begin_glance",
        lambda machine: glance.Glancing(glance_threads.Filling(machine, Host(), unread)),
    )
    here = HERE.replace(
        is_this_one=True,
        scope=scope,
        memory_limit_bytes=16 * 2**30,
        memory_available_bytes=15 * 2**30,
        disks=tuple(
            Disk(purpose=purpose, path="~", free_bytes=2**40, writable=True) for purpose in PURPOSES
        ),
    )
    monkeypatch.setattr(reader, "read", lambda **_: here)
    cli.main(["check", "mistral-7b"])
    said = capsys.readouterr().out
    assert "tokens/s" in said
    assert ("tokens/s at present" in said) == is_said
