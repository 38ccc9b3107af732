"""Which part lies on a processor and which on a device."""

from __future__ import annotations

import re

import pytest

from helpers.arithmetic import calculate
from helpers.each import each
from helpers.needs_of import asked, catalogue, in_gguf, memory, rows, runtime
from selfhost.judge.placement import Spreading, placements
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.needs import needs_on
from selfhost.needs.quantization import BLOCKS
from selfhost.needs.records import Device, MemoryNeed, Needs
from selfhost.needs.repack import LAYOUTS
from selfhost.needs.tensors import row_of

# what Linux lists of a Xeon from Sapphire Rapids on, as far as programs ask for it
AMX_SETS = ("avx2", "avx512f", "avx512bw", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")


@pytest.mark.parametrize("gpu", ["24GiB", "3GiB"])
@pytest.mark.parametrize("sets", [("avx2", "fma", "f16c"), AMX_SETS])
def test_only_a_processor_has_a_second_layout(gpu: str, sets: tuple[str, ...]) -> None:
    """On a GPU the weights lie as they are stored, in one term, and so do those that a split leaves in RAM (llama.cpp
    0c1e570, make_cpu_buft_list: the GPU's kind of RAM before the processor's layout). Neither changes the sum.

    The token table, which stays in RAM, may be dropped: 32,768 × 4,096 values of Q4_K, 144 bytes for 256.
    """
    machine = apply(
        Machine(planning=True), [f"gpu={gpu}", "memory=64GiB", f"instruction_sets={','.join(sets)}"]
    )
    spec, program = catalogue().spec("mistral-7b-instruct-v0.3"), runtime("llama-cpp-python")
    plain = asked(spec, program, instruction_sets=sets)
    placed = next(placements(plain, machine, Spreading(shared_layers=32)))
    assert placed.placement == ("accelerator" if gpu == "24GiB" else "split")
    on_device = [term for term in memory(placed).terms if term.where != "host"]
    assert [term.name for term in on_device].count("weights") == 1
    assert any(term.is_copy for term in memory(plain).terms)
    assert not any(term.is_copy for term in memory(placed).terms)

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

    low, size, high = weights(memory(asked(spec, program)))
    assert weights(memory(placed)) == (low - 32_768 * 4_096 // 256 * 144, size, high)


# what llama.cpp printed as the AMX buffer of the weights, in MiB: 0c1e570 on a Xeon guest, all 225 matrices of Mistral 7B but the token table; in
# ggml-org/llama.cpp#19184 the tied table was laid out too; the log of b4311 in ggml-org/ci has Pythia with Q5_K among Q4_K, a table in Q6_K beside
# Q5_0, which has no kernels there, and BGE small in F16, as it is stored
AMX_BUFFERS = [
    ("mistral-7b-instruct-v0.2", "Q4_K_M", 4183.04),
    ("lfm2.5-1.2b-instruct", "Q8_0", 1325.25),
    ("pythia-1.4b", "Q4_K_M", 829.10),
    ("pythia-1.4b", "Q5_0", 80.60),
    ("bge-small-en-v1.5", "F16", 40.50),
]


@each(("model", "quantization", "mib"), AMX_BUFFERS)
def test_amx_has_a_layout_of_its_own(model: str, quantization: str, mib: float) -> None:
    """A processor with AMX lays out more types than others, and blocks of some are larger there than in the file."""
    found = memory(
        asked(
            catalogue().spec(model),
            runtime("ollama"),
            quantization=quantization,
            instruction_sets=AMX_SETS,
        )
    )
    (copy,) = (term for term in found.terms if term.is_copy)
    assert copy.bytes / 2**20 == pytest.approx(mib, abs=0.005)
    assert calculate(copy.arithmetic) == copy.bytes
    assert copy.low_bytes <= copy.bytes <= copy.high_bytes


def test_a_tied_table_is_laid_out_anew_as_the_output_matrix() -> None:
    """A log of Qwen3 4B in Q4_K_M on Windows on ARM (withcatai/node-llama-cpp#556): CPU_REPACK 2375.16 MiB, with token_embd.weight in q6_K_8x8; it
    is mapped as well, for rows are looked up there. On a GPU there are two of it in any case.
    """
    found = memory(
        asked(
            catalogue().spec("qwen3-4b"),
            runtime("llama.cpp"),
            quantization="Q4_K_M",
            instruction_sets=("asimddp", "i8mm"),
        )
    )
    sizes = {term.name: term.bytes for term in found.terms}
    table = 151_936 * 2_560 // 256 * 210
    assert sizes["repacked_weights"] / 2**20 == pytest.approx(2375.16, abs=0.005)
    assert found.evictable_bytes == sizes["repacked_weights"] - table
    assert table < sizes["weights"] < 1.01 * table


def test_a_block_of_amx_has_the_bytes_of_its_row_size() -> None:
    """llama.cpp 0c1e570, amx/mmq.cpp, get_row_size: sizeof of the block (ggml-common.h), and 4 bytes of sums more in Q8_0, 4 of unpacked scales in
    Q4_K and Q5_K, 2 in IQ4_XS.
    """
    amx, _ = LAYOUTS["amx_int8"]
    assert {type: BLOCKS[type][1] + amx.more_bytes.get(type, 0) for type in amx.rows} == {
        "Q4_0": 18, "Q4_1": 20, "Q8_0": 38, "Q4_K": 148, "Q5_K": 180, "Q6_K": 210, "IQ4_XS": 138, "F16": 2,
    }  # fmt: skip


def test_experts_have_the_other_layout_beside_amx() -> None:
    """amx/amx.cpp takes MUL_MAT alone, and repack.cpp the stacks of MUL_MAT_ID: 128 experts × 3 × 2,048 × 768 values of Qwen3 30B A3B in 48
    layers, half of those of ffn_down in Q6_K, which it leaves in the file.
    """
    spec = catalogue().spec("qwen3-30b-a3b")
    both, repacked = (
        next(term for term in memory(answer).terms if term.is_copy)
        for sets in (AMX_SETS, ("avx2", "avx512f"))
        for answer in [asked(spec, runtime("ollama"), quantization="Q4_K_M", instruction_sets=sets)]
    )
    stacks = 128 * 2_048 * 768 * (2 * 48 + 24) // 256 * 144
    assert f"{stacks:,} bytes of Q4_K" in both.arithmetic
    assert repacked.bytes > stacks
    assert calculate(both.arithmetic) == both.bytes


def test_a_command_with_no_repack_has_no_second_layout() -> None:
    """Where llama.cpp may crash its command has --no-repack (tools/server/README.md), and all weights are mapped as they lie in the file."""
    spec = catalogue().spec("mistral-7b-instruct-v0.3")
    mapped = memory(asked(spec, runtime("llama.cpp"), instruction_sets=AMX_SETS))
    assert mapped == memory(asked(spec, runtime("llama.cpp"), instruction_sets=("sse4_2",)))
    assert mapped.evictable_bytes == 0


# tables by hand, 210 bytes for 256 values of Q6_K and 144 of Q4_K; what the device takes is what llama.cpp printed at load: Llama 3.2 in
# ollama/ollama#8310, which has 308.23 MiB on the CPU; for Gemma 4 E4B others have 2730.00 MiB there (CPU_Mapped, 43 of 43 layers offloaded)
ON_A_CARD = [
    ("llama-3.1-8b-instruct", 128_256 * 4_096 // 256 * 144, 4403.49),
    ("llama-3.2-3b-instruct", 128_256 * 3_072 // 256 * 210, 1918.35),
    ("llama-3.3-70b-instruct", 128_256 * 8_192 // 256 * 144, 39979.48),
    ("gemma-4-e4b-it", (262_144 * 2_560 + 262_144 * 42 * 256) // 256 * 210, None),
    ("gpt2", 50_257 * 768 // 256 * 210 + 1_024 * 768 * 4, None),
]


@each("program", ["llama.cpp", "ollama", "llama-cpp-python"])
@each(("model", "tables", "device_mib"), ON_A_CARD)
def test_llama_cpp_keeps_tables_in_ram(
    model: str, tables: int, device_mib: float | None, program: str
) -> None:
    """The input layer is never given to a device (llama.cpp, load_tensors). A token reads one row, so the system may drop the rest."""
    machine = apply(Machine(planning=True), ["gpu=80GiB", "memory=64GiB"])
    placed = next(
        placements(
            asked(catalogue().spec(model), runtime(program)), machine, Spreading(shared_layers=32)
        )
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
    """However many layers a device takes, it takes the output matrix: of a tied token table there are two then, of all else one.

    Every fifth model is laid out.
    """
    seen = set()
    for spec in in_gguf()[::5]:
        assert spec.architecture is not None
        plain = asked(spec, runtime("llama.cpp"), instruction_sets=("asimddp", "i8mm"))
        if plain.memory is None:
            continue
        there = memory(needs_on(plain, Device())).terms
        if not any(term.output_bytes for term in there):
            continue
        row = row_of(spec.architecture, rows())
        tied = not (row is not None and (row.encoder or row.output_in_gguf)) and (
            spec.architecture.tied_embeddings or not spec.architecture.output_matrix
        )
        # the processor's second layout has a tied table twice as well
        before = sum(
            term.bytes
            for term in memory(asked(spec, runtime("llama.cpp"))).terms
            if term.name == "weights"
        )
        more = set()
        for room in (before // 3, before // 2, 2 * before):
            machine = apply(
                Machine(planning=True), [f"gpu={room // 2**20 + 2048}MiB", "memory=4TiB"]
            )
            for placed in placements(
                plain, machine, Spreading(shared_layers=spec.architecture.layers)
            ):
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
            return next(placements(plain, machine, Spreading(shared_layers=layers)))

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
            Spreading(shared_layers=42),
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
            Spreading(shared_layers=32),
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
