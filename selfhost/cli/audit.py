"""`selfhost audit`: machines judged against a policy file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..core.errors import Faults, InputError, PolicyError, Problem, SelfhostError
from ..reports.audit_formats import FORMATS, MONITORING, in_pieces, without_answer
from .options import check_targets, check_targets_of_policy
from .output import (
    UsageError,
    complain,
    deliver,
    present,
    tell_left_aside,
    to_standard_error,
    wants_json,
    write,
    write_file,
)
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.baseline import Baseline
    from ..audit.entries import Policy
    from ..audit.judging import PolicyJudge
    from ..audit.progress import Progress
    from ..audit.record import Audit
    from ..machine.record import Machine

    # the name of a format, and the file for it; None is standard output
    Output = tuple[str, str | None]
    # machines, what is wrong with other records, and remarks about what was read
    Read = tuple[Sequence[Machine], tuple[Problem, ...], tuple[str, ...]]

# the policy where none is named
_POLICY = "audit.toml"


def run(words: list[str]) -> int:
    """Judge the machines against the policy, and write every report that was asked for."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    is_monitored = f"--format={MONITORING}" in words or ("--format", MONITORING) in pairs
    if is_monitored and not any(word.partition("=")[0] == "--output" for word in words):
        return _monitored(words)
    return _run(words)


def _monitored(words: list[str]) -> int:
    """Answer a monitoring system with its line and its exit code, also where there is no audit."""
    from ..core.workload import as_typed
    from ..reports.audit_ci import State, unknown

    try:
        return _run(words)
    except MemoryError:
        message = "there is too little memory to answer"
    except SelfhostError as error:
        shown = as_typed(error)
        message = str(shown.problems[0]) if isinstance(shown, InputError) else shown.message
        complain(shown, State.UNKNOWN, wants_json=False)
    write(unknown(message))
    return State.UNKNOWN


def _run(words: list[str]) -> int:
    options = parse("audit", words)
    if not options.policy:
        remedy = f"leave it out for ./{_POLICY}, or name a file"
        raise UsageError("POLICY is an empty name", remedy=remedy)
    if options.init:
        return _init(options)
    if options.validate is not None:
        return _validate(options)
    outputs = _outputs(options)
    targets = [path for _, path in outputs if path is not None]
    check_targets(options, targets, with_standard_output=len(targets) < len(outputs))
    from ..audit.entries import MAX_POLICY_BYTES
    from ..audit.judging import PolicyJudge
    from ..audit.policy import read_policy
    from ..catalogue.opened import open_catalogue
    from ..core.tomlfile import Document
    from ..core.units import utc_today

    today = utc_today() if options.today is None else options.today
    _check_date(today)
    document = Document.read(options.policy, max_bytes=MAX_POLICY_BYTES)
    catalogue = open_catalogue(options.specs)
    judge = PolicyJudge(catalogue, today)
    try:
        policy = read_policy(document)
    except PolicyError as error:
        audit = without_answer(error.all_problems, policy=options.policy, today=today)
        return _answer(options, outputs, audit, error)
    check_targets_of_policy(targets, policy)
    audit = _audited(options, words, policy, judge, today)
    code = _answer(options, outputs, audit, InputError(audit.problems) if audit.problems else None)
    tell_left_aside(catalogue)
    return code


def _audited(
    options: argparse.Namespace, words: list[str], policy: Policy, judge: PolicyJudge, today: str
) -> Audit:
    """Judge the machines; with a baseline return only what changed."""
    from ..audit.baseline import read_baseline, since
    from ..audit.run import run_audit
    from ..core.units import utc_now

    baseline = None if options.baseline is None else read_baseline(options.baseline)
    progress = _progress(words, is_bounded=not options.yes)
    read = _machines(options.machines, progress)
    if options.anonymize:
        policy, baseline, read = _anonymized(options.machines, policy, baseline, read)
    machines, problems, notes = read
    audit = run_audit(
        policy,
        machines,
        judge,
        today=today,
        problems=problems,
        notes=notes,
        progress=progress,
        now=utc_now() if options.today is None else None,
    )
    if baseline is None:
        return audit
    return since(audit, baseline, [machine.name for machine in machines])


def _machines(paths: Sequence[str], progress: Progress) -> Read:
    """Read the machines of those paths; without a path this machine."""
    from ..audit.machines import load_machines
    from ..machine.reader import read

    if not paths:
        return (read(),), (), ()
    fleet = load_machines(*paths, progress=progress)
    return fleet.machines, fleet.problems, fleet.notes


def _anonymized(
    paths: Sequence[str], policy: Policy, baseline: Baseline | None, read: Read
) -> tuple[Policy, Baseline | None, Read]:
    """Put pseudonyms in place of the machines' names."""
    from ..audit.anonymize import Pseudonyms

    machines, problems, notes = read
    names = Pseudonyms([machine.name for machine in machines])
    # first the policy, whose selectors of hosts become labels of the machines
    policy, baseline = names.policy(policy), baseline and baseline.renamed(names)
    hidden = (
        tuple(map(names.machine, machines)),
        tuple(names.problem(problem, *paths) for problem in problems),
        tuple(names.text(note, *paths) for note in notes),
    )
    return policy, baseline, hidden


