"""The words with which people describe machines, by role: `specs/common/words.toml`.

It loads no regular expressions, for every judgement looks up GPUs and processors by such words.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core.records import Record
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class Roles(Record):
    """The sets of words that several steps ask for."""

    idle: frozenset[str]
    gpu_idle: frozenset[str]
    left_out: frozenset[str]
    forms: frozenset[str]
    unsaid: frozenset[str]
    cards: frozenset[str]
    computers: frozenset[str]


def words() -> Mapping[str, Any]:
    """The whole table. Raises `SpecError` where the installation lacks it."""
    return shipped_table("words")


@lru_cache(1)
def roles() -> Roles:
    """The words of each role."""
    table = words()
    values: dict[str, Any] = {role: frozenset(table[role]) for role in Roles._fields}
    return Roles(**values)
