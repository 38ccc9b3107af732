"""The size of a container: held against what llama-server took in control groups and outside of
them.
"""

from __future__ import annotations

import json
from functools import cache
from typing import NotRequired, TypedDict

import pytest

from helpers.paths import TRUTH
from selfhost import SelfhostError, Workload
from selfhost.advice.sizes import ContainerSize, node
from selfhost.api import size
from selfhost.machine.changes import apply
from selfhost.machine.description import cards_named
from selfhost.needs.records import MemoryNeed

MIB = 2**20


class ProgramRun(TypedDict):
    """A program that ran outside of a control group, and the memory that it took."""

    name: str
    program: str
    model: str
    quant: str
    n_ctx: int
    anonymous_bytes: int
    file_bytes: int
    parallel: NotRequired[int]
    asked: NotRequired[int]
    prompt: NotRequired[int]


class GroupRun(TypedDict):
    """A run in a control group: the limit that it had, and whether it served."""

    run: str
    outcome: str


class GroupCase(TypedDict):
    """The figures under which a server ran in control groups; `grows`: with texts that grow."""

    name: str
    quant: str
    users: int
    model: str
    n_ctx: int
    unreclaimable_bytes: int
    limit_bytes: int
    page_cache_bytes: int
    arguments: list[str]
    runs: list[GroupRun]
    environment: NotRequired[dict[str, str]]
    grows: NotRequired[bool]


PROGRAMS: list[ProgramRun] = json.loads(
    (TRUTH / "llamacpp_programs.json").read_text(encoding="utf-8")
)["runs"]
GROUPS: list[GroupCase] = json.loads(
    (TRUTH / "llamacpp_groups.json").read_text(encoding="utf-8")
)["cases"]


@cache
def size_of(model: str, workload: Workload, gpu: str = "") -> ContainerSize:
    """The size of a container on a node, with GPUs of that name if one is stated."""
    if not gpu:
        return size(model, workload)
    return size(model, workload, machine=apply(node(), [], [cards_named(gpu)]))


def size_of_run(run: ProgramRun) -> ContainerSize:
    """The size of a container for a measured run, whose context is that of all its sequences."""
    parallel = run.get("parallel", 1)
    workload = Workload(
        runtime="llama.cpp",
        quantization=run["quant"],
        context_tokens=run["n_ctx"] // parallel,
        parallel=parallel,
    )
    return size_of(run["model"], workload)


def size_of_case(case: GroupCase) -> ContainerSize:
    """The size of a container for a case, whose context is that of each user."""
    workload = Workload(
        runtime="llama.cpp",
        quantization=case["quant"],
        context_tokens=case["n_ctx"],
        parallel=case["users"],
    )
    return size_of(case["model"], workload)


def memory_of(sized: ContainerSize) -> MemoryNeed:
    """The memory that the size is made of."""
    assert sized.needs.memory is not None
    return sized.needs.memory


def growth(sized: ContainerSize, name: str) -> int:
    """The bytes by which a server may grow for this reason."""
    return sum(growth.bytes for growth in sized.growths if growth.name == name)


# of those that one short prompt or one of several users left half empty the request is too much,
# and twelve turns with the default number of checkpoints are what --ctx-checkpoints bounds
FULL = [
    run
    for run in PROGRAMS
    if run["program"] == "llama-server"
    and not {"threads", "threads_http", "turns"} & set(run)
    and run.get("asked", 1) == run.get("parallel", 1)
    and run.get("prompt", 1000) >= 1000
]


@pytest.mark.parametrize("run", FULL, ids=lambda run: run["name"])
def test_the_request_is_what_a_server_cannot_give_back(run: ProgramRun) -> None:
    """Measured anonymous memory: nine tenths of the request are not enough, and the limit is,
    without any prompt or page kept. Of the resident mapped files the page cache leaves out at most
    what may go after loading.
    """
    sized = size_of_run(run)
    caches = sized.page_cache_bytes + growth(sized, "prompt_cache")
    assert sized.unreclaimable_bytes * 0.9 <= run["anonymous_bytes"]
    assert run["anonymous_bytes"] <= sized.limit_bytes - caches
    most = sized.page_cache_bytes + memory_of(sized).evictable_bytes
    assert run["file_bytes"] <= most + 8 * MIB
    assert sized.page_cache_bytes <= (sized.disk_bytes or 0) + 16 * MIB


