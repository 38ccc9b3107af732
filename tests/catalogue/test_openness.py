"""How open a model is: the rows of `show` and `compare`, and that the findings decide by them;
license expressions, held against the SPDX specification (3.0.1, annex "SPDX license expressions")
and spdx.dev/ids; the names that articles on "open source, open weights or API" use, from sources
outside this project.
"""

from __future__ import annotations

import tomllib

import pytest

from helpers.cases import case_id
from helpers.paths import DATA, RECORDS
from selfhost.api import check
from selfhost.catalogue import openness
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.openness import OpennessRow, canonical_expression, satisfies
from selfhost.catalogue.spec import Availability, License, ModelSpec, Openness, Safety
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload
from selfhost.judge.record import Verdict
from selfhost.machine.record import Machine

CATALOGUE = Catalogue.open()
FREE = License(
    id="Apache-2.0", commercial_use="yes", modification="yes", redistribution="yes"
)
OPEN = Openness(**dict.fromkeys(Openness._fields, "published"))
SOURCES = {
    key: f"the page of {key}"
    for key in ("openness", "license", "gated", "safety", "upkeep", "availability")
}
SPEC = ModelSpec(
    id="m", name="M", gated=False, license=FREE, openness=OPEN, sources=SOURCES
)


def row(name: str, spec: ModelSpec) -> OpennessRow:
    return {one.name: one for one in openness.rows(spec)}[name]


def answers(spec: ModelSpec) -> tuple[str, ...]:
    """Open source, open access, free to use, self-hostable, auditable."""
    return tuple(one.answer for one in openness.rows(spec)[:5])


def test_everything_published_under_free_terms_is_open_in_all_respects() -> None:
    """What the Open Source AI Definition 1.0 asks for: parameters, code and data, under terms for
    any purpose.
    """
    assert answers(SPEC) == ("yes",) * 5
    assert not any(one.assumed for one in openness.rows(SPEC))


def test_open_weights_alone_are_not_open_source() -> None:
    """Weights and inference code without the code and the data that trained them are open
    weights.
    """
    found = SPEC.replace(
        openness=OPEN.replace(training_code="closed", training_data="closed")
    )
    assert answers(found) == ("partly", "yes", "yes", "yes", "no")
    assert "open weights" in row("open source", found).why
    assert (
        "training code and training data not published" in row("open source", found).why
    )


@pytest.mark.parametrize("key", ["commercial_use", "modification", "redistribution"])
@pytest.mark.parametrize("answer", ["no", "conditional"])
def test_terms_that_restrict_are_not_open_source(key: str, answer: str) -> None:
    """The definition asks for any purpose: a license that restricts use, change or sharing makes no
    open source of open weights.
    """
    bound = FREE.replace(id="LicenseRef-X", conditions=("a form",)).replace(
        **{key: answer}
    )
    found = row("open source", SPEC.replace(license=bound))
    assert found.answer == "no"
    assert key.replace("_", " ") in found.why


@pytest.mark.parametrize(
    ("gated", "answer"), [(False, "yes"), (True, "partly"), (None, "unknown")]
)
def test_open_access_is_published_without_a_gate(
    gated: bool | None, answer: str
) -> None:
    """A login or form makes it partly open; whether there is one is never guessed."""
    assert row("open access", SPEC.replace(gated=gated)).answer == answer


@pytest.mark.parametrize(
    ("commercial", "free", "hosted"),
    [
        ("yes", "yes", "yes"),
        ("conditional", "partly", "yes"),
        ("no", "partly", "partly"),
        (None, "unknown", "unknown"),
    ],
)
def test_the_license_decides_who_may_use_it(
    commercial: str | None, free: str, hosted: str
) -> None:
    """Free to use and self-hostable follow from the license: for everybody, under conditions, for
    non-commercial use, or not known.
    """
    terms = License(
        id="LicenseRef-X", commercial_use=commercial, conditions=("a form",)
    )
    found = SPEC.replace(license=terms)
    assert (row("free to use", found).answer, row("self-hostable", found).answer) == (
        free,
        hosted,
    )


