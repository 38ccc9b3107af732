"""Many machines judged by their kinds get the verdicts that each gets alone."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import count
from typing import NamedTuple

import pytest

from helpers.paths import DATA, ROOT
from selfhost.audit import fleet_judge
from selfhost.audit.fleet_judge import TimeLimit
from selfhost.audit.machines import Fleet, load_machines
from selfhost.audit.policy import Policy, Wanted, read_policy
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.rows import Audit, AuditRow
from selfhost.audit.run import run_audit
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError
from selfhost.core.tables import Document
from selfhost.judge.record import Verdict
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine

TODAY = "2026-11-21"
# its specs are read once for all tests
catalogue = cache(open_catalogue)
POLICY = (DATA / "fleet.toml").read_text(encoding="utf-8")
PROFILES = (
    "aws-g5.12xlarge",
    "desktop-rx9070xt-16gb",
    "aws-m7i.2xlarge",
    "dgx-spark",
)
RECORDED = (
    "linux-desktop-alder-lake",
    "macos-apple-m2",
    "linux-vm-shared-group-and-tmpfs-cache",
)


def changed(known: Machine, number: int, rng: random.Random) -> str:
    """The record of a machine like a known one, with numbers of its own; some lack a fact."""
    record = known.to_json()
    record["name"] = f"m-{number:03d}"
    record["labels"] = {"site": f"s{rng.randrange(4)}"}
    record["read_at"] = f"2026-11-20T00:00:{number % 60:02d}Z"
    record["planning"] = rng.random() < 0.1
    total = record["memory_total_bytes"] or 2**35
    record["memory_limit_bytes"] = record["memory_total_bytes"]
    record["memory_available_bytes"] = int(total * rng.uniform(0.1, 0.9))
    if rng.random() < 0.2:
        lacking = ["memory_total_bytes", "memory_available_bytes", "disks"]
        record[rng.choice(lacking)] = None
    for disk in record["disks"] or ():
        disk["free_bytes"] = rng.randrange(10**9, 10**12)
        disk["total_bytes"] = max(disk["total_bytes"] or 0, disk["free_bytes"])
    for card in record["accelerators"] or ():
        card_bytes = card["memory_total_bytes"]
        if card_bytes:
            card["memory_free_bytes"] = int(card_bytes * rng.uniform(0.3, 1))
    if rng.random() < 0.5:
        record["memory_bandwidth_bytes_per_second"] = rng.randrange(5, 90) * 10**9
    return json.dumps(record)


def fleet(count: int) -> Fleet:
    """So many machines, each like a profile or a recorded machine."""
    rng = random.Random(3)
    known = [load(name).machine for name in PROFILES]
    for name in RECORDED:
        root = ROOT / "tests" / "machines" / name / "root"
        known.append(Machine.read(root=root))
    lines = []
    for number in range(count):
        lines.append(changed(rng.choice(known), number, rng))
    return load_machines("-", stdin="\n".join(lines).encode())


def shortfall(row: AuditRow | Verdict) -> float:
    """The most that is short by a finding which decides."""
    deciding = [finding for finding in row.findings if finding.decides]
    return max((finding.short or 0 for finding in deciding), default=0)


class Loaded(NamedTuple):
    """What a program loads by a verdict."""

    runtime: str | None
    format: str | None
    quantization: str | None


class Said(NamedTuple):
    """What an audit says of one machine and one entry."""

    machine: str
    entry: int
    result: object
    exit_code: int
    route: object
    failed: object
    undecided: object
    excepted: object
    loaded: Loaded | None


def said(row: AuditRow) -> Said:
    """What a row says, but for its figures."""
    loaded = None
    if row.verdict is not None:
        workload = row.verdict.workload
        loaded = Loaded(workload.runtime, workload.format, workload.quantization)
    return Said(
        machine=row.machine,
        entry=row.wanted.index,
        result=row.result,
        exit_code=row.exit_code,
        route=row.route,
        failed=row.failed,
        undecided=row.undecided,
        excepted=row.excepted,
        loaded=loaded,
    )


class GroupSaid(NamedTuple):
    """What an audit says of a group: its machines, and the most that one of them is short of."""

    names: tuple[str, ...]
    entry: int
    short: float


def groups_said(audit: Audit) -> list[GroupSaid]:
    """What an audit says of its groups."""
    found = []
    for group in audit.groups:
        entry = group.row.wanted.index
        found.append(GroupSaid(tuple(group.names), entry, shortfall(group.row)))
    return found


class Numbers(NamedTuple):
    """What machines of one kind differ in."""

    free_of_cards: tuple[int | None, ...]
    memory_limit: int | None
    memory_available: int | None
    memory_bandwidth: float | None


def numbers_of(machine: Machine) -> Numbers:
    """The numbers of a machine; those of its cards in their order."""
    free = [card.memory_free_bytes for card in machine.accelerators or ()]
    return Numbers(
        free_of_cards=tuple(free),
        memory_limit=machine.memory_limit_bytes,
        memory_available=machine.memory_available_bytes,
        memory_bandwidth=machine.memory_bandwidth_bytes_per_second,
    )


@cache
def judge() -> PolicyJudge:
    """The judge of all tests, which keeps what it has judged."""
    return PolicyJudge(catalogue(), TODAY)


@cache
def policy(more: str = "") -> Policy:
    """The policy of the tests, with further entries."""
    return read_policy(Document.read("audit.toml", (POLICY + more).encode()))


@pytest.fixture
def by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are taken together however few they are, in this process and by tasks of a few."""
    monkeypatch.setattr(fleet_judge, "_FEW", 0)
    monkeypatch.setattr(fleet_judge, "_WORK_OF_TASK", 100)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)


