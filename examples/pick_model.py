"""The largest model of the catalogue that this machine runs, for your own program.

python examples/pick_model.py [MACHINE.json]
"""

from __future__ import annotations

import sys

from selfhost import Machine, Workload, check

CANDIDATES = (
    "qwen2.5-72b-instruct",
    "qwen3-32b",
    "gpt-oss-20b",
    "qwen3-14b",
    "qwen3-8b",
    "qwen3-4b",
    "qwen3-0.6b",
)


def pick(machine: Machine | None = None) -> str | None:
    """The first candidate that runs with a context of 8,192 tokens, None when none does."""
    machine = machine or Machine.read()
    for name in CANDIDATES:
        verdict = check(name, Workload(context_tokens=8192), machine=machine)
        if verdict.can_run:
            return name
    return None


if __name__ == "__main__":
    found = pick(Machine.from_file(sys.argv[1]) if len(sys.argv) > 1 else None)
    print(found or "none of the candidates runs here")
