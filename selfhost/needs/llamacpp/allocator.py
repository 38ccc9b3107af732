"""ggml's graph allocator: how large one buffer must be for the results of a whole graph.

Read from ggml-alloc.c (llama.cpp 0c1e570) and restated. A graph here is what the allocator sees of
it: sizes, order, views, and which operations may write over their input.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import prod

_ALIGNMENT = 32
_ENDLESS = 1 << 80


class Node:
    """One result, input or view. `layout`: bytes of one element, then the sides; of a view () and
    nothing is written over it. `start`: its address while the graph runs, -1 without one.
    """

    __slots__ = (
        "given", "kept", "layout", "owner", "placed", "readers", "reuses", "size", "sources",
        "start", "strided", "views",
    )  # fmt: skip

    def __init__(
        self,
        layout: tuple[int, ...],
        sources: tuple[Node, ...] = (),
        owner: Node | None = None,
        reuses: bool = False,
    ) -> None:
        self.layout, self.sources, self.owner, self.reuses = layout, sources, owner, reuses
        self.size = (prod(layout) + _ALIGNMENT - 1) & -_ALIGNMENT
        # given: there before the graph runs; kept: an output; placed: already in a graph
        self.given = self.kept = self.placed = self.strided = False
        self.readers = self.views = 0
        self.start = -1


# owner of what lies outside the buffer: the cache and the states, which are written to
ELSEWHERE = Node(())


class Recorder:
    """Writes a graph down in the order in which llama.cpp expands it."""

    def __init__(self) -> None:
        self.inputs, self.nodes = list[Node](), list[Node]()
        # holes of the buffer in order of address, the last of them endless
        self.starts, self.ends, self.top = [0], [_ENDLESS], 0

    def input(self, *sides: int, width: int = 4) -> Node:
        tensor = Node((width, *sides))
        tensor.given = True
        return tensor

    def result(self, sides: tuple[int, ...], *sources: Node, width: int = 4) -> Node:
        return Node((width, *sides), sources)

    def over(self, sides: tuple[int, ...], *sources: Node) -> Node:
        """Writes over the first source of the same layout that nobody else reads."""
        return Node((4, *sides), sources, reuses=True)

    def view(self, tensor: Node, *sources: Node) -> Node:
        """The same memory, after `sources` if any, which have a view of it, wrote part of it."""
        return Node((), sources or (tensor,), tensor.owner or tensor)

    def part(self, tensor: Node) -> Node:
        """Part of the same memory, whose rows do not follow each other."""
        view = self.view(tensor)
        view.strided = True
        return view

    def expand(self, *tensors: Node) -> None:
        """Puts tensors and what they need into the graph, sources first."""
        for tensor in tensors:
            if tensor.placed:
                continue
            tensor.placed = True
            if tensor.owner is not None:
                tensor.owner.views += 1
            for source in tensor.sources:
                source.readers += 1
                if not source.placed:
                    self.expand(source)
            (self.inputs if tensor.given else self.nodes).append(tensor)

    def peak(self, rounds: Iterable[tuple[int, int, int]] = ()) -> int | None:
        """The most bytes that are in use while the graph runs.

        `rounds`: nodes where a layer, or a pattern of layers, begins once more, ends and has been
        repeated. None unless each time the repetition left all as it was: then as many more of it
        would change nothing.
        """
        nodes, done = self.nodes, 0
        self._run(self.inputs)
        for first, second, third in rounds:
            self._run(nodes[done:second])
            before = self._state(first, first, second)
            self._run(nodes[second:third])
            is_over = not any(node.readers or node.views for node in nodes[first:second])
            if not is_over or before != self._state(first, second, third):
                return None
            done = third
        self._run(nodes[done:])
        return self.top

    def _run(self, nodes: list[Node]) -> None:
        for node in nodes:
            if node.owner is None:
                for over in node.sources if node.reuses else ():
                    is_free = over.readers == 1 and not over.views and not over.kept
                    if is_free and over.start >= 0 and over.layout == node.layout:
                        node.start, over.start = over.start, -1
                        break
                else:
                    node.start = self.take(node.size)
            for source in node.sources:
                source.readers -= 1
                if not (source.readers or source.views):
                    owner = source.owner or source
                    owner.views -= source.owner is not None
                    self.give(owner)

    def take(self, size: int) -> int:
        """The address of `size` aligned bytes: best fit, of two equal holes the later; else the
        buffer grows.
        """
        starts, ends = self.starts, self.ends
        best, room = -1, _ENDLESS
        for index in range(len(starts) - 1):
            here = ends[index] - starts[index]
            if size <= here <= room:
                best, room = index, here
        start = starts[best]
        end = start + size
        if end == ends[best]:
            del starts[best], ends[best]
        else:
            starts[best] = end
        self.top = max(self.top, end)
        return start

    def give(self, tensor: Node) -> None:
        """Takes its memory back once nobody reads it; that becomes one with the holes beside it."""
        if tensor.start < 0 or tensor.kept or tensor.readers or tensor.views:
            return
        start, end, tensor.start = tensor.start, tensor.start + tensor.size, -1
        starts, ends = self.starts, self.ends
        index = bisect_left(starts, start)
        touches = index > 0 and ends[index - 1] == start
        if starts[index] == end:
            if touches:
                ends[index - 1] = ends[index]
                del starts[index], ends[index]
            else:
                starts[index] = start
        elif touches:
            ends[index - 1] = end
        else:
            starts.insert(index, start)
            ends.insert(index, end)

    def _state(self, old: int, begin: int, end: int) -> tuple[object, ...]:
        """What decides how the allocator goes on: the holes, the latest nodes with all that is left
        to read of them, and where older ones lie, which later layers may read as often as they do.
        """
        older = [
            (each.start, each.readers > 0, each.views > 0)
            for each in (*self.inputs, *self.nodes[:old])
        ]
        latest = [(each.start, each.readers, each.views) for each in self.nodes[begin:end]]
        return self.top, [*self.starts], [*self.ends], older, latest
