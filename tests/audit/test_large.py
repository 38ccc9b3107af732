"""Many machines judged at once get the verdicts that each gets alone."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from selfhost.answers.fleet import FleetJudge
from selfhost.answers.together import Beside
from selfhost.answers.verdicts import check_with
from selfhost.audit import large as large_module
from selfhost.audit import machines as machines_module
from selfhost.audit import regions, workers
from selfhost.audit.asked import Tried
from selfhost.audit.baseline import read_baseline, since
from selfhost.audit.fleet import Machines
from selfhost.audit.groups import shortfall
from selfhost.audit.judging import judge_with
from selfhost.audit.machines import load_machines
from selfhost.audit.policy import Policy, read_policy
from selfhost.audit.population import Population
from selfhost.audit.record import Audit, Row
from selfhost.audit.run import run_audit
from selfhost.audit.tracing import Trace
from selfhost.audit.workers import in_shares
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.tomlfile import Document
from selfhost.core.workload import Workload
from selfhost.machine import profiles
from selfhost.machine.profiles import load
from selfhost.machine.reader import read
from selfhost.machine.record import Machine, PresentModel
from selfhost.needs.repack import KINDS as LAYOUTS
from selfhost.reports.audit_formats import render
from selfhost.reports.audit_json import jsonl
from selfhost.verdict.question import ask
from selfhost.verdict.record import Verdict

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


def test_a_fleet_judged_at_once_gets_the_verdicts_of_one_by_one() -> None:
    """Accelerators, unread facts, classes by bounds, exceptions by labels: each row, each count and each group is the same."""
    policy = read_policy(Document.parse("audit.toml", POLICY.encode()))
    machines = load_machines("-", stdin=fleet(110).encode()).machines
    judge = FleetJudge(catalogue(), TODAY)

    one = judge_with(catalogue(), TODAY)
    at_once = run_audit(policy, machines, one, today=TODAY, at_once=judge)
    one_by_one = run_audit(policy, machines, one, today=TODAY)
    assert not isinstance(at_once.rows, tuple)
    assert not at_once.problems
    assert list(map(said, at_once.rows)) == list(map(said, one_by_one.rows))
    assert at_once.tally.results == one_by_one.tally.results
    assert at_once.exit_code == one_by_one.exit_code
    assert at_once.exceptions == one_by_one.exceptions
    assert [(each.names, each.count) for each in at_once.groups] == [
        (each.names, each.count) for each in one_by_one.groups
    ]
    for group, other in zip(at_once.groups, one_by_one.groups, strict=True):
        assert list(map(shortfall, group.rows)) == list(map(shortfall, other.rows))


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


def test_each_model_by_itself_gets_the_verdicts_of_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a model is split between accelerator and RAM, too slow or too large: the same rows, and of each group the same count, the same first names and the same largest shortfall."""
    monkeypatch.setattr(large_module, "MOST_TOGETHER", 0)
    # machines between two hypothetical ones are told together, however few they are
    monkeypatch.setattr(regions, "_LEAST_BETWEEN", 4)
    policy = read_policy(Document.parse("audit.toml", SPLIT_MODELS.encode()))
    machines = load_machines("-", stdin=splitting_fleet(120).encode()).machines
    one = judge_with(catalogue(), TODAY)
    judge = FleetJudge(catalogue(), TODAY)
    at_once = run_audit(policy, machines, one, today=TODAY, at_once=judge)
    one_by_one = run_audit(policy, machines, one, today=TODAY)
    assert list(map(said, at_once.rows)) == list(map(said, one_by_one.rows))
    assert at_once.tally.results == one_by_one.tally.results
    assert at_once.exceptions == one_by_one.exceptions
    alike: dict[object, list[Row]] = {}
    for row in one_by_one.rows:
        excepted = tuple((check, each.index) for check, each in row.excepted)
        key = row.wanted.index, row.result, row.failed, row.undecided, excepted
        alike.setdefault(key, []).append(row)
    groups = {}
    for group in at_once.groups:
        (row,) = group.rows
        groups[group.names[0], row.wanted.index] = group.names, group.count, shortfall(row)
    assert len(alike) > 15
    assert groups == {
        (rows[0].machine, rows[0].wanted.index): (
            tuple(row.machine for row in rows[:5]), len(rows), max(map(shortfall, rows)),
        )
        for rows in alike.values()
    }  # fmt: skip


