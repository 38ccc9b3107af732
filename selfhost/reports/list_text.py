"""What `list` says to a person: the models that run, best first, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..advice.listing import Counts, Listing
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.findings import given_bytes, host_high, on_cards
from ..verdict.record import Answer, Route
from .layout import Block, Column, Document, Span, Table, lay_out
from .words import (
    BLANK,
    PACES,
    aged_words,
    causes,
    download_of,
    is_tight_on_card,
    memory_of,
    on_machine,
    pace_of,
    pace_title,
    planned_words,
    say,
)

# rows of the first screen
TOP = 20
_SIGNS = {Route.LOCAL: "✓", Route.UNKNOWN: "?", Route.API: "✗", Route.NEITHER: "✗"}


def list_document(
    listing: Listing,
    machine: Machine,
    workload: Workload | None = None,
    *,
    top: int | None = TOP,
    wide: bool = False,
    only_running: bool = True,
    screen: tuple[int, int] | None = None,
    near: Sequence[str] = (),
    today: str | None = None,
    notes: Sequence[str] = (),
) -> Document:
    """How many run, then the first `top` of them in the order given, one line each.

    `top` None shows all. `only_running` leaves out what does not run here. `wide` adds columns.
    `screen`, columns and lines of a terminal: the empty lines are left out, then rows, until all
    can be seen at once; None for no such limit. `near` are names like the words that no model has.
    Where the catalogue is more than half a year older than `today`, the last line says so. `notes`
    are about how the machine's name was understood.
    """
    aged = aged_words(listing.as_of, today)
    counts, ruled_out = listing.counts, listing.ruled_out
    if not counts.models:
        return Document(blocks=(*_no_match(ruled_out, near, notes), *aged))
    rows = [row for row in listing.answers if row.can_run or not only_running]
    head: list[Block] = [
        say(summary(counts, machine, workload or Workload(), ruled_out=ruled_out), hang=2)
    ]
    if planned := planned_words(machine):
        head.append(say(planned))
    head += [say(note, hang=2) for note in notes]

    def document(shown: Sequence[Answer], gap: Sequence[Block]) -> Document:
        table = [_table(shown, listing.why, wide=wide)] if shown else []
        foot = _foot(len(shown), counts, wide=wide, only_running=only_running)
        return Document(blocks=(*head, *gap, *table, *gap, *foot, *aged))

    shown = rows if top is None else rows[:top]
    loose = document(shown, [BLANK])
    if screen is None or not shown or _lines_over(loose, screen) <= 0:
        return loose
    dense = document(shown, [])
    over = _lines_over(dense, screen)
    return document(shown[: max(_LEAST_ROWS, len(shown) - over)], []) if over > 0 else dense


# of a terminal so low that even they do not fit
_LEAST_ROWS = 5


def _lines_over(document: Document, screen: tuple[int, int]) -> int:
    """Lines that a terminal cannot show above its prompt."""
    width, height = screen
    return len(lay_out(document, width)) - (height - 1)


def _no_match(ruled_out: int, near: Sequence[str], notes: Sequence[str]) -> Iterator[Block]:
    ruled = f" {ruled_out:,} are ruled out by your conditions." if ruled_out else ""
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    every = "" if notes or ruled else " `selfhost list --all` has every model."
    yield say(f"No model matches.{ruled}{meant or every}")
    yield from (say(note, hang=2) for note in notes)


def _foot(shown: int, counts: Counts, *, wide: bool, only_running: bool) -> list[Block]:
    """How many of the candidates are shown, and how to see the others; nothing where none is."""
    if not shown:
        return []
    candidates = counts.running if only_running else counts.models
    # what was not judged is not counted: fewer may have room than run
    is_about = only_running and counts.is_estimate
    hints = [f"{shown} of {'about ' * is_about}{max(shown, candidates):,}"]
    if shown < candidates or (only_running and candidates < counts.models):
        hints.append("all: --all")
    if not wide:
        hints.append("columns: --wide")
    hints.append("one: selfhost check MODEL")
    return [say(" · ".join(hints))]


def _table(rows: Sequence[Answer], why: Mapping[str, str], *, wide: bool) -> Table:
    shares_out = any(map(_is_on_cards, rows))
    memory_words = _shares_of if shares_out else memory_of
    works, pace = _works(rows), pace_title(row.speed for row in rows)
    columns = [
        Column(),
        Column(title="model"),
        *([Column(title="made for", drop=2)] if works else []),
        Column(title="GPU +RAM" if shares_out else "memory", right=True, drop=2),
        Column(title=pace, wrap=pace == PACES, drop=1),
        Column(title="download", right=True, drop=3),
        Column(title="license", drop=4, cut=18),
    ]
    if wide:
        columns += [
            Column(title="parameters", right=True, drop=6),
            Column(title="quantization", drop=5),
            Column(title="released", drop=7),
            Column(title="why", drop=9),
        ]
    # most of what stands in a cell stands in others as well
    spans: dict[str, Span] = {}

    def cell(text: str) -> Span:
        return spans.get(text) or spans.setdefault(text, Span(text=text))

    signs = {route: Span(text=sign, style=route) for route, sign in _SIGNS.items()}
    cells = []
    for row in rows:
        texts = [
            *([works.get(row.model.id, "-")] if works else []),
            memory_words(row),
            pace_of(row.speed, title=pace, always_ends=wide),
            download_of(row),
            license_words(row.model),
        ]
        if wide:
            total = row.model.parameters.total
            texts += [
                units.count(total) if total is not None else "-",
                row.workload.quantization or "-",
                row.model.released or "-",
                why.get(row.model.id, "") if row.can_run else causes(row),
            ]
        cells.append((signs[row.route], Span(text=row.model.id, style="strong"), *map(cell, texts)))
    return Table(columns=tuple(columns), rows=tuple(cells), indent=0)


def _works(rows: Sequence[Answer]) -> Mapping[str, str]:
    """By id what each model is made for, where a list without text models holds several kinds of
    work, as of voices and of what writes them down; else empty.
    """
    if any(row.model.modality in ("text", "vision") for row in rows):
        return {}
    works = {row.model.id: row.model.uses[0] for row in rows if row.model.uses}
    return works if len(set(works.values())) > 1 else {}


def _is_on_cards(row: Answer) -> bool:
    """Whether accelerators with memory of their own hold a part of it."""
    return row.needs is not None and row.needs.placement in ("accelerator", "split")


def _shares_of(row: Answer) -> str:
    """`14.8 GiB` where GPUs hold the model, `22.1 +8.1` in GiB where the RAM holds a part of it,
    `+21.7 GiB` where the RAM holds all; `~21.6 GiB` where GPUs hold what is likely, not the most.
    """
    needs = row.needs
    in_ram = host_high(needs) if needs is not None else None
    if needs is None or needs.memory is None or in_ram is None:
        return "-"
    if not _is_on_cards(row):
        return f"+{units.binary(in_ram)}"
    is_tight = is_tight_on_card(row)
    on_card = "~" * is_tight + units.binary(on_cards(needs, likely=is_tight) or 0)
    if needs.placement == "accelerator":
        return on_card
    return f"{on_card} +{units.binary(in_ram)}".replace(" GiB", "")


def summary(counts: Counts, machine: Machine, workload: Workload, *, ruled_out: int = 0) -> str:
    """How many run, how many of them slowly, and how many do not or are ruled out; where not all
    were judged, about how many have room.
    """
    unit = "model" if counts.models == 1 else "models"
    room = f" ({memory})" if (memory := _room(machine, workload)) else ""
    verb = "run" + "s" * (counts.running == 1)
    if counts.is_estimate:
        verb = "has room" if counts.running == 1 else "have room"
    running = (
        f"{'About ' * counts.is_estimate}{counts.running:,} of {counts.models:,} {unit} {verb}"
    )
    parts = [
        f"{running} {on_machine(machine, short=True)}{room}"
        + (f", {counts.slow:,} likely too slow" if counts.slow else ""),
        f"{counts.unknown:,} unknown" if counts.unknown else "",
        f"{ruled_out:,} ruled out by your conditions" if ruled_out else "",
    ]
    return f"{'; '.join(part for part in parts if part)}."


def license_words(model: ModelSpec) -> str:
    """The license's id as a column holds it; `-` is not known."""
    if model.closed:
        return "closed"
    name = model.license.id if model.license is not None else None
    return "-" if name is None else name.replace("LicenseRef-", "")


