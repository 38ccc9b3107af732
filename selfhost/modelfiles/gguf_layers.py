"""The layers and tables of a GGUF model, read from the keys of its header and from its tensors.

What goes in: a `GgufModel`, the header of the file with the tensors of all its parts. What comes
out: the `Architecture`, with the attention, the recurrent state and the feed-forward of each layer.
Keys give the sizes of the layers; tensors give the kind of a layer, by their names in llama.cpp's
gguf-py/gguf/constants.py. A fact that the file does not determine raises `Unclear`; a value that no
converter writes raises `Malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..core.records import Record, Values
from ..needs.tensors import ArchitectureRow, architectures
from .gguf_header import GgufHeader, Tensor
from .sizes import (
    Malformed,
    Sizes,
    Unclear,
    grouped,
    refuse_faults,
    unclear,
)
from .source import clean, reason, short
from .tables import GgufTable, model_files

_TABLE: GgufTable = model_files().gguf
# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
# rope_sections has four entries (llama.cpp, src/llama-model.cpp)
_ROPE_SECTIONS = 4
# states that the tensors do not reveal, since other layers have the same tensors: the row says
# whether layers keep them
_STATES_OF_ROWS = ("lightning", "delta")
_WINDOW_PATTERN = "attention.sliding_window_pattern"
_TOKENIZER = "tokenizer.ggml.model"
_TOKENS = "tokenizer.ggml.tokens"
# the tokenizers of models without a vocabulary (llama.cpp, src/llama-vocab.cpp)
_WITHOUT_TOKENS = ("no_vocab", "none")
# T5 has two stacks of blocks with the same widths
_STACKS = ("enc.blk.", "dec.blk.")

_Shape = tuple[int, ...]
# the state of each layer, which is kept in addition to a cache
_States = Sequence[Recurrent | None]


class GgufModel(Sizes):
    """The header of a model, with the tensors of all its parts.

    - `path`: the path that the user gave; `tensors`: the tensors of all parts.
    - `name`: `general.architecture`; `row`: its row, with defaults alone where the name is not
      known.
    - `shapes`: the shapes of the tensors by name; tensors of both stacks of a T5 also under the
      names of a single stack.
    - `blocks`: the number of all blocks; `layers`: the number without multi-token-prediction
      blocks.
    - `refused`: the reason why llama.cpp refuses the file, as gguf.py takes it from an `Unclear`
      that was raised; None where it does not.
    """

    def __init__(
        self,
        path: str,
        header: GgufHeader,
        tensors: Sequence[Tensor],
    ) -> None:
        super().__init__(path, header.values)
        self.tensors = tensors
        self.counts = header.counts
        self.name = clean(self.values.get("general.architecture"))
        row = architectures().architecture.get(self.name, {})
        self.row = ArchitectureRow.from_values(self.name, row)
        self.shapes = _shapes_by_name(tensors)
        self.blocks = self.layers
        self.refused: str | None = None

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """The keys as the header has them, after the name of the architecture. Raises `Malformed`
        for a list that is longer than any model has blocks.
        """
        names = [f"{self.name}.{key}" for key in keys]
        for name in names:
            if name in self.counts:
                entries = self.counts[name]
                self.fault(
                    f"{name} lists {entries:,} entries, more than blocks",
                    None,
                    Malformed,
                )
        return names

    @property
    def is_image_model(self) -> bool:
        """Whether the architecture is one of image or video models."""
        return self.name in architectures().image_models.architectures

    @property
    def width(self) -> int:
        """The width of the model: the elements of a token between the layers."""
        return self.needed("embedding_length")

    def rows_of(self, table: str) -> int | None:
        """The number of rows in a table of the model; None where the model lacks the table."""
        shape = self.shapes.get(f"{table}.weight")
        if not shape:
            return None
        # a table of a single row has one dimension in the file
        if len(shape) == 1:
            return 1
        return shape[1]


def _shapes_by_name(tensors: Sequence[Tensor]) -> Mapping[str, _Shape]:
    """The shapes of the tensors by name. A tensor in a stack of T5 is also listed under its name in
    a single stack.
    """
    shapes = {}
    for tensor in tensors:
        name = tensor.name
        shapes[name] = tensor.shape
        if name.startswith(_STACKS):
            without_stack = name.partition(".")[2]
            name = without_stack.replace("attn_o.", "attn_output.")
            shapes[name] = tensor.shape
    return shapes


class _Layer(Record):
    """A layer of a model, described by its tensors and by the keys of the header."""

    model: GgufModel
    number: int

    def has(self, *names: str) -> bool:
        """Whether the layer has at least one of these tensors."""
        return any(map(self.shape, names))

    def shape(self, name: str) -> _Shape | None:
        """The shape of a tensor of the layer, the row length first; None where the layer lacks the
        tensor.
        """
        return self.model.shapes.get(f"blk.{self.number}.{name}")

    def _row_length(self, name: str) -> int | None:
        """The row length of a matrix of the layer; None where the layer lacks the matrix."""
        shape = self.shape(name)
        return shape[0] if shape else None

    def number_of(self, key: str) -> int:
        """A whole number of the layer or of the model, 0 where it is missing."""
        return self.model.count(key, layer=self.number)

    # recurrent states

    def state(self) -> Recurrent | None:
        """The state that the layer keeps; None where it keeps none. Raises `Unclear` for a state of
        an unknown kind.
        """
        model = self.model
        kind = self._state_kind()
        if kind is None:
            if self.has(*_TABLE.other_states):
                layers = f"the recurrent layers of {model.name}"
                raise Unclear(f"{layers} are of an unknown kind")
            return None
        rule = _TABLE.states[kind]
        sizes = model.sizes(rule.keys)
        if kind == "rwkv7":
            sizes["ranks"] = tuple(map(model.count, rule.ranks))
        elif kind == "mamba" and model.row.rank_from_width:
            # PLaMo 2: no key states the number of heads (src/models/plamo2.cpp: dt_dim)
            sizes["heads"] = sizes["time_step_rank"]
            sizes["time_step_rank"] = max(64, model.width // 16)
        elif kind == "mamba2" and not self.has("ssm_norm.weight"):
            sizes["norm"] = False
        elif kind == "delta":
            # the header states the length of the values of all heads together
            sizes["value_length"] //= sizes["heads"]
        return Recurrent(kind=kind, **sizes)

    def _state_kind(self) -> str | None:
        """The first kind of state whose tensors the layer has all of; None for no kind."""
        for kind, rule in _TABLE.states.items():
            if kind in _STATES_OF_ROWS and kind != self.model.row.state_kind:
                continue
            if all(map(self.shape, rule.tensors)):
                return kind
        return None

    # attention

    def attends(self, state: Recurrent | None) -> bool:
        """Whether the layer has attention beside the state that it keeps."""
        tensors = _TABLE.attending["other"]
        if state is not None:
            tensors = _TABLE.attending.get(state.kind, tensors)
        return self.has(*tensors)

    def attention(self, heads: int, window: int | None) -> Attention:
        """The attention of the layer, from the header's keys. `window`: in tokens; None for
        none.
        """
        model = self.model
        kind = self._attention_kind(window)
        sizes: Values = {"kv_heads": heads, "window_tokens": window}
        if kind == "latent":
            # all heads share a single row of elements
            sizes |= self._latent_lengths()
            sizes |= model.sizes(_TABLE.latent_heads)
            sizes["key_length"] -= sizes["rope_length"]
        elif kind == "compressed":
            # a window, and rows that stand for several tokens each (DeepSeek V4)
            sizes |= model.sizes(_TABLE.compressed)
            sizes["kv_heads"] = 1
            sizes["compression"] = self.number_of("attention.compress_ratios") or None
        else:
            sizes |= self._usual_sizes(kind, heads)
        # a layer without an index uses the tokens that an earlier layer chose, or attends to
        # everything
        if self.has(*_TABLE.indexing):
            sizes |= model.sizes(_TABLE.indexer)
            if kind == "compressed":
                sizes["indexer_rows"] = model.needed("attention.indexer.top_k")
        return Attention(kind=kind, heads=heads, **sizes)

    def _attention_kind(self, window: int | None) -> str:
        """The kind of the layer's attention: latent, compressed, full or sliding."""
        model = self.model
        has_latent = model.number("attention.kv_lora_rank")
        if has_latent and model.number("attention.key_length_mla"):
            return "latent"
        if model.get("attention.compress_ratios") is not None:
            return "compressed"
        return "full" if window is None else "sliding"

    def _usual_sizes(self, kind: str, heads: int) -> Values:
        """The sizes of attention that keeps keys and values for each of `heads` heads, or for fewer
        KV heads.
        """
        model = self.model
        sizes = {}
        kv_heads = model.number("attention.head_count_kv", layer=self.number)
        if kv_heads is not None:
            sizes["kv_heads"] = kv_heads
        if kind == "full" and self.has("attn_kv_b.weight"):
            # files from before April 2025 unpack the latent, and cache keys and values of every
            # head
            sizes |= self._latent_lengths()
        has_values = self.has("attn_v.weight")
        sizes["values_from_keys"] = model.row.values_from_keys and not has_values
        for name in ("key_length", "value_length"):
            # the length for a single head
            keys = [f"attention.{name}"]
            if kind == "sliding":
                keys.insert(0, f"attention.{name}_swa")
            sizes[name] = model.size(*keys) or model.width // heads
        return sizes

    def _latent_lengths(self) -> Values:
        """The lengths of the row that latent attention keeps of a token for all heads."""
        lengths = self.model.sizes(_TABLE.latent)
        lengths["query_latent_length"] = self.model.size("attention.q_lora_rank")
        return lengths

    # the feed-forward

    def feed_forward(self) -> FeedForward | None:
        """The feed-forward of the layer, None where it has none."""
        experts = self.shape("ffn_down_exps.weight")
        length = self.number_of("feed_forward_length")
        if experts and len(experts) == 3:
            return self._mixture(experts)
        dense = self.shape("ffn_down.weight")
        down = dense or self.shape("channel_mix_key.weight")
        if not down:
            return None
        # llama.cpp refuses a file in which tensor and header differ in this length
        if self.model.row.length_of_both:
            length //= 2
        if not length:
            length = dense[0] if dense else down[-1]
        return FeedForward(length=length)

    def _mixture(self, experts: _Shape) -> FeedForward:
        """The feed-forward of several experts. `experts`: the shape of their matrices."""
        model = self.model
        length, width, _ = experts
        is_narrow = width != model.width
        return FeedForward(
            length=length,
            experts=model.needed("expert_count"),
            used=model.needed("expert_used_count"),
            shared_length=self._row_length("ffn_down_shexp.weight"),
            latent_length=width if is_narrow else None,
            router_bias=self.has("exp_probs_b.bias", "exp_probs_b"),
            beside_dense=self._row_length("ffn_down.weight"),
        )


