"""What the model of a `config.json` has otherwise than the row of its architecture."""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import MAX_BEAMS, ROW_FLAGS
from .depth import encoder_layers
from .keys import Keys, Unclear, class_of, short

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# the parts of a row that a key switches on and off: `attention_bias`, and flags of ROW_FLAGS
_SWITCHES: Mapping[str, tuple[str, ...]] = {
    "attention_bias": ("attention_bias", "attention_output_bias"),
    "use_qkv_bias": ("attention_bias",), "qkv_bias": ("attention_bias",),
    "add_qkv_bias": ("attention_bias",), "mlp_bias": ("feed_forward_bias",),
    "lm_head_bias": ("output_bias",),
    "attention_out_bias": ("attention_output_bias",),
}  # fmt: skip


def departures_of(config: Keys, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the model has otherwise than its row, as fields of `Architecture`."""
    extra: dict[str, Any] = {**config.type.other_than_row}
    _add_switched(config, extra, row)
    _add_norm(config, extra, row)
    if row.get("banked_layers") and config.number("attn_res_block_size") != row["banked_layers"]:
        raise Unclear(
            f"attn_res_block_size is {config.get('attn_res_block_size')}, and llama.cpp knows"
            f" {row['banked_layers']}"
        )
    _add_stacks(config, extra, row)
    _add_outside(config, extra)
    norms = 2 if config.flag("new_decoder_architecture") else config.type.parallel_norms
    if norms is not None:
        extra["parallel_norms"] = norms
    _add_rope(config, extra, row)
    return extra


def _add_switched(config: Keys, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Adds the parts that a key switches on or off otherwise than the row has them."""
    for key, flags in {**_SWITCHES, **config.type.switches}.items():
        if not flags or not config.reads(key):
            continue
        if config.text.get("kv_lora_rank") and flags[0] == "attention_bias":
            continue
        value = config.get(key)
        if not isinstance(value, bool):
            continue
        if flags[0] == "attention_bias" and value != bool(row.get("attention_bias")):
            extra["attention_bias"] = value
        for flag in flags:
            if flag in ROW_FLAGS and value != bool(row.get(flag, flag == "output_norm")):
                departs = "also" if value else "lacks"
                extra[departs] = (*extra.get(departs, ()), flag)


def _add_norm(config: Keys, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Adds the norm of queries and keys where the file has it otherwise than the row."""
    norm = next(
        (config.get(key) for key in ("use_qk_norm", "qk_layernorm") if config.reads(key)), None
    )
    if norm is False and row.get("query_key_norm") and config.known:
        extra["query_key_norm"] = "none"
    if norm is True and not row.get("query_key_norm") and config.type.switched_norm:
        extra["query_key_norm"] = config.type.switched_norm


def _add_stacks(config: Keys, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Adds what a model with an encoder beside its decoder has."""
    if config.type.stacks == "t5":
        _add_t5(config, extra, row)
    if config.type.stacks == "bart" and (above := encoder_layers(config)) != config.layers:
        extra["encoder_layers"] = above
    if config.type.beams and (beams := config.positive("num_beams")) is not None:
        if beams > MAX_BEAMS:
            raise Unclear(f"num_beams is {beams:,}: more than are searched with")
        extra["beams"] = beams


def _add_t5(config: Keys, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
    stated = config.get("feed_forward_proj")
    gated = config.get("is_gated_act") if stated is None else str(stated).startswith("gated")
    if gated is not True:
        extra["gate"] = "none"
    if (config.number("num_decoder_layers") or config.layers) != config.layers:
        raise Unclear("num_decoder_layers: stacks of unlike depth are not understood")
    buckets = config.number("relative_attention_num_buckets")
    other_table = buckets not in (None, row.get("relative_positions"))
    if other_table or config.outer_type.table_in_each_layer:
        raise Unclear(
            "relative_attention_num_buckets, umt5: tables of distances of another kind are"
            " not understood"
        )


def _add_outside(config: Keys, extra: dict[str, Any]) -> None:
    """Adds tables beside the layers, and takes some away."""
    if config.type.positions_by_type:
        positions = config.get("position_embedding_type")
        if positions not in ("absolute", "rotary"):
            raise Unclear(f"position_embedding_type is {short(positions)}: not understood")
        if positions == "rotary":
            extra["lacks"] = (*extra.get("lacks", ()), "positions")
    if config.type.optional_parts:
        if config.number("type_vocab_size") == 0:
            extra["lacks"] = (*extra.get("lacks", ()), "token_types")
        if class_of(config.outer).endswith("ForSequenceClassification"):
            extra["also"] = (*extra.get("also", ()), "pooler")


def _add_rope(config: Keys, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Adds the table of factors that a scaling of the positions needs."""
    scaling = config.get("rope_scaling", "rope_parameters")
    kind = (scaling.get("rope_type") or scaling.get("type")) if isinstance(scaling, dict) else None
    if kind == "llama3" and row.get("rope_factors") != "freqs":
        extra["rope_factors"] = "freqs"
    long_short = kind in ("longrope", "su", "yarn") and config.type.long_rope
    if long_short and row.get("rope_factors") != "long_short":
        extra["rope_factors"] = "long_short"
