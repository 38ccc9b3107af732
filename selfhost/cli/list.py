"""`selfhost list`: the catalogue, best fit for the machine first."""

from __future__ import annotations

from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.errors import SpecError, in_one_line
from ..verdict.route import Route
from .arguments import (
    Parser,
    add_machine,
    add_output,
    add_specs,
    add_workload,
    kind,
    parse,
    size_bytes,
    whole,
)
from .errors import UsageError
from .options import measured_where_unknown, one_machine, workload_of
from .output import deliver, present, screen, tell_left_aside

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from ..advice.compiled import Questions
    from ..advice.listing import Listing
    from ..advice.ranking import Counts
    from ..catalogue.index import Catalogue
    from ..catalogue.outlines import Outline
    from ..core.errors import WorkloadError
    from ..core.workload import Workload
    from ..machine.record import Machine
    from ..reports.layout import Document
    from ..verdict.record import Answer


def parser() -> Parser:
    """What is shared with other commands, and the filters."""
    parser = Parser("list")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only models whose names, maker or kind hold every word",
    )
    add_workload(parser)
    add_machine(parser, "list")
    parser.set_defaults(tokens_per_day=None, watts=None, electricity=None)
    _add_view(parser)
    parser.add_argument("--family", metavar="NAME", help="only this family")
    parser.add_argument(
        "--modality", choices=MODALITIES, metavar="KIND", help=", ".join(MODALITIES)
    )
    parser.add_argument(
        "--use", choices=USES, metavar="USE", help="only models made for this, as chat or code"
    )
    parser.add_argument(
        "--openness",
        choices=OPENNESS,
        metavar="HOW",
        help=f"of the weights: {', '.join(OPENNESS)}",
    )
    parser.add_argument(
        "--route",
        choices=tuple(route.value for route in Route),
        metavar="ANSWER",
        help="only local, api, neither or unknown",
    )
    parser.add_argument(
        "--max-size",
        type=kind(size_bytes),
        metavar="SIZE",
        help="only downloads up to this size, as 8GB",
    )
    add_specs(parser)
    add_output(parser, "list")
    return parser


# what `--sort` orders by, smaller first; what is not known comes last
_SORTS = ("best", "speed", "memory", "download", "parameters", "released", "name")


def _add_view(parser: Parser) -> None:
    parser.add_argument(
        "--top", type=kind(_row_count), metavar="N", help="how many models to show (default: 20)"
    )
    parser.add_argument("--all", action="store_true", help="with those that do not run here")
    parser.add_argument("-v", "--wide", action="store_true", help="more columns")
    parser.add_argument(
        "--sort",
        choices=_SORTS,
        default="best",
        metavar="COLUMN",
        help=f"{', '.join(_SORTS[:4])} ... (default: best)",
    )


def _row_count(text: str) -> int:
    rows = whole(text)
    if rows < 1:
        raise ValueError(f"must be at least 1, not {rows}")
    return rows


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    if options.all and options.top is not None:
        raise UsageError("--all and --top exclude each other", remedy="leave one of them out")
    workload = workload_of(options)
    machine = measured_where_unknown(options, one_machine(options))
    from ..advice.compiled import Questions
    from ..advice.listing import refusals
    from ..advice.ranking import count_rows
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    if options.family is not None:
        _known_family(options.family, catalogue)

    ready = Questions.open(catalogue, workload, machine)
    listing, ids = _judged(options, catalogue, workload, machine, ready)
    rows, counts = list(listing.answers), listing.counts
    refused: Mapping[str, WorkloadError] = {}
    if ids is not None:
        absent = {*ids}.difference(row.model.id for row in rows)
        refused = refusals(catalogue, sorted(absent), workload, machine)
    if not _is_plain(options):
        rows = _sorted([row for row in rows if _matches(row, options)], options.sort)
        counts = count_rows(rows)
    notes = *options.notes, *_on_options(workload, machine, catalogue, rows, refused)
    # the document has them already
    options.notes = ()
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.listing(rows, machine, listing, notes=notes)))
    elif options.format == "html":
        deliver(options, _page(rows, machine, catalogue, workload, listing.ruled_out, notes))
    else:
        near = () if counts.models or refused else _near(options.words, catalogue)
        present(options, _document(options, rows, machine, listing, counts, near=near, notes=notes))
    tell_left_aside(catalogue)
    return 0


def _judged(
    options: argparse.Namespace,
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
    ready: Questions | None,
) -> tuple[Listing, list[str] | None]:
    """The models judged, and the ids of those looked for; None where all are."""
    from ..advice.listing import first_rows, judge_all
    from ..reports.list_text import TOP

    if _is_plain(options):
        return first_rows(catalogue, workload, machine, options.top or TOP, ready), None
    ids = _chosen(options, catalogue, ready) if _asks(options, _OF_MODELS) else None
    use, modality = _kinds_in(options.words, catalogue)
    use = options.use or use
    listing = judge_all(
        catalogue, workload, machine, ready=ready, use=use, modality=modality, ids=ids
    )
    return listing, ids


