"""What a machine gives of its RAM and its disks: each boundary, a byte on either side of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from judge.small import (
    BIG,
    GB,
    GIB,
    MACHINE,
    WORK,
    found,
    needs_of,
    question,
    term,
    with_disk,
    work,
)
from selfhost import Workload, check
from selfhost.judge.checks import Outcome
from selfhost.judge.checks.space import (
    available_ram,
    bytes_to_store,
    desktop_bytes,
    disk_margin_bytes,
    memory_check,
    reserve_beside,
    stored_in_memory,
    what_is_smaller,
)
from selfhost.judge.record import DownloadedFiles
from selfhost.machine.record import Accelerator, Machine
from selfhost.needs.records import How, as_size, stated_range, unread

MIB = 2**20


def of_memory(total: int | None, limit: int | None, **others: Any) -> Machine:
    """A machine of which little but its memory is known."""
    return Machine(memory_total_bytes=total, memory_limit_bytes=limit, **others)


@pytest.mark.parametrize(
    ("machine", "reserve_bytes"),
    [
        # Ubuntu Server 24.04 asks for 1 GB; Debian 12 for 256 MB without a desktop
        pytest.param(of_memory(16 * GIB, 16 * GIB, system="linux"), GIB, id="Linux"),
        pytest.param(of_memory(GIB, GIB, system="linux"), 256 * MIB, id="small Linux"),
        pytest.param(of_memory(None, None, system="linux"), GIB, id="not known"),
        # an idle desktop takes about 3 GiB
        pytest.param(of_memory(8 * GIB, 8 * GIB, system="windows"), 3 * GIB, id="Windows"),
        pytest.param(of_memory(8 * GIB, 8 * GIB, system="macos"), 3 * GIB, id="macOS"),
        pytest.param(of_memory(2 * GIB, 2 * GIB), GIB, id="unknown system"),
        # what lies outside a limit serves the system
        pytest.param(of_memory(None, 2 * GIB, system="linux"), 64 * MIB, id="a budget"),
        pytest.param(
            of_memory(16 * GIB, 16 * GIB - 256 * MIB, system="linux"), 768 * MIB, id="a part"
        ),
        pytest.param(of_memory(16 * GIB, 2 * GIB, system="linux"), 64 * MIB, id="a limit"),
        pytest.param(of_memory(2 * GIB, 16 * GIB, system="windows"), 3 * GIB, id="no limit"),
    ],
)  # fmt: skip
def test_what_is_kept_for_the_system(machine: Machine, reserve_bytes: int) -> None:
    given = available_ram(machine, Workload())
    assert given.reserve_bytes == reserve_bytes
    assert not given.is_stated
    is_inside = machine.memory_limit_bytes in (2 * GIB, 16 * GIB - 256 * MIB)
    if machine.system == "linux" and machine.memory_limit_bytes is not None:
        assert ("inside the limit" in given.reserve_source) is is_inside


@pytest.mark.parametrize(
    ("basis", "now_gib", "limit_gib", "ceiling_gib"),
    [
        # 1 GiB of 16 is kept; the larger of both counts by default
        pytest.param("default", 12, 16, 15, id="once closed"),
        pytest.param("default", 15.5, 16, 15.5, id="more is free"),
        pytest.param("default", None, 16, 15, id="unread now"),
        pytest.param("default", 12, None, 12, id="unread limit"),
        pytest.param("available", 12, 16, 12, id="available"),
        pytest.param("total", 15.5, 16, 15, id="total"),
        pytest.param("default", None, None, None, id="nothing read"),
    ],
)
def test_what_counts_of_the_memory(
    basis: str, now_gib: float | None, limit_gib: int | None, ceiling_gib: float | None
) -> None:
    now = None if now_gib is None else int(now_gib * GIB)
    limit = None if limit_gib is None else limit_gib * GIB
    machine = of_memory(16 * GIB, limit, system="linux", memory_available_bytes=now)
    given = available_ram(machine, Workload(memory_basis=basis))
    ceiling = None if ceiling_gib is None else int(ceiling_gib * GIB)
    assert given.ceiling_bytes == ceiling
    assert given.idle_bytes == (None if limit is None else limit - GIB)
    # one part in 16 is to stay free, at most the reserve
    assert given.margin_bytes == GIB
    assert given.free_bytes == (None if basis == "total" else now)


def test_a_stated_reserve_stays_free_also_of_what_is_free_now() -> None:
    """Of 16 GiB 6 are kept: 10 are given though 12 are free. No margin is added to one's own."""
    machine = MACHINE
    given = available_ram(machine, Workload(reserve_bytes=6 * GIB))
    assert (given.reserve_bytes, given.is_stated) == (6 * GIB, True)
    assert (given.now_bytes, given.ceiling_bytes) == (10 * GIB, 10 * GIB)
    assert given.margin_bytes == 0
    busy = machine.replace(memory_available_bytes=4 * GIB)
    assert available_ram(busy, Workload(reserve_bytes=6 * GIB)).now_bytes == 4 * GIB
    unread = machine.replace(memory_available_bytes=None)
    assert available_ram(unread, Workload(reserve_bytes=6 * GIB)).now_bytes is None
    assert available_ram(machine, Workload(reserve_bytes=64 * GIB)).idle_bytes == 0


