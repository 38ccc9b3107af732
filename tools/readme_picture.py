"""Draws the picture at the top of the README: what the program prints, in light and in dark.

    python tools/readme_picture.py

Run it after a change of what `selfhost check` prints; `tests/test_docs.py` says when. The machine is
a known one and prices are those of the snapshot's day, so that every computer draws the same picture.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from selfhost import Verdict, Workload
from selfhost.advice.verdicts import check_with
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.offers import snapshot
from selfhost.machine.named import named
from selfhost.reports.check_text import check_document
from selfhost.reports.screen import Drawn

DOCS = Path(__file__).resolve().parents[1] / "docs"
MACHINE = "macbook-air-m2-16gb"
MODELS = ("mistral-7b",)
COLUMNS = 96

# backgrounds of GitHub's pages, and of its ANSI colours those with a contrast of 4.5 on them
_LIGHT = ("#ffffff", "#1f2328", ("#24292f", "#cf222e", "#116329", "#7d4e00", "#0969da", "#8250df", "#1b6b77", "#57606a"))  # fmt: skip
_DARK = ("#0d1117", "#e6edf3", ("#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"))  # fmt: skip
THEMES = {"light": _LIGHT, "dark": _DARK}

# rich's own template loads a font from the web; no picture of ours loads anything
_SVG = """<svg class="selfhost" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="BACKGROUND" stroke="#888888" stroke-opacity="0.4" />
<g transform="translate({terminal_x}, 24)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def verdicts() -> list[Verdict]:
    """What the picture shows."""
    catalogue, machine = open_catalogue(), named(MACHINE)[0]
    today = snapshot(catalogue.offers_path).day
    return [
        check_with(catalogue, name, Workload(), machine, today=today) for name in MODELS
    ]


def picture(theme: str) -> str:
    """The commands and their answers as SVG, in one of THEMES."""
    background, foreground, colors = THEMES[theme]
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for number, verdict in enumerate(verdicts()):
        if number:
            console.print()
        typed = f"$ selfhost check {verdict.asked} --machine {MACHINE}"
        console.print(Text(typed, style="bold"), soft_wrap=True)
        console.print(Drawn(check_document([verdict])), soft_wrap=True)
    rgb = [_rgb(color) for color in colors]
    terminal = TerminalTheme(_rgb(background), _rgb(foreground), rgb, rgb)
    drawn = console.export_svg(
        title="",
        theme=terminal,
        code_format=_SVG.replace("BACKGROUND", background),
        unique_id=f"selfhost-{theme}",
    )
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def path_of(theme: str) -> Path:
    """Where the README looks for it."""
    return DOCS / f"check-{theme}.svg"


def main() -> None:
    for theme in THEMES:
        path_of(theme).write_text(picture(theme), encoding="utf-8", newline="\n")
        print(path_of(theme).relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
