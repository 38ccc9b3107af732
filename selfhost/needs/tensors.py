"""Which tensors a model's files hold: one generic derivation, one row of data per architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, Attention, FeedForward, Recurrent, TensorGroup
from ..core.records import Record, read_by

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Self


class Row(Record):
    """A table of the file. A field that is a table of its own has `read_by(Kind.of_table)`."""

    @classmethod
    def stated_values(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as fields take them: lists as tuples, tables as their records."""
        stated = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        for field, key in cls._keys.items():
            if field in stated:
                stated[field] = key.read(values, field)
        return stated

    @classmethod
    def of_table(cls, values: Mapping[str, Any], key: str) -> Self:
        """The table under that key. `TypeError` names a key that it may not have."""
        return cls(**cls.stated_values(values[key]))


class Style(Row):
    """`graph`: how llama.cpp builds the graph of one architecture."""

    builder: str = "layers"
    recurrent: bool = False
    one_part_a_layer: bool = False
    idle_layers: bool = False
    deepstack: bool = False
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
    embedding_normed: bool = False


class ArchitectureRow(Row):
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
    rope_key_norm: bool = False
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
    narrow_tables: bool = False
    wide_qat_table: bool = False
    output_in_gguf: bool = False
    projection_bias: bool = False
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
    contact_head: bool = False
    relative_table: bool = False
    activation_scalars: int = 0
    embedding_rows_beyond: int = 0
    cross_attention_gates: int = 0
    encoder: bool = False
    idle_cache: bool = False
    stacks: tuple[str, ...] = ()
    relative_positions: int = 0
    unfused: bool = False
    pooling: str = "mean"
    diffusion: bool = False
    stops_with_flash: bool = False
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
    window_rope: bool = False
    tokenizer: str = ""
    # what a GGUF header leaves out, or states in a way of its own
    full_every: int | None = None
    full_first: bool = False
    window_tokens: int | None = None
    cache_layers: int | None = None
    gate_varies: bool = False
    values_from_keys: bool = False
    one_expert_is_dense: bool = False
    length_of_both: bool = False
    state_kind: str = ""
    rank_from_width: bool = False
    loops: bool = False
    # what transformers, peft, vLLM and MLX LM make of a model
    torch_latent: bool = False
    torch_scores: str = ""
    mlx_windows: str = ""
    mlx_unpacked: str = ""
    mlx_indexer_copies: int = 0
    torch_wide_matrix: str = ""
    mlx_in_8_bits: tuple[str, ...] = ()
    mlx_ternary: bool = False
    window_cache: str = ""
    window_cache_layers: int | None = None
    indexer_values: bool = False
    rolls_back: bool = False
    keys_stated_once: bool = False
    falcon_types: bool = False
    layers_of_70b: int | None = None
    shared_keys_of_70b: bool = False
    graph: Style | None = read_by(Style.of_table, default=None)

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
        return cls(name=name, **cls.stated_values(values))


def row_of(architecture: Architecture, architectures: Mapping[str, Any]) -> ArchitectureRow | None:
    """The row of a model's architecture, with what this model has beside others of it, and without
    what it lacks. None where there is no row, or where the model lacks a part that every other
    model of the row has.

    `architectures` is the parsed file, with or without its top key `architecture`.
    """
    row = _stated_row(architecture, architectures)
    return None if row is None or _lacking(architecture, row) is not None else row


def lacking(architecture: Architecture, architectures: Mapping[str, Any]) -> str | None:
    """`attention` or `feed_forward`, where models of this architecture have it and this one
    lacks it.
    """
    row = _stated_row(architecture, architectures)
    return None if row is None else _lacking(architecture, row)


def _lacking(architecture: Architecture, row: ArchitectureRow) -> str | None:
    """The same. A spec that lists its tensors one by one may not describe its layers."""
    mixes = bool(architecture.attention or architecture.recurrent)
    if architecture.tensors and not mixes:
        return None
    if not architecture.attention and (row.rewrites or row.relative_positions):
        return "attention"
    compressed = any(group.kind == "compressed" for group in architecture.attention)
    if not architecture.feed_forward and (row.rewrites or compressed):
        return "feed_forward"
    return None


