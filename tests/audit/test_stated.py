"""Facts that a policy states for its classes, and the age of records."""

from __future__ import annotations

from typing import Any

import pytest

from helpers import audits
from selfhost.audit.kinds import Machines
from selfhost.audit.policy import read_policy
from selfhost.audit.serving import with_stated_facts
from selfhost.core.errors import PolicyError
from selfhost.core.tables import Document
from selfhost.machine.record import Disk, Machine

GIB = 2**30
MODEL = '[[model]]\nname = "gpt2"\n'
POOL = '[[class]]\nname = "pool"\nmatch = { label = { site = "a*" } }\n[class.facts]\n'


def machine(name: str, **facts: Any) -> Machine:
    return Machine(name=name, labels={"site": facts.pop("site", "a1")}, **facts)


def filled(facts: str, *machines: Machine) -> tuple[list[Machine], list[str]]:
    """Machines with the facts of their class, and the notes on them."""
    policy = read_policy(
        Document.read("audit.toml", f"schema = 1\n{MODEL}{POOL}{facts}".encode())
    )
    made, notes = with_stated_facts(policy, Machines(machines))
    return list(made), notes


ALL = """disk = "500GB"
cores = 8
instruction_sets = ["avx2"]
bandwidth = "80GB/s"
gpu = "2x24GiB:RTX 4090"
"""


def test_a_fact_stands_where_none_was_read_and_says_whose_it_is() -> None:
    """With the line of the policy; machines of no class, or perhaps of one, keep what they have."""
    bare = machine("bare")
    other = machine("other", site="b")
    (first, second), notes = filled(ALL, bare, other)
    assert second == other
    assert first.disks is not None
    assert {disk.free_bytes for disk in first.disks} == {500 * 10**9}
    assert first.cpu_cores_usable == 8
    assert set(first.instruction_sets or ()) >= {"avx2", "avx"}
    assert first.memory_bandwidth_bytes_per_second == 80 * 10**9
    assert [card.memory_total_bytes for card in first.accelerators or ()] == [
        24 * GIB
    ] * 2
    stated = "stated by the policy, audit.toml:7 (class pool)"
    for fact in ("disks", "cpu_cores_usable", "accelerators"):
        assert first.sources[fact] == stated
    assert not any(entry.fact in first.sources for entry in first.unread)
    assert f"disk of 1 machine: 500GB, {stated}" in notes
    assert len(notes) == 5


READ = {
    "cpu_cores_usable": 2.0,
    "instruction_sets": ("sse2",),
    "memory_bandwidth_bytes_per_second": 10**10,
    "architecture": "aarch64",
    "accelerators": (),
    "disks": (
        Disk(purpose="ollama", path="~", free_bytes=10**9, total_bytes=2 * 10**9),
    ),
}


def test_a_share_of_a_core_is_a_fact() -> None:
    """A container may have a quota of 1.5 CPUs."""
    (made,), _ = filled("cores = 1.5\n", machine("bare"))
    assert made.cpu_cores_usable == 1.5


def test_what_was_read_stands() -> None:
    """Machines of one shape keep the numbers that are theirs."""
    full = [
        machine(f"m{number}", **{**READ, "memory_available_bytes": number * GIB})
        for number in range(1, 5)
    ]
    assert filled(ALL, *full) == (full, [])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ('disk = "5"', "the unit is missing"),
        # with what to type in the policy, not on the command line
        ('gpu = "RTX 9999 Ultra"', 'write gpu = "24GiB"'),
        (
            'gpu = "RTX 4091"',
            'did you mean RTX 4090, RTX 4090 D, RTX A400? Otherwise write gpu = "',
        ),
        ('gpu = "gaudi2"', 'write gpu = "24GiB"'),
        ("cores = 0", "write cores = 8"),
        ('instruction_sets = ["avx 2"]', 'write instruction_sets = ["avx2", "f16c"]'),
        ('disc = "5GB"', "did you mean disk"),
        ('bandwidth = "80Gb/s"', "bits"),
    ],
)
def test_a_wrong_fact_is_a_fault_of_the_policy(facts: str, expected: str) -> None:
    with pytest.raises(PolicyError) as caught:
        filled(facts + "\n")
    problem = caught.value.problems[0]
    assert problem.line in (7, 8)
    assert expected in f"{problem} {problem.remedy}"


def test_the_oldest_record_is_told() -> None:
    """A record that does not say when it was read is no older than another."""
    times = [
        "2026-11-20T11:59:00Z",
        "2026-11-13T11:59:59Z",
        "2026-11-19T23:00:00-02:00",
        None,
        "2026-99-99T00:00:00Z",
    ]
    machines = [
        machine(f"m{number}", read_at=time) for number, time in enumerate(times)
    ]
    made = audits.audit(MODEL, machines)
    assert made.notes == ('the oldest record is that of "m1", read on 2026-11-13',)
    assert audits.audit(MODEL, machines[:1]).notes == ()


@pytest.mark.parametrize(
    ("times", "note"),
    [
        pytest.param(
            ["2099-01-02T00:00:00Z"],
            '"m0" was recorded on 2099-01-02, which is after today: check that machine\'s clock',
            id="one",
        ),
        pytest.param(
            ["2026-11-21T00:00:00Z", "2026-11-20T10:00:00Z", "2098-12-31T00:00:00Z"],
            '"m2" was recorded on 2098-12-31, which is after today: check that machine\'s clock',
            id="the latest",
        ),
    ],
)
def test_a_record_of_the_future_is_told(times: list[str], note: str) -> None:
    """The clock of a machine that is ahead would make its record look fresh for years."""
    machines = [
        machine(f"m{number}", read_at=time) for number, time in enumerate(times)
    ]
    assert audits.audit(MODEL, machines).notes == (note,)


def test_a_bandwidth_may_be_stated_as_measured() -> None:
    """A stated one counts as a peak, of which programs reach less."""
    (made,), _ = filled('bandwidth = "60GB/s:measured"\n', machine("bare"))
    assert made.is_bandwidth_measured
    (made,), _ = filled('bandwidth = "60GB/s"\n', machine("bare"))
    assert not made.is_bandwidth_measured
