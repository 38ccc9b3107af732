"""What `machine` says to a person: what was read and from where, and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import units
from ..core.records import Unread
from ..machine.record import Accelerator, Disk, Machine, PresentModel, bounded
from .layout import BLANK, Block, Column, Document, Table, heading, line, say, strong
from .words import reason_blocks

# what may be many is listed up to here; the rest under `-v`
_SHOWN = 3
# the facts of the first screen whose absence is told there
_FIRST_UNREAD = 2
_DISK_FIELDS = frozenset(Disk.__annotations__)
# the facts that decide most about what runs, the most important first
_DECISIVE = ("memory_available", "memory_limit", "memory_total", "accelerators", "architecture",
             "disks", "memory_bandwidth")  # fmt: skip
# what decides how fast a build of llama.cpp runs; a kernel lists a hundred more
_TELLING = ("sse4_2", "avx", "f16c", "fma", "bmi2", "avx2", "avx_vnni", "avx512f", "avx512_vnni",
            "avx512_bf16", "amx_int8", "amx_tile", "asimd", "asimddp", "i8mm", "sve",
            "bf16")  # fmt: skip
_LABELS = {
    "memory_available_bytes": "memory available",
    "memory_limit_bytes": "memory limit",
    "memory_total_bytes": "memory total",
    "swap_free_bytes": "swap free",
    "address_space_bytes": "address space left",
    "private_memory_bytes": "private memory left",
    "file_size_limit_bytes": "largest file",
    "cpu_model": "processor",
    "emulated_on": "emulated on",
    "cpu_cores_usable": "cores usable",
    "cpu_cores_physical": "cores physical",
    "cpu_cores_performance": "performance cores",
    "instruction_sets": "instructions",
    "memory_bandwidth_bytes_per_second": "memory bandwidth",
    "accelerators": "accelerators",
    "runtimes": "runtimes",
    "models_present": "models here",
}


def machine_document(machine: Machine, *, verbose: bool = False) -> Document:
    """Return what models can use of the machine, and what could not be read.

    `verbose` adds where each fact was read, and lists everything.
    """
    place = ", ".join(filter(None, (machine.system, machine.architecture, machine.scope)))
    blocks: list[Block] = [line(strong(machine.name), f": {place}" if place else "")]
    if machine.labels:
        blocks.append(say(", ".join(f"{key}={value}" for key, value in machine.labels.items())))
    if machine.read_at and verbose:
        blocks.append(say(f"read {machine.read_at}"))
    blocks.append(BLANK)
    blocks += _in_full(machine) if verbose else _in_short(machine)
    return Document(blocks=tuple(blocks))


def _in_short(machine: Machine) -> Iterator[Block]:
    """The first screen."""
    # the label stands in the first row of its kind alone
    rows = [
        ("" if number else label, cell)
        for label, cells in _short_rows(machine)
        for number, cell in enumerate(cells)
    ]
    yield Table(columns=(Column(), Column(wrap=True)), rows=tuple(rows))
    if machine.planning and not machine.is_this_one:
        if machine.assumed:
            yield from heading("Assumed")
            yield say(", ".join(dict.fromkeys(map(_label, machine.assumed))), indent=2)
        more = "where each fact is from, and what is not stated: -v"
        yield BLANK
        yield say(f"What runs on it: selfhost list --machine, with these words · {more}")
        return
    if machine.unread:
        yield from heading("Not read")
    for entry in sorted(machine.unread, key=_weight)[:_FIRST_UNREAD]:
        yield from reason_blocks(_label(entry.fact), entry.reason, entry.remedy)
    if len(machine.unread) > _FIRST_UNREAD:
        yield say(f"{len(machine.unread) - _FIRST_UNREAD} more: -v", indent=2)
    yield BLANK
    yield say("What runs on it: selfhost list · sources of each fact: -v")


def _label(fact: str) -> str:
    """A fact in a reader's words: `disks.ollama.free_bytes` is of the disk of ollama."""
    if fact in _LABELS:
        return _LABELS[fact]
    kind, _, rest = fact.partition(".")
    if kind == "disks" and rest:
        part, _, key = rest.rpartition(".")
        return f"disk of {part if key in _DISK_FIELDS else rest}"
    words = rest.removesuffix("_bytes").removesuffix("_total").replace("_", " ")
    return f"GPU {words}" if kind == "accelerators" and rest else fact.replace("_", " ")


