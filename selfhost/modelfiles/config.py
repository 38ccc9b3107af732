"""From a Hugging Face `config.json` to a `ModelSpec`: the shape of a model, without its weights.

What goes in: the path of the file. What comes out: a `LocalModel` whose spec has, for each layer,
attention with a cache, a recurrent state or a feed-forward.

The keys are those of the transformers configuration classes and of the published files themselves.
Where a key bears on the cache or on the weights and is not understood, that part of the spec stays
empty, and `unknown` says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..catalogue.spec import INCOMPLETE, ModelSpec, Parameters, Quantized, Safety
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.records import shown
from ..core.tables import TomlRow
from ..needs.tensors import (
    UNKNOWN_ROW,
    all_and_active,
    block_tensors,
    count_parameters,
    row_of,
)
from . import source
from .config_keys import MAX_CONFIG_BYTES, TABLES, Keys
from .config_weights import Stored, stored_of
from .sizes import MAX_NUMBER, Unclear, grouped, most_heads, refuse_contradictions
from .source import (
    JsonValues,
    LocalModel,
    reason,
    short,
)
from .tables import architectures, model_files

# where NVIDIA's exporter writes what others write into config.json
_QUANTIZATION = "hf_quant_config.json"
# types that publishers store weights in
_PUBLISHED = ("float8", "mxfp4", "ternary")
# kinds of layers that attend; "hybrid" keeps a state, too
_ATTENDING = ("full", "sliding", "cross", "hybrid")
# what `per_layer_config` may state
_OWN_SIZES = ("head_dim", "num_key_value_heads")


def read_config(path: str) -> LocalModel:
    """The model that a config.json describes, without its weights. Raises `SpecError`."""
    keys = Keys(path, _values_of(path))
    stored = stored_of(keys)
    if stored.why is not None:
        keys.unknown["architecture.matrix_dtype"] = stored.why
    architecture = None
    try:
        architecture = _architecture(keys, stored)
    except Unclear as why:
        keys.unknown["architecture"] = str(why)
    language = _parameters(keys, architecture)
    counts = language
    if keys.sees or isinstance(keys.outer.get("audio_config"), dict):
        text_width = architecture.embedding_length if architecture else 0
        counts = _with_encoders(keys, language, text_width)
    if counts.total is None:
        why_not = "it does not follow from config.json alone"
        keys.unknown.setdefault("parameters.total", why_not)
    return LocalModel(
        spec=_spec(keys, stored, architecture, counts),
        format=stored.format,
        quantization=stored.name,
        notes=tuple(keys.notes),
        is_quantized=stored.quantized,
        language_parameters=language.total,
    )


def _values_of(path: str) -> Any:
    """The values of the file, with what NVIDIA's exporter wrote beside it."""
    values = source.read_json(path, MAX_CONFIG_BYTES, what="config.json")
    exported = source.beside(path, _QUANTIZATION)
    if exported is None or not isinstance(values, dict):
        return values
    if values.get("quantization_config"):
        return values
    export = source.read_json(exported, MAX_CONFIG_BYTES, what=_QUANTIZATION)
    quantization = {"quant_method": "modelopt"}
    if isinstance(export, dict) and isinstance(export.get("quantization"), dict):
        quantization |= export["quantization"]
    return {**values, "quantization_config": quantization}


def _spec(
    keys: Keys, stored: Stored, architecture: Architecture | None, counts: Parameters
) -> ModelSpec:
    modality = "vision" if keys.sees else "text"
    if architecture is not None and not architecture.output_matrix:
        modality = "embedding"
    file = shown(keys.path)
    # classes that transformers has of its own do not need the code that auto_map names
    is_foreign = not keys.in_gguf or keys.type.own_code
    has_own_code = is_foreign and isinstance(keys.outer.get("auto_map"), dict)
    sources = {"architecture": file}
    if counts.total or counts.mtp:
        sources["parameters"] = "sum over the architecture"
    if counts.encoders:
        how = "estimated from the widths and layers of config.json"
        sources["parameters.encoders"] = how
    safety = Safety()
    if has_own_code:
        safety = Safety(remote_code=True)
        sources["safety"] = f"auto_map in {file}"
    return source.spec_of(
        keys.path,
        modality=modality,
        parameters=counts,
        architecture=architecture,
        quantized=_quantized_by_others(stored),
        safety=safety,
        sources=sources,
        unknown={**keys.unknown, **model_files().never_stated},
    )


