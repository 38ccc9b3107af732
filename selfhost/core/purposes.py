"""What a model is wanted for: `chat`, `agent` or `documents`, and what each of them asks for.

`specs/common/purposes.toml` states the values, with their sources. A `Workload` takes those that
nobody stated.
"""

from __future__ import annotations

from collections.abc import Mapping

from .records import Stated
from .tables import shipped_record

WORKLOAD_PURPOSES = ("chat", "agent", "documents")


class Purpose(Stated):
    """What one purpose asks for. None: the default of the workload, or nothing.

    `use`: what a model must be able to do, as its spec names it.
    """

    context_tokens: int | None = None
    prompt_tokens: int | None = None
    max_wait_seconds: float | None = None
    use: str | None = None


class UsualPrompt(Stated):
    """A prompt of a usual length, and what it is in words: `a page`."""

    prompt_tokens: int
    what: str


class PurposesTable(Stated):
    """The whole file: each purpose by its name, and the prompts whose wait is always told."""

    schema: int
    wait: tuple[UsualPrompt, ...]
    purpose: Mapping[str, Purpose]


def purposes_table() -> PurposesTable:
    return shipped_record(PurposesTable, "purposes")
