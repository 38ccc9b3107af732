"""The laws of `needs`: sums, ranges, arithmetic that a person can check, and what happens where something is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.arithmetic import calculate
from helpers.paths import CONFIGS
from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import (
    Architecture,
    Attention,
    FeedForward,
    ModelSpec,
    Openness,
    Parameters,
    PublishedFiles,
    RuntimeSpec,
    StatedNeeds,
)
from selfhost.core.records import Unread
from selfhost.core.workload import KV_CACHE_TYPES, Workload
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.modelfiles import read_local
from selfhost.needs.cache import why_not_known
from selfhost.needs.records import How, MemoryNeed, Needs, SizedWeights, Term
from selfhost.needs.tensors import checkpoint_tensors, count, row_of
from selfhost.verdict.placement import placements


@cache
def catalogue() -> Catalogue:
    return Catalogue.open()


@cache
def rows() -> Any:
    return catalogue().common("architectures")


@cache
def runtime(id: str) -> RuntimeSpec:
    return catalogue().runtime(id)


@cache
def specs() -> tuple[ModelSpec, ...]:
    return tuple(spec for spec in catalogue().specs() if not spec.closed)


@cache
def in_gguf() -> tuple[ModelSpec, ...]:
    return tuple(
        spec
        for spec in specs()
        if spec.architecture is not None
        and needs.why_not_loaded(spec, runtime("llama.cpp")) is None
    )


def asked(spec: ModelSpec, program: RuntimeSpec, **changes: Any) -> Needs:
    """The answer for a workload with the defaults filled in."""
    format, quantization = needs.default_format_and_quantization(spec, program)
    longest = (spec.architecture.context_tokens if spec.architecture else None) or 4096
    values = {
        "format": format,
        "quantization": quantization,
        "context_tokens": min(4096, longest),
        "kv_cache_type": "f16",
        **changes,
    }
    sets = values.pop("instruction_sets", None)
    return needs.needs_of(
        spec, program, Workload(runtime=program.id, **values), rows(), instruction_sets=sets
    )


def memory(answer: Needs) -> MemoryNeed:
    assert answer.memory is not None, answer.unknown
    return answer.memory


def pairs() -> Iterator[tuple[ModelSpec, RuntimeSpec]]:
    for spec in specs():
        for id in catalogue().runtime_ids():
            if needs.why_not_loaded(spec, runtime(id)) is None:
                yield spec, runtime(id)


def test_parameters_equal_the_sum_over_the_architecture() -> None:
    """`parameters.total` is the number of elements in the checkpoint's tensors plus the encoders; a stated difference is below 0.5 %."""
    checked = 0
    for spec in specs():
        row = row_of(spec.architecture, rows()) if spec.architecture else None
        if spec.architecture is None or row is None or spec.parameters.total is None:
            continue
        found = count(checkpoint_tensors(spec.architecture, row)) + (spec.parameters.encoders or 0)
        allowed = spec.parameters.total * 0.005 if spec.parameters.difference else 0
        assert abs(found - spec.parameters.total) <= allowed, (
            spec.id,
            found - spec.parameters.total,
        )
        checked += 1
    assert checked > 50


def test_every_shipped_architecture_has_a_row() -> None:
    """A spec with an architecture names a row, or brings its tensors itself."""
    assert not [
        spec.id
        for spec in specs()
        if spec.architecture
        and not spec.architecture.tensors
        and row_of(spec.architecture, rows()) is None
    ]


def _in_llamacpp_alone(spec: ModelSpec) -> bool:
    """DeepSeek V4's compressed attention: of no other program is it known what it keeps."""
    row = row_of(spec.architecture, rows()) if spec.architecture is not None else None
    return (
        spec.architecture is not None
        and row is not None
        and why_not_known(spec.architecture, row, "mlx") is not None
    )


def test_every_model_has_needs_in_every_runtime_that_loads_it() -> None:
    """Size and memory of each shipped model are known in each runtime that loads it, and low <= best <= high for every term.

    Where the spec says why it has no architecture, memory is unknown with a reason and a remedy; so is a size that nobody states.
    """
    for spec, program in pairs():
        answer = asked(spec, program)
        if spec.architecture is None and not spec.components and spec.needs is None:
            assert "architecture" in spec.unknown, spec.id
            assert answer.memory is None, (spec.id, program.id)
            assert {entry.fact for entry in answer.unknown} >= {
                "memory.kv_cache"
            } or answer.download_bytes is None
            assert ("download_bytes" in {entry.fact for entry in answer.unknown}) == (
                answer.download_bytes is None
            )
            assert all(entry.reason and entry.remedy for entry in answer.unknown)
            continue
        assert answer.download_bytes, (spec.id, program.id, answer.unknown)
        assert answer.disk_bytes == answer.download_bytes
        if answer.memory is None and "gguf" not in program.formats and _in_llamacpp_alone(spec):
            assert [entry.fact for entry in answer.unknown] == ["memory.kv_cache"], (
                spec.id,
                program.id,
            )
            assert all(
                "compressed attention" in entry.reason and entry.remedy for entry in answer.unknown
            )
            continue
        assert answer.largest_file_bytes is not None
        assert 0 < answer.largest_file_bytes <= answer.download_bytes
        for term in memory(answer).terms:
            # only what a picture takes may be nothing: there may be none
            least = 0 if term.name == "projector_compute" else 1
            assert least <= term.low_bytes <= term.bytes <= term.high_bytes, (
                spec.id,
                program.id,
                term,
            )
            assert term.source, (spec.id, program.id, term)
            assert term.arithmetic
            if term.how is How.EXACT:
                # a buffer may be reserved to the byte and touched only in part
                assert term.bytes == term.high_bytes
                assert term.low_bytes == term.high_bytes or term.name == "compute"


@pytest.mark.parametrize("kv_cache_type", KV_CACHE_TYPES)
@pytest.mark.parametrize("context_tokens", [256, 3000, 4096])
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_printed_arithmetic_gives_the_printed_bytes(
    kv_cache_type: str, context_tokens: int, parallel: int
) -> None:
    """Whoever types a llama.cpp or Ollama line into a calculator gets the term's bytes."""
    seen = set()
    for spec in in_gguf():
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


def test_layers_that_take_the_same_are_one_entry_of_the_arithmetic() -> None:
    """No two parts of a sum differ in their number of layers alone, whatever the program, for people would have to add them up. The 49
    blocks with attention of Nemotron Super 49B (block_configs of its config.json) lie in five runs."""
    for spec in specs():
        for id in ("llama.cpp", "llama-cpp-python", "transformers", "vllm", "mlx"):
            if spec.architecture is None or needs.why_not_loaded(spec, runtime(id)) is not None:
                continue
            answer = asked(spec, runtime(id))
            for term in answer.memory.terms if answer.memory is not None else ():
                parts = [
                    re.sub(r"\b[\d,]+ layers?", "layers", part)
                    for part in term.arithmetic.partition(";")[0].split(" + ")
                ]
                parts = [part for part in parts if "layers" in part]
                assert len(parts) == len(set(parts)), (spec.id, id, term.arithmetic)
    terms = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("llama-3.3-nemotron-super-49b-v1"), runtime("llama.cpp"))
        ).terms
    }
    assert (
        terms["kv_cache"].arithmetic == "2 × 49 layers × 8 KV heads × 128 × 2 bytes × 4,096 tokens"
    )


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


