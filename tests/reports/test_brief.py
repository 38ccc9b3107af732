"""What Python shows of a verdict: the summary line, and the fragment for a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from helpers.machines import VM
from selfhost import Verdict, check
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

MODELS = ("mistral-7b", "llama-3.3-70b", "gpt-4o", "sdxl")


class Page(HTMLParser):
    """Elements opened and not closed, the tags seen, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(verdict: Verdict) -> Page:
    parsed = Page()
    parsed.feed(verdict._repr_html_())
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.mark.parametrize("model", MODELS)
def test_a_notebook_shows_what_check_prints(model: str) -> None:
    """Every word of the text is in the fragment; nothing in it runs or loads, and it stays small."""
    verdict = check(model, machine=VM)
    shown = page(verdict)
    assert "".join(shown.text.split()) == "".join(plain(check_document([verdict])).split())
    assert shown.seen <= {"div", "p", "b", "table", "tr", "td", "span", "pre"}
    html = verdict._repr_html_()
    assert html.isascii()
    assert len(html) < 6000
    # an address is text to read, and nothing is loaded from it
    assert not any(part in html for part in ("href", "src=", "url(", "@import"))


def test_words_of_a_spec_are_no_html() -> None:
    """A model whose name is a tag stays text."""
    verdict = check("mistral-7b", machine=VM)
    name = "<script>alert(1)</script>\x1b[31m"
    told = verdict.replace(model=verdict.model.replace(name=name))
    assert "<script" not in told._repr_html_()
    assert "alert(1)" in page(told).text
    assert "\x1b" not in told._repr_html_() + told.summary


@pytest.mark.parametrize("model", MODELS)
def test_the_summary_is_one_line_that_any_console_prints(model: str) -> None:
    """The answer in words and the model's name, in one line, without the sign that some consoles lack."""
    verdict = check(model, machine=VM)
    assert verdict.model.name in verdict.summary
    assert "\n" not in verdict.summary
    assert "✓" not in verdict.summary
    assert "✗" not in verdict.summary
    assert ("RUNS" in verdict.summary) == verdict.can_run
