"""`selfhost audit`: machines judged against a policy file."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..core.errors import InputError, PolicyError, Problem, SelfhostError
from ..reports.audit_formats import FORMATS, MONITORING, in_pieces
from .arguments import Parser, add_output, add_specs, parse
from .errors import UsageError, complain, to_standard_error
from .inputs import check_targets, check_targets_of_policy
from .output import deliver, present, tell_left_aside, write, write_file

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.progress import Progress
    from ..audit.record import Audit
    from ..core.tomlfile import Document
    from ..machine.record import Machine

# the policy where none is named
_POLICY = "audit.toml"


def parser() -> Parser:
    """The policy, the machines and the day."""
    parser = Parser("audit")
    parser.add_argument(
        "policy",
        nargs="?",
        default=_POLICY,
        metavar="POLICY",
        help=f"the policy file (default: ./{_POLICY})",
    )
    parser.add_argument(
        "--machines",
        action="append",
        default=[],
        metavar="FILE|DIR|-",
        help="machines to judge instead of this one (repeatable): records, or what another"
        " system knows of them (kubernetes:nodes.json)",
    )
    parser.add_argument(
        "--anonymize", action="store_true", help="hash the machines' names in every report"
    )
    parser.add_argument(
        "--init", action="store_true", help="write a policy to start from, and stop"
    )
    parser.add_argument(
        "--validate",
        nargs="*",
        metavar="FILE",
        help="say whether these policies are valid, judge no machine, and stop",
    )
    parser.add_argument(
        "--today",
        metavar="YYYY-MM-DD",
        help="the day (UTC) on which exceptions are held to expire",
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="an earlier audit (JSON Lines): report, and fail for, only what changed",
    )
    parser.add_argument(
        "--yes", action="store_true", help="judge even where that takes longer than 15 minutes"
    )
    add_specs(parser)
    add_output(parser, "audit")
    return parser


# the name of a format, and the file for it; None is --output or standard output
Output = tuple[str, str | None]


def run(words: list[str]) -> int:
    """Judge the machines against the policy, and write every report that was asked for."""
    return _monitored(words) if _is_monitored(words) else _run(words)


def _is_monitored(words: list[str]) -> bool:
    """Whether a monitoring system reads standard output and the exit code, whatever else is wrong
    with the command line.
    """
    if any(word.partition("=")[0] == "--output" for word in words):
        return False
    return f"--format={MONITORING}" in words or ("--format", MONITORING) in pairwise(words)


def _monitored(words: list[str]) -> int:
    """As `_run`; where there is no audit, that is a line and an exit code of monitoring too."""
    from ..audit.state import State

    try:
        return _run(words)
    except MemoryError:
        message = "there is too little memory to answer"
    except SelfhostError as error:
        from ..core.workload import as_typed

        shown = as_typed(error)
        message = str(shown.problems[0]) if isinstance(shown, InputError) else shown.message
        complain(shown, State.UNKNOWN, wants_json=False)
    from ..reports.audit_nagios import unknown

    write(unknown(message))
    return State.UNKNOWN


def _options(words: list[str]) -> argparse.Namespace:
    options = parse(parser(), words)
    if not options.policy:
        raise UsageError(
            "POLICY is an empty name", remedy=f"leave it out for ./{_POLICY}, or name a file"
        )
    return options


def _run(words: list[str]) -> int:
    options = _options(words)
    if options.init:
        return _init(_starter_path(options))
    if options.validate is not None:
        return _validate(options)
    outputs = _outputs(options)
    targets = _targets(options, outputs)
    check_targets(
        options,
        targets,
        with_standard_output=options.output is None and len(targets) < len(outputs),
    )
    from ..audit.entries import MAX_POLICY_BYTES
    from ..audit.policy import read_policy
    from ..audit.run import run_audit
    from ..core.dates import utc_now
    from ..core.tomlfile import Document

    today = _day(options)
    document = Document.read(options.policy, max_bytes=MAX_POLICY_BYTES)
    try:
        policy = read_policy(document)
    except PolicyError as error:
        return _faulty(options, outputs, error, document, today)
    check_targets_of_policy(targets, policy)
    from ..audit.baseline import read_baseline, since

    baseline = None if options.baseline is None else read_baseline(options.baseline)
    from ..audit.judging import PolicyJudge
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    judge = PolicyJudge(catalogue, today)
    progress = _progress(words, is_bounded=not options.yes)
    machines, problems, notes = _machines(options.machines, progress)
    if options.anonymize:
        from ..audit.anonymize import Pseudonyms

        names, paths = Pseudonyms([machine.name for machine in machines]), options.machines
        policy, baseline = names.policy(policy), baseline and baseline.renamed(names)
        machines = tuple(map(names.machine, machines))
        problems = tuple(names.problem(problem, *paths) for problem in problems)
        notes = tuple(names.text(note, *paths) for note in notes)
    audit = _unsearched(
        lambda: run_audit(
            policy,
            machines,
            judge,
            today=today,
            problems=problems,
            notes=notes,
            progress=progress,
            now=utc_now() if options.today is None else None,
        )
    )
    if baseline is not None:
        audit = since(audit, baseline, [machine.name for machine in machines])
    code = _answer(options, outputs, audit)
    tell_left_aside(catalogue)
    return code


def _day(options: argparse.Namespace) -> str:
    """The day on which exceptions are held to expire."""
    from ..core.dates import utc_today

    today: str = utc_today() if options.today is None else options.today
    if not _is_date(today):
        raise UsageError(f"--today {today!r} is no date", remedy="write YYYY-MM-DD")
    return today


def _unsearched(judge: Callable[[], Audit]) -> Audit:
    """The audit. While it is made Python looks for no garbage, and what was made until then is not
    looked through any more.
    """
    is_searched = gc.isenabled()
    gc.disable()
    try:
        return judge()
    finally:
        # of 1,169 models 500 objects were garbage: to look for it took 5 % of the time, and would
        # again when the report is written
        gc.freeze()
        if is_searched:
            gc.enable()


def _faulty(
    options: argparse.Namespace,
    outputs: list[Output],
    error: PolicyError,
    document: Document,
    today: str,
) -> int:
    """Report what is wrong with the policy, in every format."""
    from ..audit.validate import with_refused
    from ..catalogue.opened import open_catalogue
    from ..reports.audit_formats import without_answer

    error = with_refused(error, document, open_catalogue(options.specs))
    faults = without_answer(error.all_problems, policy=options.policy, today=today)
    return _answer(options, outputs, faults, error)


def _starter_path(options: argparse.Namespace) -> str:
    """Where `--init` writes: POLICY and --output both name it."""
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
    return path


def _init(path: str) -> int:
    """Write a policy to start from."""
    from ..audit.starter import starter_policy

    if path == "-":
        write(starter_policy(()))
        return 0
    if os.path.lexists(path):
        raise UsageError(
            f"{path} is there already",
            remedy="name another file: `selfhost audit --init other.toml`",
        )
    write_file(path, starter_policy(()))
    from ..reports.layout import clean

    named = clean(_named_policy(path))
    write(f"wrote {clean(path)}: name your models in it, then run `selfhost audit{named}`\n")
    return 0


def _validate(options: argparse.Namespace) -> int:
    """Say of each policy that it is valid. `InputError` with the faults of all that are not."""
    if options.format or options.output:
        raise UsageError(
            "--validate writes no report: --format and --output do not go with it",
            remedy="leave them out: the exit code is 0 for valid policies",
        )
    paths = options.validate or [options.policy]
    from ..audit.validate import problems_of
    from ..catalogue.opened import open_catalogue
    from ..core.errors import Faults
    from ..reports.layout import clean

    catalogue = open_catalogue(options.specs)
    problems: list[Problem] = []
    valid: list[str] = []
    for path in dict.fromkeys(paths):
        faults = problems_of(path, catalogue)
        problems += faults
        if not faults:
            valid.append(f"{clean(path)} is valid\n")
    write("".join(valid))
    if problems:
        raise InputError(Faults(paths[0], problems).problems)
    return 0


def _outputs(options: argparse.Namespace) -> list[Output]:
    """The reports to make. `UsageError` where they contradict each other."""
    outputs = [_audit_format(text) for text in options.format] or [("text", None)]
    files = [path for _, path in outputs if path is not None]
    if options.output and len(files) == len(outputs):
        raise UsageError(
            "--output has nothing to write: every --format names its own file",
            remedy="leave --output out",
        )
    if len(outputs) - len(files) > 1:
        raise UsageError(
            "only one --format can go to standard output",
            remedy="write the others to files: --format junit=report.xml",
        )
    return outputs


def _targets(options: argparse.Namespace, outputs: list[Output]) -> list[str]:
    """The files that the reports go to."""
    files = [path for _, path in outputs if path is not None]
    return [*files, *([options.output] if options.output else [])]


def _progress(words: list[str], *, is_bounded: bool) -> Progress:
    """For a person; a program that wants JSON finds nothing else on standard error."""
    from ..audit.progress import Progress
    from ..core.out_of_memory import wants_json

    is_silent = wants_json(words)
    return Progress(
        lambda line: None if is_silent else to_standard_error(f"{line}\n"), is_bounded=is_bounded
    )


def _machines(
    paths: Sequence[str], progress: Progress
) -> tuple[Sequence[Machine], tuple[Problem, ...], tuple[str, ...]]:
    """The machines to judge, what is wrong with other records, and sentences about what was read;
    without a path this machine.
    """
    from ..audit.machines import load_machines
    from ..machine.reader import read

    if not paths:
        return (read(),), (), ()
    fleet = load_machines(*paths, progress=progress)
    return fleet.machines, fleet.problems, fleet.notes


def _answer(
    options: argparse.Namespace,
    outputs: list[Output],
    audit: Audit,
    error: InputError | None = None,
) -> int:
    """Write the reports that go to files, all of them or none, then the one for standard output.
    Returns the exit code; where not all could be judged it raises `error`, or else an `InputError`.
    """
    import time

    now = time.time()
    if options.output is not None:
        outputs = [(name, path or options.output) for name, path in outputs]
    _write_files(outputs, audit, now)
    shown = next((name for name, path in outputs if path is None), None)
    if shown is not None and _is_shown(shown, audit):
        _show(options, shown, audit, now)
    if error is None and audit.problems:
        error = InputError(audit.problems)
    if shown == MONITORING:
        from ..audit.state import state_of

        if error is not None:
            complain(error, audit.exit_code, wants_json=False)
        return state_of(audit)
    if error is not None:
        # nothing on standard output is an answer for the whole policy
        raise error
    return audit.exit_code


def _is_shown(name: str, audit: Audit) -> bool:
    """Whether the report goes to standard output: what was judged does, whatever could not be."""
    if not audit.problems or FORMATS[name].shows_problems:
        return True
    return bool(audit.groups) or audit.since is not None


def _write_files(outputs: list[Output], audit: Audit, now: float) -> None:
    """`now` is in seconds since 1970."""
    from ..core.writing import write_whole

    reports = [(path, in_pieces(name, audit, now)) for name, path in outputs if path is not None]
    if reports:
        write_whole(reports)


def _show(options: argparse.Namespace, name: str, audit: Audit, now: float) -> None:
    """On standard output; the text as a document, for a terminal draws it."""
    if name != "text":
        deliver(options, in_pieces(name, audit, now))
        return
    from ..reports.audit_text import document

    # standard error has the faults
    present(options, document(audit, verbose=options.verbose, lists_problems=False))


def _named_policy(path: str) -> str:
    import shlex

    return "" if path == _POLICY else f" {shlex.quote(path)}"


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _audit_format(text: str) -> Output:
    name, equals, path = text.partition("=")
    if name not in FORMATS:
        from ..core.spelling import nearest

        guess = nearest(name, tuple(FORMATS))
        raise UsageError(
            f"unknown format {name!r}",
            remedy=f"did you mean {guess}?" if guess else f"one of {', '.join(FORMATS)}",
        )
    if equals and path in ("", "-"):
        raise UsageError(f"--format {text} names no file", remedy=f"write --format {name}=FILE")
    return name, path or None
