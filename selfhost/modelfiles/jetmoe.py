"""JetMoe: attention whose queries and outputs are experts, as its feed-forward is.

Read in transformers 5.23.0 (`models/jetmoe`).
"""

from __future__ import annotations

from ..catalogue.spec import Architecture, TensorGroup
from ..needs.tensors import checkpoint_tensors
from .keys import Unclear

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..needs.tensors import ArchitectureRow


def with_attention_experts(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The same with all its tensors listed. Attention has as many experts as the feed-forward, and
    a token uses as many of them.
    """
    width, layers = architecture.embedding_length, tuple(range(architecture.layers))
    if len(architecture.attention) != 1 or len(architecture.feed_forward) != 1:
        raise Unclear("layers of JetMoe that differ from each other are not understood")
    (attention,), (forward,) = architecture.attention, architecture.feed_forward
    experts, kept = forward.experts or 0, attention.kv_heads * attention.key_length
    shapes = {
        "attn_kv.weight": (width, 2 * kept), "attn_q_exps.weight": (width, kept, experts),
        "attn_output_exps.weight": (kept, width, experts), "attn_gate_inp.weight": (width, experts),
        "attn_output.bias": (width,), "ffn_down.bias": (width,),
    }  # fmt: skip
    own = (
        TensorGroup(name=f"blk.*.{name}", layers=layers, shape=shape)
        for name, shape in shapes.items()
    )
    return architecture.replace(
        tensors=(*checkpoint_tensors(architecture.replace(attention=()), row), *own)
    )
