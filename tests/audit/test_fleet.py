"""Many machines judged by their kinds get the verdicts that each gets alone."""

from __future__ import annotations

import json
import pickle
import random
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from helpers.paths import ROOT
from selfhost.advice.verdicts import check_with
from selfhost.audit import groups as groups_module
from selfhost.audit import pool, run
from selfhost.audit.baseline import read_baseline, since
from selfhost.audit.entries import Policy, Wanted
from selfhost.audit.fleet import Machines
from selfhost.audit.groups import shortfall
from selfhost.audit.judging import PolicyJudge
from selfhost.audit.machines import load_machines
from selfhost.audit.policy import read_policy
from selfhost.audit.progress import Progress, TooLongError
from selfhost.audit.record import Audit, Result, Row
from selfhost.audit.run import run_audit
from selfhost.catalogue.opened import open_catalogue
from selfhost.cli import main as cli
from selfhost.core.tomlfile import Document
from selfhost.core.workload import Workload
from selfhost.judge.record import Verdict
from selfhost.machine import profiles
from selfhost.machine.profiles import load
from selfhost.machine.reader import read
from selfhost.machine.record import Machine, PresentModel
from selfhost.reports.audit_formats import render

TODAY = "2026-11-21"
# its specs are read once for all tests
catalogue = cache(open_catalogue)
POLICY = """
schema = 1
on_unknown = "warning"
[[class]]
name = "big"
match = { memory_total = ">=30GiB", architecture = "x86_64" }
memory = "total"
[[class]]
name = "busy"
match = { label = { site = "s[01]" } }
memory = "available"
[[model]]
name = "mistral-7b"
[[model]]
name = "llama-3.3-70b"
machines = ["class:big", "host:m-00*"]
min_tokens_per_second = 6
[[model]]
name = "qwen3-4b"
parallel = 4
min_tokens_per_second = 5
[[model]]
name = "gpt-oss-20b"
severity = "warning"
[[model]]
name = "stable-diffusion-1.5"
machines = ["label:site=s2"]
[[model]]
name = "gemma-3-27b"
runtime = "vllm"
require_runtime = true
machines = ["label:site=s[12]"]
[[together]]
models = ["mistral-7b", "hermes-2-theta-llama-3-8b"]
machines = ["label:site=s3"]
[[together]]
models = ["bge-m3", "flux.1-dev"]
machines = ["label:site=s[12]"]
[[exception]]
model = "mistral-7b"
rule = "memory"
reason = "a small site"
owner = "ops"
machines = ["label:site=s1", "host:m-004"]
expires = 2027-01-01
[[exception]]
model = "mistral-7b"
rule = "disk"
reason = "new disks come"
owner = "ops"
expires = 2026-01-01
"""
PROFILES = ("aws-g5.12xlarge", "desktop-rx9070xt-16gb", "aws-m7i.2xlarge", "dgx-spark")
RECORDED = ("linux-desktop-alder-lake", "macos-apple-m2", "linux-vm-shared-group-and-tmpfs-cache")


def fleet(count: int) -> str:
    """Recorded machines and profiles with numbers of their own; some lack a fact."""
    rng = random.Random(3)
    known = [load(name).machine for name in PROFILES]
    known += [read(root=ROOT / "tests" / "machines" / name / "root") for name in RECORDED]
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
            record[rng.choice(["memory_total_bytes", "memory_available_bytes", "disks"])] = None
        for disk in record["disks"] or ():
            disk["free_bytes"] = rng.randrange(10**9, 10**12)
        for card in record["accelerators"] or ():
            if card["memory_total_bytes"]:
                card["memory_free_bytes"] = int(card["memory_total_bytes"] * rng.uniform(0.3, 1))
        if rng.random() < 0.5:
            record["memory_bandwidth_bytes_per_second"] = rng.randrange(5, 90) * 10**9
        lines.append(json.dumps(record))
    return "\n".join(lines)


def checked(
    model: str, workload: Workload, machine: Machine, *, follows_machine: bool = False
) -> Verdict:
    """What `check` finds of one model on one machine."""
    return check_with(
        catalogue(),
        model,
        workload,
        machine,
        instead=False,
        today=TODAY,
        follows_machine=follows_machine,
    )


def said(row: Row) -> object:
    return (
        row.machine, row.wanted.index, row.result, row.exit_code, row.route, row.failed,
        row.undecided, row.excepted,
    )  # fmt: skip


