"""What each layer of a GGUF model is: its attention, its state and its feed-forward.

The tensors show which kind a layer is, the keys say its sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from ..catalogue.spec import Attention, FeedForward, Recurrent
from .gguf_values import MAX_NUMBER, GgufModel, Refused, Unclear
from .naming import clean, plamo2_rank

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_RWKV6_RANKS = ("time_mix_extra_dim", "time_decay_extra_dim")
_RWKV7_RANKS = tuple(
    f"attention.{name}_lora_rank" for name in ("decay", "iclr", "value_residual_mix", "gate")
)
_QUERIES_AND_KEYS = ("attn_k.weight", "attn_q.weight")
_ATTENDING = (*_QUERIES_AND_KEYS, "attn_qkv.weight", "attn_kv_a_mqa.weight", "attn_q_a.weight")
_INDEXING = ("indexer.attn_k.weight", "indexer.k_proj.weight", "indexer_compressor_kv.weight")

# ------------------------------------------------------------------ states

# the key of each size of a state, by its kind
_SCAN = {
    "convolution": "ssm.conv_kernel",
    "inner_length": "ssm.inner_size",
    "state_length": "ssm.state_size",
}
_STATE_KEYS: Mapping[str, Mapping[str, str]] = {
    "convolution": {"convolution": "shortconv.l_cache"},
    "lightning": {"heads": "attention.head_count", "key_length": "attention.key_length"},
    "kda": {
        "convolution": "ssm.conv_kernel",
        "heads": "attention.head_count",
        "key_length": "kda.head_dim",
    },
    "mamba": {**_SCAN, "time_step_rank": "ssm.time_step_rank"},
    "mamba2": {**_SCAN, "heads": "ssm.time_step_rank", "groups": "ssm.group_count"},
    "delta": {
        "convolution": "ssm.conv_kernel",
        "value_length": "ssm.inner_size",
        "key_length": "ssm.state_size",
        "heads": "ssm.time_step_rank",
        "key_heads": "ssm.group_count",
    },
    "rwkv6": {"key_length": "wkv.head_size"},
    "rwkv7": {"key_length": "wkv.head_size"},
    "qrwkv6": {"key_length": "wkv.head_size", "key_heads": "attention.head_count_kv"},
    "qrwkv7": {"key_length": "wkv.head_size"},
}


def recurrent(model: GgufModel) -> dict[str, list[Recurrent | None]]:
    """The state of each layer by kind; None for a layer that keeps none of that kind."""
    by_kind: dict[str, list[Recurrent | None]] = {}
    for layer in range(model.layers):
        kind = _state_kind(model, layer)
        if kind is not None:
            state = _state(model, kind, layer)
            by_kind.setdefault(kind, [None] * model.layers)[layer] = state
    return by_kind


def _state_kind(model: GgufModel, layer: int) -> str | None:
    """The kind of state that a layer keeps, None for a layer without one."""
    if model.has(layer, "shortconv.conv.weight"):
        return "convolution"
    if model.has(layer, "ssm_conv1d_q.weight"):
        return "kda"
    if model.row.state_kind == "lightning" and model.has(layer, "attn_norm_2.weight"):
        return "lightning"
    if model.has(layer, "ssm_conv1d.weight"):
        if model.row.state_kind == "delta" or model.has(layer, "ssm_alpha.weight", "ssm_ba.weight"):
            return "delta"
        for tensor, kind in (("ssm_x.weight", "mamba"), ("ssm_in.weight", "mamba2")):
            if model.has(layer, tensor):
                return kind
    # RWKV, with a channel mix of its own or with the feed-forward of Qwen
    prefix = "" if model.has(layer, "channel_mix_key.weight") else "q"
    if model.has(layer, "time_mix_a1.weight"):
        return f"{prefix}rwkv7"
    if model.has(layer, "time_mix_lerp_x.weight", "time_mix_lerp_fused.weight"):
        return f"{prefix}rwkv6"
    if model.has(layer, "ssm_a", "ssm_in.weight", "time_mix_w1.weight", "time_mix_key.weight"):
        starts = f"blk.{layer}.ssm", f"blk.{layer}.time_mix"
        name = clean(next(name for name in model.shapes if name.startswith(starts)))
        raise Unclear(f"the recurrent layers of {model.name} ({name}) are of an unknown kind")
    return None


def _state(model: GgufModel, kind: str, layer: int) -> Recurrent:
    sizes = {name: model.needed(key) for name, key in _STATE_KEYS[kind].items()}
    state = Recurrent(kind=kind, layers=()).replace(**sizes)
    if "rwkv" in kind:
        keys = _RWKV6_RANKS if kind.endswith("6") else _RWKV7_RANKS
        return state.replace(ranks=tuple(model.number(key) or 0 for key in keys))
    if kind == "mamba" and model.row.rank_from_width:
        rank = plamo2_rank(model.needed("embedding_length"))
        return state.replace(heads=state.time_step_rank, time_step_rank=rank)
    if kind == "mamba2" and not model.has(layer, "ssm_norm.weight"):
        return state.replace(norm=False)
    if kind == "delta":
        # the header has the values of all heads
        if sizes["value_length"] % sizes["heads"]:
            raise Unclear(f"{model.name}.ssm.inner_size is no multiple of ssm.time_step_rank")
        return state.replace(value_length=sizes["value_length"] // sizes["heads"])
    return state


# ------------------------------------------------------------------ attention


def attends(model: GgufModel, layer: int, state: Mapping[str, Sequence[Recurrent | None]]) -> bool:
    """The layer has attention. `state` is what `recurrent` gives."""
    kept = {kind for kind, by_layer in state.items() if by_layer[layer] is not None}
    if kept & {"kda", "lightning"}:
        return False
    return model.has(layer, *(_QUERIES_AND_KEYS if "delta" in kept else _ATTENDING))


def attention(
    model: GgufModel, state: Mapping[str, Sequence[Recurrent | None]]
) -> list[Attention | None]:
    """The attention of each layer, None for a layer without it; an empty list where no layer
    has any.
    """
    attending = [layer for layer in range(model.layers) if attends(model, layer, state)]
    if not attending:
        return []
    heads = model.per_layer("attention.head_count")
    if heads is None or max(heads) < 1:
        raise Unclear(f"the header has no {model.name}.attention.head_count")
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    window = _window(model)
    slides = _sliding(model, window) if window is not None else [False] * model.layers
    ratios = model.per_layer("attention.compress_ratios")
    is_latent = model.number("attention.kv_lora_rank") and model.number("attention.key_length_mla")
    by_layer: list[Attention | None] = [None] * model.layers
    for layer in attending:
        own = heads[layer] or max(heads)
        width = window if slides[layer] else None
        if is_latent:
            by_layer[layer] = _latent(model, layer, own, width)
        elif ratios is not None:
            by_layer[layer] = _compressed(model, layer, own, ratios[layer], width)
        else:
            by_layer[layer] = _plain(model, layer, own, kv_heads[layer], width)
    return by_layer


def _plain(
    model: GgufModel, layer: int, heads: int, kv_heads: int, window: int | None
) -> Attention:
    """Attention that keeps keys and values of every head."""
    width = model.needed("embedding_length")
    key = model.number("attention.key_length") or width // heads
    value = model.number("attention.value_length") or width // heads
    unpacked, rope = _unpacked_latent(model, layer, key)
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise Unclear(
            f"{model.name}.attention.head_count_kv is {kv_heads:,} for layer {layer}, which"
            f" attends with {heads:,} heads"
        )
    if not key or not value:
        raise Unclear(
            f"{model.name} has {heads:,} heads and a width of {width:,}: no room for a key"
        )
    if window is not None:
        key = model.number("attention.key_length_swa") or key
        value = model.number("attention.value_length_swa") or value
    _refuse_other_keys(model, layer, kv_heads, key)
    return Attention(
        kind="full" if window is None else "sliding",
        layers=(),
        heads=heads,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        window_tokens=window,
        values_from_keys=model.row.values_from_keys and not model.has(layer, "attn_v.weight"),
        latent_length=unpacked,
        query_latent_length=model.size("attention.q_lora_rank") if unpacked else None,
        rope_length=rope,
        **_indexer(model, layer),
    )


def _unpacked_latent(model: GgufModel, layer: int, key: int) -> tuple[int | None, int | None]:
    """Lengths of the latent and of its rotated part; None where the layer unpacks none."""
    # files of before 2025 keep the latent beside the matrix that unpacks it
    has_unpacking = model.has(layer, "attn_kv_b.weight")
    unpacked = model.number("attention.kv_lora_rank") if has_unpacking else None
    rope = model.needed("rope.dimension_count") if unpacked else None
    if rope is not None and rope >= key:
        raise Unclear(f"{model.name}.rope.dimension_count is not below attention.key_length")
    return unpacked, rope


def _refuse_other_keys(model: GgufModel, layer: int, kv_heads: int, key: int) -> None:
    stored = model.shape(layer, "attn_k.weight")
    if stored is not None and prod(stored[1:]) != kv_heads * key:
        raise Unclear(
            f"blk.{layer}.attn_k.weight holds {prod(stored[1:]):,} numbers a token, and the"
            f" keys of {model.name} {kv_heads:,} × {key:,}"
        )


def _latent(model: GgufModel, layer: int, heads: int, window: int | None) -> Attention:
    """Latent attention. Layers with a window may have sizes of their own."""
    ending = ""
    if window is not None and model.number("attention.kv_lora_rank_swa"):
        ending = "_swa"
    rope = model.needed("rope.dimension_count")
    whole = model.needed(f"attention.key_length_mla{ending}")
    if rope >= whole:
        key = f"attention.key_length_mla{ending}"
        raise Unclear(f"{model.name}.rope.dimension_count is not below {key}")
    return Attention(
        kind="latent",
        layers=(),
        heads=heads,
        kv_heads=heads,
        key_length=whole - rope,
        value_length=model.needed(f"attention.value_length_mla{ending}"),
        window_tokens=window,
        latent_length=model.needed(f"attention.kv_lora_rank{ending}"),
        query_latent_length=model.size("attention.q_lora_rank"),
        rope_length=rope,
        **_indexer(model, layer),
    )


def _compressed(
    model: GgufModel, layer: int, heads: int, ratio: int, window: int | None
) -> Attention:
    index = _indexer(model, layer)
    key = model.needed("attention.key_length")
    return Attention(
        kind="compressed",
        layers=(),
        heads=heads,
        kv_heads=1,
        key_length=key,
        value_length=key,
        window_tokens=window or model.needed("attention.sliding_window"),
        query_latent_length=model.needed("attention.q_lora_rank"),
        indexer_rows=model.needed("attention.indexer.top_k") if index else None,
        compression=ratio or None,
        output_groups=model.needed("attention.output_group_count"),
        output_latent_length=model.needed("attention.output_lora_rank"),
        **index,
    )


def _indexer(model: GgufModel, layer: int) -> dict[str, Any]:
    """Heads and key length of the layer's sparse indexer.

    A layer without one shares an earlier one's choice, or looks at everything.
    """
    if not model.has(layer, *_INDEXING):
        return {}
    return {
        "indexer_heads": model.needed("attention.indexer.head_count"),
        "indexer_length": model.needed("attention.indexer.key_length"),
    }


def _window(model: GgufModel) -> int | None:
    """The window in tokens, of the layers that have one; None where none has."""
    window = model.number("attention.sliding_window") or model.number("attention.chunk_size")
    if model.row.window_cache_layers in (None, model.layers):
        window = window or model.row.window_tokens
    # a window that no text can fill is none
    if not window or window >= (model.number("context_length") or MAX_NUMBER):
        return None
    return window


def _sliding(model: GgufModel, window: int) -> list[bool]:
    """Which layers have the window. The header lists them, or says that every so many layers
    one has none; else the row says so.
    """
    name = f"{model.name}.attention.sliding_window_pattern"
    pattern, layers = model.values.get(name), model.layers
    entries = len(pattern) if isinstance(pattern, list) else model.counts.get(name, layers)
    if not layers <= entries <= layers + (model.number("nextn_predict_layers") or 0):
        # get_key_or_arr of earlier releases; get_arr of 0c1e570, into an array of zeros
        raise Unclear(
            f"{name} lists {entries:,} layers, and there are {layers:,}: releases of"
            " llama.cpp refuse such a file, or take the others for layers without a window"
        )
    if isinstance(pattern, list):
        flags = model.per_layer("attention.sliding_window_pattern") or []
        return [bool(flag) for flag in flags]
    every = model.number("attention.sliding_window_pattern")
    every = model.row.full_every if every is None else every
    if every is None:
        raise Unclear(
            f"{model.name} has a window of {window:,} tokens, and the header does not say in"
            " which layers"
        )
    full = 0 if model.row.full_first else (every or 1) - 1
    return [every == 0 or layer % every != full for layer in range(layers)]


# ------------------------------------------------------------------ feed-forwards


def feed_forward(model: GgufModel, width: int) -> list[FeedForward | None]:
    """The feed-forward of each layer, None for a layer without one."""
    used = model.number("expert_used_count")
    groups = model.number("expert_group_count") or 0
    by_layer: list[FeedForward | None] = []
    for layer in range(model.layers):
        experts = model.shape(layer, "ffn_down_exps.weight") or ()
        dense = model.shape(layer, "ffn_down.weight")
        mixed = model.shape(layer, "channel_mix_key.weight")
        if len(experts) == 3 and used:
            by_layer.append(_routed(model, layer, width, used, groups))
        elif dense is not None:
            by_layer.append(FeedForward(layers=(), length=dense[0]))
        elif mixed is not None:
            by_layer.append(FeedForward(layers=(), length=mixed[-1]))
        elif model.has(layer, "ffn_down.0.weight"):
            # merged since ggml-org/llama.cpp#6387, refused since its c5b0f4b5 (#10244)
            raise Refused(
                "each of its experts is a tensor of its own, as converters wrote them until April"
                " 2024, and llama.cpp stopped loading such files in October 2024"
            )
        else:
            by_layer.append(None)
    return by_layer


def _routed(model: GgufModel, layer: int, width: int, used: int, groups: int) -> FeedForward:
    length, inner, experts = model.shapes[f"blk.{layer}.ffn_down_exps.weight"]
    dense = model.shape(layer, "ffn_down.weight")
    shared = model.shape(layer, "ffn_down_shexp.weight")
    return FeedForward(
        layers=(),
        length=length,
        experts=experts,
        used=min(used, experts),
        shared_length=shared[0] if shared else None,
        latent_length=inner if inner != width else None,
        router_bias=model.has(layer, "exp_probs_b.bias", "exp_probs_b"),
        beside_dense=dense[0] if dense else None,
        groups=groups if groups > 1 else None,
        groups_used=model.needed("expert_group_used_count") if groups > 1 else None,
    )
