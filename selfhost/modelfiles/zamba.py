"""Zamba: layers of Mamba, some of which read what a block that they share made of the layer before
and of the embeddings.

Read in transformers 5.23.0 (`models/zamba`, `models/zamba2`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.spec import Architecture, TensorGroup
from ..needs.tensors import checkpoint_tensors
from .keys import HEADS, KV_HEADS, Keys, Unclear

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..needs.tensors import ArchitectureRow


_SHARED_KEYS = (
    "attention_hidden_size",
    "num_mem_blocks",
    "adapter_rank",
    "use_shared_attention_adapter",
    "add_bias_linear",
)


def zamba_kinds(config: Keys) -> list[str]:
    """Where the file has no list: of Zamba 2 that is the one of its own 54 layers, of the first
    it follows from two keys.
    """
    layers = config.layers
    if config.type.adapted_blocks:
        if layers != 54:
            raise Unclear("layers_block_type is missing")
        shared = [*range(6, 43, 6), 47, 51]
        return ["hybrid" if number in shared else "mamba2" for number in range(layers)]
    period, offset = config.needed("attn_layer_period"), config.number("attn_layer_offset") or 0
    return [
        "hybrid" if number == 2 or (number > 2 and (number - 3) % period == offset) else "mamba"
        for number in range(layers)
    ]


def zamba_head(config: Keys, width: int, heads: int) -> int:
    """Elements of a head: the shared block is as wide as two layers where the file does not say
    otherwise.
    """
    # these are read where the tensors are listed
    config.understood.update(_SHARED_KEYS)
    return config.positive("attention_head_dim", "head_dim") or 2 * width // heads


def with_shared_blocks(
    architecture: Architecture, row: ArchitectureRow, config: Keys
) -> Architecture:
    """The same with all its tensors listed: those of the shared blocks once for each block."""
    # heads of the first Mamba have no matrices of their own
    recurrent = tuple(
        group.replace(heads=group.heads if group.kind == "mamba2" else None)
        for group in architecture.recurrent
    )
    layers = checkpoint_tensors(
        architecture.replace(attention=(), feed_forward=(), recurrent=recurrent), row
    )
    return architecture.replace(tensors=(*layers, *_shared(architecture, config)))


def _shared(architecture: Architecture, config: Keys) -> Iterator[TensorGroup]:
    width, heads = architecture.embedding_length, config.needed(*HEADS)
    wide = config.positive("attention_hidden_size") or 2 * width
    head, kv_heads = zamba_head(config, width, heads), config.positive(*KV_HEADS) or heads
    length, biased = (
        config.positive("intermediate_size") or 4 * width,
        config.flag("add_bias_linear"),
    )
    having = tuple(layer for group in architecture.attention for layer in group.layers)
    blocks = min(config.positive("num_mem_blocks") or 1, len(having))
    for block in range(blocks):
        shapes: dict[str, tuple[int, ...]] = {
            "attn_norm": (wide,), "attn_q": (wide, heads * head), "attn_k": (wide, kv_heads * head),
            "attn_v": (wide, kv_heads * head),
            "attn_output": (heads * head, width), "ffn_norm": (width,), "ffn_up": (width,
            2 * length), "ffn_down": (length, width),
        }  # fmt: skip
        for name, shape in shapes.items():
            yield TensorGroup(name=f"shared.{block}.{name}.weight", layers=(), shape=shape)
            if biased and name.startswith("ffn_") and len(shape) > 1:
                yield TensorGroup(name=f"shared.{block}.{name}.bias", layers=(), shape=shape[1:])
    yield TensorGroup(name="blk.*.shared_output.weight", layers=having, shape=(width, width))
    if not config.type.adapted_blocks:
        return
    # each layer that reads a shared block adapts it to itself
    rank, adapted = config.needed("adapter_rank"), {"ffn_up": (width, 2 * length)}
    if config.flag("use_shared_attention_adapter"):
        adapted |= dict.fromkeys(("attn_q", "attn_k", "attn_v"), (wide, wide))
    for name, (inputs, outputs) in adapted.items():
        yield TensorGroup(name=f"blk.*.{name}.lora_a.weight", layers=having, shape=(inputs, rank))
        yield TensorGroup(name=f"blk.*.{name}.lora_b.weight", layers=having, shape=(rank, outputs))
    if biased:
        every = tuple(range(architecture.layers))
        inner, state, count, groups = _sizes(architecture)
        yield TensorGroup(
            name="blk.*.ssm_in.bias", layers=every, shape=(2 * inner + 2 * groups * state + count,)
        )
        yield TensorGroup(name="blk.*.ssm_out.bias", layers=every, shape=(width,))


def _sizes(architecture: Architecture) -> tuple[int, int, int, int]:
    group = architecture.recurrent[0]
    return group.inner_length or 0, group.state_length or 0, group.heads or 0, group.groups or 0
