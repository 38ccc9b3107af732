"""An audit as text: whether the policy holds first, then what breaks it, then the rest."""

from __future__ import annotations

from collections.abc import Iterator

from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from ..verdict.findings import Outcome
from .layout import Blank, Block, Column, Document, Paragraph, Span, Table, plain
from .words import failed_words, say

# the outcome words of findings that the same colours suit
_STYLES = {
    Result.PASS: "pass",
    Result.FAIL: "fail",
    Result.UNKNOWN: "unknown",
    Result.EXCEPTED: "warn",
}
_TITLES = {
    Result.FAIL: "Does not run",
    Result.UNKNOWN: "Cannot be told",
    Result.EXCEPTED: "Does not run, and is excepted",
}
_ANSWERS = {
    0: ("PASS", "pass", "the policy holds"),
    1: ("FAIL", "fail", "the policy is broken"),
    2: ("NOT JUDGED", "fail", "no answer for the whole policy"),
    3: ("UNKNOWN", "unknown", "whether the policy holds cannot be told"),
}


# rows of the first screen
_SHOWN = 12
_SIGNS = {Result.FAIL: "✗", Result.UNKNOWN: "?", Result.EXCEPTED: "!", Result.PASS: "✓"}
# characters of a reason that stay where the width is small
_LEAST_WHY = 16


def render(audit: Audit, width: int | None = None) -> str:
    """All there is, as lines that end in a newline, without colour. `width` None: nothing is
    wrapped, as a pipe or a file wants it.
    """
    return plain(document(audit, verbose=True), width)


def document(audit: Audit, *, verbose: bool = False) -> Document:
    """The answer, then a line for each model and group of machines that fare alike, what counts
    first. With `verbose` every reason and what to do instead.
    """
    blocks = [*_head(audit)]
    if verbose:
        for result, title in _TITLES.items():
            blocks += _rows_with(audit, result, title)
        blocks += _passing(audit)
    else:
        blocks += _overview(audit)
    uses = [use for use in audit.exceptions if verbose or use.use is not Use.USED]
    if uses:
        blocks += [Blank(), Paragraph(spans=(Span(text="Exceptions", style="strong"),))]
        blocks += map(_exception, uses)
    if not verbose and any(row.reasons for group in audit.groups for row in group.rows):
        blocks += [Blank(), say("Reasons and what to do: -v")]
    return Document(blocks=tuple(blocks))


def _head(audit: Audit) -> Iterator[Block]:
    """Whether the policy holds, what was judged, and what is wrong with it."""
    code = audit.exit_code
    word, style, sentence = _ANSWERS[code]
    yield Paragraph(
        spans=(Span(text=word, style=style), Span(text=f": {sentence} (exit code {code})")), hang=2
    )
    spread = f"{_many(len(audit.policy.models), 'model')}, {_many(audit.machines, 'machine')}"
    yield say(f"{audit.policy.file} on {audit.today} (UTC): {spread}", indent=2, hang=2)
    results = ", ".join(
        f"{audit.count(result):,} {result}" for result in Result if audit.count(result)
    )
    yield say(results or "nothing judged", indent=2, hang=2)
    if audit.problems:
        yield Blank()
        for problem in audit.problems:
            yield say(str(problem), hang=2)


def _overview(audit: Audit) -> Iterator[Block]:
    """A line a row; what the policy counts comes first."""
    order = (*_TITLES, Result.PASS)
    rows = [(group, row) for group in audit.groups for row in group.rows]
    rows.sort(key=lambda pair: (pair[1].exit_code == 0, order.index(pair[1].result)))
    if not rows:
        return
    # of a single machine there is nothing to tell apart
    columns = (
        Column(),
        Column(title="model"),
        Column(title="machine", drop=1, cut=_LEAST_WHY),
        Column(title="", cut=_LEAST_WHY),
    )
    cells = tuple(
        (
            Span(text=_SIGNS[row.result], style=_STYLES[row.result]),
            Span(text=row.wanted.label, style="strong"),
            Span(text=group.name if audit.machines > 1 else ""),
            Span(text=_why(row)),
        )
        for group, row in rows[:_SHOWN]
    )
    yield Blank()
    yield Table(columns=columns, rows=cells, indent=0)
    if len(rows) > _SHOWN:
        yield say(f"{len(rows) - _SHOWN} more: -v")


