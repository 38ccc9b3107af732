"""The memory that the Python runtimes keep for tokens already read: keys and values, and recurrent
states.

What goes in: a case. What comes out: the terms `kv_cache` and `recurrent_state` in bytes. A group
of layers with equal caches takes layers × sequences × tokens × elements of a token × bytes of a
number.
"""

from __future__ import annotations

from math import ceil

from ..catalogue.architecture import Architecture, Attention, Audio, Recurrent
from ..core.records import Record, Stated
from ..core.tables import shipped_record
from .case import Case
from .records import (
    Size,
    Term,
    by_layers,
    computed_term,
    of_sequences,
    rounded_up,
    sum_bytes,
)
from .tensors import (
    CacheGroup,
    cache_groups,
    row_of,
    state_of,
    with_every_head,
    words_of_row,
)


class TorchSizes(Stated):
    """`[torch]` of specs/common/memory.toml, which explains each key."""

    shard_bytes: int
    around_a_row_bytes: int
    patches: int
    numbers_per_patch: int
    heap_block_bytes: int
    fp8_row_bytes: int
    fp8_indexed: int


TORCH = shipped_record(TorchSizes, "memory", "torch")
# bytes of a number of a state, unless a program stores the state in the model's type
_STATE_NUMBER_BYTES = 4


class CacheSize(Record):
    """The bytes of keys and values that a group of layers keeps for all sequences, likely (`bytes`)
    and at most (`high_bytes`). As `_of_one_token` returns it, those that one of the layers keeps of
    one token.

    Several devices divide the cache by its `heads`. In a line of arithmetic `before` stands before
    the number of layers, and `line` after it.
    """

    layers: int
    heads: int
    bytes: int
    high_bytes: int
    before: str
    line: str


