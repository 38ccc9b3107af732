"""What is computed against what PyTorch and transformers really took: `truth/transformers.json`, its source inside."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.modelfiles.config import read_config
from selfhost.needs import torch_memory
from selfhost.needs.cache import cache_groups
from selfhost.needs.tensors import ArchitectureRow, checkpoint_tensors, count, row_of
from selfhost.spec import Architecture

ROOT = Path(__file__).parents[1]
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
MIB = 1 << 20


@cache
def truth() -> Any:
    return json.loads((ROOT / "tests" / "truth" / "transformers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Architecture, ArchitectureRow]]:
    rows = tomllib.loads((ROOT / "specs" / "common" / "architectures.toml").read_text(encoding="utf-8"))
    folder, found = tmp_path_factory.mktemp("configs"), {}
    for name, config in truth()["models"].items():
        if "model_type" in config:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(config), encoding="utf-8")
            architecture = read_config(str(path), rows).spec.architecture
            assert architecture is not None
            row = row_of(architecture, rows)
            assert row is not None
            found[name] = (architecture, row)
    return found


def runs(kind: str) -> list[Any]:
    return [pytest.param(run, id=run["name"].replace(" ", "-")) for run in truth()[kind]]


def is_converted(run: dict[str, Any]) -> bool:
    stored = truth()["models"][run["model"]].get("dtype")
    return bool(stored != run["dtype"])


def whole_prompts(run: dict[str, Any]) -> bool:
    return "chunk" not in run