def architecture_of(model: GgufModel) -> Architecture:
    """The architecture of the model. Raises `Unclear` where the header does not tell it."""
    _count_layers(model)
    row = model.row
    width = model.width
    layers = [_Layer(model=model, number=number) for number in range(model.layers)]
    states = [layer.state() for layer in layers]
    attending = _attention(model, layers, states)
    feeding = [layer.feed_forward() for layer in layers]
    loops = _loops(model)
    attention = grouped(model, attending * loops, width)
    deepstack_layers = min(model.count("n_deepstack_layers"), model.layers)
    architecture = Architecture(
        row=model.name,
        runs_in_gguf=True,
        layers=model.layers * loops,
        embedding_length=width,
        tied_embeddings="output.weight" not in model.shapes and not row.embeds,
        output_matrix=not row.embeds,
        heads=max([part.heads for part in attention], default=None),
        attention=attention,
        # no looped model keeps states
        recurrent=grouped(model, states, width),
        feed_forward=grouped(model, feeding * loops, width),
        cache_layers=_cache_layers(model),
        stored_layers=model.layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs", "hyper_connection.count"),
        # the number of layers that add a slice of the pictures' embeddings
        deepstack_layers=deepstack_layers or None,
        mtp_layers=model.blocks - model.layers or None,
        vocabulary=_vocabulary(model),
        token_types=model.rows_of("token_types"),
        positions=_positions(model),
        context_tokens=_context_tokens(model),
        gate=_gate(model),
    )
    refuse_faults(model, architecture, f"{model.name}: ")
    model.unknown["architecture.dtype"] = reason("published-type")
    return architecture