def _why(row: Row) -> str:
    """What decided the row in a few words."""
    failed = failed_words(
        finding.code
        for finding in row.findings
        if finding.check in row.failed and finding.outcome is Outcome.FAIL
    )
    unsure = f"{', '.join(row.undecided)} not known" if row.undecided else ""
    excepted = ", ".join(check for check, _ in row.excepted)
    warned = _warned(row) if row.result is Result.PASS else ""
    parts = [
        failed or unsure or (row.reasons[0].text if row.reasons else ""),
        f"excepted: {excepted}" if excepted else "",
        f"warns: {warned}" if warned else "",
        "not counted" if row.exit_code == 0 and row.result in _COUNTED else "",
    ]
    return "; ".join(part for part in parts if part)


# results that break the policy unless it says otherwise
_COUNTED = (Result.FAIL, Result.UNKNOWN)


def _rows_with(audit: Audit, result: Result, title: str) -> Iterator[Block]:
    """The rows of one result, what the policy counts first."""
    rows = [(group, row) for group in audit.groups for row in group.rows if row.result is result]
    rows.sort(key=lambda pair: pair[1].exit_code == 0)
    if rows:
        yield Blank()
        yield Paragraph(spans=(Span(text=title, style="strong"),))
    for group, row in rows:
        yield from _row(group, row)


def _passing(audit: Audit) -> Iterator[Block]:
    passing = [
        (group, [row for row in group.rows if row.result is Result.PASS]) for group in audit.groups
    ]
    if any(rows for _, rows in passing):
        yield Blank()
        yield Paragraph(spans=(Span(text="Runs", style="strong"),))
    for group, rows in passing:
        if rows:
            yield Paragraph(
                spans=(Span(text=f"{group.name}: "), Span(text="; ".join(map(_passed, rows)))),
                indent=2,
                hang=2,
            )


def _row(group: MachineGroup, row: Row) -> Iterator[Block]:
    spans = [
        Span(text=row.result, style=_STYLES[row.result]),
        Span(text=f" {group.name}: {row.wanted.label}"),
    ]
    if row.result in _COUNTED and row.exit_code == 0:
        spans.append(Span(text=" (not counted)"))
    yield Paragraph(spans=tuple(spans), indent=2, hang=2)
    # the figures are those of one machine, so a group says of which
    of = f"{row.machine}: " if group.count > 1 else ""
    for reason in row.reasons:
        yield Paragraph(spans=(Span(text=f"{of}{reason}"),), indent=4, hang=2)
        if reason.remedy:
            yield Paragraph(spans=(Span(text=f"to do: {reason.remedy}"),), indent=4, hang=2)
    for check, exemption in row.excepted:
        owner = f", {exemption.owner}" if exemption.owner else ""
        yield Paragraph(
            spans=(
                Span(
                    text=f"{check}: excepted until {exemption.expires}: {exemption.reason}{owner}"
                ),
            ),
            indent=4,
            hang=2,
        )


def _passed(row: Row) -> str:
    warned = _warned(row)
    return f"{row.wanted.label} (warns: {warned})" if warned else row.wanted.label


def _warned(row: Row) -> str:
    return ", ".join(finding.check for finding in row.findings if finding.outcome is Outcome.WARN)


def _exception(use: ExemptionUse) -> Paragraph:
    each = use.exemption
    where = f" on {' '.join(map(str, each.machines))}" if each.machines else ""
    match use.use:
        case Use.USED:
            text = f"covers {_many(use.rows, 'verdict')}, until {each.expires}"
        case Use.UNUSED if use.concerned:
            text = f"covers nothing any more: remove it (it ends on {each.expires})"
        case Use.EXPIRED if use.rows:
            text = f"ended on {each.expires}; {_many(use.rows, 'verdict')} would need it"
        case Use.EXPIRED if use.concerned:
            text = f"ended on {each.expires}, and nothing needs it: remove it"
        case Use.EXPIRED:
            text = f"ended on {each.expires}, and concerns no machine of this audit"
        case _:
            text = f"concerns no machine of this audit (it ends on {each.expires})"
    style = "warn" if use.use is not Use.USED and use.concerned else ""
    if use.use is Use.EXPIRED and use.rows:
        style = "fail"
    return Paragraph(
        spans=(
            Span(text=use.use, style=style),
            Span(text=f" {each.rule} of {each.model}{where}: {text}"),
        ),
        indent=2,
        hang=2,
    )


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
