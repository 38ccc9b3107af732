"""The catalogue as a page: whole without a network and without JavaScript, safe whatever a spec says."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

from helpers import report_samples as samples
from helpers.goldens import Golden
from selfhost import Machine, Workload
from selfhost.advice.listing import Lister
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.offers import Offer, cheapest_first
from selfhost.catalogue.spec import License
from selfhost.machine.profiles import load
from selfhost.reports.html import catalogue_page
from selfhost.verdict.record import Answer

# elements that HTML closes by themselves
VOID = {"meta", "input", "br", "link", "img"}
# attributes that make a browser fetch something
LOADING = {
    "src",
    "srcset",
    "data",
    "poster",
    "background",
    "action",
    "formaction",
    "ping",
    "manifest",
    "imagesrcset",
}


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

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(rows: tuple[Answer, ...], machine: Machine = samples.LAPTOP, asked: str = "") -> str:
    prices = {answer.model.id: samples.offers()[0] for answer in rows[:1]}
    return catalogue_page(rows, machine, prices, asked=asked)


def test_every_model_has_a_row_of_its_own(packed: Path) -> None:
    """All of the catalogue is in the file itself, in the order given, with a heading for each column and each row."""
    machine = load("desktop-rtx4060-8gb").machine
    shipped = Catalogue.open(shipped=str(packed))
    rows = Lister(shipped, Workload(), machine, today="2026-06-01").all().answers
    text = catalogue_page(rows, machine, {})
    made = Page(text)
    assert len(rows) > 350
    assert [row[0] for row in made.rows[1:]] == [
        answer.model.name + answer.model.id for answer in rows
    ]
    # the words of the first line of `check`
    words = {"local": "runs", "api": "use an API", "neither": "no way", "unknown": "cannot tell"}
    assert [row[1] for row in made.rows[1:]] == [words[answer.route] for answer in rows]
    assert {len(row) for row in made.rows} == {12}
    assert {attributes["scope"] for attributes in made.all("th")} == {"col", "row"}
    assert len([name for name, _ in made.tags if name == "th"]) == 12 + len(rows)
    assert len(text) < 1_000_000


def test_how_a_name_was_taken_is_on_the_page() -> None:
    """A page is read by others than who typed the name, and standard error is gone by then."""
    note = '"rtx a2000" is a GPU: judged as <6 GB>.'
    made = Page(catalogue_page((), samples.LAPTOP, {}, notes=(note,)))
    assert note in made.words


def test_nothing_is_loaded_from_anywhere() -> None:
    """No element, style or script fetches anything, and the policy in the head forbids it; links leave no trace of where one came from."""
    text = page(samples.every())
    made = Page(text)
    assert not {name for name, _ in made.tags} & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "audio",
        "video",
        "source",
        "svg",
    }
    assert not {
        key
        for _, attributes in made.tags
        for key in attributes
        if key in LOADING or key.startswith("on") or key == "style"
    }
    assert not re.search(r"url\(|@import|@font-face", made.raw["style"])
    assert not re.search(
        r"fetch|XMLHttp|import|WebSocket|eval|innerHTML|localStorage|cookie", made.raw["script"]
    )
    assert "http" not in made.raw["style"] + made.raw["script"]
    for link in made.all("a"):
        assert (link["href"] or "").startswith(("https://", "http://"))
        assert link["rel"] == "noreferrer"


def test_the_policy_allows_this_style_and_script_alone() -> None:
    """The hashes are those of the very bytes, so the page works under its own policy; nothing else is allowed."""
    made = Page(page(samples.every()))
    rules = (
        next(
            tag["content"]
            for tag in made.all("meta")
            if tag.get("http-equiv") == "Content-Security-Policy"
        )
        or ""
    )
    kept = dict(rule.strip().split(" ", 1) for rule in rules.split(";"))
    for name in ("style", "script"):
        found = base64.b64encode(hashlib.sha256(made.raw[name].encode()).digest()).decode()
        assert kept[f"{name}-src"] == f"'sha256-{found}'"
    assert (kept["default-src"], kept["base-uri"], kept["form-action"]) == (
        "'none'",
        "'none'",
        "'none'",
    )
    assert len(made.all("style")) == len(made.all("script")) == 1


def test_a_hostile_spec_stays_text() -> None:
    """Names, families, licenses, addresses, machines and options of any content add no element, no attribute and no blank to fill."""
    evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{rows}}\u202e\x1b[31m'"
    one = samples.local()
    model = one.model.replace(
        name=evil,
        id=evil,
        family=evil,
        developer=evil,
        license=License(id=evil, url="javascript:alert(1)"),
        repository=None,
        released=evil,
    )
    row = one.replace(model=model, workload=one.workload.replace(quantization=evil))
    offer = Offer(
        provider=evil,
        model=evil,
        model_id=evil,
        input_usd_per_million_tokens=1.0,
        as_of="2026-01-01",
        source=evil,
    )
    machine = samples.LAPTOP.replace(name=evil, cpu_model=evil)
    text = catalogue_page((row,), machine, {evil: offer}, asked=evil)
    made, plain = Page(text), Page(page((one,)))
    assert [name for name, _ in made.tags].count("script") == 1
    assert not made.all("img")
    assert not made.all("a")
    extra = [sorted(attributes) for name, attributes in made.tags if name in ("tr", "th", "td")]
    assert extra == [
        sorted(attributes) for name, attributes in plain.tags if name in ("tr", "th", "td")
    ]
    assert made.rows[1][0].startswith('"><script>alert(1)</script>')
    assert "{{rows}}" in made.rows[1][0]
    assert not re.search("[\u202e\x1b]", made.words)


def test_it_can_be_written_anywhere() -> None:
    """The page is ASCII, so that no pipe or editor changes it."""
    one = samples.local()
    text = page((one.replace(model=one.model.replace(name="Миксtral 大")),))
    assert text.isascii()
    assert "Миксtral 大" in Page(text).rows[1][0]


def test_it_says_what_was_judged() -> None:
    """Machine, memory, options, day of the prices, version, the four answers and both units are told."""
    words = " ".join(Page(page(samples.every(), asked=" --context 8192")).words.split())
    for told in (
        samples.LAPTOP.name,
        "--context 8192",
        "prices listed 2026",
        "Made by selfhost",
        "1,073,741,824",
        "1,000,000,000",
    ):
        assert told in words
    planned = load("macbook-air-m2-8gb").machine
    assert "confidence" in Page(page(samples.every(), planned)).words


def test_controls_are_named_and_start_without_a_sort() -> None:
    """Each field has a label of its own, the table a caption; no column claims to be sorted before somebody sorts."""
    made = Page(page(samples.every()))
    fields = [attributes["id"] for name, attributes in made.tags if name in ("input", "select")]
    assert fields == ["search", "route", "kind", "weights", "license", "download"]
    assert len(made.all("label")) == len(fields)
    assert len(made.all("caption")) == 1
    assert not any("aria-sort" in attributes for attributes in made.all("th"))
    assert made.all("html")[0]["lang"] == "en"


def test_a_few_models(golden: Golden) -> None:
    """The page but for its style and script, kept to be read."""
    text = re.sub(r"(?s)(<style>|<script>).*?(</style>|</script>)", r"\1…\2", page(samples.every()))
    golden("list.html", re.sub(r"'sha256-[^']*'", "'sha256-…'", text))


def test_prices_stand_in_the_order_of_show_with_their_day() -> None:
    """Both columns sort by three tokens in and one out, the rule that offers of one model are ordered by; each price has its day."""
    cheap, dear = (
        samples.offers()[0].replace(provider=name)
        for name in ("dear in, cheap out", "cheap in, dear out")
    )
    cheap = cheap.replace(
        input_usd_per_million_tokens=1.0, output_usd_per_million_tokens=1.0, as_of="2026-05-01"
    )
    dear = dear.replace(input_usd_per_million_tokens=0.5, output_usd_per_million_tokens=2.0)
    assert cheapest_first((cheap, dear))[0] == dear
    rows = (samples.local(), samples.api())
    text = catalogue_page(rows, samples.LAPTOP, {rows[0].model.id: cheap, rows[1].model.id: dear})
    assert [float(value) for value in re.findall(r'data-v="([0-9.]+)">\$', text)] == [4.0, 3.5]
    assert "2026-05-01" in Page(text).rows[1][10]
    assert "3 tokens in for 1 out" in text


def test_a_retired_model_says_so_and_what_follows_it() -> None:
    """A hosted model that is gone has no price of its own: its row tells since when and its successor."""
    (row,) = Page(page((samples.closed(),))).rows[1:]
    assert row[-1] == "its weights are not published; retired on 2026-10-23, gpt-5 follows it"


def test_no_model_at_all() -> None:
    """Where nothing matches the page says so and still stands: it has its head row and its legend."""
    made = Page(page(()))
    assert "No model matches." in made.words
    assert len(made.rows) == 1
    assert "Made by selfhost" in made.words
