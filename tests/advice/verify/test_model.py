"""Which model a run was of."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfhost.advice.verify.model import identify
from selfhost.advice.verify.run import Run
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError, UnknownModelError


def test_a_run_of_another_size_than_the_typed_model_is_refused() -> None:
    """llama-bench prints 7.25 B of Mistral 7B v0.3 and 8.03 B of Llama 3.1 8B: no figure of the one is one of the other."""
    run = Run(tool="x", architecture="llama", parameters=8_030_000_000)
    catalogue = open_catalogue()
    assert identify(run, catalogue, "llama3.1:8b").note is None
    assert identify(run.replace(parameters=None), catalogue, "llama3.1:8b").note is None
    with pytest.raises(SelfhostError, match=r"it had 7\.25 B") as caught:
        identify(run.replace(parameters=7_250_000_000), catalogue, "llama3.1:8b")
    assert "NAME" in (caught.value.remedy or "")


def test_a_file_that_is_here_is_read(tmp_path: Path) -> None:
    """The file itself knows better than any name."""
    path = tmp_path / "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    identity = identify(Run(tool="x", file=str(path)), open_catalogue(), None)
    assert (identity.by, identity.is_path) == ("file", True)


@pytest.mark.parametrize(
    "run",
    [
        Run(tool="x"),
        Run(tool="x", architecture="qwen3", parameters=8_190_000_000),
        Run(tool="x", file="a\0b.gguf"),
    ],
)
def test_a_run_that_tells_nothing_asks_for_a_name(run: Run) -> None:
    """The remedy is the option."""
    with pytest.raises(UnknownModelError) as caught:
        identify(run, open_catalogue(), None)
    assert "--model" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("run", "by"),
    [
        (
            Run(tool="x", file="C:\\m\\Mistral-7B-Instruct-v0.3-Q4_K_M-00001-of-00002.gguf"),
            "file-name",
        ),
        (Run(tool="x", file="sha256-0011", name="Mistral-7B-Instruct-v0.3"), "name"),
    ],
)
def test_a_name_that_the_run_tells(run: Run, by: str) -> None:
    """The file's name goes before the one inside it; either may be of any path."""
    identity = identify(run, open_catalogue(), None)
    assert identity.by == by
    assert identity.model.lower().startswith("mistral-7b-instruct-v0.3")
