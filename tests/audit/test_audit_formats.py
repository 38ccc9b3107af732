"""Every report format of an audit, as its own consumer reads it.

A report is valid, red where the exit code is not 0, and deaf to orders in names.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
from jsonschema import Draft4Validator
from lxml import etree, html
from markdown_it import MarkdownIt

from helpers import audits
from helpers.audits import audit, exception, model, render
from helpers.cases import case_id
from helpers.machines import machine_with
from helpers.paths import DATA, RECORDS, ROOT
from helpers.written import validate
from selfhost.audit.rows import Audit, ExemptionState
from selfhost.cli import main as cli
from selfhost.core.errors import Problem
from selfhost.judge.checks import CHECKS, Outcome
from selfhost.machine.record import Disk
from selfhost.reports import audit_formats
from selfhost.reports.audit_formats import MOST_SHOWN

FAIL = Outcome.FAIL
UNKNOWN = Outcome.UNKNOWN
XSD = etree.XMLSchema(etree.parse(DATA / "junit-10.xsd"))
SARIF = Draft4Validator(
    json.loads((DATA / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
)


class Read(NamedTuple):
    """What a consumer makes of a report.

    Whether it is red (None: the format does not say), how many things it holds, and all text in it.
    """

    red: bool | None
    things: int
    words: str


def of_text(text: str) -> Read:
    return Read(not text.startswith("PASS:"), 0, text)


def of_json(text: str) -> Read:
    value = json.loads(text)
    validate(value, "audit-1")
    return Read(
        value["exit_code"] != 0,
        len(value["verdicts"]),
        json.dumps(value, ensure_ascii=False),
    )


def of_jsonl(text: str) -> Read:
    rows = [json.loads(line) for line in text.splitlines()]
    return Read(None, len(rows), json.dumps(rows, ensure_ascii=False))


def of_markdown(text: str) -> Read:
    """CommonMark with GitHub's tables.

    What is shown is text, code and line breaks, and every row has its cells.
    """
    assert len(text.encode()) < 1 << 20
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    words = []
    cells = 0
    for token in tokens:
        assert token.type not in (
            "html_block",
            "fence",
            "code_block",
            "blockquote_open",
        )
        cells += token.type in ("td_open", "th_open")
        for child in token.children or ():
            assert child.type in ("text", "html_inline", "softbreak", "text_special"), (
                child
            )
            if child.type == "html_inline":
                assert child.content in ("<code>", "</code>", "<br>")
            words.append(child.content)
    width = {row.count("|") for row in text.splitlines() if row.startswith("| ")}
    assert len(width) <= 1, width
    heading = next(token.content for token in tokens if token.type == "inline")
    return Read(not heading.startswith("PASS:"), cells, "\n".join(words))


def of_html(text: str) -> Read:
    """As a browser parses it: nothing is loaded, and nothing runs."""
    assert text.isascii()
    page = html.document_fromstring(text)
    for node in page.iter(etree.Element):
        assert node.tag in TAGS
        assert not {key for key in node.attrib if key.startswith("on")} | {
            "src",
            "style",
        } & {*node.attrib}
    (style,) = page.iter("style")
    policy = page.xpath("string(//meta[@http-equiv]/@content)")
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"url\(|@import|@font-face|https?:", style.text)
    red = page.find(".//h1/span").get("class") != "pass"
    style.drop_tree()
    return Read(
        red, len(page.xpath("//td")) + len(page.xpath("//p")), page.text_content()
    )


TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "table",
        "thead",
    ),
    *("tbody", "tr", "th", "td", "b", "bdi", "span"),
}


def of_junit(text: str) -> Read:
    tree = etree.fromstring(text.encode())
    XSD.assertValid(tree)
    # GitLab keeps the first of two equal names
    names = [
        (case.get("classname"), case.get("name")) for case in tree.iter("testcase")
    ]
    assert len(names) == len(set(names)) == int(tree.get("tests"))
    words = [
        value
        for node in tree.iter()
        for value in (*node.attrib.values(), node.text or "")
    ]
    red = int(tree.get("failures")) + int(tree.get("errors"))
    assert red == len(tree.findall(".//failure")) + len(tree.findall(".//error"))
    return Read(red > 0, len(names), "\n".join(words))


ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}


def of_github(text: str) -> Read:
    """As the runner takes a line apart: src/Runner.Common/ActionCommand.cs, TryParseV2."""
    counts = {"error": 0, "warning": 0, "notice": 0}
    words = []
    for line in text.splitlines():
        assert line.startswith("::")
        head, _, message = line[2:].partition("::")
        command, _, properties = head.partition(" ")
        counts[command] += 1
        pairs = dict(each.split("=", 1) for each in properties.split(","))
        assert set(pairs) <= {"file", "line", "title"}
        for escape, letter in ESCAPES.items():
            pairs = {key: value.replace(escape, letter) for key, value in pairs.items()}
            message = message if letter in ":," else message.replace(escape, letter)
        assert pairs["title"].startswith("selfhost audit")
        words += [message, *pairs.values()]
    assert sum(counts.values()) <= MOST_SHOWN + 1 <= 10
    return Read(counts["error"] > 0, 0, "\n".join(words))


def of_sarif(text: str) -> Read:
    log = json.loads(text)
    SARIF.validate(log)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    prints = set()
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        (place,) = result["locations"]
        # RFC 3986
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(?:[\w.~/:-]|%[0-9A-F]{2})+", uri, re.ASCII)
        prints.add(result["partialFingerprints"]["selfhostAudit/v1"])
    assert len(prints) == len(run["results"])
    red = any(each["level"] == "error" for each in run["results"])
    assert run["invocations"][0]["executionSuccessful"] is not any(
        each["ruleId"] == "not-judged" for each in run["results"]
    )
    return Read(red, len(run["results"]), json.dumps(log, ensure_ascii=False))


def gauges(text: str) -> dict[str, int]:
    """The samples as Prometheus' own reader takes them (text format 0.0.4): each gauge has its help
    and its type before its samples, and no sample is there twice.
    """
    samples: dict[str, int] = {}
    name = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# problem: "):
            continue
        described = re.fullmatch(r"# (HELP|TYPE) (selfhost_audit_[a-z_]+) (.+)", line)
        if described is None:
            label = r'[a-z]+="(?:[^"\\\n]|\\[\\"n])*"'
            sample = re.fullmatch(
                rf"({name})((?:\{{{label}(?:,{label})*\}})?) (\d+)", line
            )
            assert sample is not None, line
            key = sample[1].removeprefix("selfhost_audit_") + sample[2]
            assert key not in samples
            samples[key] = int(sample[3])
        elif described[1] == "HELP":
            name = described[2]
        else:
            assert (described[2], described[3]) == (name, "gauge")
    return samples


def of_prometheus(text: str) -> Read:
    assert text.endswith("\n")
    samples = gauges(text)
    return Read(samples["exit_code"] != 0, len(samples), text)


FORMATS = audit_formats.FORMATS
CONSUMERS: dict[str, Callable[[str], Read]] = {
    "text": of_text,
    "json": of_json,
    "jsonl": of_jsonl,
    "markdown": of_markdown,
    "html": of_html,
    "junit": of_junit,
    "github": of_github,
    "sarif": of_sarif,
    "prometheus": of_prometheus,
}


def consumed(name: str, text: str) -> Read:
    assert name in CONSUMERS, (
        f"add {name} to CONSUMERS: a function that reads the format back"
    )
    return CONSUMERS[name](text)


def read(name: str, of: Audit) -> Read:
    return consumed(name, render(name, of))


TWO = model("mistral-7b") + model("gpt2", severity='"warning"')
BAD = Problem(
    file="records/m4.json",
    line=3,
    key="memory",
    message="is no number",
    remedy="write one",
)
SITUATIONS = {
    "runs": audit(TWO),
    "fails": audit(
        TWO, ("m1", "m2"), {("mistral-7b", "m1"): {"memory": FAIL, "disk": UNKNOWN}}
    ),
    "unknown": audit(TWO, ("m1",), {("mistral-7b", "m1"): {"disk": UNKNOWN}}),
    "uncounted": audit(TWO, ("m1",), {("gpt2", "m1"): {"memory": FAIL}}),
    "ignored": audit(
        'on_unknown = "ignore"\n' + TWO, ("m1",), {("gpt2", "m1"): {"memory": UNKNOWN}}
    ),
    "excepted": audit(
        TWO + exception("mistral-7b"),
        ("m1", "m2"),
        {("mistral-7b", "*"): {"memory": FAIL}},
    ),
    "expired": audit(
        TWO + exception("gpt2"),
        ("m1",),
        {("gpt2", "*"): {"memory": FAIL}},
        today="2027-04-01",
    ),
    "unused": audit(TWO + exception("gpt2")),
    "a bad record": audit(TWO, ("m1",), problems=[BAD]),
    "no machine": audit(TWO, ()),
    "misspelt host": audit(model("gpt2", machines='["host:none"]'), ("m1", "m2")),
}


@pytest.mark.parametrize("situation", SITUATIONS, ids=case_id)
@pytest.mark.parametrize("name", FORMATS, ids=case_id)
def test_a_report_is_valid_and_red_exactly_where_the_exit_code_is_not_0(
    name: str, situation: str
) -> None:
    """Whoever looks at the report alone comes to the answer that the pipeline comes to."""
    of = SITUATIONS[situation]
    assert read(name, of).red in (of.exit_code != 0, None)
    assert render(name, of) == render(name, of)


# what people and attackers put into names: commands of CI services, markup, orders to terminals
HOSTILE = {
    "commands": "::error file=a,line=1::x ##vso[task.complete] ##[error] %0A::set-output name=a::b",
    "markup": "|`a`|\\| [x](javascript:alert(1)) <script>alert(1)</script> **b** _c_"
    " # d &lt; ![i](//h)",
    "urls": "https://e.example www.e.example @somebody #12 mailto:a@e.example 'q' \"r\" a=b;c,d",
    "control": "a\x00b\x1b[31mc\x07\r\nd\n## e\n::error::f\x85g\u2028h\u202ei\u200fj\u2066k\x9bl",
    # of a format for spreadsheets its consumer asks that no cell begins so
    "formulas": "+HYPERLINK(\"//h\";1)+cmd|' /C calc'!A0",
    "long": "y" * 9_900,
    "blank": " - ",
    "letters": "größe-模型-🦙-e\u0301",
}


def attacked(words: str) -> Audit:
    """The words wherever an input's text can stand: models, machines, labels, reasons, owners.

    A policy refuses control characters itself.
    """
    stated = words if words.isprintable() else "tame"
    quoted = audits.quoted(stated)
    selectors = f'["host:*", {audits.quoted(f"label:{stated}=*")}]'
    text = (
        model(stated, machines=selectors)
        + model(stated, context_tokens="9")
        + model("gpt2")
        + exception("gpt2", reason=quoted, owner=quoted, machines=selectors)
        + exception("gpt2", reason=quoted, rule='"disk"')
    )
    bad = Problem(file=words, line=1, key=words, message=words, remedy=words)
    table = {
        (stated, "*"): {"memory": FAIL, "cpu": UNKNOWN},
        ("gpt2", "*"): {"memory": FAIL, "disk": FAIL},
    }
    return audit(text, (words, "m2"), table, said=words, problems=[bad])


@pytest.mark.parametrize("kind", HOSTILE, ids=case_id)
@pytest.mark.parametrize("name", FORMATS, ids=case_id)
def test_text_of_inputs_gives_no_orders(name: str, kind: str) -> None:
    """Each report stays valid and holds as many things as with tame names.

    It shows no control character, no direction mark and no command at the start of a line.
    """
    text = render(name, attacked(HOSTILE[kind]))
    result = consumed(name, text)
    tame = read(name, attacked("tame"))
    assert (result.red, result.things) == (tame.red, tame.things)
    assert not set(text) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160)]))
    assert not re.search(
        "[\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    if name != "github":
        assert not re.search(r"(?m)^\s*(::|##\[|##vso)", text)
    assert len(text) < 2_000_000


def test_sarif_lists_what_code_scanning_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of GitHub: 5,000 results; the errors go first, and what is left is counted."""
    monkeypatch.setattr(audit_formats, "_MOST_RESULTS", 1)
    text = render("sarif", SITUATIONS["a bad record"].replace(problems=(BAD, BAD, BAD)))
    assert of_sarif(text).things == 1
    assert "2 more results, not listed" in text


