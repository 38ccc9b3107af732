"""`quantization_config` of a `config.json`: in which type the published weights are stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..catalogue.spec import APART, MLX_MODES, PACKED, QUANTIZATIONS, TensorGroup
from ..core.records import Record
from .keys import short
from .modules import ELSEWHERE, Rule, by_name, layers_by_tensor

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# how many names of modules are read, and patterns among them
_MAX_RULES, _MAX_PATTERNS = 20_000, 64


class Stored(Record):
    """How the published weights are stored. `name` is in the words of QUANTIZATIONS, None where it
    is not understood; `why` says what is not.

    `matrices` and `experts` are the types of those alone, `apart` the tensors of another type.
    `rules` say something of single modules: the first that names one counts. `chosen`: modules that
    no rule names stay as they were. `quantized`: the weights are no longer in the type of training.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
    apart: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    chosen: bool = False
    why: str | None = None

    def unclear(self, why: str) -> Stored:
        """The same where something is not understood."""
        return Stored(format=self.format, why=why)

    @property
    def requantized(self) -> bool:
        """False for weights in 16 bits or more, and for the narrow types that models are published
        in and that converters read.
        """
        return self.quantized and (
            self.format == "mlx" or not (self.name or "").startswith(("float8", "mxfp4", "ternary"))
        )


# keys that change neither which modules are quantized nor how large they are, of all methods;
# others have to be understood
_NO_BEARING = {
    "quant_method", "quant_algo", "quantization_status", "producer", "version", "checkpoint_format",
    "meta", "backend", "tokenizer",
    "dataset", "damp_percent", "damp_auto_increment", "desc_act", "act_group_aware",
    "static_groups", "sym", "true_sequential",
    "model_seqlen", "block_name_to_quantize", "module_name_preceding_first_block", "batch_size",
    "pad_token_id", "max_input_length",
    "cache_block_outputs", "use_cuda_fp16", "use_exllama", "exllama_config", "disable_exllama",
    "model_name_or_path",
    "model_file_base_name", "is_marlin_format", "pack_dtype", "zero_point", "do_fuse",
    "fuse_max_seq_len", "modules_to_fuse", "fmt",
    "activation_scheme", "scale_fmt", "dequantize", "activation_scale_ub", "run_compressed",
    "use_optimized_inference",
    "global_compression_ratio", "kv_cache_scheme", "kv_cache_quant_algo", "llm_int8_threshold",
    "quantizer", "uri", "mse",
    "llm_int8_enable_fp32_cpu_offload", "bnb_4bit_compute_dtype", "bnb_4bit_quant_type",
    "bnb_4bit_quant_storage",
    "is_checkpoint_fp8_serialized", "autoround_version", "data_type", "enable_minmax_tuning",
    "enable_norm_bias_tuning",
    "enable_quanted_input", "gradient_accumulate_steps", "iters", "low_gpu_mem_usage",
    "low_cpu_mem_usage", "lr", "minmax_lr",
    "nsamples", "scale_dtype", "seqlen", "train_bs", "amp", "act_bits", "act_data_type",
    "act_dynamic", "act_group_size", "act_sym",
    "quant_block_list", "not_use_best_mse", "sampler", "super_bits", "super_group_size",
    "packing_format", "linear_class",
    "provider", "quantization_mode", "use_rms_norm", "rms_norm_eps", "quant_type",
    "input_scale_fmt",
}  # fmt: skip
# keys that name modules which stay as they were
_LEFT_OUT = (
    "modules_to_not_convert",
    "ignore",
    "ignored_layers",
    "exclude_modules",
    "llm_int8_skip_modules",
)
# keys that the function of a method reads
_READ = {
    "fp8": ("weight_block_size", "expert_dtype"), "fbgemm_fp8": ("weight_block_size",),
    "gptq": ("bits", "group_size", "format"),
    "awq": ("bits", "group_size", "format"), "modelopt": ("config_groups", "group_size"),
    "auto-round": ("bits", "group_size", "packing_format", "extra_config"),
    "bitsandbytes": ("load_in_4bit", "load_in_8bit", "_load_in_4bit", "_load_in_8bit",
    "bnb_4bit_use_double_quant"),
    "compressed-tensors": ("config_groups", "format", "sparsity_config"),
}  # fmt: skip