@pytest.mark.parametrize("guess", [None, 0, 7, 39, 100])
def test_the_place_where_answers_change_is_found_from_any_guess(guess: int | None) -> None:
    """However far off the guess is, and in no more than two dozen tries of forty places."""
    for changes_at in range(1, 40):
        low, high, tries = 0, 39, 0
        tried = Tried(low, high, guess)
        while high - low > 1:
            place = tried.next(low, high)
            tries += 1
            low, high = (place, high) if place < changes_at else (low, place)
        assert (low, high) == (changes_at - 1, changes_at)
        assert tries <= 24


def test_a_large_audit_is_held_against_a_baseline_and_hides_names(tmp_path: Path) -> None:
    """What changed since, and pseudonyms: the same rows as of an audit one by one, and no name is left."""
    text = POLICY.replace("min_tokens_per_second = 6", "min_tokens_per_second = 40")
    before, policy = (read_policy(Document.parse("a", each.encode())) for each in (POLICY, text))
    fleet_of = load_machines("-", stdin=fleet(40).encode())
    one = judge_with(catalogue(), TODAY)

    def audited(of: Policy, *, large: bool) -> Audit:
        at_once = FleetJudge(catalogue(), TODAY) if large else None
        return run_audit(of, fleet_of.machines, one, today=TODAY, at_once=at_once)

    earlier = tmp_path / "earlier.jsonl"
    earlier.write_text(render("jsonl", audited(before, large=True), 0))
    audits = [audited(policy, large=each) for each in (True, False)]
    baseline, names = read_baseline(str(earlier)), fleet_of.machines.names
    large, small = (since(audit, baseline, names) for audit in audits)
    assert large.since == small.since
    assert large.since is not None
    assert large.since.new
    assert large.since.unchanged
    assert list(map(said, large.rows)) == list(map(said, small.rows))


def test_a_machine_that_is_kept_with_others_is_the_same(tmp_path: Path) -> None:
    """Read line by line, by what the lines share, each machine is what its line alone states."""
    lines = fleet(60).splitlines()
    (tmp_path / "fleet.jsonl").write_text("\n".join(lines))
    machines = load_machines(str(tmp_path / "fleet.jsonl")).machines
    assert len(machines.shapes) < len(machines) == 60
    for machine, line in zip(machines, lines, strict=True):
        assert machine == Machine.from_json(json.loads(line))
    assert list(Machines.of(list(machines))) == list(machines)


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


