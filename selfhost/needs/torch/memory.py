"""What PyTorch holds in the memory of a CPU while transformers loads a model, reads a prompt and
answers.

Measured with torch 2.13.0, transformers 5.23.0 and safetensors 0.8.0 on Linux with glibc, and read
in their sources; `tests/truth/transformers.json` has the figures. Sizes are in bytes,
`tokens` are those of one sequence, `width` is the bytes of one number in the type that the model
runs in (2 or 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import expm1, prod

from ...catalogue.spec import Architecture, Attention, FeedForward
from ...core.records import Record
from ..cache import CacheGroup
from ..records import Span
from ..repack import kind_of
from ..tensors import ArchitectureRow, checkpoint_tensors
from .recurrent import Moment, scans

MIB = 1 << 20
MEASURED_WITH = "torch 2.13.0 (CPU build) and transformers 5.23.0"
# resident after a first short answer, less the weights that were read: 357 to 373 MiB over all
# dense models, types and 1 or 2 threads; 10 to 16 MiB more after a longer prompt, however small its
# arrays; 351 where the first answer was the only one
PROGRAM_BYTES = (369 * MIB, 350 * MIB, 385 * MIB)
# what oneDNN keeps compiled for each shape of a product in bfloat16 (0.33 to 0.66 MiB by its
# lengths, up to 0.8 with what prepares it; nothing in float16), and for how many at most
# (ONEDNN_PRIMITIVE_CACHE_CAPACITY)
_PRODUCT, _PRODUCTS = (int(0.7 * MIB), int(0.5 * MIB), int(0.8 * MIB)), 1024
# where they hold their results in 32 bits: the peaks of ten answers of three mixtures were 0.01 to
# 0.20 MiB a product lower with a cache for none (resident memory after them up to 0.39; single
# products 0.11 to 0.18, of long or large ones 0.75 and 1.8, which was not told from holes of the
# heap); without AVX-512 that made one answer's peak 0.06 smaller, and single products kept nothing
_WIDE_PRODUCT, _NO_PRODUCT = (int(0.15 * MIB), 0, int(0.3 * MIB)), (0, 0, int(0.1 * MIB))
_PRODUCT_OF = {
    **dict.fromkeys(("amx_int8", "avx512f"), _PRODUCT),
    "avx512f wide": _WIDE_PRODUCT, "avx2": _NO_PRODUCT,
}  # fmt: skip
# resident with sklearn.metrics, which transformers imports where it finds it
SKLEARN_BYTES = 38 * MIB
# glibc gives a freed block of this size back at once; smaller ones share a heap in which holes stay
# (mallopt(3), M_MMAP_THRESHOLD)
MAPPED_BLOCK_BYTES = 32 * MIB
# holes of the heap as a share of what a pass holds in it: least, likely, most. By bytes of a number
# up to 1.5 and 2.6 over 80 runs of 3 to 40 layers, 0.4 to 1.0 where layers scan, up to 0.6 where an
# encoder frees its blocks in order, 0.2 to 2.9 in chat models that embed and fill a cache at once.
# How they come about cannot be foretold: the same prompt left 24, 135 and 150 MiB. glibc before
# 2.38 finds no place for an aligned block where one of its size was freed (_int_memalign of
# malloc.c asks for more and cuts both ends), later ones do
_HOLES = {2: (0.0, 0.8, 1.6), 4: (0.0, 0.8, 2.7)}
_SCAN_HOLES, _ENCODER_HOLES, _CACHED_HOLES = (0.3, 0.9, 1.1), (0.0, 0.4, 0.9), (0.0, 1.3, 3.0)
# where products hold their result in 32 bits as well, what is put into their places is half as
# large: 0.7 to 1.65 over nine runs (tests/truth/transformers_avx512.json)
_WIDE_HOLES = (0.5, 1.35, 1.9)
# holes were never more than 221 MiB altogether, with prompts of 8,000 tokens too; 294 MiB where an
# embedding model fills a cache
_HOLES_BYTES, _CACHED_HOLES_BYTES = 240 * MIB, 320 * MIB
ENCODER_HOLES_HIGH = 3
# what stacking experts leaves in the heap beyond what a prompt takes up again, as a share of them:
# estimate, low, high; right after loading 0.22 to 0.34 in the type of the files (none of 64 experts
# of 3 MiB, whose stacks are mapped), 0.59 to 0.91 in another
_LEFT_BY_EXPERTS = (0.05, 0.0, 0.25)
_LEFT_BY_CONVERTED_EXPERTS = (0.75, 0.5, 1.0)
# the same share of experts in FP8 that are made 16 bits wide: 0.36 in one run
LEFT_BY_WIDENED_EXPERTS = (0.36, 0.25, 0.45)
# a page of Linux on x86_64, and what it maps at once where a file is cached: 64 KiB
# (fault_around_bytes of mm/memory.c), from 6.18 on a whole folio of up to 2 MiB (filemap_map_pages
# of mm/filemap.c): 512 rows of a table of 1 GB brought in 1.3 MB each
_PAGE_BYTES, _AROUND_A_ROW_BYTES = 4096, 2 * MIB
# numbers alive per token around and inside a feed-forward without a gate, as multiples of its input
# and of its length. `torch_feed_forward` of a row has others: GPT-2 and StarCoder keep their
# positions, GPT-2 and Phi-2 compose GELU of single operations (NewGELUActivation), others square
# ReLU; Apertus composes xIELU, with a byte for each sign. StableLM keeps the output of the
# attention and both norms, OLMo 2 has no norm before
_UNGATED = (4, 2)


Arrays = tuple[tuple[float, int], ...]
"""How many arrays there are, and how many numbers each has per token."""


Three = tuple[int, int, int]
"""Likely, least and most."""


def kept_product(instruction_sets: tuple[str, ...] | None, dtype: str | None) -> Three:
    """Bytes that oneDNN keeps of one product in `dtype`, None for an unknown type. They were not
    measured on ARM.
    """
    if dtype is None:
        return _PRODUCT[0], 0, _PRODUCT[2]
    if dtype != "bfloat16":
        return 0, 0, 0
    return _PRODUCT_OF.get(kind_of(instruction_sets), (_PRODUCT[0], 0, _PRODUCT[2]))


def overhead(
    architecture: Architecture,
    row: ArchitectureRow,
    width: int,
    tokens: int,
    *,
    product: Three = _PRODUCT,
) -> Span:
    """Interpreter, code and objects of PyTorch and transformers once it has answered a prompt of
    `tokens`, those of all sequences.

    Each expert reads another number of tokens, and oneDNN compiles its two products for each
    number: as many as there are among twice the average of an expert, one for each of them, half
    and double that at the ends.
    """
    likely, low, high = PROGRAM_BYTES
    line = f"{low // MIB:,} to {high // MIB:,} MiB were seen"
    for group in architecture.feed_forward if width == 2 else ():
        if group.experts and not row.torch_reads_all:
            pieces = group.experts * len(group.layers)
            average = max(1.0, tokens * (group.used or 1) / group.experts)
            numbers = [
                int(most * -expm1(-pieces / most))
                for most in (2 * average, average / 2, 4 * average)
            ]
            products = [
                min(_PRODUCTS, 2 * number) * each
                for number, each in zip(numbers, product, strict=True)
            ]
            likely, low, high = likely + products[0], low + products[1], high + products[2]
            if product[2]:
                line += (
                    f", with products of experts for {numbers[1]:,} to {numbers[2]:,} numbers of"
                    " tokens"
                )
    return Span(bytes=likely, low_bytes=low, high_bytes=high, arithmetic=line)


def with_cache(row: ArchitectureRow) -> ArchitectureRow:
    """The row with the cache that its class fills, even where nothing reads it."""
    return row.replace(encoder=False) if row.torch_fills_cache else row


def cache_bytes(
    groups: Iterable[CacheGroup], tokens: int, sequences: int, width: int, *, prompt: bool = False
) -> int:
    """Keys and values of a DynamicCache, with the storage behind them. The token answered last was
    never an input and is not in it.

    There is no rounding. A layer with a window keeps window − 1 tokens, and until the next step the
    storage of the one that was pushed out (DynamicSlidingWindowLayer.update slices what torch.cat
    made). For the same reason all layers hold the whole prompt of `tokens` while it is read and
    until the second answered token: `prompt`. Latent attention caches the latent and the one rope
    key, not the heads made of them (DeepseekV3Attention.forward).
    """
    return sum(
        group.layers
        * (group.key_elements + group.value_elements)
        * width
        * sequences
        * (tokens if prompt or group.window_tokens is None else min(tokens, group.window_tokens))
        for group in groups
    )


class Rows(Record):
    """Tables that are mapped and read row by row: all their bytes, and what a text must have at
    hand: least, likely and most.
    """

    bytes: int
    low_bytes: int
    likely_bytes: int
    high_bytes: int


def table_rows(
    architecture: Architecture,
    row: ArchitectureRow,
    width: int,
    tokens: int,
    *,
    written: int = 0,
    encodes: bool = False,
) -> Rows:
    """Tables of which one pass over `tokens`, those of all sequences, reads single rows, where
    nothing is converted.

    `written` is the least number of tokens of each sequence that a decoder writes, because its
    encoder cannot read them. These tables are an untied token table, a tied one where the model
    `encodes` (answers with no token), and a table of positions, whose rows are read from the first
    on. A text has at least one distinct token, and at most as many as it is long. Each row may lie
    across one more page. The system decides how much of a table is resident: it brings in
    `_AROUND_A_ROW_BYTES` and more with a row, and may drop all but the rows.
    """
    all_bytes = low = likely = high = 0
    for group in checkpoint_tensors(architecture, row):
        whole, each = prod(group.shape) * width, group.shape[0] * width
        if group.name.endswith("position_embd.weight") and "encoder." not in group.name:
            # a decoder beside an encoder reads a row of its own for each token that it writes
            read, writes = min(whole, tokens * each), group.name.startswith("dec.")
            least = min(whole, written * each) if writes else read
            all_bytes, low, likely, high = (
                all_bytes + whole,
                low + least,
                likely + least,
                high + min(whole, read + _PAGE_BYTES),
            )
        elif group.name == "token_embd.weight" and (encodes or not architecture.tied_embeddings):
            all_bytes += whole
            likely += min(whole, tokens * each)
            high += min(whole, tokens * (each + _PAGE_BYTES) + _AROUND_A_ROW_BYTES)
    return Rows(bytes=all_bytes, low_bytes=low, likely_bytes=likely, high_bytes=high)


def left_by_experts(
    architecture: Architecture, row: ArchitectureRow, width: int, *, converted: bool
) -> Span:
    """What stacking experts into one array per layer (MergeModulelist) leaves in the heap: see
    `stacked_experts_bytes`.

    The pieces stay where they are small enough for it: stacks of one matrix of all experts, in
    another type copies of single ones.
    """
    experts = stacked_experts_bytes(architecture, row, width)
    together = [
        (1 if converted else group.experts or 0) * group.length
        for group in architecture.feed_forward
        if group.experts
    ]
    mapped = max(together, default=0) * architecture.embedding_length * width >= MAPPED_BLOCK_BYTES
    left, low, high = (
        0 if mapped else int(share * experts)
        for share in (_LEFT_BY_CONVERTED_EXPERTS if converted else _LEFT_BY_EXPERTS)
    )
    line = f"{left:,} bytes left in the heap by stacking experts; {low:,} to {high:,}"
    return Span(bytes=left, low_bytes=low, high_bytes=high, arithmetic=line)


def stacked_experts_bytes(architecture: Architecture, row: ArchitectureRow, width: int) -> int:
    """Experts that files hold one by one and the model in one array per layer.

    In the files' own type their pages stay mapped beside the copies: resident, but evictable.
    """
    if row.torch_stacked:
        return 0
    experts = (group for group in checkpoint_tensors(architecture, row) if "_exps." in group.name)
    return sum(prod(group.shape) * (len(group.layers) or 1) * width for group in experts)


def prompt_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    tokens: int,
    sequences: int,
    width: int,
    *,
    eager: bool = False,
    padded: bool = False,
    fixed_threshold: bool = False,
    encodes: bool = False,
    wide_results: bool = False,
) -> Span:
    """The most that one pass over a prompt (or an encoder's batch) holds beside weights and cache.

    `low_bytes` is what PyTorch's allocator counts. The rest are holes of the C heap; there are none
    with `fixed_threshold`, when MALLOC_MMAP_THRESHOLD_ is set, say to 262144. transformers reads a
    prompt in one pass unless prefill_chunk_size is set, and keeps the logits of the last token
    alone. `encodes`: it answers with no token. `eager`: the user chose attention that stores its
    scores. `padded`: prompts differ in length, so that there is a mask. `wide_results`: see
    `holds_wide_results`.
    """
    stored, cached = (
        eager or stores_scores(architecture, row),
        encodes and not with_cache(row).encoder,
    )
    count = tokens * sequences
    masks = sum(_masks(architecture, row, tokens, sequences, width, stored=stored, padded=padded))
    moments = [
        *_feed_forwards(architecture, row, count, width, wide_results=wide_results),
        *_attentions(architecture, row, tokens, sequences, width, stored=stored, padded=padded),
        *scans(architecture, row, tokens, sequences, width),
    ]
    most, line, _ = max(moments)
    angles = _angles(architecture, row) * tokens * width
    size = most + masks + angles
    if masks:
        line += f" + {masks:,} bytes of masks"
    if angles:
        line += f" + {angles:,} bytes of rotary angles"
    if fixed_threshold:
        return Span(bytes=size, low_bytes=size, high_bytes=size, arithmetic=line)
    heap = max(part for _, _, part in moments)
    shares = _shares_of_holes(architecture, row, width, cached=cached, wide_results=wide_results)
    return _with_holes(size, heap, shares, _CACHED_HOLES_BYTES if cached else _HOLES_BYTES, line)


def _shares_of_holes(
    architecture: Architecture,
    row: ArchitectureRow,
    width: int,
    *,
    cached: bool,
    wide_results: bool,
) -> tuple[float, float, float]:
    """Least, likely and most of the heap that a pass leaves as holes."""
    if any(group.kind in ("mamba2", "delta", "kda") for group in architecture.recurrent):
        return _SCAN_HOLES
    if wide_results:
        return _WIDE_HOLES
    if row.torch_in_order:
        return _ENCODER_HOLES
    return _CACHED_HOLES if cached else _HOLES[width]


def with_holes(size: int, heap: int, width: int, line: str) -> Span:
    """`size` with the holes that a pass leaves of `heap` bytes in the C heap."""
    return _with_holes(size, heap, _HOLES[width], _HOLES_BYTES, line)


def _with_holes(
    size: int, heap: int, shares: tuple[float, float, float], most: int, line: str
) -> Span:
    low, likely, high = (min(most, int(share * heap)) for share in shares)
    return Span(
        bytes=size + likely,
        low_bytes=size + low,
        high_bytes=size + high,
        arithmetic=f"{line} + {likely:,} bytes of holes in the heap; up to {high:,}",
    )


def stores_scores(architecture: Architecture, row: ArchitectureRow) -> bool:
    """Attention that keeps a score for every pair of tokens and every head."""
    if row.torch_scores == "one_head":
        return any(group.kv_heads == 1 < group.heads for group in architecture.attention)
    return bool(row.torch_scores)


def in_heap(count: int, width: int, *arrays: tuple[float, int]) -> int:
    """Bytes of `arrays` that may leave holes: of each as much as glibc keeps in the heap."""
    return sum(
        int(number * min(MAPPED_BLOCK_BYTES, length * count * width)) for number, length in arrays
    )


def _windowed(group: Attention, tokens: int) -> bool:
    return (
        group.kind in ("sliding", "latent")
        and group.window_tokens is not None
        and tokens >= group.window_tokens
    )


def _masks(
    architecture: Architecture,
    row: ArchitectureRow,
    tokens: int,
    sequences: int,
    width: int,
    *,
    stored: bool,
    padded: bool,
) -> Iterator[int]:
    """Bytes of the mask of each kind of layer, which lives through the pass. Its cells are numbers
    of the model where scores are stored, else bytes, where a mask is needed.
    """
    cells = tokens * tokens * sequences
    attending = [group for group in architecture.attention if group.kind != "cross"]
    kinds = {
        group.window_tokens if group.kind != "compressed" else None: group for group in attending
    }
    for group in kinds.values():
        if stored and not row.encoder:
            yield cells * width
        elif padded or _windowed(group, tokens) or row.torch_fills_cache:
            yield cells


def _angles(architecture: Architecture, row: ArchitectureRow) -> int:
    """Numbers per position: cosine and sine of every head element, once for all sequences;
    Gemma 3 has two sets.
    """
    if row.positions:
        return 0
    sizes = {
        group.kind: group.rope_length or group.key_length
        for group in architecture.attention
        if group.kind != "cross"
    }
    return 2 * (sum(sizes.values()) if row.torch_angle_sets else max(sizes.values(), default=0))


def _feed_forwards(
    architecture: Architecture,
    row: ArchitectureRow,
    count: int,
    width: int,
    *,
    wide_results: bool = False,
) -> Iterator[Moment]:
    """The moments in which a feed-forward holds most. Around it lie the embedded input, the layer's
    input, the sum and the norm.
    """
    wide = architecture.embedding_length
    for group in architecture.feed_forward:
        dense = _feed_forward(group, row, wide, wide_results=wide_results)
        for arrays, line in _experts(group, row, wide, width) if group.experts else (dense,):
            numbers = sum(number * length for number, length in arrays)
            yield (
                int(numbers * count * width),
                f"{count:,} tokens × ({line}) × {width} bytes",
                in_heap(count, width, *arrays),
            )


def _experts(
    group: FeedForward, row: ArchitectureRow, wide: int, width: int
) -> Iterator[tuple[Arrays, str]]:
    """Selected inputs beside gate and up in one, the activated gate and the product; four
    arrays of outputs while they are ordered.
    """
    used = (group.experts if row.torch_reads_all else group.used) or 1
    inputs, inside = used * (2 if row.torch_reads_all else 1), used * group.length
    line = f"4 × {wide:,} + {used} experts × {inputs // used * wide + 4 * group.length:,}"
    yield ((4, wide), (1, inputs * wide), (1, 2 * inside), (2, inside)), line
    if not row.torch_reads_all:
        outputs = 2 + 8 // width if row.torch_float_router else 4
        yield (
            ((4, wide), (outputs, used * wide)),
            f"4 × {wide:,} + {used} experts × {outputs * wide:,}",
        )


def _feed_forward(
    group: FeedForward, row: ArchitectureRow, wide: int, *, wide_results: bool = False
) -> tuple[Arrays, str]:
    around: float
    inside: float
    if row.torch_feed_forward:
        around, inside = row.torch_feed_forward
    elif row.gate == "none":
        around, inside = (3, 2) if row.encoder else _UNGATED
    else:
        around, inside = 4, 4 if row.gate == "fused" else 3
    if wide_results:
        # the widest product, in 16 and in 32 bits, beside the gate where that is another
        inside = max(inside, {"none": 3, "fused": 6}.get(row.gate, 4))
    return (
        (around, wide),
        (inside, group.length),
    ), f"{around:g} × {wide:,} + {inside:g} × {group.length:,}"


def _attentions(
    architecture: Architecture,
    row: ArchitectureRow,
    tokens: int,
    sequences: int,
    width: int,
    *,
    stored: bool,
    padded: bool,
) -> Iterator[Moment]:
    for group in architecture.attention:
        if group.kind != "cross":
            masked = padded or _windowed(group, tokens)
            yield _attention(
                architecture, row, group, tokens, sequences, width, stored=stored, masked=masked
            )


def _attention(
    architecture: Architecture,
    row: ArchitectureRow,
    group: Attention,
    tokens: int,
    sequences: int,
    width: int,
    *,
    stored: bool,
    masked: bool,
) -> Moment:
    """The moment in which attention holds most."""
    count = tokens * sequences
    key = group.key_length + (group.rope_length or 0 if group.kind == "latent" else 0)
    sizes = _Heads(
        wide=architecture.embedding_length,
        cells=group.heads * tokens * count,
        queries=group.heads * key,
        keys=group.kv_heads * key,
        values=group.kv_heads * group.value_length,
    )
    if group.kind == "latent":
        return _latent_attention(group, sizes, tokens, count, width)
    if stored:
        return _stored_attention(row, group, sizes, tokens, count, width)
    return _fused_attention(row, group, sizes, tokens, count, width, masked=masked)


class _Heads(Record):
    """Numbers of one token in a layer's attention; `cells` are the scores of all tokens."""

    wide: int
    cells: int
    queries: int
    keys: int
    values: int


def _latent_attention(
    group: Attention, sizes: _Heads, tokens: int, count: int, width: int
) -> Moment:
    """Heads of unlike length take PyTorch's composed attention: scaled queries and keys, scores
    and their softmax in float32.
    """
    wide, queries, keys = sizes.wide, sizes.queries, sizes.keys
    expanded = group.heads * (group.key_length + group.value_length)
    numbers = 3 * wide + 2 * queries + keys + expanded
    floats = queries + keys + (sizes.values if width == 2 else 0)
    each = 10 if width == 2 else 8
    size = count * (numbers * width + floats * 4) + sizes.cells * each + tokens * tokens * 4
    line = (
        f"{sizes.cells:,} scores × {each} bytes + {count:,} tokens × ({numbers:,} × {width} +"
        f" {floats:,} × 4 bytes)"
    )
    heap = in_heap(count, width, (3, wide), (2 + 8 / width, queries), (1, keys), (1, expanded))
    return size, f"{line} + a mask of {tokens:,} × {tokens:,} × 4 bytes", heap


def _stored_attention(
    row: ArchitectureRow, group: Attention, sizes: _Heads, tokens: int, count: int, width: int
) -> Moment:
    """Attention that stores its scores: two copies of them, then softmax in float32. gpt-oss: with
    the sinks, less their maximum, softmax.
    """
    wide, queries = sizes.wide, sizes.queries
    score = row.torch_score_bytes[0 if width == 2 else 1]
    repeated = 2 * queries if group.heads != group.kv_heads else 0
    numbers = 3 * wide + queries + repeated
    if row.torch_beside_scores:
        numbers = int(row.torch_beside_scores[0 if width == 2 else 1] * wide)
    line = (
        f"{sizes.cells:,} scores × {score:g} bytes + {count:,} tokens × {numbers:,} × {width} bytes"
    )
    # scores leave room for the next ones, but a sink makes the next ones one longer
    scores = score / width if row.attention_sinks else 0
    heap = in_heap(count, width, (numbers / wide, wide), (scores, group.heads * tokens))
    return int(sizes.cells * score) + count * numbers * width, line, heap


def _fused_attention(
    row: ArchitectureRow,
    group: Attention,
    sizes: _Heads,
    tokens: int,
    count: int,
    width: int,
    *,
    masked: bool,
) -> Moment:
    """Attention that stores no scores."""
    wide, queries, keys, values = sizes.wide, sizes.queries, sizes.keys, sizes.values
    numbers = 3 * wide + row.torch_query_arrays * queries + keys + values
    size, line = count * numbers * width, f"{count:,} tokens × {numbers:,} × {width} bytes"
    heap = in_heap(count, width, (3, wide), (4, queries), (1, keys), (1, values))
    if masked:
        # the mask as numbers; keys and values repeated for every head, but for those of one head,
        # which are shown to all
        inner = 3 * wide + 2 * queries + (2 * queries if 1 < group.kv_heads < group.heads else 0)
        other = tokens * count * width + count * inner * width
        if other > size:
            line = (
                f"{count:,} tokens × {inner:,} × {width} bytes + a mask of {tokens:,} ×"
                f" {count:,} × {width} bytes"
            )
            return other, line, heap
    return size, line, heap
