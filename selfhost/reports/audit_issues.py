"""What an audit found, as a reader of source files wants it: at a line of the policy.

One issue is one check of one `[[model]]`, whatever the number of machines; a fault of the policy or
of a record; or an exception that has ended or covers nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import cached_property
from hashlib import sha256

from ..audit.entries import Exemption, OnUnknown, Policy
from ..audit.record import Audit, ExemptionUse, MachineGroup, Reason, Result, Row, Use
from ..core.errors import Problem, in_one_line
from ..core.records import Record
from ..verdict.findings import CHECKS
from .audit_words import (
    exception_name,
    exception_remedy,
    exception_state,
    fails,
    many,
    needs_attention,
    shortened,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..core.tomlfile import Document

# beyond these, readers are served by a count; GitHub shows 5,000 results of a SARIF file
MOST_ISSUES = 5_000
# classes of machines that one issue names
CLASSES_SHOWN = 10
# characters of a name, and of a whole sentence
MOST_OF_A_NAME, MOST_OF_A_TEXT = 120, 1_000

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


class Level(IntEnum):
    """An `ERROR` makes the exit code other than 0; a `NOTE` is what an exception lets pass, or an
    unknown that the policy ignores.
    """

    ERROR = 0
    WARNING = 1
    NOTE = 2


class Issue(Record):
    """`file` is as the user named it, `line` counts from 1 and is None where it is not certain.

    `key` is the same in every run, whatever the machines and their figures, and differs between
    issues. `subject` is a model or an exception, empty for a fault. `classes` are names of machines
    that fare alike, the first ones. `exemption` is what lets an excepted issue pass.
    """

    level: Level
    rule: str
    file: str
    line: int | None
    key: str
    subject: str = ""
    text: str
    remedy: str | None = None
    classes: tuple[str, ...] = ()
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
    """The worst first, then in the policy's order."""
    lines = _Lines(audit.policy)
    entries = [
        *_faults(audit.problems),
        *_of_models(audit, lines),
        *_of_exceptions(audit.exceptions, audit.policy.file, lines),
    ]
    return sorted(entries, key=lambda issue: issue.level)


def path_of(file: str) -> str:
    """A path as services compare it with those of a repository: `./a\\b` is `a/b`."""
    return posixpath.normpath(shortened(file, MOST_OF_A_TEXT).replace("\\", "/"))


