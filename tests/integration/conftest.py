"""Tests that run the engines themselves: `pytest -m integration`. Where one is absent its tests are
skipped with the reason. `tests/data/engines` holds what they answered once, for the fast suite.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def selfhost_program(tmp_path: Path) -> str:
    """An executable that runs this checkout, as an installed `selfhost` would run."""
    program = tmp_path / "bin" / "selfhost"
    program.parent.mkdir()
    root = Path(__file__).resolve().parents[2]
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -P -m selfhost "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return str(program)
