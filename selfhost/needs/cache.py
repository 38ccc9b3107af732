"""What the Python runtimes keep of the tokens a model has seen: keys and values, and states."""

from __future__ import annotations

from math import ceil

from ..catalogue.architecture import Architecture
from ..core.records import Record
from ..core.tables import shipped_table
from .case import Case
from .records import How, Term, by_layers, of_sequences, term
from .tensors import cache_groups, row_of, shape_of_row, states, with_every_head


class CacheSize(Record):
    """What all sequences keep in a group of layers, likely and at most: devices share it out by its
    `heads`; `before` and `line` stand around the number of layers.
    """

    layers: int
    heads: int
    bytes: int
    high_bytes: int
    before: str
    line: str


def cache_sizes(case: Case) -> list[CacheSize]:
    """What each group of layers keeps of keys and values."""
    width, is_mlx = case.cache_width, case.runtime.account.windows == "rotated"
    architecture = as_unpacked(case.model) if is_mlx else case.model
    # MLX LM stores the keys of an indexer in every layer, and for its values, too
    indexer = 0
    if is_mlx:
        indexer = max(
            (group.indexer_length or 0 for group in case.model.attention), default=0
        )
    caches = []
    for group in cache_groups(architecture):
        kept, reach = _kept_tokens(case, group.window_tokens)
        elements, indexed = (
            group.key_elements + group.value_elements,
            group.indexer_elements,
        )
        before, line = shape_of_row(group)
        if indexer and (indexed or group.latent):
            before, line = "", f"({before}{line} + 2 × {indexer})"
            elements, indexed = elements + 2 * indexer, 0
        size, most, line = (
            elements * width,
            (elements + indexed) * width,
            f"{line} × {width} bytes",
        )
        if width == 1 and indexed and group.latent:
            rules = shipped_table("memory")["torch"]
            beside = rules["fp8_row_bytes"]
            size, most = size + beside, most + beside + indexed // rules["fp8_indexed"]
            line = f"({line} + {beside} bytes)"
        number = group.layers * case.sequences
        caches.append(
            CacheSize(
                layers=group.layers,
                heads=1 if group.latent else group.kv_heads,
                bytes=number * size * kept,
                high_bytes=number * most * reach,
                before=before,
                line=f"{line} × {kept:,} tokens",
            )
        )
    return caches


def as_unpacked(architecture: Architecture) -> Architecture:
    """The model as MLX LM attends: some of its classes unpack a latent for every head."""
    # mlx_lm 0.32.2: of the row `deepseek2`, deepseek_v2.py alone, which has no router bias
    is_biased = any(group.router_bias for group in architecture.feed_forward)
    row = row_of(architecture)
    return (
        with_every_head(architecture)
        if row.mlx_unpacked and not is_biased
        else architecture
    )


def _kept_tokens(case: Case, window: int | None) -> tuple[int, int]:
    """How many tokens a layer has room for, and the most, in whole steps of the runtime."""
    account, runtime, row = case.runtime.account, case.runtime, case.row
    step = runtime.memory.cache_step_tokens
    tokens = -(-case.context_tokens // step) * step
    # transformers: DynamicSlidingWindowLayer gives a prompt back once the second token is answered
    if window is None or account.windows == "kept":
        return tokens, tokens
    if account.windows == "rotated":
        is_mixed = any(each.window_tokens is None for each in case.model.attention)
        if row.mlx_windows == "all" or (row.mlx_windows == "mixed" and is_mixed):
            # mlx_lm/models/cache.py: beside the piece of the prompt that is read
            return min(tokens, window), min(tokens, window + account.prompt_tokens)
        return tokens, tokens
    if runtime.memory.whole_windows:
        return ceil(runtime.memory.window_shares.get(row.name, 1.0) * tokens), tokens
    # vLLM may give every layer the room of the longest
    return min(tokens, -(-window // step) * step), tokens


def cache_terms(case: Case) -> list[Term]:
    """The terms of the cache and of recurrent states, those of no bytes left out: states in 32
    bits; for some runtimes inputs of convolutions in the type of the model.
    """
    model, account, sequences = case.model, case.runtime.account, case.workload.parallel
    keys, share = _keys_and_values(case), case.runtime.memory.state_share
    width = case.cache_width if account.typed_states else 4
    groups = [group for group in model.recurrent if group.layers]
    size, lines = 0, []
    for group, state in zip(groups, states(model), strict=False):
        wide, inputs = (
            width if group.kind in account.narrow_states else 4,
            state.convolution,
        )
        if account.widened and group.kind != "rglru":
            # LinearAttentionLayer of transformers keeps as many inputs as a convolution is wide
            taps = group.convolution or 1
            inputs = inputs * taps // max(1, taps - 1)
        size += state.layers * (inputs * width + state.memory * wide) * sequences
        product = f"({inputs:,} × {width} bytes + {state.memory:,} × {wide} bytes)"
        lines.append(("", state.layers, f" × {product}{of_sequences(sequences)}"))
    line = by_layers(lines)
    source = f"{case.runtime.name}: inputs of convolutions in the type of the model, states in 32"
    source += " bits"
    # some runtimes halve it
    low, shared = size if account.typed_states else size // 2, int(share * keys.bytes)
    high = size
    if 0 < size < shared:
        size = high = shared
        line = f"{share:g} × {keys.bytes:,} bytes of keys and values"
    state_term = term(
        "recurrent_state", size, How.COMPUTED, source, line, low=low, high=high
    )
    terms = [each for each in (keys, state_term) if each.bytes]
    if (
        account.windows == "rotated"
        and case.spec.quantized is None
        and model.dtype == "float32"
    ):
        # files for MLX made of weights in 32 bits may have 16
        terms = [each.replace(low_bytes=each.low_bytes // 2) for each in terms]
    return terms


def _keys_and_values(case: Case) -> Term:
    architecture, width, sequences = case.model, case.cache_width, case.sequences
    caches = cache_sizes(case)
    size, high = (
        sum(each.bytes for each in caches),
        sum(each.high_bytes for each in caches),
    )
    ending, low = of_sequences(sequences), size
    lines = [(each.before, each.layers, f" × {each.line}{ending}") for each in caches]
    if architecture.audio is not None:
        frames, wide = architecture.audio.positions, architecture.embedding_length
        after = (
            f" × {wide:,} × {width} bytes × {frames:,} positions of the encoder{ending}"
        )
        lines.append(("2 × ", architecture.layers, after))
        more = 2 * architecture.layers * wide * width * frames * sequences
        # how much text comes out of it is not known
        low = more
        size, high = size + more, high + more
    if any(
        group.latent_length and group.kind == "full" for group in architecture.attention
    ):
        # a class of transformers may keep the latent alone
        low //= 20
    line, step = by_layers(lines), case.runtime.memory.cache_step_tokens
    line += f"; in steps of {step} tokens" if step > 1 else ""
    kind = "the type of the model" if width > 1 else "FP8"
    source = f"{case.runtime.name}: keys and values in {kind}"
    return term("kv_cache", size, How.COMPUTED, source, line, low=low, high=high)
