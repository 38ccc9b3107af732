"""What a row of `specs/common/architectures.toml` says of llama.cpp's own code.

The header of that file explains every key.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Self


class Row(Record):
    """A table of the file. A field that is a table of its own has `read_by(Kind.of_table)`."""

    @classmethod
    def stated_values(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as fields take them: lists as tuples, tables as their records."""
        stated = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        for field, key in cls._keys.items():
            if field in stated:
                stated[field] = key.read(values, field)
        return stated

    @classmethod
    def of_table(cls, values: Mapping[str, Any], key: str) -> Self:
        """The table under that key. `TypeError` names a key that it may not have."""
        return cls(**cls.stated_values(values[key]))


class Style(Row):
    """`graph`: how llama.cpp builds the graph of one architecture."""

    builder: str = "layers"
    recurrent: bool = False
    one_part_a_layer: bool = False
    idle_layers: bool = False
    deepstack: bool = False
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
