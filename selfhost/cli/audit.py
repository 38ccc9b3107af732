"""`selfhost audit`: machines judged against a policy file."""

from __future__ import annotations

import argparse
import os

from ..audit.fleet_judge import Tell, TimeLimit
from ..audit.machines import Fleet, Machines, load_machines
from ..audit.policy import Policy, read_policy, starter_policy
from ..audit.rows import Audit
from ..audit.run import PolicyJudge, problems_of, read_baseline, run_audit
from ..catalogue.index import open_catalogue
from ..core.errors import InputError, PolicyError, Problem, first_problems
from ..core.quoting import shell_word
from ..core.tables import Document
from ..core.units import nearest, utc_today
from ..machine.reader import Machine
from ..reports.audit_formats import FORMATS
from ..reports.audit_text import document
from ..reports.layout import clean
from . import output
from .inputs import refuse_targets
from .parser import parse
from .progress import Lines, Progress, is_shown
from .writing import write_reports

# the name of a format, and the file for it; None is standard output
Output = tuple[str, str | None]
# the policy where none is named
_POLICY = "audit.toml"


def run(words: list[str]) -> int:
    """Judge machines and write every report; return the exit code."""
    options = parse("audit", words)
    if options.init or options.validate is not None:
        return _prepare(options)
    outputs = _outputs(options)
    files = [(name, path) for name, path in outputs if path is not None]
    refuse_targets(options, files, with_standard_output=len(files) < len(outputs))
    today = options.today or utc_today()
    file = Document.read(options.policy)
    catalogue = open_catalogue(options.specs)
    try:
        policy = read_policy(file)
    except PolicyError as error:
        unread = Policy(file=options.policy)
        return _answer(options, outputs, Audit(policy=unread, today=today, problems=error.problems))
    baseline = None
    if options.baseline is not None:
        with Progress("reading the baseline") as tell:
            baseline = read_baseline(options.baseline, tell)
    if options.machines:
        with Progress("reading records") as tell:
            fleet = load_machines(*options.machines, tell=tell)
    else:
        fleet = Fleet(machines=Machines([Machine.read()]))
    with Progress("judging") as drawn:
        tells = _judging_tells(words, drawn, is_bounded=not options.yes)

        def tell_all(done: float, total: float) -> None:
            for tell in tells:
                tell(done, total)

        audit = run_audit(
            policy,
            fleet,
            PolicyJudge(catalogue, today),
            today=today,
            tell=tell_all,
            baseline=baseline,
        )
    code = _answer(options, outputs, audit)
    output.note_faulty_specs(catalogue)
    return code


def _judging_tells(words: list[str], drawn: Progress, *, is_bounded: bool) -> list[Tell]:
    """What hears how many verdicts are given: a terminal has a line drawn, the log of a job has one
    every two seconds, and a long job is refused.
    """
    tells: list[Tell] = [drawn]
    # a program that wants JSON finds no progress on standard error
    if not is_shown() and not output.asks_for(words, "json"):
        tells.append(Lines(_say, "judged {done:number} of {total:number} verdicts"))
    if is_bounded:
        tells.append(TimeLimit())
    return tells


def _say(line: str) -> None:
    output.write(f"{line}\n", to_error=True)


def _prepare(options: argparse.Namespace) -> int:
    """Write a policy to begin with, or tell every fault of policies; no report is written."""
    if options.format or "output" in getattr(options, "given", ()):
        name = "--init" if options.init else "--validate"
        raise output.UsageError(
            f"{name} writes no report: --format and --output do not go with it",
            remedy="leave them out; --init writes the file that POLICY names",
        )
    path: str = options.policy
    if options.init and path == "-":
        output.write(starter_policy())
        return 0
    if options.init:
        if os.path.lexists(path):
            remedy = "name another file: `selfhost audit --init other.toml`"
            raise output.UsageError(f"{path} is there already", remedy=remedy)
        write_reports([(path, starter_policy())])
        named = "" if path == _POLICY else f" {shell_word(path)}"
        then = f"name your models in it, then run `selfhost audit{named}`"
        output.write(f"wrote {clean(path)}: {then}\n")
        return 0
    paths, faults = options.validate or [path], list[Problem]()
    judge = PolicyJudge(open_catalogue(options.specs), utc_today())
    for path in paths:
        problems = problems_of(path, judge)
        faults += problems
        output.write("" if problems else f"{clean(path)} is valid\n")
    if faults:
        raise InputError(first_problems(paths[0], faults))
    return 0


def _outputs(options: argparse.Namespace) -> list[Output]:
    outputs: list[Output] = []
    for text in options.format or ["text"]:
        name, equals, path = text.partition("=")
        if name not in FORMATS:
            near = nearest(name, tuple(FORMATS))
            remedy = f"did you mean {near}?" if near else f"one of {', '.join(FORMATS)}"
            raise output.UsageError(f"unknown format {name!r}", remedy=remedy)
        if equals and path in ("", "-"):
            remedy = f"write --format {name}=FILE"
            raise output.UsageError(f"--format {text} names no file", remedy=remedy)
        outputs.append((name, path or None))
    bare = [name for name, path in outputs if path is None]
    if options.output and not bare:
        message = "--output has nothing to write: every --format names its own file"
        raise output.UsageError(message, remedy="leave --output out")
    if len(bare) > 1:
        remedy = "write the others to files: --format junit=report.xml"
        raise output.UsageError("only one --format can go to standard output", remedy=remedy)
    return [(name, path or options.output) for name, path in outputs]


def _answer(options: argparse.Namespace, outputs: list[Output], audit: Audit) -> int:
    """Write the files, all or none, then standard output. Returns the exit code, or raises."""
    files = [(path, FORMATS[name].render(audit)) for name, path in outputs if path]
    if files:
        write_reports(files)
    shown = next((name for name, path in outputs if path is None), None)
    # what was judged goes to standard output, whatever could not be
    is_shown = not audit.problems or bool(audit.groups) or audit.since is not None
    if shown == "text" and is_shown:
        # standard error has the faults
        output.present(options, document(audit, verbose=options.verbose, lists_problems=False))
    elif shown is not None and (is_shown or FORMATS[shown].shows_problems):
        output.deliver(options, FORMATS[shown].render(audit))
    if audit.problems:
        # nothing on standard output is an answer for the whole policy
        raise InputError(audit.problems)
    return audit.exit_code