def _quantized_by_others(stored: Stored) -> Quantized | None:
    """How weights are stored that others quantized; None for weights as they were published."""
    if not stored.quantized:
        return None
    # a narrow type that models are published in, and that converters read
    name = stored.name or ""
    if stored.format != "mlx" and name.startswith(_PUBLISHED):
        return None
    if name not in QUANTIZATIONS[stored.format]:
        return Quantized(format=stored.format)
    return Quantized(format=stored.format, quantization=name)


def _parameters(keys: Keys, architecture: Architecture | None) -> Parameters:
    """Those of the language model."""
    if architecture is None or "parameters.total" in keys.unknown:
        return Parameters()
    if row_of(architecture) is UNKNOWN_ROW:
        return Parameters()
    total, active = all_and_active(architecture)
    if total > source.MAX_PARAMETERS:
        source.refuse(keys.path, "parameters", total=f"{total:.1e}")
    predicting = None
    if keys.outer_type.mtp_layers is not None:
        predicting = count_parameters(block_tensors(architecture)) or None
    return Parameters(total=total, active=max(1, active), mtp=predicting)


def _with_encoders(keys: Keys, counts: Parameters, text_width: int) -> Parameters:
    """The parameters of the language model and about those of its encoders."""
    parts = []
    for name in TABLES.encoders["parts"]:
        part = keys.outer.get(name)
        if isinstance(part, dict):
            parts.append(part)
    total = sum(encoder_parameters(part, text_width) for part in parts)
    if not 0 < total <= source.MAX_PARAMETERS:
        keys.unknown["parameters.encoders"] = reason("encoder-size")
        return counts.replace(total=None, active=None)
    keys.notes.append(reason("encoders", millions=round(total / 1e6)))
    if counts.total is not None and counts.active is not None:
        all_parameters = counts.total + total
        counts = counts.replace(total=all_parameters, active=counts.active + total)
    encoder_type = _encoder_type(keys.outer_kind, parts[0])
    return counts.replace(
        encoders=total, projector_bytes=2 * total, encoder_type=encoder_type
    )


def _encoder_type(model_type: str, part: JsonValues) -> str:
    """The first encoder's type, as `[[encoder]]` of architectures.toml has it."""
    own_type = source.clean(part.get("model_type")).lower()
    width = _size(part, "width")
    by_width = f"{model_type} {width}"
    by_type = f"{model_type} {own_type} {width}"
    measured: set[str] = set()
    for row in architectures().encoder:
        measured.update(row.get("types", ()))
    if by_width in measured and by_type not in measured:
        return by_width
    return by_type


def encoder_parameters(part: JsonValues, text_width: int) -> int:
    """About how many parameters an encoder has, with two matrices from merged patches to a text."""
    width, layers = _size(part, "width"), _size(part, "layers")
    inner = _size(part, "length") or 4 * width
    matrices = 3 if part.get("hidden_act") in ("silu", "swish") else 2
    merged = width * (_size(part, "merged") or 1) ** 2
    joiner = (1 + _deepstack_layers(part)) * merged * (merged + text_width)
    return layers * (4 * width * width + matrices * width * inner) + joiner


def _size(part: JsonValues, size: str) -> int:
    """The first of the names of a size that has a whole number; 0 without one."""
    for name in TABLES.encoders[size]:
        value = part.get(name)
        if type(value) is int and 0 < value < MAX_NUMBER:
            return value
    return 0


def _deepstack_layers(encoder: object) -> int:
    """Layers of the text that add a slice of the encoder's embeddings."""
    if not isinstance(encoder, Mapping):
        return 0
    places = encoder.get("deepstack_visual_indexes")
    return len(places) if isinstance(places, list) else 0


