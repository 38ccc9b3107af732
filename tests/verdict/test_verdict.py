"""Every cell of the contract's table "How a verdict is made", the route that follows, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost import api
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import (  # fmt: skip
    License,
    Openness,
    PublishedFiles,
    Safety,
    StatedNeeds,
)
from selfhost.core.records import Unread
from selfhost.core.units import speed
from selfhost.core.workload import Workload
from selfhost.machine.changes import apply
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Machine, PresentRuntime
from selfhost.needs.records import CpuNeed, MemoryNeed
from selfhost.verdict import findings
from selfhost.verdict.findings import CODES, Finding, Outcome
from selfhost.verdict.placement import smallest_device_bytes
from selfhost.verdict.present import Here
from selfhost.verdict.record import Route, Verdict, considered, exit_code, judge
from verdict.small import (
    BIG,
    CLOSED,
    DISK,
    FP8_ONLY,
    GB,
    GIB,
    GPU,
    GPU_ONLY,
    MACHINE,
    RUNTIME,
    SPEC,
    T5,
    WORK,
    arch,
    found,
    needs_of,
    question,
    spec,
    term,
    training,
    with_disk,
    work,
)

# (check, outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str, str], Callable[[], Finding]] = {
    ("weights", "pass", "weights-published"): lambda: found("weights"),
    ("weights", "pass", "weights-here"): lambda: found("weights", question(local_files=True)),
    ("weights", "pass", "weights-stated"): lambda: found(
        "weights",
        spec(openness=Openness(), architecture=None, needs=StatedNeeds(low_bytes=1, high_bytes=2)),
    ),
    ("weights", "warn", "weights-gated"): lambda: found("weights", spec(gated=True)),
    ("weights", "warn", "weights-unsafe"): lambda: found(
        "weights", spec(safety=Safety(formats=("pickle",)))
    ),
    ("weights", "warn", "weights-partial"): lambda: found(
        "weights", spec(openness=Openness(weights="partial"))
    ),
    ("weights", "unknown", "weights-not-known"): lambda: found(
        "weights", spec(openness=Openness())
    ),
    ("weights", "fail", "weights-closed"): lambda: found(
        "weights", question(spec=CLOSED, needs=None)
    ),
    ("license", "pass", "license-allows"): lambda: found("license", work(commercial=True)),
    ("license", "warn", "license-conditional"): lambda: found(
        "license",
        spec(
            license=License(
                id="LicenseRef-X",
                commercial_use="conditional",
                conditions=("under 700 million users",),
            )
        ),
    ),
    ("license", "warn", "license-assumed"): lambda: found(
        "license",
        question(
            spec=SPEC.replace(
                license=License(id="LicenseRef-X", commercial_use="yes"),
                sources={"license": "general knowledge"},
            ),
            workload=WORK.replace(commercial=True),
        ),
    ),
    ("license", "unknown", "license-not-known"): lambda: found(
        "license", question(spec=SPEC.replace(license=None), workload=WORK.replace(commercial=True))
    ),
    ("license", "fail", "license-not-accepted"): lambda: found("license", work(license="MIT")),
    ("license", "fail", "license-forbids"): lambda: found(
        "license",
        question(
            spec=SPEC.replace(license=License(id="CC-BY-NC-4.0", commercial_use="no")),
            workload=WORK.replace(commercial=True),
        ),
    ),
    ("openness", "pass", "openness-open"): lambda: found("openness", work(modify=True)),
    ("openness", "warn", "openness-assumed"): lambda: found(
        "openness",
        question(
            spec=SPEC.replace(sources={"license": "general knowledge"}),
            workload=WORK.replace(modify=True),
        ),
    ),
    ("openness", "warn", "openness-partly"): lambda: found(
        "openness",
        question(
            spec=SPEC.replace(
                openness=Openness(weights="published", training_data="partial", paper="published")
            ),
            workload=WORK.replace(auditable=True),
        ),
    ),
    ("openness", "unknown", "openness-not-known"): lambda: found("openness", work(auditable=True)),
    ("openness", "fail", "openness-closed"): lambda: found(
        "openness", question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True))
    ),
    ("context", "pass", "context-trained"): lambda: found("context"),
    ("context", "warn", "context-scaled"): lambda: found(
        "context",
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
            context_asked=True,
        ),
    ),
    ("context", "warn", "context-untrained"): lambda: found(
        "context",
        question(rewriting=T5, workload=WORK.replace(context_tokens=65537), context_asked=True),
    ),
    ("context", "unknown", "context-not-known"): lambda: found(
        "context",
        question(spec=SPEC.replace(architecture=arch(context_tokens=None)), context_asked=True),
    ),
    ("context", "fail", "context-too-long"): lambda: found("context", work(context_tokens=65536)),
    ("disk", "pass", "disk-fits"): lambda: found("disk"),
    ("disk", "pass", "disk-nothing-missing"): lambda: found(
        "disk", question(local_files=True), with_disk(free_bytes=0, writable=False)
    ),
    ("disk", "warn", "disk-tight"): lambda: found("disk", machine=with_disk(free_bytes=5 * GB)),
    ("disk", "warn", "disk-slow-or-volatile"): lambda: found(
        "disk", machine=with_disk(filesystem="tmpfs")
    ),
    ("disk", "warn", "disk-assumed"): lambda: found(
        "disk", machine=MACHINE.replace(disks=None, assumed=("disks",))
    ),
    ("disk", "unknown", "disk-unread"): lambda: found("disk", machine=with_disk(free_bytes=None)),
    ("disk", "unknown", "disk-size-not-known"): lambda: found(
        "disk", question(needs=needs_of(disk=None))
    ),
    ("disk", "fail", "disk-too-small"): lambda: found(
        "disk", machine=with_disk(free_bytes=4 * GB - 1)
    ),
    ("disk", "fail", "disk-not-writable"): lambda: found("disk", machine=with_disk(writable=False)),
    ("disk", "fail", "disk-file-too-large"): lambda: found(
        "disk", question(needs=needs_of(disk=2**32)), with_disk(filesystem="vfat")
    ),
    ("memory", "pass", "memory-fits"): lambda: found("memory"),
    ("memory", "warn", "memory-not-now"): lambda: found(
        "memory", machine=MACHINE.replace(memory_available_bytes=2 * GIB)
    ),
    ("memory", "unknown", "memory-close"): lambda: found(
        "memory", question(needs=needs_of(14 * GIB, 16 * GIB))
    ),
    ("memory", "unknown", "memory-unread"): lambda: found(
        "memory", machine=MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None)
    ),
    ("memory", "unknown", "memory-need-not-known"): lambda: found(
        "memory", question(needs=needs_of().replace(memory=None))
    ),
    ("memory", "fail", "memory-too-small"): lambda: found("memory", BIG),
    ("accelerator", "pass", "accelerator-not-needed"): lambda: found("accelerator"),
    ("accelerator", "pass", "accelerator-fits"): lambda: found(
        "accelerator", machine=MACHINE.replace(accelerators=(GPU,))
    ),
    ("accelerator", "warn", "accelerator-not-now"): lambda: found(
        "accelerator",
        question(needs=needs_of(17 * GIB, 18 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),)),
    ),
    ("accelerator", "warn", "accelerator-partly"): lambda: found(
        "accelerator",
        question(needs=needs_of(27 * GIB, 28 * GIB)),
        MACHINE.replace(accelerators=(GPU,)),
    ),
    ("accelerator", "warn", "accelerator-shared-out"): lambda: found(
        "accelerator", training(), MACHINE.replace(accelerators=(GPU,) * 4)
    ),
    ("accelerator", "unknown", "accelerator-unread"): lambda: found(
        "accelerator",
        BIG,
        MACHINE.replace(
            accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)
        ),
    ),
    ("accelerator", "fail", "accelerator-missing"): lambda: found(
        "accelerator", question(runtime=GPU_ONLY)
    ),
    ("accelerator", "fail", "accelerator-too-small"): lambda: found(
        "accelerator",
        question(runtime=GPU_ONLY, needs=needs_of(500 * GIB, 501 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=2 * GIB),)),
    ),
    ("accelerator", "fail", "accelerator-unsuitable"): lambda: found(
        "accelerator",
        question(workload=WORK.replace(quantization="fp8"), runtime=FP8_ONLY),
        MACHINE.replace(accelerators=(GPU.replace(compute_capability="7.0"),)),
    ),
    ("cpu", "pass", "cpu-suits"): lambda: found("cpu"),
    ("cpu", "warn", "cpu-slow"): lambda: found(
        "cpu", machine=MACHINE.replace(instruction_sets=("sse4_2",))
    ),
    ("cpu", "warn", "cpu-assumed"): lambda: found(
        "cpu", machine=MACHINE.replace(assumed=("instruction_sets",))
    ),
    ("cpu", "unknown", "cpu-unread"): lambda: found(
        "cpu", machine=MACHINE.replace(instruction_sets=None)
    ),
    ("cpu", "fail", "cpu-lacks-instructions"): lambda: found(
        "cpu", machine=MACHINE.replace(instruction_sets=("avx2",))
    ),
    ("cpu", "fail", "cpu-no-build"): lambda: found(
        "cpu", machine=MACHINE.replace(architecture="riscv64", runtimes=())
    ),
    ("runtime", "pass", "runtime-present"): lambda: found("runtime"),
    ("runtime", "pass", "runtime-any"): lambda: found("runtime", question(runtime=None)),
    ("runtime", "warn", "runtime-not-installed"): lambda: found(
        "runtime", machine=MACHINE.replace(runtimes=())
    ),
    ("runtime", "warn", "runtime-not-searched"): lambda: found(
        "runtime", machine=MACHINE.replace(runtimes=None)
    ),
    ("runtime", "warn", "runtime-too-old"): lambda: found(
        "runtime",
        question(runtime=RUNTIME.replace(minimum_versions={"llama": "3.0"})),
        MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version="2.9.1"),)),
    ),
    ("runtime", "warn", "runtime-unfamiliar"): lambda: found(
        "runtime", question(unfamiliar="zorglub")
    ),
    ("runtime", "warn", "runtime-other-byte-order"): lambda: found(
        "runtime",
        question(
            runtime=RUNTIME.replace(systems=("linux-s390x",), big_endian_systems=("linux-s390x",))
        ),
        MACHINE.replace(architecture="s390x"),
    ),
    ("runtime", "fail", "runtime-cannot-load"): lambda: found(
        "runtime", question(loads="It does not.")
    ),
    ("runtime", "fail", "runtime-no-build"): lambda: found(
        "runtime", machine=MACHINE.replace(system="windows")
    ),
}


@pytest.mark.parametrize(
    ("cell", "situation"),
    CELLS.items(),
    ids=lambda value: value[2] if isinstance(value, tuple) else "",
)
def test_cell(cell: tuple[str, str, str], situation: Callable[[], Finding]) -> None:
    """Each cell of the table gives its outcome, with a reason; what is not a pass comes with a remedy or needs none."""
    finding = situation()
    assert (finding.check, finding.outcome.value, finding.code) == cell
    assert finding.reason.endswith(".")
    if finding.outcome in (Outcome.WARN, Outcome.FAIL) and finding.code not in (
        "weights-closed",
        "license-forbids",
    ):
        assert finding.remedy


def test_every_code_has_its_cell() -> None:
    """The list of reason codes is closed: the table above reaches each, and none beyond it."""
    assert {code for _, _, code in CELLS} == {
        code for code in CODES if not code.startswith("speed-")
    }


def test_every_cell_of_the_contract_is_walked() -> None:
    """Four outcomes for each of the ten checks, but for `runtime`, which has no unknown."""
    expected = {
        (check, outcome.value)
        for check in findings.CHECKS
        if check != "speed"
        for outcome in Outcome
    } - {("runtime", "unknown")}
    assert {(check, outcome) for check, outcome, _ in CELLS} == expected


# ------------------------------------------------------------------ where several cells hold


def test_nothing_missing_comes_before_every_other_disk_cell() -> None:
    """Files that are here need no space, whatever the disk looks like."""
    assert (
        found("disk", question(local_files=True), MACHINE.replace(disks=None)).outcome
        is Outcome.PASS
    )


def test_a_shell_that_may_not_write_so_large_a_file() -> None:
    """The largest file is held against `ulimit -f`, not the sum of the parts; Ollama's server writes under limits of its own."""
    limited = MACHINE.replace(file_size_limit_bytes=2 * GB)
    finding = found("disk", machine=limited)
    assert (finding.code, finding.outcome) == ("disk-file-too-large", Outcome.FAIL)
    assert "`ulimit -f unlimited`" in (finding.remedy or "")
    assert found("disk", question(needs=needs_of(largest=2 * GB)), limited).code == "disk-fits"
    served = question(runtime=RUNTIME.replace(store="ollama"))
    assert (
        found("disk", served, limited.replace(disks=(DISK.replace(purpose="ollama"),))).code
        == "disk-fits"
    )
    # another disk is another computer's
    assert found("disk", machine=apply(limited, ["disk=500GB"])).code == "disk-fits"


