"""Other programs that a test needs."""

from __future__ import annotations

import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test where a program is absent."""
    if absent := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(absent)} absent")