def junit_cases(of: Audit) -> dict[str, tuple[list[str], str]]:
    """By the model's name the elements of its case, and what it printed."""
    tree = etree.fromstring(render("junit", of).encode())
    return {
        case.get("name"): ([part.tag for part in case], case.findtext("system-out", ""))
        for case in tree.iter("testcase")
    }


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        pytest.param("uncounted", "does not run", id="a warning that fails"),
        pytest.param(
            "ignored", "not known whether it runs", id="an unknown that is ignored"
        ),
    ],
)
def test_what_the_policy_does_not_count_passes_in_junit_and_says_so(
    situation: str, said: str
) -> None:
    """It was judged, so it is no skipped case.

    It passes as the pipeline does, and its output tells why a person should look.
    """
    elements, output = junit_cases(SITUATIONS[situation])["gpt2"]
    assert elements == ["system-out"]
    assert said in output.splitlines()[0]
    assert "the memory is" in output
    assert "to do: mend the memory" in output


def test_a_model_that_runs_with_a_warning_says_so_in_junit() -> None:
    """A green case, with what warns in its output; one without a warning has none."""
    of = audit(TWO, ("m1",), {("mistral-7b", "m1"): {"speed": Outcome.WARN}})
    cases = junit_cases(of)
    assert cases["mistral-7b"][0] == ["system-out"]
    assert cases["mistral-7b"][1].startswith("warns: speed")
    assert cases["gpt2"] == ([], "")


