"""A running process as a run."""

from __future__ import annotations

import os
from typing import Any

import pytest

from selfhost.advice.verify import process as module
from selfhost.advice.verify.process import options_of, run_of_process
from selfhost.core.errors import SelfhostError
from selfhost.machine.record import Process

MIB = 1 << 20


def test_options_of_a_command_line() -> None:
    """Long and short names, with = or apart; the last counts; what follows another option is no flag."""
    words = "llama-server --model=a.gguf -m b.gguf -c 8192 -np 4 -ngl 99 -ctk q8_0 -ctv q8_0 --no-mmap --alias -c"
    assert options_of(words.split()) == {
        "model": "b.gguf",
        "context": "8192",
        "parallel": "4",
        "layers": "99",
        "keys": "q8_0",
        "values": "q8_0",
    }


def seen(words: str, **values: Any) -> Process:
    fields: dict[str, Any] = {
        "words": tuple(words.split()),
        "anonymous_bytes": 170 * MIB,
        "file_bytes": 390 * MIB,
        "model_file": "/nowhere/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        "model_bytes": 374 * MIB,
    }
    return Process(**{**fields, **values})


def test_memory_of_a_server_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's file apart from all else; -c is for all sequences together."""
    server = seen("llama-server -m x.gguf -c 8192 -np 2 -t 4")
    monkeypatch.setattr(module, "process", lambda _number: server)
    run = run_of_process("1")
    assert (run.context_tokens, run.parallel, run.threads, run.kv_cache_type) == (4096, 2, 4, "f16")
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
