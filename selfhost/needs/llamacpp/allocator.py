"""A replay of ggml's allocator: takes the tensors of a graph and gives the size of the compute
buffer, exact to the byte (ggml/src/ggml-alloc.c of llama.cpp 0c1e570).

A tensor gets memory when it is computed, and frees the memory after its last reader. A view has no
memory: it reads or writes the memory of another tensor. An operation that overwrites its only
source (most scales, biases and activations, the weight of a norm) leaves the buffer unchanged:
graphs here leave such operations out if nothing else reads the source. All sizes are bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

FLOAT_BYTES = 4
HALF_BYTES = 2
# bytes of an index into a cache
INDEX_BYTES = 8
# the end of the buffer's last hole: the buffer grows into this hole without limit
_ENDLESS = 1 << 80

# the lengths of a tensor's dimensions, the length of a row first (`ne` of ggml_tensor)
Sides = tuple[int, ...]


class Node:
    """A tensor of a graph: an input, a result, or a view of another tensor.

    - `layout`: the bytes of one element, and then the sides.
    - `owner`: the tensor whose memory a view shares.
    - `overwrites`: the result may take the place of a source.
    - `given`: an input, which is filled in before the graph runs.
    - `kept`: an output, whose memory is never given back.
    - `placed`: the tensor is in a graph already, and `size` is its size in the buffer in bytes.
    - `strided`: the rows of the tensor do not follow each other.
    - `readers`, `views`: the numbers of operations and views that still need the tensor while
      the graph runs (`n_children`, `n_views`).
    - `start`: the address while the graph runs; -1 without memory, as for a view.

    The methods and `+ - * /` give a tensor that is made of this one. Only the place of the result
    matters here, not its values: in memory of its own, over this tensor, or in this tensor's
    memory. So graphs here have a row of a token wherever llama.cpp gives heads or sequences a
    dimension, and leave out views from which only results in memory of their own are made.
    """

    __slots__ = (
        "given", "kept", "layout", "overwrites", "owner", "placed", "readers", "size", "sources",
        "start", "strided", "views",
    )  # fmt: skip

    def __init__(
        self,
        layout: Sides,
        sources: tuple[Node, ...] = (),
        owner: Node | None = None,
        *,
        overwrites: bool = False,
    ) -> None:
        self.layout = layout
        self.sources = sources
        self.owner = owner
        self.overwrites = overwrites
        self.size = 0
        self.given = False
        self.kept = False
        self.placed = False
        self.strided = False
        self.readers = 0
        self.views = 0
        self.start = -1

    @property
    def sides(self) -> Sides:
        """The lengths of the dimensions."""
        return self.layout[1:]

    def product(self, length: int, *others: Node) -> Node:
        """A result whose rows have the length `length`, each made of a row of this tensor, in
        memory of its own (GGML_OP_MUL_MAT and all others that ggml_op_can_inplace does not name).
        """
        return Node((FLOAT_BYTES, length, *self.layout[2:]), (self, *others))

    def copied(self, *others: Node) -> Node:
        """A result of the same shape in memory of its own (GGML_OP_CONT and others)."""
        return Node(self.layout, (self, *others))

    # `gating` multiplies the activation of a gate by another tensor (GGML_OP_GLU), `argsort` gives
    # the order of the numbers of each row (ARGSORT)
    gating = copied
    argsort = copied

    def overwritten(self, *others: Node) -> Node:
        """A result of the same shape that overwrites this tensor, or another source of the same
        shape, if nothing else reads that source (ggml_op_can_inplace).
        """
        return Node(self.layout, (self, *others), overwrites=True)

    # the operations of ggml: GGML_OP_ADD of a weight and ADD_ID; SQR, SCALE, CLAMP; RMS_NORM;
    # sigmoids and others of GGML_OP_UNARY; ROPE; SOFT_MAX
    biased = overwritten
    squared = overwritten
    scaled = overwritten
    clamped = overwritten
    normed = overwritten
    activated = overwritten
    rotated = overwritten
    softmax = overwritten

    # GGML_OP_ADD, SUB, MUL and DIV, element by element
    __add__ = __sub__ = __mul__ = __truediv__ = overwritten

    def view(self, *sides: int) -> Node:
        """A view of the same memory, in another shape where sides are given (ggml_reshape,
        ggml_view).
        """
        layout = (self.layout[0], *sides) if sides else self.layout
        return Node(layout, (self,), self.owner or self)

    def part(self, length: int) -> Node:
        """A view of the first `length` elements of each row, so the rows of the view do not follow
        each other.
        """
        tensor_part = self.view(length, *self.layout[2:])
        tensor_part.strided = True
        return tensor_part

    def parts(self, *lengths: int) -> list[Node]:
        """Views of parts of each row, one for each of the lengths."""
        return [self.part(length) for length in lengths]

    def written(self, *sources: Node) -> Node:
        """The same memory after GGML_OP_CPY or SET_ROWS wrote the sources into it."""
        return Node(self.layout, sources, self.owner or self)


@lru_cache(maxsize=4096)
def padded_bytes(layout: Sides, alignment_bytes: int) -> int:
    """The bytes of a tensor with the padding before the next tensor
    (ggml_backend_buft_get_alignment). The layers of a model have tensors of the same few layouts.
    """
    return -(-prod(layout) // alignment_bytes) * alignment_bytes


def given(*sides: int, element_bytes: int = FLOAT_BYTES) -> Node:
    """An input of the graph, which the program fills in before each run."""
    tensor = Node((element_bytes, *sides))
    tensor.given = True
    return tensor


def fresh(
    sides: Sides,
    *sources: Node,
    element_bytes: int = FLOAT_BYTES,
) -> Node:
    """A result in memory of its own: of GGML_OP_MUL_MAT, GET_ROWS, CONCAT, FLASH_ATTN_EXT and all
    others that ggml_op_can_inplace does not name.
    """
    return Node((element_bytes, *sides), sources)


class Repetition(NamedTuple):
    """A repeated pattern of layers, as places in the list of nodes: the begin of the pattern, the
    begin of its repetition, and the end of that.
    """

    begin: int
    middle: int
    end: int


class Allocator:
    """The buffer while a graph runs, kept as its holes in the order of their addresses."""

    def __init__(self) -> None:
        self.hole_starts = [0]
        self.hole_ends = [_ENDLESS]
        # the most bytes in use so far
        self.top = 0

    def run(self, nodes: Iterable[Node]) -> None:
        """Compute nodes in this order (ggml_gallocr_alloc_graph_impl)."""
        for node in nodes:
            if node.owner is None and not (
                node.overwrites and _takes_place_of_source(node)
            ):
                node.start = self.take(node.size)
            for source in node.sources:
                source.readers -= 1
                if not (source.readers or source.views):
                    self._finish(source)

    def _finish(self, tensor: Node) -> None:
        """Give back the memory of a tensor that nothing reads any more, or the memory of its
        owner.
        """
        owner = tensor.owner
        if owner is None:
            owner = tensor
        else:
            owner.views -= 1
        if owner.start >= 0 and not (owner.kept or owner.readers or owner.views):
            self.give(owner.start, owner.start + owner.size)
            owner.start = -1

    def take(self, size: int) -> int:
        """The address of `size` bytes: in the smallest hole that is large enough, of two equal ones
        the later; at the end of the buffer where none is (ggml_dyn_tallocr_alloc).
        """
        starts = self.hole_starts
        ends = self.hole_ends
        best = -1
        best_size = _ENDLESS
        for index in range(len(starts) - 1):
            hole_size = ends[index] - starts[index]
            if size <= hole_size <= best_size:
                best = index
                best_size = hole_size
        start = starts[best]
        end = start + size
        if end == ends[best]:
            del starts[best], ends[best]
        else:
            starts[best] = end
        if best < 0:
            # only the last hole reaches beyond what was in use so far
            self.top = max(self.top, end)
        return start

    def give(self, start: int, end: int) -> None:
        """Make a hole, one with the holes beside it (ggml_dyn_tallocr_free_tensor)."""
        starts = self.hole_starts
        ends = self.hole_ends
        following = bisect_left(starts, start)
        touches_earlier = following > 0 and ends[following - 1] == start
        touches_later = starts[following] == end
        if touches_earlier and touches_later:
            ends[following - 1] = ends[following]
            del starts[following], ends[following]
        elif touches_earlier:
            ends[following - 1] = end
        elif touches_later:
            starts[following] = start
        else:
            starts.insert(following, start)
            ends.insert(following, end)

    def state(
        self, older: Iterable[Node], latest: Iterable[Node]
    ) -> tuple[object, ...]:
        """What alone decides how the allocator goes on after the `latest` nodes ran, to compare two
        repetitions of a pattern: the most bytes in use, the holes, and the remaining readers and
        views of all nodes. Those of `older` nodes are not counted, because all later layers may
        read these nodes.
        """
        return (
            self.top,
            self.hole_starts.copy(),
            self.hole_ends.copy(),
            [(node.start, node.readers > 0, node.views > 0) for node in older],
            [(node.start, node.readers, node.views) for node in latest],
        )


def _takes_place_of_source(node: Node) -> bool:
    """Whether the result overwrites a source: the first of the same layout, which is no output,
    and which neither another operation nor a view needs (ggml_gallocr_allocate_node). A view is
    none: llama.cpp never marks it `allocated`.
    """
    layout = node.layout
    for source in node.sources:
        is_needed = source.readers != 1 or source.views or source.kept
        if not is_needed and source.start >= 0 and source.layout == layout:
            node.start = source.start
            source.start = -1
            return True
    return False


def peak_bytes(
    inputs: Sequence[Node],
    nodes: Sequence[Node],
    repetitions: Iterable[Repetition],
) -> int | None:
    """The most bytes in use while the graph runs: the size of the compute buffer.

    None where a repetition leaves the allocator in another state than the pattern before it. Where
    both leave equal states, any number of further repetitions changes nothing, so a graph may leave
    them out.
    """
    allocator = Allocator()
    allocator.run(inputs)
    done = 0
    for repetition in repetitions:
        older = (*inputs, *nodes[: repetition.begin])
        pattern = nodes[repetition.begin : repetition.middle]
        repeated = nodes[repetition.middle : repetition.end]
        allocator.run(nodes[done : repetition.middle])
        state = allocator.state(older, pattern)
        allocator.run(repeated)
        if any(node.readers or node.views for node in pattern):
            return None
        if allocator.state(older, repeated) != state:
            return None
        done = repetition.end
    allocator.run(nodes[done:])
    return allocator.top