def _count_layers(model: GgufModel) -> None:
    """Set `blocks` and `layers`. Raises for files that no llama.cpp loads, or not as this model."""
    _refuse_unknown_kinds(model)
    blocks = model.count("block_count")
    predicting = model.count("nextn_predict_layers")
    layers = blocks - predicting
    if not 0 < layers <= blocks <= MAX_LAYERS:
        beyond = f"{predicting:,} of them beyond the last"
        raise Malformed(f"{blocks:,} layers, {beyond}")
    model.blocks = blocks
    model.layers = layers
    _refuse_unread_parts(model)
    _refuse_rotation(model)


def _refuse_unknown_kinds(model: GgufModel) -> None:
    """Raise `Unclear` for a model of pictures or of an unknown architecture, and `Malformed` for a
    header without the keys and the tokenizer that llama.cpp requires.
    """
    name = model.name
    if model.is_image_model:
        raise unclear("image-model", name=name)
    if name not in architectures().architecture:
        raise unclear("no-architecture", name=name)
    for key in _TABLE.required:
        if model.number(key) is None:
            model.fault(f"its header has no {name}.{key}", None, Malformed)
    _refuse_tokenizer(model)


def _refuse_tokenizer(model: GgufModel) -> None:
    """Raise `Malformed` for a tokenizer that no llama.cpp reads: its name is no text, or its tokens
    are no list of texts (src/llama-vocab.cpp, load).
    """
    name = model.values.get(_TOKENIZER)
    if name is not None and not isinstance(name, str):
        model.fault(f"{_TOKENIZER} is {short(name)}, not a text", None, Malformed)
    if name in _WITHOUT_TOKENS:
        return
    # the header keeps no list of texts, only its length
    tokens = model.values.get(_TOKENS)
    if tokens is not None:
        model.fault(
            f"{_TOKENS} is {short(tokens)}, not a list of texts", None, Malformed
        )