@pytest.mark.parametrize(
    "need_bytes", [1, 2, 3, 10**8 + 1, 3 * GIB, 3 * GIB + 1, 9 * GIB]
)
@pytest.mark.parametrize("system", ["linux", "windows", "macos"])
def test_the_least_machine_gives_just_what_is_needed(
    need_bytes: int, system: str
) -> None:
    """The reserve of the smallest machine, beside the need, is what that machine keeps."""
    machine = Machine(system=system)
    reserve_bytes = reserve_beside(need_bytes, machine, Workload())
    total = need_bytes + reserve_bytes
    sized = of_memory(total, total, system=system)
    assert available_ram(sized, Workload()).idle_bytes == need_bytes
    if system == "linux" and need_bytes > 1:
        smaller = of_memory(total - 1, total - 1, system=system)
        assert available_ram(smaller, Workload()).idle_bytes == need_bytes - 1
    stated = Workload(reserve_bytes=5)
    assert reserve_beside(need_bytes, machine, stated) == 5


def test_a_desktop_takes_what_its_maker_asks_for() -> None:
    """Ubuntu Desktop 24.04 and Windows 11 ask for 4 GB; a Mac takes twice that."""
    assert desktop_bytes(Machine(system="linux")) == 4 * GB
    assert desktop_bytes(Machine(system="windows")) == 4 * GB
    assert desktop_bytes(Machine(system="macos")) == 8 * GB
    assert desktop_bytes(Machine(system="freebsd")) == 4 * GB


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    ("low", "high", "code"),
    [
        # 12 GiB are free now, of which 1 is to stay free; 15 once others are closed
        pytest.param(GIB, 11 * GIB, "memory-fits", id="the margin stays free"),
        pytest.param(GIB, 11 * GIB + 1, "memory-tight", id="less than the margin"),
        pytest.param(GIB, 12 * GIB, "memory-tight", id="all that is free"),
        pytest.param(GIB, 12 * GIB + 1, "memory-not-now", id="a byte more than is free"),
        pytest.param(GIB, 15 * GIB, "memory-not-now", id="all but the reserve"),
        pytest.param(GIB, 15 * GIB + 1, "memory-close", id="a byte of the reserve"),
        pytest.param(15 * GIB, 16 * GIB, "memory-close", id="its least just fits"),
        pytest.param(15 * GIB + 1, 16 * GIB, "memory-too-small", id="its least does not fit"),
    ],
)  # fmt: skip
def test_a_byte_more_of_need(low: int, high: int, code: str) -> None:
    finding = found("memory", question(needs=needs_of(low, high)))
    assert finding.code == code
    expected_short = max(0, high - 15 * GIB)
    if code in ("memory-close", "memory-too-small"):
        assert finding.short == expected_short