def stored_by(config: Mapping[str, Any]) -> Stored:
    """`quantization_config` in the words of QUANTIZATIONS, with what it says of single modules;
    `why` where something is not understood.
    """
    method = config.get("quant_method") or ("modelopt" if config.get("quant_algo") else None)
    read = _METHODS.get(method) if isinstance(method, str) else None
    stored = Stored() if read is None else read(config)
    if stored.why is not None:
        return stored
    if stored.name is None:
        return Stored(why=f"{short(method)} is not understood")
    way = _WAYS.get(str(method), "part")
    rules = (*_left_out(config, way), *stored.rules)
    understood = {*_NO_BEARING, *_READ.get(str(method), ()), *(rule.key for rule in stored.rules)}
    for key, value in config.items():
        is_read = key in understood or _is_nothing(value)
        if not (_is_names(value) if key in _LEFT_OUT else is_read):
            return Stored(why=f"{short(key)} = {short(value)} is not understood")
    if len(rules) > _MAX_RULES or sum(rule.way == "regex" for rule in rules) > _MAX_PATTERNS:
        return Stored(why=f"{len(rules):,} names of modules are more than are read")
    return stored.replace(rules=rules)


def _left_out(config: Mapping[str, Any], way: str) -> tuple[Rule, ...]:
    """A rule for each module that stays as it was. The last of the keys counts first."""
    return tuple(
        _rule(key, name, way)
        for key in reversed(_LEFT_OUT)
        if isinstance(config.get(key), list)
        for name in config[key]
        if isinstance(name, str)
    )


def _is_names(value: object) -> bool:
    """Whether a key of `_LEFT_OUT` holds names, or none."""
    return value is None or (
        isinstance(value, list) and all(isinstance(module, str) for module in value)
    )


def _is_nothing(value: object) -> bool:
    return value in (None, False, {}, [], "")


# how the libraries that make files of a method compare names
_WAYS = {
    "bitsandbytes": "boundary",
    "fp8": "boundary",
    "fbgemm_fp8": "boundary",
    "compressed-tensors": "whole",
    "modelopt": "glob",
}


def _rule(key: str, name: str, way: str, type: str | None = None) -> Rule:
    return Rule(
        key=key,
        text=name.removeprefix("re:"),
        way="regex" if name.startswith("re:") else way,
        type=type,
    )


def _fp8(config: Mapping[str, Any]) -> Stored:
    block = config.get("weight_block_size")
    if config.get("expert_dtype") not in (None, "fp8"):
        return Stored(why=f"expert_dtype = {short(config['expert_dtype'])} is not understood")
    if block is not None and (block != [128, 128] or not all(type(side) is int for side in block)):
        return Stored(why=f"weight_block_size = {short(block)} is not understood")
    name = "float8_e4m3" if block is None else "float8_e4m3_128x128"
    # transformers 5 writes this key, and makes the head narrow where a list does not name it;
    # publishers' own programs do not
    whole = "expert_dtype" in config and config.get("modules_to_not_convert") is not None
    return _of_name(name, *((_head_too("expert_dtype", name),) if whole else ()))


def _modelopt(config: Mapping[str, Any]) -> Stored:
    algorithm = config.get("quant_algo")
    names = {"NVFP4": "nvfp4", "FP8": "float8_e4m3"}
    name = names.get(algorithm) if isinstance(algorithm, str) else None
    if name is None:
        return Stored(why=f"quant_algo = {short(algorithm)} is not understood")
    return _of_name(name)


