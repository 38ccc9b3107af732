"""The state that a recurrent layer of a `config.json` keeps: its kind and its sizes.

One function reads each kind of layer; `STATE_READERS` names them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.spec import Recurrent
from .keys import HEADS, KV_HEADS, Keys, Unclear
from .naming import RWKV7_RANKS, plamo2_rank, rwkv7_rank

# ranks of RWKV 7, each under the names of two publishers
_RWKV7_KEYS = (
    ("decay_low_rank_dim", "lora_rank_decay"),
    ("a_low_rank_dim", "lora_rank_iclr"),
    ("v_low_rank_dim", "lora_rank_value_residual_mix"),
    ("gate_low_rank_dim", "lora_rank_gate"),
)


def recurrent_of(config: Keys, kind: str, width: int) -> Recurrent:
    """The state of a layer whose kind is one of `STATE_READERS`. Raises `Unclear`."""
    return STATE_READERS[kind](config, kind, width)


def _convolution(config: Keys, kind: str, width: int) -> Recurrent:
    return Recurrent(kind=kind, layers=(), convolution=config.needed("conv_L_cache"))


def _delta(config: Keys, kind: str, width: int) -> Recurrent:
    if config.type.delta_from_attention:
        return _olmo(config, width)
    return Recurrent(
        kind=kind,
        layers=(),
        convolution=config.needed("linear_conv_kernel_dim"),
        key_heads=config.needed("linear_num_key_heads"),
        heads=config.needed("linear_num_value_heads"),
        key_length=config.needed("linear_key_head_dim"),
        value_length=config.needed("linear_value_head_dim"),
    )


def _olmo(config: Keys, width: int) -> Recurrent:
    """What the file leaves out follows from the attention (OlmoHybridConfig of transformers
    5.23.0).
    """
    heads = config.needed(*HEADS)
    key_heads = config.positive("linear_num_key_heads") or heads
    key_length = config.positive("linear_key_head_dim") or int(0.75 * width / key_heads)
    return Recurrent(
        kind="delta",
        layers=(),
        convolution=config.needed("linear_conv_kernel_dim"),
        key_heads=key_heads,
        heads=config.positive("linear_num_value_heads") or heads,
        key_length=key_length,
        value_length=config.positive("linear_value_head_dim") or 2 * key_length,
    )


def _rglru(config: Keys, kind: str, width: int) -> Recurrent:
    return Recurrent(
        kind=kind,
        layers=(),
        convolution=config.needed("conv1d_width"),
        inner_length=config.positive("lru_width") or width,
        heads=config.needed(*HEADS),
    )


def _lightning(config: Keys, kind: str, width: int) -> Recurrent:
    return Recurrent(
        kind=kind, layers=(), heads=config.needed(*HEADS), key_length=config.needed("head_dim")
    )


def _kda(config: Keys, kind: str, width: int) -> Recurrent:
    return Recurrent(
        kind=kind,
        layers=(),
        convolution=config.needed("linear_short_conv_kernel_size"),
        heads=config.needed("linear_num_heads"),
        key_length=config.needed("linear_head_dim"),
    )


def _rwkv(config: Keys, kind: str, width: int) -> Recurrent:
    """RWKV 6, also of Qwen's layers. A rank that the file does not state follows llama.cpp's
    conversion/rwkv.py (0c1e570).
    """
    _leave_rwkv_keys(config)
    wide = width == 4096 if kind == "rwkv6" else width >= 4096
    mix, decay = config.number("lora_rank_tokenshift"), config.number("lora_rank_decay")
    heads = config.number(*KV_HEADS) if kind == "qrwkv6" else None
    head = width // config.needed(*HEADS) if kind == "qrwkv6" else config.needed("head_size")
    ranks = mix or (64 if wide else 32), decay or (128 if wide else 64)
    return Recurrent(kind=kind, layers=(), key_heads=heads, key_length=head, ranks=ranks)


def _rwkv7(config: Keys, kind: str, width: int) -> Recurrent:
    """The same of RWKV 7, which has four ranks."""
    _leave_rwkv_keys(config)
    head = config.needed("head_dim", "head_size")
    stated = [config.number(*keys) for keys in _RWKV7_KEYS]
    ranks = tuple(
        rank or rwkv7_rank(width, *rule) for rank, rule in zip(stated, RWKV7_RANKS, strict=True)
    )
    return Recurrent(kind=kind, layers=(), key_length=head, ranks=ranks)


def _leave_rwkv_keys(config: Keys) -> None:
    """Marks keys that the files state and that change nothing."""
    config.understood.update((*HEADS, *KV_HEADS, "num_wkv_heads", "value_dim", "hidden_ratio"))


def _mamba(config: Keys, kind: str, width: int) -> Recurrent:
    """The first Mamba, the second, or the mix of both that PLaMo 2 and the first Zamba have."""
    size = config.needed("mamba_d_state", "ssm_state_size", "state_size")
    taps = config.needed("mamba_d_conv", "conv_kernel")
    own_heads = config.type.state_heads
    if own_heads == "of_attention":
        heads = config.needed("mamba_num_heads")
        return Recurrent(
            kind=kind,
            layers=(),
            convolution=taps,
            inner_length=heads * config.needed("hidden_size_per_head"),
            state_length=size,
            time_step_rank=plamo2_rank(width),
            heads=heads,
        )
    if kind == "mamba" or own_heads:
        return Recurrent(
            kind="mamba",
            layers=(),
            convolution=taps,
            inner_length=_inner_length(config, width),
            state_length=size,
            time_step_rank=_time_step_rank(config, width),
            heads=config.positive(own_heads) if own_heads else None,
        )
    return _mamba2(config, width, size, taps)


def _mamba2(config: Keys, width: int, size: int, taps: int) -> Recurrent:
    bare = config.type.bare_state_keys
    heads = config.needed(
        "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", *(("num_heads",) if bare else ())
    )
    length_keys = "mamba_d_head", "mamba_head_dim", *(("head_dim",) if bare else ())
    length = None if config.get(*length_keys) == "auto" else config.number(*length_keys)
    stated = config.number("mamba_d_ssm")
    if config.type.inner_length and "mamba_d_ssm" not in config.text and not length:
        stated = config.type.inner_length
    inner = stated or (heads * length if length else 0) or _inner_length(config, width)
    norm = config.text.get(config.type.state_norm_key)
    config.understood.update(("mamba_rms_norm", "mamba_expand", "expand", "mamba_use_mlp"))
    return Recurrent(
        kind="mamba2",
        layers=(),
        convolution=taps,
        inner_length=inner,
        state_length=size,
        heads=heads,
        groups=config.needed("mamba_n_groups", "n_groups", "mamba_ngroups"),
        norm=False if norm is False else None,
    )


def _inner_length(config: Keys, width: int) -> int:
    """Elements that a layer of Mamba works on, where its heads do not give them."""
    expand = config.number("mamba_expand", "expand")
    own = config.type.inner_key
    if own and config.number(own):
        return config.needed(own)
    if not expand:
        raise Unclear("the inner width of the recurrent layers (expand) is missing")
    return expand * width


def _time_step_rank(config: Keys, width: int) -> int:
    if config.get("time_step_rank", "mamba_dt_rank") == "auto":
        return -(-width // 16)
    return config.needed("time_step_rank", "mamba_dt_rank")


# by the kind of a layer; "hybrid" attends too
STATE_READERS: Mapping[str, Callable[[Keys, str, int], Recurrent]] = {
    "convolution": _convolution,
    "delta": _delta,
    "hybrid": _mamba,
    "kda": _kda,
    "lightning": _lightning,
    "mamba": _mamba,
    "mamba2": _mamba,
    "qrwkv6": _rwkv,
    "rglru": _rglru,
    "rwkv6": _rwkv,
    "rwkv7": _rwkv7,
}
