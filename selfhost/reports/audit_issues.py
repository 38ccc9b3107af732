"""What an audit found, as a reader of source files wants it: at a line of the policy.

One issue is one check of one `[[model]]`, whatever the number of machines; a fault of the policy or
of a record; or an exception that has ended or covers nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from hashlib import sha256
from itertools import islice

from ..audit.entries import Exemption, OnUnknown, Policy
from ..audit.record import Audit, ExemptionUse, MachineGroup, Reason, Result, Row, Use
from ..core.errors import Problem, in_one_line
from ..core.records import Record
from ..judge.checks import CHECKS
from .audit_words import (
    MOST_OF_A_NAME,
    MOST_OF_A_TEXT,
    exception_name,
    exception_remedy,
    exception_state,
    fails,
    many,
    needs_attention,
    shortened,
)

# beyond these, readers are served by a count; GitHub shows 5,000 results of a SARIF file
MOST_ISSUES = 5_000
# machines that one issue names
_MACHINES_SHOWN = 1_000

NOT_JUDGED = "not-judged"
NO_CHECK = "route"
ENDED, NEEDLESS = "exception-expired", "exception-unused"
# each rule that an issue may name, and what it says
RULES: dict[str, str] = {
    **{check: f"The {check} of a model that the policy wants" for check in CHECKS},
    NO_CHECK: "Whether a model that the policy wants runs",
    NOT_JUDGED: "A fault of the policy or of a machine record, so that not all could be judged",
    ENDED: "An exception of the policy that has ended",
    NEEDLESS: "An exception of the policy that covers nothing",
}
# tables of a policy that say what must run
_WANTING = ("model", "together")


class Level(IntEnum):
    """How grave an issue is: an `ERROR` makes the exit code other than 0.

    A `NOTE` is what an exception lets pass, or an unknown that the policy ignores.
    """

    ERROR = 0
    WARNING = 1
    NOTE = 2


class Issue(Record):
    """`file` is as the user named it, `line` counts from 1 and is None where it is not certain.

    `key` is the same in every run and differs between issues. `subject` is a model or an exception.
    `machines` are those that it concerns, by name. `exemption` lets the issue pass.
    """

    level: Level
    rule: str
    file: str
    line: int | None
    key: str
    subject: str = ""
    text: str
    remedy: str | None = None
    machines: tuple[str, ...] = ()
    exemption: Exemption | None = None

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits."""
        return sha256(self.key.encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def sentence(self) -> str:
        """The text and what to do, on one line."""
        text = f"{self.text} (to do: {self.remedy})" if self.remedy else self.text
        return shortened(text, MOST_OF_A_TEXT)


def issues(audit: Audit) -> list[Issue]:
    """Return the worst first, then in the policy's order."""
    wanted_lines, exception_lines = _lines(audit.policy)
    entries = [
        *_faults(audit.problems),
        *_of_models(audit, wanted_lines),
        *_of_exceptions(audit.exceptions, audit.policy.file, exception_lines),
    ]
    return sorted(entries, key=lambda issue: issue.level)


def path_of(file: str) -> str:
    """Return a path as services compare it with those of a repository: `./a\\b` is `a/b`."""
    return posixpath.normpath(shortened(file, MOST_OF_A_TEXT).replace("\\", "/"))


def _lines(policy: Policy) -> tuple[list[int | None], list[int | None]]:
    """Where the models of a policy stand, in its order, and where its exceptions do."""
    if not policy.text:
        return [], []
    from ..core.tomlfile import Document

    document = Document.parse(policy.file, policy.text.encode())
    lines = {
        name: [document.line((name, at)) for at in range(len(document.values.get(name, ())))]
        for name in (*_WANTING, "exception")
    }
    return [line for name in _WANTING for line in lines[name]], lines["exception"]


def _faults(problems: Iterable[Problem]) -> Iterator[Issue]:
    seen: dict[str, int] = {}
    for problem in problems:
        key = f"{NOT_JUDGED} {problem.file} {problem.key} {problem.message}"
        number = seen[key] = seen.get(key, 0) + 1
        yield Issue(
            level=Level.ERROR,
            rule=NOT_JUDGED,
            file=problem.file,
            line=problem.line,
            key=f"{key} {number}",
            text=f"{problem.key}: {problem.message}" if problem.key else problem.message,
            remedy=problem.remedy and in_one_line(problem.remedy),
        )


# a row that one check decided: the group, the row, the reason, the exception
_Member = tuple[MachineGroup, Row, Reason | None, Exemption | None]


def _of_models(audit: Audit, lines: Sequence[int | None]) -> Iterator[Issue]:
    members: dict[tuple[bool, int, str, Result], list[_Member]] = {}
    for group in audit.groups:
        for row in group.rows:
            for check, result, reason, exemption in _parts(row):
                # what fails is worse than what is not known, as the exit codes have it
                key = (result is Result.UNKNOWN, row.wanted.index, check, result)
                members.setdefault(key, []).append((group, row, reason, exemption))
    for key in sorted(members, key=lambda key: key[:2]):
        _, index, check, result = key
        line = lines[index] if index < len(lines) else None
        yield _issue(members[key], check, result, audit.policy, line)


def _parts(row: Row) -> Iterator[tuple[str, Result, Reason | None, Exemption | None]]:
    """Yield each check that decides, what it came to, its reason and its exception."""
    if row.result is Result.PASS:
        return
    for reason in row.reasons:
        if reason.check is None:
            yield NO_CHECK, row.result, reason, None
        else:
            result = Result.FAIL if reason.check in row.failed else Result.UNKNOWN
            yield reason.check, result, reason, None
    if not row.reasons and not row.excepted:
        yield NO_CHECK, row.result, None, None
    for check, exemption in row.excepted:
        yield check, Result.EXCEPTED, None, exemption


def _issue(
    members: list[_Member], rule: str, result: Result, policy: Policy, line: int | None
) -> Issue:
    """Return one check of one model, over all classes of machines that it decides."""
    # what counts comes before what does not, then the larger shortfall
    group, row, reason, exemption = max(
        members, key=lambda each: (each[1].exit_code, (each[2].short or 0) if each[2] else 0)
    )
    machines = sum(each[0].count for each in members)
    where = many(machines, "machine")
    if len(members) == 1:
        where = shortened(group.name, MOST_OF_A_NAME)
    worst = f", worst on {shortened(row.machine, MOST_OF_A_NAME)}" if machines > 1 else ""
    words = reason.text if reason is not None else f"the route is {row.route}"
    if exemption is not None:
        words, worst = f"excepted until {exemption.expires}: {exemption.reason}", ""
    about = _about([each[1] for each in members], rule, result, where)
    return Issue(
        level=_level([each[1] for each in members], result, policy),
        rule=rule,
        file=policy.file,
        line=line,
        key=f"{rule} {result} {row.wanted.label}",
        subject=row.wanted.label,
        text=f"{about}: {rule}{worst}: {words}",
        remedy=None if reason is None else reason.remedy,
        machines=tuple(
            islice((name for each in members for name in each[0].names), _MACHINES_SHOWN)
        ),
        exemption=exemption,
    )


def _about(rows: Sequence[Row], rule: str, result: Result, where: str) -> str:
    """What is wrong with the model there, before the check that says so."""
    label = shortened(rows[0].wanted.label, MOST_OF_A_NAME)
    is_excepted = result is Result.EXCEPTED
    if result is Result.FAIL or (is_excepted and any(fails(row, rule) for row in rows)):
        text = f"{label} does not run on {where}"
    elif any(row.result is Result.FAIL for row in rows):
        # another check fails there
        text = f"{rule} of {label} is not known on {where}"
    else:
        text = f"it is not known whether {label} runs on {where}"
    return f"{text}, which is excepted" if is_excepted else text


def _level(rows: Sequence[Row], result: Result, policy: Policy) -> Level:
    if result is Result.EXCEPTED:
        return Level.NOTE
    # a fact that was not read beside a check that fails counts as the policy has it
    lets_unknown_pass = policy.on_unknown in (OnUnknown.WARNING, OnUnknown.IGNORE)
    if any(row.exit_code and (result is row.result or not lets_unknown_pass) for row in rows):
        return Level.ERROR
    ignored = result is Result.UNKNOWN and policy.on_unknown is OnUnknown.IGNORE
    return Level.NOTE if ignored else Level.WARNING


def _of_exceptions(
    uses: Iterable[ExemptionUse], file: str, lines: Sequence[int | None]
) -> Iterator[Issue]:
    for use in filter(needs_attention, uses):
        rule = ENDED if use.use is Use.EXPIRED else NEEDLESS
        name, index = exception_name(use), use.exemption.index
        yield Issue(
            level=Level.WARNING,
            rule=rule,
            file=file,
            line=lines[index] if index < len(lines) else None,
            key=f"{rule} {name} {index}",
            subject=name,
            text=f"exception for {shortened(name, MOST_OF_A_NAME)}: {exception_state(use)}",
            remedy=exception_remedy(use),
        )
