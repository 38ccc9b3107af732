"""The Kubernetes manifests, held by the schemas of the API's own releases."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES
from helpers.programs import need

MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_manifests(path: Path, version: str) -> None:
    """Strictly: a key that the API does not have is an error."""
    need("kubernetes-validate")
    words = ["kubernetes-validate", "--strict", "-k", version, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
