"""A prediction held against a run, as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..advice.verify.comparison import Comparison, Difference
from ..core import units
from ..core.records import Record
from .layout import BLANK, Block, Column, Document, Span, Table, line, say

# by the comparison's `closeness`
_HEADS = {
    "close": ("✓ AS PREDICTED", "local"),
    "apart": ("✓ INSIDE", "local"),
    "wide": ("~ INSIDE A WIDE RANGE", "unknown"),
    "outside": ("✗ OUTSIDE", "neither"),
    "nothing": ("? NOTHING TO COMPARE", "unknown"),
}
# of a wide range of another figure, where decoding, which most people ask for, is close
_DECODING_HEAD = ("✓ DECODING AS PREDICTED", "local")
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


class _Figure(Record):
    """A figure, and what the reader calls it."""

    title: str
    row: Difference


def verify_document(comparison: Comparison) -> Document:
    """The outcome, then predicted, seen and difference of each figure, then what explains them."""
    figures = _figures(comparison)
    leads = _decoding_leads(comparison)
    sign, style = _DECODING_HEAD if leads else _HEADS[comparison.closeness]
    name = Span(text=comparison.verdict.model.name, style="strong")
    conclusion = _conclusion(comparison, figures)
    blocks: list[Block] = [
        line(Span(text=sign, style=style), "  ", name, f": {conclusion}", hang=2),
        say(_asked(comparison), indent=2),
    ]
    if figures:
        blocks += [BLANK, _table(figures)]
    reasons = _reasons(figures)
    if reasons or comparison.notes:
        blocks.append(BLANK)
    blocks += [say(text, hang=2) for text in (*reasons, *comparison.notes)]
    blocks += [BLANK, say("For a bug report, without names and paths: --format json")]
    return Document(blocks=tuple(blocks))


def _decoding_leads(comparison: Comparison) -> bool:
    """Decoding is as predicted, and another figure is told by a wide range alone."""
    decoding = [row.is_close for row in comparison.differences if row.term == "decode"]
    compared = [is_close for is_close in decoding if is_close is not None]
    return comparison.closeness == "wide" and bool(compared) and all(compared)


def _conclusion(comparison: Comparison, figures: Sequence[_Figure]) -> str:
    """How far the farthest figure is from the likely one, and in how wide a range."""
    compared = [figure for figure in figures if figure.row.inside is not None]
    farthest = next((each for each in compared if each.row is comparison.farthest), None)
    if farthest is None:
        return "no figure of the run can be compared"
    off = f"{farthest.title} is {_off_in_words(farthest.row)}"
    if comparison.closeness == "close":
        if len(compared) == 1:
            return off
        return f"all {len(compared)} figures are close to the likely ones"
    outside = [figure for figure in compared if not figure.row.inside]
    many = f"{len(outside)} of {len(compared)} figures; " if len(outside) > 1 else ""
    return f"{many}{off}, {_in_range(farthest.row)}{_as_predicted(compared)}"


def _as_predicted(compared: Sequence[_Figure]) -> str:
    """The other figures that are close, of which that of decoding is what most people ask for."""
    close = [figure.title for figure in compared if figure.row.is_close]
    if not close:
        return ""
    decoding = [title for title in close if title.startswith(_TERMS["decode"])]
    if len(close) > 1:
        including = f", {decoding[0]} among them" if decoding else ""
        return f"; {len(close)} of {len(compared)} figures are as predicted{including}"
    verb = "are" if close[0].startswith("weights") else "is"
    return f"; {close[0]} {verb} as predicted"


def _reasons(figures: Sequence[_Figure]) -> list[str]:
    """Why figures are not compared, one sentence a reason."""
    titles: dict[str, list[str]] = {}
    for figure in figures:
        if figure.row.why is not None:
            titles.setdefault(figure.row.why, []).append(figure.title)
    return [f"{'; '.join(dict.fromkeys(of))}: {why}." for why, of in titles.items()]


def _off_in_words(row: Difference) -> str:
    """`36 % below the likely figure`, `2.5 times the likely figure`."""
    ratio = 1 + (row.difference or 0)
    if ratio >= 2:
        return f"{ratio:,.1f} times the likely figure"
    percent = round(100 * (ratio - 1))
    if not percent:
        return "at the likely figure"
    return f"{abs(percent)} % {'above' if percent > 0 else 'below'} the likely figure"


def _in_range(row: Difference) -> str:
    width = _width(row)
    of_width = f" of {width}" if width else ""
    if row.inside:
        return f"inside a range{of_width}"
    return f"{'below' if row.off < 0 else 'above'} its range{of_width}"


def _width(row: Difference) -> str:
    """`2.6×`: the high end by the low one; empty where the two are nearly one."""
    factor = row.range_factor
    # below it would read 1.0×
    if factor is None or factor < 1.05:
        return ""
    return f"{factor:,.1f}×" if factor < 9.95 else f"{factor:,.0f}×"


def _asked(comparison: Comparison) -> str:
    """What of the run the prediction is for."""
    workload, context = comparison.verdict.workload, comparison.run.context_tokens
    parts = [
        f"{workload.quantization} in {workload.runtime}",
        "" if context is None else f"{units.tokens(context)} of context",
        f"{workload.parallel} sequences" if workload.parallel > 1 else "",
        f"seen in: {comparison.run.tool}",
    ]
    return ", ".join(part for part in parts if part)


def _table(figures: Sequence[_Figure]) -> Table:
    columns = (
        Column(wrap=True),
        Column(title="seen", right=True),
        Column(title="likely", right=True),
        Column(title="range", right=True, drop=1),
        Column(title="width", right=True, drop=3),
        Column(title="difference", right=True, drop=2),
        Column(),
    )
    return Table(columns=columns, rows=tuple(_row(each.title, each.row) for each in figures))


def _row(title: str, row: Difference) -> tuple[Span, ...]:
    word, style = _MARKS[row.closeness]
    cells = (
        title,
        "–" if row.seen is None else _figure(row, row.seen),
        "–" if row.likely is None else _likely(row, row.likely),
        _range(row),
        _width(row) if row.is_wide else "",
        # of figures of unlike things it says nothing
        "" if row.inside is None else _difference(row.difference),
    )
    return (*(Span(text=text) for text in cells), Span(text=word, style=style))


def _difference(share: float | None) -> str:
    """`-37 %`, `+585 %`, from ten times on `×87`."""
    if share is None:
        return ""
    if share >= 9:
        return f"×{1 + share:,.0f}"
    percent = round(100 * share)
    return f"{percent:+} %" if percent else "0 %"


def _figures(comparison: Comparison) -> list[_Figure]:
    """The figures with their names; those of one name with their tokens in the context."""
    titles = [_title(row) for row in comparison.differences]
    times = Counter(titles)
    figures = []
    for title, row in zip(titles, comparison.differences, strict=True):
        if times[title] > 1 and row.depth_tokens is not None:
            title = f"{title}, {units.tokens(row.depth_tokens)} in the context"
        figures.append(_Figure(title=title, row=row))
    return figures


def _title(row: Difference) -> str:
    name = _TERMS.get(row.term, row.term.replace("_", " "))
    if row.subject == "pace":
        at_once = f"{row.sequences} at once" if row.sequences > 1 else ""
        counted = "" if row.tokens is None else units.tokens(row.tokens)
        words = ", ".join(part for part in (at_once, counted) if part)
        return f"{name} ({words})" if words else name
    number = (row.where or "").partition(":")[2]
    return f"{name}, GPU {number}" if number else name


def _figure(row: Difference, value: float) -> str:
    if row.unit == "bytes":
        return units.binary(int(value))
    return units.speed(value, value)


def _likely(row: Difference, value: float) -> str:
    """As `_figure`; a pace without its unit, which stands beside what was seen."""
    is_told = row.unit == "bytes" or row.seen is None
    return _figure(row, value) if is_told else units.pace(value, value)


def _range(row: Difference) -> str:
    if row.low is None or row.high is None:
        return ""
    if row.unit == "bytes":
        return units.binary_range(int(row.low), int(row.high))
    return units.pace(row.low, row.high)
