"""Types and lint, so that one command checks everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.paths import ROOT

COMMANDS = {
    "types": ["mypy"],
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_quality(name: str) -> None:
    """The checker finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *COMMANDS[name]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
