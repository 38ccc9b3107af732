"""What a module of this package provides: `READER`, the reader of one system's answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...core.files import Unreadable
from ...core.json_text import Entry as Entry
from ._facts import table_of

# behind the name of a machine that its system cannot reach
NOT_JUDGED = " is not judged: "


class Answers:
    """Reads the answers of one `system`, of all files of a run: what two of them say of one machine
    is joined. Its title, command and marks are those of `specs/common/systems.toml`.
    """

    system = ""

    def __init__(self) -> None:
        table = table_of(self.system)
        self.title: str = table["title"]
        self.command: str = table["command"]
        # files that tell of machines which `rest` will give
        self.files: set[str] = set()

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        """The machines of a JSON document; None where it is no answer of this system."""
        return None

    def read_text(self, text: str, file: str) -> list[Entry] | None:
        """The machines of a text that is no JSON; None where it is no answer of this system."""
        return None

    def rest(self) -> Iterable[tuple[str, Entry]]:
        """Each machine that only all files together tell of, with the file of its first answer."""
        return ()

    def broken(self, value: Any, place: str) -> Entry:
        """The fault of an item that should tell of a machine and does not: no machine of an answer
        goes missing without a word.
        """
        reason = f"is {kind_of(value)} that describes no machine of {self.title}"
        remedy = f"ask again (`{self.command}`), or take it out"
        return Entry(fault=Unreadable(reason, remedy), place=place)


def not_judged(
    name: str | None,
    why: str,
    remedy: str = "bring it back and ask again, or take it out of the answer",
    *,
    line: int | None = None,
    place: str | None = None,
) -> Entry:
    """The fault of a machine that its system cannot reach or calls down. What it stated when it
    was last seen is not what it has; one rule for all systems.
    """
    fault = Unreadable(f"{name or 'a machine'}{NOT_JUDGED}{why}", remedy)
    return Entry(fault=fault, line=line, place=place)


def blocks(text: str, starts: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The pieces of a text that begin there, each with its line."""
    line, counted = 1, 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        line, counted = line + text.count("\n", counted, start), start
        yield line, text[start:end]


def kind_of(value: Any) -> str:
    """What a value of JSON is, with its article: `a string`."""
    kinds = ((str, "a string"), (Mapping, "an object"), (list, "a list"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a plain value")