@pytest.mark.parametrize("filesystem", ["tmpfs", "nfs4"])
def test_a_full_volume_fails_before_it_is_called_slow(filesystem: str) -> None:
    """The rightmost cell wins: too small beats network or RAM."""
    assert (
        found("disk", machine=with_disk(filesystem=filesystem, free_bytes=1)).outcome
        is Outcome.FAIL
    )


def test_a_folder_whose_rights_are_unread_is_judged_by_space_alone() -> None:
    """Where it was not read whether the folder is writable, space and mount decide."""
    assert found("disk", machine=with_disk(writable=None)).outcome is Outcome.PASS


def test_memory_holds_c_against_available_or_limit_less_reserve() -> None:
    """C = max(available, limit - reserve): a machine without a reserve to spare still gives what is free now."""
    tight = MACHINE.replace(
        memory_limit_bytes=6 * GIB,
        memory_total_bytes=6 * GIB,
        memory_available_bytes=int(5.5 * GIB),
    )
    assert found("memory", machine=tight).outcome is Outcome.PASS
    assert found("memory", machine=tight).has == int(5.5 * GIB)


def test_where_an_assumed_reserve_alone_decides_it_is_named() -> None:
    """Of 4.5 GiB a need of 4 to 5 fits but for the 1 GiB kept back: the reason says so and what changes it. Of 3 GiB it fits never."""
    tight = MACHINE.replace(
        memory_total_bytes=int(4.5 * GIB),
        memory_limit_bytes=int(4.5 * GIB),
        memory_available_bytes=2 * GIB,
    )
    finding = found("memory", machine=tight)
    assert finding.code == "memory-too-small"
    assert (
        "It might fit but for the 1.00 GiB kept back, assumed for linux itself: `--reserve SIZE` changes it."
        in finding.reason
    )
    small = MACHINE.replace(
        memory_total_bytes=3 * GIB, memory_limit_bytes=3 * GIB, memory_available_bytes=2 * GIB
    )
    assert found("memory", machine=small).code == "memory-too-small"
    assert "--reserve" not in found("memory", machine=small).reason
    assert "--reserve SIZE" not in found("memory", work(reserve_bytes=GIB), tight).reason


@pytest.mark.parametrize("basis", ["default", "available", "total"])
@pytest.mark.parametrize(
    ("reserve", "code"),
    [(4, "memory-fits"), (10, "memory-fits"), (11.5, "memory-close"), (13, "memory-too-small")],
)
def test_a_reserve_that_was_asked_for_stays_free_also_where_it_is_free_now(
    basis: str, reserve: float, code: str
) -> None:
    """Of 16 GiB, 12 free, and a need of 4 to 5: what is asked to be left is left, and the reason says so."""
    kept = int(reserve * GIB)
    asked = work(memory_basis=basis, reserve_bytes=kept)
    finding = found("memory", asked)
    assert finding.code == code
    assert finding.has == min(12 * GIB if basis != "total" else 16 * GIB, 16 * GIB - kept)
    assert "kept back, as asked" in finding.reason


