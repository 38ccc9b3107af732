"""What `list` says to a person: the models that run, best first, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.listing import Counts, Listing
from ..core import units
from ..core.workload import Workload
from ..judge.checks import Outcome
from ..judge.checks.memory import given_bytes
from ..judge.record import Route, Verdict, leaves_little, waits_for_setting
from ..machine.record import Machine
from .layout import BLANK, Block, Document, Span, say, texts
from .model_rows import rows_of
from .words import aged_words, causes, on_machine, planned_words

# rows of the first screen
TOP = 20
_SIGNS = {Route.LOCAL: "✓", Route.UNKNOWN: "?", Route.API: "✗", Route.NEITHER: "✗"}
_TIGHT = Span(text="!", style=Outcome.WARN)
_NAMES = ("memory", "in", "pace", "download", "license")
_MORE_NAMES = ("parameters", "quantization", "released", "why")


def list_document(
    listing: Listing,
    machine: Machine,
    workload: Workload | None = None,
    *,
    top: int | None = TOP,
    wide: bool = False,
    only_running: bool = True,
    near: Sequence[str] = (),
    today: str | None = None,
    notes: Sequence[str] = (),
) -> Document:
    """Return how many run, then the first `top` of them in the order given, None for all.

    `only_running` leaves out what does not run here, `wide` adds columns. `near` are names like the
    words that no model has; `notes` are about the machine's name.
    """
    counts, aged = listing.counts, aged_words(listing.as_of, today)
    if not counts.models:
        ruled = f" {listing.ruled_out:,} are ruled out by your conditions."
        every = "" if notes else " `selfhost list --all` has every model."
        hint = f" Did you mean {' or '.join(near)}?" if near else every
        none = f"No model matches.{ruled if listing.ruled_out else hint}"
        return Document(blocks=(*texts([none, *notes], indent=0), *aged))
    blocks: list[Block] = [say(_summary(listing, machine, workload or Workload()), hang=2)]
    blocks += texts((planned_words(machine), *notes), indent=0)
    rows = [row for row in listing.answers if row.can_run or not only_running][:top]
    if rows:
        signs = list(map(_sign, rows))
        whys = [listing.why.get(row.model.id, "") if row.can_run else causes(row) for row in rows]
        names = (*_NAMES, *_MORE_NAMES) if wide else _NAMES
        foot = _foot(len(rows), listing.counts, wide, only_running)
        if any(sign.text == _TIGHT.text for sign in signs):
            foot += f" · {_TIGHT.text}: little left, or a limit to raise first"
        blocks += [BLANK, rows_of(rows, signs, names, whys), BLANK, say(foot)]
    return Document(blocks=(*blocks, *aged))


def _sign(row: Verdict) -> Span:
    """The route, or that it just fits."""
    is_tight = leaves_little(row) or waits_for_setting(row)
    return _TIGHT if row.can_run and is_tight else Span(text=_SIGNS[row.route], style=row.route)


def _foot(shown: int, counts: Counts, wide: bool, only_running: bool) -> str:
    """How many of the candidates are shown, and how to see the others."""
    # what was not judged is not counted: fewer may have room than run
    candidates = max(shown, counts.running if only_running else counts.models)
    about = "about " if only_running and counts.is_estimate else ""
    hints = (
        f"{shown} of {about}{candidates:,}",
        "all: --all" if candidates < counts.models or shown < candidates else "",
        "" if wide else "columns: --wide",
        "one: selfhost check MODEL",
    )
    return " · ".join(filter(None, hints))


def _summary(listing: Listing, machine: Machine, workload: Workload) -> str:
    """How many run, how many of them slowly, and how many do not or are ruled out."""
    counts = listing.counts
    verb = "runs" if counts.running == 1 else "run"
    if counts.is_estimate:
        # not all were judged
        verb = "has room" if counts.running == 1 else "have room"
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
    # of a simulated machine they stand in its name
    yield from () if machine.planning else units.counted([card.name for card in cards])
