"""The size of a container: held against what llama-server took in control groups and outside of them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import TRUTH
from selfhost import Machine, SelfhostError, Workload, check
from selfhost.advice.sizes import ContainerSize, node
from selfhost.api import size
from selfhost.machine.changes import apply
from selfhost.needs.records import MemoryNeed
from selfhost.reports.layout import plain
from selfhost.reports.size_text import size_document

MIB, GIB = 2**20, 2**30
PROGRAMS = json.loads((TRUTH / "llamacpp_programs.json").read_text(encoding="utf-8"))["runs"]
GROUPS = json.loads((TRUTH / "llamacpp_groups.json").read_text(encoding="utf-8"))["cases"]


@cache
def size_of(model: str, workload: Workload, gpu: str = "") -> ContainerSize:
    return size(model, workload, machine=apply(node(), [], [gpu]) if gpu else None)


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


# of those that one short prompt or one of several users left half empty the request is too much, and
# twelve turns with the default number of checkpoints are what --ctx-checkpoints bounds
FULL = [
    run
    for run in PROGRAMS
    if run["program"] == "llama-server"
    and not {"threads", "threads_http", "turns"} & set(run)
    and run.get("asked", 1) == run.get("parallel", 1)
    and run.get("prompt", 1000) >= 1000
]


@each("run", FULL, ids=lambda run: run["name"])
def test_the_request_is_what_a_server_cannot_give_back(run: dict[str, Any]) -> None:
    """Measured anonymous memory: nine tenths of the request are not enough, and the limit is, without any prompt or page kept."""
    sized = size_of(run["model"], workload_of(run))
    for_itself = sized.limit_bytes - sized.page_cache_bytes - growth(sized, "prompt_cache")
    assert sized.unreclaimable_bytes * 0.9 <= run["anonymous_bytes"] <= for_itself


@each("run", FULL, ids=lambda run: run["name"])
def test_the_page_cache_is_what_stays_mapped(run: dict[str, Any]) -> None:
    """Of the resident mapped files it leaves out at most what may go after loading."""
    sized = size_of(run["model"], workload_of(run))
    most = sized.page_cache_bytes + sized.passing_bytes
    assert run["file_bytes"] <= most + 8 * MIB
    assert sized.page_cache_bytes <= (sized.disk_bytes or 0) + 16 * MIB


SERVED = [case for case in GROUPS if "limit" in {run["run"] for run in case["runs"]}]


@pytest.mark.parametrize("case", SERVED, ids=lambda case: case["name"])
def test_a_server_in_a_group_of_the_printed_size_serves_to_the_end(case: dict[str, Any]) -> None:
    """Every prompt was answered under the limit, and what cannot be reclaimed stayed within it without the page cache; nine tenths of
    the request ended or stalled it."""
    runs = {run["run"]: run for run in case["runs"]}
    served = runs["limit"]
    assert (served["outcome"], served["answered"]) == ("served", case["prompts"])
    assert served["anonymous_bytes"] <= case["limit_bytes"] - case["page_cache_bytes"]
    assert runs["less"]["outcome"] in ("killed", "stalled")


def test_what_an_embedder_keeps_of_texts_is_bounded() -> None:
    """Texts that grow killed a server whose allocator kept the buffer of each, and idle users' texts fill the prompt cache of a model
    that has one; with both bound neither takes more. One row of BGE small is 30,522 logits and 384 numbers of 4 bytes: glibc keeps
    those of less than 32 MiB, of 1 to 271 tokens."""
    grown = {run["run"]: run for case in GROUPS if case.get("grows") for run in case["runs"]}
    assert (grown["limit"]["outcome"], grown["default"]["outcome"]) == ("served", "killed")
    encoder = size_of("bge-small-en-v1.5", Workload(quantization="F16", context_tokens=512))
    freed = next(each for each in encoder.growths if each.name == "freed_buffers")
    assert (freed.bytes, freed.unbound_bytes) == (0, (30_522 + 384) * 4 * sum(range(1, 272)))
    assert encoder.environment == {"MALLOC_MMAP_THRESHOLD_": "131072"}
    assert growth(encoder, "prompt_cache") == encoder.per_user_bytes == 0
    several = Workload(quantization="Q8_0", context_tokens=512, parallel=4)
    decoder = size_of("qwen3-embedding-0.6b", several)
    assert "--cache-ram 0" in " ".join(decoder.arguments)
    # 28 layers × 8 heads × 128 × keys and values × 2 bytes × 512 tokens
    assert decoder.per_user_bytes == 28 * 8 * 128 * 2 * 2 * 512
    alone = size_of("qwen3-embedding-0.6b", several.replace(parallel=1))
    assert "--cache-ram" not in " ".join(alone.arguments)
    # a server's prompt cache drops states, which glibc keeps as well
    assert size_of("mistral-7b", Workload()).environment == encoder.environment


def test_the_limit_that_somebody_would_guess_kills() -> None:
    """What `check` says the model needs, with llama-server's own prompt cache; and the limit without room for page cache."""
    outcomes = [(run["run"], run["outcome"]) for case in GROUPS for run in case["runs"]]
    assert outcomes.count(("default", "killed")) >= 1
    assert outcomes.count(("no_cache", "killed")) >= 1


