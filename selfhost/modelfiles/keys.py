"""The keys of a `config.json`: the model type they are read for, their values, and which of
them are not understood.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from .model_types import ModelTypes
from .naming import clean
from .source import read_json

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


_Part = TypeVar("_Part")
# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json
MAX_NUMBER = 1 << 32
NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "decoder_layers",
    "num_transformer_layers",
)
WIDTH = ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim")
HEADS = (
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "decoder_attention_heads",
    "num_query_heads",
)
KV_HEADS = (
    "num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "num_multi_query_heads",
    "kv_n_heads", "num_attention_groups",
)  # fmt: skip
CONTEXT = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length",
    "n_ctx", "max_target_positions",
    "model_max_length", "seq_len", "max_context_length",
)  # fmt: skip
LENGTH = (
    "intermediate_size",
    "n_inner",
    "ffn_dim",
    "decoder_ffn_dim",
    "ffn_hidden_size",
    "ff_intermediate_size",
    "hidden_dim",
    "mlp_hidden_size",
    "dense_intermediate_size",
    "d_ff",
)
EXPERTS = (
    "n_routed_experts",
    "num_local_experts",
    "num_experts",
    "moe_num_experts",
    "moe_num_primary_experts",
)
USED = (
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k",
    "top_k_experts", "moe_topk", "moe_k",
    "moe_num_active_primary_experts",
)  # fmt: skip
# sizes of parts that a model need not have: where it has them they are read
_SIZES = frozenset({
    *HEADS, *KV_HEADS, *LENGTH, *EXPERTS, *USED, "head_dim", "conv_L_cache", "mamba_d_state",
        "mamba_d_conv", "mamba_n_heads",
    "mamba_d_head", "mamba_n_groups", "mamba_expand", "mamba_dt_rank", "linear_conv_kernel_dim",
    "linear_num_key_heads",
    "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim",
    "moe_intermediate_size",
})  # fmt: skip
# Keys that change what a layer remembers. One that nothing reads, with a value that says something,
# is not understood.
CACHE_KEY = re.compile(
    r"window|chunk|latent|lora_rank|mamba|ssm|linear_|conv|hybrid|block_config|layer_types|block_type|pattern|compress|kv_shared|cross_attention"
    r"|recurrent|lru|indexer?_|^index|sparse|attn_type|attention_types?$|^cla_|use_cla$|kv_heads|key_value|global_(head|attn|window|key)|swa_|state_size|head_dim|kv_channels|attn_layer|full_att"
)
# those of them that say how much is kept, and not which matrices a layer has
KEEPING_KEY = re.compile(r"window|max_chunk|kv_(?:cache_)?compress|compress_rate")
WEIGHT_KEY = re.compile(
    r"expert|moe|mlp_layer|dense_layers|first_k|ffn_mult|intermediate_size|parallel_attn|shared_intermediate"
)
# Keys that match and change neither: training, initial values, numeric details, other parts of the
# model. A word is a whole one between underscores: conv_layer_ids is no token's id, and
# mamba_proj_bias adds weights.
_HARMLESS_WORDS = (
    "act", "activation", "alpha", "audio", "aux", "beta", "coef", "drop", "dropout", "dropped",
    "dropping", "dtype", "eps", "epsilon",
    "flash", "image", "impl", "implementation", "init", "initializer", "jitter", "loss",
    "projector", "scaling", "scoring",
    "softcapping", "theta", "video", "vision",
)  # fmt: skip
_HARMLESS_KEYS = (
    "add_cross_attention", "block_type", "chunk_size", "chunk_size_feed_forward", "conv_dim",
    "conv_dim_out",
    "cross_attention_hidden_size", "enable_moe_fp32_combine", "expert_group_scale",
    "expert_selection_fn", "for_llm_compressor",
    "index_share_for_mtp_iteration",
    "index_skip_topk_offset", "index_topk", "index_topk_blocks", "index_topk_freq",
    "index_topk_pattern", "indexer_rope_interleave",
    "linear_gate_lower_bound", "lora_rank", "mamba_chunk_size", "mamba_norm_before_gate",
    "moe_apply_router_weight_on_input",
    "moe_capacity", "moe_norm_min", "moe_normalize_expert_weights",
    "moe_primary_router_apply_softmax", "moe_renormalize",
    "moe_shared_expert_overlap",
    "norm_expert_weight", "num_expert_group", "num_expert_groups",
    "shared_expert_combination_strategy",
    "sparse_block_size", "sparse_disable_index_value",
    "sparse_init_block", "sparse_local_block", "sparse_pred_ignore_index", "sparse_prediction",
    "sparse_score_type",
    "sparse_topk_blocks", "ssm_in_multiplier", "ssm_multipliers", "ssm_out_multiplier",
    "use_mamba_kernels", "use_mixed_mlp_moe",
    "use_moe", "use_sliding_window", "use_sparse_attention",
)  # fmt: skip
HARMLESS = re.compile(
    rf"(?:^|_)(?:{'|'.join(_HARMLESS_WORDS)})(?:_|$)|_token_ids?$|^blocksparse_|^(?:{'|'.join(_HARMLESS_KEYS)})$"
)
# what only some layers have, by the number of each
_OF_LAYERS = "per_layer_config"
_LAYER_NUMBER = re.compile(r"[0-9]{1,6}")
_INHERITED = frozenset({"tie_word_embeddings", "torch_dtype", "dtype"})


@lru_cache(maxsize=1)
def classes() -> Mapping[str, Any]:
    """What the class of a model type in transformers does with its keys, by model type.

    `defaults`: the value of a key that a file leaves out, missing where it is derived from others;
    `matter`: the keys that change weights or cache; `cache`: those of them that change what is kept
    of a context; `idle`: keys that change neither, although their names elsewhere do; `names`:
    other names of keys. A script in the project's history made the file: it built every class and
    changed one key at a time.
    """
    file = os.path.join(os.path.dirname(__file__), "classes.json")
    tables: Mapping[str, Any] = read_json(file, MAX_CONFIG_BYTES, what="classes.json")["classes"]
    return tables


class Unclear(Exception):
    """The model's cache or its weights do not follow from the file; the text says why."""


