"""A line holds the program to what was judged."""

from __future__ import annotations

from selfhost import Workload, check
from selfhost.machine.named import machine_named


def test_ollama_is_told_a_context_that_it_would_not_take() -> None:
    """4,096 tokens is its default below 24 GiB of GPU memory, 32,768 above."""
    asked = Workload(runtime="ollama", context_tokens=4096)
    assert len(check("mistral:7b", asked, machine="desktop-rtx3060-12gb").commands) == 1
    first, then = check("mistral:7b", asked, machine="desktop-rtx4090-24gb").commands
    # after the installer a service has port 11434 (ollama/ollama issue 707)
    own = "OLLAMA_HOST=127.0.0.1:11435"
    assert first == f"{own} OLLAMA_CONTEXT_LENGTH=4096 ollama serve"
    assert then == f"{own} ollama run mistral:7b"
    first, _ = check(
        "mistral:7b",
        Workload(runtime="ollama", context_tokens=2048),
        machine="desktop-rtx3060-12gb",
    ).commands
    assert first == f"{own} OLLAMA_CONTEXT_LENGTH=2048 ollama serve"


def test_ollama_cuts_its_context_to_that_of_the_model() -> None:
    """A model trained for 512 tokens needs no server of its own beside the service, whatever its context."""
    for name in ("desktop-rtx3060-12gb", "desktop-rtx4090-24gb"):
        commands = check("mxbai-embed-large-v1", Workload(runtime="ollama"), machine=name).commands
        assert commands == ("ollama run mxbai-embed-large:335m 'Hello'",)


def test_the_server_keeps_as_many_copies_as_are_counted() -> None:
    """Without --ctx-checkpoints it keeps 32 (common/common.h); the line says 3, so the note goes."""
    verdict = check(
        "qwen3.5-4b",
        Workload(runtime="llama.cpp", quantization="Q4_K_M"),
        machine="desktop-rtx3060-12gb",
    )
    assert "--ctx-checkpoints 3" in verdict.commands[0]
    assert not any("after many turns" in note for note in verdict.notes)


def test_ollamas_own_context_is_left_where_it_does_no_harm() -> None:
    """A second server is for what the service would not run alike. The context of a GPU below 24 GB
    is the judged one; a context that was asked for is no other.
    """
    large = machine_named("M4 Max 128GB")
    answer = check("llama3.1:8b", machine=large)
    assert answer.commands == ("ollama run llama3.1:8b",)
    # Meta's config.json: max_position_embeddings
    assert "131,072 tokens of context" in answer.setup[-1]
    assert check("llama3.1:8b", machine=machine_named("M2 16GB")).commands == answer.commands
    assert len(check("llama3.1:8b", Workload(context_tokens=4096), machine=large).commands) == 2