def test_by_what_is_free_now_a_byte_more_does_not_fit() -> None:
    strict = WORK.replace(memory_basis="available")
    fits = question(workload=strict, needs=needs_of(GIB, 12 * GIB))
    assert found("memory", fits).outcome is Outcome.PASS
    close = question(workload=strict, needs=needs_of(GIB, 12 * GIB + 1))
    assert found("memory", close).code == "memory-close"
    short = question(workload=strict, needs=needs_of(12 * GIB + 1, 13 * GIB))
    assert found("memory", short).code == "memory-too-small"
    assert "can give 12.0 GiB now" in found("memory", close).reason
    unread_now = MACHINE.replace(memory_available_bytes=None)
    assert found("memory", fits, unread_now).code == "memory-unread"


@pytest.mark.parametrize(
    ("scope", "system", "left_bytes", "code"),
    [
        # Ubuntu Desktop and Windows ask for 4 GB, a quarter of 16 GiB is more
        pytest.param("host", "linux", 4 * GB, "memory-fits", id="a desktop"),
        pytest.param("host", "linux", 4 * GB - 1, "memory-tight", id="less"),
        # a guest serves no desktop: the reserve of 1 GiB and as much
        pytest.param("vm", "linux", 2 * GIB, "memory-fits", id="guest"),
        pytest.param("vm", "linux", 2 * GIB - 1, "memory-tight", id="guest, less"),
        # 8 GB of a Mac's desktop are more than a quarter of 16 GiB, and 3 + 1 GiB are that too
        pytest.param("host", "macos", 4 * GIB, "memory-fits", id="a quarter"),
        pytest.param("host", "macos", 4 * GIB - 1, "memory-tight", id="less than a quarter"),
    ],
)  # fmt: skip
def test_planning_leaves_room_for_what_else_runs(
    scope: str, system: str, left_bytes: int, code: str
) -> None:
    machine = MACHINE.replace(scope=scope, system=system, planning=True)
    high = 16 * GIB - left_bytes
    finding = found("memory", question(needs=needs_of(GIB, high)), machine)
    assert finding.code == code
    # who states the reserve, or has a limit, is told no more
    stated = work(reserve_bytes=GIB).replace(needs=needs_of(GIB, high))
    assert found("memory", stated, machine).code == "memory-fits"
    larger = machine.replace(memory_total_bytes=32 * GIB)
    assert (
        found("memory", question(needs=needs_of(GIB, high)), larger).code
        == "memory-fits"
    )


def test_a_need_that_is_known_in_part_rules_out_what_that_part_exceeds() -> None:
    """16 GiB hold no 16 GiB and a byte, whatever the rest is; an accelerator may hold them."""
    why = unread("nobody knows", None, "memory.kv_cache")

    def of_part(size: int) -> Any:
        return needs_of(size, size).replace(unknown=(why,))

    machine = MACHINE
    fits = found("memory", question(needs=of_part(16 * GIB)), machine)
    assert fits.code == "memory-need-not-known"
    finding = found("memory", question(needs=of_part(16 * GIB + 1)), machine)
    assert finding.code == "memory-too-small"
    limited = machine.replace(memory_limit_bytes=8 * GIB)
    assert found("memory", question(needs=of_part(8 * GIB + 1)), limited).code == (
        "memory-too-small"
    )
    unread_cards = machine.replace(accelerators=None)
    large = question(needs=of_part(17 * GIB))
    assert found("memory", large, unread_cards).code == "memory-need-not-known"
    shared = machine.replace(
        accelerators=(Accelerator(vendor="apple", name="Apple M4", unified=True),)
    )
    assert found("memory", large, shared).code == "memory-too-small"


@pytest.mark.parametrize(
    ("need_gib", "enough"),
    [
        # with 1 GiB for the system; memory comes in powers of two
        pytest.param(31, "memory=32GiB", id="just 32"),
        pytest.param(32, "memory=64GiB", id="more than 32"),
    ],
)
def test_the_next_size_of_memory_is_named(need_gib: int, enough: str) -> None:
    assumed = MACHINE.replace(planning=True, assumed=("memory_total_bytes",))
    needs = needs_of(need_gib * GIB, need_gib * GIB)
    finding = found("memory", question(needs=needs), assumed)
    assert finding.code == "memory-assumed"
    assert enough in (finding.remedy or "")


