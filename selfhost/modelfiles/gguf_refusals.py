"""Why a GGUF model is refused: its keys and its tensors contradict each other.

A check raises `SpecError` where the file is damaged, `Refused` where every llama.cpp stops at it,
and `Unclear` where the spec cannot say what the model is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..catalogue.spec import Attention, FeedForward, Recurrent
from .gguf_layers import attends
from .gguf_values import BY_BLOCK, GgufModel, Refused, Unclear
from .naming import clean, listed
from .source import fail

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.spec import LayerPart

_ROPE_SECTIONS = 4
# a size of a layer -> the key that states it
_KEYS_OF: Mapping[tuple[type, str], str] = {
    (FeedForward, "groups"): "expert_group_count",
    (FeedForward, "groups_used"): "expert_group_used_count",
    (Attention, "kv_heads"): "attention.head_count_kv",
    (Attention, "output_groups"): "attention.output_group_count",
    (Recurrent, "heads"): "ssm.time_step_rank",
    (Recurrent, "groups"): "ssm.group_count",
    (Recurrent, "key_length"): "wkv.head_size",
}


def refuse_what_is_no_model(model: GgufModel) -> None:
    """Raise `SpecError` for a GGUF file that holds something else."""
    kind = clean(model.values.get("general.type")).lower()
    if kind == "adapter":
        fail(model.path, "is a LoRA adapter, not a model", "give the model that it changes")
    if "imatrix" in (kind, model.name):
        fail(model.path, "is an importance matrix, not a model", "give the model's own GGUF file")
    if kind == "mmproj" or model.name in ("clip", "mmproj"):
        found = "is the projector of a vision or audio model, not the model itself"
        fail(model.path, found, "give the model's other GGUF file")
    if not model.tensors:
        remedy = "give the model's GGUF file, not its vocabulary"
        fail(model.path, "holds no weights, only a header", remedy)


def refuse_contradictions(model: GgufModel, blocks: int) -> None:
    """Raise where llama.cpp would stop at the file, or where what it holds is not followed;
    `blocks` are all, those that predict more tokens included.
    """
    _refuse_unknown_kinds(model)
    _refuse_other_counts(model, blocks)
    _refuse_missing_blocks(model, blocks)
    _refuse_other_experts(model)
    # llama.cpp makes the matrices of a dense feed-forward as long as the header says
    for layer, length in enumerate(model.per_layer("feed_forward_length") or ()):
        stored = model.shape(layer, "ffn_down.weight")
        wanted = length // 2 if model.row.length_of_both else length
        is_routed = model.has(layer, "ffn_down_exps.weight")
        if length and stored is not None and not is_routed and stored[0] != wanted:
            model.damaged(
                f"its tensor blk.{layer}.ffn_down.weight is {stored[0]:,} wide, and its header"
                f" makes it {wanted:,}"
            )


def _refuse_unknown_kinds(model: GgufModel) -> None:
    if model.is_encoder and not model.known:
        raise Unclear(f"{model.name} attends both ways, and this selfhost has no row for it")
    prefixes = ("a.", "v.") if model.known else ("enc.", "dec.", "a.", "v.")
    if any(name.startswith(prefixes) for name in model.shapes):
        raise Unclear(
            f"{model.name} has an encoder beside its decoder, and what it keeps of the text it"
            " read is not in the header"
        )
    for tensor in model.tensors:
        if tensor.bytes is None:
            raise Unclear(
                f'the tensor "{clean(tensor.name)}" is of {tensor.type}, which no llama.cpp up to'
                " 2026 loads"
            )


def _refuse_other_counts(model: GgufModel, blocks: int) -> None:
    """llama.cpp stops at an array whose length is not the number of blocks."""
    for key in (*BY_BLOCK, "attention.compress_ratios"):
        name = f"{model.name}.{key}"
        value = model.values.get(name)
        number = len(value) if isinstance(value, list) else model.counts.get(name, blocks)
        # there may be more compression ratios (src/models/deepseek4.cpp)
        if number < blocks or (number > blocks and key in BY_BLOCK):
            model.damaged(f"{name} lists {number:,} numbers, and there are {blocks:,} blocks")
    sections = model.values.get(f"{model.name}.rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != _ROPE_SECTIONS:
        raise Unclear(
            f"{model.name}.rope.dimension_sections lists {len(sections):,} numbers: llama.cpp"
            f" wants {_ROPE_SECTIONS} and refuses the file, and Ollama writes such ones for an"
            " engine of its own"
        )


def _refuse_missing_blocks(model: GgufModel, blocks: int) -> None:
    """llama.cpp looks for the tensors of every block, and refuses a file that has more tensors
    than it looked for (src/llama-model-loader.cpp, done_getting_tensors).

    Only Nemotron NAS has empty blocks. Its header gives them 0 heads.
    """
    held = {model.layer_of(tensor) for tensor in model.tensors}
    says = f"and says that it has {blocks:,} blocks"
    if max(held) >= blocks:
        model.damaged(f"it has a block {max(held):,}, {says}, counted from 0")
    heads = model.per_layer("attention.head_count") or [1] * model.layers
    missing = [layer for layer in range(model.layers) if layer not in held and heads[layer]]
    if missing:
        model.damaged(f"it has no tensor of block {listed(map(str, missing))}, {says}")


def _refuse_other_experts(model: GgufModel) -> None:
    """llama.cpp wants as many experts in each tensor as the header says, and no more used
    than there are.
    """
    experts, used = model.number("expert_count") or 0, model.number("expert_used_count") or 0
    if experts == 1 and model.row.one_expert_is_dense:
        return
    stored = {
        shape[2]
        for name, shape in model.shapes.items()
        if name.endswith("ffn_down_exps.weight") and len(shape) == 3
    }
    if used > experts or (stored and stored != {experts}):
        there = f", and its tensors hold {max(stored):,}" if stored else ""
        model.damaged(f"its header says {experts:,} experts, {used:,} of them used{there}")
    if experts and not any("_exps." in name or ".ffn_down.0." in name for name in model.shapes):
        model.damaged(f"its header says {experts:,} experts, and it has no tensor of any")


def refuse_missing_parts(model: GgufModel, state: Mapping[str, Sequence[Recurrent | None]]) -> None:
    """A block may lack its attention where the header gives it no heads or where it keeps a state,
    and its feed-forward where the header gives it no length.

    Source: src/models of the hybrid architectures and of Nemotron NAS.
    """
    heads = model.per_layer("attention.head_count") or [0] * model.layers
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    lengths = model.per_layer("feed_forward_length") or [0] * model.layers
    if not any(lengths):
        lengths = [model.number("expert_feed_forward_length") or 0] * model.layers
    feeding = _feeding_blocks(model)
    for layer in range(model.layers):
        remembers = _remembers(model, layer, state)
        lacks = f"it has no tensor blk.{layer}"
        gives = "and its header gives that block"
        if heads[layer] and kv_heads[layer] and not remembers:
            model.damaged(f"{lacks}.attn_q.weight, {gives} {heads[layer]:,} heads")
        if lengths[layer] and f"blk.{layer}" not in feeding:
            model.damaged(f"{lacks}.ffn_down.weight, {gives} a length of {lengths[layer]:,}")


def _feeding_blocks(model: GgufModel) -> set[str]:
    """The prefixes of the blocks that have a feed-forward."""
    return {
        name[: name.rfind(part)]
        for part in (".ffn_down", ".channel_mix_value")
        for name in model.shapes
        if part in name
    }


def _remembers(
    model: GgufModel, layer: int, state: Mapping[str, Sequence[Recurrent | None]]
) -> bool:
    """The layer has a state, attention, or attention to what another model gives."""
    return (
        any(by_layer[layer] is not None for by_layer in state.values())
        or attends(model, layer, state)
        or model.has(layer, "cross_attn_q_proj.weight")
    )


def refuse_other_tokens(model: GgufModel) -> None:
    """llama.cpp makes the table of tokens and the matrix of the output as long as the tokenizer.

    A tokenizer of the kind "none" is as long as the header says (src/llama-vocab.cpp, load).
    """
    tokens, counted = model.counts.get("tokenizer.ggml.tokens"), "its tokenizer has"
    if model.values.get("tokenizer.ggml.model") in ("no_vocab", "none"):
        tokens, counted = model.number("vocab_size"), "its header says"
    for name in ("token_embd.weight", "output.weight"):
        differs = name.startswith("token_embd") and model.row.embedding_rows_beyond
        shape = model.shapes.get(name, ())
        if len(shape) == 2 and tokens is not None and not differs and shape[1] != tokens:
            raise Refused(
                f"its tensor {name} has {shape[1]:,} rows, and {counted} {tokens:,} tokens"
            )


def refuse_misfits(model: GgufModel, parts: Iterable[LayerPart | None], width: int) -> None:
    """Raise `Unclear` for a size that does not divide what it should, under the name that it has in
    the header.
    """
    for part in parts:
        for key, message, _ in () if part is None else part.misfits(width):
            own = _KEYS_OF.get((type(part), key), key)
            raise Unclear(f"{model.name}.{own} {message}")
