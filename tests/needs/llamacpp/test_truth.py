"""What is computed against what llama.cpp really allocates: measurements in `truth/`, their source beside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from math import prod
from typing import Any

import pytest

from helpers.each import each
from helpers.llamacpp_truth import architecture, judged, read, records, room, row, rows
from helpers.paths import COMMON
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import Architecture, ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs import Companions, more_in_slots, needs_of, weights_bytes
from selfhost.needs.llamacpp import buffers as llamacpp
from selfhost.needs.llamacpp import graphs
from selfhost.needs.llamacpp import header as gguf
from selfhost.needs.quantization import canonical_gguf, stored
from selfhost.needs.records import SizedWeights
from selfhost.needs.tensors import ArchitectureRow, Style, row_of


def _name(name: str) -> str:
    # the synthetic headers of Falcon H1 leave the ending off
    return name if name.endswith((".weight", ".bias")) or "ssm_" in name else f"{name}.weight"


@each("model", sorted(read("tensors.json")["tensors"]))
def test_every_tensor_of_a_real_header_is_derived(model: str) -> None:
    """Names, shapes, counts and Q4_K_M types equal those of the GGUF file, tensor by tensor, and there is no other tensor."""
    wanted: Counter[tuple[str, tuple[int, ...], str]] = Counter()
    for name, entries in read("tensors.json")["tensors"][model].items():
        for shape, type, count in entries:
            wanted[_name(name), _plain(name, shape), type] += count
    found: Counter[tuple[str, tuple[int, ...], str]] = Counter()
    for tensor in stored(architecture(model), row(model), "Q4_K_M", False):
        found[_name(tensor.name), _plain(tensor.name, tensor.shape), tensor.type] += tensor.count
    assert found == wanted


def _plain(name: str, shape: list[int] | tuple[int, ...]) -> tuple[int, ...]:
    """Shapes without sides of 1; `ssm_norm` is stored in rows of one group."""
    return (
        (prod(shape),) if "ssm_norm" in name else tuple(size for size in shape if size != 1) or (1,)
    )


def test_tensor_bytes_equal_every_measured_file() -> None:
    """Each quantization's tensor bytes equal what llama-quantize wrote, for every measured file."""
    wrong = {
        (record["model"], record["quant"])
        for record in records("memory")
        if sum(
            item.bytes
            for item in stored(
                architecture(record["model"]),
                row(record["model"]),
                record["quant"],
                record["quant"][0] == "I",
            )
        )
        != record["tensor_bytes"]
    }
    assert not wrong


def test_cache_and_state_equal_every_measurement() -> None:
    """KV cache and recurrent state are right to the byte: windows, latent attention, hybrids, shared layers, types, sequences."""
    wrong = []
    for record in records("memory"):
        model, cells = record["model"], room(record)
        flash = record["flash_attn"] != 0
        size = llamacpp.cache_bytes(
            architecture(model),
            row(model),
            cells,
            key_type=record["type_k"],
            value_type=record["type_v"],
            flash_attention=flash,
        )
        state = llamacpp.state_bytes(architecture(model), record["n_seq_max"])
        if (size, state) != (record["kv_bytes"], record["recurrent_state_bytes"]):
            wrong.append(
                (
                    model,
                    record["n_ctx"],
                    size - record["kv_bytes"],
                    state - record["recurrent_state_bytes"],
                )
            )
    assert len(records("memory")) == 968
    assert not wrong


def test_the_terms_of_an_answer_are_the_measured_cache_and_state() -> None:
    """What `needs_of` answers as cache and state is the measured size where the measurement asked for the same thing."""
    checked = 0
    for record in records("memory"):
        same = (
            record["type_k"] == record["type_v"]
            and record["flash_attn"] != 0
            and not record["kv_unified"]
            and record["n_ubatch"] == 512
        )
        if not same or record["n_ctx"] % record["n_seq_max"]:
            continue
        memory = judged(record, repacked=False).memory
        assert memory is not None, record["model"]
        sizes = {term.name: term.bytes for term in memory.terms}
        assert sizes.get("kv_cache", 0) == record["kv_bytes"], record
        assert sizes.get("recurrent_state", 0) == record["recurrent_state_bytes"], record
        checked += 1
    assert checked > 500


