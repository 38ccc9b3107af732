"""What is computed against what llama.cpp really allocates: measurements in `truth/`, their source
beside them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import NamedTuple, NotRequired, TypedDict

import pytest

from helpers.cases import case, case_id
from helpers.llamacpp_truth import architecture, judged, kept, read, records
from helpers.needs_of import needs_of
from helpers.paths import COMMON
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.tables import shipped_table
from selfhost.core.workload import Workload
from selfhost.needs import Companions, weights_files
from selfhost.needs.llamacpp import files as gguf
from selfhost.needs.quantization import canonical_gguf, recipe_tensors
from selfhost.needs.records import Term, likely_bytes
from selfhost.needs.tensors import ArchitectureRow, row_of


class Kind(NamedTuple):
    """What equal tensors have in common; `shape` is without sides of 1."""

    name: str
    shape: tuple[int, ...]
    type: str


def _kind(name: str, shape: Sequence[int], type: str) -> Kind:
    """The kind of a tensor, as a file names it or as the rows do."""
    # the synthetic headers of Falcon H1 leave the ending off
    if not name.endswith((".weight", ".bias")) and "ssm_" not in name:
        name = f"{name}.weight"
    if "ssm_norm" in name:
        # stored in rows of one group
        return Kind(name, (prod(shape),), type)
    sides = tuple(size for size in shape if size != 1)
    return Kind(name, sides or (1,), type)


@pytest.mark.parametrize("model", sorted(read("tensors.json")["tensors"]), ids=case_id)
def test_every_tensor_of_a_real_header_is_derived(model: str) -> None:
    """Names, shapes, counts and Q4_K_M types equal those of the GGUF file, tensor by tensor, and
    there is no other tensor.
    """
    wanted: Counter[Kind] = Counter()
    for name, entries in read("tensors.json")["tensors"][model].items():
        for shape, type, count in entries:
            wanted[_kind(name, shape, type)] += count
    tensors = recipe_tensors(architecture(model), "Q4_K_M", importance_matrix=False)
    found: Counter[Kind] = Counter()
    for tensor in tensors:
        found[_kind(tensor.name, tensor.shape, tensor.type)] += tensor.count
    assert found == wanted


def test_tensor_bytes_equal_every_measured_file() -> None:
    """Each quantization's tensor bytes equal what llama-quantize wrote, for every measured file."""
    for record in records("memory"):
        model = record["model"]
        quantization = record["quant"]
        has_matrix = quantization.startswith("I")
        tensors = recipe_tensors(
            architecture(model), quantization, importance_matrix=has_matrix
        )
        total_bytes = sum(tensor.bytes for tensor in tensors)
        assert total_bytes == record["tensor_bytes"], (model, quantization)


def test_cache_and_state_equal_every_measurement() -> None:
    """KV cache and recurrent state are right to the byte: windows, latent attention, hybrids,
    shared layers, types, sequences.
    """
    assert len(records("memory")) == 968
    for record in records("memory"):
        cache, state = kept(architecture(record["model"]), record)
        assert cache == record["kv_bytes"], record
        assert state == record["recurrent_state_bytes"], record


def test_repacked_weights_equal_the_second_layout() -> None:
    """With AVX-512 the repacked copy is what llama.cpp allocates for it, and as much may be
    evicted.
    """
    files = {(record["model"], record["quant"]): record for record in records("memory")}
    for file, record in files.items():
        memory = judged(record, repacked=True).memory
        assert memory is not None
        copied = likely_bytes(memory.terms, "repacked_weights")
        assert copied == record["repacked_bytes"], file
        assert memory.evictable_bytes == record["repacked_bytes"], file


def test_measured_peaks_lie_in_the_stated_range() -> None:
    """Peak resident memory of real loads, less what may be evicted: 95 % lie in the range, none 0.1
    % outside, none is wider than ± 4 %.
    """
    loads = [record for record in records("run") if record["mmap"]]
    assert len(loads) > 25
    outside = []
    for record in loads:
        memory = judged(record, repacked=bool(record["repack"])).memory
        assert memory is not None
        peak = record["peak_rss_bytes"] - memory.evictable_bytes
        assert memory.low_bytes * 0.999 <= peak, record
        assert peak <= memory.high_bytes * 1.001, record
        if not memory.low_bytes <= peak <= memory.high_bytes:
            outside.append(record)
        assert memory.high_bytes - memory.low_bytes <= 0.08 * memory.total_bytes, record
    assert len(outside) <= 0.05 * len(loads), outside


def test_published_files_are_within_half_a_percent() -> None:
    """File sizes of publishers who use the plain recipe differ by less than 0.5 %, and lie in the
    stated range.
    """
    for model, sizes in read("published.json")["file_bytes"].items():
        spec = ModelSpec(id="model", name="Model", architecture=architecture(model))
        for quantization, size in sizes.items():
            sized = weights_files(spec, "gguf", quantization)
            assert isinstance(sized, Term)
            with case(f"{model} in {quantization}"):
                assert abs(sized.bytes - size) <= 0.005 * size
                assert sized.low_bytes <= size <= sized.high_bytes


