"""Models that transformers was measured with, in `truth/transformers.json`."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.paths import COMMON, TRUTH
from selfhost.catalogue.spec import Architecture, ModelSpec
from selfhost.modelfiles.config import read_config
from selfhost.needs.tensors import ArchitectureRow, row_of


@cache
def truth() -> Any:
    """`shapes`: of another processor, and none that a rule was made from but those of its products."""
    found, shapes = (
        json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("transformers", "transformers_avx512")
    )
    models = {**found["models"], **shapes["models"]}
    sets = tuple(shapes["about"]["instruction_sets"])
    return {
        **found,
        "models": models,
        "shapes": [*shapes["generate"], *shapes["encode"]],
        "shapes_sets": sets,
    }


@cache
def rows() -> Any:
    return tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))


@cache
def spec(name: str) -> ModelSpec:
    """As `selfhost check ./config.json` reads the file that the measured model was saved with."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(truth()["models"][name]), encoding="utf-8")
        found = read_config(str(path), rows()).spec
    if name.startswith("embeddinggemma") and found.architecture is not None:
        # as the catalogue has it; its file is that of a Gemma 3 but for one key
        found = found.replace(architecture=found.architecture.replace(row="gemma-embedding"))
    return found


@cache
def model(name: str) -> tuple[Architecture, ArchitectureRow]:
    architecture = spec(name).architecture
    assert architecture is not None
    row = row_of(architecture, rows())
    assert row is not None
    return architecture, row
