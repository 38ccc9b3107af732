"""Which part lies on a processor and which on a device."""

from __future__ import annotations

import re

import pytest

from helpers.cases import case_id
from helpers.needs_of import (
    asked,
    case_asked,
    catalogue,
    ends,
    in_gguf,
    memory,
    runtime,
    terms,
)
from selfhost.catalogue.index import Catalogue
from selfhost.core.workload import Workload
from selfhost.judge.placement import placements
from selfhost.judge.record import Question
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.needs import case_for, count
from selfhost.needs.records import MemoryNeed, Needs

# what Linux lists of a Xeon from Sapphire Rapids on, as far as programs ask for it
AMX_SETS = (
    "avx2",
    "avx512f",
    "avx512bw",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
)


@pytest.mark.parametrize("gpu", ["24GiB", "3GiB"])
@pytest.mark.parametrize(
    "sets",
    [
        pytest.param(("avx2", "fma", "f16c"), id="AVX2"),
        pytest.param(AMX_SETS, id="AMX"),
    ],
)
def test_only_a_processor_has_a_second_layout(gpu: str, sets: tuple[str, ...]) -> None:
    """On a GPU the weights lie as they are stored, in one term, and so do those that a split leaves
    in RAM (llama.cpp 0c1e570, make_cpu_buft_list: the GPU's kind of RAM before the processor's
    layout). Neither changes the sum.

    The token table, which stays in RAM, may be dropped: 32,768 × 4,096 values of Q4_K, 144 bytes
    for 256.
    """
    changes = [f"gpu={gpu}", "memory=64GiB", f"instruction_sets={','.join(sets)}"]
    machine = apply(Machine(planning=True), changes)
    spec = catalogue().spec("mistral-7b-instruct-v0.3")
    program = runtime("llama-cpp-python")
    case = case_asked(spec, program, instruction_sets=sets)
    plain = count(case)
    question = Question(spec=spec, workload=Workload(), runtime=program, case=case)
    placed = next(placements(plain, machine, question))
    assert placed.placement == ("accelerator" if gpu == "24GiB" else "split")
    terms_placed = memory(placed).terms
    on_device = [term.name for term in terms_placed if term.where != "host"]
    assert on_device.count("weights") == 1
    assert "repacked_weights" in [term.name for term in memory(plain).terms]
    assert "repacked_weights" not in [term.name for term in terms_placed]

    def weights(whole: MemoryNeed) -> tuple[int, int, int]:
        """Least, likely and most of all weights."""
        kinds = ("weights", "repacked_weights", "embeddings")
        return ends(term for term in whole.terms if term.name in kinds)

    low, size, high = weights(memory(asked(spec, program)))
    token_table = 32_768 * 4_096 // 256 * 144
    assert weights(memory(placed)) == (low - token_table, size, high)


