"""The sizes of a model that its bytes follow from: attention, recurrent states and feed-forwards of
its layers; and the reader of `[architecture]`, whose lines name layers by `at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.records import Misfit, Record, Sized, kind_of, pattern, read_by
from ..core.tables import shipped_table
from ..core.tomlfile import TABLES, Table
from .quantization_names import DTYPES, PACKED
from .spec_values import is_stated

# numbers of layers
Places = tuple[int, ...]
# more than any published model has: bounds what a hostile file can ask for
MAX_LAYERS = 1000
MAX_EXPERTS = 10_000
MAX_SIZE = 1 << 32
_ATTENTION_KINDS = ("full", "sliding", "latent", "cross", "compressed")
_STATE_KINDS = ("mamba", "mamba2", "delta", "kda", "lightning", "convolution", "rglru", "rwkv7")
# what the ranks of RWKV are of; without a gate the last is 0
_RANKS = ("decay", "rate", "first values", "gate")
QUERY_KEY_NORMS = ("head", "per_head", "full", "none")
# what a model may have beside its row, or lack of it: flags of `needs.tensors.ArchitectureRow`
ROW_FLAGS = tuple(shipped_table("model_files")["row_flags"])
_STORED_TYPES = (*DTYPES, *PACKED)


def _size(maximum: int = MAX_SIZE, minimum: int = 1) -> Any:
    return read_by(minimum=minimum, maximum=maximum, default=None)


def _required(maximum: int = MAX_SIZE) -> Any:
    return read_by(minimum=1, maximum=maximum)


def _choice(choices: Sequence[str]) -> Any:
    return read_by(choices=choices, default=None)


class LayerPart(Sized):
    """What some `layers` have in common: attention, a recurrent state or a feed-forward."""

    layers: Places = ()


class Attention(LayerPart):
    """Layers that attend alike."""

    # a head shares the keys and values of as many others, and a group of the output
    related = (
        "kv_heads divides heads, output_groups divides heads, rope_length below key_length full"
    )
    kind: str = read_by(choices=_ATTENTION_KINDS, default="full")
    heads: int = _size()
    kv_heads: int = _size()
    key_length: int = _size()
    value_length: int = _size()
    window_tokens: int | None = _size()
    values_from_keys: bool = read_by(default=False)
    latent_length: int | None = _size()
    query_latent_length: int | None = _size()
    rope_length: int | None = _size()
    indexer_heads: int | None = _size()
    indexer_length: int | None = _size()
    indexer_rows: int | None = _size()
    query_key_norm: str | None = _choice(QUERY_KEY_NORMS)
    compression: int | None = _size()
    output_groups: int | None = _size()
    output_latent_length: int | None = _size()


class Recurrent(LayerPart):
    """Layers that keep a state of fixed size instead of a cache, or beside it."""

    related = (
        "heads divides inner_length, groups divides heads, key_heads divides heads,"
        " key_length divides embedding_length rwkv7"
    )
    kind: str = read_by(choices=_STATE_KINDS)
    inner_length: int | None = _size()
    state_length: int | None = _size()
    time_step_rank: int | None = _size()
    convolution: int | None = _size()
    heads: int | None = _size()
    key_heads: int | None = _size()
    key_length: int | None = _size()
    value_length: int | None = _size()
    groups: int | None = _size()
    norm: bool | None = read_by(default=None)
    ranks: tuple[int, ...] = read_by(default=())

    def misfits(self, width: int | None = None) -> Iterator[Misfit]:
        """Beside the others: RWKV has four ranks."""
        yield from super().misfits(width)
        is_ranked = len(self.ranks) == len(_RANKS) and all(self.ranks[:3])
        if self.kind == "rwkv7" and not is_ranked:
            remedy = f"write {len(_RANKS)} numbers, those of {', '.join(_RANKS)}, the last or 0"
            yield "ranks", f"is {list(self.ranks)}", remedy


class FeedForward(LayerPart):
    """Layers with the same feed-forward."""

    related = (
        "used at_most experts, groups_used at_most groups, padded_length above length,"
        " groups divides experts"
    )
    length: int = _required()
    experts: int | None = _size(MAX_EXPERTS)
    used: int | None = _size(MAX_EXPERTS)
    shared_length: int | None = _size()
    latent_length: int | None = _size()
    router_bias: bool = read_by(default=False)
    beside_dense: int | None = _size()
    groups: int | None = _size(MAX_EXPERTS, minimum=2)
    groups_used: int | None = _size(MAX_EXPERTS)
    padded_length: int | None = _size()

    def misfits(self, width: int | None = None) -> Iterator[Misfit]:
        """Beside the others: a group is ranked by its two best, and those used have enough."""
        yield from super().misfits(width)
        group_size = (self.experts or 0) // self.groups if self.groups else 2
        if self.experts and group_size < 2:
            message = f"is {self.groups:,}, groups of fewer than 2 of the {self.experts:,} experts"
            yield "groups", message, "write half of them at most"
        elif self.groups_used and (self.used or 0) > self.groups_used * group_size:
            message = f"is {self.groups_used:,}, whose experts are less than the {self.used:,} used"
            yield "groups_used", message, "write more groups"


# the lists of `[architecture]`
LAYERS: Mapping[str, type[LayerPart]] = {
    "attention": Attention, "recurrent": Recurrent, "feed_forward": FeedForward,
}  # fmt: skip


class Audio(Record):
    """The encoder of a speech model."""

    # a layer is a number in a list
    layers: int = _required(MAX_LAYERS)
    heads: int = _required()
    embedding_length: int = _required()
    feed_forward_length: int = _required()
    positions: int = _required()
    mel_bins: int = _required()


class TensorGroup(Record):
    """Tensors that are alike; `layers` is empty outside the blocks, `shape` begins with the row."""

    name: str
    layers: Places
    shape: tuple[int, ...]


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
    dtype: str | None = _choice(DTYPES)
    matrix_dtype: str | None = _choice(_STORED_TYPES)
    expert_dtype: str | None = _choice(_STORED_TYPES)
    quantizer: str | None = _choice(("modelopt",))
    layers: int = _required(MAX_LAYERS)
    embedding_length: int = _required()
    heads: int | None = _size()
    beams: int | None = _size(100)
    vocabulary: int | None = _size()
    vocabulary_gguf: int | None = _size()
    context_tokens: int | None = _size()
    scaled_context_tokens: int | None = _size()
    yarn_original_tokens: int | None = _size()
    rope_positions: int | None = _size()
    tied_embeddings: bool = read_by(default=False)
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    attention_bias: bool | None = read_by(default=None)
    query_key_norm: str | None = _choice(QUERY_KEY_NORMS)
    parallel_norms: int | None = _size(9)
    rope_factors: str | None = _choice(("freqs", "long_short"))
    gate: str | None = _choice(("split", "fused", "none"))
    table_length: int | None = _size()
    also: tuple[str, ...] = read_by(choices=ROW_FLAGS, default=())
    lacks: tuple[str, ...] = read_by(choices=ROW_FLAGS, default=())
    positions: int | None = _size()
    token_types: int | None = _size()
    output_matrix: bool = read_by(default=True)
    cache_layers: int | None = _size(MAX_LAYERS)
    stored_layers: int | None = _size(MAX_LAYERS)
    per_layer_embedding_length: int | None = _size()
    altup_inputs: int | None = _size(64, minimum=2)
    deepstack_layers: int | None = _size(MAX_LAYERS)
    mtp_layers: int | None = _size(MAX_LAYERS)
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
        longer = [each.replace(length=each.padded_length or each.length) for each in parts]
        return self.replace(feed_forward=tuple(longer))

    def misfits(self, width: int | None = None) -> Iterator[Misfit]:
        """Those of the model's own sizes; its parts have theirs."""
        yield from super().misfits(width)
        if self.mtp_layers and not (self.attention and self.feed_forward):
            message = f"is {self.mtp_layers:,}, and such a block attends and feeds forward"
            remedy = "write attention and feed_forward"
            yield "mtp_layers", f"{message}, which the model does not", remedy


