"""An audit as GitHub's workflow commands: annotations of a run, at the lines of the policy.

GitHub shows ten annotations of a kind in a step and drops the rest without a word
(github.com/actions/toolkit, docs/problem-matchers.md, "Limitations"), so the last one counts what
is left. What an exception lets pass is none.
"""

from __future__ import annotations

from ..audit.record import Audit
from .audit_issues import Issue, Level, issues, path_of
from .audit_words import ANSWERS, MOST_OF_A_TEXT, many, results, shortened, spread

MOST_SHOWN = 9
_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning"}


def render(audit: Audit) -> str:
    """A line for each annotation; where there is none, a notice of the outcome."""
    entries = [issue for issue in issues(audit) if issue.level in _COMMANDS]
    lines = [_annotation(issue) for issue in entries[:MOST_SHOWN]]
    if rest := entries[MOST_SHOWN:]:
        message = f"and {many(len(rest), 'more annotation')}: see the other reports of this audit"
        lines.append(_command(_COMMANDS[rest[0].level], {"title": "selfhost audit"}, message))
    if not lines:
        word, sentence = ANSWERS[audit.exit_code]
        message = f"{word}: {sentence}; {spread(audit)}; {results(audit)}"
        lines.append(_command("notice", {"title": "selfhost audit"}, message))
    return "".join(f"{line}\n" for line in lines)


def _annotation(issue: Issue) -> str:
    properties = {"file": path_of(issue.file)}
    if issue.line is not None:
        properties["line"] = str(issue.line)
    properties["title"] = f"selfhost audit: {issue.rule}"
    on = f"; on {', '.join(issue.machines)}" if len(issue.machines) > 1 else ""
    message = f"{issue.sentence}{shortened(on, MOST_OF_A_TEXT)}"
    return _command(_COMMANDS[issue.level], properties, message)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    shown = ",".join(f"{key}={_of_property(value)}" for key, value in properties.items())
    return f"::{name} {shown}::{_of_data(message)}"


def _of_data(text: str) -> str:
    """As the runner unescapes it (actions/toolkit, packages/core/src/command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _of_property(text: str) -> str:
    return _of_data(text).replace(":", "%3A").replace(",", "%2C")