def test_repacked_weights_equal_the_second_layout() -> None:
    """With AVX-512 the repacked copy is what llama.cpp allocates for it, and as much may be evicted."""
    for record in {
        (record["model"], record["quant"]): record for record in records("memory")
    }.values():
        memory = judged(record, repacked=True).memory
        assert memory is not None
        copied = sum(term.bytes for term in memory.terms if term.name == "repacked_weights")
        assert copied == memory.evictable_bytes == record["repacked_bytes"], (
            record["model"],
            record["quant"],
        )


def test_measured_peaks_lie_in_the_stated_range() -> None:
    """Peak resident memory of real loads, less what may be evicted: 95 % lie in the range, none 0.1 % outside, none is wider than ± 4 %."""
    loads = [record for record in records("run") if record["mmap"]]
    assert len(loads) > 25
    outside = []
    for record in loads:
        memory = judged(record, repacked=bool(record["repack"])).memory
        assert memory is not None
        peak = record["peak_rss_bytes"] - memory.evictable_bytes
        assert memory.low_bytes * 0.999 <= peak <= memory.high_bytes * 1.001, (
            record,
            memory.low_bytes,
            peak,
            memory.high_bytes,
        )
        if not memory.low_bytes <= peak <= memory.high_bytes:
            outside.append(record)
        assert memory.high_bytes - memory.low_bytes <= 0.08 * memory.total_bytes, record
    assert len(outside) <= 0.05 * len(loads), outside


def _of_four_slots(record: dict[str, Any]) -> bool:
    return (
        bool(record["kv_unified"])
        and record["n_seq_max"] == 4
        and record["type_k"] == record["type_v"]
        and record["flash_attn"] != 0
    )


@each(
    "record",
    [pytest.param(one, id=one["model"]) for one in records("memory") if _of_four_slots(one)],
)
def test_a_server_without_np_takes_what_four_sequences_in_one_cache_do(
    record: dict[str, Any],
) -> None:
    """tools/server/server.cpp: n_parallel = 4 and kv_unified = true; measured to the byte of as many models."""
    spec = ModelSpec(id="model", name="Model", architecture=architecture(record["model"]))
    workload = Workload(
        runtime="llama.cpp",
        format="gguf",
        quantization=record["quant"],
        context_tokens=record["n_ctx"],
        kv_cache_type=record["type_k"],
    )
    runtime = Catalogue.open().runtime("llama.cpp")
    memory = needs_of(spec, runtime, workload, rows()).memory
    assert memory is not None
    kept = {
        term.name: term for term in memory.terms if term.name in ("kv_cache", "recurrent_state")
    }
    measured = {"kv_cache": record["kv_bytes"], "recurrent_state": record["recurrent_state_bytes"]}
    more_bytes = sum(measured[name] - term.bytes for name, term in kept.items())
    assert more_in_slots(spec, runtime, workload, rows()) == more_bytes


def test_published_files_are_within_half_a_percent() -> None:
    """File sizes of publishers who use the plain recipe differ by less than 0.5 %, and lie in the stated range."""
    for model, sizes in read("published.json")["file_bytes"].items():
        spec = ModelSpec(id="model", name="Model", architecture=architecture(model))
        for quantization, size in sizes.items():
            sized = weights_bytes(spec, "gguf", quantization, rows())
            assert isinstance(sized, SizedWeights)
            assert abs(sized.bytes - size) <= 0.005 * size, (model, quantization, sized.bytes, size)
            assert sized.low_bytes <= size <= sized.high_bytes, (model, quantization)


# the architecture whose files have such a vocabulary, where it is not of that name
VOCABULARY_ROWS = {
    "aquila": "llama", "bert-bge": "bert", "deepseek-coder": "llama", "deepseek-llm": "llama", "gemma-4": "gemma4", "gpt-2": "gpt2",
    "gpt-neox": "gptneox", "llama-bpe": "llama", "llama-spm": "llama", "phi-3": "phi3",
}  # fmt: skip


