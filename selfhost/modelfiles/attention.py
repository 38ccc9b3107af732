"""The attention of a layer of a `config.json`: its heads, their lengths, and what it keeps."""

from __future__ import annotations

from ..catalogue.spec import Attention
from .keys import HEADS, KV_HEADS, USED, WIDTH, Keys, Unclear, short
from .mixing import window_tokens

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# keys of latent attention, which files of models without it state too
_LATENT_KEYS = (
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "use_mla",
    "qk_head_dim",
)
# sizes that only layers with a window have, or only layers without
_KEYS_BY_REACH = (
    "global_head_dim",
    "num_global_key_value_heads",
    "swa_num_attention_heads",
    "swa_num_key_value_heads",
    "swa_v_head_dim",
    "swa_head_dim",
)


def attention_of(config: Keys, number: int, kind: str, width: int) -> Attention:
    """The attention of layer `number`, whose kind is one of `ATTENDING`. Raises `Unclear`."""
    heads = _heads(config, number)
    if kind == "compressed":
        return _compressed(config, number, heads)
    latent, before = _latent_length(config, kind)
    if latent:
        return _latent(config, number, latent, heads, before)
    return _plain(config, number, kind, width, heads)


def _heads(config: Keys, number: int) -> int:
    if config.type.attention_experts:
        # the class derives them
        heads = config.needed("num_key_value_heads") * config.needed(*USED)
        config.understood.update(HEADS)
        return heads
    return config.of_layer(number, *HEADS) or config.needed(*HEADS)


def _plain(config: Keys, number: int, kind: str, width: int, heads: int) -> Attention:
    """Attention whose keys and values are kept as they are."""
    config.understood.update(_LATENT_KEYS)
    length = _head_length(config, width, heads)
    kv_heads = _kv_heads(config, number, heads)
    value = (config.number("v_head_dim") or length) if config.type.value_heads_apart else length
    if config.per_layer("num_attention_heads_per_layer"):
        heads = config.of_layer(number, "num_attention_heads_per_layer") or 0
    attention = Attention(
        kind="full" if kind == "hybrid" else kind,
        layers=(),
        heads=heads,
        kv_heads=kv_heads,
        key_length=length,
        value_length=value,
        # MllamaTextCrossAttention
        query_key_norm="head" if kind == "cross" else None,
    )
    if kind == "sliding":
        attention = _as_sliding(config, attention)
    if kind == "full":
        attention = _as_global(config, attention)
    config.understood.update(_KEYS_BY_REACH)
    heads, kv_heads = attention.heads, attention.kv_heads
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise Unclear(f"num_key_value_heads is {kv_heads:,}, and there are {heads:,} heads")
    window = window_tokens(config) if kind == "sliding" else None
    if kind == "sliding" and window is None:
        raise Unclear(f"sliding_window: layer {number} is one with a window, and has none")
    index_heads, index_length = (
        _sparse_index(config, number) if config.type.index_by_blocks else (None, None)
    )
    return attention.replace(
        window_tokens=window, indexer_heads=index_heads, indexer_length=index_length
    )


def _head_length(config: Keys, width: int, heads: int) -> int:
    """Elements of one head's key."""
    stated = config.positive(
        "head_dim", "attention_head_dim", "kv_channels", "hidden_size_per_head", "d_kv"
    )
    divided_key = config.type.heads_divide
    divided = (config.positive(divided_key) if divided_key else None) or width
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
    return length


def _as_sliding(config: Keys, attention: Attention) -> Attention:
    """The same with the sizes that layers with a window have of their own."""
    heads = config.positive("swa_num_attention_heads") or attention.heads
    return attention.replace(
        heads=heads,
        kv_heads=config.positive("swa_num_key_value_heads")
        or config.type.window_kv_factor * attention.kv_heads,
        value_length=config.positive("swa_v_head_dim") or attention.value_length,
        key_length=config.positive("swa_head_dim") or attention.key_length,
    )


def _as_global(config: Keys, attention: Attention) -> Attention:
    """The same with the sizes that layers without a window have of their own (Gemma 4)."""
    usual_length = config.type.global_head_length
    if usual_length is None:
        return attention
    if not config.states_layers:
        length = config.positive("global_head_dim") or usual_length
        attention = attention.replace(key_length=length, value_length=length)
    if config.flag("attention_k_eq_v"):
        stated = None
        if not config.states_layers:
            stated = config.positive("num_global_key_value_heads")
        attention = attention.replace(values_from_keys=True, kv_heads=stated or attention.kv_heads)
    return attention


