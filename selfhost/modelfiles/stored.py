"""`quantization_config` of a `config.json`: in which type the published weights are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..facts import Record
from ..spec import APART, MLX_MODES, PACKED, PARTS, QUANTIZATIONS, TensorGroup

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# what is never quantized, is no matrix of a block, or lies outside the language model
_NEVER = re.compile(
    r"vision|visual|image|audio|multi_modal|projector|embed|lm_head|norm|router|indexer|mtp|merger|conv|shared_expert_gate|bias"
    r"|(?:^|[.*])gate(?:$|\.)|in_proj_[ab]|[eh]norm|correction"
)
_PART_NAMES = (
    ("recurrent", re.compile(r"linear_attn|mamba|mixer\.(?:in|out)_proj")),
    ("attention", re.compile(r"self_attn|attention|\battn\b|[qkvo]_proj")),
    ("shared_expert", re.compile(r"shared_expert")),
    ("expert", re.compile(r"experts")),
    ("feed_forward", re.compile(r"mlp|feed_forward|ffn|gate_proj|up_proj|down_proj")),
)


class Stored(Record):
    """How the published weights are stored: `name` in the words of QUANTIZATIONS, None where it is not understood.

    `matrices`, `experts`: the type of those alone. `apart`: MLX's tensors of another type.
    `quantized`: the file says that they are no longer in the type of training.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
    plain_parts: tuple[str, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()

    @property
    def requantized(self) -> bool:
        """True but for weights in 16 bits or more, and for the narrow types that models are published in, which converters read."""
        return self.quantized and (self.format == "mlx" or not (self.name or "").startswith(("float8", "mxfp4", "ternary")))


def stored_by(found: Mapping[str, Any]) -> Stored:
    """`quantization_config` in the words of DTYPES."""
    method, algorithm = found.get("quant_method"), found.get("quant_algo")
    if method in ("fp8", "fbgemm_fp8"):
        block = found.get("weight_block_size")
        if block is None:
            return Stored(name="float8_e4m3", matrices="float8_e4m3")
        return Stored(name="float8_e4m3_128x128", matrices="float8_e4m3_128x128") if block == [128, 128] else Stored()
    if method == "mxfp4":
        return Stored(name="mxfp4", experts="mxfp4")
    if method in ("gptq", "awq"):
        return _grouped(str(method), found.get("bits", 4), found.get("group_size", 128))
    if method == "modelopt" or algorithm:
        name = {"NVFP4": "nvfp4", "FP8": "float8_e4m3"}.get(algorithm) if isinstance(algorithm, str) else None
        return Stored(name=name, matrices=name)
    if method == "bitsandbytes":
        if found.get("load_in_4bit") is True or found.get("_load_in_4bit") is True:
            four = "nf4-double" if found.get("bnb_4bit_use_double_quant") is True else "nf4"
            return Stored(name=four, matrices=four)
        return Stored(name="int8", matrices="int8") if found.get("load_in_8bit") is True else Stored()
    if method == "compressed-tensors":
        return _compressed(found)
    if method == "bitnet":
        return Stored(name="ternary", matrices="ternary")
    return Stored()


# modules of mlx_lm/models/*.py under the names of GGUF files: those of a block, and the model's own
_MLX_FEED_FORWARD = {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
_MLX_EXPERTS = {
    "mlp.switch_mlp": "exps", "block_sparse_moe.switch_mlp": "exps", "mlp.experts": "exps", "mlp.shared_expert": "shexp",
    "mlp.shared_experts": "shexp",
}  # fmt: skip
_MLX_TENSORS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up", "mlp.gate": "ffn_gate_inp", "mlp.router": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    **{f"mlp.{own}": name for own, name in _MLX_FEED_FORWARD.items()},
    **{f"{place}.{own}": f"{name}_{part}" for own, name in _MLX_FEED_FORWARD.items() for place, part in _MLX_EXPERTS.items()},
}  # fmt: skip
_MLX_OUTSIDE = {"embed_tokens": "token_embd", "lm_head": "output"}
_MLX_LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,5})\.(.+)")
_ENCODERS = re.compile(r"(?:^|\.)(?:vision|visual|audio|multi_modal|embed_vision|embed_audio|mm_)")


def of_mlx(found: Mapping[str, Any]) -> tuple[str, Mapping[str, str | None]] | None:
    """MLX's `quantization`: the name of its bits and groups, and that of each layer which has another; None for what has no name here.

    mlx_lm/utils.py, load_model: under a layer's name stands what that layer has instead, false where it was left as it was.
    """
    name = _mlx_name(found)
    if name is None or "bits" not in found or "group_size" not in found:
        return None
    apart = {
        key: "bf16" if part is False else _mlx_name(part) if isinstance(part, dict) else None
        for key, part in found.items()
        # a layer's name has dots, but of those without one; true: as all others
        if part is not True and ("." in key or key in _MLX_OUTSIDE or part is False or isinstance(part, dict))
    }
    in_eight = all(part == "8bit" for part in apart.values())
    if name == "mxfp4" and in_eight and all(any(part in key for key in apart) for part in ("self_attn", "embed", "router")):
        # gpt-oss: experts as published, all else in 8 bits
        return "MXFP4-Q8", {}
    return name, {key: part for key, part in apart.items() if part != name}


