"""A prediction held against a run, as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..advice.verify.comparison import Comparison, Difference
from ..core import units
from .layout import BLANK, Block, Cell, Column, Document, Span, Table, line, say, strong, texts
from .words import context_words, format_words

# by the comparison's `closeness`
_HEADS = {
    "close": ("✓ AS PREDICTED", "local"),
    "apart": ("✓ INSIDE", "local"),
    "wide": ("~ INSIDE A WIDE RANGE", "unknown"),
    "outside": ("✗ OUTSIDE", "neither"),
    "nothing": ("? NOTHING TO COMPARE", "unknown"),
}
_TERMS = {
    "model_file": "model file in memory",
    "everything_else": "all else of the process",
    "total": "memory in all",
    "context": "cache and state",
    "decode": "decoding",
    "decode_at_once": "decoding",
    "prompt": "prompt",
}
_MARKS = {
    "close": ("as predicted", "pass"),
    "apart": ("inside", "pass"),
    "wide": ("inside, wide", "unknown"),
    "outside": ("outside", "fail"),
    "nothing": ("not compared", "unknown"),
}
_COLUMNS = (
    Column(wrap=True),
    Column(title="seen", right=True),
    Column(title="likely", right=True),
    Column(title="range", right=True, drop=1),
    Column(title="difference", right=True, drop=2),
    Column(),
)
# a figure with what the reader calls it
_Figure = tuple[str, Difference]


def verify_document(comparison: Comparison) -> Document:
    """Return the outcome, then predicted, seen and difference of each figure, then reasons."""
    figures, verdict, run = _figures(comparison), comparison.verdict, comparison.run
    sign, style = _HEADS[comparison.closeness]
    decoding = [row.is_close for _, row in figures if row.term == "decode"]
    if comparison.closeness == "wide" and any(decoding) and False not in decoding:
        # most people ask for decoding; another figure is known by a wide range alone
        sign, style = "✓ DECODING AS PREDICTED", "local"
    context = context_words(verdict.workload.replace(context_tokens=run.context_tokens))
    judged = (format_words(verdict.workload), context, f"seen in: {run.tool}")
    name, conclusion = strong(verdict.model.name), _conclusion(comparison, figures)
    blocks: list[Block] = [
        line(Span(text=sign, style=style), "  ", name, f": {conclusion}", hang=2),
        say(", ".join(filter(None, judged)), indent=2),
        BLANK,
    ]
    if figures:
        blocks += [Table(columns=_COLUMNS, rows=tuple(_row(*each) for each in figures)), BLANK]
    reasons: dict[str, dict[str, None]] = {}
    for title, row in figures:
        if row.why is not None:
            reasons.setdefault(row.why, {})[title] = None
    whys = [f"{'; '.join(titles)}: {why}." for why, titles in reasons.items()]
    blocks += texts([*whys, *comparison.notes], indent=0)
    blocks += [BLANK, say("For a bug report, without names and paths: --format json")]
    return Document(blocks=tuple(blocks))


def _figures(comparison: Comparison) -> list[_Figure]:
    """The figures with their names; those of one name with their tokens in the context."""
    titles = [_title(row) for row in comparison.differences]
    times = Counter(titles)
    figures = []
    for title, row in zip(titles, comparison.differences, strict=True):
        if times[title] > 1 and row.depth_tokens is not None:
            title = f"{title}, {units.tokens(row.depth_tokens)} in the context"
        figures.append((title, row))
    return figures


def _title(row: Difference) -> str:
    name = _TERMS.get(row.term, row.term.replace("_", " "))
    if row.subject == "pace":
        at_once = f"{row.sequences} at once" if row.sequences > 1 else ""
        counted = "" if row.tokens is None else units.tokens(row.tokens)
        words = ", ".join(filter(None, (at_once, counted)))
        return f"{name} ({words})" if words else name
    number = (row.where or "").partition(":")[2]
    return f"{name}, GPU {number}" if number else name


def _conclusion(comparison: Comparison, figures: Sequence[_Figure]) -> str:
    """How many figures are as predicted, how far the farthest is off, and how wide its range is."""
    compared = [(title, row) for title, row in figures if row.inside is not None]
    farthest = next((each for each in compared if each[1] is comparison.farthest), None)
    if farthest is None:
        return "no figure of the run can be compared"
    title, row = farthest
    close = sum(bool(row.is_close) for _, row in compared)
    ratio = 1 + (row.difference or 0)
    percent, side = abs(round(100 * (ratio - 1))), "above" if row.off > 0 else "below"
    off = f"{ratio:,.1f} times" if ratio >= 2 else f"{percent} % {side}"
    place = "inside a range" if row.inside else f"{side} its range"
    # a range of hardly any width has none to tell
    width = f" of {row.range_factor:,.1f}×" if (row.range_factor or 0) >= 1.05 else ""
    counts = f"{close} of {len(compared)} figures as predicted; " if close else ""
    return f"{counts}{title} is {off} the likely figure, {place}{width}"


def _row(title: str, row: Difference) -> tuple[Cell, ...]:
    word, style = _MARKS[row.closeness]
    is_bytes, likely, ends, off = row.unit == "bytes", "–", "", ""
    if row.likely is not None:
        # a pace without its unit, which stands beside what was seen
        has_unit = is_bytes or row.seen is None
        likely = _figure(row, row.likely) if has_unit else units.pace(row.likely, row.likely)
    if row.low is not None and row.high is not None:
        sizes = int(row.low), int(row.high)
        ends = units.binary_range(*sizes) if is_bytes else units.pace(row.low, row.high)
    # of figures of unlike things it says nothing
    if row.inside is not None and row.difference is not None:
        percent = round(100 * row.difference)
        off = f"×{1 + row.difference:,.0f}" if row.difference >= 9 else f"{percent:+} %"
    seen = "–" if row.seen is None else _figure(row, row.seen)
    return title, seen, likely, ends, off, Span(text=word, style=style)


def _figure(row: Difference, value: float) -> str:
    return units.binary(int(value)) if row.unit == "bytes" else units.speed(value, value)