def test_published_files_are_tensors_and_a_header_in_its_range() -> None:
    """Of 73 published files all but two, which other recipes made, lie inside; the range is narrow
    beside the file.
    """
    published = read("gguf_headers.json")
    shelf = Catalogue.open()
    outside = []
    for id, quantization, size, _ in published["published"]:
        made = shelf.spec(id).architecture
        assert made is not None
        known = row_of(made)
        type = canonical_gguf(quantization) or quantization
        assert known.name
        is_inside = False
        for has_matrix, is_earlier in product((False, True), repeat=2):
            tensors = recipe_tensors(
                made, type, importance_matrix=has_matrix, earlier=is_earlier
            )
            plain = tuple(tensor for tensor in tensors if not tensor.extra)
            low, high = gguf.header_bytes(made, plain)
            assert high - low <= 0.05 * size, id
            header_bytes = size - sum(tensor.bytes for tensor in plain)
            if low <= header_bytes <= high:
                is_inside = True
        if not is_inside:
            outside.append(f"{id} {quantization}")
    assert outside == list(published["unlike"])


class FusedFiles(TypedDict):
    """The sizes that a publisher lists for a model, by quantization."""

    model: str
    gigabytes: dict[str, float]


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(listed, id=listed["model"])
        for listed in read("published.json")["fused"]
    ],
)
def test_files_with_fused_matrices_are_as_they_were_published(
    listed: FusedFiles,
) -> None:
    """Those made before March 2026 too: within 0.5 %, and what the later llama-quantize makes of
    them is in the range as well.
    """
    spec = Catalogue.open().spec(listed["model"]).replace(files=())
    for quantization, gigabytes in listed["gigabytes"].items():
        sized = weights_files(spec, "gguf", quantization)
        later = weights_files(spec.replace(released=None), "gguf", quantization)
        assert isinstance(sized, Term)
        assert isinstance(later, Term)
        assert sized.bytes == pytest.approx(gigabytes * 1e9, rel=0.005), quantization
        assert sized.low_bytes <= gigabytes * 1e9 <= sized.high_bytes, quantization
        assert sized.low_bytes <= later.bytes <= sized.high_bytes, quantization


# bits per weight of Llama 3.1 8B: llama.cpp tools/quantize/README.md at 311c2c9f; made without an
# importance matrix except for the types that need one
README_BITS = {
    "IQ1_S": 2.0042,
    "IQ1_M": 2.1460,
    "IQ2_XXS": 2.3824,
    "IQ2_XS": 2.5882,
    "IQ2_S": 2.7403,
    "IQ2_M": 2.9294,
    "IQ3_XXS": 3.2548,
    "IQ3_XS": 3.4977,
    "IQ3_S": 3.6606,
    "IQ3_M": 3.7628,
    "IQ4_XS": 4.4597,
    "IQ4_NL": 4.6818,
    "Q2_K": 3.1593,
    "Q3_K_S": 3.6429,
    "Q3_K_L": 4.2979,
    "Q4_K_S": 4.6672,
    "Q4_K_M": 4.8944,
    "Q5_K_S": 5.5704,
    "Q5_K_M": 5.7036,
    "Q6_K": 6.5633,
    "Q8_0": 8.5008,
    "F16": 16.0005,
}


@pytest.mark.parametrize("quantization", README_BITS, ids=case_id)
def test_bits_per_weight_equal_the_published_table(quantization: str) -> None:
    """Every type that llama.cpp's own table lists has its bits per weight, to the last digit
    printed there.
    """
    has_matrix = quantization == "IQ3_XXS"
    tensors = recipe_tensors(
        architecture("measured/llama-3.1-8b"),
        quantization,
        importance_matrix=has_matrix,
    )
    elements = sum(prod(tensor.shape) * tensor.count for tensor in tensors)
    total_bytes = sum(tensor.bytes for tensor in tensors)
    assert round(total_bytes * 8 / elements, 4) == README_BITS[quantization]


def test_every_row_documents_its_keys() -> None:
    """Every key of a row is one the header of the file explains, with the default it states
    there.
    """
    text = (COMMON / "architectures.toml").read_text(encoding="utf-8")
    explained = dict(re.findall(r"^# (\w+)  +(\S.*?)  +\S", text, re.MULTILINE))
    explained_keys = {*explained}
    explained.pop("key", None)
    defaults = {
        "false": False,
        "true": True,
        '""': "",
        "0": 0,
        "none": None,
        "unknown": None,
    }
    fields = {*ArchitectureRow._fields} - {"name", "flags", "embeds", "rewrites"}
    # those that tensors.toml alone asks for have no field
    asked = (COMMON / "tensors.toml").read_text(encoding="utf-8")
    words = {*re.findall(r"\w+", asked), "output_in_gguf", "wide_qat_table_until"}
    assert fields <= explained.keys()
    assert explained.keys() - fields <= words
    for name in fields:
        written = explained[name]
        value = defaults[written] if written in defaults else json.loads(written)
        given = ArchitectureRow._defaults[name]
        if isinstance(given, tuple):
            given = list(given)
        assert given == value, name
    for name, values in shipped_table("architectures")["architecture"].items():
        row = ArchitectureRow.from_values(name, values)
        assert row.flags.keys() <= explained_keys, name