SMALL_LIMITS = {"old": 5 * audits.GIB, "small": 3 * audits.GIB}


@cache
def audit_of_small_and_large() -> Audit:
    """Two machines that lack memory for a model, and two that do not; of one of these the disk is
    assumed, and of the other it is read.
    """
    disk = Disk(
        purpose="llama.cpp",
        path="/data",
        writable=True,
        free_bytes=400 * audits.GIB,
        total_bytes=500 * audits.GIB,
    )
    machines = [
        machine_with(name="air", disks=(disk,), assumed=("disks",)),
        machine_with(name="big", disks=(disk,)),
    ]
    for name, limit_bytes in SMALL_LIMITS.items():
        small = machine_with(
            name=name,
            disks=(disk,),
            memory_total_bytes=limit_bytes,
            memory_limit_bytes=limit_bytes,
            memory_available_bytes=limit_bytes,
        )
        machines.append(small)
    return audits.judged(model("qwen3-8b"), *machines)


def junit_case_of(of: Audit, machine: str) -> str:
    """All text and attributes of the only case of a machine."""
    tree = etree.fromstring(render("junit", of).encode())
    (case,) = tree.iterfind(f".//testcase[@classname='{machine}']")
    return str(etree.tostring(case, encoding="unicode"))


@pytest.mark.parametrize(
    ("machine", "figure"),
    [
        pytest.param("old", "old can give at most 5.00 GiB", id="lacks less"),
        pytest.param("small", "small can give at most 3.00 GiB", id="lacks most"),
    ],
)
def test_a_case_of_junit_has_the_figures_of_its_machine(
    machine: str, figure: str
) -> None:
    """Both fail alike, and each is told what it can give itself."""
    text = junit_case_of(audit_of_small_and_large(), machine)
    assert figure in text
    (other,) = SMALL_LIMITS.keys() - {machine}
    assert f"{other} can give" not in text


