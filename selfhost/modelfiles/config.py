"""A Hugging Face `config.json` -> ModelSpec: the shape of a model, without its weights. Each layer
has attention with a cache, a recurrent state or a feed-forward.

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
from ..core.tables import TomlRow, shipped_table
from ..needs.tensors import (
    UNKNOWN_ROW,
    all_and_active,
    block_tensors,
    count_parameters,
    row_of,
)
from . import source
from .config_keys import CLASSES, MAX_CONFIG_BYTES, TABLES, Keys, Stored, stored_of
from .source import (
    MAX_NUMBER,
    TEXTS,
    JsonValues,
    LocalModel,
    Unclear,
    architecture_of,
    grouped,
    reason,
    short,
)

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
    values = source.read_json(path, MAX_CONFIG_BYTES, what="config.json")
    exported = source.beside(path, _QUANTIZATION)
    if exported and isinstance(values, dict) and not values.get("quantization_config"):
        export = source.read_json(exported, MAX_CONFIG_BYTES, what=_QUANTIZATION)
        part = export.get("quantization") if isinstance(export, dict) else None
        own = part if isinstance(part, dict) else {}
        values = {**values, "quantization_config": {"quant_method": "modelopt", **own}}
    keys = Keys(path, values)
    stored = stored_of(keys)
    if stored.why is not None:
        keys.unknown["architecture.matrix_dtype"] = stored.why
    architecture = None
    try:
        architecture = _architecture(keys, stored)
    except Unclear as why:
        keys.unknown["architecture"] = str(why)
    counts = _parameters(keys, architecture)
    language = counts.total
    if keys.sees or isinstance(keys.outer.get("audio_config"), dict):
        counts = _with_encoders(
            keys, counts, architecture.embedding_length if architecture else 0
        )
    if counts.total is None:
        keys.unknown.setdefault(
            "parameters.total", "it does not follow from config.json alone"
        )
    return LocalModel(
        spec=_spec(keys, stored, architecture, counts),
        format=stored.format,
        quantization=stored.name,
        notes=tuple(keys.notes),
        is_quantized=stored.quantized,
        language_parameters=language,
    )


def _spec(
    keys: Keys, stored: Stored, architecture: Architecture | None, counts: Parameters
) -> ModelSpec:
    modality = "vision" if keys.sees else "text"
    if architecture is not None and not architecture.output_matrix:
        modality = "embedding"
    file = shown(keys.path)
    # classes that transformers has of its own do not need the code that auto_map names
    is_foreign = not keys.in_gguf or keys.type.get("own_code")
    has_own_code = bool(is_foreign and isinstance(keys.outer.get("auto_map"), dict))
    sources = {"architecture": file}
    if counts.total or counts.mtp:
        sources["parameters"] = "sum over the architecture"
    if counts.encoders:
        sources["parameters.encoders"] = (
            "estimated from the widths and layers of config.json"
        )
    if has_own_code:
        sources["safety"] = f"auto_map in {file}"
    # no narrow type that models are published in and that converters read
    is_published = stored.format != "mlx" and (stored.name or "").startswith(_PUBLISHED)
    quantized = None
    if stored.quantized and not is_published:
        own = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
        quantized = Quantized(format=stored.format, quantization=own)
    return source.spec_of(
        keys.path,
        modality=modality,
        parameters=counts,
        architecture=architecture,
        quantized=quantized,
        safety=Safety(remote_code=True if has_own_code else None),
        sources=sources,
        unknown={**keys.unknown, **TEXTS["never_stated"]},
    )


def _parameters(keys: Keys, architecture: Architecture | None) -> Parameters:
    """Those of the language model."""
    is_whole = "parameters.total" not in keys.unknown
    if architecture is None or not is_whole or row_of(architecture) is UNKNOWN_ROW:
        return Parameters()
    total, active = all_and_active(architecture)
    if total > source.MAX_PARAMETERS:
        source.refuse(keys.path, "parameters", total=f"{total:.1e}")
    predicts = "mtp_layers" in keys.outer_type
    return Parameters(
        total=total,
        active=max(1, active),
        mtp=count_parameters(block_tensors(architecture)) or None if predicts else None,
    )


def _with_encoders(keys: Keys, counts: Parameters, text_width: int) -> Parameters:
    stated = map(keys.outer.get, TABLES["encoders"]["parts"])
    parts = [part for part in stated if isinstance(part, dict)]
    total = sum(encoder_parameters(part, text_width) for part in parts)
    if not 0 < total <= source.MAX_PARAMETERS:
        keys.unknown["parameters.encoders"] = reason("encoder-size")
        return counts.replace(total=None, active=None)
    keys.notes.append(reason("encoders", millions=round(total / 1e6)))
    if counts.total is not None and counts.active is not None:
        counts = counts.replace(
            total=counts.total + total, active=counts.active + total
        )
    # the first part's type, as `[[encoder]]` of architectures.toml has it
    own, width = (
        source.clean(parts[0].get("model_type")).lower(),
        _size(parts[0], "width"),
    )
    names = f"{keys.outer_kind} {own} {width}", f"{keys.outer_kind} {width}"
    rows = shipped_table("architectures").get("encoder", ())
    measured = {name for row in rows for name in row.get("types", ())}
    return counts.replace(
        encoders=total,
        projector_bytes=2 * total,
        encoder_type=next((name for name in names if name in measured), names[0]),
    )


def encoder_parameters(part: JsonValues, text_width: int) -> int:
    """About how many parameters an encoder has, with two matrices from merged patches to a text."""
    width, layers = _size(part, "width"), _size(part, "layers")
    inner = _size(part, "length") or 4 * width
    matrices = 3 if part.get("hidden_act") in ("silu", "swish") else 2
    merged = width * (_size(part, "merged") or 1) ** 2
    joiner = (1 + _deepstack_layers(part)) * merged * (merged + text_width)
    return layers * (4 * width * width + matrices * width * inner) + joiner


def _size(part: JsonValues, size: str) -> int:
    values = map(part.get, TABLES["encoders"][size])
    return next((v for v in values if type(v) is int and 0 < v < MAX_NUMBER), 0)


def _deepstack_layers(encoder: object) -> int:
    """Layers of the text that add a slice of the encoder's embeddings."""
    places = (
        encoder.get("deepstack_visual_indexes")
        if isinstance(encoder, Mapping)
        else None
    )
    return len(places) if isinstance(places, list) else 0


