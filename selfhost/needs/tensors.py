"""The tensors in a model's files, and the caches and states that a program keeps for tokens already
read.

What goes in: an `Architecture`, which is the sizes of one model, and two tables of data:
specs/common/architectures.toml has the facts that all models of an architecture share
(`ArchitectureRow`), specs/common/tensors.toml the tensors of each part of a layer with their
shapes. What comes out: groups of equal tensors, caches of keys and values that grow with the
context, and states of a fixed size. All sizes are numbers of elements unless a name says bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from ..catalogue.architecture import (
    Architecture,
    Attention,
    FeedForward,
    LayerPart,
    Places,
    Recurrent,
    TensorGroup,
)
from ..core.records import Record, Stated, read_by
from ..core.tables import TomlRow, shipped_record, unchecked_record
from ..core.units import plural

# the names that an expression of tensors.toml may use, with their values: a size, a truth value, or
# a text that `key=text` compares
Sizes = dict[str, Any]
# the ranks of the small matrices of an RWKV layer, in the order of the spec
_RANKS = ("decay", "rate", "mix", "rank_of_gate")
# llama.cpp keeps the numbers of a state as 32-bit floats
_STATE_NUMBER_BYTES = 4


class ImageModels(Stated):
    """The architectures of GGUF files that hold a model of pictures or of video."""

    architectures: tuple[str, ...]


class ArchitecturesTable(Stated):
    """specs/common/architectures.toml, what llama.cpp knows. An `ArchitectureRow` is made of a row
    of `architecture` when it is asked for, and `needs.case` has the record of an `encoder`; here
    their keys are of any type.
    """

    architecture: Mapping[str, Any]
    image_models: ImageModels
    encoder: tuple[Any, ...]


def architectures() -> ArchitecturesTable:
    """The table. Raises `SpecError` with each fault of the file."""
    return shipped_record(ArchitecturesTable, "architectures")


class _StateRule(Stated):
    """What a kind of recurrent layer keeps of a sequence: a row of `[states]`.

    `convolution` and `memory` are expressions for the numbers that the convolution remembers and
    for the numbers of the memory, `alive` for those of a token that are alive at once in llama.cpp;
    "" where nobody measured them. `delta_rule`: each token corrects the memory. `tensor_split`:
    "cut" or "whole" under llama.cpp's -sm tensor; "" where that was not checked.
    """

    convolution: str
    memory: str
    alive: str = ""
    delta_rule: bool = False
    tensor_split: str = read_by(choices=("cut", "whole"), default="")


class _TensorsTable(Stated):
    """specs/common/tensors.toml.

    - `tensors`: the lines of each part of a model; each becomes a `TensorRule` when it is
      asked for.
    - `states`: what each kind of recurrent layer keeps.
    """

    schema: int
    tensors: Mapping[str, Any]
    states: Mapping[str, _StateRule]


def _tensors_table() -> _TensorsTable:
    return shipped_record(_TensorsTable, "tensors")


class ArchitectureRow(Stated):
    """The features that the models of one architecture share: a table of
    specs/common/architectures.toml, whose header explains the keys. `flags` are the keys that only
    tensors.toml asks for.

    - `norms`: the norms of the model's width that every layer has.
    - `norm_bias`: these and the last norm have a bias (LayerNorm).
    - `first_norm`: the first layer has a norm in front of its attention.
    - `output_norm`: name of the last norm; "" where there is none.
    - `fused_qkv`: queries, keys and values in one matrix.
    - `attention_bias`: queries, keys and values have a bias.
    - `key_bias`: with attention_bias: keys have one too.
    - `query_key_norm`: "head": one norm vector of a head; "full": of all heads;
      "per_head": one for each head.
    - `window_masks`: windows mask scores alone: keys and values of all tokens are kept.
    - `recomputes`: no cache: every token is made from the whole text again.
    - `gate`: "split": gate and up; "fused": both in one matrix; "none": up alone; RWKV:
      "channel_mix".
    - `feed_forward_bias`: dense feed-forwards have biases.
    - `down_bias`: their last matrix alone has one.
    - `router_bias`: a bias that picks experts.
    - `positions`: a learned position table.
    - `position_offset`: rows of that table before the first position.
    - `sines`: M2M-100: transformers keeps a computed table instead, with so many rows
      more, of each stack.
    - `token_types`: a token type table.
    - `rope_factors`: "freqs": one table in the GGUF file; "long_short": two.
    - `per_layer_vocabulary`: rows of that table (`per_layer_embeddings`) in the published
      weights, where the GGUF file pads it.
    - `altup`: Gemma 3n: alternating updates and LAuReL.
    - `hyper_connections`: learned mixing of parallel streams: 2 ways (Hy4), or 3
      (DeepSeek V4: among themselves too).
    - `routed_shared`: shared experts that the router weighs as well: rows of its matrix.
    - `relative_reach`: how many tokens back that bias (`relative_states`) reaches in
      layers without a window.
    - `indexer_parts`: with an `indexer_pool`: rows as long as a key that llama.cpp keeps
      of each token for it (src/llama-kv-cache-kpool.cpp).
    - `embedding_rows_beyond`: rows of the token table that no output belongs to (Llama
      3.2 Vision: image tokens).
    - `encoder`: attends both ways, keeps no cache.
    - `idle_cache`: with encoder: llama.cpp alone makes a cache all the same, which is not
      read.
    - `stacks`: T5, BART: names in front of its blocks, "enc" and "dec"; those of a
      decoder attend to the encoder too.
    - `relative_positions`: T5, MPNet: rows of the table of distances that the first layer
      has.
    - `unfused`: llama.cpp stores the scores of attention whatever is asked for.
    - `biased_scores`: arrays as long as the scores of all heads in which llama.cpp keeps
      what it adds to them (Inkling 2).
    - `diffusion`: an encoder that writes text, all of it in each step.
    - `mtp_like`: a block for multi-token prediction is like the last layer; or like those
      with "window", "dense".
    - `mtp_vocabulary`: what such blocks bring of their own: "embed_tokens",
      "shared_head_head".
    - `mtp_in_gguf`: published GGUF files bring these blocks; unknown: those converted
      since mid-2026 may.
    - `wide_qat_table_until`: the day since which files of weights trained for 4 bits have
      no token table in 16 bits.
    - `mtp_in_gguf_since`: the day since which conversions bring these blocks: published
      files of models from before lack them.
    - `mtp_loaded`: what llama.cpp loads of these blocks even where nothing is drafted, by
      the start of its name.
    - `mtp_cached`: these blocks have room in llama.cpp's cache, drafting or not.
    - `norms_of_parts`: a layer without attention, or without feed-forward, lacks the norm
      in front of it.
    - `rope`: keys are turned by their position; else nothing tells it, or what attention
      adds (ALiBi).
    - `rope_share`: of a head that part is turned, in all its models.
    - `rope_rows`: rows of vLLM's table of sines and cosines for each position: 4 where
      pictures have axes.
    - `tokenizer`: "spm", "bpe", "wpm" or "unigram" where all its models have it: the size
      of the file's header; "varies": not told by its size either.
    - `full_every`: every so many layers one keeps all tokens, where the header has a
      window and no pattern (the same in config.json of the publishers); 0: every layer
      has the window, as publishers say and llama.cpp ignores.
    - `full_first`: the first of so many layers keeps all tokens, not the last
      (load_swa_pattern with dense_first).
    - `window_tokens`: the window where the header states none, with window_cache_layers
      in a model of so many layers alone: attention_chunk_size of Llama 4, sliding_window
      of EXAONE 4.0 32B in their config.json.
    - `cache_layers`: layers that own a cache, where the header does not count those that
      share one: num_hidden_layers - num_kv_shared_layers of both sizes of Gemma 3n in
      their config.json.
    - `gate_varies`: some models have another gate than the row says.
    - `values_from_keys`: keys are values too in a layer without attn_v
      (src/models/gemma4.cpp); all others are refused without it.
    - `length_of_both`: feed_forward_length counts gate and up together: each matrix has
      half of it.
    - `state_kind`: the recurrence that the names of tensors do not tell: "delta": of
      layers with a convolution; "lightning": of layers with attn_norm_2.
    - `rank_from_width`: ssm.time_step_rank counts the heads of Mamba, and the rank of the
      time steps follows from the width (src/models/plamo2.cpp, dt_dim).
    - `loops`: the model runs through its layers num_loops times, each time with a cache
      of their own (src/models/nanbeige.cpp).
    - `window_cache`: llama.cpp's cache of layers with a window: "followed": keeps that
      window; "ignored": keeps every token; "": nobody checked.
    - `window_cache_layers`: with "followed": only in a model of so many layers, for which
      llama.cpp fixes the window.
    - `indexer_values`: an indexer keeps values beside its keys
      (src/llama-kv-cache-msa.cpp).
    - `rolls_back`: recurrent states, and those of compressed attention, are kept for
      every drafted token, to roll back to (src/llama-arch.cpp:1123,
      llm_arch_supports_rs_rollback).
    - `keys_stated_once`: the header has one number of key heads for all layers, those
      without attention too.
    - `falcon_types`: llama-quantize has rules of its own for it, which it names after
      Falcon (src/llama-quant.cpp).
    - `layers_of_70b`: llama.cpp takes a model of so many layers for one of 70B
      (src/models), which llama-quantize types otherwise.
    - `shared_keys_of_70b`: with layers_of_70b: only where heads share keys.
    - `torch_scores`: attention that stores its scores: "eager": soft caps or sinks have
      transformers take it; "only": a class without _supports_sdpa; "one_head": where keys
      have one head.
    - `mlx_windows`: layers with a window get a RotatingKVCache: "all" of them, or only
      "mixed" with layers that have none; "": a cache of all tokens.
    - `mlx_unpacked`: latent attention is stored as keys and values of every head, but
      where a router has a bias; else as one row.
    - `mlx_in_8_bits`: what its class of MLX LM has in 8 bits whatever is asked for, since
      pull 1836 of 2026-09-03 (quant_predicate); published files are older.
    - `torch_wide_matrix`: a matrix that its class keeps out of bitsandbytes, and in 32
      bits beside float16 (_keep_in_fp32_modules of modeling_t5.py), by a part of its
      name.
    """

    name: str
    flags: TomlRow = {}
    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    norm_bias: bool = False
    first_norm: bool = True
    output_norm: str = "output_norm"
    fused_qkv: bool = False
    attention_bias: bool = False
    key_bias: bool = True
    query_key_norm: str = ""
    window_masks: bool = False
    recomputes: bool = False
    gate: str = "split"
    feed_forward_bias: bool = False
    down_bias: bool = False
    router_bias: bool = False
    positions: bool = False
    position_offset: int = 0
    sines: int = 0
    token_types: bool = False
    rope_factors: str = ""
    per_layer_vocabulary: int | None = None
    altup: bool = False
    hyper_connections: int = 0
    routed_shared: int = 0
    relative_reach: int = 0
    indexer_parts: int = 1
    embedding_rows_beyond: int = 0
    encoder: bool = False
    idle_cache: bool = False
    stacks: tuple[str, ...] = ()
    relative_positions: int = 0
    unfused: bool = False
    biased_scores: int = 0
    diffusion: bool = False
    mtp_like: tuple[str, ...] = ()
    mtp_vocabulary: tuple[str, ...] = ()
    mtp_in_gguf: bool | None = None
    mtp_in_gguf_since: str = ""
    wide_qat_table_until: str = ""
    mtp_loaded: tuple[str, ...] = ()
    mtp_cached: bool = False
    norms_of_parts: bool = False
    rope: bool = True
    rope_share: float = 1.0
    rope_rows: int = 1
    tokenizer: str = ""
    # facts that a GGUF header omits or states in the model's own way
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
    # what llama.cpp does with the model
    window_cache: str = ""
    window_cache_layers: int | None = None
    indexer_values: bool = False
    rolls_back: bool = False
    keys_stated_once: bool = False
    falcon_types: bool = False
    layers_of_70b: int | None = None
    shared_keys_of_70b: bool = False
    # how transformers, peft, vLLM and MLX LM treat the model
    torch_scores: str = ""
    mlx_windows: str = ""
    mlx_unpacked: bool = False
    mlx_in_8_bits: tuple[str, ...] = ()
    torch_wide_matrix: str = ""

    @property
    def embeds(self) -> bool:
        """Whether the models output vectors, not text."""
        return self.encoder and not self.diffusion

    @property
    def rewrites(self) -> bool:
        """Whether an encoder reads a text and a decoder writes another, each with positions of its
        own.
        """
        return "dec" in self.stacks

    @classmethod
    def from_values(cls, name: str, values: TomlRow) -> ArchitectureRow:
        """The row made of one table of the file. A key that is no field becomes a flag, for which
        tensors.toml may ask; here nothing tells a slip from a flag, but the tests do.
        """
        flags: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for key, value in values.items():
            kept = fields if key in cls._annotations else flags
            kept[key] = value
        return unchecked_record(cls, {"name": name, "flags": flags, **fields})


# the row of models that no row describes
UNKNOWN_ROW = ArchitectureRow(name="")


def row_values(name: str) -> TomlRow | None:
    """The table of architectures.toml for the architecture of that name; None where no row
    describes it.
    """
    row: TomlRow | None = architectures().architecture.get(name)
    return row


@lru_cache(2048)
def row_of(architecture: Architecture) -> ArchitectureRow:
    """The row of a model's architecture, with the features that this model has beside others, and
    without those that it lacks.

    `UNKNOWN_ROW` where no row describes the architecture. Also where its tensors are not listed
    and the model lacks attention or a feed-forward that the row's tensors count on
    (`_lacks_usual_part`).
    """
    row = _row_with(
        architecture.row, architecture.also, architecture.lacks, architecture.gate
    )
    if not architecture.tensors and _lacks_usual_part(architecture, row):
        return UNKNOWN_ROW
    return row


# cached: hundreds of models share a row
@cache
def _row_with(
    name: str,
    also: tuple[str, ...],
    lacks: tuple[str, ...],
    gate: str | None,
) -> ArchitectureRow:
    """The row of that name, with the keys that the model states differently."""
    stated = row_values(name)
    if stated is None:
        return UNKNOWN_ROW
    values = {**stated, **dict.fromkeys(also, True)}
    for flag in lacks:
        # `output_norm` is a name in the row; every other flag is a truth value
        values[flag] = "" if flag == "output_norm" else False
    if gate is not None:
        values["gate"] = gate
    return ArchitectureRow.from_values(name, values)


def _lacks_usual_part(architecture: Architecture, row: ArchitectureRow) -> bool:
    """Whether the model lacks attention or a feed-forward that all other models of the row have."""
    # T5, BART and MPNet have attention in every model
    always_attends = row.rewrites or row.relative_positions > 0
    if always_attends and not architecture.attention:
        return True
    if architecture.feed_forward:
        return False
    kinds = [group.kind for group in architecture.attention]
    return row.rewrites or "compressed" in kinds


def trained_tokens(architecture: Architecture) -> int | None:
    """The context length that the model was trained for; for an encoder with a decoder, the sum of
    both contexts. None where not known.
    """
    tokens = architecture.context_tokens
    if tokens is not None and row_of(architecture).rewrites:
        return 2 * tokens
    return tokens


def count_parameters(groups: Iterable[TensorGroup]) -> int:
    """The number of parameters in the tensors."""
    return sum(group.parameters for group in groups)


class ParameterCounts(Record):
    """The number of published parameters, and the number that one token uses: all but the routed
    experts that the router does not choose, and tables of n-grams, of which a token reads a few
    rows.
    """

    total: int
    active: int


def parameter_counts(architecture: Architecture) -> ParameterCounts:
    """The numbers of parameters that the publisher of a model stores."""
    groups = published_tensors(architecture)
    total = count_parameters(groups)
    routed = []
    for group in groups:
        # the matrices of experts, of which a token uses some, without their norms
        if "exps." in group.name and "norm" not in group.name:
            routed.append(group)
    unused = 0
    for layer in architecture.feed_forward:
        if layer.experts and layer.used:
            unused += _unused_parameters(routed, layer.layers, layer.used)
    for ngrams in architecture.ngrams:
        unused += ngrams.parameters
    return ParameterCounts(total=total, active=total - unused)


def ngram_tables(architecture: Architecture) -> tuple[str, ...]:
    """The names of the tensors that hold tables of n-grams: llama.cpp reads a few rows of them for
    each token, and leaves the others in the file. () for a model without such tables.
    """
    if not architecture.ngrams:
        return ()
    return tuple(rule.name for rule in _rules_of("ngram tables"))


def _unused_parameters(
    routed: Iterable[TensorGroup],
    layers: Places,
    used: int,
) -> int:
    """The number of parameters in these layers' routed experts that a token does not use. `used`:
    the number of experts that it uses.
    """
    unused = 0
    for group in routed:
        if set(layers).isdisjoint(group.layers):
            continue
        # GroveMoE: the group of smaller experts has half as many
        experts = group.shape[-1]
        unused += group.parameters * max(0, experts - used) // experts
    return unused


@lru_cache(maxsize=512)
def gguf_tensors(architecture: Architecture) -> tuple[TensorGroup, ...]:
    """The tensors of the GGUF file, multi-token-prediction blocks last."""
    return _TensorList(architecture, gguf=True).collected()


@lru_cache(maxsize=512)
def published_tensors(architecture: Architecture) -> tuple[TensorGroup, ...]:
    """The tensors of the published weights under GGUF names: tied matrices once, no
    multi-token-prediction blocks.
    """
    return architecture.tensors or _TensorList(architecture, gguf=False).collected()


def block_tensors(architecture: Architecture) -> list[TensorGroup]:
    """The tensors of the multi-token-prediction blocks in published weights, under GGUF
    names.
    """
    first = architecture.layers
    groups = gguf_tensors(architecture)
    return [group for group in groups if max(group.layers, default=-1) >= first]


class TensorRule(Record):
    """The rule for a tensor that some parts of models have: a line of specs/common/tensors.toml,
    whose header explains it.

    - `sides`: the expressions of its shape, the row length first.
    - `needed`: none of these sizes may be 0.
    - `unless`: all of these must be 0.
    - `layers`: "first", "rest" or "" for all layers of the part.
    - `bias`: the condition under which a bias lies beside the tensor; "" for none.
    """

    name: str
    sides: tuple[str, ...]
    needed: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    layers: str = ""
    bias: str = ""

    @classmethod
    def from_line(cls, line: Sequence[Any]) -> TensorRule:
        """The rule made of one line of the file: a name, the sides, and the conditions where there
        are any.
        """
        name, *sides = line
        conditions = {}
        if isinstance(sides[-1], dict):
            conditions = sides.pop()
        needed = conditions.get("if", "always").split(" and ")
        return cls(
            name=name,
            sides=tuple(sides),
            needed=tuple(needed),
            unless=tuple(conditions.get("unless", ())),
            layers=conditions.get("layers", ""),
            bias=conditions.get("bias", ""),
        )

    def applies(self, sizes: Sizes) -> bool:
        """Whether a part with these sizes has the tensor."""
        if not all(map(sizes.get, self.needed)):
            return False
        return not any(map(sizes.get, self.unless))

    def layers_of(self, layers: Places) -> Places:
        """The layers that have the tensor, out of the layers of the part."""
        if self.layers == "first":
            return layers[:1]
        if self.layers == "rest":
            return layers[1:]
        return layers


@cache
def _rules_of(part: str) -> tuple[TensorRule, ...]:
    """The rules for the tensors of a part of models, by the part's name in the file."""
    return tuple(TensorRule.from_line(line) for line in _tensors_table().tensors[part])


