"""The sizes of a model that its bytes follow from: attention, recurrent states and feed-forwards of
its layers; and the reader of `[architecture]`, whose lines name layers by `at`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ..core.records import Record, kind_of, read_by
from ..core.tables import TABLES, TomlTable, shipped_table
from .spec_values import DTYPES, PACKED

# numbers of layers
Places = tuple[int, ...]
# more than any published model has: bounds what a hostile file can ask for
MAX_LAYERS = 1000
MAX_EXPERTS = 10_000
MAX_SIZE = 1 << 32
_ATTENTION_KINDS = ("full", "sliding", "latent", "cross", "compressed")
_STATE_KINDS = (
    "mamba",
    "mamba2",
    "delta",
    "kda",
    "lightning",
    "convolution",
    "rglru",
    "rwkv7",
)
# what a model may have beside its row, or lack of it: flags of `needs.tensors.ArchitectureRow`
ROW_FLAGS = tuple(shipped_table("model_files")["row_flags"])

_SIZE = read_by(minimum=1, maximum=MAX_SIZE, default=None)
_REQUIRED = read_by(minimum=1, maximum=MAX_SIZE)
_SOME_LAYERS = read_by(minimum=1, maximum=MAX_LAYERS, default=None)
_SOME_EXPERTS = read_by(minimum=1, maximum=MAX_EXPERTS, default=None)
_STORED_TYPE = read_by(choices=(*DTYPES, *PACKED), default=None)
_QUERY_KEY_NORM = read_by(choices=("head", "per_head", "full", "none"), default=None)


class Sized(Record):
    """What a model states in sizes. `related` has the rules that bind them, as
    `kv_heads divides heads`: two keys, a relation of `spec_rules` between them, and behind that the
    kinds of layer that the rule is for, if not for all.
    """

    related = ""


class LayerPart(Sized):
    """What some `layers` have in common: attention, a recurrent state or a feed-forward."""

    layers: Places = ()


class Attention(LayerPart):
    """Layers that attend alike."""

    # a head shares the keys and values of as many others, and a group of the output
    related = (
        "kv_heads divides heads, output_groups divides heads, "
        "rope_length below key_length full"
    )
    kind: str = read_by(choices=_ATTENTION_KINDS, default="full")
    heads: int = _SIZE
    kv_heads: int = _SIZE
    key_length: int = _SIZE
    value_length: int = _SIZE
    window_tokens: int | None = _SIZE
    values_from_keys: bool = read_by(default=False)
    latent_length: int | None = _SIZE
    query_latent_length: int | None = _SIZE
    rope_length: int | None = _SIZE
    indexer_heads: int | None = _SIZE
    indexer_length: int | None = _SIZE
    indexer_rows: int | None = _SIZE
    query_key_norm: str | None = _QUERY_KEY_NORM
    compression: int | None = _SIZE
    output_groups: int | None = _SIZE
    output_latent_length: int | None = _SIZE


class Recurrent(LayerPart):
    """Layers that keep a state of fixed size instead of a cache, or beside it."""

    related = (
        "heads divides inner_length, groups divides heads, key_heads divides heads,"
        " key_length divides embedding_length rwkv7"
    )
    kind: str = read_by(choices=_STATE_KINDS)
    inner_length: int | None = _SIZE
    state_length: int | None = _SIZE
    time_step_rank: int | None = _SIZE
    convolution: int | None = _SIZE
    heads: int | None = _SIZE
    key_heads: int | None = _SIZE
    key_length: int | None = _SIZE
    value_length: int | None = _SIZE
    groups: int | None = _SIZE
    norm: bool | None = read_by(default=None)
    ranks: tuple[int, ...] = read_by(default=())

    @property
    def inner_numbers(self) -> int:
        """Numbers of one token between its projections; 0 where nothing tells."""
        if self.inner_length is not None:
            return self.inner_length
        if self.heads is None or self.value_length is None:
            return 0
        return self.heads * self.value_length


class FeedForward(LayerPart):
    """Layers with the same feed-forward."""

    related = (
        "used at_most experts, groups_used at_most groups, padded_length above length,"
        # a group is ranked by its two best
        " groups divides experts, groups below experts, used at_most experts_of_groups"
    )
    length: int = _REQUIRED
    experts: int | None = _SOME_EXPERTS
    used: int | None = _SOME_EXPERTS
    shared_length: int | None = _SIZE
    latent_length: int | None = _SIZE
    router_bias: bool = read_by(default=False)
    beside_dense: int | None = _SIZE
    groups: int | None = read_by(minimum=2, maximum=MAX_EXPERTS, default=None)
    groups_used: int | None = _SOME_EXPERTS
    padded_length: int | None = _SIZE

    @property
    def experts_of_groups(self) -> int | None:
        """Those from which the groups that a token uses let it choose."""
        if self.groups is None or self.groups_used is None or self.experts is None:
            return None
        return self.groups_used * self.experts // self.groups


# the lists of `[architecture]`
LAYERS: Mapping[str, type[LayerPart]] = {
    "attention": Attention, "recurrent": Recurrent, "feed_forward": FeedForward,
}  # fmt: skip


class Audio(Record):
    """The encoder of a speech model."""

    # a layer is a number in a list
    layers: int = read_by(minimum=1, maximum=MAX_LAYERS)
    heads: int = _REQUIRED
    embedding_length: int = _REQUIRED
    feed_forward_length: int = _REQUIRED
    positions: int = _REQUIRED
    mel_bins: int = _REQUIRED


class TensorGroup(Record):
    """Tensors that are alike; `layers` is empty outside the blocks, `shape` begins with the row."""

    name: str
    layers: Places
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Numbers in all of these tensors."""
        tensors = len(self.layers) or 1
        return prod(self.shape) * tensors


