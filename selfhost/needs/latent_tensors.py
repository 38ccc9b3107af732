"""The tensors of attention whose keys and values are packed: latent, or rows of several tokens."""

from __future__ import annotations

from ..catalogue.spec import Attention

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .tensors import Builder


def add_latent(builder: Builder, group: Attention, layers: tuple[int, ...]) -> None:
    width, heads, value = builder.width, group.heads, group.value_length
    latent, rope, query = (
        group.latent_length or 0,
        group.rope_length or 0,
        group.query_latent_length,
    )
    # of attention that caches them unpacked the key's length holds the part with rope
    key = group.key_length if group.kind == "latent" else group.key_length - rope
    if query:
        builder.add("blk.*.attn_q_a", width, query, layers=layers)
        builder.add("blk.*.attn_q_a_norm", query, layers=layers)
        builder.add("blk.*.attn_q_b", query, heads * (key + rope), layers=layers)
    else:
        builder.add("blk.*.attn_q", width, heads * (key + rope), layers=layers)
    builder.add("blk.*.attn_kv_a_mqa", width, latent + rope, layers=layers)
    builder.add("blk.*.attn_kv_a_norm", latent, layers=layers)
    if builder.row.rope_key_norm:
        builder.add("blk.*.attn_k_norm", rope, layers=layers)
    if group.kind == "latent":
        builder.add("blk.*.attn_k_b", key, latent, heads, layers=layers)
        builder.add("blk.*.attn_v_b", latent, value, heads, layers=layers)
    else:
        builder.add("blk.*.attn_kv_b", latent, heads * (key + value), layers=layers)
    builder.add("blk.*.attn_output", heads * value, width, layers=layers)
    builder.gate_of_attention(group, layers)
    if builder.row.attention_sinks:
        builder.add("blk.*.attn_sinks", heads, layers=layers)
    if group.indexer_heads and group.indexer_length:
        builder.add(
            "blk.*.indexer.attn_q_b",
            query or width,
            group.indexer_heads * group.indexer_length,
            layers=layers,
        )
        builder.add("blk.*.indexer.attn_k", width, group.indexer_length, layers=layers)
        builder.add("blk.*.indexer.k_norm", group.indexer_length, layers=layers, bias=True)
        builder.add("blk.*.indexer.proj", width, group.indexer_heads, layers=layers)


def add_compressed(builder: Builder, group: Attention, layers: tuple[int, ...]) -> None:
    width, heads, key, query = (
        builder.width,
        group.heads,
        group.key_length,
        group.query_latent_length or 0,
    )
    groups, latent = group.output_groups or 1, group.output_latent_length or 0
    builder.add("blk.*.attn_q_a", width, query, layers=layers)
    builder.add("blk.*.attn_q_a_norm", query, layers=layers)
    builder.add("blk.*.attn_q_b", query, heads * key, layers=layers)
    builder.add("blk.*.attn_kv", width, key, layers=layers)
    builder.add("blk.*.attn_kv_a_norm", key, layers=layers)
    builder.add("blk.*.attn_sinks", heads, layers=layers)
    builder.add("blk.*.attn_output_a", heads * key // groups, latent * groups, layers=layers)
    builder.add("blk.*.attn_output_b", latent * groups, width, layers=layers)
    if group.compression:
        _compressor(builder, "attn", key, group, layers)
    if group.compression and group.indexer_heads and group.indexer_length:
        _compressor(builder, "indexer", group.indexer_length, group, layers)
        builder.add(
            "blk.*.indexer.attn_q_b",
            query,
            group.indexer_heads * group.indexer_length,
            layers=layers,
        )
        builder.add("blk.*.indexer.proj", width, group.indexer_heads, layers=layers)


def _compressor(
    builder: Builder, name: str, length: int, group: Attention, layers: tuple[int, ...]
) -> None:
    """Rows of which an indexer chooses are made of the tokens of two."""
    wide = (2 if group.indexer_heads else 1) * length
    builder.add(f"blk.*.{name}_compressor_kv", builder.width, wide, layers=layers)
    builder.add(f"blk.*.{name}_compressor_gate", builder.width, wide, layers=layers)
    builder.add(f"blk.*.{name}_compressor_ape", wide, group.compression or 0, layers=layers)
    builder.add(f"blk.*.{name}_compressor_norm", length, layers=layers)