def _architecture(keys: Keys, stored: Stored) -> Architecture:
    """The layers and the tables. Raises `Unclear` where the cache does not follow."""
    _count_layers(keys)
    width = keys.needed("width")
    called = TABLES.called
    kinds = _kinds(keys)
    _spread_own_sizes(keys, kinds)
    layers = list(enumerate(kinds))
    attending = [_attention(keys, number, kind) for number, kind in layers]
    attention = grouped(attending, width, called)
    recurrent = grouped([_state(keys, kind) for kind in kinds], width, called)
    doubt: str | None = None
    feed_forward: tuple[FeedForward, ...] = ()
    try:
        parts = [_feed_forward(keys, number, kind) for number, kind in layers]
        feed_forward = grouped(parts, width, called)
    except Unclear as why:
        doubt = str(why)
    has_experts = any(part.experts for part in feed_forward)
    name, row = _row_of(keys, has_states=bool(recurrent), has_experts=has_experts)
    is_encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
    fields = {**_tables(keys, row or {}), **_layers_apart(keys)}
    tied = _ties_embeddings(keys, is_encoder=is_encoder)
    _refuse_doubtful_cache(keys, row, attends=bool(attention))
    why_incomplete = _incompleteness(keys, doubt, row, tied=tied)
    if why_incomplete is not None:
        if row is not None and (is_encoder or row.get("recomputes")):
            # without its row it would be believed to keep a cache
            raise Unclear(why_incomplete)
        keys.unknown["parameters.total"] = reason("incomplete", why=why_incomplete)
        if row is not None:
            # with the name of a row it would be believed to have all its tensors
            name += INCOMPLETE
    architecture = Architecture(
        row=name,
        runs_in_gguf=keys.in_gguf,
        layers=keys.layers,
        embedding_length=width,
        heads=most_heads(attention),
        attention=attention,
        recurrent=recurrent,
        feed_forward=feed_forward,
        tied_embeddings=bool(tied),
        output_matrix=not is_encoder and not keys.is_headless,
        matrix_dtype=stored.matrices,
        expert_dtype=stored.experts,
        quantizer=stored.quantizer,
        **fields,
    )
    refuse_contradictions(architecture)
    return architecture


def _row_of(
    keys: Keys, *, has_states: bool, has_experts: bool
) -> tuple[str, TomlRow | None]:
    """The name of its row of architectures.toml, or what stands in for that, and the row."""
    type = keys.type
    if not type.row:
        return keys.kind or "unnamed", None
    name = ""
    if "OCR" in keys.class_name:
        name = type.row_of_ocr
    elif has_experts:
        name = type.row_with_experts
    elif not has_states:
        name = type.row_without_states
    name = name or type.row
    return name, architectures().architecture.get(name)


def _count_layers(keys: Keys) -> None:
    """Set `layers`. Raises for a model type whose layers are not read."""
    not_read = keys.type.not_read
    if not not_read and keys.outer.get("is_encoder_decoder"):
        not_read = "an encoder beside its decoder (is_encoder_decoder)"
    if not_read:
        model = keys.kind or "the model"
        raise Unclear(f"model_type: {model} has {not_read}, which is not read")
    layers = keys.number("layers", least=1)
    if layers is None:
        pattern = keys.get("hybrid_override_pattern", "layers_block_type")
        layers = len(pattern) if isinstance(pattern, (str, list)) else 0
    if layers == 0:
        raise Unclear("num_hidden_layers is missing")
    if layers > MAX_LAYERS:
        source.refuse(keys.path, "layers", layers=layers, most=MAX_LAYERS)
    keys.layers = layers


def _kinds(keys: Keys) -> list[str]:
    """What each layer is: one of the kinds of attention, of states, or of feed-forwards."""
    kinds = _kinds_as_stated(keys)
    if keys.type.last_full:
        # whatever the file says, the last layer of some attends to everything
        kinds[-1] = "full"
    return kinds


