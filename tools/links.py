"""Makes links whole on pages that are read where the other files of the project are not.

PyPI shows README.md alone, and the site holds `docs/` alone. Both take the project's address from one
place, `[project.urls]` in pyproject.toml. While no address stands there, the page for PyPI keeps
its relative links, and on the site a link that leaves `docs/` is its words alone.

`setup.py` calls `pypi_page`; MkDocs calls `on_page_markdown`, since `mkdocs.yml` names this file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# `[words](target)`, of a picture with `!` before it
_MARKDOWN = re.compile(r"(?P<mark>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")
# the attribute of an element of HTML that names a picture
_HTML = re.compile(r'(?P<name>src|srcset)="(?P<target>[^"]+)"')
# what has a scheme or names a place of the same page is whole as it is
_WHOLE = re.compile(r"[a-z]+:|#")


def repository(root: Path = ROOT) -> str | None:
    """The project's address, such as `https://github.com/OWNER/selfhost`. None where nobody has
    filled it in: before the first release.
    """
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    urls: dict[str, str] = tomllib.loads(text)["project"].get("urls", {})
    return urls.get("Repository")


def file_address(repository: str, version: str, path: str) -> str:
    """Where a file or a folder is shown. `version` is a tag or a branch; a folder ends in `/`."""
    kind = "tree" if path.endswith("/") else "blob"
    return f"{repository}/{kind}/{version}/{path}"


def picture_address(repository: str, version: str, path: str) -> str:
    """Where the bytes of a picture are served: the page of a file on GitHub is HTML."""
    raw = repository.replace(
        "https://github.com/", "https://raw.githubusercontent.com/"
    )
    return f"{raw}/{version}/{path}"


def pypi_page(version: str, root: Path = ROOT) -> str:
    """README.md as PyPI shows it: each link leads to the files of that version, `v0.1.0`."""
    page = (root / "README.md").read_text(encoding="utf-8")
    address = repository(root)
    if address is None:
        return page

    def whole_link(found: re.Match[str]) -> str:
        target = found["target"]
        if _WHOLE.match(target):
            return found[0]
        if found["mark"]:
            target = picture_address(address, version, target)
        else:
            target = file_address(address, version, target)
        return f"{found['mark']}[{found['words']}]({target})"

    def whole_picture(found: re.Match[str]) -> str:
        if _WHOLE.match(found["target"]):
            return found[0]
        target = picture_address(address, version, found["target"])
        return f'{found["name"]}="{target}"'

    def whole(line: str) -> str:
        return _HTML.sub(whole_picture, _MARKDOWN.sub(whole_link, line))

    return outside_code(page, whole)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' event: a page of `docs/`, whose links to files outside lead to the branch `main`."""
    return site_page(markdown, repository())


def site_page(page: str, address: str | None) -> str:
    """The page with whole links where they leave `docs/`, or with their words alone."""

    def whole_link(found: re.Match[str]) -> str:
        if not found["target"].startswith("../"):
            return found[0]
        if address is None:
            return found["words"]
        target = file_address(address, "main", found["target"].removeprefix("../"))
        return f"[{found['words']}]({target})"

    return outside_code(page, lambda line: _MARKDOWN.sub(whole_link, line))


def outside_code(page: str, change: Callable[[str], str]) -> str:
    """The page with each line changed that is not in a block of code."""
    lines = []
    is_code = False
    for line in page.splitlines(keepends=True):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        lines.append(line if is_code else change(line))
    return "".join(lines)
