"""Documents as Markdown and HTML: no character of a text is markup, and nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import chain
from typing import Any

from .layout import BLANK, Block, Cell, Document, Paragraph, Span, Table, clean

# what a notebook shows of each kind of answer
_DOCUMENTS = {
    "Verdict": ("check_text", "check_document"),
    "Comparison": ("models_text", "compare_document"),
    "ContainerSize": ("size_text", "size_document"),
    "Plan": ("plan_text", "plan_document"),
    "Ranking": ("models_text", "list_document"),
}
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|!~&@$^\"']|:(?=/)|(?<=[wW]{3})\.|(?<=^)[-=]")
# names, in which services look for no user, issue or commit
_NAMES = ("strong", "name", "command")
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; padding: 0 1rem; max-width: 90rem; font: 15px/1.5 system-ui, \
sans-serif; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem; }}
td {{ border-bottom: 1px solid #8885; }}
th {{ position: sticky; top: 0; background: Canvas; }}
.n {{ text-align: right; white-space: nowrap; }}
pre {{ overflow-x: auto; }}
.pass, .local {{ color: light-dark(#11663a, #8ddcab); }}
.warn, .unknown, .api {{ color: light-dark(#7a4b00, #f2c877); }}
.fail, .neither {{ color: light-dark(#8f2b22, #f5a99f); }}
</style>
</head>
<body>
{body}</body>
</html>
"""


def markdown(document: Document, most_bytes: int | None = None) -> str:
    """Return the document as Markdown; rows beyond `most_bytes` of UTF-8 are counted."""
    lines: list[str] = []
    left, more = most_bytes, 0
    for line in _markdown(document):
        size = len(line.encode("utf-8", "replace")) + 1
        if left is not None and (more or size > left):
            more += bool(line.strip("| -:"))
            continue
        left = None if left is None else left - size
        if line or (lines and lines[-1]):
            lines.append(line)
    if more:
        lines += ["", f"{more:,} more rows, not listed: see the other reports."]
    return "".join(f"{line}\n" for line in lines)


def _markdown(document: Document) -> Iterator[str]:
    for number, block in enumerate(document.blocks):
        if isinstance(block, Table):
            yield from ("", *_markdown_table(block), "")
        elif (tag := _tag(number, block)).startswith("h"):
            title = "".join(_escaped(span.text) for span in block.spans)
            yield from (f"{'#' * (1 + int(tag[1]))} {title}", "")
        else:
            words = "".join(map(_marked, block.spans)).strip()
            yield f"{'  ' if block.indent > 2 else ''}- {words}" if tag else ""


def _markdown_table(table: Table) -> Iterator[str]:
    columns = [(at, table.columns[at]) for at in _shown(table)]
    yield _cells([_escaped(column.title) for _, column in columns])
    yield _cells(["---:" if column.right else "---" for _, column in columns])
    yield from (_cells([_marked(row[at]) for at, _ in columns]) for row in table.rows)


def _tag(number: int, block: Paragraph) -> str:
    """The element of a paragraph: the first is the title, emphasis alone that of a section."""
    if not block.spans:
        return ""
    if number == 0:
        return "h1"
    if len(block.spans) == 1 and block.spans[0].style == "strong" and not block.indent:
        return "h2"
    return "pre" if block.verbatim else "p"


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(cell: Cell) -> str:
    if isinstance(cell, str) or cell.style not in _NAMES:
        return _escaped(_text(cell))
    return f"<code>{_escaped(cell.text)}</code>" if cell.text.strip() else ""


def _escaped(text: str) -> str:
    """Write character references for all that could be markup: they are text wherever they are."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clean(text))


def _shown(table: Table) -> list[int]:
    """The columns that have something in them."""
    return [
        at for at in range(len(table.columns)) if any(_text(row[at]).strip() for row in table.rows)
    ]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def page(document: Document) -> str:
    """Return a whole page, in ASCII for any pipe, that loads nothing and runs nothing. Its title is
    the document's first line.
    """
    first = document.blocks[0] if document.blocks else BLANK
    spans = first.spans if isinstance(first, Paragraph) else ()
    title = clean("".join(span.text for span in spans))
    return _PAGE.format(title=_ascii(escape(title)), body=_body(document))


def notebook(answer: Any) -> str:
    """Return what a notebook shows of an answer: a part of a page that loads and runs nothing."""
    from importlib import import_module

    kind = type(answer).__name__
    module, function = _DOCUMENTS[kind]
    asked: tuple[Any, ...] = (answer if kind == "Plan" else [answer],)
    if kind == "Comparison":
        asked = ([model.verdict for model in answer.models],)
    elif kind == "Ranking":
        asked = (answer, answer.machine)
    return _body(getattr(import_module(f".{module}", __package__), function)(*asked))


def _ascii(html: str) -> str:
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _body(document: Document) -> str:
    blocks = enumerate(document.blocks)
    return _ascii("".join(chain.from_iterable(_html(number, block) for number, block in blocks)))


def _html(number: int, block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        if tag := _tag(number, block):
            yield f"<{tag}>{''.join(map(_marked_up, block.spans))}</{tag}>\n"
        return
    shown = _shown(block)
    yield "<table>"
    if any(column.title for column in block.columns):
        titles = (escape(clean(block.columns[at].title)) for at in shown)
        yield f"<thead><tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr></thead>"
    yield "<tbody>\n"
    for row in block.rows:
        kinds = ((at, " class=n" * block.columns[at].right) for at in shown)
        cells = "".join(f"<td{kind}>{_marked_up(row[at])}</td>" for at, kind in kinds)
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table>\n"


def _marked_up(cell: Cell) -> str:
    """A name of either writing direction stands by itself; an outcome has its colour."""
    words = escape(clean(_text(cell)))
    style = "" if isinstance(cell, str) else cell.style
    if style in _NAMES:
        return f"<bdi><b>{words}</b></bdi>" if words.strip() else ""
    return f'<span class="{style}">{words}</span>' if style and isinstance(cell, Span) else words
