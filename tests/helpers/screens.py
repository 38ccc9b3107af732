"""What a terminal of a stated width shows."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from selfhost.reports.layout import Blocks
from selfhost.reports.screen import Drawn


def drawn(blocks: Blocks, width: int, *, color: bool = False) -> str:
    """The text of the screen, with its escape codes if `color`."""
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=True,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(Drawn(blocks), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
