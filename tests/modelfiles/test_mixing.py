"""Layers that attend, remember or share, from a config.json or a GGUF header."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.ggufs import ROWS, make
from helpers.local_models import config
from helpers.paths import CONFIGS
from selfhost import Workload
from selfhost.catalogue.index import Catalogue
from selfhost.modelfiles import read_local
from selfhost.needs import decode_bytes_by_type, needs_of
from selfhost.needs.cache import cache_groups
from selfhost.needs.tensors import row_of


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
