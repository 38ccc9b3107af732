"""Machines by the names that people type: a known machine, a cloud's type, or a description."""

from __future__ import annotations

from . import build, cloud
from .profiles import (
    NamedProfile,
    NotOneMachineError,
    called,
)
from .record import Machine
from .roles import words
from .understand import understand
from .words import BREAK, tokens

__all__ = ["NotOneMachineError", "machine_named", "noted_machine", "profile_named"]


def machine_named(text: str) -> Machine:
    """The machine of `profile_named`; its note stands in `machine.sources`."""
    return noted_machine(profile_named(text))


def noted_machine(named: NamedProfile) -> Machine:
    """The profile's machine, with the note in its sources."""
    machine = named.profile.machine
    if named.note is None:
        return machine
    total = machine.sources.get("memory_total_bytes", machine.name)
    sources = {**machine.sources, "memory_total_bytes": f"{total} ({named.note})"}
    return machine.replace(sources=sources)


def profile_named(text: str) -> NamedProfile:
    """The machine that `text` means: a profile by its name, the type that a cloud rents, else a
    machine of the parts that the text names.

    Raises `UnknownMachineError` where the text names no part, or can be several machines, and
    `MachineFileError` for a profile's faulty file.
    """
    named = called(text) or called(cloud.without_provider(text))
    if named is not None:
        return named
    if (named := cloud.rented(text)) is not None:
        return named
    without_ram = [t.text for t in tokens(text) if t.text not in (*words()["ram"], BREAK)]
    if (named := called(" ".join(without_ram))) is not None:
        return named
    return build.described(understand(text))