# by the table of the parsed file, which nobody changes and which is kept so that no other has its
# identity, and what a model departs by
_ROWS: dict[tuple[object, ...], tuple[Mapping[str, Any], ArchitectureRow]] = {}


def _stated_row(
    architecture: Architecture, architectures: Mapping[str, Any]
) -> ArchitectureRow | None:
    rows = architectures.get("architecture", architectures)
    values = rows.get(architecture.row) if isinstance(rows, Mapping) else None
    if not isinstance(values, Mapping):
        return None
    key = id(values), architecture.also, architecture.lacks, architecture.gate
    if key not in _ROWS:
        gate = {} if architecture.gate is None else {"gate": architecture.gate}
        # the last norm is a name in the row
        lacks = {flag: "" if flag == "output_norm" else False for flag in architecture.lacks}
        departs = {**dict.fromkeys(architecture.also, True), **lacks, **gate}
        row = ArchitectureRow.from_values(architecture.row, {**values, **departs})
        _ROWS[key] = values, row
    return _ROWS[key][1]


def trained_tokens(architecture: Architecture, row: ArchitectureRow | None) -> int | None:
    """The context that the model was trained for. For an encoder with a decoder: the positions of
    both together.
    """
    tokens = architecture.context_tokens
    return 2 * tokens if tokens is not None and row is not None and row.rewrites else tokens


def count(groups: Iterable[TensorGroup]) -> int:
    """The number of parameters in all tensors."""
    return sum(prod(group.shape) * (len(group.layers) or 1) for group in groups)


def idle(groups: Iterable[TensorGroup], architecture: Architecture) -> int:
    """Parameters of the routed experts that one token does not use: `total` minus `active`."""
    groups, left_out = tuple(groups), 0
    for layer in architecture.feed_forward:
        if layer.experts and layer.used:
            where = set(layer.layers)
            for group in groups:
                if (
                    "exps." in group.name
                    and "norm" not in group.name
                    and where.intersection(group.layers)
                ):
                    # GroveMoE has half as many of the smaller ones
                    experts = group.shape[-1]
                    left_out += count((group,)) * (experts - min(layer.used, experts)) // experts
    return left_out


@lru_cache(maxsize=512)
def gguf_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """The tensors of the GGUF file, multi-token-prediction blocks last, their layers numbered
    from `layers` on.
    """
    if architecture.tensors:
        return tuple(_apart(architecture))
    return tuple(Builder(architecture, row, gguf=True).build())


@lru_cache(maxsize=512)
def checkpoint_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """The parameters of the published checkpoint, under GGUF names: tied matrices once, no
    multi-token-prediction blocks.
    """
    if architecture.tensors:
        return tuple(
            group for group in _apart(architecture) if not predicts_more(group, architecture)
        )
    return tuple(Builder(architecture, row, gguf=False).build())


def block_tensors(architecture: Architecture, row: ArchitectureRow) -> tuple[TensorGroup, ...]:
    """What a published checkpoint holds of multi-token-prediction blocks, under GGUF names."""
    return tuple(
        group for group in gguf_tensors(architecture, row) if predicts_more(group, architecture)
    )


def _apart(architecture: Architecture) -> Iterator[TensorGroup]:
    """The tensors a spec lists itself, those of multi-token-prediction blocks in groups of
    their own.
    """
    for group in architecture.tensors:
        trunk = tuple(layer for layer in group.layers if layer < architecture.layers)
        if len(trunk) in (0, len(group.layers)):
            yield group
        else:
            yield group.replace(layers=trunk)
            yield group.replace(layers=group.layers[len(trunk) :])


def predicts_more(group: TensorGroup, architecture: Architecture) -> bool:
    """True for a tensor of a multi-token-prediction block: in the file, and by default not in
    memory.
    """
    return bool(group.layers) and group.layers[0] >= architecture.layers


