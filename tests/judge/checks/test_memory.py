"""The contract's row `memory`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import (
    BIG,
    GIB,
    MACHINE,
    Cells,
    at,
    cell_tests,
    finding_of,
    found,
    needs_of,
    question,
    sizes,
    term,
    with_disk,
    work,
)
from selfhost import Workload, check
from selfhost.judge.checks import Outcome
from selfhost.machine.changes import apply
from selfhost.machine.named import named
from selfhost.needs.records import MemoryNeed

CELLS: Cells = {
    ("pass", "memory-fits"): at(),
    ("pass", "memory-tight"): at(
        question(needs=needs_of(14 * GIB, 14 * GIB)), MACHINE.replace(scope="host", planning=True)
    ),
    ("warn", "memory-not-now"): at(machine=MACHINE.replace(memory_available_bytes=2 * GIB)),
    ("unknown", "memory-close"): at(question(needs=needs_of(14 * GIB, 16 * GIB))),
    ("unknown", "memory-unread"): at(
        machine=MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None)
    ),
    ("unknown", "memory-assumed"): at(
        BIG, MACHINE.replace(planning=True, assumed=("memory_total_bytes",))
    ),
    ("unknown", "memory-need-not-known"): at(question(needs=needs_of().replace(memory=None))),
    ("fail", "memory-too-small"): at(BIG),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("memory", CELLS)


@pytest.mark.parametrize(
    ("model", "machine", "code", "outcome"),
    [
        ("qwen3-30b-a3b", "Ryzen 9 9950X", "memory-assumed", "unknown"),
        # sold with 8 and with 16 GB
        ("llama-3.1-8b", "macbook air m1", "memory-assumed", "unknown"),
        ("llama-3.3-70b", "macbook air m1", "memory-too-small", "fail"),
        # a desktop takes 256 GB
        ("deepseek-r1", "Ryzen 9 9950X", "memory-too-small", "fail"),
        ("qwen3-30b-a3b", "Ryzen 9 9950X 16GB", "memory-too-small", "fail"),
        ("llama-3.1-8b", "macbook-air-m1-8gb", "memory-too-small", "fail"),
    ],
)
def test_ram_that_a_name_does_not_tell_rules_nothing_out_that_more_would_hold(
    model: str, machine: str, code: str, outcome: str
) -> None:
    """ "What is not known stays unknown": 16 GB that were assumed are no answer to a model of 18 GiB, unless no such machine is sold with enough. What to state is said."""
    finding = finding_of(check(model, Workload(quantization="Q4_K_M"), machine=machine), "memory")
    assert (finding.code, finding.outcome) == (code, outcome)
    if code == "memory-assumed":
        assert finding.remedy is not None
        enough_gb = re.search(r"--set memory=(\d+)GiB", finding.remedy or "")
        assert enough_gb is not None
        enough = apply(named(machine)[0], [f"memory={enough_gb[1]}GiB"])
        stated = check(model, Workload(quantization="Q4_K_M"), machine=enough)
        assert stated.finding("memory").outcome is Outcome.PASS  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("address_space", "code", "needs", "told"),
    [
        # 4 to 5 GiB resident, of which 2 are mapped and 1 is a copy whose 3 GiB of originals stay mapped
        (int(8.25 * GIB), "memory-fits", 5, ""),
        (8 * GIB, "memory-close", 8, "too close to call"),
        (6 * GIB, "memory-too-small", 8, "`ulimit -v` leaves 6.00 GiB"),
    ],
)
def test_a_limit_of_the_shell_counts_otherwise_than_memory(
    address_space: int, code: str, needs: int, told: str
) -> None:
    """setrlimit(2): RLIMIT_AS counts every mapping, so originals beside their copies too.

    It counts each thread's stack of 8 MiB whole (pthread_create(3)): two a core of four, and 16. It is no memory that others
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
    machine = MACHINE.replace(cpu_cores_usable=4, address_space_bytes=address_space)
    finding = found("memory", asked, machine)
    assert (finding.code, finding.needs) == (code, needs * GIB + (24 * 8 * 2**20 if told else 0))
    assert told in finding.reason
    assert ("unlimited" in (finding.remedy or "")) is bool(told)
    # where memory itself is too small that is told
    small = machine.replace(memory_limit_bytes=3 * GIB, memory_available_bytes=2 * GIB)
    assert "this machine (limited to 3.00 GiB" in found("memory", asked, small).reason
    # a machine with other memory is not this shell
    assert found("memory", asked, apply(machine, ["memory=16GiB"])).code == "memory-fits"


def test_files_in_ram_stay_beside_what_is_made_of_them() -> None:
    """On a disk the originals of repacked weights may leave the page cache; where the store is RAM they cannot, so the least is more."""
    memory = MemoryNeed(terms=(term(4 * GIB, 5 * GIB),), evictable_bytes=3 * GIB)
    twice = question(needs=needs_of().replace(memory=memory))
    sizes = {"memory_limit_bytes": 7 * GIB, "memory_available_bytes": 6 * GIB}
    ram = with_disk(filesystem="tmpfs").replace(**sizes)
    assert found("memory", twice, with_disk().replace(**sizes)).code == "memory-fits"
    finding = found("memory", twice, ram)
    assert finding.code == "memory-too-small"
    assert "(including 4.00 GB of files that would lie in RAM)" in finding.reason
    # those that no copy is made of are mapped where they lie
    assert found("memory", question(), ram).code == "memory-close"


def test_planning_ignores_what_is_free_now_and_the_strict_basis_counts_nothing_else() -> None:
    """--memory total passes where default warns; --memory available fails where default warns."""
    busy = MACHINE.replace(memory_available_bytes=2 * GIB)
    assert found("memory", work(memory_basis="total"), busy).outcome is Outcome.PASS
    assert found("memory", machine=busy).outcome is Outcome.WARN
    assert found("memory", work(memory_basis="available"), busy).outcome is Outcome.FAIL


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
        asked = question(needs=needs_of(need * GIB, (need + spread) * GIB))
        return order.index(found("memory", asked, machine).outcome)

    assert outcome(more) <= outcome(0)


def test_inside_a_limit_little_is_kept_for_the_system() -> None:
    """A container of 2 GiB on a host of 24 gives nearly all of it; a whole machine keeps what its system needs."""
    inside = MACHINE.replace(
        scope="container",
        memory_total_bytes=24 * GIB,
        memory_limit_bytes=2 * GIB,
        memory_available_bytes=1 * GIB,
    )
    assert found("memory", machine=inside).reserve_bytes == 64 * 2**20
    whole = inside.replace(memory_limit_bytes=24 * GIB)
    assert found("memory", machine=whole).reserve_bytes == 1 * GIB
