"""`selfhost show`: what is known of one model."""

from __future__ import annotations

from .options import one_machine, options_to_repeat, workload_of
from .output import deliver, present
from .parser import parse


def run(words: list[str]) -> int:
    """Show what is known of a model."""
    options = parse("show", words)
    workload = workload_of(options)
    from ..advice.several import describe
    from ..catalogue.index import open_catalogue

    catalogue = open_catalogue(options.specs)
    machine = one_machine(options)
    shown = describe(catalogue, options.model, workload, machine)
    # said in the answer itself, for standard error is often thrown away
    verdict = shown.verdict.replace(notes=(*shown.verdict.notes, *options.notes))
    options.notes = ()
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.shown(shown.replace(verdict=verdict))))
        return 0
    from ..catalogue.offers import day_by_header
    from ..core.units import utc_today
    from ..reports.show_text import show_document

    document = show_document(
        verdict.model,
        shown.sizes,
        verdict.api_offers,
        verdict,
        verbose=options.verbose,
        carry=workload.options() + options_to_repeat(options),
        today=utc_today(),
        as_of=day_by_header(catalogue.offers_path),
        loss_by_size=shown.loss_by_size,
    )
    present(options, document)
    return 0
