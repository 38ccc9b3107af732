"""How open a model is: the rows of `show` and `compare`, and that the findings decide by them."""

from __future__ import annotations

import pytest

from selfhost.catalogue import openness
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.openness import Row
from selfhost.catalogue.spec import Availability, License, ModelSpec, Openness

CATALOGUE = Catalogue.open()
FREE = License(id="Apache-2.0", commercial_use="yes", modification="yes", redistribution="yes")
OPEN = Openness(
    weights="published",
    inference_code="published",
    training_code="published",
    training_data="published",
    paper="published",
)
SOURCES = {
    key: f"the page of {key}"
    for key in ("openness", "license", "gated", "safety", "upkeep", "availability")
}
SPEC = ModelSpec(id="m", name="M", gated=False, license=FREE, openness=OPEN, sources=SOURCES)


def row(name: str, spec: ModelSpec) -> Row:
    return {one.name: one for one in openness.rows(spec)}[name]


def answers(spec: ModelSpec) -> tuple[str, ...]:
    """Open source, open access, free to use, self-hostable, auditable."""
    return tuple(one.answer for one in openness.rows(spec)[:5])


def test_everything_published_under_free_terms_is_open_in_all_respects() -> None:
    """What the Open Source AI Definition 1.0 asks for: parameters, code and data, under terms for any purpose."""
    assert answers(SPEC) == ("yes",) * 5
    assert not any(one.assumed for one in openness.rows(SPEC))


def test_open_weights_alone_are_not_open_source() -> None:
    """Weights and inference code without the code and the data that trained them are open weights."""
    found = SPEC.replace(openness=OPEN.replace(training_code="closed", training_data="closed"))
    assert answers(found) == ("partly", "yes", "yes", "yes", "no")
    assert "open weights" in row("open source", found).why
    assert "training code and training data not published" in row("open source", found).why


@pytest.mark.parametrize("key", ["commercial_use", "modification", "redistribution"])
@pytest.mark.parametrize("answer", ["no", "conditional"])
def test_terms_that_restrict_are_not_open_source(key: str, answer: str) -> None:
    """The definition asks for any purpose: a license that restricts use, change or sharing makes no open source of open weights."""
    bound = FREE.replace(id="LicenseRef-X", conditions=("a form",)).replace(**{key: answer})
    found = row("open source", SPEC.replace(license=bound))
    assert found.answer == "no"
    assert key.replace("_", " ") in found.why


@pytest.mark.parametrize(("gated", "answer"), [(False, "yes"), (True, "partly"), (None, "unknown")])
def test_open_access_is_published_without_a_gate(gated: bool | None, answer: str) -> None:
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
def test_the_license_decides_who_may_use_it(commercial: str | None, free: str, hosted: str) -> None:
    """Free to use and self-hostable follow from the license: for everybody, under conditions, for non-commercial use, or not known."""
    found = SPEC.replace(
        license=License(id="LicenseRef-X", commercial_use=commercial, conditions=("a form",))
    )
    assert (row("free to use", found).answer, row("self-hostable", found).answer) == (free, hosted)


def test_a_closed_model_is_open_in_no_respect() -> None:
    """Without weights there is nothing to run, to license or to audit; the provider decides, and no files are judged."""
    closed = ModelSpec(
        id="c",
        name="C",
        openness=Openness(weights="closed"),
        availability=Availability(why="kept", provider="P"),
        sources=SOURCES,
    )
    assert answers(closed) == ("no",) * 5
    assert "P" in row("open access", closed).why
    assert "safe files" not in [one.name for one in openness.rows(closed)]
    assert openness.permissions(closed) == ()
    free_tier = closed.replace(
        availability=Availability(why="kept", provider="P", free_tier="ten messages a day")
    )
    assert (row("free to use", free_tier).answer, row("free to use", free_tier).why) == (
        "partly",
        "free tier: ten messages a day",
    )


def test_general_knowledge_is_marked() -> None:
    """What no source confirms is `assumed`, and so is all that follows from it; an unknown answer assumes nothing."""
    guessed = SPEC.replace(
        sources={**SOURCES, "openness": "classified by family from general knowledge"}
    )
    assert row("auditable", guessed).assumed
    assert not row("open access", guessed).assumed
    tagged = SPEC.replace(
        license=FREE.replace(id="LicenseRef-X"),
        sources={
            **SOURCES,
            "license": "the repository's tag; what it allows from general knowledge",
        },
    )
    assert row("free to use", tagged).assumed
    # the Open Source Definition says what an approved license allows; that the model is under it still takes a source
    assert not row("free to use", tagged.replace(license=FREE)).assumed
    typed = tagged.replace(
        license=FREE, sources={**SOURCES, "license": "typed from general knowledge"}
    )
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
