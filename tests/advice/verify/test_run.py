"""A run."""

from __future__ import annotations

from selfhost.advice.verify.run import Run, SeenMemory, SeenPace


def test_a_run_holds_figures_where_a_prediction_can_be_held_against_one() -> None:
    """A pace or a size; names and options alone are none."""
    assert not Run(tool="x", file="model.gguf", context_tokens=4096).holds_figures
    assert Run(tool="x", paces=(SeenPace(kind="decode", tokens_per_second=1.0),)).holds_figures
    assert Run(tool="x", memory=(SeenMemory(term="compute", bytes=1),)).holds_figures