# machines with one accelerator of several sizes, several alike, one that shares the RAM, and none,
# of three systems
SPLITTING = (
    "desktop-rtx3060-12gb", "desktop-rtx4090-24gb", "aws-g4dn.xlarge", "desktop-2x-rtx3090",
    "aws-g4dn.12xlarge", "laptop-rtx4060-16gb", "github-windows-4-core-gpu", "mac-mini-m4-pro-24gb",
    "desktop-ryzen-5600-16gb", "gcp-e2-standard-4",
)  # fmt: skip
# dense, experts, too large for most and two that take the same, a stated pace, planning, other work
SPLIT_MODELS = """
schema = 1
[[class]]
name = "planned"
match = { label = { site = "s0" } }
memory = "total"
[[model]]
name = "qwen3-32b"
[[model]]
name = "mixtral-8x7b"
min_tokens_per_second = 9
[[model]]
name = "llama-3.3-70b"
[[model]]
name = "hermes-4-70b"
[[model]]
name = "deepseek-r1-distill-llama-70b"
[[model]]
name = "olmo-3.1-32b-instruct"
machines = ["label:site=s[0-2]"]
min_tokens_per_second = 3
[[model]]
name = "qwen3-14b"
parallel = 3
min_tokens_per_second = 6
[[model]]
name = "qwen3-30b-a3b-instruct-2507"
[[model]]
name = "nous-hermes-2-mixtral-8x7b-dpo"
[[model]]
name = "flux.1-dev"
[[model]]
name = "whisper-large-v3"
[[exception]]
model = "llama-3.3-70b"
rule = "memory"
reason = "larger machines come"
owner = "ops"
machines = ["label:site=s1"]
expires = 2027-01-01
"""


def splitting_fleet(count: int) -> str:
    """Machines that differ in what is free of their accelerators and of the RAM, and in its
    bandwidth; of some the memory, its limit, its bandwidth or what is free of a card was not read, or the limit is below the total.
    """
    rng = random.Random(12)
    known = [load(name).machine.to_json() for name in SPLITTING]
    lines = []
    for number in range(count):
        record = dict(rng.choice(known))
        total = record["memory_total_bytes"] - 4096 * rng.randrange(4096)
        limit = total // 2 if rng.random() < 0.1 else total
        record.update(
            name=f"m-{number:03d}",
            labels={"site": f"s{rng.randrange(4)}"},
            planning=False,
            memory_total_bytes=total,
            memory_limit_bytes=None if rng.random() < 0.1 else limit,
            memory_available_bytes=int(limit * rng.uniform(0.05, 0.97)),
        )
        used = rng.choice([0, 0, 450 << 20, rng.randrange(12 << 30)])
        # what another system records has no free memory
        is_read = rng.random() < 0.85
        record["accelerators"] = [
            {
                **card,
                "memory_free_bytes": max(0, card["memory_total_bytes"] - used) if is_read else None,
            }
            if card["memory_total_bytes"] and not card["unified"]
            else card
            for card in record["accelerators"]
        ]
        if rng.random() < 0.6:
            usual = record["memory_bandwidth_bytes_per_second"] or 40 * 10**9
            record["memory_bandwidth_bytes_per_second"] = int(usual * rng.uniform(0.3, 1.3))
        if rng.random() < 0.15:
            sizes = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")
            record.update(dict.fromkeys(sizes))
        lines.append(json.dumps(record))
    return "\n".join(lines)


@cache
def judge() -> PolicyJudge:
    return PolicyJudge(catalogue(), TODAY)


def verdict(model: str, workload: Workload, machine: Machine, of: PolicyJudge) -> Verdict:
    wanted = Wanted(index=0, name=model, label=model, asked=workload)
    return of(wanted, workload, machine)


