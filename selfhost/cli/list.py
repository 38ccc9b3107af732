"""`selfhost list`: the catalogue, best fit for the machine first."""

from __future__ import annotations

from ..catalogue.spec import MODALITIES, OPENNESS
from ..verdict.record import Route
from .arguments import (
    Parser,
    add_machine,
    add_output,
    add_specs,
    add_workload,
    kind,
    parse,
    size_bytes,
)
from .errors import UsageError
from .options import one_machine, workload_of
from .output import deliver, present, tell_left_aside

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..catalogue.index import Catalogue
    from ..verdict.record import Answer


def parser() -> Parser:
    """What is shared with other commands, and the filters."""
    parser = Parser("list")
    add_workload(parser)
    add_machine(parser, "list")
    parser.set_defaults(tokens_per_day=None, watts=None, electricity=None)
    group = parser.add_argument_group("filters")
    group.add_argument("--family", metavar="NAME", help="only this family")
    group.add_argument("--modality", choices=MODALITIES, help="only this kind of model")
    group.add_argument(
        "--openness",
        choices=OPENNESS,
        help="only models whose weights are published, in part, or closed",
    )
    group.add_argument(
        "--route",
        choices=tuple(route.value for route in Route),
        help="only models with this answer",
    )
    group.add_argument(
        "--max-size",
        type=kind(size_bytes),
        metavar="SIZE",
        help="only downloads up to this size, as 8GB",
    )
    add_specs(parser)
    add_output(parser, "list")
    return parser


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    workload = workload_of(options)
    from ..api import judge_all, open_catalogue, utc_today

    catalogue = open_catalogue(options.specs)
    if options.family is not None:
        _known_family(options.family, catalogue)
    machine = one_machine(options)
    rows = [row for row in judge_all(catalogue, workload, machine) if _matches(row, options)]
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.listing(rows, machine)))
    elif options.format == "html":
        from ..catalogue.offers import offers_of
        from ..reports.html import catalogue_page

        today = utc_today()
        offers = {
            row.model.id: offers_of(catalogue.offers_path, row.model.id, today=today)
            for row in rows
        }
        prices = {model_id: listed[0] for model_id, listed in offers.items() if listed}
        deliver(options, catalogue_page(rows, machine, prices, asked=workload.options()))
    else:
        from ..reports.list_text import list_document

        present(options, list_document(rows, machine))
    tell_left_aside(catalogue)
    return 0


def _matches(verdict: Answer, options: argparse.Namespace) -> bool:
    """Whether the model passes every filter that was given."""
    model = verdict.model
    return (
        (options.family is None or _same(model.family, options.family))
        and (options.modality is None or model.modality == options.modality)
        and (options.route is None or verdict.route == options.route)
        and (options.openness is None or model.openness.weights == options.openness)
        and (options.max_size is None or _within(verdict, options.max_size))
    )


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
