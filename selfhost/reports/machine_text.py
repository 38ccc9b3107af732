"""What `machine` says to a person: what was read and from where, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core import units
from ..core.records import Unread
from ..machine.record import Accelerator, Disk, Machine, PresentModel, bounded
from .layout import Block, Column, Document, Span, Table
from .words import BLANK, line, reason_blocks, say, section

# characters of a value: the names of most processors
_VALUE = 46


# what may be many is listed up to here; the rest under `-v`
_SHOWN = 3
# the facts of the first screen whose absence is told there; of the rest `-v` tells
_FIRST_UNREAD = 2


def machine_document(machine: Machine, *, verbose: bool = False) -> Document:
    """What models can use of the machine, a row each, and what could not be read. `verbose` adds
    where each fact was read, and lists everything.
    """
    blocks: list[Block] = [*_title(machine, verbose=verbose), BLANK]
    if verbose:
        _in_full(blocks, machine)
    else:
        _in_short(blocks, machine)
    return Document(blocks=tuple(blocks))


def _in_short(blocks: list[Block], machine: Machine) -> None:
    """The first screen."""
    # the label stands in the first row of its kind alone
    rows = [
        (Span(text="" if number else label), Span(text=cell))
        for label, cells in _short_rows(machine)
        for number, cell in enumerate(cells)
    ]
    blocks.append(Table(columns=(Column(), Column(wrap=True)), rows=tuple(rows)))
    labels = {fact: label for label, fact, _ in _facts(machine)}
    if machine.planning and not machine.is_this_one:
        _of_description(blocks, machine, labels)
        return
    if machine.unread:
        section(blocks, "Not read")
    for entry in sorted(machine.unread, key=_place)[:_FIRST_UNREAD]:
        label = labels.get(entry.fact) or _part_of(entry.fact)
        reason_blocks(blocks, label, entry.reason, entry.remedy)
    if len(machine.unread) > _FIRST_UNREAD:
        blocks.append(say(f"{len(machine.unread) - _FIRST_UNREAD} more: -v", indent=2))
    blocks += [BLANK, say("What runs on it: selfhost list · sources of each fact: -v")]


def _of_description(blocks: list[Block], machine: Machine, labels: Mapping[str, str]) -> None:
    """What is assumed of a machine that nobody read, and how to ask about it."""
    names = [labels.get(fact) or _part_of(fact) for fact in machine.assumed]
    assumed = ", ".join(dict.fromkeys(names))
    if assumed:
        section(blocks, "Assumed")
        blocks.append(say(assumed, indent=2))
    more = "where each fact is from, and what is not stated: -v"
    blocks += [BLANK, say(f"What runs on it: selfhost list --machine, with these words · {more}")]


def _part_of(fact: str) -> str:
    """A fact of a part in a reader's words: `disks.ollama.free_bytes` is of the disk of ollama,
    and its reason says which.
    """
    kind, _, rest = fact.partition(".")
    if kind == "disks" and rest:
        part, _, key = rest.rpartition(".")
        return f"disk of {part if key in _OF_A_DISK else rest}"
    words = rest.removesuffix("_bytes").removesuffix("_total").replace("_", " ")
    return f"GPU {words}" if kind == "accelerators" and rest else fact.replace("_", " ")


_OF_A_DISK = frozenset(Disk.__annotations__)


def _short_rows(machine: Machine) -> Iterator[tuple[str, list[str]]]:
    """A label and its lines; one without lines was not read."""
    yield "memory", _memory_lines(machine)
    yield "processor", _processor_lines(machine)
    cards = machine.accelerators
    lines = _up_to_few([_accelerator(card) for card in cards or ()])
    yield "GPU", lines or [_none(cards, "none")]
    if machine.planning and machine.runtimes is None:
        # of a description: nobody looked for files
        return
    yield "disk", _up_to_few(_disk_lines(machine.disks or ()))
    runtimes = machine.runtimes
    names = ", ".join(dict.fromkeys(runtime.id for runtime in runtimes or ()))
    yield "runtimes", [names or _none(runtimes, "none found")]
    models = machine.models_present
    lines = _up_to_few([_model(model) for model in models or ()])
    yield "models", lines or [_none(models, "none found")]


def _none(entries: Sequence[object] | None, words: str) -> str:
    """What stands where there is no entry: `words`, or that nobody could look."""
    return "not read" if entries is None else words


# what decides most about what runs
_DECISIVE = ("memory_available", "memory_limit", "memory_total", "accelerators", "architecture",
             "disks", "memory_bandwidth")  # fmt: skip


def _place(entry: Unread) -> int:
    """By how much of the answers the fact decides."""
    starts = (number for number, fact in enumerate(_DECISIVE) if entry.fact.startswith(fact))
    return next(starts, len(_DECISIVE))


def _memory_lines(machine: Machine) -> list[str]:
    """What there is now of what there may be at most, and how fast it is read."""
    available, limit = machine.memory_available_bytes, machine.memory_limit_bytes
    total, rate = machine.memory_total_bytes, machine.memory_bandwidth_bytes_per_second
    lines: list[str] = []
    most = limit if limit is not None else total
    if available is not None and most is not None:
        lines.append(f"{units.binary(available)} available of {units.binary(most)}")
    elif available is not None:
        lines.append(f"{units.binary(available)} available")
    elif most is not None:
        lines.append(units.binary(most))
    if limit is not None and total is not None and limit < total:
        source = machine.sources.get("memory_limit_bytes", "")
        by_what = source if "limited by" in source else f"limited: {source or 'not said by what'}"
        lines.append(f"{by_what}; the hardware has {units.binary(total)}")
    if rate is not None:
        source = machine.sources.get("memory_bandwidth_bytes_per_second", "")
        lines.append(f"reads {bounded(units.decimal(rate) + '/s', source)}")
    return lines


def _usable_words(machine: Machine) -> str:
    """`8 cores with 16 threads`, `4 cores usable`; empty where that was not read."""
    usable, physical = machine.cpu_cores_usable, machine.cpu_cores_physical
    if usable is None:
        return ""
    if physical is not None and usable > physical and machine.scope == "host":
        return f"{units.cores(physical)} with {usable:g} threads"
    return f"{units.cores(usable)} usable"


def _processor_lines(machine: Machine) -> list[str]:
    """Its name, how many cores there are to use, and what it can that decides the pace."""
    usable = _usable_words(machine)
    emulated = f"emulated on {machine.emulated_on}" if machine.emulated_on else ""
    named = ", ".join(part for part in (machine.cpu_model or "", usable, emulated) if part)
    sets = machine.instruction_sets
    lines: list[str] = [named] if named else []
    return lines if sets is None else [*lines, " ".join(_telling(sets)) or f"{len(sets)} sets"]


def _disk_lines(disks: Sequence[Disk]) -> list[str]:
    """Where models would be stored, a line for all that are alike."""
    purposes: dict[str, list[str]] = {}
    for disk in disks:
        _, free, whole, filesystem, limit, _ = _disk(disk)
        parts = (f"{free} {whole}".strip(), filesystem, limit)
        purposes.setdefault(", ".join(part for part in parts if part), []).append(disk.purpose)
    if len(purposes) == 1:
        return list(purposes)
    return [f"{text}: {', '.join(whose)}" for text, whose in purposes.items()]


def _up_to_few(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"{more} more: -v"] if more > 0 else [])]


def _in_full(blocks: list[Block], machine: Machine) -> None:
    """Everything, with where it was read."""
    blocks.append(_facts_table(machine))
    if machine.disks:
        section(blocks, "Where models would be stored")
        blocks.append(_disks_table(machine.disks))
    if machine.accelerators:
        section(blocks, "Accelerators")
        blocks.extend(say(_accelerator(card), indent=2, hang=2) for card in machine.accelerators)
        if source := machine.sources.get("accelerators"):
            blocks.append(say(f"read from {source}", indent=2, hang=2))
    if machine.runtimes:
        section(blocks, "Runtimes")
        for runtime in machine.runtimes:
            path = f" ({runtime.path})" if runtime.path else ""
            version = runtime.version or "of unknown version"
            blocks.append(say(f"{runtime.id} {version}{path}", indent=2, hang=2))
    if machine.models_present:
        section(blocks, "Models already here")
        blocks.extend(say(_model(model), indent=2, hang=2) for model in machine.models_present)
    unread_blocks(blocks, machine)


def _title(machine: Machine, *, verbose: bool) -> Iterator[Block]:
    """Its name, what it is, its labels and when it was read."""
    place = ", ".join(
        part for part in (machine.system, machine.architecture, machine.scope) if part
    )
    yield line(Span(text=machine.name, style="strong"), f": {place}" if place else "")
    if machine.labels:
        yield say(", ".join(f"{key}={value}" for key, value in machine.labels.items()))
    if machine.read_at and verbose:
        yield say(f"read {machine.read_at}")


def _facts_table(machine: Machine) -> Table:
    return Table(
        columns=(Column(), Column(wrap=True, most=_VALUE), Column(title="read from", wrap=True)),
        rows=tuple(
            (
                Span(text=label),
                Span(text=value, style="strong"),
                Span(text=machine.sources.get(fact, "")),
            )
            for label, fact, value in _facts(machine)
            if value
        ),
        indent=0,
    )


def _disks_table(disks: Iterable[Disk]) -> Table:
    columns = (
        Column(),
        Column(right=True),
        Column(right=True),
        Column(drop=1),
        Column(),
        Column(wrap=True),
    )
    rows = tuple(tuple(Span(text=text) for text in _disk(disk)) for disk in disks)
    return Table(columns=columns, rows=rows)


def _disk(disk: Disk) -> tuple[str, ...]:
    """Purpose, free and whole size, filesystem, what limits writing, and the folder."""
    free = (
        "free space not read"
        if disk.free_bytes is None
        else f"{units.decimal(disk.free_bytes)} free"
    )
    whole = "" if disk.total_bytes is None else f"of {units.decimal(disk.total_bytes)}"
    limit = f"{disk.quota}'s quota" if disk.quota else ""
    if disk.writable is False:
        limit = "not writable"
    where = (
        disk.path
        if disk.path == disk.shown
        else f"{disk.shown}: {disk.purpose} has none of its own"
    )
    return disk.purpose, free, whole, disk.filesystem or "", limit, where


def _accelerator(card: Accelerator) -> str:
    """The name, the memory, and what else was read of it."""
    has_vendor = card.vendor.lower() in card.name.lower()
    parts = [
        "memory not read"
        if card.memory_total_bytes is None
        else units.binary(card.memory_total_bytes)
    ]
    if card.memory_free_bytes is not None:
        parts.append(f"{units.binary(card.memory_free_bytes)} free")
    if card.unified:
        parts.append("shared with the machine")
    if card.memory_bandwidth_bytes_per_second is not None:
        parts.append(f"{units.decimal(card.memory_bandwidth_bytes_per_second)}/s")
    if card.compute_capability:
        kind = "compute capability " if card.vendor == "nvidia" else ""
        parts.append(f"{kind}{card.compute_capability}")
    if card.driver:
        parts.append(f"driver {card.driver}")
    return f"{'' if has_vendor else f'{card.vendor} '}{card.name}: {', '.join(parts)}"


def _model(model: PresentModel) -> str:
    """The path of a model, its size, and whether all of it is there."""
    # the folder of a repository may hold several files
    names = (model.tag, model.file)
    name = next((f" {name}" for name in names if name and not model.path.endswith(name)), "")
    size = units.decimal(model.size_bytes)
    if model.complete is False:
        whole = f" of {units.decimal(model.total_bytes)}" if model.total_bytes else ""
        size = f"{size}{whole}, incomplete"
    return f"{model.path}{name}: {size}"


def _facts(machine: Machine) -> Iterator[tuple[str, str, str]]:
    """Label, name of the fact, value as text ("" where it was not read)."""
    for label, fact in (
        ("memory available", "memory_available_bytes"),
        ("memory limit", "memory_limit_bytes"),
        ("memory total", "memory_total_bytes"),
        ("swap free", "swap_free_bytes"),
        ("address space left", "address_space_bytes"),
        ("private memory left", "private_memory_bytes"),
    ):
        value = getattr(machine, fact)
        yield label, fact, "" if value is None else units.binary(value)
    largest = machine.file_size_limit_bytes
    yield "largest file", "file_size_limit_bytes", "" if largest is None else units.decimal(largest)
    yield from _processor_facts(machine)
    fact = "memory_bandwidth_bytes_per_second"
    rate, source = machine.memory_bandwidth_bytes_per_second, machine.sources.get(fact, "")
    rate_words = "" if rate is None else bounded(f"{units.decimal(rate)}/s", source)
    yield "memory bandwidth", fact, rate_words
    for label, fact, none in (
        ("accelerators", "accelerators", "none"),
        ("runtimes", "runtimes", "none found"),
        ("models here", "models_present", "none found"),
    ):
        entries = getattr(machine, fact)
        if entries is not None and not entries:
            yield label, fact, none


def _processor_facts(machine: Machine) -> Iterator[tuple[str, str, str]]:
    yield "processor", "cpu_model", machine.cpu_model or ""
    yield "emulated on", "emulated_on", machine.emulated_on or ""
    for label, fact in (
        ("cores usable", "cpu_cores_usable"),
        ("cores physical", "cpu_cores_physical"),
        ("performance cores", "cpu_cores_performance"),
    ):
        cores = getattr(machine, fact)
        # where all are alike the line above says it
        is_said = fact == "cpu_cores_performance" and cores == machine.cpu_cores_physical
        yield label, fact, "" if cores is None or is_said else units.cores(cores)
    sets = machine.instruction_sets
    yield "instructions", "instruction_sets", "" if sets is None else _instructions(sets)


# what decides how fast a build of llama.cpp runs; a kernel lists a hundred more
_TELLING = (
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "bmi2",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "bf16",
)


def _telling(sets: Sequence[str]) -> list[str]:
    return [name for name in _TELLING if name in sets]


def _instructions(sets: Sequence[str]) -> str:
    telling = _telling(sets)
    rest = len(sets) - len(telling)
    text = " ".join(telling)
    return f"{text} and {rest} more" if telling and rest else text or f"{rest} sets"


def unread_blocks(blocks: list[Block], machine: Machine) -> None:
    if machine.unread:
        section(blocks, "Not read")
        labels = {fact: label for label, fact, _ in _facts(machine)}
        facts: dict[tuple[str, str | None], list[str]] = {}
        for entry in machine.unread:
            label = labels.get(entry.fact) or _part_of(entry.fact)
            facts.setdefault((entry.reason, entry.remedy), []).append(label)
        for (reason, remedy), names in facts.items():
            # two facts of one disk have one label
            reason_blocks(blocks, ", ".join(dict.fromkeys(names)), reason, remedy)
