"""What is asked of named models, `check`, `compare`, `show`, `plan` and `size`; and of a machine, a
model file and a run, `machine`, `spec` and `verify`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..catalogue.index import misnamed, open_catalogue
from ..core import __version__
from ..core.errors import SelfhostError
from ..core.templates import fill
from ..core.units import utc_today
from ..judge import exit_code
from .output import (
    UsageError,
    complain,
    deliver,
    note,
    note_faulty_specs,
    present,
    together,
    write,
    write_json,
)
from .parser import (
    changed,
    help_text,
    machines_of,
    measured_where_unknown,
    one_machine,
    options_to_repeat,
    pairs_of,
    parse,
    workload_of,
)
from .progress import Progress, track

if TYPE_CHECKING:
    from ..advice.sizes import ContainerSize
    from ..catalogue.spec import ModelSpec
    from ..judge.record import Verdict
    from ..machine.reader import Machine
    from ..reports.layout import Block


# of more models each is told when it is judged, in a line whose columns fit no other
_MOST_IN_TABLE = 20


def check(words: list[str]) -> int:
    """Judge each model on each machine."""
    options = parse("check", words)
    names: list[str] = list(dict.fromkeys(options.models))
    if len(options.models) > 1:
        names = [*dict.fromkeys(_names_in(options, options.models))]
    are_told = options.format == "text" and options.output is None and len(names) > _MOST_IN_TABLE
    told = _row_writer(options, names) if are_told else None
    by_machine, errors = _judge_each(options, names, machines_of(options), told)
    verdicts = [verdict for part in by_machine for verdict in part]
    if not verdicts:
        raise together(errors)
    if not write_json(options, "check", verdicts, errors):
        _present_verdicts(options, by_machine, unjudged=len(errors), rows_are_told=are_told)
        if len(verdicts) > 1:
            # the document of one says so
            note_faulty_specs(open_catalogue(options.specs))
    code = exit_code((verdict.route for verdict in verdicts), no_answer=bool(errors))
    if errors:
        # after the answer, why some names have none
        write(flush=True)
        complain(together(errors), code, options.format == "json")
    return code


def _row_writer(options: argparse.Namespace, names: Sequence[str]) -> Callable[[Verdict], None]:
    """What writes the answer for one of many models at once."""
    from ..reports.several_text import told_row

    name_width = max(map(len, names))

    def write_row(verdict: Verdict) -> None:
        present(options, [told_row(verdict, name_width)])
        write(flush=True)

    return write_row


def _present_verdicts(
    options: argparse.Namespace,
    by_machine: Sequence[Sequence[Verdict]],
    *,
    unjudged: int,
    rows_are_told: bool,
) -> None:
    """Write the answer for each machine."""
    from ..reports.check_text import check_document
    from ..reports.layout import line as empty_line

    if rows_are_told:
        write("\n")
    again, carry = workload_of(options).options(), options_to_repeat(options)
    blocks: list[Block] = []
    for verdicts in by_machine:
        if not verdicts:
            continue
        blocks += check_document(
            verdicts,
            verbose=options.verbose,
            carry=carry,
            workload_options=again,
            today=utc_today(),
            unjudged=unjudged,
            rows_are_told=rows_are_told,
        )
        blocks.append(empty_line())
    present(options, blocks)


def _names_in(
    options: argparse.Namespace, words: Sequence[str], *, takes_one: bool = False
) -> list[str]:
    """The models in the words: one in `gpt oss 20b`, `nothing 7b` and `ollama run llama3.2`, else
    each. Raises `UsageError` for a size that is a part of one of several names.
    """
    from ..catalogue.names import id_of, named_in_command

    line, catalogue = " ".join(words), open_catalogue(options.specs)
    sizes = [word for word in words if re.fullmatch(r"(?i)([ae]|\d+x)?\d+(\.\d+)?[bm]?", word)]
    is_one = id_of(line, catalogue) and not all(id_of(word, catalogue) for word in words)
    if is_one or named_in_command(line) or len(sizes) >= len(words) - 1:
        return [line]
    if not sizes and takes_one:
        raise UsageError(f"unexpected {' '.join(words[1:])}", remedy="name one model")
    if not sizes:
        return [*words]
    named, rest = "", [*words]
    while rest:
        least = 2 if rest[1:2] and rest[1] in sizes else 1  # a size belongs to the word before it
        count = next((n for n in (4, 3, 2) if id_of(" ".join(rest[:n]), catalogue)), least)
        name, rest = " ".join(rest[:count]), rest[count:]
        named += f' "{name}"' if " " in name else f" {name}"
    remedy = f"put a name of several words in quotes:{named}"
    raise UsageError(f'"{sizes[0]}" alone is no model\'s name', remedy=remedy)


def _judge_each(
    options: argparse.Namespace,
    names: Sequence[str],
    machines: Sequence[Machine],
    told: Callable[[Verdict], None] | None = None,
) -> tuple[list[list[Verdict]], dict[str, SelfhostError]]:
    """Judge every model on each machine; return also, by name, why one could not be judged. `told`
    hears each verdict when it is given.
    """
    from ..advice.understood import understand
    from ..advice.verdicts import check_with

    workload, catalogue = workload_of(options), open_catalogue(options.specs)
    errors: dict[str, SelfhostError] = {}
    by_machine: list[list[Verdict]] = []
    count = len(names) * len(machines)
    with Progress("judging models") as tell:
        for machine_number, machine in enumerate(machines):
            judged: list[Verdict] = []
            by_machine.append(judged)
            for number, name in enumerate(names):
                tell(machine_number * len(names) + number, count)
                if name in errors:
                    continue
                try:
                    # a name that is unknown, or of a closed model, is told before anything is
                    # measured
                    meant = understand(catalogue, name, workload, machine)
                    if not meant.spec.closed:
                        machine = measured_where_unknown(options, machine)
                    verdict = check_with(catalogue, meant, workload, machine)
                except SelfhostError as error:
                    errors[name] = error
                    continue
                judged.append(verdict)
                if told is not None:
                    tell.hide()
                    told(verdict)
    notes, options.notes = options.notes, ()
    if notes:
        is_alone = sum(map(len, by_machine)) == 1
        for verdicts in by_machine:
            verdicts[:] = [_with_machine_notes(each, notes, is_alone) for each in verdicts]
    return by_machine, errors


def _with_machine_notes(verdict: Verdict, notes: Sequence[str], is_alone: bool) -> Verdict:
    """The verdict with what the machine's name can mean: behind how the model was understood and
    before all other notes. Of several verdicts it stands among how their names were understood.
    """
    if is_alone:
        return verdict.replace(first_notes=(*notes, *verdict.first_notes))
    return verdict.replace(understood_as=(*verdict.understood_as, *notes))


def compare(words: list[str]) -> int:
    """Compare the models on one machine; one name that is no model leaves no answer."""
    options = parse("compare", words)
    names = _names_in(options, [options.model, *options.others])
    (verdicts,), errors = _judge_each(options, names, (one_machine(options),))
    if errors:
        raise together(errors)
    from ..advice.several import comparison, in_one_type

    verdicts = in_one_type(open_catalogue(options.specs), names, verdicts, workload_of(options))
    verdicts = [*{(each.model.id, each.workload): each for each in verdicts}.values()]
    if len(verdicts) < 2:
        raise UsageError(f"{names[0]} is one model", remedy=help_text("missing")["compare"])
    from ..reports.compare_text import compare_document

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
    shown = describe(
        catalogue,
        _names_in(options, options.model, takes_one=True)[0],
        workload,
        one_machine(options),
    )
    # said in the answer itself, for standard error is often thrown away
    notes, options.notes = (*options.notes, *shown.verdict.first_notes), ()
    shown = shown.replace(verdict=shown.verdict.replace(first_notes=notes))
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

    planned = plan_with(
        open_catalogue(options.specs),
        _names_in(options, options.model, takes_one=True)[0],
        workload,
    )
    if not write_json(options, "record", planned):
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
    machine, kept = node(), options.prompt_cache
    if options.set or options.gpu:
        machine = changed(options, machine)
    sizes: list[ContainerSize] = []
    errors: dict[str, SelfhostError] = {}
    names = _names_in(options, options.models)
    for name in track(names, "sizing containers", len(names)):
        try:
            sized = size_with(catalogue, name, workload, machine, prompt_cache_bytes=kept)
            sizes.append(fit_to_node(sized, machine))
        except SelfhostError as error:
            errors[name] = error
    if not sizes:
        raise together(errors)
    code = exit_code((Route.LOCAL for _ in sizes), no_answer=bool(errors))
    from ..reports.container_files import container_file
    from ..reports.size_text import size_document

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
            why, remedy = (fill(texts[key], named) for key in ("message", "remedy"))
            raise UsageError(f"--format {options.format}: {why}", remedy=remedy)
        deliver(options, container_file(options.format, sizes))
    note_faulty_specs(catalogue)
    if errors:
        write(flush=True)
        complain(together(errors), code, options.format == "json")
    return code


# where a spec begins that is made of no file
_BY_HAND = "to write one by hand, begin with examples/specs/my-model.toml (keys: specs/README.md)"
_LAST_PART = "give its last part: tail -c 32M LOG | selfhost verify -"


def machine(words: list[str]) -> int:
    """Show this machine, another one, or those known by name."""
    options = parse("machine", words)
    if options.profiles:
        from ..machine.profiles import all_profiles

        others = ("name", "machine", "gpu", "set", "label", "measure", "root")
        if any(map(vars(options).get, others)):
            remedy = "leave all options but --format, --output and -v out"
            raise UsageError("--profiles reads no machine", remedy=remedy)
        profiles = [profile for profile in all_profiles() if profile.holds(options.words)]
        if not write_json(options, "profiles", profiles):
            from ..reports.machine_text import profiles_document

            present(options, profiles_document(profiles))
        return 0
    if options.words:
        text = " ".join(options.words)
        remedy = f"to see what is known of a machine: selfhost machine --machine '{text}'"
        raise UsageError(f"unexpected {text}", remedy=remedy)
    from ..machine.reader import Machine
    from ..machine.record import checked_name

    is_described = any((options.machine is not None, options.gpu, options.set))
    if options.root is not None and (is_described or options.measure):
        raise UsageError(
            "--root is for what is read of a recorded tree: --machine, --gpu and --set describe"
            " another machine, and --measure measures this one",
            remedy="leave --root out",
        )
    if is_described:
        seen = one_machine(options)
    else:
        seen = Machine.read(measure=options.measure, root=options.root)
    labels = pairs_of("--label", options.label or (), "site=berlin")
    for text in (*labels, *labels.values()):
        checked_name(text, "label")
    seen = seen.replace(labels=labels)
    if options.name is not None:
        seen = seen.replace(name=checked_name(options.name))
    if not write_json(options, "record", seen):
        from ..reports.machine_text import machine_document

        present(options, machine_document(seen, verbose=options.verbose))
    return 0


def spec(words: list[str]) -> int:
    """Check spec files, or make one from a model file."""
    options = parse("spec", words)

    if options.action == "new":
        return _new_spec(options)
    if options.id is not None or options.name is not None:
        raise UsageError("--id and --name are for spec new", remedy="leave them out")
    from ..modelfiles.specfiles import check_spec_files

    catalogue = open_catalogue(options.specs)
    runtimes = catalogue.runtime_ids()
    with Progress("checking specs") as tell:
        problems, valid_specs = check_spec_files(
            options.files, catalogue.specs(), runtimes, tell=tell
        )
    code = 1 if problems else 0
    ids = [each.id for each in valid_specs]
    document = {"schema": "selfhost.spec-check/1", "selfhost_version": __version__, "good": ids}
    if not write_json(options, "record", document | {"problems": problems, "exit_code": code}):
        from ..reports.layout import clean, problems_text

        good = [f"{clean(f'{each.origin}: ok ({each.name})')}\n" for each in valid_specs]
        deliver(options, problems_text(problems) if problems else "".join(good))
    if not code:
        note_faulty_specs(catalogue)
    return code


def _new_spec(options: argparse.Namespace) -> int:
    from ..modelfiles import read_local, spec_text

    if len(options.files) != 1:
        remedy = "name one GGUF file, config.json or model folder"
        raise UsageError("a spec is made of one model", remedy=remedy)
    path = options.files[0]
    if not os.path.lexists(path) and re.fullmatch(r"[\w-]+", path):
        raise UsageError(
            f"{path} does not exist: a spec is made of a model's file", remedy=_BY_HAND
        )
    is_file_made = options.output is not None and options.format != "json"
    if is_file_made and os.path.isfile(options.output):
        remedy = "name another file; what a person may have edited is not replaced"
        raise UsageError(f"{options.output} is there already", remedy=remedy)
    local = read_local(path)
    template, naming_notes = _named_spec(local.spec, options, is_file_made=is_file_made)
    notes = [*local.notes, *naming_notes]
    document = {"schema": "selfhost.spec/1", "spec": template, "notes": notes}
    if write_json(options, "record", document):
        return 0
    deliver(options, spec_text(template))
    for remark in notes:
        note(f"{remark}\n")
    return 0


def _named_spec(
    spec: ModelSpec, options: argparse.Namespace, *, is_file_made: bool
) -> tuple[ModelSpec, list[str]]:
    """The spec with the id and the name that were asked for, and what a person should know of
    them. Without `--id` a file that is made names the id, for folders of specs find a model by the
    name of its file; without `--name` the id names a model that has no name of its own.
    """
    from ..catalogue.spec_values import ID
    from ..core.records import fault_of
    from ..modelfiles import name_by_place

    faults = {
        "--id": fault_of(options.id or spec.id, str, form=ID),
        "--name": fault_of(options.name or spec.name, str),
    }
    for option, fault in faults.items():
        if fault is not None:
            raise UsageError(f"{option}: {fault[0]}", remedy=fault[1])
    file = os.path.basename(options.output) if is_file_made else None
    stem, ending = os.path.splitext(file or "")
    is_named_by_place = spec.name == name_by_place(spec.origin)
    id = options.id
    if id is None and ending == ".toml" and re.fullmatch(ID[0], stem):
        id = stem
    name = options.name
    if name is None and id is not None and is_named_by_place:
        name = id
    notes: list[str] = []
    if id is None and is_named_by_place and file is None:
        notes.append(f'its id is "{spec.id}", after its file or folder: --id states another')
    spec = spec.replace(id=id or spec.id, name=name or spec.name)
    if file is not None and file != f"{spec.id}.toml":
        notes.append(f"its id {': '.join(misnamed(spec.id, file))}")
    return spec, notes


def verify(words: list[str]) -> int:
    """Compare a prediction with a run."""
    options = parse("verify", words)
    from ..advice.runs import read_log, run_of, run_of_process
    from ..advice.verify import verify as held_against
    from ..catalogue.names import id_of
    from ..core.errors import InputError, Problem
    from ..core.files import LARGE, Unreadable
    from ..core.records import shown

    named, seen, catalogue = options.files[0], None, open_catalogue(options.specs)
    reason, remedy = "holds no figures of a run that selfhost reads", help_text("runs")
    if named.isdecimal() and named.isascii():
        seen = run_of_process(named)
    else:
        try:
            path = "/dev/stdin" if named == "-" else named
            with Progress("reading the log", are_bytes=True) as tell:
                text = read_log(path, tell)
            seen = run_of(text)
        except Unreadable as error:
            is_model = id_of(named, catalogue) is not None
            reason = "is a model: name a log or a process" if is_model else error.reason
            remedy = _LAST_PART if error.kind == LARGE else error.remedy or help_text("runs")
    if seen is None:
        file = "standard input" if named == "-" else shown(named)
        raise InputError([Problem(file=file, message=reason, remedy=remedy)])
    machine = measured_where_unknown(options, one_machine(options))
    comparison = held_against(seen, catalogue, machine, options.model)
    if not write_json(options, "verification", comparison):
        from ..reports.verify_text import verify_document

        present(options, verify_document(comparison))
    return comparison.exit_code
