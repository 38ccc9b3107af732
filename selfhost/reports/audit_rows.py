"""What the reports of an audit share: words for rows and exceptions, and issues, which are what an
audit found at a line of the policy.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from hashlib import sha256
from itertools import islice

from ..audit.entries import Exemption, OnUnknown, Policy
from ..audit.record import Audit, ExemptionUse, MachineGroup, Reason, Result, Row, Use
from ..core.errors import Problem, in_one_line
from ..core.records import Record
from ..judge.checks import CHECKS, Outcome, codes
from .layout import clean
from .words import failed_words, format_words

# by exit code: the word of the outcome, and the sentence
ANSWERS: Mapping[int, tuple[str, str]] = {
    0: ("PASS", "the policy holds"),
    1: ("FAIL", "the policy is broken"),
    2: ("NOT JUDGED", "no answer for the whole policy"),
    3: ("UNKNOWN", "it is not known whether the policy holds"),
}
# results that break the policy unless it says otherwise
COUNTED = (Result.FAIL, Result.UNKNOWN)
# characters of what came in, on a page: longer names and texts are cut
MOST_OF_A_NAME, MOST_OF_A_TEXT = 120, 1_000
_DIGITS = 8


def scope(audit: Audit) -> str:
    """`3 models, 12 machines: 30 pass, 6 fail`; `nothing changed` since the baseline, or `nothing
    judged`.
    """
    counts = ((result, audit.count(result)) for result in Result)
    none = "nothing changed" if audit.since and audit.since.unchanged else "nothing judged"
    results = ", ".join(f"{count:,} {result}" for result, count in counts if count) or none
    return (
        f"{many(len(audit.policy.models), 'model')}, {many(audit.machines, 'machine')}: {results}"
    )


def many(number: int, what: str) -> str:
    """`1 machine`, `1,200 machines`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shortened(text: str, most: int = MOST_OF_A_NAME, *, raw: bool = False) -> str:
    """`text` on one line, in at most `most` characters; `raw`: as it is, for a format with escapes
    of its own. What is cut ends in a hash of the whole: two texts that differ stay different.
    """
    shown = text if raw else clean(text)
    if len(shown) <= most:
        return shown
    digest = sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]
    return f"{shown[: most - _DIGITS - 1]}…{digest}"


def judged_as(rows: Iterable[Row]) -> str:
    """What would be loaded by what, `Q4_K_M in llama.cpp`: of rows that say so, each once."""
    words = (format_words(row.verdict.workload) for row in rows if row.verdict is not None)
    return ", ".join(dict.fromkeys(filter(None, words)))


def causes(row: Row) -> list[tuple[Result, str]]:
    """What decided the row, with what each came to, in a few words; [] for one that passes."""
    failing = [
        finding.code
        for finding in row.findings
        if finding.check in row.failed and finding.outcome is Outcome.FAIL
    ]
    words = [(Result.FAIL, failed_words([code])) for code in failing]
    words = words or [(Result.UNKNOWN, f"{check} not known") for check in row.undecided]
    words += [(Result.EXCEPTED, f"{check} excepted") for check, _ in row.excepted]
    return words or [(row.result, reason.text) for reason in row.reasons[:1]]


def warnings(row: Row) -> str:
    """The checks that warn, each with its reason: `license (…), speed (…)`."""
    warned = (each for each in row.findings if each.outcome is Outcome.WARN)
    return ", ".join(f"{each.check} ({codes().get(each.code, each.code)})" for each in warned)


def excepted_words(row: Row, check: str, exemption: Exemption) -> str:
    """What an exception lets pass: `memory fails, excepted until 2027-03-31: kits come (ops)`."""
    state = "fails" if _fails(row, check) else "is not known"
    until = f"excepted until {exemption.expires}: {exemption.reason} ({exemption.owner})"
    return f"{check} {state}, {until}"


def _fails(row: Row, check: str) -> bool:
    """Whether that check fails in the row, excepted or not; else it is not known."""
    return any(each.check == check and each.outcome is Outcome.FAIL for each in row.findings)


def needs_attention(use: ExemptionUse) -> bool:
    """Whether an exception has ended, or covers nothing on machines that were judged."""
    return use.use is Use.EXPIRED or (use.use is Use.UNUSED and use.concerned)


def exception_name(use: ExemptionUse) -> str:
    """`memory of mistral-7b on host:edge-*`."""
    each = use.exemption
    where = f" on {' '.join(map(str, each.machines))}" if each.machines else ""
    return f"{each.rule} of {each.model}{where}"


def exception_fate(use: ExemptionUse) -> tuple[str, str | None]:
    """What became of an exception; what to do about it and who would, None for nothing."""
    each, is_over, rows = use.exemption, use.use is Use.EXPIRED, many(use.rows, "verdict")
    if use.rows:
        remedy = f"make the model run there, or have its owner renew it: {each.owner}"
        if is_over:
            return f"ended on {each.expires}; {rows} would need it", remedy
        return f"covers {rows}, until {each.expires}", None
    state = "covers nothing any more" if use.concerned else "concerns no machine of this audit"
    remedy = f"remove it; its owner is {each.owner}"
    words = (
        f"ended on {each.expires}, and {state}"
        if is_over
        else f"{state} (it ends on {each.expires})"
    )
    return words, remedy if use.concerned else None


