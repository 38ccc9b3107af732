"""Zamba: layers of Mamba. Some of them share blocks of attention, which read the layer before and
the embeddings.

Read in transformers 5.23.0 (`models/zamba`, `models/zamba2`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
    """The kinds of the layers where the file does not list them. Those of Zamba 2 are known for its
    own 54 layers; those of the first Zamba follow from two keys.
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
    """Elements of a head. The shared block is as wide as two layers unless the file says
    otherwise.
    """
    # `with_shared_blocks` reads these
    config.understood.update(_SHARED_KEYS)
    return config.positive("attention_head_dim", "head_dim") or 2 * width // heads


def with_shared_blocks(
    architecture: Architecture, row: ArchitectureRow, config: Keys
) -> Architecture:
    """The same with all its tensors listed, those of the shared blocks once for each block."""
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
    """The tensors of the shared blocks, and those by which a layer reads one."""
    width, heads = architecture.embedding_length, config.needed(*HEADS)
    wide = config.positive("attention_hidden_size") or 2 * width
    head, kv_heads = zamba_head(config, width, heads), config.positive(*KV_HEADS) or heads
    length = config.positive("intermediate_size") or 4 * width
    biased = config.flag("add_bias_linear")
    having = tuple(layer for group in architecture.attention for layer in group.layers)
    blocks = min(config.positive("num_mem_blocks") or 1, len(having))
    shapes: dict[str, tuple[int, ...]] = {
        "attn_norm": (wide,),
        "attn_q": (wide, heads * head),
        "attn_k": (wide, kv_heads * head),
        "attn_v": (wide, kv_heads * head),
        "attn_output": (heads * head, width),
        "ffn_norm": (width,),
        "ffn_up": (width, 2 * length),
        "ffn_down": (length, width),
    }
    for block in range(blocks):
        for name, shape in shapes.items():
            yield TensorGroup(name=f"shared.{block}.{name}.weight", layers=(), shape=shape)
            if biased and name.startswith("ffn_") and len(shape) > 1:
                yield TensorGroup(name=f"shared.{block}.{name}.bias", layers=(), shape=shape[1:])
    yield TensorGroup(name="blk.*.shared_output.weight", layers=having, shape=(width, width))
    if config.type.adapted_blocks:
        adapted = {"ffn_up": (width, 2 * length)}
        if config.flag("use_shared_attention_adapter"):
            adapted |= dict.fromkeys(("attn_q", "attn_k", "attn_v"), (wide, wide))
        yield from _adapters(adapted, config.needed("adapter_rank"), having)
        if biased:
            yield from _state_biases(architecture)


def _adapters(
    adapted: Mapping[str, tuple[int, int]], rank: int, layers: tuple[int, ...]
) -> Iterator[TensorGroup]:
    """The pairs by which each layer that reads a shared block adapts it to itself."""
    for name, (inputs, outputs) in adapted.items():
        yield TensorGroup(name=f"blk.*.{name}.lora_a.weight", layers=layers, shape=(inputs, rank))
        yield TensorGroup(name=f"blk.*.{name}.lora_b.weight", layers=layers, shape=(rank, outputs))


def _state_biases(architecture: Architecture) -> Iterator[TensorGroup]:
    """The biases around the state of each layer."""
    layers, state = tuple(range(architecture.layers)), architecture.recurrent[0]
    inner, grouped = state.inner_length or 0, (state.groups or 0) * (state.state_length or 0)
    outputs = 2 * inner + 2 * grouped + (state.heads or 0)
    yield TensorGroup(name="blk.*.ssm_in.bias", layers=layers, shape=(outputs,))
    yield TensorGroup(
        name="blk.*.ssm_out.bias", layers=layers, shape=(architecture.embedding_length,)
    )
