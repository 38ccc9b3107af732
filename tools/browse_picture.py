"""Draw `docs/browse.svg`: the screen of `selfhost browse` for a known machine.

    python tools/browse_picture.py

Needs the extra `tui`.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from selfhost.cli.asked import one_machine
from selfhost.cli.browse_rows import BrowseOptions
from selfhost.cli.browse_screen import Browser

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "browse.svg"
WORDS = ["instruct", "--machine", "macbook air m2 16gb"]
SIZE = (124, 30)


async def draw() -> str:
    """The picture, once all models are judged."""
    options = BrowseOptions.read("browse", WORDS)
    app = Browser(options, one_machine(options))
    async with app.run_test(size=SIZE) as pilot:
        await settle(app, pilot)
        await pilot.press("down", "down")
        await settle(app, pilot)
        picture: str = app.export_screenshot(title="selfhost browse", simplify=True)
    return picture


async def settle(app: Browser, pilot: Any) -> None:
    """Wait until nothing is judged any more."""
    await pilot.pause()
    while not app.is_at_rest:
        await pilot.pause(0.1)


def without_fonts(picture: str) -> str:
    """The picture with the fonts of whoever looks: a page must not fetch any from elsewhere."""
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(without_fonts(asyncio.run(draw())), encoding="utf-8")
