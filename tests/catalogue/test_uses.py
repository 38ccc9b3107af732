"""What a model is for, what it reads and what it was tuned from: the spec's fields and their data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec, read_model_spec
from selfhost.catalogue.spec_values import INPUTS, SCRATCH, USES
from selfhost.core.tomlfile import Document

MAKES = {"text", "numbers", "speech", "images", "video", "music"}
OWN = """schema = 1
id = "own"
name = "Own"
modality = "text"
{line}
[needs]
memory_bytes = 1
disk_bytes = 1
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open()


@pytest.fixture(scope="module")
def specs(catalogue: Catalogue) -> tuple[ModelSpec, ...]:
    return tuple(catalogue.specs())


@pytest.fixture(scope="module")
def uses(catalogue: Catalogue) -> Mapping[str, Any]:
    table: Mapping[str, Any] = catalogue.common("uses")["use"]
    return table


def _read(line: str) -> tuple[Document, ModelSpec | None]:
    document = Document.parse("own.toml", OWN.format(line=line).encode())
    return document, read_model_spec(document, "own.toml")


def test_every_use_has_a_table_and_every_table_a_use(uses: Mapping[str, Any]) -> None:
    """specs/common/uses.toml and USES name the same uses in the same order, all explained."""
    assert tuple(uses) == USES
    for facts in uses.values():
        assert facts.keys() == {"label", "sentence", "answers", "general", "makes"}
        assert isinstance(facts["answers"], bool)
        assert isinstance(facts["general"], bool)
        assert facts["makes"] in MAKES
        assert facts["sentence"].endswith(".")


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        ('uses = ["chatt"]', '"chatt" is not one of', 'did you mean "chat"?'),
        ("uses = []", "is empty", "leave it out"),
        ('uses = ["code", "code"]', "stands there twice", "remove one"),
        ('uses = "chat"', "must be a list", ""),
        ('inputs = ["picture"]', '"picture" is not one of', ""),
        ('tuned_from = ""', "is empty", ""),
        ('tuned_from = "a/b/c"', "must be the repository's owner and name", ""),
        ('tuned_from = "Llama 2"', "is no spec's id", ""),
    ],
)
def test_a_wrong_value_is_a_fault_of_its_line(line: str, message: str, remedy: str) -> None:
    """Each fault has its line, and a remedy where there is one."""
    document, spec = _read(line)
    assert spec is None
    problem = document.problems[0]
    assert problem.line == 5
    assert message in problem.message
    assert remedy in (problem.remedy or "")


def test_what_is_stated_has_a_source(specs: tuple[ModelSpec, ...]) -> None:
    """A shipped spec that states one of these names its source; one that says whether it is current, too."""
    for spec in specs:
        for key in ("uses", "inputs", "tuned_from", "released", "gated"):
            stated = getattr(spec, key) is not None
            assert stated == (key in spec.sources), f"{spec.id}: {key}"
        if spec.license is not None:
            assert any(key.startswith("license") for key in spec.sources), f"{spec.id}: license"
        upkeep = spec.upkeep
        if upkeep is not None and (upkeep.current or upkeep.superseded_by or upkeep.note):
            assert any(key.startswith("upkeep") for key in spec.sources), f"{spec.id}: upkeep"
        assert not spec.runtimes or "runtimes" in spec.sources, f"{spec.id}: runtimes"
        assert set(spec.inputs or ()) <= set(INPUTS)


# the shipped specs


def test_every_shipped_spec_says_what_the_model_is_for(specs: tuple[ModelSpec, ...]) -> None:
    """No shipped spec leaves `uses` out."""
    assert [spec.id for spec in specs if spec.uses is None] == []


def test_the_main_use_fits_the_modality(
    specs: tuple[ModelSpec, ...], uses: Mapping[str, Any]
) -> None:
    """Embedding models make numbers, those of images, video and music these, the others text; speech
    models write, speak, or make numbers of a recording.
    """
    makes = {"embedding": "numbers", "image": "images", "video": "video", "music": "music"}
    of_speech = {
        "speech-synthesis": "speech",
        "speech-recognition": "text",
        "audio-encoder": "numbers",
    }
    for spec in specs:
        assert spec.uses is not None
        made = of_speech.get(spec.uses[0], makes.get(spec.modality, "text"))
        assert uses[spec.uses[0]]["makes"] == made, spec.id
        assert (spec.uses[0] in of_speech) == (spec.modality == "speech"), spec.id


def test_what_a_model_was_tuned_from_is_another_model(
    catalogue: Catalogue, specs: tuple[ModelSpec, ...]
) -> None:
    """An id is one of the catalogue, and following it comes to an end; a repository that the
    catalogue has stands as its id.
    """
    repositories = {spec.repository.lower() for spec in specs if spec.repository}
    for spec in specs:
        seen, origin = [spec.id], spec.tuned_from
        assert (origin or "").lower() not in repositories, spec.id
        while origin and origin != SCRATCH and "/" not in origin:
            assert origin not in seen
            seen.append(origin)
            origin = catalogue.spec(origin).tuned_from
