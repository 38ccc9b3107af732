"""An audit as text: whether the policy holds first, then what breaks it, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from .audit_to_do import to_do
from .audit_words import (
    ANSWERS,
    COUNTED,
    SIGNS,
    causes,
    excepted_words,
    exception_fate,
    exception_name,
    judged_as,
    many,
    remarks,
    results,
    spread,
    warnings,
    why,
)
from .layout import Blank, Block, Column, Document, Paragraph, Span, Table, plain
from .words import say

# the outcome words of findings that the same colours suit
_STYLES = {
    Result.PASS: "pass",
    Result.FAIL: "fail",
    Result.UNKNOWN: "unknown",
    Result.EXCEPTED: "warn",
}
_TITLES = {
    Result.FAIL: "Does not run",
    Result.UNKNOWN: "Not known",
    Result.EXCEPTED: "Excepted",
}
# the gravest first
_ORDER = (*_TITLES, Result.PASS)
# by exit code
_ANSWER_STYLES = {0: "pass", 1: "fail", 2: "fail", 3: "unknown"}
# rows of the first screen, and reasons of one of them
_SHOWN, _WHYS_SHOWN = 12, 3
# characters of a reason that stay where the width is small
_LEAST_WHY = 16


def render(audit: Audit, width: int | None = None) -> str:
    """All there is, as lines that end in a newline, without colour. `width` None: nothing is
    wrapped, as a pipe or a file wants it.
    """
    return plain(document(audit, verbose=True), width)


def document(audit: Audit, *, verbose: bool = False, lists_problems: bool = True) -> Document:
    """The answer, then a line for each model and group of machines that fare alike, what counts
    first. With `verbose` every reason and what to do instead; without `lists_problems` only how
    many faults kept the rest from being judged.
    """
    blocks = [*_head(audit)]
    if audit.problems:
        blocks += _problems(audit, lists_problems)
    if verbose:
        for result, title in _TITLES.items():
            blocks += _rows_with(audit, result, title)
        blocks += _passing(audit)
    elif len(audit.groups) > 1:
        blocks += [*_models(audit), *_to_do(audit)]
    else:
        blocks += _overview(audit)
    uses = [use for use in audit.exceptions if verbose or use.use is not Use.USED]
    if uses:
        blocks += [Blank(), Paragraph(spans=(Span(text="Exceptions", style="strong"),))]
        listed = uses if verbose else uses[:_SHOWN]
        blocks += map(_exception, listed)
        if len(listed) < len(uses):
            blocks.append(say(f"{len(uses) - len(listed):,} more exceptions: -v", indent=2))
    if not verbose and any(row.reasons for group in audit.groups for row in group.rows):
        what = "Groups of machines, reasons" if len(audit.groups) > 1 else "Reasons"
        blocks += [Blank(), say(f"{what} and what to do: -v")]
    return Document(blocks=tuple(blocks))


def _head(audit: Audit) -> Iterator[Block]:
    """Whether the policy holds, what was judged, and what is wrong with it."""
    code = audit.exit_code
    word, sentence = ANSWERS[code]
    if code == 0 and audit.since is not None:
        sentence = f"nothing new breaks the policy since {audit.since.file}"
    yield Paragraph(
        spans=(
            Span(text=word, style=_ANSWER_STYLES[code]),
            Span(text=f": {sentence} (exit code {code})"),
        ),
        hang=2,
    )
    yield say(f"{audit.policy.file} on {audit.today} (UTC): {spread(audit)}", indent=2, hang=2)
    yield say(results(audit), indent=2, hang=2)
    for remark in remarks(audit):
        yield say(remark, indent=2, hang=2)


def _problems(audit: Audit, lists_them: bool) -> Iterator[Block]:
    """What kept the rest from being judged."""
    if lists_them:
        yield Blank()
        for problem in audit.problems:
            yield say(str(problem), hang=2)
    else:
        faults = many(len(audit.problems), "fault")
        yield say(f"{faults} kept the rest from being judged: see below", indent=2, hang=2)


def _overview(audit: Audit) -> Iterator[Block]:
    """A line a row; what the policy counts comes first."""
    rows = [(group, row) for group in audit.groups for row in group.rows]
    rows.sort(key=lambda pair: _gravity(pair[1]))
    if not rows:
        return
    # of a single machine there is nothing to tell apart
    columns = (
        Column(),
        Column(title="model"),
        Column(title="machine", drop=1, cut=_LEAST_WHY),
        Column(title="judged as", drop=2),
        Column(title="", cut=_LEAST_WHY),
    )
    cells = tuple(
        (
            Span(text=SIGNS[row.result], style=_STYLES[row.result]),
            Span(text=row.wanted.label, style="strong"),
            Span(text=group.name if audit.machines > 1 else ""),
            Span(text="".join(judged_as([row]))),
            Span(text=why(row)),
        )
        for group, row in rows[:_SHOWN]
    )
    yield Blank()
    yield Table(columns=columns, rows=cells, indent=0)
    if len(rows) > _SHOWN:
        yield say(f"{len(rows) - _SHOWN} more: -v")


def _models(audit: Audit) -> Iterator[Block]:
    """A line a model: on how many machines it runs, and what keeps it from the others. What the
    policy counts comes first.
    """
    by_model: dict[int, list[tuple[MachineGroup, Row]]] = {}
    for group in audit.groups:
        for row in group.rows:
            by_model.setdefault(row.wanted.index, []).append((group, row))
    models = sorted(map(_Tallied, by_model.values()), key=lambda each: each.order)
    columns = (
        Column(),
        Column(title="model", cut=_LEAST_WHY),
        Column(title="judged as", drop=1),
        Column(title="runs on" if audit.since is None else "of what changed, runs on", right=True),
        Column(title="machines where not", cut=_LEAST_WHY),
    )
    cells = tuple(
        (
            Span(text=SIGNS[each.worst.result], style=_STYLES[each.worst.result]),
            Span(text=each.worst.wanted.label, style="strong"),
            Span(text=", ".join(each.ways)),
            Span(text=f"{each.passing:,} of {each.machines:,}"),
            Span(text=each.reasons),
        )
        for each in models[:_SHOWN]
    )
    if not cells:
        return
    yield Blank()
    yield Table(columns=columns, rows=cells, indent=0)
    if len(models) > _SHOWN:
        yield say(f"{len(models) - _SHOWN:,} more: -v")


class _Tallied:
    """What becomes of one model on all groups of machines."""

    def __init__(self, rows: Sequence[tuple[MachineGroup, Row]]) -> None:
        self.worst = min((row for _, row in rows), key=_gravity)
        self.machines = sum(group.count for group, _ in rows)
        self.passing = sum(group.count for group, row in rows if row.result is Result.PASS)
        self._failing = [(group, row) for group, row in rows if row.result is not Result.PASS]
        self._passing_row = next((row for _, row in rows if row.result is Result.PASS), self.worst)
        self.order = (*_gravity(self.worst), self.passing - self.machines)

    @property
    def reasons(self) -> str:
        """What keeps the model from machines: what counts and fails first, then the most of them.
        A narrow screen shows the first alone.
        """
        counts: dict[str, int] = {}
        gravity: dict[str, tuple[bool, int]] = {}
        for group, row in self._failing:
            for result, words in causes(row):
                counts[words] = counts.get(words, 0) + group.count
                is_free = row.exit_code == 0 or result is Result.EXCEPTED
                grade = is_free, _ORDER.index(result)
                gravity[words] = min(grade, gravity.get(words, grade))
        said = sorted(counts.items(), key=lambda pair: (*gravity[pair[0]], -pair[1]))
        reasons = ", ".join(f"{words}: {count:,}" for words, count in said[:_WHYS_SHOWN])
        if len(said) > _WHYS_SHOWN:
            reasons += ", and others"
        if self._failing and not any(row.exit_code for _, row in self._failing):
            reasons += "; not counted"
        return reasons

    @property
    def ways(self) -> list[str]:
        """How it was judged where it is worst and where it runs."""
        return judged_as([self.worst, self._passing_row])


def _gravity(row: Row) -> tuple[bool, int]:
    """What the policy counts is graver than what it does not."""
    return row.exit_code == 0, _ORDER.index(row.result)


def _to_do(audit: Audit) -> Iterator[Block]:
    """What to do first."""
    tasks = to_do(audit)
    if tasks:
        yield Blank()
        yield Paragraph(spans=(Span(text="To do", style="strong"),))
    for head, words in tasks:
        spans = Span(text=f"{head}: ", style="strong"), Span(text=words)
        yield Paragraph(spans=spans, indent=2, hang=2)


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
        Span(text=f" {group.name}: {_named(row)}"),
    ]
    if row.result in COUNTED and row.exit_code == 0:
        spans.append(Span(text=" (not counted)"))
    yield Paragraph(spans=tuple(spans), indent=2, hang=2)
    # the figures are those of one machine, so a group says of which
    of = f"{row.machine}: " if group.count > 1 else ""
    for reason in row.reasons:
        yield Paragraph(spans=(Span(text=f"{of}{reason}"),), indent=4, hang=2)
        if reason.remedy:
            yield Paragraph(spans=(Span(text=f"to do: {reason.remedy}"),), indent=4, hang=2)
    for check, exemption in row.excepted:
        words = excepted_words(row, check, exemption)
        yield Paragraph(spans=(Span(text=words),), indent=4, hang=2)


def _passed(row: Row) -> str:
    warned = warnings(row)
    return f"{_named(row)}; warns: {warned}" if warned else _named(row)


def _named(row: Row) -> str:
    """`mistral-7b, Q4_K_M in llama.cpp`: the entry, and how it was judged."""
    return ", ".join([row.wanted.label, *judged_as([row])])


def _exception(use: ExemptionUse) -> Paragraph:
    style = "warn" if use.use is not Use.USED and use.concerned else ""
    if use.use is Use.EXPIRED and use.rows:
        style = "fail"
    return Paragraph(
        spans=(
            Span(text=use.use, style=style),
            Span(text=f" {exception_name(use)}: {exception_fate(use)}"),
        ),
        indent=2,
        hang=2,
    )
