"""What is loaded beside a model: a draft model, its own multi-token-prediction block."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, TypedDict

import pytest

from helpers.cases import case
from helpers.machines import machine_with
from helpers.paths import TRUTH
from selfhost import Workload
from selfhost.catalogue.index import Catalogue
from selfhost.core.errors import SelfhostError, WorkloadError
from selfhost.judge.question import ask
from selfhost.judge.record import Question
from selfhost.needs import needs_on
from selfhost.needs.records import Device, Needs, Term, likely_bytes
from selfhost.needs.tensors import row_values

MEASURED = json.loads((TRUTH / "llamacpp_companions.json").read_text(encoding="utf-8"))
LLAMA_8B = "llama-3.1-8b-instruct"
LLAMA_70B = "llama-3.3-70b-instruct"
MACHINE = machine_with(
    memory_total_bytes=2**41, memory_limit_bytes=2**41, memory_available_bytes=2**41
)


class BlockCase(TypedDict):
    """What llama.cpp allocates for a model that drafts with its own block, and for the block."""

    model: str
    context_tokens: int
    parallel: int
    target_context_bytes: int
    target_compute_bytes: int
    block_cache_bytes: int
    block_compute_bytes: int


class PictureBuffer(NamedTuple):
    """The buffer that an encoder reserves at load, and at its largest."""

    model: str
    reserved_mib: float
    largest_mib: float


def terms(model: str, **asked: Any) -> dict[str, Term]:
    """All terms by their names, all in RAM, for a workload with these fields."""
    needs = needs_of(model, **asked)
    assert needs.memory is not None, needs.unknown
    return {term.name: term for term in needs.memory.terms}


def terms_on(device: Device, model: str, **asked: Any) -> dict[str, Term]:
    """What the device holds, by its names."""
    question = question_of(model, **asked)
    assert question.needs is not None
    memory = needs_on(question.needs, question.case, device).memory
    assert memory is not None
    return {term.name: term for term in memory.terms if term.where != "host"}


def needs_of(model: str, **asked: Any) -> Needs:
    """What the model needs, for a workload with these fields."""
    question = question_of(model, **asked)
    assert question.needs is not None
    return question.needs


def question_of(model: str, **asked: Any) -> Question:
    """The question on a computer with 2 TiB of RAM."""
    shelf = Catalogue.open()
    return ask(shelf.spec(model), Workload(**asked), shelf, MACHINE)


@pytest.mark.parametrize(
    "block_case",
    MEASURED["blocks"],
    ids=lambda case: f"{case['model']}-{case['context_tokens']}-{case['parallel']}",
)
def test_the_own_block_takes_what_llama_cpp_allocates_for_it(
    block_case: BlockCase,
) -> None:
    """Cache and states to the byte, the model's compute buffer within 6 %, the block's own buffer
    within the stated range.
    """
    found = terms(
        block_case["model"],
        context_tokens=block_case["context_tokens"],
        parallel=block_case["parallel"],
        draft="mtp",
    )
    state = found["recurrent_state"].bytes if "recurrent_state" in found else 0
    assert found["kv_cache"].bytes + state == block_case["target_context_bytes"]
    compute = found["compute"]
    assert compute.low_bytes <= block_case["target_compute_bytes"] <= compute.high_bytes
    if block_case["parallel"] == 1 or not state:
        measured = pytest.approx(block_case["target_compute_bytes"], rel=0.06)
        assert compute.bytes == measured
    assert found["mtp_kv_cache"].bytes == block_case["block_cache_bytes"]
    block = found["mtp_compute"]
    assert block.low_bytes <= block_case["block_compute_bytes"] <= block.high_bytes


def test_the_block_is_in_the_file_but_not_in_memory_until_it_drafts() -> None:
    """Q4_K_M of Qwen3.8 27B: 263 MB of multi-token prediction (llama.cpp's own quantizer, rules of
    0c1e570).
    """
    without = needs_of("qwen3.8-27b")
    drafting = needs_of("qwen3.8-27b", draft="mtp")
    assert without.download_bytes == drafting.download_bytes
    assert without.memory is not None
    assert not any(term.name.startswith("mtp") for term in without.memory.terms)
    block = terms("qwen3.8-27b", draft="mtp")["mtp_weights"]
    assert block.bytes == pytest.approx(263e6, rel=0.002)


@pytest.mark.parametrize(
    ("model", "block_bytes"),
    [
        # 263 MB, as in Q4_K_M of Qwen3.8 27B, whose block is the same
        pytest.param("qwen3.6-27b", 263e6, id="block that files may lack"),
        pytest.param("glm-4.5-air", None, id="block that files bring"),
    ],
)
def test_a_publishers_mix_loads_its_block_once(
    model: str,
    block_bytes: float | None,
) -> None:
    """The block of a mix is as large as that of the nearest recipe, and it lies in the file: the
    weights, the tables and the block are the whole file together.
    """
    alike = terms(model, quantization="Q4_K_M", draft="mtp")
    mix = terms(model, quantization="UD-Q4_K_XL", draft="mtp")
    assert mix["mtp_weights"].bytes == alike["mtp_weights"].bytes > 0
    if block_bytes is not None:
        assert mix["mtp_weights"].bytes == pytest.approx(block_bytes, rel=0.002)
    needs = needs_of(model, quantization="UD-Q4_K_XL", draft="mtp")
    assert needs.memory is not None
    assert needs.download_bytes is not None
    projector = likely_bytes(needs.memory.terms, "projector")
    file_bytes = needs.download_bytes - projector
    # the weights as they lie in the file, and those that are laid out anew
    parts = ("weights", "repacked_weights", "mtp_weights")
    together = sum(mix[part].bytes for part in parts)
    assert together == pytest.approx(file_bytes, rel=0.001)


def test_a_draft_is_a_model_with_the_same_context() -> None:
    """common/speculative.cpp: the draft's context is as long, its cache f16 whatever the model's
    is, one row of logits a sequence.
    """
    asked: dict[str, Any] = {"context_tokens": 16_384, "parallel": 2}
    draft = terms("llama-3.2-1b-instruct", **asked)
    target = terms("llama-3.3-70b-instruct", **asked)
    pair = terms(
        "llama-3.3-70b-instruct", **asked, kv_cache_type="q8_0", draft="llama-3.2-1b"
    )
    for name in ("weights", "repacked_weights", "kv_cache", "compute"):
        assert pair[f"draft_{name}"].bytes == draft[name].bytes
    assert pair["weights"].bytes == target["weights"].bytes


@pytest.mark.parametrize(
    ("model", "draft", "runtime", "why"),
    [
        # SPEC_VOCAB_MAX_SIZE_DIFFERENCE is 128: 50,257 against 128,256 tokens
        pytest.param(LLAMA_8B, "gpt2", None, "vocabularies differ", id="vocabulary"),
        pytest.param(
            LLAMA_8B,
            "mtp",
            None,
            "no block that predicts more than one token",
            id="no block",
        ),
        pytest.param(
            LLAMA_8B, "bge-m3", None, "answers no prompt with text", id="embedder"
        ),
        pytest.param(
            "bge-m3",
            "bge-m3",
            None,
            "answers no prompt with text",
            id="for an embedder",
        ),
        pytest.param(LLAMA_70B, LLAMA_70B, None, "is the model itself", id="itself"),
        pytest.param(
            LLAMA_8B, "gpt-4o", None, "weights are not published", id="closed"
        ),
        pytest.param(
            "llama-3.2-1b-instruct",
            LLAMA_70B,
            None,
            "the draft must be the smaller model",
            id="larger",
        ),
        pytest.param(
            LLAMA_70B, "llama-3.2-1b", "ollama", "cannot draft with", id="Ollama"
        ),
        pytest.param(
            "whisper-small", "whisper-tiny", None, "cannot draft with", id="speech"
        ),
    ],
)
def test_a_draft_that_cannot_be_is_refused_with_the_reason(
    model: str, draft: str, runtime: str | None, why: str
) -> None:
    """A program would end with an error that names none of these."""
    with pytest.raises(WorkloadError, match=why):
        needs_of(model, draft=draft, runtime=runtime)


def test_vllm_loads_the_own_block_beside_the_model() -> None:
    """DeepSeek V3's block has 13.46 billion parameters of its own, published beside the 671 billion
    (its model card: 685 in all).
    """
    found = terms("deepseek-v3", runtime="vllm", draft="mtp")
    assert found["mtp_weights"].low_bytes < 13.46e9 < found["mtp_weights"].bytes
    # one latent row of 512 + 64 numbers a token
    four = Device(devices=4)
    held = terms_on(four, "deepseek-v3", runtime="vllm", draft="mtp")
    assert found["mtp_kv_cache"].bytes == 576 * 2 * 4096
    assert held["mtp_kv_cache"].bytes == 576 * 2 * 4096
    # Step-3.5-Flash's config.json: three blocks as wide as a layer that keeps every token, with 8
    # KV heads of 128
    held = terms_on(four, "step-3.5-flash", runtime="vllm", draft="mtp")
    assert held["mtp_kv_cache"].bytes == 3 * 2 * 2 * 128 * 2 * 4096


# the Q8_0 files as Hugging Face lists them: zhongkaifu/TensorSharp, ModelCatalog.cs, for 12B and
# E4B
GEMMA_DRAFTS = [
    pytest.param("gemma-4-12b-it", 465_109_248, id="12b"),
    pytest.param("gemma-4-e4b-it", 98_653_280, id="e4b"),
    # mtp-gemma-4-31B-it-Q8_0.gguf of a public disk list, and what Gemma 4's users download for 26B
    pytest.param("gemma-4-31b-it", 514_687_104, id="31b"),
    pytest.param("gemma-4-26b-a4b-it", 461_766_816, id="26b-a4b"),
]


@pytest.mark.parametrize(("model", "file_bytes"), GEMMA_DRAFTS)
def test_gemma_4_drafts_with_the_file_that_google_published(
    model: str, file_bytes: int
) -> None:
    """ggml-org/llama.cpp pull 23398: a file of its own, which attends to the model's cache."""
    asked: dict[str, Any] = {"runtime": "llama.cpp", "quantization": "Q8_0"}
    alone = needs_of(model, **asked)
    drafting = needs_of(model, **asked, draft="mtp")
    assert alone.download_bytes is not None
    assert drafting.download_bytes == alone.download_bytes + file_bytes
    found = terms(model, **asked, draft="mtp")
    assert found["mtp_weights"].bytes == file_bytes
    assert "mtp_kv_cache" not in found


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("gemma-4-31b-it-assistant", id="name"),
        pytest.param("google/gemma-4-31B-it-assistant", id="repository"),
        pytest.param("mtp-gemma-4-31B-it-Q8_0.gguf", id="file"),
    ],
)
def test_a_published_draft_goes_by_its_names(typed: str) -> None:
    """Each of them means the model's own draft."""
    asked: dict[str, Any] = {"runtime": "llama.cpp", "quantization": "Q4_K_M"}
    by_name = needs_of("gemma-4-31b-it", **asked, draft=typed)
    assert by_name.memory == needs_of("gemma-4-31b-it", **asked, draft="mtp").memory


