"""The screen of `machine`: the facts that were read, the facts that could not be read, and known
machines.

A `Machine` goes in, or several profiles of machines, and blocks come out. Other screens take from
this module the list of unread facts, and the two cells with the memory of a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TypeVar

from ..core import units
from ..core.records import brief
from ..machine.cpus import written_name
from ..machine.profiles import Profile
from ..machine.record import Accelerator, Disk, Machine, PresentModel
from .labels import LABELS
from .layout import (
    Block,
    Blocks,
    Hint,
    Table,
    known_figure,
    line,
    section,
    strong,
    texts,
    topics,
)
from .words import fact_label, limit_words_of, rate_words

Thing = TypeVar("Thing")
# so many lines of each label are on the first screen; the rest is under `-v`
_SHOWN = 3
# the first screen names so many facts that were not read
_FIRST_UNREAD = 2
_NOT_READ = "not read"
_NONE_FOUND = "none found"


def machine_document(machine: Machine, *, verbose: bool = False) -> Blocks:
    """Yield the parts of a machine that models can use; `verbose` lists every fact with its
    source.
    """
    known = filter(None, (machine.system, machine.architecture, machine.scope))
    place = ", ".join(known)
    if place:
        place = f": {place}"
    yield line(strong(machine.name), place)
    labels = ", ".join(f"{key}={value}" for key, value in machine.labels.items())
    yield from texts([brief(labels)], indent=0)
    if verbose:
        if machine.read_at:
            yield line(f"read {machine.read_at}")
        yield line()
        yield from _every_fact(machine)
        return
    yield line()
    yield Table.of("machine", _rows(machine))
    same = ""
    if machine.planning and not machine.is_this_one:
        assumed = dict.fromkeys(map(fact_label, machine.assumed))
        yield from section("Assumed", texts([", ".join(assumed)]))
        same = " with the same --machine"
    else:
        yield from unread_blocks(machine, most=_FIRST_UNREAD)
    yield line()
    runs = Hint("What runs on it: ", "selfhost list", same, shows="list")
    yield line(runs, " · ", Hint("sources of each fact: ", "-v"))


def _rows(machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield a row for each line, with the label before the first line of a kind. After three lines
    of a kind, a row counts the others.
    """
    for label, lines in _parts(machine).items():
        first = label
        for text in lines[:_SHOWN]:
            yield first, text
            first = ""
        if len(lines) > _SHOWN:
            yield "", Hint(f"{len(lines) - _SHOWN} more: ", "-v")


def _parts(machine: Machine) -> dict[str, list[str]]:
    """The parts of a machine by their labels, with a line for each thing of a kind."""
    parts = {
        "memory": _memory_lines(machine),
        "processor": _processor_lines(machine),
        "GPU": _lines(machine.accelerators, _accelerator, "none"),
    }
    if machine.planning and machine.runtimes is None:
        # no files were searched for a machine that is only described
        return parts
    parts["disk"] = _disk_lines(machine.disks)
    names = _lines(machine.runtimes, attrgetter("id"), _NONE_FOUND)
    parts["runtimes"] = [", ".join(dict.fromkeys(names))]
    parts["models"] = _lines(machine.models_present, _model, _NONE_FOUND)
    return parts


def _lines(
    things: Sequence[Thing] | None,
    describe: Callable[[Thing], str],
    absent: str,
) -> list[str]:
    """A line for each thing, or `absent` where there is none. `things` of None were not read."""
    if things is None:
        return [_NOT_READ]
    return list(map(describe, things)) or [absent]


def _memory_lines(machine: Machine) -> list[str]:
    """The lines on memory: available and whole size, its limit, and its bandwidth."""
    limit_bytes = machine.memory_limit_bytes
    total_bytes = machine.memory_total_bytes
    sizes = []
    if machine.memory_available_bytes is not None:
        sizes.append(f"{units.binary(machine.memory_available_bytes)} available")
    if limit_bytes is not None:
        sizes.append(units.binary(limit_bytes))
    elif total_bytes is not None:
        sizes.append(units.binary(total_bytes))
    lines = []
    if sizes:
        lines.append(" of ".join(sizes))
    limit = limit_words_of(machine)
    if limit:
        lines.append(limit)
    rate = machine.memory_bandwidth_bytes_per_second
    if rate is not None:
        reads = "reads"
        if machine.memory_bandwidth_bound:
            reads += f" at {machine.memory_bandwidth_bound}"
        lines.append(f"{reads} {rate_words(rate)}")
    return lines


def _processor_lines(machine: Machine) -> list[str]:
    """`Ryzen 7 5800X, 8 cores with 16 threads`, as far as known; [] where nothing is known."""
    parts = []
    if machine.cpu_model:
        parts.append(written_name(machine.cpu_model))
    usable = machine.cpu_cores_usable
    physical = machine.cpu_cores_physical
    if usable is None:
        return parts
    if machine.scope == "host" and physical is not None and usable > physical:
        parts.append(f"{units.cores(physical)} with {usable:g} threads")
    else:
        parts.append(f"{units.cores(usable)} usable")
    return [", ".join(parts)]


