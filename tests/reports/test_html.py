"""Pages, notebooks and the summary line: whole without a network, safe whatever a spec says."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from helpers import report_samples as samples
from helpers.machines import VM
from selfhost import (
    Comparison,
    ContainerSize,
    Plan,
    Ranking,
    Verdict,
    Workload,
    check,
    compare,
    plan,
    rank,
    size,
)
from selfhost.catalogue.spec import License
from selfhost.cli.main import main
from selfhost.reports.markup import page
from selfhost.reports.models_text import list_document

# elements that HTML closes by themselves
VOID = {"meta"}
TAGS = {
    *("h1", "h2", "p", "pre", "b", "bdi", "span", "table", "thead", "tbody", "tr", "th", "td"),
}
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
    verdicts = [
        first.replace(question=first.question.replace(spec=first.model.replace(**changes))),
        *others,
    ]
    document = list_document(samples.listed(verdicts), top=None, wide=True, only_running=False)
    return page(document)


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


def test_a_notebook_shows_any_answer() -> None:
    """Nothing in it runs or loads, and what decides stands in it."""
    slow = Workload(min_tokens_per_second=500, quantization="Q8_0")
    answers: dict[str, Verdict | Ranking | Comparison | Plan | ContainerSize] = {
        "you need 500": check("mistral-7b", slow, machine=VM),
        "a picture": check("sdxl", machine="rtx 3060 12gb"),
        "models run on": rank(machine="macbook-air-m2-16gb", use="reranking"),
        "phi-4": compare(["gpt2", "phi-4"], machine=VM),
        "never published": plan("gpt-4o"),
        "limit": size("mistral-7b", machine="rtx 3060"),
    }
    for words, answer in answers.items():
        shown = answer._repr_html_()
        page = Page(shown)
        assert {tag for tag, _ in page.tags} <= TAGS
        assert shown.isascii()
        # an address is text to read, and nothing is loaded from it
        assert not any(part in shown for part in ("href", "src=", "url(", "@import"))
        assert words in page.words


@pytest.mark.parametrize("model", ["mistral-7b", "llama-3.3-70b", "gpt-4o", "sdxl"])
def test_the_summary_is_one_line_that_any_console_prints(model: str) -> None:
    """The answer in words and the model's name, in one line, without the sign that some consoles lack."""
    verdict = check(model, machine=VM)
    assert verdict.model.name in verdict.summary
    assert "\n" not in verdict.summary
    assert "✓" not in verdict.summary
    assert "✗" not in verdict.summary
    assert ("RUNS" in verdict.summary) == verdict.can_run


@pytest.mark.parametrize("command", ["check mistral-7b", "compare gpt2 phi-4", "list --all"])
def test_a_file_that_ends_in_html_is_a_page(command: str, tmp_path: Path) -> None:
    """It says what the terminal says, with the quantization that was judged."""
    path = tmp_path / "page.html"
    assert main([*command.split(), "--machine", "rtx 4090", "--output", str(path)]) == 0
    words = Page(path.read_text(encoding="ascii")).words
    assert "Q8_0" in words
    assert "mistral" in words.lower() or "phi-4" in words
