"""`selfhost plan`: the least machine that runs a model."""

from __future__ import annotations

from .options import options_to_repeat, workload_of
from .output import deliver, present
from .parser import parse


def run(words: list[str]) -> int:
    """Find the smallest machine that runs the model."""
    options = parse("plan", words)
    workload = workload_of(options)
    from ..advice.plan import plan_with
    from ..catalogue.index import open_catalogue

    plan = plan_with(open_catalogue(options.specs), options.model, workload)
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.plan(plan)))
    else:
        from ..reports.plan_text import plan_document

        carry = options_to_repeat(options)
        present(options, plan_document(plan, verbose=options.verbose, carry=carry))
    return plan.exit_code
