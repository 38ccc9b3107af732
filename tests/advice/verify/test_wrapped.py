"""Logs with what containers and journals put before each line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from helpers.each import each
from helpers.paths import DATA
from selfhost.advice.verify import formats

# forms that stand in published logs: ollama/ollama#1365 (journald), docker compose, docker logs -t,
# containerd's files, kubectl logs --prefix, Docker's json-file, a quotation, Windows line ends
WRAPPED: dict[str, Callable[[str], str]] = {
    "journald": lambda line: "Dec 03 14:58:50 my-host serve[937]: " + line,
    "journald, ISO": lambda line: "2026-01-03T14:58:50+0100 my-host serve[937]: " + line,
    "compose": lambda line: "llama-1  | " + line,
    "docker -t": lambda line: "2026-01-03T14:58:50.123456789Z " + line,
    "containerd": lambda line: "2026-01-03T14:58:50.123456789Z stderr F " + line,
    "kubectl --prefix": lambda line: "[pod/vllm-0/server] " + line,
    "json-file": lambda line: json.dumps({"log": line + "\n", "stream": "stderr"}),
    "quoted": lambda line: "> " + line,
    "Windows": lambda line: line + "\r",
}
# a journal holds no object of several lines
SAMPLES = [
    path
    for path in sorted((DATA / "logs").glob("*.txt"))
    if path.stem not in ("answers-lm_studio_api", "answers-ollama_api")
]


@each("path", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_wrapped_log_tells_what_the_log_tells(path, wrap) -> None:  # type: ignore[no-untyped-def]
    text = path.read_text("utf-8")
    wrapped = "".join(f"{wrap(line)}\n" for line in text.splitlines())
    assert formats.run_of(wrapped) == formats.run_of(text)


def test_a_table_is_no_prefix() -> None:
    """A chat that only speaks of a log stays as it is."""
    from selfhost.advice.verify.wrapped import unwrapped

    text = (DATA / "logs" / "llama_bench-table.txt").read_text("utf-8")
    assert unwrapped(text) == text
    assert unwrapped("") == ""
