"""What a GGUF file weighs, told without its tensors."""

from __future__ import annotations

import pytest

from selfhost import needs as need
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.records import Unread
from selfhost.judge.question import architectures
from selfhost.needs.quantization import GGUF_QUANTIZATIONS

CATALOGUE = open_catalogue()
OPEN = [outline.id for outline in CATALOGUE.outlines() if not outline.closed]
# mixtures in few bits, which come nearest
NEAR = ["deepseek-r1", "kimi-k2-instruct", "gpt-oss-120b", "mistral-large-3-675b-instruct-2512"]
MIXES = GGUF_QUANTIZATIONS[1:]


@pytest.mark.parametrize("start", range(8))
def test_no_file_is_smaller_than_what_is_surely_stored(start: int) -> None:
    """What is left out because of its size would not have fitted: published or by the recipe, each file weighs more. Every model in some types, the nearest in all."""
    rows = architectures(CATALOGUE)
    cases = [(id, MIXES[(start + number) % 8 :: 8]) for number, id in enumerate(OPEN[start::8])]
    held = 0
    for id, mixes in (*cases, *((id, MIXES[start::8]) for id in NEAR)):
        spec = CATALOGUE.spec(id)
        for mix in mixes:
            size = need.weights_bytes(spec, "gguf", mix, rows)
            least = need.least_bytes(spec, mix)
            if not isinstance(size, Unread) and least is not None:
                assert least <= size.low_bytes, (id, mix)
                held += 1
    assert held > len(OPEN) / 8