@pytest.mark.parametrize(
    ("need_gib", "code"),
    [
        # Apple sold the M1 with at most 16 GB, of which macOS keeps 3 GiB
        pytest.param(13, "memory-assumed", id="sold with enough"),
        pytest.param(14, "memory-too-small", id="sold with too little"),
    ],
)
def test_what_is_sold_with_too_little_is_ruled_out(need_gib: int, code: str) -> None:
    machine = MACHINE.replace(
        system="macos",
        architecture="aarch64",
        cpu_model="Apple M1",
        memory_total_bytes=8 * GIB,
        memory_limit_bytes=8 * GIB,
        memory_available_bytes=None,
        planning=True,
        assumed=("memory_total_bytes",),
    )
    needs = needs_of(need_gib * GIB, need_gib * GIB)
    finding = memory_check(needs, machine, Workload())
    assert finding.code == code


@pytest.mark.parametrize(
    ("high_gib", "is_lifted"),
    [
        pytest.param(15, True, id="the RAM holds it"),
        pytest.param(16, False, id="the RAM holds nothing beside it"),
    ],
)
def test_a_limit_is_lifted_where_the_ram_would_hold_it(
    high_gib: int, is_lifted: bool
) -> None:
    lifted = {"memory_limit_bytes": "3 GiB; `ulimit -m unlimited` lifts it"}
    machine = MACHINE.replace(
        memory_limit_bytes=3 * GIB, memory_available_bytes=GIB, sources=lifted
    )
    finding = found(
        "memory", question(needs=needs_of(5 * GIB, high_gib * GIB)), machine
    )
    assert finding.code == "memory-too-small"
    assert ("ulimit -m unlimited" in (finding.remedy or "")) is is_lifted
    assert "limited to 3.00 GiB of 16.0 GiB" in finding.reason


@pytest.mark.parametrize(
    ("left_bytes", "code"),
    [
        # 5 GiB, and 8 MiB for each of 2 × 4 + 16 threads (pthread_create(3))
        pytest.param(5 * GIB + 24 * 8 * MIB, "memory-fits", id="all"),
        pytest.param(5 * GIB + 24 * 8 * MIB - 1, "memory-close", id="a byte less"),
        pytest.param(4 * GIB, "memory-close", id="its least"),
        pytest.param(4 * GIB - 1, "memory-too-small", id="less than its least"),
    ],
)
def test_the_shell_s_limit_to_the_byte(left_bytes: int, code: str) -> None:
    machine = MACHINE.replace(address_space_bytes=left_bytes)
    finding = found("memory", machine=machine)
    assert finding.code == code
    if code != "memory-fits":
        assert finding.short == 5 * GIB + 24 * 8 * MIB - left_bytes


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param(2 * GIB, "only 2.00 GiB is free now", id="read"),
        pytest.param(None, "how much is free now could not be read", id="unread"),
    ],
)
def test_what_is_free_now_is_told_where_it_was_read(now: int | None, told: str) -> None:
    machine = MACHINE.replace(memory_available_bytes=now)
    finding = found("memory", machine=machine)
    assert finding.code == "memory-not-now"
    assert told in finding.reason
    assert "can give 15.0 GiB (after a reserve of 1.00 GiB" in finding.reason


@pytest.mark.parametrize(
    ("low_gib", "high_gib", "words"),
    [
        # of 16 GiB the system keeps 1
        pytest.param(15.5, 16, "It would fit without the reserve", id="all of it"),
        pytest.param(15.5, 17, "It might fit without the reserve", id="its least"),
        pytest.param(16.5, 17, None, id="nothing"),
    ],
)
def test_an_assumed_reserve_that_decides_is_named(
    low_gib: float, high_gib: float, words: str | None
) -> None:
    needs = needs_of(int(low_gib * GIB), int(high_gib * GIB))
    finding = found("memory", question(needs=needs))
    assert finding.code == "memory-too-small"
    assert (words or "") in finding.reason
    assert ("without the reserve" in finding.reason) is (words is not None)
    # the reason also stands in an audit, whose policy has no key for the reserve (docs/contract.md)
    assert ("a policy cannot" in finding.reason) is (words is not None)
    stated = question(needs=needs, workload=WORK.replace(reserve_bytes=GIB))
    reason = found("memory", stated).reason
    assert "without the reserve" not in reason
    assert "after a reserve of 1.00 GiB, set by --reserve" in reason


