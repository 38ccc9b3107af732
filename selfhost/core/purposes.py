"""The purposes of a model, `chat`, `agent` and `documents`, and the requirements of each.

`specs/common/purposes.toml` states the values, with their sources. A `Workload` takes the values of
its purpose unless the user states others.
"""

from __future__ import annotations

from collections.abc import Mapping

from .records import Stated
from .tables import shipped_record

WORKLOAD_PURPOSES = ("chat", "agent", "documents")


class Purpose(Stated):
    """The values that one purpose sets in a workload. None: the purpose sets no value, and the
    default of the workload applies.

    `use`: the use that a model must have, as its spec names it.
    """

    context_tokens: int | None = None
    prompt_tokens: int | None = None
    max_wait_seconds: float | None = None
    use: str | None = None


class UsualPrompt(Stated):
    """A prompt of a usual length in tokens, and a description of that length in words: `a page`."""

    prompt_tokens: int
    what: str


class PurposesTable(Stated):
    """The whole file: each purpose by its name, and the prompts whose wait is always told."""

    schema: int
    wait: tuple[UsualPrompt, ...]
    purpose: Mapping[str, Purpose]


def purposes_table() -> PurposesTable:
    return shipped_record(PurposesTable, "purposes")
