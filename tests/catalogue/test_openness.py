"""How open a model is: the rows of `show` and `compare`, and that the findings decide by them;
license expressions, held against the SPDX specification (3.0.1, annex "SPDX license expressions")
and spdx.dev/ids; the names that articles on "open source, open weights or API" use, from sources
outside this project.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.paths import DATA, RECORDS
from selfhost.api import check
from selfhost.catalogue import openness
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.openness import OpennessRow, canonical_expression, satisfies
from selfhost.catalogue.spec import (
    Availability,
    License,
    ModelSpec,
    Openness,
    PublishedFiles,
    Safety,
    Upkeep,
)
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
    change = row("open to change", closed)
    assert change.answer == "no"
    assert "only P can change it" in change.why
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
    # of two facts that an answer rests on, one is guessed
    in_part = guessed.replace(openness=OPEN.replace(weights="partial"))
    assert row("open access", in_part).assumed
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


SERVED = Availability(why="kept", provider="P")
CLOSED = SPEC.replace(openness=Openness(weights="closed"), availability=SERVED)
HIDDEN = SPEC.replace(openness=Openness(weights="unknown"))
PARTIAL = SPEC.replace(openness=OPEN.replace(weights="partial"))


@pytest.mark.parametrize(
    ("spec", "answer", "why"),
    [
        pytest.param(SPEC, "yes", "published without a login", id="published"),
        pytest.param(
            SPEC.replace(repository="o/m"), "yes", "(o/m on Hugging Face)", id="where"
        ),
        pytest.param(
            SPEC.replace(availability=SERVED),
            "yes",
            "published without",
            id="served too",
        ),
        pytest.param(
            SPEC.replace(gated=None), "unknown", "form is not known", id="gate unknown"
        ),
        pytest.param(PARTIAL, "partly", "part of the weights", id="in part"),
        pytest.param(
            PARTIAL.replace(gated=True), "partly", "needs a login", id="in part, gated"
        ),
        pytest.param(HIDDEN, "unknown", "is not known", id="unknown"),
        pytest.param(
            HIDDEN.replace(availability=SERVED),
            "unknown",
            "only P serves it",
            id="unknown, served",
        ),
        pytest.param(CLOSED, "no", "only P serves it, to account holders", id="API"),
        pytest.param(CLOSED, "no", "nobody can download it", id="API, weights"),
        pytest.param(
            CLOSED.replace(availability=None),
            "no",
            "not published",
            id="served by nobody",
        ),
        pytest.param(
            CLOSED.replace(availability=SERVED.replace(api=False)),
            "no",
            "only in its own products",
            id="products",
        ),
        pytest.param(
            CLOSED.replace(availability=SERVED.replace(retired="2025-01-02")),
            "no",
            "retired on 2025-01-02",
            id="retired",
        ),
    ],
)
def test_who_gets_at_the_weights(spec: ModelSpec, answer: str, why: str) -> None:
    found = row("open access", spec)
    assert found.answer == answer
    assert why in found.why


@pytest.mark.parametrize(
    ("spec", "answer", "why"),
    [
        pytest.param(SPEC, "yes", "lets anybody run them", id="published"),
        pytest.param(PARTIAL, "partly", "published in part", id="in part"),
        pytest.param(HIDDEN, "unknown", "not known", id="unknown"),
        pytest.param(CLOSED, "no", "not published", id="closed"),
    ],
)
def test_whoever_has_the_weights_can_run_them(
    spec: ModelSpec, answer: str, why: str
) -> None:
    found = row("self-hostable", spec)
    assert found.answer == answer
    assert why in found.why


@pytest.mark.parametrize(
    ("upkeep", "served", "answer", "why"),
    [
        pytest.param({}, None, "unknown", "was not checked", id="nothing known"),
        pytest.param({"current": True}, None, "no", "no newer model", id="newest"),
        pytest.param({"note": "by hand"}, None, "partly", "by hand", id="note"),
        pytest.param(
            {"note": "fixes", "current": True},
            None,
            "partly",
            "fixes",
            id="current, with a note",
        ),
        pytest.param(
            {"note": "ended", "current": False}, None, "yes", "ended", id="ended"
        ),
        pytest.param(
            {"current": False}, None, "unknown", "was not checked", id="no note"
        ),
        pytest.param(
            {"note": "ended", "superseded_by": "n", "current": False},
            None,
            "yes",
            "by n: ended",
            id="superseded",
        ),
        pytest.param({}, {}, "no", "P serves it", id="served"),
        pytest.param(
            {"current": True}, {}, "no", "P serves it", id="current and served"
        ),
        pytest.param(
            {},
            {"retired": "2025-01-02", "successor": "n"},
            "yes",
            "2025-01-02; n replaces it",
            id="retired",
        ),
        pytest.param(
            {"superseded_by": "k"},
            {"retired": "2025-01-02"},
            "yes",
            "retired on",
            id="superseded and retired",
        ),
    ],
)
def test_whether_a_model_is_superseded(
    upkeep: dict[str, Any], served: dict[str, Any] | None, answer: str, why: str
) -> None:
    """What ended counts before what is served or noted."""
    availability = None if served is None else SERVED.replace(**served)
    spec = SPEC.replace(upkeep=Upkeep(**upkeep), availability=availability)
    found = row("superseded", spec)
    assert found.answer == answer
    assert why in found.why


def test_a_retirement_that_is_doubtful_is_told() -> None:
    doubt = {"availability.retired": "its page is gone"}
    found = row("superseded", CLOSED.replace(unknown=doubt))
    assert (found.answer, found.why) == ("unknown", "its page is gone")


# by the three answers of a license, about use, change and sharing
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("commercial use", "no", id="use"),
        pytest.param("modification", "partly", id="change"),
        pytest.param("redistribution", "yes", id="sharing"),
        pytest.param("fine-tuning", "partly", id="tuning is change"),
    ],
)
def test_each_permission_has_its_own_answer(name: str, answer: str) -> None:
    terms = License(
        id="LicenseRef-X",
        commercial_use="no",
        modification="conditional",
        redistribution="yes",
    )
    spec = SPEC.replace(license=terms)
    found = openness.permission(spec, name)
    assert found == {one.name: one for one in openness.permissions(spec)}[name]
    assert found.answer == answer
    assert ("a tuned model is a modified one" in found.why) is (name == "fine-tuning")
    closed = openness.permission(CLOSED.replace(license=terms), name)
    assert (closed.answer, closed.why) == ("no", "there are no weights to license")


@pytest.mark.parametrize(
    ("id", "key", "stated", "sources", "assumed"),
    [
        # the Open Source Definition: any use (6), derived works (3), redistribution (1)
        pytest.param(
            "MIT",
            "modification",
            "yes",
            ["Initiative approved MIT", "tag"],
            False,
            id="approved",
        ),
        pytest.param(
            "MIT",
            "modification",
            "conditional",
            ["tag"],
            True,
            id="approved, said otherwise",
        ),
        # spdx.org/licenses: no license of the Open Source Initiative's list
        pytest.param(
            "MIT-advertising", "modification", "yes", ["tag"], True, id="alike"
        ),
        pytest.param(
            "LicenseRef-X", "modification", "yes", ["tag"], True, id="of its own"
        ),
        pytest.param(
            "LicenseRef-X", "modification", None, ["tag"], False, id="unknown"
        ),
        # NonCommercial is a condition of the id; what else it forbids is none
        pytest.param(
            "CC-BY-NC-4.0",
            "commercial_use",
            "no",
            ["NonCommercial", "tag"],
            False,
            id="non-commercial",
        ),
        pytest.param(
            "CC-BY-NC-4.0", "modification", "no", ["tag"], True, id="no change"
        ),
        pytest.param(
            "CC-BY-NC-4.0", "commercial_use", "yes", ["tag"], True, id="against its id"
        ),
    ],
)
def test_the_id_of_a_license_tells_some_of_its_terms(
    id: str, key: str, stated: str | None, sources: list[str], assumed: bool
) -> None:
    """Then a source need only show that the model is under it, as a repository's tag does."""
    said = {**SOURCES, "license": "the repository's tag; terms from general knowledge"}
    terms = License(id=id).replace(**{key: stated})
    spec = SPEC.replace(license=terms, sources=said)
    found = openness.permission(spec, key.replace("_", " "))
    assert len(found.sources) == len(sources)
    for source, word in zip(found.sources, sources, strict=True):
        assert word in source
    assert found.assumed is assumed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(None, True, id="none"),
        pytest.param("https://a.example", False, id="page"),
        pytest.param("general knowledge", True, id="general knowledge"),
        pytest.param("our judgement of the family", True, id="judgement"),
        pytest.param("https://a.example; general knowledge", False, id="page first"),
        pytest.param("general knowledge; our judgement", True, id="neither part"),
    ],
)
def test_a_source_that_nobody_looked_up_confirms_nothing(
    source: str | None, expected: bool
) -> None:
    assert openness.unconfirmed(source) is expected