@pytest.mark.parametrize("case", GROUPS, ids=lambda case: case["name"])
def test_the_formula_is_the_one_that_was_run(case: dict[str, Any]) -> None:
    """The figures are those under which the servers ran: who changes the formula runs them again."""
    sized = size_of(case["model"], workload_of(case))
    for name in ("unreclaimable_bytes", "limit_bytes", "page_cache_bytes"):
        assert getattr(sized, name) == pytest.approx(case[name], rel=0.01)
    assert list(sized.arguments[2:]) == case["arguments"]
    # runs of before the environment bounded anything do not tell it: they took more, and served
    assert dict(sized.environment) == case.get("environment", dict(sized.environment))


def test_the_limit_is_the_request_and_what_grows() -> None:
    """A conversation's cache, by hand: 2 × 32 layers × 8 KV heads × 128 × 2 bytes × 4,096 tokens."""
    sized = size_of("mistral-7b", Workload(context_tokens=4096))
    conversation = 2 * 32 * 8 * 128 * 2 * 4096
    assert sized.per_user_bytes == conversation == 512 * MIB
    assert growth(sized, "prompt_cache") == conversation
    assert "--cache-ram 512" in " ".join(sized.arguments)
    mapped = sum(term.bytes for term in memory_of(sized).terms if term.may_be_mapped)
    assert sized.page_cache_bytes == mapped + 16 * MIB
    assert sized.request_bytes == sized.unreclaimable_bytes + sized.page_cache_bytes


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
    """Nothing of it is left out of the rows: by how much the likely figures may be too low is a row too, and with it
    the limit holds the high end of every term."""
    sized = size_of(model, Workload(runtime=runtime), gpu)
    grown = sum(each.bytes for each in sized.growths)
    assert sized.limit_bytes == sized.unreclaimable_bytes + sized.page_cache_bytes + grown
    host = [term for term in memory_of(sized).terms if term.where == "host"]
    spread = sum(term.high_bytes - term.bytes for term in host if not term.may_be_mapped)
    assert growth(sized, "uncertainty") >= spread > 0


def test_vllm_is_limited_no_lower_than_its_publishers_example() -> None:
    """docs/deployment/k8s.md of vLLM: `memory: 20G` for a model of 7 B on one GPU, and it requests less."""
    sized = size_of("mistral-7b", Workload(runtime="vllm"), "A100 80GB PCIe")
    assert 20e9 <= sized.limit_bytes < 21e9
    assert sized.request_bytes < 6e9


def test_more_users_take_more_of_everything() -> None:
    """Each has a cache of their own and a conversation kept, up to what the server keeps unless told: 8 GiB."""
    one, four, many = (size_of("mistral-7b", Workload(parallel=users)) for users in (1, 4, 40))
    assert four.unreclaimable_bytes - one.unreclaimable_bytes >= 3 * one.per_user_bytes
    assert growth(four, "prompt_cache") == 4 * growth(one, "prompt_cache")
    assert growth(many, "prompt_cache") == 8 * GIB
    assert ("-np", "4") in zip(four.arguments, four.arguments[1:], strict=False)


def test_what_is_kept_of_prompts_can_be_chosen() -> None:
    """Down to nothing: --cache-ram 0 switches it off (tools/server/README.md)."""
    none = size("mistral-7b", prompt_cache_bytes=0)
    assert growth(none, "prompt_cache") == 0
    assert none.arguments[-2:] == ("--cache-ram", "0")
    some = size("mistral-7b", prompt_cache_bytes=3_000_000_000)
    assert growth(some, "prompt_cache") == 2862 * MIB


