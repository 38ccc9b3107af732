"""The keys of a `config.json`: under which names each size stands, which keys were read, and which
are not understood.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from ..core.records import Record
from .naming import clean
from .source import read_json

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json
MAX_NUMBER = 1 << 32
NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
# a size -> the keys that published files have for it; the first that has a value counts
NAMES: Mapping[str, tuple[str, ...]] = {
    "layers": (
        "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers",
        "num_transformer_layers",
    ),
    "width": ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim"),
    "heads": (
        "num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads",
        "num_query_heads",
    ),
    "kv_heads": (
        "num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "num_multi_query_heads",
        "kv_n_heads", "num_attention_groups",
    ),
    "head_length": (
        "head_dim", "attention_head_dim", "kv_channels", "hidden_size_per_head", "d_kv",
    ),
    "context": (
        "max_position_embeddings", "n_positions", "max_seq_len", "seq_length",
        "max_sequence_length", "n_ctx", "max_target_positions", "model_max_length", "seq_len",
        "max_context_length",
    ),
    "vocabulary": ("padded_vocab_size", "vocab_size", "embedding_size"),
    "window": ("sliding_window", "sliding_window_size"),
    "length": (
        "intermediate_size", "n_inner", "ffn_dim", "decoder_ffn_dim", "ffn_hidden_size",
        "ff_intermediate_size", "hidden_dim", "mlp_hidden_size", "dense_intermediate_size", "d_ff",
    ),
    "dense_length": ("dense_intermediate_size", "intermediate_size_mlp"),
    "length_ratio": ("mlp_ratio", "expansion_ratio"),
    "experts": (
        "n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts",
        "moe_num_primary_experts",
    ),
    "used": (
        "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k",
        "top_k_experts", "moe_topk", "moe_k", "moe_num_active_primary_experts",
    ),
    "expert_length": (
        "moe_intermediate_size", "ffn_hidden_size", "moe_ffn_hidden_size", "expert_hidden_dim",
        "expert_intermediate_size",
    ),
    "shared_length": (
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size",
        "shared_intermediate_size", "share_expert_dim",
    ),
    "shared_experts": (
        "n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts",
    ),
    "expert_latent": ("moe_latent_size", "routed_expert_hidden_size"),
    "first_dense": ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"),
    "expert_step": ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval"),
    "expert_frequency": ("moe_layer_freq", "moe_layer_frequency"),
    "mtp": ("num_nextn_predict_layers", "mtp_num_hidden_layers"),
    "altup": ("altup_num_inputs", "hc_mult"),
    "table_length": ("embedding_size", "input_embedding_size", "word_embed_proj_dim"),
    "state": ("mamba_d_state", "ssm_state_size", "state_size"),
    "taps": ("mamba_d_conv", "conv_kernel"),
    "state_heads": ("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"),
    "state_head_length": ("mamba_d_head", "mamba_head_dim"),
    "state_groups": ("mamba_n_groups", "n_groups", "mamba_ngroups"),
    "expand": ("mamba_expand", "expand"),
    "time_step_rank": ("time_step_rank", "mamba_dt_rank"),
}  # fmt: skip
# Keys that change what a layer remembers, or its weights. One that nothing reads, with a value that
# says something, is not understood.
CACHE_KEY = re.compile(
    r"window|chunk|latent|lora_rank|mamba|ssm|linear_|conv|hybrid|block_config|layer_types|block_type|pattern|compress|kv_shared|cross_attention"
    r"|recurrent|lru|indexer?_|^index|sparse|attn_type|attention_types?$|^cla_|use_cla$|kv_heads|key_value|global_(head|attn|window|key)|swa_|state_size|head_dim|kv_channels|attn_layer|full_att|per_layer_config"
)
WEIGHT_KEY = re.compile(
    r"expert|moe|mlp_layer|dense_layers|first_k|ffn_mult|intermediate_size|parallel_attn|shared_intermediate"
)
# Keys that match and change neither: training, initial values, numeric details, other parts of the
# model. A word is a whole one between underscores: conv_layer_ids is no token's id.
_HARMLESS_WORDS = (
    "act", "activation", "alpha", "audio", "aux", "beta", "coef", "drop", "dropout", "dropped",
    "dropping", "dtype", "eps", "epsilon", "flash", "image", "impl", "implementation", "init",
    "initializer", "jitter", "loss", "projector", "scaling", "scoring", "softcapping", "theta",
    "video", "vision",
)  # fmt: skip
_HARMLESS_KEYS = (
    "add_cross_attention", "block_type", "chunk_size", "chunk_size_feed_forward", "conv_dim",
    "conv_dim_out", "cross_attention_hidden_size", "enable_moe_fp32_combine",
    "expert_group_scale", "expert_selection_fn", "for_llm_compressor",
    "index_share_for_mtp_iteration", "index_skip_topk_offset", "index_topk", "index_topk_blocks",
    "index_topk_freq", "index_topk_pattern", "indexer_rope_interleave",
    "linear_gate_lower_bound", "lora_rank", "mamba_chunk_size", "mamba_norm_before_gate",
    "moe_apply_router_weight_on_input", "moe_capacity", "moe_norm_min",
    "moe_normalize_expert_weights", "moe_primary_router_apply_softmax", "moe_renormalize",
    "moe_shared_expert_overlap", "norm_expert_weight", "num_expert_group", "num_expert_groups",
    "shared_expert_combination_strategy", "sparse_block_size", "sparse_disable_index_value",
    "sparse_init_block", "sparse_local_block", "sparse_pred_ignore_index", "sparse_prediction",
    "sparse_score_type", "sparse_topk_blocks", "ssm_in_multiplier", "ssm_multipliers",
    "ssm_out_multiplier", "use_mamba_kernels", "use_mixed_mlp_moe", "use_moe",
    "use_sliding_window", "use_sparse_attention",
)  # fmt: skip
HARMLESS = re.compile(
    rf"(?:^|_)(?:{'|'.join(_HARMLESS_WORDS)})(?:_|$)|_token_ids?$|^blocksparse_|^(?:{'|'.join(_HARMLESS_KEYS)})$"
)
# what only some layers have, by the number of each
_OF_LAYERS = "per_layer_config"
_INHERITED = frozenset({"tie_word_embeddings", "torch_dtype", "dtype"})


class Unclear(Exception):
    """The model's cache or its weights do not follow from the file; the text says why."""


