"""ggml's graph allocator: how large one buffer must be for the results of a whole graph.

Read from ggml-alloc.c (llama.cpp 0c1e570) and restated. A graph here is what the allocator sees of
it: sizes, order, views, and which operations may write over their input. It is built in sections,
one a kind of layer; a section that finds the memory as it was left for it once before is not
replayed again, so a model costs what its first layers cost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import prod

_ALIGNMENT = 32
_ENDLESS = 1 << 80


class Arena:
    """One growing stretch of memory and its holes. Best fit, of two equal holes the later; else
    the end grows.
    """

    __slots__ = ("ends", "starts", "top")

    def __init__(self) -> None:
        # holes in order of address, the last of them endless
        self.starts = [0]
        self.ends = [_ENDLESS]
        self.top = 0

    def take(self, size: int) -> int:
        """The address of `size` bytes; sizes are aligned already."""
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

    def give(self, start: int, end: int) -> None:
        """Takes a stretch back; it becomes one with the holes beside it."""
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


def aligned(size: int) -> int:
    return (size + _ALIGNMENT - 1) & -_ALIGNMENT


class Tensor:
    """One result, input or view. `layout`: bytes of one element, then the sides; of a view
    None, nothing is written over it. `start`: its address while the graph runs, -1 without one.
    """

    __slots__ = (
        "kept", "layout", "owner", "placed", "readers", "reuses", "shared", "sources",
        "start", "strided", "views",
    )  # fmt: skip

    def __init__(
        self,
        layout: tuple[int, ...] | None,
        sources: tuple[Tensor, ...] = (),
        owner: Tensor | None = None,
    ) -> None:
        self.layout = layout
        self.sources = sources
        self.owner = owner
        # reuses: may write over a source; kept: an output; placed: already in a graph; shared: read
        # by several sections
        self.reuses = self.kept = self.placed = self.shared = self.strided = False
        self.readers = self.views = 0
        self.start = -1

    @property
    def size(self) -> int:
        assert self.layout is not None
        return aligned(prod(self.layout))

    def may_replace(self, source: Tensor) -> bool:
        return (
            source.layout == self.layout
            and source.start >= 0
            and source.readers == 1
            and not (source.views or source.kept)
        )

    def leave(self, arena: Arena) -> None:
        """Gives its memory back; a view that of its owner, once nobody reads that either."""
        owner = self.owner
        if owner is not None:
            owner.views -= 1
            if not (owner.readers or owner.views):
                owner.leave(arena)
        elif self.start >= 0 and not self.kept:
            arena.give(self.start, self.start + self.size)
            self.start = -1


_ELSEWHERE = Tensor(None)
"""Owner of what lies outside the buffer: the cache and the states."""


class Section:
    """What was recorded of one kind of layer, or of what comes before and after all layers.
    `entries` stand for what it is given; `inputs` are those that no section before has used.
    """

    def __init__(
        self,
        nodes: list[Tensor],
        inputs: list[Tensor],
        entries: tuple[Tensor, ...],
        results: tuple[Tensor, ...],
    ) -> None:
        self.nodes, self.inputs = nodes, inputs
        self.entries, self.results = entries, results
        self.uses = {source for node in nodes for source in node.sources if source.shared}

    def run(
        self, arena: Arena, given: tuple[int, ...], ending: frozenset[Tensor]
    ) -> tuple[int, ...]:
        """Takes and gives memory in the order of the nodes; the addresses of the results.

        `given` are those of the entries; `ending`: shared tensors that no later section uses.
        """
        self._count_readers(ending)
        for entry, start in zip(self.entries, given, strict=False):
            entry.start = start
        for node in self.nodes:
            if node.owner is None:
                over = next(filter(node.may_replace, node.sources), None) if node.reuses else None
                if over is None:
                    node.start = arena.take(node.size)
                else:
                    node.start, over.start = over.start, -1
            for source in node.sources:
                source.readers -= 1
                if not source.readers and not source.views:
                    source.leave(arena)
        # shared results stay where they are
        return tuple(result.start for result in self.results if not result.shared)

    def _count_readers(self, ending: frozenset[Tensor]) -> None:
        """A shared tensor that does not end here has a reader more."""
        for tensor in (*self.nodes, *self.entries):
            tensor.start = -1
        for tensor in (*self.nodes, *self.entries, *self.uses):
            tensor.readers = int(tensor.shared and tensor not in ending)
            tensor.views = 0
        for node in self.nodes:
            if node.owner is not None:
                node.owner.views += 1
            for source in node.sources:
                source.readers += 1
        for result in self.results:
            result.readers += 1


class Recorder:
    """Writes a graph down, section by section, in the order in which llama.cpp expands it."""

    def __init__(self) -> None:
        self._inputs: list[Tensor] = []
        self._nodes: list[Tensor] = []

    def input(self, *sides: int, width: int = 4) -> Tensor:
        """There before the graph runs."""
        tensor = Tensor((width, *sides))
        tensor.shared = True
        return tensor

    def result(self, sides: tuple[int, ...], *sources: Tensor | None, width: int = 4) -> Tensor:
        return Tensor((width, *sides), tuple([source for source in sources if source is not None]))

    def over(self, sides: tuple[int, ...], *sources: Tensor, width: int = 4) -> Tensor:
        """An operation that writes over the first source of the same layout that nobody else
        reads.
        """
        tensor = self.result(sides, *sources, width=width)
        tensor.reuses = True
        return tensor

    def view(self, tensor: Tensor) -> Tensor:
        return Tensor(None, (tensor,), tensor.owner or tensor)

    def part(self, tensor: Tensor) -> Tensor:
        """Part of the same memory, whose rows do not follow each other."""
        view = self.view(tensor)
        view.strided = True
        return view

    def within(self, tensor: Tensor, *sources: Tensor) -> Tensor:
        """The same memory after part of it was written; `sources` has a view of it."""
        return Tensor(None, sources, tensor.owner or tensor)

    def store(self, tensor: Tensor, *places: Tensor) -> None:
        """Writes it into memory outside the buffer."""
        self.expand(Tensor(None, (tensor, *places), _ELSEWHERE))

    def expand(self, *tensors: Tensor) -> None:
        """Puts tensors and what they need into the graph, sources first."""
        for tensor in tensors:
            if not tensor.placed:
                tensor.placed = True
                self.expand(*tensor.sources)
                (self._inputs if tensor.shared else self._nodes).append(tensor)

    def section(self, entries: tuple[Tensor, ...], *results: Tensor) -> Section:
        """What was expanded since the last call, and the results with it."""
        self.expand(*results)
        section = Section(self._nodes, self._inputs, entries, results)
        self._nodes, self._inputs = [], []
        return section


def peak(sections: Sequence[Section], order: Sequence[int]) -> int:
    """The most bytes that are ever in use. `order` names the sections as they run; each hands its
    results to the next.
    """
    arena, last = Arena(), {}
    for position, number in enumerate(order):
        section = sections[number]
        last.update(dict.fromkeys(section.uses, position))
        if number not in order[:position]:
            for tensor in section.inputs:
                tensor.start = arena.take(tensor.size)
    given: tuple[int, ...] = ()
    left: dict[tuple[object, ...], tuple[tuple[int, ...], list[int], list[int]]] = {}
    for position, number in enumerate(order):
        section = sections[number]
        ending = frozenset(tensor for tensor in section.uses if last[tensor] == position)
        key = number, ending, given, *arena.starts, *arena.ends
        if key not in left:
            given = section.run(arena, given, ending)
            left[key] = given, arena.starts.copy(), arena.ends.copy()
        given = left[key][0]
        arena.starts, arena.ends = left[key][1].copy(), left[key][2].copy()
    return arena.top