@pytest.mark.parametrize(
    ("limits", "code", "needs", "told"),
    [
        # 4 to 5 GiB resident, of which 2 are mapped and 1 is a copy whose 3 GiB of originals stay mapped
        ({"address_space_bytes": int(8.25 * GIB)}, "memory-fits", 5, ""),
        ({"address_space_bytes": 8 * GIB}, "memory-close", 8, "too close to call"),
        ({"address_space_bytes": int(7.5 * GIB)}, "memory-close", 8, "too close to call"),
        ({"address_space_bytes": 6 * GIB}, "memory-too-small", 8, "`ulimit -v` leaves 6.00 GiB"),
        ({"private_memory_bytes": int(5.25 * GIB)}, "memory-fits", 5, ""),
        ({"private_memory_bytes": 5 * GIB}, "memory-close", 5, "too close to call"),
        ({"private_memory_bytes": 3 * GIB}, "memory-close", 5, "too close to call"),
        ({"private_memory_bytes": GIB}, "memory-too-small", 5, "`ulimit -d` leaves 1.00 GiB"),
    ],
)
def test_limits_of_the_shell_count_otherwise_than_memory(
    limits: dict[str, int], code: str, needs: int, told: str
) -> None:
    """setrlimit(2): RLIMIT_AS counts every mapping, so originals beside their copies too; RLIMIT_DATA none of a file.

    Both count each thread's stack of 8 MiB whole (pthread_create(3)): two a core of four, and 16. Neither is memory that others
    hold, so closing programs is no remedy.
    """
    terms = (
        term(2 * GIB, 2 * GIB),
        term(GIB, GIB, "repacked_weights"),
        term(GIB, 2 * GIB, "kv_cache"),
    )
    asked = question(
        needs=needs_of().replace(memory=MemoryNeed(terms=terms, evictable_bytes=3 * GIB))
    )
    finding = found("memory", asked, MACHINE.replace(cpu_cores_usable=4, **limits))
    assert (finding.code, finding.needs) == (code, needs * GIB + (24 * 8 * 2**20 if told else 0))
    assert told in finding.reason
    assert ("unlimited" in (finding.remedy or "")) is bool(told)
    # where memory itself is too small that is told
    small = found(
        "memory",
        asked,
        MACHINE.replace(memory_limit_bytes=3 * GIB, memory_available_bytes=2 * GIB, **limits),
    )
    assert "this machine (limited to 3.00 GiB" in small.reason
    # a machine with other memory is not this shell
    assert (
        found("memory", asked, apply(MACHINE.replace(**limits), ["memory=16GiB"])).code
        == "memory-fits"
    )


def test_what_the_kernel_promises_is_no_limit_of_the_shell() -> None:
    """CommitLimit bounds private memory as `ulimit -d` does, and closing programs does not raise it: what lifts it is another setting."""
    source = {
        "private_memory_bytes": "/proc/meminfo, CommitLimit: /proc/sys/vm/overcommit_memory is 2"
    }
    terms = (
        term(2 * GIB, 2 * GIB),
        term(GIB, GIB, "repacked_weights"),
        term(GIB, 2 * GIB, "kv_cache"),
    )
    asked = question(
        needs=needs_of().replace(memory=MemoryNeed(terms=terms, evictable_bytes=3 * GIB))
    )
    finding = found("memory", asked, MACHINE.replace(private_memory_bytes=GIB, sources=source))
    assert (finding.outcome, finding.code) == (Outcome.FAIL, "memory-too-small")
    assert "CommitLimit leaves 1.00 GiB" in finding.reason
    assert "vm.overcommit_ratio" in (finding.remedy or "")


def test_files_in_ram_stay_beside_what_is_made_of_them() -> None:
    """On a disk the originals of repacked weights may leave the page cache; where the store is RAM they cannot, so the least is more."""
    twice = question(
        needs=needs_of().replace(
            memory=MemoryNeed(terms=(term(4 * GIB, 5 * GIB),), evictable_bytes=3 * GIB)
        )
    )
    ram = with_disk(filesystem="tmpfs").replace(
        memory_limit_bytes=7 * GIB, memory_available_bytes=6 * GIB
    )
    assert (
        found(
            "memory",
            twice,
            with_disk().replace(memory_limit_bytes=7 * GIB, memory_available_bytes=6 * GIB),
        ).code
        == "memory-fits"
    )
    finding = found("memory", twice, ram)
    assert finding.code == "memory-too-small"
    assert "(with the 4.00 GB of files, which would lie in memory too)" in finding.reason
    # those that no copy is made of are mapped where they lie
    assert found("memory", question(), ram).code == "memory-close"


@pytest.mark.parametrize("basis", ["default", "total", "available"])
@pytest.mark.parametrize("limit", range(3, 15))
@pytest.mark.parametrize("copied", [0, 3 * GIB])
def test_a_download_to_ram_does_not_change_the_answer(basis: str, limit: int, copied: int) -> None:
    """The files are in RAM afterwards, so that less is free: what was too close to call still is, and no other program holds it."""
    size = 4 * GB
    needs = needs_of().replace(
        memory=MemoryNeed(terms=(term(4 * GIB, 5 * GIB),), evictable_bytes=copied)
    )
    asked = question(needs=needs, workload=WORK.replace(memory_basis=basis))
    ram = with_disk(filesystem="tmpfs").replace(
        memory_limit_bytes=limit * GIB, memory_available_bytes=limit * GIB - 2**26
    )
    before = found("memory", asked, ram)
    here = Here(
        path=f"{DISK.path}/model.gguf", size_bytes=size, missing_bytes=0, store=DISK.purpose
    )
    after = found(
        "memory",
        asked.replace(here=here),
        ram.replace(memory_available_bytes=max(0, limit * GIB - 2**26 - size)),
    )
    if basis != "available":
        assert after.code == before.code
        assert "lie in memory too" in after.reason or after.code == "memory-fits"
    # on a disk the same files take no memory that is to be kept
    disk = with_disk().replace(
        memory_limit_bytes=limit * GIB, memory_available_bytes=limit * GIB - 2**26
    )
    assert found("memory", asked.replace(here=here), disk) == found("memory", asked, disk)


def test_files_that_were_named_take_ram_where_they_lie_in_it() -> None:
    """`selfhost check /dev/shm/m.gguf`: the file holds RAM beside the copies made of it."""
    needs = needs_of().replace(
        memory=MemoryNeed(terms=(term(4 * GIB, 5 * GIB),), evictable_bytes=3 * GIB)
    )
    small = MACHINE.replace(
        memory_limit_bytes=7 * GIB, memory_total_bytes=7 * GIB, memory_available_bytes=2 * GIB
    )
    asked = question(needs=needs, local_files=True)
    assert found("memory", asked, small).code == "memory-not-now"
    held = found("memory", asked.replace(in_memory=True), small)
    assert held.code == "memory-too-small"
    assert "(with the 4.00 GB of files, which lie in memory too)" in held.reason
    assert (held.remedy or "").startswith("with the files on a disk")


@pytest.mark.parametrize(
    ("accelerators", "code"),
    [
        ((), "speed-too-slow"),
        (None, "speed-not-known"),
        ("own", "speed-not-known"),
        ("shared", "speed-too-slow"),
    ],
)
def test_too_slow_is_said_only_of_where_it_would_lie(accelerators: object, code: str) -> None:
    """What takes nobody knows how much may fit a GPU that was found, or one that was not read: the pace in RAM decides nothing there."""
    cards = {"own": (Accelerator(vendor="nvidia", name="NVIDIA L4", memory_total_bytes=24 * GIB, unified=False),),
             "shared": (Accelerator(vendor="intel", name="Graphics", unified=True),)}  # fmt: skip
    unsized = needs_of().replace(memory=None)
    machine = MACHINE.replace(
        accelerators=cards.get(accelerators, accelerators)
        if isinstance(accelerators, str)
        else accelerators
    )
    judged = judge(question(needs=unsized, read_bytes={"Q8_0": 900 * GB}), machine)
    codes = {finding.check: finding.code for finding in judged.findings}
    assert (codes["memory"], codes["speed"]) == ("memory-need-not-known", code)
    assert judged.route(offered=True) is (Route.API if code == "speed-too-slow" else Route.UNKNOWN)


def test_a_runtime_that_exists_elsewhere_is_not_said_to_have_no_build() -> None:
    """MLX runs on Linux by extras of its own (its documentation, installation): it is not judged there, and no source need be built."""
    asked = question(
        runtime=Catalogue.open().runtime("mlx"),
        needs=needs_of(cpu=CpuNeed(architectures=("aarch64",), instruction_sets={})),
    )
    finding = found("cpu", asked)
    assert (finding.code, finding.outcome) == ("cpu-no-build", Outcome.FAIL)
    assert "no build" not in finding.reason
    assert "source" not in (finding.remedy or "")


def test_a_total_that_was_read_is_a_ceiling_even_without_a_limit() -> None:
    """Above any ceiling that was read the answer is fail, not unknown."""
    assert (
        found(
            "memory", BIG, MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None)
        ).outcome
        is Outcome.FAIL
    )


def test_a_limit_unread_and_too_little_available_is_unknown() -> None:
    """What is free now is no ceiling: other programs may close."""
    asked = MACHINE.replace(
        memory_limit_bytes=None, memory_total_bytes=None, memory_available_bytes=1 * GIB
    )
    assert found("memory", machine=asked).outcome is Outcome.UNKNOWN


def test_available_unread_warns_where_the_limit_is_enough() -> None:
    """Available unread: it fits the machine, whether it fits now is not known."""
    assert (
        found("memory", machine=MACHINE.replace(memory_available_bytes=None)).outcome
        is Outcome.WARN
    )