def _architecture(keys: Keys, stored: Stored) -> Architecture:
    """The layers and the tables. Raises `Unclear` where the cache does not follow."""
    _count_layers(keys)
    width, called, kinds = keys.needed("width"), TABLES["called"], _kinds(keys)
    _spread_own_sizes(keys, kinds)
    attention = grouped(
        [_attention(keys, n, kind) for n, kind in enumerate(kinds)], width, called
    )
    recurrent = grouped([_state(keys, kind) for kind in kinds], width, called)
    incomplete: str | None = None
    feed_forward: tuple[FeedForward, ...] = ()
    try:
        parts = [_feed_forward(keys, n, kind) for n, kind in enumerate(kinds)]
        feed_forward = grouped(parts, width, called)
    except Unclear as why:
        incomplete = str(why)
    has_experts = any(part.experts for part in feed_forward)
    name, row = _row_of(keys, has_states=bool(recurrent), has_experts=has_experts)
    is_encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
    fields = {**_tables(keys, row or {}), **_layers_apart(keys)}
    tied = _ties_embeddings(keys, is_encoder=is_encoder)
    has: Any = {"tied": tied, "attends": bool(attention), "is_encoder": is_encoder}
    incomplete = _incompleteness(keys, incomplete, row, **has)
    if incomplete is not None:
        keys.unknown["parameters.total"] = reason("incomplete", why=incomplete)
        # with the name of a row it would be believed to have all its tensors
        name += INCOMPLETE if row is not None else ""
    return architecture_of(
        row=name,
        runs_in_gguf=keys.in_gguf,
        layers=keys.layers,
        embedding_length=width,
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


def _row_of(keys: Keys, *, has_states: bool, has_experts: bool) -> tuple[str, Any]:
    """The name of its row of architectures.toml, or what stands in for that, and the row."""
    if "OCR" in keys.class_name:
        key = "row_of_ocr"
    elif has_experts:
        key = "row_with_experts"
    elif has_states:
        key = "row"
    else:
        key = "row_without_states"
    name = str(keys.type.get(key) or keys.type.get("row") or keys.kind or "unnamed")
    rows = shipped_table("architectures")["architecture"]
    return name, rows.get(name) if "row" in keys.type else None


def _count_layers(keys: Keys) -> None:
    """Set `layers`. Raises for a model type whose layers are not read."""
    what = keys.type.get("not_read")
    if keys.outer.get("is_encoder_decoder"):
        what = what or "an encoder beside its decoder (is_encoder_decoder)"
    if what:
        raise Unclear(
            f"model_type: {keys.kind or 'the model'} has {what}, which is not read"
        )
    pattern = keys.get("hybrid_override_pattern", "layers_block_type")
    layers = keys.number("layers", least=1)
    keys.layers = layers or len(pattern if isinstance(pattern, (str, list)) else ())
    if not keys.layers:
        raise Unclear("num_hidden_layers is missing")
    if keys.layers > MAX_LAYERS:
        source.refuse(keys.path, "layers", layers=keys.layers, most=MAX_LAYERS)


def _kinds(keys: Keys) -> list[str]:
    layers, names = range(keys.layers), keys.per_layer(*TABLES["keys"]["kinds"])
    every, place = (
        keys.number("full_attention_interval"),
        keys.stated(*TABLES["places"]),
    )
    if names is not None:
        kinds = _listed_kinds(keys, names)
    elif (places := keys.places(place)) is not None:
        kind, others = TABLES["places"][place]
        kinds = [kind if number in places else others for number in layers]
    elif every:
        kinds = ["delta" if (number + 1) % every else "full" for number in layers]
    elif kind := keys.type.get("layers"):
        kinds = [kind for _ in layers]
    else:
        kinds = ["sliding" if slides else "full" for slides in _sliding(keys)]
    # whatever the file says, the last layer of some attends to everything
    return [*kinds[:-1], "full"] if keys.type.get("last_full") else kinds


def _listed_kinds(keys: Keys, names: Sequence[Any]) -> list[str]:
    if isinstance(names, list):
        # the keys of recurrent layers stand in the file whether or not the list has any
        keys.understood.update(key for key in keys.values if key.startswith("mamba_"))
    meanings = {**TABLES["kinds"], **keys.type.get("kinds", {})}
    kinds = [meanings.get(str(name), "") for name in names]
    if "" in kinds:
        odd = short(names[kinds.index("")])
        raise Unclear(
            f"{keys.stated(*TABLES['keys']['kinds'])}: {odd} is not understood"
        )
    return [
        "full" if kind == "sliding" and not _window(keys) else kind for kind in kinds
    ]


def _window(keys: Keys) -> int | None:
    """In tokens, None where no layer has one shorter than the context."""
    if keys.get("window") == -1 or keys.values.get("use_sliding_window") is False:
        return None
    window, context = keys.number("window"), keys.number("context")
    # a window as long as the context limits nothing
    return window if window and not (context and window >= context) else None


def _sliding(keys: Keys) -> list[bool]:
    """Whether each layer has the window. Raises `Unclear` where the file does not say."""
    layers, window = range(keys.layers), _window(keys)
    # a layer without rope attends to everything (Llama 4, SmallThinker)
    turned, first = keys.per_layer("no_rope_layers"), keys.number("full_first_of")
    pattern = keys.get("sliding_window_pattern", "_sliding_window_pattern")
    if window is None or keys.type.get("all_slide"):
        return [window is not None for _ in layers]
    if turned:
        return [bool(flag) for flag in turned]
    if first:
        return [bool(number % first) for number in layers]
    if type(pattern) is int and pattern > 0:
        return [(number + 1) % pattern != 0 for number in layers]
    raise Unclear(reason("sliding_window", window=window, pattern=short(pattern)))


def _spread_own_sizes(keys: Keys, kinds: Sequence[str]) -> None:
    """List for each layer the sizes that some have otherwise: by a table of transformers 5.23, or
    those without a window (Gemma 4).
    """
    own = keys.get("per_layer_config") or {}
    sizes = own.values() if isinstance(own, dict) else [own]
    if not all(
        isinstance(each, dict) and each.keys() <= {*_OWN_SIZES} for each in sizes
    ):
        raise Unclear(f"per_layer_config is {short(own)}, not understood")
    full = {"head_dim": keys.number("global_head_dim")}
    if full["head_dim"] and keys.get("attention_k_eq_v"):
        full["num_key_value_heads"] = keys.number("num_global_key_value_heads", least=1)
    for key in _OWN_SIZES if own or full["head_dim"] else ():
        usual = keys.values.get(key)
        keys.values[key] = [
            (full.get(key) if kind == "full" else None)
            or own.get(str(number), {}).get(key, usual)
            for number, kind in enumerate(kinds)
        ]


def _attention(keys: Keys, number: int, kind: str) -> Attention | None:
    if kind not in _ATTENDING:
        return None
    heads = keys.number("num_attention_heads_per_layer", layer=number)
    heads = heads or keys.needed("heads", layer=number)
    # without its latent a class that has one by default has no attention
    has_latent = keys.number("kv_lora_rank") or keys.defaults.get("kv_lora_rank")
    if kind == "full" and has_latent and keys.values.get("use_mla") is not False:
        return _latent(keys, number, heads)
    stated, width = (
        keys.number("head_length", least=1, layer=number),
        keys.needed("width"),
    )
    if width % heads and not keys.get("head_length"):
        raise Unclear(reason("head_dim", width=width, heads=heads))
    return Attention(
        kind="full" if kind == "hybrid" else kind,
        heads=heads,
        kv_heads=_kv_heads(keys, number, heads),
        key_length=stated or width // heads,
        value_length=stated or width // heads,
        window_tokens=_window(keys) if kind == "sliding" else None,
        # in place of values (Gemma 4)
        values_from_keys=bool(kind == "full" and keys.get("attention_k_eq_v")),
        **TABLES["kind_has"].get(kind, {}),
    )


def _kv_heads(keys: Keys, number: int, heads: int) -> int:
    stated, single = keys.number("kv_heads", layer=number), keys.get("multi_query")
    # Falcon's older classes and GPT-BigCode ignore other keys
    if single is not None and not keys.values.get("new_decoder_architecture"):
        return 1 if single else heads
    return stated or heads


def _latent(keys: Keys, number: int, heads: int) -> Attention:
    """Attention that keeps one row of elements for all heads."""
    index_heads, index_length = (
        keys.number("index_n_heads"),
        keys.number("index_head_dim"),
    )
    # a layer may use the choice of an earlier one
    own = (keys.per_layer("indexer_types") or {number: "full"})[number]
    if own not in ("full", "shared"):
        raise Unclear(f"indexer_types: {short(own)} is not understood")
    has_index = bool(index_heads and index_length) and own == "full"
    return Attention(
        kind="latent",
        heads=heads,
        kv_heads=heads,
        query_latent_length=keys.size("q_lora_rank"),
        indexer_heads=index_heads if has_index else None,
        indexer_length=index_length if has_index else None,
        **keys.sizes(TABLES["latent"]),
    )


def _state(keys: Keys, kind: str) -> Recurrent | None:
    kind = "mamba2" if kind == "hybrid" else kind
    if kind not in TABLES["states"]:
        return None
    width, sizes = keys.needed("width"), keys.sizes(TABLES["states"][kind])
    if kind == "mamba":
        is_auto = keys.get("time_step_rank") == "auto"
        inner = keys.number("mamba_d_ssm", least=1)
        sizes["inner_length"] = inner or keys.needed("expand") * width
        sizes["time_step_rank"] = (
            -(-width // 16) if is_auto else keys.needed("time_step_rank")
        )
    elif kind == "mamba2":
        stated, is_auto = (
            keys.number("mamba_d_ssm"),
            keys.get("state_head_length") == "auto",
        )
        by_heads = sizes["heads"] * (
            0 if is_auto else keys.number("state_head_length") or 0
        )
        inner = (
            stated if stated and "mamba_d_ssm" in keys.written else by_heads or stated
        )
        sizes["inner_length"] = inner or keys.needed("expand") * width
        sizes["norm"] = False if keys.values.get("mamba_rms_norm") is False else None
    return Recurrent(kind=kind, **sizes)


def _feed_forward(keys: Keys, number: int, kind: str) -> FeedForward | None:
    place, switch = keys.type.get("feed_forward"), keys.type.get("experts_if")
    # a layer has attention, a state or a feed-forward
    is_apart = place == "by_kind" or isinstance(
        keys.get("hybrid_override_pattern"), str
    )
    if place == "none" or (is_apart and kind not in ("mlp", "moe")):
        return None
    # HunYuan's dense models state one
    experts, least = (
        keys.number("experts") or 0,
        1 if keys.type.get("lone_expert") else 2,
    )
    if experts < least or (switch and not keys.get(switch)):
        return FeedForward(length=_dense_length(keys, number))
    if kind == "moe" if is_apart else _has_experts(keys, number):
        return _mixture(keys, number, experts)
    return FeedForward(
        length=keys.number("dense_length") or _dense_length(keys, number)
    )


def _mixture(keys: Keys, number: int, experts: int) -> FeedForward:
    used = keys.number("used") or 0
    if not 0 < used <= experts:
        named = keys.stated("experts")
        text = f"{keys.stated('used')}: a token uses {used:,} of {experts:,} experts"
        raise Unclear(f"{text} ({keys.names.get(named, named)})")
    length = keys.number("expert_length") or keys.needed("intermediate_size", "n_inner")
    shared_length = keys.number("shared_length")
    shared_experts = keys.number("shared_experts")
    if shared_experts == 0:
        shared_length = None
    elif shared_length is None and shared_experts is not None:
        # a file that states no length has shared experts as long as the others
        shared_length = shared_experts * length
    has_bias = keys.get("topk_method") == "noaux_tc" or keys.type.get("router_bias")
    return FeedForward(
        length=length,
        experts=experts,
        used=used,
        shared_length=shared_length or None,
        latent_length=keys.size("expert_latent"),
        router_bias=bool(has_bias),
        beside_dense=_dense_length(keys, number)
        if keys.type.get("dense_beside")
        else None,
        **keys.groups("n_group", "topk_group"),
    )


def _has_experts(keys: Keys, number: int) -> bool:
    lead, last = (
        keys.number("first_dense") or 0,
        keys.number("moe_layer_end_index", least=-1),
    )
    dense, chosen = keys.places("mlp_only_layers") or (), keys.places("moe_layers")
    lists = ["mlp_layer_types", "is_moe_layer"]
    if isinstance(keys.get("expert_frequency"), list):
        lists.append("expert_frequency")
    if flags := keys.per_layer(*lists):
        return flags[number] in ("sparse", True)
    if chosen is not None:
        return number in chosen
    if number < lead or (last is not None and 0 <= last < number):
        return False
    every, step = keys.number("expert_frequency") or 1, keys.number("expert_step") or 1
    return (
        number % every == 0
        if every > 1
        else number not in dense and (number + 1) % step == 0
    )


def _dense_length(keys: Keys, number: int) -> int:
    """Elements of a dense feed-forward, as `dense_length` of the model type derives them."""
    rule = keys.type.get("dense_length")
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
    reading = keys.layers - (keys.number("num_kv_shared_layers") or 0)
    return (
        2 * length if keys.get("use_double_wide_mlp") and number >= reading else length
    )


def _tables(keys: Keys, row: TomlRow) -> dict[str, Any]:
    """The tables of tokens and positions and their type, as fields of `Architecture`."""
    context, (dtype, stated) = keys.size("context"), keys.published_type()
    if context is None:
        keys.unknown["architecture.context_tokens"] = "config.json does not say"
    if dtype is None:
        why = f"torch_dtype {short(stated)} is not known"
        keys.unknown["architecture.dtype"] = (
            why if stated else "config.json does not say"
        )
    has_rows = row.get("positions") and not row.get("position_offset")
    has_table = keys.matter.intersection(TABLES["sizes"]["table_length"])
    table, types = keys.number("table_length"), keys.size("type_vocab_size")
    usable = (context or 0) - keys.type.get("unused_positions", 0)
    return {
        "dtype": dtype,
        "vocabulary": keys.number("vocabulary", least=1),
        "context_tokens": usable if usable > 0 else context,
        "table_length": table if has_table and table != keys.needed("width") else None,
        "positions": context if has_rows else None,
        "token_types": types if row.get("token_types") else None,
        "lacks": tuple(keys.type.get("lacks", ())),
    }


def _layers_apart(keys: Keys) -> dict[str, Any]:
    """Layers and parts of layers that are counted apart, as fields of `Architecture`."""
    is_read = not keys.class_row or "num_kv_shared_layers" in keys.matter
    shared = keys.number("num_kv_shared_layers") if is_read else 0
    if shared and shared >= keys.layers:
        raise Unclear(f"num_kv_shared_layers is {shared:,}, of {keys.layers:,} layers")
    deepstack = _deepstack_layers(keys.outer.get("vision_config"))
    published, stated = keys.outer_type.get("mtp_layers"), keys.number("mtp")
    predicting = (published or 0) if stated is None else stated
    is_predicting = 0 < predicting <= keys.layers and (
        keys.in_gguf or published is not None
    )
    return {
        "deepstack_layers": min(deepstack, keys.layers) or None,
        "cache_layers": keys.layers - shared if shared else None,
        "mtp_layers": predicting if is_predicting else None,
        "per_layer_embedding_length": keys.size("hidden_size_per_layer_input"),
        "altup_inputs": keys.size("altup"),
    }


def _ties_embeddings(keys: Keys, *, is_encoder: bool) -> bool | None:
    """Whether the output matrix is the token table; None where that is not known."""
    if is_encoder:
        is_untied = keys.values.get("tie_word_embeddings") is False
        # of a masked model no row counts the head that it then has
        return None if is_untied and keys.class_name.endswith("ForMaskedLM") else False
    inner, outer = (
        part.get("tie_word_embeddings") for part in (keys.inner, keys.outer)
    )
    if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
        keys.understood.add("tie_word_embeddings")
        # where the outer class would tie, transformers leaves a matrix alone that the published
        # files have
        return keys.outer_type.get("tied_by_text_config") if inner else None
    values = map(keys.get, TABLES["keys"]["tying"])
    return next(
        (value for value in values if isinstance(value, bool)), keys.type.get("tied")
    )


def _incompleteness(
    keys: Keys,
    doubt: str | None,
    row: Any,
    *,
    tied: bool | None,
    attends: bool,
    is_encoder: bool,
) -> str | None:
    """Why the weights do not follow. Raises `Unclear` where the cache does not either, or whether,
    or for how many heads, the model keeps one.
    """
    if doubtful := source.listed(keys.not_understood(cache=True)):
        raise Unclear(reason("doubtful-cache", keys=doubtful))
    if row is None:
        if keys.is_headless or re.search(CLASSES["reading"], keys.class_name):
            raise Unclear(reason("no-context", kind=keys.kind, name=keys.class_name))
        says_heads = keys.get("kv_heads", "kv_lora_rank", "multi_query")
        if not keys.class_row and attends and says_heads is None:
            raise Unclear(
                "num_key_value_heads is missing, and its default is not known"
            )
    odd = keys.not_understood(cache=False)
    cut = keys.matter.intersection(TABLES["keys"]["always_stated"]) - keys.values.keys()
    faults = {
        doubt: doubt is not None,
        f"{source.listed(sorted(cut))} is missing": cut,
        f"{source.listed(odd)}: not understood": odd,
        reason("no-row", kind=keys.kind or "this model type"): row is None,
        "vocab_size is missing": keys.number("vocabulary") is None,
        reason("tie_word_embeddings"): tied is None and not keys.is_headless,
    }
    why = next((why for why, holds in faults.items() if holds), None)
    if why is not None and row is not None and (is_encoder or row.get("recomputes")):
        # without its row it would be believed to keep a cache
        raise Unclear(why)
    return why
