"""Machines by the names that people type: a known machine, a cloud's type, or a description."""

from __future__ import annotations

import re

from . import build, cloud, profiles
from .cloud import Described
from .gpu_names import UnknownGpuError, find_cards, shown
from .profiles import (
    NamedProfile,
    NotOneMachineError,
    Profile,
    UnknownMachineError,
    called,
    size_of,
)
from .record import Machine
from .understand import understand
from .words import BREAK, roles, tokens, words

_CANDIDATES = 8

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
    """The machine that `text` means: a profile by its name, the type that a cloud rents, a profile
    by words of its name, else a machine of the parts that the text names.

    Of several profiles that differ only in memory the smallest is taken. Raises
    `UnknownMachineError` where the text names no part, or can be several machines, and
    `MachineFileError` for a profile's faulty file.
    """
    named = called(text) or called(cloud.without_provider(text))
    if named is not None:
        return named
    if (described := cloud.rented(text)) is not None:
        return _as_profile(described)
    if (known := _known(text) or _guest_beside(text)) is not None:
        return known
    try:
        return _as_profile(build.described(understand(text)))
    except NotOneMachineError:
        raise
    except UnknownMachineError as error:
        near = profiles.unknown(text) if not error.remedy else None
        raise near or error from None
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{shown(text)!r}: {error}", nearest=error.nearest, remedy=error.remedy
        ) from None


def _guest_beside(text: str) -> NamedProfile | None:
    """A virtual machine by its name with other words behind, which are left aside."""
    parts = text.split()
    if not parts or "-" not in parts[0]:
        return None
    for end in range(len(parts) - 1, 0, -1):
        named = called(" ".join(parts[:end]))
        if named is not None and named.profile.kind in ("cloud", "ci"):
            note = f"Left aside: {' '.join(parts[end:])}."
            return named.replace(note=" ".join(filter(None, (named.note, note))))
    return None


def _known(text: str) -> NamedProfile | None:
    """The profile whose name has the words of the text; None where the text says something else."""
    idle = {*roles().idle, *words()["ram"], BREAK, *words()["disk"]} - roles().computers
    typed = [token.text for token in tokens(text)]
    without_ram = [word for word in typed if word not in words()["ram"] and word != BREAK]
    if (named := called(" ".join(without_ram))) is not None:
        return named
    typed = [
        word for word in typed if word not in idle and not re.fullmatch(r"(?:lp)?ddr\dx?", word)
    ]
    # a GPU's name may be that of a server with several
    matches = profiles.by_words(typed) if find_cards(text) is None else []
    if not matches:
        return None
    bases = {profiles.base_name(profile.name) for profile in matches}
    if len(bases) > 1:
        names = sorted(profile.name for profile in matches)
        raise NotOneMachineError(
            f"{text!r} can be {len(names)} machines",
            nearest=names[:_CANDIDATES],
            remedy=f"name one: {', '.join(names[:_CANDIDATES])}",
        )
    return _smallest_of(text, matches)


def _smallest_of(text: str, matches: list[Profile]) -> NamedProfile:
    """The smallest of profiles that differ in their sizes alone, with a note on the others; its
    RAM is assumed where the text does not tell it and others have more.
    """
    first, *others = sorted(matches, key=lambda profile: size_of(profile.machine))
    machine, note = first.machine, None
    sizes = [each.machine.memory_total_bytes or 0 for each in others]
    if machine.system == "macos" and not re.search(r"\d ?g", text.lower()):
        sizes += build.sizes_of_mac(machine)
    own = machine.memory_total_bytes or 0
    if max(sizes, default=own) > own:
        machine = machine.replace(
            assumed=(*machine.assumed, "memory_total_bytes"), memory_most_bytes=max(sizes)
        )
        names = ", ".join(profile.name for profile in others) or "its memory, as in 24GB"
        note = f'"{text}" does not tell the RAM: judged as {first.name}; otherwise name {names}.'
    return NamedProfile(profile=first.replace(machine=machine), note=note)


def _as_profile(described: Described) -> NamedProfile:
    """What was described by its parts, as if somebody had sold it."""
    machine = described.machine
    kind = "mac" if machine.system == "macos" else "desktop"
    profile = Profile(
        name=machine.name or described.title,
        title=described.title,
        kind=kind if machine.scope == "host" else "cloud",
        source=described.note,
        note=described.note,
        machine=machine,
    )
    return NamedProfile(profile=profile, note=described.note)