def _side_length(expression: str, sizes: Sizes) -> int:
    """The value of `2 * heads * key_length + width`: a sum of products, whose factors may be
    divided.
    """
    total = 0
    for product in expression.split(" + "):
        number = 1
        for factor in product.split(" * "):
            dividend, _, divisor = factor.partition(" / ")
            number *= int(dividend) if dividend.isdecimal() else sizes[dividend]
            if divisor:
                number //= max(1, sizes[divisor])
        total += number
    return total


def sizes_of(record: Record | None) -> Sizes:
    """The fields of a record by name, 0 for fields that it does not state."""
    if record is None:
        return {}
    return {key: getattr(record, key) or 0 for key in type(record)._fields}


def _truths_of(sizes: Sizes) -> Sizes:
    """The conditions of tensors.toml that hold for the sizes that are texts: `kind=latent` has the
    value 1.
    """
    truths: Sizes = {}
    for key, size in sizes.items():
        if isinstance(size, str):
            truths[f"{key}={size}"] = 1
    return truths


class _TensorList:
    """The list of tensors of one model, as llama.cpp's file holds them (`gguf`) or the published
    files.

    Shapes have the fastest dimension first, as GGUF writes them. A `*` in a name stands for the
    number of each layer of the group.
    """

    def __init__(self, model: Architecture, *, gguf: bool) -> None:
        self.model = model
        self.row = row_of(model)
        self.gguf = gguf
        self.width = model.embedding_length
        self.groups: list[TensorGroup] = []
        sizes: Sizes = {
            **sizes_of(model),
            **sizes_of(self.row),
            **self.row.flags,
            "embeds": self.row.embeds,
            "rewrites": self.row.rewrites,
            "always": 1,
            "width": self.width,
            "in_gguf": gguf,
            "tokens": model.gguf_tokens if gguf else model.published_tokens,
            "padded": model.gguf_tokens,
        }
        self.sizes = sizes | _truths_of(sizes)

    def collected(self) -> tuple[TensorGroup, ...]:
        """All tensors, part by part: outside of the blocks, the blocks, and blocks that predict
        more tokens.
        """
        model = self.model
        layers = tuple(range(model.layers))
        self.add_outside_of_blocks(layers)
        self.add_every_layer(layers)
        for attention in model.attention:
            self.add_attention(attention, attention.layers)
        for recurrent in model.recurrent:
            self.add_recurrent(recurrent)
        for feed_forward in model.feed_forward:
            self.add_feed_forward(feed_forward, feed_forward.layers)
        for ngrams in model.ngrams:
            self.add_part("ngram tables", ngrams.layers, ngrams)
            self.add_part("ngrams", ngrams.layers, ngrams)
        if self.gguf and model.mtp_layers:
            last = model.layers + model.mtp_layers
            self.add_prediction_blocks(tuple(range(model.layers, last)))
        return tuple(self.groups)

    def add(
        self,
        name: str,
        layers: Places,
        shape: tuple[int, ...],
        *,
        biased: bool = False,
    ) -> None:
        """Add a tensor, and the bias beside it. A name that begins with `blk.` or a point is added
        to each stack of an encoder with a decoder. A name without `*` is of no layer; of the others
        only layers with tensors of their own count.
        """
        if "*" in name:
            layers = self._stored(layers)
            if not layers:
                return
        else:
            layers = ()
        self._add_to_stacks(name, layers, shape)
        if biased:
            bias = f"{name.removesuffix('.weight')}.bias"
            self._add_to_stacks(bias, layers, shape[1:] or shape)

    def _stored(self, layers: Places) -> Places:
        """The layers that have tensors of their own. In some models later layers run through the
        tensors of earlier ones.
        """
        stored = self.model.stored_layers
        if stored is None:
            return layers
        return _below(layers, stored)

    def _add_to_stacks(
        self,
        name: str,
        layers: Places,
        shape: tuple[int, ...],
    ) -> None:
        """Add a tensor under each of its names."""
        plain_name = name.removeprefix(".")
        names = [plain_name]
        stacks = self.row.stacks
        if stacks and name.startswith(("blk.", ".")):
            if "cross_attn" in name:
                stacks = stacks[-1:]
            # so GGUF files of T5 call it
            in_stack = plain_name.replace("attn_output.", "attn_o.")
            names = [f"{stack}.{in_stack}" for stack in stacks]
        for stored_name in names:
            group = TensorGroup(name=stored_name, layers=layers, shape=shape)
            self.groups.append(group)

    def add_norm(self, name: str, layers: Places) -> None:
        """Add a norm over the width of the model to each of the layers."""
        tensor = f"blk.*.{name}.weight"
        self.add(tensor, layers, (self.width,), biased=self.row.norm_bias)

    def add_part(
        self,
        name: str,
        layers: Places,
        part: Record | None = None,
        **further: Any,
    ) -> None:
        """Add the tensors of the part with that name in tensors.toml. `part`: the record with the
        sizes of the part; `further`: sizes that no record has.
        """
        part_sizes = sizes_of(part) | further
        sizes = self.sizes | part_sizes | _truths_of(part_sizes)
        for rule in _rules_of(name):
            if rule.applies(sizes):
                shape = tuple(_side_length(side, sizes) for side in rule.sides)
                is_biased = bool(sizes.get(rule.bias))
                self.add(rule.name, rule.layers_of(layers), shape, biased=is_biased)

    def add_outside_of_blocks(self, layers: Places) -> None:
        """Add the tables of tokens and positions, the last norm, the output matrix, and an encoder
        of sound.
        """
        model = self.model
        row = self.row
        table_length = model.table_length or self.width
        # the elements of each head that RoPE turns, as pairs
        turned = [group.rope_length or group.key_length for group in model.attention]
        self.add_part(
            "outside",
            layers,
            table=table_length,
            narrow=table_length != self.width,
            output_beside=self.gguf and row.flags.get("output_in_gguf"),
            position_rows=self._position_rows(),
            types=model.token_types or 2,
            distances=model.positions or 0,
            rope_factors=model.rope_factors or row.rope_factors,
            half=max(turned, default=0) // 2,
        )
        if row.output_norm:
            name = f".{row.output_norm}.weight"
            self.add(name, layers, (self.width,), biased=row.norm_bias)
        if model.audio:
            self.add_part("audio", tuple(range(model.audio.layers)), model.audio)
            self.add_part("attention to audio", layers)

    def _position_rows(self) -> int:
        """The number of rows in the table of positions: as stated, else one for each token of the
        context.
        """
        model = self.model
        rows = model.positions
        if rows is None:
            rows = (model.context_tokens or 0) + self.row.position_offset
        # the conversion to GGUF drops two rows of XLM-RoBERTa that no token uses; its row tells
        # types of tokens apart, and the model has one
        if self.gguf and self.row.token_types and model.token_types == 1:
            rows -= 2
        return rows

    def add_every_layer(self, layers: Places) -> None:
        """Add the norms, and tensors of every layer whatever its attention and feed-forward."""
        model = self.model
        row = self.row
        norms = row.norms
        if model.parallel_norms == 2:
            norms = (*norms, "attn_norm_2")
        for name in norms:
            self.add_norm(name, self._normed_layers(name, layers))
        streams = model.altup_inputs or 0
        # hyper-connections weigh the streams into a part of the layer and back
        mixed = 2 * streams
        if row.hyper_connections == 3:
            # and each stream into each
            mixed += streams * streams
        tokens = model.gguf_tokens
        if not self.gguf:
            tokens = row.per_layer_vocabulary or model.published_tokens
        self.add_part(
            "every layer",
            layers,
            rows=tokens,
            others=streams - 1,
            mixed=mixed,
            most_heads=model.most_heads,
        )
        if model.stream_latent_length:
            self.add_part("streams", layers)
            self.add_part("last streams", layers)

    def _normed_layers(self, name: str, layers: Places) -> Places:
        """The layers that have the norm of that name."""
        model = self.model
        if not self.row.norms_of_parts:
            has_first = self.row.first_norm or name != "attn_norm"
            return layers if has_first else layers[1:]
        parts: Sequence[LayerPart] = (*model.attention, *model.recurrent)
        if name == "ffn_norm":
            parts = model.feed_forward
        return tuple(sorted(layers_of(parts)))

    def add_attention(self, group: Attention, layers: Places) -> None:
        """Add queries, keys, values and the output of layers that attend, of one of three kinds."""
        row = self.row
        part = "attention"
        if group.latent_length:
            part = "latent"
        elif group.kind == "compressed":
            part = "compressed"
        is_biased = self.model.attention_bias
        if is_biased is None:
            is_biased = row.attention_bias
        self.add_part(
            part,
            layers,
            group,
            # where attention caches unpacked keys, the key's length includes the rotated part
            unturned=group.key_length - group.rotated_length,
            output_groups=group.output_groups or 1,
            query_key_norm=query_key_norm_of(group, self.model, row),
            biased=is_biased,
            biased_keys=is_biased and row.key_bias,
        )
        self.add_part("beside attention", layers, group)

    def add_recurrent(self, recurrent: Recurrent) -> None:
        """Add the tensors of layers that keep a state."""
        ranks = dict.fromkeys(_RANKS, 0)
        ranks.update(zip(_RANKS, recurrent.ranks, strict=False))
        self.add_part(
            recurrent.kind,
            recurrent.layers,
            recurrent,
            normed=recurrent.norm is not False,
            steps=recurrent.heads or recurrent.inner_length or 0,
            **ranks,
        )

    def add_feed_forward(self, group: FeedForward, layers: Places) -> None:
        """Add the experts with their router, the dense feed-forward, or both side by side."""
        row = self.row
        dense: int | None = group.length
        if group.experts:
            dense = group.beside_dense
            self.add_part(
                "experts",
                layers,
                group,
                inner=group.latent_length or self.width,
                picked_by_bias=group.router_bias or row.router_bias,
            )
        if dense:
            is_biased = row.feed_forward_bias or row.down_bias
            self.add_part("dense", layers, dense=dense, down_biased=is_biased)

    def add_prediction_blocks(self, layers: Places) -> None:
        """Add multi-token-prediction blocks shaped like the last layer, or like the last layer of
        the kind that the row names.

        A block has ordinary attention even where the model's last layer is recurrent. Nothing is
        added where no layer attends, or none feeds forward.
        """
        model = self.model
        row = self.row
        if not (model.attention and model.feed_forward):
            return
        norms = row.norms
        if len(norms) == 1:
            # where each layer has either attention or a feed-forward, the block of multi-token
            # prediction has both and a second norm
            norms = (*norms, "post_attention_norm")
        for name in norms:
            self.add_norm(name, layers)
        if model.stream_latent_length:
            self.add_part("streams", layers)
        attention = max(model.attention, key=_last_layer)
        if "window" in row.mtp_like:
            attention = max(model.attention, key=_with_window_last)
        feed_forward = max(model.feed_forward, key=_last_layer)
        if "dense" in row.mtp_like:
            feed_forward = max(model.feed_forward, key=_dense_last)
        self.add_attention(attention, layers)
        self.add_feed_forward(feed_forward, layers)
        tables: Sizes = dict.fromkeys(row.mtp_vocabulary, True)
        self.add_part("prediction", layers, **tables)


