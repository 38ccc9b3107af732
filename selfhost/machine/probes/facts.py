"""What the probes have read so far: values, where each was read, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable

from ...core.records import Record, Unread
from ..record import MAX_CORES, MAX_MEMORY_BYTES, MIN_CORES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


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

    def miss(self, fact: str, reason: str, remedy: str | None = None) -> None:
        """Why a fact is None, and what a person can do about it."""
        self.unread[fact] = Unread(fact=fact, reason=reason, remedy=remedy)

    def miss_unless_known(self, fact: str, reason: str) -> None:
        """`miss`, for a fact that has neither a value nor a reason."""
        if fact not in self.values and fact not in self.unread:
            self.miss(fact, reason)

    def map_texts(self, change: Callable[[str], str]) -> None:
        """Make `change` to every text that may be shown."""
        for texts in (self.values, self.sources, self.unread):
            texts.update({fact: _mapped(value, change) for fact, value in texts.items()})


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    if isinstance(value, Record):
        shown = {name: getattr(value, name) for name in type(value)._fields}
        texts = {name: text for name, text in shown.items() if isinstance(text, str)}
        return value.replace(
            **{name: change(text) for name, text in texts.items() if name not in ("fact", "remedy")}
        )
    return value