def with_remedy(text: str, remedy: str | None) -> str:
    """The text and what to do."""
    return f"{text} (to do: {remedy})" if remedy else text


# ------------------------------------------------------------------ issues

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


class Level(IntEnum):
    """How grave an issue is: an `ERROR` makes the exit code other than 0.

    A `NOTE` is what an exception lets pass, or an unknown that the policy ignores.
    """

    ERROR = 0
    WARNING = 1
    NOTE = 2


class Issue(Record):
    """One check of one `[[model]]`, whatever the number of machines; a fault of the policy or of a
    record; or an exception that has ended or covers nothing.

    `file` is as the user named it, `line` counts from 1 and is None where it is not certain. `key`
    is the same in every run and differs between issues. `machines` are those that it concerns, by
    name. `exemption` lets the issue pass.
    """

    level: Level
    rule: str
    file: str
    line: int | None
    key: str
    text: str
    remedy: str | None = None
    machines: tuple[str, ...] = ()
    exemption: Exemption | None = None

    @property
    def sentence(self) -> str:
        """The text and what to do, on one line."""
        return shortened(with_remedy(self.text, self.remedy), MOST_OF_A_TEXT)


def issues(audit: Audit) -> list[Issue]:
    """Return the worst first, then in the policy's order."""
    lines = _lines(audit.policy)
    entries = [
        *_faults(audit.problems),
        *_of_models(audit, [*lines["model"], *lines["together"]]),
        *_of_exceptions(audit, lines["exception"]),
    ]
    return sorted(entries, key=lambda issue: issue.level)


def path_of(file: str) -> str:
    """Return a path as services compare it with those of a repository: `./a\\b` is `a/b`."""
    return posixpath.normpath(shortened(file, MOST_OF_A_TEXT).replace("\\", "/"))


def _lines(policy: Policy) -> dict[str, list[int | None]]:
    """Where the tables of a policy stand, by their name."""
    from ..core.tomlfile import Document

    document = Document.parse(policy.file, policy.text.encode())
    return {
        name: [document.line((name, at)) for at in range(len(document.values.get(name, ())))]
        for name in ("model", "together", "exception")
    }


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
    for group, row in audit.pairs():
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
        is_unknown = reason.check is not None and reason.check not in row.failed
        yield reason.check or NO_CHECK, Result.UNKNOWN if is_unknown else row.result, reason, None
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
    rows, count = [each[1] for each in members], sum(each[0].count for each in members)
    where = many(count, "machine") if len(members) > 1 else shortened(group.name)
    label = shortened(row.wanted.label)
    about = f"{rule} of {label} is not known on {where}"
    if result is Result.FAIL or (exemption and any(_fails(each, rule) for each in rows)):
        about = f"{label} does not run on {where}"
    names = (name for each in members for name in each[0].names)
    return Issue(
        level=_level(rows, result, policy),
        rule=rule,
        file=policy.file,
        line=line,
        key=f"{rule} {result} {row.wanted.label}",
        text=f"{about}: {rule}: {_decision(row, reason, exemption, is_one=count == 1)}",
        remedy=None if reason is None else reason.remedy,
        machines=tuple(islice(names, _MACHINES_SHOWN)),
        exemption=exemption,
    )


def _decision(row: Row, reason: Reason | None, exemption: Exemption | None, *, is_one: bool) -> str:
    if exemption is not None:
        return f"excepted until {exemption.expires}: {exemption.reason}"
    if reason is None:
        return f"the route is {row.route}"
    return reason.text if is_one else f"worst on {shortened(row.machine)}: {reason.text}"


def _level(rows: Sequence[Row], result: Result, policy: Policy) -> Level:
    if result is Result.EXCEPTED:
        return Level.NOTE
    # a fact that was not read beside a check that fails counts as the policy has it
    lets_unknown_pass = policy.on_unknown in (OnUnknown.WARNING, OnUnknown.IGNORE)
    if any(row.exit_code and (result is row.result or not lets_unknown_pass) for row in rows):
        return Level.ERROR
    ignored = result is Result.UNKNOWN and policy.on_unknown is OnUnknown.IGNORE
    return Level.NOTE if ignored else Level.WARNING


def _of_exceptions(audit: Audit, lines: Sequence[int | None]) -> Iterator[Issue]:
    for use in filter(needs_attention, audit.exceptions):
        rule = ENDED if use.use is Use.EXPIRED else NEEDLESS
        name, index, (state, remedy) = exception_name(use), use.exemption.index, exception_fate(use)
        yield Issue(
            level=Level.WARNING,
            rule=rule,
            file=audit.policy.file,
            line=lines[index] if index < len(lines) else None,
            key=f"{rule} {name} {index}",
            text=f"exception for {shortened(name)}: {state}",
            remedy=remedy,
        )