class IndexerRun(TypedDict):
    """What llama.cpp allocates for a model with an indexer."""

    model: str
    context_tokens: int
    kv_cache_type: str
    cache_bytes: int
    compute_bytes: int
    parallel: NotRequired[int]


def indexer_run_name(run: IndexerRun) -> str:
    """Model, sequences, tokens and type of the cache."""
    tokens = f"{run.get('parallel', 1)}-{run['context_tokens']}"
    return f"{run['model']}-{tokens}-{run['kv_cache_type']}"


@pytest.mark.parametrize(
    "run", read("llamacpp_indexers.json")["cases"], ids=indexer_run_name
)
def test_models_with_a_sparse_indexer_take_what_llama_cpp_allocates(
    run: IndexerRun,
) -> None:
    """The cache, the indexer's included, to the byte; the compute buffer as reserved at load in its
    range.
    """
    shelf = Catalogue.open()
    spec = shelf.spec(run["model"])
    asked = Workload(
        context_tokens=run["context_tokens"],
        parallel=run.get("parallel", 1),
        kv_cache_type=run["kv_cache_type"],
    )
    memory = needs_of(spec, shelf.runtime("llama.cpp"), asked).memory
    assert memory is not None
    found = {term.name: term for term in memory.terms}
    assert found["kv_cache"].bytes == run["cache_bytes"]
    compute = found["compute"]
    assert compute.low_bytes <= run["compute_bytes"] <= compute.high_bytes


@pytest.mark.parametrize(
    ("id", "quantization", "published_bytes", "within"),
    [
        # llama.cpp pull 19770: 20,177.96 MiB of tensors by master of February 2026, and a header of
        # 11 MB
        ("qwen3.5-35b-a3b", "Q4_K_M", 20_177.96 * 2**20 + 11e6, 0.005),
        # model card of cHunter789/Qwen3.6-27B-i1-IQ4_XS-GGUF: before and after pull 19770
        ("qwen3.5-27b", "IQ4_XS", 14.7e9, 0.005),
        ("qwen3.6-27b", "IQ4_XS", 15.1e9, 0.005),
        # ollama.com/library/deepseek-r1:671b, which states three digits
        ("deepseek-r1", "Q4_K_M", 404e9, 0.0015),
        # huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct-GGUF
        ("qwen3-next-80b-a3b-instruct", "Q4_K_M", 48_410_988_384, 0.002),
        # unsloth/gpt-oss-20b-GGUF and unsloth/gpt-oss-120b-GGUF: experts stay in MXFP4
        ("gpt-oss-20b", "F16", 13.8e9, 0.01),
        ("gpt-oss-20b", "BF16", 13.8e9, 0.01),
        ("gpt-oss-20b", "Q4_K_M", 11.6e9, 0.01),
        ("gpt-oss-120b", "F16", 65.4e9, 0.01),
    ],
)
def test_files_are_as_they_were_published(
    id: str, quantization: str, published_bytes: float, within: float
) -> None:
    """Those from before llama.cpp pull 22673 lack the multi-token-prediction block; a file with it
    is in the range, and one that is to draft with it has it.
    """
    spec = Catalogue.open().spec(id).replace(files=())
    sized = weights_files(spec, "gguf", quantization)
    later = weights_files(spec.replace(released=None), "gguf", quantization)
    assert isinstance(sized, Term)
    assert isinstance(later, Term)
    assert sized.bytes == pytest.approx(published_bytes, rel=within)
    assert sized.low_bytes <= published_bytes * (1 + within)
    assert sized.bytes <= later.bytes <= sized.high_bytes
    if id.startswith("gpt-oss"):
        return
    assert "the multi-token-prediction block has" in sized.arithmetic
    asked = Workload(format="gguf", quantization=quantization, context_tokens=4096)
    program = Catalogue.open().runtime("llama.cpp")
    plain = needs_of(spec, program, asked, companions=Companions(own_block=False))
    block = Companions(own_block=True, drafted_tokens=3)
    drafting = needs_of(spec, program, asked, companions=block)
    assert drafting.memory is not None
    block_bytes = likely_bytes(drafting.memory.terms, "mtp_weights")
    assert block_bytes > 0
    assert plain.download_bytes is not None
    assert drafting.download_bytes == plain.download_bytes + block_bytes
