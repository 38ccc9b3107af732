"""What `list` says to a person: the models that run, best first, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..advice.listing import Counts, Listing
from ..core import units
from ..core.workload import Workload
from ..judge.checks.memory import given_bytes
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from .layout import BLANK, Block, Document, Span, Table, lay_out, say, texts
from .model_rows import rows_of
from .words import (
    aged_words,
    causes,
    on_machine,
    planned_words,
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
    counts, aged = listing.counts, aged_words(listing.as_of, today)
    if not counts.models:
        return Document(blocks=(*_no_match(listing.ruled_out, near, notes), *aged))
    head: list[Block] = [say(_summary(listing, machine, workload or Workload()), hang=2)]
    head += texts((planned_words(machine), *notes), indent=0)
    rows = [row for row in listing.answers if row.can_run or not only_running][:top]
    gap, spare = [BLANK], 0
    while True:
        body: list[Block] = []
        if rows:
            foot = say(_foot(len(rows), counts, wide, only_running))
            body = [*gap, _table(rows, listing.why, wide), *gap, foot]
        document = Document(blocks=(*head, *body, *aged))
        over = len(lay_out(document, screen[0])) - (screen[1] - 1) if screen else 0
        if over <= 0 or spare:
            return document
        # all empty lines go before the first row does
        if not gap:
            rows, spare = rows[: max(_LEAST_ROWS, len(rows) - over)], 1
        gap = []


def _no_match(ruled_out: int, near: Sequence[str], notes: Sequence[str]) -> Iterator[Block]:
    ruled = f" {ruled_out:,} are ruled out by your conditions." if ruled_out else ""
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    every = "" if notes or ruled else " `selfhost list --all` has every model."
    yield from texts([f"No model matches.{ruled}{meant or every}", *notes], indent=0)


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
    signs = [Span(text=_SIGNS[row.route], style=row.route) for row in rows]
    names = ["memory", "in", "pace", "download", "license"]
    if wide:
        names += ["parameters", "quantization", "released", "why"]
    whys = [why.get(row.model.id, "") if row.can_run else causes(row) for row in rows]
    return rows_of(rows, signs, names, whys, always_ends=wide)


def _summary(listing: Listing, machine: Machine, workload: Workload) -> str:
    """How many run, how many of them slowly, and how many do not or are ruled out."""
    counts, is_one = listing.counts, listing.counts.running == 1
    verb = "runs" if is_one else "run"
    if counts.is_estimate:
        # not all were judged
        verb = "has room" if is_one else "have room"
    memory = ", ".join(_memory_words(machine, workload))
    parts = (
        f"{'About ' if counts.is_estimate else ''}{counts.running:,} of {counts.models:,}"
        f" {'model' if counts.models == 1 else 'models'} {verb} {on_machine(machine, short=True)}"
        f"{f' ({memory})' if memory else ''}"
        f"{f', {counts.slow:,} likely too slow' if counts.slow else ''}",
        f"{counts.unknown:,} unknown" if counts.unknown else "",
        f"{listing.ruled_out:,} ruled out by your conditions" if listing.ruled_out else "",
    )
    return f"{'; '.join(filter(None, parts))}."


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
