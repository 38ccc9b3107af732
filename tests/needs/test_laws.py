"""More is never less: laws over all shipped models and made ones."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.machines import VM
from helpers.needs_of import asked, memory, model, paired, runtime
from selfhost import check
from selfhost.catalogue.architecture import Architecture, Attention, FeedForward
from selfhost.catalogue.spec import Parameters
from selfhost.core.tables import shipped_table
from selfhost.needs.records import MemoryNeed, Needs


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_more_is_never_less(data: st.DataObject) -> None:
    """A longer context, more sequences or a wider cache type never needs less memory: best
    estimate, low and high.

    The compute buffer apart where llama.cpp itself takes less for more, as tests/truth has it:
    gpt-oss 20B 456,415,232 bytes at 8,192 tokens and 429,524,992 at 32,768, with logits for the
    whole batch; a quantized cache is rotated in buffers of its own (Falcon-H1 34B 180,641,856 bytes
    with q8_0 and 175,317,056 with f16), which leave other holes for other batches; an encoder's
    batch is rounded up to a multiple of the sequences. Even there the sum never falls by more than
    2 %. What SGLang leaves free is no such sum: its largest graph holds as many sequences as it
    takes by itself until a line asks for fewer (--max-running-requests 2). So does vLLM, whose
    sampling, graphs and blocks of states are for 256 or 1,024 sequences (--max-num-seqs), and
    TensorRT-LLM, which is counted as vLLM.
    """
    pairs = [pair for pair in paired() if pair[0].architecture]
    spec, program = data.draw(st.sampled_from(pairs))
    context = data.draw(st.integers(1, 200_000))
    parallel = data.draw(st.integers(1, 8))
    types = ("q4_0", "q8_0", "f16")
    low, high = sorted(data.draw(st.lists(st.integers(0, 2), min_size=2, max_size=2)))
    less = asked(
        spec,
        program,
        context_tokens=context,
        parallel=parallel,
        kv_cache_type=types[low],
    )
    more = asked(
        spec,
        program,
        context_tokens=context + data.draw(st.integers(0, 100_000)),
        parallel=parallel + data.draw(st.integers(0, 8)),
        kv_cache_type=types[high],
    )
    if less.memory is None or more.memory is None:
        return
    assert spec.architecture is not None
    rows = shipped_table("architectures")["architecture"]
    is_encoder = rows.get(spec.architecture.row, {}).get("encoder")
    reserved = set()
    if program.memory.reserves_by_device and parallel == 1:
        reserved = {"activations"}
    elif program.batches.queues_requests and parallel == 1:
        reserved = {"activations", "runtime", "recurrent_state"}
    apart = set(reserved)
    if types[low] != "f16" or is_encoder or program.memory.logits_rows == "batch":
        apart.add("compute")
    about = (spec.id, program.id)
    before = _without(less, apart)
    after = _without(more, apart)
    assert before.low_bytes <= after.low_bytes, about
    assert before.total_bytes <= after.total_bytes, about
    assert before.high_bytes <= after.high_bytes, about
    before = _without(less, reserved)
    after = _without(more, reserved)
    assert after.low_bytes >= 0.98 * before.low_bytes, about
    assert after.total_bytes >= 0.98 * before.total_bytes, about
    assert after.high_bytes >= 0.98 * before.high_bytes, about


def _without(answer: Needs, names: Collection[str]) -> MemoryNeed:
    """The memory but for the terms with these names."""
    kept = [term for term in memory(answer).terms if term.name not in names]
    return MemoryNeed(terms=tuple(kept))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_architecture_breaks_the_arithmetic(data: st.DataObject) -> None:
    """Whatever sizes a spec states, there is an answer with low <= best <= high or a reason, and no
    exception.
    """
    size = st.integers(1, 10**7)
    layers = data.draw(st.integers(1, 80))
    kind = data.draw(st.sampled_from(["full", "sliding", "latent"]))
    group = Attention(
        kind=kind,
        layers=tuple(range(layers)),
        heads=data.draw(st.integers(1, 256)),
        kv_heads=data.draw(st.integers(1, 256)),
        key_length=data.draw(size),
        value_length=data.draw(size),
        window_tokens=data.draw(st.one_of(st.none(), size))
        if kind == "sliding"
        else None,
        latent_length=data.draw(size) if kind == "latent" else None,
        rope_length=data.draw(size) if kind == "latent" else None,
    )
    experts = data.draw(st.one_of(st.none(), st.integers(1, 512)))
    architecture = Architecture(
        row=data.draw(
            st.sampled_from(
                ["llama", "gemma4", "deepseek2", "bert", "falcon", "unheard-of"]
            )
        ),
        runs_in_gguf=True,
        layers=layers,
        embedding_length=data.draw(size),
        heads=group.heads,
        vocabulary=data.draw(st.one_of(st.none(), size)),
        attention=(group,),
        feed_forward=(
            FeedForward(
                layers=tuple(range(layers)),
                length=data.draw(size),
                experts=experts,
                used=experts and 1,
            ),
        ),
    )
    spec = model(
        architecture=architecture,
        parameters=Parameters(
            total=data.draw(st.one_of(st.none(), st.integers(1, 10**15)))
        ),
    )
    for id in ("llama.cpp", "ollama", "transformers", "vllm", "mlx"):
        answer = asked(
            spec,
            runtime(id),
            context_tokens=data.draw(st.integers(1, 10**9)),
            parallel=data.draw(st.integers(1, 10**6)),
        )
        assert answer.unknown or answer.memory
        for term in answer.memory.terms if answer.memory else ():
            assert 0 <= term.low_bytes <= term.bytes <= term.high_bytes


# An encoder reads its whole context as one batch, and rounds the activations of all its tokens to
# meet the weights: for a K type to Q8_K, 292 bytes of 256, for Q8_0 to Q8_0, 34 bytes of 32
# (`vec_dot_type` in ggml-cpu.c, block_q8_K and block_q8_0 in ggml-common.h, ggml-org/llama.cpp).
@pytest.mark.parametrize(
    ("name", "widest"),
    [
        pytest.param("all-distilroberta-v1", 3072, id="all-distilroberta-v1"),
        pytest.param("bge-base-zh-v1.5", 3072, id="bge-base-zh-v1.5"),
    ],
)
def test_a_larger_type_may_need_less_scratch(name: str, widest: int) -> None:
    """Of one batch of 131,072 tokens more than its larger weights need; everything else grows with
    the type.
    """
    tokens = 131_072
    terms: dict[str, dict[str, int]] = {}
    for quantization in ("Q6_K", "Q8_0"):
        verdict = check(
            name,
            quantization=quantization,
            context_tokens=tokens,
            runtime="llama.cpp",
            machine=VM,
        )
        assert verdict.needs is not None
        assert verdict.needs.memory is not None
        terms[quantization] = {
            each.name: each.bytes for each in verdict.needs.memory.terms
        }
    grown = {key: terms["Q8_0"][key] - terms["Q6_K"][key] for key in terms["Q6_K"]}
    assert (
        grown.pop("runtime")
        == tokens * widest * 34 // 32 - tokens * widest * 292 // 256
    )
    assert all(more >= 0 for more in grown.values())


def test_q2_k_of_gpt_oss_is_larger_than_q3_k_s() -> None:
    """Rows of 2,880 are no multiple of 256. llama-quantize (src/llama-quant.cpp) wants Q4_K for the
    values of a Q2_K with four or more heads to a key, and falls back to Q5_0, 22 bytes of 32; in a
    Q3_K_S they are Q3_K and fall back to Q4_0, 18 bytes of 32.
    """
    sizes = {}
    for quantization in ("Q2_K", "Q3_K_S"):
        verdict = check(
            "gpt-oss-20b", quantization=quantization, runtime="llama.cpp", machine=VM
        )
        assert verdict.needs is not None
        assert verdict.needs.files is not None
        sizes[quantization] = verdict.needs.files.bytes
    layers = 24
    row = 2_880
    values = 8 * 64
    assert sizes["Q2_K"] - sizes["Q3_K_S"] == layers * row * values * (22 - 18) // 32