@pytest.mark.parametrize(
    ("parts", "answer", "why"),
    [
        pytest.param(
            {"training_data": "closed"},
            "partly",
            "training data not published",
            id="data",
        ),
        pytest.param(
            {"paper": "closed"}, "yes", "are published", id="paper is none of it"
        ),
        pytest.param(
            {
                "inference_code": "closed",
                "training_code": "partial",
                "training_data": "unknown",
            },
            "partly",
            "inference code not published, training code published in part,"
            " training data not known",
            id="each state",
        ),
        pytest.param(
            {
                "inference_code": "unknown",
                "training_code": "closed",
                "training_data": "closed",
            },
            "partly",
            "training code and training data not published, inference code not known",
            id="not published first",
        ),
        pytest.param(
            {"weights": "unknown"},
            "unknown",
            "weights are published",
            id="weights unknown",
        ),
        pytest.param(
            {"weights": "closed"},
            "no",
            "weights are not published",
            id="weights closed",
        ),
    ],
)
def test_open_source_takes_every_part(
    parts: dict[str, str], answer: str, why: str
) -> None:
    """The definition asks for parameters, code and data information; `auditable` has the data."""
    found = row("open source", SPEC.replace(openness=OPEN.replace(**parts)))
    assert found.answer == answer
    assert why in found.why
    names = [part.name for part in found.parts]
    assert names == ["weights", "inference code", "training code"]


