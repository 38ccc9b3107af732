"""A prediction held against a run, as a person reads it."""

from __future__ import annotations

from collections import Counter

from ..advice.verify.comparison import Comparison, Difference
from ..core import units
from .layout import Block, Column, Document, Span, Table
from .words import BLANK, line, say

_HEADS = {
    "inside": ("✓ INSIDE", "local", " is as predicted"),
    "outside": ("✗ OUTSIDE", "neither", " is not as predicted"),
    "nothing": ("? NOTHING TO COMPARE", "unknown", ": no figure of the run can be compared"),
}
_TERMS = {
    "model_file": "model file in memory",
    "everything_else": "all else of the process",
    "total": "memory in all",
    "decode": "decoding",
    "decode_at_once": "decoding",
    "prompt": "prompt",
}
_MARKS = {True: ("inside", "pass"), False: ("outside", "fail"), None: ("not compared", "unknown")}


def verify_document(comparison: Comparison) -> Document:
    """The outcome, then predicted, seen and difference of each figure, then what explains them."""
    sign, style, words = _HEADS[comparison.outcome]
    name = Span(text=comparison.verdict.model.name, style="strong")
    blocks: list[Block] = [line(Span(text=sign, style=style), "  ", name, words, hang=2)]
    blocks += [say(_asked(comparison), indent=2)]
    if comparison.differences:
        blocks += [BLANK, _table(comparison)]
    reasons = dict.fromkeys(
        f"{title}: {row.why}."
        for title, row in zip(_titles(comparison), comparison.differences, strict=True)
        if row.why is not None
    )
    if reasons or comparison.notes:
        blocks.append(BLANK)
    blocks += [say(text, hang=2) for text in (*reasons, *comparison.notes)]
    blocks += [BLANK, say("For a bug report, without names and paths: --format json")]
    return Document(blocks=tuple(blocks))


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


def _table(comparison: Comparison) -> Table:
    columns = (
        Column(wrap=True),
        Column(title="seen", right=True),
        Column(title="predicted", right=True),
        Column(title="range", right=True, drop=2),
        Column(title="off by", right=True, drop=1),
        Column(),
    )
    titled = zip(_titles(comparison), comparison.differences, strict=True)
    return Table(columns=columns, rows=tuple(_row(title, row) for title, row in titled))


def _row(title: str, row: Difference) -> tuple[Span, ...]:
    word, style = _MARKS[row.inside]
    percent = round(100 * (row.difference or 0))
    off = f"{percent:+} %" if percent else "0 %"
    cells = (
        title,
        "–" if row.seen is None else _figure(row, row.seen),
        "–" if row.likely is None else _figure(row, row.likely),
        _range(row),
        off if row.difference is not None else "",
    )
    return (*(Span(text=text) for text in cells), Span(text=word, style=style))


def _titles(comparison: Comparison) -> list[str]:
    """The figures by their names; those of one name with their tokens in the context."""
    titles = [_title(row) for row in comparison.differences]
    times = Counter(titles)
    return [
        title
        if times[title] == 1 or row.depth_tokens is None
        else f"{title}, {units.tokens(row.depth_tokens)} in the context"
        for title, row in zip(titles, comparison.differences, strict=True)
    ]


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


def _range(row: Difference) -> str:
    if row.low is None or row.high is None:
        return ""
    if row.unit == "bytes":
        return units.binary_range(int(row.low), int(row.high))
    return units.pace(row.low, row.high)
