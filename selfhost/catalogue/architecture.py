"""The sizes of a model that decide its bytes: attention, recurrent states, feed-forwards and tables
of n-grams of its layers; and the reader of `[architecture]`, whose lines name layers with `at`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from math import prod

from ..core.records import TOML, Record, Values, kind_of, read_by
from ..core.tables import TABLES, TomlTable
from ..core.units import listed
from .spec_values import DTYPES, PACKED

# layers by their numbers, counted from 0
Places = tuple[int, ...]
# the layers of each line of a list
PlacesByLine = dict[TomlTable, Places]
# more layers than any published model has: this bounds the work that a hostile file can cause
MAX_LAYERS = 1000
MAX_EXPERTS = 10_000
MAX_SIZE = 1 << 32
_ATTENTION_KINDS = ("full", "sliding", "latent", "cross", "compressed")
_STATE_KINDS = (
    "mamba", "mamba2", "delta", "kda", "lightning", "convolution", "short_convolutions", "rglru",
    "rwkv7",
)  # fmt: skip
# parts that a model may have although its row lacks them, or lack although its row has them: flags
# of `needs.tensors.ArchitectureRow`
ROW_FLAGS = (
    "attention_output_bias", "feed_forward_bias", "norm_bias", "output_bias", "output_norm",
    "embedding_norm", "token_types", "positions", "pooler", "output_in_gguf",
)  # fmt: skip

# kinds of fields in a file: a size that may be missing, a required size, and so on
_SIZE = read_by(minimum=1, maximum=MAX_SIZE, default=None)
_REQUIRED = read_by(minimum=1, maximum=MAX_SIZE)
_LAYER_COUNT = read_by(minimum=1, maximum=MAX_LAYERS)
_SOME_LAYERS = read_by(minimum=1, maximum=MAX_LAYERS, default=None)
_SOME_EXPERTS = read_by(minimum=1, maximum=MAX_EXPERTS, default=None)
_STORED_TYPE = read_by(choices=(*DTYPES, *PACKED), default=None)
_FLAG = read_by(default=False)
_FLAGS_OF_ROW = read_by(choices=ROW_FLAGS, default=())
_QUERY_KEY_NORM = read_by(choices=("head", "per_head", "full", "none"), default=None)


class Sized(Record):
    """A record of sizes that a model states.

    `related` lists the rules that bind the sizes, such as `kv_heads divides heads`: two keys with a
    relation of `spec_rules` between them, and after these the kinds of layer that the rule is
    limited to, if any.
    """

    related = ""


class LayerPart(Sized):
    """A part that some `layers` have in common: attention, a recurrent state or a feed-forward."""

    layers: Places = ()


class Attention(LayerPart):
    """Layers with the same attention."""

    # the number of heads is a multiple of the number of key and value heads, and of the output
    # groups
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
    values_from_keys: bool = _FLAG
    latent_length: int | None = _SIZE
    query_latent_length: int | None = _SIZE
    # 0: no part of a key is rotated
    rope_length: int | None = read_by(minimum=0, maximum=MAX_SIZE, default=None)
    indexer_heads: int | None = _SIZE
    indexer_length: int | None = _SIZE
    indexer_rows: int | None = _SIZE
    indexer_pool: int | None = _SIZE
    query_key_norm: str | None = _QUERY_KEY_NORM
    compression: int | None = _SIZE
    output_groups: int | None = _SIZE
    output_latent_length: int | None = _SIZE

    @property
    def is_latent(self) -> bool:
        """Whether all heads read one latent row of each token, so that no device has a part of the
        cache alone.
        """
        return self.kind == "latent"

    @property
    def latent_row_length(self) -> int:
        """The numbers in the row that latent attention keeps of a token: the latent, and the part
        of a key that RoPE rotates.
        """
        latent = self.latent_length or 0
        return latent + self.rotated_length

    @property
    def rotated_length(self) -> int:
        """The numbers of a key that RoPE rotates, where they are stated apart; otherwise 0."""
        return self.rope_length or 0

    @property
    def indexer_key_length(self) -> int:
        """The numbers in a key of the indexer; 0 without an indexer."""
        return self.indexer_length or 0


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
        """The numbers of one token between the projections of the layer; 0 where not known."""
        if self.inner_length is not None:
            return self.inner_length
        if self.heads is None or self.value_length is None:
            return 0
        return self.heads * self.value_length

    @property
    def earlier_inputs(self) -> int:
        """The earlier inputs that the convolution needs: one fewer than it is wide."""
        return max(0, (self.convolution or 1) - 1)


class FeedForward(LayerPart):
    """Layers with the same feed-forward."""

    related = "used at_most experts, padded_length above length"
    length: int = _REQUIRED
    experts: int | None = _SOME_EXPERTS
    used: int | None = _SOME_EXPERTS
    shared_length: int | None = _SIZE
    latent_length: int | None = _SIZE
    router_bias: bool = _FLAG
    beside_dense: int | None = _SIZE
    padded_length: int | None = _SIZE

    @property
    def chosen(self) -> int:
        """The number of experts that one token uses; 1 for a dense feed-forward."""
        return self.used or 1

    @property
    def shared_numbers(self) -> int:
        """The inner numbers of the experts that every token uses; 0 without such experts."""
        return self.shared_length or 0


class Ngrams(LayerPart):
    """Layers that look the last tokens up in a table of their own, and mix what they find into the
    hidden state.

    The table has `rows` rows of `length` elements. A token reads `used` of the rows, so that the
    table is never multiplied, and most of it may stay on the disk. `convolution`: the width in
    tokens of a convolution over what was found.
    """

    related = "used at_most rows"
    rows: int = _REQUIRED
    length: int = _REQUIRED
    used: int = _REQUIRED
    convolution: int | None = _SIZE

    @property
    def parameters(self) -> int:
        """The number of parameters in the tables of these layers."""
        return self.rows * self.length * len(self.layers)


# the lists of the table `[architecture]`
LAYERS: Mapping[str, type[LayerPart]] = {
    "attention": Attention, "recurrent": Recurrent, "feed_forward": FeedForward, "ngrams": Ngrams,
}  # fmt: skip


class Audio(Record):
    """The encoder of a speech model."""

    # a layer is a number in a list
    layers: int = _LAYER_COUNT
    heads: int = _REQUIRED
    embedding_length: int = _REQUIRED
    feed_forward_length: int = _REQUIRED
    positions: int = _REQUIRED
    mel_bins: int = _REQUIRED


class TensorGroup(Record):
    """Equal tensors of several layers; `layers` is empty outside the blocks, and `shape` has the
    row length first.
    """

    name: str
    layers: Places
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters in all of these tensors."""
        tensors = len(self.layers) or 1
        return prod(self.shape) * tensors


