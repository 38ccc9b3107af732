"""Says what keeps a release from being published, and writes what changes with the first one.

    python tools/release.py                  # writes the pages, and the day of program and specs
    python tools/release.py --specs          # writes the day of the specs alone
    python tools/release.py --check v0.1.0   # says what is missing, and ends with 1
    python tools/release.py --check specs-2026-12-07

The author and the address are known to people alone. They stand in one place, pyproject.toml, and
what the pages say follows from them. `released.toml` has the sentences that are true before the
package is on PyPI, each beside the one that is true from then on, so that no page tells of a
command that does not work yet. `release.yml` and `specs.yml` of `.github/workflows/` publish nothing
that fails here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from selfhost.core import __version__
from selfhost.core.answering import day_of
from selfhost.core.records import Record

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("released.toml")
WRITE = "run `python tools/release.py`"
# the day of the specs, which `setup.py` of `data/` and every program read there
SPECS_FILE = "specs/common/format.toml"
WRITE_SPECS = "run `python tools/release.py --specs`"
SPECS_TAG = "specs-"

AUTHOR = """\
pyproject.toml names no author: fill in, below `[project]`,
  authors = [{ name = "..." }]"""
ADDRESS = '''\
pyproject.toml has no address: fill in, with the owner and the name of the repository,
  [project.urls]
  Repository = "https://github.com/OWNER/NAME"
  Issues = "https://github.com/OWNER/NAME/issues"
  Changelog = "https://github.com/OWNER/NAME/blob/main/CHANGELOG.md"'''

_REPOSITORY = re.compile(r"https://github\.com/(?!OWNER/)[\w.-]+/[\w.-]+")
_DAY = r"\d{4}-\d{2}-\d{2}"


class UnusableError(Exception):
    """Raised for a file of the project of which nothing can be told."""


class Sentence(Record):
    """What a page says before the first release and after it; `{repository}` and `{name}` stand for
    the address and its last two parts, and `{image}` for the container image, whose name has small
    letters alone.
    """

    file: str
    before: str
    after: str

    def said_at(self, repository: str) -> str:
        """The words after the release."""
        name = repository.removeprefix("https://github.com/")
        places = {
            "{repository}": repository,
            "{name}": name,
            "{image}": f"ghcr.io/{name.lower()}",
        }
        text = self.after
        for place, value in places.items():
            text = text.replace(place, value)
        return text


def sentences() -> list[Sentence]:
    """The rows of `released.toml`."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["sentence"]
    return [Sentence(**row) for row in rows]