def test_the_draft_of_another_size_is_refused() -> None:
    """It attends to the cache of its own model alone."""
    with pytest.raises(SelfhostError, match="draft"):
        needs_of("gemma-4-31b-it", draft="gemma-4-e2b-it-assistant")


def test_sglang_keeps_one_layer_more_for_the_own_block() -> None:
    """A boot log of SGLang 0.5.17 (2026-08-15): of 171,008 tokens the draft of a 27B has 0.66
    GB.
    """
    found = terms(
        "qwen3.6-27b",
        runtime="sglang",
        quantization="fp8",
        context_tokens=171_008,
        draft="mtp",
    )
    assert found["mtp_kv_cache"].bytes / 2**30 == pytest.approx(0.66, abs=0.01)


# ------------------------------------------------------------------ pictures


def test_reading_a_picture_takes_what_llama_cpp_reserves() -> None:
    """`CPU compute buffer size` that tools/mtmd/clip.cpp (0c1e570) prints for an encoder of these
    widths, at load and at its largest.
    """
    for printed in (
        PictureBuffer("gemma-3-27b-it", 121.25, 121.25),
        PictureBuffer("qwen2.5-vl-7b-instruct", 704.79, 1893.03),
        PictureBuffer("qwen3-vl-2b-instruct", 289.43, 560.25),
        PictureBuffer("qwen3-vl-32b-instruct", 312.67, 605.25),
        PictureBuffer("mistral-small-3.2-24b-instruct-2506", 64.62, 257.84),
        PictureBuffer("llava-1.5-7b", 23.80, 23.80),
        PictureBuffer("qwen3.5-9b", 248.10, 480.25),
        PictureBuffer("gemma-4-12b-it", 13.53, 57.46),
        PictureBuffer("minimax-m3", 60.30, 135.69),
        PictureBuffer("mistral-medium-3.5-128b", 112.05, 446.72),
        PictureBuffer("gemma-3n-e4b-it", 556.90, 556.90),
        PictureBuffer("mistral-large-3-675b-instruct-2512", 111.74, 446.09),
    ):
        with case(printed.model):
            found = terms(printed.model)["projector_compute"]
            assert found.low_bytes == 0
            assert found.high_bytes == found.bytes * 6 // 5
            assert found.bytes / 2**20 <= printed.largest_mib + 0.006
            # a device holds what is reserved at load, or what the picture takes, where that is more
            on_device = terms_on(Device(), printed.model)["projector_compute"]
            expected = max(printed.reserved_mib, found.bytes / 2**20)
            assert on_device.bytes / 2**20 == pytest.approx(expected, abs=0.006)
            words = r"([\d,]+) for one of [\d,]+ × [\d,]+, the most"
            largest = re.search(words, found.arithmetic)
            most = int(largest[1].replace(",", "")) if largest else found.bytes
            assert most / 2**20 == pytest.approx(printed.largest_mib, abs=0.006)
    # for a picture of 1,008 × 1,008
    assert terms("qwen2.5-vl-3b-instruct")["projector_compute"].bytes == 421_531_776


