"""An audit as a document: whether the policy holds first, then what breaks it, then the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from .audit_to_do import to_do
from .audit_words import (
    ANSWERS,
    COUNTED,
    MOST_OF_A_NAME,
    MOST_OF_A_TEXT,
    SIGNS,
    WORST_FIRST,
    causes,
    excepted_words,
    exception_fate,
    exception_name,
    judged_as,
    many,
    remarks,
    results,
    shortened,
    spread,
    warnings,
    why,
)
from .layout import (
    BLANK,
    Block,
    Cell,
    Column,
    Document,
    Paragraph,
    Span,
    Table,
    heading,
    line,
    plain,
    say,
    strong,
)

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
# by exit code
_ANSWER_STYLES = {0: "pass", 1: "fail", 2: "fail", 3: "unknown"}
# rows of the first screen, and reasons of one of them
_SHOWN, _WHYS_SHOWN = 12, 3
# characters of a reason that stay where the width is small
_LEAST_WHY = 16
# GitHub refuses a whole summary above 1 MiB (docs.github.com, "Workflow commands", "Adding a job
# summary"); what follows the rows needs a little
_MOST_MARKDOWN_BYTES = (1 << 20) - 4096
# rows of a page that a browser still shows at once
_MOST_PAGE_ROWS = 5_000

_Pair = tuple[MachineGroup, Row]


def render(audit: Audit, width: int | None = None) -> str:
    """Return all there is as plain text; without `width` nothing is wrapped."""
    return plain(document(audit, verbose=True), width)


def markdown(audit: Audit) -> str:
    """Return fewer than 1 MiB of Markdown, for the summary of a CI step; other rows are counted."""
    from .markup import markdown as rendered

    return rendered(document(audit, verbose=True, overview=True), _MOST_MARKDOWN_BYTES)


def html(audit: Audit) -> str:
    """Return a page that loads nothing."""
    from .markup import page

    whole = document(audit, verbose=True, overview=True)
    blocks = whole.blocks[:_MOST_PAGE_ROWS]
    if rest := len(whole.blocks) - len(blocks):
        blocks = (*blocks, say(f"{rest:,} more lines, not listed: see the JSON report."))
    word, sentence = ANSWERS[audit.exit_code]
    return page(f"{word}: {sentence}", Document(blocks=blocks))


def document(
    audit: Audit, *, verbose: bool = False, lists_problems: bool = True, overview: bool = False
) -> Document:
    """Return the answer, then a line for each model or group of machines, what counts first.

    `verbose` tells every reason and what to do instead, with an `overview` before them.
    """
    blocks: list[Block] = [*_head(audit), *_problems(audit, lists_problems)]
    if overview or not verbose:
        most = None if verbose else _SHOWN
        if len(audit.groups) > 1:
            blocks += [*_models(audit, most), *_to_do(audit)]
        elif not verbose or audit.groups:
            blocks += _rows(audit, most)
    if verbose:
        for result, title in _TITLES.items():
            blocks += _reasons(audit, result, title)
        blocks += _passing(audit)
    blocks += _exceptions(audit, verbose)
    if not verbose and any(row.reasons for _, row in _pairs(audit)):
        what = "Groups of machines, reasons" if len(audit.groups) > 1 else "Reasons"
        blocks += [BLANK, say(f"{what} and what to do: -v")]
    return Document(blocks=tuple(blocks))


def _pairs(audit: Audit) -> Iterator[_Pair]:
    return ((group, row) for group in audit.groups for row in group.rows)


def _head(audit: Audit) -> Iterator[Block]:
    """Whether the policy holds, what was judged, and what is wrong with it."""
    code = audit.exit_code
    word, sentence = ANSWERS[code]
    if code == 0 and audit.since is not None:
        sentence = f"nothing new breaks the policy since {audit.since.file}"
    answer = Span(text=word, style=_ANSWER_STYLES[code])
    yield line(answer, f": {sentence} (exit code {code})", hang=2)
    yield say(f"{audit.policy.file} on {audit.today} (UTC): {spread(audit)}", indent=2, hang=2)
    for text in (results(audit), *remarks(audit)):
        yield say(text, indent=2, hang=2)


def _problems(audit: Audit, lists_them: bool) -> Iterator[Block]:
    """What kept the rest from being judged."""
    if audit.problems and not lists_them:
        faults = many(len(audit.problems), "fault")
        yield say(f"{faults} kept the rest from being judged: see below", indent=2, hang=2)
    elif audit.problems:
        yield BLANK
        yield from (say(str(problem), hang=2) for problem in audit.problems)


def _table(
    columns: Sequence[Column], rows: Sequence[tuple[Cell, ...]], most: int | None
) -> list[Block]:
    if not rows:
        return []
    blocks: list[Block] = [BLANK, Table(columns=tuple(columns), rows=tuple(rows[:most]), indent=0)]
    if most is not None and len(rows) > most:
        blocks.append(say(f"{len(rows) - most:,} more: -v"))
    return blocks


def _rows(audit: Audit, most: int | None) -> list[Block]:
    """A line a row; what the policy counts comes first."""
    columns = (
        Column(),
        Column(title="model"),
        Column(title="machine", drop=1, cut=_LEAST_WHY),
        Column(title="judged as", drop=2),
        Column(title="", cut=_LEAST_WHY),
    )
    rows: list[tuple[Cell, ...]] = []
    for group, row in sorted(_pairs(audit), key=lambda pair: _gravity(pair[1])):
        # of a single machine there is nothing to tell apart
        machine = group.name if audit.machines > 1 else ""
        name = Span(text=shortened(machine, MOST_OF_A_NAME), style="name")
        rows.append((*_marked(row), name, "".join(judged_as([row])), why(row)))
    return _table(columns, rows, most)


def _marked(row: Row) -> tuple[Span, Span]:
    """The sign of the result and the name of the entry."""
    sign = Span(text=SIGNS[row.result], style=_STYLES[row.result])
    return sign, strong(shortened(row.wanted.label, MOST_OF_A_NAME))


def _models(audit: Audit, most: int | None) -> list[Block]:
    """A line a model: on how many machines it runs, and what keeps it from the others."""
    by_model: dict[int, list[_Pair]] = {}
    for group, row in _pairs(audit):
        by_model.setdefault(row.wanted.index, []).append((group, row))
    columns = (
        Column(),
        Column(title="model", cut=_LEAST_WHY),
        Column(title="judged as", drop=1),
        Column(title="runs on" if audit.since is None else "of what changed, runs on", right=True),
        Column(title="machines where not", cut=_LEAST_WHY),
    )
    rows = []
    for pairs in by_model.values():
        worst = min((row for _, row in pairs), key=_gravity)
        machines = sum(group.count for group, _ in pairs)
        passing = [(group, row) for group, row in pairs if row.result is Result.PASS]
        runs_on = sum(group.count for group, _ in passing)
        ways = judged_as([worst, next((row for _, row in passing), worst)])
        cells: tuple[Cell, ...] = (
            *_marked(worst),
            ", ".join(ways),
            f"{runs_on:,} of {machines:,}",
            _reasons_why_not([pair for pair in pairs if pair[1].result is not Result.PASS]),
        )
        rows.append(((*_gravity(worst), runs_on - machines), cells))
    return _table(columns, [cells for _, cells in sorted(rows, key=lambda each: each[0])], most)


def _reasons_why_not(failing: Sequence[_Pair]) -> str:
    """What keeps a model from machines: what counts and fails first, then the most of them."""
    counts: dict[str, int] = {}
    gravity: dict[str, tuple[bool, int]] = {}
    for group, row in failing:
        for result, words in causes(row):
            counts[words] = counts.get(words, 0) + group.count
            is_free = row.exit_code == 0 or result is Result.EXCEPTED
            grade = is_free, WORST_FIRST.index(result)
            gravity[words] = min(grade, gravity.get(words, grade))
    ordered = sorted(counts.items(), key=lambda pair: (*gravity[pair[0]], -pair[1]))
    reasons = ", ".join(f"{words}: {count:,}" for words, count in ordered[:_WHYS_SHOWN])
    if len(ordered) > _WHYS_SHOWN:
        reasons += ", and others"
    is_counted = any(row.exit_code for _, row in failing)
    return reasons if is_counted or not failing else f"{reasons}; not counted"


def _gravity(row: Row) -> tuple[bool, int]:
    """What the policy counts is graver than what it does not."""
    return row.exit_code == 0, WORST_FIRST.index(row.result)


def _to_do(audit: Audit) -> Iterator[Block]:
    tasks = to_do(audit)
    if tasks:
        yield from heading("To do")
    for head, words in tasks:
        yield line(strong(f"{head}: "), words, indent=2, hang=2)


def _reasons(audit: Audit, result: Result, title: str) -> Iterator[Block]:
    """The rows of one result with every reason, what the policy counts first."""
    pairs = [pair for pair in _pairs(audit) if pair[1].result is result]
    if pairs:
        yield from heading(title)
    for group, row in sorted(pairs, key=lambda pair: pair[1].exit_code == 0):
        is_free = row.result in COUNTED and row.exit_code == 0
        start = Span(text=row.result, style=_STYLES[row.result])
        name = Span(text=shortened(group.name, MOST_OF_A_NAME), style="name")
        free = " (not counted)" if is_free else ""
        yield line(start, " ", name, ": ", *_named(row), free, indent=2, hang=2)
        if group.count > 1:
            more = group.count - len(group.names)
            names = (*group.names, *([f"and {more:,} more"] if more else ()))
            said = ", ".join(shortened(name, MOST_OF_A_NAME) for name in names)
            yield say(f"on {said}", indent=4, hang=2)
        # the figures are those of one machine, so a group says of which
        of = f"{shortened(row.machine, MOST_OF_A_NAME)}: " if group.count > 1 else ""
        for reason in row.reasons:
            yield say(f"{of}{shortened(str(reason), MOST_OF_A_TEXT)}", indent=4, hang=2)
            if reason.remedy:
                yield say(f"to do: {shortened(reason.remedy, MOST_OF_A_TEXT)}", indent=4, hang=2)
        for check, exemption in row.excepted:
            words = excepted_words(row, check, exemption)
            yield say(shortened(words, MOST_OF_A_TEXT), indent=4, hang=2)


def _passing(audit: Audit) -> Iterator[Block]:
    groups = [
        (each, [row for row in each.rows if row.result is Result.PASS]) for each in audit.groups
    ]
    if any(rows for _, rows in groups):
        yield from heading("Runs")
    for group, rows in groups:
        spans: list[Span | str] = [Span(text=shortened(group.name, MOST_OF_A_NAME), style="name")]
        for row in rows:
            warned = warnings(row)
            spans += ["; " if len(spans) > 1 else ": ", *_named(row)]
            spans.append(f"; warns: {warned}" if warned else "")
        if rows:
            yield line(*spans, indent=2, hang=2)


def _named(row: Row) -> Iterable[Span | str]:
    """`mistral-7b, Q4_K_M in llama.cpp`: the entry, and how it was judged."""
    label = Span(text=shortened(row.wanted.label, MOST_OF_A_NAME), style="name")
    return label, "".join(f", {words}" for words in judged_as([row]))


def _exceptions(audit: Audit, verbose: bool) -> Iterator[Block]:
    uses = [use for use in audit.exceptions if verbose or use.use is not Use.USED]
    if uses:
        yield from heading("Exceptions")
    listed = uses if verbose else uses[:_SHOWN]
    yield from map(_exception, listed)
    if len(listed) < len(uses):
        yield say(f"{len(uses) - len(listed):,} more exceptions: -v", indent=2)


def _exception(use: ExemptionUse) -> Paragraph:
    style = "warn" if use.use is not Use.USED and use.concerned else ""
    if use.use is Use.EXPIRED and use.rows:
        style = "fail"
    name = Span(text=shortened(exception_name(use), MOST_OF_A_NAME), style="name")
    state = Span(text=use.use, style=style)
    fate = shortened(exception_fate(use), MOST_OF_A_TEXT)
    return line(state, " ", name, f": {fate}", indent=2, hang=2)
