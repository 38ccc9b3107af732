"""What each layer of a `config.json` is: attention with a cache, a recurrent state, a feed-forward.

One function reads each; a size stands under the names that `config_keys.NAMES` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.spec import Attention, FeedForward, Recurrent
from .config_keys import Keys, Unclear, UnclearWindow, short
from .naming import RWKV7_RANKS, rwkv7_rank, rwkv_length

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# kinds of layers that attend, and kinds that keep a state; "hybrid" does both
_ATTENDING = frozenset({"full", "sliding", "cross", "hybrid", "compressed"})
# the names that published files have for the kinds of layers
_KINDS: Mapping[str, str] = {
    "attention": "full", "full_attention": "full", "sliding_attention": "sliding",
    "chunked_attention": "sliding", "linear_attention": "delta", "conv": "convolution",
    "mamba": "mamba2", "mamba2": "mamba2", "hybrid": "hybrid", "mlp": "mlp", "moe": "moe",
    "recurrent": "rglru", "M": "mamba2", "*": "full", "-": "mlp", "E": "moe",
}  # fmt: skip
# keys that say which layer is what, and sizes that only some kinds of layers have
_LAYOUT_KEYS = frozenset({
    "layer_types", "layers_block_type", "hybrid_override_pattern", "block_types", "_block_types",
    "full_attention_interval", "attn_layer_period", "attn_layer_offset", "full_attn_idxs",
    "attn_layer_indices", "block_configs", "cross_attention_layers", "hybrid_layer_pattern",
    "sliding_window_pattern", "_sliding_window_pattern", "sliding_window_layout",
    "max_window_layers", "no_rope_layers", "attention_types", "attn_type_list",
    "linear_full_attn_layers", "linear_kda_layers", "global_attn_every_n_layers",
    "layer_group_size", "mtp_hybrid_override_pattern", "mtp_layers_block_type", "attn_type",
    "cla_share_factor", "linear_attn_config", "sliding_window", "sliding_window_size",
    "attention_chunk_size", "window_size", "short_conv_kernel_size", "global_head_dim",
    "num_global_key_value_heads", "swa_num_attention_heads", "swa_num_key_value_heads",
    "swa_v_head_dim", "swa_head_dim", "new_decoder_architecture", "multi_query_attention",
})  # fmt: skip
_LATENT_KEYS = (
    "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mla",
    "qk_head_dim",
)  # fmt: skip
# keys that say which layers have experts, where another key says it
_EXPERT_LAYOUT_KEYS = (
    "moe_layers_enum", "is_moe_layer", "mlp_layer_types", "moe_layers", "moe_layer_end_index",
    "first_k_dense_replace", "num_dense_layers", "moe_layer_start_index", "mlp_only_layers",
    "expert_layer_period", "expert_layer_offset", "decoder_sparse_step",
    "interleave_moe_layer_step", "moe_layer_interval", "moe_layer_freq", "moe_layer_frequency",
    "moe_every_n_layer", "moe_layer_offset", "first_last_k_dense_replace", "moe_layer_num_skipped",
)  # fmt: skip
# ranks of RWKV 7, each under the names of two publishers
_RWKV7_KEYS = (
    ("decay_low_rank_dim", "lora_rank_decay"),
    ("a_low_rank_dim", "lora_rank_iclr"),
    ("v_low_rank_dim", "lora_rank_value_residual_mix"),
    ("gate_low_rank_dim", "lora_rank_gate"),
)
# every how many layers of Llama 4 one has no window, where the file does not say (Llama4TextConfig)
_LLAMA4_FULL_EVERY = 4


# ---------------------------------------------------------------------- the kind of each layer


def layer_kinds(config: Keys) -> list[str]:
    """The kind of each layer. Raises `Unclear`, and `UnclearWindow` where only the windows do not
    follow.
    """
    config.understood.update(_LAYOUT_KEYS)
    if config.type.layers == "compressed":
        config.understood.add("compress_ratios")
        return ["compressed"] * config.layers
    if config.get("compress_ratios"):
        raise Unclear("compress_ratios: compressed attention is not understood")
    if config.get("use_cla"):
        raise Unclear("use_cla: layers that share a cache are not understood")
    if config.get("attn_type") not in (None, "multihead_attention"):
        raise Unclear(f"attn_type: {short(config.get('attn_type'))} is not understood")
    for key in ("full_attn_mod", "global_attn_every_n"):
        if config.get(key) not in (None, 1):
            raise Unclear(f"{key}: {short(config.get(key))} is not understood")
    kinds = _listed_kinds(config) or _periodic_kinds(config)
    if kinds is None and config.type.layers:
        kinds = [config.type.layers] * config.layers
    if kinds is None:
        kinds = ["sliding" if slides else "full" for slides in _which_slide(config)]
    return [*kinds[:-1], "full"] if config.type.last_full else kinds


def _listed_kinds(config: Keys) -> list[str] | None:
    """The kinds where the file names that of each layer; None where it does not."""
    names = config.get("hybrid_override_pattern", "layer_types", "layers_block_type")
    if names:
        key = config.stated("hybrid_override_pattern", "layer_types", "layers_block_type")
        if not isinstance(names, (list, str)) or len(names) < config.layers:
            raise Unclear(f"{key} does not list one entry for each of the {config.layers:,} layers")
        if isinstance(names, list):
            # the keys of recurrent layers stand in the file whether or not the list has any
            matter, other = {*config.known.get("matter", ())}, config.known.get("names", {})
            config.understood.update(
                key
                for key in config.text
                if key.startswith("mamba_") and not {key, other.get(key)} & matter
            )
        return [_named_kind(config, key, name) for name in names[: config.layers]]
    return _repeated_kinds(config) or _switched_kinds(config) or _kinds_by_places(config)


def _repeated_kinds(config: Keys) -> list[str] | None:
    """`block_types` repeats (RecurrentGemmaConfig); layers that attend have the window."""
    repeated = config.get("block_types", "_block_types")
    if not isinstance(repeated, list) or not repeated:
        return None
    config.understood.update(("attention_window_size", "lru_width"))
    kinds = [_named_kind(config, "block_types", name) for name in repeated]
    kinds = ["sliding" if kind == "full" else kind for kind in kinds]
    return [kinds[number % len(kinds)] for number in range(config.layers)]


def _switched_kinds(config: Keys) -> list[str] | None:
    """`attn_type_list` has 1 for attention; `block_configs` of DeciLM has an object a layer."""
    attending = config.switches("attn_type_list")
    other = config.type.kinds.get("0", "")
    if attending and not other and not all(attending):
        raise Unclear("attn_type_list: not understood")
    if attending:
        return ["full" if attends else other for attends in attending]
    blocks = config.per_layer("block_configs")
    return [_block_kind(block) for block in blocks] if blocks else None


def _kinds_by_places(config: Keys) -> list[str] | None:
    """The kinds where lists name the numbers of layers; those of Kimi count from 1."""
    layers = range(config.layers)
    full = config.places("linear_full_attn_layers") or []
    linear = config.places("linear_kda_layers") or []
    if full or linear:
        if sorted([*full, *linear]) != [number + 1 for number in layers]:
            raise Unclear("linear_attn_config does not name each layer once")
        return ["full" if number + 1 in full else "kda" for number in layers]
    for key, kind, other in (
        ("full_attn_idxs", "full", "convolution"),
        ("attn_layer_indices", "full", "mamba2"),
        ("cross_attention_layers", "cross", "full"),
    ):
        places = config.places(key)
        if places is not None:
            return [kind if number in places else other for number in layers]
    return None


def _named_kind(config: Keys, key: str, name: Any) -> str:
    kind = {**_KINDS, **config.type.kinds}.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Unclear(f"{key}: {short(name)} is not understood")
    return "full" if kind == "sliding" and _window_tokens(config) is None else kind


def _block_kind(block: Any) -> str:
    """Of an entry of `block_configs` (DeciLM)."""
    part = block.get("attention") if isinstance(block, dict) else None
    if not isinstance(part, dict) or part.get("window_length") or part.get("sparsify"):
        raise Unclear("block_configs: not understood")
    return "none" if part.get("no_op") or part.get("replace_with_linear") else "full"


def _periodic_kinds(config: Keys) -> list[str] | None:
    """The kinds where one of every so many layers attends; None where the file does not say so."""
    layers = config.layers
    group = config.number("layer_group_size")
    if group:
        # an incomplete group at the end attends, too
        whole = layers // group * group
        return ["full" if (n + 1) % group == 0 or n >= whole else "kda" for n in range(layers)]
    every = config.number("full_attention_interval")
    if every:
        other = config.type.kinds.get("linear_attention", "delta")
        return ["full" if (number + 1) % every == 0 else other for number in range(layers)]
    period = config.number("attn_layer_period")
    if period:
        offset = config.number("attn_layer_offset") or 0
        return ["full" if number % period == offset else "mamba" for number in range(layers)]
    return None


def _window_tokens(config: Keys) -> int | None:
    """Tokens of the window, None where no layer has one shorter than the context."""
    if config.get("window") == -1 or config.text.get("use_sliding_window") is False:
        return None
    window, context = config.number("window"), config.number("context")
    if window and config.type.halves_window and config.get("use_bidirectional_attention") is True:
        # half of it on either side (Gemma3TextConfig)
        window = window // 2 + 1
    # a window as long as the context limits nothing
    return window if window and not (context and window >= context) else None


def _which_slide(config: Keys) -> list[bool]:
    """Whether each layer has the window. Raises `UnclearWindow` where the file does not say."""
    layers = range(config.layers)
    stated = config.switches("hybrid_layer_pattern") or config.switches("sliding_window_layout")
    # a faulty list is refused without a window, too
    with_rope = config.switches("no_rope_layers")
    window, first = _window_tokens(config), config.number("max_window_layers")
    if window is None:
        return [False for _ in layers]
    if stated:
        return stated
    by_type = _slides_by_type(config, with_rope)
    if by_type is not None:
        return by_type
    return _slides_by_pattern(config, window, first)


def _slides_by_pattern(config: Keys, window: int, first: int | None) -> list[bool]:
    """The same by letters that repeat, from a first layer on, or all but every so many layers."""
    layers = range(config.layers)
    pattern = config.get("sliding_window_pattern", "_sliding_window_pattern")
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return [pattern[number % len(pattern)] == "L" for number in layers]
    if pattern is not None and not (type(pattern) is int and pattern > 0):
        raise UnclearWindow(f"sliding_window_pattern: {short(pattern)} is not understood")
    if pattern is None and config.text.get("use_sliding_window") is True and first is not None:
        return [number >= first for number in layers]
    period = pattern or config.number("global_attn_every_n_layers")
    if period is None:
        raise UnclearWindow(
            f"sliding_window: {window:,} tokens, and the file does not say in which layers"
        )
    return [(number + 1) % period != 0 for number in layers]


def _slides_by_type(config: Keys, with_rope: list[bool] | None) -> list[bool] | None:
    """Which layers have the window where the model type says how to read it."""
    layers, how = range(config.layers), config.type.slides
    if how == "all":
        return [True for _ in layers]
    if how == "rope":
        # a layer without rope attends to everything (Llama 4)
        return with_rope or [(number + 1) % _LLAMA4_FULL_EVERY != 0 for number in layers]
    if how == "all_but_every":
        every = config.needed("global_attn_every_n_layers")
        return [bool(number % every) for number in layers]
    return _named_local(config) if how == "attention_types" else None


def _named_local(config: Keys) -> list[bool]:
    """`attention_types` of GPT Neo: lists of kinds, and how often each list repeats."""
    types, layers = config.get("attention_types"), config.layers
    is_local: list[bool] = []
    for part in types if isinstance(types, list) else []:
        is_pair = isinstance(part, list) and len(part) == 2 and isinstance(part[0], list)
        if not is_pair or type(part[1]) is not int or not 0 < part[1] <= layers:
            break
        is_local += [name == "local" for name in part[0]] * part[1]
        if len(is_local) >= layers:
            break
    if len(is_local) != layers:
        raise Unclear("attention_types does not name each layer once")
    return is_local


# ---------------------------------------------------------------------------------- attention


def attention_of(config: Keys, number: int, kind: str, width: int) -> Attention | None:
    """The attention of layer `number`, None where it has none. Raises `Unclear`."""
    if kind not in _ATTENDING:
        return None
    heads = config.of_layer(number, "num_attention_heads_per_layer") or config.of_layer(
        number, "heads"
    )
    if not heads:
        raise Unclear(f"{config.stated('heads')} is missing")
    if kind == "compressed":
        return _compressed(config, number, heads)
    latent = config.number("kv_lora_rank")
    has_rank = config.known.get("defaults", {}).get("kv_lora_rank")
    if latent is None and has_rank and config.text.get("use_mla") is not False:
        raise Unclear("kv_lora_rank is null, and its class has no attention without it")
    if latent and kind == "full" and config.text.get("use_mla") is not False:
        return _latent(config, number, latent, heads)
    return _plain(config, number, kind, width, heads)


def _plain(config: Keys, number: int, kind: str, width: int, heads: int) -> Attention:
    """Attention whose keys and values are kept as they are."""
    config.understood.update(_LATENT_KEYS)
    length = _head_length(config, width, heads)
    values_apart = config.positive("v_head_dim") if config.type.values_apart else None
    attention = Attention(
        kind="full" if kind == "hybrid" else kind,
        layers=(),
        heads=heads,
        kv_heads=_kv_heads(config, number, heads),
        key_length=length,
        value_length=values_apart or length,
        # MllamaTextCrossAttention
        query_key_norm="head" if kind == "cross" else None,
    )
    if kind == "sliding":
        attention = _as_sliding(config, number, attention)
    elif kind == "full" and config.text.get("global_head_dim"):
        attention = _as_global(config, attention)
    heads, kv_heads = attention.heads, attention.kv_heads
    if kv_heads > heads or heads % kv_heads:
        raise Unclear(f"num_key_value_heads is {kv_heads:,}, and there are {heads:,} heads")
    return attention


def _as_sliding(config: Keys, number: int, attention: Attention) -> Attention:
    """The same with the window, and with the sizes that layers with one have of their own."""
    window = _window_of(config)
    if window is None:
        raise Unclear(f"sliding_window: layer {number} is one with a window, and has none")
    factor = config.type.window_kv_factor
    own = config.positive("swa_head_dim")
    values = config.positive("swa_v_head_dim") or own or attention.value_length
    return attention.replace(
        window_tokens=window,
        heads=config.positive("swa_num_attention_heads") or attention.heads,
        kv_heads=config.positive("swa_num_key_value_heads") or factor * attention.kv_heads,
        key_length=own or attention.key_length,
        value_length=values,
    )


def _as_global(config: Keys, attention: Attention) -> Attention:
    """The same with the longer heads that layers without a window have, some of which keep keys for
    values (Gemma 4).
    """
    length = config.needed("global_head_dim")
    attention = attention.replace(key_length=length, value_length=length)
    if not config.get("attention_k_eq_v"):
        return attention
    kv_heads = config.positive("num_global_key_value_heads") or attention.kv_heads
    return attention.replace(values_from_keys=True, kv_heads=kv_heads)


def _window_of(config: Keys) -> int | None:
    # RecurrentGemma's is one however long the context
    return config.number("attention_window_size") or _window_tokens(config)


def _head_length(config: Keys, width: int, heads: int) -> int:
    """Elements of one head's key."""
    stated = config.positive("head_length")
    if not stated and width % heads:
        raise Unclear(
            f"hidden_size {width:,} is no multiple of the {heads:,} heads, and head_dim is missing"
        )
    return stated or width // heads


