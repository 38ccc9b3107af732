"""What `machine` says to a person: what was read and from where, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core import units
from ..machine.record import Machine
from .layout import Block, Column, Document, Span, Table
from .words import BLANK, line, reason_blocks, say, section

# characters of a value: the names of most processors
_VALUE = 46


def machine_document(machine: Machine) -> Document:
    """What was read and from where, then what could not be read and what to do about it."""
    place = ", ".join(
        part for part in (machine.system, machine.architecture, machine.scope) if part
    )
    blocks: list[Block] = [
        line(Span(text=machine.name, style="strong"), f": {place}" if place else "")
    ]
    if machine.labels:
        blocks.append(say(", ".join(f"{key}={value}" for key, value in machine.labels.items())))
    if machine.read_at:
        blocks.append(say(f"read {machine.read_at}"))
    rows: list[tuple[str, str, str]] = []
    for label, fact, value in _facts(machine):
        if value:
            rows.append((label, value, machine.sources.get(fact, "")))
    blocks.append(BLANK)
    columns = (Column(), Column(wrap=True, most=_VALUE), Column(title="read from", wrap=True))
    blocks.append(
        Table(
            columns=columns,
            rows=tuple(
                (Span(text=a), Span(text=b, style="strong"), Span(text=c)) for a, b, c in rows
            ),
            indent=0,
        )
    )
    if machine.disks:
        section(blocks, "Where models would be stored")
        cells = []
        for disk in machine.disks:
            free = (
                "free space not read"
                if disk.free_bytes is None
                else f"{units.decimal(disk.free_bytes)} free"
            )
            whole = "" if disk.total_bytes is None else f"of {units.decimal(disk.total_bytes)}"
            writable = (
                "not writable"
                if disk.writable is False
                else f"{disk.quota}'s quota"
                if disk.quota
                else ""
            )
            where = (
                disk.path
                if disk.path == disk.shown
                else f"{disk.shown}: {disk.purpose} has none of its own"
            )
            cells.append(
                tuple(
                    Span(text=text)
                    for text in (disk.purpose, free, whole, disk.filesystem or "", writable, where)
                )
            )
        sides = (
            Column(),
            Column(right=True),
            Column(right=True),
            Column(fold=1),
            Column(),
            Column(wrap=True),
        )
        blocks.append(Table(columns=sides, rows=tuple(cells)))
    if machine.accelerators:
        section(blocks, "Accelerators")
        for card in machine.accelerators:
            total = (
                "memory not read"
                if card.memory_total_bytes is None
                else units.binary(card.memory_total_bytes)
            )
            free = (
                ""
                if card.memory_free_bytes is None
                else f", {units.binary(card.memory_free_bytes)} free"
            )
            shared = ", shared with the machine" if card.unified else ""
            rate = card.memory_bandwidth_bytes_per_second
            pace = "" if rate is None else f", {units.decimal(rate)}/s"
            kind = f", {card.compute_capability}" if card.compute_capability else ""
            kind = kind.replace(", ", ", compute capability ") if card.vendor == "nvidia" else kind
            driver = f", driver {card.driver}" if card.driver else ""
            name = (
                card.name
                if card.vendor.lower() in card.name.lower()
                else f"{card.vendor} {card.name}"
            )
            blocks.append(
                say(f"{name}: {total}{free}{shared}{pace}{kind}{driver}", indent=2, hang=2)
            )
        if source := machine.sources.get("accelerators"):
            blocks.append(say(f"read from {source}", indent=2, hang=2))
    if machine.runtimes:
        section(blocks, "Runtimes")
        for runtime in machine.runtimes:
            path = f" ({runtime.path})" if runtime.path else ""
            blocks.append(
                say(
                    f"{runtime.id} {runtime.version or 'of unknown version'}{path}",
                    indent=2,
                    hang=2,
                )
            )
    if machine.models_present:
        section(blocks, "Models already here")
        for model in machine.models_present:
            whole = (
                f" of {units.decimal(model.total_bytes)}"
                if model.total_bytes and model.complete is False
                else ""
            )
            part = ", incomplete" if model.complete is False else ""
            # the folder of a repository may hold several files
            name = next(
                (
                    f" {name}"
                    for name in (model.tag, model.file)
                    if name and not model.path.endswith(name)
                ),
                "",
            )
            blocks.append(
                say(
                    f"{model.path}{name}: {units.decimal(model.size_bytes)}{whole}{part}",
                    indent=2,
                    hang=2,
                )
            )
    unread_blocks(blocks, machine)
    return Document(blocks=tuple(blocks))


def _facts(machine: Machine) -> Iterable[tuple[str, str, str]]:
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
    yield "processor", "cpu_model", machine.cpu_model or ""
    yield "emulated on", "emulated_on", machine.emulated_on or ""
    yield (
        "cores usable",
        "cpu_cores_usable",
        "" if machine.cpu_cores_usable is None else units.cores(machine.cpu_cores_usable),
    )
    yield (
        "cores physical",
        "cpu_cores_physical",
        "" if machine.cpu_cores_physical is None else units.cores(machine.cpu_cores_physical),
    )
    fast = machine.cpu_cores_performance
    # where all are alike the line above says it
    yield (
        "performance cores",
        "cpu_cores_performance",
        "" if fast in (None, machine.cpu_cores_physical) else units.cores(fast),
    )
    sets = machine.instruction_sets
    yield "instructions", "instruction_sets", "" if sets is None else _instructions(sets)
    pace = machine.memory_bandwidth_bytes_per_second
    yield (
        "memory bandwidth",
        "memory_bandwidth_bytes_per_second",
        "" if pace is None else f"{units.decimal(pace)}/s",
    )
    if machine.accelerators is not None and not machine.accelerators:
        yield "accelerators", "accelerators", "none"
    if machine.runtimes is not None and not machine.runtimes:
        yield "runtimes", "runtimes", "none found"
    if machine.models_present is not None and not machine.models_present:
        yield "models here", "models_present", "none found"


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


def _instructions(sets: Sequence[str]) -> str:
    told = [name for name in _TELLING if name in sets]
    rest = len(sets) - len(told)
    text = " ".join(told)
    return f"{text} and {rest} more" if told and rest else text or f"{rest} sets"


def unread_blocks(blocks: list[Block], machine: Machine) -> None:
    if machine.unread:
        section(blocks, "Not read")
        labels = {fact: label for label, fact, _ in _facts(machine)}
        for entry in machine.unread:
            reason_blocks(
                blocks,
                labels.get(entry.fact, entry.fact.replace("_", " ")),
                entry.reason,
                entry.remedy,
            )
