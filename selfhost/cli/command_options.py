"""The options of a command line, typed: what a command reads, and of which type it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Self

from .parser import parse


class CommandOptions(argparse.Namespace):
    """The options that most commands have. A subclass adds those of its own command; which options
    a command takes stands in `specs/common/options.toml`.

    `output` is None for standard output. `notes` say what else the name of the machine can mean:
    `output.deliver` writes them to standard error behind the report.
    """

    format: str
    output: str | None
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
        return cls(**vars(parse(command, words)))

    def take_notes(self) -> tuple[str, ...]:
        """The notes, for an answer that holds them itself: none is left for standard error."""
        notes = self.notes
        self.notes = ()
        return notes
