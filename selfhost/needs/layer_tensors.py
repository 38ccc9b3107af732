"""The tensors of parts that some layers have: latent and compressed attention, recurrences, blocks
that predict more tokens, an encoder of sound, and what lies beside streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.architecture import Attention, FeedForward, Recurrent, TensorGroup

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .tensors import Builder


def add_latent(builder: Builder, group: Attention, layers: tuple[int, ...]) -> None:
    width, heads, value = builder.width, group.heads, group.value_length
    latent, rope, query = (
        group.latent_length or 0,
        group.rope_length or 0,
        group.query_latent_length,
    )
    # of attention that caches them unpacked the key's length holds the part with rope
    key = group.key_length if group.kind == "latent" else group.key_length - rope
    if query:
        builder.add("blk.*.attn_q_a", width, query, layers=layers)
        builder.add("blk.*.attn_q_a_norm", query, layers=layers)
        builder.add("blk.*.attn_q_b", query, heads * (key + rope), layers=layers)
    else:
        builder.add("blk.*.attn_q", width, heads * (key + rope), layers=layers)
    builder.add("blk.*.attn_kv_a_mqa", width, latent + rope, layers=layers)
    builder.add("blk.*.attn_kv_a_norm", latent, layers=layers)
    if builder.row.rope_key_norm:
        builder.add("blk.*.attn_k_norm", rope, layers=layers)
    if group.kind == "latent":
        builder.add("blk.*.attn_k_b", key, latent, heads, layers=layers)
        builder.add("blk.*.attn_v_b", latent, value, heads, layers=layers)
    else:
        builder.add("blk.*.attn_kv_b", latent, heads * (key + value), layers=layers)
    builder.add("blk.*.attn_output", heads * value, width, layers=layers)
    builder.gate_of_attention(group, layers)
    if builder.row.attention_sinks:
        builder.add("blk.*.attn_sinks", heads, layers=layers)
    if group.indexer_heads and group.indexer_length:
        builder.add(
            "blk.*.indexer.attn_q_b",
            query or width,
            group.indexer_heads * group.indexer_length,
            layers=layers,
        )
        builder.add("blk.*.indexer.attn_k", width, group.indexer_length, layers=layers)
        builder.add("blk.*.indexer.k_norm", group.indexer_length, layers=layers, bias=True)
        builder.add("blk.*.indexer.proj", width, group.indexer_heads, layers=layers)


def add_compressed(builder: Builder, group: Attention, layers: tuple[int, ...]) -> None:
    width, heads, key, query = (
        builder.width,
        group.heads,
        group.key_length,
        group.query_latent_length or 0,
    )
    groups, latent = group.output_groups or 1, group.output_latent_length or 0
    builder.add("blk.*.attn_q_a", width, query, layers=layers)
    builder.add("blk.*.attn_q_a_norm", query, layers=layers)
    builder.add("blk.*.attn_q_b", query, heads * key, layers=layers)
    builder.add("blk.*.attn_kv", width, key, layers=layers)
    builder.add("blk.*.attn_kv_a_norm", key, layers=layers)
    builder.add("blk.*.attn_sinks", heads, layers=layers)
    builder.add("blk.*.attn_output_a", heads * key // groups, latent * groups, layers=layers)
    builder.add("blk.*.attn_output_b", latent * groups, width, layers=layers)
    if group.compression:
        _compressor(builder, "attn", key, group, layers)
    if group.compression and group.indexer_heads and group.indexer_length:
        _compressor(builder, "indexer", group.indexer_length, group, layers)
        builder.add(
            "blk.*.indexer.attn_q_b",
            query,
            group.indexer_heads * group.indexer_length,
            layers=layers,
        )
        builder.add("blk.*.indexer.proj", width, group.indexer_heads, layers=layers)


def _compressor(
    builder: Builder, name: str, length: int, group: Attention, layers: tuple[int, ...]
) -> None:
    """Rows of which an indexer chooses are made of the tokens of two."""
    wide = (2 if group.indexer_heads else 1) * length
    builder.add(f"blk.*.{name}_compressor_kv", builder.width, wide, layers=layers)
    builder.add(f"blk.*.{name}_compressor_gate", builder.width, wide, layers=layers)
    builder.add(f"blk.*.{name}_compressor_ape", wide, group.compression or 0, layers=layers)
    builder.add(f"blk.*.{name}_compressor_norm", length, layers=layers)


def _mamba(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    inner, state, rank = (
        group.inner_length or 0,
        group.state_length or 0,
        group.time_step_rank or 0,
    )
    steps = group.heads or inner
    builder.add("blk.*.ssm_in", width, 2 * inner, layers=layers)
    builder.add("blk.*.ssm_conv1d", taps, inner, layers=layers, bias=not group.heads)
    builder.add("blk.*.ssm_x", inner, rank + 2 * state, layers=layers)
    builder.add("blk.*.ssm_dt", rank, steps, layers=layers, bias=True)
    builder.plain("blk.*.ssm_a", 1 if group.heads else state, steps, layers=layers)
    builder.plain("blk.*.ssm_d", steps, layers=layers)
    builder.add("blk.*.ssm_out", inner, width, layers=layers)
    if builder.row.mamba_norms:
        builder.add("blk.*.ssm_dt_norm", rank, layers=layers)
        builder.add("blk.*.ssm_b_norm", state, layers=layers)
        builder.add("blk.*.ssm_c_norm", state, layers=layers)


def _mamba2(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    inner, state, heads = (group.inner_length or 0, group.state_length or 0, group.heads or 0)
    mixed = inner + 2 * (group.groups or 0) * state
    builder.add("blk.*.ssm_in", width, inner + mixed + heads, layers=layers)
    builder.add("blk.*.ssm_conv1d", taps, mixed, layers=layers, bias=True)
    builder.plain("blk.*.ssm_dt.bias", heads, layers=layers)
    builder.plain("blk.*.ssm_a", heads, layers=layers)
    builder.plain("blk.*.ssm_d", heads, layers=layers)
    if group.norm is not False:
        builder.add("blk.*.ssm_norm", inner, layers=layers)
    builder.add("blk.*.ssm_out", inner, width, layers=layers)


def _delta(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    heads, value = group.heads or 0, group.value_length or 0
    keys, inner = (group.key_heads or 0) * (group.key_length or 0), heads * value
    builder.add("blk.*.attn_qkv", width, 2 * keys + inner, layers=layers)
    builder.add("blk.*.attn_gate", width, inner, layers=layers)
    builder.add("blk.*.ssm_conv1d", taps, 2 * keys + inner, layers=layers)
    builder.plain("blk.*.ssm_dt.bias", heads, layers=layers)
    builder.plain("blk.*.ssm_a", heads, layers=layers)
    if builder.row.fused_alpha_beta:
        builder.add("blk.*.ssm_ba", width, 2 * heads, layers=layers)
    else:
        builder.add("blk.*.ssm_alpha", width, heads, layers=layers)
        builder.add("blk.*.ssm_beta", width, heads, layers=layers)
    builder.add("blk.*.ssm_norm", value, layers=layers)
    builder.add("blk.*.ssm_out", inner, width, layers=layers)


def _kda(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    heads, size = group.heads or 0, group.key_length or 0
    inner = heads * size
    for name in "qkv":
        builder.add(f"blk.*.ssm_conv1d_{name}", taps, 1, inner, layers=layers)
        builder.add(f"blk.*.attn_{name}", width, inner, layers=layers)
    for name in "fg":
        wide = builder.row.wide_gates or (name == "g" and builder.row.full_rank_gate)
        part = "ssm_g" if name == "g" and builder.row.full_rank_gate else f"ssm_{name}_a"
        builder.add(f"blk.*.{part}", width, inner if wide else size, layers=layers)
        if not wide:
            builder.add(f"blk.*.ssm_{name}_b", size, inner, layers=layers)
    builder.add("blk.*.ssm_beta", width, heads, layers=layers)
    builder.plain("blk.*.ssm_a", heads, layers=layers)
    builder.plain("blk.*.ssm_dt.bias", inner, layers=layers)
    builder.add("blk.*.ssm_norm", size, layers=layers)
    builder.add("blk.*.attn_output", inner, width, layers=layers)


def _lightning(builder: Builder, group: Recurrent) -> None:
    width, layers = builder.width, group.layers
    inner = (group.heads or 0) * (group.key_length or 0)
    builder.add("blk.*.attn_qkv", width, 3 * inner, layers=layers)
    builder.add("blk.*.attn_gate", width, inner, layers=layers)
    builder.add("blk.*.attn_norm_2", inner, layers=layers)
    builder.add("blk.*.attn_output", inner, width, layers=layers)


def _rglru(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    inner, block = (group.inner_length or 0, (group.inner_length or 0) // (group.heads or 1))
    for name in ("y", "x"):
        builder.add(f"blk.*.lru_{name}", width, inner, layers=layers, bias=True)
    builder.add("blk.*.ssm_conv1d", taps, inner, layers=layers, bias=True)
    for name in ("input", "recurrent"):
        builder.add(f"blk.*.lru_{name}_gate", block, block, group.heads or 1, layers=layers)
        builder.plain(f"blk.*.lru_{name}_gate.bias", block * (group.heads or 1), layers=layers)
    builder.plain("blk.*.lru_a", inner, layers=layers)
    builder.add("blk.*.lru_out", inner, width, layers=layers, bias=True)


def _convolution(builder: Builder, group: Recurrent) -> None:
    width, layers, taps = builder.width, group.layers, group.convolution or 0
    builder.add("blk.*.shortconv.conv", taps, width, layers=layers)
    builder.add("blk.*.shortconv.in_proj", width, 3 * width, layers=layers)
    builder.add("blk.*.shortconv.out_proj", width, width, layers=layers)


def _rwkv7(builder: Builder, group: Recurrent) -> None:
    width, layers = builder.width, group.layers
    decay, rate, first, gate = (*(group.ranks or ()), 0, 0, 0, 0)[:4]
    # the first layer has no values of an earlier one; what llama.cpp asks for is a copy of the
    # rate's
    places = [
        ("w", decay, layers),
        ("a", rate, layers),
        ("v", rate, layers[:1] if builder.gguf else ()),
        ("v", first, layers[1:]),
    ]
    for name, rank, where in places:
        builder.add(f"blk.*.time_mix_{name}0", width, layers=where)
        builder.add(f"blk.*.time_mix_{name}1", width, rank, layers=where)
        builder.add(f"blk.*.time_mix_{name}2", rank, width, layers=where)
    if gate:
        builder.add("blk.*.time_mix_g1", width, gate, layers=layers)
        builder.add("blk.*.time_mix_g2", gate, width, layers=layers)
    builder.add("blk.*.time_mix_lerp_fused", width, 1, 1, 6 if gate else 5, layers=layers)
    for name in ("k_k", "k_a", "r_k"):
        builder.add(f"blk.*.time_mix_{name}", width, layers=layers)
    for name in ("key", "value", "receptance", "output"):
        builder.add(f"blk.*.time_mix_{name}", width, width, layers=layers)
    builder.add("blk.*.time_mix_ln", width, layers=layers, bias=True)


RECURRENCES: Mapping[str, Callable[[Builder, Recurrent], None]] = {
    "mamba": _mamba,
    "mamba2": _mamba2,
    "delta": _delta,
    "kda": _kda,
    "lightning": _lightning,
    "rglru": _rglru,
    "convolution": _convolution,
    "rwkv7": _rwkv7,
}


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
