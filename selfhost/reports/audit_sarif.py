"""An audit as SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

A machine is no source file, so a result stands at the line of the policy that wants the model; the
machines that it concerns are its logical locations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import __version__
from ..audit.record import Audit
from .audit_issues import MOST_ISSUES, RULES, Issue, Level, issues, path_of
from .audit_words import MOST_OF_A_NAME, MOST_OF_A_TEXT, many, shortened

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(audit: Audit) -> str:
    """Return the log as text, in ASCII; results beyond the most are counted."""
    import json

    entries = issues(audit)
    listed, rest = entries[:MOST_ISSUES], len(entries[MOST_ISSUES:])
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
    if names := dict.fromkeys(shortened(name, MOST_OF_A_NAME) for name in issue.machines):
        location["logicalLocations"] = [
            {"name": name, "kind": "machine", "fullyQualifiedName": name} for name in names
        ]
    entry: dict[str, Any] = {
        "ruleId": issue.rule,
        "ruleIndex": rules.index(issue.rule),
        "level": Level(issue.level).name.lower(),
        "message": {"text": issue.sentence},
        "locations": [location],
        "partialFingerprints": {"selfhostAudit/v1": issue.fingerprint},
    }
    if (each := issue.exemption) is not None:
        why = shortened(f"until {each.expires}: {each.reason} ({each.owner})", MOST_OF_A_TEXT)
        accepted = {"kind": "external", "status": "accepted", "justification": why}
        entry["suppressions"] = [accepted]
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