@pytest.fixture
def by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are taken together however few they are, in this process."""
    monkeypatch.setattr(run, "MOST_ALONE", 0)
    monkeypatch.setattr(pool, "_processors", lambda: 1)


def one_by_one(policy: Policy, machines: Machines) -> Audit:
    """Each machine by itself."""
    assert len(machines) * len(policy.models) <= run.MOST_ALONE
    return run_audit(policy, machines, judge(), today=TODAY)


FLEETS = {
    "unread facts, classes, exceptions and models side by side": (POLICY, fleet(300)),
    "models split between accelerator and RAM": (SPLIT_MODELS, splitting_fleet(300)),
}


@pytest.mark.parametrize("name", FLEETS)
def test_a_fleet_gets_the_verdicts_of_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row with its deciding findings, each count and the fate of each exception is the same; of each group under one model the count, the first names and the largest shortfall."""
    text, records = FLEETS[name]
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    machines = load_machines("-", stdin=records.encode()).machines
    alone = one_by_one(policy, machines)
    monkeypatch.setattr(run, "MOST_ALONE", 0)
    monkeypatch.setattr(pool, "_processors", lambda: 2)
    monkeypatch.setattr(groups_module, "MOST_TOGETHER", 0)
    audit = run_audit(policy, machines, judge(), today=TODAY)
    assert not audit.problems
    assert list(map(said, audit.rows)) == list(map(said, alone.rows))
    assert audit.tally == alone.tally
    assert (audit.exit_code, audit.exceptions) == (alone.exit_code, alone.exceptions)
    alike: dict[object, list[Row]] = {}
    for row in alone.rows:
        excepted = tuple((check, each.index) for check, each in row.excepted)
        texts = () if row.verdict is not None else tuple(each.text for each in row.reasons)
        key = row.wanted.index, row.result, row.failed, row.undecided, excepted, texts
        alike.setdefault(key, []).append(row)
    groups = {}
    for group in audit.groups:
        (row,) = group.rows
        groups[group.names[0], row.wanted.index] = group.names, group.count, shortfall(row)
    assert len(alike) > 15
    assert groups == {
        (rows[0].machine, rows[0].wanted.index): (
            tuple(row.machine for row in rows[: 5 if rows[0].result is Result.PASS else None]), len(rows), max(map(shortfall, rows)),
        )
        for rows in alike.values()
    }  # fmt: skip


def test_machines_under_all_models_are_grouped_by_what_decides(by_kind: None) -> None:
    """The machines of a group fare alike, and its rows are those of machines in it."""
    policy = read_policy(Document.parse("audit.toml", POLICY.encode()))
    machines = load_machines("-", stdin=fleet(110).encode()).machines
    audit = run_audit(policy, machines, judge(), today=TODAY)
    assert sum(group.count for group in audit.groups) == len(machines)
    rows: dict[str, list[Row]] = {}
    for row in audit.rows:
        rows.setdefault(row.machine, []).append(row)
    for group in audit.groups:
        for name in group.names:
            own = [said(row)[1:] for row in rows[name]]  # type: ignore[index]
            assert own == [said(row)[1:] for row in group.rows]  # type: ignore[index]
        if group.count <= len(group.names):
            assert {row.machine for row in group.rows} <= {*group.names}


def test_a_large_audit_is_held_against_a_baseline(tmp_path: Path, by_kind: None) -> None:
    """What changed since is the same as of an audit one by one, with the same figures."""
    text = POLICY.replace("min_tokens_per_second = 6", "min_tokens_per_second = 40")
    before, policy = (read_policy(Document.parse("a", each.encode())) for each in (POLICY, text))
    machines = load_machines("-", stdin=fleet(40).encode()).machines
    earlier = tmp_path / "earlier.jsonl"
    earlier.write_text(render("jsonl", run_audit(before, machines, judge(), today=TODAY), 0))
    baseline = read_baseline(str(earlier))
    large = since(run_audit(policy, machines, judge(), today=TODAY), baseline, machines.names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "MOST_ALONE", 5_000)
        small = since(one_by_one(policy, machines), baseline, machines.names)
    assert large.since == small.since
    assert large.since is not None
    assert large.since.new
    assert large.since.unchanged
    assert list(map(said, large.rows)) == list(map(said, small.rows))
    of_large, of_small = (
        max(shortfall(row) for group in audit.groups for row in group.rows)
        for audit in (large, small)
    )
    assert of_large == of_small


def test_a_judge_gives_the_same_verdicts_in_another_process() -> None:
    """Where processes are not copies of this one, the judge is sent to them."""
    sent = pickle.loads(pickle.dumps(judge()))
    machine = load("desktop-rtx3060-12gb").machine
    for model in ("mistral-7b", "flux.1-dev"):
        own, other = (verdict(model, Workload(), machine, of) for of in (judge(), sent))
        assert (own.findings, own.route) == (other.findings, other.route)


def test_an_entry_that_cannot_be_judged_is_told_once(by_kind: None) -> None:
    text = POLICY + '[[model]]\nname = "no-such-model"\n'
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    machines = load_machines("-", stdin=fleet(20).encode()).machines
    audit = run_audit(policy, machines, judge(), today=TODAY)
    (problem,) = audit.problems
    assert "no-such-model" in problem.message
    assert not [row for row in audit.rows if row.wanted.name == "no-such-model"]
    assert audit.exit_code == 2


