"""What each layer of a `config.json` mixes its tokens with: attention, a recurrent state, or
neither; and which layers that attend have a window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .keys import CONTEXT, Keys, Unclear, UnclearWindow, short
from .recurrent import STATE_READERS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# every how many layers of Llama 4 one has no window, where the file does not say (Llama4TextConfig)
_LLAMA4_FULL_EVERY = 4
# keys of a window; the first that has a value counts
_WINDOW = ("sliding_window", "sliding_window_size", "attention_chunk_size", "window_size")
# keys that say which layer is what; `layer_kinds` knows all of them
_LAYER_KEYS = frozenset({
    "layer_types", "layers_block_type", "hybrid_override_pattern", "full_attention_interval",
    "attn_layer_period", "attn_layer_offset",
    "full_attn_idxs", "block_configs", "cross_attention_layers", "hybrid_layer_pattern",
    "sliding_window_pattern",
    "_sliding_window_pattern", "max_window_layers", "no_rope_layers", "attention_types",
    "sliding_window", "sliding_window_size",
    "attention_chunk_size", "window_size", "linear_full_attn_layers", "linear_kda_layers",
    "global_attn_every_n_layers", "sliding_window_layout", "layer_group_size",
    "short_conv_kernel_size",
    "mtp_hybrid_override_pattern", "mtp_layers_block_type", "cla_share_factor",
    "linear_attn_config", "attn_type", "attn_layer_indices",
})  # fmt: skip
# every how many layers one attends to everything: 1 in the files of Phi 4 and of Grok 2, whose
# layers all do
_FULL_EACH = ("full_attn_mod", "global_attn_every_n")
# kinds of layers that attend, and kinds that keep a state
ATTENDING = frozenset({"full", "sliding", "cross", "hybrid", "compressed"})
STATES = frozenset(STATE_READERS)
# the names that transformers has for them
_NAMES: Mapping[str, str] = {
    "attention": "full",
    "full_attention": "full",
    "sliding_attention": "sliding",
    "chunked_attention": "sliding",
    "linear_attention": "delta",
    "conv": "convolution",
    "mamba": "mamba",
    "mamba2": "mamba2",
    "hybrid": "hybrid",
    "mlp": "mlp",
    "moe": "moe",
}
# letters of Nemotron H: Mamba-2, attention, feed-forward, experts
_PATTERN: Mapping[str, str] = {"M": "mamba2", "*": "full", "-": "mlp", "E": "moe"}


def kept_in(quantization: object, *, latent: bool) -> str | None:
    """The type in which a checkpoint wants keys and values kept; None where it states none, or one
    that vLLM passes over.

    vllm 0.33.0: kv_cache_scheme of compressed-tensors (layers/attention/attention.py), which rows
    of latent attention ignore (mla_attention.py); any key of NVIDIA's exporter
    (utils/torch_utils.py, get_kv_cache_quant_algo_string); and of both FP8 alone.
    """
    if not isinstance(quantization, Mapping):
        return None
    method = quantization.get("quant_method")
    if isinstance(method, str) and method.startswith("modelopt"):
        in_eight = _modelopt_keeps_eight(quantization)
    else:
        scheme = quantization.get("kv_cache_scheme")
        in_eight = method == "compressed-tensors" and not latent and _eight_float_bits(scheme)
    return "float8_e4m3" if in_eight else None


def _modelopt_keeps_eight(quantization: Mapping[str, Any]) -> bool:
    inner = quantization.get("quantization")
    parts = (inner, quantization) if isinstance(inner, Mapping) else (quantization,)
    stated = (part.get(key) for key in ("kv_cache_scheme", "kv_cache_quant_algo") for part in parts)
    scheme = next((value for value in stated if value), None)
    if isinstance(scheme, str):
        return scheme.lower() == "fp8"
    fixed = isinstance(scheme, Mapping) and scheme.get("dynamic") is False
    return fixed and _eight_float_bits(scheme)


def quantizer_of(quantization: Mapping[str, Any]) -> str | None:
    """The program that made the weights narrow, where some runtime that loads their type does not
    load its files.
    """
    method = quantization.get("quant_method") or (
        "modelopt" if quantization.get("quant_algo") else None
    )
    return "modelopt" if method == "modelopt" else None


def _eight_float_bits(scheme: object) -> bool:
    return isinstance(scheme, Mapping) and (scheme.get("num_bits"), scheme.get("type")) == (
        8,
        "float",
    )


def layer_kinds(config: Keys) -> list[str]:
    """The kind of each layer: one of `ATTENDING` or `STATES`, or a layer with a feed-forward alone.
    Raises `Unclear`, and `UnclearWindow` where only the windows do not follow.
    """
    config.understood.update(_LAYER_KEYS)
    if config.type.layers_alike == "compressed":
        config.understood.add("compress_ratios")
        return ["compressed"] * config.layers
    attending = config.switches("attn_type_list")
    if attending and config.type.attn_type_list:
        return ["full" if attends else config.type.attn_type_list for attends in attending]
    _refuse_unread_layouts(config, attending)
    for read in _LAYOUTS:
        kinds = read(config)
        if kinds is not None:
            return kinds
    return _last_full(config, ["sliding" if slides else "full" for slides in which_slide(config)])


def _refuse_unread_layouts(config: Keys, attending: list[bool] | None) -> None:
    """Raises for ways to lay out the layers that nothing here reads."""
    if config.get("compress_ratios"):
        raise Unclear("compress_ratios: compressed attention is not understood")
    # a list of attention alone may say what its absence says
    if attending and not (config.type.lists_attention and all(attending)):
        raise Unclear("attn_type_list: not understood")
    if config.flag("use_cla"):
        raise Unclear("use_cla: layers that share a cache are not understood")
    if config.get("attn_type") not in (None, "multihead_attention"):
        raise Unclear(f"attn_type: {short(config.get('attn_type'))} is not understood")
    for key in _FULL_EACH:
        if config.get(key) not in (None, 1):
            raise Unclear(f"{key}: {short(config.get(key))} is not understood")


# -------- layouts: each reads one way to say the kinds; None where the file does not use it


def _lettered(config: Keys) -> list[str] | None:
    pattern = config.get("hybrid_override_pattern")
    if not isinstance(pattern, str):
        return None
    if len(pattern) != config.layers or set(pattern) - set(_PATTERN):
        raise Unclear("hybrid_override_pattern: not one known letter for each layer")
    return [_PATTERN[letter] for letter in pattern]


def _named(config: Keys) -> list[str] | None:
    """The kinds that `layer_types` names, one for each layer."""
    names = config.get("layer_types", "layers_block_type")
    if not names:
        return None
    # the keys of recurrent layers stand in the file whether or not the list has any
    matter, other_names = config.known.get("matter", ()), config.known.get("names", {})
    config.understood.update(
        key
        for key in config.text
        if key.startswith("mamba_") and not {key, other_names.get(key)} & {*matter}
    )
    layers = config.layers
    if not isinstance(names, list) or len(names) < layers:
        raise Unclear(f"layer_types does not list one entry for each of the {layers:,} layers")
    return _last_full(config, [_named_kind(config, name) for name in names[:layers]])


def _of_type(config: Keys) -> list[str] | None:
    """The kinds where the model type says how to read them."""
    if config.type.layers_alike:
        return [config.type.layers_alike] * config.layers
    reader = config.type.layer_reader
    return LAYER_READERS[reader](config) if reader else None


def _kimi(config: Keys) -> list[str] | None:
    """Two lists of layers, which count from 1."""
    full, linear = config.get("linear_full_attn_layers"), config.get("linear_kda_layers")
    if not full and not linear:
        return None
    full, linear = full or [], linear or []
    numbers = range(1, config.layers + 1)
    if (
        not isinstance(full, list)
        or not isinstance(linear, list)
        or sorted([*full, *linear], key=str) != sorted(numbers, key=str)
    ):
        raise Unclear("linear_attn_config does not name each layer once")
    return ["full" if number in full else "kda" for number in numbers]


def _by_group(config: Keys) -> list[str] | None:
    """The last layer of each group attends, and so does an incomplete group at the end."""
    layers = config.layers
    group = config.number(config.type.layer_group) if config.type.layer_group else None
    if not group:
        return None
    return [
        "full" if (number + 1) % group == 0 or number >= layers // group * group else "kda"
        for number in range(layers)
    ]


def _by_interval(config: Keys) -> list[str] | None:
    """One layer of every so many attends, and the others are of the delta rule."""
    every = config.number("full_attention_interval") or config.type.delta_but_every
    if not every:
        return None
    kinds = ["full" if (number + 1) % every == 0 else "delta" for number in range(config.layers)]
    return [*kinds[:-1], "full"] if config.type.one_attends and "full" not in kinds else kinds


def _by_period(config: Keys) -> list[str] | None:
    """One layer of every so many attends, and the others are of Mamba."""
    period = config.number("attn_layer_period")
    if not period:
        return None
    offset = config.number("attn_layer_offset") or 0
    return ["full" if number % period == offset else "mamba" for number in range(config.layers)]


def _by_places(config: Keys) -> list[str] | None:
    full = config.places("full_attn_idxs")
    if full is None:
        return None
    return ["full" if number in full else "convolution" for number in range(config.layers)]


def _by_block(config: Keys) -> list[str] | None:
    """`block_configs` of DeciLM."""
    blocks = config.per_layer("block_configs")
    return [_block_kind(block) for block in blocks] if blocks else None


def _crossing(config: Keys) -> list[str] | None:
    """Some layers attend to pictures (Llama 3.2)."""
    crossing = config.places("cross_attention_layers")
    if crossing is None:
        return None
    return ["cross" if number in crossing else "full" for number in range(config.layers)]


# the first that a file uses counts
_LAYOUTS: tuple[Callable[[Keys], list[str] | None], ...] = (
    _lettered,
    _named,
    _of_type,
    _kimi,
    _by_group,
    _by_interval,
    _by_period,
    _by_places,
    _by_block,
    _crossing,
)


def _last_full(config: Keys, kinds: list[str]) -> list[str]:
    return [*kinds[:-1], "full"] if config.type.last_attends_to_all else kinds


def _named_kind(config: Keys, name: Any) -> str:
    kind = _NAMES.get(name) if isinstance(name, str) else None
    if config.type.indexed and name in ("sparse_attention", "indexed_attention"):
        # indexer_types says where the index is; transformers 5 names the layers so
        return "full"
    if kind is None:
        raise Unclear(f"layer_types: {short(name)} is not understood")
    if config.type.shared_blocks and kind not in ("mamba", "delta", "hybrid"):
        raise Unclear(f"layer_types: {short(name)} is not understood")
    if kind == "mamba":
        return config.type.mamba_is
    if kind == "delta":
        return config.type.linear_is
    if kind == "sliding" and window_tokens(config) is None:
        return "full"
    return kind


def _block_kind(block: Any) -> str:
    part = block.get("attention") if isinstance(block, dict) else None
    if not isinstance(part, dict):
        raise Unclear("block_configs: not understood")
    if part.get("window_length") or part.get("sparsify"):
        raise Unclear("block_configs: window_length and sparsify are not understood")
    return "none" if part.get("no_op") or part.get("replace_with_linear") else "full"


# -------- readers that a row of model_types.toml names


def _indexed_layers(config: Keys) -> list[str]:
    """`attn_layer_indices` names the layers that attend."""
    attending = config.places("attn_layer_indices") or []
    return ["full" if number in attending else "mamba2" for number in range(config.layers)]


def _shared_block_layers(config: Keys) -> list[str]:
    from .zamba import zamba_kinds

    return zamba_kinds(config)


def _block_type_layers(config: Keys) -> list[str]:
    """`block_types` repeats (RecurrentGemmaConfig). Layers that attend have the window, however
    long the context.
    """
    # older classes write both names
    blocks = config.get("block_types", "_block_types") or ["recurrent", "recurrent", "attention"]
    if not isinstance(blocks, list) or not set(map(str, blocks)) <= {"recurrent", "attention"}:
        raise Unclear(f"block_types: {short(blocks)} is not understood")
    config.understood.update(("attention_window_size", "sliding_window"))
    return [
        "rglru" if blocks[number % len(blocks)] == "recurrent" else "sliding"
        for number in range(config.layers)
    ]


def _step_layers(config: Keys) -> list[str]:
    """One layer of every `mamba_step` attends (modeling_plamo.py: is_mamba): to the window where
    the file has one, or to everything where `full_attention_idx` names the layer.
    """
    step, layers = config.needed("mamba_step"), config.layers
    full = config.places("full_attention_idx") or []
    if config.get("mamba_enabled") is False or layers <= step // 2:
        raise Unclear("mamba_enabled, mamba_step: layers of one kind alone are not understood")
    sliding = "full" if window_tokens(config) is None else "sliding"
    attending = {number: "full" if number in full else sliding for number in range(layers)}
    return [
        attending[number] if number % step == step // 2 else "mamba" for number in range(layers)
    ]


# by the `layer_reader` of a model type
LAYER_READERS: Mapping[str, Callable[[Keys], list[str]]] = {
    "attn_layer_indices": _indexed_layers,
    "block_types": _block_type_layers,
    "mamba_step": _step_layers,
    "shared_blocks": _shared_block_layers,
}


# -------- windows


def window_tokens(config: Keys) -> int | None:
    """Tokens of the window, None where no layer has one shorter than the context."""
    if config.type.window_key:
        return config.number(config.type.window_key) or None
    keys = config.type.window_keys or _WINDOW
    window = None if config.get(*keys) == -1 else config.number(*keys)
    if window is None:
        window = config.type.window_tokens
    if (
        not config.type.chunk_is_window
        and config.get("sliding_window", "sliding_window_size") is None
    ):
        window = None
    if config.text.get("use_sliding_window") is False:
        window = None
    if window and config.type.halves_window and config.flag("use_bidirectional_attention"):
        window = window // 2 + 1
    context = config.number(*CONTEXT)
    # a window as long as the context limits nothing
    return window if window and not (context and window >= context) else None


def which_slide(config: Keys) -> list[bool]:
    """Whether each layer has the window. Raises `UnclearWindow` where the file does not say."""
    layers = config.layers
    stated = config.switches("hybrid_layer_pattern") or config.switches("sliding_window_layout")
    first = config.number("max_window_layers")
    # a faulty list is refused without a window, too
    config.switches("no_rope_layers")
    window = window_tokens(config)
    if window is None:
        return [False] * layers
    if stated:
        return stated
    if config.type.slides:
        return SLIDES[config.type.slides](config)
    by_pattern = _by_pattern(config)
    if by_pattern is not None:
        return by_pattern
    if config.text.get("use_sliding_window") is True and first is not None:
        return [number >= first for number in range(layers)]
    every = config.number("global_attn_every_n_layers") or config.type.full_every
    if every is None:
        raise UnclearWindow(
            f"sliding_window: {window:,} tokens, and the file does not say in which layers"
        )
    return [every == 0 or (number + 1) % every != 0 for number in range(layers)]


def _by_pattern(config: Keys) -> list[bool] | None:
    """`sliding_window_pattern`: letters that repeat, L with the window and G without; or every how
    many layers one has none. None where the key is missing.
    """
    pattern = config.get("sliding_window_pattern", "_sliding_window_pattern")
    if pattern is None:
        return None
    numbers = range(config.layers)
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return [pattern[number % len(pattern)] == "L" for number in numbers]
    if type(pattern) is int and pattern > 0:
        return [(number + 1) % pattern != 0 for number in numbers]
    raise UnclearWindow(f"sliding_window_pattern: {short(pattern)} is not understood")


def _but_every_stated(config: Keys) -> list[bool]:
    every = config.needed("global_attn_every_n_layers")
    return [bool(number % every) for number in range(config.layers)]


def _with_rope(config: Keys) -> list[bool]:
    """A layer without rope attends to everything (Llama 4)."""
    stated = config.switches("no_rope_layers")
    return stated or [(number + 1) % _LLAMA4_FULL_EVERY != 0 for number in range(config.layers)]


def _first_and_sixth_full(config: Keys) -> list[bool]:
    """The first layer attends to everything, and every sixth (MiMoV2FlashConfig)."""
    return [number > 0 and (number + 1) % 6 != 0 for number in range(config.layers)]


def _named_local(config: Keys) -> list[bool]:
    """`attention_types` of GPT Neo: lists of kinds, and how often each list repeats."""
    types, layers = config.get("attention_types"), config.layers
    is_local: list[bool] = []
    for part in types if isinstance(types, list) else []:
        if not (
            isinstance(part, list)
            and len(part) == 2
            and isinstance(part[0], list)
            and type(part[1]) is int
            and 0 < part[1] <= layers
        ):
            break
        is_local += [name == "local" for name in part[0]] * part[1]
        if len(is_local) >= layers:
            break
    if len(is_local) != layers:
        raise Unclear("attention_types does not name each layer once")
    return is_local


# by the `slides` of a model type: whether each layer has the window
SLIDES: Mapping[str, Callable[[Keys], list[bool]]] = {
    "all_but_every": _but_every_stated,
    "attention_types": _named_local,
    "first_and_sixth_full": _first_and_sixth_full,
    "rope": _with_rope,
}
