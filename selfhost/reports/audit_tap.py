"""An audit in the Test Anything Protocol 14: https://testanything.org/tap-version-14-specification.html

A test point is a model on machines that fare alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row
from .audit_words import exception_fate, exception_name, needs_attention, why
from .layout import clean


def render(audit: Audit) -> str:
    """Lines that end in a newline. What the policy does not count is a TODO, what an exception
    lets pass is skipped.
    """
    points = [*map(_fault, map(str, audit.problems))]
    points += [_point(group, row) for group in audit.groups for row in group.rows]
    points += [_exception(use) for use in audit.exceptions if needs_attention(use)]
    lines = ["TAP version 14", f"1..{len(points)}"]
    for number, (verdict, words, details) in enumerate(points, 1):
        state, _, directive = verdict.partition(" # ")
        lines.append(f"{state} {number} - {words}{f' # {directive}' if directive else ''}")
        if details:
            lines += ["  ---", *(f"  {line}" for line in details), "  ..."]
    return "".join(f"{line}\n" for line in lines)


def _point(group: MachineGroup, row: Row) -> tuple[str, str, list[str]]:
    words = _escaped(f"{row.wanted.label} on {group.name}")
    if row.result is Result.PASS:
        return "ok", words, []
    details = [*_details(row)]
    if row.result is Result.EXCEPTED:
        return f"ok # SKIP {_escaped(why(row))}", words, details
    return ("not ok" if row.exit_code else "not ok # TODO not counted"), words, details


def _fault(text: str) -> tuple[str, str, list[str]]:
    return "not ok", _escaped(text), []


def _exception(use: ExemptionUse) -> tuple[str, str, list[str]]:
    words = f"exception for {exception_name(use)}: {exception_fate(use)}"
    return "not ok # TODO not counted", _escaped(words), []


def _details(row: Row) -> Iterator[str]:
    """YAML: JSON strings are strings of it too."""
    yield f"result: {row.result}"
    yield f"machine: {_quoted(row.machine)}"
    if row.reasons:
        yield "reasons:"
    for reason in row.reasons:
        yield f"  - reason: {_quoted(str(reason))}"
        if reason.remedy:
            yield f"    remedy: {_quoted(reason.remedy)}"


def _quoted(text: str) -> str:
    import json

    return json.dumps(clean(text))


def _escaped(text: str) -> str:
    """A `#` would begin a directive."""
    return clean(text).replace("\\", "\\\\").replace("#", "\\#")
