"""What Python shows of an answer: the summary line, and the table for a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

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


def page(html: str) -> Page:
    parsed = Page()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []
    return parsed


def answers() -> dict[str, Verdict | Ranking | Comparison | Plan | ContainerSize]:
    """One of each, with sentences that name options on the command line."""
    slow = Workload(min_tokens_per_second=500, quantization="Q8_0")
    return {
        "REASON": check("mistral-7b", slow, machine=VM),
        "CLOSED": check("gpt-4o", slow.replace(quantization=None), machine=VM),
        "PICTURE": check("sdxl", machine="rtx 3060"),
        "FIRST": rank(machine="macbook-air-m2-16gb", use="reranking"),
        "PAIR": compare(["gpt2", "phi-4"], machine=VM),
        "LEAST": plan("gpt-4o"),
        "REQUEST": size("mistral-7b", machine="rtx 3060"),
    }


def test_a_notebook_shows_any_answer() -> None:
    """Nothing in it runs or loads, and what decides stands in it."""
    shown = {name: answer._repr_html_() for name, answer in answers().items()}
    pages = {name: page(html) for name, html in shown.items()}
    for name, html in shown.items():
        seen = pages[name].seen
        assert seen <= {
            *("h1", "h2", "p", "pre", "b", "bdi", "span"),
            *("table", "thead", "tbody", "tr", "th", "td"),
        }, name
        assert html.isascii()
        assert len(html) < 9000
        # an address is text to read, and nothing is loaded from it
        assert not any(part in html for part in ("href", "src=", "url(", "@import"))
    assert "you need 500" in pages["REASON"].text
    assert "GPT-4o" in pages["CLOSED"].text
    assert all(name in pages["PAIR"].text for name in ("gpt2", "phi-4"))
    assert "never published" in pages["LEAST"].text
    assert "limit" in pages["REQUEST"].text


def test_words_of_a_spec_are_no_html() -> None:
    """A model whose name is a tag stays text."""
    name = "<script>alert(1)</script>\x1b[31m"
    verdict = check("mistral-7b", machine=VM)
    model = verdict.model.replace(name=name)
    told = verdict.replace(model=model)
    held = compare(["gpt2", "phi-4"], machine=VM)
    both = held.replace(models=tuple(each.replace(verdict=told) for each in held.models))
    shapes = (told, both, plan("gpt-4o").replace(model=model), size("gpt2").replace(model=model))
    for answer in shapes:
        html = answer._repr_html_()
        assert "<script" not in html
        assert answer is both or "alert(1)" in page(html).text
        assert "\x1b" not in html + told.summary


@pytest.mark.parametrize("model", MODELS)
def test_the_summary_is_one_line_that_any_console_prints(model: str) -> None:
    """The answer in words and the model's name, in one line, without the sign that some consoles lack."""
    verdict = check(model, machine=VM)
    assert verdict.model.name in verdict.summary
    assert "\n" not in verdict.summary
    assert "✓" not in verdict.summary
    assert "✗" not in verdict.summary
    assert ("RUNS" in verdict.summary) == verdict.can_run
