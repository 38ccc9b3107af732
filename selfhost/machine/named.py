"""Machines by the names that people type: a known machine, a cloud's type, or a description."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import build, cloud, profiles
from .cloud import Described
from .gpu_names import UnknownGpuError, find_cards, shown
from .profiles import (
    NamedProfile,
    NotOneMachineError,
    Profile,
    UnknownMachineError,
    called,
    refusal,
    size_of,
)
from .ram import StatedRam, with_ram
from .record import Machine
from .roles import roles, words
from .understand import understand
from .words import BREAK, NUMBERED, is_kind_of_ram, tokens

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
    if (named := _known(text) or _hosted(text)) is not None:
        return named
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


def _hosted(text: str) -> NamedProfile | None:
    """A virtual machine by its name, `ubuntu-24.04`; other words around it are left aside."""
    parts = text.split()
    for at, part in enumerate(parts):
        named = called(part) if "-" in part else None
        if named is not None and named.profile.kind in ("cloud", "ci"):
            left = f"Left aside: {' '.join([*parts[:at], *parts[at + 1 :]])}."
            return named.replace(note=" ".join(filter(None, (named.note, left))))
    return None


def _known(text: str) -> NamedProfile | None:
    """The profile whose name has the words of the text, with the bandwidth of the RAM that it
    states; None where the text says something else.
    """
    typed = [token.text for token in tokens(text)]
    numbers = {match[2]: int(match[1]) for match in map(NUMBERED.fullmatch, typed) if match}
    ram = StatedRam(
        kind=next(filter(is_kind_of_ram, typed), None),
        mts=numbers.get("mts"),
        channels=numbers.get("channels"),
        sticks=numbers.get("sticks"),
    )
    without_ram = [word for word in typed if word not in words()["ram"] and word != BREAK]
    if (named := called(" ".join(without_ram))) is not None:
        return named
    idle = {*roles().idle, *words()["disk"]} - roles().computers
    of_ram = re.compile(r"(?:lp)?ddr\d[xl]?|\d+(?:mts|channels|sticks)")
    telling = [word for word in without_ram if word not in idle and not of_ram.fullmatch(word)]
    matches = profiles.by_words(telling)
    # a GPU's name may be in that of a server with several
    if not matches or find_cards(text) is not None:
        return None
    if len({profiles.base_name(profile.name) for profile in matches}) > 1:
        names = sorted(profile.name for profile in matches)
        near = names[:_CANDIDATES]
        raise refusal("machines", text, near, count=len(names), names=", ".join(near))
    named = _smallest_of(text, matches)
    machine, note = with_ram(named.profile.machine, ram)
    notes = " ".join(filter(None, (named.note, note)))
    return NamedProfile(profile=named.profile.replace(machine=machine), note=notes or None)


def _smallest_of(text: str, matches: Sequence[Profile]) -> NamedProfile:
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
        assumed = (*machine.assumed, "memory_total_bytes")
        machine = machine.replace(assumed=assumed, memory_most_bytes=max(sizes))
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
