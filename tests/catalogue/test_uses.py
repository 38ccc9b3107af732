"""What a model is for, what it reads and what it was tuned from: the spec's fields and their data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from refresh.counting import sources_of
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import INPUTS, USES, ModelSpec, read_model_spec
from selfhost.catalogue.spec_values import SCRATCH
from selfhost.core.tomlfile import Document
from selfhost.modelfiles.spectext import spec_text
from selfhost.reports import json as json_report

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_spec_of_ones_own_needs_none_of_them() -> None:
    """What is left out is None, not an error."""
    document, spec = _read("")
    assert document.problems == ()
    assert spec is not None
    assert (spec.uses, spec.inputs, spec.tuned_from) == (None, None, None)
    values = json_report.record(spec)
    assert (values["uses"], values["inputs"], values["tuned_from"]) == (None, None, None)


@pytest.mark.parametrize("origin", ["llama-3.1-8b", "meta-llama/Llama-3.1-8B", "scratch"])
def test_what_a_spec_states_is_read_and_written(origin: str) -> None:
    """An id, a repository and the word scratch; the text of the spec states them again."""
    document, spec = _read(
        f'uses = ["code", "chat"]\ninputs = ["text", "image"]\ntuned_from = "{origin}"'
    )
    assert document.problems == ()
    assert spec is not None
    assert spec.uses == ("code", "chat")
    assert spec.inputs == ("text", "image")
    assert spec.tuned_from == origin
    again = read_model_spec(Document.parse("own.toml", spec_text(spec).encode()), "own.toml")
    assert again == spec


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


def test_outlines_have_what_the_specs_have(
    catalogue: Catalogue, specs: tuple[ModelSpec, ...]
) -> None:
    """`uses` are known without reading a spec."""
    for spec in specs:
        outline = catalogue.outline(spec.id)
        assert outline is not None
        assert outline.uses == spec.uses


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


def test_a_text_model_answers_or_is_a_base_model(
    specs: tuple[ModelSpec, ...], uses: Mapping[str, Any]
) -> None:
    """Each is one of the two, never both: a base model follows no instructions. What makes a text of
    another, judges one, or only turns pages into text, is neither.
    """
    for spec in specs:
        if spec.modality in ("text", "vision") and spec.uses != ("document-reading",):
            assert spec.uses is not None
            answers = any(uses[use]["answers"] for use in spec.uses)
            if answers or spec.uses[0] not in ("rewriting", "translation", "safety"):
                assert answers != ("base" in spec.uses), spec.id


@pytest.mark.parametrize(
    ("id", "main"),
    [
        ("jamba-v0.1", "base"),
        ("pythia-12b", "base"),
        ("olmo-7b", "base"),
        ("bloom", "base"),
        ("falcon2-11b", "base"),
        ("mpt-30b", "base"),
        ("phi-2", "base"),
        ("starcoder2-15b", "code"),
        ("codellama-7b-instruct", "code"),
        ("mathstral-7b-v0.1", "math"),
        ("medgemma-4b-it", "medical"),
        ("gpt-oss-safeguard-20b", "safety"),
        ("deepseek-r1", "reasoning"),
        ("qwen3-8b", "chat"),
        ("gpt-4o", "chat"),
    ],
)
def test_models_whose_main_use_is_plain(catalogue: Catalogue, id: str, main: str) -> None:
    """As their publishers present them."""
    assert (catalogue.spec(id).uses or ("",))[0] == main


def test_closed_chat_models_say_what_they_read(specs: tuple[ModelSpec, ...]) -> None:
    """All but GitHub Copilot, whose models change: of GPT-4o it is text and images."""
    silent = [spec.id for spec in specs if spec.closed and not spec.inputs]
    assert [id for id in silent if id != "github-copilot"] == [
        spec.id for spec in specs if spec.closed and spec.modality == "embedding"
    ]
    (seeing,) = (spec for spec in specs if spec.id == "gpt-4o")
    assert seeing.inputs == ("text", "image")


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


def test_open_models_say_what_they_are_for_and_tuned_from_and_who_says_so(
    specs: tuple[ModelSpec, ...],
) -> None:
    """By a source that somebody can look up, or, of what it was tuned from, why nobody knows."""
    for spec in specs:
        if not spec.closed:
            assert sources_of(spec, ("uses",)), spec.id
            assert (spec.tuned_from is None) == ("tuned_from" in spec.unknown), spec.id
            assert spec.tuned_from is None or sources_of(spec, ("tuned_from",)), spec.id


def test_base_models_and_purposes_follow_the_stated_uses(
    catalogue: Catalogue, specs: tuple[ModelSpec, ...]
) -> None:
    """The outlines take both from `uses`, never from a word of the id."""
    stated = {spec.id for spec in specs if not spec.closed and "base" in (spec.uses or ())}
    assert catalogue.base_ids() == stated
    assert {"jamba-v0.1", "pythia-12b", "olmo-7b", "starcoder2-7b"} <= stated
    purposes = {outline.id: outline.purpose for outline in catalogue.outlines()}
    assert purposes["starcoder2-7b"] == "code"
    assert purposes["medgemma-4b-it"] == "medicine"
    assert purposes["qwen3-8b"] == purposes["pythia-12b"] == "general"
