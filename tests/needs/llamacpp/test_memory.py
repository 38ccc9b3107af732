"""What a process of llama.cpp keeps of its context, its program and its first batch: the bytes, and
the lines that give them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from helpers.needs_of import calculate, catalogue, needs_of, runtime, terms
from selfhost.catalogue.architecture import Architecture, Attention, FeedForward
from selfhost.core.workload import CacheTypes, Workload
from selfhost.needs import Companions, case_for, count, needs_on
from selfhost.needs.case import Batch, ContextSetup
from selfhost.needs.llamacpp.compute import buffer_bytes
from selfhost.needs.llamacpp.memory import cache_rows, why_cache_refused
from selfhost.needs.records import Device, How, Needs, Term
from selfhost.needs.tensors import row_of

LLAMA = "llama-3.1-8b-instruct"


def asked(model: str, program: str = "llama.cpp", **changes: Any) -> Needs:
    values = {"quantization": "Q4_K_M", "context_tokens": 4096, **changes}
    companions = values.pop("companions", Companions())
    work = Workload(runtime=program, format="gguf", **values)
    return needs_of(
        catalogue().spec(model), runtime(program), work, companions=companions
    )


def cache_of(model: str, program: str = "llama.cpp", **changes: Any) -> Term:
    """The KV cache, whose line gives its bytes."""
    cache = terms(asked(model, program, **changes))["kv_cache"]
    assert calculate(cache.arithmetic) == cache.bytes, cache.arithmetic
    return cache


@pytest.mark.parametrize(
    ("types", "line", "row_bytes"),
    [
        # 8 KV heads of 128 (its config.json); a block of Q8_0 is 34 bytes of 32 numbers, one of
        # Q4_0 18 (ggml-common.h)
        pytest.param("f16", "2 × 32 layers × 8 KV heads × 128 × 2 bytes", 4096, id="f16"),
        pytest.param(
            "q8_0", "2 × 32 layers × 8 KV heads × 128 × 34/32 bytes", 2176, id="q8_0"
        ),
        pytest.param(
            "q8_0:q4_0", "32 layers × (1,024 × 34/32 + 1,024 × 18/32) bytes", 1664, id="two"
        ),
        pytest.param(
            "f16:q8_0", "32 layers × (1,024 × 2 + 1,024 × 34/32) bytes", 3136, id="values"
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_line_of_a_cache_names_its_types(
    types: str, line: str, row_bytes: int, parallel: int
) -> None:
    cache = cache_of(LLAMA, kv_cache_type=types, parallel=parallel)
    sequences = "" if parallel == 1 else " × 3 sequences"
    assert cache.arithmetic == f"{line} × 4,096 tokens{sequences}"
    assert cache.bytes == 32 * row_bytes * 4096 * parallel
    assert (cache.low_bytes, cache.high_bytes, cache.how) == (
        cache.bytes,
        cache.bytes,
        How.EXACT,
    )


@pytest.mark.parametrize(
    ("tokens", "cells", "is_told"),
    [
        # src/llama-context.cpp rounds the context up to steps of 256
        pytest.param(4096, 4096, False, id="a step"),
        pytest.param(4097, 4352, True, id="a token more"),
    ],
)
def test_cells_that_are_no_tokens_are_told(
    tokens: int, cells: int, *, is_told: bool
) -> None:
    cache = cache_of(LLAMA, context_tokens=tokens)
    assert cache.bytes == 32 * 4096 * cells
    assert ("in steps of 256" in cache.arithmetic) is is_told


def test_a_window_keeps_itself_and_a_batch() -> None:
    """gpt-oss-20b has 12 layers with a window of 128 and 12 without, of 8 KV heads of 64 (its
    config.json); `size_swa` of src/llama-kv-cache-iswa.cpp: 128 + 512, in steps of 256.
    """
    cache = cache_of("gpt-oss-20b", quantization="MXFP4", context_tokens=8192)
    row_bytes = 2 * 8 * 64 * 2
    assert cache.bytes == 12 * row_bytes * (8192 + 768)
    assert "a layer with a window keeps that and a batch" in cache.arithmetic


def model_of(*groups: Attention, **changes: Any) -> Architecture:
    """A Llama with so many groups of layers of attention."""
    layers = sum(len(group.layers) for group in groups)
    values = {
        "row": "llama",
        "runs_in_gguf": True,
        "layers": layers,
        "embedding_length": 1024,
        "vocabulary": 32_000,
        "attention": groups,
        "feed_forward": (FeedForward(layers=tuple(range(layers)), length=512),),
    }
    return Architecture(**{**values, **changes})


def heads(layer: int, key: int, value: int, **changes: Any) -> Attention:
    values = {"heads": 16, "kv_heads": 4, "kind": "full"}
    return Attention(
        layers=(layer,), key_length=key, value_length=value, **{**values, **changes}
    )


@pytest.mark.parametrize(
    ("flash", "value_elements"),
    [
        pytest.param(True, [512, 256], id="with flash attention"),
        # `n_embd_v_gqa_max` in src/llama-kv-cache.cpp
        pytest.param(False, [512, 512], id="without"),
    ],
)
def test_without_flash_attention_all_values_are_as_long_as_the_longest(
    *, flash: bool, value_elements: list[int]
) -> None:
    model = model_of(heads(0, 128, 128), heads(1, 64, 64))
    setup = ContextSetup(tokens=4096, flash=flash)
    rows = cache_rows(model, setup)
    assert [row.value_elements for row in rows] == value_elements
    assert [row.key_elements for row in rows] == [512, 256]
    for row in rows:
        line = f"{row.before}{row.layers} layers{row.after}"
        assert calculate(line) == row.bytes_in(setup)


@pytest.mark.parametrize("types", [("f16", "f16"), ("q8_0", "q8_0"), ("q8_0", "f16")])
@pytest.mark.parametrize(
    ("row", "value_elements"),
    [
        # src/llama-kv-cache-msa.cpp keeps values beside the indexer's keys
        pytest.param("with values", 128, id="with values"),
        pytest.param("deepseek32", 0, id="keys alone"),
    ],
)
def test_the_keys_of_an_indexer_have_room(
    row: str, value_elements: int, types: tuple[str, str]
) -> None:
    """An indexer of DeepSeek V3.2 has one key of 128 numbers for each token (its config.json)."""
    name = row
    if row == "with values":
        name = next(
            spec.architecture.row
            for spec in catalogue().specs()
            if spec.architecture is not None
            and row_of(spec.architecture).indexer_values
        )
    model = model_of(heads(0, 128, 128, indexer_length=128, indexer_heads=64), row=name)
    key_type, value_type = types
    setup = ContextSetup(tokens=4096, key_type=key_type, value_type=value_type)
    _, indexer = cache_rows(model, setup)
    assert (indexer.key_elements, indexer.value_elements) == (128, value_elements)
    bytes_of = {"f16": 256, "q8_0": 136}
    of_values = bytes_of[value_type] if value_elements else 0
    assert indexer.bytes_in(setup) == (bytes_of[key_type] + of_values) * 4096
    line = f"{indexer.layers} layer{indexer.after}"
    assert calculate(line) == indexer.bytes_in(setup)


@pytest.mark.parametrize("streams", [2, 8, 16])
def test_streams_share_the_scores_of_an_indexer_evenly(streams: int) -> None:
    """A head more of an indexer scores the cells of each stream twice, in 4 bytes, for the stream's
    share of a batch of 512 tokens.
    """
    setup = ContextSetup(tokens=4096 * streams, sequences=streams, streams=streams)

    def buffer(indexer_heads: int) -> int:
        group = heads(0, 128, 128, indexer_length=128, indexer_heads=indexer_heads)
        model = model_of(group, vocabulary=1000)
        return buffer_bytes(
            Batch(model=model, row=row_of(model), setup=setup, logits_rows=1)
        )

    assert (buffer(5) - buffer(4)) * streams == 512 * 4096 * 2 * 4


@pytest.mark.parametrize(
    ("own_block", "copies"),
    [
        # 1 + the 3 tokens that are drafted (n_rs_seq, n_max in common/common.h)
        pytest.param(True, 4, id="drafts"),
        pytest.param(False, 1, id="drafts nothing"),
    ],
)
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_state_is_kept_for_each_token_that_may_be_rolled_back(
    parallel: int, copies: int, *, own_block: bool
) -> None:
    companions = Companions(own_block=own_block, drafted_tokens=3 if own_block else 0)
    found = asked("qwen3.8-27b", companions=companions, parallel=parallel)
    state = terms(found)["recurrent_state"]
    alone = terms(asked("qwen3.8-27b"))["recurrent_state"]
    assert state.bytes == alone.bytes * copies * parallel
    assert calculate(state.arithmetic) == state.bytes
    assert ("to roll drafted tokens back to" in state.arithmetic) is own_block
    assert ("sequences" in state.arithmetic) is (parallel > 1)


@pytest.mark.parametrize(
    ("key", "value", "length", "widest"),
    [
        # attn_output takes heads × value_length numbers, ffn_down the length of the feed-forward
        pytest.param(64, 128, 512, 2048, id="values of all heads"),
        pytest.param(64, 32, 512, 1024, id="embedding and keys"),
        pytest.param(128, 64, 512, 2048, id="keys of all heads"),
        pytest.param(64, 64, 5632, 5632, id="feed-forward"),
    ],
)
def test_the_scratch_is_of_the_widest_row_that_meets_weights(
    key: int, value: int, length: int, widest: int
) -> None:
    feed = FeedForward(layers=(0,), length=length)
    model = model_of(heads(0, key, value), feed_forward=(feed,))
    spec = catalogue().spec(LLAMA).replace(architecture=model, files=())
    work = Workload(
        runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=4096
    )
    program = terms(needs_of(spec, runtime("llama.cpp"), work))["runtime"]
    # a block of Q8_K is 292 bytes of 256 numbers (ggml-common.h)
    line = f"512 tokens × {widest:,} × 292/256 bytes of scratch"
    assert line in program.arithmetic
    assert calculate(program.arithmetic) == program.bytes


@pytest.mark.parametrize(
    ("quantization", "block"),
    [
        # `vec_dot_type` in ggml-cpu.c
        pytest.param("Q4_K_M", "292/256", id="blocks of 256"),
        pytest.param("Q8_0", "34/32", id="Q8_0"),
        pytest.param("Q4_0", "34/32", id="blocks of 32"),
        pytest.param("F16", "2/1", id="F16"),
    ],
)
def test_activations_are_of_the_type_that_meets_the_weights(
    quantization: str, block: str
) -> None:
    program = terms(asked(LLAMA, quantization=quantization))["runtime"]
    assert f"512 tokens × 14,336 × {block} bytes of scratch" in program.arithmetic


@pytest.mark.parametrize(
    ("tokens", "batch"),
    [pytest.param(256, 256, id="short"), pytest.param(4096, 512, id="usual")],
)
def test_scores_meet_values_where_there_is_no_flash_attention(
    tokens: int, batch: int
) -> None:
    """Each token has a score for each cell and each of 32 heads, in 16 bits."""
    spec = catalogue().spec(LLAMA)
    usual = runtime("llama.cpp")
    stored = usual.replace(memory=usual.memory.replace(flash_attention=False))
    work = Workload(
        runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=tokens
    )
    line = f"{batch} tokens × {tokens:,} cells × 32 heads × 2 bytes of scratch"
    program = terms(needs_of(spec, stored, work))["runtime"]
    assert line in program.arithmetic
    assert calculate(program.arithmetic) == program.bytes
    assert program.low_bytes <= program.bytes <= program.high_bytes
    assert "of scratch" in terms(needs_of(spec, usual, work))["runtime"].arithmetic
    assert " cells × " not in terms(needs_of(spec, usual, work))["runtime"].arithmetic


def test_a_short_first_prompt_fills_a_part_of_the_scratch() -> None:
    """The least is less than the likely size by what a prompt of a batch fills alone."""
    found = terms(asked(LLAMA, context_tokens=32_768))["runtime"]
    short = terms(asked(LLAMA, context_tokens=128))["runtime"]
    assert "512 tokens ×" in found.arithmetic
    assert "128 tokens ×" in short.arithmetic
    of_token = 14_336 * 292 // 256
    assert found.bytes - short.bytes == (512 - 128) * of_token


@pytest.mark.parametrize(
    ("types", "why_off", "heads_stored", "told"),
    [
        pytest.param("f16", "is off", None, None, id="plain"),
        pytest.param("q8_0", None, None, None, id="quantized"),
        pytest.param("q8_0", "is off", None, "which is off", id="switched off"),
        pytest.param("q8_0:f16", None, "heads of 80", None, id="keys alone"),
        pytest.param("f16:q8_0", None, "heads of 80", "values in q8_0", id="values"),
        pytest.param("q8_0", None, "heads of 80", "a q8_0 cache needs", id="both"),
        pytest.param("q9_0", None, None, "knows no q9_0 cache", id="unknown"),
        pytest.param("f16:q9_0", None, None, "knows no q9_0 cache", id="unknown values"),
    ],
)  # fmt: skip
def test_why_a_cache_is_refused(
    types: str, why_off: str | None, heads_stored: str | None, told: str | None
) -> None:
    found = why_cache_refused(
        [heads(0, 128, 128)],
        CacheTypes.of(types),
        why_off,
        heads_without_flash=heads_stored,
    )
    if told is None:
        assert found is None
    else:
        assert told in (found or "")


@pytest.mark.parametrize(
    ("key", "value", "types", "told"),
    [
        pytest.param(128, 128, "q8_0", None, id="whole blocks"),
        pytest.param(80, 128, "q8_0", "head size 80", id="keys"),
        pytest.param(128, 80, "q8_0", "head size 80", id="values"),
        pytest.param(80, 128, "f16:q8_0", None, id="keys are plain"),
    ],
)
def test_blocks_fill_each_head(
    key: int, value: int, types: str, told: str | None
) -> None:
    """src/llama-context.cpp: blocks of 32 have to fill the keys, and the values."""
    found = why_cache_refused([heads(0, key, value)], CacheTypes.of(types), None)
    assert (found is None) is (told is None)
    assert (told or "") in (found or "")


def test_an_encoder_keeps_its_outputs() -> None:
    """All MiniLM L6 has vectors of 384 numbers and 30,522 tokens (its config.json), each in 32
    bits (output_reserve in src/llama-context.cpp); a model that writes text has none.
    """
    found = asked("all-minilm-l6-v2", quantization="F16", context_tokens=512)
    line = terms(found)["runtime"].arithmetic
    assert "512 tokens × (30,522 + 384) × 4 bytes of outputs" in line
    assert "of outputs" not in terms(asked(LLAMA))["runtime"].arithmetic


def test_the_driver_of_a_gpu_takes_ram_where_it_was_measured() -> None:
    """More where experts are chosen, whose kernels are loaded when they are first used."""
    work = Workload(
        runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=4096
    )
    sizes: dict[tuple[str, str], int] = {}
    for model in (LLAMA, "qwen3-30b-a3b"):
        case = case_for(catalogue().spec(model), runtime("llama.cpp"), work)
        for maker in ("nvidia", "nobody"):
            found = needs_on(count(case), case, Device(maker=maker))
            (program,) = [term for term in found.terms if term.name == "runtime"]
            match = re.search(r"([\d,]+) bytes of the GPU's driver", program.arithmetic)
            sizes[model, maker] = int(match[1].replace(",", "")) if match else 0
            assert calculate(program.arithmetic) == program.bytes
    plain = sizes[LLAMA, "nvidia"]
    experts = sizes["qwen3-30b-a3b", "nvidia"]
    assert 0 < plain < experts
    assert sizes[LLAMA, "nobody"] == sizes["qwen3-30b-a3b", "nobody"] == 0


def test_a_server_keeps_copies_of_what_has_a_window_or_a_state() -> None:
    """LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY leaves out cells that keep every token: gpt-oss-20b has
    12 layers with a window of 128, of 8 KV heads of 64.
    """
    program = runtime("llama.cpp")
    copies = program.memory.context_checkpoints
    one = 128 * 12 * 2 * 8 * 64 * 2
    for parallel in (1, 2):
        found = terms(asked("gpt-oss-20b", quantization="MXFP4", parallel=parallel))
        line = found["runtime"].arithmetic
        assert f"; up to {parallel * copies * one:,} more for copies" in line
    assert copies > 0
    whole = terms(asked(LLAMA))["runtime"]
    assert "copies" not in whole.arithmetic


@pytest.mark.parametrize(
    ("row", "is_sure"),
    [
        # the row of Gemma 3 states that its cache has windows, that of Arcee says nothing
        pytest.param("gemma3", True, id="checked"),
        pytest.param("arcee", False, id="not checked"),
    ],
)
def test_a_window_that_was_not_checked_may_keep_all_tokens(
    row: str, *, is_sure: bool
) -> None:
    """A layer with a window of 1,024 keeps that and a batch of 512, or all 8,192 tokens, of 2 × 4 ×
    128 numbers of 16 bits each.
    """
    windowed = heads(0, 128, 128, kind="window", window_tokens=1024)
    model = model_of(windowed, heads(1, 128, 128), row=row)
    spec = catalogue().spec(LLAMA).replace(architecture=model, files=())
    work = Workload(
        runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=8192
    )
    cache = terms(needs_of(spec, runtime("llama.cpp"), work))["kv_cache"]
    row_bytes = 2 * 4 * 128 * 2
    assert cache.bytes == cache.low_bytes == row_bytes * (8192 + 1024 + 512)
    most = cache.bytes if is_sure else row_bytes * 2 * 8192
    assert cache.high_bytes == most
    assert ("up to all tokens" in cache.arithmetic) is not is_sure


@pytest.mark.parametrize(
    ("model", "is_split"),
    [
        # 8.5 GB in one file; 70 billion parameters in 8 bits are 75 GB
        pytest.param(LLAMA, False, id="one file"),
        pytest.param("llama-3.1-70b-instruct", True, id="several files"),
    ],
)
def test_no_file_is_larger_than_publishers_store(model: str, *, is_split: bool) -> None:
    """Hugging Face takes none above 50 GB, so that a FAT disk asks of the parts."""
    found = asked(model, quantization="Q8_0")
    assert found.download_bytes is not None
    most = 50 * 10**9 if is_split else found.download_bytes
    assert found.largest_file_bytes == most
    assert (found.download_bytes > 50 * 10**9) is is_split


@pytest.mark.parametrize(
    ("program", "is_guess"),
    [
        # nobody measured the own process of Ollama (specs/runtimes/ollama.toml)
        pytest.param("ollama", True, id="assumed"),
        # that of llama.cpp was measured (specs/runtimes/llama.cpp.toml names the runs)
        pytest.param("llama.cpp", False, id="measured"),
    ],
)
def test_a_program_that_nobody_measured_is_a_guess(
    program: str, *, is_guess: bool
) -> None:
    term = terms(asked(LLAMA, program))["runtime"]
    assert (term.how is How.ASSUMED) is is_guess


@pytest.mark.parametrize(
    ("program", "table_bytes"),
    [
        # 201,088 tokens × 2,880 numbers (its config.json): Ollama's converter leaves all but
        # experts in 16 bits (ollama/ollama, convert/convert_gptoss.go), llama-quantize makes it
        # Q8_0, of 34 bytes for 32 numbers
        pytest.param("ollama", 201_088 * 2880 * 2, id="ollama's file"),
        pytest.param(
            "llama.cpp", 201_088 * 2880 * 34 // 32, id="llama-quantize's file"
        ),
    ],
)
def test_the_size_of_a_file_tells_what_it_keeps_beside_its_experts(
    program: str, table_bytes: int
) -> None:
    """Of Ollama's file of gpt-oss 20B 0.46 GB of the token table were counted to the card."""
    work = Workload(quantization="MXFP4", format="gguf", context_tokens=4096)
    case = case_for(catalogue().spec("gpt-oss-20b"), runtime(program), work)
    on_card = needs_on(count(case), case, Device(maker="nvidia"))
    assert terms(on_card)["embeddings"].bytes == table_bytes
