"""Whether ggml's CUDA code computes attention without storing scores: by the sizes of a head.

llama.cpp asks each device at start (`-fa auto`), and stores the scores of all layers where one of
them says no (src/llama-context.cpp, 0c1e570). Its code for Vulkan takes heads of any multiple of 8,
that for Metal those of all models here, that for processors any.
"""

from __future__ import annotations

from typing import NamedTuple

from ..catalogue.architecture import Architecture, Attention
from ..core.records import Stated
from ..core.tables import shipped_record

# kinds of layers of which nobody checked what is asked of a device
_UNCHECKED = ("cross", "compressed")


class _SharedHeads(Stated):
    """Heads that share keys: numbers of keys and values, and what divides the heads to each key."""

    keys: int
    values: int
    sharing: int


class _FusedHeads(Stated):
    """`[cuda_attention]` of specs/common/memory.toml: heads that CUDA has code for. `alike`:
    with as many numbers of keys as of values.
    """

    alike: tuple[int, ...]
    shared: tuple[_SharedHeads, ...]


class HeadSizes(NamedTuple):
    """Numbers of a head's keys and values as they are cached, and heads that share them."""

    keys: int
    values: int
    sharing: int

    @classmethod
    def of(cls, group: Attention) -> HeadSizes:
        """Those of layers that attend alike."""
        if group.kind == "latent":
            latent = group.latent_length or 0
            return cls(group.latent_row_length, latent, group.heads)
        sharing = group.heads // group.kv_heads
        return cls(group.key_length, group.value_length, sharing)

    @property
    def are_fused(self) -> bool:
        """Whether CUDA has code for them."""
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
