"""`selfhost audit`: machines judged against a policy file, with reports in the formats of several
systems; a policy to begin with (`--init`), or the faults of policies (`--validate`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..audit.baseline import read_baseline
from ..audit.fleet_judge import Tell, TimeLimit
from ..audit.kinds import Machines
from ..audit.machines import Fleet, load_machines
from ..audit.policy import Policy, read_policy, starter_policy
from ..audit.policy_judge import PolicyJudge
from ..audit.rows import Audit
from ..audit.run import problems_of, run_audit
from ..catalogue.index import open_catalogue
from ..core.errors import (
    InputError,
    PolicyError,
    Problem,
    UsageError,
    first_problems,
)
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.tables import Document
from ..core.units import utc_today
from ..machine.record import Machine
from ..reports.audit_formats import FORMATS
from ..reports.audit_text import document
from ..reports.layout import clean
from .inputs import refuse_targets
from .output import asks_for_json, deliver, note_faulty_specs, present, write
from .parser import Options
from .progress import Lines, Progress, is_shown
from .writing import write_reports

# the default policy file
_POLICY = "audit.toml"


class AuditOptions(Options):
    """The options of `audit`.

    `format` has the names of several formats, each perhaps with `=FILE`. `validate` is None where
    it was not asked for. `today` is YYYY-MM-DD in UTC.
    """

    format: list[str]  # type: ignore[assignment]
    policy: str
    machines: list[str]
    init: bool
    validate: list[str] | None
    today: str | None
    baseline: str | None
    yes: bool


class Output(Record):
    """The format of a report, and the file for it; the path is None for standard output."""

    form: str
    path: str | None


def run(words: Sequence[str]) -> int:
    """Judge machines and write every report; returns the exit code."""
    options = AuditOptions.read("audit", words)
    if options.init or options.validate is not None:
        _refuse_reports(options)
        return _write_policy(options.policy) if options.init else _validate(options)
    outputs = _outputs(options)
    files = [
        (output.form, output.path) for output in outputs if output.path is not None
    ]
    refuse_targets(options, files, with_standard_output=len(files) < len(outputs))
    return _judge(options, outputs, words)


def _judge(
    options: AuditOptions,
    outputs: Sequence[Output],
    words: Sequence[str],
) -> int:
    """Judge the machines against the policy, and write every report. Return the exit code of the
    audit, or 2 where an input has faults.
    """
    today = options.today or utc_today()
    file = Document.read(options.policy)
    catalogue = open_catalogue(options.specs)
    try:
        policy = read_policy(file, PolicyJudge(catalogue, today))
    except PolicyError as error:
        unread = Policy(file=options.policy)
        audit = Audit(policy=unread, today=today, problems=error.problems)
        return _answer(options, outputs, audit)
    baseline = None
    if options.baseline is not None:
        with Progress("reading the baseline") as tell:
            baseline = read_baseline(options.baseline, tell)
    fleet = _fleet(options.machines)
    with Progress("judging") as drawn:
        audit = run_audit(
            policy,
            fleet,
            PolicyJudge(catalogue, today),
            today=today,
            tell=_teller(words, drawn, is_bounded=not options.yes),
            baseline=baseline,
        )
    code = _answer(options, outputs, audit)
    note_faulty_specs(catalogue)
    return code


def _fleet(paths: Sequence[str]) -> Fleet:
    """The machines of the records at the paths; this machine where there are no paths."""
    if not paths:
        return Fleet(machines=Machines([Machine.read()]))
    with Progress("reading records") as tell:
        return load_machines(*paths, tell=tell)


def _teller(
    words: Sequence[str],
    drawn: Progress,
    *,
    is_bounded: bool,
) -> Tell:
    """The function that is told how many verdicts are given.

    It draws a line on a terminal, and writes a line every two seconds to the log of a job. With
    `is_bounded` it refuses a long job.
    """
    hearers: list[Tell] = [drawn]
    # a program that asks for JSON gets no progress on standard error
    if not is_shown() and not asks_for_json(words):
        hearers.append(Lines(_say, "judged {done:number} of {total:number} verdicts"))
    if is_bounded:
        hearers.append(TimeLimit())

    def tell_all(done: float, total: float) -> None:
        for hearer in hearers:
            hearer(done, total)

    return tell_all


def _say(line: str) -> None:
    write(f"{line}\n", to_error=True)


def _answer(
    options: AuditOptions,
    outputs: Sequence[Output],
    audit: Audit,
) -> int:
    """Write the files, all or none, then standard output. Returns the exit code, or raises
    `InputError` with the faults of the inputs.
    """
    files = [
        (output.path, FORMATS[output.form].render(audit))
        for output in outputs
        if output.path is not None
    ]
    if files:
        write_reports(files)
    forms = [output.form for output in outputs if output.path is None]
    for form in forms:
        _show(options, form, audit)
    if audit.problems:
        # with any problem, standard output stays empty: a partial answer could pass for the whole
        # policy
        raise InputError(audit.problems, grouped=audit.grouped_problems)
    return audit.exit_code


def _show(
    options: AuditOptions,
    form: str,
    audit: Audit,
) -> None:
    """Write a report to standard output: what was judged, whatever could not be. Faults go to
    standard error, and in some formats into the report too.
    """
    has_answer = not audit.problems or bool(audit.groups) or audit.since is not None
    if not (has_answer or FORMATS[form].shows_problems):
        return
    if form == "text":
        present(options, document(audit, verbose=options.verbose, lists_problems=False))
    else:
        deliver(options, FORMATS[form].render(audit))


def _outputs(options: AuditOptions) -> list[Output]:
    """The reports that `--format` and `--output` ask for. Raises `UsageError`."""
    asked = options.format or _formats_by_ending(options.output) or ["text"]
    outputs = [_output_of(text) for text in asked]
    bare = [output for output in outputs if output.path is None]
    if options.output and not bare:
        message = "--output has nothing to write: every --format names its own file"
        raise UsageError(message, remedy="leave --output out")
    if len(bare) > 1:
        remedy = "write the others to files: --format junit=report.xml"
        raise UsageError("only one --format can go to standard output", remedy=remedy)
    return [
        Output(form=output.form, path=output.path or options.output)
        for output in outputs
    ]


def _formats_by_ending(path: str | None) -> list[str]:
    """The formats whose files have the ending of the path; empty where there is none."""
    ending = "" if path is None else path.rpartition(".")[2]
    return [name for name, form in FORMATS.items() if form.suffix == ending]


def _output_of(text: str) -> Output:
    """The format and the file of one `--format NAME` or `--format NAME=FILE`. Raises
    `UsageError`.
    """
    form, equals, path = text.partition("=")
    if form not in FORMATS:
        from .corrections import unknown_choice

        raise unknown_choice("--format", form, tuple(FORMATS))
    if equals and path in ("", "-"):
        remedy = f"write --format {form}=FILE"
        raise UsageError(f"--format {text} names no file", remedy=remedy)
    return Output(form=form, path=path or None)


def _refuse_reports(options: AuditOptions) -> None:
    """Raise `UsageError` where a report is asked for beside `--init` or `--validate`."""
    if options.format or "output" in options.given:
        raise UsageError(
            "--init and --validate take neither --format nor --output",
            remedy="leave them out; --init writes the file that POLICY names",
        )


def _write_policy(path: str) -> int:
    """Write a policy to begin with to a new file, or to standard output for "-". Return the exit
    code 0.
    """
    if path == "-":
        write(starter_policy())
        return 0
    if os.path.lexists(path):
        remedy = "name another file: `selfhost audit --init other.toml`"
        raise UsageError(f"{path} already exists", remedy=remedy)
    write_reports([(path, starter_policy())])
    named = "" if path == _POLICY else f" {shell_word(path)}"
    write(
        f"wrote {clean(path)}: name your models in it, then run `selfhost audit{named}`\n"
    )
    return 0


def _validate(options: AuditOptions) -> int:
    """Write the name of each valid policy. Return the exit code 0; raises `InputError` with the
    faults of all policies.
    """
    paths = options.validate or [options.policy]
    judge = PolicyJudge(open_catalogue(options.specs), utc_today())
    faults: list[Problem] = []
    for path in paths:
        problems = problems_of(path, judge)
        faults += problems
        if not problems:
            write(f"{clean(path)} is valid\n")
    if faults:
        raise InputError(first_problems(paths[0], faults))
    return 0
