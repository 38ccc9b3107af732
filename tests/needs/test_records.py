"""The printed arithmetic gives the printed bytes, line by line."""

from __future__ import annotations

import re

import pytest

from helpers.needs_of import (
    asked,
    calculate,
    catalogue,
    in_gguf,
    memory,
    paired,
    rows,
    runtime,
    shared_out,
)
from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.core.workload import Workload
from selfhost.judge.placement import placements
from selfhost.judge.record import Question
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.needs.records import How

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
            work = Workload(quantization=quantization)
            in_program = Question(spec=spec, workload=work, runtime=found)
            sides += placements(answer, CARDS[number // 4 % 4], in_program)
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
