"""The names that articles on "open source, open weights or API" use: route, license and openness, from sources outside this project.

The machine is the recorded virtual machine of 24 GiB without a GPU, so that the route of small models is local.
"""

from __future__ import annotations

import tomllib

import pytest

from helpers.each import each
from helpers.paths import DATA, RECORDS
from selfhost.api import check
from selfhost.catalogue import openness
from selfhost.cli import main as cli
from selfhost.core.workload import Workload
from selfhost.judge.record import Verdict
from selfhost.machine.record import Machine

RECORD = RECORDS / "vm-24gib.json"
MACHINE = Machine.from_file(RECORD)


ARTICLES = tomllib.loads((DATA / "articles.toml").read_text(encoding="utf-8"))


def judged(name: str, workload: Workload | None = None) -> Verdict:
    return check(name, workload, machine=MACHINE)


@each("name", ARTICLES)
def test_names_of_articles(name: str) -> None:
    """Route, license and the rows on openness are those of the sources beside each name."""
    expected, verdict = ARTICLES[name], judged(name)
    rows = {row.name: row.answer for row in openness.rows(verdict.model)}
    assert verdict.route == expected["route"]
    assert (verdict.model.license and verdict.model.license.id) == expected.get("license")
    for row in ("open source", "free to use", "auditable"):
        assert rows[row] == expected[row.replace(" ", "_")], row


@pytest.mark.parametrize(
    "name", [name for name, expected in ARTICLES.items() if "license" not in expected]
)
def test_closed_models_name_what_runs_instead_and_stay_closed_under_private(name: str) -> None:
    """An API is the route; with --private there is none, and the nearest open-weight model that qualifies is at hand."""
    assert judged(name).api_offers
    private = judged(name, Workload(private=True))
    assert private.route.value == "neither"
    assert private.api_offers == ()
    assert private.alternatives


def test_gpt_3_5_turbo_has_no_open_weight_variant() -> None:
    """Articles say there is one; what OpenAI opened is gpt-oss (openai.com/index/introducing-gpt-oss: Apache 2.0, 20b and 120b)."""
    verdict = judged("gpt-3.5-turbo")
    served = verdict.model.availability
    assert served is not None
    assert "no open-weight variant" in served.why
    for clause in served.why.split("; "):
        assert clause[1:] in verdict.findings[0].reason
    assert served.open_alternatives[:2] == ("gpt-oss-20b", "gpt-oss-120b")
    for name in served.open_alternatives[:2]:
        terms = judged(name).model.license
        assert terms is not None
        assert terms.id == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("tiktoken", "tokenizer"),
        ("OpenAI API", "service"),
        ("ollama", "runtime"),
        ("llama.cpp", "runtime"),
    ],
)
def test_what_is_no_model_is_answered_for_what_it_is(
    name: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tokenizer (github.com/openai/tiktoken), a hosted API or a program is no model: exit 2, what it is, and models to ask for."""
    code = cli.main(["check", name, "--machine", str(RECORD)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert what in err
    assert "selfhost check" in err
