"""`selfhost machine`, `spec` and `verify`: what is read of a machine, a model file, a run."""

from __future__ import annotations

import argparse
import os

from ..catalogue.index import Catalogue, misnamed, open_catalogue
from .options import measured_where_unknown, one_machine, pairs_of
from .output import UsageError, deliver, note, note_faulty_specs, present, write_json
from .parser import help_text, parse

# a server's log of some days; a longer one tells no more about the model
_MOST_LOG_BYTES = 64 << 20
_LAST_PART = "give its last part: tail -c 32M LOG | selfhost verify -"


def machine(words: list[str]) -> int:
    """Show this machine, another one, or those known by name."""
    options = parse("machine", words)
    if options.profiles:
        return _profiles(options)
    if options.words:
        text = " ".join(options.words)
        remedy = f"to see what is known of a machine: selfhost machine --machine '{text}'"
        raise UsageError(f"unexpected {text}", remedy=remedy)
    from ..machine.reader import Machine
    from ..machine.record import checked_name

    is_described = options.machine is not None or options.gpu or options.set
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
    labels = pairs_of("--label", options.label, "site=berlin")
    for text in (*labels, *labels.values()):
        checked_name(text, "label")
    seen = seen.replace(labels=labels)
    if options.name is not None:
        seen = seen.replace(name=checked_name(options.name))
    if not write_json(options, "record", seen):
        from ..reports.machine_text import machine_document

        present(options, machine_document(seen, verbose=options.verbose))
    return 0


def _profiles(options: argparse.Namespace) -> int:
    from ..machine.profiles import all_profiles

    others = ("name", "machine", "gpu", "set", "label", "measure", "root")
    if any(vars(options)[name] for name in others):
        remedy = "leave all options but --format, --output and -v out"
        raise UsageError("--profiles reads no machine", remedy=remedy)
    profiles = [profile for profile in all_profiles() if profile.holds(options.words)]
    if not write_json(options, "profiles", profiles):
        from ..reports.machine_text import profiles_document

        present(options, profiles_document(profiles))
    return 0


def spec(words: list[str]) -> int:
    """Check spec files, or make one from a model file."""
    options = parse("spec", words)

    catalogue = open_catalogue(options.specs)
    if options.action == "new":
        return _new_spec(options, catalogue)
    from ..modelfiles.specfiles import check_spec_files

    runtimes = catalogue.runtime_ids()
    problems, valid_specs = check_spec_files(options.files, catalogue.specs(), runtimes)
    code = 1 if problems else 0
    if not write_json(options, "spec_check", problems, valid_specs, code):
        from ..reports.layout import clean, problems_text

        good = [f"{clean(f'{each.origin}: ok ({each.name})')}\n" for each in valid_specs]
        deliver(options, problems_text(problems) if problems else "".join(good))
    if not code:
        note_faulty_specs(catalogue)
    return code


def _new_spec(options: argparse.Namespace, catalogue: Catalogue) -> int:
    from ..modelfiles import read_local, spec_text

    if len(options.files) != 1:
        remedy = "name one GGUF file, config.json or model folder"
        raise UsageError("a spec is made of one model", remedy=remedy)
    local = read_local(options.files[0])
    template, notes = local.spec, local.notes
    if options.output is not None and options.format != "json":
        if os.path.isfile(options.output):
            remedy = "name another file; what a person may have edited is not replaced"
            raise UsageError(f"{options.output} is there already", remedy=remedy)
        from ..catalogue.spec_values import is_id

        # folders of specs find a model by the name of its file
        file = os.path.basename(options.output)
        name, ending = os.path.splitext(file)
        if ending == ".toml" and is_id(name):
            template = template.replace(id=name)
        elif f"{template.id}.toml" != file:
            notes += (f"its id {': '.join(misnamed(template.id, file))}",)
    document = {"schema": "selfhost.spec/1", "spec": template, "notes": notes}
    if write_json(options, "record", document):
        return 0
    deliver(options, spec_text(template))
    for remark in notes:
        note(f"{remark}\n")
    return 0


def verify(words: list[str]) -> int:
    """Compare a prediction with a run."""
    options = parse("verify", words)
    from ..advice.runs import run_of, run_of_process
    from ..advice.verify import verify as held_against
    from ..core.errors import InputError, Problem
    from ..core.files import LARGE, Unreadable, read_file, text_of
    from ..core.records import shown

    named, seen = options.files[0], None
    reason, remedy = "holds no figures of a run that selfhost reads", help_text("runs")
    if named.isdecimal() and named.isascii():
        seen = run_of_process(named)
    else:
        try:
            path = "/dev/stdin" if named == "-" else named
            # a log that was emptied while it was written begins with zeros
            content = read_file(path, _MOST_LOG_BYTES, input_allowed=True).lstrip(b"\0")
            # what cannot be decoded, as a letter that was cut, is replaced
            seen = run_of(text_of(content, "replace"))
        except Unreadable as error:
            reason = error.reason
            remedy = _LAST_PART if error.kind == LARGE else error.remedy or help_text("runs")
    if seen is None:
        file = "standard input" if named == "-" else shown(named)
        raise InputError([Problem(file=file, message=reason, remedy=remedy)])
    catalogue = open_catalogue(options.specs)
    machine = measured_where_unknown(options, one_machine(options))
    comparison = held_against(seen, catalogue, machine, options.model)
    if not write_json(options, "verification", comparison):
        from ..reports.plan_text import verify_document

        present(options, verify_document(comparison))
    return comparison.exit_code
