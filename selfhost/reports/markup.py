"""Blocks as Markdown and HTML: no character of a text is markup, and nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import compress

from ..core.tables import shipped_table
from ..core.templates import fill
from ..judge.record import Report
from .layout import Blocks, Column, Paragraph, Table, clean

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|!~&@$^\"']|:(?=/)|(?<=[wW]{3})\.|(?<=^)[-=]")
# names, in which services look for no user, issue or commit
_NAMES = ("strong", "name", "command", "comment")


def markdown(blocks: Blocks, most_bytes: int | None = None) -> str:
    """Return the blocks as Markdown; lines beyond `most_bytes` of UTF-8 are counted."""
    lines: list[str] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Table):
            lines += ["", *_rows(block), ""]
        elif (tag := _tag(number, block)).startswith("h"):
            lines += [f"{'#' * (1 + int(tag[1]))} {_escaped(''.join(block.parts))}", ""]
        else:
            words = "".join(map(_as_markdown, block.parts)).strip()
            lines.append(f"{'  ' if block.indent > 2 else ''}- {words}" if tag else "")
    kept = (line for at, line in enumerate(lines) if line or lines[at - 1 : at] != [""])
    text = "".join(f"{line}\n" for line in kept)
    whole = text.encode("utf-8", "replace")
    if most_bytes is None or len(whole) <= most_bytes:
        return text
    shown = whole[:most_bytes].rpartition(b"\n")[0]
    more = whole.count(b"\n") - shown.count(b"\n") - 1
    return f"{shown.decode()}\n\n{more:,} more rows, not listed: see the other reports.\n"


def _rows(table: Table) -> Iterator[str]:
    # a column with nothing in it is not shown
    filled = (any(row[at].strip() for row in table.rows) for at in range(len(table.columns)))
    columns = dict(compress(enumerate(table.columns), filled))
    rows = [
        [_escaped(column.title) for column in columns.values()],
        ["---:" if column.right else "---" for column in columns.values()],
        *([_as_markdown(row[at]) for at in columns] for row in table.rows),
    ]
    return (f"| {' | '.join(cells)} |" for cells in rows)


def _tag(number: int, block: Paragraph) -> str:
    """The element of a paragraph: the first is the title, emphasis alone that of a section."""
    if not block.parts:
        return ""
    if number == 0:
        return "h1"
    style = getattr(block.parts[0], "style", "")
    if style == "strong" and len(block.parts) == 1 and not block.indent:
        return "h2"
    return "pre" if style in ("command", "comment") else "p"


def _as_markdown(text: str) -> str:
    if getattr(text, "style", "") not in _NAMES:
        return _escaped(text)
    return f"<code>{_escaped(text)}</code>" if text.strip() else ""


def _escaped(text: str) -> str:
    """Write character references for all that could be markup: they are text wherever they are."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clean(text))


def page(blocks: Blocks) -> str:
    """Return a whole page in ASCII that loads and runs nothing; its title is the first line."""
    blocks = list(blocks)
    parts = (part for first in blocks[:1] if isinstance(first, Paragraph) for part in first.parts)
    title = escape(clean("".join(parts)))
    whole: str = shipped_table("documents")["page"]["html"]
    text = fill(whole, {"title": title, "body": _body(blocks)})
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def notebook(answer: Report) -> str:
    """Return what a notebook shows of an answer: a part of a page that loads and runs nothing."""
    from .answers import document

    return _body(document(answer))


def _body(blocks: Blocks) -> str:
    parts: list[str] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Table):
            parts += _table_parts(block)
        elif tag := _tag(number, block):
            parts.append(f"<{tag}>{''.join(map(_as_html, block.parts))}</{tag}>\n")
    return "".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _table_parts(table: Table) -> Iterator[str]:
    """The lines of a table, without the columns that have nothing in them."""
    columns = {
        at: column
        for at, column in enumerate(table.columns)
        if any(row[at].strip() for row in table.rows)
    }
    head = ""
    if any(column.title for column in columns.values()):
        titles = [_cell("th", escape(clean(each.title)), each) for each in columns.values()]
        head = f"<thead><tr>{''.join(titles)}</tr></thead>"
    yield f"<table>{head}<tbody>\n"
    for row in table.rows:
        cells = [_cell("td", _as_html(row[at]), column) for at, column in columns.items()]
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</tbody></table>\n"


def _cell(tag: str, content: str, column: Column) -> str:
    """A cell with the classes of its column: `n` of numbers, and `drop1`, `drop2`, … of one that a
    narrow page may leave out, the highest first.
    """
    classes: list[str] = []
    if column.right and tag == "td":
        classes.append("n")
    if column.drop:
        classes.append(f"drop{column.drop:d}")
    if not classes:
        return f"<{tag}>{content}</{tag}>"
    return f'<{tag} class="{" ".join(classes)}">{content}</{tag}>'


def _as_html(text: str) -> str:
    """A name of either writing direction stands by itself; an outcome has its colour."""
    words, style = escape(clean(text)), getattr(text, "style", "")
    if style in _NAMES:
        return f"<bdi><b>{words}</b></bdi>" if words.strip() else ""
    return f'<span class="{style}">{words}</span>' if style and words else words
