"""How the `config.json` of each model type is read: `specs/common/model_types.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..catalogue.index import Catalogue
from ..core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class ModelType(Record):
    """One row of the file, whose header explains every key."""

    row: str = ""
    in_gguf: bool = True
    row_with_experts: str = ""
    row_without_states: str = ""
    row_of_ocr: str = ""
    classes: tuple[str, ...] = ()
    own_code: bool = False
    read_as: tuple[Mapping[str, Any], ...] = ()
    read_by_class: bool = False
    text_misnamed: bool = False
    tied: bool | None = None
    never_tied: bool = False
    held_apart: bool = False
    tied_by_text_config: bool | None = None
    stacks: str = ""
    beams: bool = False
    table_in_each_layer: bool = False
    vision: bool = False
    unread_encoder: bool = False
    mtp_layers: int | None = None
    mtp_ignored: bool = False
    switches: Mapping[str, Any] = {}
    other_than_row: Mapping[str, Any] = {}
    published: Mapping[str, Any] = {}
    unused_positions: int = 0
    switched_norm: str = "head"
    rows_in_gguf: tuple[int, ...] = ()
    adapters: bool = False
    other_norms: tuple[str, ...] = ()
    larger_alone: bool = False
    gating: str = ""
    context_tokens: int | None = None
    context_keys: tuple[str, ...] = ()
    all_heads_keep: bool = False
    heads_divide: str = ""
    bare_class_writes: bool = False
    sublayers: int | None = None
    kin: str = ""
    loops: str = ""
    without: tuple[str, ...] = ()
    positions_by_type: bool = False
    optional_parts: bool = False
    parallel_norms: int | None = None
    long_rope: bool = False
    shared_blocks: bool = False
    adapted_blocks: bool = False
    attention_experts: bool = False
    layers_alike: str = ""
    layer_reader: str = ""
    layer_group: str = ""
    attn_type_list: str = ""
    lists_attention: bool = False
    delta_but_every: int | None = None
    full_every: int | None = None
    one_attends: bool = False
    delta_from_attention: bool = False
    last_attends_to_all: bool = False
    global_head_length: int | None = None
    indexed: bool = False
    mamba_is: str = "mamba2"
    linear_is: str = "delta"
    window_key: str = ""
    window_keys: tuple[str, ...] = ()
    chunk_is_window: bool = False
    window_tokens: int | None = None
    halves_window: bool = False
    slides: str = ""
    heads_fill_width: bool = False
    value_heads_apart: bool = False
    window_kv_factor: int = 1
    index_by_blocks: bool = False
    kv_shared_by: str = ""
    one_or_all_kv_heads: bool = False
    stated_kv_heads_win: bool = False
    indexer_every: int | None = None
    latent_unpacked: bool = False
    values_of_width: bool = False
    state_heads: str = ""
    bare_state_keys: bool = False
    inner_length: int | None = None
    inner_key: str = ""
    state_norm_key: str = ""
    feed_forward: str = ""
    experts_if: str = ""
    one_expert_is_dense: bool = False
    dense_beside: str = ""
    dense_beside_if: str = ""
    shared_experts: int | None = None
    shared_like_one: bool = False
    shared_length_of_each: bool = False
    router_bias: bool | None = None
    dense_layers: int = 0
    experts_every: str = ""
    dense_key: str = ""
    dense_length: str = ""
    feed_forward_ratio: int | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ModelType:
        """One table of the file. `TypeError` names a key that no row may have."""
        return cls(**{key: _frozen(value) for key, value in values.items()})


class ModelTypes:
    """The rows of the file by model type."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        """`rows` is the parsed file."""
        self._rows: Mapping[str, Mapping[str, Any]] = rows["model_type"]

    @classmethod
    @lru_cache(maxsize=1)
    def shipped(cls) -> ModelTypes:
        """The rows of the catalogue that selfhost comes with."""
        return cls(Catalogue.open().common("model_types"))

    def __getitem__(self, name: str) -> ModelType:
        """The row of a model type; where it is not known one without keys, or that of a model whose
        kin have sublayers.
        """
        row = self._rows.get(name)
        return ModelType.from_values(self._of_kin(name) if row is None else row)

    def _of_kin(self, name: str) -> Mapping[str, Any]:
        """What is known of a model type without a row by the kin of another."""
        kin = [row["kin"] for row in self._rows.values() if "kin" in row]
        return {"sublayers": 0} if name.startswith(tuple(kin)) else {}

    def of_class(self, name: str) -> str:
        """The model type of a class, "" where it is not known."""
        kinds = (kind for kind, row in self._rows.items() if name in row.get("classes", ()))
        return next(kinds, "")


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(part) for key, part in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