def _below(layers: Places, stop: int) -> Places:
    """Those of the layers whose numbers are below `stop`."""
    return tuple(layer for layer in layers if layer < stop)


def _last_layer(part: LayerPart) -> int:
    """The number of the part's last layer; -1 where no layer has the part."""
    return max(part.layers, default=-1)


def _with_window_last(group: Attention) -> tuple[bool, int]:
    """The order of layers that attend: without a window, with one; of each the last layer last."""
    return bool(group.window_tokens), _last_layer(group)


def _dense_last(group: FeedForward) -> tuple[bool, int]:
    """The order of feed-forwards: with experts, without; of each the last layer last."""
    return not group.experts, _last_layer(group)


def query_key_norm_of(
    group: Attention,
    model: Architecture,
    row: ArchitectureRow,
) -> str:
    """The norm of queries and keys in layers that attend: as the layers state it, else the model,
    else the row; "" for none.
    """
    return group.query_key_norm or model.query_key_norm or row.query_key_norm


class CacheGroup(Record):
    """Layers with equal KV caches, of those that own a cache. Lengths are of one head; elements are
    of one token and one layer.

    - `window_tokens`: None for layers that keep every token.
    - `indexer_elements`: the keys of a sparse indexer; `indexer_pool`: the number of
      tokens that share a key.
    - `tokens_per_row`: the number of tokens that share the elements.
    - `latent`: one row is key and value in one, and no values are stored.
    """

    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    window_tokens: int | None = None
    latent: bool = False
    indexer_elements: int = 0
    indexer_pool: int = 1
    tokens_per_row: int = 1

    @property
    def kept(self) -> str:
        """What the cache has rows of: tokens, or rows that each stand for several."""
        return "rows" if self.tokens_per_row > 1 else "tokens"

    @property
    def key_elements(self) -> int:
        """The number of elements in the keys of all heads."""
        return self.kv_heads * self.key_length

    @property
    def value_elements(self) -> int:
        """The number of elements in the values of all heads."""
        return self.kv_heads * self.value_length


