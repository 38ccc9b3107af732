"""What the probes have read so far: values, where each was read, and what could not be read."""

from __future__ import annotations

from ...core.records import Record, Unread
from ..record import MAX_CORES, MAX_MEMORY_BYTES, MIN_CORES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# bytes, and where they were read
Size = tuple[int, str]


class Facts:
    """Values and sources by fact, and why others are None."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.unread: dict[str, Unread] = {}

    def put(self, fact: str, value: Any, source: str) -> None:
        """A value and where it was read. A size or a number of CPUs that no machine has is
        taken as not read.
        """
        if fact.endswith("_bytes") and not 0 <= value <= MAX_MEMORY_BYTES:
            self.miss(fact, f"{source} gives a size no machine has")
        elif fact.startswith("cpu_cores_") and not MIN_CORES <= value <= MAX_CORES:
            self.miss(fact, f"{source} gives a number of CPUs no machine has")
        else:
            self.values[fact] = value
            self.sources[fact] = source

    def note(self, fact: str, source: str) -> None:
        """Where a part of a value was read, for example one disk."""
        self.sources[fact] = source

    def miss(self, fact: str, reason: str, remedy: str | None = None) -> None:
        """Why a fact is None, and what a person can do about it."""
        self.unread[fact] = Unread(fact=fact, reason=reason, remedy=remedy)

    def settled(self, fact: str) -> bool:
        """Whether the fact has a value or a reason."""
        return fact in self.values or fact in self.unread

    def map_texts(self, change: Any) -> None:
        """Make `change` to every text that may be shown."""
        self.values = {fact: _mapped(value, change) for fact, value in self.values.items()}
        self.sources = {fact: change(source) for fact, source in self.sources.items()}
        self.unread = {fact: _mapped(entry, change) for fact, entry in self.unread.items()}


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    if isinstance(value, Record):
        texts = {
            name: change(text)
            for name in type(value)._fields
            if isinstance(text := getattr(value, name), str) and name not in ("fact", "remedy")
        }
        return value.replace(**texts)
    return value