class Architecture(Sized):
    """Sizes that differ between two models of one architecture; what all its models share is the
    row named by `row`, `general.architecture` of the GGUF file where one exists (`runs_in_gguf`),
    else the transformers model type. `tensors` are those of the checkpoint where a program's use of
    its layers is not known.
    """

    related = (
        "cache_layers at_most layers, stored_layers at_most layers,"
        " deepstack_layers at_most layers, scaled_context_tokens above context_tokens"
    )
    row: str
    runs_in_gguf: bool
    dtype: str | None = read_by(choices=DTYPES, default=None)
    matrix_dtype: str | None = _STORED_TYPE
    expert_dtype: str | None = _STORED_TYPE
    quantizer: str | None = read_by(choices=("modelopt",), default=None)
    layers: int = read_by(minimum=1, maximum=MAX_LAYERS)
    embedding_length: int = _REQUIRED
    heads: int | None = _SIZE
    beams: int | None = read_by(minimum=1, maximum=100, default=None)
    vocabulary: int | None = _SIZE
    vocabulary_gguf: int | None = _SIZE
    context_tokens: int | None = _SIZE
    scaled_context_tokens: int | None = _SIZE
    yarn_original_tokens: int | None = _SIZE
    rope_positions: int | None = _SIZE
    tied_embeddings: bool = read_by(default=False)
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    attention_bias: bool | None = read_by(default=None)
    query_key_norm: str | None = _QUERY_KEY_NORM
    parallel_norms: int | None = read_by(minimum=1, maximum=9, default=None)
    rope_factors: str | None = read_by(choices=("freqs", "long_short"), default=None)
    gate: str | None = read_by(choices=("split", "fused", "none"), default=None)
    table_length: int | None = _SIZE
    also: tuple[str, ...] = read_by(choices=ROW_FLAGS, default=())
    lacks: tuple[str, ...] = read_by(choices=ROW_FLAGS, default=())
    positions: int | None = _SIZE
    token_types: int | None = _SIZE
    output_matrix: bool = read_by(default=True)
    cache_layers: int | None = _SOME_LAYERS
    stored_layers: int | None = _SOME_LAYERS
    per_layer_embedding_length: int | None = _SIZE
    altup_inputs: int | None = read_by(minimum=2, maximum=64, default=None)
    deepstack_layers: int | None = _SOME_LAYERS
    mtp_layers: int | None = _SOME_LAYERS
    audio: Audio | None = read_by(kind=Audio, default=None)
    tensors: tuple[TensorGroup, ...] = ()

    @property
    def has_experts(self) -> bool:
        """Whether a token uses some of the parameters alone."""
        return any(each.experts for each in self.feed_forward)

    def packed_with(self, method: str) -> Architecture:
        """As it is in files of that method: some AWQ and GPTQ files have longer feed-forwards."""
        if method not in ("awq", "gptq"):
            return self
        parts = self.feed_forward
        longer = [
            each.replace(length=each.padded_length or each.length) for each in parts
        ]
        return self.replace(feed_forward=tuple(longer))


