"""`selfhost compare`: models side by side."""

from __future__ import annotations

from .errors import together
from .options import judge_each, one_machine, options_to_repeat, with_notes, workload_of
from .output import deliver, present
from .parser import parse


def run(words: list[str]) -> int:
    """Compare the models on one machine."""
    options = parse("compare", words)
    names = [options.model, *options.others]
    by_machine, errors = judge_each(options, names, (one_machine(options),))
    (verdicts,) = with_notes(options, by_machine)
    if errors:
        wrong = together(errors)
        if judged := [name for name in names if name not in errors]:
            # side by side means all of them: exit 2 is no answer, also of the names that are right
            others = (
                f"not compared because of {'it' if len(errors) == 1 else 'them'}:"
                f" {', '.join(judged)}"
            )
            wrong.remedy = f"{wrong.remedy}; {others}" if wrong.remedy else others
        raise wrong

    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.compared(verdicts)))
    else:
        from ..reports.compare_text import compare_document

        present(
            options,
            compare_document(
                verdicts,
                verbose=options.verbose,
                carry=workload_of(options).options() + options_to_repeat(options),
            ),
        )
    return 0
