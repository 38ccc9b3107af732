"""The compute buffer of llama.cpp: the graph that it builds for a prompt, replayed by the rules of
its allocator, exact to the byte.

Read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. What goes in: a model, the row of
its architecture, the cells of the cache and the number of rows of logits. What comes out: bytes.
part.py holds the data that all parts of one graph share, builder.py adds the tensors, and
allocator.py replays their allocation.

A row of `specs/common/architectures.toml` has the key `graph` if every measured case of its
architecture agrees to the byte (tests/truth). For other architectures the buffer is a guess with a
range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from ...catalogue.architecture import (
    Architecture,
    Attention,
    LayerPart,
)
from ...core.records import Record
from ..case import Batch
from ..tensors import (
    Style,
    layers_of,
    row_of,
    windowed_attention,
)
from .allocator import Repetition, peak_bytes
from .builder import Builder
from .part import Graph, Layer

# the rounds of a repeating pattern that get a graph. The states after the second and the third are
# compared; they are equal only if a later layer, such as those of the fourth, still reads the masks
# of their attention
_BUILT_ROUNDS = 4
# the longest repeating pattern of layers: Jamba's
_LONGEST_PATTERN = 8
# the number of layers in which Gemma 3n keeps only the largest activations (src/models/gemma3n.cpp:
# n_layer_sparsity)
_SPARSE_LAYERS = 10

_Group = TypeVar("_Group", bound=LayerPart)


class _Rounds(NamedTuple):
    """Equal rounds of layers, one after the other: their number, and the layers of one."""

    number: int
    layers: int


class _Shortened(Record):
    """A model's layers, of each pattern only the rounds that need a graph; and the second and third
    rounds of the patterns, as places in this list of layers.
    """

    layers: list[Layer]
    repetitions: list[Repetition]


@lru_cache(maxsize=8192)
def exact_compute_bytes(batch: Batch) -> int | None:
    """The compute buffer in bytes, exact; None where the architecture has no graph here.

    Most layers repeat, and after each repetition, or each second one, the allocator is in the same
    state. Then the graph of the first rounds tells the buffer of all layers.
    """
    if batch.row.graph is None:
        return None
    model = batch.model
    if not _is_buildable(model):
        return None
    # a round of all layers never repeats: the whole graph is built
    for patterns_at_once in (1, 2, model.layers):
        shortened = _shortened(model, patterns_at_once)
        graph = Graph(batch)
        try:
            peak = _peak_of_layers(graph, shortened)
        finally:
            graph.unlink()
        if peak is not None:
            return peak
    return None


def _is_buildable(model: Architecture) -> bool:
    """Whether each layer has parts, and only parts that are known here."""
    groups = (*model.attention, *model.recurrent, *model.feed_forward)
    if layers_of(groups) != set(range(model.layers)):
        return False
    if not all(_is_known_attention(heads) for heads in model.attention):
        return False
    for feed in model.feed_forward:
        if feed.beside_dense and not row_of(model).expert_norms:
            return False
        # llama.cpp asserts when it loads a model that groups of experts have equally many members
        # (src/llama-model.cpp: n_expert % n_expert_groups == 0). A spec that breaks this rule is
        # refused, but a record made by a program is not
        if feed.groups and (feed.experts is None or feed.experts % feed.groups):
            return False
    if not model.recurrent:
        return True
    # imported here: most models have no recurrent layers
    from .recurrent import is_buildable

    return all(is_buildable(group) for group in model.recurrent)


def _is_known_attention(heads: Attention) -> bool:
    """Whether this package builds attention of that kind: full, sliding or latent, without a sparse
    indexer.
    """
    if heads.indexer_heads:
        return False
    if heads.latent_length:
        return heads.kind == "latent"
    return heads.kind in ("full", "sliding")


def _layers(model: Architecture) -> list[Layer]:
    """The layers of a model."""
    row = row_of(model)
    style = row.graph or Style()
    layers = []
    attention = _by_layer(model.attention)
    recurrent = _by_layer(model.recurrent)
    feed_forward = _by_layer(model.feed_forward)
    cached_layers = model.cache_layers
    if cached_layers is None:
        cached_layers = model.layers
    early_layers = model.deepstack_layers or 0
    if row.altup:
        early_layers = _SPARSE_LAYERS
    has_norms = "attn_norm" in row.norms or not row.norms
    for number in range(model.layers):
        layer = Layer(
            attention=attention.get(number),
            recurrent=recurrent.get(number),
            feed_forward=feed_forward.get(number),
            is_last=number == model.layers - 1 and not style.late_rows,
            is_normed=has_norms and (number > 0 or row.first_norm),
            is_rotated=_is_rotated(model, style, number, attention.get(number)),
            is_cached=number < cached_layers,
            is_early=number < early_layers,
        )
        layers.append(layer)
    return layers


def _is_rotated(
    model: Architecture,
    style: Style,
    number: int,
    heads: Attention | None,
) -> bool:
    """Whether positions rotate the queries and keys of a layer (RoPE). In some models every fourth
    layer attends without positions, in others every layer without a window.
    """
    if style.rope == "three of four":
        return number % 4 != 3
    windowed = windowed_attention(model)
    if style.rope == "sliding" and windowed:
        return heads in windowed
    return style.rope != "none"


def _by_layer(groups: Iterable[_Group]) -> dict[int, _Group]:
    """The group of parts that each layer belongs to, by the number of the layer."""
    by_layer = {}
    for group in groups:
        for number in group.layers:
            by_layer[number] = group
    return by_layer


@lru_cache(maxsize=1024)
def _shortened(model: Architecture, patterns_at_once: int) -> _Shortened:
    """The layers of a model, with only the first rounds of each pattern. A round is the pattern
    repeated `patterns_at_once` times.
    """
    layers = _layers(model)
    shortened = _Shortened(layers=[], repetitions=[])
    begin = 0
    while begin < len(layers):
        rounds = _rounds_from(begin, layers, patterns_at_once)
        built = min(rounds.number, _BUILT_ROUNDS)
        if rounds.number > built:
            second = len(shortened.layers) + rounds.layers
            third = second + rounds.layers
            repetition = Repetition(second, third, third + rounds.layers)
            shortened.repetitions.append(repetition)
        built_end = begin + built * rounds.layers
        shortened.layers.extend(layers[begin:built_end])
        begin += rounds.number * rounds.layers
    return shortened


def _rounds_from(
    begin: int,
    layers: Sequence[Layer],
    patterns_at_once: int,
) -> _Rounds:
    """The equal rounds from the layer `begin` on: of all patterns the one that saves the most
    layers. One round of one layer where none saves any.
    """
    best = _Rounds(number=1, layers=1)
    most_saved = 0
    for period in range(1, _LONGEST_PATTERN + 1):
        same_end = begin + period
        while same_end < len(layers) and layers[same_end] == layers[same_end - period]:
            same_end += 1
        round_layers = period * patterns_at_once
        number = (same_end - begin) // round_layers
        saved = (number - _BUILT_ROUNDS) * round_layers
        if saved > most_saved:
            best = _Rounds(number, round_layers)
            most_saved = saved
    return best


def _peak_of_layers(graph: Graph, shortened: _Shortened) -> int | None:
    """The most bytes in use while the graph of these layers runs; None where more rounds of a
    pattern would change it.
    """
    builder = Builder(graph)
    if graph.row.altup:
        # several hidden states; imported here: few models need it
        from .gemma3n import Gemma3n

        builder = Gemma3n(graph)
    hidden = builder.before()
    begins = []
    for layer in shortened.layers:
        begins.append(len(graph.nodes))
        hidden = builder.layer(layer, hidden)
    begins.append(len(graph.nodes))
    graph.expand(builder.after(hidden))
    repetitions = []
    for repetition in shortened.repetitions:
        places = [begins[layer] for layer in repetition]
        repetitions.append(Repetition(*places))
    return peak_bytes(graph.inputs, graph.nodes, repetitions)
