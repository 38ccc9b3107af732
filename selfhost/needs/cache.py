"""What a model remembers of the tokens it has seen, keys and values that grow with the context or a
state of fixed size: how wide it is, and how much of it llama.cpp and the Python runtimes keep.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import ceil

from ..catalogue.architecture import Architecture, Attention
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from ..core.tables import shipped_table
from .case import Case, Cells
from .quantization import CACHE_BLOCKS, bytes_of
from .records import How, Term, by_layers, term, times
from .tensors import UNKNOWN_ROW, row_of, side_length, sizes_of


class CacheGroup(Record):
    """Layers that cache alike, those that own a cache; elements are of one token and one layer.
    `window_tokens`: None for layers that keep every token. `indexer_elements`: the keys of a sparse
    indexer. `tokens_per_row`: so many share the elements. Latent attention stores no values.
    """

    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    key_elements: int
    value_elements: int
    window_tokens: int | None = None
    latent: bool = False
    indexer_elements: int = 0
    tokens_per_row: int = 1


@lru_cache(512)
def cache_groups(architecture: Architecture, *, with_idle: bool = False) -> tuple[CacheGroup, ...]:
    """The caches of a model; () for encoders and for models that keep a state alone, or nothing.
    `with_idle`: those too that llama.cpp makes and no layer reads.
    """
    row = row_of(architecture) or UNKNOWN_ROW
    if with_idle and row.idle_cache:
        row = UNKNOWN_ROW
    if row.encoder or row.recomputes:
        return ()
    last, groups = architecture.cache_layers, list[CacheGroup]()
    for group in architecture.attention:
        # those of Gemma 3n and 4 beyond `cache_layers` read an earlier layer's
        layers = len([layer for layer in group.layers if last is None or layer < last])
        if not layers or group.kind == "cross":
            continue
        cached = _group_of(group, layers)
        if row.window_masks:
            cached = cached.replace(window_tokens=None)
        groups.append(cached)
        if group.kind == "compressed" and group.compression:
            # DeepSeek V4: beside a window of tokens rows that each stand for several of them
            length = group.key_length + (group.indexer_length or 0)
            elements = {"key_length": length, "key_elements": length}
            rows = {"window_tokens": None, "tokens_per_row": group.compression}
            groups.append(cached.replace(**rows, **elements))
    return tuple(groups)


def _group_of(group: Attention, layers: int) -> CacheGroup:
    kind, length = group.kind, group.key_length
    if kind == "latent":
        length = (group.latent_length or 0) + (group.rope_length or 0)
    # rows that are key and value in one
    is_joint = kind in ("latent", "compressed")
    heads, value = (1, 0) if is_joint else (group.kv_heads, group.value_length)
    return CacheGroup(
        layers=layers,
        kv_heads=heads,
        key_length=length,
        value_length=value,
        key_elements=heads * length,
        value_elements=heads * value,
        latent=is_joint,
        window_tokens=group.window_tokens if kind != "full" else None,
        indexer_elements=(group.indexer_length or 0) if kind != "compressed" else 0,
    )


class State(Record):
    """The state of a recurrent layer and sequence: numbers of a convolution's last inputs, and the
    rest; `bytes` of all `layers` in llama.cpp, in 32-bit floats.
    """

    layers: int
    bytes: int
    convolution: int
    memory: int
    arithmetic: str


def states(architecture: Architecture) -> tuple[State, ...]:
    """Those of recurrences, and of compressed attention the tokens that make the next row."""
    kept, rules = list[State](), shipped_table("tensors")["states"]
    for recurrent in architecture.recurrent:
        if not recurrent.layers:
            continue
        sizes = {**sizes_of(recurrent), "width": architecture.embedding_length}
        # inputs that a convolution remembers
        sizes["taps"] = max(0, (recurrent.convolution or 1) - 1)
        parts: list[str] = rules[recurrent.kind]
        convolution, memory = (side_length(part, sizes) if part else 0 for part in parts)
        line = f"({' + '.join(filter(None, parts)).replace('*', '×')})"
        line = re.sub(r"[a-z_]+", lambda key: f"{sizes[key[0]]:,}", line)  # noqa: B023
        layers, ends = len(recurrent.layers), {"convolution": convolution, "memory": memory}
        size = 4 * (convolution + memory) * layers
        kept.append(State(layers=layers, bytes=size, arithmetic=line, **ends))
    for group in architecture.attention:
        if group.kind == "compressed" and group.compression:
            twice = 2 if group.indexer_heads else 1
            wide = twice * (group.key_length + (group.indexer_length or 0))
            rows, layers = 2 * twice * group.compression, len(group.layers)
            line = f"2 × {rows // 2} tokens × {wide:,}"
            ends = {"bytes": 4 * rows * wide * layers, "memory": rows * wide}
            kept.append(State(layers=layers, convolution=0, arithmetic=line, **ends))
    return tuple(kept)


def why_not_known(architecture: Architecture, runtime: RuntimeSpec) -> str | None:
    """Why it is not known what a program other than llama.cpp keeps; None where it is."""
    if any(group.kind == "compressed" for group in architecture.attention):
        return "how much memory compressed attention needs outside llama.cpp is not known"
    if any("rwkv" in group.kind for group in architecture.recurrent):
        return "how much memory RWKV needs outside llama.cpp is not known"
    row = row_of(architecture) or UNKNOWN_ROW
    if row.rewrites and not runtime.keeps_read_text:
        return f"what {runtime.name} keeps of the text that the encoder read is not known"
    return None


def with_every_head(architecture: Architecture) -> Architecture:
    """The model where each latent is unpacked into keys and values of every head."""
    attention = []
    for group in architecture.attention:
        if group.kind == "latent":
            length = group.key_length + (group.rope_length or 0)
            group = group.replace(kind="full", kv_heads=group.heads, key_length=length)
        attention.append(group)
    return architecture.replace(attention=tuple(attention))


# What llama.cpp 0c1e570 keeps, and Ollama by the same code: read from its source and compared with
# measurements, exact to the byte


def window_of(architecture: Architecture, group: CacheGroup | Attention) -> int | None:
    """The window that llama.cpp's cache of these layers has; None where it keeps every token."""
    row = row_of(architecture) or UNKNOWN_ROW
    if row.window_cache == "ignored" or row.window_cache_layers not in (None, architecture.layers):
        return None
    return group.window_tokens


