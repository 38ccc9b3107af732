"""Layers that attend, remember or share, from a config.json or a GGUF header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.ggufs import ROWS, gguf, make, write
from helpers.local_models import again, config
from helpers.paths import CONFIGS
from selfhost import Workload
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import Architecture
from selfhost.modelfiles import read_local
from selfhost.needs import decode_bytes_by_type, needs_of
from selfhost.needs.cache import cache_groups
from selfhost.needs.tensors import gguf_tensors, row_of


def test_a_model_that_runs_through_its_layers_again_reads_them_again(tmp_path: Path) -> None:
    """Nanbeige 4.2 3B: 22 layers, run through twice. Of the published Q4_K_M 1,865,048,064 bytes are layers and 418,682,880 the output
    matrix (its tensor table); the parameters are stored, and counted, once."""
    local = read_local(make(tmp_path, "nanbeige4.2-3b"), ROWS)
    architecture = local.spec.architecture
    assert architecture is not None
    assert (architecture.layers, architecture.stored_layers) == (44, 22)
    read = decode_bytes_by_type(local.spec, None, "gguf", "Q4_K_M", ROWS)
    assert sum(read.values()) == 2 * 1_865_048_064 + 418_682_880 + 4 * 3072
    layer = 2 * 3072 * 6144 + 2 * 3072 * 1024 + 3 * 3072 * 10_752 + 2 * 3072
    assert local.spec.parameters.total == 22 * layer + 2 * 3072 * 166_144 + 3072


@pytest.mark.parametrize("model", ["minimax-m3", "glm-5.3", "deepseek-v3.2"])
def test_layers_with_an_indexer_are_those_that_hold_its_tensors(model: str, tmp_path: Path) -> None:
    """Of MiniMax M3 the first three layers have none, of GLM 5.3 three in four, as in the catalogue, whose caches were measured."""
    architecture = Catalogue.open().spec(model).architecture
    assert architecture is not None
    row = row_of(architecture, ROWS)
    assert row is not None
    heads = architecture.attention[0]
    indexed = next(group for group in architecture.attention if group.indexer_heads)
    keys: dict[str, object] = {
        "block_count": architecture.layers + (architecture.mtp_layers or 0),
        "nextn_predict_layers": architecture.mtp_layers or 0,
        "embedding_length": architecture.embedding_length,
        "context_length": architecture.context_tokens,
        "attention.head_count": heads.heads,
        "attention.head_count_kv": 1 if heads.latent_length else heads.kv_heads,
        "attention.indexer.head_count": indexed.indexer_heads,
        "attention.indexer.key_length": indexed.indexer_length,
        "expert_count": architecture.feed_forward[-1].experts,
        "expert_used_count": architecture.feed_forward[-1].used,
    }
    if heads.latent_length and heads.rope_length:
        keys |= {
            "attention.kv_lora_rank": heads.latent_length,
            "attention.q_lora_rank": heads.query_latent_length,
            "attention.key_length_mla": heads.key_length + heads.rope_length,
            "attention.value_length_mla": heads.value_length,
            "rope.dimension_count": heads.rope_length,
        }
    else:
        keys |= {
            "attention.key_length": heads.key_length,
            "attention.value_length": heads.value_length,
        }
    tensors = [
        (
            group.name if layer is None else group.name.replace("*", str(layer)),
            list(group.shape),
            "F16",
        )
        for group in gguf_tensors(architecture, row)
        for layer in group.layers or (None,)
    ]
    name = architecture.row
    header = {
        "general.architecture": name,
        "general.file_type": 1,
        **{f"{name}.{key}": item for key, item in keys.items()},
    }
    read = read_local(
        write(tmp_path / "model.gguf", *gguf(header, tensors)), ROWS
    ).spec.architecture
    assert read is not None

    def indexers(of: Architecture) -> dict[int, tuple[int | None, int | None]]:
        return {
            layer: (group.indexer_heads, group.indexer_length)
            for group in of.attention
            for layer in group.layers
        }

    assert indexers(read) == indexers(architecture)


def test_latent_attention_without_its_rank_is_not_taken_for_plain_attention(tmp_path: Path) -> None:
    """DeepSeek-V2-Lite with `kv_lora_rank` null: its class has no other attention, so nothing of its cache follows."""
    published = json.loads(
        (CONFIGS / "deepseek-ai--DeepSeek-V2-Lite.json").read_text(encoding="utf-8")
    )
    file = tmp_path / "config.json"
    file.write_text(json.dumps(published | {"kv_lora_rank": None}), encoding="utf-8")
    spec = read_local(file, ROWS).spec
    assert spec.architecture is None
    assert "kv_lora_rank is null" in spec.unknown["architecture"]


def test_layers_share_a_cache_only_where_their_class_does(tmp_path: Path) -> None:
    """`num_kv_shared_layers` is a key of Gemma; the class of Mistral leaves it alone, and each of its layers keeps a cache."""
    made = read_local(config(tmp_path, num_kv_shared_layers=8), ROWS).spec.architecture
    assert made is not None
    assert sum(group.layers for group in cache_groups(made, row_of(made, ROWS))) == 32


# Gemma4TextConfig(num_hidden_layers=14).to_dict() of transformers 5.23.0, without what bears on neither weights nor cache
_GEMMA4_OF_14 = {
    "architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text", "hidden_size": 2304, "intermediate_size": 9216,
    "num_hidden_layers": 14, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262144,
    "hidden_size_per_layer_input": 256, "max_position_embeddings": 131072, "sliding_window": 512, "tie_word_embeddings": True,
    "layer_types": ["full_attention" if number in (5, 11, 13) else "sliding_attention" for number in range(14)],
    "per_layer_config": {"05": {"head_dim": 512}, "11": {"head_dim": 512}, "13": {"head_dim": 512}},
}  # fmt: skip


def gemma4(folder: Path, **changes: object) -> Path:
    (folder / "config.json").write_text(json.dumps(_GEMMA4_OF_14 | changes), encoding="utf-8")
    return folder / "config.json"


# config.json of meituan-longcat/LongCat-Flash-Chat
_LONGCAT = {
    "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "hidden_size": 6144, "num_layers": 28,
    "num_attention_heads": 64, "ffn_hidden_size": 12288, "expert_ffn_hidden_size": 2048, "q_lora_rank": 1536, "kv_lora_rank": 512,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 512, "moe_topk": 12, "zero_expert_num": 256,
    "zero_expert_type": "identity", "vocab_size": 131072, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
}  # fmt: skip


def test_a_convolution_that_remembers_nothing_is_no_traceback(tmp_path: Path) -> None:
    """A reduced Jamba on Hugging Face has mamba_d_conv 1: its state is the scan's alone, 4 × 4,096 floats for each of 3 layers."""
    path = config(
        tmp_path, model_type="jamba", hidden_size=2048, num_hidden_layers=4, num_attention_heads=8, attn_layer_period=4,
        attn_layer_offset=2, expert_layer_period=2, expert_layer_offset=1, num_experts=2, num_experts_per_tok=1, mamba_d_conv=1,
        mamba_d_state=4, mamba_expand=2, mamba_dt_rank=256, mamba_conv_bias=True, mamba_proj_bias=False,
    )  # fmt: skip
    needs = needs_of(
        read_local(path, ROWS).spec,
        Catalogue.open().runtime("llama.cpp"),
        Workload(context_tokens=2048),
        ROWS,
    )
    assert needs.memory is not None
    assert {term.name: term.bytes for term in needs.memory.terms}[
        "recurrent_state"
    ] == 3 * 4 * 4096 * 4