def test_planning_ignores_what_is_free_now_and_the_strict_basis_counts_nothing_else() -> None:
    """--memory total passes where default warns; --memory available fails where default warns."""
    busy = MACHINE.replace(memory_available_bytes=2 * GIB)
    assert found("memory", work(memory_basis="total"), busy).outcome is Outcome.PASS
    assert found("memory", machine=busy).outcome is Outcome.WARN
    assert found("memory", work(memory_basis="available"), busy).outcome is Outcome.FAIL


def test_memory_numbers_are_the_ones_compared() -> None:
    """`needs` is the high end, `has` the ceiling it was held against, `short` the difference, the reserve stated."""
    finding = found("memory", BIG)
    assert (finding.needs, finding.has, finding.unit) == (40 * GIB, 15 * GIB, "bytes")
    assert finding.short == 25 * GIB
    assert finding.reserve_bytes == 1 * GIB


def test_a_machine_whose_gpu_holds_the_model_is_never_sent_to_an_api() -> None:
    """RAM too small, GPU large enough: local."""
    judged = judge(
        question(needs=needs_of(17 * GIB, 18 * GIB)), MACHINE.replace(accelerators=(GPU,))
    )
    assert judged.route(offered=True) is Route.LOCAL
    assert judged.needs is not None
    assert judged.needs.placement == "accelerator"


def test_an_unread_accelerator_decides_only_where_the_ram_is_too_small() -> None:
    """It may hold what the RAM cannot: unknown. Where the RAM is enough it changes nothing."""
    unread = MACHINE.replace(
        accelerators=None, unread=(Unread(fact="accelerators", reason="no driver"),)
    )
    assert judge(BIG, unread).route(offered=True) is Route.UNKNOWN
    assert judge(question(), unread).route(offered=True) is Route.LOCAL


def test_a_split_keeps_every_byte() -> None:
    """Placing layers on an accelerator moves memory, it makes none and loses none."""
    before = needs_of(27 * GIB, 28 * GIB)
    after = judge(question(needs=before), MACHINE.replace(accelerators=(GPU,))).needs
    assert after is not None
    assert after.memory is not None
    assert before.memory is not None
    assert after.placement == "split"
    assert after.memory.total_bytes == before.memory.total_bytes
    assert {one.where for one in after.memory.terms} == {"host", "accelerator:0"}


def test_unified_memory_is_no_second_pool() -> None:
    """A GPU that shares the RAM adds nothing to it."""
    apple = MACHINE.replace(accelerators=(GPU.replace(unified=True, memory_total_bytes=64 * GIB),))
    assert judge(BIG, apple).failed


# ------------------------------------------------------------------ the route


def test_no_fail_and_no_unknown_but_speed_is_local() -> None:
    """An unknown speed never decides, and no warning does."""
    judged = judge(
        question(read_bytes={}), MACHINE.replace(runtimes=None, memory_available_bytes=None)
    )
    assert judged.route(offered=False) is Route.LOCAL


@pytest.mark.parametrize(
    "machine",
    [
        MACHINE.replace(disks=None),
        MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None),
        MACHINE.replace(instruction_sets=None),
        MACHINE.replace(architecture=None),
    ],
    ids=["disks", "memory", "instruction_sets", "architecture"],
)
def test_a_deciding_fact_that_is_unread_makes_the_route_unknown(machine: Machine) -> None:
    """Each deciding fact removed in turn: the answer is unknown, never local."""
    assert judge(question(), machine).route(offered=True) is Route.UNKNOWN


def test_any_fail_is_api_or_neither() -> None:
    """A fail beats every unknown; whether an API is offered decides between api and neither."""
    judged = judge(BIG, MACHINE.replace(disks=None))
    assert judged.route(offered=True) is Route.API
    assert judged.route(offered=False) is Route.NEITHER


def test_a_closed_model_gets_only_the_findings_that_make_sense() -> None:
    """No memory or disk is judged for weights that nobody can have."""
    judged = judge(question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True)), MACHINE)
    assert [finding.check for finding in judged.findings] == ["weights", "openness"]


def test_files_already_here_make_the_weights_finding_pass_and_pickle_is_still_named() -> None:
    """A published spec without files or needs is unknown; listed files prove publication."""
    files = (PublishedFiles(format="gguf", source="s", bytes={"Q4_K_M": 1}),)
    assert found("weights", spec(openness=Openness(), files=files)).outcome is Outcome.PASS


# ------------------------------------------------------------------ laws


sizes = st.integers(min_value=1, max_value=64)


@given(need=sizes, spread=st.integers(0, 8), limit=sizes, free=sizes, more=st.integers(0, 64))
def test_more_memory_never_makes_the_answer_worse(
    need: int, spread: int, limit: int, free: int, more: int
) -> None:
    """For every need, a machine with more memory gets an outcome at least as good."""
    order = list(Outcome)

    def outcome(extra: int) -> int:
        machine = MACHINE.replace(
            memory_total_bytes=(limit + extra) * GIB,
            memory_limit_bytes=(limit + extra) * GIB,
            memory_available_bytes=min(free + extra, limit + extra) * GIB,
        )
        return order.index(
            found(
                "memory", question(needs=needs_of(need * GIB, (need + spread) * GIB)), machine
            ).outcome
        )

    assert outcome(more) <= outcome(0)


@given(need=sizes, more=st.integers(0, 64), free=sizes)
def test_a_larger_download_never_fits_better(need: int, more: int, free: int) -> None:
    """For every disk, more to download is at least as bad."""
    order = list(Outcome)
    machine = with_disk(free_bytes=free * GB)
    small, large = (
        order.index(found("disk", question(needs=needs_of(disk=size * GB)), machine).outcome)
        for size in (need, need + more)
    )
    assert small <= large


@given(st.lists(st.sampled_from(list(Route)), max_size=6))
def test_exit_code_order(routes: list[Route]) -> None:
    """1 beats 3 beats 0; nothing judged is 2, never 0."""
    code = exit_code(routes)
    if not routes:
        assert code == 2
    elif Route.API in routes or Route.NEITHER in routes:
        assert code == 1
    else:
        assert code == (3 if Route.UNKNOWN in routes else 0)


def test_exit_code_of_the_rest() -> None:
    """2 beats 1; a bug is 70 and an interrupt 130, whatever was judged."""
    assert exit_code([Route.API], no_answer=True) == 2
    assert exit_code([Route.LOCAL], crashed=True) == 70
    assert exit_code([Route.LOCAL], interrupted=True) == 130


def verdict(route: Route = Route.LOCAL, listed: tuple[Finding, ...] = ()) -> Verdict:
    return Verdict(
        asked="m",
        model=SPEC,
        workload=WORK,
        machine=MACHINE,
        route=route,
        needs=None,
        speed=None,
        findings=listed,
    )


def test_a_verdict_has_no_truth_value() -> None:
    """`if check(...)` is the natural slip with four answers: it raises and names what to ask."""
    with pytest.raises(TypeError, match="can_run"):
        bool(verdict())


def test_can_download_is_null_where_it_is_not_known() -> None:
    """Weights published and disk not fail: true; either unknown: null; either fail: false."""
    weights = found("weights")
    assert verdict(listed=(weights, found("disk"))).can_download is True
    assert (
        verdict(listed=(weights, found("disk", machine=with_disk(free_bytes=None)))).can_download
        is None
    )
    assert (
        verdict(listed=(weights, found("disk", machine=with_disk(writable=False)))).can_download
        is False
    )
    assert (
        verdict(listed=(found("weights", question(spec=CLOSED, needs=None)),)).can_download is False
    )


def test_an_instruction_set_that_a_system_does_not_tell_of_is_unread_not_missing() -> None:
    """Windows has no way to ask for FMA: a build that needs it is unknown there, not a crash."""
    asked = question(
        needs=needs_of(
            cpu=CpuNeed(architectures=("x86_64",), instruction_sets={"x86_64": ("avx2", "fma")})
        )
    )
    told = MACHINE.replace(instruction_sets=("avx2",))
    assert found("cpu", asked, told).code == "cpu-lacks-instructions"
    silent = told.replace(
        unread=(Unread(fact="instruction_sets.fma", reason="Windows does not tell"),)
    )
    assert found("cpu", asked, silent).code == "cpu-unread"


def test_a_readable_card_does_not_hide_an_unread_one() -> None:
    """A small integrated GPU that was read, and a card that was not: the card may hold the model, so it is unknown."""
    small = GPU.replace(memory_total_bytes=2 * GIB, memory_free_bytes=2 * GIB)
    unread = GPU.replace(memory_total_bytes=None, memory_free_bytes=None)
    assert (
        judge(BIG, MACHINE.replace(accelerators=(small, unread))).route(offered=True)
        is Route.UNKNOWN
    )