def cache_terms(case: Case) -> list[Term]:
    """The terms of the KV cache and of recurrent states, without terms of no bytes."""
    keys = _keys_and_values(case)
    states = _recurrent_states(case, keys)
    terms = [term for term in (keys, states) if term.bytes]
    is_converted_by_mlx = (
        case.account.windows == "rotated" and case.spec.quantized is None
    )
    if is_converted_by_mlx and case.model.dtype == "float32":
        # MLX files made of weights in 32 bits may hold 16 bits
        return [term.replace(low_bytes=term.low_bytes // 2) for term in terms]
    return terms


def _keys_and_values(case: Case) -> Term:
    """The term of the KV cache of all layers. A speech model also keeps the keys and values of the
    audio.
    """
    caches = cache_sizes(case)
    likely = sum_bytes(caches)
    most = sum(cache.high_bytes for cache in caches)
    size = Size(likely, likely, most)
    ending = of_sequences(case.sequences)
    lines = [
        (cache.before, cache.layers, f" × {cache.line}{ending}") for cache in caches
    ]
    if case.model.audio is not None:
        heard = _heard_bytes(case, case.model.audio)
        # the length of the text is not known: at the least no text is cached
        size = Size(heard, likely + heard, most + heard)
        lines.append(_line_of_heard(case, case.model.audio))
    if any(_is_full_latent(group) for group in case.model.attention):
        # a class of transformers may cache the latent alone
        size = size._replace(least=size.least // 20)
    line = by_layers(lines)
    step = case.runtime.memory.cache_step_tokens
    if step > 1:
        line += f"; in steps of {step} tokens"
    kind = case.cache_types.keys.upper()
    if kind == "F16":
        kind = "the type of the model"
    source = f"{case.runtime.name}: keys and values in {kind}"
    return computed_term("kv_cache", size, source, line)


def cache_sizes(case: Case) -> list[CacheSize]:
    """The size of the keys and values that each group of layers keeps."""
    model = case.model
    mlx_indexer = 0
    if case.account.windows == "rotated":
        # MLX LM stores the keys of an indexer in every layer, and space for values as well
        lengths = [group.indexer_key_length for group in model.attention]
        mlx_indexer = max(lengths, default=0)
        model = as_unpacked(model)
    caches = []
    for group in cache_groups(model):
        token = _of_one_token(group, case.cache_width, mlx_indexer)
        likely, most = _kept_tokens(case, group.window_tokens)
        if group.tokens_per_row > 1:
            likely = ceil(likely / group.tokens_per_row)
            most = ceil(case.runtime.memory.compressed_most * likely)
        layers_of_all = group.layers * case.sequences
        cache = token.replace(
            bytes=layers_of_all * token.bytes * likely,
            high_bytes=layers_of_all * token.high_bytes * most,
            line=f"{token.line} × {likely:,} {group.kept}",
        )
        caches.append(cache)
    return caches


def _of_one_token(
    group: CacheGroup,
    width: float,
    mlx_indexer: int,
) -> CacheSize:
    """What one layer of a group keeps of one token: elements of keys and values × bytes of a number
    (`width`).

    The most includes the keys of an indexer, which a runtime may keep. MLX LM always keeps them;
    `mlx_indexer` is their length there, and 0 in other runtimes.
    """
    elements = group.key_elements + group.value_elements
    before, line = words_of_row(group)
    indexed = group.indexer_elements
    if mlx_indexer and (indexed or group.latent):
        line = f"({before}{line} + 2 × {mlx_indexer})"
        before = ""
        elements += 2 * mlx_indexer
        indexed = 0
    likely = ceil(elements * width)
    most = ceil((elements + ceil(indexed / group.indexer_pool)) * width)
    line = f"{line} × {width:g} bytes"
    if width == 1 and indexed and group.latent:
        likely += TORCH.fp8_row_bytes
        most += TORCH.fp8_row_bytes + indexed // TORCH.fp8_indexed
        line = f"({line} + {TORCH.fp8_row_bytes} bytes)"
    return CacheSize(
        layers=group.layers,
        heads=group.kv_heads,
        bytes=likely,
        high_bytes=most,
        before=before,
        line=line,
    )


def as_unpacked(architecture: Architecture) -> Architecture:
    """The architecture as MLX LM computes it: some of its classes unpack the latent row into keys
    and values of every head.
    """
    # in mlx_lm 0.32.2 only deepseek_v2.py unpacks, of the models in the row `deepseek2`; its models
    # have no router bias
    is_biased = any(group.router_bias for group in architecture.feed_forward)
    if is_biased or not row_of(architecture).mlx_unpacked:
        return architecture
    return with_every_head(architecture)


def _kept_tokens(case: Case, window: int | None) -> tuple[int, int]:
    """The numbers of tokens that a layer keeps, likely and at most, rounded up to whole steps of
    the runtime. `window`: the layer's window in tokens; None for a layer without a window.
    """
    runtime = case.runtime
    account = runtime.account
    step = runtime.memory.cache_step_tokens
    tokens = rounded_up(case.context_tokens, step)
    # DynamicSlidingWindowLayer of transformers keeps a whole prompt until the second token is
    # answered
    if window is None or account.windows == "kept":
        return tokens, tokens
    if account.windows == "rotated":
        if not _rotates(case):
            return tokens, tokens
        # the window and the chunk of the prompt that is being read (mlx_lm/models/cache.py)
        return min(tokens, window), min(tokens, window + account.prompt_tokens)
    if runtime.memory.whole_windows:
        share = runtime.memory.window_shares.get(case.row.name, 1.0)
        return ceil(share * tokens), tokens
    # vLLM may give every layer as many tokens as the longest layer
    return min(tokens, rounded_up(window, step)), tokens


def _rotates(case: Case) -> bool:
    """Whether MLX LM's class of the model drops tokens outside the window: for some rows always,
    for others only where some layers keep every token.
    """
    windows = case.row.mlx_windows
    if windows == "mixed":
        return any(group.window_tokens is None for group in case.model.attention)
    return windows == "all"


def _recurrent_states(case: Case, keys: Term) -> Term:
    """The term of the recurrent states: layers × sequences × bytes of one state.

    At the least a runtime stores half of that, unless it stores states in the type of the model.
    Some reserve for the states at least a share of the bytes of `keys`, the keys and values.
    """
    sequences = case.parallel
    size = 0
    lines = []
    for recurrent in case.model.recurrent:
        state_bytes, state_line = _state_of_layer(case, recurrent)
        layers = len(recurrent.layers)
        size += layers * state_bytes * sequences
        lines.append(("", layers, f" × {state_line}{of_sequences(sequences)}"))
    low = size if case.account.typed_states else size // 2
    line = by_layers(lines)
    share = case.runtime.memory.state_share
    reserved = int(share * keys.bytes)
    if 0 < size < reserved:
        size = reserved
        line = f"{share:g} × {keys.bytes:,} bytes of keys and values"
    source = (
        f"{case.runtime.name}: inputs of convolutions in the type of the model, states in"
        " 32 bits"
    )
    return computed_term("recurrent_state", Size(low, size, size), source, line)


def _state_of_layer(case: Case, recurrent: Recurrent) -> tuple[int, str]:
    """The bytes that one recurrent layer keeps of one sequence, with their part of a line of
    arithmetic. A layer keeps inputs of a convolution, and a memory.

    Numbers have 32 bits. Some runtimes store the inputs in the type of the model, and of some kinds
    of layers the memory, too.
    """
    state = state_of(recurrent, case.model)
    account = case.account
    width = case.width if account.typed_states else _STATE_NUMBER_BYTES
    inputs = state.convolution
    if account.widened and recurrent.kind != "rglru":
        # LinearAttentionLayer of transformers keeps as many inputs as the convolution is wide
        earlier = recurrent.earlier_inputs
        inputs = inputs * (earlier + 1) // max(1, earlier)
    is_narrow = recurrent.kind in account.narrow_states
    memory_width = width if is_narrow else _STATE_NUMBER_BYTES
    line = f"({inputs:,} × {width} bytes + {state.memory:,} × {memory_width} bytes)"
    return inputs * width + state.memory * memory_width, line


def _is_full_latent(group: Attention) -> bool:
    """Whether these layers keep every token, unpacked from a latent row."""
    if group.kind != "full":
        return False
    return bool(group.latent_length)


def _heard_bytes(case: Case, audio: Audio) -> int:
    """The bytes of the keys and values of the audio: 2 × layers × width of the model × bytes of a
    number × positions of the encoder.
    """
    model = case.model
    of_position = 2 * model.layers * model.embedding_length * case.width
    return of_position * audio.positions * case.sequences


def _line_of_heard(case: Case, audio: Audio) -> tuple[str, int, str]:
    """The keys and values of heard audio as a part of a line of arithmetic."""
    model = case.model
    after = f" × {model.embedding_length:,} × {case.width} bytes"
    after += f" × {audio.positions:,} positions of the encoder"
    return "2 × ", model.layers, f"{after}{of_sequences(case.sequences)}"