def groups_with_room(architecture: Architecture) -> tuple[CacheGroup, ...]:
    """What has room in llama.cpp's cache: in some encoders too, which read none, and in Ling 3 the
    multi-token-prediction blocks as well (src/llama-model.cpp filters no layer).
    """
    groups, row = cache_groups(architecture, with_idle=True), row_of(architecture)
    if row is None or not row.mtp_cached or not groups:
        return groups
    layers = groups[-1].layers + (architecture.mtp_layers or 0)
    return *groups[:-1], groups[-1].replace(layers=layers)


def cache_parts(architecture: Architecture, room: Cells) -> list[tuple[int, str, int, str]]:
    """Bytes of the KV cache, with what sparse indexers keep, and what stands before and after the
    number of layers. Without flash attention every V row has the largest width of any layer, and
    idle layers have a row too.
    """
    groups, parts = groups_with_room(architecture), list[tuple[int, str, int, str]]()
    row = row_of(architecture) or UNKNOWN_ROW
    widest = 0 if room.flash else max((group.value_elements for group in groups), default=0)
    elements, size = CACHE_BLOCKS[room.key_type.upper()]
    each = f" × {size}/{elements} bytes" if elements > 1 else f" × {size} bytes"
    for group in groups:
        cells = room.cells_of_layer(window_of(architecture, group), group.tokens_per_row)
        keys = bytes_of(room.key_type, group.key_elements)
        values = bytes_of(room.value_type, max(widest, group.value_elements))
        before, shape = shape_of_row(group, widest)
        unit = "rows" if group.tokens_per_row > 1 else "tokens"
        line = f" × {shape}{each} × {cells:,} {unit}"
        taken = cells * (keys + values) * group.layers
        parts.append((room.streams * taken, before, group.layers, line))
        if indexed := group.indexer_elements:
            keys = bytes_of(room.key_type, indexed)
            values = bytes_of(room.value_type, indexed) if row.indexer_values else 0
            line = f" × {'2 × ' * row.indexer_values}{indexed:,}{each} of the indexer"
            line += f" × {room.full:,} tokens"
            taken = room.full * (keys + values) * group.layers
            parts.append((room.streams * taken, "", group.layers, line))
    attending = {layer for group in architecture.attention for layer in group.layers}
    # layers that do not attend
    idle = 0 if architecture.recurrent or not attending else architecture.layers - len(attending)
    if idle and widest:
        line = f" without attention × {widest:,}{each} × {room.full:,} tokens"
        taken = room.full * idle * bytes_of(room.value_type, widest)
        parts.append((room.streams * taken, "", idle, line))
    return parts


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
    indexer = max((each.indexer_length or 0 for each in case.model.attention), default=0) * is_mlx
    caches = []
    for group in cache_groups(architecture):
        kept, reach = _kept_tokens(case, group.window_tokens)
        elements, indexed = group.key_elements + group.value_elements, group.indexer_elements
        before, line = shape_of_row(group)
        if indexer and (indexed or group.latent):
            before, line = "", f"({before}{line} + 2 × {indexer})"
            elements, indexed = elements + 2 * indexer, 0
        size, most, line = elements * width, (elements + indexed) * width, f"{line} × {width} bytes"
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
    row = row_of(architecture) or UNKNOWN_ROW
    return with_every_head(architecture) if row.mlx_unpacked and not is_biased else architecture


