"""What each layer of a GGUF model is: its attention, its state and its feed-forward.

The tensors show which kind a layer is, the keys say its sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.layers import Attention, FeedForward, Recurrent
from .gguf_values import MAX_NUMBER, GgufModel, Refused, Unclear

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
    "rwkv7": {"key_length": "wkv.head_size"},
}


# by kind and layer, None for a layer that keeps none of that kind
States = dict[str, list[Recurrent | None]]


def recurrent(model: GgufModel) -> States:
    """The state of each layer."""
    by_kind: States = {}
    for layer in range(model.layers):
        if kind := _state_kind(model, layer):
            state = _state(model, kind, layer)
            by_kind.setdefault(kind, [None] * model.layers)[layer] = state
    return by_kind


def _state_kind(model: GgufModel, layer: int) -> str | None:
    """The kind of state that a layer keeps, None for a layer without one."""
    if model.row.state_kind == "lightning" and model.has(layer, "attn_norm_2.weight"):
        return "lightning"
    is_delta = model.row.state_kind == "delta" or model.has(
        layer, "ssm_alpha.weight", "ssm_ba.weight"
    )
    for kind, tensors in (
        ("convolution", ("shortconv.conv.weight",)),
        ("kda", ("ssm_conv1d_q.weight",)),
        ("delta" if is_delta else "", ("ssm_conv1d.weight",)),
        ("mamba", ("ssm_conv1d.weight", "ssm_x.weight")),
        ("mamba2", ("ssm_conv1d.weight", "ssm_in.weight")),
        ("rwkv7", ("time_mix_a1.weight", "channel_mix_key.weight")),
    ):
        if kind and all(model.has(layer, tensor) for tensor in tensors):
            return kind
    if model.has(layer, "ssm_a", "ssm_in.weight", "time_mix_w1.weight", "time_mix_key.weight"):
        raise Unclear(f"the recurrent layers of {model.name} are of an unknown kind")
    return None


def _state(model: GgufModel, kind: str, layer: int) -> Recurrent:
    sizes = {name: model.needed(key) for name, key in _STATE_KEYS[kind].items()}
    state = Recurrent(kind=kind, layers=()).replace(**sizes)
    if kind == "rwkv7":
        return state.replace(ranks=tuple(model.number(key) or 0 for key in _RWKV7_RANKS))
    if kind == "mamba" and model.row.rank_from_width:
        # PLaMo 2: no key states it (src/models/plamo2.cpp: dt_dim)
        rank = max(64, model.needed("embedding_length") // 16)
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


def attention(model: GgufModel, states: States) -> list[Attention | None]:
    """The attention of each layer, None for a layer without it; an empty list where no layer has
    any.
    """
    attending = [layer for layer in range(model.layers) if _attends(model, layer, states)]
    if not attending:
        return []
    heads = model.per_layer("attention.head_count")
    if heads is None or max(heads) < 1:
        raise Unclear(f"{model.name}.attention.head_count is missing")
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    ratios = model.per_layer("attention.compress_ratios")
    is_latent = model.number("attention.kv_lora_rank") and model.number("attention.key_length_mla")
    window = _window(model)
    slides = _sliding(model, window) if window is not None else [False] * model.layers
    by_layer: list[Attention | None] = [None] * model.layers
    for layer in attending:
        own, is_sliding = heads[layer] or max(heads), slides[layer]
        if is_latent:
            part = _latent(model, own, slides=is_sliding)
        elif ratios is not None:
            part = _compressed(model, own, ratios[layer])
        else:
            part = _plain(model, layer, own, kv_heads[layer], slides=is_sliding)
        if is_sliding:
            part = part.replace(window_tokens=window)
        # a layer without an indexer shares an earlier one's choice, or looks at everything
        if model.has(layer, *_INDEXING):
            part = part.replace(
                indexer_heads=model.needed("attention.indexer.head_count"),
                indexer_length=model.needed("attention.indexer.key_length"),
                indexer_rows=None if ratios is None else model.needed("attention.indexer.top_k"),
            )
        by_layer[layer] = part
    return by_layer


def _attends(model: GgufModel, layer: int, states: States) -> bool:
    kept = {kind for kind, by_layer in states.items() if by_layer[layer] is not None}
    if kept & {"kda", "lightning"}:
        return False
    return model.has(layer, *(_QUERIES_AND_KEYS if "delta" in kept else _ATTENDING))


def _plain(model: GgufModel, layer: int, heads: int, kv_heads: int, *, slides: bool) -> Attention:
    """Attention that keeps keys and values of every head."""
    key, value = (
        (slides and model.number(f"attention.{name}_swa"))
        or model.number(f"attention.{name}")
        or model.needed("embedding_length") // heads
        for name in ("key_length", "value_length")
    )
    if not key or not value:
        raise Unclear(f"{model.name} has {heads:,} heads, and no room for a key of each")
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise Unclear(
            f"{model.name}.attention.head_count_kv is {kv_heads:,} for layer {layer}, which"
            f" attends with {heads:,} heads"
        )
    part = Attention(
        kind="sliding" if slides else "full",
        layers=(),
        heads=heads,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        values_from_keys=model.row.values_from_keys and not model.has(layer, "attn_v.weight"),
    )
    # files of before April 2025 unpack the latent, and keep keys and values of every head
    if slides or not model.has(layer, "attn_kv_b.weight"):
        return part
    return part.replace(
        latent_length=model.needed("attention.kv_lora_rank"),
        query_latent_length=model.size("attention.q_lora_rank"),
        rope_length=_rope_length(model, key),
    )


def _latent(model: GgufModel, heads: int, *, slides: bool) -> Attention:
    """Latent attention. Layers with a window may have sizes of their own."""
    end = "_swa" if slides and model.number("attention.kv_lora_rank_swa") else ""
    whole = model.needed(f"attention.key_length_mla{end}")
    rope = _rope_length(model, whole)
    return Attention(
        kind="latent",
        layers=(),
        heads=heads,
        kv_heads=heads,
        key_length=whole - rope,
        value_length=model.needed(f"attention.value_length_mla{end}"),
        latent_length=model.needed(f"attention.kv_lora_rank{end}"),
        query_latent_length=model.size("attention.q_lora_rank"),
        rope_length=rope,
    )


def _rope_length(model: GgufModel, key_length: int) -> int:
    rope = model.needed("rope.dimension_count")
    if rope >= key_length:
        raise Unclear(f"{model.name}.rope.dimension_count is not below the length of a key")
    return rope


def _compressed(model: GgufModel, heads: int, ratio: int) -> Attention:
    """Attention to a window and to rows that stand for several tokens each (DeepSeek V4)."""
    key = model.needed("attention.key_length")
    return Attention(
        kind="compressed",
        layers=(),
        heads=heads,
        kv_heads=1,
        key_length=key,
        value_length=key,
        window_tokens=model.needed("attention.sliding_window"),
        query_latent_length=model.needed("attention.q_lora_rank"),
        compression=ratio or None,
        output_groups=model.needed("attention.output_group_count"),
        output_latent_length=model.needed("attention.output_lora_rank"),
    )


def _window(model: GgufModel) -> int | None:
    """The window in tokens, of the layers that have one; None where none has."""
    window = model.number("attention.sliding_window") or model.number("attention.chunk_size")
    if model.row.window_cache_layers in (None, model.layers):
        window = window or model.row.window_tokens
    # a window that no text can fill is none
    is_real = window and window < (model.number("context_length") or MAX_NUMBER)
    return window if is_real else None


def _sliding(model: GgufModel, window: int) -> list[bool]:
    """Which layers have the window. The header lists them, or says that every so many layers
    one has none; else the row says so.
    """
    key, layers = "attention.sliding_window_pattern", model.layers
    name = f"{model.name}.{key}"
    stated = model.values.get(name)
    entries = len(stated) if isinstance(stated, list) else model.counts.get(name, layers)
    if not layers <= entries <= model.blocks:
        raise Unclear(
            f"{name} lists {entries:,} layers, and there are {layers:,}: releases of"
            " llama.cpp refuse such a file, or take the others for layers without a window"
        )
    if isinstance(stated, list):
        return [bool(flag) for flag in model.per_layer(key) or ()]
    every = model.row.full_every if stated is None else model.number(key)
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
    by_layer: list[FeedForward | None] = [None] * model.layers
    lengths = model.per_layer("feed_forward_length") or [0] * model.layers
    for layer in range(model.layers):
        stated = lengths[layer] // (2 if model.row.length_of_both else 1)
        experts = model.shape(layer, "ffn_down_exps.weight") or ()
        dense = model.shape(layer, "ffn_down.weight") or ()
        mixed = model.shape(layer, "channel_mix_key.weight") or ()
        if len(experts) == 3 and model.number("expert_used_count"):
            by_layer[layer] = _routed(model, layer, width, experts)
        elif dense and stated not in (0, dense[0]):
            model.damaged(
                f"its tensor blk.{layer}.ffn_down.weight is {dense[0]:,} wide, and its header"
                f" makes it {stated:,}"
            )
        elif dense or mixed:
            by_layer[layer] = FeedForward(layers=(), length=(*dense[:1], *mixed[-1:])[0])
        elif model.has(layer, "ffn_down.0.weight"):
            # merged since ggml-org/llama.cpp#6387, refused since its c5b0f4b5 (#10244)
            raise Refused("each of its experts is a tensor of its own, as until April 2024")
    return by_layer


def _routed(model: GgufModel, layer: int, width: int, shape: tuple[int, ...]) -> FeedForward:
    """A feed-forward of experts, of which there are as many as the header says."""
    length, inner, held = shape
    experts, used = model.number("expert_count") or 0, model.needed("expert_used_count")
    if held != experts or used > experts:
        model.damaged(
            f"its header says {experts:,} experts, {used:,} of them used, and its tensors hold"
            f" {held:,}"
        )
    groups = model.number("expert_group_count") or 0
    dense = model.shape(layer, "ffn_down.weight")
    shared = model.shape(layer, "ffn_down_shexp.weight")
    return FeedForward(
        layers=(),
        length=length,
        experts=experts,
        used=used,
        shared_length=shared[0] if shared else None,
        latent_length=inner if inner != width else None,
        router_bias=model.has(layer, "exp_probs_b.bias", "exp_probs_b"),
        beside_dense=dense[0] if dense else None,
        groups=groups if groups > 1 else None,
        groups_used=model.needed("expert_group_used_count") if groups > 1 else None,
    )