@pytest.mark.parametrize(
    "held",
    [pytest.param(held, id=held["name"]) for held in read("gguf_headers.json")["vocabularies"]],
)
def test_files_of_a_vocabulary_lie_in_the_range_of_headers(held: dict[str, Any]) -> None:
    """The files in llama.cpp's models/ are a header without tensors: keys, tokens and merges."""
    made = Architecture(
        row=VOCABULARY_ROWS.get(held["name"], held["name"]),
        runs_in_gguf=True,
        layers=1,
        embedding_length=1,
        vocabulary=held["tokens"],
    )
    known = row_of(made, rows())
    assert known is not None
    low, high = gguf.header_bytes(made, known, ())
    assert low <= held["bytes"] <= high, (low, high)


def test_published_files_are_tensors_and_a_header_in_its_range() -> None:
    """Of 73 published files all but two, which other recipes made, lie inside; the range is narrow beside the file."""
    published = read("gguf_headers.json")
    shelf, outside = Catalogue.open(), []
    for id, quantization, size, _ in published["published"]:
        made = shelf.spec(id).architecture
        assert made is not None
        known, type = row_of(made, rows()), canonical_gguf(quantization) or quantization
        assert known is not None
        ways = [
            stored(made, known, type, imatrix, earlier)
            for imatrix in (False, True)
            for earlier in (False, True)
        ]
        plain = [tuple(tensor for tensor in tensors if not tensor.extra) for tensors in ways]
        bounds = [
            (sum(tensor.bytes for tensor in tensors), gguf.header_bytes(made, known, tensors))
            for tensors in plain
        ]
        if not any(low <= size - tensors <= high for tensors, (low, high) in bounds):
            outside.append(f"{id} {quantization}")
        assert all(high - low <= 0.05 * size for _, (low, high) in bounds), id
    assert outside == list(published["unlike"])


def test_the_vocabulary_of_gemma_4_is_one_of_byte_pairs() -> None:
    """Its file lists 514,906 merges, which llama.cpp holds in 95.8 MB of memory; SentencePiece's kind would take half of that."""
    spec = Catalogue.open().spec("gemma-4-e4b-it")
    workload = Workload(
        runtime="llama.cpp",
        format="gguf",
        quantization="Q4_K_M",
        context_tokens=4096,
        kv_cache_type="f16",
    )
    memory = needs_of(spec, Catalogue.open().runtime("llama.cpp"), workload, rows()).memory
    assert memory is not None
    (program,) = (term for term in memory.terms if term.name == "runtime")
    each = re.search(r"262,144 tokens of vocabulary × (\d+) bytes", program.arithmetic)
    assert each is not None
    assert 262_144 * int(each[1]) == pytest.approx(95.8e6, rel=0.05)


@pytest.mark.parametrize(
    "listed",
    [pytest.param(listed, id=listed["model"]) for listed in read("published.json")["fused"]],
)
def test_files_with_fused_matrices_are_as_they_were_published(listed: dict[str, Any]) -> None:
    """Those made before March 2026 too: within 0.5 %, and what the later llama-quantize makes of them is in the range as well."""
    spec = Catalogue.open().spec(listed["model"]).replace(files=())
    for quantization, gigabytes in listed["gigabytes"].items():
        sized, later = (
            weights_bytes(one, "gguf", quantization, rows())
            for one in (spec, spec.replace(released=None))
        )
        assert isinstance(sized, SizedWeights)
        assert isinstance(later, SizedWeights)
        assert sized.bytes == pytest.approx(gigabytes * 1e9, rel=0.005), quantization
        assert sized.low_bytes <= gigabytes * 1e9 <= sized.high_bytes, quantization
        assert sized.low_bytes <= later.bytes <= sized.high_bytes, quantization