def test_a_picture_takes_the_buffer_of_its_size_and_up_to_a_fifth_more() -> None:
    """Whole runs with a Pixtral's encoder: they grow with the picture as its buffer does, and not
    above 896 × 896.
    """
    by_side = MEASURED["pictures"]["peak_bytes"]
    peaks = {int(side): peak for side, peak in by_side.items()}
    term = terms("mistral-small-3.2-24b-instruct-2506")["projector_compute"]
    for side in (448, 672, 896):
        grown = term.bytes * (side**2 - 224**2) // 896**2
        assert grown <= peaks[side] - peaks[224] <= 1.25 * grown
    assert peaks[896] - peaks[224] <= term.bytes * 1.2
    assert peaks[1500] == pytest.approx(peaks[896], rel=0.001)


@pytest.mark.parametrize(
    "architecture",
    [
        # llm_arch_supports_rs_rollback, src/llama-arch.cpp:1123 of llama.cpp 0c1e570
        pytest.param(name, id=name)
        for name in (
            "kimi-k3", "qwen35", "qwen35moe", "deepseek4", "nemotron_h",
            "nemotron_h_moe", "lfm2", "lfm2moe", "bailingmoe3",
        )
    ],
)  # fmt: skip
def test_a_state_is_kept_for_each_drafted_token_where_llama_cpp_rolls_back(
    architecture: str,
) -> None:
    """It copies the states of these alone, so that tokens can be taken back."""
    values = row_values(architecture)
    assert values is not None
    assert values.get("rolls_back") is True