def test_a_card_that_may_share_the_ram_is_no_place_of_its_own() -> None:
    """Without a word on whether it shares the RAM, its memory is counted in neither way: unknown, not local and not api."""
    assert (
        judge(
            BIG,
            MACHINE.replace(
                accelerators=(
                    GPU.replace(
                        memory_total_bytes=80 * GIB, memory_free_bytes=80 * GIB, unified=None
                    ),
                )
            ),
        ).route(offered=True)
        is Route.UNKNOWN
    )


def test_a_busy_card_holds_it_once_others_have_left() -> None:
    """As RAM that is taken now: a warning that says how much is free. By what is available now it holds nothing."""
    busy = MACHINE.replace(
        accelerators=(GPU.replace(memory_total_bytes=80 * GIB, memory_free_bytes=GIB // 2),)
    )
    judged = judge(BIG, busy)
    assert judged.route(offered=True) is Route.LOCAL
    finding = found("accelerator", BIG, busy)
    assert (finding.code, finding.has) == ("accelerator-not-now", 0)
    assert "512 MiB are free now" in finding.reason
    now = BIG.replace(workload=WORK.replace(memory_basis="available"))
    assert judge(now, busy).route(offered=True) is Route.API
    total = BIG.replace(workload=WORK.replace(memory_basis="total"))
    assert found("accelerator", total, busy).code == "accelerator-fits"
    small = MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),))
    assert (
        judge(BIG.replace(needs=needs_of(80 * GIB, 81 * GIB)), small).route(offered=True)
        is Route.API
    )
    # tensor parallelism on two busy cards
    pair = MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),) * 2)
    assert (
        found(
            "accelerator", question(needs=needs_of(39 * GIB, 40 * GIB), runtime=GPU_ONLY), pair
        ).code
        == "accelerator-not-now"
    )


SLOW = MACHINE.replace(
    memory_bandwidth_bytes_per_second=GB, sources={"memory_bandwidth_bytes_per_second": "measured"}
)


def test_a_slow_processor_sends_nobody_to_an_api_where_an_accelerator_may_be_fast() -> None:
    """One that holds the model is judged; one that was not read makes it unknown, with the reason; none at all leaves the API."""
    held = SLOW.replace(accelerators=(GPU.replace(name="NVIDIA GeForce RTX 4090"),))
    assert judge(question(), SLOW).route(offered=True) is Route.API
    assert judge(question(), held).route(offered=True) is Route.LOCAL
    for unread in (
        SLOW.replace(accelerators=None),
        SLOW.replace(accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)),
        SLOW.replace(accelerators=(GPU.replace(unified=None),)),
    ):
        judged = judge(question(), unread)
        assert judged.route(offered=True) is Route.UNKNOWN
        assert found("accelerator", machine=unread).code == "accelerator-unread"
        # where the RAM is enough and fast enough, an unread accelerator decides nothing
        assert (
            judge(question(workload=WORK.replace(min_tokens_per_second=0)), unread).route(
                offered=True
            )
            is Route.LOCAL
        )
    # busy now: still no API
    busy = SLOW.replace(accelerators=(GPU.replace(memory_free_bytes=0),))
    assert judge(question(), busy).route(offered=True) is Route.LOCAL


@pytest.mark.parametrize(
    "changes", [{"memory_total_bytes": None, "memory_free_bytes": None}, {"unified": None}]
)
def test_an_unread_accelerator_is_not_said_to_be_needless(changes: Mapping[str, Any]) -> None:
    """The RAM is enough, so that it decides nothing; that it may hold the model is told with the reason and the remedy."""
    fact = "accelerators.unified" if "unified" in changes else "accelerators.memory_total_bytes"
    why = Unread(fact=fact, reason="no driver for it", remedy="install its driver")
    card = GPU.replace(**changes)
    for others in ((), (GPU.replace(memory_total_bytes=GIB, memory_free_bytes=GIB),)):
        finding = found(
            "accelerator", machine=MACHINE.replace(accelerators=(*others, card), unread=(why,))
        )
        assert (finding.code, finding.outcome, finding.remedy) == (
            "accelerator-unread",
            Outcome.WARN,
            "install its driver",
        )
        assert "no driver for it" in finding.reason
        assert "not needed" not in finding.reason


