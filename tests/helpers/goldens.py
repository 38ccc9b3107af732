"""Whole outputs kept as files."""

from __future__ import annotations

from helpers.paths import GOLDEN, ROOT

FOLDER = GOLDEN


class Golden:
    """Compares a text with tests/golden/NAME, version and place of the checkout masked; with `pytest --update-golden` writes it."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def __call__(self, name: str, text: str) -> None:
        from selfhost import __version__

        masked = text.replace(__version__, "VERSION").replace(str(ROOT), "CHECKOUT")
        path = FOLDER / name
        if self.update:
            path.write_text(masked, encoding="utf-8")
        assert path.exists(), f"{path} is missing: run pytest --update-golden, then read it"
        assert masked == path.read_text(encoding="utf-8")
