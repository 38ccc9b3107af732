"""What a layer of a `config.json` mixes its tokens with, and keeps of them: attention, a
recurrent state, or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.spec import Attention, Recurrent
from .keys import CONTEXT, HEADS, KV_HEADS, USED, WIDTH, Keys, Unclear, UnclearWindow, short
from .naming import RWKV7_RANKS, plamo2_rank, rwkv7_rank

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# every how many layers of Llama 4 one has no window, where the file does not say (Llama4TextConfig)
_LLAMA4_FULL_EVERY = 4
# keys of a window, the first that has a value counts
_WINDOW = ("sliding_window", "sliding_window_size", "attention_chunk_size", "window_size")
# keys that say which layer is what; `layer_kinds` knows all of them
_LAYER_KEYS = frozenset({
    "layer_types", "layers_block_type", "hybrid_override_pattern", "full_attention_interval",
    "attn_layer_period", "attn_layer_offset",
    "full_attn_idxs", "block_configs", "cross_attention_layers", "hybrid_layer_pattern",
    "sliding_window_pattern",
    "_sliding_window_pattern", "max_window_layers", "no_rope_layers", "attention_types",
    "sliding_window", "sliding_window_size",
    "attention_chunk_size", "window_size", "linear_full_attn_layers", "linear_kda_layers",
    "global_attn_every_n_layers", "sliding_window_layout", "layer_group_size",
    "short_conv_kernel_size",
    "mtp_hybrid_override_pattern", "mtp_layers_block_type", "cla_share_factor",
    "linear_attn_config", "attn_type", "attn_layer_indices",
})  # fmt: skip
# every how many layers one attends to everything: 1 in the files of Phi 4 and of Grok 2, whose
# layers all do
_FULL_EACH = ("full_attn_mod", "global_attn_every_n")
# ranks of RWKV 7, under the names of two publishers
_RWKV7_KEYS = (
    ("decay_low_rank_dim", "lora_rank_decay"),
    ("a_low_rank_dim", "lora_rank_iclr"),
    ("v_low_rank_dim", "lora_rank_value_residual_mix"),
    ("gate_low_rank_dim", "lora_rank_gate"),
)
ATTENDING = frozenset({"full", "sliding", "cross", "hybrid", "compressed"})
STATES = frozenset(
    {
        "mamba",
        "mamba2",
        "delta",
        "kda",
        "lightning",
        "convolution",
        "hybrid",
        "rglru",
        "rwkv6",
        "rwkv7",
        "qrwkv6",
    }
)
_NAMES: Mapping[str, str] = {
    "full_attention": "full", "attention": "full", "sliding_attention": "sliding",
    "chunked_attention": "sliding",
    "linear_attention": "delta", "conv": "convolution", "mamba": "mamba", "mamba2": "mamba2",
    "hybrid": "hybrid", "mlp": "mlp",
    "moe": "moe",
}  # fmt: skip
# letters of Nemotron H: Mamba-2, attention, feed-forward, experts
_PATTERN: Mapping[str, str] = {"M": "mamba2", "*": "full", "-": "mlp", "E": "moe"}


def kept_in(quantization: object, *, latent: bool) -> str | None:
    """The type that a checkpoint asks keys and values to be kept in; None where it asks for
    nothing, or for what vLLM passes over.

    vllm 0.33.0: kv_cache_scheme of compressed-tensors (layers/attention/attention.py;
    mla_attention.py, of `latent` rows, does not look at it), any key of NVIDIA's exporter
    (utils/torch_utils.py, get_kv_cache_quant_algo_string), and of both FP8 alone.
    """
    if not isinstance(quantization, Mapping):
        return None
    method = quantization.get("quant_method")
    if isinstance(method, str) and method.startswith("modelopt"):
        inner = quantization.get("quantization")
        parts = (inner, quantization) if isinstance(inner, Mapping) else (quantization,)
        stated = [
            part.get(key) for key in ("kv_cache_scheme", "kv_cache_quant_algo") for part in parts
        ]
        scheme = next((value for value in stated if value), None)
        fixed = (
            isinstance(scheme, Mapping)
            and scheme.get("dynamic") is False
            and _eight_float_bits(scheme)
        )
        return (
            "float8_e4m3"
            if fixed or (isinstance(scheme, str) and scheme.lower() == "fp8")
            else None
        )
    if (
        method == "compressed-tensors"
        and not latent
        and _eight_float_bits(quantization.get("kv_cache_scheme"))
    ):
        return "float8_e4m3"
    return None


def quantizer_of(quantization: Mapping[str, Any]) -> str | None:
    """What made the weights narrow, of those whose files some program does not load that loads
    the type.
    """
    method = quantization.get("quant_method") or (
        "modelopt" if quantization.get("quant_algo") else None
    )
    return "modelopt" if method == "modelopt" else None


def _eight_float_bits(scheme: object) -> bool:
    return isinstance(scheme, Mapping) and (scheme.get("num_bits"), scheme.get("type")) == (
        8,
        "float",
    )


def layer_kinds(config: Keys) -> list[str]:
    """One of `ATTENDING`, `STATES` or `none` (a layer with a feed-forward alone) for each layer."""
    layers = config.layers
    config.asked.update(_LAYER_KEYS)
    if config.type.layers_alike == "compressed":
        config.asked.add("compress_ratios")
        return ["compressed"] * layers
    types = config.switches("attn_type_list")
    if types and config.type.attn_type_list:
        return ["full" if attends else config.type.attn_type_list for attends in types]
    if types and config.kind.startswith("minimax") and all(types):
        # each layer attends, as where the key is not
        types = None
    _refuse_unread_layouts(config, types)
    names = config.get("layer_types", "layers_block_type")
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        if len(pattern) != layers or set(pattern) - set(_PATTERN):
            raise Unclear("hybrid_override_pattern: not one known letter for each layer")
        return [_PATTERN[letter] for letter in pattern]
    if names:
        return _listed_kinds(config, names)
    if config.type.layers_alike:
        return [config.type.layers_alike] * layers
    if config.type.layer_reader:
        return LAYER_READERS[config.type.layer_reader](config)
    if config.get("linear_full_attn_layers") or config.get("linear_kda_layers"):
        return kimi_layers(config)
    periodic = _periodic_kinds(config)
    if periodic:
        return periodic
    full = config.places("full_attn_idxs")
    if full is not None:
        return ["full" if number in full else "convolution" for number in range(layers)]
    blocks = config.per_layer("block_configs")
    if blocks:
        return [block_kind(config, block) for block in blocks]
    crossing = config.places("cross_attention_layers")
    if crossing is not None:
        return ["cross" if number in crossing else "full" for number in range(layers)]
    return _last_full(config, ["sliding" if slides else "full" for slides in which_slide(config)])


def _refuse_unread_layouts(config: Keys, types: list[bool] | None) -> None:
    """Raises for ways to lay out the layers that nothing here reads."""
    if config.get("compress_ratios") or types:
        raise Unclear(
            "compress_ratios: compressed attention is not understood"
            if config.get("compress_ratios")
            else "attn_type_list: not understood"
        )
    if config.flag("use_cla"):
        raise Unclear("use_cla: layers that share a cache are not understood")
    if config.get("attn_type") not in (None, "multihead_attention"):
        raise Unclear(f"attn_type: {short(config.get('attn_type'))} is not understood")
    for key in _FULL_EACH:
        if config.get(key) not in (None, 1):
            raise Unclear(f"{key}: {short(config.get(key))} is not understood")


def _listed_kinds(config: Keys, names: Any) -> list[str]:
    """The kinds that `layer_types` names, one for each layer."""
    # keys of recurrent layers stand in the file whether or not the list has any
    matter, other_names = config.known.get("matter", ()), config.known.get("names", {})
    config.asked.update(
        key
        for key in config.text
        if key.startswith("mamba_") and not {key, other_names.get(key)} & {*matter}
    )
    layers = config.layers
    if not isinstance(names, list) or len(names) < layers:
        raise Unclear(f"layer_types does not list one entry for each of the {layers:,} layers")
    return _last_full(config, [named_kind(config, name) for name in names[:layers]])


def _periodic_kinds(config: Keys) -> list[str] | None:
    """The kinds where one layer of every so many attends and the others have a state; None where no
    key says so.
    """
    layers = config.layers
    group = config.number(config.type.layer_group) if config.type.layer_group else None
    if group:
        return [
            "full" if (number + 1) % group == 0 or number >= layers // group * group else "kda"
            for number in range(layers)
        ]
    every = config.number("full_attention_interval") or config.type.delta_but_every
    if every:
        kinds = ["full" if (number + 1) % every == 0 else "delta" for number in range(layers)]
        return [*kinds[:-1], "full"] if config.type.one_attends and "full" not in kinds else kinds
    period = config.number("attn_layer_period")
    if period:
        offset = config.number("attn_layer_offset") or 0
        return ["full" if number % period == offset else "mamba" for number in range(layers)]
    return None


def _last_full(config: Keys, kinds: list[str]) -> list[str]:
    return [*kinds[:-1], "full"] if config.type.last_attends_to_all else kinds


def named_kind(config: Keys, name: Any) -> str:
    kind = _NAMES.get(name) if isinstance(name, str) else None
    if config.type.indexed and name in ("sparse_attention", "indexed_attention"):
        # indexer_types says where; transformers 5 has a word for it
        return "full"
    if kind is None:
        raise Unclear(f"layer_types: {short(name)} is not understood")
    if config.type.shared_blocks and kind not in ("mamba", "delta", "hybrid"):
        raise Unclear(f"layer_types: {short(name)} is not understood")
    if kind == "mamba":
        return config.type.mamba_is
    if kind == "delta":
        return config.type.linear_is
    if kind == "sliding" and window_tokens(config) is None:
        return "full"
    return kind


def kimi_layers(config: Keys) -> list[str]:
    # these lists count from 1
    full, linear = (
        config.get("linear_full_attn_layers") or [],
        config.get("linear_kda_layers") or [],
    )
    if (
        not isinstance(full, list)
        or not isinstance(linear, list)
        or sorted([*full, *linear], key=str) != sorted(range(1, config.layers + 1), key=str)
    ):
        raise Unclear("linear_attn_config does not name each layer once")
    return ["full" if number in full else "kda" for number in range(1, config.layers + 1)]


def indexed_layers(config: Keys) -> list[str]:
    """`attn_layer_indices` names the layers that attend."""
    attending = config.places("attn_layer_indices") or []
    return ["full" if number in attending else "mamba2" for number in range(config.layers)]


def shared_block_layers(config: Keys) -> list[str]:
    from .zamba import zamba_kinds

    return zamba_kinds(config)


def block_type_layers(config: Keys) -> list[str]:
    """`block_types` over and over (RecurrentGemmaConfig); what attends has the window, however
    long the context.
    """
    # older classes wrote it under both names
    blocks = config.get("block_types", "_block_types") or ["recurrent", "recurrent", "attention"]
    if not isinstance(blocks, list) or not set(map(str, blocks)) <= {"recurrent", "attention"}:
        raise Unclear(f"block_types: {short(blocks)} is not understood")
    config.asked.update(("attention_window_size", "sliding_window"))
    return [
        "rglru" if blocks[number % len(blocks)] == "recurrent" else "sliding"
        for number in range(config.layers)
    ]


def step_layers(config: Keys) -> list[str]:
    """One layer of every `mamba_step` attends (modeling_plamo.py: is_mamba); where it has a
    window, to that, save for those named.
    """
    step, layers = config.needed("mamba_step"), config.layers
    full = config.places("full_attention_idx") or []
    if config.get("mamba_enabled") is False or layers <= step // 2:
        raise Unclear("mamba_enabled, mamba_step: layers of one kind alone are not understood")
    sliding = "full" if window_tokens(config) is None else "sliding"
    attending = {number: "full" if number in full else sliding for number in range(layers)}
    return [
        attending[number] if number % step == step // 2 else "mamba" for number in range(layers)
    ]


# by `layer_reader` of a model type
LAYER_READERS: Mapping[str, Callable[[Keys], list[str]]] = {
    "attn_layer_indices": indexed_layers,
    "block_types": block_type_layers,
    "mamba_step": step_layers,
    "shared_blocks": shared_block_layers,
}


def block_kind(config: Keys, block: Any) -> str:
    part = block.get("attention") if isinstance(block, dict) else None
    if not isinstance(part, dict):
        raise Unclear("block_configs: not understood")
    if part.get("window_length") or part.get("sparsify"):
        raise Unclear("block_configs: window_length and sparsify are not understood")
    return "none" if part.get("no_op") or part.get("replace_with_linear") else "full"


def window_tokens(config: Keys) -> int | None:
    """Tokens; None where no layer has a window shorter than the context."""
    if config.type.window_key:
        return config.number(config.type.window_key) or None
    keys = config.type.window_keys or _WINDOW
    window = None if config.get(*keys) == -1 else config.number(*keys)
    if window is None:
        window = config.type.window_tokens
    if (
        not config.type.chunk_is_window
        and config.get("sliding_window", "sliding_window_size") is None
    ):
        window = None
    if config.text.get("use_sliding_window") is False:
        window = None
    if window and config.type.halves_window and config.flag("use_bidirectional_attention"):
        window = window // 2 + 1
    context = config.number(*CONTEXT)
    # a window that no text can fill is none
    return window if window and not (context and window >= context) else None


def which_slide(config: Keys) -> list[bool]:
    layers = config.layers
    swa = config.switches("hybrid_layer_pattern") or config.switches("sliding_window_layout")
    pattern = config.get("sliding_window_pattern", "_sliding_window_pattern")
    first = config.number("max_window_layers")
    config.switches("no_rope_layers")
    config.get("attention_types")
    if window_tokens(config) is None:
        return [False] * layers
    if swa:
        return swa
    if config.type.slides:
        return SLIDES[config.type.slides](config)
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return [pattern[number % len(pattern)] == "L" for number in range(layers)]
    if type(pattern) is int and pattern > 0:
        return [(number + 1) % pattern != 0 for number in range(layers)]
    if pattern is not None:
        raise UnclearWindow(f"sliding_window_pattern: {short(pattern)} is not understood")
    if config.text.get("use_sliding_window") is True and first is not None:
        return [number >= first for number in range(layers)]
    every = config.number("global_attn_every_n_layers") or config.type.full_every
    if every is None:
        raise UnclearWindow(
            f"sliding_window: {window_tokens(config):,} tokens, and the file does not say in which"
            " layers"
        )
    return [every == 0 or (number + 1) % every != 0 for number in range(layers)]


def _but_every_stated(config: Keys) -> list[bool]:
    every = config.needed("global_attn_every_n_layers")
    return [bool(number % every) for number in range(config.layers)]


def _with_rope(config: Keys) -> list[bool]:
    """A layer without rope attends to everything (Llama 4)."""
    stated = config.switches("no_rope_layers")
    return stated or [(number + 1) % _LLAMA4_FULL_EVERY != 0 for number in range(config.layers)]


def _first_and_sixth_full(config: Keys) -> list[bool]:
    """The first layer attends to everything, and every sixth (MiMoV2FlashConfig)."""
    return [number > 0 and (number + 1) % 6 != 0 for number in range(config.layers)]


def _named_local(config: Keys) -> list[bool]:
    """`attention_types` of GPT Neo: names of kinds, and how often they come."""
    types, layers = config.get("attention_types"), config.layers
    is_local: list[bool] = []
    for part in types if isinstance(types, list) else []:
        if not (
            isinstance(part, list)
            and len(part) == 2
            and isinstance(part[0], list)
            and type(part[1]) is int
            and 0 < part[1] <= layers
        ):
            break
        is_local += [name == "local" for name in part[0]] * part[1]
        if len(is_local) >= layers:
            break
    if len(is_local) != layers:
        raise Unclear("attention_types does not name each layer once")
    return is_local


# by `slides` of a model type: whether each layer has the window
SLIDES: Mapping[str, Callable[[Keys], list[bool]]] = {
    "all_but_every": _but_every_stated,
    "attention_types": _named_local,
    "first_and_sixth_full": _first_and_sixth_full,
    "rope": _with_rope,
}


def attention_of(config: Keys, number: int, kind: str, width: int) -> Attention:
    if config.type.attention_experts:
        # its class derives them
        heads = config.needed("num_key_value_heads") * config.needed(*USED)
        config.asked.update(HEADS)
    else:
        heads = config.of_layer(number, *HEADS) or config.needed(*HEADS)
    if kind == "compressed":
        return compressed_attention(config, number, heads)
    latent = config.number("kv_lora_rank")
    if (
        latent is None
        and config.known.get("defaults", {}).get("kv_lora_rank")
        and config.text.get("use_mla") is not False
    ):
        raise Unclear("kv_lora_rank is null, and its class has no attention without it")
    near = config.number("swa_kv_lora_rank") if kind == "sliding" else None
    if (near or (latent and kind == "full")) and config.text.get("use_mla") is not False:
        return latent_attention(config, number, near or latent or 0, heads, "swa_" if near else "")
    config.asked.update(
        (
            "kv_lora_rank",
            "q_lora_rank",
            "qk_nope_head_dim",
            "qk_rope_head_dim",
            "v_head_dim",
            "use_mla",
            "qk_head_dim",
        )
    )
    stated = config.positive(
        "head_dim", "attention_head_dim", "kv_channels", "hidden_size_per_head", "d_kv"
    )
    divided = (
        config.positive(config.type.heads_divide) if config.type.heads_divide else None
    ) or width
    if not stated and divided % heads:
        raise Unclear(
            f"hidden_size {divided:,} is no multiple of the {heads:,} heads, and head_dim is"
            " missing"
        )
    length = stated or divided // heads
    if config.type.shared_blocks:
        from .zamba import zamba_head

        length = zamba_head(config, width, heads)
    if config.type.heads_fill_width and heads * length != width:
        raise Unclear(
            f"{heads:,} heads of {length:,} are not hidden_size, {width:,}, which this class takes"
            " them to be"
        )
    kv_heads = kv_heads_of(config, number, heads)
    value = (config.number("v_head_dim") or length) if config.type.value_heads_apart else length
    same = False
    by_layer = config.per_layer("num_attention_heads_per_layer")
    if by_layer:
        heads = config.of_layer(number, "num_attention_heads_per_layer") or 0
    if kind == "sliding":
        heads = config.positive("swa_num_attention_heads") or heads
        more = config.type.window_kv_factor
        kv_heads = config.positive("swa_num_key_value_heads") or more * kv_heads
        value = config.positive("swa_v_head_dim") or value
        length = config.positive("swa_head_dim") or length
    global_length = config.type.global_head_length
    if global_length is not None and kind == "full":
        if not config.states_layers:
            length = value = config.positive("global_head_dim") or global_length
        if config.flag("attention_k_eq_v"):
            same = True
            kv_heads = (
                config.positive("num_global_key_value_heads") if not config.states_layers else None
            ) or kv_heads
    config.asked.update(
        (
            "global_head_dim",
            "num_global_key_value_heads",
            "swa_num_attention_heads",
            "swa_num_key_value_heads",
            "swa_v_head_dim",
            "swa_head_dim",
        )
    )
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise Unclear(f"num_key_value_heads is {kv_heads:,}, and there are {heads:,} heads")
    window = window_tokens(config) if kind == "sliding" else None
    if kind == "sliding" and window is None:
        raise Unclear(f"sliding_window: layer {number} is one with a window, and has none")
    indexer, indexed = sparse_index(config, number) if config.type.index_by_blocks else (None, None)
    return Attention(
        kind=kind if kind != "hybrid" else "full",
        layers=(),
        heads=heads,
        kv_heads=kv_heads,
        key_length=length,
        value_length=value,
        window_tokens=window,
        values_from_keys=same,
        indexer_heads=indexer,
        indexer_length=indexed,
        # MllamaTextCrossAttention
        query_key_norm="head" if kind == "cross" else None,
    )


def compressed_attention(config: Keys, number: int, heads: int) -> Attention:
    ratio = (config.per_layer("compress_ratios") or [None] * config.layers)[number]
    if isinstance(ratio, bool) or ratio not in (0, 4, 128):
        raise Unclear(f"compress_ratios: {short(ratio)} is not understood")
    config.asked.update((*KV_HEADS, "qk_rope_head_dim"))
    key, indexer = (
        config.needed("head_dim"),
        (config.needed("index_n_heads"), config.needed("index_head_dim")),
    )
    return Attention(
        kind="compressed",
        layers=(),
        heads=heads,
        kv_heads=1,
        key_length=key,
        value_length=key,
        window_tokens=config.needed("sliding_window"),
        query_latent_length=config.needed("q_lora_rank"),
        # only of the rows of a few tokens there are so many that some are chosen
        indexer_heads=indexer[0] if ratio == 4 else None,
        indexer_length=indexer[1] if ratio == 4 else None,
        indexer_rows=config.needed("index_topk") if ratio == 4 else None,
        compression=ratio or None,
        output_groups=config.needed("o_groups"),
        output_latent_length=config.needed("o_lora_rank"),
    )


def sparse_index(config: Keys, number: int) -> tuple[int | None, int | None]:
    """Heads and length of the index by which a layer chooses what it attends to
    (conversion/minimax.py of llama.cpp 0c1e570).

    Without a list of them every layer has one: more is counted then, not less.
    """
    heads, length = config.number("sparse_num_index_heads"), config.number("sparse_index_dim")
    layers = config.switches("sparse_attention_freq")
    chosen = layers is None or layers[number]
    if config.text.get("use_sparse_attention") is False or not (heads and length and chosen):
        return None, None
    return heads, length


def kv_heads_of(config: Keys, number: int, heads: int) -> int:
    blocks = config.per_layer("block_configs")
    if blocks:
        per_group = blocks[number]["attention"].get("n_heads_in_group")
        if (
            not isinstance(per_group, int)
            or isinstance(per_group, bool)
            or per_group < 1
            or heads % per_group
        ):
            raise Unclear("block_configs: n_heads_in_group is no divisor of the heads")
        return heads // per_group
    groups = config.number("multi_query_group_num")
    if config.flag("multi_query_attention") and groups:
        return groups
    if config.type.kv_shared_by:
        return max(1, heads // config.needed(config.type.kv_shared_by))
    if config.flag("group_query_attention") and config.number("num_query_groups"):
        return config.needed("num_query_groups")
    stated = config.of_layer(number, *KV_HEADS)
    single_head = config.flag("multi_query")
    if config.type.one_or_all_kv_heads:
        return 1 if single_head else heads
    config.asked.update(("new_decoder_architecture", "multi_query_attention"))
    # Falcon's older classes ignore num_kv_heads where multi_query is set
    if (
        single_head
        and not config.text.get("new_decoder_architecture")
        and not (stated and config.type.stated_kv_heads_win)
    ):
        return 1
    return stated or heads


def latent_attention(
    config: Keys, number: int, latent: int, heads: int, near: str = ""
) -> Attention:
    """`near`: what the keys of layers with a window begin with, which have no indexer."""
    config.asked.update(
        (
            "head_dim",
            "num_key_value_heads",
            "qk_head_dim",
            "use_mla",
            "swa_head_dim",
            "swa_num_key_value_heads",
        )
    )
    types = config.per_layer("indexer_types")
    every = config.type.indexer_every
    if types is None and every is not None:
        types = [
            "full" if layer == 0 or (layer - 1) % every == 0 else "shared"
            for layer in range(config.layers)
        ]
    if types and types[number] not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(types[number])} is not understood")
    own = not near and (types is None or types[number] == "full")
    indexer, length = config.number("index_n_heads"), config.number("index_head_dim")
    heads = (config.number("swa_num_attention_heads") if near else None) or heads
    return Attention(
        kind="full" if config.type.latent_unpacked else "latent",
        layers=(),
        heads=heads,
        kv_heads=heads,
        key_length=config.needed(f"{near}qk_nope_head_dim")
        + (config.needed("qk_rope_head_dim") if config.type.latent_unpacked else 0),
        value_length=(
            minicpm_values(config, heads)
            if config.type.values_of_width
            else config.needed(f"{near}v_head_dim")
        ),
        window_tokens=window_tokens(config) if near else None,
        latent_length=latent,
        query_latent_length=config.number(f"{near}q_lora_rank") or None,
        rope_length=config.needed(f"{near}qk_rope_head_dim"),
        indexer_heads=indexer if indexer and length and own else None,
        indexer_length=length if indexer and length and own else None,
    )


def minicpm_values(config: Keys, heads: int) -> int:
    """MiniCPM3's own code takes the width of a head, whatever v_head_dim says
    (modeling_minicpm.py).
    """
    length, stated = max(1, config.needed(*WIDTH) // heads), config.number("v_head_dim")
    if stated not in (None, length):
        raise Unclear(
            f"v_head_dim is {stated:,}, and the width of a head {length:,}: not understood"
        )
    return length


def recurrent_of(config: Keys, kind: str, width: int) -> Recurrent:
    if kind == "convolution":
        return Recurrent(kind=kind, layers=(), convolution=config.needed("conv_L_cache"))
    if "rwkv" in kind:
        return rwkv(config, kind, width)
    if kind == "delta" and config.type.delta_from_attention:
        return olmo_recurrent(config, width)
    if kind == "delta":
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=config.needed("linear_conv_kernel_dim"),
            key_heads=config.needed("linear_num_key_heads"),
            heads=config.needed("linear_num_value_heads"),
            key_length=config.needed("linear_key_head_dim"),
            value_length=config.needed("linear_value_head_dim"),
        )
    if kind == "rglru":
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=config.needed("conv1d_width"),
            inner_length=config.positive("lru_width") or width,
            heads=config.needed(*HEADS),
        )
    if kind == "lightning":
        return Recurrent(
            kind=kind, layers=(), heads=config.needed(*HEADS), key_length=config.needed("head_dim")
        )
    if kind == "kda":
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=config.needed("linear_short_conv_kernel_size"),
            heads=config.needed("linear_num_heads"),
            key_length=config.needed("linear_head_dim"),
        )
    size = config.needed("mamba_d_state", "ssm_state_size", "state_size")
    taps = config.needed("mamba_d_conv", "conv_kernel")
    if config.type.state_heads == "of_attention":
        heads = config.needed("mamba_num_heads")
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=taps,
            inner_length=heads * config.needed("hidden_size_per_head"),
            state_length=size,
            time_step_rank=plamo2_rank(width),
            heads=heads,
        )
    own_heads = config.type.state_heads
    if kind == "mamba" or own_heads:
        return Recurrent(
            kind="mamba",
            layers=(),
            convolution=taps,
            inner_length=inner_length(config, width),
            state_length=size,
            time_step_rank=time_step_rank(config, width),
            heads=config.positive(own_heads) if own_heads else None,
        )
    heads = config.needed(
        "mamba_n_heads",
        "mamba_num_heads",
        "n_mamba_heads",
        *(("num_heads",) if config.type.bare_state_keys else ()),
    )
    own = "mamba_d_head", "mamba_head_dim", *(("head_dim",) if config.type.bare_state_keys else ())
    length = None if config.get(*own) == "auto" else config.number(*own)
    stated = config.number("mamba_d_ssm")
    if config.type.inner_length and "mamba_d_ssm" not in config.text and not length:
        stated = config.type.inner_length
    inner = stated or (heads * length if length else 0) or inner_length(config, width)
    norm = config.text.get(config.type.state_norm_key)
    config.asked.update(("mamba_rms_norm", "mamba_expand", "expand", "mamba_use_mlp"))
    return Recurrent(
        kind="mamba2",
        layers=(),
        convolution=taps,
        inner_length=inner,
        state_length=size,
        heads=heads,
        groups=config.needed("mamba_n_groups", "n_groups", "mamba_ngroups"),
        norm=False if norm is False else None,
    )


def olmo_recurrent(config: Keys, width: int) -> Recurrent:
    """What the file leaves out follows from the attention, as OlmoHybridConfig of transformers
    5.23.0 has it.
    """
    heads = config.needed(*HEADS)
    key_heads = config.positive("linear_num_key_heads") or heads
    key_length = config.positive("linear_key_head_dim") or int(0.75 * width / key_heads)
    return Recurrent(
        kind="delta",
        layers=(),
        convolution=config.needed("linear_conv_kernel_dim"),
        key_heads=key_heads,
        heads=config.positive("linear_num_value_heads") or heads,
        key_length=key_length,
        value_length=config.positive("linear_value_head_dim") or 2 * key_length,
    )


def rwkv(config: Keys, kind: str, width: int) -> Recurrent:
    """Ranks by the rules of llama.cpp's conversion/rwkv.py (0c1e570) where the file has none."""
    config.asked.update((*HEADS, *KV_HEADS, "num_wkv_heads", "value_dim", "hidden_ratio"))
    if kind == "rwkv7":
        head, stated = (
            config.needed("head_dim", "head_size"),
            [config.number(*keys) for keys in _RWKV7_KEYS],
        )
        ranks = tuple(
            rank or rwkv7_rank(width, *rule) for rank, rule in zip(stated, RWKV7_RANKS, strict=True)
        )
        return Recurrent(kind=kind, layers=(), key_length=head, ranks=ranks)
    wide = width == 4096 if kind == "rwkv6" else width >= 4096
    mix, decay = config.number("lora_rank_tokenshift"), config.number("lora_rank_decay")
    heads = config.number(*KV_HEADS) if kind == "qrwkv6" else None
    head = width // config.needed(*HEADS) if kind == "qrwkv6" else config.needed("head_size")
    ranks = mix or (64 if wide else 32), decay or (128 if wide else 64)
    return Recurrent(kind=kind, layers=(), key_heads=heads, key_length=head, ranks=ranks)


def inner_length(config: Keys, width: int) -> int:
    expand = config.number("mamba_expand", "expand")
    own = config.type.inner_key
    if own and config.number(own):
        return config.needed(own)
    if not expand:
        raise Unclear("the inner width of the recurrent layers (expand) is missing")
    return expand * width


def time_step_rank(config: Keys, width: int) -> int:
    if config.get("time_step_rank", "mamba_dt_rank") == "auto":
        return -(-width // 16)
    return config.needed("time_step_rank", "mamba_dt_rank")
