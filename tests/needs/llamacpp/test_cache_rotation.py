"""A quantized cache is rotated only where the heads of all its layers have one length.

`attn_rot_k` and `attn_rot_v` ask for `n_embd_head_k_all > 0` and `n_embd_head_v_all > 0`, which
stand for the length that all layers of a cache share (src/llama-kv-cache.cpp of llama.cpp).
Rotation adds inputs and products to the graph; without it the graph is that of a 16-bit cache.
"""

from __future__ import annotations

import pytest

from selfhost.catalogue.architecture import Architecture, Attention, FeedForward
from selfhost.needs.case import Batch, ContextSetup
from selfhost.needs.llamacpp.graph import exact_compute_bytes


def compute_bytes(lengths: tuple[int, int], cache_type: str) -> int:
    """The buffer of a model of two layers with heads of these lengths."""
    attention = []
    for layer, length in enumerate(lengths):
        heads = Attention(
            layers=(layer,),
            kind="full",
            heads=16,
            kv_heads=4,
            key_length=length,
            value_length=length,
        )
        attention.append(heads)
    model = Architecture(
        row="llama",
        runs_in_gguf=True,
        layers=2,
        embedding_length=2048,
        vocabulary=32_000,
        attention=tuple(attention),
        feed_forward=(FeedForward(layers=(0, 1), length=5632),),
    )
    cells = ContextSetup(tokens=4096, key_type=cache_type, value_type=cache_type)
    found = exact_compute_bytes(Batch(model=model, setup=cells, logits_rows=1))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lengths", "is_rotated"),
    [
        pytest.param((128, 128), True, id="one length"),
        pytest.param((128, 64), False, id="two lengths"),
        pytest.param((96, 96), False, id="a length that 64 does not divide"),
    ],
)
def test_heads_of_one_length_are_rotated(
    lengths: tuple[int, int], *, is_rotated: bool
) -> None:
    is_another_graph = compute_bytes(lengths, "q8_0") != compute_bytes(lengths, "f16")
    assert is_another_graph == is_rotated