def read_architecture(
    root: TomlTable, name: str, kind: type[Architecture]
) -> Architecture | None:
    """`[architecture]`, None where it is missing or no table."""
    if (table := root.get(name, "TomlTable")) is None:
        return None
    gguf, transformers = table.get("gguf", "str"), table.get("transformers", "str")
    values = table.fields(kind)
    model = {key: values[key] or 0 for key in ("layers", "embedding_length", "heads")}
    # a layer either attends or keeps a state; its feed-forward is beside that
    for keys in (("attention", "recurrent"), ("feed_forward",)):
        lists = [table.get(key, TABLES) for key in keys]
        places = _places(lists, model["layers"])
        for key, lines in zip(keys, lists, strict=True):
            read = [_part(line, places[line], LAYERS[key], model) for line in lines]
            values[key] = tuple(filter(None, read))
    table.close()
    values |= {key: model[key] for key in ("layers", "embedding_length")}
    row, runs_in_gguf = gguf or transformers or "", gguf is not None
    architecture = kind(row=row, runs_in_gguf=runs_in_gguf, **values)
    root.document.records.append((table.path, architecture))
    return architecture


def _part(
    line: TomlTable, at: Places, part: type[LayerPart], model: Mapping[str, int]
) -> LayerPart | None:
    """One line of a list, None where it is wrong. `model`: sizes of the whole."""
    line.get("at", "Any")
    values = line.fields(part)
    line.close()
    if part is Attention:
        values["heads"] = values["heads"] or model["heads"] or None
        # every head of latent attention has its own key once it is unpacked
        shared = values["heads"] if values["kind"] == "latent" else None
        values["kv_heads"] = values["kv_heads"] or shared
        values["value_length"] = values["value_length"] or values["key_length"]
    record = part(layers=at, **values)
    line.document.records.append((line.path, record))
    # without a size that every such part has it is left out
    lacks = any(values[key] is None for key in values if "None" not in part._kinds[key])
    return None if lacks or not at else record


def _places(
    lists: Sequence[Sequence[TomlTable]], layers: int
) -> dict[TomlTable, Places]:
    """The layers of every line, () where it is wrong; without `at` those that no line names."""
    places: dict[TomlTable, Places] = {}
    for lines in lists:
        taken: set[int] = set()
        is_bounded = 0 < layers >= len(lines)
        if layers and not is_bounded:
            message = f"is line {len(lines):,} of a list for {layers:,} layers"
            lines[-1].problem(None, message, "write one line for each kind of layer")
        for line in lines:
            places[line] = (
                _numbers(line, layers) if "at" in line.values and is_bounded else ()
            )
            if twice := sorted(taken.intersection(places[line])):
                message = f"names {', '.join(map(str, twice[:5]))}, which an earlier line names"
                line.problem("at", message, "name each layer once")
            taken.update(places[line])
    rest = tuple(sorted(set(range(layers)).difference(*places.values())))
    for lines in lists:
        for number, line in enumerate(
            line for line in lines if "at" not in line.values
        ):
            places[line] = () if number else rest
            if layers and not places[line]:
                message = "has no `at`, and no layer is left for it"
                line.problem(None, message, "remove it, or name its layers with at = …")
    return places


def _numbers(line: TomlTable, layers: int) -> Places:
    """Those that the `at` of a line names, a slice or a list; () where it is wrong."""
    at: Any = line.values["at"]
    ends = at.split(":") if isinstance(at, str) and len(at) < 30 else []
    if len(ends) in (2, 3) and not at.strip(":0123456789"):
        start, stop, step = [int(end) if end else None for end in (*ends, "")[:3]]
        at = (
            list(range(layers))[start:stop:step]
            if step != 0 and (stop or 0) <= layers
            else []
        )
    is_inside = isinstance(at, list) and all(
        type(each) is int and 0 <= each < layers for each in at
    )
    if is_inside and len(set(at)) == len(at) > 0:
        return tuple(sorted(at))
    remedy = (
        'write a slice such as ":3" or "3::4", or a list of numbers, each layer once'
    )
    message = f"names no layers from 0 to {layers - 1}: {kind_of(line.values['at'])}"
    line.problem("at", message, remedy)
    return ()
