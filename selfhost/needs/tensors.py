"""Which tensors a model's files hold, and what it remembers of the tokens it has seen, keys and
values that grow with the context or a state of fixed size: one generic derivation, one row of data
per architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..catalogue.architecture import Architecture, Attention, FeedForward, TensorGroup
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
from ..core.units import plural


class Style(Record):
    """How llama.cpp builds the graph of one architecture: the key `graph` of its row."""

    centred: bool = False
    rope: str = "all"
    beside: str = ""
    sums: tuple[str, ...] = ("made", "residual")
    late_rows: str = ""
    chosen_first: bool = False
    normalized: bool = False
    before_experts: bool = False
    temperature: bool = False
    positions: int = 1
    residual_first: bool = False
    expanded: bool = False
    divided_gate: bool = False
    rescaled: bool = False
    values_normed: bool = False
    normed_first: bool = False


class ArchitectureRow(Record):
    """What models of one architecture share: a table of `specs/common/architectures.toml`. `flags`
    are the keys that only the tables of tensors.toml ask for.
    """

    name: str
    flags: TomlRow = {}
    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    norm_bias: bool = False
    first_norm: bool = True
    output_norm: str = "output_norm"
    fused_qkv: bool = False
    gated_query: bool = False
    attention_bias: bool = False
    key_bias: bool = True
    query_key_norm: str = ""
    window_masks: bool = False
    recomputes: bool = False
    attention_gate: str = ""
    banked_layers: int = 0
    routed_norm: bool = False
    gate: str = "split"
    feed_forward_bias: bool = False
    down_bias: bool = False
    expert_bias: bool = False
    router_bias: bool = False
    shared_expert_gate: bool = False
    expert_norms: bool = False
    positions: bool = False
    position_offset: int = 0
    sines: int = 0
    token_types: bool = False
    embedding_norm: bool = False
    rope_factors: str = ""
    per_layer_embeddings: bool = False
    per_layer_vocabulary: int | None = None
    altup: bool = False
    hyper_connections: int = 0
    mamba_norms: bool = False
    fused_alpha_beta: bool = False
    embedding_rows_beyond: int = 0
    encoder: bool = False
    idle_cache: bool = False
    stacks: tuple[str, ...] = ()
    relative_positions: int = 0
    unfused: bool = False
    pooling: str = "mean"
    diffusion: bool = False
    mtp_like: tuple[str, ...] = ()
    mtp_vocabulary: tuple[str, ...] = ()
    mtp_in_gguf: bool | None = None
    mtp_in_gguf_since: str = ""
    mtp_loaded: tuple[str, ...] = ()
    mtp_cached: bool = False
    norms_of_parts: bool = False
    rope: bool = True
    rope_share: float = 1.0
    rope_rows: int = 1
    tokenizer: str = ""
    # what a GGUF header leaves out, or states in a way of its own
    full_every: int | None = None
    full_first: bool = False
    window_tokens: int | None = None
    cache_layers: int | None = None
    gate_varies: bool = False
    values_from_keys: bool = False
    length_of_both: bool = False
    state_kind: str = ""
    rank_from_width: bool = False
    loops: bool = False
    # what transformers, peft, vLLM and MLX LM make of a model
    torch_scores: str = ""
    mlx_windows: str = ""
    mlx_unpacked: bool = False
    mlx_in_8_bits: tuple[str, ...] = ()
    torch_wide_matrix: str = ""
    window_cache: str = ""
    window_cache_layers: int | None = None
    indexer_values: bool = False
    rolls_back: bool = False
    keys_stated_once: bool = False
    falcon_types: bool = False
    layers_of_70b: int | None = None
    shared_keys_of_70b: bool = False
    graph: Style | None = None
    # what follows: its output is vectors, not text; and an encoder reads a text and a decoder
    # writes another, each with positions of its own
    embeds: bool = False
    rewrites: bool = False

    @classmethod
    def from_values(cls, name: str, values: TomlRow) -> ArchitectureRow:
        """One table of the file."""
        stated: dict[str, Any] = {}
        for key, value in values.items():
            stated[key] = tuple(value) if isinstance(value, list) else value
        if (graph := values.get("graph")) is not None:
            stated["graph"] = Style(
                **{**graph, "sums": tuple(graph.get("sums", Style().sums))}
            )
        stated["embeds"] = bool(values.get("encoder")) and not values.get("diffusion")
        stated["rewrites"] = "dec" in values.get("stacks", ())
        own = {key: value for key, value in stated.items() if key in cls._fields}
        flags = {key: value for key, value in stated.items() if key not in own}
        return cls(name=name, flags=flags, **own)


# of models of which no row tells more
UNKNOWN_ROW = ArchitectureRow(name="")


@lru_cache(1024)
def row_of(architecture: Architecture) -> ArchitectureRow:
    """The row of a model's architecture, with what this model has beside others of it, and without
    what it lacks. `UNKNOWN_ROW` where there is none, or the model lacks attention or a feed-forward
    that all others have.
    """
    values = shipped_table("architectures")["architecture"].get(architecture.row)
    if values is None:
        return UNKNOWN_ROW
    # the last norm is a name in the row
    lacks = {
        flag: "" if flag == "output_norm" else False for flag in architecture.lacks
    }
    departs = {**dict.fromkeys(architecture.also, True), **lacks}
    departs |= {} if architecture.gate is None else {"gate": architecture.gate}
    row = ArchitectureRow.from_values(architecture.row, {**values, **departs})
    if architecture.tensors:
        return row
    attends = architecture.attention or not (row.rewrites or row.relative_positions)
    compressed = any(group.kind == "compressed" for group in architecture.attention)
    feeds = architecture.feed_forward or not (row.rewrites or compressed)
    return row if attends and feeds else UNKNOWN_ROW


def trained_tokens(architecture: Architecture, row: ArchitectureRow) -> int | None:
    """The context that the model was trained for, with a decoder that of both together."""
    tokens = architecture.context_tokens
    return 2 * tokens if tokens is not None and row.rewrites else tokens


def count_parameters(groups: Iterable[TensorGroup]) -> int:
    """How many parameters the tensors have."""
    return sum(group.parameters for group in groups)


def all_and_active(architecture: Architecture) -> tuple[int, int]:
    """The published parameters, and those that one token uses: all but other routed experts."""
    groups = checkpoint_tensors(architecture)
    total = count_parameters(groups)
    routed = [
        group for group in groups if "exps." in group.name and "norm" not in group.name
    ]
    left_out = 0
    for layer in architecture.feed_forward:
        for group in routed if layer.experts and layer.used else ():
            if set(layer.layers).intersection(group.layers):
                # GroveMoE has half as many of the smaller ones
                experts = group.shape[-1]
                used = min(layer.used or experts, experts)
                left_out += count_parameters((group,)) * (experts - used) // experts
    return total, total - left_out


@lru_cache(maxsize=512)
def gguf_tensors(architecture: Architecture) -> tuple[TensorGroup, ...]:
    """The tensors of the GGUF file, multi-token-prediction blocks last."""
    return tuple(_Tensors(architecture, gguf=True).groups)


@lru_cache(maxsize=512)
def checkpoint_tensors(architecture: Architecture) -> tuple[TensorGroup, ...]:
    """The published parameters under GGUF names: tied matrices once, no prediction blocks."""
    return architecture.tensors or tuple(_Tensors(architecture, gguf=False).groups)


def block_tensors(architecture: Architecture) -> list[TensorGroup]:
    """What a published checkpoint holds of multi-token-prediction blocks, under GGUF names."""
    groups, first = gguf_tensors(architecture), architecture.layers
    return [group for group in groups if max(group.layers, default=-1) >= first]


_TABLES: TomlRow = shipped_table("tensors")


def side_length(expression: str, sizes: Mapping[str, Any]) -> int:
    """`2 * heads * key_length + width`: a sum of products, whose factors may be divided."""
    total = 0
    for product in expression.split(" + "):
        number = 1
        for factor in product.split(" * "):
            over, _, under = factor.partition(" / ")
            number *= int(over) if over.isdecimal() else sizes[over]
            number //= (sizes[under] or 1) if under else 1
        total += number
    return total


def sizes_of(record: Record | None) -> dict[str, Any]:
    """The fields of a record, 0 for those that it does not state."""
    fields = type(record)._fields if record is not None else ()
    return {key: getattr(record, key) or 0 for key in fields}


class _Tensors:
    """The tensors of one model, as llama.cpp's file holds them (`gguf`) or the published
    checkpoint. Shapes have the fastest dimension first, as GGUF writes them; a `*` in a name stands
    for the number of each of its layers.
    """

    def __init__(self, model: Architecture, *, gguf: bool) -> None:
        row, every = row_of(model), tuple(range(model.layers))
        self.architecture, self.row, self.gguf = model, row, gguf
        self.groups: list[TensorGroup] = []
        # converters pad or cut the table
        tokens, width = model.vocabulary or 0, model.embedding_length
        padded = model.vocabulary_gguf or tokens
        own = {
            "always": 1,
            "width": width,
            "in_gguf": gguf,
            "tokens": padded if gguf else tokens,
        }
        self.sizes = {
            **sizes_of(model),
            **sizes_of(row),
            **row.flags,
            **own,
            "padded": padded,
        }
        self.outside_of_blocks(every)
        self.every_layer(every)
        for attention in model.attention:
            self.attention(attention, attention.layers)
        for recurrent in model.recurrent:
            decay, rate, mix, gate = (*recurrent.ranks, 0, 0, 0, 0)[:4]
            ranks = {"decay": decay, "rate": rate, "mix": mix, "rank_of_gate": gate}
            ranks["steps"] = recurrent.heads or recurrent.inner_length or 0
            normed = recurrent.norm is not False
            self.table(
                recurrent.kind, recurrent.layers, recurrent, normed=normed, **ranks
            )
        for feed_forward in model.feed_forward:
            self.feed_forward(feed_forward, feed_forward.layers)
        if gguf and model.mtp_layers and model.attention and model.feed_forward:
            self.prediction_blocks(
                tuple(range(model.layers, model.layers + model.mtp_layers))
            )

    def add(
        self,
        name: str,
        layers: tuple[int, ...],
        shape: tuple[int, ...],
        *,
        biased: Any = False,
    ) -> None:
        """A tensor; of two stacks, in each where it is of the blocks, or starts with a point."""
        limit, stacks = self.architecture.stored_layers, self.row.stacks
        if limit is not None:
            layers = tuple(layer for layer in layers if layer < limit)
        if "*" in name and not layers:
            return
        if not name.startswith(("blk.", ".")):
            stacks = ()
        elif "cross_attn" in name:
            stacks = stacks[-1:]
        names = {name: shape}
        if biased:
            names[f"{name.removesuffix('.weight')}.bias"] = shape[1:] or shape
        for each, sides in names.items():
            for stack in stacks or ("",):
                whole = each.removeprefix(".")
                if stack:
                    whole = f"{stack}.{whole.replace('attn_output.', 'attn_o.')}"
                group = TensorGroup(
                    name=whole, layers=layers if "*" in name else (), shape=sides
                )
                self.groups.append(group)

    def table(
        self,
        name: str,
        layers: tuple[int, ...],
        group: Record | None = None,
        /,
        **more: Any,
    ) -> None:
        """The tensors of a table of specs/common/tensors.toml; `more`: sizes of no record."""
        sizes = self.sizes | sizes_of(group) | more
        sizes |= {
            f"{key}={text}": 1 for key, text in sizes.items() if isinstance(text, str)
        }
        some = {"first": layers[:1], "rest": layers[1:]}
        for tensor, *sides in _TABLES["tensors"][name]:
            rule = sides.pop() if isinstance(sides[-1], dict) else {}
            needed = rule.get("if", "always").split(" and ")
            if any(map(sizes.get, rule.get("unless", ()))) or not all(
                map(sizes.get, needed)
            ):
                continue
            shape = tuple(side_length(side, sizes) for side in sides)
            where = some.get(rule.get("layers", ""), layers)
            self.add(tensor, where, shape, biased=sizes.get(rule.get("bias", "")))

    def outside_of_blocks(self, layers: tuple[int, ...]) -> None:
        model, row, width = self.architecture, self.row, self.sizes["width"]
        table = model.table_length or width
        rows = model.positions or (model.context_tokens or 0) + row.position_offset
        if self.gguf and row.token_types and model.token_types == 1:
            # the conversion drops the two rows of XLM-RoBERTa that no token uses
            rows -= 2
        turned = (group.rope_length or group.key_length for group in model.attention)
        self.table(
            "outside",
            layers,
            table=table,
            narrow=table != width,
            output_beside=self.gguf and row.flags.get("output_in_gguf"),
            position_rows=rows,
            types=model.token_types or 2,
            distances=model.positions or 0,
            rope_factors=model.rope_factors or row.rope_factors,
            half=max(turned, default=0) // 2,
        )
        if row.output_norm:
            self.add(
                f".{row.output_norm}.weight", layers, (width,), biased=row.norm_bias
            )
        if model.audio:
            self.table("audio", tuple(range(model.audio.layers)), model.audio)
            self.table("attention to audio", layers)

    def every_layer(self, layers: tuple[int, ...]) -> None:
        """The norms, and tensors of every layer whatever its attention and feed-forward."""
        model, row = self.architecture, self.row
        mixing = *model.attention, *model.recurrent
        for name in (
            (*row.norms, "attn_norm_2") if model.parallel_norms == 2 else row.norms
        ):
            normed = layers
            if row.norms_of_parts:
                parts = model.feed_forward if name == "ffn_norm" else mixing
                normed = tuple(
                    sorted({layer for part in parts for layer in part.layers})
                )
            elif name == "attn_norm" and not row.first_norm:
                normed = layers[1:]
            self.add(
                f"blk.*.{name}.weight",
                normed,
                (self.sizes["width"],),
                biased=row.norm_bias,
            )
        inputs, rows = model.altup_inputs or 0, row.per_layer_vocabulary
        rows = (model.vocabulary_gguf if self.gguf else rows) or model.vocabulary or 0
        mixed = 2 * inputs + (inputs * inputs if row.hyper_connections == 3 else 0)
        most_heads = max((group.heads for group in model.attention), default=0)
        more = {
            "rows": rows,
            "others": inputs - 1,
            "mixed": mixed,
            "most_heads": most_heads,
        }
        self.table("every layer", layers, **more)

    def prediction_blocks(self, layers: tuple[int, ...]) -> None:
        """Blocks shaped like the last layer, or the last of some kind."""
        model, row = self.architecture, self.row
        # where layers attend or feed forward, the block does both and has a second norm
        second = () if len(row.norms) > 1 else ("post_attention_norm",)
        for name in (*row.norms, *second):
            self.add(
                f"blk.*.{name}.weight",
                layers,
                (self.sizes["width"],),
                biased=row.norm_bias,
            )
        # the block attends as an ordinary layer even where the trunk's last one is recurrent
        windowed, dense = "window" in row.mtp_like, "dense" in row.mtp_like
        attention = [
            each for each in model.attention if not windowed or each.window_tokens
        ]
        feeding = [each for each in model.feed_forward if not dense or not each.experts]
        last_attention = max(
            attention or model.attention, key=lambda group: group.layers[-1:]
        )
        last_feeding = max(
            feeding or model.feed_forward, key=lambda group: group.layers[-1:]
        )
        self.attention(last_attention, layers)
        self.feed_forward(last_feeding, layers)
        self.table("prediction", layers, **dict.fromkeys(row.mtp_vocabulary, True))

    def attention(self, group: Attention, layers: tuple[int, ...]) -> None:
        model, row = self.architecture, self.row
        if group.latent_length:
            # of attention that caches them unpacked the key's length holds the part with rope
            is_unpacked = group.kind != "latent"
            unturned = group.key_length
            if is_unpacked:
                unturned -= group.rope_length or 0
            query = group.query_latent_length or self.sizes["width"]
            more = {"is_unpacked": is_unpacked, "unturned": unturned, "query": query}
            self.table("latent", layers, group, **more)
        elif group.kind == "compressed":
            indexed = bool(group.compression and group.indexer_heads)
            groups, rows = group.output_groups or 1, 2 if group.indexer_heads else 1
            more = {"indexed": indexed, "rows": rows, "output_groups": groups}
            self.table("compressed", layers, group, **more)
        else:
            bias = (
                row.attention_bias
                if model.attention_bias is None
                else model.attention_bias
            )
            norm = group.query_key_norm or model.query_key_norm or row.query_key_norm
            biases = {"biased": bias, "biased_keys": bias and row.key_bias}
            self.table("attention", layers, group, query_key_norm=norm, **biases)
        self.table("beside attention", layers, group)

    def feed_forward(self, group: FeedForward, layers: tuple[int, ...]) -> None:
        row, dense = self.row, group.beside_dense if group.experts else group.length
        if group.experts:
            inner, used = group.latent_length or self.sizes["width"], group.used or 1
            more = {
                "inner": inner,
                "used": used,
                "normed_beside": dense and row.expert_norms,
            }
            more["picked_by_bias"] = group.router_bias or row.router_bias
            self.table("experts", layers, group, **more)
        if dense:
            biased = row.feed_forward_bias or row.down_bias
            self.table("dense", layers, dense=dense, down_biased=biased)


class CacheGroup(Record):
    """Layers that cache alike, those that own a cache; elements are of one token and one layer.
    `window_tokens`: None for layers that keep every token. `indexer_elements`: the keys of a sparse
    indexer. `tokens_per_row`: so many share the elements. Latent attention stores no values.
    """

    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    key_elements: int
    value_elements: int
    window_tokens: int | None = None
    latent: bool = False
    indexer_elements: int = 0
    tokens_per_row: int = 1


@lru_cache(512)
def cache_groups(
    architecture: Architecture, *, with_room: bool = False
) -> tuple[CacheGroup, ...]:
    """The caches of a model; () for encoders and for models that keep a state alone, or nothing.
    `with_room`: what has room in llama.cpp's cache, of some encoders too, which read none, and in
    Ling 3 the multi-token-prediction blocks as well (src/llama-model.cpp filters no layer).
    """
    row = row_of(architecture)
    if row.recomputes or (row.encoder and not (with_room and row.idle_cache)):
        return ()
    last, groups = architecture.cache_layers, list[CacheGroup]()
    for group in architecture.attention:
        # those of Gemma 3n and 4 beyond `cache_layers` read an earlier layer's
        layers = sum(last is None or layer < last for layer in group.layers)
        if layers and group.kind != "cross":
            groups += _groups_of(group, layers, row)
    if with_room and row.mtp_cached and groups:
        groups[-1] = groups[-1].replace(
            layers=groups[-1].layers + (architecture.mtp_layers or 0)
        )
    return tuple(groups)


def _groups_of(group: Attention, layers: int, row: ArchitectureRow) -> list[CacheGroup]:
    kind, length, indexer = group.kind, group.key_length, group.indexer_length or 0
    if kind == "latent":
        length = (group.latent_length or 0) + (group.rope_length or 0)
    # rows that are key and value in one
    is_joint = kind in ("latent", "compressed")
    heads, value = (1, 0) if is_joint else (group.kv_heads, group.value_length)
    cached = CacheGroup(
        layers=layers,
        kv_heads=heads,
        key_length=length,
        value_length=value,
        key_elements=heads * length,
        value_elements=heads * value,
        latent=is_joint,
        window_tokens=None
        if kind == "full" or row.window_masks
        else group.window_tokens,
        indexer_elements=indexer if kind != "compressed" else 0,
    )
    if kind != "compressed" or not group.compression:
        return [cached]
    # DeepSeek V4: beside a window of tokens rows that each stand for several of them
    elements = {"key_length": length + indexer, "key_elements": length + indexer}
    rows = {"window_tokens": None, "tokens_per_row": group.compression}
    return [cached, cached.replace(**rows, **elements)]


class State(Record):
    """The state of a recurrent layer and sequence: numbers of a convolution's last inputs, and the
    rest; `bytes` of all `layers` in llama.cpp, in 32-bit floats.
    """

    layers: int
    bytes: int
    convolution: int
    memory: int
    arithmetic: str


def states(architecture: Architecture) -> tuple[State, ...]:
    """Those of recurrences, and of compressed attention the tokens that make the next row."""
    kept, rules = list[State](), _TABLES["states"]
    for recurrent in architecture.recurrent:
        if not recurrent.layers:
            continue
        sizes = {**sizes_of(recurrent), "width": architecture.embedding_length}
        # inputs that a convolution remembers
        sizes["taps"] = max(0, (recurrent.convolution or 1) - 1)
        parts: list[str] = rules[recurrent.kind]
        convolution, memory = (
            side_length(part, sizes) if part else 0 for part in parts
        )
        line = f"({' + '.join(filter(None, parts)).replace('*', '×')})"
        line = re.sub(r"[a-z_]+", lambda key: f"{sizes[key[0]]:,}", line)  # noqa: B023
        layers, ends = (
            len(recurrent.layers),
            {"convolution": convolution, "memory": memory},
        )
        size = 4 * (convolution + memory) * layers
        kept.append(State(layers=layers, bytes=size, arithmetic=line, **ends))
    for group in architecture.attention:
        if group.kind == "compressed" and group.compression:
            twice = 2 if group.indexer_heads else 1
            wide = twice * (group.key_length + (group.indexer_length or 0))
            rows, layers = 2 * twice * group.compression, len(group.layers)
            line = f"2 × {rows // 2} tokens × {wide:,}"
            ends = {"bytes": 4 * rows * wide * layers, "memory": rows * wide}
            kept.append(State(layers=layers, convolution=0, arithmetic=line, **ends))
    return tuple(kept)


def shape_of_row(group: CacheGroup, widest: int = 0) -> tuple[str, str]:
    """What stands before and after the number of layers for the numbers of one token."""
    values = max(widest, group.value_elements)
    if group.latent:
        return "", f"{group.key_length:,}"
    if group.key_elements == values:
        return "2 × ", f"{plural(group.kv_heads, 'KV head')} × {group.key_length:,}"
    return "", f"({group.key_elements:,} + {values:,})"


def window_of(architecture: Architecture, group: CacheGroup | Attention) -> int | None:
    """The window that llama.cpp's cache of these layers has; None where it keeps every token."""
    row = row_of(architecture)
    if row.window_cache == "ignored" or row.window_cache_layers not in (
        None,
        architecture.layers,
    ):
        return None
    return group.window_tokens


def with_every_head(architecture: Architecture) -> Architecture:
    """The model where each latent is unpacked into keys and values of every head."""
    attention = [
        _with_every_head(group) if group.kind == "latent" else group
        for group in architecture.attention
    ]
    return architecture.replace(attention=tuple(attention))


def _with_every_head(latent: Attention) -> Attention:
    """Attention with keys and values of every head, where one latent stands for them."""
    length = latent.key_length + (latent.rope_length or 0)
    return latent.replace(kind="full", kv_heads=latent.heads, key_length=length)
