"""The same documents with colour, drawn by rich. Colour only repeats what a word says already."""

from __future__ import annotations

from typing import TextIO

from .layout import Document, lay_out, plain

# named ANSI colours follow the terminal's theme, nothing is dimmed; yellow and cyan fade on some
# light themes, so they colour single words and bars only, never a sentence or a command
_STYLES = {
    "strong": "bold", "command": "bold",
    "local": "bold green", "api": "bold yellow", "neither": "bold red",
    "pass": "green", "warn": "yellow", "fail": "red", "unknown": "cyan",
}  # fmt: skip
# rich wants a width; lines are laid out already, so none is ever broken at it
_UNBOUNDED = 10_000


def print_document(
    document: Document, file: TextIO, width: int | None, color: bool, *, bars: bool = True
) -> None:
    """Writes the document in `width` columns, with `bars`; where `width` is None nothing is
    wrapped and no bar is drawn. No escape codes where `color` is False.

    The caller decides about `color` (NO_COLOR, FORCE_COLOR, TERM=dumb). OSError of the stream
    passes through.
    """
    encoding = getattr(file, "encoding", None) or "utf-8"
    bars = bars and width is not None
    if not color:
        file.write(plain(document, width, encoding=encoding, bars=bars))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=file,
        width=width or _UNBOUNDED,
        force_terminal=True,
        color_system="standard",
        highlight=False,
        soft_wrap=True,
    )
    for line in lay_out(document, width, encoding=encoding, bars=bars):
        console.print(
            Text.assemble(*((text, _STYLES.get(style, "")) for text, style in line)), soft_wrap=True
        )