def _room(machine: Machine, workload: Workload) -> str:
    """`22.5 GiB for models, 19.7 GiB free now, NVIDIA RTX 4090`: first what the verdicts rest on;
    the machine's memory where that is not known. Of GPUs with memory of their own that of all
    stands before it.
    """
    own = [card.memory_total_bytes for card in machine.accelerators or () if not card.unified]
    gpu_bytes = sum(size for size in own if size is not None)
    parts = [f"{units.binary(gpu_bytes)} of GPU memory"] if gpu_bytes else []
    ram = " of RAM" if gpu_bytes else ""
    parts += _memory_given(machine, workload, ram)
    # of a simulated machine they stand in its name
    names = [] if machine.planning else [device.name for device in machine.accelerators or ()]
    parts += units.counted(names)
    return ", ".join(part for part in parts if part)


def _memory_given(machine: Machine, workload: Workload, ram: str) -> Iterator[str]:
    """What models may take, and what is free now where that reads as another figure."""
    given, free = given_bytes(machine, workload), machine.memory_available_bytes
    if given is None:
        total = machine.memory_total_bytes
        if total is not None:
            yield f"{units.binary(total)} of memory"
        return
    given_words, free_words = units.binary(given), "" if free is None else units.binary(free)
    yield f"{given_words}{ram} {'free' if given_words == free_words else 'for models'}"
    is_less = free is not None and free < given and free_words != given_words
    if is_less and not machine.planning:
        yield f"{free_words} free now"