@pytest.mark.usefixtures("by_kind")
def test_a_fleet_gets_the_verdicts_of_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each row with its deciding findings, each count and the fate of each exception is the same;
    of each group the machines and the largest shortfall.
    """
    machines = fleet(100)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2), raising=False)
    together = run_audit(policy(), machines, judge(), today=TODAY)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    monkeypatch.setattr(fleet_judge, "_FEW", 1_000)
    alone = run_audit(policy(), machines, judge(), today=TODAY)
    assert not together.problems
    assert [said(row) for row in together.rows] == [said(row) for row in alone.rows]
    assert together.exit_code == alone.exit_code
    assert together.exceptions == alone.exceptions
    groups = groups_said(together)
    assert len(groups) > 15
    assert groups == groups_said(alone)


@pytest.mark.usefixtures("by_kind")
def test_nothing_is_judged_of_cards_or_beside_models_that_no_machine_has() -> None:
    """Machines are taken together by the worst and the best of their numbers, but never with free
    memory of GPUs that is no machine's; and for models together each is judged as it is. The
    example of a group is the machine that lacks most.
    """
    machines = fleet(60)
    judged: list[Numbers] = []
    judged_for_models_together: list[Numbers] = []

    def judge_and_note(wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        judged.append(numbers_of(machine))
        if wanted.members:
            judged_for_models_together.append(numbers_of(machine))
        return judge()(wanted, basis, machine)

    audit = run_audit(policy(), machines, judge_and_note, today=TODAY)
    known = {numbers_of(machine) for machine in machines.machines}
    known_cards = {numbers.free_of_cards for numbers in known}
    assert {numbers.free_of_cards for numbers in judged} <= known_cards
    assert set(judged_for_models_together) <= known
    by_name = {machine.name: machine for machine in machines.machines}
    for group in audit.groups:
        if not shortfall(group.row) or group.count == 1:
            continue
        shortfalls = []
        for name in group.names:
            machine = by_name[name]
            basis = policy().memory_basis(machine)
            alone = judge()(group.row.wanted, basis, machine)
            shortfalls.append(shortfall(alone))
        assert shortfall(group.row) == max(shortfalls)


@pytest.mark.usefixtures("by_kind")
def test_an_entry_that_cannot_be_judged_is_told_once() -> None:
    """Not once for each of 20 machines."""
    unknown = policy('[[model]]\nname = "no-such-model"\n')
    audit = run_audit(unknown, fleet(20), judge(), today=TODAY)
    (problem,) = audit.problems
    assert "no-such-model" in problem.message
    assert not [row for row in audit.rows if row.wanted.name == "no-such-model"]
    assert audit.exit_code == 2


# ------------------------------------------------------------------ how long it takes


@pytest.mark.usefixtures("by_kind")
@pytest.mark.parametrize(
    ("step", "is_bounded", "is_refused"),
    [
        pytest.param(1, True, False, id="quick"),
        pytest.param(90, True, True, id="too-long"),
        pytest.param(90, False, False, id="asked-for-all-the-same"),
    ],
)
def test_a_job_that_takes_too_long_is_refused_with_its_estimate(
    step: float, is_bounded: bool, is_refused: bool
) -> None:
    """After some of it is judged; a job that was asked for all the same is done."""
    machines = fleet(60)
    seconds = count(0.0, step)
    told: list[tuple[float, float]] = []
    limit = TimeLimit(lambda: next(seconds))

    def tell(done: float, total: float) -> None:
        told.append((done, total))
        if is_bounded:
            limit(done, total)

    if is_refused:
        with pytest.raises(SelfhostError, match=r"about [\d,]+ minutes") as caught:
            run_audit(policy(), machines, judge(), today=TODAY, tell=tell)
        assert "--yes" in (caught.value.remedy or "")
        return
    audit = run_audit(policy(), machines, judge(), today=TODAY, tell=tell)
    assert audit.machines == 60
    verdicts = 60 * len(policy().models)
    assert told == sorted(told)
    done, total = told[-1]
    assert total == verdicts
    assert done == pytest.approx(verdicts)