@pytest.mark.parametrize(
    ("changed", "answer", "why"),
    [
        pytest.param(
            {"commercial_use": "no", "modification": None},
            "no",
            "restricts commercial use",
            id="a restriction counts first",
        ),
        pytest.param(
            {"redistribution": None},
            "unknown",
            "allows any use is not known",
            id="one is unknown",
        ),
        pytest.param(
            {"commercial_use": "no", "redistribution": "no"},
            "no",
            "commercial use and redistribution",
            id="two",
        ),
    ],
)
def test_the_terms_of_open_source_allow_anything(
    changed: dict[str, str | None], answer: str, why: str
) -> None:
    terms = FREE.replace(id="LicenseRef-X", **changed)
    found = row("open source", SPEC.replace(license=terms))
    assert found.answer == answer
    assert why in found.why
    # whatever else is missing
    without_data = OPEN.replace(training_data="closed")
    lacking = SPEC.replace(license=terms, openness=without_data)
    assert row("open source", lacking).answer == answer


@pytest.mark.parametrize(
    ("data", "code", "paper", "answer", "why"),
    [
        pytest.param(
            "published", "published", "published", "yes", "are published", id="all"
        ),
        pytest.param(
            "closed", "published", "published", "no", "nobody can check", id="no data"
        ),
        pytest.param(
            "unknown",
            "published",
            "published",
            "unknown",
            "data was published is not known",
            id="data unknown",
        ),
        pytest.param(
            "partial",
            "published",
            "published",
            "partly",
            "training data published in part, methods published",
            id="data in part",
        ),
        pytest.param(
            "published",
            "closed",
            "published",
            "partly",
            "methods published in part, paper published",
            id="a paper tells some methods",
        ),
        pytest.param(
            "published",
            "closed",
            "partial",
            "partly",
            "methods published in part, paper published in part",
            id="paper in part",
        ),
        pytest.param(
            "published",
            "closed",
            "closed",
            "partly",
            "methods not published, paper not published",
            id="no methods",
        ),
        pytest.param(
            "published",
            "unknown",
            "published",
            "unknown",
            "methods not known, paper published",
            id="methods unknown",
        ),
        pytest.param(
            "published",
            "unknown",
            "closed",
            "partly",
            "paper not published",
            id="no paper",
        ),
        pytest.param(
            "published",
            "partial",
            "closed",
            "partly",
            "methods published in part",
            id="code in part",
        ),
    ],
)
def test_an_audit_takes_data_methods_and_paper(
    data: str, code: str, paper: str, answer: str, why: str
) -> None:
    """Training code shows all methods, a paper some of them; unknown is what may all be there."""
    parts = OPEN.replace(training_data=data, training_code=code, paper=paper)
    found = openness.auditable(SPEC.replace(openness=parts))
    assert found.answer == answer
    assert why in found.why
    assert [part.name for part in found.parts] == ["training data", "methods", "paper"]
    tells = "a paper describes it" in found.parts[1].why
    assert tells is (code == "closed" and paper != "closed")