@pytest.mark.parametrize("quantization", sorted(vec_dot_types()))
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
    """llama-server keeps a list of checkpoints per slot: three of one prompt each, up to 32 as conversations go on."""
    spec, program = catalogue().spec(id), runtime("llama.cpp")
    ends, later = [], []
    for parallel in (1, 2, 5):
        answer = asked(spec, program, context_tokens=8192, parallel=parallel)
        ends.append(
            next(term.high_bytes for term in memory(answer).terms if term.name == "runtime")
        )
        workload = Workload(
            runtime="llama.cpp",
            format="gguf",
            quantization="Q4_K_M",
            context_tokens=8192,
            parallel=parallel,
        )
        later.append(needs.more_in_conversation(spec, program, workload, rows()))
    one = (ends[1] - ends[0]) // 3
    # Gemma 3 12B: 40 layers with a window of 1,024 tokens, 8 heads of 256, K and V in 16 bits (config.json)
    if id == "gemma-3-12b-it":
        assert one == 40 * 1024 * 8 * 256 * 2 * 2
    assert one > 0
    assert ends[2] - ends[0] == 4 * 3 * one
    # Ollama renders the prompt itself: nobody tells its server where messages start
    told = [
        memory(asked(spec, runtime("ollama"), context_tokens=8192, parallel=parallel)).terms
        for parallel in (1, 2)
    ]
    first, second = (
        next(term.high_bytes for term in terms if term.name == "runtime") for terms in told
    )
    assert second - first == 2 * one
    assert later == [29 * one, 2 * 29 * one, 5 * 29 * one]


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
        one for one in placements(answer, card, 32, splits=True) if one.placement == "accelerator"
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
    placed = next(placements(answer, apply(Machine(), ["gpu=80GiB"]), 32, splits=True))
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