def _bitsandbytes(config: Mapping[str, Any]) -> Stored:
    if config.get("load_in_4bit") is True or config.get("_load_in_4bit") is True:
        name = "nf4-double" if config.get("bnb_4bit_use_double_quant") is True else "nf4"
    elif config.get("load_in_8bit") is True:
        name = "int8"
    else:
        return Stored()
    # transformers 5.23.0, quantizers/base.py, get_modules_to_not_convert: a list of one's own
    # takes the place of that with the head
    listed = config.get("llm_int8_skip_modules") is not None
    return _of_name(name, *((_head_too("llm_int8_skip_modules", name),) if listed else ()))


def _of_name(name: str, *rules: Rule) -> Stored:
    """All matrices in one type, but for what the rules name."""
    return Stored(name=name, matrices=name, rules=rules)


def _head_too(key: str, name: str) -> Rule:
    """The rule of a quantizer that takes the output matrix, too."""
    return Rule(key=key, text="lm_head", type=name)


# layers of mlx_lm that others do not quantize, or call otherwise
_MLX_ALONE = {
    "ffn_gate_inp": ("mlp.gate", "mlp.router", "block_sparse_moe.gate"),
    "ffn_gate_inp_shexp": ("mlp.shared_expert_gate",),
    "ffn_gate_exps": ("mlp.switch_mlp.gate_proj", "block_sparse_moe.switch_mlp.gate_proj"),
    "ffn_up_exps": ("mlp.switch_mlp.up_proj", "block_sparse_moe.switch_mlp.up_proj"),
    "ffn_down_exps": ("mlp.switch_mlp.down_proj", "block_sparse_moe.switch_mlp.down_proj"),
}  # fmt: skip
_MLX_LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,5})\.(.+)")


def of_mlx(config: Mapping[str, Any]) -> tuple[str, Mapping[str, str | None]] | None:
    """MLX's `quantization`: the name of its bits and groups, and that of each layer which has
    another; None for what has no name here.

    mlx_lm/utils.py, load_model: under a layer's name stands what that layer has instead, false
    where it was left as it was.
    """
    name = _mlx_name(config)
    if name is None or "bits" not in config or "group_size" not in config:
        return None
    # true: as all others
    apart = {
        key: _mlx_own_name(part)
        for key, part in config.items()
        if part is not True and _is_mlx_layer(key, part)
    }
    in_eight = all(part == "8bit" for part in apart.values())
    if (
        name == "mxfp4"
        and in_eight
        and all(any(part in key for key in apart) for part in ("self_attn", "embed", "router"))
    ):
        # gpt-oss: experts as published, all else in 8 bits
        return "MXFP4-Q8", {}
    return name, {key: part for key, part in apart.items() if part != name}


def _is_mlx_layer(key: str, part: object) -> bool:
    """Whether a key names a layer: most names have dots, two have none, and a switch or an object
    can be nothing else.
    """
    return (
        "." in key or key in ("embed_tokens", "lm_head") or part is False or isinstance(part, dict)
    )


def _mlx_own_name(own: object) -> str | None:
    """The name of what a layer has instead; None for what has no name here."""
    if own is False:
        return "bf16"
    return _mlx_name(own) if isinstance(own, dict) else None


def _mlx_name(config: Mapping[str, Any]) -> str | None:
    """The name of bits, group and mode; mlx.nn.quantize has 4 bits in groups of 64 where
    nothing is said.
    """
    mode = config.get("mode", "affine")
    if isinstance(mode, str) and mode in MLX_MODES:
        # all but their own bits and groups mlx.core.quantize refuses
        own = MLX_MODES[mode]
        return (
            mode if (config.get("bits", own[0]), config.get("group_size", own[1])) == own else None
        )
    bits, group = config.get("bits", 4), config.get("group_size", 64)
    name = f"{bits}bit" + ("" if group == 64 else f"-{group}g")
    return (
        name
        if mode == "affine" and type(bits) is type(group) is int and name in QUANTIZATIONS["mlx"]
        else None
    )


