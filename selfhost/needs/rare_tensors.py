"""Tensors that few models have: blocks that predict more tokens, an encoder of sound, and what
layers have beside their streams.
"""

from __future__ import annotations

from ..catalogue.spec import Attention, FeedForward, TensorGroup

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .tensors import Builder

# width of the two LAuReL matrices of Gemma 3n (`laurel_rank` in its config.json)
_LAUREL_RANK = 64


def add_prediction_blocks(builder: Builder, blocks: int) -> None:
    """Blocks shaped like the last layer, or the last of some kind, with one matrix that
    joins the hidden state and the next token.
    """
    model, row, width = builder.architecture, builder.row, builder.width
    layers = tuple(range(model.layers, model.layers + blocks))
    # where layers attend or feed forward, the block does both and has a second norm
    second = () if len(row.norms) > 1 else ("post_attention_norm",)
    for name in (*row.norms, *second):
        builder.add(f"blk.*.{name}", width, layers=layers, bias=row.norm_bias)
    # the block attends as an ordinary layer even where the trunk's last one is recurrent
    windowed, dense = "window" in row.mtp_like, "dense" in row.mtp_like
    attention = [each for each in model.attention if not windowed or each.window_tokens is not None]
    feed_forward = [each for each in model.feed_forward if not dense or not each.experts]
    builder.attention(max(attention or model.attention, key=_last_layer), layers)
    builder.feed_forward(max(feed_forward or model.feed_forward, key=_last_layer), layers)
    builder.add("blk.*.nextn.eh_proj", 2 * width, width, layers=layers)
    for name in ("enorm", "hnorm", "shared_head_norm"):
        builder.add(f"blk.*.nextn.{name}", width, layers=layers)
    tokens = model.vocabulary_gguf or model.vocabulary or 0
    for name in row.mtp_vocabulary:
        builder.add(f"blk.*.nextn.{name}", width, tokens, layers=layers)


def _last_layer(group: Attention | FeedForward) -> int:
    return group.layers[-1] if group.layers else -1


def add_audio_encoder(builder: Builder) -> None:
    audio = builder.architecture.audio
    assert audio is not None
    width, layers = audio.embedding_length, tuple(range(audio.layers))
    builder.add("encoder.conv1", 3, audio.mel_bins, width)
    builder.add("encoder.conv2", 3, width, width)
    builder.groups.append(TensorGroup(name="encoder.conv1.bias", layers=(), shape=(1, width)))
    builder.groups.append(TensorGroup(name="encoder.conv2.bias", layers=(), shape=(1, width)))
    builder.add("encoder.position_embd", width, audio.positions)
    builder.add("encoder.output_norm", width, bias=True)
    for name in ("attn_norm", "ffn_norm"):
        builder.add(f"encoder.blk.*.{name}", width, layers=layers, bias=True)
    for name in ("q", "k", "v", "output"):
        builder.add(f"encoder.blk.*.attn_{name}", width, width, layers=layers, bias=name != "k")
    builder.add("encoder.blk.*.ffn_up", width, audio.feed_forward_length, layers=layers, bias=True)
    builder.add(
        "encoder.blk.*.ffn_down", audio.feed_forward_length, width, layers=layers, bias=True
    )


def add_slices_by_layer(builder: Builder, slice_width: int, layers: tuple[int, ...]) -> None:
    """Gemma 3n and 4: a second token table. Each layer reads one slice of it."""
    model, row, width = builder.architecture, builder.row, builder.width
    rows = (
        (model.vocabulary_gguf if builder.gguf else row.per_layer_vocabulary)
        or model.vocabulary
        or 0
    )
    builder.add("per_layer_token_embd", slice_width * model.layers, rows)
    builder.add("per_layer_model_proj", width, slice_width * model.layers)
    builder.add("per_layer_proj_norm", slice_width)
    builder.add("blk.*.inp_gate", width, slice_width, layers=layers)
    builder.add("blk.*.proj", slice_width, width, layers=layers)
    if not row.altup:
        builder.add("blk.*.post_norm", width, layers=layers)


def add_alternating_updates(builder: Builder, inputs: int, layers: tuple[int, ...]) -> None:
    """Gemma 3n: several versions of the hidden state, and LAuReL."""
    width = builder.width
    builder.add("altup_proj", width, width, inputs - 1)
    builder.add("altup_unembd_proj", width, width, inputs - 1)
    builder.add("blk.*.altup_correct_coef", inputs, inputs, layers=layers)
    builder.add("blk.*.altup_correct_scale", width, layers=layers)
    builder.add("blk.*.altup_predict_coef", inputs, inputs * inputs, layers=layers)
    builder.add("blk.*.altup_router", width, inputs, layers=layers)
    builder.add("blk.*.laurel_l", width, _LAUREL_RANK, layers=layers)
    builder.add("blk.*.laurel_r", _LAUREL_RANK, width, layers=layers)


def add_hyper_connections(builder: Builder, inputs: int, layers: tuple[int, ...]) -> None:
    """Parallel streams, mixed before and after attention and feed-forward."""
    row, width = builder.row, builder.width
    mixed = 2 * inputs + (inputs * inputs if row.hyper_connections == 3 else 0)
    builder.add("output_hc_fn", inputs * width, inputs)
    builder.add("output_hc_base", inputs)
    builder.add("output_hc_scale", 1)
    for part in ("attn", "ffn"):
        builder.add(f"blk.*.hc_{part}_fn", inputs * width, mixed, layers=layers)
        builder.add(f"blk.*.hc_{part}_base", mixed, layers=layers)
        builder.add(f"blk.*.hc_{part}_scale", row.hyper_connections, layers=layers)
