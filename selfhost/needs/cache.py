"""What a model remembers of the tokens it has seen: keys and values that grow with the context, or
a state of fixed size.

These are facts of the model. How many cells a runtime gives them is the runtime's own room.
"""

from __future__ import annotations

from ..catalogue.spec import Architecture, Recurrent
from ..core.records import Record
from .tensors import ArchitectureRow


class CacheGroup(Record):
    """Layers that cache alike. `layers` counts those that own a cache; elements are of one token
    and one layer.

    `window_tokens` as in the config, None for layers that keep every token. `indexer_elements`: the
    keys of a sparse indexer. `tokens_per_row`: so many share the elements.
    """

    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    window_tokens: int | None = None
    latent: bool = False
    indexer_elements: int = 0
    tokens_per_row: int = 1

    @property
    def key_elements(self) -> int:
        """Elements of K."""
        return self.kv_heads * self.key_length

    @property
    def value_elements(self) -> int:
        """Elements of V; 0 for latent attention, which stores none."""
        return self.kv_heads * self.value_length


def cache_groups(architecture: Architecture, row: ArchitectureRow | None) -> tuple[CacheGroup, ...]:
    """The caches of a model; () for encoders, for models that keep a state alone, and for those
    that keep nothing.
    """
    if row is not None and (row.encoder or row.recomputes):
        return ()
    groups = []
    for group in architecture.attention:
        # Gemma 3n and 4: the layers after these read an earlier layer's cache
        owning = (
            group.layers
            if architecture.cache_layers is None
            else [n for n in group.layers if n < architecture.cache_layers]
        )
        if not owning or group.kind == "cross":
            continue
        indexer = (group.indexer_length or 0) if group.indexer_heads else 0
        if group.kind == "compressed":
            indexed = indexer if group.compression else 0
            groups.append(
                _rows_of(len(owning), group.key_length, window_tokens=group.window_tokens)
            )
            if group.compression:
                groups.append(
                    _rows_of(
                        len(owning), group.key_length + indexed, tokens_per_row=group.compression
                    )
                )
        elif group.kind == "latent":
            size = (group.latent_length or 0) + (group.rope_length or 0)
            groups.append(
                _rows_of(
                    len(owning), size, window_tokens=group.window_tokens, indexer_elements=indexer
                )
            )
        else:
            window = (
                group.window_tokens
                if group.kind == "sliding" and not (row is not None and row.window_masks)
                else None
            )
            groups.append(
                CacheGroup(
                    layers=len(owning),
                    kv_heads=group.kv_heads,
                    key_length=group.key_length,
                    value_length=group.value_length,
                    window_tokens=window,
                    indexer_elements=indexer,
                )
            )
    return tuple(groups)


def _rows_of(
    layers: int,
    length: int,
    window_tokens: int | None = None,
    tokens_per_row: int = 1,
    indexer_elements: int = 0,
) -> CacheGroup:
    """Rows that are key and value in one."""
    return CacheGroup(
        layers=layers,
        kv_heads=1,
        key_length=length,
        value_length=0,
        window_tokens=window_tokens,
        latent=True,
        indexer_elements=indexer_elements,
        tokens_per_row=tokens_per_row,
    )


class State(Record):
    """The state of one recurrent layer and one sequence, in elements: the convolution's last
    inputs, and the rest.
    """

    layers: int
    convolution: int
    memory: int
    arithmetic: str

    @property
    def first(self) -> int:
        """Elements of what a layer reads first."""
        return self.convolution or self.memory


def states(architecture: Architecture) -> tuple[State, ...]:
    """One entry per group of recurrent layers."""
    return tuple(
        _state(group, architecture.embedding_length)
        for group in architecture.recurrent
        if group.layers
    )


def keeps_compressed(architecture: Architecture) -> bool:
    """True for DeepSeek V4."""
    return any(group.kind == "compressed" for group in architecture.attention)


def why_not_known(architecture: Architecture, row: ArchitectureRow, runtime: str) -> str | None:
    """Why it is not known what a program other than llama.cpp keeps; None where it is."""
    if keeps_compressed(architecture):
        return "what a program other than llama.cpp keeps for compressed attention is not known"
    if any("rwkv" in group.kind for group in architecture.recurrent):
        return "what a program other than llama.cpp takes for RWKV is not known"
    if row.rewrites and runtime != "transformers":
        return (
            "what a program other than llama.cpp and transformers keeps of the text that the"
            " encoder read is not known"
        )
    return None


def compressors(architecture: Architecture) -> tuple[State, ...]:
    """What is kept of the tokens that the next row of compressed attention will be made of:
    numbers, and what each counts for.
    """
    kept_states = []
    for group in architecture.attention:
        if group.kind == "compressed" and group.compression:
            length = group.key_length + ((group.indexer_length or 0) if group.indexer_heads else 0)
            rows, wide = (
                (2 * group.compression, 2 * length)
                if group.indexer_heads
                else (group.compression, length)
            )
            kept_states.append(
                State(
                    layers=len(group.layers),
                    convolution=0,
                    memory=2 * rows * wide,
                    arithmetic=f"2 × {rows} tokens × {wide:,}",
                )
            )
    return tuple(kept_states)


def _state(group: Recurrent, width: int) -> State:
    taps = max(0, (group.convolution or 1) - 1)
    size, heads, key, value = (
        group.state_length or 0,
        group.heads or 0,
        group.key_length or 0,
        group.value_length or 0,
    )
    match group.kind:
        case "convolution":
            parts = (taps * width, 0, f"{taps} × {width:,}")
        case "kda":
            parts = (
                3 * taps * heads * key,
                heads * key * key,
                f"(3 × {taps} × {heads} heads × {key} + {heads} heads × {key} × {key})",
            )
        case "rglru":
            inner = group.inner_length or 0
            parts = (taps * inner, inner, f"({taps} × {inner:,} + {inner:,})")
        case "lightning":
            parts = (0, heads * key * key, f"{heads} heads × {key} × {key}")
        case "delta":
            inner, keys = heads * value, (group.key_heads or 0) * key
            parts = (
                taps * (inner + 2 * keys),
                key * inner,
                f"({taps} × ({inner:,} + 2 × {keys:,}) + {key} × {inner:,})",
            )
        case "mamba2":
            inner, mixed = group.inner_length or 0, (group.groups or 0) * size
            parts = (
                taps * (inner + 2 * mixed),
                size * inner,
                f"({taps} × ({inner:,} + 2 × {mixed:,}) + {size} × {inner:,})",
            )
        case "rwkv6" | "rwkv7" | "qrwkv6" | "qrwkv7":
            # the last vector of a layer, and of a channel mix one more; a square for each head
            shifts = 2 if group.kind in ("rwkv6", "rwkv7") else 1
            parts = (shifts * width, width * key, f"({shifts} × {width:,} + {width:,} × {key})")
        case _:
            inner = group.inner_length or 0
            parts = (taps * inner, size * inner, f"({taps} × {inner:,} + {size} × {inner:,})")
    return State(
        layers=len(group.layers), convolution=parts[0], memory=parts[1], arithmetic=parts[2]
    )