def _kv_heads(config: Keys, number: int, heads: int) -> int:
    """Heads that keep keys and values."""
    blocks = config.per_layer("block_configs")
    if blocks:
        per_group = blocks[number]["attention"].get("n_heads_in_group")
        if type(per_group) is not int or per_group < 1 or heads % per_group:
            raise Unclear("block_configs: n_heads_in_group is no divisor of the heads")
        return int(heads // per_group)
    if config.get("multi_query_attention") and config.number("multi_query_group_num"):
        return config.needed("multi_query_group_num")
    if config.get("group_query_attention") and config.number("num_query_groups"):
        return config.needed("num_query_groups")
    stated = config.of_layer(number, "kv_heads")
    # Falcon's older classes ignore num_kv_heads where multi_query is set
    single = config.get("multi_query")
    if single and not config.text.get("new_decoder_architecture"):
        return 1
    if single is False and "num_key_value_heads" not in config.written:
        return heads
    return stated or heads


def _compressed(config: Keys, number: int, heads: int) -> Attention:
    """Attention to a window and to rows that stand for several tokens each (DeepSeek V4)."""
    ratio = (config.per_layer("compress_ratios") or [None] * config.layers)[number]
    if isinstance(ratio, bool) or ratio not in (0, 4, 128):
        raise Unclear(f"compress_ratios: {short(ratio)} is not understood")
    config.get("kv_heads", "qk_rope_head_dim")
    length = config.needed("head_dim")
    index_heads, index_length = config.needed("index_n_heads"), config.needed("index_head_dim")
    # rows of 4 tokens are so many that an index chooses some; those of 128 are not
    indexed = ratio == 4
    return Attention(
        kind="compressed",
        layers=(),
        heads=heads,
        kv_heads=1,
        key_length=length,
        value_length=length,
        window_tokens=config.needed("sliding_window"),
        query_latent_length=config.needed("q_lora_rank"),
        indexer_heads=index_heads if indexed else None,
        indexer_length=index_length if indexed else None,
        indexer_rows=config.needed("index_topk") if indexed else None,
        compression=ratio or None,
        output_groups=config.needed("o_groups"),
        output_latent_length=config.needed("o_lora_rank"),
    )


def _latent(config: Keys, number: int, latent: int, heads: int) -> Attention:
    """Attention that keeps one row of `latent` elements for all heads."""
    config.get("head_length", "kv_heads", "qk_head_dim", "use_mla")
    index_heads, index_length = config.number("index_n_heads"), config.number("index_head_dim")
    types = config.per_layer("indexer_types")
    if types and types[number] not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(types[number])} is not understood")
    # a layer may use the choice of an earlier one
    has_index = bool(index_heads and index_length) and (types is None or types[number] == "full")
    return Attention(
        kind="latent",
        layers=(),
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


# --------------------------------------------------------------------------- recurrent states


def recurrent_of(config: Keys, kind: str, width: int) -> Recurrent | None:
    """The state that a layer of that kind keeps, None where it keeps none. Raises `Unclear`."""
    read = _STATES.get(kind)
    if read is None:
        return None
    return Recurrent(kind="mamba2" if kind == "hybrid" else kind, layers=(), **read(config, width))


def _convolution(config: Keys, width: int) -> dict[str, Any]:
    return {"convolution": config.needed("conv_L_cache")}


def _delta(config: Keys, width: int) -> dict[str, Any]:
    return {
        "convolution": config.needed("linear_conv_kernel_dim"),
        "key_heads": config.needed("linear_num_key_heads"),
        "heads": config.needed("linear_num_value_heads"),
        "key_length": config.needed("linear_key_head_dim"),
        "value_length": config.needed("linear_value_head_dim"),
    }


def _kda(config: Keys, width: int) -> dict[str, Any]:
    return {
        "convolution": config.needed("linear_short_conv_kernel_size"),
        "heads": config.needed("linear_num_heads"),
        "key_length": config.needed("linear_head_dim"),
    }


def _lightning(config: Keys, width: int) -> dict[str, Any]:
    return {"heads": config.needed("heads"), "key_length": config.needed("head_dim")}


def _rglru(config: Keys, width: int) -> dict[str, Any]:
    return {
        "convolution": config.needed("conv1d_width"),
        "inner_length": config.positive("lru_width") or width,
        "heads": config.needed("heads"),
    }


def _rwkv(config: Keys, width: int) -> dict[str, Any]:
    """RWKV 6. A rank that the file does not state follows llama.cpp's conversion/rwkv.py."""
    config.get("heads", "kv_heads", "num_wkv_heads", "value_dim", "hidden_ratio")
    wide = width == 4096
    mix, decay = config.number("lora_rank_tokenshift"), config.number("lora_rank_decay")
    ranks = mix or (64 if wide else 32), decay or (128 if wide else 64)
    return {"key_length": config.needed("head_size"), "ranks": ranks}


def _rwkv7(config: Keys, width: int) -> dict[str, Any]:
    config.get("heads", "kv_heads", "num_wkv_heads", "value_dim", "hidden_ratio")
    stated = [config.number(*keys) for keys in _RWKV7_KEYS]
    ranks = tuple(
        rank or rwkv7_rank(width, *rule) for rank, rule in zip(stated, RWKV7_RANKS, strict=True)
    )
    return {"key_length": config.needed("head_dim", "head_size"), "ranks": ranks}


def _mamba(config: Keys, width: int) -> dict[str, Any]:
    rank = config.get("time_step_rank")
    return {
        "convolution": config.needed("taps"),
        "inner_length": config.positive("mamba_d_ssm") or config.needed("expand") * width,
        "state_length": config.needed("state"),
        "time_step_rank": -(-width // 16) if rank == "auto" else config.needed("time_step_rank"),
    }


def _mamba2(config: Keys, width: int) -> dict[str, Any]:
    heads = config.needed("state_heads")
    length = config.get("state_head_length")
    length = None if length == "auto" else config.number("state_head_length")
    config.get("mamba_rms_norm", "expand", "mamba_use_mlp")
    stated = config.number("mamba_d_ssm")
    by_heads = heads * (length or 0)
    inner = stated if stated and "mamba_d_ssm" in config.written else by_heads or stated
    return {
        "convolution": config.needed("taps"),
        "inner_length": inner or config.needed("expand") * width,
        "state_length": config.needed("state"),
        "heads": heads,
        "groups": config.needed("state_groups"),
        "norm": False if config.text.get("mamba_rms_norm") is False else None,
    }


_STATES: Mapping[str, Callable[[Keys, int], dict[str, Any]]] = {
    "convolution": _convolution,
    "delta": _delta,
    "hybrid": _mamba2,
    "kda": _kda,
    "lightning": _lightning,
    "mamba": _mamba,
    "mamba2": _mamba2,
    "rglru": _rglru,
    "rwkv6": _rwkv,
    "rwkv7": _rwkv7,
}


# ------------------------------------------------------------------------------- feed-forward


def feed_forward_of(config: Keys, number: int, kind: str, width: int) -> FeedForward | None:
    """The feed-forward of layer `number`, None where it has none. Raises `Unclear`."""
    how = config.type.feed_forward
    if how == "none":
        config.get("length")
        return None
    if how == "channel_mix":
        length = config.number("intermediate_size")
        ratio = config.number("mlp_ratio")
        return FeedForward(layers=(), length=length or rwkv_length(width, ratio))
    blocks = config.per_layer("block_configs")
    if blocks:
        return _block_part(blocks[number], width)
    # a file whose layers all have experts states the length of a dense one too, and the reverse
    config.get("length", "dense_length", "expert_length", "shared_length", "shared_experts", "used")
    experts = _experts(config)
    is_apart = how == "by_kind" or isinstance(config.get("hybrid_override_pattern"), str)
    if is_apart and kind not in ("mlp", "moe"):
        return None
    has_experts = kind == "moe" if is_apart else _has_experts(config, number)
    if experts and has_experts:
        return _of_experts(config, number, width, experts)
    stated = config.number("dense_length") if experts else None
    return FeedForward(layers=(), length=stated or _dense_length(config, width, number))


def _experts(config: Keys) -> int:
    """How many experts a layer of them has, 0 where the model has none."""
    experts, switch = config.number("experts") or 0, config.type.experts_if
    if (switch and not config.get(switch)) or (config.type.one_expert_is_dense and experts == 1):
        experts = 0
    used = config.number("used") or 0
    if experts and not 0 < used <= experts:
        raise Unclear(f"{config.stated('used')}: a token uses {used:,} of {experts:,} experts")
    return experts


def _of_experts(config: Keys, number: int, width: int, experts: int) -> FeedForward:
    each = config.number("expert_length") or config.needed("intermediate_size", "n_inner")
    groups = config.number("n_group") or 0
    is_apart = config.type.feed_forward == "by_kind" or isinstance(
        config.text.get("hybrid_override_pattern"), str
    )
    return FeedForward(
        layers=(),
        length=each,
        experts=experts,
        used=config.needed("used"),
        shared_length=_shared_length(config, each),
        latent_length=config.number("expert_latent") or None,
        router_bias=not is_apart and _has_router_bias(config, number),
        beside_dense=_beside_dense(config, width, number),
        groups=groups if groups > 1 and not is_apart else None,
        groups_used=config.needed("topk_group") if groups > 1 and not is_apart else None,
    )


def _beside_dense(config: Keys, width: int, number: int) -> int | None:
    """The length of a dense feed-forward beside the experts."""
    where, switch = config.type.dense_beside, config.type.dense_beside_if
    if not where or (switch and not config.get(switch)):
        return None
    return width if where == "width" else _dense_length(config, width, number)


def _has_router_bias(config: Keys, number: int) -> bool:
    """Whether the router has a bias by which it corrects its choice."""
    stated = config.get("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias")
    fixed = config.type.router_bias
    has_bias = bool(stated if fixed is None else fixed)
    is_hashed = number < (config.number("num_hash_layers") or 0)
    return (config.get("topk_method") == "noaux_tc" or has_bias) and not is_hashed


def _shared_length(config: Keys, each: int) -> int | None:
    """Elements of the experts that every token uses, all together."""
    stated, number = config.number("shared_length"), config.number("shared_experts")
    config.understood.add("shared_moe_mode")
    if number == 0:
        return None
    if config.type.shared_like_one:
        return each
    if stated is not None:
        return stated or None
    return number * each if number else None


def _has_experts(config: Keys, number: int) -> bool:
    """Whether a layer of a model with experts has some."""
    config.understood.update(_EXPERT_LAYOUT_KEYS)
    named, switches = config.get("moe_layers_enum"), config.switches("is_moe_layer")
    types, chosen = config.per_layer("mlp_layer_types"), config.places("moe_layers")
    if types:
        return bool(types[number] == "sparse")
    if isinstance(named, str) and named:
        return str(number) in named.replace(" ", "").split(",")
    if switches:
        return switches[number]
    # Ernie 4.5: -1 is the last
    last = None if config.get("moe_layer_end_index") == -1 else config.number("moe_layer_end_index")
    if last is not None and last < number:
        return False
    return number in chosen if chosen is not None else _is_in_period(config, number)


def _is_in_period(config: Keys, number: int) -> bool:
    """The same by a period with an offset, a frequency, or the first layers being dense."""
    lead, dense = config.number("first_dense") or 0, config.places("mlp_only_layers") or []
    period, offset = config.number("expert_layer_period"), config.number("expert_layer_offset") or 0
    step, frequency = config.number("expert_step") or 1, config.get("expert_frequency")
    if period:
        return number % period == offset
    if isinstance(frequency, list) and frequency:
        listed = config.switches(config.stated("expert_frequency"))
        return bool(listed and listed[number])
    every = 1 if isinstance(frequency, list) else config.number("expert_frequency") or 1
    if every > 1:
        return number >= lead and number % every == 0
    return number >= lead and number not in dense and (number + 1) % step == 0


def _dense_length(config: Keys, width: int, number: int) -> int:
    """Elements of a dense feed-forward, as `dense_length` of the model type derives them."""
    how, lengths = config.type.dense_length, config.get("intermediate_size")
    if isinstance(lengths, list):
        return config.of_layer(number, "intermediate_size") or 0
    if how == "adjusted" and config.get("block_auto_adjust_ff_dim"):
        return _adjusted(config)
    config.understood.update(("block_ffn_dim_multiplier", "block_multiple_of"))
    if how == "shared" and not config.number("num_local_experts"):
        shared = config.number("shared_intermediate_size")
        return shared or _stated_length(config, width, number)
    if how == "multiplied":
        return _multiplied(config, width, number)
    return _stated_length(config, width, number)


def _stated_length(config: Keys, width: int, number: int) -> int:
    """The length that a key states, or states in widths of the model."""
    stated = config.number("length")
    if config.type.dense_length == "halved" and stated:
        # the file counts gate and up together
        return stated // 2
    length = stated or (config.number("length_ratio") or 0) * width
    if not length:
        raise Unclear("intermediate_size is missing")
    shared_from = config.layers - (config.number("num_kv_shared_layers") or 0)
    is_wide = bool(config.get("use_double_wide_mlp")) and number >= shared_from
    return 2 * length if is_wide else length


def _adjusted(config: Keys) -> int:
    """The width that Lfm2Config makes of `block_ff_dim`: two thirds, rounded up."""
    length = int(2 * config.needed("block_ff_dim", "intermediate_size") / 3)
    factor = config.get("block_ffn_dim_multiplier")
    if isinstance(factor, (int, float)) and 0 < factor < 100:
        length = int(factor * length)
    return _up_to_multiple(length, config.needed("block_multiple_of"))


def _multiplied(config: Keys, width: int, number: int) -> int:
    """The width that OpenELM's configuration makes of each layer's `ffn_multipliers`: rounded,
    and no less than nine tenths of it.
    """
    factors, step = config.per_layer("ffn_multipliers"), config.needed("ffn_dim_divisor")
    factor = factors[number] if factors else None
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 100:
        raise Unclear("ffn_multipliers: not understood")
    length = max(step, int(factor * width + step / 2) // step * step)
    return length + step if length < 0.9 * factor * width else length


def _up_to_multiple(length: int, step: int) -> int:
    return -(-length // step) * step


def _block_part(block: Mapping[str, Any], width: int) -> FeedForward | None:
    """The feed-forward of an entry of `block_configs` (DeciLM)."""
    part = block.get("ffn")
    if not isinstance(part, dict) or part.get("sparsify") or part.get("replace_with_linear"):
        raise Unclear("block_configs: ffn is not understood")
    if part.get("no_op"):
        return None
    factor = part.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
        raise Unclear("block_configs: ffn_mult is not understood")
    # as DeciLM's own code rounds it
    return FeedForward(layers=(), length=_up_to_multiple(int(2 * factor * width / 3), 256))