def _kinds_as_stated(keys: Keys) -> list[str]:
    layers = range(keys.layers)
    names = keys.per_layer(*TABLES.keys.kinds)
    if names is not None:
        return _listed_kinds(keys, names)
    key = keys.stated(*TABLES.places)
    places = keys.places(key)
    if places is not None:
        kind, others = TABLES.places[key]
        return [kind if number in places else others for number in layers]
    every = keys.number("full_attention_interval")
    if every:
        return ["delta" if (number + 1) % every else "full" for number in layers]
    kind = keys.type.layers
    if kind:
        return [kind] * keys.layers
    return ["sliding" if slides else "full" for slides in _sliding(keys)]


def _listed_kinds(keys: Keys, names: Sequence[Any]) -> list[str]:
    """The kinds of layers by their names in the file."""
    if isinstance(names, list):
        # the keys of recurrent layers stand in the file whether or not the list has any
        keys.understood.update(key for key in keys.values if key.startswith("mamba_"))
    meanings = {**TABLES.kinds, **keys.type.kinds}
    window = _window(keys)
    kinds = []
    for name in names:
        kind = meanings.get(str(name))
        if not kind:
            key = keys.stated(*TABLES.keys.kinds)
            raise Unclear(f"{key}: {short(name)} is not understood")
        if kind == "sliding" and window is None:
            kind = "full"
        kinds.append(kind)
    return kinds


def _window(keys: Keys) -> int | None:
    """In tokens, None where no layer has one shorter than the context."""
    if keys.get("window") == -1 or keys.values.get("use_sliding_window") is False:
        return None
    window = keys.number("window")
    context = keys.number("context")
    if window and context and window >= context:
        # a window as long as the context limits nothing
        return None
    return window or None


def _sliding(keys: Keys) -> list[bool]:
    """Whether each layer has the window. Raises `Unclear` where the file does not say."""
    layers = range(keys.layers)
    window = _window(keys)
    # a layer without rope attends to everything (Llama 4, SmallThinker)
    turned = keys.per_layer("no_rope_layers")
    first = keys.number("full_first_of")
    pattern = keys.get("sliding_window_pattern", "_sliding_window_pattern")
    if window is None or keys.type.all_slide:
        return [window is not None] * keys.layers
    if turned:
        return [bool(flag) for flag in turned]
    if first:
        return [number % first != 0 for number in layers]
    if type(pattern) is int and pattern > 0:
        return [(number + 1) % pattern != 0 for number in layers]
    raise Unclear(reason("sliding_window", window=window, pattern=short(pattern)))


def _spread_own_sizes(keys: Keys, kinds: Sequence[str]) -> None:
    """List for each layer the sizes that some have otherwise: by a table of transformers 5.23, or
    those without a window (Gemma 4).
    """
    by_layer = keys.get("per_layer_config") or {}
    rows = by_layer.values() if isinstance(by_layer, dict) else [by_layer]
    for row in rows:
        if not isinstance(row, dict) or not row.keys() <= set(_OWN_SIZES):
            raise Unclear(f"per_layer_config is {short(by_layer)}, not understood")
    full: dict[str, int | None] = {}
    global_length = keys.number("global_head_dim")
    if global_length:
        full["head_dim"] = global_length
        if keys.get("attention_k_eq_v"):
            heads = keys.number("num_global_key_value_heads", least=1)
            full["num_key_value_heads"] = heads
    if not by_layer and not full:
        return
    for key in _OWN_SIZES:
        usual = keys.values.get(key)
        sizes = []
        for number, kind in enumerate(kinds):
            size = by_layer.get(str(number), {}).get(key, usual)
            if kind == "full" and full.get(key):
                size = full[key]
            sizes.append(size)
        keys.values[key] = sizes


