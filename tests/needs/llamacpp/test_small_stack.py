"""Graphs of thousands of operations in a thread with a small stack, as of a server or a browser."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.paths import ROOT
from selfhost import check
from selfhost.machine.named import named
from selfhost.needs.llamacpp import graph
from selfhost.needs.llamacpp.part import Graph

# the model of the catalogue with the longest graph: 1,800 operations, 1,200 of them in one chain
MODEL = "nemotron-3-ultra-550b-a55b"
MACHINE = "mac studio m3 ultra 512gb"
CODE = f"""
import threading
from selfhost import check
from selfhost.machine.named import named

def judge():
    machine = named({MACHINE!r})[0]
    answers.append(check({MODEL!r}, machine=machine).can_run)

answers = []
threading.stack_size(256 * 1024)
thread = threading.Thread(target=judge)
thread.start()
thread.join()
print(answers)
"""


def test_a_long_graph_is_judged_in_a_thread_with_a_small_stack() -> None:
    """CPython 3.13 ended in a segmentation fault where a chain of operations was dropped at
    once.
    """
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[True]\n"), done.stderr


def test_no_chain_of_operations_is_left_of_a_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is dropped is single nodes, whatever the interpreter does with chains."""
    graphs: list[Graph] = []

    class KeptGraph(Graph):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            graphs.append(self)

    monkeypatch.setattr(graph, "Graph", KeptGraph)
    graph.exact_compute_bytes.cache_clear()
    # the room is looked for when it is read, by many graphs
    assert check("gpt-oss-20b", machine=named(MACHINE)[0]).room is not None
    nodes = [node for kept in graphs for node in kept.nodes]
    assert len(nodes) > 1_000
    assert not any(node.sources or node.owner for node in nodes)
