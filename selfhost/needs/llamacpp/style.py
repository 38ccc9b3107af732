"""What a row of `specs/common/architectures.toml` says of llama.cpp's own code.

The header of that file explains every key.
"""

from __future__ import annotations

from ...core.records import Record


class Style(Record):
    """`graph`: how llama.cpp builds the graph of one architecture."""

    builder: str = "layers"
    recurrent: bool = False
    one_part_a_layer: bool = False
    idle_layers: bool = False
    deepstack: bool = False
    indexed_blocks: bool = False
    centred: bool = False
    rope: str = "all"
    beside: str = ""
    sums: tuple[str, ...] = ("made", "residual")
    late_rows: str = ""
    chosen_first: bool = False
    normalized: bool = False
    before_experts: bool = False
    temperature: bool = False
    positions: int = 1
    residual_first: bool = False
    expanded: bool = False
    divided_gate: bool = False
    rescaled: bool = False
    values_normed: bool = False
    dense_beside: str = ""
    gate_apart: bool = False
    unfused: bool = False
    plain_index: bool = False
    normed_residual: bool = False
    normed_first: bool = False
    routed_early: bool = False
    embedding_normed: bool = False
    scaled_last: bool = False
    muted: int = 0
    skip: bool = False


class ClosedForm(Record):
    """`closed_form`: what the closed form of the compute buffer knows of one architecture."""

    measured: bool = False
    beside: float = 3.0
    beside_with_slices: float | None = None
    beside_unshared: float | None = None
    beside_without_dense: float | None = None
    experts_alone: bool = False
    down_apart: bool = False