def _attention(keys: Keys, number: int, kind: str) -> Attention | None:
    """The attention of a layer, None where it has none."""
    if kind not in _ATTENDING:
        return None
    heads = keys.number("num_attention_heads_per_layer", layer=number)
    heads = heads or keys.needed("heads", layer=number)
    # without its latent a class that has one by default has no attention
    has_latent = keys.number("kv_lora_rank") or keys.defaults.get("kv_lora_rank")
    if kind == "full" and has_latent and keys.values.get("use_mla") is not False:
        return _latent(keys, number, heads)
    stated = keys.number("head_length", least=1, layer=number)
    width = keys.needed("width")
    if width % heads and not keys.get("head_length"):
        raise Unclear(reason("head_dim", width=width, heads=heads))
    length = stated or width // heads
    # in place of values (Gemma 4)
    values_from_keys = kind == "full" and bool(keys.get("attention_k_eq_v"))
    return Attention(
        kind="full" if kind == "hybrid" else kind,
        heads=heads,
        kv_heads=_kv_heads(keys, number, heads),
        key_length=length,
        value_length=length,
        window_tokens=_window(keys) if kind == "sliding" else None,
        values_from_keys=values_from_keys,
        **TABLES.kind_has.get(kind, {}),
    )


def _kv_heads(keys: Keys, number: int, heads: int) -> int:
    stated = keys.number("kv_heads", layer=number)
    shares_one = keys.get("multi_query")
    # Falcon's older classes and GPT-BigCode ignore other keys
    if shares_one is not None and not keys.values.get("new_decoder_architecture"):
        return 1 if shares_one else heads
    return stated or heads


def _latent(keys: Keys, number: int, heads: int) -> Attention:
    """Attention that keeps one row of elements for all heads."""
    index_heads = keys.number("index_n_heads")
    index_length = keys.number("index_head_dim")
    choices = keys.per_layer("indexer_types")
    choice = "full" if choices is None else choices[number]
    if choice not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(choice)} is not understood")
    # a layer may use the choice of an earlier one
    if choice == "shared" or not index_heads or not index_length:
        index_heads = index_length = None
    return Attention(
        kind="latent",
        heads=heads,
        kv_heads=heads,
        query_latent_length=keys.size("q_lora_rank"),
        indexer_heads=index_heads,
        indexer_length=index_length,
        **keys.sizes(TABLES.latent),
    )


