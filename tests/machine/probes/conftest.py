"""Fixtures of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.recordings import LINUX, Build
from selfhost.machine.probes.recorded import RecordedHost


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A host of exactly these files, facts and variables."""
    numbers = iter(range(1000))

    def make(
        files: Any, env: Any = None, nvml: Any = None, **facts: Any
    ) -> RecordedHost:
        folder = tmp_path / str(next(numbers))
        for path, text in files.items():
            place = folder / path.replace(":", "%3A").lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "env.json").write_text(json.dumps(env or {}))
        facts |= {} if nvml is None else {"nvml": nvml}
        (folder / "facts.json").write_text(json.dumps(LINUX | facts))
        return RecordedHost(str(folder))

    return make
