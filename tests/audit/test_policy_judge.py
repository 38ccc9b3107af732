"""The judge of a policy's entries gives what `check` gives, whatever it judged before."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.machines import machine_with
from helpers.paths import RECORDS
from selfhost import Machine, Route, Workload
from selfhost.advice.verdicts import check_with
from selfhost.audit.policy import Wanted
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import UnknownModelError
from selfhost.judge.record import Verdict
from selfhost.machine.named import named
from selfhost.machine.record import PresentModel

VM = Machine.from_file(RECORDS / "vm-24gib.json")
TODAY = "2026-11-20"
GIB = 2**30


def wanted(name: str, *, require_runtime: bool = False, **asked: Any) -> Wanted:
    return Wanted(
        index=0,
        label=name,
        name=name,
        asked=Workload(**asked),
        require_runtime=require_runtime,
    )


def both(*names: str, **asked: Any) -> Wanted:
    members = tuple(wanted(name, **asked) for name in names)
    return wanted(" + ".join(names)).replace(members=members)


def new_judge() -> PolicyJudge:
    return PolicyJudge(open_catalogue(), TODAY)


def checked(name: str, machine: Machine, **asked: Any) -> Verdict:
    """What `check` says in the model's own defaults."""
    workload = Workload(**asked)
    catalogue = open_catalogue()
    return check_with(
        catalogue, name, workload, machine, today=TODAY, follows_machine=False
    )


def facts_of(verdict: Verdict) -> object:
    """What a verdict says: all of its sentences, and what the model needs."""
    return (
        verdict.asked,
        verdict.route,
        verdict.findings,
        verdict.workload,
        verdict.needs,
    )


def test_the_memory_available_now_decides_where_the_policy_says_so() -> None:
    """4.4 GB of weights fit 24 GiB of RAM, and not the 2 GiB that other programs leave."""
    busy = VM.replace(memory_available_bytes=2 * GIB)
    judge = new_judge()
    entry = wanted("mistral-7b", quantization="Q4_K_M")
    assert judge(entry, "available", busy).failed == ("memory",)
    assert judge(entry, "default", busy).failed == ()


def test_a_policy_counts_the_queue_in_its_longest_wait() -> None:
    """24 GiB hold some caches of 8,192 tokens beside 16 GB of weights, not sixty of 1 GiB each."""
    entry = wanted(
        "llama-3.1-8b",
        runtime="vllm",
        parallel=60,
        context_tokens=8192,
        prompt_tokens=4096,
        max_wait_seconds=3600,
    )
    machine = machine_with("NVIDIA GeForce RTX 4090")
    verdict = new_judge()(entry, "default", machine)
    assert verdict.speed is not None
    assert verdict.speed.waiting
    assert "wait" in verdict.deciding


def test_a_required_runtime_must_be_there() -> None:
    bare = VM.replace(runtimes=())
    judge = new_judge()
    entry = wanted("mistral-7b", quantization="Q4_K_M")
    assert "runtime" not in judge(entry, "default", bare).failed
    required = wanted("mistral-7b", quantization="Q4_K_M", require_runtime=True)
    assert "runtime" in judge(required, "default", bare).failed


def test_a_file_that_is_there_needs_no_room() -> None:
    """The 4.4 GB of the file cannot be stored again in the 1 GB that is free."""
    file = PresentModel(
        path="~/.cache/llama.cpp/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        size_bytes=4_372_812_000,
        repository="bartowski/Mistral-7B-Instruct-v0.3-GGUF",
        file="Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        complete=True,
        store="llama.cpp",
        quantization="Q4_K_M",
    )
    disks = tuple(disk.replace(free_bytes=10**9) for disk in VM.disks or ())
    full = VM.replace(disks=disks, models_present=())
    judge = new_judge()
    entry = wanted("mistral-7b", quantization="Q4_K_M")
    assert "disk" in judge(entry, "default", full).failed
    there = full.replace(models_present=(file,))
    assert "disk" not in judge(entry, "default", there).failed


# how weights are laid out in memory hangs on what the processor can do
PROCESSORS = (
    ("avx2",),
    (),
    ("avx2", "avx512f", "avx512_vnni"),
    ("avx2", "avx512f", "amx_int8"),
    None,
)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"quantization": "Q4_0"}, id="Q4_0"),
        pytest.param({"quantization": "Q4_K_M"}, id="Q4_K_M"),
        pytest.param({}, id="nothing asked"),
    ],
)
def test_what_was_judged_before_changes_nothing(asked: dict[str, Any]) -> None:
    """One judge for all machines says of each what `check` says there."""
    judge = new_judge()
    for sets in PROCESSORS:
        machine = VM.replace(instruction_sets=sets, models_present=())
        verdict = judge(wanted("mistral-7b", **asked), "default", machine)
        assert facts_of(verdict) == facts_of(checked("mistral-7b", machine, **asked))


@pytest.mark.parametrize("gib", [6, 16, 24, 48])
def test_a_picture_is_judged_in_the_first_type_that_runs(gib: int) -> None:
    """As `check` does, which takes the first of a list of types that has room."""
    size = gib * GIB
    machine = VM.replace(
        memory_total_bytes=size, memory_limit_bytes=size, memory_available_bytes=size
    )
    verdict = new_judge()(wanted("sdxl"), "default", machine)
    catalogue = open_catalogue()
    expected = check_with(catalogue, "sdxl", Workload(), machine, today=TODAY)
    assert facts_of(verdict) == facts_of(expected)


TINY = VM.replace(memory_total_bytes=2 * GIB, memory_limit_bytes=2 * GIB)