# ------------------------------------------------------------------ how long it takes


@pytest.mark.parametrize(
    ("step", "is_bounded", "is_refused"), [(1, True, False), (90, True, True), (90, False, False)]
)
def test_a_job_that_takes_too_long_is_refused_with_its_estimate(
    step: float, is_bounded: bool, is_refused: bool, by_kind: None
) -> None:
    """After some of it is judged; a job that was asked for all the same is done."""
    policy = read_policy(Document.parse("audit.toml", POLICY.encode()))
    machines = load_machines("-", stdin=fleet(60).encode()).machines
    seconds, lines = count(0.0, step), list[str]()
    progress = Progress(lines.append, lambda: next(seconds), is_bounded=is_bounded)
    if is_refused:
        with pytest.raises(TooLongError, match=r"about [\d,]+ minutes") as caught:
            run_audit(policy, machines, judge(), today=TODAY, progress=progress)
        assert "--yes" in (caught.value.remedy or "")
        return
    assert run_audit(policy, machines, judge(), today=TODAY, progress=progress).machines == 60
    assert lines


def test_the_command_refuses_a_long_job_and_does_it_with_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = count(0.0, 200.0)
    monkeypatch.setattr(Progress.__init__, "__defaults__", (lambda: next(seconds),))
    (tmp_path / "m.jsonl").write_text(fleet(12))
    (tmp_path / "p.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    words = ["audit", str(tmp_path / "p.toml"), "--machines", str(tmp_path / "m.jsonl")]
    assert cli.main(words) == 2
    assert "--yes" in capsys.readouterr().err
    assert cli.main([*words, "--yes"]) in (0, 1, 3)


# ------------------------------------------------------------------ records that are read


def test_a_machine_that_is_kept_with_others_is_the_same(tmp_path: Path) -> None:
    """Read by what records share, each machine is what its record alone states."""
    lines = fleet(60).splitlines()
    (tmp_path / "fleet.jsonl").write_text("\n".join(lines))
    machines = load_machines(str(tmp_path / "fleet.jsonl")).machines
    assert len(machines.kinds) < len(machines) == 60
    for machine, line in zip(machines, lines, strict=True):
        assert machine == Machine.from_json(json.loads(line))
    assert list(Machines(machines)) == list(machines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_available_bytes": 2**45}, "above memory_limit_bytes"),
        ({"name": "m\x07"}, "holds control characters"),
        ({"name": "m-000"}, "is also the name of"),
        ({"read_at": "yesterday"}, "not a time"),
        ({"read_at": "9999-99-99T99:99:99Z"}, "not a time"),
        ({"read_at": "２０２６-10-01T12:00:00Z"}, "not a time"),
        ({"labels": {"site": ""}}, "is empty"),
    ],
)
def test_a_fault_in_a_line_like_many_others_is_told(
    change: dict[str, object], message: str
) -> None:
    """What is read quickly is held to the same rules."""
    record = {**json.loads(fleet(1)), "memory_total_bytes": 2**34, "memory_limit_bytes": 2**34}
    record["memory_available_bytes"] = 2**33
    good = [{**record, "name": f"m-{number:03d}"} for number in range(3)]
    text = "\n".join(map(json.dumps, [*good, {**record, "name": "m-x", **change}]))
    read_fleet = load_machines("-", stdin=text.encode())
    assert len(read_fleet.machines) == 3
    (problem,) = read_fleet.problems
    assert message in problem.message
    assert problem.line == 4


# ------------------------------------------------------------------ one entry on one machine


