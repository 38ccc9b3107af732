"""What `list` says to a person: the models that run, best first, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..advice.listing import Counts, Listing
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.workload import Workload
from ..judge.checks import given_bytes, host_high, on_cards
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from .layout import BLANK, Block, Cell, Column, Document, Span, Table, lay_out, say, strong
from .words import (
    PACES,
    aged_words,
    causes,
    download_of,
    license_name,
    memory_of,
    on_machine,
    pace_of,
    pace_title,
    planned_words,
    tight_finding,
)

# rows of the first screen, and of a terminal so low that even they do not fit
TOP, _LEAST_ROWS = 20, 5
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
    """Return how many run, then the first `top` of them in the order given, None for all.

    `only_running` leaves out what does not run here, `wide` adds columns. `screen`, columns and
    lines of a terminal, leaves out empty lines, then rows, until all can be seen at once. `near`
    are names like the words that no model has; `notes` are about the machine's name.
    """
    counts, ruled_out = listing.counts, listing.ruled_out
    aged = aged_words(listing.as_of, today)
    if not counts.models:
        return Document(blocks=(*_no_match(ruled_out, near, notes), *aged))
    head: list[Block] = [
        say(summary(counts, machine, workload or Workload(), ruled_out=ruled_out), hang=2)
    ]
    if planned := planned_words(machine):
        head.append(say(planned))
    head += [say(note, hang=2) for note in notes]
    rows = [row for row in listing.answers if row.can_run or not only_running][:top]
    # all empty lines go before the first row does
    for gap in ([BLANK], []) if screen else ([BLANK],):
        document = _document(head, gap, rows, listing, aged, wide, only_running)
        over = len(lay_out(document, screen[0])) - (screen[1] - 1) if screen else 0
        if over <= 0:
            return document
    fewer = rows[: max(_LEAST_ROWS, len(rows) - over)]
    return _document(head, [], fewer, listing, aged, wide, only_running)


def _document(
    head: Sequence[Block],
    gap: Sequence[Block],
    shown: Sequence[Verdict],
    listing: Listing,
    aged: Sequence[Block],
    wide: bool,
    only_running: bool,
) -> Document:
    if not shown:
        return Document(blocks=(*head, *aged))
    foot = say(_foot(len(shown), listing.counts, wide, only_running))
    return Document(blocks=(*head, *gap, _table(shown, listing.why, wide), *gap, foot, *aged))


def _no_match(ruled_out: int, near: Sequence[str], notes: Sequence[str]) -> Iterator[Block]:
    ruled = f" {ruled_out:,} are ruled out by your conditions." if ruled_out else ""
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    every = "" if notes or ruled else " `selfhost list --all` has every model."
    yield say(f"No model matches.{ruled}{meant or every}")
    yield from (say(note, hang=2) for note in notes)


def _foot(shown: int, counts: Counts, wide: bool, only_running: bool) -> str:
    """How many of the candidates are shown, and how to see the others."""
    candidates = counts.running if only_running else counts.models
    # what was not judged is not counted: fewer may have room than run
    about = "about " if only_running and counts.is_estimate else ""
    hints = [f"{shown} of {about}{max(shown, candidates):,}"]
    if shown < candidates or (only_running and candidates < counts.models):
        hints.append("all: --all")
    if not wide:
        hints.append("columns: --wide")
    return " · ".join([*hints, "one: selfhost check MODEL"])


def _table(rows: Sequence[Verdict], why: Mapping[str, str], wide: bool) -> Table:
    on_gpus = any(map(_is_on_cards, rows))
    works, pace = _works(rows), pace_title(row.speed for row in rows)
    columns = [
        Column(),
        Column(title="model"),
        Column(title="made for" if works else "", drop=2),
        Column(title="GPU +RAM" if on_gpus else "memory", right=True, drop=2),
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
    cells: list[tuple[Cell, ...]] = []
    for row in rows:
        total = row.model.parameters.total
        cell: tuple[Cell, ...] = (
            Span(text=_SIGNS[row.route], style=row.route),
            strong(row.model.id),
            works.get(row.model.id, "-") if works else "",
            _shares_of(row) if on_gpus else memory_of(row),
            pace_of(row.speed, title=pace, always_ends=wide),
            download_of(row),
            license_words(row.model),
        )
        if wide:
            cell += (
                units.count(total) if total is not None else "-",
                row.workload.quantization or "-",
                row.model.released or "-",
                why.get(row.model.id, "") if row.can_run else causes(row),
            )
        cells.append(cell)
    return Table(columns=tuple(columns), rows=tuple(cells), indent=0)


def _works(rows: Sequence[Verdict]) -> Mapping[str, str]:
    """What each model is made for, where the list holds several kinds of work and no text."""
    if any(row.model.modality in ("text", "vision") for row in rows):
        return {}
    works = {row.model.id: row.model.uses[0] for row in rows if row.model.uses}
    return works if len(set(works.values())) > 1 else {}


def _is_on_cards(row: Verdict) -> bool:
    """Whether accelerators with memory of their own hold a part of it."""
    return row.needs is not None and row.needs.placement in ("accelerator", "split")


def _shares_of(row: Verdict) -> str:
    """`14.8 GiB` on GPUs, `22.1 +8.1` in GiB with a part in RAM, `+21.7 GiB` all in RAM.

    `~21.6 GiB`: the GPUs hold what is likely, not the most.
    """
    needs = row.needs
    in_ram = host_high(needs) if needs is not None else None
    if needs is None or needs.memory is None or in_ram is None:
        return "-"
    if not _is_on_cards(row):
        return f"+{units.binary(in_ram)}"
    tight = tight_finding(row)
    is_tight = tight is not None and tight.check == "accelerator"
    on_card = "~" * is_tight + units.binary(on_cards(needs, likely=is_tight) or 0)
    if needs.placement == "accelerator":
        return on_card
    return f"{on_card} +{units.binary(in_ram)}".replace(" GiB", "")


def summary(counts: Counts, machine: Machine, workload: Workload, *, ruled_out: int = 0) -> str:
    """How many run, how many of them slowly, and how many do not or are ruled out."""
    unit = "model" if counts.models == 1 else "models"
    verb = "runs" if counts.running == 1 else "run"
    if counts.is_estimate:
        # not all were judged
        verb = "has room" if counts.running == 1 else "have room"
    about = "About " if counts.is_estimate else ""
    memory = ", ".join(_memory_words(machine, workload))
    room = f" ({memory})" if memory else ""
    where = on_machine(machine, short=True)
    slow = f", {counts.slow:,} likely too slow" if counts.slow else ""
    parts = (
        f"{about}{counts.running:,} of {counts.models:,} {unit} {verb} {where}{room}{slow}",
        f"{counts.unknown:,} unknown" if counts.unknown else "",
        f"{ruled_out:,} ruled out by your conditions" if ruled_out else "",
    )
    return f"{'; '.join(filter(None, parts))}."


def license_words(model: ModelSpec) -> str:
    """The license's id as a column holds it; `-` is not known."""
    if model.closed:
        return "closed"
    return license_name(model.license.id if model.license is not None else None) or "-"


def _memory_words(machine: Machine, workload: Workload) -> Iterator[str]:
    """Yield what the verdicts rest on: `22.5 GiB for models`, `19.7 GiB free now`, the GPUs."""
    cards = machine.accelerators or ()
    sizes = (card.memory_total_bytes for card in cards if not card.unified)
    gpu_bytes = sum(filter(None, sizes))
    if gpu_bytes:
        yield f"{units.binary(gpu_bytes)} of GPU memory"
    given, free = given_bytes(machine, workload), machine.memory_available_bytes
    if given is not None:
        words, free_words = units.binary(given), units.binary(free or 0)
        is_all = words == free_words
        yield f"{words}{' of RAM' if gpu_bytes else ''} {'free' if is_all else 'for models'}"
        if not is_all and not machine.planning and (free or given) < given:
            yield f"{free_words} free now"
    elif total := machine.memory_total_bytes:
        yield f"{units.binary(total)} of memory"
    # of a simulated machine they stand in its name
    yield from () if machine.planning else units.counted([card.name for card in cards])