def read_architecture(root: Table, name: str) -> Architecture | None:
    """`[architecture]`, None where it is missing or no table."""
    if (table := root.get(name, "Table")) is None:
        return None
    gguf, transformers = table.get("gguf", "str"), table.get("transformers", "str")
    if ("gguf" in table) == ("transformers" in table):
        is_missing = "is missing" if "gguf" not in table else "stands beside transformers"
        remedy = "write general.architecture of the GGUF file, or transformers = the model_type"
        table.problem("gguf", is_missing, f"{remedy} where no GGUF exists")
    values = table.fields(Architecture)
    layers, width = values["layers"] or 0, values["embedding_length"] or 0
    is_untold = is_stated(root.values, ("unknown", "architecture.attention"))
    if not is_untold and not {"attention", "recurrent"} & table.values.keys():
        remedy = "write attention = [{ … }], recurrent = [{ … }] or both"
        table.problem("attention", "is missing", remedy)
    # a layer either attends or keeps a state; its feed-forward is beside that
    values |= _read_layers(table, ("attention", "recurrent"), values)
    values |= _read_layers(table, ("feed_forward",), values)
    table.close()
    values |= {"layers": layers, "embedding_length": width}
    architecture = Architecture(
        row=gguf or transformers or "", runs_in_gguf=gguf is not None, **values
    )
    # a part that is wrong itself is left out, and not missed
    for fault in architecture.misfits() if table.document.ok else ():
        table.problem(*fault)
    return architecture


