"""The feed-forward of a layer of a `config.json`: dense, of experts, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


_LEADING = ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
_FREQUENCY = ("moe_layer_freq", "moe_layer_frequency")


def feed_forward_of(config: Keys, number: int, kind: str, width: int) -> FeedForward | None:
    """The feed-forward of layer `number`, None where it has none. Raises `Unclear`."""
    if config.type.feed_forward == "none":
        config.understood.add("intermediate_size")
        return None
    if config.type.shared_blocks:
        # the layers that share a block of attention share its feed-forward
        if kind != "hybrid":
            return None
        return FeedForward(layers=(), length=config.positive("intermediate_size") or 4 * width)
    if config.type.feed_forward == "channel_mix":
        length = config.number("intermediate_size")
        return FeedForward(
            layers=(),
            length=length or rwkv_length(width, config.type.feed_forward_ratio),
        )
    by_letter = isinstance(config.get("hybrid_override_pattern"), str)
    if by_letter or config.type.feed_forward == "by_kind":
        return _part_of_kind(config, kind)
    blocks = config.per_layer("block_configs")
    if blocks:
        return _block_part(blocks[number], width)
    # a file whose layers all have experts states the width of a dense one too, and it means nothing
    config.understood.update((*LENGTH, *_EXPERT_LENGTH, "intermediate_size_mlp"))
    experts, used = _experts(config)
    if experts and _has_experts(config, number):
        return _of_experts(config, number, width, experts, used)
    own = config.number("dense_intermediate_size", "intermediate_size_mlp")
    length = own if own and experts else _dense_length(config, width, number)
    return FeedForward(layers=(), length=length)


def _experts(config: Keys) -> tuple[int, int]:
    """How many experts a layer of them has, 0 where the model has none; and how many of them a
    token uses.
    """
    experts = config.number(*EXPERTS) or 0
    lacks_experts = config.type.experts_if and not config.flag(config.type.experts_if)
    if lacks_experts or (config.type.one_expert_is_dense and experts == 1):
        experts = 0
    used = config.number(*USED) or 0
    if used > experts > 0:
        raise Unclear(f"a token uses {used:,} experts, and there are {experts:,}")
    if experts and not used:
        raise Unclear(f"{experts:,} experts, and the file does not say how many a token uses")
    return experts, used


def _of_experts(config: Keys, number: int, width: int, experts: int, used: int) -> FeedForward:
    each = config.number(*_EXPERT_LENGTH) or config.needed("intermediate_size", "n_inner")
    groups = config.number("n_group") or 0
    return FeedForward(
        layers=(),
        length=each,
        experts=experts,
        used=used,
        shared_length=_shared_length(config, each),
        latent_length=config.number("moe_latent_size", "routed_expert_hidden_size") or None,
        router_bias=_router_bias(config) and number >= (config.number("num_hash_layers") or 0),
        beside_dense=_beside_dense(config, width, number),
        groups=groups if groups > 1 else None,
        groups_used=config.needed("topk_group") if groups > 1 else None,
    )


def _beside_dense(config: Keys, width: int, number: int) -> int | None:
    """The length of a dense feed-forward beside the experts."""
    where, switch = config.type.dense_beside, config.type.dense_beside_if
    if not where or (switch and not config.flag(switch)):
        return None
    return width if where == "width" else _dense_length(config, width, number)


def _shared_length(config: Keys, each: int) -> int | None:
    """Elements of the experts that every token uses, all together."""
    stated = config.number(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    number = config.number(
        "n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"
    )
    config.understood.add("shared_moe_mode")
    if number is None and stated is None:
        number = config.type.shared_experts
    if number == 0:
        return None
    if config.type.shared_like_one:
        return each
    if stated is not None and not (number and config.type.shared_length_of_each):
        return stated or None
    return number * each if number else None


def _router_bias(config: Keys) -> bool:
    """Whether the router has a bias by which it corrects its choice."""
    stated = config.flag("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias")
    fixed = config.type.router_bias
    return config.get("topk_method") == "noaux_tc" or (stated if fixed is None else fixed)


def _has_experts(config: Keys, number: int) -> bool:
    """Whether a layer of a model with experts has some."""
    if config.type.sublayers:
        # the experts of a layer stand behind the first of its sublayers (LongcatFlashDecoderLayer)
        return number % config.type.sublayers == 0
    for reader in (_by_type_list, _by_number, _by_switch):
        stated = reader(config, number)
        if stated is not None:
            return stated
    return _between(config, number)


def _by_type_list(config: Keys, number: int) -> bool | None:
    types = config.per_layer("mlp_layer_types")
    if not types:
        return None
    config.understood.update(("first_k_dense_replace", "moe_layer_freq"))
    return bool(types[number] == "sparse")


def _by_number(config: Keys, number: int) -> bool | None:
    """`moe_layers_enum` lists the layers in a text."""
    named = config.get("moe_layers_enum")
    if not isinstance(named, str) or not named:
        return None
    config.understood.update(("first_k_dense_replace", "moe_every_n_layer", "moe_layer_offset"))
    return str(number) in named.replace(" ", "").split(",")


def _by_switch(config: Keys, number: int) -> bool | None:
    switches = config.switches("is_moe_layer")
    if not switches:
        return None
    config.understood.update(("first_k_dense_replace", "first_last_k_dense_replace"))
    return switches[number]


def _between(config: Keys, number: int) -> bool:
    """The same by a first and a last layer, a list of layers, or a period."""
    lead = config.number(*_LEADING)
    if lead is None:
        lead = config.type.dense_layers
    # Ernie 4.5: -1 is the last
    last = None if config.get("moe_layer_end_index") == -1 else config.number("moe_layer_end_index")
    if last is not None and last < number:
        return False
    dense = config.places("mlp_only_layers") or []
    step = (
        config.number("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
    )
    chosen = config.places("moe_layers")
    if chosen is not None:
        return number in chosen
    by_period = _by_period(config, number, lead)
    if by_period is not None:
        return by_period
    return number >= lead and number not in dense and (number + 1) % step == 0


def _by_period(config: Keys, number: int, lead: int) -> bool | None:
    """The same by a period with an offset, or by a frequency: a number, or a switch per layer."""
    frequency = config.get(*_FREQUENCY)
    period, offset = config.number("expert_layer_period"), config.number("expert_layer_offset") or 0
    if config.type.experts_every:
        period, offset = config.number(config.type.experts_every), 1
    config.understood.update(("moe_layer_num_skipped", "moe_layers"))
    if period:
        return number % period == offset
    if isinstance(frequency, list):
        switches = config.switches(config.stated(_FREQUENCY))
        return None if switches is None else switches[number]
    every = config.number(*_FREQUENCY) or 1
    return number >= lead and number % every == 0 if every > 1 else None


def _dense_length(config: Keys, width: int, number: int) -> int:
    """Elements of a dense feed-forward, as `dense_length` of the model type derives them."""
    stated = config.number(config.type.dense_key) if config.type.dense_key else None
    derive = _DERIVED.get(config.type.dense_length)
    derived = derive(config, width, number) if derive else None
    if derived is not None:
        return derived
    length = _own_length(config, number) or stated or config.number(*LENGTH)
    how = config.type.dense_length
    if how == "halved" and length:
        # the file counts gate and up together
        return length // 2
    if how == "two_thirds_of_four" and not length:
        # the next multiple of 256 (modeling_gpt_refact.py)
        return _up_to_multiple(8 * width // 3, 256)
    length = length or _by_ratio(config, width)
    if how == "two_thirds":
        # what its SwiGLU makes of it (model.py of chandar-lab/NeoBERT)
        length = _up_to_multiple(int(2 * length / 3), 8)
    shared_from = config.layers - (config.number("num_kv_shared_layers") or 0)
    wide = config.flag("use_double_wide_mlp") and number >= shared_from
    return 2 * length if wide else length


def _by_ratio(config: Keys, width: int) -> int:
    """The length as a multiple of the model's width. Raises `Unclear` where none is given."""
    ratio = config.type.feed_forward_ratio or config.number("mlp_ratio", "expansion_ratio")
    if not ratio:
        raise Unclear("intermediate_size is missing")
    return ratio * width