def test_fused_matrices_had_types_of_their_own_before_march_2026() -> None:
    """llama.cpp pull 19770 prints the size of Qwen3.5 35B A3B in Q4_K_M by master as it was then: 20,177.96 MiB, the block left out."""
    made = Catalogue.open().spec("qwen3.5-35b-a3b").architecture
    assert made is not None
    known = row_of(made, rows())
    assert known is not None
    tensors = stored(made, known, "Q4_K_M", importance_matrix=False, earlier=True)
    assert (
        round(sum(tensor.bytes for tensor in tensors if not tensor.extra) / 2**20, 2) == 20_177.96
    )


@pytest.mark.parametrize(
    ("id", "quantization", "published_bytes"),
    [
        # llama.cpp pull 19770: 20,177.96 MiB of tensors by master of February 2026, and a header of 11 MB
        ("qwen3.5-35b-a3b", "Q4_K_M", 20_177.96 * 2**20 + 11e6),
        # model card of cHunter789/Qwen3.6-27B-i1-IQ4_XS-GGUF: before and after pull 19770
        ("qwen3.5-27b", "IQ4_XS", 14.7e9),
        ("qwen3.6-27b", "IQ4_XS", 15.1e9),
    ],
)
def test_files_from_before_may_2026_lack_the_prediction_block(
    id: str, quantization: str, published_bytes: float
) -> None:
    """Of models that came out before llama.cpp pull 22673 converted it: within 0.5 %, and a file with the block is in the range."""
    spec = Catalogue.open().spec(id).replace(files=())
    sized, later = (
        weights_bytes(one, "gguf", quantization, rows())
        for one in (spec, spec.replace(released=None))
    )
    assert isinstance(sized, SizedWeights)
    assert isinstance(later, SizedWeights)
    assert sized.bytes == pytest.approx(published_bytes, rel=0.005)
    assert sized.bytes < later.bytes <= sized.high_bytes
    assert "the multi-token-prediction block has" in sized.arithmetic


@pytest.mark.parametrize("published_bytes", [14_700_000_000, 15_100_000_000])
def test_hybrids_of_both_versions_of_llama_quantize_lie_in_the_range(published_bytes: int) -> None:
    """IQ4_XS of Qwen3.5 27B, and of Qwen3.6 27B after llama.cpp 1dab5f5a44: model card of cHunter789/Qwen3.6-27B-i1-IQ4_XS-GGUF."""
    sized = weights_bytes(
        Catalogue.open().spec("qwen3.6-27b").replace(files=()), "gguf", "IQ4_XS", rows()
    )
    assert isinstance(sized, SizedWeights)
    assert sized.low_bytes <= published_bytes <= sized.high_bytes
    assert sized.high_bytes - sized.low_bytes <= 0.06 * sized.bytes


def test_experts_published_in_mxfp4_stay_in_it() -> None:
    """The files in unsloth/gpt-oss-20b-GGUF and unsloth/gpt-oss-120b-GGUF: 13.8 and 65.4 GB in F16, 11.6 GB in Q4_K_M."""
    for model, type, published_gb in (
        ("gpt-oss-20b", "F16", 13.8),
        ("gpt-oss-20b", "BF16", 13.8),
        ("gpt-oss-20b", "Q4_K_M", 11.6),
        ("gpt-oss-120b", "F16", 65.4),
    ):
        sized = weights_bytes(Catalogue.open().spec(model), "gguf", type, rows())
        assert isinstance(sized, SizedWeights)
        assert sized.bytes == pytest.approx(published_gb * 1e9, rel=0.01), (model, type)


