"""Machines by the names that people type: a known machine, a type that a cloud rents, or a
description, `i5-8250U 16GB`.
"""

from __future__ import annotations

import re

from .described import described
from .description import read_description
from .profiles import NotedMachine, machine_called
from .rented import has_unlisted_gpu, rented, without_provider
from .words import BREAK, bad_name, tokens

# three times as many as the longest description that is read; the expressions below take seconds
# for a text of a million
_MOST_LETTERS = 2_000
_STANDARD = re.compile("^standard[_ -]", re.ASCII | re.IGNORECASE)


def named(text: str) -> NotedMachine:
    """Return the machine that `text` means, with a note on other meanings and assumptions. The note
    also stands in the source of the memory.

    The text is the name of a profile, the type that a cloud rents, or a description of parts.
    Raises `UnknownMachineError` where it names no part or can mean several machines, and
    `MachineFileError`.
    """
    machine, note = _noted_machine(text)
    if note is None:
        return NotedMachine(machine, None)
    memory = machine.sources.get("memory_total_bytes", machine.name)
    sources = {**machine.sources, "memory_total_bytes": f"{memory} ({note})"}
    return NotedMachine(machine.replace(sources=sources), note)


def _noted_machine(text: str) -> NotedMachine:
    """The machine that `named` returns, without the note in its sources."""
    if len(text) > _MOST_LETTERS:
        raise bad_name("long", text)
    plain = without_provider(text)
    found = machine_called(text) or machine_called(plain) or rented(text)
    if found is None:
        # the profiles of Azure's types leave out the first word of their names
        found = machine_called(_STANDARD.sub("", plain))
    if found is not None:
        return found
    if has_unlisted_gpu(text):
        raise bad_name("unlisted_gpu", text)
    # a profile in another spelling: `mac mini m4, 16 gb ram`
    typed = [word for word in tokens(text) if word != BREAK]
    words = [word.removesuffix("ram") for word in typed]
    found = machine_called(" ".join(words))
    if found is not None:
        # the size in the name of such a profile is a GPU's: `desktop-rtx4090-24gb`
        is_size_of_gpu = bool(found.machine.own_memory_cards)
        if words == typed or not is_size_of_gpu:
            return found
    return described(read_description(text))
