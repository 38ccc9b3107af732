"""The printed arithmetic gives the printed bytes, line by line."""

from __future__ import annotations

import re

import pytest

from helpers.arithmetic import calculate
from helpers.each import each
from helpers.needs_of import (
    asked,
    catalogue,
    in_gguf,
    in_llamacpp_alone,
    memory,
    paired,
    rows,
    runtime,
    shared_out,
    specs,
)
from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.core.workload import Workload
from selfhost.judge.placement import Spreading, placements
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.needs.records import How, MemoryNeed

# each meets each of the others; a line has no part that follows from all three
ARITHMETIC = [
    (kv_cache_type, context_tokens, (1, 3)[(row + column) % 2])
    for row, kv_cache_type in enumerate(("f16", "q8_0", "q4_0"))
    for column, context_tokens in enumerate((256, 3000, 4096))
]


@pytest.mark.parametrize("case", range(len(ARITHMETIC)))
def test_the_printed_arithmetic_gives_the_printed_bytes(case: int) -> None:
    """Whoever types a llama.cpp or Ollama line into a calculator gets the term's bytes. Each model is asked in one of the nine ways."""
    kv_cache_type, context_tokens, parallel = ARITHMETIC[case]
    seen = set()
    for spec in shared_out(in_gguf(), case, cases=len(ARITHMETIC), each_in=1):
        for id in ("llama.cpp", "ollama"):
            answer = asked(
                spec,
                runtime(id),
                kv_cache_type=kv_cache_type,
                context_tokens=context_tokens,
                parallel=parallel,
            )
            if answer.memory is None:
                assert [entry.fact for entry in answer.unknown] == ["memory.kv_cache"], spec.id
                continue
            for term in answer.memory.terms:
                seen.add(term.name)
                if term.name == "weights" and term.how is How.STATED:
                    continue
                assert abs(calculate(term.arithmetic) - term.bytes) < 2, (spec.id, term)
    assert seen >= {"weights", "kv_cache", "compute", "runtime", "projector"}


def test_the_layers_with_attention_of_several_runs_are_counted_together() -> None:
    """The 49 blocks with attention of Nemotron Super 49B (block_configs of its config.json) lie in five runs."""
    spec = catalogue().spec("llama-3.3-nemotron-super-49b-v1")
    (cache,) = [
        term for term in memory(asked(spec, runtime("llama.cpp"))).terms if term.name == "kv_cache"
    ]
    assert cache.arithmetic == "2 × 49 layers × 8 KV heads × 128 × 2 bytes × 4,096 tokens"


def test_the_cache_line_is_the_one_people_know() -> None:
    """Mistral 7B at 4,096 tokens: the line of the contract."""
    terms = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("mistral-7b-instruct-v0.3"), runtime("llama.cpp"))
        ).terms
    }
    assert (
        terms["kv_cache"].arithmetic == "2 × 32 layers × 8 KV heads × 128 × 2 bytes × 4,096 tokens"
    )
    assert terms["kv_cache"].bytes == 536_870_912
    assert terms["kv_cache"].how is How.EXACT


def vec_dot_types() -> dict[str, tuple[int, int]]:
    """Block sizes of Q8_0, Q8_1 and Q8_K in ggml-common.h, by the types whose products take them: type_traits_cpu in ggml-cpu.c."""
    q8_0, q8_1, q8_k = (32, 34), (32, 36), (256, 292)
    found = dict.fromkeys(("Q4_0", "Q5_0", "Q8_0", "MXFP4", "IQ4_NL"), q8_0) | dict.fromkeys(
        ("Q4_1", "Q5_1"), q8_1
    )
    names = "Q2_K Q3_K_M Q4_K_M Q5_K_S Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_XS TQ1_0 TQ2_0"
    return found | dict.fromkeys(names.split(), q8_k) | {"F16": (1, 2), "BF16": (1, 2)}


@each("quantization", sorted(vec_dot_types()))
def test_activations_meet_weights_in_the_type_that_their_product_takes(quantization: str) -> None:
    """The scratch of llama.cpp is in Q8_K for every type with blocks of 256, in Q8_0 or Q8_1 for those of 32 (`vec_dot_type`)."""
    answer = asked(
        catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"), quantization=quantization
    )
    line = next(term.arithmetic for term in memory(answer).terms if term.name == "runtime")
    elements, size = vec_dot_types()[quantization]
    assert f"512 tokens × 14,336 × {size}/{elements} bytes of scratch" in line


