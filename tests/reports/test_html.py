"""Pages and notebooks: whole without a network, safe whatever a spec says."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from helpers import report_samples as samples
from selfhost.catalogue.spec import License
from selfhost.reports.list_text import list_document
from selfhost.reports.markup import page

# elements that HTML closes by themselves
VOID = {"meta"}
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m'"


class Page(HTMLParser):
    """What a browser would make of it; asserts that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.raw: dict[str, str] = {}
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
            return
        self.words += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def listed(**changes: object) -> str:
    """The page of a list of the sample verdicts; `changes` are made to the first model."""
    first, *others = samples.every()
    verdicts = [first.replace(model=first.model.replace(**changes)), *others]
    document = list_document(
        samples.listed(verdicts), samples.LAPTOP, top=None, wide=True, only_running=False
    )
    return page("Models", document)


def test_every_model_has_a_row_of_its_own() -> None:
    """All that were judged, in the order given, under the titles of the columns."""
    made = Page(listed())
    assert [row[1] for row in made.rows[1:]] == [each.model.id for each in samples.every()]
    assert len({len(row) for row in made.rows}) == 1


def test_nothing_is_loaded_or_run() -> None:
    """No element or attribute that loads or runs anything, and a policy that forbids it."""
    text = listed()
    made = Page(text)
    assert text.isascii()
    tags = {name for name, _ in made.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "a", "svg"}
    assert not {key for _, each in made.tags for key in each if key.startswith(("on", "src"))}
    assert not re.search(r"https?:|url\(|@import", made.raw["style"])
    (policy,) = (each["content"] or "" for name, each in made.tags if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")


def test_a_hostile_spec_stays_text() -> None:
    """Names and licenses of any content add no element and no attribute."""
    made = Page(listed(id=EVIL, name=EVIL, license=License(id=EVIL), released=EVIL))
    plain = Page(listed())
    assert [name for name, _ in made.tags] == [name for name, _ in plain.tags]
    assert made.rows[1][1].startswith('"><script>alert(1)</script>')
    assert not re.search("[\u202e\x1b]", made.words)