@pytest.mark.parametrize("format", ["safetensors", "gguf"])
def test_code_that_a_model_brings_makes_its_files_unsafe(format: str) -> None:
    """Whatever the files themselves are."""
    for remote_code, answer in ((True, "no"), (False, "yes")):
        safety = Safety(formats=(format,), remote_code=remote_code)
        assert row("safe files", SPEC.replace(safety=safety)).answer == answer


def test_a_closed_model_is_open_in_no_respect() -> None:
    """Without weights there is nothing to run, to license or to audit; the provider decides, and no
    files are judged.
    """
    served = Availability(why="kept", provider="P")
    weights = Openness(weights="closed")
    closed = ModelSpec(
        id="c", name="C", openness=weights, availability=served, sources=SOURCES
    )
    assert answers(closed) == ("no",) * 5
    assert "P" in row("open access", closed).why
    assert "safe files" not in [one.name for one in openness.rows(closed)]
    assert openness.permissions(closed) == ()
    tried = served.replace(free_tier="ten messages a day")
    free = row("free to use", closed.replace(availability=tried))
    assert (free.answer, free.why) == ("partly", "free tier: ten messages a day")


def test_general_knowledge_is_marked() -> None:
    """What no source confirms is `assumed`, and so is all that follows from it; an unknown answer
    assumes nothing.
    """
    by_family = {**SOURCES, "openness": "classified by family from general knowledge"}
    guessed = SPEC.replace(sources=by_family)
    assert row("auditable", guessed).assumed
    assert not row("open access", guessed).assumed
    tag = {
        **SOURCES,
        "license": "the repository's tag; what it allows from general knowledge",
    }
    tagged = SPEC.replace(license=FREE.replace(id="LicenseRef-X"), sources=tag)
    assert row("free to use", tagged).assumed
    # the Open Source Definition says what an approved license allows; that the model is under it
    # still takes a source
    assert not row("free to use", tagged.replace(license=FREE)).assumed
    typed = SPEC.replace(sources={**SOURCES, "license": "typed from general knowledge"})
    assert row("free to use", typed).assumed
    assert not any(one.assumed for one in openness.rows(ModelSpec(id="n", name="N")))


def test_every_row_of_the_catalogue_says_why_and_whence() -> None:
    """Each answer that is not `unknown` has a reason and a source, in every shipped spec."""
    for spec in CATALOGUE.specs():
        for one in (*openness.rows(spec), *openness.permissions(spec)):
            assert one.answer in ("yes", "partly", "no", "unknown")
            assert one.why
            assert not one.why.endswith(".")
            assert one.answer == "unknown" or one.sources, (spec.id, one.name)


# of the model, asked for, met
CASES = [
    # OR leaves the choice to whoever gets it, AND binds to both, and AND goes before OR
    ("Apache-2.0", "Apache-2.0 OR MIT", True),
    ("CC-BY-4.0", "Apache-2.0 OR MIT", False),
    ("Apache-2.0 OR CC-BY-NC-4.0", "Apache-2.0", True),
    ("Apache-2.0 AND CC-BY-NC-4.0", "Apache-2.0", False),
    ("MIT AND CC-BY-4.0", "MIT OR Apache-2.0", False),
    ("Apache-2.0", "MIT OR Apache-2.0 AND CC-BY-4.0", False),
    ("Apache-2.0 AND CC-BY-4.0", "MIT AND CC-BY-4.0 OR Apache-2.0 AND CC-BY-4.0", True),
    # ids are compared whatever their case
    ("Apache-2.0", "apache-2.0", True),
    ("LicenseRef-Gemma", "LicenseRef-gemma", True),
    # a version stands for itself, with or without what SPDX writes for later ones
    ("Apache-2.0", "Apache-2.0+", True),
    ("EPL-2.0", "EPL-1.0+", False),
    ("GPL-2.0-only", "GPL-2.0-or-later", True),
    ("GPL-3.0-only", "GPL-2.0-or-later", False),
    ("MPL-2.0-no-copyleft-exception", "MPL-2.0", False),
    # WITH makes a license of its own, and binds closer than AND
    ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", False),
    ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception AND MIT", False),
]


