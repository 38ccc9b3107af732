"""What each layer of a `config.json` is: attention with a cache, a recurrent state, a feed-forward.

A size stands under the names that `[sizes]` of `specs/common/model_types.toml` lists.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import Attention, FeedForward, Recurrent
from .config_keys import Keys, Unclear, UnclearWindow, short, tables

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# kinds of layers that attend; "hybrid" keeps a state, too
_ATTENDING = ("full", "sliding", "cross", "hybrid", "compressed")
_KIND_LISTS = ("hybrid_override_pattern", "layer_types", "layers_block_type")
# lists of the numbers of layers -> what these layers are, and the others
_PLACES = (
    ("full_attn_idxs", "full", "convolution"),
    ("attn_layer_indices", "full", "mamba2"),
    ("cross_attention_layers", "cross", "full"),
)
_LATENT_KEYS = (
    "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mla",
    "qk_head_dim",
)  # fmt: skip
# every how many layers of Llama 4 one has no window, where the file does not say (Llama4TextConfig)
_LLAMA4_FULL_EVERY = 4


# ---------------------------------------------------------------------- the kind of each layer


def layer_kinds(config: Keys) -> list[str]:
    """The kind of each layer. Raises `Unclear`, and `UnclearWindow` where only the windows do not
    follow.
    """
    config.understood.update(tables()["keys"]["layout"])
    if config.type.layers == "compressed":
        config.understood.add("compress_ratios")
        return ["compressed"] * config.layers
    for key, plain in (
        ("compress_ratios", ([],)),
        ("use_cla", (False,)),
        ("attn_type", ("multihead_attention",)),
        ("full_attn_mod", (1,)),
        ("global_attn_every_n", (1,)),
    ):
        if (value := config.get(key)) is not None and value not in plain:
            raise Unclear(f"{key}: {short(value)} is not understood")
    kinds = _listed_kinds(config) or _kinds_by_places(config) or _periodic_kinds(config)
    if kinds is None and config.type.layers:
        kinds = [config.type.layers] * config.layers
    if kinds is None:
        kinds = ["sliding" if slides else "full" for slides in _which_slide(config)]
    return [*kinds[:-1], "full"] if config.type.last_full else kinds


def _listed_kinds(config: Keys) -> list[str] | None:
    """The kinds where the file names that of each layer; None where it does not."""
    names = config.get(*_KIND_LISTS)
    if names:
        return _named_kinds(config, names)
    blocks = config.per_layer("block_configs")
    if blocks:
        return ["none" if _is_empty(_part(block, "attention")) else "full" for block in blocks]
    repeated = config.get("block_types", "_block_types")
    if not isinstance(repeated, list) or not repeated:
        return None
    # RecurrentGemmaConfig; its window is one however long the context
    config.understood.update(("attention_window_size", "lru_width"))
    kinds = [_named_kind(config, "block_types", name) for name in repeated]
    kinds = ["sliding" if kind == "full" else kind for kind in kinds]
    return [kinds[number % len(kinds)] for number in range(config.layers)]


def _named_kinds(config: Keys, names: Any) -> list[str]:
    key = config.stated(*_KIND_LISTS)
    if not isinstance(names, (list, str)) or len(names) < config.layers:
        raise Unclear(f"{key} does not list one entry for each of the {config.layers:,} layers")
    # the keys of recurrent layers stand in the file whether or not the list has any
    config.understood.update(
        key
        for key in config.text
        if key.startswith("mamba_")
        and isinstance(names, list)
        and not {key, config.known.get("names", {}).get(key)} & config.matter
    )
    return [_named_kind(config, key, names[number]) for number in range(config.layers)]


def _kinds_by_places(config: Keys) -> list[str] | None:
    """The kinds where lists name the numbers of layers; those of Kimi count from 1."""
    layers = range(config.layers)
    full = config.places("linear_full_attn_layers") or []
    linear = config.places("linear_kda_layers") or []
    if full or linear:
        if sorted([*full, *linear]) != [number + 1 for number in layers]:
            raise Unclear("linear_attn_config does not name each layer once")
        return ["full" if number + 1 in full else "kda" for number in layers]
    for key, kind, other in _PLACES:
        places = config.places(key)
        if places is not None:
            return [kind if number in places else other for number in layers]
    return None


def _named_kind(config: Keys, key: str, name: Any) -> str:
    kinds = {**tables()["kinds"], **config.type.kinds}
    if not isinstance(name, str) or name not in kinds:
        raise Unclear(f"{key}: {short(name)} is not understood")
    kind = str(kinds[name])
    return "full" if kind == "sliding" and _window_tokens(config) is None else kind


def _part(block: Any, name: str) -> Mapping[str, Any]:
    """The attention or the feed-forward of an entry of `block_configs` (Nemotron NAS)."""
    part = block.get(name) if isinstance(block, dict) else None
    if not isinstance(part, dict) or part.get("window_length") or part.get("sparsify"):
        raise Unclear(f"block_configs: {name} is not understood")
    return part


def _is_empty(part: Mapping[str, Any]) -> bool:
    return bool(part.get("no_op") or part.get("replace_with_linear"))


def _periodic_kinds(config: Keys) -> list[str] | None:
    """The kinds where one of every so many layers attends; None where the file does not say so."""
    layers = range(config.layers)
    group = config.number("layer_group_size")
    if group:
        # an incomplete group at the end attends, too
        whole = config.layers // group * group
        return ["full" if (n + 1) % group == 0 or n >= whole else "kda" for n in layers]
    every = config.number("full_attention_interval")
    if every:
        other = config.type.kinds.get("linear_attention", "delta")
        return ["full" if (number + 1) % every == 0 else other for number in layers]
    period = config.number("attn_layer_period")
    if period:
        offset = config.number("attn_layer_offset") or 0
        return ["full" if number % period == offset else "mamba" for number in layers]
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
    layers, how = range(config.layers), config.type.slides
    stated = config.switches("hybrid_layer_pattern") or config.switches("sliding_window_layout")
    # a faulty list is refused without a window, too
    with_rope = config.switches("no_rope_layers")
    window, first = _window_tokens(config), config.number("max_window_layers")
    if window is None:
        return [False for _ in layers]
    if stated:
        return stated
    if how == "all":
        return [True for _ in layers]
    if how == "rope":
        # a layer without rope attends to everything (Llama 4)
        return with_rope or [(number + 1) % _LLAMA4_FULL_EVERY != 0 for number in layers]
    if how == "all_but_every":
        every = config.needed("global_attn_every_n_layers")
        return [bool(number % every) for number in layers]
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
    latent, uses_latent = config.number("kv_lora_rank"), config.text.get("use_mla") is not False
    if latent is None and config.known.get("defaults", {}).get("kv_lora_rank") and uses_latent:
        raise Unclear("kv_lora_rank is null, and its class has no attention without it")
    if latent and kind == "full" and uses_latent:
        return _latent(config, number, latent, heads)
    attention = _plain(config, number, kind, width, heads)
    heads, kv_heads = attention.heads, attention.kv_heads
    if kv_heads > heads or heads % kv_heads:
        raise Unclear(f"num_key_value_heads is {kv_heads:,}, and there are {heads:,} heads")
    return attention


def _plain(config: Keys, number: int, kind: str, width: int, heads: int) -> Attention:
    """Attention whose keys and values are kept as they are. Layers with a window may have sizes of
    their own, and so may those without one, some of which keep keys for values (Gemma 4).
    """
    config.understood.update(_LATENT_KEYS)
    length = config.positive("head_length")
    if not length and width % heads:
        raise Unclear(
            f"hidden_size {width:,} is no multiple of the {heads:,} heads, and head_dim is missing"
        )
    length = length or width // heads
    values = config.positive("v_head_dim") if config.type.values_apart else None
    attention = Attention(
        kind="full" if kind == "hybrid" else kind,
        layers=(),
        heads=heads,
        kv_heads=_kv_heads(config, number, heads),
        key_length=length,
        value_length=values or length,
        # MllamaTextCrossAttention
        query_key_norm="head" if kind == "cross" else None,
    )
    if kind == "sliding":
        return _windowed(config, number, attention)
    if kind == "full" and config.text.get("global_head_dim"):
        length = config.needed("global_head_dim")
        attention = attention.replace(key_length=length, value_length=length)
        if config.get("attention_k_eq_v"):
            own = config.positive("num_global_key_value_heads")
            return attention.replace(values_from_keys=True, kv_heads=own or attention.kv_heads)
    return attention


def _windowed(config: Keys, number: int, attention: Attention) -> Attention:
    window = config.number("attention_window_size") or _window_tokens(config)
    if window is None:
        raise Unclear(f"sliding_window: layer {number} is one with a window, and has none")
    own, factor = config.positive("swa_head_dim"), config.type.window_kv_factor
    return attention.replace(
        window_tokens=window,
        heads=config.positive("swa_num_attention_heads") or attention.heads,
        kv_heads=config.positive("swa_num_key_value_heads") or factor * attention.kv_heads,
        key_length=own or attention.key_length,
        value_length=config.positive("swa_v_head_dim") or own or attention.value_length,
    )


def _kv_heads(config: Keys, number: int, heads: int) -> int:
    """Heads that keep keys and values."""
    blocks = config.per_layer("block_configs")
    if blocks:
        per_group = blocks[number]["attention"].get("n_heads_in_group")
        if type(per_group) is not int or per_group < 1 or heads % per_group:
            raise Unclear("block_configs: n_heads_in_group is no divisor of the heads")
        return int(heads // per_group)
    for switch, key in (
        ("multi_query_attention", "multi_query_group_num"),
        ("group_query_attention", "num_query_groups"),
    ):
        if config.get(switch) and config.number(key):
            return config.needed(key)
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
    index: dict[str, Any] = {
        "indexer_heads": config.needed("index_n_heads"),
        "indexer_length": config.needed("index_head_dim"),
        "indexer_rows": config.needed("index_topk"),
    }
    return Attention(
        kind="compressed",
        layers=(),
        heads=heads,
        kv_heads=1,
        key_length=length,
        value_length=length,
        window_tokens=config.needed("sliding_window"),
        query_latent_length=config.needed("q_lora_rank"),
        compression=ratio or None,
        output_groups=config.needed("o_groups"),
        output_latent_length=config.needed("o_lora_rank"),
        # rows of 4 tokens are so many that an index chooses some; those of 128 are not
        **(index if ratio == 4 else {}),
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

# the keys of the sizes of a state, by its kind; `_own_sizes` has those that follow from others
_STATE_KEYS: Mapping[str, Mapping[str, str]] = {
    "convolution": {"convolution": "conv_L_cache"},
    "delta": {
        "convolution": "linear_conv_kernel_dim",
        "key_heads": "linear_num_key_heads",
        "heads": "linear_num_value_heads",
        "key_length": "linear_key_head_dim",
        "value_length": "linear_value_head_dim",
    },
    "kda": {
        "convolution": "linear_short_conv_kernel_size",
        "heads": "linear_num_heads",
        "key_length": "linear_head_dim",
    },
    "mamba": {"convolution": "taps", "state_length": "state"},
    "mamba2": {
        "convolution": "taps",
        "state_length": "state",
        "heads": "state_heads",
        "groups": "state_groups",
    },
    "rglru": {"convolution": "conv1d_width", "heads": "heads"},
}


def recurrent_of(config: Keys, kind: str, width: int) -> Recurrent | None:
    """The state that a layer of that kind keeps, None where it keeps none. Raises `Unclear`."""
    kind = "mamba2" if kind == "hybrid" else kind
    if kind not in _STATE_KEYS:
        return None
    keys = _STATE_KEYS[kind]
    sizes: dict[str, Any] = {name: config.needed(key) for name, key in keys.items()}
    return Recurrent(kind=kind, layers=(), **sizes, **_own_sizes(config, kind, width))


def _own_sizes(config: Keys, kind: str, width: int) -> dict[str, Any]:
    if kind == "rglru":
        return {"inner_length": config.positive("lru_width") or width}
    if kind == "mamba":
        is_auto = config.get("time_step_rank") == "auto"
        return {
            "inner_length": config.positive("mamba_d_ssm") or config.needed("expand") * width,
            "time_step_rank": -(-width // 16) if is_auto else config.needed("time_step_rank"),
        }
    if kind != "mamba2":
        return {}
    length = config.get("state_head_length")
    length = None if length == "auto" else config.number("state_head_length")
    config.get("mamba_rms_norm", "expand", "mamba_use_mlp")
    stated = config.number("mamba_d_ssm")
    by_heads = config.needed("state_heads") * (length or 0)
    inner = stated if stated and "mamba_d_ssm" in config.written else by_heads or stated
    return {
        "inner_length": inner or config.needed("expand") * width,
        "norm": False if config.text.get("mamba_rms_norm") is False else None,
    }


# ------------------------------------------------------------------------------- feed-forward


def feed_forward_of(config: Keys, number: int, kind: str, width: int) -> FeedForward | None:
    """The feed-forward of layer `number`, None where it has none. Raises `Unclear`."""
    how = config.type.feed_forward
    if how == "none":
        config.get("length")
        return None
    blocks = config.per_layer("block_configs")
    if blocks:
        return _of_block(_part(blocks[number], "ffn"), width)
    # a file whose layers all have experts states the length of a dense one too, and the reverse
    config.get("length", "dense_length", "expert_length", "shared_length", "shared_experts", "used")
    experts = _experts(config)
    # a layer has attention, a state or a feed-forward
    is_apart = how == "by_kind" or isinstance(config.get("hybrid_override_pattern"), str)
    if is_apart and kind not in ("mlp", "moe"):
        return None
    if experts and (kind == "moe" if is_apart else _has_experts(config, number)):
        routed = _of_experts(config, experts)
        return routed if is_apart else _beside_others(config, number, width, routed)
    stated = config.number("dense_length") if experts else None
    return FeedForward(layers=(), length=stated or _dense_length(config, width, number))


def _of_block(part: Mapping[str, Any], width: int) -> FeedForward | None:
    """As DeciLM's own code makes it of a part of `block_configs`, rounded."""
    factor: Any = part.get("ffn_mult")
    if part.get("no_op"):
        return None
    is_number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
    if not is_number or not 0 < factor < 1000 or part.get("replace_with_linear"):
        raise Unclear("block_configs: ffn_mult is not understood")
    return FeedForward(layers=(), length=-(-int(2 * factor * width / 3) // 256) * 256)


def _experts(config: Keys) -> int:
    """How many experts a layer of them has, 0 where the model has none."""
    experts, switch = config.number("experts") or 0, config.type.experts_if
    if (switch and not config.get(switch)) or (config.type.one_expert_is_dense and experts == 1):
        experts = 0
    used = config.number("used") or 0
    if experts and not 0 < used <= experts:
        raise Unclear(f"{config.stated('used')}: a token uses {used:,} of {experts:,} experts")
    return experts


def _of_experts(config: Keys, experts: int) -> FeedForward:
    each = config.number("expert_length") or config.needed("intermediate_size", "n_inner")
    config.get("n_group")
    return FeedForward(
        layers=(),
        length=each,
        experts=experts,
        used=config.needed("used"),
        shared_length=_shared_length(config, each),
        latent_length=config.number("expert_latent") or None,
    )


def _beside_others(config: Keys, number: int, width: int, routed: FeedForward) -> FeedForward:
    """Experts with what chooses among them, and with a dense feed-forward beside them."""
    groups = config.number("n_group") or 0
    where, switch = config.type.dense_beside, config.type.dense_beside_if
    beside = None
    if where and (not switch or config.get(switch)):
        beside = width if where == "width" else _dense_length(config, width, number)
    # a bias by which the router corrects its choice
    stated = config.get("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias")
    fixed = config.type.router_bias
    has_bias = config.get("topk_method") == "noaux_tc" or bool(stated if fixed is None else fixed)
    is_hashed = number < (config.number("num_hash_layers") or 0)
    return routed.replace(
        router_bias=has_bias and not is_hashed,
        beside_dense=beside,
        groups=groups if groups > 1 else None,
        groups_used=config.needed("topk_group") if groups > 1 else None,
    )


def _shared_length(config: Keys, each: int) -> int | None:
    """Elements of the experts that every token uses, all together."""
    stated, number = config.number("shared_length"), config.number("shared_experts")
    config.understood.add("shared_moe_mode")
    if number == 0:
        return None
    if config.type.shared_like_one:
        return each
    return (stated if stated is not None else (number or 0) * each) or None


def _has_experts(config: Keys, number: int) -> bool:
    """Whether a layer of a model with experts has some."""
    config.understood.update(tables()["keys"]["expert_layout"])
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
        if shared:
            return shared
    stated = config.number("length")
    if how == "halved" and stated:
        # the file counts gate and up together
        return stated // 2
    length = stated or (config.number("length_ratio") or 0) * width
    if not length:
        raise Unclear("intermediate_size is missing")
    return 2 * length if _is_double_wide(config, number) else length


def _is_double_wide(config: Keys, number: int) -> bool:
    shared_from = config.layers - (config.number("num_kv_shared_layers") or 0)
    return bool(config.get("use_double_wide_mlp")) and number >= shared_from


def _adjusted(config: Keys) -> int:
    """The width that Lfm2Config makes of `block_ff_dim`: two thirds, rounded up."""
    length = int(2 * config.needed("block_ff_dim", "intermediate_size") / 3)
    factor = config.get("block_ffn_dim_multiplier")
    if isinstance(factor, (int, float)) and 0 < factor < 100:
        length = int(factor * length)
    step = config.needed("block_multiple_of")
    return -(-length // step) * step