@pytest.mark.parametrize("id", ["gemma-3-12b-it", "falcon-h1-7b-instruct"])
def test_every_sequence_has_copies_of_its_own_to_go_back_to(id: str) -> None:
    """llama-server keeps a list of checkpoints per slot: those of one prompt each are counted, up
    to 32 come as conversations go on.
    """
    spec, program = catalogue().spec(id), runtime("llama.cpp")
    ends, later = [], []
    for parallel in (1, 2, 5):
        answer = asked(spec, program, context_tokens=8192, parallel=parallel)
        ends.append(next(term.bytes for term in memory(answer).terms if term.name == "runtime"))
        workload = Workload(
            runtime="llama.cpp",
            format="gguf",
            quantization="Q4_K_M",
            context_tokens=8192,
            parallel=parallel,
        )
        later.append(needs.more_in_conversation(spec, program, workload, rows()))
    one = ends[1] - ends[0]
    # Gemma 3 12B: 40 layers with a window of 1,024 tokens, 8 heads of 256, K and V in 16 bits
    # (config.json), at two places of a prompt
    if id == "gemma-3-12b-it":
        assert one == 2 * 40 * 1024 * 8 * 256 * 2 * 2
        assert later[0] == 29 * one // 2
    assert one > 0
    assert ends[2] - ends[0] == 4 * one
    assert [later[1], later[2]] == [2 * later[0], 5 * later[0]]


def test_a_program_whose_copies_weigh_more_than_what_was_measured_is_not_called_measured() -> None:
    """Llama 4 Scout at 16,384 tokens: 2.25 GiB of the term are arithmetic on chunks of 8,192 tokens."""
    for id, tokens, how in (
        ("llama-4-scout-17b-16e-instruct", 16_384, How.COMPUTED),
        ("mistral-7b-instruct-v0.3", 4096, How.MEASURED),
    ):
        answer = asked(catalogue().spec(id), runtime("llama.cpp"), context_tokens=tokens)
        assert next(term.how for term in memory(answer).terms if term.name == "runtime") is how


@pytest.mark.parametrize("id", ["llama-3.1-8b-instruct", "gemma-3-12b-it", "qwen3-30b-a3b"])
def test_a_buffer_that_was_measured_on_a_processor_is_not_exact_on_a_device(id: str) -> None:
    """The CPU backend's allocator was replayed; on a GPU the same rules give a range, and what CUDA itself takes is named."""
    answer = asked(catalogue().spec(id), runtime("llama.cpp"))
    here = next(term for term in memory(answer).terms if term.name == "compute")
    card = apply(Machine(), ["gpu=80GiB"])
    placed = next(
        one
        for one in placements(answer, card, Spreading(shared_layers=32))
        if one.placement == "accelerator"
    )
    there = [term for term in memory(placed).terms if term.name == "compute"]
    assert here.how is How.EXACT
    assert [term.how for term in there] == [How.COMPUTED]
    assert there[0].low_bytes < here.bytes < there[0].high_bytes
    assert "not counted" in there[0].source


def test_a_buffer_of_a_draft_keeps_its_name_on_a_device() -> None:
    """One buffer of the model and one of the draft lie there, each under its own name."""
    spec, draft = (
        catalogue().spec("llama-3.1-8b-instruct"),
        catalogue().spec("llama-3.2-1b-instruct"),
    )
    companions = needs.Companions(draft=draft, draft_quantization="Q4_K_M")
    workload = Workload(
        runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=4096
    )
    answer = needs.needs_of(spec, runtime("llama.cpp"), workload, rows(), companions=companions)
    placed = next(placements(answer, apply(Machine(), ["gpu=80GiB"]), Spreading(shared_layers=32)))
    buffers = [
        (term.name, term.where) for term in memory(placed).terms if term.name.endswith("compute")
    ]
    assert buffers == [("compute", "accelerator:0"), ("draft_compute", "accelerator:0")]


def test_padding_is_said() -> None:
    """llama.cpp gives 3,000 tokens the room of 3,072, and the line says so."""
    terms = {
        term.name: term
        for term in memory(
            asked(
                catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"), context_tokens=3000
            )
        ).terms
    }
    assert "3,072 tokens" in terms["kv_cache"].arithmetic
    assert "3,000" in terms["kv_cache"].arithmetic
    assert terms["kv_cache"].bytes == 3072 * 131_072