def test_a_case_among_very_many_says_whose_figures_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Judging each again would take minutes, so that the worst of the group stands, by its name."""
    monkeypatch.setattr(audit_formats, "_MOST_JUDGED", 3)
    of = audit_of_small_and_large()
    assert "worst on small: memory: " in junit_case_of(of, "old")
    assert "worst on" not in junit_case_of(of, "small")
    assert "warns on air: disk" in junit_case_of(of, "big")


@pytest.mark.parametrize(
    ("machine", "warns"),
    [
        pytest.param("air", True, id="assumed"),
        pytest.param("big", False, id="read"),
    ],
)
def test_a_case_of_junit_has_the_warnings_of_its_machine(
    machine: str, warns: bool
) -> None:
    """Both pass, and the disk of one alone is assumed."""
    text = junit_case_of(audit_of_small_and_large(), machine)
    assert ("the free space is assumed" in text) is warns


@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param("worst on small: memory: ", id="figures"),
        pytest.param("to do there: ", id="remedy"),
        pytest.param("warns on air: disk (", id="warning"),
    ],
)
def test_the_text_of_several_machines_says_whose_figures_it_has(sentence: str) -> None:
    """What holds for one machine names it."""
    assert sentence in render("text", audit_of_small_and_large())


def test_a_warning_of_all_machines_names_none() -> None:
    """It holds for each of them."""
    table = {("mistral-7b", "*"): {"disk": Outcome.WARN}}
    of = audit(model("mistral-7b"), ("m1", "m2"), table)
    text = render("text", of)
    assert "warns: disk" in text
    assert "warns on" not in text


def test_what_is_excepted_is_a_skipped_case_in_junit() -> None:
    """It would fail, and somebody decided that it may."""
    assert junit_cases(SITUATIONS["excepted"])["mistral-7b"][0] == ["skipped"]


@pytest.mark.parametrize(
    "rule",
    [
        *CHECKS,
        "route",
        "not-judged",
        *(
            f"exception-{use}"
            for use in (ExemptionState.EXPIRED, ExemptionState.UNUSED)
        ),
    ],
)
def test_code_scanning_shows_a_text_for_every_rule(rule: str) -> None:
    """What a rule asks, and what to do where it is broken: GitHub shows an id alone otherwise."""
    described = audit_formats._described_rule(rule)
    assert described["id"] == rule
    assert described["shortDescription"]["text"][0].isupper()
    assert described["help"]["text"].endswith(".")


def test_the_rules_of_a_report_are_described() -> None:
    """Those of its results, each once."""
    log = json.loads(render("sarif", SITUATIONS["fails"]))
    (rule,) = log["runs"][0]["tool"]["driver"]["rules"]
    assert (
        rule["shortDescription"]["text"] == "A model fits in the memory of the machine"
    )


@pytest.mark.parametrize(
    ("rule", "remedy"),
    [
        pytest.param("memory", "make the model run there", id="memory"),
        pytest.param(
            "weights", "name a model whose weights are published", id="weights"
        ),
        pytest.param("license", "name a model whose license allows it", id="license"),
    ],
)
def test_an_exception_that_has_ended_says_what_ends_the_need_of_it(
    rule: str, remedy: str
) -> None:
    """No machine makes a closed model run."""
    text = model("gpt-4o") + exception("gpt-4o", rule=f'"{rule}"')
    of = audit(text, ("m1",), {("gpt-4o", "*"): {rule: FAIL}}, today="2027-04-01")
    (issue,) = [
        each for each in audit_formats.issues(of) if each.rule == "exception-expired"
    ]
    assert issue.text == (
        f"exception from the rule {rule} for gpt-4o: ended on 2027-03-31; 1 verdict would need it"
    )
    assert issue.remedy == f"{remedy}, or have infra@example.com renew it"


def test_an_unused_exception_is_no_unused_memory() -> None:
    """The sentence names the exception first."""
    (issue,) = audit_formats.issues(SITUATIONS["unused"])
    assert issue.text == (
        "exception from the rule memory for gpt2: covers nothing any more (it ends on 2027-03-31)"
    )
    assert issue.remedy == "remove it from the policy; its owner is infra@example.com"


# ------------------------------------------------------------------ monitoring


def by_jq(title: str, report: str) -> subprocess.CompletedProcess[str]:
    """What the command of jq below that sentence of docs/usage.md makes of a JSON report."""
    page = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    _, _, command = page.partition(f"\n{title}")[2].partition("json=/dev/stdout | ")
    return subprocess.run(
        ["sh", "-c", command.partition("\n```")[0]],
        input=report,
        capture_output=True,
        text=True,
        check=False,
    )


STATES = [
    pytest.param("runs", 0, "OK", id="runs"),
    pytest.param("fails", 2, "CRITICAL", id="fails"),
    pytest.param("unknown", 3, "UNKNOWN", id="unknown"),
    pytest.param("uncounted", 1, "WARNING", id="uncounted"),
    pytest.param("ignored", 0, "OK", id="ignored"),
    pytest.param("excepted", 0, "OK", id="excepted"),
    pytest.param("expired", 1, "WARNING", id="expired"),
    pytest.param("unused", 1, "WARNING", id="unused"),
    pytest.param("a bad record", 3, "UNKNOWN", id="bad-record"),
    pytest.param("no machine", 3, "UNKNOWN", id="no-machine"),
]


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
@pytest.mark.parametrize(("situation", "code", "state"), STATES)
def test_jq_makes_the_line_of_a_monitoring_plugin(
    situation: str, code: int, state: str
) -> None:
    """One line with figures; exit codes of the Monitoring Plugins Development Guidelines."""
    done = by_jq("As a plugin", render("json", SITUATIONS[situation]))
    assert (done.returncode, done.stderr) == (code, "")
    (line,) = done.stdout.splitlines()
    words, _, figures = line.partition(" | ")
    assert re.match(rf"SELFHOST {state} - \S", words)
    assert re.fullmatch(r"pass=\d+ fail=\d+ unknown=\d+ excepted=\d+", figures)


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
@pytest.mark.parametrize("kind", HOSTILE, ids=case_id)
def test_names_add_no_line_and_no_figure_to_a_plugin(kind: str) -> None:
    """What follows a bar is read as performance data."""
    done = by_jq("As a plugin", render("json", attacked(HOSTILE[kind])))
    (line,) = done.stdout.splitlines()
    assert done.returncode == 2
    assert line.count("|") == 1


def test_gauges_count_machines_by_model_and_tell_the_largest_shortfall() -> None:
    """A shortfall that is not known is absent, never 0."""
    table = {("x", "*"): {"memory": FAIL}, ("y", "m1"): {"memory": UNKNOWN}}
    # lacks less, and stands in a group of its own
    table["x", "m1"] = {"memory": FAIL, "cpu": FAIL}
    text = (
        model("x") + model("y", machines='["host:m1"]') + exception("x", rule='"disk"')
    )
    samples = gauges(render("prometheus", audit(text, ("m1", "m2", "m3"), table)))
    assert samples['machines{model="x",result="fail"}'] == 3
    assert samples['machines{model="y",result="unknown"}'] == 1
    assert samples['machines{model="y",result="pass"}'] == 0
    # the third machine lacks three GiB: `helpers.audits.finding`
    assert samples['shortfall_bytes{model="x",check="memory"}'] == 3 * 2**30
    assert samples['shortfall_bytes{model="y",check="disk"}'] == 0
    assert 'shortfall_bytes{model="y",check="memory"}' not in samples
    assert samples['exceptions{use="unused"}'] == 1
    assert (samples["exit_code"], samples["machines_judged"]) == (1, 3)


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
def test_no_report_is_never_green() -> None:
    """The program may be missing, or may refuse an option."""
    plugin = by_jq("As a plugin", "")
    assert plugin.returncode == 3
    assert plugin.stdout.startswith("SELFHOST UNKNOWN - selfhost gave no answer")


# ------------------------------------------------------------------ the command line


@pytest.mark.parametrize("name", ["nagios", "tap"])
def test_an_unknown_format_is_refused_with_those_that_exist(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has a script of another version sees what there is."""
    assert cli.main(["audit", "--format", name]) == 2
    message = capsys.readouterr().err
    assert f"'{name}' is not one of" in message
    assert all(known in message for known in FORMATS)


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ("schema = 1\n" + model("gpt2") + model("no-such-model"), "no-such-model"),
        ("schema = 1\n" + model("gpt2") + "bogus = 1\n", "bogus"),
        ("schema = ", "not valid TOML"),
        (None, "does not exist"),
    ],
    ids=["unknown model", "faulty policy", "no TOML", "no file"],
)
@pytest.mark.parametrize("name", FORMATS)
def test_what_could_not_be_judged_never_looks_like_an_answer(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    policy: str | None,
    fault: str,
) -> None:
    """On standard output: a report that is red, or nothing where nothing was judged.

    In a file, be it of --output or of the format: a report that is red and says why.
    """
    path = tmp_path / "audit.toml"
    if policy is not None:
        path.write_text(policy)
    files = [tmp_path / "named", tmp_path / "of-output"]
    words = [
        "audit",
        str(path),
        "--machines",
        str(RECORDS / "vm-24gib.json"),
        "--format",
    ]
    assert cli.main([*words, name]) == 2
    out, err = capsys.readouterr()
    assert fault in err
    assert cli.main([*words, f"{name}={files[0]}"]) == 2
    assert cli.main([*words, name, "--output", str(files[1])]) == 2
    assert capsys.readouterr().out == ""
    texts = [file.read_text(encoding="utf-8") for file in files]
    # gpt2 was judged
    assert bool(out) is (FORMATS[name].shows_problems or fault == "no-such-model")
    if name == "text" and out:
        assert out.startswith("NOT JUDGED")
    elif out:
        texts.append(out)
    for text in texts:
        if name != "jsonl":
            result = consumed(name, text)
            assert result.red
            assert fault in result.words