def test_recurrent_gemma_as_it_is_published(tmp_path: Path) -> None:
    """google/recurrentgemma-2b as it is published, layers under both names of older files: RecurrentGemmaForCausalLM on the meta device."""
    blocks = ["recurrent", "recurrent", "attention"]
    spec = read_local(
        config(
            tmp_path, model_type="recurrent_gemma", _block_types=blocks, block_types=blocks, hidden_size=2560, intermediate_size=15360,
            lru_width=2560, num_attention_heads=10, num_key_value_heads=1, head_dim=256, num_hidden_layers=26, vocab_size=256000,
            attention_window_size=2048, conv1d_width=4, tie_word_embeddings=True,
        ),
        ROWS,
    ).spec  # fmt: skip
    assert spec.parameters.total == 2_682_862_080
    assert spec.architecture is not None
    assert [group.layers for group in spec.architecture.attention] == [tuple(range(2, 26, 3))]
    assert again(spec).architecture == spec.architecture


@pytest.mark.parametrize("key", ["full_attn_mod", "global_attn_every_n"])
def test_every_first_layer_attending_is_every_layer(key: str, tmp_path: Path) -> None:
    """Phi 4 and Grok 2 state 1; two would leave half of the layers with something that the file does not tell."""
    told = [
        read_local(config(tmp_path, **{key: every}), ROWS).spec.unknown.get("architecture", "")
        for every in (1, 2)
    ]
    assert told[0] == ""
    assert key in told[1]
