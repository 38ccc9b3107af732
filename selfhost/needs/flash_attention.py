"""Whether ggml's CUDA code computes attention without storing scores, which depends on the sizes of
a head.

llama.cpp asks each device at start (`-fa auto`), and stores the scores of all layers if one device
says no (src/llama-context.cpp, 0c1e570). Its Vulkan code accepts heads of any multiple of 8, its
Metal code the heads of all models here, and its code for processors any head.
"""

from __future__ import annotations

from typing import NamedTuple

from ..catalogue.architecture import Architecture, Attention
from ..core.records import Stated
from ..core.tables import shipped_record

# kinds of layers whose demands on a device nobody checked
_UNCHECKED = ("cross", "compressed")


class _SharedHeads(Stated):
    """Heads that share keys: the numbers in a key and in a value, and a divisor of the number of
    heads that share a key.
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


class HeadSizes(NamedTuple):
    """The numbers in a head's key and value as they are cached, and how many heads share them."""

    keys: int
    values: int
    sharing: int

    @classmethod
    def of(cls, group: Attention) -> HeadSizes:
        """The head sizes of a group of layers that attend alike."""
        if group.kind == "latent":
            latent = group.latent_length or 0
            return cls(group.latent_row_length, latent, group.heads)
        sharing = group.heads // group.kv_heads
        return cls(group.key_length, group.value_length, sharing)

    @property
    def are_fused(self) -> bool:
        """Whether ggml's CUDA code handles heads of these sizes."""
        fused = shipped_record(_FusedHeads, "memory", "cuda_attention")
        if self.keys == self.values and self.keys in fused.alike:
            return True
        if self.sharing < 2:
            return False
        for heads in fused.shared:
            sizes = (heads.keys, heads.values)
            if sizes == self[:2] and self.sharing % heads.sharing == 0:
                return True
        return False


def heads_without_flash(model: Architecture) -> str | None:
    """The heads that CUDA stores scores for, as a clause; None where there are none."""
    for group in model.attention:
        if group.kind in _UNCHECKED:
            continue
        sizes = HeadSizes.of(group)
        if not sizes.are_fused:
            return (
                f"heads of {sizes.keys} numbers of keys and {sizes.values} of values,"
                f" {sizes.sharing} to each key"
            )
    return None
