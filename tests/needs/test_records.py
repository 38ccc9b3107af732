"""The printed arithmetic gives the printed bytes, line by line."""

from __future__ import annotations

import re

import pytest

from helpers.needs_of import (
    asked,
    calculate,
    catalogue,
    memory,
    paired,
    rows,
    runtime,
)
from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.core.workload import Workload
from selfhost.judge.placement import placements
from selfhost.judge.record import Question
from selfhost.machine.changes import apply
from selfhost.machine.record import Machine
from selfhost.needs.records import How


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
    types = ("f16", "q8_0", "q4_0") if program in ("llama.cpp", "ollama") else (None,)
    pairs = [pair for pair in paired() if pair[1].id == program]
    for number, (spec, found) in enumerate(pairs[:: 1 + len(pairs) // 130]):
        names = needs.quantizations_of(spec, found, rows())
        quantization = names[number % len(names)] if names else None
        (tokens, sequences), changes = (
            asking[number % 4],
            {"kv_cache_type": types[number % len(types)]},
        )
        if quantization:
            changes["quantization"] = quantization
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
                if term.name != "weights" or term.how is not How.STATED:
                    assert abs(calculate(term.arithmetic) - term.bytes) < 2, (spec.id, term)
                assert not re.search(r"(?:^|[;,(] ?)-\d", term.arithmetic), (spec.id, term)
                if " of the layers × " in term.arithmetic:
                    assert term.how is not How.EXACT, (spec.id, term)
            seen.add(side.placement)
    # parts of a picture's model come to the GPU in turn
    may_split = found.splits_layers or bool(found.offload_command)
    # a few models do not meet each of the cards
    assert ("split" in seen) == may_split or (may_split and len(pairs) < 16)
    assert {"host", "accelerator"} <= seen or len(pairs) < 30