def _on_options(
    workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    rows: Sequence[Answer],
    refused: Mapping[str, WorkloadError],
) -> Iterator[str]:
    """What the options say nothing of, or keep from being judged, and what to type instead."""
    yield from _in_fewer_bits(workload, machine, catalogue)
    yield from _without_cache_type(workload, rows, catalogue)
    yield from _without_context(workload, rows)
    if refused:
        yield _not_as_asked(refused)


def _in_fewer_bits(workload: Workload, machine: Machine, catalogue: Catalogue) -> Iterator[str]:
    """How to list what fits accelerators in 4 bits, with a program that takes each model's own type
    unless told. `check` answers for that type, so the list does.
    """
    if workload.runtime is None or workload.quantization is not None or not machine.accelerators:
        return
    runtime = catalogue.runtime(workload.runtime)
    name = next((name for name, rule in runtime.quantizations.items() if "4bit" in rule.also), None)
    if name is not None and "text" in runtime.modalities and workload.task == "generate":
        yield (
            f"{runtime.name} is judged with each model's own type: --quant {name} lists what fits"
            " in 4 bits."
        )


def _without_cache_type(
    workload: Workload, rows: Sequence[Answer], catalogue: Catalogue
) -> Iterator[str]:
    """Why nothing runs with a type of KV cache that the programs lack, and which have it. Nothing
    where a model was judged with it, whatever became of that.
    """
    cache_type = workload.kv_cache_type
    if cache_type in (None, "f16") or not rows or any(row.needs is not None for row in rows):
        return
    having = [
        name
        for name in catalogue.runtime_ids()
        if cache_type in catalogue.runtime(name).kv_cache_types
    ]
    if workload.runtime not in having:
        named = " or ".join(f"--runtime {name}" for name in having)
        yield (
            f"Nothing runs with a KV cache in {cache_type} because the programs judged lack it:"
            f" {named} lists those that have it."
        )


def _without_context(workload: Workload, rows: Sequence[Answer]) -> Iterator[str]:
    """That the context says nothing of some of these models."""
    from ..verdict.findings import reads_context

    if workload.context_tokens is None:
        return
    kinds = {row.model.modality for row in rows if not reads_context(row.model)}
    if kinds:
        named = ", ".join(sorted(kinds))
        yield f"--context has no effect on models without a context of tokens ({named})."


# names of models that a note lists
_MOST_NAMED = 3


def _not_as_asked(refused: Mapping[str, WorkloadError]) -> str:
    """Which of the models looked for cannot be judged as asked, and why the first cannot."""
    from .errors import in_flags

    first, *others = refused
    listed = ", ".join((first, *others[: _MOST_NAMED - 1]))
    more = f" and {len(refused) - _MOST_NAMED:,} more" if len(refused) > _MOST_NAMED else ""
    problem = in_flags(refused[first]).problems[0]
    remedy = f" ({in_one_line(problem.remedy)})" if problem.remedy else ""
    reason = f"{problem.key}: {problem.message}{remedy}"
    whose = f"{first}: " if others else ""
    return f"Cannot be judged as asked: {listed}{more}. {whose}{reason}"


def _document(
    options: argparse.Namespace,
    rows: Sequence[Answer],
    machine: Machine,
    listing: Listing,
    counts: Counts,
    *,
    near: Sequence[str],
    notes: Sequence[str],
) -> Document:
    """The list as text, as much of it as the terminal shows where nothing else was asked."""
    from ..core.dates import utc_today
    from ..reports.list_text import TOP, list_document

    to_terminal = options.output is None and options.top is None and not options.all
    return list_document(
        rows,
        machine,
        counts=counts,
        ruled_out=listing.ruled_out,
        why=listing.why,
        top=None if options.all else options.top or TOP,
        wide=options.wide,
        only_running=not (options.all or options.words or options.route),
        screen=screen() if to_terminal else None,
        near=near,
        as_of=listing.as_of,
        today=utc_today(),
        notes=notes,
    )


def _page(
    rows: Sequence[Answer],
    machine: Machine,
    catalogue: Catalogue,
    workload: Workload,
    ruled_out: int,
    notes: Sequence[str],
) -> str:
    """The list as a web page."""
    from ..catalogue.offers import offers_of
    from ..core.dates import utc_today
    from ..reports.html import catalogue_page

    today = utc_today()
    offers = {
        row.model.id: offers_of(catalogue.offers_path, row.model.id, today=today) for row in rows
    }
    prices = {model_id: listed[0] for model_id, listed in offers.items() if listed}
    beside_defaults = workload.options()
    return catalogue_page(
        rows, machine, prices, asked=beside_defaults, ruled_out=ruled_out, notes=notes
    )


