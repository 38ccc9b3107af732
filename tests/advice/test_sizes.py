"""The size of a container: held against what llama-server took in control groups and outside of
them.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import SelfhostError, Workload
from selfhost.advice.sizes import ContainerSize, node
from selfhost.api import size
from selfhost.machine.changes import apply
from selfhost.machine.understand import cards_named
from selfhost.needs.records import MemoryNeed

MIB, GIB = 2**20, 2**30
PROGRAMS = json.loads((TRUTH / "llamacpp_programs.json").read_text(encoding="utf-8"))[
    "runs"
]
GROUPS = json.loads((TRUTH / "llamacpp_groups.json").read_text(encoding="utf-8"))[
    "cases"
]


@cache
def size_of(model: str, workload: Workload, gpu: str = "") -> ContainerSize:
    return size(
        model, workload, machine=apply(node(), [], [cards_named(gpu)]) if gpu else None
    )


def workload_of(run: dict[str, Any]) -> Workload:
    """The workload of a measured run."""
    parallel = run.get("parallel", run.get("users", 1))
    context = run["n_ctx"] // parallel if "parallel" in run else run["n_ctx"]
    return Workload(
        runtime="llama.cpp",
        quantization=run["quant"],
        context_tokens=context,
        parallel=parallel,
    )


def memory_of(sized: ContainerSize) -> MemoryNeed:
    assert sized.needs.memory is not None
    return sized.needs.memory


def growth(sized: ContainerSize, name: str) -> int:
    return sum(each.bytes for each in sized.growths if each.name == name)


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
def test_the_request_is_what_a_server_cannot_give_back(run: dict[str, Any]) -> None:
    """Measured anonymous memory: nine tenths of the request are not enough, and the limit is,
    without any prompt or page kept. Of the resident mapped files the page cache leaves out at most
    what may go after loading.
    """
    sized = size_of(run["model"], workload_of(run))
    for_itself = (
        sized.limit_bytes - sized.page_cache_bytes - growth(sized, "prompt_cache")
    )
    assert sized.unreclaimable_bytes * 0.9 <= run["anonymous_bytes"] <= for_itself
    most = sized.page_cache_bytes + memory_of(sized).evictable_bytes
    assert run["file_bytes"] <= most + 8 * MIB
    assert sized.page_cache_bytes <= (sized.disk_bytes or 0) + 16 * MIB


def test_what_an_embedder_keeps_of_texts_is_bounded() -> None:
    """Texts that grow killed a server whose allocator kept the buffer of each, and idle users'
    texts fill the prompt cache of a model that has one; with both bound neither takes more.
    """
    grown = {
        run["run"]: run for case in GROUPS if case.get("grows") for run in case["runs"]
    }
    assert (grown["limit"]["outcome"], grown["default"]["outcome"]) == (
        "served",
        "killed",
    )
    encoder = size_of(
        "bge-small-en-v1.5", Workload(quantization="F16", context_tokens=512)
    )
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
def test_the_formula_is_the_one_that_was_run(case: dict[str, Any]) -> None:
    """The figures are those under which the servers ran: who changes the formula runs them again.
    The request is without the copies of a context, which the limit has.
    """
    sized = size_of(case["model"], workload_of(case))
    for name in ("limit_bytes", "page_cache_bytes"):
        assert getattr(sized, name) == pytest.approx(case[name], rel=0.01)
    assert 0.7 * case["unreclaimable_bytes"] <= sized.unreclaimable_bytes
    assert sized.unreclaimable_bytes <= 1.01 * case["unreclaimable_bytes"]
    assert list(sized.arguments[2:]) == case["arguments"]
    # runs of before the environment bounded anything do not tell it: they took more, and served
    assert dict(sized.environment) == case.get("environment", dict(sized.environment))


@pytest.mark.parametrize(
    ("model", "runtime", "gpu"),
    [
        ("mistral-7b", "llama.cpp", ""),
        ("gemma-3-4b-it", "ollama", ""),
        ("llama-3.1-8b", "vllm", "L40S"),
        ("llama-3.3-70b", "vllm", "4x H100 SXM"),
    ],
)
def test_the_figures_add_up_to_the_limit(model: str, runtime: str, gpu: str) -> None:
    """Nothing of it is left out of the rows: by how much the likely figures may be too low is a row
    too, and with it the limit holds the high end of every term.
    """
    sized = size_of(model, Workload(runtime=runtime), gpu)
    grown = sum(each.bytes for each in sized.growths)
    assert (
        sized.limit_bytes == sized.unreclaimable_bytes + sized.page_cache_bytes + grown
    )
    host = [term for term in memory_of(sized).terms if term.where == "host"]
    spread = sum(
        term.high_bytes - term.bytes for term in host if not term.may_be_mapped
    )
    assert growth(sized, "uncertainty") >= spread > 0


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
