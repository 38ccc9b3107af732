"""A prediction held against a run, as a person reads it."""

from __future__ import annotations

from ..advice.verify.comparison import Comparison, Difference
from ..core import units
from .layout import BLANK, Block, Cell, Column, Document, Span, Table, line, say, strong, texts
from .words import context_words, format_words

_HEADS = {
    "inside": ("✓ INSIDE THE RANGE", "local"),
    "outside": ("✗ OUTSIDE", "neither"),
    "nothing": ("? NOTHING TO COMPARE", "unknown"),
}
_TERMS = {
    "model_file": "model file in memory",
    "everything_else": "all else of the process",
    "total": "memory in all",
    "decode": "decoding",
    "decode_at_once": "decoding",
}
_COLUMNS = (
    Column(wrap=True),
    Column(title="seen", right=True),
    Column(title="likely", right=True),
    Column(title="range", right=True, drop=1),
    Column(title="difference", right=True, drop=2),
    Column(),
)


def verify_document(comparison: Comparison) -> Document:
    """Return the outcome, then predicted, seen and difference of each figure, then reasons."""
    verdict, run, rows = comparison.verdict, comparison.run, comparison.differences
    sign, style = _HEADS[comparison.outcome]
    compared = [row for row in rows if row.inside is not None]
    inside = sum(bool(row.inside) for row in compared)
    counts = f"{inside} of {len(compared)} figures" if compared else "no figure of the run"
    conclusion = f"{counts} inside the range" if compared else f"{counts} can be compared"
    context = context_words(verdict.workload.replace(context_tokens=run.context_tokens))
    judged = (format_words(verdict.workload), context, f"seen in: {run.tool}")
    blocks: list[Block] = [
        line(Span(text=sign, style=style), "  ", strong(verdict.model.name), f": {conclusion}"),
        say(", ".join(filter(None, judged)), indent=2),
        BLANK,
        Table(columns=_COLUMNS, rows=tuple(_row(row) for row in rows)),
        BLANK,
    ]
    reasons: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.why is not None:
            reasons.setdefault(row.why, {})[_title(row)] = None
    whys = [f"{'; '.join(titles)}: {why}." for why, titles in reasons.items()]
    blocks += texts([*whys, *comparison.notes], indent=0)
    blocks += [BLANK, say("For a bug report, without names and paths: --format json")]
    return Document(blocks=tuple(blocks))


def _title(row: Difference) -> str:
    name = _TERMS.get(row.term, row.term.replace("_", " "))
    words = [f"{row.sequences} at once"] if row.sequences > 1 else []
    words += ["GPU"] if row.where == "accelerators" else []
    words += [] if row.tokens is None else [units.tokens(row.tokens)]
    if row.depth_tokens is not None and row.depth_tokens > (row.tokens or 0):
        words.append(f"{units.tokens(row.depth_tokens)} in the context")
    return f"{name} ({', '.join(words)})" if words else name


def _row(row: Difference) -> tuple[Cell, ...]:
    likely, ends, off = "–", "", ""
    if row.likely is not None and row.low is not None and row.high is not None:
        if row.unit == "bytes":
            likely = units.binary(int(row.likely))
            ends = units.binary_range(int(row.low), int(row.high))
        else:
            # without its unit, which stands beside what was seen
            likely, ends = units.pace(row.likely, row.likely), units.pace(row.low, row.high)
    # of figures of unlike things it says nothing
    if row.inside is not None and row.difference is not None:
        off = f"×{1 + row.difference:,.0f}" if row.difference >= 9 else f"{row.difference:+.0%}"
    seen = units.binary(int(row.seen)) if row.unit == "bytes" else units.speed(row.seen, row.seen)
    marks = {
        True: ("inside", "pass"),
        False: ("outside", "fail"),
        None: ("not compared", "unknown"),
    }
    text, style = ("inside, wide", "unknown") if row.is_wide else marks[row.inside]
    return _title(row), seen, likely, ends, off, Span(text=text, style=style)
