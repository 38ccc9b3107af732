"""The sizes of a model that its bytes follow from, and their reader."""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Table
from .layers import (
    MAX_LAYERS,
    QUERY_KEY_NORMS,
    Attention,
    Blocks,
    FeedForward,
    Misfit,
    Recurrent,
    places,
    read_attention,
    read_feed_forward,
    read_recurrent,
    unsized,
)
from .quantization_names import DTYPES, PACKED
from .spec_values import types_apart

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_BEAMS = 100
# versions of the hidden state beside each other; published models have 4
MAX_INPUTS = 64
# the same for tensors; the richest architecture of llama.cpp has some 60 names
MAX_TENSOR_NAMES = 1000
# types that a checkpoint asks a cache to be kept in
CACHE_DTYPES = ("float8_e4m3",)
# whose files a program may not load, whatever types it loads
QUANTIZERS = ("modelopt",)
# what a model may have beside its row, or lack of it: flags of `needs.tensors.ArchitectureRow`
ROW_FLAGS = (
    "attention_output_bias",
    "feed_forward_bias",
    "norm_bias",
    "output_bias",
    "output_norm",
    "embedding_norm",
    "token_types",
    "positions",
    "pooler",
    "output_in_gguf",
)
ROPE_FACTORS = ("freqs", "long_short")
GATES = ("split", "fused", "none")
_STORED_TYPES = (*DTYPES, *PACKED)


class Audio(Record):
    """The encoder of a speech model."""

    # a layer is a number in a list
    layers: int = read_by(Table.integer, required=True, minimum=1, maximum=MAX_LAYERS)
    heads: int = read_by(Table.integer, required=True, minimum=1)
    embedding_length: int = read_by(Table.integer, required=True, minimum=1)
    feed_forward_length: int = read_by(Table.integer, required=True, minimum=1)
    positions: int = read_by(Table.integer, required=True, minimum=1)
    mel_bins: int = read_by(Table.integer, required=True, minimum=1)


class TensorGroup(Record):
    """Tensors listed one by one: `layers` is empty for a tensor outside the blocks; `shape` has
    the row length first.
    """

    name: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]


def _stated_layers(table: Table) -> int | None:
    """The number of layers; None where it is missing or wrong."""
    layers = table.values.get("layers")
    return layers if isinstance(layers, int) and 1 <= layers <= MAX_LAYERS else None


def _some_layers(table: Table, key: str) -> int | None:
    """A number of the model's layers, at most all of them."""
    return table.integer(key, minimum=1, maximum=_stated_layers(table) or MAX_LAYERS)


def _layer_pattern(table: Table, key: str) -> str | None:
    """One letter for each layer."""
    pattern, layers = table.string(key), _stated_layers(table)
    if pattern is None:
        return None
    if any(letter.isdecimal() or letter in ": " for letter in pattern):
        message = "must have one letter for each layer, and no digit, colon or space"
        table.problem(key, message)
        return None
    if layers is not None and len(pattern) != layers:
        table.problem(key, f"has {len(pattern):,} letters for {layers:,} layers")
        return None
    return pattern


