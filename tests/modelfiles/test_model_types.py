"""Model types of a config.json as data: a new one of a known kind is a row, and no code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import COMMON
from selfhost.catalogue.spec import ROW_FLAGS
from selfhost.modelfiles.config import read_config
from selfhost.modelfiles.mixing import ATTENDING, LAYER_READERS, SLIDES, STATES
from selfhost.modelfiles.model_types import ModelType, ModelTypes
from selfhost.needs import weights_bytes

ROWS = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))
TEXT = (COMMON / "model_types.toml").read_text(encoding="utf-8")
TYPES: dict[str, dict[str, Any]] = tomllib.loads(TEXT)["model_type"]


def test_a_new_model_type_is_data_alone(tmp_path: Path) -> None:
    """A made-up architecture and its model type, each a row: layers, window and every weight follow."""
    architectures = {
        **ROWS,
        "architecture": {
            **ROWS["architecture"],
            "brandnew": {"query_key_norm": "head", "norms": ["attn_norm", "ffn_norm"]},
        },
    }
    types = ModelTypes(
        {
            "model_type": {
                "brandnew_text": {
                    "row": "brandnew",
                    "tied": True,
                    "full_every": 3,
                    "feed_forward_ratio": 4,
                    "kv_shared_by": "heads_per_group",
                    "switches": {"wide_bias": ["attention_bias"]},
                },
                "old": {"read_as": [{"as": "brandnew_text", "if_key": "is_new"}]},
            }
        }
    )
    values = {
        "model_type": "old", "is_new": True, "architectures": ["BrandNewForCausalLM"], "hidden_size": 512, "num_hidden_layers": 6,
        "num_attention_heads": 8, "heads_per_group": 4, "vocab_size": 1000, "max_position_embeddings": 4096,
        "sliding_window": 256, "wide_bias": True, "torch_dtype": "bfloat16",
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")

    spec = read_config(str(path), architectures, model_types=types).spec
    made = spec.architecture
    assert made is not None
    assert (made.row, made.runs_in_gguf, made.tied_embeddings) == ("brandnew", True, True)
    near, full = made.attention
    assert (near.layers, near.window_tokens) == ((0, 1, 3, 4), 256)
    assert (full.layers, full.window_tokens) == ((2, 5), None)
    assert {(group.heads, group.kv_heads, group.key_length) for group in made.attention} == {
        (8, 2, 64)
    }
    queries, keys = 8 * 64, 2 * 64
    layer = (
        2 * 512 * queries
        + 2 * 512 * keys
        + (queries + 2 * keys)
        + 2 * 64
        + 2 * 512
        + 3 * 512 * 4 * 512
    )
    assert spec.parameters.total == 6 * layer + 1000 * 512 + 512
    weights = weights_bytes(spec, "safetensors", "bfloat16", architectures)
    assert weights is not None

    # without its row the same file says less, and says so
    known = read_config(str(path), ROWS).spec
    assert known.parameters.total is None
    assert known.unknown["architecture"]


@each("name", sorted(TYPES))
def test_a_row_says_what_the_code_knows(name: str) -> None:
    row = ModelType.from_values(TYPES[name])
    assert name == name.lower()
    kinds = {*ATTENDING, *STATES}
    assert row.layer_reader in {"", *LAYER_READERS}
    assert row.slides in {"", *SLIDES}
    assert {row.layers_alike, row.attn_type_list} <= {"", *kinds}
    assert {row.mamba_is, row.linear_is} <= STATES
    assert row.stacks in ("", "bart", "t5", "whisper")
    assert row.feed_forward in ("", "none", "channel_mix", "by_kind")
    assert row.dense_beside in ("", "width", "length")
    assert row.dense_length in (
        "", "adjusted", "halved", "multiplied", "shared", "two_thirds", "two_thirds_of_four",
    )  # fmt: skip
    assert all(rule["as"] in TYPES for rule in row.read_as)
    flags = {flag for parts in row.switches.values() for flag in parts}
    assert flags <= {"attention_bias", *ROW_FLAGS}


def test_every_key_is_explained() -> None:
    """The header has a line for each key that a row may have, with its default, and for no other."""
    lines = re.findall(r"^# (\w+) +(\S+) +\S", TEXT, re.MULTILINE)
    explained = {key: default for key, default in lines if key in ModelType._fields}
    assert list(explained) == list(ModelType._fields)
    written = {None: "none", False: "false", True: "true", "": '""', (): "[]"}
    for key, stated in explained.items():
        default = ModelType._defaults[key]
        if isinstance(default, dict):
            assert stated == "{}"
        elif isinstance(default, str) and default:
            assert stated == f'"{default}"'
        elif type(default) is int:
            assert stated == str(default)
        else:
            assert stated == written[default], key


def test_a_key_that_no_row_may_have_is_refused() -> None:
    with pytest.raises(TypeError, match="sliding_doors"):
        ModelType.from_values({"row": "llama", "sliding_doors": 2})


def test_jetmoe_with_layers_that_differ_is_refused(tmp_path: Path) -> None:
    """Its lists of tensors are of layers that are all alike: others are no crash."""
    values = {
        "model_type": "jetmoe", "architectures": ["JetMoeForCausalLM"], "hidden_size": 1024, "num_hidden_layers": 8,
        "num_key_value_heads": 4, "kv_channels": 64, "vocab_size": 32_000, "intermediate_size": 2816, "num_local_experts": 8,
        "num_experts_per_tok": 2, "sliding_window": 128, "tie_word_embeddings": True, "max_position_embeddings": 4096,
        "layer_types": ["full_attention", "sliding_attention"] * 4,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert "JetMoe" in read_config(str(path), ROWS).spec.unknown["architecture"]