def _kv_heads(config: Keys, number: int, heads: int) -> int:
    """Heads that keep keys and values."""
    blocks = config.per_layer("block_configs")
    if blocks:
        return _kv_heads_of_block(blocks[number], heads)
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
    config.understood.update(("new_decoder_architecture", "multi_query_attention"))
    # Falcon's older classes ignore num_kv_heads where multi_query is set
    ignored = not (stated and config.type.stated_kv_heads_win)
    if single_head and ignored and not config.text.get("new_decoder_architecture"):
        return 1
    return stated or heads


def _kv_heads_of_block(block: Any, heads: int) -> int:
    per_group = block["attention"].get("n_heads_in_group")
    is_count = isinstance(per_group, int) and not isinstance(per_group, bool) and per_group >= 1
    if not is_count or heads % per_group:
        raise Unclear("block_configs: n_heads_in_group is no divisor of the heads")
    return int(heads // per_group)


def _sparse_index(config: Keys, number: int) -> tuple[int | None, int | None]:
    """Heads and length of the index by which a layer chooses what it attends to
    (conversion/minimax.py of llama.cpp 0c1e570).

    Every layer has one where the file lists none. This counts too much rather than too little.
    """
    heads, length = config.number("sparse_num_index_heads"), config.number("sparse_index_dim")
    layers = config.switches("sparse_attention_freq")
    chosen = layers is None or layers[number]
    if config.text.get("use_sparse_attention") is False or not (heads and length and chosen):
        return None, None
    return heads, length


def _compressed(config: Keys, number: int, heads: int) -> Attention:
    """Attention to a window and to rows that stand for several tokens each (DeepSeek V4)."""
    ratio = (config.per_layer("compress_ratios") or [None] * config.layers)[number]
    if isinstance(ratio, bool) or ratio not in (0, 4, 128):
        raise Unclear(f"compress_ratios: {short(ratio)} is not understood")
    config.understood.update((*KV_HEADS, "qk_rope_head_dim"))
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


def _latent_length(config: Keys, kind: str) -> tuple[int, str]:
    """The length of the one row that a layer with latent attention keeps, 0 for other attention;
    and what the keys of this layer begin with.
    """
    latent, used = config.number("kv_lora_rank"), config.text.get("use_mla") is not False
    has_default = config.known.get("defaults", {}).get("kv_lora_rank")
    if latent is None and has_default and used:
        raise Unclear("kv_lora_rank is null, and its class has no attention without it")
    of_window = config.number("swa_kv_lora_rank") if kind == "sliding" else None
    if of_window and used:
        return of_window, "swa_"
    return (latent or 0 if kind == "full" and used else 0), ""


def _latent(config: Keys, number: int, latent: int, heads: int, before: str) -> Attention:
    """Attention that keeps one row of `latent` elements for all heads. `before`: what the keys of
    the layer begin with, "swa_" where it has a window.
    """
    config.understood.update(
        (
            "head_dim",
            "num_key_value_heads",
            "qk_head_dim",
            "use_mla",
            "swa_head_dim",
            "swa_num_key_value_heads",
        )
    )
    has_indexer = _has_own_indexer(config, number) and not before
    index_heads, index_length = config.number("index_n_heads"), config.number("index_head_dim")
    indexed = has_indexer and bool(index_heads and index_length)
    heads = (config.number("swa_num_attention_heads") if before else None) or heads
    unpacked = config.type.latent_unpacked
    return Attention(
        kind="full" if unpacked else "latent",
        layers=(),
        heads=heads,
        kv_heads=heads,
        key_length=config.needed(f"{before}qk_nope_head_dim")
        + (config.needed("qk_rope_head_dim") if unpacked else 0),
        value_length=(
            _minicpm_values(config, heads)
            if config.type.values_of_width
            else config.needed(f"{before}v_head_dim")
        ),
        window_tokens=window_tokens(config) if before else None,
        latent_length=latent,
        query_latent_length=config.number(f"{before}q_lora_rank") or None,
        rope_length=config.needed(f"{before}qk_rope_head_dim"),
        indexer_heads=index_heads if indexed else None,
        indexer_length=index_length if indexed else None,
    )


def _has_own_indexer(config: Keys, number: int) -> bool:
    """False for a layer that uses the choice of an earlier one."""
    types, every = config.per_layer("indexer_types"), config.type.indexer_every
    if types is None:
        return every is None or number == 0 or (number - 1) % every == 0
    if types[number] not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(types[number])} is not understood")
    return bool(types[number] == "full")


def _minicpm_values(config: Keys, heads: int) -> int:
    """MiniCPM3's own code takes the width of a head, whatever v_head_dim says
    (modeling_minicpm.py).
    """
    length, stated = max(1, config.needed(*WIDTH) // heads), config.number("v_head_dim")
    if stated not in (None, length):
        raise Unclear(
            f"v_head_dim is {stated:,}, and the width of a head {length:,}: not understood"
        )
    return length
