"""Several models side by side on one machine: their needs are those of each alone, added."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.audits import judged
from helpers.cases import case_id
from helpers.paths import MACHINES, RECORDS
from judge.small import finding_of, memory_of
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
    """The verdict on one model, for a workload with these fields."""
    return check_with(
        open_catalogue(),
        model,
        Workload(**asked),
        machine,
        today=TODAY,
        follows_machine=False,
    )


def together(*models: str, machine: Machine = VM, **asked: Any) -> Verdict:
    """The verdict on several models at once, each for a workload with these fields."""
    entry = Wanted(index=0, label="", name=" + ".join(models), asked=Workload(**asked))
    members = tuple(entry.replace(name=model) for model in models)
    judge = PolicyJudge(open_catalogue(), TODAY)
    return judge(entry.replace(members=members), "default", machine)


def high_bytes(verdict: Verdict) -> int:
    """The most that the memory may take."""
    return memory_of(verdict).high_bytes


def test_memory_and_disk_are_the_sums() -> None:
    """Two programs, each with its own weights, cache, buffers and overhead: what each takes alone,
    added.
    """
    verdict = together(*PAIR)
    assert verdict.asked == "mistral-7b + bge-m3"
    assert verdict.route is Route.LOCAL
    memory_bytes = 0
    disk_bytes = 0
    for model in PAIR:
        single = alone(model)
        memory_bytes += high_bytes(single)
        # 4.372812 GB of Mistral 7B v0.3 in Q4_K_M, 1.157 GB of bge-m3 in F16, as published
        assert single.needs is not None
        assert single.needs.download_bytes
        disk_bytes += single.needs.download_bytes
    assert high_bytes(verdict) == memory_bytes
    memory = finding_of(verdict, "memory")
    assert memory.outcome is Outcome.PASS
    assert memory.needs == memory_bytes
    disk = finding_of(verdict, "disk")
    assert disk.outcome is Outcome.PASS
    assert disk.needs == disk_bytes
    names = [term.name for term in memory_of(verdict).terms]
    assert names.count("runtime") == 2


def test_one_file_counts_once_on_disk_and_in_the_page_cache() -> None:
    """Two llama-servers with the same GGUF file: its mapped pages are shared, the repacked copy,
    cache and buffers are not.
    """
    single = alone("mistral-7b")
    twice = together("mistral-7b", "mistral-7b")
    weights = [term for term in memory_of(single).terms if term.name == "weights"]
    mapped = sum(term.high_bytes for term in weights)
    assert mapped > GIB // 2
    assert high_bytes(twice) == 2 * high_bytes(single) - mapped
    disk = finding_of(twice, "disk")
    assert disk.outcome is finding_of(single, "disk").outcome
    assert disk.needs == finding_of(single, "disk").needs
    assert memory_of(twice).evictable_bytes == memory_of(single).evictable_bytes


@pytest.mark.parametrize("name", TREES, ids=case_id)
def test_on_every_recorded_machine_more_models_never_fit_better(name: str) -> None:
    """What runs with others runs alone; the RAM and disk asked for are never less than those of
    one.
    """
    machine = Machine.read(root=MACHINES / name / "root")
    verdict = together(*PAIR, machine=machine)
    singles = [alone(model, machine) for model in PAIR]
    for single in singles:
        assert single.can_run or not verdict.can_run
        for check in ("memory", "disk"):
            severity = finding_of(verdict, check).severity
            assert severity >= finding_of(single, check).severity
    assert verdict.needs is not None
    if verdict.needs.placement == "host":
        assert high_bytes(verdict) == sum(high_bytes(single) for single in singles)


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
    single, pair = judged(text, VM).rows
    assert single.wanted.label == "mistral-7b"
    assert pair.wanted.label == "mistral-7b + bge-m3"
    mistral_bytes = high_bytes(alone("mistral-7b", context_tokens=32768))
    assert single.verdict is not None
    assert high_bytes(single.verdict) == mistral_bytes
    assert pair.verdict is not None
    assert high_bytes(pair.verdict) == mistral_bytes + high_bytes(alone("bge-m3"))


def test_a_member_that_nobody_knows_is_a_fault_of_its_list() -> None:
    """The line of the list of models, with the name that was perhaps meant."""
    text = '[[model]]\nname = "gpt2"\n[[together]]\nmodels = ["gpt2", "mistrl-7b"]\n'
    made = judged(text, VM)
    (problem,) = made.problems
    assert problem.line == 5
    assert problem.key == "together[0].models"
    assert "mistrl-7b" in problem.message
    assert "mistral" in str(problem.remedy)
    assert made.exit_code == 2


INSTALLS = "download a release build of llama.cpp"
REQUIRED = '[[model]]\nname = "mistral-7b"\nrequire_runtime = true\n'


@pytest.mark.parametrize(
    ("runtimes", "result", "remedy"),
    [
        pytest.param((), Result.FAIL, INSTALLS, id="none"),
        pytest.param(
            (PresentRuntime(id="ollama", version="0.30.0"),),
            Result.FAIL,
            INSTALLS,
            id="another",
        ),
        pytest.param(
            (PresentRuntime(id="llama.cpp", version="b9000"),),
            Result.PASS,
            None,
            id="installed",
        ),
        pytest.param(None, Result.UNKNOWN, None, id="unread"),
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
        if result is Result.PASS:
            continue
        (reason,) = row.reasons
        assert reason.check == "runtime"
        assert "must be installed already" in reason.reason
        assert reason.remedy
        if remedy is not None:
            assert remedy in reason.remedy
