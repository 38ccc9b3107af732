"""An audit as GitLab's code quality report: https://docs.gitlab.com/ci/testing/code_quality/,
"Code Quality report format".
"""

from __future__ import annotations

from ..audit.record import Audit
from .audit_issues import MOST_ISSUES, NOT_JUDGED, Issue, Level, issues, path_of
from .audit_words import many

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_SEVERITIES = {Level.ERROR: "major", Level.WARNING: "minor", Level.NOTE: "info"}


def render(audit: Audit) -> str:
    """A list of issues, the worst first; empty where nothing is wrong."""
    import json

    entries = issues(audit)
    listed = entries[:MOST_ISSUES]
    if rest := entries[MOST_ISSUES:]:
        listed[-1] = rest[0].replace(
            key="the rest", text=f"and {many(len(rest) + 1, 'more issue')}, not listed", remedy=None
        )
    return json.dumps([_entry(issue) for issue in listed], indent=1) + "\n"


def _entry(issue: Issue) -> dict[str, Any]:
    severity = "critical" if issue.rule == NOT_JUDGED else _SEVERITIES[issue.level]
    return {
        "description": issue.sentence,
        "check_name": f"selfhost-{issue.rule}",
        "fingerprint": issue.fingerprint,
        "severity": severity,
        # a line is required: the first stands for the whole file
        "location": {"path": path_of(issue.file), "lines": {"begin": issue.line or 1}},
    }