def test_what_an_embedder_keeps_of_texts_is_bounded() -> None:
    """Texts that grow killed a server whose allocator kept the buffer of each, and idle users'
    texts fill the prompt cache of a model that has one; with both bound neither takes more.
    """
    (growing,) = [case for case in GROUPS if case.get("grows")]
    outcomes = {run["run"]: run["outcome"] for run in growing["runs"]}
    assert outcomes["limit"] == "served"
    assert outcomes["default"] == "killed"
    short = Workload(quantization="F16", context_tokens=512)
    encoder = size_of("bge-small-en-v1.5", short)
    assert encoder.environment == {"MALLOC_MMAP_THRESHOLD_": "131072"}
    assert growth(encoder, "prompt_cache") == 0
    several = Workload(quantization="Q8_0", context_tokens=512, parallel=4)
    decoder = size_of("qwen3-embedding-0.6b", several)
    assert "--cache-ram 0" in " ".join(decoder.arguments)
    alone = size_of("qwen3-embedding-0.6b", several.replace(parallel=1))
    assert "--cache-ram" not in " ".join(alone.arguments)
    # a server's prompt cache drops states, which glibc keeps as well
    assert size_of("mistral-7b", Workload()).environment == encoder.environment


@pytest.mark.parametrize("case", GROUPS, ids=lambda case: case["name"])
def test_the_formula_is_the_one_that_was_run(case: GroupCase) -> None:
    """The figures are those under which the servers ran, or up to 2.5 % more: who changes the
    formula runs them again. The request is without the copies of a context, which the limit has.
    """
    sized = size_of_case(case)
    limit_bytes = case["limit_bytes"]
    assert 0.99 * limit_bytes <= sized.limit_bytes <= 1.025 * limit_bytes
    assert sized.page_cache_bytes == pytest.approx(case["page_cache_bytes"], rel=0.01)
    assert 0.7 * case["unreclaimable_bytes"] <= sized.unreclaimable_bytes
    assert sized.unreclaimable_bytes <= 1.02 * case["unreclaimable_bytes"]
    assert list(sized.arguments[2:]) == case["arguments"]
    # runs of before the environment bounded anything do not tell it: they took more, and served
    if "environment" in case:
        assert dict(sized.environment) == case["environment"]


@pytest.mark.parametrize(
    ("model", "runtime", "gpu"),
    [
        pytest.param("mistral-7b", "llama.cpp", "", id="llama.cpp"),
        pytest.param("gemma-3-4b-it", "ollama", "", id="Ollama"),
        pytest.param("llama-3.1-8b", "vllm", "L40S", id="vLLM on one GPU"),
        pytest.param("llama-3.3-70b", "vllm", "4x H100 SXM", id="vLLM on four"),
    ],
)
def test_the_figures_add_up_to_the_limit(model: str, runtime: str, gpu: str) -> None:
    """Nothing of it is left out of the rows: by how much the likely figures may be too low is a row
    too, and with it the limit holds the high end of every term.
    """
    sized = size_of(model, Workload(runtime=runtime), gpu)
    grown = sum(growth.bytes for growth in sized.growths)
    rows = sized.unreclaimable_bytes + sized.page_cache_bytes + grown
    assert sized.limit_bytes == rows
    spread = 0
    for term in memory_of(sized).terms:
        if term.where == "host" and not term.may_be_mapped:
            spread += term.high_bytes - term.bytes
    assert spread > 0
    assert growth(sized, "uncertainty") >= spread


def test_vllm_is_limited_no_lower_than_its_publishers_example() -> None:
    """docs/deployment/k8s.md of vLLM: `memory: 20G` for a model of 7 B on one GPU, and it requests
    less.
    """
    sized = size_of("mistral-7b", Workload(runtime="vllm"), "A100 80GB PCIe")
    assert 20e9 <= sized.limit_bytes < 21e9
    assert sized.request_bytes < 6e9


def test_what_has_no_size_says_why() -> None:
    """A closed model, cards that are too small, and needs that are not known."""
    with pytest.raises(SelfhostError, match="never published"):
        size("gpt-4o")
    with pytest.raises(SelfhostError, match="has no container: vLLM needs"):
        size_of("llama-3.3-70b", Workload(runtime="vllm"), "RTX 4090")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("llama-3.1-8b", "llama3.1:8b"), id="llama"),
        pytest.param(("mistral-7b", "mistral:7b"), id="mistral"),
    ],
)
def test_two_names_of_a_model_have_one_size(names: tuple[str, str]) -> None:
    """Ollama's name for it gave a file in /models in place of the repository."""
    first, second = (size(name).to_json() for name in names)
    assert first.pop("asked") != second.pop("asked")
    assert first == second
    assert "-hf" in first["arguments"]


def test_users_who_wait_for_their_turn_are_told() -> None:
    """The arguments bound the sequences at once, as `check` says: the title named all users."""
    asked = Workload(parallel=1000, runtime="vllm")
    found = size("qwen3-8b", asked, gpu="rtx 4090")
    at_once = found.arguments[found.arguments.index("--max-num-seqs") + 1]
    (note,) = [text for text in found.notes if "queues the requests" in text]
    assert f"of {at_once} of the 1000 users at once" in note
