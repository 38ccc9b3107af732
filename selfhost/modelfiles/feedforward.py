"""The feed-forward of a layer of a `config.json`: dense, of experts, or none."""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import FeedForward
from .keys import EXPERTS, LENGTH, MAX_NUMBER, USED, Keys, Unclear
from .naming import rwkv_length

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


_EXPERT_LENGTH = (
    "moe_intermediate_size",
    "ffn_hidden_size",
    "moe_ffn_hidden_size",
    "expert_hidden_dim",
    "expert_intermediate_size",
)


def feed_forward_of(config: Keys, number: int, kind: str, width: int) -> FeedForward | None:
    if config.type.feed_forward == "none":
        config.asked.add("intermediate_size")
        return None
    if config.type.shared_blocks:
        # what shares a block of attention shares its feed-forward
        return (
            FeedForward(layers=(), length=config.positive("intermediate_size") or 4 * width)
            if kind == "hybrid"
            else None
        )
    if config.type.feed_forward == "channel_mix":
        length = config.number("intermediate_size")
        return FeedForward(
            layers=(),
            length=length or rwkv_length(width, config.type.feed_forward_ratio),
        )
    by_letter = isinstance(config.get("hybrid_override_pattern"), str)
    if by_letter or config.type.feed_forward == "by_kind":
        return part_of_kind(config, kind)
    blocks = config.per_layer("block_configs")
    if blocks:
        return block_part(config, blocks[number], width)
    # where every layer has experts, the width of a dense one stands in the file and means nothing
    config.asked.update((*LENGTH, *_EXPERT_LENGTH, "intermediate_size_mlp"))
    experts = config.number(*EXPERTS) or 0
    lacks_experts = config.type.experts_if and not config.flag(config.type.experts_if)
    if lacks_experts or (config.type.one_expert_is_dense and experts == 1):
        experts = 0
    used = config.number(*USED) or 0
    if used > experts > 0:
        raise Unclear(f"a token uses {used:,} experts, and there are {experts:,}")
    if experts and not used:
        raise Unclear(f"{experts:,} experts, and the file does not say how many a token uses")
    if not experts or not has_experts(config, number):
        own = config.number("dense_intermediate_size", "intermediate_size_mlp")
        return FeedForward(
            layers=(), length=own if own and experts else dense_length(config, width, number)
        )
    each = config.number(*_EXPERT_LENGTH) or config.needed("intermediate_size", "n_inner")
    groups = config.number("n_group") or 0
    return FeedForward(
        layers=(),
        length=each,
        experts=experts,
        used=used,
        shared_length=shared_length(config, each),
        latent_length=config.number("moe_latent_size", "routed_expert_hidden_size") or None,
        router_bias=router_bias(config) and number >= (config.number("num_hash_layers") or 0),
        beside_dense=beside_dense(config, width, number),
        groups=groups if groups > 1 else None,
        groups_used=config.needed("topk_group") if groups > 1 else None,
    )


def beside_dense(config: Keys, width: int, number: int) -> int | None:
    """The length of a dense feed-forward beside the experts."""
    where, switch = config.type.dense_beside, config.type.dense_beside_if
    if not where or (switch and not config.flag(switch)):
        return None
    return width if where == "width" else dense_length(config, width, number)


