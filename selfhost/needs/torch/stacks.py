"""What a model whose encoder reads a text and whose decoder writes one (T5, BART and their kin)
holds in transformers on a CPU.

Read in transformers 5.23.0 (models/t5, bart, mbart, m2m_100, marian, pegasus; EncoderDecoderCache
of cache_utils.py) and measured: `tests/truth/transformers.json`, `rewrite`. The context is what is
read and written together: each of its tokens has its keys and values once in every layer of the
decoder, whichever stack it belongs to. Sizes are in bytes, `width` is the bytes of one number.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture
from ..records import Span
from ..tensors import ArchitectureRow
from .memory import in_heap, with_holes

# bytes for each word of the vocabulary while a token is chosen: logits in the model's type and in
# float32, and what is made of those
_LOGIT_BYTES = 22
# what Python's lists of sines leave in the heap for each number of a table
# (MarianSinusoidalPositionalEmbedding.create_weight): up to 26
_SINE_BYTES = 26


def activations(
    architecture: Architecture,
    row: ArchitectureRow,
    tokens: int,
    sequences: int,
    width: int,
    cache_bytes: int,
    *,
    padded: bool = False,
    fixed_threshold: bool = False,
    wide_results: bool = False,
) -> Span:
    """The most that is held beside the cache of `cache_bytes`, at one of two moments.

    Either the encoder reads as many of the `tokens` as it can; the cache, which is filled later, is
    taken off. Or keys and values of a layer are made of what was read.
    """
    read = read_tokens(architecture, row, tokens)
    count, wide = read * sequences, architecture.embedding_length
    reading, line, heap = _reading(
        architecture, row, read, sequences, width, padded=padded, wide_results=wide_results
    )
    beams = architecture.beams or 1
    logits = _LOGIT_BYTES * (architecture.vocabulary or 0) * sequences * beams
    # once the others are written, their cache is filled and what made the text's cache is gone
    keys_and_values = max(
        0, 3 * wide * count * beams * width - cache_bytes * (tokens - read) // tokens
    )
    writing = keys_and_values + logits
    size = max(reading - cache_bytes, writing)
    if reading - cache_bytes >= writing:
        line += f" - {cache_bytes:,} bytes of the cache, which is filled later"
    else:
        each = "" if beams == 1 else f" × {beams} beams"
        line = f"{count:,} tokens{each} × 3 × {wide:,} × {width} bytes + {logits:,} bytes of logits"
        if read < tokens:
            line = (
                f"{keys_and_values:,} bytes of keys and values in the making"
                f" + {logits:,} bytes of logits"
            )
    return (
        Span(bytes=size, low_bytes=size, high_bytes=size, arithmetic=line)
        if fixed_threshold
        else with_holes(size, heap, width, line)
    )


def read_tokens(architecture: Architecture, row: ArchitectureRow, tokens: int) -> int:
    """How many of `tokens` the encoder may read; the decoder writes the others."""
    longest = architecture.context_tokens if row.bounds_texts else None
    return tokens if longest is None else min(tokens, longest)


def _reading(
    architecture: Architecture,
    row: ArchitectureRow,
    tokens: int,
    sequences: int,
    width: int,
    *,
    padded: bool,
    wide_results: bool,
) -> tuple[int, str, int]:
    """The encoder's pass: bytes, the line that makes them, and those that may leave holes in
    the heap.
    """
    count, wide = tokens * sequences, architecture.embedding_length
    group, inside = architecture.attention[0], architecture.feed_forward[0]
    # norms before the layer keep its input beside the one that is added
    around = 5 if row.output_norm and not row.relative_positions else 4
    gated = (architecture.gate or row.gate) != "none"
    arrays = 3 if gated or wide_results else 2
    if wide_results and gated:
        arrays = 4
    numbers = around * wide + arrays * inside.length
    line = (
        f"{count:,} tokens × ({around} × {wide:,} + {arrays} × {inside.length:,}) × {width} bytes"
    )
    heap = in_heap(count, width, (around, wide), (arrays, inside.length))
    if not row.relative_positions:
        return numbers * count * width, line, heap
    # a score for every pair of tokens and every head, the same for all sequences and layers; as
    # attention takes it, once more
    scores = group.heads * tokens * tokens * width
    queries = group.heads * group.key_length
    attending = 2 * scores + (3 * wide + 4 * queries) * count * width
    if padded and sequences > 1:
        attending += scores * (2 * sequences - 1)
    feeding = scores + numbers * count * width
    pairs = f"{group.heads} heads × {tokens:,} × {tokens:,} × {width} bytes"
    if feeding > attending:
        return feeding, f"{pairs} + {line}", heap
    copies = 2 * sequences + 1 if padded and sequences > 1 else 2
    line = (
        f"{copies} × {pairs} + {count:,} tokens × (3 × {wide:,} + 4 × {queries:,}) × {width} bytes"
    )
    return attending, line, in_heap(count, width, (3, wide), (4, queries))


def sines(
    architecture: Architecture, row: ArchitectureRow, width: int, tokens: int
) -> tuple[int, int, str]:
    """Tables of positions that are computed: likely and most bytes, and the line; "" where there
    are none.

    Where a table is in the files or replaces the one in the files, only the lists that it was made
    of count, which may stay in the heap. A text of more `tokens` makes the table of its stack
    longer.
    """
    rows, wide = architecture.context_tokens or 0, architecture.embedding_length
    if row.sines:
        # M2M100SinusoidalPositionalEmbedding.forward: rows for the tokens, the two before them and
        # two more
        longer = tokens + 2 + row.sines - (rows + row.sines) if tokens > rows else 0
        size = (2 * (rows + row.sines) + longer) * wide * width
        return (
            size,
            size,
            f"{2 * (rows + row.sines) + longer:,} × {wide:,} × {width} bytes of computed positions",
        )
    if row.torch_listed_sines:
        return (
            0,
            _SINE_BYTES * rows * wide,
            f"up to {_SINE_BYTES * rows * wide:,} bytes left of computed positions",
        )
    return 0, 0, ""
