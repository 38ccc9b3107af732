"""What a release is held to: the author and the address are filled in, pages tell what is true once
the package is on PyPI, and links lead somewhere wherever a page is read.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import links
import release
from helpers.paths import ROOT
from helpers.publishing import ADDRESS, AUTHORS, URLS, fill_in
from selfhost import __version__

TAG = f"v{__version__}"
DAY = date(2026, 12, 24)
PAGES = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A copy of what a release reads and writes, with the author and the address filled in."""
    files = {"pyproject.toml", release.SPECS_FILE, *PAGES}
    files |= {row.file for row in release.sentences()}
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    fill_in(tmp_path, AUTHORS, URLS)
    return tmp_path


@pytest.fixture
def released(filled: Path) -> Path:
    """The same, after the pages and the day were written."""
    release.write(filled, DAY)
    return filled


def test_a_filled_in_project_is_released(released: Path) -> None:
    """Nothing is missing; what `pipx` and `uvx` install comes first."""
    assert [*release.faults_of_release(released, TAG, DAY)] == []
    readme = (released / "README.md").read_text(encoding="utf-8")
    first, second = readme.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert first == "pipx install selfhost-check && selfhost check mistral-7b"
    assert second.startswith("uvx selfhost-check check mistral-7b ")
    assert "not on PyPI" not in readme
    # one page, with the command of a clone that tests and CI run
    assert len(readme.splitlines()) <= 120
    assert ".venv/bin/pip install . && .venv/bin/selfhost check mistral-7b" in readme
    security = (released / "SECURITY.md").read_text(encoding="utf-8")
    assert f"({ADDRESS}/security/advisories/new)" in security
    assert f"## [{__version__}] - {DAY}" in (released / "CHANGELOG.md").read_text(
        "utf-8"
    )
    assert release.day_of_specs(released) == DAY


def test_writing_twice_changes_nothing(released: Path) -> None:
    before = {name: (released / name).read_bytes() for name in PAGES}
    release.write(released, DAY)
    assert {name: (released / name).read_bytes() for name in PAGES} == before


