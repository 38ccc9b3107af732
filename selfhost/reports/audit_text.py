"""An audit as a document: whether the policy holds first, then what breaks it, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..audit.record import Audit, MachineGroup, Reason, Result, Row, Use
from .audit_rows import (
    ANSWERS,
    COUNTED,
    MOST_OF_A_TEXT,
    causes,
    excepted_words,
    exception_fate,
    exception_name,
    judged_as,
    many,
    scope,
    shortened,
    warnings,
    with_remedy,
)
from .layout import (
    BLANK,
    Block,
    Cell,
    Column,
    Document,
    Span,
    Table,
    heading,
    line,
    plain,
    say,
    strong,
)

# of each result, the gravest first: its sign, a style of findings that suits, and a title
_SHOWN_AS = {
    Result.FAIL: ("✗", "fail", "Does not run"),
    Result.UNKNOWN: ("?", "unknown", "Not known"),
    Result.EXCEPTED: ("!", "warn", "Excepted"),
    Result.PASS: ("✓", "pass", "Runs"),
}
_WORST_FIRST = list(_SHOWN_AS)
# by exit code
_ANSWER_STYLES = {0: "pass", 1: "fail", 2: "fail", 3: "unknown"}
# rows of the first screen, reasons of one of them, and things to do
_SHOWN, _WHYS_SHOWN, _TASKS_SHOWN = 12, 3, 3
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
    return page(": ".join(ANSWERS[audit.exit_code]), Document(blocks=blocks))


def document(
    audit: Audit, *, verbose: bool = False, lists_problems: bool = True, overview: bool = False
) -> Document:
    """Return the answer, then a line for each model, what counts first.

    `verbose` tells every reason and what to do instead, with an `overview` before them.
    """
    blocks: list[Block] = [*_head(audit), *_problems(audit, lists_problems)]
    if overview or not verbose:
        blocks += [*_models(audit, None if verbose else _SHOWN), *_to_do(audit)]
    if verbose:
        for result in _WORST_FIRST:
            blocks += _reasons(audit, result)
    blocks += _exceptions(audit, verbose)
    if not verbose and any(row.reasons for _, row in audit.pairs()):
        what = "Groups of machines, reasons" if len(audit.groups) > 1 else "Reasons"
        blocks += [BLANK, say(f"{what} and what to do: -v")]
    return Document(blocks=tuple(blocks))


def _head(audit: Audit) -> Iterator[Block]:
    """Whether the policy holds, what was judged, and what the answer rests on."""
    code, since = audit.exit_code, audit.since
    word, sentence = ANSWERS[code]
    if code == 0 and since is not None:
        sentence = f"nothing new breaks the policy since {since.file}"
    answer = Span(text=word, style=_ANSWER_STYLES[code])
    yield line(answer, f": {sentence} (exit code {code})", hang=2)
    texts = [f"{audit.policy.file} on {audit.today} (UTC): {scope(audit)}"]
    if since is not None:
        texts.append(
            f"since {since.file}: {since.new:,} new, {since.fixed:,} fixed,"
            f" {since.changed:,} changed, {since.unchanged:,} unchanged"
        )
    yield from (say(text, indent=2, hang=2) for text in (*texts, *audit.notes))


def _problems(audit: Audit, lists_them: bool) -> Iterator[Block]:
    """What kept the rest from being judged."""
    if audit.problems and not lists_them:
        faults = many(len(audit.problems), "fault")
        yield say(f"{faults} kept the rest from being judged: see below", indent=2, hang=2)
    elif audit.problems:
        yield BLANK
        yield from (say(str(problem), hang=2) for problem in audit.problems)


def _gravity(row: Row) -> tuple[bool, int]:
    """What the policy counts is graver than what it does not."""
    return row.exit_code == 0, _WORST_FIRST.index(row.result)


def _models(audit: Audit, most: int | None) -> Iterator[Block]:
    """A line a model: on how many machines it runs, and what keeps it from the others."""
    by_model: dict[int, list[_Pair]] = {}
    for group, row in audit.pairs():
        by_model.setdefault(row.wanted.index, []).append((group, row))
    columns = (
        Column(),
        Column(title="model", wrap=True),
        Column(title="judged as", drop=1),
        Column(title="runs on" if audit.since is None else "of what changed, runs on", right=True),
        Column(title="why not", wrap=True),
    )
    rows = sorted(map(_model, by_model.values()), key=lambda each: each[0])
    if rows:
        shown = tuple(cells for _, cells in rows[:most])
        yield from (BLANK, Table(columns=columns, rows=shown, indent=0))
        if most is not None and len(rows) > most:
            yield say(f"{len(rows) - most:,} more: -v")


def _model(pairs: Sequence[_Pair]) -> tuple[tuple[bool, int, int], tuple[Cell, ...]]:
    """The line of a model, and its place among others."""
    worst = min((row for _, row in pairs), key=_gravity)
    machines = sum(group.count for group, _ in pairs)
    passing = [(group, row) for group, row in pairs if row.result is Result.PASS]
    runs_on = sum(group.count for group, _ in passing)
    sign, style, _ = _SHOWN_AS[worst.result]
    warned = warnings(worst) if worst.result is Result.PASS else ""
    why = _why_not([pair for pair in pairs if pair[1].result is not Result.PASS])
    cells: tuple[Cell, ...] = (
        Span(text=sign, style=style),
        strong(shortened(worst.wanted.label)),
        judged_as([worst, *(row for _, row in passing[:1])]),
        f"{runs_on:,} of {machines:,}",
        f"warns: {warned}" if warned else why,
    )
    return (*_gravity(worst), runs_on - machines), cells


def _why_not(failing: Sequence[_Pair]) -> str:
    """What keeps a model from machines: what counts and fails first, then the most of them."""
    counts: dict[tuple[bool, int, str], int] = {}
    for group, row in failing:
        for result, words in causes(row):
            is_free = row.exit_code == 0 or result is Result.EXCEPTED
            key = (is_free, _WORST_FIRST.index(result), words)
            counts[key] = counts.get(key, 0) + group.count
    machines = sum(group.count for group, _ in failing)
    reasons = [
        key[2] if counts[key] == machines else f"{key[2]}: {counts[key]:,}"
        for key in sorted(counts, key=lambda key: (*key[:2], -counts[key]))
    ]
    others = ["and others"] * (len(reasons) > _WHYS_SHOWN)
    is_free = not any(row.exit_code for _, row in failing)
    are_counted = any(row.result in COUNTED for _, row in failing)
    free = "; not counted" if is_free and are_counted else ""
    return f"{', '.join([*reasons[:_WHYS_SHOWN], *others])}{free}"


def _to_do(audit: Audit) -> Iterator[Block]:
    """What to do first, of the checks that keep most models from most machines. Nothing where all
    machines fare alike, for then the rows say it.
    """
    by_check: dict[str, list[tuple[int, Row, Reason]]] = {}
    for group, row in audit.pairs() if len(audit.groups) > 1 else ():
        for reason in row.reasons:
            if row.exit_code and reason.check is not None and reason.remedy:
                unknown = "" if reason.check in row.failed else " not known"
                entry = (group.count, row, reason)
                by_check.setdefault(f"{reason.check}{unknown}", []).append(entry)
    sizes = {check: sum(each[0] for each in entries) for check, entries in by_check.items()}
    yield from heading("To do") if sizes else ()
    for check in sorted(sizes, key=lambda check: -sizes[check])[:_TASKS_SHOWN]:
        # what is enough for the one that lacks most is enough for all
        _, row, reason = max(by_check[check], key=lambda each: each[2].short or 0)
        head = strong(f"{check}, {many(sizes[check], 'verdict')}: ")
        task = f"{reason.remedy} ({row.machine}, for {row.wanted.label})"
        yield line(head, task, indent=2, hang=2)


def _reasons(audit: Audit, result: Result) -> Iterator[Block]:
    """The rows of one result with every reason, what the policy counts first."""
    _, style, title = _SHOWN_AS[result]
    pairs = [pair for pair in audit.pairs() if pair[1].result is result]
    if pairs:
        yield from heading(title)
    for group, row in sorted(pairs, key=lambda pair: pair[1].exit_code == 0):
        name = Span(text=shortened(group.name), style="name")
        label = Span(text=shortened(row.wanted.label), style="name")
        ways = judged_as([row])
        is_free = result in COUNTED and row.exit_code == 0
        warned = warnings(row) if result is Result.PASS else ""
        yield line(
            Span(text=result, style=style),
            *(" ", name, ": ", label),
            f", {ways}" if ways else "",
            f"; warns: {warned}" if warned else "",
            " (not counted)" if is_free else "",
            indent=2,
            hang=2,
        )
        yield from (say(text, indent=4, hang=2) for text in _details(group, row))


def _details(group: MachineGroup, row: Row) -> Iterator[str]:
    """The machines of a group, and each reason; the figures are those of one machine, so a group
    says of which.
    """
    if row.result is Result.PASS:
        return
    of = ""
    if group.count > 1:
        more = group.count - len(group.names)
        names = [*map(shortened, group.names), *([f"and {more:,} more"] if more else ())]
        yield f"on {', '.join(names)}"
        of = f"{shortened(row.machine)}: "
    for reason in row.reasons:
        yield f"{of}{shortened(str(reason), MOST_OF_A_TEXT)}"
        if reason.remedy:
            yield f"to do: {shortened(reason.remedy, MOST_OF_A_TEXT)}"
    for check, exemption in row.excepted:
        yield shortened(excepted_words(row, check, exemption), MOST_OF_A_TEXT)


def _exceptions(audit: Audit, verbose: bool) -> Iterator[Block]:
    uses = [use for use in audit.exceptions if verbose or use.use is not Use.USED]
    if uses:
        yield from heading("Exceptions")
    listed = uses if verbose else uses[:_SHOWN]
    for use in listed:
        style = "warn" if use.use is not Use.USED and use.concerned else ""
        if use.use is Use.EXPIRED and use.rows:
            style = "fail"
        name = Span(text=shortened(exception_name(use)), style="name")
        fate = shortened(with_remedy(*exception_fate(use)), MOST_OF_A_TEXT)
        yield line(Span(text=use.use, style=style), " ", name, f": {fate}", indent=2, hang=2)
    if len(listed) < len(uses):
        yield say(f"{len(uses) - len(listed):,} more exceptions: -v", indent=2)
