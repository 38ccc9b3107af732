"""An audit as text: whether the policy holds first, then what breaks it, then the rest."""

from __future__ import annotations

from collections.abc import Iterator

from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from ..verdict.findings import Outcome
from .layout import Blank, Block, Document, Paragraph, Span, plain

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


def render(audit: Audit, width: int | None = None) -> str:
    """Lines that end in a newline, without colour. `width` None: nothing is wrapped, as a pipe
    wants it.
    """
    return plain(document(audit), width)


def document(audit: Audit) -> Document:
    """The same as blocks, for a terminal to colour."""
    return Document(blocks=tuple(_blocks(audit)))


def _blocks(audit: Audit) -> Iterator[Block]:
    code = audit.exit_code
    word, style, sentence = _ANSWERS[code]
    yield Paragraph(
        spans=(Span(text=word, style=style), Span(text=f": {sentence} (exit code {code})")), hang=2
    )
    results = ", ".join(
        f"{audit.count(result):,} {result}" for result in Result if audit.count(result)
    )
    spread = f"{_many(len(audit.policy.models), 'model')}, {_many(audit.machines, 'machine')}"
    yield Paragraph(
        spans=(
            Span(
                text=(
                    f"{audit.policy.file} on {audit.today} (UTC): {spread}:"
                    f" {results or 'nothing judged'}"
                )
            ),
        ),
        hang=2,
    )
    if audit.problems:
        yield Blank()
        for problem in audit.problems:
            yield Paragraph(spans=(Span(text=str(problem)),), hang=2)
    for result, title in _TITLES.items():
        yield from _rows_with(audit, result, title)
    yield from _passing(audit)
    if audit.exceptions:
        yield Blank()
        yield Paragraph(spans=(Span(text="Exceptions", style="strong"),))
        for use in audit.exceptions:
            yield _exception(use)


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
    if row.result in (Result.FAIL, Result.UNKNOWN) and row.exit_code == 0:
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
    warned = [finding.check for finding in row.findings if finding.outcome is Outcome.WARN]
    return f"{row.wanted.label} (warns: {', '.join(warned)})" if warned else row.wanted.label


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