@pytest.mark.parametrize(
    ("names", "told"),
    [
        pytest.param(["nosuch-1"], "of 1 fault, the rest", id="one"),
        pytest.param(["nosuch-1", "nosuch-2"], "of 2 faults, the rest", id="several"),
    ],
)
def test_the_first_screen_says_where_the_faults_are_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    told: str,
) -> None:
    """They stand on standard error, which is not below what standard output holds."""
    path = tmp_path / "audit.toml"
    entries = "".join(model(name) for name in ["gpt2", *names])
    path.write_text(f"schema = 1\n{entries}", encoding="utf-8")
    record = str(RECORDS / "vm-24gib.json")
    assert cli.main(["audit", str(path), "--machines", record]) == 2
    out, err = capsys.readouterr()
    (note,) = (line for line in out.splitlines() if told in line)
    assert "standard error" in note
    assert "below" not in out
    for name in names:
        assert name in err


HOSTS = [f"edge-{number:04}.{'rack' * 30}.example.org" for number in range(1_200)]


@cache
def audit_of_many_hosts() -> Audit:
    """Two models fail on each host, by another pair of checks on each sixth."""
    three = ("memory", "disk", "cpu")
    checks = [*combinations(three, 1), *combinations(three, 2)]
    failing = {
        (model, name): dict.fromkeys(checks[number % 6], Outcome.FAIL)
        for model in ("a", "b")
        for number, name in enumerate(HOSTS)
    }
    return audits.audit(audits.model("a") + audits.model("b"), [*HOSTS, "ok"], failing)


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "prometheus"])
def test_every_failing_host_is_named_in_full(form: str) -> None:
    """Whatever the format and the number of hosts: who must mend them reads their names there."""
    report = render(form, audit_of_many_hosts())
    assert [name for name in HOSTS if name not in report] == []