@pytest.mark.parametrize(
    ("authors", "urls", "said"),
    [
        pytest.param("", URLS, ["names no author"], id="no-author"),
        pytest.param(
            'authors = [{ name = "" }]\n', URLS, ["names no author"], id="empty"
        ),
        pytest.param(AUTHORS, "", ["has no address"], id="no-address"),
        pytest.param(
            'authors = [{ name = " " }]\n', URLS, ["names no author"], id="blank"
        ),
        pytest.param("", "", ["names no author", "has no address"], id="neither"),
        pytest.param('authors = "Somebody"\n', URLS, ["names no author"], id="a-text"),
        pytest.param('authors = ["Somebody"]\n', URLS, ["names no author"], id="texts"),
        pytest.param(
            "authors = [{ name = 7 }]\n", URLS, ["names no author"], id="a-number"
        ),
        pytest.param(
            'authors = { name = "Somebody" }\n',
            URLS,
            ["names no author"],
            id="a-table",
        ),
        pytest.param(
            f'urls = "{ADDRESS}"\n{AUTHORS}', "", ["has no address"], id="one-url"
        ),
        pytest.param(
            AUTHORS,
            "\n[project.urls]\nRepository = 7\nIssues = [7]\n",
            ["has no address"],
            id="no-texts",
        ),
        pytest.param(
            AUTHORS,
            URLS.replace("somebody/selfhost", "OWNER/NAME"),
            ["has no address"],
            id="pasted-as-it-is",
        ),
        pytest.param(
            AUTHORS,
            URLS.replace("Issues", "Homepage"),
            ["has no address"],
            id="no-issues",
        ),
        pytest.param(
            AUTHORS,
            URLS.replace(
                f"{ADDRESS}/issues", "https://github.com/other/selfhost/issues"
            ),
            ["has no address"],
            id="issues-elsewhere",
        ),
    ],
)
def test_an_empty_place_ends_the_release_with_what_to_fill_in(
    authors: str,
    urls: str,
    said: list[str],
    released: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The check tells so, and nothing is written."""
    fill_in(released, authors, urls)
    faults = [*release.faults_of_release(released, TAG, DAY)]
    assert len(faults) == len(said)
    for fault, words in zip(faults, said, strict=True):
        assert f"pyproject.toml {words}: fill in" in fault
    readme = (ROOT / "README.md").read_bytes()
    (released / "README.md").write_bytes(readme)
    assert release.main([], root=released) == 1
    assert "fill in" in capsys.readouterr().err
    assert (released / "README.md").read_bytes() == readme


def test_pages_that_tell_what_was_true_before_end_the_release(released: Path) -> None:
    """Each sentence by itself, and README.md in other words too."""
    for row in release.sentences():
        path = released / row.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text + row.before, encoding="utf-8")
        faults = [*release.faults_of_release(released, TAG, DAY)]
        assert len(faults) == 1
        assert faults[0].startswith(f"{row.file} says what was true before")
        path.write_text(text, encoding="utf-8")
    with (released / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("It is not on PyPI yet.\n")
    (fault,) = release.faults_of_release(released, TAG, DAY)
    assert fault.startswith("README.md says")


@pytest.mark.parametrize(
    ("tag", "committed", "said"),
    [
        pytest.param("v0.0.9", DAY, "the tag is v0.0.9, and", id="other-tag"),
        pytest.param(__version__, DAY, f"the tag is {__version__}, and", id="no-v"),
        pytest.param(
            TAG,
            date(2026, 12, 25),
            "CHANGELOG.md dates the release 2026-12-24, before its commit of 2026-12-25",
            id="date-before-commit",
        ),
    ],
)
def test_the_tag_and_the_day_are_those_of_the_release(
    tag: str, committed: date, said: str, released: Path
) -> None:
    (fault,) = release.faults_of_release(released, tag, committed)
    assert fault.startswith(said)


@pytest.mark.parametrize(
    ("tag", "committed", "said"),
    [
        pytest.param(f"specs-{DAY}", DAY, [], id="right"),
        pytest.param(
            "specs-2026.12.24",
            DAY,
            ["the tag is specs-2026.12.24, and"],
            id="other-tag",
        ),
        pytest.param(
            f"specs-{DAY}",
            date(2026, 12, 25),
            [f"{release.SPECS_FILE} dates the specs 2026-12-24, before their commit"],
            id="date-before-commit",
        ),
    ],
)
def test_specs_are_published_by_the_day_that_they_state(
    tag: str, committed: date, said: list[str], released: Path
) -> None:
    faults = [*release.faults_of_specs(released, tag, committed)]
    assert len(faults) == len(said)
    for fault, words in zip(faults, said, strict=True):
        assert fault.startswith(words)


def test_the_day_of_the_specs_is_written_alone(filled: Path) -> None:
    before = {name: (filled / name).read_bytes() for name in PAGES}
    assert release.main(["--specs"], root=filled) == 0
    today = datetime.now(UTC).date()
    assert release.day_of_specs(filled) in (today, today - timedelta(days=1))
    assert {name: (filled / name).read_bytes() for name in PAGES} == before


def test_specs_without_a_day_are_not_published(filled: Path) -> None:
    (filled / release.SPECS_FILE).write_text("format = 1\n", encoding="utf-8")
    with pytest.raises(release.UnusableError, match="has no line `as_of"):
        [*release.faults_of_specs(filled, "specs-2026-12-24", DAY)]


def test_a_version_without_its_section_ends_the_release(released: Path) -> None:
    changelog = released / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(f"[{__version__}]", "[0.0.9]"), encoding="utf-8")
    (fault,) = release.faults_of_release(released, TAG, DAY)
    assert fault.startswith(f"CHANGELOG.md has no heading `## [{__version__}]")


@pytest.mark.parametrize("day", ["2026-99-99", "2026-02-30", "0000-01-01"])
def test_a_day_that_is_none_ends_the_release(day: str, released: Path) -> None:
    """And is written anew with the others."""
    changelog = released / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(f"{DAY}", day), encoding="utf-8")
    (fault,) = release.faults_of_release(released, TAG, DAY)
    assert fault.startswith(f"CHANGELOG.md dates the release {day}, which is no day")
    release.write(released, DAY)
    assert [*release.faults_of_release(released, TAG, DAY)] == []


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        pytest.param("pyproject.toml", b"[project", "is not TOML", id="no-TOML"),
        pytest.param("pyproject.toml", b"x = 1\n", "has no table", id="no-project"),
        pytest.param("pyproject.toml", b"project = 1\n", "has no table", id="no-table"),
        pytest.param("pyproject.toml", b"\xff", "cannot be read", id="no-text"),
        pytest.param("pyproject.toml", None, "cannot be read", id="no-file"),
        pytest.param("CHANGELOG.md", None, "cannot be read", id="no-changelog"),
    ],
)
def test_a_file_of_which_nothing_can_be_told_ends_the_release(
    file: str,
    content: bytes | None,
    said: str,
    filled: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By a sentence, where there was a traceback."""
    if content is None:
        (filled / file).unlink()
    else:
        (filled / file).write_bytes(content)
    assert release.main([], root=filled) == 1
    told = capsys.readouterr().err
    assert file in told
    assert said in told


def test_each_sentence_is_on_its_page() -> None:
    """One that a page lost would be told untrue after the release. All pages tell of the same time:
    before the first release or, with an address in pyproject.toml, after it.
    """
    address = links.repository()
    for row in release.sentences():
        text = (ROOT / row.file).read_text(encoding="utf-8")
        expected = row.before
        if address is not None:
            expected = row.said_at(address)
        assert expected in text, f"{row.file}: {expected}; mend tools/released.toml"


# links


def targets(text: str) -> list[str]:
    """What the links and pictures of a page name, outside of code."""
    found: list[str] = []

    def keep(line: str) -> str:
        found.extend(re.findall(r"\]\(([^)]+)\)", line))
        found.extend(re.findall(r'(?:src|srcset|href)="([^"]+)"', line))
        return line

    links.outside_code(text, keep)
    return found


def anchors(text: str) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_are_there(page: str) -> None:
    """Each relative link of a page, and the heading that it names."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in targets(text):
        # the site has the page for browsers there: `.github/workflows/site.yml`
        if re.match("[a-z]+:", target) or target == "page/":
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if heading:
            assert heading in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_linked_not_only_named(page: str) -> None:
    """A code span that names a page leads nowhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.findall(r"`[\w./-]*\w\.md`", text) == []


def test_the_page_on_pypi_has_whole_links(released: Path) -> None:
    """PyPI serves no other file: each link leads to the files of that version, each picture to its
    bytes. The words of the page stay.
    """
    page = links.pypi_page(TAG, released)
    for target in targets(page):
        assert re.match("https://", target), target
    for name in ("check-light.svg", "browse.svg", "page.png"):
        address = (
            f"https://raw.githubusercontent.com/somebody/selfhost/{TAG}/docs/{name}"
        )
        assert f'src="{address}"' in page
    assert f"({ADDRESS}/blob/{TAG}/docs/usage.md)" in page
    assert f"({ADDRESS}/tree/{TAG}/examples/)" in page
    readme = (released / "README.md").read_text(encoding="utf-8")
    for before, after in zip(readme.splitlines(), page.splitlines(), strict=True):
        assert words_of(before) == words_of(after)


def words_of(line: str) -> str:
    """A line without the targets of its links."""
    return re.sub(r'\]\([^)]+\)|(src|srcset)="[^"]+"', "", line)


def test_without_an_address_the_page_is_the_readme(filled: Path) -> None:
    fill_in(filled, "", "")
    readme = (filled / "README.md").read_text(encoding="utf-8")
    assert links.pypi_page(TAG, filled) == readme


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param(
            ADDRESS,
            f"See [the rules]({ADDRESS}/blob/main/CONTRIBUTING.md) and [use](usage.md#extras).",
            id="address",
        ),
        pytest.param(
            None, "See the rules and [use](usage.md#extras).", id="no-address"
        ),
    ],
)
def test_the_site_has_no_link_to_a_file_that_it_lacks(
    address: str | None, expected: str
) -> None:
    page = "See [the rules](../CONTRIBUTING.md) and [use](usage.md#extras)."
    code = "\n```md\n[the rules](../CONTRIBUTING.md)\n```\n"
    assert links.site_page(page + code, address) == expected + code


def test_the_extras_that_pages_name_are_there() -> None:
    """`.[tui]` before the release, `selfhost-check[tui]` after it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(tomllib.loads(text)["project"]["optional-dependencies"])
    named = {"tui", "mcp"}
    for row in release.sentences():
        for words in re.findall(
            r"(?:\.|selfhost-check)\[([\w,]+)\]", row.before + row.after
        ):
            named |= set(words.split(","))
    for page in PAGES:
        for words in re.findall(r"'\.\[([\w,]+)\]'", (ROOT / page).read_text("utf-8")):
            named |= set(words.split(","))
    assert named <= extras