def _refuse_rotation(model: GgufModel) -> None:
    """Raise `Unclear` where llama.cpp rotates whole heads alone, and the header rotates another
    number of their elements ("invalid n_rot", src/llama-model.cpp, load_hparams).
    """
    if model.name not in _TABLE.rotates_whole_heads:
        return
    rotated = model.number("rope.dimension_count")
    heads = model.number("attention.head_count", layer=0)
    if rotated is None or not heads:
        return
    length = model.number("attention.key_length")
    if length is None:
        length = model.width // heads
    if length and rotated != length:
        why = reason("rotation", name=model.name, rotated=rotated, length=length)
        raise Unclear(why, refused=True)


def _refuse_unread_parts(model: GgufModel) -> None:
    """Raise `Unclear` for encoders, for tensors of an unknown type, and for a rope in another
    number of sections.
    """
    name = model.name
    for tensor in model.tensors:
        if tensor.name.startswith(("a.", "v.")):
            raise unclear("encoder", name=name)
        if tensor.bytes is None:
            called = clean(tensor.name)
            raise unclear("tensor-type", name=called, type=tensor.type)
    sections = model.get("rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != _ROPE_SECTIONS:
        raise unclear("sections", name=name, count=len(sections), wanted=_ROPE_SECTIONS)


def _attention(
    model: GgufModel,
    layers: Sequence[_Layer],
    states: _States,
) -> list[Attention | None]:
    """The attention of each layer; None for layers without. `states`: the state that each layer
    keeps.
    """
    windows = _windows(model)
    key = "attention.head_count"
    head_counts = [layer.number_of(key) for layer in layers]
    most = max(head_counts)
    by_layer = []
    for layer, state in zip(layers, states, strict=True):
        attention = None
        if layer.attends(state):
            heads = head_counts[layer.number] or most or model.needed(key)
            attention = layer.attention(heads, windows[layer.number])
        by_layer.append(attention)
    return by_layer


def _windows(model: GgufModel) -> list[int | None]:
    """The window of each layer in tokens, None where the layer attends to everything: from a list,
    or from the interval of full layers that the file or the row states.
    """
    window = _window(model)
    if window is None:
        return [None] * model.layers
    # a list has true for each layer with the window
    slides = model.get(_WINDOW_PATTERN)
    if not isinstance(slides, list):
        slides = _layers_with_window(model, window)
    layers = model.layers
    entries = len(slides)
    if not layers <= entries <= model.blocks:
        raise unclear(
            "pattern",
            name=model.stated(_WINDOW_PATTERN),
            entries=entries,
            layers=layers,
        )
    return [window if has_window else None for has_window in slides[:layers]]


def _layers_with_window(model: GgufModel, window: int) -> list[bool]:
    """Whether each layer has the window, by the interval of full layers."""
    every = model.number(_WINDOW_PATTERN)
    if every is None:
        every = model.row.full_every
    if every is None:
        raise unclear("window", name=model.name, window=window)
    slides = [True] * model.layers
    # an interval of 0: no layer attends to everything
    if every > 0:
        first_full = 0 if model.row.full_first else every - 1
        for number in range(first_full, model.layers, every):
            slides[number] = False
    return slides


def _window(model: GgufModel) -> int | None:
    """The attention window in tokens of the layers with a window. None where no layer has a
    window.
    """
    row = model.row
    window = model.size("attention.sliding_window", "attention.chunk_size")
    if window is None and row.window_cache_layers in (None, model.layers):
        window = row.window_tokens
    context = model.size("context_length")
    if window and context and window >= context:
        # a window longer than any text has no effect
        return None
    return window


def _loops(model: GgufModel) -> int:
    """The number of times that the model runs through its layers, each time with a separate
    cache.
    """
    if not model.row.loops:
        return 1
    loops = model.size("num_loops") or 1
    if model.layers * loops > MAX_LAYERS:
        raise Malformed(f"{loops:,} runs through {model.layers:,} layers")
    return loops


def _cache_layers(model: GgufModel) -> int | None:
    """The number of layers with a cache of their own; None where all have one."""
    layers = model.layers
    caching = model.row.cache_layers or layers
    shared = model.number("attention.shared_kv_layers")
    if shared is not None:
        caching = layers - shared
    if caching <= 0:
        raise Malformed(f"all {layers:,} layers read the cache of an earlier one")
    return caching if caching < layers else None


# tables outside the layers


def _vocabulary(model: GgufModel) -> int | None:
    """The number of rows in the token table; None where nothing tells."""
    tokens = model.counts.get(_TOKENS)
    if model.values.get(_TOKENIZER) in _WITHOUT_TOKENS:
        tokens = model.number("vocab_size")
    if tokens and not model.row.embedding_rows_beyond:
        # llama.cpp makes the token table as long as the tokenizer's vocabulary
        return tokens
    return model.rows_of("token_embd")


def _positions(model: GgufModel) -> int | None:
    """The number of rows in the position table of the published model; None where it has none."""
    positions = model.rows_of("position_embd")
    if positions is not None and model.rows_of("token_types") == 1:
        positions += _DROPPED_POSITIONS
    return positions


def _context_tokens(model: GgufModel) -> int | None:
    """The context that the model was trained for; None where the header says 0."""
    context = model.size("context_length")
    if context is None:
        why = f"the header says {model.name}.context_length = 0"
        model.unknown["architecture.context_tokens"] = why
    return context


def _gate(model: GgufModel) -> str | None:
    """The form in which the gate of the feed-forwards is stored: split, fused or none. None where
    the models of the row have one form, and where the first layer lacks these matrices.
    """
    first = _Layer(model=model, number=0)
    up = first.shape("ffn_up.weight")
    down = first.shape("ffn_down.weight")
    if not (up and down and model.row.gate_varies):
        return None
    if first.has("ffn_gate.weight"):
        return "split"
    return "fused" if up[-1] == 2 * down[0] else "none"
