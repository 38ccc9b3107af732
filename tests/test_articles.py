"""The names that articles on "open source, open weights or API" use: route, license and openness, from sources outside this project.

The machine is the recorded virtual machine of 24 GiB without a GPU, so that the route of small models is local.
"""

from __future__ import annotations

import pytest

from helpers.each import each
from helpers.paths import RECORDS
from selfhost.api import check
from selfhost.catalogue import openness
from selfhost.cli import main as cli
from selfhost.core.records import Record
from selfhost.core.workload import Workload
from selfhost.judge.record import Verdict
from selfhost.machine.record import Machine

RECORD = RECORDS / "vm-24gib.json"
MACHINE = Machine.from_file(RECORD)


class Expected(Record):
    """`open_source`, `free_to_use` and `auditable` are rows of `show`; `source` is where the expectation comes from."""

    route: str
    license: str | None
    open_source: str
    free_to_use: str
    auditable: str
    source: str


# weights kept, no license, nothing to audit
CLOSED = Expected(
    route="api", license=None, open_source="no", free_to_use="no", auditable="no", source=""
)
# openai.com/index/introducing-gpt-oss (2025-08-05): the first open-weight language models since GPT-2
SINCE_GPT_2 = CLOSED.replace(
    source="openai.com/index/introducing-gpt-oss: between GPT-2 and gpt-oss no language model's weights were published"
)

ARTICLES = {
    "ChatGPT": SINCE_GPT_2.replace(
        free_to_use="partly"
    ),  # it has a Free plan (lumichats.com/blog/real-cost-of-free-ai, 2026-05)
    "GPT-3": SINCE_GPT_2,
    "GPT-3.5 Turbo": SINCE_GPT_2,
    "GPT-4": SINCE_GPT_2,
    "GPT-4o": SINCE_GPT_2,
    "GPT-2": Expected(
        route="local",
        license="MIT",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="github.com/openai/gpt-2: LICENSE is a modified MIT License; the paper's WebText was not released, nor the training code",
    ),
    "gpt-oss-20b": Expected(
        route="local",
        license="Apache-2.0",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="openai.com/index/introducing-gpt-oss: open-weight, Apache 2.0; the model card describes the data and publishes none",
    ),
    "gpt-oss-120b": Expected(
        route="api",
        license="Apache-2.0",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="the same; it fits in a single 80 GB GPU, so not in 24 GiB of RAM",
    ),
    "LLaMA": Expected(
        route="local",
        license="LicenseRef-Llama-3.1-Community",
        open_source="no",
        free_to_use="partly",
        auditable="no",
        source="blog.opensource.org/metas-llama-2-license-is-not-open-source; llama-models: models/llama3_1/LICENSE, 700 million users",
    ),
    "Mistral": Expected(
        route="local",
        license="Apache-2.0",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="mistral.ai/news/announcing-mistral-7b: released under the Apache 2.0 license, without restrictions; no data published",
    ),
    "Falcon": Expected(
        route="local",
        license="LicenseRef-Falcon-LLM",
        open_source="no",
        free_to_use="partly",
        auditable="no",
        source="huggingface.co/tiiuae/Falcon-H1-7B-Instruct, the family's current model: Falcon LLM License; no data, no training code",
    ),
    "Gemma": Expected(
        route="local",
        license="Apache-2.0",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="opensource.googleblog.com on Gemma 4 (2026-04): the first Gemma under Apache 2.0; weights, not data",
    ),
    "Gemma 2": Expected(
        route="local",
        license="LicenseRef-Gemma",
        open_source="no",
        free_to_use="partly",
        auditable="no",
        source="ai.google.dev/gemma/terms: a prohibited use policy binds users, and those they pass it on to",
    ),
    "Whisper": Expected(
        route="local",
        license="MIT",
        open_source="partly",
        free_to_use="yes",
        auditable="no",
        source="github.com/openai/whisper: code and weights under the MIT License; the 680,000 hours of audio were not released",
    ),
    "OPT": Expected(
        route="local",
        license="LicenseRef-OPT-175B",
        open_source="no",
        free_to_use="partly",
        auditable="partly",
        source="facebookresearch/metaseq: projects/OPT/MODEL_LICENSE.md, non-commercial research; code and logbook published",
    ),
}


def judged(name: str, workload: Workload | None = None) -> Verdict:
    return check(name, workload, machine=MACHINE)


@each("name", ARTICLES)
def test_names_of_articles(name: str) -> None:
    """Route, license and the rows on openness are those of the sources beside each name."""
    expected, verdict = ARTICLES[name], judged(name)
    rows = {row.name: row for row in openness.rows(verdict.model)}
    found = Expected(
        route=verdict.route.value,
        license=verdict.model.license.id if verdict.model.license else None,
        open_source=rows["open source"].answer,
        free_to_use=rows["free to use"].answer,
        auditable=rows["auditable"].answer,
        source=expected.source,
    )
    assert found == expected


@pytest.mark.parametrize(
    "name", [name for name, expected in ARTICLES.items() if expected.license is None]
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