@pytest.mark.parametrize(
    ("model", "copies"), [("gemma-3-4b-it", True), ("qwen3-4b", False), ("bge-m3", False)]
)
def test_copies_to_go_back_to_are_bounded_where_they_are_made(model: str, copies: bool) -> None:
    """Windows and states are copied, attention is not; an embedding model keeps no prompts either."""
    sized = size_of(model, Workload(parallel=2))
    assert ("--ctx-checkpoints" in sized.arguments) is copies
    assert any(each.name == "checkpoints" for each in sized.growths) is copies
    assert ("--cache-ram" in sized.arguments) is (model != "bge-m3")


def test_ollama_is_told_by_its_environment() -> None:
    """Its runner inherits llama-server's own variables (ollama/ollama#18265)."""
    sized = size_of("mistral-7b", Workload(runtime="ollama", parallel=2, context_tokens=8192))
    assert sized.environment == {
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_CONTEXT_LENGTH": "8192",
        "OLLAMA_NUM_PARALLEL": "2",
        "LLAMA_ARG_CACHE_RAM": "2048",
    }
    assert sized.fetch == "ollama pull mistral:7b"
    assert sized.program == ("ollama", "serve")
    assert not sized.image_arguments


def test_vllm_gets_an_accelerator_and_shared_memory_for_several() -> None:
    """Where no card is named it is the smallest that holds the model; --swap-space is gone since 0.18."""
    alone = size_of("llama-3.1-8b", Workload(runtime="vllm"))
    assert [(card.vendor, card.name) for card in alone.accelerators] == [("nvidia", "")]
    assert alone.accelerators[0].memory_bytes > 16 * 10**9
    assert alone.shared_memory_bytes == 0
    # vllm serve, which the image starts, warns of --model since 0.20 (defilantech/LLMKube#360)
    assert alone.image_arguments[0] == "meta-llama/Llama-3.1-8B-Instruct"
    assert "--model" not in alone.image_arguments
    several = size_of("llama-3.3-70b", Workload(runtime="vllm"), "4x H100 SXM")
    assert len(several.accelerators) == 4
    assert several.shared_memory_bytes == 2 * GIB
    assert several.limit_bytes >= memory_of(several).high_bytes - sum(
        card.memory_bytes for card in several.accelerators
    )


def test_a_card_takes_the_weights_and_leaves_the_prompts_in_ram() -> None:
    """The prompt cache lies in RAM whatever computes; so do the libraries of the card."""
    sized = size_of("llama-3.1-8b", Workload(quantization="Q4_K_M"), "RTX 4090")
    assert sized.image == "ghcr.io/ggml-org/llama.cpp:server-cuda"
    assert growth(sized, "prompt_cache") == 512 * MIB
    # ollama/ollama#18264: half a GiB of anonymous memory with CUDA beside the prompt cache, from the start on
    assert 512 * MIB <= sized.unreclaimable_bytes < GIB
    alone = size_of("llama-3.1-8b", Workload(quantization="Q4_K_M"))
    users = (alone.per_user_bytes, alone.per_user_accelerator_bytes)
    assert users == (512 * MIB, 0)
    users = (sized.per_user_bytes, sized.per_user_accelerator_bytes)
    assert users == (0, 512 * MIB)
    assert sized.accelerators[0].memory_bytes > 4 * GIB
    other = size_of("llama-3.1-8b", Workload(quantization="Q4_K_M"), "RX 7900 XTX")
    assert other.image == "ghcr.io/ggml-org/llama.cpp:server-rocm"


def test_a_machine_gives_its_processor_and_no_bound() -> None:
    """A container is sized for its node; how much memory this computer has plays no part."""
    small = Machine(
        name="small", memory_total_bytes=GIB, architecture="aarch64", instruction_sets=("asimd",)
    )
    sized = size("mistral-7b", machine=small)
    assert sized.unreclaimable_bytes < 2 * GIB  # nothing is laid out anew without asimddp
    assert sized.page_cache_bytes > 4 * 10**9
    assert sized.passing_bytes == 0