CHAINS = (
    ("Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16", "F32"),
    ("Q3_K_S", "Q4_K_S", "Q5_K_S", "Q6_K"),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_more_is_never_less(data: st.DataObject) -> None:
    """A longer context, more sequences or a wider cache type never needs less memory: best estimate, low and high.

    The compute buffer apart where llama.cpp itself takes less for more, as tests/truth has it: gpt-oss 20B 456,415,232 bytes at
    8,192 tokens and 429,524,992 at 32,768, with logits for the whole batch; a quantized cache is rotated in buffers of its own
    (Falcon-H1 34B 180,641,856 bytes with q8_0 and 175,317,056 with f16), which leave other holes for other batches; an encoder's batch
    is rounded up to a multiple of the sequences. Even there the sum never falls by more than 2 %.
    """
    spec, program = data.draw(st.sampled_from([pair for pair in _paired() if pair[0].architecture]))
    context = data.draw(st.integers(1, 200_000))
    parallel = data.draw(st.integers(1, 8))
    types = ("q4_0", "q8_0", "f16")
    low, high = sorted(data.draw(st.lists(st.integers(0, 2), min_size=2, max_size=2)))
    less = asked(spec, program, context_tokens=context, parallel=parallel, kv_cache_type=types[low])
    more = asked(
        spec,
        program,
        context_tokens=context + data.draw(st.integers(0, 100_000)),
        parallel=parallel + data.draw(st.integers(0, 8)),
        kv_cache_type=types[high],
    )
    if less.memory is None or more.memory is None:
        return
    made = rows()["architecture"].get(spec.architecture.row, {}) if spec.architecture else {}
    apart = (
        "compute"
        if types[low] != "f16" or made.get("encoder") or program.logits_rows == "batch"
        else ""
    )
    for part in ("bytes", "low_bytes", "high_bytes"):
        sums = [
            [(term.name, getattr(term, part)) for term in memory(answer).terms]
            for answer in (less, more)
        ]
        first, second = (sum(size for name, size in terms if name != apart) for terms in sums)
        assert first <= second, (spec.id, program.id, part)
        whole, then = (sum(size for _, size in terms) for terms in sums)
        assert then >= 0.98 * whole, (spec.id, program.id, part)


@cache
def _paired() -> tuple[tuple[ModelSpec, RuntimeSpec], ...]:
    return tuple(pairs())


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("program", ["llama.cpp", "ollama"])
def test_more_bits_never_need_less(program: str, chain: tuple[str, ...]) -> None:
    """Along the mixes of one kind (M, or S), more bits per weight never make a smaller file, smaller memory or fewer bytes per token."""
    for spec in in_gguf():
        if spec.architecture is not None and spec.architecture.expert_dtype:
            continue
        bare = spec.replace(files=())
        answers = [
            asked(bare, runtime(program), quantization=quantization) for quantization in chain
        ]
        for less, more in pairwise(answers):
            assert less.download_bytes is not None
            assert more.download_bytes is not None
            assert less.download_bytes <= more.download_bytes, spec.id
            assert memory(less).total_bytes <= memory(more).total_bytes, spec.id
            assert memory(less).high_bytes <= memory(more).high_bytes, spec.id
        read = [
            sum(needs.decode_bytes_by_type(bare, runtime(program), "gguf", name, rows()).values())
            for name in chain
        ]
        assert 0 not in read
        assert read == sorted(read), spec.id


@pytest.mark.parametrize("gpu", ["24GiB", "3GiB"])
def test_only_a_processor_has_a_second_layout(gpu: str) -> None:
    """On a GPU the weights lie as they are stored, in one term; what a split leaves in RAM is copied there. Neither changes the sum.

    The token table, which stays in RAM, may be dropped: 32,768 × 4,096 values of Q4_K, 144 bytes for 256.
    """
    machine = apply(
        Machine(planning=True), [f"gpu={gpu}", "memory=64GiB", "instruction_sets=avx2,fma,f16c"]
    )
    spec = catalogue().spec("mistral-7b-instruct-v0.3")
    plain = asked(spec, runtime("llama.cpp"), instruction_sets=("avx2", "fma"))
    placed = next(placements(plain, machine, 32, splits=True))
    assert placed.placement == ("accelerator" if gpu == "24GiB" else "split")
    on_device = [term for term in memory(placed).terms if term.where != "host"]
    assert [term.name for term in on_device].count("weights") == 1
    assert not any(term.is_copy for term in on_device)
    assert any(term.is_copy for term in memory(placed).terms) == (placed.placement == "split")

    def weights(whole: MemoryNeed) -> tuple[int, int, int]:
        terms = [
            term
            for term in whole.terms
            if term.name in ("weights", "repacked_weights", "embeddings")
        ]
        return (
            sum(term.low_bytes for term in terms),
            sum(term.bytes for term in terms),
            sum(term.high_bytes for term in terms),
        )

    low, size, high = weights(memory(plain))
    assert weights(memory(placed)) == (low - 32_768 * 4_096 // 256 * 144, size, high)


# tables by hand, 210 bytes for 256 values of Q6_K and 144 of Q4_K; what the device takes is what llama.cpp printed at load: Llama 3.2 in
# ollama/ollama#8310, which has 308.23 MiB on the CPU; for Gemma 4 E4B others have 2730.00 MiB there (CPU_Mapped, 43 of 43 layers offloaded)
ON_A_CARD = [
    ("llama-3.1-8b-instruct", 128_256 * 4_096 // 256 * 144, 4403.49),
    ("llama-3.2-3b-instruct", 128_256 * 3_072 // 256 * 210, 1918.35),
    ("llama-3.3-70b-instruct", 128_256 * 8_192 // 256 * 144, 39979.48),
    ("gemma-4-e4b-it", (262_144 * 2_560 + 262_144 * 42 * 256) // 256 * 210, None),
    ("gpt2", 50_257 * 768 // 256 * 210 + 1_024 * 768 * 4, None),
]


@pytest.mark.parametrize("program", ["llama.cpp", "ollama", "llama-cpp-python"])
@pytest.mark.parametrize(("model", "tables", "device_mib"), ON_A_CARD)
def test_llama_cpp_keeps_tables_in_ram(
    model: str, tables: int, device_mib: float | None, program: str
) -> None:
    """The input layer is never given to a device (llama.cpp, load_tensors). A token reads one row, so the system may drop the rest."""
    machine = apply(Machine(planning=True), ["gpu=80GiB", "memory=64GiB"])
    placed = next(
        placements(asked(catalogue().spec(model), runtime(program)), machine, 32, splits=True)
    )
    assert placed.placement == "accelerator"
    found = {term.name: term for term in memory(placed).terms}
    kept = found["embeddings"]
    assert (kept.where, kept.low_bytes, kept.bytes, kept.high_bytes) == ("host", 0, tables, tables)
    assert kept.may_be_mapped
    assert found["weights"].where == "accelerator:0"
    if device_mib is not None:
        assert found["weights"].bytes / 2**20 == pytest.approx(device_mib, abs=0.005)
    line = found["weights"].arithmetic
    signed = re.findall(r"([+-] )?([\d,]+) (?:bytes|of them)", line)
    assert (
        sum((-1 if sign == "- " else 1) * int(number.replace(",", "")) for sign, number in signed)
        == found["weights"].bytes
    ), line


def test_a_tied_table_lies_on_both_sides() -> None:
    """However many layers a device takes, it takes the output matrix: of a tied token table there are two then, of all else one."""
    seen = set()
    for spec in in_gguf():
        assert spec.architecture is not None
        plain = asked(spec, runtime("llama.cpp"), instruction_sets=("asimddp", "i8mm"))
        if plain.memory is None or not any(term.offload for term in plain.memory.terms):
            continue
        row = row_of(spec.architecture, rows())
        tied = not (row is not None and row.encoder) and (
            spec.architecture.tied_embeddings or not spec.architecture.output_matrix
        )
        before = sum(
            term.bytes
            for term in plain.memory.terms
            if term.name in ("weights", "repacked_weights")
        )
        more = set()
        for room in (before // 3, before // 2, 2 * before):
            machine = apply(
                Machine(planning=True), [f"gpu={room // 2**20 + 2048}MiB", "memory=4TiB"]
            )
            for placed in placements(plain, machine, spec.architecture.layers, splits=True):
                if placed.placement == "host":
                    continue
                kept = sum(term.bytes for term in memory(placed).terms if term.name == "embeddings")
                after = kept + sum(
                    term.bytes
                    for term in memory(placed).terms
                    if term.name in ("weights", "repacked_weights")
                )
                assert 0 <= after - before <= kept, spec.id
                more.add(after - before)
                seen.add(placed.placement)
        assert len(more) <= 1, (spec.id, more)
        assert not more or (more != {0}) == tied, (spec.id, more)
    assert seen == {"accelerator", "split"}


def _held(placed: Needs) -> dict[str, int]:
    held: dict[str, int] = {}
    for term in memory(placed).terms:
        held[term.where] = held.get(term.where, 0) + term.high_bytes
    return held


def test_a_device_holds_as_many_layers_as_fit_and_no_more() -> None:
    """What a layout puts on a card, with the buffers of a card, is enough for that layout, and a byte less is not: it holds fewer layers.

    So it is on each of several cards: none is given more than it has, whatever the others have left.
    """
    seen = set()
    for spec in in_gguf()[::4]:
        plain = asked(spec, runtime("llama.cpp"), instruction_sets=("avx2", "fma"))
        if plain.memory is None or spec.architecture is None:
            continue
        layers = spec.architecture.layers

        def on_cards(
            size: int, number: int = 1, plain: Needs = plain, layers: int = layers
        ) -> Needs:
            machine = apply(
                Machine(planning=True), [f"gpu={number}x{2**30 + size}:RTX 4090", "memory=4TiB"]
            )
            return next(placements(plain, machine, layers, splits=True))

        third = plain.memory.high_bytes // 3
        for room, number in ((third, 1), (third, 3), (third // 2, 3), (third * 4 // 3, 3)):
            placed = on_cards(room, number)
            held = {where: size for where, size in _held(placed).items() if where != "host"}
            assert max(held.values(), default=0) <= room, (spec.id, held)
            seen.add((placed.placement, number, len(held)))
            if placed.placement == "split" and number == 1:
                (size,) = held.values()
                assert _held(on_cards(size)) == _held(placed), spec.id
                less = on_cards(size - 1)
                assert less.placement == "host" or _held(less)["accelerator:0"] < size, spec.id
    assert {("split", 1, 1), ("split", 3, 3), ("accelerator", 3, 3)} <= seen


def test_gemma_4_e4b_fits_a_card_of_6_gib() -> None:
    """5.0 GiB of weights, of which 2.15 GiB, 262,144 × 42 × 256 values of Q6_K, are tables that never leave the RAM."""
    machine = apply(Machine(planning=True), ["gpu=6GiB", "memory=16GiB"])
    placed = next(
        placements(
            asked(catalogue().spec("gemma-4-e4b-it"), runtime("llama.cpp")),
            machine,
            42,
            splits=True,
        )
    )
    assert placed.placement == "accelerator"
    assert (
        memory(placed).total_bytes
        - memory(asked(catalogue().spec("gemma-4-e4b-it"), runtime("llama.cpp"))).total_bytes
        == 550_502_400
    )


def test_the_output_matrix_goes_with_the_last_layer() -> None:
    """Some layers on a card: the output matrix, 128,256 × 4,096 values of Q6_K, is there whole, and of what is left each layer's share."""
    machine = apply(Machine(planning=True), ["gpu=4GiB", "memory=16GiB"])
    placed = next(
        placements(
            asked(catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp")),
            machine,
            32,
            splits=True,
        )
    )
    assert placed.placement == "split"
    device, host = (term for term in memory(placed).terms if term.name == "weights")
    number = re.search(r"(\d+)/32 of the layers", device.arithmetic)
    assert number is not None
    output = 128_256 * 4_096 // 256 * 210
    layers = round(4403.49 * 2**20) - output
    assert device.bytes == pytest.approx(output + layers * int(number[1]) / 32, abs=10_000)
    assert host.bytes == pytest.approx(layers * (32 - int(number[1])) / 32, abs=10_000)


def test_the_second_layout_changes_no_total() -> None:
    """What the processor repacks moves from one term to another; the originals are evictable and outside the total."""
    spec = catalogue().spec("mistral-7b-instruct-v0.3")
    plain = memory(asked(spec, runtime("llama.cpp")))
    for sets in (("sse4_2", "avx2"), ("avx2", "avx512f"), ("asimddp", "i8mm")):
        layered = memory(asked(spec, runtime("llama.cpp"), instruction_sets=sets))
        assert layered.total_bytes == plain.total_bytes
        assert (
            layered.evictable_bytes
            == next(term.bytes for term in layered.terms if term.name == "repacked_weights")
            > 0
        )
    assert (
        memory(asked(spec, runtime("llama.cpp"), instruction_sets=("sse4_2",))).evictable_bytes == 0
    )


def test_ollama_reserves_the_logits_of_a_whole_batch() -> None:
    """512 rows of logits instead of one: 4 bytes × 511 × vocabulary more on a device, and in RAM none of it is touched."""
    spec = catalogue().spec("llama-3.2-1b-instruct")
    vocabulary = 128_256
    ours = {
        id: next(term for term in memory(asked(spec, runtime(id))).terms if term.name == "compute")
        for id in ("llama.cpp", "ollama")
    }
    assert ours["ollama"].on_device is not None
    assert ours["ollama"].on_device.bytes >= 4 * 512 * vocabulary
    assert ours["llama.cpp"].bytes == ours["ollama"].bytes < 4 * 512 * vocabulary // 2


def test_windows_that_llama_cpp_ignores_are_cached_in_full() -> None:
    """Mistral 7B v0.1 has a window of 4,096 tokens: vLLM keeps those, llama.cpp all 16,384, transformers too while it reads them."""
    spec = catalogue().spec("mistral-7b-instruct-v0.1")
    sizes = {
        id: next(
            term.bytes
            for term in memory(asked(spec, runtime(id), context_tokens=16_384)).terms
            if term.name == "kv_cache"
        )
        for id in ("llama.cpp", "transformers", "vllm")
    }
    assert sizes["llama.cpp"] == 16_384 * 131_072
    assert sizes["transformers"] == 16_384 * 131_072
    assert sizes["vllm"] == 4096 * 131_072


@pytest.mark.parametrize("program", ["transformers", "vllm"])
def test_latent_attention_caches_the_latent_and_one_rope_key(program: str) -> None:
    """DeepSeek-V3 by its config.json: 61 layers, kv_lora_rank 512, qk_rope_head_dim 64, in bfloat16."""
    terms = {
        term.name: term
        for term in memory(asked(catalogue().spec("deepseek-v3"), runtime(program))).terms
    }
    assert terms["kv_cache"].bytes == 61 * (512 + 64) * 2 * 4096


@pytest.mark.parametrize(("context_tokens", "parallel"), [(256, 1), (4096, 1), (3000, 3)])
def test_the_lines_of_transformers_can_be_checked_too(context_tokens: int, parallel: int) -> None:
    """Text models: cache, activations and program, and the weights where they follow from the parameters, give the printed bytes."""
    seen = set()
    for spec, program in _paired():
        if program.id != "transformers" or spec.architecture is None or _in_llamacpp_alone(spec):
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
        ("weights", How.EXACT),
        ("kv_cache", How.EXACT),
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
    pairs = [pair for pair in _paired() if pair[1].id == program]
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
                layers,
                splits="gguf" in found.formats,
                gpu_only=gpu_only,
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
    assert ("split" in seen) == ("gguf" in found.formats)
    assert {"host", "accelerator"} <= seen or len(pairs) < 30


def test_a_processor_that_nobody_told_takes_either_way() -> None:
    """Whether products of bfloat16 hold their results in 32 bits too hangs on its instruction sets: unknown, both lie inside."""
    spec, program = catalogue().spec("mistral-7b-instruct-v0.3"), runtime("transformers")
    workload = Workload(
        runtime="transformers", format="safetensors", quantization="bfloat16", context_tokens=4096
    )
    untold, held, plain = (
        memory(needs.needs_of(spec, program, workload, rows(), instruction_sets=sets))
        for sets in (None, ("avx2", "avx512bw"), ("avx2", "avx512bw", "avx512_bf16"))
    )
    assert plain.total_bytes < held.total_bytes
    assert untold.low_bytes <= plain.low_bytes
    assert untold.high_bytes >= held.high_bytes


def test_attention_that_stores_its_scores_needs_room_for_them() -> None:
    """BLOOM's class has no fused attention: 32 heads × 2,048 × 2,048 scores, a copy and their softmax in float32 at the least."""
    terms = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("bloom-7b1"), runtime("transformers"), context_tokens=2048)
        ).terms
    }
    assert terms["activations"].bytes > 32 * 2048 * 2048 * (2 + 4)


def test_what_transformers_takes_and_nobody_measured_stays_a_wide_guess() -> None:
    """Layers that attend to a picture: assumed, and the high end is at least twice the low one."""
    for id in ("llama-3.2-11b-vision-instruct", "llama-3.2-90b-vision-instruct"):
        terms = {
            term.name: term
            for term in memory(asked(catalogue().spec(id), runtime("transformers"))).terms
        }
        for name in ("activations", "runtime"):
            assert terms[name].how is How.ASSUMED
            assert terms[name].high_bytes >= 2 * terms[name].low_bytes


def test_a_quantized_cache_that_llama_cpp_refuses_is_unknown() -> None:
    """Phi-2 has heads of 80: a q8_0 cache is refused, so the memory is unknown with that reason, and the download is still known."""
    answer = asked(
        catalogue().spec("phi-2"), runtime("llama.cpp"), context_tokens=2048, kv_cache_type="q8_0"
    )
    assert answer.memory is None
    assert answer.download_bytes
    assert "80" in next(entry.reason for entry in answer.unknown if entry.fact == "memory.kv_cache")


def model(**values: Any) -> ModelSpec:
    return ModelSpec(**{"id": "mine", "name": "Mine", **values})


@pytest.mark.parametrize("program", ["llama.cpp", "transformers"])
def test_parameters_alone_give_weights_and_no_total(program: str) -> None:
    """With a parameter count and nothing else the files are a range marked assumed, and memory is unknown because of the cache."""
    answer = asked(model(parameters=Parameters(total=8_000_000_000)), runtime(program))
    assert answer.download_how is How.ASSUMED
    assert answer.download_bytes
    assert answer.memory is None
    assert [entry.fact for entry in answer.unknown] == ["memory.kv_cache"]
    sized = needs.weights_bytes(
        model(parameters=Parameters(total=8_000_000_000)), "gguf", "Q4_K_M", rows()
    )
    assert isinstance(sized, SizedWeights)
    # Llama 3.1 8B, 8.03 B parameters, is 4.92 GB
    assert sized.low_bytes < 4_920_739_232 < sized.high_bytes


def test_a_checkpoint_of_an_unread_type_has_no_size() -> None:
    """Where the spec says that the architecture was not found, nobody knows if weights have 4 or 16 bits: the size is unknown."""
    sought = model(
        parameters=Parameters(total=284_000_000_000), unknown={"architecture": "it has no row yet"}
    )
    answer = asked(sought, runtime("transformers"))
    assert answer.download_bytes is None
    assert answer.memory is None
    assert all(entry.reason and entry.remedy for entry in answer.unknown)
    plain = needs.weights_bytes(
        model(parameters=Parameters(total=8_000_000_000)), "safetensors", "bfloat16", rows()
    )
    assert isinstance(plain, SizedWeights)
    # four bits and a scale for each 32 weights; float32
    assert plain.low_bytes <= 8_000_000_000 * 4.25 / 8
    assert plain.high_bytes >= 8_000_000_000 * 4


def test_a_model_without_feed_forwards_is_no_crash() -> None:
    """No spec must have one, and a config.json that uses none of its experts has none: what is not there takes nothing."""
    for spec in {
        spec.architecture.row: spec for spec in in_gguf() if spec.architecture is not None
    }.values():
        assert spec.architecture is not None
        bare = asked(
            spec.replace(architecture=spec.architecture.replace(feed_forward=())),
            runtime("llama.cpp"),
        )
        assert bare.memory is not None or bare.unknown, spec.id


def test_an_unknown_architecture_has_a_wide_range_and_an_exact_cache() -> None:
    """Groups without a row: the cache follows from the groups, weights from the parameters, and the total says how wide it may be."""
    plain = catalogue().spec("llama-3.1-8b-instruct")
    assert plain.architecture is not None
    strange = plain.replace(architecture=plain.architecture.replace(row="never-seen"), files=())
    terms = {term.name: term for term in memory(asked(strange, runtime("llama.cpp"))).terms}
    known = {
        term.name: term
        for term in memory(asked(plain.replace(files=()), runtime("llama.cpp"))).terms
    }
    assert terms["kv_cache"].bytes == known["kv_cache"].bytes
    assert terms["weights"].how is How.ASSUMED
    assert terms["weights"].low_bytes < known["weights"].bytes < terms["weights"].high_bytes
    assert (
        terms["compute"].high_bytes - terms["compute"].low_bytes
        > known["compute"].high_bytes - known["compute"].low_bytes
    )


def test_nothing_known_is_unknown_and_never_zero() -> None:
    """A spec that states neither sizes nor needs has None everywhere, each with a reason and a remedy."""
    for answer in (
        asked(model(), runtime("llama.cpp")),
        needs.needs_of(model(), None, Workload(), rows()),
    ):
        assert answer.memory is None
        assert answer.download_bytes is None
        assert answer.disk_bytes is None
        assert {entry.fact for entry in answer.unknown} == {"download_bytes", "memory"}
        assert all(entry.reason and entry.remedy for entry in answer.unknown)


def test_stated_needs_are_taken_as_they_are() -> None:
    """A spec of a few lines with [needs] alone is one stated term with its range, whatever the runtime."""
    stated = StatedNeeds(
        low_bytes=6 * 2**30, high_bytes=8 * 2**30, disk_bytes=5_000_000_000, source="my notes"
    )
    for program in (None, runtime("llama.cpp")):
        answer = needs.needs_of(model(needs=stated), program, Workload(), rows())
        (term,) = memory(answer).terms
        assert (term.low_bytes, term.high_bytes, term.how, term.source) == (
            6 * 2**30,
            8 * 2**30,
            How.STATED,
            "my notes",
        )
        assert answer.download_bytes == answer.disk_bytes == 5_000_000_000


def test_a_closed_model_needs_nothing_here() -> None:
    """There are no weights, so neither size nor memory is known, and the reason says so."""
    answer = needs.needs_of(model(openness=Openness(weights="closed")), None, Workload(), rows())
    assert answer.memory is None
    assert "never published" in answer.unknown[0].reason


def test_a_publishers_own_mix_is_stated_or_unknown() -> None:
    """UD and XL files follow no known recipe: without a listed size they are unknown, not computed."""
    sized = needs.weights_bytes(
        catalogue().spec("llama-3.1-8b-instruct"), "gguf", "UD-Q4_K_XL", rows()
    )
    assert isinstance(sized, Unread)
    assert sized.reason
    assert sized.remedy


def test_an_image_model_is_downloaded_in_the_type_it_is_published_in() -> None:
    """FLUX.1 [dev]: 9.98 + 9.95 + 3.87 GB of transformer and 0.168 of VAE are listed; T5-XXL and CLIP-L: 4.76e9 and 0.123e9 in 16 bits."""
    found = needs.weights_bytes(catalogue().spec("flux.1-dev"), "safetensors", "bfloat16", rows())
    assert isinstance(found, SizedWeights)
    assert found.bytes == pytest.approx(
        (9.98 + 9.95 + 3.87 + 0.168 + 2 * (4.76 + 0.123)) * 1e9, rel=1e-3
    )


def test_names_people_type_are_understood() -> None:
    """Case and common short forms do not matter; a name nobody makes is None."""
    for text, name in (
        ("q4_k_m", "Q4_K_M"),
        ("Q4_K", "Q4_K_M"),
        ("mxfp4", "MXFP4"),
        ("fp16", "F16"),
        ("BFloat16", "bfloat16"),
    ):
        assert needs.canonical_quantization(text) == name
    assert needs.canonical_quantization("Q9_K_XXL") is None
    for name in needs.QUANTIZATIONS:
        assert needs.canonical_quantization(name) in needs.QUANTIZATIONS


@pytest.mark.parametrize(
    ("id", "program", "expected"),
    [
        ("mistral-7b-instruct-v0.3", "llama.cpp", ("gguf", "Q4_K_M")),
        ("gpt-oss-20b", "ollama", ("gguf", "MXFP4")),
        ("opt-1.3b", "transformers", ("pickle", "float16")),
        ("llama-3.1-8b-instruct", "vllm", ("safetensors", "bfloat16")),
        ("whisper-base", "whisper.cpp", ("ggml", "F16")),
        ("stable-diffusion-1.5", "diffusers", ("safetensors", "float32")),
        ("flux.1-dev", "diffusers", ("safetensors", "bfloat16")),
    ],
)
def test_defaults_fit_the_model(id: str, program: str, expected: tuple[str, str]) -> None:
    """What is taken unless something else is asked for, and it is one of the choices."""
    spec = catalogue().spec(id)
    found = needs.default_format_and_quantization(spec, runtime(program))
    assert found[1] == expected[1]
    assert found[0] == expected[0] or expected[0] == "pickle"
    assert found[1] in needs.quantizations_of(spec, runtime(program), rows())


def test_choices_come_best_first() -> None:
    """Quantizations are listed from the best down."""
    names = needs.quantizations_of(
        catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"), rows()
    )
    assert names.index("Q8_0") < names.index("Q4_K_M") < names.index("Q3_K_M") < names.index("Q2_K")


def test_models_published_in_four_bits_come_in_no_other_type() -> None:
    """gpt-oss was trained in MXFP4: other quantizations would be larger and no better."""
    assert needs.quantizations_of(
        catalogue().spec("gpt-oss-20b"), runtime("llama.cpp"), rows()
    ) == ("MXFP4",)


def test_decoding_reads_only_the_experts_that_are_used() -> None:
    """Qwen3 30B A3B reads about a tenth of its weights per token: 3.3 of 30.5 billion parameters are active."""
    spec = catalogue().spec("qwen3-30b-a3b")
    read = sum(
        needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "Q8_0", rows()).values()
    )
    # 34 bytes per 32 weights; of the untied token table one row is read
    assert abs(read - (3_353_032_704 - 151_936 * 2048) * 34 / 32) < 0.02 * read


def test_vllm_works_on_as_much_at_once_whatever_is_asked_for() -> None:
    """Its start-up tries 2,048 tokens and 256 sequences, on a large device 8,192 and 1,024 (vllm 0.33.0, get_batch_defaults)."""
    spec = catalogue().spec("qwen2.5-1.5b-instruct")

    def activations(context: int, parallel: int) -> Term:
        found = needs.needs_of(
            spec, runtime("vllm"), Workload(context_tokens=context, parallel=parallel), rows()
        ).memory
        assert found is not None
        return next(term for term in found.terms if term.name == "activations")

    one = activations(4096, 1)
    assert one == activations(4096, 256) == activations(32_768, 1)
    # 151,936 logits: 16 bits, and three times 32
    assert activations(4096, 300).bytes - one.bytes == 44 * 151_936 * 14
    assert one.on_large is not None
    assert one.on_large.bytes - one.bytes == 768 * 151_936 * 14 + 6144 * 1536 * 2


@pytest.mark.parametrize(
    "id",
    ["gemma-3-12b-it", "qwen3.5-2b", "mistral-small-3.2-24b-instruct-2506", "qwen3-vl-4b-instruct"],
)
def test_a_model_that_sees_runs_as_text_where_its_encoders_are_left_out(id: str) -> None:
    """mlx-lm's sanitize drops the vision tower, of files that hold it; for a GGUF the projector is another file."""
    spec = catalogue().spec(id)
    for program in ("mlx", "llama-cpp-python"):
        assert needs.why_not_loaded(spec, runtime(program)) is None
        assert needs.takes_text_alone(spec, runtime(program))
    found = needs.needs_of(spec, runtime("mlx"), Workload(), rows())
    assert found.memory is not None
    assert found.download_bytes is not None
    weights = next(term for term in found.memory.terms if term.name == "weights")
    assert weights.bytes == found.download_bytes - 2 * (spec.parameters.encoders or 0)
    assert weights.low_bytes <= weights.bytes <= weights.high_bytes
    seeing, text = (
        needs.needs_of(spec, runtime(program), Workload(), rows())
        for program in ("llama.cpp", "llama-cpp-python")
    )
    assert seeing.memory is not None
    assert text.memory is not None
    assert {"projector"} == {term.name for term in seeing.memory.terms} - {
        term.name for term in text.memory.terms
    } - {"projector_compute"}
    projector = next(term for term in seeing.memory.terms if term.name == "projector")
    assert (seeing.download_bytes or 0) - (text.download_bytes or 0) == projector.bytes


@pytest.mark.parametrize(
    ("id", "program"),
    [("llava-1.5-7b", "mlx"), ("llama-3.2-11b-vision-instruct", "llama-cpp-python")],
)
def test_a_model_that_sees_does_not_run_where_nothing_loads_it(id: str, program: str) -> None:
    """mlx-lm has no class for LLaVA, and llama.cpp no architecture for Llama 3.2 Vision."""
    assert needs.why_not_loaded(catalogue().spec(id), runtime(program)) is not None


def test_vllm_reads_a_32_bit_model_as_16_bits() -> None:
    """vLLM's --dtype auto loads float32 checkpoints in bfloat16: of GPT-2's 124,439,808 published parameters 2 bytes each are read."""
    spec = catalogue().spec("gpt2")
    read = needs.decode_bytes_by_type(spec, runtime("vllm"), "safetensors", "float32", rows())
    assert list(read) == ["bfloat16"]
    assert read["bfloat16"] == pytest.approx(2 * 124_439_808, rel=0.01)
    whole = needs.decode_bytes_by_type(
        spec, runtime("transformers"), "safetensors", "float32", rows()
    )
    assert whole["float32"] == pytest.approx(4 * 124_439_808, rel=0.01)


def test_of_narrow_experts_a_token_reads_those_it_uses() -> None:
    """gpt-oss 20B uses 4 of 32 experts: 24 layers × 4 × 3 matrices of 2,880 × 2,880 in blocks of 32 that take 17 bytes, in any program."""
    spec, experts = catalogue().spec("gpt-oss-20b"), 24 * 4 * 3 * 2880 * 2880 // 32 * 17
    read = needs.decode_bytes_by_type(spec, runtime("vllm"), "safetensors", "mxfp4", rows())
    assert read["mxfp4"] == experts
    assert (
        needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "MXFP4", rows())["MXFP4"]
        == experts
    )
    # all else in 16 bits, less the token table of 201,088 × 2,880
    total, stored = spec.parameters.total or 0, experts * 8 // 17 * 32
    assert read["bfloat16"] == pytest.approx(2 * (total - stored - 201_088 * 2880), rel=0.001)


def test_an_encoder_of_unknown_size_is_in_no_total() -> None:
    """A config.json of a model type with code of its own: fine-tuning and MLX files, which hold its encoder, are unknown and say so."""
    local = read_local(str(CONFIGS / "deepseek-ai--deepseek-vl2-tiny.json"), rows())
    spec = local.spec.replace(
        files=(
            PublishedFiles(
                format="safetensors", source="a listing", bytes={"bfloat16": 16_584_333_312}
            ),
        )
    )
    answer = asked(spec, runtime("transformers"), task="finetune", kv_cache_type=None)
    assert answer.memory is None
    assert answer.download_bytes == 16_584_333_312
    (why,) = (entry for entry in answer.unknown if entry.fact == "memory")
    assert "encoder" in why.reason
    assert why.remedy
    assert spec.architecture is not None
    partly = spec.replace(
        parameters=Parameters(total=8_292_166_656),
        architecture=spec.architecture.replace(vocabulary=None),
    )
    sized = needs.weights_bytes(partly, "mlx", "4bit", rows())
    assert isinstance(sized, Unread)
    assert "encoder" in sized.reason


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_architecture_breaks_the_arithmetic(data: st.DataObject) -> None:
    """Whatever sizes a spec states, there is an answer with low <= best <= high or a reason, and no exception."""
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
        window_tokens=data.draw(st.one_of(st.none(), size)) if kind == "sliding" else None,
        latent_length=data.draw(size) if kind == "latent" else None,
        rope_length=data.draw(size) if kind == "latent" else None,
    )
    experts = data.draw(st.one_of(st.none(), st.integers(1, 512)))
    architecture = Architecture(
        row=data.draw(
            st.sampled_from(["llama", "gemma4", "deepseek2", "bert", "falcon", "unheard-of"])
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
        parameters=Parameters(total=data.draw(st.one_of(st.none(), st.integers(1, 10**15)))),
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


def test_layers_that_attend_to_an_image_are_counted() -> None:
    """Llama 3.2 11B Vision: 9,775,192,080 parameters in its text part (the transformers 5.23.0 class built without weights)."""
    crossing = tuple(range(3, 40, 5))
    plain = tuple(layer for layer in range(40) if layer not in crossing)
    sizes: dict[str, Any] = {"heads": 32, "kv_heads": 8, "key_length": 128, "value_length": 128}
    architecture = Architecture(
        row="mllama",
        runs_in_gguf=False,
        layers=40,
        embedding_length=4096,
        heads=32,
        vocabulary=128_256,
        attention=(
            Attention(layers=plain, **sizes),
            Attention(kind="cross", layers=crossing, query_key_norm="head", **sizes),
        ),
        feed_forward=(FeedForward(layers=tuple(range(40)), length=14_336),),
    )
    row = row_of(architecture, rows())
    assert row is not None
    assert count(checkpoint_tensors(architecture, row)) == 9_775_192_080


def test_experts_beside_a_dense_feed_forward_are_counted() -> None:
    """Gemma 4 26B A4B: 25,233,141,760 parameters in its text part (the transformers 5.23.0 class built without weights)."""
    full = tuple(range(5, 30, 6))
    rest = tuple(layer for layer in range(30) if layer not in full)
    architecture = Architecture(
        row="gemma4",
        runs_in_gguf=True,
        layers=30,
        embedding_length=2816,
        heads=16,
        vocabulary=262_144,
        tied_embeddings=True,
        attention=(
            Attention(
                layers=full,
                heads=16,
                kv_heads=2,
                key_length=512,
                value_length=512,
                values_from_keys=True,
            ),
            Attention(
                kind="sliding",
                layers=rest,
                heads=16,
                kv_heads=8,
                key_length=256,
                value_length=256,
                window_tokens=1024,
            ),
        ),
        feed_forward=(
            FeedForward(
                layers=tuple(range(30)), length=704, experts=128, used=8, beside_dense=2112
            ),
        ),
    )
    row = row_of(architecture, rows())
    assert row is not None
    assert count(checkpoint_tensors(architecture, row)) == 25_233_141_760


def test_a_size_left_out_is_not_counted_as_nothing() -> None:
    """Without the vocabulary, or the feed-forward, the weights do not follow from the architecture: they are estimated, or unknown."""
    plain = catalogue().spec("llama-3.1-8b-instruct").replace(files=())
    assert plain.architecture is not None
    for gap in (
        plain.architecture.replace(vocabulary=None),
        plain.architecture.replace(feed_forward=()),
    ):
        for program in ("llama.cpp", "transformers", "mlx"):
            answer = asked(
                plain.replace(architecture=gap, parameters=Parameters(total=8_030_261_312)),
                runtime(program),
            )
            whole = asked(plain, runtime(program))
            assert answer.download_bytes is not None
            assert whole.download_bytes is not None
            assert answer.download_bytes > 0.85 * whole.download_bytes
            bare = asked(plain.replace(architecture=gap, parameters=Parameters()), runtime(program))
            assert bare.download_bytes is None
            assert bare.memory is None


@pytest.mark.parametrize(
    ("id", "context_tokens", "each", "layers_with_window", "layers_without", "window"),
    [
        # without make_cache in mlx_lm/models: every layer gets a KVCache
        ("gemma-2-9b-it", 8192, 2 * 8 * 256 * 2, 0, 42, 0),
        ("phi-3-mini-4k-instruct", 4096, 2 * 32 * 96 * 2, 0, 32, 0),
        ("starcoder2-7b", 16384, 2 * 4 * 128 * 2, 0, 32, 0),
        # MODEL_REMAPPING gives mistral to llama.py, which windows by layer_types alone
        ("mistral-7b-instruct-v0.1", 32768, 2 * 8 * 128 * 2, 0, 32, 0),
        # with make_cache: RotatingKVCache, whose largest size is max_size + S - 1, S being the 2,048 tokens of prefill_step_size
        ("gemma-3-27b-it", 32768, 2 * 16 * 128 * 2, 52, 10, 1024),
        ("gpt-oss-20b", 32768, 2 * 8 * 64 * 2, 12, 12, 128),
        ("olmo-3-7b-instruct", 32768, 2 * 32 * 128 * 2, 24, 8, 4096),
    ],
)
def test_mlx_keeps_all_tokens_where_its_model_has_no_rotating_cache(
    id: str,
    context_tokens: int,
    each: int,
    layers_with_window: int,
    layers_without: int,
    window: int,
) -> None:
    """mlx_lm 0.32.2: make_cache of the model's module decides, whatever window the config names; a prompt is read in long pieces."""
    spec = catalogue().spec(id)
    found = memory(asked(spec, runtime("mlx"), context_tokens=context_tokens, quantization="4bit"))
    cache = next(term for term in found.terms if term.name == "kv_cache")
    assert cache.bytes == each * (layers_without * context_tokens + layers_with_window * window)
    assert cache.high_bytes == each * (
        layers_without * context_tokens + layers_with_window * (window + 2048 - 1 if window else 0)
    )


def test_mlx_computes_in_the_type_of_its_files() -> None:
    """mlx_lm.convert --dtype bfloat16 of GPT-2 XL's 32-bit weights: keys and values of 48 layers × 1,600 are in 16 bits as well."""
    spec, program = catalogue().spec("gpt2-xl"), runtime("mlx")
    for quantization, width in (("bf16", 2), ("fp16", 2), ("4bit", 4)):
        found = memory(asked(spec, program, context_tokens=1024, quantization=quantization))
        assert (
            next(term.bytes for term in found.terms if term.name == "kv_cache")
            == 2 * 48 * 1600 * 1024 * width
        )


def test_vllm_loads_32_bit_weights_as_16_bit_ones() -> None:
    """vLLM documentation, engine arguments: --dtype auto is "FP16 precision for FP32 and FP16 models"; the files stay as published."""
    spec, program = catalogue().spec("gpt2-xl"), runtime("vllm")
    found = {term.name: term for term in memory(asked(spec, program, context_tokens=1024)).terms}
    # 1,557,611,200 parameters; 48 layers × K and V of 1,600
    assert found["weights"].bytes == 2 * 1_557_611_200
    assert found["weights"].high_bytes < 1.1 * found["weights"].bytes
    assert found["kv_cache"].bytes == 2 * 48 * 1600 * 1024 * 2
    download = asked(spec, program, context_tokens=1024).download_bytes
    assert download is not None
    # openai-community/gpt2-xl, model.safetensors: 6.43 GB
    assert download == pytest.approx(6.43e9, rel=0.001)


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


def test_an_exact_buffer_beside_a_range_says_why() -> None:
    """What llama.cpp reserves is known to the byte; pages that no token reached are not resident, so the low end is below."""
    found = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"))
        ).terms
    }["compute"]
    assert found.how is How.EXACT
    assert found.low_bytes < found.bytes == found.high_bytes
    less = found.bytes - found.low_bytes
    assert (
        f"{less:,} bytes less are touched while no more than 512 tokens are in the context"
        in found.arithmetic
    )


@pytest.mark.parametrize("id", ["llama.cpp", "llama-cpp-python"])
def test_other_uses_are_in_the_range_as_far_as_it_stays_narrow_and_told_in_words_everywhere(
    id: str,
) -> None:
    """± 10 % at most; what a short prompt takes less is in it, or a part of that, and always in the arithmetic."""
    seen = set()
    for spec in in_gguf():
        if needs.why_not_loaded(spec, runtime(id)):
            continue
        answer = memory(asked(spec, runtime(id), context_tokens=8192))
        width = (answer.high_bytes - answer.low_bytes) / (answer.high_bytes + answer.low_bytes)
        for term in answer.terms:
            told = re.search(r"; ([\d,]+) bytes less are touched", term.arithmetic)
            if term.name == "compute" and told:
                least = term.bytes - int(told[1].replace(",", ""))
                assert least <= term.low_bytes <= term.bytes == term.high_bytes, spec.id
                seen.add(term.low_bytes == least)
                assert width <= 0.1, spec.id
    # flash attention leaves little that a short prompt does not touch
    assert seen == {True, False}


def test_a_use_that_comes_to_matter_more_lowers_no_end() -> None:
    """As the context, the sequences or the cache grow, so does each end of the need, in RAM and on a card.

    Of models with an encoder's largest picture, copies to go back to, states or scores that grow past what the ends have room for.
    """
    card = apply(Machine(planning=True), ["gpu=80GiB:H100", "memory=4TiB"])
    grid = [
        (tokens, sequences, "f16")
        for tokens in (1, 300, 520, 2048, 4096, 32_768)
        for sequences in (1, 2, 4)
    ]
    grid += [
        (tokens, sequences, type)
        for tokens, sequences in ((4096, 4), (32_768, 4))
        for type in KV_CACHE_TYPES
    ]
    for id in (
        "qwen3.5-4b",
        "qwen3.5-0.8b",
        "falcon-h1-1.5b-instruct",
        "granite-4.0-h-1b",
        "lfm2-350m",
        "olmo-3-7b-instruct",
    ):
        for program in map(runtime, ("llama.cpp", "ollama", "llama-cpp-python")):
            spec, found = catalogue().spec(id), {}
            for tokens, sequences, type in grid:
                answer = asked(
                    spec, program, context_tokens=tokens, parallel=sequences, kv_cache_type=type
                )
                if answer.memory is None:
                    continue
                sides = (answer, next(placements(answer, card, 99, splits=True)))
                assert [side.placement for side in sides] == ["host", "accelerator"]
                # a quantized cache is rotated in buffers of its own: with f16 the buffer of a Falcon-H1 is smaller
                apart = "compute" if id.startswith("falcon") else ""
                found[tokens, sequences, KV_CACHE_TYPES[::-1].index(type)] = [
                    sum(getattr(term, end) for term in memory(side).terms if term.name != apart)
                    for side in sides
                    for end in ("low_bytes", "bytes", "high_bytes")
                ]
            for less, small in found.items():
                for more, large in found.items():
                    if less != more and all(
                        one <= other for one, other in zip(less, more, strict=True)
                    ):
                        assert all(one <= other for one, other in zip(small, large, strict=True)), (
                            id,
                            program.id,
                            less,
                            more,
                        )


def test_a_longer_prompt_takes_no_more_of_the_tokenizer_than_it_adds() -> None:
    """A text is put where the tokenizer was read, but a picture before it is not, nor is a prompt in the memory of a GPU."""
    card = apply(Machine(planning=True), ["gpu=80GiB:H100", "memory=4TiB"])
    for id, quantization in product(
        ("gemma-3n-e2b-it", "gemma-3-4b-it", "gemma-2-2b-it"), ("bfloat16", "nf4")
    ):
        for sequences in (1, 2):
            found = []
            for tokens in (64, 512, 1024, 1500, 2048, 4096):
                answer = asked(
                    catalogue().spec(id),
                    runtime("transformers"),
                    quantization=quantization,
                    context_tokens=tokens,
                    parallel=sequences,
                )
                sides = (answer, next(placements(answer, card, None, splits=False)))
                assert sides[1].placement == "accelerator"
                ends = ("low_bytes", "total_bytes", "high_bytes")
                found.append([getattr(memory(side), end) for side in sides for end in ends])
                on_gpu = {term.name: term for term in memory(sides[1]).terms}["tokenizer"]
                found[-1] += [on_gpu.low_bytes, on_gpu.high_bytes]
            for less, more in pairwise(found):
                assert all(one <= other for one, other in zip(less, more, strict=True)), (
                    id,
                    quantization,
                    sequences,
                    less,
                    more,
                )


def test_more_recordings_at_once_never_need_less() -> None:
    """A batch of pieces has less text before each than one recording alone has, which is asked for too where several are."""
    card = apply(Machine(planning=True), ["gpu=80GiB:H100", "memory=4TiB"])
    for id, program in product(
        ("whisper-large-v1", "whisper-tiny", "whisper-medium.en"), ("faster-whisper", "whisper.cpp")
    ):
        spec = catalogue().spec(id)
        for type, seconds in product(
            needs.quantizations_of(spec, runtime(program), rows()), (20, 40, 3600, None)
        ):
            found = []
            for pieces in range(1, 6):
                answer = asked(
                    spec,
                    runtime(program),
                    quantization=type,
                    parallel=pieces,
                    audio_seconds=seconds,
                )
                sides = (answer, next(placements(answer, card, None, splits=False)))
                found.append(
                    [
                        getattr(memory(side), end)
                        for side in sides
                        for end in ("low_bytes", "total_bytes", "high_bytes")
                    ]
                )
            for less, more in pairwise(found):
                assert all(one <= other for one, other in zip(less, more, strict=True)), (
                    id,
                    program,
                    type,
                    seconds,
                )


@pytest.mark.parametrize(
    ("id", "stored", "listed"),
    [
        # sizes that the repositories list for their model.safetensors, to three digits
        ("gpt-neo-2.7b", "float32", 10.7e9),
        ("gpt-neo-125m", "float32", 526e6),
        ("mamba-130m", "float32", 517e6),
        ("mamba-370m", "float32", 1.49e9),
        ("mamba-790m", "float32", 3.17e9),
        ("bloom-560m", "float16", 1.12e9),
        ("bloom-1b7", "float16", 3.44e9),
        ("bloom-7b1", "float16", 14.14e9),
        ("whisper-large-v2", "float32", 6.17e9),
        ("all-minilm-l6-v2", "float32", 90.9e6),
        ("bge-large-en-v1.5", "float32", 1.34e9),
        ("mxbai-embed-large-v1", "float16", 670e6),
        ("openai-gpt", "float32", 479e6),
    ],
)
def test_a_checkpoint_is_as_large_as_its_repository_lists(
    id: str, stored: str, listed: float
) -> None:
    """32 bits are twice 16: the type that a spec states is the one its files have."""
    (spec,) = (one for one in specs() if one.id == id)
    assert needs.default_format_and_quantization(spec, runtime("transformers")) == (
        "safetensors",
        stored,
    )
    sized = needs.weights_bytes(spec, "safetensors", stored, rows())
    assert isinstance(sized, SizedWeights)
    assert sized.bytes == pytest.approx(listed, rel=0.01)
