"""What publishers and users measured of models of 2026 (tests/truth/releases_2026.json)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helpers.needs_of import catalogue, needs_of, runtime, terms
from helpers.paths import TRUTH
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs.case import ContextSetup
from selfhost.needs.llamacpp.memory import cache_rows
from selfhost.needs.records import Term

_FILE = json.loads((TRUTH / "releases_2026.json").read_text(encoding="utf-8"))


def rows_of(kind: str) -> pytest.MarkDecorator:
    rows: list[dict[str, Any]] = _FILE[kind]
    names = [f"{row['model']}-{row.get('figure', kind)}" for row in rows]
    return pytest.mark.parametrize("row", rows, ids=names)


def in_ngrams(spec: ModelSpec) -> int:
    """Parameters in tables of n-grams."""
    assert spec.architecture is not None
    ngrams = spec.architecture.ngrams
    return sum(group.rows * group.length * len(group.layers) for group in ngrams)


def total(spec: ModelSpec) -> int:
    assert spec.parameters.total is not None
    return spec.parameters.total


_FIGURES: dict[str, Callable[[ModelSpec], int | None]] = {
    "total": total,
    "total_in_files": lambda spec: (
        total(spec) + (spec.parameters.mtp or 0) + (spec.parameters.extra_in_files or 0)
    ),
    "total_without_ngrams": lambda spec: total(spec) - in_ngrams(spec),
    "ngrams": in_ngrams,
    "active": lambda spec: spec.parameters.active,
}


def in_llama_cpp(model: str, **changes: Any) -> dict[str, Term]:
    work = Workload(runtime="llama.cpp", format="gguf", **changes)
    return terms(needs_of(catalogue().spec(model), runtime("llama.cpp"), work))


@rows_of("parameters")
def test_parameters_are_those_of_the_published_files(row: dict[str, Any]) -> None:
    counted = _FIGURES[row["figure"]](catalogue().spec(row["model"]))
    assert counted == pytest.approx(row["seen"], rel=row["within"], abs=0), row[
        "source"
    ]


@rows_of("caches")
def test_caches_are_those_that_were_measured(row: dict[str, Any]) -> None:
    architecture = catalogue().spec(row["model"]).architecture
    assert architecture is not None
    batch = {"micro_batch_limit": row["batch"]} if "batch" in row else {}
    setup = ContextSetup(tokens=row["tokens"], **batch)
    counted = [
        [rows.layers, rows.bytes_in(setup)] for rows in cache_rows(architecture, setup)
    ]
    # rows of an indexer stand after those that the sources count
    assert counted[: len(row["layers"])] == row["layers"], row["source"]


@rows_of("files")
def test_weights_are_those_of_the_files(row: dict[str, Any]) -> None:
    weights = in_llama_cpp(
        row["model"], quantization=row["quantization"], context_tokens=4096
    )["weights"]
    seen = pytest.approx(row["seen"], rel=row["within"])
    assert weights.bytes == seen, row["source"]


@rows_of("steps")
def test_memory_falls_with_the_micro_batch(row: dict[str, Any]) -> None:
    """All else is as it was, so the difference of two peaks is that of the compute buffers."""
    whole = [
        sum(
            term.bytes
            for term in in_llama_cpp(
                row["model"],
                quantization="IQ4_NL",
                context_tokens=row["tokens"],
                kv_cache_type="q8_0",
                runtime_options={"ub": str(batch)},
            ).values()
        )
        for batch in (row["from"], row["to"])
    ]
    seen = pytest.approx(row["seen"], rel=row["within"])
    assert whole[0] - whole[1] == seen, row["source"]
