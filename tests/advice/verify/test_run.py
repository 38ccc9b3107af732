"""A running process as a run, and which model a run was of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from selfhost.advice.verify import run as module
from selfhost.advice.verify.run import Run, identify, run_of_process
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError, UnknownModelError
from selfhost.machine.record import Process

MIB = 1 << 20


def seen(words: str, **values: Any) -> Process:
    fields: dict[str, Any] = {
        "words": tuple(words.split()),
        "anonymous_bytes": 170 * MIB,
        "file_bytes": 390 * MIB,
        "model_file": "/nowhere/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        "model_bytes": 374 * MIB,
    }
    return Process(**{**fields, **values})


def test_a_server_by_its_options_and_kinds_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long and short names, with = or apart; the last counts; what follows another option is no flag.
    The model's file apart from all else; -c is for all sequences together.
    """
    words = (
        "llama-server --model=a.gguf -c 9 -c 8192 -np 2 -t 4 -ngl 99 -ctk q8_0 -ctv q8_0 --alias -c"
    )
    monkeypatch.setattr(module, "process", lambda _number: seen(words))
    run = run_of_process("1")
    told = (run.context_tokens, run.parallel, run.threads, run.gpu_layers, run.kv_cache_type)
    assert told == (4096, 2, 4, 99, "q8_0")
    assert {item.term: item.bytes // MIB for item in run.memory} == {
        "model_file": 374,
        "everything_else": 186,
        "total": 560,
    }


def test_of_python_the_memory_is_that_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command line tells no more."""
    python = seen("/usr/bin/python3.11 chat.py", model_file=None, model_bytes=0)
    monkeypatch.setattr(module, "process", lambda _number: python)
    run = run_of_process("1")
    assert run.runtime == "transformers"
    assert [(item.term, item.bytes // MIB) for item in run.memory] == [("total", 560)]


def test_a_process_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As is one that is not there."""
    monkeypatch.setattr(
        module, "process", lambda _number: seen("bash", model_file=None, model_bytes=0)
    )
    with pytest.raises(SelfhostError, match="no GGUF file"):
        run_of_process(str(os.getpid()))
    monkeypatch.setattr(module, "process", lambda _number: None)
    with pytest.raises(SelfhostError, match="cannot be read"):
        run_of_process("4194305")


def test_a_run_of_another_size_than_the_typed_model_is_refused() -> None:
    """llama-bench prints 7.25 B of Mistral 7B v0.3 and 8.03 B of Llama 3.1 8B: no figure of the one is one of the other."""
    run = Run(tool="x", parameters=8_030_000_000)
    catalogue = open_catalogue()
    for same in (run, run.replace(parameters=None)):
        assert identify(same, catalogue, "llama3.1:8b").model == "llama3.1:8b"
    with pytest.raises(SelfhostError, match=r"it had 7\.25 B") as caught:
        identify(run.replace(parameters=7_250_000_000), catalogue, "llama3.1:8b")
    assert "NAME" in (caught.value.remedy or "")


def test_a_file_that_is_here_is_read(tmp_path: Path) -> None:
    """The file itself knows better than any name."""
    path = tmp_path / "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    identity = identify(Run(tool="x", file=str(path)), open_catalogue(), None)
    assert (identity.by, identity.model) == ("file", path)


@pytest.mark.parametrize(
    "run",
    [
        Run(tool="x"),
        Run(tool="x", parameters=8_190_000_000),
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
    assert str(identity.model).lower().startswith("mistral-7b-instruct-v0.3")