@lru_cache(2048)
def cache_groups(
    architecture: Architecture, *, with_idle: bool = False
) -> tuple[CacheGroup, ...]:
    """The caches of a model, one for each group of equal layers; () for encoders and for models
    that keep only a state, or nothing.

    `with_idle`: with the caches that llama.cpp makes and never uses: those of some encoders, and in
    Ling 3 those of the multi-token-prediction blocks (src/llama-model.cpp filters no layer).
    """
    row = row_of(architecture)
    keeps_tokens = not row.recomputes
    if row.encoder:
        keeps_tokens = with_idle and row.idle_cache
    if not keeps_tokens:
        return ()
    groups = []
    for attention in architecture.attention:
        layers = _caching_layers(attention, architecture.cache_layers)
        if layers:
            groups += _groups_of(attention, layers, row)
    if groups and with_idle and row.mtp_cached:
        last = groups[-1]
        layers = last.layers + (architecture.mtp_layers or 0)
        groups[-1] = last.replace(layers=layers)
    return tuple(groups)


def layers_of(parts: Iterable[LayerPart]) -> set[int]:
    """The numbers of the layers that have one of these parts."""
    return {layer for part in parts for layer in part.layers}


def _caching_layers(attention: Attention, cache_layers: int | None) -> int:
    """The number of layers that own a cache: none that attend to an encoder, and in Gemma 3n and 4
    none from `cache_layers` on, which read the cache of an earlier layer.
    """
    if attention.kind == "cross":
        return 0
    if cache_layers is None:
        return len(attention.layers)
    return len(_below(attention.layers, cache_layers))


