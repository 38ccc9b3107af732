"""ggml's graph allocator: how large one buffer must be for the results of a whole graph.

Read from ggml-alloc.c (llama.cpp 0c1e570) and restated. A graph here is what the allocator sees of
it: sizes, order, views, and which operations may write over their input. It is built in parts, one
a kind of layer; a part that finds the memory as it was left for it once before is not replayed
again, so a model costs what its first layers cost.
"""

from __future__ import annotations

# of `bisect`, which is a file more to load
from _bisect import bisect_left
from collections.abc import Sequence
from math import prod

_ALIGNMENT = 32
_ENDLESS = 1 << 80

# sides of a tensor whose length is filled in at replay; a tensor has at most one of them
FULL_CELLS, WINDOW_CELLS, LOGITS_ROWS, CHOSEN = -1, -2, -3, -4


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
        if end > self.top:
            self.top = end
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
    """Up to the next multiple of 32 bytes."""
    return (size + _ALIGNMENT - 1) & -_ALIGNMENT


class Tensor:
    """One result, input or view. `layout`: bytes of one element, then the sides; of a view
    None, nothing is written over it.
    """

    __slots__ = (
        "each",
        "kept",
        "layout",
        "owner",
        "placed",
        "readers",
        "reuses",
        "shared",
        "slot",
        "sources",
        "strided",
        "views",
    )

    def __init__(
        self,
        layout: tuple[int, ...] | None,
        sources: tuple[Tensor, ...],
        owner: Tensor | None = None,
    ) -> None:
        self.layout = layout
        self.sources = sources
        self.owner = owner
        # reuses: may write over a source; kept: an output; placed: already in a graph; shared: read
        # by several parts; each: an input that every layer has one of
        self.reuses = self.kept = self.placed = self.shared = self.strided = self.each = False
        self.readers = self.views = 0
        self.slot = -1

    @property
    def size(self) -> tuple[int, int]:
        """Bytes as (factor, unit): the factor counts units of 1, or of the side that is filled
        in at replay.
        """
        assert self.layout is not None
        unknown = min(self.layout)
        return (prod(self.layout), 0) if unknown > 0 else (prod(self.layout) // unknown, -unknown)


_ELSEWHERE = Tensor(None, ())
"""Owner of what lies outside the buffer: the cache and the states."""


class Recorder:
    """Writes a graph down, part by part, in the order in which llama.cpp expands it."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.results: list[Tensor] = []
        self.nodes: list[Tensor] = []

    def input(self, *sides: int, width: int = 4, each: bool = False) -> Tensor:
        """There before the graph runs. `each`: every layer of the kind has one of its own."""
        tensor = Tensor((width, *sides), ())
        tensor.shared, tensor.each = True, each
        return tensor

    def result(self, sides: tuple[int, ...], *sources: Tensor | None, width: int = 4) -> Tensor:
        """An operation that needs memory of its own."""
        return Tensor((width, *sides), tuple([source for source in sources if source is not None]))

    def over(self, sides: tuple[int, ...], *sources: Tensor | None, width: int = 4) -> Tensor:
        """An operation that writes over the first source of the same layout that nobody else
        reads.
        """
        tensor = self.result(sides, *sources, width=width)
        tensor.reuses = True
        return tensor

    def view(self, tensor: Tensor, *, strided: bool = False) -> Tensor:
        """The same memory in another shape; `strided` where its rows do not follow each other."""
        view = Tensor(None, (tensor,), tensor.owner or tensor)
        view.strided = strided
        return view

    def within(self, tensor: Tensor, *sources: Tensor) -> Tensor:
        """The same memory after part of it was written; `sources` has a view of it."""
        return Tensor(None, sources, tensor.owner or tensor)

    def elsewhere(self, *sources: Tensor) -> Tensor:
        """A write into memory outside the buffer."""
        return Tensor(None, sources, _ELSEWHERE)

    def expand(self, tensor: Tensor) -> None:
        """Puts a tensor and what it needs into the graph, sources first.

        Of many sequences a chain of sources is longer than Python lets functions call themselves.
        """
        if tensor.placed:
            return
        tensor.placed = True
        waiting = []
        sources = iter(tensor.sources)
        while True:
            for source in sources:
                if not source.placed:
                    source.placed = True
                    waiting.append((tensor, sources))
                    tensor, sources = source, iter(source.sources)
                    break
            else:
                if tensor.shared:
                    self.inputs.append(tensor)
                else:
                    self.nodes.append(tensor)
                if not waiting:
                    return
                tensor, sources = waiting.pop()

    def section(self, entries: tuple[Tensor, ...], *results: Tensor) -> Section:
        """What was expanded since the last call, and the results with it."""
        for result in results:
            self.expand(result)
        nodes, self.nodes = self.nodes, []
        inputs, self.inputs = self.inputs, []
        return Section(nodes, inputs, entries, results)

    def share(self, result: Tensor) -> None:
        """Several sections read this result, which the section recorded last has computed."""
        if not result.shared:
            result.shared = True
            self.results.append(result)


class Section:
    """What was recorded of one kind of layer, or of what comes before and after all layers.
    `entries` stand for what it is given.

    `inputs` are those that no section before has used.
    """

    __slots__ = ("entries", "inputs", "nodes", "results", "uses")

    @property
    def operations(self) -> int:
        """Those of the nodes that compute or write something; views do neither."""
        return sum(node.owner is None or node.owner is _ELSEWHERE for node in self.nodes)

    def __init__(
        self,
        nodes: list[Tensor],
        inputs: list[Tensor],
        entries: tuple[Tensor, ...],
        results: tuple[Tensor, ...],
    ) -> None:
        self.nodes = nodes
        self.inputs = inputs
        self.entries = entries
        self.results = results
        self.uses = {source for node in nodes for source in node.sources if source.shared}


# a section hands at most so many results to the next; they have the first slots
_CARRIED = 3


class _Part:
    """A section as takes and gives. An event is the slot that is taken, or its complement where
    the slot is given back.
    """

    __slots__ = ("events", "results", "sizes")

    def __init__(
        self, section: Section, numbers: dict[Tensor, int], ending: frozenset[Tensor], slots: int
    ) -> None:
        """`slots`: the first that is free for its own results."""
        self._count(section, numbers, ending)
        self.events: list[int] = []
        self.sizes: list[tuple[int, int]] = []
        for node in section.nodes:
            if node.owner is None:
                self._place(node, numbers.get(node, slots))
                if node in numbers and node.slot in self.events:
                    # written over a result of this section: other sections ask for it by its own
                    # number
                    self.events = [
                        numbers[node] if slot == node.slot else slot for slot in self.events
                    ]
                    node.slot = numbers[node]
                slots += 1
            for source in node.sources:
                source.readers -= 1
                if not source.readers and not source.views:
                    self._leave(source)
        # shared results stay where they are
        self.results = [result.slot for result in section.results if result not in numbers]

    @staticmethod
    def _count(section: Section, numbers: dict[Tensor, int], ending: frozenset[Tensor]) -> None:
        """Sets how often each tensor is read and viewed. A shared one that does not end here has a
        reader more.
        """
        for node in section.nodes:
            node.readers = 1 if node in numbers and node not in ending else 0
            node.views = 0
            node.slot = -1
        for tensor in section.uses:
            tensor.readers = 0 if tensor in ending else 1
            tensor.views = 0
            tensor.slot = numbers[tensor]
        for slot, entry in enumerate(section.entries):
            entry.readers = entry.views = 0
            entry.slot = slot
        for node in section.nodes:
            if node.owner is not None:
                node.owner.views += 1
            for source in node.sources:
                source.readers += 1
        for result in section.results:
            result.readers += 1

    def _place(self, node: Tensor, slot: int) -> None:
        if node.reuses:
            for source in node.sources:
                if (
                    source.layout == node.layout
                    and source.slot >= 0
                    and source.readers == 1
                    and not source.views
                    and not source.kept
                ):
                    node.slot, source.slot = source.slot, -1
                    return
        node.slot = slot
        self.events.append(slot)
        self.sizes.append(node.size)

    def _leave(self, tensor: Tensor) -> None:
        owner = tensor.owner
        if owner is not None:
            owner.views -= 1
            if owner.readers or owner.views:
                return
            tensor = owner
        if tensor.slot >= 0 and not tensor.kept:
            self.events.append(~tensor.slot)
            tensor.slot = -1


def _last_used(sections: Sequence[Section], order: Sequence[int]) -> dict[int, list[Tensor]]:
    """By place in `order` the tensors that no section uses after that one, but for those that each
    section has of its own.
    """
    last: dict[Tensor, int] = {}
    for number, position in {number: at for at, number in enumerate(order)}.items():
        for tensor in sections[number].uses:
            last[tensor] = max(position, last.get(tensor, 0))
    ending: dict[int, list[Tensor]] = {}
    for tensor, position in last.items():
        if not tensor.each:
            ending.setdefault(position, []).append(tensor)
    return ending


class Program:
    """A whole graph, ready to be replayed with the lengths that were left open.

    `operations`: how many of its nodes compute or write something, each a launch on a GPU.
    """

    __slots__ = ("_inputs", "_order", "_slots", "operations")

    def __init__(self, record: Recorder, sections: Sequence[Section], order: Sequence[int]) -> None:
        """`order` names the sections as they run; each hands its result to the next."""
        numbers: dict[Tensor, int] = {}
        own: list[dict[Tensor, int]] = []
        self._inputs: list[tuple[int, int]] = []
        recorded: set[int] = set()
        for position, number in enumerate(order):
            own.append({})
            for tensor in sections[number].inputs:
                if tensor.each:
                    own[position][tensor] = _CARRIED + len(self._inputs)
                elif number in recorded:
                    continue
                else:
                    numbers[tensor] = _CARRIED + len(self._inputs)
                self._inputs.append(tensor.size)
            recorded.add(number)
        numbers |= {
            tensor: number
            for number, tensor in enumerate(record.results, _CARRIED + len(self._inputs))
        }
        free = _CARRIED + len(self._inputs) + len(record.results)
        ending = _last_used(sections, order)
        parts_by_key: dict[tuple[object, ...], _Part] = {}
        self._order: list[_Part] = []
        for position, number in enumerate(order):
            gone = frozenset(ending.get(position, ())) | frozenset(own[position])
            key = number, gone, tuple(own[position].values())
            if key not in parts_by_key:
                parts_by_key[key] = _Part(sections[number], numbers | own[position], gone, free)
            self._order.append(parts_by_key[key])
        self._slots = free + max(len(section.nodes) for section in sections)
        operations = [section.operations for section in sections]
        self.operations = sum(operations[number] for number in order)

    def peak(self, lengths: tuple[int, ...]) -> int:
        """The most bytes that are ever in use; `lengths`: 1, then what stands for the open sides.

        A part that finds memory as it was left for it before is not replayed again.
        """
        arena = Arena()
        starts, ends = [0] * self._slots, [0] * self._slots
        for slot, (factor, unit) in enumerate(self._inputs, _CARRIED):
            size = aligned(factor * lengths[unit])
            starts[slot] = arena.take(size)
            ends[slot] = starts[slot] + size
        sizes: dict[_Part, list[int]] = {}
        left: dict[tuple[object, ...], tuple[list[int], list[int], list[int], list[int]]] = {}
        for part in self._order:
            key = (part, *starts[:_CARRIED], *arena.starts, *arena.ends)
            if key in left:
                starts[:_CARRIED], ends[:_CARRIED] = left[key][:2]
                arena.starts, arena.ends = left[key][2].copy(), left[key][3].copy()
                continue
            if part not in sizes:
                sizes[part] = [aligned(factor * lengths[unit]) for factor, unit in part.sizes]
            following = iter(sizes[part])
            for slot in part.events:
                if slot < 0:
                    arena.give(starts[~slot], ends[~slot])
                else:
                    size = next(following)
                    starts[slot] = arena.take(size)
                    ends[slot] = starts[slot] + size
            # the results of a part become the first slots, where the next part reads them
            count = len(part.results)
            starts[:count] = [starts[slot] for slot in part.results]
            ends[:count] = [ends[slot] for slot in part.results]
            carried = starts[:_CARRIED], ends[:_CARRIED]
            left[key] = *carried, arena.starts.copy(), arena.ends.copy()
        return arena.top
