"""`selfhost compare`: models side by side."""

from __future__ import annotations

from .options import judge_each, one_machine, options_to_repeat, workload_of
from .output import deliver, present, together
from .parser import parse


def run(words: list[str]) -> int:
    """Compare the models on one machine. Side by side means all of them: one name that is no model
    leaves no answer.
    """
    options = parse("compare", words)
    names = [options.model, *options.others]
    (verdicts,), errors = judge_each(options, names, (one_machine(options),))
    if errors:
        wrong = together(errors)
        judged = ", ".join(name for name in names if name not in errors)
        whose = "it" if len(errors) == 1 else "them"
        others = f"not compared because of {whose}: {judged}" if judged else None
        wrong.remedy = "\n".join(filter(None, (wrong.remedy, others))) or None
        raise wrong

    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.compared(verdicts)))
        return 0
    from ..reports.models_text import compare_document

    carry = workload_of(options).options() + options_to_repeat(options)
    present(options, compare_document(verdicts, verbose=options.verbose, carry=carry))
    return 0
