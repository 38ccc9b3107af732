"""What `list` says to a person: one line a model."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.findings import reserve_of
from ..verdict.record import Answer, Route
from .layout import Block, Column, Document, Span, Table
from .words import (
    BLANK,
    command_line,
    download_of,
    memory_of,
    on_machine,
    planned_words,
    say,
    section,
)


def list_document(rows: Sequence[Answer], machine: Machine) -> Document:
    """One line a model, in the order given. Columns go, the least telling first, where the
    width is small.
    """
    if not rows:
        return Document(blocks=(say("No model matches."),))
    blocks: list[Block] = [say(summary(rows, machine))]
    if planned := planned_words(machine):
        blocks.append(say(planned))
    blocks.append(BLANK)
    columns = (
        Column(title="model"),
        Column(title="route"),
        Column(title="size", right=True, fold=3),
        Column(title="quant", fold=6),
        Column(title="memory", right=True, fold=1),
        Column(title="download", right=True, fold=2),
        Column(title="tokens/s", right=True, fold=5),
        Column(title="license", fold=4, cut=10),
    )
    # most of what stands in a cell stands in others as well
    spans: dict[str, Span] = {}

    def cell(text: str) -> Span:
        return spans.get(text) or spans.setdefault(text, Span(text=text))

    routes = {route: Span(text=route, style=route) for route in Route}
    cells = []
    for row in rows:
        total, pace = (
            row.model.parameters.total,
            row.speed.decode if row.speed is not None else None,
        )
        cells.append(
            (
                Span(text=row.model.id, style="strong"),
                routes[row.route],
                cell(units.count(total) if total is not None else "-"),
                cell(row.workload.quantization or "-"),
                cell(memory_of(row)),
                cell(download_of(row)),
                cell(units.pace(pace.low, pace.high) if pace is not None else "-"),
                cell(license_words(row.model)),
            )
        )
    blocks.append(Table(columns=columns, rows=tuple(cells), indent=0))
    section(blocks, "Ask about one")
    blocks.append(command_line(f"selfhost check {rows[0].model.id}"))
    return Document(blocks=tuple(blocks))


def summary(rows: Sequence[Answer], machine: Machine) -> str:
    """How many run, and the memory that the machine has for them."""
    fits = sum(row.can_run for row in rows)
    room = f", which has {memory}" if rows and (memory := _room(machine, rows[0].workload)) else ""
    return f"{fits} of {len(rows)} models listed run {on_machine(machine)}{room}."


def license_words(model: ModelSpec) -> str:
    """The license's id as a column holds it; `-` is not known."""
    if model.closed:
        return "closed"
    name = model.license.id if model.license is not None else None
    return "-" if name is None else name.removeprefix("LicenseRef-")


def _room(machine: Machine, workload: Workload) -> str:
    """What is free now, else the most that there is, less what `check` keeps back of it."""
    if machine.memory_available_bytes is not None:
        return f"{units.binary(machine.memory_available_bytes)} of memory available"
    if machine.memory_limit_bytes is not None:
        kept, _ = reserve_of(machine, workload)
        given = units.binary(max(0, machine.memory_limit_bytes - kept))
        less = (
            f": {units.binary(machine.memory_limit_bytes)} less {units.binary(kept)} kept back"
            if kept
            else ""
        )
        return f"{given} of memory at most for models{less}"
    return (
        ""
        if machine.memory_total_bytes is None
        else f"{units.binary(machine.memory_total_bytes)} of memory in all"
    )
