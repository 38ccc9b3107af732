"""The base of the builders for all parts of a graph: attention, recurrences, feed-forwards and
whole models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import Graph


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
