"""Which tensors a model's files hold: one generic derivation, one row of data per architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from math import prod
from typing import Any

from ..catalogue.architecture import (
    Architecture,
    Attention,
    Audio,
    FeedForward,
    Recurrent,
    TensorGroup,
)
from ..core.records import Record
from ..core.tables import shipped_table


class Style(Record):
    """`graph`: how llama.cpp builds the graph of one architecture."""

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
    """What all models of one architecture share: `specs/common/architectures.toml`, whose
    header explains every key.
    """

    name: str
    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    norm_bias: bool = False
    first_norm: bool = True
    output_norm: str = "output_norm"
    output_bias: bool = False
    fused_qkv: bool = False
    gated_query: bool = False
    attention_bias: bool = False
    key_bias: bool = True
    attention_output_bias: bool = False
    query_key_norm: str = ""
    query_key_norm_bias: bool = False
    window_masks: bool = False
    recomputes: bool = False
    attention_sinks: str = ""
    attention_gate: str = ""
    full_rank_gate: bool = False
    banked_layers: int = 0
    routed_norm: bool = False
    gate: str = "split"
    feed_forward_bias: bool = False
    down_bias: bool = False
    expert_bias: bool = False
    feed_forward_sub_norm: bool = False
    router_bias: bool = False
    shared_expert_gate: bool = False
    expert_norms: bool = False
    positions: bool = False
    position_offset: int = 0
    sines: int = 0
    token_types: bool = False
    embedding_norm: bool = False
    wide_qat_table: bool = False
    output_in_gguf: bool = False
    rope_factors: str = ""
    layer_scale: bool = False
    per_layer_embeddings: bool = False
    per_layer_vocabulary: int | None = None
    altup: bool = False
    hyper_connections: int = 0
    hashed_experts: bool = False
    mamba_norms: bool = False
    fused_alpha_beta: bool = False
    wide_gates: bool = False
    pooler: bool = False
    relative_table: bool = False
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

    @property
    def embeds(self) -> bool:
        """Whether it is an encoder whose output is vectors, not text."""
        return self.encoder and not self.diffusion

    @property
    def expert_matrices(self) -> int:
        """How many matrices of its width and length an expert has: up, down, mostly a gate."""
        return 2 if self.gate == "none" else 3

    @property
    def rewrites(self) -> bool:
        """An encoder reads a text and a decoder writes another, each with positions of its own."""
        return "dec" in self.stacks

    @property
    def bounds_texts(self) -> bool:
        """Positions are rows of a table, beyond which transformers stops: none are where distances
        count (T5), and M2M-100 makes the table longer
        (M2M100SinusoidalPositionalEmbedding.forward).
        """
        return not (self.relative_positions or self.sines)

    @classmethod
    def from_values(cls, name: str, values: Mapping[str, Any]) -> ArchitectureRow:
        """One table of the file. `TypeError` names a key that no row may have."""
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        stated = {**values, **lists}
        if "graph" in values:
            graph = {"sums": Style().sums, **values["graph"]}
            stated["graph"] = Style(**{**graph, "sums": tuple(graph["sums"])})
        return cls(name=name, **stated)


def row_of(architecture: Architecture) -> ArchitectureRow | None:
    """The row of a model's architecture, with what this model has beside others of it, and without
    what it lacks. None where there is no row, or where the model lacks a part that every other
    model of the row has.
    """
    return None if lacking(architecture) else _stated_row(architecture)


def lacking(architecture: Architecture) -> str | None:
    """`attention` or `feed_forward`, where models of this architecture have it and this one
    lacks it.
    """
    row = _stated_row(architecture)
    if row is None or architecture.tensors:
        return None
    if not architecture.attention and (row.rewrites or row.relative_positions):
        return "attention"
    compressed = any(group.kind == "compressed" for group in architecture.attention)
    if not architecture.feed_forward and (row.rewrites or compressed):
        return "feed_forward"
    return None


def _stated_row(architecture: Architecture) -> ArchitectureRow | None:
    gate = {} if architecture.gate is None else {"gate": architecture.gate}
    # the last norm is a name in the row
    lacks = {flag: "" if flag == "output_norm" else False for flag in architecture.lacks}
    departs = {**dict.fromkeys(architecture.also, True), **lacks, **gate}
    return _row_with(architecture.row, tuple(departs.items()))


@cache
def _row_with(name: str, departs: tuple[tuple[str, Any], ...]) -> ArchitectureRow | None:
    values = shipped_table("architectures")["architecture"].get(name)
    return (
        None if values is None else ArchitectureRow.from_values(name, {**values, **dict(departs)})
    )


def trained_tokens(architecture: Architecture, row: ArchitectureRow | None) -> int | None:
    """The context that the model was trained for. For an encoder with a decoder: the positions of
    both together.
    """
    tokens = architecture.context_tokens
    return 2 * tokens if tokens is not None and row is not None and row.rewrites else tokens


def count(groups: Iterable[TensorGroup]) -> int:
    return sum(prod(group.shape) * (len(group.layers) or 1) for group in groups)


def idle(groups: Iterable[TensorGroup], architecture: Architecture) -> int:
    """Parameters of the routed experts that one token does not use: `total` minus `active`."""
    routed = [group for group in groups if "exps." in group.name and "norm" not in group.name]
    left_out = 0
    for layer in architecture.feed_forward:
        for group in routed if layer.experts and layer.used else ():
            if set(layer.layers).intersection(group.layers):
                # GroveMoE has half as many of the smaller ones
                experts = group.shape[-1]
                used = min(layer.used or experts, experts)
                left_out += count((group,)) * (experts - used) // experts
    return left_out


@lru_cache(maxsize=512)
def gguf_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """The tensors of the GGUF file, multi-token-prediction blocks last, their layers numbered
    from `layers` on.
    """
    return tuple(_Tensors(architecture, row, gguf=True).build())


@lru_cache(maxsize=512)
def checkpoint_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """The parameters of the published checkpoint, under GGUF names: tied matrices once, no
    multi-token-prediction blocks.
    """
    return architecture.tensors or tuple(_Tensors(architecture, row, gguf=False).build())


def block_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """What a published checkpoint holds of multi-token-prediction blocks, under GGUF names."""
    return tuple(
        group for group in gguf_tensors(architecture, row) if predicts_more(group, architecture)
    )


def predicts_more(group: TensorGroup, architecture: Architecture) -> bool:
    """True for a tensor of a multi-token-prediction block: in the file, and by default not in
    memory.
    """
    return bool(group.layers) and group.layers[0] >= architecture.layers


_TABLES: Mapping[str, Any] = shipped_table("tensors")


def _is_there(rule: Mapping[str, Any], sizes: Mapping[str, Any]) -> bool:
    is_left_out = any(sizes[key] for key in rule.get("unless", ()))
    return not is_left_out and bool("if" not in rule or sizes[rule["if"]])


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


class _Tensors:
    """The tensors of one model, in the order of its file. `gguf`: as llama.cpp's file holds them;
    else as the published checkpoint, under the same names. Shapes are in elements, the fastest
    dimension first, as GGUF writes them; a `*` in a name stands for the number of each layer.

    `layer` and `plain` add tensors of the `layers` at hand, `outside` one outside the blocks.
    """

    def __init__(self, architecture: Architecture, row: ArchitectureRow, *, gguf: bool) -> None:
        self.architecture, self.row, self.gguf = architecture, row, gguf
        self.width = architecture.embedding_length
        tokens = architecture.vocabulary or 0
        # converters pad or cut the table
        self.vocabulary = architecture.vocabulary_gguf or tokens if gguf else tokens
        self.layers = tuple(range(architecture.layers))
        self.groups: list[TensorGroup] = []

    def add(self, name: str, *shape: int, layers: tuple[int, ...] = (), bias: bool = False) -> None:
        self.groups.append(TensorGroup(name=f"{name}.weight", layers=layers, shape=shape))
        if bias:
            rows = shape[1:] or shape
            self.groups.append(TensorGroup(name=f"{name}.bias", layers=layers, shape=rows))

    def outside(self, name: str, *shape: int, bias: bool = False) -> None:
        """A tensor outside the blocks of an encoder, and of its decoder; none without a name."""
        for stack in self.row.stacks or ("",) if name else ():
            self.add(f"{stack}.{name}" if stack else name, *shape, bias=bias)

    def layer(self, name: str, *shape: int, bias: bool = False) -> None:
        where = self.stored_layers()
        if not where:
            return
        if not self.row.stacks:
            self.add(f"blk.*.{name}", *shape, layers=where, bias=bias)
        for stack in self.row.stacks if "cross_attn" not in name else self.row.stacks[-1:]:
            short = name.replace("attn_output", "attn_o")
            self.add(f"{stack}.blk.*.{short}", *shape, layers=where, bias=bias)

    def plain(self, name: str, *shape: int) -> None:
        """As `layer`, of a tensor whose name ends in no `.weight`."""
        where = self.stored_layers()
        if where:
            self.groups.append(TensorGroup(name=f"blk.*.{name}", layers=where, shape=shape))

    def table(
        self, name: str, group: Attention | Recurrent | Audio | None = None, **more: int
    ) -> None:
        """The tensors of a table of specs/common/tensors.toml, in the layers at hand where a name
        has a `*`; `more`: sizes that are keys of no record.
        """
        records = [self.architecture, self.row, *([group] if group is not None else [])]
        sizes = {
            key: getattr(record, key) or 0 for record in records for key in type(record)._fields
        }
        sizes |= {"width": self.width, "in_gguf": self.gguf, **more}
        every = self.stored_layers()
        for tensor, *sides in _TABLES["tensors"][name]:
            rule = sides.pop() if isinstance(sides[-1], dict) else {}
            layers = {"first": every[:1], "rest": every[1:]}.get(rule.get("layers", ""), every)
            if _is_there(rule, sizes) and (layers or "*" not in tensor):
                layers = layers if "*" in tensor else ()
                shape = tuple(side_length(side, sizes) for side in sides)
                self.groups.append(TensorGroup(name=tensor, layers=layers, shape=shape))

    def recurrence(self, group: Recurrent) -> None:
        decay, rate, mix, gate = (*group.ranks, 0, 0, 0, 0)[:4]
        self.table(
            group.kind,
            group,
            steps=group.heads or group.inner_length or 0,
            normed=group.norm is not False,
            decay=decay,
            rate=rate,
            mix=mix,
            gate=gate,
        )

    def stored_layers(self) -> tuple[int, ...]:
        limit = self.architecture.stored_layers
        return self.layers if limit is None else tuple(n for n in self.layers if n < limit)

    def build(self) -> list[TensorGroup]:
        model = self.architecture
        self.tables_and_heads()
        if model.audio:
            self.audio_encoder(model.audio)
        self.every_layer()
        for attention in model.attention:
            self.layers = attention.layers
            self.attention(attention)
        for recurrent in model.recurrent:
            self.layers = recurrent.layers
            self.recurrence(recurrent)
        for feed_forward in model.feed_forward:
            self.layers = feed_forward.layers
            self.feed_forward(feed_forward)
        if self.gguf and model.mtp_layers and model.attention and model.feed_forward:
            self.prediction_blocks(model.mtp_layers)
        return self.groups

    # -------------------------------------------------------------- outside the blocks

    def tables_and_heads(self) -> None:
        model, row, width = self.architecture, self.row, self.width
        table = model.table_length or width
        self.add("token_embd", table, self.vocabulary + row.embedding_rows_beyond)
        if table != width:
            self.add("project_in", table, width, bias=row.encoder)
            if not row.encoder:
                self.add("project_out", width, table)
        self.outside(row.output_norm, width, bias=row.norm_bias)
        if model.output_matrix and not row.embeds:
            self.output(table)
        self.beside_tokens(table if row.encoder else width)
        if row.pooler and not self.gguf:
            self.add("pooler", width, width, bias=True)
        factors = model.rope_factors or row.rope_factors if self.gguf else ""
        turned = (group.rope_length or group.key_length for group in model.attention)
        half = max(turned, default=0) // 2
        for name in _ROPE_TABLES.get(factors, ()):
            self.add(name, half)

    def output(self, table: int) -> None:
        """A tied one may have a bias of its own, or be written into GGUF files beside the table."""
        row = self.row
        if not self.architecture.tied_embeddings or (self.gguf and row.output_in_gguf):
            self.add("output", table, self.vocabulary, bias=row.output_bias)
        elif row.output_bias:
            bias = TensorGroup(name="output.bias", layers=(), shape=(self.vocabulary,))
            self.groups.append(bias)

    def beside_tokens(self, beside: int) -> None:
        """Tables of positions and of token types, and the norm after them; `beside` is how wide."""
        model, row, width = self.architecture, self.row, self.width
        if row.positions:
            rows = model.positions or (model.context_tokens or 0) + row.position_offset
            if self.gguf and row.token_types and model.token_types == 1:
                # the conversion drops the two rows of XLM-RoBERTa that no token uses
                rows -= 2
            self.outside("position_embd", beside, rows)
        if row.token_types:
            self.add("token_types", beside, model.token_types or 2)
        if row.embedding_norm:
            self.outside("token_embd_norm", beside, bias=row.norm_bias)
        if row.relative_table:
            self.add("rel_embd", width, model.positions or 0)
            self.add("rel_embd_norm", width, bias=True)

    def audio_encoder(self, audio: Audio) -> None:
        every, self.layers = self.layers, tuple(range(audio.layers))
        self.table("audio", audio)
        self.layers = every
        self.table("attention to audio")

    # -------------------------------------------------------------- every layer

    def every_layer(self) -> None:
        """The tensors of every layer, whatever its attention and feed-forward."""
        model, row = self.architecture, self.row
        self.norms()
        if row.layer_scale and self.gguf:
            self.layer("layer_output_scale", 1)
        if row.relative_positions:
            every, self.layers = self.layers, self.layers[:1]
            heads = max(group.heads for group in model.attention)
            self.layer("attn_rel_b", heads, row.relative_positions)
            self.layers = every
        inputs, rows = model.altup_inputs or 0, row.per_layer_vocabulary
        rows = (model.vocabulary_gguf if self.gguf else rows) or model.vocabulary or 0
        mixed = 2 * inputs + (inputs * inputs if row.hyper_connections == 3 else 0)
        tables = {
            "banked residuals": row.banked_layers,
            "slices": row.per_layer_embeddings and model.per_layer_embedding_length,
            "versions": row.altup and inputs,
            "streams": row.hyper_connections and inputs,
        }
        for name, is_there in tables.items():
            if is_there:
                self.table(name, rows=rows, others=inputs - 1, mixed=mixed)

    def norms(self) -> None:
        """The norms of the model's width."""
        model, row, every = self.architecture, self.row, self.layers
        norms = (*row.norms, "attn_norm_2") if model.parallel_norms == 2 else row.norms
        for name in norms:
            if row.norms_of_parts:
                mixing = *model.attention, *model.recurrent
                parts = model.feed_forward if name == "ffn_norm" else mixing
                self.layers = tuple(sorted({layer for part in parts for layer in part.layers}))
            elif name == "attn_norm" and not row.first_norm:
                self.layers = every[1:]
            self.layer(name, self.width, bias=row.norm_bias)
            self.layers = every

    def prediction_blocks(self, blocks: int) -> None:
        """Blocks shaped like the last layer, or the last of some kind, with one matrix that
        joins the hidden state and the next token.
        """
        model, row, width = self.architecture, self.row, self.width
        self.layers = tuple(range(model.layers, model.layers + blocks))
        # where layers attend or feed forward, the block does both and has a second norm
        second = () if len(row.norms) > 1 else ("post_attention_norm",)
        for name in (*row.norms, *second):
            self.layer(name, width, bias=row.norm_bias)
        # the block attends as an ordinary layer even where the trunk's last one is recurrent
        windowed, dense = "window" in row.mtp_like, "dense" in row.mtp_like
        attention = [each for each in model.attention if not windowed or each.window_tokens]
        feeding = [each for each in model.feed_forward if not dense or not each.experts]
        self.attention(max(attention or model.attention, key=lambda group: group.layers[-1:]))
        self.feed_forward(max(feeding or model.feed_forward, key=lambda group: group.layers[-1:]))
        self.layer("nextn.eh_proj", 2 * width, width)
        for name in ("enorm", "hnorm", "shared_head_norm"):
            self.layer(f"nextn.{name}", width)
        for name in row.mtp_vocabulary:
            self.layer(f"nextn.{name}", width, self.vocabulary)

    # -------------------------------------------------------------- attention

    def attention(self, group: Attention) -> None:
        if group.latent_length:
            # of attention that caches them unpacked the key's length holds the part with rope
            is_unpacked = group.kind != "latent"
            unturned = group.key_length - (group.rope_length or 0) * is_unpacked
            query = group.query_latent_length or self.width
            self.table("latent", group, is_unpacked=is_unpacked, unturned=unturned, query=query)
        elif group.kind == "compressed":
            indexed, rows = bool(group.compression and group.indexer_heads), 1
            rows += bool(group.indexer_heads)
            groups = group.output_groups or 1
            self.table("compressed", group, indexed=indexed, rows=rows, output_groups=groups)
        else:
            self.plain_attention(group)
        row, value = self.row, group.value_length
        if row.attention_gate:
            each = value if row.attention_gate == "element" else 1
            self.layer("attn_gate", self.width, group.heads * each)
        has_sinks = group.kind == "compressed" or row.attention_sinks in ("all", group.kind)
        if has_sinks or (group.latent_length and row.attention_sinks):
            self.layer("attn_sinks", group.heads)

    def plain_attention(self, group: Attention) -> None:
        row, width, heads, key = self.row, self.width, group.heads, group.key_length
        stated_bias, value = self.architecture.attention_bias, group.value_length
        bias = row.attention_bias if stated_bias is None else stated_bias
        keys, values = group.kv_heads * key, group.kv_heads * value
        if row.fused_qkv:
            self.layer("attn_qkv", width, heads * key + keys + values, bias=bias)
        else:
            self.layer("attn_q", width, heads * key * (2 if row.gated_query else 1), bias=bias)
            self.layer("attn_k", width, keys, bias=bias and row.key_bias)
            if not group.values_from_keys:
                self.layer("attn_v", width, values, bias=bias)
        self.layer("attn_output", heads * value, width, bias=row.attention_output_bias)
        if row.rewrites:
            # the decoder's attention to its encoder
            self.layer("cross_attn_norm", width, bias=row.norm_bias)
            for part in ("q", "k", "v"):
                self.layer(f"cross_attn_{part}", width, heads * key, bias=bias)
            self.layer("cross_attn_output", heads * value, width, bias=row.attention_output_bias)
        self.query_key_norms(group)
        if group.indexer_heads:
            self.table("indexer", group)

    def query_key_norms(self, group: Attention) -> None:
        row, key = self.row, group.key_length
        norm = group.query_key_norm or self.architecture.query_key_norm or row.query_key_norm
        for name, number in (("q", group.heads), ("k", group.kv_heads)) if norm else ():
            if norm == "head":
                self.layer(f"attn_{name}_norm", key, bias=row.query_key_norm_bias)
            elif norm == "full":
                self.layer(f"attn_{name}_norm", number * key)
            else:
                self.layer(f"attn_{name}_norm", key, number)
                if row.query_key_norm_bias:
                    self.plain(f"attn_{name}_norm.bias", key, number)

    # -------------------------------------------------------------- feed-forward

    def feed_forward(self, group: FeedForward) -> None:
        row, length, experts = self.row, group.length, group.experts
        if not experts:
            self.dense(length)
            return
        self.router(group, experts)
        inner, bias = group.latent_length or self.width, row.expert_bias
        if group.latent_length:
            self.table("narrower experts", inner=inner)
        parts = ("up",) if row.gate == "none" else ("gate", "up")
        for part in parts:
            self.layer(f"ffn_{part}_exps", inner, length, experts, bias=bias)
        self.layer("ffn_down_exps", length, inner, experts, bias=bias)
        if group.shared_length:
            for part in parts:
                self.layer(f"ffn_{part}_shexp", self.width, group.shared_length)
            self.layer("ffn_down_shexp", group.shared_length, self.width)
            if row.shared_expert_gate:
                self.layer("ffn_gate_inp_shexp", self.width)
        if group.beside_dense:
            self.dense(group.beside_dense)
            if row.expert_norms:
                self.table("norms of experts", experts=experts)

    def router(self, group: FeedForward, experts: int) -> None:
        row, model = self.row, self.architecture
        self.layer("ffn_gate_inp", self.width, experts, bias=row.expert_bias)
        if group.router_bias or row.router_bias:
            self.plain("exp_probs_b.bias", experts)
        elif row.hashed_experts:
            tokens = model.vocabulary_gguf or model.vocabulary or 0
            self.layer("ffn_gate_tid2eid", group.used or 1, tokens)

    def dense(self, length: int) -> None:
        row, width = self.row, self.width
        if row.gate == "channel_mix":
            self.table("channel mix", length=length)
            return
        bias = row.feed_forward_bias
        if row.gate == "split":
            self.layer("ffn_gate", width, length, bias=bias)
        self.layer("ffn_up", width, 2 * length if row.gate == "fused" else length, bias=bias)
        self.layer("ffn_down", length, width, bias=bias or row.down_bias)
        if row.feed_forward_sub_norm:
            self.layer("ffn_sub_norm", length)


_ROPE_TABLES = {"freqs": ("rope_freqs",), "long_short": ("rope_factors_long", "rope_factors_short")}
