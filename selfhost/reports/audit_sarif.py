"""An audit as SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

A machine is no source file, so a result stands at the line of the policy that wants the model; the
machines that it concerns are its logical locations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .. import __version__
from ..audit.record import Audit
from .audit_issues import (
    MOST_ISSUES,
    MOST_OF_A_NAME,
    MOST_OF_A_TEXT,
    RULES,
    Issue,
    Level,
    issues,
    path_of,
)
from .audit_words import many, shortened

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "note"}


def render(audit: Audit) -> str:
    """The log as text, in ASCII."""
    import json

    entries = issues(audit)
    listed, rest = entries[:MOST_ISSUES], len(entries[MOST_ISSUES:])
    rules = tuple(dict.fromkeys(issue.rule for issue in listed))
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "selfhost",
                        "version": __version__,
                        "rules": [
                            {"id": rule, "shortDescription": {"text": RULES[rule]}}
                            for rule in rules
                        ],
                    }
                },
                "automationDetails": {"id": "selfhost-audit/"},
                "invocations": [_invocation(audit, rest)],
                "results": [_result(issue, rules) for issue in listed],
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _invocation(audit: Audit, rest: int) -> dict[str, Any]:
    """How the run ended; what is not listed is counted here."""
    said = [f"{many(rest, 'more result')}, not listed"] if rest else []
    return {
        "executionSuccessful": not audit.problems,
        "exitCode": audit.exit_code,
        "toolExecutionNotifications": [
            {"level": "warning", "message": {"text": text}} for text in said
        ],
    }


def _result(issue: Issue, rules: Iterable[str]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(path_of(issue.file))}}
    if issue.line is not None:
        place["region"] = {"startLine": issue.line}
    location: dict[str, Any] = {"physicalLocation": place}
    if issue.classes:
        names = dict.fromkeys(shortened(name, MOST_OF_A_NAME) for name in issue.classes)
        location["logicalLocations"] = [
            {"name": name, "kind": "machine class", "fullyQualifiedName": name} for name in names
        ]
    entry = {
        "ruleId": issue.rule,
        "ruleIndex": tuple(rules).index(issue.rule),
        "level": _LEVELS[issue.level],
        "message": {"text": issue.sentence},
        "locations": [location],
        "partialFingerprints": {"selfhostAudit/v1": issue.fingerprint},
    }
    if issue.exemption is not None:
        each = issue.exemption
        text = f"until {each.expires}: {each.reason} ({each.owner})"
        entry["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": shortened(text, MOST_OF_A_TEXT),
            }
        ]
    return entry


def _uri(path: str) -> str:
    """A relative reference as RFC 3986 wants it; a whole path as a `file` URI."""
    shown = "".join(
        chr(byte) if re.match(rb"[\w.~/-]", bytes([byte])) else f"%{byte:02X}"
        for byte in path.encode("utf-8", "replace")
    )
    if re.match(r"[A-Za-z]%3A/", shown):
        return f"file:///{shown[0]}:{shown[4:]}"
    return f"file://{shown}" if shown.startswith("/") else shown