class UnclearWindow(Unclear):
    """The layers are as their shapes say, but not how many tokens each of them keeps."""


def class_of(values: Mapping[str, Any]) -> str:
    names = values.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in NESTS and key != "model_type"}


def _text_keys(
    values: Mapping[str, Any], inner: Mapping[str, Any], *, nested: bool
) -> dict[str, Any]:
    """The keys of the text model, with those of objects in it. `inner` is its part of the file,
    empty where there is none; `nested`: the top has none of its keys.
    """
    text = dict(values)
    if inner:
        above = _plain(values)
        if nested:
            above = {key: value for key, value in above.items() if key in _INHERITED}
        text = {**above, **_plain(inner)}
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


def short(value: Any) -> str:
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


class Keys:
    """The keys of a config.json under the names of its class: which are read, and which are not
    understood.

    `outer` is the whole file, `inner` the part of its text model, and `text` the keys of the text
    model with the defaults of its class. `unknown` and `notes` collect what the spec will say.
    """

    def __init__(
        self,
        path: str,
        values: Mapping[str, Any],
        architectures: Mapping[str, Any],
        model_types: ModelTypes,
        name: str,
    ) -> None:
        self.path, self.outer, self.architectures, self.name = path, values, architectures, name
        nest = next((key for key in NESTS if isinstance(values.get(key), dict)), None)
        self.inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and not any(key in values for key in LAYERS)
        self.text = _text_keys(values, self.inner, nested=self.nested)
        self.outer_kind = clean(values.get("model_type")).lower()
        self.outer_type = model_types[self.outer_kind]
        self.kind = self._stated_kind(model_types)
        self.kind = self.read_as(model_types)
        self.type = model_types[self.kind]
        self.known = {} if self.type.own_code else classes().get(self.kind, {})
        self.written = frozenset(self.text)
        self._add_defaults()
        # transformers 5.23 writes what only some layers have under their numbers; a class that has
        # the key derives nothing of its own
        self.states_layers = _OF_LAYERS in self.text
        self.stated_of_layers = self.text.pop(_OF_LAYERS, None)
        # keys by layer, and those of them that a part of the layer was read by
        self.overrides: Mapping[int, Mapping[str, Any]] = {}
        self.followed: dict[int, set[str]] = {}
        # keys that something reads, or that are known to change nothing; and those whose value
        # was read
        self.understood: set[str] = set()
        self.used: set[str] = set()
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0

    def _stated_kind(self, model_types: ModelTypes) -> str:
        """The model type that the text model states, else that of its class, else that of the whole
        file.
        """
        if self.inner:
            kind = clean(self.inner.get("model_type")).lower()
            kind = kind or model_types.of_class(class_of(self.inner))
            if kind:
                return kind
        return self.outer_kind or model_types.of_class(class_of(self.outer))

    def _add_defaults(self) -> None:
        """Adds what the class takes for a key that the file leaves out, and each key's other
        name.
        """
        other_names, defaults = self.known.get("names", {}), self.known.get("defaults", {})
        named = {*self.text, *(other_names.get(key, key) for key in self.text)}
        self.text.update(
            {key: defaults[key] for key in defaults if not {key, other_names.get(key, key)} & named}
        )
        for key, own in other_names.items():
            for name, other in ((key, own), (own, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])

    def read_as(self, model_types: ModelTypes) -> str:
        """The model type whose keys and tensors these are: some models go by that of another."""
        if self.outer_type.text_misnamed:
            return self.outer_kind
        stated = model_types[self.kind]
        if stated.read_by_class:
            return model_types.of_class(class_of(self.outer)) or self.kind
        rule = next((rule for rule in stated.read_as if self.holds(rule)), None)
        if rule is None:
            return self.kind
        self.text |= {key: self.text.get(own) for key, own in rule.get("keys", {}).items()}
        return str(rule["as"])

    def holds(self, rule: Mapping[str, Any]) -> bool:
        """The conditions of a rule of `read_as`."""
        if "if_class" in rule:
            return self.outer.get("architectures") in [[name] for name in rule["if_class"]]
        if "if_key" not in rule:
            return True
        if rule.get("is") == "stated":
            return rule["if_key"] in self.text
        value = self.text.get(rule["if_key"])
        if "is" not in rule:
            return bool(value)
        return type(value) is type(rule["is"]) and value == rule["is"]

    @property
    def converted(self) -> bool:
        """llama.cpp's converter knows the model type."""
        return bool(self.type.row) and self.type.in_gguf

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys that has one; all of them count as understood."""
        self.understood.update(keys)
        first_key = next((key for key in keys if self.text.get(key) is not None), None)
        self.used.update(keys if first_key is None else (first_key,))
        return None if first_key is None else self.text[first_key]

    def number(self, *keys: str) -> int | None:
        """A whole number of at least 0, None where it is missing."""
        value = self.get(*keys)
        if value is None:
            return None
        if (
            isinstance(value, list)
            and len(value) >= self.layers > 0
            and all(type(of_layer) is int and of_layer == value[0] for of_layer in value)
        ):
            # one for each layer
            value = value[0]
        if type(value) is not int:
            # classes of transformers take nothing else: its configurations are strict dataclasses
            raise Unclear(f"{self.stated(keys)} is {short(value)}, not one whole number")
        if not 0 <= value < MAX_NUMBER:
            raise Unclear(f"{self.stated(keys)} is {short(value)}, which is no number of a model")
        return value

    def of_layer(self, layer: int, *keys: str) -> int | None:
        """The number of that layer where the file lists one for each, else that of all."""
        value = self.get(*keys)
        if not isinstance(value, list) or len(value) < self.layers:
            return self.positive(*keys)
        if type(value[layer]) is not int or not 0 < value[layer] < MAX_NUMBER:
            raise Unclear(f"{self.stated(keys)} is {short(value[layer])} for layer {layer}")
        return int(value[layer])

    def stated(self, keys: Sequence[str]) -> str:
        """The first of these keys that has a value, under the name that it has in the file."""
        having = [key for key in keys if self.text.get(key) is not None]
        return next((key for key in having if key in self.written), having[0])

    def positive(self, *keys: str) -> int | None:
        """A whole number of at least 1, None where it is missing."""
        value = self.number(*keys)
        if value == 0:
            raise Unclear(f"{self.stated(keys)} is 0")
        return value

    def needed(self, *keys: str) -> int:
        value = self.positive(*keys)
        if value is None:
            raise Unclear(f"{keys[0]} is missing")
        return value

    def flag(self, *keys: str) -> bool:
        return bool(self.get(*keys))

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
        numbers = self.per_layer(key)
        odd = next(
            (
                number
                for number in numbers or ()
                if not isinstance(number, int) or number not in (0, 1)
            ),
            None,
        )
        if odd is not None:
            raise Unclear(f"{key}: {short(odd)} is not understood")
        return None if numbers is None else [bool(number) for number in numbers]

    def places(self, *keys: str) -> list[int] | None:
        """The numbers of the layers that the first of these keys names, None where they are
        missing.
        """
        value = self.get(*keys)
        if value is not None and not (
            isinstance(value, list) and all(type(layer) is int and layer >= 0 for layer in value)
        ):
            raise Unclear(f"{self.stated(keys)} is {short(value)}, not numbers of layers")
        return value

    def of_layers(self) -> Mapping[int, Mapping[str, Any]]:
        """The keys that a layer alone has, by its number: transformers pads the numbers with
        zeros, to the length of the last.
        """
        stated = self.stated_of_layers
        if stated is None:
            return {}
        if not isinstance(stated, dict):
            raise Unclear(f"{_OF_LAYERS} is {short(stated)}, not keys by layer")
        by_layer: dict[int, Mapping[str, Any]] = {}
        for key, own in stated.items():
            number = int(key) if _LAYER_NUMBER.fullmatch(key) else None
            if number is None or number >= self.layers or number in by_layer:
                why = "is named twice" if number in by_layer else "is no layer"
                if number is None:
                    why = "is no number of a layer"
                raise Unclear(f"{_OF_LAYERS}: {short(key)} {why} of the {self.layers:,}")
            if not isinstance(own, dict):
                raise Unclear(f"{_OF_LAYERS}: {short(key)} is {short(own)}, not keys of a layer")
            # what is as everywhere changes nothing
            by_layer[number] = {
                name: value
                for name, value in own.items()
                if name not in self.text or self.text[name] != value
            }
        return by_layer

    def at(
        self, number: int, read: Callable[[Keys, int, str, int], _Part], kind: str, width: int
    ) -> _Part:
        """A part of one layer, read with the keys that this layer alone has."""
        own = self.overrides.get(number)
        if not own:
            return read(self, number, kind, width)
        common, used = self.text, self.used
        self.text, self.used = {**common, **own}, set()
        try:
            return read(self, number, kind, width)
        finally:
            self.followed.setdefault(number, set()).update(self.used)
            self.text, self.used = common, used

    def not_followed(self) -> list[str]:
        """Keys of single layers that no part of the layer reads."""
        return sorted(
            {
                clean(key)
                for number, own in self.overrides.items()
                for key in own
                if key not in self.followed.get(number, ())
            }
        )

    def reads(self, key: str) -> bool:
        """False where the class of this model type is known and leaves the key alone."""
        return not self.known or key in self.known["matter"]

    def left_over(self, pattern: re.Pattern[str]) -> list[str]:
        """Keys of the text model that nothing reads, that match, and whose value says something."""
        plain = (None, False, 0, "", -1)
        read, other_names = (
            {*self.known.get("matter", ()), *self.known.get("idle", ())},
            self.known.get("names", {}),
        )
        return [
            clean(key)
            for key, value in self.text.items()
            if not self.understands(key)
            and not {key, other_names.get(key, key)} & read
            and pattern.search(key)
            and not HARMLESS.search(key)
            and not isinstance(value, dict)
            and value != []
            and not any(
                value is item or (value == item and not isinstance(value, list)) for item in plain
            )
        ]

    def other_than_default(self, *, cache: bool) -> list[str]:
        """Keys that nothing reads, that change the class's weights or `cache`, and whose value is
        not the default that its row was made for.
        """
        keeping, defaults = self.known.get("cache", ()), self.known.get("defaults", {})
        return [
            key
            for key in self.known.get("matter", ())
            if (key in keeping) is cache
            and not self.understands(key)
            and key not in _SIZES
            # 1.0 and true are no 1
            and (
                self.text.get(key) != defaults.get(key)
                or (type(defaults.get(key)) is int and type(self.text[key]) is not int)
            )
        ]

    def understands(self, key: str) -> bool:
        """Whether something reads the key under any of its names."""
        return key in self.understood or any(
            key in pair and not self.understood.isdisjoint(pair)
            for pair in self.known.get("names", {}).items()
        )