def files(format: str) -> PublishedFiles:
    return PublishedFiles(format=format, source=f"the list of {format}", repository="r")


@pytest.mark.parametrize(
    ("formats", "remote_code", "listed", "answer", "why"),
    [
        pytest.param(
            ("safetensors",), False, (), "yes", "safetensors hold no code", id="numbers"
        ),
        pytest.param(
            ("safetensors", "gguf", "mlx"),
            False,
            (),
            "yes",
            "safetensors, GGUF and MLX",
            id="three formats",
        ),
        pytest.param(
            ("safetensors", "pickle"),
            False,
            (),
            "yes",
            "do not use the pickle files",
            id="pickle beside",
        ),
        pytest.param(
            ("pickle",), False, ("gguf",), "no", "only as pickle", id="pickle"
        ),
        pytest.param(
            ("pickle",), None, (), "no", "only as pickle", id="pickle, code unknown"
        ),
        pytest.param(("safetensors",), True, ("gguf",), "no", "runs code", id="code"),
        # transformers has a way to run code of the repository, llama.cpp has none
        pytest.param(
            ("safetensors",),
            None,
            (),
            "unknown",
            "safetensors hold no code; whether",
            id="code unknown",
        ),
        pytest.param(
            ("safetensors", "gguf"),
            None,
            (),
            "yes",
            "GGUF hold no code",
            id="loaded without code",
        ),
        pytest.param(
            ("safetensors",),
            None,
            ("safetensors", "gguf"),
            "yes",
            "the GGUF files of r hold no code",
            id="converted",
        ),
        pytest.param(
            (),
            None,
            (),
            "unknown",
            "publisher offers is not known",
            id="formats unknown",
        ),
        pytest.param(
            (),
            False,
            ("safetensors",),
            "yes",
            "the safetensors files of r",
            id="listed alone",
        ),
        pytest.param(
            (),
            None,
            ("safetensors",),
            "unknown",
            "publisher offers is not known",
            id="listed, code unknown",
        ),
    ],
)
def test_which_files_are_safe_to_load(
    formats: tuple[str, ...],
    remote_code: bool | None,
    listed: tuple[str, ...],
    answer: str,
    why: str,
) -> None:
    """A pickle can run any code (docs.python.org/3/library/pickle.html), and so can what
    `trust_remote_code` loads; the other formats hold numbers.
    """
    safety = Safety(formats=formats, remote_code=remote_code)
    published = tuple(files(format) for format in listed)
    found = row("safe files", SPEC.replace(safety=safety, files=published))
    assert found.answer == answer
    assert why in found.why
    assert ("pickle files" in found.why) is ("pickle" in formats)
    if listed and answer == "yes":
        assert found.sources == (f"the list of {listed[-1]}",)


def test_an_answer_names_each_source_once_and_the_nearest() -> None:
    """The source of a key counts before that of its table."""
    found = openness.auditable(SPEC)
    assert found.sources == ("the page of openness",)
    of_paper = {**SOURCES, "openness.paper": "the paper"}
    found = openness.auditable(SPEC.replace(sources=of_paper))
    assert found.sources == ("the page of openness", "the paper")
    guessed = {**SOURCES, "openness.training_data": "general knowledge"}
    assert openness.auditable(SPEC.replace(sources=guessed)).assumed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("general knowledge", "the list of gguf", id="assumed"),
        pytest.param("the card", "the card", id="confirmed"),
    ],
)
def test_a_list_of_files_proves_that_weights_are_published(
    source: str, expected: str
) -> None:
    """Better than a classification that nobody looked up, and not better than a page."""
    said = {**SOURCES, "openness": source}
    spec = SPEC.replace(sources=said, files=(files("gguf"), files("mlx")))
    weights, code, _ = row("open source", spec).parts
    assert weights.sources == (expected,)
    assert not weights.assumed
    assert code.sources == (source,)