# filters of models, whatever the machine, and of answers
_OF_MODELS = ("words", "family", "modality", "use", "openness")
_OF_ANSWERS = ("route", "max_size")


def _asks(options: argparse.Namespace, filters: Sequence[str]) -> bool:
    """Whether one of these filters was given."""
    return any(getattr(options, name) for name in filters)


def _is_plain(options: argparse.Namespace) -> bool:
    """Whether the text shows only the first of those that run, in the order of their ranking."""
    is_filtered = _asks(options, (*_OF_MODELS, *_OF_ANSWERS))
    is_text = options.format == "text" and not options.all
    return is_text and options.sort == "best" and not is_filtered


def _kinds_in(words: Sequence[str], catalogue: Catalogue) -> tuple[str | None, str | None]:
    """The use and the modality that are among the words, by which those that hold them are ordered;
    None without.
    """
    if not words:
        return None, None
    from ..catalogue.searching import modality_in, use_in, words_typed

    typed = words_typed(words, catalogue)
    return use_in(typed), modality_in(typed)


def _chosen(
    options: argparse.Namespace, catalogue: Catalogue, ready: Questions | None
) -> list[str]:
    """The ids of the models that pass every filter of models. One whose spec is faulty passes
    none.
    """
    outlines = filter(None, map(catalogue.outline, catalogue.ids()))
    ids = [outline.id for outline in outlines if _passes(outline, options)]
    if not _asks(options, ("words", "openness")):
        return ids
    from ..catalogue.searching import holds_words, words_typed

    words = words_typed(options.words, catalogue)
    chosen = []
    for id in ids:
        try:
            spec = (None if ready is None else ready.spec(id)) or catalogue.spec(id)
        except SpecError:
            continue
        is_open = options.openness is None or spec.openness.weights == options.openness
        if is_open and (not words or holds_words(spec, words)):
            chosen.append(id)
    return chosen


def _passes(outline: Outline, options: argparse.Namespace) -> bool:
    """Whether the model passes the filters for which its outline is enough."""
    return (
        (options.family is None or _same(outline.family, options.family))
        and (options.modality is None or outline.modality == options.modality)
        and (options.use is None or options.use in (outline.uses or ()))
    )


def _matches(answer: Answer, options: argparse.Namespace) -> bool:
    """Whether the answer passes every filter of answers."""
    return (options.route is None or answer.route == options.route) and (
        options.max_size is None or _within(answer, options.max_size)
    )


def _near(words: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Commands for what the words most likely meant."""
    from ..catalogue.searching import meant, words_typed

    guesses = meant(words_typed(words, catalogue), catalogue)
    return tuple(f"`selfhost list {guess}`" for guess in guesses)


def _sorted(rows: list[Answer], order: str) -> list[Answer]:
    """The rows by one column, the best first; `best` leaves the order of the ranking."""
    if order == "best":
        return rows

    def place(row: Answer) -> tuple[bool, float | str]:
        value = _of_column(row, order)
        return value is None, 0 if value is None else value

    return sorted(rows, key=place)


def _of_column(row: Answer, order: str) -> float | str | None:
    needs, pace = row.needs, row.speed.decode if row.speed is not None else None
    released = (row.model.released or "").replace("-", "").ljust(8, "0")
    values: dict[str, float | str | None] = {
        "speed": -pace.likely if pace is not None else None,
        "memory": needs.memory.high_bytes if needs is not None and needs.memory else None,
        "download": needs.download_bytes if needs is not None else None,
        "parameters": -(row.model.parameters.total or 0) or None,
        "released": -int(released) if row.model.released else None,
        "name": row.model.id,
    }
    return values[order]


def _within(verdict: Answer, most: int) -> bool:
    size = verdict.needs.download_bytes if verdict.needs else None
    return size is not None and size <= most


def _known_family(wanted: str, catalogue: Catalogue) -> None:
    """`UsageError` with the nearest for a family that no model is of."""
    from ..core.spelling import nearest

    families = sorted(
        {outline.family for outline in catalogue.outlines() if outline.family is not None}
    )
    if not any(_same(family, wanted) for family in families):
        guess = nearest(wanted, families)
        remedy = (
            f"did you mean --family {guess}?"
            if guess
            else "leave it out: `selfhost list` shows every model"
        )
        raise UsageError(
            f"--family {wanted!r}: no model is of that family",
            remedy=remedy,
            nearest=(guess,) if guess else (),
        )


def _same(family: str | None, wanted: str) -> bool:
    from ..core.spelling import canonical

    own, typed = canonical(family or ""), canonical(wanted)
    return own == typed or own.startswith(typed + "-")
