"""`selfhost plan`: the smallest machine that can run a model, and known machines that do."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.plan import plan_with
from ..catalogue.index import open_catalogue
from ..reports import json
from ..reports.plan_text import plan_document
from .asked import options_to_repeat, workload_of
from .models import one_name_in
from .output import present, write_json
from .parser import Options


class PlanOptions(Options):
    """The options of `plan`. `model` has the words of one name."""

    model: list[str]


def run(words: Sequence[str]) -> int:
    """Plan for the model. The exit code follows from the routes on the known machines."""
    options = PlanOptions.read("plan", words)
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    planned = plan_with(catalogue, one_name_in(options, options.model), workload)
    if options.format == "json":
        write_json(options, json.record(planned))
    else:
        carry = options_to_repeat(options)
        present(options, plan_document(planned, verbose=options.verbose, carry=carry))
    return planned.exit_code
