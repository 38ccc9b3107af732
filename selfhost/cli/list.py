"""`selfhost list`: the models of the catalogue, those that suit the machine best first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence

from ..advice.filters import (
    ids_passing,
    kinds_in,
    named_by_words,
    words_in_names,
    words_typed,
)
from ..advice.listing import (
    Answer,
    Lister,
    Ranking,
    count_rows,
    note_on_refused,
)
from ..advice.verdicts import check_with
from ..catalogue.index import Catalogue, open_catalogue
from ..core.errors import UsageError
from ..core.units import canonical, nearest, utc_today
from ..core.workload import Workload
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from ..reports import json
from ..reports.layout import Blocks
from ..reports.list_text import TOP, list_document
from .asked import (
    measured_where_unknown,
    one_machine,
    options_to_repeat,
    workload_of,
)
from .output import note_faulty_specs, present, write_json
from .parser import Options
from .progress import Progress

# up to this number all models are judged: finding the first rows would take as long
_FEW = 60


class ListOptions(Options):
    """The options of `list`. An option that was not given is None. `max_size` is in bytes."""

    words: Sequence[str]
    top: int | None
    from_: int | None
    all: bool
    wide: bool
    sort: str
    family: str | None
    modality: str | None
    use: str | None
    openness: str | None
    route: str | None
    max_size: int | None

    @property
    def first_row(self) -> int:
        """The first row to show, counted from 1."""
        return self.from_ or 1

    @property
    def shows_only_running(self) -> bool:
        """Whether a person sees only models that run: with the route `local`, or without a route
        where neither --all, words nor a web page were asked for.
        """
        if self.route is not None:
            return self.route == "local"
        return not (self.all or self.words or self.format == "html")

    @property
    def chooses_models(self) -> bool:
        """Whether only some models of the catalogue are asked for."""
        kinds = (self.family, self.modality, self.use, self.openness)
        return bool(self.words) or any(kinds)

    def takes(self, row: Verdict) -> bool:
        """Whether a model has the route and the size that were asked for. A model of unknown size
        has not.
        """
        if self.route not in (None, row.route):
            return False
        if self.max_size is None:
            return True
        return row.download_bytes is not None and row.download_bytes <= self.max_size


def run(words: Sequence[str]) -> int:
    """List what runs on the machine, best first. The exit code is 0."""
    options = ListOptions.read("list", words)
    workload = workload_of(options)
    machine = measured_where_unknown(options, one_machine(options))
    catalogue = open_catalogue(options.specs)
    options.words = words_typed(options.words, catalogue)
    ids = chosen_ids(options, catalogue, workload)
    listing = _ranking(options, catalogue, workload, machine, ids)
    notes = options.take_notes()
    if options.chooses_models:
        notes = (*notes, *note_on_refused(listing.refused))
    if options.format == "json":
        rows = listing.models[options.first_row - 1 :][: options.top]
        listing = listing.replace(notes=notes, models=rows)
        write_json(options, json.record(listing))
    else:
        present(options, _document(options, catalogue, workload, listing, notes))
    note_faulty_specs(catalogue)
    return 0


def _document(
    options: ListOptions,
    catalogue: Catalogue,
    workload: Workload,
    listing: Ranking,
    notes: Sequence[str],
) -> Blocks:
    """The list for a person. A page has all models and columns, a text the first models."""
    is_page = options.format == "html"
    top = options.top
    if top is None and not (is_page or options.all):
        top = TOP
    guesses: Sequence[str] = ()
    if not (listing.counts.models or listing.refused):
        guesses = words_in_names(options.words, catalogue)
    return list_document(
        listing,
        workload,
        top=top,
        first_row=options.first_row,
        offered=_first_offered(listing, catalogue, workload),
        wide=options.wide or is_page,
        only_running=options.shows_only_running,
        sort=options.sort,
        near=[f"`selfhost list {guess}`" for guess in guesses],
        today=utc_today(),
        notes=notes,
        options=workload.options() + options_to_repeat(options),
    )


def _first_offered(
    listing: Ranking,
    catalogue: Catalogue,
    workload: Workload,
) -> Verdict | None:
    """Where no model runs, the verdict of the first that an API offers, with its offers."""
    if listing.counts.running != 0:
        return None
    for row in listing.models:
        if row.route is Route.API:
            return check_with(catalogue, row.model.id, workload, listing.machine)
    return None


def chosen_ids(
    options: ListOptions,
    catalogue: Catalogue,
    workload: Workload,
) -> list[str]:
    """The ids of the models that pass every filter of models."""
    families = set()
    if options.family:
        families = _families_named(options.family, catalogue)
    return ids_passing(
        catalogue,
        words=options.words,
        families=families,
        modality=options.modality,
        use=options.use,
        openness=options.openness,
        purpose=workload.purpose,
    )


def _families_named(typed: str, catalogue: Catalogue) -> set[str]:
    """The families whose names begin with the typed words. Raises `UsageError` where no name
    does.
    """
    outlines = catalogue.outlines.values()
    names = sorted({outline.family for outline in outlines if outline.family})
    start = f"{canonical(typed)}-"
    families = {name for name in names if f"{canonical(name)}-".startswith(start)}
    if not families:
        guess = nearest(typed, names)
        raise UsageError(
            f"--family {typed!r}: no model belongs to this family",
            remedy=f"did you mean --family {guess}?" if guess else "leave it out",
            nearest=(guess,) if guess else (),
        )
    return families


def _ranking(
    options: ListOptions,
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    ids: Sequence[str],
) -> Ranking:
    """Judge the models to show, and count all that pass the filters."""
    lister = lister_of(options, catalogue, workload, machine)
    with Progress("judging models") as tell:
        if _shows_first(options, ids):
            only_running = options.format == "text" and options.shows_only_running
            top = options.first_row - 1 + (options.top or TOP)
            first = lister.first(top, ids, only_running=only_running, tell=tell)
            if first.models:
                return first
        # where no model runs, the reasons of all models show what to change
        listing = lister.all(ids, tell=tell)
    taken = filter(options.takes, listing.models)
    rows = sorted_by(list(taken), options.sort, lister)
    return listing.replace(models=tuple(rows), counts=count_rows(rows))


def lister_of(
    options: ListOptions,
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    judged: MutableMapping[str, Answer] | None = None,
) -> Lister:
    """Return the lister, which judges the models and knows their order. `judged` are the answers
    that are known already.
    """
    # a use and a modality in the search words order the models that have them
    meant = kinds_in(options.words)
    return Lister(
        catalogue,
        workload,
        machine,
        use=options.use or meant.use,
        modality=meant.modality,
        named=named_by_words(options.words, catalogue),
        judged=judged,
    )


def _shows_first(options: ListOptions, ids: Sequence[str]) -> bool:
    """Whether the first models in the usual order are shown, so that others need no judgement."""
    # models that run may be left out too: all must be judged to show one
    if options.max_size is not None or options.route not in (None, "local"):
        return False
    if options.sort != "best" or options.all:
        return False
    if options.format == "text":
        are_few = options.chooses_models and 0 < len(ids) <= _FEW
        return options.top is not None or not are_few
    # without --top a page or a document holds all models; only a list in text can leave out models
    # that do not run before all are judged
    return options.top is not None and options.route is None


def sorted_by(
    rows: list[Verdict],
    column: str,
    lister: Lister,
) -> list[Verdict]:
    """Return the rows sorted by a column, those without a known value last. The rows come sorted by
    "best".
    """
    if column not in _COLUMNS:
        return rows
    value_of = _COLUMNS[column]

    def place(row: Verdict) -> tuple[bool, float | str]:
        value = value_of(row)
        return value is None, value or 0

    rows.sort(key=place)
    if column == "speed":
        # the fastest models are toys and old base models, which nobody looks for
        return lister.useful_first(rows)
    return rows


def _slowness(row: Verdict) -> float | None:
    """Minus the tokens/s of an answer, so that the fastest comes first."""
    pace = row.decode_tokens_per_second
    return None if pace is None else -pace.likely


def _smallness(row: Verdict) -> int | None:
    """Minus the number of parameters, so that the largest comes first."""
    parameters = row.model.parameters.total
    return -parameters if parameters else None


def _age(row: Verdict) -> int | None:
    """Minus the day of the release as a number (20240731), so that the newest comes first."""
    released = row.model.released
    if not released:
        return None
    # a month or a year alone sorts after its days
    return -int(released.replace("-", "").ljust(8, "0"))


# the sort value of each column, the least first; None: not known
_COLUMNS: Mapping[str, Callable[[Verdict], float | str | None]] = {
    "speed": _slowness,
    "memory": lambda row: row.memory_high_bytes,
    "download": lambda row: row.download_bytes,
    "parameters": _smallness,
    "released": _age,
    "name": lambda row: row.model.id,
}