def _weight(entry: Unread) -> int:
    """How far down the fact stands among those that decide."""
    starts = (number for number, fact in enumerate(_DECISIVE) if entry.fact.startswith(fact))
    return next(starts, len(_DECISIVE))


def _short_rows(machine: Machine) -> Iterator[tuple[str, list[str]]]:
    """A label and its lines; one without lines was not read."""
    yield "memory", list(_memory_lines(machine))
    yield "processor", list(_processor_lines(machine))
    cards = [_accelerator(card) for card in machine.accelerators or ()]
    yield "GPU", _up_to_few(cards) or [_none(machine.accelerators, "none")]
    if machine.planning and machine.runtimes is None:
        # of a description: nobody looked for files
        return
    yield "disk", _up_to_few(_disk_lines(machine.disks or ()))
    runtimes = ", ".join(dict.fromkeys(runtime.id for runtime in machine.runtimes or ()))
    yield "runtimes", [runtimes or _none(machine.runtimes, "none found")]
    models = [_model(model) for model in machine.models_present or ()]
    yield "models", _up_to_few(models) or [_none(machine.models_present, "none found")]


def _none(entries: Sequence[object] | None, words: str) -> str:
    """What stands where there is no entry: `words`, or that nobody could look."""
    return "not read" if entries is None else words


def _memory_lines(machine: Machine) -> Iterator[str]:
    """Yield what there is now of what there may be at most, and how fast it is read."""
    available, limit = machine.memory_available_bytes, machine.memory_limit_bytes
    total, rate = machine.memory_total_bytes, machine.memory_bandwidth_bytes_per_second
    most = limit if limit is not None else total
    sizes = (
        "" if available is None else f"{units.binary(available)} available",
        "" if most is None else units.binary(most),
    )
    if any(sizes):
        yield " of ".join(filter(None, sizes))
    if limit is not None and total is not None and limit < total:
        source = machine.sources.get("memory_limit_bytes", "")
        by_what = source if "limited by" in source else f"limited: {source or 'not said by what'}"
        yield f"{by_what}; the hardware has {units.binary(total)}"
    if rate is not None:
        yield f"reads {bounded(units.decimal(rate) + '/s', machine.memory_bandwidth_bound)}"


def _processor_lines(machine: Machine) -> Iterator[str]:
    """Yield its name, how many cores there are to use, and what it can that decides the pace."""
    usable, physical = machine.cpu_cores_usable, machine.cpu_cores_physical
    cores = "" if usable is None else f"{units.cores(usable)} usable"
    is_threaded = usable is not None and physical is not None and usable > physical
    if is_threaded and machine.scope == "host":
        cores = f"{units.cores(physical or 0)} with {usable:g} threads"
    emulated = f"emulated on {machine.emulated_on}" if machine.emulated_on else ""
    if named := ", ".join(filter(None, (machine.cpu_model, cores, emulated))):
        yield named
    sets = machine.instruction_sets
    if sets is not None:
        yield " ".join(name for name in _TELLING if name in sets) or f"{len(sets)} sets"


def _disk_lines(disks: Sequence[Disk]) -> list[str]:
    """Where models would be stored, a line for all that are alike."""
    purposes: dict[str, list[str]] = {}
    for disk in disks:
        _, free, whole, filesystem, limit, _ = _disk(disk)
        parts = (f"{free} {whole}".strip(), filesystem, limit)
        purposes.setdefault(", ".join(filter(None, parts)), []).append(disk.purpose)
    if len(purposes) == 1:
        return list(purposes)
    return [f"{text}: {', '.join(whose)}" for text, whose in purposes.items()]


def _up_to_few(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"{more} more: -v"] if more > 0 else [])]


def _in_full(machine: Machine) -> Iterator[Block]:
    """Everything, with where it was read."""
    facts = tuple(
        (label, strong(value), machine.sources.get(fact, ""))
        for fact, label in _LABELS.items()
        if (value := _value(machine, fact))
    )
    fact_columns = (Column(), Column(wrap=True), Column(title="read from", wrap=True))
    yield Table(columns=fact_columns, rows=facts, indent=0)
    if machine.disks:
        yield from heading("Where models would be stored")
        columns = (
            *(Column(right=at in (1, 2), drop=at == 3) for at in range(5)),
            Column(wrap=True),
        )
        yield Table(columns=columns, rows=tuple(map(_disk, machine.disks)))
    yield from _lists(machine)
    yield from unread_blocks(machine)