@pytest.mark.parametrize(("own", "wanted", "met"), CASES, ids=case_id)
def test_expressions(own: str, wanted: str, met: bool) -> None:
    """An expression means what the specification says, in canonical spelling too."""
    assert satisfies(own, wanted) is met
    assert satisfies(canonical_expression(own), canonical_expression(wanted)) is met


@pytest.mark.parametrize(
    "wrong",
    [
        "Apache 2",
        "MIT OR",
        "(MIT OR ISC) AND Zlib",
        "MIT WITH",
        "no-such-license",
        "",
        "MIT, Apache-2.0",
        "apache",
        "Llama-3.1-Community",
    ],
    ids=case_id,
)
def test_what_is_no_expression_is_refused(wrong: str) -> None:
    """A slip is an error that shows how to write one, and the usual license of that name."""
    own = {
        "apache": "Apache-2.0",
        "Llama-3.1-Community": "LicenseRef-Llama-3.1-Community",
    }
    guess = f"did you mean {own.get(wrong)}" if wrong in own else ""
    with pytest.raises(WorkloadError, match=guess or "SPDX ids joined by AND and OR"):
        canonical_expression(wrong)


MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")
ARTICLES = tomllib.loads((DATA / "articles.toml").read_text(encoding="utf-8"))


def judged(name: str, workload: Workload | None = None) -> Verdict:
    return check(name, workload, machine=MACHINE)


@pytest.mark.parametrize("name", ARTICLES, ids=case_id)
def test_names_of_articles(name: str) -> None:
    """Route, license and the rows on openness are those of the sources beside each name. Of closed
    models an API is the route; with --private there is none, and the nearest open-weight model that
    qualifies is at hand.
    """
    expected = ARTICLES[name]
    verdict = judged(name)
    if "license" not in expected:
        private = judged(name, Workload(private=True))
        assert verdict.api_offers
        assert private.route.value == "neither"
        assert private.api_offers == ()
        assert private.alternatives
    rows = {row.name: row.answer for row in openness.rows(verdict.model)}
    assert verdict.route == expected["route"]
    assert (verdict.model.license and verdict.model.license.id) == expected.get(
        "license"
    )
    for row in ("open source", "free to use", "auditable"):
        assert rows[row] == expected[row.replace(" ", "_")], row


def test_gpt_3_5_turbo_has_no_open_weight_variant() -> None:
    """Articles say there is one; what OpenAI opened is gpt-oss
    (openai.com/index/introducing-gpt-oss: Apache 2.0, 20b and 120b).
    """
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
    ("id", "why"),
    [
        # github.com/openai/gpt-2, README: Status: Archive (no updates expected)
        pytest.param("gpt2-xl", "not maintained", id="gpt-2"),
        # github.com/facebookresearch/metaseq: its last commit is of 2023-06-08
        pytest.param("opt-6.7b", "not maintained", id="opt"),
        # huggingface.co/collections/tiiuae/falcon: Falcon3 and Falcon-H1 came after it
        pytest.param("falcon2-11b", "superseded by falcon3-10b-instruct", id="falcon"),
    ],
)
def test_what_is_maintained_no_more_is_not_current(id: str, why: str) -> None:
    found = row("current", CATALOGUE.spec(id))
    assert found.answer == "no"
    assert why in found.why
    assert not found.assumed


@pytest.mark.parametrize("id", ["gpt-3", "gpt-4o", "llama-3.1-8b-instruct"])
def test_one_row_says_who_gets_at_the_model(id: str) -> None:
    names = [found.name for found in openness.rows(CATALOGUE.spec(id))]
    assert names.count("open access") == 1
    assert "hosted access" not in names
