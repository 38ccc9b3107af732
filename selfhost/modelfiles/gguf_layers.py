"""The header of a GGUF model by the names of its keys and tensors, which are those of llama.cpp's
gguf-py/gguf/constants.py, and what each of its layers is: its attention, its state and its
feed-forward. The tensors show which kind a layer is, the keys say its sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..catalogue.architecture import MAX_LAYERS, Attention, FeedForward, Recurrent
from ..core.tables import shipped_table
from ..needs.tensors import ArchitectureRow
from .gguf_header import Header, Tensor
from .source import Unclear, clean, fail, file_table, reason

_MAX_NUMBER = 1 << 40
# T5 has two stacks of blocks of the same widths
_STACKS = ("enc.blk.", "dec.blk.")
_RWKV7_RANKS = tuple(
    f"attention.{name}_lora_rank" for name in ("decay", "iclr", "value_residual_mix", "gate")
)


class Refused(Unclear):
    """Every llama.cpp that knows the architecture stops at this file."""


class GgufModel:
    """All parts of one model, and what reading them brings up.

    `path` is what the user gave, `tensors` those of all parts. `name` is `general.architecture`;
    `row` its row, one with the defaults alone where it is not `known`. `shapes` has the tensors of
    both stacks of a T5 under the names of one stack too. `blocks` are all, `layers` those that do
    not predict more tokens.
    `notes` are sentences for the user, `unknown` what the spec cannot say, by key. `is_as_row`: the
    tensors are those that the row gives.
    """

    def __init__(self, path: str, header: Header, tensors: tuple[Tensor, ...]) -> None:
        self.path, self.tensors = path, tensors
        self.values, self.counts = header.values, header.counts
        self.notes: list[str] = []
        self.unknown: dict[str, str] = {}
        self.name = clean(self.values.get("general.architecture"))
        if not self.name:
            self.damaged("general.architecture is missing")
        architectures = shipped_table("architectures")
        images = architectures.get("image_models", {}).get("architectures", ())
        self.is_image_model = self.name in images
        row = architectures["architecture"].get(self.name)
        self.known = row is not None
        self.row = ArchitectureRow.from_values(self.name, row or {})
        self.shapes = {tensor.name: tensor.shape for tensor in tensors}
        self.shapes |= {
            name[4:].replace("attn_o.", "attn_output."): shape
            for name, shape in self.shapes.items()
            if name.startswith(_STACKS)
        }
        self.blocks = self.layers = MAX_LAYERS
        self.is_as_row = False

    def count_blocks(self) -> None:
        """Set `blocks` and `layers`, once the file has the keys that every model needs."""
        for key in file_table("gguf")["required"]:
            if self.number(key) is None:
                self.damaged(f"its header has no {self.name}.{key}")
        self.blocks = self.number("block_count") or 0
        predicting = self.number("nextn_predict_layers") or 0
        self.layers = self.blocks - predicting
        if not 0 < self.layers <= self.blocks <= MAX_LAYERS:
            self.damaged(f"{self.blocks:,} layers, {predicting:,} of them beyond the last")

    def damaged(self, what: str) -> NoReturn:
        remedy = "the file is damaged, or was not made by llama.cpp's converter: download it again"
        fail(self.path, f"cannot be used: {what}", remedy)

    def _value(self, key: str) -> Any:
        name = f"{self.name}.{key}"
        if name in self.counts:
            self.damaged(f"{name} lists {self.counts[name]:,} entries, more than blocks")
        return self.values.get(name)

    def number(self, key: str) -> int | None:
        """A whole number of at least 0; None where the key is missing. Raises `Unclear` where it
        differs between blocks.
        """
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, list) and value:
            if any(each != value[0] for each in value):
                raise Unclear(f"{self.name}.{key} is another number in each block")
            value = value[0]
        if type(value) is not int or not 0 <= value < _MAX_NUMBER:
            self.damaged(f"{self.name}.{key} is no whole number")
        return int(value)

    def size(self, *keys: str) -> int | None:
        """The first of these numbers that is above 0; None without one."""
        return next(filter(None, map(self.number, keys)), None)

    def needed(self, key: str) -> int:
        """A number above 0. Raises `Unclear` where the header has none."""
        value = self.number(key)
        if not value:
            raise Unclear(f"{self.name}.{key} is {'missing' if value is None else 0}")
        return value

    def sizes(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """Those of a layer, by the keys of a table."""
        return {name: self.needed(key) for name, key in keys.items()}

    def per_layer(self, key: str) -> list[int] | None:
        """One number for each layer; None where the key is missing. A single number stands for
        all layers.
        """
        value = self._value(key)
        if not isinstance(value, list):
            of_all_layers = self.number(key)
            return None if of_all_layers is None else [of_all_layers] * self.layers
        if len(value) < self.layers or not all(
            isinstance(of_layer, int) and 0 <= of_layer < _MAX_NUMBER for of_layer in value
        ):
            self.damaged(f"{self.name}.{key} does not list one number for each layer")
        return [int(of_layer) for of_layer in value[: self.layers]]

    def has(self, layer: int, *names: str) -> bool:
        """The layer has at least one of these tensors."""
        return any(f"blk.{layer}.{name}" in self.shapes for name in names)

    def shape(self, layer: int, name: str) -> tuple[int, ...]:
        """That of a tensor of the layer, the row length first; empty without it."""
        return self.shapes.get(f"blk.{layer}.{name}", ())


def _state_kind(model: GgufModel, layer: int) -> str | None:
    shown = model.row.state_kind
    is_delta = shown == "delta" or model.has(layer, "ssm_alpha.weight", "ssm_ba.weight")
    is_possible = {"delta": is_delta, "lightning": shown == "lightning"}
    for kind, state in file_table("gguf")["states"].items():
        is_there = all(model.has(layer, tensor) for tensor in state["tensors"])
        if is_there and is_possible.get(kind, True):
            return str(kind)
    if model.has(layer, *file_table("gguf")["other_states"]):
        raise Unclear(f"the recurrent layers of {model.name} are of an unknown kind")
    return None


def state_of(model: GgufModel, layer: int) -> Recurrent | None:
    """The state that a layer keeps."""
    kind = _state_kind(model, layer)
    if kind is None:
        return None
    sizes = model.sizes(file_table("gguf")["states"][kind]["keys"])
    state = Recurrent(kind=kind, **sizes)
    if kind == "rwkv7":
        return state.replace(ranks=tuple(model.number(key) or 0 for key in _RWKV7_RANKS))
    if kind == "mamba" and model.row.rank_from_width:
        # PLaMo 2: no key states it (src/models/plamo2.cpp: dt_dim)
        rank = max(64, model.needed("embedding_length") // 16)
        return state.replace(heads=state.time_step_rank, time_step_rank=rank)
    if kind == "mamba2" and not model.has(layer, "ssm_norm.weight"):
        return state.replace(norm=False)
    if kind == "delta":
        # the header has the values of all heads
        return state.replace(value_length=sizes["value_length"] // sizes["heads"])
    return state


def attention(model: GgufModel, states: Sequence[Recurrent | None]) -> list[Attention | None]:
    """The attention of each layer, None for a layer without it; an empty list where no layer has
    any.
    """
    attending = [layer for layer, state in enumerate(states) if _attends(model, layer, state)]
    if not attending:
        return []
    heads = model.per_layer("attention.head_count")
    if heads is None or max(heads) < 1:
        raise Unclear(f"{model.name}.attention.head_count is missing")
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    ratios = model.per_layer("attention.compress_ratios")
    is_latent = model.number("attention.kv_lora_rank") and model.number("attention.key_length_mla")
    window = _window(model)
    slides = _sliding(model, window)
    by_layer: list[Attention | None] = [None] * model.layers
    for layer in attending:
        own = heads[layer] or max(heads)
        if is_latent:
            part = _latent(model, own)
        elif ratios is not None:
            # to a window and to rows that stand for several tokens each (DeepSeek V4)
            sizes = model.sizes(file_table("gguf")["compressed"])
            part = Attention(kind="compressed", heads=own, kv_heads=1, **sizes)
            part = part.replace(compression=ratios[layer] or None)
        else:
            part = _plain(model, layer, own, kv_heads[layer], slides=slides[layer])
        if slides[layer]:
            part = part.replace(window_tokens=window)
        # a layer without an indexer shares an earlier one's choice, or looks at everything
        if model.has(layer, *file_table("gguf")["indexing"]):
            part = part.replace(
                indexer_heads=model.needed("attention.indexer.head_count"),
                indexer_length=model.needed("attention.indexer.key_length"),
                indexer_rows=None if ratios is None else model.needed("attention.indexer.top_k"),
            )
        by_layer[layer] = part
    return by_layer


def _attends(model: GgufModel, layer: int, state: Recurrent | None) -> bool:
    kind = state.kind if state is not None else None
    names = "attending_beside_delta" if kind == "delta" else "attending"
    return kind not in ("kda", "lightning") and model.has(layer, *file_table("gguf")[names])


def _plain(model: GgufModel, layer: int, heads: int, kv_heads: int, *, slides: bool) -> Attention:
    key, value = (
        (slides and model.number(f"attention.{name}_swa"))
        or model.number(f"attention.{name}")
        or model.needed("embedding_length") // heads
        for name in ("key_length", "value_length")
    )
    part = Attention(
        kind="sliding" if slides else "full",
        heads=heads,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        values_from_keys=model.row.values_from_keys and not model.has(layer, "attn_v.weight"),
    )
    # files of before April 2025 unpack the latent, and keep keys and values of every head
    if slides or not model.has(layer, "attn_kv_b.weight"):
        return part
    return part.replace(**_latent_sizes(model))


def _latent(model: GgufModel, heads: int) -> Attention:
    sizes = _latent_sizes(model)
    return Attention(
        kind="latent",
        heads=heads,
        kv_heads=heads,
        key_length=model.needed("attention.key_length_mla") - sizes["rope_length"],
        value_length=model.needed("attention.value_length_mla"),
        **sizes,
    )


def _latent_sizes(model: GgufModel) -> dict[str, Any]:
    return {
        "latent_length": model.needed("attention.kv_lora_rank"),
        "query_latent_length": model.size("attention.q_lora_rank"),
        "rope_length": model.needed("rope.dimension_count"),
    }


def _window(model: GgufModel) -> int | None:
    """The window in tokens, of the layers that have one; None where none has."""
    window = model.size("attention.sliding_window", "attention.chunk_size")
    if model.row.window_cache_layers in (None, model.layers):
        window = window or model.row.window_tokens
    # a window that no text can fill is none
    return window if window and window < (model.number("context_length") or _MAX_NUMBER) else None


def _sliding(model: GgufModel, window: int | None) -> list[bool]:
    """Which layers have the window, by a list or by every so many; else as the row says."""
    key, layers = "attention.sliding_window_pattern", model.layers
    if window is None:
        return [False] * layers
    name = f"{model.name}.{key}"
    stated = model.values.get(name)
    entries = len(stated) if isinstance(stated, list) else model.counts.get(name, layers)
    if not layers <= entries <= model.blocks:
        raise Unclear(reason("pattern", name=name, entries=entries, layers=layers))
    if isinstance(stated, list):
        return [bool(flag) for flag in model.per_layer(key) or ()]
    every = model.row.full_every if stated is None else model.number(key)
    if every is None:
        raise Unclear(reason("window", name=model.name, window=window))
    full = 0 if model.row.full_first else (every or 1) - 1
    return [every == 0 or layer % every != full for layer in range(layers)]


def feed_forward(model: GgufModel, width: int) -> list[FeedForward | None]:
    """The feed-forward of each layer, None for a layer without one."""
    by_layer: list[FeedForward | None] = [None] * model.layers
    lengths = model.per_layer("feed_forward_length") or [0] * model.layers
    for layer in range(model.layers):
        stated = lengths[layer] // (2 if model.row.length_of_both else 1)
        experts = model.shape(layer, "ffn_down_exps.weight")
        dense = model.shape(layer, "ffn_down.weight")
        mixed = model.shape(layer, "channel_mix_key.weight")
        if len(experts) == 3 and model.number("expert_used_count"):
            by_layer[layer] = _routed(model, layer, width, experts)
        elif dense or mixed:
            # where the tensor has another length than the header, llama.cpp refuses it
            by_layer[layer] = FeedForward(length=stated or (*dense[:1], *mixed[-1:])[0])
        elif model.has(layer, "ffn_down.0.weight"):
            # merged since ggml-org/llama.cpp#6387, refused since its c5b0f4b5 (#10244)
            raise Refused("each of its experts is a tensor of its own, as until April 2024")
    return by_layer


def _routed(model: GgufModel, layer: int, width: int, shape: tuple[int, ...]) -> FeedForward:
    length, inner, _ = shape
    groups = model.number("expert_group_count") or 0
    return FeedForward(
        length=length,
        experts=model.needed("expert_count"),
        used=model.needed("expert_used_count"),
        shared_length=next(iter(model.shape(layer, "ffn_down_shexp.weight")), None),
        latent_length=inner if inner != width else None,
        router_bias=model.has(layer, "exp_probs_b.bias", "exp_probs_b"),
        beside_dense=next(iter(model.shape(layer, "ffn_down.weight")), None),
        groups=groups if groups > 1 else None,
        groups_used=model.needed("expert_group_used_count") if groups > 1 else None,
    )
