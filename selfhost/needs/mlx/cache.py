"""What MLX LM's classes keep of a text, where that is not what the model's own code keeps.

Read in mlx_lm 0.32.2, models/*.py: `make_cache` of each module, and what its attention gives to
`update_and_fetch`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, Attention
from ...core.records import Record
from ..cache import CacheGroup, cache_groups, states
from ..parts import by_layers, term
from ..records import How, Term
from ..tensors import ArchitectureRow


class Kept(Record):
    """How the classes of one row differ from others, which give every layer a KVCache and store
    what is latent as one row.

    `windows`: layers with a window get a RotatingKVCache (Llama 4: a ChunkedKVCache): "all" of
    them, or only "mixed" with layers that have none (llama.py, to which it maps mistral, goes by
    layer_types). `unpacked`: latent attention is stored as keys and values of every head.
    `indexer_copies`: how often the keys of a sparse indexer are stored, in every layer.
    """

    module: str
    windows: str = ""
    unpacked: bool = False
    indexer_copies: int = 0


_KEPT: Mapping[str, Kept] = {
    "afmoe": Kept(module="afmoe", windows="all"),
    "cohere2": Kept(module="cohere2", windows="all"),
    # deepseek_v3.py, kimi_k25.py and glm4_moe_lite.py store one row; of them all DeepSeek V2 alone
    # has no bias that picks experts
    "deepseek2": Kept(module="deepseek_v2", unpacked=True),
    # its indexer gives its keys for values as well (cache.values = zeros_like(cache.keys))
    "deepseek32": Kept(module="deepseek_v32", indexer_copies=2),
    "exaone-moe": Kept(module="exaone_moe", windows="all"),
    "exaone4": Kept(module="exaone4", windows="all"),
    "gemma3": Kept(module="gemma3_text", windows="all"),
    "gemma3n": Kept(module="gemma3n", windows="all"),
    "gemma4": Kept(module="gemma4_text", windows="all"),
    "glm-dsa": Kept(module="glm_moe_dsa", indexer_copies=2),
    "gpt-oss": Kept(module="gpt_oss", windows="all"),
    "laguna": Kept(module="laguna", windows="all"),
    "llama": Kept(module="llama", windows="mixed"),
    "llama4": Kept(module="llama4", windows="all"),
    "mellum": Kept(module="mellum", windows="all"),
    "mimo2": Kept(module="mimo_v2_flash", windows="all"),
    "minimax-m3": Kept(module="minimax_m3_vl", indexer_copies=1),
    "mistral3": Kept(module="ministral3", windows="mixed"),
    "muse-glimmer": Kept(module="muse_glimmer", windows="all"),
    "olmo2": Kept(module="olmo3", windows="all"),
    "plamo3": Kept(module="plamo3", windows="all"),
    "recurrent_gemma": Kept(module="recurrent_gemma", windows="all"),
    "spark2_5": Kept(module="spark2_5", windows="all"),
    "step35": Kept(module="step3p5", windows="all"),
    "youtu": Kept(module="youtu_llm", unpacked=True),
}
_AS_OTHERS = Kept(module="")
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


def rotates(architecture: Architecture) -> bool:
    """Do layers with a window keep no more than its tokens?"""
    windows = _kept(architecture).windows
    return windows == "all" or (
        windows == "mixed" and any(group.window_tokens is None for group in architecture.attention)
    )


def as_kept(architecture: Architecture) -> Architecture:
    """The model with its attention as it is stored: of an unpacked latent the keys and values
    of every head.
    """
    if not _unpacks(architecture):
        return architecture
    return architecture.replace(
        attention=tuple(
            _unpacked(group) if group.kind == "latent" else group
            for group in architecture.attention
        )
    )


def groups_of(architecture: Architecture, row: ArchitectureRow) -> tuple[CacheGroup, ...]:
    """Layers that cache alike, the keys of an indexer as groups of their own."""
    made = cache_groups(as_kept(architecture), row)
    copies, length = (
        _kept(architecture).indexer_copies,
        max((group.indexer_length or 0 for group in architecture.attention), default=0),
    )
    if not copies or not length:
        return made
    indexed = [group for group in made if group.indexer_elements or group.latent]
    keys = CacheGroup(
        layers=sum(group.layers for group in indexed),
        kv_heads=1,
        key_length=copies * length,
        value_length=0,
        latent=True,
    )
    return (*(group.replace(indexer_elements=0) for group in made), keys)


def state(architecture: Architecture, width: int, sequences: int) -> Term | None:
    """What recurrent layers keep, `width` the bytes of a number of the model; None where there
    are none, or of a kind that was not read.
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


def _kept(architecture: Architecture) -> Kept:
    return _KEPT.get(architecture.row, _AS_OTHERS)


def _unpacks(architecture: Architecture) -> bool:
    picked = any(group.router_bias for group in architecture.feed_forward)
    return _kept(architecture).unpacked and not (architecture.row == "deepseek2" and picked)


def _unpacked(group: Attention) -> Attention:
    return group.replace(
        kind="full", kv_heads=group.heads, key_length=group.key_length + (group.rope_length or 0)
    )
