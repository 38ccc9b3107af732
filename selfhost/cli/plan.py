"""`selfhost plan`: the least machine that runs a model."""

from __future__ import annotations

from .arguments import Parser, add_machine, add_output, add_specs, add_workload, parse
from .options import options_to_repeat, workload_of
from .output import deliver, present


def parser() -> Parser:
    """The positional name, and what is shared with other commands."""
    parser = Parser("plan")
    parser.add_argument("model", metavar="MODEL", help="a name as people type it")
    add_workload(parser)
    add_machine(parser, "plan")
    parser.set_defaults(tokens_per_day=None, watts=None, electricity=None)
    add_specs(parser)
    add_output(parser, "plan")
    return parser


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    workload = workload_of(options)
    from ..answers.sized import plan_with
    from ..catalogue.opened import open_catalogue

    plan = plan_with(open_catalogue(options.specs), options.model, workload)
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.plan(plan)))
    else:
        from ..reports.plan_text import plan_document

        # a machine that is named is never measured
        options.no_measure = False
        carry = options_to_repeat(options)
        present(options, plan_document(plan, verbose=options.verbose, carry=carry))
    return plan.exit_code