class _Lines:
    """Where the entries of a policy stand; the file is parsed when the first is looked for."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @cached_property
    def _document(self) -> Document:
        from ..core.tomlfile import Document

        return Document.parse(self._policy.file, self._policy.text.encode())

    @cached_property
    def _wanted(self) -> list[tuple[str, int]]:
        """The tables behind `Policy.models`, in its order."""
        values = self._document.values
        return [(name, place) for name in _WANTING for place in range(len(values.get(name, ())))]

    def of_wanted(self, index: int) -> int | None:
        return self._document.line(self._wanted[index]) if index < len(self._wanted) else None

    def of_exception(self, index: int) -> int | None:
        return self._document.line(("exception", index))


# tables of a policy that say what must run
_WANTING = ("model", "together")


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


# ------------------------------------------------------------------ models

# a row that one check decided: the check, what it came to, its reason, its exception
_Part = tuple[str, Result, Reason | None, Exemption | None]
_Member = tuple[MachineGroup, Row, _Part]


def _of_models(audit: Audit, lines: _Lines) -> Iterator[Issue]:
    parts: dict[tuple[int, str, Result], list[_Member]] = {}
    for group in audit.groups:
        for row in group.rows:
            for part in _parts(row):
                key = (row.wanted.index, part[0], part[1])
                parts.setdefault(key, []).append((group, row, part))
    # what fails is worse than what is not known, as the exit codes have it
    by_result = sorted(parts.items(), key=lambda item: (item[0][2] is Result.UNKNOWN, item[0][0]))
    for (index, _, _), members in by_result:
        yield _issue(members, audit.policy, lines.of_wanted(index))


def _parts(row: Row) -> Iterator[_Part]:
    if row.result is Result.PASS:
        return
    for reason in row.reasons:
        if reason.check is None:
            yield NO_CHECK, row.result, reason, None
        elif reason.check in row.failed:
            yield reason.check, Result.FAIL, reason, None
        else:
            yield reason.check, Result.UNKNOWN, reason, None
    if not row.reasons and not row.excepted:
        yield NO_CHECK, row.result, None, None
    for check, exemption in row.excepted:
        yield check, Result.EXCEPTED, None, exemption


def _issue(members: list[_Member], policy: Policy, line: int | None) -> Issue:
    """One check of one model, over all classes of machines that it decides."""
    group, row, (rule, result, reason, exemption) = max(members, key=_weight)
    machines = sum(each.count for each, _, _ in members)
    label = shortened(row.wanted.label, MOST_OF_A_NAME)
    where = (
        shortened(group.name, MOST_OF_A_NAME) if len(members) == 1 else many(machines, "machine")
    )
    fields: dict[str, Any] = {
        "level": _level(members, result, policy),
        "rule": rule,
        "file": policy.file,
        "line": line,
        "key": f"{rule} {result} {row.wanted.label}",
        "subject": row.wanted.label,
        "classes": tuple(each.name for each, _, _ in members[:CLASSES_SHOWN]),
        "exemption": exemption,
    }

    def worded() -> Issue:
        worst = f", worst on {shortened(row.machine, MOST_OF_A_NAME)}" if machines > 1 else ""
        if exemption is not None:
            said, worst = f"excepted until {exemption.expires}: {exemption.reason}", ""
        else:
            said = reason.text if reason is not None else f"the route is {row.route}"
        return Issue(
            **fields,
            text=f"{_about(members, rule, label, where)}: {rule}{worst}: {said}",
            remedy=None if reason is None else reason.remedy,
        )

    # some reports count the issues and word one
    return Issue.partly({**fields}, worded)


def _about(members: Sequence[_Member], rule: str, label: str, where: str) -> str:
    """What is wrong with the model there, before the check that says so; all have one result."""
    result = members[0][2][1]
    is_excepted = result is Result.EXCEPTED
    if result is Result.FAIL or (is_excepted and any(fails(row, rule) for _, row, _ in members)):
        text = f"{label} does not run on {where}"
    elif any(row.result is Result.FAIL for _, row, _ in members):
        # another check fails there
        text = f"{rule} of {label} is not known on {where}"
    else:
        text = f"it is not known whether {label} runs on {where}"
    return f"{text}, which is excepted" if is_excepted else text


def _level(members: Iterable[_Member], result: Result, policy: Policy) -> Level:
    if any(_counts(row, result, policy) for _, row, _ in members):
        return Level.ERROR
    ignored = result is Result.UNKNOWN and policy.on_unknown is OnUnknown.IGNORE
    return Level.NOTE if ignored or result is Result.EXCEPTED else Level.WARNING


def _counts(row: Row, result: Result, policy: Policy) -> bool:
    """Whether a check that came to this makes the row count: a fact that was not read beside a
    check that fails does as the policy has it.
    """
    if not row.exit_code or result is Result.EXCEPTED:
        return False
    lets_unknown_pass = policy.on_unknown in (OnUnknown.WARNING, OnUnknown.IGNORE)
    return result is row.result or not lets_unknown_pass


def _weight(member: _Member) -> tuple[int, float]:
    """What counts comes before what does not, then the larger shortfall."""
    _, row, (_, _, reason, _) = member
    return row.exit_code, (reason.short or 0) if reason is not None else 0


def _of_exceptions(uses: Iterable[ExemptionUse], file: str, lines: _Lines) -> Iterator[Issue]:
    for use in uses:
        if needs_attention(use):
            rule = ENDED if use.use is Use.EXPIRED else NEEDLESS
            name = exception_name(use)
            yield Issue(
                level=Level.WARNING,
                rule=rule,
                file=file,
                line=lines.of_exception(use.exemption.index),
                key=f"{rule} {name} {use.exemption.index}",
                subject=name,
                text=f"exception for {shortened(name, MOST_OF_A_NAME)}: {exception_state(use)}",
                remedy=exception_remedy(use),
            )