def test_a_busy_accelerator_that_would_hold_it_is_told() -> None:
    """The RAM is enough for the moment; what the idle card would give is told, with the pace that it is judged at once it is free."""
    card = GPU.replace(
        name="NVIDIA GeForce RTX 4090", memory_bandwidth_bytes_per_second=1008 * 10**9
    )
    idle = judge(question(), MACHINE.replace(accelerators=(card,)))
    for free, code in ((GIB // 2, "accelerator-not-now"), (3 * GIB, "accelerator-partly")):
        busy = MACHINE.replace(accelerators=(card.replace(memory_free_bytes=free),))
        finding = found("accelerator", machine=busy)
        assert (finding.code, finding.outcome) == (code, Outcome.WARN)
        assert idle.speed is not None
        assert idle.speed.decode is not None
        assert (
            f"Idle it would give {speed(idle.speed.decode.low, idle.speed.decode.high)}."
            in finding.reason
        )
        assert finding.remedy == "end what else runs on it"
        # where only what is free now counts, nobody is told to end anything
        strict = found(
            "accelerator", question(workload=WORK.replace(memory_basis="available")), busy
        )
        assert "Idle" not in strict.reason
    small = card.replace(memory_total_bytes=2 * GIB, memory_free_bytes=GIB // 2)
    assert (
        found("accelerator", machine=MACHINE.replace(accelerators=(small,))).code
        == "accelerator-not-needed"
    )


def test_instances_of_mig_are_used_one_at_a_time() -> None:
    """A program gets one of them: two of 20 GiB hold no model of 30, by layers or by tensor parallelism."""
    part = GPU.replace(
        name="NVIDIA H100 80GB HBM3 MIG 2g.20gb",
        memory_total_bytes=20 * GIB,
        memory_free_bytes=20 * GIB,
    )
    asked = question(needs=needs_of(29 * GIB, 30 * GIB))
    small = MACHINE.replace(
        memory_total_bytes=4 * GIB, memory_limit_bytes=4 * GIB, memory_available_bytes=4 * GIB
    )
    assert judge(asked, small.replace(accelerators=(part, part))).failed
    assert not judge(
        asked, small.replace(accelerators=(part.replace(name="A"), part.replace(name="B")))
    ).failed
    wide = asked.replace(runtime=GPU_ONLY)
    assert judge(wide, MACHINE.replace(accelerators=(part, part))).failed
    assert not judge(
        wide, MACHINE.replace(accelerators=(part.replace(name="A"), part.replace(name="B")))
    ).failed
    assert not judge(question(runtime=GPU_ONLY), MACHINE.replace(accelerators=(part, part))).failed


MAC = MACHINE.replace(
    system="macos", architecture="aarch64", memory_available_bytes=15 * GIB, instruction_sets=("asimddp",),
    accelerators=(Accelerator(vendor="apple", name="Apple M4", unified=True),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("needed", "limit", "code"),
    [
        (10, None, "accelerator-fits"),
        (12, None, "accelerator-partly"),
        (12, 13, "accelerator-fits"),
        (10, 9, "accelerator-partly"),
    ],
)
def test_metal_gives_the_gpu_a_share_of_the_ram(needed: int, limit: int | None, code: str) -> None:
    """10.67 of 16 GiB on an M4 by default (AlexsJones/llmfit#570), or what iogpu.wired_limit_mb says; beyond it part runs on the CPU."""
    (card,) = MAC.accelerators or ()
    machine = MAC.replace(
        accelerators=(card.replace(memory_total_bytes=None if limit is None else limit * GIB),)
    )
    asked = question(
        needs=needs_of(
            needed * GIB,
            needed * GIB,
            cpu=CpuNeed(architectures=("aarch64",), instruction_sets={}, recommended={}),
        ),
        runtime=None,
    )
    finding = found("accelerator", asked, machine)
    assert finding.code == code
    assert not judge(asked, machine).failed
    if code == "accelerator-partly":
        assert f"iogpu.wired_limit_mb={needed * 1024}" in (finding.remedy or "")


@pytest.mark.parametrize(("gib", "slower"), [(64, True), (96, False)])
def test_what_metal_leaves_over_is_paced_by_the_processor(gib: int, slower: bool) -> None:
    """59.5 GiB on a Mac with 64, of which the GPU may use 42 to 54: at the slow end 8 of 36 layers and more are the processor's."""
    mac = load("macbook-pro-m2-max-64gb").machine
    asked = api.check(
        "gpt-oss-120b",
        machine=mac.replace(memory_total_bytes=gib * GIB, memory_limit_bytes=gib * GIB),
    )
    lifted = mac.accelerators[0].replace(memory_total_bytes=90 * GIB) if mac.accelerators else None
    assert lifted is not None
    whole = api.check("gpt-oss-120b", machine=mac.replace(accelerators=(lifted,)))
    partly = asked.finding("accelerator")
    assert partly is not None
    assert (partly.code == "accelerator-partly") is slower
    assert asked.speed is not None
    assert asked.speed.decode is not None
    assert whole.speed is not None
    assert whole.speed.decode is not None
    ratio = asked.speed.decode.low / whole.speed.decode.low
    assert 0.1 < ratio < 0.9 if slower else ratio == 1
    assert ("processor" in asked.speed.how) is slower


def test_no_setting_gives_metal_more_than_the_ram() -> None:
    """For 20 GiB on a Mac with 16, `sysctl` is no remedy."""
    asked = question(
        needs=needs_of(
            20 * GIB,
            20 * GIB,
            cpu=CpuNeed(architectures=("aarch64",), instruction_sets={}, recommended={}),
        ),
        runtime=None,
    )
    finding = found("accelerator", asked, MAC)
    assert finding.code == "accelerator-partly"
    assert "sysctl" not in (finding.remedy or "")
    assert "smaller" in (finding.remedy or "")


def test_graphics_of_a_processor_do_not_run_what_needs_a_gpu() -> None:
    """vLLM is built for few of AMD's chips that share the RAM; NVIDIA's that do all run it."""
    for vendor, chip, fits in (
        ("amd", "gfx1036", False),
        ("amd", None, False),
        ("amd", "gfx1151", True),
        ("nvidia", "12.1", True),
    ):
        device = Accelerator(vendor=vendor, name="Chip", unified=True, compute_capability=chip)
        assert (
            judge(question(runtime=GPU_ONLY), MACHINE.replace(accelerators=(device,))).failed
            is not fits
        )


def test_the_ways_to_lay_it_out_are_told() -> None:
    """Each with its memory, and whether it would do; exactly one is the verdict's. Without a choice there is nothing to tell."""
    machine = MACHINE.replace(accelerators=(GPU.replace(name="NVIDIA GeForce RTX 4090"),))
    asked = question(needs=needs_of(9 * GIB, 10 * GIB))
    found = considered(asked, judge(asked, machine), machine)
    assert [(one.placement, one.accelerators, one.fits, one.judged) for one in found] == [
        ("accelerator", (0,), True, True),
        ("host", (), True, False),
    ]
    assert [(one.accelerator_high_bytes, one.host_high_bytes) for one in found] == [
        (10 * GIB, 0),
        (0, 10 * GIB),
    ]
    assert all(one.decode is not None for one in found)
    asked = question(needs=needs_of(27 * GIB, 28 * GIB))
    split, host = considered(asked, judge(asked, machine), machine)
    assert (split.placement, split.fits, split.judged) == ("split", True, True)
    assert split.accelerator_high_bytes + split.host_high_bytes == 28 * GIB
    # whole layers: of 32, as many as 22 GiB hold
    assert split.accelerator_high_bytes == 28 * GIB * 25 // 32
    assert host.fits is False
    assert considered(asked, judge(asked, MACHINE), MACHINE) == ()


def test_two_cards_share_the_layers_out() -> None:
    """40 GiB on two cards of 24: whole layers on each, for a runtime that splits; one that does not needs it on one card."""
    pair = MACHINE.replace(accelerators=(GPU, GPU))
    judged = judge(BIG, pair)
    assert judged.route(offered=True) is Route.LOCAL
    assert judged.needs is not None
    assert judged.needs.memory is not None
    assert {one.where for one in judged.needs.memory.terms if one.bytes} == {
        "accelerator:0",
        "accelerator:1",
    }
    assert "2 × Test GPU" in found("accelerator", BIG, pair).reason
    assert judged.needs.memory.total_bytes == 40 * GIB - GIB // 2


def test_a_runtime_that_needs_it_all_takes_its_share_of_each_card() -> None:
    """vLLM takes 92 % of a device: 22.5 of 24 GiB are too much for one card; 40 GiB go on two in equal parts, but not in RAM."""
    asked = question(runtime=GPU_ONLY, needs=needs_of(22 * GIB + GIB // 2, 22 * GIB + GIB // 2))
    assert (
        found("accelerator", asked, MACHINE.replace(accelerators=(GPU,))).code
        == "accelerator-too-small"
    )
    pair = judge(BIG.replace(runtime=GPU_ONLY), MACHINE.replace(accelerators=(GPU, GPU)))
    assert pair.route(offered=True) is Route.LOCAL
    assert pair.needs is not None
    assert pair.needs.memory is not None
    held = {
        where: sum(one.high_bytes for one in pair.needs.memory.terms if one.where == where)
        for where in ("accelerator:0", "accelerator:1")
    }
    assert held == {"accelerator:0": 20 * GIB, "accelerator:1": 20 * GIB}
    assert (
        judge(BIG.replace(runtime=GPU_ONLY), MACHINE.replace(accelerators=(GPU,))).route(
            offered=True
        )
        is Route.API
    )


def test_a_large_card_holds_what_is_worked_on_there() -> None:
    """From 70 GiB on vLLM works on four times as much at once, but on an A100 (vllm 0.33.0, get_batch_defaults)."""
    work_ = term(1 * GIB, 1 * GIB, "activations").replace(
        on_large=term(8 * GIB, 8 * GIB, "activations")
    )
    asked = question(
        runtime=GPU_ONLY,
        needs=needs_of().replace(memory=MemoryNeed(terms=(term(66 * GIB, 66 * GIB), work_))),
    )
    card = GPU.replace(memory_total_bytes=80 * GIB, memory_free_bytes=80 * GIB)
    assert (
        found(
            "accelerator",
            asked,
            MACHINE.replace(accelerators=(card.replace(name="NVIDIA H100 80GB HBM3"),)),
        ).code
        == "accelerator-too-small"
    )
    judged = judge(
        asked, MACHINE.replace(accelerators=(card.replace(name="NVIDIA A100-SXM4-80GB"),))
    )
    assert judged.needs is not None
    assert judged.needs.memory is not None
    assert {one.name: one.high_bytes for one in judged.needs.memory.terms} == {
        "weights": 66 * GIB,
        "activations": 1 * GIB,
    }
    # least of all is the card on which both fit: 74 GiB are 92 % of 80.4
    assert smallest_device_bytes(
        MemoryNeed(terms=(term(66 * GIB, 66 * GIB), work_))
    ) == pytest.approx(74 * GIB / 0.92, rel=1e-9)
    assert smallest_device_bytes(
        MemoryNeed(terms=(term(40 * GIB, 40 * GIB), work_))
    ) == pytest.approx(41 * GIB / 0.92, rel=1e-9)


def test_a_program_on_several_cards_takes_ram_and_what_they_share() -> None:
    """What each of several cards holds more, to talk to the others, and what the process takes of the RAM instead."""
    program = term(1 * GIB, 1 * GIB, "runtime").replace(
        beside=term(2 * GIB, 2 * GIB, "runtime"), joined=(0, GIB // 2, 1 * GIB)
    )
    memory = MemoryNeed(terms=(term(38 * GIB, 38 * GIB).replace(cut=((1.0, 0),)), program))
    pair = judge(
        question(runtime=GPU_ONLY, needs=needs_of().replace(memory=memory)),
        MACHINE.replace(accelerators=(GPU, GPU)),
    ).needs
    assert pair is not None
    assert pair.memory is not None
    runtimes = [
        (one.where, one.low_bytes, one.bytes, one.high_bytes)
        for one in pair.memory.terms
        if one.name == "runtime"
    ]
    assert ("accelerator:1", 1 * GIB, 1 * GIB + GIB // 2, 2 * GIB) in runtimes
    assert sum(one[3] for one in runtimes if one[0] == "host") == 4 * GIB


def test_what_no_number_of_cards_holds_is_told_of_those_that_lack_least() -> None:
    """Two cards are told of where two lack less than one, and more never looks as if it took less: vLLM may take 22.08 GiB of 24."""
    whole = term(3 * GIB, 3 * GIB, "activations")
    told = {}
    for size in (38, 40):
        memory = MemoryNeed(terms=(term(size * GIB, size * GIB).replace(cut=((1.0, 0),)), whole))
        made = judge(
            question(runtime=GPU_ONLY, needs=needs_of().replace(memory=memory)),
            MACHINE.replace(accelerators=(GPU, GPU)),
        )
        assert made.needs is not None
        assert made.needs.memory is not None
        told[size] = (
            made.needs.memory.high_bytes,
            next(one for one in made.findings if one.check == "accelerator"),
        )
    assert [(size, found.code) for size, (_, found) in told.items()] == [
        (38, "accelerator-fits"),
        (40, "accelerator-too-small"),
    ]
    assert [size for size, _ in told.values()] == [44 * GIB, 46 * GIB]
    assert "needs 46.0 GiB on 2 GPUs, and may take 44.2 GiB of 2 × Test GPU" in told[40][1].reason
    # a program that divides nothing has one card
    alone = needs_of(40 * GIB, 40 * GIB).replace(tensor_parallel=())
    (found,) = (
        one
        for one in judge(
            question(runtime=GPU_ONLY, needs=alone), MACHINE.replace(accelerators=(GPU, GPU))
        ).findings
        if one.check == "accelerator"
    )
    assert "needs 40.0 GiB on a GPU, and may take 22.1 GiB of Test GPU" in found.reason


def test_the_repacked_copy_is_shared_out_like_the_weights() -> None:
    """Most of a Q4_K_M file is repacked on a CPU: a split counts it once, not whole on both sides."""
    memory = MemoryNeed(
        terms=(term(4 * GIB, 4 * GIB), term(24 * GIB, 24 * GIB, "repacked_weights")),
        evictable_bytes=24 * GIB,
    )
    split = judge(
        question(needs=needs_of().replace(memory=memory)), MACHINE.replace(accelerators=(GPU,))
    ).needs
    assert split is not None
    assert split.memory is not None
    assert split.placement == "split"
    assert split.memory.total_bytes == 28 * GIB
    assert split.memory.evictable_bytes < 24 * GIB


def test_a_runtime_that_needs_a_gpu_takes_one_that_shares_the_ram() -> None:
    """A GPU inside the chip counts as found; the RAM holds the model."""
    inside = MACHINE.replace(
        accelerators=(GPU.replace(unified=True, memory_total_bytes=None, memory_free_bytes=None),)
    )
    assert judge(question(runtime=GPU_ONLY), inside).route(offered=True) is Route.LOCAL


@given(total=sizes, cut=st.integers(0, 64), more=st.integers(0, 64), need=sizes)
def test_a_higher_limit_never_makes_the_answer_worse(
    total: int, cut: int, more: int, need: int
) -> None:
    """A limit below the total leaves the rest to the system: raising it to the total takes nothing away."""
    order = list(Outcome)

    def outcome(limit: int) -> int:
        machine = MACHINE.replace(
            memory_total_bytes=total * GIB,
            memory_limit_bytes=limit * GIB,
            memory_available_bytes=None,
        )
        return order.index(
            found("memory", question(needs=needs_of(need * GIB, need * GIB)), machine).outcome
        )

    lower = max(1, total - cut)
    assert outcome(min(total, lower + more)) <= outcome(lower)


def test_a_build_is_asked_for_by_system_and_processor_together() -> None:
    """A runtime with builds for linux-x86_64 and macos-aarch64 has none for linux-aarch64."""
    runtime = RUNTIME.replace(systems=("linux-x86_64", "macos-aarch64"))
    arm = MACHINE.replace(architecture="aarch64", instruction_sets=("asimd",))
    assert (
        found("runtime", question(runtime=runtime), arm.replace(runtimes=())).code
        == "runtime-no-build"
    )


def of_llama_cpp(architecture: str, **changes: Any) -> Verdict:
    """A machine of this processor with room, on which nothing is installed."""
    machine = MACHINE.replace(
        name="elsewhere",
        architecture=architecture,
        instruction_sets=(),
        memory_total_bytes=32 * GIB,
        memory_limit_bytes=32 * GIB,
        memory_available_bytes=30 * GIB,
        cpu_cores_usable=8,
        runtimes=(),
    )
    return api.check("mistral-7b", machine=machine.replace(**changes))


def test_what_builds_from_source_is_not_said_to_be_impossible() -> None:
    """riscv64, ppc64le and loongarch64 have no published build of llama.cpp, and people build it there: one remedy says how."""
    for architecture in ("riscv64", "ppc64le", "loongarch64"):
        verdict = of_llama_cpp(architecture)
        findings = {finding.check: finding for finding in verdict.findings}
        assert findings["cpu"].outcome is Outcome.PASS
        assert (findings["runtime"].outcome, findings["runtime"].code) == (
            Outcome.WARN,
            "runtime-not-installed",
        )
        assert "No build of it is published" in findings["runtime"].reason
        assert "docs/build.md" in (findings["runtime"].remedy or "")
        # Ollama has no build there either
        assert not any(line.startswith("ollama") for line in verdict.commands)
        # found there, it was built there
        present = of_llama_cpp(
            architecture, runtimes=(PresentRuntime(id="llama.cpp", version="b10361"),)
        )
        assert (
            next(finding for finding in present.findings if finding.check == "runtime").code
            == "runtime-present"
        )


def test_a_mainframe_loads_big_endian_files_alone() -> None:
    """llama.cpp's docs/build-s390x.md: all models need to be converted; its releases have a build, and the printed line would fail."""
    verdict = of_llama_cpp("s390x")
    findings = {finding.check: finding for finding in verdict.findings}
    assert findings["cpu"].outcome is Outcome.PASS
    assert findings["runtime"].code == "runtime-other-byte-order"
    assert "gguf_convert_endian.py" in (findings["runtime"].remedy or "")
    assert verdict.commands == ()


@pytest.mark.parametrize(
    ("architecture", "wide"),
    [("armv7l", "linux-aarch64"), ("i686", "linux-x86_64"), ("armv6l", None), ("sparc64", None)],
)
def test_where_nothing_is_built_one_remedy_is_told(architecture: str, wide: str | None) -> None:
    """The processor's finding and the runtime's say the same: neither "build it" beside "does not exist", nor two ways out."""
    present = (PresentRuntime(id="llama.cpp"),) if wide else ()
    verdict = of_llama_cpp(architecture, runtimes=present)
    failed = [finding for finding in verdict.findings if finding.outcome is Outcome.FAIL]
    assert [finding.check for finding in failed] == ["cpu", "runtime"]
    assert len({finding.remedy for finding in failed}) == 1
    assert "source" not in (failed[0].remedy or "")
    assert wide is None or wide in (failed[0].remedy or "")


def test_remote_code_is_a_warning() -> None:
    """Loading that runs code from the repository is said, whatever its files' format."""
    assert (
        found("weights", spec(safety=Safety(formats=("safetensors",), remote_code=True))).code
        == "weights-unsafe"
    )
    assert (
        found(
            "weights", spec(safety=Safety(formats=("safetensors", "pickle"), remote_code=False))
        ).code
        == "weights-published"
    )


@pytest.mark.parametrize(
    ("format", "pickled", "remote"),
    [
        ("gguf", "published", "published"),
        ("ggml", "published", "published"),
        ("mlx", "published", "unsafe"),
        ("safetensors", "unsafe", "unsafe"),
    ],
)
def test_a_conversion_holds_no_code(format: str, pickled: str, remote: str) -> None:
    """llama.cpp runs nothing of the repository, and no converted file is a pickle: no sandbox is asked for."""
    for safety, expected in (
        (Safety(formats=("pickle",)), pickled),
        (Safety(remote_code=True), remote),
    ):
        asked = question(spec=SPEC.replace(safety=safety), workload=WORK.replace(format=format))
        assert found("weights", asked).code == f"weights-{expected}"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("no", "license-forbids"),
        ("yes", "license-allows"),
        ("conditional", "license-conditional"),
        (None, "license-not-known"),
    ],
)
def test_commercial_use(answer: str | None, code: str) -> None:
    """Each answer of the license has its finding where commercial use was asked for."""
    asked = question(
        spec=SPEC.replace(license=License(id="LicenseRef-X", commercial_use=answer)),
        workload=WORK.replace(commercial=True),
    )
    assert found("license", asked).code == code


@pytest.mark.parametrize(
    ("own", "source", "asked", "code"),
    [
        # the tag of the repository says which license it is, nobody read what it allows
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"commercial": True},
            "license-assumed",
        ),
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"license": "LicenseRef-X"},
            "license-allows",
        ),
        (
            "LicenseRef-X",
            "the repository's tag; its terms from general knowledge",
            {"license": "MIT"},
            "license-not-accepted",
        ),
        # nobody confirms which license it is
        ("Apache-2.0", "typed from general knowledge", {"commercial": True}, "license-assumed"),
        (
            "Apache-2.0",
            "typed from general knowledge",
            {"license": "Apache-2.0"},
            "license-assumed",
        ),
        ("Apache-2.0", "typed from general knowledge", {"license": "MIT"}, "license-not-known"),
        (
            "Apache-2.0",
            "the model card",
            {"license": "MIT", "commercial": True},
            "license-not-accepted",
        ),
    ],
)
def test_what_only_general_knowledge_says_of_a_license_neither_passes_nor_fails(
    own: str, source: str, asked: dict[str, Any], code: str
) -> None:
    """As with openness: `pass` and `fail` are for what a source confirms; a guess is visible as one, and says what would settle it."""
    spec = SPEC.replace(license=License(id=own, commercial_use="yes"), sources={"license": source})
    judged = found("license", question(spec=spec, workload=WORK.replace(**asked)))
    assert judged.code == code
    assert ("(general knowledge, not confirmed)" in judged.reason) is (
        code in ("license-assumed", "license-not-known")
    )
    assert judged.remedy or code == "license-allows"


def test_a_ban_that_only_general_knowledge_knows_is_no_ban() -> None:
    """Nobody is refused on a guess: whether it is forbidden is not known."""
    spec = SPEC.replace(
        license=License(id="LicenseRef-X", commercial_use="no"),
        sources={"license": "general knowledge"},
    )
    judged = found("license", question(spec=spec, workload=WORK.replace(commercial=True)))
    assert (judged.outcome, judged.code) == (Outcome.UNKNOWN, "license-not-known")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("no", "openness-closed"),
        ("yes", "openness-open"),
        ("conditional", "openness-partly"),
        (None, "openness-not-known"),
    ],
)
def test_modification(answer: str | None, code: str) -> None:
    """Each answer of the license has its finding where modification was asked for."""
    asked = question(
        spec=SPEC.replace(license=License(id="MIT", modification=answer)),
        workload=WORK.replace(modify=True),
    )
    assert found("openness", asked).code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("closed", "openness-closed"),
        ("partial", "openness-partly"),
        ("unknown", "openness-not-known"),
    ],
)
def test_without_the_training_data_nothing_can_be_audited(data: str, code: str) -> None:
    """The training data decides, even where code and paper are out."""
    opened = Openness(
        weights="published", training_data=data, training_code="published", paper="published"
    )
    assert (
        found(
            "openness",
            question(spec=SPEC.replace(openness=opened), workload=WORK.replace(auditable=True)),
        ).code
        == code
    )


