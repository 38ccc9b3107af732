"""Documents on a stream: with bars on a terminal, in colour where the caller says so."""

from __future__ import annotations

from typing import TextIO

from .layout import Document, plain


def print_document(
    document: Document, file: TextIO, width: int | None, color: bool, *, bars: bool = True
) -> None:
    """Write the document in `width` columns; without a width nothing is wrapped and no bar drawn.

    The caller decides about `color` (NO_COLOR, FORCE_COLOR, TERM=dumb). OSError of the stream
    passes through.
    """
    encoding = getattr(file, "encoding", None) or "utf-8"
    has_bars = bars and width is not None
    file.write(plain(document, width, encoding=encoding, bars=has_bars, color=color))