class Builder:
    """The tensors of one model, in the order of its file. `gguf`: as llama.cpp's file holds them;
    else as the published checkpoint, under the same names. Shapes are in elements, the fastest
    dimension first, as GGUF writes them; a `*` in a name stands for the number of each layer.
    """

    def __init__(self, architecture: Architecture, row: ArchitectureRow, *, gguf: bool) -> None:
        self.architecture = architecture
        self.row = row
        self.gguf = gguf
        self.width = architecture.embedding_length
        self.groups: list[TensorGroup] = []

    def add(
        self, name: str, *shape: int, layers: tuple[int, ...] | None = None, bias: bool = False
    ) -> None:
        """`layers` None: a tensor outside the blocks; (): no layer has it."""
        where = () if layers is None else self.stored(layers)
        if layers is not None and not where:
            return
        if self.row.stacks and layers is not None:
            for stack in self.row.stacks if "cross_attn" not in name else ("dec",):
                short = f"{stack}.{name.replace('attn_output', 'attn_o')}"
                deep = self.architecture.encoder_layers if stack == "enc" else None
                each = where if deep is None else tuple(range(deep))
                self.groups.append(TensorGroup(name=f"{short}.weight", layers=each, shape=shape))
                if bias:
                    self.groups.append(
                        TensorGroup(name=f"{short}.bias", layers=each, shape=shape[1:] or shape)
                    )
            return
        self.groups.append(TensorGroup(name=f"{name}.weight", layers=where, shape=shape))
        if bias:
            self.groups.append(
                TensorGroup(name=f"{name}.bias", layers=where, shape=shape[1:] or shape)
            )

    def of_stacks(self, name: str) -> list[str]:
        """The tensors outside the blocks of an encoder, and of its decoder."""
        return [f"{stack}.{name}" for stack in self.row.stacks] or [name]

    def plain(self, name: str, *shape: int, layers: tuple[int, ...]) -> None:
        """As `add`, of a tensor whose name ends in no `.weight`."""
        where = self.stored(layers)
        if where:
            self.groups.append(TensorGroup(name=name, layers=where, shape=shape))

    def stored(self, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the layers that do not reuse the weights of an earlier layer."""
        limit = self.architecture.stored_layers
        return layers if limit is None else tuple(layer for layer in layers if layer < limit)

    def plain_outside(self, name: str, *shape: int) -> None:
        """As `plain`, of a tensor outside the blocks."""
        self.groups.append(TensorGroup(name=name, layers=(), shape=shape))

    def build(self) -> list[TensorGroup]:
        """All of them."""
        model = self.architecture
        layers = tuple(range(model.layers))
        self.outside()
        self.every_layer(layers)
        for attention in model.attention:
            self.attention(attention, attention.layers)
        for recurrent in model.recurrent:
            self.recurrent(recurrent)
        for feed_forward in model.feed_forward:
            self.feed_forward(feed_forward, feed_forward.layers)
        if self.gguf and model.mtp_layers and model.attention and model.feed_forward:
            from .layer_tensors import add_prediction_blocks

            add_prediction_blocks(self, model.mtp_layers)
        return self.groups

    def outside(self) -> None:
        """The tensors outside the blocks."""
        model, row, width = self.architecture, self.row, self.width
        table = model.table_length or width
        self.add("token_embd", table, self.vocabulary + row.embedding_rows_beyond)
        if table != width:
            self.add("project_in", table, width, bias=row.projection_bias)
            if not row.encoder:
                self.add("project_out", width, table)
        if row.output_norm:
            for norm in self.of_stacks(row.output_norm):
                self.add(norm, width, bias=row.norm_bias)
        if model.output_matrix and not row.embeds:
            # a tied one may have a bias of its own, or be written into GGUF files beside the table
            if not model.tied_embeddings or (self.gguf and row.output_in_gguf):
                self.add("output", table, self.vocabulary, bias=row.output_bias)
            elif row.output_bias:
                self.plain_outside("output.bias", self.vocabulary)
        self.added_to_the_tokens(table if row.narrow_tables else width)
        self.heads()
        if model.audio:
            from .layer_tensors import add_audio_encoder

            add_audio_encoder(self)

    @property
    def vocabulary(self) -> int:
        """Rows of the token table. Converters pad or cut it."""
        tokens = self.architecture.vocabulary or 0
        return self.architecture.vocabulary_gguf or tokens if self.gguf else tokens

    def added_to_the_tokens(self, beside: int) -> None:
        """Tables of positions and of token types, and the norm after them; `beside` is how wide."""
        model, row, width = self.architecture, self.row, self.width
        if row.positions:
            rows = model.positions or (model.context_tokens or 0) + row.position_offset
            if self.gguf and row.token_types and model.token_types == 1:
                # the conversion drops the two rows of XLM-RoBERTa that no token uses
                rows -= 2
            for name in self.of_stacks("position_embd"):
                self.add(name, beside, rows)
        if row.token_types:
            self.add("token_types", beside, model.token_types or 2)
        if row.embedding_norm:
            for name in self.of_stacks("token_embd_norm"):
                self.add(name, beside, bias=row.norm_bias)
        if row.relative_table:
            self.add("rel_embd", width, model.positions or 0)
            self.add("rel_embd_norm", width, bias=True)

    def heads(self) -> None:
        """What reads the last layer beside the output matrix, and tables that turn positions."""
        model, row, width = self.architecture, self.row, self.width
        if row.pooler and not self.gguf:
            self.add("pooler", width, width, bias=True)
        if row.contact_head:
            scores = sum(group.heads * len(group.layers) for group in model.attention)
            self.add("contact_head", scores, 1, bias=True)
        turned = (group.rope_length or group.key_length for group in model.attention)
        half = max(turned, default=0) // 2
        tables = {
            "freqs": ("rope_freqs",),
            "long_short": ("rope_factors_long", "rope_factors_short"),
        }
        for name in tables.get(model.rope_factors or row.rope_factors, ()) if self.gguf else ():
            self.add(name, half)

    def every_layer(self, layers: tuple[int, ...]) -> None:
        """The tensors of every layer, whatever its attention and feed-forward."""
        model, row = self.architecture, self.row
        self.norms(layers)
        if row.banked_layers:
            # Kimi K3: what weighs the residuals that are kept; the converter joins a norm and a row
            # of scores
            sides = (self.width,) if self.gguf else (self.width, 2)
            self.add("output_res_score", *sides)
            for part in ("attn", "ffn"):
                self.add(f"blk.*.{part}_res_score", *sides, layers=layers)
        if row.layer_scale and self.gguf:
            self.add("blk.*.layer_output_scale", 1, layers=layers)
        if row.relative_positions:
            heads = max(group.heads for group in model.attention)
            self.add("blk.*.attn_rel_b", heads, row.relative_positions, layers=layers[:1])
        if row.activation_scalars and not self.gguf:
            self.plain("blk.*.activation", row.activation_scalars, layers=layers)
        self.rare_parts(layers)
        if model.audio:
            # Whisper: the decoder's attention to its encoder
            self.add("blk.*.cross_attn_norm", self.width, layers=layers, bias=True)
            for name in ("q", "k", "v", "output"):
                sides, bias = (self.width, self.width), name != "k"
                self.add(f"blk.*.cross_attn_{name}", *sides, layers=layers, bias=bias)

    def rare_parts(self, layers: tuple[int, ...]) -> None:
        """What Gemma 3n and 4, Hy4 and DeepSeek V4 have beside their streams."""
        model, row = self.architecture, self.row
        if not (row.per_layer_embeddings or row.altup or row.hyper_connections):
            return
        from . import layer_tensors

        if row.per_layer_embeddings and model.per_layer_embedding_length:
            layer_tensors.add_slices_by_layer(self, model.per_layer_embedding_length, layers)
        if row.altup and model.altup_inputs:
            layer_tensors.add_alternating_updates(self, model.altup_inputs, layers)
        if row.hyper_connections and model.altup_inputs:
            layer_tensors.add_hyper_connections(self, model.altup_inputs, layers)

    def norms(self, layers: tuple[int, ...]) -> None:
        """The norms of the model's width."""
        model, row = self.architecture, self.row
        norms = (*row.norms, "attn_norm_2") if model.parallel_norms == 2 else row.norms
        for name in norms:
            having = layers
            if row.norms_of_parts:
                mixing = [part.layers for part in model.attention]
                mixing += [part.layers for part in model.recurrent]
                wide = [part.layers for part in model.feed_forward]
                parts = wide if name == "ffn_norm" else mixing
                having = tuple(sorted({layer for part in parts for layer in part}))
            elif name == "attn_norm" and not row.first_norm:
                having = layers[1:]
            self.add(f"blk.*.{name}", self.width, layers=having, bias=row.norm_bias)

    def attention(self, group: Attention, layers: tuple[int, ...]) -> None:
        if group.latent_length:
            from .layer_tensors import add_latent

            add_latent(self, group, layers)
        elif group.kind == "compressed":
            from .layer_tensors import add_compressed

            add_compressed(self, group, layers)
        else:
            self.plain_attention(group, layers)

    def plain_attention(self, group: Attention, layers: tuple[int, ...]) -> None:
        row, width, heads, value = self.row, self.width, group.heads, group.value_length
        stated_bias = self.architecture.attention_bias
        bias = row.attention_bias if stated_bias is None else stated_bias
        self.queries_keys_values(group, layers, bias=bias)
        self.add(
            "blk.*.attn_output", heads * value, width, layers=layers, bias=row.attention_output_bias
        )
        if row.rewrites:
            # the decoder's attention to its encoder
            self.add("blk.*.cross_attn_norm", width, layers=layers, bias=row.norm_bias)
            for part in ("q", "k", "v"):
                sides = width, heads * group.key_length
                self.add(f"blk.*.cross_attn_{part}", *sides, layers=layers, bias=bias)
            sides, bias = (heads * value, width), row.attention_output_bias
            self.add("blk.*.cross_attn_output", *sides, layers=layers, bias=bias)
        self.query_key_norms(group, layers)
        if group.kind == "cross" and row.cross_attention_gates:
            self.plain("blk.*.cross_attn_gate", row.cross_attention_gates, layers=layers)
        if row.attention_sinks in ("all", group.kind):
            self.add("blk.*.attn_sinks", heads, layers=layers)
        self.gate_of_attention(group, layers)
        if group.indexer_heads and (length := group.indexer_length):
            # it chooses the blocks of positions that attention reads
            self.add("blk.*.indexer.q_proj", width, group.indexer_heads * length, layers=layers)
            self.add("blk.*.indexer.k_proj", width, length, layers=layers)
            self.add("blk.*.indexer.q_norm", length, layers=layers)
            self.add("blk.*.indexer.k_norm", length, layers=layers)

    def queries_keys_values(self, group: Attention, layers: tuple[int, ...], *, bias: bool) -> None:
        row, width, kv_heads, key = self.row, self.width, group.kv_heads, group.key_length
        if row.fused_qkv:
            joined = (group.heads + kv_heads) * key + kv_heads * group.value_length
            self.add("blk.*.attn_qkv", width, joined, layers=layers, bias=bias)
            return
        queries = group.heads * key * (2 if row.gated_query else 1)
        self.add("blk.*.attn_q", width, queries, layers=layers, bias=bias)
        self.add("blk.*.attn_k", width, kv_heads * key, layers=layers, bias=bias and row.key_bias)
        if not group.values_from_keys:
            values = kv_heads * group.value_length
            self.add("blk.*.attn_v", width, values, layers=layers, bias=bias)

    def gate_of_attention(self, group: Attention, layers: tuple[int, ...]) -> None:
        if self.row.attention_gate:
            each = group.value_length if self.row.attention_gate == "element" else 1
            self.add("blk.*.attn_gate", self.width, group.heads * each, layers=layers)

    def query_key_norms(self, group: Attention, layers: tuple[int, ...]) -> None:
        row, heads, kv_heads, key = self.row, group.heads, group.kv_heads, group.key_length
        norm = group.query_key_norm or self.architecture.query_key_norm or row.query_key_norm
        if norm == "head":
            self.add("blk.*.attn_q_norm", key, layers=layers, bias=row.query_key_norm_bias)
            self.add("blk.*.attn_k_norm", key, layers=layers, bias=row.query_key_norm_bias)
        elif norm == "per_head":
            for name, number in (("q", heads), ("k", kv_heads)):
                self.add(f"blk.*.attn_{name}_norm", key, number, layers=layers)
                if row.query_key_norm_bias:
                    self.plain(f"blk.*.attn_{name}_norm.bias", key, number, layers=layers)
        elif norm == "full":
            self.add("blk.*.attn_q_norm", heads * key, layers=layers)
            self.add("blk.*.attn_k_norm", kv_heads * key, layers=layers)

    def recurrent(self, group: Recurrent) -> None:
        from .layer_tensors import RECURRENCES

        RECURRENCES[group.kind](self, group)

    def feed_forward(self, group: FeedForward, layers: tuple[int, ...]) -> None:
        if not group.experts:
            self.dense(group.length, layers)
            return
        row, length, experts = self.row, group.length, group.experts
        self.router(group, experts, layers)
        inner, bias = group.latent_length or self.width, row.expert_bias
        if group.latent_length:
            # what brings the model's width down to that of its experts, and back
            name = "routed" if row.routed_norm else "latent"
            self.add(f"blk.*.ffn_{name}_down", self.width, inner, layers=layers)
            self.add(f"blk.*.ffn_{name}_up", inner, self.width, layers=layers)
            if row.routed_norm:
                self.add("blk.*.ffn_routed_norm", inner, layers=layers)
        for part in ("up",) if row.gate == "none" else ("gate", "up"):
            self.add(f"blk.*.ffn_{part}_exps", inner, length, experts, layers=layers, bias=bias)
        self.add("blk.*.ffn_down_exps", length, inner, experts, layers=layers, bias=bias)
        if group.shared_length:
            self.shared_expert(group.shared_length, layers)
        if group.beside_dense:
            self.dense(group.beside_dense, layers)
            if row.expert_norms:
                # Gemma 4: norms and scales of experts beside a dense feed-forward
                for name in ("pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"):
                    self.add(f"blk.*.{name}", self.width, layers=layers)
                self.plain("blk.*.ffn_gate_inp.scale", self.width, layers=layers)
                self.plain("blk.*.ffn_down_exps.scale", experts, layers=layers)

    def router(self, group: FeedForward, experts: int, layers: tuple[int, ...]) -> None:
        row, model = self.row, self.architecture
        self.add("blk.*.ffn_gate_inp", self.width, experts, layers=layers, bias=row.expert_bias)
        if group.router_bias or row.router_bias:
            self.plain("blk.*.exp_probs_b.bias", experts, layers=layers)
        elif row.hashed_experts:
            tokens = model.vocabulary_gguf or model.vocabulary or 0
            self.add("blk.*.ffn_gate_tid2eid", group.used or 1, tokens, layers=layers)

    def shared_expert(self, length: int, layers: tuple[int, ...]) -> None:
        row, width = self.row, self.width
        if row.gate != "none":
            self.add("blk.*.ffn_gate_shexp", width, length, layers=layers)
        self.add("blk.*.ffn_up_shexp", width, length, layers=layers)
        self.add("blk.*.ffn_down_shexp", length, width, layers=layers)
        if row.shared_expert_gate:
            self.add("blk.*.ffn_gate_inp_shexp", width, layers=layers)

    def dense(self, length: int, layers: tuple[int, ...]) -> None:
        row, width = self.row, self.width
        if row.gate == "channel_mix":
            self.add("blk.*.channel_mix_lerp_k", width, layers=layers)
            self.add("blk.*.channel_mix_key", width, length, layers=layers)
            self.add("blk.*.channel_mix_value", length, width, layers=layers)
            return
        bias = row.feed_forward_bias
        if row.gate == "split":
            self.add("blk.*.ffn_gate", width, length, layers=layers, bias=bias)
        wide = 2 * length if row.gate == "fused" else length
        self.add("blk.*.ffn_up", width, wide, layers=layers, bias=bias)
        self.add("blk.*.ffn_down", length, width, layers=layers, bias=bias or row.down_bias)
        if row.feed_forward_sub_norm:
            self.add("blk.*.ffn_sub_norm", length, layers=layers)
