"""`selfhost audit`: machines judged against a policy file."""

from __future__ import annotations

import os
import sys

from ..core.errors import InputError, Problem
from .arguments import Parser, add_output, add_specs, parse
from .errors import UsageError
from .inputs import check_targets
from .output import deliver, present, tell_left_aside, write, write_file

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO

    from ..audit.fleet import Audit
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


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    from ..audit.fleet import load_machines, run_audit, utc_today
    from ..audit.policy import read_policy, starter_policy
    from ..core.tomlfile import Document

    if options.init:
        if os.path.lexists(options.policy):
            raise UsageError(
                f"{options.policy} is there already",
                remedy="name another file: `selfhost audit --init other.toml`",
            )
        write_file(options.policy, starter_policy(()))
        from ..reports.layout import clean

        named = clean(_named_policy(options.policy))
        write(
            f"wrote {clean(options.policy)}: name your models in it, then run `selfhost"
            f" audit{named}`\n"
        )
        return 0
    outputs = [_audit_format(text) for text in options.format] or [("text", None)]
    if options.output and all(path is not None for _, path in outputs):
        raise UsageError(
            "--output has nothing to write: every --format names its own file",
            remedy="leave --output out",
        )
    if sum(path is None for _, path in outputs) > 1:
        raise UsageError(
            "only one --format can go to standard output",
            remedy="write the others to files: --format junit=report.xml",
        )
    files = [path for _, path in outputs if path is not None]
    to_standard_output = options.output is None and len(files) < len(outputs)
    check_targets(
        options,
        [*files, *([options.output] if options.output else [])],
        with_standard_output=to_standard_output,
    )
    today = utc_today() if options.today is None else options.today
    if not _is_date(today):
        raise UsageError(f"--today {today!r} is no date", remedy="write YYYY-MM-DD")
    policy = read_policy(Document.read(options.policy))
    from ..api import check_with, open_catalogue

    catalogue = open_catalogue(options.specs)
    from ..machine.reader import Machine

    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...] = ()
    if options.machines is None:
        machines = (Machine.read(),)
    else:
        fleet = load_machines(options.machines, stdin=_stdin() if options.machines == "-" else None)
        machines, problems = fleet.machines, fleet.problems

    def judge(name: str, workload: Workload, machine: Machine) -> Verdict:
        return check_with(catalogue, name, workload, machine, instead=False, today=today)

    audit = run_audit(policy, machines, judge, today=today, problems=problems)
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

        present(options, document(audit))
    elif shown is not None:
        deliver(options, _audit_report(shown, audit))
    tell_left_aside(catalogue)
    return audit.exit_code


def _stdin() -> IO[bytes]:
    if sys.stdin is None:
        raise UsageError(
            "there is no standard input", remedy="name a file or a folder of machine records"
        )
    return sys.stdin.buffer


def _named_policy(path: str) -> str:
    return "" if path == "audit.toml" else f" {path}"


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _audit_format(text: str) -> tuple[str, str | None]:
    name, found, path = text.partition("=")
    if name not in AUDIT_FORMATS:
        from ..core.spelling import nearest

        guess = nearest(name, AUDIT_FORMATS)
        raise UsageError(
            f"unknown format {name!r}",
            remedy=f"did you mean {guess}?" if guess else f"one of {', '.join(AUDIT_FORMATS)}",
        )
    if found and path in ("", "-"):
        raise UsageError(f"--format {text} names no file", remedy=f"write --format {name}=FILE")
    return name, path or None


def _audit_report(name: str, audit: Audit) -> str:
    if name == "junit":
        from ..reports import junit

        return junit.render(audit)
    from ..reports import audit_json, audit_text, json

    if name == "text":
        return audit_text.render(audit)
    return audit_json.jsonl(audit) if name == "jsonl" else json.dumps(audit_json.render(audit))