def tensors_apart(
    apart: Mapping[str, str | None], groups: Sequence[TensorGroup]
) -> tuple[tuple[str, str], ...] | str:
    """The types of `of_mlx`'s layers by the names of tensors, once where all blocks have the same;
    or the first key that is not understood.
    """
    layers = layers_by_tensor(groups)
    types: dict[str, dict[int | None, str]] = {}
    for key, type in apart.items():
        if _has_no_tensor(key, type, layers):
            continue
        names, layer = _mlx_tensors(key, layers)
        if not names or type not in APART:
            return key
        for name in names:
            types.setdefault(name, {})[layer] = type
    return tuple(
        entry
        for name, of_layers in types.items()
        for entry in by_name(name, of_layers, len(layers[name]) or 1)
    )


def _has_no_tensor(key: str, type: str | None, layers: Mapping[str, frozenset[int]]) -> bool:
    """Whether a key of MLX names an encoder in 16 bits, as encoders are counted, or the head of a
    model that ties it: mlx_lm makes no such layer.
    """
    if type == "bf16" and ELSEWHERE.search(key):
        return True
    is_head = _MLX_LAYER.search(key) is None and key.rpartition(".")[2] == "lm_head"
    return is_head and "token_embd.weight" in layers and "output.weight" not in layers


def _mlx_tensors(
    key: str, layers: Mapping[str, frozenset[int]]
) -> tuple[tuple[str, ...], int | None]:
    """The tensors of the model that a key of MLX names, and their layer, None outside of blocks."""
    from ..needs.modules import MODULES, OUTSIDE

    within = _MLX_LAYER.search(key)
    if within is None:
        outside = f"{OUTSIDE.get(key.rpartition('.')[2])}.weight"
        return ((outside,) if outside in layers else ()), None
    layer, modules = int(within[1]), (*MODULES.items(), *_MLX_ALONE.items())
    names = (f"blk.*.{name}.weight" for name, called in modules if within[2] in called)
    return tuple(name for name in names if layer in layers.get(name, ())), layer


def _grouped(method: str, config: Mapping[str, Any]) -> Stored:
    """GPTQ and AWQ under the name of their bits and group, with what GPTQ says of single modules;
    `why` where no layout is known.
    """
    name, why = _group_name(method, config.get("bits", 4), config.get("group_size", 128))
    if name is None:
        return Stored(why=why)
    # GPTQModel leaves the head unless a key wants it, whatever patterns say
    head = Rule(key="lm_head", text="lm_head", type=name if config.get("lm_head") is True else None)
    dynamic = config.get("dynamic") or {}
    if not isinstance(dynamic, dict):
        return Stored(why=f"dynamic = {short(dynamic)} is not understood")
    patterns = _dynamic(method, config, dynamic)
    if isinstance(patterns, str):
        return Stored(why=patterns)
    chosen = config.get("modules_in_block_to_quantize") or []
    parts = chosen if isinstance(chosen, list) else [None]
    names = [name for part in parts for name in (part if isinstance(part, list) else [part])]
    if not all(isinstance(module, str) for module in names):
        return Stored(why=f"modules_in_block_to_quantize = {short(chosen)} is not understood")
    rules = (Rule(key="modules_in_block_to_quantize", text=str(text), type=name) for text in names)
    return Stored(name=name, matrices=name, rules=(head, *patterns, *rules), chosen=bool(names))


def _dynamic(
    method: str, config: Mapping[str, Any], dynamic: Mapping[str, Any]
) -> list[Rule] | str:
    """The rules of GPTQModel 5 (gptqmodel/quantization/config.py, dynamic_get); or what is not
    understood. A minus leaves modules out, and the first pattern that fits counts.
    """
    rules = []
    for text, own in dynamic.items():
        type = None
        if not str(text).startswith("-:"):
            type, why = _own_group_name(method, config, own)
            if type is None:
                return f"dynamic: {why}"
        pattern = str(text).removeprefix("-:").removeprefix("+:")
        rules.append(Rule(key="dynamic", text=pattern, way="regex", type=type))
    return rules