def test_files_in_ram_are_to_be_stored_elsewhere() -> None:
    """Only of files that take RAM: those on a disk are no reason."""
    needs = needs_of(15 * GIB, 16 * GIB)
    on_disk = found("memory", question(needs=needs))
    assert "on a disk instead of in RAM" not in (on_disk.remedy or "")
    in_ram = found("memory", question(needs=needs), with_disk(filesystem="tmpfs"))
    assert "on a disk instead of in RAM" in (in_ram.remedy or "")
    assert in_ram.needs == 16 * GIB + 4 * GB


def test_what_takes_less_in_training_is_another_method() -> None:
    gradients = (term(GIB, GIB, "gradients"), term(GIB, GIB, "kv_cache"))
    assert "train a smaller model" in what_is_smaller(gradients, GIB)
    weights = (term(GIB, GIB),)
    assert "context" not in what_is_smaller(weights, GIB)


@pytest.mark.parametrize(
    ("room_bytes", "words"),
    [
        pytest.param(10 * GIB, "a shorter context", id="just the weights"),
        pytest.param(10 * GIB - 1, "even without any context", id="a byte less"),
    ],
)
def test_a_context_helps_where_the_rest_fits_to_the_byte(
    room_bytes: int, words: str
) -> None:
    """Cache and compute buffer shrink with the context, weights do not."""
    terms = (
        term(10 * GIB, 10 * GIB),
        term(GIB, GIB, "compute"),
        term(4 * GIB, 4 * GIB, "kv_cache"),
    )
    assert words in what_is_smaller(terms, room_bytes)


@pytest.mark.parametrize(
    ("model", "quantization", "has_smaller_type"),
    [
        # 404 GB in Q4_K_M, and 131 GB in the least of 1.58 bits that is published
        pytest.param("deepseek-r1", None, False, id="no type fits"),
        pytest.param("gpt-oss-20b", "MXFP4", False, id="one type alone"),
        # 15.7 GB, and 9.0 GB in Q4_K_M
        pytest.param("qwen3-14b", "Q8_0", True, id="others fit"),
    ],
)
def test_a_smaller_type_is_advised_where_one_fits(
    model: str, quantization: str | None, has_smaller_type: bool
) -> None:
    """DeepSeek R1 was told to use a smaller quantization on a laptop with 16 GB."""
    verdict = check(
        model, quantization=quantization, context_tokens=16384, machine="i5-8250U 12GB"
    )
    (memory,) = [finding for finding in verdict.findings if finding.check == "memory"]
    assert memory.outcome is Outcome.FAIL
    assert memory.remedy is not None
    assert ("quantization" in memory.remedy) is has_smaller_type


# ------------------------------------------------------------------ the disk


def test_what_is_written_of_a_range_lies_beside_the_checkpoints() -> None:
    """8 to 12 GB of files, and 3 GB of checkpoints."""
    files = stated_range("files", 8 * GB, 12 * GB, "test").replace(how=How.ASSUMED)
    needs = needs_of().replace(files=files, written_bytes=3 * GB)
    size = bytes_to_store(needs, None)
    assert size is not None
    assert (size.least, size.most) == (11 * GB, 15 * GB)
    assert size.least <= size.likely <= size.most
    unknown = needs_of(disk=None)
    assert bytes_to_store(unknown, None) is None
    assert bytes_to_store(unknown, GB) == as_size(GB)


@pytest.mark.parametrize(
    ("total", "margin"),
    [
        # 5 GiB, or a twentieth of a small volume
        pytest.param(1000 * GB, 5 * GIB, id="large"),
        pytest.param(20 * GB, GB, id="small"),
        pytest.param(None, 5 * GIB, id="not known"),
    ],
)
def test_what_should_stay_free_of_a_volume(total: int | None, margin: int) -> None:
    assert disk_margin_bytes(total) == margin