def _own_length(config: Keys, number: int) -> int | None:
    """The length that `intermediate_size` gives this layer where it is a list."""
    lengths = config.get("intermediate_size")
    if not isinstance(lengths, list):
        return None
    length = lengths[number] if len(lengths) >= config.layers else None
    if type(length) is not int or not 0 < length < MAX_NUMBER:
        raise Unclear("intermediate_size does not give each layer a length")
    return length


def _shared_alone(config: Keys, width: int, number: int) -> int | None:
    """What a layer without experts has: what stands beside the experts elsewhere (Granite)."""
    shared = config.number("shared_intermediate_size")
    if config.number("num_local_experts") or not shared:
        return None
    config.understood.add("intermediate_size")
    return shared


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


def _adjusted(config: Keys, width: int, number: int) -> int | None:
    """The width that Lfm2Config makes of `block_ff_dim`: two thirds, rounded up. None where the
    file switches it off.
    """
    config.understood.update(("block_ffn_dim_multiplier", "block_multiple_of"))
    if not config.flag("block_auto_adjust_ff_dim"):
        return None
    length = int(2 * config.needed("block_ff_dim", "intermediate_size") / 3)
    factor, step = config.get("block_ffn_dim_multiplier"), config.needed("block_multiple_of")
    if isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0 < factor < 100:
        length = int(factor * length)
    return _up_to_multiple(length, step)


# by `dense_length` of a model type: the length, None where it follows as usual
_DERIVED: Mapping[str, Callable[[Keys, int, int], int | None]] = {
    "adjusted": _adjusted,
    "multiplied": _multiplied,
    "shared": _shared_alone,
}


def _up_to_multiple(length: int, step: int) -> int:
    return -(-length // step) * step


def _part_of_kind(config: Keys, kind: str) -> FeedForward | None:
    """Where a layer is a feed-forward alone, or has none (Nemotron H)."""
    config.understood.update(
        ("intermediate_size", "moe_intermediate_size", "moe_shared_expert_intermediate_size")
    )
    # written for models without experts too
    config.understood.update(("n_routed_experts", "n_shared_experts", "num_experts_per_tok"))
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
        shared_length=_shared_length(config, each),
        latent_length=config.number("moe_latent_size") or None,
    )


def _block_part(block: Mapping[str, Any], width: int) -> FeedForward | None:
    """The feed-forward of an entry of `block_configs` (DeciLM)."""
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
    return FeedForward(layers=(), length=_up_to_multiple(int(2 * factor * width / 3), 256))
