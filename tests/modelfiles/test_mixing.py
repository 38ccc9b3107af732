"""Layers that attend, remember or share, from a config.json or a GGUF header."""

from __future__ import annotations

from pathlib import Path

from helpers.ggufs import ROWS, make
from helpers.local_models import config
from selfhost.modelfiles import read_local
from selfhost.needs import decode_bytes_by_type
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


def test_layers_share_a_cache_only_where_their_class_does(tmp_path: Path) -> None:
    """`num_kv_shared_layers` is a key of Gemma; the class of Mistral leaves it alone, and each of its layers keeps a cache."""
    made = read_local(config(tmp_path, num_kv_shared_layers=8), ROWS).spec.architecture
    assert made is not None
    assert sum(group.layers for group in cache_groups(made, row_of(made, ROWS))) == 32
