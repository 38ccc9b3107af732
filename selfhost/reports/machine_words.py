"""The machine in words: where a model would run, how that machine came to be known, its facts."""

from __future__ import annotations

from ..core import units
from ..machine.record import Disk, Machine
from ..needs.records import Needs
from .labels import LABELS

# where the computer that asks is
HERE = "here"
# where a model is held, in a word
PLACES = {"host": "RAM", "accelerator": "GPU", "split": "GPU+RAM"}
_DISK_FIELDS = frozenset(Disk.__annotations__)


def place_words(machine: Machine) -> str:
    """HERE of the computer that asks, as it is, or `on` with its name."""
    if machine.is_this_one and not machine.planning:
        return HERE
    return f"on {machine.name}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    if machine.is_this_one:
        disk = ", and a disk that is large enough" if "disks" in machine.assumed else ""
        return f"Not your machine as it is: with what you stated{disk}."
    doubt = ""
    if machine.confidence not in (None, "high"):
        doubt = f" (figures of {machine.confidence} confidence)"
    return f"A machine from the catalogue{doubt}. All of its memory counts as free."


def memory_words(needs: Needs | None) -> str:
    """What it likely takes where that decides: on the GPUs that hold all of it, else in all."""
    if needs is None or needs.memory is None:
        return ""
    places = needs.memory.places
    if needs.placement == "accelerator":
        places = tuple(place for place in places if place.where != "host")
    return units.binary(sum(place.total_bytes for place in places))


def fact_label(fact: str) -> str:
    """A fact in a reader's words: `disks.ollama.free_bytes` is of the disk of ollama."""
    if fact in LABELS.facts:
        return LABELS.facts[fact]
    kind, _, rest = fact.partition(".")
    if kind == "disks" and rest:
        purpose, _, field = rest.rpartition(".")
        if field in _DISK_FIELDS:
            return f"disk of {purpose}"
        return f"disk of {rest}"
    if kind == "accelerators" and rest:
        name = rest.removesuffix("_bytes").removesuffix("_total").replace("_", " ")
        return f"GPU {name}"
    return fact.replace("_", " ")
