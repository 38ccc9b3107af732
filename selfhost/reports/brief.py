"""A verdict for Python: one line of text, and a fragment of HTML for a notebook.

The words are those of `selfhost check`. The fragment inherits the colours of the page, so that it
suits light and dark themes; it holds no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..verdict.record import Route, Verdict
from .check_text import check_document
from .layout import Bar, Blank, Block, Document, Paragraph, Span, Table, clean
from .words import answer_line, pace_words

# white on each has a contrast above 4.5, whatever the colour of the page
_ROUTES = {
    Route.LOCAL: "#1a7f37",
    Route.API: "#9a6700",
    Route.NEITHER: "#b3261e",
    Route.UNKNOWN: "#0a6c74",
}
_SIGNS = "✓✗? "
_GREY = "rgba(128,128,128,.35)"


def summary(verdict: Verdict) -> str:
    """`RUNS HERE: Mistral 7B Instruct v0.3, about 12 tokens/s, faster than you read`."""
    label, *rest = answer_line(verdict, verdict.machine).spans
    answer = " ".join(clean("".join(span.text for span in rest)).split())
    pace = verdict.speed.decode if verdict.can_run and verdict.speed is not None else None
    expected = f", {pace_words(pace)}" if pace is not None else ""
    return f"{label.text.lstrip(_SIGNS)}: {answer}{expected}"


def notebook(verdict: Verdict) -> str:
    """The text of `selfhost check` as one `<div>`."""
    color = _ROUTES[verdict.route]
    return "\n".join(
        ('<div style="line-height:1.4">', *_elements(check_document([verdict]), color), "</div>")
    )


def _elements(document: Document, color: str) -> Iterator[str]:
    """One element a block, in ASCII; blank lines are left to the margins."""
    for number, block in enumerate(document.blocks):
        if not isinstance(block, Blank):
            html = _first_line(block, color) if number == 0 else _element(block)
            yield html.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _first_line(block: Block, color: str) -> str:
    """The route on its colour, then the rest of the line."""
    assert isinstance(block, Paragraph)
    label, *rest = block.spans
    badge = f"background:{color};color:#fff;padding:.1em .5em;border-radius:.3em"
    words = "".join(_span(span) for span in rest)
    return f'<p style="margin:0 0 .5em"><b style="{badge}">{_text(label.text)}</b> {words}</p>'


def _element(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    assert isinstance(block, Paragraph)
    words = "".join(_span(span) for span in block.spans)
    if block.verbatim:
        return f'<pre style="margin:.2em 0 .2em 1em;white-space:pre-wrap">{words}</pre>'
    return f'<p style="margin:.2em 0 .2em {block.indent / 2:g}em">{words}</p>'


def _table(table: Table) -> str:
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return f'<table style="margin:.5em 0;background:none">{rows}</table>'


def _cell(cell: Span | Bar) -> str:
    content = _span(cell) if isinstance(cell, Span) else _bar(cell)
    return f'<td style="text-align:left;padding:.1em 1em .1em 0">{content}</td>'


def _bar(cell: Bar) -> str:
    share = min(100, round(100 * cell.needs / cell.has)) if cell.has else 100
    filled = f"background:linear-gradient(90deg,currentColor {share}%,{_GREY} {share}%)"
    shape = "display:inline-block;width:8em;height:.4em;border-radius:.2em;vertical-align:middle"
    return f'<span style="{shape};{filled}"></span> {_text(cell.label)}'


def _span(span: Span) -> str:
    return f"<b>{_text(span.text)}</b>" if span.style else _text(span.text)


def _text(words: str) -> str:
    """Safe as the content of an element; control characters become visible."""
    return escape(clean(words))
