"""Documents as Markdown and HTML: no character of a text is markup, and nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from .layout import Blank, Cell, Document, Paragraph, Span, Table, clean

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|!~&@$^\"']|:(?=/)|(?<=[wW]{3})\.|(?<=^)[-=]")
# names, in which services look for no user, issue or commit
_NAMES = ("strong", "name", "command")


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
        if isinstance(block, Blank):
            yield ""
        elif isinstance(block, Table):
            yield ""
            columns = [(at, block.columns[at]) for at in _shown(block)]
            yield _cells([_escaped(column.title) for _, column in columns])
            yield _cells(["---:" if column.right else "---" for _, column in columns])
            yield from (_cells([_marked(row[at]) for at, _ in columns]) for row in block.rows)
            yield ""
        elif number == 0 or is_title(block):
            level = "##" if number == 0 else "###"
            yield from (f"{level} {''.join(_escaped(span.text) for span in block.spans)}", "")
        else:
            words = "".join(map(_marked, block.spans)).strip()
            yield f"{'  ' if block.indent > 2 else ''}- {words}"


def is_title(block: Paragraph) -> bool:
    """Whether the paragraph is the title of a section."""
    return len(block.spans) == 1 and block.spans[0].style == "strong" and not block.indent


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(cell: Cell) -> str:
    if isinstance(cell, str) or cell.style not in _NAMES:
        return _escaped(cell if isinstance(cell, str) else cell.text)
    return f"<code>{_escaped(cell.text)}</code>" if cell.text.strip() else ""


def _escaped(text: str) -> str:
    """Write character references for all that could be markup: they are text wherever they are."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clean(text))


def fragment(document: Document) -> str:
    """Return the document as a part of a page, in ASCII: without a script, style or link."""
    html = "".join(_html(document))
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _html(document: Document) -> Iterator[str]:
    for number, block in enumerate(document.blocks):
        if isinstance(block, Blank):
            continue
        if isinstance(block, Table):
            yield from _html_table(block)
            continue
        words = "".join(map(_marked_up, block.spans))
        tag = "h2" if is_title(block) else "p"
        if block.verbatim:
            tag = "pre"
        elif number == 0:
            tag = "h1"
        yield f"<{tag}>{words}</{tag}>\n"


def _html_table(table: Table) -> Iterator[str]:
    shown = _shown(table)
    yield "<table>"
    if any(column.title for column in table.columns):
        heads = "".join(f"<th>{escape(clean(table.columns[at].title))}</th>" for at in shown)
        yield f"<thead><tr>{heads}</tr></thead>"
    yield "<tbody>\n"
    for row in table.rows:
        cells = "".join(
            f"<td{' class=n' * table.columns[at].right}>{_marked_up(row[at])}</td>" for at in shown
        )
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table>\n"


def _shown(table: Table) -> list[int]:
    """The columns that have something in them."""
    return [
        at for at in range(len(table.columns)) if any(_text(row[at]).strip() for row in table.rows)
    ]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def _marked_up(cell: Cell) -> str:
    """A name of either writing direction stands by itself; an outcome has its colour."""
    words = escape(clean(_text(cell)))
    style = "" if isinstance(cell, str) else cell.style
    if style in _NAMES:
        return f"<bdi><b>{words}</b></bdi>" if words.strip() else ""
    return f'<span class="{style}">{words}</span>' if style and isinstance(cell, Span) else words


_STYLE = """
:root { color-scheme: light dark; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 90rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem; }
td { border-bottom: 1px solid #8885; }
th { position: sticky; top: 0; background: Canvas; cursor: pointer; }
.n { text-align: right; white-space: nowrap; }
pre { overflow-x: auto; }
.pass, .local { color: light-dark(#11663a, #8ddcab); }
.warn, .unknown, .api { color: light-dark(#7a4b00, #f2c877); }
.fail, .neither { color: light-dark(#8f2b22, #f5a99f); }
"""
# a click on a title sorts by it, numbers by their size; the field shows rows with its words
_SCRIPT = """
const scale = {k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, B: 1e9};
const value = cell => {
  const found = cell.textContent.match(/^[~+$]*([\\d.,]+)\\s*([kKMGTB]?)/);
  return found ? parseFloat(found[1].replaceAll(",", "")) * (scale[found[2]] || 1) : NaN;
};
const compare = (a, b) => {
  const [first, second] = [value(a), value(b)];
  return isNaN(first) || isNaN(second)
    ? a.textContent.localeCompare(b.textContent) : first - second;
};
for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], at = head.cellIndex;
  const turn = head.dataset.turn = head.dataset.turn === "1" ? "-1" : "1";
  body.append(...[...body.rows].sort((a, b) => turn * compare(a.cells[at], b.cells[at])));
});
const field = document.querySelector("input");
field.hidden = document.querySelectorAll("tbody tr").length < 20;
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\\s+/);
  for (const row of document.querySelectorAll("tbody tr"))
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
});
"""


def page(title: str, document: Document) -> str:
    """Return a whole page, in ASCII for any pipe, that loads nothing and runs one script."""
    policy = (
        f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)};"
        " base-uri 'none'; form-action 'none'"
    )
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(clean(title))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<input type="search" placeholder="search" aria-label="Show rows with these words">\n'
        f"{''.join(_html(document))}<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _hash(content: str) -> str:
    from base64 import b64encode
    from hashlib import sha256

    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