def _lists(machine: Machine) -> Iterator[Block]:
    """Accelerators, runtimes and models, each in a section."""
    cards = [_accelerator(card) for card in machine.accelerators or ()]
    if cards and (source := machine.sources.get("accelerators")):
        cards.append(f"read from {source}")
    runtimes = [
        f"{runtime.id} {runtime.version or 'of unknown version'}"
        + (f" ({runtime.path})" if runtime.path else "")
        for runtime in machine.runtimes or ()
    ]
    models = [_model(model) for model in machine.models_present or ()]
    for title, lines in (
        ("Accelerators", cards),
        ("Runtimes", runtimes),
        ("Models already here", models),
    ):
        if lines:
            yield from heading(title)
        yield from (say(text, indent=2, hang=2) for text in lines)


def _disk(disk: Disk) -> tuple[str, str, str, str, str, str]:
    """Purpose, free and whole size, filesystem, what limits writing, and the folder."""
    free = "free space not read"
    if disk.free_bytes is not None:
        free = f"{units.decimal(disk.free_bytes)} free"
    whole = "" if disk.total_bytes is None else f"of {units.decimal(disk.total_bytes)}"
    limit = "not writable" if disk.writable is False else ""
    where = disk.path
    if disk.path != disk.shown:
        where = f"{disk.shown}: {disk.purpose} has none of its own"
    return disk.purpose, free, whole, disk.filesystem or "", limit, where


def _accelerator(card: Accelerator) -> str:
    """The name, the memory, and what else was read of it."""
    total, rate = card.memory_total_bytes, card.memory_bandwidth_bytes_per_second
    capability = card.compute_capability or ""
    if capability and card.vendor == "nvidia":
        capability = f"compute capability {capability}"
    parts = (
        "memory not read" if total is None else units.binary(total),
        "" if card.memory_free_bytes is None else f"{units.binary(card.memory_free_bytes)} free",
        "shared with the machine" if card.unified else "",
        "" if rate is None else f"{units.decimal(rate)}/s",
        capability,
        f"driver {card.driver}" if card.driver else "",
    )
    vendor = "" if card.vendor.lower() in card.name.lower() else f"{card.vendor} "
    return f"{vendor}{card.name}: {', '.join(filter(None, parts))}"


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


def _value(machine: Machine, fact: str) -> str:
    """The value of a fact as text; empty where it was not read or stands elsewhere."""
    value = getattr(machine, fact)
    if value is None or isinstance(value, str):
        return value or ""
    if fact in ("accelerators", "runtimes", "models_present"):
        none = "none" if fact == "accelerators" else "none found"
        return "" if value else none
    if fact == "instruction_sets":
        return _instructions(value)
    if fact.startswith("cpu_cores"):
        # where all are alike the line above says it
        is_said = fact == "cpu_cores_performance" and value == machine.cpu_cores_physical
        return "" if is_said else units.cores(value)
    if fact == "memory_bandwidth_bytes_per_second":
        return bounded(f"{units.decimal(value)}/s", machine.memory_bandwidth_bound)
    return units.decimal(value) if fact == "file_size_limit_bytes" else units.binary(value)


def _instructions(sets: Sequence[str]) -> str:
    telling = [name for name in _TELLING if name in sets]
    rest = len(sets) - len(telling)
    text = " ".join(telling)
    return f"{text} and {rest} more" if telling and rest else text or f"{rest} sets"


def unread_blocks(machine: Machine) -> Iterator[Block]:
    """What could not be read, each reason once with all its facts."""
    if machine.unread:
        yield from heading("Not read")
    facts: dict[tuple[str, str | None], dict[str, None]] = {}
    for entry in machine.unread:
        facts.setdefault((entry.reason, entry.remedy), {})[_label(entry.fact)] = None
    for (reason, remedy), names in facts.items():
        yield from reason_blocks(", ".join(names), reason, remedy)
