"""What each layer of a `config.json` is: attention with a cache, a recurrent state, a feed-forward.

A size stands under the names that `[sizes]` of `specs/common/model_types.toml` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalogue.architecture import Attention, FeedForward, Recurrent
from .config_keys import Keys, short, tables
from .source import Unclear, reason

# kinds of layers that attend; "hybrid" keeps a state, too
_ATTENDING = ("full", "sliding", "hybrid")
_KIND_LISTS = ("hybrid_override_pattern", "layer_types", "layers_block_type")


def layer_kinds(config: Keys) -> list[str]:
    """The kind of each layer. Raises `Unclear`."""
    layers, names = range(config.layers), config.per_layer(*_KIND_LISTS)
    places, every = config.places("full_attn_idxs"), config.number("full_attention_interval")
    kind_of_all = config.type.get("layers")
    if names is not None:
        kinds = _listed_kinds(config, names)
    elif places is not None:
        kinds = ["full" if number in places else "convolution" for number in layers]
    elif every:
        kinds = ["delta" if (number + 1) % every else "full" for number in layers]
    elif kind_of_all:
        kinds = [kind_of_all for _ in layers]
    else:
        kinds = ["sliding" if slides else "full" for slides in _which_slide(config)]
    # whatever the file says, the last layer of some attends to everything
    return [*kinds[:-1], "full"] if config.type.get("last_full") else kinds


def _listed_kinds(config: Keys, names: Any) -> list[str]:
    if isinstance(names, list):
        # the keys of recurrent layers stand in the file whether or not the list has any
        config.understood.update(key for key in config.text if key.startswith("mamba_"))
    meanings = {**tables()["kinds"], **config.type.get("kinds", {})}
    if window_tokens(config) is None:
        meanings = {key: "full" if kind == "sliding" else kind for key, kind in meanings.items()}
    for name in names:
        if not isinstance(name, str) or name not in meanings:
            raise Unclear(f"{config.stated(*_KIND_LISTS)}: {short(name)} is not understood")
    return [meanings[name] for name in names]


def window_tokens(config: Keys) -> int | None:
    """Tokens of the window, None where no layer has one shorter than the context."""
    if config.get("window") == -1 or config.text.get("use_sliding_window") is False:
        return None
    window, context = config.number("window"), config.number("context")
    # a window as long as the context limits nothing
    return window if window and not (context and window >= context) else None


def _which_slide(config: Keys) -> list[bool]:
    """Whether each layer has the window. Raises `Unclear` where the file does not say."""
    layers, slides, window = range(config.layers), config.type.get("slides"), window_tokens(config)
    every = config.number("global_attn_every_n_layers")
    if window is None or slides == "all":
        return [window is not None for _ in layers]
    if slides == "rope":
        # a layer without rope attends to everything: one of four, unless the file says which
        # (Llama4TextConfig)
        without_rope = config.per_layer("no_rope_layers")
        return [bool(flag) for flag in without_rope or [(number + 1) % 4 for number in layers]]
    if slides == "all_but_every" and every:
        return [bool(number % every) for number in layers]
    pattern = config.get("sliding_window_pattern", "_sliding_window_pattern")
    if type(pattern) is int and pattern > 0:
        return [(number + 1) % pattern != 0 for number in layers]
    raise Unclear(reason("sliding_window", window=window, pattern=short(pattern)))


def attention_of(config: Keys, number: int, kind: str, width: int) -> Attention | None:
    """The attention of layer `number`, None where it has none. Raises `Unclear`."""
    if kind not in _ATTENDING:
        return None
    heads = config.number("num_attention_heads_per_layer", "heads", layer=number)
    if not heads:
        raise Unclear(f"{config.stated('heads')} is missing")
    latent = _latent_length(config)
    if latent and kind == "full":
        return _latent(config, number, latent, heads)
    own = _own_sizes(config, number)
    length = own.get("head_dim") or config.number("head_length", least=1)
    if not length and width % heads:
        raise Unclear(reason("head_dim", width=width, heads=heads))
    length = length or width // heads
    part = Attention(
        kind="full" if kind == "hybrid" else kind,
        heads=heads,
        kv_heads=own.get("num_key_value_heads") or _kv_heads(config, number, heads),
        key_length=length,
        value_length=length,
        window_tokens=window_tokens(config) if kind == "sliding" else None,
    )
    return _with_full_sizes(config, part) if kind == "full" else part


def _latent_length(config: Keys) -> int | None:
    if config.text.get("use_mla") is False:
        return None
    latent = config.number("kv_lora_rank")
    if latent is None and config.class_row.get("defaults", {}).get("kv_lora_rank"):
        raise Unclear("kv_lora_rank is null, and its class has no attention without it")
    return latent


def _with_full_sizes(config: Keys, part: Attention) -> Attention:
    """Layers without a window may have their own sizes, and keep keys for values (Gemma 4)."""
    length = config.number("global_head_dim")
    if not length:
        return part
    part = part.replace(key_length=length, value_length=length)
    if not config.get("attention_k_eq_v"):
        return part
    kv_heads = config.number("num_global_key_value_heads", least=1) or part.kv_heads
    return part.replace(kv_heads=kv_heads, values_from_keys=True)


def _own_sizes(config: Keys, number: int) -> Mapping[str, int]:
    """What a layer has otherwise than the rest (Gemma 4 of transformers 5.23)."""
    by_layer = config.get("per_layer_config") or {}
    own = by_layer.get(str(number), {}) if isinstance(by_layer, dict) else None
    if not isinstance(own, dict) or any(
        key not in ("head_dim", "num_key_value_heads") or type(value) is not int or value < 1
        for key, value in own.items()
    ):
        raise Unclear(f"per_layer_config is {short(by_layer)}, not understood")
    return own


def _kv_heads(config: Keys, number: int, heads: int) -> int:
    stated = config.number("kv_heads", layer=number)
    # Falcon's older classes ignore num_kv_heads where multi_query is set
    single = config.get("multi_query")
    if single and not config.text.get("new_decoder_architecture"):
        return 1
    if single is False and "num_key_value_heads" not in config.written:
        return heads
    return stated or heads


def _latent(config: Keys, number: int, latent: int, heads: int) -> Attention:
    """Attention that keeps one row of `latent` elements for all heads."""
    index_heads, index_length = config.number("index_n_heads"), config.number("index_head_dim")
    types = config.per_layer("indexer_types")
    if types and types[number] not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(types[number])} is not understood")
    # a layer may use the choice of an earlier one
    has_index = bool(index_heads and index_length) and (types is None or types[number] == "full")
    return Attention(
        kind="latent",
        heads=heads,
        kv_heads=heads,
        key_length=config.needed("qk_nope_head_dim"),
        value_length=config.needed("v_head_dim"),
        latent_length=latent,
        query_latent_length=config.number("q_lora_rank") or None,
        rope_length=config.needed("qk_rope_head_dim"),
        indexer_heads=index_heads if has_index else None,
        indexer_length=index_length if has_index else None,
    )


def recurrent_of(config: Keys, kind: str, width: int) -> Recurrent | None:
    """The state that a layer of that kind keeps, None where it keeps none. Raises `Unclear`."""
    kind = "mamba2" if kind == "hybrid" else kind
    keys = tables()["states"].get(kind)
    if keys is None:
        return None
    sizes: dict[str, Any] = {name: config.needed(key) for name, key in keys.items()}
    if kind == "mamba":
        is_auto = config.get("time_step_rank") == "auto"
        inner = config.number("mamba_d_ssm", least=1)
        sizes["inner_length"] = inner or config.needed("expand") * width
        sizes["time_step_rank"] = -(-width // 16) if is_auto else config.needed("time_step_rank")
    elif kind == "mamba2":
        stated, is_auto = config.number("mamba_d_ssm"), config.get("state_head_length") == "auto"
        by_heads = sizes["heads"] * (0 if is_auto else config.number("state_head_length") or 0)
        inner = stated if stated and "mamba_d_ssm" in config.written else by_heads or stated
        sizes["inner_length"] = inner or config.needed("expand") * width
        sizes["norm"] = False if config.text.get("mamba_rms_norm") is False else None
    return Recurrent(kind=kind, **sizes)


def feed_forward_of(config: Keys, number: int, kind: str, width: int) -> FeedForward | None:
    """The feed-forward of layer `number`, None where it has none. Raises `Unclear`."""
    place = config.type.get("feed_forward")
    # a layer has attention, a state or a feed-forward
    is_apart = place == "by_kind" or isinstance(config.get("hybrid_override_pattern"), str)
    if place == "none" or (is_apart and kind not in ("mlp", "moe")):
        return None
    experts = _experts(config)
    if experts and (kind == "moe" if is_apart else _has_experts(config, number)):
        return _mixture(config, experts, number, width)
    stated = config.number("dense_length") if experts else None
    return FeedForward(length=stated or _dense_length(config, width, number))


def _experts(config: Keys) -> int:
    """How many experts a layer of them has, 0 where the model has none."""
    experts, switch = config.number("experts") or 0, config.type.get("experts_if")
    # HunYuan's dense models state one
    if experts == 1 or (switch and not config.get(switch)):
        return 0
    used = config.number("used") or 0
    if experts and not 0 < used <= experts:
        raise Unclear(f"{config.stated('used')}: a token uses {used:,} of {experts:,} experts")
    return experts


def _mixture(config: Keys, experts: int, number: int, width: int) -> FeedForward:
    each = config.number("expert_length") or config.needed("intermediate_size", "n_inner")
    stated, shared = config.number("shared_length"), config.number("shared_experts")
    if stated is None or shared == 0:
        stated = (shared or 0) * each
    groups = config.number("n_group") or 0
    is_beside = config.type.get("dense_beside")
    has_bias = config.get("topk_method") == "noaux_tc" or config.type.get("router_bias")
    return FeedForward(
        length=each,
        experts=experts,
        used=config.needed("used"),
        shared_length=stated or None,
        latent_length=config.number("expert_latent") or None,
        router_bias=bool(has_bias),
        beside_dense=_dense_length(config, width, number) if is_beside else None,
        groups=groups if groups > 1 else None,
        groups_used=config.needed("topk_group") if groups > 1 else None,
    )


def _has_experts(config: Keys, number: int) -> bool:
    """Whether a layer of a model with experts has some."""
    types, chosen = config.per_layer("mlp_layer_types"), config.places("moe_layers")
    flags = config.per_layer("is_moe_layer")
    lead, dense = config.number("first_dense") or 0, config.places("mlp_only_layers") or []
    last, frequency = config.get("moe_layer_end_index"), config.get("expert_frequency")
    if last not in (None, -1, config.layers - 1):
        raise Unclear(f"moe_layer_end_index is {short(last)}: not understood")
    if types or flags:
        return bool(types[number] == "sparse" if types else flags[number])
    if chosen is not None:
        return number in chosen
    if isinstance(frequency, list):
        return bool(config.per_layer("expert_frequency")[number])
    every, step = config.number("expert_frequency") or 1, config.number("expert_step") or 1
    if every > 1:
        return number >= lead and number % every == 0
    return number >= lead and number not in dense and (number + 1) % step == 0


def _dense_length(config: Keys, width: int, number: int) -> int:
    """Elements of a dense feed-forward, as `dense_length` of the model type derives them."""
    rule = config.type.get("dense_length")
    if isinstance(config.get("intermediate_size"), list):
        return config.number("intermediate_size", layer=number) or 0
    shared = config.number("shared_intermediate_size") if rule == "shared" else None
    if shared and not config.number("num_local_experts"):
        return shared
    length = config.number("length") or (config.number("length_ratio") or 0) * width
    if not length:
        raise Unclear("intermediate_size is missing")
    if rule == "halved":
        # the file counts gate and up together
        return length // 2
    if config.get("block_auto_adjust_ff_dim"):
        return _rounded_length(config, int(2 * length / 3))
    reading = config.layers - (config.number("num_kv_shared_layers") or 0)
    return 2 * length if config.get("use_double_wide_mlp") and number >= reading else length


def _rounded_length(config: Keys, length: int) -> int:
    """As LFM2 has it."""
    factor, step = config.get("block_ffn_dim_multiplier"), config.number("block_multiple_of") or 1
    length = int(factor * length) if type(factor) is float and 0 < factor < 100 else length
    return -(-length // step) * step