def test_the_lines_of_transformers_can_be_checked_too() -> None:
    """Text models, each asked in one of three ways: cache, activations and program, and the weights where they follow from the parameters, give the printed bytes."""
    seen, ways = set(), [(256, 1), (4096, 1), (3000, 3)]
    for number, (spec, program) in enumerate(
        pair for pair in paired() if pair[1].id == "transformers"
    ):
        context_tokens, parallel = ways[number % len(ways)]
        if spec.architecture is None or in_llamacpp_alone(spec):
            continue
        for term in memory(
            asked(spec, program, context_tokens=context_tokens, parallel=parallel)
        ).terms:
            if term.how is How.STATED or (term.how is How.ASSUMED and term.name == "runtime"):
                continue
            if term.name == "weights" and "parameters ×" not in term.arithmetic:
                continue
            seen.add((term.name, term.how))
            assert abs(calculate(term.arithmetic) - term.bytes) < 2, (spec.id, term)
    assert seen >= {
        ("kv_cache", How.COMPUTED),
        ("activations", How.COMPUTED),
        ("runtime", How.MEASURED),
    }


CARDS = [
    apply(Machine(planning=True), [f"gpu={gpu}", "memory=8TiB"])
    for gpu in ("24GiB:L4", "2GiB:L4", "3x24GiB:L4", "8x140GiB:H200")
]


@pytest.mark.parametrize("program", Catalogue.open().runtime_ids())
def test_every_line_gives_its_bytes_wherever_it_lies(program: str) -> None:
    """Each term of each model of the catalogue, in RAM, on a card, on several or shared out: whoever types its line gets its bytes.

    Only what is shared out evenly over layers that differ is no longer called exact.
    """
    seen, asking = set(), [(4096, 1), (300, 1), (3000, 3), (40_000, 2)]
    pairs = [pair for pair in paired() if pair[1].id == program]
    for number, (spec, found) in enumerate(pairs[:: 1 + len(pairs) // 130]):
        names = needs.quantizations_of(spec, found, rows())
        quantization = names[number % len(names)] if names else None
        (tokens, sequences), changes = (
            asking[number % 4],
            {"quantization": quantization} if quantization else {},
        )
        sets = ("avx2", "fma") if number % 3 else None
        answer = asked(
            spec, found, context_tokens=tokens, parallel=sequences, instruction_sets=sets, **changes
        )
        sides = [answer]
        if answer.memory is not None:
            layers, gpu_only = (
                spec.architecture.layers if spec.architecture else None,
                found.wants_gpu(quantization),
            )
            sides += placements(
                answer,
                CARDS[number // 4 % 4],
                Spreading(shared_layers=layers if found.splits_layers else None, gpu_only=gpu_only),
            )
        for side in sides:
            for term in side.memory.terms if side.memory else side.known_terms:
                assert abs(calculate(term.arithmetic) - term.bytes) < 2, (
                    spec.id,
                    side.placement,
                    term,
                )
                assert not re.search(r"(?:^|[;,(] ?)-\d", term.arithmetic), (spec.id, term)
                if " of the layers × " in term.arithmetic:
                    assert term.how is not How.EXACT, (spec.id, term)
            seen.add(side.placement)
    # parts of a picture's model come to the GPU in turn
    may_split = found.splits_layers or bool(found.offload_commands)
    # a few models do not meet each of the cards
    assert ("split" in seen) == may_split or (may_split and len(pairs) < 16)
    assert {"host", "accelerator"} <= seen or len(pairs) < 30


def test_what_is_not_loaded_stands_in_the_arithmetic() -> None:
    """A person who adds the bytes in the line, and takes off those that are not loaded, gets the bytes of the weights."""
    checked = 0
    for spec in specs():
        for id in ("vllm", "transformers"):
            if spec.architecture is None or needs.why_not_loaded(spec, runtime(id)) is not None:
                continue
            for term in (asked(spec, runtime(id)).memory or MemoryNeed(terms=())).terms:
                line = term.arithmetic.split(";")[0]
                if (
                    term.name != "weights"
                    or "that are not loaded" not in line
                    or spec.architecture.dtype == "float32"
                ):
                    continue
                parts = re.findall(r"([+-] )?([\d,]+) bytes", line)
                found = sum(
                    (-1 if sign == "- " else 1) * int(number.replace(",", ""))
                    for sign, number in parts
                )
                # each part of a fraction of a byte is cut off
                assert abs(found - term.bytes) <= len(parts), (spec.id, id, line, term.bytes)
                checked += 1
    assert checked > 50