def _own_group_name(
    method: str, config: Mapping[str, Any], own: object
) -> tuple[str | None, str | None]:
    """`_group_name` of a module with bits or a group of its own."""
    given = own if isinstance(own, dict) else {}
    return _group_name(
        method,
        given.get("bits", config.get("bits", 4)),
        given.get("group_size", config.get("group_size", 128)),
    )


# layouts that AutoRound packs into (auto_round 0.16.1, export/export_to_autoround/export.py): those
# of GPTQ, without g_idx, and of AWQ
_PACKED_AS = {
    "auto_round": "gptq",
    "auto_round:auto_gptq": "gptq",
    "auto_round:gptq": "gptq",
    "auto_round:auto_awq": "awq",
}


def _auto_rounded(config: Mapping[str, Any]) -> Stored:
    """AutoRound's own format under the name of its layout, with the bits that a layer may have of
    its own.
    """
    layout = config.get("packing_format", "auto_round:auto_gptq")
    method = _PACKED_AS.get(layout) if isinstance(layout, str) else None
    if method is None:
        return Stored(why=f"packing_format = {short(layout)} is not understood")
    if config.get("data_type", "int") != "int":
        return Stored(why=f"data_type = {short(config['data_type'])} is not understood")
    if config.get("act_bits") not in (None, 16, 32):
        return Stored(why=f"act_bits = {short(config['act_bits'])} is not understood")
    stored = _grouped(method, {key: value for key, value in config.items() if key != "dynamic"})
    if stored.why is not None:
        return stored
    own = config.get("extra_config") or {}
    if not isinstance(own, dict):
        return Stored(why=f"extra_config = {short(own)} is not understood")
    rules = [_rule_of_layer(method, config, str(text), part) for text, part in own.items()]
    refused = next((rule for rule in rules if isinstance(rule, Stored)), None)
    own_rules = [rule for rule in rules if isinstance(rule, Rule)]
    return refused or stored.replace(rules=(*own_rules, *stored.rules))


def _rule_of_layer(
    method: str, config: Mapping[str, Any], text: str, part: object
) -> Rule | Stored:
    """AutoRound's own bits for the layers that `text` names; why it is not understood otherwise."""
    given = part if isinstance(part, dict) else {}
    type = None
    if given.get("bits", config.get("bits", 4)) not in (16, 32):
        type, why = _own_group_name(method, config, given)
        if type is None or given.get("data_type", "int") != "int":
            return Stored(why=f"extra_config: {why or short(given.get('data_type'))}")
    way = "boundary" if re.fullmatch(r"[\w.\-]+", text) else "regex"
    return Rule(key="extra_config", text=text, way=way, type=type)


def _group_ending(group: object) -> str:
    """How a layout's name ends for a group of that many weights; -1 is a whole channel."""
    if group == 128:
        return ""
    return "-channel" if group == -1 else f"-{group}g"


def _group_name(method: str, bits: Any, group: Any) -> tuple[str | None, str | None]:
    """The name of a layout, or what of it is not understood."""
    name = method if bits == 4 else f"{method}-{bits}bit"
    base = name
    name += _group_ending(group)
    if type(bits) is int and type(group) is int and name in PACKED:
        return name, None
    return None, (
        f"bits = {short(bits)} is not understood"
        if type(bits) is not int or base not in PACKED
        else f"group_size = {short(group)} is not understood"
    )