def test_entries_that_differ_in_amounts_alone_get_the_verdicts_of_each_alone() -> None:
    """What they share is worked out once: nothing of it may leak from one to the next."""
    file = PresentModel(
        path="~/.cache/llama.cpp/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        size_bytes=4_372_812_000,
        repository="bartowski/Mistral-7B-Instruct-v0.3-GGUF",
        file="Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        complete=True,
        store="llama.cpp",
        quantization="Q4_K_M",
    )
    machine = load("github-ubuntu-24.04").machine.replace(models_present=(file,))
    own_judge, asked, present = PolicyJudge(catalogue(), TODAY), Workload(), set()
    entries = [
        (model, asked.replace(context_tokens=context, min_tokens_per_second=pace, **other))
        for model, other in (
            ("mistral-7b", {}),
            ("mistral-7b", {"quantization": "Q8_0", "kv_cache_type": "q8_0"}),
            ("mistral-7b", {"runtime": "vllm"}),
            ("mistral-7b", {"parallel": 2}),
            ("mistral-7b", {"parallel": 16}),
            ("gemma-3-4b", {"private": True}),
            ("qwen3-embedding-0.6b", {}),
            ("gpt-4o", {}),
        )
        for context, pace in ((None, None), (512, 1.0), (40_000, None), (200_000, 30.0), (512, 9.0))
    ]
    for model, workload in entries:
        own = verdict(model, workload, machine, own_judge)
        alone = checked(model, workload, machine)
        for name in ("asked", "model", "workload", "route", "needs", "speed", "findings", "here"):
            assert getattr(own, name) == getattr(alone, name), (model, workload, name)
        present.add((model, own.here is not None))
    assert {("mistral-7b", True), ("gemma-3-4b", False)} <= present


def test_what_an_audit_keeps_of_a_model_is_the_same_as_asked_of_each_machine() -> None:
    """A question is worked out once for all processors that lay weights out alike: each machine must get the findings of its own, whichever was asked before."""
    own_judge = PolicyJudge(catalogue(), TODAY)
    machines = [load(name).machine for name in profiles.names()]
    by_layout = {machine.instruction_sets: machine for machine in machines}
    machines = [*by_layout.values(), *(load(name).machine for name in PICTURE_MACHINES)]
    for model, workload, has_ways in (
        ("mistral-7b", Workload(), False),
        ("mistral-7b", Workload(quantization="Q4_0"), False),
        ("qwen3-30b-a3b", Workload(context_tokens=512), False),
        ("flux.1-dev", Workload(), True),
    ):
        for machine in machines:
            own = verdict(model, workload, machine, own_judge)
            alone = checked(model, workload, machine, follows_machine=has_ways)
            for name in ("route", "needs", "speed", "findings"):
                assert getattr(own, name) == getattr(alone, name), (model, machine.name, name)


# a card that holds no usual type of it, RAM alone, one that holds it whole, and one too small for all
PICTURE_MACHINES = (
    "desktop-rtx3060-12gb", "desktop-ryzen-5600-16gb", "desktop-rtx5090-32gb", "laptop-ddr4-8gb",
)  # fmt: skip


@pytest.mark.parametrize("model", ["flux.1-dev", "wan2.1-t2v-14b"])
def test_an_audit_judges_pictures_and_video_in_the_type_and_program_that_check_takes(
    model: str,
) -> None:
    """`check` runs FLUX.1 on an RTX 3060 and an audit failed it there for the memory of a type nobody would load."""
    own_judge = PolicyJudge(catalogue(), TODAY)
    for name in PICTURE_MACHINES:
        machine = load(name).machine
        own = verdict(model, Workload(), machine, own_judge)
        checked = check_with(catalogue(), model, Workload(), machine, instead=False, today=TODAY)
        assert own.findings == checked.findings, name
        assert own.workload == checked.workload, name


def test_an_audit_judges_pictures_as_asked_where_a_type_is_stated() -> None:
    """A policy that states a type means that type, whatever else the machine would run."""
    stated = Workload(runtime="diffusers", quantization="bfloat16")
    machine = load("desktop-rtx3060-12gb").machine
    own_judge = PolicyJudge(catalogue(), TODAY)
    own = verdict("flux.1-dev", stated, machine, own_judge)
    assert (own.workload.runtime, own.workload.quantization) == ("diffusers", "bfloat16")


@pytest.mark.parametrize("name", ["deepseek-r1", "llama-3.1-405b", "gpt-4o", "dbrx-instruct"])
def test_a_route_does_not_follow_from_what_was_asked_before(name: str) -> None:
    machine = load("raspberry-pi-5-8gb").machine
    own_judge = PolicyJudge(catalogue(), TODAY)
    contexts = (
        None,
        4_096,
        40_000,
        131_072,
        163_840,
        163_841,
        9_000_000,
        2_048,
        1_000_000,
        1_048_577,
    )
    for context in contexts:
        workload = Workload(context_tokens=context)
        wanted = Wanted(index=0, name=name, label=name, asked=workload)
        alone = PolicyJudge(catalogue(), TODAY)
        assert (
            own_judge(wanted, workload, machine).route is alone(wanted, workload, machine).route
        ), context