def test_a_draft_of_compressed_attention_keeps_the_states_of_each_drafted_token() -> (
    None
):
    """src/llama-kv-cache-dsv4.cpp:964: n_stream × (1 + n_rs_seq) planes, of keys and of scores; by
    common/common.h:328 3 tokens are drafted. DeepSeek-V4-Flash has 21 layers with 4 tokens a row,
    whose states are of 8 tokens twice as wide, with those of the indexer, and 20 layers with 128.
    """
    numbers = 21 * 2 * 8 * (2 * 512 + 2 * 128) + 20 * 2 * 128 * 512
    alone = terms("deepseek-v4-flash", runtime="llama.cpp")
    drafting = terms("deepseek-v4-flash", runtime="llama.cpp", draft="mtp")
    assert alone["recurrent_state"].bytes == 4 * numbers
    assert drafting["recurrent_state"].bytes == 4 * numbers * (1 + 3)


@pytest.mark.parametrize(
    ("asked", "more_rows", "states"),
    [
        pytest.param({"parallel": 8}, 7, 0, id="a row of logits of each sequence"),
        pytest.param({"draft": "mtp"}, 3, 2048, id="drafted tokens and their states"),
        pytest.param(
            {"draft": "mtp", "runtime_options": {"b": "1024"}},
            3,
            1024,
            id="smaller batch",
        ),
    ],
)
def test_outputs_take_what_llama_cpp_reserves_for_them(
    asked: dict[str, Any], more_rows: int, states: int
) -> None:
    """src/llama-context.cpp:2141 of llama.cpp 0c1e570: logits of n_vocab × n_outputs, and with
    embeddings_nextn unmasked (common/speculative.cpp:1417) n_embd_out × n_batch, each of 4 bytes.
    Qwen3.5 27B has 248,320 tokens and rows of 5,120. The program was measured with one row.
    """
    alone = terms("qwen3.5-27b", runtime="llama.cpp")
    more = terms("qwen3.5-27b", runtime="llama.cpp", **asked)
    grown = more["runtime"].bytes - alone["runtime"].bytes
    assert grown == 4 * (more_rows * 248_320 + states * 5_120)