def _read_layers(table: Table, keys: Sequence[str], model: Mapping[str, Any]) -> dict[str, Any]:
    lists = {key: table.get(key, TABLES) for key in keys}
    places, parts = _places([*lists.values()], model["layers"] or 0), {}
    for key, lines in lists.items():
        read = [_read_part(line, places[line], LAYERS[key], model) for line in lines]
        parts[key] = tuple(filter(None, read))
    return parts


def _check_keys(line: Table, part: type[LayerPart], kind: str) -> None:
    """Note what the kind must state and the line has not, and what says nothing with it."""
    rules = shipped_table("model_files")["layer_keys"]
    stated = rules.get(part.__name__, {}).get(kind, {})
    required, allowed = stated.get("required", []), stated.get("allowed", [])
    beside = [other for key, other in rules["beside"].items() if key in line]
    for key in (*required, *(other for other in beside if other in part._keys)):
        if key not in line:
            line.problem(key, "is missing")
    for key in line.values if stated else ():
        if key in part._keys and key not in (*required, *allowed, *rules["of_all_kinds"]):
            remedy = f"{kind} has {', '.join((*required, *allowed))}"
            line.problem(key, f'means nothing with kind = "{kind}"', remedy)


def _read_part(
    line: Table, at: Places, part: type[LayerPart], model: Mapping[str, Any]
) -> LayerPart | None:
    """One line of a list, None where it is wrong. `model`: the values of the whole."""
    line.get("at", "Any")
    values = line.fields(part)
    line.close()
    kind = str(line.values.get("kind", values.get("kind")))
    _check_keys(line, part, kind)
    if part is Attention:
        values["heads"] = values["heads"] or model["heads"]
        # every head of latent attention has its own key once it is unpacked
        own = values["heads"] if kind == "latent" else None
        values["kv_heads"] = values["kv_heads"] or own
        values["value_length"] = values["value_length"] or values["key_length"]
        if values["heads"] is None and "heads" not in line:
            line.problem("heads", "is missing, here and in [architecture]")
    # without a size that every such part has it is left out
    if not at or any(values[key] is None for key in values if "None" not in part._kinds[key]):
        return None
    record = part(layers=at, **values)
    for key, message, remedy in record.misfits(model["embedding_length"]):
        # what was taken from another key is a fault of that
        if key in line:
            line.problem(key, message, remedy)
    return record


_SLICE = pattern(r"(?a)(\d{0,9}):(\d{0,9})(?::(\d{0,9}))?")


def _places(lists: Sequence[Sequence[Table]], layers: int) -> dict[Table, Places]:
    """The layers of every line, () where it is wrong; without `at` those that no line names."""
    places: dict[Table, Places] = {}
    for lines in lists:
        taken: set[int] = set()
        is_bounded = 0 < layers >= len(lines)
        if layers and not is_bounded:
            message = f"is line {len(lines):,} of a list for {layers:,} layers"
            lines[-1].problem(None, message, "write one line for each kind of layer")
        for line in lines:
            places[line] = _numbers(line, layers) if "at" in line and is_bounded else ()
            if twice := sorted(taken.intersection(places[line])):
                message = f"names {', '.join(map(str, twice[:5]))}, which an earlier line names"
                line.problem("at", message, "name each layer once")
            taken.update(places[line])
    rest = tuple(sorted(set(range(layers)).difference(*places.values())))
    for lines in lists:
        for number, line in enumerate(line for line in lines if "at" not in line):
            places[line] = () if number else rest
            if layers and not places[line]:
                message = "has no `at`, and no layer is left for it"
                line.problem(None, message, "remove it, or name its layers with at = …")
    return places


def _numbers(line: Table, layers: int) -> Places:
    """Those that the `at` of a line names, a slice or a list; () where it is wrong."""
    at: Any = line.values["at"]
    if isinstance(at, str) and (slice := _SLICE.fullmatch(at)):
        start, stop, step = (int(each) if each else None for each in slice.groups())
        at = list(range(layers))[start:stop:step] if step != 0 and (stop or 0) <= layers else []
    is_inside = isinstance(at, list) and all(
        type(each) is int and 0 <= each < layers for each in at
    )
    if is_inside and len(set(at)) == len(at) > 0:
        return tuple(sorted(at))
    remedy = 'write a slice such as ":3" or "3::4", or a list of numbers, each layer once'
    message = f"names no layers from 0 to {layers - 1}: {kind_of(line.values['at'])}"
    line.problem("at", message, remedy)
    return ()