def test_what_is_unknown_says_why_and_assumes_nothing() -> None:
    parts = OPEN.replace(training_data="unknown")
    why = {"openness.training_data": "the card names no data set"}
    data, *_ = openness.auditable(SPEC.replace(openness=parts, unknown=why)).parts
    assert (data.answer, data.why) == ("unknown", "the card names no data set")
    assert not data.assumed
    assert data.sources == ()
    plain, *_ = openness.auditable(SPEC.replace(openness=parts)).parts
    assert plain.why == "not known"


def test_conditions_are_told_one_after_the_other() -> None:
    """By the short name of the license, as other reports call it."""
    terms = License(
        id="LicenseRef-Gemma", commercial_use="conditional", conditions=("a", "b")
    )
    found = row("free to use", SPEC.replace(license=terms))
    assert found.why == "Gemma allows commercial use under conditions: a; b"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        # GPL-3.0 and the like are deprecated: spdx.org/licenses
        pytest.param("GPLv3", "GPL-3.0-only", id="GPL"),
        pytest.param("GPL-2.0", "GPL-2.0-only", id="deprecated"),
        pytest.param("LGPL-2.1", "LGPL-2.1-only", id="LGPL"),
        pytest.param(" Apache 2.0 license ", "Apache-2.0", id="words"),
        pytest.param("apache2", "Apache-2.0", id="one word"),
        pytest.param("BSD 3 clause", "BSD-3-Clause", id="spaces"),
        pytest.param(" MIT Licence ", "MIT", id="no number"),
        pytest.param(" gpl 3 ", "GPL-3.0-only", id="spaces around"),
        pytest.param("mpl 2", "MPL-2.0", id="shortest that begins so"),
        pytest.param("gpl", "GPL-3.0-only", id="last version"),
        pytest.param("AGPL", "AGPL-3.0-only", id="last of two versions"),
        pytest.param("apache", "Apache-2.0", id="last of three versions"),
        pytest.param("cc-by", "CC-BY-4.0", id="last of four versions"),
        pytest.param("cc0", "CC0-1.0", id="digit in the name"),
        pytest.param("unlicnse", "Unlicense", id="slip"),
        pytest.param(
            "Llama 3.1 Community", "LicenseRef-Llama-3.1-Community", id="short name"
        ),
        pytest.param(
            "lama-3.1-comunity",
            "LicenseRef-Llama-3.1-Community",
            id="slip in a short name",
        ),
        pytest.param("MIT and Apache 2", None, id="several"),
        pytest.param("GPL 2.0 with classpath", None, id="exception"),
        pytest.param("mit or later", None, id="or"),
        pytest.param("frobnicate", None, id="none"),
    ],
)
def test_a_license_is_guessed_by_how_people_write_it(
    typed: str, meant: str | None
) -> None:
    remedy = openness.remedy_of_id(typed)
    if meant is None:
        assert "https://spdx.org/licenses" in remedy
    else:
        assert remedy == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("MIT OR " * 80 + "MIT", "is longer than any license", id="long"),
        pytest.param("(MIT)", "has parentheses", id="parentheses"),
    ],
)
def test_an_expression_that_is_not_read_says_why(text: str, fault: str) -> None:
    with pytest.raises(WorkloadError, match=fault) as caught:
        canonical_expression(text)
    assert "joined by AND and OR" in str(caught.value)


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
    ("CC-BY-NC-4.0 OR Apache-2.0", "Apache-2.0", True),
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
    expected = guess or "SPDX ids joined by AND and OR"
    with pytest.raises(WorkloadError, match=expected) as caught:
        canonical_expression(wrong)
    told = str(caught.value)
    assert ("Otherwise" in told) is ("did you mean" in told)


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
        pytest.param("falcon2-11b", "by falcon3-10b-instruct", id="falcon"),
    ],
)
def test_what_is_maintained_no_more_is_superseded(id: str, why: str) -> None:
    found = row("superseded", CATALOGUE.spec(id))
    assert found.answer == "yes"
    assert why in found.why
    assert not found.assumed


@pytest.mark.parametrize("id", ["gpt-3", "gpt-4o", "llama-3.1-8b-instruct"])
def test_one_row_says_who_gets_at_the_model(id: str) -> None:
    names = [found.name for found in openness.rows(CATALOGUE.spec(id))]
    assert names.count("open access") == 1
    assert "hosted access" not in names
