"""What `machine` says to a person: what was read and what was not; and known machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import units
from ..core.records import brief
from ..machine.profiles import Profile
from ..machine.record import Accelerator, Machine, PresentModel
from . import words
from .layout import Blocks, Table, line, section, strong, texts, topics

# what may be many is listed up to here; the rest under `-v`
_SHOWN = 3
# facts that were not read: so many are named on the first screen
_FIRST_UNREAD = 2
# the facts that decide most about what runs
_DECISIVE = ("memory", "accelerators", "architecture", "disks")


def machine_document(machine: Machine, *, verbose: bool = False) -> Blocks:
    """Yield what models can use of it; `verbose` lists every fact with its source."""
    place = ", ".join(filter(None, (machine.system, machine.architecture, machine.scope)))
    labels = brief(", ".join(f"{key}={value}" for key, value in machine.labels.items()))
    read_at = f"read {machine.read_at}" if machine.read_at and verbose else ""
    yield line(strong(machine.name), f": {place}" if place else "")
    yield from (*texts((labels, read_at), indent=0), line())
    if verbose:
        yield from _full_blocks(machine)
        return
    rows: list[tuple[str, str]] = []
    for label, lines in _short_rows(machine).items():
        more = [f"{len(lines) - _SHOWN} more: -v"] if len(lines) > _SHOWN else []
        shown = filter(None, [*lines[:_SHOWN], *more])
        # the label stands in the first row of its kind
        rows += [("" if at else label, text) for at, text in enumerate(shown)]
    yield Table.of("machine", rows)
    hint = "What runs on it: selfhost list"
    if machine.planning and not machine.is_this_one:
        assumed = ", ".join(dict.fromkeys(map(words.fact_label, machine.assumed)))
        yield from section("Assumed", texts([assumed]))
        hint += " with the same --machine"
    else:
        yield from unread_blocks(machine, most=_FIRST_UNREAD)
    yield from (line(), line(f"{hint} · sources of each fact: -v"))


def _short_rows(machine: Machine) -> dict[str, list[str]]:
    cards, runtimes, models = machine.accelerators, machine.runtimes, machine.models_present
    rows = {
        "memory": list(filter(None, _memory_lines(machine))),
        "processor": [_processor(machine)],
        "GPU": ["not read"] if cards is None else list(map(_accelerator, cards)) or ["none"],
    }
    if machine.planning and runtimes is None:
        # of a description nobody looked for files
        return rows
    ids = ", ".join(dict.fromkeys(runtime.id for runtime in runtimes or ())) or "none found"
    return rows | {
        "disk": ["not read"] if machine.disks is None else _disks(machine),
        "runtimes": ["not read"] if runtimes is None else [ids],
        "models": ["not read"] if models is None else list(map(_model, models)) or ["none found"],
    }


def _disks(machine: Machine) -> list[str]:
    purposes: dict[str, list[str]] = {}
    for disk in machine.disks or ():
        free, total = disk.free_bytes, disk.total_bytes
        size = "free space not read" if free is None else f"{units.decimal(free)} free"
        size += "" if total is None else f" of {units.decimal(total)}"
        limit = "not writable" if disk.writable is False else ""
        text = ", ".join(filter(None, (size, disk.filesystem, limit)))
        purposes.setdefault(text, []).append(disk.purpose)
    is_one = len(purposes) == 1
    return [text if is_one else f"{text}: {', '.join(stored)}" for text, stored in purposes.items()]


def _memory_lines(machine: Machine) -> Iterator[str]:
    available, limit = machine.memory_available_bytes, machine.memory_limit_bytes
    total, rate = machine.memory_total_bytes, machine.memory_bandwidth_bytes_per_second
    most = limit if limit is not None else total
    sizes = [] if available is None else [f"{units.binary(available)} available"]
    yield " of ".join([*sizes, *([] if most is None else [units.binary(most)])])
    if limit is not None and total is not None and limit < total:
        source = machine.sources.get("memory_limit_bytes", "not said by what")
        by_what = source if "limited by" in source else f"limited: {source}"
        yield f"{by_what}; the hardware has {units.binary(total)}"
    if rate is not None:
        bound = machine.memory_bandwidth_bound
        yield f"reads {f'at {bound} ' if bound else ''}{units.decimal(rate)}/s"


def _processor(machine: Machine) -> str:
    usable, physical = machine.cpu_cores_usable, machine.cpu_cores_physical
    cores = "" if usable is None else f"{units.cores(usable)} usable"
    is_threaded = usable is not None and physical is not None and usable > physical
    if is_threaded and machine.scope == "host":
        cores = f"{units.cores(physical or 0)} with {usable:g} threads"
    return ", ".join(filter(None, (machine.cpu_model, cores)))


def _full_blocks(machine: Machine) -> Blocks:
    from .details import sections, value_words

    rows: list[tuple[str, str, str]] = []
    for fact, label in words.LABELS["facts"].items():
        text = value_words(fact, getattr(machine, fact))
        if text and fact != "instruction_sets":
            rows.append((label, text, machine.sources.get(fact, "")))
    yield Table.of("facts", rows)
    if machine.instruction_sets:
        source = machine.sources.get("instruction_sets")
        listed = " ".join(machine.instruction_sets)
        yield from section("Instruction sets", texts([listed, source and f"source: {source}"]))
    yield from sections(machine.to_json(), words.LABELS["machine"])
    yield from unread_blocks(machine)


def _accelerator(card: Accelerator) -> str:
    total, rate = card.memory_total_bytes, card.memory_bandwidth_bytes_per_second
    nothing = "" if card.unified else "memory not read"
    parts = (
        nothing if total is None else units.binary(total),
        "" if card.memory_free_bytes is None else f"{units.binary(card.memory_free_bytes)} free",
        "shared with the machine" if card.unified else "",
        "" if rate is None else f"{units.decimal(rate)}/s",
        f"driver {card.driver}" if card.driver else "",
    )
    vendor = "" if card.vendor.lower() in card.name.lower() else f"{card.vendor} "
    return f"{vendor}{card.name}: {', '.join(filter(None, parts))}"


def _model(model: PresentModel) -> str:
    # the folder of a repository may hold several files
    names = (model.tag, model.file)
    name = next((f" {name}" for name in names if name and not model.path.endswith(name)), "")
    whole = f" of {units.decimal(model.total_bytes)}" if model.total_bytes else ""
    part = f"{whole}, incomplete" if model.complete is False else ""
    return f"{model.path}{name}: {units.decimal(model.size_bytes)}{part}"


def unread_blocks(machine: Machine, most: int | None = None) -> Blocks:
    """What could not be read, each reason once with its facts; beyond `most` how many more."""
    entries = list(machine.unread)
    if most is not None:
        entries.sort(key=lambda entry: not entry.fact.startswith(_DECISIVE))
    facts: dict[tuple[str, str | None], dict[str, None]] = {}
    for entry in entries[:most]:
        facts.setdefault((entry.reason, entry.remedy), {})[words.fact_label(entry.fact)] = None
    listed = topics((", ".join(names), *why) for why, names in facts.items())
    rest = len(entries) - len(entries[:most])
    yield from section("Not read", (*listed, *texts([f"{rest} more: -v" * bool(rest)])))


def memory_cells(machine: Machine) -> tuple[str, str]:
    """RAM that programs get, and the accelerators' own memory."""
    limit, cards = machine.memory_limit_bytes, machine.accelerators or ()
    ram = words.known(limit, units.binary)
    sizes = [units.binary(card.memory_total_bytes or 0) for card in cards if not card.unified]
    if not sizes:
        return ram, "shared" if cards else ""
    return ram, sizes[0] if len(sizes) == 1 else f"{len(sizes)} x {sizes[0]}"


def profiles_document(profiles: Sequence[Profile]) -> Blocks:
    """Yield known machines, a line each."""
    if not profiles:
        yield line("No machine matches. `selfhost machine --profiles` lists all.")
        return
    rows = []
    for profile in profiles:
        rate = profile.machine.memory_bandwidth_bytes_per_second
        bandwidth = "-" if rate is None else f"{units.decimal(rate)}/s"
        cells = memory_cells(profile.machine)
        rows.append((strong(profile.name), *cells, bandwidth, profile.title))
    count = f"{len(profiles)} machine{'s' if len(profiles) > 1 else ''}"
    yield line(f"{count} to ask about with --machine NAME; the first word may be left out.")
    yield from (line(), Table.of("profiles", rows), line())
    yield line("Check them against your configuration. --format json has sources and confidence.")