# tables by hand, 210 bytes for 256 values of Q6_K and 144 of Q4_K; what the device takes is what
# llama.cpp printed at load: Llama 3.2 in ollama/ollama#8310, which has 308.23 MiB on the CPU; for
# Gemma 4 E4B others have 2730.00 MiB there
# (CPU_Mapped, 43 of 43 layers offloaded)
ON_A_CARD = [
    ("llama-3.1-8b-instruct", 128_256 * 4_096 // 256 * 144, 4403.49),
    ("llama-3.2-3b-instruct", 128_256 * 3_072 // 256 * 210, 1918.35),
    ("llama-3.3-70b-instruct", 128_256 * 8_192 // 256 * 144, 39979.48),
    ("gemma-4-e4b-it", (262_144 * 2_560 + 262_144 * 42 * 256) // 256 * 210, None),
    ("gpt2", 50_257 * 768 // 256 * 210 + 1_024 * 768 * 4, None),
]


@pytest.mark.parametrize(
    "program", ["llama.cpp", "ollama", "llama-cpp-python"], ids=case_id
)
@pytest.mark.parametrize(("model", "tables", "device_mib"), ON_A_CARD, ids=case_id)
def test_llama_cpp_keeps_tables_in_ram(
    model: str, tables: int, device_mib: float | None, program: str
) -> None:
    """The input layer is never given to a device (llama.cpp, load_tensors), in files by the usual
    recipe. A token reads one row, so the system may drop the rest.
    """
    machine = apply(Machine(planning=True), ["gpu=80GiB", "memory=64GiB"])
    loaded = runtime(program)
    loaded = loaded.replace(library_tags=loaded.library_tags.replace(bytes={}))
    spec = catalogue().spec(model)
    case = case_asked(spec, loaded)
    question = Question(spec=spec, workload=Workload(), runtime=loaded, case=case)
    placed = next(placements(count(case), machine, question))
    assert placed.placement == "accelerator"
    found = terms(placed)
    kept = found["embeddings"]
    assert kept.where == "host"
    assert kept.low_bytes == 0
    assert kept.bytes == tables
    assert kept.high_bytes == tables
    assert kept.may_be_mapped
    weights = found["weights"]
    assert weights.where == "accelerator:0"
    if device_mib is not None:
        assert weights.bytes / 2**20 == pytest.approx(device_mib, abs=0.005)
    assert _sum_of_line(weights.arithmetic) == weights.bytes, weights.arithmetic


def _sum_of_line(line: str) -> int:
    """The sum of the bytes that a line names, each with its sign."""
    total = 0
    for sign, digits in re.findall(r"([+-] )?([\d,]+) (?:bytes|of them)", line):
        number = int(digits.replace(",", ""))
        total += -number if sign == "- " else number
    return total


def _held(placed: Needs) -> dict[str, int]:
    """By place, the most that lies there."""
    held: dict[str, int] = {}
    for term in memory(placed).terms:
        held[term.where] = held.get(term.where, 0) + term.high_bytes
    return held


def test_a_device_holds_as_many_layers_as_fit_and_no_more() -> None:
    """What a layout puts on a card, with the buffers of a card, is enough for that layout, and a
    byte less is not: it holds fewer layers.

    So it is on each of several cards: none is given more than it has, whatever the others have
    left.
    """
    seen = set()
    for spec in in_gguf()[::20]:
        case = case_asked(spec, runtime("llama.cpp"), instruction_sets=("avx2", "fma"))
        plain = count(case)
        if plain.memory is None or spec.architecture is None:
            continue
        llama = Question(
            spec=spec, workload=Workload(), runtime=runtime("llama.cpp"), case=case
        )

        def on_cards(
            size: int, number: int = 1, plain: Needs = plain, llama: Question = llama
        ) -> Needs:
            """The first layout on so many cards with so many bytes for the program each."""
            changes = [f"gpu={number}x{2**30 + size}:RTX 4090", "memory=4TiB"]
            machine = apply(Machine(planning=True), changes)
            # all of it is free: nothing is kept by a driver
            cards = [
                card.replace(memory_free_bytes=card.memory_total_bytes)
                for card in machine.accelerators or ()
            ]
            machine = machine.replace(accelerators=tuple(cards))
            # in the usual batches: larger ones are other layouts
            return next(placements(plain, machine, llama, at_any_pace=True))

        third = plain.memory.high_bytes // 3
        for room, number in (
            (third, 1),
            (third, 3),
            (third // 2, 3),
            (third * 4 // 3, 3),
        ):
            placed = on_cards(room, number)
            held = _held(placed)
            held.pop("host", None)
            assert max(held.values(), default=0) <= room, (spec.id, held)
            seen.add((placed.placement, number, len(held)))
            if placed.placement == "split" and number == 1:
                (size,) = held.values()
                assert _held(on_cards(size)) == _held(placed), spec.id
                less = on_cards(size - 1)
                if less.placement != "host":
                    assert _held(less)["accelerator:0"] < size, spec.id
    assert {("split", 1, 1), ("split", 3, 3), ("accelerator", 3, 3)} <= seen


def test_a_program_without_a_line_that_offloads_has_no_parts_in_turn() -> None:
    """Transformers loads Stable Audio whole: no line could move its parts to a GPU one by one."""
    shelf = Catalogue.open()
    asked = Workload(runtime="transformers", quantization="bfloat16")
    runtime = shelf.runtime("transformers")
    case = case_for(shelf.spec("stable-audio-open-1.0"), runtime, asked)
    assert count(case).offloaded == ()
