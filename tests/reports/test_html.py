"""Pages, notebooks and the summary line: whole without a network, safe whatever a spec says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree, html

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
from selfhost.core.tables import shipped_table
from selfhost.reports.layout import Column, Table, line
from selfhost.reports.list_text import list_document
from selfhost.reports.markup import page

TAGS = {
    *(
        "h1",
        "h2",
        "p",
        "pre",
        "b",
        "bdi",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    )
}
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m'"


def parsed(text: str) -> html.HtmlElement:
    """As a browser parses it."""
    return html.document_fromstring(text)


def tags(document: html.HtmlElement) -> list[str]:
    return [node.tag for node in document.iter(etree.Element)]


def listed(**changes: object) -> str:
    """The page of a list of the sample verdicts; `changes` are made to the first model."""
    first, *others = samples.every()
    verdicts = [
        first.replace(
            question=first.question.replace(spec=first.model.replace(**changes))
        ),
        *others,
    ]
    document = list_document(
        samples.listed(verdicts), top=None, wide=True, only_running=False
    )
    return page(document)


def test_nothing_is_loaded_or_run() -> None:
    """No element or attribute that loads or runs anything, and a policy that forbids it."""
    text = listed()
    document = parsed(text)
    assert text.isascii()
    assert set(tags(document)) <= TAGS | {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
    }
    assert not {
        key
        for node in document.iter()
        for key in node.attrib
        if key[:2] in ("on", "sr")
    }
    assert not re.search(r"https?:|url\(|@import", document.findtext(".//style"))
    (policy,) = document.xpath("//meta[@http-equiv]/@content")
    assert policy.startswith("default-src 'none'")


def test_a_hostile_spec_stays_text() -> None:
    """Names and licenses of any content add no element and no attribute."""
    hostile = parsed(
        listed(id=EVIL, name=EVIL, license=License(id=EVIL), released=EVIL)
    )
    assert tags(hostile) == tags(parsed(listed()))
    assert hostile.xpath("string(//tbody/tr[1]/td[2])").startswith(
        '"><script>alert(1)</script>'
    )
    assert not re.search("[\u202e\x1b]", hostile.text_content())


def test_a_notebook_shows_any_answer() -> None:
    """Nothing in it runs or loads, and what decides stands in it."""
    slow = Workload(min_tokens_per_second=500, quantization="Q8_0")
    other = check("mixtral", machine="macbook air m2 16gb").alternatives[0]
    answers: dict[str, Verdict | Ranking | Comparison | Plan | ContainerSize] = {
        "below the 500 you need": check("mistral-7b", slow, machine=VM),
        "a picture": check("sdxl", machine="rtx 3060 12gb"),
        other.model.name: other,
        "models run on": rank(machine="macbook-air-m2-16gb", use="reranking"),
        "phi-4": compare(["gpt2", "phi-4"], machine=VM),
        "never published": plan("gpt-4o"),
        "limit": size("mistral-7b", machine="rtx 3060"),
    }
    for words, answer in answers.items():
        shown = answer._repr_html_()
        assert set(tags(parsed(shown))) <= TAGS | {"html", "body"}
        assert shown.isascii()
        # an address is text to read, and nothing is loaded from it
        assert not any(part in shown for part in ("href", "src=", "url(", "@import"))
        assert words in parsed(shown).text_content()


def test_a_page_marks_what_another_page_offers_in_its_own_way() -> None:
    """`next: --from 4` and `its range: selfhost check MODEL` are links in `examples/page`, which
    had to look for these words in every text.
    """
    ranking = rank(machine="macbook-air-m2-16gb", top=6)
    shown = parsed(page(list_document(ranking, top=3, first_row=1)))
    typed = {}
    for hint in shown.find_class("hint"):
        _, shows = hint.get("class").split()
        typed[shows] = hint.find("span").text
    assert typed["rows"] == "--from 4"
    assert typed["columns"] == "--wide"
    assert typed["range"] == "its range: selfhost check MODEL"
    assert typed["models"] == "--all"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("check mistral-7b --machine m6a.xlarge", id="check"),
        pytest.param("plan gpt2", id="plan"),
    ],
)
def test_a_page_says_whose_option_shows_more(words: str, tmp_path: Path) -> None:
    """`Every figure with its source: -v` says nothing to those to whom a page is sent."""
    path = tmp_path / "page.html"
    assert main([*words.split(), "--output", str(path)]) == 0
    shown = parsed(path.read_text("utf-8")).text_content()
    assert ": the option -v of selfhost\n" in shown
    assert ": -v" not in shown


@pytest.mark.parametrize("model", ["mistral-7b", "llama-3.3-70b", "gpt-4o", "sdxl"])
def test_the_summary_is_one_line_that_any_console_prints(model: str) -> None:
    """The answer in words and the model's name, without the sign that some consoles lack."""
    verdict = check(model, machine=VM)
    assert verdict.model.name in verdict.summary
    assert "\n" not in verdict.summary
    assert "✓" not in verdict.summary
    assert "✗" not in verdict.summary
    assert ("RUNS" in verdict.summary) == verdict.can_run


@pytest.mark.parametrize(
    ("command", "quantization"),
    [
        pytest.param("check mistral-7b", "Q8_0", id="check"),
        # both in the type of the larger one
        pytest.param("compare gpt2 phi-4", "Q6_K", id="compare"),
        pytest.param("list phi-4 --all", "Q8_0", id="list"),
    ],
)
def test_a_file_that_ends_in_html_is_a_page(
    command: str, quantization: str, tmp_path: Path
) -> None:
    """It says what the terminal says, with the quantization that was judged."""
    path = tmp_path / "page.html"
    assert main([*command.split(), "--machine", "rtx 4090", "--output", str(path)]) == 0
    words = parsed(path.read_text(encoding="ascii")).text_content()
    assert quantization in words
    assert "mistral" in words.lower() or "phi-4" in words


def test_each_column_says_when_it_may_be_left_out() -> None:
    """On a narrow screen a page leaves out what a narrow terminal does.

    Each cell, the title too, has the `drop` of its column as a class.
    """
    columns = (
        Column(title="model"),
        Column(title="size", right=True, drop=2),
        Column(title="why", drop=1, wrap=True),
        Column(title="blank", drop=3),
    )
    table = Table(
        columns=columns, rows=(("gpt2", "1 GB", "x", ""), ("phi-4", "9 GB", "y", ""))
    )
    document = parsed(page([line("Title"), table]))
    cells = [[cell.get("class") for cell in row] for row in document.xpath("//tr")]
    assert cells == [[None, "drop2", "drop1"], *[[None, "n drop2", "drop1"]] * 2]
    style = document.findtext(".//style")
    drops: set[int] = set()
    for form in shipped_table("labels")["tables"].values():
        drops.update(drop for _, _, drop in form["columns"])
    assert all(f".drop{drop}" in style for drop in drops - {0})
    assert ".drop0" not in style
