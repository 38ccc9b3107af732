"""An architecture of a known kind is one row of data: a made-up one is judged as llama.cpp allocates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.each import each
from helpers.ggufs import ROWS, gguf, kept, measured, metadata, placed, settings_of, write
from selfhost.catalogue.index import Catalogue
from selfhost.core.workload import Workload
from selfhost.modelfiles import read_local
from selfhost.needs import needs_of
from selfhost.needs.llamacpp import graphs
from selfhost.needs.records import How
from selfhost.needs.tensors import row_of

# a row under a name that no line of the code can know
NAME = "made-up"
MODELS = [
    name
    for name, model in measured().items()
    if any("compute_bytes" in case for case in model["cases"])
    and "graph" in ROWS["architecture"][model["architecture"]]
]


@each("name", MODELS[::3])
def test_a_row_of_data_is_enough(name: str, tmp_path: Path) -> None:
    """Every third measured header under a new name, with a row of its own: cache, state and compute buffer equal the measurement to the byte."""
    model: dict[str, Any] = {**measured()[name], "architecture": NAME}
    rows = {"architecture": {NAME: ROWS["architecture"][measured()[name]["architecture"]]}}
    path = write(tmp_path / "model.gguf", *gguf(metadata(name, model), placed(model)))
    spec = read_local(str(path), rows).spec
    architecture = spec.architecture
    assert architecture is not None, spec.unknown
    assert architecture.row == NAME
    row = row_of(architecture, rows)
    assert row is not None
    for case in model["cases"]:
        room, keys, values, flash, logits_rows = settings_of(case)
        buffer = graphs.exact_compute_bytes(
            architecture, row, room, logits_rows, flash, keys, values
        )
        assert (sum(kept(architecture, row, case)), buffer) == (
            case["context_bytes"],
            case["compute_bytes"],
        ), case
    # the second leaves flash attention off
    runtime = "llama-cpp-python" if row.stops_with_flash else "llama.cpp"
    needs = needs_of(
        spec,
        Catalogue.open().runtime(runtime),
        Workload(context_tokens=4096, quantization=model["quantization"]),
        rows,
    )
    assert needs.memory is not None, needs.unknown
    terms = {term.name: term for term in needs.memory.terms}
    assert terms["compute"].how in (How.EXACT, How.COMPUTED)
    assert "replayed on the graph of made-up" in terms["compute"].source
