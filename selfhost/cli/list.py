"""`selfhost list`: the catalogue, best fit for the machine first."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..advice.listing import (
    Lister,
    Ranking,
    chosen,
    count_rows,
    kinds_in,
    list_notes,
    named_by_words,
    words_in_names,
    words_typed,
)
from ..catalogue.index import Catalogue, open_catalogue
from ..core.units import canonical, nearest, utc_today
from ..core.workload import Workload
from ..judge.record import Verdict
from ..machine.record import Machine
from ..reports.list_text import TOP, list_document
from .output import (
    UsageError,
    is_terminal,
    note_faulty_specs,
    present,
    terminal_size,
    write_json,
)
from .parser import measured_where_unknown, one_machine, parse, workload_of
from .progress import Progress

# so few models are all judged: to settle the first rows of them takes as long
_FEW = 60
# lines of a terminal that are no rows, and the rows on one too low for both
_OTHER_LINES, _LEAST_ROWS = 8, 5
# what each column is sorted by, the least first
_COLUMNS: Mapping[str, Callable[[Verdict], Any]] = {
    "speed": lambda row: row.speed and row.speed.decode and -row.speed.decode.likely,
    "memory": lambda row: row.memory and row.memory.high_bytes,
    "download": lambda row: row.download_bytes,
    "parameters": lambda row: -(row.model.parameters.total or 0) or None,
    "released": lambda row: -int((row.model.released or "").replace("-", "").ljust(8, "0")) or None,
    "name": lambda row: row.model.id,
}


def run(words: list[str]) -> int:
    """List what runs on the machine, best first."""
    options = parse("list", words)
    if options.all and options.top is not None:
        raise UsageError("--all and --top exclude each other", remedy="leave one of them out")
    workload = workload_of(options)
    machine = measured_where_unknown(options, one_machine(options))
    catalogue = open_catalogue(options.specs)
    options.words = words_typed(options.words, catalogue)
    ids = _chosen(options, catalogue)
    listing = _ranking(options, catalogue, workload, machine, ids)
    notes = (*options.notes, *list_notes(listing, workload, named=ids is not None))
    # the document has them already
    options.notes = ()
    first = listing.models[: options.top]
    if not write_json(options, "record", listing.replace(notes=notes, models=first)):
        near: tuple[str, ...] = ()
        if not (listing.counts.models or listing.refused):
            guesses = words_in_names(options.words, catalogue)
            near = tuple(f"`selfhost list {guess}`" for guess in guesses)
        is_page = options.format == "html"
        is_all = any((is_page, options.all, options.words, options.route))
        lines = terminal_size().lines if options.output is None and is_terminal() else 0
        rows = max(_LEAST_ROWS, min(TOP, lines - _OTHER_LINES)) if lines else TOP
        document = list_document(
            listing,
            workload,
            top=options.top or (None if is_page or options.all else rows),
            wide=options.wide or is_page,
            only_running=not is_all or options.route == "local",
            near=near,
            today=utc_today(),
            notes=notes,
        )
        present(options, document)
    note_faulty_specs(catalogue)
    return 0


def _chosen(options: argparse.Namespace, catalogue: Catalogue) -> list[str] | None:
    """Return the ids of the models that pass every filter of models, None without a filter."""
    if not any((options.words, options.family, options.modality, options.use, options.openness)):
        return None
    families: set[str | None] = set()
    if typed := options.family:
        names = sorted({each.family for each in catalogue.outlines.values() if each.family})
        start = f"{canonical(typed)}-"
        families.update(name for name in names if f"{canonical(name)}-".startswith(start))
        if not families:
            guess = nearest(typed, names)
            raise UsageError(
                f"--family {typed!r}: no model is of that family",
                remedy=f"did you mean --family {guess}?" if guess else "leave it out",
                nearest=(guess,) if guess else (),
            )
    filters = {key: getattr(options, key) for key in ("words", "modality", "use", "openness")}
    return chosen(catalogue, families=families, **filters)


def _ranking(
    options: argparse.Namespace,
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    ids: Sequence[str] | None,
) -> Ranking:
    """Judge the models to show, and count all that pass the filters."""
    # a use and a modality among the words order the models that hold them
    use, modality = kinds_in(options.words)
    lister = Lister(
        catalogue,
        workload,
        machine,
        use=options.use or use,
        modality=modality,
        named=named_by_words(options.words, catalogue),
    )
    with Progress("judging models") as tell:
        if _shows_first(options, ids):
            only_running = False
            if options.format == "text":
                only_running = options.route == "local" or not options.words
            top = options.top or TOP
            first = lister.first(top, ids, only_running=only_running, tell=tell)
            if first.models:
                return first
        # where nothing runs, how each fails tells what to change
        listing = lister.all(ids, tell=tell)
    rows = _selected(listing.models, options, lister)
    return listing.replace(models=tuple(rows), counts=count_rows(rows))


def _shows_first(options: argparse.Namespace, ids: Sequence[str] | None) -> bool:
    """Whether the first models in the usual order are shown, so that others need no judgement."""
    is_filtered = options.max_size or options.route not in (None, "local")
    if is_filtered or options.sort != "best" or options.all:
        return False
    if options.top is not None:
        # which of all run is known once all are judged
        return options.format == "text" or options.route is None
    # a document for a program has all, and few models are all judged
    return options.format == "text" and not (ids and len(ids) <= _FEW)


def _selected(
    rows: Iterable[Verdict], options: argparse.Namespace, lister: Lister
) -> list[Verdict]:
    """Return those that pass the filters, in the order asked for; what is not known comes last."""
    route, most_bytes, value = options.route, options.max_size, _COLUMNS.get(options.sort)
    sized = (row for row in rows if most_bytes is None or row.download_bytes is not None)
    kept = [
        row
        for row in sized
        if route in (None, row.route)
        and (most_bytes is None or (row.download_bytes or 0) <= most_bytes)
    ]
    if value is None:
        return kept
    kept.sort(key=lambda row: (value(row) is None, value(row) or 0))
    if options.sort == "speed":
        # the fastest of all are toys and base models of years ago, which nobody looks for
        return lister.useful_first(kept)
    return kept
