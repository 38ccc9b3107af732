"""Several models side by side on one machine: their needs are those of each alone, added."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.audits import judged
from helpers.cases import case_id
from helpers.paths import MACHINES, RECORDS
from selfhost import Machine, Workload
from selfhost.advice.verdicts import check_with
from selfhost.audit.policy import Wanted
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.rows import Result
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.checks import Outcome
from selfhost.judge.record import Route, Verdict
from selfhost.machine.record import PresentRuntime

VM = Machine.from_file(RECORDS / "vm-24gib.json")
SMALL = VM.replace(
    memory_total_bytes=2**30, memory_limit_bytes=2**30, memory_available_bytes=2**30
)
TODAY = "2026-11-20"
GIB = 2**30
PAIR = ("mistral-7b", "bge-m3")
TREES = sorted(path.name for path in MACHINES.iterdir() if (path / "root").is_dir())


def alone(model: str, machine: Machine = VM, **asked: Any) -> Verdict:
    return check_with(
        open_catalogue(),
        model,
        Workload(**asked),
        machine,
        today=TODAY,
        follows_machine=False,
    )


def together(*models: str, machine: Machine = VM, **stated: Any) -> Verdict:
    workload = Workload(**stated)
    asked = Wanted(index=0, label="", name=" + ".join(models), asked=workload)
    wanted = asked.replace(members=tuple(asked.replace(name=model) for model in models))
    return PolicyJudge(open_catalogue(), TODAY)(wanted, "default", machine)


def high_bytes(verdict: Verdict) -> int:
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    return verdict.needs.memory.high_bytes


def shown(verdict: Verdict, check: str) -> tuple[Outcome, object]:
    finding = verdict.finding(check)
    assert finding is not None
    return finding.outcome, finding.needs


def test_memory_and_disk_are_the_sums() -> None:
    """Two programs, each with its own weights, cache, buffers and overhead: what each takes alone,
    added.
    """
    verdict = together(*PAIR)
    singles = [alone(model) for model in PAIR]
    assert high_bytes(verdict) == sum(map(high_bytes, singles))
    assert shown(verdict, "memory") == (Outcome.PASS, sum(map(high_bytes, singles)))
    # 4.372812 GB of Mistral 7B v0.3 in Q4_K_M, 1.157 GB of bge-m3 in F16, as published
    downloads = [
        single.needs.download_bytes for single in singles if single.needs is not None
    ]
    assert shown(verdict, "disk") == (Outcome.PASS, sum(filter(None, downloads)))
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    runtimes = [term for term in verdict.needs.memory.terms if term.name == "runtime"]
    assert len(runtimes) == 2
    assert (verdict.asked, verdict.route) == ("mistral-7b + bge-m3", Route.LOCAL)


def test_one_file_counts_once_on_disk_and_in_the_page_cache() -> None:
    """Two llama-servers with the same GGUF file: its mapped pages are shared, the repacked copy,
    cache and buffers are not.
    """
    single, twice = alone("mistral-7b"), together("mistral-7b", "mistral-7b")
    assert single.needs is not None
    assert single.needs.memory is not None
    mapped = sum(
        term.high_bytes for term in single.needs.memory.terms if term.name == "weights"
    )
    assert mapped > GIB // 2
    assert high_bytes(twice) == 2 * high_bytes(single) - mapped
    assert shown(twice, "disk") == shown(single, "disk")
    assert twice.needs is not None
    assert twice.needs.memory is not None
    assert twice.needs.memory.evictable_bytes == single.needs.memory.evictable_bytes


@pytest.mark.parametrize("name", TREES, ids=case_id)
def test_on_every_recorded_machine_more_models_never_fit_better(name: str) -> None:
    """What runs with others runs alone; the RAM and disk asked for are never less than those of
    one.
    """
    machine = Machine.read(root=MACHINES / name / "root")
    verdict = together(*PAIR, machine=machine)
    singles = [alone(model, machine) for model in PAIR]
    if verdict.can_run:
        assert all(single.can_run for single in singles)
    for check in ("memory", "disk"):
        ours, others = (
            verdict.finding(check),
            [single.finding(check) for single in singles],
        )
        assert ours is not None
        assert all(
            other is not None and ours.severity >= other.severity for other in others
        )
    assert verdict.needs is not None
    if verdict.needs.placement == "host":
        assert high_bytes(verdict) == sum(map(high_bytes, singles))


@pytest.mark.parametrize(
    "models",
    [
        pytest.param(("gpt-4o", "whisper-large-v3"), id="refused first"),
        pytest.param(("whisper-large-v3", "gpt-4o"), id="refused last"),
    ],
)
def test_terms_that_refuse_one_model_leave_the_others_their_offers(
    models: tuple[str, ...],
) -> None:
    """Whisper under the MIT license is served by APIs, and GPT-4o, which is closed, has a
    stand-in under it: what each gets alone they get together.
    """
    for model in models:
        assert alone(model, SMALL, license="MIT").route is Route.API
    assert together(*models, machine=SMALL, license="MIT").route is Route.API


# ------------------------------------------------------------------ in a policy

TOGETHER = '[[together]]\nmodels = ["mistral-7b", "bge-m3"]\n'


def test_a_policy_takes_conditions_from_the_entry_of_the_same_name() -> None:
    """The context of the [[model]] holds in the [[together]] too; a model without an entry is asked
    for by its name.
    """
    text = '[[model]]\nname = "mistral-7b"\ncontext_tokens = 32768\n' + TOGETHER
    rows = list(judged(text, VM).rows)
    assert [row.wanted.label for row in rows] == ["mistral-7b", "mistral-7b + bge-m3"]
    sizes = [
        high_bytes(alone("mistral-7b", context_tokens=32768)),
        high_bytes(alone("bge-m3")),
    ]
    assert [high_bytes(row.verdict) for row in rows if row.verdict is not None] == [
        sizes[0],
        sum(sizes),
    ]


def test_a_member_that_nobody_knows_is_a_fault_of_its_list() -> None:
    """The line of the list of models, with the name that was perhaps meant."""
    made = judged(
        '[[model]]\nname = "gpt2"\n[[together]]\nmodels = ["gpt2", "mistrl-7b"]\n', VM
    )
    (problem,) = made.problems
    assert (problem.line, problem.key) == (5, "together[0].models")
    assert "mistrl-7b" in problem.message
    assert "mistral" in str(problem.remedy)
    assert made.exit_code == 2


REQUIRED = '[[model]]\nname = "mistral-7b"\nrequire_runtime = true\n'


@pytest.mark.parametrize(
    ("runtimes", "result", "remedy"),
    [
        ((), Result.FAIL, "download a release build of llama.cpp"),
        (
            (PresentRuntime(id="ollama", version="0.30.0"),),
            Result.FAIL,
            "download a release build of llama.cpp",
        ),
        ((PresentRuntime(id="llama.cpp", version="b9000"),), Result.PASS, None),
        (None, Result.UNKNOWN, None),
    ],
)
@pytest.mark.parametrize(
    "text", [REQUIRED, REQUIRED + TOGETHER], ids=["alone", "together"]
)
def test_a_runtime_that_must_be_there(
    text: str,
    runtimes: tuple[PresentRuntime, ...] | None,
    result: Result,
    remedy: str | None,
) -> None:
    """Installing is a first step elsewhere; here its absence fails with the line that installs it,
    alone and beside others.
    """
    for row in judged(text, VM.replace(runtimes=runtimes)).rows:
        assert row.result is result
        if result is not Result.PASS:
            (reason,) = row.reasons
            assert reason.check == "runtime"
            assert "must be installed already" in reason.reason
            assert reason.remedy
            assert remedy is None or remedy in reason.remedy