def _groups_of(
    attention: Attention,
    layers: int,
    row: ArchitectureRow,
) -> list[CacheGroup]:
    """The caches of `layers` layers with equal attention.

    A head keeps `key_length` elements as its key and `value_length` as its value. In latent
    attention one row stands for all heads.
    """
    if attention.kind == "compressed":
        return _compressed_groups(attention, layers)
    window_tokens = attention.window_tokens
    if attention.kind == "full" or row.window_masks:
        window_tokens = None
    group = CacheGroup(
        layers=layers,
        kv_heads=attention.kv_heads,
        key_length=attention.key_length,
        value_length=attention.value_length,
        window_tokens=window_tokens,
        indexer_elements=attention.indexer_key_length,
        indexer_pool=attention.indexer_pool or 1,
    )
    if attention.kind == "latent":
        row_length = attention.latent_row_length
        group = group.replace(
            kv_heads=1, key_length=row_length, value_length=0, latent=True
        )
    return [group]


def _compressed_groups(attention: Attention, layers: int) -> list[CacheGroup]:
    """The caches of DeepSeek V4: a window of tokens, and beside it rows that each stand for several
    tokens, with the key of an indexer.
    """
    tokens = CacheGroup(
        layers=layers,
        kv_heads=1,
        key_length=attention.key_length,
        value_length=0,
        latent=True,
        window_tokens=attention.window_tokens,
    )
    if not attention.compression:
        return [tokens]
    rows = tokens.replace(
        window_tokens=None,
        tokens_per_row=attention.compression,
        key_length=attention.key_length + attention.indexer_key_length,
    )
    return [tokens, rows]


