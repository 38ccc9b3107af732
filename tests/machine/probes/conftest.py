"""Fixtures of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest

from helpers.recordings import LINUX, Build
from selfhost.machine.probes.recorded import RecordedHost


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A host of exactly these files, facts and variables."""
    numbers = count()

    def make(
        files: Mapping[str, str | bytes],
        env: Mapping[str, str] | None = None,
        nvml: object = None,
        **facts: object,
    ) -> RecordedHost:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        for path, content in files.items():
            place = folder / path.replace(":", "%3A").lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                place.write_bytes(content)
            else:
                place.write_bytes(content.encode())
        if nvml is not None:
            facts["nvml"] = nvml
        (folder / "env.json").write_text(json.dumps(env or {}))
        (folder / "facts.json").write_text(json.dumps(LINUX | facts))
        return RecordedHost(str(folder))

    return make
