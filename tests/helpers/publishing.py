"""What people fill in before the first release, in a copy of the project."""

from __future__ import annotations

import re
from pathlib import Path

ADDRESS = "https://github.com/somebody/selfhost"
AUTHORS = 'authors = [{ name = "Somebody" }]\n'
URLS = f"""
[project.urls]
Repository = "{ADDRESS}"
Issues = "{ADDRESS}/issues"
Changelog = "{ADDRESS}/blob/main/CHANGELOG.md"
"""


def fill_in(root: Path, authors: str, urls: str) -> None:
    """Put both into pyproject.toml, in place of what may stand there."""
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^authors = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\[project\.urls\]\n(.+\n)+", "", text, flags=re.MULTILINE)
    text = text.replace("[project]\n", f"[project]\n{authors}", 1)
    path.write_text(text + urls, encoding="utf-8")
