"""Blocks as Markdown and HTML: no character of a text is markup, and nothing is loaded.

`markdown` writes the summary of a CI step, `page` a whole HTML page, `body` the part of a page that
a notebook shows of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import repeat

from ..core.templates import fill
from .labels import documents
from .layout import Blocks, Column, Hint, Paragraph, Table, clean, ended, style_of

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|!~&@$^\"']|:(?=/)|(?<=[wW]{3})\.|(?<=^)[-=]")
# the styles of names, in which services look for no user, issue or commit
_NAMES = ("strong", "name", "command", "comment")


def _is_section_title(block: Paragraph) -> bool:
    """Whether a paragraph is emphasis alone, at the margin."""
    if len(block.parts) != 1 or block.indent:
        return False
    return style_of(block.parts[0]) == "strong"


# ---------------------------------------------------------------- Markdown


def markdown(blocks: Blocks, most_bytes: int) -> str:
    """Return the blocks as Markdown; lines beyond `most_bytes` of UTF-8 are counted."""
    lines: list[str] = []
    for number, block in enumerate(blocks):
        for line in _markdown_lines(number, block):
            # several empty lines become one
            if line or not lines or lines[-1]:
                lines.append(line)
    text = ended(lines)
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return text
    kept = encoded[:most_bytes].rpartition(b"\n")[0]
    rows_left = encoded.count(b"\n") - kept.count(b"\n") - 1
    return f"{kept.decode()}\n\n{rows_left:,} more rows, not listed: see the other reports.\n"


def _markdown_lines(number: int, block: Paragraph | Table) -> Iterator[str]:
    """The lines of the block at that place of a document: the first is its heading."""
    if isinstance(block, Table):
        yield ""
        yield from _markdown_rows(block)
        yield ""
    elif not block.parts:
        yield ""
    elif number == 0:
        yield f"## {_escaped(''.join(block.parts))}"
        yield ""
    elif _is_section_title(block):
        yield f"### {_escaped(block.parts[0])}"
        yield ""
    else:
        words = "".join(map(_as_markdown, block.parts)).strip()
        item = f"- {words}"
        if block.indent > 2:
            item = f"  {item}"
        yield item


def _markdown_rows(table: Table) -> Iterator[str]:
    """The titles, the rule under them, which says how cells are aligned, and a line a row."""
    filled = table.filled()
    yield _markdown_row(_escaped(column.title) for column in filled.columns)
    yield _markdown_row("---:" if column.right else "---" for column in filled.columns)
    for row in filled.rows:
        yield _markdown_row(map(_as_markdown, row))


def _markdown_row(cells: Iterable[str]) -> str:
    """The line of a row."""
    return f"| {' | '.join(cells)} |"


def _as_markdown(text: str) -> str:
    """A text without markup; a name is code."""
    words = _escaped(text)
    if style_of(text) not in _NAMES:
        return words
    return _marked(words, "<code>", "</code>")


def _marked(
    words: str,
    before: str,
    behind: str,
) -> str:
    """The words between two tags; empty where there are only blanks."""
    if not words.strip():
        return ""
    return f"{before}{words}{behind}"


def _escaped(text: str) -> str:
    """The text with a character reference for each character that could be markup."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clean(text))


# ---------------------------------------------------------------- HTML


def page(blocks: Blocks) -> str:
    """Return a whole page in ASCII that loads and runs nothing; its title is the first line."""
    blocks = list(blocks)
    title = ""
    if blocks and isinstance(blocks[0], Paragraph):
        title = "".join(blocks[0].parts)
    stated = {"title": escape(clean(title)), "body": body(blocks)}
    return _in_ascii(fill(documents().page["html"], stated))


def body(blocks: Blocks) -> str:
    """The blocks as elements of a page, in ASCII."""
    parts: list[str] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Table):
            parts += _table_lines(block)
        elif block.parts:
            tag = _tag(number, block)
            words = "".join(map(_as_html, block.parts))
            parts.append(f"<{tag}>{words}</{tag}>\n")
    return _in_ascii("".join(parts))


def _in_ascii(text: str) -> str:
    """The text with a character reference for all that is not ASCII."""
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _tag(number: int, block: Paragraph) -> str:
    """The element of the paragraph at that place of a document: the first is the title."""
    if number == 0:
        return "h1"
    if _is_section_title(block):
        return "h2"
    if style_of(block.parts[0]) in ("command", "comment"):
        return "pre"
    return "p"


def _table_lines(table: Table) -> Iterator[str]:
    """The lines of a table; a table whose columns have no titles has no head."""
    filled = table.filled()
    titles = [column.title for column in filled.columns]
    head = f"<thead>{_row('th', titles, filled)}</thead>" if any(titles) else ""
    yield f"<table>{head}<tbody>\n"
    for row in filled.rows:
        yield f"{_row('td', row, filled)}\n"
    yield "</tbody></table>\n"


def _row(
    tag: str,
    texts: Iterable[str],
    table: Table,
) -> str:
    """A row of cells of that element, for the columns of a table."""
    cells = map(_cell, repeat(tag), texts, table.columns)
    return f"<tr>{''.join(cells)}</tr>"


def _cell(
    tag: str,
    text: str,
    column: Column,
) -> str:
    """A cell with its classes: `n` of a number, and `drop1`, `drop2`, … of a column that a narrow
    page may leave out, the highest first.
    """
    classes = ["n"] if column.right and tag == "td" else []
    if column.drop:
        classes.append(f"drop{column.drop}")
    attribute = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{attribute}>{_as_html(text)}</{tag}>"


def _as_html(text: str) -> str:
    """A text as HTML. A name is isolated, because it may be written from right to left; an outcome
    has its colour. A hint names what it shows, so that a page can offer it in another way.
    """
    words = escape(clean(text))
    if isinstance(text, Hint):
        typed = escape(clean(text.typed))
        if text.shows == "all":
            # who reads a page may not know the command line that wrote it
            typed = f"the option {typed} of selfhost"
        before = escape(clean(text.before))
        behind = escape(clean(text.behind))
        return f'<span class="hint {text.shows}">{before}<span>{typed}</span>{behind}</span>'
    style = style_of(text)
    if style in _NAMES:
        return _marked(words, "<bdi><b>", "</b></bdi>")
    if style and words:
        return f'<span class="{style}">{words}</span>'
    return words
