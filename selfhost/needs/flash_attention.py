"""Whether ggml's CUDA code computes attention without storing scores, which depends on the sizes of
a head.

llama.cpp asks each device at start (`-fa auto`), and stores the scores of all layers if one device
says no (src/llama-context.cpp, 0c1e570). Its Vulkan code accepts heads of any multiple of 8, its
Metal code the heads of all models here, and its code for processors any head.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture, Attention
from ..core.records import Stated
from ..core.tables import shipped_record

# kinds of layers whose demands on a device nobody checked
_UNCHECKED = ("cross", "compressed")


class _SharedHeads(Stated):
    """Heads that share keys: the numbers in a key and in a value, and how many heads share a key;
    in the table a divisor of that number.
    """

    keys: int
    values: int
    sharing: int


class _FusedHeads(Stated):
    """The heads that ggml's CUDA code handles: `[cuda_attention]` of specs/common/memory.toml.
    `alike`: the sizes of heads with equal keys and values.
    """

    alike: tuple[int, ...]
    shared: tuple[_SharedHeads, ...]


def heads_without_flash(model: Architecture) -> str | None:
    """The heads that CUDA stores scores for, as a clause; None where there are none."""
    for group in model.attention:
        if group.kind in _UNCHECKED:
            continue
        heads = _heads_of(group)
        if not _are_fused(heads):
            return (
                f"heads of {heads.keys} numbers of keys and {heads.values} of values,"
                f" {heads.sharing} to each key"
            )
    return None


def _heads_of(group: Attention) -> _SharedHeads:
    """The heads of layers that attend alike, with keys and values as they are cached."""
    if group.kind == "latent":
        return _SharedHeads(
            keys=group.latent_row_length,
            values=group.latent_length or 0,
            sharing=group.heads,
        )
    return _SharedHeads(
        keys=group.key_length,
        values=group.value_length,
        sharing=group.heads // group.kv_heads,
    )


def _are_fused(heads: _SharedHeads) -> bool:
    """Whether ggml's CUDA code handles these heads."""
    fused = shipped_record(_FusedHeads, "memory", "cuda_attention")
    if heads.keys == heads.values and heads.keys in fused.alike:
        return True
    if heads.sharing < 2:
        return False
    for shared in fused.shared:
        is_as_large = heads.keys == shared.keys and heads.values == shared.values
        if is_as_large and heads.sharing % shared.sharing == 0:
            return True
    return False