def main(words: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The exit code: 0, or 1 where something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", metavar="TAG", help="write nothing; say what is missing"
    )
    parser.add_argument(
        "--specs", action="store_true", help="write the day of the specs alone"
    )
    options = parser.parse_args(words)
    tag = options.check
    today = datetime.now(UTC).date()
    faults: list[str] = []
    try:
        if tag is not None and tag.startswith(SPECS_TAG):
            faults = [*faults_of_specs(root, tag, day_of_commit(root))]
        elif tag is not None:
            faults = [*faults_of_release(root, tag, day_of_commit(root))]
        elif options.specs:
            write_files(root, {SPECS_FILE: specs_text(root, today)})
        else:
            faults = faults_of_project(root)
            if not faults:
                write(root, today)
    except UnusableError as error:
        faults = [str(error)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def faults_of_project(root: Path) -> list[str]:
    """What nobody has filled in yet, or not in its form."""
    project = project_in(root)
    faults = []
    authors = project.get("authors")
    if not isinstance(authors, list) or not any(map(_name_of, authors)):
        faults.append(AUTHOR)
    repository = _address(project, "Repository")
    below = [_address(project, name) for name in ("Issues", "Changelog")]
    is_below = all(url.startswith(f"{repository}/") for url in below)
    if not _REPOSITORY.fullmatch(repository) or not is_below:
        faults.append(ADDRESS)
    return faults


def _name_of(author: object) -> str:
    """The name of an author; "" where there is none."""
    name = author.get("name") if isinstance(author, dict) else None
    return name.strip() if isinstance(name, str) else ""


def _address(project: dict[str, Any], name: str) -> str:
    """An address of the project; "" where there is none."""
    urls = project.get("urls")
    url = urls.get(name) if isinstance(urls, dict) else None
    return url if isinstance(url, str) else ""


def faults_of_release(root: Path, tag: str, committed: date) -> Iterator[str]:
    """What keeps that tag from being published, each with what to do; `committed` is the day of the
    commit that it names.
    """
    yield from faults_of_project(root)
    if tag != f"v{__version__}":
        yield f"the tag is {tag}, and selfhost/core/__init__.py has version {__version__}"
    for file in told_before(root):
        yield f"{file} says what was true before the release: {WRITE}"
    heading = heading_in(read(root, "CHANGELOG.md"))
    if heading is None:
        yield f"CHANGELOG.md has no heading `## [{__version__}] - YYYY-MM-DD`"
        return
    try:
        day = date.fromisoformat(heading["day"])
    except ValueError:
        yield f"CHANGELOG.md dates the release {heading['day']}, which is no day: {WRITE}"
        return
    if day < committed:
        yield f"CHANGELOG.md dates the release {heading['day']}, before its commit of {committed}: {WRITE}"
        return
    yield from faults_of_day(root, committed)


def faults_of_specs(root: Path, tag: str, committed: date) -> Iterator[str]:
    """What keeps that tag of the specs from being published, each with what to do."""
    yield from faults_of_day(root, committed)
    day = day_of_specs(root)
    if tag != f"{SPECS_TAG}{day}":
        yield f"the tag is {tag}, and {SPECS_FILE} has the day {day}"


def faults_of_day(root: Path, committed: date) -> Iterator[str]:
    """The fault of specs that say an earlier day than that of the commit in which they are."""
    day = day_of_specs(root)
    if day < committed:
        yield f"{SPECS_FILE} dates the specs {day}, before their commit of {committed}: {WRITE_SPECS}"


def day_of_specs(root: Path) -> date:
    """The day that the specs state. Raises `UnusableError`."""
    day = day_of(str(root / "specs"))
    if day is None:
        raise UnusableError(f'{SPECS_FILE} has no line `as_of = "YYYY-MM-DD"`')
    return date.fromisoformat(day)


def told_before(root: Path) -> list[str]:
    """The pages that still say what was true before the release. README.md is one of them however
    it says so.
    """
    pages = []
    if "not on PyPI yet" in read(root, "README.md"):
        pages.append("README.md")
    for sentence in sentences():
        if sentence.before in read(root, sentence.file):
            pages.append(sentence.file)
    return list(dict.fromkeys(pages))


def write(root: Path, today: date) -> None:
    """Each page says what is true from the release on; CHANGELOG.md and the specs have the day of
    it.
    """
    repository = project_in(root)["urls"]["Repository"]
    texts = {sentence.file: read(root, sentence.file) for sentence in sentences()}
    for sentence in sentences():
        after = sentence.said_at(repository)
        texts[sentence.file] = texts[sentence.file].replace(sentence.before, after)
    changelog = read(root, "CHANGELOG.md")
    heading = heading_in(changelog)
    if heading is not None:
        start, end = heading.span("day")
        texts["CHANGELOG.md"] = f"{changelog[:start]}{today}{changelog[end:]}"
    texts[SPECS_FILE] = specs_text(root, today)
    write_files(root, texts)


def specs_text(root: Path, today: date) -> str:
    """The file with the day of the specs, from that day on."""
    line = rf'^as_of = "{_DAY}"$'
    return re.sub(
        line, f'as_of = "{today}"', read(root, SPECS_FILE), flags=re.MULTILINE
    )


def write_files(root: Path, texts: Mapping[str, str]) -> None:
    """Write the files that have another text, and tell them."""
    for file, text in texts.items():
        if text != read(root, file):
            try:
                (root / file).write_text(text, encoding="utf-8", newline="\n")
            except OSError as error:
                raise UnusableError(f"{file} cannot be written: {error}") from None
            print(file)


def heading_in(changelog: str) -> re.Match[str] | None:
    """The heading of this version, with its `day`."""
    heading = rf"^## \[{re.escape(__version__)}\] - (?P<day>{_DAY})$"
    return re.search(heading, changelog, re.MULTILINE)


def day_of_commit(root: Path) -> date:
    """The day in UTC of the commit that is checked out."""
    try:
        done = subprocess.run(
            ["git", "log", "-1", "--date=format-local:%Y-%m-%d", "--format=%cd"],
            cwd=root,
            env={**os.environ, "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=True,
        )
        return date.fromisoformat(done.stdout.strip())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        why = f"the day of the commit is not known: {error}"
        raise UnusableError(f"{why}; run this in a clone, with git") from None


def project_in(root: Path) -> dict[str, Any]:
    """The table `[project]` of pyproject.toml. Raises `UnusableError`."""
    text = read(root, "pyproject.toml")
    try:
        project = tomllib.loads(text).get("project")
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"pyproject.toml is not TOML: {error}") from None
    if not isinstance(project, dict):
        raise UnusableError("pyproject.toml has no table `[project]`")
    return project


def read(root: Path, file: str) -> str:
    """The text of a file. Raises `UnusableError`."""
    try:
        return (root / file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UnusableError(f"{file} cannot be read: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
