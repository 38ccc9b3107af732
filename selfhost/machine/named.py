"""Machines by the names that people type: a known machine, a type that a cloud rents, or a
description, `i5-8250U 16GB`.
"""

from __future__ import annotations

from .described import described
from .profiles import machine_called
from .record import Machine
from .rented import has_unlisted_gpu, rented, without_provider
from .understand import read_description
from .words import BREAK, bad_name, tokens


def named(text: str) -> tuple[Machine, str | None]:
    """Return the machine that `text` means, with a note of other meanings and assumptions.

    The text is the name of a profile, the type that a cloud rents, or a description of parts.
    Raises `UnknownMachineError` where it names no part or can mean several machines, and
    `MachineFileError`.
    """
    machine, note = _machine_and_note(text)
    if note is None:
        return machine, None
    total = machine.sources.get("memory_total_bytes", machine.name)
    sources = {**machine.sources, "memory_total_bytes": f"{total} ({note})"}
    return machine.replace(sources=sources), note


def _machine_and_note(text: str) -> tuple[Machine, str | None]:
    """The machine, and the note about it. The note is None where the text means one machine and no
    more.
    """
    match = machine_called(text) or machine_called(without_provider(text))
    if match is None:
        match = rented(text)
    if match is None and has_unlisted_gpu(text):
        raise bad_name("unlisted_gpu", text)
    if match is None:
        # a profile in another spelling: `mac mini m4, 16 gb ram`
        words = [word.removesuffix("ram") for word in tokens(text) if word != BREAK]
        match = machine_called(" ".join(words))
    if match is None:
        return described(read_description(text))
    return match