class Architecture(Record):
    """Sizes that differ between two models of one architecture; what all its models share is the
    row named by `row`.

    `row` is `general.architecture` of the GGUF file where one exists (`runs_in_gguf`), else the
    transformers model type. `scaled_context_tokens` is the longest context that the publisher
    documents by scaling positions, above `context_tokens`; `yarn_original_tokens` the context that
    YaRN stretches to it, None where it is scaled in another way; `rope_positions`: how many
    positions vLLM makes a table of sines and cosines for, where that is not `context_tokens`.
    `apart`: published tensors of another type than `matrix_dtype` and `expert_dtype`, under the
    names of GGUF files (`blk.*` for all blocks that have one). `cache_dtype` is what the checkpoint
    asks keys and values to be kept in, None where it asks for nothing: vLLM follows it.
    `quantizer`: what made the narrow types, where a program that loads the types does not load its
    files.
    """

    row: str
    runs_in_gguf: bool
    dtype: str | None = read_by(Table.string, choices=DTYPES, default=None)
    matrix_dtype: str | None = read_by(Table.string, choices=_STORED_TYPES, default=None)
    expert_dtype: str | None = read_by(Table.string, choices=_STORED_TYPES, default=None)
    apart: tuple[tuple[str, str], ...] = read_by(types_apart, types=_STORED_TYPES, default=())
    cache_dtype: str | None = read_by(Table.string, choices=CACHE_DTYPES, default=None)
    quantizer: str | None = read_by(Table.string, choices=QUANTIZERS, default=None)
    layers: int = read_by(Table.integer, required=True, minimum=1, maximum=MAX_LAYERS)
    encoder_layers: int | None = read_by(Table.integer, minimum=1, maximum=MAX_LAYERS, default=None)
    embedding_length: int = read_by(Table.integer, required=True, minimum=1)
    heads: int | None = read_by(Table.integer, minimum=1, default=None)
    beams: int | None = read_by(Table.integer, minimum=1, maximum=MAX_BEAMS, default=None)
    vocabulary: int | None = read_by(Table.integer, minimum=1, default=None)
    vocabulary_gguf: int | None = read_by(Table.integer, minimum=1, default=None)
    context_tokens: int | None = read_by(Table.integer, minimum=1, default=None)
    scaled_context_tokens: int | None = read_by(Table.integer, minimum=1, default=None)
    yarn_original_tokens: int | None = read_by(Table.integer, minimum=1, default=None)
    rope_positions: int | None = read_by(Table.integer, minimum=1, default=None)
    tied_embeddings: bool = read_by(Table.boolean, default=False)
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    attention_bias: bool | None = read_by(Table.boolean, default=None)
    query_key_norm: str | None = read_by(Table.string, choices=QUERY_KEY_NORMS, default=None)
    parallel_norms: int | None = read_by(Table.integer, minimum=1, maximum=9, default=None)
    rope_factors: str | None = read_by(Table.string, choices=ROPE_FACTORS, default=None)
    gate: str | None = read_by(Table.string, choices=GATES, default=None)
    table_length: int | None = read_by(Table.integer, minimum=1, default=None)
    also: tuple[str, ...] = read_by(Table.strings, choices=ROW_FLAGS, default=())
    lacks: tuple[str, ...] = read_by(Table.strings, choices=ROW_FLAGS, default=())
    positions: int | None = read_by(Table.integer, minimum=1, default=None)
    token_types: int | None = read_by(Table.integer, minimum=1, default=None)
    output_matrix: bool = read_by(Table.boolean, default=True)
    cache_layers: int | None = read_by(_some_layers, default=None)
    stored_layers: int | None = read_by(_some_layers, default=None)
    per_layer_embedding_length: int | None = read_by(Table.integer, minimum=1, default=None)
    altup_inputs: int | None = read_by(Table.integer, minimum=1, default=None)
    deepstack_layers: int | None = read_by(_some_layers, default=None)
    mtp_layers: int | None = read_by(Table.integer, minimum=1, maximum=MAX_LAYERS, default=None)
    layer_pattern: str | None = read_by(_layer_pattern, default=None)
    audio: Audio | None = read_by(Table.record, kind=Audio, default=None)
    tensors: tuple[TensorGroup, ...] = ()

    def packed_with(self, method: str) -> Architecture:
        """As it is in files of a quantization by that method: some AWQ and GPTQ files have longer
        feed-forwards.
        """
        if method not in ("awq", "gptq"):
            return self
        longer = tuple(
            group.replace(length=group.padded_length or group.length) for group in self.feed_forward
        )
        return self if longer == self.feed_forward else self.replace(feed_forward=longer)

    def misfits(self) -> Iterator[Misfit]:
        """As those of a part of a layer; theirs are not among them."""
        yield from unsized(self)
        if self.altup_inputs is not None and not 2 <= self.altup_inputs <= MAX_INPUTS:
            message = f"is {self.altup_inputs:,}, and versions beside each other are several"
            yield "altup_inputs", message, f"write 2 to {MAX_INPUTS}"
        if self.mtp_layers and not self.tensors and not (self.attention and self.feed_forward):
            message = f"is {self.mtp_layers:,}, and such a block attends and feeds forward"
            remedy = "write attention and feed_forward, or [architecture.tensors]"
            yield "mtp_layers", f"{message}, which the model does not", remedy
        trained, scaled = self.context_tokens, self.scaled_context_tokens
        if trained is not None and scaled is not None and scaled <= trained:
            message = f"is {scaled:,}, not more than context_tokens, {trained:,}"
            remedy = "leave it out where the publisher documents no longer context"
            yield "scaled_context_tokens", message, remedy