def shared_length(config: Keys, each: int) -> int | None:
    stated = config.number(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    number = config.number(
        "n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"
    )
    config.asked.add("shared_moe_mode")
    if number is None and stated is None:
        number = config.type.shared_experts
    if number == 0:
        return None
    if config.type.shared_like_one:
        return each
    if stated is not None and not (number and config.type.shared_length_of_each):
        return stated or None
    return number * each if number else None


def router_bias(config: Keys) -> bool:
    stated = config.flag("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias")
    fixed = config.type.router_bias
    return config.get("topk_method") == "noaux_tc" or (stated if fixed is None else fixed)


def has_experts(config: Keys, number: int) -> bool:
    if config.type.sublayers:
        # the experts of a layer stand behind the first of its sublayers (LongcatFlashDecoderLayer)
        return number % config.type.sublayers == 0
    types = config.per_layer("mlp_layer_types")
    if types:
        config.asked.update(("first_k_dense_replace", "moe_layer_freq"))
        return bool(types[number] == "sparse")
    named = config.get("moe_layers_enum")
    if isinstance(named, str) and named:
        config.asked.update(("first_k_dense_replace", "moe_every_n_layer", "moe_layer_offset"))
        return str(number) in named.replace(" ", "").split(",")
    alike = config.switches("is_moe_layer")
    if alike:
        config.asked.update(("first_k_dense_replace", "first_last_k_dense_replace"))
        return alike[number]
    lead = config.number("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    if lead is None:
        lead = config.type.dense_layers
    # Ernie 4.5: -1 is the last
    last = None if config.get("moe_layer_end_index") == -1 else config.number("moe_layer_end_index")
    if last is not None and last < number:
        return False
    only = config.places("mlp_only_layers") or []
    step = (
        config.number("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
    )
    chosen = config.places("moe_layers")
    if chosen is not None:
        return number in chosen
    every = config.get("moe_layer_freq", "moe_layer_frequency")
    period, offset = config.number("expert_layer_period"), config.number("expert_layer_offset") or 0
    if config.type.experts_every:
        period, offset = config.number(config.type.experts_every), 1
    config.asked.update(("moe_layer_num_skipped", "moe_layers"))
    if period:
        return number % period == offset
    if isinstance(every, list):
        return (config.switches(config.stated(("moe_layer_freq", "moe_layer_frequency"))) or [])[
            number
        ]
    if (config.number("moe_layer_freq", "moe_layer_frequency") or 1) > 1:
        return number >= lead and number % every == 0
    return number >= lead and number not in only and (number + 1) % step == 0


def dense_length(config: Keys, width: int, number: int) -> int:
    stated = config.number(config.type.dense_key) if config.type.dense_key else None
    derived = config.type.dense_length
    if derived == "adjusted":
        config.asked.update(("block_ffn_dim_multiplier", "block_multiple_of"))
        if config.flag("block_auto_adjust_ff_dim"):
            return adjusted_length(config)
    shared = config.number("shared_intermediate_size") if derived == "shared" else None
    if derived == "shared" and not config.number("num_local_experts") and shared:
        config.asked.add("intermediate_size")
        return shared
    if derived == "multiplied":
        return multiplied_length(config, width, number)
    lengths = config.get("intermediate_size")
    if isinstance(lengths, list):
        own_length = lengths[number] if len(lengths) >= config.layers else None
        if type(own_length) is not int or not 0 < own_length < MAX_NUMBER:
            raise Unclear("intermediate_size does not give each layer a length")
        stated = own_length
    length = stated or config.number(*LENGTH)
    if derived == "halved" and length:
        # gate and up together
        return length // 2
    if derived == "two_thirds_of_four" and not length:
        # two thirds of four times the width, up to the next multiple of 256
        # (modeling_gpt_refact.py)
        return -(-(8 * width // 3) // 256) * 256
    if not length:
        ratio = config.type.feed_forward_ratio or config.number("mlp_ratio", "expansion_ratio")
        if not ratio:
            raise Unclear("intermediate_size is missing")
        length = ratio * width
    if derived == "two_thirds":
        # what its SwiGLU makes of it (model.py of chandar-lab/NeoBERT): two thirds, up to a
        # multiple of 8
        length = -(-int(2 * length / 3) // 8) * 8
    shared_from = config.layers - (config.number("num_kv_shared_layers") or 0)
    wide = config.flag("use_double_wide_mlp") and number >= shared_from
    return 2 * length if wide else length


def multiplied_length(config: Keys, width: int, number: int) -> int:
    """The width that OpenELM's configuration makes of each layer's `ffn_multipliers`: rounded,
    and no less than nine tenths of it.
    """
    factors, step = config.per_layer("ffn_multipliers"), config.needed("ffn_dim_divisor")
    factor = factors[number] if factors else None
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 100:
        raise Unclear("ffn_multipliers: not understood")
    length = max(step, int(factor * width + step / 2) // step * step)
    return length + step if length < 0.9 * factor * width else length


def adjusted_length(config: Keys) -> int:
    """The width that Lfm2Config makes of `block_ff_dim`: two thirds, rounded up."""
    length = int(2 * config.needed("block_ff_dim", "intermediate_size") / 3)
    factor, step = config.get("block_ffn_dim_multiplier"), config.needed("block_multiple_of")
    if isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0 < factor < 100:
        length = int(factor * length)
    return -(-length // step) * step


def part_of_kind(config: Keys, kind: str) -> FeedForward | None:
    config.asked.update(
        ("intermediate_size", "moe_intermediate_size", "moe_shared_expert_intermediate_size")
    )
    # written for models without experts too
    config.asked.update(("n_routed_experts", "n_shared_experts", "num_experts_per_tok"))
    if kind == "mlp":
        return FeedForward(layers=(), length=config.needed("intermediate_size"))
    if kind != "moe":
        return None
    each = config.needed("moe_intermediate_size")
    return FeedForward(
        layers=(),
        length=each,
        experts=config.needed(*EXPERTS),
        used=min(config.needed(*USED), config.needed(*EXPERTS)),
        shared_length=shared_length(config, each),
        latent_length=config.number("moe_latent_size") or None,
    )


def block_part(config: Keys, block: Mapping[str, Any], width: int) -> FeedForward | None:
    part = block.get("ffn")
    if not isinstance(part, dict) or part.get("sparsify"):
        raise Unclear("block_configs: ffn is not understood")
    if part.get("replace_with_linear"):
        raise Unclear("block_configs: replace_with_linear is not understood")
    if part.get("no_op"):
        return None
    factor = part.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
        raise Unclear("block_configs: ffn_mult is not understood")
    # as DeciLM's own code rounds it
    return FeedForward(layers=(), length=-(-int(2 * factor * width / 3) // 256) * 256)
