"""The screen of `selfhost browse` in tests: started without a terminal, and read as text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.screens import drawn
from selfhost.cli.asked import one_machine
from selfhost.cli.browse_rows import BrowseOptions
from selfhost.judge.record import Verdict

if TYPE_CHECKING:
    from selfhost.cli.browse_screen import Browser

_SECONDS_BETWEEN_LOOKS = 0.01
_MOST_SECONDS = 300
_TEXT = re.compile(
    r'<text[^>]* x="([\d.]+)"[^>]* clip-path="[^"]*-line-(\d+)\)">([^<]*)</text>'
)
# the width of a character in the drawing, by rich's `Console.export_svg`
_CHARACTER = 12.2


class Seen(NamedTuple):
    """What a screen shows: its lines, the rows of its table, the answer beside it, and what was
    copied.
    """

    text: str
    rows: tuple[Verdict, ...]
    answer: str
    clipboard: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def ids(self) -> list[str]:
        return [row.model.id for row in self.rows]


class Visit:
    """A started screen, and the keys to press."""

    def __init__(self, app: Browser, pilot: Any) -> None:
        self.app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> Seen:
        """Press the keys one after the other, wait until all is judged, and look."""
        await self._pilot.press(*keys)
        await self.rest()
        return self.look()

    async def resize(self, columns: int, lines: int) -> Seen:
        """Give the terminal another size, wait, and look."""
        await self._pilot.resize_terminal(columns, lines)
        await self.rest()
        return self.look()

    async def rest(self) -> None:
        """Wait until nothing is judged any more."""
        await self._pilot.pause()
        while not self.app.is_at_rest:
            await self._pilot.pause(_SECONDS_BETWEEN_LOOKS)
        await self._pilot.pause()

    async def pause(self) -> None:
        """Let the screen go on for a moment."""
        await self._pilot.pause(0.02)

    async def quit(self) -> None:
        """Press q, and wait for nothing."""
        await self._pilot.press("q")

    def _answer(self) -> str:
        """The answer in the width of its place beside the table; of the screen without one."""
        answer = self.app.answer
        if answer is None:
            return ""
        beside = self.app.screen_stack[0].query_one("#answer").size.width
        return drawn(answer.text.blocks, beside or self.app.size.width)

    def look(self) -> Seen:
        """What the screen shows now."""
        app = self.app
        return Seen(
            text=_text_of(app.export_screenshot()),
            rows=tuple(app.table.rows),
            answer=self._answer(),
            clipboard=app.clipboard,
        )


def _text_of(picture: str) -> str:
    """The lines of the screen, without the blanks at their ends."""
    lines: dict[int, str] = {}
    for x, line, text in _TEXT.findall(picture):
        before = lines.get(int(line), "")
        column = round(float(x) / _CHARACTER)
        lines[int(line)] = before.ljust(column) + unescape(text)
    rows = [lines.get(at, "").rstrip() for at in range(max(lines) + 1)]
    return "\n".join(rows).replace("\N{NO-BREAK SPACE}", " ")


def visit(
    words: list[str],
    do: Callable[[Visit], Awaitable[None]],
    *,
    columns: int = 130,
    lines: int = 30,
    waits: bool = True,
) -> Browser:
    """Start the screen with the words of a command line, do something there, and end it."""
    from selfhost.cli.browse_screen import Browser

    options = BrowseOptions.read("browse", words)
    app = Browser(options, one_machine(options))

    async def go() -> None:
        # a screen that never comes to rest is told as a fault
        async with (
            asyncio.timeout(_MOST_SECONDS),
            _started(app, columns, lines) as started,
        ):
            if waits:
                await started.rest()
            await do(started)

    asyncio.run(go())
    return app


@asynccontextmanager
async def _started(app: Browser, columns: int, lines: int) -> AsyncIterator[Visit]:
    async with app.run_test(size=(columns, lines), notifications=True) as pilot:
        yield Visit(app, pilot)
