"""What a GGUF file weighs, told without its tensors."""

from __future__ import annotations

import pytest

from selfhost import needs as need
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.records import Unread
from selfhost.needs.quantization import GGUF_QUANTIZATIONS
from selfhost.verdict.question import architectures

CATALOGUE = open_catalogue()
# a few of each kind: all of them were held once (0.945 is the least)
OPEN = [outline.id for outline in CATALOGUE.outlines() if not outline.closed][::40]
# mixtures in few bits, which come nearest
NEAR = ["deepseek-r1", "kimi-k2-instruct", "gpt-oss-120b", "mistral-large-3-675b-instruct-2512"]


@pytest.mark.parametrize("name", [*OPEN, *NEAR])
def test_no_file_is_smaller_than_what_is_surely_stored(name: str) -> None:
    """What is left out because of its size would not have fitted: published or by the recipe, each file weighs more."""
    spec, rows = CATALOGUE.spec(name), architectures(CATALOGUE)
    for quantization in GGUF_QUANTIZATIONS[1:]:
        size = need.weights_bytes(spec, "gguf", quantization, rows)
        least = need.least_bytes(spec, quantization)
        if not isinstance(size, Unread) and least is not None:
            assert least <= size.low_bytes, quantization


def test_names_of_other_formats_tell_nothing() -> None:
    """AWQ's and MLX' names say nothing of a GGUF file."""
    spec = CATALOGUE.spec("mistral-7b-instruct-v0.3")
    assert need.least_bytes(spec, "4bit") is None
    assert need.least_bytes(spec, "AWQ") is None