class UnclearWindow(Unclear):
    """The layers are as their shapes say, but not how many tokens each of them keeps."""


class ModelType(Record):
    """How a model type says in its own way what generic keys say: a row of
    `specs/common/model_types.toml`, whose header explains every key.
    """

    row: str = ""
    row_with_experts: str = ""
    row_without_states: str = ""
    row_of_ocr: str = ""
    in_gguf: bool = True
    classes: tuple[str, ...] = ()
    own_code: bool = False
    read_by_class: bool = False
    read_as: tuple[Mapping[str, Any], ...] = ()
    names: Mapping[str, str] = {}
    defaults: Mapping[str, Any] = {}
    layers: str = ""
    kinds: Mapping[str, str] = {}
    last_full: bool = False
    halves_window: bool = False
    slides: str = ""
    values_apart: bool = False
    window_kv_factor: int = 1
    dense_length: str = ""
    experts_if: str = ""
    one_expert_is_dense: bool = False
    dense_beside: str = ""
    dense_beside_if: str = ""
    feed_forward: str = ""
    router_bias: bool | None = None
    tied: bool | None = None
    tied_by_text_config: bool | None = None
    stacks: str = ""
    beams: bool = False
    sees: bool = False
    mtp_layers: int | None = None
    encoder: bool = False
    bare_class_writes: bool = False
    unused_positions: int = 0
    rows_in_gguf: tuple[int, ...] = ()
    switches: Mapping[str, Any] = {}
    other_than_row: Mapping[str, Any] = {}
    norm_switched: str = "head"
    long_rope: bool = False
    published: Mapping[str, Any] = {}
    shared_like_one: bool = False
    not_read: str = ""


@lru_cache(maxsize=1)
def model_types() -> Mapping[str, ModelType]:
    """The shipped rows, by model type."""
    from ..catalogue.index import Catalogue

    values = Catalogue.open().common("model_types")
    types = {}
    for name, row in values["model_type"].items():
        lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
        types[name] = ModelType().replace(**{**row, **lists})
    for row, names in values["plain"].items():
        types.update((name, ModelType(row=row)) for name in names)
    return types


@lru_cache(maxsize=1)
def classes() -> Mapping[str, Any]:
    """What the class of a model type in transformers does with its keys, by model type.

    `defaults`: the value of a key that a file leaves out, missing where it is derived from others;
    `matter`: the keys that change weights or cache; `cache`: those of them that change what is kept
    of a context; `idle`: keys that change neither, although their names elsewhere do; `names`:
    other names of keys. benchmarks/config_classes.py made the file: it built every class and
    changed one key at a time.
    """
    file = os.path.join(os.path.dirname(__file__), "classes.json")
    tables: Mapping[str, Any] = read_json(file, MAX_CONFIG_BYTES, what="classes.json")["classes"]
    return tables


def class_of(values: Mapping[str, Any]) -> str:
    """The name of the class that a file states; empty without one."""
    names = values.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def short(value: Any) -> str:
    """A value of a file, short and safe to print."""
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