class Architecture(Sized):
    """The sizes that differ between models of one architecture.

    `row` names the row with everything that these models share: `general.architecture` of the GGUF
    file where one exists (`runs_in_gguf`), else the transformers model type. `tensors` are the
    published tensors where it is not known how a program uses its layers.
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
    layers: int = _LAYER_COUNT
    embedding_length: int = _REQUIRED
    heads: int | None = _SIZE
    beams: int | None = read_by(minimum=1, maximum=100, default=None)
    vocabulary: int | None = _SIZE
    vocabulary_gguf: int | None = _SIZE
    context_tokens: int | None = _SIZE
    scaled_context_tokens: int | None = _SIZE
    yarn_original_tokens: int | None = _SIZE
    rope_positions: int | None = _SIZE
    tied_embeddings: bool = _FLAG
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    ngrams: tuple[Ngrams, ...] = ()
    attention_bias: bool | None = read_by(default=None)
    query_key_norm: str | None = _QUERY_KEY_NORM
    parallel_norms: int | None = read_by(minimum=1, maximum=9, default=None)
    rope_factors: str | None = read_by(choices=("freqs", "long_short"), default=None)
    gate: str | None = read_by(choices=("split", "fused", "none"), default=None)
    table_length: int | None = _SIZE
    also: tuple[str, ...] = _FLAGS_OF_ROW
    lacks: tuple[str, ...] = _FLAGS_OF_ROW
    positions: int | None = _SIZE
    token_types: int | None = _SIZE
    output_matrix: bool = read_by(default=True)
    cache_layers: int | None = _SOME_LAYERS
    stored_layers: int | None = _SOME_LAYERS
    per_layer_embedding_length: int | None = _SIZE
    altup_inputs: int | None = read_by(minimum=2, maximum=64, default=None)
    stream_latent_length: int | None = _SIZE
    deepstack_layers: int | None = _SOME_LAYERS
    mtp_layers: int | None = _SOME_LAYERS
    audio: Audio | None = read_by(default=None)
    tensors: tuple[TensorGroup, ...] = ()

    @property
    def published_tokens(self) -> int:
        """The size of the published vocabulary in tokens; 0 where not known."""
        return self.vocabulary or 0

    @property
    def gguf_tokens(self) -> int:
        """The size of the vocabulary in a GGUF file, which converters pad or cut; 0 where not
        known.
        """
        return self.vocabulary_gguf or self.published_tokens

    @property
    def narrow_types(self) -> tuple[str, ...]:
        """The types of matrices and of experts, where these differ from the type of the other
        tensors.
        """
        types = (self.matrix_dtype, self.expert_dtype)
        return tuple(type for type in types if type is not None)

    @property
    def most_heads(self) -> int:
        """The largest number of heads of any layer; 0 where no layer attends."""
        heads = [group.heads for group in self.attention]
        return max(heads, default=0)

    @property
    def has_experts(self) -> bool:
        """Whether the model is a mixture of experts, of which a token uses only some."""
        return any(part.experts for part in self.feed_forward)

    def packed_with(self, method: str) -> Architecture:
        """The architecture as files of a quantization method hold it: some AWQ and GPTQ files have
        longer feed-forwards.
        """
        if method not in ("awq", "gptq"):
            return self
        longer = []
        for part in self.feed_forward:
            length = part.padded_length or part.length
            longer.append(part.replace(length=length))
        return self.replace(feed_forward=tuple(longer))


def read_architecture(root: TomlTable, name: str) -> Architecture | None:
    """The architecture that `[architecture]` describes; None where that is missing or no table."""
    table: TomlTable | None = root.get(name, "TomlTable")
    if table is None:
        return None
    gguf: str | None = table.get("gguf", "str")
    transformers: str | None = table.get("transformers", "str")
    values = table.fields(Architecture)
    count = values["layers"] or 0
    layers = _ModelLayers(number=count, heads=values["heads"])
    # each layer either attends or keeps a state; its feed-forward comes in addition
    values |= layers.parts(table, "attention", "recurrent")
    values |= layers.parts(table, "feed_forward")
    values |= layers.parts(table, "ngrams")
    table.close()
    values["layers"] = count
    values["embedding_length"] = values["embedding_length"] or 0
    values["row"] = gguf or transformers or ""
    architecture = Architecture(runs_in_gguf=gguf is not None, **values)
    root.document.records.append((table.path, architecture))
    return architecture


class _ModelLayers(Record):
    """The number of layers of a model, and its attention heads, with which the lists that describe
    the layers are read.
    """

    number: int
    heads: int | None

    def parts(self, table: TomlTable, *keys: str) -> Values:
        """The parts in the lists of these keys, by key. Each layer has one part of all these lists
        together.
        """
        lists = {}
        for key in keys:
            lists[key] = table.get(key, TABLES)
        places = self._places(lists.values())
        by_key = {}
        for key, lines in lists.items():
            kind = LAYERS[key]
            parts = []
            for line in lines:
                part = self._part(line, places[line], kind)
                if part is not None:
                    parts.append(part)
            by_key[key] = tuple(parts)
        return by_key

    def _part(
        self,
        line: TomlTable,
        at: Places,
        kind: type[LayerPart],
    ) -> LayerPart | None:
        """The part that one line of a list describes; None where the line is wrong."""
        # `_layers_at` reads this key; without this line it would be an unknown key
        line.get("at", "Any")
        values = line.fields(kind)
        line.close()
        if kind is Attention:
            values |= self._sizes_not_repeated(values)
        part = kind(layers=at, **values)
        line.document.records.append((line.path, part))
        if at and _has_all_sizes(kind, values):
            return part
        return None

    def _sizes_not_repeated(self, values: Values) -> Values:
        """The sizes of attention that a line may leave out because other sizes tell them."""
        heads = values["heads"] or self.heads
        kv_heads = values["kv_heads"]
        if values["kind"] == "latent" and not kv_heads:
            # once unpacked, latent attention has a separate key for every head
            kv_heads = heads
        value_length = values["value_length"] or values["key_length"]
        return {"heads": heads, "kv_heads": kv_heads, "value_length": value_length}

    # the layers that the lines of a list name with `at`

    def _places(self, lists: Collection[Sequence[TomlTable]]) -> PlacesByLine:
        """The layers of every line; () for a wrong line. In each list, the first line without `at`
        gets the layers that no line names.
        """
        places: PlacesByLine = {}
        for lines in lists:
            places |= self._named_places(lines)
        all_layers = set(range(self.number))
        unnamed = all_layers.difference(*places.values())
        for lines in lists:
            left = tuple(sorted(unnamed))
            for line in lines:
                if "at" in line.values:
                    continue
                places[line] = left
                if self.number and not left:
                    line.problem(
                        None,
                        "has no `at`, and no layer is left for it",
                        "remove it, or name its layers with at = …",
                    )
                left = ()
        return places

    def _named_places(self, lines: Sequence[TomlTable]) -> PlacesByLine:
        """The layers that the `at` of each line of a list names; () for a line without `at`, and
        for a line with a wrong one.
        """
        places: PlacesByLine = dict.fromkeys(lines, ())
        if len(lines) > self.number:
            # this limit bounds the work that a small file can cause
            if self.number:
                message = f"is line {len(lines):,} of a list for {self.number:,} layers"
                lines[-1].problem(
                    None, message, "write one line for each kind of layer"
                )
            return places
        taken: set[int] = set()
        for line in lines:
            if "at" not in line.values:
                continue
            named = self._layers_at(line)
            twice = sorted(taken.intersection(named))
            if twice:
                numbers = listed(map(str, twice))
                message = f"names {numbers}, which an earlier line names"
                line.problem("at", message, "name each layer once")
            taken.update(named)
            places[line] = named
        return places

    def _layers_at(self, line: TomlTable) -> Places:
        """The numbers of the layers that the `at` of a line names, as a slice or a list; () where
        it is wrong.
        """
        at = line.values["at"]
        numbers = at
        if isinstance(at, str):
            numbers = self._numbers_of_slice(at)
        if self._are_layers(numbers):
            return tuple(sorted(numbers))
        line.problem(
            "at",
            f"names no layers from 0 to {self.number - 1}: {kind_of(at, TOML)}",
            'write a slice such as ":3" or "3::4", or an array of numbers, '
            "each layer once",
        )
        return ()

    def _are_layers(self, numbers: object) -> bool:
        """Whether the value is a list of layer numbers without repetition."""
        if not isinstance(numbers, list) or not numbers:
            return False
        for number in numbers:
            # True is no layer number, though it equals 1
            if type(number) is not int or number not in range(self.number):
                return False
        return len(set(numbers)) == len(numbers)

    def _numbers_of_slice(self, text: str) -> Sequence[int]:
        """The layer numbers of a slice written as in Python; [] for another text, or an end beyond
        the last layer.
        """
        match = re.fullmatch(r"(\d{0,9}):(\d{0,9})(?::(\d{0,9}))?", text, re.ASCII)
        if match is None:
            return []
        ends = [int(digits) if digits else None for digits in match.groups()]
        start, stop, step = ends
        if step == 0 or (stop or 0) > self.number:
            return []
        layers = list(range(self.number))
        return layers[start:stop:step]


def _has_all_sizes(kind: type[LayerPart], values: Values) -> bool:
    """Whether the values include every size that the kind of part requires."""
    for field, value in values.items():
        may_be_none = "None" in kind._annotations[field]
        if value is None and not may_be_none:
            return False
    return True
