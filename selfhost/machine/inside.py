"""Machines inside another, by words of a description: WSL in Windows, a container on a board."""

from __future__ import annotations

from ..core import units
from ..core.saying import option
from ..core.tables import shipped_table
from .profiles import UnknownMachineError
from .record import Machine

# words behind the one for a container that say nothing
_BESIDE_CONTAINER = frozenset(("desktop", "engine", "compose", "container", "on", "in", "a", "my"))


def inside_windows(machine: Machine, text: str) -> tuple[Machine, str | None]:
    """The virtual machine that a word in `text` says Windows runs beside itself, `wsl2 i7-12700h
    32gb`, on a computer that is described, and a note on it; the same and None for any other text.
    """
    words = set(shipped_table("products")["inside_windows"])
    total = machine.memory_total_bytes
    is_inside = not words.isdisjoint(text.lower().replace(",", " ").split())
    if not is_inside or machine.scope != "host" or total is None:
        return machine, None
    facts = {"memory_total_bytes": total // 2, "memory_limit_bytes": total // 2}
    why = "half of the RAM of the computer around it, the default of WSL"
    inside = machine.replace(
        **facts,
        scope="vm",
        system="linux",
        memory_most_bytes=None,
        assumed=tuple(dict.fromkeys((*machine.assumed, *facts))),
        sources={**machine.sources, **dict.fromkeys(facts, why)},
    )
    note = (
        f"WSL has half of the computer's RAM, {units.binary(total // 2)}, unless memory= in"
        " .wslconfig says more."
    )
    return inside, note


def around_container(text: str) -> str | None:
    """What a container runs on: `raspberry pi 5` of `docker on raspberry pi 5`; None where the text
    does not begin with a word for one, or says nothing else.
    """
    first, *rest = text.split() or [""]
    if first.lower() not in shipped_table("cloud_types")["stated"]["containers"]:
        return None
    while rest and rest[0].lower() in _BESIDE_CONTAINER:
        rest = rest[1:]
    return " ".join(rest) or None


def container_on(machine: Machine, text: str) -> tuple[Machine, str]:
    """A container without limits on that machine, and a note on it. Raises `UnknownMachineError`
    for one on a Mac: it runs in a virtual machine there, which reaches no GPU.
    """
    name = machine.name or "this machine"
    if machine.system == "macos":
        inner = around_container(text) or text
        raise UnknownMachineError(
            f"{text!r}: a container on a Mac runs in a virtual machine that reaches no GPU",
            remedy=f"name the Mac alone, for a program outside of it: {option('machine', inner)}",
        )
    inside = machine.replace(scope="container", name=f"a container on {name}")
    note = (
        f'"{text}" is judged as a container on {name}: it may use all of its memory and processors'
        " unless it is started with less."
    )
    return inside, note
