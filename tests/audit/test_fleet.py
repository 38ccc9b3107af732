"""Many machines judged by their kinds get the verdicts that each gets alone."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import count

import pytest

from helpers.paths import DATA, ROOT
from selfhost.audit import fleet_judge
from selfhost.audit.fleet_judge import TimeLimit
from selfhost.audit.machines import load_machines
from selfhost.audit.policy import Policy, Wanted, read_policy
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.rows import AuditRow
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
PROFILES = ("aws-g5.12xlarge", "desktop-rx9070xt-16gb", "aws-m7i.2xlarge", "dgx-spark")
RECORDED = (
    "linux-desktop-alder-lake",
    "macos-apple-m2",
    "linux-vm-shared-group-and-tmpfs-cache",
)


def fleet(count: int) -> str:
    """Recorded machines and profiles with numbers of their own; some lack a fact."""
    rng = random.Random(3)
    known = [load(name).machine for name in PROFILES]
    known += [
        Machine.read(root=ROOT / "tests" / "machines" / name / "root")
        for name in RECORDED
    ]
    lines = []
    for number in range(count):
        record = rng.choice(known).to_json()
        record.update(name=f"m-{number:03d}", labels={"site": f"s{rng.randrange(4)}"})
        record["read_at"] = f"2026-11-20T00:00:{number % 60:02d}Z"
        record["planning"] = rng.random() < 0.1
        total = record["memory_total_bytes"] or 2**35
        record["memory_limit_bytes"] = record["memory_total_bytes"]
        record["memory_available_bytes"] = int(total * rng.uniform(0.1, 0.9))
        if rng.random() < 0.2:
            record[
                rng.choice(["memory_total_bytes", "memory_available_bytes", "disks"])
            ] = None
        for disk in record["disks"] or ():
            disk["free_bytes"] = rng.randrange(10**9, 10**12)
            disk["total_bytes"] = max(disk["total_bytes"] or 0, disk["free_bytes"])
        for card in record["accelerators"] or ():
            if card["memory_total_bytes"]:
                card["memory_free_bytes"] = int(
                    card["memory_total_bytes"] * rng.uniform(0.3, 1)
                )
        if rng.random() < 0.5:
            record["memory_bandwidth_bytes_per_second"] = rng.randrange(5, 90) * 10**9
        lines.append(json.dumps(record))
    return "\n".join(lines)


def shortfall(row: AuditRow | Verdict) -> float:
    return max((each.short or 0 for each in row.findings if each.decides), default=0)


def said(row: AuditRow) -> object:
    loaded = None if row.verdict is None else row.verdict.workload
    return (
        row.machine, row.wanted.index, row.result, row.exit_code, row.route, row.failed,
        row.undecided, row.excepted,
        loaded and (loaded.runtime, loaded.format, loaded.quantization),
    )  # fmt: skip


@cache
def judge() -> PolicyJudge:
    return PolicyJudge(catalogue(), TODAY)


@cache
def policy(more: str = "") -> Policy:
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
    machines = load_machines("-", stdin=fleet(100).encode())
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2), raising=False)
    audit = run_audit(policy(), machines, judge(), today=TODAY)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    monkeypatch.setattr(fleet_judge, "_FEW", 1_000)
    alone = run_audit(policy(), machines, judge(), today=TODAY)
    assert not audit.problems
    assert list(map(said, audit.rows)) == list(map(said, alone.rows))
    assert (audit.exit_code, audit.exceptions) == (alone.exit_code, alone.exceptions)
    together, apart = (
        [
            (group.names, group.row.wanted.index, shortfall(group.row))
            for group in each.groups
        ]
        for each in (audit, alone)
    )
    assert len(together) > 15
    assert together == apart


@pytest.mark.usefixtures("by_kind")
def test_nothing_is_judged_of_cards_or_beside_models_that_no_machine_has() -> None:
    """Machines are taken together by the worst and the best of their numbers, but never with free
    memory of GPUs that is no machine's; and for models together each is judged as it is. The
    example of a group is the machine that lacks most.
    """
    machines, seen = (
        load_machines("-", stdin=fleet(60).encode()),
        list[tuple[Wanted, Machine]](),
    )

    def judge_and_note(wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        seen.append((wanted, machine))
        return judge()(wanted, basis, machine)

    audit = run_audit(policy(), machines, judge_and_note, today=TODAY)
    known = {numbers_of(machine) for machine in machines.machines}
    assert {numbers_of(each)[0] for _, each in seen} <= {frees for frees, _ in known}
    assert {numbers_of(each) for wanted, each in seen if wanted.members} <= known
    of_name = {each.name: each for each in machines.machines}
    for group in (
        each for each in audit.groups if shortfall(each.row) and each.count > 1
    ):
        alike = [of_name[name] for name in group.names]
        alone = [
            judge()(group.row.wanted, policy().memory_basis(each), each)
            for each in alike
        ]
        assert shortfall(group.row) == max(map(shortfall, alone))


def numbers_of(machine: Machine) -> tuple[object, object]:
    """What is free of each accelerator, and what else machines of one kind differ in."""
    free = tuple(card.memory_free_bytes for card in machine.accelerators or ())
    limit, available = machine.memory_limit_bytes, machine.memory_available_bytes
    return free, (limit, available, machine.memory_bandwidth_bytes_per_second)


@pytest.mark.usefixtures("by_kind")
def test_an_entry_that_cannot_be_judged_is_told_once() -> None:
    machines = load_machines("-", stdin=fleet(20).encode())
    unknown = policy('[[model]]\nname = "no-such-model"\n')
    audit = run_audit(unknown, machines, judge(), today=TODAY)
    (problem,) = audit.problems
    assert "no-such-model" in problem.message
    assert not [row for row in audit.rows if row.wanted.name == "no-such-model"]
    assert audit.exit_code == 2


# ------------------------------------------------------------------ how long it takes


@pytest.mark.usefixtures("by_kind")
@pytest.mark.parametrize(
    ("step", "is_bounded", "is_refused"),
    [(1, True, False), (90, True, True), (90, False, False)],
)
def test_a_job_that_takes_too_long_is_refused_with_its_estimate(
    step: float, is_bounded: bool, is_refused: bool
) -> None:
    """After some of it is judged; a job that was asked for all the same is done."""
    machines = load_machines("-", stdin=fleet(60).encode())
    seconds, told = count(0.0, step), list[tuple[float, float]]()
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
    assert run_audit(policy(), machines, judge(), today=TODAY, tell=tell).machines == 60
    verdicts = 60 * len(policy().models)
    assert told == sorted(told)
    done, total = told[-1]
    assert total == verdicts
    assert done == pytest.approx(verdicts)