@pytest.mark.parametrize(
    ("was", "is_now", "message"),
    [
        (": 8589934592,", ": 08589934592,", "is not JSON"),
        (": 8589934592,", ": 8_589_934_592,", "is not JSON"),
        (": 17179869184,", ": 0,", "it must be at least 1"),
        ('"m-x"', '"m-x', "is not JSON"),
        ('"m-x"', "null", None),
        ('"m-x"', '"m\\u002dx"', None),
        ('{"site": "s1"}', '{"site": "}"}', None),
        ('{"site": "s1"}', "{}", None),
        (": 8589934592,", ":8589934592 ,", None),
        (": 8589934592,", ": 8.589934592e9,", None),
    ],
)
def test_a_line_that_is_almost_like_many_others_is_read_as_it_stands(
    was: str, is_now: str, message: str | None
) -> None:
    """Whatever was quick about the lines before, each says what a parser of JSON reads in it."""
    record = {**json.loads(fleet(1)), "memory_total_bytes": 2**34, "memory_limit_bytes": 2**34}
    record.update(memory_available_bytes=2**33, labels={"site": "s1"})
    good = [json.dumps({**record, "name": name}) for name in ("m-1", "m-2", "m-3", "m-x")]
    assert was in good[3]
    changed = good[3].replace(was, is_now, 1)
    read_fleet = load_machines("-", stdin="\n".join([*good[:3], changed]).encode())
    if message is not None:
        (problem,) = read_fleet.problems
        assert (problem.line, message in problem.message) == (4, True)
        return
    stated = {"name": "standard input:4", **json.loads(changed)}
    stated["name"] = stated["name"] or "standard input:4"
    assert not read_fleet.problems
    assert read_fleet.machines[3] == Machine.from_json(stated)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(
    "added", [None, '{"schema": "selfhost.machine/1"', '{"schema": "selfhost.machine/1"}', "m-000"]
)
def test_a_file_that_several_processes_read_is_the_same(
    added: str | None, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines, their order and their shapes; with a broken record, one without a name or one whose name was there, also what is told of it, and of which line."""
    lines = fleet(90).splitlines()
    if added is not None:
        lines.insert(70, lines[0] if added == "m-000" else added)
    (tmp_path / "fleet.jsonl").write_text("\n".join(lines))
    path = str(tmp_path / "fleet.jsonl")
    alone = load_machines(path)
    monkeypatch.setattr(machines_module, "LEAST_PART_BYTES", 1 << 10)
    monkeypatch.setattr(workers, "processors", lambda: processes)
    together = load_machines(path)
    assert list(together.machines) == list(alone.machines)
    assert together.machines.names == alone.machines.names
    assert len(together.machines.shapes) == len(alone.machines.shapes)
    assert together.problems == alone.problems
    assert bool(alone.problems) == (added in ("m-000", '{"schema": "selfhost.machine/1"'))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_shared_work_keeps_its_order(processes: int) -> None:
    """However many processes do it; what fails in another is done, and raised, in this one."""
    assert in_shares(7, lambda place: place * place, processes=processes) == [
        0, 1, 4, 9, 16, 25, 36,
    ]  # fmt: skip

    def failing(place: int) -> int:
        if place == 4:
            raise ValueError(str(place))
        return place

    with pytest.raises(ValueError, match="4"):
        in_shares(7, failing, processes=processes)


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
    judge, asked, present = FleetJudge(catalogue(), TODAY), Workload(), set()
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
        own = judge.verdict(Beside(model=model, workload=workload), machine)
        alone = checked(model, workload, machine)
        for name in ("asked", "model", "workload", "route", "needs", "speed", "findings", "here"):
            assert getattr(own, name) == getattr(alone, name), (model, workload, name)
        present.add((model, own.here is not None))
    assert {("mistral-7b", True), ("gemma-3-4b", False)} <= present


@pytest.mark.parametrize("paces", [(5, 40, 50, 60, 100, 1000, 0), (1000, 60, 5, None, 50)])
def test_another_pace_may_have_a_model_laid_out_on_other_gpus(paces: tuple[float | None]) -> None:
    """Of 8B in 16 bits one RTX 3090 is surely fast enough for 5 tokens/s, both likely for 60: whatever was asked before."""
    machine = load("desktop-2x-rtx3090").machine
    judge = FleetJudge(catalogue(), TODAY)
    for wanted in paces:
        workload = Workload(runtime="vllm", context_tokens=2048, min_tokens_per_second=wanted)
        own = judge.verdict(Beside(model="llama-3.1-8b", workload=workload), machine)
        alone = checked("llama-3.1-8b", workload, machine)
        for name in ("route", "needs", "speed", "findings"):
            assert getattr(own, name) == getattr(alone, name), (wanted, name)


def test_each_list_of_machines_gets_its_own_questions() -> None:
    """A list that is made where another was, and one that was changed: llama.cpp lays weights out anew for a processor with AVX-512 and not for one without vectors, so the two are asked different things."""
    judge = FleetJudge(catalogue(), TODAY)
    asked = [Beside(model="mistral-7b", workload=Workload())]
    server = load("github-ubuntu-24.04").machine.replace(instruction_sets=("avx2", "avx512f"))
    bare = server.replace(instruction_sets=())
    (alone,), (other,) = (judge.questions(asked, [each])[0] for each in (server, bare))
    assert alone != other
    for _ in range(20):
        assert judge.questions(asked, [server])[0] == [alone]
        assert judge.questions(asked, [bare, server, server])[0] == [other, alone, alone]
    changing = [server]
    judge.questions(asked, changing)
    changing[:] = [bare]
    assert judge.questions(asked, changing)[0] == [other]


def test_what_an_audit_keeps_of_a_model_is_the_same_as_asked_of_each_machine() -> None:
    """A question is worked out once for all processors that lay weights out alike: each machine must get the findings of its own, whichever was asked before."""
    judge = FleetJudge(catalogue(), TODAY)
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
            own = judge.verdict(Beside(model=model, workload=workload), machine)
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
    judge = FleetJudge(catalogue(), TODAY)
    for name in PICTURE_MACHINES:
        machine = load(name).machine
        own = judge.verdict(Beside(model=model, workload=Workload()), machine)
        checked = check_with(catalogue(), model, Workload(), machine, instead=False, today=TODAY)
        assert own.findings == checked.findings, name
        assert own.workload == checked.workload, name


def test_an_audit_judges_pictures_as_asked_where_a_type_is_stated() -> None:
    """A policy that states a type means that type, whatever else the machine would run."""
    stated = Workload(runtime="diffusers", quantization="bfloat16")
    machine = load("desktop-rtx3060-12gb").machine
    judge = FleetJudge(catalogue(), TODAY)
    own = judge.verdict(Beside(model="flux.1-dev", workload=stated), machine)
    assert (own.workload.runtime, own.workload.quantization) == ("diffusers", "bfloat16")


# a GPU that shares the RAM, one card, several, none
KINDS = ("strix-halo-64gb", "desktop-rtx3060-12gb", "aws-g5.12xlarge", "laptop-ddr4-8gb")


def alike_but_in_numbers(count: int) -> str:
    """Machines of four kinds: firmware keeps some of the RAM, others hold some of each card."""
    rng = random.Random(5)
    known = [load(name).machine.to_json() for name in KINDS]
    lines = []
    for number in range(count):
        record = {**known[number % len(known)], "name": f"m-{number:04d}", "planning": False}
        total = record["memory_total_bytes"] - rng.randrange(0, 2**24, 4096)
        record["memory_total_bytes"] = record["memory_limit_bytes"] = total
        record["memory_available_bytes"] = int(total * rng.uniform(0.2, 0.95))
        record["memory_bandwidth_bytes_per_second"] = rng.randrange(30, 60) * 10**9
        free = rng.randrange(10**10, 10**12)
        own = {"purpose": "huggingface", "path": "~/.cache", "filesystem": "ext4", "writable": True}
        record["disks"] = [{**own, "total_bytes": 10**12, "free_bytes": free}]
        record["accelerators"] = [
            {**card, "memory_free_bytes": card["memory_total_bytes"] - rng.randrange(2**22, 2**32)}
            if card["memory_total_bytes"] and not card["unified"]
            else card
            for card in record["accelerators"] or ()
        ]
        lines.append(json.dumps(record))
    return "\n".join(lines)


def judgements_of(
    policy: Policy,
    machines: Machines,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_by_model: bool = True,
) -> tuple[int, Audit]:
    """How often a machine stands for others in the report by model, and the audit. The report under
    all models tells warnings too.
    """
    judged: list[int] = []
    make = Trace.__init__

    def counted(
        self: Trace, population: Population, number: int, *others: Any, **named: Any
    ) -> None:
        judged.append(number)
        make(self, population, number, *others, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Trace, "__init__", counted)
        patch.setattr(large_module, "MOST_TOGETHER", 0 if is_by_model else 24)
        judge = FleetJudge(catalogue(), TODAY)
        one = judge_with(catalogue(), TODAY)
        audit = run_audit(policy, machines, one, today=TODAY, at_once=judge)
    return len(judged), audit


@pytest.mark.parametrize(
    ("model", "is_by_model"),
    [("flux.1-dev", False), ("qwen2.5-72b", True), ("gpt-oss-120b", False), ("opt-13b", True)],
)
def test_more_machines_of_the_same_kinds_take_no_more_judgements(
    model: str, is_by_model: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sets machines of a kind apart are bounds of the model, a few for each way to lay it out, however many machines there are: eight times the machines are met by the same bounds, of which a small fleet may miss some. A quotient of the RAM, which told what is tight, and a share of each card, by which Transformers lays layers out, set each machine apart."""
    policy = read_policy(
        Document.parse("audit.toml", f'schema = 1\n[[model]]\nname = "{model}"\n'.encode())
    )
    counts = []
    for count in (500, 4000):
        machines = load_machines("-", stdin=alike_but_in_numbers(count).encode()).machines
        count, _ = judgements_of(policy, machines, monkeypatch, is_by_model=is_by_model)
        counts.append(count)
    few, many = counts
    assert many < 2 * few, counts


def test_small_machines_that_keep_a_part_of_their_memory_take_no_more_judgements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Linux machine below 4 GiB keeps a quarter of its memory, which no two had alike: each was worked out by itself, so that a million took hundreds of times as long as ten thousand."""
    base = load("github-ubuntu-24.04").machine.replace(planning=False)
    policy = read_policy(
        Document.parse("audit.toml", b'schema = 1\n[[model]]\nname = "qwen3-1.7b"\n')
    )
    rng, counts = random.Random(11), []
    for size in (500, 4000):
        totals = [rng.randrange(2**30, 2**32 + 2**30) for _ in range(size)]
        machines = [
            base.replace(
                name=f"m-{place:04d}",
                memory_total_bytes=total,
                # a container may use less, by less or by more than what is kept
                memory_limit_bytes=total - place % 3 * 300 * 2**20,
                memory_available_bytes=total // 3,
            )
            for place, total in enumerate(totals)
        ]
        count, audit = judgements_of(policy, Machines.of(machines), monkeypatch)
        counts.append(count)
        if size == 500:
            one = judge_with(catalogue(), TODAY)
            alone = run_audit(policy, machines, one, today=TODAY)
            assert list(map(said, audit.rows)) == list(map(said, alone.rows))
            assert len(audit.tally.results) > 1
    few, many = counts
    assert many < 2 * few, counts


# cards of 12 GB, all of them newer than any program asks for
CARDS = (
    "NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 3080 Ti", "NVIDIA GeForce RTX 4070",
    "NVIDIA GeForce RTX 4070 SUPER", "NVIDIA GeForce RTX 4070 Ti", "NVIDIA GeForce RTX 5070",
)  # fmt: skip


@pytest.mark.parametrize(
    "entry",
    [
        'name = "wan2.1-t2v-14b"',
        # fits with an option of vLLM at most
        'name = "qwen2.5-14b-instruct"\nruntime = "vllm"\nquantization = "AWQ"',
    ],
)
def test_cards_that_differ_in_name_alone_take_no_more_judgements(
    entry: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether memory holds a model does not hang on what the card is called: six cards of as much memory are one."""
    base = load("desktop-rtx3060-12gb").machine
    (card,) = base.accelerators or ()
    policy = read_policy(Document.parse("audit.toml", f"schema = 1\n[[model]]\n{entry}\n".encode()))
    counts = []
    for names in (CARDS[:1], CARDS):
        fleet = [
            base.replace(
                name=f"m-{place:03d}",
                planning=False,
                accelerators=(card.replace(name=names[place % len(names)]),),
            )
            for place in range(600)
        ]
        count, audit = judgements_of(policy, Machines.of(fleet), monkeypatch)
        assert len(audit.groups) == 1
        counts.append(count)
    one, six = counts
    assert six == one, counts


def test_lines_of_a_large_fleet_are_written_without_judging_each_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line names the type and program: those of pictures follow the machine, and each of 3,000 machines was judged once more for them."""
    machines = load_machines("-", stdin=alike_but_in_numbers(600).encode()).machines
    text = 'schema = 1\n[[model]]\nname = "flux.1-dev"\n[[model]]\nname = "mistral-7b"\n'
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    judge, one = FleetJudge(catalogue(), TODAY), judge_with(catalogue(), TODAY)
    alone = jsonl(run_audit(policy, machines[::50], one, today=TODAY))

    def never(*_: object) -> None:
        raise AssertionError("a machine was judged by itself")

    audit = run_audit(policy, machines, never, today=TODAY, at_once=judge)  # type: ignore[arg-type]
    lines = jsonl(audit).splitlines()
    assert len(lines) == 1200
    names = {machine.name for machine in machines[::50]}
    assert [line for line in lines if json.loads(line)["machine"] in names] == alone.splitlines()


def is_too_slow(row: Row) -> bool:
    """Models side by side of which nothing but the pace is wrong."""
    return bool(row.wanted.members) and (row.failed, row.undecided) == (("speed",), ())


def test_reasons_that_are_worded_when_read_are_those_of_the_judged_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A first screen shows a dozen of thousands of groups: the machine that lacks most, what it lacks and the words are those of a report in full."""
    models = ("deepseek-v3", "flux.1-dev", "bge-m3")
    entries = "".join(f'[[model]]\nname = "{model}"\n' for model in models)
    # which machine lacks most of a pace beside another model is told by its memory's bandwidth
    paced = '[[model]]\nname = "falcon3-3b-instruct"\nmin_tokens_per_second = 25\n'
    beside = '[[together]]\nmodels = ["falcon3-3b-instruct", "bge-m3"]\n'
    text = f"schema = 1\n{paced}{entries}{beside}"
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    machines = load_machines("-", stdin=fleet(130).encode()).machines
    monkeypatch.setattr(large_module, "MOST_TOGETHER", 0)
    judge, one = FleetJudge(catalogue(), TODAY), judge_with(catalogue(), TODAY)
    first_screen, in_full = (
        run_audit(policy, machines, one, today=TODAY, at_once=judge, in_full=extent)
        for extent in ("few", "all")
    )
    checks: set[tuple[bool, str | None]] = set()
    for group, other in zip(first_screen.groups, in_full.groups, strict=True):
        (row,), (whole,) = group.rows, other.rows
        assert (row.machine, [reason.short for reason in row.reasons]) == (
            whole.machine,
            [reason.short for reason in whole.reasons],
        )
        assert row.reasons == whole.reasons
        checks.update((bool(row.wanted.members), each.check) for each in row.reasons if each.short)
    assert {(False, "memory"), (False, "disk"), (False, "speed"), (True, "speed")} <= checks
    (hit,) = (row for group in first_screen.groups for row in group.rows if is_too_slow(row))
    assert shortfall(hit) == max(map(shortfall, filter(is_too_slow, in_full.rows)))


@pytest.mark.parametrize("model", ["flux.1-dev", "falcon3-3b-instruct", "flan-t5-xxl", "bge-m3"])
def test_a_fleet_asks_what_each_layout_of_weights_is_asked(model: str) -> None:
    """A processor's layout changes what the model takes and nothing else, of pictures not even that."""
    fleet_judge = FleetJudge(catalogue(), TODAY)
    bare = Machine(accelerators=(), models_present=())
    machines = [bare.replace(instruction_sets=sets) for sets in LAYOUTS.values()]
    (asked,) = fleet_judge.questions([Beside(model=model, workload=Workload())], machines)
    spec = catalogue().spec(model)
    assert asked == [ask(spec, Workload(), catalogue(), machine) for machine in machines]
    if spec.modality == "image":
        assert len({id(question) for question in asked}) == 1