class State(Record):
    """The state that a group of recurrent layers keeps of one sequence.

    `convolution`: the numbers of a convolution's last inputs in one layer; `memory`: the other
    numbers. `arithmetic`: the sum of both as a line that a person can check.
    """

    layers: int
    convolution: int
    memory: int
    arithmetic: str

    @property
    def bytes(self) -> int:
        """The bytes of the state in llama.cpp: layers × numbers × 4 bytes."""
        return _STATE_NUMBER_BYTES * (self.convolution + self.memory) * self.layers


def states(architecture: Architecture) -> tuple[State, ...]:
    """The states that a model keeps of each sequence: those of recurrent layers, and for compressed
    attention the tokens from which the next row is made.
    """
    kept = [state_of(recurrent, architecture) for recurrent in architecture.recurrent]
    for attention in architecture.attention:
        if attention.kind == "compressed" and attention.compression:
            kept.append(_state_of_compressed(attention, attention.compression))
    return tuple(kept)


def state_of(recurrent: Recurrent, architecture: Architecture) -> State:
    """The state that a group of recurrent layers keeps.

    `[states]` of tensors.toml gives for each kind of layer the numbers that a convolution remembers
    and the numbers of the memory (`n_embd_r` and `n_embd_s` of src/llama-hparams.cpp in llama.cpp).
    """
    sizes = sizes_of(recurrent)
    sizes["width"] = architecture.embedding_length
    # the earlier inputs that a convolution remembers
    sizes["taps"] = recurrent.earlier_inputs
    rule = _tensors_table().states[recurrent.kind]
    parts = (rule.convolution, rule.memory)
    total = " + ".join(text for text in parts if text != "0")
    return State(
        layers=len(recurrent.layers),
        convolution=_side_length(rule.convolution, sizes),
        memory=_side_length(rule.memory, sizes),
        arithmetic=f"({_in_figures(total, sizes)})",
    )