@pytest.mark.parametrize(
    ("free", "code"),
    [
        # 4 GB of files, and 5 GiB that should stay free of a disk of 500 GB
        pytest.param(4 * GB - 1, "disk-too-small", id="a byte short"),
        pytest.param(4 * GB, "disk-tight", id="just enough"),
        pytest.param(4 * GB + 5 * GIB - 1, "disk-tight", id="a byte of the margin"),
        pytest.param(4 * GB + 5 * GIB, "disk-fits", id="the margin"),
    ],
)
def test_the_disk_to_the_byte(free: int, code: str) -> None:
    finding = found("disk", machine=with_disk(free_bytes=free))
    assert (finding.code, finding.needs, finding.has) == (code, 4 * GB, free)
    assert finding.short == max(0, 4 * GB - free)
    assert "The download" in finding.reason
    assert "up to" not in finding.reason
    if code == "disk-tight":
        missing = 5 * GIB - (free - 4 * GB)
        told = re.search(r"free ([\d.]+) (\w+) more", finding.remedy or "")
        assert told is not None
        assert float(told[1]) * {"GB": GB, "byte": 1}[told[2]] == pytest.approx(
            missing, rel=0.01
        )


def test_what_is_made_of_files_needs_its_room_to_the_byte() -> None:
    making = question(made_of_bytes=(20 * GB,))
    enough = found("disk", making, with_disk(free_bytes=24 * GB))
    assert enough.code == "disk-fits"
    assert "another 20.0 GB" in enough.reason
    less = found("disk", making, with_disk(free_bytes=24 * GB - 1))
    assert less.code == "disk-tight"
    assert "while" in less.reason


def part_of(missing: int | None, size: int = 3 * GB) -> DownloadedFiles:
    """Files that lie on the machine in part."""
    return DownloadedFiles(
        path="~/.cache/m.gguf", size_bytes=size, missing_bytes=missing
    )


def test_what_is_there_already_is_told_beside_the_missing_part() -> None:
    """Of 4 GB a download that broke off left 3 GB."""
    finding = found("disk", question(here=part_of(GB)), with_disk(free_bytes=100 * GB))
    assert finding.needs == GB
    assert "The missing part needs 1.00 GB" in finding.reason
    assert "3.00 GB is there already" in finding.reason
    nothing = found("disk", question(here=part_of(0)))
    assert nothing.code == "disk-nothing-missing"
    assert "~/.cache/m.gguf" in nothing.reason
    # a copy of which it is not known what it lacks is downloaded anew
    unknown = found("disk", question(here=part_of(None)))
    assert unknown.needs == 4 * GB
    assert "already" not in unknown.reason


def test_checkpoints_are_stored_though_nothing_is_missing() -> None:
    """All files are there, and 3 GB of checkpoints are written: nothing of them is there."""
    needs = needs_of(disk=4 * GB).replace(written_bytes=3 * GB)
    finding = found("disk", question(needs=needs, here=part_of(0, 4 * GB)))
    assert finding.needs == 3 * GB
    assert "Everything stored needs 3.00 GB" in finding.reason
    assert "already" not in finding.reason
    whole = found("disk", question(needs=needs))
    assert "Everything stored needs 7.00 GB" in whole.reason


FAT_MOST = 2**32 - 1


@pytest.mark.parametrize(
    ("largest", "missing", "filesystem", "fits"),
    [
        # FAT32 keeps a file's size in 32 bits
        pytest.param(FAT_MOST, None, "vfat", True, id="largest"),
        pytest.param(FAT_MOST + 1, None, "vfat", False, id="a byte more"),
        pytest.param(FAT_MOST + 1, None, "ext4", True, id="another system"),
        pytest.param(FAT_MOST + 1, GB, "vfat", True, id="the rest is small"),
    ],
)
def test_fat_takes_files_of_four_gibibytes_less_a_byte(
    largest: int, missing: int | None, filesystem: str, fits: bool
) -> None:
    here = None if missing is None else part_of(missing)
    asked = question(needs=needs_of(disk=8 * GB, largest=largest), here=here)
    finding = found("disk", asked, with_disk(filesystem=filesystem))
    assert (finding.code != "disk-file-too-large") is fits