def test_a_processors_pace_is_not_told_of_an_accelerator() -> None:
    """What the RAM's bandwidth gives says nothing of a card: one that nobody knows has no pace, and that never decides."""
    slow = question(read_bytes={"Q8_0": 400 * GB})
    assert judge(slow, MACHINE).route(offered=True) is Route.API
    judged = judge(slow, MACHINE.replace(accelerators=(GPU,)))
    assert judged.needs is not None
    assert judged.needs.placement == "accelerator"
    assert judged.speed is not None
    assert judged.speed.decode is None
    assert judged.route(offered=True) is Route.LOCAL


def test_what_one_card_has_left_is_no_room_on_another() -> None:
    """30 GiB on one of two cards that can give 22 each: too small, though both together can give 44."""
    cards = MACHINE.replace(accelerators=(GPU, GPU.replace(name="Other GPU")))
    terms = (
        term(30 * GIB, 30 * GIB, where="accelerator:0"),
        term(1 * GIB, 1 * GIB, where="accelerator:1"),
    )
    placed = needs_of().replace(placement="accelerator", memory=MemoryNeed(terms=terms))
    judged = findings.accelerator_check(placed, cards, RUNTIME)
    assert (judged.outcome, judged.code) == (Outcome.FAIL, "accelerator-too-small")
    assert (judged.needs, judged.has, judged.short) == (30 * GIB, 22 * GIB, 8 * GIB)
    assert "Test GPU" in judged.reason
    assert "Other GPU" not in judged.reason


