"""A prediction held against a run, as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..advice.verify.comparison import Comparison, Difference
from ..core import units
from .layout import BLANK, Block, Cell, Column, Document, Span, Table, line, say, strong

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
# a figure with what the reader calls it
_Figure = tuple[str, Difference]


def verify_document(comparison: Comparison) -> Document:
    """Return the outcome, then predicted, seen and difference of each figure, then reasons."""
    figures = _figures(comparison)
    sign, style = _HEADS[comparison.closeness]
    decoding = [row.is_close for _, row in figures if row.term == "decode"]
    compared = [is_close for is_close in decoding if is_close is not None]
    if comparison.closeness == "wide" and compared and all(compared):
        # most people ask for decoding; another figure is known by a wide range alone
        sign, style = "✓ DECODING AS PREDICTED", "local"
    verdict, run = comparison.verdict, comparison.run
    context, parallel = run.context_tokens, verdict.workload.parallel
    judged = (
        f"{verdict.workload.quantization} in {verdict.workload.runtime}",
        "" if context is None else f"{units.tokens(context)} of context",
        f"{parallel} sequences" if parallel > 1 else "",
        f"seen in: {run.tool}",
    )
    name, conclusion = strong(verdict.model.name), _conclusion(comparison, figures)
    blocks: list[Block] = [
        line(Span(text=sign, style=style), "  ", name, f": {conclusion}", hang=2),
        say(", ".join(filter(None, judged)), indent=2),
        BLANK,
    ]
    if figures:
        titles = ("", "seen", "likely", "range", "width", "difference", "")
        drops = {3: 1, 4: 3, 5: 2}
        columns = tuple(
            Column(title=title, wrap=not at, right=bool(title), drop=drops.get(at, 0))
            for at, title in enumerate(titles)
        )
        blocks += [Table(columns=columns, rows=tuple(_row(*each) for each in figures)), BLANK]
    reasons: dict[str, dict[str, None]] = {}
    for title, row in figures:
        if row.why is not None:
            reasons.setdefault(row.why, {})[title] = None
    blocks += [say(f"{'; '.join(of)}: {why}.", hang=2) for why, of in reasons.items()]
    blocks += [say(note, hang=2) for note in comparison.notes]
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
    """How far the farthest figure is from the likely one, and in how wide a range."""
    compared = [(title, row) for title, row in figures if row.inside is not None]
    farthest = next((each for each in compared if each[1] is comparison.farthest), None)
    if farthest is None:
        return "no figure of the run can be compared"
    title, row = farthest
    off = f"{title} is {_off_words(row)}"
    if comparison.closeness == "close":
        are_several = len(compared) > 1
        return f"all {len(compared)} figures are close to the likely ones" if are_several else off
    outside = [row for _, row in compared if not row.inside]
    many = f"{len(outside)} of {len(compared)} figures; " if len(outside) > 1 else ""
    width = _width(row)
    of_width = f" of {width}" if width else ""
    place = f"inside a range{of_width}"
    if not row.inside:
        place = f"{'below' if row.off < 0 else 'above'} its range{of_width}"
    close = [title for title, row in compared if row.is_close]
    return f"{many}{off}, {place}{_close_words(close, len(compared))}"


def _close_words(close: Sequence[str], number: int) -> str:
    """The other figures that are close, of which that of decoding is what most people ask for."""
    if not close:
        return ""
    if len(close) == 1:
        verb = "are" if close[0].startswith("weights") else "is"
        return f"; {close[0]} {verb} as predicted"
    decoding = [title for title in close if title.startswith(_TERMS["decode"])]
    including = f", {decoding[0]} among them" if decoding else ""
    return f"; {len(close)} of {number} figures are as predicted{including}"


def _off_words(row: Difference) -> str:
    """`36 % below the likely figure`, `2.5 times the likely figure`."""
    ratio = 1 + (row.difference or 0)
    if ratio >= 2:
        return f"{ratio:,.1f} times the likely figure"
    percent = round(100 * (ratio - 1))
    if not percent:
        return "at the likely figure"
    return f"{abs(percent)} % {'above' if percent > 0 else 'below'} the likely figure"


def _width(row: Difference) -> str:
    """`2.6×`: the high end by the low one; empty where the two are nearly one."""
    factor = row.range_factor
    # below it would read 1.0×
    if factor is None or factor < 1.05:
        return ""
    return f"{factor:,.1f}×" if factor < 9.95 else f"{factor:,.0f}×"


def _row(title: str, row: Difference) -> tuple[Cell, ...]:
    word, style = _MARKS[row.closeness]
    likely = "–"
    if row.likely is not None:
        # a pace without its unit, which stands beside what was seen
        has_unit = row.unit == "bytes" or row.seen is None
        likely = _figure(row, row.likely) if has_unit else units.pace(row.likely, row.likely)
    ends = ""
    if row.low is not None and row.high is not None:
        is_bytes = row.unit == "bytes"
        sizes = int(row.low), int(row.high)
        ends = units.binary_range(*sizes) if is_bytes else units.pace(row.low, row.high)
    return (
        title,
        "–" if row.seen is None else _figure(row, row.seen),
        likely,
        ends,
        _width(row) if row.is_wide else "",
        # of figures of unlike things it says nothing
        "" if row.inside is None else _difference(row.difference),
        Span(text=word, style=style),
    )


def _difference(share: float | None) -> str:
    """`-37 %`, `+585 %`, from ten times on `×87`."""
    if share is None:
        return ""
    if share >= 9:
        return f"×{1 + share:,.0f}"
    percent = round(100 * share)
    return f"{percent:+} %" if percent else "0 %"


def _figure(row: Difference, value: float) -> str:
    return units.binary(int(value)) if row.unit == "bytes" else units.speed(value, value)