@pytest.mark.parametrize(
    ("names", "route"),
    [
        pytest.param(("mistral-7b", "llama-3.3-70b"), Route.API, id="both offered"),
        pytest.param(("llama-3.3-70b", "wan2.2-t2v-a14b"), Route.NEITHER, id="first offered"),
        pytest.param(("wan2.2-t2v-a14b", "llama-3.3-70b"), Route.NEITHER, id="second offered"),
    ],
)  # fmt: skip
def test_an_api_must_offer_all_models_side_by_side(
    names: tuple[str, str], route: Route
) -> None:
    offered = []
    for name in names:
        offered.append(checked(name, TINY).route is Route.API)
    assert all(offered) == (route is Route.API)
    assert new_judge()(both(*names), "default", TINY).route is route


def test_an_offer_for_one_context_is_none_for_another() -> None:
    """What was found for a short context is not kept for one that no API serves."""
    judge = new_judge()
    for tokens in (4096, 50 * 10**6, 4096):
        verdict = judge(wanted("llama-3.3-70b", context_tokens=tokens), "default", TINY)
        assert (
            verdict.route is checked("llama-3.3-70b", TINY, context_tokens=tokens).route
        )


@pytest.mark.parametrize("wish", ["commercial", "auditable", "modify", "private"])
@pytest.mark.parametrize("model", ["llama-3.3-70b", "flux.1-dev", "mistral-7b"])
def test_wishes_lead_where_check_leads(model: str, wish: str) -> None:
    """Terms that refuse a model refuse every offer of it."""
    verdict = new_judge()(wanted(model, **{wish: True}), "default", TINY)
    assert verdict.route is checked(model, TINY, **{wish: True}).route


# by what is asked: a model, and what of it
ASKED_IN_TURN: dict[str, tuple[str, dict[str, Any]]] = {
    "offered": ("llama-3.3-70b", {}),
    "private": ("llama-3.3-70b", {"private": True}),
    "another license": ("llama-3.3-70b", {"license": "MIT"}),
    "a license of nobody": ("llama-3.3-70b", {"license": "CC0-1.0"}),
    "offered by nobody": ("wan2.2-t2v-a14b", {}),
    "picture": ("flux.1-dev", {}),
    "picture to sell": ("flux.1-dev", {"commercial": True}),
    "picture of open data": ("flux.1-dev", {"auditable": True}),
    "training": ("llama-3.3-70b", {"task": "finetune"}),
}


@pytest.mark.parametrize(
    ("model", "asked"), list(ASKED_IN_TURN.values()), ids=list(ASKED_IN_TURN)
)
def test_an_offer_found_for_one_question_answers_no_other(
    model: str, asked: dict[str, Any]
) -> None:
    """Whether an API offers a model hangs on what is asked of it: each entry leads where `check`
    leads, whatever was judged before.
    """
    judge = new_judge()
    for earlier, asked_earlier in ASKED_IN_TURN.values():
        judge(wanted(earlier, **asked_earlier), "default", TINY)
    verdict = judge(wanted(model, **asked), "default", TINY)
    assert verdict.route is checked(model, TINY, **asked).route


@pytest.mark.parametrize(
    ("other", "wish"),
    [
        # Apache-2.0
        pytest.param("flux.1-schnell", "commercial", id="license"),
        # its training data is published in part
        pytest.param("bge-m3", "auditable", id="openness"),
    ],
)
def test_terms_that_refuse_one_model_refuse_the_other_only_beside_it(
    other: str, wish: str
) -> None:
    """FLUX.1 dev may not be used to sell, and states no data: its terms refuse a group with it,
    and not the other model of that group on its own.
    """
    judge = new_judge()
    group = both(other, "flux.1-dev", **{wish: True})
    assert judge(group, "default", TINY).route is Route.NEITHER
    alone = judge(wanted(other, **{wish: True}), "default", TINY)
    assert alone.route is checked(other, TINY, **{wish: True}).route is Route.API


@pytest.mark.parametrize(
    ("name", "means_one"),
    [
        pytest.param("mistral-7b", True, id="name"),
        pytest.param("no-such-model", False, id="unknown name"),
        pytest.param("./no-such-file.gguf", True, id="path"),
    ],
)
def test_a_path_is_the_name_of_a_model(name: str, means_one: bool) -> None:
    """A file may lie on the machines alone: only a name of the catalogue can be unknown."""
    fault = new_judge().fault_of_name(name)
    assert fault is None if means_one else isinstance(fault, UnknownModelError)


def test_an_entry_that_can_be_judged_nowhere_says_why() -> None:
    judge = new_judge()
    assert judge.refusal(wanted("mistral-7b")) is None
    assert isinstance(judge.refusal(wanted("no-such-model")), UnknownModelError)


def test_an_entry_may_ask_for_machines_that_are_joined() -> None:
    """Two DGX Sparks hold what one does not; each is judged by itself."""
    spark = named("dgx spark").machine
    judge = new_judge()
    alone = wanted("glm-4.6", quantization="Q4_K_M", runtime="llama.cpp")
    joined = alone.replace(joined=2)
    assert not judge(alone, "default", spark).can_run
    verdict = judge(joined, "default", spark)
    assert verdict.can_run
    assert verdict.memory is not None
    assert verdict.memory.total_bytes < 121 * GIB
    # a program of one machine is refused, and so is a link that is too slow for it
    ollama = joined.replace(asked=joined.asked.replace(runtime="ollama"))
    assert judge(ollama, "default", spark).has("runtime-not-together")
    assert alone.verdict_key != joined.verdict_key
