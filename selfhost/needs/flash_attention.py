"""Whether ggml's CUDA code computes attention without storing scores: by the sizes of a head.

llama.cpp asks each device at start (`-fa auto`), and stores the scores of all layers where one of
them says no (src/llama-context.cpp, 0c1e570). Its code for Vulkan takes heads of any multiple of 8,
that for Metal those of all models here, that for processors any.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture, Attention
from ..core.tables import shipped_table

# kinds of layers of which nobody checked what is asked of a device
_UNCHECKED = ("cross", "compressed")


def heads_without_flash(model: Architecture) -> str | None:
    """The heads that CUDA stores scores for, as a clause; None where there are none."""
    for group in model.attention:
        if group.kind in _UNCHECKED:
            continue
        keys, values, sharing = _sizes(group)
        if not _is_fused(keys, values, sharing):
            return f"heads of {keys} numbers of keys and {values} of values, {sharing} to each key"
    return None


def _sizes(group: Attention) -> tuple[int, int, int]:
    """Numbers of a head's keys and values as they are cached, and heads that share them."""
    if group.kind == "latent":
        length = group.latent_length or 0
        return length + (group.rope_length or 0), length, group.heads
    return group.key_length, group.value_length, group.heads // group.kv_heads


def _is_fused(keys: int, values: int, sharing: int) -> bool:
    table = shipped_table("memory")["llama.cpp"]["cuda_attention"]
    if keys == values and keys in table["alike"]:
        return True
    return any(
        (keys, values) == (row["keys"], row["values"])
        and sharing >= 2
        and sharing % row["sharing"] == 0
        for row in table["shared"]
    )
