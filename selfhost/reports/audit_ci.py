"""An audit for services that read issues: GitHub's workflow commands, SARIF 2.1.0, and the line of
a monitoring plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from hashlib import sha256

from .. import __version__
from ..audit.entries import OnUnknown
from ..audit.record import Audit, Result, Use
from .audit_rows import (
    ANSWERS,
    ENDED,
    MOST_OF_A_TEXT,
    NEEDLESS,
    NOT_JUDGED,
    RULES,
    Issue,
    Level,
    issues,
    many,
    needs_attention,
    path_of,
    scope,
    shortened,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# GitHub shows ten annotations of a kind in a step and drops the rest without a word
# (github.com/actions/toolkit, docs/problem-matchers.md, "Limitations"), so the last one counts what
# is left
MOST_SHOWN = 9


def github(audit: Audit) -> str:
    """A line for each annotation, at a line of the policy; where there is none, a notice of the
    outcome. What an exception lets pass is none.
    """
    entries = [issue for issue in issues(audit) if issue.level is not Level.NOTE]
    lines = []
    for issue in entries[:MOST_SHOWN]:
        line = {} if issue.line is None else {"line": str(issue.line)}
        title = f"selfhost audit: {issue.rule}"
        on = f"; on {', '.join(issue.machines)}" if len(issue.machines) > 1 else ""
        message = f"{issue.sentence}{shortened(on, MOST_OF_A_TEXT)}"
        properties = {"file": path_of(issue.file), **line, "title": title}
        lines.append(_command(issue.level.name.lower(), properties, message))
    plain = {"title": "selfhost audit"}
    if rest := entries[MOST_SHOWN:]:
        message = f"and {many(len(rest), 'more annotation')}: see the other reports of this audit"
        lines.append(_command(rest[0].level.name.lower(), plain, message))
    if not lines:
        message = f"{': '.join(ANSWERS[audit.exit_code])}; {scope(audit)}"
        lines.append(_command("notice", plain, message))
    return "".join(f"{line}\n" for line in lines)


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    """As the runner unescapes it (actions/toolkit, packages/core/src/command.ts)."""

    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    shown = (
        f"{key}={escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
    )
    return f"::{name} {','.join(shown)}::{escaped(message)}"


# ------------------------------------------------------------------ SARIF

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# GitHub shows 5,000 results of a file
_MOST_RESULTS = 5_000


def sarif(audit: Audit) -> str:
    """Return the log as text, in ASCII; results beyond the most are counted. A machine is no source
    file, so a result stands at the line of the policy; its machines are logical locations.
    """
    import json

    entries = issues(audit)
    listed, rest = entries[:_MOST_RESULTS], len(entries[_MOST_RESULTS:])
    rules = list(dict.fromkeys(issue.rule for issue in listed))
    texts = [f"{many(rest, 'more result')}, not listed"] if rest else []
    invocation = {
        "executionSuccessful": not audit.problems,
        "exitCode": audit.exit_code,
        "toolExecutionNotifications": [
            {"level": "warning", "message": {"text": text}} for text in texts
        ],
    }
    driver = {
        "name": "selfhost",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": RULES[rule]}} for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "selfhost-audit/"},
        "invocations": [invocation],
        "results": [_result(issue, rules) for issue in listed],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _result(issue: Issue, rules: Sequence[str]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(path_of(issue.file))}}
    if issue.line is not None:
        place["region"] = {"startLine": issue.line}
    location: dict[str, Any] = {"physicalLocation": place}
    if names := dict.fromkeys(map(shortened, issue.machines)):
        location["logicalLocations"] = [
            {"name": name, "kind": "machine", "fullyQualifiedName": name} for name in names
        ]
    fingerprint = sha256(issue.key.encode("utf-8", "backslashreplace")).hexdigest()
    result: dict[str, Any] = {
        "ruleId": issue.rule,
        "ruleIndex": rules.index(issue.rule),
        "level": issue.level.name.lower(),
        "message": {"text": issue.sentence},
        "locations": [location],
        "partialFingerprints": {"selfhostAudit/v1": fingerprint},
    }
    if (each := issue.exemption) is not None:
        why = shortened(f"until {each.expires}: {each.reason} ({each.owner})", MOST_OF_A_TEXT)
        accepted = {"kind": "external", "status": "accepted", "justification": why}
        result["suppressions"] = [accepted]
    return result


def _uri(path: str) -> str:
    """A relative reference as RFC 3986 wants it; a whole path as a `file` URI."""
    shown = "".join(
        chr(byte) if re.match(rb"[\w.~/-]", bytes([byte])) else f"%{byte:02X}"
        for byte in path.encode("utf-8", "replace")
    )
    if re.match(r"[A-Za-z]%3A/", shown):
        return f"file:///{shown[0]}:{shown[4:]}"
    return f"file://{shown}" if shown.startswith("/") else shown


# ------------------------------------------------------------------ monitoring

# readers keep 4 KB of a plugin's output, older ones 1 KB
_MOST_OF_THE_WORDS = 600


class State(IntEnum):
    """The four states of monitoring plugins. The value is the exit code.

    Source: the Monitoring Plugins Development Guidelines, "Plugin Return Codes".
    """

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def state_of(audit: Audit) -> State:
    """CRITICAL where the policy is broken, even if other things could not be judged. WARNING where
    the policy holds and something is wrong that it does not count, or an exception has ended or is
    needless.
    """
    if audit.outcome is Result.FAIL:
        return State.CRITICAL
    if audit.exit_code:
        return State.UNKNOWN
    lets_unknown_pass = audit.policy.on_unknown is OnUnknown.IGNORE
    is_wrong = audit.count(Result.FAIL) or (audit.count(Result.UNKNOWN) and not lets_unknown_pass)
    if is_wrong or any(map(needs_attention, audit.exceptions)):
        return State.WARNING
    return State.OK


def nagios(audit: Audit) -> str:
    """One line of a monitoring plugin (Nagios, Icinga, Naemon, checkmk's MRPE), with performance
    data: the outcome, then the worst issue with the number of the others.
    """
    words = f"{ANSWERS[audit.exit_code][1]}: {scope(audit)}"
    if expired := _expired(audit):
        words += f", {many(expired, 'exception')} expired"
    entries = [issue for issue in issues(audit) if issue.level is not Level.NOTE]
    if entries:
        worst, others = entries[0], len(entries) - 1
        # a fault's file is where it stands; of the others it is the policy
        place = f"{worst.file}: " if worst.rule == NOT_JUDGED else ""
        # of a model what to do stands in the other reports
        issue = worst.sentence if worst.rule in (ENDED, NEEDLESS) else worst.text
        more = f" (and {many(others, 'more issue')})" if others else ""
        words += f"; {place}{issue}{more}"
    return f"{_line(state_of(audit), words)} | {' '.join(_figures(audit))}\n"


def unknown(message: str) -> str:
    """The line of a run that came to no audit at all."""
    return f"{_line(State.UNKNOWN, message)}\n"


def _line(state: State, words: str) -> str:
    # what follows a bar is read as performance data
    shown = shortened(words, _MOST_OF_THE_WORDS).replace("|", "/")
    return f"SELFHOST {state.name} - {shown}"


def _figures(audit: Audit) -> Iterator[str]:
    """`label=value;warn;crit;min;max`; a threshold of 0 is crossed by the first one."""
    counts = {result: audit.count(result) for result in Result}
    thresholds = {Result.FAIL: ";0", Result.UNKNOWN: "0;"}
    for result, count in counts.items():
        yield f"{result}={count};{thresholds.get(result, ';')};0;{sum(counts.values())}"
    yield f"machines={audit.machines};;;0;"
    yield f"problems={len(audit.problems)};0;;0;"
    yield f"expired_exceptions={_expired(audit)};0;;0;"


def _expired(audit: Audit) -> int:
    return sum(each.use is Use.EXPIRED for each in audit.exceptions)