def alive_in_recurrence(
    recurrent: Recurrent,
    architecture: Architecture,
    states: float,
) -> int:
    """The numbers of a token that are alive at once in a recurrent layer of llama.cpp, beside the
    memories of `states` states; 0 where nobody measured such layers, or states a size of them.
    """
    expression = _tensors_table().states[recurrent.kind].alive
    state = state_of(recurrent, architecture)
    if not (expression and state.bytes):
        return 0
    sizes = sizes_of(recurrent)
    sizes["width"] = architecture.embedding_length
    sizes["memory"] = state.memory
    if not all(map(sizes.get, re.findall("[a-z_]+", expression))):
        return 0
    sizes["memory"] = int(states * state.memory)
    return _side_length(expression, sizes)


def has_delta_rule(recurrent: Recurrent) -> bool:
    """Whether each token corrects what the memory of these layers gives for its key."""
    return _tensors_table().states[recurrent.kind].delta_rule


def tensor_split_of(recurrent: Recurrent) -> str:
    """Whether llama.cpp's -sm tensor cuts these layers ("cut") or leaves them whole on each GPU
    ("whole"); "" where that was not checked.
    """
    return _tensors_table().states[recurrent.kind].tensor_split


def _in_figures(expression: str, sizes: Sizes) -> str:
    """The expression with the names of sizes replaced by their figures."""
    return re.sub(
        r"[a-z_]+",
        lambda name: f"{sizes[name[0]]:,}",
        expression.replace("*", "×"),
    )


