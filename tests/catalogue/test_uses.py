"""What a model is for, what it reads and what it was tuned from: the spec's fields and their data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import INPUTS, USES, ModelSpec, read_model_spec
from selfhost.core.tomlfile import Document
from selfhost.modelfiles.spectext import spec_text
from selfhost.reports import json as json_report

ROOT = Path(__file__).resolve().parents[2]
MAKES = {"text", "numbers", "speech", "images", "video"}
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
    """A shipped spec that states one of the three names its source."""
    for spec in specs:
        for key in ("uses", "inputs", "tuned_from"):
            stated = getattr(spec, key) is not None
            assert stated == (key in spec.sources), f"{spec.id}: {key}"
        assert set(spec.inputs or ()) <= set(INPUTS)