# bits per weight of Llama 3.1 8B: llama.cpp tools/quantize/README.md at 311c2c9f; made without an importance matrix
# except for the types that need one
README_BITS = {
    "IQ1_S": 2.0042, "IQ1_M": 2.1460, "IQ2_XXS": 2.3824, "IQ2_XS": 2.5882, "IQ2_S": 2.7403, "IQ2_M": 2.9294, "IQ3_XXS": 3.2548,
    "IQ3_XS": 3.4977, "IQ3_S": 3.6606, "IQ3_M": 3.7628, "IQ4_XS": 4.4597, "IQ4_NL": 4.6818, "Q2_K": 3.1593, "Q3_K_S": 3.6429,
    "Q3_K_L": 4.2979, "Q4_K_S": 4.6672, "Q4_K_M": 4.8944, "Q5_K_S": 5.5704, "Q5_K_M": 5.7036, "Q6_K": 6.5633, "Q8_0": 8.5008,
    "F16": 16.0005,
}  # fmt: skip


@each("quantization", README_BITS)
def test_bits_per_weight_equal_the_published_table(quantization: str) -> None:
    """Every type that llama.cpp's own table lists has its bits per weight, to the last digit printed there."""
    model = "measured/llama-3.1-8b"
    tensors = stored(architecture(model), row(model), quantization, quantization == "IQ3_XXS")
    elements = sum(prod(tensor.shape) * tensor.count for tensor in tensors)
    assert (
        round(sum(tensor.bytes for tensor in tensors) * 8 / elements, 4)
        == README_BITS[quantization]
    )


def test_every_row_documents_its_keys() -> None:
    """Every key of a row, and of a table in it, is one the header of the file explains, with the default it states there."""
    text = (COMMON / "architectures.toml").read_text(encoding="utf-8")
    for prefix, kind in (("", ArchitectureRow), ("graph.", Style)):
        explained = dict(
            re.findall(rf"^# {re.escape(prefix)}(\w+) +(\S.*?)  +\S", text, re.MULTILINE)
            if prefix
            else re.findall(r"^# (\w+)  +(\S.*?)  +\S", text, re.MULTILINE)
        )
        explained.pop("key", None)
        defaults = {"false": False, "true": True, '""': "", "0": 0, "none": None, "unknown": None}
        fields = [name for name in kind._fields if name != "name"]
        assert sorted(explained) == sorted(fields)
        for name in fields:
            written = explained[name]
            value = defaults[written] if written in defaults else json.loads(written)
            given = kind._defaults[name]
            assert (list(given) if isinstance(given, tuple) else given) == value, name
    for name, values in rows()["architecture"].items():
        assert ArchitectureRow.from_values(name, values).name == name


@each(
    "case",
    read("llamacpp_indexers.json")["cases"],
    ids=lambda case: (
        f"{case['model']}-{case.get('parallel', 1)}-{case['context_tokens']}-{case['kv_cache_type']}"
    ),
)
def test_models_with_a_sparse_indexer_take_what_llama_cpp_allocates(case: dict[str, Any]) -> None:
    """The cache, the indexer's included, and the compute buffer as reserved at load: to the byte; it may grow from there."""
    shelf = Catalogue.open()
    spec, type, parallel = shelf.spec(case["model"]), case["kv_cache_type"], case.get("parallel", 1)
    asked = Workload(context_tokens=case["context_tokens"], parallel=parallel, kv_cache_type=type)
    memory = needs_of(spec, shelf.runtime("llama.cpp"), asked, rows()).memory
    assert memory is not None
    found = {term.name: term for term in memory.terms}
    assert found["kv_cache"].bytes == case["cache_bytes"]
    assert spec.architecture is not None
    of = row_of(spec.architecture, rows())
    assert of is not None
    cells = llamacpp.cells(case["context_tokens"] * parallel, sequences=parallel)
    exact = graphs.exact_compute_bytes(spec.architecture, of, cells, parallel, True, type, type)
    assert exact in (None, case["compute_bytes"])
    if exact is not None:
        assert case["compute_bytes"] <= found["compute"].high_bytes