def _compressed(config: Mapping[str, Any]) -> Stored:
    """llm-compressor's groups. The model's type is that of the group of all linear layers, else of
    the first; modules that other groups name have theirs.
    """
    sparse = config.get("sparsity_config")
    if sparse and not (isinstance(sparse, dict) and sparse.get("format") in (None, "dense")):
        return Stored(why=f"sparsity_config = {short(sparse)} is not understood")
    groups = config.get("config_groups")
    types: list[tuple[str, list[str]]] = []
    for key, group in groups.items() if isinstance(groups, dict) else ():
        type, odd = _compressed_group(config, group)
        if type is None:
            return Stored(why=f"config_groups: {short(key)} = {short(odd)} is not understood")
        types.append(type)
    if not types:
        return Stored(why="config_groups is missing")
    general = next((name for name, targets in reversed(types) if "Linear" in targets), None)
    # names before patterns, those by the alphabet, and of one that stands twice the last
    # (match_targets of utils/match.py)
    named = {target: name for name, targets in types for target in targets if target != "Linear"}
    rules = [
        _rule("targets", target, "whole", named[target])
        for target in sorted(named, key=lambda target: ("re:" in target, target))
    ]
    if general is not None:
        # the head is a linear layer like any other, unless it is left out
        rules.append(_head_too("targets", general))
    name = general or types[0][0]
    return Stored(name=name, matrices=name, rules=tuple(rules), chosen=general is None)


def _compressed_group(
    config: Mapping[str, Any], group: object
) -> tuple[tuple[str, list[str]] | None, object]:
    """The type of a group and the modules that it is for; or None and what is not understood."""
    if not isinstance(group, dict):
        return None, None
    weights, targets = group.get("weights"), group.get("targets", ["Linear"])
    if not isinstance(weights, dict):
        return None, weights
    name = _compressed_name(weights, group.get("format") or config.get("format"))
    if name is None:
        return None, weights
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        return None, targets
    return (name, targets), None


# formats of compressed-tensors whose layout follows from the kind of the weights
_UNNAMED_FORMATS = (
    None,
    "dense",
    "pack-quantized",
    "int-quantized",
    "float-quantized",
    "naive-quantized",
)


def _compressed_name(weights: Mapping[str, Any], format: object) -> str | None:
    """compressed-tensors 0.12, quant_args.py and config/format.py; None for a layout that is not
    known here.
    """
    kind, bits, group = weights.get("type"), weights.get("num_bits"), weights.get("group_size")
    if format in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
        return str(format)[:5]
    if type(bits) is not int or not (group is None or type(group) is int):
        return None
    if format not in _UNNAMED_FORMATS:
        return None
    if (kind, bits) == ("float", 8):
        return _eight_float_name(weights)
    return _whole_number_name(bits, group, weights) if kind == "int" else None


def _eight_float_name(weights: Mapping[str, Any]) -> str | None:
    if weights.get("strategy") == "block":
        in_blocks = weights.get("block_structure") in ([128, 128], "128x128")
        return "float8_e4m3_128x128" if in_blocks else None
    return "float8_e4m3" if weights.get("group_size") is None else None


def _whole_number_name(bits: int, group: int | None, weights: Mapping[str, Any]) -> str | None:
    if bits not in (4, 8):
        return None
    symmetric = weights.get("symmetric", True) is not False
    if (bits, group) == (8, None):
        return "w8a8"
    if (bits, group) == (4, 32) and symmetric:
        return "int4_32"
    ending = _group_ending(-1 if group is None else group)
    name = f"w{bits}a16{ending}" + ("" if symmetric else "-asym")
    return name if name in PACKED else None


# by quant_method
_METHODS: Mapping[str, Callable[[Mapping[str, Any]], Stored]] = {
    "auto-round": _auto_rounded,
    "awq": lambda config: _grouped("awq", config),
    "bitnet": lambda _config: _of_name("ternary"),
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed,
    "fbgemm_fp8": _fp8,
    "fp8": _fp8,
    "gptq": lambda config: _grouped("gptq", config),
    "modelopt": _modelopt,
    "mxfp4": lambda _config: Stored(name="mxfp4", experts="mxfp4"),
}
