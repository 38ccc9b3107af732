"""What PyTorch holds in the memory of a CPU while transformers loads a model, reads a prompt and answers.

Measured with torch 2.13.0, transformers 5.23.0 and safetensors 0.8.0 on Linux with glibc, and read in their sources;
`tests/truth/transformers.json` has the figures, `benchmarks/measure_transformers.py` makes them. Sizes are in bytes, `tokens` are
those of one sequence, `width` is the bytes of one number in the type that the model runs in (2 or 4).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..facts import Record
from ..spec import Architecture, Attention
from .cache import CacheGroup, cache_groups
from .tensors import ArchitectureRow

MIB = 1 << 20
# resident after a first short answer, less the weights: interpreter, the code and objects of PyTorch and transformers
OVERHEAD_LOW_BYTES = 350 * MIB
OVERHEAD_HIGH_BYTES = 400 * MIB
# glibc gives a freed block of this size back at once; smaller ones share a heap in which holes stay (mallopt(3), M_MMAP_THRESHOLD)
_MAPPED_BLOCK_BYTES = 32 * MIB
# activation functions that transformers composes of several operations (activations.py): arrays alive at once beside the others
_COMPOSED_ACTIVATIONS = {"gpt2": 3}


class Span(Record):
    """A figure between two ends, and the line that makes it."""

    bytes: int
    low_bytes: int
    high_bytes: int
    arithmetic: str


def kept_tokens(window_tokens: int | None, tokens: int) -> int:
    """Cells of one layer and sequence after `tokens`, at least one of them decoded.

    A layer with a window keeps the last window − 1 tokens and, until the next step, the storage of the token that pushed one out:
    DynamicSlidingWindowLayer.update slices what torch.cat made. There is no rounding.
    """
    return tokens if window_tokens is None else min(tokens, window_tokens)


def cache_bytes(groups: Iterable[CacheGroup], tokens: int, sequences: int, width: int, *, prompt: bool = False) -> int:
    """Keys and values of DynamicCache, storage included. The last answered token is not in it: it was never an input.

    `prompt`: while a prompt of `tokens` is read in one pass and until the next token. Every layer then holds all of it: a window's
    slice keeps the storage of the whole. Latent attention caches the latent and the rope key once, not the expanded heads.
    """
    return sum(
        group.layers
        * (group.key_elements + group.value_elements)
        * width
        * sequences
        * (tokens if prompt else kept_tokens(group.window_tokens, tokens))
        for group in groups
    )