def test_what_has_no_size_says_why() -> None:
    """A closed model, cards that are too small, and needs that are not known."""
    with pytest.raises(SelfhostError, match="never published"):
        size("gpt-4o")
    with pytest.raises(SelfhostError, match="has no container: vLLM needs"):
        size_of("llama-3.3-70b", Workload(runtime="vllm"), "RTX 4090")


def test_what_may_not_fit_is_said_beside_its_size() -> None:
    """Each way to store it that could fit on the card is tight: the best is taken, and the note tells both ends."""
    sized = size_of("llama-4-scout", Workload(runtime="vllm", parallel=8), "H100 SXM")
    assert sized.accelerators[0].memory_bytes > 80 * 10**9
    assert any("it is tight" in note and "vLLM needs" in note for note in sized.notes)
    assert any("cannot surely hold" in note for note in sized.notes)


@pytest.mark.parametrize("runtime", [None, "transformers"])
def test_memory_that_is_known_as_a_whole_has_no_parts(runtime: str | None) -> None:
    """A container needs to know what is given back: it printed `-16.0 MiB cannot be reclaimed` and a file `-None.gguf`."""
    with pytest.raises(SelfhostError, match="only the whole of its memory is known"):
        size("ovis2.5-9b", Workload(runtime=runtime))


def test_the_size_of_an_embedding_server_says_what_it_is_made_of() -> None:
    """llama-server holds outputs of each token for each word: 5 GiB of a model of 1.1 GB had no reason."""
    text = plain(size_document([size_of("bge-m3", Workload(runtime="llama.cpp"))]))
    assert "of the program itself" in text


def test_a_file_of_ones_own_lies_in_the_models_folder() -> None:
    """Where nobody published the file, the arguments name the one that you make; a listed one is downloaded."""
    made = size_of("mistral-7b", Workload(quantization="Q5_1", runtime="llama.cpp"))
    assert made.files_are_yours
    assert made.arguments[0] == "-m"
    assert made.arguments[1].startswith("/models/mistral-7b")
    listed = size_of("mistral-7b", Workload(runtime="llama.cpp"))
    assert not listed.files_are_yours
    assert listed.arguments[0] == "-hf"


@pytest.mark.parametrize(
    ("model", "quantization", "gpu", "count"),
    [
        ("qwen2.5-72b", "AWQ", "4x RTX 3090", 4),
        ("qwen2.5-32b", "GPTQ", "2x RTX 3090", 2),
        ("llama-3.3-70b", "AWQ", "4x H100 SXM", 1),
    ],
)
def test_a_folder_of_ones_own_is_served_with_all_that_was_counted(
    model: str, quantization: str, gpu: str, count: int
) -> None:
    """Without them vLLM loads all on one GPU (--tensor-parallel-size is 1 unless told) and takes
    the model's whole context: `vllm serve --help`."""
    unlisted = check(model).model.replace(files=())
    workload = Workload(runtime="vllm", quantization=quantization, context_tokens=4096)
    sized = size(unlisted, workload, machine=apply(node(), [], [gpu]))
    assert sized.arguments[0] == f"/models/{unlisted.id}"
    assert len(sized.accelerators) == count
    options = " ".join(sized.arguments)
    assert "--max-model-len 4096" in options
    assert ("--tensor-parallel-size" in options) == (count > 1)
    assert count == 1 or f"--tensor-parallel-size {count}" in options


@pytest.mark.parametrize("memory", ["16GiB", "28GiB", "64GiB"])
def test_pictures_are_sized_in_the_type_that_check_takes(memory: str) -> None:
    """`check` ran FLUX.1 in 20 GiB of a node's RAM, and its container requested 33.7 GiB, which no such node gives."""
    machine = apply(node(), [f"memory={memory}"], [])
    checked = check("flux.1-dev", machine=machine).workload
    sized = size("flux.1-dev", machine=machine)
    assert (sized.workload.quantization, sized.workload.runtime) == (
        checked.quantization,
        checked.runtime,
    )
    total = machine.memory_total_bytes
    assert total is not None
    assert sized.request_bytes <= total


def test_pictures_of_no_stated_node_get_the_smallest_container() -> None:
    """No node is stated, so that no memory says how much there is for more; what is asked for is not changed."""
    stated = size("flux.1-dev", Workload(runtime="diffusers", quantization="bfloat16"))
    assert stated.workload.quantization == "bfloat16"
    assert size("flux.1-dev").request_bytes < stated.request_bytes