def _text_keys(
    values: Mapping[str, Any], inner: Mapping[str, Any], *, nested: bool
) -> dict[str, Any]:
    """The keys of the text model, with those of objects in it. `inner` is its part of the file,
    empty where there is none; `nested`: the top has none of its keys.
    """
    left_out = (*NESTS, "model_type")
    text = dict(values)
    if inner:
        above = {key: value for key, value in values.items() if key not in left_out}
        if nested:
            above = {key: value for key, value in above.items() if key in _INHERITED}
        text = {**above, **{key: value for key, value in inner.items() if key not in left_out}}
    other = text.get("attention_other_setting")
    if isinstance(other, dict) and other.get("attention_type") == "sliding_attention":
        text["swa_num_attention_heads"] = other.get("num_attention_heads")
        text["swa_head_dim"] = other.get("head_dim")
        text["swa_num_key_value_heads"] = other.get("num_attention_groups")
    for part in ("attn_config", "ffn_config", "sparse_attention_config"):
        if isinstance(text.get(part), dict):
            text = {**text[part], **text}
    linear = text.get("linear_attn_config")
    if isinstance(linear, dict):
        text.update({"linear_" + key: value for key, value in linear.items()})
    return text


class Keys:
    """The keys of a config.json under the names of its class: which are read, and which are not
    understood.

    `outer` is the whole file, `inner` the part of its text model, and `text` the keys of the text
    model with the defaults of its class. `unknown` and `notes` collect what the spec will say.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.outer = values
        nest = next((key for key in NESTS if isinstance(values.get(key), dict)), None)
        self.inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and not any(key in values for key in NAMES["layers"])
        self.text = _text_keys(values, self.inner, nested=self.nested)
        self.outer_kind = clean(values.get("model_type")).lower()
        self.outer_type = model_types().get(self.outer_kind, ModelType())
        stated = clean(self.inner.get("model_type")).lower() if self.inner else self.outer_kind
        self.kind = self._read_as(stated or self._kind_of_class() or self.outer_kind)
        self.type = model_types().get(self.kind, ModelType())
        self.known: Mapping[str, Any] = {} if self.type.own_code else classes().get(self.kind, {})
        self.written = frozenset(self.text)
        self._add_names_and_defaults()
        # keys that something reads, or that are known to change nothing
        self.understood: set[str] = {_OF_LAYERS} | {
            key for key, value in self.type.published.items() if self.is_published(key, value)
        }
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0

    def _kind_of_class(self) -> str:
        name = class_of(self.inner) or class_of(self.outer)
        kinds = (kind for kind, each in model_types().items() if name and name in each.classes)
        return next(kinds, "")

    def _read_as(self, kind: str) -> str:
        """The model type whose keys and tensors these are: some models go by that of another."""
        if model_types().get(kind, ModelType()).read_by_class:
            return self._kind_of_class() or kind
        for rule in model_types().get(kind, ModelType()).read_as:
            value, key = rule.get("is", True), rule.get("if_key")
            stated = self.text.get(key) if key is not None else True
            is_met = stated == value if "is" in rule else bool(stated)
            if value == "stated":
                is_met = key in self.text
            if "if_class" in rule:
                is_met = class_of(self.outer) in rule["if_class"]
            if is_met:
                self.text |= {
                    name: self.text.get(old) for name, old in rule.get("keys", {}).items()
                }
                return str(rule["as"])
        return kind

    def _add_names_and_defaults(self) -> None:
        """Adds what the class takes for a key that the file leaves out, and each key's other
        name.
        """
        names = {**self.known.get("names", {}), **self.type.names}
        defaults = {**self.known.get("defaults", {}), **self.type.defaults}
        named = {*self.text, *(names.get(key, key) for key in self.text)}
        for key, value in defaults.items():
            if not {key, names.get(key, key)} & named:
                self.text[key] = value
        for key, generic in names.items():
            for name, other in ((key, generic), (generic, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])

    def is_published(self, key: str, value: Any) -> bool:
        """Whether a key is missing or has that value, or one of these."""
        allowed = value if isinstance(value, list) else [value]
        stated = self.text.get(key)
        return stated is None or any(stated is each or stated == each for each in allowed)

    @contextmanager
    def of_single_layer(self, number: int) -> Iterator[None]:
        """With the keys that this layer alone has: transformers 5.23 writes them by its number."""
        stated = self.text.get(_OF_LAYERS) or {}
        if not isinstance(stated, dict) or not all(map(str.isdigit, stated)):
            raise Unclear(f"{_OF_LAYERS} is {short(stated)}, not keys by layer")
        by_number = {int(key): own for key, own in stated.items()}
        own = by_number.get(number, {})
        is_known = len(by_number) == len(stated) and max(by_number, default=0) < self.layers
        if not isinstance(own, dict) or not is_known:
            raise Unclear(f"{_OF_LAYERS}: {short(own)} is not the keys of a layer")
        common, self.text = self.text, {**self.text, **own}
        try:
            yield
        finally:
            self.text = common
        odd = sorted(key for key in own if key not in self.understood)
        if odd:
            raise Unclear(f"{_OF_LAYERS}: {clean(odd[0])} is not understood")

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys, or sizes of `NAMES`, that has one; all of them
        count as understood.
        """
        names = [name for key in keys for name in NAMES.get(key, (key,))]
        self.understood.update(names)
        return next((self.text[key] for key in names if self.text.get(key) is not None), None)

    def number(self, *keys: str) -> int | None:
        """A whole number of at least 0, None where it is missing."""
        value = self.get(*keys)
        if value is None:
            return None
        if (
            isinstance(value, list)
            and len(value) >= self.layers > 0
            and len(set(map(str, value))) == 1
        ):
            # one for each layer
            value = value[0]
        if type(value) is not int:
            # classes of transformers take nothing else: its configurations are strict dataclasses
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, not one whole number")
        if not 0 <= value < MAX_NUMBER:
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, which is no number of a model")
        return value

    def of_layer(self, layer: int, *keys: str) -> int | None:
        """The number of that layer where the file lists one for each, else that of all."""
        value = self.get(*keys)
        if not isinstance(value, list) or len(value) < self.layers:
            return self.positive(*keys)
        if type(value[layer]) is not int or not 0 <= value[layer] < MAX_NUMBER:
            raise Unclear(f"{self.stated(*keys)} is {short(value[layer])} for layer {layer}")
        return int(value[layer])

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, under the name that it has in the file."""
        names = [name for key in keys for name in NAMES.get(key, (key,))]
        having = [key for key in names if self.text.get(key) is not None]
        return next((key for key in having if key in self.written), (having or names)[0])

    def positive(self, *keys: str) -> int | None:
        """A whole number of at least 1, None where it is missing."""
        value = self.number(*keys)
        if value == 0:
            raise Unclear(f"{self.stated(*keys)} is 0")
        return value

    def needed(self, *keys: str) -> int:
        """A whole number of at least 1. Raises `Unclear` where it is missing."""
        value = self.positive(*keys)
        if value is None:
            raise Unclear(f"{self.stated(*keys)} is missing")
        return value

    def per_layer(self, key: str) -> list[Any] | None:
        """A list with one entry per layer; None where the key is missing or empty."""
        value = self.get(key)
        if not value:
            return None
        if not isinstance(value, list) or len(value) < self.layers:
            raise Unclear(f"{key} does not list one entry for each of the {self.layers:,} layers")
        return value[: self.layers]

    def switches(self, key: str) -> list[bool] | None:
        """The same of a list of 0 and 1, false and true."""
        values = self.per_layer(key)
        for value in values or ():
            if not isinstance(value, int) or value not in (0, 1):
                raise Unclear(f"{key}: {short(value)} is not understood")
        return None if values is None else [bool(value) for value in values]

    def places(self, *keys: str) -> list[int] | None:
        """The numbers of the layers that the first of these keys names, None without one."""
        value = self.get(*keys)
        if value is not None and not (
            isinstance(value, list) and all(type(layer) is int and layer >= 0 for layer in value)
        ):
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, not numbers of layers")
        return value

    def reads(self, key: str) -> bool:
        """False where the class of this model type is known and leaves the key alone."""
        return not self.known or key in self.known["matter"]

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights.
        """
        pattern = CACHE_KEY if cache else WEIGHT_KEY
        names = {**self.known.get("names", {}), **self.type.names}
        defaults = self.known.get("defaults", {})
        pairs = [pair for pair in names.items() if self.understood.intersection(pair)]
        understood = self.understood.union(*pairs)
        matter = self.known.get("matter", ())
        idle = {*self.known.get("idle", ()), *matter}
        sizes = {name for keys in NAMES.values() for name in keys}
        by_name = {
            key
            for key, value in self.text.items()
            if pattern.search(key)
            and not HARMLESS.search(key)
            and not {key, names.get(key, key)} & idle
            and not isinstance(value, dict)
            and value not in (None, False, 0, "", -1, [])
        }
        # keys of the class whose row was made for their defaults
        of_class = {
            key
            for key in matter
            if (key in self.known.get("cache", ())) is cache
            and key not in sizes
            and key in self.written
            and self.text.get(key) != defaults.get(key)
        }
        return sorted(clean(key) for key in (by_name | of_class) - understood)