def shape_of_row(group: CacheGroup, widest: int = 0) -> tuple[str, str]:
    """What stands before and after the number of layers for the numbers of one token."""
    values = max(widest, group.value_elements)
    if group.latent:
        return "", f"{group.key_length:,}"
    if group.key_elements == values:
        return "2 × ", f"{times(group.kv_heads, 'KV head')} × {group.key_length:,}"
    return "", f"({group.key_elements:,} + {values:,})"


def _kept_tokens(case: Case, window: int | None) -> tuple[int, int]:
    """How many tokens a layer has room for, and the most, in whole steps of the runtime."""
    account, runtime, row = case.runtime.account, case.runtime, case.row
    step = runtime.cache_step_tokens
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
    if runtime.whole_windows:
        return ceil(runtime.window_shares.get(row.name, 1.0) * tokens), tokens
    # vLLM may give every layer the room of the longest
    return min(tokens, -(-window // step) * step), tokens


def cache_terms(case: Case) -> list[Term]:
    """The terms of the cache and of recurrent states, those of no bytes left out."""
    keys, state, share = _keys_and_values(case), _recurrent_states(case), case.runtime.state_share
    shared = int(share * keys.bytes) if keys is not None else 0
    if keys is not None and state is not None and shared > state.bytes:
        line = f"{share:g} × {keys.bytes:,} bytes of keys and values"
        state = state.replace(bytes=shared, high_bytes=shared, arithmetic=line)
    terms = [each for each in (keys, state) if each is not None]
    is_mlx = case.runtime.account.windows == "rotated"
    if is_mlx and case.spec.quantized is None and case.model.dtype == "float32":
        # files for MLX made of weights in 32 bits may have 16
        terms = [each.replace(low_bytes=each.low_bytes // 2) for each in terms]
    return terms


def _keys_and_values(case: Case) -> Term | None:
    architecture, width, sequences = case.model, case.cache_width, case.sequences
    caches = cache_sizes(case)
    size, high = sum(each.bytes for each in caches), sum(each.high_bytes for each in caches)
    ending, low = f" × {sequences:,} sequences" * (sequences > 1), size
    lines = [(each.before, each.layers, f" × {each.line}{ending}") for each in caches]
    if architecture.audio is not None:
        frames, wide = architecture.audio.positions, architecture.embedding_length
        after = f" × {wide:,} × {width} bytes × {frames:,} positions of the encoder{ending}"
        lines.append(("2 × ", architecture.layers, after))
        more = 2 * architecture.layers * wide * width * frames * sequences
        # how much text comes out of it is not known
        low = more
        size, high = size + more, high + more
    if not size:
        return None
    if any(group.latent_length and group.kind == "full" for group in architecture.attention):
        # a class of transformers may keep the latent alone
        low //= 20
    line, step = by_layers(lines), case.runtime.cache_step_tokens
    line += f"; in steps of {step} tokens" if step > 1 else ""
    kind = "the type of the model" if width > 1 else "FP8"
    source = f"{case.runtime.name}: keys and values in {kind}"
    return term("kv_cache", size, How.COMPUTED, source, line, low=low, high=high)


def _recurrent_states(case: Case) -> Term | None:
    """States in 32 bits; for some runtimes inputs of convolutions in the type of the model."""
    architecture, account, sequences = case.model, case.runtime.account, case.workload.parallel
    width = case.cache_width if account.typed_states else 4
    groups = [group for group in architecture.recurrent if group.layers]
    size, lines = 0, []
    for group, state in zip(groups, states(architecture), strict=False):
        wide, inputs = width if group.kind in account.narrow_states else 4, state.convolution
        if account.widened and group.kind != "rglru":
            # LinearAttentionLayer of transformers keeps as many inputs as a convolution is wide
            taps = group.convolution or 1
            inputs = inputs * taps // max(1, taps - 1)
        size += state.layers * (inputs * width + state.memory * wide) * sequences
        product = f"({inputs:,} × {width} bytes + {state.memory:,} × {wide} bytes)"
        many = f" × {sequences:,} sequences" * (sequences > 1)
        lines.append(("", state.layers, f" × {product}{many}"))
    if not size:
        return None
    source = f"{case.runtime.name}: inputs of convolutions in the type of the model, states in 32"
    # some runtimes halve it
    low = size if account.typed_states else size // 2
    source += " bits"
    return term("recurrent_state", size, How.COMPUTED, source, by_layers(lines), low=low)
