"""What `--help` and refusals say, from `specs/common/help.toml`."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def help_text(key: str) -> Any:
    """Return one part of the table."""
    return shipped_table("help")[key]


def examples(command: str) -> str:
    """Return the examples of a command, a line each, under their heading."""
    return f"examples:\n{help_text('examples')[command]}\n"


def first_example(command: str) -> str:
    """Return the first line to type, without what is said beside it."""
    first: str = help_text("examples")[command].split("\n")[0]
    return first.strip().partition("  ")[0]


def exit_codes(command: str) -> str:
    """Return the exit codes of one command, a line each."""
    exits = help_text("exits")
    lines = (f"  {code}  {words}\n" for code, words in exits.get(command, exits["other"]).items())
    return "exit codes:\n" + "".join(lines)


def meant(kind: str, word: str, known: Iterable[str]) -> str | None:
    """Return the option or command (`kind` is "options" or "commands") that other programs call
    so; None where none of the `known` is.
    """
    named = [name for name, words in help_text(kind).items() if word in words]
    return next((name for name in named if name in known), None)