def _accelerator(card: Accelerator) -> str:
    """`RTX 3060: 12.0 GiB, 11.1 GiB free, 360 GB/s, driver 550.54`."""
    parts = []
    if card.memory_total_bytes is not None:
        parts.append(units.binary(card.memory_total_bytes))
    elif not card.unified:
        parts.append("memory not read")
    if card.memory_free_bytes is not None:
        parts.append(f"{units.binary(card.memory_free_bytes)} free")
    if card.unified:
        parts.append("shared with the machine")
    if card.memory_bandwidth_bytes_per_second is not None:
        parts.append(rate_words(card.memory_bandwidth_bytes_per_second))
    if card.driver:
        parts.append(f"driver {card.driver}")
    name = card.name
    if card.vendor.lower() not in name.lower():
        name = f"{card.vendor} {name}"
    return f"{name}: {', '.join(parts)}"


def _disk_lines(disks: Sequence[Disk] | None) -> list[str]:
    """A line for each group of equal disks, with the programs that store there if there are several
    groups.
    """
    if disks is None:
        return [_NOT_READ]
    purposes: dict[str, list[str]] = {}
    for disk in disks:
        purposes.setdefault(_disk(disk), []).append(disk.purpose)
    if len(purposes) == 1:
        return list(purposes)
    lines = []
    for text, stored in purposes.items():
        lines.append(f"{text}: {', '.join(stored)}")
    return lines


def _disk(disk: Disk) -> str:
    """`181 GB free of 500 GB, ext4`."""
    size = "free space not read"
    if disk.free_bytes is not None:
        size = f"{units.decimal(disk.free_bytes)} free"
    if disk.total_bytes is not None:
        size += f" of {units.decimal(disk.total_bytes)}"
    parts = [size]
    if disk.filesystem:
        parts.append(disk.filesystem)
    if disk.writable is False:
        parts.append("not writable")
    return ", ".join(parts)


def _model(model: PresentModel) -> str:
    """`~/models q4.gguf: 4.37 GB of 8.74 GB, incomplete`."""
    text = model.path
    # the folder of a repository may hold several files
    for name in (model.tag, model.file):
        if name and not model.path.endswith(name):
            text += f" {name}"
            break
    text += f": {units.decimal(model.size_bytes)}"
    if model.complete is False:
        if model.total_bytes:
            text += f" of {units.decimal(model.total_bytes)}"
        text += ", incomplete"
    return text


def _every_fact(machine: Machine) -> Blocks:
    """Yield the blocks of `-v`: every fact with its source, the parts as tables, and the facts that
    were not read.
    """
    # imported here: the first screen does not need the module
    from .details import sections, value_words

    rows = []
    for fact, label in LABELS.facts.items():
        text = value_words(fact, getattr(machine, fact))
        if text and fact != "instruction_sets":
            rows.append((label, text, machine.sources.get(fact, "")))
    yield Table.of("facts", rows)
    if machine.instruction_sets:
        lines = [" ".join(machine.instruction_sets)]
        source = machine.sources.get("instruction_sets")
        if source:
            lines.append(f"source: {source}")
        yield from section("Instruction sets", texts(lines))
    yield from sections(machine.to_json(), LABELS.machine)
    yield from unread_blocks(machine)


def unread_blocks(machine: Machine, most: int | None = None) -> Blocks:
    """Yield the facts that could not be read, each reason once with its facts. With `most`, only so
    many facts, the most decisive first, and the number of the others.
    """
    entries = list(machine.unread)
    if most is not None:
        decisive = LABELS.lists["decisive"]
        entries.sort(key=lambda entry: not entry.fact.startswith(decisive))
    shown = entries[:most]
    facts: dict[tuple[str, str | None], dict[str, None]] = {}
    for entry in shown:
        names = facts.setdefault((entry.reason, entry.remedy), {})
        names[fact_label(entry.fact)] = None
    blocks: list[Block] = []
    for (reason, remedy), names in facts.items():
        blocks += topics([(", ".join(names), reason, remedy)])
    left_out = len(entries) - len(shown)
    if left_out:
        blocks.append(line(Hint(f"{left_out} more: ", "-v"), indent=2))
    yield from section("Not read", blocks)


def memory_cells(machine: Machine) -> tuple[str, str]:
    """Return the RAM that programs get, and the accelerators' own memory."""
    ram = known_figure(machine.memory_limit_bytes, units.binary)
    if not machine.cards:
        return ram, ""
    sizes = []
    for card in machine.own_memory_cards:
        sizes.append(units.binary(card.memory_total_bytes or 0))
    if not sizes:
        return ram, "shared"
    if len(sizes) > 1:
        return ram, f"{len(sizes)} x {sizes[0]}"
    return ram, sizes[0]


def profiles_document(profiles: Sequence[Profile]) -> Blocks:
    """Yield a table with a row for each known machine."""
    if not profiles:
        yield line("No machine matches. `selfhost machine --profiles` lists all.")
        return
    rows = []
    for profile in profiles:
        machine = profile.machine
        bandwidth = known_figure(machine.memory_bandwidth_bytes_per_second, rate_words)
        cells = memory_cells(machine)
        rows.append((strong(profile.name), *cells, bandwidth, profile.title))
    count = units.plural(len(profiles), "machine")
    yield line(
        f"{count} to ask about with --machine NAME; the first word may be left out."
    )
    yield line()
    yield Table.of("profiles", rows)
    yield line()
    yield line(
        "Check them against your configuration. --format json has sources and confidence."
    )
