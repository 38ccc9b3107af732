"""The catalogue's own models against llama.cpp: sizes, contexts and options that no rule was made
from.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple, NotRequired, TypedDict

import pytest

from helpers.cases import case_id
from helpers.llamacpp_truth import BARE, batch_of, kept
from helpers.needs_of import needs_of
from helpers.paths import HEADERS, TRUTH
from selfhost import check
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs import more_in_conversation
from selfhost.needs.case import Batch, ContextSetup
from selfhost.needs.llamacpp.compute import buffer_bytes
from selfhost.needs.quantization import recipe_tensors
from selfhost.needs.records import MemoryNeed, Needs
from selfhost.needs.tensors import row_of

# the instruction sets of the computers that were measured, by which weights are repacked
SETS = ("avx2", "avx512f")


class Load(TypedDict):
    """A model that was loaded and answered, and the most memory that it took."""

    model: str
    quant: str
    n_ctx: int
    kv_cache_type: str
    peak_rss_bytes: int


class CatalogueTruth(TypedDict):
    """The file of truth: `memory` and `tensor_bytes` by model, `memory` in rows of `columns`."""

    columns: list[str]
    loads: list[Load]
    memory: dict[str, list[list[int | str]]]
    tensor_bytes: dict[str, dict[str, int]]


class GpuRun(TypedDict):
    """What llama.cpp allocated of a model on a GPU and beside it."""

    model: str
    quantization: str
    context_tokens: int
    options: dict[str, str]
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    host_weights_bytes: int
    host_compute_bytes: int


class GpuContext(TypedDict):
    """The compute buffer of a context on a GPU."""

    model: str
    context_tokens: int
    sequences: int
    micro_batch: int
    cache_type: str
    compute_bytes: int


class GpuProcess(TypedDict):
    """The RAM of a process with its model on a GPU."""

    model: str
    quantization: str
    private_bytes: int
    embeddings_bytes: int
    inputs_bytes: int


class ProgramRun(TypedDict):
    """A program that ran, and the most memory that it took.

    `tokens` were in the context, if it was not full; `turns` is the number of prompts of one user.
    """

    name: str
    program: str
    model: str
    quant: str
    n_ctx: int
    peak_bytes: int
    tokens: NotRequired[int]
    parallel: NotRequired[int]
    turns: NotRequired[int]
    flash_attn: NotRequired[bool]


@cache
def truth() -> CatalogueTruth:
    """What llama.cpp allocates for the models of the catalogue."""
    path = TRUTH / "llamacpp_catalogue.json"
    found: CatalogueTruth = json.loads(path.read_text(encoding="utf-8"))
    return found


def rows_in(file: str) -> list[Any]:
    """The rows of a file of truth, each by the names of its columns."""
    found = json.loads((TRUTH / file).read_text(encoding="utf-8"))
    columns = found["columns"]
    return [dict(zip(columns, row, strict=True)) for row in found["rows"]]


def on_a_gpu() -> list[GpuRun]:
    """The runs with all layers on a GPU, or with experts in RAM."""
    return rows_in("llamacpp_gpu.json")


@cache
def model(id: str) -> Architecture:
    """A model of the catalogue."""
    architecture = Catalogue.open().spec(id).architecture
    assert architecture is not None
    assert row_of(architecture).name
    return architecture


class ContextBytes(NamedTuple):
    """The bytes of cache and states, and those of the compute buffer."""

    context_bytes: int
    compute_bytes: int


def computed(name: str, case: dict[str, Any]) -> ContextBytes:
    """What is computed of a case."""
    architecture = model(name)
    buffer = buffer_bytes(batch_of(architecture, case))
    return ContextBytes(sum(kept(architecture, case)), buffer)


@pytest.mark.parametrize("name", sorted(truth()["memory"]), ids=case_id)
def test_cache_and_state_equal_what_llama_cpp_allocates(name: str) -> None:
    """To the byte, whatever the context, the batch, the sequences, the types of the cache, and with
    or without flash attention.
    """
    for values in truth()["memory"][name]:
        case: dict[str, Any] = dict(zip(truth()["columns"], values, strict=True))
        assert computed(name, case).context_bytes == case["context_bytes"], case


@pytest.mark.parametrize("name", sorted(truth()["tensor_bytes"]), ids=case_id)
def test_every_quantization_has_the_bytes_that_llama_quantize_gives_it(
    name: str,
) -> None:
    """The sum over all tensors, by the type that `llama-quantize --dry-run` chooses for each."""
    architecture = model(name)
    # the dry run was of a file in 16 bits, also where experts were published in MXFP4
    wide = architecture.replace(expert_dtype=None)
    found = {}
    for quantization in truth()["tensor_bytes"][name]:
        has_matrix = quantization.startswith("IQ")
        tensors = recipe_tensors(wide, quantization, importance_matrix=has_matrix)
        found[quantization] = sum(tensor.bytes for tensor in tensors)
    assert found == truth()["tensor_bytes"][name]


def test_experts_alone_stay_in_the_type_that_they_were_published_in() -> None:
    """Kimi K3's config.json quantizes its experts and ignores `self_attn`: the matrices of its
    heads, stacked like experts, get the types that `llama-quantize --dry-run` gives them.
    """
    header = HEADERS / "gguf" / "kimi-k3.json"
    dry_run = json.loads(header.read_text(encoding="utf-8"))
    architecture = model("kimi-k3")
    tensors = recipe_tensors(
        architecture, dry_run["quantization"], importance_matrix=False
    )
    types = {tensor.name: tensor.type for tensor in tensors}
    for name in ("blk.*.attn_k_b.weight", "blk.*.attn_v_b.weight"):
        [(_, _, type)] = dry_run["tensors"][name]
        assert types[name] == type
    assert types["blk.*.ffn_up_exps.weight"] == "MXFP4"


def stated_for_load(load: Load) -> MemoryNeed:
    """What is stated for such a load."""
    asked = Workload(
        format="gguf",
        quantization=load["quant"],
        context_tokens=load["n_ctx"],
        kv_cache_type=load["kv_cache_type"],
    )
    architecture = model(load["model"])
    spec = ModelSpec(id="model", name="Model", architecture=architecture)
    memory = needs_of(spec, BARE, asked, instruction_sets=SETS).memory
    assert memory is not None
    return memory


@pytest.mark.parametrize(
    "load", truth()["loads"], ids=lambda load: f"{load['model']}-{load['quant']}"
)
def test_the_peak_of_a_real_load_is_within_five_percent(load: Load) -> None:
    """Resident memory after 512 tokens of prompt and 4 of answer, less what may be evicted: in the
    stated range, 5 % off at most.
    """
    memory = stated_for_load(load)
    peak = load["peak_rss_bytes"] - memory.evictable_bytes
    assert memory.low_bytes <= peak <= memory.high_bytes
    assert memory.total_bytes == pytest.approx(peak, rel=0.05)


@cache
def programs() -> list[ProgramRun]:
    """The programs that ran, llama-server among them."""
    text = (TRUTH / "llamacpp_programs.json").read_text(encoding="utf-8")
    runs: list[ProgramRun] = json.loads(text)["runs"]
    return runs


def stated(run: ProgramRun) -> MemoryNeed:
    """What a person is told who asks for that run."""
    shelf = Catalogue.open()
    spec = shelf.spec(run["model"])
    parallel = run.get("parallel", 1)
    context_tokens = run["n_ctx"] // parallel
    if spec.modality == "embedding":
        # of an embedding model the text counts
        context_tokens = run.get("tokens", run["n_ctx"])
    runtime = "llama.cpp"
    if run["program"] == "llama-cpp-python":
        runtime = "llama-cpp-python"
    asked = Workload(
        runtime=runtime,
        format="gguf",
        quantization=run["quant"],
        context_tokens=context_tokens,
        parallel=parallel,
    )
    program = shelf.runtime(runtime)
    if run.get("flash_attn"):
        memory_rules = program.memory.replace(flash_attention=True)
        program = program.replace(memory=memory_rules)
    memory = needs_of(spec, program, asked, instruction_sets=SETS).memory
    assert memory is not None
    return memory


def fills(run: ProgramRun) -> bool:
    """Whether the context was as full as the need is told for."""
    context_tokens = run["n_ctx"] // run.get("parallel", 1)
    return run.get("tokens", context_tokens) >= 0.9 * context_tokens


def keeps_copies(run: ProgramRun) -> bool:
    """Whether a server copies the context to go back to: it has a window, or states."""
    if run["program"] != "llama-server":
        return False
    architecture = model(run["model"])
    if architecture.recurrent:
        return True
    return any(group.window_tokens for group in architecture.attention)


_COPYING = [run for run in programs() if keeps_copies(run)]


@pytest.mark.parametrize("run", _COPYING, ids=lambda run: run["name"])
def test_a_server_keeps_copies_of_a_context_and_more_as_it_talks(
    run: ProgramRun,
) -> None:
    """In the range whether one sequence or all are asked; many prompts of one add up to the
    rest.
    """
    memory = stated(run)
    peak = run["peak_bytes"] - memory.evictable_bytes
    if "turns" not in run:
        assert memory.low_bytes <= peak <= memory.high_bytes
        return
    asked = Workload(
        format="gguf", quantization=run["quant"], context_tokens=run["n_ctx"]
    )
    shelf = Catalogue.open()
    spec = shelf.spec(run["model"])
    more = more_in_conversation(spec, shelf.runtime("llama.cpp"), asked)
    # three of each prompt, as many as are kept
    assert memory.high_bytes < peak <= memory.high_bytes + more


_WITHOUT_COPIES = [
    run
    for run in programs()
    if run["program"] == "llama-server" and not keeps_copies(run)
]


@pytest.mark.parametrize("run", _WITHOUT_COPIES, ids=lambda run: run["name"])
def test_the_peak_of_a_server_is_within_five_percent(run: ProgramRun) -> None:
    """Of llama-server after one prompt, or one text as long as the context: in a range of at most ±
    10 %, 5 % off at most.
    """
    memory = stated(run)
    peak = run["peak_bytes"] - memory.evictable_bytes
    assert memory.low_bytes <= peak <= memory.high_bytes
    assert peak <= 1.05 * memory.total_bytes
    if fills(run):
        assert memory.total_bytes == pytest.approx(peak, rel=0.05)


def needs_on_an_h200(run: GpuRun) -> Needs:
    """What a person is told who asks for that run on a computer with an H200."""
    workload = Workload(
        runtime="llama.cpp",
        quantization=run["quantization"],
        context_tokens=run["context_tokens"],
        runtime_options=run["options"],
    )
    verdict = check(run["model"], workload, machine="h200 141gb, 126gb ram")
    assert verdict.needs is not None
    return verdict.needs


@pytest.mark.parametrize(
    "run",
    on_a_gpu(),
    ids=lambda run: f"{run['model']} {run['context_tokens']}{run['options']}",
)
def test_what_lies_on_a_gpu_is_known(run: GpuRun) -> None:
    """All of a model on a GPU: weights and cache as measured, the sum in its range; else 5 %
    off.
    """
    needs = needs_on_an_h200(run)
    terms = [
        term
        for term in needs.terms
        if term.where == "accelerator:0" and "projector" not in term.name
    ]
    measured = run["weights_bytes"] + run["kv_bytes"] + run["compute_bytes"]
    assert sum(term.bytes for term in terms) == pytest.approx(measured, rel=0.05)
    if not run["options"]:
        sizes = {term.name: term.bytes for term in terms}
        assert sizes["weights"] == pytest.approx(run["weights_bytes"], rel=0.0016)
        assert sizes["kv_cache"] == run["kv_bytes"]
        assert sum(term.low_bytes for term in terms) <= measured
        assert measured <= sum(term.high_bytes for term in terms)
    in_ram = [term for term in needs.terms if term.where == "host"]
    buffer_bytes = sum(term.bytes for term in in_ram if term.name == "compute")
    assert buffer_bytes == pytest.approx(run["host_compute_bytes"], rel=0.002)


def with_experts_in_ram() -> list[GpuRun]:
    """The runs in which the experts of some layers stayed in RAM."""
    return [run for run in on_a_gpu() if "n-cpu-moe" in run["options"]]


@pytest.mark.parametrize(
    "run",
    with_experts_in_ram(),
    ids=lambda run: f"{run['model']} {run['options']['n-cpu-moe']} layers",
)
def test_experts_in_ram_have_their_biases_beside_them(run: GpuRun) -> None:
    """The weights and the embeddings in RAM take as many bytes as llama.cpp puts there. To
    the byte where the matrices of all layers have the same types.
    """
    in_ram = [
        term
        for term in needs_on_an_h200(run).terms
        if term.where == "host" and term.name in ("weights", "embeddings")
    ]
    low_bytes = sum(term.low_bytes for term in in_ram)
    high_bytes = sum(term.high_bytes for term in in_ram)
    assert low_bytes <= run["host_weights_bytes"] <= high_bytes
    if run["quantization"] == "MXFP4":
        assert sum(term.bytes for term in in_ram) == run["host_weights_bytes"]


def contexts_on_a_gpu() -> list[GpuContext]:
    """Contexts with all layers on an H200 or an H100, in one shape."""
    found: list[GpuContext] = rows_in("llamacpp_gpu_contexts.json")
    for run in on_a_gpu():
        if run["options"]:
            continue
        context = GpuContext(
            model=run["model"],
            context_tokens=run["context_tokens"],
            sequences=1,
            micro_batch=512,
            cache_type="f16",
            compute_bytes=run["compute_bytes"],
        )
        found.append(context)
    return found


def context_name(run: GpuContext) -> str:
    """Model, tokens, sequences, batch and type of the cache."""
    lengths = f"{run['context_tokens']}-{run['sequences']}-{run['micro_batch']}"
    return f"{run['model']}-{lengths}-{run['cache_type']}"


@pytest.mark.parametrize("run", contexts_on_a_gpu(), ids=context_name)
def test_the_buffer_on_a_gpu_is_known(run: GpuContext) -> None:
    """Within 0.2 %. The rows that the input layer looks up lie in RAM; the GPU has one copy of
    them.
    """
    architecture = model(run["model"])
    cells = ContextSetup(
        tokens=run["context_tokens"],
        sequences=run["sequences"],
        streams=run["sequences"],
        micro_batch_limit=run["micro_batch"],
        flash=True,
        key_type=run["cache_type"],
        value_type=run["cache_type"],
    )
    batch = Batch(
        model=architecture,
        row=row_of(architecture),
        setup=cells,
        logits_rows=run["sequences"],
        on_device=True,
    )
    assert buffer_bytes(batch) == pytest.approx(run["compute_bytes"], rel=0.002)


def processes_on_a_gpu() -> list[GpuProcess]:
    """The processes whose RAM was measured."""
    return rows_in("llamacpp_gpu_ram.json")


@pytest.mark.parametrize("run", processes_on_a_gpu(), ids=lambda run: run["model"])
def test_the_ram_of_a_process_with_its_model_on_a_gpu_is_known(
    run: GpuProcess,
) -> None:
    """The driver and its kernels count; the embeddings were pinned, and are told apart."""
    workload = Workload(
        runtime="llama.cpp", quantization=run["quantization"], context_tokens=4096
    )
    needs = check(run["model"], workload, machine="h100 80gb, 126gb ram").needs
    assert needs is not None
    program = next(term for term in needs.terms if term.name == "runtime")
    measured = run["private_bytes"] - run["embeddings_bytes"] - run["inputs_bytes"]
    assert program.low_bytes <= measured <= program.high_bytes
    assert program.bytes == pytest.approx(measured, rel=0.1)