@pytest.mark.parametrize(
    ("filesystem", "free", "code"),
    [
        pytest.param("tmpfs", 4 * GB, "disk-slow-or-volatile", id="RAM"),
        pytest.param("nfs4", 4 * GB, "disk-slow-or-volatile", id="network"),
        pytest.param("tmpfs", 4 * GB - 1, "disk-too-small", id="full RAM"),
        pytest.param("nfs4", None, "disk-unread", id="unread network"),
    ],
)
def test_files_in_ram_or_on_a_network_are_warned_of_where_they_fit(
    filesystem: str, free: int | None, code: str
) -> None:
    machine = with_disk(filesystem=filesystem, free_bytes=free)
    assert found("disk", machine=machine).code == code
    in_ram = stored_in_memory(needs_of(), machine, question())
    assert in_ram == (4 * GB if filesystem == "tmpfs" else 0)


@pytest.mark.parametrize(
    ("total", "assumed", "code"),
    [
        pytest.param(4 * GB, False, "disk-unread", id="it may be free"),
        pytest.param(4 * GB - 1, False, "disk-too-small", id="a smaller disk"),
        pytest.param(4 * GB, True, "disk-assumed", id="assumed"),
        pytest.param(
            4 * GB - 1, True, "disk-too-small", id="assumed of a smaller disk"
        ),
        pytest.param(None, True, "disk-assumed", id="assumed of any disk"),
        pytest.param(None, False, "disk-unread", id="nothing known"),
    ],
)
def test_a_disk_of_unknown_free_space_rules_out_what_it_never_holds(
    total: int | None, assumed: bool, code: str
) -> None:
    facts = ("disks.llama.cpp.free_bytes",) if assumed else ()
    machine = with_disk(free_bytes=None, total_bytes=total).replace(assumed=facts)
    finding = found("disk", machine=machine)
    assert finding.code == code
    if code == "disk-too-small":
        assert finding.has == total
    if code == "disk-assumed":
        # with what should stay free of that disk
        margin = 5 * GIB if total is None else total // 20
        decimal = f"{(4 * GB + margin) / GB:.2f} GB"
        assert decimal in (finding.remedy or "")


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        pytest.param({"disks": None}, "disks", id="no disks"),
        pytest.param({"disks": ()}, "disks.llama.cpp", id="no such disk"),
    ],
)
def test_a_disk_that_was_not_read_says_why(changes: dict[str, Any], fact: str) -> None:
    why = unread("it was not allowed", None, fact)
    machine = MACHINE.replace(unread=(why,), **changes)
    finding = found("disk", machine=machine)
    assert finding.code == "disk-unread"
    assert "it was not allowed" in finding.reason


def test_a_size_that_nobody_states_says_why() -> None:
    why = unread("its files are not listed", None, "download_bytes")
    needs = needs_of(disk=None).replace(unknown=(why,))
    assert "its files are not listed" in found("disk", question(needs=needs)).reason
    untold = found("disk", question(needs=needs_of(disk=None)))
    assert "no source states it" in untold.reason
    full = with_disk(free_bytes=None)
    assert found("disk", question(needs=needs), full).code == "disk-unread"
    # it said that the free space could not be read, beside "a disk that is large enough"
    planned = full.replace(assumed=("disks.llama.cpp.free_bytes",))
    assert found("disk", question(needs=needs), planned).code == "disk-size-not-known"


def test_the_place_is_named_as_one_says_it() -> None:
    here = with_disk(path=".", writable=False)
    assert "in the current folder, which is not" in found("disk", machine=here).reason
    named = with_disk(path="/srv/models", writable=False)
    assert "in /srv/models, which is not" in found("disk", machine=named).reason
    remedy = found("disk", BIG, with_disk(free_bytes=GB)).remedy
    assert "LLAMA_CACHE" in (remedy or "")