@pytest.mark.parametrize(
    ("model", "machine", "workload"),
    [
        ("mistral-small-24b-instruct-2501", "laptop-rtx4060-16gb", Workload()),
        (
            "devstral-2-123b-instruct-2512",
            "aws-g6e.xlarge",
            Workload(runtime="ollama", context_tokens=386),
        ),
    ],
)
def test_a_layer_less_on_the_card_is_no_reason_for_an_api(
    model: str, machine: str, workload: Workload
) -> None:
    """A buffer is a fifth larger on a card than in RAM at most: where so many layers do not fit beside it, one less does."""
    verdict = api.check(model, workload, machine=load(machine).machine)
    assert verdict.route is Route.LOCAL
    assert verdict.needs is not None
    assert verdict.needs.placement == "split"


def test_a_gigabyte_of_each_card_stays_free() -> None:
    """llama.cpp's fitter leaves 1 GiB: 22.5 of 23 free GiB do not fit whole."""
    judged = judge(
        question(needs=needs_of(22 * GIB + GIB // 2, 22 * GIB + GIB // 2)),
        MACHINE.replace(accelerators=(GPU,)),
    )
    assert judged.needs is not None
    assert judged.needs.placement == "split"


def test_inside_a_limit_little_is_kept_for_the_system() -> None:
    """A container of 2 GiB on a host of 24 gives nearly all of it; a whole machine keeps what its system needs."""
    inside = MACHINE.replace(
        scope="container",
        memory_total_bytes=24 * GIB,
        memory_limit_bytes=2 * GIB,
        memory_available_bytes=1 * GIB,
    )
    assert found("memory", machine=inside).reserve_bytes == 64 * 2**20
    assert (
        found("memory", machine=inside.replace(memory_limit_bytes=24 * GIB)).reserve_bytes
        == 1 * GIB
    )


@pytest.mark.parametrize(
    ("installed", "code"),
    [
        ("4.49.0", "runtime-too-old"),
        ("4.50.0", "runtime-present"),
        ("4.50.0.dev0", "runtime-present"),
        ("4.50.0rc1+cpu", "runtime-present"),
        ("v4.49", "runtime-too-old"),
        ("5.0", "runtime-present"),
        ("nightly", "runtime-present"),
        (None, "runtime-present"),
    ],
)
def test_a_runtime_from_before_the_architecture_is_too_old(
    installed: str | None, code: str
) -> None:
    """Versions are compared as PEP 440 has them; what cannot be compared is not called old."""
    runtime = RUNTIME.replace(minimum_versions={"llama": "4.50.0"}, distributions=("transformers",))
    machine = MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version=installed),))
    finding = found("runtime", question(runtime=runtime), machine)
    assert finding.code == code
    assert (finding.remedy or "") == (
        "pip install --upgrade 'transformers>=4.50.0'" if code == "runtime-too-old" else ""
    )
    # the repository brings its own code
    assert (
        found(
            "runtime",
            question(runtime=runtime, spec=SPEC.replace(safety=Safety(remote_code=True))),
            machine,
        ).code
        != "runtime-too-old"
    )


@pytest.mark.parametrize(
    ("installed", "code"),
    [("0.39.0", "runtime-too-old"), ("0.40.0", "runtime-present"), (None, "runtime-present")],
)
def test_a_runtime_that_does_not_take_the_command_is_too_old(
    installed: str | None, code: str
) -> None:
    """huggingface/diffusers#14205, in 0.40.0: an older one passes over `dtype` and loads twice the bytes. The command printed has it."""
    runtime = Catalogue.open().runtime("diffusers")
    assert ", dtype=torch." in runtime.command
    machine = MACHINE.replace(runtimes=(PresentRuntime(id="diffusers", version=installed),))
    finding = found("runtime", question(runtime=runtime), machine)
    assert finding.code == code
    assert (finding.remedy or "") == (
        "pip install --upgrade 'diffusers>=0.40.0'" if code == "runtime-too-old" else ""
    )


@pytest.mark.parametrize(
    ("installed", "code"),
    [
        ("b9500", "runtime-present"),
        ("b10361", "runtime-present"),
        ("9501-1", "runtime-present"),
        ("0.0.9500", "runtime-present"),
        ("b3000", "runtime-unfamiliar"),
        ("0.0.6641", "runtime-unfamiliar"),
        ("1.20260101", "runtime-unfamiliar"),
        (None, "runtime-unfamiliar"),
    ],
)
def test_a_build_that_is_not_plainly_new_enough_is_told(installed: str | None, code: str) -> None:
    """Packagers number llama.cpp each in their own way: 6641 is b6641, 0.0.6641, 6641-1. What is no such number is not known."""
    runtime = RUNTIME.replace(minimum_builds={"llama": "b9500"})
    machine = MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version=installed),))
    finding = found("runtime", question(runtime=runtime), machine)
    assert finding.code == code
    assert ("was there by b9500" in finding.reason) is (code == "runtime-unfamiliar")
    assert finding.outcome is (Outcome.PASS if code == "runtime-present" else Outcome.WARN)