def _state(keys: Keys, kind: str) -> Recurrent | None:
    """The recurrent state of a layer, None where it keeps none."""
    if kind == "hybrid":
        kind = "mamba2"
    if kind not in TABLES.states:
        return None
    sizes = keys.sizes(TABLES.states[kind])
    width = keys.needed("width")
    if kind == "mamba":
        inner = keys.number("mamba_d_ssm", least=1)
        sizes["inner_length"] = inner or keys.needed("expand") * width
        if keys.get("time_step_rank") == "auto":
            sizes["time_step_rank"] = -(-width // 16)
        else:
            sizes["time_step_rank"] = keys.needed("time_step_rank")
    elif kind == "mamba2":
        inner = _inner_length(keys, sizes["heads"])
        sizes["inner_length"] = inner or keys.needed("expand") * width
        sizes["norm"] = False if keys.values.get("mamba_rms_norm") is False else None
    return Recurrent(kind=kind, **sizes)


def _inner_length(keys: Keys, heads: int) -> int | None:
    """That of a Mamba2 layer, as the file states it, or by its heads; None where neither does."""
    stated = keys.number("mamba_d_ssm")
    if stated and "mamba_d_ssm" in keys.written:
        return stated
    if keys.get("state_head_length") == "auto":
        return stated
    head_length = keys.number("state_head_length") or 0
    return heads * head_length or stated


def _feed_forward(keys: Keys, number: int, kind: str) -> FeedForward | None:
    """The feed-forward of a layer, None where it has none."""
    place = keys.type.feed_forward
    if place == "none":
        return None
    # where a layer has attention, a state or a feed-forward, and no two of them
    has_pattern = isinstance(keys.get("hybrid_override_pattern"), str)
    is_apart = place == "by_kind" or has_pattern
    if is_apart and kind not in ("mlp", "moe"):
        return None
    experts = keys.number("experts") or 0
    # HunYuan's dense models state one
    fewest = 1 if keys.type.lone_expert else 2
    switch = keys.type.experts_if
    if experts < fewest or (switch and not keys.get(switch)):
        return FeedForward(length=_dense_length(keys, number))
    is_mixture = kind == "moe" if is_apart else _has_experts(keys, number)
    if is_mixture:
        return _mixture(keys, number, experts)
    length = keys.number("dense_length") or _dense_length(keys, number)
    return FeedForward(length=length)


def _mixture(keys: Keys, number: int, experts: int) -> FeedForward:
    """A feed-forward of several experts, of which a token uses some."""
    used = keys.number("used") or 0
    if not 0 < used <= experts:
        key = keys.stated("experts")
        name = keys.names.get(key, key)
        text = f"{keys.stated('used')}: a token uses {used:,} of {experts:,} experts"
        raise Unclear(f"{text} ({name})")
    length = keys.number("expert_length") or keys.needed("intermediate_size", "n_inner")
    shared_length = keys.number("shared_length")
    shared_experts = keys.number("shared_experts")
    if shared_experts == 0:
        shared_length = None
    elif shared_length is None and shared_experts is not None:
        # a file that states no length has shared experts as long as the others
        shared_length = shared_experts * length
    has_bias = keys.get("topk_method") == "noaux_tc" or keys.type.router_bias
    beside_dense = None
    if keys.type.dense_beside:
        beside_dense = _dense_length(keys, number)
    return FeedForward(
        length=length,
        experts=experts,
        used=used,
        shared_length=shared_length or None,
        latent_length=keys.size("expert_latent"),
        router_bias=bool(has_bias),
        beside_dense=beside_dense,
        **keys.groups("n_group", "topk_group"),
    )


def _has_experts(keys: Keys, number: int) -> bool:
    """Whether a layer of a mixture has experts."""
    lists = ["mlp_layer_types", "is_moe_layer"]
    if isinstance(keys.get("expert_frequency"), list):
        lists.append("expert_frequency")
    flags = keys.per_layer(*lists)
    chosen = keys.places("moe_layers")
    if flags:
        return flags[number] in ("sparse", True)
    if chosen is not None:
        return number in chosen
    if number < (keys.number("first_dense") or 0):
        return False
    last = keys.number("moe_layer_end_index", least=-1)
    if last is not None and 0 <= last < number:
        return False
    every = keys.number("expert_frequency") or 1
    if every > 1:
        return number % every == 0
    if number in (keys.places("mlp_only_layers") or ()):
        return False
    step = keys.number("expert_step") or 1
    return (number + 1) % step == 0


def _dense_length(keys: Keys, number: int) -> int:
    """Elements of a dense feed-forward, as `dense_length` of the model type derives them."""
    rule = keys.type.dense_length
    shared = keys.number("shared_intermediate_size") if rule == "shared" else None
    if shared and not keys.number("num_local_experts"):
        return shared
    length = keys.number("length", layer=number)
    ratio = keys.number("length_ratio")
    if not length and ratio:
        length = ratio * keys.needed("width")
    if not length:
        raise Unclear("intermediate_size is missing")
    if rule == "halved":
        # the file counts gate and up together
        return length // 2
    if keys.get("block_auto_adjust_ff_dim"):
        # as LFM2 has it
        step = keys.number("block_multiple_of") or 1
        return -(-int(2 * length / 3) // step) * step
    layers_with_keys = keys.layers - (keys.number("num_kv_shared_layers") or 0)
    if keys.get("use_double_wide_mlp") and number >= layers_with_keys:
        return 2 * length
    return length


def _tables(keys: Keys, row: TomlRow) -> dict[str, Any]:
    """The tables of tokens and positions and their type, as fields of `Architecture`."""
    context = keys.size("context")
    if context is None:
        keys.unknown["architecture.context_tokens"] = "config.json does not say"
    dtype, stated = keys.published_type()
    if dtype is None:
        why = "config.json does not say"
        if stated:
            why = f"torch_dtype {short(stated)} is not known"
        keys.unknown["architecture.dtype"] = why
    positions = None
    if row.get("positions") and not row.get("position_offset"):
        positions = context
    table_length = None
    if not keys.matter.isdisjoint(TABLES.sizes["table_length"]):
        table_length = keys.number("table_length")
        if table_length == keys.needed("width"):
            table_length = None
    usable = (context or 0) - keys.type.unused_positions
    token_types = keys.size("type_vocab_size")
    return {
        "dtype": dtype,
        "vocabulary": keys.number("vocabulary", least=1),
        "context_tokens": usable if usable > 0 else context,
        "table_length": table_length,
        "positions": positions,
        "token_types": token_types if row.get("token_types") else None,
        "lacks": keys.type.lacks,
    }


def _layers_apart(keys: Keys) -> dict[str, Any]:
    """Layers and parts of layers that are counted apart, as fields of `Architecture`."""
    is_read = not keys.has_class or "num_kv_shared_layers" in keys.matter
    shared = keys.number("num_kv_shared_layers") if is_read else None
    cache_layers = None
    if shared:
        if shared >= keys.layers:
            layers = f"of {keys.layers:,} layers"
            raise Unclear(f"num_kv_shared_layers is {shared:,}, {layers}")
        cache_layers = keys.layers - shared
    deepstack = _deepstack_layers(keys.outer.get("vision_config"))
    return {
        "deepstack_layers": min(deepstack, keys.layers) or None,
        "cache_layers": cache_layers,
        "mtp_layers": _predicting_layers(keys),
        "per_layer_embedding_length": keys.size("hidden_size_per_layer_input"),
        "altup_inputs": keys.size("altup"),
    }


def _predicting_layers(keys: Keys) -> int | None:
    """Blocks that predict more than one token, None for none and where no program loads them."""
    published = keys.outer_type.mtp_layers
    layers = keys.number("mtp")
    if layers is None:
        layers = published or 0
    if not 0 < layers <= keys.layers:
        return None
    if published is None and not keys.in_gguf:
        return None
    return layers


def _ties_embeddings(keys: Keys, *, is_encoder: bool) -> bool | None:
    """Whether the output matrix is the token table; None where that is not known."""
    if is_encoder:
        is_untied = keys.values.get("tie_word_embeddings") is False
        # of a masked model no row counts the head that it then has
        return None if is_untied and keys.class_name.endswith("ForMaskedLM") else False
    inner = keys.inner.get("tie_word_embeddings")
    outer = keys.outer.get("tie_word_embeddings")
    if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
        keys.understood.add("tie_word_embeddings")
        # where the outer class would tie, transformers leaves a matrix alone that the published
        # files have
        return keys.outer_type.tied_by_text_config if inner else None
    for key in TABLES.keys.tying:
        value = keys.get(key)
        if isinstance(value, bool):
            return value
    return keys.type.tied


def _refuse_doubtful_cache(keys: Keys, row: TomlRow | None, *, attends: bool) -> None:
    """Raise `Unclear` where the cache does not follow, or whether, or for how many heads, the
    model keeps one.
    """
    doubtful = source.listed(keys.not_understood(cache=True))
    if doubtful:
        raise Unclear(reason("doubtful-cache", keys=doubtful))
    if row is not None:
        return
    if keys.is_headless or re.search(TABLES.classes.reading, keys.class_name):
        raise Unclear(reason("no-context", kind=keys.kind, name=keys.class_name))
    says_heads = keys.get("kv_heads", "kv_lora_rank", "multi_query") is not None
    if attends and not says_heads and not keys.has_class:
        raise Unclear("num_key_value_heads is missing, and its default is not known")


def _incompleteness(
    keys: Keys, doubt: str | None, row: TomlRow | None, *, tied: bool | None
) -> str | None:
    """Why the weights do not follow; None where they do. `doubt`: why feed-forwards do not."""
    if doubt is not None:
        return doubt
    needed = keys.matter.intersection(TABLES.keys.always_stated)
    missing = sorted(needed - keys.values.keys())
    if missing:
        return f"{source.listed(missing)} is missing"
    odd = keys.not_understood(cache=False)
    if odd:
        return f"{source.listed(odd)}: not understood"
    if row is None:
        return reason("no-row", kind=keys.kind or "this model type")
    if keys.number("vocabulary") is None:
        return "vocab_size is missing"
    if tied is None and not keys.is_headless:
        return reason("tie_word_embeddings")
    return None
