"""`selfhost show`: the facts of a model, its license, openness, sizes and needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.several import describe
from ..catalogue.index import open_catalogue
from ..core.answering import catalogue_day
from ..core.units import utc_today
from ..reports import json
from ..reports.show_text import show_document
from .asked import one_machine, options_to_repeat, workload_of
from .models import one_name_in
from .output import present, write_json
from .parser import Options


class ShowOptions(Options):
    """The options of `show`. `model` has the words of one name."""

    model: list[str]


def run(words: Sequence[str]) -> int:
    """Show the facts of a model. Return the exit code 0."""
    options = ShowOptions.read("show", words)
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    name = one_name_in(options, options.model)
    shown = describe(catalogue, name, workload, one_machine(options))
    # notes go into the answer itself, because standard error is often discarded
    notes = (*options.take_notes(), *shown.verdict.first_notes)
    shown = shown.replace(verdict=shown.verdict.replace(first_notes=notes))
    if options.format == "json":
        write_json(options, json.shown(shown))
    else:
        document = show_document(
            shown,
            verbose=options.verbose,
            carry=workload.options() + options_to_repeat(options),
            today=utc_today(),
            as_of=catalogue_day(),
        )
        present(options, document)
    return 0
