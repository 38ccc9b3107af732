"""What MLX LM's classes keep of a text, where that is not what the model's own code keeps.

Read in mlx_lm 0.32.2, models/*.py: `make_cache` of each module, and what its attention gives to
`update_and_fetch`. The keys `mlx_*` of a row state it. llama.py, to which MLX LM maps mistral, and
ministral3.py rotate by layer_types. Of the row `deepseek2`, deepseek_v2.py alone unpacks what is
latent: deepseek_v3.py, kimi_k25.py and glm4_moe_lite.py store one row, and of them all DeepSeek V2
alone has no bias that picks experts.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, Attention
from ..cache import CacheGroup, cache_groups, states
from ..parts import by_layers, term
from ..records import How, Term
from ..tensors import ArchitectureRow

# ArraysCache holds a convolution's inputs in the type of the model; the state is in float32 where a
# kernel or a scan makes it (gated_delta.py, ssm.py, kimi_linear.py), else as wide (mamba.py,
# recurrent_gemma.py)
_STATE_BYTES: Mapping[str, int | None] = {
    "delta": 4,
    "kda": 4,
    "mamba2": 4,
    "mamba": None,
    "rglru": None,
    "convolution": None,
}


def rotates(architecture: Architecture, row: ArchitectureRow) -> bool:
    """True where layers with a window keep no more tokens than that."""
    if row.mlx_windows == "mixed":
        return any(group.window_tokens is None for group in architecture.attention)
    return bool(row.mlx_windows)


def as_kept(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The model with its attention as MLX LM stores it: an unpacked latent as keys and values of
    every head.
    """
    if not _unpacks(architecture, row):
        return architecture
    return architecture.replace(
        attention=tuple(
            _unpacked(group) if group.kind == "latent" else group
            for group in architecture.attention
        )
    )


def groups_of(architecture: Architecture, row: ArchitectureRow) -> tuple[CacheGroup, ...]:
    """Groups of layers that cache alike; the keys of an indexer are a group of their own."""
    groups = cache_groups(as_kept(architecture, row), row)
    copies, length = (
        row.mlx_indexer_copies,
        max((group.indexer_length or 0 for group in architecture.attention), default=0),
    )
    if not copies or not length:
        return groups
    indexed = [group for group in groups if group.indexer_elements or group.latent]
    keys = CacheGroup(
        layers=sum(group.layers for group in indexed),
        kv_heads=1,
        key_length=copies * length,
        value_length=0,
        latent=True,
    )
    return (*(group.replace(indexer_elements=0) for group in groups), keys)


def state(architecture: Architecture, width: int, sequences: int) -> Term | None:
    """What recurrent layers keep; None where there are none, or where one is of a kind whose code
    was not read. `width` is the bytes of a number of the model.
    """
    groups = [group for group in architecture.recurrent if group.layers]
    if not groups or any(group.kind not in _STATE_BYTES for group in groups):
        return None
    size, lines = 0, []
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    for group, kept in zip(groups, states(architecture), strict=True):
        wide = _STATE_BYTES[group.kind] or width
        size += kept.layers * (kept.convolution * width + kept.memory * wide) * sequences
        sums = f"{kept.arithmetic} × {width} bytes"
        if wide != width:
            sums = f"({kept.convolution:,} × {width} bytes + {kept.memory:,} × {wide} bytes)"
        lines.append(("", kept.layers, f" × {sums}{ending}"))
    source = (
        "MLX LM: a convolution's last inputs in the type of the model, the rest in float32 but for"
        " Mamba and RG-LRU"
    )
    return term("recurrent_state", size, How.COMPUTED, source, " + ".join(by_layers(lines)))


def _unpacks(architecture: Architecture, row: ArchitectureRow) -> bool:
    if row.mlx_unpacked == "no_router_bias":
        return not any(group.router_bias for group in architecture.feed_forward)
    return bool(row.mlx_unpacked)


def _unpacked(group: Attention) -> Attention:
    return group.replace(
        kind="full", kv_heads=group.heads, key_length=group.key_length + (group.rope_length or 0)
    )