def read_architecture(table: Table, *, attention_untold: bool) -> Architecture:
    """`[architecture]`. `attention_untold`: the file says why it states no attention."""
    gguf, transformers = table.string("gguf"), table.string("transformers")
    if "gguf" not in table and "transformers" not in table:
        remedy = (
            "write general.architecture of the GGUF file, or transformers = the model_type where no"
            " GGUF exists"
        )
        table.problem("gguf", "is missing", remedy)
    elif "gguf" in table and "transformers" in table:
        remedy = "keep gguf; transformers is for models that no GGUF file exists of"
        table.problem("transformers", "stands beside gguf", remedy)
    values = table.fields(Architecture)
    layers, width = values["layers"], values["embedding_length"]
    blocks = Blocks(layers=layers, pattern=values["layer_pattern"])
    parts = _layer_parts(table, blocks, values["heads"], width)
    if not attention_untold and "attention" not in table and "recurrent" not in table:
        table.problem(
            "attention", "is missing", "write attention = [{ … }], recurrent = [{ … }] or both"
        )
    tensors = _tensors(table.table("tensors"), blocks.replace(beyond=values["mtp_layers"] or 0))
    table.close()
    values |= {"layers": layers or 0, "embedding_length": width or 0, "tensors": tensors, **parts}
    architecture = Architecture(
        row=gguf or transformers or "", runs_in_gguf=gguf is not None, **values
    )
    # a part that is wrong itself is left out, and not missed
    for fault in architecture.misfits() if table.document.ok else ():
        table.problem(*fault)
    return architecture


def _layer_parts(
    table: Table, blocks: Blocks, heads: int | None, width: int | None
) -> dict[str, tuple[Any, ...]]:
    """What the layers have, by the key of the list that says so; a wrong line is left out."""
    attention, recurrent = table.tables("attention"), table.tables("recurrent")
    feed_forward = table.tables("feed_forward")
    # a layer either attends or keeps a state; its feed-forward is beside that
    attending, keeping = places((attention, recurrent), blocks)
    (feeding,) = places((feed_forward,), blocks)
    attends = zip(attention, attending, strict=True)
    keeps = zip(recurrent, keeping, strict=True)
    parts: dict[str, list[Any]] = {
        "attention": [read_attention(line, at, heads, width) for line, at in attends],
        "recurrent": [read_recurrent(line, at, width) for line, at in keeps],
        "feed_forward": list(map(read_feed_forward, feed_forward, feeding)),
    }
    return {name: tuple(filter(None, lines)) for name, lines in parts.items()}


def _tensors(table: Table | None, blocks: Blocks) -> tuple[TensorGroup, ...]:
    if table is None:
        return ()
    if len(table.values) > MAX_TENSOR_NAMES:
        remedy = f"at most {MAX_TENSOR_NAMES:,}: write * for the number of the block"
        table.problem(None, f"has {len(table.values):,} names", remedy)
        return ()
    groups: list[TensorGroup] = []
    for name in table.values:
        lines = table.tables(name)
        if table.values[name] == []:
            table.problem(name, "is empty", "write [{ shape = [ … ] }]")
        if name.count("*") > 1:
            table.problem(name, "has more than one *", "the * stands for the number of the block")
            continue
        numbers = places((lines,), blocks)[0] if "*" in name else [() for _ in lines]
        for index, (line, at) in enumerate(zip(lines, numbers, strict=True)):
            if "*" not in name:
                if line.value("at") is not None:
                    line.problem("at", "means nothing without a * in the tensor's name")
                if index == 1:
                    message = "is a second line of one tensor"
                    line.problem(None, message, "only a name with a * has several")
            shape = _shape(line)
            if at is not None:
                groups.append(TensorGroup(name=name, layers=at, shape=shape))
    return tuple(groups)


def _shape(line: Table) -> tuple[int, ...]:
    shape = line.integers("shape", required=True, minimum=1)
    written = line.values.get("shape")
    if isinstance(written, list) and not 1 <= len(written) <= 4:
        line.problem("shape", f"has {len(written)} dimensions", "GGUF tensors have one to four")
    line.close()
    return shape
