"""`selfhost check`, `compare`, `show`, `plan` and `size`: what is asked of named models."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..catalogue.index import open_catalogue
from ..core.errors import SelfhostError
from ..core.units import utc_today
from ..judge import exit_code
from .options import (
    changed,
    machines_of,
    measured_where_unknown,
    one_machine,
    options_to_repeat,
    workload_of,
)
from .output import (
    UsageError,
    complain,
    deliver,
    note_faulty_specs,
    present,
    together,
    write,
    write_json,
)
from .parser import help_text, parse

if TYPE_CHECKING:
    from ..advice.sizes import ContainerSize
    from ..judge.record import Verdict
    from ..machine.reader import Machine
    from ..reports.layout import Block


def check(words: list[str]) -> int:
    """Judge each model on each machine."""
    options = parse("check", words)
    names: list[str] = list(dict.fromkeys(options.models))
    if len(options.models) > 1:
        from ..catalogue.names import id_of, named_in_command

        # several words may be one command, `ollama run llama3.2`, or one name, `gpt oss 20b`
        line, catalogue = " ".join(options.models), open_catalogue(options.specs)
        is_one = id_of(line, catalogue) and not all(id_of(word, catalogue) for word in names)
        names = [line] if is_one or named_in_command(line) else names
    by_machine, errors = _judge_each(options, names, machines_of(options))
    verdicts = [verdict for part in by_machine for verdict in part]
    if not verdicts:
        raise together(errors)
    if not write_json(options, "check", verdicts, errors):
        from ..reports.check_text import check_document
        from ..reports.layout import line as empty_line

        again, carry = workload_of(options).options(), options_to_repeat(options)
        blocks: list[Block] = []
        for part in filter(None, by_machine):
            document = check_document(
                part,
                verbose=options.verbose,
                carry=carry,
                workload_options=again,
                today=utc_today(),
                unjudged=len(errors),
            )
            blocks += [*document, empty_line()]
        present(options, blocks)
        if len(verdicts) > 1:
            # the document of one says so
            note_faulty_specs(open_catalogue(options.specs))
    code = exit_code((verdict.route for verdict in verdicts), no_answer=bool(errors))
    return _code_beside_errors(options, code, errors)


def _code_beside_errors(
    options: argparse.Namespace, code: int, errors: Mapping[str, SelfhostError]
) -> int:
    """Say after the answer why some names have none, and return the exit code."""
    if errors:
        write(flush=True)
        complain(together(errors), code, options.format == "json")
    return code


def _judge_each(
    options: argparse.Namespace, names: Sequence[str], machines: Sequence[Machine]
) -> tuple[list[list[Verdict]], dict[str, SelfhostError]]:
    """Judge every model on each machine; return also, by name, why one could not be judged."""
    from ..advice.understood import understand
    from ..advice.verdicts import check_with

    workload, catalogue = workload_of(options), open_catalogue(options.specs)
    errors: dict[str, SelfhostError] = {}
    by_machine: list[list[Verdict]] = []
    for machine in machines:
        judged: list[Verdict] = []
        for name in names:
            if name in errors:
                continue
            try:
                # a name that is unknown, or of a closed model, is told before anything is measured
                meant = understand(catalogue, name, workload, machine)
                if not meant.spec.closed:
                    machine = measured_where_unknown(options, machine)
                judged.append(check_with(catalogue, meant, workload, machine))
            except SelfhostError as error:
                errors[name] = error
        by_machine.append(judged)
    # of several it stands among how their names were understood
    field = "notes" if sum(map(len, by_machine)) == 1 else "understood_as"
    notes, options.notes = options.notes, ()
    for verdicts in by_machine if notes else ():
        verdicts[:] = [
            verdict.replace(**{field: (*getattr(verdict, field), *notes)}) for verdict in verdicts
        ]
    return by_machine, errors


def compare(words: list[str]) -> int:
    """Compare the models on one machine; one name that is no model leaves no answer."""
    options = parse("compare", words)
    names = [options.model, *options.others]
    (verdicts,), errors = _judge_each(options, names, (one_machine(options),))
    if errors:
        raise together(errors)
    from ..advice.several import comparison
    from ..reports.models_text import compare_document

    compared = comparison(verdicts)
    if not write_json(options, "record", compared):
        carry = workload_of(options).options() + options_to_repeat(options)
        present(options, compare_document(compared, verbose=options.verbose, carry=carry))
    return 0


def show(words: list[str]) -> int:
    """Show what is known of a model."""
    options = parse("show", words)
    workload = workload_of(options)
    from ..advice.several import describe

    catalogue = open_catalogue(options.specs)
    shown = describe(catalogue, options.model, workload, one_machine(options))
    # said in the answer itself, for standard error is often thrown away
    notes, options.notes = (*shown.verdict.notes, *options.notes), ()
    shown = shown.replace(verdict=shown.verdict.replace(notes=notes))
    if write_json(options, "shown", shown):
        return 0
    from ..catalogue.offers import snapshot_day
    from ..reports.show_text import show_document

    document = show_document(
        shown,
        verbose=options.verbose,
        carry=workload.options() + options_to_repeat(options),
        today=utc_today(),
        as_of=snapshot_day(catalogue.offers_path),
    )
    present(options, document)
    return 0


def plan(words: list[str]) -> int:
    """Find the smallest machine that runs the model."""
    options = parse("plan", words)
    workload = workload_of(options)
    from ..advice.plan import plan_with

    planned = plan_with(open_catalogue(options.specs), options.model, workload)
    if not write_json(options, "plan", planned):
        from ..reports.plan_text import plan_document

        carry = options_to_repeat(options)
        present(options, plan_document(planned, verbose=options.verbose, carry=carry))
    return planned.exit_code


def size(words: list[str]) -> int:
    """Size the container or service in which each model will live."""
    options = parse("size", words)
    from ..advice.sizes import fit_to_node, node, size_with
    from ..judge.record import Route

    workload, catalogue = workload_of(options), open_catalogue(options.specs)
    machine, kept = changed(options, node()), options.prompt_cache
    sizes: list[ContainerSize] = []
    errors: dict[str, SelfhostError] = {}
    for name in options.models:
        try:
            sized = size_with(catalogue, name, workload, machine, prompt_cache_bytes=kept)
            sizes.append(fit_to_node(sized, machine))
        except SelfhostError as error:
            errors[name] = error
    if not sizes:
        raise together(errors)
    code = exit_code((Route.LOCAL for _ in sizes), no_answer=bool(errors))
    from ..reports.size_text import block, size_document

    if options.format == "text":
        present(options, size_document(sizes, verbose=options.verbose))
    elif not write_json(options, "sizes", sizes, errors, code):
        for sized in sizes:
            if sized.image is not None and sized.program:
                continue
            served = filter(lambda id: catalogue.runtime(id).service, catalogue.runtime_ids())
            named = {"program": sized.runtime.name, "model": sized.model.name}
            named |= {"asked": sized.asked, "served": ", ".join(served)}
            texts = help_text("no_image" if sized.image is None else "no_command")
            why, remedy = (texts[key].format(**named) for key in ("message", "remedy"))
            raise UsageError(f"--format {options.format}: {why}", remedy=remedy)
        deliver(options, block(options.format, sizes))
    note_faulty_specs(catalogue)
    return _code_beside_errors(options, code, errors)