@pytest.mark.parametrize(
    ("model", "published_bytes", "within"),
    [
        # ollama.com/library/deepseek-r1:671b, which states three digits
        ("deepseek-r1", 404e9, 0.0015),
        # huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct-GGUF, its Q4_K_M
        ("qwen3-next-80b-a3b-instruct", 48_410_988_384, 0.002),
    ],
)
def test_gguf_files_lack_the_block_that_the_conversion_left_out(
    model: str, published_bytes: float, within: float
) -> None:
    """Published GGUF files of these models have no multi-token-prediction block; one that drafts with it needs a file that has."""
    spec, program = Catalogue.open().spec(model), Catalogue.open().runtime("llama.cpp")
    sized = weights_bytes(spec, "gguf", "Q4_K_M", rows())
    assert isinstance(sized, SizedWeights)
    assert sized.bytes == pytest.approx(published_bytes, rel=within)
    assert sized.low_bytes <= published_bytes * (1 + within)
    workload = Workload(
        runtime="llama.cpp",
        format="gguf",
        quantization="Q4_K_M",
        context_tokens=4096,
        kv_cache_type="f16",
    )
    drafting = needs_of(spec, program, workload, rows(), companions=Companions(own_block=True))
    assert drafting.memory is not None
    assert drafting.download_bytes is not None
    block = next(term for term in drafting.memory.terms if term.name == "mtp_weights")
    assert "published files may lack the block" in block.arithmetic
    assert drafting.download_bytes == sized.bytes + block.bytes


def test_gguf_files_of_glm_bring_the_block() -> None:
    """llama.cpp's conversion of GLM-4.5 keeps the block, from the pull request on that brought the architecture (14939)."""
    spec = Catalogue.open().spec("glm-4.5-air")
    sized = weights_bytes(spec, "gguf", "Q4_K_M", rows())
    assert isinstance(sized, SizedWeights)
    assert "multi-token" not in sized.arithmetic
    # what llama-quantize writes of it, the block included (tests/truth/memory.json); the header comes on top
    written = next(
        record["tensor_bytes"]
        for record in records("memory")
        if (record["model"], record["quant"]) == ("glm-4.5-air", "Q4_K_M")
    )
    assert 0 < sized.bytes - written < 16_000_000


# a BERT of the shape of bge-m3, 24 layers of 1,024, loaded by llama-bench of llama.cpp 0c1e570 with -embd 1 and -b and -ub as given:
# "CPU compute buffer size" that it logs, MiB, with flash attention and without
@pytest.mark.parametrize(
    ("tokens", "flash_mib", "plain_mib"),
    [(512, 14.51, 29.01), (1024, 30.01, 92.01), (2048, 64.02, 320.02), (8192, 352.09, 4544.09)],
)
def test_an_encoder_reads_a_text_in_one_batch(
    tokens: int, flash_mib: float, plain_mib: float
) -> None:
    """llama.cpp asserts n_ubatch >= n_tokens of an encoder: its buffer is that of the whole context, not of 512 tokens."""
    shelf = Catalogue.open()
    for id, wanted in (("llama.cpp", flash_mib), ("llama-cpp-python", plain_mib)):
        workload = Workload(runtime=id, format="gguf", quantization="F16", context_tokens=tokens)
        memory = needs_of(shelf.spec("bge-m3"), shelf.runtime(id), workload, rows()).memory
        assert memory is not None
        compute = next(term for term in memory.terms if term.name == "compute")
        assert round(compute.bytes / 2**20, 2) == wanted
        assert compute.low_bytes <= compute.bytes <= compute.high_bytes


def test_more_sequences_never_lower_the_low_end_of_an_encoder() -> None:
    """llama.cpp rounds an encoder's batch up to a multiple of its sequences; what one text touches does not depend on them."""
    shelf = Catalogue.open()
    for spec in shelf.specs():
        if spec.modality != "embedding" or spec.architecture is None:
            continue
        ends = []
        for parallel in (1, 2, 3, 5, 8, 16):
            workload = Workload(
                runtime="llama.cpp",
                format="gguf",
                quantization="F16",
                context_tokens=512,
                parallel=parallel,
            )
            memory = needs_of(spec, shelf.runtime("llama.cpp"), workload, rows()).memory
            assert memory is not None
            ends.append(memory.low_bytes)
        assert ends == sorted(ends), (spec.id, ends)
