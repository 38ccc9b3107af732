"""The context of the model of a `config.json`, and the tables of positions that it needs."""

from __future__ import annotations

from collections.abc import Mapping

from .keys import CONTEXT, MAX_NUMBER, Keys, Unclear, short

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# published factors of scaled positions reach 64
_MOST_STRETCHED = 10_000


def context_of(config: Keys) -> int | None:
    """Tokens of context, None where the file does not say."""
    if config.type.context_tokens is not None:
        config.understood.update(CONTEXT)
        return config.type.context_tokens
    return config.number(*CONTEXT, *config.type.context_keys) or None


def rope_positions(config: Keys, context: int | None) -> int | None:
    """Rows of vLLM's table of sines and cosines, None where it has as many as the context.

    vllm/model_executor/layers/rotary_embedding: some scalings make the table longer than
    max_position_embeddings, YaRN makes it from the original length, and LongRoPE has one table of
    either length.
    """
    scaling = config.get("rope_scaling", "rope_parameters")
    if not isinstance(scaling, dict) or not context:
        return None
    # the file may have one for each kind of layers; those without a window are scaled
    inner = scaling.get("full_attention")
    scaling = inner if isinstance(inner, dict) else scaling
    original = scaling.get("original_max_position_embeddings") or config.get(
        "original_max_position_embeddings"
    )
    original = original if type(original) is int and 0 < original < MAX_NUMBER else None
    if (scaling.get("rope_type") or scaling.get("type")) in ("longrope", "su"):
        return context + original if original is not None else None
    stretched = _stretched(scaling, context, original)
    return stretched if stretched != context else None


def _stretched(scaling: Mapping[str, Any], context: int, original: int | None) -> int | None:
    """Rows of the table for a scaling with a factor; None where they are those of the context."""
    kind, factor = scaling.get("rope_type") or scaling.get("type"), scaling.get("factor")
    if not isinstance(factor, (int, float)) or isinstance(factor, bool):
        return None
    if not 1 <= factor <= _MOST_STRETCHED:
        return None
    if kind == "yarn" and original is not None:
        return int(original * factor)
    if kind in ("linear", "ntk") or (kind == "dynamic" and scaling.get("alpha") is None):
        return int(context * factor)
    return None


def position_rows(
    config: Keys, row: Mapping[str, Any] | None, extra: Mapping[str, Any], context: int | None
) -> int | None:
    """Rows of the position table, or of the table of distances."""
    if row is None:
        return None
    relative = _relative_rows(config) if row.get("relative_table") else None
    learned = row.get("positions") and "positions" not in extra.get("lacks", ())
    return context if learned and not row.get("position_offset") else relative


def _relative_rows(config: Keys) -> int:
    """Rows of DeBERTa's table of distances. Raises for ways to attend that need more matrices than
    its third version has.
    """
    third: Mapping[str, Any] = {
        "relative_attention": True, "share_att_key": True, "position_biased_input": False,
        "norm_rel_ebd": "layer_norm",
    }  # fmt: skip
    for key, value in third.items():
        if config.get(key) != value:
            raise Unclear(f"{key} is {short(config.text.get(key))}: not understood")
    if config.number("type_vocab_size") or config.number("conv_kernel_size"):
        raise Unclear("type_vocab_size, conv_kernel_size: not understood")
    buckets, most = config.get("position_buckets"), config.get("max_relative_positions")
    # -1: none of its own
    for key in ("position_buckets", "max_relative_positions"):
        if config.get(key) != -1:
            config.number(key)
    reach = next((each for each in (buckets, most) if each is not None and each > 0), None)
    return 2 * (reach or config.needed("max_position_embeddings"))
