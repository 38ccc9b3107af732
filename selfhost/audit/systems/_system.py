"""What a module of this package provides: one system, and the reader of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    from re import Pattern
    from typing import Any

    Path = tuple[str, ...]
    # of keys, or patterns that a whole key matches
    Opened = tuple[str | Pattern[str], ...]


# behind the name of a machine that its system cannot reach
NOT_JUDGED = " is not judged: "


class RecordOrFault:
    """One machine of an answer: the `selfhost.machine/1` object, or the `fault` why there is none.

    `remedy` is what to do about the fault, `line` where it begins where that is another than that
    of the part which shows its end, `place` where it stands in a list.
    """

    __slots__ = ("fault", "line", "place", "record", "remedy")

    def __init__(
        self,
        record: dict[str, Any] | None = None,
        *,
        fault: str | None = None,
        remedy: str | None = None,
        line: int | None = None,
        place: str | None = None,
    ) -> None:
        self.record, self.fault, self.remedy, self.line = record, fault, remedy, line
        self.place = place


class Answers:
    """Reads the answers of one system, of all files of a run: what two of them say of one machine
    is joined.

    A module of this package has one subclass, which it calls `READER`. `system` is its name on
    the command line, `title` its name for people, `command` what gives an answer. `opened` are
    paths of lists and objects that may be long, whose items come one by one.
    """

    system = ""
    title = ""
    command = ""
    marks: tuple[str, ...] = ()
    opened: tuple[Opened, ...] = ()

    def __init__(self) -> None:
        # those that tell of machines which `rest` will give
        self.files: set[str] = set()
        # line and place of the part that is read
        self.at: tuple[int, str] = (1, "")

    def claims(self, path: Path, value: Any) -> bool:
        """Whether a part of a document shows that it is an answer of this system."""
        return False

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        """Whether a document of these members is one; lists that were opened are None."""
        return False

    def part(self, path: Path, value: Any, file: str) -> Iterable[RecordOrFault]:
        """What one part of an answer tells."""
        return ()

    def broken(self, value: Any) -> RecordOrFault:
        """The fault of an item that should tell of a machine and does not: no machine of an answer
        goes missing without a word.
        """
        return RecordOrFault(
            fault=f"is {kind_of(value)} that describes no machine of {self.title}",
            remedy=f"ask again (`{self.command}`), or take it out",
        )

    def not_judged(
        self,
        name: str | None,
        why: str,
        line: int | None = None,
        place: str | None = None,
        remedy: str = "bring it back and ask again, or take it out of the answer",
    ) -> RecordOrFault:
        """The fault of a machine that its system cannot reach or calls down. What it stated when it
        was last seen is not what it has; one rule for all systems.
        """
        return RecordOrFault(
            fault=f"{name or 'a machine'}{NOT_JUDGED}{why}",
            remedy=remedy,
            line=line,
            place=place,
        )

    def whole(self, members: Mapping[str, Any], file: str) -> Iterable[RecordOrFault]:
        """What the other parts of an answer tell, once it has ended."""
        return ()

    def claims_text(self, start: str) -> bool:
        """Whether a text that is no JSON and starts so is an answer of this system."""
        return False

    def line(self, text: str, file: str, number: int) -> Iterable[RecordOrFault]:
        """What one line of such a text tells; `number` counts from 1."""
        return ()

    def text_end(self, file: str) -> Iterable[RecordOrFault]:
        """What the last lines of such a text tell."""
        return ()

    def forget(self, file: str) -> None:
        """Drop what this file told of machines that `rest` would give: it is broken."""
        self.files.discard(file)

    def rest(self) -> Iterable[tuple[str, RecordOrFault]]:
        """Each machine that only all files together tell of, with the file of its first answer."""
        return ()


def kind_of(value: Any) -> str:
    """What a value of JSON is, with its article: `a string`."""
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else "a plain value"


def opens(paths: Iterable[Opened]) -> Callable[[Path], bool]:
    """Whether a path is one of those."""
    plain = {path for path in paths if all(isinstance(key, str) for key in path)}
    patterns = [path for path in paths if path not in plain]

    def is_opened(path: Path) -> bool:
        return path in plain or any(
            len(path) == len(pattern)
            and all(
                wanted == key if isinstance(wanted, str) else wanted.fullmatch(key) is not None
                for wanted, key in zip(pattern, path, strict=True)
            )
            for pattern in patterns
        )

    return is_opened
