"""`selfhost audit`: machines judged against a policy file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from ..core.errors import InputError, Problem
from .arguments import Parser, add_output, add_specs, parse
from .errors import UsageError, to_standard_error
from .inputs import check_targets, check_targets_of_policy
from .output import deliver, present, tell_left_aside, write, write_file

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.policy import Wanted
    from ..audit.progress import Progress
    from ..audit.record import Audit
    from ..core.workload import Workload
    from ..machine.record import Machine
    from ..verdict.record import Verdict


def parser() -> Parser:
    """The policy, the machines and the day."""
    parser = Parser("audit")
    parser.add_argument(
        "policy",
        nargs="?",
        default="audit.toml",
        metavar="POLICY",
        help="the policy file (default: ./audit.toml)",
    )
    parser.add_argument(
        "--machines",
        metavar="FILE|DIR|-",
        help="recorded machines to judge instead of this one",
    )
    parser.add_argument(
        "--init", action="store_true", help="write a policy to start from, and stop"
    )
    parser.add_argument(
        "--today",
        metavar="YYYY-MM-DD",
        help="the day (UTC) on which exceptions are held to expire",
    )
    add_specs(parser)
    add_output(parser, "audit")
    return parser


AUDIT_FORMATS = ("text", "json", "jsonl", "junit")
# the name of a format, and the file for it; None is --output or standard output
Output = tuple[str, str | None]


def run(words: list[str]) -> int:
    """Judge the machines against the policy, and write every report that was asked for."""
    options = parse(parser(), words)
    if options.init:
        return _init(options.policy)
    outputs = _outputs(options)
    targets = _targets(options, outputs)
    check_targets(
        options,
        targets,
        with_standard_output=options.output is None and len(targets) < len(outputs),
    )
    from ..audit.policy import read_policy
    from ..audit.run import run_audit, utc_today
    from ..core.tomlfile import Document

    today = utc_today() if options.today is None else options.today
    if not _is_date(today):
        raise UsageError(f"--today {today!r} is no date", remedy="write YYYY-MM-DD")
    policy = read_policy(Document.read(options.policy))
    check_targets_of_policy(targets, policy)
    from ..api import FleetJudge, open_catalogue

    catalogue = open_catalogue(options.specs)

    at_once = FleetJudge(catalogue, today)

    def judge(wanted: Wanted, workload: Workload, machine: Machine) -> Verdict:
        return at_once.verdict(wanted.name, workload, machine)

    progress = _progress(words)
    machines, problems = _machines(options.machines, progress)
    audit = run_audit(
        policy,
        machines,
        judge,
        today=today,
        problems=problems,
        progress=progress,
        at_once=at_once,
    )
    _report(options, outputs, audit)
    tell_left_aside(catalogue)
    return audit.exit_code


def _init(path: str) -> int:
    """Write a policy to start from."""
    from ..audit.policy import starter_policy

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


def _progress(words: list[str]) -> Progress | None:
    """For a person; a program that wants JSON finds nothing else on standard error."""
    from ..core.lastwords import wants_json

    if wants_json(words):
        return None
    from ..audit.progress import Progress

    return Progress(lambda line: to_standard_error(f"{line}\n"))


def _machines(
    path: str | None, progress: Progress | None
) -> tuple[Sequence[Machine], tuple[Problem, ...]]:
    """The machines to judge, and what is wrong with other records; without a path this machine."""
    from ..audit.machines import load_machines
    from ..machine.reader import Machine

    if path is None:
        return (Machine.read(),), ()
    fleet = load_machines(path, progress=progress)
    return fleet.machines, fleet.problems


def _report(options: argparse.Namespace, outputs: list[Output], audit: Audit) -> None:
    """Write the reports that go to files, all of them or none, then the one for standard output."""
    shown = next((name for name, path in outputs if path is None), None)
    if options.output is not None and shown is not None and not audit.problems:
        outputs, shown = [*((name, path or options.output) for name, path in outputs)], None
    reports = [(path, _audit_report(name, audit)) for name, path in outputs if path is not None]
    if reports:
        from ..core.writing import write_whole

        write_whole(reports)
    if audit.problems:
        # not all could be judged: that is no answer, and nothing on standard output may look like
        # one
        raise InputError(audit.problems)
    if shown == "text":
        from ..reports.audit_text import document

        present(options, document(audit, verbose=options.verbose))
    elif shown is not None:
        deliver(options, _audit_report(shown, audit))


def _named_policy(path: str) -> str:
    import shlex

    return "" if path == "audit.toml" else f" {shlex.quote(path)}"


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _audit_format(text: str) -> Output:
    name, equals, path = text.partition("=")
    if name not in AUDIT_FORMATS:
        from ..core.spelling import nearest

        guess = nearest(name, AUDIT_FORMATS)
        raise UsageError(
            f"unknown format {name!r}",
            remedy=f"did you mean {guess}?" if guess else f"one of {', '.join(AUDIT_FORMATS)}",
        )
    if equals and path in ("", "-"):
        raise UsageError(f"--format {text} names no file", remedy=f"write --format {name}=FILE")
    return name, path or None


def _audit_report(name: str, audit: Audit) -> str | Iterable[str]:
    if name == "junit":
        from ..reports import junit

        return junit.render(audit)
    from ..reports import audit_json, audit_text, json

    if name == "text":
        return audit_text.render(audit)
    return audit_json.lines(audit) if name == "jsonl" else json.dumps(audit_json.render(audit))
