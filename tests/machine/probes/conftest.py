"""Fixtures of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.recordings import LINUX
from selfhost.machine.probes.recorded import RecordedHost


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., RecordedHost]:
    """A host of exactly these files, facts and variables."""
    numbers = iter(range(1000))

    def make(
        files: dict[str, str], env: dict[str, str] | None = None, **facts: Any
    ) -> RecordedHost:
        folder = tmp_path / str(next(numbers))
        for path, text in files.items():
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "env.json").write_text(json.dumps(env or {}))
        (folder / "facts.json").write_text(json.dumps({**LINUX, **facts}))
        return RecordedHost(str(folder))

    return make
