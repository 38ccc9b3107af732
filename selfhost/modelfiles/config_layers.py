"""The layers and tables of a model, read from the keys of its `config.json`.

What goes in: the `Keys` of the file and how its weights are `Stored`. What comes out: the
`Architecture`, with the attention, the recurrent state and the feed-forward of each layer.

The keys are those of the transformers configuration classes and of the published files themselves.
`Unclear` is raised if the keys do not determine the cache; if they do not determine the weights,
`unknown` says why. Whoever asks `keys` for a key marks the key as understood; a look at
`keys.values` does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..catalogue.spec import INCOMPLETE
from ..core.records import Record, Values
from ..core.units import listed
from ..needs.tensors import ArchitectureRow, row_values
from .config_keys import TABLES, Keys
from .config_ngrams import ngrams_of
from .config_weights import Stored
from .sizes import (
    Unclear,
    grouped,
    refuse_faults,
    unclear,
)
from .source import JsonValues, reason, refuse, short, table_of

# kinds of layers that attend; "hybrid" layers keep a state too
_ATTENDING = ("full", "sliding", "cross", "hybrid")
# the sizes that `per_layer_config` may state
_OWN_SIZES = ("head_dim", "num_key_value_heads")
# the sizes of the indexer with which latent attention chooses tokens
_INDEXER = {"indexer_heads": "index_n_heads", "indexer_length": "index_head_dim"}
_PLAIN_INDEXER = {
    "indexer_heads": "indexer_n_heads",
    "indexer_length": "indexer_head_dim",
}
_PATTERN = "hybrid_override_pattern"
_TIED = "tie_word_embeddings"
# layers before this number attend to everything, layers from this number on have the window
# (configuration_qwen2.py of transformers); a class without a default of the key ignores it
_FULL_LAYERS = "max_window_layers"


class _Groups(Record):
    """The parts of all layers, with equal layers in one group. `doubt`: why the feed-forwards are
    not known; None where they are.
    """

    attention: tuple[Attention, ...]
    recurrent: tuple[Recurrent, ...]
    feed_forward: tuple[FeedForward, ...]
    doubt: str | None


def architecture_of(keys: Keys, stored: Stored) -> Architecture:
    """The architecture that the keys describe. Raises `Unclear` where the cache is not known from
    them.
    """
    keys.layers = _number_of_layers(keys)
    groups = _groups(keys)
    row = _row_of(keys, groups)
    tables = _tables(keys, row)
    deepstack = deepstack_layers(keys.outer.get("vision_config"))
    tied = _ties_embeddings(keys, embeds=row.embeds)
    ngrams = ngrams_of(keys)
    mtp_layers = _predicting_layers(keys)
    cache_layers = _cache_layers(keys)
    per_layer_embedding_length = keys.size("hidden_size_per_layer_input")
    altup_inputs = keys.size("altup")
    stream_latent_length = keys.size("hc_lowrank")
    # after every read: a key that nothing read is in doubt
    _refuse_doubtful_cache(keys, attends=bool(groups.attention))
    name = row.name
    why_incomplete = groups.doubt or _incompleteness(keys, tied=tied)
    if why_incomplete is not None:
        name = _name_of_incomplete(keys, row, why_incomplete)
    architecture = Architecture(
        row=name,
        runs_in_gguf=keys.in_gguf,
        layers=keys.layers,
        embedding_length=keys.needed("width"),
        heads=max([part.heads for part in groups.attention], default=None),
        attention=groups.attention,
        recurrent=groups.recurrent,
        feed_forward=groups.feed_forward,
        tied_embeddings=bool(tied),
        output_matrix=not row.embeds and not keys.is_headless,
        matrix_dtype=stored.matrices,
        expert_dtype=stored.experts,
        quantizer=stored.quantizer,
        cache_layers=cache_layers,
        deepstack_layers=min(deepstack, keys.layers) or None,
        mtp_layers=mtp_layers,
        per_layer_embedding_length=per_layer_embedding_length,
        altup_inputs=altup_inputs,
        stream_latent_length=stream_latent_length,
        ngrams=ngrams,
        **tables,
    )
    refuse_faults(keys, architecture)
    return architecture


def _groups(keys: Keys) -> _Groups:
    """The parts of the layers. Raises `Unclear` where the cache is not known from the keys."""
    width = keys.needed("width")
    layers = _layers(keys)
    called = TABLES.called
    attending = [layer.attention() for layer in layers]
    attention = grouped(keys, attending, width, called)
    states = [layer.state() for layer in layers]
    recurrent = grouped(keys, states, width, called)
    is_cache_known = not keys.faults
    feed_forward: tuple[FeedForward, ...] = ()
    doubt = None
    try:
        parts = [layer.feed_forward() for layer in layers]
        feed_forward = grouped(keys, parts, width, called)
    except Unclear as why:
        doubt = str(why)
    if is_cache_known and keys.faults:
        # the cache is known without the feed-forwards
        doubt = "; ".join(keys.faults)
        feed_forward = ()
        keys.faults.clear()
    return _Groups(
        attention=attention, recurrent=recurrent, feed_forward=feed_forward, doubt=doubt
    )


def _layers(keys: Keys) -> list[_Layer]:
    """The layers of the model, in order. The sizes that differ from layer to layer are put into
    `keys.values`.
    """
    kinds = _kinds(keys)
    if keys.type.last_full:
        # in some model types the last layer attends to everything, whatever the file says
        kinds[-1] = "full"
    _spread_own_sizes(keys, kinds)
    return [
        _Layer(keys=keys, number=number, kind=kind) for number, kind in enumerate(kinds)
    ]


def _name_of_incomplete(
    keys: Keys,
    row: ArchitectureRow,
    why: str,
) -> str:
    """The name of a row for a model of which the cache is known and the weights are not; the
    reason, `why`, is added to `keys.unknown`.

    Raises `Unclear` where the row shows that the model keeps no cache, so that nothing is known.
    """
    if row.embeds or row.recomputes:
        raise Unclear(why)
    keys.unknown["parameters.total"] = reason("incomplete", why=why)
    if row_values(row.name) is None:
        return row.name
    # with the plain name of a row, the model would be assumed to have all tensors of the row
    return row.name + INCOMPLETE


def _row_of(keys: Keys, groups: _Groups) -> ArchitectureRow:
    """The model's row of architectures.toml; where the model type has none, a row with its name and
    without features.
    """
    type = keys.type
    if not type.row:
        return ArchitectureRow(name=keys.kind or "unnamed")
    name = ""
    if any(part.experts for part in groups.feed_forward):
        name = type.row_with_experts
    elif not groups.recurrent:
        name = type.row_without_states
    for part, row in type.row_of_class.items():
        if part in keys.class_name:
            name = row
    name = name or type.row
    return ArchitectureRow.from_values(name, row_values(name) or {})


# the kind of each layer


def _number_of_layers(keys: Keys) -> int:
    """The number of layers. Raises `Unclear` for a model type whose layers are not read, and where
    the file does not tell the number.
    """
    not_read = keys.type.not_read
    if not not_read and keys.outer.get("is_encoder_decoder"):
        not_read = "an encoder beside its decoder (is_encoder_decoder)"
    if not_read:
        model = keys.kind or "the model"
        raise Unclear(f"model_type: {model} has {not_read}, which is not read")
    layers = keys.number("layers", least=1)
    if layers is None:
        # a list or a text names them
        pattern = keys.get(_PATTERN, "layers_block_type")
        if not isinstance(pattern, str | list) or not pattern:
            return keys.fault(keys.missing("layers"), 1)
        layers = len(pattern)
    if layers > MAX_LAYERS:
        refuse(keys.path, "layers", layers=layers, most=MAX_LAYERS)
    return layers


def _kinds(keys: Keys) -> list[str]:
    """The kind of each layer as the file states it: a kind of attention, of recurrent state, or of
    feed-forward.
    """
    names = keys.per_layer(*TABLES.keys.kinds)
    if names is not None:
        return _listed_kinds(keys, names)
    for key, (kind, others) in keys.type.places.items():
        places = keys.places(key)
        if places is not None:
            return _kinds_at(keys, places, kind, others)
    step = keys.number("full_step")
    if step:
        full = _every(keys, step, keys.number("full_place"))
        return _kinds_at(keys, full, "full", keys.type.layers or "delta")
    if keys.type.layers:
        return [keys.type.layers] * keys.layers
    return _kinds_by_window(keys)


def _kinds_at(
    keys: Keys,
    places: Sequence[int],
    kind: str,
    others: str,
) -> list[str]:
    """The kinds of layers where those at these places have the kind `kind`, all others `others`."""
    return [kind if number in places else others for number in range(keys.layers)]


def _every(
    keys: Keys,
    step: int,
    first: int | None = None,
) -> range:
    """The places of one layer in each `step`, from the place `first` on; None: the last of each."""
    if first is None:
        first = step - 1
    return range(first, keys.layers, step)


def _listed_kinds(keys: Keys, names: Sequence[object]) -> list[str]:
    """The kinds of layers, translated from their names in the file."""
    meanings = {**TABLES.kinds, **keys.type.kinds}
    window = _window(keys)
    kinds = []
    for name in names:
        kind = meanings.get(str(name))
        if not kind:
            key = keys.stated(*TABLES.keys.kinds)
            kind = keys.fault(f"{key}: {short(name)} is not understood", "full")
        if kind == "sliding" and window is None:
            kind = "full"
        kinds.append(kind)
    return kinds


def _kinds_by_window(keys: Keys) -> list[str]:
    """The kind of each layer in a model whose layers all attend, some of them within the sliding
    window. Raises `Unclear` where the file does not say which layers have the window.
    """
    window = _window(keys)
    # these keys are read even without a window, since a key that was read counts as understood
    slides = keys.per_layer("no_rope_layers")
    first = keys.number("full_first_of")
    pattern = keys.get("sliding_window_pattern", "_sliding_window_pattern")
    if window is None:
        return ["full"] * keys.layers
    if keys.type.all_slide:
        return ["sliding"] * keys.layers
    if slides:
        # despite its name, the key has 1 for layers with rope, which have the window, and 0 for
        # layers without rope, which attend to everything (Llama 4, SmallThinker)
        return ["sliding" if flag else "full" for flag in slides]
    if first:
        return _kinds_at(keys, range(0, keys.layers, first), "full", "sliding")
    if _FULL_LAYERS in keys.defaults:
        return _kinds_at(keys, range(keys.count(_FULL_LAYERS)), "full", "sliding")
    if type(pattern) is int and pattern > 0:
        return _kinds_at(keys, _every(keys, pattern), "full", "sliding")
    raise unclear("sliding_window", window=window, pattern=short(pattern))


def _window(keys: Keys) -> int | None:
    """The sliding window in tokens; None where no layer has a window shorter than the context."""
    if keys.get("window") == -1:
        return None
    if keys.values.get("use_sliding_window") is False:
        return None
    window = keys.number("window")
    context = keys.number("context")
    if window and context and window >= context:
        # a window as long as the context has no effect
        return None
    return window or None


def _spread_own_sizes(keys: Keys, kinds: Sequence[str]) -> None:
    """Replace each size in `keys.values` by a list with one entry per layer, where some layers have
    other sizes: by `per_layer_config` (transformers 5.23), or in layers without a window (Gemma 4).
    """
    by_layer = _sizes_by_layer(keys)
    full = _sizes_of_full_layers(keys)
    if not by_layer and not full:
        return
    for key in _OWN_SIZES:
        usual = keys.values.get(key)
        sizes = []
        for number, kind in enumerate(kinds):
            size = by_layer.get(str(number), {}).get(key, usual)
            if kind == "full":
                size = full.get(key) or size
            sizes.append(size)
        keys.values[key] = sizes


def _sizes_by_layer(keys: Keys) -> Mapping[str, JsonValues]:
    """The sizes that `per_layer_config` states, by the number of the layer."""
    stated = keys.get("per_layer_config") or {}
    not_understood = f"per_layer_config is {short(stated)}, not understood"
    if not isinstance(stated, dict):
        return keys.fault(not_understood, {})
    for sizes in stated.values():
        if not isinstance(sizes, dict) or sizes.keys() - _OWN_SIZES:
            return keys.fault(not_understood, {})
    return stated


def _sizes_of_full_layers(keys: Keys) -> dict[str, int | None]:
    """The sizes of layers without a window, by key, where these differ from the other layers."""
    length = keys.number("global_head_dim")
    if not length:
        return {}
    sizes: dict[str, int | None] = {"head_dim": length}
    if keys.get("attention_k_eq_v"):
        heads = keys.number("num_global_key_value_heads", least=1)
        sizes["num_key_value_heads"] = heads
    return sizes


class _Layer(Record):
    """A layer of a model: its number, its kind, and the parts that the keys describe."""

    keys: Keys
    number: int
    kind: str

    # attention

    def attention(self) -> Attention | None:
        """The attention of the layer, None where it has none."""
        keys = self.keys
        kind = self.kind
        if kind not in _ATTENDING:
            return None
        heads = keys.number("num_attention_heads_per_layer", layer=self.number)
        heads = heads or keys.needed("heads", layer=self.number)
        if self._is_latent():
            return self._latent_attention(heads)
        length = keys.number("head_length", least=1, layer=self.number)
        if length is None:
            width = keys.needed("width")
            if width % heads:
                why = reason("head_dim", width=width, heads=heads)
                return keys.contradiction(why, None)
            length = width // heads
        # whether keys also serve as values (Gemma 4)
        values_from_keys = kind == "full" and bool(keys.get("attention_k_eq_v"))
        indexer: Values = {}
        if kind == "full" and keys.number("indexer_n_heads"):
            indexer = keys.sizes(_PLAIN_INDEXER)
        return Attention(
            kind="full" if kind == "hybrid" else kind,
            heads=heads,
            kv_heads=self._kv_heads(heads),
            key_length=length,
            value_length=length,
            window_tokens=_window(keys) if kind == "sliding" else None,
            values_from_keys=values_from_keys,
            **indexer,
            **TABLES.kind_has.get(kind, {}),
        )

    def _is_latent(self) -> bool:
        """Whether the layer has latent attention."""
        keys = self.keys
        # a latent size of 0 would leave no attention: the default of the class applies
        rank = keys.number("kv_lora_rank") or keys.defaults.get("kv_lora_rank")
        if keys.values.get("use_mla") is False:
            return False
        return self.kind == "full" and bool(rank)

    def _kv_heads(self, heads: int) -> int:
        """The number of KV heads; that of the query heads where the file states none."""
        keys = self.keys
        shares_one = keys.get("multi_query")
        stated = keys.number("kv_heads", layer=self.number)
        if shares_one is not None and not keys.values.get("new_decoder_architecture"):
            # Falcon's older classes and GPT-BigCode ignore the other keys
            return 1 if shares_one else heads
        return stated or heads

    def _latent_attention(self, heads: int) -> Attention:
        """Latent attention, which keeps one row of elements for all heads."""
        keys = self.keys
        sizes = keys.sizes(TABLES.latent)
        # 0 where no part of a key is rotated
        sizes["rope_length"] = keys.number("qk_rope_head_dim")
        sizes["kv_heads"] = heads
        sizes["query_latent_length"] = keys.size("q_lora_rank")
        has_index = keys.number("index_n_heads")
        # a layer without an index may use the tokens that an earlier layer chose
        if has_index and self._chooses_tokens():
            sizes |= keys.sizes(_INDEXER)
            sizes["indexer_pool"] = keys.size("index_kpool")
        return Attention(kind="latent", heads=heads, **sizes)

    def _chooses_tokens(self) -> bool:
        """Whether the layer has a sparse indexer of its own, in a model with indexers."""
        choices = self.keys.per_layer("indexer_types")
        if choices is None:
            return True
        choice = choices[self.number]
        if choice not in ("full", "shared"):
            choice = self.keys.fault(
                f"indexer_types: {short(choice)} is not understood", "full"
            )
        return choice == "full"

    # recurrent states

    def state(self) -> Recurrent | None:
        """The recurrent state of the layer, None where it keeps none."""
        keys = self.keys
        kind = "mamba2" if self.kind == "hybrid" else self.kind
        if kind not in TABLES.states:
            return None
        sizes = keys.sizes(TABLES.states[kind])
        if kind == "mamba":
            inner_length = keys.size("mamba_d_ssm")
            sizes["inner_length"] = inner_length or self._expanded_width()
            # by default a sixteenth of the width, rounded up
            sizes["time_step_rank"] = -(-keys.needed("width") // 16)
            if keys.get("time_step_rank") != "auto":
                sizes["time_step_rank"] = keys.needed("time_step_rank")
        elif kind == "mamba2":
            sizes["inner_length"] = self._inner_length(sizes["heads"])
            if keys.values.get("mamba_rms_norm") is False:
                sizes["norm"] = False
        return Recurrent(kind=kind, **sizes)

    def _expanded_width(self) -> int:
        """The inner length of a Mamba layer by its width: so many times the model's width."""
        return self.keys.needed("expand") * self.keys.needed("width")

    def _inner_length(self, heads: int) -> int:
        """The inner length of a Mamba2 layer: as the file states it, or from its heads, from its
        class, or from its width.
        """
        keys = self.keys
        length = keys.number("mamba_d_ssm")
        is_by_class = not length or "mamba_d_ssm" not in keys.written
        if is_by_class and keys.get("state_head_length") != "auto":
            length = heads * keys.count("state_head_length") or length
        return length or self._expanded_width()

    # the feed-forward

    def feed_forward(self) -> FeedForward | None:
        """The feed-forward of the layer, None where it has none."""
        keys = self.keys
        kind = self.kind
        place = keys.type.feed_forward
        if place == "none":
            return None
        # in some models each layer is only one of attention, state and feed-forward
        is_apart = place == "by_kind" or isinstance(keys.get(_PATTERN), str)
        if is_apart and kind not in ("mlp", "moe"):
            return None
        experts = keys.count("experts")
        if not self._may_be_mixture(experts):
            return FeedForward(length=self._dense_length())
        if is_apart:
            is_mixture = kind == "moe"
        else:
            is_mixture = self._has_experts()
        if is_mixture:
            return self._mixture(experts)
        length = keys.number("dense_length")
        return FeedForward(length=length or self._dense_length())

    def _may_be_mixture(self, experts: int) -> bool:
        """Whether the model has layers with experts."""
        type = self.keys.type
        # HunYuan's dense models state one expert
        fewest = 1 if type.lone_expert else 2
        if experts < fewest:
            return False
        if not type.experts_if:
            return True
        return bool(self.keys.get(type.experts_if))

    def _mixture(self, experts: int) -> FeedForward:
        """The feed-forward of a mixture: several experts, of which a token uses some."""
        keys = self.keys
        used = keys.count("used")
        if not 0 < used <= experts:
            key = keys.stated("experts")
            text = f"a token uses {used:,} of {experts:,} experts"
            name = keys.class_names.get(key, key)
            why = f"{keys.stated('used')}: {text} ({name})"
            return keys.contradiction(why, FeedForward(length=1))
        length = keys.number("expert_length")
        length = length or keys.needed("intermediate_size", "n_inner")
        has_bias = keys.get("topk_method") == "noaux_tc"
        beside_dense = self._dense_length() if keys.type.dense_beside else None
        return FeedForward(
            length=length,
            experts=experts,
            used=used,
            shared_length=self._shared_length(length),
            latent_length=keys.size("expert_latent"),
            router_bias=keys.type.router_bias or has_bias,
            beside_dense=beside_dense,
        )

    def _shared_length(self, length: int) -> int | None:
        """The length of the shared experts, which every token uses; None without any."""
        shared_length = self.keys.number("shared_length")
        shared_experts = self.keys.number("shared_experts")
        if shared_experts == 0:
            return None
        if shared_length is None and shared_experts is not None:
            # if the file states no length, each shared expert is as long as a routed one
            shared_length = shared_experts * length
        return shared_length or None

    def _has_experts(self) -> bool:
        """Whether a layer of a mixture has experts."""
        keys = self.keys
        number = self.number
        lists = ["mlp_layer_types", "is_moe_layer"]
        if isinstance(keys.get("expert_frequency"), list):
            lists.append("expert_frequency")
        # a flag for each layer
        flags = keys.per_layer(*lists)
        chosen = keys.places("moe_layers")
        if flags:
            return flags[number] in ("sparse", True)
        if chosen is not None:
            return number in chosen
        if number < keys.count("first_dense"):
            return False
        last = keys.number("moe_layer_end_index", least=-1)
        if last is not None and 0 <= last < number:
            return False
        every = keys.count("expert_frequency")
        if every > 1:
            return number % every == 0
        dense = keys.places("mlp_only_layers")
        if dense and number in dense:
            return False
        step = max(1, keys.count("expert_step"))
        return number in _every(keys, step, keys.number("expert_place"))

    def _dense_length(self) -> int:
        """The length of a dense feed-forward."""
        keys = self.keys
        length = self._stated_length()
        if keys.type.length_of_both:
            return length // 2
        if keys.get("block_auto_adjust_ff_dim"):
            # the rule of LFM2
            step = max(1, keys.count("block_multiple_of"))
            return -(-int(2 * length / 3) // step) * step
        layers_with_keys = keys.layers - keys.count("num_kv_shared_layers")
        if keys.get("use_double_wide_mlp") and self.number >= layers_with_keys:
            return 2 * length
        return length

    def _stated_length(self) -> int:
        """The length of a dense feed-forward, stated as a number or as a multiple of the width."""
        keys = self.keys
        length = keys.number("length", layer=self.number)
        ratio = keys.number("length_ratio")
        if length:
            return length
        if not ratio:
            return keys.fault(keys.missing("intermediate_size"), 1)
        return ratio * keys.needed("width")


# tables, and layers that are counted separately


def _tables(keys: Keys, row: ArchitectureRow) -> Values:
    """The facts on the tables of tokens and positions, as fields of `Architecture`. The reasons for
    unknown facts are added to `keys.unknown`.
    """
    context = keys.size("context")
    if context is None:
        keys.unknown["architecture.context_tokens"] = "config.json does not say"
    if keys.stated_type is None:
        keys.unknown["architecture.dtype"] = "config.json does not say"
    elif keys.published_type is None:
        why = f"torch_dtype {short(keys.stated_type)} is not known"
        keys.unknown["architecture.dtype"] = why
    has_positions = row.positions and not row.position_offset
    # the length of a row of the token table; None where it is the width of the layers
    table_length = None
    if not keys.matter.isdisjoint(TABLES.sizes["table_length"]):
        length = keys.number("table_length")
        table_length = None if length == keys.needed("width") else length
    usable_tokens = (context or 0) - keys.type.unused_positions
    token_types = keys.size("type_vocab_size")
    return {
        "dtype": keys.published_type,
        "vocabulary": keys.number("vocabulary", least=1),
        "context_tokens": usable_tokens if usable_tokens > 0 else context,
        "table_length": table_length,
        "positions": context if has_positions else None,
        "token_types": token_types if row.token_types else None,
        "lacks": keys.type.lacks,
    }


def _cache_layers(keys: Keys) -> int | None:
    """The number of layers with a cache of their own; None where all layers have one."""
    key = "num_kv_shared_layers"
    shared = keys.count(key)
    if not shared:
        return None
    if shared >= keys.layers:
        why = f"{key} is {shared:,}, of {keys.layers:,} layers"
        return keys.contradiction(why, None)
    return keys.layers - shared


def deepstack_layers(encoder: object) -> int:
    """The number of layers of the text model that add a slice of the encoder's embeddings."""
    places = table_of(encoder).get("deepstack_visual_indexes")
    if not isinstance(places, list):
        return 0
    return len(places)


def _predicting_layers(keys: Keys) -> int | None:
    """The number of multi-token-prediction blocks; None where there are none, or no program loads
    them.
    """
    published = keys.outer_type.mtp_layers
    layers = keys.number("mtp")
    if layers is None:
        layers = published or 0
    if not 0 < layers <= keys.layers:
        return None
    if published is None and not keys.in_gguf:
        return None
    return layers


def _ties_embeddings(keys: Keys, *, embeds: bool) -> bool | None:
    """Whether the output matrix is the token table; None where that is not known."""
    if embeds:
        is_untied = keys.values.get(_TIED) is False
        if is_untied and keys.class_name.endswith("ForMaskedLM"):
            # the model then has a head that no row counts
            return None
        return False
    keys.understood.add(_TIED)
    stated = (keys.inner.get(_TIED), keys.outer.get(_TIED))
    if stated == (False, True):
        return None
    if stated == (True, False):
        # the published files hold the matrix that the outer class would tie; transformers leaves it
        # untied
        return keys.outer_type.tied_by_text_config
    for name in TABLES.keys.tying:
        value = keys.get(name)
        if isinstance(value, bool):
            return value
    return keys.type.tied


# doubtful values


def _refuse_doubtful_cache(keys: Keys, *, attends: bool) -> None:
    """Raise `Unclear` where the size of the cache is in doubt: by keys that are not understood, by
    a class that may keep no cache, or by an unknown number of KV heads.
    """
    doubtful = keys.not_understood_of_cache()
    if doubtful:
        raise unclear("doubtful-cache", keys=listed(doubtful))
    if keys.type.row:
        return
    name = keys.class_name
    if keys.is_headless or re.search(TABLES.classes.reading, name):
        raise unclear("no-context", kind=keys.kind, name=name)
    if keys.known_class or not attends:
        return
    if keys.get("kv_heads", "kv_lora_rank", "multi_query") is None:
        raise Unclear("num_key_value_heads is missing, and its default is not known")


def _incompleteness(keys: Keys, *, tied: bool | None) -> str | None:
    """The reason why the weights are not known, apart from the feed-forwards; None where they
    are.
    """
    needed = keys.matter.intersection(TABLES.keys.always_stated)
    missing = sorted(needed.difference(keys.values))
    if missing:
        return f"{listed(missing)} is missing"
    odd = keys.not_understood_of_weights()
    if odd:
        return f"{listed(odd)}: not understood"
    if not keys.type.row:
        kind = keys.kind or "this model type"
        return reason("no-row", kind=kind)
    if keys.number("vocabulary") is None:
        return "vocab_size is missing"
    if tied is None and not keys.is_headless:
        return reason("tie_word_embeddings")
    return None
