"""Measurements of llama.cpp in `truth/`, and what they are measurements of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from helpers.needs_of import needs_of
from helpers.paths import TRUTH
from selfhost.catalogue.architecture import (
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.runtime_parts import BuildPlatforms, MemoryRules
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs import case as needs_case
from selfhost.needs.llamacpp.memory import cache_rows
from selfhost.needs.quantization import recipe_tensors
from selfhost.needs.records import Needs
from selfhost.needs.tensors import row_of, states


@cache
def read(name: str) -> Any:
    return json.loads((TRUTH / name).read_text(encoding="utf-8"))


def _layers(at: str | list[int], count: int) -> tuple[int, ...]:
    if isinstance(at, list):
        return tuple(at)
    return tuple(range(count))[
        slice(*(int(part) if part else None for part in at.split(":")))
    ]


@cache
def architecture(model: str) -> Architecture:
    values = dict(read("architectures.json")["architectures"][model])
    count = values["layers"]
    for key, kind in (
        ("attention", Attention),
        ("recurrent", Recurrent),
        ("feed_forward", FeedForward),
    ):
        values[key] = tuple(
            kind(**{**group, "layers": _layers(group["layers"], count)})
            for group in values.get(key, ())
        )
    return Architecture(runs_in_gguf=True, **values)


def records(part: str) -> list[dict[str, Any]]:
    file = read("memory.json")
    return [
        dict(zip(file[f"{part}_columns"], values, strict=True)) for values in file[part]
    ]


def setup_of(record: Mapping[str, Any]) -> needs_case.ContextSetup:
    return needs_case.ContextSetup(
        tokens=record["n_ctx"],
        sequences=record["n_seq_max"],
        streams=1 if record["kv_unified"] else record["n_seq_max"],
        micro_batch_limit=min(record.get("n_batch", 2048), record["n_ubatch"]),
        flash=record["flash_attn"] != 0,
        key_type=record["type_k"],
        value_type=record["type_v"],
    )


def batch_of(architecture: Architecture, record: Mapping[str, Any]) -> needs_case.Batch:
    assert row_of(architecture).name, f"no row for {architecture.row}"
    return needs_case.Batch(
        model=architecture,
        row=row_of(architecture),
        setup=setup_of(record),
        logits_rows=rows_of_logits(record),
    )


def kept(architecture: Architecture, record: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of the cache, with what indexers keep, and of states."""
    cells = setup_of(record)
    if any(group.kind == "compressed" for group in architecture.attention):
        # DeepSeek V4 always has one cache per sequence (src/llama-kv-cache-dsv4.cpp)
        cells = cells.replace(
            streams=cells.sequences, tokens=cells.cells_per_stream * cells.sequences
        )
    cached = sum(rows.bytes_in(cells) for rows in cache_rows(architecture, cells))
    return cached, record["n_seq_max"] * sum(
        state.bytes for state in states(architecture)
    )


def rows_of_logits(record: Mapping[str, Any]) -> int:
    return int(
        record.get("n_outputs_max") or min(record["n_ctx"], record.get("n_batch", 2048))
    )


@cache
def weights_bytes(architecture: Architecture) -> int:
    """The bytes of a model's weights in Q4_K_M."""
    tensors = recipe_tensors(architecture, "Q4_K_M", importance_matrix=False)
    return sum(tensor.bytes for tensor in tensors)


# a bare libllama process: 8.2 MiB of libraries and 5.5 MiB of graph, scheduler and output row, both
# means over the runs of the same build; single runs lie up to 2.2 MiB below them to half a MiB
# above
BARE = RuntimeSpec(
    id="llama.cpp",
    name="llama.cpp",
    formats=("gguf",),
    platforms=BuildPlatforms(systems=("linux-x86_64",)),
    modalities=("text",),
    store="llama.cpp",
    memory=MemoryRules(
        overhead_low_bytes=int(11.5 * 2**20),
        overhead_high_bytes=int(14.2 * 2**20),
        overhead_how="measured",
        overhead_source="truth",
    ),
)


def judged(record: dict[str, Any], *, repacked: bool) -> Needs:
    sequences = record["n_seq_max"]
    workload = Workload(
        runtime="llama.cpp",
        format="gguf",
        quantization=record["quant"],
        context_tokens=record["n_ctx"] // sequences,
        parallel=sequences,
        kv_cache_type=record["type_k"],
    )
    spec = ModelSpec(
        id="model", name="Model", architecture=architecture(record["model"])
    )
    return needs_of(
        spec, BARE, workload, instruction_sets=("avx2", "avx512f") if repacked else None
    )
