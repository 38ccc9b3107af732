"""A graph of llama.cpp while it is built: `Graph` holds its tensors and the data that its parts
share, and `Part` is the base of the builders for the parts: attention, recurrences, feed-forwards
and whole models.
"""

from __future__ import annotations

from typing import NamedTuple

from ...catalogue.architecture import Attention, FeedForward, Recurrent
from ...core.records import Record
from ..case import Batch
from ..tensors import State, Style, states, windowed_attention
from .allocator import HALF_BYTES, Node, Sides, fresh, given, padded_bytes

# tensors begin at multiples of these: on a CPU TENSOR_ALIGNMENT of ggml/src/ggml-impl.h, on a
# device the result of ggml_backend_cuda_buffer_type_get_alignment of ggml-cuda.cu
_CPU_ALIGNMENT_BYTES = 32
_DEVICE_ALIGNMENT_BYTES = 128


class Layer(NamedTuple):
    """A layer of a model: its parts, and the facts that depend on the layer's number."""

    attention: Attention | None
    recurrent: Recurrent | None
    feed_forward: FeedForward | None
    # whether the rows whose logits the caller needs are chosen after this layer
    is_last: bool
    # whether a norm precedes the layer's first part
    is_normed: bool
    # whether positions rotate the queries and keys
    is_rotated: bool
    # whether the layer has its own rows in the cache
    is_cached: bool
    # whether the layer adds a slice of the embeddings (Qwen3-VL), or keeps only the largest
    # activations (Gemma 3n)
    is_early: bool

    @property
    def mixes(self) -> bool:
        """Whether the layer mixes tokens: it attends, or keeps a state."""
        return self.attention is not None or self.recurrent is not None


class CacheInputs(Record):
    """The inputs of the graph that all layers with the same cache share. `cells` are the cells of
    one stream, `all_cells` those of all streams.
    """

    cells: int
    all_cells: int
    # the rows of the cache to which each token's keys and values are written
    key_places: Node
    value_places: Node
    mask: Node
    # Hadamard matrices that rotate the numbers of a quantized cache; None without rotation
    key_rotation: Node | None
    value_rotation: Node | None

    def copied(self, length: int, element_bytes: int = HALF_BYTES) -> Node:
        """A copy of all keys or values of the cache, in rows of that length."""
        return fresh((length, self.all_cells), element_bytes=element_bytes)


class Graph:
    """The graph of one batch while it is built: its tensors in order, and the data that its parts
    share.

    - `tokens`: the tokens of the batch, as many of each sequence.
    - `logits_rows`: the tokens whose logits, or vectors, the caller needs.
    - `hidden`: the sides of the hidden state.

    The tables of the input layer always lie in RAM, and so do the operations that read them
    (`dev_input` in src/llama-model.cpp). The part on the GPU has copies of the inputs that its
    tensors read and of the looked-up rows (ggml_backend_sched_split_graph in
    ggml/src/ggml-backend.cpp).
    """

    def __init__(self, batch: Batch) -> None:
        model = batch.model
        row = batch.row
        setup = batch.setup
        self.on_device = batch.on_device
        self.alignment_bytes = _CPU_ALIGNMENT_BYTES
        if batch.on_device:
            self.alignment_bytes = _DEVICE_ALIGNMENT_BYTES
        self.inputs = list[Node]()
        self.nodes = list[Node]()
        self.model = model
        self.row = row
        self.setup = setup
        self.style = row.graph or Style()
        self.flash = setup.flash
        self.windowed = bool(windowed_attention(model))
        self.width = model.embedding_length
        self.vocabulary = model.gguf_tokens
        self.sequences = setup.sequences
        self.sequence_tokens = -(-batch.tokens // setup.sequences)
        self.tokens = self.sequence_tokens * setup.sequences
        self.logits_rows = min(batch.tokens, batch.logits_rows)
        if row.embeds:
            # all tokens go to the pooling, except the tokens that pad the sequences
            self.logits_rows = setup.encoder_tokens
        self.hidden: Sides = (self.width, self.tokens)
        # the owner of tensors outside the buffer that operations write to: the cache and the states
        self.cache = Node(())
        self.positions = given(self.tokens * self.style.positions)
        self.temperatures = given(self.tokens)
        self.rows = given(self.logits_rows)
        self.states = given(setup.sequences)
        # keyed by the group, not by its id: layers may come from an equal model
        # states of compressed attention follow the states of recurrences
        self._state_by_group = dict(zip(model.recurrent, states(model), strict=False))
        # the length of a row of values in the cache without flash attention: the longest of any
        # layer
        self.widest_values = 0
        for group in model.attention:
            # latent attention has one row for both key and value
            if group.kind != "latent":
                length = group.kv_heads * group.value_length
                self.widest_values = max(self.widest_values, length)
        # the inputs of the cache and the masks of an encoder, by the window of the layers in
        # tokens; None: no window
        self.cache_inputs = dict[int | None, CacheInputs]()
        self.batch_masks = dict[int | None, Node]()

    def expand(self, *tensors: Node) -> None:
        """Put tensors and all tensors that they need into the graph (ggml_build_forward_expand)."""
        for tensor in tensors:
            if not tensor.placed:
                self._place(tensor)

    def _place(self, tensor: Node) -> None:
        """Put a tensor into the graph, behind its sources."""
        tensor.placed = True
        if tensor.owner is None:
            tensor.size = padded_bytes(tensor.layout, self.alignment_bytes)
        else:
            tensor.owner.views += 1
        for source in tensor.sources:
            source.readers += 1
            if not source.placed:
                self._place(source)
        if tensor.given:
            self.inputs.append(tensor)
        else:
            self.nodes.append(tensor)

    def store(self, rows: Node, *places: Node) -> None:
        """Write rows into the cache, or states to where they are kept (GGML_OP_SET_ROWS, CPY)."""
        self.expand(self.cache.written(rows, *places))

    def unlink(self) -> None:
        """Take the nodes apart, which ends the use of the graph.

        If a chain of thousands of nodes were dropped at once, each node would free the next from
        inside its own deallocation, and a thread with a small stack would end in a segmentation
        fault (seen in CPython 3.13 with 256 KiB).
        """
        for node in self.nodes:
            node.sources = ()
            node.owner = None

    def looked_up(self, sides: Sides, places: Node) -> Node:
        """Rows of a table of the input layer (GGML_OP_GET_ROWS); on a device a copy of them."""
        if self.on_device:
            return given(*sides)
        return fresh(sides, places)

    def norm(self, tensor: Node) -> Node:
        """The tensor normed: GGML_OP_RMS_NORM in place, or GGML_OP_NORM around the mean."""
        return tensor.copied() if self.style.centred else tensor.normed()

    def last_rows(self, tensor: Node) -> Node:
        """The rows of the tokens whose logits the caller needs (GGML_OP_GET_ROWS, inp_out_ids)."""
        return fresh((self.width, self.logits_rows), tensor, self.rows)

    def state_of(self, group: Recurrent) -> State:
        """The lengths of the state that these layers keep of each sequence."""
        return self._state_by_group[group]


class Part:
    """A part of a graph while it is built. `width` and `tokens` are the sides of the hidden state;
    `expand` puts tensors into the graph, and `norm` norms a tensor as the model does.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.row = graph.row
        self.style = graph.style
        self.width, self.tokens = graph.hidden
        self.expand = graph.expand
        self.norm = graph.norm
