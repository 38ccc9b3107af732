"""The tensors of layers that recur: one function for each kind of state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.spec import Recurrent

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .tensors import Builder


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


def _rwkv6(builder: Builder, group: Recurrent) -> None:
    plain = group.kind == "rwkv6"
    width, layers, key = builder.width, group.layers, group.key_length or 1
    mix, decay = (*(group.ranks or ()), 0, 0)[:2]
    kept = (group.key_heads or 0) * key or width
    builder.add("blk.*.time_mix_w1", width, 5 * mix, layers=layers)
    builder.add("blk.*.time_mix_w2", mix, width, 5, layers=layers)
    builder.add("blk.*.time_mix_lerp_x", width, layers=layers)
    builder.add("blk.*.time_mix_lerp_fused", width, 1, 1, 5, layers=layers)
    builder.add("blk.*.time_mix_decay", width, layers=layers)
    builder.add("blk.*.time_mix_decay_w1", width, decay, layers=layers)
    builder.add("blk.*.time_mix_decay_w2", decay, width, layers=layers)
    for name, length in (("key", kept), ("value", kept), ("receptance", width)):
        builder.add(f"blk.*.time_mix_{name}", width, length, layers=layers, bias=not plain)
    builder.add("blk.*.time_mix_gate", width, width, layers=layers)
    builder.add("blk.*.time_mix_output", width, width, layers=layers)
    if plain:
        builder.add("blk.*.time_mix_first", key, width // key, layers=layers)
        builder.add("blk.*.time_mix_ln", width, layers=layers, bias=True)


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
    if group.kind == "rwkv7":
        builder.add("blk.*.time_mix_ln", width, layers=layers, bias=True)


RECURRENCES: Mapping[str, Callable[[Builder, Recurrent], None]] = {
    "mamba": _mamba,
    "mamba2": _mamba2,
    "delta": _delta,
    "kda": _kda,
    "lightning": _lightning,
    "rglru": _rglru,
    "convolution": _convolution,
    "rwkv6": _rwkv6,
    "qrwkv6": _rwkv6,
    "rwkv7": _rwkv7,
    "qrwkv7": _rwkv7,
}