def _progress(words: list[str], *, is_bounded: bool) -> Progress:
    """Tell a person; a program that wants JSON finds nothing else on standard error."""
    from ..audit.progress import Progress

    is_silent = wants_json(words)
    return Progress(
        lambda line: None if is_silent else to_standard_error(f"{line}\n"), is_bounded=is_bounded
    )


def _check_date(text: str) -> None:
    from datetime import date

    try:
        is_date = date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_date = False
    if not is_date:
        raise UsageError(f"--today {text!r} is no date", remedy="write YYYY-MM-DD")


def _init(options: argparse.Namespace) -> int:
    """Write a policy to start from; POLICY and --output both name where."""
    import shlex

    from ..audit.starter import starter_policy
    from ..reports.layout import clean

    path: str = options.output or options.policy
    if options.format:
        raise UsageError(
            "--init writes a policy, which is TOML, and no report",
            remedy="leave --format out, and name a file that ends in .toml",
        )
    if options.output and options.policy not in (_POLICY, path):
        raise UsageError(
            f"--init writes one policy: {options.policy} and {options.output} are named",
            remedy=f"name it once: `selfhost audit --init {options.output}`",
        )
    if path == "-":
        write(starter_policy(()))
        return 0
    if os.path.lexists(path):
        remedy = "name another file: `selfhost audit --init other.toml`"
        raise UsageError(f"{path} is there already", remedy=remedy)
    write_file(path, starter_policy(()))
    named = "" if path == _POLICY else f" {clean(shlex.quote(path))}"
    write(f"wrote {clean(path)}: name your models in it, then run `selfhost audit{named}`\n")
    return 0


def _validate(options: argparse.Namespace) -> int:
    """Say of each policy that it is valid. Raises `InputError` with all faults of the others."""
    from ..audit.judged_entries import problems_of
    from ..audit.judging import PolicyJudge
    from ..catalogue.opened import open_catalogue
    from ..core.units import utc_today
    from ..reports.layout import clean

    if options.format or options.output:
        raise UsageError(
            "--validate writes no report: --format and --output do not go with it",
            remedy="leave them out: the exit code is 0 for valid policies",
        )
    paths = options.validate or [options.policy]
    judge = PolicyJudge(open_catalogue(options.specs), utc_today())
    faults = {path: problems_of(path, judge.ask) for path in paths}
    write("".join(f"{clean(path)} is valid\n" for path, problems in faults.items() if not problems))
    if any(faults.values()):
        every = (problem for problems in faults.values() for problem in problems)
        raise InputError(Faults(paths[0], every).problems)
    return 0


def _outputs(options: argparse.Namespace) -> list[Output]:
    """Return the reports to write. Raises `UsageError` where they contradict each other."""
    outputs = [_format_and_file(text) for text in options.format] or [("text", None)]
    bare = [name for name, path in outputs if path is None]
    if options.output and not bare:
        raise UsageError(
            "--output has nothing to write: every --format names its own file",
            remedy="leave --output out",
        )
    if len(bare) > 1:
        raise UsageError(
            "only one --format can go to standard output",
            remedy="write the others to files: --format junit=report.xml",
        )
    return [(name, path or options.output) for name, path in outputs]


def _format_and_file(text: str) -> Output:
    name, equals, path = text.partition("=")
    if name not in FORMATS:
        from ..core.spelling import nearest

        guess = nearest(name, tuple(FORMATS))
        remedy = f"did you mean {guess}?" if guess else f"one of {', '.join(FORMATS)}"
        raise UsageError(f"unknown format {name!r}", remedy=remedy)
    if equals and path in ("", "-"):
        raise UsageError(f"--format {text} names no file", remedy=f"write --format {name}=FILE")
    return name, path or None


def _answer(
    options: argparse.Namespace, outputs: list[Output], audit: Audit, error: InputError | None
) -> int:
    """Write the reports that go to files, all of them or none, then the one for standard output.
    Returns the exit code, or raises the error of what could not be judged.
    """
    import time

    from ..core.files import write_whole

    # seconds since 1970
    now = time.time()
    reports = [(path, in_pieces(name, audit, now)) for name, path in outputs if path is not None]
    if reports:
        write_whole(reports)
    shown = next((name for name, path in outputs if path is None), None)
    # what was judged goes to standard output, whatever could not be
    is_shown = not audit.problems or bool(audit.groups) or audit.since is not None
    if shown is not None and (is_shown or FORMATS[shown].shows_problems):
        _show(options, shown, audit, now)
    if shown == MONITORING:
        from ..reports.audit_ci import state_of

        if error is not None:
            complain(error, audit.exit_code, wants_json=False)
        return state_of(audit)
    if error is not None:
        # nothing on standard output is an answer for the whole policy
        raise error
    return audit.exit_code


def _show(options: argparse.Namespace, name: str, audit: Audit, now: float) -> None:
    """Print a report; the text as a document, for a terminal draws it."""
    if name != "text":
        deliver(options, in_pieces(name, audit, now))
        return
    from ..reports.audit_text import document

    # standard error has the faults
    present(options, document(audit, verbose=options.verbose, lists_problems=False))
