"""What a model remembers of the tokens it has seen: keys and values that grow with the context, or
a state of fixed size.

These are facts of the model. How many cells a runtime gives them is the runtime's own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from ..catalogue.architecture import Architecture
from ..catalogue.layers import Attention, Recurrent
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from .tensors import ArchitectureRow


class CacheGroup(Record):
    """Layers that cache alike. `layers` counts those that own a cache; elements are of one token
    and one layer.

    `window_tokens` as in the config, None for layers that keep every token. `indexer_elements`: the
    keys of a sparse indexer. `rope_elements`: the part of a latent row that holds positions.
    `tokens_per_row`: so many share the elements.
    """

    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    window_tokens: int | None = None
    latent: bool = False
    indexer_elements: int = 0
    rope_elements: int = 0
    tokens_per_row: int = 1

    @property
    def key_elements(self) -> int:
        """Elements of K."""
        return self.kv_heads * self.key_length

    @property
    def value_elements(self) -> int:
        """Elements of V; 0 for latent attention, which stores none."""
        return self.kv_heads * self.value_length


@lru_cache(512)
def cache_groups(architecture: Architecture, row: ArchitectureRow | None) -> tuple[CacheGroup, ...]:
    """The caches of a model; () for encoders, for models that keep a state alone, and for those
    that keep nothing.
    """
    if row is not None and (row.encoder or row.recomputes):
        return ()
    window_masks = row is not None and row.window_masks
    groups: list[CacheGroup] = []
    for group in architecture.attention:
        # those of Gemma 3n and 4 beyond `cache_layers` read an earlier layer's
        last = architecture.cache_layers
        layers = len([layer for layer in group.layers if last is None or layer < last])
        if not layers or group.kind == "cross":
            continue
        if group.kind == "compressed":
            # DeepSeek V4: a window of tokens, and rows that each stand for several of them
            rows = _rows(layers, group.key_length)
            groups.append(rows.replace(window_tokens=group.window_tokens))
            if group.compression:
                rows = _rows(layers, group.key_length + _indexer(group))
                groups.append(rows.replace(tokens_per_row=group.compression))
            continue
        window = group.window_tokens
        if group.kind != "latent" and (window_masks or group.kind != "sliding"):
            window = None
        cached = _cached(group, layers)
        groups.append(cached.replace(window_tokens=window, indexer_elements=_indexer(group)))
    return tuple(groups)


def _cached(group: Attention, layers: int) -> CacheGroup:
    if group.kind == "latent":
        rope = group.rope_length or 0
        return _rows(layers, (group.latent_length or 0) + rope).replace(rope_elements=rope)
    return CacheGroup(
        layers=layers,
        kv_heads=group.kv_heads,
        key_length=group.key_length,
        value_length=group.value_length,
    )


def _indexer(group: Attention) -> int:
    """Elements of the keys of a sparse indexer; 0 where the layers have none."""
    return (group.indexer_length or 0) if group.indexer_heads else 0


def _rows(layers: int, length: int) -> CacheGroup:
    """Rows that are key and value in one."""
    return CacheGroup(layers=layers, kv_heads=1, key_length=length, value_length=0, latent=True)


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
    kept_states = []
    for group in architecture.recurrent:
        if group.layers:
            count = _STATES.get(group.kind, _mamba)
            convolution, memory, line = count(group, architecture.embedding_length)
            kept_states.append(
                State(
                    layers=len(group.layers),
                    convolution=convolution,
                    memory=memory,
                    arithmetic=line,
                )
            )
    return tuple(kept_states)


def keeps_compressed(architecture: Architecture) -> bool:
    """True for DeepSeek V4."""
    return any(group.kind == "compressed" for group in architecture.attention)


def why_not_known(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec | None
) -> str | None:
    """Why it is not known what a program other than llama.cpp keeps; None where it is."""
    if keeps_compressed(architecture):
        return "how much memory compressed attention needs outside llama.cpp is not known"
    if any("rwkv" in group.kind for group in architecture.recurrent):
        return "how much memory RWKV needs outside llama.cpp is not known"
    if row.rewrites and (runtime is None or not runtime.keeps_read_text):
        program = "this program" if runtime is None else runtime.name
        return f"what {program} keeps of the text that the encoder read is not known"
    return None


def compressors(architecture: Architecture) -> tuple[State, ...]:
    """What is kept of the tokens that the next row of compressed attention will be made of:
    numbers, and what each counts for.
    """
    kept_states = []
    for group in architecture.attention:
        if group.kind == "compressed" and group.compression:
            twice = 2 if group.indexer_heads else 1
            rows, wide = twice * group.compression, twice * (group.key_length + _indexer(group))
            line = f"2 × {rows} tokens × {wide:,}"
            layers, memory = len(group.layers), 2 * rows * wide
            state = State(layers=layers, convolution=0, memory=memory, arithmetic=line)
            kept_states.append(state)
    return tuple(kept_states)


_Parts = tuple[int, int, str]
"""Elements of the convolution's last inputs, elements of the rest, and the line of both."""


def _taps(group: Recurrent) -> int:
    """Inputs that a convolution remembers."""
    return max(0, (group.convolution or 1) - 1)


def _short_convolution(group: Recurrent, width: int) -> _Parts:
    taps = _taps(group)
    return taps * width, 0, f"{taps} × {width:,}"


def _kda(group: Recurrent, width: int) -> _Parts:
    taps, heads, key = _taps(group), group.heads or 0, group.key_length or 0
    line = f"(3 × {taps} × {heads} heads × {key} + {heads} heads × {key} × {key})"
    return 3 * taps * heads * key, heads * key * key, line


def _rglru(group: Recurrent, width: int) -> _Parts:
    taps, inner = _taps(group), group.inner_length or 0
    return taps * inner, inner, f"({taps} × {inner:,} + {inner:,})"


def _lightning(group: Recurrent, width: int) -> _Parts:
    heads, key = group.heads or 0, group.key_length or 0
    return 0, heads * key * key, f"{heads} heads × {key} × {key}"


def _delta(group: Recurrent, width: int) -> _Parts:
    taps, key = _taps(group), group.key_length or 0
    inner, keys = (group.heads or 0) * (group.value_length or 0), (group.key_heads or 0) * key
    line = f"({taps} × ({inner:,} + 2 × {keys:,}) + {key} × {inner:,})"
    return taps * (inner + 2 * keys), key * inner, line


def _mamba2(group: Recurrent, width: int) -> _Parts:
    taps, inner, size = _taps(group), group.inner_length or 0, group.state_length or 0
    mixed = (group.groups or 0) * size
    line = f"({taps} × ({inner:,} + 2 × {mixed:,}) + {size} × {inner:,})"
    return taps * (inner + 2 * mixed), size * inner, line


def _mamba(group: Recurrent, width: int) -> _Parts:
    taps, inner, size = _taps(group), group.inner_length or 0, group.state_length or 0
    return taps * inner, size * inner, f"({taps} × {inner:,} + {size} × {inner:,})"


def _rwkv(group: Recurrent, width: int) -> _Parts:
    """The last vectors of a layer and of its channel mix; a square for each head."""
    key = group.key_length or 0
    return 2 * width, width * key, f"(2 × {width:,} + {width:,} × {key})"


_STATES: Mapping[str, Callable[[Recurrent, int], _Parts]] = {
    "convolution": _short_convolution,
    "kda": _kda,
    "rglru": _rglru,
    "lightning": _lightning,
    "delta": _delta,
    "mamba2": _mamba2,
    "rwkv7": _rwkv,
}