def _mlx_name(found: Mapping[str, Any]) -> str | None:
    """The name of bits, group and mode; mlx.nn.quantize has 4 bits in groups of 64 where nothing is said."""
    mode = found.get("mode", "affine")
    if isinstance(mode, str) and mode in MLX_MODES:
        # all but their own bits and groups mlx.core.quantize refuses
        own = MLX_MODES[mode]
        return mode if (found.get("bits", own[0]), found.get("group_size", own[1])) == own else None
    bits, group = found.get("bits", 4), found.get("group_size", 64)
    name = f"{bits}bit" + ("" if group == 64 else f"-{group}g")
    return name if mode == "affine" and type(bits) is type(group) is int and name in QUANTIZATIONS["mlx"] else None


def tensors_apart(apart: Mapping[str, str | None], groups: Sequence[TensorGroup]) -> tuple[tuple[str, str], ...] | str:
    """`of_mlx`'s layers by the names of tensors, all blocks of one kind in one; the first key that is not understood where one is not."""
    known = {group.name: group for group in groups}
    types: dict[str, dict[int | None, str]] = {}
    for key, type in apart.items():
        within = _MLX_LAYER.search(key)
        if type == "bf16" and _ENCODERS.search(key):
            # encoders are counted in 16 bits
            continue
        if within is None and key.rpartition(".")[2] == "lm_head" and "token_embd.weight" in known and "output.weight" not in known:
            # tied: mlx_lm makes no such layer
            continue
        name = _MLX_OUTSIDE.get(key.rpartition(".")[2]) if within is None else _MLX_TENSORS.get(within[2])
        group = known.get(f"{name}.weight" if within is None else f"blk.*.{name}.weight")
        layer = None if within is None else int(within[1])
        if group is None or type not in APART or (layer is not None and layer not in group.layers):
            return key
        types.setdefault(group.name, {})[layer] = type
    each: list[tuple[str, str]] = []
    for name, of_layers in types.items():
        if len(set(of_layers.values())) == 1 and len(of_layers) == (len(known[name].layers) or 1):
            each.append((name, next(iter(of_layers.values()))))
        else:
            each += [(name.replace("*", str(layer)), type) for layer, type in sorted(of_layers.items(), key=lambda one: one[0] or 0)]
    return tuple(each)


def _grouped(method: str, bits: Any, group: Any) -> Stored:
    """GPTQ and AWQ under the name of their bits and group; None where no layout is known for them."""
    name = method if bits == 4 else f"{method}-{bits}bit"
    name += "" if group == 128 else "-channel" if group == -1 else f"-{group}g"
    return Stored(name=name, matrices=name) if name in PACKED else Stored()


def plain_parts_of(found: Mapping[str, Any], layers: int | None) -> tuple[str, ...] | None:
    """The parts that the file leaves in 16 bits in (nearly) all layers; None where it does so in some of them.

    A layer or two at either end (Llama 3.1 405B) are within the range of the size.
    """
    names = found.get("modules_to_not_convert") or found.get("ignore") or ()
    where: dict[str, set[int]] = {}
    everywhere: set[str] = set()
    for name in names if isinstance(names, list) else ():
        if not isinstance(name, str) or _NEVER.search(name):
            continue
        part = next((part for part, pattern in _PART_NAMES if pattern.search(name)), None)
        number = re.search(r"layers?\.(\d+)\.", name)
        if part is not None and number is None:
            everywhere.add(part)
        elif part is not None and number is not None:
            where.setdefault(part, set()).add(int(number[1]))
    many = 0.8 * (layers or 1)
    # attention and recurrent layers take turns
    mixing = where.get("attention", set()) | where.get("recurrent", set())
    for part, numbers in where.items():
        reach = len(mixing) if part in ("attention", "recurrent") else len(numbers)
        if layers is None or reach >= many:
            everywhere.add(part)
        elif len(numbers) > max(2, 0.05 * layers):
            return None
    return tuple(part for part in PARTS if part in everywhere)


def _compressed(found: Mapping[str, Any]) -> Stored:
    groups = found.get("config_groups")
    parts: Sequence[Any] = list(groups.values()) if isinstance(groups, dict) else []
    weights = parts[0].get("weights") if len(parts) == 1 and isinstance(parts[0], dict) else None
    if not isinstance(weights, dict):
        return Stored()
    shape = (weights.get("type"), weights.get("num_bits"), weights.get("group_size"))
    name = None
    if shape[:2] == ("float", 8):
        name = "float8_e4m3"
    elif found.get("format") == "nvfp4-pack-quantized":
        name = "nvfp4"
    elif found.get("format") == "mxfp4-pack-quantized":
        name = "mxfp4"
    elif shape == ("int", 4, 32):
        name = "int4_32"
    elif shape[:2] == ("int", 4):
        packed = "w4a16" if shape[2] == 128 else "w4a16-channel" if shape[2] is None else f"w4a16-{shape[2]}g"
        name = packed if packed in PACKED else None
    elif shape[:2] == ("int", 8):
        name = "int8"
    return Stored(name=name, matrices=name)
