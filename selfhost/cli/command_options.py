"""The options of a command line, typed: what a command reads, and of which type it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from .parser import Options, parse


class CommandOptions(Options):
    """The options that most commands have. A subclass adds those of its own command; which options
    a command takes stands in `specs/common/options.toml`.

    `notes` say what else the name of the machine can mean: `output.deliver` writes them to standard
    error behind the report.
    """

    format: str
    no_color: bool
    verbose: bool
    specs: list[str]
    machine: str | None
    gpu: list[str]
    set: list[str]
    measure: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, command: str, words: Sequence[str]) -> Self:
        """The options in the words of a command line. Raises `UsageError`."""
        options = cls()
        vars(options).update(vars(parse(command, words)))
        return options

    def take_notes(self) -> tuple[str, ...]:
        """The notes, for an answer that holds them itself: none is left for standard error."""
        notes = self.notes
        self.notes = ()
        return notes