def _state_of_compressed(attention: Attention, compression: int) -> State:
    """The state of compressed attention: the last tokens, from which the next row is made, each as
    a key and as the scores that weigh it.

    Where an indexer chooses the rows, twice as many tokens are kept, and each is twice as wide.
    """
    twice = 2 if attention.indexer_heads else 1
    tokens = twice * compression
    numbers = twice * (attention.key_length + attention.indexer_key_length)
    return State(
        layers=len(attention.layers),
        convolution=0,
        memory=2 * tokens * numbers,
        arithmetic=f"2 × {tokens} tokens × {numbers:,}",
    )


def words_of_row(group: CacheGroup, widest: int = 0) -> tuple[str, str]:
    """The words for the elements that one layer keeps of one token, in a line of arithmetic: the
    texts before and after the number of layers.

    `widest`: the longest values of any layer, where the values of all layers are stored that long.
    """
    values = max(widest, group.value_elements)
    if group.latent:
        return "", f"{group.key_length:,}"
    if group.key_elements == values:
        heads = plural(group.kv_heads, "KV head")
        return "2 × ", f"{heads} × {group.key_length:,}"
    return "", f"({group.key_elements:,} + {values:,})"


def window_of(architecture: Architecture, group: CacheGroup | Attention) -> int | None:
    """The window of these layers in llama.cpp's cache; None where the cache keeps every token."""
    row = row_of(architecture)
    if row.window_cache == "ignored":
        return None
    if row.window_cache_layers not in (None, architecture.layers):
        return None
    return group.window_tokens


def windowed_attention(architecture: Architecture) -> list[Attention]:
    """The groups of layers that attend to a window in llama.cpp's cache."""
    groups = architecture.attention
    return [group for group in groups if window_of(architecture, group) is not None]


def with_every_head(architecture: Architecture) -> Architecture:
    """The architecture with each latent unpacked into keys and values of every head."""
    unpacked = []
    for group in architecture.attention:
        if group.kind != "latent":
            unpacked.append(group)
            continue
        length = group.key_length + group.rotated_length
        full = group.replace(kind="full", kv_heads=group.heads, key_length=length)
        unpacked.append(full)
    return architecture.replace(attention=tuple(unpacked))
